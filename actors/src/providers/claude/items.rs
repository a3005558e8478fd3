//! The items of Claude Code's turns: blocks of messages as they stream and settle, and tools with their results. Pure.
//!
//! A message is told twice: in pieces as it streams, and block by block when a block is whole, before the stream tells that the
//! block ends. A stream that fails is given up without a word, and its message told anew under another id.

use std::collections::BTreeMap;

use ropewalk_protocol::{ItemKind, ItemStatus, limits};
use serde_json::Value;

use super::super::{Observed, cut, input, tell_delta, tell_text, title};

/// What is under way.
#[derive(Debug, Default)]
pub(super) struct Items {
    /// The message of each speaker: the agent itself under no name, sub-agents by the tool call that they serve.
    messages: BTreeMap<String, Message>,
    /// Tool calls without a result.
    tools: BTreeMap<String, Tool>,
    /// Those of sub-agents that their turn left behind.
    left: BTreeMap<String, Tool>,
    /// Messages that had no id.
    unnamed: u64,
}

#[derive(Debug, Default)]
struct Message {
    id: String,
    /// Blocks that were told of.
    blocks: u64,
    /// Those that are not whole yet.
    open: Vec<Block>,
}

#[derive(Debug)]
struct Block {
    /// Where in the stream. Some dialects use a place twice.
    index: u64,
    key: String,
    kind: ItemKind,
    is_tool: bool,
}

#[derive(Debug)]
struct Tool {
    kind: ItemKind,
    title: String,
    input: String,
    parent: Option<String>,
    /// Its text is told: it is what was called with.
    is_told: bool,
}

impl Items {
    /// A piece of a message. `false`: it is not known.
    pub(super) fn streamed(&mut self, event: &Value, parent: Option<&str>, seen: &mut Vec<Observed>) -> bool {
        let speaker = parent.unwrap_or_default();
        match event["type"].as_str().unwrap_or_default() {
            "message_start" => {
                self.give_up(speaker, seen);
                self.begin(speaker, event["message"]["id"].as_str());
            }
            "content_block_start" => self.begin_block(event, parent, seen),
            "content_block_delta" => {
                let index = event["index"].as_u64().unwrap_or_default();
                let open = self.messages.get(speaker).map(|message| message.open.as_slice()).unwrap_or_default();
                let Some(block) = open.iter().rev().find(|block| block.index == index) else { return true };
                let delta = &event["delta"];
                match delta["type"].as_str().unwrap_or_default() {
                    "text_delta" => tell_delta(&block.key, delta["text"].as_str().unwrap_or_default(), seen),
                    "thinking_delta" => tell_delta(&block.key, delta["thinking"].as_str().unwrap_or_default(), seen),
                    // A tool's input is told whole; a signature says nothing to people; citations are in the whole block.
                    "input_json_delta" | "signature_delta" | "citations_delta" => {}
                    _ => return false,
                }
            }
            "message_stop" => self.give_up(speaker, seen),
            // A whole block was told, or will be; what the message used is told with the result.
            "content_block_stop" | "message_delta" | "ping" => {}
            _ => return false,
        }
        true
    }

    fn begin(&mut self, speaker: &str, id: Option<&str>) {
        if self.messages.len() >= limits::ITEMS_OPEN_MAX && !self.messages.contains_key(speaker) {
            self.messages.retain(|_, message| !message.open.is_empty());
        }
        let id = match id {
            Some(id) => word(id),
            None => {
                self.unnamed += 1;
                format!("message {}", self.unnamed)
            }
        };
        let same = self.messages.get(speaker).filter(|message| message.id == id);
        let blocks = same.map(|message| message.blocks).unwrap_or_default();
        self.messages.insert(word(speaker), Message { id, blocks, open: Vec::new() });
    }

    fn begin_block(&mut self, event: &Value, parent: Option<&str>, seen: &mut Vec<Observed>) {
        let speaker = parent.unwrap_or_default();
        let (index, block) = (event["index"].as_u64().unwrap_or_default(), &event["content_block"]);
        if !self.messages.contains_key(speaker) {
            self.begin(speaker, None);
        }
        let Some(message) = self.messages.get_mut(speaker) else { return };
        if message.open.len() >= limits::ITEMS_OPEN_MAX {
            return;
        }
        if let Some(tool) = tool_id(block) {
            message.open.push(Block { index, key: tool.clone(), kind: ItemKind::Tool, is_tool: true });
            self.call(tool, block, parent, seen);
        } else if let Some((kind, text)) = said(block) {
            let key = message.next_key();
            message.open.push(Block { index, key: key.clone(), kind, is_tool: false });
            seen.push(started(&key, parent, kind, "", ""));
            tell_delta(&key, text, seen);
        }
    }

