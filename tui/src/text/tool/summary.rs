//! A tool call in a line.

use std::fmt;

use serde_json::Value;

use super::fields::{CONTENT, DIFFERENCE, PATH, command, number, text};
use super::{Edit, edits_of};
use crate::text::clean::visible_line;
use crate::text::diff::{self, Counts};

/// What is shown of an input that is not understood.
const INPUT_CHARS_MAX: usize = 160;
/// Names of files that are listed.
const FILES_LISTED_MAX: usize = 3;

/// A tool call in a line, with nothing in it that a terminal obeys: that is made visible.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// What it does.
    pub text: String,
    /// What comes and goes, if the call says so.
    pub counts: Option<Counts>,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        self.counts.iter().try_for_each(|counts| write!(f, " {counts}"))
    }
}

/// The call with this title and this input, which is JSON if it is whole.
pub fn summary(title: &str, input: &str) -> Summary {
    let value: Value = serde_json::from_str(input).unwrap_or_default();
    let title = visible_line(title);
    // Agents begin a title with the tool's name.
    let name = title.split([':', ' ']).next().unwrap_or_default().to_lowercase();
    let counts = match difference(&value) {
        Some(difference) => Counts::of(diff::unified(difference)),
        None => Counts::of(edits_of(&value).iter().flat_map(|edit: &Edit| edit.rows(0))),
    };
    let counts = Some(counts).filter(|counts| *counts != Counts::default());
    let text = known(&name, &value).unwrap_or_else(|| unknown(&title, &value, input));
    Summary { text: visible_line(&text), counts }
}

/// What it does, if that can be told from what it is called with.
fn known(name: &str, value: &Value) -> Option<String> {
    if let Some((_, command)) = command(value) {
        return Some(run(&command));
    }
    if let Some(changes) = value["changes"].as_array().filter(|changes| !changes.is_empty()) {
        return Some(change(changes));
    }
    if let Some(todos) = value["todos"].as_array() {
        let done = todos.iter().filter(|todo| todo["status"] == "completed").count();
        return Some(format!("plan: {done} of {} done", todos.len()));
    }
    let path = text(value, PATH);
    let is_called = |names: &[&str]| names.iter().any(|known| name.starts_with(known));
    if let Some(path) = path {
        if value["edits"].is_array() || Edit::of(value).is_some() || difference(value).is_some() {
            return Some(format!("edit {path}"));
        }
        if text(value, CONTENT).is_some() {
            return Some(format!("write {path}"));
        }
    }
    if let Some(url) = text(value, &["url", "uri"]) {
        return Some(format!("fetch {url}"));
    }
    if let Some(pattern) = text(value, &["pattern", "regex"]) {
        let what = if is_called(&["glob", "find"]) { "find" } else { "search" };
        let place = path.map(|path| format!(" in {path}")).unwrap_or_default();
        return Some(format!("{what} {pattern}{place}"));
    }
    if let Some(query) = text(value, &["query"]) {
        return Some(format!("search {query}"));
    }
    if let Some(kind) = text(value, &["subagent_type", "agent", "agentType"]) {
        let about = text(value, &["description", "prompt"]).unwrap_or_default();
        return Some(format!("agent {kind}: {}", first_line(about)));
    }
    let path = path?;
    if is_called(&["ls", "list"]) {
        return Some(format!("list {path}"));
    }
    (is_called(&["read", "view", "cat", "open"])).then(|| format!("read {path}{}", range(value)))
}

/// What changes, where the call says it as a difference.
fn difference(value: &Value) -> Option<&str> {
    text(value, DIFFERENCE).filter(|text| diff::is_unified(text))
}

fn run(command: &str) -> String {
    let command = unwrapped(command.trim());
    let more = command.lines().filter(|line| !line.trim().is_empty()).count().saturating_sub(1);
    let more = match more {
        0 => String::new(),
        1 => " (+1 line)".to_owned(),
        more => format!(" (+{more} lines)"),
    };
    format!("$ {}{more}", first_line(command))
}

/// What a shell is given to run, where that is all it is given, and stands there as it is.
fn unwrapped(command: &str) -> &str {
    let Some((shell, rest)) = command.split_once(' ') else { return command };
    let is_shell = matches!(shell.rsplit('/').next(), Some("sh" | "bash" | "zsh" | "dash"));
    let script = rest.strip_prefix("-lc ").or_else(|| rest.strip_prefix("-c ")).filter(|_| is_shell);
    let Some(script) = script else { return command };
    let inner = |quote: char| script.strip_prefix(quote)?.strip_suffix(quote);
    match (inner('\''), inner('"')) {
        (Some(inner), _) if !inner.contains('\'') => inner,
        (_, Some(inner)) if !inner.contains(['"', '\\', '$', '`']) => inner,
        _ => command,
    }
}

/// Files that change, and how where it is the same for all.
fn change(changes: &[Value]) -> String {
    let kind = |change: &Value| match text(&change["kind"], &["type"]).or_else(|| change["kind"].as_str()) {
        Some("add") => "add",
        Some("delete") => "delete",
        _ => "edit",
    };
    let first = changes.first().map_or("edit", kind);
    let what = if changes.iter().all(|change| kind(change) == first) { first } else { "change" };
    let paths: Vec<&str> = changes.iter().filter_map(|change| text(change, PATH)).collect();
    let listed = paths.iter().take(FILES_LISTED_MAX).copied().collect::<Vec<_>>().join(", ");
    match paths.len().saturating_sub(FILES_LISTED_MAX) {
        0 => format!("{what} {listed}"),
        more => format!("{what} {listed} and {more} more"),
    }
}

/// The lines that are read, where they are said.
fn range(value: &Value) -> String {
    if let [Some(from), Some(to)] = [&value["view_range"][0], &value["view_range"][1]].map(Value::as_u64) {
        return format!(":{from}-{to}");
    }
    match (number(value, &["offset", "line"]), number(value, &["limit"])) {
        (Some(from), Some(count)) if count > 0 => format!(":{from}-{}", from.saturating_add(count - 1)),
        (Some(from), _) => format!(":{from}-"),
        (None, Some(count)) => format!(":1-{count}"),
        (None, None) => String::new(),
    }
}

/// The title, and what it is called with as far as the title does not say so.
fn unknown(title: &str, value: &Value, input: &str) -> String {
    let title = if title.is_empty() { "tool" } else { title };
    let told = match value {
        Value::Object(fields) => {
            let field = |(name, value): (&String, &Value)| match value {
                Value::String(text) => {
                    (!title.contains(first_line(text))).then(|| format!("{name}: {}", visible_line(text)))
                }
                other => Some(format!("{name}: {other}")),
            };
            fields.iter().filter_map(field).collect::<Vec<_>>().join(", ")
        }
        Value::Null if input.trim() == "null" => String::new(),
        Value::Null => visible_line(input),
        Value::String(text) => visible_line(text),
        other => other.to_string(),
    };
    if told.is_empty() || title.contains(&told) {
        return title.to_owned();
    }
    match told.char_indices().nth(INPUT_CHARS_MAX) {
        Some((end, _)) => format!("{title} ({}…)", &told[..end]),
        None => format!("{title} ({told})"),
    }
}

fn first_line(text: &str) -> &str {
    text.trim().lines().next().unwrap_or_default()
}
