//! Writing the log into an archive: what can be read, in order, and by name what cannot.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::ops::ControlFlow;

use ropewalk_protocol::record::Receipt;
use ropewalk_protocol::{CommandId, DamageView, LogId, Seq, TerminalId, limits};

use super::archive::{Encoder, Entry, Part, Totals};
use super::chunk::{Chunk, GENESIS};
use super::journal::Journal;
use super::receipts;
use super::rows::{self, Tag};
use super::store::StoreError;
use super::volumes::read_meta;

/// An archive that was written or read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archived {
    /// The log's id.
    pub log: LogId,
    /// What the archive holds.
    pub totals: Totals,
    /// The hash that names the whole file.
    pub chain: [u8; 32],
    /// What of the log could not be read when it was written.
    pub damage: Vec<DamageView>,
}

/// Why an archive could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The log's disk failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What the archive is written to failed.
    #[error("writing the archive: {0}")]
    Write(#[from] io::Error),
}

impl Journal {
    /// Writes everything up to the head. Blocking, and long; memory holds a block at a time.
    ///
    /// # Errors
    /// The disk failed in a way that is not damage, or the archive cannot be written; `Stopped` once the log is closed.
    pub fn export(&self, sink: &mut dyn Write) -> Result<Archived, ExportError> {
        let (encoder, header) = Encoder::begin(self.id());
        sink.write_all(&header)?;
        let head = self.head();
        let mut export = Export {
            encoder,
            sink,
            failed: None,
            totals: Totals { head, ..Totals::default() },
            next: Seq(1),
            hash: Some(GENESIS),
            terminals: BTreeMap::new(),
            damage: Vec::new(),
        };
        for first in self.volumes().firsts() {
            let end = self.volumes().end_of(first, head);
            export.volume(self, first, end)?;
            if let Some(error) = export.failed.take() {
                return Err(error.into());
            }
        }
        // While appends fail, what cannot be read may well be there: an archive must not call it a gap for good.
        self.believe(export.damage.is_empty())?;
        export.totals.hash = export.hash.unwrap_or(GENESIS);
        let Export { encoder, sink, totals, damage, .. } = export;
        let (block, chain) = encoder.finish(totals);
        sink.write_all(&block)?;
        sink.flush()?;
        Ok(Archived { log: self.id(), totals, chain, damage })
    }
}

struct Export<'a> {
    encoder: Encoder,
    sink: &'a mut dyn Write,
    failed: Option<io::Error>,
    totals: Totals,
    /// The seq that comes next.
    next: Seq,
    /// The hash the next chunk must name; unknown after a gap.
    hash: Option<[u8; 32]>,
    /// The offset after each terminal's last byte so far.
    terminals: BTreeMap<TerminalId, u64>,
    damage: Vec<DamageView>,
}

