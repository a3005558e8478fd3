//! `acp`: any agent that speaks the Agent Client Protocol on stdin and stdout.
//!
//! The greeting: `initialize`, then `session/new` or `session/load`. After a load, and where a model or a mode is wanted, a
//! last step follows. Some agents tell the history of a loaded conversation after the reply to the load, and nothing marks
//! its end; what they read next they read after it. So that step holds a request that none of them knows, whose reply is a
//! fence: what was told before it is history. Which of the two ways to set a model or a mode an agent has depends on the
//! agent and its version, so both are written, and the parser minds only the failure of those that the agent offers.
//!
//! A cancelled turn's open questions must be answered too. `session/cancel` cannot name them: whoever writes
//! [`Outgoing::Interrupt`] writes a denial for each of them after it.

mod difference;
mod ids;
mod items;
mod session;
#[cfg(test)]
mod tests;
mod usage;
mod wire;

use std::path::Path;

use ropewalk_protocol::Answer;
use serde_json::{Value, json};

use self::ids::{Minted, Setting, Way};
use self::wire::Wire;
use super::mcp::MCP_SERVER;
use super::rpc::{self, Message};
use super::{Abilities, Greeting, Outgoing, Parser, Provider, Starting};

/// The version of the protocol that is spoken here.
const VERSION: u64 = 1;
/// "Method not found".
const UNKNOWN_METHOD: i64 = -32601;
/// A method that no agent knows. Names that begin so are for extensions: an agent answers that it does not know it.
const FENCE: &str = "_ropewalk/fence";

/// Any agent on stdio.
#[derive(Debug)]
pub(crate) struct Acp;

impl Provider for Acp {
    fn name(&self) -> &'static str {
        "acp"
    }

    fn abilities(&self) -> Abilities {
        Abilities { steers: false, resumes: true, asks_hold_cancel: true, ready_at_once: false }
    }

    fn program(&self) -> Option<&'static str> {
        None
    }

    fn argv(&self, starting: &Starting<'_>) -> Vec<String> {
        let mut argv = starting.command.to_vec();
        if let [program] = starting.command {
            let name = Path::new(program).file_name().unwrap_or_default();
            let argument = match name.to_str() {
                Some("gemini" | "qwen") => Some("--acp"),
                Some("opencode") => Some("acp"),
                _ => None,
            };
            argv.extend(argument.map(str::to_owned));
        }
        argv
    }

    fn parser(&self) -> Box<dyn Parser> {
        Box::new(Wire::default())
    }

    fn encode(&self, outgoing: &Outgoing, request: Option<&[u8]>) -> Vec<u8> {
        match outgoing {
            Outgoing::Greet { step, greeting } => greet(*step, greeting),
            Outgoing::Prompt { turn, conversation: Some(session), text, .. } => {
                let params = json!({"sessionId": session, "prompt": [{"type": "text", "text": text}]});
                // The marks of the agents' own commands.
                let is_command = text.trim_start().starts_with(['/', '$']);
                ask(Minted::Prompt { turn, is_command }, "session/prompt", params)
            }
            Outgoing::Interrupt { conversation: Some(session), .. } => {
                rpc::notification("session/cancel", json!({"sessionId": session}), true)
            }
            Outgoing::Answer { answer, .. } => request.map_or_else(Vec::new, |request| reply(answer, request)),
            Outgoing::Settings { conversation: Some(session), model, mode } => {
                settings(0, session, model.as_deref(), mode.as_deref())
            }
            // Without a conversation there is nobody to tell it to, and none of these agents takes more into a running turn.
            Outgoing::Prompt { conversation: None, .. }
            | Outgoing::Interrupt { conversation: None, .. }
            | Outgoing::Settings { conversation: None, .. }
            | Outgoing::Steer { .. } => Vec::new(),
        }
    }
}

fn ask(id: Minted<'_>, method: &str, params: Value) -> Vec<u8> {
    rpc::request(json!(id.to_string()), method, params, true)
}

