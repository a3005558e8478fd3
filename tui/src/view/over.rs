//! What lies over the screen: lists, lines that are typed, questions, long texts, and the keys that may follow.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::app::overlay::{Ask, Overlay, Picker, Purpose, Queue, Timeline};
use crate::app::search::Search;
use crate::app::state::State;
use crate::text::clean::one_line;
use crate::text::units;
use crate::text::wrap::{Indent, cells, cut, wrap};

use super::{attention, clear, help, prompt, put};

/// A long text in a window is no wider: longer lines are hard to read.
const TEXT_COLUMNS: u16 = 110;

/// Draws it; where a cursor is, if something is typed there.
pub(super) fn draw(buffer: &mut Buffer, state: &State) -> Option<Position> {
    if !state.pressed.is_empty() {
        which_key(buffer, state);
    }
    match state.overlay.as_ref()? {
        Overlay::Help { top } => {
            text(buffer, state, "help", &help::lines(state, text_width(state)), *top);
            None
        }
        Overlay::Pager { title, text: shown, top } => {
            text(buffer, state, title, &pager_lines(state, shown), *top);
            None
        }
        Overlay::Picker(picker) => self::picker(buffer, state, picker),
        Overlay::Line(ask) => line(buffer, state, ask),
        Overlay::Attention(attention) => attention::draw(buffer, state, attention),
        Overlay::Queue(queue) => self::queue(buffer, state, queue),
        Overlay::Timeline(timeline) => {
            self::timeline(buffer, state, timeline);
            None
        }
        Overlay::Search(search) => Some(self::search(buffer, state, search)),
        Overlay::Confirm { question, .. } => {
            let area = bottom(state, 3);
            frame(buffer, state, area, "sure?");
            let inner = inside(area);
            put(
                buffer,
                inner,
                &Line::from(vec![
                    Span::styled(question.clone(), state.theme.warning),
                    Span::styled("  y / n", state.theme.strong),
                ]),
            );
            None
        }
    }
}

/// Cells in a line of a long text.
pub(super) fn text_width(state: &State) -> u16 {
    inside(middle(state, TEXT_COLUMNS, state.size.rows)).width
}

/// The lines of a long text, as they are shown.
pub(super) fn pager_lines(state: &State, text: &str) -> Vec<Line<'static>> {
    let (width, style) = (text_width(state), state.theme.text);
    let lines = text.lines().map(one_line_kept);
    lines.flat_map(|line| if line.is_empty() { vec![Line::default()] } else { sentence(&line, style, width) }).collect()
}

/// Blanks stay, so that columns of a command's output do.
fn one_line_kept(line: &str) -> String {
    crate::text::clean::clean(line).replace('\n', " ")
}

/// A window of so many columns and rows in the middle of the screen, as far as there is room.
pub(super) fn middle(state: &State, columns: u16, rows: u16) -> Rect {
    let (width, height) = (state.size.cols, state.size.rows.saturating_sub(2));
    let (columns, rows) = (columns.min(width), rows.min(height));
    Rect::new((width - columns) / 2, (height - rows) / 2, columns, rows)
}

fn bottom(state: &State, rows: u16) -> Rect {
    let height = state.size.rows.saturating_sub(1);
    let rows = rows.min(height);
    Rect::new(0, height - rows, state.size.cols, rows)
}

/// A window with a title.
pub(super) fn frame(buffer: &mut Buffer, state: &State, area: Rect, title: &str) {
    use ratatui::widgets::{Block, BorderType, Borders, Widget};
    clear(buffer, area, state.theme.text);
    let set = if state.settings.is_plain { BorderType::Plain } else { BorderType::Rounded };
    let title =
        Span::styled(format!(" {} ", cut(title, usize::from(area.width).saturating_sub(6), "…")), state.theme.heading);
    Block::new()
        .borders(Borders::ALL)
        .border_type(set)
        .border_style(state.theme.border_focused)
        .title(title)
        .render(area, buffer);
}

