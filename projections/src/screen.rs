//! A model of a terminal's screen, fed with the bytes that a program wrote from its first on.
//!
//! The model exists so that whoever joins late need not read everything from the beginning: [`Screen::restore`] gives
//! ordinary escape sequences that make a fresh terminal what it would be, and the bytes after [`Screen::offset`] go on
//! from there, even in the middle of a sequence or a character. So the model has no state that sequences cannot
//! recreate. It follows xterm, keeps no images or links, and never answers a query.
//!
//! - `cell`, `row`, `grid`, `scrollback`: what is shown, and what has left at the top
//! - `model`, `edit`: what text, the cursor and editing do to it
//! - `perform`, `sgr`, `modes`: what escape sequences mean
//! - `pending`: the sequence that has begun and not ended
//! - `restore`, `state`, `view`: the screen as escape sequences, as a value, and as cells for a renderer

mod cell;
mod edit;
mod grid;
mod model;
mod modes;
mod pending;
mod perform;
mod restore;
mod row;
mod scrollback;
mod sgr;
mod state;
#[cfg(test)]
mod tests;
mod view;

use std::fmt;

use ropewalk_protocol::Size;
use ropewalk_protocol::limits::TERMINAL_STRING_BYTES_MAX;

pub use self::modes::{Keyboard, Modes, MouseEncoding, MouseTracking};
pub use self::state::ScreenState;
pub use self::view::{CellView, Colour, PenView, ScrollbackRow};

use self::model::Model;
use self::pending::{ESCAPE, Pending};

type Parser = vte::Parser<TERMINAL_STRING_BYTES_MAX>;

/// The model of one terminal's screen.
pub struct Screen {
    parser: Parser,
    pending: Pending,
    model: Model,
    offset: u64,
}

impl Screen {
    /// A fresh terminal's screen, at offset 0. A size out of bounds is brought within them.
    pub fn new(size: Size) -> Self {
        Self {
            parser: Parser::default(),
            pending: Pending::default(),
            model: Model::new(state::known_size(size)),
            offset: 0,
        }
    }

