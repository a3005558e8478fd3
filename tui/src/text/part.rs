//! Whatever was said or done in a turn, as lines.
//!
//! What is folded costs what is shown of it, not what there is.

mod item;
mod output;
mod plan;
mod question;

use std::time::Duration;

use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ropewalk_projections::transcript::{Notice, Part, Prompt, Remark};
use ropewalk_protocol::{NoticeKind, Timestamp, TurnOutcome, UsageTotal};

use super::clean::{clean, visible_line};
use super::theme::Theme;
use super::units;
use super::wrap::{Indent, cells, cut, wrap};

/// How far a sub-agent's items, and what is below a heading, stand in.
const STEP: u16 = 2;

/// How a part is looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Look {
    /// It is unfolded: thinking, what a tool is called with and its output, whole.
    pub is_open: bool,
    /// More of it may follow.
    pub is_running: bool,
    /// It is selected: its first line shows it.
    pub is_selected: bool,
}

/// A part as lines of this width. What an agent says that no build knows has none, unless it is unfolded.
pub fn part(part: &Part, look: &Look, width: u16, theme: &Theme) -> Vec<Line<'static>> {
    let mut lines = match part {
        Part::Prompt(said) => prompt(said, width, theme),
        Part::Item(done) if done.parent.is_some() => within(item::item(done, look, width.saturating_sub(STEP), theme)),
        Part::Item(done) => item::item(done, look, width, theme),
        Part::Question(asked) => question::question(asked, look, width, theme),
        Part::Notice(said) => notice(said, look, width, theme),
        Part::Remark(said) => remark(said, width, theme),
    };
    if let Some(first) = lines.first_mut().filter(|_| look.is_selected) {
        // Over each style, so that a background is behind all of it.
        first.style = first.style.patch(theme.selected);
        first.spans.iter_mut().for_each(|span| span.style = span.style.patch(theme.selected));
    }
    lines
}

/// What there is to tell of a turn's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End<'a> {
    /// How it ended; `None`: it goes on.
    pub outcome: Option<&'a TurnOutcome>,
    /// How long it took, if its beginning is known.
    pub took: Option<Duration>,
    /// What it cost, if that is known.
    pub usage: Option<&'a UsageTotal>,
}

/// How a turn ended, how long it took and what it cost, in a line across.
pub fn turn_end(end: &End<'_>, width: u16, theme: &Theme) -> Line<'static> {
    let (how, style) = match end.outcome {
        Some(TurnOutcome::Completed) => ("completed".to_owned(), theme.ok),
        Some(TurnOutcome::Cancelled) => ("cancelled".to_owned(), theme.warning),
        Some(outcome @ (TurnOutcome::Failed { .. } | TurnOutcome::Interrupted { .. })) => {
            (visible_line(&outcome.to_string()), theme.error)
        }
        None => ("goes on".to_owned(), theme.running),
    };
    let tokens = end.usage.map_or(0, |usage| usage.input_tokens.saturating_add(usage.output_tokens));
    let facts = [
        end.took.map(units::duration),
        (tokens > 0).then(|| format!("{} tokens", units::tokens(tokens))),
        end.usage.and_then(|usage| usage.cost_micro_usd).map(|cost| units::dollars(Some(cost))),
    ];
    let facts: String = facts.into_iter().flatten().map(|fact| format!(", {fact}")).collect();
    let (glyphs, width) = (theme.glyphs, usize::from(width));
    let before = glyphs.rule.repeat(2);
    // What it cost is told however much there is to say about how it ended.
    let room = width.saturating_sub(cells(&before) + cells(&facts) + 2);
    let how = cut(&how, room, glyphs.more).into_owned();
    let facts = if how.is_empty() { facts.trim_start_matches(", ").to_owned() } else { facts };
    let taken = cells(&before) + cells(&how) + cells(&facts) + 2;
    if how.is_empty() && facts.is_empty() || taken > width {
        return Line::from(Span::styled(glyphs.rule.repeat(width), theme.border));
    }
    Line::from(vec![
        Span::styled(format!("{before} "), theme.border),
        Span::styled(how, style),
        Span::styled(format!("{facts} "), theme.faint),
        Span::styled(glyphs.rule.repeat(width - taken), theme.border),
    ])
}

/// The same; a reason that does not fit into the line follows below it, whole.
pub fn turn_end_in_full(end: &End<'_>, width: u16, theme: &Theme) -> Vec<Line<'static>> {
    let line = turn_end(end, width, theme);
    let reason = match end.outcome {
        Some(TurnOutcome::Failed { reason } | TurnOutcome::Interrupted { reason }) => visible_line(reason),
        Some(TurnOutcome::Completed | TurnOutcome::Cancelled) | None => String::new(),
    };
    let mut lines = vec![line];
    if !reason.is_empty() && !lines[0].to_string().contains(&reason) {
        lines.extend(wrap(&[Span::styled(reason, theme.error)], width, &Indent::default()));
    }
    lines
}

fn prompt(prompt: &Prompt, width: u16, theme: &Theme) -> Vec<Line<'static>> {
    let indent = Indent::each(Span::styled("> ", theme.accent));
    let mut lines = Vec::new();
    for (number, line) in clean(prompt.text.trim_end()).split('\n').enumerate() {
        let mut spans = Vec::new();
        if number == 0 && prompt.steered {
            let how = if prompt.late { "(too late for the turn) " } else { "(into the turn) " };
            spans.push(Span::styled(how, theme.faint));
        }
        spans.push(Span::styled(line.to_owned(), theme.prompt));
        lines.extend(wrap(&spans, width, &indent));
    }
    lines
}

fn notice(notice: &Notice, look: &Look, width: u16, theme: &Theme) -> Vec<Line<'static>> {
    let (what, style) = match notice.kind {
        NoticeKind::Retry => ("trying again", theme.faint),
        NoticeKind::RateLimited => ("rate limited", theme.warning),
        NoticeKind::Warning => ("warning", theme.warning),
        NoticeKind::Opaque if look.is_open => ("unknown", theme.faint),
        NoticeKind::Opaque => return Vec::new(),
    };
    let until = notice.until.map(|until| format!(" until {}", minute(until))).unwrap_or_default();
    sentence(&format!("{what}{until}: {}", visible_line(&notice.text)), theme.glyphs.warning, style, width)
}

fn remark(remark: &Remark, width: u16, theme: &Theme) -> Vec<Line<'static>> {
    sentence(&visible_line(&remark.text), "-", theme.faint, width)
}

/// A sentence behind a sign.
fn sentence(text: &str, sign: &'static str, style: Style, width: u16) -> Vec<Line<'static>> {
    let text = Span::styled(text.to_owned(), style);
    wrap(&[text], width, &Indent::hanging(Span::styled(format!("{sign} "), style)))
}

/// A moment, as exactly as people wait for it.
fn minute(at: Timestamp) -> String {
    let text = at.to_string();
    match (text.get(..10), text.get(11..16)) {
        (Some(day), Some(time)) => format!("{day} {time} UTC"),
        _ => text,
    }
}

/// Lines that stand further in.
fn within(lines: Vec<Line<'static>>) -> Vec<Line<'static>> {
    let further = |mut line: Line<'static>| {
        line.spans.insert(0, Span::raw(" ".repeat(usize::from(STEP))));
        line
    };
    lines.into_iter().map(further).collect()
}

#[cfg(test)]
mod tests;
