//! What the daemon says by itself.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rpc::ErrorObject;
use crate::{Event, Seq, StateSnapshot, TerminalId};

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
    /// The subscription has caught up. One of facts only says it again as it goes on without a fact.
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
    /// The stored bytes are damaged, or these were lost before they were stored.
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
