//! Reading events a page at a time from the newest to the oldest: what lies before a place, and what of it cannot be read.
//!
//! The volumes and their rows are walked from their ends, so that the newest of a long history costs what it is long itself.

use std::sync::{Arc, PoisonError};

use ropewalk_protocol::{Event, GapReason, Seq, SessionId, limits};

use super::chunk::Chunk;
use super::journal::Journal;
use super::read::{Filter, Gap, Slice, events_of, next_chunk, slices};
use super::rows::{self, Tag};
use super::store::{StoreError, Volume};
use super::volumes::Volumes;

/// What looking at a row costs at least: one event of a chunk may be all that counts, so rows are bounded as well as bytes.
const ROW_BYTES: usize = 64;

/// Events that lie before a place, the newest of those there are.
#[derive(Debug, Clone, Default)]
pub struct PageBefore {
    /// What was found, in order of seq.
    pub slices: Vec<Slice>,
    /// What cannot be read, in order of seq; it lies between the slices or around them.
    pub gaps: Vec<Gap>,
    /// Everything from here up to the place was looked at. The page before this one ends before it.
    pub from: Seq,
}

impl PageBefore {
    /// The events of the page, in order.
    ///
    /// # Errors
    /// A payload does not decode.
    pub fn events(&self) -> Result<Vec<Event>, StoreError> {
        events_of(&self.slices)
    }
}

impl Journal {
    /// A page of the newest events before one place and after another. Reads the disk.
    ///
    /// # Errors
    /// The disk failed in a way that has no range.
    pub fn page_before(&self, filter: Filter, before: Seq, after: Seq) -> Result<PageBefore, StoreError> {
        let head = self.head();
        let walk = Walk::new(filter, before.min(head.next()), after);
        if walk.is_over() {
            return Ok(walk.page());
        }
        let page = match filter {
            Filter::All => self.volumes().page_all_before(walk.clone(), head),
            Filter::Session(session) => self.volumes().page_session_before(session, walk.clone(), head),
        };
        // While appends fail reads of the disk may fail with them: memory has the newest events all the same.
        let is_whole = page.as_ref().is_ok_and(|page| page.gaps.is_empty());
        if !is_whole && self.degraded().is_some() {
            let tail = self.shared.tail.read().unwrap_or_else(PoisonError::into_inner);
            let chunks = tail.before(walk.low, limits::PAGE_BYTES_MAX);
            drop(tail);
            if let Some(chunks) = chunks {
                let mut walk = walk;
                chunks.iter().for_each(|chunk| walk.add(chunk));
                return Ok(walk.page());
            }
        }
        self.believe(is_whole).and(page)
    }
}

impl Volumes {
    fn page_all_before(&self, mut walk: Walk, head: Seq) -> Result<PageBefore, StoreError> {
        let mut volume = Some(self.holding(walk.low.previous()));
        while let Some(first) = volume {
            let begin = self.begin_of(first);
            self.walk_back(first, begin, head, &mut walk, chunks_before)?;
            if walk.is_over() {
                break;
            }
            volume = self.before(first);
        }
        Ok(walk.page())
    }

    fn page_session_before(&self, session: SessionId, mut walk: Walk, head: Seq) -> Result<PageBefore, StoreError> {
        for first in self.of_session(session)?.into_iter().rev() {
            let begin = self.begin_of(first);
            if begin >= walk.low {
                continue;
            }
            // Nothing of the session lies between the end of this volume and what was looked at.
            walk.low = walk.low.min(self.end_of(first, head).next());
            self.walk_back(first, begin, head, &mut walk, |volume, walk| session_chunks_before(volume, session, walk))?;
            if walk.is_over() {
                return Ok(walk.page());
            }
        }
        walk.low = walk.after.next();
        Ok(walk.page())
    }

    /// Walks through what a volume has before the place where the walk is; a volume that cannot be read is a gap.
    fn walk_back(
        &self,
        first: Seq,
        begin: Seq,
        head: Seq,
        walk: &mut Walk,
        through: impl Fn(&dyn Volume, &mut Walk) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        walk.end = self.end_of(first, head);
        let read = self.read(first, |volume| {
            let mut further = walk.clone();
            through(volume, &mut further)?;
            Ok(further)
        });
        match read {
            Ok(further) => *walk = further,
            Err(StoreError::Damaged(error)) => {
                tracing::error!(%first, %error, "a volume cannot be read");
                walk.gap_from(begin);
                return Ok(());
            }
            // Such as no file descriptor: it may be readable in a moment, and a gap would be for good.
            Err(error) => return Err(error),
        }
        // Every place has a chunk. Which chunks have something of a session, only the index knows.
        if walk.filter == Filter::All && !walk.is_full() {
            walk.gap_from(begin);
        }
        Ok(())
    }
}

