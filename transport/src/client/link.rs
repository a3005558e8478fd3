//! The client's one task: it owns the connection, whichever it is just now.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use ropewalk_protocol::{
    AttachParams, Attached, BincodeFrame, ClientInfo, Code, Command, CommandAnswer, CommandId, CommandParams,
    DetachParams, ErrorObject, Hello, Notification, Query, QueryAnswer, Rejection, Request, RequestMethod,
    ResizeParams, Response, SUBPROTOCOL, SUBPROTOCOL_BINCODE, Size, StopParams, Stopped, SubscribeParams, Subscribed,
    TerminalFrame, TerminalFrameKind, TerminalId, UnsubscribeParams, Welcome, limits,
};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::http::header::{AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message};

use super::dial::{Dial, Io};
use super::pending::{Pending, RawAnswer, Waiting};
use super::resume::{AttachmentCursor, AttachmentItem, SubscriptionCursor, SubscriptionItem};

/// Calls that wait for the task.
const CALLS_MAX: usize = 256;
/// Items that wait for a subscription's or attachment's reader. Then the connection is not read: the server waits too.
const ITEMS_MAX: usize = 64;
const BACKOFF_FIRST: Duration = Duration::from_millis(20);
const BACKOFF_MAX: Duration = Duration::from_secs(2);
const DIAL_TIMEOUT: Duration = Duration::from_secs(10);

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

type Socket = WebSocketStream<Box<dyn Io>>;

enum Call {
    Request(RequestMethod, Waiting),
    Subscribe(SubscribeParams, mpsc::Sender<SubscriptionItem>, oneshot::Sender<RawAnswer>),
    Attach(AttachParams, mpsc::Sender<AttachmentItem>, oneshot::Sender<RawAnswer>),
    Detach(TerminalId),
    Resize(TerminalId, Size),
    Input(TerminalId, u64, Bytes),
    Cut,
}

/// A client. Clones share the connection; it closes when the last one is dropped.
#[derive(Clone)]
pub struct Client {
    calls: mpsc::Sender<Call>,
    welcome: watch::Receiver<Welcome>,
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
        let task = Task {
            dial,
            options,
            welcomes,
            pending: Pending::default(),
            subscriptions: HashMap::new(),
            next_subscription: 1,
            attachments: HashMap::new(),
            heard: Instant::now(),
        };
        tokio::spawn(task.run(socket, queue));
        Ok(Self { calls, welcome })
    }

    /// What the daemon said of itself when the present connection was made.
    pub fn welcome(&self) -> Welcome {
        self.welcome.borrow().clone()
    }

    /// Tells of each new connection.
    pub fn welcomes(&self) -> watch::Receiver<Welcome> {
        self.welcome.clone()
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

fn closed() -> Rejection {
    Rejection::new(Code::ShuttingDown, "the connection to the daemon is closed")
}

fn decode<T: DeserializeOwned>(answer: RawAnswer) -> Result<T, Rejection> {
    let json = answer?;
    serde_json::from_str(json.get()).map_err(|error| {
        Rejection::new(Code::UnsupportedVersion, format!("the daemon's answer has another shape: {error}"))
    })
}

/// Connects and says hello.
async fn open(dial: &Dial, options: &Options) -> Result<(Socket, Welcome), ClientError> {
    let opened = timeout(DIAL_TIMEOUT, async {
        let (stream, token) = dial().await.map_err(|error| ClientError::Unreachable(error.to_string()))?;
        let mut socket = upgrade(stream, token.as_deref(), options.bincode).await?;
        let hello = RequestMethod::Hello(Hello { client: options.info.clone(), token: None });
        let unreachable = |error: tungstenite::Error| ClientError::Unreachable(error.to_string());
        socket.send(request_frame(0, hello)).await.map_err(unreachable)?;
        loop {
            let message =
                socket.next().await.ok_or_else(|| ClientError::Unreachable("it closed the connection".into()))?;
            if let Message::Text(text) = message.map_err(unreachable)? {
                let response: Response<Welcome> =
                    serde_json::from_str(&text).map_err(|error| ClientError::Unreachable(error.to_string()))?;
                let refused = response.error.map(|error| ClientError::Refused(error.into()));
                return match response.result {
                    Some(welcome) => Ok((socket, welcome)),
                    None => Err(refused.unwrap_or_else(|| ClientError::Unreachable("it did not say welcome".into()))),
                };
            }
        }
    });
    opened.await.unwrap_or_else(|_| Err(ClientError::Unreachable("it does not answer".to_owned())))
}

async fn upgrade(stream: Box<dyn Io>, token: Option<&str>, bincode: bool) -> Result<Socket, ClientError> {
    let unreachable = |error: String| ClientError::Unreachable(error);
    let mut request = "ws://localhost/v1".into_client_request().map_err(|error| unreachable(error.to_string()))?;
    let protocol = if bincode { SUBPROTOCOL_BINCODE } else { SUBPROTOCOL };
    request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocol));
    if let Some(token) = token {
        let value =
            HeaderValue::from_str(&format!("Bearer {token}")).map_err(|error| unreachable(error.to_string()))?;
        request.headers_mut().insert(AUTHORIZATION, value);
    }
    let config = WebSocketConfig::default()
        .max_message_size(Some(limits::FRAME_BYTES_MAX))
        .max_frame_size(Some(limits::FRAME_BYTES_MAX));
    match tokio_tungstenite::client_async_with_config(request, stream, Some(config)).await {
        Ok((socket, _)) => Ok(socket),
        Err(tungstenite::Error::Http(response)) => {
            let body = response.body().as_deref().unwrap_or_default();
            let error = serde_json::from_slice::<serde_json::Value>(body).ok();
            let error = error.and_then(|body| serde_json::from_value::<ErrorObject>(body["error"].clone()).ok());
            Err(error
                .map_or_else(|| unreachable(response.status().to_string()), |error| ClientError::Refused(error.into())))
        }
        Err(error) => Err(unreachable(error.to_string())),
    }
}

