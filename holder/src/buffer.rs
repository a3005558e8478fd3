//! The bytes of one stream that are not durable yet: in memory first, then in a spool, never dropped. Pure but for the
//! spool, which it is given.

use std::collections::VecDeque;
use std::io;

use ropewalk_protocol::limits;

/// What an empty buffer may keep allocated.
const IDLE_BYTES_MAX: usize = 4096;

/// Where bytes go that memory has no place for. Offsets are the stream's.
pub(crate) trait Spool {
    /// Keeps bytes. They follow those kept before.
    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Puts up to `max` bytes that it keeps from this offset on behind `out`, one at least, and nothing if it fails. Bytes that
    /// are not what was written, or were given up, are `InvalidData`.
    fn read(&mut self, offset: u64, max: usize, out: &mut Vec<u8>) -> io::Result<()>;
    /// Gives up what it cannot read from this offset on. The offset that may be read from again.
    fn lose(&mut self, from: u64) -> u64;
    /// Forgets what it keeps before this offset.
    fn release(&mut self, to: u64);
    /// Forgets all.
    fn clear(&mut self);
}

/// How much a buffer keeps.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) memory_bytes_max: usize,
    pub(crate) spool_bytes_max: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { memory_bytes_max: limits::HOLDER_MEMORY_BYTES_MAX, spool_bytes_max: limits::HOLDER_SPOOL_BYTES_MAX }
    }
}

/// The kept bytes. Oldest first they are in memory, in the spool, and in `unspooled` if the spool refused them.
#[derive(Debug)]
pub(crate) struct Buffer<S> {
    start: u64,
    memory: VecDeque<u8>,
    spooled: u64,
    unspooled: Vec<u8>,
    bounds: Bounds,
    spool: S,
}

impl<S: Spool> Buffer<S> {
    pub(crate) fn new(bounds: Bounds, spool: S) -> Self {
        Self { start: 0, memory: VecDeque::new(), spooled: 0, unspooled: Vec::new(), bounds, spool }
    }

    /// The offset of the first byte kept.
    pub(crate) fn start(&self) -> u64 {
        self.start
    }

    /// The offset after the last byte ever appended.
    pub(crate) fn end(&self) -> u64 {
        self.spool_end() + self.unspooled.len() as u64
    }

    /// How many bytes may be appended. 0 means: let the program wait.
    pub(crate) fn room(&self) -> usize {
        if !self.unspooled.is_empty() {
            return 0;
        }
        let spool = self.bounds.spool_bytes_max.saturating_sub(self.spooled);
        self.memory_room().saturating_add(usize::try_from(spool).unwrap_or(usize::MAX))
    }

    /// Takes bytes, at most [`Self::room`]. They are kept even if the spool fails; then there is no more room.
    pub(crate) fn append(&mut self, bytes: &[u8]) {
        debug_assert!(bytes.len() <= self.room(), "the caller asks for room first");
        let (to_memory, rest) = bytes.split_at(bytes.len().min(self.memory_room()));
        self.memory.extend(to_memory);
        if !rest.is_empty() && (!self.unspooled.is_empty() || !self.spool_bytes(rest)) {
            self.unspooled.extend_from_slice(rest);
        }
    }

    /// Forgets what stands before this offset, and tries again to spool what was refused.
    pub(crate) fn forget(&mut self, offset: u64) {
        let offset = offset.clamp(self.start, self.end());
        let from_memory = take(offset - self.start, self.memory.len());
        self.memory.drain(..from_memory);
        self.start += from_memory as u64;
        let from_spool = (offset - self.start).min(self.spooled);
        if from_spool > 0 {
            self.start += from_spool;
            self.spooled -= from_spool;
            if self.spooled == 0 { self.spool.clear() } else { self.spool.release(self.start) }
        }
        let from_rest = take(offset - self.start, self.unspooled.len());
        self.unspooled.drain(..from_rest);
        self.start += from_rest as u64;
        self.settle();
    }

