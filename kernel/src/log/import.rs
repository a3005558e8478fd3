//! Making a log of an archive: every chunk, receipt and byte is checked before it is stored, and all of it or nothing counts.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::Arc;

use ropewalk_protocol::{DamageView, LogId, Seq, TerminalId, limits};

use super::archive::{ArchiveError, BLOCK_HEADER_BYTES, Decoder, Entry, HEADER_BYTES, Part, Totals};
use super::chunk::{Chunk, GENESIS};
use super::export::{Archived, note, unread_place};
use super::head::Head;
use super::receipts;
use super::rows;
use super::store::{Row, Shelf, StoreError, Volume};
use super::volumes::meta_row;

/// No event and no byte has a place behind this one, so that places and lengths can be added up.
const PLACE_MAX: u64 = u64::MAX / 2;

/// Why no log could be made of an archive.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The archive cannot be read.
    #[error("reading the archive: {0}")]
    Read(#[from] io::Error),
    /// The archive is not what was written.
    #[error("the block at byte {at}: {error}")]
    Archive {
        /// Where the block begins.
        at: u64,
        /// What is wrong with it.
        error: ArchiveError,
    },
    /// The archive ends too early.
    #[error("the archive is cut off at byte {at}")]
    Cut {
        /// How many bytes there are.
        at: u64,
    },
    /// The blocks are whole and what they say cannot be.
    #[error("the block at byte {at}: {reason}")]
    Contents {
        /// Where the block begins.
        at: u64,
        /// What cannot be.
        reason: String,
    },
    /// The new log's disk failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes a log on a shelf that has none. If it fails, what is on the shelf is no log: the caller throws it away. Blocking, and
/// long; memory holds a block at a time, and the place of each terminal.
///
/// # Errors
/// The archive is damaged, cut off or contradicts itself; the disk failed.
pub fn import(shelf: &dyn Shelf, source: &mut dyn Read) -> Result<Archived, ImportError> {
    let mut source = Source { source, at: 0 };
    let mut header = [0; HEADER_BYTES];
    source.fill(&mut header)?;
    let (mut decoder, log) = Decoder::begin(&header).map_err(|error| ImportError::Archive { at: 0, error })?;
    let mut import = Import::new(shelf, log);
    let mut ended = None;
    loop {
        let at = source.at;
        let mut header = [0; BLOCK_HEADER_BYTES];
        if ended.is_some() && source.is_over()? {
            break;
        }
        source.fill(&mut header)?;
        let archive = |error| ImportError::Archive { at, error };
        let mut rest = vec![0; Decoder::block_bytes(&header).map_err(archive)?];
        source.fill(&mut rest)?;
        for entry in decoder.block(&header, &rest).map_err(archive)? {
            if ended.is_some() {
                return Err(ImportError::Contents { at, reason: "something follows the end".to_owned() });
            }
            let totals = import.entry(entry).map_err(|error| error.at(at))?;
            ended = totals;
        }
    }
    let Import { totals, damage, .. } = import;
    Ok(Archived { log, totals, chain: decoder.chain(), damage })
}

/// The archive, and how much of it was read.
struct Source<'a> {
    source: &'a mut dyn Read,
    at: u64,
}

