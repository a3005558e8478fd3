//! What Claude Code's lines mean: a fold of its output from the first line on. Pure.

use std::collections::{BTreeMap, BTreeSet};

use ropewalk_protocol::{ItemStatus, NoticeKind, Timestamp, TurnOutcome, limits};
use serde_json::Value;

use super::super::{Observed, Parser, cut, tell_opaque};
use super::items::{Items, word};
use super::turns::{Fate, Told, Turns};
use super::usage::{Tokens, counts};
use super::{GREET, INTERRUPT, MODE, MODEL, asks};

/// All that is known of a run.
#[derive(Debug, Default)]
pub(super) struct Wire {
    about: About,
    turns: Turns,
    items: Items,
    /// Open questions.
    asks: BTreeMap<String, Ask>,
    /// Tool calls that were not allowed, or not asked about to the end: how they end.
    rejected: BTreeMap<String, ItemStatus>,
    /// Tasks that go on when their turn is over.
    background: BTreeSet<String>,
    /// The turn was asked to end: what the program rejects now was not rejected by anybody.
    is_interrupted: bool,
    /// The model's server does not know who asks: nobody is logged in, or not any more.
    is_stranger: bool,
    /// Tokens in the model's context.
    context: Option<u64>,
}

/// A question, until the program gives its answer back.
#[derive(Debug)]
struct Ask {
    /// The tool call that it is about.
    tool: Option<String>,
    /// As it is asked again when a turn ends over it: what a sub-agent asks for does not end with the turn.
    again: Option<Observed>,
    was_asked_again: bool,
}

/// What the program says about itself.
#[derive(Debug, Default)]
struct About {
    conversation: Option<String>,
    version: Option<String>,
    model: Option<String>,
    mode: Option<String>,
}

impl Parser for Wire {
    fn line(&mut self, line: &[u8], seen: &mut Vec<Observed>) {
        if line.trim_ascii().is_empty() {
            return;
        }
        let is_known = serde_json::from_slice(line).is_ok_and(|line: Value| self.take(&line, seen));
        if !is_known {
            tell_opaque(line, seen);
        }
    }
}

impl Wire {
    /// Takes a line in. `false`: it means nothing to this build.
    fn take(&mut self, line: &Value, seen: &mut Vec<Observed>) -> bool {
        let parent = line["parent_tool_use_id"].as_str().filter(|parent| !parent.is_empty());
        match line["type"].as_str().unwrap_or_default() {
            "system" => return self.system(line, seen),
            "stream_event" => return self.streamed(&line["event"], parent, seen),
            "assistant" => self.told(line, parent, seen),
            "user" => return self.user(line, parent, seen),
            "result" => self.result(line, seen),
            "control_request" => self.asked(line, seen),
            "control_response" => return self.responded(&line["response"], seen),
            "control_cancel_request" => {
                let Some(key) = line["request_id"].as_str().map(word) else { return false };
                let tool = self.asks.remove(&key).and_then(|ask| ask.tool);
                self.reject(tool.as_deref(), ItemStatus::Cancelled);
                seen.push(Observed::AskClosed { key });
            }
            "command_lifecycle" => return self.prompt_told(line, seen),
            "rate_limit_event" => rate_limit(&line["rate_limit_info"], seen),
            // Signs of life.
            "keep_alive" | "tool_progress" => {}
            _ => return false,
        }
        true
    }

