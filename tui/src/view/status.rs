//! The daemon and the agent in a line, and below it the keys that may be pressed now.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ropewalk_protocol::AskKind;

use crate::app::action::Action;
use crate::app::event::Link;
use crate::app::overlay::Overlay;
use crate::app::place::Target;
use crate::app::state::{Focus, State, Toast};
use crate::text::units;
use crate::text::wrap::{cut, line_cells};

use super::put;

/// From this on it is told that what is shown may be old.
const LAG_SHOWN: std::time::Duration = std::time::Duration::from_secs(1);

/// The line that says how it is, and the one below it.
pub(super) fn draw(buffer: &mut Buffer, state: &State, area: Rect, hints: Rect) {
    let left = standing(state);
    let room = usize::from(area.width).saturating_sub(line_cells(&left) + 3);
    // A word that has no room beside what is always there has the line below for itself: it is worth more than hints.
    let is_below =
        state.toast.as_ref().is_some_and(|toast| hints.height > 0 && Span::raw(toast.text.as_str()).width() > room);
    line(buffer, state, area, left, state.toast.as_ref().filter(|_| !is_below));
    match state.toast.as_ref().filter(|_| is_below) {
        Some(toast) => put(buffer, hints, &Line::from(said(state, toast, usize::from(hints.width)))),
        None => keys_shown(buffer, state, hints),
    }
}

/// The client's own word, in so many columns.
fn said(state: &State, toast: &Toast, width: usize) -> Span<'static> {
    let theme = &state.theme;
    let style = if toast.is_error { theme.error } else { theme.strong };
    let text = cut(&toast.text, width.saturating_sub(2), theme.glyphs.more);
    Span::styled(format!(" {text} "), style)
}

/// How the daemon is reached, and whether anybody waits.
fn standing(state: &State) -> Vec<Span<'static>> {
    let mut left = vec![Span::raw(" "), link(state)];
    if !state.asks.is_empty() {
        let count = state.asks.len();
        let what = if count == 1 { "1 waits for you".to_owned() } else { format!("{count} wait for you") };
        left.push(Span::styled(format!(" {what} ({}) ", state.key_of(Action::Attention)), state.theme.waiting));
    }
    left
}

fn line(buffer: &mut Buffer, state: &State, area: Rect, mut left: Vec<Span<'static>>, toast: Option<&Toast>) {
    let theme = &state.theme;
    put(buffer, area, &Line::styled(theme.glyphs.rule.repeat(usize::from(area.width)), theme.border));
    let mut right = Vec::new();
    if let Some(agent) = state.structured() {
        if let Some(held) = &agent.held {
            let left = held.until.map(|until| units::duration(until.since(state.now)));
            let left = left.map(|left| format!(" for {left}")).unwrap_or_default();
            right.push(Span::styled(format!(" parked{left}: {} ", held.reason), theme.warning));
        }
        right.extend(budget(state));
    }
    if state.settings.read_only {
        right.push(Span::styled(" read-only ", theme.warning));
    }
    if let Some(toast) = toast {
        let room = usize::from(area.width).saturating_sub(line_cells(&left) + 1);
        left.push(said(state, toast, room));
        right.clear();
    }
    let width = usize::from(area.width);
    put(buffer, area, &Line::from(left.clone()));
    let room = width.saturating_sub(line_cells(&left) + 1);
    let right_cells = line_cells(&right);
    if right_cells > room
        && let Some(first) = right.first_mut()
    {
        // The reason gives way to the numbers beside it.
        let left_over = room.saturating_sub(right_cells - first.width());
        first.content = cut(&first.content, left_over, theme.glyphs.more).into_owned().into();
    }
    let right_cells = line_cells(&right);
    if right_cells <= room && right_cells > 0 {
        let cells = u16::try_from(right_cells).unwrap_or(area.width);
        put(buffer, Rect { x: area.right() - cells, width: cells, ..area }, &Line::from(right));
    }
}

fn link(state: &State) -> Span<'static> {
    let theme = &state.theme;
    let since = state.lost_since.map(|since| state.now.since(since).as_secs()).unwrap_or(0);
    match &state.link {
        Link::Up { .. } if state.lag() >= LAG_SHOWN => {
            Span::styled(format!("{}, {} s behind ", state.host, state.lag().as_secs()), theme.waiting)
        }
        Link::Up { .. } => Span::styled(format!("{} ", state.host), theme.ok),
        Link::Connecting if since < 2 => Span::styled("connecting … ", theme.faint),
        Link::Connecting => Span::styled(format!("connecting, {since} s "), theme.waiting),
        Link::Lost => Span::styled(format!("reconnecting, {since} s; drafts are kept "), theme.waiting),
        Link::Down { reason } => Span::styled(format!("{reason} "), theme.error),
    }
}