fn request_frame(id: u64, method: RequestMethod) -> Message {
    let request = Request::new(id, method);
    Message::Text(serde_json::to_string(&request).expect("our own types always encode").into())
}

struct Task {
    dial: Dial,
    options: Options,
    welcomes: watch::Sender<Welcome>,
    pending: Pending,
    subscriptions: HashMap<u64, (SubscriptionCursor, mpsc::Sender<SubscriptionItem>)>,
    next_subscription: u64,
    attachments: HashMap<TerminalId, (AttachmentCursor, mpsc::Sender<AttachmentItem>)>,
    heard: Instant,
}

/// Makes what a subscription's reader is given, from its cursor and a frame.
type MakeItem<'a> = &'a mut (dyn FnMut(&mut SubscriptionCursor) -> Option<SubscriptionItem> + Send);

/// Why a connection ended.
enum Ended {
    /// It broke: another one is made.
    Broken,
    /// Nobody holds the client any more.
    Dropped,
}

impl Task {
    async fn run(mut self, mut socket: Socket, mut calls: mpsc::Receiver<Call>) {
        loop {
            self.heard = Instant::now();
            if let Ended::Dropped = self.serve(&mut socket, &mut calls).await {
                drop(timeout(Duration::from_secs(1), socket.close(None)).await);
                return;
            }
            for (_, items) in self.attachments.values() {
                drop(items.try_send(AttachmentItem::Cut));
            }
            match self.reconnect(&mut calls).await {
                Ok(Some(fresh)) => socket = fresh,
                Ok(None) => return,
                Err(rejection) => return self.fail(&rejection).await,
            }
        }
    }

