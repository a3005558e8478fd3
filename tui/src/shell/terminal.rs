//! The terminal in raw mode on its alternate screen, and its way back, whichever way the program leaves.

use std::io::{self, IsTerminal};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ropewalk_protocol::Size;
use rustix::io::Errno;
use rustix::termios::{OptionalActions, QueueSelector, Termios, tcflush, tcgetattr, tcgetwinsize, tcsetattr};

use super::outer::{OuterModes, change};

/// The title is saved, the alternate screen has the kitty keyboard protocol's flags for itself, and changes of the colour
/// scheme are told of.
const ENTER: &[u8] = b"\x1b[22;2t\x1b[?1049h\x1b[>0u\x1b[?2031h";
/// What the background's colour is, whether synchronized output and the kitty keyboard protocol are known. The last question
/// is one that every terminal answers: after that answer no other comes.
const ASK: &[u8] = b"\x1b]11;?\x1b\\\x1b[?2026$p\x1b[?u\x1b[c";
/// All that is turned on here or for a program's terminal, turned off; the flags go while the screen that has them is
/// shown. Sequences that were cut short end first.
const LEAVE: &[u8] = b"\x18\x1b[?2026l\x1b[?2031l\x1b[?1006l\x1b[?1002l\x1b[?1000l\x1b[?1004l\x1b[?2004l\x1b[?1l\x1b>\x1b[>4;0m\x1b[<1u\x1b[0 q\x1b[0m\x1b[?25h\x1b[?1049l\x1b[23;2t";

/// This terminal as it was, to be put back: when this is dropped, and before a panic says anything.
#[derive(Debug)]
pub struct Terminal {
    tty: Arc<Tty>,
    modes: OuterModes,
}

#[derive(Debug)]
struct Tty {
    input: OwnedFd,
    output: OwnedFd,
    before: Termios,
    entered: AtomicBool,
}

impl Terminal {
    /// Takes the terminal of stdin and stdout, with these modes, and asks it about itself.
    pub fn enter(modes: OuterModes) -> io::Result<Self> {
        let (input, output) = (io::stdin().as_fd().try_clone_to_owned()?, io::stdout().as_fd().try_clone_to_owned()?);
        Self::on(input, output, modes)
    }

    /// Takes this terminal.
    pub fn on(input: OwnedFd, output: OwnedFd, modes: OuterModes) -> io::Result<Self> {
        let before = tcgetattr(&input)?;
        let tty = Arc::new(Tty { input, output, before, entered: AtomicBool::new(false) });
        let (in_panic, say) = (Arc::downgrade(&tty), std::panic::take_hook());
        std::panic::set_hook(Box::new(move |panic| {
            // In raw mode, on a screen that is about to go, nobody could read it.
            if let Some(tty) = in_panic.upgrade() {
                tty.put_back();
            }
            say(panic);
        }));
        let terminal = Self { tty, modes };
        terminal.again()?;
        Ok(terminal)
    }

    /// Takes it anew after a pause, with the modes that it was entered with. A shell or an editor may have changed them all;
    /// the screen is empty.
    pub fn again(&self) -> io::Result<()> {
        // A process that was stopped by force did not put it back: what is pushed twice would be popped once.
        self.tty.put_back();
        let mut raw = self.tty.before.clone();
        raw.make_raw();
        // What was begun is undone, even if it fails halfway.
        self.tty.entered.store(true, Ordering::Relaxed);
        tcsetattr(&self.tty.input, OptionalActions::Now, &raw)?;
        self.tty.write(&[ENTER, &change(&OuterModes::default(), &self.modes), ASK].concat())
    }

    /// Puts it back for as long as this process is stopped or another program has it. What is typed already is for that.
    pub fn pause(&self) {
        self.tty.put_back();
    }

    /// Puts it back for good.
    pub fn leave(self) {
        drop(self);
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if self.tty.put_back() {
            // Answers that were not read, and what the mouse did, would be typed into the shell.
            tcflush(&self.tty.input, QueueSelector::IFlush).ok();
        }
    }
}

impl Tty {
    /// True if it was to be put back. It is written past the lock on stdout: whoever has it may be the one that panics.
    fn put_back(&self) -> bool {
        let is_due = self.entered.swap(false, Ordering::Relaxed);
        if is_due {
            self.write(LEAVE).ok();
            tcsetattr(&self.input, OptionalActions::Now, &self.before).ok();
        }
        is_due
    }

