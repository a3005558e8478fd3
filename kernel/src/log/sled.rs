//! The shelf on disk: a row of sled databases. The only file that names sled.
//!
//! What was measured of sled 0.34.7 and is kept to here: `flush` alone loses acknowledged data in a power cut, so an
//! `fdatasync` on its file follows; a value over a sixteenth of a quarter segment goes to a file that no sync covers, so it
//! is refused; a crash while opening leaves `snap.*.generating`, which would never open again, so it is deleted first; and
//! some damage makes it panic, so every call is caught.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::ops::ControlFlow;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use ropewalk_protocol::{Seq, limits};

use super::store::{Row, Shelf, StoreError, Usage, Visit, Volume};
use super::unfinished;
use super::words::{in_words, is_exhausted, is_io_error};

const SEGMENT_BYTES: usize = 4 * 1024 * 1024;
const CACHE_BYTES: u64 = 16 * 1024 * 1024;
/// The index holds rows of some 30 bytes only.
const INDEX_SEGMENT_BYTES: usize = 512 * 1024;
const HEAD_SLOT_BYTES: u64 = 512;
/// What the name of the word of a volume ends in while the volume may still be there.
const GIVEN_UP: &str = "given-up";

/// Volumes as sled databases under one directory.
#[derive(Debug)]
pub struct SledShelf {
    directory: PathBuf,
    /// `None` where there is none and none may be made.
    head: Option<File>,
    access: Access,
}

/// What may become of files that are opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    /// What a crash left unfinished is mended, and what is not there is made.
    Mend,
    /// What is in them stays as it is; sled itself writes snapshots of its own, and lengthens a database's file.
    Look,
}

impl SledShelf {
    /// A shelf in this directory, which is created, readable by its owner only.
    ///
    /// # Errors
    /// The directory cannot be made or read.
    pub fn open(directory: &Path) -> Result<Self, StoreError> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        let head = directory.join("HEAD");
        if !head.exists() {
            // A name lasts once the directory that has it was synced, and so on up: those above may be new as well.
            // What is not ours to open was there before.
            directory.ancestors().skip(1).map_while(|above| sync_directory(above).ok()).for_each(drop);
        }
        let head = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(head)?;
        sync_directory(directory)?;
        Ok(Self { directory: directory.to_owned(), head: Some(head), access: Access::Mend })
    }

    /// The shelf in this directory, which must be there. Nothing is made or mended, and HEAD cannot be written: a database that
    /// opening would mend or make is damaged here.
    ///
    /// # Errors
    /// The directory or HEAD cannot be read.
    pub fn existing(directory: &Path) -> Result<Self, StoreError> {
        fs::read_dir(directory)?;
        let head = match File::open(directory.join("HEAD")) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            other => Some(other?),
        };
        Ok(Self { directory: directory.to_owned(), head, access: Access::Look })
    }

    /// The index as it is, if there is one. Unlike [`Shelf::index`] it is not put aside when it cannot be read.
    ///
    /// # Errors
    /// It is damaged, or the disk failed.
    pub fn existing_index(&self) -> Result<Option<Arc<dyn Volume>>, StoreError> {
        let path = self.beside("index");
        match fs::metadata(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Ok(found) if !found.is_dir() => return Err(StoreError::Damaged("it is no directory".to_owned())),
            other => {
                other?;
            }
        }
        Ok(Some(Arc::new(SledVolume::open(&path, INDEX_SEGMENT_BYTES, self.access)?)))
    }

    /// Where a volume lies.
    pub fn path(&self, first: Seq) -> PathBuf {
        self.directory.join(format!("v-{:020}", first.0))
    }

    /// Where what is no volume lies.
    pub(super) fn beside(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Whether only word of a volume is left.
    pub(super) fn is_given_up(&self, first: Seq) -> bool {
        self.path(first).is_file()
    }

    /// Leaves word of a volume beside it, so that it is listed also while it is being put aside.
    pub(super) fn announce(&self, first: Seq, reason: &str) -> Result<(), StoreError> {
        let word = self.path(first).with_extension(GIVEN_UP);
        // Once the volume is away, what was said of it first is what says where it went.
        if word.exists() && !self.path(first).exists() {
            return Ok(());
        }
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(word)?;
        file.write_all(format!("This volume of the log was given up: {reason}.\n").as_bytes())?;
        file.sync_all()?;
        sync_directory(&self.directory)
    }

    /// Makes HEAD durable as it is.
    pub(super) fn sync_head(&self) -> Result<(), StoreError> {
        Ok(self.head.as_ref().map_or(Ok(()), File::sync_all)?)
    }
}

