//! What people read: folds of the log, as the projections keep them and the wire carries them.

mod agents;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    AgentId, CommandId, CommandResult, Event, GapReason, ItemId, LogId, Rejection, RunId, RunOutcome, Seq, SessionId,
    Size, TerminalId, Timestamp, TurnId,
};

pub use agents::{
    AgentState, AgentStatus, CancelView, DayView, HoldView, InteractionView, PolicyView, PromptView, SettledTurn,
    StructuredView, UsageTotal, WorkspaceView,
};

/// What a session is doing, derived from facts in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SessionState {
    /// It exists and nothing runs in it.
    Empty,
    /// A program was asked for and has not started yet.
    Starting,
    /// A program runs, or a structured agent is there to be prompted: what each is doing, its own status tells.
    Running,
    /// Agents are there to be prompted, and no process of any: the next prompt starts one.
    Stopped,
    /// It was asked to end and a program still runs.
    Ending,
    /// Every program has ended, and every agent is closed.
    Ended,
}

impl SessionState {
    /// The state's stable name, as in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            SessionState::Empty => "empty",
            SessionState::Starting => "starting",
            SessionState::Running => "running",
            SessionState::Stopped => "stopped",
            SessionState::Ending => "ending",
            SessionState::Ended => "ended",
        }
    }
}

/// A state with the event that proves it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionStatus {
    /// The state.
    pub state: SessionState,
    /// Since when.
    pub since: Timestamp,
    /// The event that says so.
    pub evidence: Seq,
}

/// A session, as lists show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionView {
    /// Its id.
    pub session: SessionId,
    /// Its name.
    pub name: Option<String>,
    /// The directory it works in.
    pub workspace: Option<String>,
    /// When it was created.
    pub created_at: Timestamp,
    /// What it is doing.
    pub status: SessionStatus,
    /// Why it ended, once it has.
    pub end_reason: Option<String>,
    /// Its newest event.
    pub last_seq: Seq,
    /// Its agents, oldest first.
    pub agents: Vec<AgentView>,
    /// Its terminals, oldest first.
    pub terminals: Vec<TerminalView>,
}

/// An agent, as lists show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AgentView {
    /// Its id.
    pub agent: AgentId,
    /// Its provider.
    pub provider: String,
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// Its newest run.
    pub run: RunId,
    /// Its terminal; a structured agent's output.
    pub terminal: TerminalId,
    /// The process, while it is known to run.
    pub pid: Option<u32>,
    /// When the process started, in clock ticks after boot.
    pub start_ticks: Option<u64>,
    /// How the newest run ended, once it has.
    pub outcome: Option<RunOutcome>,
    /// Why the newest run could not be started.
    pub failure: Option<String>,
    /// Somebody asked for the end of the newest run, so that how it ended says nothing of what it did.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub end_asked: bool,
    /// What a structured agent is doing; `None` for a program in a terminal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub structured: Option<Box<StructuredView>>,
}

impl AgentView {
    /// Whether its newest run came to no good end, and nobody had asked for that.
    pub fn has_failed(&self) -> bool {
        let ended_well = matches!(self.outcome, None | Some(RunOutcome::Exited { code: 0 }));
        self.failure.is_some() || !ended_well && !self.end_asked
    }
}

impl SessionView {
    /// Whether it has ended, and all that it was for is one program, which failed.
    pub fn has_failed(&self) -> bool {
        let program = match self.agents.as_slice() {
            [agent] if agent.structured.is_none() => Some(agent),
            _ => None,
        };
        self.status.state == SessionState::Ended && program.is_some_and(AgentView::has_failed)
    }
}

/// A terminal, as lists show it. Its screen is asked for by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TerminalView {
    /// Its id.
    pub terminal: TerminalId,
    /// Its size at byte 0.
    pub first_size: Size,
    /// Its size now.
    pub size: Size,
    /// How many bytes it had when it closed; `None` while it is open.
    pub closed_at: Option<u64>,
}

/// A line of a session's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TimelineEntry {
    /// The event it stands for.
    pub seq: Seq,
    /// When.
    pub at: Timestamp,
    /// What happened, in a sentence.
    pub text: String,
}

/// Where a subscription starts: everything that matters, folded up to one place in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StateSnapshot {
    /// The sessions in scope, oldest first.
    pub sessions: Vec<SessionView>,
}

