//! Text frames: JSON-RPC 2.0, requests one way, responses and notifications the other.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    ClientId, Code, Command, CommandId, Event, LogId, MachineId, Query, Rejection, Seq, SessionId, Size, StateSnapshot,
    TerminalId,
};

/// The WebSocket subprotocol of the public wire.
pub const SUBPROTOCOL: &str = "ropewalk.v1";

/// The WebSocket subprotocol for Rust clients of the same build: events come as stored records in binary frames.
pub const SUBPROTOCOL_BINCODE: &str = "ropewalk.v1.bincode";

/// The version of the wire contract.
pub const PROTOCOL_VERSION: u16 = 1;

/// A request from a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Request {
    /// `"2.0"`.
    pub jsonrpc: String,
    /// The client's number for this request; the response carries it.
    pub id: u64,
    /// What is asked.
    #[serde(flatten)]
    pub method: RequestMethod,
}

impl Request {
    /// A request with this number.
    pub fn new(id: u64, method: RequestMethod) -> Self {
        Self { jsonrpc: "2.0".to_owned(), id, method }
    }

    /// Reads a request. Commands, which come often, are read without the detour that an unknown method's parameters need.
    ///
    /// # Errors
    /// The text is not JSON, or not a request of this build.
    pub fn from_json(text: &str) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct Outline<'a> {
            jsonrpc: String,
            id: u64,
            #[serde(borrow)]
            method: std::borrow::Cow<'a, str>,
            #[serde(borrow)]
            params: &'a serde_json::value::RawValue,
        }
        if let Ok(Outline { jsonrpc, id, method, params }) = serde_json::from_str(text)
            && method == "command"
            && let Ok(params) = serde_json::from_str(params.get())
        {
            return Ok(Self { jsonrpc, id, method: RequestMethod::Command(params) });
        }
        serde_json::from_str(text)
    }
}

/// A method and its parameters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "method", content = "params")]
pub enum RequestMethod {
    /// Says who the client is. The first request on a connection, and said once: a second one is refused with
    /// `invalid_request`. Answered with [`Welcome`].
    #[serde(rename = "hello")]
    Hello(Hello),
    /// Asks for a change. Answered with `{seq, result}`.
    #[serde(rename = "command")]
    Command(CommandParams),
    /// Asks a question. Answered with `{at, result}`.
    #[serde(rename = "query")]
    Query(Query),
    /// Follows events. Answered with [`Subscribed`].
    #[serde(rename = "subscribe")]
    Subscribe(SubscribeParams),
    /// Stops following. Answered with `{}`.
    #[serde(rename = "unsubscribe")]
    Unsubscribe(UnsubscribeParams),
    /// Follows a terminal's bytes, in place of an attachment of this connection that is there; one that is refused leaves that
    /// one as it is. Answered with [`Attached`].
    #[serde(rename = "terminal.attach")]
    TerminalAttach(AttachParams),
    /// Says how large this attachment's window is. Answered with `{}`.
    #[serde(rename = "terminal.resize")]
    TerminalResize(ResizeParams),
    /// Stops following a terminal. Answered with `{}`.
    #[serde(rename = "terminal.detach")]
    TerminalDetach(DetachParams),
    /// Stops the daemon. Answered with [`Stopped`].
    #[serde(rename = "daemon.stop")]
    DaemonStop(StopParams),
}

impl RequestMethod {
    /// The names of all methods.
    pub const NAMES: &[&str] = &[
        "hello",
        "command",
        "query",
        "subscribe",
        "unsubscribe",
        "terminal.attach",
        "terminal.resize",
        "terminal.detach",
        "daemon.stop",
    ];
}

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

/// A response to a request: `result` or `error`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(bound(deserialize = "T: Deserialize<'de>"))]
pub struct Response<T> {
    /// `"2.0"`.
    pub jsonrpc: String,
    /// The request's number; null when it could not be read.
    pub id: Option<u64>,
    /// What was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<T>,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorObject>,
}

impl<T> Response<T> {
    /// A response that carries a result.
    pub fn ok(id: u64, result: T) -> Self {
        Self { jsonrpc: "2.0".to_owned(), id: Some(id), result: Some(result), error: None }
    }

    /// A response that carries a refusal.
    pub fn err(id: Option<u64>, rejection: Rejection) -> Self {
        Self { jsonrpc: "2.0".to_owned(), id, result: None, error: Some(rejection.into()) }
    }
}

