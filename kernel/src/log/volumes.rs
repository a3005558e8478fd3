//! The row of volumes: the newest is written, the others are sealed and opened only while they are read.

mod agreement;
mod opening;
mod summary;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ropewalk_protocol::{LogId, Seq, SessionId, TerminalId, limits};

use super::head::Head;
use super::rows::{self, Tag};
use super::store::{Shelf, StoreError, Volume};
use crate::offload;

pub(super) use opening::{decode_meta, meta_row, read_meta};
pub(super) use summary::{Summary, last_chunk};

/// How often and how long a reader waits for a volume that is being opened again.
const REOPEN_ATTEMPTS: usize = 100;
const REOPEN_PAUSE: Duration = Duration::from_millis(5);

pub(super) struct Volumes {
    shelf: Arc<dyn Shelf>,
    index: Arc<dyn Volume>,
    log: LogId,
    row: Mutex<VolumeRow>,
    /// Held while a sealed volume is opened: two openings of one database would refuse each other. It is not the row's lock,
    /// since a disk that does not answer must keep nobody from the newest volume.
    opening: Mutex<()>,
}

struct VolumeRow {
    newest: (Seq, Arc<dyn Volume>),
    sealed: BTreeMap<Seq, Summary>,
    /// Sealed volumes that could not be read, so that nobody knows whose events and bytes they hold.
    unread: BTreeSet<Seq>,
    /// Sealed volumes that are open, the one used last at the end.
    open: VecDeque<(Seq, Arc<dyn Volume>)>,
}

impl VolumeRow {
    fn insert(&mut self, summary: Summary) {
        if !summary.indexed {
            self.unread.insert(summary.first);
        }
        self.sealed.insert(summary.first, summary);
    }

    /// Another volume is the newest; the one before it is read as its summary says. Returns that one.
    fn go_on(&mut self, next: (Seq, Arc<dyn Volume>), summary: Summary) -> (Seq, Arc<dyn Volume>) {
        self.insert(summary);
        std::mem::replace(&mut self.newest, next)
    }
}

impl Volumes {
    pub(super) fn log(&self) -> LogId {
        self.log
    }

    pub(super) fn shelf(&self) -> &dyn Shelf {
        &*self.shelf
    }

    fn lock(&self) -> MutexGuard<'_, VolumeRow> {
        self.row.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn newest(&self) -> (Seq, Arc<dyn Volume>) {
        self.lock().newest.clone()
    }

    /// The bytes that the newest volume takes on the disk.
    pub(super) fn newest_bytes(&self) -> u64 {
        self.shelf.volume_bytes(self.newest().0)
    }

    /// First seqs of all volumes, oldest first.
    pub(super) fn firsts(&self) -> Vec<Seq> {
        let row = self.lock();
        row.sealed.keys().copied().chain([row.newest.0]).collect()
    }

    pub(super) fn summaries(&self) -> Vec<Summary> {
        self.lock().sealed.values().cloned().collect()
    }

    fn insert(&self, summary: Summary) {
        self.lock().insert(summary);
    }

    /// The newest place that is taken, and the hash that the next chunk must name.
    pub(super) fn end(&self) -> Result<(Seq, [u8; 32]), StoreError> {
        let (first, newest) = self.newest();
        if let Some(end) = last_chunk(&*newest)? {
            return Ok(end);
        }
        let previous = read_meta(&*newest)?.map(|meta| meta.previous);
        let before = self.lock().sealed.values().next_back().map(|summary| (summary.last, summary.hash));
        let (last, hash) = before.unwrap_or((first.previous(), super::chunk::GENESIS));
        Ok((last, previous.unwrap_or(hash)))
    }

    /// The volume that holds this place, or would.
    pub(super) fn holding(&self, seq: Seq) -> Seq {
        let row = self.lock();
        row.sealed.values().find(|summary| summary.last >= seq).map_or(row.newest.0, |summary| summary.first)
    }

    /// The last place a volume holds, or would, if the log ended at this head.
    pub(super) fn end_of(&self, first: Seq, head: Seq) -> Seq {
        self.lock().sealed.get(&first).map_or(head, |summary| summary.last.min(head))
    }

    /// The first place a volume holds, or would.
    pub(super) fn begin_of(&self, first: Seq) -> Seq {
        let row = self.lock();
        row.sealed.range(..first).next_back().map_or(Seq(1), |(_, before)| before.last.next())
    }

    /// The volume after this one.
    pub(super) fn after(&self, first: Seq) -> Option<Seq> {
        let row = self.lock();
        let sealed = row.sealed.range(first.next()..).next().map(|(first, _)| *first);
        sealed.or_else(|| (row.newest.0 > first).then_some(row.newest.0))
    }

    /// The volume before this one.
    pub(super) fn before(&self, first: Seq) -> Option<Seq> {
        self.lock().sealed.range(..first).next_back().map(|(first, _)| *first)
    }

    /// Reads in a volume, opened if need be. A volume that is sealed meanwhile is opened anew.
    pub(super) fn read<T>(
        &self,
        first: Seq,
        mut work: impl FnMut(&dyn Volume) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        for _ in 0..REOPEN_ATTEMPTS {
            let volume = self.volume(first)?;
            match work(&*volume) {
                // It is being sealed, or opened again after a failed commit: it is there again in a moment, or not at all.
                Err(StoreError::Closed) => {
                    self.lock().open.retain(|(open, _)| *open != first);
                    if self.lock().newest.0 == first {
                        offload::wait(REOPEN_PAUSE);
                    }
                }
                other => return other,
            }
        }
        Err(StoreError::Closed)
    }