impl Export<'_> {
    fn volume(&mut self, journal: &Journal, first: Seq, end: Seq) -> Result<(), StoreError> {
        let Some(meta) = readable(journal.volumes().read(first, read_meta))?.flatten() else {
            self.unread(first, Part::Volume);
            self.gap(end);
            return Ok(());
        };
        self.totals.volumes += 1;
        self.add(&Entry::Volume { first, previous: meta.previous });
        readable(self.chunks(journal, first, end))?;
        self.gap(end);
        if readable(self.receipts(journal, first, end))? != Some(true) {
            self.unread(first, Part::Receipts);
        }
        if readable(self.output(journal, first))?.is_none() {
            self.unread(first, Part::Output);
        }
        Ok(())
    }

    fn chunks(&mut self, journal: &Journal, volume: Seq, end: Seq) -> Result<(), StoreError> {
        journal.in_pieces(volume, Tag::Events, &mut |key, value| {
            let first = Seq(rows::trailing_number(key).unwrap_or_default());
            if first > end {
                return ControlFlow::Break(());
            }
            // What is damaged or not at its place is left out: the gap is named once the next good chunk is found.
            let Some(chunk) = Chunk::read(first, value).ok().filter(|_| first >= self.next) else {
                return ControlFlow::Continue(());
            };
            if first == self.next && self.hash.is_some_and(|hash| hash != chunk.previous) {
                return ControlFlow::Continue(());
            }
            self.gap(first.previous());
            self.totals.chunks += 1;
            self.totals.events += chunk.len() as u64;
            (self.next, self.hash) = (chunk.last().next(), Some(chunk.hash));
            self.push(&Entry::Chunk { first, value: value.to_vec() })
        })
    }

    /// Writes a volume's receipts; false when some are damaged.
    fn receipts(&mut self, journal: &Journal, volume: Seq, end: Seq) -> Result<bool, StoreError> {
        let mut whole = true;
        // Rows of the same few milliseconds overlap; an archive has receipts in the order of their commands.
        let mut together: Vec<(CommandId, Vec<u8>)> = Vec::new();
        let mut flow = ControlFlow::Continue(());
        let read = journal.in_pieces(volume, Tag::Receipts, &mut |key, value| {
            match receipts::entries(key, value) {
                Ok(receipts) => {
                    let before = together.first().map(|(id, _)| receipts::begin(*id));
                    if before.is_some_and(|before| before != receipts::begin(receipts[0].0)) {
                        flow = self.push_receipts(&mut together, end, &mut whole);
                    }
                    together.extend(receipts.into_iter().map(|(command, receipt)| (command, receipt.to_vec())));
                }
                Err(_) => whole = false,
            }
            flow
        });
        if flow.is_continue() {
            // Whether the archive can go on is known when the next entry is pushed.
            let _ = self.push_receipts(&mut together, end, &mut whole);
        }
        read.map(|()| whole)
    }

    fn push_receipts(
        &mut self,
        receipts: &mut Vec<(CommandId, Vec<u8>)>,
        end: Seq,
        whole: &mut bool,
    ) -> ControlFlow<()> {
        receipts.sort_by_key(|(command, _)| *command);
        for (command, receipt) in receipts.drain(..) {
            match Receipt::decode(&receipt) {
                // It was committed after the head was read, or given up with its volume.
                Ok(receipt) if receipt.seq > end => {}
                Ok(_) => {
                    self.totals.receipts += 1;
                    self.push(&Entry::Receipt { command, value: receipts::encode_one(&receipt) })?;
                }
                Err(_) => *whole = false,
            }
        }
        ControlFlow::Continue(())
    }

    fn output(&mut self, journal: &Journal, volume: Seq) -> Result<(), StoreError> {
        journal.in_pieces(volume, Tag::Output, &mut |key, value| {
            let Some((terminal, offset)) = rows::name(key).zip(rows::trailing_number(key)) else {
                return ControlFlow::Continue(());
            };
            let terminal = TerminalId::from_bytes(terminal);
            let before = self.terminals.get(&terminal).copied().unwrap_or(0);
            let bytes = rows::decode_output(value).map(|bytes| bytes.len() as u64);
            let end = offset.saturating_add(bytes.unwrap_or_else(|| rows::output_length(value))).max(before);
            self.terminals.insert(terminal, end);
            let to = if bytes.is_some() { offset } else { end };
            if to > before {
                self.output_gap(terminal, before, to - 1);
            }
            let Some(bytes) = bytes else {
                return ControlFlow::Continue(());
            };
            self.totals.output_bytes += bytes;
            self.push(&Entry::Output { terminal, offset, value: value.to_vec() })
        })
    }

    /// Nothing between what was written and here can be read.
    fn gap(&mut self, to: Seq) {
        if self.next > to {
            return;
        }
        let from = self.next;
        (self.next, self.hash) = (to.next(), None);
        self.note("events", None, from.0, to.0);
        self.add(&Entry::Gap { from, to });
    }

    fn output_gap(&mut self, terminal: TerminalId, from: u64, to: u64) {
        self.note("output", Some(terminal), from, to);
        self.add(&Entry::OutputGap { terminal, from, to });
    }

    fn unread(&mut self, first: Seq, part: Part) {
        let place = unread_place(part);
        self.note(place, None, first.0, first.0);
        self.add(&Entry::Unread { first, part });
    }

    fn note(&mut self, place: &str, terminal: Option<TerminalId>, from: u64, to: u64) {
        note(&mut self.damage, place, terminal, from, to);
    }

    /// Adds an entry, and breaks a scan when the archive cannot be written.
    fn push(&mut self, entry: &Entry) -> ControlFlow<()> {
        self.add(entry);
        if self.failed.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn add(&mut self, entry: &Entry) {
        if self.failed.is_none()
            && let Some(block) = self.encoder.push(entry)
        {
            self.failed = self.sink.write_all(&block).err();
        }
    }
}

/// What was read, or nothing when it is damaged.
fn readable<T>(read: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
    match read {
        Err(StoreError::Damaged(_)) => Ok(None),
        other => other.map(Some),
    }
}

pub(super) fn unread_place(part: Part) -> &'static str {
    match part {
        Part::Volume => "volume",
        Part::Receipts => "receipts of volume",
        Part::Output => "output of volume",
    }
}

pub(super) fn note(damage: &mut Vec<DamageView>, place: &str, terminal: Option<TerminalId>, from: u64, to: u64) {
    if damage.len() < limits::DAMAGE_RANGES_MAX {
        let reason = "it could not be read when the archive was written".to_owned();
        damage.push(DamageView { place: place.to_owned(), from, to, terminal, reason });
    }
}
