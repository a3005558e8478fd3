//! The form of a screen that a checkpoint keeps and that tests compare.

use ropewalk_protocol::Size;
use ropewalk_protocol::limits::{TERMINAL_PENDING_BYTES_MAX, TERMINAL_SIDE_CELLS_MAX};
use serde::{Deserialize, Serialize};

use super::grid::{Cursor, Grid, Saved, clamp};
use super::model::{Model, Printed};
use super::modes::{Keyboard, Modes};
use super::row::{Line, Row};

/// All that a screen is. Two screens with equal states show the same and do the same with every further byte.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScreenState {
    pub(super) offset: u64,
    size: Size,
    scrollback: Vec<Line>,
    primary: GridState,
    alternate: Option<GridState>,
    cursor: Cursor,
    /// The character that REP repeats, and its column.
    printed: Option<(char, u16)>,
    /// The scroll region's first and last row.
    region: (u16, u16),
    tabs: Vec<bool>,
    modes: Modes,
    keyboard_below: Keyboard,
    title: String,
    pub(super) pending: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct GridState {
    rows: Vec<Line>,
    saved: Saved,
}

impl GridState {
    fn new(grid: &Grid, cols: usize) -> Self {
        Self { rows: grid.rows.iter().map(|row| row.line(cols)).collect(), saved: grid.saved }
    }

    fn grid(&self, cols: usize, rows: usize) -> Grid {
        let mut grid =
            Grid { rows: self.rows.iter().map(|line| Row::from_line(line, cols)).collect(), saved: self.saved };
        let cursor = known_cursor(self.saved.cursor, cols, rows);
        grid.resize(0, rows, cols, false);
        grid.saved.cursor = cursor;
        grid
    }
}

impl ScreenState {
    pub(super) fn new(model: &Model, offset: u64, pending: &[u8]) -> Self {
        let cols = model.cols;
        Self {
            offset,
            size: model.size(),
            scrollback: model.scrollback.newest(usize::MAX).collect(),
            primary: GridState::new(&model.primary, cols),
            alternate: model.alternate.as_deref().map(|grid| GridState::new(grid, cols)),
            cursor: model.cursor,
            printed: model.printed.map(|printed| (printed.character, printed.col)),
            region: (clamp(model.top, model.rows), clamp(model.bottom, model.rows)),
            tabs: model.tabs.clone(),
            modes: model.modes.clone(),
            keyboard_below: model.keyboard_below.clone(),
            title: model.title.clone(),
            pending: pending.to_vec(),
        }
    }

    /// The model again. A checkpoint may be damaged: what no screen can be is made possible, never trusted.
    pub(super) fn model(&self) -> Model {
        let mut model = Model::new(known_size(self.size));
        let (cols, rows) = (model.cols, model.rows);
        self.scrollback.iter().for_each(|line| model.scrollback.push_line(line, cols));
        model.primary = self.primary.grid(cols, rows);
        model.alternate = self.alternate.as_ref().map(|grid| Box::new(grid.grid(cols, rows)));
        let (top, bottom) = (usize::from(self.region.0), usize::from(self.region.1));
        if top < bottom && bottom < rows {
            (model.top, model.bottom) = (top, bottom);
        }
        if self.tabs.len() == cols {
            model.tabs.clone_from(&self.tabs);
        }
        model.modes = Modes { alternate: model.alternate.is_some(), ..self.modes.clone() };
        model.modes.keyboard = model.modes.keyboard.known();
        model.modes.cursor_style = model.modes.cursor_style.min(6);
        model.modes.modify_other_keys = model.modes.modify_other_keys.min(3);
        // Only below the alternate screen is there another one's.
        if model.modes.alternate {
            model.keyboard_below = self.keyboard_below.clone().known();
        }
        model.cursor = known_cursor(self.cursor, cols, rows);
        if model.modes.origin {
            model.cursor.row = clamp(model.row().clamp(model.top, model.bottom), rows);
        }
        model.cursor.wraps &= model.modes.autowrap && !model.grid().rows[model.row()].wrapped;
        model.printed = self.printed.and_then(|(character, col)| {
            let known = model.grid().rows[model.row()].get(usize::from(col)).character() == character;
            (known && usize::from(col) < cols).then_some(Printed { character, col })
        });
        model.set_title(self.title.as_bytes());
        model
    }

    pub(super) fn pending(&self) -> &[u8] {
        &self.pending[..self.pending.len().min(TERMINAL_PENDING_BYTES_MAX)]
    }
}

/// A size within the bounds that every screen keeps.
pub(super) fn known_size(size: Size) -> Size {
    Size { cols: size.cols.clamp(1, TERMINAL_SIDE_CELLS_MAX), rows: size.rows.clamp(1, TERMINAL_SIDE_CELLS_MAX) }
}

fn known_cursor(cursor: Cursor, cols: usize, rows: usize) -> Cursor {
    let (row, col) = (clamp(usize::from(cursor.row), rows), clamp(usize::from(cursor.col), cols));
    Cursor { row, col, wraps: cursor.wraps && usize::from(col) + 1 == cols, pen: cursor.pen.known(), ..cursor }
}
