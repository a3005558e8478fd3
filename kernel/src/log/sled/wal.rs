//! The write-ahead log of a volume: two files that take turns. While one is written, the rows of the other go into the
//! database.

pub(in crate::log) mod record;

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use ropewalk_protocol::limits;
use uuid::Uuid;

use super::super::store::{Row, StoreError};
use super::sync_directory;
use crate::planted::{Bug, is_planted};
use record::RECORDS_BEGIN;

const NAMES: [&str; 2] = ["wal-0", "wal-1"];

/// The files, open to be written.
pub(super) struct Wal {
    files: [File; 2],
    /// Which of them is written.
    current: usize,
    /// Where its next record goes.
    at: usize,
    nonce: u64,
    epoch: u32,
    file_bytes: usize,
    record: Vec<u8>,
}

impl Wal {
    /// Makes the files in a volume's directory, each as long as it may become: to write what is there already costs one sync
    /// of the disk, and to lengthen a file two.
    pub(super) fn create(directory: &Path, file_bytes: usize) -> Result<Self, StoreError> {
        // The second half of a version 7 UUID has 32 random bits at least, which nobody outside can know.
        let (_, nonce) = Uuid::now_v7().as_u64_pair();
        let make = |path: PathBuf| {
            // One that is there may hold commits, and is read by whoever opens the volume.
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
            let mut blank = record::file_header(nonce);
            blank.resize(file_bytes, 0);
            file.write_all(&blank)?;
            file.sync_all()?;
            Ok::<File, StoreError>(file)
        };
        let files = [make(directory.join(NAMES[0]))?, make(directory.join(NAMES[1]))?];
        sync_directory(directory)?;
        Ok(Self { files, current: 0, at: RECORDS_BEGIN, nonce, epoch: 1, file_bytes, record: Vec::new() })
    }

    /// Whether there is room for the record of these rows. One that is too large for any file has a file of its own, which
    /// grows.
    pub(super) fn has_room(&self, rows: &[Row]) -> bool {
        self.at == RECORDS_BEGIN || self.at + record::length(rows) <= self.file_bytes
    }

    /// Writes the other file from here on. All that it holds must be in the database.
    pub(super) fn turn(&mut self) {
        self.current = 1 - self.current;
        self.at = RECORDS_BEGIN;
        self.epoch += 1;
    }

    /// Takes the files away: all that they hold is in the database, and durable there.
    pub(super) fn remove(self, directory: &Path) -> Result<(), StoreError> {
        // The older one first, as in `Left::put_away`.
        for name in [NAMES[1 - self.current], NAMES[self.current]] {
            fs::remove_file(directory.join(name))?;
            sync_directory(directory)?;
        }
        Ok(())
    }

    /// Writes these rows; on success they are on stable storage. After an error nothing is known of them until the files are
    /// read again.
    pub(super) fn append(&mut self, rows: &[Row]) -> Result<(), StoreError> {
        self.record.clear();
        record::encode(self.nonce, self.epoch, rows, &mut self.record);
        let file = &self.files[self.current];
        if let Err(error) = file.write_all_at(&self.record, self.at as u64) {
            // Part of it may be there, which nobody could tell from damage later. It was not acknowledged, and is not to be: a
            // record of nothing takes its place.
            self.record.clear();
            record::encode(self.nonce, self.epoch, &[], &mut self.record);
            let replaced = file.write_all_at(&self.record, self.at as u64);
            // What lies behind is of an older epoch, and in the database.
            if let Err(error) = replaced.or_else(|_| file.set_len(self.at as u64)) {
                tracing::warn!(%error, "what a refused write left may look like damage later");
            }
            return Err(error.into());
        }
        if !is_planted(Bug::AcknowledgedBeforeSync) {
            file.sync_data()?;
        }
        self.at += self.record.len();
        self.record.shrink_to(self.file_bytes);
        Ok(())
    }
}

