//! What one turn cost, as far as its agent told. Pure.

use ropewalk_protocol::{Usage, UsageScope, UsageTotal};
use serde::Serialize;

/// What a turn cost. What the agent did not tell is 0 or null.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct TurnCost {
    pub(super) input_tokens: u64,
    pub(super) cached_tokens: u64,
    pub(super) output_tokens: u64,
    pub(super) cost_micro_usd: Option<u64>,
    pub(super) context_tokens: Option<u64>,
    pub(super) context_tokens_max: Option<u64>,
}

/// Counts of one agent, from which the turn's share is told.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Of the turn itself: the newest.
    turn: Option<Usage>,
    /// Of the turn's calls of the model: their sum.
    calls: Option<Usage>,
    /// Of the run so far, and of all runs.
    run: Running,
    total: Running,
    /// The newest count of any kind in the turn tells how full the context is.
    context: (Option<u64>, Option<u64>),
}

/// A count that only rises, and where it stood when the turn began.
#[derive(Debug, Default)]
struct Running {
    before: Option<Usage>,
    now: Option<Usage>,
}

impl Counts {
    /// Counts of an agent that has cost nothing yet.
    pub(super) fn of_new() -> Self {
        let zero = |scope| Running { before: Some(zero(scope)), now: None };
        Self { run: zero(UsageScope::Run), total: zero(UsageScope::Total), ..Self::default() }
    }

    /// Another process of the agent counts from nothing.
    pub(super) fn run_began(&mut self) {
        self.run = Running { before: Some(zero(UsageScope::Run)), now: None };
    }

    /// Takes a count in: within the turn, or before it.
    pub(super) fn apply(&mut self, usage: &Usage, in_turn: bool) {
        let running = match usage.scope {
            UsageScope::Turn if in_turn => {
                self.turn = Some(usage.clone());
                None
            }
            UsageScope::Call if in_turn => {
                add(self.calls.get_or_insert_with(|| zero(UsageScope::Call)), usage);
                None
            }
            UsageScope::Turn | UsageScope::Call => None,
            UsageScope::Run => Some(&mut self.run),
            UsageScope::Total => Some(&mut self.total),
        };
        if let Some(running) = running {
            *if in_turn { &mut running.now } else { &mut running.before } = Some(usage.clone());
        }
        if in_turn {
            self.context = (usage.context_tokens.or(self.context.0), usage.context_tokens_max.or(self.context.1));
        }
    }

    /// What the turn cost.
    pub(super) fn cost(&self) -> TurnCost {
        let told: Vec<Usage> = [self.turn.clone(), self.calls.clone(), self.total.difference(), self.run.difference()]
            .into_iter()
            .flatten()
            .collect();
        let tokens = told.iter().find(|usage| usage.input_tokens + usage.output_tokens > 0);
        TurnCost {
            input_tokens: tokens.map_or(0, |usage| usage.input_tokens),
            cached_tokens: tokens.map_or(0, |usage| usage.cached_tokens),
            output_tokens: tokens.map_or(0, |usage| usage.output_tokens),
            cost_micro_usd: told.iter().find_map(|usage| usage.cost_micro_usd),
            context_tokens: self.context.0,
            context_tokens_max: self.context.1,
        }
    }
}

impl Running {
    /// What came in the turn; `None` when nobody knows where it stood before.
    fn difference(&self) -> Option<Usage> {
        let (before, now) = (self.before.as_ref()?, self.now.as_ref()?);
        let cost = |now: u64| now.saturating_sub(before.cost_micro_usd.unwrap_or(0));
        Some(Usage {
            input_tokens: now.input_tokens.saturating_sub(before.input_tokens),
            cached_tokens: now.cached_tokens.saturating_sub(before.cached_tokens),
            output_tokens: now.output_tokens.saturating_sub(before.output_tokens),
            cost_micro_usd: now.cost_micro_usd.map(cost),
            ..now.clone()
        })
    }
}

const fn zero(scope: UsageScope) -> Usage {
    Usage {
        scope,
        input_tokens: 0,
        cached_tokens: 0,
        output_tokens: 0,
        cost_micro_usd: None,
        context_tokens: None,
        context_tokens_max: None,
    }
}

