//! HEAD: how far the log went, outside the volumes, so that a tail that vanished is noticed.

use ropewalk_protocol::Seq;

use super::store::{Shelf, StoreError};

const MAGIC: [u8; 4] = *b"RWH1";

/// The newest event that was acknowledged, and the hash of its chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) seq: Seq,
    pub(super) hash: [u8; 32],
}

impl Head {
    pub(super) fn encode(self) -> Vec<u8> {
        let mut slot = MAGIC.to_vec();
        slot.extend_from_slice(&self.seq.0.to_le_bytes());
        slot.extend_from_slice(&self.hash);
        let crc = crc32fast::hash(&slot);
        slot.extend_from_slice(&crc.to_le_bytes());
        slot
    }

    pub(super) fn decode(slot: &[u8]) -> Option<Head> {
        if slot.len() < 48 || slot[..4] != MAGIC || crc32fast::hash(&slot[..44]).to_le_bytes() != slot[44..48] {
            return None;
        }
        let seq = Seq(u64::from_le_bytes(slot[4..12].try_into().ok()?));
        Some(Head { seq, hash: slot[12..44].try_into().ok()? })
    }

    /// Writes into the slot that the newest head is not in: a torn write leaves the other one.
    pub(super) fn write(self, shelf: &dyn Shelf, turn: u64) -> Result<(), StoreError> {
        shelf.write_head(usize::from(turn % 2 == 1), &self.encode())
    }

    /// The newest head that can be read, and the slot it is in.
    pub(super) fn read(shelf: &dyn Shelf) -> Result<Option<(Head, usize)>, StoreError> {
        let slots = shelf.read_head()?;
        let heads = slots.iter().enumerate().filter_map(|(slot, value)| Some((Head::decode(value)?, slot)));
        Ok(heads.max_by_key(|(head, _)| head.seq))
    }
}

/// The slots that hold something, and no head.
pub(super) fn foreign_slots(shelf: &dyn Shelf) -> Result<Vec<usize>, StoreError> {
    let slots = shelf.read_head()?;
    let is_blank = |slot: &[u8]| slot.iter().all(|byte| *byte == 0);
    let is_foreign = |slot: &usize| !is_blank(&slots[*slot]) && Head::decode(&slots[*slot]).is_none();
    Ok((0..slots.len()).filter(is_foreign).collect())
}
