//! A log that is only looked at: what opening it would write goes to memory and is forgotten.
//!
//! Tools that check or copy a log must not change it, and least of all one that is damaged: opening a log as a daemon does
//! may begin a volume, mend the index and write HEAD.

use std::path::Path;
use std::sync::Arc;

use ropewalk_protocol::Seq;

use super::head::{self, Head};
use super::memory::MemoryShelf;
use super::sled::SledShelf;
use super::store::{Row, Shelf, StoreError, Usage, Visit, Volume};

/// A shelf whose volumes cannot be changed through it. sled itself writes its own snapshots when it opens a database, lengthens
/// its file, and clears one whose beginning it cannot read; what can be read in it stays as it is. A database that opening
/// would mend or make is called damaged.
pub struct ViewShelf {
    under: Arc<dyn Shelf>,
    /// Volumes that opening the log made, and the index, filled with what the one on disk says.
    made: MemoryShelf,
    index_damage: Option<String>,
}

impl ViewShelf {
    /// Looks at the log in this directory.
    ///
    /// # Errors
    /// There is none, or it cannot be read.
    pub fn open(directory: &Path) -> Result<Self, StoreError> {
        let shelf = SledShelf::existing(directory)?;
        let index = shelf.existing_index().and_then(|index| index.map_or(Ok(Vec::new()), |index| all_rows(&*index)));
        Self::over(Arc::new(shelf), index)
    }

    /// Looks at a log on any shelf, with these rows as its index. Where they could not be read the index is made anew, in
    /// memory.
    ///
    /// # Errors
    /// The index could not be read for a reason that is not damage.
    pub fn over(under: Arc<dyn Shelf>, index: Result<Vec<Row>, StoreError>) -> Result<Self, StoreError> {
        let made = MemoryShelf::default();
        let index_damage = match index {
            Ok(rows) => made.index()?.commit(rows).map(|()| None)?,
            Err(StoreError::Damaged(error)) => Some(error),
            Err(error) => return Err(error),
        };
        Ok(Self { under, made, index_damage })
    }

    /// Why the index on disk cannot be read, if it cannot.
    pub fn index_damage(&self) -> Option<&str> {
        self.index_damage.as_deref()
    }

    /// Why HEAD does not say how far the log went, if something else is in it.
    ///
    /// # Errors
    /// It could not be read.
    pub fn head_damage(&self) -> Result<Option<String>, StoreError> {
        let slots = head::foreign_slots(&*self.under)?;
        let says = Head::read(&*self.under)?.is_some();
        // A write that a crash cut is in one slot, and the other one counts.
        Ok((!slots.is_empty() && !says).then(|| "it holds something else than how far the log went".to_owned()))
    }
}

/// All rows of a volume.
pub(super) fn all_rows(volume: &dyn Volume) -> Result<Vec<Row>, StoreError> {
    let mut rows = Vec::new();
    volume.scan(&[0], &[u8::MAX], &mut |key, value| {
        rows.push((key.to_vec(), value.to_vec()));
        std::ops::ControlFlow::Continue(())
    })?;
    Ok(rows)
}

impl Shelf for ViewShelf {
    fn volumes(&self) -> Result<Vec<Seq>, StoreError> {
        let mut volumes = [self.under.volumes()?, self.made.volumes()?].concat();
        volumes.sort_unstable();
        volumes.dedup();
        Ok(volumes)
    }

    fn create(&self, first: Seq) -> Result<Arc<dyn Volume>, StoreError> {
        self.made.create(first)
    }

    fn open(&self, first: Seq) -> Result<Arc<dyn Volume>, StoreError> {
        if self.made.volumes()?.contains(&first) {
            return self.made.open(first);
        }
        let added = MemoryShelf::default().create(first)?;
        Ok(Arc::new(Untouched { volume: self.under.open(first)?, added }))
    }

    fn index(&self) -> Result<Arc<dyn Volume>, StoreError> {
        self.made.index()
    }

    fn write_head(&self, _slot: usize, _value: &[u8]) -> Result<(), StoreError> {
        Ok(())
    }

    fn read_head(&self) -> Result<[Vec<u8>; 2], StoreError> {
        self.under.read_head()
    }

    fn aside(&self) -> Result<Vec<String>, StoreError> {
        self.under.aside()
    }

    fn volume_bytes(&self, first: Seq) -> u64 {
        self.under.volume_bytes(first)
    }

    fn usage(&self) -> Usage {
        self.under.usage()
    }

    fn ballast(&self, _keep: bool) {}
}

/// A volume that stays as it is. What is committed to it, such as the meta row that a crash left out, is found under its key
/// by whoever asks for that key.
struct Untouched {
    volume: Arc<dyn Volume>,
    added: Arc<dyn Volume>,
}

impl Volume for Untouched {
    fn commit(&self, rows: Vec<Row>) -> Result<(), StoreError> {
        self.added.commit(rows)
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        match self.added.get(key)? {
            Some(value) => Ok(Some(value)),
            None => self.volume.get(key),
        }
    }

    fn scan(&self, from: &[u8], to: &[u8], visit: Visit<'_>) -> Result<(), StoreError> {
        self.volume.scan(from, to, visit)
    }

    fn last(&self, from: &[u8], to: &[u8]) -> Result<Option<Row>, StoreError> {
        self.volume.last(from, to)
    }

    fn seal(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