fn chunks_before(volume: &dyn Volume, walk: &mut Walk) -> Result<(), StoreError> {
    while !walk.is_over() {
        let Some((key, value)) = volume.last(&[Tag::Events as u8], &rows::events(walk.low))? else {
            return Ok(());
        };
        let first = Seq(rows::trailing_number(&key).unwrap_or_default());
        match Chunk::read_unhashed(first, &value) {
            Ok(chunk) => walk.add(&Arc::new(chunk)),
            Err(error) => {
                tracing::error!(%first, %error, "a chunk is damaged");
                walk.gap_from(first);
            }
        }
    }
    Ok(())
}

fn session_chunks_before(volume: &dyn Volume, session: SessionId, walk: &mut Walk) -> Result<(), StoreError> {
    let start = rows::streams(session, Seq::ZERO);
    while !walk.is_over() {
        let Some((key, places)) = volume.last(&start, &rows::streams(session, walk.low))? else {
            return Ok(());
        };
        let first = Seq(rows::trailing_number(&key).unwrap_or_default());
        let value = volume.get(&rows::events(first))?;
        match value.and_then(|value| Chunk::read_unhashed(first, &value).ok()) {
            Some(chunk) => walk.add_places(&Arc::new(chunk), session, &rows::decode_places(&places)),
            None => {
                let to = next_chunk(volume, first)?.map_or(walk.end, Seq::previous);
                walk.low = walk.low.min(to.next());
                walk.gap_from(first);
            }
        }
    }
    Ok(())
}

/// A reader on its way from a place to the beginning. What it finds is turned round when it is done.
#[derive(Clone)]
struct Walk {
    filter: Filter,
    /// Nothing up to here is wanted.
    after: Seq,
    /// Everything from here on was looked at.
    low: Seq,
    /// The last place of the volume it is in.
    end: Seq,
    /// The newest first.
    slices: Vec<Slice>,
    gaps: Vec<Gap>,
    bytes: usize,
}

impl Walk {
    fn new(filter: Filter, before: Seq, after: Seq) -> Self {
        let low = before.max(after.next());
        Self { filter, after, low, end: low.previous(), slices: Vec::new(), gaps: Vec::new(), bytes: 0 }
    }

    fn is_full(&self) -> bool {
        self.bytes >= limits::PAGE_BYTES_MAX
    }

    fn is_over(&self) -> bool {
        self.is_full() || self.low <= self.after.next()
    }

    /// Takes in a chunk that begins before the place where the walk is.
    fn add(&mut self, chunk: &Arc<Chunk>) {
        match self.filter {
            Filter::All => {
                if chunk.last().next() < self.low {
                    self.gap_from(chunk.last().next());
                }
                self.add_where(chunk, |_| true);
            }
            Filter::Session(session) => self.add_where(chunk, |place| chunk.session(place) == Some(session)),
        }
    }

    /// Takes in what the index says a chunk has of a session. The index has no checksum: it is looked at before it is
    /// believed.
    fn add_places(&mut self, chunk: &Arc<Chunk>, session: SessionId, places: &[u16]) {
        let named = |place: &usize| u16::try_from(*place).is_ok_and(|place| places.contains(&place));
        self.add_where(chunk, |place| named(&place) && chunk.session(place) == Some(session));
    }

    fn add_where(&mut self, chunk: &Arc<Chunk>, is_wanted: impl Fn(usize) -> bool) {
        let is_new = |place: &usize| chunk.seq(*place) > self.after && chunk.seq(*place) < self.low;
        let found = slices(chunk, (0..chunk.len()).filter(is_new).filter(|place| is_wanted(*place)));
        self.slices.extend(found.into_iter().rev());
        self.bytes += chunk.bytes().max(ROW_BYTES);
        self.low = self.low.min(chunk.first());
    }

    /// What lies between here and the place where the walk is cannot be read.
    fn gap_from(&mut self, from: Seq) {
        let (from, to) = (from.max(self.after.next()), self.low.previous());
        if from > to {
            return;
        }
        self.low = from;
        self.bytes += ROW_BYTES;
        match self.gaps.last_mut() {
            Some(newer) if newer.from == to.next() => newer.from = from,
            _ => self.gaps.push(Gap { from, to, reason: GapReason::Damaged }),
        }
    }

    fn page(mut self) -> PageBefore {
        self.slices.reverse();
        self.gaps.reverse();
        PageBefore { slices: self.slices, gaps: self.gaps, from: self.low.max(self.after.next()) }
    }
}