/// What is spent of the budget that is nearest to its end.
fn budget(state: &State) -> Option<Span<'static>> {
    let theme = &state.theme;
    let agent = state.structured()?;
    let session = state.target().session().and_then(|session| state.policies.get(&session));
    let own = [("this agent", &agent.budget, &agent.spent)].into_iter();
    let shared = session.into_iter().flat_map(|policy| {
        [("this session", &policy.budget, &policy.spent), ("today", &policy.day.budget, &policy.day.spent)]
    });
    let parts = own.chain(shared).flat_map(|(of, budget, spent)| {
        let share = |spent: u64, budget: Option<u64>| budget.map(|budget| spent.saturating_mul(100) / budget.max(1));
        [
            share(spent.cost_micro_usd, budget.cost_micro_usd).map(|percent| {
                (
                    percent,
                    format!(
                        "{} of {} for {of}",
                        units::dollars(Some(spent.cost_micro_usd)),
                        units::dollars(budget.cost_micro_usd)
                    ),
                )
            }),
            share(spent.tokens, budget.tokens).map(|percent| {
                (
                    percent,
                    format!(
                        "{} of {} tokens for {of}",
                        units::tokens(spent.tokens),
                        units::tokens(budget.tokens.unwrap_or(0))
                    ),
                )
            }),
            share(spent.turns, budget.turns)
                .map(|percent| (percent, format!("{} of {} turns for {of}", spent.turns, budget.turns.unwrap_or(0)))),
            share(spent.time_millis, budget.time_millis)
                .map(|percent| (percent, format!("{percent}% of the time for {of}"))),
        ]
    });
    let (percent, text) = parts.flatten().max_by_key(|(percent, _)| *percent)?;
    let style = if percent >= ropewalk_protocol::BUDGET_WARN_PERCENT { theme.warning } else { theme.faint };
    Some(Span::styled(format!(" {text} "), style))
}

/// The keys that may be pressed now.
fn keys_shown(buffer: &mut Buffer, state: &State, area: Rect) {
    let theme = &state.theme;
    let spans_of = |(key, what): (String, &'static str)| {
        [Span::styled(format!(" {key}"), theme.accent), Span::styled(format!(" {what} "), theme.faint)]
    };
    let mut keys = keys(state);
    // The last one explains, or leads out: it is there even if others are not.
    let last = keys.pop().map(spans_of).unwrap_or_default();
    let room = usize::from(area.width).saturating_sub(line_cells(&last));
    let mut spans = Vec::new();
    for added in keys.into_iter().map(spans_of) {
        if line_cells(&spans) + line_cells(&added) > room {
            break;
        }
        spans.extend(added);
    }
    spans.extend(last);
    put(buffer, area, &Line::from(spans));
}

