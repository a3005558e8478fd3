//! What codex's lines mean. Pure.
//!
//! Several threads speak on one wire: ours, and those of agents that it started, which work on after our turn has ended and
//! ask for themselves. What they do is told as items below the call that started them; their turns are none of ours.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use ropewalk_protocol::{ItemKind, ItemStatus, NoticeKind, TurnOutcome, limits};
use serde_json::Value;

use super::counts::Counts;
use super::items::{self, Facts, text, word};
use super::steers::Steers;
use super::trouble::{self, bounded, joined, outcome, refusal};
use super::{asks, mode_called};
use crate::providers::rpc::{self, Message};
use crate::providers::{Observed, Parser, input, tell_delta, tell_opaque, tell_text};

/// Turns that ended and are remembered, to know what comes late. Only commands left running come late at all.
const ENDED_MAX: usize = 64;
/// Warnings that are remembered, to tell each once: codex repeats some at every turn.
const WARNINGS_MAX: usize = 64;
/// Threads of other agents that are told apart.
pub(super) const THREADS_MAX: usize = 256;

/// What an item is known by: codex's name of the turn and of the item. Its names of items alone are those that the model's
/// server gave to calls, and some give the same ones again in every turn.
type Name = (String, String);

/// Everything that later lines are read by.
#[derive(Debug, Default)]
pub(super) struct Wire {
    version: Option<String>,
    /// The thread that is the conversation.
    thread: Option<String>,
    /// Its turn that runs.
    turn: Option<String>,
    ended: VecDeque<String>,
    open: BTreeMap<Name, Open>,
    /// Questions of other agents that are not answered, as they are told again when our turn ends and closes them.
    asks: BTreeMap<String, Observed>,
    /// The keys of the calls that started other threads.
    callers: BTreeMap<String, String>,
    counts: Counts,
    steers: Steers,
    warned: BTreeSet<String>,
    /// The model and the mode that were told last.
    settings: (Option<String>, Option<String>),
}

/// An item that has begun.
#[derive(Debug, Clone)]
struct Open {
    key: String,
    parent: Option<String>,
    facts: Facts,
    /// Whether whoever listens has it open: not after our turn ended under an item of another agent.
    is_told: bool,
}

impl Parser for Wire {
    fn line(&mut self, line: &[u8], seen: &mut Vec<Observed>) {
        let is_known = match rpc::parse(line) {
            Some(Message::Notification { method, params }) => self.notification(&method, &params, seen),
            Some(Message::Request { id, method, params }) => {
                self.request(&id, &method, &params, seen);
                true
            }
            Some(Message::Response { id, result }) => self.response(id.as_str().unwrap_or_default(), &result, seen),
            Some(Message::Error { id, message, .. }) => self.error(id.as_str().unwrap_or_default(), &message, seen),
            None => false,
        };
        if !is_known {
            tell_opaque(line, seen);
        }
    }
}

impl Wire {
    fn request(&mut self, id: &Value, method: &str, params: &Value, seen: &mut Vec<Observed>) {
        let item = self.open.get(&name(params, text(params, "itemId"))).filter(|open| open.is_told);
        let item = item.map(|open| (open.key.clone(), open.facts.clone()));
        let asked = asks::asked(id, method, params, item);
        if !self.is_ours(params) && self.asks.len() < limits::ASKS_OPEN_MAX {
            self.asks.extend(asks::again(method, &asked).map(|again| (asks::key(id), again)));
        }
        seen.push(asked);
    }

    /// The answer to what we asked. Whether it was ours.
    fn response(&mut self, id: &str, result: &Value, seen: &mut Vec<Observed>) -> bool {
        match id.split_once(':').unwrap_or((id, "")) {
            ("greet", "0") => {
                // As in `ropewalk/0.169.0 (Debian 12.0.0; x86_64) …`.
                let version = text(result, "userAgent").split_once('/').and_then(|(_, rest)| rest.split(' ').next());
                self.version = version.map(word);
                seen.push(Observed::Greeted { step: 1 });
            }
            ("greet", _) => {
                let thread = word(text(&result["thread"], "id"));
                if thread.is_empty() {
                    seen.push(Observed::Refused { reason: "codex told of no thread".into() });
                    return true;
                }
                self.thread = Some(thread);
                seen.extend(trouble::settled(&result["initialTurnsPage"]["data"]));
                self.ready(result, "sandbox", seen);
            }
            ("prompt", _) => {
                let turn = word(text(&result["turn"], "id"));
                // One that has ended was told of as a turn that nobody asked for.
                if !self.ended.contains(&turn) {
                    let turn = Some(turn).filter(|turn| !turn.is_empty());
                    seen.push(Observed::Confirmed { name: turn.clone() });
                    self.turn = turn.or(self.turn.take());
                }
            }
            ("steer", prompt) => {
                let has_ended = self.ended.contains(&word(text(result, "turnId")));
                self.steers.accepted(word(prompt), has_ended, seen);
            }
            ("interrupt" | "settings", _) => {}
            _ => return false,
        }
        true
    }

