//! A disk that fails: commits that fail and leave nothing, or fail and are there all the same; power cuts that take what was
//! not synced; volumes that do not open. It outlives the daemons that use it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use ropewalk_kernel::log::store::{Row, Shelf, StoreError, Usage, Visit, Volume};
use ropewalk_protocol::{Seq, limits};

/// What becomes of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CommitFault {
    /// An error, and nothing is written.
    Fails,
    /// An error, though everything is written; not synced.
    FailsButWritten,
    /// The machine stops before anything is written.
    DiesBefore,
    /// The machine stops when everything is synced, before anybody is told.
    DiesAfter,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Which {
    Volume(Seq),
    Index,
}

/// The first byte of the keys of chunks.
const CHUNKS: u8 = 1;

#[derive(Default)]
struct Contents {
    stored: BTreeMap<Which, Stored>,
    heads: [Vec<u8>; 2],
    /// What a power cut leaves of the heads.
    synced_heads: [Vec<u8>; 2],
    /// Handles of an older generation are of a daemon that crashed: they reach nothing.
    generation: u64,
    dead: bool,
    full: bool,
    /// What becomes of the next commits, the next one first.
    commit_faults: VecDeque<Option<CommitFault>>,
    opens_that_fail: u64,
    /// Volumes that are damaged when they are opened.
    damaged: BTreeSet<Seq>,
    /// Whether any ever was when it was opened.
    met_damage: bool,
    open: BTreeSet<Which>,
    volume_bytes_max: usize,
}

#[derive(Default)]
struct Stored {
    rows: BTreeMap<Vec<u8>, Vec<u8>>,
    /// What was there before each row that is not synced, the oldest first.
    unsynced: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl Stored {
    fn write(&mut self, rows: &[Row]) {
        for (key, value) in rows {
            let before = self.rows.insert(key.clone(), value.clone());
            self.unsynced.push((key.clone(), before));
        }
    }

    fn lose_unsynced(&mut self) {
        for (key, before) in std::mem::take(&mut self.unsynced).into_iter().rev() {
            match before {
                Some(value) => drop(self.rows.insert(key, value)),
                None => drop(self.rows.remove(&key)),
            }
        }
    }
}

/// The disk. Clones share it.
#[derive(Clone)]
pub(super) struct Disk(Arc<Mutex<Contents>>);

impl Disk {
    pub(super) fn new(volume_bytes_max: usize) -> Self {
        Self(Arc::new(Mutex::new(Contents { volume_bytes_max, ..Contents::default() })))
    }

    fn lock(&self) -> MutexGuard<'_, Contents> {
        self.0.lock().expect("no panic while the disk is locked")
    }

    /// The disk as a daemon that starts sees it.
    pub(super) fn shelf(&self) -> Arc<dyn Shelf> {
        let mut contents = self.lock();
        // A daemon that starts knows nothing of programs whose beginning it cannot read, and ends them.
        contents.damaged.clear();
        Arc::new(SimShelf { disk: self.clone(), generation: contents.generation })
    }

    /// Whether the machine stopped in the middle of a commit.
    pub(super) fn is_dead(&self) -> bool {
        self.lock().dead
    }

    /// The daemon is gone. With the power, so is everything that was not synced.
    pub(super) fn crash(&self, power: bool) {
        let mut contents = self.lock();
        contents.generation += 1;
        contents.open.clear();
        contents.dead = false;
        contents.commit_faults.clear();
        if power {
            contents.stored.values_mut().for_each(Stored::lose_unsynced);
            contents.heads = contents.synced_heads.clone();
        }
    }

    /// After so many commits that succeed, so many have this fault.
    pub(super) fn fail_commits(&self, fault: CommitFault, after: u8, count: u8) {
        let faults = &mut self.lock().commit_faults;
        faults.extend((0..after).map(|_| None));
        faults.extend((0..count).map(|_| Some(fault)));
    }

    pub(super) fn fail_opens(&self, count: u64) {
        self.lock().opens_that_fail = count;
    }

    /// The newest volume is damaged when it is opened again, by this daemon.
    pub(super) fn damage_newest(&self) {
        let mut contents = self.lock();
        let newest = contents.stored.keys().filter_map(|which| match which {
            Which::Volume(first) => Some(*first),
            Which::Index => None,
        });
        let newest = newest.max();
        contents.damaged.extend(newest);
    }

    /// Whether a daemon ever met a damaged volume.
    pub(super) fn met_damage(&self) -> bool {
        self.lock().met_damage
    }

    pub(super) fn fill(&self, full: bool) {
        self.lock().full = full;
    }

