//! Budgets, limits of the model's server, rounds, rules, and turns that are settled from the agent's own record.

use ropewalk_protocol::{
    BudgetScope, HoldReason, Measure, NoticeKind, OnLimit, OnLoop, RuleEffect, Spent, Usage, UsageScope, limits,
};

use super::*;
use crate::providers::Want;

fn used(tokens: u64, micro_usd: u64) -> Observed {
    Observed::Used(Usage {
        scope: UsageScope::Call,
        input_tokens: tokens,
        cached_tokens: 0,
        output_tokens: 0,
        cost_micro_usd: Some(micro_usd),
        context_tokens: None,
        context_tokens_max: None,
    })
}

fn on(budget: Budget) -> Given {
    Given::on(AgentTerms { budget, ..AgentTerms::default() })
}

fn cost(micro_usd: u64) -> Budget {
    Budget { cost_micro_usd: Some(micro_usd), ..Budget::default() }
}

fn turns(turns: u64) -> Budget {
    Budget { turns: Some(turns), ..Budget::default() }
}

impl Given {
    fn held(&self) -> Option<&HoldReason> {
        self.agent.held.as_ref().map(|held| &held.reason)
    }
}

#[test]
fn a_budget_is_warned_of_once_at_four_fifths_and_ends_the_turn_when_it_is_spent() {
    let mut given = on(cost(100));
    given.prompt("one", Delivery::AfterTurn);
    assert_eq!(given.seen(vec![used(0, 79)]), ["used", "output_consumed"]);
    assert_eq!(given.seen(vec![used(0, 1)]), ["used", "output_consumed", "budget_warned"]);
    assert_eq!(given.seen(vec![used(0, 19)]), ["used", "output_consumed"], "that was told");
    assert_eq!(given.seen(vec![used(0, 1)]), ["used", "output_consumed", "held", "cancel_asked"]);
    assert!(matches!(given.held(), Some(HoldReason::Budget(spent)) if spent.spent == 100 && spent.limit == 100));
    assert_eq!(given.seen(vec![completed()]), ["turn_ended", "output_consumed"]);
    assert_eq!(given.outcomes(), [TurnOutcome::Cancelled]);
    given.prompt("two", Delivery::AfterTurn);
    assert_eq!(given.queue(), ["two"], "it is kept, and not given to anyone");
    let rejection = given.try_when(AgentInput::Release).unwrap_err();
    assert_eq!(rejection.code, Code::BudgetSpent);
    assert_eq!(given.when(AgentInput::SetBudget { budget: cost(1000) }), ["budget_set", "released", "turn_started"]);
    assert_eq!(given.queue(), [""; 0]);
}

#[test]
fn the_last_turn_of_a_budget_is_not_cut_and_no_other_begins() {
    let mut given = on(turns(2));
    given.prompt("one", Delivery::AfterTurn);
    for text in ["two", "three"] {
        given.prompt(text, Delivery::AfterTurn);
    }
    assert_eq!(given.seen(vec![completed()]), ["turn_ended", "output_consumed", "turn_started", "budget_warned"]);
    assert!(!given.agent.is_cancelling());
    assert_eq!(given.seen(vec![completed()]), ["turn_ended", "output_consumed", "held"]);
    assert_eq!(given.queue(), ["three"]);
}

#[test]
fn a_budget_that_is_spent_starts_no_process() {
    let mut given = on(turns(0));
    given.gone(exited(0));
    given.prompt("one", Delivery::AfterTurn);
    assert!(matches!(given.held(), Some(HoldReason::Budget(spent)) if spent.measure == Measure::Turns));
    assert_eq!(given.agent.life.run, RUN, "no other run was asked for");
}

#[test]
fn time_with_a_turn_is_over_though_the_agent_says_nothing() {
    let mut given = on(Budget { time_millis: Some(10_000), ..Budget::default() });
    given.prompt("one", Delivery::AfterTurn);
    let at: Vec<_> = given.agent.time_is_up_at().collect();
    assert_eq!(at, [8, 10].map(|seconds| moment(0, seconds, &Around::default()).mint.now));
    given.seconds = 8;
    assert_eq!(given.when(AgentInput::Reconsider), ["budget_warned"]);
    given.seconds = 10;
    assert_eq!(given.when(AgentInput::Reconsider), ["held", "cancel_asked"]);
    given.seen(vec![completed()]);
    assert_eq!(given.agent.time_is_up_at().count(), 0);
}

