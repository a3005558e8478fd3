//! What happened: one type that is stored, streamed and folded.
//!
//! A kind's number, name and payload are frozen from the day they land: a payload that must change gets a new version,
//! and the old struct stays with an upcast in [`crate::record`].

use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::codec::{self, CodecError};
use crate::{AgentId, CommandId, RunId, Seq, SessionId, Size, TerminalId, Timestamp};

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

/// What made an event happen: whose command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Cause {
    /// The command's id.
    pub command: CommandId,
    /// The name the client gave itself, as in `ropewalk-cli`.
    pub client: String,
}

/// One thing that happened, with its place in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its place in the machine's sequence.
    pub seq: Seq,
    /// Whose history it belongs to.
    pub stream: Stream,
    /// When the actor decided it.
    pub at: Timestamp,
    /// The command that caused it; `None` for what the machine did by itself.
    pub cause: Option<Cause>,
    /// What happened.
    pub body: EventBody,
}

/// The JSON shape of an event: `{seq, stream, version, at, cause, type, data}`.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Event")]
struct EventJson<'a> {
    seq: Seq,
    stream: Stream,
    version: u16,
    at: Timestamp,
    cause: &'a Option<Cause>,
    #[serde(flatten)]
    body: &'a EventBody,
}

#[derive(Deserialize)]
struct EventJsonIn {
    seq: Seq,
    stream: Stream,
    version: u16,
    at: Timestamp,
    #[serde(default)]
    cause: Option<Cause>,
    r#type: String,
    #[serde(default)]
    data: serde_json::Value,
}

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let version = self.body.version();
        EventJson { seq: self.seq, stream: self.stream, version, at: self.at, cause: &self.cause, body: &self.body }
            .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let EventJsonIn { seq, stream, version, at, cause, r#type, data } = EventJsonIn::deserialize(deserializer)?;
        let body = EventBody::from_json(r#type, version, data).map_err(D::Error::custom)?;
        Ok(Event { seq, stream, at, cause, body })
    }
}

impl JsonSchema for Event {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Event".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        EventJson::json_schema(generator)
    }
}

macro_rules! events {
    ($($number:literal $name:literal version $version:literal => $(#[$doc:meta])* $variant:ident;)*) => {
        /// What happened. In JSON: `"type": "session.created", "data": {…}`.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        #[serde(tag = "type", content = "data")]
        pub enum EventBody {
            $($(#[$doc])* #[serde(rename = $name)] $variant($variant),)*
            /// An event of a build newer than this reader, kept as it came.
            #[serde(untagged)]
            Unknown(UnknownEvent),
        }

        impl EventBody {
            /// The numbers, names and newest versions of every kind of event this build writes.
            pub const KINDS: &[(u16, &str, u16)] = &[$(($number, $name, $version),)*];

            /// The kind's number in stored records.
            pub fn kind(&self) -> u16 {
                match self { $(EventBody::$variant(_) => $number,)* EventBody::Unknown(unknown) => unknown.kind }
            }

            /// The kind's name.
            pub fn name(&self) -> &str {
                match self { $(EventBody::$variant(_) => $name,)* EventBody::Unknown(unknown) => &unknown.name }
            }

            /// The version of the payload.
            pub fn version(&self) -> u16 {
                match self { $(EventBody::$variant(_) => $version,)* EventBody::Unknown(unknown) => unknown.version }
            }

            /// The stored form of the payload.
            pub(crate) fn encode_payload(&self) -> Vec<u8> {
                match self {
                    $(EventBody::$variant(body) => codec::encode(body),)*
                    EventBody::Unknown(unknown) => unknown.payload.clone(),
                }
            }

            /// Reads a payload of the newest version of its kind; any other is kept as unknown.
            ///
            /// # Errors
            /// The payload does not decode.
            pub(crate) fn decode_newest(kind: u16, version: u16, payload: &[u8]) -> Result<Self, CodecError> {
                match (kind, version) {
                    $(($number, $version) => codec::decode(payload).map(EventBody::$variant),)*
                    _ => Ok(EventBody::Unknown(UnknownEvent {
                        kind,
                        version,
                        name: format!("unknown.{kind}"),
                        data: serde_json::Value::Null,
                        payload: payload.to_vec(),
                    })),
                }
            }

            fn from_json(name: String, version: u16, data: serde_json::Value) -> Result<Self, serde_json::Error> {
                match (name.as_str(), version) {
                    $(($name, $version) => serde_json::from_value(data).map(EventBody::$variant),)*
                    _ => Ok(EventBody::Unknown(UnknownEvent { kind: 0, version, name, data, payload: Vec::new() })),
                }
            }
        }

        $(impl From<$variant> for EventBody {
            fn from(body: $variant) -> Self {
                EventBody::$variant(body)
            }
        })*
    };
}

events! {
    1 "session.created" version 1 => /** A session exists. */ SessionCreated;
    2 "session.agent_added" version 1 => /** An agent joined a session, and its first run was asked for. */ AgentAdded;
    3 "session.renamed" version 1 => /** A session has another name. */ SessionRenamed;
    4 "session.annotated" version 1 => /** Somebody wrote a remark into the history. */ SessionAnnotated;
    5 "session.end_requested" version 1 => /** Somebody asked for the session to end. */ SessionEndRequested;
    6 "session.ended" version 1 => /** Nothing runs in the session any more. */ SessionEnded;
    7 "session.deleted" version 1 => /** The session is out of every list. */ SessionDeleted;
    20 "agent.run_started" version 1 => /** The agent's process runs. */ RunStarted;
    21 "agent.run_failed" version 1 => /** The agent's process could not be started. */ RunFailed;
    22 "agent.run_ended" version 1 => /** The agent's process is gone. */ RunEnded;
    40 "terminal.resized" version 1 => /** A terminal has another size. */ TerminalResized;
    41 "terminal.closed" version 1 => /** A terminal's byte stream is complete. */ TerminalClosed;
    60 "machine.daemon_started" version 1 => /** A daemon took the log over. */ DaemonStarted;
    61 "machine.daemon_stopped" version 1 => /** The daemon stopped cleanly. */ DaemonStopped;
    62 "machine.storage_degraded" version 1 => /** Appends failed for a while. */ StorageDegraded;
    63 "machine.storage_restored" version 1 => /** Appends succeed again. */ StorageRestored;
}

/// An event of a kind or version that this build does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownEvent {
    /// The kind's number, or 0 when it came as JSON.
    pub kind: u16,
    /// The payload's version.
    pub version: u16,
    /// The kind's name.
    pub name: String,
    /// The payload as JSON, or null when it came as bytes.
    pub data: serde_json::Value,
    /// The payload as bytes, or empty when it came as JSON.
    pub payload: Vec<u8>,
}

impl Serialize for UnknownEvent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let mut event = serializer.serialize_struct("UnknownEvent", 2)?;
        event.serialize_field("type", &self.name)?;
        event.serialize_field("data", &self.data)?;
        event.end()
    }
}

impl<'de> Deserialize<'de> for UnknownEvent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Shape {
            r#type: String,
            #[serde(default)]
            data: serde_json::Value,
        }
        let Shape { r#type, data } = Shape::deserialize(deserializer)?;
        Ok(UnknownEvent { kind: 0, version: 0, name: r#type, data, payload: Vec::new() })
    }
}

impl JsonSchema for UnknownEvent {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "UnknownEvent".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "required": ["type"],
            "properties": {"type": {"type": "string"}, "data": true},
            "description": "An event of a newer build: readers keep or skip it."
        })
    }
}

