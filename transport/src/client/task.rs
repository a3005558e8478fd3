//! The client's one task: it owns the connection, whichever it is just now, and what must be asked for again after a cut.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use ropewalk_protocol::{Code, DetachParams, Rejection, RequestMethod, ResizeParams, TerminalId, Welcome, limits};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::tungstenite::{self, Message};

use super::dial::Dial;
use super::handle::{Call, ClientError, Link, Options};
use super::open::{Socket, input_frame, open, request_frame};
use super::pending::{Pending, Waiting};
use super::resume::{AttachmentCursor, AttachmentItem, SubscriptionCursor, SubscriptionItem};

/// A connection on which nothing is heard for so long is given up.
const SILENCE: Duration = Duration::from_millis(limits::SILENCE_MILLIS_MAX);
const BACKOFF_FIRST: Duration = Duration::from_millis(20);
const BACKOFF_MAX: Duration = Duration::from_secs(2);

pub(super) struct Task {
    dial: Dial,
    options: Options,
    welcomes: watch::Sender<Welcome>,
    link: watch::Sender<Link>,
    pub(super) pending: Pending,
    pub(super) subscriptions: BTreeMap<u64, (SubscriptionCursor, mpsc::Sender<SubscriptionItem>)>,
    next_subscription: u64,
    pub(super) attachments: BTreeMap<TerminalId, (AttachmentCursor, mpsc::Sender<AttachmentItem>)>,
    /// What is asked for without a caller, once the frame that led to it is worked off.
    pub(super) unsent: Vec<RequestMethod>,
    heard: Instant,
}

/// Why a connection ended.
enum Ended {
    /// It broke: another one is made.
    Broken,
    /// Nobody holds the client any more.
    Dropped,
}

impl Task {
    pub(super) fn new(
        dial: Dial,
        options: Options,
        welcomes: watch::Sender<Welcome>,
        link: watch::Sender<Link>,
    ) -> Self {
        Self {
            dial,
            options,
            welcomes,
            link,
            pending: Pending::default(),
            subscriptions: BTreeMap::new(),
            next_subscription: 1,
            attachments: BTreeMap::new(),
            unsent: Vec::new(),
            heard: Instant::now(),
        }
    }

    /// Runs until nobody holds the client any more.
    pub(super) async fn run(mut self, mut socket: Socket, mut calls: mpsc::Receiver<Call>) {
        loop {
            self.heard = Instant::now();
            if let Ended::Dropped = self.serve(&mut socket, &mut calls).await {
                drop(timeout(Duration::from_secs(1), socket.close(None)).await);
                return;
            }
            self.link.send_replace(Link::Lost);
            for (_, items) in self.attachments.values() {
                drop(items.try_send(AttachmentItem::Cut));
            }
            match self.reconnect(&mut calls).await {
                Ok(Some(fresh)) => socket = fresh,
                Ok(None) => return,
                Err(rejection) => {
                    self.link.send_replace(Link::GivenUp);
                    return self.fail(&rejection).await;
                }
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
                    self.link.send_replace(Link::Up);
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
                biased;
                () = tokio::time::sleep(pause) => {}
                // What is called meanwhile waits in the queue; only a dropped client is noticed.
                () = closed_and_empty(calls) => return Ok(None),
            }
            pause = (pause * 2).min(BACKOFF_MAX);
        }
    }

    async fn fail(&mut self, rejection: &Rejection) {
        self.pending.fail(rejection);
        for (_, (_, items)) in std::mem::take(&mut self.subscriptions) {
            items.send(SubscriptionItem::Failed(rejection.clone())).await.ok();
        }
        for (_, (_, items)) in std::mem::take(&mut self.attachments) {
            items.send(AttachmentItem::Failed(rejection.clone())).await.ok();
        }
    }

    async fn serve(&mut self, socket: &mut Socket, calls: &mut mpsc::Receiver<Call>) -> Ended {
        if !is_written(self.resume(socket)).await {
            return Ended::Broken;
        }
        // What the connection before was to be told means nothing on this one.
        self.unsent.clear();
        loop {
            for method in std::mem::take(&mut self.unsent) {
                let id = self.pending.add(method.clone(), Waiting::Nobody);
                if !is_written(socket.send(request_frame(id, method))).await {
                    return Ended::Broken;
                }
            }
            tokio::select! {
                biased;
                call = calls.recv(), if self.pending.has_room() => {
                    let Some(call) = call else {
                        return Ended::Dropped;
                    };
                    if !is_written(self.call(call, socket)).await {
                        return Ended::Broken;
                    }
                }
                message = socket.next() => {
                    self.heard = Instant::now();
                    match message {
                        Some(Ok(Message::Text(text))) => self.text(&text).await,
                        Some(Ok(Message::Binary(frame))) => self.binary(frame).await,
                        // Answers to pings wait in the socket's buffer until something is written.
                        Some(Ok(Message::Ping(_))) if !is_written(socket.flush()).await => return Ended::Broken,
                        Some(Ok(Message::Close(_)) | Err(_)) | None => return Ended::Broken,
                        Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                    }
                }
                () = sleep_until(self.heard + SILENCE) => return Ended::Broken,
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
        for (cursor, _) in self.attachments.values_mut() {
            let method = RequestMethod::TerminalAttach(cursor.request());
            let caller = self.pending.attacher(cursor.terminal());
            let id = self.pending.add(method.clone(), Waiting::Attachment(cursor.terminal(), caller));
            (cursor.asked, cursor.answered) = (id, false);
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
                let mut cursor = AttachmentCursor::new(params);
                let method = RequestMethod::TerminalAttach(cursor.request());
                if let Some((before, _)) = self.attachments.remove(&terminal) {
                    // Who asks for the screen anew has typed all the same.
                    cursor.unwritten = before.unwritten;
                }
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
        if let RequestMethod::TerminalAttach(params) = &method
            && let Some((cursor, _)) = self.attachments.get_mut(&params.terminal)
        {
            cursor.asked = id;
        }
        socket.send(request_frame(id, method)).await
    }
}

/// Whether a write came to its end. Nothing is heard meanwhile, so a peer that takes nothing is silent.
async fn is_written(write: impl Future<Output = Result<(), tungstenite::Error>>) -> bool {
    matches!(timeout(SILENCE, write).await, Ok(Ok(())))
}

/// Ends when nobody can call any more and nothing waits.
async fn closed_and_empty(calls: &mpsc::Receiver<Call>) {
    if calls.is_closed() && calls.is_empty() {
        return;
    }
    std::future::pending().await
}
