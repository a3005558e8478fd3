//! Items: parts of the assistant's messages, by their ids. A part is told whole each time it changes, and text also in pieces.

use std::collections::BTreeMap;

use ropewalk_protocol::{ItemKind, ItemStatus, Usage, UsageScope, limits};
use serde_json::{Value, json};

use super::super::super::{Observed, input, pieces, tell_delta, tell_text, title};
use super::fields::text;

/// Parts and messages of one turn that are told apart. What is beyond is in the run's output only.
const PARTS_MAX: usize = 50_000;

/// What is known of the turn's messages.
#[derive(Default)]
pub(super) struct Items {
    /// The assistant's messages, and the tool call that each is part of: a sub-agent's.
    messages: BTreeMap<String, Option<String>>,
    parts: BTreeMap<String, Part>,
}

enum Part {
    Open(Open),
    /// What is told of it now is not news.
    Settled,
}

struct Open {
    kind: ItemKind,
    title: String,
    input: String,
    /// The tool call, as the model names it.
    call: String,
    /// How much of its text was shown.
    shown: usize,
    is_declined: bool,
}

impl Items {
    /// Forgets a turn.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// The assistant began a message.
    pub(super) fn message(&mut self, id: &str, parent: Option<String>) {
        if self.messages.len() < PARTS_MAX && id.len() <= limits::AGENT_WORD_BYTES_MAX {
            self.messages.entry(id.to_owned()).or_insert(parent);
        }
    }

    /// Whether a message is one of the turn's.
    pub(super) fn has(&self, message: Option<&str>) -> bool {
        message.is_some_and(|message| self.messages.contains_key(message))
    }

    /// The item of a tool call.
    pub(super) fn with_call(&self, wanted: &str) -> Option<String> {
        let is_it = |part: &Part| matches!(part, Part::Open(open) if !open.call.is_empty() && open.call == wanted);
        self.parts.iter().find(|(_, part)| is_it(part)).map(|(key, _)| key.clone())
    }

    /// Somebody refused this tool call: when it fails, it was not allowed.
    pub(super) fn decline(&mut self, call: Option<&str>) {
        for part in self.parts.values_mut() {
            if let Part::Open(open) = part
                && !open.call.is_empty()
                && Some(open.call.as_str()) == call
            {
                open.is_declined = true;
            }
        }
    }

    /// The stream broke, and the model is asked again: texts that have begun are never ended.
    pub(super) fn give_up_texts(&mut self, seen: &mut Vec<Observed>) {
        for (key, part) in &mut self.parts {
            if matches!(part, Part::Open(Open { kind: ItemKind::Text | ItemKind::Thinking, .. })) {
                *part = Part::Settled;
                seen.push(Observed::ItemEnded { key: key.clone(), status: ItemStatus::Failed });
            }
        }
    }

    /// More of a part's text.
    pub(super) fn delta(&mut self, properties: &Value, seen: &mut Vec<Observed>) {
        let (Some(key), Some(delta)) = (text(properties, "partID"), text(properties, "delta")) else {
            return;
        };
        if let Some(Part::Open(open)) = self.parts.get_mut(key) {
            open.show(key, delta, seen);
        }
    }

    /// A plan, whole.
    pub(super) fn plan(&mut self, event: &Value, parent: Option<String>, seen: &mut Vec<Observed>) {
        let todos = &event["properties"]["todos"];
        let line = |todo: &Value| {
            let mark = match text(todo, "status") {
                Some("completed") => "[x]",
                Some("in_progress") => "[-]",
                Some("cancelled") => "[/]",
                _ => "[ ]",
            };
            format!("{mark} {}", text(todo, "content").unwrap_or_default())
        };
        let lines: Vec<String> = todos.as_array().into_iter().flatten().map(line).collect();
        let key = text(event, "id").filter(|id| id.len() <= limits::AGENT_WORD_BYTES_MAX).unwrap_or("plan");
        if self.open(key, parent, ItemKind::Plan, String::new(), input(todos), seen) {
            self.settle(key, &lines.join("\n"), ItemStatus::Completed, seen);
        }
    }

