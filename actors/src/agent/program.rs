//! The rules of a program in a terminal: one run, and the end of it is recorded once.

use ropewalk_protocol::{EventBody, Rejection, RunEnded, RunFailed, RunId, RunStarted, SessionId};
use serde::{Deserialize, Serialize};

use crate::core::{Decision, Effect, Input};

/// Where the run is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Program {
    Asked(RunId),
    Running(RunId),
    Over,
}

impl Program {
    /// A program whose run was asked for.
    pub(super) fn asked(run: RunId) -> Self {
        Program::Asked(run)
    }

    /// Whether this is the run that has not ended.
    fn is_open(self, run: RunId) -> bool {
        self == Program::Asked(run) || self == Program::Running(run)
    }

    pub(super) fn decide(self, input: &Input) -> Result<Decision, Rejection> {
        Ok(match input {
            Input::Started { run, pid, start_ticks } if self == Program::Asked(*run) => {
                Decision::done(vec![RunStarted { run: *run, pid: *pid, start_ticks: *start_ticks }.into()])
            }
            Input::SpawnFailed { run, reason } if self == Program::Asked(*run) => {
                Decision::done(vec![RunFailed { run: *run, reason: reason.clone() }.into()])
            }
            Input::Gone { run, outcome, offset } if self.is_open(*run) => {
                Decision::done(vec![RunEnded { run: *run, outcome: outcome.clone(), offset: *offset }.into()])
            }
            Input::Agent(_) => {
                let message = "this agent is a program in a terminal: it takes keys, not prompts";
                return Err(Rejection::invalid(message).hint("Use `ropewalk send`, or `ropewalk attach`."));
            }
            _ => Decision::nothing(),
        })
    }

    pub(super) fn apply(&mut self, body: &EventBody) {
        match body {
            EventBody::RunStarted(started) => *self = Program::Running(started.run),
            EventBody::RunFailed(_) | EventBody::RunEnded(_) => *self = Program::Over,
            _ => {}
        }
    }

    pub(super) fn react(session: SessionId, body: &EventBody) -> Vec<Effect> {
        let run = match body {
            EventBody::RunFailed(failed) => failed.run,
            EventBody::RunEnded(ended) => ended.run,
            _ => return Vec::new(),
        };
        vec![Effect::TellSession { session, event: body.clone() }, Effect::RunSettled { run }]
    }
}

#[cfg(test)]
mod tests {
    use ropewalk_protocol::{AgentAdded, AgentId, RunId, RunOutcome, SessionId, Size, Stream, TerminalId, Timestamp};

    use super::super::AgentCore;
    use crate::core::{Core, Effect, Input, Moment};

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
        core.apply(Stream::Session(SESSION), Timestamp::default(), None, &added.into());
        core
    }

    fn after(mut core: AgentCore, input: &Input) -> AgentCore {
        for event in core.decide(input, &Moment::default()).unwrap().events {
            core.apply(Stream::Agent(SESSION, AGENT), Timestamp::default(), None, &event);
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
        assert_eq!(core.decide(&started, &Moment::default()).unwrap().events, []);
    }

    #[test]
    fn an_exit_that_is_reported_again_by_the_holder_is_recorded_once() {
        let core = after(asked(), &gone());
        assert_eq!(core.decide(&gone(), &Moment::default()).unwrap().events, []);
    }

    #[test]
    fn another_runs_exit_means_nothing_here() {
        let other = Input::Gone { run: RunId::from_bytes([9; 16]), outcome: RunOutcome::Exited { code: 0 }, offset: 0 };
        assert_eq!(asked().decide(&other, &Moment::default()).unwrap().events, []);
    }

    #[test]
    fn the_session_is_told_of_the_end() {
        let [event] = &asked().decide(&gone(), &Moment::default()).unwrap().events[..] else {
            panic!("one event");
        };
        let told = Effect::TellSession { session: SESSION, event: event.clone() };
        assert_eq!(asked().react(event), [told, Effect::RunSettled { run: RUN }]);
    }
}
