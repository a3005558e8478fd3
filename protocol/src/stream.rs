//! Whose history an event belongs to.

use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{AgentId, SessionId, TerminalId};

/// Whose history an event belongs to. The actor that owns a stream is the only writer of it.
///
/// As text: `machine`, `session:<id>`, `session:<id>/agent:<id>`, `session:<id>/terminal:<id>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stream {
    /// The daemon's own history.
    Machine,
    /// A session's.
    Session(SessionId),
    /// An agent's, within its session.
    Agent(SessionId, AgentId),
    /// A terminal's, within its session.
    Terminal(SessionId, TerminalId),
}

impl Stream {
    /// The session this stream is part of.
    pub const fn session(&self) -> Option<SessionId> {
        match self {
            Stream::Machine => None,
            Stream::Session(session) | Stream::Agent(session, _) | Stream::Terminal(session, _) => Some(*session),
        }
    }
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stream::Machine => f.write_str("machine"),
            Stream::Session(session) => write!(f, "session:{session}"),
            Stream::Agent(session, agent) => write!(f, "session:{session}/agent:{agent}"),
            Stream::Terminal(session, terminal) => write!(f, "session:{session}/terminal:{terminal}"),
        }
    }
}

/// Text that names no stream.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} names no stream")]
pub struct StreamError(String);

impl FromStr for Stream {
    type Err = StreamError;

    fn from_str(text: &str) -> Result<Self, StreamError> {
        let error = || StreamError(text.chars().take(120).collect());
        if text == "machine" {
            return Ok(Stream::Machine);
        }
        let rest = text.strip_prefix("session:").ok_or_else(error)?;
        let Some((session, part)) = rest.split_once('/') else {
            return rest.parse().map(Stream::Session).map_err(|_| error());
        };
        let session = session.parse().map_err(|_| error())?;
        match part.split_once(':') {
            Some(("agent", agent)) => agent.parse().map(|agent| Stream::Agent(session, agent)).map_err(|_| error()),
            Some(("terminal", terminal)) => {
                terminal.parse().map(|terminal| Stream::Terminal(session, terminal)).map_err(|_| error())
            }
            _ => Err(error()),
        }
    }
}

#[derive(Serialize, Deserialize)]
enum StoredStream {
    Machine,
    Session(SessionId),
    Agent(SessionId, AgentId),
    Terminal(SessionId, TerminalId),
}

impl Serialize for Stream {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return serializer.collect_str(self);
        }
        match *self {
            Stream::Machine => StoredStream::Machine,
            Stream::Session(session) => StoredStream::Session(session),
            Stream::Agent(session, agent) => StoredStream::Agent(session, agent),
            Stream::Terminal(session, terminal) => StoredStream::Terminal(session, terminal),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Stream {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            return String::deserialize(deserializer)?.parse().map_err(D::Error::custom);
        }
        Ok(match StoredStream::deserialize(deserializer)? {
            StoredStream::Machine => Stream::Machine,
            StoredStream::Session(session) => Stream::Session(session),
            StoredStream::Agent(session, agent) => Stream::Agent(session, agent),
            StoredStream::Terminal(session, terminal) => Stream::Terminal(session, terminal),
        })
    }
}

impl JsonSchema for Stream {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Stream".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "machine, session:<id>, session:<id>/agent:<id> or session:<id>/terminal:<id>"
        })
    }
}