    /// The refusal of what we asked. Whether it was ours.
    fn error(&mut self, id: &str, message: &str, seen: &mut Vec<Observed>) -> bool {
        let warning = |what: &str| warning(&format!("codex did not take {what}: {message}"));
        match id.split_once(':').unwrap_or((id, "")) {
            ("greet", _) => seen.push(Observed::Refused { reason: refusal(message) }),
            ("prompt", _) => {
                let reason = bounded(&format!("codex did not take the prompt: {}", refusal(message)));
                seen.push(Observed::TurnEnded { outcome: TurnOutcome::Failed { reason } });
            }
            ("steer", prompt) => {
                seen.push(warning("the prompt into the running turn"));
                seen.push(Observed::SteerRefused { prompt: word(prompt) });
            }
            // The turn had ended by itself.
            ("interrupt", _) if self.turn.is_none() => {}
            ("interrupt", _) => seen.push(warning("the interrupt")),
            ("settings", _) => seen.push(warning("the model or the mode")),
            _ => return false,
        }
        true
    }

    /// Whether the notification is known, be it to drop it.
    fn notification(&mut self, method: &str, params: &Value, seen: &mut Vec<Observed>) -> bool {
        match method {
            "turn/started" => self.turn_started(params, seen),
            "turn/completed" => return self.turn_completed(params, seen),
            "item/started" | "item/completed" if self.is_late(params) => {}
            "item/started" => self.item_started(params, seen),
            "item/completed" => self.item_completed(params, seen),
            "item/agentMessage/delta"
            | "item/plan/delta"
            | "item/reasoning/summaryTextDelta"
            | "item/reasoning/textDelta"
            | "item/commandExecution/outputDelta" => self.delta(params, text(params, "delta"), seen),
            "item/mcpToolCall/progress" => self.delta(params, &format!("{}\n", text(params, "message")), seen),
            "item/reasoning/summaryPartAdded" if params["summaryIndex"] == 0 => {}
            "item/reasoning/summaryPartAdded" => self.delta(params, "\n\n", seen),
            "item/fileChange/patchUpdated" => self.patch_updated(params, seen),
            "turn/plan/updated" => self.plan_updated(params, seen),
            "thread/tokenUsage/updated" => {
                let is_running = self.turn == Some(word(text(params, "turnId")));
                self.counts.tokens(params, self.is_ours(params), is_running, seen);
            }
            "thread/settings/updated" if self.thread.is_some() && self.is_ours(params) => {
                self.ready(&params["threadSettings"], "sandboxPolicy", seen)
            }
            "serverRequest/resolved" => {
                let key = asks::key(&params["requestId"]);
                self.asks.remove(&key);
                seen.push(Observed::AskClosed { key });
            }
            "error" => {
                if params["willRetry"] == true {
                    self.give_up_texts(params, seen);
                }
                self.counts.failure(params, seen);
            }
            "account/rateLimits/updated" => self.counts.limits(&params["rateLimits"], seen),
            "warning" | "guardianWarning" => self.warn(text(params, "message"), seen),
            "configWarning" => self.warn(&joined(text(params, "summary"), text(params, "details")), seen),
            "model/rerouted" => {
                let (from, to) = (text(params, "fromModel"), text(params, "toModel"));
                self.warn(&format!("codex uses {to} and not {from}: {}", text(params, "reason")), seen);
            }
            "mcpServer/startupStatus/updated" if text(params, "status") == "failed" => {
                self.warn(
                    &format!("the MCP server {} did not start: {}", text(params, "name"), text(params, "error")),
                    seen,
                );
            }
            // What these tell is told by answers, by turns and by items; or it is about a window that is not ours.
            "thread/started"
            | "thread/status/changed"
            | "thread/settings/updated"
            | "thread/readState/changed"
            | "thread/name/updated"
            | "thread/goal/updated"
            | "thread/goal/cleared"
            | "thread/compacted"
            | "turn/diff/updated"
            | "item/commandExecution/terminalInteraction"
            | "mcpServer/startupStatus/updated"
            | "remoteControl/status/changed"
            | "deprecationNotice" => {}
            _ => return false,
        }
        true
    }

