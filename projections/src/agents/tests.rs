use std::time::Duration;

use ropewalk_protocol::{
    AgentAdded, AgentClosed, AgentGreeted, AgentRefused, AgentState, Answer, Answered, AskClosed, AskEnd, Delivery,
    Held, HoldReason, ItemDelta, ItemKind, OutputConsumed, PromptEdited, PromptId, PromptMoved, PromptSteered,
    PromptWithdrawn, Released, RunEnded, RunFailed, RunOutcome, RunStarted, Seq, SessionCreated, SessionEndRequested,
    SessionEnded, SessionState, SettingsChanged, Size, Stream, TerminalClosed, TurnConfirmed, TurnOutcome, TurnSettled,
    Usage, UsageScope, Used, limits,
};

use crate::story::{
    AGENT, OTHER_AGENT, SESSION, Story, ask, asked, ended, errors, item, item_started, joined, output, prompt, queued,
    run, run_asked, started, turn,
};

#[test]
fn an_agent_starts_works_waits_and_is_idle_and_each_state_has_the_event_that_says_so() {
    let mut story = Story::of_an_agent(Some(queued(1, Delivery::AfterTurn)));
    story.is(AgentState::Starting, Seq(2), Seq(2));
    assert_eq!(story.structured().queued, 1);
    story.agent(RunStarted { run: run(1), pid: 4711, start_ticks: 300 });
    story.is(AgentState::Starting, Seq(2), Seq(2));
    let ready = story.ready();
    story.is(AgentState::Idle, ready, ready);
    let began = story.agent(started(1));
    story.is(AgentState::Working, began, began);
    assert_eq!((story.structured().queued, story.structured().turn), (0, Some(turn(1))));
    story.agent(item_started(1, Some(turn(1)), ItemKind::Tool));
    story.is(AgentState::Working, began, began);
    let first = story.agent(asked(1, Some(turn(1)), Vec::new()));
    story.is(AgentState::Waiting, first, first);
    let second = story.agent(asked(2, Some(turn(1)), Vec::new()));
    assert_eq!(story.structured().asks, 2);
    story.agent(Answered { interaction: ask(1), answer: Answer::Allow { always: false }, input: 3 });
    // It waits since the first question, and the second one proves it.
    story.is(AgentState::Waiting, first, second);
    let closed = story.agent(AskClosed { interaction: ask(2), reason: AskEnd::Expired, input: 4 });
    story.is(AgentState::Working, closed, closed);
    let end = story.agent(ended(1, TurnOutcome::Completed));
    story.is(AgentState::Idle, end, end);
    let view = story.structured();
    assert_eq!((view.turn, view.usage.turns, view.asks), (None, 1, 0));
    assert_eq!(view.last_turn.map(|last| (last.turn, last.evidence)), Some((turn(1), end)));
}

#[test]
fn an_agent_that_says_nothing_before_its_first_prompt_takes_prompts_once_it_was_given_one() {
    let mut story = Story::of_an_agent(Some(queued(1, Delivery::AfterTurn)));
    story.agent(RunStarted { run: run(1), pid: 4711, start_ticks: 300 });
    story.agent(started(1));
    assert_eq!(story.state(), AgentState::Working);
    story.agent(ended(1, TurnOutcome::Cancelled));
    assert_eq!(story.state(), AgentState::Idle);
}

#[test]
fn an_agent_without_a_process_is_stopped_whatever_it_left_open_and_the_next_run_begins_anew() {
    let mut story = Story::of_a_ready_agent();
    story.agent(started(1));
    let gone = story.agent(RunEnded { run: run(1), outcome: RunOutcome::Signaled { signal: 9 }, offset: 10 });
    story.is(AgentState::Stopped, gone, gone);
    assert_eq!(story.structured().turn, Some(turn(1)), "it is not settled yet");
    story.agent(ended(1, TurnOutcome::Interrupted { reason: "it is gone".to_owned() }));
    story.is(AgentState::Stopped, gone, gone);
    assert!(!story.projections.agents().get(SESSION, AGENT).unwrap().has_run());
    let again = story.agent(run_asked(2));
    story.is(AgentState::Starting, again, again);
    let view = story.view();
    assert_eq!((view.run, view.terminal, view.pid, view.outcome), (run(2), output(2), None, None));
    assert_eq!(story.structured().errors, errors(2));
    assert_eq!(story.structured().conversation.as_deref(), Some("c-1"), "it goes on with it");
    assert!(story.projections.agents().get(SESSION, AGENT).unwrap().has_run());
    let failed = story.agent(RunFailed { run: run(2), reason: "no such file".to_owned() });
    story.is(AgentState::Stopped, failed, failed);
    // A prompt that nobody was given is settled all the same.
    let mut undelivered = started(2);
    undelivered.input = 0;
    story.agent(undelivered);
    story.agent(ended(2, TurnOutcome::Failed { reason: "no such file".to_owned() }));
    story.is(AgentState::Stopped, failed, failed);
    assert_eq!(story.view().failure.as_deref(), Some("no such file"));
}

