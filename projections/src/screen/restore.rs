//! The snapshot: escape sequences that make a freshly reset terminal what the model is.
//!
//! The order matters. The scrollback is printed first and pushed out of the screen; then each screen is painted while
//! all modes are as they are after a reset; then modes, margins and cursor are set, each before what it would move.

use super::cell::{Cell, Pen};
use super::grid::{Charset, Cursor, Grid};
use super::model::{Model, Printed};
use super::modes::{Keyboard, Modes};
use super::row::{Line, Row};
use super::sgr::{self, put};

/// Writes the model, with its newest `scrollback_lines` lines, as escape sequences.
pub(super) fn write(model: &Model, scrollback_lines: usize) -> Vec<u8> {
    let mut writer = Writer { out: Vec::new(), model };
    writer.scrollback(scrollback_lines);
    writer.grid(&model.primary);
    if let Some(alternate) = &model.alternate {
        writer.keyboard(&model.keyboard_below);
        writer.show_alternate();
        writer.grid(alternate);
    }
    writer.keyboard(&model.modes.keyboard);
    if !model.title.is_empty() {
        put(&mut writer.out, format_args!("\x1b]2;{}\x1b\\", model.title));
    }
    writer.tabs();
    writer.modes();
    writer.cursor();
    writer.out
}

struct Writer<'a> {
    out: Vec<u8>,
    model: &'a Model,
}

