//! What a write-ahead log's bytes look like: a header, then records, each the rows of one commit.
//!
//! ```text
//! file    "RWWL" | u32 format | u64 nonce | u32 crc of these | zeros up to 512 bytes | records…
//! record  "RWWR" | u32 crc of what follows | u64 nonce | u32 epoch | u32 length | rows…
//! row     u16 key length | u32 value length | key | value
//! ```
//!
//! Numbers are little-endian. A file is written again from its beginning once its rows are in the database, with the next
//! epoch: what lies behind the newest epoch's records is of an older one. The nonce is drawn when the files are made, so that
//! bytes inside a row are never taken for a record.

use crate::log::store::Row;

const FILE_MAGIC: [u8; 4] = *b"RWWL";
pub(in crate::log) const RECORD_MAGIC: [u8; 4] = *b"RWWR";
const FORMAT: u32 = 1;
pub(in crate::log) const RECORD_HEADER_BYTES: usize = 24;
const ROW_HEADER_BYTES: usize = 6;
/// Where the records begin: a sector of its own keeps the header from being torn with a record.
pub(in crate::log) const RECORDS_BEGIN: usize = 512;

/// The beginning of a file.
pub(in crate::log) fn file_header(nonce: u64) -> Vec<u8> {
    let mut header = FILE_MAGIC.to_vec();
    header.extend_from_slice(&FORMAT.to_le_bytes());
    header.extend_from_slice(&nonce.to_le_bytes());
    header.extend_from_slice(&crc32fast::hash(&header).to_le_bytes());
    header.resize(RECORDS_BEGIN, 0);
    header
}

/// The nonce of a file, if its header can be read.
pub(in crate::log) fn nonce(bytes: &[u8]) -> Option<u64> {
    let (header, crc) = bytes.get(..20)?.split_last_chunk::<4>()?;
    let is_ours = header.starts_with(&FILE_MAGIC) && header[4..8] == FORMAT.to_le_bytes();
    let nonce = u64::from_le_bytes(header[8..16].try_into().ok()?);
    (is_ours && crc32fast::hash(header).to_le_bytes() == *crc).then_some(nonce)
}

/// How many bytes the record of these rows has.
pub(in crate::log) fn length(rows: &[Row]) -> usize {
    rows.iter().map(|(key, value)| ROW_HEADER_BYTES + key.len() + value.len()).sum::<usize>() + RECORD_HEADER_BYTES
}

/// Writes the record of these rows behind what is there.
///
/// # Panics
/// A key is longer than 64 KiB, or all of it than 4 GiB.
pub(in crate::log) fn encode(nonce: u64, epoch: u32, rows: &[Row], record: &mut Vec<u8>) {
    let begin = record.len();
    let all = length(rows);
    record.reserve(all);
    record.extend_from_slice(&RECORD_MAGIC);
    record.extend_from_slice(&[0; 4]);
    record.extend_from_slice(&nonce.to_le_bytes());
    record.extend_from_slice(&epoch.to_le_bytes());
    let rows_bytes = u32::try_from(all - RECORD_HEADER_BYTES).expect("a commit is bounded");
    record.extend_from_slice(&rows_bytes.to_le_bytes());
    for (key, value) in rows {
        record.extend_from_slice(&u16::try_from(key.len()).expect("keys are short").to_le_bytes());
        record.extend_from_slice(&u32::try_from(value.len()).expect("a stored value is bounded").to_le_bytes());
        record.extend_from_slice(key);
        record.extend_from_slice(value);
    }
    let crc = crc32fast::hash(&record[begin + 8..]);
    record[begin + 4..begin + 8].copy_from_slice(&crc.to_le_bytes());
}

/// What a file holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::log) struct Contents {
    /// The newest epoch, 0 if there is none.
    pub(in crate::log) epoch: u32,
    /// The rows of its records, in order. A record that is damaged, or was not wholly written, is left out, and those behind it
    /// are not.
    pub(in crate::log) rows: Vec<Row>,
    /// So many of them lie before a hole. If the file was being written again, those behind the hole are all that is left of
    /// what came after them.
    pub(in crate::log) before_hole: usize,
    /// There is something that cannot be read: damage, or what a crash left of the last write.
    pub(in crate::log) has_unreadable: bool,
}

