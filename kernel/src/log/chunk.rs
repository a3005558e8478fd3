//! A chunk: the events of one commit in one value.
//!
//! `u8 format | u32 LE crc | 32 B hash of the chunk before | u8 codec | u16 LE count | u32 LE length | records`, where a
//! record is `u32 LE length | bytes`. The crc covers everything after itself. The chunk's own hash is over the whole value.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use bytes::Bytes;
use ropewalk_protocol::codec::CodecError;
use ropewalk_protocol::record::{NewEvent, decode_event};
use ropewalk_protocol::{Event, EventWriter, Seq, SessionId, limits};

use super::compression::smaller;

const FORMAT: u8 = 1;
const HEADER_BYTES: usize = 1 + 4 + 32 + 1 + 2 + 4;
const RECORD_LENGTH_BYTES: usize = 4;

/// The hash before the first chunk.
pub(super) const GENESIS: [u8; 32] = [0; 32];

/// Bytes that are no chunk.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// Too short to be one.
    #[error("a chunk of {0} bytes is too short")]
    Short(usize),
    /// Written by a build that this one does not know.
    #[error("chunk format {0} is not known")]
    UnknownFormat(u8),
    /// The checksum is wrong.
    #[error("the checksum is wrong")]
    Checksum,
    /// The checksum is right and the contents are not.
    #[error("the contents are malformed: {0}")]
    Malformed(&'static str),
}

/// Consecutive events, read-only, with what their readers share.
#[derive(Debug)]
pub struct Chunk {
    first: Seq,
    /// The hash of the stored value.
    pub(super) hash: [u8; 32],
    /// The hash of the chunk before.
    pub(super) previous: [u8; 32],
    body: Bytes,
    /// Where each record begins and ends in `body`.
    bounds: Vec<(u32, u32)>,
    /// Each event's session, where the writer told; from disk the stream index tells.
    sessions: Option<Vec<Option<SessionId>>>,
    json: OnceLock<(Bytes, Vec<u32>)>,
}

impl Chunk {
    /// Makes a chunk of new events and their records, behind the chunk with the hash `previous`; also returns the value to
    /// store.
    pub(super) fn build(first: Seq, previous: [u8; 32], events: &[NewEvent], records: &[Vec<u8>]) -> (Chunk, Vec<u8>) {
        let bytes = records.iter().map(|record| RECORD_LENGTH_BYTES + record.len()).sum();
        let mut body = Vec::with_capacity(bytes);
        let mut bounds = Vec::with_capacity(events.len());
        for record in records {
            let length = u32::try_from(record.len()).expect("an event is bounded");
            body.extend_from_slice(&length.to_le_bytes());
            let begin = u32::try_from(body.len()).expect("a chunk is bounded");
            body.extend_from_slice(record);
            bounds.push((begin, begin + length));
        }
        let value = encode(&body, previous, events.len());
        let hash = *blake3::hash(&value).as_bytes();
        let sessions = Some(events.iter().map(|event| event.stream.session()).collect());
        let chunk = Chunk { first, hash, previous, body: body.into(), bounds, sessions, json: OnceLock::new() };
        (chunk, value)
    }

    /// The same chunk again, whose JSON is not made yet.
    pub(super) fn copy(&self) -> Chunk {
        let (body, bounds, sessions) = (self.body.clone(), self.bounds.clone(), self.sessions.clone());
        Chunk {
            first: self.first,
            hash: self.hash,
            previous: self.previous,
            body,
            bounds,
            sessions,
            json: OnceLock::new(),
        }
    }

    /// Reads a stored chunk, with its hash.
    ///
    /// # Errors
    /// It is not one, or damaged.
    pub fn read(first: Seq, value: &[u8]) -> Result<Chunk, ChunkError> {
        let chunk = Self::read_unhashed(first, value)?;
        Ok(Chunk { hash: *blake3::hash(value).as_bytes(), ..chunk })
    }

    /// Reads a stored chunk for those who do not look at the chain: its hash is left out.
    ///
    /// # Errors
    /// It is not one, or damaged.
    pub(super) fn read_unhashed(first: Seq, value: &[u8]) -> Result<Chunk, ChunkError> {
        if value.len() < HEADER_BYTES {
            return Err(ChunkError::Short(value.len()));
        }
        if value[0] != FORMAT {
            return Err(ChunkError::UnknownFormat(value[0]));
        }
        if crc32fast::hash(&value[5..]).to_le_bytes() != value[1..5] {
            return Err(ChunkError::Checksum);
        }
        let mut previous = [0; 32];
        previous.copy_from_slice(&value[5..37]);
        let codec = value[37];
        let count = usize::from(u16::from_le_bytes([value[38], value[39]]));
        let length = u32::from_le_bytes([value[40], value[41], value[42], value[43]]) as usize;
        if length > limits::STORED_VALUE_BYTES_MAX * 2 {
            return Err(ChunkError::Malformed("longer than any chunk"));
        }
        let data = &value[HEADER_BYTES..];
        let body = match codec {
            0 => data.to_vec(),
            1 => lz4_flex::block::decompress(data, length).map_err(|_| ChunkError::Malformed("does not decompress"))?,
            _ => return Err(ChunkError::Malformed("unknown codec")),
        };
        let bounds = bounds(&body).filter(|bounds| bounds.len() == count && count > 0);
        let bounds = bounds.ok_or(ChunkError::Malformed("records do not add up"))?;
        first.0.checked_add(count as u64).ok_or(ChunkError::Malformed("its places are behind all there can be"))?;
        Ok(Chunk { first, hash: GENESIS, previous, body: body.into(), bounds, sessions: None, json: OnceLock::new() })
    }