    pub(super) fn heal(&self) {
        let mut contents = self.lock();
        contents.commit_faults.clear();
        contents.opens_that_fail = 0;
        contents.damaged.clear();
        contents.full = false;
    }

    /// The places of all stored chunks: the first and the last seq of each, the head told from outside. What a volume holds
    /// behind the beginning of the next one was given up with it, and its places were given to others.
    pub(super) fn chunks(&self, head: Seq) -> Vec<(Seq, Seq)> {
        let contents = self.lock();
        let firsts_of = |stored: &Stored| {
            let keys = stored.rows.keys().filter(|key| key[0] == CHUNKS);
            keys.filter_map(|key| number(key)).collect::<Vec<u64>>()
        };
        // One that was begun and never written to ends none before it.
        let mut volumes: Vec<(Seq, Vec<u64>)> = contents
            .stored
            .iter()
            .filter_map(|(which, stored)| match which {
                Which::Volume(first) => Some((*first, firsts_of(stored))).filter(|(_, firsts)| !firsts.is_empty()),
                Which::Index => None,
            })
            .collect();
        volumes.sort_unstable();
        let until: Vec<u64> = volumes.iter().skip(1).map(|(next, _)| next.0).chain([u64::MAX]).collect();
        let firsts = volumes.into_iter().zip(until);
        let firsts = firsts.flat_map(|((_, firsts), until)| firsts.into_iter().filter(move |first| *first < until));
        let firsts: Vec<u64> = firsts.collect();
        let ends = firsts.iter().skip(1).map(|next| next - 1).chain([head.0]);
        firsts.iter().zip(ends).map(|(first, last)| (Seq(*first), Seq(last))).collect()
    }

    /// Changes a byte of the chunk that begins here.
    pub(super) fn damage(&self, chunk: Seq) {
        for stored in self.lock().stored.values_mut() {
            let at = stored.rows.iter_mut().find(|(key, _)| key[0] == CHUNKS && number(key) == Some(chunk.0));
            if let Some((_, value)) = at {
                let middle = value.len() / 2;
                value[middle] ^= 0x20;
            }
        }
    }
}

fn number(key: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(key.get(1..9)?.try_into().ok()?))
}

fn gone() -> StoreError {
    StoreError::Failed("the machine has stopped".to_owned())
}

struct SimShelf {
    disk: Disk,
    generation: u64,
}

impl SimShelf {
    fn lock(&self) -> Result<MutexGuard<'_, Contents>, StoreError> {
        let contents = self.disk.lock();
        if contents.dead || contents.generation != self.generation { Err(gone()) } else { Ok(contents) }
    }

    fn handle(&self, contents: &mut Contents, which: Which) -> Result<Arc<dyn Volume>, StoreError> {
        if contents.opens_that_fail > 0 {
            contents.opens_that_fail -= 1;
            return Err(StoreError::Failed(format!("{which:?} does not open")));
        }
        if let Which::Volume(first) = which
            && contents.damaged.contains(&first)
        {
            contents.met_damage = true;
            return Err(StoreError::Damaged(format!("{which:?} cannot be read")));
        }
        if contents.full {
            return Err(StoreError::Full(format!("no room to open {which:?}")));
        }
        if !contents.open.insert(which) {
            return Err(StoreError::Locked(format!("{which:?} is open already")));
        }
        // Opening makes what it reads durable.
        contents.stored.entry(which).or_default().unsynced.clear();
        let (disk, generation) = (self.disk.clone(), self.generation);
        Ok(Arc::new(SimVolume {
            disk,
            generation,
            which,
            sealed: AtomicBool::new(false),
            broken: AtomicBool::new(false),
        }))
    }
}

impl Shelf for SimShelf {
    fn volumes(&self) -> Result<Vec<Seq>, StoreError> {
        let contents = self.lock()?;
        let volumes = contents.stored.keys().filter_map(|which| match which {
            Which::Volume(first) => Some(*first),
            Which::Index => None,
        });
        Ok(volumes.collect())
    }

    fn create(&self, first: Seq) -> Result<Arc<dyn Volume>, StoreError> {
        let mut contents = self.lock()?;
        self.handle(&mut contents, Which::Volume(first))
    }

    fn open(&self, first: Seq) -> Result<Arc<dyn Volume>, StoreError> {
        let mut contents = self.lock()?;
        if !contents.stored.contains_key(&Which::Volume(first)) {
            return Err(StoreError::Failed(format!("there is no volume {first}")));
        }
        self.handle(&mut contents, Which::Volume(first))
    }

