//! A shelf in memory that fails as disks do: a commit that is answered with an error and is there all the same, a volume
//! that does not open again, a volume that cannot be begun, a disk that does not answer.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use ropewalk_kernel::log::MemoryShelf;
use ropewalk_kernel::log::store::{Row, Shelf, StoreError, Usage, Visit, Volume};
use ropewalk_protocol::Seq;

/// What goes wrong.
#[derive(Default)]
pub(crate) struct Faults {
    /// This many commits reach the disk and are answered with an error.
    pub(crate) stored_but_failed: AtomicUsize,
    /// No volume can be opened.
    pub(crate) no_opening: AtomicBool,
    /// This many openings fail because the disk does not read.
    pub(crate) unread_openings: AtomicUsize,
    /// This many openings fail because the process has no descriptors left.
    pub(crate) exhausted_openings: AtomicUsize,
    /// A volume's size; 0: as on any shelf.
    pub(crate) volume_bytes_max: AtomicUsize,
    /// No volume can be begun: its first commit fails.
    pub(crate) no_beginning: AtomicBool,
    /// Nothing can be written into the index.
    pub(crate) no_indexing: AtomicBool,
    /// Volumes that are not there any more, or cannot be opened.
    pub(crate) hidden: Mutex<Vec<Seq>>,
    pub(crate) unreadable: Mutex<Vec<Seq>>,
    /// Volumes that were made, each as often as it was.
    pub(crate) created: Mutex<Vec<Seq>>,
    /// Where commits wait before they return, and what was written is there already.
    pub(crate) commits: Gate,
    /// Where a volume that is opened or begun waits.
    pub(crate) openings: Gate,
    /// How long a commit may take; 0: as long as on any shelf.
    pub(crate) commit_millis_max: AtomicU64,
}

/// Lets through whoever comes, unless it is shut.
#[derive(Default)]
pub(crate) struct Gate {
    state: Mutex<GateState>,
    moved: Condvar,
}

#[derive(Default)]
struct GateState {
    shut: bool,
    waiting: usize,
}

impl Gate {
    fn change(&self, change: impl FnOnce(&mut GateState)) {
        change(&mut self.state.lock().expect("no panic"));
        self.moved.notify_all();
    }

    pub(crate) fn shut(&self) {
        self.change(|state| state.shut = true);
    }

    pub(crate) fn open(&self) {
        self.change(|state| state.shut = false);
    }

    /// Waits until somebody waits here.
    pub(crate) fn has_somebody(&self) {
        let state = self.state.lock().expect("no panic");
        drop(self.moved.wait_while(state, |state| state.waiting == 0).expect("no panic"));
    }

    fn pass(&self) {
        self.change(|state| state.waiting += 1);
        let state = self.state.lock().expect("no panic");
        let mut state = self.moved.wait_while(state, |state| state.shut).expect("no panic");
        state.waiting -= 1;
    }
}

#[derive(Clone, Default)]
pub(crate) struct FaultyShelf {
    pub(crate) inner: MemoryShelf,
    pub(crate) faults: Arc<Faults>,
}

impl FaultyShelf {
    pub(crate) fn over(inner: MemoryShelf) -> Self {
        Self { inner, faults: Arc::default() }
    }

    fn volume(&self, inner: Arc<dyn Volume>) -> Arc<dyn Volume> {
        Arc::new(FaultyVolume { inner, closed: AtomicBool::new(false), is_index: false, faults: self.faults.clone() })
    }
}

struct FaultyVolume {
    inner: Arc<dyn Volume>,
    closed: AtomicBool,
    is_index: bool,
    faults: Arc<Faults>,
}

impl FaultyVolume {
    fn open(&self) -> Result<&dyn Volume, StoreError> {
        if self.closed.load(Ordering::SeqCst) { Err(StoreError::Closed) } else { Ok(&*self.inner) }
    }
}

fn take_one(left: &AtomicUsize) -> bool {
    left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}

