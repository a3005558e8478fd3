//! Reads the keyboard on a thread of its own: a terminal cannot be read without blocking unless its mode is changed for
//! everyone.

use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use tokio::sync::mpsc;

/// Bytes read at once. A person types a few, a paste comes in pieces.
const PIECE_BYTES: usize = 16 * 1024;
/// Pieces that wait for the client. When it does not take them the terminal keeps the rest.
const PIECES_MAX: usize = 64;
const AT_ONCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

/// What is typed.
#[derive(Debug)]
pub struct Keyboard {
    pieces: mpsc::Receiver<Bytes>,
    gate: Arc<Gate>,
    /// The thread ends when this is closed.
    _open: PipeWriter,
}

/// Whether the thread may read.
#[derive(Debug, Default)]
struct Gate {
    reading: Mutex<Reading>,
    changed: Condvar,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Reading {
    #[default]
    Goes,
    Paused,
    Over,
}

impl Keyboard {
    /// Reads stdin.
    pub fn start() -> io::Result<Self> {
        Self::on(io::stdin().as_fd().try_clone_to_owned()?)
    }

    /// Reads this terminal.
    pub fn on(terminal: OwnedFd) -> io::Result<Self> {
        let (keys, pieces) = mpsc::channel(PIECES_MAX);
        let (end, open) = io::pipe()?;
        let gate = Arc::new(Gate::default());
        let passed = gate.clone();
        std::thread::Builder::new().name("terminal-in".to_owned()).spawn(move || {
            if let Err(error) = read(&terminal, &end, &passed, &keys) {
                tracing::info!(%error, "the terminal cannot be read");
            }
        })?;
        Ok(Self { pieces, gate, _open: open })
    }

    /// The next bytes; `None` when the terminal is gone. Nothing is lost if this is dropped before.
    pub async fn next(&mut self) -> Option<Bytes> {
        self.pieces.recv().await
    }

    /// Leaves the keyboard to another program: once this returns no byte is taken from it.
    pub fn pause(&self) {
        self.gate.set(Reading::Paused);
    }

    /// Reads on.
    pub fn resume(&self) {
        self.gate.set(Reading::Goes);
    }
}

impl Drop for Keyboard {
    fn drop(&mut self) {
        self.gate.set(Reading::Over);
    }
}

impl Gate {
    fn set(&self, reading: Reading) {
        *self.lock() = reading;
        self.changed.notify_all();
    }

    /// Waits until there is no pause.
    fn pass(&self) -> MutexGuard<'_, Reading> {
        let wait = self.changed.wait_while(self.lock(), |reading| *reading == Reading::Paused);
        wait.unwrap_or_else(PoisonError::into_inner)
    }

    /// Nobody panics with it in hand, and it is true at every moment.
    fn lock(&self) -> MutexGuard<'_, Reading> {
        self.reading.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(terminal: &OwnedFd, end: &PipeReader, gate: &Gate, keys: &mpsc::Sender<Bytes>) -> io::Result<()> {
    let mut buffer = vec![0; PIECE_BYTES];
    loop {
        if !is_ready(terminal, Some(end), None)? {
            // Not the terminal but the end: nobody listens any more.
            return Ok(());
        }
        let piece = {
            // It is read only with the gate in hand, so that whoever closed it has the terminal for himself. While the gate
            // was waited for someone else may have read what was there.
            let reading = gate.pass();
            match *reading {
                Reading::Over => return Ok(()),
                _ if !is_ready(terminal, None, Some(&AT_ONCE))? => continue,
                _ => match rustix::io::read(terminal, &mut buffer) {
                    Ok(0) => return Ok(()),
                    Ok(length) => Bytes::copy_from_slice(&buffer[..length]),
                    // Being stopped and continued interrupts a read.
                    Err(Errno::INTR | Errno::AGAIN) => continue,
                    Err(error) => return Err(error.into()),
                },
            }
        };
        if keys.blocking_send(piece).is_err() {
            return Ok(());
        }
    }
}

/// Whether there is something to read, as soon as there is or it is the end.
fn is_ready(terminal: &OwnedFd, end: Option<&PipeReader>, wait: Option<&Timespec>) -> io::Result<bool> {
    let terminal = PollFd::new(terminal, PollFlags::IN);
    let mut descriptors = match end {
        Some(end) => vec![terminal, PollFd::new(end, PollFlags::IN)],
        None => vec![terminal],
    };
    loop {
        match poll(&mut descriptors, wait) {
            Ok(_) => return Ok(!descriptors[0].revents().is_empty()),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    const SOON: Duration = Duration::from_secs(20);

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
    }

    async fn next(keyboard: &mut Keyboard) -> Option<Bytes> {
        timeout(SOON, keyboard.next()).await.unwrap()
    }

    #[test]
    fn what_is_typed_comes_until_the_terminal_is_gone() {
        let (terminal, mut typed) = io::pipe().unwrap();
        let mut keyboard = Keyboard::on(terminal.into()).unwrap();
        runtime().block_on(async {
            typed.write_all(b"one").unwrap();
            assert_eq!(next(&mut keyboard).await.as_deref(), Some(&b"one"[..]));
            typed.write_all(b"two").unwrap();
            assert_eq!(next(&mut keyboard).await.as_deref(), Some(&b"two"[..]));
            drop(typed);
            assert_eq!(next(&mut keyboard).await, None);
        });
    }

    #[test]
    fn no_byte_is_taken_from_a_program_that_has_the_keyboard() {
        let (terminal, mut typed) = io::pipe().unwrap();
        let editor: OwnedFd = terminal.try_clone().unwrap().into();
        let mut keyboard = Keyboard::on(terminal.into()).unwrap();
        runtime().block_on(async {
            for _ in 0..500 {
                typed.write_all(b"a").unwrap();
                assert_eq!(next(&mut keyboard).await.as_deref(), Some(&b"a"[..]));
                keyboard.pause();
                typed.write_all(b"bcd").unwrap();
                for expected in [&b"b"[..], b"cd"] {
                    let mut seen = [0; 3];
                    let soon = Timespec { tv_sec: 5, tv_nsec: 0 };
                    assert!(is_ready(&editor, None, Some(&soon)).unwrap(), "it was taken");
                    let length = rustix::io::read(&editor, &mut seen[..expected.len()]).unwrap();
                    assert_eq!(&seen[..length], expected);
                }
                keyboard.resume();
            }
        });
    }

    #[test]
    fn what_waits_during_a_pause_is_read_after_it() {
        let (terminal, mut typed) = io::pipe().unwrap();
        let mut keyboard = Keyboard::on(terminal.into()).unwrap();
        keyboard.pause();
        typed.write_all(b"later").unwrap();
        assert!(keyboard.pieces.try_recv().is_err());
        keyboard.resume();
        assert_eq!(runtime().block_on(next(&mut keyboard)).as_deref(), Some(&b"later"[..]));
    }

    #[test]
    fn the_thread_ends_with_the_keyboard() {
        for is_paused in [false, true] {
            let (terminal, mut typed) = io::pipe().unwrap();
            let keyboard = Keyboard::on(terminal.into()).unwrap();
            if is_paused {
                keyboard.pause();
                typed.write_all(b"x").unwrap();
            }
            drop(keyboard);
            // The pipe has no reader when the thread is gone, and only then.
            let timeout = Timespec { tv_sec: 20, tv_nsec: 0 };
            let closes = || poll(&mut [PollFd::new(&typed, PollFlags::empty())], Some(&timeout));
            // A signal of another test's may come to this thread.
            let hung_up = rustix::io::retry_on_intr(closes);
            assert_eq!(hung_up, Ok(1));
        }
    }
}
