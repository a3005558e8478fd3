//! Bytes from a terminal, as inputs. How the bytes are cut into reads does not matter.
//!
//! - `sequence`: what a whole escape sequence means
//! - `mouse`: where the mouse is and what it did
//! - `paste`: what comes between a paste's brackets

mod mouse;
mod paste;
mod sequence;
#[cfg(test)]
mod tests;

use bytes::Bytes;

pub use self::mouse::{Button, Mouse, MouseKind};

use self::paste::Paste;
use super::key::{Code, Key};

const ESCAPE: u8 = 0x1b;
const BELL: u8 = 0x07;

/// A sequence that has not ended. Replies are the longest, and terminals answer with less; what is longer is given out
/// unread, so many bytes at a time.
const SEQUENCE_BYTES_MAX: usize = 4096;

/// What a terminal sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A key was pressed, or is held and repeats.
    Key(Key),
    /// Text that was pasted. Its lines end with a line feed, and of control characters it has tabs only.
    Paste(String),
    /// The mouse.
    Mouse(Mouse),
    /// The window has the focus, or lost it.
    Focus(bool),
    /// The terminal answers a question, or tells of itself.
    Reply(Reply),
    /// What has no name here: a key's release, a key that [`Code`] does not have, what is beyond a paste's bound, an
    /// unknown sequence. Only a program that asked for it can do something with its bytes.
    Other,
}

/// An input and exactly the bytes it was made of, to pass on to a program untouched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded {
    /// What the bytes mean.
    pub input: Input,
    /// The bytes.
    pub raw: Bytes,
}

/// What a terminal says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    /// Its background's colour (OSC 11).
    Background {
        /// 0 to 255.
        red: u8,
        /// 0 to 255.
        green: u8,
        /// 0 to 255.
        blue: u8,
    },
    /// Its colour scheme (mode 2031).
    Scheme(Scheme),
    /// Whether it knows a mode (DECRPM).
    Mode {
        /// The private mode that was asked for.
        mode: u16,
        /// 0 unknown, 1 on, 2 off, 3 on for ever, 4 off for ever.
        state: u8,
    },
    /// The kitty keyboard protocol's flags in force.
    KittyFlags(u8),
    /// What it can do (DA1). Every terminal answers this, so what was asked before it is answered or never will be.
    Attributes,
    /// Something else.
    Other,
}

/// A terminal's colour scheme.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Light text on a dark background.
    Dark,
    /// Dark text on a light background.
    Light,
}

/// What has begun and not ended.
#[derive(Debug, Default)]
enum State {
    #[default]
    Ground,
    /// A character of so many bytes, perhaps after an escape.
    Character(usize),
    /// One escape, or two.
    Escape,
    /// `ESC [`
    Csi,
    /// `ESC [ [`, with which the Linux console's first function keys begin.
    Console,
    /// `ESC [ M` and so many bytes to come: the mouse as it was first told of, which nobody asks for.
    OldMouse(usize),
    /// `ESC O`
    Ss3,
    /// `ESC ]`, `ESC P` or `ESC _`, up to a bell or `ESC \`.
    Text,
    /// An escape in it, which may be that of its end.
    TextEscape,
    Paste(Paste),
}

/// Makes inputs of a terminal's bytes.
///
/// An escape alone may be a key or the beginning of one: only time tells. While [`Decoder::is_waiting`] and nothing
/// follows for some milliseconds, [`Decoder::flush`] decides. Longer beginnings wait for their end, since a slow line
/// cuts anywhere and the rest would be typed as text; a control key ends them at the latest. After another program had the
/// terminal, a new decoder is due: it may have read the end of what began here.
#[derive(Debug, Default)]
pub struct Decoder {
    state: State,
    /// What has begun, unless it is a paste.
    pending: Vec<u8>,
    /// Its first bytes were given out already.
    cut: bool,
    decoded: Vec<Decoded>,
}