fn failed(what: &str) -> StoreError {
    StoreError::Failed(what.to_owned())
}

impl Shelf for FaultyShelf {
    fn volumes(&self) -> Result<Vec<Seq>, StoreError> {
        let hidden = self.faults.hidden.lock().expect("no panic");
        Ok(self.inner.volumes()?.into_iter().filter(|first| !hidden.contains(first)).collect())
    }

    fn create(&self, first: Seq) -> Result<Arc<dyn Volume>, StoreError> {
        self.faults.openings.pass();
        self.faults.created.lock().expect("no panic").push(first);
        Ok(self.volume(self.inner.create(first)?))
    }

    fn open(&self, first: Seq) -> Result<Arc<dyn Volume>, StoreError> {
        if self.faults.no_opening.load(Ordering::SeqCst)
            || self.faults.unreadable.lock().expect("no panic").contains(&first)
        {
            return Err(StoreError::Damaged("the volume does not open".to_owned()));
        }
        if take_one(&self.faults.unread_openings) {
            return Err(StoreError::Damaged("Input/output error (os error 5)".to_owned()));
        }
        if take_one(&self.faults.exhausted_openings) {
            return Err(StoreError::Exhausted("Too many open files (os error 24)".to_owned()));
        }
        self.faults.openings.pass();
        Ok(self.volume(self.inner.open(first)?))
    }

    fn index(&self) -> Result<Arc<dyn Volume>, StoreError> {
        let (inner, faults) = (self.inner.index()?, self.faults.clone());
        Ok(Arc::new(FaultyVolume { inner, closed: AtomicBool::new(false), is_index: true, faults }))
    }

    fn write_head(&self, slot: usize, value: &[u8]) -> Result<(), StoreError> {
        self.inner.write_head(slot, value)
    }

    fn read_head(&self) -> Result<[Vec<u8>; 2], StoreError> {
        self.inner.read_head()
    }

    fn usage(&self) -> Usage {
        self.inner.usage()
    }

    fn volume_bytes(&self, first: Seq) -> u64 {
        self.inner.volume_bytes(first)
    }

    fn volume_bytes_max(&self) -> usize {
        match self.faults.volume_bytes_max.load(Ordering::SeqCst) {
            0 => self.inner.volume_bytes_max(),
            bytes => bytes,
        }
    }

    fn commit_time_max(&self) -> Duration {
        match self.faults.commit_millis_max.load(Ordering::SeqCst) {
            0 => self.inner.commit_time_max(),
            millis => Duration::from_millis(millis),
        }
    }

    fn ballast(&self, _keep: bool) {}
}

impl Volume for FaultyVolume {
    fn commit(&self, rows: Vec<Row>) -> Result<(), StoreError> {
        let volume = self.open()?;
        if self.is_index {
            let fails = self.faults.no_indexing.load(Ordering::SeqCst);
            return if fails { Err(failed("the index cannot be written")) } else { volume.commit(rows) };
        }
        let is_meta = rows.first().is_some_and(|(key, _)| key == &[0]);
        if is_meta && self.faults.no_beginning.load(Ordering::SeqCst) {
            return Err(StoreError::Full("no room for another volume".to_owned()));
        }
        let fails = take_one(&self.faults.stored_but_failed);
        let committed = volume.commit(rows);
        self.faults.commits.pass();
        committed?;
        if fails { Err(failed("the sync failed after the write")) } else { Ok(()) }
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.open()?.get(key)
    }

    fn scan(&self, from: &[u8], to: &[u8], visit: Visit<'_>) -> Result<(), StoreError> {
        self.open()?.scan(from, to, visit)
    }

    fn last(&self, from: &[u8], to: &[u8]) -> Result<Option<Row>, StoreError> {
        self.open()?.last(from, to)
    }

    fn seal(&self) -> Result<(), StoreError> {
        self.closed.store(true, Ordering::SeqCst);
        Ok(())
    }
}