    fn volume(&self, first: Seq) -> Result<Arc<dyn Volume>, StoreError> {
        if let Some(volume) = self.open_volume(first) {
            return Ok(volume);
        }
        let _one_at_a_time = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(volume) = self.open_volume(first) {
            return Ok(volume);
        }
        let closed: Vec<_> = {
            let mut row = self.lock();
            let over = (row.open.len() + 1).saturating_sub(limits::SEALED_VOLUMES_OPEN_MAX);
            // One that somebody has, such as who seals it, stays open without us, and would be refused to whoever opens it again.
            let (idle, used): (Vec<_>, Vec<_>) =
                row.open.drain(..).partition(|(_, volume)| Arc::strong_count(volume) == 1);
            let mut closed: Vec<_> = idle.into_iter().chain(used).collect();
            let kept = closed.split_off(over);
            // The order of their use is not what it was for one turn, which costs an opening at most.
            row.open.extend(kept);
            closed
        };
        drop(closed);
        let volume = self.shelf.open(first)?;
        self.lock().open.push_back((first, volume.clone()));
        Ok(volume)
    }

    /// The volume, if it is open.
    fn open_volume(&self, first: Seq) -> Option<Arc<dyn Volume>> {
        let mut row = self.lock();
        if row.newest.0 == first {
            return Some(row.newest.1.clone());
        }
        let at = row.open.iter().position(|(open, _)| *open == first)?;
        let entry = row.open.remove(at)?;
        let volume = entry.1.clone();
        row.open.push_back(entry);
        Some(volume)
    }

    /// Opens the newest volume again, after a commit failed.
    pub(super) fn reopen_newest(&self) -> Result<(), StoreError> {
        let (first, volume) = self.newest();
        // Sealing closes the handle that is not trusted any more, for every reader that still has it.
        match volume.seal() {
            Ok(()) => {}
            // It panicked while it closed: its lock may never be let go by this process.
            Err(StoreError::Damaged(error)) => return Err(StoreError::Damaged(error)),
            Err(error) if matches!(volume.get(rows::META), Err(StoreError::Closed)) => {
                tracing::warn!(%error, "the volume did not close cleanly");
            }
            Err(error) => return Err(error),
        }
        drop(volume);
        let volume = self.shelf.open(first)?;
        self.lock().newest = (first, volume);
        Ok(())
    }

    /// Gives the newest volume up, after it could not be opened again, and begins another behind the last place that was
    /// acknowledged. Its commands may be as young as this time, in milliseconds.
    pub(super) fn set_aside_newest(&self, acknowledged: Head, newest_command: Option<u64>) -> Result<(), StoreError> {
        let (first, _) = self.newest();
        let name = acknowledged.seq.next().max(first.next());
        let next = opening::begin(&*self.shelf, name, self.log, acknowledged.hash)?;
        let summary = self.suppose(first, Some(acknowledged), newest_command)?;
        let before = self.lock().go_on(next, summary);
        drop(before);
        Ok(())
    }

    /// Seals the newest volume and begins the next one.
    pub(super) fn rotate(&self, last: Seq, hash: [u8; 32]) -> Result<(), StoreError> {
        let (first, volume) = self.newest();
        let mut summary = summary::summarize(&*volume, first, last, hash)?;
        // Names rise even when no event came since the last rotation: terminal bytes alone fill volumes too.
        let next = opening::begin(&*self.shelf, last.next().max(first.next()), self.log, hash)?;
        // From here on the volume is not written any more, so that what the index says of it stays true.
        // An index that cannot be written is no reason to write it all the same: it is made anew from the volumes.
        if let Err(error) = self.remember(&*volume, &summary) {
            tracing::warn!(%error, %first, "a volume is not in the index; it is looked into for whatever is asked");
            summary.indexed = false;
        }
        {
            let mut row = self.lock();
            let before = row.go_on(next, summary);
            // Whoever reads it reads on in what is open, until that is closed: opening it anew would have to wait for that.
            row.open.push_back(before);
        }
        offload::behind("sealer", move || {
            if let Err(error) = volume.seal() {
                tracing::warn!(%error, %first, "a volume could not be sealed; it is read as it is");
            }
        })?;
        Ok(())
    }

    /// The volumes that hold events of this session or might, oldest first; the newest is always among them.
    pub(super) fn of_session(&self, session: SessionId) -> Result<Vec<Seq>, StoreError> {
        self.named_volumes(Tag::SessionVolume, session.as_bytes())
    }

    /// The volumes that hold bytes of this terminal or might, oldest first; the newest is always among them.
    pub(super) fn of_terminal(&self, terminal: TerminalId) -> Result<Vec<Seq>, StoreError> {
        self.named_volumes(Tag::TerminalVolume, terminal.as_bytes())
    }

    fn named_volumes(&self, tag: Tag, name: &[u8; 16]) -> Result<Vec<Seq>, StoreError> {
        let (newest, mut firsts) = {
            let row = self.lock();
            (row.newest.0, row.unread.clone())
        };
        self.index.scan(&rows::named(tag, name, 0), &rows::end_named(tag, name), &mut |key, _| {
            firsts.extend(rows::trailing_number(key).map(Seq));
            ControlFlow::Continue(())
        })?;
        firsts.retain(|first| *first < newest);
        firsts.insert(newest);
        Ok(firsts.into_iter().collect())
    }
}
