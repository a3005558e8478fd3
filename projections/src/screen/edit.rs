//! Erasing, inserting and deleting, margins, tab stops and resets.

use ropewalk_protocol::limits::TERMINAL_STRING_BYTES_MAX;

use super::cell::{Cell, Pen};
use super::grid::{Cursor, Saved};
use super::model::{Model, default_tabs};
use super::modes::Modes;

impl Model {
    /// `CSI … J`: 0 to the end, 1 from the start, 2 all, 3 the scrollback.
    pub(super) fn erase_display(&mut self, part: u16) {
        let (row, rows) = (self.row(), self.rows);
        let whole = match part {
            0 => row + 1..rows,
            1 => 0..row,
            2 => 0..rows,
            3 => return self.scrollback.clear(),
            _ => return,
        };
        if part < 2 {
            self.erase_line(part);
        }
        self.cursor.wraps = false;
        let (fill, cols) = (self.fill(), self.cols);
        for row in self.grid_mut().rows.range_mut(whole) {
            row.clear(fill, cols);
        }
    }

    /// `CSI … K`: 0 to the end, 1 from the start, 2 all.
    pub(super) fn erase_line(&mut self, part: u16) {
        let col = self.col();
        match part {
            0 => self.erase_cells(col, self.cols),
            1 => self.erase_cells(0, col + 1),
            2 => self.erase_cells(0, self.cols),
            _ => {}
        }
    }

    /// `CSI … X`.
    pub(super) fn erase_chars(&mut self, count: usize) {
        let col = self.col();
        self.erase_cells(col, (col + count).min(self.cols));
    }

    fn erase_cells(&mut self, from: usize, to: usize) {
        let (row, fill, cols) = (self.row(), self.fill(), self.cols);
        self.grid_mut().rows[row].erase(from, to, fill, cols);
        self.cursor.wraps = false;
    }

    /// `CSI … @`.
    pub(super) fn insert_chars(&mut self, count: usize) {
        let (row, col, fill, cols) = (self.row(), self.col(), self.fill(), self.cols);
        self.grid_mut().rows[row].insert(col, count, fill, cols);
        self.cursor.wraps = false;
    }

    /// `CSI … P`.
    pub(super) fn delete_chars(&mut self, count: usize) {
        let (row, col, fill, cols) = (self.row(), self.col(), self.fill(), self.cols);
        self.grid_mut().rows[row].delete(col, count, fill, cols);
        self.cursor.wraps = false;
    }

    /// `CSI … L` and `CSI … M`, which do nothing outside of the region.
    pub(super) fn shift_lines(&mut self, down: bool, count: usize) {
        let (row, bottom, fill, cols) = (self.row(), self.bottom, self.fill(), self.cols);
        if !(self.top..=bottom).contains(&row) {
            return;
        }
        if down {
            self.grid_mut().scroll_down(row, bottom, count, fill, cols);
        } else {
            self.grid_mut().scroll_up(row, bottom, count, fill, cols);
        }
        self.move_to_col(0);
    }

    /// `CSI top ; bottom r`, counted from 1. A region has at least two rows.
    pub(super) fn set_region(&mut self, top: usize, bottom: usize) {
        let bottom = if bottom == 0 { self.rows } else { bottom.min(self.rows) };
        let top = top.max(1);
        if top < bottom {
            (self.top, self.bottom) = (top - 1, bottom - 1);
            self.go_to(0, 0);
        }
    }

    pub(super) fn set_tab(&mut self) {
        let col = self.col();
        self.tabs[col] = true;
    }

    /// `CSI … g`: 0 the stop here, 3 all stops.
    pub(super) fn clear_tabs(&mut self, which: u16) {
        let col = self.col();
        match which {
            0 => self.tabs[col] = false,
            3 => self.tabs.fill(false),
            _ => {}
        }
    }

    /// DECALN fills the screen with `E`.
    pub(super) fn align(&mut self) {
        (self.top, self.bottom) = (0, self.rows - 1);
        let cols = self.cols;
        for row in &mut self.grid_mut().rows {
            row.clear(Pen::DEFAULT, cols);
            row.fill(Cell::ascii(b'E', Pen::DEFAULT), cols);
        }
        self.go_to(0, 0);
    }

    /// RIS makes everything as it was at first.
    pub(super) fn reset(&mut self) {
        *self = Self::new(self.size());
    }

    /// DECSTR resets modes and the pen, not what the screen shows nor where the cursor is.
    pub(super) fn soft_reset(&mut self) {
        let fresh = Modes::default();
        self.modes.cursor_visible = fresh.cursor_visible;
        self.modes.origin = fresh.origin;
        self.modes.autowrap = fresh.autowrap;
        self.modes.insert = fresh.insert;
        self.modes.application_cursor = fresh.application_cursor;
        self.modes.application_keypad = fresh.application_keypad;
        self.cursor = Cursor { col: self.cursor.col, row: self.cursor.row, ..Cursor::default() };
        self.grid_mut().saved = Saved::default();
        (self.top, self.bottom) = (0, self.rows - 1);
    }

    /// Keeps a title as text that fits into the sequence which sets it, its number included.
    pub(super) fn set_title(&mut self, title: &[u8]) {
        self.title = String::from_utf8_lossy(title).chars().filter(|character| !character.is_control()).collect();
        self.title.truncate(self.title.floor_char_boundary(TERMINAL_STRING_BYTES_MAX - 1));
    }

    /// The tab stops, if they are not a fresh terminal's.
    pub(super) fn own_tabs(&self) -> Option<&[bool]> {
        (self.tabs != default_tabs(self.cols)).then_some(&self.tabs)
    }
}
