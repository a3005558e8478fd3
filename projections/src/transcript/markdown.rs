//! A turn as Markdown, for people and for other agents to read.

use std::fmt::Write as _;

use ropewalk_protocol::{Answer, AskEnd, ItemKind, ItemStatus, NoticeKind, UsageTotal};

use super::{Item, Part, Prompt, Question, Turn};

/// The turn as Markdown. What was told is not changed, only quoted: no text of an agent's ends the place it stands in.
pub fn markdown(turn: &Turn) -> String {
    let mut page = match turn.turn {
        Some(_) => format!("## Turn of {}\n", turn.at),
        None => format!("## Between turns, {}\n", turn.at),
    };
    for part in &turn.parts {
        page.push('\n');
        match part {
            Part::Prompt(prompt) => push_prompt(&mut page, prompt),
            Part::Item(item) => push_item(&mut page, item),
            Part::Question(question) => push_question(&mut page, question),
            Part::Notice(notice) => {
                let what = match notice.kind {
                    NoticeKind::Retry => "tries again",
                    NoticeKind::RateLimited => "rate limited",
                    NoticeKind::Warning => "warning",
                    NoticeKind::Opaque => "unknown message",
                };
                let until = notice.until.map(|until| format!(" until {until}")).unwrap_or_default();
                push_quoted(&mut page, &format!("({what}{until}) {}", notice.text));
            }
            Part::Remark(remark) => push_quoted(&mut page, &remark.text),
        }
    }
    if let Some(outcome) = &turn.outcome {
        let _ = writeln!(page, "\n*{}{}*", escaped(&outcome.to_string()), cost(&turn.usage));
    }
    page
}

fn push_prompt(page: &mut String, prompt: &Prompt) {
    let when = match (prompt.steered, prompt.late) {
        (true, true) => ", too late for the turn",
        (true, false) => ", into the turn",
        (false, _) => "",
    };
    let who = prompt.client.as_ref().map(|client| format!(" ({})", escaped(client))).unwrap_or_default();
    let _ = writeln!(page, "**Prompt{who}{when}:**\n");
    push_quoted(page, &prompt.text);
}

fn push_item(page: &mut String, item: &Item) {
    let how = match item.status {
        None => " – open",
        Some(ItemStatus::Completed) => "",
        Some(ItemStatus::Failed) => " – failed",
        Some(ItemStatus::Declined) => " – declined",
        Some(ItemStatus::Cancelled) => " – cancelled",
        Some(ItemStatus::Orphaned) => " – without an end",
    };
    let within = if item.parent.is_some() { " (sub-agent)" } else { "" };
    match item.kind {
        ItemKind::Text => {
            page.push_str(item.text.trim_end());
            page.push('\n');
            if !how.is_empty() || !within.is_empty() {
                let _ = writeln!(page, "\n*text{within}{how}*");
            }
        }
        ItemKind::Thinking => {
            let _ = writeln!(page, "*Thinking{within}{how}*\n");
            push_quoted(page, &item.text);
        }
        ItemKind::Tool | ItemKind::Plan | ItemKind::FileChange | ItemKind::Opaque => {
            let (what, language) = match item.kind {
                ItemKind::Plan => ("Plan", ""),
                ItemKind::FileChange => ("Change", "diff"),
                ItemKind::Opaque => ("Unknown", ""),
                ItemKind::Tool | ItemKind::Text | ItemKind::Thinking => ("Tool", ""),
            };
            let colon = if item.title.is_empty() { "" } else { ": " };
            let _ = writeln!(page, "**{what}{within}{colon}{}**{how}", escaped(&item.title));
            push_fenced(page, "json", &item.input);
            push_fenced(page, language, &item.text);
        }
    }
}

fn push_question(page: &mut String, question: &Question) {
    let how = match (&question.answer, question.closed) {
        (Some(given), _) => {
            let who = match (&given.client, &question.rule) {
                (Some(client), _) => client.clone(),
                (None, Some(rule)) => format!("the rule “{rule}”"),
                (None, None) => "what was said of questions".to_owned(),
            };
            format!("{} by {}", answer(&given.answer, question), escaped(&who))
        }
        (None, Some(AskEnd::Expired)) => "expired: nobody answered in time".to_owned(),
        (None, Some(AskEnd::Cancelled)) => "taken back".to_owned(),
        (None, Some(AskEnd::AgentGone)) => "the agent was gone".to_owned(),
        (None, None) => "open".to_owned(),
    };
    let _ = writeln!(page, "**Asked: {}** – {how}", escaped(&question.title));
    push_fenced(page, "json", &question.detail);
}

fn answer(answer: &Answer, question: &Question) -> String {
    match answer {
        Answer::Allow { always: false } => "allowed".to_owned(),
        Answer::Allow { always: true } => "allowed from now on".to_owned(),
        Answer::Deny { reason: None } => "denied".to_owned(),
        Answer::Deny { reason: Some(reason) } => format!("denied (“{}”)", escaped(reason)),
        Answer::Choose { option } => {
            let named = question.options.iter().find(|known| known.id == *option).map(|known| &known.name);
            format!("“{}” chosen", escaped(named.unwrap_or(option)))
        }
        Answer::Text { text } => format!("“{}” answered", escaped(text)),
    }
}

fn cost(usage: &UsageTotal) -> String {
    let mut text = String::new();
    if usage.input_tokens > 0 || usage.output_tokens > 0 {
        let _ = write!(text, ", {} tokens read, {} written", usage.input_tokens, usage.output_tokens);
    }
    if let Some(micro_usd) = usage.cost_micro_usd {
        let _ = write!(text, ", {}.{:06} USD", micro_usd / 1_000_000, micro_usd % 1_000_000);
    }
    text
}

fn push_quoted(page: &mut String, text: &str) {
    for line in text.trim_end().lines() {
        let _ = writeln!(page, "{}", format_args!("> {line}").to_string().trim_end());
    }
}

/// A block of text as it is; nothing for no text. The fence is longer than any that is in it.
fn push_fenced(page: &mut String, language: &str, text: &str) {
    if text.is_empty() {
        return;
    }
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(3.max(longest + 1));
    let end = if text.ends_with('\n') { "" } else { "\n" };
    let _ = writeln!(page, "\n{fence}{language}\n{text}{end}{fence}");
}

/// One line that Markdown shows as it is.
fn escaped(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' => line.push(' '),
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '#' | '|' => line.extend(['\\', c]),
            _ => line.push(c),
        }
    }
    line
}
