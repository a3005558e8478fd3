//! The connection to the daemon: lost, made again, and what becomes of what was done meanwhile.

use ropewalk_protocol::{Seq, Size};
use ropewalk_tui::app::event::Effect;

use crate::snapshot::play;
use crate::stage::Stage;
use crate::tales;
use crate::world::Who;

fn cut(size: Size) -> (Stage, Who) {
    let (world, who) = tales::done();
    let mut stage = Stage::open(size, world);
    stage.types("half a thought");
    stage.is_cut();
    stage.later(5_000);
    (stage, who)
}

#[test]
fn a_lost_connection_is_told_with_the_seconds_and_the_draft_stays() {
    play(|size| {
        let (mut stage, _) = cut(size);
        stage.sees("reconnecting, 5 s; drafts are kept");
        stage.sees("half a thought");
        stage.types(", and on");
        stage.sees("half a thought, and on");
        stage
    });
}

#[test]
fn a_prompt_that_is_sent_meanwhile_is_kept_and_said_to_be_kept() {
    play(|size| {
        let (mut stage, _) = cut(size);
        stage.press("enter");
        stage.sees("1 kept until the daemon is back");
        stage
    });
}

#[test]
fn what_was_kept_is_sent_once_when_the_connection_is_back() {
    play(|size| {
        let (mut stage, _) = cut(size);
        stage.press("enter");
        stage.later(4_000);
        stage.is_back();
        stage.sees("the daemon is back");
        stage.sees_not("kept until");
        stage.sees("> half a thought");
        stage
    });
}

#[test]
fn what_happened_meanwhile_is_there_once_the_connection_is_back() {
    play(|size| {
        let (mut stage, who) = cut(size);
        stage.world.prompt(who, "Said from the phone.");
        stage.world.says(who, "Answered meanwhile.");
        stage.world.ends(who);
        stage.goes_on();
        stage.sees_not("Answered meanwhile.");
        stage.is_back();
        stage.sees("Answered meanwhile.");
        stage.sees("half a thought");
        stage
    });
}

#[test]
fn a_daemon_that_is_behind_is_said_to_be() {
    play(|size| {
        let (world, who) = tales::done();
        let mut stage = Stage::open(size, world);
        stage.is_slow = true;
        stage.world.prompt(who, "Said from the phone.");
        stage.goes_on();
        stage.later(3_000);
        stage.sees("3 s behind");
        stage.types("keys are shown");
        stage.sees("keys are shown");
        stage
    });
}

#[test]
fn a_gap_is_shown_as_a_gap() {
    play(|size| {
        let (world, who) = tales::done();
        let mut stage = Stage::open(size, world);
        stage.misses(who.session, Seq(120), Seq(168));
        stage.sees("a gap: events 120 to 168 cannot be read, they are damaged");
        stage
    });
}

#[test]
fn a_daemon_that_cannot_be_started_says_why_and_is_tried_again_on_demand() {
    play(|size| {
        let (world, _) = tales::done();
        let mut stage = Stage::open(size, world);
        stage.is_given_up("the daemon does not start: no space left on the disk; :reconnect tries again");
        stage.sees("no space left on the disk");
        stage.types(":reconnect");
        stage.press("enter");
        assert!(stage.asked.contains(&Effect::Reconnect));
        stage
    });
}

#[test]
fn an_idle_client_sleeps_a_minute_at_a_time() {
    let (world, _) = tales::done();
    let mut stage = Stage::open(Size { cols: 80, rows: 24 }, world);
    stage.later(120_000);
    let wake = stage.state().wants().wake.expect("ages change");
    assert!(wake.since(stage.world.now).as_secs() > 30, "nothing runs, and it wakes at {wake}");
}
