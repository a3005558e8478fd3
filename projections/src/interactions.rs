//! Open questions to people, over all sessions.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};

use ropewalk_protocol::{Event, EventBody, InteractionId, InteractionView, SessionId, Stream};

use crate::Agents;

/// The questions that are open, in all sessions that are not deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Interactions(BTreeMap<InteractionId, InteractionView>);

impl Interactions {
    /// Takes an event in. `agents` have it already.
    pub fn apply(&mut self, event: &Event, agents: &Agents) {
        match (&event.stream, &event.body) {
            (Stream::Agent(session, agent), EventBody::Asked(asked)) => {
                let structured = agents.get(*session, *agent).and_then(|agent| agent.structured.as_ref());
                self.insert(InteractionView {
                    interaction: asked.interaction,
                    session: *session,
                    agent: *agent,
                    name: structured.map(|agent| agent.name.clone()).unwrap_or_default(),
                    turn: asked.turn,
                    kind: asked.kind,
                    title: asked.title.clone(),
                    detail: asked.detail.clone(),
                    options: asked.options.clone(),
                    at: event.at,
                    seq: event.seq,
                    expires: asked.expires,
                });
            }
            (_, EventBody::Answered(answered)) => drop(self.0.remove(&answered.interaction)),
            (_, EventBody::AskClosed(closed)) => drop(self.0.remove(&closed.interaction)),
            (Stream::Agent(_, agent), EventBody::AgentClosed(_)) => self.0.retain(|_, open| open.agent != *agent),
            (Stream::Session(session), EventBody::SessionDeleted(_)) => {
                self.0.retain(|_, open| open.session != *session);
            }
            _ => {}
        }
    }

    pub(crate) fn insert(&mut self, interaction: InteractionView) {
        self.0.insert(interaction.interaction, interaction);
    }

    /// A page of questions after this one, oldest first, of all sessions or of one, and whether more follow. It has one at
    /// least, if there is any, and no more than make so many bytes.
    pub fn page(
        &self,
        session: Option<SessionId>,
        after: Option<InteractionId>,
        bytes_max: usize,
    ) -> (Vec<InteractionView>, bool) {
        let open = self.0.range((after.map_or(Unbounded, Excluded), Unbounded)).map(|(_, open)| open);
        let mut page: Vec<InteractionView> = Vec::new();
        let mut bytes = 0;
        for open in open.filter(|open| session.is_none_or(|session| open.session == session)) {
            bytes += size_of(open);
            if bytes > bytes_max && !page.is_empty() {
                return (page, true);
            }
            page.push(open.clone());
        }
        (page, false)
    }

    /// All open questions.
    pub fn iter(&self) -> impl Iterator<Item = &InteractionView> {
        self.0.values()
    }
}

/// About what a question takes on the wire.
fn size_of(open: &InteractionView) -> usize {
    /// Ids, times and names of fields.
    const FRAME_BYTES: usize = 512;
    let options: usize = open.options.iter().map(|option| option.id.len() + option.name.len() + 64).sum();
    FRAME_BYTES + open.name.len() + open.title.len() + open.detail.len() + options
}

#[cfg(test)]
mod tests;