#[test]
fn an_agent_that_refuses_to_work_does_not_take_prompts() {
    let mut story = Story::of_a_ready_agent();
    let refused = story.agent(AgentRefused { run: run(1), reason: "not logged in".to_owned() });
    story.is(AgentState::Stopped, refused, refused);
    let closed = story.agent(AgentClosed { reason: "asked to end".to_owned() });
    story.is(AgentState::Closed, closed, closed);
}

#[test]
fn silence_in_a_turn_is_told_by_the_clock_and_only_while_nobody_is_asked() {
    let silent = Duration::from_millis(limits::STALL_MILLIS + 1);
    let mut story = Story::of_a_ready_agent();
    let state = |story: &Story| story.view_after(silent).structured.unwrap().status;
    assert_eq!(state(&story).state, AgentState::Idle);
    story.agent(started(1));
    story.agent(TurnConfirmed { turn: turn(1), name: None });
    story.agent(item_started(1, Some(turn(1)), ItemKind::Text));
    let word = story.agent(ItemDelta { item: item(1), text: "hm".to_owned() });
    // What others do, and output that means nothing, is no word of the agent's.
    story.agent(queued(2, Delivery::AfterTurn));
    story.agent(OutputConsumed { run: run(1), offset: 300, part: 0, written: 2 });
    let status = state(&story);
    assert_eq!((status.state, status.evidence), (AgentState::Stalled, word));
    assert_eq!(status.since, crate::story::at(word), "since it fell silent");
    assert_eq!(story.view_after(silent - Duration::from_secs(3)).structured.unwrap().status.state, AgentState::Working);
    story.agent(asked(1, Some(turn(1)), Vec::new()));
    assert_eq!(state(&story).state, AgentState::Waiting);
    let answered = story.agent(Answered { interaction: ask(1), answer: Answer::Deny { reason: None }, input: 3 });
    assert_eq!(
        story.view_after(Duration::from_millis(limits::STALL_MILLIS)).structured.unwrap().status.evidence,
        answered
    );
    assert_eq!(state(&story).state, AgentState::Stalled);
    story.agent(ended(1, TurnOutcome::Completed));
    assert_eq!(state(&story).state, AgentState::Idle);
}

fn waiting(story: &Story) -> Vec<PromptId> {
    let agent = story.projections.agents().get(SESSION, AGENT).unwrap();
    agent.structured.as_ref().unwrap().prompts().iter().map(|waiting| waiting.prompt).collect()
}

#[test]
fn prompts_wait_in_the_order_in_which_they_are_delivered() {
    let mut story = Story::of_an_agent(Some(queued(1, Delivery::AfterTurn)));
    for (number, delivery) in
        [(2, Delivery::AfterTurn), (3, Delivery::Steer), (4, Delivery::Interrupt), (5, Delivery::AfterTurn)]
    {
        story.agent(queued(number, delivery));
    }
    assert_eq!(waiting(&story), [3, 4, 1, 2, 5].map(prompt));
    story.agent(PromptMoved { prompt: prompt(5), before: Some(prompt(4)) });
    assert_eq!(waiting(&story), [3, 5, 4, 1, 2].map(prompt));
    story.agent(PromptMoved { prompt: prompt(3), before: None });
    assert_eq!(waiting(&story), [5, 4, 1, 2, 3].map(prompt));
    story.agent(PromptWithdrawn { prompt: prompt(4) });
    story.agent(PromptSteered { turn: turn(9), prompt: prompt(3), input: 9 });
    story.agent(started(5));
    assert_eq!(waiting(&story), [1, 2].map(prompt));
    assert_eq!(story.structured().queued, 2);
    story.agent(AgentClosed { reason: "asked to end".to_owned() });
    assert_eq!(waiting(&story), []);
}

