//! One sled database, and what is known of it. The only file that names sled.
//!
//! What was measured of sled 0.34.7 and is kept to here: `flush` alone loses acknowledged data in a power cut, so an
//! `fdatasync` on its file follows; a value over a sixteenth of a quarter segment goes to a file that no sync covers, so it
//! is refused; a crash while opening leaves `snap.*.generating`, which would never open again, so it is deleted first; it
//! writes a segment anew once it believes that nothing in it is needed, so little is written between two syncs; and some
//! damage makes it panic, so every call is caught.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::num::NonZeroU64;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use ropewalk_protocol::limits;

use super::super::store::{Row, StoreError, Visit};
use super::super::unfinished;
use super::super::words::{in_words, is_exhausted, is_io_error};
use super::sync_directory;
use crate::planted::{Bug, is_planted};

const CACHE_BYTES: u64 = 16 * 1024 * 1024;
/// How late the timers of sled's own threads may be. Each of the seven looks once a second whether there is work, which it would be
/// told of anyway.
const POOL_TIMER_SLACK: Duration = Duration::from_secs(3600);
/// Rows of a leaf, at most, and its changes until it is written anew. From sled's source.
const LEAF_ROWS: usize = 16;
const CHANGES_OF_A_LEAF: usize = 10;
/// What a row takes beside its key and value, about.
const ROW_BYTES: usize = 64;

/// One sled database.
pub(super) struct Database {
    path: PathBuf,
    segment_bytes: usize,
    /// Taken out when the database is closed.
    open: RwLock<Option<Open>>,
}

struct Open {
    db: sled::Db,
    /// sled's own file, for the sync that its flush leaves out.
    file: File,
}

impl Database {
    /// Opens the database in this directory, or makes it. What a crash left unfinished is mended.
    pub(super) fn open(path: &Path, segment_bytes: usize) -> Result<Self, StoreError> {
        let open = guarded("open", || open_db(path, segment_bytes).map_err(|error| blamed(path, error)))?;
        Ok(Self { path: path.to_owned(), segment_bytes, open: RwLock::new(Some(open)) })
    }

    fn with<T>(&self, what: &str, work: impl FnOnce(&Open) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        let open = open.as_ref().ok_or(StoreError::Closed)?;
        guarded(what, || work(open))
    }

    /// The same for what may begin threads of sled's.
    fn with_pool<T>(&self, what: &str, work: impl FnOnce(&Open) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.with(what, |open| {
            let _slack = TimerSlack::of_pool();
            work(open)
        })
    }

    /// Writes all rows or none; on success they are on stable storage. After an error nothing is known of them until the
    /// database is opened again.
    pub(super) fn apply(&self, rows: &[Row]) -> Result<(), StoreError> {
        self.with_pool("commit", |open| {
            let mut batch = sled::Batch::default();
            for (key, value) in rows {
                batch.insert(key.as_slice(), value.as_slice());
            }
            open.db.apply_batch(batch).map_err(store_error)?;
            open.sync()
        })
    }

    /// Writes these rows one by one: a crash may leave some of them. On success they are on stable storage. Unlike
    /// [`Database::apply`] it keeps no reader waiting, and closes a buffer of sled's only once for all of them.
    pub(super) fn put<'a>(&self, rows: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Result<(), StoreError> {
        self.with_pool("put", |open| {
            let mut written = 0;
            for (key, value) in rows {
                written += open.written_by(key, value)?;
                open.db.insert(key, value).map_err(store_error)?;
                if written >= limits::UNSYNCED_BYTES_MAX {
                    written = 0;
                    open.sync()?;
                }
            }
            open.sync()
        })
    }

    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.with("get", |open| Ok(open.db.get(key).map_err(store_error)?.map(|value| value.to_vec())))
    }

    pub(super) fn scan(&self, from: &[u8], to: &[u8], visit: Visit<'_>) -> Result<(), StoreError> {
        self.with("scan", |open| {
            for row in open.db.range(from..to) {
                let (key, value) = row.map_err(store_error)?;
                if let ControlFlow::Break(()) = visit(&key, &value) {
                    break;
                }
            }
            Ok(())
        })
    }

    pub(super) fn last(&self, from: &[u8], to: &[u8]) -> Result<Option<Row>, StoreError> {
        self.with("last", |open| {
            let row = open.db.range(from..to).next_back().transpose().map_err(store_error)?;
            Ok(row.map(|(key, value)| (key.to_vec(), value.to_vec())))
        })
    }

    /// Whether somebody closed it.
    pub(super) fn is_closed(&self) -> bool {
        self.open.read().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// Closes it: every call from here on answers `Closed`. For a snapshot it is opened once more for a moment: sled writes one only
    /// when it opens, and damage is found far better with a fresh one. Who reads waits until that is over, as nobody else could
    /// open it meanwhile.
    pub(super) fn close(&self, has_snapshot: bool) -> Result<(), StoreError> {
        // sled syncs when it closes, and panics with its lock in hand where that fails: it stays open until a sync succeeds.
        // Both wait for the disk, so readers are not shut out meanwhile.
        match self.open.read().unwrap_or_else(PoisonError::into_inner).as_ref() {
            None => return Ok(()),
            Some(open) => open.file.sync_all()?,
        }
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        close(open.take())?;
        if has_snapshot {
            let opened = guarded("seal", || open_db(&self.path, self.segment_bytes))?;
            close(Some(opened))?;
        }
        drop(open);
        Ok(())
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Err(error) = close(self.open.get_mut().unwrap_or_else(PoisonError::into_inner).take()) {
            tracing::warn!(%error, "a database did not close cleanly");
        }
    }
}

