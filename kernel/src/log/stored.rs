//! Every reader of stored rows, fed with the same bytes: what tests of hostile input need of this crate and nobody else does.
//! Simulated disks besides, which cut a commit's bytes where a real one may.

use ropewalk_protocol::{CommandId, LogId, Seq};

use super::archive::Encoder;
use super::chunk::Chunk;
use super::head::Head;
use super::import::import;
use super::memory::MemoryShelf;
use super::receipts;
use super::rows;
use super::sled::wal::record;
use super::store::Row;

/// Reads these bytes as each kind of row, with the checksum they have and with the right one. What decodes must encode to
/// something that decodes to the same.
///
/// # Panics
/// A reader is wrong.
#[doc(hidden)]
pub fn read_rows(bytes: &[u8]) {
    read_chunk(bytes);
    read_chunk(&with_checksum(&[&[1, 0, 0, 0, 0], bytes].concat(), 1));
    for value in [bytes.to_vec(), with_checksum(&[&[0; 4], bytes].concat(), 0)] {
        if let Ok(receipt) = receipts::decode_one(&value) {
            let again = receipts::decode_one(&receipts::encode_one(&receipt.encode()));
            assert_eq!(again, Ok(receipt), "a receipt");
        }
        read_receipts(&value);
        if let Some((at, state)) = rows::decode_snapshot(&value) {
            assert_eq!(
                rows::decode_snapshot(&rows::encode_snapshot(at, &state)),
                Some((at, state)),
                "an actor's state"
            );
        }
    }
    let codec = bytes.first().map_or(0, |byte| byte % 3);
    for value in [bytes.to_vec(), with_checksum(&[&[codec, 0, 0, 0, 0], bytes].concat(), 1)] {
        let length = rows::output_length(&value);
        if let Some(output) = rows::decode_output(&value) {
            assert_eq!(output.len() as u64, length, "a row of output says its length also when it is damaged");
            assert_eq!(rows::decode_output(&rows::encode_output(&output)), Some(output), "output");
        }
    }
    assert!(Head::decode(bytes).is_none_or(|head| head.encode() == bytes[..48]), "a head");
    assert_eq!(rows::encode_places(&rows::decode_places(bytes)), bytes[..bytes.len() / 2 * 2], "places");
    read_archive(bytes);
}

/// The nonce of files that are made here.
const NONCE: u64 = 7;

/// The bytes by which the write-ahead log keeps a commit, in a file that was begun for the n-th time.
#[doc(hidden)]
pub fn commit_bytes(epoch: u32, rows: &[Row]) -> Vec<u8> {
    let mut bytes = Vec::new();
    record::encode(NONCE, epoch, rows, &mut bytes);
    bytes
}

/// What is read of a file of the write-ahead log that has these bytes behind its header.
#[doc(hidden)]
pub fn committed_rows(bytes: &[u8]) -> Vec<Row> {
    record::read_file(&[&record::file_header(NONCE), bytes].concat(), None).rows
}

/// A write-ahead log's file: these records, each the rows of a commit, with its epoch.
#[doc(hidden)]
pub fn write_ahead_file(records: &[(u32, &[Row])]) -> Vec<u8> {
    let mut file = record::file_header(NONCE);
    records.iter().for_each(|(epoch, rows)| record::encode(NONCE, *epoch, rows, &mut file));
    file
}

/// Reads these bytes as a write-ahead log's file, with the checksums they have and with the right ones, and as the rows of a
/// record that is whole. What is read must be what was written.
///
/// # Panics
/// The reader is wrong.
#[doc(hidden)]
pub fn read_write_ahead_log(bytes: &[u8]) {
    for file in [bytes.to_vec(), with_record_checksums(bytes)] {
        for others_nonce in [None, Some(NONCE)] {
            let contents = record::read_file(&file, others_nonce);
            assert!(contents.before_hole <= contents.rows.len(), "what lies before a hole was read");
            let again = record::read_file(&write_ahead_file(&[(1, &contents.rows)]), None);
            assert_eq!((again.rows, again.has_unreadable), (contents.rows, false), "the same rows");
            drop(record::read_file(&file[..file.len() / 2], others_nonce));
        }
    }
    read_rows_of_a_record(bytes);
}

