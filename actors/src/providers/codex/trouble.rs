//! How turns end, what went wrong, and what helps. Pure.

use ropewalk_protocol::{TurnOutcome, limits};
use serde_json::Value;

use super::items::{text, word};
use crate::providers::{Observed, cut};

/// As much of a text as a notice or a reason may have.
pub(super) fn bounded(text: &str) -> String {
    cut(text, limits::ITEM_PIECE_BYTES_MAX).to_owned()
}

/// A text and what there is to add to it.
pub(super) fn joined(text: &str, more: &str) -> String {
    if more.is_empty() { text.to_owned() } else { format!("{text}: {more}") }
}

/// The status that the model's server answered with, if it did.
fn http_status(info: &Value) -> Option<u64> {
    info.as_object()?.values().find_map(|about| about["httpStatusCode"].as_u64())
}

/// Whether the model's server takes no more for now.
pub(super) fn is_limit(info: &Value) -> bool {
    matches!(info.as_str(), Some("rateLimitExceeded" | "usageLimitExceeded")) || http_status(info) == Some(429)
}

/// Why a call of the model failed, and what helps.
pub(super) fn reason(error: &Value) -> String {
    let said = joined(text(error, "message"), text(error, "additionalDetails"));
    let info = &error["codexErrorInfo"];
    if info == "unauthorized" || http_status(info) == Some(401) {
        return bounded(&format!("{said} (codex is not logged in, or its key is refused: run `codex login`)"));
    }
    bounded(&said)
}

/// Why codex will not work, and what helps.
pub(super) fn refusal(message: &str) -> String {
    let helps = [
        ("no rollout found", "the conversation is unknown: start a new one"),
        ("already has an active writer", "another process works on this conversation: end it, or start a new one"),
        ("Authentication required", "run `codex login`"),
        ("unknown variant `thread/", "this codex is too old: `npm install -g @openai/codex`"),
        ("expected one of `untrusted`", "modes are read-only, ask, auto and full"),
    ];
    let help = helps.into_iter().find(|(said, _)| message.contains(said));
    bounded(&help.map_or_else(|| message.to_owned(), |(_, help)| format!("{message} ({help})")))
}

/// How a turn ended.
pub(super) fn outcome(turn: &Value) -> TurnOutcome {
    match text(turn, "status") {
        "completed" => TurnOutcome::Completed,
        "interrupted" => TurnOutcome::Cancelled,
        "failed" => TurnOutcome::Failed { reason: reason(&turn["error"]) },
        other => TurnOutcome::Interrupted { reason: bounded(&format!("codex says that it is {other:?}")) },
    }
}

/// How the turns of ours ended that codex's record has, the oldest first. One that the process did not live to end is in the
/// record as interrupted, and has no time at which it was completed.
pub(super) fn settled(turns: &Value) -> impl Iterator<Item = Observed> {
    turns.as_array().into_iter().flatten().rev().filter_map(|turn| {
        let items = turn["items"].as_array()?;
        let prompt = items.iter().find(|item| item["clientId"].is_string())?;
        let outcome = match outcome(turn) {
            TurnOutcome::Cancelled if turn["completedAt"].is_null() => {
                TurnOutcome::Interrupted { reason: "codex's record has its beginning, and no end".into() }
            }
            outcome => outcome,
        };
        Some(Observed::Settled { turn: word(text(prompt, "clientId")), outcome })
    })
}
