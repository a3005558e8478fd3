//! HTTP/1.1 to the server on loopback: a connection for each request.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper_util::rt::TokioIo;
use ropewalk_protocol::limits;
use tokio::net::TcpStream;

/// Of a line with an answer in it, what is not the answer.
pub(super) const AROUND_BYTES: usize = 64 * 1024;

/// The way to the server.
pub(super) struct Http {
    address: SocketAddr,
    authorization: String,
}

/// What the server answered.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Bytes,
}

impl Http {
    pub(super) fn new(address: SocketAddr, user: &str, password: &str) -> Self {
        let authorization = format!("Basic {}", base64(format!("{user}:{password}").as_bytes()));
        Self { address, authorization }
    }

    /// Asks, and waits for the whole answer. The error is a sentence.
    pub(super) async fn ask(&self, method: &str, path: &str, body: Option<&str>) -> Result<Answer, String> {
        let (status, Body(incoming)) = self.open(method, path, body).await?;
        let bounded = Limited::new(incoming, limits::AGENT_LINE_BYTES_MAX - AROUND_BYTES);
        let body = bounded.collect().await.map_err(|error| format!("the answer cannot be read: {error}"))?.to_bytes();
        Ok(Answer { status, body })
    }

    /// Asks, and gives the answer's body as it comes.
    pub(super) async fn open(&self, method: &str, path: &str, body: Option<&str>) -> Result<(u16, Body), String> {
        let request = hyper::Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, self.address.to_string())
            .header(AUTHORIZATION, &self.authorization)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body.unwrap_or_default().to_owned())))
            .map_err(|error| format!("this is no request: {error}"))?;
        let connection = TcpStream::connect(self.address).await;
        let connection = connection.map_err(|error| format!("opencode cannot be reached: {error}"))?;
        let broken = |error: hyper::Error| format!("the connection to opencode broke: {error}");
        let (mut sender, driver) = http1::handshake(TokioIo::new(connection)).await.map_err(broken)?;
        // It ends with the answer's body, or with the runtime; whoever reads the body learns of its errors.
        tokio::spawn(driver);
        let response = sender.send_request(request).await.map_err(broken)?;
        Ok((response.status().as_u16(), Body(response.into_body())))
    }
}

/// What an answer says, as it comes.
pub(super) struct Body(Incoming);

impl Body {
    /// The next bytes; `None` at the end.
    pub(super) async fn more(&mut self) -> Option<Result<Bytes, String>> {
        loop {
            match self.0.frame().await? {
                Ok(frame) => {
                    if let Ok(bytes) = frame.into_data() {
                        return Some(Ok(bytes));
                    }
                }
                Err(error) => return Some(Err(error.to_string())),
            }
        }
    }
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = (0..3).fold(0_u32, |bits, at| (bits << 8) | u32::from(chunk.get(at).copied().unwrap_or(0)));
        for at in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * at)) as usize & 63];
            text.push(if at <= chunk.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::base64;

    #[test]
    fn base64_is_that_of_rfc_4648() {
        let known =
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE=")];
        for (bytes, text) in known {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }
}