/// The file's checksum and those of its records put right, where there is room for what they say they are.
fn with_record_checksums(bytes: &[u8]) -> Vec<u8> {
    let mut file = bytes.to_vec();
    if let Some((header, crc)) = file.get_mut(..20).and_then(<[u8]>::split_last_chunk_mut::<4>) {
        *crc = crc32fast::hash(header).to_le_bytes();
    }
    // From the end on: one that lies in another's row is a part of that.
    let places: Vec<usize> = memchr::memmem::find_iter(&file, &record::RECORD_MAGIC).collect();
    for at in places.into_iter().rev() {
        let end = file.get(at + 20..at + record::RECORD_HEADER_BYTES).and_then(|length| {
            let length = u32::from_le_bytes(length.try_into().ok()?) as usize;
            (at + record::RECORD_HEADER_BYTES).checked_add(length)
        });
        if let Some(checked) = end.and_then(|end| file.get(at + 8..end)) {
            let crc = crc32fast::hash(checked).to_le_bytes();
            file[at + 4..at + 8].copy_from_slice(&crc);
        }
    }
    file
}

fn read_rows_of_a_record(bytes: &[u8]) {
    let mut file = record::file_header(NONCE);
    record::encode(NONCE, 1, &[], &mut file);
    let crc_at = record::RECORDS_BEGIN + 4;
    let length_at = record::RECORDS_BEGIN + 20;
    file[length_at..].copy_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
    file.extend_from_slice(bytes);
    let crc = crc32fast::hash(&file[crc_at + 4..]);
    file[crc_at..crc_at + 4].copy_from_slice(&crc.to_le_bytes());
    let contents = record::read_file(&file, None);
    let again = write_ahead_file(&[(1, &contents.rows)]);
    assert_eq!(record::read_file(&again, None).rows, contents.rows, "the rows of a commit");
    assert!(contents.has_unreadable || again == file, "what is read is all there was");
}

fn with_checksum(value: &[u8], at: usize) -> Vec<u8> {
    let mut value = value.to_vec();
    let checksum = crc32fast::hash(&value[at + 4..]);
    value[at..at + 4].copy_from_slice(&checksum.to_le_bytes());
    value
}

/// As a row of many receipts, under the key that its first bytes name.
fn read_receipts(value: &[u8]) {
    let id = value
        .get(5..21)
        .and_then(|id| id.try_into().ok())
        .map_or(CommandId::from_bytes([0; 16]), CommandId::from_bytes);
    let Ok(found) = receipts::decode(&rows::receipts(id), value) else {
        return;
    };
    let rows = receipts::rows(found.clone());
    let again: Result<Vec<_>, _> = rows.iter().map(|(key, value)| receipts::decode(key, value)).collect();
    assert_eq!(again.map(|rows| rows.concat()), Ok(found), "receipts");
}

fn read_chunk(value: &[u8]) {
    let Ok(chunk) = Chunk::read(Seq(1), value) else {
        return;
    };
    assert_eq!(chunk.last().0, chunk.len() as u64, "a chunk's places are dense");
    let bytes: usize = (0..chunk.len()).map(|place| chunk.record(place).len() + 4).sum();
    assert_eq!(bytes, chunk.bytes(), "its records are all of it");
    drop(chunk.events());
    let json = [&b"["[..], &chunk.json(0, chunk.len()), b"]"].concat();
    let list: Vec<serde_json::Value> = serde_json::from_slice(&json).expect("every event is shown as JSON");
    assert_eq!(list.len(), chunk.len(), "and none is left out");
}

/// As an archive, and as the entries of one whose chain holds: the chain keeps changed entries from being reached otherwise.
fn read_archive(bytes: &[u8]) {
    drop(import(&MemoryShelf::default(), &mut &bytes[..]));
    let (mut encoder, mut archive) = Encoder::begin(LogId::from_bytes([7; 16]));
    archive.extend(encoder.seal(bytes));
    drop(import(&MemoryShelf::default(), &mut &archive[..]));
}
