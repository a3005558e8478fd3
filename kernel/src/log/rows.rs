//! Keys: a tag byte, then what it is about. One tree holds them all, because a batch is atomic within one tree only.

use ropewalk_protocol::{CommandId, Seq, SessionId, Stream, TerminalId};

use super::compression::smaller;

/// What a key's first byte says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Tag {
    /// About the volume itself.
    Meta = 0,
    /// First seq of a chunk → the chunk.
    Events = 1,
    /// Session + first seq of a chunk → places of the session's events in that chunk.
    Streams = 2,
    /// The smallest command id of some → their receipts.
    Receipts = 3,
    /// Terminal + offset → bytes.
    Output = 4,
    /// Session + agent or terminal of it, or zeros → the owning actor's state.
    Snapshots = 5,
    /// In the index only: first seq of a sealed volume → its summary.
    Summary = 16,
    /// In the index only: session + first seq of a sealed volume → nothing.
    SessionVolume = 17,
    /// In the index only: terminal + first seq of a sealed volume → its first and last offset there.
    TerminalVolume = 18,
}

pub(super) const META: &[u8] = &[Tag::Meta as u8];

/// `tag | number`, big-endian, so that keys sort as numbers do.
pub(super) fn number(tag: Tag, number: u64) -> Vec<u8> {
    let mut key = vec![tag as u8];
    key.extend_from_slice(&number.to_be_bytes());
    key
}

/// `tag | 16 bytes | number`.
pub(super) fn named(tag: Tag, name: &[u8; 16], number: u64) -> Vec<u8> {
    let mut key = Vec::with_capacity(25);
    key.push(tag as u8);
    key.extend_from_slice(name);
    key.extend_from_slice(&number.to_be_bytes());
    key
}

pub(super) fn events(first: Seq) -> Vec<u8> {
    number(Tag::Events, first.0)
}

pub(super) fn streams(session: SessionId, first: Seq) -> Vec<u8> {
    named(Tag::Streams, session.as_bytes(), first.0)
}

/// The key of a row of receipts whose smallest command this is.
pub(super) fn receipts(command: CommandId) -> Vec<u8> {
    let mut key = vec![Tag::Receipts as u8];
    key.extend_from_slice(command.as_bytes());
    key
}

pub(super) fn is_receipt(key: &[u8]) -> bool {
    key.first() == Some(&(Tag::Receipts as u8))
}

pub(super) fn output(terminal: TerminalId, offset: u64) -> Vec<u8> {
    named(Tag::Output, terminal.as_bytes(), offset)
}

/// The session and the key of an actor's state; `None` for the machine, which has none.
pub(super) fn snapshot(stream: Stream) -> Option<(SessionId, Vec<u8>)> {
    let part = match &stream {
        Stream::Machine => return None,
        Stream::Session(_) => [0; 16],
        Stream::Agent(_, agent) => *agent.as_bytes(),
        Stream::Terminal(_, terminal) => *terminal.as_bytes(),
    };
    let session = stream.session()?;
    let mut key = vec![Tag::Snapshots as u8];
    key.extend_from_slice(session.as_bytes());
    key.extend_from_slice(&part);
    Some((session, key))
}

/// An actor's state as it is stored: `u32 LE crc | u64 LE seq | state`.
pub(super) fn encode_snapshot(at: Seq, state: &[u8]) -> Vec<u8> {
    let mut value = vec![0; 4];
    value.extend_from_slice(&at.0.to_le_bytes());
    value.extend_from_slice(state);
    let crc = crc32fast::hash(&value[4..]);
    value[..4].copy_from_slice(&crc.to_le_bytes());
    value
}

/// An actor's state and the place it is of; `None` when it is damaged.
pub(super) fn decode_snapshot(value: &[u8]) -> Option<(Seq, Vec<u8>)> {
    let (crc, rest) = value.split_at_checked(4)?;
    if crc32fast::hash(rest).to_le_bytes() != crc {
        return None;
    }
    let (at, state) = rest.split_at_checked(8)?;
    Some((Seq(u64::from_le_bytes(at.try_into().ok()?)), state.to_vec()))
}

/// The first key after all keys of this tag.
pub(super) fn end(tag: Tag) -> Vec<u8> {
    vec![tag as u8 + 1]
}

/// The first key after all keys of this tag and name.
pub(super) fn end_named(tag: Tag, name: &[u8; 16]) -> Vec<u8> {
    let mut key = named(tag, name, u64::MAX);
    key.push(0);
    key
}

/// The number at a key's end.
pub(super) fn trailing_number(key: &[u8]) -> Option<u64> {
    let at = key.len().checked_sub(8)?;
    key[at..].try_into().ok().map(u64::from_be_bytes)
}

/// The 16 bytes after a key's tag.
pub(super) fn name(key: &[u8]) -> Option<[u8; 16]> {
    key.get(1..17)?.try_into().ok()
}

/// The value of a `Streams` row: places in the chunk, as `u16` LE.
pub(super) fn encode_places(places: &[u16]) -> Vec<u8> {
    places.iter().flat_map(|place| place.to_le_bytes()).collect()
}

/// The places in a `Streams` row.
pub(super) fn decode_places(value: &[u8]) -> Vec<u16> {
    value.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect()
}

/// Terminal bytes as they are stored: `u8 codec | u32 LE crc | u32 LE length | bytes`.
pub(super) fn encode_output(bytes: &[u8]) -> Vec<u8> {
    let (codec, data) = smaller(bytes);
    let length = u32::try_from(bytes.len()).expect("a row of output is bounded");
    let mut value = Vec::with_capacity(9 + data.len());
    value.push(codec);
    value.extend_from_slice(&[0; 4]);
    value.extend_from_slice(&length.to_le_bytes());
    value.extend_from_slice(&data);
    let crc = crc32fast::hash(&value[5..]);
    value[1..5].copy_from_slice(&crc.to_le_bytes());
    value
}

/// How many bytes an `Output` row says it has, also when they are damaged.
pub(super) fn output_length(value: &[u8]) -> u64 {
    let length = value.get(5..9).and_then(|length| length.try_into().ok()).map_or(0, u32::from_le_bytes);
    u64::from(length).min(ropewalk_protocol::limits::OUTPUT_ROW_BYTES_MAX as u64)
}

/// The bytes of an `Output` row; `None` when they are damaged.
pub(super) fn decode_output(value: &[u8]) -> Option<Vec<u8>> {
    let codec = *value.first()?;
    let crc = u32::from_le_bytes(value.get(1..5)?.try_into().ok()?);
    if crc32fast::hash(&value[5..]) != crc {
        return None;
    }
    let length = u32::from_le_bytes(value.get(5..9)?.try_into().ok()?) as usize;
    if length > ropewalk_protocol::limits::OUTPUT_ROW_BYTES_MAX {
        return None;
    }
    match codec {
        0 => Some(value[9..].to_vec()).filter(|bytes| bytes.len() == length),
        1 => lz4_flex::block::decompress(&value[9..], length).ok().filter(|bytes| bytes.len() == length),
        _ => None,
    }
}
