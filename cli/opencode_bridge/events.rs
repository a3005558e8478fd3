//! The server's events: `data:` lines, and an empty line after each event.

use std::time::Duration;

use ropewalk_protocol::limits;
use tokio::time::timeout;

use super::http::{AROUND_BYTES, Body, Http};

/// How long the server may be silent: it sends a heartbeat every ten seconds.
const SILENCE: Duration = Duration::from_secs(35);
/// How long the first event may take, which tells that nothing is missed from now on.
const FIRST_PATIENCE: Duration = Duration::from_secs(5);
/// The most that an event may have.
const EVENT_BYTES_MAX: usize = limits::AGENT_LINE_BYTES_MAX - AROUND_BYTES;

/// An event.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// What it says, on one line.
    Said(Vec<u8>),
    /// It was passed over: it is longer than any may be.
    TooLong(usize),
}

/// Events as they come.
pub(super) struct Events {
    body: Body,
    cut: Cutter,
    ready: std::collections::VecDeque<Event>,
}

impl Events {
    /// Listens: nothing that happens from now on is missed.
    pub(super) async fn listen(http: &Http) -> Result<Self, String> {
        let asked = async {
            let (status, body) = http.open("GET", "/event", None).await?;
            if status != 200 {
                return Err(format!("it answered {status} to who listens to its events"));
            }
            let mut events = Self { body, cut: Cutter::default(), ready: std::collections::VecDeque::new() };
            match events.next().await? {
                // It stays the first one.
                Some(first) => events.ready.push_front(first),
                None => return Err("it ended its events at once".to_owned()),
            }
            Ok(events)
        };
        timeout(FIRST_PATIENCE, asked).await.unwrap_or_else(|_| Err("it told no event".to_owned()))
    }

    /// The next one; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Event>, String> {
        while self.ready.is_empty() {
            match timeout(SILENCE, self.body.more()).await {
                Ok(Some(bytes)) => self.cut.push(&bytes?, |event| self.ready.push_back(event)),
                Ok(None) => return Ok(None),
                Err(_) => return Err("it is silent".to_owned()),
            }
        }
        Ok(self.ready.pop_front())
    }
}

/// Events out of bytes.
#[derive(Default)]
struct Cutter {
    line: Vec<u8>,
    data: Vec<u8>,
    /// How much of the event was thrown away, once it is too long.
    passed_over: usize,
}

impl Cutter {
    fn push(&mut self, bytes: &[u8], mut tell: impl FnMut(Event)) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.passed_over > 0 || self.line.len() + self.data.len() + part.len() > EVENT_BYTES_MAX {
                self.passed_over += self.line.len() + self.data.len() + part.len();
                self.data = Vec::new();
                // What is kept tells an empty line from others.
                let is_empty = self.line.is_empty() && matches!(part, b"\n" | b"\r\n");
                self.line.clear();
                match part.last() {
                    Some(b'\n') if is_empty => tell(Event::TooLong(std::mem::take(&mut self.passed_over))),
                    Some(b'\n') => {}
                    _ => self.line.push(b'.'),
                }
                continue;
            }
            self.line.extend_from_slice(part);
            if part.last() == Some(&b'\n') {
                self.line_is_whole(&mut tell);
            }
        }
    }

    fn line_is_whole(&mut self, tell: &mut impl FnMut(Event)) {
        let line = self.line.trim_ascii_end();
        if line.is_empty() {
            if !self.data.is_empty() {
                tell(Event::Said(std::mem::take(&mut self.data)));
            }
        } else if let Some(data) = line.strip_prefix(b"data:") {
            // Where JSON may have the end of a line it may have a space.
            if !self.data.is_empty() {
                self.data.push(b' ');
            }
            self.data.extend_from_slice(data.trim_ascii_start());
        }
        self.line.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(pieces: &[&[u8]]) -> Vec<Event> {
        let (mut cutter, mut events) = (Cutter::default(), Vec::new());
        pieces.iter().for_each(|piece| cutter.push(piece, |event| events.push(event)));
        events
    }

    #[test]
    fn events_are_the_same_however_the_bytes_come() {
        let whole = b": hello\n\nid: 7\ndata: {\"a\":1}\r\n\r\ndata: {\"b\":\ndata: 2}\n\ndata: cut";
        let expected = [Event::Said(br#"{"a":1}"#.to_vec()), Event::Said(br#"{"b": 2}"#.to_vec())];
        for at in 0..whole.len() {
            assert_eq!(said(&[&whole[..at], &whole[at..]]), expected, "cut at {at}");
        }
    }

    #[test]
    fn an_event_that_is_too_long_costs_no_memory_and_the_next_one_is_read() {
        let long = vec![b'x'; EVENT_BYTES_MAX];
        let (mut cutter, mut events) = (Cutter::default(), Vec::new());
        for piece in [b"data: ".as_slice(), &long, b"y", &long, b"\n", b"data: z\n", b"\n", b"data: 1\n\n"] {
            cutter.push(piece, |event| events.push(event));
            assert!(cutter.line.len() + cutter.data.len() <= EVENT_BYTES_MAX);
        }
        assert!(matches!(events[0], Event::TooLong(bytes) if bytes > 2 * EVENT_BYTES_MAX), "{events:?}");
        assert_eq!(events[1..], [Event::Said(b"1".to_vec())]);
    }
}
