//! Given events, when something comes, then these events.

mod limited;
mod steered;

use ropewalk_protocol::{
    AgentId, AgentJoined, AgentTerms, Answer, AskEffect, AskKind, AskOption, Code, Delivery, EventBody, ItemKind,
    ItemStatus, OnAsk, PromptId, PromptQueued, RunAsked, RunId, RunOutcome, SessionId, TerminalId, Timestamp,
    TurnOutcome,
};

use super::*;
use crate::core::{Around, Mint, Moment};

const RUN: RunId = RunId::from_bytes([3; 16]);

/// The `number`th decision, so many seconds after five.
fn moment(number: u8, seconds: u64, around: &Around) -> Moment {
    let now = Timestamp::from_unix_micros(5_000_000).plus_millis(seconds * 1000);
    Moment { mint: Mint::new([number; 16], now), around: around.clone() }
}

fn joined(prompt: Option<&str>, on_ask: OnAsk) -> AgentJoined {
    let (output, errors) = (TerminalId::from_bytes([4; 16]), TerminalId::from_bytes([5; 16]));
    AgentJoined {
        agent: AgentId::from_bytes([2; 16]),
        provider: "scripted".into(),
        name: "scripted".into(),
        parent: None,
        command: vec!["agent".into()],
        directory: "/".into(),
        model: None,
        mode: None,
        on_ask,
        run: RunAsked { run: RUN, output, errors, argv: vec!["agent".into()] },
        prompt: prompt.map(|text| PromptQueued { prompt: first(), text: text.into(), delivery: Delivery::AfterTurn }),
        terms: Box::default(),
    }
}

fn first() -> PromptId {
    PromptId::from_bytes([9; 16])
}

/// An agent and what was decided, by name.
struct Given {
    agent: Structured,
    offset: u64,
    last: Vec<EventBody>,
    /// How many decisions there were.
    decided: u8,
    /// How late it is.
    seconds: u64,
    around: Around,
    /// Whose command the next input is.
    by: Option<&'static str>,
}

impl Given {
    fn new(prompt: Option<&str>, on_ask: OnAsk) -> Self {
        Self::of(&joined(prompt, on_ask))
    }

    fn of(joined: &AgentJoined) -> Self {
        let (agent, around) = (Structured::joined(joined), Around::default());
        let mut given = Self { agent, offset: 0, last: Vec::new(), decided: 0, seconds: 0, around, by: None };
        given.when(AgentInput::Started { run: RUN, pid: 1, start_ticks: 1 });
        given
    }

    /// One with these terms, that takes prompts.
    fn on(terms: AgentTerms) -> Self {
        let mut given = Self::of(&AgentJoined { terms: Box::new(terms), ..joined(None, OnAsk::Wait) });
        given.seen(vec![ready()]);
        given
    }

    fn ready(prompt: Option<&str>) -> Self {
        let mut given = Self::new(prompt, OnAsk::Wait);
        given.seen(vec![ready()]);
        given
    }

    fn try_when(&mut self, input: AgentInput) -> Result<Decision, Rejection> {
        self.decided += 1;
        let moment = moment(self.decided, self.seconds, &self.around);
        let decision = self.agent.decide(&Input::Agent(input), &moment)?;
        for event in &decision.events {
            self.agent.apply(moment.mint.now, self.by, event);
        }
        self.last.clone_from(&decision.events);
        Ok(decision)
    }

    fn when(&mut self, input: AgentInput) -> Vec<&str> {
        self.try_when(input).expect("it is not refused");
        self.last.iter().map(|event| event.name().strip_prefix("agent.").unwrap_or_default()).collect()
    }

    fn seen(&mut self, seen: Vec<Observed>) -> Vec<&str> {
        let run = self.agent.life.run;
        self.offset += 100;
        let to = Consumed { offset: self.offset, part: 0, written: 0 };
        let seen = seen.into_iter().map(|observed| Seen { observed, offset: self.offset - 100, length: 99 }).collect();
        self.when(AgentInput::Observed { run, seen, to })
    }

    fn prompt(&mut self, text: &str, delivery: Delivery) -> PromptId {
        self.try_when(AgentInput::Prompt { text: text.into(), delivery }).expect("it is queued");
        let queued = self.last.iter().find_map(|event| match event {
            EventBody::PromptQueued(queued) => Some(queued.prompt),
            _ => None,
        });
        queued.expect("a prompt is queued")
    }

