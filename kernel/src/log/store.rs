//! What the log needs of a disk: a shelf of volumes, each an ordered map whose commits are atomic and durable.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use ropewalk_protocol::{Code, Rejection, Seq, limits};
use rustix::io::Errno;

use super::format::{FORMAT, build};
use super::words::is_exhausted;

/// A key and its value.
pub type Row = (Vec<u8>, Vec<u8>);

/// Why the disk did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// There is no room.
    #[error("no space left: {0}")]
    Full(String),
    /// Another process has it.
    #[error("another process has the log open: {0}")]
    Locked(String),
    /// The volume was closed to be sealed; it is there again when opened anew.
    #[error("the volume is closed")]
    Closed,
    /// The log was closed while all of it was read.
    #[error("the log is closed")]
    Stopped,
    /// A value is over the bound.
    #[error("a value of {bytes} bytes is over the bound of a stored value")]
    TooLarge {
        /// Its length.
        bytes: usize,
    },
    /// What is stored cannot be read.
    #[error("damaged: {0}")]
    Damaged(String),
    /// It is in a format that this build does not know.
    #[error("the log is in format {format} of {by}; this build, {own}, reads formats up to {known}", own = build(), known = FORMAT)]
    Newer {
        /// The format.
        format: u32,
        /// Who brought it into that format, in words.
        by: String,
    },
    /// What is asked for is, or may be, in a part of the log that cannot be read.
    #[error("{what}: events {from} to {to} cannot be read")]
    Unreadable {
        /// What was to be read, in words.
        what: String,
        /// The first event that cannot be read.
        from: Seq,
        /// The last one.
        to: Seq,
    },
    /// The process may not open more files, or the system has no more memory. This says nothing of what is stored.
    #[error("the system has no more to give: {0}")]
    Exhausted(String),
    /// It has not answered for so long.
    #[error("the disk has not answered for {0:?}")]
    Stalled(Duration),
    /// The disk could not read or write (EIO). It may yet do it, and what is stored need not be damaged.
    #[error("the disk failed: {0}")]
    Io(String),
    /// Anything else.
    #[error("the disk failed: {0}")]
    Failed(String),
}

/// What to do about a disk that does not answer.
const STALLED_HINT: &str = "Appends go on by themselves once the disk answers; reads go on. If it stays like this, look at the \
    disk, then run `ropewalk daemon restart`: what was acknowledged is kept.";

/// What to do about a process that may not have more.
const EXHAUSTED_HINT: &str = "Raise the daemon's limit of open files (`ulimit -n`, then `ropewalk daemon restart`), or end what holds \
    files or memory, and try again.";

/// What to do about a log of a later build.
const NEWER_HINT: &str = "Nothing was changed. Use that build, or a later one. To go back, write the log into a file with it (`ropewalk \
    log export`) and read that into a new home with this one (`ropewalk log import`).";

impl From<StoreError> for Rejection {
    fn from(error: StoreError) -> Self {
        let hint = match error {
            StoreError::Stalled(_) => Some(STALLED_HINT),
            StoreError::Exhausted(_) => Some(EXHAUSTED_HINT),
            StoreError::Newer { .. } => Some(NEWER_HINT),
            _ => None,
        };
        let code = match &error {
            StoreError::Full(_) => Code::StorageFull,
            StoreError::TooLarge { .. } => Code::TooLarge,
            StoreError::Newer { .. } => Code::UnsupportedVersion,
            StoreError::Unreadable { .. } => Code::Unreadable,
            StoreError::Stopped => Code::ShuttingDown,
            StoreError::Locked(_)
            | StoreError::Closed
            | StoreError::Damaged(_)
            | StoreError::Exhausted(_)
            | StoreError::Stalled(_)
            | StoreError::Io(_)
            | StoreError::Failed(_) => Code::StorageFailed,
        };
        let rejection = Rejection::new(code, error.to_string());
        match hint {
            Some(hint) => rejection.hint(hint),
            None => rejection,
        }
    }
}

impl From<std::io::Error> for StoreError {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => StoreError::Full(error.to_string()),
            _ if error.raw_os_error() == Some(Errno::IO.raw_os_error()) => StoreError::Io(error.to_string()),
            _ if is_exhausted(&error.to_string()) => StoreError::Exhausted(error.to_string()),
            _ => StoreError::Failed(error.to_string()),
        }
    }
}

/// What a scan calls for each row, until it says stop.
pub type Visit<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>;