/// A step of the greeting, see [`wire::Step`].
fn greet(step: u8, greeting: &Greeting) -> Vec<u8> {
    let Greeting { directory, resume, model, mode, mcp } = greeting;
    let servers = mcp.as_deref().map(server).into_iter().flatten().collect::<Vec<_>>();
    let wanted = [model, mode].into_iter().flatten().count();
    match (step, resume) {
        (wire::INITIALIZE, _) => {
            let client = json!({"name": "ropewalk", "title": "Ropewalk", "version": env!("CARGO_PKG_VERSION")});
            let able = json!({"fs": {"readTextFile": false, "writeTextFile": false}, "terminal": false});
            let params = json!({"protocolVersion": VERSION, "clientInfo": client, "clientCapabilities": able});
            ask(Minted::Initialize, "initialize", params)
        }
        (wire::OPEN, None) => {
            let params = json!({"cwd": directory, "mcpServers": servers});
            ask(Minted::New { settings: wanted > 0 }, "session/new", params)
        }
        (wire::OPEN, Some(conversation)) => {
            let params = json!({"sessionId": conversation, "cwd": directory, "mcpServers": servers});
            ask(Minted::Load { conversation }, "session/load", params)
        }
        (wire::SETTLE_NEW | wire::SETTLE_LOADED, Some(session)) => {
            let fences = usize::from(step == wire::SETTLE_LOADED);
            let awaited = wanted * Way::ALL.len() + fences;
            let mut lines = settings(awaited, session, model.as_deref(), mode.as_deref());
            if fences > 0 {
                lines.extend(ask(Minted::Fence { awaited }, FENCE, json!({})));
            }
            lines
        }
        _ => Vec::new(),
    }
}

/// An MCP server on stdio, by its command line.
fn server(command: &[String]) -> Option<Value> {
    let (program, arguments) = command.split_first()?;
    Some(json!({"name": MCP_SERVER, "command": program, "args": arguments, "env": []}))
}

/// The requests that set a model and a mode.
fn settings(awaited: usize, session: &str, model: Option<&str>, mode: Option<&str>) -> Vec<u8> {
    let wanted =
        [(Setting::Model, "session/set_model", "modelId", model), (Setting::Mode, "session/set_mode", "modeId", mode)];
    let mut lines = Vec::new();
    for (setting, method, name, value) in wanted {
        let Some(value) = value else { continue };
        let params = json!({"sessionId": session, name: value});
        lines.extend(ask(Minted::Set { awaited, setting, way: Way::Method, value }, method, params));
        let params = json!({"sessionId": session, "configId": setting.name(), "value": value});
        lines.extend(ask(
            Minted::Set { awaited, setting, way: Way::Option, value },
            "session/set_config_option",
            params,
        ));
    }
    lines
}

/// The answer to a request. Options are chosen by what they do: ids and order are each agent's own.
fn reply(answer: &Answer, request: &[u8]) -> Vec<u8> {
    let Some(Message::Request { id, method, params }) = rpc::parse(request) else { return Vec::new() };
    if method != wire::PERMISSION {
        return rpc::error(id, UNKNOWN_METHOD, "this client does not offer that", true);
    }
    let options = params["options"].as_array().map_or(&[][..], Vec::as_slice);
    let of_kind = |kind: &str| options.iter().find(|option| option["kind"] == kind);
    let chosen = match answer {
        Answer::Allow { always: false } => of_kind("allow_once"),
        Answer::Allow { always: true } => of_kind("allow_always").or_else(|| of_kind("allow_once")),
        Answer::Deny { .. } | Answer::Text { .. } => of_kind("reject_once"),
        Answer::Choose { option } => options.iter().find(|known| wire::option_id(known) == Some(option)),
    };
    let outcome = match chosen.and_then(|option| option["optionId"].as_str()) {
        Some(option) => json!({"outcome": "selected", "optionId": option}),
        None => json!({"outcome": "cancelled"}),
    };
    rpc::response(id, json!({"outcome": outcome}), true)
}
