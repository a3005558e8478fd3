//! What an agent is to be, from the command line and this process.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Read};

use ropewalk_protocol::{AgentSpec, OnAsk, limits};

use super::super::run::environment;
use crate::args::AgentArgs;
use crate::exit::{Failure, USAGE};

/// An agent to start.
pub(super) fn spec(
    provider: String,
    args: AgentArgs,
    directory: String,
    prompt: Option<String>,
    json: bool,
) -> AgentSpec {
    let default = if is_interactive(json) { OnAsk::Wait } else { OnAsk::Deny };
    AgentSpec {
        provider,
        name: args.agent_name,
        command: args.command.map(|words| words.0).unwrap_or_default(),
        directory,
        environment: environment_of_agents(),
        model: args.model,
        mode: args.mode,
        on_ask: args.on_ask.unwrap_or(default),
        prompt,
        terms: args.terms.terms(),
    }
}

/// This process's environment. An agent has no terminal: what its tools print is read by a model.
pub(super) fn environment_of_agents() -> BTreeMap<String, String> {
    environment()
}

/// A person sits here who can be asked.
pub(super) fn is_interactive(json: bool) -> bool {
    !json && std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// A text of several words, or what comes on stdin for `-`.
pub(super) fn words(words: &[String]) -> Result<String, Failure> {
    if words != ["-"] {
        return Ok(words.join(" "));
    }
    let mut bytes = Vec::new();
    // A little more than is allowed tells that it is too much.
    let bound = limits::PROMPT_BYTES_MAX as u64 + 1;
    std::io::stdin().lock().take(bound).read_to_end(&mut bytes)?;
    let text = String::from_utf8(bytes);
    let text = text.map_err(|_| Failure::new(USAGE, "what came on stdin is not UTF-8"))?;
    Ok(text.strip_suffix('\n').unwrap_or(&text).to_owned())
}