#[test]
fn a_session_s_budget_and_a_day_s_count_what_others_spend() {
    let mut given = on(Budget::default());
    given.around.session_budget = cost(100);
    given.around.session_others = Spent { cost_micro_usd: 90, ..Spent::default() };
    given.prompt("one", Delivery::AfterTurn);
    assert_eq!(given.last.last().map(EventBody::name), Some("agent.budget_warned"));
    assert_eq!(given.seen(vec![used(0, 10)]), ["used", "output_consumed", "held", "cancel_asked"]);
    assert!(matches!(given.held(), Some(HoldReason::Budget(spent)) if spent.scope == BudgetScope::Session));
    given.seen(vec![completed()]);
    given.around.session_budget = cost(1000);
    assert_eq!(given.when(AgentInput::Reconsider), ["released"]);

    given.around.day_budget = turns(1);
    given.prompt("two", Delivery::AfterTurn);
    assert!(matches!(given.held(), Some(HoldReason::Budget(spent)) if spent.scope == BudgetScope::Day));
    let until = given.agent.held.as_ref().and_then(|held| held.until).expect("the day ends");
    assert_eq!(until.unix_millis(), 24 * 60 * 60 * 1000);
    assert_eq!(given.when(AgentInput::Reconsider), [""; 0], "it is the same day still");
    given.seconds = 24 * 60 * 60;
    assert_eq!(given.when(AgentInput::Reconsider), ["released", "turn_started", "budget_warned"]);
}

fn limited(until_seconds: Option<u64>) -> Observed {
    let until = until_seconds.map(|seconds| moment(0, seconds, &Around::default()).mint.now);
    Observed::Noticed { kind: NoticeKind::RateLimited, text: "5 hours are over".into(), until }
}

fn failed() -> Observed {
    Observed::TurnEnded { outcome: TurnOutcome::Failed { reason: "429".into() } }
}

#[test]
fn an_agent_whose_turn_fails_by_a_limit_is_held_until_it_is_over() {
    let mut given = Given::ready(Some("one"));
    given.prompt("two", Delivery::AfterTurn);
    assert_eq!(given.seen(vec![limited(Some(60)), failed()]), ["noticed", "turn_ended", "held", "output_consumed"]);
    assert_eq!(given.queue(), ["two"]);
    given.seconds = 59;
    assert_eq!(given.when(AgentInput::Reconsider), [""; 0]);
    given.seconds = 60;
    assert_eq!(given.when(AgentInput::Reconsider), ["released", "turn_started"]);
    assert_eq!(given.queue(), [""; 0]);
}

#[test]
fn one_that_is_to_go_on_is_told_to_before_anything_else() {
    let mut given = Given::on(AgentTerms { on_limit: OnLimit::GoOn, ..AgentTerms::default() });
    given.prompt("one", Delivery::AfterTurn);
    given.prompt("two", Delivery::AfterTurn);
    given.seen(vec![limited(Some(60)), failed()]);
    assert_eq!(given.queue().len(), 2);
    assert!(given.queue()[0].contains("Go on"), "{:?}", given.queue());
}

#[test]
fn a_limit_without_an_end_is_waited_for_longer_each_time_and_one_that_is_over_not_at_all() {
    let mut given = Given::ready(Some("one"));
    let mut pauses = Vec::new();
    for text in ["two", "three"] {
        given.prompt(text, Delivery::AfterTurn);
        given.seen(vec![limited(None), failed()]);
        let until = given.agent.held.as_ref().and_then(|held| held.until).expect("it goes on by itself");
        let now = moment(0, given.seconds, &Around::default()).mint.now;
        pauses.push(until.since(now).as_millis() as u64);
        given.seconds += 3600;
        given.when(AgentInput::Reconsider);
    }
    assert_eq!(pauses, [limits::LIMIT_PAUSE_MILLIS, 2 * limits::LIMIT_PAUSE_MILLIS]);
    given.seen(vec![limited(None), item("a"), failed()]);
    assert_eq!(given.held(), None, "it went on after it was told so: that was not why");
}

