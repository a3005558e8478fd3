//! What a spool's bytes must be when they are read again: a checksum for each block of them, kept in memory, since a spool is
//! of no use to anybody after its holder. Pure.
//!
//! Blocks are counted from where the spool began. The last one grows: its checksum is of what was written so far, so that bytes
//! of a write that failed half way are in none.

use std::collections::VecDeque;
use std::ops::Range;

use ropewalk_protocol::limits;

pub(crate) const BLOCK_BYTES: u64 = limits::HOLDER_SPOOL_BLOCK_BYTES as u64;

/// The checksums of a spool. Offsets are the stream's.
#[derive(Debug)]
pub(crate) struct Blocks {
    begin: u64,
    end: u64,
    /// How many blocks were released.
    released: u64,
    kept: VecDeque<Block>,
}

/// One block.
#[derive(Debug, Clone, Copy, Default)]
struct Block {
    /// Bytes at its beginning that were given up.
    lost: u32,
    /// The checksum of the others.
    crc: u32,
}

/// What can be read of a block: all of it, or nothing is known to be right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) offsets: Range<u64>,
    pub(crate) crc: u32,
}

impl Part {
    /// Whether these are the bytes that were written.
    pub(crate) fn is(&self, bytes: &[u8]) -> bool {
        crc32fast::hash(bytes) == self.crc
    }
}

impl Blocks {
    /// Of a spool whose first byte has this offset.
    pub(crate) fn from(begin: u64) -> Self {
        Self { begin, end: begin, released: 0, kept: VecDeque::new() }
    }

    /// The offset after the last byte written.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// Whether nothing was ever written.
    pub(crate) fn is_empty(&self) -> bool {
        self.begin == self.end
    }