/// Where words were found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SearchHit {
    /// The session.
    pub session: SessionId,
    /// The agent, if it is one's or about one.
    pub agent: Option<AgentId>,
    /// The event. Of a text that came in pieces it is the piece in which the words begin.
    pub seq: Seq,
    /// When it happened.
    pub at: Timestamp,
    /// The item that says it.
    pub item: Option<ItemId>,
    /// The turn, where what was looked through tells.
    pub turn: Option<TurnId>,
    /// The line around it.
    pub excerpt: String,
}

/// Events that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EventGap {
    /// The first one.
    pub from: Seq,
    /// The last one.
    pub to: Seq,
    /// Why.
    pub reason: GapReason,
}

/// A range of the log that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DamageView {
    /// Where: `events`, `streams`, `receipts`, `snapshots`, `output`, `index` or `projection <name>`.
    pub place: String,
    /// The first seq or offset that cannot be read.
    pub from: u64,
    /// The last one.
    pub to: u64,
    /// The terminal, when it is output.
    pub terminal: Option<TerminalId>,
    /// What is wrong.
    pub reason: String,
}

/// What a check of the whole log found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VerifyReport {
    /// Nothing is wrong.
    pub intact: bool,
    /// The head the check went up to.
    pub head: Seq,
    /// Events read.
    pub events: u64,
    /// Chunks whose checksum and place in the hash chain were checked.
    pub chunks: u64,
    /// Volumes read.
    pub volumes: u64,
    /// Receipts read.
    pub receipts: u64,
    /// Bytes of terminal output read.
    pub output_bytes: u64,
    /// Terminals whose bytes were read.
    pub terminals: u64,
    /// The hash of the newest chunk, hexadecimal.
    pub chain: String,
    /// Digests of the projections rebuilt from event 1: name and hexadecimal hash.
    pub digests: Vec<(String, String)>,
    /// What cannot be read or does not add up.
    pub damage: Vec<DamageView>,
    /// Files below the log's directory that hold what could not be read of a write-ahead log: a commit that a crash cut, or
    /// damage. What could be read of them is in the log.
    #[serde(default)]
    pub aside: Vec<String>,
}

/// How large the log is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogStats {
    /// The newest event.
    pub head: Seq,
    /// Volumes on disk.
    pub volumes: u64,
    /// Bytes on disk.
    pub disk_bytes: u64,
    /// Bytes free on that disk.
    pub free_bytes: u64,
    /// Commits since the daemon started.
    pub commits: u64,
    /// Batches that those commits held.
    pub batches: u64,
    /// Appends fail: what the disk said.
    pub degraded: Option<String>,
    /// Files that hold what could not be read of a write-ahead log.
    #[serde(default)]
    pub aside: u64,
}

/// One event as it is stored, with what proves it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RecordView {
    /// The event.
    pub event: Event,
    /// The number of its kind in stored records.
    pub kind: u16,
    /// The length of its stored record, before compression.
    pub bytes: u64,
    /// The chunk that holds it.
    pub chunk: ChunkView,
    /// The name of the volume that holds the chunk.
    pub volume: Seq,
    /// What was answered to the command that caused it.
    pub receipt: Option<ReceiptView>,
}

/// The events of one commit, as they are stored. Its checksum is right: one with a wrong checksum is not shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChunkView {
    /// Its first event.
    pub first: Seq,
    /// Its last one.
    pub last: Seq,
    /// Its stored length.
    pub bytes: u64,
    /// Its CRC-32, hexadecimal.
    pub checksum: String,
    /// Its BLAKE3 hash, hexadecimal.
    pub hash: String,
    /// The hash of the chunk before it, hexadecimal.
    pub previous: String,
}

/// What was answered to a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReceiptView {
    /// The command's id.
    pub command: CommandId,
    /// The head of the log once it was done.
    pub seq: Seq,
    /// The result, if it was carried out.
    pub result: Option<CommandResult>,
    /// Why it was refused, if it was.
    pub refused: Option<Rejection>,
}

/// What an archive of a log holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ArchiveReport {
    /// All of the log is in it.
    pub whole: bool,
    /// The log's id.
    pub log: LogId,
    /// Its newest event.
    pub head: Seq,
    /// The hash of its newest chunk, hexadecimal.
    pub hash: String,
    /// Volumes.
    pub volumes: u64,
    /// Chunks.
    pub chunks: u64,
    /// Events.
    pub events: u64,
    /// Receipts.
    pub receipts: u64,
    /// Bytes of terminal output.
    pub output_bytes: u64,
    /// The hash that names the whole archive, hexadecimal: the last one of its own chain.
    pub digest: String,
    /// What could not be read when it was written.
    pub damage: Vec<DamageView>,
}
