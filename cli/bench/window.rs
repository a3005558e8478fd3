//! A terminal with this binary in it, whose screen is read as a terminal would draw it.

use std::io::Read;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use ropewalk_projections::screen::Screen;
use ropewalk_protocol::Size;

use super::lab::wrong;
use super::limits::Pty;
use crate::exit::Failure;

/// No screen is waited for longer.
const SHOWN_WITHIN: Duration = Duration::from_secs(30);
/// Pieces that wait to be drawn.
const PIECES_MAX: usize = 1024;
/// The key that is pressed; nothing else on the screen has it.
const MARK: u8 = b'X';
/// So many of them are on the screen at once.
const MARKS_MAX: usize = 60;
/// Takes them all away: in a prompt, and in a program that gives back every byte.
pub(super) const CLEAR_PROMPT: &[u8] = b"\x15";
pub(super) const CLEAR_PROGRAM: &[u8] = b"\x1b[2J\x1b[H";
/// Keystrokes before those that count.
const WARM_UP: usize = 20;
/// How long after its echo the next key is pressed: somebody types fast. A client that draws at most sixty frames a second
/// would else be measured at waiting for the next one.
const BETWEEN: Duration = Duration::from_millis(25);

/// The terminal and what runs in it; dropping it ends that.
pub(super) struct Window {
    pty: Pty,
    screen: Screen,
    pieces: Receiver<(Instant, Vec<u8>)>,
    opened: Instant,
    /// When the newest piece came.
    drawn: Instant,
}

impl Window {
    /// Starts this binary with these arguments in a directory that is its home, too.
    pub(super) fn open(home: &Path, arguments: &[&str], size: Size) -> Result<Self, Failure> {
        let own = std::env::current_exe()?;
        let text = |path: &Path| path.to_str().map(str::to_owned).ok_or_else(|| wrong("a path is not UTF-8"));
        let variable = format!("ROPEWALK_HOME={}", text(home)?);
        let (own, directory) = (text(&own)?, text(home)?);
        let program = ["env", "-C", &directory, &variable, "TERM=xterm-256color", &own];
        let argv: Vec<&str> = program.into_iter().chain(arguments.iter().copied()).collect();
        let opened = Instant::now();
        let pty = Pty::sized(&argv, size)?;
        let mut reader = pty.reader()?;
        let (sender, pieces) = sync_channel(PIECES_MAX);
        std::thread::spawn(move || {
            let mut buffer = [0; 64 * 1024];
            // The end of a terminal is an error to the system.
            while let Ok(length @ 1..) = reader.read(&mut buffer) {
                if sender.send((Instant::now(), buffer[..length].to_vec())).is_err() {
                    return;
                }
            }
        });
        Ok(Self { pty, screen: Screen::new(size), pieces, opened, drawn: opened })
    }

    /// The process.
    pub(super) fn pid(&self) -> u32 {
        self.pty.pid()
    }

    /// Types.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        Ok(self.pty.write(bytes)?)
    }

    /// What the screen shows.
    pub(super) fn text(&self) -> String {
        (0..self.screen.size().rows).map(|row| self.screen.row_text(row) + "\n").collect()
    }

    /// Waits until the screen is so; how long after the start that was.
    pub(super) fn until(&mut self, what: &str, holds: impl Fn(&str) -> bool) -> Result<Duration, Failure> {
        while !holds(&self.text()) {
            if !self.draw(SHOWN_WITHIN)? {
                return Err(wrong(format!("never on the screen: {what}\n{}", self.text())));
            }
        }
        Ok(self.drawn - self.opened)
    }

    /// Waits until nothing was drawn for some time.
    pub(super) fn until_quiet(&mut self, time: Duration) -> Result<(), Failure> {
        while self.draw(time)? {}
        Ok(())
    }

    /// Presses a key again and again, each some time after the one before was shown: from key to screen.
    pub(super) fn keys(&mut self, count: usize, clear: &[u8]) -> Result<Vec<Duration>, Failure> {
        let mut times = Vec::new();
        let mut shown = self.marks();
        for number in 0..count + WARM_UP {
            if shown >= MARKS_MAX {
                self.write(clear)?;
                shown = 0;
                self.until_marks(shown)?;
            }
            let next = Instant::now() + BETWEEN;
            while let Some(left) = next.checked_duration_since(Instant::now()) {
                self.draw(left)?;
            }
            let pressed = Instant::now();
            self.write(&[MARK])?;
            shown += 1;
            self.until_marks(shown)?;
            if number >= WARM_UP {
                times.push(self.drawn - pressed);
            }
        }
        Ok(times)
    }

    fn until_marks(&mut self, count: usize) -> Result<(), Failure> {
        while self.marks() != count {
            if !self.draw(SHOWN_WITHIN)? {
                return Err(wrong(format!("not {count} keys on the screen\n{}", self.text())));
            }
        }
        Ok(())
    }

    fn marks(&self) -> usize {
        self.text().bytes().filter(|byte| *byte == MARK).count()
    }

    /// Draws what comes next; false if nothing comes in time.
    fn draw(&mut self, within: Duration) -> Result<bool, Failure> {
        match self.pieces.recv_timeout(within) {
            Ok((at, piece)) => {
                self.screen.feed(&piece);
                self.drawn = at;
                Ok(true)
            }
            Err(RecvTimeoutError::Timeout) => Ok(false),
            Err(RecvTimeoutError::Disconnected) => Err(wrong(format!("the terminal was closed\n{}", self.text()))),
        }
    }
}