impl Shelf for SledShelf {
    fn volumes(&self) -> Result<Vec<Seq>, StoreError> {
        let mut volumes = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let name = entry?.file_name();
            let path = Path::new(&name);
            let name = if path.extension().is_some_and(|it| it == GIVEN_UP) { path.file_stem() } else { Some(&*name) };
            let digits = name.and_then(OsStr::to_str).and_then(|name| name.strip_prefix("v-"));
            volumes.extend(digits.and_then(|digits| digits.parse().ok()).map(Seq));
        }
        volumes.sort_unstable();
        volumes.dedup();
        Ok(volumes)
    }

    fn create(&self, first: Seq) -> Result<Arc<dyn Volume>, StoreError> {
        let volume = SledVolume::open(&self.path(first), SEGMENT_BYTES, Access::Mend)?;
        sync_directory(&self.directory)?;
        Ok(Arc::new(volume))
    }

    fn open(&self, first: Seq) -> Result<Arc<dyn Volume>, StoreError> {
        let path = self.path(first);
        if !path.is_dir() {
            return Err(StoreError::Damaged(format!("{} is not there", path.display())));
        }
        Ok(Arc::new(SledVolume::open(&path, SEGMENT_BYTES, self.access)?))
    }

    fn give_up(&self, first: Seq, reason: &str) -> Result<(), StoreError> {
        // A file where a volume's directory should be: it is listed with the volumes, and never opens.
        self.announce(first, reason)?;
        fs::rename(self.path(first).with_extension(GIVEN_UP), self.path(first))?;
        sync_directory(&self.directory)
    }

    fn index(&self) -> Result<Arc<dyn Volume>, StoreError> {
        let path = self.beside("index");
        match SledVolume::open(&path, INDEX_SEGMENT_BYTES, Access::Mend) {
            Ok(volume) => Ok(Arc::new(volume)),
            Err(error @ (StoreError::Full(_) | StoreError::Locked(_) | StoreError::Exhausted(_))) => Err(error),
            Err(error) => {
                let aside = self.directory.join("index.damaged");
                tracing::warn!(%error, aside = %aside.display(), "the index cannot be read: it is rebuilt from the volumes");
                if aside.exists() {
                    fs::remove_dir_all(&aside)?;
                }
                fs::rename(&path, &aside)?;
                Ok(Arc::new(SledVolume::open(&path, INDEX_SEGMENT_BYTES, Access::Mend)?))
            }
        }
    }

    fn write_head(&self, slot: usize, value: &[u8]) -> Result<(), StoreError> {
        let head = self.head.as_ref().ok_or_else(|| StoreError::Failed("there is no HEAD to write".to_owned()))?;
        Ok(head.write_all_at(value, slot as u64 * HEAD_SLOT_BYTES)?)
    }

    fn read_head(&self) -> Result<[Vec<u8>; 2], StoreError> {
        let Some(head) = &self.head else {
            return Ok([Vec::new(), Vec::new()]);
        };
        let read = |slot: u64| {
            let mut value = vec![0; 64];
            let length = head.read_at(&mut value, slot * HEAD_SLOT_BYTES)?;
            value.truncate(length);
            Ok::<_, std::io::Error>(value)
        };
        Ok([read(0)?, read(1)?])
    }

    fn volume_bytes(&self, first: Seq) -> u64 {
        directory_bytes(&self.path(first))
    }

    fn usage(&self) -> Usage {
        let free = rustix::fs::statvfs(&self.directory).map_or(0, |stat| stat.f_bavail * stat.f_frsize);
        Usage { used: directory_bytes(&self.directory), free }
    }

    fn ballast(&self, keep: bool) {
        let path = self.beside("ballast");
        if !keep {
            if path.exists()
                && let Err(error) = fs::remove_file(&path)
            {
                tracing::warn!(%error, "the ballast could not be given up");
            }
            return;
        }
        let enough = fs::metadata(&path).is_ok_and(|ballast| ballast.len() >= limits::BALLAST_BYTES);
        if enough {
            return;
        }
        let made =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path).and_then(|file| {
                rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, limits::BALLAST_BYTES)
                    .map_err(std::io::Error::from)
            });
        if let Err(error) = made {
            tracing::warn!(%error, "no ballast could be kept for a full disk");
            drop(fs::remove_file(&path));
        }
    }
}

