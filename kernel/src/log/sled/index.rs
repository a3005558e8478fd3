//! The index: a database without a write-ahead log, since it is seldom written and can be made anew.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use super::super::store::{Row, StoreError, Visit, Volume};
use super::super::unfinished;
use super::Access;
use super::database::Database;
use super::volume::{bounded, broken};

/// The index.
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
        self.database.close(true)
    }
}
