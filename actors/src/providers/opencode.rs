//! `opencode`: `opencode serve`, which speaks HTTP and server-sent events, behind the bridge that this binary is itself
//! (`ropewalk opencode-bridge`). The bridge writes what the server says as lines, and each line it reads is a request.
//!
//! The message that a prompt becomes gets an id with our turn's id in it: so its events, and opencode's record, tell by name what
//! becomes of a turn.

mod wire;

#[cfg(test)]
mod tests;

use ropewalk_protocol::{Answer, Program, TurnId};
use serde_json::{Value, json};

use super::mcp::{MCP_CALL_MILLIS_MAX, MCP_SERVER};
use super::{Abilities, Greeting, Outgoing, Parser, Provider, Starting};

/// The word that stands for the running executable in a command line.
const SELF: &str = "@self";
/// The variable that holds configuration.
const CONFIG: &str = "OPENCODE_CONFIG_CONTENT";
/// How many messages of a conversation's end are read when it is gone on with: a long turn.
const HISTORY_MESSAGES: u32 = 50;

/// Agents of OpenCode.
#[derive(Debug)]
pub(crate) struct OpenCode;

impl Provider for OpenCode {
    fn name(&self) -> &'static str {
        "opencode"
    }

    fn abilities(&self) -> Abilities {
        // A prompt during a turn is queued by opencode without a word: that queue is not ours.
        Abilities { steers: false, resumes: true, asks_hold_cancel: false, ready_at_once: false }
    }

    fn program(&self) -> Option<&'static str> {
        Some("opencode")
    }

    fn argv(&self, starting: &Starting<'_>) -> Vec<String> {
        let mut argv = [SELF, "opencode-bridge", "--"].map(str::to_owned).to_vec();
        match starting.command {
            [] => argv.extend(self.program().map(str::to_owned)),
            command => argv.extend_from_slice(command),
        }
        argv
    }

    /// The configuration of this variable goes before that of all files, and is merged with it. One that cannot be read is left
    /// as it is: opencode tells of it.
    fn give_mcp_server(&self, server: &[String], program: &mut Program) {
        let content = program.environment.entry(CONFIG.to_owned()).or_default();
        let known = if content.trim().is_empty() { Some(json!({})) } else { serde_json::from_str(content).ok() };
        if let Some(mut config) = known.filter(Value::is_object)
            && (config["mcp"].is_null() || config["mcp"].is_object())
        {
            let timeout = MCP_CALL_MILLIS_MAX;
            config["mcp"][MCP_SERVER] =
                json!({ "type": "local", "command": server, "enabled": true, "timeout": timeout });
            *content = config.to_string();
        }
    }

    fn parser(&self) -> Box<dyn Parser> {
        Box::<wire::Wire>::default()
    }

    fn encode(&self, outgoing: &Outgoing, asked: Option<&[u8]>) -> Vec<u8> {
        match outgoing {
            Outgoing::Greet { step: 0, greeting } => greet(greeting),
            Outgoing::Prompt { turn, conversation: Some(conversation), text, model, mode } => {
                let path = format!("/session/{}/prompt_async", escaped(conversation));
                let mut line = request_to(&format!("prompt:{turn}"), "POST", &path);
                line["body"] = prompt(text, model.as_deref(), mode.as_deref());
                if let Some(name) = name_of(turn) {
                    line["name"] = name.into();
                }
                written(&line)
            }
            Outgoing::Interrupt { conversation: Some(conversation), turn } => {
                let id = format!("interrupt:{}", turn.as_deref().unwrap_or_default());
                line(&id, "POST", &format!("/session/{}/abort", escaped(conversation)), json!({}))
            }
            Outgoing::Answer { key, answer, .. } => reply(key, answer, asked),
            // The greeting has one step, nothing is told between turns, and settings travel with each prompt.
            Outgoing::Greet { .. }
            | Outgoing::Prompt { .. }
            | Outgoing::Interrupt { .. }
            | Outgoing::Steer { .. }
            | Outgoing::Settings { .. } => Vec::new(),
        }
    }
}

