//! The lock on a home: it keeps two daemons apart, and tells who has it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::time::{Duration, Instant};

use ropewalk_protocol::limits;

use crate::exit::{FAILURE, Failure};
use crate::paths::Paths;
use crate::process::{self, Condition};

/// Between two looks at a lock that its process left behind.
const PAUSE: Duration = Duration::from_millis(10);

/// The lock on a home. It is let go when the process ends, however it ends.
pub(crate) struct HomeLock(#[expect(dead_code, reason = "held for its lock")] File);

/// What trying to lock came to.
enum Tried {
    Locked,
    /// What the process that has it wrote into it: its id.
    Had(String),
}

impl HomeLock {
    /// Takes the lock, or says which process has it.
    pub(crate) fn take(paths: &Paths) -> Result<Self, Failure> {
        let path = paths.daemon_lock();
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(|error| Failure::because_io(format_args!("opening {}", path.display()), &error))?;
        let tried = attempt(&mut file, File::try_lock);
        match tried.map_err(|error| Failure::because_io(format_args!("locking {}", path.display()), &error))? {
            Tried::Locked => {
                file.set_len(0)?;
                file.rewind()?;
                write!(file, "{}", std::process::id())?;
                Ok(Self(file))
            }
            Tried::Had(pid) => {
                let message = format!("a daemon runs on {} already: process {}", paths.data.display(), pid.trim());
                let mut failure =
                    Failure::new(FAILURE, message).hint("Use it, or stop it with `ropewalk daemon stop`.");
                failure.home_taken = true;
                Err(failure)
            }
        }
    }

    /// The process that has the lock, if one has.
    pub(crate) fn holder(paths: &Paths) -> Option<u32> {
        let mut file = File::open(paths.daemon_lock()).ok()?;
        match attempt(&mut file, File::try_lock_shared).ok()? {
            Tried::Locked => None,
            Tried::Had(pid) => pid.trim().parse().ok(),
        }
    }
}

/// Tries to lock. A lock whose process is gone is waited for: the kernel closes the files of one that was killed when the last
/// of its threads has left the disk. So is one whose process has not written its id yet.
fn attempt(file: &mut File, lock: impl Fn(&File) -> Result<(), TryLockError>) -> io::Result<Tried> {
    let until = Instant::now() + Duration::from_millis(limits::LOCK_LEFT_MILLIS_MAX);
    loop {
        match lock(file) {
            Ok(()) => return Ok(Tried::Locked),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) => {}
        }
        let mut said = String::new();
        file.rewind()?;
        file.read_to_string(&mut said)?;
        let is_left = match said.trim().parse() {
            Ok(pid) => process::condition(pid) == Condition::Gone,
            Err(_) => said.is_empty(),
        };
        if !is_left || Instant::now() >= until {
            return Ok(Tried::Had(said));
        }
        // A lock that is free again has no event but to wait for it, and a living daemon is not waited for.
        std::thread::sleep(PAUSE);
    }
}
