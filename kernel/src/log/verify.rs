//! A check of everything: checksums, the hash chain, density, the stream index, receipts, and terminal bytes.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use ropewalk_protocol::{DamageView, Event, Seq, SessionId, TerminalId, limits};

use super::chunk::{Chunk, GENESIS};
use super::journal::Journal;
use super::rows::{self, Tag};
use super::store::{StoreError, Volume};
use super::volumes::read_meta;

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
    /// A volume cannot be opened for a reason that is not damage, such as a full disk.
    pub fn verify(&self, visit: &mut dyn FnMut(&Event)) -> Result<Verified, StoreError> {
        let mut check = Check {
            found: Verified { head: self.head(), ..Verified::default() },
            next: Seq(1),
            hash: Some(GENESIS),
            visit,
        };
        for first in self.volumes().firsts() {
            check.found.volumes += 1;
            let end = self.volumes().end_of(first, check.found.head);
            match self.volumes().read(first, |volume| check.volume(volume, first, end)) {
                Ok(()) => {}
                Err(StoreError::Damaged(error)) => {
                    check.damage("events", check.next.0, end.0.max(check.next.0), error);
                    check.hash = None;
                }
                Err(error) => return Err(error),
            }
            check.next = check.next.max(end.next());
        }
        self.believe(check.found.damage.is_empty())?;
        check.found.chain = check.hash.unwrap_or(GENESIS);
        Ok(check.found)
    }
}

struct Check<'a> {
    found: Verified,
    /// The seq that comes next.
    next: Seq,
    /// The hash the next chunk must name; unknown after damage.
    hash: Option<[u8; 32]>,
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

    fn volume(&mut self, volume: &dyn Volume, first: Seq, end: Seq) -> Result<(), StoreError> {
        match read_meta(volume)? {
            None => self.damage("events", first.0, first.0, "the volume has no meta row"),
            Some(meta) if self.hash.is_some_and(|hash| hash != meta.previous) => {
                self.damage("events", first.0, first.0, "the volume does not follow the one before it");
            }
            Some(_) => {}
        }
        let sessions = self.events(volume, end)?;
        self.streams(volume, end, sessions)?;
        self.receipts(volume)?;
        self.snapshots(volume)?;
        self.output(volume)
    }

    /// Checks the chunks; returns which places belong to which session, to hold against the index.
    fn events(&mut self, volume: &dyn Volume, end: Seq) -> Result<BTreeMap<(SessionId, Seq), Vec<u16>>, StoreError> {
        let mut sessions: BTreeMap<(SessionId, Seq), Vec<u16>> = BTreeMap::new();
        volume.scan(&[Tag::Events as u8], &rows::end(Tag::Events), &mut |key, value| {
            let first = Seq(rows::trailing_number(key).unwrap_or_default());
            if first > end {
                return ControlFlow::Break(());
            }
            if first > self.next {
                self.damage("events", self.next.0, first.0 - 1, "no chunk holds these events");
                self.hash = None;
            }
            self.next = self.next.max(first);
            match Chunk::read(first, value) {
                Ok(chunk) => self.chunk(&chunk, &mut sessions),
                Err(error) => {
                    tracing::error!(%first, %error, "a chunk is damaged");
                    self.hash = None;
                }
            }
            ControlFlow::Continue(())
        })?;
        if self.next <= end {
            self.damage("events", self.next.0, end.0, "no chunk holds these events");
            self.hash = None;
        }
        Ok(sessions)
    }

    fn chunk(&mut self, chunk: &Chunk, sessions: &mut BTreeMap<(SessionId, Seq), Vec<u16>>) {
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
        for place in 0..chunk.len() {
            match chunk.event(place) {
                Ok(event) => {
                    self.found.events += 1;
                    if let Some(session) = event.stream.session() {
                        let place = u16::try_from(place).unwrap_or(u16::MAX);
                        sessions.entry((session, first)).or_default().push(place);
                    }
                    (self.visit)(&event);
                }
                Err(error) => self.damage("events", chunk.seq(place).0, chunk.seq(place).0, error.to_string()),
            }
        }
    }

    fn streams(
        &mut self,
        volume: &dyn Volume,
        end: Seq,
        mut expected: BTreeMap<(SessionId, Seq), Vec<u16>>,
    ) -> Result<(), StoreError> {
        volume.scan(&[Tag::Streams as u8], &rows::end(Tag::Streams), &mut |key, value| {
            let first = Seq(rows::trailing_number(key).unwrap_or_default());
            let session = rows::name(key).map(SessionId::from_bytes);
            let known = session.and_then(|session| expected.remove(&(session, first)));
            if first <= end && known.is_some_and(|places| places != rows::decode_places(value)) {
                self.damage("streams", first.0, first.0, "the index names other events than the chunk holds");
            }
            ControlFlow::Continue(())
        })?;
        for (_, first) in expected.into_keys() {
            self.damage("streams", first.0, first.0, "the index does not name a session's events");
        }
        Ok(())
    }

    fn receipts(&mut self, volume: &dyn Volume) -> Result<(), StoreError> {
        volume.scan(&[Tag::Receipts as u8], &rows::end(Tag::Receipts), &mut |_, value| {
            match rows::decode_receipt(value) {
                // A receipt that was committed after the check began names a place beyond it.
                Ok(_) => self.found.receipts += 1,
                Err(error) => self.damage("receipts", 0, 0, error.to_string()),
            }
            ControlFlow::Continue(())
        })
    }

    fn snapshots(&mut self, volume: &dyn Volume) -> Result<(), StoreError> {
        volume.scan(&[Tag::Snapshots as u8], &rows::end(Tag::Snapshots), &mut |_, value| {
            if rows::decode_snapshot(value).is_none() {
                self.damage("snapshots", 0, 0, "an actor's state is damaged; it is made anew of its history");
            }
            ControlFlow::Continue(())
        })
    }

    fn output(&mut self, volume: &dyn Volume) -> Result<(), StoreError> {
        volume.scan(&[Tag::Output as u8], &rows::end(Tag::Output), &mut |key, value| {
            let Some(terminal) = rows::name(key).map(TerminalId::from_bytes) else {
                return ControlFlow::Continue(());
            };
            let offset = rows::trailing_number(key).unwrap_or_default();
            let expected = self.found.terminals.get(&terminal).copied().unwrap_or(0);
            if offset > expected {
                self.damage_of("output", Some(terminal), expected, offset - 1, "no row holds these bytes".to_owned());
            }
            let length = match rows::decode_output(value) {
                Some(bytes) => {
                    self.found.output_bytes += bytes.len() as u64;
                    bytes.len() as u64
                }
                None => {
                    let length = rows::output_length(value);
                    let to = offset + length.max(1) - 1;
                    self.damage_of("output", Some(terminal), offset, to, "the row is damaged".to_owned());
                    length
                }
            };
            let end = offset + length;
            self.found.terminals.insert(terminal, end.max(expected));
            ControlFlow::Continue(())
        })
    }
}
