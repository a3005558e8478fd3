//! The screen's state, and how text and the cursor change it.

use ropewalk_protocol::Size;

use super::cell::{Pen, width};
use super::grid::{Charset, Cursor, Grid, Saved, clamp};
use super::modes::{Keyboard, Modes};
use super::scrollback::Scrollback;

/// The last thing a program did was to print this character in this column. REP repeats it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Printed {
    pub(super) character: char,
    pub(super) col: u16,
}

/// All of a screen but its parser.
///
/// Every state must be one that escape sequences recreate on a fresh terminal. Three rules serve that: a wrapping
/// cursor's row is not marked as wrapped, the last row never is, and with origin mode the cursor is in the region.
#[derive(Debug, Clone)]
pub(super) struct Model {
    pub(super) cols: usize,
    pub(super) rows: usize,
    pub(super) primary: Grid,
    /// There only while it is shown; it starts blank each time.
    pub(super) alternate: Option<Box<Grid>>,
    pub(super) scrollback: Scrollback,
    pub(super) cursor: Cursor,
    pub(super) printed: Option<Printed>,
    pub(super) top: usize,
    pub(super) bottom: usize,
    pub(super) tabs: Vec<bool>,
    pub(super) modes: Modes,
    /// The primary screen's keyboard flags while the alternate one is shown.
    pub(super) keyboard_below: Keyboard,
    pub(super) title: String,
}

impl Model {
    pub(super) fn new(size: Size) -> Self {
        let (cols, rows) = (usize::from(size.cols), usize::from(size.rows));
        Self {
            cols,
            rows,
            primary: Grid::new(rows),
            alternate: None,
            scrollback: Scrollback::default(),
            cursor: Cursor::default(),
            printed: None,
            top: 0,
            bottom: rows - 1,
            tabs: default_tabs(cols),
            modes: Modes::default(),
            keyboard_below: Keyboard::default(),
            title: String::new(),
        }
    }

    pub(super) fn size(&self) -> Size {
        Size { cols: clamp(self.cols, self.cols + 1), rows: clamp(self.rows, self.rows + 1) }
    }

    pub(super) fn grid(&self) -> &Grid {
        self.alternate.as_deref().unwrap_or(&self.primary)
    }

    pub(super) fn grid_mut(&mut self) -> &mut Grid {
        self.alternate.as_deref_mut().unwrap_or(&mut self.primary)
    }

    pub(super) fn col(&self) -> usize {
        usize::from(self.cursor.col)
    }

    pub(super) fn row(&self) -> usize {
        usize::from(self.cursor.row)
    }

    /// What erased cells are filled with.
    pub(super) fn fill(&self) -> Pen {
        self.cursor.pen.erasing()
    }

    /// Prints printable ASCII, the most of what programs write.
    pub(super) fn print_ascii(&mut self, mut text: &[u8]) {
        if self.modes.insert || self.cursor.charset() != Charset::Ascii {
            return text.iter().for_each(|byte| self.print(char::from(*byte)));
        }
        while let [_, ..] = text {
            if self.cursor.wraps {
                self.wrap();
            }
            let (cols, col, row, pen) = (self.cols, self.col(), self.row(), self.cursor.pen);
            let (now, rest) = text.split_at(text.len().min(cols - col));
            self.grid_mut().rows[row].put_ascii(col, now, pen, cols);
            self.advance(col + now.len() - 1, 1, char::from(now[now.len() - 1]));
            text = rest;
            if !self.modes.autowrap
                && let [.., last] = rest
            {
                text = &[];
                self.print(char::from(*last));
            }
        }
    }

    /// Prints one character.
    pub(super) fn print(&mut self, character: char) {
        let character = mapped(self.cursor.charset(), character);
        match width(character) {
            None => {}
            Some(0) => self.attach(character),
            Some(width) => self.print_mapped(character, width),
        }
    }

    fn print_mapped(&mut self, character: char, width: usize) {
        let cols = self.cols;
        if width > cols {
            return;
        }
        if self.cursor.wraps {
            self.wrap();
        }
        if self.col() + width > cols {
            if !self.modes.autowrap {
                return;
            }
            self.wrap();
        }
        let (col, row, pen, insert) = (self.col(), self.row(), self.cursor.pen, self.modes.insert);
        let line = &mut self.grid_mut().rows[row];
        if insert {
            line.insert(col, width, Pen::DEFAULT, cols);
        }
        line.put(col, character, width, pen, cols);
        self.advance(col, width, character);
    }