    /// Tries until there is a connection again; `None` when nobody holds the client any more.
    async fn reconnect(&mut self, calls: &mut mpsc::Receiver<Call>) -> Result<Option<Socket>, Rejection> {
        let began = Instant::now();
        let mut pause = BACKOFF_FIRST;
        loop {
            match open(&self.dial, &self.options).await {
                Ok((socket, welcome)) => {
                    self.welcomes.send_replace(welcome);
                    return Ok(Some(socket));
                }
                Err(ClientError::Refused(rejection)) if !rejection.retryable() => return Err(rejection),
                Err(error) => {
                    tracing::debug!(%error, "no connection yet");
                    if self.options.give_up_after.is_some_and(|limit| began.elapsed() >= limit) {
                        return Err(Rejection::new(Code::ShuttingDown, error.to_string())
                            .hint("Start the daemon with `ropewalk daemon start`."));
                    }
                }
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                // What is called meanwhile waits in the queue; only a dropped client is noticed.
                () = closed_and_empty(calls) => return Ok(None),
            }
            pause = (pause * 2).min(BACKOFF_MAX);
        }
    }

    async fn fail(&mut self, rejection: &Rejection) {
        self.pending.fail(rejection);
        for (_, (_, items)) in self.subscriptions.drain() {
            items.send(SubscriptionItem::Failed(rejection.clone())).await.ok();
        }
        for (_, (_, items)) in self.attachments.drain() {
            items.send(AttachmentItem::Failed(rejection.clone())).await.ok();
        }
    }

    async fn serve(&mut self, socket: &mut Socket, calls: &mut mpsc::Receiver<Call>) -> Ended {
        if self.resume(socket).await.is_err() {
            return Ended::Broken;
        }
        let silence = Duration::from_millis(limits::SILENCE_MILLIS_MAX);
        loop {
            tokio::select! {
                biased;
                call = calls.recv() => {
                    let Some(call) = call else {
                        return Ended::Dropped;
                    };
                    if self.call(call, socket).await.is_err() {
                        return Ended::Broken;
                    }
                }
                message = socket.next() => {
                    self.heard = Instant::now();
                    match message {
                        Some(Ok(Message::Text(text))) => self.text(&text).await,
                        Some(Ok(Message::Binary(frame))) => self.binary(frame).await,
                        // Answers to pings wait in the socket's buffer until something is written.
                        Some(Ok(Message::Ping(_))) if socket.flush().await.is_err() => return Ended::Broken,
                        Some(Ok(Message::Close(_)) | Err(_)) | None => return Ended::Broken,
                        Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                    }
                }
                () = sleep_until(self.heard + silence) => return Ended::Broken,
            }
        }
    }

    /// Asks a new connection for everything the one before had not given.
    async fn resume(&mut self, socket: &mut Socket) -> Result<(), tungstenite::Error> {
        let log = self.welcomes.borrow().log.id;
        for (id, method) in self.pending.again() {
            socket.feed(request_frame(id, method)).await?;
        }
        self.subscriptions.retain(|_, (_, items)| !items.is_closed());
        for (local, (cursor, _)) in &mut self.subscriptions {
            cursor.remote = None;
            let method = RequestMethod::Subscribe(cursor.request(log));
            let caller = self.pending.subscriber(*local);
            let id = self.pending.add(method.clone(), Waiting::Subscription(*local, caller));
            socket.feed(request_frame(id, method)).await?;
        }
        self.attachments.retain(|_, (_, items)| !items.is_closed());
        for (cursor, _) in self.attachments.values() {
            let method = RequestMethod::TerminalAttach(cursor.request());
            let caller = self.pending.attacher(cursor.terminal());
            let id = self.pending.add(method.clone(), Waiting::Attachment(cursor.terminal(), caller));
            socket.feed(request_frame(id, method)).await?;
            for (number, bytes) in &cursor.unwritten {
                socket.feed(input_frame(cursor.terminal(), *number, bytes.clone())).await?;
            }
        }
        socket.flush().await
    }

