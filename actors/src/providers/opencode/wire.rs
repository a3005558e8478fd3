//! What the lines of the bridge to `opencode serve` mean: whose events they are, and when a turn ends. Pure.
//!
//! A turn is one run of opencode's loop: a message of a user, then a message of the assistant for each call of the model. It has
//! ended when opencode is idle and its last message is closed, whichever comes last: after an abort and after an error the first
//! `idle` comes before the message is closed, and between two calls a message is closed while the loop is busy.

mod asks;
mod fields;
mod history;
mod items;
mod replies;

use std::collections::BTreeMap;

use ropewalk_protocol::{NoticeKind, Timestamp, TurnOutcome};
use serde_json::Value;

use self::asks::Asks;
pub(super) use self::asks::request_of;
use self::fields::{reason, text};
use self::items::Items;
use super::super::{Observed, Parser, tell_opaque, title};
use super::turn_of;

/// Sessions of sub-agents that are told apart in one run.
const CHILDREN_MAX: usize = 1024;

/// What the server tells all the time and nobody misses: its own doings, counts that the turns' messages tell as well, and files
/// and terminals that are not the agent's. `session.idle` says once more what `session.status` says.
const NOISE: &[&str] = &[
    "catalog.",
    "command.executed",
    "file.",
    "ide.",
    "installation.",
    "integration.",
    "lsp.",
    "mcp.",
    "message.part.removed",
    "message.removed",
    "models-dev.",
    "plugin.",
    "project.",
    "pty.",
    "reference.",
    "server.",
    "session.diff",
    "session.idle",
    "tui.",
    "vcs.",
    "workspace.",
    "worktree.",
];

/// The fold of a run's lines.
#[derive(Default)]
pub(super) struct Wire {
    /// Our conversation.
    session: Option<String>,
    version: Option<String>,
    /// Sessions of sub-agents, and the tool call that each is part of.
    children: BTreeMap<String, Option<String>>,
    /// The model and the mode that were told last.
    model: Option<String>,
    mode: Option<String>,
    /// Our turn whose prompt was sent, and that the agent has not shown yet.
    asked: Option<String>,
    turn: Option<Turn>,
    /// The newest message of a user, and of the assistant: ids rise.
    last_user: String,
    last_message: String,
    /// The last turn failed by an error that opencode says again, with a backtrace, a moment later.
    is_repeat_due: bool,
    items: Items,
    asks: Asks,
}

/// The turn that runs.
#[derive(Default)]
struct Turn {
    /// The message of a user that began it.
    user: String,
    /// The assistant's last message.
    message: Option<Message>,
    was_busy: bool,
    is_idle: bool,
    is_aborted: bool,
    error: Option<String>,
}

struct Message {
    id: String,
    /// How it ended; `None`: it goes on.
    end: Option<End>,
}

/// How a message of the assistant ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// The model was done.
    Done,
    /// The model calls tools, and is called again with what they say.
    Tools,
    Aborted,
    Failed(String),
}

impl Parser for Wire {
    fn line(&mut self, line: &[u8], seen: &mut Vec<Observed>) {
        let Ok(Value::Object(said)) = serde_json::from_slice(line) else {
            return tell_opaque(line, seen);
        };
        let said = Value::Object(said);
        if let Some(event) = said.get("event") {
            if self.event(event, seen).is_none() {
                tell_opaque(line, seen);
            }
        } else if let Some(what) = text(&said, "snapshot") {
            self.snapshot(what, &said, seen);
        } else if let Some(request) = text(&said, "sent") {
            self.sent(request);
        } else if let Some(request) = text(&said, "id") {
            self.answered(request, &said, line, seen);
        } else if let Some(ready) = said.get("ready") {
            self.version = text(ready, "version").map(title);
        } else if let Some(exit) = said.get("exit") {
            let text = title(&format!("opencode ended: {exit}"));
            self.refuse_or_warn(text, seen);
        } else if let Some(failed) = text(&said, "failed") {
            self.refuse_or_warn(title(failed), seen);
        } else if said.get("gap").is_none() {
            // What was missed in a gap follows as snapshots.
            tell_opaque(line, seen);
        }
    }
}