    /// Whether this is about the conversation, and not about the thread of another agent.
    fn is_ours(&self, params: &Value) -> bool {
        let thread = word(text(params, "threadId"));
        thread.is_empty() || self.thread.as_ref().is_none_or(|ours| *ours == thread)
    }

    /// Whether this belongs to a turn of the conversation that has ended: its items are closed already.
    fn is_late(&self, params: &Value) -> bool {
        self.is_ours(params) && self.ended.contains(&word(text(params, "turnId")))
    }

    /// Tells who answers and how, if it is told for the first time or anew.
    fn ready(&mut self, settings: &Value, sandbox: &str, seen: &mut Vec<Observed>) {
        let model = settings["model"].as_str().map(word);
        let mode = mode_called(text(settings, "approvalPolicy"), text(&settings[sandbox], "type"));
        if sandbox == "sandboxPolicy" && self.settings == (model.clone(), mode.clone()) {
            return;
        }
        self.settings = (model.clone(), mode.clone());
        seen.push(Observed::Ready { conversation: self.thread.clone(), version: self.version.clone(), model, mode });
    }

    fn turn_started(&mut self, params: &Value, seen: &mut Vec<Observed>) {
        let turn = word(text(&params["turn"], "id"));
        if !self.is_ours(params) || self.turn.as_ref() == Some(&turn) || self.ended.contains(&turn) {
            return;
        }
        if let Some(before) = self.turn.take() {
            let reason = "codex began another turn and did not say how this one ended".into();
            self.end(before, TurnOutcome::Interrupted { reason }, seen);
        }
        seen.push(Observed::Began { name: Some(turn.clone()) });
        self.turn = Some(turn);
    }

    /// Whether it is understood: one turn at a time runs.
    fn turn_completed(&mut self, params: &Value, seen: &mut Vec<Observed>) -> bool {
        let turn = &params["turn"];
        let (name, status) = (word(text(turn, "id")), text(turn, "status"));
        if !self.is_ours(params) {
            let left = if status == "interrupted" { ItemStatus::Cancelled } else { ItemStatus::Orphaned };
            self.close(&name, |_| true, left, seen);
            return true;
        }
        if self.ended.contains(&name) {
            return true;
        }
        match self.turn.take() {
            None => seen.push(Observed::Began { name: Some(name.clone()) }),
            Some(running) if running == name => {}
            other => {
                self.turn = other;
                return false;
            }
        }
        self.end(name, outcome(turn), seen);
        true
    }

    /// Ends a turn of ours. The items that it leaves open are closed by whoever listens; those of other agents go on.
    fn end(&mut self, turn: String, outcome: TurnOutcome, seen: &mut Vec<Observed>) {
        self.close(&turn, |open| open.facts.kind == ItemKind::Plan, ItemStatus::Completed, seen);
        self.open.retain(|(of, _), _| *of != turn);
        for open in self.open.values_mut().filter(|open| open.is_told) {
            // It is closed with the turn; what comes of it later is an item of its own.
            open.key.push('+');
            open.is_told = false;
        }
        if self.ended.len() == ENDED_MAX {
            self.ended.pop_front();
        }
        self.ended.push_back(turn);
        self.steers.end_turn(seen);
        seen.push(Observed::TurnEnded { outcome });
        // Other agents still wait for their answers.
        seen.extend(self.asks.values().cloned());
    }

    /// Ends items of a turn that codex will not speak of again. A plan is done with its turn, whatever became of its steps.
    fn close(&mut self, turn: &str, which: impl Fn(&Open) -> bool, status: ItemStatus, seen: &mut Vec<Observed>) {
        self.open.retain(|(of, _), open| {
            let is_closed = of == turn && which(open);
            if is_closed && open.is_told {
                let status = if open.facts.kind == ItemKind::Plan { ItemStatus::Completed } else { status };
                seen.push(Observed::ItemEnded { key: open.key.clone(), status });
            }
            !is_closed
        });
    }

    /// The model is asked anew, and codex will not speak again of what it had begun to say.
    fn give_up_texts(&mut self, params: &Value, seen: &mut Vec<Observed>) {
        let is_said = |open: &Open| matches!(open.facts.kind, ItemKind::Text | ItemKind::Thinking);
        self.close(&word(text(params, "turnId")), is_said, ItemStatus::Failed, seen);
    }