/// A refusal in JSON-RPC's shape.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ErrorObject {
    /// The code's number.
    pub code: i32,
    /// What is wrong, in a sentence.
    pub message: String,
    /// More.
    pub data: ErrorData,
}

/// The details of a refusal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ErrorData {
    /// The code's stable name. A name that this build does not know is read as `internal`.
    #[serde(deserialize_with = "known_code")]
    pub reason: Code,
    /// The same request may succeed later.
    pub retryable: bool,
    /// What to do next.
    pub hint: String,
    /// The place in the log that the refusal refers to.
    #[serde(default)]
    pub seq: Option<Seq>,
    /// What matched, where more than one thing did.
    #[serde(default)]
    pub matches: Vec<String>,
}

fn known_code<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Code, D::Error> {
    let name = String::deserialize(deserializer)?;
    Ok(Code::ALL.iter().copied().find(|code| code.name() == name).unwrap_or(Code::Internal))
}

impl From<Rejection> for ErrorObject {
    fn from(rejection: Rejection) -> Self {
        let Rejection { code, message, hint, seq, matches } = rejection;
        let data = ErrorData { reason: code, retryable: code.retryable(), hint, seq, matches };
        Self { code: code.number(), message, data }
    }
}

impl From<ErrorObject> for Rejection {
    fn from(error: ErrorObject) -> Self {
        let ErrorObject { message, data: ErrorData { reason, hint, seq, matches, .. }, .. } = error;
        Self { code: reason, message, hint, seq, matches }
    }
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

/// What the daemon says by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "method", content = "params")]
pub enum Notification {
    /// The state a subscription starts from.
    #[serde(rename = "snapshot")]
    Snapshot(SnapshotFrame),
    /// Events, in order.
    #[serde(rename = "events")]
    Events(EventsFrame),
    /// The subscription has caught up.
    #[serde(rename = "live")]
    Live(LiveFrame),
    /// A range that will not come.
    #[serde(rename = "gap")]
    Gap(GapFrame),
    /// The connection lives, and this is the head.
    #[serde(rename = "ping")]
    Ping(PingFrame),
    /// Bytes of a terminal that will not come.
    #[serde(rename = "terminal.gap")]
    TerminalGap(TerminalGapFrame),
    /// A terminal's bytes are complete.
    #[serde(rename = "terminal.end")]
    TerminalEnd(TerminalEndFrame),
    /// A subscription cannot go on: its last frame.
    #[serde(rename = "failed")]
    Failed(FailedFrame),
    /// An attachment to a terminal cannot go on: its last frame.
    #[serde(rename = "terminal.failed")]
    TerminalFailed(TerminalFailedFrame),
    /// Something was refused that was no request, such as a binary frame.
    #[serde(rename = "refused")]
    Refused(RefusedFrame),
}

/// The state a subscription starts from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SnapshotFrame {
    /// Which subscription.
    pub subscription: u64,
    /// The place it is true at; events after it follow.
    pub at: Seq,
    /// The state.
    pub state: StateSnapshot,
    /// More of the state follows in another snapshot frame.
    pub more: bool,
}

/// Events, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EventsFrame {
    /// Which subscription.
    pub subscription: u64,
    /// The events.
    pub events: Vec<Event>,
}

/// The subscription has caught up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LiveFrame {
    /// Which subscription.
    pub subscription: u64,
    /// Up to here.
    pub seq: Seq,
}

/// Why a range will not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GapReason {
    /// The stored bytes are damaged.
    Damaged,
    /// Retention removed it.
    Removed,
    /// The client fell too far behind and asked for the screen, not for every byte.
    Lagged,
}

/// A range that will not come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GapFrame {
    /// Which subscription.
    pub subscription: u64,
    /// The first event that will not come.
    pub from: Seq,
    /// The last one.
    pub to: Seq,
    /// Why.
    pub reason: GapReason,
}

/// The connection lives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PingFrame {
    /// The newest event.
    pub head: Seq,
}

/// Bytes of a terminal that will not come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TerminalGapFrame {
    /// The terminal.
    pub terminal: TerminalId,
    /// The offset of the first byte that will not come.
    pub from: u64,
    /// The offset after the last one.
    pub to: u64,
    /// Why.
    pub reason: GapReason,
}

