//! `codex`: Codex's app-server, JSON-RPC on stdio.
//!
//! Its wire is JSON-RPC without the member `jsonrpc`, one message a line. The conversation is a thread, and everything it does
//! belongs to a turn. Ids that we mint say what they are for (`greet:0`, `prompt:<turn>`), since the parser sees answers only.
//!
//! Modes are pairs of an approval policy and a sandbox, by codex's own names with a slash between (`untrusted/workspace-write`),
//! or one of the words for the usual pairs, see [`MODES`]; an approval policy alone leaves the sandbox as it is. Without a mode
//! nothing is sent: the user's own configuration of codex holds, and `agent.ready` tells what it amounts to.

mod asks;
mod counts;
mod items;
mod steers;
#[cfg(test)]
mod tests;
mod trouble;
mod wire;

use ropewalk_protocol::Program;
use serde_json::{Map, Value, json};

use super::mcp::{MCP_CALL_MILLIS_MAX, MCP_SERVER};
use super::{Abilities, Greeting, Outgoing, Parser, Provider, Starting, rpc};

/// Words for modes: the word, the approval policy, the sandbox.
///
/// `read-only`: it asks for all that the sandbox refuses, and that is every change. `ask`: it asks for every command that is
/// not known to only read. `auto`: it works freely in its directory, and asks beyond. `full`: no sandbox, and it never asks.
const MODES: [(&str, &str, &str); 4] = [
    ("read-only", "on-request", "read-only"),
    ("ask", "untrusted", "workspace-write"),
    ("auto", "on-request", "workspace-write"),
    ("full", "never", "danger-full-access"),
];

/// Sandboxes, as a new thread takes them and as settings do.
const SANDBOXES: [(&str, &str); 3] =
    [("read-only", "readOnly"), ("workspace-write", "workspaceWrite"), ("danger-full-access", "dangerFullAccess")];

/// Turns of an earlier run that are looked at when a thread is resumed: codex may have begun some by itself after our last one.
const TURNS_LOOKED_AT: u8 = 8;

/// Codex's app-server.
#[derive(Debug)]
pub(crate) struct Codex;

impl Provider for Codex {
    fn name(&self) -> &'static str {
        "codex"
    }

    fn abilities(&self) -> Abilities {
        Abilities { steers: true, resumes: true, asks_hold_cancel: false, ready_at_once: false }
    }

    fn program(&self) -> Option<&'static str> {
        Some("codex")
    }

    fn argv(&self, starting: &Starting<'_>) -> Vec<String> {
        let usual = ["codex".to_owned()];
        let command = if starting.command.is_empty() { &usual[..] } else { starting.command };
        command.iter().cloned().chain(["app-server".to_owned()]).collect()
    }

    fn give_mcp_server(&self, server: &[String], program: &mut Program) {
        let Some((command, arguments)) = server.split_first() else { return };
        // A string and a list of strings are written alike in JSON and in TOML.
        for (name, value) in [("command", json!(command)), ("args", json!(arguments))] {
            program.argv.extend(["-c".to_owned(), format!("mcp_servers.{MCP_SERVER}.{name}={value}")]);
        }
        // Some calls wait for long, and codex gives a call up after a minute.
        let timeout = format!("mcp_servers.{MCP_SERVER}.tool_timeout_sec={}", MCP_CALL_MILLIS_MAX / 1000);
        program.argv.extend(["-c".to_owned(), timeout]);
    }

    fn parser(&self) -> Box<dyn Parser> {
        Box::<wire::Wire>::default()
    }

    fn encode(&self, outgoing: &Outgoing, request: Option<&[u8]>) -> Vec<u8> {
        match outgoing {
            Outgoing::Greet { step: 0, .. } => {
                let client = json!({"name": "ropewalk", "title": "Ropewalk", "version": env!("CARGO_PKG_VERSION")});
                let params = json!({"clientInfo": client, "capabilities": {"experimentalApi": true}});
                ask("greet:0", "initialize", params)
            }
            Outgoing::Greet { step: 1, greeting } => {
                let mut lines = rpc::notification("initialized", Value::Null, false);
                lines.extend(thread(greeting));
                lines
            }
            Outgoing::Greet { .. } => Vec::new(),
            Outgoing::Prompt { turn, conversation, text, .. } => {
                let mut params = input(conversation.as_deref(), text);
                // Kept by codex beside the prompt: its record says by this which turns of ours it has.
                params["clientUserMessageId"] = json!(turn);
                ask(&format!("prompt:{turn}"), "turn/start", params)
            }
            Outgoing::Steer { prompt, conversation, turn, text } => {
                let mut params = input(conversation.as_deref(), text);
                params["clientUserMessageId"] = json!(prompt);
                params["expectedTurnId"] = json!(turn.as_deref().unwrap_or_default());
                ask(&format!("steer:{prompt}"), "turn/steer", params)
            }
            Outgoing::Interrupt { conversation, turn } => {
                // Without a name it means the turn that runs, or that is about to.
                let turn = turn.as_deref().unwrap_or_default();
                let params = json!({"threadId": conversation.as_deref().unwrap_or_default(), "turnId": turn});
                ask(&format!("interrupt:{turn}"), "turn/interrupt", params)
            }
            Outgoing::Answer { key, answer, .. } => asks::answer(key, answer, request),
            Outgoing::Settings { conversation, model, mode } => {
                let mut params = Map::new();
                params.insert("threadId".into(), json!(conversation.as_deref().unwrap_or_default()));
                params.extend(model.as_ref().map(|model| ("model".to_owned(), json!(model))));
                let (policy, sandbox) = mode.as_deref().map(mode_means).unwrap_or_default();
                params.extend(policy.map(|policy| ("approvalPolicy".to_owned(), json!(policy))));
                params
                    .extend(sandbox.map(|sandbox| ("sandboxPolicy".to_owned(), json!({"type": policy_type(sandbox)}))));
                ask("settings", "thread/settings/update", Value::Object(params))
            }
        }
    }
}

