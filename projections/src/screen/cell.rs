//! One character cell and the pen it was drawn with, in 16 bytes.

use serde::{Deserialize, Serialize};
use unicode_width::UnicodeWidthChar;

const COLOUR: u32 = 0x03ff_ffff;
const INDEXED: u32 = 1 << 24;
const RGB: u32 = 2 << 24;
const ATTRIBUTE_SHIFT: u32 = 26;
const LINE_SHIFT: u32 = 28;

/// A colour: 0 is the terminal's own, else a tag above an index or three bytes of red, green and blue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Colour(u32);

impl Colour {
    pub(super) const DEFAULT: Self = Self(0);

    pub(super) fn indexed(index: u8) -> Self {
        Self(INDEXED | u32::from(index))
    }

    pub(super) fn rgb(red: u8, green: u8, blue: u8) -> Self {
        Self(RGB | u32::from_be_bytes([0, red, green, blue]))
    }

    pub(super) fn index(self) -> Option<u8> {
        (self.0 >> 24 == 1).then(|| self.0.to_le_bytes()[0])
    }

    pub(super) fn parts(self) -> Option<[u8; 3]> {
        let [_, red, green, blue] = self.0.to_be_bytes();
        (self.0 >> 24 == 2).then_some([red, green, blue])
    }

    /// Colours come from a checkpoint too: an unknown tag is the default, and an index has nothing above it.
    fn known(bits: u32) -> Self {
        match (bits & COLOUR) >> 24 {
            1 => Self(INDEXED | bits & 0xff),
            2 => Self(bits & COLOUR),
            _ => Self::DEFAULT,
        }
    }
}

/// Attributes that are on or off, as bits above the foreground colour.
pub(super) mod attribute {
    pub(in crate::screen) const BOLD: u32 = 1;
    pub(in crate::screen) const DIM: u32 = 2;
    pub(in crate::screen) const ITALIC: u32 = 4;
    pub(in crate::screen) const BLINK: u32 = 8;
    pub(in crate::screen) const REVERSE: u32 = 16;
    pub(in crate::screen) const HIDDEN: u32 = 32;
}

/// Lines that are on or off, as bits above the background colour.
pub(super) mod line {
    pub(in crate::screen) const STRIKE: u32 = 1;
    pub(in crate::screen) const OVER: u32 = 2;
}

/// What the next character is drawn with. Three words, so that a cell with its character stays at 16 bytes:
/// foreground and attributes; background, lines and the underline's style; the underline's colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Pen {
    front: u32,
    back: u32,
    under: u32,
}

impl Pen {
    pub(super) const DEFAULT: Self = Self { front: 0, back: 0, under: 0 };

    pub(super) fn foreground(self) -> Colour {
        Colour(self.front & COLOUR)
    }

    pub(super) fn background(self) -> Colour {
        Colour(self.back & COLOUR)
    }

    pub(super) fn underline_colour(self) -> Colour {
        Colour(self.under)
    }

    pub(super) fn set_foreground(&mut self, colour: Colour) {
        self.front = self.front & !COLOUR | colour.0;
    }

    pub(super) fn set_background(&mut self, colour: Colour) {
        self.back = self.back & !COLOUR | colour.0;
    }

    pub(super) fn set_underline_colour(&mut self, colour: Colour) {
        self.under = colour.0;
    }

    pub(super) fn has(self, attribute: u32) -> bool {
        self.front >> ATTRIBUTE_SHIFT & attribute != 0
    }

    pub(super) fn set(&mut self, attributes: u32, on: bool) {
        let bits = attributes << ATTRIBUTE_SHIFT;
        self.front = if on { self.front | bits } else { self.front & !bits };
    }

    pub(super) fn has_line(self, line: u32) -> bool {
        self.back >> ATTRIBUTE_SHIFT & line != 0
    }

    pub(super) fn set_line(&mut self, line: u32, on: bool) {
        let bits = line << ATTRIBUTE_SHIFT;
        self.back = if on { self.back | bits } else { self.back & !bits };
    }

