use ropewalk_protocol::{
    DayBudgetSet, Event, EventBody, Rule, Seq, SessionBudgetSet, SessionDeleted, SessionRulesSet, Usage, UsageScope,
    Used, WorkspaceRulesSet,
};

use super::*;
use crate::Projections;
use crate::story::{AGENT, SESSION, Story, ended, started, turn};

const DAY_MICROS: u64 = 24 * 60 * 60 * 1_000_000;

fn rules(texts: &[&str]) -> Vec<Rule> {
    texts.iter().map(|text| text.parse().expect("a rule")).collect()
}

fn used(tokens: u64) -> Used {
    let usage = Usage {
        scope: UsageScope::Call,
        input_tokens: tokens,
        cached_tokens: 0,
        output_tokens: 0,
        cost_micro_usd: None,
        context_tokens: None,
        context_tokens_max: None,
    };
    Used { turn: Some(turn(1)), usage }
}

/// Tells it on this day, at this second of it.
fn tell(projections: &mut Projections, day: u64, second: u64, body: impl Into<EventBody>) {
    let at = Timestamp::from_unix_micros(day * DAY_MICROS + second * 1_000_000);
    let (seq, stream) = (projections.seq().next(), Stream::Agent(SESSION, AGENT));
    projections.apply(&Event { seq, stream, at, cause: None, body: body.into() });
}

fn day_spent(projections: &Projections, day: u64) -> (u64, u64, u64) {
    let spent = projections.policies().day_spent(Timestamp::from_unix_micros(day * DAY_MICROS + DAY_MICROS - 1));
    (spent.tokens, spent.turns, spent.time_millis)
}

#[test]
fn what_a_day_has_cost_is_what_its_events_added() {
    let mut projections = Story::of_a_ready_agent().projections;
    tell(&mut projections, 30_000, 10, started(1));
    tell(&mut projections, 30_000, 11, used(5));
    tell(&mut projections, 30_000, 20, ended(1, ropewalk_protocol::TurnOutcome::Completed));
    assert_eq!(day_spent(&projections, 30_000), (5, 1, 10_000));
    assert_eq!(day_spent(&projections, 30_001), (0, 0, 0), "a new day has cost nothing");
    tell(&mut projections, 30_001, 0, used(7));
    assert_eq!(day_spent(&projections, 30_001), (7, 0, 0));
    tell(&mut projections, 30_000, 99, used(100));
    assert_eq!(day_spent(&projections, 30_001), (7, 0, 0), "the clock went back: that day is over");
    let now = Timestamp::from_unix_micros(30_001 * DAY_MICROS);
    assert_eq!(projections.agents().spent(SESSION, now).tokens, 112, "the session's agents count all of it");
}

#[test]
fn rules_hold_in_their_session_and_for_whoever_works_in_their_directory_or_below() {
    let mut story = Story::of_an_agent(None);
    let set =
        |directory: &str, texts: &[&str]| WorkspaceRulesSet { directory: directory.to_owned(), rules: rules(texts) };
    story.session(SessionRulesSet { rules: rules(&["deny run rm ..."]) });
    story.tell(Stream::Machine, set("/home/ada/project", &["allow run ls"]));
    story.tell(Stream::Machine, set("/home/ada/proj", &["allow run never"]));
    story.tell(Stream::Machine, set("/", &["ask run sudo ..."]));
    let hold = |story: &Story, directory: &str| -> Vec<String> {
        let rules = story.projections.policies().rules(SESSION, directory);
        rules.iter().map(ToString::to_string).collect()
    };
    assert_eq!(hold(&story, "/home/ada/project/a"), ["deny run rm ...", "ask run sudo ...", "allow run ls"]);
    assert_eq!(hold(&story, "/home/ada/projects"), ["deny run rm ...", "ask run sudo ..."]);
    story.tell(Stream::Machine, set("/", &[]));
    assert_eq!(hold(&story, "/tmp"), ["deny run rm ..."]);
    assert_eq!(story.projections.policies().workspaces().len(), 2);
}

#[test]
fn what_was_said_of_a_session_goes_with_it_and_all_of_it_survives_a_checkpoint() {
    let mut story = Story::of_an_agent(None);
    let budget = Budget { turns: Some(3), ..Budget::default() };
    story.session(SessionBudgetSet { budget });
    story.session(SessionRulesSet { rules: rules(&["deny run rm ..."]) });
    story.tell(Stream::Machine, DayBudgetSet { budget });
    let policies = story.projections.policies();
    assert_eq!((policies.session_budget(SESSION), policies.day_budget()), (budget, budget));
    let again = Projections::from_checkpoint(&story.projections.checkpoint()).expect("a checkpoint of this build");
    assert_eq!((&again, again.seq()), (&story.projections, Seq(5)));
    story.session(SessionDeleted {});
    let policies = story.projections.policies();
    assert_eq!((policies.session_budget(SESSION), policies.session_rules(SESSION).len()), (Budget::default(), 0));
    assert_eq!(policies.day_budget(), budget);
}
