//! A bare WebSocket over a Unix socket, either end: what measurements of the wire are read with, and held against. It
//! knows no frame of the contract, so what it costs is what the WebSocket costs.

use std::io;

use bytes::Bytes;
use futures_util::{FutureExt, SinkExt, StreamExt};
use ropewalk_protocol::limits;
use tokio::net::UnixStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::http::header::SEC_WEBSOCKET_PROTOCOL;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message};

/// What came in one frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BareFrame {
    /// Text, which is UTF-8.
    Text(Bytes),
    /// Anything.
    Binary(Bytes),
}

/// What one end mostly reads, which says how much it reads at once. The buffer is cleared before each read, so that a large
/// one costs whoever reads little.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reads {
    /// Small frames, one at a time.
    Answers,
    /// What happened just now, as it comes.
    Live,
    /// Large frames, one behind the other.
    Bulk,
}

/// Longer than an answer to a command.
const ANSWER_BYTES: usize = 1024;
const LIVE_BYTES: usize = 16 * 1024;

/// One end of a WebSocket.
#[derive(Debug)]
pub struct Bare(WebSocketStream<UnixStream>);

impl Bare {
    /// Asks the other end for a WebSocket, of this subprotocol if one is named.
    ///
    /// # Errors
    /// The stream broke, or the other end refuses.
    pub async fn connect(stream: UnixStream, subprotocol: Option<&'static str>, reads: Reads) -> io::Result<Self> {
        let mut request = "ws://localhost/v1".into_client_request().map_err(io::Error::other)?;
        if let Some(subprotocol) = subprotocol {
            request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(subprotocol));
        }
        let connected = tokio_tungstenite::client_async_with_config(request, stream, Some(config(reads))).await;
        connected.map(|(socket, _)| Self(socket)).map_err(failed)
    }

    /// Waits until the other end asks for a WebSocket.
    ///
    /// # Errors
    /// The stream broke, or the other end asks for something else.
    pub async fn accept(stream: UnixStream, reads: Reads) -> io::Result<Self> {
        tokio_tungstenite::accept_async_with_config(stream, Some(config(reads))).await.map(Self).map_err(failed)
    }

    /// Hands a text frame over; it may wait for [`Bare::flush`].
    ///
    /// # Errors
    /// The connection broke.
    pub async fn feed_text(&mut self, text: String) -> io::Result<()> {
        self.0.feed(Message::Text(text.into())).await.map_err(failed)
    }

    /// Hands a binary frame over; it may wait for [`Bare::flush`].
    ///
    /// # Errors
    /// The connection broke.
    pub async fn feed_binary(&mut self, bytes: Bytes) -> io::Result<()> {
        self.0.feed(Message::Binary(bytes)).await.map_err(failed)
    }

    /// Writes what was handed over.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn flush(&mut self) -> io::Result<()> {
        self.0.flush().await.map_err(failed)
    }

    /// The next frame; `None` when the other end closed.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn next(&mut self) -> io::Result<Option<BareFrame>> {
        loop {
            match self.0.next().await {
                None => return Ok(None),
                Some(message) => {
                    if let Some(frame) = frame(message.map_err(failed)?) {
                        return Ok(Some(frame));
                    }
                }
            }
        }
    }

    /// The next frame, if it is here already.
    ///
    /// # Errors
    /// The connection broke.
    pub fn next_ready(&mut self) -> io::Result<Option<BareFrame>> {
        self.next().now_or_never().unwrap_or(Ok(None))
    }
}

/// Pings are answered by the WebSocket itself.
fn frame(message: Message) -> Option<BareFrame> {
    match message {
        Message::Text(text) => Some(BareFrame::Text(text.into())),
        Message::Binary(bytes) => Some(BareFrame::Binary(bytes)),
        Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_) => None,
    }
}

fn config(reads: Reads) -> WebSocketConfig {
    let max = Some(limits::FRAME_BYTES_MAX);
    let config = WebSocketConfig::default().max_message_size(max).max_frame_size(max);
    match reads {
        Reads::Answers => config.read_buffer_size(ANSWER_BYTES),
        Reads::Live => config.read_buffer_size(LIVE_BYTES),
        Reads::Bulk => config,
    }
}

fn failed(error: tungstenite::Error) -> io::Error {
    match error {
        tungstenite::Error::Io(error) => error,
        other => io::Error::other(other),
    }
}