impl Decoder {
    /// The inputs that end within these bytes.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<Decoded> {
        let mut rest = bytes;
        while let Some((&byte, after)) = rest.split_first() {
            if let State::Paste(paste) = &mut self.state {
                let (used, is_over) = paste.feed(rest, &mut self.decoded);
                rest = &rest[used..];
                if is_over {
                    self.state = State::Ground;
                }
            } else if self.step(byte) {
                rest = after;
            }
        }
        std::mem::take(&mut self.decoded)
    }

    /// What has begun may be all there is.
    pub fn is_waiting(&self) -> bool {
        match self.state {
            State::Escape => true,
            State::Csi | State::Ss3 | State::Text => !self.cut && self.pending.len() == self.prefix() + 2,
            State::Ground
            | State::Character(_)
            | State::Console
            | State::OldMouse(_)
            | State::TextEscape
            | State::Paste(_) => false,
        }
    }

    /// Takes what waits for all there is: an escape is the key, `ESC [` is alt and a bracket.
    pub fn flush(&mut self) -> Vec<Decoded> {
        if self.is_waiting() {
            self.resolve();
        }
        std::mem::take(&mut self.decoded)
    }

    /// True if the byte was taken; else it ended what was before it, and is to be looked at again.
    fn step(&mut self, byte: u8) -> bool {
        match self.state {
            State::Ground => self.begin(byte),
            State::Character(length) => {
                if byte & 0xc0 != 0x80 {
                    return self.give_up();
                }
                self.push(byte);
                if self.pending.len() == self.escapes() + length {
                    self.character();
                }
            }
            State::Escape => self.after_escape(byte),
            State::Csi => match byte {
                b'[' if self.is_waiting() => self.go_on(byte, State::Console),
                b'M' if self.is_waiting() => self.go_on(byte, State::OldMouse(3)),
                0x20..=0x3f => self.push(byte),
                0x40..=0x7e => self.end(byte, sequence::csi),
                _ => return self.give_up(),
            },
            State::Console => match byte {
                0x20..=0x7e => self.end(byte, sequence::console),
                _ => return self.give_up(),
            },
            State::OldMouse(left) => match byte {
                ..0x20 => return self.give_up(),
                _ if left == 1 => self.end(byte, |_| Input::Other),
                _ => self.go_on(byte, State::OldMouse(left - 1)),
            },
            State::Ss3 => match byte {
                b'0'..=b'9' | b';' => self.push(byte),
                0x20..=0x7e => self.end(byte, sequence::ss3),
                _ => return self.give_up(),
            },
            State::Text => match byte {
                BELL => self.end(byte, sequence::text),
                ESCAPE => self.go_on(byte, State::TextEscape),
                ..0x20 => return self.give_up(),
                _ => self.push(byte),
            },
            State::TextEscape => match byte {
                b'\\' => self.end(byte, sequence::text),
                _ => {
                    self.pending.pop();
                    self.state = State::Text;
                    self.give_up();
                    self.go_on(ESCAPE, State::Escape);
                    return false;
                }
            },
            State::Paste(_) => {}
        }
        true
    }

    fn begin(&mut self, byte: u8) {
        let characters = match byte {
            ESCAPE => return self.go_on(byte, State::Escape),
            ..0x80 => 1,
            0xc2..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf4 => 4,
            0x80.. => 0,
        };
        self.pending.push(byte);
        match characters {
            0 => self.emit(Input::Other),
            1 => self.character(),
            length => self.state = State::Character(length),
        }
    }

    fn after_escape(&mut self, byte: u8) {
        match byte {
            ESCAPE if self.pending.len() == 1 => self.push(byte),
            b'[' => self.go_on(byte, State::Csi),
            b'O' => self.go_on(byte, State::Ss3),
            _ => {
                if self.pending.len() == 2 {
                    self.escape();
                }
                match byte {
                    ESCAPE => self.go_on(byte, State::Escape),
                    b']' | b'P' | b'_' => self.go_on(byte, State::Text),
                    _ => self.begin(byte),
                }
            }
        }
    }

    /// One character, perhaps after an escape, is whole.
    fn character(&mut self) {
        let text = std::str::from_utf8(&self.pending[self.escapes()..]).ok();
        let key = text.and_then(|text| text.chars().next()).and_then(sequence::typed);
        match key {
            Some(key) => self.emit(Input::Key(Key { alt: self.escapes() > 0, ..key })),
            None => self.emit(Input::Other),
        }
    }

    /// A sequence is whole. An escape before it is alt, if it is a key; else it is a key by itself.
    fn end(&mut self, last: u8, meaning: fn(&[u8]) -> Input) {
        self.pending.push(last);
        if self.cut {
            return self.emit(Input::Other);
        }
        let prefix = self.prefix();
        let sequence = &self.pending[prefix..];
        let input = if sequence == paste::BEGIN { None } else { Some(meaning(sequence)) };
        match input {
            Some(Input::Key(key)) => self.emit(Input::Key(Key { alt: key.alt || prefix > 0, ..key })),
            Some(input) => {
                self.escapes_alone(prefix);
                self.emit(input);
            }
            None => {
                self.escapes_alone(prefix);
                self.pending.clear();
                self.state = State::Paste(Paste::default());
            }
        }
    }

    /// What has begun is not going to end. What a person can have typed is keys, else it is nothing.
    fn give_up(&mut self) -> bool {
        if self.is_waiting() {
            self.resolve();
        } else if self.pending.is_empty() {
            (self.state, self.cut) = (State::Ground, false);
        } else {
            self.emit(Input::Other);
        }
        false
    }

    /// Makes keys of what waits.
    fn resolve(&mut self) {
        if matches!(self.state, State::Escape) {
            while !self.pending.is_empty() {
                self.escape();
            }
            self.state = State::Ground;
        } else {
            self.escapes_alone(self.prefix());
            self.character();
        }
    }

    fn escapes_alone(&mut self, count: usize) {
        for _ in 0..count {
            self.escape();
        }
    }

    /// The first byte that waits is the escape key.
    fn escape(&mut self) {
        self.pending.remove(0);
        self.give(Input::Key(Key::plain(Code::Escape)), Bytes::from_static(&[ESCAPE]));
    }

    fn emit(&mut self, input: Input) {
        let raw = Bytes::copy_from_slice(&self.pending);
        self.pending.clear();
        (self.state, self.cut) = (State::Ground, false);
        self.give(input, raw);
    }

    fn give(&mut self, input: Input, raw: Bytes) {
        self.decoded.push(Decoded { input, raw });
    }

    fn go_on(&mut self, byte: u8, state: State) {
        self.push(byte);
        self.state = state;
    }

    fn push(&mut self, byte: u8) {
        if self.pending.len() == SEQUENCE_BYTES_MAX {
            let raw = Bytes::copy_from_slice(&self.pending);
            self.pending.clear();
            self.cut = true;
            self.give(Input::Other, raw);
        }
        self.pending.push(byte);
    }

    /// Escapes that wait at the beginning.
    fn escapes(&self) -> usize {
        self.pending.iter().take(2).take_while(|byte| **byte == ESCAPE).count()
    }

    /// Escapes before that of the sequence.
    fn prefix(&self) -> usize {
        self.escapes().saturating_sub(1)
    }
}