    fn system(&mut self, line: &Value, seen: &mut Vec<Observed>) -> bool {
        match line["subtype"].as_str().unwrap_or_default() {
            "init" => {
                let version = line["claude_code_version"].as_str().or(line["qwen_code_version"].as_str());
                self.about.learn([line["session_id"].as_str(), version, line["model"].as_str(), mode(line)]);
                self.about.tell(seen);
            }
            "status" => {
                let mode = mode(line);
                if mode.is_some() && mode != self.about.mode.as_deref() {
                    self.about.learn([None, None, None, mode]);
                    self.about.tell(seen);
                }
            }
            "api_retry" => retry(line, seen),
            "permission_denied" => self.reject(line["tool_use_id"].as_str(), ItemStatus::Declined),
            "task_started" => {
                if line["is_backgrounded"] == true && self.background.len() < limits::ITEMS_OPEN_MAX {
                    self.background.extend(line["task_id"].as_str().map(word));
                }
            }
            "task_notification" => {
                if line["task_id"].as_str().is_some_and(|task| self.background.remove(&word(task))) {
                    self.turns.notify();
                }
            }
            // How far a task or a thought is: the items say it when it counts.
            "background_tasks_changed" | "task_progress" | "task_updated" | "thinking_tokens" => {}
            _ => return false,
        }
        true
    }

    fn streamed(&mut self, event: &Value, parent: Option<&str>, seen: &mut Vec<Observed>) -> bool {
        if parent.is_none() {
            match event["type"].as_str() {
                Some("message_start") => {
                    self.work(seen);
                    self.context = Tokens::of(&event["message"]["usage"]).in_context();
                }
                Some("message_delta") => {
                    let written = event["usage"]["output_tokens"].as_u64().unwrap_or_default();
                    self.context = self.context.map(|context| context.saturating_add(written));
                }
                _ => {}
            }
        }
        self.items.streamed(event, parent, seen)
    }

    fn told(&mut self, line: &Value, parent: Option<&str>, seen: &mut Vec<Observed>) {
        if parent.is_none() {
            self.work(seen);
        }
        let error = line["error"].as_str();
        self.is_stranger |= error == Some("authentication_failed");
        let status = if line["aborted"] == true || self.is_interrupted {
            ItemStatus::Cancelled
        } else if error.is_some() {
            ItemStatus::Failed
        } else {
            ItemStatus::Completed
        };
        self.items.told(&line["message"], parent, status, seen);
    }

    fn user(&mut self, line: &Value, parent: Option<&str>, seen: &mut Vec<Observed>) -> bool {
        let content = &line["message"]["content"];
        if line["isReplay"] == true {
            // What was said for somebody else has an origin; what a command of the program's own printed is no list.
            if line["origin"].is_object() {
                if self.turns.begin_unasked(seen) {
                    self.begins();
                }
            } else if content.is_array() && parent.is_none() && self.turns.confirm(line["uuid"].as_str(), seen) {
                self.begins();
            }
            return true;
        }
        let Some(content) = content.as_array() else { return parent.is_some() && content.is_string() };
        let mut is_known = true;
        for block in content {
            is_known &= match block["type"].as_str() {
                Some("tool_result") => self.tool_result(block, line, seen),
                // The prompt of a sub-agent is in the call that began it.
                Some("text") => {
                    parent.is_some()
                        || block["text"].as_str().is_some_and(|text| text.starts_with("[Request interrupted by user"))
                }
                _ => false,
            };
        }
        is_known
    }

    fn tool_result(&mut self, block: &Value, line: &Value, seen: &mut Vec<Observed>) -> bool {
        let tool = block["tool_use_id"].as_str().unwrap_or_default();
        let about = line["tool_result_meta"].as_array().into_iter().flatten().find(|about| about["id"] == tool);
        let about = about.unwrap_or(&Value::Null);
        let rejected = self.rejected.remove(&word(tool));
        let text = block["content"].as_str().unwrap_or_default();
        let status = if block["is_error"] != true {
            ItemStatus::Completed
        } else if about["permission_decision"]["decision"] == "reject" {
            ItemStatus::Declined
        } else if let Some(status) = rejected {
            status
        } else if about["non_execution_kind"] == "user-rejected" || text.starts_with("The user doesn't want to proceed")
        {
            if self.is_interrupted { ItemStatus::Cancelled } else { ItemStatus::Declined }
        } else {
            ItemStatus::Failed
        };
        self.items.result(block, status, &line["tool_use_result"], seen)
    }