    /// A part as it is now. The session of a sub-agent, if the part is a tool call that began one, and the item of that call.
    pub(super) fn part<'a>(&mut self, part: &'a Value, seen: &mut Vec<Observed>) -> Option<(&'a str, &'a str)> {
        let key = text(part, "id").filter(|key| key.len() <= limits::AGENT_WORD_BYTES_MAX)?;
        // A user's message, or one of a turn that is over.
        let parent = self.messages.get(text(part, "messageID")?)?.clone();
        if matches!(self.parts.get(key), Some(Part::Settled)) {
            return None;
        }
        match text(part, "type")? {
            "text" => self.text(key, parent, ItemKind::Text, part, seen),
            "reasoning" => self.text(key, parent, ItemKind::Thinking, part, seen),
            "tool" => {
                self.tool(key, parent, part, seen);
                let child = text(&part["state"]["metadata"], "sessionId")?;
                return (child.len() <= limits::AGENT_WORD_BYTES_MAX).then_some((child, key));
            }
            "patch" => self.patch(key, parent, part, seen),
            "step-finish" => self.usage(key, parent.is_some(), part, seen),
            // Marks within a message: where a call of the model begins, what git calls the files then, that it is tried again.
            "step-start" | "snapshot" | "retry" | "compaction" => {}
            kind => {
                if self.open(key, parent, ItemKind::Opaque, title(kind), input(part), seen) {
                    self.settle(key, "", ItemStatus::Completed, seen);
                }
            }
        }
        None
    }

    fn text(&mut self, key: &str, parent: Option<String>, kind: ItemKind, part: &Value, seen: &mut Vec<Observed>) {
        if !self.open(key, parent, kind, String::new(), String::new(), seen) {
            return;
        }
        let whole = text(part, "text").unwrap_or_default();
        // What has no time at all was not streamed.
        let is_over = part.get("time").is_none_or(|time| time.get("end").is_some_and(|end| !end.is_null()));
        if is_over {
            self.settle(key, whole, ItemStatus::Completed, seen);
        } else if let Some(Part::Open(open)) = self.parts.get_mut(key) {
            open.show_whole(key, whole, seen);
        }
    }

    fn tool(&mut self, key: &str, parent: Option<String>, part: &Value, seen: &mut Vec<Observed>) {
        let state = &part["state"];
        let (now, told) = (tool_title(part), input(&state["input"]));
        if !self.open(key, parent, ItemKind::Tool, now.clone(), told.clone(), seen) {
            return;
        }
        let Some(Part::Open(open)) = self.parts.get_mut(key) else {
            return;
        };
        text(part, "callID").unwrap_or_default().clone_into(&mut open.call);
        if (&open.title, &open.input) != (&now, &told) {
            (open.title, open.input) = (now.clone(), told.clone());
            seen.push(Observed::ItemChanged { key: key.to_owned(), title: now, input: told });
        }
        match text(state, "status") {
            Some("completed") => {
                let output = text(state, "output").unwrap_or_default();
                self.settle(key, output, ItemStatus::Completed, seen);
            }
            Some("error") => {
                let error = text(state, "error").unwrap_or_default();
                let is_denied = open.is_declined || DENIALS.iter().any(|denial| error.starts_with(denial));
                let status = match state["metadata"]["interrupted"].as_bool() {
                    _ if is_denied => ItemStatus::Declined,
                    Some(true) => ItemStatus::Cancelled,
                    _ => ItemStatus::Failed,
                };
                self.settle(key, error, status, seen);
            }
            _ => open.show_whole(key, text(&state["metadata"], "output").unwrap_or_default(), seen),
        }
    }

    fn patch(&mut self, key: &str, parent: Option<String>, part: &Value, seen: &mut Vec<Observed>) {
        let files: Vec<&str> = part["files"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let name = match files.as_slice() {
            [] => String::new(),
            [one] => title(one),
            [first, rest @ ..] => title(&format!("{first} and {} more", rest.len())),
        };
        let about = input(&json!({ "files": part["files"], "hash": part["hash"] }));
        if self.open(key, parent, ItemKind::FileChange, name, about, seen) {
            self.settle(key, &files.join("\n"), ItemStatus::Completed, seen);
        }
    }

    fn usage(&mut self, key: &str, is_child: bool, part: &Value, seen: &mut Vec<Observed>) {
        if self.parts.len() >= PARTS_MAX {
            return;
        }
        self.parts.insert(key.to_owned(), Part::Settled);
        let tokens = &part["tokens"];
        let count = |value: &Value| value.as_u64().unwrap_or(0);
        let cached = count(&tokens["cache"]["read"]);
        let fresh = count(&tokens["input"]).saturating_add(count(&tokens["cache"]["write"]));
        let input_tokens = fresh.saturating_add(cached);
        let output_tokens = count(&tokens["output"]).saturating_add(count(&tokens["reasoning"]));
        seen.push(Observed::Used(Usage {
            scope: UsageScope::Call,
            input_tokens,
            cached_tokens: cached,
            output_tokens,
            cost_micro_usd: part["cost"].as_f64().filter(|cost| *cost >= 0.0).map(|cost| (cost * 1e6).round() as u64),
            context_tokens: (!is_child).then(|| input_tokens.saturating_add(output_tokens)),
            context_tokens_max: None,
        }));
    }

    /// Begins an item, unless it is open; whether it is open now.
    fn open(
        &mut self,
        key: &str,
        parent: Option<String>,
        kind: ItemKind,
        title: String,
        input: String,
        seen: &mut Vec<Observed>,
    ) -> bool {
        match self.parts.get(key) {
            Some(Part::Open(_)) => return true,
            Some(Part::Settled) => return false,
            None if self.parts.len() >= PARTS_MAX => return false,
            None => {}
        }
        let open = Open { kind, title, input, call: String::new(), shown: 0, is_declined: false };
        let (title, input) = (open.title.clone(), open.input.clone());
        self.parts.insert(key.to_owned(), Part::Open(open));
        seen.push(Observed::ItemStarted { key: key.to_owned(), parent, kind, title, input });
        true
    }

    fn settle(&mut self, key: &str, text: &str, status: ItemStatus, seen: &mut Vec<Observed>) {
        if let Some(part) = self.parts.get_mut(key) {
            *part = Part::Settled;
            tell_text(key, text, seen);
            seen.push(Observed::ItemEnded { key: key.to_owned(), status });
        }
    }
}