fn request_to(id: &str, method: &str, path: &str) -> Value {
    json!({ "id": id, "method": method, "path": path })
}

fn written(request: &Value) -> Vec<u8> {
    let mut line = request.to_string().into_bytes();
    line.push(b'\n');
    line
}

fn line(id: &str, method: &str, path: &str, body: Value) -> Vec<u8> {
    let mut request = request_to(id, method, path);
    if !body.is_null() {
        request["body"] = body;
    }
    written(&request)
}

fn greet(greeting: &Greeting) -> Vec<u8> {
    let Some(conversation) = &greeting.resume else {
        return line("greet:0", "POST", "/session", json!({}));
    };
    let path = format!("/session/{}", escaped(conversation));
    let mut lines = line("resume:0", "GET", &path, Value::Null);
    lines.extend(line("resume:1", "GET", &format!("{path}/message?limit={HISTORY_MESSAGES}"), Value::Null));
    lines
}

fn prompt(text: &str, model: Option<&str>, mode: Option<&str>) -> Value {
    let mut body = json!({ "parts": [{ "type": "text", "text": text }] });
    // Without them opencode takes those of the conversation's last prompt.
    if let Some((provider, model)) = model.and_then(|model| model.split_once('/')) {
        body["model"] = json!({ "providerID": provider, "modelID": model });
    }
    if let Some(mode) = mode {
        body["agent"] = mode.into();
    }
    body
}

fn reply(key: &str, answer: &Answer, request: Option<&[u8]>) -> Vec<u8> {
    let id = format!("answer:{key}");
    let request = request.map(|line| wire::request_of(line, key)).unwrap_or_default();
    if key.starts_with("que_") || request.get("questions").is_some() {
        let path = format!("/question/{}", escaped(key));
        let count = request["questions"].as_array().map_or(1, Vec::len);
        return match answer {
            Answer::Allow { .. } | Answer::Deny { .. } => line(&id, "POST", &format!("{path}/reject"), json!({})),
            Answer::Choose { option: text } | Answer::Text { text } => {
                line(&id, "POST", &format!("{path}/reply"), json!({ "answers": answers(text, count) }))
            }
        };
    }
    let body = match answer {
        Answer::Allow { always: false } => json!({ "reply": "once" }),
        Answer::Allow { always: true } => json!({ "reply": "always" }),
        Answer::Choose { option } if option == "once" || option == "always" => json!({ "reply": option }),
        // With a message opencode goes on and tells it to the model; without one the turn ends.
        Answer::Deny { reason: Some(text) } | Answer::Text { text } => json!({ "reply": "reject", "message": text }),
        Answer::Deny { reason: None } | Answer::Choose { .. } => json!({ "reply": "reject" }),
    };
    line(&id, "POST", &format!("/permission/{}/reply", escaped(key)), body)
}

/// The answer to each of so many questions: to one the whole text, to several a line each.
fn answers(text: &str, count: usize) -> Vec<Vec<&str>> {
    if count <= 1 {
        return vec![vec![text]];
    }
    let mut lines = text.lines();
    (0..count).map(|_| lines.next().filter(|line| !line.is_empty()).into_iter().collect()).collect()
}

/// What a turn's message is named by. The bridge puts the time before it: opencode orders messages by their ids, and does not
/// answer one that comes before its own last one, as a prompt that waited in a queue would by the time in its turn's id.
fn name_of(turn: &str) -> Option<String> {
    let turn: TurnId = turn.parse().ok()?;
    Some(turn.uuid().simple().to_string())
}

/// The turn whose message has this id: `msg_`, twelve digits for the time, and the name.
fn turn_of(message: &str) -> Option<String> {
    let id = message.strip_prefix("msg_").filter(|id| id.len() == 44 && id.is_ascii())?;
    let turn: TurnId = id[12..].parse().ok()?;
    Some(turn.to_string())
}

/// A word as one segment of a path.
fn escaped(word: &str) -> String {
    let escape = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    word.bytes().map(escape).collect()
}
