//! Changes of files: unified differences as tools tell them, and the difference between two texts.

mod between;

use std::fmt;

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::clean::visible_spans;
use super::theme::Theme;
use super::wrap::{Indent, hard_wrap};

pub use between::between;

/// What a row of a difference is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowKind {
    /// It names a file.
    File,
    /// A hunk begins, or something that did not change is left out.
    Hunk,
    /// It did not change.
    Same,
    /// It came.
    Added,
    /// It went.
    Removed,
    /// It is said beside the change.
    Note,
}

/// A row of a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row<'a> {
    /// What it is.
    pub kind: RowKind,
    /// Its number in the file, as it will be; of what went, as it was.
    pub number: Option<u64>,
    /// It, without its sign.
    pub text: &'a str,
}

/// How many lines came and went. As text: `+3 -1`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Lines that came.
    pub added: usize,
    /// Lines that went.
    pub removed: usize,
}

impl Counts {
    /// Of these rows.
    pub fn of<'a>(rows: impl IntoIterator<Item = Row<'a>>) -> Self {
        rows.into_iter().fold(Self::default(), |mut counts, row| {
            counts.added += usize::from(row.kind == RowKind::Added);
            counts.removed += usize::from(row.kind == RowKind::Removed);
            counts
        })
    }

    /// As text with colours.
    pub fn spans(&self, theme: &Theme) -> Vec<Span<'static>> {
        let added = Span::styled(format!("+{}", self.added), theme.added);
        let removed = Span::styled(format!("-{}", self.removed), theme.removed);
        vec![added, Span::raw(" "), removed]
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "+{} -{}", self.added, self.removed)
    }
}

/// Whether a text is a unified difference.
pub fn is_unified(text: &str) -> bool {
    let text = text.trim_start_matches('\n');
    hunk(text.lines().next().unwrap_or_default()).is_some()
        || text.starts_with("diff --git ")
        || text.starts_with("Index: ")
        || text.starts_with("--- ") && text.lines().nth(1).is_some_and(|line| line.starts_with("+++ "))
}

/// The rows of a unified difference, one after the other.
pub fn unified(text: &str) -> impl Iterator<Item = Row<'_>> {
    let mut place = Place::default();
    // Ends of lines of another kind are part of what changes.
    text.strip_suffix('\n').unwrap_or(text).split('\n').map(move |line| place.row(line))
}

/// Where a difference is being read.
#[derive(Default)]
struct Place {
    /// The next numbers, before and after, inside of a hunk.
    old: u64,
    new: u64,
    /// Lines of the hunk that are to come, before and after.
    old_left: u64,
    new_left: u64,
    is_numbered: bool,
}

impl Place {
    fn row<'a>(&mut self, line: &'a str) -> Row<'a> {
        let is_inside = self.old_left > 0 || self.new_left > 0;
        if !is_inside {
            if let Some([old, old_left, new, new_left]) = hunk(line) {
                *self = Self { old, new, old_left, new_left, is_numbered: true };
                return Row { kind: RowKind::Hunk, number: None, text: line };
            }
            if line.starts_with("--- ") || line.starts_with("+++ ") {
                self.is_numbered = false;
                return Row { kind: RowKind::File, number: None, text: line };
            }
        }
        let number = |number: u64, is_numbered: bool| (is_numbered && is_inside).then_some(number);
        let (kind, number) = match line.as_bytes().first() {
            Some(b'+') => (RowKind::Added, number(self.new, self.is_numbered)),
            Some(b'-') => (RowKind::Removed, number(self.old, self.is_numbered)),
            // Some tools leave the blank of an empty line out.
            Some(b' ') | None => (RowKind::Same, number(self.new, self.is_numbered)),
            Some(_) => return Row { kind: RowKind::Note, number: None, text: line },
        };
        if kind != RowKind::Added {
            (self.old, self.old_left) = (self.old.saturating_add(1), self.old_left.saturating_sub(1));
        }
        if kind != RowKind::Removed {
            (self.new, self.new_left) = (self.new.saturating_add(1), self.new_left.saturating_sub(1));
        }
        Row { kind, number, text: line.get(1..).unwrap_or_default() }
    }
}

/// Where a hunk begins and how long it is, before and after: `@@ -1,3 +1,4 @@`.
fn hunk(line: &str) -> Option<[u64; 4]> {
    let (places, _) = line.strip_prefix("@@ -")?.split_once(" @@")?;
    let (old, new) = places.split_once(" +")?;
    let range = |range: &str| match range.split_once(',') {
        Some((begin, length)) => Some((begin.parse().ok()?, length.parse().ok()?)),
        None => Some((range.parse().ok()?, 1)),
    };
    let ((old, old_length), (new, new_length)) = (range(old)?, range(new)?);
    Some([old, old_length, new, new_length])
}

/// Rows as lines: numbers at the left where there are any, and rows that are too long go on under their text. Characters
/// that would not be seen are made visible.
pub fn lines(rows: &[Row<'_>], width: u16, theme: &Theme) -> Vec<Line<'static>> {
    let widest = rows.iter().filter_map(|row| row.number).max();
    let column = widest.map_or(0, |number| number.to_string().len() + 1);
    rows.iter().flat_map(|row| line(row, column, width, theme)).collect()
}

fn line(row: &Row<'_>, column: usize, width: u16, theme: &Theme) -> Vec<Line<'static>> {
    let (sign, style) = match row.kind {
        RowKind::Added => ("+", theme.added),
        RowKind::Removed => ("-", theme.removed),
        RowKind::Same => (" ", theme.text),
        RowKind::File => return hard_wrap(&seen(row.text, theme.strong, theme), width, &Indent::default()),
        RowKind::Note => return hard_wrap(&seen(row.text, theme.faint, theme), width, &Indent::default()),
        RowKind::Hunk => {
            let text = if row.text.is_empty() { theme.glyphs.more } else { row.text };
            return hard_wrap(&seen(text, theme.hunk, theme), width, &Indent::default());
        }
    };
    let number = row.number.map(|number| format!("{number} ")).unwrap_or_default();
    let number = Span::styled(format!("{number:>column$}"), theme.faint);
    let first = vec![number, Span::styled(sign, style)];
    let indent = Indent { first, rest: vec![Span::raw(" ".repeat(column + 1))] };
    hard_wrap(&seen(row.text, style, theme), width, &indent)
}

/// A line of which nothing stays unseen.
fn seen(line: &str, style: Style, theme: &Theme) -> Vec<Span<'static>> {
    visible_spans(line, style, theme.escaped).concat()
}

#[cfg(test)]
mod tests;
