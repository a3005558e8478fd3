//! New ids as values: random ones for the machine, counted ones for tests.

use std::sync::atomic::{AtomicU64, Ordering};

use ropewalk_protocol::Timestamp;
use uuid::{Builder, Uuid};

/// Where new ids come from.
pub trait Ids: Send + Sync + 'static {
    /// A new UUID v7 for this moment.
    fn mint(&self, now: Timestamp) -> Uuid;
}

/// Ids from the operating system's randomness.
#[derive(Debug, Clone, Copy, Default)]
pub struct Random;

impl Ids for Random {
    fn mint(&self, now: Timestamp) -> Uuid {
        let random = Uuid::now_v7();
        let mut bytes = [0; 10];
        bytes.copy_from_slice(&random.as_bytes()[6..]);
        Builder::from_unix_timestamp_millis(now.unix_millis(), &bytes).into_uuid()
    }
}

/// Ids that count up, for tests.
#[derive(Debug, Default)]
pub struct Counted(AtomicU64);

impl Ids for Counted {
    fn mint(&self, now: Timestamp) -> Uuid {
        let mut bytes = [0; 10];
        bytes[2..].copy_from_slice(&self.0.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        Builder::from_unix_timestamp_millis(now.unix_millis(), &bytes).into_uuid()
    }
}
