//! What an agent's lines mean. Pure: a fold of its output.

use std::collections::BTreeSet;

use ropewalk_protocol::{AskEffect, AskKind, AskOption, ItemKind, ItemStatus, NoticeKind, TurnOutcome, limits};
use serde_json::Value;

use super::super::rpc::{self, Message};
use super::super::{Observed, Parser, cut, input, tell_opaque, title, wants};
use super::ids::Minted;
use super::items::Items;
use super::session::Session;
use super::usage::Meter;

/// The steps of the greeting. The parser knows what was opened, so it says which one follows.
pub(super) const INITIALIZE: u8 = 0;
pub(super) const OPEN: u8 = 1;
pub(super) const SETTLE_LOADED: u8 = 2;
pub(super) const SETTLE_NEW: u8 = 3;
/// The request that asks people.
pub(super) const PERMISSION: &str = "session/request_permission";

const OPTIONS_MAX: usize = 16;
pub(super) const METHODS_MAX: usize = 16;
const REASON_BYTES_MAX: usize = 4096;

/// What the output so far says.
#[derive(Debug, Default)]
pub(crate) struct Wire {
    session: Session,
    /// It has shown that it has the prompt of the open turn.
    confirmed: bool,
    /// The agent's own layer below failed in this turn, and it says so in words only: those.
    trouble: Option<String>,
    items: Items,
    meter: Meter,
    /// Methods that the agent was told of that nobody offers.
    warned: BTreeSet<String>,
}

impl Parser for Wire {
    fn line(&mut self, line: &[u8], seen: &mut Vec<Observed>) {
        match rpc::parse(line) {
            Some(Message::Notification { method, params }) => self.notification(&method, &params, line, seen),
            Some(Message::Request { id, method, params }) => self.request(&id, &method, &params, seen),
            Some(Message::Response { id, result }) => match id.as_str().and_then(Minted::of) {
                Some(minted) => self.response(minted, &result, seen),
                None => tell_opaque(line, seen),
            },
            Some(Message::Error { id, code, message, data }) => match id.as_str().and_then(Minted::of) {
                Some(minted) => self.error(minted, &Trouble::of(code, &message, &data), seen),
                None => tell_opaque(line, seen),
            },
            None => tell_opaque(line, seen),
        }
    }
}

impl Wire {
    fn response(&mut self, minted: Minted<'_>, result: &Value, seen: &mut Vec<Observed>) {
        match minted {
            Minted::Initialize => self.session.initialized(result, seen),
            Minted::New { settings } => {
                let Some(conversation) = result["sessionId"].as_str().filter(|id| !id.is_empty()) else {
                    return seen.push(Observed::Refused { reason: "the agent gave its session no name".to_owned() });
                };
                self.session.opened(conversation, result);
                if settings {
                    seen.push(Observed::Opened { step: SETTLE_NEW, conversation: conversation.to_owned() });
                } else {
                    self.ready(seen);
                }
            }
            Minted::Load { conversation } => {
                self.session.is_loaded = true;
                self.session.opened(conversation, result);
                seen.push(Observed::Opened { step: SETTLE_LOADED, conversation: conversation.to_owned() });
            }
            Minted::Fence { awaited } => self.replied(awaited, seen),
            Minted::Set { awaited, setting, way, value } => {
                self.session.is_refused(setting, way, true);
                self.session.is_set(setting, value, seen);
                self.replied(awaited, seen);
            }
            Minted::Prompt { is_command, .. } => self.prompt_ended(result, is_command, seen),
        }
    }

