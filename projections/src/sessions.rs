//! Sessions: what there is, what it is called, what it is doing, and the event that proves it.

use std::collections::BTreeMap;

use ropewalk_protocol::{AgentId, Event, EventBody, Seq, SessionId, SessionState, SessionStatus, Stream, Timestamp};
use serde::{Deserialize, Serialize};

/// A session's own facts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// The name people use for it.
    pub name: Option<String>,
    /// The directory it works in.
    pub workspace: Option<String>,
    /// When it was created.
    pub created_at: Timestamp,
    /// What it is doing.
    pub status: SessionStatus,
    /// Why it ended, once it has.
    pub end_reason: Option<String>,
    /// Its newest event.
    pub last_seq: Seq,
    /// Programs whose run has not ended, and structured agents that are not closed.
    live: Vec<AgentId>,
    /// Those of them that are structured: they outlive their runs.
    structured: Vec<AgentId>,
    /// Those of the structured ones that have no run.
    stopped: Vec<AgentId>,
}

/// All sessions that are not deleted, and their names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sessions {
    sessions: BTreeMap<SessionId, Session>,
    names: BTreeMap<String, SessionId>,
}

impl Sessions {
    /// Takes an event in.
    pub fn apply(&mut self, event: &Event) {
        let Some(id) = event.stream.session() else {
            return;
        };
        match &event.body {
            EventBody::SessionCreated(created) => {
                let status = SessionStatus { state: SessionState::Empty, since: event.at, evidence: event.seq };
                let session = Session {
                    name: created.name.clone(),
                    workspace: created.workspace.clone(),
                    created_at: event.at,
                    status,
                    end_reason: None,
                    last_seq: event.seq,
                    live: Vec::new(),
                    structured: Vec::new(),
                    stopped: Vec::new(),
                };
                self.insert(id, session);
            }
            EventBody::SessionRenamed(renamed) => {
                if let Some(session) = self.sessions.get_mut(&id) {
                    if let Some(old) = session.name.replace(renamed.name.clone()) {
                        self.names.remove(&old);
                    }
                    self.names.insert(renamed.name.clone(), id);
                }
            }
            EventBody::SessionDeleted(_) => {
                let name = self.sessions.remove(&id).and_then(|session| session.name);
                name.map(|name| self.names.remove(&name));
            }
            _ => {}
        }
        if let Some(session) = self.sessions.get_mut(&id) {
            session.last_seq = event.seq;
            session.follow(event);
        }
    }

    pub(crate) fn insert(&mut self, id: SessionId, session: Session) {
        if let Some(name) = &session.name {
            self.names.insert(name.clone(), id);
        }
        self.sessions.insert(id, session);
    }

    /// One session.
    pub fn get(&self, id: SessionId) -> Option<&Session> {
        self.sessions.get(&id)
    }

    /// The session with this name.
    pub fn named(&self, name: &str) -> Option<SessionId> {
        self.names.get(name).copied()
    }

    /// All names in use.
    pub fn names(&self) -> impl Iterator<Item = (&str, SessionId)> {
        self.names.iter().map(|(name, id)| (name.as_str(), *id))
    }

    /// Sessions after this one, oldest first.
    pub fn after(&self, after: Option<SessionId>) -> impl Iterator<Item = (SessionId, &Session)> {
        use std::ops::Bound::{Excluded, Unbounded};
        let from = after.map_or(Unbounded, Excluded);
        self.sessions.range((from, Unbounded)).map(|(id, session)| (*id, session))
    }
}

impl Session {
    fn follow(&mut self, event: &Event) {
        let agent = match event.stream {
            Stream::Agent(_, agent) => Some(agent),
            Stream::Machine | Stream::Session(_) | Stream::Terminal(..) => None,
        };
        match &event.body {
            EventBody::AgentAdded(added) => {
                self.live.push(added.agent);
                self.turn(SessionState::Starting, event);
            }
            EventBody::AgentJoined(joined) => {
                self.live.push(joined.agent);
                self.structured.push(joined.agent);
                if matches!(self.status.state, SessionState::Empty | SessionState::Stopped) {
                    self.turn(SessionState::Starting, event);
                }
            }
            EventBody::RunAsked(_) => {
                self.stopped.retain(|stopped| Some(*stopped) != agent);
                if self.status.state == SessionState::Stopped {
                    self.turn(SessionState::Starting, event);
                }
            }
            EventBody::RunStarted(_) if self.status.state == SessionState::Starting => {
                self.turn(SessionState::Running, event);
            }
            EventBody::RunEnded(_) | EventBody::RunFailed(_) => {
                // A structured agent goes on: the next prompt starts its program again.
                match agent.filter(|agent| self.structured.contains(agent)) {
                    Some(structured) => self.stopped.push(structured),
                    None => self.live.retain(|live| Some(*live) != agent),
                }
                self.rest(event);
            }
            EventBody::AgentClosed(_) => {
                for of in [&mut self.live, &mut self.structured, &mut self.stopped] {
                    of.retain(|one| Some(*one) != agent);
                }
                self.rest(event);
            }
            EventBody::SessionEndRequested(_) if !self.live.is_empty() => self.turn(SessionState::Ending, event),
            EventBody::SessionEnded(ended) => {
                self.end_reason = Some(ended.reason.clone());
                self.turn(SessionState::Ended, event);
            }
            _ => {}
        }
    }

    /// Nothing runs, unless something does.
    fn rest(&mut self, event: &Event) {
        let is_up = matches!(self.status.state, SessionState::Starting | SessionState::Running);
        if is_up && !self.live.is_empty() && self.live.iter().all(|live| self.stopped.contains(live)) {
            self.turn(SessionState::Stopped, event);
        }
    }

    fn turn(&mut self, state: SessionState, event: &Event) {
        self.status = SessionStatus { state, since: event.at, evidence: event.seq };
    }
}
