use ropewalk_protocol::{
    AgentJoined, Delivery, Event, OnAsk, PromptQueued, PromptSteered, PromptTaken, RunAsked, RunId, TerminalId,
    Timestamp, TurnEnded, TurnOutcome, TurnStarted,
};

use super::*;

const SESSION: SessionId = SessionId::from_bytes([1; 16]);
const AGENT: AgentId = AgentId::from_bytes([2; 16]);
const RUN: RunId = RunId::from_bytes([3; 16]);
const STEERED: PromptId = PromptId::from_bytes([5; 16]);

fn turn(number: u8) -> TurnId {
    TurnId::from_bytes([number; 16])
}

fn queued(number: u8, delivery: Delivery) -> PromptQueued {
    PromptQueued { prompt: PromptId::from_bytes([number; 16]), text: String::new(), delivery }
}

fn joined() -> AgentJoined {
    let (output, errors) = (TerminalId::from_bytes([8; 16]), TerminalId::from_bytes([9; 16]));
    AgentJoined {
        agent: AGENT,
        provider: "scripted".to_owned(),
        name: "worker".to_owned(),
        parent: None,
        command: Vec::new(),
        directory: "/".to_owned(),
        model: None,
        mode: None,
        on_ask: OnAsk::Wait,
        run: RunAsked { run: RUN, output, errors, argv: Vec::new() },
        prompt: Some(queued(4, Delivery::AfterTurn)),
        terms: Box::default(),
    }
}

/// The story of an agent with one prompt on its way into its first turn, of which it then tells this.
async fn told(bodies: Vec<EventBody>) -> Story {
    let steered = EventBody::from(PromptSteered { turn: turn(4), prompt: STEERED, input: 2 });
    let begun = [
        TurnStarted { turn: turn(4), prompt: Some(PromptId::from_bytes([4; 16])), run: RUN, input: 1 }.into(),
        queued(5, Delivery::Steer).into(),
        steered,
    ];
    let event = |seq, stream, body| Event { seq: Seq(seq), stream, at: Timestamp::default(), cause: None, body };
    let mut events = vec![event(1, Stream::Session(SESSION), joined().into())];
    let of_agent = begun.into_iter().chain(bodies).zip(2..);
    events.extend(of_agent.map(|(body, seq)| event(seq, Stream::Agent(SESSION, AGENT), body)));
    let (sender, items) = mpsc::channel(1);
    let mut story = Story {
        session: SESSION,
        agent: AGENT,
        facts: Projections::default(),
        transcript: Transcript::default(),
        cancelled: None,
        settled: VecDeque::new(),
        kept: 1,
        wanted: Some(STEERED),
        found: None,
        dropped: 0,
        items,
    };
    sender.send(SubscriptionItem::Events(events)).await.expect("it has room");
    assert!(!story.goes_on().await.expect("it goes on"));
    story
}

fn ended(number: u8) -> EventBody {
    TurnEnded { turn: turn(number), outcome: TurnOutcome::Completed }.into()
}

fn began_with(number: u8) -> EventBody {
    let prompt = Some(PromptId::from_bytes([number; 16]));
    TurnStarted { turn: turn(number), prompt, run: RUN, input: 3 }.into()
}

/// The turn that the steered prompt was in, as far as it is known.
fn given_in(story: &Story) -> Option<TurnId> {
    story.turn_with(STEERED).and_then(|turn| turn.turn)
}

#[tokio::test]
async fn a_prompt_that_the_agent_takes_into_its_turn_is_told_of_with_that() {
    let taken = || PromptTaken { turn: turn(4), prompt: STEERED }.into();
    let open = told(vec![taken()]).await;
    assert_eq!((given_in(&open), open.has_settled(STEERED)), (Some(turn(4)), false));
    let late = told(vec![ended(4)]).await;
    assert!(!late.has_settled(STEERED), "nobody knows yet whether it was in it");
    let settled = told(vec![ended(4), taken()]).await;
    assert_eq!((given_in(&settled), settled.has_settled(STEERED)), (Some(turn(4)), true));
}

#[tokio::test]
async fn a_prompt_that_came_too_late_for_a_turn_is_told_of_with_its_own() {
    let again = || queued(5, Delivery::Steer).into();
    let waits = told(vec![ended(4), again()]).await;
    assert_eq!((given_in(&waits), waits.has_settled(STEERED)), (None, false));
    let own = told(vec![ended(4), again(), began_with(5), ended(5)]).await;
    assert_eq!((given_in(&own), own.has_settled(STEERED)), (Some(turn(5)), true));
    // However old its turn is.
    let old = told(vec![ended(4), again(), began_with(5), ended(5), began_with(6), ended(6)]).await;
    assert_eq!((given_in(&old), old.dropped), (Some(turn(5)), 2));
}
