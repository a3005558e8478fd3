//! A volume on disk: a sled database with a write-ahead log in front of it.
//!
//! A commit is durable once it is in the write-ahead log, at the cost of one write and one sync. Its rows are read from memory
//! until they are in the database, where they go many commits at a time, on a thread of their own. Once they are durable there,
//! the file that held them is written again.

use std::iter::Peekable;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bytes::Bytes;
use ropewalk_protocol::limits;

use super::super::journal::lock;
use super::super::rows;
use super::super::store::{Row, StoreError, Visit, Volume};
use super::super::unfinished;
use super::super::volumes::decode_meta;
use super::Access;
use super::database::Database;
use super::overlay::{Overlay, Rows};
use super::wal::{self, Wal};
use crate::offload;

/// How a volume's files are cut.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    /// Bytes of a segment of the database.
    pub(super) segment_bytes: usize,
    /// Bytes of each file of the write-ahead log, unless one commit is larger.
    pub(super) wal_file_bytes: usize,
}

/// A volume of the log.
pub(super) struct LoggedVolume {
    shared: Arc<Shared>,
    /// Made by the first commit.
    wal: Mutex<Option<Wal>>,
    /// A commit failed: nothing is trusted until the volume is opened again.
    broken: AtomicBool,
    wal_file_bytes: usize,
}

/// What the thread that fills the database needs.
struct Shared {
    path: PathBuf,
    database: Database,
    overlay: RwLock<Overlay>,
    filling: Mutex<Filling>,
    filled: Condvar,
}

/// What becomes of the generation of rows that is on its way into the database.
enum Filling {
    /// There is none.
    Done,
    Running,
    /// It is still in the write-ahead log, and in memory.
    Failed(StoreError),
}

impl Shared {
    fn overlay(&self) -> RwLockReadGuard<'_, Overlay> {
        self.overlay.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn overlay_mut(&self) -> RwLockWriteGuard<'_, Overlay> {
        self.overlay.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until no rows are on their way.
    fn wait(&self) -> Result<MutexGuard<'_, Filling>, StoreError> {
        let filling = lock(&self.filling);
        let is_running = |filling: &mut Filling| matches!(filling, Filling::Running);
        let filling = self.filled.wait_while(filling, is_running).unwrap_or_else(PoisonError::into_inner);
        match &*filling {
            Filling::Failed(error) => Err(error.clone()),
            _ => Ok(filling),
        }
    }

    /// Sends what is in memory on its way. Waits for what is on its way already.
    fn leave(&self) -> Result<Arc<Rows>, StoreError> {
        let mut filling = self.wait()?;
        *filling = Filling::Running;
        Ok(self.overlay_mut().leave())
    }

    /// Writes into the database what was sent on its way.
    fn fill(&self, rows: &Rows) -> Result<(), StoreError> {
        let filled = self.database.put(rows.iter().map(|(key, value)| (&key[..], &value[..])));
        if filled.is_ok() {
            self.overlay_mut().arrived();
        }
        *lock(&self.filling) = filled.clone().map_or_else(Filling::Failed, |()| Filling::Done);
        self.filled.notify_all();
        filled
    }

    /// All that is in memory is in the database, and durable there.
    fn settle(&self) -> Result<(), StoreError> {
        let rows = self.leave()?;
        self.fill(&rows)
    }
}