    fn asked(&mut self, line: &Value, seen: &mut Vec<Observed>) {
        let (key, request) = (word(line["request_id"].as_str().unwrap_or_default()), &line["request"]);
        let asked = asks::asked(key.clone(), request);
        if self.asks.len() < limits::ITEMS_OPEN_MAX {
            let tool = request["tool_use_id"].as_str().map(word);
            let again = request["agent_id"].is_string().then(|| asks::again(&asked)).flatten();
            self.asks.insert(key, Ask { tool, again, was_asked_again: false });
        }
        seen.push(asked);
    }

    /// The program answers a request of ours, or gives our answer to one of its own back.
    fn responded(&mut self, response: &Value, seen: &mut Vec<Observed>) -> bool {
        let Some(id) = response["request_id"].as_str() else { return false };
        let (told, is_error) = (&response["response"], response["subtype"] == "error");
        if let Some(ask) = self.asks.remove(&word(id)) {
            if told["behavior"] == "deny" {
                self.reject(ask.tool.as_deref(), ItemStatus::Declined);
            }
            if ask.was_asked_again {
                seen.push(Observed::AskClosed { key: word(id) });
            }
            return true;
        }
        let asked_for = |prefix| id.strip_prefix(prefix).filter(|_| !is_error);
        let (model, mode) = (told["model"].as_str().or(asked_for(MODEL)), told["mode"].as_str().or(asked_for(MODE)));
        let is_interrupt = id.starts_with(INTERRUPT) || told["still_queued"].is_array();
        if is_error {
            let error = response["error"].as_str().unwrap_or("a request failed");
            notice(NoticeKind::Warning, error, None, seen);
        }
        if id == GREET {
            let (version, mode) = (told["claude_code_version"].as_str(), told["current_permission_mode"].as_str());
            self.about.learn([None, version, None, mode]);
            self.about.tell(seen);
        } else if is_interrupt {
            self.is_interrupted |= !is_error;
        } else if model.is_some() || mode.is_some() {
            self.about.learn([None, None, model, mode]);
            self.about.tell(seen);
        } else {
            return is_error || told["behavior"].is_string();
        }
        true
    }

    fn prompt_told(&mut self, line: &Value, seen: &mut Vec<Observed>) -> bool {
        let Some(prompt) = line["command_uuid"].as_str() else { return false };
        let fate = match line["state"].as_str().unwrap_or_default() {
            "queued" => Fate::Queued,
            "started" => Fate::TakenUp,
            "completed" => Fate::Done,
            "cancelled" => Fate::Cancelled,
            _ => return false,
        };
        match self.turns.tell(prompt, fate, seen) {
            Told::Nothing => {}
            Told::Begins => self.begins(),
            Told::Ends(outcome) => self.end_turn(outcome, seen),
        }
        true
    }