impl Open {
    fn show(&mut self, key: &str, more: &str, seen: &mut Vec<Observed>) {
        if self.shown < limits::ITEM_TEXT_BYTES_MAX {
            self.shown += more.len();
            tell_delta(key, more, seen);
        }
    }

    /// What is new in a text that is told whole.
    fn show_whole(&mut self, key: &str, whole: &str, seen: &mut Vec<Observed>) {
        if let Some(more) = whole.get(self.shown..).filter(|more| !more.is_empty()) {
            self.show(key, more, seen);
        }
    }
}

/// What opencode says of a tool call that was not allowed by a rule, or by somebody whose answer was not seen.
const DENIALS: &[&str] = &[
    "The user rejected permission to use this specific tool call",
    "The user has specified a rule which prevents you from using this specific tool call",
    "The user dismissed this question",
];

/// A tool's name, and what it is called with in a few words.
fn tool_title(part: &Value) -> String {
    let (name, state) = (text(part, "tool").unwrap_or("tool"), &part["state"]);
    let words = ["command", "filePath", "path", "pattern", "url", "query", "description", "name"];
    let word = words.iter().find_map(|word| text(&state["input"], word)).or_else(|| text(state, "title"));
    let name = pieces(name).next().unwrap_or_default();
    title(&word.map_or_else(|| name.to_owned(), |word| format!("{name}: {word}")))
}
