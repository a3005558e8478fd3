//! Samples of budgets, holds and rules.

use ropewalk_protocol::*;

use super::agents::{INTERACTION, ITEM, TURN};
use super::{AGENT, LATER, SESSION};

const NO_BUDGET: Budget = Budget { cost_micro_usd: None, tokens: None, turns: None, time_millis: None };

pub(crate) fn budget() -> Budget {
    Budget { cost_micro_usd: Some(5_000_000), tokens: Some(2_000_000), turns: Some(40), time_millis: Some(3_600_000) }
}

fn spent() -> Spent {
    Spent { cost_micro_usd: 4_100_000, tokens: 70_300, turns: 3, time_millis: 90_500 }
}

fn used(scope: BudgetScope, measure: Measure) -> BudgetUse {
    BudgetUse { scope, measure, spent: 80, limit: 100 }
}

pub(crate) fn terms() -> AgentTerms {
    AgentTerms { budget: budget(), on_limit: OnLimit::GoOn, on_loop: OnLoop::Hold, mcp: true }
}

fn rule(effect: RuleEffect, action: RuleAction, pattern: &str) -> Rule {
    Rule { effect, action, pattern: pattern.to_owned() }
}

fn rules() -> Vec<Rule> {
    vec![
        rule(RuleEffect::Allow, RuleAction::Run, "cargo test ..."),
        rule(RuleEffect::Deny, RuleAction::Write, "/etc/**"),
        rule(RuleEffect::Ask, RuleAction::Read, "**/.env"),
        rule(RuleEffect::Allow, RuleAction::Fetch, "*.example.com"),
        rule(RuleEffect::Allow, RuleAction::Tool, "mcp__docs__*"),
    ]
}

/// At least one body of every kind, and every variant of what is in it.
pub(crate) fn bodies() -> Vec<(&'static str, EventBody)> {
    let held = |reason, until| Held { reason, until }.into();
    let warned = |scope, measure| BudgetWarned { budget: used(scope, measure) }.into();
    let settled = |outcome| TurnSettled { turn: TURN, outcome }.into();
    let directory = || "/home/ada/work".to_owned();
    vec![
        ("", SessionBudgetSet { budget: budget() }.into()),
        ("-open", SessionBudgetSet { budget: NO_BUDGET }.into()),
        ("", SessionRulesSet { rules: rules() }.into()),
        ("-none", SessionRulesSet { rules: Vec::new() }.into()),
        ("", AgentBudgetSet { budget: budget() }.into()),
        ("-asked", held(HoldReason::Asked {}, None)),
        ("-budget", held(HoldReason::Budget(used(BudgetScope::Day, Measure::Cost)), Some(LATER))),
        ("-rate_limited", held(HoldReason::RateLimited { text: "you have used your 5 hours".to_owned() }, Some(LATER))),
        ("-loop", held(HoldReason::Loop { items: vec![ITEM, ITEM] }, None)),
        ("", Released {}.into()),
        ("-cost", warned(BudgetScope::Agent, Measure::Cost)),
        ("-tokens", warned(BudgetScope::Session, Measure::Tokens)),
        ("-turns", warned(BudgetScope::Day, Measure::Turns)),
        ("-time", warned(BudgetScope::Agent, Measure::Time)),
        ("", Looped { items: vec![ITEM], title: "Bash: ls".to_owned() }.into()),
        ("", RuleApplied { interaction: INTERACTION, rule: rules().remove(0) }.into()),
        ("-completed", settled(TurnOutcome::Completed)),
        ("-failed", settled(TurnOutcome::Failed { reason: "the model said 500".to_owned() })),
        ("", DayBudgetSet { budget: budget() }.into()),
        ("", WorkspaceRulesSet { directory: directory(), rules: rules() }.into()),
        ("-none", WorkspaceRulesSet { directory: directory(), rules: Vec::new() }.into()),
    ]
}

pub(crate) fn commands() -> Vec<(&'static str, Command)> {
    let (session, agent) = (SESSION, AGENT);
    let bound = |of| Command::BudgetSet { of, budget: budget() };
    vec![
        ("agent.hold", Command::AgentHold { session, agent }),
        ("agent.release", Command::AgentRelease { session, agent }),
        ("budget.set, an agent's", bound(BudgetOwner::Agent { session, agent })),
        ("budget.set, a session's", bound(BudgetOwner::Session { session })),
        ("budget.set, the day's", bound(BudgetOwner::Day {})),
        ("budget.set, open", Command::BudgetSet { of: BudgetOwner::Day {}, budget: NO_BUDGET }),
        ("rules.set, a session's", Command::RulesSet { of: RulesOwner::Session { session }, rules: rules() }),
        (
            "rules.set, a directory's",
            Command::RulesSet { of: RulesOwner::Workspace { directory: "/home/ada/work".to_owned() }, rules: rules() },
        ),
    ]
}

pub(crate) fn queries() -> Vec<(&'static str, Query)> {
    vec![
        ("policy.get", Query::PolicyGet { session: Some(SESSION) }),
        ("policy.get, bare", Query::PolicyGet { session: None }),
    ]
}

pub(crate) fn query_results() -> Vec<(&'static str, QueryResult)> {
    let policy = PolicyView {
        day: DayView { budget: budget(), spent: spent() },
        workspaces: vec![WorkspaceView { directory: "/home/ada/work".to_owned(), rules: rules() }],
        budget: budget(),
        spent: spent(),
        rules: rules(),
    };
    vec![("policy", QueryResult::Policy { policy: Box::new(policy) })]
}

/// What holds an agent, as lists show it.
pub(crate) fn hold() -> HoldView {
    let reason = HoldReason::Loop { items: vec![ITEM] };
    HoldView { reason, since: LATER, until: Some(LATER), evidence: vec![Seq(11), Seq(12)] }
}

/// What counts against budgets, as lists show it.
pub(crate) fn counted() -> (Budget, Spent) {
    (budget(), spent())
}