#[test]
fn a_prompt_that_waits_is_shown_by_its_beginning_and_by_the_event_that_has_all_of_it() {
    let mut story = Story::of_an_agent(Some(queued(1, Delivery::Steer)));
    let text = "ž".repeat(300);
    let edited = story.agent(PromptEdited { prompt: prompt(1), text: text.clone() });
    let agent = story.projections.agents().get(SESSION, AGENT).unwrap();
    let [shown] = agent.structured.as_ref().unwrap().prompts() else { panic!("one prompt") };
    assert_eq!((shown.preview.as_str(), shown.bytes), (&text[..400], 600));
    assert_eq!((shown.seq, shown.at), (edited, crate::story::at(Seq(2))), "it waits since it was queued");
}

#[test]
fn a_conversation_may_be_known_before_prompts_are_taken() {
    let mut story = Story::of_an_agent(None);
    story.agent(AgentGreeted { run: run(1), step: 1, conversation: Some("c-0".to_owned()), input: 2 });
    story.agent(AgentGreeted { run: run(1), step: 2, conversation: None, input: 3 });
    assert_eq!(story.structured().conversation.as_deref(), Some("c-0"));
    assert_eq!(story.state(), AgentState::Starting);
}

#[test]
fn what_an_agent_tells_of_itself_and_what_it_is_to_use_is_shown() {
    let mut story = Story::of_a_ready_agent();
    let view = story.structured();
    assert_eq!(
        (view.version.as_deref(), view.model.as_deref(), view.mode.as_deref()),
        (Some("2.0"), Some("sonnet"), Some("plan"))
    );
    story.agent(SettingsChanged { model: Some("opus".to_owned()), mode: None, input: 2 });
    let view = story.structured();
    assert_eq!((view.model.as_deref(), view.mode.as_deref()), (Some("opus"), Some("plan")));
    assert_eq!(view.name, "reviewer-1");
    let usage = Usage {
        scope: UsageScope::Run,
        input_tokens: 30,
        cached_tokens: 20,
        output_tokens: 10,
        cost_micro_usd: Some(5),
        context_tokens: None,
        context_tokens_max: None,
    };
    story.agent(Used { turn: None, usage: usage.clone() });
    story.agent(run_asked(2));
    story.agent(Used { turn: None, usage });
    let total = story.structured().usage;
    assert_eq!((total.input_tokens, total.output_tokens, total.cost_micro_usd), (60, 20, Some(10)));
}

#[test]
fn a_program_that_somebody_ended_has_not_failed_and_one_that_ended_before_has() {
    let run_as = |ends: bool, code| {
        let mut story = Story::default();
        story.session(SessionCreated { name: None, workspace: None });
        story.session(AgentAdded {
            agent: AGENT,
            provider: "terminal".to_owned(),
            argv: vec!["sh".to_owned()],
            directory: "/home/ada/work".to_owned(),
            run: run(1),
            terminal: output(1),
            size: Size { cols: 80, rows: 24 },
        });
        if ends {
            story.session(SessionEndRequested {});
        }
        story.agent(RunEnded { run: run(1), outcome: RunOutcome::Exited { code }, offset: 10 });
        story.session(SessionEndRequested {});
        story.session(SessionEnded { reason: "all ended".to_owned() });
        let agent = story.view();
        let status = story.projections.sessions().get(SESSION).unwrap().status.clone();
        assert_eq!(status.state, SessionState::Ended);
        agent.has_failed()
    };
    assert!(run_as(false, 1));
    assert!(!run_as(false, 0));
    assert!(!run_as(true, 129), "by SIGHUP, since it was asked to end");
}

