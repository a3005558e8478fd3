//! The words ropewalk's parts speak: ids, commands, queries, events, rejections, frames, stored records and their limits.
//!
//! Everything that crosses a process, a socket or a disk is defined here once. This crate does no IO, reads no clock and
//! knows no other crate of ours; JSON Schema and `docs/protocol.md` are generated from it.

mod agent;
mod bincode_frame;
mod byte_vec;
pub mod codec;
mod command;
mod event;
mod frame;
pub mod holder;
mod ids;
pub mod limits;
mod program;
mod query;
pub mod record;
mod rejection;
pub mod schema;
mod stream;
mod terminal_frame;
mod timestamp;
mod view;

pub use agent::{
    AgentSpec, AgentTerms, Answer, AskEffect, AskEnd, AskKind, AskOption, BUDGET_WARN_PERCENT, Budget, BudgetOwner,
    BudgetScope, BudgetUse, Delivery, HoldReason, ItemKind, ItemStatus, Measure, NoticeKind, OnAsk, OnLimit, OnLoop,
    Rule, RuleAction, RuleEffect, RulesOwner, Spending, Spent, TurnOutcome, Usage, UsageCount, UsageScope, day_of,
    is_another_day, next_day,
};
pub use bincode_frame::BincodeFrame;
pub use command::{Command, CommandResult};
pub use event::{
    AgentAdded, AgentBudgetSet, AgentCloseAsked, AgentClosed, AgentGreeted, AgentJoined, AgentReady, AgentRefused,
    Answered, AskClosed, Asked, BudgetWarned, CancelAsked, CancelInsisted, Cause, DaemonStarted, DaemonStopped,
    DayBudgetSet, Event, EventBody, EventWriter, Held, ItemChanged, ItemDelta, ItemEnded, ItemStarted, ItemText,
    Looped, Noticed, OutputConsumed, PromptEdited, PromptMoved, PromptQueued, PromptSteered, PromptTaken,
    PromptWithdrawn, Released, RuleApplied, RunAsked, RunEnded, RunFailed, RunOutcome, RunStarted, SessionAnnotated,
    SessionBudgetSet, SessionCreated, SessionDeleted, SessionEndRequested, SessionEnded, SessionRenamed,
    SessionRulesSet, SettingsChanged, StorageDegraded, StorageRestored, TerminalClosed, TerminalLost, TerminalResized,
    TurnConfirmed, TurnEnded, TurnSettled, TurnStarted, UnknownEvent, Used, WorkspaceRulesSet,
};
pub use frame::{
    AttachParams, Attached, ClientInfo, CommandAnswer, CommandParams, DaemonInfo, DetachParams, ErrorData, ErrorObject,
    EventsFrame, FailedFrame, GapFrame, GapReason, Hello, LimitsInfo, LiveFrame, LogInfo, Notification,
    PROTOCOL_VERSION, PingFrame, QueryAnswer, RefusedFrame, Request, RequestMethod, ResizeParams, Response,
    SUBPROTOCOL, SUBPROTOCOL_BINCODE, SnapshotFrame, StopParams, Stopped, SubscribeAfter, SubscribeOnly,
    SubscribeParams, SubscribeWord, Subscribed, TerminalEndFrame, TerminalFailedFrame, TerminalGapFrame,
    UnsubscribeParams, Welcome,
};
pub use ids::{
    AgentId, ClientId, CommandId, IdError, InteractionId, ItemId, LogId, MachineId, PromptId, RunId, Seq, SessionId,
    TerminalId, TurnId,
};
pub use program::{Program, Size};
pub use query::{Query, QueryResult};
pub use rejection::{Code, Rejection};
pub use stream::Stream;
pub use terminal_frame::{TerminalFrame, TerminalFrameError, TerminalFrameKind};
pub use timestamp::Timestamp;
pub use view::{
    AgentState, AgentStatus, AgentView, ArchiveReport, CancelView, ChunkView, DamageView, DayView, EventGap, HoldView,
    InteractionView, LogStats, PolicyView, PromptView, ReceiptView, RecordView, SearchHit, SessionState, SessionStatus,
    SessionView, SettledTurn, StateSnapshot, StructuredView, TerminalView, TimelineEntry, UsageTotal, VerifyReport,
    WorkspaceView,
};