/// Payload of `session.created`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionCreated {
    /// The name people use for it.
    pub name: Option<String>,
    /// The absolute directory it works in.
    pub workspace: Option<String>,
}

/// Payload of `session.agent_added`. The environment is not in it: it may hold secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AgentAdded {
    /// The agent.
    pub agent: AgentId,
    /// Its provider: `terminal`.
    pub provider: String,
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// The absolute directory it runs in.
    pub directory: String,
    /// Its first run.
    pub run: RunId,
    /// Its terminal.
    pub terminal: TerminalId,
    /// The terminal's size at byte 0.
    pub size: Size,
}

/// Payload of `session.renamed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionRenamed {
    /// The new name.
    pub name: String,
}

/// Payload of `session.annotated`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionAnnotated {
    /// The remark.
    pub text: String,
}

/// Payload of `session.end_requested`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionEndRequested {}

/// Payload of `session.ended`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionEnded {
    /// Why, in a sentence.
    pub reason: String,
}

/// Payload of `session.deleted`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionDeleted {}

/// Payload of `agent.run_started`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunStarted {
    /// The run.
    pub run: RunId,
    /// The process id; with the start time it names one process for ever.
    pub pid: u32,
    /// When the process started, in clock ticks after boot, as in `/proc/<pid>/stat` field 22.
    pub start_ticks: u64,
}

/// Payload of `agent.run_failed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunFailed {
    /// The run.
    pub run: RunId,
    /// What the operating system said.
    pub reason: String,
}

impl RunFailed {
    /// How the reason begins when the machine was short of something: the same may work later.
    pub const SHORTAGE: &str = "out of resources: ";
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunOutcome {
    /// The process exited with this code.
    Exited {
        /// The exit code.
        code: i32,
    },
    /// A signal killed the process.
    Signaled {
        /// The signal's number.
        signal: i32,
    },
    /// Nobody saw it end: the holder, the daemon or the machine died first.
    Interrupted {
        /// What is known.
        reason: String,
    },
}

impl fmt::Display for RunOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RunOutcome::Exited { code } => write!(f, "exited with code {code}"),
            RunOutcome::Signaled { signal } => write!(f, "killed by signal {signal}"),
            RunOutcome::Interrupted { reason } => write!(f, "interrupted: {reason}"),
        }
    }
}

/// Payload of `agent.run_ended`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunEnded {
    /// The run.
    pub run: RunId,
    /// How.
    pub outcome: RunOutcome,
    /// Where in the terminal's byte stream it was seen.
    pub offset: u64,
}

/// Payload of `terminal.resized`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TerminalResized {
    /// The new size.
    pub size: Size,
    /// Bytes from this offset on were written to a terminal of this size.
    pub offset: u64,
}

/// Payload of `terminal.closed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TerminalClosed {
    /// How many bytes the stream has in all.
    pub offset: u64,
}

/// Payload of `machine.daemon_started`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DaemonStarted {
    /// The build, as `ropewalk --version` prints it.
    pub build: String,
    /// The daemon's process id.
    pub pid: u32,
    /// The process that holds the terminals; another one than before means that what it held is gone.
    pub holder_pid: u32,
}

/// Payload of `machine.daemon_stopped`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DaemonStopped {
    /// Why, in a sentence.
    pub reason: String,
}

/// Payload of `machine.storage_degraded`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StorageDegraded {
    /// What the disk said.
    pub reason: String,
    /// When appends began to fail.
    pub since: Timestamp,
}

/// Payload of `machine.storage_restored`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StorageRestored {
    /// How many batches were refused meanwhile.
    pub refused: u64,
}
