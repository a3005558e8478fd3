//! The Unix socket. Its name may be deleted under a living daemon, by a cleaner of temporary files or by hand; nobody could
//! reach it for ever then. So its directory is watched, and the name is put back when it is gone.

use std::fs::{DirBuilder, Permissions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::inotify;
use rustix::io::Errno;
use tokio::io::unix::AsyncFd;
use tokio::net::{UnixListener, UnixStream};
use tokio::time::Instant;

/// Events are only a hint to look, so what does not fit is read the next time.
const EVENT_BYTES: usize = 4096;

/// How long to wait before a door that could not be mended, or is not watched, is looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Told when the socket's name was put back.
pub type Restored = Box<dyn Fn() + Send + Sync>;

/// A Unix socket that only its owner may connect to.
pub struct Door {
    listener: UnixListener,
    path: PathBuf,
    watch: Option<AsyncFd<OwnedFd>>,
    /// When to look although nothing was heard: file descriptors may have been short.
    look_at: Option<Instant>,
    /// The name is gone and could not be put back; that was said.
    is_lost: bool,
    restored: Restored,
}

impl Door {
    /// Listens. What lies there is removed: the caller has the lock.
    ///
    /// # Errors
    /// The path is too long for a socket, or cannot be written.
    pub fn open(path: &Path, restored: Restored) -> io::Result<Self> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = bind(path)?;
        let mut door = Self { listener, path: path.to_owned(), watch: None, look_at: None, is_lost: false, restored };
        door.keep_watch(false);
        Ok(door)
    }

    /// The next connection. May be given up at any time.
    pub(super) async fn accept(&mut self) -> io::Result<UnixStream> {
        loop {
            tokio::select! {
                accepted = self.listener.accept() => return accepted.map(|(stream, _)| stream),
                () = changed(self.watch.as_ref()) => self.look(),
                () = reached(self.look_at) => self.look(),
            }
        }
    }

    /// Listens anew if the name is gone. One that is somebody else's stays: two daemons must not fight over it.
    fn look(&mut self) {
        let is_again = self.look_at.take().is_some();
        if self.watch.is_none() {
            self.keep_watch(is_again);
        }
        if self.path.symlink_metadata().is_ok() {
            self.is_lost = false;
            return;
        }
        let bound = bind(&self.path).or_else(|error| {
            let is_without_directory = error.kind() == io::ErrorKind::NotFound;
            let directory = self.path.parent().filter(|_| is_without_directory).ok_or(error)?;
            DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
            bind(&self.path)
        });
        match bound {
            Ok(listener) => {
                tracing::warn!(path = %self.path.display(), "the socket was removed; it is there again");
                self.listener = listener;
                // The directory may be a new one.
                self.keep_watch(is_again);
                self.is_lost = false;
                (self.restored)();
            }
            Err(error) => {
                if !std::mem::replace(&mut self.is_lost, true) {
                    tracing::error!(%error, path = %self.path.display(), "the socket was removed and cannot be put back");
                }
                self.look_at = Some(Instant::now() + LOOK_AGAIN);
            }
        }
    }

    fn keep_watch(&mut self, is_again: bool) {
        let watched = watch(&self.path).inspect_err(|error| {
            if !is_again {
                tracing::warn!(%error, "the socket's directory is not watched");
            }
            self.look_at = Some(Instant::now() + LOOK_AGAIN);
        });
        self.watch = watched.ok();
    }
}

fn bind(path: &Path) -> io::Result<UnixListener> {
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Tells of names that vanish from the socket's directory.
fn watch(path: &Path) -> io::Result<AsyncFd<OwnedFd>> {
    use inotify::{CreateFlags, WatchFlags};
    let fd = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
    let vanish = WatchFlags::DELETE | WatchFlags::MOVED_FROM | WatchFlags::DELETE_SELF | WatchFlags::MOVE_SELF;
    inotify::add_watch(&fd, path.parent().unwrap_or(path), vanish)?;
    registered(fd)
}

#[expect(
    deprecated,
    reason = "the other way is unsafe code, for descriptors that may be closed meanwhile; an owned one is not"
)]
fn registered(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::new(fd)
}