/// What is within a window's border.
pub(super) fn inside(area: Rect) -> Rect {
    Rect { x: area.x + 2, y: area.y + 1, width: area.width.saturating_sub(4), height: area.height.saturating_sub(2) }
}

fn text(buffer: &mut Buffer, state: &State, title: &str, lines: &[Line<'_>], top: usize) {
    let rows = u16::try_from(lines.len()).unwrap_or(u16::MAX).saturating_add(2);
    let area = middle(state, TEXT_COLUMNS, rows);
    let inner = inside(area);
    let last = top + usize::from(inner.height);
    let more = if last < lines.len() { format!("{title}: {} of {}", last, lines.len()) } else { title.to_owned() };
    frame(buffer, state, area, &more);
    for (line, y) in lines.iter().skip(top).zip(inner.top()..inner.bottom()) {
        put(buffer, Rect { y, height: 1, ..inner }, line);
    }
}

/// The rows of a list around the one that is taken.
fn list<'a>(buffer: &mut Buffer, state: &State, area: Rect, rows: impl Iterator<Item = Line<'a>>, selected: usize) {
    let height = usize::from(area.height);
    let first = selected.saturating_sub(height.saturating_sub(1).max(height / 2));
    for ((at, row), y) in rows.enumerate().skip(first).zip(area.top()..area.bottom()) {
        let place = Rect { y, height: 1, ..area };
        put(buffer, place, &row);
        if at == selected {
            buffer.set_style(place, state.theme.selected);
        }
    }
}

fn picker(buffer: &mut Buffer, state: &State, picker: &Picker) -> Option<Position> {
    let theme = &state.theme;
    let area = middle(state, 100, 24);
    frame(buffer, state, area, &picker.title);
    let inner = inside(area);
    put(buffer, inner, &Line::styled("/ ", theme.accent));
    let field = Rect { x: inner.x + 2, width: inner.width.saturating_sub(2), height: 1, ..inner };
    let cursor = prompt::area_cursor(buffer, picker.filter.area(), field);
    let rows = Rect { y: inner.y + 1, height: inner.height.saturating_sub(1), ..inner };
    let fitting = picker.fitting();
    if fitting.is_empty() {
        put(buffer, rows, &Line::styled("nothing fits", theme.faint));
    }
    let widest =
        fitting.iter().map(|choice| cells(&choice.label)).max().unwrap_or(0).min(usize::from(inner.width) / 2).max(10);
    let has_notes = fitting.iter().any(|choice| !choice.note.is_empty());
    let lines = fitting.into_iter().map(|choice| {
        if !has_notes {
            return Line::styled(
                cut(&choice.label, usize::from(inner.width), theme.glyphs.more).into_owned(),
                theme.text,
            );
        }
        let label = cut(&choice.label, widest, theme.glyphs.more).into_owned();
        let gap = " ".repeat(widest.saturating_sub(cells(&label)) + 2);
        Line::from(vec![
            Span::styled(label, theme.text),
            Span::raw(gap),
            Span::styled(
                cut(&choice.note, usize::from(inner.width).saturating_sub(widest + 2), theme.glyphs.more).into_owned(),
                theme.faint,
            ),
        ])
    });
    list(buffer, state, rows, lines, picker.selected);
    cursor
}

fn line(buffer: &mut Buffer, state: &State, ask: &Ask) -> Option<Position> {
    let theme = &state.theme;
    let (title, mark) = match ask.purpose {
        Purpose::Command => ("command", ":"),
        Purpose::Filter => ("filter: words, !without", "/"),
        Purpose::Search => ("search in what was said", "/"),
        Purpose::Rename(_) => ("the session's new name", ">"),
        Purpose::Deny(_) => ("why not? the agent reads it; may be empty", ">"),
    };
    let error = ask.error.as_deref();
    let area = bottom(state, 3 + u16::from(error.is_some()));
    frame(buffer, state, area, title);
    let inner = inside(area);
    put(buffer, inner, &Line::styled(mark, theme.accent));
    if let Some(error) = error {
        put(buffer, Rect { y: inner.y + 1, height: 1, ..inner }, &Line::styled(one_line(error), theme.error));
    }
    if ask.purpose == Purpose::Command {
        verb_hint(buffer, state, ask, area);
    }
    prompt::area_cursor(
        buffer,
        ask.editor.area(),
        Rect { x: inner.x + 2, width: inner.width.saturating_sub(2), height: 1, ..inner },
    )
}

