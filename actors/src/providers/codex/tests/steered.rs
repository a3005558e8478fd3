//! Prompts into the running turn: those that codex took, and those that it did not.

use super::*;

const DROPPED: &str = "Warning: codex dropped a prompt into the running turn: that ended first";

/// What was seen of turns and of prompts into them.
fn steers(seen: &[Observed]) -> Vec<String> {
    told(seen).into_iter().filter(|told| told.contains("turn") || told.starts_with("steer")).collect()
}

/// Regression: a prompt that codex had said yes to, and dropped with the turn that was interrupted, was taken for delivered.
#[test]
fn regression_a_prompt_that_is_dropped_with_its_turn_is_told_of_before_the_turn_ends() {
    let expected = [
        "steer taken p1",
        "turn completed",
        DROPPED,
        "steer refused p2",
        "turn cancelled",
        "Warning: codex did not take the prompt into the running turn: no active turn to steer",
        "steer refused p3",
    ];
    assert_eq!(steers(&seen(exchange!("steered"))), expected);
}

/// The recorded lines, those that hold one of these words in the order in which the words stand.
fn picked(words: &[&str]) -> Vec<String> {
    let lines = written(exchange!("steered"));
    let greeting = lines.iter().filter(|line| line.contains("greet:"));
    let find = |word: &&str| lines.iter().find(|line| line.contains(word)).expect("it was recorded");
    greeting.chain(words.iter().map(find)).cloned().collect()
}

const BEGUN: [&str; 2] = ["\"prompt:t1\"", "\"clientId\":\"t1\""];
const YES: &str = "\"steer:p1\"";
const SHOWN: &str = "\"clientId\":\"p1\"";
const ENDED: &str = "\"status\":\"completed\"";

#[test]
fn the_answer_to_a_prompt_and_the_showing_of_it_may_come_in_any_order() {
    for (words, expected) in [
        (vec![YES, SHOWN, ENDED], vec!["steer taken p1", "turn completed"]),
        (vec![SHOWN, YES, ENDED], vec!["steer taken p1", "turn completed"]),
        (vec![SHOWN, ENDED, YES], vec!["turn completed", "steer taken p1"]),
        (vec![YES, ENDED], vec![DROPPED, "steer refused p1", "turn completed"]),
        (vec![ENDED, YES], vec!["turn completed", DROPPED, "steer refused p1"]),
    ] {
        let lines = picked(&[&BEGUN[..], &words].concat());
        assert_eq!(steers(&observed(&lines)), expected, "{words:?}");
    }
}

/// Regression: a yes that came before codex had shown anything was taken for the prompt's being in the turn.
#[test]
fn regression_a_yes_is_not_believed_before_it_is_known_whether_codex_tells_our_ids() {
    let [prompt, began] = BEGUN;
    for (words, expected) in [
        (vec![prompt, YES, began, ENDED], vec![DROPPED, "steer refused p1", "turn completed"]),
        (vec![prompt, YES, began, SHOWN, ENDED], vec!["steer taken p1", "turn completed"]),
        (vec![prompt, ENDED, YES], vec!["turn completed", "steer taken p1"]),
    ] {
        assert_eq!(steers(&observed(&picked(&words))), expected, "{words:?}");
    }
}

#[test]
fn a_codex_that_does_not_tell_our_ids_is_believed() {
    let lines = picked(&[BEGUN[0], YES, ENDED]);
    assert_eq!(steers(&observed(&lines)), ["steer taken p1", "turn completed"]);
}
