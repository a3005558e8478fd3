//! Reading events a page at a time, in order, and what lies between them and cannot be read.

use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;
use ropewalk_protocol::codec::CodecError;
use ropewalk_protocol::record::event_kind;
use ropewalk_protocol::{Event, GapReason, Seq, SessionId};

use super::chunk::Chunk;
use super::rows::{self, Tag};
use super::store::{StoreError, Volume};
use super::volumes::Volumes;

/// Which events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    /// Every one.
    All,
    /// Those of one session.
    Session(SessionId),
}

/// Says of the number of a kind of events whether those are wanted.
pub type Passes = fn(u16) -> bool;

/// Neighbouring events of one chunk.
#[derive(Debug, Clone)]
pub struct Slice {
    /// The chunk.
    pub chunk: Arc<Chunk>,
    /// The first one's place in it.
    pub from: usize,
    /// The place after the last one.
    pub to: usize,
    /// Their JSON, where it was made ahead.
    json: Option<Bytes>,
    /// Their neighbours in the chunk were left out.
    is_part: bool,
}

impl Slice {
    /// These events of a chunk.
    pub fn new(chunk: Arc<Chunk>, from: usize, to: usize) -> Self {
        Self { chunk, from, to, json: None, is_part: false }
    }

    /// The events' JSON objects, with commas between. Unless it was made ahead for this reader, it is made once for all
    /// readers of the chunk, and of the whole chunk. For a reader that leaves most of it out, it is made of what is left.
    pub fn json(&self) -> Bytes {
        let made = self.json.clone().or_else(|| self.is_part.then(|| self.chunk.part_json(self.from, self.to)));
        made.unwrap_or_else(|| self.chunk.json(self.from, self.to))
    }

    /// Makes the JSON of these events only, for this reader.
    pub(crate) fn encode(&mut self) {
        self.json = Some(self.chunk.encode_json(self.from, self.to).0.into());
    }

    /// What is left of these events when only kinds that pass are wanted.
    fn passing(self, passes: Passes) -> Vec<Slice> {
        // What has no kind that this build can read is for whoever can say so.
        let is_wanted = |place: &usize| event_kind(self.chunk.record(*place)).map_or(true, passes);
        if (self.from..self.to).all(|place| is_wanted(&place)) {
            return vec![self];
        }
        let mut left = slices(&self.chunk, (self.from..self.to).filter(is_wanted));
        left.iter_mut().for_each(|slice| slice.is_part = true);
        left
    }

    /// The events.
    ///
    /// # Errors
    /// A payload does not decode.
    pub fn events(&self) -> Result<Vec<Event>, CodecError> {
        (self.from..self.to).map(|place| self.chunk.event(place)).collect()
    }

    /// The first event's place in the sequence.
    pub fn first(&self) -> Seq {
        self.chunk.seq(self.from)
    }

    /// The stored records, each `u32 LE length | bytes`.
    pub fn records(&self) -> &[u8] {
        self.chunk.records(self.from, self.to)
    }
}

/// A range that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// The first event that cannot be read.
    pub from: Seq,
    /// The last one.
    pub to: Seq,
    /// Why.
    pub reason: GapReason,
}

/// A page of events.
#[derive(Debug, Clone, Default)]
pub struct EventPage {
    /// What was found, in order of seq.
    pub slices: Vec<Slice>,
    /// What cannot be read, in order of seq; it lies between the slices or around them.
    pub gaps: Vec<Gap>,
    /// Everything up to here was looked at.
    pub to: Seq,
}

impl EventPage {
    /// The events of the page, in order.
    ///
    /// # Errors
    /// A payload does not decode.
    pub fn events(&self) -> Result<Vec<Event>, StoreError> {
        events_of(&self.slices)
    }

    /// Leaves out the events whose kinds do not pass. No payload is decoded for it.
    pub fn leave_out(&mut self, passes: Passes) {
        self.slices = std::mem::take(&mut self.slices).into_iter().flat_map(|slice| slice.passing(passes)).collect();
    }

