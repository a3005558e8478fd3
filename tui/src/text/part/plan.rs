//! A plan: its steps with what became of them, and what is said around them.

use ratatui::text::{Line, Span};
use ropewalk_projections::transcript::Item;

use super::super::clean::{again, clean};
use super::super::markdown::markdown;
use super::super::theme::Theme;
use super::super::wrap::{Indent, wrap};
use super::{Look, STEP, within};

/// What became of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Open,
    Running,
    Done,
    Dropped,
}

pub(super) fn plan(item: &Item, look: &Look, width: u16, theme: &Theme) -> Vec<Line<'static>> {
    let text = clean(item.text.trim_end());
    let steps: Vec<Step> = text.lines().filter_map(step).map(|(step, _)| step).collect();
    let mut head = vec![Span::styled("plan", theme.heading)];
    if !steps.is_empty() {
        let done = steps.iter().filter(|step| **step == Step::Done).count();
        head.push(Span::styled(format!(": {done} of {} done", steps.len()), theme.faint));
    }
    let mut lines = wrap(&head, width, &Indent::default());
    let inner = width.saturating_sub(STEP);
    let mut said = String::new();
    let mut below: Vec<Line<'static>> = Vec::new();
    for line in text.lines() {
        let Some((step, what)) = step(line) else {
            said.push_str(line);
            said.push('\n');
            continue;
        };
        push_said(&mut said, false, inner, theme, &mut below);
        let (sign, signed, style) = match step {
            Step::Open => (theme.glyphs.open, theme.faint, theme.text),
            Step::Running => (theme.glyphs.running, theme.running, theme.strong),
            Step::Done => (theme.glyphs.ok, theme.ok, theme.faint),
            Step::Dropped => (theme.glyphs.declined, theme.faint, theme.faint),
        };
        let indent = Indent::hanging(Span::styled(format!("{sign} "), signed));
        below.extend(wrap(&[Span::styled(again(what).into_owned(), style)], inner, &indent));
    }
    push_said(&mut said, look.is_running, inner, theme, &mut below);
    lines.extend(within(below));
    lines
}

fn push_said(said: &mut String, is_open: bool, width: u16, theme: &Theme, lines: &mut Vec<Line<'static>>) {
    lines.extend(markdown(std::mem::take(said).trim(), is_open, width, theme));
}

/// A step, as agents are told of: `- [x] what`, with or without the dash.
fn step(line: &str) -> Option<(Step, &str)> {
    let line = line.trim_start();
    let line = line.strip_prefix("- ").unwrap_or(line).strip_prefix('[')?;
    let mark = line.chars().next()?;
    let what = line[mark.len_utf8()..].strip_prefix(']')?;
    let step = match mark {
        ' ' => Step::Open,
        '~' | '-' => Step::Running,
        'x' | 'X' => Step::Done,
        '/' => Step::Dropped,
        _ => return None,
    };
    // Else it is a link, or a footnote.
    what.strip_prefix(' ').or(what.is_empty().then_some(what)).map(|what| (step, what.trim()))
}