fn keys(state: &State) -> Vec<(String, &'static str)> {
    let of = |actions: &[(Action, &'static str)]| {
        actions.iter().map(|(action, what)| (state.key_of(*action), *what)).collect::<Vec<_>>()
    };
    let fixed =
        |keys: &[(&str, &'static str)]| keys.iter().map(|(key, what)| ((*key).to_owned(), *what)).collect::<Vec<_>>();
    match (&state.overlay, state.focus) {
        (Some(Overlay::Attention(attention)), _) if attention.answer.is_some() && state.seen_ask().is_some() => {
            fixed(&[("enter", "answers"), ("esc", "back")])
        }
        (Some(Overlay::Attention(_)), _) => {
            let mut keys = match state.seen_ask().map(|ask| ask.kind) {
                Some(AskKind::Permission) => {
                    of(&[(Action::AskAllow, "allow once"), (Action::AskDeny, "deny"), (Action::AskAlways, "always")])
                }
                Some(AskKind::Choice) => {
                    [fixed(&[("1-9", "choose")]), of(&[(Action::AskDeny, "deny"), (Action::AskText, "type it")])]
                        .concat()
                }
                Some(AskKind::Question) => of(&[(Action::AskText, "type the answer"), (Action::AskDeny, "deny")]),
                None => Vec::new(),
            };
            if state.asks.len() > 1 {
                keys.extend(of(&[(Action::AskNext, "next")]));
            }
            if !state.asks.is_empty() {
                keys.extend(of(&[(Action::AskShow, "show")]));
            }
            keys.extend(of(&[(Action::ListClose, "close")]));
            keys
        }
        (Some(Overlay::Queue(queue)), _) if queue.editor.is_some() => {
            fixed(&[("enter", "changes it"), ("esc", "back")])
        }
        (Some(Overlay::Queue(_)), _) => of(&[
            (Action::QueueEdit, "edit"),
            (Action::QueueUp, "sooner"),
            (Action::QueueDown, "later"),
            (Action::QueueWithdraw, "take back"),
            (Action::ListClose, "close"),
        ]),
        (Some(Overlay::Confirm { .. }), _) => fixed(&[("y", "yes"), ("any other key", "no")]),
        (Some(Overlay::Line(_)), _) => of(&[(Action::ListChoose, "done"), (Action::ListClose, "close")]),
        (Some(Overlay::Help { .. } | Overlay::Pager { .. }), _) => {
            fixed(&[("j/k", "scroll"), ("any other key", "close")])
        }
        (Some(_), _) => of(&[
            (Action::ListChoose, "take it"),
            (Action::ListUp, "up"),
            (Action::ListDown, "down"),
            (Action::ListClose, "close"),
        ]),
        (None, Focus::Program) => fixed(&[("ctrl+\\", "leaves the program; every other key is its own")]),
        (None, Focus::Tree) => of(&[
            (Action::TreeOpen, "show"),
            (Action::TreeSplit, "beside"),
            (Action::TreeNew, "new"),
            (Action::TreeFilter, "filter"),
            (Action::TreeAll, "all directories"),
            (Action::TreeHelp, "help"),
            (Action::TreeBack, "back"),
        ]),
        (None, Focus::Reading) if matches!(state.target(), Target::Terminal(..)) => {
            let is_over = match state.target() {
                Target::Terminal(_, terminal) => {
                    state.lives.get(&terminal).is_some_and(|live| live.closed_at.is_some())
                }
                Target::Start | Target::Agent(..) => false,
            };
            let enter = if is_over { Vec::new() } else { of(&[(Action::Enter, "type into it")]) };
            let rest = of(&[
                (Action::LineUp, "scroll"),
                (Action::ReadBack, "sessions"),
                (Action::Palette, "everything"),
                (Action::ReadHelp, "help"),
            ]);
            enter.into_iter().chain(rest).collect()
        }
        (None, Focus::Reading) => {
            let answer = if state.open_ask().is_some() { of(&[(Action::Enter, "answer")]) } else { Vec::new() };
            let rest = of(&[
                (Action::ReadCompose, "write"),
                (Action::ItemUp, "select"),
                (Action::TurnUp, "turn"),
                (Action::Search, "search"),
                (Action::Fold, "open all"),
                (Action::ReadTimeline, "timeline"),
                (Action::ReadBack, "back"),
                (Action::ReadHelp, "help"),
            ]);
            answer.into_iter().chain(rest).collect()
        }
        (None, Focus::Composer) => {
            if !state.pressed.is_empty() {
                return fixed(&[("esc", "never mind")]);
            }
            let is_empty = state.composer().is_none_or(crate::app::composer::Composer::is_empty);
            let has_turn = state.structured().is_some_and(|agent| agent.turn.is_some());
            let is_stopping = state.structured().is_some_and(|agent| agent.cancelling.is_some());
            let stop = if is_stopping { "twice: end its process" } else { "twice: stop" };
            let mut keys = match (state.open_ask().is_some(), has_turn, state.target()) {
                (true, ..) if state.open_ask().is_some_and(|ask| ask.kind == AskKind::Permission) && is_empty => {
                    of(&[(Action::Send, "answer it"), (Action::Allow, "allow"), (Action::Deny, "deny")])
                }
                (true, ..) if is_empty || state.open_ask().is_some_and(|ask| ask.kind == AskKind::Question) => {
                    of(&[(Action::Send, "answer it"), (Action::Enqueue, "after the turn"), (Action::Deny, "deny")])
                }
                (_, _, Target::Start) => of(&[(Action::Send, "start"), (Action::Enqueue, "other agent")]),
                (_, true, _) => {
                    of(&[(Action::Send, "into the turn"), (Action::Enqueue, "after it"), (Action::Back, stop)])
                }
                (_, false, _) => of(&[(Action::Send, "send"), (Action::Back, "read")]),
            };
            if state.composer().is_some_and(crate::app::composer::Composer::has_folded) {
                keys.extend(of(&[(Action::Fold, "show the paste")]));
            }
            keys.extend(of(&[(Action::Tree, "sessions"), (Action::New, "new"), (Action::Palette, "everything")]));
            keys.push(("?".to_owned(), "help"));
            keys
        }
    }
}
