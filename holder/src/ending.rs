//! The way out: which signal the programs get when, and when the holder leaves. Pure: the time comes in as a value.

use std::time::{Duration, Instant};

use ropewalk_protocol::limits;
use rustix::process::Signal;

/// How long programs have to end after the daemon, which has asked them before, tells the holder to leave.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(1);
/// How long the daemon has to make the last bytes durable and to say so, after the programs are gone.
const FAREWELL_GRACE: Duration = Duration::from_secs(3);

/// What is to be done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing before then.
    Wait(Instant),
    /// Send this signal to every program.
    Send(Signal),
    /// Leave.
    Leave,
}

/// What is left at this moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Left {
    /// Something that was started lives.
    pub(crate) programs: bool,
    /// The daemon does not have something yet, and is there to take it.
    pub(crate) bytes: bool,
}

/// The way out, as far as it is gone.
#[derive(Debug, Clone)]
pub(crate) struct Ending {
    signals: &'static [Signal],
    grace: Duration,
    farewell: Duration,
    until: Instant,
}

impl Ending {
    /// The daemon has asked the programs to end before and knows what it wants to know.
    pub(crate) fn by_daemon(now: Instant) -> Self {
        Self { signals: &[Signal::HUP, Signal::KILL], grace: SHUTDOWN_GRACE, farewell: Duration::ZERO, until: now }
    }

    /// Somebody asked the holder itself: programs get the time that they get when a session is ended.
    pub(crate) fn by_signal(now: Instant) -> Self {
        let grace = Duration::from_millis(limits::END_GRACE_MILLIS);
        let signals = &[Signal::HUP, Signal::TERM, Signal::KILL];
        Self { signals, grace, farewell: FAREWELL_GRACE, until: now }
    }

    /// Asked once more: no more grace.
    pub(crate) fn hurry(&mut self, now: Instant) {
        if self.signals.len() > 1 {
            self.signals = &[Signal::KILL];
            self.until = now;
        } else {
            self.farewell = Duration::ZERO;
            self.until = self.until.min(now + SHUTDOWN_GRACE);
        }
    }

    /// What to do now. A step that is not `Wait` is to be done before this is asked again.
    pub(crate) fn step(&mut self, now: Instant, left: Left) -> Step {
        if !left.programs && !self.signals.is_empty() {
            self.signals = &[];
            self.until = now + self.farewell;
        }
        if let Some((signal, rest)) = self.signals.split_first() {
            if now < self.until {
                return Step::Wait(self.until);
            }
            self.signals = rest;
            // What SIGKILL ended is reaped soon; whoever hangs in the kernel is not waited for.
            self.until = now + if rest.is_empty() { SHUTDOWN_GRACE + self.farewell } else { self.grace };
            return Step::Send(*signal);
        }
        if now >= self.until || !(left.programs || left.bytes) {
            return Step::Leave;
        }
        Step::Wait(self.until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STUBBORN: Left = Left { programs: true, bytes: true };
    const BYTES: Left = Left { programs: false, bytes: true };
    const NOTHING: Left = Left { programs: false, bytes: false };

    fn wait_over(ending: &mut Ending, now: Instant, left: Left) -> Instant {
        match ending.step(now, left) {
            Step::Wait(until) => until,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn stubborn_programs_get_hup_term_and_kill_with_a_grace_between_them() {
        let start = Instant::now();
        let mut ending = Ending::by_signal(start);
        let grace = Duration::from_millis(limits::END_GRACE_MILLIS);
        let mut now = start;
        for (signal, at) in [(Signal::HUP, 0), (Signal::TERM, 1), (Signal::KILL, 2)] {
            assert_eq!(now, start + grace * at);
            assert_eq!(ending.step(now, STUBBORN), Step::Send(signal));
            now = wait_over(&mut ending, now, STUBBORN);
        }
        assert_eq!(ending.step(now, STUBBORN), Step::Leave);
    }

    #[test]
    fn with_no_program_left_the_daemon_has_time_to_take_the_last_bytes() {
        let start = Instant::now();
        let mut ending = Ending::by_signal(start);
        assert_eq!(ending.step(start, STUBBORN), Step::Send(Signal::HUP));
        assert_eq!(wait_over(&mut ending, start, BYTES), start + FAREWELL_GRACE);
        assert_eq!(ending.clone().step(start, NOTHING), Step::Leave);
        assert_eq!(ending.step(start + FAREWELL_GRACE, BYTES), Step::Leave);
    }

    #[test]
    fn the_daemons_own_way_is_short() {
        let start = Instant::now();
        let mut ending = Ending::by_daemon(start);
        assert_eq!(ending.step(start, STUBBORN), Step::Send(Signal::HUP));
        let kill = wait_over(&mut ending, start, STUBBORN);
        assert_eq!(ending.clone().step(start, BYTES), Step::Leave);
        assert_eq!(ending.step(kill, STUBBORN), Step::Send(Signal::KILL));
    }

    #[test]
    fn asked_twice_it_kills_at_once_and_asked_three_times_it_waits_for_nobody() {
        let start = Instant::now();
        let mut ending = Ending::by_signal(start);
        assert_eq!(ending.step(start, STUBBORN), Step::Send(Signal::HUP));
        ending.hurry(start);
        assert_eq!(ending.step(start, STUBBORN), Step::Send(Signal::KILL));
        ending.hurry(start);
        ending.hurry(start);
        assert_eq!(wait_over(&mut ending, start, STUBBORN), start + SHUTDOWN_GRACE);
    }

    #[test]
    fn a_holder_without_programs_leaves_at_once() {
        let start = Instant::now();
        assert_eq!(Ending::by_signal(start).step(start, NOTHING), Step::Leave);
        assert_eq!(Ending::by_daemon(start).step(start, BYTES), Step::Leave);
    }
}