/// This thread's timers may be late until it is dropped; those of a thread that is begun meanwhile may be for good. sled has no
/// switch for its pool, which begins with the first write of the process.
struct TimerSlack;

impl TimerSlack {
    fn of_pool() -> Self {
        let nanos = u64::try_from(POOL_TIMER_SLACK.as_nanos()).ok().and_then(NonZeroU64::new);
        // Where there is no such thing they wake for nothing.
        rustix::thread::set_current_timer_slack(nanos).ok();
        Self
    }
}

impl Drop for TimerSlack {
    fn drop(&mut self) {
        rustix::thread::set_current_timer_slack(None).ok();
    }
}

impl Open {
    /// How many bytes sled writes for a row, about: the row, and its part of the leaf it is in, which is written anew with each
    /// tenth change. How large the others in the leaf are, the row's neighbours tell.
    fn written_by(&self, key: &[u8], value: &[u8]) -> Result<usize, StoreError> {
        let before = self.db.get_lt(key).map_err(store_error)?.map_or(0, |(_, value)| value.len());
        let after = self.db.get_gt(key).map_err(store_error)?.map_or(0, |(_, value)| value.len());
        let leaf = LEAF_ROWS * (ROW_BYTES + before.max(after).max(value.len()));
        Ok(ROW_BYTES + key.len() + value.len() + leaf / CHANGES_OF_A_LEAF)
    }

    fn sync(&self) -> Result<(), StoreError> {
        self.db.flush().map_err(store_error)?;
        if is_planted(Bug::WrittenAgainBeforeSync) {
            return Ok(());
        }
        Ok(self.file.sync_data()?)
    }
}

fn close(open: Option<Open>) -> Result<(), StoreError> {
    guarded("close", || {
        let _slack = TimerSlack::of_pool();
        drop(open);
        Ok(())
    })
}

fn open_db(path: &Path, segment_bytes: usize) -> Result<Open, StoreError> {
    let fresh = remove_torn_conf(path)? || !path.join("db").exists();
    remove_unfinished_snapshots(path)?;
    let config = sled::Config::new()
        .path(path)
        .segment_size(segment_bytes)
        .cache_capacity(CACHE_BYTES)
        .flush_every_ms(None)
        .use_compression(false);
    // The database's lock is let go by a thread of sled's pool, a moment after the last handle is dropped.
    let mut attempts_left = 100;
    let db = loop {
        let slack = TimerSlack::of_pool();
        let opened = config.open();
        drop(slack);
        match opened {
            Err(sled::Error::Io(error)) if is_locked(&error) => {
                if attempts_left == 0 {
                    return Err(StoreError::Locked(path.display().to_string()));
                }
                attempts_left -= 1;
                std::thread::sleep(Duration::from_millis(10));
            }
            other => break other.map_err(store_error)?,
        }
    };
    let file = OpenOptions::new().read(true).write(true).open(path.join("db"))?;
    if fresh {
        // What names the data must be as durable as the data: once, at creation.
        file.sync_all()?;
        File::open(path.join("conf"))?.sync_all()?;
        sync_directory(path)?;
        path.parent().map_or(Ok(()), sync_directory)?;
    } else {
        // What a failed commit or a killed process left unsynced is read from here on, so it is made durable first.
        file.sync_data()?;
    }
    Ok(Open { db, file })
}

