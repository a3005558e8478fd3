//! What agents cost, and what becomes of one that has spent its budget.

use ropewalk_protocol::{
    AgentTerms, Budget, BudgetScope, BudgetUse, HoldReason, Measure, SessionBudgetSet, Size, Stream,
};

use crate::snapshot::play;
use crate::stage::Stage;
use crate::world::{Who, World};

fn bounded() -> (World, Who) {
    let mut world = World::new();
    let session = world.session("fix-total");
    let budget = Budget { cost_micro_usd: Some(1_000_000), ..Budget::default() };
    let who = world.joins_on(session, "claude", "claude", None, AgentTerms { budget, ..AgentTerms::default() });
    world.ready(who, "sonnet-4.5", "default");
    world.prompt(who, "Rewrite the checkout.");
    world.later(30_000).says(who, "I begin with the cart.");
    (world, who)
}

fn spent(spent: u64) -> BudgetUse {
    BudgetUse { scope: BudgetScope::Agent, measure: Measure::Cost, spent, limit: 1_000_000 }
}

#[test]
fn a_budget_that_runs_out_is_seen_and_told() {
    play(|size| {
        let (mut world, who) = bounded();
        world.costs(who, 870_000, 90_000);
        world.budget_runs_out(who, spent(870_000));
        let stage = Stage::open(size, world);
        stage.sees("$0.87 of $1.00");
        stage
    });
}

#[test]
fn an_agent_that_has_spent_its_budget_is_parked_and_says_why() {
    play(|size| {
        let (mut world, who) = bounded();
        world.costs(who, 1_020_000, 120_000);
        world.ends(who);
        world.held(who, HoldReason::Budget(spent(1_020_000)), None);
        let stage = Stage::open(size, world);
        stage.sees("parked");
        stage.sees("$1.02 of $1.00 are spent");
        stage
    });
}

#[test]
fn an_agent_that_waits_for_its_server_says_until_when() {
    play(|size| {
        let (mut world, who) = bounded();
        world.ends(who);
        let until = world.now.plus_millis(45 * 60_000);
        world.held(who, HoldReason::RateLimited { text: "usage limit reached".to_owned() }, Some(until));
        let mut stage = Stage::open(size, world);
        stage.later(60_000);
        stage.sees("parked");
        stage
    });
}

#[test]
fn a_parked_agent_goes_on_by_a_command() {
    play(|size: Size| {
        let (mut world, who) = bounded();
        world.ends(who);
        world.held(who, HoldReason::Asked {}, None);
        let mut stage = Stage::open(size, world);
        stage.sees("parked");
        stage.types(":release");
        stage.press("enter");
        stage.sees("idle");
        stage
    });
}

#[test]
fn the_budget_of_a_session_is_that_of_all_its_agents() {
    play(|size| {
        let mut world = World::new();
        let [lead, tests, ..] = crate::tales::team(&mut world);
        let budget = Budget { tokens: Some(120_000), ..Budget::default() };
        world.tell(Stream::Session(lead.session), SessionBudgetSet { budget });
        world.costs(tests, 50_000, 20_000);
        let mut stage = Stage::open(size, world);
        stage.press("alt+down ctrl+x l enter");
        stage.sees("tokens");
        stage
    });
}