    /// Takes in what was written behind all before.
    pub(crate) fn append(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let within = (self.end - self.begin) % BLOCK_BYTES;
            if within == 0 {
                self.kept.push_back(Block::default());
            }
            let room = usize::try_from(BLOCK_BYTES - within).unwrap_or(usize::MAX);
            let (now, later) = bytes.split_at(bytes.len().min(room));
            let block = self.kept.back_mut().expect("a block that is not full is not released");
            let mut crc = crc32fast::Hasher::new_with_initial(block.crc);
            crc.update(now);
            block.crc = crc.finalize();
            self.end += now.len() as u64;
            bytes = later;
        }
    }

    /// What can be read of the block that has this offset. It begins behind the offset when that was given up.
    pub(crate) fn part(&self, offset: u64) -> Option<Part> {
        let block = self.kept.get(self.place(offset)?)?;
        let begin = offset - (offset - self.begin) % BLOCK_BYTES;
        Some(Part { offsets: begin + u64::from(block.lost)..self.end.min(begin + BLOCK_BYTES), crc: block.crc })
    }

    /// Gives up what is written of the block that has this offset; what is written behind it from now on can be read. The
    /// offset that can be read from. What was given up before stays as it is.
    pub(crate) fn lose(&mut self, offset: u64) -> u64 {
        let (Some(place), Some(part)) = (self.place(offset), self.part(offset)) else { return offset };
        if offset < part.offsets.start {
            return part.offsets.start;
        }
        let begin = offset - (offset - self.begin) % BLOCK_BYTES;
        let lost = u32::try_from(part.offsets.end - begin).expect("a block is far below 4 GiB");
        self.kept[place] = Block { lost, crc: 0 };
        part.offsets.end
    }

    /// Forgets the blocks that lie wholly before this offset. The offset of the first one kept.
    pub(crate) fn release(&mut self, to: u64) -> u64 {
        let whole = (to.min(self.end) - self.begin) / BLOCK_BYTES;
        while self.released < whole {
            self.kept.pop_front();
            self.released += 1;
        }
        self.begin + self.released * BLOCK_BYTES
    }

    /// Which of the kept blocks has this offset.
    fn place(&self, offset: u64) -> Option<usize> {
        let number = offset.checked_sub(self.begin)? / BLOCK_BYTES;
        usize::try_from(number.checked_sub(self.released)?).ok().filter(|_| offset < self.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGIN: u64 = 1000;

    fn text(from: u64, to: u64) -> Vec<u8> {
        (from..to).map(|at| (at % 251) as u8).collect()
    }

    /// Blocks of bytes that came in pieces of these sizes.
    fn written(pieces: &[u64]) -> Blocks {
        let mut blocks = Blocks::from(BEGIN);
        for piece in pieces {
            blocks.append(&text(blocks.end(), blocks.end() + piece));
        }
        blocks
    }

    fn part(blocks: &Blocks, offset: u64) -> Range<u64> {
        let part = blocks.part(offset).unwrap();
        let bytes = text(part.offsets.start, part.offsets.end);
        assert!(part.is(&bytes), "at {offset}");
        if let Some(last) = bytes.len().checked_sub(1) {
            for place in [0, last / 2, last] {
                let mut other = bytes.clone();
                other[place] ^= 1 << (place % 8);
                assert!(!part.is(&other), "a bit of {place} of {offset}'s block flipped");
            }
        }
        part.offsets
    }

    #[test]
    fn bytes_are_known_again_however_they_were_cut_into_writes() {
        for pieces in [vec![150_000], vec![1, 65_534, 1, 1, 65_536, 18_927], vec![75_000; 2]] {
            let blocks = written(&pieces);
            for offset in [BEGIN, BEGIN + 65_535] {
                assert_eq!(part(&blocks, offset), BEGIN..BEGIN + 65_536);
            }
            assert_eq!(part(&blocks, BEGIN + 65_536), BEGIN + 65_536..BEGIN + 131_072);
            assert_eq!(part(&blocks, BEGIN + 149_999), BEGIN + 131_072..BEGIN + 150_000);
            assert_eq!((blocks.part(BEGIN + 150_000), blocks.part(BEGIN - 1)), (None, None));
        }
    }

    #[test]
    fn a_block_is_forgotten_once_all_of_it_is_released() {
        let mut blocks = written(&[150_000]);
        assert_eq!(blocks.release(BEGIN + 65_535), BEGIN);
        assert_eq!(part(&blocks, BEGIN), BEGIN..BEGIN + 65_536);
        assert_eq!(blocks.release(BEGIN + 140_000), BEGIN + 131_072);
        assert_eq!((blocks.part(BEGIN + 131_071), blocks.kept.len()), (None, 1));
        assert_eq!(part(&blocks, BEGIN + 140_000), BEGIN + 131_072..BEGIN + 150_000);
        blocks.append(&text(blocks.end(), blocks.end() + 65_536));
        assert_eq!(part(&blocks, BEGIN + 140_000), BEGIN + 131_072..BEGIN + 196_608);
        assert_eq!(part(&blocks, BEGIN + 215_535), BEGIN + 196_608..BEGIN + 215_536);
        assert_eq!(blocks.release(BEGIN + 215_536), BEGIN + 196_608, "it still grows");
    }

    #[test]
    fn what_is_given_up_is_what_was_written_of_the_block_and_is_told_the_same_again() {
        let mut blocks = written(&[150_000]);
        assert_eq!(blocks.lose(BEGIN + 70_000), BEGIN + 131_072);
        assert_eq!(blocks.lose(BEGIN + 140_000), BEGIN + 150_000);
        blocks.append(&text(blocks.end(), blocks.end() + 10));
        assert_eq!(part(&blocks, BEGIN + 140_000), BEGIN + 150_000..BEGIN + 150_010, "what came later is good");
        assert_eq!(blocks.lose(BEGIN + 140_000), BEGIN + 150_000);
        assert_eq!(part(&blocks, BEGIN + 150_005), BEGIN + 150_000..BEGIN + 150_010);
        assert_eq!(blocks.lose(BEGIN + 65_536), BEGIN + 131_072);
        assert_eq!(part(&blocks, BEGIN), BEGIN..BEGIN + 65_536, "its neighbour is as it was");
        assert_eq!(blocks.lose(BEGIN + 150_010), BEGIN + 150_010, "there is nothing to give up");
    }
}
