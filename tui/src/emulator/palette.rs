//! The colours of a terminal, as red, green and blue.

use ropewalk_projections::screen::Colour;

/// The colours that a terminal's user chooses: its own two, and the sixteen that have names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Palette {
    /// Of text.
    pub foreground: [u8; 3],
    /// Behind it.
    pub background: [u8; 3],
    /// Black, red, green, yellow, blue, magenta, cyan, white, and the same bright.
    pub named: [[u8; 3]; 16],
}

impl Palette {
    /// Light text on a dark background.
    pub const DARK: Self = Self {
        foreground: [0xd4, 0xd4, 0xd4],
        background: [0x1e, 0x1e, 0x1e],
        named: [
            [0x3b, 0x3b, 0x3b],
            [0xe0, 0x6c, 0x75],
            [0x98, 0xc3, 0x79],
            [0xe5, 0xc0, 0x7b],
            [0x61, 0xaf, 0xef],
            [0xc6, 0x78, 0xdd],
            [0x56, 0xb6, 0xc2],
            [0xd4, 0xd4, 0xd4],
            [0x80, 0x80, 0x80],
            [0xff, 0x87, 0x8f],
            [0xb5, 0xe0, 0x94],
            [0xff, 0xd9, 0x8f],
            [0x87, 0xc7, 0xff],
            [0xe0, 0x94, 0xf5],
            [0x78, 0xd4, 0xe0],
            [0xff, 0xff, 0xff],
        ],
    };
    /// Dark text on a light background.
    pub const LIGHT: Self = Self {
        foreground: [0x24, 0x24, 0x24],
        background: [0xfb, 0xfb, 0xfb],
        named: [
            [0x24, 0x24, 0x24],
            [0xb3, 0x1d, 0x28],
            [0x1e, 0x7b, 0x34],
            [0x8a, 0x63, 0x00],
            [0x05, 0x50, 0xae],
            [0x82, 0x2f, 0xb0],
            [0x0b, 0x72, 0x85],
            [0x6e, 0x6e, 0x6e],
            [0x57, 0x57, 0x57],
            [0xd1, 0x24, 0x2f],
            [0x2d, 0xa4, 0x4e],
            [0xb0, 0x80, 0x00],
            [0x09, 0x69, 0xda],
            [0xa2, 0x4b, 0xd6],
            [0x10, 0x8f, 0xa6],
            [0xfb, 0xfb, 0xfb],
        ],
    };

    /// A colour that a program named, or what stands for the terminal's own.
    pub(super) fn colour(&self, colour: Colour, own: [u8; 3]) -> [u8; 3] {
        match colour {
            Colour::Default => own,
            Colour::Rgb(red, green, blue) => [red, green, blue],
            Colour::Indexed(index @ ..16) => self.named[usize::from(index)],
            // A cube of six steps a side; the first is larger.
            Colour::Indexed(index @ 16..232) => {
                let step = |step: u8| if step == 0 { 0 } else { 55 + 40 * step };
                let place = index - 16;
                [step(place / 36), step(place / 6 % 6), step(place % 6)]
            }
            Colour::Indexed(index) => [8 + 10 * (index - 232); 3],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_palette_is_xterms() {
        let colour = |index| Palette::DARK.colour(Colour::Indexed(index), [1, 2, 3]);
        assert_eq!([colour(16), colour(21), colour(110)], [[0; 3], [0, 0, 255], [135, 175, 215]]);
        assert_eq!([colour(231), colour(232), colour(255)], [[255; 3], [8; 3], [238; 3]]);
        assert_eq!(colour(9), Palette::DARK.named[9]);
        assert_eq!(Palette::DARK.colour(Colour::Default, [1, 2, 3]), [1, 2, 3]);
        assert_eq!(Palette::DARK.colour(Colour::Rgb(4, 5, 6), [1, 2, 3]), [4, 5, 6]);
    }
}
