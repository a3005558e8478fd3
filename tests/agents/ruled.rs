//! Rules and budgets with each of the agents' own programs.

use ropewalk_protocol::{AgentState, Budget, BudgetOwner, Command, Rule, RulesOwner, TurnOutcome};

use super::driven::Driven;
use super::drivers::{CLAUDE, CODEX, Driver, OPENCODE};
use crate::harness::{Home, block_on, mint};
use crate::model::Model;

/// What may be done is done unasked, what is forbidden is not done, and what was spent is counted.
fn is_ruled(driver: &Driver) {
    let model = Model::start();
    let Some(agent) = driver.home(&model) else { return };
    let home = Home::started();
    block_on(async {
        let mut driven = Driven::start(&home, driver.spec(&agent)).await;
        let rules: Vec<Rule> =
            ["allow run touch *.txt", "deny run rm ..."].iter().map(|rule| rule.parse().unwrap()).collect();
        let of = RulesOwner::Session { session: driven.session };
        driven.client.command(mint(), Command::RulesSet { of, rules }).await.unwrap();

        let allowed = driven.prompt(&format!("{} make it", driver.bash("touch ruled.txt"))).await;
        assert_eq!(driven.outcome(allowed).await, TurnOutcome::Completed, "{}", driven.story());
        assert!(agent.directory.join("ruled.txt").exists(), "{}", driven.story());
        assert_eq!(driven.count("agent.rule_applied"), 1, "{}", driven.story());

        let denied = driven.prompt(&format!("{} take it away", driver.bash("rm ruled.txt"))).await;
        driven.outcome(denied).await;
        assert!(agent.directory.join("ruled.txt").exists(), "{}", driven.story());
        assert_eq!(driven.count("agent.rule_applied"), 2, "{}", driven.story());

        // A redirection is more than words.
        let asked = driven.prompt(&format!("{} write it", driver.bash("touch a.txt > b.txt"))).await;
        let question = driven.question(2).await;
        driven.answer(&question, ropewalk_protocol::Answer::Deny { reason: None }).await.unwrap();
        driven.outcome(asked).await;
        assert_eq!(driven.count("agent.rule_applied"), 2, "{}", driven.story());

        let spent = driven.view().await.spent;
        assert!(spent.tokens > 0 && spent.turns == 3, "{spent:?}");
        let budget = Budget { tokens: Some(spent.tokens), ..Budget::default() };
        let of = BudgetOwner::Agent { session: driven.session, agent: driven.agent };
        driven.client.command(mint(), Command::BudgetSet { of, budget }).await.unwrap();
        driven.event("agent.held", 0).await;
        let late = driven.prompt("[[plain Too late.]] beyond the budget").await;
        let view = driven.view().await;
        assert_eq!((view.status.state, view.queued), (AgentState::Parked, 1), "{}", driven.story());
        assert_eq!(model.turns("beyond the budget").len(), 0);
        driven.client.command(mint(), Command::BudgetSet { of, budget: Budget::default() }).await.unwrap();
        assert_eq!(driven.outcome(late).await, TurnOutcome::Completed, "{}", driven.story());
        driven.is_settled();
        driven.end().await;
        driven.event("session.ended", 0).await;
    });
}

#[test]
fn claude_is_ruled() {
    is_ruled(&CLAUDE);
}

#[test]
fn codex_is_ruled() {
    is_ruled(&CODEX);
}

#[test]
fn opencode_is_ruled() {
    is_ruled(&OPENCODE);
}
