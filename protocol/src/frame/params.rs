//! What each method takes, and what it answers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ClientId, Command, CommandId, EventBody, LogId, MachineId, Seq, SessionId, Size, TerminalId};

/// Parameters of `hello`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Hello {
    /// Who connects.
    pub client: ClientInfo,
    /// The bearer token, for clients that cannot send headers.
    #[serde(default)]
    pub token: Option<String>,
}

/// Who connects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClientInfo {
    /// The program's name.
    pub name: String,
    /// The program's version.
    pub version: String,
    /// The same for all connections of one client: input resent after a cut is recognised by it.
    #[serde(default)]
    pub instance: Option<ClientId>,
}

/// The answer to `hello`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Welcome {
    /// The machine.
    pub machine: MachineId,
    /// The daemon.
    pub daemon: DaemonInfo,
    /// The log that cursors refer to.
    pub log: LogInfo,
    /// The bounds a client must keep.
    pub limits: LimitsInfo,
    /// The version of the wire contract.
    pub protocol: u16,
}

/// What the daemon is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DaemonInfo {
    /// The version, as `ropewalk --version` prints it.
    pub version: String,
    /// What the binary was built from.
    pub build: String,
    /// The daemon's process id.
    pub pid: u32,
    /// The holder's process id, while it is connected.
    pub holder_pid: Option<u32>,
    /// Whether the holder answers at this moment; only `daemon.info` asks it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder_answers: Option<bool>,
}

/// A log and how far it goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogInfo {
    /// Which log.
    pub id: LogId,
    /// Its newest event.
    pub head: Seq,
}

/// The bounds a client must keep.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LimitsInfo {
    /// The largest frame, in bytes.
    pub frame_bytes_max: u64,
    /// The most subscriptions of one connection.
    pub subscriptions_max: u64,
    /// The most attachments of one connection.
    pub attachments_max: u64,
    /// The most requests of one connection that wait for an answer.
    pub requests_in_flight_max: u64,
}

/// Parameters of `command`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CommandParams {
    /// Minted by the client, a UUID v7. A repeat of it gets the first answer.
    pub id: CommandId,
    /// The command.
    pub command: Command,
}

/// Where a subscription starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum SubscribeAfter {
    /// After this place in the log.
    Seq(Seq),
    /// `"snapshot"`: with the state as it is, then what follows. `"now"`: with what follows.
    Word(SubscribeWord),
}

/// Where a subscription starts, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SubscribeWord {
    /// With the state as it is, then what follows.
    Snapshot,
    /// With what follows.
    Now,
}

impl SubscribeAfter {
    /// With the state as it is, then what follows.
    pub const SNAPSHOT: SubscribeAfter = SubscribeAfter::Word(SubscribeWord::Snapshot);
    /// With what follows.
    pub const NOW: SubscribeAfter = SubscribeAfter::Word(SubscribeWord::Now);
}

/// What a subscription is bounded to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SubscribeOnly {
    /// Facts: without the pieces of what agents say and write, and how far it was taken in. It is for clients that watch much
    /// over a slow line: `agent.item_delta`, `agent.item_text` and `agent.output_consumed` do not come, and what an item says
    /// is asked for with `events.page`.
    ///
    /// `live` comes again then, at most twice a second, when what came last was left out: everything up to there was given,
    /// so that a client that resumes there reads nothing again.
    Facts,
}

impl SubscribeOnly {
    /// Whether events of the kind with this number come.
    pub const fn passes(self, kind: u16) -> bool {
        match self {
            SubscribeOnly::Facts => !EventBody::is_piece(kind),
        }
    }
}

/// Parameters of `subscribe`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SubscribeParams {
    /// Only this session's events; without it, all.
    #[serde(default)]
    pub session: Option<SessionId>,
    /// Where to start.
    pub after: SubscribeAfter,
    /// The log the cursor is of; another one is refused with `wrong_log`.
    #[serde(default)]
    pub log: Option<LogId>,
    /// Only some kinds of events; without it, all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only: Option<SubscribeOnly>,
}

/// The answer to `subscribe`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Subscribed {
    /// The connection's number for it.
    pub subscription: u64,
    /// Events after this place will come.
    pub from: Seq,
    /// The newest event at this moment.
    pub head: Seq,
}

/// Parameters of `unsubscribe`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UnsubscribeParams {
    /// Which.
    pub subscription: u64,
}

/// Parameters of `terminal.attach`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AttachParams {
    /// The terminal.
    pub terminal: TerminalId,
    /// Every byte from this offset on. Without it: a snapshot of the screen, then every byte after it, and a new snapshot
    /// instead of the bytes between when the client falls far behind.
    #[serde(default)]
    pub after: Option<u64>,
    /// The client's window. Without it the terminal keeps its size.
    #[serde(default)]
    pub size: Option<Size>,
    /// The client only looks: its input is refused and its size does not count.
    #[serde(default)]
    pub view_only: bool,
    /// Lines of scrollback in front of the snapshot's screen.
    #[serde(default)]
    pub scrollback: u32,
}

/// The answer to `terminal.attach`. Binary frames follow: a snapshot if one was asked for, then output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Attached {
    /// The offset of the first output byte that will come.
    pub offset: u64,
    /// The offset after the newest byte at this moment.
    pub end: u64,
    /// The terminal's size.
    pub size: Size,
    /// A snapshot at `offset` comes first.
    pub snapshot: bool,
    /// How many bytes the terminal has in all, if it is closed.
    pub closed_at: Option<u64>,
}

/// Parameters of `terminal.resize`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ResizeParams {
    /// The terminal.
    pub terminal: TerminalId,
    /// The window's size now.
    pub size: Size,
}

/// Parameters of `terminal.detach`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DetachParams {
    /// The terminal.
    pub terminal: TerminalId,
}

/// Parameters of `daemon.stop`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StopParams {
    /// Also end every session and the holder. Without it programs go on.
    #[serde(default)]
    pub all: bool,
}

/// The answer to `daemon.stop`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Stopped {
    /// The daemon that stops.
    pub pid: u32,
    /// The sessions that were ended.
    pub ended: Vec<SessionId>,
    /// The sessions whose programs go on.
    pub running: Vec<SessionId>,
}

/// The result of `command`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CommandAnswer {
    /// The head of the log once the command was done.
    pub seq: Seq,
    /// What it made.
    pub result: crate::CommandResult,
}

/// The result of `query`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct QueryAnswer {
    /// The answer is true at this place in the log.
    pub at: Seq,
    /// The answer.
    pub result: crate::QueryResult,
}
