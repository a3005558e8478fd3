//! Following: every matching event after a place, in order, once; or a gap that says so.
//!
//! A follower is a cursor, not a queue. It is told that the head moved, then reads what lies between its cursor and the
//! head: from memory when it is nearly caught up, from disk, a page or two ahead, when it is not. So a slow one costs what a
//! cursor and that costs.

use ropewalk_protocol::{Code, Rejection, Seq};

use crate::log::{EventPage, Filter, Journal, Passes};
use crate::planted::{Bug, is_planted};
use crate::read_ahead::ReadAhead;
use crate::watch;

/// What a follower is given.
#[derive(Debug)]
pub enum Step {
    /// Events, or gaps, or both. Where kinds are left out nothing may be left of it: then it says how far the follower is.
    Page(EventPage),
    /// It has caught up; said once.
    Live(Seq),
}

/// A cursor that moves with the log.
pub struct Follower {
    journal: Journal,
    heads: watch::Receiver<Seq>,
    filter: Filter,
    passes: Option<Passes>,
    after: Seq,
    live: bool,
    closed: watch::Receiver<bool>,
    disk: ReadAhead,
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
        let closed = journal.closed();
        let disk = ReadAhead::new(journal.clone(), filter);
        Ok(Self { journal, heads, filter, passes: None, after, live: false, closed, disk })
    }

    /// Pages from disk come with their JSON made already, off the caller's thread.
    #[must_use]
    pub fn encoding(mut self) -> Self {
        self.disk.encode();
        self
    }

    /// Events come only if their kinds pass. What is left out is neither sent to anybody nor made into JSON.
    #[must_use]
    pub fn passing(mut self, passes: Passes) -> Self {
        self.passes = Some(passes);
        self.disk.pass(passes);
        self
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
        if is_planted(Bug::ReadBeforeSubscribe) && self.live {
            self.after = *self.heads.borrow();
        }
        loop {
            let head = *self.heads.borrow_and_update();
            if self.after >= head {
                if !self.live {
                    self.live = true;
                    // Memory may have been a moment ahead of the head.
                    return Ok(Step::Live(head.max(self.after)));
                }
                self.disk.rest();
                let closed = || Rejection::new(Code::ShuttingDown, "the log is closed");
                tokio::select! {
                    biased;
                    changed = self.heads.changed() => changed.map_err(|_| closed())?,
                    _ = self.closed.wait_for(|closed| *closed) => return Err(closed()),
                }
                continue;
            }
            let page = self.read().await?;
            self.after = page.to;
            if !page.slices.is_empty() || !page.gaps.is_empty() || self.passes.is_some() {
                return Ok(Step::Page(page));
            }
        }
    }

    async fn read(&mut self) -> Result<EventPage, Rejection> {
        loop {
            if let Some(page) = self.disk.next(self.after).await? {
                return Ok(page);
            }
            if let Some(mut page) = self.journal.recent_page(self.filter, self.after) {
                self.passes.into_iter().for_each(|passes| page.leave_out(passes));
                return Ok(page);
            }
            self.disk.start(self.after);
        }
    }
}
