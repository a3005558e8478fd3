//! Text frames: JSON-RPC 2.0, requests one way, responses and notifications the other.

mod notification;
mod params;
mod rpc;

pub use notification::{
    EventsFrame, FailedFrame, GapFrame, GapReason, LiveFrame, Notification, PingFrame, RefusedFrame, SnapshotFrame,
    TerminalEndFrame, TerminalFailedFrame, TerminalGapFrame,
};
pub use params::{
    AttachParams, Attached, ClientInfo, CommandAnswer, CommandParams, DaemonInfo, DetachParams, Hello, LimitsInfo,
    LogInfo, QueryAnswer, ResizeParams, StopParams, Stopped, SubscribeAfter, SubscribeOnly, SubscribeParams,
    SubscribeWord, Subscribed, UnsubscribeParams, Welcome,
};
pub use rpc::{ErrorData, ErrorObject, Request, RequestMethod, Response};

/// The WebSocket subprotocol of the public wire.
pub const SUBPROTOCOL: &str = "ropewalk.v1";

/// The WebSocket subprotocol for Rust clients of the same build: events come as stored records in binary frames.
pub const SUBPROTOCOL_BINCODE: &str = "ropewalk.v1.bincode";

/// The version of the wire contract.
pub const PROTOCOL_VERSION: u16 = 1;