fn ask(id: &str, method: &str, params: Value) -> Vec<u8> {
    rpc::request(json!(id), method, params, false)
}

/// A thread that begins, or goes on. A resumed one has the settings of codex's configuration again, so they are told anew.
fn thread(greeting: &Greeting) -> Vec<u8> {
    let mut params = Map::new();
    params.insert("cwd".into(), json!(greeting.directory));
    params.extend(greeting.model.as_ref().map(|model| ("model".to_owned(), json!(model))));
    let (policy, sandbox) = greeting.mode.as_deref().map(mode_means).unwrap_or_default();
    params.extend(policy.map(|policy| ("approvalPolicy".to_owned(), json!(policy))));
    params.extend(sandbox.map(|sandbox| ("sandbox".to_owned(), json!(sandbox))));
    let Some(resume) = &greeting.resume else { return ask("greet:1", "thread/start", Value::Object(params)) };
    params.insert("threadId".into(), json!(resume));
    // What was said before is in our log already, and would be one line of any length.
    params.insert("excludeTurns".into(), json!(true));
    // How the last turns ended, though: the run before may not have lived to tell.
    params.insert("initialTurnsPage".into(), json!({"limit": TURNS_LOOKED_AT, "itemsView": "summary"}));
    ask("greet:1", "thread/resume", Value::Object(params))
}

fn input(conversation: Option<&str>, text: &str) -> Value {
    json!({"threadId": conversation.unwrap_or_default(), "input": [{"type": "text", "text": text, "text_elements": []}]})
}

/// The approval policy and the sandbox of a mode. What is neither a word nor a pair goes as a policy: codex refuses it in words.
fn mode_means(mode: &str) -> (Option<&str>, Option<&str>) {
    if let Some((_, policy, sandbox)) = MODES.iter().find(|(word, ..)| *word == mode) {
        return (Some(policy), Some(sandbox));
    }
    match mode.split_once('/') {
        Some((policy, sandbox)) => (Some(policy), Some(sandbox)),
        None => (Some(mode), None),
    }
}

fn policy_type(sandbox: &str) -> &str {
    SANDBOXES.iter().find(|(name, _)| *name == sandbox).map_or(sandbox, |(_, policy_type)| policy_type)
}

/// What the mode with this approval policy and this sandbox is called. `None`: it is none that could be asked for.
fn mode_called(policy: &str, sandbox_type: &str) -> Option<String> {
    let (sandbox, _) = SANDBOXES.iter().find(|(_, policy_type)| *policy_type == sandbox_type)?;
    let word =
        MODES.iter().find(|(_, of, inside)| (*of, inside) == (policy, sandbox)).map(|(word, ..)| (*word).to_owned());
    word.or_else(|| (!policy.is_empty()).then(|| format!("{policy}/{sandbox}")))
}