    fn result(&mut self, line: &Value, seen: &mut Vec<Observed>) {
        let errors: Vec<&str> = line["errors"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        if !self.turns.is_open() && line["origin"].is_object() {
            self.turns.begin_unasked(seen);
        }
        seen.extend(counts(line, self.context).into_iter().map(Observed::Used));
        if line["api_error_status"] == 429 {
            notice(NoticeKind::RateLimited, line["result"].as_str().unwrap_or("rate limited"), None, seen);
        }
        let is_error =
            line["is_error"] == true || line["subtype"].as_str().is_some_and(|kind| kind.starts_with("error"));
        let is_aborted = line["terminal_reason"].as_str().is_some_and(|reason| reason.starts_with("aborted"));
        let said = line["result"].as_str().map(str::to_owned).filter(|text| !text.is_empty());
        let reason = said.unwrap_or_else(|| {
            if errors.is_empty() { line["subtype"].as_str().unwrap_or("failed").to_owned() } else { errors.join("; ") }
        });
        let reason = cut(&reason, limits::ITEM_PIECE_BYTES_MAX).to_owned();
        let is_unknown = errors.iter().any(|error| error.starts_with("No conversation found"));
        let is_stranger = self.is_stranger || line["api_error_status"] == 401;
        if is_error && (is_unknown || is_stranger && !is_aborted) {
            self.close_turn(false, seen);
            seen.push(Observed::Refused { reason });
        } else if is_aborted || is_error && self.is_interrupted {
            self.end_turn(TurnOutcome::Cancelled, seen);
        } else if is_error {
            self.end_turn(TurnOutcome::Failed { reason }, seen);
        } else {
            self.end_turn(TurnOutcome::Completed, seen);
        }
    }

    /// The agent itself works, not one of its sub-agents.
    fn work(&mut self, seen: &mut Vec<Observed>) {
        if self.turns.work(seen) {
            self.begins();
        }
    }

    fn begins(&mut self) {
        self.is_interrupted = false;
        self.is_stranger = false;
    }

    fn end_turn(&mut self, outcome: TurnOutcome, seen: &mut Vec<Observed>) {
        if !self.close_turn(outcome == TurnOutcome::Cancelled, seen) {
            return;
        }
        seen.push(Observed::TurnEnded { outcome });
        for ask in self.asks.values_mut() {
            seen.extend(ask.again.clone());
            ask.was_asked_again |= ask.again.is_some();
        }
    }

    /// `false`: its end is not to be told.
    fn close_turn(&mut self, is_cut: bool, seen: &mut Vec<Observed>) -> bool {
        self.items.end_turn(is_cut, seen);
        self.begins();
        self.turns.end()
    }

    fn reject(&mut self, tool: Option<&str>, status: ItemStatus) {
        if self.rejected.len() >= limits::ITEMS_OPEN_MAX {
            self.rejected.pop_first();
        }
        self.rejected.extend(tool.map(|tool| (word(tool), status)));
    }
}

impl About {
    fn learn(&mut self, told: [Option<&str>; 4]) {
        let known = [&mut self.conversation, &mut self.version, &mut self.model, &mut self.mode];
        for (known, told) in known.into_iter().zip(told) {
            if let Some(told) = told {
                *known = Some(word(told));
            }
        }
    }

    fn tell(&self, seen: &mut Vec<Observed>) {
        let Self { conversation, version, model, mode } = self;
        seen.push(Observed::Ready {
            conversation: conversation.clone(),
            version: version.clone(),
            model: model.clone(),
            mode: mode.clone(),
        });
    }
}

fn mode(line: &Value) -> Option<&str> {
    line["permissionMode"].as_str().or(line["permission_mode"].as_str())
}

fn notice(kind: NoticeKind, text: &str, until: Option<Timestamp>, seen: &mut Vec<Observed>) {
    seen.push(Observed::Noticed { kind, text: cut(text, limits::ITEM_PIECE_BYTES_MAX).to_owned(), until });
}

/// When it goes on is told as a delay from a moment that is not told: only the delay is known here.
fn retry(line: &Value, seen: &mut Vec<Observed>) {
    let error = line["error"].as_str().unwrap_or("error");
    let status = line["error_status"].as_u64().map(|status| format!(" {status}")).unwrap_or_default();
    let [attempt, most, delay] =
        ["attempt", "max_retries", "retry_delay_ms"].map(|name| line[name].as_u64().unwrap_or_default());
    let is_limit = error == "rate_limit" || line["error_status"] == 429;
    let kind = if is_limit { NoticeKind::RateLimited } else { NoticeKind::Retry };
    notice(kind, &format!("{error}{status}: retry {attempt} of {most} in {delay} ms"), None, seen);
}

/// A plan's limit: told at each change, whether it is near or not.
fn rate_limit(info: &Value, seen: &mut Vec<Observed>) {
    let kind = match info["status"].as_str() {
        Some("rejected") => NoticeKind::RateLimited,
        Some("allowed") => return,
        _ => NoticeKind::Warning,
    };
    let until = info["resetsAt"].as_u64().map(|at| Timestamp::from_unix_micros(at.saturating_mul(1_000_000)));
    let limit = info["rateLimitType"].as_str().unwrap_or("usage");
    let how = if kind == NoticeKind::RateLimited { "is reached" } else { "is near" };
    notice(kind, &format!("the {limit} limit {how}"), until, seen);
}
