//! What of a log's files cannot be read at all, and how a log is made to open without them.

use ropewalk_protocol::Seq;

use super::chunk::GENESIS;
use super::head::{self, Head};
use super::sled::SledShelf;
use super::store::{Shelf, StoreError};
use super::volumes::read_meta;

/// A stored record takes 18 bytes at least, and LZ4 makes no more than 255 bytes of one: no volume holds more events than this
/// many for each byte of its file.
const EVENTS_PER_BYTE_MAX: u64 = 16;

/// What cannot be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diagnosis {
    /// Volumes that do not open, and why.
    pub volumes: Vec<(Seq, String)>,
    /// Volumes that were given up before.
    pub given_up: Vec<Seq>,
    /// Why the index does not open.
    pub index: Option<String>,
    /// Slots of HEAD that hold something else than a head.
    pub head_slots: Vec<usize>,
    /// What HEAD says, in the slot that can be read.
    pub head: Option<Seq>,
    /// The newest volume does not open and HEAD does not say how far it went: until a place is named that lies behind all it
    /// can hold, the log cannot be written. This is such a place.
    pub skip_to: Option<Seq>,
}

/// Looks at a closed log's files.
///
/// # Errors
/// The disk failed in a way that is not damage.
pub fn diagnose(shelf: &SledShelf) -> Result<Diagnosis, StoreError> {
    let mut found = Diagnosis::default();
    let volumes = shelf.volumes()?;
    for first in &volumes {
        if shelf.is_given_up(*first) {
            found.given_up.push(*first);
            continue;
        }
        match shelf.open(*first).and_then(|volume| read_meta(&*volume)) {
            Err(StoreError::Damaged(reason)) => found.volumes.push((*first, reason)),
            other => {
                other?;
            }
        }
    }
    match shelf.existing_index() {
        Err(StoreError::Damaged(reason)) => found.index = Some(reason),
        other => drop(other?),
    }
    found.head = Head::read(shelf)?.map(|(head, _)| head.seq);
    found.head_slots = head::foreign_slots(shelf)?;
    let unreadable = |first: &Seq| found.given_up.contains(first) || found.volumes.iter().any(|(bad, _)| bad == first);
    if let Some(newest) = volumes.last().filter(|newest| found.head.is_none() && unreadable(newest)) {
        let bytes = shelf.volume_bytes(*newest);
        found.skip_to = Some(Seq(newest.0.saturating_add(bytes.saturating_mul(EVENTS_PER_BYTE_MAX))));
    }
    Ok(found)
}

/// Makes the slots of HEAD blank that cannot be read.
///
/// # Errors
/// The disk failed.
pub fn blank_head(shelf: &dyn Shelf, slots: &[usize]) -> Result<(), StoreError> {
    slots.iter().try_for_each(|slot| shelf.write_head(*slot, &[0; 64]))
}

/// Has the log go on behind this place: whatever lies before it and cannot be read is a gap.
///
/// # Errors
/// The disk failed.
pub fn skip_to(shelf: &dyn Shelf, seq: Seq) -> Result<(), StoreError> {
    Head { seq, hash: GENESIS }.write(shelf, 0)
}
