//! A turn as people read it on a terminal: what was asked, what was said, and what was done in a line each. Pure.

use ropewalk_projections::transcript::{Item, Part, Question, Turn};
use ropewalk_protocol::{AskEnd, ItemKind, ItemStatus, NoticeKind};

use super::super::cost::dollars;
use super::super::{answer, text};

/// The turn of the agent with this name.
pub(super) fn page(name: &str, turn: &Turn) -> String {
    let mut page = format!("--- {name}, {}\n", turn.at);
    for part in &turn.parts {
        match part {
            Part::Prompt(prompt) => prompt.text.lines().for_each(|line| page.push_str(&format!("> {line}\n"))),
            Part::Item(item) => push_item(&mut page, item),
            Part::Question(question) => push_question(&mut page, question),
            Part::Notice(notice) if notice.kind == NoticeKind::Opaque => {}
            Part::Remark(remark) => page.push_str(&format!("[{}]\n", text::line(&remark.text))),
            Part::Notice(notice) => {
                page.push_str(&format!("[{}: {}]\n", text::notice(notice.kind), text::line(&notice.text)));
            }
        }
    }
    if let Some(outcome) = &turn.outcome {
        let usage = &turn.usage;
        let tokens = usage.input_tokens.saturating_add(usage.output_tokens);
        let cost = usage.cost_micro_usd.map(|cost| format!(", {}", dollars(Some(cost)))).unwrap_or_default();
        let cost = if tokens > 0 { format!("; {tokens} tokens{cost}") } else { cost };
        page.push_str(&format!("[{outcome}{cost}]\n"));
    } else if turn.turn.is_some() {
        page.push_str("[goes on]\n");
    }
    page
}

fn push_item(page: &mut String, item: &Item) {
    let indent = if item.parent.is_some() { "  " } else { "" };
    match item.kind {
        ItemKind::Text if item.parent.is_none() => {
            page.push_str(item.text.trim_end());
            page.push('\n');
        }
        ItemKind::Tool | ItemKind::FileChange => {
            let how = match item.status {
                Some(ItemStatus::Completed) => "",
                None => " (open)",
                Some(ItemStatus::Failed) => " (failed)",
                Some(ItemStatus::Declined) => " (not allowed)",
                Some(ItemStatus::Cancelled) => " (cancelled)",
                Some(ItemStatus::Orphaned) => " (left open)",
            };
            page.push_str(&format!("{}{how}\n", text::call(indent, &item.title, &text::input(&item.input))));
        }
        ItemKind::Plan => page.push_str(&format!("plan: {}\n", item.text.trim_end().replace('\n', "\n      "))),
        ItemKind::Text | ItemKind::Thinking | ItemKind::Opaque => {}
    }
}

fn push_question(page: &mut String, question: &Question) {
    page.push_str(&format!("? {}\n{}", text::line(&question.title), text::detail(&question.detail)));
    let how = match (&question.answer, question.closed) {
        (Some(given), _) => {
            let by = match (&given.client, &question.rule) {
                (Some(client), _) => client.clone(),
                (None, Some(rule)) => format!("the rule “{rule}”"),
                (None, None) => "policy".to_owned(),
            };
            format!("{} (by {by})", answer::told(&given.answer, &question.options))
        }
        (None, Some(AskEnd::Expired)) => "expired: nobody answered in time".to_owned(),
        (None, Some(AskEnd::Cancelled)) => "of no use any more".to_owned(),
        (None, Some(AskEnd::AgentGone)) => "the agent's process is gone".to_owned(),
        (None, None) => "open".to_owned(),
    };
    page.push_str(&format!("  {how}\n"));
}
