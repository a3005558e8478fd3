//! The sessions and their agents.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::app::place::Target;
use crate::app::state::{Focus, State};
use crate::app::tree::TreeRow;
use crate::text::units;
use crate::text::wrap::{cells, cut};

use super::{age, condition_style, put, sign};

/// A line of what is drawn: a heading, or a row.
enum Drawn {
    Heading(String),
    Row(usize),
}

fn drawn(rows: &[TreeRow]) -> Vec<Drawn> {
    let heading = |row: &TreeRow| row.heading.clone().map(Drawn::Heading);
    rows.iter().enumerate().flat_map(|(at, row)| heading(row).into_iter().chain([Drawn::Row(at)])).collect()
}

/// The first line that is seen, so that the selected one is.
fn top(drawn: &[Drawn], selected: usize, height: usize) -> usize {
    let at = drawn.iter().position(|line| matches!(line, Drawn::Row(row) if *row == selected)).unwrap_or(0);
    at.saturating_sub(height.saturating_sub(1).max(height / 2)).min(drawn.len().saturating_sub(height))
}

/// What is on a line of the tree.
pub(crate) fn target_at(state: &State, area: Rect, line: usize) -> Option<Target> {
    let rows = state.rows();
    let drawn = drawn(&rows);
    let height = usize::from(area.height).saturating_sub(1);
    let first = top(&drawn, state.selected_among(&rows), height);
    match drawn.get(first + line.checked_sub(1)?)? {
        Drawn::Row(row) => rows.get(*row).map(|row| row.target),
        Drawn::Heading(_) => None,
    }
}

pub(super) fn draw(buffer: &mut Buffer, state: &State, area: Rect) {
    super::clear(buffer, area, state.theme.text);
    let theme = &state.theme;
    let rows = state.rows();
    let has_focus = state.focus == Focus::Tree;
    let title_style = if has_focus { theme.accent } else { theme.heading };
    let count = rows.iter().filter(|row| row.depth == 0).count();
    // Nobody knows how many there are before the daemon has told.
    let count = if state.tree.is_complete { format!(" {count}") } else { String::new() };
    let mut title = vec![Span::styled(" sessions", title_style), Span::styled(count, theme.faint)];
    if state.place.all_projects {
        title.push(Span::styled(" everywhere", theme.faint));
    }
    if !state.tree.filter.is_empty() {
        title.push(Span::styled(format!(" /{}", state.tree.filter), theme.accent));
    }
    put(buffer, Rect { height: 1, ..area }, &Line::from(title));
    let list = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
    if rows.is_empty() {
        let text = match (state.tree.is_complete, state.tree.filter.is_empty()) {
            (false, _) => " …",
            (true, true) => " none in this directory yet",
            (true, false) => " none fits the filter",
        };
        return put(buffer, list, &Line::styled(text, theme.faint));
    }
    let drawn = drawn(&rows);
    let selected = state.selected_among(&rows);
    let first = top(&drawn, selected, usize::from(list.height));
    for (line, y) in drawn.iter().skip(first).zip(list.top()..list.bottom()) {
        let place = Rect { y, height: 1, ..list };
        match line {
            Drawn::Heading(directory) => {
                let text = units::path(
                    directory,
                    state.home.as_deref(),
                    usize::from(area.width).saturating_sub(2),
                    theme.glyphs.more,
                );
                put(buffer, place, &Line::styled(format!(" {text}"), theme.faint));
            }
            Drawn::Row(at) => {
                let row = &rows[*at];
                let is_shown = row.target == state.target() && (row.depth > 0 || !has_focus);
                put(buffer, place, &line_of(state, row, usize::from(area.width), is_shown));
                if *at == selected && has_focus {
                    buffer.set_style(place, theme.selected);
                } else if is_shown {
                    put(buffer, place, &Line::styled(theme.glyphs.bar, theme.accent));
                }
            }
        }
    }
}

fn line_of(state: &State, row: &TreeRow, width: usize, is_shown: bool) -> Line<'static> {
    let theme = &state.theme;
    let indent = 1 + 2 * usize::from(row.depth);
    let mut facts = String::new();
    if row.asks > 0 {
        facts.push_str(&format!(" {}?", row.asks));
    }
    if row.queued > 0 {
        facts.push_str(&format!(" +{}", row.queued));
    }
    if let Some(cost) = row.cost.filter(|_| width >= 36) {
        facts.push_str(&format!(" {}", units::dollars(Some(cost))));
    }
    let unread = if row.is_unread { "*" } else { " " };
    let when = age(state, row.condition, row.since);
    let right = format!("{facts} {when:>4} ");
    let word = row.condition.word();
    let room = width.saturating_sub(indent + 2 + cells(&right));
    // The word goes before a long name: what it is doing is what one looks for.
    let word_room = cells(word) + 1;
    let name_room = if room > word_room + 8 { room - word_room } else { room };
    let name = cut(&row.name, name_room, theme.glyphs.more).into_owned();
    let word = if room > word_room + 8 { format!(" {word}") } else { String::new() };
    let gap = room.saturating_sub(cells(&name) + cells(&word));
    let name_style = match (is_shown, row.is_unread) {
        (true, _) => theme.accent,
        (false, true) => theme.strong,
        (false, false) => theme.text,
    };
    Line::from(vec![
        Span::raw(" ".repeat(indent)),
        sign(row.condition, theme),
        Span::styled(unread, theme.accent),
        Span::styled(name, name_style),
        Span::styled(word, condition_style(row.condition, theme)),
        Span::raw(" ".repeat(gap)),
        Span::styled(right, theme.faint),
    ])
}
