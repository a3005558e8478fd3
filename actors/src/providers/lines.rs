//! Lines out of bytes: where each begins, and what is longer than any may be. Pure.

use ropewalk_protocol::limits;

/// What there is at an offset.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line<'a> {
    /// A line without its end, from this offset on; the next one begins at `next`.
    Whole { offset: u64, next: u64, bytes: &'a [u8] },
    /// A line that was not gathered, because it is long: it is to be read again as a whole.
    Long { offset: u64, next: u64 },
    /// A line that is to be passed over.
    TooLong { offset: u64, next: u64 },
}

/// Bytes that are not a whole line yet.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    /// The offset of the first byte that is not told as a line.
    offset: u64,
    partial: Vec<u8>,
    /// How much of the line was not gathered.
    left_out: u64,
    /// What was gathered is told, and let go of with the next call.
    is_told: bool,
}

impl Lines {
    /// Lines from this offset on, where one begins.
    pub(crate) fn from(offset: u64) -> Self {
        Self { offset, ..Self::default() }
    }

    /// Takes bytes in, which follow those before, up to the end of a line, and tells it; `None` once all are taken.
    pub(crate) fn next<'a, 'b: 'a>(&'a mut self, bytes: &mut &'b [u8]) -> Option<Line<'a>> {
        if std::mem::take(&mut self.is_told) {
            self.partial.clear();
            self.partial.shrink_to(4096);
        }
        let Some(length) = bytes.iter().position(|byte| *byte == b'\n') else {
            self.gather(bytes);
            *bytes = &[];
            return None;
        };
        let (line, rest) = bytes.split_at(length);
        *bytes = &rest[1..];
        let whole = self.left_out + (self.partial.len() + length) as u64;
        let (offset, next) = (self.offset, self.offset + whole + 1);
        let was_left_out = std::mem::take(&mut self.left_out) > 0;
        self.offset = next;
        self.is_told = true;
        Some(if whole > limits::AGENT_LINE_BYTES_MAX as u64 {
            Line::TooLong { offset, next }
        } else if was_left_out {
            Line::Long { offset, next }
        } else if self.partial.is_empty() {
            Line::Whole { offset, next, bytes: without_return(line) }
        } else {
            self.partial.extend_from_slice(line);
            Line::Whole { offset, next, bytes: without_return(&self.partial) }
        })
    }

    fn gather(&mut self, bytes: &[u8]) {
        if self.left_out > 0 || self.partial.len() + bytes.len() > limits::AGENT_LINE_BYTES {
            self.left_out += (self.partial.len() + bytes.len()) as u64;
            self.partial = Vec::new();
        } else {
            self.partial.extend_from_slice(bytes);
        }
    }
}

/// A line without the carriage return that some programs end it with.
pub(crate) fn without_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(pieces: &[&[u8]]) -> Vec<String> {
        let mut lines = Lines::from(10);
        let mut told = Vec::new();
        for mut piece in pieces.iter().copied() {
            while let Some(line) = lines.next(&mut piece) {
                told.push(format!("{line:?}"));
            }
            assert!(lines.partial.len() <= limits::AGENT_LINE_BYTES);
        }
        told
    }

    fn whole(offset: u64, bytes: &[u8], next: u64) -> String {
        format!("{:?}", Line::Whole { offset, next, bytes })
    }

    #[test]
    fn lines_are_the_same_however_the_bytes_come() {
        let text = b"one\r\n\nthree\nfo";
        let expected = [whole(10, b"one", 15), whole(15, b"", 16), whole(16, b"three", 22)];
        for at in 0..text.len() {
            assert_eq!(told(&[&text[..at], &text[at..]]), expected, "cut at {at}");
        }
    }

    #[test]
    fn a_long_line_costs_no_memory_and_the_next_one_is_read() {
        let piece = vec![b'x'; limits::AGENT_LINE_BYTES - 1];
        let length = 2 * piece.len() as u64 + 1;
        let next = 10 + length + 1;
        let long = format!("{:?}", Line::Long { offset: 10, next });
        assert_eq!(told(&[&piece, &piece, b"y\nnext\n"]), [long, whole(next, b"next", next + 5)]);
    }

    #[test]
    fn a_line_that_is_too_long_is_passed_over() {
        let piece = vec![b'x'; limits::AGENT_LINE_BYTES_MAX / 2];
        let next = 10 + 2 * piece.len() as u64 + 2;
        let too_long = format!("{:?}", Line::TooLong { offset: 10, next });
        assert_eq!(told(&[&piece, &piece, b"y\nnext\n"]), [too_long, whole(next, b"next", next + 5)]);
    }
}