    /// Adds what a chunk has of the filter after this place.
    pub(super) fn add(&mut self, chunk: &Arc<Chunk>, filter: Filter, after: Seq) {
        let start = if after < chunk.first() {
            0
        } else {
            usize::try_from(after.0 - chunk.first().0 + 1).unwrap_or(usize::MAX)
        };
        self.to = self.to.max(chunk.last());
        match filter {
            Filter::All if start < chunk.len() => {
                self.slices.push(Slice::new(chunk.clone(), start, chunk.len()));
            }
            Filter::All => {}
            Filter::Session(session) => {
                let places = (start..chunk.len()).filter(|place| chunk.session(*place) == Some(session));
                self.add_places(chunk, places);
            }
        }
    }

    fn add_places(&mut self, chunk: &Arc<Chunk>, places: impl Iterator<Item = usize>) {
        self.slices.extend(slices(chunk, places));
    }
}

/// The events of slices, in order.
pub(super) fn events_of(slices: &[Slice]) -> Result<Vec<Event>, StoreError> {
    let events: Result<Vec<_>, _> = slices.iter().map(Slice::events).collect();
    let events = events.map_err(|error| StoreError::Failed(error.to_string()))?;
    Ok(events.into_iter().flatten().collect())
}

/// These places of a chunk, in order, neighbours together.
pub(super) fn slices(chunk: &Arc<Chunk>, places: impl Iterator<Item = usize>) -> Vec<Slice> {
    let mut slices: Vec<Slice> = Vec::new();
    for place in places {
        match slices.last_mut() {
            Some(last) if last.to == place => last.to += 1,
            _ => slices.push(Slice::new(chunk.clone(), place, place + 1)),
        }
    }
    slices
}

impl Volumes {
    /// A page of all events after this place, up to `head`.
    pub(super) fn page_all(&self, after: Seq, head: Seq, bytes_max: usize) -> Result<EventPage, StoreError> {
        let mut page = EventPage { to: after, ..EventPage::default() };
        let mut volume = Some(self.holding(after.next()));
        let mut bytes = 0;
        while let Some(first) = volume {
            let end = self.end_of(first, head);
            let chunks =
                match self.read(first, |volume| chunks_after(volume, page.to, end, bytes_max.saturating_sub(bytes))) {
                    Ok(chunks) => chunks,
                    Err(StoreError::Damaged(error)) => {
                        tracing::error!(%first, %error, "a volume cannot be read");
                        page.gap(end);
                        Vec::new()
                    }
                    // Such as no file descriptor: it may be readable in a moment, and a gap would be for good.
                    Err(error) => return Err(error),
                };
            let found_all =
                chunks.iter().map(|(_, chunk)| chunk.as_ref().map_or(0, |chunk| chunk.bytes())).sum::<usize>() + bytes
                    < bytes_max;
            for (chunk_first, chunk) in chunks {
                if chunk_first > page.to.next() {
                    page.gap(chunk_first.previous());
                }
                if let Some(chunk) = chunk {
                    bytes += chunk.bytes();
                    let after = page.to;
                    page.add(&chunk, Filter::All, after);
                }
            }
            if !found_all {
                break;
            }
            if page.to < end.min(head) {
                page.gap(end.min(head));
            }
            volume = self.after(first).filter(|_| page.to < head);
        }
        Ok(page)
    }

    /// A page of a session's events after this place, up to `head`.
    pub(super) fn page_session(
        &self,
        session: SessionId,
        after: Seq,
        head: Seq,
        bytes_max: usize,
    ) -> Result<EventPage, StoreError> {
        let mut page = EventPage { to: after, ..EventPage::default() };
        let mut bytes = 0;
        for first in self.of_session(session)? {
            let end = self.end_of(first, head);
            if end <= after {
                continue;
            }
            let found =
                self.read(first, |volume| session_chunks(volume, session, after, end, bytes_max.saturating_sub(bytes)));
            let (found, complete) = match found {
                Ok(found) => found,
                Err(StoreError::Damaged(error)) => {
                    tracing::error!(%first, %error, "a volume cannot be read");
                    page.gap_between(self.begin_of(first), end);
                    continue;
                }
                Err(error) => return Err(error),
            };
            for (chunk_first, chunk, places) in found {
                let chunk = match chunk {
                    Ok(chunk) => chunk,
                    Err(next) => {
                        let to = next.map_or(end, Seq::previous);
                        if to > after {
                            page.gaps.push(Gap { from: chunk_first.max(after.next()), to, reason: GapReason::Damaged });
                            page.to = page.to.max(to);
                        }
                        continue;
                    }
                };
                bytes += chunk.bytes();
                // The index has no checksum: what it names is looked at before it is believed.
                let places = places.into_iter().map(usize::from).filter(|place| {
                    *place < chunk.len() && chunk.seq(*place) > after && chunk.session(*place) == Some(session)
                });
                page.add_places(&chunk, places);
                page.to = page.to.max(chunk.last());
            }
            if !complete {
                return Ok(page);
            }
        }
        page.to = head;
        Ok(page)
    }
}

