//! How long a turn is followed: the whole of it, its silences, and what is waited for once it was cancelled. Pure.

use std::time::{Duration, Instant};

use ropewalk_protocol::limits;

/// What is waited for the end of a turn that was asked to be cancelled: what an agent has to obey, then after SIGINT, the signals
/// that follow, and some air.
const CANCEL_WAIT: Duration =
    Duration::from_millis(2 * limits::CANCEL_GRACE_MILLIS + 2 * limits::END_GRACE_MILLIS + 4000);
/// What may still follow when all seems to be over.
const GONE_WAIT: Duration = Duration::from_secs(2);

/// Moments at which following ends, or changes.
#[derive(Debug)]
pub(super) struct Clocks {
    idle: Option<Duration>,
    deadline: Option<Instant>,
    silent: Option<Instant>,
    gone: Option<(Instant, String)>,
    given_up: Option<Instant>,
    why: String,
}

/// What is over.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Passed {
    /// The turn is to be cancelled: why.
    TimedOut(String),
    /// Nothing follows any more: why.
    Gone(String),
    /// The cancelled turn did not end. Why it was cancelled.
    GivenUp(String),
}

impl Clocks {
    pub(super) fn new(timeout: Option<Duration>, idle: Option<Duration>, began: Instant, now: Instant) -> Self {
        let deadline = timeout.and_then(|timeout| began.checked_add(timeout));
        let why = timeout.map(|timeout| format!("not within {}", humantime::format_duration(timeout)));
        let silent = idle.and_then(|idle| now.checked_add(idle));
        Self { idle, deadline, silent, gone: None, given_up: None, why: why.unwrap_or_default() }
    }

    /// The agent said something.
    pub(super) fn heard(&mut self, now: Instant) {
        if self.silent.is_some() {
            self.silent = self.idle.and_then(|idle| now.checked_add(idle));
        }
    }

    /// Nothing will follow, it seems.
    pub(super) fn gone(&mut self, why: String, now: Instant) {
        self.gone.get_or_insert((now + GONE_WAIT, why));
    }

    /// Something follows after all.
    pub(super) fn back(&mut self) {
        self.gone = None;
    }

    /// When to look again.
    pub(super) fn next(&self) -> Option<Instant> {
        let gone = self.gone.as_ref().map(|(at, _)| *at);
        [self.deadline, self.silent, gone, self.given_up].into_iter().flatten().min()
    }

    /// What is over by now.
    pub(super) fn passed(&mut self, now: Instant) -> Option<Passed> {
        let is_over = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if is_over(self.gone.as_ref().map(|(at, _)| *at)) {
            return self.gone.take().map(|(_, why)| Passed::Gone(why));
        }
        if is_over(self.given_up) {
            return Some(Passed::GivenUp(self.why.clone()));
        }
        if is_over(self.silent) && !is_over(self.deadline) {
            let idle = self.idle.unwrap_or_default();
            self.why = format!("the agent has said nothing for {}", humantime::format_duration(idle));
        } else if !is_over(self.deadline) {
            return None;
        }
        (self.deadline, self.silent, self.given_up) = (None, None, Some(now + CANCEL_WAIT));
        Some(Passed::TimedOut(self.why.clone()))
    }

    /// Why it was cancelled by a clock, if it was.
    pub(super) fn timed_out(&self) -> Option<&str> {
        self.given_up.map(|_| self.why.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_turn_is_cancelled_when_its_time_is_over_and_given_up_when_it_does_not_end() {
        let now = Instant::now();
        let mut clocks = Clocks::new(Some(5 * SECOND), None, now, now);
        assert_eq!((clocks.next(), clocks.passed(now)), (Some(now + 5 * SECOND), None));
        let late = now + 5 * SECOND;
        assert_eq!(clocks.passed(late), Some(Passed::TimedOut("not within 5s".to_owned())));
        assert_eq!(clocks.passed(late), None, "once");
        assert_eq!(clocks.timed_out(), Some("not within 5s"));
        let given_up = clocks.passed(late + CANCEL_WAIT);
        assert_eq!(given_up, Some(Passed::GivenUp("not within 5s".to_owned())));
    }

    #[test]
    fn silence_is_measured_from_the_last_word() {
        let now = Instant::now();
        let mut clocks = Clocks::new(Some(60 * SECOND), Some(5 * SECOND), now, now);
        clocks.heard(now + 4 * SECOND);
        assert_eq!(clocks.passed(now + 8 * SECOND), None);
        let passed = clocks.passed(now + 9 * SECOND);
        assert_eq!(passed, Some(Passed::TimedOut("the agent has said nothing for 5s".to_owned())));
        assert_eq!(Clocks::new(None, None, now, now).next(), None);
    }

    #[test]
    fn what_seems_to_be_over_has_a_moment_to_go_on() {
        let now = Instant::now();
        let mut clocks = Clocks::new(None, None, now, now);
        clocks.gone("why".to_owned(), now);
        clocks.gone("later".to_owned(), now + SECOND);
        clocks.back();
        assert_eq!(clocks.next(), None);
        clocks.gone("why".to_owned(), now);
        clocks.gone("later".to_owned(), now + SECOND);
        assert_eq!(clocks.passed(now + GONE_WAIT), Some(Passed::Gone("why".to_owned())));
    }
}