    fn queue(&self) -> Vec<&str> {
        self.agent.queue.iter().map(|waiting| waiting.text.as_str()).collect()
    }

    fn gone(&mut self, outcome: RunOutcome) -> Vec<&str> {
        let run = self.agent.life.run;
        let last_words = "no such model".into();
        self.when(AgentInput::Gone { run, outcome, offset: self.offset, last_words })
    }

    fn outcomes(&self) -> Vec<TurnOutcome> {
        let ended = self.last.iter().filter_map(|event| match event {
            EventBody::TurnEnded(ended) => Some(ended.outcome.clone()),
            _ => None,
        });
        ended.collect()
    }
}

fn ready() -> Observed {
    Observed::Ready { conversation: Some("c1".into()), version: None, model: None, mode: None }
}

fn item(key: &str) -> Observed {
    let (parent, title, input) = (None, String::new(), String::new());
    Observed::ItemStarted { key: key.into(), parent, kind: ItemKind::Text, title, input }
}

fn asked(key: &str) -> Observed {
    let option = |id: &str, effect| AskOption { id: id.into(), name: id.into(), effect };
    Observed::Asked {
        key: key.into(),
        item: None,
        kind: AskKind::Permission,
        title: "touch x".into(),
        detail: String::new(),
        options: vec![option("once", AskEffect::Allow), option("no", AskEffect::Deny)],
        wants: Vec::new(),
    }
}

fn completed() -> Observed {
    Observed::TurnEnded { outcome: TurnOutcome::Completed }
}

fn exited(code: i32) -> RunOutcome {
    RunOutcome::Exited { code }
}

#[test]
fn the_first_prompt_is_delivered_once_the_agent_is_ready_and_once_only() {
    let mut given = Given::new(Some("hello"), OnAsk::Wait);
    assert_eq!(given.agent.life.outbox.len(), 1, "the greeting");
    assert_eq!(given.seen(vec![Observed::Greeted { step: 1 }]), ["greeted", "output_consumed"]);
    assert_eq!(given.seen(vec![ready()]), ["ready", "output_consumed", "turn_started"]);
    let outgoing = given.agent.life.outbox.back();
    let (turn, conversation, text) = (first().to_string(), Some("c1".into()), "hello".into());
    let prompt = Outgoing::Prompt { turn, conversation, text, model: None, mode: None };
    assert_eq!(outgoing, Some(&(3, prompt)));
    assert_eq!(given.seen(vec![ready()]), ["output_consumed"]);
}

#[test]
fn what_was_taken_in_before_changes_nothing() {
    let mut given = Given::ready(Some("hello"));
    let to = Consumed { offset: 100, part: 0, written: 0 };
    let seen = vec![Seen { observed: completed(), offset: 0, length: 99 }];
    let again = AgentInput::Observed { run: RUN, seen, to };
    assert_eq!(given.when(again), [""; 0]);
}

#[test]
fn writes_that_the_process_has_are_not_handed_over_again() {
    let mut given = Given::ready(Some("hello"));
    let to = Consumed { offset: 300, part: 0, written: 1 };
    given.when(AgentInput::Observed { run: RUN, seen: vec![item("a").into()], to });
    let numbers: Vec<u64> = given.agent.life.outbox.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, [2]);
}

impl From<Observed> for Seen {
    fn from(observed: Observed) -> Self {
        Self { observed, offset: 200, length: 99 }
    }
}

#[test]
fn one_prompt_is_one_turn_and_the_next_waits() {
    let mut given = Given::ready(Some("one"));
    let two = given.prompt("two", Delivery::AfterTurn);
    assert_eq!(given.queue(), ["two"]);
    assert_eq!(given.seen(vec![completed()]), ["turn_ended", "output_consumed", "turn_started"]);
    assert_eq!(given.agent.turn.as_ref().map(|turn| turn.id), Some(deciding::turn_of(two)));
}

#[test]
fn what_is_urgent_stands_before_what_may_wait() {
    let mut given = Given::ready(Some("one"));
    given.prompt("later", Delivery::AfterTurn);
    given.prompt("steered", Delivery::Steer);
    given.prompt("now", Delivery::Interrupt);
    assert_eq!(given.queue(), ["steered", "now", "later"], "an agent that has not shown that it works is not steered");
    assert!(given.agent.is_cancelling());
}

