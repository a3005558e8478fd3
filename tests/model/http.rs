//! As much of HTTP/1.1 as the agents speak to a model: one request per connection.

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

/// A request with all of its body.
pub(crate) struct Request {
    pub(crate) method: String,
    /// Without the query.
    pub(crate) path: String,
    pub(crate) body: Value,
}

/// Reads a request; none, if the client went before it was whole.
pub(crate) async fn read(from: &mut BufReader<OwnedReadHalf>) -> Option<Request> {
    let first = line(from).await?;
    let mut words = first.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?);
    let path = target.split('?').next()?.to_owned();
    let (mut length, mut chunked) = (0, false);
    loop {
        let header = line(from).await?.to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        let (name, value) = header.split_once(':')?;
        match name {
            "content-length" => length = value.trim().parse().ok()?,
            "transfer-encoding" => chunked = value.trim() == "chunked",
            _ => {}
        }
    }
    let mut bytes = Vec::new();
    if chunked {
        loop {
            let size = usize::from_str_radix(&line(from).await?, 16).ok()?;
            bytes.extend(exactly(from, size).await?);
            line(from).await?;
            if size == 0 {
                break;
            }
        }
    } else {
        bytes = exactly(from, length).await?;
    }
    Some(Request { method, path, body: serde_json::from_slice(&bytes).unwrap_or_default() })
}

async fn line(from: &mut BufReader<OwnedReadHalf>) -> Option<String> {
    let mut text = String::new();
    let count = from.read_line(&mut text).await.ok()?;
    (count > 0).then(|| text.trim_end().to_owned())
}

async fn exactly(from: &mut BufReader<OwnedReadHalf>, count: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; count];
    from.read_exact(&mut bytes).await.ok()?;
    Some(bytes)
}

/// Resolves when the client has closed its connection: it has nothing more to say on it.
pub(crate) async fn gone(from: &mut BufReader<OwnedReadHalf>) {
    let mut byte = [0];
    while from.read(&mut byte).await.is_ok_and(|count| count > 0) {}
}

/// A whole answer.
pub(crate) async fn answer(
    to: &mut OwnedWriteHalf,
    status: u16,
    headers: &[(String, String)],
    body: &Value,
) -> std::io::Result<()> {
    let body = body.to_string();
    let more: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status} Scripted\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n{more}connection: close\r\n\r\n"
    );
    to.write_all((head + &body).as_bytes()).await
}

/// The start of a stream of server-sent events.
pub(crate) async fn begin(to: &mut OwnedWriteHalf) -> std::io::Result<()> {
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n";
    to.write_all(head.as_bytes()).await
}

/// Events of a stream, as one chunk.
pub(crate) async fn more(to: &mut OwnedWriteHalf, events: &str) -> std::io::Result<()> {
    if events.is_empty() {
        return Ok(());
    }
    to.write_all(format!("{:x}\r\n{events}\r\n", events.len()).as_bytes()).await
}

/// The last events: together with the end, because clients close at the last event that they know.
pub(crate) async fn end(to: &mut OwnedWriteHalf, events: &str) -> std::io::Result<()> {
    to.write_all(format!("{:x}\r\n{events}\r\n0\r\n\r\n", events.len()).as_bytes()).await
}
