//! What the server needs of whoever has the log: it holds no state that matters itself.

use std::future::Future;

use bytes::Bytes;
use ropewalk_protocol::{
    AttachParams, Attached, ClientId, CommandAnswer, CommandParams, GapReason, Query, QueryAnswer, Rejection, Seq,
    Size, StateSnapshot, Stopped, SubscribeParams, TerminalId, Welcome,
};

/// How a connection wants its events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    /// As JSON.
    Json,
    /// As stored records.
    Bincode,
}

/// Whoever has the log, as a connection sees it. What a connection may ask for depends on the token that it showed: the server
/// asks for the backend of that token, and knows no more of it.
pub trait Backend: Clone + Send + Sync + 'static {
    /// A subscription's events.
    type Events: EventSource;
    /// An attachment's bytes.
    type Bytes: ByteSource;

    /// The answer to hello.
    fn welcome(&self) -> Welcome;

    /// The newest event.
    fn head(&self) -> Seq;

    /// Whether appends fail.
    fn is_degraded(&self) -> bool;

    /// The backend as whoever shows this token sees it. To compare takes the same time whatever the token.
    ///
    /// # Errors
    /// `unauthenticated`.
    fn admit(&self, token: &str) -> Result<Self, Rejection>;

    /// Carries a command out, and then replies, on whatever thread that happens. One that is dropped has no answer.
    fn command(
        &self,
        params: CommandParams,
        client: String,
        reply: impl FnOnce(Result<CommandAnswer, Rejection>) + Send + 'static,
    );

    /// Answers a question.
    fn query(&self, query: Query) -> impl Future<Output = Result<QueryAnswer, Rejection>> + Send;

    /// Begins to follow events: after which one, the head, and the events.
    ///
    /// # Errors
    /// The cursor is of another log or beyond the head, or the session is not there.
    fn subscribe(&self, params: &SubscribeParams, wire: Wire) -> Result<(Seq, Seq, Self::Events), Rejection>;

    /// Begins to follow a terminal.
    fn attach(&self, params: AttachParams) -> impl Future<Output = Result<(Attached, Self::Bytes), Rejection>> + Send;

    /// Hands input to a terminal, in the order of the calls; the future ends once it is written.
    ///
    /// # Errors
    /// The terminal takes no input.
    fn input(
        &self,
        terminal: TerminalId,
        client: ClientId,
        id: u64,
        bytes: Bytes,
    ) -> Result<impl Future<Output = Result<(), Rejection>> + Send + use<Self>, Rejection>;

    /// Stops the daemon, once this was answered.
    fn stop(&self, all: bool) -> impl Future<Output = Result<Stopped, Rejection>> + Send;

    /// Prometheus text.
    ///
    /// # Errors
    /// Whoever asks may not know.
    fn metrics(&self) -> Result<String, Rejection>;
}

/// A subscription's events, pulled when the connection has room: a slow reader costs a cursor.
pub trait EventSource: Send + 'static {
    /// Waits for what comes next.
    fn next(&mut self) -> impl Future<Output = Result<EventStep, Rejection>> + Send;
}

/// What a subscription is given.
#[derive(Debug)]
pub enum EventStep {
    /// The state it starts from, or a part of it.
    Snapshot {
        /// True at this place.
        at: Seq,
        /// The state.
        state: StateSnapshot,
        /// More follows.
        more: bool,
    },
    /// Events as JSON objects; in each piece with commas between.
    Json(Vec<Bytes>),
    /// Events as the body of a binary frame.
    Records(Vec<u8>),
    /// It has caught up.
    Live(Seq),
    /// A range that will not come.
    Gap {
        /// The first event.
        from: Seq,
        /// The last one.
        to: Seq,
        /// Why.
        reason: GapReason,
    },
}

/// An attachment's bytes, pulled when the connection has room.
pub trait ByteSource: Send + 'static {
    /// Waits for what comes next.
    fn next(&mut self) -> impl Future<Output = Result<ByteStep, Rejection>> + Send;

    /// What the connection's other side says of this attachment: its window's size, or that it typed.
    fn presence(&self) -> impl Fn(Option<Size>) + Send + Sync + 'static;
}

/// What an attachment is given.
#[derive(Debug)]
pub enum ByteStep {
    /// The screen at this offset, as escape sequences.
    Snapshot {
        /// True at this offset.
        offset: u64,
        /// The sequences.
        bytes: Bytes,
    },
    /// Output.
    Output {
        /// The offset of the first byte.
        offset: u64,
        /// The bytes.
        bytes: Bytes,
    },
    /// Bytes that will not come.
    Gap {
        /// The offset of the first one.
        from: u64,
        /// The offset after the last one.
        to: u64,
        /// Why.
        reason: GapReason,
    },
    /// The bytes are complete.
    End {
        /// How many there are.
        offset: u64,
    },
}
