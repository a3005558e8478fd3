//! Pages from disk, read while those before them are sent.

use std::time::Duration;

use ropewalk_protocol::{Code, Rejection, Seq, limits};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::task::{JoinError, JoinHandle};

use crate::log::store::StoreError;
use crate::log::{EventPage, Filter, Journal, Passes, Slice};
use crate::offload;

/// How long a reader waits for room before it ends.
const PATIENCE: Duration = Duration::from_millis(20);
/// Then its thread is given to whoever waits for one.
const PAGES_OF_A_READER_MAX: usize = 64;

/// What a follower reads from disk.
///
/// One page is read ahead for everybody, and another one for some at a time, by a reader that goes on as long as the
/// subscriber reads fast. What that costs is bounded for all together, in memory and in threads.
pub(crate) struct ReadAhead {
    journal: Journal,
    filter: Filter,
    passes: Option<Passes>,
    encodes: bool,
    /// Gives the pages to `pages`; kept for the next reader.
    sender: mpsc::Sender<Page>,
    pages: mpsc::Receiver<Page>,
    /// The page that is given next, while its JSON is made.
    taken: Option<Page>,
    /// Reads until there is no room, nothing is left, or the disk fails; then it says how far it came.
    reader: Option<JoinHandle<Seq>>,
    /// How far the last reader came.
    to: Seq,
    /// Held while there may be more than one page.
    further: Option<OwnedSemaphorePermit>,
}

/// A page on its way.
struct Page {
    /// It begins after this place.
    after: Seq,
    read: Result<EventPage, StoreError>,
    /// Its slices, where their JSON is wanted: made on another thread, as it takes longer than to read them.
    encoded: Option<JoinHandle<Vec<Slice>>>,
    /// Read before anybody wanted it. What failed then may succeed now.
    is_early: bool,
}

impl ReadAhead {
    pub(crate) fn new(journal: Journal, filter: Filter) -> Self {
        let (sender, pages) = mpsc::channel(limits::READ_AHEAD_PAGES_MAX);
        let (passes, encodes, taken, reader, further) = (None, false, None, None, None);
        Self { journal, filter, passes, encodes, sender, pages, taken, reader, to: Seq::ZERO, further }
    }

    /// Pages come without events whose kinds do not pass from here on.
    pub(crate) fn pass(&mut self, passes: Passes) {
        self.passes = Some(passes);
    }

    /// Pages come with their JSON from here on.
    pub(crate) fn encode(&mut self) {
        self.encodes = true;
    }

    /// The page of events after this place, if it is on its way. Nothing is lost if the caller gives up waiting.
    ///
    /// # Errors
    /// The disk failed; the call may be repeated.
    pub(crate) async fn next(&mut self, after: Seq) -> Result<Option<EventPage>, Rejection> {
        loop {
            let Some(page) = &mut self.taken else {
                if !self.take().await? {
                    return Ok(None);
                }
                continue;
            };
            if page.after != after || (page.is_early && page.read.is_err()) {
                // Whoever reads for this finds nobody any more.
                let (passes, encodes) = (self.passes, self.encodes);
                *self = Self { passes, encodes, ..Self::new(self.journal.clone(), self.filter) };
                return Ok(None);
            }
            let encoded = match &mut page.encoded {
                Some(encoding) => Some(encoding.await),
                None => None,
            };
            let Some(page) = self.taken.take() else { continue };
            let mut read = page.read?;
            if let Some(slices) = encoded {
                read.slices = slices.map_err(failed)?;
            }
            return Ok(Some(read));
        }
    }

