//! The screen as a function of the state.
//!
//! - `tree`: the sessions; `pane`: what is said with an agent; `program`: a program's screen; `start`: a session to be started
//! - `prompt`: what is being written; `status`: the daemon, the budget, the client's own words, keys
//! - `over`, `attention`, `help`: what lies over the screen

mod attention;
mod help;
mod over;
mod pane;
mod program;
mod prompt;
mod start;
mod status;
pub(crate) mod tree;

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget;

use crate::app::overlay::Overlay;
use crate::app::place::Target;
use crate::app::state::{Focus, State};
use crate::app::tree::Condition;
use crate::text::theme::Theme;

/// Draws the screen.
pub fn draw(frame: &mut Frame<'_>, state: &State) {
    let area = frame.area();
    frame.buffer_mut().set_style(area, state.theme.text);
    let layout = state.layout();
    for (at, (target, pane)) in state.place.panes.iter().zip(&layout.panes).enumerate() {
        if pane.whole.area() == 0 {
            continue;
        }
        let has_focus = at == state.place.focused && state.focus != Focus::Tree;
        pane::head(frame.buffer_mut(), state, *target, pane.head, has_focus && layout.panes.len() > 1);
        match target {
            Target::Start => start::draw(frame.buffer_mut(), state, pane.body),
            Target::Agent(_, agent) => pane::draw(frame.buffer_mut(), state, *agent, pane.body),
            Target::Terminal(_, terminal) => {
                let cursor = program::draw(frame.buffer_mut(), state, *terminal, pane.body);
                if let (true, Focus::Program, None, Some(cursor)) = (has_focus, state.focus, &state.overlay, cursor) {
                    frame.set_cursor_position(cursor);
                }
            }
        }
        if pane.whole.right() < area.right() && layout.panes.len() > 1 {
            rule(frame.buffer_mut(), &state.theme, Rect { x: pane.whole.right(), width: 1, ..pane.whole });
        }
    }
    if layout.composer.height > 0 {
        let cursor = prompt::draw(frame.buffer_mut(), state, layout.composer);
        if let (Focus::Composer, None, Some(cursor)) = (state.focus, &state.overlay, cursor) {
            frame.set_cursor_position(cursor);
        }
    }
    if let Some(tree) = layout.tree {
        tree::draw(frame.buffer_mut(), state, tree);
        if tree.right() < area.right() {
            let height = layout.status.y.saturating_sub(tree.y);
            rule(frame.buffer_mut(), &state.theme, Rect { x: tree.right(), y: tree.y, width: 1, height });
        }
    }
    status::draw(frame.buffer_mut(), state, layout.status, layout.hints);
    if let Some(cursor) = over::draw(frame.buffer_mut(), state) {
        frame.set_cursor_position(cursor);
    }
}

/// How many lines the long text over the screen has: the help, or what a command said.
pub(crate) fn long_text_lines(state: &State) -> usize {
    match &state.overlay {
        Some(Overlay::Help { .. }) => help::lines(state, over::text_width(state)).len(),
        Some(Overlay::Pager { text, .. }) => over::pager_lines(state, text).len(),
        _ => 0,
    }
}

/// Lines of the question that is seen that lie below what is on the screen.
pub(crate) fn question_lines_below(state: &State, attention: &crate::app::overlay::Attention) -> usize {
    attention::lines_below(state, attention)
}

/// Where what is said with an agent is in its pane: without the words above and below it.
pub(crate) fn body_of(state: &State, agent: ropewalk_protocol::AgentId, area: Rect) -> Rect {
    pane::body(state, agent, area)
}

/// A vertical line.
fn rule(buffer: &mut Buffer, theme: &Theme, area: Rect) {
    for y in area.top()..area.bottom() {
        put(buffer, Rect { y, height: 1, ..area }, &Line::styled(theme.glyphs.bar, theme.border));
    }
}

/// A line of text, cut where the room ends. What is beside it stays as it is, and of what was below it nothing stays.
fn put(buffer: &mut Buffer, area: Rect, line: &Line<'_>) {
    let area = area.intersection(buffer.area);
    let width = u16::try_from(line.width()).unwrap_or(area.width).min(area.width);
    let area = Rect { width, height: area.height.min(1), ..area };
    for place in area.positions() {
        buffer[place].modifier = Modifier::empty();
    }
    if area.area() > 0 {
        line.render(area, buffer);
    }
}

/// Makes room for what lies over something.
fn clear(buffer: &mut Buffer, area: Rect, style: Style) {
    ratatui::widgets::Clear.render(area.intersection(buffer.area), buffer);
    buffer.set_style(area.intersection(buffer.area), style);
}

/// The sign and the style of what something is doing.
fn sign(condition: Condition, theme: &Theme) -> Span<'static> {
    let glyphs = &theme.glyphs;
    let (sign, style) = match condition {
        Condition::Waiting => (glyphs.question, theme.waiting),
        Condition::Stalled => (glyphs.warning, theme.warning),
        Condition::Working | Condition::Stopping | Condition::Starting | Condition::Running | Condition::Ending => {
            (glyphs.running, theme.running)
        }
        Condition::Parked => ("=", theme.warning),
        Condition::Idle => (glyphs.ok, theme.ok),
        Condition::Stopped | Condition::Empty => ("-", theme.faint),
        Condition::Failed | Condition::TurnFailed => (glyphs.failed, theme.error),
        Condition::Ended => (".", theme.faint),
    };
    Span::styled(sign, style)
}

/// The style of the word for what something is doing.
fn condition_style(condition: Condition, theme: &Theme) -> Style {
    match condition {
        Condition::Waiting => theme.waiting,
        Condition::Stalled | Condition::Parked => theme.warning,
        Condition::Working | Condition::Stopping | Condition::Starting | Condition::Running | Condition::Ending => {
            theme.running
        }
        Condition::Failed | Condition::TurnFailed => theme.error,
        Condition::Idle | Condition::Stopped | Condition::Empty | Condition::Ended => theme.faint,
    }
}

/// How long something has been so: by the second while that matters, else by the minute.
fn age(state: &State, condition: Condition, since: ropewalk_protocol::Timestamp) -> String {
    let age = state.now.since(since);
    if condition.is_busy() || age.as_secs() >= 60 { crate::text::units::age(age) } else { "now".to_owned() }
}
