//! What agents cost, added up from counts of different scopes.

use serde::{Deserialize, Serialize};

use crate::{RunId, TurnId, Usage, UsageScope, UsageTotal};

/// One number, in the parts that counts of different scopes replace. A count of a wider scope takes the place of all that is
/// within it; what is told afterwards with a narrower one comes on top.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Tally {
    /// Of runs before this one.
    before: u64,
    /// Of turns of this run before the newest.
    run: u64,
    /// Of the newest turn.
    turn: u64,
}

impl Tally {
    fn total(self) -> u64 {
        self.before.saturating_add(self.run).saturating_add(self.turn)
    }

    fn next_turn(&mut self) {
        self.run = self.run.saturating_add(self.turn);
        self.turn = 0;
    }

    fn next_run(&mut self) {
        *self = Tally { before: self.total(), run: 0, turn: 0 };
    }

    /// Takes a number in. An agent that does not count something says 0, so 0 takes the place of nothing.
    fn count(&mut self, scope: UsageScope, number: u64) {
        if number == 0 {
            return;
        }
        *self = match scope {
            UsageScope::Turn => Tally { turn: number, ..*self },
            UsageScope::Call => Tally { turn: self.turn.saturating_add(number), ..*self },
            UsageScope::Run => Tally { run: number, turn: 0, ..*self },
            UsageScope::Total => Tally { before: number, run: 0, turn: 0 },
        };
    }
}

/// What an agent cost so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageCount {
    run: Option<RunId>,
    turn: Option<TurnId>,
    turns: u64,
    input: Tally,
    cached: Tally,
    output: Tally,
    cost: Tally,
    tells_cost: bool,
    context: Option<u64>,
    context_max: Option<u64>,
}

impl UsageCount {
    /// Another run begins.
    pub fn begin_run(&mut self, run: RunId) {
        if self.run.replace(run) != Some(run) {
            self.tallies().into_iter().for_each(Tally::next_run);
        }
    }

    /// A turn is settled.
    pub fn end_turn(&mut self) {
        self.turns += 1;
    }

    /// Takes a count in. One that is told between turns is of the newest turn.
    pub fn add(&mut self, turn: Option<TurnId>, usage: &Usage) {
        if turn.is_some() && self.turn != turn {
            self.turn = turn;
            self.tallies().into_iter().for_each(Tally::next_turn);
        }
        let cost = usage.cost_micro_usd.unwrap_or(0);
        let numbers = [usage.input_tokens, usage.cached_tokens, usage.output_tokens, cost];
        for (tally, number) in self.tallies().into_iter().zip(numbers) {
            tally.count(usage.scope, number);
        }
        self.tells_cost |= usage.cost_micro_usd.is_some();
        self.context = usage.context_tokens.or(self.context);
        self.context_max = usage.context_tokens_max.or(self.context_max);
    }

    fn tallies(&mut self) -> [&mut Tally; 4] {
        [&mut self.input, &mut self.cached, &mut self.output, &mut self.cost]
    }

