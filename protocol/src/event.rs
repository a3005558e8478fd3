//! What happened: one type that is stored, streamed and folded.
//!
//! A kind's number, name and payload are frozen from the day they land: a payload that must change gets a new version,
//! and the old struct stays with an upcast in [`EventBody::decode_payload`].

mod agents;
mod payloads;
mod text;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::codec::{self, CodecError};
use crate::{CommandId, Seq, Stream, Timestamp};

pub use agents::{
    AgentBudgetSet, AgentCloseAsked, AgentClosed, AgentGreeted, AgentJoined, AgentReady, AgentRefused, Answered,
    AskClosed, Asked, BudgetWarned, CancelAsked, CancelInsisted, Held, ItemChanged, ItemDelta, ItemEnded, ItemStarted,
    ItemText, Looped, Noticed, OutputConsumed, PromptEdited, PromptMoved, PromptQueued, PromptSteered, PromptTaken,
    PromptWithdrawn, Released, RuleApplied, RunAsked, SettingsChanged, TurnConfirmed, TurnEnded, TurnSettled,
    TurnStarted, Used,
};
pub use payloads::{
    AgentAdded, DaemonStarted, DaemonStopped, DayBudgetSet, RunEnded, RunFailed, RunOutcome, RunStarted,
    SessionAnnotated, SessionBudgetSet, SessionCreated, SessionDeleted, SessionEndRequested, SessionEnded,
    SessionRenamed, SessionRulesSet, StorageDegraded, StorageRestored, TerminalClosed, TerminalLost, TerminalResized,
    WorkspaceRulesSet,
};
pub use text::EventWriter;

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

impl Event {
    /// The client whose command caused it, if one did.
    pub fn client(&self) -> Option<&str> {
        self.cause.as_ref().map(|cause| cause.client.as_str())
    }
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

impl EventBody {
    /// Whether events of the kind with this number are pieces of what an agent says and writes, or tell how far it was taken
    /// in: most of what a log holds, and no facts by themselves.
    pub const fn is_piece(kind: u16) -> bool {
        matches!(kind, OUTPUT_CONSUMED | ITEM_DELTA | ITEM_TEXT)
    }
}

/// The number of [`SessionAnnotated`].
const SESSION_ANNOTATED: u16 = 4;
/// The number of [`OutputConsumed`].
const OUTPUT_CONSUMED: u16 = 27;
/// The number of [`ItemDelta`].
const ITEM_DELTA: u16 = 91;
/// The number of [`ItemText`].
const ITEM_TEXT: u16 = 92;

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

            /// Writes the payload as JSON.
            fn write_data(&self, json: &mut Vec<u8>) {
                match self {
                    $(EventBody::$variant(body) => text::value(body, json),)*
                    EventBody::Unknown(unknown) => text::value(&unknown.data, json),
                }
            }

