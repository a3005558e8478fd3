//! Tells when something was removed from a directory, or the directory itself was.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::path::Path;

use rustix::event::epoll::EventFlags;
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;

use crate::poller::{Poller, Port, Token};

/// Room for some events at once, each with a name of at most 255 bytes.
const EVENTS_BYTES: usize = 4096;

/// An inotify instance with one watch. It leaves the poller when it is dropped: nobody else has its descriptor.
#[derive(Debug)]
pub(crate) struct DirectoryWatch {
    port: Port,
}

impl DirectoryWatch {
    pub(crate) fn new(directory: &Path, poller: &Poller) -> io::Result<Self> {
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        let removed = WatchFlags::DELETE | WatchFlags::MOVED_FROM | WatchFlags::DELETE_SELF | WatchFlags::MOVE_SELF;
        inotify::add_watch(&inotify, directory, removed | WatchFlags::ONLYDIR)?;
        let mut port = Port::new(inotify, Token::Directory);
        port.want(poller, EventFlags::IN)?;
        Ok(Self { port })
    }

    /// Takes what happened; whether there was anything.
    pub(crate) fn take(&mut self) -> bool {
        let mut bytes = [MaybeUninit::uninit(); EVENTS_BYTES];
        let mut reader = inotify::Reader::new(self.port.as_fd(), &mut bytes);
        let mut happened = false;
        loop {
            match reader.next() {
                Ok(_) => happened = true,
                Err(Errno::INTR) => {}
                Err(_) => return happened,
            }
        }
    }
}
