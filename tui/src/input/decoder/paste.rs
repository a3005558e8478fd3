//! Pasted text: what a terminal sends between the two brackets.

use bytes::Bytes;

use super::{Decoded, ESCAPE, Input};

/// What a paste begins with.
pub(super) const BEGIN: &[u8] = b"\x1b[200~";
const END: &[u8] = b"\x1b[201~";

/// Bytes of one paste that are text. More than a prompt may have, and what a program's terminal takes at once.
pub(super) const PASTE_BYTES_MAX: usize = 1024 * 1024;
/// What is beyond is no text, and is given out in pieces of this size for a program that wants it.
const PIECE_BYTES: usize = 64 * 1024;

/// A paste that has begun.
#[derive(Debug)]
pub(super) struct Paste {
    /// From [`BEGIN`] on, or from the end of the last piece on.
    pub(super) raw: Vec<u8>,
    /// Bytes of [`END`] that `raw` ends with.
    matched: usize,
    /// The text was given out.
    is_full: bool,
}

impl Default for Paste {
    fn default() -> Self {
        Self { raw: BEGIN.to_vec(), matched: 0, is_full: false }
    }
}

impl Paste {
    /// How many bytes were taken, and whether the paste ended with the last of them.
    pub(super) fn feed(&mut self, bytes: &[u8], decoded: &mut Vec<Decoded>) -> (usize, bool) {
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            let plain = match self.matched {
                0 => rest.iter().position(|byte| *byte == ESCAPE).unwrap_or(rest.len()).min(self.room()),
                _ => 0,
            };
            if plain > 0 {
                self.raw.extend_from_slice(&rest[..plain]);
                at += plain;
            } else {
                self.matched = match rest[0] {
                    byte if byte == END[self.matched] => self.matched + 1,
                    ESCAPE => 1,
                    _ => 0,
                };
                self.raw.push(rest[0]);
                at += 1;
            }
            if self.matched == END.len() {
                decoded.push(self.last());
                return (at, true);
            }
            if self.room() == 0 {
                decoded.push(self.full());
            }
        }
        (at, false)
    }

    /// Bytes that are taken before what there is is given out. What may be the end is not counted.
    fn room(&self) -> usize {
        let most = if self.is_full { PIECE_BYTES } else { BEGIN.len() + PASTE_BYTES_MAX };
        most.saturating_sub(self.raw.len() - self.matched)
    }

    fn full(&mut self) -> Decoded {
        let end = self.raw.split_off(self.raw.len() - self.matched);
        let raw = Bytes::from(std::mem::replace(&mut self.raw, end));
        let input = if self.is_full { Input::Other } else { Input::Paste(text(&raw[BEGIN.len()..])) };
        self.is_full = true;
        Decoded { input, raw }
    }

    fn last(&mut self) -> Decoded {
        let raw = Bytes::from(std::mem::take(&mut self.raw));
        let input = match self.is_full {
            true => Input::Other,
            false => Input::Paste(text(&raw[BEGIN.len()..raw.len() - END.len()])),
        };
        Decoded { input, raw }
    }
}

/// Terminals send a return for each line's end. Other control characters would do something where the text is shown or
/// sent.
fn text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    let mut chunks = bytes.utf8_chunks().peekable();
    let mut after_return = false;
    while let Some(chunk) = chunks.next() {
        for character in chunk.valid().chars() {
            match character {
                '\r' => text.push('\n'),
                '\n' if after_return => {}
                '\n' | '\t' => text.push(character),
                _ if character.is_control() => {}
                _ => text.push(character),
            }
            after_return = character == '\r';
        }
        // The bound may cut a character in two.
        let is_cut = chunks.peek().is_none() && bytes.len() >= PASTE_BYTES_MAX;
        if !chunk.invalid().is_empty() && !is_cut {
            text.push(char::REPLACEMENT_CHARACTER);
            after_return = false;
        }
    }
    text
}
