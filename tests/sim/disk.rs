//! A disk that fails: commits that fail and leave nothing, or a part, or are there all the same; power cuts that take what was
//! not synced, or a part of it; volumes that do not open. It outlives the daemons that use it.
//!
//! A commit whose write failed is what the disk has of its bytes. They are those of the write-ahead log, and whoever opens the
//! volume next finds out by that log's own reader what is left.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use ropewalk_kernel::log::store::{Row, Shelf, StoreError, Usage, Visit, Volume};
use ropewalk_kernel::log::stored;
use ropewalk_protocol::{Seq, limits};

use super::random::Random;
use super::trace::note;

/// What becomes of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CommitFault {
    /// An error, and nothing is written.
    Fails,
    /// An error, though everything is written; not synced.
    FailsButWritten,
    /// An error, and of 256 parts of its bytes so many are written; not synced.
    Short { parts: u8 },
    /// The machine stops before anything is written.
    DiesBefore,
    /// The machine stops when of 256 parts of its bytes so many are written; not synced.
    DiesWithin { parts: u8 },
    /// The machine stops when everything is synced, before anybody is told.
    DiesAfter,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Which {
    Volume(Seq),
    Index,
}

/// How often the file was begun when a commit was written that is not needed any more, and when the newest one was.
const OLD: u32 = 1;
const NEW: u32 = 2;
/// What is said of writes of which a part is on the disk.
pub(super) const CUT_COMMIT: &str = "bytes of a commit are found, and no more";
pub(super) const CUT_HEAD: &str = "bytes of a head are written, and no more";

/// The first byte of the keys of chunks.
const CHUNKS: u8 = 1;

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
    /// What of bytes that were not synced is there after a power cut.
    luck: Random,
    /// What becomes of the next writes of a head, the next one first.
    head_faults: VecDeque<HeadFault>,
}

/// A write of a head of which so many bytes of 256 parts are written.
#[derive(Debug, Clone, Copy)]
struct HeadFault {
    parts: u8,
    /// The machine stops then; else it is an error.
    dies: bool,
}

#[derive(Default)]
struct Stored {
    /// What is synced.
    rows: BTreeMap<Vec<u8>, Vec<u8>>,
    /// What is written of the bytes of a commit that failed; not synced.
    unsynced: Vec<u8>,
    /// How many bytes that commit has.
    whole: usize,
    /// What lies where it is written: a commit before it, of which the file is not needed any more.
    under: Vec<u8>,
}

/// Which of 256 parts of so many bytes these are.
fn part(bytes: usize, parts: u8) -> usize {
    bytes * usize::from(parts) / 256
}

impl Stored {
    /// All of a commit, synced.
    fn commit(&mut self, rows: Vec<Row>) {
        self.under = stored::commit_bytes(OLD, &rows);
        self.rows.extend(rows);
    }

    /// Some of a commit's bytes: what `of` says of how many there are.
    fn write(&mut self, rows: &[Row], of: impl FnOnce(usize) -> usize) {
        let bytes = stored::commit_bytes(NEW, rows);
        self.whole = bytes.len();
        self.unsynced = bytes[..of(bytes.len())].to_vec();
    }

    fn lose_unsynced(&mut self, luck: &mut Random) {
        let left = luck.below(self.unsynced.len() as u64 + 1);
        self.unsynced.truncate(usize::try_from(left).expect("no more than there was"));
    }

    /// Reads what is there, as whoever opens it does, and makes it durable.
    fn open(&mut self) {
        let mut bytes = std::mem::take(&mut self.unsynced);
        if bytes.is_empty() {
            return;
        }
        if bytes.len() < self.whole {
            note(format!("{} of {} {CUT_COMMIT}", bytes.len(), self.whole));
        }
        bytes.extend(self.under.iter().skip(bytes.len()));
        self.rows.extend(stored::committed_rows(&bytes));
    }
}

/// The beginning of one value over another one.
fn over(old: &[u8], new: &[u8], written: usize) -> Vec<u8> {
    new[..written].iter().chain(old.iter().skip(written)).copied().collect()
}

/// The disk. Clones share it.
#[derive(Clone)]
pub(super) struct Disk(Arc<Mutex<Contents>>);

impl Disk {
    pub(super) fn new(volume_bytes_max: usize, luck: Random) -> Self {
        Self(Arc::new(Mutex::new(Contents {
            stored: BTreeMap::new(),
            heads: Default::default(),
            synced_heads: Default::default(),
            generation: 0,
            dead: false,
            full: false,
            commit_faults: VecDeque::new(),
            head_faults: VecDeque::new(),
            opens_that_fail: 0,
            damaged: BTreeSet::new(),
            met_damage: false,
            open: BTreeSet::new(),
            volume_bytes_max,
            luck,
        })))
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
        contents.head_faults.clear();
        if power {
            let Contents { stored, luck, heads, synced_heads, .. } = &mut *contents;
            stored.values_mut().for_each(|stored| stored.lose_unsynced(luck));
            for (head, synced) in heads.iter_mut().zip(synced_heads) {
                let written = luck.below(head.len() as u64 + 1);
                *head = over(synced, head, usize::try_from(written).expect("no more than there was"));
            }
        }
    }

    /// After so many commits that succeed, so many have this fault.
    pub(super) fn fail_commits(&self, fault: CommitFault, after: u8, count: u8) {
        let faults = &mut self.lock().commit_faults;
        faults.extend((0..after).map(|_| None));
        faults.extend((0..count).map(|_| Some(fault)));
    }

    /// Of the next write of a head so many of 256 parts are written.
    pub(super) fn tear_head(&self, parts: u8, dies: bool) {
        self.lock().head_faults.push_back(HeadFault { parts, dies });
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
        contents.head_faults.clear();
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
        contents.stored.entry(which).or_default().open();
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
        let mut contents = self.lock()?;
        let Some(fault) = contents.head_faults.pop_front() else {
            contents.heads[slot] = value.to_vec();
            return Ok(());
        };
        let written = part(value.len(), fault.parts);
        contents.heads[slot] = over(&contents.heads[slot], value, written);
        note(format!("{written} of {} {CUT_HEAD}", value.len()));
        contents.dead = fault.dies;
        Err(if fault.dies { gone() } else { StoreError::Failed("an I/O error at a head".to_owned()) })
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
                    stored.commit(rows);
                    return Ok(());
                }
                Some(CommitFault::Fails) => return Err(StoreError::Failed("an I/O error".to_owned())),
                Some(CommitFault::FailsButWritten) => {
                    stored.write(&rows, |all| all);
                    return Err(StoreError::Failed("an I/O error at the sync".to_owned()));
                }
                Some(CommitFault::Short { parts }) => {
                    stored.write(&rows, |all| part(all, parts));
                    return Err(StoreError::Failed("an I/O error in the middle of a write".to_owned()));
                }
                Some(CommitFault::DiesBefore) => {}
                Some(CommitFault::DiesWithin { parts }) => stored.write(&rows, |all| part(all, parts)),
                Some(CommitFault::DiesAfter) => stored.commit(rows),
            }
            contents.dead = true;
            Err(gone())
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
