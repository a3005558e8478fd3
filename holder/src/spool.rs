//! The spool of one stream: a file used as a ring, so that it never takes more than its bound, and removed when empty. What is
//! read from it is what was written, or an error.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use ropewalk_protocol::TerminalId;
use rustix::fs::{Advice, FallocateFlags};

use crate::blocks::{BLOCK_BYTES, Blocks, Part};
use crate::buffer::Spool;

/// Bytes released before the file system is asked to take them back.
const PUNCH_BYTES: u64 = 1024 * 1024;

const SUFFIX: &str = "spool";

/// A spool file that exists only while it keeps something.
#[derive(Debug)]
pub(crate) struct SpoolFile {
    path: PathBuf,
    /// How large the file may become: whole blocks, and one more than are kept, since a block is checked as a whole: nothing
    /// is written over the beginning of one whose end is still kept.
    ring_bytes: u64,
    open: Option<Ring>,
    warned: bool,
}

#[derive(Debug)]
struct Ring {
    file: File,
    base: u64,
    punched: u64,
    blocks: Blocks,
}

impl SpoolFile {
    pub(crate) fn new(directory: &Path, stream: TerminalId, bytes_max: u64) -> Self {
        let path = directory.join(format!("{stream}.{SUFFIX}"));
        Self { path, ring_bytes: bytes_max.next_multiple_of(BLOCK_BYTES) + BLOCK_BYTES, open: None, warned: false }
    }

    fn ring(&mut self, offset: u64) -> io::Result<&mut Ring> {
        if self.open.is_none() {
            let options = OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).clone();
            let (file, blocks) = (options.open(&self.path)?, Blocks::from(offset));
            self.open = Some(Ring { file, base: offset, punched: offset, blocks });
        }
        self.open.as_mut().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn write_ring(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let size = self.ring_bytes;
        let ring = self.ring(offset)?;
        for (place, range) in pieces(ring.base, size, offset, bytes.len() as u64) {
            ring.file.write_all_at(&bytes[index(range.0)..index(range.1)], place)?;
        }
        debug_assert_eq!(ring.blocks.end(), offset, "what is kept has no holes");
        // Only now: a write that failed half way is made again as a whole.
        ring.blocks.append(bytes);
        Ok(())
    }
}

