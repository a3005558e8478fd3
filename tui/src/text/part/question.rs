//! What an agent asked, in full for as long as somebody is to answer, and what became of it.

use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ropewalk_projections::transcript::{Given, Question};
use ropewalk_protocol::{Answer, AskEffect, AskEnd, AskKind, AskOption, Rule};
use serde_json::Value;

use super::super::clean::{visible_line, visible_spans};
use super::super::theme::Theme;
use super::super::tool;
use super::super::wrap::{Indent, hard_wrap, wrap};
use super::{Look, STEP, within};

pub(super) fn question(question: &Question, look: &Look, width: u16, theme: &Theme) -> Vec<Line<'static>> {
    let is_waiting = question.answer.is_none() && question.closed.is_none();
    let style = if is_waiting { theme.waiting } else { theme.faint };
    let sign = Indent::hanging(Span::styled(format!("{} ", theme.glyphs.question), style));
    let title = match question.title.trim() {
        // What it was about stays to be read when it is answered, in a line.
        _ if question.kind == AskKind::Permission && !is_waiting && !look.is_open => {
            tool::summary(&question.title, &question.detail).text
        }
        "" => "a tool".to_owned(),
        _ => question.title.clone(),
    };
    let mut lines = hard_wrap(&seen(&title, style, theme), width, &sign);
    let inner = width.saturating_sub(STEP);
    if is_waiting || look.is_open {
        lines.extend(within(detail(question, inner, theme)));
        for (number, option) in (1..).zip(&question.options) {
            let mark = Indent::hanging(Span::styled(format!("{number}. "), theme.accent));
            lines.extend(within(wrap(&seen(&option.name, theme.text, theme), inner, &mark)));
        }
    }
    if let Some((sign, how, style)) = end(question, theme) {
        let sign = Indent::hanging(Span::styled(format!("{sign} "), style));
        lines.extend(within(wrap(&[Span::styled(how, theme.faint)], inner, &sign)));
    }
    lines
}

/// What will be done, whole. Of questions that say it in the title and the options: what those leave out.
fn detail(question: &Question, width: u16, theme: &Theme) -> Vec<Line<'static>> {
    if question.kind == AskKind::Permission {
        return tool::in_full(&question.detail, width, theme);
    }
    let value: Value = serde_json::from_str(&question.detail).unwrap_or_default();
    let asked = value.as_array().or_else(|| value["questions"].as_array()).filter(|asked| !asked.is_empty());
    let Some(asked) = asked.filter(|asked| asked.iter().all(|one| one["question"].is_string())) else {
        return tool::in_full(&question.detail, width, theme);
    };
    let mut lines = Vec::new();
    for (number, one) in (1..).zip(asked) {
        let indent = Indent::hanging(Span::styled(
            if asked.len() > 1 { format!("{number}. ") } else { String::new() },
            theme.accent,
        ));
        if asked.len() > 1 {
            let text = one["question"].as_str().unwrap_or_default();
            lines.extend(wrap(&seen(text, theme.text, theme), width, &indent));
        }
        let below = Indent { first: indent.rest.clone(), rest: indent.rest };
        for choice in one["options"].as_array().into_iter().flatten() {
            let label = choice["label"].as_str().unwrap_or_default();
            let text = match choice["description"].as_str().filter(|text| !text.is_empty()) {
                Some(description) => format!("- {label}: {description}"),
                None => format!("- {label}"),
            };
            // It stands among the options already.
            if !question.options.iter().any(|option| text[2..] == option.name) {
                lines.extend(wrap(&seen(&text, theme.faint, theme), width, &below));
            }
        }
    }
    lines
}

/// A line of which nothing stays unseen.
fn seen(text: &str, style: Style, theme: &Theme) -> Vec<Span<'static>> {
    visible_spans(&text.trim().replace('\n', " "), style, theme.escaped).concat()
}

/// What became of it: a sign, and who said so.
fn end(question: &Question, theme: &Theme) -> Option<(&'static str, String, Style)> {
    let glyphs = theme.glyphs;
    if let Some(given) = &question.answer {
        let (sign, style) = match effect(&given.answer, &question.options) {
            AskEffect::Allow | AskEffect::AllowAlways => (glyphs.ok, theme.ok),
            AskEffect::Deny | AskEffect::DenyAlways => (glyphs.declined, theme.error),
            AskEffect::Other => (glyphs.ok, theme.ok),
        };
        let how = told(&given.answer, &question.options);
        return Some((sign, format!("{how} (by {})", by(given, question.rule.as_ref())), style));
    }
    let (sign, how, style) = match question.closed? {
        AskEnd::Expired => (glyphs.declined, "expired: nobody answered in time", theme.warning),
        AskEnd::Cancelled => (glyphs.cancelled, "of no use any more", theme.faint),
        AskEnd::AgentGone => (glyphs.orphaned, "the agent's process is gone", theme.warning),
    };
    Some((sign, how.to_owned(), style))
}

fn by(given: &Given, rule: Option<&Rule>) -> String {
    match (&given.client, rule) {
        (Some(client), _) => visible_line(client),
        (None, Some(rule)) => format!("the rule \"{}\"", visible_line(&rule.to_string())),
        (None, None) => "policy".to_owned(),
    }
}

fn chosen<'q>(option: &str, options: &'q [AskOption]) -> Option<&'q AskOption> {
    options.iter().find(|known| known.id == option)
}

fn effect(answer: &Answer, options: &[AskOption]) -> AskEffect {
    match answer {
        Answer::Allow { .. } => AskEffect::Allow,
        Answer::Deny { .. } => AskEffect::Deny,
        Answer::Text { .. } => AskEffect::Other,
        Answer::Choose { option } => chosen(option, options).map_or(AskEffect::Other, |option| option.effect),
    }
}

/// What an answer was, for people.
fn told(answer: &Answer, options: &[AskOption]) -> String {
    match answer {
        Answer::Allow { always: false } => "allowed".to_owned(),
        Answer::Allow { always: true } => "allowed, from now on".to_owned(),
        Answer::Deny { reason: None } => "denied".to_owned(),
        Answer::Deny { reason: Some(reason) } => format!("denied: {}", visible_line(reason)),
        Answer::Text { text } => format!("answered: {}", visible_line(text)),
        Answer::Choose { option } => match chosen(option, options) {
            Some(AskOption { effect: AskEffect::Allow, .. }) => "allowed".to_owned(),
            Some(AskOption { effect: AskEffect::AllowAlways, .. }) => "allowed, from now on".to_owned(),
            Some(AskOption { effect: AskEffect::Deny, .. }) => "denied".to_owned(),
            Some(AskOption { effect: AskEffect::DenyAlways, .. }) => "denied, from now on".to_owned(),
            Some(AskOption { effect: AskEffect::Other, name, .. }) => format!("chosen: {}", visible_line(name)),
            None => format!("chosen: {}", visible_line(option)),
        },
    }
}