async fn reached(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

async fn changed(watch: Option<&AsyncFd<OwnedFd>>) {
    let Some(watch) = watch else {
        return std::future::pending().await;
    };
    let mut buffer = [0; EVENT_BYTES];
    while let Ok(mut ready) = watch.readable().await {
        match rustix::io::read(watch.get_ref(), &mut buffer) {
            Ok(_) => return,
            Err(Errno::AGAIN | Errno::INTR) => ready.clear_ready(),
            Err(_) => break,
        }
    }
    std::future::pending().await
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream as Peer;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn directory(name: &str) -> PathBuf {
        let directory = std::env::temp_dir().join(format!("rw-door-{}-{name}", std::process::id()));
        std::fs::create_dir(&directory).unwrap();
        directory
    }

    /// Regression: after `rm daemon.sock` no command could reach the daemon, which went on for ever.
    #[test]
    fn regression_a_socket_that_is_removed_is_there_again_also_when_its_directory_went() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let directory = directory("again");
            let path = directory.join("it.sock");
            let (times, told) = (Arc::new(AtomicUsize::new(0)), Arc::new(tokio::sync::Notify::new()));
            let (count, tell) = (times.clone(), told.clone());
            let restored = move || {
                count.fetch_add(1, Ordering::Relaxed);
                tell.notify_one();
            };
            let mut door = Door::open(&path, Box::new(restored)).unwrap();
            for removed in [&path, &directory] {
                if removed.is_dir() { std::fs::remove_dir_all(removed) } else { std::fs::remove_file(removed) }
                    .unwrap();
                tokio::select! {
                    _ = door.accept() => panic!("nobody came yet"),
                    () = told.notified() => {}
                }
                let peer = Peer::connect(&path).unwrap();
                door.accept().await.unwrap();
                drop(peer);
            }
            assert_eq!(times.load(Ordering::Relaxed), 2);
            std::fs::remove_dir_all(&directory).unwrap();
        });
    }

    /// Regression: one attempt was made, and when that failed the daemon could never be reached again.
    #[test]
    fn regression_a_socket_that_cannot_be_put_back_yet_is_put_back_later() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let directory = directory("later");
            let path = directory.join("it.sock");
            let told = Arc::new(tokio::sync::Notify::new());
            let tell = told.clone();
            let mut door = Door::open(&path, Box::new(move || tell.notify_one())).unwrap();
            std::fs::remove_dir_all(&directory).unwrap();
            changed(door.watch.as_ref()).await;
            // Nothing can be made below a link to nowhere.
            std::os::unix::fs::symlink(directory.with_extension("nowhere"), &directory).unwrap();
            door.look();
            assert!(Peer::connect(&path).is_err(), "it cannot be put back");
            std::fs::remove_file(&directory).unwrap();
            let restored = async {
                tokio::select! {
                    _ = door.accept() => panic!("nobody came yet"),
                    () = told.notified() => {}
                }
            };
            tokio::time::timeout(20 * LOOK_AGAIN, restored).await.expect("it is tried again");
            Peer::connect(&path).unwrap();
            std::fs::remove_dir_all(&directory).unwrap();
        });
    }

    /// Regression: a directory that could not be watched was never looked at again.
    #[test]
    fn regression_a_directory_that_is_not_watched_is_looked_at_from_time_to_time() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let directory = directory("unwatched");
            let path = directory.join("it.sock");
            let told = Arc::new(tokio::sync::Notify::new());
            let tell = told.clone();
            let mut door = Door::open(&path, Box::new(move || tell.notify_one())).unwrap();
            door.path = directory.join("missing").join("it.sock");
            door.keep_watch(false);
            door.path = path.clone();
            std::fs::remove_file(&path).unwrap();
            let restored = async {
                tokio::select! {
                    _ = door.accept() => panic!("nobody came yet"),
                    () = told.notified() => {}
                }
            };
            tokio::time::timeout(20 * LOOK_AGAIN, restored).await.expect("it is looked at again");
            assert!(door.watch.is_some());
            std::fs::remove_dir_all(&directory).unwrap();
        });
    }
}
