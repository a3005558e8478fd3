//! Where things are put that must be out of the way: beside the log, under the time, and never deleted.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use ropewalk_kernel::clock::{Clock, System};
use ropewalk_kernel::log::repair::Aside;

use crate::archive::sync_parent;
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

    fn place_for(&mut self, path: &Path, name: &str) -> io::Result<Option<PathBuf>> {
        if path.symlink_metadata().is_err() {
            return Ok(None);
        }
        DirBuilder::new().recursive(true).mode(0o700).create(&self.directory)?;
        Ok(Some(self.directory.join(name)))
    }
}

impl Aside for Quarantine {
    fn directory(&self) -> &Path {
        &self.directory
    }

    fn put(&mut self, path: &Path, name: &str) -> io::Result<()> {
        let Some(target) = self.place_for(path, name)? else {
            return Ok(());
        };
        fs::rename(path, &target)?;
        sync_parent(&target)?;
        sync_parent(path)
    }

    fn keep(&mut self, path: &Path, name: &str) -> io::Result<()> {
        let Some(target) = self.place_for(path, name)? else {
            return Ok(());
        };
        fs::copy(path, &target)?;
        File::open(&target)?.sync_all()?;
        sync_parent(&target)
    }
}