impl LoggedVolume {
    /// Opens the volume in this directory, or makes it. What a crash left in its write-ahead log goes into the database, if
    /// anything may be changed; else it is read from memory.
    pub(super) fn open(path: &Path, sizes: Sizes, access: Access) -> Result<Self, StoreError> {
        if access == Access::Look {
            unfinished::refuse(path)?;
        }
        let database = Database::open(path, sizes.segment_bytes)?;
        // Before anything else is looked at: a later build's write-ahead log may be another one, and is not to be put away.
        if let Some(Err(newer @ StoreError::Newer { .. })) = database.get(rows::META)?.map(|meta| decode_meta(&meta)) {
            return Err(newer);
        }
        let mut overlay = Overlay::default();
        let mut left = wal::read(path)?;
        if let Some(left) = &mut left {
            for (key, value) in left.outdated.drain(..) {
                if database.get(&key)?.is_none() {
                    overlay.add(vec![(key, value)]);
                }
            }
            overlay.add(std::mem::take(&mut left.rows));
        }
        let shared = Arc::new(Shared {
            path: path.to_owned(),
            database,
            overlay: RwLock::new(overlay),
            filling: Mutex::new(Filling::Done),
            filled: Condvar::new(),
        });
        if let Some(left) = left.filter(|_| access == Access::Mend) {
            // A sync that failed may have left in the files' memory what is not on the disk, and now it is read: the database
            // makes it durable.
            shared.settle()?;
            left.put_away(path)?;
        }
        // Nothing can be committed by who only looks.
        let broken = AtomicBool::new(access == Access::Look);
        Ok(Self { shared, wal: Mutex::new(None), broken, wal_file_bytes: sizes.wal_file_bytes })
    }

    fn write(&self, rows: Vec<Row>) -> Result<(), StoreError> {
        let shared = &self.shared;
        if shared.database.is_closed() {
            return Err(StoreError::Closed);
        }
        // Known at once, not when the other file is needed: only a new opening makes the database whole again.
        if let Filling::Failed(error) = &*lock(&shared.filling) {
            return Err(error.clone());
        }
        let mut wal = lock(&self.wal);
        let wal = match &mut *wal {
            Some(wal) => wal,
            none => none.insert(Wal::create(&shared.path, self.wal_file_bytes)?),
        };
        if !wal.has_room(&rows) {
            let leaving = shared.leave()?;
            let (filler, rows) = (shared.clone(), leaving.clone());
            let fill = move || {
                if let Err(error) = filler.fill(&rows) {
                    tracing::warn!(%error, "what was committed could not be written into the database; it is kept beside it");
                }
            };
            if offload::behind("log-filler", fill).is_err() {
                shared.fill(&leaving)?;
            }
            wal.turn();
        }
        wal.append(&rows)?;
        shared.overlay_mut().add(rows);
        Ok(())
    }
}

impl Volume for LoggedVolume {
    fn commit(&self, rows: Vec<Row>) -> Result<(), StoreError> {
        bounded(&rows)?;
        if self.broken.load(Ordering::Relaxed) {
            return Err(broken());
        }
        let written = self.write(rows);
        if written.is_err() {
            self.broken.store(true, Ordering::Relaxed);
        }
        written
    }

    fn commit_for_every_build(&self, rows: Vec<Row>) -> Result<(), StoreError> {
        bounded(&rows)?;
        if self.broken.load(Ordering::Relaxed) {
            return Err(broken());
        }
        // Not into the write-ahead log, which older builds do not look for, and nothing in it may count more.
        let written = self.settle().and_then(|()| self.shared.database.apply(&rows));
        if written.is_err() {
            self.broken.store(true, Ordering::Relaxed);
        }
        written
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        // What is not in memory any more is in the database.
        let in_memory = self.shared.overlay().get(key);
        in_memory.map_or_else(|| self.shared.database.get(key), |value| Ok(Some(value.into())))
    }

    fn scan(&self, from: &[u8], to: &[u8], visit: Visit<'_>) -> Result<(), StoreError> {
        let mut from = from.to_vec();
        loop {
            // In this order: what is not in memory any more is in the database, and read from there.
            let in_memory = self.shared.overlay().first(&from, to, limits::WAL_SCAN_ROWS);
            // Behind the last one there may be more.
            let end = in_memory
                .last()
                .filter(|_| in_memory.len() == limits::WAL_SCAN_ROWS)
                .map(|(key, _)| [key, &[0][..]].concat());
            let mut merging = Merging { in_memory: in_memory.into_iter().peekable(), flow: ControlFlow::Continue(()) };
            let until = end.as_deref().unwrap_or(to);
            self.shared.database.scan(&from, until, &mut |key, value| merging.row(key, value, visit))?;
            if merging.rest(visit).is_break() {
                return Ok(());
            }
            match end {
                Some(end) => from = end,
                None => return Ok(()),
            }
        }
    }