#[test]
fn a_session_runs_while_an_agent_of_it_does_and_is_stopped_until_the_next_prompt() {
    let mut story = Story::of_an_agent(None);
    let state = |story: &Story| story.projections.sessions().get(SESSION).unwrap().status.clone();
    let told = |story: &Story| (state(story).state, state(story).evidence);
    assert_eq!(told(&story), (SessionState::Starting, Seq(2)));
    let running = story.agent(RunStarted { run: run(1), pid: 4711, start_ticks: 300 });
    assert_eq!(told(&story), (SessionState::Running, running));
    story.session(joined(OTHER_AGENT, 3, None));
    let ended = |number| RunEnded { run: run(number), outcome: RunOutcome::Exited { code: 0 }, offset: 10 };
    story.agent(ended(1));
    assert_eq!(told(&story), (SessionState::Running, running), "the other one's process is there");
    let stopped = story.tell(Stream::Agent(SESSION, OTHER_AGENT), ended(3));
    assert_eq!(told(&story), (SessionState::Stopped, stopped));
    let asked = story.agent(run_asked(4));
    assert_eq!(told(&story), (SessionState::Starting, asked));
    story.agent(RunStarted { run: run(4), pid: 4712, start_ticks: 400 });
    assert_eq!(state(&story).state, SessionState::Running);
    story.agent(AgentClosed { reason: "asked to end".to_owned() });
    assert_eq!(state(&story).state, SessionState::Stopped, "the one that is left has no process");
    story.session(SessionEndRequested {});
    assert_eq!(state(&story).state, SessionState::Ending, "the agents are still to be closed");
    story.tell(Stream::Agent(SESSION, OTHER_AGENT), AgentClosed { reason: "asked to end".to_owned() });
    story.session(SessionEnded { reason: "asked to end".to_owned() });
    assert_eq!(state(&story).state, SessionState::Ended);
}

#[test]
fn what_an_agent_writes_is_known_as_a_stream_without_a_screen() {
    let mut story = Story::of_an_agent(None);
    story.agent(run_asked(2));
    for stream in [output(1), errors(1), output(2), errors(2)] {
        assert!(story.projections.terminals().get(stream).is_some_and(|facts| facts.pipe), "{stream}");
    }
    let session = story.projections.session(SESSION, story.now()).unwrap();
    assert_eq!((session.terminals, session.agents.len()), (Vec::new(), 1));
    story.tell(ropewalk_protocol::Stream::Terminal(SESSION, errors(1)), TerminalClosed { offset: 300 });
    assert_eq!(story.projections.terminals().get(errors(1)).unwrap().closed_at, Some(300));
    assert_eq!(story.projections.terminals().get(output(1)).unwrap().closed_at, None);
}

#[test]
fn an_agent_that_is_held_is_parked_between_turns_and_a_loop_is_shown_with_the_calls_that_make_it() {
    let mut story = Story::of_a_ready_agent();
    story.agent(started(1));
    let calls: Vec<Seq> =
        (1..=3).map(|number| story.agent(item_started(number, Some(turn(1)), ItemKind::Tool))).collect();
    let items = vec![item(1), item(3)];
    let held = story.agent(Held { reason: HoldReason::Loop { items }, until: None });
    assert_eq!(story.state(), AgentState::Working, "its turn goes on");
    let end = story.agent(ended(1, TurnOutcome::Cancelled));
    story.is(AgentState::Parked, end, end);
    let view = story.structured().held.expect("it is held");
    assert_eq!((view.evidence, view.since), (vec![calls[0], calls[2], held], crate::story::at(held)));
    let released = story.agent(Released {});
    story.is(AgentState::Idle, released, released);
    story.agent(Held { reason: HoldReason::Asked {}, until: None });
    story.agent(RunEnded { run: run(1), outcome: RunOutcome::Exited { code: 0 }, offset: 10 });
    assert_eq!(story.state(), AgentState::Parked, "no prompt starts it again");
    story.agent(AgentClosed { reason: "asked to end".to_owned() });
    assert_eq!((story.state(), story.structured().held), (AgentState::Closed, None));
}

#[test]
fn a_turn_that_is_settled_anew_ended_as_the_agent_s_record_says() {
    let mut story = Story::of_a_ready_agent();
    story.agent(started(1));
    story.agent(ended(1, TurnOutcome::Interrupted { reason: "it is gone".to_owned() }));
    story.agent(TurnSettled { turn: turn(2), outcome: TurnOutcome::Completed });
    let settled = story.agent(TurnSettled { turn: turn(1), outcome: TurnOutcome::Completed });
    let last = story.structured().last_turn.expect("a turn");
    assert_eq!((last.outcome, last.evidence), (TurnOutcome::Completed, settled));
}
