//! The rows of one screen, primary or alternate.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::cell::Pen;
use super::row::Row;

/// A character set that a program may choose for ASCII.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) enum Charset {
    #[default]
    Ascii,
    /// DEC special graphics: lines and corners.
    Lines,
    /// ASCII with a pound sign.
    British,
}

/// The cursor and what travels with it when it is saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Cursor {
    pub(super) col: u16,
    pub(super) row: u16,
    /// The last column was written; the next character wraps first.
    pub(super) wraps: bool,
    pub(super) pen: Pen,
    pub(super) charsets: [Charset; 2],
    /// Which of the two is in use: 1 after SO.
    pub(super) shifted: bool,
}

impl Cursor {
    pub(super) fn charset(&self) -> Charset {
        self.charsets[usize::from(self.shifted)]
    }
}

/// What DECSC keeps. A screen that never saved has what a fresh one would save.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Saved {
    pub(super) cursor: Cursor,
    pub(super) origin: bool,
}

/// The rows of one screen and its saved cursor.
#[derive(Debug, Clone)]
pub(super) struct Grid {
    pub(super) rows: VecDeque<Row>,
    pub(super) saved: Saved,
}

impl Grid {
    pub(super) fn new(rows: usize) -> Self {
        Self { rows: (0..rows).map(|_| Row::default()).collect(), saved: Saved::default() }
    }

    /// Moves the rows of a region up; blank ones enter at its bottom.
    pub(super) fn scroll_up(&mut self, top: usize, bottom: usize, count: usize, pen: Pen, cols: usize) {
        let count = count.min(bottom + 1 - top);
        if top == 0 && bottom + 1 == self.rows.len() {
            self.rows.rotate_left(count);
        } else {
            self.rows.make_contiguous()[top..=bottom].rotate_left(count);
        }
        for row in self.rows.range_mut(bottom + 1 - count..=bottom) {
            row.clear(pen, cols);
        }
    }

    /// Moves the rows of a region down; blank ones enter at its top.
    pub(super) fn scroll_down(&mut self, top: usize, bottom: usize, count: usize, pen: Pen, cols: usize) {
        let count = count.min(bottom + 1 - top);
        self.rows.make_contiguous()[top..=bottom].rotate_right(count);
        for row in self.rows.range_mut(top..top + count) {
            row.clear(pen, cols);
        }
        self.end_unwrapped();
    }

    /// Takes `drop` rows from the top, then cuts or fills at the bottom, then cuts the columns.
    pub(super) fn resize(&mut self, drop: usize, rows: usize, cols: usize, cols_changed: bool) {
        self.rows.drain(..drop);
        self.rows.resize_with(rows, Row::default);
        if cols_changed {
            for row in &mut self.rows {
                row.wrapped = false;
                row.narrow(cols);
            }
        }
        self.end_unwrapped();
        let cursor = &mut self.saved.cursor;
        cursor.row = clamp(usize::from(cursor.row).saturating_sub(drop), rows);
        cursor.col = clamp(usize::from(cursor.col), cols);
        cursor.wraps = false;
    }

    /// Nothing follows the last row, so its text cannot have gone on below. No sequence could recreate that.
    fn end_unwrapped(&mut self) {
        if let Some(last) = self.rows.back_mut() {
            last.wrapped = false;
        }
    }
}

/// A position inside `0..size`.
pub(super) fn clamp(position: usize, size: usize) -> u16 {
    u16::try_from(position.min(size - 1)).unwrap_or(u16::MAX)
}