/// A terminal's bytes are complete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TerminalEndFrame {
    /// The terminal.
    pub terminal: TerminalId,
    /// How many bytes it has in all.
    pub offset: u64,
}

/// A subscription cannot go on: its last frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FailedFrame {
    /// Which subscription.
    pub subscription: u64,
    /// Why.
    pub error: ErrorObject,
}

/// An attachment to a terminal cannot go on: its last frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TerminalFailedFrame {
    /// The terminal.
    pub terminal: TerminalId,
    /// Why.
    pub error: ErrorObject,
}

/// Something was refused that was no request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RefusedFrame {
    /// The terminal whose input it was, if it was that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terminal: Option<TerminalId>,
    /// Why.
    #[serde(flatten)]
    pub error: ErrorObject,
}

/// Events as stored records, on the same-build wire: `u8 16 | u64 LE subscription | run…`, where a run of neighbouring events
/// is `u64 LE first seq | u32 LE bytes | record…` and a record `u32 LE length | bytes`, as chunks of the log hold them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BincodeFrame {
    /// Which subscription.
    pub subscription: u64,
    /// The runs; their lengths add up.
    runs: bytes::Bytes,
}

impl BincodeFrame {
    /// The first byte, told apart from the kinds of terminal frames.
    pub const KIND: u8 = 16;
    const HEADER_BYTES: usize = 1 + 8;
    const RUN_HEADER_BYTES: usize = 8 + 4;

    /// The start of a frame for a subscription yet unknown; runs are added with [`BincodeFrame::push`].
    pub fn begin(capacity: usize) -> Vec<u8> {
        let mut frame = Vec::with_capacity(capacity + Self::HEADER_BYTES);
        frame.push(Self::KIND);
        frame.extend_from_slice(&[0; 8]);
        frame
    }

    /// Adds a run of events that follow each other, the records as they lie in a chunk.
    pub fn push(frame: &mut Vec<u8>, first: Seq, records: &[u8]) {
        let length = u32::try_from(records.len()).expect("a run is smaller than a chunk");
        frame.extend_from_slice(&first.0.to_le_bytes());
        frame.extend_from_slice(&length.to_le_bytes());
        frame.extend_from_slice(records);
    }

    /// Says which subscription a frame that was begun is for.
    pub fn address(frame: &mut [u8], subscription: u64) {
        frame[1..Self::HEADER_BYTES].copy_from_slice(&subscription.to_le_bytes());
    }

    /// Reads a frame; `None` when it is not one.
    pub fn decode(frame: &bytes::Bytes) -> Option<Self> {
        if frame.len() < Self::HEADER_BYTES || frame[0] != Self::KIND {
            return None;
        }
        let subscription = u64::from_le_bytes(frame[1..Self::HEADER_BYTES].try_into().ok()?);
        let runs = frame.slice(Self::HEADER_BYTES..);
        let mut rest = &runs[..];
        while !rest.is_empty() {
            let (_, mut records, next) = Self::run(rest)?;
            while !records.is_empty() {
                records = Self::record(records)?.1;
            }
            rest = next;
        }
        Some(Self { subscription, runs })
    }

    /// Seq and stored record of each event, in order.
    pub fn records(&self) -> impl Iterator<Item = (Seq, &[u8])> {
        let mut rest = &self.runs[..];
        let (mut seq, mut records) = (Seq::ZERO, &[][..]);
        std::iter::from_fn(move || {
            if records.is_empty() {
                let (first, run, next) = Self::run(rest)?;
                (seq, records, rest) = (first, run, next);
            }
            let (record, left) = Self::record(records)?;
            records = left;
            let at = seq;
            seq = seq.next();
            Some((at, record))
        })
    }

    fn run(bytes: &[u8]) -> Option<(Seq, &[u8], &[u8])> {
        let (header, rest) = bytes.split_at_checked(Self::RUN_HEADER_BYTES)?;
        let first = u64::from_le_bytes(header[..8].try_into().ok()?);
        let length = u32::from_le_bytes(header[8..].try_into().ok()?) as usize;
        let (records, rest) = rest.split_at_checked(length)?;
        Some((Seq(first), records, rest)).filter(|_| length > 0)
    }

    fn record(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
        let (length, rest) = bytes.split_at_checked(4)?;
        rest.split_at_checked(u32::from_le_bytes(length.try_into().ok()?) as usize)
    }
}
