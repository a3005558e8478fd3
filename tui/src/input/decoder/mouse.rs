//! The mouse, as it is told of in decimal numbers (mode 1006).

use super::sequence::number;

/// What the mouse did, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mouse {
    /// What it did.
    pub kind: MouseKind,
    /// The column, from 0.
    pub col: u16,
    /// The row, from 0.
    pub row: u16,
    /// With control.
    pub ctrl: bool,
    /// With alt.
    pub alt: bool,
    /// With shift.
    pub shift: bool,
}

/// What the mouse did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MouseKind {
    /// A button went down.
    Press(Button),
    /// A button went up.
    Release(Button),
    /// It was moved while a button is held.
    Drag(Button),
    /// It was moved.
    Move,
    /// The wheel.
    ScrollUp,
    /// The wheel.
    ScrollDown,
    /// The wheel, sideways.
    ScrollLeft,
    /// The wheel, sideways.
    ScrollRight,
}

/// A mouse's button.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Button {
    /// The first.
    Left,
    /// The second.
    Middle,
    /// The third.
    Right,
    /// One more, from 8, as X numbers them: 8 is back and 9 is forward.
    Other(u8),
}

/// `CSI < button;column;row M`, or `m` when the button goes up.
pub(super) fn mouse(fields: &[Vec<Option<u32>>], last: u8) -> Option<Mouse> {
    let [_, _, _] = fields else {
        return None;
    };
    let bits = number(fields, 0, 0);
    let place = |field| u16::try_from(number(fields, field, 1).max(1) - 1).unwrap_or(u16::MAX);
    let button = match (bits & 0xc0, bits & 3) {
        (0, 0) => Some(Button::Left),
        (0, 1) => Some(Button::Middle),
        (0, 2) => Some(Button::Right),
        (0x80, other @ 0..=3) => Some(Button::Other([8, 9, 10, 11][other as usize])),
        _ => None,
    };
    let kind = match (last, bits & 0x40 != 0, bits & 0x20 != 0) {
        (b'M', true, false) => match bits & 3 {
            0 => MouseKind::ScrollUp,
            1 => MouseKind::ScrollDown,
            2 => MouseKind::ScrollLeft,
            _ => MouseKind::ScrollRight,
        },
        (b'M', false, true) => button.map_or(MouseKind::Move, MouseKind::Drag),
        (b'M', false, false) => MouseKind::Press(button?),
        (b'm', false, _) => MouseKind::Release(button?),
        _ => return None,
    };
    let (col, row) = (place(1), place(2));
    Some(Mouse { kind, col, row, ctrl: bits & 16 != 0, alt: bits & 8 != 0, shift: bits & 4 != 0 })
}
