//! The log: one dense sequence of events and the terminals' bytes, in a row of volumes.
//!
//! [`Journal`] is what the rest of the house talks to. Below it: [`writer`] commits in groups on a thread of its own,
//! [`watchdog`] sees to it that nobody waits for a disk that does not answer, [`volumes`] keeps the row of volumes and finds rows in it, [`chunk`] and [`rows`] say what bytes look like, and a
//! [`store::Shelf`] keeps them: sled on disk, with a write-ahead log in front of it, or memory in tests.

pub mod archive;
mod chunk;
mod compression;
mod export;
mod format;
mod group;
mod head;
mod import;
mod journal;
mod lookup;
mod memory;
mod pieces;
mod read;
mod read_back;
mod read_output;
mod reading;
mod receipts;
mod recent;
pub mod repair;
mod rows;
mod sled;
pub mod store;
#[doc(hidden)]
pub mod stored;
mod tail;
mod unfinished;
mod verify;
mod viewing;
mod volumes;
mod waiter;
mod watchdog;
mod words;
mod writer;

pub use self::sled::SledShelf;
pub use chunk::{Chunk, ChunkError};
pub use export::{Archived, ExportError};
pub use format::build;
pub use import::{ImportError, import};
pub use journal::{Batch, Committed, Journal, Observer, OpenError, Opened, Stats};
pub use lookup::StoredRecord;
pub use memory::MemoryShelf;
pub use read::{EventPage, Filter, Gap, Passes, Slice};
pub use read_back::PageBefore;
pub use read_output::OutputPage;
pub use reading::{History, Snapshot};
pub use verify::{NO_ROW, Verified};
pub use viewing::ViewShelf;
pub use waiter::{NumberedStored, Stored};