    /// 0 none, 1 single, 2 double, 3 curly, 4 dotted, 5 dashed.
    pub(super) fn underline(self) -> u8 {
        (self.back >> LINE_SHIFT).to_le_bytes()[0] & 7
    }

    pub(super) fn set_underline(&mut self, style: u8) {
        self.back = self.back & !(7 << LINE_SHIFT) | u32::from(style.min(5)) << LINE_SHIFT;
    }

    /// What erased cells get: the background and nothing else, as xterm's "background colour erase" does.
    pub(super) fn erasing(self) -> Self {
        Self { front: 0, back: self.back & COLOUR, under: 0 }
    }

    /// The same pen without bits that no escape sequence sets, for pens read from a checkpoint.
    pub(super) fn known(self) -> Self {
        let mut pen = Self {
            front: self.front & !COLOUR | Colour::known(self.front).0,
            back: self.back & !COLOUR & !(1 << 31) | Colour::known(self.back).0,
            under: Colour::known(self.under).0,
        };
        pen.set_underline(self.underline());
        pen
    }
}

const CHARACTER: u32 = 0x001f_ffff;
const WIDE: u32 = 1 << 24;
const SPACER: u32 = 1 << 25;
const MARKED: u32 = 1 << 26;

/// A cell. A wide character is a lead cell and a spacer; combining marks are kept by the row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cell {
    glyph: u32,
    pub(super) pen: Pen,
}

impl Cell {
    /// What a fresh screen is made of. An erased cell and a printed space are the same, so that both can be printed.
    pub(super) const BLANK: Self = Self { glyph: 0x20, pen: Pen::DEFAULT };

    pub(super) fn blank(pen: Pen) -> Self {
        Self { glyph: 0x20, pen }
    }

    pub(super) fn ascii(byte: u8, pen: Pen) -> Self {
        Self { glyph: u32::from(byte), pen }
    }

    pub(super) fn narrow(character: char, pen: Pen) -> Self {
        Self { glyph: u32::from(character), pen }
    }

    /// A lead cell and its spacer.
    pub(super) fn wide(character: char, pen: Pen) -> [Self; 2] {
        [Self { glyph: u32::from(character) | WIDE, pen }, Self { glyph: 0x20 | SPACER, pen }]
    }

    pub(super) fn character(self) -> char {
        char::from_u32(self.glyph & CHARACTER).unwrap_or(char::REPLACEMENT_CHARACTER)
    }

    pub(super) fn as_ascii(self) -> Option<u8> {
        (self.glyph < 0x80).then(|| self.glyph.to_le_bytes()[0])
    }

    pub(super) fn is_wide(self) -> bool {
        self.glyph & WIDE != 0
    }

    pub(super) fn is_spacer(self) -> bool {
        self.glyph & SPACER != 0
    }

    pub(super) fn is_marked(self) -> bool {
        self.glyph & MARKED != 0
    }

    pub(super) fn set_marked(&mut self) {
        self.glyph |= MARKED;
    }
}

/// Cells that a character takes: 0 for marks, `None` for controls. A few signs that Unicode makes wider take two, as
/// in every terminal.
pub(super) fn width(character: char) -> Option<usize> {
    character.width().map(|cells| cells.min(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_takes_sixteen_bytes() {
        assert_eq!(size_of::<Cell>(), 16);
    }

    #[test]
    fn attributes_and_colours_do_not_overlap() {
        let mut pen = Pen::DEFAULT;
        pen.set(63, true);
        pen.set_line(line::STRIKE | line::OVER, true);
        pen.set_underline(5);
        pen.set_foreground(Colour::rgb(255, 255, 255));
        pen.set_background(Colour::indexed(255));
        assert_eq!(pen.foreground().parts(), Some([255; 3]));
        assert_eq!(pen.background().index(), Some(255));
        assert_eq!(pen.underline(), 5);
        assert!(pen.has(attribute::HIDDEN) && pen.has_line(line::OVER));
        assert_eq!(pen.known(), pen);
        pen.set(63, false);
        assert_eq!(pen.foreground().parts(), Some([255; 3]));
    }
}