    fn last(&self, from: &[u8], to: &[u8]) -> Result<Option<Row>, StoreError> {
        let in_memory = self.shared.overlay().last(from, to);
        let in_database = self.shared.database.last(from, to)?;
        Ok(match (in_memory, in_database) {
            (Some((key, _)), Some(row)) if row.0 > key => Some(row),
            (Some((key, value)), _) => Some((key, value.into())),
            (None, row) => row,
        })
    }

    fn settle(&self) -> Result<(), StoreError> {
        if self.broken.load(Ordering::Relaxed) {
            return Ok(());
        }
        let Some(wal) = lock(&self.wal).take() else {
            return Ok(());
        };
        let settled = self.shared.settle().and_then(|()| wal.remove(&self.shared.path));
        if settled.is_err() {
            // Only a new opening, which reads the files, makes the database whole again.
            self.broken.store(true, Ordering::Relaxed);
        }
        settled
    }

    fn seal(&self) -> Result<(), StoreError> {
        let shared = &self.shared;
        if shared.database.is_closed() {
            return Ok(());
        }
        let settled = self.settle();
        // Until nothing is on its way the database must not be closed.
        drop(shared.wait());
        let closed = shared.database.close(settled.is_ok() && !self.broken.load(Ordering::Relaxed));
        if shared.database.is_closed() {
            // What is not in the database is in the files, and read by the next opening.
            *shared.overlay_mut() = Overlay::default();
        }
        closed.and(settled)
    }
}

impl Drop for LoggedVolume {
    fn drop(&mut self) {
        drop(self.shared.wait());
        if let Err(error) = self.settle() {
            tracing::warn!(%error, "what was committed last stays in a volume's write-ahead log until it is opened again");
        }
    }
}

/// Rows of memory among those of the database, in order; of two under one key that of memory counts.
struct Merging {
    in_memory: Peekable<std::vec::IntoIter<(Vec<u8>, Bytes)>>,
    flow: ControlFlow<()>,
}

impl Merging {
    /// Visits a row of the database, and those of memory before it.
    fn row(&mut self, key: &[u8], value: &[u8], visit: Visit<'_>) -> ControlFlow<()> {
        while self.flow.is_continue()
            && let Some((before, value)) = self.in_memory.next_if(|(own, _)| own.as_slice() < key)
        {
            self.flow = visit(&before, &value);
        }
        if self.flow.is_continue() {
            self.flow = match self.in_memory.next_if(|(own, _)| own == key) {
                Some((_, value)) => visit(key, &value),
                None => visit(key, value),
            };
        }
        self.flow
    }

    /// Visits the rows of memory behind the last one of the database.
    fn rest(mut self, visit: Visit<'_>) -> ControlFlow<()> {
        while self.flow.is_continue()
            && let Some((key, value)) = self.in_memory.next()
        {
            self.flow = visit(&key, &value);
        }
        self.flow
    }
}

/// Refuses a value that sled would keep in a file which no sync covers.
pub(super) fn bounded(rows: &[Row]) -> Result<(), StoreError> {
    let too_large = rows.iter().find(|(_, value)| value.len() > limits::STORED_VALUE_BYTES_MAX);
    too_large.map_or(Ok(()), |(_, value)| Err(StoreError::TooLarge { bytes: value.len() }))
}

/// Why nothing is committed to what is not trusted any more.
pub(super) fn broken() -> StoreError {
    StoreError::Failed("an earlier commit failed; the volume must be opened again".to_owned())
}

#[cfg(test)]
mod tests;
