//! How many of something there are just now.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A count. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Count(Arc<AtomicU64>);

/// One of those that are counted, until it is dropped.
#[derive(Debug)]
pub(super) struct Counted(Count);

impl Count {
    /// One more.
    pub(super) fn one(&self) -> Counted {
        self.0.fetch_add(1, Ordering::Relaxed);
        Counted(self.clone())
    }

    pub(super) fn now(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}
