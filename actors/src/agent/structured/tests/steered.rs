//! Prompts into a running turn: each is delivered once, or is a turn of its own.

use super::*;

/// An agent that works on a turn.
fn working() -> Given {
    let mut given = Given::ready(Some("one"));
    given.seen(vec![Observed::Confirmed { name: Some("t1".into()) }]);
    given
}

fn taken(prompt: PromptId) -> Observed {
    Observed::SteerTaken { prompt: prompt.to_string() }
}

fn refused(prompt: PromptId) -> Observed {
    Observed::SteerRefused { prompt: prompt.to_string() }
}

/// The process has read all that was written to it.
fn reads(given: &mut Given) {
    let to = Consumed { offset: given.offset, part: 0, written: given.agent.life.next_input() - 1 };
    given.when(AgentInput::Observed { run: RUN, seen: Vec::new(), to });
}

#[test]
fn a_prompt_that_the_agent_has_in_its_turn_is_not_queued_again() {
    let mut given = working();
    let left = given.prompt("left", Delivery::Steer);
    assert_eq!(given.seen(vec![taken(left)]), ["prompt_taken", "output_consumed"]);
    assert_eq!(given.seen(vec![taken(left), refused(left)]), ["output_consumed"], "that is settled");
    assert_eq!(given.seen(vec![completed()]), ["turn_ended", "output_consumed"]);
    assert_eq!(given.queue(), [""; 0]);
}

#[test]
fn a_prompt_that_comes_too_late_for_the_turn_is_a_turn_of_its_own() {
    let mut given = working();
    let left = given.prompt("left", Delivery::Steer);
    assert_eq!(given.seen(vec![completed()]), ["turn_ended", "output_consumed"]);
    assert_eq!(given.seen(vec![refused(left)]), ["prompt_queued", "output_consumed", "turn_started"]);
    assert_eq!(given.agent.turn.as_ref().map(|turn| turn.id), Some(deciding::turn_of(left)));
}

/// Regression: of more than four prompts that came too late for their turn all but the last four were gone.
#[test]
fn regression_every_prompt_that_comes_too_late_waits_again_and_in_order() {
    let mut given = working();
    let mut late = Vec::new();
    for number in 0..20 {
        late.push(given.prompt(&format!("steer {number}"), Delivery::Steer));
        reads(&mut given);
    }
    assert_eq!(given.queue(), ["steer 16", "steer 17", "steer 18", "steer 19"], "so many are not on their way at once");
    let all: Vec<String> = (0..20).map(|number| format!("steer {number}")).collect();
    given.seen(late[..16].iter().copied().map(refused).collect());
    assert_eq!(given.queue(), all);
    given.seen(vec![completed()]);
    assert_eq!(given.queue(), all[1..], "the first one has its turn");
}

#[test]
fn a_prompt_that_comes_too_late_waits_before_those_that_were_never_sent_and_behind_those_that_were_sent_before() {
    let mut given = working();
    given.prompt("after", Delivery::AfterTurn);
    let sent: Vec<PromptId> = (0..16)
        .map(|number| {
            let sent = given.prompt(&format!("sent {number}"), Delivery::Steer);
            reads(&mut given);
            sent
        })
        .collect();
    given.prompt("never sent", Delivery::Steer);
    given.seen(vec![refused(sent[7])]);
    assert_eq!(given.last[1].name(), "agent.prompt_moved");
    assert_eq!(given.queue(), ["sent 7", "never sent", "after"]);
    given.seen(vec![refused(sent[9])]);
    given.seen(vec![refused(sent[2])]);
    assert_eq!(given.queue(), ["sent 2", "sent 7", "sent 9", "never sent", "after"]);
    // One that somebody moved stays where it was moved to.
    given.when(AgentInput::MovePrompt { prompt: sent[2], before: None });
    given.seen(vec![taken(sent[3]), refused(sent[8])]);
    assert_eq!(given.queue(), ["sent 7", "sent 8", "sent 9", "never sent", "after", "sent 2"]);
}

/// Regression: nobody was told of a prompt that the process had been given, and may not have read before it was gone.
#[test]
fn regression_a_prompt_that_the_agent_was_given_and_did_not_answer_for_is_told_of_and_not_said_again() {
    let mut given = working();
    let known = given.prompt("known", Delivery::Steer);
    given.prompt("unknown", Delivery::Steer);
    reads(&mut given);
    given.seen(vec![taken(known)]);
    assert_eq!(given.gone(exited(1)), ["turn_ended", "noticed", "run_ended"]);
    let Some(EventBody::Noticed(noticed)) = given.last.get(1) else { panic!("it is told") };
    assert_eq!(noticed.text, "whether the agent took the prompt “unknown” into its turn is not known");
    assert_eq!(given.queue(), [""; 0]);
}
