//! A terminal's rules: a size is recorded where it changes, and the stream closes once.

use ropewalk_protocol::{EventBody, Rejection, SessionId, Size, Stream, TerminalClosed, TerminalId, TerminalResized};
use serde::{Deserialize, Serialize};

use crate::core::{Core, Decision, Effect, Input};

/// What a terminal decides on.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TerminalCore {
    session: SessionId,
    id: TerminalId,
    size: Option<Size>,
    closed: bool,
}

impl TerminalCore {
    pub(crate) fn new(session: SessionId, id: TerminalId) -> Self {
        Self { session, id, size: None, closed: false }
    }

    /// The stream that it owns.
    pub(crate) fn stream(&self) -> Stream {
        Stream::Terminal(self.session, self.id)
    }
}

impl Core for TerminalCore {
    fn decide(&self, input: &Input) -> Result<Decision, Rejection> {
        let Some(now) = self.size else {
            return Err(Rejection::not_found(format_args!("terminal {} in session {}", self.id, self.session)));
        };
        Ok(match input {
            Input::Resized { size, offset } if *size != now && !self.closed => {
                Decision::done(vec![TerminalResized { size: *size, offset: *offset }.into()])
            }
            Input::Closed { offset } if !self.closed => Decision::done(vec![TerminalClosed { offset: *offset }.into()]),
            _ => Decision::nothing(),
        })
    }

    fn apply(&mut self, stream: Stream, body: &EventBody) {
        match (stream, body) {
            (Stream::Session(_), EventBody::AgentAdded(added)) if added.terminal == self.id => {
                self.size = Some(added.size)
            }
            (Stream::Terminal(_, terminal), EventBody::TerminalResized(resized)) if terminal == self.id => {
                self.size = Some(resized.size);
            }
            (Stream::Terminal(_, terminal), EventBody::TerminalClosed(_)) if terminal == self.id => self.closed = true,
            _ => {}
        }
    }

    fn react(&self, body: &EventBody) -> Vec<Effect> {
        match body {
            EventBody::TerminalClosed(_) => vec![Effect::TerminalSettled { terminal: self.id }],
            _ => Vec::new(),
        }
    }
}
