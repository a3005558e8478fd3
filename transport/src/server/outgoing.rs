//! The writing end of a connection: answers and keystrokes' echoes first, bulk after them.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use bytes::Bytes;
use futures_util::stream::SplitSink;
use futures_util::{FutureExt, SinkExt};
use ropewalk_protocol::{Notification, RefusedFrame, Rejection, TerminalId, limits};
use serde::Serialize;
use tokio::runtime::Handle;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

/// Bulk frames that wait to be written, besides the one being written: enough to keep the socket busy, and no more.
const BULK_FRAMES_MAX: usize = 4;
/// Frames are flushed together up to this size.
const FLUSH_BYTES: usize = 256 * 1024;

/// Where frames go. Clones share the connection.
#[derive(Clone)]
pub(super) struct Outgoing {
    urgent: mpsc::Sender<Message>,
    bulk: mpsc::Sender<Message>,
    writing: Arc<AtomicBool>,
}

/// A connection that may be gone.
pub(super) struct WeakOutgoing {
    urgent: mpsc::WeakSender<Message>,
    bulk: mpsc::WeakSender<Message>,
    writing: Arc<AtomicBool>,
}

impl WeakOutgoing {
    pub(super) fn upgrade(self) -> Option<Outgoing> {
        let (urgent, bulk) = self.urgent.upgrade().zip(self.bulk.upgrade())?;
        Some(Outgoing { urgent, bulk, writing: self.writing })
    }
}

/// The connection is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gone;

impl Outgoing {
    /// Sends before all bulk.
    pub(super) async fn urgent(&self, message: Message) -> Result<(), Gone> {
        self.urgent.send(message).await.map_err(|_| Gone)
    }

    /// Sends before all bulk what matters only if nothing else is sent.
    pub(super) fn urgent_or_never(&self, message: Message) {
        self.urgent.try_send(message).ok();
    }

    /// Sends before all bulk, from where nothing can be waited for; the request's permit is let go once the frame has room.
    pub(super) fn urgent_or_later(self, message: Message, permit: OwnedSemaphorePermit) {
        if let Err(TrySendError::Full(message)) = self.urgent.try_send(message)
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(async move {
                self.urgent(message).await.ok();
                drop(permit);
            });
        }
    }

    /// Does not keep the connection.
    pub(super) fn downgrade(&self) -> WeakOutgoing {
        let (urgent, bulk) = (self.urgent.downgrade(), self.bulk.downgrade());
        WeakOutgoing { urgent, bulk, writing: self.writing.clone() }
    }

    /// Waits until there is room for bulk, then sends.
    pub(super) async fn bulk(&self, message: Message) -> Result<(), Gone> {
        self.bulk.send(message).await.map_err(|_| Gone)
    }

    /// A write is on its way: the peer is slow to read, which is not the same as silent.
    pub(super) fn is_writing(&self) -> bool {
        self.writing.load(Ordering::Relaxed)
    }

    /// Sends a notification before all bulk.
    pub(super) async fn notify(&self, notification: &Notification) -> Result<(), Gone> {
        self.urgent(notification_frame(notification)).await
    }

    /// Says that something was refused which was no request; input to this terminal, if it was that.
    pub(super) async fn refused(&self, terminal: Option<TerminalId>, rejection: Rejection) -> Result<(), Gone> {
        self.notify(&Notification::Refused(RefusedFrame { terminal, error: rejection.into() })).await
    }

    /// Says goodbye with this WebSocket close code.
    pub(super) async fn close(&self, code: u16, reason: &str) -> Result<(), Gone> {
        self.urgent(Message::Close(Some(CloseFrame { code, reason: reason.to_owned().into() }))).await
    }
}

/// An answer as a frame.
pub(super) fn json<T: Serialize>(value: &T) -> Message {
    text(serde_json::to_string(value).expect("our own types always encode"))
}

pub(super) fn text(text: String) -> Message {
    Message::Text(text.into())
}

/// A notification as a frame.
pub(super) fn notification_frame(notification: &Notification) -> Message {
    #[derive(Serialize)]
    struct Frame<'a> {
        jsonrpc: &'static str,
        #[serde(flatten)]
        notification: &'a Notification,
    }
    let frame = Frame { jsonrpc: "2.0", notification };
    text(serde_json::to_string(&frame).expect("our own types always encode"))
}

/// Starts the writing end; it ends when the connection does, or when every sender is gone.
pub(super) fn start(sink: SplitSink<WebSocket, Message>) -> (Outgoing, tokio::task::JoinHandle<()>) {
    let (urgent, urgent_frames) = mpsc::channel(limits::SEND_QUEUE_FRAMES_MAX);
    let (bulk, bulk_frames) = mpsc::channel(BULK_FRAMES_MAX);
    let writing = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn(write(sink, urgent_frames, bulk_frames, writing.clone()));
    (Outgoing { urgent, bulk, writing }, writer)
}

async fn write(
    mut sink: SplitSink<WebSocket, Message>,
    mut urgent: mpsc::Receiver<Message>,
    mut bulk: mpsc::Receiver<Message>,
    writing: Arc<AtomicBool>,
) {
    loop {
        let message = tokio::select! {
            biased;
            Some(message) = urgent.recv() => message,
            Some(message) = bulk.recv() => message,
            else => break,
        };
        writing.store(true, Ordering::Relaxed);
        let mut next = Some(message);
        let mut bytes = 0;
        while let Some(message) = next {
            bytes += length(&message);
            let last = matches!(message, Message::Close(_));
            if !within_stall(sink.feed(message)).await || last {
                let _ = within_stall(sink.close()).await;
                return;
            }
            next = if bytes < FLUSH_BYTES { urgent.try_recv().or_else(|_| bulk.try_recv()).ok() } else { None };
        }
        if !within_stall(sink.flush()).await {
            return;
        }
        writing.store(false, Ordering::Relaxed);
    }
    let _ = within_stall(sink.close()).await;
}

/// A peer that reads nothing is waited for, but not for ever. What need not wait looks at no clock.
async fn within_stall<E>(work: impl Future<Output = Result<(), E>>) -> bool {
    let mut work = pin!(work);
    if let Some(done) = work.as_mut().now_or_never() {
        return done.is_ok();
    }
    let stall = Duration::from_millis(limits::WRITE_STALL_MILLIS_MAX);
    matches!(tokio::time::timeout(stall, work).await, Ok(Ok(())))
}

fn length(message: &Message) -> usize {
    match message {
        Message::Text(text) => text.len(),
        Message::Binary(bytes) | Message::Ping(bytes) | Message::Pong(bytes) => Bytes::len(bytes),
        Message::Close(_) => 0,
    }
}