    fn error(&mut self, minted: Minted<'_>, trouble: &Trouble, seen: &mut Vec<Observed>) {
        let reason = &trouble.reason;
        let what = match minted {
            Minted::Fence { awaited } => return self.replied(awaited, seen),
            Minted::Set { awaited, setting, way, value } => {
                if self.session.is_refused(setting, way, false) {
                    let text = format!("the agent did not take the {} {value}: {reason}", setting.name());
                    notice(NoticeKind::Warning, &text, seen);
                }
                return self.replied(awaited, seen);
            }
            Minted::Prompt { .. } => {
                if trouble.is_rate_limit {
                    notice(NoticeKind::RateLimited, reason, seen);
                }
                let outcome = TurnOutcome::Failed { reason: reason.clone() };
                self.turn_over(&outcome, &Value::Null, seen);
                if !trouble.wants_login {
                    return seen.push(Observed::TurnEnded { outcome });
                }
                String::new()
            }
            Minted::Initialize => "the agent refused the greeting: ".to_owned(),
            Minted::New { .. } => "the agent opened no session: ".to_owned(),
            Minted::Load { conversation } => format!("the agent did not load session {conversation}: "),
        };
        let logins = if trouble.wants_login { &self.session.logins } else { "" };
        seen.push(Observed::Refused { reason: format!("{what}{reason}{logins}") });
    }

    fn replied(&mut self, awaited: usize, seen: &mut Vec<Observed>) {
        if self.session.replied(awaited) {
            self.ready(seen);
        }
    }

    fn ready(&mut self, seen: &mut Vec<Observed>) {
        self.meter.begin(self.session.is_loaded);
        self.session.ready(seen);
    }

    fn prompt_ended(&mut self, result: &Value, is_command: bool, seen: &mut Vec<Observed>) {
        let failed = |reason: &str| TurnOutcome::Failed { reason: reason.to_owned() };
        // Gemini CLI gives a broken answer up and ends the turn as if all were well. It counts what it was answered.
        let was_answered = is_command || !has_counted_nothing(result);
        let outcome = match (result["stopReason"].as_str(), &self.trouble) {
            (Some("end_turn"), Some(said)) => {
                let said = said.trim();
                failed(if said.is_empty() { "the agent told of an error, and not of which" } else { said })
            }
            (Some("end_turn"), None) if was_answered => TurnOutcome::Completed,
            (Some("end_turn"), None) => failed("the model gave no whole answer, and the agent ended the turn"),
            (Some("cancelled"), _) => TurnOutcome::Cancelled,
            (Some("refusal"), _) => failed("the model refused"),
            (Some("max_tokens"), _) => failed("the model reached its limit of tokens"),
            (Some("max_turn_requests"), _) => failed("the turn reached the agent's limit of requests to the model"),
            (Some(other), _) => failed(&format!("the agent stopped: {}", title(other))),
            (None, _) => failed("the agent stopped, and did not say why"),
        };
        self.turn_over(&outcome, result, seen);
        seen.push(Observed::TurnEnded { outcome });
    }

    fn turn_over(&mut self, outcome: &TurnOutcome, reply: &Value, seen: &mut Vec<Observed>) {
        self.items.turn_ended(outcome, seen);
        seen.extend(self.meter.turn_ended(reply, self.session.counts_on).map(Observed::Used));
        (self.confirmed, self.trouble) = (false, None);
    }

    fn request(&mut self, id: &Value, method: &str, params: &Value, seen: &mut Vec<Observed>) {
        let key = word(&id.to_string());
        if method != PERMISSION {
            // Agents ask for files and terminals although they were told that there are none.
            if self.warned.len() < METHODS_MAX && self.warned.insert(word(method)) {
                let text = format!("the agent asked for {}, which it is not offered", title(method));
                notice(NoticeKind::Warning, &text, seen);
            }
            return seen.push(Observed::Unsupported { key });
        }
        self.confirm(seen);
        let call = &params["toolCall"];
        self.items.end_run(ItemStatus::Completed, seen);
        let (item, heading, known) = match self.items.asked(call, seen) {
            Some((item, heading, known)) => (Some(item), heading, known),
            None => (None, title(call["title"].as_str().unwrap_or_default()), String::new()),
        };
        let detail = match &call["rawInput"] {
            Value::Null if known.is_empty() => input(call),
            Value::Null => known,
            raw => input(raw),
        };
        let options: Vec<AskOption> = params["options"]
            .as_array()
            .map_or(&[][..], Vec::as_slice)
            .iter()
            .filter_map(ask_option)
            .take(OPTIONS_MAX)
            .collect();
        let is_permission = options.iter().any(|option| option.effect != AskEffect::Other);
        let kind = if is_permission { AskKind::Permission } else { AskKind::Choice };
        let title = if heading.is_empty() { "a tool".to_owned() } else { heading };
        let wants = wants::of_call(call);
        seen.push(Observed::Asked { key, item, kind, title, detail, options, wants });
    }