/// An ordered map. Reads may come from any thread while one thread commits.
pub trait Volume: Send + Sync {
    /// Writes all rows or none; on success they are on stable storage.
    ///
    /// # Errors
    /// After an error nothing is known of these rows until the volume is opened again.
    fn commit(&self, rows: Vec<Row>) -> Result<(), StoreError>;

    /// The same for what builds look for that are older than this one: it is where they would have written it.
    ///
    /// # Errors
    /// As [`Volume::commit`].
    fn commit_for_every_build(&self, rows: Vec<Row>) -> Result<(), StoreError> {
        self.commit(rows)
    }

    /// The value under this key.
    ///
    /// # Errors
    /// The disk failed.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Visits the rows with `from <= key < to`, in order.
    ///
    /// # Errors
    /// The disk failed; rows visited before are good.
    fn scan(&self, from: &[u8], to: &[u8], visit: Visit<'_>) -> Result<(), StoreError>;

    /// The last row with `from <= key < to`.
    ///
    /// # Errors
    /// The disk failed.
    fn last(&self, from: &[u8], to: &[u8]) -> Result<Option<Row>, StoreError>;

    /// Leaves as little to be done as there can be for whoever opens it next. Nothing is lost if this is left out.
    ///
    /// # Errors
    /// The disk failed.
    fn settle(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Closes it for good: reads through this handle answer `Closed`. What is slow about sealing happens here.
    ///
    /// # Errors
    /// The disk failed.
    fn seal(&self) -> Result<(), StoreError>;
}

/// Bytes used and free.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes the shelf takes.
    pub used: u64,
    /// Bytes free on its disk.
    pub free: u64,
}

/// A row of volumes, each named by its first seq, and one disposable index beside them.
pub trait Shelf: Send + Sync + 'static {
    /// The volumes there are, oldest first.
    ///
    /// # Errors
    /// The disk failed.
    fn volumes(&self) -> Result<Vec<Seq>, StoreError>;

    /// Makes a volume that is not there yet.
    ///
    /// # Errors
    /// The disk failed or is full.
    fn create(&self, first: Seq) -> Result<Arc<dyn Volume>, StoreError>;

    /// Opens a volume.
    ///
    /// # Errors
    /// It is not there, or damaged, or the disk failed.
    fn open(&self, first: Seq) -> Result<Arc<dyn Volume>, StoreError>;

    /// Takes a volume out of the row and leaves word of it in its place, so that what it held is known to be missing: opening
    /// it says that it is damaged. What was there under its name, if anything, must have been put aside before.
    ///
    /// # Errors
    /// The disk failed, or this shelf cannot.
    fn give_up(&self, first: Seq, reason: &str) -> Result<(), StoreError> {
        Err(StoreError::Failed(format!("volume {first} cannot be given up here ({reason})")))
    }

    /// Opens the index, anew if it cannot be read: it can always be rebuilt from the volumes.
    ///
    /// # Errors
    /// The disk failed or is full.
    fn index(&self) -> Result<Arc<dyn Volume>, StoreError>;

    /// Keeps a small value in one of two slots, outside all volumes: it survives the process, maybe not the machine.
    ///
    /// # Errors
    /// The disk failed.
    fn write_head(&self, slot: usize, value: &[u8]) -> Result<(), StoreError>;

    /// Every volume is known to be in a format that this build reads, and it is about to write: whoever does not know the
    /// format it writes is to be told so. It is not an error if that cannot be written: the newest volume says it as well.
    fn claim(&self) {}

    /// The two slots, as they are.
    ///
    /// # Errors
    /// The disk failed.
    fn read_head(&self) -> Result<[Vec<u8>; 2], StoreError>;

    /// Files that hold what could not be read and that nobody reads any more, by their names below the log's directory.
    ///
    /// # Errors
    /// The disk failed.
    fn aside(&self) -> Result<Vec<String>, StoreError> {
        Ok(Vec::new())
    }

    /// The bytes that a volume takes on the disk.
    fn volume_bytes(&self, first: Seq) -> u64;

    /// How large a volume may grow before the next one is begun.
    fn volume_bytes_max(&self) -> usize {
        limits::VOLUME_BYTES_MAX
    }

    /// How long the log's writer may wait for the disk before appends are refused.
    fn commit_time_max(&self) -> Duration {
        Duration::from_millis(limits::COMMIT_MILLIS_MAX)
    }

    /// How much there is and how much fits.
    fn usage(&self) -> Usage;

    /// Gives up the space kept for bad days, or takes it again. Called when the disk is full, and when it is not any more.
    fn ballast(&self, keep: bool);
}
