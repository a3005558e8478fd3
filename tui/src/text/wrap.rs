//! Styled text in rows of so many cells. Linear in the text.
//!
//! Text is cut between what people take for characters, never within. Cells are counted as the screen counts them: a
//! character after the other.

use std::borrow::Cow;

use ratatui::style::Style;
use ratatui::text::{Line, Span};
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// Cells that are left to the text whatever stands before it, as far as the width has them.
const BODY_MIN: usize = 8;
/// Characters that begin no row, where wide characters may end any.
const CLOSING: &str = "、。，．・：；？！）」』】〉》〕］｝ー々ぁぃぅぇぉっゃゅょァィゥェォッャュョ";

/// What stands before the text, on its first row and on those that follow.
#[derive(Debug, Clone, Default)]
pub struct Indent {
    /// On the first.
    pub first: Vec<Span<'static>>,
    /// On the others.
    pub rest: Vec<Span<'static>>,
}

impl Indent {
    /// This on the first row, and as many blanks on the others.
    pub fn hanging(first: Span<'static>) -> Self {
        let rest = vec![Span::raw(" ".repeat(cells(&first.content)))];
        Self { first: vec![first], rest }
    }

    /// The same on every row.
    pub fn each(span: Span<'static>) -> Self {
        Self { first: vec![span.clone()], rest: vec![span] }
    }

    /// As much of it as leaves room for text: what is next to the text.
    fn fitted(&self, width: usize) -> [Vec<Span<'static>>; 2] {
        let room = width.saturating_sub(BODY_MIN.min(width));
        [fit_end(&self.first, room), fit_end(&self.rest, room)]
    }
}

/// Cells that a text takes.
pub fn cells(text: &str) -> usize {
    text.graphemes(true).map(grapheme_cells).sum()
}

/// Cells that a line takes.
pub fn line_cells(spans: &[Span<'_>]) -> usize {
    spans.iter().map(|span| cells(&span.content)).sum()
}

/// As much of the text as there is room for, with a mark where it is cut.
pub fn cut<'a>(text: &'a str, width: usize, mark: &str) -> Cow<'a, str> {
    if text.len() <= width || cells_up_to(text, width + 1) <= width {
        return text.into();
    }
    let mark = &mark[..fitting(mark, width)];
    let room = width - cells(mark);
    format!("{}{mark}", text[..fitting(text, room)].trim_end()).into()
}

/// Wraps at words where that is possible: no row is wider than `width`, but for a character that is. White space at a
/// break is dropped. A width of 0 has no rows.
pub fn wrap(spans: &[Span<'static>], width: u16, indent: &Indent) -> Vec<Line<'static>> {
    lay_out(spans, width, indent, |rows, graphemes| Words { rows, ..Words::default() }.fill(graphemes))
}

/// Wraps wherever a row is full: what is written stays as it is, white space too.
pub fn hard_wrap(spans: &[Span<'static>], width: u16, indent: &Indent) -> Vec<Line<'static>> {
    lay_out(spans, width, indent, |mut rows, graphemes| {
        for grapheme in graphemes {
            if rows.room() < grapheme.cells {
                rows.next();
            }
            rows.push(&grapheme);
        }
        rows
    })
}

fn lay_out<'a>(
    spans: &'a [Span<'static>],
    width: u16,
    indent: &Indent,
    fill: impl FnOnce(Rows, &mut dyn Iterator<Item = Grapheme<'a>>) -> Rows,
) -> Vec<Line<'static>> {
    if width == 0 {
        return Vec::new();
    }
    let mut graphemes = spans.iter().flat_map(|span| {
        span.content.graphemes(true).map(|text| Grapheme { text, cells: grapheme_cells(text), style: span.style })
    });
    fill(Rows::new(usize::from(width), indent), &mut graphemes).end()
}

/// What people take for a character, with its style.
#[derive(Clone, Copy)]
struct Grapheme<'a> {
    text: &'a str,
    cells: usize,
    style: Style,
}

impl Grapheme<'_> {
    fn is_blank(&self) -> bool {
        self.text.chars().all(|c| c.is_whitespace() && c != '\u{a0}')
    }
}

/// Rows that are being filled.
#[derive(Default)]
struct Rows {
    done: Vec<Line<'static>>,
    row: Vec<Span<'static>>,
    /// Cells of the row that are taken, what stands before the text included.
    taken: usize,
    /// Cells that stand before the text.
    before: usize,
    width: usize,
    rest: Vec<Span<'static>>,
}

