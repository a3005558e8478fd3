//! Receipts as rows. Those of one commit share rows: what a row costs the store is far more than what a receipt is.
//!
//! A row is keyed by the smallest command id in it, and all of its ids are of the same few milliseconds, so that a command's
//! id says which rows can hold its receipt. `u32 LE crc | receipt` where there is one, else
//! `u32 LE crc | 0 | (16 B command id | u32 LE length | receipt)…`, the ids in order.

use std::ops::ControlFlow;

use ropewalk_protocol::CommandId;
use ropewalk_protocol::codec::CodecError;
use ropewalk_protocol::record::Receipt;

use super::rows::{self, Tag};
use super::store::{Row, StoreError, Volume};

/// The ids in a row differ in the last bits of their milliseconds only: the commits of 8 ms are few to look through.
const MILLIS_BITS: u32 = 3;
/// Where a row begins with this there are many; a receipt's versions begin with 1.
const MANY: u8 = 0;
/// A row with several receipts is not longer than this, so that it is a small part of what one commit may write.
const ROW_BYTES_MAX: usize = 16 * 1024;
const ID_BYTES: usize = 16;
const LENGTH_BYTES: usize = 4;

/// The rows of one commit's receipts.
pub(super) fn rows(mut receipts: Vec<(CommandId, Receipt)>) -> Vec<Row> {
    receipts.sort_by_key(|(id, _)| *id);
    let mut rows: Vec<Row> = Vec::new();
    let mut row: Vec<(CommandId, Vec<u8>)> = Vec::new();
    let mut bytes = 0;
    for (id, receipt) in receipts {
        let receipt = receipt.encode();
        bytes += ID_BYTES + LENGTH_BYTES + receipt.len();
        let goes_on = row.first().is_some_and(|(first, _)| begin(*first) == begin(id)) && bytes <= ROW_BYTES_MAX;
        if !goes_on {
            rows.extend(encode(&row));
            row.clear();
            bytes = ID_BYTES + LENGTH_BYTES + receipt.len();
        }
        row.push((id, receipt));
    }
    rows.extend(encode(&row));
    rows
}

fn encode(row: &[(CommandId, Vec<u8>)]) -> Option<Row> {
    let (first, receipt) = row.first()?;
    let mut value = vec![0; 4];
    if row.len() == 1 {
        value.extend_from_slice(receipt);
    } else {
        value.push(MANY);
        for (id, receipt) in row {
            value.extend_from_slice(id.as_bytes());
            value.extend_from_slice(&u32::try_from(receipt.len()).expect("a receipt is bounded").to_le_bytes());
            value.extend_from_slice(receipt);
        }
    }
    let crc = crc32fast::hash(&value[4..]);
    value[..4].copy_from_slice(&crc.to_le_bytes());
    Some((rows::receipts(*first), value))
}

/// One receipt as a row's value.
pub(super) fn encode_one(receipt: &[u8]) -> Vec<u8> {
    let mut value = crc32fast::hash(receipt).to_le_bytes().to_vec();
    value.extend_from_slice(receipt);
    value
}

/// The only receipt of a row.
pub(super) fn decode_one(value: &[u8]) -> Result<Receipt, CodecError> {
    Receipt::decode(checked(value)?)
}

/// All receipts of a row.
///
/// # Errors
/// It is damaged, or it is not where those who look for its receipts would find it.
pub(super) fn decode(key: &[u8], value: &[u8]) -> Result<Vec<(CommandId, Receipt)>, CodecError> {
    entries(key, value)?.into_iter().map(|(id, receipt)| Ok((id, Receipt::decode(receipt)?))).collect()
}

