//! What each kind of event says.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{AgentId, Budget, Rule, RunId, Size, TerminalId, Timestamp};

/// Payload of `session.created`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionCreated {
    /// The name people use for it.
    pub name: Option<String>,
    /// The absolute directory it works in.
    pub workspace: Option<String>,
}

/// Payload of `session.agent_added`. The environment is not in it: it may hold secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AgentAdded {
    /// The agent.
    pub agent: AgentId,
    /// Its provider: `terminal`.
    pub provider: String,
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// The absolute directory it runs in.
    pub directory: String,
    /// Its first run.
    pub run: RunId,
    /// Its terminal.
    pub terminal: TerminalId,
    /// The terminal's size at byte 0.
    pub size: Size,
}

/// Payload of `session.renamed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionRenamed {
    /// The new name.
    pub name: String,
}

/// Payload of `session.annotated`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionAnnotated {
    /// The remark.
    pub text: String,
}

/// Payload of `session.end_requested`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionEndRequested {}

/// Payload of `session.ended`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionEnded {
    /// Why, in a sentence.
    pub reason: String,
}

/// Payload of `session.deleted`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionDeleted {}

/// Payload of `agent.run_started`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunStarted {
    /// The run.
    pub run: RunId,
    /// The process id; with the start time it names one process for ever.
    pub pid: u32,
    /// When the process started, in clock ticks after boot, as in `/proc/<pid>/stat` field 22.
    pub start_ticks: u64,
}

/// Payload of `agent.run_failed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunFailed {
    /// The run.
    pub run: RunId,
    /// What the operating system said.
    pub reason: String,
}

impl RunFailed {
    /// How the reason begins when the machine was short of something: the same may work later.
    pub const SHORTAGE: &str = "out of resources: ";
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunOutcome {
    /// The process exited with this code.
    Exited {
        /// The exit code.
        code: i32,
    },
    /// A signal killed the process.
    Signaled {
        /// The signal's number.
        signal: i32,
    },
    /// Nobody saw it end: the holder, the daemon or the machine died first.
    Interrupted {
        /// What is known.
        reason: String,
    },
}

impl fmt::Display for RunOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RunOutcome::Exited { code } => write!(f, "exited with code {code}"),
            RunOutcome::Signaled { signal } => write!(f, "killed by signal {signal}"),
            RunOutcome::Interrupted { reason } => write!(f, "interrupted: {reason}"),
        }
    }
}

/// Payload of `agent.run_ended`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunEnded {
    /// The run.
    pub run: RunId,
    /// How.
    pub outcome: RunOutcome,
    /// Where in the terminal's byte stream it was seen.
    pub offset: u64,
}

/// Payload of `terminal.resized`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TerminalResized {
    /// The new size.
    pub size: Size,
    /// Bytes from this offset on were written to a terminal of this size.
    pub offset: u64,
}

/// Payload of `terminal.closed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TerminalClosed {
    /// How many bytes the stream has in all.
    pub offset: u64,
}

/// Payload of `terminal.lost`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TerminalLost {
    /// The offset of the first byte that will never come.
    pub from: u64,
    /// The offset after the last one.
    pub to: u64,
    /// Why, in a sentence.
    pub reason: String,
}

/// Payload of `machine.daemon_started`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DaemonStarted {
    /// The build, as `ropewalk --version` prints it.
    pub build: String,
    /// The daemon's process id.
    pub pid: u32,
    /// The process that holds the terminals; another one than before means that what it held is gone.
    pub holder_pid: u32,
}

/// Payload of `machine.daemon_stopped`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DaemonStopped {
    /// Why, in a sentence.
    pub reason: String,
}

/// Payload of `machine.storage_degraded`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StorageDegraded {
    /// What the disk said.
    pub reason: String,
    /// When appends began to fail.
    pub since: Timestamp,
}

/// Payload of `machine.storage_restored`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StorageRestored {
    /// How many batches were refused meanwhile.
    pub refused: u64,
}

/// Payload of `session.budget_set`: what all agents of the session may cost together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionBudgetSet {
    /// It.
    pub budget: Budget,
}

/// Payload of `session.rules_set`: they take the place of the session's rules before them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionRulesSet {
    /// They.
    pub rules: Vec<Rule>,
}

/// Payload of `machine.budget_set`: what all agents may cost together in a day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DayBudgetSet {
    /// It.
    pub budget: Budget,
}

/// Payload of `machine.rules_set`: they take the place of the directory's rules before them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WorkspaceRulesSet {
    /// The absolute directory.
    pub directory: String,
    /// They; none: nothing more is said of the directory.
    pub rules: Vec<Rule>,
}