#[test]
fn a_steered_prompt_goes_into_the_turn_that_the_agent_works_on() {
    let mut given = Given::ready(Some("one"));
    given.seen(vec![Observed::Confirmed { name: Some("t1".into()) }]);
    given.prompt("left", Delivery::Steer);
    assert_eq!(given.queue(), [""; 0]);
    let Some((_, Outgoing::Steer { turn, text, .. })) = given.agent.life.outbox.back() else { panic!("it is written") };
    assert_eq!((turn.as_deref(), text.as_str()), (Some("t1"), "left"));
}

#[test]
fn prompts_that_wait_are_edited_moved_and_withdrawn_and_others_are_not_found() {
    let mut given = Given::ready(Some("one"));
    let (a, bb) = (given.prompt("a", Delivery::AfterTurn), given.prompt("bb", Delivery::AfterTurn));
    given.when(AgentInput::MovePrompt { prompt: bb, before: Some(a) });
    given.when(AgentInput::EditPrompt { prompt: a, text: "A".into() });
    assert_eq!(given.queue(), ["bb", "A"]);
    given.when(AgentInput::WithdrawPrompt { prompt: bb });
    assert_eq!(given.queue(), ["A"]);
    let rejection = given.try_when(AgentInput::WithdrawPrompt { prompt: first() }).unwrap_err();
    assert_eq!(rejection.code, Code::NotFound, "it was delivered");
}

#[test]
fn a_turn_that_ends_takes_its_items_and_questions_with_it() {
    let mut given = Given::ready(Some("one"));
    given.seen(vec![item("a"), asked("q")]);
    assert_eq!(given.seen(vec![completed()]), ["ask_closed", "item_ended", "turn_ended", "output_consumed"]);
    let Some(EventBody::ItemEnded(ended)) = given.last.get(1) else { panic!("the item ends") };
    assert_eq!(ended.status, ItemStatus::Orphaned);
}

#[test]
fn the_first_answer_counts_and_the_second_is_told_so() {
    let mut given = Given::ready(Some("one"));
    given.seen(vec![asked("q")]);
    let interaction = given.agent.asks[0].id;
    let allow = AgentInput::Answer { interaction, answer: Answer::Allow { always: false } };
    given.by = Some("phone");
    assert_eq!(given.when(allow.clone()), ["answered"]);
    let Some((_, Outgoing::Answer { key, offset, length, .. })) = given.agent.life.outbox.back() else { panic!() };
    assert_eq!((key.as_str(), *offset, *length), ("q", 100, 99));
    let rejection = given.try_when(allow).unwrap_err();
    assert_eq!(rejection.code, Code::AlreadyAnswered);
    assert_eq!(rejection.message, "the question is closed: phone answered it at 1970-01-01T00:00:05.000000Z: allowed");
}

#[test]
fn an_answer_that_is_none_is_refused() {
    let mut given = Given::ready(Some("one"));
    given.seen(vec![asked("q")]);
    let interaction = given.agent.asks[0].id;
    let wrong = [
        Answer::Allow { always: true },
        Answer::Choose { option: "other".into() },
        Answer::Text { text: "yes".into() },
    ];
    for answer in wrong {
        let rejection = given.try_when(AgentInput::Answer { interaction, answer }).unwrap_err();
        assert_eq!(rejection.code, Code::InvalidParams);
    }
}

#[test]
fn an_answer_after_the_question_expired_runs_nothing() {
    let mut given = Given::new(Some("one"), OnAsk::WaitMillis(1000));
    given.seen(vec![ready()]);
    given.seen(vec![asked("q")]);
    let ask = &given.agent.asks[0];
    let (interaction, expires) = (ask.id, ask.expires);
    assert_eq!(expires, Some(Timestamp::from_unix_micros(6_000_000)));
    assert_eq!(given.when(AgentInput::AskDue { interaction }), ["ask_closed"]);
    let Some((_, Outgoing::Answer { answer: Answer::Deny { .. }, .. })) = given.agent.life.outbox.back() else {
        panic!("the agent is told")
    };
    let answer = Answer::Allow { always: false };
    let rejection = given.try_when(AgentInput::Answer { interaction, answer }).unwrap_err();
    assert!(rejection.message.contains("expired"), "{rejection}");
}

#[test]
fn without_anyone_there_a_question_is_denied_or_ends_the_turn() {
    for (on_ask, events) in [
        (OnAsk::Deny, &["asked", "answered", "output_consumed"]),
        (OnAsk::Fail, &["asked", "cancel_asked", "output_consumed"]),
    ] {
        let mut given = Given::new(Some("one"), on_ask);
        given.seen(vec![ready()]);
        assert_eq!(given.seen(vec![asked("q")]), events);
    }
}

