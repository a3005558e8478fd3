//! One event as it lies on disk: its record, its chunk, its volume.

use ropewalk_protocol::codec::CodecError;
use ropewalk_protocol::{Event, Seq};

use super::chunk::Chunk;
use super::journal::Journal;
use super::rows::{self, Tag};
use super::store::StoreError;

/// An event with the chunk that holds it. The chunk's checksum is right, or it could not have been read.
#[derive(Debug)]
pub struct StoredRecord {
    /// The name of the volume.
    pub volume: Seq,
    /// The length of the chunk's stored value, in bytes.
    pub chunk_bytes: usize,
    /// The checksum the chunk carries.
    pub checksum: u32,
    chunk: Chunk,
    place: usize,
}

impl StoredRecord {
    /// The chunk's first and last place.
    pub fn range(&self) -> (Seq, Seq) {
        (self.chunk.first(), self.chunk.last())
    }

    /// The chunk's hash, and the hash of the chunk before it.
    pub fn hashes(&self) -> ([u8; 32], [u8; 32]) {
        (self.chunk.hash, self.chunk.previous)
    }

    /// The event's stored record.
    pub fn record(&self) -> &[u8] {
        self.chunk.record(self.place)
    }

    /// The event.
    ///
    /// # Errors
    /// Its payload does not decode.
    pub fn event(&self) -> Result<Event, CodecError> {
        self.chunk.event(self.place)
    }
}

impl Journal {
    /// The stored record of the event at this place; `None` beyond the head. Reads the disk.
    ///
    /// # Errors
    /// `Unreadable` when its chunk is damaged or not there; the disk failed, or appends fail, so that it may well be there.
    pub fn record(&self, seq: Seq) -> Result<Option<StoredRecord>, StoreError> {
        if seq == Seq::ZERO || seq > self.head() {
            return Ok(None);
        }
        let volume = self.volumes().holding(seq);
        let row =
            match self.volumes().read(volume, |volume| volume.last(&[Tag::Events as u8], &rows::events(seq.next()))) {
                Err(StoreError::Damaged(_)) => None,
                other => other.map_err(|error| self.why(error))?,
            };
        let found = row.and_then(|(key, value)| {
            let first = Seq(rows::trailing_number(&key)?);
            let chunk = Chunk::read(first, &value).ok().filter(|chunk| chunk.last() >= seq)?;
            let place = usize::try_from(seq.0 - first.0).ok()?;
            let checksum = u32::from_le_bytes(value[1..5].try_into().ok()?);
            Some(StoredRecord { volume, chunk_bytes: value.len(), checksum, chunk, place })
        });
        match found {
            Some(found) => Ok(Some(found)),
            None => {
                self.believe(false)?;
                let (from, to) = (seq, seq);
                Err(StoreError::Unreadable { what: format!("event {seq} is in a damaged part of the log"), from, to })
            }
        }
    }
}