    /// The blocks of a message that will not be told whole: its stream failed.
    fn give_up(&mut self, speaker: &str, seen: &mut Vec<Observed>) {
        for block in self.messages.get_mut(speaker).map(|message| std::mem::take(&mut message.open)).unwrap_or_default()
        {
            if !block.is_tool || self.tools.remove(&block.key).is_some() {
                seen.push(Observed::ItemEnded { key: block.key, status: ItemStatus::Failed });
            }
        }
    }

    /// Whole blocks of a message. `text_status`: how what is said in it ended.
    pub(super) fn told(
        &mut self,
        message: &Value,
        parent: Option<&str>,
        text_status: ItemStatus,
        seen: &mut Vec<Observed>,
    ) {
        let speaker = parent.unwrap_or_default();
        let content = message["content"].as_array().map(Vec::as_slice).unwrap_or_default();
        let id = message["id"].as_str();
        let current = self.messages.get(speaker);
        let is_current = current.is_some_and(|current| id.is_some_and(|id| current.id == word(id)));
        // In some dialects a tool call that streamed in one message is told whole in another.
        let streams = |block: &Value| {
            let open = current.map(|message| message.open.as_slice()).unwrap_or_default();
            tool_id(block).is_some_and(|tool| open.iter().any(|block| block.is_tool && block.key == tool))
        };
        if !is_current && (content.is_empty() || !content.iter().all(streams)) {
            self.give_up(speaker, seen);
            self.begin(speaker, id);
        }
        for block in content {
            self.told_block(block, parent, text_status, seen);
        }
    }

    fn told_block(&mut self, block: &Value, parent: Option<&str>, text_status: ItemStatus, seen: &mut Vec<Observed>) {
        let Some(message) = self.messages.get_mut(parent.unwrap_or_default()) else { return };
        if let Some(tool) = tool_id(block) {
            message.open.retain(|block| block.key != tool);
            return self.call(tool, block, parent, seen);
        }
        if block["tool_use_id"].is_string() {
            self.result(block, ItemStatus::Completed, &Value::Null, seen);
            return;
        }
        let json;
        let (kind, text) = match said(block) {
            Some(said) => said,
            None => {
                json = input(block);
                (ItemKind::Opaque, json.as_str())
            }
        };
        let key = match message.open.iter().position(|block| !block.is_tool && block.kind == kind) {
            Some(place) => message.open.remove(place).key,
            None => {
                let key = message.next_key();
                seen.push(started(&key, parent, kind, "", ""));
                key
            }
        };
        tell_text(&key, text, seen);
        seen.push(Observed::ItemEnded { key, status: text_status });
    }

    /// A tool call, as far as it is told.
    fn call(&mut self, key: String, block: &Value, parent: Option<&str>, seen: &mut Vec<Observed>) {
        let name = block["name"].as_str().unwrap_or("tool");
        let (with, kind) = (&block["input"], tool_kind(name));
        let is_whole = with.as_object().is_some_and(|with| !with.is_empty());
        let (title, input) =
            if is_whole { (tool_title(name, with), input(with)) } else { (title(name), String::new()) };
        let is_open = self.tools.contains_key(&key);
        if !is_open {
            seen.push(started(&key, parent, kind, &title, &input));
        } else if is_whole {
            seen.push(Observed::ItemChanged { key: key.clone(), title: title.clone(), input: input.clone() });
        }
        let plan = if kind == ItemKind::Plan { plan(with) } else { String::new() };
        if !plan.is_empty() {
            tell_text(&key, &plan, seen);
        }
        if is_open || self.tools.len() < limits::ITEMS_OPEN_MAX {
            let tool = Tool { kind, title, input, parent: parent.map(word), is_told: !plan.is_empty() };
            self.tools.insert(key, tool);
        }
    }

    /// A tool's result; `told`: what the program tells of it beside. `false`: nothing is known of such a tool.
    pub(super) fn result(&mut self, block: &Value, status: ItemStatus, told: &Value, seen: &mut Vec<Observed>) -> bool {
        let Some(mut key) = block["tool_use_id"].as_str().map(word) else { return false };
        let tool = match self.tools.remove(&key) {
            Some(tool) => tool,
            None => {
                // Its item ended with the turn that it began in.
                let Some(tool) = self.left.remove(&key) else { return false };
                key = word(&format!("after its turn: {key}"));
                seen.push(started(&key, tool.parent.as_deref(), tool.kind, &tool.title, &tool.input));
                tool
            }
        };
        let change = if tool.kind == ItemKind::FileChange { difference(told) } else { String::new() };
        if !change.is_empty() {
            tell_text(&key, &change, seen);
        } else if !tool.is_told || status != ItemStatus::Completed {
            tell_text(&key, &result_text(&block["content"]), seen);
        }
        seen.push(Observed::ItemEnded { key, status });
        true
    }