/// Reads a file. The nonce of the other one serves where the header cannot be read.
pub(in crate::log) fn read_file(bytes: &[u8], others_nonce: Option<u64>) -> Contents {
    let mut contents = Contents::default();
    let own = nonce(bytes);
    if own.is_none() {
        contents.has_unreadable = bytes.iter().any(|byte| *byte != 0);
    }
    let Some((nonce, records)) = own.or(others_nonce).zip(bytes.get(RECORDS_BEGIN..)) else {
        return contents;
    };
    let finder = memchr::memmem::Finder::new(&RECORD_MAGIC);
    // Where the newest epoch's records end so far: they follow one another from the beginning on.
    let (mut at, mut end) = (0, 0);
    while let Some(found) = finder.find(&records[at..]) {
        at += found;
        let Some(record) = read_record(&records[at..], nonce) else {
            contents.has_unreadable |= is_ours(&records[at..], nonce);
            at += 1;
            continue;
        };
        if record.epoch >= contents.epoch {
            if record.epoch > contents.epoch {
                (contents.epoch, end) = (record.epoch, 0);
                contents.rows.clear();
                contents.before_hole = 0;
            }
            if at != end {
                contents.has_unreadable = true;
                contents.before_hole = contents.rows.len();
            }
            contents.rows.extend(record.rows);
            end = at + record.length;
        }
        at += record.length;
    }
    contents
}

struct Record {
    epoch: u32,
    rows: Vec<Row>,
    /// With its header.
    length: usize,
}

fn is_ours(bytes: &[u8], nonce: u64) -> bool {
    bytes.starts_with(&RECORD_MAGIC) && bytes.get(8..16) == Some(&nonce.to_le_bytes())
}

/// The record at the beginning of these bytes.
fn read_record(bytes: &[u8], nonce: u64) -> Option<Record> {
    let (header, rest) = bytes.split_first_chunk::<RECORD_HEADER_BYTES>()?;
    let number = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let length = RECORD_HEADER_BYTES.checked_add(number(20) as usize)?;
    if !is_ours(bytes, nonce) || crc32fast::hash(bytes.get(8..length)?) != number(4) {
        return None;
    }
    Some(Record { epoch: number(16), rows: read_rows(&rest[..length - RECORD_HEADER_BYTES])?, length })
}