    fn write(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match rustix::io::write(&self.output, bytes) {
                Ok(length) => bytes = &bytes[length..],
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// The size of the terminal this process runs in, if it runs in one.
pub fn window_size() -> Option<Size> {
    if !io::stdout().is_terminal() {
        return None;
    }
    let size = tcgetwinsize(io::stdout()).ok()?;
    Some(Size { cols: size.ws_col, rows: size.ws_row }).filter(|size| size.check().is_ok())
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, MutexGuard, PoisonError};

    use ropewalk_projections::screen::Screen;
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::fs::{Mode, OFlags};
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    use rustix::termios::LocalModes;

    use super::*;

    /// What a panic does is of the whole process: one test at a time.
    fn alone() -> MutexGuard<'static, ()> {
        static ONE: Mutex<()> = Mutex::new(());
        ONE.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A terminal, from outside and from inside.
    fn pty() -> (OwnedFd, OwnedFd) {
        let outside = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&outside).unwrap();
        unlockpt(&outside).unwrap();
        let path = ptsname(&outside, Vec::new()).unwrap();
        let inside = rustix::fs::open(path, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
        (outside, inside)
    }

    fn enter(inside: &OwnedFd, modes: OuterModes) -> Terminal {
        Terminal::on(inside.try_clone().unwrap(), inside.try_clone().unwrap(), modes).unwrap()
    }

    fn is_ready(descriptor: &OwnedFd, seconds: i64) -> bool {
        let timeout = Timespec { tv_sec: seconds, tv_nsec: 0 };
        // A signal of another test's may come to this thread.
        rustix::io::retry_on_intr(|| poll(&mut [PollFd::new(descriptor, PollFlags::IN)], Some(&timeout))) == Ok(1)
    }

    /// What was written, up to and with these bytes.
    fn written(outside: &OwnedFd, up_to: &[u8]) -> Vec<u8> {
        let mut seen = Vec::new();
        while !seen.ends_with(up_to) {
            let mut buffer = [0; 4096];
            assert!(is_ready(outside, 20), "{:?}", String::from_utf8_lossy(&seen));
            let length = rustix::io::read(outside, &mut buffer).unwrap();
            seen.extend_from_slice(&buffer[..length]);
        }
        seen
    }

    fn is_raw(inside: &OwnedFd) -> bool {
        !tcgetattr(inside).unwrap().local_modes.intersects(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG)
    }

    #[test]
    fn all_that_is_turned_on_is_turned_off() {
        let _alone = alone();
        let (outside, inside) = pty();
        let before = tcgetattr(&inside).unwrap();
        let all = OuterModes {
            application_cursor: true,
            application_keypad: true,
            kitty_flags: 31,
            modify_other_keys: 2,
            cursor_style: 4,
            ..OuterModes::client(true)
        };
        let mut screen = Screen::new(Size::DEFAULT);
        // The alternate screen saves the cursor, as this shell has done already.
        screen.feed(b"$ ropewalk\r\n\x1b7");
        let shell = screen.observe();
        let terminal = enter(&inside, all);
        assert!(is_raw(&inside));
        screen.feed(&written(&outside, ASK));
        assert_eq!(OuterModes::of(screen.modes()), all);
        assert!(screen.alternate());
        // A frame that was cut short.
        screen.feed(b"\x1b[?2026h\x1b[?25l\x1b[31mframe\x1b[3");
        terminal.leave();
        screen.feed(&written(&outside, LEAVE));
        assert_eq!(screen.observe(), shell);
        let after = tcgetattr(&inside).unwrap();
        assert_eq!((after.local_modes, after.input_modes), (before.local_modes, before.input_modes));
        assert_eq!(after.output_modes, before.output_modes);
        // What the model knows nothing of.
        for (on, off) in [("?2031h", "?2031l"), ("22;2t", "23;2t"), (">0u", "<1u")] {
            assert!(String::from_utf8_lossy(ENTER).contains(on) && String::from_utf8_lossy(LEAVE).contains(off));
        }
    }

    #[test]
    fn a_pause_gives_the_terminal_to_another_and_again_takes_it() {
        let _alone = alone();
        let (outside, inside) = pty();
        let terminal = enter(&inside, OuterModes::client(false));
        written(&outside, ASK);
        terminal.pause();
        assert!(!is_raw(&inside));
        written(&outside, LEAVE);
        terminal.pause();
        terminal.again().unwrap();
        assert!(is_raw(&inside));
        assert!(written(&outside, ASK).starts_with(ENTER), "the second pause wrote nothing");
        terminal.pause();
        drop(terminal);
        assert_eq!(written(&outside, LEAVE), LEAVE);
        assert!(!is_ready(&outside, 0), "it is left once");
    }

    #[test]
    fn answers_that_come_too_late_are_not_typed_into_the_shell() {
        let _alone = alone();
        let (outside, inside) = pty();
        let terminal = enter(&inside, OuterModes::client(true));
        rustix::io::write(&outside, b"\x1b[?62c\r").unwrap();
        assert!(is_ready(&inside, 20));
        drop(terminal);
        assert!(!is_ready(&inside, 0));
    }

    #[test]
    fn a_panic_puts_it_back_before_it_says_anything() {
        let _alone = alone();
        let (outside, inside) = pty();
        let (said, heard) = std::sync::mpsc::sync_channel(1);
        let seen = inside.try_clone().unwrap();
        let say = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if panic.payload_as_str() == Some("on purpose") {
                said.try_send(is_raw(&seen)).ok();
            } else {
                say(panic);
            }
        }));
        let terminal = enter(&inside, OuterModes::client(false));
        written(&outside, ASK);
        assert!(is_raw(&inside));
        assert!(std::thread::spawn(|| panic!("on purpose")).join().is_err());
        assert_eq!(heard.recv(), Ok(false));
        written(&outside, LEAVE);
        drop(terminal);
        assert!(!is_ready(&outside, 0), "it is left once");
    }
}