impl Rows {
    fn new(width: usize, indent: &Indent) -> Self {
        let [first, rest] = indent.fitted(width);
        let before = line_cells(&first);
        Self { done: Vec::new(), row: first, taken: before, before, width, rest }
    }

    /// Cells that are left; all that may be needed where nothing stands yet.
    fn room(&self) -> usize {
        if self.is_empty() { usize::MAX } else { self.width.saturating_sub(self.taken) }
    }

    fn is_empty(&self) -> bool {
        self.taken == self.before
    }

    fn push(&mut self, grapheme: &Grapheme<'_>) {
        self.taken += grapheme.cells;
        match self.row.last_mut() {
            Some(span) if span.style == grapheme.style => span.content.to_mut().push_str(grapheme.text),
            _ => self.row.push(Span::styled(grapheme.text.to_owned(), grapheme.style)),
        }
    }

    fn next(&mut self) {
        let rest = self.rest.clone();
        self.before = line_cells(&rest);
        self.taken = self.before;
        self.done.push(Line::from(std::mem::replace(&mut self.row, rest)));
    }

    fn end(mut self) -> Vec<Line<'static>> {
        self.done.push(Line::from(self.row));
        self.done
    }
}

/// The word that is being read, and the blanks before it.
#[derive(Default)]
struct Words<'a> {
    rows: Rows,
    blanks: Vec<Grapheme<'a>>,
    word: Vec<Grapheme<'a>>,
    word_cells: usize,
    /// A row may end behind the word though no blank follows.
    may_end: bool,
}

impl<'a> Words<'a> {
    fn fill(mut self, graphemes: &mut dyn Iterator<Item = Grapheme<'a>>) -> Rows {
        for grapheme in graphemes {
            if grapheme.is_blank() {
                self.end_word();
                self.blanks.push(grapheme);
                continue;
            }
            let is_wide = grapheme.cells > 1;
            let stays = grapheme.cells == 0 || CLOSING.contains(grapheme.text);
            if (is_wide || self.may_end) && !stays {
                self.end_word();
            }
            self.may_end = is_wide || (self.may_end && stays);
            self.word_cells += grapheme.cells;
            self.word.push(grapheme);
        }
        self.end_word();
        self.rows
    }

    fn end_word(&mut self) {
        self.may_end = false;
        if self.word.is_empty() {
            return;
        }
        let width = self.rows.width;
        let blanks: usize = self.blanks.iter().map(|blank| blank.cells).sum();
        let fits = self.rows.taken + blanks + self.word_cells <= width;
        if fits {
            self.blanks.iter().for_each(|blank| self.rows.push(blank));
        } else if !self.rows.is_empty() {
            self.rows.next();
        }
        for grapheme in &self.word {
            if self.rows.room() < grapheme.cells {
                self.rows.next();
            }
            self.rows.push(grapheme);
        }
        self.blanks.clear();
        self.word.clear();
        self.word_cells = 0;
    }
}

fn grapheme_cells(grapheme: &str) -> usize {
    if grapheme.len() == 1 {
        return usize::from(!grapheme.as_bytes()[0].is_ascii_control());
    }
    grapheme.width()
}

/// Cells of the text, counted no further than `most`.
fn cells_up_to(text: &str, most: usize) -> usize {
    let mut counted = 0;
    for grapheme in text.graphemes(true) {
        counted += grapheme_cells(grapheme);
        if counted >= most {
            break;
        }
    }
    counted
}

/// Bytes at the beginning that take no more than so many cells.
fn fitting(text: &str, width: usize) -> usize {
    let mut taken = 0;
    for (at, grapheme) in text.grapheme_indices(true) {
        taken += grapheme_cells(grapheme);
        if taken > width {
            return at;
        }
    }
    text.len()
}

/// The end of what the spans say, of no more than so many cells.
fn fit_end(spans: &[Span<'static>], width: usize) -> Vec<Span<'static>> {
    if line_cells(spans) <= width {
        return spans.to_vec();
    }
    let mut room = width;
    let mut kept = Vec::new();
    for span in spans.iter().rev() {
        let mut begin = span.content.len();
        for (at, grapheme) in span.content.grapheme_indices(true).rev() {
            if grapheme_cells(grapheme) > room {
                room = 0;
                break;
            }
            room -= grapheme_cells(grapheme);
            begin = at;
        }
        kept.push(Span::styled(span.content[begin..].to_owned(), span.style));
    }
    kept.reverse();
    kept
}

#[cfg(test)]
mod tests;