#[test]
fn a_cancelled_turn_is_cancelled_however_the_agent_calls_it_and_asked_for_once() {
    let mut given = Given::ready(Some("one"));
    assert_eq!(given.when(AgentInput::Cancel { hard: false, turn: None }), ["cancel_asked"]);
    assert_eq!(given.when(AgentInput::Cancel { hard: false, turn: None }), [""; 0]);
    given.seen(vec![Observed::TurnEnded { outcome: TurnOutcome::Failed { reason: "aborted".into() } }]);
    assert_eq!(given.outcomes(), [TurnOutcome::Cancelled]);
    assert_eq!(given.try_when(AgentInput::Cancel { hard: false, turn: None }).unwrap_err().code, Code::InputRefused);
}

#[test]
fn a_turn_that_must_end_at_once_ends_with_the_process_and_is_insisted_on_once() {
    for asked_before in [false, true] {
        let mut given = Given::ready(Some("one"));
        if asked_before {
            assert_eq!(given.when(AgentInput::Cancel { hard: false, turn: None }), ["cancel_asked"]);
            assert!(!given.agent.is_to_stop());
            assert_eq!(given.when(AgentInput::Cancel { hard: true, turn: None }), ["cancel_insisted"]);
        } else {
            assert_eq!(given.when(AgentInput::Cancel { hard: true, turn: None }), ["cancel_asked", "cancel_insisted"]);
        }
        assert!(given.agent.is_to_stop(), "as is known after a restart");
        assert_eq!(given.when(AgentInput::Cancel { hard: true, turn: None }), [""; 0]);
        given.prompt("two", Delivery::AfterTurn);
        // It ends the turn by itself after all: its process is being ended, and is given nothing more.
        let ended = given.seen(vec![Observed::TurnEnded { outcome: TurnOutcome::Completed }]);
        assert!(!ended.contains(&"turn_started"), "{ended:?}");
        assert_eq!((given.queue(), given.outcomes()), (vec!["two"], vec![TurnOutcome::Cancelled]));
        assert!(given.agent.is_to_stop(), "as is known after a restart");
        // What was said meanwhile is for the next process, which is started for it.
        assert_eq!(given.gone(exited(137)), ["run_ended", "run_asked"]);
        assert!(!given.agent.is_to_stop());
    }
}

#[test]
fn a_process_that_has_to_be_ended_for_a_cancel_is_started_again_for_what_waits() {
    for insisted in [false, true] {
        let mut given = Given::ready(Some("one"));
        given.when(AgentInput::Cancel { hard: insisted, turn: None });
        given.prompt("two", Delivery::AfterTurn);
        assert_eq!(given.gone(exited(130)).last(), Some(&"run_asked"));
        assert_eq!(given.outcomes(), [TurnOutcome::Cancelled]);
    }
}

#[test]
fn a_cancel_that_has_had_its_time_is_insisted_on_and_one_of_another_turn_is_refused() {
    let mut given = Given::ready(Some("one"));
    let run = given.agent.life.run;
    assert_eq!(given.when(AgentInput::CancelDue { run }), [""; 0], "nobody cancelled it");
    let other = Some(TurnId::from_bytes([0xee; 16]));
    let refused = given.try_when(AgentInput::Cancel { hard: true, turn: other }).unwrap_err();
    assert_eq!((refused.code, given.agent.is_cancelling()), (Code::InputRefused, false));
    let turn = given.agent.turn.as_ref().map(|turn| turn.id);
    assert_eq!(given.when(AgentInput::Cancel { hard: false, turn }), ["cancel_asked"]);
    assert_eq!(given.when(AgentInput::CancelDue { run: RunId::from_bytes([0xee; 16]) }), [""; 0], "of another run");
    assert_eq!(given.when(AgentInput::CancelDue { run }), ["cancel_insisted"]);
    assert_eq!(given.when(AgentInput::CancelDue { run }), [""; 0]);
}

