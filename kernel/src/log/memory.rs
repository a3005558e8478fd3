//! A shelf in memory, for tests: the same suite passes on it as on disk.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ropewalk_protocol::{Seq, limits};

use super::store::{Row, Shelf, StoreError, Usage, Visit, Volume};

/// Volumes in memory. Clones share them, as processes share a disk.
#[derive(Debug, Clone, Default)]
pub struct MemoryShelf(Arc<Mutex<Contents>>);

#[derive(Debug, Default)]
struct Contents {
    volumes: BTreeMap<Seq, Arc<MemoryVolume>>,
    index: Arc<MemoryVolume>,
    given_up: BTreeSet<Seq>,
    heads: [Vec<u8>; 2],
    fail: Option<StoreError>,
}

#[derive(Debug, Default)]
struct MemoryVolume {
    rows: Mutex<BTreeMap<Vec<u8>, Vec<u8>>>,
    fail: Mutex<Option<StoreError>>,
}

impl MemoryShelf {
    /// From now on every commit fails like this; with `None`, none does.
    pub fn fail_commits(&self, error: Option<StoreError>) {
        let mut contents = lock(&self.0);
        contents.fail.clone_from(&error);
        for volume in contents.volumes.values() {
            lock(&volume.fail).clone_from(&error);
        }
    }

    /// Changes a slot of HEAD in place, as a failing disk does.
    pub fn damage_head(&self, slot: usize) {
        if let Some(byte) = lock(&self.0).heads[slot].first_mut() {
            *byte ^= 0x10;
        }
    }

    /// Changes one stored value in place, as a failing disk does. The `nth` row of the oldest volume that has so many.
    pub fn damage_event_row(&self, nth: usize) {
        let contents = lock(&self.0);
        for volume in contents.volumes.values() {
            let mut rows = lock(&volume.rows);
            let event_rows = rows.iter_mut().filter(|(key, _)| key.first() == Some(&(super::rows::Tag::Events as u8)));
            if let Some((_, value)) = event_rows.into_iter().nth(nth) {
                let middle = value.len() / 2;
                value[middle] ^= 0x10;
                return;
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shelf for MemoryShelf {
    fn volumes(&self) -> Result<Vec<Seq>, StoreError> {
        let contents = lock(&self.0);
        Ok(contents.volumes.keys().chain(&contents.given_up).copied().collect::<BTreeSet<_>>().into_iter().collect())
    }

    fn create(&self, first: Seq) -> Result<Arc<dyn Volume>, StoreError> {
        let mut contents = lock(&self.0);
        let volume = Arc::new(MemoryVolume { fail: Mutex::new(contents.fail.clone()), ..MemoryVolume::default() });
        contents.volumes.insert(first, volume.clone());
        Ok(volume)
    }

    fn open(&self, first: Seq) -> Result<Arc<dyn Volume>, StoreError> {
        let contents = lock(&self.0);
        let volume = contents.volumes.get(&first).cloned();
        volume.map(|volume| volume as Arc<dyn Volume>).ok_or_else(|| StoreError::Damaged(format!("no volume {first}")))
    }

    fn give_up(&self, first: Seq, _reason: &str) -> Result<(), StoreError> {
        let mut contents = lock(&self.0);
        contents.volumes.remove(&first);
        contents.given_up.insert(first);
        Ok(())
    }

    fn index(&self) -> Result<Arc<dyn Volume>, StoreError> {
        Ok(lock(&self.0).index.clone())
    }

    fn write_head(&self, slot: usize, value: &[u8]) -> Result<(), StoreError> {
        lock(&self.0).heads[slot] = value.to_vec();
        Ok(())
    }

    fn read_head(&self) -> Result<[Vec<u8>; 2], StoreError> {
        Ok(lock(&self.0).heads.clone())
    }

    /// A log in memory that is opened again begins to count anew.
    fn volume_bytes(&self, _first: Seq) -> u64 {
        0
    }

    fn usage(&self) -> Usage {
        let contents = lock(&self.0);
        let bytes = |volume: &Arc<MemoryVolume>| {
            lock(&volume.rows).iter().map(|(k, v)| (k.len() + v.len()) as u64).sum::<u64>()
        };
        Usage { used: contents.volumes.values().map(bytes).sum(), free: u64::MAX }
    }

    fn ballast(&self, _keep: bool) {}
}

impl Volume for MemoryVolume {
    fn commit(&self, rows: Vec<Row>) -> Result<(), StoreError> {
        if let Some((_, value)) = rows.iter().find(|(_, value)| value.len() > limits::STORED_VALUE_BYTES_MAX) {
            return Err(StoreError::TooLarge { bytes: value.len() });
        }
        if let Some(error) = lock(&self.fail).clone() {
            return Err(error);
        }
        lock(&self.rows).extend(rows);
        Ok(())
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(lock(&self.rows).get(key).cloned())
    }

    fn scan(&self, from: &[u8], to: &[u8], visit: Visit<'_>) -> Result<(), StoreError> {
        for (key, value) in lock(&self.rows).range(from.to_vec()..to.to_vec()) {
            if let ControlFlow::Break(()) = visit(key, value) {
                break;
            }
        }
        Ok(())
    }

    fn last(&self, from: &[u8], to: &[u8]) -> Result<Option<Row>, StoreError> {
        let rows = lock(&self.rows);
        Ok(rows.range(from.to_vec()..to.to_vec()).next_back().map(|(key, value)| (key.clone(), value.clone())))
    }

    fn seal(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