/// The commands that what is typed may become, above the line.
fn verb_hint(buffer: &mut Buffer, state: &State, ask: &Ask, area: Rect) {
    let theme = &state.theme;
    let typed = ask.editor.text();
    let word = typed.split_whitespace().next().unwrap_or_default();
    let has_more = typed.contains(' ');
    let fits = |name: &str| if has_more { name == word } else { name.starts_with(word) };
    let found: Vec<_> = crate::app::verbs::VERBS.iter().filter(|verb| fits(verb.name)).take(8).collect();
    let rows = u16::try_from(found.len()).unwrap_or(0).min(area.y);
    let above = Rect { y: area.y - rows, height: rows, ..area };
    clear(buffer, above, theme.text);
    for (verb, y) in found.into_iter().zip(above.top()..above.bottom()) {
        let line = Line::from(vec![
            Span::styled(format!("  {:<10}", verb.name), theme.accent),
            Span::styled(format!("{:<34}", verb.usage), theme.text),
            Span::styled(cut(verb.help, usize::from(area.width).saturating_sub(46), theme.glyphs.more), theme.faint),
        ]);
        put(buffer, Rect { y, height: 1, ..above }, &line);
    }
}

fn queue(buffer: &mut Buffer, state: &State, queue: &Queue) -> Option<Position> {
    let theme = &state.theme;
    let count = queue.prompts.as_ref().map_or(1, Vec::len).max(1) + if queue.editor.is_some() { 4 } else { 0 };
    let area = middle(state, 100, u16::try_from(count + 2).unwrap_or(u16::MAX).min(18));
    frame(buffer, state, area, "prompts that wait, the next one first");
    let inner = inside(area);
    let field = queue
        .editor
        .as_ref()
        .map(|editor| (editor, Rect { y: inner.bottom().saturating_sub(4), height: inner.height.min(4), ..inner }));
    let rows =
        Rect { height: inner.height.saturating_sub(field.as_ref().map_or(0, |(_, field)| field.height)), ..inner };
    match &queue.prompts {
        None => put(buffer, rows, &Line::styled("…", theme.faint)),
        Some(prompts) if prompts.is_empty() => put(buffer, rows, &Line::styled("no prompt waits", theme.faint)),
        Some(prompts) => {
            let lines = (1..).zip(prompts).map(|(number, prompt)| {
                let how = match prompt.delivery {
                    ropewalk_protocol::Delivery::AfterTurn => "after the turn",
                    ropewalk_protocol::Delivery::Steer => "into the turn",
                    ropewalk_protocol::Delivery::Interrupt => "at once",
                };
                Line::from(vec![
                    Span::styled(format!("{number:>2}. "), theme.faint),
                    Span::styled(format!("{how:<15} "), theme.accent),
                    Span::styled(one_line(&prompt.preview), theme.text),
                ])
            });
            list(buffer, state, rows, lines, queue.selected);
        }
    }
    let (editor, field) = field?;
    put(buffer, field, &Line::styled(theme.glyphs.rule.repeat(usize::from(field.width)), theme.border));
    prompt::area_cursor(buffer, editor.area(), Rect { y: field.y + 1, height: field.height.saturating_sub(1), ..field })
}

