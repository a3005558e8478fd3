//! What an agent has spent: one fold of its events, for whoever bounds it and for whoever shows it.

use serde::{Deserialize, Serialize};

use super::usage::UsageCount;
use crate::{EventBody, RunId, Spent, Timestamp, UsageTotal};

const DAY_MICROS: u64 = 24 * 60 * 60 * 1_000_000;

/// What one agent has spent so far, and what of it today.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spending {
    usage: UsageCount,
    turns: u64,
    /// Of turns that are settled.
    time_millis: u64,
    /// When the open turn was begun.
    began: Option<Timestamp>,
    /// The day of the newest event, and all that was spent before that day.
    day: u64,
    before_today: Spent,
}

/// The day that a moment lies in, counted from the epoch, UTC.
pub fn day_of(at: Timestamp) -> u64 {
    at.unix_micros() / DAY_MICROS
}

/// Whether a moment is of another day than this one: of a later one, or of one so much earlier that the clock must have been
/// wrong. What comes a little late is of the day that is.
pub fn is_another_day(day: u64, at: Timestamp) -> bool {
    let this = day_of(at);
    this > day || this + 1 < day
}

/// The first moment of the day after this one.
pub fn next_day(at: Timestamp) -> Timestamp {
    Timestamp::from_unix_micros((day_of(at) + 1).saturating_mul(DAY_MICROS))
}

impl Spending {
    /// An agent whose first run is asked for.
    pub fn new(run: RunId) -> Self {
        let mut spending = Self::default();
        spending.usage.begin_run(run);
        spending
    }

    /// Takes an event of the agent in.
    pub fn apply(&mut self, at: Timestamp, body: &EventBody) {
        if is_another_day(self.day, at) {
            self.before_today = self.total(Timestamp::from_unix_micros(day_of(at) * DAY_MICROS));
            self.day = day_of(at);
        }
        match body {
            EventBody::RunAsked(asked) => self.usage.begin_run(asked.run),
            EventBody::Used(used) => self.usage.add(used.turn, &used.usage),
            EventBody::TurnStarted(started) => {
                // A prompt that was given to nobody costs nothing.
                let was_given = started.input > 0 || started.prompt.is_none();
                self.turns += u64::from(was_given);
                self.began = was_given.then_some(at);
            }
            EventBody::TurnEnded(_) => {
                if self.began.is_some() {
                    self.usage.end_turn();
                }
                self.time_millis = self.total(at).time_millis;
                self.began = None;
            }
            _ => {}
        }
    }

    /// All of it, at this time.
    pub fn total(&self, now: Timestamp) -> Spent {
        let usage = self.usage.total();
        let open = self.began.map_or(0, |began| u64::try_from(now.since(began).as_millis()).unwrap_or(u64::MAX));
        Spent {
            cost_micro_usd: usage.cost_micro_usd.unwrap_or(0),
            tokens: usage.input_tokens.saturating_add(usage.output_tokens),
            turns: self.turns,
            time_millis: self.time_millis.saturating_add(open),
        }
    }

    /// What of it was spent on the day of this moment.
    pub fn today(&self, now: Timestamp) -> Spent {
        if is_another_day(self.day, now) {
            let midnight = Timestamp::from_unix_micros(day_of(now) * DAY_MICROS);
            return self.total(now).minus(self.total(midnight));
        }
        self.total(now).minus(self.before_today)
    }

    /// When the open turn was begun, if one is.
    pub fn open_since(&self) -> Option<Timestamp> {
        self.began
    }

    /// What of it was spent on the day of this moment, without the time of an open turn.
    pub fn settled_today(&self, now: Timestamp) -> Spent {
        let open = self.began.map_or(0, |began| u64::try_from(now.since(began).as_millis()).unwrap_or(u64::MAX));
        self.today(now).minus(Spent { time_millis: open, ..Spent::default() })
    }

    /// What the agent itself counted.
    pub fn usage(&self) -> UsageTotal {
        self.usage.total()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{PromptId, TurnEnded, TurnId, TurnOutcome, TurnStarted, Usage, UsageScope, Used};

    const TURN: TurnId = TurnId::from_bytes([1; 16]);
    const RUN: RunId = RunId::from_bytes([2; 16]);

    fn at(day: u64, seconds: u64) -> Timestamp {
        Timestamp::from_unix_micros(day * DAY_MICROS + seconds * 1_000_000)
    }

    fn started(input: u64) -> EventBody {
        TurnStarted { turn: TURN, prompt: Some(PromptId::from_bytes([1; 16])), run: RUN, input }.into()
    }

    fn ended() -> EventBody {
        TurnEnded { turn: TURN, outcome: TurnOutcome::Completed }.into()
    }

    fn used(tokens: u64) -> EventBody {
        let usage = Usage {
            scope: UsageScope::Call,
            input_tokens: tokens,
            cached_tokens: 0,
            output_tokens: 0,
            cost_micro_usd: Some(tokens * 2),
            context_tokens: None,
            context_tokens_max: None,
        };
        Used { turn: Some(TURN), usage }.into()
    }

    #[test]
    fn turns_time_tokens_and_cost_add_up() {
        let mut spending = Spending::new(RUN);
        for (second, body) in [(10, started(2)), (11, used(5)), (13, used(7)), (15, ended()), (20, started(3))] {
            spending.apply(at(3, second), &body);
        }
        let spent = Spent { cost_micro_usd: 24, tokens: 12, turns: 2, time_millis: 9000 };
        assert_eq!(spending.total(at(3, 24)), spent, "the open turn counts as far as it is");
        assert_eq!(spending.today(at(3, 24)), spent);
    }

    #[test]
    fn a_prompt_that_was_given_to_nobody_costs_nothing() {
        let mut spending = Spending::new(RUN);
        spending.apply(at(3, 10), &started(0));
        spending.apply(at(3, 90), &ended());
        assert_eq!(spending.total(at(3, 99)), Spent::default());
        assert_eq!(spending.usage().turns, 0, "nor is it a turn");
        spending.apply(at(3, 100), &started(2));
        spending.apply(at(3, 101), &ended());
        assert_eq!(spending.usage().turns, 1);
    }

    #[test]
    fn a_day_begins_with_nothing_and_a_turn_over_midnight_is_of_both_days() {
        let mut spending = Spending::new(RUN);
        let last = 24 * 60 * 60 - 10;
        spending.apply(at(3, last), &started(2));
        spending.apply(at(3, last), &used(5));
        assert_eq!(spending.today(at(4, 5)).time_millis, 5000, "before anything happens that day");
        spending.apply(at(4, 5), &used(1));
        let today = spending.today(at(4, 7));
        assert_eq!((today.time_millis, today.tokens, today.turns), (7000, 1, 0));
        assert_eq!(spending.total(at(4, 7)).time_millis, 17_000);
        spending.apply(at(4, 8), &ended());
        assert_eq!(spending.today(at(9, 8)), Spent::default());
    }

    #[test]
    fn a_clock_that_goes_back_does_no_harm() {
        let mut spending = Spending::new(RUN);
        spending.apply(at(3, 10), &started(2));
        spending.apply(at(2, 5), &used(5));
        spending.apply(at(2, 6), &ended());
        assert_eq!(spending.total(at(2, 7)).time_millis, 0);
        assert_eq!(spending.today(at(2, 7)).tokens, 5);
        let mut ahead = Spending::new(RUN);
        ahead.apply(at(900, 0), &used(5));
        ahead.apply(at(3, 10), &used(7));
        assert_eq!((ahead.today(at(3, 11)).tokens, ahead.today(at(4, 0)).tokens), (7, 0), "the clock was ahead once");
    }
}
