//! The spool of one stream: a file used as a ring, so that it never takes more than its bound, and removed when empty.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use ropewalk_protocol::TerminalId;
use rustix::fs::FallocateFlags;

use crate::buffer::Spool;

/// Bytes released before the file system is asked to take them back.
const PUNCH_BYTES: u64 = 1024 * 1024;

const SUFFIX: &str = "spool";

/// A spool file that exists only while it keeps something.
#[derive(Debug)]
pub(crate) struct SpoolFile {
    path: PathBuf,
    bytes_max: u64,
    open: Option<Ring>,
    warned: bool,
}

#[derive(Debug)]
struct Ring {
    file: File,
    base: u64,
    punched: u64,
    /// The offset after the last byte written.
    end: u64,
}

impl SpoolFile {
    pub(crate) fn new(directory: &Path, stream: TerminalId, bytes_max: u64) -> Self {
        Self { path: directory.join(format!("{stream}.{SUFFIX}")), bytes_max, open: None, warned: false }
    }

    fn ring(&mut self, offset: u64) -> io::Result<&mut Ring> {
        if self.open.is_none() {
            let options = OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).clone();
            self.open = Some(Ring { file: options.open(&self.path)?, base: offset, punched: offset, end: offset });
        }
        self.open.as_mut().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn write_ring(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let size = self.bytes_max;
        let ring = self.ring(offset)?;
        for (place, range) in pieces(ring.base, size, offset, bytes.len() as u64) {
            ring.file.write_all_at(&bytes[index(range.0)..index(range.1)], place)?;
        }
        ring.end = offset + bytes.len() as u64;
        Ok(())
    }
}

impl Spool for SpoolFile {
    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let written = self.write_ring(offset, bytes);
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

    fn read(&mut self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        let ring = self.open.as_ref().ok_or(io::ErrorKind::NotFound)?;
        for (place, range) in pieces(ring.base, self.bytes_max, offset, bytes.len() as u64) {
            ring.file.read_exact_at(&mut bytes[index(range.0)..index(range.1)], place)?;
        }
        Ok(())
    }

    fn release(&mut self, to: u64) {
        let Some(ring) = &mut self.open else { return };
        if to - ring.punched < PUNCH_BYTES {
            return;
        }
        // What was released may have been written again since, and is not to be punched then.
        let from = ring.punched.max(ring.end.saturating_sub(self.bytes_max)).min(to);
        for (place, range) in pieces(ring.base, self.bytes_max, from, to - from) {
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

    #[test]
    fn the_file_is_a_ring_and_goes_when_it_is_empty() {
        let directory = std::env::temp_dir().join(format!("ropewalk-spool-{}", std::process::id()));
        prepare_directory(&directory).unwrap();
        let mut spool = SpoolFile::new(&directory, TerminalId::from_bytes([1; 16]), 10);
        let path = spool.path.clone();
        spool.write(100, b"abcdefgh").unwrap();
        spool.release(106);
        spool.write(108, b"ijklm").unwrap();
        let mut bytes = [0; 7];
        spool.read(106, &mut bytes).unwrap();
        assert_eq!(&bytes, b"ghijklm");
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 10);
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

    /// A full spool whose daemon came back: bytes were forgotten, fewer than are punched at a time; the program wrote on in their
    /// place; and once more were forgotten, what it had written was punched with them.
    #[test]
    fn regression_what_was_written_in_the_place_of_released_bytes_is_not_punched() {
        let directory = std::env::temp_dir().join(format!("ropewalk-spool-again-{}", std::process::id()));
        prepare_directory(&directory).unwrap();
        let mut spool = SpoolFile::new(&directory, TerminalId::from_bytes([1; 16]), 2 * PUNCH_BYTES);
        let (full, part) = (vec![b'a'; index(2 * PUNCH_BYTES)], vec![b'b'; index(PUNCH_BYTES / 2)]);
        spool.write(0, &full).unwrap();
        spool.release(PUNCH_BYTES / 2);
        spool.write(2 * PUNCH_BYTES, &part).unwrap();
        spool.release(PUNCH_BYTES);
        let mut bytes = vec![0; part.len()];
        spool.read(2 * PUNCH_BYTES, &mut bytes).unwrap();
        assert!(bytes == part);
        drop(spool);
        std::fs::remove_dir_all(directory).unwrap();
    }
}
