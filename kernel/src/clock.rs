//! Time as a value: read once, at the edge.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use ropewalk_protocol::Timestamp;

/// Where the time comes from.
pub trait Clock: Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct System;

impl Clock for System {
    fn now(&self) -> Timestamp {
        SystemTime::now().into()
    }
}

/// A clock that moves when it is told to, for tests.
#[derive(Debug, Default)]
pub struct Manual(AtomicU64);

impl Manual {
    /// A clock that shows this time.
    pub fn at(now: Timestamp) -> Self {
        Self(AtomicU64::new(now.unix_micros()))
    }

    /// Shows this time from now on; it may lie in the past.
    pub fn set(&self, now: Timestamp) {
        self.0.store(now.unix_micros(), Ordering::Relaxed);
    }
}

impl Clock for Manual {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_micros(self.0.load(Ordering::Relaxed))
    }
}
