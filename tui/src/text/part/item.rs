//! What an agent said, thought or did.

use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ropewalk_projections::transcript::Item;
use ropewalk_protocol::{ItemKind, ItemStatus};

use super::super::clean::{one_line, visible_line};
use super::super::diff::{self, Counts, RowKind};
use super::super::markdown::markdown;
use super::super::theme::Theme;
use super::super::tool::{self, Edit};
use super::super::wrap::{Indent, cells, cut, line_cells, wrap};
use super::{Look, STEP, output, plan, within};

/// Bytes of a thought of which its first words are taken.
const FIRST_WORDS_BYTES: usize = 1024;
/// Lines around a change that did not change.
const CONTEXT: usize = 3;

pub(super) fn item(item: &Item, look: &Look, width: u16, theme: &Theme) -> Vec<Line<'static>> {
    match item.kind {
        ItemKind::Text => markdown(&item.text, look.is_running && item.status.is_none(), width, theme),
        ItemKind::Thinking => thinking(item, look, width, theme),
        ItemKind::Plan => plan::plan(item, look, width, theme),
        ItemKind::Tool | ItemKind::FileChange => call(item, look, width, theme),
        ItemKind::Opaque => unknown(item, look, width, theme),
    }
}

fn thinking(item: &Item, look: &Look, width: u16, theme: &Theme) -> Vec<Line<'static>> {
    if look.is_open {
        let own = Theme { text: theme.thinking, ..theme.clone() };
        let mut lines = head(theme.glyphs.unfolded, "thinking", width, theme);
        let text = markdown(&item.text, look.is_running && item.status.is_none(), width.saturating_sub(STEP), &own);
        lines.extend(within(text));
        return lines;
    }
    let begin = &item.text[..item.text.floor_char_boundary(FIRST_WORDS_BYTES)];
    let words = one_line(begin).replace(['*', '`'], "");
    let more = theme.glyphs.more;
    let text = if words.is_empty() { "thinking".to_owned() } else { format!("thinking {more} {words}") };
    head(theme.glyphs.folded, &text, width, theme)
}

/// A faint line behind a sign.
fn head(sign: &str, text: &str, width: u16, theme: &Theme) -> Vec<Line<'static>> {
    let text = cut(&format!("{sign} {text}"), usize::from(width), theme.glyphs.more).into_owned();
    if width == 0 { Vec::new() } else { vec![Line::from(Span::styled(text, theme.thinking))] }
}

fn unknown(item: &Item, look: &Look, width: u16, theme: &Theme) -> Vec<Line<'static>> {
    let sign = if look.is_open { theme.glyphs.unfolded } else { theme.glyphs.folded };
    let mut lines = head(sign, &format!("unknown: {}", visible_line(&item.title)), width, theme);
    if look.is_open {
        let inner = width.saturating_sub(STEP);
        lines.extend(within(tool::in_full(&item.input, inner, theme)));
        lines.extend(within(output::whole(&item.text, theme.faint, inner)));
    }
    lines
}

/// The sign of how a call goes or went, its style, and the word for it where the sign alone is not enough.
fn status(item: &Item, theme: &Theme) -> (&'static str, Style, &'static str) {
    let glyphs = theme.glyphs;
    match item.status {
        None => (glyphs.running, theme.running, ""),
        Some(ItemStatus::Completed) => (glyphs.ok, theme.ok, ""),
        Some(ItemStatus::Failed) => (glyphs.failed, theme.error, "failed"),
        Some(ItemStatus::Declined) => (glyphs.declined, theme.error, "not allowed"),
        Some(ItemStatus::Cancelled) => (glyphs.cancelled, theme.warning, "cancelled"),
        Some(ItemStatus::Orphaned) => (glyphs.orphaned, theme.warning, "left open"),
    }
}

fn call(item: &Item, look: &Look, width: u16, theme: &Theme) -> Vec<Line<'static>> {
    let is_difference = diff::is_unified(&item.text);
    let edits = if is_difference { Vec::new() } else { tool::edits(&item.input) };
    let mut lines = call_head(item, is_difference, look, width, theme);
    let inner = width.saturating_sub(STEP);
    if look.is_open {
        lines.extend(within(open_body(item, is_difference, inner, theme)));
    } else {
        lines.extend(within(folded_body(item, is_difference, &edits, inner, theme)));
    }
    lines
}

fn call_head(item: &Item, is_difference: bool, look: &Look, width: u16, theme: &Theme) -> Vec<Line<'static>> {
    let mut summary = tool::summary(&item.title, &item.input);
    if is_difference {
        summary.counts = Some(Counts::of(diff::unified(&item.text)));
    }
    let (sign, style, word) = status(item, theme);
    let mut behind = Vec::new();
    if let Some(counts) = summary.counts {
        behind.push(Span::raw(" "));
        behind.extend(counts.spans(theme));
    }
    if !word.is_empty() {
        behind.push(Span::styled(format!(" ({word})"), style));
    }
    let before = Indent::hanging(Span::styled(format!("{sign} "), style));
    let text = if look.is_open {
        summary.text
    } else {
        let room = usize::from(width).saturating_sub(line_cells(&before.first) + line_cells(&behind));
        cut(&summary.text, room, theme.glyphs.more).into_owned()
    };
    let fits = look.is_open || line_cells(&before.first) + cells(&text) + line_cells(&behind) <= usize::from(width);
    let mut spans = vec![Span::styled(text, theme.tool)];
    spans.extend(behind);
    let lines = wrap(&spans, width, &before);
    // Too narrow for all that is to be said: the sign says most.
    if fits { lines } else { lines.into_iter().take(1).collect() }
}

/// All that the call was, and all that came of it.
fn open_body(item: &Item, is_difference: bool, width: u16, theme: &Theme) -> Vec<Line<'static>> {
    let mut lines = tool::in_full(&item.input, width, theme);
    if is_difference {
        lines.extend(diff::lines(&diff::unified(&item.text).collect::<Vec<_>>(), width, theme));
    } else {
        lines.extend(output::whole(&item.text, theme.faint, width));
    }
    lines
}

/// The first of what changed, or the newest of what was put out.
fn folded_body(item: &Item, is_difference: bool, edits: &[Edit], width: u16, theme: &Theme) -> Vec<Line<'static>> {
    if is_difference {
        // Where it is the only one, the line above names the file.
        let is_name = |kind| matches!(kind, RowKind::File | RowKind::Note);
        return output::first_rows(diff::unified(&item.text).skip_while(|row| is_name(row.kind)), width, theme);
    }
    let mut lines = Vec::new();
    if !edits.is_empty() {
        lines = output::first_rows(edits.iter().flat_map(|edit| edit.rows(CONTEXT)), width, theme);
        // That it was done is seen; why it was not is to be read.
        if item.status == Some(ItemStatus::Completed) {
            return lines;
        }
    }
    lines.extend(output::newest(&item.text, theme.faint, width, theme));
    lines
}
