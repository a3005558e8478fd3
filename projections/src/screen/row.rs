//! One row of cells, and the compact line it becomes when it is stored.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::cell::{self, Cell, Pen};

/// Combining marks of one cell. More are dropped: real text has one or two, and a cell must stay small.
pub(super) const CELL_MARKS_MAX: usize = 8;

/// Neighbouring cells drawn with the same pen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Run {
    pub(super) cells: u16,
    pub(super) pen: Pen,
}

/// A row as text and runs: trailing blanks cut, no runs where every cell has the default pen.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Line {
    pub(super) text: String,
    pub(super) runs: Vec<Run>,
    /// The text went on in the next row because it met the margin. Such a line is as wide as the screen.
    pub(super) wrapped: bool,
}

/// A row. Cells beyond `cells` are blank, so that clearing a row and an empty screen cost little.
#[derive(Debug, Clone, Default)]
pub(super) struct Row {
    cells: Vec<Cell>,
    /// Marks by column; valid only where the cell says that it is marked.
    marks: BTreeMap<u16, String>,
    pub(super) wrapped: bool,
}

impl Row {
    pub(super) fn get(&self, col: usize) -> Cell {
        self.cells.get(col).copied().unwrap_or(Cell::BLANK)
    }

    /// The combining marks of the cell at `col`.
    pub(super) fn marks_at(&self, col: usize) -> &str {
        if !self.get(col).is_marked() {
            return "";
        }
        self.marks.get(&key(col)).map_or("", String::as_str)
    }

    /// Cells that are stored; all others are blank.
    pub(super) fn stored_len(&self) -> usize {
        self.cells.len()
    }

    /// Cells up to the last that is not blank.
    pub(super) fn trimmed_len(&self) -> usize {
        self.cells.iter().rposition(|cell| *cell != Cell::BLANK).map_or(0, |last| last + 1)
    }

    /// Writes printable ASCII from `col` on; it must fit.
    pub(super) fn put_ascii(&mut self, col: usize, text: &[u8], pen: Pen, cols: usize) {
        let end = col + text.len();
        self.split(col);
        self.split(end);
        if end == cols {
            self.wrapped = false;
        }
        self.reach(col);
        let over = (self.cells.len() - col).min(text.len());
        for (cell, byte) in self.cells[col..col + over].iter_mut().zip(text) {
            *cell = Cell::ascii(*byte, pen);
        }
        self.cells.extend(text[over..].iter().map(|byte| Cell::ascii(*byte, pen)));
    }

    /// Writes one character, `width` cells wide, at `col`; it must fit.
    pub(super) fn put(&mut self, col: usize, character: char, width: usize, pen: Pen, cols: usize) {
        let end = col + width;
        self.split(col);
        self.split(end);
        if end == cols {
            self.wrapped = false;
        }
        self.reach(end);
        if width == 2 {
            self.cells[col..end].copy_from_slice(&Cell::wide(character, pen));
        } else {
            self.cells[col] = Cell::narrow(character, pen);
        }
    }

    /// Adds a combining mark to the character at `col`.
    pub(super) fn attach(&mut self, col: usize, mark: char) {
        let col = if self.get(col).is_spacer() { col - 1 } else { col };
        self.reach(col + 1);
        let marks = self.marks.entry(key(col)).or_default();
        if !self.cells[col].is_marked() {
            marks.clear();
            self.cells[col].set_marked();
        }
        if marks.chars().count() < CELL_MARKS_MAX {
            marks.push(mark);
        }
    }

    /// Blanks the cells from `from` up to, not including, `to`.
    pub(super) fn erase(&mut self, from: usize, to: usize, pen: Pen, cols: usize) {
        self.split(from);
        self.split(to);
        if to >= cols {
            self.wrapped = false;
        }
        if pen == Pen::DEFAULT {
            if to >= self.cells.len() {
                self.cells.truncate(from);
            } else if from < to {
                self.cells[from..to].fill(Cell::BLANK);
            }
        } else if from < to {
            self.reach(to);
            self.cells[from..to].fill(Cell::blank(pen));
        }
    }

    /// Makes the whole row blank.
    pub(super) fn clear(&mut self, pen: Pen, cols: usize) {
        self.cells.clear();
        self.marks.clear();
        self.wrapped = false;
        if pen != Pen::DEFAULT {
            self.cells.resize(cols, Cell::blank(pen));
        }
    }

    /// Makes all cells the same.
    pub(super) fn fill(&mut self, cell: Cell, cols: usize) {
        self.cells.clear();
        self.cells.resize(cols, cell);
    }

