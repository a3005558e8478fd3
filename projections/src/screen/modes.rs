//! The modes a program may set.

use serde::{Deserialize, Serialize};

/// Keyboard flags that a program saved. More are dropped, oldest first, as kitty does.
const KEYBOARD_STACK_MAX: usize = 8;
const KEYBOARD_FLAGS: u16 = 0x1f;

/// Which mouse events a program asked for. Setting one replaces the other, as in xterm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum MouseTracking {
    /// None.
    #[default]
    Off,
    /// Presses only (mode 9).
    Press,
    /// Presses and releases (mode 1000).
    Buttons,
    /// And motion while a button is held (mode 1002).
    Drag,
    /// And all motion (mode 1003).
    Motion,
}

/// How mouse events are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum MouseEncoding {
    /// One byte a coordinate.
    #[default]
    Bytes,
    /// One UTF-8 character a coordinate (mode 1005).
    Utf8,
    /// Decimal numbers, the release told apart (mode 1006).
    Sgr,
    /// Decimal numbers (mode 1015).
    Urxvt,
    /// As `Sgr`, in pixels (mode 1016).
    SgrPixels,
}

/// The kitty keyboard protocol's flags of one screen and those saved below them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Keyboard {
    flags: u8,
    saved: Vec<u8>,
}

impl Keyboard {
    /// The flags in force.
    pub fn flags(&self) -> u8 {
        self.flags
    }

    /// All flags, the oldest first, those in force last.
    pub(super) fn entries(&self) -> impl Iterator<Item = u8> {
        self.saved.iter().copied().chain([self.flags])
    }

    pub(super) fn push(&mut self, flags: u16) {
        if self.saved.len() == KEYBOARD_STACK_MAX {
            self.saved.remove(0);
        }
        self.saved.push(self.flags);
        self.flags = known(flags);
    }

    pub(super) fn pop(&mut self, count: usize) {
        for _ in 0..count.min(self.saved.len() + 1) {
            self.flags = self.saved.pop().unwrap_or(0);
        }
    }

    /// `CSI = flags ; mode u`: 1 replaces, 2 adds, 3 removes.
    pub(super) fn set(&mut self, flags: u16, mode: u16) {
        match mode {
            1 => self.flags = known(flags),
            2 => self.flags |= known(flags),
            3 => self.flags &= !known(flags),
            _ => {}
        }
    }

    /// The same without what no sequence sets, for one read from a checkpoint.
    pub(super) fn known(mut self) -> Self {
        self.saved.truncate(KEYBOARD_STACK_MAX);
        self.saved.iter_mut().chain([&mut self.flags]).for_each(|flags| *flags = known(u16::from(*flags)));
        self
    }
}

fn known(flags: u16) -> u8 {
    (flags & KEYBOARD_FLAGS).to_le_bytes()[0]
}

/// What a program has switched on or off. A client needs it to know what its keys and its mouse must send.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Modes {
    /// Arrow keys send application codes (DECCKM, mode 1).
    pub application_cursor: bool,
    /// The keypad sends application codes (DECKPAM).
    pub application_keypad: bool,
    /// The screen is shown in reverse video (mode 5).
    pub reverse_video: bool,
    /// Rows count from the scroll region's top (DECOM, mode 6).
    pub origin: bool,
    /// Text goes on in the next row at the margin (DECAWM, mode 7).
    pub autowrap: bool,
    /// Characters push what follows to the right (IRM).
    pub insert: bool,
    /// A line feed also returns to the first column (LNM).
    pub newline: bool,
    /// The cursor is shown (mode 25).
    pub cursor_visible: bool,
    /// The cursor's shape as DECSCUSR numbers it; 0 is the terminal's own.
    pub cursor_style: u8,
    /// The alternate screen is shown (modes 47, 1047 and 1049).
    pub alternate: bool,
    /// Which mouse events are sent.
    pub mouse: MouseTracking,
    /// How they are written.
    pub mouse_encoding: MouseEncoding,
    /// The wheel sends arrow keys on the alternate screen (mode 1007).
    pub alternate_scroll: bool,
    /// Gaining and losing the focus is reported (mode 1004).
    pub focus: bool,
    /// Pasted text is bracketed (mode 2004).
    pub bracketed_paste: bool,
    /// The program is in the middle of an update (mode 2026). The model shows it as it is drawn.
    pub synchronized: bool,
    /// xterm's `modifyOtherKeys`, 0 to 3.
    pub modify_other_keys: u8,
    /// The kitty keyboard protocol's flags of the screen shown.
    pub keyboard: Keyboard,
}

impl Default for Modes {
    fn default() -> Self {
        Self {
            application_cursor: false,
            application_keypad: false,
            reverse_video: false,
            origin: false,
            autowrap: true,
            insert: false,
            newline: false,
            cursor_visible: true,
            cursor_style: 0,
            alternate: false,
            mouse: MouseTracking::Off,
            mouse_encoding: MouseEncoding::Bytes,
            alternate_scroll: false,
            focus: false,
            bracketed_paste: false,
            synchronized: false,
            modify_other_keys: 0,
            keyboard: Keyboard::default(),
        }
    }
}

impl Modes {
    /// The tracking that a DEC private mode stands for.
    pub(super) fn mouse_tracking(mode: u16) -> Option<MouseTracking> {
        match mode {
            9 => Some(MouseTracking::Press),
            1000 => Some(MouseTracking::Buttons),
            1002 => Some(MouseTracking::Drag),
            1003 => Some(MouseTracking::Motion),
            _ => None,
        }
    }

    /// The encoding that a DEC private mode stands for.
    pub(super) fn mouse_encoding(mode: u16) -> Option<MouseEncoding> {
        match mode {
            1005 => Some(MouseEncoding::Utf8),
            1006 => Some(MouseEncoding::Sgr),
            1015 => Some(MouseEncoding::Urxvt),
            1016 => Some(MouseEncoding::SgrPixels),
            _ => None,
        }
    }

    /// The DEC private modes that differ from a fresh terminal's, except those that move the cursor.
    pub(super) fn private(&self) -> impl Iterator<Item = (u16, bool)> {
        let fresh = Self::default();
        let pairs = [
            (1, self.application_cursor, fresh.application_cursor),
            (5, self.reverse_video, fresh.reverse_video),
            (7, self.autowrap, fresh.autowrap),
            (25, self.cursor_visible, fresh.cursor_visible),
            (1004, self.focus, fresh.focus),
            (1007, self.alternate_scroll, fresh.alternate_scroll),
            (2004, self.bracketed_paste, fresh.bracketed_paste),
            (2026, self.synchronized, fresh.synchronized),
        ];
        let mouse = [9, 1000, 1002, 1003].into_iter().filter(|mode| Self::mouse_tracking(*mode) == Some(self.mouse));
        let encoding = [1005, 1006, 1015, 1016]
            .into_iter()
            .filter(|mode| Self::mouse_encoding(*mode) == Some(self.mouse_encoding));
        let differing = pairs.into_iter().filter(|(_, now, fresh)| now != fresh).map(|(mode, now, _)| (mode, now));
        differing.chain(mouse.chain(encoding).map(|mode| (mode, true)))
    }
}
