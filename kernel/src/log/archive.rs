//! A log as one file, to keep elsewhere and to make the same log of again: what its bytes look like.
//!
//! `8 B magic | u16 LE version | 16 B log id`, then blocks. A block is
//! `u8 codec | u32 LE stored length | u32 LE length | data | 32 B chain`: the data are entries, as they are (codec 0) or
//! compressed with LZ4 (codec 1). The chain of a block is the BLAKE3 hash over the chain before it and the block up to there;
//! before the first block it is the hash of the header. So nothing can be changed, cut out or reordered unnoticed, and the last
//! chain names the whole file. No entry is split between blocks; numbers are little-endian:
//!
//! | entry | layout |
//! |---|---|
//! | volume | `1`, u64 name, 32 B hash before its first chunk |
//! | chunk | `2`, u64 first seq, u32 length, the stored value |
//! | receipt | `3`, 16 B command id, u32 length, the stored value |
//! | output | `4`, 16 B terminal id, u64 offset, u32 length, the stored value |
//! | gap | `5`, u64 first seq, u64 last seq: events that could not be read |
//! | output gap | `6`, 16 B terminal id, u64 first offset, u64 last offset: bytes that could not be read |
//! | unread | `7`, u64 name of a volume, u8 part: what of it could not all be read |
//! | end | `8`, u64 head, 32 B hash of its chunk, u64 volumes, chunks, events, receipts, bytes of output |
//!
//! A volume's chunks and gaps come in order of seq, then its receipts in order of id, then its output. `end` is the last entry
//! of the last block. The same log always makes the same bytes.

use ropewalk_protocol::{CommandId, LogId, Seq, TerminalId, limits};

use super::compression::smaller;

const MAGIC: [u8; 8] = *b"RWLOGARC";
const VERSION: u16 = 1;
/// Magic, version, log id.
pub const HEADER_BYTES: usize = 8 + 2 + 16;
/// Codec, stored length, length.
pub const BLOCK_HEADER_BYTES: usize = 1 + 4 + 4;
const CHAIN_BYTES: usize = 32;

/// What of a volume could not all be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Part {
    /// All of it: nobody knows what it holds.
    Volume = 0,
    /// Answers to commands.
    Receipts = 1,
    /// Terminals' bytes.
    Output = 2,
}

/// What an archive holds, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// The newest event.
    pub head: Seq,
    /// The hash of the newest chunk.
    pub hash: [u8; 32],
    /// Volumes.
    pub volumes: u64,
    /// Chunks.
    pub chunks: u64,
    /// Events.
    pub events: u64,
    /// Receipts.
    pub receipts: u64,
    /// Bytes of terminals.
    pub output_bytes: u64,
}

/// One thing in an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// What follows lies in this volume, whose first chunk names the hash.
    Volume {
        /// Its name.
        first: Seq,
        /// The hash.
        previous: [u8; 32],
    },
    /// A chunk.
    Chunk {
        /// Its first event.
        first: Seq,
        /// As it is stored.
        value: Vec<u8>,
    },
    /// A receipt.
    Receipt {
        /// The command that was answered.
        command: CommandId,
        /// As it is stored.
        value: Vec<u8>,
    },
    /// A terminal's bytes.
    Output {
        /// The terminal.
        terminal: TerminalId,
        /// The offset of the first byte.
        offset: u64,
        /// As they are stored.
        value: Vec<u8>,
    },
    /// Events that could not be read.
    Gap {
        /// The first one.
        from: Seq,
        /// The last one.
        to: Seq,
    },
    /// A terminal's bytes that could not be read.
    OutputGap {
        /// The terminal.
        terminal: TerminalId,
        /// The first one.
        from: u64,
        /// The last one.
        to: u64,
    },
    /// Not all of this volume could be read.
    Unread {
        /// Its name.
        first: Seq,
        /// What of it.
        part: Part,
    },
    /// The end, and what came before it.
    End(Totals),
}

/// Bytes that are no archive, or not all of one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArchiveError {
    /// The first bytes are not those of an archive.
    #[error("it is no archive of a log")]
    NotAnArchive,
    /// Written by a build that this one does not know.
    #[error("archive version {0} is not known; this build reads {VERSION}")]
    UnknownVersion(u16),
    /// A block says that it is longer than any block.
    #[error("a block of {0} bytes is longer than any")]
    TooLong(u32),
    /// A block is not what was written, or not at its place.
    #[error("a block was changed, cut out or moved: the hash chain does not hold")]
    Chain,
    /// The chain holds and the contents are not what this build reads.
    #[error("the contents are malformed: {0}")]
    Malformed(&'static str),
}