    /// All of it.
    pub fn total(&self) -> UsageTotal {
        UsageTotal {
            turns: self.turns,
            input_tokens: self.input.total(),
            cached_tokens: self.cached.total(),
            output_tokens: self.output.total(),
            cost_micro_usd: self.tells_cost.then(|| self.cost.total()),
            context_tokens: self.context,
            context_tokens_max: self.context_max,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TURNS: [TurnId; 3] = [TurnId::from_bytes([1; 16]), TurnId::from_bytes([2; 16]), TurnId::from_bytes([3; 16])];
    const RUNS: [RunId; 2] = [RunId::from_bytes([1; 16]), RunId::from_bytes([2; 16])];

    fn tokens(scope: UsageScope, output_tokens: u64) -> Usage {
        Usage {
            scope,
            input_tokens: output_tokens * 10,
            cached_tokens: 0,
            output_tokens,
            cost_micro_usd: None,
            context_tokens: None,
            context_tokens_max: None,
        }
    }

    fn cost(scope: UsageScope, micro_usd: u64) -> Usage {
        Usage { cost_micro_usd: Some(micro_usd), ..tokens(scope, 0) }
    }

    fn begun() -> UsageCount {
        let mut count = UsageCount::default();
        count.begin_run(RUNS[0]);
        count
    }

    #[test]
    fn later_counts_of_a_turn_replace_earlier_ones_and_turns_add_up() {
        let mut count = begun();
        for (turn, output) in [(0, 5), (0, 7), (1, 2), (1, 3)] {
            count.add(Some(TURNS[turn]), &tokens(UsageScope::Turn, output));
        }
        assert_eq!((count.total().output_tokens, count.total().input_tokens), (10, 100));
        assert_eq!(count.total().cost_micro_usd, None, "nobody told");
    }

    #[test]
    fn counts_of_calls_add_up() {
        let mut count = begun();
        for (turn, output) in [(Some(0), 5), (Some(0), 7), (Some(1), 2), (None, 3)] {
            count.add(turn.map(|turn| TURNS[turn]), &tokens(UsageScope::Call, output));
        }
        assert_eq!(count.total().output_tokens, 17);
    }

    #[test]
    fn a_count_of_a_turn_settles_what_its_calls_told() {
        let mut count = begun();
        count.add(Some(TURNS[0]), &tokens(UsageScope::Call, 5));
        count.add(Some(TURNS[0]), &tokens(UsageScope::Call, 5));
        count.add(Some(TURNS[0]), &tokens(UsageScope::Turn, 11));
        count.add(None, &tokens(UsageScope::Turn, 12));
        assert_eq!(count.total().output_tokens, 12);
    }

    #[test]
    fn later_counts_of_a_run_replace_earlier_ones_and_runs_add_up() {
        let mut count = begun();
        count.add(Some(TURNS[0]), &tokens(UsageScope::Run, 5));
        count.add(Some(TURNS[1]), &tokens(UsageScope::Run, 9));
        count.begin_run(RUNS[1]);
        count.begin_run(RUNS[1]);
        count.add(Some(TURNS[2]), &tokens(UsageScope::Run, 4));
        assert_eq!(count.total().output_tokens, 13);
    }

    #[test]
    fn a_count_of_the_whole_history_replaces_all_of_every_run() {
        let mut count = begun();
        count.add(Some(TURNS[0]), &tokens(UsageScope::Total, 5));
        count.begin_run(RUNS[1]);
        count.add(Some(TURNS[1]), &tokens(UsageScope::Total, 9));
        assert_eq!(count.total().output_tokens, 9);
        count.add(Some(TURNS[2]), &tokens(UsageScope::Call, 1));
        assert_eq!(count.total().output_tokens, 10, "until the next one what calls tell comes on top");
        count.add(Some(TURNS[2]), &tokens(UsageScope::Total, 10));
        assert_eq!(count.total().output_tokens, 10);
    }

    #[test]
    fn cost_may_be_told_with_another_scope_than_tokens() {
        let mut count = begun();
        for (turn, output, dollars) in [(0, 5, 100), (1, 6, 250)] {
            count.add(Some(TURNS[turn]), &tokens(UsageScope::Turn, output));
            count.add(Some(TURNS[turn]), &cost(UsageScope::Run, dollars));
        }
        assert_eq!((count.total().output_tokens, count.total().cost_micro_usd), (11, Some(250)));
        count.add(Some(TURNS[1]), &cost(UsageScope::Total, 0));
        assert_eq!(count.total().cost_micro_usd, Some(250), "0 takes the place of nothing");
    }

    #[test]
    fn what_is_in_the_context_is_what_was_told_last() {
        let mut count = begun();
        let told = |context_tokens, context_tokens_max| Usage {
            context_tokens,
            context_tokens_max,
            ..tokens(UsageScope::Call, 0)
        };
        count.add(None, &told(Some(500), Some(2000)));
        count.add(None, &told(Some(100), None));
        count.end_turn();
        let UsageTotal { turns, context_tokens, context_tokens_max, .. } = count.total();
        assert_eq!((turns, context_tokens, context_tokens_max), (1, Some(100), Some(2000)));
    }

    #[test]
    fn numbers_that_are_too_large_do_no_harm() {
        let mut count = begun();
        for turn in TURNS {
            let huge = Usage { input_tokens: u64::MAX, ..cost(UsageScope::Call, u64::MAX) };
            count.add(Some(turn), &huge);
            count.add(Some(turn), &huge);
        }
        count.begin_run(RUNS[1]);
        assert_eq!((count.total().input_tokens, count.total().cost_micro_usd), (u64::MAX, Some(u64::MAX)));
    }
}
