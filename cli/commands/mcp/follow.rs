//! A session's story, folded from its events: from its beginning, and on while somebody waits.

use std::collections::VecDeque;

use ropewalk_projections::transcript::{Part, Transcript, Turn};
use ropewalk_projections::{Projections, Structured};
use ropewalk_protocol::{
    AgentId, EventBody, PromptId, Rejection, Seq, SessionId, Stream, SubscribeAfter, SubscribeParams, TurnId,
};
use ropewalk_transport::client::SubscriptionItem;
use tokio::sync::mpsc;

use super::answers::closed;
use super::daemon::Session;

/// What became of one agent's session so far.
pub(super) struct Story {
    session: SessionId,
    agent: AgentId,
    facts: Projections,
    transcript: Transcript,
    /// The turn that it was asked to end last.
    cancelled: Option<TurnId>,
    /// Its newest turns that are settled, oldest first.
    settled: VecDeque<Turn>,
    /// How many of them are kept.
    kept: usize,
    /// The turn of this prompt is kept besides, however old it is.
    wanted: Option<PromptId>,
    found: Option<Turn>,
    /// How many are not kept any more.
    pub(super) dropped: usize,
    items: mpsc::Receiver<SubscriptionItem>,
}

impl Story {
    /// The story of this agent up to now; of its settled turns so many are kept, and that of the prompt that is wanted.
    pub(super) async fn of(
        session: &Session,
        agent: AgentId,
        kept: usize,
        wanted: Option<PromptId>,
    ) -> Result<Self, Rejection> {
        let Session { client, session, .. } = session;
        let params =
            SubscribeParams { session: Some(*session), after: SubscribeAfter::Seq(Seq::ZERO), log: None, only: None };
        let (_, items) = client.subscribe(params).await?;
        let mut story = Self {
            session: *session,
            agent,
            facts: Projections::default(),
            transcript: Transcript::default(),
            cancelled: None,
            settled: VecDeque::new(),
            kept,
            wanted,
            found: None,
            dropped: 0,
            items,
        };
        while !story.goes_on().await? {}
        Ok(story)
    }

    /// Takes in what comes next; true: that was all up to now.
    pub(super) async fn goes_on(&mut self) -> Result<bool, Rejection> {
        match self.items.recv().await {
            Some(SubscriptionItem::Events(events)) => {
                for event in &events {
                    self.facts.apply(event);
                    self.transcript.apply(event);
                    if let (Stream::Agent(_, agent), EventBody::CancelAsked(asked)) = (&event.stream, &event.body)
                        && *agent == self.agent
                    {
                        self.cancelled = Some(asked.turn);
                    }
                }
                let settled = self.transcript.take_settled();
                self.settled.extend(settled.into_iter().filter(|(of, _)| *of == self.agent).map(|(_, turn)| turn));
                while self.settled.len() > self.kept {
                    let dropped = self.settled.pop_front();
                    self.dropped += 1;
                    if let Some(turn) = dropped.filter(|turn| self.wanted.is_some_and(|wanted| has(turn, wanted))) {
                        self.found = Some(turn);
                    }
                }
                Ok(false)
            }
            Some(SubscriptionItem::Live(_)) => Ok(true),
            Some(SubscriptionItem::Failed(rejection)) => Err(rejection),
            // What cannot be read is left out, as everywhere.
            Some(SubscriptionItem::Gap { .. } | SubscriptionItem::Snapshot { .. }) => Ok(false),
            None => Err(closed()),
        }
    }

    /// What is known of the agent.
    pub(super) fn facts(&self) -> Option<&Structured> {
        self.facts.agents().get(self.session, self.agent)?.structured.as_deref()
    }

    /// Whether its open turn is about to end: its questions are of no use any more.
    pub(super) fn is_cancelling(&self) -> bool {
        self.facts().is_some_and(|facts| facts.turn.is_some() && facts.turn == self.cancelled)
    }

    /// Its turns, oldest first, as far as they are kept; those that go on are the last.
    pub(super) fn turns(&self) -> impl DoubleEndedIterator<Item = &Turn> {
        let open = self.transcript.talk(self.agent).map_or(&[][..], |talk| &talk.turns);
        self.settled.iter().chain(open)
    }

    /// Whether the turn that a prompt was given in has ended, and it is known that it was given in that.
    pub(super) fn has_settled(&self, prompt: PromptId) -> bool {
        let is_on_its_way = self.transcript.talk(self.agent).is_some_and(|talk| talk.is_on_its_way(prompt));
        !is_on_its_way && self.turn_with(prompt).is_some_and(|turn| turn.outcome.is_some())
    }

    /// The turn that a prompt was given in, if it was; not one that it came too late for.
    pub(super) fn turn_with(&self, wanted: PromptId) -> Option<&Turn> {
        self.found.iter().chain(self.turns()).find(|turn| has(turn, wanted))
    }
}

fn has(turn: &Turn, wanted: PromptId) -> bool {
    turn.parts.iter().any(|part| matches!(part, Part::Prompt(prompt) if prompt.prompt == wanted && !prompt.late))
}

#[cfg(test)]
mod tests;
