//! An event's JSON, written straight into a buffer. Everything that follows the log as text reads it, a million events at a
//! time: all of an event but its payload are numbers, ids and names that need no escapes, and most of a log's payloads are
//! one piece of text.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Event, EventBody, ITEM_DELTA, ITEM_TEXT, SESSION_ANNOTATED};
use crate::codec::{self, CodecError};
use crate::record::{CauseRecord, EventRecord};
use crate::{ItemId, Seq, Stream, Timestamp};

/// Text is looked at so many bytes at a time, for which the compiler needs no branch.
const BLOCK_BYTES: usize = 32;
/// What follows the seconds in a time's text: `.123456Z`.
const FRACTION_BYTES: usize = 8;

/// Writes events as JSON, byte for byte what serde makes of them, at a third of its cost.
#[derive(Debug, Default)]
pub struct EventWriter {
    /// A second, and its text: neighbours in a log mostly happened in the same one.
    second: Option<(u64, String)>,
}

impl EventWriter {
    /// Writes an event behind what is there.
    pub fn event(&mut self, event: &Event, json: &mut Vec<u8>) {
        let Event { seq, stream, at, cause, body } = event;
        let cause = cause.as_ref().map(|cause| CauseRecord { command: cause.command, client: &cause.client });
        self.head(*seq, *stream, body.version(), *at, cause, json);
        match body {
            EventBody::Unknown(unknown) => value(&unknown.name, json),
            known => name(known.name(), json),
        }
        json.extend_from_slice(br#","data":"#);
        body.write_data(json);
        json.push(b'}');
    }

    /// Writes a stored event behind what is there; nothing if it does not decode.
    ///
    /// # Errors
    /// The bytes are not a record, or its payload does not decode.
    pub fn record(&mut self, seq: Seq, record: &[u8], json: &mut Vec<u8>) -> Result<(), CodecError> {
        let record: EventRecord<'_> = codec::decode_borrowed(record)?;
        let EventRecord { kind, version, stream, at, cause, payload } = &record;
        let Some(piece) = Piece::of(*kind, *version, payload)? else {
            self.event(&record.decode(seq)?, json);
            return Ok(());
        };
        self.head(seq, *stream, *version, *at, *cause, json);
        piece.write(json);
        json.push(b'}');
        Ok(())
    }

    /// Writes all that comes before the name of the kind.
    fn head(
        &mut self,
        seq: Seq,
        stream: Stream,
        version: u16,
        at: Timestamp,
        cause: Option<CauseRecord<'_>>,
        json: &mut Vec<u8>,
    ) {
        json.extend_from_slice(br#"{"seq":"#);
        value(&seq, json);
        json.extend_from_slice(br#","stream":""#);
        write_stream(stream, json);
        json.extend_from_slice(br#"","version":"#);
        value(&version, json);
        json.extend_from_slice(br#","at":""#);
        self.time(at, json);
        json.extend_from_slice(br#"","cause":"#);
        match cause {
            Some(cause) => {
                json.extend_from_slice(br#"{"command":""#);
                id(cause.command.uuid(), json);
                json.extend_from_slice(br#"","client":"#);
                text(cause.client, json);
                json.push(b'}');
            }
            None => json.extend_from_slice(b"null"),
        }
        json.extend_from_slice(br#","type":"#);
    }

    fn time(&mut self, at: Timestamp, json: &mut Vec<u8>) {
        let micros = at.shown_micros();
        let (second, mut fraction) = (micros / 1_000_000, micros % 1_000_000);
        let (_, text) = self.second.take().filter(|(kept, _)| *kept == second).unwrap_or_else(|| {
            let mut text = at.to_string();
            text.truncate(text.len() - FRACTION_BYTES);
            (second, text)
        });
        json.extend_from_slice(text.as_bytes());
        self.second = Some((second, text));
        let mut digits = *b".000000Z";
        for digit in digits[1..FRACTION_BYTES - 1].iter_mut().rev() {
            *digit += (fraction % 10) as u8;
            fraction /= 10;
        }
        json.extend_from_slice(&digits);
    }
}

/// The payloads of most events of a log, where they lie in their records. A kind's payload is frozen from the day it landed.
enum Piece<'a> {
    Remark(RemarkPayload<'a>),
    Delta(DeltaPayload<'a>),
    Text(TextPayload<'a>),
}

#[derive(Deserialize)]
struct RemarkPayload<'a> {
    text: &'a str,
}

#[derive(Deserialize)]
struct DeltaPayload<'a> {
    item: ItemId,
    text: &'a str,
}

#[derive(Deserialize)]
struct TextPayload<'a> {
    item: ItemId,
    first: bool,
    text: &'a str,
}

impl<'a> Piece<'a> {
    fn of(kind: u16, version: u16, payload: &'a [u8]) -> Result<Option<Self>, CodecError> {
        Ok(Some(match (kind, version) {
            (SESSION_ANNOTATED, 1) => Self::Remark(codec::decode_borrowed(payload)?),
            (ITEM_DELTA, 1) => Self::Delta(codec::decode_borrowed(payload)?),
            (ITEM_TEXT, 1) => Self::Text(codec::decode_borrowed(payload)?),
            _ => return Ok(None),
        }))
    }

    /// Writes the name of the kind and the payload.
    fn write(&self, json: &mut Vec<u8>) {
        let piece = match self {
            Self::Remark(remark) => {
                json.extend_from_slice(br#""session.annotated","data":{"text":"#);
                remark.text
            }
            Self::Delta(delta) => {
                json.extend_from_slice(br#""agent.item_delta","data":{"item":""#);
                id(delta.item.uuid(), json);
                json.extend_from_slice(br#"","text":"#);
                delta.text
            }
            Self::Text(piece) => {
                json.extend_from_slice(br#""agent.item_text","data":{"item":""#);
                id(piece.item.uuid(), json);
                json.extend_from_slice(br#"","first":"#);
                value(&piece.first, json);
                json.extend_from_slice(br#","text":"#);
                piece.text
            }
        };
        text(piece, json);
        json.push(b'}');
    }
}

/// Writes any value as JSON.
pub(super) fn value(value: &impl Serialize, json: &mut Vec<u8>) {
    serde_json::to_writer(json, value).expect("what an event holds always encodes");
}

/// Writes a name of ours: it has nothing to escape.
fn name(name: &str, json: &mut Vec<u8>) {
    json.push(b'"');
    json.extend_from_slice(name.as_bytes());
    json.push(b'"');
}

fn write_stream(stream: Stream, json: &mut Vec<u8>) {
    let Some(session) = stream.session() else { return json.extend_from_slice(b"machine") };
    json.extend_from_slice(b"session:");
    id(session.uuid(), json);
    match stream {
        Stream::Agent(_, agent) => {
            json.extend_from_slice(b"/agent:");
            id(agent.uuid(), json);
        }
        Stream::Terminal(_, terminal) => {
            json.extend_from_slice(b"/terminal:");
            id(terminal.uuid(), json);
        }
        Stream::Machine | Stream::Session(_) => {}
    }
}

fn id(id: Uuid, json: &mut Vec<u8>) {
    let mut text = Uuid::encode_buffer();
    json.extend_from_slice(id.hyphenated().encode_lower(&mut text).as_bytes());
}

/// Writes text as JSON, with the escapes that serde writes.
fn text(text: &str, json: &mut Vec<u8>) {
    json.reserve(text.len() + 2);
    json.push(b'"');
    let mut rest = text.as_bytes();
    loop {
        let plain = plain_bytes(rest);
        json.extend_from_slice(&rest[..plain]);
        let Some(escaped) = rest.get(plain) else { break };
        match escaped {
            b'"' => json.extend_from_slice(br#"\""#),
            b'\\' => json.extend_from_slice(br"\\"),
            b'\n' => json.extend_from_slice(br"\n"),
            b'\t' => json.extend_from_slice(br"\t"),
            b'\r' => json.extend_from_slice(br"\r"),
            0x08 => json.extend_from_slice(br"\b"),
            0x0c => json.extend_from_slice(br"\f"),
            control => {
                json.extend_from_slice(br"\u00");
                json.extend([control >> 4, control & 15].map(|digit| b"0123456789abcdef"[usize::from(digit)]));
            }
        }
        rest = &rest[plain + 1..];
    }
    json.push(b'"');
}

/// How many bytes come before the first one that has to be escaped.
fn plain_bytes(text: &[u8]) -> usize {
    let is_special = |byte: &u8| *byte < b' ' || *byte == b'"' || *byte == b'\\';
    let (blocks, _) = text.as_chunks::<BLOCK_BYTES>();
    let has_none = |block: &&[u8; BLOCK_BYTES]| !block.iter().fold(false, |found, byte| found | is_special(byte));
    let plain = blocks.iter().take_while(has_none).count() * BLOCK_BYTES;
    plain + text[plain..].iter().position(is_special).unwrap_or(text.len() - plain)
}
