//! Pages from disk, read while those before them are sent.

use std::time::Duration;

use ropewalk_protocol::{Code, Rejection, Seq, limits};
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinHandle};

use crate::log::store::StoreError;
use crate::log::{EventPage, Filter, Journal, Slice};
use crate::offload;

/// How long a reader waits for room before it ends.
const PATIENCE: Duration = Duration::from_millis(20);

/// What a follower reads from disk. Its memory is bounded: it reads on only while there is room for another page.
pub(crate) struct ReadAhead {
    journal: Journal,
    filter: Filter,
    encodes: bool,
    /// Gives the pages to `pages`; kept for the next reader.
    sender: mpsc::Sender<Page>,
    pages: mpsc::Receiver<Page>,
    /// Reads until there is no room, nothing is left, or the disk fails; then it says how far it came.
    reader: Option<JoinHandle<Seq>>,
    /// How far the last reader came.
    to: Seq,
}

/// A page on its way.
struct Page {
    /// It begins after this place.
    after: Seq,
    read: Result<EventPage, StoreError>,
    /// Its slices, where their JSON is wanted: made on another thread, as it takes longer than to read them.
    encoded: Option<JoinHandle<Vec<Slice>>>,
}

impl ReadAhead {
    pub(crate) fn new(journal: Journal, filter: Filter) -> Self {
        let (sender, pages) = mpsc::channel(limits::READ_AHEAD_PAGES_MAX);
        Self { journal, filter, encodes: false, sender, pages, reader: None, to: Seq::ZERO }
    }

    /// Pages come with their JSON from here on.
    pub(crate) fn encode(&mut self) {
        self.encodes = true;
    }

    /// The page of events after this place, if it is on its way.
    ///
    /// # Errors
    /// The disk failed; the call may be repeated.
    pub(crate) async fn next(&mut self, after: Seq) -> Result<Option<EventPage>, Rejection> {
        loop {
            if self.reader.as_ref().is_none_or(JoinHandle::is_finished) {
                if let Some(reader) = self.reader.take() {
                    self.to = reader.await.map_err(failed)?;
                }
                if self.pages.is_empty() {
                    return Ok(None);
                }
                if self.sender.capacity() > 0 && has_more(&self.journal, self.filter, self.to) {
                    self.start(self.to);
                }
            }
            let page = tokio::select! {
                biased;
                Some(page) = self.pages.recv() => page,
                ended = ended(&mut self.reader) => {
                    self.reader = None;
                    self.to = ended.map_err(failed)?;
                    continue;
                }
            };
            if page.after == after {
                return Ok(Some(whole(page).await?));
            }
            // A caller that gave up waiting lost a page. Its reader finds nobody any more.
            let encodes = self.encodes;
            *self = Self { encodes, ..Self::new(self.journal.clone(), self.filter) };
        }
    }

    /// Reads pages from this place on.
    pub(crate) fn start(&mut self, after: Seq) {
        let (journal, filter, encodes, sender) = (self.journal.clone(), self.filter, self.encodes, self.sender.clone());
        self.reader = Some(offload::blocking(move || read(&journal, filter, encodes, &sender, after)));
    }
}

/// Reads pages after this place while there is room for them, and says how far it came.
fn read(journal: &Journal, filter: Filter, encodes: bool, pages: &mpsc::Sender<Page>, mut after: Seq) -> Seq {
    while let Some(room) = room(pages) {
        let mut read = journal.page(filter, after);
        let to = read.as_ref().map_or(after, |page| page.to);
        let encoded = read.as_mut().ok().filter(|_| encodes).map(|page| {
            let slices = std::mem::take(&mut page.slices);
            offload::blocking(|| encoded(slices))
        });
        room.send(Page { after, read, encoded });
        if to == after || !has_more(journal, filter, to) {
            return to;
        }
        after = to;
    }
    after
}

/// Room for a page. A subscriber that reads makes some soon, and then the same thread goes on with the memory it has; one
/// that does not has no thread.
fn room(pages: &mpsc::Sender<Page>) -> Option<mpsc::Permit<'_, Page>> {
    match pages.try_reserve() {
        Ok(room) => Some(room),
        Err(mpsc::error::TrySendError::Full(())) => offload::block_on(pages.reserve(), PATIENCE)?.ok(),
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

async fn whole(page: Page) -> Result<EventPage, Rejection> {
    let mut read = page.read?;
    if let Some(encoded) = page.encoded {
        read.slices = encoded.await.map_err(failed)?;
    }
    Ok(read)
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