impl Spool for SpoolFile {
    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let written = self.write_ring(offset, bytes);
        if written.is_err() && self.open.as_ref().is_some_and(|ring| ring.blocks.is_empty()) {
            // What was refused may find room in memory yet: then other bytes are the first ones that come here.
            self.clear();
        }
        match &written {
            Ok(()) => self.warned = false,
            Err(error) if !self.warned => {
                self.warned = true;
                tracing::warn!(%error, path = %self.path.display(), "cannot spool; the program waits");
            }
            Err(_) => {}
        }
        written
    }

    fn read(&mut self, offset: u64, max: usize, out: &mut Vec<u8>) -> io::Result<()> {
        let ring = self.open.as_ref().ok_or(io::ErrorKind::NotFound)?;
        let part = ring.blocks.part(offset).ok_or(io::ErrorKind::NotFound)?;
        let skip = offset.checked_sub(part.offsets.start).ok_or_else(|| damaged("it was given up"))?;
        let old_length = out.len();
        if let Err(error) = ring.read_part(&part, self.ring_bytes, out) {
            out.truncate(old_length);
            return Err(error);
        }
        out.drain(old_length..old_length + index(skip));
        out.truncate(old_length + max.min(out.len() - old_length));
        Ok(())
    }

    fn lose(&mut self, from: u64) -> u64 {
        self.open.as_mut().map_or(from, |ring| ring.blocks.lose(from))
    }

    fn release(&mut self, to: u64) {
        let Some(ring) = &mut self.open else { return };
        let to = ring.blocks.release(to);
        if to - ring.punched < PUNCH_BYTES {
            return;
        }
        // What was released may have been written again since, and is not to be punched then.
        let from = ring.punched.max(ring.blocks.end().saturating_sub(self.ring_bytes)).min(to);
        for (place, range) in pieces(ring.base, self.ring_bytes, from, to - from) {
            let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            // Without hole punching the file still never grows beyond its bound.
            let _ = rustix::fs::fallocate(&ring.file, flags, place, range.1 - range.0);
        }
        ring.punched = to;
    }

    fn clear(&mut self) {
        if self.open.take().is_some() {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl Ring {
    /// Puts what can be read of a block behind `out`. Bytes that are not what was written are read once more, from the disk.
    fn read_part(&self, part: &Part, ring_bytes: u64, out: &mut Vec<u8>) -> io::Result<()> {
        let (place, length) = ((part.offsets.start - self.base) % ring_bytes, part.offsets.end - part.offsets.start);
        let begin = out.len();
        out.resize(begin + index(length), 0);
        for _ in 0..2 {
            self.file.read_exact_at(&mut out[begin..], place)?;
            if part.is(&out[begin..]) {
                return Ok(());
            }
            // What the system remembers of the file may be what is wrong.
            let _ = rustix::fs::fadvise(&self.file, place, length.try_into().ok(), Advice::DontNeed);
        }
        Err(damaged("its checksum is another one"))
    }
}

/// A block that is not what was written, and will not become so.
fn damaged(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the spool is damaged: {what}"))
}

impl Drop for SpoolFile {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Makes the directory and removes what a holder that was killed left there: the streams are gone with it.
pub(crate) fn prepare_directory(directory: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == SUFFIX) {
            std::fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// Where in the ring a range of the stream stands: the place in the file, and which of the range's bytes.
fn pieces(base: u64, size: u64, offset: u64, length: u64) -> impl Iterator<Item = (u64, (u64, u64))> {
    let place = (offset - base) % size;
    let first = length.min(size - place);
    [(place, (0, first)), (0, (first, length))].into_iter().filter(|(_, (from, to))| from < to)
}

fn index(offset: u64) -> usize {
    usize::try_from(offset).expect("it is within a slice")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(name: &str) -> PathBuf {
        let directory = std::env::temp_dir().join(format!("ropewalk-spool-{name}-{}", std::process::id()));
        prepare_directory(&directory).unwrap();
        directory
    }

    fn text(from: u64, to: u64) -> Vec<u8> {
        (from..to).map(|at| (at % 251) as u8).collect()
    }

    /// Everything in this range, read in pieces of at most `max`.
    fn read(spool: &mut SpoolFile, from: u64, to: u64, max: usize) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        while from + (all.len() as u64) < to {
            let before = all.len();
            spool.read(from + before as u64, max, &mut all)?;
            assert!((1..=max).contains(&(all.len() - before)));
        }
        Ok(all)
    }

    fn flip(path: &Path, place: u64) {
        let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
        let mut byte = [0];
        file.read_exact_at(&mut byte, place).unwrap();
        file.write_all_at(&[byte[0] ^ 1], place).unwrap();
    }

    #[test]
    fn the_file_is_a_ring_and_goes_when_it_is_empty() {
        let directory = directory("ring");
        let mut spool = SpoolFile::new(&directory, TerminalId::from_bytes([1; 16]), 2 * BLOCK_BYTES);
        let path = spool.path.clone();
        spool.write(100, &text(100, 100 + 2 * BLOCK_BYTES)).unwrap();
        let mut start = 100;
        for step in [1, 70_000, 300, BLOCK_BYTES, 60_000, 2 * BLOCK_BYTES] {
            start += step;
            spool.release(start);
            let end = start + 2 * BLOCK_BYTES;
            spool.write(end - step, &text(end - step, end)).unwrap();
            for max in [5000, BLOCK_BYTES as usize, usize::MAX] {
                assert!(read(&mut spool, start, end, max).unwrap() == text(start, end), "from {start}");
            }
        }
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 3 * BLOCK_BYTES);
        spool.clear();
        assert!(!path.exists());
        spool.write(200, b"x").unwrap();
        drop(spool);
        assert!(!path.exists());
        std::fs::write(&path, b"left behind").unwrap();
        prepare_directory(&directory).unwrap();
        assert!(!path.exists());
        std::fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn a_bit_that_flips_is_not_served_and_costs_its_block_only() {
        let directory = directory("flip");
        let mut spool = SpoolFile::new(&directory, TerminalId::from_bytes([1; 16]), 8 * BLOCK_BYTES);
        let end = 3 * BLOCK_BYTES + 10;
        spool.write(0, &text(0, end)).unwrap();
        flip(&spool.path, BLOCK_BYTES + 5);
        flip(&spool.path, end - 1);
        let damaged = BLOCK_BYTES..2 * BLOCK_BYTES;
        for offset in [damaged.start, damaged.start + 5, damaged.end - 1, 3 * BLOCK_BYTES, end - 1] {
            let mut out = b"kept".to_vec();
            let error = spool.read(offset, 1, &mut out).unwrap_err();
            assert_eq!((error.kind(), &out[..]), (io::ErrorKind::InvalidData, &b"kept"[..]), "at {offset}");
        }
        assert!(read(&mut spool, 0, damaged.start, usize::MAX).unwrap() == text(0, damaged.start));
        assert_eq!(spool.lose(damaged.start + 7), damaged.end);
        assert!(read(&mut spool, damaged.end, 3 * BLOCK_BYTES, 9999).unwrap() == text(damaged.end, 3 * BLOCK_BYTES));
        assert_eq!(spool.lose(3 * BLOCK_BYTES), end);
        spool.write(end, &text(end, end + BLOCK_BYTES)).unwrap();
        assert!(read(&mut spool, end, end + BLOCK_BYTES, 9999).unwrap() == text(end, end + BLOCK_BYTES));
        assert!(spool.read(end - 1, 1, &mut Vec::new()).is_err(), "what was given up stays so");
        // The disk gives the right byte again: what was given up was told as lost, and is not served after all.
        flip(&spool.path, BLOCK_BYTES + 5);
        assert!(spool.read(damaged.start, 1, &mut Vec::new()).is_err());
        drop(spool);
        std::fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn a_write_that_failed_half_way_and_is_made_again_is_read_as_it_is() {
        let directory = directory("again");
        let mut spool = SpoolFile::new(&directory, TerminalId::from_bytes([1; 16]), 8 * BLOCK_BYTES);
        spool.write(0, &text(0, 50_000)).unwrap();
        // What such a write leaves behind the end, in the middle of a block.
        OpenOptions::new().write(true).open(&spool.path).unwrap().write_all_at(&[7; 30_000], 50_000).unwrap();
        assert!(read(&mut spool, 0, 50_000, usize::MAX).unwrap() == text(0, 50_000));
        spool.write(50_000, &text(50_000, 120_000)).unwrap();
        assert!(read(&mut spool, 0, 120_000, usize::MAX).unwrap() == text(0, 120_000));
        drop(spool);
        std::fs::remove_dir_all(directory).unwrap();
    }

    /// What a full disk refused found room in memory once the daemon had stored some of that; the next bytes were the first ones
    /// that were spooled, and stood elsewhere than where their checksums were looked for.
    #[test]
    fn regression_bytes_behind_others_that_were_refused_are_read_as_they_are() {
        let directory = directory("refused");
        let mut spool = SpoolFile::new(&directory, TerminalId::from_bytes([1; 16]), 8 * BLOCK_BYTES);
        std::os::unix::fs::symlink("/dev/full", &spool.path).unwrap();
        assert_eq!(spool.write(100, &text(100, 200)).unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert!(spool.path.symlink_metadata().is_err(), "nothing is kept, so there is no file");
        let (from, end) = (50_000, 50_000 + 2 * BLOCK_BYTES);
        spool.write(from, &text(from, end)).unwrap();
        assert!(read(&mut spool, from, end, usize::MAX).unwrap() == text(from, end));
        assert_eq!(spool.lose(end), end, "there is nothing behind it to give up");
        drop(spool);
        std::fs::remove_dir_all(directory).unwrap();
    }

    /// A full spool whose daemon came back: bytes were forgotten, fewer than are punched at a time; the program wrote on in their
    /// place; and once more were forgotten, what it had written was punched with them.
    #[test]
    fn regression_what_was_written_in_the_place_of_released_bytes_is_not_punched() {
        let directory = directory("punched");
        // The ring has one block more than is kept.
        let mut spool = SpoolFile::new(&directory, TerminalId::from_bytes([1; 16]), 2 * PUNCH_BYTES - BLOCK_BYTES);
        let (full, part) = (vec![b'a'; index(2 * PUNCH_BYTES)], vec![b'b'; index(PUNCH_BYTES / 2)]);
        spool.write(0, &full).unwrap();
        spool.release(PUNCH_BYTES / 2);
        spool.write(2 * PUNCH_BYTES, &part).unwrap();
        spool.release(PUNCH_BYTES);
        let end = 5 * PUNCH_BYTES / 2;
        assert!(read(&mut spool, 2 * PUNCH_BYTES, end, usize::MAX).unwrap() == part);
        drop(spool);
        std::fs::remove_dir_all(directory).unwrap();
    }
}