impl Wire {
    /// An event of the server; `None`: nothing is known of such events.
    fn event(&mut self, event: &Value, seen: &mut Vec<Observed>) -> Option<()> {
        let kind = text(event, "type")?;
        if NOISE.iter().any(|noise| kind.starts_with(noise)) {
            return Some(());
        }
        let properties = event.get("properties")?;
        if let "session.created" | "session.updated" = kind {
            self.child(&properties["info"]);
            return Some(());
        }
        let session = text(properties, "sessionID");
        let is_ours = session == self.session.as_deref();
        let parent = match session {
            Some(session) if !is_ours => match self.children.get(session) {
                Some(parent) => parent.clone(),
                // Another client's.
                None => return Some(()),
            },
            _ => None,
        };
        match kind {
            "message.updated" if is_ours => self.message(&properties["info"], seen),
            "message.updated" => self.message_of_child(&properties["info"], parent),
            "message.part.updated" => self.part(&properties["part"], seen),
            "message.part.delta" if text(properties, "field") == Some("text") => self.items.delta(properties, seen),
            "session.status" => self.status(&properties["status"], is_ours, seen),
            "session.error" if is_ours => self.error(&properties["error"], seen),
            "session.error" => warn(reason(&properties["error"]), seen),
            "session.compacted" => warn("opencode made the conversation shorter".to_owned(), seen),
            "todo.updated" if self.turn.is_some() => self.items.plan(event, parent, seen),
            "permission.asked" | "question.asked" => self.asks.asked(properties, &self.items, seen),
            "permission.replied" | "question.replied" | "question.rejected" => {
                let key = text(properties, "requestID").unwrap_or_default();
                if text(properties, "reply") == Some("reject") {
                    self.items.decline(self.asks.call(key));
                }
                self.asks.close(key, seen);
            }
            _ => return None,
        }
        Some(())
    }

    /// A session that another one began is a sub-agent's.
    fn child(&mut self, info: &Value) {
        let (Some(id), Some(parent)) = (text(info, "id"), text(info, "parentID")) else {
            return;
        };
        let is_known = self.session.as_deref() == Some(parent) || self.children.contains_key(parent);
        if is_known && self.children.len() < CHILDREN_MAX && self.session.as_deref() != Some(id) {
            self.children.entry(id.to_owned()).or_default();
        }
    }

    /// A message of our conversation.
    fn message(&mut self, info: &Value, seen: &mut Vec<Observed>) {
        let Some(id) = text(info, "id") else {
            return;
        };
        match text(info, "role") {
            Some("user") => self.message_of_user(id, info, seen),
            Some("assistant") => self.message_of_assistant(id, info, seen),
            _ => {}
        }
    }

    fn message_of_user(&mut self, id: &str, info: &Value, seen: &mut Vec<Observed>) {
        // Those before are told again and again, with what changed since.
        if id <= self.last_user.as_str() {
            return;
        }
        id.clone_into(&mut self.last_user);
        let is_asked = self.asked.as_ref().is_some_and(|turn| match super::name_of(turn) {
            Some(_) => turn_of(id).as_ref() == Some(turn),
            None => true,
        });
        if !is_asked && self.turn.is_some() {
            // opencode's own, within the turn: after it made the conversation shorter.
            return;
        }
        self.is_repeat_due = false;
        self.identity(info, seen);
        let name = Some(title(id));
        if is_asked {
            self.asked = None;
            seen.push(Observed::Confirmed { name });
        } else {
            seen.push(Observed::Began { name });
        }
        self.begin(id);
    }

    fn begin(&mut self, user: &str) {
        self.items.clear();
        self.asks.clear();
        self.turn = Some(Turn { user: user.to_owned(), ..Turn::default() });
    }

    fn message_of_assistant(&mut self, id: &str, info: &Value, seen: &mut Vec<Observed>) {
        let end = end_of(info);
        if self.turn.is_none() {
            if end.is_some() || id <= self.last_message.as_str() {
                return;
            }
            // The loop runs although its turn was over, or began without a message of a user.
            seen.push(Observed::Began { name: Some(title(id)) });
            self.begin(text(info, "parentID").unwrap_or_default());
        }
        let Some(turn) = &mut self.turn else {
            return;
        };
        let is_newer = turn.message.as_ref().is_none_or(|message| id > message.id.as_str());
        let is_last = turn.message.as_ref().is_some_and(|message| id == message.id);
        let is_old = text(info, "parentID").is_some_and(|parent| parent < turn.user.as_str());
        if is_old || !(is_newer || is_last) {
            return;
        }
        if is_newer {
            turn.error = None;
            self.items.message(id, None);
            id.clone_into(&mut self.last_message);
        }
        turn.message = Some(Message { id: id.to_owned(), end });
        self.end_if_over(seen);
    }

    fn message_of_child(&mut self, info: &Value, parent: Option<String>) {
        if let (Some(id), Some("assistant"), true) = (text(info, "id"), text(info, "role"), self.turn.is_some()) {
            self.items.message(id, parent);
        }
    }

    /// Tells what model and what mode the agent works with, where they are others than before.
    fn identity(&mut self, info: &Value, seen: &mut Vec<Observed>) {
        let model = match (text(&info["model"], "providerID"), text(&info["model"], "modelID")) {
            (Some(provider), Some(model)) => Some(title(&format!("{provider}/{model}"))),
            _ => self.model.clone(),
        };
        let mode = text(info, "agent").map(title).or_else(|| self.mode.clone());
        if (&model, &mode) != (&self.model, &self.mode) {
            (self.model, self.mode) = (model, mode);
            self.ready(seen);
        }
    }