            /// Reads a payload of any version of its kind that ever landed; any other is kept as unknown.
            ///
            /// # Errors
            /// The payload does not decode.
            pub(crate) fn decode_payload(kind: u16, version: u16, payload: &[u8]) -> Result<Self, CodecError> {
                match (kind, version) {
                    (8, 1) => codec::decode(payload).map(|joined: agents::AgentJoinedV1| EventBody::AgentJoined(joined.into())),
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
                    ("session.agent_joined", 1) => {
                        serde_json::from_value(data).map(|joined: agents::AgentJoinedV1| EventBody::AgentJoined(joined.into()))
                    }
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
    8 "session.agent_joined" version 2 => /** A structured agent joined a session, and its first run was asked for. */ AgentJoined;
    9 "session.budget_set" version 1 => /** What a session may cost is bounded. */ SessionBudgetSet;
    10 "session.rules_set" version 1 => /** Questions of a session are answered by rules. */ SessionRulesSet;
    20 "agent.run_started" version 1 => /** The agent's process runs. */ RunStarted;
    21 "agent.run_failed" version 1 => /** The agent's process could not be started. */ RunFailed;
    22 "agent.run_ended" version 1 => /** The agent's process is gone. */ RunEnded;
    23 "agent.run_asked" version 1 => /** Another run of a structured agent was asked for. */ RunAsked;
    24 "agent.ready" version 1 => /** A structured agent can take prompts, or told anew what it is. */ AgentReady;
    25 "agent.close_asked" version 1 => /** An agent is to end. */ AgentCloseAsked;
    26 "agent.closed" version 1 => /** An agent has ended for good. */ AgentClosed;
    27 "agent.output_consumed" version 1 => /** How far an agent's output is taken in. */ OutputConsumed;
    28 "agent.settings_changed" version 1 => /** An agent is to use another model or mode. */ SettingsChanged;
    29 "agent.greeted" version 1 => /** A step of the greeting is to be written. */ AgentGreeted;
    30 "agent.refused" version 1 => /** The agent will not work in this run. */ AgentRefused;
    31 "agent.budget_set" version 1 => /** What an agent may cost is bounded. */ AgentBudgetSet;
    32 "agent.held" version 1 => /** An agent is given no prompts. */ Held;
    33 "agent.released" version 1 => /** An agent is given prompts again. */ Released;
    80 "agent.prompt_queued" version 1 => /** A prompt waits for its turn. */ PromptQueued;
    81 "agent.prompt_edited" version 1 => /** A waiting prompt says something else. */ PromptEdited;
    82 "agent.prompt_moved" version 1 => /** A waiting prompt has another place. */ PromptMoved;
    83 "agent.prompt_withdrawn" version 1 => /** A waiting prompt is taken back. */ PromptWithdrawn;
    84 "agent.prompt_steered" version 1 => /** A prompt goes into the running turn. */ PromptSteered;
    85 "agent.turn_started" version 1 => /** A prompt is given to the agent. */ TurnStarted;
    86 "agent.turn_confirmed" version 1 => /** The agent has the prompt. */ TurnConfirmed;
    87 "agent.cancel_asked" version 1 => /** The turn is to end. */ CancelAsked;
    88 "agent.turn_ended" version 1 => /** The turn is settled. */ TurnEnded;
    89 "agent.item_started" version 1 => /** A part of a turn began. */ ItemStarted;
    90 "agent.item_changed" version 1 => /** The agent told more of a part. */ ItemChanged;
    91 "agent.item_delta" version 1 => /** A preview of a part's text. */ ItemDelta;
    92 "agent.item_text" version 1 => /** A piece of a part's whole text. */ ItemText;
    93 "agent.item_ended" version 1 => /** A part of a turn is settled. */ ItemEnded;
    94 "agent.asked" version 1 => /** The agent asks people. */ Asked;
    95 "agent.answered" version 1 => /** Somebody answered. */ Answered;
    96 "agent.ask_closed" version 1 => /** A question is of no use any more. */ AskClosed;
    97 "agent.used" version 1 => /** What something cost. */ Used;
    98 "agent.noticed" version 1 => /** The agent said something beside its work. */ Noticed;
    99 "agent.budget_warned" version 1 => /** A budget runs out. */ BudgetWarned;
    100 "agent.looped" version 1 => /** An agent goes round in circles. */ Looped;
    101 "agent.rule_applied" version 1 => /** A rule says what becomes of a question. */ RuleApplied;
    102 "agent.turn_settled" version 1 => /** How a turn really ended that was taken for interrupted. */ TurnSettled;
    103 "agent.prompt_taken" version 1 => /** The agent has a prompt that was to go into its turn. */ PromptTaken;
    104 "agent.cancel_insisted" version 1 => /** The turn is to end at once, with the agent's process. */ CancelInsisted;
    40 "terminal.resized" version 1 => /** A terminal has another size. */ TerminalResized;
    41 "terminal.closed" version 1 => /** A terminal's byte stream is complete. */ TerminalClosed;
    42 "terminal.lost" version 1 => /** Bytes that a program wrote were lost before they were stored. */ TerminalLost;
    60 "machine.daemon_started" version 1 => /** A daemon took the log over. */ DaemonStarted;
    61 "machine.daemon_stopped" version 1 => /** The daemon stopped cleanly. */ DaemonStopped;
    62 "machine.storage_degraded" version 1 => /** Appends failed for a while. */ StorageDegraded;
    63 "machine.storage_restored" version 1 => /** Appends succeed again. */ StorageRestored;
    64 "machine.budget_set" version 1 => /** What a day may cost is bounded. */ DayBudgetSet;
    65 "machine.rules_set" version 1 => /** Questions of agents in a directory are answered by rules. */ WorkspaceRulesSet;
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
