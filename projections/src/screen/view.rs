//! Rows as a renderer wants them: characters, the columns they take, and what they are drawn with.

use std::fmt;

use super::cell::{self, Pen, attribute, line};
use super::row::{Line, Row};

/// A character on a row, with all that it takes to draw it. Shown as text it is the character and its marks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CellView<'a> {
    /// Its first column, from 0.
    pub column: u16,
    /// Columns it takes: 1 or 2.
    pub width: u8,
    /// The character.
    pub character: char,
    /// The combining marks that go with it; mostly none.
    pub marks: &'a str,
    /// What it is drawn with.
    pub pen: PenView,
}

impl fmt::Display for CellView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.character, self.marks)
    }
}

/// What a character is drawn with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PenView {
    /// The character's colour.
    pub foreground: Colour,
    /// The colour behind it.
    pub background: Colour,
    /// The underline's colour; the default is the character's own.
    pub underline_colour: Colour,
    /// 0 none, 1 single, 2 double, 3 curly, 4 dotted, 5 dashed.
    pub underline: u8,
    /// Bold, or bright.
    pub bold: bool,
    /// Faint.
    pub dim: bool,
    /// Slanted.
    pub italic: bool,
    /// It blinks.
    pub blink: bool,
    /// Foreground and background change places.
    pub reverse: bool,
    /// It is not to be seen.
    pub hidden: bool,
    /// A line goes through it.
    pub strike: bool,
    /// A line goes over it.
    pub overline: bool,
}

/// A colour, as a program named it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Colour {
    /// The terminal's own.
    #[default]
    Default,
    /// A place in the palette of 256.
    Indexed(u8),
    /// Red, green and blue.
    Rgb(u8, u8, u8),
}

impl From<cell::Colour> for Colour {
    fn from(colour: cell::Colour) -> Self {
        match (colour.index(), colour.parts()) {
            (Some(index), _) => Colour::Indexed(index),
            (None, Some([red, green, blue])) => Colour::Rgb(red, green, blue),
            (None, None) => Colour::Default,
        }
    }
}

impl From<Pen> for PenView {
    fn from(pen: Pen) -> Self {
        Self {
            foreground: pen.foreground().into(),
            background: pen.background().into(),
            underline_colour: pen.underline_colour().into(),
            underline: pen.underline(),
            bold: pen.has(attribute::BOLD),
            dim: pen.has(attribute::DIM),
            italic: pen.has(attribute::ITALIC),
            blink: pen.has(attribute::BLINK),
            reverse: pen.has(attribute::REVERSE),
            hidden: pen.has(attribute::HIDDEN),
            strike: pen.has_line(line::STRIKE),
            overline: pen.has_line(line::OVER),
        }
    }
}

/// A line that left the screen at its top.
#[derive(Debug, Clone)]
pub struct ScrollbackRow(Row);

impl ScrollbackRow {
    /// Its characters, from the left.
    pub fn cells(&self) -> impl Iterator<Item = CellView<'_>> {
        cells(&self.0)
    }
}

impl From<Line> for ScrollbackRow {
    fn from(line: Line) -> Self {
        Self(Row::from_line(&line, usize::from(u16::MAX)))
    }
}

/// The characters that a row stores, from the left. The second columns of wide ones are not told of.
pub(super) fn cells(row: &Row) -> impl Iterator<Item = CellView<'_>> {
    let told = (0..row.stored_len()).map(|column| (column, row.get(column))).filter(|(_, cell)| !cell.is_spacer());
    told.map(|(column, cell)| CellView {
        column: u16::try_from(column).unwrap_or(u16::MAX),
        width: if cell.is_wide() { 2 } else { 1 },
        character: cell.character(),
        marks: row.marks_at(column),
        pen: cell.pen.into(),
    })
}

#[cfg(test)]
mod tests {
    use ropewalk_protocol::Size;

    use super::*;
    use crate::screen::Screen;

    fn screen(cols: u16, rows: u16, bytes: &str) -> Screen {
        let mut screen = Screen::new(Size { cols, rows });
        screen.feed(bytes.as_bytes());
        screen
    }

    fn text<'a>(cells: impl Iterator<Item = CellView<'a>>) -> String {
        cells.map(|cell| cell.to_string()).collect()
    }

    #[test]
    fn a_character_comes_with_its_marks_its_columns_and_its_pen() {
        let screen = screen(10, 1, "a\x1b[1;31;4:3m字\u{fe0f}\x1b[0;9;48;2;1;2;3me\u{301}");
        let cells: Vec<_> = screen.row_cells(0).collect();
        let places: Vec<_> = cells.iter().map(|cell| (cell.column, cell.width, cell.to_string())).collect();
        assert_eq!(places, [(0, 1, "a".into()), (1, 2, "字\u{fe0f}".into()), (3, 1, "e\u{301}".into())]);
        let (red, rgb) = (Colour::Indexed(1), Colour::Rgb(1, 2, 3));
        assert_eq!(cells[0].pen, PenView::default());
        assert_eq!(cells[1].pen, PenView { foreground: red, bold: true, underline: 3, ..PenView::default() });
        assert_eq!(cells[2].pen, PenView { background: rgb, strike: true, ..PenView::default() });
    }

    #[test]
    fn every_attribute_is_told_as_itself() {
        let on = [
            (1, PenView { bold: true, ..PenView::default() }),
            (2, PenView { dim: true, ..PenView::default() }),
            (3, PenView { italic: true, ..PenView::default() }),
            (4, PenView { underline: 1, ..PenView::default() }),
            (5, PenView { blink: true, ..PenView::default() }),
            (7, PenView { reverse: true, ..PenView::default() }),
            (8, PenView { hidden: true, ..PenView::default() }),
            (9, PenView { strike: true, ..PenView::default() }),
            (53, PenView { overline: true, ..PenView::default() }),
        ];
        for (code, pen) in on {
            let screen = screen(4, 1, &format!("\x1b[{code}mx"));
            assert_eq!(screen.row_cells(0).map(|cell| cell.pen).collect::<Vec<_>>(), [pen], "SGR {code}");
        }
    }

    #[test]
    fn what_was_never_written_has_no_cells() {
        let screen = screen(80, 24, "one\r\n\r\nthree");
        let counts: Vec<usize> = (0..30).map(|row| screen.row_cells(row).count()).collect();
        assert_eq!((&counts[..3], counts[3..].iter().sum::<usize>()), (&[3, 0, 5][..], 0));
        assert_eq!(text(screen.row_cells(2)), "three");
    }

    #[test]
    fn lines_above_the_screen_keep_their_colours() {
        let screen = screen(6, 1, "one\r\n\x1b[32m二wo\x1b[m\r\nthree\r\nfour");
        let rows: Vec<_> = screen.scrollback_rows(2).collect();
        assert_eq!(rows.iter().map(|row| text(row.cells())).collect::<Vec<_>>(), ["二wo", "three"]);
        let green: Vec<_> = rows[0].cells().map(|cell| (cell.column, cell.pen.foreground)).collect();
        assert_eq!(green, [0, 2, 3].map(|column| (column, Colour::Indexed(2))));
        assert_eq!(screen.scrollback_rows(9).count(), 3);
    }
}