    fn index(&self) -> Result<Arc<dyn Volume>, StoreError> {
        let mut contents = self.lock()?;
        self.handle(&mut contents, Which::Index)
    }

    fn write_head(&self, slot: usize, value: &[u8]) -> Result<(), StoreError> {
        self.lock()?.heads[slot] = value.to_vec();
        Ok(())
    }

    fn read_head(&self) -> Result<[Vec<u8>; 2], StoreError> {
        let mut contents = self.lock()?;
        // What a daemon starts from is what a later power cut leaves at least.
        contents.synced_heads = contents.heads.clone();
        Ok(contents.heads.clone())
    }

    fn volume_bytes(&self, _first: Seq) -> u64 {
        0
    }

    fn volume_bytes_max(&self) -> usize {
        self.disk.lock().volume_bytes_max
    }

    fn usage(&self) -> Usage {
        let free = if self.disk.lock().full { 0 } else { u64::MAX };
        Usage { used: 0, free }
    }

    fn ballast(&self, _keep: bool) {}
}

struct SimVolume {
    disk: Disk,
    generation: u64,
    which: Which,
    sealed: AtomicBool,
    /// A commit failed: nothing more is written through this handle.
    broken: AtomicBool,
}

impl SimVolume {
    fn with<T>(&self, work: impl FnOnce(&mut Contents) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let mut contents = self.disk.lock();
        if contents.dead || contents.generation != self.generation {
            return Err(gone());
        }
        if self.sealed.load(Ordering::Relaxed) {
            return Err(StoreError::Closed);
        }
        work(&mut contents)
    }

    fn read<T>(&self, work: impl FnOnce(&BTreeMap<Vec<u8>, Vec<u8>>) -> T) -> Result<T, StoreError> {
        self.with(|contents| Ok(work(&contents.stored.entry(self.which).or_default().rows)))
    }

    fn close(&self) {
        let mut contents = self.disk.lock();
        if contents.generation == self.generation && !self.sealed.swap(true, Ordering::Relaxed) {
            contents.open.remove(&self.which);
        }
    }
}

impl Drop for SimVolume {
    fn drop(&mut self) {
        self.close();
    }
}

impl Volume for SimVolume {
    fn commit(&self, rows: Vec<Row>) -> Result<(), StoreError> {
        if let Some((_, value)) = rows.iter().find(|(_, value)| value.len() > limits::STORED_VALUE_BYTES_MAX) {
            return Err(StoreError::TooLarge { bytes: value.len() });
        }
        if self.broken.load(Ordering::Relaxed) {
            return Err(StoreError::Failed("an earlier commit failed".to_owned()));
        }
        let result = self.with(|contents| {
            let fault = contents.commit_faults.pop_front().flatten();
            if contents.full {
                return Err(StoreError::Full("no room for a commit".to_owned()));
            }
            let stored = contents.stored.entry(self.which).or_default();
            match fault {
                None => {
                    stored.write(&rows);
                    stored.unsynced.clear();
                    Ok(())
                }
                Some(CommitFault::Fails) => Err(StoreError::Failed("an I/O error".to_owned())),
                Some(CommitFault::FailsButWritten) => {
                    stored.write(&rows);
                    Err(StoreError::Failed("an I/O error at the sync".to_owned()))
                }
                Some(fault @ (CommitFault::DiesBefore | CommitFault::DiesAfter)) => {
                    if fault == CommitFault::DiesAfter {
                        stored.write(&rows);
                        stored.unsynced.clear();
                    }
                    contents.dead = true;
                    Err(gone())
                }
            }
        });
        self.broken.fetch_or(result.is_err(), Ordering::Relaxed);
        result
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(|rows| rows.get(key).cloned())
    }

    fn scan(&self, from: &[u8], to: &[u8], visit: Visit<'_>) -> Result<(), StoreError> {
        let rows: Vec<Row> = self.read(|rows| {
            rows.range(from.to_vec()..to.to_vec()).map(|(key, value)| (key.clone(), value.clone())).collect()
        })?;
        for (key, value) in rows {
            if let ControlFlow::Break(()) = visit(&key, &value) {
                break;
            }
        }
        Ok(())
    }

    fn last(&self, from: &[u8], to: &[u8]) -> Result<Option<Row>, StoreError> {
        self.read(|rows| {
            rows.range(from.to_vec()..to.to_vec()).next_back().map(|(key, value)| (key.clone(), value.clone()))
        })
    }

    fn seal(&self) -> Result<(), StoreError> {
        self.close();
        Ok(())
    }
}