fn add(sum: &mut Usage, usage: &Usage) {
    sum.input_tokens = sum.input_tokens.saturating_add(usage.input_tokens);
    sum.cached_tokens = sum.cached_tokens.saturating_add(usage.cached_tokens);
    sum.output_tokens = sum.output_tokens.saturating_add(usage.output_tokens);
    sum.cost_micro_usd = match (sum.cost_micro_usd, usage.cost_micro_usd) {
        (None, None) => None,
        (before, more) => Some(before.unwrap_or(0).saturating_add(more.unwrap_or(0))),
    };
}

/// What several agents cost together. Contexts do not add up.
pub(super) fn sum<'a>(totals: impl Iterator<Item = &'a UsageTotal>) -> UsageTotal {
    totals.fold(UsageTotal::default(), |mut sum, one| {
        sum.turns = sum.turns.saturating_add(one.turns);
        sum.input_tokens = sum.input_tokens.saturating_add(one.input_tokens);
        sum.cached_tokens = sum.cached_tokens.saturating_add(one.cached_tokens);
        sum.output_tokens = sum.output_tokens.saturating_add(one.output_tokens);
        sum.cost_micro_usd = match (sum.cost_micro_usd, one.cost_micro_usd) {
            (None, None) => None,
            (before, more) => Some(before.unwrap_or(0).saturating_add(more.unwrap_or(0))),
        };
        sum
    })
}

/// Millionths of a dollar, for people.
pub(super) fn dollars(micro_usd: Option<u64>) -> String {
    match micro_usd {
        Some(micro) => format!("${}.{:04}", micro / 1_000_000, micro % 1_000_000 / 100),
        None => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(scope: UsageScope, input_tokens: u64, cost: Option<u64>) -> Usage {
        Usage { input_tokens, cost_micro_usd: cost, ..zero(scope) }
    }

    #[test]
    fn the_count_of_the_turn_goes_before_those_of_its_calls() {
        let mut counts = Counts::default();
        counts.apply(&usage(UsageScope::Call, 10, None), true);
        counts.apply(&usage(UsageScope::Call, 5, Some(7)), true);
        assert_eq!((counts.cost().input_tokens, counts.cost().cost_micro_usd), (15, Some(7)));
        counts.apply(&usage(UsageScope::Turn, 3, None), true);
        counts.apply(&usage(UsageScope::Turn, 4, None), true);
        assert_eq!((counts.cost().input_tokens, counts.cost().cost_micro_usd), (4, Some(7)));
        counts.apply(&usage(UsageScope::Turn, 100, None), false);
        assert_eq!(counts.cost().input_tokens, 4, "another turn's");
    }

    #[test]
    fn a_rising_count_tells_the_turns_share_only_when_it_is_known_where_it_stood() {
        let mut counts = Counts::default();
        counts.apply(&usage(UsageScope::Run, 100, Some(500)), true);
        assert_eq!(counts.cost(), TurnCost::default());
        let mut counts = Counts::of_new();
        counts.apply(&usage(UsageScope::Run, 100, Some(500)), true);
        assert_eq!((counts.cost().input_tokens, counts.cost().cost_micro_usd), (100, Some(500)));
        let mut counts = Counts::default();
        counts.apply(&usage(UsageScope::Run, 100, Some(500)), false);
        counts.apply(&usage(UsageScope::Run, 130, Some(700)), true);
        assert_eq!((counts.cost().input_tokens, counts.cost().cost_micro_usd), (30, Some(200)));
        counts.run_began();
        counts.apply(&usage(UsageScope::Run, 7, None), true);
        assert_eq!(counts.cost().input_tokens, 7, "another process");
    }

    #[test]
    fn totals_add_up_and_money_is_shown() {
        let one = UsageTotal { turns: 1, input_tokens: 2, cost_micro_usd: Some(1_234_567), ..UsageTotal::default() };
        let other = UsageTotal { turns: 1, ..UsageTotal::default() };
        let all = sum([&one, &other].into_iter());
        assert_eq!((all.turns, all.input_tokens, all.cost_micro_usd), (2, 2, Some(1_234_567)));
        assert_eq!(dollars(all.cost_micro_usd), "$1.2345");
        assert_eq!(dollars(None), "-");
    }
}
