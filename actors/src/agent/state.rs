//! The core of whatever kind of agent it is; which, is told by the event that brought it into its session.

use ropewalk_protocol::{AgentId, EventBody, Rejection, SessionId, Stream, Timestamp};
use serde::{Deserialize, Serialize};

use super::program::Program;
use super::structured::Structured;
use crate::core::{Core, Decision, Effect, Input, Moment};

/// What an agent decides on.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AgentCore {
    session: SessionId,
    id: AgentId,
    kind: Kind,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Kind {
    Unknown,
    Program(Program),
    Structured(Box<Structured>),
}

impl AgentCore {
    pub(crate) fn new(session: SessionId, id: AgentId) -> Self {
        Self { session, id, kind: Kind::Unknown }
    }

    /// The stream that it owns.
    pub(crate) fn stream(&self) -> Stream {
        Stream::Agent(self.session, self.id)
    }

    /// What it knows, if it is a structured agent.
    pub(crate) fn structured(&self) -> Option<&Structured> {
        match &self.kind {
            Kind::Structured(structured) => Some(structured),
            Kind::Unknown | Kind::Program(_) => None,
        }
    }
}

impl Core for AgentCore {
    fn decide(&self, input: &Input, moment: &Moment) -> Result<Decision, Rejection> {
        match &self.kind {
            Kind::Unknown => Err(Rejection::not_found(format_args!("agent {} in session {}", self.id, self.session))),
            Kind::Program(program) => program.decide(input),
            Kind::Structured(structured) => structured.decide(input, moment),
        }
    }

    fn apply(&mut self, stream: Stream, at: Timestamp, by: Option<&str>, body: &EventBody) {
        match (stream, body) {
            (Stream::Session(_), EventBody::AgentAdded(added)) if added.agent == self.id => {
                self.kind = Kind::Program(Program::asked(added.run));
            }
            (Stream::Session(_), EventBody::AgentJoined(joined)) if joined.agent == self.id => {
                self.kind = Kind::Structured(Box::new(Structured::joined(joined)));
            }
            (Stream::Agent(_, agent), body) if agent == self.id => match &mut self.kind {
                Kind::Unknown => {}
                Kind::Program(program) => program.apply(body),
                Kind::Structured(structured) => structured.apply(at, by, body),
            },
            _ => {}
        }
    }

    fn react(&self, body: &EventBody) -> Vec<Effect> {
        match &self.kind {
            Kind::Unknown => Vec::new(),
            Kind::Program(_) => Program::react(self.session, body),
            Kind::Structured(structured) => structured.react(self.session, self.id, body),
        }
    }
}
