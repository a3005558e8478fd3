//! A database that a crash cut while it was made, told by its files.

use std::fs;
use std::io;
use std::path::Path;

use super::store::StoreError;

/// Whether a database's options are what was written: they end in their checksum.
pub(super) fn is_whole_conf(bytes: &[u8]) -> bool {
    bytes.split_last_chunk().is_some_and(|(options, crc)| crc32fast::hash(options).to_le_bytes() == *crc)
}

/// Whether opening a database would only have to write its options anew.
///
/// # Errors
/// The system has no more to give, which says nothing of them.
pub(super) fn lacks_options(path: &Path) -> Result<bool, StoreError> {
    if !path.join("db").is_file() {
        return Ok(false);
    }
    match fs::read(path.join("conf")) {
        Ok(bytes) => Ok(!is_whole_conf(&bytes)),
        Err(error) => match StoreError::from(error) {
            error @ StoreError::Exhausted(_) => Err(error),
            _ => Ok(true),
        },
    }
}

/// Whether opening a database would make its file.
pub(super) fn lacks_file(path: &Path) -> bool {
    let is_missing = |error: io::Error| error.kind() == io::ErrorKind::NotFound;
    path.is_dir() && fs::metadata(path.join("db")).err().is_some_and(is_missing)
}

/// Says what opening a database would make or mend, if it would.
pub(super) fn refuse(path: &Path) -> Result<(), StoreError> {
    if lacks_options(path)? {
        return Err(StoreError::Damaged(
            "the database's options are torn, and written anew when a daemon starts".to_owned(),
        ));
    }
    if lacks_file(path) {
        return Err(StoreError::Damaged("the database's file is not there".to_owned()));
    }
    Ok(())
}
