//! What codex's items are in our words. Pure.

use ropewalk_protocol::{ItemKind, ItemStatus, limits};
use serde_json::{Map, Value, json};

use crate::providers::{cut, input, title};

/// What people see of an item beside its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) kind: ItemKind,
    pub(super) title: String,
    pub(super) input: String,
}

/// A member that is text; empty where there is none.
pub(super) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

/// A name or an id within its bound.
pub(super) fn word(value: &str) -> String {
    cut(value, limits::AGENT_WORD_BYTES_MAX).to_owned()
}

fn strings(value: &Value) -> Vec<&str> {
    value.as_array().map(|values| values.iter().filter_map(Value::as_str).collect()).unwrap_or_default()
}

/// What an item is. `None`: it is nothing that the agent did, but what it was told.
pub(super) fn facts(item: &Value) -> Option<Facts> {
    let tool = |what: &str, with: Value| Facts { kind: ItemKind::Tool, title: title(what), input: input(&with) };
    let plain = |kind| Facts { kind, title: String::new(), input: String::new() };
    Some(match text(item, "type") {
        "userMessage" | "hookPrompt" => return None,
        "agentMessage" => plain(ItemKind::Text),
        "reasoning" => plain(ItemKind::Thinking),
        "plan" => plain(ItemKind::Plan),
        "commandExecution" => {
            tool(text(item, "command"), json!({"command": text(item, "command"), "cwd": text(item, "cwd")}))
        }
        "fileChange" => changes(&item["changes"]),
        "mcpToolCall" => tool(&format!("{}.{}", text(item, "server"), text(item, "tool")), item["arguments"].clone()),
        "dynamicToolCall" => {
            let names = [text(item, "namespace"), text(item, "tool")];
            let named = names.into_iter().filter(|name| !name.is_empty()).collect::<Vec<_>>().join(".");
            tool(&named, item["arguments"].clone())
        }
        "collabAgentToolCall" => tool(
            &format!("{}: {}", text(item, "tool"), text(item, "prompt")),
            of(item, &["tool", "prompt", "model", "receiverThreadIds"]),
        ),
        kind @ ("webSearch" | "imageView" | "imageGeneration" | "sleep" | "subAgentActivity" | "functionCallOutput"
        | "enteredReviewMode" | "exitedReviewMode" | "contextCompaction") => {
            let about = ["query", "path", "revisedPrompt", "agentPath", "name", "review"].into_iter();
            let about = about.map(|name| text(item, name)).find(|about| !about.is_empty()).unwrap_or_default();
            let named = if about.is_empty() { kind.to_owned() } else { format!("{kind}: {about}") };
            tool(
                &named,
                of(
                    item,
                    &[
                        "query",
                        "action",
                        "path",
                        "revisedPrompt",
                        "savedPath",
                        "durationMs",
                        "kind",
                        "agentPath",
                        "agentThreadId",
                        "name",
                    ],
                ),
            )
        }
        kind => Facts { kind: ItemKind::Opaque, title: title(kind), input: input(item) },
    })
}

/// The members with these names, those that tell something.
fn of(item: &Value, names: &[&str]) -> Value {
    let members = names.iter().map(|name| ((*name).to_owned(), item[*name].clone()));
    Value::Object(members.filter(|(_, value)| !value.is_null()).collect::<Map<_, _>>())
}

/// A change of files. What changes in them is the item's text, so that its input is short enough to be whole.
pub(super) fn changes(changes: &Value) -> Facts {
    let changes = changes.as_array().map(Vec::as_slice).unwrap_or_default();
    let paths: Vec<&str> = changes.iter().map(|change| text(change, "path")).collect();
    let short = changes.iter().map(|change| of(change, &["path", "kind"])).collect::<Vec<_>>();
    Facts { kind: ItemKind::FileChange, title: title(&paths.join(", ")), input: input(&json!({"changes": short})) }
}