fn read_rows(mut bytes: &[u8]) -> Option<Vec<Row>> {
    let mut rows = Vec::new();
    while !bytes.is_empty() {
        let (key_bytes, rest) = bytes.split_first_chunk::<2>()?;
        let (value_bytes, rest) = rest.split_first_chunk::<4>()?;
        let (key, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes(*key_bytes)))?;
        let (value, rest) = rest.split_at_checked(u32::from_le_bytes(*value_bytes) as usize)?;
        rows.push((key.to_vec(), value.to_vec()));
        bytes = rest;
    }
    Some(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONCE: u64 = 0x0102_0304_0506_0708;

    fn row(key: u8, value: &[u8]) -> Row {
        (vec![key], value.to_vec())
    }

    /// A file with these records, each with its epoch.
    fn file(records: &[(u32, &[Row])]) -> Vec<u8> {
        let mut file = file_header(NONCE);
        records.iter().for_each(|(epoch, rows)| encode(NONCE, *epoch, rows, &mut file));
        file
    }

    #[test]
    fn the_bytes_of_a_record_are_what_they_ever_were() {
        let mut record = Vec::new();
        let rows = [row(7, b"value"), row(8, b"")];
        encode(NONCE, 3, &rows, &mut record);
        let golden = b"RWWR\xfc/\x903\x08\x07\x06\x05\x04\x03\x02\x01\x03\0\0\0\x13\0\0\0\x01\0\x05\0\0\0\x07value\x01\0\0\0\0\0\x08";
        assert_eq!(record, golden, "{}", record.escape_ascii());
        assert_eq!(record.len(), length(&rows));
        let header = b"RWWL\x01\0\0\0\x08\x07\x06\x05\x04\x03\x02\x01";
        assert_eq!(&file_header(NONCE)[..16], header);
    }

    fn read(bytes: &[u8]) -> (u32, Vec<Row>, bool) {
        let Contents { epoch, rows, has_unreadable, .. } = read_file(bytes, None);
        (epoch, rows, has_unreadable)
    }

    #[test]
    fn only_the_newest_epoch_of_a_file_counts() {
        let (old, new): (&[Row], &[Row]) = (&[row(1, b"old")], &[row(1, b"new")]);
        for empty in [file(&[]), vec![0; 4096], Vec::new()] {
            assert_eq!(read_file(&empty, None), Contents::default());
        }
        assert_eq!(read(&file(&[(1, old), (1, new)])), (1, vec![row(1, b"old"), row(1, b"new")], false));
        // Written again from its beginning: the records of the epoch before lie behind.
        assert_eq!(read(&file(&[(3, new), (1, old), (1, old)])), (3, new.to_vec(), false));
        // The first one of the new epoch is damaged, and another one of it is not.
        let mut damaged = file(&[(3, old), (3, new), (1, old)]);
        damaged[RECORDS_BEGIN + RECORD_HEADER_BYTES] ^= 1;
        assert_eq!(read(&damaged), (3, new.to_vec(), true));
    }

    #[test]
    fn a_record_that_is_cut_or_changed_is_left_out_and_no_other_one() {
        let records: Vec<Vec<Row>> = (0..4).map(|number| vec![row(number, &[number; 9]), row(9, &[number])]).collect();
        let listed: Vec<(u32, &[Row])> = records.iter().map(|rows| (1, &rows[..])).collect();
        let whole = file(&listed);
        let record_bytes = length(&records[0]);
        for at in RECORDS_BEGIN..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 0x40;
            let hit = (at - RECORDS_BEGIN) / record_bytes;
            let kept: Vec<Row> =
                (0..4).filter(|number| *number != hit).flat_map(|number| records[number].clone()).collect();
            let found = read(&changed);
            assert_eq!((found.0, found.1), (1, kept), "a bit of byte {at}");
            // Of the last one nobody can tell whether it was ever written, once nothing says that it is one.
            let names_itself = !matches!((at - RECORDS_BEGIN) % record_bytes, 0..4 | 8..16);
            let is_told = hit < 3 || names_itself;
            assert_eq!(found.2, is_told, "a bit of byte {at}");
            assert_eq!(read_file(&changed, None).before_hole, if hit < 3 { 2 * hit } else { 0 }, "a bit of byte {at}");
            let cut = read_file(&whole[..at], None);
            assert_eq!(cut.rows, records[..hit].concat(), "cut at {at}");
            assert_eq!(cut.has_unreadable, (at - RECORDS_BEGIN) % record_bytes >= 16, "cut at {at}");
        }
        for at in 0..20 {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            let nothing = Contents { has_unreadable: true, ..Contents::default() };
            assert_eq!(read_file(&changed, None), nothing, "nobody knows its nonce");
            let all = Contents { has_unreadable: true, ..read_file(&whole, None) };
            assert_eq!(read_file(&changed, Some(NONCE)), all, "the other file does");
        }
    }

    #[test]
    fn what_a_row_holds_is_never_taken_for_a_record() {
        let mut forged = Vec::new();
        encode(NONCE ^ 1, 9, &[row(1, b"forged")], &mut forged);
        let holder = [row(2, &forged)];
        let mut bytes = file(&[(1, &holder), (1, &[row(3, b"next")])]);
        // Damage makes the reader look for the next record within the one that holds another.
        bytes[RECORDS_BEGIN + 4] ^= 1;
        assert_eq!(read(&bytes), (1, vec![row(3, b"next")], true));
    }
}