#[test]
fn a_process_that_dies_interrupts_its_turn_and_the_prompt_is_not_sent_again() {
    let mut given = Given::ready(Some("one"));
    given.prompt("two", Delivery::AfterTurn);
    given.seen(vec![Observed::Confirmed { name: None }, item("a"), asked("q")]);
    let events = given.gone(exited(1));
    assert_eq!(events, ["ask_closed", "item_ended", "turn_ended", "run_ended"]);
    let [TurnOutcome::Interrupted { reason }] = &given.outcomes()[..] else { panic!("interrupted") };
    assert_eq!(reason, "the agent exited with code 1: no such model; it had the prompt");
    assert_eq!(given.queue(), ["two"]);
    let three = AgentInput::Prompt { text: "three".into(), delivery: Delivery::AfterTurn };
    assert_eq!(given.when(three), ["prompt_queued", "run_asked"]);
    let Some((1, Outgoing::Greet { greeting, .. })) = given.agent.life.outbox.front() else { panic!("greeted anew") };
    assert_eq!(greeting.resume.as_deref(), Some("c1"));
}

#[test]
fn an_agent_that_never_took_a_prompt_fails_it_with_its_last_words() {
    let mut given = Given::new(Some("one"), OnAsk::Wait);
    assert_eq!(given.gone(exited(1)), ["run_ended", "turn_started", "turn_ended"]);
    let [TurnOutcome::Failed { reason }] = &given.outcomes()[..] else { panic!("failed") };
    assert!(reason.contains("no such model"), "{reason}");
}

#[test]
fn a_prompt_that_was_lost_with_the_machine_before_its_delivery_is_delivered_by_the_next_run() {
    let mut given = Given::new(Some("one"), OnAsk::Wait);
    let lost = RunOutcome::Interrupted { reason: "the holder died".into() };
    assert_eq!(given.gone(lost), ["run_ended", "run_asked"]);
    assert_eq!(given.queue(), ["one"]);
}

#[test]
fn an_agent_that_refuses_fails_the_prompt_that_is_next() {
    let mut given = Given::new(Some("one"), OnAsk::Wait);
    let events = given.seen(vec![Observed::Refused { reason: "not logged in".into() }]);
    assert_eq!(events, ["refused", "turn_started", "turn_ended", "output_consumed"]);
    assert_eq!(given.gone(exited(1)), ["run_ended"]);
}

#[test]
fn previews_of_one_batch_are_one_preview_and_none_follows_the_text() {
    let mut given = Given::ready(Some("one"));
    let delta = |text: &str| Observed::Delta { key: "a".into(), text: text.into() };
    let text = |first, text: &str| Observed::Text { key: "a".into(), first, text: text.into() };
    assert_eq!(
        given.seen(vec![item("a"), delta("he"), delta("llo")]),
        ["item_started", "item_delta", "output_consumed"]
    );
    assert_eq!(given.seen(vec![text(true, "hello"), delta("late")]), ["item_text", "output_consumed"]);
}

#[test]
fn a_closed_agent_takes_no_prompt_and_is_closed_when_its_process_is_gone() {
    let mut given = Given::ready(Some("one"));
    assert_eq!(given.when(AgentInput::Close), ["close_asked"]);
    assert_eq!(given.gone(RunOutcome::Signaled { signal: 15 }).last(), Some(&"closed"));
    let two = AgentInput::Prompt { text: "two".into(), delivery: Delivery::AfterTurn };
    assert_eq!(given.try_when(two).unwrap_err().code, Code::AlreadyEnded);
    assert_eq!(given.when(AgentInput::Close), [""; 0]);
}

#[test]
fn a_turn_that_nobody_asked_for_is_a_turn_all_the_same() {
    let mut given = Given::ready(None);
    assert_eq!(given.seen(vec![Observed::Began { name: None }]), ["turn_started", "turn_confirmed", "output_consumed"]);
    assert_eq!(given.seen(vec![completed()]), ["turn_ended", "output_consumed"]);
}

#[test]
fn every_write_that_follows_from_an_event_is_carried_out() {
    let given = Given::ready(Some("one"));
    let started = given.last.iter().find(|event| matches!(event, EventBody::TurnStarted(_))).expect("a turn").clone();
    let (session, agent) = (SessionId::from_bytes([1; 16]), AgentId::from_bytes([2; 16]));
    let effects = given.agent.react(session, agent, &started);
    assert!(
        matches!(&effects[..], [Effect::Write { number: 2, outgoing: Outgoing::Prompt { .. }, .. }]),
        "{effects:?}"
    );
}

