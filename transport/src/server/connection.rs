//! One connection: reads frames, hands requests on, and notices when the other side is gone.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{Message, WebSocket};
use futures_util::StreamExt;
use futures_util::stream::SplitStream;
use ropewalk_protocol::{Code, Rejection, limits};
use tokio::time::{Instant, sleep_until};

use super::event_frames::EventFrames;
use super::outgoing::{self, Gone, Outgoing};
use super::pumps::heartbeat;
use super::requests::Requests;
use super::seats::Seat;
use crate::backend::{Backend, Wire};

/// WebSocket close codes, RFC 6455 §7.4.1.
const CLOSE_NORMAL: u16 = 1000;
const CLOSE_POLICY: u16 = 1008;
const CLOSE_TOO_LARGE: u16 = 1009;

/// Serves a connection until it ends. `authenticated`: it has already proved who it is.
pub(super) async fn run<B: Backend>(
    socket: WebSocket,
    backend: B,
    wire: Wire,
    authenticated: bool,
    frames: Arc<EventFrames>,
    seat: Arc<Seat>,
) {
    let (sink, stream) = socket.split();
    let (outgoing, writer) = outgoing::start(sink);
    let requests = Requests::new(backend, wire, authenticated, frames, outgoing.clone());
    let mut connection = Connection { stream, outgoing, requests, seat };
    if let Err(farewell) = connection.serve().await {
        connection.outgoing.close(farewell.code, &farewell.reason).await.ok();
    }
    // Pumps and answers in flight hold senders; they are stopped with the requests, and then the writer ends.
    drop(connection);
    writer.await.ok();
}

/// Why the server ends a connection.
struct Farewell {
    code: u16,
    reason: String,
}

impl From<Gone> for Farewell {
    fn from(_: Gone) -> Self {
        Farewell { code: CLOSE_NORMAL, reason: String::new() }
    }
}

struct Connection<B: Backend> {
    stream: SplitStream<WebSocket>,
    outgoing: Outgoing,
    requests: Requests<B>,
    seat: Arc<Seat>,
}

impl<B: Backend> Connection<B> {
    async fn serve(&mut self) -> Result<(), Farewell> {
        let opened = Instant::now();
        let hello_by = opened + Duration::from_millis(limits::HELLO_MILLIS_MAX);
        let heartbeat_every = Duration::from_millis(limits::HEARTBEAT_MILLIS);
        let silence_max = Duration::from_millis(limits::SILENCE_MILLIS_MAX);
        let mut heard = opened;
        // One timer for as long as the connection lasts: one for each frame would be work for each command.
        let mut wake = pin!(sleep_until(hello_by));
        loop {
            let message = tokio::select! {
                biased;
                message = self.stream.next() => message,
                () = &mut wake => {
                    if !self.requests.greeted() {
                        let reason = "no hello in time".to_owned();
                        return Err(Farewell { code: CLOSE_POLICY, reason });
                    }
                    if heard.elapsed() > silence_max && !self.outgoing.is_writing() {
                        tracing::info!(
                            silent_millis = silence_max.as_millis(),
                            "a connection is given up: its peer is silent"
                        );
                        return Ok(());
                    }
                    wake.as_mut().reset(Instant::now() + heartbeat_every);
                    self.beat();
                    continue;
                }
            };
            match message {
                None => return Ok(()),
                Some(Ok(message)) => {
                    heard = Instant::now();
                    let was_greeted = self.requests.greeted();
                    self.take(message).await?;
                    if !was_greeted && self.requests.greeted() {
                        self.seat.prove();
                        wake.as_mut().reset(opened + heartbeat_every);
                    }
                }
                Some(Err(error)) => return Err(self.broken(&error).await),
            }
        }
    }

    /// Sends a heartbeat, and a ping that the peer must answer, unless as many frames wait as may: those show as well that the
    /// daemon lives.
    fn beat(&self) {
        self.outgoing.urgent_or_never(Message::Ping(bytes::Bytes::new()));
        self.outgoing.urgent_or_never(heartbeat(self.requests.head()));
    }

    async fn take(&mut self, message: Message) -> Result<(), Farewell> {
        match message {
            Message::Text(text) => match self.requests.text(&text).await {
                Ok(()) => Ok(()),
                Err(rejection) => {
                    let reason = rejection.code.name();
                    Err(Farewell { code: CLOSE_POLICY, reason })
                }
            },
            Message::Binary(frame) => Ok(self.requests.binary(frame).await?),
            Message::Close(_) => Err(Gone.into()),
            Message::Ping(_) | Message::Pong(_) => Ok(()),
        }
    }

    async fn broken(&self, error: &axum::Error) -> Farewell {
        let text = error.to_string();
        if text.contains("too long") || text.contains("too big") || text.contains("Space limit") {
            let max = limits::FRAME_BYTES_MAX;
            let rejection = Rejection::new(Code::TooLarge, format!("a frame is over {max} bytes"));
            tracing::warn!(code = "too_large", "a frame over the bound was refused");
            self.outgoing.refused(None, rejection).await.ok();
            return Farewell { code: CLOSE_TOO_LARGE, reason: "too_large".to_owned() };
        }
        tracing::debug!(error = %text, "a connection broke");
        Gone.into()
    }
}
