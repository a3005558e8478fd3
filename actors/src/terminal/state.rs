//! A terminal's rules: a size is recorded where it changes, what is lost of the stream once, and the stream closes once.

use ropewalk_protocol::{
    EventBody, Rejection, RunAsked, SessionId, Size, Stream, TerminalClosed, TerminalId, TerminalLost, TerminalResized,
    Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::core::{Core, Decision, Effect, Input, Moment};

/// What a terminal decides on.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TerminalCore {
    session: SessionId,
    id: TerminalId,
    size: Option<Size>,
    /// Where the newest size holds from.
    sized_at: u64,
    /// What was lost last, with what was lost right before it: the holder tells it again to a daemon that has nothing behind it.
    lost: (u64, u64),
    closed: bool,
}

impl TerminalCore {
    pub(crate) fn new(session: SessionId, id: TerminalId) -> Self {
        Self { session, id, size: None, sized_at: 0, lost: (0, 0), closed: false }
    }

    /// The stream that it owns.
    pub(crate) fn stream(&self) -> Stream {
        Stream::Terminal(self.session, self.id)
    }

    fn is_of(&self, run: &RunAsked) -> bool {
        run.output == self.id || run.errors == self.id
    }
}

impl Core for TerminalCore {
    fn decide(&self, input: &Input, _: &Moment) -> Result<Decision, Rejection> {
        let Some(now) = self.size else {
            return Err(Rejection::not_found(format_args!("terminal {} in session {}", self.id, self.session)));
        };
        Ok(match input {
            // A size that comes late, after one that was asked for later, is not the terminal's any more.
            Input::Resized { size, offset } if *size != now && *offset >= self.sized_at && !self.closed => {
                Decision::done(vec![TerminalResized { size: *size, offset: *offset }.into()])
            }
            Input::Closed { offset } if !self.closed => Decision::done(vec![TerminalClosed { offset: *offset }.into()]),
            Input::Lost { from, to, reason } if !self.closed && (*from < self.lost.0 || *to > self.lost.1) => {
                Decision::done(vec![TerminalLost { from: *from, to: *to, reason: reason.clone() }.into()])
            }
            _ => Decision::nothing(),
        })
    }

    fn apply(&mut self, stream: Stream, _: Timestamp, _: Option<&str>, body: &EventBody) {
        match (stream, body) {
            (Stream::Session(_), EventBody::AgentAdded(added)) if added.terminal == self.id => {
                self.size = Some(added.size)
            }
            // A byte stream without a screen: what an agent writes.
            (Stream::Session(_), EventBody::AgentJoined(joined)) if self.is_of(&joined.run) => {
                self.size = Some(Size::DEFAULT);
            }
            (Stream::Agent(..), EventBody::RunAsked(asked)) if self.is_of(asked) => self.size = Some(Size::DEFAULT),
            (Stream::Terminal(_, terminal), EventBody::TerminalResized(resized)) if terminal == self.id => {
                (self.size, self.sized_at) = (Some(resized.size), resized.offset);
            }
            (Stream::Terminal(_, terminal), EventBody::TerminalLost(lost)) if terminal == self.id => {
                let follows = (self.lost.0..=self.lost.1).contains(&lost.from);
                self.lost = (if follows { self.lost.0 } else { lost.from }, lost.to);
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

#[cfg(test)]
mod tests {
    use ropewalk_protocol::{AgentAdded, AgentId, RunId};

    use super::*;

    const SESSION: SessionId = SessionId::from_bytes([1; 16]);
    const TERMINAL: TerminalId = TerminalId::from_bytes([4; 16]);

    fn resized(cols: u16, offset: u64) -> Input {
        Input::Resized { size: Size { cols, rows: 9 }, offset }
    }

    fn open() -> TerminalCore {
        let mut core = TerminalCore::new(SESSION, TERMINAL);
        let added = AgentAdded {
            agent: AgentId::from_bytes([2; 16]),
            provider: "terminal".into(),
            argv: vec!["sh".into()],
            directory: "/".into(),
            run: RunId::from_bytes([3; 16]),
            terminal: TERMINAL,
            size: Size::DEFAULT,
        };
        core.apply(Stream::Session(SESSION), Timestamp::default(), None, &added.into());
        core
    }

    /// The disk failed as one size was recorded; it was reported again when the next one had been.
    #[test]
    fn regression_a_size_that_is_reported_late_does_not_replace_the_one_after_it() {
        let mut core = open();
        for event in core.decide(&resized(50, 100), &Moment::default()).unwrap().events {
            core.apply(Stream::Terminal(SESSION, TERMINAL), Timestamp::default(), None, &event);
        }
        assert_eq!(core.decide(&resized(60, 40), &Moment::default()).unwrap().events, []);
        assert_eq!(core.decide(&resized(60, 100), &Moment::default()).unwrap().events.len(), 1);
    }

    #[test]
    fn what_is_lost_is_recorded_once_and_more_of_it_again() {
        let mut core = open();
        let mut told = |from, to| {
            let events =
                core.decide(&Input::Lost { from, to, reason: "gone".into() }, &Moment::default()).unwrap().events;
            events.iter().for_each(|event| {
                core.apply(Stream::Terminal(SESSION, TERMINAL), Timestamp::default(), None, event);
            });
            events.len()
        };
        assert_eq!(
            [(10, 20), (10, 20), (12, 20), (8, 20), (20, 30), (20, 30), (8, 30), (40, 50)]
                .map(|(from, to)| told(from, to)),
            [1, 0, 0, 1, 1, 0, 0, 1]
        );
    }
}