    async fn call(&mut self, call: Call, socket: &mut Socket) -> Result<(), tungstenite::Error> {
        let (method, waiting) = match call {
            Call::Request(method, waiting) => (method, waiting),
            Call::Subscribe(params, items, reply) => {
                let local = self.next_subscription;
                self.next_subscription += 1;
                let cursor = SubscriptionCursor::new(params);
                let log = self.welcomes.borrow().log.id;
                let method = RequestMethod::Subscribe(cursor.request(log));
                self.subscriptions.insert(local, (cursor, items));
                (method, Waiting::Subscription(local, Some(reply)))
            }
            Call::Attach(params, items, reply) => {
                let terminal = params.terminal;
                let cursor = AttachmentCursor::new(params);
                let method = RequestMethod::TerminalAttach(cursor.request());
                self.attachments.insert(terminal, (cursor, items));
                (method, Waiting::Attachment(terminal, Some(reply)))
            }
            Call::Detach(terminal) => {
                self.attachments.remove(&terminal);
                (RequestMethod::TerminalDetach(DetachParams { terminal }), Waiting::Nobody)
            }
            Call::Resize(terminal, size) => {
                if let Some((cursor, _)) = self.attachments.get_mut(&terminal) {
                    cursor.resized(size);
                }
                (RequestMethod::TerminalResize(ResizeParams { terminal, size }), Waiting::Nobody)
            }
            Call::Input(terminal, number, bytes) => {
                if let Some((cursor, _)) = self.attachments.get_mut(&terminal) {
                    cursor.unwritten.insert(number, bytes.clone());
                }
                return socket.send(input_frame(terminal, number, bytes)).await;
            }
            Call::Cut => return Err(tungstenite::Error::ConnectionClosed),
        };
        let id = self.pending.add(method.clone(), waiting);
        socket.send(request_frame(id, method)).await
    }