    /// The turn is over. `is_cut`: it was cancelled, and what is open ends with it.
    pub(super) fn end_turn(&mut self, is_cut: bool, seen: &mut Vec<Observed>) {
        if !is_cut {
            self.give_up("", seen);
        }
        for message in self.messages.values_mut() {
            message.open.clear();
        }
        for (key, tool) in std::mem::take(&mut self.tools) {
            if tool.parent.is_some() && self.left.len() < limits::ITEMS_OPEN_MAX {
                self.left.insert(key, tool);
            }
        }
    }
}

impl Message {
    fn next_key(&mut self) -> String {
        self.blocks += 1;
        format!("{}:{}", self.id, self.blocks - 1)
    }
}

fn started(key: &str, parent: Option<&str>, kind: ItemKind, title: &str, input: &str) -> Observed {
    let (key, parent) = (key.to_owned(), parent.map(word));
    Observed::ItemStarted { key, parent, kind, title: title.to_owned(), input: input.to_owned() }
}

/// A name that the program gives to something, as much of it as is kept.
pub(super) fn word(text: &str) -> String {
    cut(text, limits::AGENT_WORD_BYTES_MAX).to_owned()
}

fn tool_id(block: &Value) -> Option<String> {
    let is_call = matches!(block["type"].as_str(), Some("tool_use" | "server_tool_use" | "mcp_tool_use"));
    block["id"].as_str().filter(|_| is_call).map(word)
}

fn said(block: &Value) -> Option<(ItemKind, &str)> {
    match block["type"].as_str()? {
        "text" => Some((ItemKind::Text, block["text"].as_str().unwrap_or_default())),
        "thinking" => Some((ItemKind::Thinking, block["thinking"].as_str().unwrap_or_default())),
        "redacted_thinking" => Some((ItemKind::Thinking, "")),
        _ => None,
    }
}

fn tool_kind(name: &str) -> ItemKind {
    match name {
        "Edit" | "MultiEdit" | "NotebookEdit" | "Write" => ItemKind::FileChange,
        "ExitPlanMode" | "TodoWrite" => ItemKind::Plan,
        _ => ItemKind::Tool,
    }
}

/// A tool's name, and what it is called for or with, in a line.
pub(super) fn tool_title(name: &str, with: &Value) -> String {
    const TELLING: [&str; 10] =
        ["description", "command", "file_path", "notebook_path", "path", "pattern", "url", "query", "skill", "prompt"];
    match TELLING.iter().find_map(|field| with[*field].as_str().filter(|text| !text.is_empty())) {
        Some(text) => title(&format!("{name}: {}", text.lines().next().unwrap_or_default())),
        None => title(name),
    }
}

fn plan(with: &Value) -> String {
    if let Some(plan) = with["plan"].as_str() {
        return plan.to_owned();
    }
    let steps = with["todos"].as_array().into_iter().flatten().filter_map(|step| {
        let mark = match step["status"].as_str()? {
            "completed" => "x",
            "in_progress" => "~",
            _ => " ",
        };
        Some(format!("[{mark}] {}\n", step["content"].as_str()?))
    });
    steps.collect()
}

fn result_text(content: &Value) -> String {
    let parts = match content {
        Value::String(text) => return text.clone(),
        Value::Null => return String::new(),
        Value::Array(parts) => parts.as_slice(),
        other => return input(other),
    };
    let parts = parts.iter().map(|part| match (part["text"].as_str(), part["type"].as_str()) {
        (Some(text), _) => text.to_owned(),
        (None, Some(kind)) => format!("[{kind}]"),
        (None, None) => input(part),
    });
    parts.collect::<Vec<_>>().join("\n")
}

/// What a tool changed in a file, as unified differences are written; empty if the program does not tell.
fn difference(told: &Value) -> String {
    let mut text = String::new();
    for hunk in told["structuredPatch"].as_array().into_iter().flatten() {
        let [old, olds, new, news] =
            ["oldStart", "oldLines", "newStart", "newLines"].map(|name| hunk[name].as_u64().unwrap_or_default());
        text.push_str(&format!("@@ -{old},{olds} +{new},{news} @@\n"));
        for line in hunk["lines"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            text.extend([line, "\n"]);
        }
    }
    if text.is_empty() && told["type"] == "create" {
        let lines: Vec<&str> = told["content"].as_str().unwrap_or_default().lines().collect();
        text.push_str(&format!("@@ -0,0 +1,{} @@\n", lines.len()));
        text.extend(lines.iter().flat_map(|line| ["+", line, "\n"]));
    }
    text
}
