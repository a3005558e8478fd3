//! The command line of what holds for agents: budgets, rules, and what becomes of one that reaches a limit.

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use ropewalk_protocol::{AgentTerms, Budget, OnLimit, OnLoop, Rule};

use super::values::{parse_dollars, parse_duration, parse_rule};

/// What may be spent.
#[derive(Debug, Clone, Args)]
pub(crate) struct BudgetArgs {
    /// Dollars, by the agent's own reckoning.
    #[arg(long = "budget-usd", value_name = "USD", value_parser = parse_dollars)]
    cost_micro_usd: Option<u64>,
    /// Tokens that the model reads and writes.
    #[arg(long = "budget-tokens", value_name = "N")]
    tokens: Option<u64>,
    /// Turns.
    #[arg(long = "budget-turns", value_name = "N")]
    turns: Option<u64>,
    /// Time with a turn: 90s, 30m, 2h.
    #[arg(long = "budget-time", value_name = "D", value_parser = parse_duration)]
    time: Option<Duration>,
}

impl BudgetArgs {
    pub(crate) fn budget(&self) -> Budget {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let Self { cost_micro_usd, tokens, turns, time } = *self;
        Budget { cost_micro_usd, tokens, turns, time_millis: time.map(millis) }
    }
}

/// What becomes of an agent that its model's server refuses more for now.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Limit {
    /// It is parked until the limit is over; then prompts that wait are delivered.
    #[default]
    Wait,
    /// The same, and a turn that failed by the limit is taken up again.
    GoOn,
}

/// What becomes of an agent that makes the same call again and again, and always gets the same.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Loop {
    /// It is told of.
    #[default]
    Warn,
    /// The turn is cancelled, and the agent parked.
    Hold,
    /// Nothing.
    Ignore,
}

/// What holds for an agent for as long as it is there.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Limits")]
pub(crate) struct TermsArgs {
    #[command(flatten)]
    budget: BudgetArgs,
    /// What becomes of it while its model's server refuses more.
    #[arg(long, value_enum, default_value_t, requires = "provider", value_name = "POLICY")]
    on_limit: Limit,
    /// What becomes of it when it goes round in circles: the same call five times over, to the same end.
    #[arg(long, value_enum, default_value_t, requires = "provider", value_name = "POLICY")]
    on_loop: Loop,
    /// Give it tools to list, prompt, read and await the other agents of its session.
    #[arg(long, requires = "provider")]
    mcp: bool,
}

impl TermsArgs {
    pub(crate) fn terms(&self) -> AgentTerms {
        let on_limit = match self.on_limit {
            Limit::Wait => OnLimit::Wait,
            Limit::GoOn => OnLimit::GoOn,
        };
        let on_loop = match self.on_loop {
            Loop::Warn => OnLoop::Warn,
            Loop::Hold => OnLoop::Hold,
            Loop::Ignore => OnLoop::Ignore,
        };
        AgentTerms { budget: self.budget.budget(), on_limit, on_loop, mcp: self.mcp }
    }
}

pub(super) const RULES_HELP: &str = "A rule answers a question of an agent before anybody is asked:

  allow run cargo test ...      words of a command, one by one; `...` stands for any more
  deny run git push --force ...
  allow write src/**            files that are written, moved or deleted; `**` passes a `/`, `*` does not
  deny read **/.env
  allow fetch *.rust-lang.org   the host of an address
  allow tool mcp__docs__*       any other tool, by the name that the agent gives it

A denial wins, then `ask`. A command is allowed if every program in it is; one that is more than words (variables,
substitutions, redirections, patterns) is asked about. Relative paths are within the agent's directory, and links are
followed. Without a session the rules are those of a directory and hold for all agents that work in it, or below.";

/// Changes of rules.
#[derive(Debug, Subcommand)]
pub(crate) enum RulesCommand {
    /// Add a rule.
    Add {
        /// `allow|ask|deny run|read|write|fetch|tool PATTERN`.
        #[arg(required = true, num_args = 1.., value_name = "RULE", trailing_var_arg = true)]
        rule: Vec<String>,
    },
    /// Take rules back, by their numbers in the list.
    Remove {
        /// From 1.
        #[arg(required = true)]
        numbers: Vec<usize>,
    },
    /// Take all of them back.
    Clear,
}

/// The rule that the words of a command line make.
pub(crate) fn rule(words: &[String]) -> Result<Rule, String> {
    parse_rule(&words.join(" "))
}
