//! A check of everything: checksums, the hash chain, density, the stream index, receipts and where they lie, whether each command
//! that caused an event has one, actors' states, terminal bytes, and the index beside the volumes.

mod causes;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::time::Duration;

use ropewalk_protocol::{CommandId, DamageView, Event, Seq, SessionId, TerminalId, limits};

use super::chunk::{Chunk, GENESIS};
use super::journal::Journal;
use super::receipts;
use super::rows::{self, Tag};
use super::store::StoreError;
use super::volumes::read_meta;
use crate::offload;
use causes::Causes;

/// How often and how long a commit that the check met before its head was told is waited for.
const HEAD_ATTEMPTS: usize = 100;
const HEAD_PAUSE: Duration = Duration::from_millis(5);

/// What is wrong with terminal bytes that are not there.
pub const NO_ROW: &str = "no row holds these bytes";

/// What a check found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verified {
    /// The head the check went up to.
    pub head: Seq,
    /// Events read.
    pub events: u64,
    /// Chunks read.
    pub chunks: u64,
    /// Volumes read.
    pub volumes: u64,
    /// Receipts read.
    pub receipts: u64,
    /// Terminal bytes read.
    pub output_bytes: u64,
    /// Terminals whose bytes were read: the offset after each one's last byte.
    pub terminals: BTreeMap<TerminalId, u64>,
    /// The hash of the newest chunk.
    pub chain: [u8; 32],
    /// What is wrong.
    pub damage: Vec<DamageView>,
}

impl Journal {
    /// Reads the whole log up to the head, and hands every readable event to `visit`, in order. Blocking, and long.
    ///
    /// # Errors
    /// A volume cannot be opened for a reason that is not damage, such as a full disk; `Stopped` once the log is closed.
    pub fn verify(&self, visit: &mut dyn FnMut(&Event)) -> Result<Verified, StoreError> {
        let mut check = Check {
            journal: self,
            found: Verified { head: self.head(), ..Verified::default() },
            next: Seq(1),
            hash: Some(GENESIS),
            begin: Seq(1),
            causes: Causes::default(),
            beyond: Vec::new(),
            visit,
        };
        let firsts = self.volumes().firsts();
        for first in &firsts {
            check.found.volumes += 1;
            check.begin = self.volumes().begin_of(*first);
            let end = self.volumes().end_of(*first, check.found.head);
            match check.volume(*first, end) {
                Ok(()) => {}
                Err(StoreError::Damaged(error)) => {
                    check.damage("events", check.next.0, end.0.max(check.next.0), error);
                    check.hash = None;
                }
                Err(error) => return Err(self.why(error)),
            }
            check.next = check.next.max(end.next());
        }
        let sealed = firsts.split_last().map_or(&[][..], |(_, sealed)| sealed);
        for (first, reason) in self.volumes().check_index(sealed, || self.go_on())? {
            let reason = format!("{reason}; the index is made anew when it is moved away while no daemon runs");
            check.damage("index", first.0, first.0, reason);
        }
        self.settle(&mut check);
        self.believe(check.found.damage.is_empty())?;
        check.found.chain = check.hash.unwrap_or(GENESIS);
        Ok(check.found)
    }

    /// What lay beyond the head when it was read must not lie beyond it once commits that were under way are told.
    fn settle(&self, check: &mut Check<'_>) {
        let furthest = check.beyond.iter().map(|(_, seq, _)| *seq).max().unwrap_or_default();
        for _ in 0..HEAD_ATTEMPTS {
            if self.head() >= furthest {
                return;
            }
            offload::wait(HEAD_PAUSE);
        }
        let head = self.head();
        // A commit that the disk has not answered yet may lie there, however long that takes.
        let under_way = if self.is_waiting() { limits::COMMIT_EVENTS_MAX as u64 } else { 0 };
        for (place, seq, what) in std::mem::take(&mut check.beyond) {
            if seq.0 > head.0 + under_way {
                check.damage(place, seq.0, seq.0, format!("{what} names event {seq}; the log ends at {head}"));
            }
        }
    }
}

/// What a volume's chunks hold, to check its stream index against.
#[derive(Default)]
struct Held {
    /// Which places of a chunk belong to a session.
    places: BTreeMap<(SessionId, Seq), Vec<u16>>,
    /// The chunks that can be read.
    chunks: BTreeSet<Seq>,
    /// The last place of a chunk behind the volume's end, which was given up with the volume before it was acknowledged.
    given_up: Option<Seq>,
}

