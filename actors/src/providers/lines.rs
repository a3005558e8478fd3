//! Lines out of bytes: where each begins, and what is longer than any may be. Pure.

use ropewalk_protocol::limits;

/// What there is at an offset.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line<'a> {
    /// A line without its end, from this offset on; the next one begins at `next`.
    Whole { offset: u64, next: u64, bytes: &'a [u8] },
    /// A line that was passed over.
    TooLong { offset: u64, next: u64, bytes: u64 },
}

/// Bytes that are not a whole line yet.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    /// The offset of the first byte that is not told as a line.
    offset: u64,
    partial: Vec<u8>,
    /// How much of the line was thrown away, once it is too long.
    passed_over: u64,
}

impl Lines {
    /// Lines from this offset on, where one begins.
    pub(crate) fn from(offset: u64) -> Self {
        Self { offset, ..Self::default() }
    }

    /// The offset after the last byte that was taken in.
    pub(crate) fn end(&self) -> u64 {
        self.offset + self.passed_over + self.partial.len() as u64
    }

    /// Bytes that are gathered.
    pub(crate) fn gathered(&self) -> usize {
        self.partial.len()
    }

    /// Takes bytes in, which follow those before, and tells every line that is whole now.
    pub(crate) fn push(&mut self, mut bytes: &[u8], mut tell: impl FnMut(Line<'_>)) {
        while let Some(length) = bytes.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = (&bytes[..length], &bytes[length + 1..]);
            let offset = self.offset;
            let next = self.end() + length as u64 + 1;
            let whole = self.passed_over + (self.partial.len() + length) as u64;
            if whole > limits::AGENT_LINE_BYTES_MAX as u64 {
                tell(Line::TooLong { offset, next, bytes: whole });
            } else if self.partial.is_empty() {
                tell(Line::Whole { offset, next, bytes: without_return(line) });
            } else {
                self.partial.extend_from_slice(line);
                tell(Line::Whole { offset, next, bytes: without_return(&self.partial) });
            }
            self.partial.clear();
            self.partial.shrink_to(4096);
            (self.offset, self.passed_over, bytes) = (next, 0, rest);
        }
        if self.passed_over > 0 || self.partial.len() + bytes.len() > limits::AGENT_LINE_BYTES_MAX {
            self.passed_over += (self.partial.len() + bytes.len()) as u64;
            self.partial = Vec::new();
        } else {
            self.partial.extend_from_slice(bytes);
        }
    }
}

fn without_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(pieces: &[&[u8]]) -> Vec<(u64, u64, Vec<u8>)> {
        let mut lines = Lines::from(10);
        let mut told = Vec::new();
        for piece in pieces {
            lines.push(piece, |line| match line {
                Line::Whole { offset, next, bytes } => told.push((offset, next, bytes.to_vec())),
                Line::TooLong { offset, next, bytes } => told.push((offset, next, bytes.to_string().into_bytes())),
            });
        }
        told
    }

    #[test]
    fn lines_are_the_same_however_the_bytes_come() {
        let whole = b"one\r\n\nthree\nfo";
        let expected = [(10, 15, b"one".to_vec()), (15, 16, Vec::new()), (16, 22, b"three".to_vec())];
        for at in 0..whole.len() {
            assert_eq!(told(&[&whole[..at], &whole[at..]]), expected, "cut at {at}");
        }
    }

    #[test]
    fn a_line_that_is_too_long_costs_no_memory_and_the_next_one_is_read() {
        let long = vec![b'x'; limits::AGENT_LINE_BYTES_MAX / 2];
        let mut lines = Lines::from(0);
        let mut told = Vec::new();
        for piece in [&long[..], &long[..], b"y", b"zz\nnext\n"] {
            lines.push(piece, |line| told.push(format!("{line:?}")));
            assert!(lines.gathered() <= limits::AGENT_LINE_BYTES_MAX);
        }
        let bytes = 2 * long.len() + 3;
        let too_long = format!("TooLong {{ offset: 0, next: {}, bytes: {bytes} }}", bytes + 1);
        assert_eq!(told[0], too_long);
        assert!(told[1].contains(&format!("offset: {}", bytes + 1)), "{told:?}");
        assert_eq!(lines.end(), bytes as u64 + 1 + 5);
    }
}