fn timeline(buffer: &mut Buffer, state: &State, timeline: &Timeline) {
    let theme = &state.theme;
    let area = middle(state, 110, state.size.rows.saturating_sub(4));
    frame(buffer, state, area, "what happened, the newest first");
    let inner = inside(area);
    if timeline.entries.is_empty() {
        let text = match (&timeline.failed, timeline.is_asked) {
            (Some(failed), _) => failed.clone(),
            (None, true) => "…".to_owned(),
            (None, false) => "nothing has happened yet".to_owned(),
        };
        return put(buffer, inner, &Line::styled(text, theme.faint));
    }
    let lines = timeline.entries.iter().map(|entry| {
        Line::from(vec![
            Span::styled(format!("{:>7} ", entry.seq), theme.faint),
            Span::styled(format!("{:>4}  ", units::age(state.now.since(entry.at))), theme.faint),
            Span::styled(
                cut(&one_line(&entry.text), usize::from(inner.width).saturating_sub(15), theme.glyphs.more)
                    .into_owned(),
                theme.text,
            ),
        ])
    });
    list(buffer, state, inner, lines, timeline.selected);
}

fn search(buffer: &mut Buffer, state: &State, search: &Search) -> Position {
    let theme = &state.theme;
    let area = middle(state, 110, state.size.rows.saturating_sub(4));
    frame(buffer, state, area, "search what was said, in all sessions");
    let inner = inside(area);
    put(buffer, inner, &Line::styled("/ ", theme.accent));
    let field = Rect { x: inner.x + 2, width: inner.width.saturating_sub(2), height: 1, ..inner };
    let cursor = prompt::area_cursor(buffer, search.editor.area(), field);
    let word = match (search.text.is_empty(), search.is_running, search.hits.len(), search.reached) {
        (true, ..) => "type, and press enter".to_owned(),
        (_, true, found, _) => format!("{found} found, searching further back …"),
        (_, false, found, Some(seq)) => format!("{found} found, back to event {seq}"),
        (_, false, found, None) => format!("{found} found"),
    };
    put(buffer, Rect { y: inner.y + 1, height: 1, ..inner }, &Line::styled(word, theme.faint));
    let rows = Rect { y: inner.y + 2, height: inner.height.saturating_sub(2), ..inner };
    let lines = search.hits.iter().map(|hit| {
        let name = state.tree.get(hit.session).map_or_else(|| "gone".to_owned(), crate::app::tree::name_of);
        Line::from(vec![
            Span::styled(format!("{:<16} ", cut(&name, 16, theme.glyphs.more)), theme.accent),
            Span::styled(format!("{:>4} ", units::age(state.now.since(hit.at))), theme.faint),
            Span::styled(one_line(&hit.excerpt), theme.text),
        ])
    });
    list(buffer, state, rows, lines, search.selected);
    cursor.unwrap_or_default()
}

/// What may follow the keys that were pressed.
fn which_key(buffer: &mut Buffer, state: &State) {
    let theme = &state.theme;
    let mut next: Vec<(String, &str)> = state
        .settings
        .keymap
        .continuations(state.scopes(), &state.pressed)
        .into_iter()
        .map(|(key, action)| (key.to_string(), action.row().name))
        .collect();
    if state.pressed == [state.settings.keymap.leader()] {
        next.push(("1-9".to_owned(), "session"));
    }
    let columns = (state.size.cols / 26).max(1);
    let rows = u16::try_from(next.len()).unwrap_or(0).div_ceil(columns);
    let area = bottom(state, rows + 2);
    let pressed: Vec<_> = state.pressed.iter().map(ToString::to_string).collect();
    frame(buffer, state, area, &format!("{} …", pressed.join(" ")));
    let inner = inside(area);
    let width = inner.width / columns;
    for (at, (key, name)) in (0u16..).zip(next) {
        let place = Rect { x: inner.x + (at / rows.max(1)) * width, y: inner.y + at % rows.max(1), width, height: 1 };
        let line = Line::from(vec![
            Span::styled(format!("{key:>5} "), theme.accent),
            Span::styled(name.replace('_', " "), theme.text),
        ]);
        put(buffer, place.intersection(inner), &line);
    }
}

/// Wraps a sentence.
pub(super) fn sentence(text: &str, style: Style, width: u16) -> Vec<Line<'static>> {
    wrap(&[Span::styled(text.to_owned(), style)], width, &Indent::default())
}