type FoundChunk = (Seq, Option<Arc<Chunk>>);

/// Chunks that hold what lies after this place; a damaged one is `None`.
fn chunks_after(volume: &dyn Volume, after: Seq, head: Seq, bytes_max: usize) -> Result<Vec<FoundChunk>, StoreError> {
    let wanted = rows::events(after.next());
    let before = volume.last(&[Tag::Events as u8], &rows::events(Seq(after.0.saturating_add(2))))?;
    let from = before.map_or(wanted, |(key, _)| key);
    let mut chunks: Vec<FoundChunk> = Vec::new();
    let mut bytes = 0;
    volume.scan(&from, &rows::end(Tag::Events), &mut |key, value| {
        let first = Seq(rows::trailing_number(key).unwrap_or_default());
        if first > head || bytes >= bytes_max {
            return ControlFlow::Break(());
        }
        let chunk = Chunk::read_unhashed(first, value)
            .inspect_err(|error| tracing::error!(%first, %error, "a chunk is damaged"))
            .ok()
            .map(Arc::new);
        if chunk.as_ref().is_none_or(|chunk| chunk.last() > after) {
            bytes += chunk.as_ref().map_or(0, |chunk| chunk.bytes());
            chunks.push((first, chunk));
        }
        ControlFlow::Continue(())
    })?;
    Ok(chunks)
}

/// A chunk with events of a session, or where the next one begins if it is damaged; and their places in it.
type SessionChunk = (Seq, Result<Arc<Chunk>, Option<Seq>>, Vec<u16>);

fn session_chunks(
    volume: &dyn Volume,
    session: SessionId,
    after: Seq,
    head: Seq,
    bytes_max: usize,
) -> Result<(Vec<SessionChunk>, bool), StoreError> {
    let start = rows::streams(session, Seq::ZERO);
    let before = volume.last(&start, &rows::streams(session, Seq(after.0.saturating_add(2))))?;
    let from = before.map_or(start, |(key, _)| key);
    let mut wanted = Vec::new();
    let mut complete = true;
    volume.scan(&from, &rows::end_named(Tag::Streams, session.as_bytes()), &mut |key, value| {
        let first = Seq(rows::trailing_number(key).unwrap_or_default());
        if first > head {
            return ControlFlow::Break(());
        }
        // One event of a chunk may be all that counts, so places are bounded as well as bytes.
        if wanted.len() * 64 >= bytes_max {
            complete = false;
            return ControlFlow::Break(());
        }
        wanted.push((first, rows::decode_places(value)));
        ControlFlow::Continue(())
    })?;
    let mut found = Vec::new();
    let mut bytes = 0;
    for (first, places) in wanted {
        if bytes >= bytes_max {
            complete = false;
            break;
        }
        let value = volume.get(&rows::events(first))?;
        let chunk = match value.and_then(|value| Chunk::read_unhashed(first, &value).ok()) {
            Some(chunk) => Ok(Arc::new(chunk)),
            None => Err(next_chunk(volume, first)?),
        };
        bytes += chunk.as_ref().map_or(0, |chunk| chunk.bytes());
        found.push((first, chunk, places));
    }
    Ok((found, complete))
}

/// Where the chunk after this one begins, in this volume.
pub(super) fn next_chunk(volume: &dyn Volume, first: Seq) -> Result<Option<Seq>, StoreError> {
    let mut next = None;
    volume.scan(&rows::events(first.next()), &rows::end(Tag::Events), &mut |key, _| {
        next = rows::trailing_number(key).map(Seq);
        ControlFlow::Break(())
    })?;
    Ok(next)
}

impl EventPage {
    fn gap(&mut self, to: Seq) {
        self.gap_between(self.to.next(), to);
    }

    /// Nothing of the filter lies before `from` that was not found.
    fn gap_between(&mut self, from: Seq, to: Seq) {
        let from = from.max(self.to.next());
        if from <= to {
            self.gaps.push(Gap { from, to, reason: GapReason::Damaged });
            self.to = to;
        }
    }
}
