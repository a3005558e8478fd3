//! What is read through the log's handle: pages, a session's history, receipts, actors' states, terminal bytes.

use std::sync::PoisonError;

use ropewalk_protocol::record::Receipt;
use ropewalk_protocol::{CommandId, Event, Seq, SessionId, Stream, TerminalId, limits};
use tokio::sync::{OwnedSemaphorePermit, SemaphorePermit};

use super::journal::{Journal, lock};
use super::read::{EventPage, Filter, Gap};
use super::read_output::OutputPage;
use super::receipts;
use super::rows;
use super::store::StoreError;

/// A piece of a session's history.
#[derive(Debug, Clone, Copy)]
pub enum History<'a> {
    /// This happened.
    Event(&'a Event),
    /// What happened here, if anything did, cannot be read.
    Gap(Gap),
}

/// What an actor knew when everything up to a place had happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The place.
    pub at: Seq,
    /// The actor's state, in the actor's own encoding.
    pub state: Vec<u8>,
}

impl Journal {
    /// False when the command is certainly new. Reads memory only.
    pub fn may_know(&self, command: CommandId) -> bool {
        lock(&self.shared.recent).may_know(command)
    }

    /// What was answered to this command, if it was ever done. Reads the disk.
    ///
    /// # Errors
    /// The disk failed.
    pub fn receipt(&self, command: CommandId) -> Result<Option<Receipt>, StoreError> {
        let volumes = &self.shared.volumes;
        let millis = command.unix_millis();
        let in_range = |range: Option<(u64, u64)>| {
            range.zip(millis).is_some_and(|((oldest, newest), millis)| (oldest..=newest).contains(&millis))
        };
        // The newest first: a volume that is sealed meanwhile is then looked at twice, not never.
        let newest = volumes.newest().0;
        let sealed = volumes.summaries().into_iter().rev().filter(|summary| in_range(summary.commands));
        let firsts = [newest].into_iter().chain(sealed.map(|summary| summary.first));
        let mut unreadable = None;
        for first in firsts {
            match volumes.read(first, |volume| receipts::find(volume, command)) {
                Ok(None) => {}
                Ok(Some(receipt)) => {
                    // Written, and not yet promised: its commit is under way, or was answered with an error. A refusal has the
                    // place of the event before it.
                    let begins = if self.shared.degraded.borrow().is_some() { self.head() } else { self.head().next() };
                    if first == newest && receipt.seq >= begins {
                        return Err(self.why(StoreError::Failed(format!("{command} is not stored yet"))));
                    }
                    // What was given up with its volume was never acknowledged, and its place was given to another event.
                    if first == newest || receipt.seq <= volumes.end_of(first, self.head()) {
                        return Ok(Some(receipt));
                    }
                }
                // It may be there: saying that it is not would let the command be done twice.
                Err(StoreError::Damaged(_)) => unreadable = Some(first),
                Err(error) => return Err(self.why(error)),
            }
        }
        let Some(first) = unreadable else {
            return Ok(None);
        };
        let what = format!("whether {command} was done is not known");
        Err(StoreError::Unreadable { what, from: volumes.begin_of(first), to: volumes.end_of(first, self.head()) })
    }

    /// A page of events after this place, from memory; `None` when they are on disk only.
    pub fn recent_page(&self, filter: Filter, after: Seq) -> Option<EventPage> {
        let tail = self.shared.tail.read().unwrap_or_else(PoisonError::into_inner);
        let chunks = tail.after(after, limits::PAGE_BYTES_MAX)?;
        drop(tail);
        let mut page = EventPage { to: after, ..EventPage::default() };
        for chunk in chunks {
            page.add(&chunk, filter, after);
        }
        Some(page)
    }

    /// Leave to be read more than a page ahead, while few enough are.
    pub(crate) fn read_further(&self) -> Option<OwnedSemaphorePermit> {
        self.shared.subscribers_ahead.clone().try_acquire_owned().ok()
    }

