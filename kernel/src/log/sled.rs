//! The shelf on disk: a row of volumes, each a sled database with a write-ahead log in front of it, and HEAD.

mod database;
mod index;
mod overlay;
mod volume;
pub(super) mod wal;

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ropewalk_protocol::{Seq, limits};

use super::format;
use super::store::{Shelf, StoreError, Usage, Volume};
use index::Index;
use volume::{LoggedVolume, Sizes};

const SIZES: Sizes = Sizes { segment_bytes: 4 * 1024 * 1024, wal_file_bytes: limits::WAL_FILE_BYTES };
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
    /// A later build brought the log into a format that this one does not know; the directory cannot be made or read.
    pub fn open(directory: &Path) -> Result<Self, StoreError> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        format::admit(directory)?;
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
    /// A later build brought the log into a format that this one does not know; the directory or HEAD cannot be read.
    pub fn existing(directory: &Path) -> Result<Self, StoreError> {
        fs::read_dir(directory)?;
        format::admit(directory)?;
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
        Ok(Some(Arc::new(Index::open(&path, INDEX_SEGMENT_BYTES, self.access)?)))
    }

    /// Where a volume lies.
    pub fn path(&self, first: Seq) -> PathBuf {
        self.directory.join(volume_name(first))
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
        let volume = LoggedVolume::open(&self.path(first), SIZES, Access::Mend)?;
        sync_directory(&self.directory)?;
        Ok(Arc::new(volume))
    }

    fn open(&self, first: Seq) -> Result<Arc<dyn Volume>, StoreError> {
        let path = self.path(first);
        if !path.is_dir() {
            return Err(StoreError::Damaged(format!("{} is not there", path.display())));
        }
        Ok(Arc::new(LoggedVolume::open(&path, SIZES, self.access)?))
    }

    fn give_up(&self, first: Seq, reason: &str) -> Result<(), StoreError> {
        // A file where a volume's directory should be: it is listed with the volumes, and never opens.
        self.announce(first, reason)?;
        fs::rename(self.path(first).with_extension(GIVEN_UP), self.path(first))?;
        sync_directory(&self.directory)
    }

    fn index(&self) -> Result<Arc<dyn Volume>, StoreError> {
        let path = self.beside("index");
        match Index::open(&path, INDEX_SEGMENT_BYTES, Access::Mend) {
            Ok(volume) => Ok(Arc::new(volume)),
            // Nor could another one be made.
            Err(
                error @ (StoreError::Full(_) | StoreError::Locked(_) | StoreError::Exhausted(_) | StoreError::Io(_)),
            ) => Err(error),
            Err(error) => {
                let aside = self.directory.join("index.damaged");
                tracing::warn!(%error, aside = %aside.display(), "the index cannot be read: it is rebuilt from the volumes");
                if aside.exists() {
                    fs::remove_dir_all(&aside)?;
                }
                fs::rename(&path, &aside)?;
                Ok(Arc::new(Index::open(&path, INDEX_SEGMENT_BYTES, Access::Mend)?))
            }
        }
    }

    fn write_head(&self, slot: usize, value: &[u8]) -> Result<(), StoreError> {
        let head = self.head.as_ref().ok_or_else(|| StoreError::Failed("there is no HEAD to write".to_owned()))?;
        Ok(head.write_all_at(value, slot as u64 * HEAD_SLOT_BYTES)?)
    }

    fn claim(&self) {
        if self.access == Access::Mend
            && let Err(error) = format::claim(&self.directory)
        {
            tracing::warn!(%error, "the log's format is not written beside its volumes; it is tried again at the next start");
        }
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

    fn aside(&self) -> Result<Vec<String>, StoreError> {
        let mut aside = Vec::new();
        for first in self.volumes()? {
            let files = wal::unreadable(&self.path(first))?.into_iter();
            aside.extend(files.map(|file| format!("{}/{file}", volume_name(first))));
        }
        Ok(aside)
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

/// The name of a volume's directory.
pub(super) fn volume_name(first: Seq) -> String {
    format!("v-{:020}", first.0)
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

pub(super) fn sync_directory(path: &Path) -> Result<(), StoreError> {
    Ok(File::open(path)?.sync_all()?)
}
