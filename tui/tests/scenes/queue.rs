//! Prompts that wait for an agent.

use ropewalk_protocol::{Delivery, Size};

use crate::snapshot::play;
use crate::stage::Stage;
use crate::tales;

fn queue(size: Size) -> Stage {
    let (mut world, who) = tales::at_work();
    for text in ["first: the documentation", "second: the changelog", "third: the release"] {
        world.later(1_000).queued(who, text, Delivery::AfterTurn, "ropewalk-cli");
    }
    let mut stage = Stage::open(size, world);
    stage.sees("waits, after the turn: third: the release");
    stage.press("ctrl+x p");
    stage.later(200);
    stage
}

#[test]
fn prompts_that_wait_are_listed_in_their_order() {
    play(|size| {
        let stage = queue(size);
        stage.sees("1. after the turn");
        stage.sees("third: the release");
        stage
    });
}

#[test]
fn a_prompt_that_waits_is_moved() {
    play(|size| {
        let mut stage = queue(size);
        stage.press("down down K K");
        stage.sees("1. after the turn  third: the release");
        stage.later(200);
        stage.sees("1. after the turn  third: the release");
        stage.sees("2. after the turn  first: the documentation");
        stage
    });
}

#[test]
fn a_prompt_that_waits_is_edited() {
    play(|size| {
        let mut stage = queue(size);
        stage.press("down e ctrl+w");
        stage.types("README");
        stage.sees("second: the README");
        stage.press("enter");
        stage.later(200);
        stage.sees("2. after the turn  second: the README");
        stage
    });
}

#[test]
fn a_prompt_that_waits_is_taken_back() {
    play(|size| {
        let mut stage = queue(size);
        stage.press("x");
        stage.sees("taken back");
        stage.sees_not("first: the documentation");
        stage
    });
}

#[test]
fn an_empty_queue_says_so() {
    play(|size| {
        let mut stage = Stage::open(size, tales::done().0);
        stage.press("ctrl+x p");
        stage.later(200);
        stage.sees("no prompt waits");
        stage
    });
}