    async fn text(&mut self, text: &str) {
        #[derive(serde::Deserialize)]
        struct Frame<'a> {
            #[serde(default)]
            id: Option<u64>,
            #[serde(default, borrow)]
            method: Option<&'a str>,
            #[serde(default, borrow)]
            result: Option<&'a RawValue>,
            #[serde(default)]
            error: Option<ErrorObject>,
        }
        let Ok(frame) = serde_json::from_str::<Frame<'_>>(text) else {
            return tracing::warn!("a frame of the daemon is not understood");
        };
        if frame.method.is_some() {
            match serde_json::from_str::<Notification>(text) {
                Ok(notification) => self.notified(notification).await,
                // A newer daemon may say things this client does not know.
                Err(error) => tracing::debug!(%error, "a notification is not understood"),
            }
            return;
        }
        let answer = match (frame.result, frame.error) {
            (Some(result), _) => Ok(result.to_owned()),
            (None, Some(error)) => Err(Rejection::from(error)),
            (None, None) => Err(Rejection::new(Code::InvalidRequest, "the daemon's answer carries nothing")),
        };
        if let Some(waiting) = frame.id.and_then(|id| self.pending.take(id)) {
            self.answered(waiting, answer).await;
        }
    }

    async fn answered(&mut self, waiting: Waiting, answer: RawAnswer) {
        match waiting {
            Waiting::Nobody => {}
            Waiting::Caller(caller) => drop(caller.send(answer)),
            Waiting::Subscription(local, caller) => {
                let subscribed = answer.clone().and_then(|json| decode::<Subscribed>(Ok(json)));
                match (subscribed, caller) {
                    (Ok(subscribed), caller) => {
                        if let Some((cursor, _)) = self.subscriptions.get_mut(&local) {
                            cursor.subscribed(&subscribed);
                        }
                        caller.map(|caller| caller.send(answer));
                    }
                    (Err(_), Some(caller)) => {
                        self.subscriptions.remove(&local);
                        drop(caller.send(answer));
                    }
                    (Err(rejection), None) => {
                        if let Some((_, items)) = self.subscriptions.remove(&local) {
                            items.send(SubscriptionItem::Failed(rejection)).await.ok();
                        }
                    }
                }
            }
            Waiting::Attachment(terminal, caller) => {
                let attached = answer.clone().and_then(|json| decode::<Attached>(Ok(json)));
                match (attached, caller) {
                    (Ok(attached), caller) => {
                        if let Some((cursor, _)) = self.attachments.get_mut(&terminal) {
                            cursor.attached(&attached);
                        }
                        caller.map(|caller| caller.send(answer));
                    }
                    (Err(_), Some(caller)) => {
                        self.attachments.remove(&terminal);
                        drop(caller.send(answer));
                    }
                    (Err(rejection), None) => {
                        if let Some((_, items)) = self.attachments.remove(&terminal) {
                            items.send(AttachmentItem::Failed(rejection)).await.ok();
                        }
                    }
                }
            }
        }
    }

    async fn notified(&mut self, notification: Notification) {
        let (remote, item): (u64, MakeItem<'_>) = match notification {
            Notification::Events(frame) => {
                let mut events = Some(frame.events);
                (frame.subscription, &mut move |cursor| cursor.events(events.take().unwrap_or_default()))
            }
            Notification::Snapshot(frame) => {
                let remote = frame.subscription;
                let mut frame = Some(frame);
                (remote, &mut move |cursor| frame.take().map(|frame| cursor.snapshot(frame)))
            }
            Notification::Live(frame) => (frame.subscription, &mut move |cursor| Some(cursor.live(frame.seq))),
            Notification::Gap(frame) => (frame.subscription, &mut move |cursor| Some(cursor.gap(&frame))),
            Notification::TerminalGap(gap) => {
                return self.attachment(gap.terminal, |cursor| Some(cursor.gap(gap.from, gap.to, gap.reason))).await;
            }
            Notification::TerminalEnd(end) => {
                return self.attachment(end.terminal, |_| Some(AttachmentItem::End(end.offset))).await;
            }
            Notification::Refused(error) => {
                let rejection = Rejection::from(error);
                tracing::warn!(%rejection, "the daemon refused a frame");
                if rejection.code == Code::InputRefused || rejection.code == Code::NotAttached {
                    for (_, items) in self.attachments.values() {
                        items.send(AttachmentItem::Failed(rejection.clone())).await.ok();
                    }
                }
                return;
            }
            Notification::Ping(_) => return,
        };
        self.subscription(remote, item).await;
    }

    async fn subscription(&mut self, remote: u64, item: MakeItem<'_>) {
        let found = self.subscriptions.iter_mut().find(|(_, (cursor, _))| cursor.remote == Some(remote));
        let Some((local, (cursor, items))) = found else {
            return;
        };
        let local = *local;
        if let Some(item) = item(cursor)
            && items.send(item).await.is_err()
        {
            // The reader is gone.
            self.subscriptions.remove(&local);
            let method = RequestMethod::Unsubscribe(UnsubscribeParams { subscription: remote });
            self.pending.add(method, Waiting::Nobody);
        }
    }

    async fn attachment(
        &mut self,
        terminal: TerminalId,
        item: impl FnOnce(&mut AttachmentCursor) -> Option<AttachmentItem>,
    ) {
        if let Some((cursor, items)) = self.attachments.get_mut(&terminal)
            && let Some(item) = item(cursor)
            && items.send(item).await.is_err()
        {
            self.attachments.remove(&terminal);
        }
    }

    async fn binary(&mut self, frame: Bytes) {
        if let Some(frame) = BincodeFrame::decode(&frame) {
            return self.subscription(frame.subscription, &mut |cursor| cursor.records(&frame)).await;
        }
        let Ok(TerminalFrame { kind, terminal, number, bytes }) = TerminalFrame::decode(frame) else {
            return tracing::debug!("a binary frame is not understood");
        };
        self.attachment(terminal, |cursor| match kind {
            TerminalFrameKind::Output => cursor.output(number, bytes),
            TerminalFrameKind::Snapshot => Some(cursor.snapshot(number, bytes, true)),
            TerminalFrameKind::SnapshotPart => Some(cursor.snapshot(number, bytes, false)),
            TerminalFrameKind::InputWritten => Some(cursor.written(number)),
            TerminalFrameKind::Input => None,
        })
        .await;
    }
}

fn input_frame(terminal: TerminalId, number: u64, bytes: Bytes) -> Message {
    Message::Binary(TerminalFrame { kind: TerminalFrameKind::Input, terminal, number, bytes }.encode())
}

/// Ends when nobody can call any more and nothing waits.
async fn closed_and_empty(calls: &mpsc::Receiver<Call>) {
    if calls.is_closed() && calls.is_empty() {
        return;
    }
    std::future::pending().await
}
