//! Where a person is, so that the next client begins there.

use std::collections::BTreeMap;

use ropewalk_protocol::{AgentId, Seq, SessionId, TerminalId};
use serde::{Deserialize, Serialize};

/// What a part of the screen shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// A session that is about to be started.
    #[default]
    Start,
    /// What is said with an agent.
    Agent(SessionId, AgentId),
    /// A program's terminal.
    Terminal(SessionId, TerminalId),
}

impl Target {
    /// The session that it is of.
    pub const fn session(self) -> Option<SessionId> {
        match self {
            Target::Start => None,
            Target::Agent(session, _) | Target::Terminal(session, _) => Some(session),
        }
    }

    /// The agent.
    pub const fn agent(self) -> Option<(SessionId, AgentId)> {
        match self {
            Target::Agent(session, agent) => Some((session, agent)),
            Target::Start | Target::Terminal(..) => None,
        }
    }
}

/// How several agents share the screen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arrangement {
    /// One at a time.
    #[default]
    Single,
    /// Side by side.
    Split,
    /// In rows and columns.
    Grid,
}

/// Where a person is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// What is shown.
    #[serde(default)]
    pub panes: Vec<Target>,
    /// Which of it has the focus.
    #[serde(default)]
    pub focused: usize,
    /// How it is arranged.
    #[serde(default)]
    pub arrangement: Arrangement,
    /// Sessions of other directories are listed too.
    #[serde(default)]
    pub all_projects: bool,
    /// What a new session begins with, as people call it.
    #[serde(default)]
    pub begins_with: Option<String>,
    /// Up to which event each agent was looked at.
    #[serde(default)]
    pub seen: BTreeMap<AgentId, Seq>,
    /// Where each agent is read that is not read at its end: the event that is on top.
    #[serde(default)]
    pub read_at: BTreeMap<AgentId, Seq>,
}
