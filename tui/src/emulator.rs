//! What a terminal shows that was sent some bytes, as text and as a picture: for tests and for documents.

mod palette;
mod svg;

use ropewalk_projections::screen::Screen;
use ropewalk_protocol::Size;

pub use self::palette::Palette;
pub use self::svg::svg;

/// A fresh terminal of this size that was sent these bytes.
pub fn screen(size: Size, bytes: &[u8]) -> Screen {
    let mut screen = Screen::new(size);
    screen.feed(bytes);
    screen
}

/// Its rows, from the top, without trailing blanks.
pub fn rows(screen: &Screen) -> Vec<String> {
    (0..screen.size().rows).map(|row| screen.row_text(row)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_shows_what_it_was_sent() {
        let screen = screen(Size { cols: 8, rows: 3 }, b"one\r\n  \x1b[1mtwo\x1b[3;8Hx\x1b[1;2H");
        assert_eq!(rows(&screen), ["one", "  two", "       x"]);
        assert_eq!(screen.cursor(), (1, 0));
    }
}
