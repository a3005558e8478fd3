//! Stored records: `{kind, version, payload}`, readable for ever.
//!
//! Golden bytes of every kind and version that ever landed are checked in under `tests/golden/` and must decode for ever.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::codec::{self, CodecError};
use crate::{
    AgentId, Cause, Code, Command, CommandId, CommandResult, Event, EventBody, PromptId, Rejection, Seq, SessionId,
    Stream, TerminalId, Timestamp,
};

/// An event as it is stored: its place in the sequence is told by where it lies.
#[derive(Serialize, Deserialize)]
pub(crate) struct EventRecord<'a> {
    pub(crate) kind: u16,
    pub(crate) version: u16,
    pub(crate) stream: Stream,
    pub(crate) at: Timestamp,
    #[serde(borrow)]
    pub(crate) cause: Option<CauseRecord<'a>>,
    #[serde(borrow, with = "crate::byte_vec::borrowed")]
    pub(crate) payload: Cow<'a, [u8]>,
}

/// [`Cause`] where it lies in a record.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(crate) struct CauseRecord<'a> {
    pub(crate) command: CommandId,
    pub(crate) client: &'a str,
}

impl EventRecord<'_> {
    /// The event at its place.
    pub(crate) fn decode(&self, seq: Seq) -> Result<Event, CodecError> {
        let body = EventBody::decode_payload(self.kind, self.version, &self.payload)?;
        let cause = self.cause.map(|cause| Cause { command: cause.command, client: cause.client.to_owned() });
        Ok(Event { seq, stream: self.stream, at: self.at, cause, body })
    }
}

/// An event that has no place in the log yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// Whose history it belongs to.
    pub stream: Stream,
    /// When the actor decided it.
    pub at: Timestamp,
    /// The command that caused it.
    pub cause: Option<Cause>,
    /// What happened.
    pub body: EventBody,
}

impl NewEvent {
    /// The stored form.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(&EventRecord {
            kind: self.body.kind(),
            version: self.body.version(),
            stream: self.stream,
            at: self.at,
            cause: self.cause.as_ref().map(|cause| CauseRecord { command: cause.command, client: &cause.client }),
            payload: self.body.encode_payload().into(),
        })
    }

    /// The event at its place.
    pub fn at_seq(self, seq: Seq) -> Event {
        Event { seq, stream: self.stream, at: self.at, cause: self.cause, body: self.body }
    }
}

/// Reads a stored event of any version that ever landed.
///
/// # Errors
/// The bytes are not a record, or its payload does not decode.
pub fn decode_event(seq: Seq, bytes: &[u8]) -> Result<Event, CodecError> {
    codec::decode_borrowed::<EventRecord<'_>>(bytes)?.decode(seq)
}

/// The number of a stored event's kind. Its payload is not looked at.
///
/// # Errors
/// The bytes are not the beginning of a record.
pub fn event_kind(bytes: &[u8]) -> Result<u16, CodecError> {
    codec::decode_first(bytes)
}

/// What was answered to a command, stored in the same batch as the events it made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Which command it was: a repeat with another digest is a conflict.
    pub digest: [u8; 16],
    /// The head of the log once the command was done.
    pub seq: Seq,
    /// The answer.
    pub outcome: Result<CommandResult, Rejection>,
}

/// Version 1 of a stored receipt.
#[derive(Serialize, Deserialize)]
struct ReceiptV1 {
    digest: [u8; 16],
    seq: Seq,
    outcome: OutcomeV1,
}

#[derive(Serialize, Deserialize)]
enum OutcomeV1 {
    Done,
    SessionCreated(SessionId, Option<AgentId>, Option<TerminalId>),
    Rejected { code: i32, message: String, hint: String, seq: Option<Seq>, matches: Vec<String> },
    AgentSpawned(AgentId, Option<PromptId>),
    PromptQueued(PromptId),
}

const RECEIPT_VERSION: u8 = 1;

impl Receipt {
    /// The stored form: a version byte, then the receipt.
    pub fn encode(&self) -> Vec<u8> {
        let outcome = match &self.outcome {
            Ok(CommandResult::Done {}) => OutcomeV1::Done,
            Ok(CommandResult::SessionCreated { session, agent, terminal }) => {
                OutcomeV1::SessionCreated(*session, *agent, *terminal)
            }
            Ok(CommandResult::AgentSpawned { agent, prompt }) => OutcomeV1::AgentSpawned(*agent, *prompt),
            Ok(CommandResult::PromptQueued { prompt }) => OutcomeV1::PromptQueued(*prompt),
            Err(Rejection { code, message, hint, seq, matches }) => OutcomeV1::Rejected {
                code: code.number(),
                message: message.clone(),
                hint: hint.clone(),
                seq: *seq,
                matches: matches.clone(),
            },
        };
        let mut bytes = vec![RECEIPT_VERSION];
        codec::encode_into(&ReceiptV1 { digest: self.digest, seq: self.seq, outcome }, &mut bytes);
        bytes
    }

    /// Reads a stored receipt.
    ///
    /// # Errors
    /// The bytes are of an unknown version, or do not decode.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        let [RECEIPT_VERSION, rest @ ..] = bytes else {
            return Err(CodecError::Malformed(format!("receipt version {:?} is not known", bytes.first())));
        };
        let ReceiptV1 { digest, seq, outcome } = codec::decode(rest)?;
        let outcome = match outcome {
            OutcomeV1::Done => Ok(CommandResult::Done {}),
            OutcomeV1::SessionCreated(session, agent, terminal) => {
                Ok(CommandResult::SessionCreated { session, agent, terminal })
            }
            OutcomeV1::AgentSpawned(agent, prompt) => Ok(CommandResult::AgentSpawned { agent, prompt }),
            OutcomeV1::PromptQueued(prompt) => Ok(CommandResult::PromptQueued { prompt }),
            OutcomeV1::Rejected { code, message, hint, seq, matches } => {
                let code = Code::ALL.iter().copied().find(|known| known.number() == code).unwrap_or(Code::Internal);
                Err(Rejection { code, message, hint, seq, matches })
            }
        };
        Ok(Receipt { digest, seq, outcome })
    }
}

/// What tells two commands apart: a hash over the command's canonical JSON, so that spacing, field order and wire do not count.
pub fn command_digest(command: &Command) -> [u8; 16] {
    let json = serde_json::to_vec(command).expect("a command always encodes");
    let hash = blake3::hash(&json);
    let mut digest = [0; 16];
    digest.copy_from_slice(&hash.as_bytes()[..16]);
    digest
}