/// The difference that a change of files makes, in the usual notation. Codex tells whole files for those that come and go.
pub(super) fn difference(changes: &Value) -> String {
    let mut told = String::new();
    for change in changes.as_array().map(Vec::as_slice).unwrap_or_default() {
        let (path, difference) = (text(change, "path"), text(change, "diff"));
        let moved = change["kind"]["move_path"].as_str().unwrap_or(path);
        let count = difference.lines().count();
        let (before, after, sign, hunk) = match text(&change["kind"], "type") {
            "add" => ("/dev/null", path, "+", format!("@@ -0,0 +1,{count} @@\n")),
            "delete" => (path, "/dev/null", "-", format!("@@ -1,{count} +0,0 @@\n")),
            _ => (path, moved, "", String::new()),
        };
        if !difference.starts_with("--- ") {
            told.push_str(&format!("--- {before}\n+++ {after}\n{hunk}"));
        }
        difference.lines().for_each(|line| told.extend([sign, line, "\n"]));
    }
    told
}

/// An item's text as far as it is told. `None`: nothing is told, and what was seen of it stands.
pub(super) fn whole_text(item: &Value) -> Option<String> {
    let joined = |values: &Value| strings(values).join("\n\n");
    match text(item, "type") {
        "agentMessage" | "plan" => item["text"].as_str().map(str::to_owned),
        "reasoning" => {
            let (summary, content) = (joined(&item["summary"]), joined(&item["content"]));
            Some(if summary.is_empty() { content } else { summary })
        }
        "commandExecution" => {
            let output = item["aggregatedOutput"].as_str();
            match item["exitCode"].as_i64() {
                Some(code) if code != 0 => {
                    let output = output.unwrap_or_default();
                    let end = if output.is_empty() || output.ends_with('\n') { "" } else { "\n" };
                    Some(format!("{output}{end}[exit code {code}]\n"))
                }
                _ => output.map(str::to_owned),
            }
        }
        "fileChange" => Some(difference(&item["changes"])),
        "mcpToolCall" => match item["error"]["message"].as_str() {
            Some(error) => Some(error.to_owned()),
            None => contents(&item["result"]["content"]),
        },
        "dynamicToolCall" => contents(&item["contentItems"]),
        "collabAgentToolCall" => {
            let states = item["agentsStates"].as_object()?.iter();
            let line = |(agent, state): (&String, &Value)| {
                format!("{agent}: {} {}", text(state, "status"), text(state, "message"))
            };
            Some(states.map(line).map(|line| format!("{}\n", line.trim_end())).collect())
        }
        "webSearch" => item["results"].as_array().map(|_| item["results"].to_string()),
        "functionCallOutput" => match &item["output"] {
            Value::String(output) => Some(output.clone()),
            output => contents(output),
        },
        "enteredReviewMode" | "exitedReviewMode" => item["review"].as_str().map(str::to_owned),
        _ => None,
    }
}

/// What a tool gave back: its texts, and of anything else that it was there.
fn contents(values: &Value) -> Option<String> {
    let parts = values.as_array()?.iter().map(|part| match part["text"].as_str() {
        Some(text) => text.to_owned(),
        None => format!("[{}]", part["type"].as_str().unwrap_or("something that is not text")),
    });
    Some(parts.collect::<Vec<_>>().join("\n"))
}

/// How an item ended, that codex says is over.
pub(super) fn status(item: &Value) -> ItemStatus {
    match text(item, "status") {
        "failed" => ItemStatus::Failed,
        "declined" => ItemStatus::Declined,
        "interrupted" => ItemStatus::Cancelled,
        _ if item["success"] == json!(false) || !item["failure"].is_null() => ItemStatus::Failed,
        _ => ItemStatus::Completed,
    }
}

/// A list of steps as text.
pub(super) fn steps(explanation: &str, plan: &Value) -> String {
    let mut told = String::new();
    if !explanation.is_empty() {
        told.push_str(&format!("{explanation}\n\n"));
    }
    for step in plan.as_array().map(Vec::as_slice).unwrap_or_default() {
        let sign = match text(step, "status") {
            "completed" => "x",
            "inProgress" => "~",
            _ => " ",
        };
        told.push_str(&format!("- [{sign}] {}\n", text(step, "step")));
    }
    told
}
