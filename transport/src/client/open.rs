//! Making a connection: dial, upgrade, hello.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use ropewalk_protocol::{
    ErrorObject, Hello, Request, RequestMethod, Response, SUBPROTOCOL, SUBPROTOCOL_BINCODE, TerminalFrame,
    TerminalFrameKind, TerminalId, Welcome, limits,
};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::http::header::{AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message};

use super::dial::{Dial, Io};
use super::handle::{ClientError, Options};

const DIAL_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) type Socket = WebSocketStream<Box<dyn Io>>;

/// Connects and says hello.
pub(super) async fn open(dial: &Dial, options: &Options) -> Result<(Socket, Welcome), ClientError> {
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
        .max_frame_size(Some(limits::FRAME_BYTES_MAX))
        .read_buffer_size(limits::READ_BUFFER_BYTES);
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

pub(super) fn request_frame(id: u64, method: RequestMethod) -> Message {
    let request = Request::new(id, method);
    Message::Text(serde_json::to_string(&request).expect("our own types always encode").into())
}

pub(super) fn input_frame(terminal: TerminalId, number: u64, bytes: Bytes) -> Message {
    Message::Binary(TerminalFrame { kind: TerminalFrameKind::Input, terminal, number, bytes }.encode())
}
