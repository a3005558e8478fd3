//! The lines on stdin and stdout.

use std::collections::BTreeMap;
use std::io;

use bytes::Bytes;
use ropewalk_protocol::limits;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Stdin, Stdout};
use tokio::sync::Mutex;

use super::events::Event;
use super::http::Answer;

/// Of text that is no JSON, as much as is told.
const TEXT_BYTES_MAX: usize = 64 * 1024;

/// What is asked of the server.
#[derive(Debug, Deserialize)]
pub(super) struct Request {
    pub(super) id: String,
    pub(super) method: String,
    pub(super) path: String,
    #[serde(default)]
    pub(super) name: Option<String>,
    #[serde(default)]
    pub(super) body: Option<Box<RawValue>>,
}

/// Requests as they come.
pub(super) struct Input(BufReader<Stdin>);

impl Default for Input {
    fn default() -> Self {
        Self(BufReader::new(tokio::io::stdin()))
    }
}

impl Input {
    /// The next one, or why a line is none; `None` at the end.
    pub(super) async fn next(&mut self) -> io::Result<Option<Result<Request, String>>> {
        let mut line = Vec::new();
        let mut passed_over = 0;
        loop {
            let bytes = self.0.fill_buf().await?;
            if bytes.is_empty() {
                // Half a line is no request: whoever wrote it is gone.
                return Ok(None);
            }
            let end = bytes.iter().position(|byte| *byte == b'\n');
            let part = &bytes[..end.unwrap_or(bytes.len())];
            if passed_over > 0 || line.len() + part.len() > limits::AGENT_LINE_BYTES_MAX {
                passed_over += line.len() + part.len();
                line = Vec::new();
            } else {
                line.extend_from_slice(part);
            }
            let taken = part.len() + usize::from(end.is_some());
            self.0.consume(taken);
            if end.is_some() && passed_over > 0 {
                return Ok(Some(Err(format!("a request of {passed_over} bytes is longer than any may be"))));
            }
            if end.is_some() {
                return Ok(Some(serde_json::from_slice(&line).map_err(|error| format!("this is no request: {error}"))));
            }
        }
    }
}

/// Lines to tell. A line is written whole before the next one begins.
pub(super) struct Lines(Mutex<Writer>);

struct Writer {
    stdout: Stdout,
    /// A line was given up in its middle: at the end of the process, while nobody reads.
    is_within: bool,
}

impl Default for Lines {
    fn default() -> Self {
        Self(Mutex::new(Writer { stdout: tokio::io::stdout(), is_within: false }))
    }
}

impl Lines {
    pub(super) async fn ready(&self, health: &Bytes) -> io::Result<()> {
        #[derive(Serialize)]
        struct Ready {
            ready: Box<RawValue>,
        }
        self.value(&Ready { ready: json_of(health) }).await
    }

    pub(super) async fn event(&self, event: Event) -> io::Result<()> {
        #[derive(Serialize)]
        struct Said {
            event: Box<RawValue>,
        }
        match event {
            Event::Said(data) => self.value(&Said { event: json_of(&data) }).await,
            Event::TooLong(bytes) => {
                let failed = format!("an event of {bytes} bytes was passed over: it is longer than any may be");
                self.value(&serde_json::json!({ "failed": failed })).await
            }
        }
    }

    pub(super) async fn answer(&self, id: &str, answer: &Result<Answer, String>) -> io::Result<()> {
        #[derive(Serialize)]
        struct Answered<'a> {
            id: &'a str,
            #[serde(flatten)]
            answer: Told<'a>,
        }
        self.value(&Answered { id, answer: told(answer) }).await
    }

    pub(super) async fn snapshot(&self, what: &str, session: &str, answer: &Result<Answer, String>) -> io::Result<()> {
        #[derive(Serialize)]
        struct Snapshot<'a> {
            snapshot: &'a str,
            session: &'a str,
            #[serde(flatten)]
            answer: Told<'a>,
        }
        self.value(&Snapshot { snapshot: what, session, answer: told(answer) }).await
    }

    pub(super) async fn value(&self, value: &impl Serialize) -> io::Result<()> {
        let mut line = serde_json::to_vec(value)?;
        line.push(b'\n');
        let mut writer = self.0.lock().await;
        if std::mem::replace(&mut writer.is_within, true) {
            writer.stdout.write_all(b"\n").await?;
        }
        writer.stdout.write_all(&line).await?;
        writer.is_within = false;
        writer.stdout.flush().await
    }
}

/// What became of a request.
#[derive(Serialize)]
struct Told<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failed: Option<&'a str>,
}

fn told(answer: &Result<Answer, String>) -> Told<'_> {
    match answer {
        Ok(Answer { status, body }) => Told { status: Some(*status), body: Some(json_of(body)), failed: None },
        Err(failed) => Told { status: None, body: None, failed: Some(failed) },
    }
}

/// The body with the id of the message that it begins. What is no object is left as it is.
pub(super) fn named(body: &RawValue, message: &str) -> Box<RawValue> {
    let Ok(mut fields) = serde_json::from_str::<BTreeMap<String, Box<RawValue>>>(body.get()) else {
        return body.to_owned();
    };
    if let Ok(message) = serde_json::value::to_raw_value(message) {
        fields.insert("messageID".to_owned(), message);
    }
    serde_json::value::to_raw_value(&fields).unwrap_or_else(|_| body.to_owned())
}

/// JSON on one line; what is none becomes text, or as much of it as is told.
fn json_of(bytes: &[u8]) -> Box<RawValue> {
    // The end of a line is never within a JSON string.
    let one_line = bytes.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }).collect();
    let json = String::from_utf8(one_line).ok().and_then(|text| RawValue::from_string(text).ok());
    json.or_else(|| {
        let text = String::from_utf8_lossy(&bytes[..bytes.len().min(TEXT_BYTES_MAX)]);
        let value = if bytes.is_empty() { serde_json::Value::Null } else { text.into() };
        RawValue::from_string(value.to_string()).ok()
    })
    .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_json_on_one_line_whatever_it_was() {
        assert_eq!(json_of(b"{\n \"a\": 1\r\n}").get(), "{  \"a\": 1  }");
        assert_eq!(json_of(b"").get(), "null");
        assert_eq!(json_of(b"<html>\n\"").get(), r#""<html>\n\"""#);
        assert_eq!(json_of(b"\xff").get(), "\"\u{fffd}\"");
        assert!(json_of(&vec![b'x'; 2 * TEXT_BYTES_MAX]).get().len() < TEXT_BYTES_MAX + 3);
    }

    #[test]
    fn what_became_of_a_request_is_told_beside_its_name() {
        let answered = |answer| serde_json::to_string(&told(&answer)).unwrap();
        let body = Bytes::from_static(b"true");
        assert_eq!(answered(Ok(Answer { status: 200, body })), r#"{"status":200,"body":true}"#);
        assert_eq!(answered(Ok(Answer { status: 204, body: Bytes::new() })), r#"{"status":204,"body":null}"#);
        assert_eq!(answered(Err("why".to_owned())), r#"{"failed":"why"}"#);
    }
}
