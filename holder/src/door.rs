//! The socket that daemons come through, and descriptors set aside so that one can always come in.
//!
//! A socket whose file is gone is a door without a handle: what is held would be out of reach for ever. So the directory
//! is watched, and the socket bound again wherever it was removed, with the directory if need be.

use std::fs::{DirBuilder, File, Permissions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::epoll::EventFlags;
use rustix::io::Errno;
use rustix::net::SocketFlags;

use crate::directory_watch::DirectoryWatch;
use crate::lock::Lock;
use crate::poller::{Poller, Port, Token};

/// Descriptors set aside. A daemon that cannot come in can never take what the holder holds.
const SPARES_MAX: usize = 4;

/// How long to wait before a door that could not be mended is tried again.
const MEND_RETRY: Duration = Duration::from_secs(1);

/// The listening socket. It is removed when dropped.
#[derive(Debug)]
pub(crate) struct Door {
    port: Port,
    path: PathBuf,
    /// The file that stands for this socket: device and inode.
    file: (u64, u64),
    watch: Option<DirectoryWatch>,
    lock: Lock,
    spares: Vec<File>,
    warned_of_stranger: bool,
    /// Somebody changed the directory.
    is_suspect: bool,
    retry_at: Option<Instant>,
}

impl Door {
    /// Listens. Whoever listened there before is gone: the caller has the lock.
    pub(crate) fn open(path: &Path, lock: Lock, poller: &Poller) -> io::Result<Self> {
        let (port, file) = listen(path, poller)?;
        let mut door = Self {
            port,
            path: path.to_path_buf(),
            file,
            watch: None,
            lock,
            spares: Vec::new(),
            warned_of_stranger: false,
            // It may have been removed between the binding and the watching.
            is_suspect: true,
            retry_at: None,
        };
        door.has_spares();
        door.mend(Instant::now(), poller);
        Ok(door)
    }

    /// Sets descriptors aside again; `false` if there are none left for anything else either.
    pub(crate) fn has_spares(&mut self) -> bool {
        while self.spares.len() < SPARES_MAX {
            let Ok(file) = File::open("/dev/null") else { return false };
            self.spares.push(file);
        }
        true
    }

    /// Lets one in, if it is of the same user.
    pub(crate) fn accept(&mut self, poller: &Poller) -> Option<OwnedFd> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let accepted = match rustix::net::accept_with(&self.port, flags) {
            Err(Errno::MFILE | Errno::NFILE) => {
                self.spares.pop();
                rustix::net::accept_with(&self.port, flags)
            }
            other => other,
        };
        match accepted {
            Ok(socket) => self.is_own_user(&socket).then_some(socket),
            Err(Errno::MFILE | Errno::NFILE) => {
                // It would be reported over and over; `reopen` asks again when a descriptor was closed.
                let _ = self.port.want(poller, EventFlags::empty());
                None
            }
            Err(_) => None,
        }
    }

    /// Listens again, after a time without descriptors.
    pub(crate) fn reopen(&mut self, poller: &Poller) {
        let _ = self.port.want(poller, EventFlags::IN);
    }

    /// Something changed in the socket's directory.
    pub(crate) fn look(&mut self) {
        if let Some(watch) = &mut self.watch {
            self.is_suspect |= watch.take();
        }
    }

    /// When a door that could not be mended is to be tried again.
    pub(crate) fn retry_at(&self) -> Option<Instant> {
        self.retry_at
    }

    /// Binds the socket again if its file is gone.
    pub(crate) fn mend(&mut self, now: Instant, poller: &Poller) {
        if !self.is_suspect && self.retry_at.is_none_or(|at| now < at) {
            return;
        }
        self.retry_at = None;
        if self.is_suspect {
            self.is_suspect = false;
            self.watch = None;
        }
        if let Err(error) = self.try_mend(poller) {
            tracing::warn!(%error, path = %self.path.display(), "no daemon can reach the holder; it is tried again");
            self.retry_at = Some(now + MEND_RETRY);
        }
    }

    fn try_mend(&mut self, poller: &Poller) -> io::Result<()> {
        let directory = self.path.parent().unwrap_or(Path::new("."));
        if !self.lock.is_in_place() {
            // The home itself is gone, or another's: its socket is not this holder's to make.
            self.watch = DirectoryWatch::new(directory, poller).ok();
            return Ok(());
        }
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        if self.watch.is_none() {
            // Watched before it is looked at: what is removed in between is seen by either.
            self.watch = Some(DirectoryWatch::new(directory, poller)?);
        }
        if identity(&self.path).is_ok_and(|file| file == self.file) {
            return Ok(());
        }
        let (port, file) = listen(&self.path, poller)?;
        // Whoever waits in the old one connects again.
        std::mem::replace(&mut self.port, port).close(poller);
        self.file = file;
        tracing::warn!(path = %self.path.display(), "the socket was removed; it is there again");
        Ok(())
    }

    fn is_own_user(&mut self, socket: &OwnedFd) -> bool {
        let peer = rustix::net::sockopt::socket_peercred(socket).ok().map(|peer| peer.uid);
        let is_own = peer == Some(rustix::process::geteuid());
        if !is_own && !self.warned_of_stranger {
            self.warned_of_stranger = true;
            tracing::warn!(?peer, "refused a connection of another user");
        }
        is_own
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|file| file == self.file) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn listen(path: &Path, poller: &Poller) -> io::Result<(Port, (u64, u64))> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, Permissions::from_mode(0o600))?;
    listener.set_nonblocking(true)?;
    let mut port = Port::new(listener.into(), Token::Door);
    port.want(poller, EventFlags::IN)?;
    Ok((port, identity(path)?))
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = path.symlink_metadata()?;
    Ok((metadata.dev(), metadata.ino()))
}