    /// Puts up to `max` kept bytes from this offset on behind `out`; fewer where two places of keeping meet, and as many as the
    /// spool reads at once.
    pub(crate) fn read(&mut self, from: u64, max: usize, out: &mut Vec<u8>) -> io::Result<()> {
        if from < self.start || from >= self.end() {
            return Ok(());
        }
        let (memory_end, spool_end) = (self.memory_end(), self.spool_end());
        if from < memory_end {
            let (first, second) = self.memory.as_slices();
            let at = take(from - self.start, self.memory.len());
            let piece = if at < first.len() { &first[at..] } else { &second[at - first.len()..] };
            out.extend_from_slice(&piece[..piece.len().min(max)]);
        } else if from < spool_end {
            return self.spool.read(from, take(spool_end - from, max), out);
        } else {
            let piece = &self.unspooled[take(from - spool_end, self.unspooled.len())..];
            out.extend_from_slice(&piece[..piece.len().min(max)]);
        }
        Ok(())
    }

    /// Gives up what the spool cannot read from this offset on: it is passed over. The offset of what comes next.
    pub(crate) fn lose(&mut self, from: u64) -> u64 {
        self.spool.lose(from).clamp(from, self.spool_end())
    }

    /// Whether the spool refused bytes that are in memory instead.
    pub(crate) fn is_refused(&self) -> bool {
        !self.unspooled.is_empty()
    }

    /// Tries again to spool what was refused.
    pub(crate) fn retry(&mut self) {
        self.settle();
    }

    /// How many bytes are kept.
    pub(crate) fn kept(&self) -> u64 {
        self.end() - self.start
    }

    fn memory_end(&self) -> u64 {
        self.start + self.memory.len() as u64
    }

    fn spool_end(&self) -> u64 {
        self.memory_end() + self.spooled
    }

    /// Memory takes bytes only while none are in the spool, or they would change their order.
    fn memory_room(&self) -> usize {
        if self.spooled > 0 || !self.unspooled.is_empty() {
            return 0;
        }
        self.bounds.memory_bytes_max.saturating_sub(self.memory.len())
    }

    fn spool_bytes(&mut self, bytes: &[u8]) -> bool {
        let fits = self.spooled + bytes.len() as u64 <= self.bounds.spool_bytes_max;
        if !fits || self.spool.write(self.spool_end(), bytes).is_err() {
            return false;
        }
        self.spooled += bytes.len() as u64;
        true
    }

    fn settle(&mut self) {
        if !self.unspooled.is_empty() {
            let rest = std::mem::take(&mut self.unspooled);
            let fits = self.memory.len() + rest.len() <= self.bounds.memory_bytes_max || self.memory.is_empty();
            if self.spooled == 0 && fits {
                self.memory.extend(&rest);
            } else if !self.spool_bytes(&rest) {
                self.unspooled = rest;
            }
        }
        if self.memory.is_empty() && self.memory.capacity() > IDLE_BYTES_MAX {
            self.memory = VecDeque::new();
        }
    }
}

