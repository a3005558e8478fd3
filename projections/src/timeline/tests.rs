use ropewalk_protocol::{
    Answer, Answered, AskClosed, AskEnd, Delivery, EventBody, ItemDelta, ItemEnded, ItemKind, ItemStatus, ItemText,
    OutputConsumed, PromptQueued, TurnOutcome,
};

use super::sentence;
use crate::story::{ask, asked, ended, item, item_started, joined, prompt, queued, run, started, turn};

#[test]
fn a_turn_is_told_in_sentences_and_its_pieces_are_left_out() {
    let bodies: Vec<EventBody> = vec![
        joined(crate::story::AGENT, 1, Some(queued(1, Delivery::Interrupt))).into(),
        started(1).into(),
        item_started(1, Some(turn(1)), ItemKind::Text).into(),
        ItemDelta { item: item(1), text: "half".to_owned() }.into(),
        ItemText { item: item(1), first: true, text: "whole".to_owned() }.into(),
        ItemEnded { item: item(1), status: ItemStatus::Completed }.into(),
        OutputConsumed { run: run(1), offset: 10, part: 0, written: 1 }.into(),
        item_started(2, Some(turn(1)), ItemKind::Tool).into(),
        asked(1, Some(turn(1)), Vec::new()).into(),
        Answered { interaction: ask(1), answer: Answer::Deny { reason: Some("no\nway".to_owned()) }, input: 2 }.into(),
        ItemEnded { item: item(2), status: ItemStatus::Declined }.into(),
        AskClosed { interaction: ask(2), reason: AskEnd::AgentGone, input: 0 }.into(),
        ended(1, TurnOutcome::Failed { reason: "the model said 500".to_owned() }).into(),
    ];
    let sentences: Vec<String> = bodies.iter().filter_map(sentence).collect();
    assert_eq!(
        sentences,
        [
            "agent reviewer-1 (claude) joined in /home/ada/work; prompt, at once: prompt 1",
            "turn started",
            "tool: title 2",
            "agent asks: may I 1?",
            "answered: denied: no way",
            "a step was declined",
            "question is of no use: the agent is gone",
            "turn failed: the model said 500",
        ]
    );
}

#[test]
fn a_long_prompt_is_quoted_by_its_beginning() {
    let say = |text: String| {
        let queued = PromptQueued { prompt: prompt(1), text, delivery: Delivery::AfterTurn };
        sentence(&queued.into()).expect("a sentence")
    };
    assert_eq!(say("two\n  words ".to_owned()), "prompt: two words");
    for long in ["ž".repeat(30_000), "ž ".repeat(15_000)] {
        let said = say(long);
        assert!(said.chars().count() < 140 && said.ends_with('…'), "{said}");
    }
}
