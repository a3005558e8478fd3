//! This terminal in raw mode, and its way back, whichever way the program leaves.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

/// What a program may have turned on, turned off: alternate screen, margins, mouse, focus, paste, cursor keys, keypad,
/// synchronized output, key encodings, colours, hidden cursor.
/// Then the cursor goes below the screen, where a shell's prompt belongs.
const LEAVE: &[u8] = b"\x1b[?1049l\x1b[r\x1b[?9l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1005l\x1b[?1006l\x1b[?1015l\x1b[?1004l\x1b[?2004l\x1b[?2026l\x1b[?1l\x1b>\x1b[<99u\x1b[>4;0m\x1b(B\x0f\x1b[4l\x1b[?6l\x1b[?7h\x1b[0m\x1b[?25h\x1b[0 q\x1b[999;1H\r\n";
/// What is turned off even when the program ended by itself, and moves no cursor.
const CALM: &[u8] = b"\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1004l\x1b[?2004l\x1b[?2026l\x1b[0m\x1b[?25h";

/// This terminal's mode as it was, to be put back: when this is dropped, and before a panic says anything.
pub(super) struct RawMode {
    before: Termios,
    entered: Arc<AtomicBool>,
}

impl RawMode {
    pub(super) fn enter() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let raw = Self { before, entered: Arc::new(AtomicBool::new(true)) };
        let (before, entered, say) = (raw.before.clone(), raw.entered.clone(), std::panic::take_hook());
        std::panic::set_hook(Box::new(move |panic| {
            // In raw mode, on a screen that is about to go, nobody could read it.
            if entered.swap(false, Ordering::Relaxed) {
                put_back(&before, LEAVE);
            }
            say(panic);
        }));
        raw.again()?;
        Ok(raw)
    }

    /// Enters it anew: a shell gives its terminal another mode while this process is stopped.
    pub(super) fn again(&self) -> io::Result<()> {
        let mut raw = self.before.clone();
        raw.make_raw();
        Ok(tcsetattr(io::stdin(), OptionalActions::Now, &raw)?)
    }

    /// Puts the terminal back for as long as this process is stopped.
    pub(super) fn pause(&self) {
        put_back(&self.before, LEAVE);
    }

    pub(super) fn leave(self, program_ended: bool) {
        if self.entered.swap(false, Ordering::Relaxed) {
            // A program that ended has put the screen back itself, as far as it meant to.
            put_back(&self.before, if program_ended { CALM } else { LEAVE });
        }
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        if self.entered.swap(false, Ordering::Relaxed) {
            put_back(&self.before, LEAVE);
        }
    }
}

/// Writes past the lock on stdout: whoever has it may be the one that panics, or wait for a terminal that is gone.
fn put_back(before: &Termios, farewell: &[u8]) {
    rustix::io::write(io::stdout(), farewell).ok();
    tcsetattr(io::stdin(), OptionalActions::Now, before).ok();
}
