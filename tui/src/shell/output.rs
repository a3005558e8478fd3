//! Frames as bytes: what differs from the frame before, so that a terminal shows it at once or not at all.

mod cells;

use std::convert::Infallible;

use ratatui::backend::{Backend, ClearType, WindowSize};
use ratatui::buffer::Cell;
use ratatui::layout::{Position, Size as Area};
use ratatui::{Frame, Terminal};
use ropewalk_protocol::Size;

/// Synchronized output: a terminal that knows it draws nothing until the end. Others ignore it.
const BEGIN: &[u8] = b"\x1b[?2026h";
const END: &[u8] = b"\x1b[?2026l";
const HIDE_CURSOR: &[u8] = b"\x1b[?25l";
const SHOW_CURSOR: &[u8] = b"\x1b[?25h";
/// An empty screen, whatever was on it and however it was drawn.
const EMPTY: &[u8] = b"\x1b[0m\x1b(B\x0f\x1b[4l\x1b[?6l\x1b[?7h\x1b[r\x1b[H\x1b[2J";

/// The screen as it was drawn last.
pub struct Canvas {
    terminal: Terminal<Recorder>,
    /// The cursor as the terminal has it; nothing is known before the first frame.
    cursor: Option<Cursor>,
}

/// Where the cursor is shown, if it is.
type Cursor = Option<Position>;

impl Canvas {
    /// A screen of which nothing is known. Without colours, as `NO_COLOR` asks for it, bold, dim, underlined and reverse text
    /// stays what it is.
    pub fn new(size: Size, has_colours: bool) -> Self {
        let recorder = Recorder { size, has_colours, is_emptied: true, cells: Vec::new(), cursor: None };
        let Ok(terminal) = Terminal::new(recorder);
        Self { terminal, cursor: None }
    }

    /// The bytes that turn the frame before into this one; none at all if nothing changed.
    pub fn draw(&mut self, render: impl FnOnce(&mut Frame<'_>)) -> Vec<u8> {
        let Ok(_) = self.terminal.draw(|frame| {
            render(frame);
            cells::join_wide(frame.buffer_mut());
        });
        let recorder = self.terminal.backend_mut();
        let (is_emptied, cells) = (std::mem::take(&mut recorder.is_emptied), std::mem::take(&mut recorder.cells));
        let cursor = recorder.cursor;
        let is_same = self.cursor == Some(cursor);
        if !is_emptied && cells.is_empty() && is_same {
            return cells;
        }
        let was_hidden = self.cursor.replace(cursor) == Some(None);
        let mut bytes = BEGIN.to_vec();
        if !was_hidden {
            // Without synchronized output it would be seen wherever something is drawn.
            bytes.extend_from_slice(HIDE_CURSOR);
        }
        if is_emptied {
            bytes.extend_from_slice(EMPTY);
        }
        bytes.extend_from_slice(&cells);
        if let Some(Position { x, y }) = cursor {
            cells::go_to(&mut bytes, x, y);
            bytes.extend_from_slice(SHOW_CURSOR);
        }
        bytes.extend_from_slice(END);
        bytes
    }

    /// The next frame is drawn from nothing: something else was on the screen.
    pub fn clear(&mut self) {
        let Ok(()) = self.terminal.clear();
        self.cursor = None;
    }

    /// The next frame has this size. Terminals move what they show when their size changes: it is drawn from nothing.
    pub fn resize(&mut self, size: Size) {
        self.terminal.backend_mut().size = size;
        self.clear();
    }

    /// The size in cells.
    pub fn size(&self) -> Size {
        self.terminal.backend().size
    }
}

/// What a frame does, before it is known whether it does anything.
struct Recorder {
    size: Size,
    has_colours: bool,
    is_emptied: bool,
    cells: Vec<u8>,
    cursor: Cursor,
}

impl Recorder {
    fn area(&self) -> Area {
        Area { width: self.size.cols, height: self.size.rows }
    }
}

impl Backend for Recorder {
    type Error = Infallible;

    fn draw<'a, I>(&mut self, content: I) -> Result<(), Infallible>
    where
        I: Iterator<Item = (u16, u16, &'a Cell)>,
    {
        cells::write(&mut self.cells, content, self.has_colours);
        Ok(())
    }

    fn hide_cursor(&mut self) -> Result<(), Infallible> {
        self.cursor = None;
        Ok(())
    }

    fn show_cursor(&mut self) -> Result<(), Infallible> {
        Ok(())
    }

    fn get_cursor_position(&mut self) -> Result<Position, Infallible> {
        Ok(self.cursor.unwrap_or(Position::ORIGIN))
    }

    fn set_cursor_position<P: Into<Position>>(&mut self, position: P) -> Result<(), Infallible> {
        self.cursor = Some(position.into());
        Ok(())
    }

    fn clear(&mut self) -> Result<(), Infallible> {
        self.clear_region(ClearType::All)
    }

    fn clear_region(&mut self, _: ClearType) -> Result<(), Infallible> {
        // A frame that takes the whole screen has no other region.
        self.is_emptied = true;
        self.cells.clear();
        Ok(())
    }

    fn size(&self) -> Result<Area, Infallible> {
        Ok(self.area())
    }

    fn window_size(&mut self) -> Result<WindowSize, Infallible> {
        Ok(WindowSize { columns_rows: self.area(), pixels: Area::default() })
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