impl Source<'_> {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), ImportError> {
        let mut filled = 0;
        while filled < bytes.len() {
            match self.source.read(&mut bytes[filled..]) {
                Ok(0) => return Err(ImportError::Cut { at: self.at }),
                Ok(read) => {
                    filled += read;
                    self.at += read as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Whether nothing follows. What follows is read, and reported as such.
    fn is_over(&mut self) -> Result<bool, ImportError> {
        match self.fill(&mut [0]) {
            Err(ImportError::Cut { .. }) => Ok(true),
            Ok(()) => Err(ImportError::Contents { at: self.at - 1, reason: "bytes follow the end".to_owned() }),
            Err(error) => Err(error),
        }
    }
}

/// What is wrong with an entry, before it is known where it lies.
enum Wrong {
    Contents(String),
    Store(StoreError),
}

impl From<StoreError> for Wrong {
    fn from(error: StoreError) -> Self {
        Wrong::Store(error)
    }
}

impl Wrong {
    fn at(self, at: u64) -> ImportError {
        match self {
            Wrong::Contents(reason) => ImportError::Contents { at, reason },
            Wrong::Store(error) => ImportError::Store(error),
        }
    }
}

fn wrong<T>(reason: impl Into<String>) -> Result<T, Wrong> {
    Err(Wrong::Contents(reason.into()))
}

fn bounded(what: &str, place: u64) -> Result<(), Wrong> {
    if place > PLACE_MAX { wrong(format!("{what} {place} is behind all there can be")) } else { Ok(()) }
}

struct Import<'a> {
    shelf: &'a dyn Shelf,
    log: LogId,
    volume: Option<Arc<dyn Volume>>,
    /// The name of the last volume, also if it could not be read: names only rise.
    name: Seq,
    /// Rows that are not committed yet, and their size.
    rows: Vec<Row>,
    row_bytes: usize,
    totals: Totals,
    next: Seq,
    /// The hash the next chunk must name; unknown after a gap.
    hash: Option<[u8; 32]>,
    terminals: BTreeMap<TerminalId, u64>,
    damage: Vec<DamageView>,
}

impl<'a> Import<'a> {
    fn new(shelf: &'a dyn Shelf, log: LogId) -> Self {
        Self {
            shelf,
            log,
            volume: None,
            name: Seq::ZERO,
            rows: Vec::new(),
            row_bytes: 0,
            totals: Totals::default(),
            next: Seq(1),
            hash: Some(GENESIS),
            terminals: BTreeMap::new(),
            damage: Vec::new(),
        }
    }

    /// Takes an entry; the last one ends the import.
    fn entry(&mut self, entry: Entry) -> Result<Option<Totals>, Wrong> {
        match entry {
            Entry::Volume { first, previous } => self.volume(first, previous)?,
            Entry::Chunk { first, value } => self.chunk(first, value)?,
            Entry::Receipt { command, value } => {
                let receipt = receipts::decode_one(&value);
                let receipt = receipt.or_else(|error| wrong(format!("the receipt of {command}: {error}")))?;
                if receipt.seq >= self.next {
                    return wrong(format!("the receipt of {command} names event {}, which follows it", receipt.seq));
                }
                self.totals.receipts += 1;
                self.store(rows::receipts(command), value)?;
            }
            Entry::Output { terminal, offset, value } => self.output(terminal, offset, value)?,
            Entry::Gap { from, to } => {
                bounded("event", to.0)?;
                if from != self.next || to < from {
                    return wrong(format!("events {from} to {to} cannot be missing where {} comes next", self.next));
                }
                (self.next, self.hash) = (to.next(), None);
                note(&mut self.damage, "events", None, from.0, to.0);
            }
            Entry::OutputGap { terminal, from, to } => {
                bounded("byte", to)?;
                let before = self.terminals.insert(terminal, to + 1).unwrap_or(0);
                if from != before || to < from {
                    return wrong(format!("bytes {from} to {to} of {terminal} cannot be missing behind {before}"));
                }
                note(&mut self.damage, "output", Some(terminal), from, to);
            }
            Entry::Unread { first, part } => {
                note(&mut self.damage, unread_place(part), None, first.0, first.0);
                if part != Part::Volume {
                    if self.volume.is_none() || first != self.name {
                        return wrong(format!("volume {first} is not the one before it"));
                    }
                } else {
                    self.begin(first)?;
                    self.shelf.give_up(first, "it could not be read when the archive was written")?;
                }
            }
            Entry::End(totals) => return self.end(totals).map(Some),
        }
        Ok(None)
    }

    /// Ends the volume that was filled: one of this name follows.
    fn begin(&mut self, first: Seq) -> Result<(), Wrong> {
        bounded("volume", first.0)?;
        if first <= self.name {
            return wrong(format!("volume {first} is not behind the one before it"));
        }
        self.close_volume()?;
        self.name = first;
        Ok(())
    }

    fn volume(&mut self, first: Seq, previous: [u8; 32]) -> Result<(), Wrong> {
        if self.hash.is_some_and(|hash| hash != previous) {
            return wrong(format!("volume {first} does not follow the one before it"));
        }
        self.begin(first)?;
        let volume = self.shelf.create(first)?;
        volume.commit(vec![meta_row(self.log, first, previous)])?;
        self.volume = Some(volume);
        self.totals.volumes += 1;
        Ok(())
    }

    fn chunk(&mut self, first: Seq, value: Vec<u8>) -> Result<(), Wrong> {
        bounded("event", first.0)?;
        let chunk =
            Chunk::read(first, &value).or_else(|error| wrong(format!("the chunk of event {first}: {error}")))?;
        if first != self.next {
            return wrong(format!("the chunk of event {first} comes where event {} is next", self.next));
        }
        if self.hash.is_some_and(|hash| hash != chunk.previous) {
            return wrong(format!("the chunk of event {first} does not follow the one before it in the hash chain"));
        }
        (self.next, self.hash) = (chunk.last().next(), Some(chunk.hash));
        self.totals.chunks += 1;
        self.totals.events += chunk.len() as u64;
        self.store(rows::events(first), value)?;
        for (session, places) in chunk.places() {
            self.store(rows::streams(session, first), rows::encode_places(&places))?;
        }
        Ok(())
    }

    fn output(&mut self, terminal: TerminalId, offset: u64, value: Vec<u8>) -> Result<(), Wrong> {
        let Some(bytes) = rows::decode_output(&value).map(|bytes| bytes.len() as u64) else {
            return wrong(format!("the bytes of {terminal} at {offset} are damaged"));
        };
        bounded("byte", offset)?;
        let before = self.terminals.get(&terminal).copied().unwrap_or(0);
        if offset > before {
            return wrong(format!("bytes {before} to {} of {terminal} are missing", offset - 1));
        }
        self.terminals.insert(terminal, before.max(offset + bytes));
        self.totals.output_bytes += bytes;
        self.store(rows::output(terminal, offset), value)
    }

    /// Keeps a row of the volume; those that gathered are committed together.
    fn store(&mut self, key: Vec<u8>, value: Vec<u8>) -> Result<(), Wrong> {
        if self.volume.is_none() {
            return wrong("it comes before any volume");
        }
        self.row_bytes += key.len() + value.len();
        self.rows.push((key, value));
        if self.rows.len() >= limits::COMMIT_EVENTS_MAX || self.row_bytes >= limits::COMMIT_OUTPUT_BYTES_MAX {
            self.commit()?;
        }
        Ok(())
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        self.row_bytes = 0;
        match &self.volume {
            Some(volume) if !self.rows.is_empty() => volume.commit(std::mem::take(&mut self.rows)),
            _ => Ok(()),
        }
    }

    fn close_volume(&mut self) -> Result<(), StoreError> {
        self.commit()?;
        self.volume.take().map_or(Ok(()), |volume| volume.seal())
    }

    fn end(&mut self, said: Totals) -> Result<Totals, Wrong> {
        self.close_volume()?;
        self.totals.head = self.next.previous();
        self.totals.hash = self.hash.unwrap_or(GENESIS);
        if self.totals != said {
            return wrong(format!("the archive says that it holds {said:?}, and holds {:?}", self.totals));
        }
        if said.head > Seq::ZERO {
            (Head { seq: said.head, hash: said.hash }).write(self.shelf, 1)?;
        }
        Ok(said)
    }
}