    /// Leave for a reader to wait for room, while few enough do.
    pub(crate) fn wait_for_room(&self) -> Option<SemaphorePermit<'_>> {
        self.shared.readers_waiting.try_acquire().ok()
    }

    /// A page of events after this place. Reads the disk.
    ///
    /// # Errors
    /// The disk failed in a way that has no range.
    pub fn page(&self, filter: Filter, after: Seq) -> Result<EventPage, StoreError> {
        let head = self.head();
        if after >= head {
            return Ok(EventPage { to: after, ..EventPage::default() });
        }
        let page = match filter {
            Filter::All => self.shared.volumes.page_all(after, head, limits::PAGE_BYTES_MAX),
            Filter::Session(session) => self.shared.volumes.page_session(session, after, head, limits::PAGE_BYTES_MAX),
        };
        // While appends fail reads of the disk may fail with them: memory has the newest events all the same.
        let is_whole = page.as_ref().is_ok_and(|page| page.gaps.is_empty());
        match self.recent_page(filter, after).filter(|_| !is_whole && self.degraded().is_some()) {
            Some(page) => Ok(page),
            None => self.believe(is_whole).and(page),
        }
    }

    /// Why something could not be read: while appends fail, the reason for that, since the volume is opened again and again.
    pub(super) fn why(&self, error: StoreError) -> StoreError {
        self.degraded().unwrap_or(error)
    }

    /// While appends fail, reads of the newest volume may fail with them: what is not found then may well be there, and
    /// must not be called damaged.
    pub(super) fn believe(&self, is_whole: bool) -> Result<(), StoreError> {
        self.degraded().filter(|_| !is_whole).map_or(Ok(()), Err)
    }

    /// Shows all that happened in one session after this place, in order, and what of it cannot be read; returns the place up
    /// to which it was shown. Reads the disk.
    ///
    /// # Errors
    /// The disk failed, or the visitor said why it would not go on.
    pub fn replay<E: From<StoreError>>(
        &self,
        session: SessionId,
        after: Seq,
        visit: &mut dyn FnMut(History<'_>) -> Result<(), E>,
    ) -> Result<Seq, E> {
        let (mut after, head) = (after, self.head());
        while after < head {
            let page = self.page(Filter::Session(session), after)?;
            let mut gaps = page.gaps.iter().peekable();
            for event in page.events()? {
                while let Some(gap) = gaps.next_if(|gap| gap.from < event.seq) {
                    visit(History::Gap(*gap))?;
                }
                visit(History::Event(&event))?;
            }
            gaps.try_for_each(|gap| visit(History::Gap(*gap)))?;
            after = page.to;
        }
        Ok(head.max(after))
    }

    /// The newest state that was kept of this actor, if it can be read. Reads the disk.
    ///
    /// # Errors
    /// The disk failed.
    pub fn snapshot(&self, stream: Stream) -> Result<Option<Snapshot>, StoreError> {
        let Some((session, key)) = rows::snapshot(stream) else {
            return Ok(None);
        };
        let volumes = &self.shared.volumes;
        for first in volumes.of_session(session)?.into_iter().rev() {
            // It only saves time: what cannot be read is as good as not there.
            let value = volumes.read(first, |volume| volume.get(&key)).unwrap_or_else(|error| {
                tracing::warn!(%first, %error, "a volume cannot be read for a snapshot");
                None
            });
            if let Some((at, state)) = value.as_deref().and_then(rows::decode_snapshot) {
                return Ok(Some(Snapshot { at, state }));
            }
        }
        Ok(None)
    }

    /// Up to this many stored bytes of a terminal from this offset on. Reads the disk.
    ///
    /// # Errors
    /// The disk failed.
    pub fn output(&self, terminal: TerminalId, from: u64, bytes_max: usize) -> Result<OutputPage, StoreError> {
        let page = self.shared.volumes.output(terminal, from, bytes_max).map_err(|error| self.why(error))?;
        self.believe(!page.damaged)?;
        Ok(page)
    }

    /// How many bytes of a terminal are stored. Reads the disk.
    ///
    /// # Errors
    /// The disk failed.
    pub fn output_end(&self, terminal: TerminalId) -> Result<u64, StoreError> {
        self.shared.volumes.output_end(terminal).map_err(|error| self.why(error))
    }
}