/// One sled database.
struct SledVolume {
    path: PathBuf,
    segment_bytes: usize,
    /// Taken out when the volume is sealed.
    open: RwLock<Option<Open>>,
    /// A commit failed: nothing is trusted until the volume is opened again.
    broken: AtomicBool,
}

struct Open {
    db: sled::Db,
    /// sled's own file, for the sync that its flush leaves out.
    file: File,
}

impl SledVolume {
    fn open(path: &Path, segment_bytes: usize, access: Access) -> Result<Self, StoreError> {
        if access == Access::Look {
            unfinished::refuse(path)?;
        }
        let open = guarded("open", || open_db(path, segment_bytes))?;
        Ok(Self { path: path.to_owned(), segment_bytes, open: RwLock::new(Some(open)), broken: AtomicBool::new(false) })
    }

    fn with<T>(&self, what: &str, work: impl FnOnce(&Open) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        let open = open.as_ref().ok_or(StoreError::Closed)?;
        guarded(what, || work(open))
    }
}

impl Volume for SledVolume {
    fn commit(&self, rows: &[Row]) -> Result<(), StoreError> {
        if let Some((_, value)) = rows.iter().find(|(_, value)| value.len() > limits::STORED_VALUE_BYTES_MAX) {
            return Err(StoreError::TooLarge { bytes: value.len() });
        }
        if self.broken.load(Ordering::Relaxed) {
            return Err(StoreError::Failed("an earlier commit failed; the volume must be opened again".to_owned()));
        }
        let result = self.with("commit", |open| {
            let mut batch = sled::Batch::default();
            for (key, value) in rows {
                batch.insert(key.as_slice(), value.as_slice());
            }
            open.db.apply_batch(batch).map_err(store_error)?;
            open.db.flush().map_err(store_error)?;
            Ok(open.file.sync_data()?)
        });
        if result.is_err() {
            self.broken.store(true, Ordering::Relaxed);
        }
        result
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.with("get", |open| Ok(open.db.get(key).map_err(store_error)?.map(|value| value.to_vec())))
    }

    fn scan(&self, from: &[u8], to: &[u8], visit: Visit<'_>) -> Result<(), StoreError> {
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

    fn last(&self, from: &[u8], to: &[u8]) -> Result<Option<Row>, StoreError> {
        self.with("last", |open| {
            let row = open.db.range(from..to).next_back().transpose().map_err(store_error)?;
            Ok(row.map(|(key, value)| (key.to_vec(), value.to_vec())))
        })
    }

    fn seal(&self) -> Result<(), StoreError> {
        // sled syncs when it closes, and panics with its lock in hand where that fails: it stays open until a sync succeeds.
        // Both wait for the disk, so readers are not shut out meanwhile.
        match self.open.read().unwrap_or_else(PoisonError::into_inner).as_ref() {
            None => return Ok(()),
            Some(database) => database.file.sync_all()?,
        }
        let database = self.open.write().unwrap_or_else(PoisonError::into_inner).take();
        close(database)?;
        // sled writes a snapshot only when it opens: damage is found far better with a fresh one.
        drop(guarded("seal", || open_db(&self.path, self.segment_bytes))?);
        Ok(())
    }
}

impl Drop for SledVolume {
    fn drop(&mut self) {
        if let Err(error) = close(self.open.get_mut().unwrap_or_else(PoisonError::into_inner).take()) {
            tracing::warn!(%error, "a database did not close cleanly");
        }
    }
}

fn close(open: Option<Open>) -> Result<(), StoreError> {
    guarded("close", || {
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
        match config.open() {
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

fn sync_directory(path: &Path) -> Result<(), StoreError> {
    Ok(File::open(path)?.sync_all()?)
}

fn directory_bytes(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let metadata = entry.metadata().ok()?;
            Some(if metadata.is_dir() { directory_bytes(&entry.path()) } else { metadata.blocks() * 512 })
        })
        .sum()
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
}