/// Makes an archive.
pub struct Encoder {
    chain: [u8; CHAIN_BYTES],
    block: Vec<u8>,
}

impl Encoder {
    /// An archive of this log, and its first bytes.
    pub fn begin(log: LogId) -> (Self, Vec<u8>) {
        let header = [&MAGIC[..], &VERSION.to_le_bytes(), log.as_bytes()].concat();
        (Self { chain: *blake3::hash(&header).as_bytes(), block: Vec::new() }, header)
    }

    /// Adds an entry; returns the bytes of a block when one is full.
    pub fn push(&mut self, entry: &Entry) -> Option<Vec<u8>> {
        entry.encode_into(&mut self.block);
        (self.block.len() >= limits::ARCHIVE_BLOCK_BYTES).then(|| self.close_block())
    }

    /// Ends the archive; returns its last bytes, and the chain that names the whole file.
    pub fn finish(mut self, totals: Totals) -> (Vec<u8>, [u8; CHAIN_BYTES]) {
        Entry::End(totals).encode_into(&mut self.block);
        (self.close_block(), self.chain)
    }

    fn close_block(&mut self) -> Vec<u8> {
        let plain = std::mem::take(&mut self.block);
        self.seal(&plain)
    }

    /// A block of these bytes, linked to the one before.
    pub(super) fn seal(&mut self, plain: &[u8]) -> Vec<u8> {
        let (codec, data) = smaller(plain);
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).expect("a block is bounded").to_le_bytes();
        let mut block = [&[codec][..], &length(&data), &length(plain), &data].concat();
        self.chain = link(&self.chain, &block);
        block.extend_from_slice(&self.chain);
        block
    }
}

fn link(chain: &[u8; CHAIN_BYTES], block: &[u8]) -> [u8; CHAIN_BYTES] {
    *blake3::Hasher::new().update(chain).update(block).finalize().as_bytes()
}

/// Reads an archive, a block at a time.
#[derive(Debug)]
pub struct Decoder {
    chain: [u8; CHAIN_BYTES],
}

impl Decoder {
    /// Reads the first bytes.
    ///
    /// # Errors
    /// They are not those of an archive that this build reads.
    pub fn begin(header: &[u8; HEADER_BYTES]) -> Result<(Self, LogId), ArchiveError> {
        if header[..8] != MAGIC {
            return Err(ArchiveError::NotAnArchive);
        }
        let version = u16::from_le_bytes([header[8], header[9]]);
        if version != VERSION {
            return Err(ArchiveError::UnknownVersion(version));
        }
        let mut log = [0; 16];
        log.copy_from_slice(&header[10..]);
        Ok((Self { chain: *blake3::hash(header).as_bytes() }, LogId::from_bytes(log)))
    }

    /// How many bytes follow a block's header.
    ///
    /// # Errors
    /// More than any block has.
    pub fn block_bytes(header: &[u8; BLOCK_HEADER_BYTES]) -> Result<usize, ArchiveError> {
        let [stored, plain] = lengths(header);
        match stored.max(plain) {
            longest if longest as usize > limits::ARCHIVE_BLOCK_BYTES_MAX => Err(ArchiveError::TooLong(longest)),
            _ => Ok(stored as usize + CHAIN_BYTES),
        }
    }

    /// Reads a block: its header, and what follows.
    ///
    /// # Errors
    /// The chain does not hold, or the entries are malformed.
    pub fn block(&mut self, header: &[u8; BLOCK_HEADER_BYTES], rest: &[u8]) -> Result<Vec<Entry>, ArchiveError> {
        let (data, chain) =
            rest.len().checked_sub(CHAIN_BYTES).map(|at| rest.split_at(at)).ok_or(ArchiveError::Chain)?;
        self.chain = link(&self.chain, &[header, data].concat());
        let [stored, plain] = lengths(header);
        if self.chain != chain || stored as usize != data.len() {
            return Err(ArchiveError::Chain);
        }
        let plain = plain as usize;
        let body = match header[0] {
            0 => data.to_vec(),
            1 if plain <= limits::ARCHIVE_BLOCK_BYTES_MAX => lz4_flex::block::decompress(data, plain)
                .map_err(|_| ArchiveError::Malformed("a block does not decompress"))?,
            _ => return Err(ArchiveError::Malformed("a block's codec is not known")),
        };
        if body.len() != plain {
            return Err(ArchiveError::Malformed("a block has another length than it says"));
        }
        let mut rest = Cursor(&body);
        let mut entries = Vec::new();
        while !rest.0.is_empty() {
            entries.push(rest.entry()?);
        }
        Ok(entries)
    }

