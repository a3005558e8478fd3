//! The items of a turn: what the agent says and thinks, the tools it calls, its plan. Pure.
//!
//! Agents send chunks of text without saying where a text ends, and name tools by ids that some use again. So each item has
//! a key of its own, with a number that counts up over the run.

use std::collections::BTreeMap;

use ropewalk_protocol::{ItemKind, ItemStatus, TurnOutcome, limits};
use serde_json::{Value, json};

use super::super::{Observed, cut, input, tell_delta, tell_text, title};
use super::difference::difference;
use super::wire::text_of;

/// Text of open tools that is held at once; they are told without the rest.
const TEXT_HELD_BYTES_MAX: usize = 8 * limits::ITEM_TEXT_BYTES_MAX;

/// The open items, and what was told of them.
#[derive(Debug, Default)]
pub(crate) struct Items {
    /// How many began in this run.
    begun: u64,
    run: Option<Run>,
    /// The tools of this turn, by the agent's id.
    tools: BTreeMap<String, Tool>,
    plan: Option<Plan>,
}

/// Chunks that are one text.
#[derive(Debug)]
struct Run {
    key: String,
    kind: ItemKind,
    message: Option<String>,
    parent: Option<String>,
    text: String,
}

#[derive(Debug)]
struct Tool {
    key: String,
    kind: ItemKind,
    title: String,
    input: String,
    text: String,
    /// The text is a difference of files, which plain words do not replace.
    is_difference: bool,
    /// How much of the text was told as a preview; more than there is: it went another way since.
    previewed: usize,
    /// The agent asked about it, and told no more of it since.
    asked: bool,
    ended: bool,
}

#[derive(Debug)]
struct Plan {
    key: String,
    text: String,
}

impl Items {
    fn key(&mut self, name: &str) -> String {
        self.begun += 1;
        format!("{}#{}", cut(name, limits::AGENT_WORD_BYTES_MAX), self.begun)
    }

    /// A piece of what the agent says or thinks.
    pub(crate) fn chunk(&mut self, kind: ItemKind, update: &Value, text: &str, seen: &mut Vec<Observed>) {
        if text.is_empty() {
            return;
        }
        let message = update["messageId"].as_str();
        let parent = self.parent(update);
        let goes_on = |run: &Run| run.kind == kind && run.message.as_deref() == message && run.parent == parent;
        if !self.run.as_ref().is_some_and(goes_on) {
            self.end_run(ItemStatus::Completed, seen);
            let key = self.key(message.unwrap_or("chunks"));
            let (title, input) = (String::new(), String::new());
            seen.push(Observed::ItemStarted { key: key.clone(), parent: parent.clone(), kind, title, input });
            self.run = Some(Run { key, kind, message: message.map(str::to_owned), parent, text: String::new() });
        }
        let Some(run) = &mut self.run else { return };
        let more = cut(text, limits::ITEM_TEXT_BYTES_MAX - run.text.len());
        tell_delta(&run.key, more, seen);
        run.text.push_str(more);
    }

    /// What the agent said or thought is whole: it does something else now.
    pub(crate) fn end_run(&mut self, status: ItemStatus, seen: &mut Vec<Observed>) {
        let Some(run) = self.run.take() else { return };
        tell_text(&run.key, &run.text, seen);
        seen.push(Observed::ItemEnded { key: run.key, status });
    }

    /// A tool, as the agent begins it.
    pub(crate) fn tool_call(&mut self, update: &Value, seen: &mut Vec<Observed>) {
        self.end_run(ItemStatus::Completed, seen);
        let Some(id) = update["toolCallId"].as_str() else { return };
        if self.tools.get(id).is_none_or(|tool| tool.ended) {
            self.begin_tool(id, update, seen);
        }
        self.change_tool(id, update, seen);
    }

    /// More of a tool; of one that is not known, it may be the first that is told. What comes after a tool's end is late.
    pub(crate) fn tool_update(&mut self, update: &Value, seen: &mut Vec<Observed>) {
        // Tools that run beside a text do not end it, where the agent names the text.
        if self.run.as_ref().is_some_and(|run| run.message.is_none()) {
            self.end_run(ItemStatus::Completed, seen);
        }
        let Some(id) = update["toolCallId"].as_str() else { return };
        if !self.tools.contains_key(id) {
            self.begin_tool(id, update, seen);
        }
        self.change_tool(id, update, seen);
    }