    /// The first event's place.
    pub fn first(&self) -> Seq {
        self.first
    }

    /// The last event's place.
    pub fn last(&self) -> Seq {
        Seq(self.first.0 + self.bounds.len() as u64 - 1)
    }

    /// How many events it has; never 0.
    #[expect(clippy::len_without_is_empty, reason = "a chunk is never empty")]
    pub fn len(&self) -> usize {
        self.bounds.len()
    }

    /// The bytes of the records, without compression.
    pub fn bytes(&self) -> usize {
        self.body.len()
    }

    /// The place in the sequence of the event at this place in the chunk.
    pub fn seq(&self, place: usize) -> Seq {
        Seq(self.first.0 + place as u64)
    }

    /// The stored record at this place in the chunk.
    pub fn record(&self, place: usize) -> &[u8] {
        let (begin, end) = self.bounds[place];
        &self.body[begin as usize..end as usize]
    }

    /// The stored records from one place to before another, each `u32 LE length | bytes`.
    pub fn records(&self, from: usize, to: usize) -> &[u8] {
        let begin = self.bounds[from].0 as usize - RECORD_LENGTH_BYTES;
        &self.body[begin..self.bounds[to - 1].1 as usize]
    }

    /// The event at this place in the chunk.
    ///
    /// # Errors
    /// Its payload does not decode.
    pub fn event(&self, place: usize) -> Result<Event, CodecError> {
        decode_event(self.seq(place), self.record(place))
    }

    /// All events.
    ///
    /// # Errors
    /// A payload does not decode.
    pub fn events(&self) -> Result<Vec<Event>, CodecError> {
        (0..self.len()).map(|place| self.event(place)).collect()
    }

    /// The session of the event at this place, if it has one.
    pub(super) fn session(&self, place: usize) -> Option<SessionId> {
        match &self.sessions {
            Some(sessions) => sessions[place],
            None => self.event(place).ok().and_then(|event| event.stream.session()),
        }
    }

    /// The sessions that have events here, and the places of those in the chunk.
    pub(super) fn places(&self) -> BTreeMap<SessionId, Vec<u16>> {
        let mut places: BTreeMap<SessionId, Vec<u16>> = BTreeMap::new();
        for place in 0..self.len() {
            if let Some(session) = self.session(place) {
                places
                    .entry(session)
                    .or_default()
                    .push(u16::try_from(place).expect("a chunk counts its events in 16 bits"));
            }
        }
        places
    }

    /// The events of these places as JSON objects with commas between. Encoded once, whoever asks.
    pub fn json(&self, from: usize, to: usize) -> Bytes {
        let (json, ends) = self.json.get_or_init(|| {
            let (json, ends) = self.encode_json(0, self.len());
            (json.into(), ends)
        });
        let begin = if from == 0 { 0 } else { ends[from - 1] as usize + 1 };
        json.slice(begin..ends[to - 1] as usize)
    }

    /// The same for a reader that wants few of the events: nothing is made of the others.
    pub(super) fn part_json(&self, from: usize, to: usize) -> Bytes {
        if self.json.get().is_some() { self.json(from, to) } else { self.encode_json(from, to).0.into() }
    }

    /// The events of these places as JSON objects with commas between, and where each ends.
    pub(super) fn encode_json(&self, from: usize, to: usize) -> (Vec<u8>, Vec<u32>) {
        let mut json = Vec::with_capacity(self.records(from, to).len() * 2 + (to - from) * 160);
        let mut ends = Vec::with_capacity(to - from);
        let mut writer = EventWriter::default();
        for place in from..to {
            if place > from {
                json.push(b',');
            }
            // The chunk's checksum held, so only a newer build's payload can be refused: it is passed on by name.
            if let Err(error) = writer.record(self.seq(place), self.record(place), &mut json) {
                let seq = self.seq(place);
                let reason = serde_json::Value::from(error.to_string());
                let unreadable = format!(
                    r#"{{"seq":{seq},"stream":"machine","version":0,"at":"1970-01-01T00:00:00Z","cause":null,"type":"unknown.unreadable","data":{{"reason":{reason}}}}}"#
                );
                json.extend_from_slice(unreadable.as_bytes());
            }
            ends.push(u32::try_from(json.len()).expect("a chunk as JSON is far below 4 GiB"));
        }
        (json, ends)
    }
}

fn encode(body: &[u8], previous: [u8; 32], count: usize) -> Vec<u8> {
    let (codec, data) = smaller(body);
    let mut value = Vec::with_capacity(HEADER_BYTES + data.len());
    value.push(FORMAT);
    value.extend_from_slice(&[0; 4]);
    value.extend_from_slice(&previous);
    value.push(codec);
    value.extend_from_slice(&u16::try_from(count).expect("a commit is bounded").to_le_bytes());
    value.extend_from_slice(&u32::try_from(body.len()).expect("a chunk is bounded").to_le_bytes());
    value.extend_from_slice(&data);
    let crc = crc32fast::hash(&value[5..]);
    value[1..5].copy_from_slice(&crc.to_le_bytes());
    value
}

fn bounds(body: &[u8]) -> Option<Vec<(u32, u32)>> {
    let mut bounds = Vec::new();
    let mut at = 0;
    while at < body.len() {
        let length = u32::from_le_bytes(body.get(at..at + 4)?.try_into().ok()?) as usize;
        let begin = at + 4;
        at = begin.checked_add(length).filter(|end| *end <= body.len())?;
        bounds.push((u32::try_from(begin).ok()?, u32::try_from(at).ok()?));
    }
    Some(bounds)
}