    /// Draws what the program wrote next. Every byte is accepted, and how bytes are cut into calls does not matter.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.offset += bytes.len() as u64;
        let mut at = 0;
        while at < bytes.len() {
            at += if self.pending.is_ground() && bytes[at] != ESCAPE {
                self.feed_text(&bytes[at..])
            } else {
                self.feed_sequence(&bytes[at..])
            };
        }
    }

    /// Goes on at this offset, on an empty screen: what was written before it cannot be read.
    pub fn skip_to(&mut self, offset: u64) {
        *self = Self { offset, ..Self::new(self.size()) };
    }

    /// Gives the screen another size at the present offset. Nothing is laid out again: columns and rows are cut or
    /// filled, and rows above the cursor go to the scrollback if it would not fit otherwise.
    pub fn resize(&mut self, size: Size) {
        self.model.resize(state::known_size(size));
    }

    /// Bytes fed so far.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The size in cells.
    pub fn size(&self) -> Size {
        self.model.size()
    }

    /// The cursor's column and row, from 0. After the last column was written it stays there until text wraps.
    pub fn cursor(&self) -> (u16, u16) {
        (self.model.cursor.col, self.model.cursor.row)
    }

    /// The cursor is shown.
    pub fn cursor_visible(&self) -> bool {
        self.model.modes.cursor_visible
    }

    /// The title that the program set; empty if it set none.
    pub fn title(&self) -> &str {
        &self.model.title
    }

    /// The alternate screen is shown.
    pub fn alternate(&self) -> bool {
        self.model.modes.alternate
    }

    /// What the program has switched on or off.
    pub fn modes(&self) -> &Modes {
        &self.model.modes
    }

    /// A row's text without trailing blanks; empty below the last row.
    pub fn row_text(&self, row: u16) -> String {
        let line = self.model.grid().rows.get(usize::from(row)).map(|row| row.line(self.model.cols));
        line.map_or_else(String::new, |line| line.text.trim_end_matches(' ').to_owned())
    }

    /// A row's characters with what they are drawn with, from the left. What was never written is not told of: it is blank
    /// and has the terminal's own colours. A row below the last one has none.
    pub fn row_cells(&self, row: u16) -> impl Iterator<Item = CellView<'_>> {
        self.model.grid().rows.get(usize::from(row)).into_iter().flat_map(view::cells)
    }

    /// Lines that left the primary screen at its top and are kept.
    pub fn scrollback_len(&self) -> usize {
        self.model.scrollback.len()
    }

    /// The newest `lines` lines of the scrollback, oldest first, without trailing blanks.
    pub fn scrollback_text(&self, lines: usize) -> Vec<String> {
        self.model.scrollback.newest(lines).map(|line| line.text.trim_end_matches(' ').to_owned()).collect()
    }

    /// The newest `lines` lines of the scrollback, oldest first, with what they are drawn with. Only those that are taken are
    /// unpacked: a view that is scrolled back by `n` lines takes its height of them from `scrollback_rows(n)`.
    pub fn scrollback_rows(&self, lines: usize) -> impl Iterator<Item = ScrollbackRow> {
        self.model.scrollback.newest(lines).map(ScrollbackRow::from)
    }

    /// The screen as escape sequences for a freshly reset terminal of the same size, with the newest
    /// `scrollback_lines` lines above it. The program's bytes go on after it.
    pub fn restore(&self, scrollback_lines: usize) -> Vec<u8> {
        let mut bytes = restore::write(&self.model, scrollback_lines);
        bytes.extend_from_slice(self.pending.bytes());
        bytes
    }

    /// The same for a window that may be smaller: what does not fit is cut, where it would wrap and scroll otherwise.
    pub fn restore_within(&self, window: Size, scrollback_lines: usize) -> Vec<u8> {
        let own = self.size();
        let fits = Size { cols: own.cols.min(window.cols), rows: own.rows.min(window.rows) };
        if fits == own {
            return self.restore(scrollback_lines);
        }
        let mut model = self.model.clone();
        model.resize(state::known_size(fits));
        let mut bytes = restore::write(&model, scrollback_lines);
        bytes.extend_from_slice(self.pending.bytes());
        bytes
    }

    /// A hash of all but the offset. Screens with the same digest show and do the same: it is the hash of the size
    /// and of the sequences that recreate the screen.
    pub fn digest(&self) -> [u8; 32] {
        let size = self.size();
        let mut hasher = blake3::Hasher::new();
        hasher.update(&size.cols.to_le_bytes()).update(&size.rows.to_le_bytes()).update(&self.restore(usize::MAX));
        *hasher.finalize().as_bytes()
    }

    /// The screen as a value for a checkpoint.
    pub fn state(&self) -> ScreenState {
        ScreenState::new(&self.model, self.offset, self.pending.bytes())
    }

    /// The screen of a checkpoint. A damaged one gives some screen, never a panic.
    pub fn from_state(state: &ScreenState) -> Self {
        let mut parser = Parser::default();
        let mut pending = Pending::default();
        let bytes = state.pending();
        if bytes.first() == Some(&ESCAPE) {
            pending.follow(bytes);
            if !pending.is_ground() {
                parser.advance(&mut Unheard, pending.bytes());
            }
        } else if std::str::from_utf8(bytes).is_err_and(|error| error.valid_up_to() == 0 && error.error_len().is_none())
        {
            pending.begin(bytes);
        }
        Self { parser, pending, model: state.model(), offset: state.offset }
    }

    /// The state without the offset: what tests compare.
    pub fn observe(&self) -> ScreenState {
        ScreenState::new(&self.model, 0, self.pending.bytes())
    }

    /// Plain text and controls up to an escape character. `vte` is not used for it: it goes character by character,
    /// and a character cut by the end of a call can cost it the one after.
    fn feed_text(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        while at < bytes.len() {
            let byte = bytes[at];
            if !self.pending.bytes().is_empty() {
                let (character, used) = self.pending.complete(byte);
                character.into_iter().for_each(|character| self.model.print(character));
                at += usize::from(used);
                continue;
            }
            match byte {
                ESCAPE => break,
                0x20..0x7f => {
                    let rest = &bytes[at..];
                    let len = rest.iter().position(|byte| !(0x20..0x7f).contains(byte)).unwrap_or(rest.len());
                    self.model.print_ascii(&rest[..len]);
                    at += len;
                }
                0x80.. => at += self.feed_unicode(&bytes[at..]),
                0x7f => at += 1,
                _ => {
                    self.model.control(byte);
                    at += 1;
                }
            }
        }
        at
    }

    /// Characters beyond ASCII up to the next ASCII byte.
    fn feed_unicode(&mut self, bytes: &[u8]) -> usize {
        let len = bytes.iter().position(u8::is_ascii).unwrap_or(bytes.len());
        let mut end = 0;
        for chunk in bytes[..len].utf8_chunks() {
            chunk.valid().chars().for_each(|character| self.model.print(character));
            let invalid = chunk.invalid();
            end += chunk.valid().len() + invalid.len();
            let incomplete = std::str::from_utf8(invalid).is_err_and(|error| error.error_len().is_none());
            if incomplete && end == bytes.len() {
                self.pending.begin(invalid);
            } else if !invalid.is_empty() {
                self.model.print(char::REPLACEMENT_CHARACTER);
            }
        }
        len
    }

    /// One escape sequence, or as much of it as there is.
    fn feed_sequence(&mut self, bytes: &[u8]) -> usize {
        if self.pending.is_ground() && !self.pending.bytes().is_empty() {
            self.pending.complete(ESCAPE);
            self.model.print(char::REPLACEMENT_CHARACTER);
        }
        let followed = self.pending.follow(bytes);
        if followed.cancelled {
            // `vte` would take a cancelled string for a complete one. Controls before the string still count.
            let cancel = followed.bytes - 1;
            self.parser.advance(&mut self.model, &bytes[..cancel]);
            self.parser = Parser::default();
            self.model.control(bytes[cancel]);
        } else {
            self.parser.advance(&mut self.model, &bytes[..followed.bytes]);
        }
        followed.bytes
    }
}

impl fmt::Debug for Screen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (size, cursor) = (self.size(), self.cursor());
        f.debug_struct("Screen").field("size", &size).field("offset", &self.offset).field("cursor", &cursor).finish()
    }
}

/// Leads a parser to a state without repeating what its sequence already did.
struct Unheard;

impl vte::Perform for Unheard {}
