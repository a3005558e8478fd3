//! Following: every matching event after a place, in order, once; or a gap that says so.
//!
//! A follower is a cursor, not a queue. It is told that the head moved, then reads what lies between its cursor and the
//! head: from memory when it is nearly caught up, from disk when it is not. So a slow one costs what a cursor costs.

use ropewalk_protocol::{Code, Rejection, Seq};
use tokio::sync::watch;

use crate::log::{EventPage, Filter, Journal};

/// What a follower is given.
#[derive(Debug)]
pub enum Step {
    /// Events, or gaps, or both.
    Page(EventPage),
    /// It has caught up; said once.
    Live(Seq),
}

/// A cursor that moves with the log.
pub struct Follower {
    journal: Journal,
    heads: watch::Receiver<Seq>,
    filter: Filter,
    after: Seq,
    live: bool,
}

impl Follower {
    /// Follows what lies after this place.
    ///
    /// # Errors
    /// `cursor_ahead` when the place is beyond the head.
    pub fn new(journal: Journal, filter: Filter, after: Seq) -> Result<Self, Rejection> {
        // Subscribed before the head is read: what is committed in between is not missed.
        let heads = journal.heads();
        let head = journal.head();
        if after > head {
            let message = format!("the cursor {after} is beyond the head {head}");
            return Err(Rejection::new(Code::CursorAhead, message).at(head));
        }
        Ok(Self { journal, heads, filter, after, live: false })
    }

    /// Everything up to here was given.
    pub fn after(&self) -> Seq {
        self.after
    }

    /// Waits for what comes next.
    ///
    /// # Errors
    /// The log was closed, or the disk failed; the cursor stays, and the call may be repeated.
    pub async fn next(&mut self) -> Result<Step, Rejection> {
        loop {
            let head = *self.heads.borrow_and_update();
            if self.after >= head {
                if !self.live {
                    self.live = true;
                    return Ok(Step::Live(head));
                }
                let closed = |_| Rejection::new(Code::ShuttingDown, "the log is closed");
                self.heads.changed().await.map_err(closed)?;
                continue;
            }
            let page = self.read().await?;
            self.after = page.to;
            if !page.slices.is_empty() || !page.gaps.is_empty() {
                return Ok(Step::Page(page));
            }
        }
    }

    async fn read(&self) -> Result<EventPage, Rejection> {
        if let Some(page) = self.journal.recent_page(self.filter, self.after) {
            return Ok(page);
        }
        let (journal, filter, after) = (self.journal.clone(), self.filter, self.after);
        let read = tokio::task::spawn_blocking(move || journal.page(filter, after)).await;
        let page = read.map_err(|error| Rejection::new(Code::Internal, format!("reading the log: {error}")))?;
        Ok(page?)
    }
}