/// Why a database does not open. sled writes a snapshot for that, and says the same of a disk that did not read as of one that
/// did not write: if it reads all there is, it refused to write, and nothing is said of what is stored.
fn blamed(path: &Path, error: StoreError) -> StoreError {
    match error {
        StoreError::Damaged(text) if is_io_error(&text) && is_readable(path) => StoreError::Io(text),
        other => other,
    }
}

/// Whether the disk reads every file of a database.
fn is_readable(path: &Path) -> bool {
    let read = |entry: io::Result<fs::DirEntry>| {
        let entry = entry?;
        if entry.file_type()?.is_file() { io::copy(&mut File::open(entry.path())?, &mut io::sink()) } else { Ok(0) }
    };
    fs::read_dir(path).is_ok_and(|entries| entries.map(read).all(|read| read.is_ok()))
}

fn is_locked(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::WouldBlock || error.to_string().contains("could not acquire lock")
}

/// sled writes `conf` in two writes, and a crash between them leaves one that never opens again. All it says are the options
/// that every open passes, so one whose checksum is wrong is written anew; whether there was one.
fn remove_torn_conf(path: &Path) -> Result<bool, StoreError> {
    let conf = path.join("conf");
    let Ok(bytes) = fs::read(&conf) else {
        return Ok(false);
    };
    let whole = unfinished::is_whole_conf(&bytes);
    if !whole {
        tracing::warn!(file = %conf.display(), "a database's options are torn or damaged: they are written anew");
        fs::remove_file(&conf)?;
    }
    Ok(!whole)
}

fn remove_unfinished_snapshots(path: &Path) -> Result<(), StoreError> {
    let Ok(entries) = fs::read_dir(path) else {
        return Ok(());
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_name().to_string_lossy().ends_with(".generating") {
            tracing::warn!(file = %entry.path().display(), "a snapshot that a crash left unfinished is removed");
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn guarded<T>(what: &str, work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let reason = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        let reason = format!("sled panicked in {what}: {}", in_words(reason.unwrap_or("no reason given")));
        // What panicked while it closed may hold its lock for as long as the process lives, whatever the reason.
        let is_passing = what != "close" && is_exhausted(&reason);
        Err(if is_passing { StoreError::Exhausted(reason) } else { StoreError::Damaged(reason) })
    })
}

fn store_error(error: sled::Error) -> StoreError {
    match error {
        sled::Error::Io(io) => {
            // sled wraps what the system said into an error of its own, so that only the words tell.
            let (text, kind) = (in_words(&io.to_string()), io.kind());
            let cut = matches!(kind, std::io::ErrorKind::UnexpectedEof | std::io::ErrorKind::InvalidData);
            match StoreError::from(io) {
                StoreError::Failed(_) if text.contains("No space left") => StoreError::Full(text),
                StoreError::Io(_) => StoreError::Damaged(text),
                StoreError::Failed(_) if cut || is_io_error(&text) => StoreError::Damaged(text),
                StoreError::Full(_) => StoreError::Full(text),
                _ if is_exhausted(&text) => StoreError::Exhausted(text),
                _ => StoreError::Failed(text),
            }
        }
        sled::Error::Corruption { .. } | sled::Error::ReportableBug(_) | sled::Error::Unsupported(_) => {
            StoreError::Damaged(error.to_string())
        }
        other @ sled::Error::CollectionNotFound(_) => StoreError::Failed(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_of_in_words() {
        // sled keeps an error as another one's text, and says that one.
        let full = std::io::Error::from_raw_os_error(28);
        let kept = std::io::Error::new(full.kind(), format!("{full:?}"));
        let told = "No space left on device (os error 28)".to_owned();
        assert_eq!(store_error(sled::Error::Io(kept)), StoreError::Full(told));
    }

    #[test]
    fn a_thread_that_is_begun_for_sled_has_late_timers_for_good_and_its_parent_has_its_own_again() {
        let slack = || {
            let thread = rustix::thread::gettid().as_raw_nonzero();
            let nanos = fs::read_to_string(format!("/proc/{thread}/timerslack_ns")).expect("it can be asked for");
            Duration::from_nanos(nanos.trim().parse().expect("a number"))
        };
        let before = slack();
        let held = TimerSlack::of_pool();
        let (ask, asked) = std::sync::mpsc::sync_channel::<()>(1);
        let child = std::thread::spawn(move || {
            asked.recv().expect("the parent asks");
            slack()
        });
        drop(held);
        ask.send(()).expect("the child waits");
        assert_eq!(child.join().expect("ends"), POOL_TIMER_SLACK);
        assert_eq!(slack(), before);
    }
}