/// The commands of a row, each with its receipt as it is stored.
///
/// # Errors
/// As [`decode`], but the receipts themselves are not looked at.
pub(super) fn entries<'a>(key: &[u8], value: &'a [u8]) -> Result<Vec<(CommandId, &'a [u8])>, CodecError> {
    let malformed = |reason: &str| CodecError::Malformed(reason.to_owned());
    let first = rows::name(key).filter(|_| key.len() == 17).map(CommandId::from_bytes);
    let first = first.ok_or_else(|| malformed("its key names no command"))?;
    let mut rest = match checked(value)? {
        [MANY, rest @ ..] => rest,
        one => return Ok(vec![(first, one)]),
    };
    let mut entries: Vec<(CommandId, &[u8])> = Vec::new();
    while !rest.is_empty() {
        let cut = rest.split_first_chunk::<ID_BYTES>().and_then(|(id, rest)| {
            let (length, rest) = rest.split_first_chunk::<LENGTH_BYTES>()?;
            let (receipt, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
            Some((CommandId::from_bytes(*id), receipt, rest))
        });
        let (id, receipt, after) = cut.ok_or_else(|| malformed("it ends within a receipt"))?;
        if entries.last().is_some_and(|(before, _)| *before > id) || begin(id) != begin(first) {
            return Err(malformed("a receipt is not at its place"));
        }
        entries.push((id, receipt));
        rest = after;
    }
    if entries.first().is_none_or(|(id, _)| *id != first) {
        return Err(malformed("its key is not its first command"));
    }
    Ok(entries)
}

fn checked(value: &[u8]) -> Result<&[u8], CodecError> {
    let (crc, rest) = value.split_at_checked(4).ok_or_else(|| CodecError::Malformed("too short".to_owned()))?;
    if crc32fast::hash(rest).to_le_bytes() != crc {
        return Err(CodecError::Malformed("the checksum is wrong".to_owned()));
    }
    Ok(rest)
}

/// The receipt of a command in this volume.
///
/// # Errors
/// `Damaged` when it may be in a row that is damaged; the disk failed.
pub(super) fn find(volume: &dyn Volume, command: CommandId) -> Result<Option<Receipt>, StoreError> {
    let mut found: Option<Receipt> = None;
    let mut damaged = None;
    let mut visit = |key: &[u8], value: &[u8]| {
        let entries = entries(key, value).and_then(|entries| {
            let one = entries.into_iter().rfind(|(id, _)| *id == command);
            one.map(|(_, receipt)| Receipt::decode(receipt)).transpose()
        });
        match entries {
            Ok(Some(receipt)) if found.as_ref().is_none_or(|before| before.seq <= receipt.seq) => found = Some(receipt),
            Ok(_) => {}
            Err(error) => damaged = Some(StoreError::Damaged(format!("the receipt of {command}: {error}"))),
        }
        ControlFlow::Continue(())
    };
    let mut end = rows::receipts(command);
    end.push(0);
    volume.scan(&rows::receipts(begin(command)), &end, &mut visit)?;
    match (found, damaged) {
        (None, Some(error)) => Err(error),
        (found, _) => Ok(found),
    }
}

/// The times of the oldest and the newest command with a receipt in this volume, in milliseconds.
pub(super) fn command_millis(volume: &dyn Volume) -> Result<Option<(u64, u64)>, StoreError> {
    let (all, end) = ([Tag::Receipts as u8], rows::end(Tag::Receipts));
    let mut oldest = None;
    volume.scan(&all, &end, &mut |key, _| {
        oldest = first(key).and_then(|id| id.unix_millis());
        ControlFlow::Break(())
    })?;
    let Some(last) = volume.last(&all, &end)?.and_then(|(key, _)| first(&key)) else {
        return Ok(None);
    };
    // Rows of the same few milliseconds overlap: the newest may be in any of them. What is damaged may hold the last there can be.
    let mut newest = last.unix_millis();
    volume.scan(&rows::receipts(begin(last)), &end, &mut |key, value| {
        let newest_here = match entries(key, value) {
            Ok(entries) => entries.last().and_then(|(id, _)| id.unix_millis()),
            Err(_) => last.unix_millis().map(|millis| millis | ((1 << MILLIS_BITS) - 1)),
        };
        newest = newest.max(newest_here);
        ControlFlow::Continue(())
    })?;
    Ok(oldest.zip(newest))
}

/// The time of the newest command with a receipt in this volume, in milliseconds.
pub(super) fn newest_command_millis(volume: &dyn Volume) -> Result<Option<u64>, StoreError> {
    Ok(command_millis(volume)?.map(|(_, newest)| newest))
}

/// The command that a row is keyed by, which is the smallest one in it.
pub(super) fn first(key: &[u8]) -> Option<CommandId> {
    rows::name(key).map(CommandId::from_bytes)
}

/// The smallest id that may be in one row with this one. The first 48 bits of a UUID v7 are its milliseconds.
pub(super) fn begin(id: CommandId) -> CommandId {
    let mut first = [0; ID_BYTES];
    first[..6].copy_from_slice(&id.as_bytes()[..6]);
    first[5] &= u8::MAX << MILLIS_BITS;
    CommandId::from_bytes(first)
}

#[cfg(test)]
mod tests {
    use ropewalk_protocol::{CommandResult, Seq};

    use super::*;
    use crate::log::memory::MemoryShelf;
    use crate::log::store::Shelf;

    fn id(millis: u64, number: u64) -> CommandId {
        let mut bytes = [0; 16];
        bytes[..6].copy_from_slice(&millis.to_be_bytes()[2..]);
        bytes[6] = 0x70;
        bytes[8..].copy_from_slice(&(number | 0x8000_0000_0000_0000).to_be_bytes());
        CommandId::from_bytes(bytes)
    }

    fn receipt(number: u64) -> Receipt {
        Receipt { digest: [7; 16], seq: Seq(number), outcome: Ok(CommandResult::Done {}) }
    }

    #[test]
    fn what_overlapping_commits_wrote_is_found_and_nothing_else() {
        let shelf = MemoryShelf::default();
        let volume = shelf.create(Seq(1)).unwrap();
        assert_eq!(command_millis(&*volume), Ok(None));
        // Commands of 40 ms; each commit has some of the last 5 ms, and leaves others for the one behind it.
        let all: Vec<CommandId> = (0..200).map(|number| id(1000 + number / 5, number)).collect();
        for commit in 0..20_usize {
            let some = (0..200_usize).filter(|number| (number / 10 + number % 3).min(19) == commit);
            let receipts: Vec<_> = some.rev().map(|number| (all[number], receipt(number as u64))).collect();
            let rows = rows(receipts.clone());
            assert!(rows.len() <= 3, "commit {commit} has {} rows", rows.len());
            let again: Vec<_> = rows.iter().flat_map(|(key, value)| decode(key, value).unwrap()).collect();
            assert_eq!(again, receipts.into_iter().rev().collect::<Vec<_>>());
            volume.commit(rows).unwrap();
        }
        for (number, command) in all.iter().enumerate() {
            assert_eq!(find(&*volume, *command), Ok(Some(receipt(number as u64))), "{number}");
        }
        for millis in 998..1042 {
            assert_eq!(find(&*volume, id(millis, 999)), Ok(None), "{millis}");
        }
        assert_eq!(command_millis(&*volume), Ok(Some((1000, 1039))));
    }

    #[test]
    fn a_row_is_bounded_and_a_receipt_alone_is_stored_as_ever() {
        let many: Vec<_> = (0..1000).map(|number| (id(8, number), receipt(number))).collect();
        let rows = rows(many);
        assert!(rows.len() > 1 && rows.iter().all(|(_, value)| value.len() <= ROW_BYTES_MAX + 8), "{}", rows.len());
        let [(key, value)] = &super::rows(vec![(id(8, 1), receipt(1))])[..] else {
            panic!("one row");
        };
        assert_eq!((&key[1..], value), (&id(8, 1).as_bytes()[..], &encode_one(&receipt(1).encode())));
    }

    #[test]
    fn a_damaged_row_makes_unknown_what_it_may_hold() {
        let shelf = MemoryShelf::default();
        let volume = shelf.create(Seq(1)).unwrap();
        let mut rows = rows(vec![(id(8, 1), receipt(1)), (id(9, 2), receipt(2))]);
        rows[0].1[30] ^= 1;
        volume.commit(rows).unwrap();
        volume.commit(super::rows(vec![(id(10, 3), receipt(3))])).unwrap();
        assert!(find(&*volume, id(9, 2)).is_err());
        assert!(find(&*volume, id(15, 9)).is_err(), "it may have been in the damaged row");
        assert_eq!(find(&*volume, id(10, 3)), Ok(Some(receipt(3))));
        assert_eq!(find(&*volume, id(16, 1)), Ok(None), "those of other milliseconds are in other rows");
        assert_eq!(command_millis(&*volume), Ok(Some((8, 15))));
    }

    #[test]
    fn a_row_whose_receipts_nobody_would_find_is_damaged() {
        let good = rows(vec![(id(8, 1), receipt(1)), (id(9, 2), receipt(2))]).remove(0);
        assert!(decode(&good.0, &good.1).is_ok());
        assert!(decode(&rows::receipts(id(8, 0)), &good.1).is_err(), "under another key");
        assert!(decode(&good.0[..16], &good.1).is_err(), "under no key");
        let with = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut value = good.1.clone();
            change(&mut value);
            let crc = crc32fast::hash(&value[4..]);
            value[..4].copy_from_slice(&crc.to_le_bytes());
            value
        };
        let second = 5 + (good.1.len() - 5) / 2;
        assert!(decode(&good.0, &with(&|_| {})).is_ok());
        let wrong = [
            ("of other milliseconds", with(&|value| value[second + 5] ^= 0x10)),
            ("out of order", with(&|value| value[second + 5] -= 2)),
            ("cut", with(&|value| value.truncate(value.len() - 1))),
            ("longer than it is", with(&|value| value[5 + ID_BYTES] = 255)),
            ("empty", with(&|value| value.truncate(5))),
        ];
        for (what, value) in wrong {
            assert!(decode(&good.0, &value).is_err(), "{what}");
        }
    }
}