    /// The chain up to here; behind the last block it names the whole file.
    pub fn chain(&self) -> [u8; CHAIN_BYTES] {
        self.chain
    }
}

fn lengths(header: &[u8; BLOCK_HEADER_BYTES]) -> [u32; 2] {
    [1, 5].map(|at| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]))
}

impl Entry {
    fn encode_into(&self, block: &mut Vec<u8>) {
        let value = |block: &mut Vec<u8>, value: &[u8]| {
            block.extend_from_slice(&u32::try_from(value.len()).expect("a stored value is bounded").to_le_bytes());
            block.extend_from_slice(value);
        };
        let mut put = |parts: &[&[u8]]| parts.iter().for_each(|part| block.extend_from_slice(part));
        match self {
            Entry::Volume { first, previous } => put(&[&[1], &first.0.to_le_bytes(), previous]),
            Entry::Chunk { first, value: stored } => {
                put(&[&[2], &first.0.to_le_bytes()]);
                value(block, stored);
            }
            Entry::Receipt { command, value: stored } => {
                put(&[&[3], command.as_bytes()]);
                value(block, stored);
            }
            Entry::Output { terminal, offset, value: stored } => {
                put(&[&[4], terminal.as_bytes(), &offset.to_le_bytes()]);
                value(block, stored);
            }
            Entry::Gap { from, to } => put(&[&[5], &from.0.to_le_bytes(), &to.0.to_le_bytes()]),
            Entry::OutputGap { terminal, from, to } => {
                put(&[&[6], terminal.as_bytes(), &from.to_le_bytes(), &to.to_le_bytes()]);
            }
            Entry::Unread { first, part } => put(&[&[7], &first.0.to_le_bytes(), &[*part as u8]]),
            Entry::End(totals) => {
                put(&[&[8], &totals.head.0.to_le_bytes(), &totals.hash]);
                let Totals { volumes, chunks, events, receipts, output_bytes, .. } = totals;
                [volumes, chunks, events, receipts, output_bytes].iter().for_each(|count| put(&[&count.to_le_bytes()]));
            }
        }
    }
}

/// What is left of a block.
struct Cursor<'a>(&'a [u8]);

impl Cursor<'_> {
    fn entry(&mut self) -> Result<Entry, ArchiveError> {
        let [kind] = self.bytes()?;
        Ok(match kind {
            1 => Entry::Volume { first: self.seq()?, previous: self.bytes()? },
            2 => Entry::Chunk { first: self.seq()?, value: self.value()? },
            3 => Entry::Receipt { command: CommandId::from_bytes(self.bytes()?), value: self.value()? },
            4 => Entry::Output { terminal: self.terminal()?, offset: self.number()?, value: self.value()? },
            5 => Entry::Gap { from: self.seq()?, to: self.seq()? },
            6 => Entry::OutputGap { terminal: self.terminal()?, from: self.number()?, to: self.number()? },
            7 => Entry::Unread { first: self.seq()?, part: self.part()? },
            8 => Entry::End(Totals {
                head: self.seq()?,
                hash: self.bytes()?,
                volumes: self.number()?,
                chunks: self.number()?,
                events: self.number()?,
                receipts: self.number()?,
                output_bytes: self.number()?,
            }),
            _ => return Err(ArchiveError::Malformed("an entry's kind is not known")),
        })
    }

    fn take(&mut self, length: usize) -> Result<&[u8], ArchiveError> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(ArchiveError::Malformed("an entry is cut off"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], ArchiveError> {
        let mut bytes = [0; N];
        bytes.copy_from_slice(self.take(N)?);
        Ok(bytes)
    }

    fn number(&mut self) -> Result<u64, ArchiveError> {
        self.bytes().map(u64::from_le_bytes)
    }

    fn seq(&mut self) -> Result<Seq, ArchiveError> {
        self.number().map(Seq)
    }

    fn terminal(&mut self) -> Result<TerminalId, ArchiveError> {
        self.bytes().map(TerminalId::from_bytes)
    }

    fn value(&mut self) -> Result<Vec<u8>, ArchiveError> {
        let length = self.bytes().map(u32::from_le_bytes)? as usize;
        if length > limits::STORED_VALUE_BYTES_MAX {
            return Err(ArchiveError::Malformed("a value is longer than any stored one"));
        }
        self.take(length).map(<[u8]>::to_vec)
    }

    fn part(&mut self) -> Result<Part, ArchiveError> {
        match self.bytes()? {
            [0] => Ok(Part::Volume),
            [1] => Ok(Part::Receipts),
            [2] => Ok(Part::Output),
            [_] => Err(ArchiveError::Malformed("a part of a volume is not known")),
        }
    }
}
