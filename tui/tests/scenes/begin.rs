//! Before the daemon answers, and up to the first answer of an agent.

use ropewalk_tui::app::event::Effect;

use crate::snapshot::play;
use crate::stage::{Begin, Stage};
use crate::world::World;

#[test]
fn the_first_frame_is_there_before_the_daemon_answers() {
    play(|size| {
        let stage = Stage::start(size, World::new(), Begin::default());
        stage.sees("connecting");
        stage
    });
}

#[test]
fn a_daemon_that_does_not_answer_is_waited_for_by_the_second() {
    play(|size| {
        let mut stage = Stage::start(size, World::new(), Begin::default());
        stage.later(7_000);
        stage.sees("connecting, 7 s");
        stage.types("already writing");
        stage.sees("already writing");
        stage
    });
}

#[test]
fn without_a_session_a_form_says_how_to_start_one() {
    play(|size| {
        let stage = Stage::open(size, World::new());
        stage.sees("Say what is to be done in ~/work/shop, and press enter.");
        stage.sees("to Claude Code");
        stage
    });
}

#[test]
fn another_agent_is_chosen_with_tab() {
    play(|size| {
        let mut stage = Stage::open(size, World::new());
        stage.press("tab");
        stage.sees("to Codex");
        stage
    });
}

#[test]
fn an_agent_that_is_not_installed_is_not_started_and_the_words_stay() {
    play(|size| {
        let mut stage = Stage::open(size, World::new());
        stage.press("tab tab");
        stage.types("add a cart");
        stage.press("enter");
        stage.sees("npm install -g opencode-ai");
        stage.sees("add a cart");
        assert_eq!(stage.world.sessions(), []);
        stage
    });
}

#[test]
fn from_the_first_key_to_the_first_answer_nothing_has_to_be_read() {
    play(|size| {
        let mut stage = Stage::open(size, World::new());
        stage.types("why is the total wrong?");
        stage.press("enter");
        let view = stage.world.sessions().pop().expect("a session was started");
        let who = stage.world.somebody(view.session);
        stage.sees("> why is the total wrong?");
        stage.sees("working");
        stage.later(3_000);
        stage.world.says(who, "The discount is taken off **twice**: once in `cart.rs`, once in `total.rs`.");
        stage.world.ends(who);
        stage.goes_on();
        stage.sees("The discount is taken off twice");
        stage.sees("idle");
        assert_eq!(stage.kept.sent, ["why is the total wrong?"]);
        assert_eq!(stage.kept.drafts.len(), 0, "what is sent is no draft any more");
        stage
    });
}

#[test]
fn ctrl_c_twice_leaves_and_agents_go_on() {
    play(|size| {
        let mut world = World::new();
        let who = world.claude("fix-total");
        world.later(1_000).prompt(who, "why is the total wrong?");
        let mut stage = Stage::open(size, world);
        stage.press("ctrl+c");
        stage.sees("ctrl+c again leaves; agents go on");
        assert!(!stage.asked.contains(&Effect::Quit));
        stage.press("ctrl+c");
        assert!(stage.asked.contains(&Effect::Quit));
        stage
    });
}
