//! What the log says, folded by other code than the daemon's: every event must be allowed where it stands.

use std::collections::BTreeMap;

use ropewalk_protocol::{
    AgentId, CommandId, Event, EventBody, RunId, Seq, SessionId, SessionState, Size, Stream, TerminalId,
};

use super::trace::violation;

#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) sessions: BTreeMap<SessionId, Session>,
    pub(super) terminals: BTreeMap<TerminalId, Terminal>,
    /// The events that each command made, with their places.
    pub(super) effects: BTreeMap<CommandId, Vec<(Seq, EventBody)>>,
}

#[derive(Debug)]
pub(super) struct Session {
    pub(super) name: Option<String>,
    pub(super) state: SessionState,
    pub(super) evidence: Seq,
    pub(super) deleted: bool,
    agents: BTreeMap<AgentId, Agent>,
}

#[derive(Debug)]
struct Agent {
    run: RunId,
    started: bool,
    over: bool,
}

#[derive(Debug)]
pub(super) struct Terminal {
    pub(super) session: SessionId,
    pub(super) first_size: Size,
    pub(super) resizes: Vec<(u64, Size)>,
    pub(super) closed_at: Option<u64>,
}

impl Model {
    pub(super) fn of(events: &[Event]) -> Self {
        let mut model = Self::default();
        for event in events {
            if let Err(why) = model.apply(event) {
                violation(format!("event {} {} must not be: {why}", event.seq, event.body.name()));
            }
            if let Some(cause) = &event.cause {
                model.effects.entry(cause.command).or_default().push((event.seq, event.body.clone()));
            }
        }
        model
    }

    fn apply(&mut self, event: &Event) -> Result<(), &'static str> {
        match event.stream {
            Stream::Machine => Ok(()),
            Stream::Session(session) => self.session(session, event),
            Stream::Agent(session, agent) => self.agent(session, agent, event),
            Stream::Terminal(_, terminal) => {
                let terminal = self.terminals.get_mut(&terminal).ok_or("the terminal is not there")?;
                terminal.apply(&event.body)
            }
        }
    }

    fn session(&mut self, id: SessionId, event: &Event) -> Result<(), &'static str> {
        let named = match &event.body {
            EventBody::SessionCreated(created) => created.name.as_ref(),
            EventBody::SessionRenamed(renamed) => Some(&renamed.name),
            _ => None,
        };
        let mut others = self.sessions.iter().filter(|(of, session)| **of != id && !session.deleted);
        if named.is_some() && others.any(|(_, session)| session.name.as_ref() == named) {
            return Err("another session has the name");
        }
        if let EventBody::SessionCreated(created) = &event.body {
            let name = created.name.clone();
            let (state, evidence) = (SessionState::Empty, event.seq);
            let session = Session { name, state, evidence, deleted: false, agents: BTreeMap::new() };
            return self.sessions.insert(id, session).map_or(Ok(()), |_| Err("the session is there already"));
        }
        let session = self.sessions.get_mut(&id).filter(|session| !session.deleted).ok_or("no such session")?;
        match &event.body {
            EventBody::AgentAdded(added) => {
                let terminal = Terminal { session: id, first_size: added.size, resizes: Vec::new(), closed_at: None };
                self.terminals.insert(added.terminal, terminal);
                session.agents.insert(added.agent, Agent { run: added.run, started: false, over: false });
                session.turn(SessionState::Starting, event);
            }
            EventBody::SessionRenamed(renamed) => session.name = Some(renamed.name.clone()),
            EventBody::SessionEndRequested(_) => {
                if matches!(session.state, SessionState::Ending | SessionState::Ended) {
                    return Err("it was asked to end before");
                }
                if session.runs() {
                    session.turn(SessionState::Ending, event);
                }
            }
            EventBody::SessionEnded(_) if session.runs() => return Err("something runs in it"),
            EventBody::SessionEnded(_) if session.state == SessionState::Ended => return Err("it had ended"),
            EventBody::SessionEnded(_) => session.turn(SessionState::Ended, event),
            EventBody::SessionDeleted(_) if session.state != SessionState::Ended => return Err("it had not ended"),
            EventBody::SessionDeleted(_) => session.deleted = true,
            _ => {}
        }
        Ok(())
    }

    fn agent(&mut self, session: SessionId, agent: AgentId, event: &Event) -> Result<(), &'static str> {
        let session = self.sessions.get_mut(&session).ok_or("no such session")?;
        let agent = session.agents.get_mut(&agent).ok_or("no such agent")?;
        let run = match &event.body {
            EventBody::RunStarted(started) => started.run,
            EventBody::RunFailed(failed) => failed.run,
            EventBody::RunEnded(ended) => ended.run,
            _ => return Err("no event of an agent"),
        };
        let starts = matches!(event.body, EventBody::RunStarted(_));
        let failed = matches!(event.body, EventBody::RunFailed(_));
        if agent.run != run {
            return Err("another run was asked for");
        }
        if agent.over || (agent.started && (starts || failed)) {
            return Err("the run was started or was over before");
        }
        agent.started |= starts;
        agent.over |= !starts;
        if starts && session.state == SessionState::Starting {
            session.turn(SessionState::Running, event);
        }
        Ok(())
    }
}

impl Session {
    fn runs(&self) -> bool {
        self.agents.values().any(|agent| !agent.over)
    }

    fn turn(&mut self, state: SessionState, event: &Event) {
        (self.state, self.evidence) = (state, event.seq);
    }
}

impl Terminal {
    fn size(&self) -> Size {
        self.resizes.last().map_or(self.first_size, |(_, size)| *size)
    }

    fn apply(&mut self, body: &EventBody) -> Result<(), &'static str> {
        if self.closed_at.is_some() {
            return Err("the terminal was closed");
        }
        match body {
            EventBody::TerminalResized(resized) if resized.size == self.size() => Err("it had that size"),
            EventBody::TerminalResized(resized)
                if self.resizes.last().is_some_and(|(offset, _)| *offset > resized.offset) =>
            {
                Err("its offset is before the one of the size before")
            }
            EventBody::TerminalResized(resized) => {
                self.resizes.push((resized.offset, resized.size));
                Ok(())
            }
            EventBody::TerminalClosed(closed) => {
                self.closed_at = Some(closed.offset);
                Ok(())
            }
            _ => Err("no event of a terminal"),
        }
    }
}