    /// Shifts the cells from `col` on to the right by `count`; what passes the margin is lost.
    pub(super) fn insert(&mut self, col: usize, count: usize, pen: Pen, cols: usize) {
        let count = count.min(cols - col);
        self.split(col);
        self.wrapped = false;
        if col >= self.cells.len() && pen == Pen::DEFAULT {
            return;
        }
        self.reach(col);
        self.cells.truncate(cols - count);
        self.cells.splice(col..col, std::iter::repeat_n(Cell::blank(pen), count));
        self.narrow(cols);
        self.move_marks(col, |at| Some(at + count).filter(|at| *at < cols));
    }

    /// Removes `count` cells at `col` and shifts what follows to the left.
    pub(super) fn delete(&mut self, col: usize, count: usize, pen: Pen, cols: usize) {
        let count = count.min(cols - col);
        self.split(col);
        self.split(col + count);
        self.wrapped = false;
        let len = self.cells.len();
        if col < len {
            self.cells.drain(col..(col + count).min(len));
            self.move_marks(col, |at| at.checked_sub(count).filter(|at| *at >= col));
        }
        if pen != Pen::DEFAULT {
            self.reach(cols - count);
            self.cells.resize(cols, Cell::blank(pen));
        }
    }

    /// Cuts what lies beyond `cols`; a wide character cut in half becomes blank.
    pub(super) fn narrow(&mut self, cols: usize) {
        self.cells.truncate(cols);
        if self.cells.len() == cols
            && let Some(last) = self.cells.last_mut()
            && last.is_wide()
        {
            *last = Cell::blank(last.pen);
        }
    }

    /// Appends the row's text and runs; the number of cells they stand for.
    pub(super) fn encode(&self, cols: usize, text: &mut String, runs: &mut Vec<Run>) -> usize {
        let end = if self.wrapped { cols } else { self.trimmed_len() };
        let stored = &self.cells[..end.min(self.cells.len())];
        for (col, cell) in stored.iter().enumerate() {
            if let Some(byte) = cell.as_ascii() {
                text.push(char::from(byte));
            } else if !cell.is_spacer() {
                text.push(cell.character());
                text.push_str(self.marks_at(col));
            }
            add_run(runs, cell.pen, 1);
        }
        text.extend(std::iter::repeat_n(' ', end - stored.len()));
        add_run(runs, Pen::DEFAULT, end - stored.len());
        if let [only] = runs.as_slice()
            && only.pen == Pen::DEFAULT
        {
            runs.clear();
        }
        end
    }

    /// The row as a line.
    pub(super) fn line(&self, cols: usize) -> Line {
        let mut line = Line { wrapped: self.wrapped, ..Line::default() };
        self.encode(cols, &mut line.text, &mut line.runs);
        line
    }

    /// The row that a line was made of. What does not fit is cut: a line may come from a checkpoint.
    pub(super) fn from_line(line: &Line, cols: usize) -> Self {
        let mut row = Self { wrapped: line.wrapped, ..Self::default() };
        let mut runs = line.runs.iter();
        let (mut pen, mut left) = (Pen::DEFAULT, 0);
        for character in line.text.chars() {
            let width = cell::width(character).unwrap_or(0);
            let col = row.cells.len();
            if width == 0 {
                if col > 0 && !character.is_control() {
                    row.attach(col - 1, character);
                }
                continue;
            }
            if col + width > cols {
                break;
            }
            while left == 0
                && let Some(run) = runs.next()
            {
                (pen, left) = (run.pen.known(), usize::from(run.cells));
            }
            if left == 0 {
                pen = Pen::DEFAULT;
            }
            row.put(col, character, width, pen, usize::MAX);
            left = left.saturating_sub(width);
        }
        row
    }

    /// Blanks both halves of a wide character that the border before `col` cuts.
    fn split(&mut self, col: usize) {
        if self.cells.get(col).is_some_and(|cell| cell.is_spacer()) {
            self.cells[col] = Cell::blank(self.cells[col].pen);
            self.cells[col - 1] = Cell::blank(self.cells[col - 1].pen);
        }
    }

    fn reach(&mut self, len: usize) {
        if self.cells.len() < len {
            self.cells.resize(len, Cell::BLANK);
        }
    }

    fn move_marks(&mut self, from: usize, to: impl Fn(usize) -> Option<usize>) {
        let moved = std::mem::take(&mut self.marks).into_iter().filter_map(|(col, text)| {
            let col = usize::from(col);
            if col < from { Some((key(col), text)) } else { to(col).map(|col| (key(col), text)) }
        });
        self.marks = moved.collect();
    }
}

/// Adds cells to the last run, or starts another.
pub(super) fn add_run(runs: &mut Vec<Run>, pen: Pen, cells: usize) {
    let cells = key(cells);
    match runs.last_mut() {
        _ if cells == 0 => {}
        Some(last) if last.pen == pen => last.cells = last.cells.saturating_add(cells),
        _ => runs.push(Run { cells, pen }),
    }
}

fn key(col: usize) -> u16 {
    u16::try_from(col).unwrap_or(u16::MAX)
}