    /// A combining mark goes to what was just printed, else to the cell before the cursor.
    fn attach(&mut self, mark: char) {
        let before = if self.cursor.wraps { Some(self.col()) } else { self.col().checked_sub(1) };
        let target = self.printed.map_or(before, |printed| Some(usize::from(printed.col)));
        let row = self.row();
        if let Some(col) = target {
            self.grid_mut().rows[row].attach(col, mark);
        }
    }

    /// Moves the cursor over a character printed at `col`.
    fn advance(&mut self, col: usize, width: usize, character: char) {
        let next = col + width;
        self.cursor.wraps = next >= self.cols && self.modes.autowrap;
        self.cursor.col = clamp(next, self.cols);
        self.printed = Some(Printed { character, col: clamp(col, self.cols) });
    }

    /// Repeats the last character, no further than the margin.
    pub(super) fn repeat(&mut self, count: usize) {
        let Some(Printed { character, .. }) = self.printed else { return };
        let width = width(character).unwrap_or(1);
        let room = if self.cursor.wraps { 0 } else { (self.cols - self.col()) / width };
        for _ in 0..count.min(room) {
            self.print_mapped(character, width);
        }
    }

    /// Goes on in the next row. Below the region's end on the last row there is none: the row is written over.
    fn wrap(&mut self) {
        let row = self.row();
        if row == self.bottom || row + 1 < self.rows {
            self.grid_mut().rows[row].wrapped = true;
        }
        self.index();
        self.cursor.col = 0;
    }

    /// Moves the cursor down, scrolling at the region's bottom.
    pub(super) fn index(&mut self) {
        self.cursor.wraps = false;
        if self.row() == self.bottom {
            self.scroll_up(1);
        } else if self.row() + 1 < self.rows {
            self.cursor.row += 1;
        }
    }

    /// Moves the cursor up, scrolling at the region's top.
    pub(super) fn reverse_index(&mut self) {
        self.cursor.wraps = false;
        if self.row() == self.top {
            self.scroll_down(1);
        } else {
            self.cursor.row = self.cursor.row.saturating_sub(1);
        }
    }

    /// Scrolls the region up. What leaves the primary screen at its top row is kept.
    pub(super) fn scroll_up(&mut self, count: usize) {
        let (top, bottom, cols, fill) = (self.top, self.bottom, self.cols, self.fill());
        let count = count.min(bottom + 1 - top);
        if top == 0 && self.alternate.is_none() {
            self.primary.rows.range(..count).for_each(|row| self.scrollback.push(row, cols));
        }
        self.grid_mut().scroll_up(top, bottom, count, fill, cols);
    }

    pub(super) fn scroll_down(&mut self, count: usize) {
        let (top, bottom, cols, fill) = (self.top, self.bottom, self.cols, self.fill());
        self.grid_mut().scroll_down(top, bottom, count, fill, cols);
    }

    /// Puts the cursor on a row of the whole screen, or of the region in origin mode.
    pub(super) fn go_to(&mut self, row: usize, col: usize) {
        let row = if self.modes.origin { (self.top + row).min(self.bottom) } else { row };
        self.cursor.row = clamp(row, self.rows);
        self.cursor.col = clamp(col, self.cols);
        self.cursor.wraps = false;
    }

    /// Moves the cursor up or down, not past the region's border if it starts inside.
    pub(super) fn move_rows(&mut self, down: bool, count: usize) {
        let row = self.row();
        let row = if down {
            let end = if row <= self.bottom { self.bottom } else { self.rows - 1 };
            (row + count).min(end)
        } else {
            let end = if row >= self.top { self.top } else { 0 };
            row.saturating_sub(count).max(end)
        };
        self.cursor.row = clamp(row, self.rows);
        self.cursor.wraps = false;
    }

    pub(super) fn move_to_col(&mut self, col: usize) {
        self.cursor.col = clamp(col, self.cols);
        self.cursor.wraps = false;
    }