    /// The agent asks about a tool, which may be the first that it tells of it. Its key, title and input.
    pub(crate) fn asked(&mut self, call: &Value, seen: &mut Vec<Observed>) -> Option<(String, String, String)> {
        let id = call["toolCallId"].as_str()?;
        if self.tools.get(id).is_none_or(|tool| tool.ended) {
            self.begin_tool(id, call, seen);
        }
        // A question may describe a tool in fewer words, or in others, than the tool itself.
        let is_described = self.tools.get(id).is_some_and(|tool| !tool.input.is_empty());
        let described = json!({"content": call["content"]});
        self.change_tool(id, if is_described { &described } else { call }, seen);
        let tool = self.tools.get_mut(id)?;
        tool.asked = true;
        Some((tool.key.clone(), tool.title.clone(), tool.input.clone()))
    }

    /// That the agent knows this tool.
    pub(crate) fn knows(&self, update: &Value) -> bool {
        update["toolCallId"].as_str().is_some_and(|id| self.tools.contains_key(id))
    }

    fn begin_tool(&mut self, id: &str, update: &Value, seen: &mut Vec<Observed>) {
        if self.tools.len() >= limits::ITEMS_OPEN_MAX {
            self.tools.retain(|_, tool| !tool.ended);
        }
        if self.tools.len() >= limits::ITEMS_OPEN_MAX {
            self.tools.pop_first();
        }
        let (key, parent) = (self.key(id), self.parent(update));
        let changes_files = matches!(update["kind"].as_str(), Some("edit" | "delete" | "move"));
        let kind = if changes_files || has_difference(update) { ItemKind::FileChange } else { ItemKind::Tool };
        let (title, input) = (title_of(update).unwrap_or_default(), input_of(update).unwrap_or_default());
        let (started, input_now) = (title.clone(), input.clone());
        seen.push(Observed::ItemStarted { key: key.clone(), parent, kind, title: started, input: input_now });
        let text = String::new();
        let tool =
            Tool { key, kind, title, input, text, is_difference: false, previewed: 0, asked: false, ended: false };
        self.tools.insert(id.to_owned(), tool);
    }

    fn change_tool(&mut self, id: &str, update: &Value, seen: &mut Vec<Observed>) {
        let others: usize = self.tools.iter().filter(|(other, _)| *other != id).map(|(_, tool)| tool.text.len()).sum();
        let room = TEXT_HELD_BYTES_MAX.saturating_sub(others).min(limits::ITEM_TEXT_BYTES_MAX);
        let Some(tool) = self.tools.get_mut(id).filter(|tool| !tool.ended) else { return };
        tool.asked = false;
        let title = title_of(update).unwrap_or_else(|| tool.title.clone());
        let input = input_of(update).unwrap_or_else(|| tool.input.clone());
        if title != tool.title || input != tool.input {
            (tool.title, tool.input) = (title.clone(), input.clone());
            seen.push(Observed::ItemChanged { key: tool.key.clone(), title, input });
        }
        let status = update["status"].as_str();
        let was_told = tool.content(&update["content"], room);
        let streamed = &update["_meta"]["terminal_output_delta"]["data"];
        if let Some(more) = streamed.as_str() {
            let more = cut(more, room.saturating_sub(tool.text.len()));
            tool.text.push_str(more);
        }
        if streamed.is_string() || was_told && status == Some("in_progress") {
            tool.preview(seen);
        }
        let status = match status {
            Some("completed") => ItemStatus::Completed,
            Some("failed") => ItemStatus::Failed,
            Some("cancelled") => ItemStatus::Cancelled,
            Some("rejected" | "declined") => ItemStatus::Declined,
            _ => return,
        };
        if !was_told && !tool.is_difference && !update["rawOutput"].is_null() {
            tool.text = output_of(&update["rawOutput"]);
        }
        tool.end(status, seen);
    }

    /// What the agent plans to do.
    pub(crate) fn plan(&mut self, update: &Value, seen: &mut Vec<Observed>) {
        self.end_run(ItemStatus::Completed, seen);
        let entries = update["entries"].as_array().map_or(&[][..], Vec::as_slice);
        let done = entries.iter().filter(|entry| entry["status"] == "completed").count();
        let (heading, input) = (format!("{done} of {} done", entries.len()), input(&update["entries"]));
        let mut text = String::new();
        for entry in entries {
            let mark = if entry["status"] == "completed" { "x" } else { " " };
            let line = format!("- [{mark}] {}\n", title(entry["content"].as_str().unwrap_or_default()));
            text.push_str(cut(&line, limits::ITEM_TEXT_BYTES_MAX - text.len()));
        }
        if let Some(plan) = &mut self.plan {
            plan.text = text;
            seen.push(Observed::ItemChanged { key: plan.key.clone(), title: heading, input });
        } else {
            let key = self.key("plan");
            seen.push(Observed::ItemStarted {
                key: key.clone(),
                parent: None,
                kind: ItemKind::Plan,
                title: heading,
                input,
            });
            self.plan = Some(Plan { key, text });
        }
    }

