//! An agent's rules: one run at a time, and the end of a run is recorded once.

use ropewalk_protocol::{AgentId, EventBody, Rejection, RunEnded, RunFailed, RunId, RunStarted, SessionId, Stream};
use serde::{Deserialize, Serialize};

use crate::core::{Core, Decision, Effect, Input};

/// Where the newest run is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Run {
    None,
    Asked(RunId),
    Running(RunId),
    Over,
}

/// What an agent decides on.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AgentCore {
    session: SessionId,
    id: AgentId,
    run: Run,
}

impl AgentCore {
    pub(crate) fn new(session: SessionId, id: AgentId) -> Self {
        Self { session, id, run: Run::None }
    }

    /// The stream that it owns.
    pub(crate) fn stream(&self) -> Stream {
        Stream::Agent(self.session, self.id)
    }

    /// Whether this is the run that has not ended.
    fn is_open(&self, run: RunId) -> bool {
        self.run == Run::Asked(run) || self.run == Run::Running(run)
    }
}

impl Core for AgentCore {
    fn decide(&self, input: &Input) -> Result<Decision, Rejection> {
        Ok(match input {
            Input::Started { run, pid, start_ticks } if self.run == Run::Asked(*run) => {
                Decision::done(vec![RunStarted { run: *run, pid: *pid, start_ticks: *start_ticks }.into()])
            }
            Input::SpawnFailed { run, reason } if self.run == Run::Asked(*run) => {
                Decision::done(vec![RunFailed { run: *run, reason: reason.clone() }.into()])
            }
            Input::Gone { run, outcome, offset } if self.is_open(*run) => {
                Decision::done(vec![RunEnded { run: *run, outcome: outcome.clone(), offset: *offset }.into()])
            }
            _ => Decision::nothing(),
        })
    }

    fn apply(&mut self, stream: Stream, body: &EventBody) {
        match (stream, body) {
            (Stream::Session(_), EventBody::AgentAdded(added)) if added.agent == self.id => {
                self.run = Run::Asked(added.run)
            }
            (Stream::Agent(_, agent), body) if agent == self.id => match body {
                EventBody::RunStarted(started) => self.run = Run::Running(started.run),
                EventBody::RunFailed(_) | EventBody::RunEnded(_) => self.run = Run::Over,
                _ => {}
            },
            _ => {}
        }
    }

    fn react(&self, body: &EventBody) -> Vec<Effect> {
        match body {
            EventBody::RunFailed(failed) => vec![
                Effect::TellSession { session: self.session, event: body.clone() },
                Effect::RunSettled { run: failed.run },
            ],
            EventBody::RunEnded(ended) => vec![
                Effect::TellSession { session: self.session, event: body.clone() },
                Effect::RunSettled { run: ended.run },
            ],
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use ropewalk_protocol::{AgentAdded, RunOutcome, Size, TerminalId};

    use super::*;

    const SESSION: SessionId = SessionId::from_bytes([1; 16]);
    const AGENT: AgentId = AgentId::from_bytes([2; 16]);
    const RUN: RunId = RunId::from_bytes([3; 16]);

    fn asked() -> AgentCore {
        let mut core = AgentCore::new(SESSION, AGENT);
        let added = AgentAdded {
            agent: AGENT,
            provider: "terminal".into(),
            argv: vec!["sh".into()],
            directory: "/".into(),
            run: RUN,
            terminal: TerminalId::from_bytes([4; 16]),
            size: Size::DEFAULT,
        };
        core.apply(Stream::Session(SESSION), &added.into());
        core
    }

    fn after(mut core: AgentCore, input: &Input) -> AgentCore {
        for event in core.decide(input).unwrap().events {
            core.apply(Stream::Agent(SESSION, AGENT), &event);
        }
        core
    }

    fn gone() -> Input {
        Input::Gone { run: RUN, outcome: RunOutcome::Exited { code: 3 }, offset: 7 }
    }

    #[test]
    fn a_start_that_is_reported_twice_is_recorded_once() {
        let started = Input::Started { run: RUN, pid: 9, start_ticks: 1 };
        let core = after(asked(), &started);
        assert_eq!(core.decide(&started).unwrap().events, []);
    }

    #[test]
    fn an_exit_that_is_reported_again_by_the_holder_is_recorded_once() {
        let core = after(asked(), &gone());
        assert_eq!(core.decide(&gone()).unwrap().events, []);
    }

    #[test]
    fn another_runs_exit_means_nothing_here() {
        let other = Input::Gone { run: RunId::from_bytes([9; 16]), outcome: RunOutcome::Exited { code: 0 }, offset: 0 };
        assert_eq!(asked().decide(&other).unwrap().events, []);
    }

    #[test]
    fn the_session_is_told_of_the_end() {
        let [event] = &asked().decide(&gone()).unwrap().events[..] else {
            panic!("one event");
        };
        let told = Effect::TellSession { session: SESSION, event: event.clone() };
        assert_eq!(asked().react(event), [told, Effect::RunSettled { run: RUN }]);
    }
}
