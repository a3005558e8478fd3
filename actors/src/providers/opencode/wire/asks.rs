//! Questions: permissions, and choices that the model offers.

use std::collections::BTreeMap;

use ropewalk_protocol::{AskEffect, AskKind, AskOption, limits};
use serde_json::{Value, json};

use super::super::super::{Observed, cut, title, wants};
use super::fields::{detail, text};
use super::items::Items;

/// Questions that are open, by their ids, with the tool call each is about.
#[derive(Default)]
pub(super) struct Asks(BTreeMap<String, String>);

impl Asks {
    /// After the turn the core closes them. opencode keeps those of an aborted turn, and an answer to them does nothing.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// The tool call that a question is about.
    pub(super) fn call(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    pub(super) fn asked(&mut self, request: &Value, items: &Items, seen: &mut Vec<Observed>) {
        let Some(key) = text(request, "id").filter(|key| key.len() <= limits::AGENT_WORD_BYTES_MAX) else {
            return;
        };
        if self.0.contains_key(key) || self.0.len() >= limits::ASKS_OPEN_MAX {
            return;
        }
        let call = text(&request["tool"], "callID").unwrap_or_default();
        self.0.insert(key.to_owned(), call.to_owned());
        let (key, item) = (key.to_owned(), items.with_call(call));
        seen.push(match request.get("questions") {
            Some(questions) => question(key, item, questions),
            None => permission(key, item, request),
        });
    }

    pub(super) fn close(&mut self, key: &str, seen: &mut Vec<Observed>) {
        if self.0.remove(key).is_some() {
            seen.push(Observed::AskClosed { key: key.to_owned() });
        }
    }

    /// What is open now, of what the server lists, takes the place of what was.
    pub(super) fn listed<'a>(
        &mut self,
        prefix: &str,
        requests: impl Iterator<Item = &'a Value>,
        items: &Items,
        seen: &mut Vec<Observed>,
    ) {
        let mut gone: Vec<String> = self.0.keys().filter(|key| key.starts_with(prefix)).cloned().collect();
        for request in requests {
            gone.retain(|key| text(request, "id") != Some(key));
            self.asked(request, items, seen);
        }
        gone.iter().for_each(|key| self.close(key, seen));
    }
}

fn permission(key: String, item: Option<String>, request: &Value) -> Observed {
    let words = |name: &str| -> String {
        let words = request[name].as_array().map(Vec::as_slice).unwrap_or_default();
        words.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
    };
    let (patterns, always) = (words("patterns"), words("always"));
    let what = text(request, "permission").unwrap_or("permission");
    let what = if patterns.is_empty() { what.to_owned() } else { format!("{what}: {patterns}") };
    let allow_always = if always.is_empty() { "Allow always".to_owned() } else { format!("Allow always: {always}") };
    let option = |id: &str, name: &str, effect| AskOption { id: id.to_owned(), name: word(name), effect };
    let about = json!({
        "permission": request["permission"],
        "patterns": request["patterns"],
        "metadata": request["metadata"],
        "always": request["always"],
    });
    Observed::Asked {
        key,
        item,
        kind: AskKind::Permission,
        title: title(&what),
        wants: wants::of_permission(
            text(request, "permission").unwrap_or_default(),
            &request["metadata"],
            &request["patterns"],
        ),
        detail: detail(about),
        options: vec![
            option("once", "Allow once", AskEffect::Allow),
            option("always", &allow_always, AskEffect::AllowAlways),
            option("reject", "Reject", AskEffect::Deny),
        ],
    }
}

/// Several questions at once are answered as text, a line each: a choice is of one.
fn question(key: String, item: Option<String>, questions: &Value) -> Observed {
    let listed = questions.as_array().map(Vec::as_slice).unwrap_or_default();
    let asked: Vec<&str> = listed.iter().filter_map(|question| text(question, "question")).collect();
    let options = match listed {
        [one] => one["options"].as_array().map(Vec::as_slice).unwrap_or_default(),
        _ => &[],
    };
    let labels = options.iter().filter_map(|option| text(option, "label"));
    let options: Vec<AskOption> = labels
        .take(limits::ASKS_OPEN_MAX)
        .map(|label| AskOption { id: word(label), name: word(label), effect: AskEffect::Other })
        .collect();
    let kind = if options.is_empty() { AskKind::Question } else { AskKind::Choice };
    let (detail, wants) = (detail(questions.clone()), Vec::new());
    Observed::Asked { key, item, kind, title: title(&asked.join(" / ")), detail, options, wants }
}

fn word(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    cut(line, limits::AGENT_WORD_BYTES_MAX).to_owned()
}

/// The request with this id in the line that told it.
pub(in super::super) fn request_of(line: &[u8], key: &str) -> Value {
    let said: Value = serde_json::from_slice(line).unwrap_or_default();
    if let Some(properties) = said["event"].get("properties") {
        return properties.clone();
    }
    let listed = said["body"].as_array().map(Vec::as_slice).unwrap_or_default();
    listed.iter().find(|request| text(request, "id") == Some(key)).cloned().unwrap_or_default()
}