    /// The turn has ended: settles what the agent never settles. Tools that are open are left to whoever closes the turn,
    /// but for those that the agent asked about and never told of again in a turn that it finished: they were not allowed.
    pub(crate) fn turn_ended(&mut self, outcome: &TurnOutcome, seen: &mut Vec<Observed>) {
        let status = match outcome {
            TurnOutcome::Completed => ItemStatus::Completed,
            TurnOutcome::Cancelled => ItemStatus::Cancelled,
            TurnOutcome::Failed { .. } | TurnOutcome::Interrupted { .. } => ItemStatus::Failed,
        };
        self.end_run(status, seen);
        for tool in self.tools.values_mut() {
            if *outcome == TurnOutcome::Completed && tool.asked && !tool.ended {
                // What the question said is no output.
                tool.text.truncate(if tool.is_difference { usize::MAX } else { 0 });
                tool.end(ItemStatus::Declined, seen);
            }
        }
        self.tools.clear();
        if let Some(plan) = self.plan.take() {
            tell_text(&plan.key, &plan.text, seen);
            seen.push(Observed::ItemEnded { key: plan.key, status });
        }
    }

    /// The tool call that something is part of, as far as the agent tells.
    fn parent(&self, update: &Value) -> Option<String> {
        let id = update["_meta"]["claudeCode"]["parentToolUseId"].as_str()?;
        self.tools.get(id).map(|tool| tool.key.clone())
    }
}

impl Tool {
    /// Takes a tool's content in, which takes the place of the content before; whether there is any.
    fn content(&mut self, content: &Value, room: usize) -> bool {
        let Some(content) = content.as_array() else { return false };
        // A terminal's text comes beside it.
        if !content.is_empty() && content.iter().all(|piece| piece["type"] == "terminal") {
            return false;
        }
        let (mut text, mut differences) = (String::new(), String::new());
        for piece in content {
            match piece["type"].as_str() {
                Some("diff") => differences.push_str(&difference(piece)),
                Some("content") => text.push_str(&text_of(&piece["content"]).unwrap_or_default()),
                _ => {}
            }
        }
        if self.kind == ItemKind::FileChange && (self.is_difference || !differences.is_empty()) {
            self.is_difference = true;
            text = differences;
        } else {
            text.push_str(&differences);
        }
        if !(self.is_difference && text.is_empty()) {
            let goes_on = self.text.get(..self.previewed).is_some_and(|told| text.starts_with(told));
            self.previewed = if goes_on { self.previewed } else { usize::MAX };
            self.text = cut(&text, room).to_owned();
        }
        true
    }

    /// Tells what is new in the text, where it goes on from what was told.
    fn preview(&mut self, seen: &mut Vec<Observed>) {
        if let Some(more) = self.text.get(self.previewed..) {
            tell_delta(&self.key, more, seen);
            self.previewed = self.text.len();
        }
    }

    fn end(&mut self, status: ItemStatus, seen: &mut Vec<Observed>) {
        if !self.text.is_empty() || self.previewed > 0 {
            tell_text(&self.key, &self.text, seen);
        }
        seen.push(Observed::ItemEnded { key: self.key.clone(), status });
        (self.ended, self.text) = (true, String::new());
    }
}

fn title_of(update: &Value) -> Option<String> {
    update["title"].as_str().map(title).filter(|title| !title.is_empty())
}

fn input_of(update: &Value) -> Option<String> {
    let raw = &update["rawInput"];
    let is_empty = raw.is_null() || raw.as_object().is_some_and(serde_json::Map::is_empty);
    (!is_empty).then(|| input(raw))
}

fn has_difference(update: &Value) -> bool {
    update["content"].as_array().is_some_and(|content| content.iter().any(|piece| piece["type"] == "diff"))
}

/// A tool's output, where the agent gives it as a value of its own.
fn output_of(raw: &Value) -> String {
    let known =
        ["output", "stdout", "error"].iter().filter_map(|name| raw[name].as_str()).find(|text| !text.is_empty());
    let knows_nothing = ["output", "stdout"].iter().all(|name| raw[name].is_null());
    let text = match raw.as_str().or(known) {
        Some(text) => text.to_owned(),
        None if knows_nothing => raw.to_string(),
        None => raw["stderr"].as_str().unwrap_or_default().to_owned(),
    };
    cut(&text, limits::ITEM_TEXT_BYTES_MAX).to_owned()
}
