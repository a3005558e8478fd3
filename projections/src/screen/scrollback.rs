//! The lines that left the screen at its top, packed into two rings so that keeping and dropping one allocates nothing.

use std::collections::VecDeque;

use ropewalk_protocol::limits::{SCROLLBACK_BYTES_MAX, SCROLLBACK_LINES_MAX};

use super::row::{Line, Row, Run, add_run};

#[derive(Debug, Clone, Copy)]
struct Entry {
    text_bytes: u32,
    runs: u16,
    cells: u16,
    wrapped: bool,
}

impl Entry {
    fn cost(self) -> usize {
        size_of::<Self>() + self.text_bytes as usize + usize::from(self.runs) * size_of::<Run>()
    }
}

/// Lines above the screen, oldest first.
#[derive(Debug, Clone, Default)]
pub(super) struct Scrollback {
    entries: VecDeque<Entry>,
    text: VecDeque<u8>,
    runs: VecDeque<Run>,
    bytes: usize,
    /// Room to encode the next line in, kept to spare an allocation a line.
    line: Line,
}

impl Scrollback {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Forgets all lines and gives their memory back.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Adds a row below the others; the oldest lines make room.
    pub(super) fn push(&mut self, row: &Row, cols: usize) {
        let mut line = std::mem::take(&mut self.line);
        line.text.clear();
        line.runs.clear();
        line.wrapped = row.wrapped;
        let cells = row.encode(cols, &mut line.text, &mut line.runs);
        self.push_encoded(&line, cells);
        self.line = line;
    }

    /// Adds a line as the rows it takes on a screen of `cols` columns.
    pub(super) fn push_line(&mut self, line: &Line, cols: usize) {
        for row in split(line, cols) {
            self.push(&row, cols);
        }
    }

    /// The newest `count` lines, oldest first.
    pub(super) fn newest(&self, count: usize) -> impl Iterator<Item = Line> {
        let skipped = self.len().saturating_sub(count);
        let (mut text_at, mut run_at) = self
            .entries
            .iter()
            .take(skipped)
            .fold((0, 0), |(text, runs), entry| (text + entry.text_bytes as usize, runs + usize::from(entry.runs)));
        self.entries.iter().skip(skipped).map(move |entry| {
            let text_end = text_at + entry.text_bytes as usize;
            let run_end = run_at + usize::from(entry.runs);
            let text = self.text.range(text_at..text_end).copied().collect();
            let runs = self.runs.range(run_at..run_end).copied().collect();
            (text_at, run_at) = (text_end, run_end);
            let text = String::from_utf8(text).expect("entries cut the ring where texts end");
            Line { text, runs, wrapped: entry.wrapped }
        })
    }

    /// Splits the lines that are wider than the screen now is, as if they had been printed on it: what a snapshot
    /// prints must come back as it was. A line that is no longer as wide as the screen did not wrap at its margin.
    pub(super) fn rewrap(&mut self, cols: usize) {
        let fits = |entry: &Entry| {
            let cells = usize::from(entry.cells);
            cells < cols && !entry.wrapped || cells == cols
        };
        if self.entries.iter().all(fits) {
            return;
        }
        let mut rewrapped = Self::default();
        for line in self.newest(usize::MAX) {
            rewrapped.push_line(&line, cols);
        }
        *self = rewrapped;
    }

    fn push_encoded(&mut self, line: &Line, cells: usize) {
        let entry = Entry {
            text_bytes: u32::try_from(line.text.len()).unwrap_or(u32::MAX),
            runs: u16::try_from(line.runs.len()).unwrap_or(u16::MAX),
            cells: u16::try_from(cells).unwrap_or(u16::MAX),
            wrapped: line.wrapped,
        };
        if entry.cost() > SCROLLBACK_BYTES_MAX || line.runs.len() > usize::from(u16::MAX) {
            return;
        }
        while self.len() >= SCROLLBACK_LINES_MAX || self.bytes + entry.cost() > SCROLLBACK_BYTES_MAX {
            self.drop_oldest();
        }
        self.bytes += entry.cost();
        self.text.extend(line.text.as_bytes());
        self.runs.extend(&line.runs);
        self.entries.push_back(entry);
    }

    fn drop_oldest(&mut self) {
        if let Some(entry) = self.entries.pop_front() {
            self.bytes -= entry.cost();
            self.text.drain(..entry.text_bytes as usize);
            self.runs.drain(..usize::from(entry.runs));
        }
    }
}

/// The rows that a line takes on a screen of `cols` columns.
fn split(line: &Line, cols: usize) -> Vec<Row> {
    let whole = Row::from_line(line, usize::MAX);
    let cells = whole.stored_len();
    let mut rows = Vec::new();
    let mut from = 0;
    loop {
        let mut part = Line::default();
        let mut at = from;
        let mut used = 0;
        while at < cells && used < cols {
            let cell = whole.get(at);
            let width = if cell.is_wide() { 2 } else { 1 };
            if width > cols {
                at += width;
                continue;
            }
            if used + width > cols {
                break;
            }
            part.text.push(cell.character());
            part.text.push_str(whole.marks_at(at));
            add_run(&mut part.runs, cell.pen, width);
            (at, used) = (at + width, used + width);
        }
        part.wrapped = at < cells || line.wrapped && used == cols;
        rows.push(Row::from_line(&part, cols));
        from = at;
        if from >= cells {
            return rows;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Line {
        Line { text: text.into(), ..Line::default() }
    }

    #[test]
    fn the_oldest_lines_are_dropped() {
        let mut scrollback = Scrollback::default();
        for number in 0..SCROLLBACK_LINES_MAX + 3 {
            scrollback.push_line(&line(&number.to_string()), 80);
        }
        assert_eq!(scrollback.len(), SCROLLBACK_LINES_MAX);
        assert_eq!(scrollback.newest(usize::MAX).next(), Some(line("3")));
        assert_eq!(scrollback.newest(1).collect::<Vec<_>>(), [line(&(SCROLLBACK_LINES_MAX + 2).to_string())]);
    }

    #[test]
    fn long_lines_are_bounded_by_bytes() {
        let mut scrollback = Scrollback::default();
        for _ in 0..SCROLLBACK_LINES_MAX {
            scrollback.push_line(&line(&"x".repeat(1000)), 1000);
        }
        assert!(scrollback.bytes <= SCROLLBACK_BYTES_MAX && scrollback.len() > 4000);
    }

    #[test]
    fn a_wide_character_moves_to_the_next_row_when_a_line_is_split() {
        let mut scrollback = Scrollback::default();
        scrollback.push_line(&line("ab字cd"), 80);
        scrollback.rewrap(3);
        let lines: Vec<_> = scrollback.newest(usize::MAX).map(|line| (line.text, line.wrapped)).collect();
        assert_eq!(lines, [("ab ".into(), true), ("字c".into(), true), ("d".into(), false)]);
    }
}