    /// Waits for the next page; false if none is on its way.
    async fn take(&mut self) -> Result<bool, Rejection> {
        loop {
            if self.reader.as_ref().is_none_or(JoinHandle::is_finished) {
                if let Some(reader) = self.reader.take() {
                    self.to = reader.await.map_err(failed)?;
                }
                if self.pages.len() <= 1 {
                    self.further = None;
                }
                if self.pages.is_empty() {
                    return Ok(false);
                }
            }
            tokio::select! {
                biased;
                Some(page) = self.pages.recv() => {
                    let is_whole = page.read.is_ok();
                    self.taken = Some(page);
                    if self.reader.is_none() && is_whole && has_more(&self.journal, self.filter, self.to) {
                        self.read_on(self.to, true);
                    }
                    return Ok(true);
                }
                ended = ended(&mut self.reader) => {
                    self.reader = None;
                    self.to = ended.map_err(failed)?;
                }
            }
        }
    }

    /// Nothing is wanted for now.
    pub(crate) fn rest(&mut self) {
        if self.pages.is_empty() {
            self.further = None;
        }
    }

    /// Reads from this place on.
    pub(crate) fn start(&mut self, after: Seq) {
        self.read_on(after, false);
    }

    fn read_on(&mut self, after: Seq, is_early: bool) {
        if self.further.is_none() {
            self.further = self.journal.read_further();
        }
        if self.further.is_none() && !self.pages.is_empty() {
            return;
        }
        let pages_max = if self.further.is_some() { PAGES_OF_A_READER_MAX } else { 1 };
        let (journal, filter, sender) = (self.journal.clone(), self.filter, self.sender.clone());
        let reader = Reader { journal, filter, passes: self.passes, encodes: self.encodes };
        let read = move || read(&reader, &sender, after, is_early, pages_max);
        self.reader = Some(offload::blocking(read));
    }
}

struct Reader {
    journal: Journal,
    filter: Filter,
    passes: Option<Passes>,
    encodes: bool,
}

/// Reads some pages after this place while there is room for them, and says how far it came.
fn read(reader: &Reader, pages: &mpsc::Sender<Page>, mut after: Seq, mut is_early: bool, pages_max: usize) -> Seq {
    let Reader { journal, filter, passes, encodes } = reader;
    for _ in 0..pages_max {
        let Some(room) = room(journal, pages) else {
            return after;
        };
        let mut read = journal.page(*filter, after);
        let to = read.as_ref().map_or(after, |page| page.to);
        if let (Ok(page), Some(passes)) = (&mut read, passes) {
            page.leave_out(*passes);
        }
        let encoded = read.as_mut().ok().filter(|_| *encodes).map(|page| {
            let slices = std::mem::take(&mut page.slices);
            offload::blocking(|| encoded(slices))
        });
        room.send(Page { after, read, encoded, is_early });
        if to == after || !has_more(journal, *filter, to) {
            return to;
        }
        (after, is_early) = (to, true);
    }
    after
}

/// Room for a page. A subscriber that reads makes some soon, and then the same thread goes on with the memory it has; one
/// that does not has no thread.
fn room<'a>(journal: &Journal, pages: &'a mpsc::Sender<Page>) -> Option<mpsc::Permit<'a, Page>> {
    match pages.try_reserve() {
        Ok(room) => Some(room),
        Err(mpsc::error::TrySendError::Full(())) => {
            let _may_wait = journal.wait_for_room()?;
            offload::block_on(pages.reserve(), PATIENCE)?.ok()
        }
        Err(mpsc::error::TrySendError::Closed(())) => None,
    }
}

/// Whether there is more after this place that only the disk has.
fn has_more(journal: &Journal, filter: Filter, after: Seq) -> bool {
    after < journal.head() && journal.recent_page(filter, after).is_none()
}

fn encoded(mut slices: Vec<Slice>) -> Vec<Slice> {
    slices.iter_mut().for_each(Slice::encode);
    slices
}

/// Waits until there is a reader that is done.
async fn ended(reader: &mut Option<JoinHandle<Seq>>) -> Result<Seq, JoinError> {
    match reader {
        Some(reader) => reader.await,
        None => std::future::pending().await,
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is what errors are mapped with")]
fn failed(error: JoinError) -> Rejection {
    Rejection::new(Code::Internal, format!("reading the log: {error}"))
}
