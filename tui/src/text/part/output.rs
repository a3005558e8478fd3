//! What a tool put out: its newest lines, or all of it.

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::super::clean::clean;
use super::super::diff::{self, Row};
use super::super::theme::Theme;
use super::super::wrap::{Indent, cut, hard_wrap};

/// Lines that are shown of what is folded.
pub(super) const LINES_FOLDED: usize = 8;
/// Bytes at the end among which the newest lines are looked for.
const TAIL_BYTES_MAX: usize = 64 * 1024;

/// All of it.
pub(super) fn whole(text: &str, style: Style, width: u16) -> Vec<Line<'static>> {
    let text = clean(text);
    let rows = |line: &str| hard_wrap(&[Span::styled(line.to_owned(), style)], width, &Indent::default());
    text.trim_end().split('\n').filter(|_| !text.trim_end().is_empty()).flat_map(rows).collect()
}

/// Its newest lines, a row each, and how many there are before them.
pub(super) fn newest(text: &str, style: Style, width: u16, theme: &Theme) -> Vec<Line<'static>> {
    let text = text.trim_end();
    if text.is_empty() || width == 0 {
        return Vec::new();
    }
    let tail = tail(text);
    let cleaned = clean(tail);
    let shown: Vec<&str> = cleaned.split('\n').rev().take(LINES_FOLDED).collect();
    let before = ends(&text[..text.len() - tail.len()]) + ends(&cleaned) + 1 - shown.len();
    let row = |line: &&str| {
        let line = cut(line, usize::from(width), theme.glyphs.more).into_owned();
        Line::from(Span::styled(line, style))
    };
    more(before, width, theme).into_iter().chain(shown.iter().rev().map(row)).collect()
}

/// The first rows of a difference, a row each, and how many follow.
pub(super) fn first_rows<'a>(rows: impl Iterator<Item = Row<'a>>, width: u16, theme: &Theme) -> Vec<Line<'static>> {
    let mut rows = rows;
    let shown: Vec<Row<'a>> = rows.by_ref().take(LINES_FOLDED).map(|row| short(row, width)).collect();
    let mut lines: Vec<Line<'static>> =
        diff::lines(&shown, width, theme).into_iter().take(if width == 0 { 0 } else { LINES_FOLDED }).collect();
    lines.extend(more(rows.count(), width, theme));
    lines
}

/// A row with no more text than can be seen in one.
fn short(row: Row<'_>, width: u16) -> Row<'_> {
    let end = row.text.char_indices().nth(usize::from(width)).map_or(row.text.len(), |(end, _)| end);
    Row { text: &row.text[..end], ..row }
}

fn more(lines: usize, width: u16, theme: &Theme) -> Option<Line<'static>> {
    let text = match lines {
        0 => return None,
        1 => format!("{} 1 more line", theme.glyphs.more),
        lines => format!("{} {lines} more lines", theme.glyphs.more),
    };
    let text = cut(&text, usize::from(width), "").into_owned();
    (width > 0).then(|| Line::from(Span::styled(text, theme.faint)))
}

fn ends(text: &str) -> usize {
    text.bytes().filter(|byte| *byte == b'\n').count()
}

/// The end of a text, from the beginning of a line where there is one in it.
fn tail(text: &str) -> &str {
    let Some(begin) = text.len().checked_sub(TAIL_BYTES_MAX) else { return text };
    let tail = &text[text.ceil_char_boundary(begin)..];
    tail.find(['\n', '\r']).map_or(tail, |end| &tail[end + 1..])
}
