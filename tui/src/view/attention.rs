//! What waits for a person: the questions, and the one that is seen in full.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Span};
use ropewalk_protocol::{AskKind, InteractionView};

use crate::app::action::Action;
use crate::app::overlay::Attention;
use crate::app::state::State;
use crate::app::tree::name_of;
use crate::text::clean::one_line;
use crate::text::tool;
use crate::text::units;
use crate::text::wrap::cut;

use super::over::{frame, inside, middle, sentence};
use super::{prompt, put};

/// Where everything is.
struct Places {
    area: Rect,
    /// Questions that are listed.
    listed: u16,
    /// What is asked.
    body: Rect,
    /// What is typed; without rows if nothing is.
    field: Rect,
}

/// What is asked, in full, and where.
fn laid_out(state: &State, attention: &Attention) -> (Vec<Line<'static>>, Places) {
    let count = state.asks.len();
    let width = middle(state, 110, 1).width.saturating_sub(4);
    let lines = state.seen_ask().map(|seen| full(state, seen, width)).unwrap_or_default();
    let rows = lines.len() + if count > 1 { count + 1 } else { 0 } + if attention.answer.is_some() { 4 } else { 0 } + 2;
    let most = state.size.rows.saturating_sub(4);
    let area = middle(state, 110, u16::try_from(rows).unwrap_or(most).clamp(5, most.max(5)));
    let inner = inside(area);
    // The list has a third of the room at most; what is asked has the rest.
    let listed = u16::try_from(count).unwrap_or(u16::MAX).min((inner.height / 3).max(1));
    let taken = if count > 1 { listed + 1 } else { 0 };
    let field = if attention.answer.is_some() { 4.min(inner.height) } else { 0 };
    let body = Rect { y: inner.y + taken, height: inner.height.saturating_sub(taken + field), ..inner };
    let field = Rect { y: inner.bottom() - field, height: field, ..inner };
    (lines, Places { area, listed, body, field })
}

/// Lines of the question that is seen that lie below what is on the screen.
pub(crate) fn lines_below(state: &State, attention: &Attention) -> usize {
    let (lines, Places { body, .. }) = laid_out(state, attention);
    let height = usize::from(body.height);
    let top = attention.top.min(lines.len().saturating_sub(height));
    lines.len().saturating_sub(top + height)
}

pub(super) fn draw(buffer: &mut Buffer, state: &State, attention: &Attention) -> Option<Position> {
    let theme = &state.theme;
    let count = state.asks.len();
    let (lines, Places { area, listed, body, field }) = laid_out(state, attention);
    frame(
        buffer,
        state,
        area,
        &match count {
            0 => "questions".to_owned(),
            1 => "1 question waits for you".to_owned(),
            _ => format!("{count} questions wait for you"),
        },
    );
    let inner = inside(area);
    let Some(seen) = state.seen_ask() else {
        let word = match (attention.selected, count) {
            (Some(_), 0) => "this question is closed; nothing else waits for you",
            (Some(_), _) => "this question is closed",
            (None, _) => "nothing waits for you",
        };
        put(buffer, inner, &Line::styled(word, theme.waiting));
        if count > 0 {
            let next = format!("{} shows the next one", state.key_of(Action::AskNext));
            put(buffer, Rect { y: inner.y + 1, height: 1, ..inner }, &Line::styled(next, theme.faint));
        }
        return None;
    };
    let selected = state.asks.iter().position(|ask| ask.interaction == seen.interaction).unwrap_or(0);
    let first = selected.saturating_sub(usize::from(listed) - 1);
    if count > 1 {
        for ((at, ask), y) in state.asks.iter().enumerate().skip(first).zip(inner.top()..inner.top() + listed) {
            let place = Rect { y, height: 1, ..inner };
            put(buffer, place, &row(state, ask, usize::from(inner.width)));
            if at == selected {
                buffer.set_style(place, theme.selected);
            }
        }
    }
    let top = attention.top.min(lines.len().saturating_sub(usize::from(body.height)));
    for (line, y) in lines.iter().skip(top).zip(body.top()..body.bottom()) {
        put(buffer, Rect { y, height: 1, ..body }, line);
    }
    let below = lines_below(state, attention);
    if below > 0 {
        let more = format!(" {below} more lines: pagedown ");
        let at = Rect { y: body.bottom().saturating_sub(1), height: 1, ..body };
        super::clear(buffer, at, theme.text);
        put(buffer, at, &Line::styled(more, theme.waiting.add_modifier(ratatui::style::Modifier::REVERSED)));
    }
    let editor = attention.answer.as_ref()?;
    put(buffer, field, &Line::styled(theme.glyphs.rule.repeat(usize::from(field.width)), theme.border));
    let typed = Rect { y: field.y + 1, height: field.height.saturating_sub(1), ..field };
    prompt::area_cursor(buffer, editor.area(), typed)
}

fn row(state: &State, ask: &InteractionView, width: usize) -> Line<'static> {
    let theme = &state.theme;
    let session = state.tree.get(ask.session).map(name_of).unwrap_or_default();
    let mark = if state.pending.answers(ask.interaction) { theme.glyphs.running } else { theme.glyphs.question };
    let text = one_line(&tool::summary(&ask.title, &ask.detail).text);
    Line::from(vec![
        Span::styled(format!("{mark} "), theme.waiting),
        Span::styled(
            format!("{} ", cut(&one_line(&format!("{session}/{}", ask.name)), 30, theme.glyphs.more)),
            theme.accent,
        ),
        Span::styled(format!("{} ", units::age(state.now.since(ask.at))), theme.faint),
        Span::styled(cut(&text, width.saturating_sub(38), theme.glyphs.more).into_owned(), theme.text),
    ])
}

/// What is asked, in full: what will run, where, and the ways to answer.
fn full(state: &State, ask: &InteractionView, width: u16) -> Vec<Line<'static>> {
    let theme = &state.theme;
    let session = state.tree.get(ask.session);
    let name = session.map(name_of).unwrap_or_default();
    let directory = session.and_then(|session| session.workspace.clone()).unwrap_or_default();
    let mut lines =
        sentence(&crate::text::clean::visible_line(&format!("{name}/{} asks", ask.name)), theme.heading, width);
    lines.extend(sentence(&crate::text::clean::visible_line(&format!("in {directory}")), theme.faint, width));
    lines.push(Line::default());
    lines.extend(sentence(&crate::text::clean::visible_line(&ask.title), theme.strong, width));
    lines.extend(tool::in_full(&ask.detail, width, theme));
    lines.push(Line::default());
    if crate::app::shows_options(ask) {
        for (number, option) in (1..).zip(&ask.options) {
            lines.extend(sentence(&format!("{number}  {}", one_line(&option.name)), theme.text, width));
        }
    }
    let keys = match ask.kind {
        AskKind::Permission => format!(
            "{}: allow once   {}: always   {}: deny, with a reason",
            state.key_of(Action::AskAllow),
            state.key_of(Action::AskAlways),
            state.key_of(Action::AskDeny)
        ),
        AskKind::Choice => format!("a number chooses   {}: deny", state.key_of(Action::AskDeny)),
        AskKind::Question => "type the answer, and press enter".to_owned(),
    };
    lines.extend(sentence(&keys, theme.waiting, width));
    if let Some(expires) = ask.expires {
        let left = expires.since(state.now);
        lines.extend(sentence(&format!("in {} it is denied by itself", units::duration(left)), theme.warning, width));
    }
    if state.pending.answers(ask.interaction) {
        lines.extend(sentence("an answer is on its way", theme.running, width));
    }
    lines
}
