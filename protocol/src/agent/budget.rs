//! Budgets: how much an agent, a session or a day may cost, and what becomes of an agent that has spent it.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{AgentId, ItemId, SessionId};

/// Of a budget, in percent: from here on it is told that it runs out.
pub const BUDGET_WARN_PERCENT: u64 = 80;

/// What is counted of what an agent costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Millionths of a US dollar, by the agent's own reckoning. An agent that does not tell its costs costs nothing.
    Cost,
    /// Tokens that the model read and wrote, those it had cached included.
    Tokens,
    /// Turns that were begun.
    Turns,
    /// Milliseconds in which it had a turn.
    Time,
}

/// How much may be spent. What is `None` has no bound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Budget {
    /// Millionths of a US dollar.
    #[serde(default)]
    pub cost_micro_usd: Option<u64>,
    /// Tokens.
    #[serde(default)]
    pub tokens: Option<u64>,
    /// Turns.
    #[serde(default)]
    pub turns: Option<u64>,
    /// Milliseconds of turns.
    #[serde(default)]
    pub time_millis: Option<u64>,
}

/// How much was spent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Spent {
    /// Millionths of a US dollar.
    pub cost_micro_usd: u64,
    /// Tokens.
    pub tokens: u64,
    /// Turns.
    pub turns: u64,
    /// Milliseconds of turns.
    pub time_millis: u64,
}

impl Spent {
    /// This and that.
    #[must_use]
    pub fn plus(self, other: Spent) -> Spent {
        self.with(other, u64::saturating_add)
    }

    /// This without that.
    #[must_use]
    pub fn minus(self, other: Spent) -> Spent {
        self.with(other, u64::saturating_sub)
    }

    fn with(self, other: Spent, each: impl Fn(u64, u64) -> u64) -> Spent {
        Spent {
            cost_micro_usd: each(self.cost_micro_usd, other.cost_micro_usd),
            tokens: each(self.tokens, other.tokens),
            turns: each(self.turns, other.turns),
            time_millis: each(self.time_millis, other.time_millis),
        }
    }
}

/// One bound of a budget, and how far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BudgetUse {
    /// Whose budget.
    pub scope: BudgetScope,
    /// What is bounded.
    pub measure: Measure,
    /// How much was spent.
    pub spent: u64,
    /// How much may be.
    pub limit: u64,
}

impl BudgetUse {
    /// Whether nothing is left.
    pub fn is_spent(&self) -> bool {
        self.spent >= self.limit
    }

    /// Whether it is time to tell that it runs out.
    pub fn runs_out(&self) -> bool {
        u128::from(self.spent) * 100 >= u128::from(self.limit) * u128::from(BUDGET_WARN_PERCENT)
    }
}

impl fmt::Display for BudgetUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whose = match self.scope {
            BudgetScope::Agent => "the agent's",
            BudgetScope::Session => "the session's",
            BudgetScope::Day => "the day's",
        };
        let (spent, limit) = (self.spent, self.limit);
        match self.measure {
            Measure::Cost => {
                let dollars = |micros: u64| micros as f64 / 1e6;
                write!(f, "{whose} budget: ${:.2} of ${:.2} are spent", dollars(spent), dollars(limit))
            }
            Measure::Tokens => write!(f, "{whose} budget: {spent} of {limit} tokens are used"),
            Measure::Turns => write!(f, "{whose} budget: {spent} of {limit} turns are begun"),
            Measure::Time => write!(f, "{whose} budget: {} of {} s of turns are over", spent / 1000, limit / 1000),
        }
    }
}

impl Budget {
    /// Whether nothing is bounded.
    pub fn is_open(&self) -> bool {
        *self == Budget::default()
    }

    /// Every bound, and how far it is.
    pub fn uses(&self, scope: BudgetScope, spent: Spent) -> impl Iterator<Item = BudgetUse> + use<> {
        let bounds = [
            (Measure::Cost, spent.cost_micro_usd, self.cost_micro_usd),
            (Measure::Tokens, spent.tokens, self.tokens),
            (Measure::Turns, spent.turns, self.turns),
            (Measure::Time, spent.time_millis, self.time_millis),
        ];
        bounds
            .into_iter()
            .filter_map(move |(measure, spent, limit)| Some(BudgetUse { scope, measure, spent, limit: limit? }))
    }
}

/// Whose spending a budget bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BudgetScope {
    /// One agent's.
    Agent,
    /// That of all agents of a session.
    Session,
    /// That of all agents of the machine, in one day from midnight to midnight, UTC.
    Day,
}

/// The budget that is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "scope", rename_all = "snake_case")]
pub enum BudgetOwner {
    /// An agent's.
    Agent {
        /// The session.
        session: SessionId,
        /// The agent.
        agent: AgentId,
    },
    /// A session's.
    Session {
        /// The session.
        session: SessionId,
    },
    /// Each day's.
    Day {},
}

/// What becomes of an agent that its model's server refuses more for now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnLimit {
    /// It is held until the limit is over; then prompts that wait are delivered.
    #[default]
    Wait,
    /// The same, and if its turn failed by the limit it is told to go on.
    GoOn,
}

/// What becomes of an agent that calls the same tool in the same way again and again, and always gets the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnLoop {
    /// It is told of.
    #[default]
    Warn,
    /// The turn is cancelled, and the agent held until somebody lets it go on.
    Hold,
    /// Nothing.
    Ignore,
}

/// Why an agent is given no prompts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HoldReason {
    /// Somebody said so.
    Asked {},
    /// A budget is spent.
    Budget(BudgetUse),
    /// Its model's server refuses more for now.
    RateLimited {
        /// What the agent said.
        text: String,
    },
    /// It called the same tool in the same way again and again.
    Loop {
        /// The calls, oldest first.
        items: Vec<ItemId>,
    },
}

impl fmt::Display for HoldReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HoldReason::Asked {} => f.write_str("somebody held it"),
            HoldReason::Budget(budget) => budget.fmt(f),
            HoldReason::RateLimited { text } => write!(f, "its model's server refuses more for now: {text}"),
            HoldReason::Loop { items } => write!(f, "it made the same call {} times, to the same end", items.len()),
        }
    }
}

/// What holds for an agent for as long as it is there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AgentTerms {
    /// What it may cost.
    #[serde(default)]
    pub budget: Budget,
    /// What becomes of it while its model's server refuses more.
    #[serde(default)]
    pub on_limit: OnLimit,
    /// What becomes of it when it goes round in circles.
    #[serde(default)]
    pub on_loop: OnLoop,
    /// It is given tools to list, prompt, read and await the other agents of its session.
    #[serde(default)]
    pub mcp: bool,
}