    fn part(&mut self, part: &Value, seen: &mut Vec<Observed>) {
        if self.turn.is_none() {
            return;
        }
        if let Some((child, item)) = self.items.part(part, seen)
            && (self.children.contains_key(child) || self.children.len() < CHILDREN_MAX)
            && self.session.as_deref() != Some(child)
        {
            self.children.insert(child.to_owned(), Some(item.to_owned()));
        }
    }

    fn status(&mut self, status: &Value, is_ours: bool, seen: &mut Vec<Observed>) {
        let kind = text(status, "type");
        if kind == Some("retry") {
            self.items.give_up_texts(seen);
            seen.push(retry(status));
        }
        if !is_ours {
            return;
        }
        if let Some(turn) = &mut self.turn {
            turn.is_idle = kind == Some("idle");
            turn.was_busy |= !turn.is_idle;
        }
        self.end_if_over(seen);
    }

    fn error(&mut self, error: &Value, seen: &mut Vec<Observed>) {
        let is_abort = text(error, "name") == Some("MessageAbortedError");
        let reason = reason(error);
        if let Some(turn) = &mut self.turn {
            turn.is_aborted |= is_abort;
            if !is_abort {
                turn.error = Some(reason);
            }
            return self.end_if_over(seen);
        }
        let is_backtrace = text(&error["data"], "message").is_some_and(|message| message.contains("\n    at "));
        let is_repeat = is_backtrace && std::mem::take(&mut self.is_repeat_due);
        if is_abort || is_repeat {
            return;
        }
        if self.asked.take().is_some() {
            // The prompt never became a message.
            self.is_repeat_due = true;
            seen.push(Observed::TurnEnded { outcome: TurnOutcome::Failed { reason } });
        } else {
            warn(reason, seen);
        }
    }

    fn end_if_over(&mut self, seen: &mut Vec<Observed>) {
        let Some(turn) = self.turn.as_ref().filter(|turn| turn.is_idle) else {
            return;
        };
        let failed = |reason: &str| TurnOutcome::Failed { reason: reason.to_owned() };
        let outcome = match (turn.message.as_ref().map(|message| &message.end), &turn.error) {
            (Some(None), _) => return,
            (Some(Some(End::Failed(reason))), _) => failed(reason),
            (Some(Some(End::Aborted)), _) => TurnOutcome::Cancelled,
            (Some(Some(End::Tools)), _) if turn.is_aborted => TurnOutcome::Cancelled,
            (_, Some(reason)) => failed(reason),
            // Tools, and no call after them: one was refused.
            (Some(Some(End::Done | End::Tools)), None) => TurnOutcome::Completed,
            // The `idle` of the turn before may come late.
            (None, None) if !turn.was_busy => return,
            (None, None) if turn.is_aborted => TurnOutcome::Cancelled,
            (None, None) => failed("opencode did not answer the prompt"),
        };
        self.is_repeat_due = turn.error.is_some();
        self.turn = None;
        self.items.clear();
        self.asks.clear();
        seen.push(Observed::TurnEnded { outcome });
    }
}

/// How a message of the assistant ended, if it has.
pub(super) fn end_of(info: &Value) -> Option<End> {
    let error = info.get("error").filter(|error| !error.is_null());
    if let Some(error) = error {
        let is_abort = text(error, "name") == Some("MessageAbortedError");
        return Some(if is_abort { End::Aborted } else { End::Failed(reason(error)) });
    }
    info["time"].get("completed").filter(|time| !time.is_null())?;
    Some(match text(info, "finish") {
        // An abort while opencode waits to try again leaves neither an error nor a reason.
        None => End::Aborted,
        Some("tool-calls") => End::Tools,
        Some("error") => End::Failed("the model failed".to_owned()),
        Some(_) => End::Done,
    })
}

fn retry(status: &Value) -> Observed {
    let message = text(status, "message").unwrap_or("the model failed");
    let lower = message.to_ascii_lowercase();
    let is_limit = ["rate limit", "rate_limit", "rate-limit", "too many requests", "429"];
    let is_limit = is_limit.iter().any(|word| lower.contains(word));
    let kind = if is_limit { NoticeKind::RateLimited } else { NoticeKind::Retry };
    let text = title(&format!("attempt {}: {message}", status["attempt"]));
    let until = status["next"].as_u64().and_then(|millis| millis.checked_mul(1000)).map(Timestamp::from_unix_micros);
    Observed::Noticed { kind, text, until }
}

fn warn(text: String, seen: &mut Vec<Observed>) {
    seen.push(Observed::Noticed { kind: NoticeKind::Warning, text, until: None });
}