    /// Goes to the next tab stop, or to the last column.
    pub(super) fn tab(&mut self, count: usize) {
        for _ in 0..count.min(self.cols) {
            let col = self.col();
            if col + 1 >= self.cols {
                return;
            }
            let next = (col + 1..self.cols).find(|at| self.tabs[*at]).unwrap_or(self.cols - 1);
            self.move_to_col(next);
        }
    }

    pub(super) fn tab_back(&mut self, count: usize) {
        for _ in 0..count.min(self.cols) {
            let previous = (0..self.col()).rev().find(|at| self.tabs[*at]).unwrap_or(0);
            self.move_to_col(previous);
        }
    }

    pub(super) fn save_cursor(&mut self) {
        let saved = Saved { cursor: self.cursor, origin: self.modes.origin };
        self.grid_mut().saved = saved;
    }

    /// Takes back the saved cursor. A row that has wrapped since cannot wrap again.
    pub(super) fn restore_cursor(&mut self) {
        let Saved { cursor, origin } = self.grid().saved;
        self.cursor = cursor;
        self.modes.origin = origin;
        if origin {
            self.cursor.row = clamp(self.row().clamp(self.top, self.bottom), self.rows);
        }
        let at_margin = self.col() + 1 == self.cols;
        self.cursor.wraps = cursor.wraps && at_margin && self.modes.autowrap && !self.grid().rows[self.row()].wrapped;
    }

    /// Shows the alternate screen, blank, or the primary one as it was.
    pub(super) fn show_alternate(&mut self, show: bool) {
        self.cursor.wraps = false;
        if show == self.alternate.is_some() {
            return;
        }
        self.modes.alternate = show;
        if show {
            self.alternate = Some(Box::new(Grid::new(self.rows)));
            self.keyboard_below = std::mem::take(&mut self.modes.keyboard);
        } else {
            self.alternate = None;
            self.modes.keyboard = std::mem::take(&mut self.keyboard_below);
        }
    }

    /// Cuts or fills rows and columns. No line is laid out again: the program redraws, or the text was final. Rows
    /// leave at the top, into the scrollback, only as far as the cursor needs.
    pub(super) fn resize(&mut self, size: Size) {
        let (cols, rows) = (usize::from(size.cols), usize::from(size.rows));
        if (cols, rows) == (self.cols, self.rows) {
            return;
        }
        let cols_changed = cols != self.cols;
        let needed = |row: u16| (usize::from(row) + 1).saturating_sub(rows);
        let shown = needed(self.cursor.row);
        let primary = if self.alternate.is_some() { needed(self.primary.saved.cursor.row) } else { shown };
        self.primary.rows.range(..primary).for_each(|row| self.scrollback.push(row, self.cols));
        if cols_changed {
            self.scrollback.rewrap(cols);
        }
        self.primary.resize(primary, rows, cols, cols_changed);
        if let Some(alternate) = &mut self.alternate {
            alternate.resize(shown, rows, cols, cols_changed);
        }
        self.cursor.row = clamp(self.row() - shown, rows);
        self.cursor.col = clamp(self.col(), cols);
        self.cursor.wraps = false;
        self.printed = None;
        (self.cols, self.rows, self.top, self.bottom) = (cols, rows, 0, rows - 1);
        let known = self.tabs.len().min(cols);
        self.tabs.truncate(cols);
        self.tabs.extend(default_tabs(cols).into_iter().skip(known));
    }
}

/// A stop every eight columns.
pub(super) fn default_tabs(cols: usize) -> Vec<bool> {
    (0..cols).map(|col| col > 0 && col % 8 == 0).collect()
}

/// DEC special graphics from `_` on.
const LINES: [char; 32] = [
    ' ', '◆', '▒', '␉', '␌', '␍', '␊', '°', '±', '␤', '␋', '┘', '┐', '┌', '└', '┼', '⎺', '⎻', '─', '⎼', '⎽', '├', '┤',
    '┴', '┬', '│', '≤', '≥', 'π', '≠', '£', '·',
];

fn mapped(charset: Charset, character: char) -> char {
    match (charset, character) {
        (Charset::Lines, '_'..='~') => LINES[character as usize - '_' as usize],
        (Charset::British, '#') => '£',
        _ => character,
    }
}