impl Writer<'_> {
    fn add(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    fn go_to(&mut self, row: usize, col: usize) {
        put(&mut self.out, format_args!("\x1b[{};{}H", row + 1, col + 1));
    }

    fn scrollback(&mut self, lines: usize) {
        if lines.min(self.model.scrollback.len()) == 0 {
            return;
        }
        for line in self.model.scrollback.newest(lines) {
            self.line(&line);
            self.add(if line.wrapped { b" \r" } else { b"\r\n" });
        }
        self.add(&b"\n".repeat(self.model.rows - 1));
    }

    /// Text and pens of a line in the scrollback; the pen is the default one afterwards.
    fn line(&mut self, line: &Line) {
        if line.runs.is_empty() {
            return self.add(line.text.as_bytes());
        }
        let row = Row::from_line(line, self.model.cols);
        self.cells(&row, if line.wrapped { self.model.cols } else { row.trimmed_len() });
    }

    fn grid(&mut self, grid: &Grid) {
        self.saved(grid);
        for (at, row) in grid.rows.iter().enumerate() {
            let cells = if row.wrapped { self.model.cols } else { row.trimmed_len() };
            if cells > 0 {
                self.go_to(at, 0);
                self.cells(row, cells);
            }
            if row.wrapped {
                self.add(b" ");
            }
        }
    }

    /// The first cells of a row; the pen is the default one before and after.
    fn cells(&mut self, row: &Row, cells: usize) {
        let mut pen = Pen::DEFAULT;
        for col in 0..cells {
            let cell = row.get(col);
            if cell.pen != pen {
                pen = cell.pen;
                sgr::write(&mut self.out, pen);
            }
            self.cell(cell, row.marks_at(col));
        }
        if pen != Pen::DEFAULT {
            self.add(b"\x1b[m");
        }
    }

    fn cell(&mut self, cell: Cell, marks: &str) {
        if !cell.is_spacer() {
            self.character(cell.character());
            self.add(marks.as_bytes());
        }
    }

    fn character(&mut self, character: char) {
        self.add(character.encode_utf8(&mut [0; 4]).as_bytes());
    }

    /// Saves a cursor as the program did. It is done before anything is painted: to make a cursor wrap, a space is
    /// printed, which leaves a blank cell.
    fn saved(&mut self, grid: &Grid) {
        let saved = grid.saved;
        if saved == Default::default() {
            return;
        }
        let cursor = saved.cursor;
        if saved.origin {
            self.add(b"\x1b[?6h");
        }
        self.go_to(usize::from(cursor.row), usize::from(cursor.col));
        if cursor.wraps {
            self.add(b" ");
        }
        self.charsets(&cursor);
        sgr::write(&mut self.out, cursor.pen);
        self.add(b"\x1b7");
        self.plain();
    }

    /// Undoes what a saved cursor brings with it.
    fn plain(&mut self) {
        self.add(b"\x1b[?6l\x1b(B\x1b)B\x0f\x1b[m");
    }

    fn charsets(&mut self, cursor: &Cursor) {
        for (slot, charset) in [b'(', b')'].into_iter().zip(cursor.charsets) {
            match charset {
                Charset::Ascii => {}
                Charset::Lines => self.add(&[0x1b, slot, b'0']),
                Charset::British => self.add(&[0x1b, slot, b'A']),
            }
        }
        if cursor.shifted {
            self.add(b"\x0e");
        }
    }

    /// Mode 1049 is the one that every terminal knows, but it saves the cursor, which must then be the saved one. A
    /// cursor that wraps cannot be taken back on a row that has wrapped; mode 47 leaves the saved one alone.
    fn show_alternate(&mut self) {
        let primary = &self.model.primary;
        let cursor = primary.saved.cursor;
        if cursor.wraps && primary.rows[usize::from(cursor.row)].wrapped {
            self.add(b"\x1b[?47h");
        } else {
            self.add(b"\x1b8\x1b[?1049h");
        }
        self.plain();
    }

    fn keyboard(&mut self, keyboard: &Keyboard) {
        for (at, flags) in keyboard.entries().enumerate() {
            if at > 0 {
                put(&mut self.out, format_args!("\x1b[>{flags}u"));
            } else if flags > 0 {
                put(&mut self.out, format_args!("\x1b[={flags};1u"));
            }
        }
    }

    fn tabs(&mut self) {
        let Some(tabs) = self.model.own_tabs() else { return };
        self.add(b"\x1b[3g");
        for (col, _) in tabs.iter().enumerate().filter(|(_, set)| **set) {
            put(&mut self.out, format_args!("\x1b[{}G\x1bH", col + 1));
        }
    }

    fn modes(&mut self) {
        let modes = &self.model.modes;
        for (mode, on) in modes.private() {
            put(&mut self.out, format_args!("\x1b[?{mode}{}", if on { 'h' } else { 'l' }));
        }
        if modes.application_keypad {
            self.add(b"\x1b=");
        }
        if modes.insert {
            self.add(b"\x1b[4h");
        }
        if modes.newline {
            self.add(b"\x1b[20h");
        }
        if modes.cursor_style != Modes::default().cursor_style {
            put(&mut self.out, format_args!("\x1b[{} q", modes.cursor_style));
        }
        if modes.modify_other_keys > 0 {
            put(&mut self.out, format_args!("\x1b[>4;{}m", modes.modify_other_keys));
        }
    }

    fn cursor(&mut self) {
        let model = self.model;
        if (model.top, model.bottom) != (0, model.rows - 1) {
            put(&mut self.out, format_args!("\x1b[{};{}r", model.top + 1, model.bottom + 1));
        }
        let mut row = model.row();
        if model.modes.origin {
            self.add(b"\x1b[?6h");
            row -= model.top;
        }
        let line = &model.grid().rows[model.row()];
        if let Some(Printed { character, col }) = model.printed {
            self.charsets(&model.cursor);
            self.go_to(row, usize::from(col));
            sgr::write(&mut self.out, model.cursor.pen);
            self.printed_again(character, line, usize::from(col));
            return;
        }
        if model.cursor.wraps {
            let last = model.cols - 1;
            let col = if line.get(last).is_spacer() { last - 1 } else { last };
            self.go_to(row, col);
            sgr::write(&mut self.out, line.get(col).pen);
            self.cell(line.get(col), line.marks_at(col));
        } else {
            self.go_to(row, model.col());
        }
        self.charsets(&model.cursor);
        sgr::write(&mut self.out, model.cursor.pen);
    }

    /// Prints the last character once more, so that REP and combining marks find it. In insert mode, the cells it
    /// would push to the right make room first.
    fn printed_again(&mut self, character: char, line: &Row, col: usize) {
        if self.model.modes.insert {
            put(&mut self.out, format_args!("\x1b[{}P", if line.get(col).is_wide() { 2 } else { 1 }));
        }
        self.character(character);
        self.add(line.marks_at(col).as_bytes());
    }
}
