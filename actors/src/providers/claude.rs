//! `claude`: Claude Code with stream-json on its pipes and control requests for what is not conversation.
//!
//! A prompt carries our turn's id as its `uuid`. The program tells by it when it takes the prompt up, gives it back with the
//! echo, and does not run it again if it is in the conversation's record already: a prompt that is written twice is run once.

mod asks;
mod items;
mod turns;
mod usage;
mod wire;

#[cfg(test)]
mod tests;

use ropewalk_protocol::Program;
use serde_json::{Value, json};

use super::mcp::MCP_SERVER;
use super::{Abilities, Outgoing, Parser, Provider, Starting};

/// What the request that greets is called.
const GREET: &str = "greet";
/// What requests to end a turn, to use a model and to work in a mode begin with.
const INTERRUPT: &str = "interrupt:";
const MODEL: &str = "model:";
const MODE: &str = "mode:";

/// Claude Code, and what speaks as it does.
#[derive(Debug)]
pub(crate) struct Claude;

impl Provider for Claude {
    fn name(&self) -> &'static str {
        "claude"
    }

    /// What is written during a turn may become part of it or a turn of its own, by version and by chance: that is no steering.
    fn abilities(&self) -> Abilities {
        Abilities { steers: false, resumes: true, asks_hold_cancel: false, ready_at_once: true }
    }

    fn program(&self) -> Option<&'static str> {
        Some("claude")
    }

    fn argv(&self, starting: &Starting<'_>) -> Vec<String> {
        let mut argv = starting.command.to_vec();
        if argv.is_empty() {
            argv.push("claude".to_owned());
        }
        let fixed = "-p --input-format stream-json --output-format stream-json --verbose --include-partial-messages \
                     --replay-user-messages --permission-prompt-tool stdio";
        argv.extend(fixed.split_whitespace().map(str::to_owned));
        let greeting = starting.greeting;
        let (named, conversation) = match &greeting.resume {
            Some(conversation) => ("--resume", conversation),
            None => ("--session-id", &starting.fresh),
        };
        let model = greeting.model.as_ref().map(|model| ("--model", model));
        let mode = greeting.mode.as_ref().map(|mode| ("--permission-mode", mode));
        for (name, value) in [model, mode, Some((named, conversation))].into_iter().flatten() {
            argv.extend([name.to_owned(), value.clone()]);
        }
        argv
    }

    /// A program that is replaced while it is worked with is another one than was looked at. Everything else is the user's choice.
    fn environment(&self) -> &'static [(&'static str, &'static str)] {
        &[("DISABLE_AUTOUPDATER", "1")]
    }

    /// Besides the servers that the user has: without `--strict-mcp-config` they stay.
    fn give_mcp_server(&self, server: &[String], program: &mut Program) {
        let Some((command, arguments)) = server.split_first() else { return };
        let config = json!({"mcpServers": {MCP_SERVER: {"command": command, "args": arguments}}});
        program.argv.extend(["--mcp-config".to_owned(), config.to_string()]);
    }

    fn parser(&self) -> Box<dyn Parser> {
        Box::new(wire::Wire::default())
    }

    fn encode(&self, outgoing: &Outgoing, request: Option<&[u8]>) -> Vec<u8> {
        let lines = match outgoing {
            Outgoing::Greet { step: 0, .. } => vec![asking(GREET, json!({"subtype": "initialize", "hooks": null}))],
            Outgoing::Greet { .. } => Vec::new(),
            Outgoing::Prompt { turn: id, conversation, text, .. }
            | Outgoing::Steer { prompt: id, conversation, text, .. } => vec![json!({
                "type": "user",
                "message": {"role": "user", "content": [{"type": "text", "text": text}]},
                "parent_tool_use_id": null,
                "session_id": conversation.as_deref().unwrap_or_default(),
                "uuid": id,
            })],
            // A prompt that the program has not taken up yet would outlive an interrupt that does not name what is queued.
            Outgoing::Interrupt { turn, .. } => vec![asking(
                &format!("{INTERRUPT}{}", turn.as_deref().unwrap_or_default()),
                json!({"subtype": "interrupt", "cancel_queued": true}),
            )],
            Outgoing::Answer { key, answer, .. } => vec![asks::answer(key, answer, request)],
            Outgoing::Settings { model, mode, .. } => {
                let model = model
                    .as_ref()
                    .map(|model| asking(&format!("{MODEL}{model}"), json!({"subtype": "set_model", "model": model})));
                let mode = mode.as_ref().map(|mode| {
                    asking(&format!("{MODE}{mode}"), json!({"subtype": "set_permission_mode", "mode": mode}))
                });
                model.into_iter().chain(mode).collect()
            }
        };
        lines.iter().flat_map(|line| format!("{line}\n").into_bytes()).collect()
    }
}

fn asking(id: &str, request: Value) -> Value {
    json!({"type": "control_request", "request_id": id, "request": request})
}
