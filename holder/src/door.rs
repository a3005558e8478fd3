//! The socket that daemons come through, and descriptors set aside so that one can always come in.

use std::fs::{File, Permissions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::event::epoll::EventFlags;
use rustix::io::Errno;
use rustix::net::SocketFlags;

use crate::poller::{Poller, Port, Token};

/// Descriptors set aside. A daemon that cannot come in can never take what the holder holds.
const SPARES_MAX: usize = 4;

/// The listening socket. It is removed when dropped.
#[derive(Debug)]
pub(crate) struct Door {
    port: Port,
    path: PathBuf,
    spares: Vec<File>,
    warned_of_stranger: bool,
}

impl Door {
    /// Listens. Whoever listened there before is gone: the caller has the lock.
    pub(crate) fn open(path: &Path, poller: &Poller) -> io::Result<Self> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(path)?;
        std::fs::set_permissions(path, Permissions::from_mode(0o600))?;
        listener.set_nonblocking(true)?;
        let mut port = Port::new(listener.into(), Token::Door);
        port.want(poller, EventFlags::IN)?;
        let mut door = Self { port, path: path.to_path_buf(), spares: Vec::new(), warned_of_stranger: false };
        door.has_spares();
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
        let _ = std::fs::remove_file(&self.path);
    }
}
