//! A table: columns where it fits, and a line for each cell where it does not.

use pulldown_cmark::Alignment;
use ratatui::text::{Line, Span};

use crate::text::theme::Theme;
use crate::text::wrap::{Indent, hard_wrap, line_cells, wrap};

type Cell = Vec<Span<'static>>;

/// The rows of a table; the first one is its head.
pub(super) struct Table {
    alignments: Vec<Alignment>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    pub(super) fn new(alignments: Vec<Alignment>) -> Self {
        Self { alignments, rows: Vec::new() }
    }

    pub(super) fn begin_row(&mut self) {
        self.rows.push(Vec::new());
    }

    /// Another cell of the row.
    pub(super) fn push(&mut self, cell: Cell) {
        if let Some(row) = self.rows.last_mut() {
            row.push(cell);
        }
    }

    pub(super) fn lines(&self, width: u16, indent: &Indent, theme: &Theme) -> Vec<Line<'static>> {
        let widths: Vec<usize> = (0..self.alignments.len())
            .map(|column| self.rows.iter().filter_map(|row| row.get(column)).map(|cell| line_cells(cell)).max())
            .map(|widest| widest.unwrap_or(0))
            .collect();
        let between = 3 * widths.len().saturating_sub(1);
        let taken = line_cells(&indent.first) + widths.iter().sum::<usize>() + between;
        if taken <= usize::from(width) {
            self.columns(&widths, indent, theme)
        } else {
            self.cells(width, indent, theme)
        }
    }

    fn columns(&self, widths: &[usize], indent: &Indent, theme: &Theme) -> Vec<Line<'static>> {
        let mut lines = Vec::new();
        for (number, row) in self.rows.iter().enumerate() {
            let mut spans = if number == 0 { indent.first.clone() } else { indent.rest.clone() };
            for (column, width) in widths.iter().enumerate() {
                if column > 0 {
                    spans.push(Span::styled(format!(" {} ", theme.glyphs.bar), theme.border));
                }
                let mut cell = row.get(column).cloned().unwrap_or_default();
                if number == 0 {
                    cell.iter_mut().for_each(|span| span.style = span.style.patch(theme.strong));
                }
                let room = width - line_cells(&cell);
                let before = match self.alignments[column] {
                    Alignment::Right => room,
                    Alignment::Center => room / 2,
                    Alignment::Left | Alignment::None => 0,
                };
                spans.push(Span::raw(" ".repeat(before)));
                spans.extend(cell);
                if column + 1 < widths.len() {
                    spans.push(Span::raw(" ".repeat(room - before)));
                }
            }
            lines.push(Line::from(spans));
            if number == 0 {
                let rule = theme.glyphs.rule;
                let columns: Vec<String> = widths.iter().map(|width| rule.repeat(*width)).collect();
                let rule = columns.join(&format!("{rule}{}{rule}", theme.glyphs.cross));
                let mut spans = indent.rest.clone();
                spans.push(Span::styled(rule, theme.border));
                lines.push(Line::from(spans));
            }
        }
        lines
    }

    /// Each row as lines that say which column they are of, with an empty line between rows.
    fn cells(&self, width: u16, indent: &Indent, theme: &Theme) -> Vec<Line<'static>> {
        let mut lines: Vec<Line<'static>> = Vec::new();
        let Some((head, rows)) = self.rows.split_first() else { return lines };
        // A head alone is what its rows will be called.
        let names = [head.clone()];
        let rows = if rows.is_empty() { &names[..] } else { rows };
        for row in rows {
            if !lines.is_empty() {
                let gap = Indent { first: indent.rest.clone(), rest: Vec::new() };
                lines.extend(hard_wrap(&[], width, &gap));
            }
            for (name, cell) in head.iter().zip(row).filter(|(_, cell)| !cell.is_empty()) {
                let mut spans: Cell = name.clone();
                spans.iter_mut().for_each(|span| span.style = span.style.patch(theme.strong));
                if !std::ptr::eq(rows.as_ptr(), names.as_ptr()) {
                    spans.push(Span::raw(": "));
                    spans.extend(cell.iter().cloned());
                }
                let mut own = indent.clone();
                if !lines.is_empty() {
                    own.first = indent.rest.clone();
                }
                own.rest.push(Span::raw("  "));
                lines.extend(wrap(&spans, width, &own));
            }
        }
        lines
    }
}
