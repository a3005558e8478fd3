//! What is said with an agent.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ropewalk_protocol::{AgentId, Delivery, GapReason, PromptView, Seq};

use crate::app::action::Action;
use crate::app::place::Target;
use crate::app::state::{Focus, State};
use crate::app::talk::{Goal, Older, Paper, Talk};
use crate::app::tree::{Condition, agent_name, name_of};
use crate::text::units;
use crate::text::wrap::{cut, line_cells};

use super::{age, condition_style, put, sign};

/// Prompts that wait, and are seen below what was said.
const WAITING_SHOWN: usize = 3;

/// Who it is, what it is doing and since when, with what.
pub(super) fn head(buffer: &mut Buffer, state: &State, target: Target, area: Rect, has_focus: bool) {
    let theme = &state.theme;
    let style = if has_focus { theme.border_focused } else { theme.border };
    let fill = Line::styled(theme.glyphs.rule.repeat(usize::from(area.width)), style);
    put(buffer, area, &fill);
    let mut spans = vec![Span::styled(format!("{} ", theme.glyphs.rule), style)];
    let session = target.session().and_then(|session| state.tree.get(session));
    let Some(session) = session else {
        let title = if target == Target::Start { "a new session" } else { "…" };
        spans.push(Span::styled(format!("{title} "), theme.heading));
        return put(buffer, area, &Line::from(spans));
    };
    spans.push(Span::styled(name_of(session), theme.heading));
    if let Some(agent) = state.tree.agent(target) {
        let (condition, since) = Condition::of(agent);
        spans.push(Span::styled(format!("/{} ", agent_name(agent)), theme.heading));
        spans.push(sign(condition, theme));
        let since = age(state, condition, since.unwrap_or(session.status.since));
        spans.push(Span::styled(format!(" {} {since} ", condition.word()), condition_style(condition, theme)));
        let mut facts = Vec::new();
        if let Some(structured) = &agent.structured {
            facts.extend(structured.model.clone());
            facts.extend(structured.mode.clone());
            facts.extend(structured.usage.cost_micro_usd.map(|cost| units::dollars(Some(cost))));
            if let (Some(used), Some(max)) = (structured.usage.context_tokens, structured.usage.context_tokens_max) {
                facts.push(format!("context {}%", used.saturating_mul(100) / max.max(1)));
            }
            if structured.queued > 0 {
                facts.push(format!("{} queued", structured.queued));
            }
        } else {
            facts.push(agent.argv.join(" "));
        }
        let facts = crate::text::clean::one_line(&facts.join(" · "));
        let room = usize::from(area.width).saturating_sub(line_cells(&spans) + 2);
        if room > 6 && !facts.is_empty() {
            spans.push(Span::styled(format!("{} ", cut(&facts, room, theme.glyphs.more)), theme.faint));
        }
    }
    put(buffer, area, &Line::from(spans));
}

pub(super) fn draw(buffer: &mut Buffer, state: &State, agent: AgentId, area: Rect) {
    let theme = &state.theme;
    let Some(talk) = state.talks.get(&agent) else {
        return put(buffer, area, &Line::styled("…", theme.faint));
    };
    let body = body(state, agent, area);
    for (word, y) in words_above(state, talk).iter().zip(area.top()..body.top()) {
        put(buffer, Rect { y, height: 1, ..area }, word);
    }
    for (word, y) in waiting(state, agent).iter().zip(body.bottom()..area.bottom()) {
        put(buffer, Rect { y, height: 1, ..area }, word);
    }
    let paper = Paper { width: area.width, theme };
    let lines = talk.page(paper, usize::from(body.height));
    if lines.is_empty() {
        let text = match &talk.older {
            Older::Unknown | Older::Asked(_) => "…",
            Older::Failed(..) => "",
            Older::More(_) | Older::Whole => "nothing was said yet",
        };
        return put(buffer, body, &Line::styled(text, theme.faint));
    }
    // What is short stands at the top; a long one fills the page from its end.
    for ((_, line), y) in lines.iter().zip(body.top()..body.bottom()) {
        put(buffer, Rect { y, height: 1, ..body }, line);
    }
}

/// Where what was said is: between the words above it and the prompts that wait below it. Some lines of it are always seen.
pub(super) fn body(state: &State, agent: AgentId, area: Rect) -> Rect {
    let Some(talk) = state.talks.get(&agent) else { return area };
    let spare = area.height.saturating_sub(3);
    let above = u16::try_from(words_above(state, talk).len()).unwrap_or(u16::MAX).min(spare);
    let below = u16::try_from(waiting(state, agent).len()).unwrap_or(u16::MAX).min(spare - above);
    Rect { y: area.y + above, height: area.height - above - below, ..area }
}

/// The prompts that wait, below what was said.
fn waiting(state: &State, agent: AgentId) -> Vec<Line<'static>> {
    let theme = &state.theme;
    let prompts = state.waiting.get(&agent).map(Vec::as_slice).unwrap_or_default();
    let line = |prompt: &PromptView| {
        let how = match prompt.delivery {
            Delivery::AfterTurn => "after the turn",
            Delivery::Steer => "into the turn, when it can be",
            Delivery::Interrupt => "at once",
        };
        let text = crate::text::clean::one_line(&prompt.preview);
        Line::from(vec![
            Span::styled(format!("{} waits, {how}: ", theme.glyphs.running), theme.waiting),
            Span::styled(text, theme.faint),
        ])
    };
    let mut lines: Vec<_> = prompts.iter().take(WAITING_SHOWN).map(line).collect();
    if prompts.len() > WAITING_SHOWN {
        let key = state.key_of(Action::Queue);
        lines.push(Line::styled(format!("  {} more wait ({key})", prompts.len() - WAITING_SHOWN), theme.faint));
    }
    lines
}

/// That one looks at the past, that something is missing, or is on its way: above what is read, so that nobody takes it for all.
fn words_above(state: &State, talk: &Talk) -> Vec<Line<'static>> {
    let theme = &state.theme;
    let mut words = Vec::new();
    if !talk.follows() {
        let news = if talk.has_news { ", and there is news below" } else { "" };
        let at = talk.reads_at().map(|seq| format!(" event {seq}")).unwrap_or_default();
        let (back, how) = match state.focus {
            // Where a prompt is written other keys scroll.
            Focus::Composer => (state.key_of(Action::ScrollDown), "leads back"),
            Focus::Reading | Focus::Tree | Focus::Program => (state.key_of(Action::Bottom), "returns"),
        };
        words.push(Line::styled(format!(" the past{at}{news}; {back} {how} to now"), theme.waiting));
    }
    if talk.goal.is_some() {
        let what = match &talk.goal {
            Some(Goal::Found) => format!("searching further back for {:?} …", talk.search),
            Some(Goal::Seq(seq)) => format!("reading back to event {seq} …"),
            Some(Goal::Top) | None => "reading back to the beginning …".to_owned(),
        };
        words.push(Line::styled(format!(" {what}"), theme.faint));
    }
    if let Older::Failed(_, reason) = &talk.older {
        words.push(Line::styled(format!(" what was said before cannot be read: {reason}"), theme.error));
    }
    words.extend(talk.gaps.iter().rev().take(1).map(|(from, to, reason)| gap(*from, *to, *reason, state)));
    words
}

fn gap(from: Seq, to: Seq, reason: GapReason, state: &State) -> Line<'static> {
    let why = crate::app::incoming::gap_word(reason);
    Line::styled(format!(" a gap: events {from} to {to} cannot be read, they are {why}"), state.theme.error)
}
