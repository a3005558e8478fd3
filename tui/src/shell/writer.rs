//! Writes to the terminal on a thread of its own: a slow one must not stop the client.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};

use bytes::Bytes;
use rustix::event::{PollFd, PollFlags, poll};
use tokio::sync::{mpsc, watch};

/// Pieces that wait for the terminal: one frame, and what is beside the screen.
const PIECES_MAX: usize = 64;
/// Their bytes. Some long texts for the clipboard, each in the two forms that it is sent in.
const WAITING_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Hands frames and other bytes to the terminal, in order.
///
/// A frame is taken only when all before it is written. So there is at most one on its way, and what is drawn next is the
/// newest state, however slow the terminal is.
#[derive(Debug)]
pub struct Writer {
    pieces: mpsc::Sender<Bytes>,
    /// Bytes handed over since the beginning.
    handed: u64,
    /// Bytes written since the beginning.
    written: watch::Receiver<u64>,
}

impl Writer {
    /// Writes to stdout.
    pub fn start() -> io::Result<Self> {
        Self::to(io::stdout().as_fd().try_clone_to_owned()?)
    }

    /// Writes to this terminal.
    pub fn to(terminal: OwnedFd) -> io::Result<Self> {
        let (pieces, waiting) = mpsc::channel(PIECES_MAX);
        let (progress, written) = watch::channel(0);
        let terminal = File::from(terminal);
        std::thread::Builder::new().name("terminal-out".to_owned()).spawn(move || {
            if let Err(error) = write(terminal, waiting, &progress) {
                tracing::info!(%error, "the terminal cannot be written to");
            }
        })?;
        Ok(Self { pieces, handed: 0, written })
    }

    /// All that was handed over is written: a frame may be drawn.
    pub fn is_idle(&self) -> bool {
        *self.written.borrow() == self.handed
    }

    /// Waits until all that was handed over is written. An error says that the terminal is gone. Nothing is lost if this is
    /// dropped before.
    pub async fn idle(&mut self) -> io::Result<()> {
        let handed = self.handed;
        match self.written.wait_for(|written| *written == handed).await {
            Ok(_) => Ok(()),
            Err(_) => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Hands a frame over; false if there is one on its way, or the terminal is gone.
    pub fn frame(&mut self, bytes: impl Into<Bytes>) -> bool {
        self.is_idle() && self.hand_over(bytes.into())
    }

    /// Hands over what is beside the screen: the bell, a title, a mode. False if too much waits already, or the terminal is
    /// gone: then nothing of it is written.
    pub fn side(&mut self, bytes: impl Into<Bytes>) -> bool {
        let bytes = bytes.into();
        let waiting = self.handed - *self.written.borrow();
        waiting.saturating_add(bytes.len() as u64) <= WAITING_BYTES_MAX as u64 && self.hand_over(bytes)
    }

    fn hand_over(&mut self, bytes: Bytes) -> bool {
        let length = bytes.len() as u64;
        if length == 0 {
            return true;
        }
        let is_taken = self.pieces.try_send(bytes).is_ok();
        if is_taken {
            self.handed += length;
        }
        is_taken
    }
}

fn write(mut terminal: File, mut waiting: mpsc::Receiver<Bytes>, progress: &watch::Sender<u64>) -> io::Result<()> {
    while let Some(piece) = waiting.blocking_recv() {
        write_all(&mut terminal, &piece)?;
        progress.send_modify(|written| *written += piece.len() as u64);
    }
    Ok(())
}

/// A terminal that another program set not to block is waited for all the same.
fn write_all(terminal: &mut File, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match terminal.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(length) => bytes = &bytes[length..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                match poll(&mut [PollFd::new(terminal, PollFlags::OUT)], None) {
                    Ok(_) | Err(rustix::io::Errno::INTR) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    const SOON: Duration = Duration::from_secs(20);
    /// More than a pipe takes before it is read.
    const LONG: usize = 1024 * 1024;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
    }

    #[test]
    fn a_slow_terminal_gets_no_frame_before_it_has_the_last() {
        let (mut shown, terminal) = io::pipe().unwrap();
        let mut writer = Writer::to(terminal.into()).unwrap();
        assert!(writer.is_idle());
        assert!(writer.frame(vec![b'1'; LONG]));
        assert!(!writer.is_idle() && !writer.frame("refused"), "nobody has read the first");
        assert!(writer.side("bell") && writer.side("title"));
        runtime().block_on(async {
            let mut seen = vec![0; LONG];
            shown.read_exact(&mut seen).unwrap();
            assert!(seen.iter().all(|byte| *byte == b'1'));
            timeout(SOON, writer.idle()).await.unwrap().unwrap();
            assert!(writer.is_idle() && writer.frame("3"));
            drop(writer);
        });
        let mut rest = String::new();
        shown.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "belltitle3", "in order, and what was handed over is written");
    }

    #[test]
    fn what_waits_for_a_slow_terminal_is_bounded() {
        let (_shown, terminal) = io::pipe().unwrap();
        let mut writer = Writer::to(terminal.into()).unwrap();
        assert!(writer.frame(vec![0; LONG]));
        assert!(!writer.side(vec![0; WAITING_BYTES_MAX - LONG + 1]));
        assert!(writer.side(vec![0; WAITING_BYTES_MAX - LONG]));
        assert!(!writer.side("x"), "so many bytes");

        let (_shown, terminal) = io::pipe().unwrap();
        let mut writer = Writer::to(terminal.into()).unwrap();
        assert!(writer.frame(vec![0; LONG]));
        let taken = (0..2 * PIECES_MAX).take_while(|_| writer.side("x")).count();
        assert!((PIECES_MAX - 1..=PIECES_MAX).contains(&taken), "{taken} pieces were taken");
    }

    #[test]
    fn a_terminal_that_does_not_block_is_waited_for() {
        let (mut shown, terminal) = io::pipe().unwrap();
        rustix::fs::fcntl_setfl(&terminal, rustix::fs::OFlags::NONBLOCK).unwrap();
        let mut writer = Writer::to(terminal.into()).unwrap();
        assert!(writer.frame(vec![b'x'; LONG]));
        let mut seen = vec![0; LONG];
        shown.read_exact(&mut seen).unwrap();
        runtime().block_on(async { timeout(SOON, writer.idle()).await.unwrap().unwrap() });
    }

    #[test]
    fn a_terminal_that_is_gone_is_said_so() {
        let (shown, terminal) = io::pipe().unwrap();
        drop(shown);
        let mut writer = Writer::to(terminal.into()).unwrap();
        assert!(writer.frame("x"));
        let idle = runtime().block_on(async { timeout(SOON, writer.idle()).await.unwrap() });
        assert_eq!(idle.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        assert!(!writer.frame("y") && !writer.side("z"));
    }
}