    /// Begins an item, or tells more of it. Its key.
    fn open(&mut self, params: &Value, name: &Name, facts: Facts, seen: &mut Vec<Observed>) -> String {
        let parent =
            if self.is_ours(params) { None } else { self.callers.get(&word(text(params, "threadId"))).cloned() };
        let is_room = self.open.len() < limits::ITEMS_OPEN_MAX;
        let key = || format!("{}/{}", name.0, name.1);
        let new = Open { key: key(), parent, facts: facts.clone(), is_told: false };
        let mut beyond = new.clone();
        let open = if is_room {
            self.open.entry(name.clone()).or_insert(new)
        } else {
            self.open.get_mut(name).unwrap_or(&mut beyond)
        };
        let Facts { kind, title, input } = facts.clone();
        if !open.is_told {
            open.is_told = true;
            let parent = open.parent.clone();
            seen.push(Observed::ItemStarted { key: open.key.clone(), parent, kind, title, input });
        } else if open.facts != facts {
            seen.push(Observed::ItemChanged { key: open.key.clone(), title, input });
        }
        open.facts = facts;
        open.key.clone()
    }

    fn item_started(&mut self, params: &Value, seen: &mut Vec<Observed>) {
        let item = &params["item"];
        if text(item, "type") == "userMessage" && self.is_ours(params) {
            self.steers.show(word(text(item, "clientId")), seen);
        }
        let Some(facts) = items::facts(item) else { return };
        let key = self.open(params, &name(params, text(item, "id")), facts, seen);
        self.called(item, &key);
        if let Some(text) = items::whole_text(item) {
            tell_delta(&key, &text, seen);
        }
    }

    fn item_completed(&mut self, params: &Value, seen: &mut Vec<Observed>) {
        let item = &params["item"];
        let Some(facts) = items::facts(item) else { return };
        let name = name(params, text(item, "id"));
        let key = self.open(params, &name, facts, seen);
        self.called(item, &key);
        if let Some(text) = items::whole_text(item) {
            tell_text(&key, &text, seen);
        }
        seen.push(Observed::ItemEnded { key, status: items::status(item) });
        self.open.remove(&name);
    }

    /// Remembers which threads a call started.
    fn called(&mut self, item: &Value, key: &str) {
        let threads = item["receiverThreadIds"].as_array().into_iter().flatten().filter_map(Value::as_str);
        for thread in threads.chain(item["agentThreadId"].as_str()) {
            if self.callers.len() < THREADS_MAX {
                self.callers.entry(word(thread)).or_insert_with(|| key.to_owned());
            }
        }
    }

    /// A preview. Of an item that was not seen to begin there is none: its text comes whole in the end.
    fn delta(&mut self, params: &Value, text_of_it: &str, seen: &mut Vec<Observed>) {
        let name = name(params, text(params, "itemId"));
        let Some(facts) = self.open.get(&name).map(|open| open.facts.clone()) else { return };
        let key = self.open(params, &name, facts, seen);
        tell_delta(&key, text_of_it, seen);
    }

    fn patch_updated(&mut self, params: &Value, seen: &mut Vec<Observed>) {
        let name = name(params, text(params, "itemId"));
        if self.open.contains_key(&name) {
            let key = self.open(params, &name, items::changes(&params["changes"]), seen);
            tell_text(&key, &items::difference(&params["changes"]), seen);
        }
    }

    /// The list of steps: one item a turn, and each list takes the place of the one before.
    fn plan_updated(&mut self, params: &Value, seen: &mut Vec<Observed>) {
        if self.is_late(params) {
            return;
        }
        let facts = Facts { kind: ItemKind::Plan, title: String::new(), input: input(&params["plan"]) };
        let key = self.open(params, &name(params, "plan"), facts, seen);
        tell_text(&key, &items::steps(text(params, "explanation"), &params["plan"]), seen);
    }

    /// Warns, of the same thing once.
    fn warn(&mut self, text: &str, seen: &mut Vec<Observed>) {
        let text = bounded(text);
        if text.is_empty() || self.warned.contains(&text) {
            return;
        }
        seen.push(warning(&text));
        if self.warned.len() < WARNINGS_MAX {
            self.warned.insert(text);
        }
    }
}

fn name(params: &Value, item: &str) -> Name {
    (word(text(params, "turnId")), word(item))
}

pub(super) fn warning(text: &str) -> Observed {
    Observed::Noticed { kind: NoticeKind::Warning, text: bounded(text), until: None }
}
