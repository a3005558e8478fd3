//! Signals that are sent to the holder itself: each becomes a byte in a pipe that the loop waits for.
//!
//! None of them is ignored in the operating system's sense: programs would inherit that. A handler is theirs no more
//! once they are started.

use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::{SigId, flag, low_level};

/// Signals to this process. They go back to what the process did with them when dropped, except that those which had
/// their default then do nothing.
#[derive(Debug)]
pub struct OwnSignals {
    pipe: UnixStream,
    wake: UnixStream,
    asked: Arc<AtomicBool>,
    registered: Vec<SigId>,
}

impl OwnSignals {
    /// Of a process that is only a holder: asked to end (SIGTERM, SIGINT), it ends its programs in order. A hang-up
    /// (SIGHUP) means a terminal that it does not have.
    ///
    /// # Errors
    /// The operating system refuses a pipe or a handler.
    pub fn of_process() -> io::Result<Self> {
        let mut signals = Self::of_children()?;
        let unheard = Arc::new(AtomicBool::new(false));
        signals.registered.push(flag::register(SIGHUP, unheard)?);
        for signal in [SIGTERM, SIGINT] {
            // The reason before the byte: whoever reads the byte finds the reason.
            signals.registered.push(flag::register(signal, signals.asked.clone())?);
            signals.registered.push(low_level::pipe::register(signal, signals.wake.try_clone()?)?);
        }
        Ok(signals)
    }

    /// Of a process that does other things too: only the ends of its children, and the refusal of a file that is larger
    /// than its limit, which would end the process.
    ///
    /// # Errors
    /// The operating system refuses a pipe or a handler.
    pub fn of_children() -> io::Result<Self> {
        let (pipe, wake) = UnixStream::pair()?;
        pipe.set_nonblocking(true)?;
        let mut signals = Self { pipe, wake, asked: Arc::default(), registered: Vec::new() };
        signals.registered.push(flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false)))?);
        signals.registered.push(low_level::pipe::register(SIGCHLD, signals.wake.try_clone()?)?);
        Ok(signals)
    }

    /// The pipe, for the poller.
    pub(crate) fn pipe(&self) -> io::Result<OwnedFd> {
        Ok(self.pipe.try_clone()?.into())
    }

    /// Empties the pipe; whether the process was asked to end.
    pub(crate) fn take(&mut self) -> bool {
        let mut bytes = [0; 64];
        // A pipe that is full has a byte: that is all it is for.
        while matches!(self.pipe.read(&mut bytes), Ok(count) if count == bytes.len()) {}
        self.asked.swap(false, Ordering::Relaxed)
    }
}

impl Drop for OwnSignals {
    fn drop(&mut self) {
        for id in self.registered.drain(..) {
            low_level::unregister(id);
        }
    }
}
