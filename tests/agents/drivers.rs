//! The programs as ropewalk is asked for them, and what they differ in.

use ropewalk_protocol::{AgentSpec, Answer};
use serde_json::json;

use super::Agent;
use super::driven::spec;
use crate::model::Model;

/// One of the programs: how it is asked for.
pub(crate) struct Driver {
    pub(crate) provider: &'static str,
    pub(crate) command: &'static [&'static str],
    pub(crate) mode: Option<&'static str>,
    /// It goes on with a conversation in another process at any time.
    pub(crate) resumes: bool,
    /// Its commands run in a sandbox unasked, and people are asked where the model wants one to run outside of it.
    escalates: bool,
    home: fn(&Model) -> Option<Agent>,
}

pub(crate) const CLAUDE: Driver =
    Driver { provider: "claude", command: &[], mode: None, resumes: true, escalates: false, home: Agent::claude };

pub(crate) const CODEX: Driver =
    Driver { provider: "codex", command: &[], mode: Some("ask"), resumes: true, escalates: false, home: Agent::codex };

pub(crate) const OPENCODE: Driver =
    Driver { provider: "opencode", command: &[], mode: None, resumes: true, escalates: false, home: Agent::opencode };

/// It does not load a conversation again in the minute of the clock in which it was begun.
pub(crate) const GEMINI: Driver =
    Driver { provider: "acp", command: &["gemini"], mode: None, resumes: false, escalates: false, home: Agent::gemini };

pub(crate) const CLAUDE_ACP: Driver = Driver {
    provider: "acp",
    command: &["claude-agent-acp"],
    mode: None,
    resumes: true,
    escalates: false,
    home: Agent::claude_acp,
};

/// In the mode it begins with, a model decides what else people are asked.
pub(crate) const CODEX_ACP: Driver = Driver {
    provider: "acp",
    command: &["codex-acp"],
    mode: Some("read-only"),
    resumes: true,
    escalates: true,
    home: Agent::codex_acp,
};

pub(crate) const OPENCODE_ACP: Driver = Driver {
    provider: "acp",
    command: &["opencode"],
    mode: None,
    resumes: true,
    escalates: false,
    home: Agent::opencode,
};

impl Driver {
    /// A home for it; none, where it is not installed.
    pub(crate) fn home(&self, model: &Model) -> Option<Agent> {
        (self.home)(model)
    }

    pub(crate) fn spec(&self, agent: &Agent) -> AgentSpec {
        let mut spec = spec(self.provider, self.command, agent);
        spec.model = Some(agent.model.to_owned());
        spec.mode = self.mode.map(str::to_owned);
        spec
    }

    /// The directive that has a command run after people were asked.
    pub(crate) fn bash(&self, command: &str) -> String {
        if !self.escalates {
            return format!("[[bash {command}]]");
        }
        let input = json!({"cmd": command, "sandbox_permissions": "require_escalated", "justification": "it has to"});
        format!("[[call exec_command]]{input}[[/call]]")
    }
}

pub(crate) fn allow() -> Answer {
    Answer::Allow { always: false }
}
