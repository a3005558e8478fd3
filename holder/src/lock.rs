//! The lock that makes a holder the only one of its data directory. The kernel frees it with the process.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::serve::HolderError;

/// The lock, held as long as this is there.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
    path: PathBuf,
}

impl Lock {
    /// Whether the file is still the one that others would lock. If not, somebody removed the home.
    pub(crate) fn is_in_place(&self) -> bool {
        let (Ok(held), Ok(named)) = (self.file.metadata(), self.path.symlink_metadata()) else { return false };
        (held.dev(), held.ino()) == (named.dev(), named.ino())
    }
}

/// Takes the lock and writes this process's id into the file.
pub(crate) fn take(path: &Path) -> Result<Lock, HolderError> {
    let failed = |source| HolderError::Lock { path: path.to_path_buf(), source };
    let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).clone();
    let mut file = options.open(path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(HolderError::Held { path: path.to_path_buf(), pid: pid(&mut file) });
        }
        Err(TryLockError::Error(error)) => return Err(failed(error)),
    }
    file.set_len(0).and_then(|()| file.rewind()).map_err(failed)?;
    writeln!(file, "{}", std::process::id()).map_err(failed)?;
    Ok(Lock { file, path: path.to_path_buf() })
}

fn pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
