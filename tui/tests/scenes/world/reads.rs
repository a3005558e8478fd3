//! What the daemon answers to who only reads.

use ropewalk_projections::timeline;
use ropewalk_protocol::{
    AgentId, Code, DayView, Event, EventBody, EventGap, GapReason, PolicyView, Rejection, Seq, SessionId, Stream,
    TimelineEntry,
};
use ropewalk_tui::app::event::{Found, OlderPage, Read};
use ropewalk_tui::app::search::Hit;

use super::World;

/// Entries in a page of a session's history.
const HISTORY_PAGE: usize = 100;
/// Events that are searched at once.
const SEARCH_PAGE: usize = 40;

impl World {
    /// A session, its questions, its queue, or what bounds it.
    pub(crate) fn read(&self, read: Read) -> Found {
        match read {
            Read::Session(session) => match self.projections.session(session, self.now) {
                Some(view) => Found::Session(Box::new(view)),
                None => Found::NoSession(session),
            },
            Read::Asks => Found::Asks(self.projections.interactions().iter().cloned().collect()),
            Read::Prompts(session, agent) => {
                let agent_known = self.projections.agents().get(session, agent);
                match agent_known.and_then(|agent| agent.structured.as_ref()) {
                    Some(structured) => Found::Prompts(session, agent, structured.prompts().to_vec()),
                    None => Found::Failed(read, Rejection::not_found(format_args!("agent {agent}"))),
                }
            }
            Read::Policy(session) => {
                let policies = self.projections.policies();
                let view = PolicyView {
                    day: DayView { budget: policies.day_budget(), spent: policies.day_spent(self.now) },
                    workspaces: policies.workspaces().collect(),
                    budget: policies.session_budget(session),
                    spent: self.projections.agents().spent(session, self.now),
                    rules: policies.session_rules(session).to_vec(),
                };
                Found::Policy(session, Box::new(view))
            }
        }
    }

    /// A page of what was said with an agent before this event.
    ///
    /// # Errors
    /// The disk is said to fail.
    pub(crate) fn older(&self, agent: AgentId, before: Seq) -> Result<OlderPage, Rejection> {
        if self.disk_fails {
            return Err(Rejection::new(Code::StorageFailed, "the log cannot be read: input/output error"));
        }
        let is_older = |event: &&Event| event.seq < before && Self::is_of(event, agent);
        let mut older = self.events.iter().rev().filter(is_older);
        let mut events: Vec<Event> = older.by_ref().take(self.page_events).cloned().collect();
        events.reverse();
        let next = events.first().map(|event| event.seq).filter(|_| older.next().is_some());
        let is_damaged = |seq: Seq| self.damaged.is_some_and(|(from, to)| from <= seq && seq <= to);
        let gap = self.damaged.filter(|_| events.iter().any(|event| is_damaged(event.seq)));
        let gaps = gap.map(|(from, to)| EventGap { from, to, reason: GapReason::Damaged }).into_iter().collect();
        events.retain(|event| !is_damaged(event.seq));
        Ok(OlderPage { events, next, gaps })
    }

    /// A page of a session's history, newest first, and whether there is more.
    pub(crate) fn history(&self, session: SessionId, before: Option<Seq>) -> (Vec<TimelineEntry>, bool) {
        let of_session = self.events.iter().rev().filter(|event| event.stream.session() == Some(session));
        let mut entries =
            of_session.filter(|event| before.is_none_or(|before| event.seq < before)).filter_map(timeline::entry);
        let page = entries.by_ref().take(HISTORY_PAGE).collect();
        (page, entries.next().is_some())
    }

    /// Where something was said, in the events before this one: the places, how far back they were searched, and whether
    /// there is more.
    pub(crate) fn search(&self, text: &str, before: Option<Seq>) -> (Vec<Hit>, Seq, bool) {
        let mut events = self.events.iter().rev().filter(|event| before.is_none_or(|before| event.seq < before));
        let searched: Vec<&Event> = events.by_ref().take(SEARCH_PAGE).collect();
        let hits = searched.iter().filter_map(|event| {
            let said = match &event.body {
                EventBody::PromptQueued(queued) => &queued.text,
                EventBody::ItemText(text) => &text.text,
                _ => return None,
            };
            let Stream::Agent(session, agent) = event.stream else { return None };
            let line = said.lines().find(|line| line.to_lowercase().contains(&text.to_lowercase()))?;
            Some(Hit { session, agent: Some(agent), seq: event.seq, at: event.at, excerpt: line.trim().to_owned() })
        });
        let reached = searched.last().map_or(Seq::ZERO, |event| event.seq);
        (hits.collect(), reached, events.next().is_some())
    }
}