/// Regression: a turn that was settled in the same batch in which it was cancelled had the next one killed in its place.
#[test]
fn regression_a_cancel_of_a_turn_that_is_settled_is_not_insisted_on() {
    let mut given = Given::new(Some("one"), OnAsk::Fail);
    given.seen(vec![ready()]);
    given.prompt("two", Delivery::AfterTurn);
    given.seen(vec![asked("q"), completed()]);
    let (session, agent) = (SessionId::from_bytes([1; 16]), AgentId::from_bytes([2; 16]));
    let effects: Vec<Effect> = given.last.iter().flat_map(|event| given.agent.react(session, agent, event)).collect();
    assert!(given.agent.turn.is_some(), "the next turn runs");
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Insist { .. })), "{effects:?}");
}

/// Regression: a prompt that was to go into a turn, and was never written, was gone with the process.
#[test]
fn regression_a_steered_prompt_that_was_never_written_waits_again() {
    let mut given = Given::ready(Some("one"));
    given.seen(vec![Observed::Confirmed { name: None }]);
    let left = given.prompt("left", Delivery::Steer);
    assert_eq!(given.queue(), [""; 0]);
    given.gone(exited(1));
    assert_eq!(given.queue(), ["left"]);
    assert_eq!(given.agent.queue[0].prompt, left);
}

/// Regression: each refusal failed another prompt that waited.
#[test]
fn regression_an_agent_that_refuses_twice_fails_one_prompt() {
    let mut given = Given::new(Some("one"), OnAsk::Wait);
    given.prompt("two", Delivery::AfterTurn);
    let refused = || Observed::Refused { reason: "not logged in".into() };
    given.seen(vec![refused(), refused()]);
    assert_eq!(given.outcomes().len(), 1);
    assert_eq!(given.queue(), ["two"]);
    assert!(given.agent.is_to_stop(), "also by a daemon that is started anew");
}

#[test]
fn an_agent_that_reads_nothing_is_told_no_more_than_a_few_things() {
    let mut given = Given::ready(Some("one"));
    given.seen(vec![Observed::Confirmed { name: None }]);
    for number in 0..40 {
        given.prompt(&format!("steer {number}"), Delivery::Steer);
    }
    assert!(given.agent.life.outbox.len() <= 17, "{}", given.agent.life.outbox.len());
    let set = AgentInput::Set { model: Some("m".into()), mode: None };
    assert_eq!(given.try_when(set).unwrap_err().code, Code::Busy);
}

#[test]
fn what_is_done_in_the_background_is_part_of_the_call_that_returned() {
    let mut given = Given::ready(Some("one"));
    let started = |key: &str, parent: Option<&str>, kind| {
        let (parent, title, input) = (parent.map(str::to_owned), String::new(), String::new());
        Observed::ItemStarted { key: key.into(), parent, kind, title, input }
    };
    given.seen(vec![started("call", None, ItemKind::Tool)]);
    let Some(EventBody::ItemStarted(call)) = given.last.first().cloned() else { panic!("it begins") };
    given.seen(vec![Observed::ItemEnded { key: "call".into(), status: ItemStatus::Completed }]);
    given.seen(vec![completed()]);
    given.seen(vec![started("later", Some("call"), ItemKind::Text), started("other", Some("unknown"), ItemKind::Text)]);
    let parents: Vec<_> = given
        .last
        .iter()
        .filter_map(|event| match event {
            EventBody::ItemStarted(started) => Some(started.parent),
            _ => None,
        })
        .collect();
    assert_eq!(parents, [Some(call.item), None]);
}

#[test]
fn a_prompt_that_the_agent_did_not_take_into_its_turn_is_a_turn_of_its_own_before_the_others() {
    let mut given = Given::ready(Some("one"));
    given.seen(vec![Observed::Confirmed { name: None }]);
    given.prompt("last", Delivery::AfterTurn);
    let steered = given.prompt("steered", Delivery::Steer);
    assert_eq!(given.queue(), ["last"]);
    given.agent.life.consumed.written = 99;
    let refused = || Observed::SteerRefused { prompt: steered.to_string() };
    assert_eq!(given.seen(vec![refused()]), ["prompt_queued", "output_consumed"]);
    assert_eq!(given.queue(), ["steered", "last"]);
    assert_eq!(given.seen(vec![refused()]), ["output_consumed"], "once");
    assert_eq!(given.seen(vec![completed()]), ["turn_ended", "output_consumed", "turn_started"]);
    assert_eq!(given.agent.turn.as_ref().map(|turn| turn.id), Some(deciding::turn_of(steered)));
}