    fn notification(&mut self, method: &str, params: &Value, line: &[u8], seen: &mut Vec<Observed>) {
        match method {
            "session/update" if self.session.is_ready => self.update(&params["update"], line, seen),
            "session/update" => self.history(&params["update"]),
            "$/cancel_request" => seen.push(Observed::AskClosed { key: word(&params["requestId"].to_string()) }),
            // Who pays, which carries nothing that is told here.
            "_auth/status_update" => {}
            _ => tell_opaque(line, seen),
        }
    }

    /// An update before the agent takes prompts: what it tells of the past is known here already.
    fn history(&mut self, update: &Value) {
        match update["sessionUpdate"].as_str() {
            Some("usage_update") => self.meter.update(update),
            Some("current_mode_update" | "config_option_update") => {
                self.session.settings_update(update, &mut Vec::new())
            }
            Some("user_message_chunk" | "agent_message_chunk" | "agent_thought_chunk" | "tool_call") => {
                self.session.told_history = true;
            }
            _ => {}
        }
    }

    fn update(&mut self, update: &Value, line: &[u8], seen: &mut Vec<Observed>) {
        match update["sessionUpdate"].as_str() {
            Some("agent_message_chunk") => self.chunk(ItemKind::Text, update, line, seen),
            Some("agent_thought_chunk") => self.chunk(ItemKind::Thinking, update, line, seen),
            // Some agents tell the prompt back.
            Some("user_message_chunk") => {
                self.confirm(seen);
                self.items.end_run(ItemStatus::Completed, seen);
            }
            Some("tool_call") => {
                self.confirm(seen);
                self.items.tool_call(update, seen);
            }
            // Of a tool of a turn that is over; it was closed with the turn.
            Some("tool_call_update") if !self.confirmed && !self.items.knows(update) => {}
            Some("tool_call_update") => self.items.tool_update(update, seen),
            Some("plan") => {
                self.confirm(seen);
                self.items.plan(update, seen);
            }
            Some("usage_update") => {
                self.meter.update(update);
                if !self.session.counts_on {
                    seen.extend(self.meter.so_far().map(Observed::Used));
                }
            }
            Some("current_mode_update" | "config_option_update") => self.session.settings_update(update, seen),
            Some("session_info_update") => self.info(&update["_meta"]["codex"], seen),
            // The agent's own commands, which are written as prompts: nothing here offers them.
            Some("available_commands_update") => {}
            _ => tell_opaque(line, seen),
        }
    }

    fn chunk(&mut self, kind: ItemKind, update: &Value, line: &[u8], seen: &mut Vec<Observed>) {
        self.confirm(seen);
        match text_of(&update["content"]) {
            Some(text) => {
                if let Some(trouble) = self.trouble.as_mut().filter(|_| kind == ItemKind::Text) {
                    trouble.push_str(cut(&text, REASON_BYTES_MAX - trouble.len()));
                }
                self.items.chunk(kind, update, &text, seen);
            }
            None => tell_opaque(line, seen),
        }
        seen.extend(Meter::call(update).map(Observed::Used));
    }

