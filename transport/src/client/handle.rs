//! The client's handle: what callers hold, while one task owns the connection.

use std::time::Duration;

use bytes::Bytes;
use ropewalk_protocol::{
    AttachParams, Attached, ClientInfo, Code, Command, CommandAnswer, CommandId, CommandParams, Query, QueryAnswer,
    Rejection, RequestMethod, Size, StopParams, Stopped, SubscribeParams, Subscribed, TerminalId, Welcome,
};
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, oneshot, watch};

use super::dial::Dial;
use super::open::open;
use super::pending::{RawAnswer, Waiting};
use super::resume::{AttachmentItem, SubscriptionItem};
use super::task::Task;

/// Calls that wait for the task.
const CALLS_MAX: usize = 256;
/// Items that wait for a subscription's or attachment's reader. Then the connection is not read: the server waits too.
const ITEMS_MAX: usize = 64;

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No connection could be made.
    #[error("the daemon cannot be reached: {0}")]
    Unreachable(String),
    /// The daemon refused it.
    #[error("{0}")]
    Refused(#[from] Rejection),
}

/// How a client behaves.
#[derive(Debug, Clone)]
pub struct Options {
    /// Who it says it is.
    pub info: ClientInfo,
    /// Events as stored records: only for a daemon of the same build.
    pub bincode: bool,
    /// How long it tries to come back before it gives up; `None` for ever.
    pub give_up_after: Option<Duration>,
}

/// What the task is asked to do.
pub(super) enum Call {
    Request(RequestMethod, Waiting),
    Subscribe(SubscribeParams, mpsc::Sender<SubscriptionItem>, oneshot::Sender<RawAnswer>),
    Attach(AttachParams, mpsc::Sender<AttachmentItem>, oneshot::Sender<RawAnswer>),
    Detach(TerminalId),
    Resize(TerminalId, Size),
    Input(TerminalId, u64, Bytes),
    Cut,
}

/// Whether there is a connection just now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// There is one.
    Up,
    /// It was cut, and is being made again.
    Lost,
    /// It is not made again: the daemon refuses, or the time to come back is over.
    GivenUp,
}

/// A client. Clones share the connection; it closes when the last one is dropped.
#[derive(Clone)]
pub struct Client {
    calls: mpsc::Sender<Call>,
    welcome: watch::Receiver<Welcome>,
    links: watch::Receiver<Link>,
}

impl Client {
    /// Connects and says hello.
    ///
    /// # Errors
    /// The daemon cannot be reached, or refuses.
    pub async fn connect(dial: Dial, options: Options) -> Result<Self, ClientError> {
        let (socket, welcome) = open(&dial, &options).await?;
        let (calls, queue) = mpsc::channel(CALLS_MAX);
        let (welcomes, welcome) = watch::channel(welcome);
        let (link, links) = watch::channel(Link::Up);
        let task = Task::new(dial, options, welcomes, link);
        tokio::spawn(task.run(socket, queue));
        Ok(Self { calls, welcome, links })
    }

    /// What the daemon said of itself when the present connection was made.
    pub fn welcome(&self) -> Welcome {
        self.welcome.borrow().clone()
    }

    /// Tells of each new connection.
    pub fn welcomes(&self) -> watch::Receiver<Welcome> {
        self.welcome.clone()
    }

    /// Tells whether there is a connection, each time that changes.
    pub fn links(&self) -> watch::Receiver<Link> {
        self.links.clone()
    }

    /// Has a command carried out once. After a cut it is sent again under the same id.
    ///
    /// # Errors
    /// The daemon's refusal.
    pub async fn command(&self, id: CommandId, command: Command) -> Result<CommandAnswer, Rejection> {
        self.request(RequestMethod::Command(CommandParams { id, command })).await
    }

    /// Asks a question.
    ///
    /// # Errors
    /// The daemon's refusal.
    pub async fn query(&self, query: Query) -> Result<QueryAnswer, Rejection> {
        self.request(RequestMethod::Query(query)).await
    }

    /// Stops the daemon.
    ///
    /// # Errors
    /// The daemon's refusal.
    pub async fn stop(&self, all: bool) -> Result<Stopped, Rejection> {
        self.request(RequestMethod::DaemonStop(StopParams { all })).await
    }

    /// Sends any request.
    ///
    /// # Errors
    /// The daemon's refusal, or an answer of another shape.
    pub async fn request<T: DeserializeOwned>(&self, method: RequestMethod) -> Result<T, Rejection> {
        let (reply, answer) = oneshot::channel();
        self.call(Call::Request(method, Waiting::Caller(reply))).await?;
        decode(answer.await.map_err(|_| closed())?)
    }

    /// Follows events, across cuts.
    ///
    /// # Errors
    /// The daemon's refusal.
    pub async fn subscribe(
        &self,
        params: SubscribeParams,
    ) -> Result<(Subscribed, mpsc::Receiver<SubscriptionItem>), Rejection> {
        let (items, receiver) = mpsc::channel(ITEMS_MAX);
        let (reply, answer) = oneshot::channel();
        self.call(Call::Subscribe(params, items, reply)).await?;
        Ok((decode(answer.await.map_err(|_| closed())?)?, receiver))
    }

    /// Follows a terminal's bytes, across cuts.
    ///
    /// # Errors
    /// The daemon's refusal.
    pub async fn attach(&self, params: AttachParams) -> Result<(Attached, mpsc::Receiver<AttachmentItem>), Rejection> {
        let (items, receiver) = mpsc::channel(ITEMS_MAX);
        let (reply, answer) = oneshot::channel();
        self.call(Call::Attach(params, items, reply)).await?;
        Ok((decode(answer.await.map_err(|_| closed())?)?, receiver))
    }

    /// Stops following a terminal.
    ///
    /// # Errors
    /// The client is closed.
    pub async fn detach(&self, terminal: TerminalId) -> Result<(), Rejection> {
        self.call(Call::Detach(terminal)).await
    }

    /// Says how large this client's window is.
    ///
    /// # Errors
    /// The client is closed.
    pub async fn resize(&self, terminal: TerminalId, size: Size) -> Result<(), Rejection> {
        self.call(Call::Resize(terminal, size)).await
    }

    /// Types into an attached terminal. Ids rise; after a cut what was not written is sent again and written once.
    ///
    /// # Errors
    /// The client is closed.
    pub async fn input(&self, terminal: TerminalId, id: u64, bytes: Bytes) -> Result<(), Rejection> {
        self.call(Call::Input(terminal, id, bytes)).await
    }

    /// Cuts the connection as a network would, for tests and demonstrations; the client comes back by itself.
    ///
    /// # Errors
    /// The client is closed.
    pub async fn cut(&self) -> Result<(), Rejection> {
        self.call(Call::Cut).await
    }

    async fn call(&self, call: Call) -> Result<(), Rejection> {
        self.calls.send(call).await.map_err(|_| closed())
    }
}

pub(super) fn closed() -> Rejection {
    Rejection::new(Code::ShuttingDown, "the connection to the daemon is closed")
}

pub(super) fn decode<T: DeserializeOwned>(answer: RawAnswer) -> Result<T, Rejection> {
    let json = answer?;
    serde_json::from_str(json.get()).map_err(|error| {
        Rejection::new(Code::UnsupportedVersion, format!("the daemon's answer has another shape: {error}"))
    })
}
