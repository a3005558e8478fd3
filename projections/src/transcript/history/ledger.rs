//! What turns cost. Agents count in different scopes, so what a turn cost may depend on what was counted before it.

use std::collections::{BTreeMap, VecDeque};

use ropewalk_protocol::{RunId, TurnId, Usage, UsageCount, UsageScope, UsageTotal};

use crate::transcript::difference;

/// More than any agent counts: what is left of it in a cost depends on what is not known.
const MUCH: u64 = 1 << 50;
/// A turn that there is not.
const NO_TURN: TurnId = TurnId::from_bytes([0; 16]);

/// Something that decides what turns cost.
#[derive(Debug, Clone)]
pub(super) enum Count {
    /// A run was asked for.
    Run(RunId),
    /// A turn began.
    Turn(TurnId),
    /// A count was told, of this turn or of the newest one.
    Used(Option<TurnId>, Usage),
}

/// All counts that are known, in order. Each has a number that stays when older ones come in front.
#[derive(Debug, Clone, Default)]
pub(super) struct Ledger {
    counts: VecDeque<Count>,
    first: i64,
    /// Sizes of contexts, where they were told.
    contexts: BTreeMap<i64, u64>,
    contexts_max: BTreeMap<i64, u64>,
    /// The first count that told a price.
    priced: Option<i64>,
    /// The last counts of turns that are not known yet.
    pub(super) loose: BTreeMap<Option<TurnId>, i64>,
}

impl Ledger {
    /// The number of the next count.
    pub(super) fn end(&self) -> i64 {
        self.first + i64::try_from(self.counts.len()).expect("counts fit into memory")
    }

    pub(super) fn push(&mut self, count: Count) {
        if let Count::Used(_, usage) = &count {
            let number = self.end();
            self.contexts.extend(usage.context_tokens.map(|tokens| (number, tokens)));
            self.contexts_max.extend(usage.context_tokens_max.map(|tokens| (number, tokens)));
            if usage.cost_micro_usd.is_some() {
                self.priced.get_or_insert(number);
            }
        }
        self.counts.push_back(count);
    }

    /// Puts older counts in front; says what to add to their numbers. Their loose ones are the caller's to find a place for.
    pub(super) fn join(&mut self, older: &mut Ledger) -> i64 {
        let shift = self.first - older.end();
        for count in std::mem::take(&mut older.counts).into_iter().rev() {
            self.counts.push_front(count);
            self.first -= 1;
        }
        let shifted = |(number, tokens): (&i64, &u64)| (number + shift, *tokens);
        self.contexts.extend(older.contexts.iter().map(shifted));
        self.contexts_max.extend(older.contexts_max.iter().map(shifted));
        self.priced = older.priced.map(|number| number + shift).or(self.priced);
        shift
    }

    /// What a turn cost that began at one number and was counted last at another; `None` while that depends on what is not
    /// known. It is counted from the turn's beginning, and from further and further back as long as that does not do.
    pub(super) fn usage(&self, started: i64, used: i64, is_whole: bool) -> Option<UsageTotal> {
        let mut from = started;
        loop {
            if from == self.first && is_whole {
                let (usage, _) = self.count(UsageCount::default(), from, started, used);
                return Some(self.told(&usage, used));
            }
            // Whatever was counted before: if it makes no difference, it need not be known.
            let (nothing, is_sure) = self.count(UsageCount::default(), from, started, used);
            if is_sure && nothing == self.count(much(), from, started, used).0 {
                return Some(self.told(&nothing, used));
            }
            if from == self.first {
                return None;
            }
            let back = (from - (started - from).max(8)).max(self.first);
            let is_turn = |number: &i64| matches!(self.at(*number), Count::Turn(_));
            from = (self.first..=back).rev().find(is_turn).unwrap_or(self.first);
        }
    }

    fn at(&self, number: i64) -> &Count {
        &self.counts[usize::try_from(number - self.first).expect("a count's number is not below the first one's")]
    }

    /// What a turn cost if the counts began like this at `from`, and whether it is known which turn each of them is of.
    fn count(&self, mut count: UsageCount, from: i64, started: i64, used: i64) -> (UsageTotal, bool) {
        let mut before = UsageTotal::default();
        let (mut begun, mut is_sure, mut is_of_known) = (Vec::new(), true, false);
        for number in from..=used {
            if number == started {
                before = count.total();
            }
            match self.at(number) {
                Count::Run(run) => count.begin_run(*run),
                Count::Turn(turn) => begun.push(*turn),
                Count::Used(turn, usage) => {
                    if let Some(turn) = turn {
                        is_sure &= is_of_known || begun.contains(turn);
                        is_of_known = true;
                    }
                    count.add(*turn, usage);
                }
            }
        }
        let total = count.total();
        let priced = |total: UsageTotal| UsageTotal {
            cost_micro_usd: Some(total.cost_micro_usd.unwrap_or(0)),
            context_tokens: None,
            context_tokens_max: None,
            ..total
        };
        (difference(&priced(total), &priced(before), 0), is_sure)
    }

    /// With what stays as it was told last.
    fn told(&self, usage: &UsageTotal, used: i64) -> UsageTotal {
        let last = |told: &BTreeMap<i64, u64>| told.range(..=used).next_back().map(|(_, tokens)| *tokens);
        UsageTotal {
            cost_micro_usd: usage.cost_micro_usd.filter(|_| self.priced.is_some_and(|priced| priced <= used)),
            context_tokens: last(&self.contexts),
            context_tokens_max: last(&self.contexts_max),
            ..usage.clone()
        }
    }
}

/// Much was counted: in runs before, in turns of this run, and in the newest turn.
fn much() -> UsageCount {
    let mut count = UsageCount::default();
    for scope in [UsageScope::Total, UsageScope::Run, UsageScope::Turn] {
        let usage = Usage {
            scope,
            input_tokens: MUCH,
            cached_tokens: MUCH,
            output_tokens: MUCH,
            cost_micro_usd: Some(MUCH),
            context_tokens: None,
            context_tokens_max: None,
        };
        count.add(Some(NO_TURN), &usage);
    }
    count
}