/// What a volume's write-ahead log holds.
pub(super) struct Left {
    /// Its rows, in the order in which they were written. Some or all of them may be in the database.
    pub(super) rows: Vec<Row>,
    /// Rows that count only if the database has none under their keys: they lie before a hole in the older file. Either that
    /// is damage; or the file was being written again, all it held is in the database, and what was newer lay in the hole.
    pub(super) outdated: Vec<Row>,
    /// The files that are there, the older one first, and whether they hold what cannot be read.
    files: Vec<(&'static str, bool)>,
}

/// Reads a volume's write-ahead log, if it has one.
///
/// # Errors
/// `Damaged` when the disk does not read it; the system has no more to give.
pub(super) fn read(directory: &Path) -> Result<Option<Left>, StoreError> {
    let mut read = Vec::new();
    for name in NAMES {
        let path = directory.join(name);
        let mut bytes = Vec::new();
        let done = File::open(&path).and_then(|file| file.take(limits::WAL_READ_BYTES_MAX).read_to_end(&mut bytes));
        match done.map_err(|error| (error.kind(), StoreError::from(error))) {
            Ok(_) => read.push((name, bytes)),
            Err((ErrorKind::NotFound, _)) => {}
            Err((_, StoreError::Io(error))) => {
                return Err(StoreError::Damaged(format!("{}: {error}", path.display())));
            }
            Err((_, error)) => return Err(error),
        }
    }
    let nonce = read.iter().find_map(|(_, bytes)| record::nonce(bytes));
    let contents = |bytes: &[u8]| {
        let contents = record::read_file(bytes, nonce);
        let is_longer = bytes.len() as u64 >= limits::WAL_READ_BYTES_MAX;
        record::Contents { has_unreadable: contents.has_unreadable || is_longer, ..contents }
    };
    let mut files: Vec<_> = read.iter().map(|(name, bytes)| (*name, contents(bytes))).collect();
    files.sort_by_key(|(_, contents)| contents.epoch);
    let mut left = Left { rows: Vec::new(), outdated: Vec::new(), files: Vec::new() };
    let newest = files.len().saturating_sub(1);
    // One without rows was refused its first commit, and then the older one was not written again.
    let newest_has_rows = files.last().is_some_and(|(_, contents)| !contents.rows.is_empty());
    for (place, (name, mut contents)) in files.into_iter().enumerate() {
        left.files.push((name, contents.has_unreadable));
        if place < newest && newest_has_rows {
            left.outdated.extend(contents.rows.drain(..contents.before_hole));
        }
        left.rows.append(&mut contents.rows);
    }
    Ok(Some(left).filter(|left| !left.files.is_empty()))
}

/// What the name of a file with something unreadable in it goes on with, before its number.
const UNREADABLE: &str = ".unreadable-";

/// The numbers of the files that were kept aside of this one, the oldest first.
fn kept_aside(directory: &Path, name: &str) -> Result<Vec<u64>, StoreError> {
    let mut numbers = Vec::new();
    let entries = match fs::read_dir(directory) {
        // Word of a volume that was given up is a file.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(numbers),
        other => other?,
    };
    for entry in entries {
        let found = entry?.file_name();
        let number: Option<u64> =
            found.to_str().and_then(|found| found.strip_prefix(name)?.strip_prefix(UNREADABLE)?.parse().ok());
        numbers.extend(number);
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// The names of the files in a volume's directory that hold what could not be read.
pub(super) fn unreadable(directory: &Path) -> Result<Vec<String>, StoreError> {
    let mut names = Vec::new();
    for name in NAMES {
        names.extend(kept_aside(directory, name)?.into_iter().map(|number| format!("{name}{UNREADABLE}{number}")));
    }
    Ok(names)
}

/// Keeps a file that holds what cannot be read, under another name. A crash in the middle of a write, or damage, makes one:
/// nobody can tell whether it holds what was acknowledged, so none is removed.
fn keep_aside(directory: &Path, name: &str) -> Result<(), StoreError> {
    let kept = kept_aside(directory, name)?;
    let number = kept.last().map_or(1, |newest| newest.saturating_add(1));
    let aside = directory.join(format!("{name}{UNREADABLE}{number}"));
    tracing::warn!(aside = %aside.display(), "a write-ahead log holds what cannot be read: a commit that a crash cut, or damage");
    fs::rename(directory.join(name), aside)?;
    Ok(())
}

impl Left {
    /// Takes the files away, once all that could be read is in the database and durable there. What could not be read stays,
    /// under another name.
    pub(super) fn put_away(&self, directory: &Path) -> Result<(), StoreError> {
        for (name, has_unreadable) in &self.files {
            let path = directory.join(name);
            if *has_unreadable {
                keep_aside(directory, name)?;
            } else {
                fs::remove_file(path)?;
            }
            // The older one is away for good before the newer one is: alone, it would bring back what was overwritten since.
            sync_directory(directory)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

    use super::*;

    /// A file that takes no byte behind its end, as a full disk.
    fn of_bytes(bytes: usize, nonce: u64) -> File {
        let file = File::from(memfd_create("wal", MemfdFlags::ALLOW_SEALING).expect("a file in memory"));
        let mut blank = record::file_header(nonce);
        blank.resize(bytes, 0);
        file.write_all_at(&blank, 0).expect("writes");
        fcntl_add_seals(&file, SealFlags::GROW).expect("keeps its length");
        file
    }

    #[test]
    fn what_a_refused_write_leaves_is_not_taken_for_damage() {
        const PAGE: usize = 4096;
        let file_bytes = 4 * PAGE;
        let files = [of_bytes(file_bytes, 7), of_bytes(file_bytes, 7)];
        let mut wal = Wal { files, current: 0, at: RECORDS_BEGIN, nonce: 7, epoch: 1, file_bytes, record: Vec::new() };
        let (small, large) = (vec![(vec![1], vec![1; PAGE])], vec![(vec![2], vec![2; file_bytes])]);
        let contents = |wal: &Wal| {
            let mut bytes = vec![0; file_bytes];
            wal.files[0].read_exact_at(&mut bytes, 0).expect("reads");
            record::read_file(&bytes, None)
        };
        // Whole pages of it may be there when the rest is refused.
        let tear = |wal: &Wal| {
            let mut bytes = Vec::new();
            record::encode(wal.nonce, wal.epoch, &large, &mut bytes);
            wal.files[0].write_all_at(&bytes[..PAGE], wal.at as u64).expect("there is room");
            assert!(contents(wal).has_unreadable);
        };
        wal.append(&small).expect("there is room");
        wal.append(&small).expect("there is room");
        tear(&wal);
        wal.append(&large).expect_err("there is none");
        let left = contents(&wal);
        assert_eq!((left.rows, left.has_unreadable), ([&small[..], &small[..]].concat(), false));
        // The same where the file is written again, over what it held before.
        (wal.at, wal.epoch) = (RECORDS_BEGIN, 3);
        tear(&wal);
        wal.append(&large).expect_err("there is none");
        let left = contents(&wal);
        assert_eq!((left.epoch, left.rows, left.has_unreadable), (3, Vec::new(), false));
    }
}