#[test]
fn somebody_may_hold_an_agent_and_let_it_go_on() {
    let mut given = Given::ready(Some("one"));
    assert_eq!(given.try_when(AgentInput::Release).unwrap_err().code, Code::InputRefused);
    assert_eq!(given.when(AgentInput::Hold), ["held"]);
    assert_eq!(given.when(AgentInput::Hold), [""; 0]);
    assert_eq!(given.seen(vec![completed()]), ["turn_ended", "output_consumed"], "the turn it has goes on");
    given.prompt("two", Delivery::AfterTurn);
    assert_eq!(given.queue(), ["two"]);
    assert_eq!(given.when(AgentInput::Reconsider), [""; 0]);
    assert_eq!(given.when(AgentInput::Release), ["released", "turn_started"]);
}

fn call(key: &str) -> Vec<Observed> {
    let (parent, kind, title, input) = (None, ItemKind::Tool, "bash".into(), "ls".into());
    vec![
        Observed::ItemStarted { key: key.into(), parent, kind, title, input },
        Observed::Text { key: key.into(), first: true, text: "nothing new".into() },
        Observed::ItemEnded { key: key.into(), status: ItemStatus::Completed },
    ]
}

#[test]
fn an_agent_that_goes_round_in_circles_is_told_of_or_held_with_the_calls_that_show_it() {
    for (on_loop, expected) in
        [(OnLoop::Warn, &["looped"][..]), (OnLoop::Hold, &["looped", "held", "cancel_asked"]), (OnLoop::Ignore, &[])]
    {
        let mut given = Given::on(AgentTerms { on_loop, ..AgentTerms::default() });
        given.prompt("one", Delivery::AfterTurn);
        for number in 1..limits::LOOP_CALLS {
            given.seen(call(&number.to_string()));
        }
        let events = given.seen(call("last"));
        assert_eq!(events[3..events.len() - 1], *expected, "{on_loop:?}");
        let looped = given.last.iter().find_map(|event| match event {
            EventBody::Looped(looped) => Some(looped.items.len()),
            _ => None,
        });
        assert_eq!(looped, (on_loop != OnLoop::Ignore).then_some(limits::LOOP_CALLS));
    }
}

fn wants(command: &str) -> Observed {
    let mut asked = asked("q");
    if let Observed::Asked { wants, .. } = &mut asked {
        wants.push(Want::Shell { command: command.into() });
    }
    asked
}

#[test]
fn a_rule_answers_before_anybody_is_asked_and_before_what_is_said_of_questions_in_general() {
    for (rule, command, expected) in [
        ("allow run ls ...", "ls -l", Some(RuleEffect::Allow)),
        ("deny run ls ...", "ls -l", Some(RuleEffect::Deny)),
        ("allow run ls ...", "ls $HOME", None),
    ] {
        for on_ask in [OnAsk::Wait, OnAsk::Deny] {
            let mut given = Given::new(Some("one"), on_ask);
            given.seen(vec![ready()]);
            given.around.rules = [rule.parse().expect("a rule")].into();
            let events = given.seen(vec![wants(command)]);
            match expected {
                Some(_) => assert_eq!(events, ["asked", "rule_applied", "answered", "output_consumed"]),
                None if on_ask == OnAsk::Wait => assert_eq!(events, ["asked", "output_consumed"]),
                None => assert_eq!(events, ["asked", "answered", "output_consumed"]),
            }
            let allowed = given.last.iter().any(|event| {
                matches!(event, EventBody::Answered(answered) if matches!(answered.answer, Answer::Allow { .. }))
            });
            assert_eq!(allowed, expected == Some(RuleEffect::Allow), "{rule} {command}");
        }
    }
}

#[test]
fn a_turn_that_was_taken_for_interrupted_is_settled_by_the_agent_s_own_record() {
    let mut given = Given::ready(Some("one"));
    let turn = deciding::turn_of(first()).to_string();
    given.gone(RunOutcome::Signaled { signal: 9 });
    assert!(matches!(given.outcomes()[..], [TurnOutcome::Interrupted { .. }]));
    given.prompt("two", Delivery::AfterTurn);
    given.when(AgentInput::Started { run: given.agent.life.run, pid: 2, start_ticks: 2 });
    let settled = |turn: &str| Observed::Settled { turn: turn.to_owned(), outcome: TurnOutcome::Completed };
    given.offset = 0;
    assert_eq!(given.seen(vec![settled("another")]), ["output_consumed"]);
    assert_eq!(given.seen(vec![settled(&turn)]), ["turn_settled", "output_consumed"]);
    assert_eq!(given.seen(vec![settled(&turn)]), ["output_consumed"], "once");
    assert_eq!(given.seen(vec![ready()]), ["ready", "output_consumed", "turn_started"]);
}