struct Check<'a> {
    journal: &'a Journal,
    found: Verified,
    /// The seq that comes next.
    next: Seq,
    /// The hash the next chunk must name; unknown after damage.
    hash: Option<[u8; 32]>,
    /// The first place the volume that is read may hold.
    begin: Seq,
    /// Of the volume that is read.
    causes: Causes,
    /// What names a place beyond the head: where it lies, the place, and what it is.
    beyond: Vec<(&'static str, Seq, String)>,
    visit: &'a mut dyn FnMut(&Event),
}

impl Check<'_> {
    fn damage(&mut self, place: &str, from: u64, to: u64, reason: impl Into<String>) {
        self.damage_of(place, None, from, to, reason.into());
    }

    fn damage_of(&mut self, place: &str, terminal: Option<TerminalId>, from: u64, to: u64, reason: String) {
        if self.found.damage.len() < limits::DAMAGE_RANGES_MAX {
            self.found.damage.push(DamageView { place: place.to_owned(), from, to, terminal, reason });
        }
    }

    fn volume(&mut self, first: Seq, end: Seq) -> Result<(), StoreError> {
        match self.journal.volumes().read(first, read_meta)? {
            None => self.damage("events", first.0, first.0, "the volume has no meta row"),
            Some(meta) if self.hash.is_some_and(|hash| hash != meta.previous) => {
                self.damage("events", first.0, first.0, "the volume does not follow the one before it");
            }
            Some(_) => {}
        }
        let held = self.events(first, end)?;
        let given_up = held.given_up;
        self.streams(first, end, held)?;
        self.receipts(first, end, given_up)?;
        self.causes_left();
        self.snapshots(first)?;
        self.output(first)
    }

    /// Checks the chunks; returns what they hold.
    fn events(&mut self, volume: Seq, end: Seq) -> Result<Held, StoreError> {
        let mut held = Held::default();
        let mut looked = Ok(());
        self.causes = Causes::default();
        self.journal.in_pieces(volume, Tag::Events, &mut |key, value| {
            let first = Seq(rows::trailing_number(key).unwrap_or_default());
            if first > end {
                held.given_up = Chunk::read(first, value).ok().map(|chunk| chunk.last());
                return ControlFlow::Break(());
            }
            if first > self.next {
                self.damage("events", self.next.0, first.0 - 1, "no chunk holds these events");
                self.hash = None;
            }
            self.next = self.next.max(first);
            match Chunk::read(first, value) {
                Ok(chunk) => self.chunk(&chunk, &mut held),
                Err(error) => {
                    tracing::error!(%first, %error, "a chunk is damaged");
                    self.hash = None;
                }
            }
            if self.causes.are_many() {
                looked = self.look_for_causes(volume);
            }
            if looked.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        looked?;
        if self.next <= end {
            self.damage("events", self.next.0, end.0, "no chunk holds these events");
            self.hash = None;
        }
        Ok(held)
    }

    fn chunk(&mut self, chunk: &Chunk, held: &mut Held) {
        let (first, last) = (chunk.first(), chunk.last());
        if first < self.next {
            self.damage("events", first.0, last.0, "the chunk overlaps the one before it");
        }
        if self.hash.is_some_and(|hash| hash != chunk.previous) {
            self.damage("events", first.0, last.0, "the chunk does not follow the one before it in the hash chain");
        }
        self.hash = Some(chunk.hash);
        self.next = last.next();
        self.found.chunks += 1;
        held.chunks.insert(first);
        for place in 0..chunk.len() {
            match chunk.event(place) {
                Ok(event) => {
                    self.found.events += 1;
                    if let Some(session) = event.stream.session() {
                        let place = u16::try_from(place).unwrap_or(u16::MAX);
                        held.places.entry((session, first)).or_default().push(place);
                    }
                    self.causes.add(&event);
                    (self.visit)(&event);
                }
                Err(error) => self.damage("events", chunk.seq(place).0, chunk.seq(place).0, error.to_string()),
            }
        }
    }

    fn streams(&mut self, volume: Seq, end: Seq, held: Held) -> Result<(), StoreError> {
        let Held { places: mut expected, chunks, .. } = held;
        self.journal.in_pieces(volume, Tag::Streams, &mut |key, value| {
            let first = Seq(rows::trailing_number(key).unwrap_or_default());
            let session = rows::name(key).map(SessionId::from_bytes);
            let known = session.and_then(|session| expected.remove(&(session, first)));
            // Of a chunk that cannot be read nobody knows whose events it holds.
            let agrees = known.map_or(!chunks.contains(&first), |places| places == rows::decode_places(value));
            if first <= end && !agrees {
                self.damage("streams", first.0, first.0, "the index names other events than the chunk holds");
            }
            ControlFlow::Continue(())
        })?;
        for (_, first) in expected.into_keys() {
            self.damage("streams", first.0, first.0, "the index does not name a session's events");
        }
        Ok(())
    }

    fn receipts(&mut self, volume: Seq, end: Seq, given_up: Option<Seq>) -> Result<(), StoreError> {
        self.journal.in_pieces(volume, Tag::Receipts, &mut |key, value| {
            self.causes.meet(key, value);
            match receipts::decode(key, value) {
                Ok(receipts) => {
                    for (command, receipt) in receipts {
                        self.receipt(command, receipt.seq, end, given_up);
                    }
                }
                Err(error) => {
                    let first = receipts::first(key);
                    let what =
                        first.map_or("a row of receipts".to_owned(), |first| format!("the receipts from {first} on"));
                    self.damage("receipts", 0, 0, format!("{what}: {error}"));
                }
            }
            ControlFlow::Continue(())
        })
    }

    /// Reads a volume's receipts for the causes there are so far: so many are remembered, and no more.
    fn look_for_causes(&mut self, volume: Seq) -> Result<(), StoreError> {
        self.journal.in_pieces(volume, Tag::Receipts, &mut |key, value| {
            self.causes.meet(key, value);
            ControlFlow::Continue(())
        })?;
        self.causes_left();
        Ok(())
    }

    /// Names the events whose commands have no receipt among those that were read.
    fn causes_left(&mut self) {
        for (first, last, command) in self.causes.take() {
            let reason = format!("{command}, which caused it, has no receipt: a repeat of it would be done again");
            self.damage("receipts", first.0, last.0, reason);
        }
    }

    fn receipt(&mut self, command: CommandId, seq: Seq, end: Seq, given_up: Option<Seq>) {
        if seq > end && given_up.is_some_and(|last| seq <= last) {
            // The command's events were given up with it.
            return;
        }
        self.found.receipts += 1;
        let what = || format!("the receipt of {command}");
        if seq > self.found.head {
            self.remark("receipts", seq, what);
        } else if seq < self.begin.previous() || seq > end {
            let reason = format!("{} lies in a volume that does not hold event {seq}", what());
            self.damage("receipts", seq.0, seq.0, reason);
        }
    }

    /// Keeps in mind what names a place beyond the head: it may have been committed after the check began.
    fn remark(&mut self, place: &'static str, seq: Seq, what: impl FnOnce() -> String) {
        if self.beyond.len() < limits::DAMAGE_RANGES_MAX {
            self.beyond.push((place, seq, what()));
        }
    }

    fn snapshots(&mut self, volume: Seq) -> Result<(), StoreError> {
        self.journal.in_pieces(volume, Tag::Snapshots, &mut |_, value| {
            match rows::decode_snapshot(value) {
                None => self.damage("snapshots", 0, 0, "an actor's state is damaged; it is made anew of its history"),
                Some((at, _)) if at > self.found.head => self.remark("snapshots", at, || "an actor's state".to_owned()),
                Some(_) => {}
            }
            ControlFlow::Continue(())
        })
    }

    fn output(&mut self, volume: Seq) -> Result<(), StoreError> {
        self.journal.in_pieces(volume, Tag::Output, &mut |key, value| {
            let Some(terminal) = rows::name(key).map(TerminalId::from_bytes) else {
                return ControlFlow::Continue(());
            };
            let offset = rows::trailing_number(key).unwrap_or_default();
            let expected = self.found.terminals.get(&terminal).copied().unwrap_or(0);
            if offset > expected {
                self.damage_of("output", Some(terminal), expected, offset - 1, NO_ROW.to_owned());
            }
            let length = match rows::decode_output(value) {
                Some(bytes) => {
                    self.found.output_bytes += bytes.len() as u64;
                    bytes.len() as u64
                }
                None => {
                    let length = rows::output_length(value);
                    let to = offset.saturating_add(length.max(1) - 1);
                    self.damage_of("output", Some(terminal), offset, to, "the row is damaged".to_owned());
                    length
                }
            };
            let end = offset.saturating_add(length);
            self.found.terminals.insert(terminal, end.max(expected));
            ControlFlow::Continue(())
        })
    }
}
