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

use super::super::store::{Row, StoreError, Visit, Volume};
use super::super::unfinished;
use super::Access;
use super::database::Database;
use super::overlay::{Overlay, Rows};
use super::wal::{self, Wal};
use crate::offload;

/// Rows of memory that a scan goes through at a time. Between two such parts what is in memory may go into the database.
const SCAN_ROWS: usize = 64;

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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl LoggedVolume {
    /// Opens the volume in this directory, or makes it. What a crash left in its write-ahead log goes into the database, if
    /// anything may be changed; else it is read from memory.
    pub(super) fn open(path: &Path, sizes: Sizes, access: Access) -> Result<Self, StoreError> {
        if access == Access::Look {
            unfinished::refuse(path)?;
        }
        let database = Database::open(path, sizes.segment_bytes)?;
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

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        // What is not in memory any more is in the database.
        let in_memory = self.shared.overlay().get(key);
        in_memory.map_or_else(|| self.shared.database.get(key), |value| Ok(Some(value.into())))
    }

    fn scan(&self, from: &[u8], to: &[u8], visit: Visit<'_>) -> Result<(), StoreError> {
        let mut from = from.to_vec();
        loop {
            // In this order: what is not in memory any more is in the database, and read from there.
            let in_memory = self.shared.overlay().first(&from, to, SCAN_ROWS);
            // Behind the last one there may be more.
            let end =
                in_memory.last().filter(|_| in_memory.len() == SCAN_ROWS).map(|(key, _)| [key, &[0][..]].concat());
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
        let closed = shared.database.close();
        if shared.database.is_closed() {
            // What is not in the database is in the files, and read by the next opening.
            *shared.overlay_mut() = Overlay::default();
        }
        closed.and(settled)?;
        if self.broken.load(Ordering::Relaxed) { Ok(()) } else { shared.database.make_snapshot() }
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

/// The index: a database without a write-ahead log, since it is seldom written and can be made anew.
pub(super) struct Index {
    database: Database,
    broken: AtomicBool,
}

impl Index {
    /// Opens the index in this directory, or makes it.
    pub(super) fn open(path: &Path, segment_bytes: usize, access: Access) -> Result<Self, StoreError> {
        if access == Access::Look {
            unfinished::refuse(path)?;
        }
        Ok(Self { database: Database::open(path, segment_bytes)?, broken: AtomicBool::new(false) })
    }
}

impl Volume for Index {
    fn commit(&self, rows: Vec<Row>) -> Result<(), StoreError> {
        bounded(&rows)?;
        if self.broken.load(Ordering::Relaxed) {
            return Err(broken());
        }
        let applied = self.database.apply(&rows);
        if applied.is_err() {
            self.broken.store(true, Ordering::Relaxed);
        }
        applied
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.database.get(key)
    }

    fn scan(&self, from: &[u8], to: &[u8], visit: Visit<'_>) -> Result<(), StoreError> {
        self.database.scan(from, to, visit)
    }

    fn last(&self, from: &[u8], to: &[u8]) -> Result<Option<Row>, StoreError> {
        self.database.last(from, to)
    }

    fn seal(&self) -> Result<(), StoreError> {
        if self.database.is_closed() {
            return Ok(());
        }
        self.database.close()?;
        self.database.make_snapshot()
    }
}

fn bounded(rows: &[Row]) -> Result<(), StoreError> {
    let too_large = rows.iter().find(|(_, value)| value.len() > limits::STORED_VALUE_BYTES_MAX);
    too_large.map_or(Ok(()), |(_, value)| Err(StoreError::TooLarge { bytes: value.len() }))
}

fn broken() -> StoreError {
    StoreError::Failed("an earlier commit failed; the volume must be opened again".to_owned())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::atomic::AtomicU64;
    use std::{env, fs, process, thread};

    use super::*;

    /// So small that the two files of the write-ahead log take turns every few commits.
    const SMALL: Sizes = Sizes { segment_bytes: 64 * 1024, wal_file_bytes: 2048 };

    /// A directory of its own; removed when dropped.
    struct Directory(PathBuf);

    impl Directory {
        fn new() -> Self {
            static NUMBER: AtomicU64 = AtomicU64::new(0);
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            Self(env::temp_dir().join(format!("rw-volume-{}-{number}", process::id())))
        }

        fn volume(&self) -> LoggedVolume {
            LoggedVolume::open(&self.0, SMALL, Access::Mend).expect("opens")
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).ok();
        }
    }

    fn all(volume: &dyn Volume, from: &[u8], to: &[u8]) -> Vec<Row> {
        let mut rows = Vec::new();
        let visit = &mut |key: &[u8], value: &[u8]| {
            rows.push((key.to_vec(), value.to_vec()));
            ControlFlow::Continue(())
        };
        volume.scan(from, to, visit).expect("reads");
        rows
    }

    struct Random(u64);

    impl Random {
        fn below(&mut self, end: u64) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0 % end
        }
    }

    /// What a volume says after any commits, ends and openings is what a map says.
    #[test]
    fn a_volume_is_an_ordered_map_wherever_its_rows_are() {
        for seed in 1..20 {
            let directory = Directory::new();
            let mut random = Random(0x9e37_79b9_7f4a_7c15 ^ seed);
            let mut map: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
            let mut volume = directory.volume();
            for step in 0..120_u32 {
                match random.below(20) {
                    0 => {
                        drop(volume);
                        volume = directory.volume();
                    }
                    1 => {
                        volume.seal().expect("is sealed");
                        assert_eq!(volume.get(&[1]), Err(StoreError::Closed));
                        volume = directory.volume();
                        assert!(
                            wal::read(&directory.0).expect("reads").is_none(),
                            "what is sealed is a database and nothing else"
                        );
                    }
                    2 => {
                        // As if the process had been killed: nothing is settled, and the next one finds the files.
                        volume.broken.store(true, Ordering::Relaxed);
                        assert!(volume.commit(vec![(vec![0], vec![0])]).is_err());
                        drop(volume);
                        let look = LoggedVolume::open(&directory.0, SMALL, Access::Look).expect("opens");
                        assert!(
                            all(&look, &[0], &[255]).into_iter().eq(map.clone()),
                            "seed {seed} step {step}: looked at"
                        );
                        drop(look);
                        volume = directory.volume();
                    }
                    _ => {
                        let rows = (0..random.below(6) + 1).map(|_| {
                            let key = vec![1 + random.below(3) as u8, random.below(60) as u8];
                            (key, vec![step as u8; random.below(300) as usize])
                        });
                        let rows: Vec<Row> = rows.collect();
                        map.extend(rows.iter().cloned());
                        volume.commit(rows).expect("is stored");
                    }
                }
                let (from, to) = ([1 + random.below(3) as u8, 0], [1 + random.below(4) as u8, 30]);
                let said = all(&volume, &from, &to);
                let true_rows: Vec<Row> = if from < to {
                    map.range(from.to_vec()..to.to_vec()).map(|(key, value)| (key.clone(), value.clone())).collect()
                } else {
                    Vec::new()
                };
                assert_eq!(said, true_rows, "seed {seed} step {step}");
                if from < to {
                    assert_eq!(
                        volume.last(&from, &to).expect("reads").as_ref(),
                        true_rows.last(),
                        "seed {seed} step {step}"
                    );
                }
                let key = [1 + random.below(3) as u8, random.below(60) as u8];
                assert_eq!(volume.get(&key).expect("reads"), map.get(&key[..]).cloned(), "seed {seed} step {step}");
            }
            drop(volume);
            assert!(
                wal::read(&directory.0).expect("reads").is_none(),
                "what was closed is a database and nothing else"
            );
        }
    }

    /// While rows go from memory into the database, a reader finds each of them, once and in order.
    #[test]
    fn a_reader_beside_commits_misses_nothing_and_sees_nothing_twice() {
        let directory = Directory::new();
        // In memory there are more rows than a scan goes through at a time.
        let sizes = Sizes { wal_file_bytes: 16 * 1024, ..SMALL };
        let volume = Arc::new(LoggedVolume::open(&directory.0, sizes, Access::Mend).expect("opens"));
        let committed = Arc::new(AtomicU64::new(0));
        let writer = thread::spawn({
            let (volume, committed) = (volume.clone(), committed.clone());
            move || {
                for number in 0..4000_u64 {
                    volume.commit(vec![(number.to_be_bytes().to_vec(), vec![7; 40])]).expect("is stored");
                    committed.store(number + 1, Ordering::Release);
                }
            }
        });
        let mut scans = 0;
        while !writer.is_finished() || scans == 0 {
            let before = committed.load(Ordering::Acquire);
            let rows = all(&*volume, &[0], &[255]);
            let numbers = rows.iter().map(|(key, _)| u64::from_be_bytes(key[..].try_into().expect("a number")));
            assert!(numbers.eq(0..rows.len() as u64), "in order, each once");
            assert!(rows.len() as u64 >= before, "{} of {before} rows", rows.len());
            let last = volume.last(&[0], &[255]).expect("reads").map(|(key, _)| key);
            assert!(last >= before.checked_sub(1).map(|last| last.to_be_bytes().to_vec()));
            scans += 1;
        }
        writer.join().expect("writes");
        assert_eq!(all(&*volume, &[0], &[255]).len(), 4000);
    }

    /// The older file was being written again when the power went: what is left of it is older than what is in the database.
    #[test]
    fn what_lies_before_a_hole_in_the_older_file_takes_nothing_newer_away() {
        let directory = Directory::new();
        let row = |key: u8, value: &[u8]| vec![(vec![key], value.to_vec())];
        let volume = directory.volume();
        volume.commit(row(1, b"newer")).expect("is stored");
        drop(volume);
        let file = |epoch: u32, records: &[Vec<Row>]| {
            let mut file = wal::record::file_header(7);
            records.iter().for_each(|rows| wal::record::encode(7, epoch, rows, &mut file));
            file
        };
        let hole = row(1, b"newer");
        let mut older = file(1, &[row(1, b"older"), row(2, b"only here"), hole.clone(), row(3, b"last")]);
        let hole_at = older.len() - wal::record::length(&row(3, b"last")) - wal::record::length(&hole);
        older[hole_at..hole_at + wal::record::length(&hole)].fill(0);
        fs::write(directory.0.join("wal-0"), older).expect("writes");
        fs::write(directory.0.join("wal-1"), file(2, &[row(4, b"next")])).expect("writes");
        let volume = directory.volume();
        let values: Vec<_> = all(&volume, &[0], &[9]).into_iter().map(|(_, value)| value).collect();
        assert_eq!(values, [&b"newer"[..], b"only here", b"last", b"next"]);
        assert!(directory.0.join("wal-0.unreadable-1").exists(), "what could not be read is not thrown away");
        assert!(wal::read(&directory.0).expect("reads").is_none());
    }

    /// Files that are there may hold commits: nobody writes over them, not even after a failure to take them away.
    #[test]
    fn files_that_are_there_are_never_made_anew() {
        let directory = Directory::new();
        let volume = directory.volume();
        let mut file = wal::record::file_header(7);
        wal::record::encode(7, 1, &[(vec![1], vec![1])], &mut file);
        fs::write(directory.0.join("wal-1"), file).expect("writes");
        assert!(volume.commit(vec![(vec![2], vec![2])]).is_err());
        assert!(volume.commit(vec![(vec![2], vec![2])]).is_err(), "until it is opened again");
        volume.seal().expect("closes");
        assert_eq!(all(&directory.volume(), &[0], &[9]), [(vec![1], vec![1])]);
    }

    /// A commit that is larger than a file of the write-ahead log, among others.
    #[test]
    fn a_commit_that_no_file_has_room_for_is_kept_as_well() {
        let directory = Directory::new();
        let volume = directory.volume();
        for number in 0..9_u8 {
            volume.commit(vec![(vec![1, number], vec![number; 5000 * usize::from(number % 3)])]).expect("is stored");
        }
        let rows = all(&volume, &[0], &[255]);
        volume.broken.store(true, Ordering::Relaxed);
        drop(volume);
        assert_eq!(all(&directory.volume(), &[0], &[255]), rows);
        assert_eq!(rows.iter().map(|(_, value)| value.len()).sum::<usize>(), 45_000);
    }
}
