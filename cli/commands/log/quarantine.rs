//! Where things are put that must be out of the way: beside the log, under the time, and never deleted.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use ropewalk_kernel::clock::{Clock, System};

use crate::archive::sync_parent;
use crate::exit::Failure;
use crate::paths::Paths;

/// A directory that is made when the first thing is put into it.
pub(super) struct Quarantine {
    directory: PathBuf,
}

impl Quarantine {
    pub(super) fn new(paths: &Paths) -> Self {
        let time = System.now().to_string().replace([':', '.'], "-");
        Self { directory: paths.data.join("log.quarantine").join(time) }
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Moves a file or directory, if it is there.
    pub(super) fn put(&mut self, path: &Path) -> Result<(), Failure> {
        let Some(target) = self.place_for(path)? else {
            return Ok(());
        };
        fs::rename(path, &target)?;
        sync_parent(&target)?;
        Ok(sync_parent(path)?)
    }

    /// Keeps a copy of a file, if it is there.
    pub(super) fn copy(&mut self, path: &Path) -> Result<(), Failure> {
        if let Some(target) = self.place_for(path)? {
            fs::copy(path, &target)?;
        }
        Ok(())
    }

    fn place_for(&mut self, path: &Path) -> Result<Option<PathBuf>, Failure> {
        let Some(name) = path.file_name().filter(|_| path.symlink_metadata().is_ok()) else {
            return Ok(None);
        };
        DirBuilder::new().recursive(true).mode(0o700).create(&self.directory)?;
        Ok(Some(self.directory.join(name)))
    }
}