fn take(wanted: u64, there: usize) -> usize {
    usize::try_from(wanted).unwrap_or(usize::MAX).min(there)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A spool in memory that can be told to refuse.
    #[derive(Default)]
    struct Fake {
        start: u64,
        bytes: Vec<u8>,
        refuses: bool,
        cleared: usize,
    }

    impl Spool for Fake {
        fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
            if self.refuses {
                return Err(io::ErrorKind::StorageFull.into());
            }
            if self.bytes.is_empty() {
                self.start = offset;
            }
            assert_eq!(offset, self.start + self.bytes.len() as u64);
            self.bytes.extend_from_slice(bytes);
            Ok(())
        }

        fn read(&mut self, offset: u64, max: usize, out: &mut Vec<u8>) -> io::Result<()> {
            if self.refuses {
                return Err(io::ErrorKind::Other.into());
            }
            let at = (offset - self.start) as usize;
            out.extend(self.bytes[at..].iter().take(max));
            Ok(())
        }

        fn lose(&mut self, from: u64) -> u64 {
            from + 4
        }

        fn release(&mut self, to: u64) {
            self.bytes.drain(..(to - self.start) as usize);
            self.start = to;
        }

        fn clear(&mut self) {
            self.bytes.clear();
            self.cleared += 1;
        }
    }

    fn buffer() -> Buffer<Fake> {
        Buffer::new(Bounds { memory_bytes_max: 8, spool_bytes_max: 16 }, Fake::default())
    }

    fn text(offset: u64, length: usize) -> Vec<u8> {
        (offset..).map(|at| (at % 251) as u8).take(length).collect()
    }

    fn fill(buffer: &mut Buffer<Fake>, mut length: usize) {
        while length > 0 {
            let step = length.min(5);
            buffer.append(&text(buffer.end(), step));
            length -= step;
        }
    }

    fn all(buffer: &mut Buffer<Fake>) -> Vec<u8> {
        let mut out = Vec::new();
        let start = buffer.start();
        while start + (out.len() as u64) < buffer.end() {
            buffer.read(start + out.len() as u64, 3, &mut out).unwrap();
        }
        out
    }

    #[test]
    fn bytes_go_to_memory_then_to_the_spool_and_then_the_program_waits() {
        let mut buffer = buffer();
        fill(&mut buffer, 24);
        assert_eq!((buffer.room(), buffer.memory.len(), buffer.spooled), (0, 8, 16));
        assert_eq!(all(&mut buffer), text(0, 24));
    }

    #[test]
    fn what_is_forgotten_makes_room_and_an_empty_spool_is_cleared() {
        let mut buffer = buffer();
        fill(&mut buffer, 24);
        buffer.forget(5);
        assert_eq!((buffer.start(), buffer.room()), (5, 0), "memory takes nothing while newer bytes are spooled");
        buffer.forget(12);
        assert_eq!((buffer.start(), buffer.room(), all(&mut buffer)), (12, 4, text(12, 12)));
        fill(&mut buffer, 4);
        assert_eq!((buffer.room(), all(&mut buffer)), (0, text(12, 16)));
        buffer.forget(28);
        assert_eq!((buffer.start(), buffer.end(), buffer.room(), buffer.spool.cleared), (28, 28, 24, 1));
        fill(&mut buffer, 2);
        assert_eq!((buffer.memory.len(), all(&mut buffer)), (2, text(28, 2)));
    }

    #[test]
    fn bytes_that_the_spool_refuses_are_kept_and_go_there_later() {
        let mut buffer = buffer();
        fill(&mut buffer, 10);
        buffer.spool.refuses = true;
        fill(&mut buffer, 5);
        assert_eq!((buffer.room(), buffer.unspooled.len(), buffer.end()), (0, 5, 15));
        buffer.spool.refuses = false;
        assert_eq!(all(&mut buffer), text(0, 15));
        buffer.forget(3);
        assert_eq!((buffer.room(), buffer.unspooled.len(), all(&mut buffer)), (9, 0, text(3, 12)));
    }

    #[test]
    fn refused_bytes_go_to_memory_when_all_before_them_are_forgotten() {
        let mut buffer = buffer();
        buffer.spool.refuses = true;
        fill(&mut buffer, 10);
        assert_eq!((buffer.room(), all(&mut buffer)), (0, text(0, 10)));
        buffer.forget(4);
        assert_eq!((buffer.unspooled.len(), buffer.memory.len(), all(&mut buffer)), (0, 6, text(4, 6)));
    }

    #[test]
    fn bytes_that_the_spool_refused_are_spooled_by_a_later_try_and_the_program_goes_on() {
        let mut buffer = buffer();
        fill(&mut buffer, 10);
        buffer.spool.refuses = true;
        fill(&mut buffer, 3);
        buffer.retry();
        assert!(buffer.is_refused() && buffer.room() == 0);
        buffer.spool.refuses = false;
        buffer.retry();
        assert!(!buffer.is_refused() && buffer.room() > 0);
        assert_eq!(all(&mut buffer), text(0, 13));
    }

    #[test]
    fn a_spool_that_cannot_be_read_for_a_while_loses_nothing() {
        let mut buffer = buffer();
        fill(&mut buffer, 12);
        buffer.spool.refuses = true;
        fill(&mut buffer, 3);
        let mut out = Vec::new();
        assert!(buffer.read(9, 3, &mut out).is_err() && out.is_empty());
        buffer.spool.refuses = false;
        assert_eq!((buffer.start(), all(&mut buffer)), (0, text(0, 15)));
    }

    #[test]
    fn what_is_given_up_ends_with_what_is_spooled() {
        let mut buffer = buffer();
        fill(&mut buffer, 12);
        assert_eq!((buffer.lose(8), buffer.lose(10)), (12, 12));
    }

    #[test]
    fn offsets_out_of_range_do_nothing() {
        let mut buffer = buffer();
        fill(&mut buffer, 6);
        buffer.forget(4);
        buffer.forget(1);
        let mut out = Vec::new();
        buffer.read(2, 9, &mut out).unwrap();
        buffer.read(6, 9, &mut out).unwrap();
        assert_eq!((out.len(), buffer.start()), (0, 4));
        buffer.forget(100);
        assert_eq!((buffer.start(), buffer.end()), (6, 6));
    }
}
