//! The prompt that is being written, and what is on its way.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget;
use ratatui_textarea::TextArea;
use ropewalk_protocol::AskKind;

use crate::app::action::Action;
use crate::app::event::Link;
use crate::app::pending::Meant;
use crate::app::place::Target;
use crate::app::state::{Focus, State};
use crate::app::tree::{Condition, agent_name};
use crate::text::wrap::{cut, line_cells};

use super::put;

/// Draws it; where its cursor is.
pub(super) fn draw(buffer: &mut Buffer, state: &State, area: Rect) -> Option<Position> {
    let theme = &state.theme;
    let has_focus = state.focus == Focus::Composer;
    label(buffer, state, Rect { height: 1, ..area });
    let composer = state.composer()?;
    let mark = if has_focus { theme.accent } else { theme.faint };
    let body = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
    put(buffer, body, &Line::styled(" > ", mark));
    let text = Rect { x: body.x + 3, width: body.width.saturating_sub(3), ..body };
    if text.area() == 0 {
        return None;
    }
    let cursor = area_cursor(buffer, composer.editor.area(), text);
    if composer.editor.is_empty() && !has_focus {
        let key = if state.focus == Focus::Tree { Action::Write } else { Action::ReadCompose };
        put(buffer, text, &Line::styled(format!("{} writes a prompt", state.key_of(key)), theme.faint));
    }
    completion(buffer, state, area);
    cursor
}

/// Draws a text that is edited; where its cursor is.
pub(super) fn area_cursor(buffer: &mut Buffer, area: &TextArea<'static>, place: Rect) -> Option<Position> {
    let mut shown = area.clone();
    // The terminal's own cursor is shown instead: people who cannot see the screen are led by it.
    shown.set_cursor_style(ratatui::style::Style::default());
    (&shown).render(place, buffer);
    let (cursor, (top, left)) = (shown.screen_cursor(), shown.scroll_offset());
    let x = place.x + u16::try_from(cursor.col).unwrap_or(u16::MAX).saturating_sub(left);
    let y = place.y + u16::try_from(cursor.row).unwrap_or(u16::MAX).saturating_sub(top);
    Some(Position::new(x.min(place.right().saturating_sub(1)), y.min(place.bottom().saturating_sub(1))))
}

/// What becomes of it when it is sent.
fn label(buffer: &mut Buffer, state: &State, area: Rect) {
    let theme = &state.theme;
    let style = if state.focus == Focus::Composer { theme.border_focused } else { theme.border };
    put(buffer, area, &Line::styled(theme.glyphs.rule.repeat(usize::from(area.width)), style));
    let mut spans = vec![Span::styled(format!("{} ", theme.glyphs.rule), style)];
    let has_turn = state.structured().is_some_and(|agent| agent.turn.is_some());
    let (send, enqueue) = (state.key_of(Action::Send), state.key_of(Action::Enqueue));
    match state.target() {
        Target::Start => {
            let provider = state.providers.get(state.provider).map_or("no agent", |provider| provider.label.as_str());
            spans.push(Span::styled(format!("to {provider} "), theme.accent));
            spans.push(Span::styled(format!("{send} starts it "), theme.faint));
        }
        _ => {
            let name = state.agent().map(agent_name).unwrap_or_default();
            spans.push(Span::styled(format!("to {name} "), theme.accent));
            let is_held = state.structured().is_some_and(|agent| agent.held.is_some());
            let is_over = state.agent().is_some_and(|agent| Condition::of(agent).0.is_over());
            let how = if is_over {
                "it has ended and takes no prompt ".to_owned()
            } else if is_held && !has_turn {
                format!("{send}: waits until it goes on, :release has it go on ")
            } else if state.open_ask().is_some_and(|ask| ask.kind == AskKind::Question) {
                format!("{send} answers what it asks ")
            } else if state.open_ask().is_some_and(crate::app::shows_options) {
                format!("{send}: a number answers, words go into the turn · {enqueue}: after it ")
            } else if has_turn {
                format!("{send}: into the turn · {enqueue}: after it ")
            } else {
                format!("{send} sends ")
            };
            spans.push(Span::styled(how, theme.faint));
        }
    }
    if state.composer().is_some_and(crate::app::composer::Composer::has_stash) {
        spans.push(Span::styled(format!("· a draft is put away ({}) ", state.key_of(Action::Stash)), theme.faint));
    }
    // What is on its way goes before what may be done: that is known.
    if let Some(waits) = on_its_way(state) {
        spans.insert(2, waits);
    }
    let room = usize::from(area.width);
    if line_cells(&spans) > room {
        let text: String = spans.iter().map(|span| span.content.as_ref()).collect();
        return put(buffer, area, &Line::styled(cut(&text, room, theme.glyphs.more).into_owned(), style));
    }
    put(buffer, area, &Line::from(spans));
}

/// What was sent and is not answered.
fn on_its_way(state: &State) -> Option<Span<'static>> {
    let word = |meant: &Meant| match meant {
        Meant::Prompt { label, .. } => Some(*label),
        Meant::Start { .. } => Some("starting"),
        Meant::Spawn(..) | Meant::Answer { .. } | Meant::Edit { .. } | Meant::Cancel { .. } | Meant::Other(_) => None,
    };
    let waits: Vec<_> = state.pending.iter().filter_map(word).collect();
    let what = match (&state.link, waits.len()) {
        (_, 0) => return None,
        (Link::Up { .. }, _) => waits.join(", "),
        (_, count) => format!("{count} kept until the daemon is back"),
    };
    Some(Span::styled(format!("{what} … "), state.theme.waiting))
}

/// Files that may be meant, above the prompt.
fn completion(buffer: &mut Buffer, state: &State, area: Rect) {
    let Some(completion) = state.composer().and_then(|composer| composer.completion.as_ref()) else { return };
    let theme = &state.theme;
    let rows = u16::try_from(completion.files.len()).unwrap_or(u16::MAX).min(8).min(area.y);
    let width = area.width.min(60);
    let first = completion.selected.saturating_sub(usize::from(rows).saturating_sub(1));
    let list = Rect { x: area.x, y: area.y - rows, width, height: rows };
    super::clear(buffer, list, theme.text);
    for ((at, file), y) in completion.files.iter().enumerate().skip(first).zip(list.top()..list.bottom()) {
        let row = Rect { y, height: 1, ..list };
        let file = cut(file, usize::from(width).saturating_sub(3), theme.glyphs.more);
        put(buffer, row, &Line::styled(format!(" @{file}"), theme.link));
        if at == completion.selected {
            buffer.set_style(row, theme.selected);
        }
    }
}