#[test]
fn an_agent_that_somebody_holds_spends_no_more_than_it_may_and_is_not_steered() {
    let mut given = on(cost(100));
    given.prompt("one", Delivery::AfterTurn);
    given.seen(vec![Observed::Confirmed { name: None }]);
    given.when(AgentInput::Hold);
    given.prompt("steered", Delivery::Steer);
    assert_eq!(given.queue(), ["steered"]);
    assert_eq!(given.seen(vec![used(0, 100)]), ["used", "output_consumed", "budget_warned", "cancel_asked"]);
    assert_eq!(given.held(), Some(&HoldReason::Asked {}));
    given.seen(vec![completed()]);
    assert_eq!(given.try_when(AgentInput::Release).unwrap_err().code, Code::BudgetSpent);
}

#[test]
fn a_turn_that_the_agent_begins_by_itself_beyond_its_budget_is_cancelled() {
    let mut given = on(turns(1));
    given.prompt("one", Delivery::AfterTurn);
    given.seen(vec![completed()]);
    assert!(given.held().is_some());
    let events = given.seen(vec![Observed::Began { name: None }]);
    assert!(events.contains(&"cancel_asked"), "{events:?}");
}

#[test]
fn an_agent_that_is_held_by_two_budgets_waits_for_the_one_that_is_left() {
    let mut given = on(cost(10));
    given.around.day_budget = cost(10);
    given.prompt("one", Delivery::AfterTurn);
    given.seen(vec![used(0, 10)]);
    given.seen(vec![completed()]);
    given.prompt("two", Delivery::AfterTurn);
    assert!(matches!(given.held(), Some(HoldReason::Budget(spent)) if spent.scope == BudgetScope::Agent));
    assert_eq!(given.when(AgentInput::SetBudget { budget: cost(1000) }), ["budget_set", "held"]);
    let held = given.agent.held.clone().expect("it is held");
    assert!(matches!(held.reason, HoldReason::Budget(spent) if spent.scope == BudgetScope::Day));
    assert!(held.until.is_some(), "until the day ends");
    given.seconds = 24 * 60 * 60;
    assert_eq!(given.when(AgentInput::Reconsider), ["released", "turn_started"]);
}

#[test]
fn time_that_is_shared_is_looked_at_again_though_nobody_says_anything() {
    let mut given = on(Budget::default());
    given.around.session_budget = Budget { time_millis: Some(100_000), ..Budget::default() };
    given.around.session_others = Spent { time_millis: 50_000, ..Spent::default() };
    let (text, delivery) = ("one".to_owned(), Delivery::AfterTurn);
    let decision = given.try_when(AgentInput::Prompt { text, delivery }).unwrap();
    let at = |seconds| moment(0, seconds, &Around::default()).mint.now;
    assert_eq!(decision.look_again, Some(at(15)), "others may use it up as well");
    given.seconds = 30;
    let decision = given.try_when(AgentInput::Reconsider).unwrap();
    assert_eq!(decision.events.len(), 1, "it runs out");
    assert_eq!(decision.look_again, Some(at(40)));
    given.seconds = 50;
    assert_eq!(given.when(AgentInput::Reconsider), ["held", "cancel_asked"]);
    given.seen(vec![completed()]);
    assert_eq!(given.try_when(AgentInput::Reconsider).unwrap().look_again, None);
}

#[test]
fn a_day_s_budget_that_others_have_spent_again_holds_until_the_next_day() {
    let mut given = on(Budget::default());
    given.around.day_budget = turns(1);
    given.around.day_others = Spent { turns: 1, ..Spent::default() };
    given.prompt("one", Delivery::AfterTurn);
    let first = given.agent.held.as_ref().and_then(|held| held.until).expect("the day ends");
    given.seconds = 24 * 60 * 60;
    assert_eq!(given.when(AgentInput::Reconsider), ["held"]);
    let second = given.agent.held.as_ref().and_then(|held| held.until).expect("so does the next one");
    assert!(second > first, "somebody has to look again then");
}