    /// What codex-acp tells beside the protocol. Titles of conversations are not told here.
    fn info(&mut self, codex: &Value, seen: &mut Vec<Observed>) {
        match codex["threadStatus"]["type"].as_str() {
            Some("active") => self.confirm(seen),
            // The turn ends as if all were well, and the error is told as text.
            Some("systemError") => {
                self.items.end_run(ItemStatus::Completed, seen);
                self.trouble = Some(String::new());
            }
            _ => {}
        }
        let error = &codex["error"];
        if error["willRetry"] == true {
            // The model is asked anew, and says it all again.
            self.items.end_run(ItemStatus::Failed, seen);
            let words =
                [&error["message"], &error["additionalDetails"]].map(|words| words.as_str().unwrap_or_default());
            let mut about = error["codexErrorInfo"].as_object().into_iter().flat_map(|info| info.values());
            let is_limit = about.any(|about| about["httpStatusCode"] == 429);
            let kind = if is_limit { NoticeKind::RateLimited } else { NoticeKind::Retry };
            notice(kind, words.join(": ").trim_matches([':', ' ']), seen);
        }
    }

    /// The agent shows that it works: it has the prompt.
    fn confirm(&mut self, seen: &mut Vec<Observed>) {
        if !std::mem::replace(&mut self.confirmed, true) {
            seen.push(Observed::Confirmed { name: None });
        }
    }
}

/// The agent counts by the models that answered, and none did.
fn has_counted_nothing(reply: &Value) -> bool {
    reply["usage"].is_null() && reply["_meta"]["quota"]["model_usage"].as_array().is_some_and(Vec::is_empty)
}

/// Why nothing came of a request.
struct Trouble {
    reason: String,
    wants_login: bool,
    is_rate_limit: bool,
}

impl Trouble {
    fn of(code: i64, message: &str, data: &Value) -> Self {
        // Some give their model's answer as it came.
        let inner: Value = serde_json::from_str(message).unwrap_or_default();
        let message = inner["error"]["message"].as_str().unwrap_or(message);
        let details = data.as_str().or(data["details"].as_str()).or(data["message"].as_str()).unwrap_or_default();
        let kind = data["errorKind"].as_str().unwrap_or_default();
        let whole = match (message, details) {
            ("", "") => format!("error {code}"),
            (words, "") | ("", words) => words.to_owned(),
            (message, details) => format!("{message}: {details}"),
        };
        Self {
            reason: cut(&whole, REASON_BYTES_MAX).to_owned(),
            wants_login: matches!(code, -32000 | 401) || kind == "authentication_failed",
            is_rate_limit: code == 429 || kind == "rate_limit",
        }
    }
}

/// Tells something beside the work.
pub(super) fn notice(kind: NoticeKind, text: &str, seen: &mut Vec<Observed>) {
    let text = cut(text, limits::ITEM_PIECE_BYTES_MAX).to_owned();
    seen.push(Observed::Noticed { kind, text, until: None });
}

/// A name of something, within its bound.
pub(super) fn word(text: &str) -> String {
    cut(text, limits::AGENT_WORD_BYTES_MAX).to_owned()
}

/// What an agent calls an option, as far as it is told.
pub(super) fn option_id(option: &Value) -> Option<&str> {
    option["optionId"].as_str().map(|id| cut(id, limits::AGENT_WORD_BYTES_MAX))
}

fn ask_option(option: &Value) -> Option<AskOption> {
    let id = option_id(option)?.to_owned();
    let name = title(option["name"].as_str().unwrap_or(&id));
    let effect = match option["kind"].as_str() {
        Some("allow_once") => AskEffect::Allow,
        Some("allow_always") => AskEffect::AllowAlways,
        Some("reject_once") => AskEffect::Deny,
        Some("reject_always") => AskEffect::DenyAlways,
        _ => AskEffect::Other,
    };
    Some(AskOption { id, name, effect })
}

/// The text of a piece of content; `None`: it is none, such as an image.
pub(super) fn text_of(content: &Value) -> Option<String> {
    let text = match content["type"].as_str()? {
        "text" => content["text"].as_str(),
        "resource_link" => content["uri"].as_str(),
        "resource" => content["resource"]["text"].as_str().or(content["resource"]["uri"].as_str()),
        _ => None,
    };
    text.map(str::to_owned)
}
