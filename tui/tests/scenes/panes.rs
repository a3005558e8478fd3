//! Several agents on the screen at once, and windows that are too narrow for it.

use ropewalk_protocol::Size;

use crate::snapshot::play;
use crate::stage::Stage;
use crate::tales;
use crate::world::World;

fn team(size: Size) -> Stage {
    let mut world = World::new();
    tales::team(&mut world);
    Stage::open(size, world)
}

#[test]
fn another_agent_is_shown_beside_the_first() {
    play(|size| {
        let mut stage = team(size);
        stage.press("ctrl+x v");
        stage.types("tests");
        stage.press("enter");
        stage.sees("Twelve tests are written.");
        stage
    });
}

#[test]
fn the_agents_of_a_session_are_shown_in_a_grid() {
    play(|size| {
        let mut stage = team(size);
        stage.press("ctrl+x g");
        stage.sees("Twelve tests are written.");
        stage.sees("All links lead somewhere.");
        stage
    });
}

#[test]
fn a_window_without_room_shows_one_at_a_time_and_says_so() {
    play(|size| {
        let mut stage = team(size);
        stage.resizes(Size { cols: 70, rows: 16 });
        stage.press("ctrl+x g");
        stage.sees("the window is too small to show them at once");
        stage.sees_not("Twelve tests are written.");
        stage.press("alt+right");
        stage.sees("Twelve tests are written.");
        stage
    });
}

#[test]
fn the_focus_goes_round_the_panes_and_each_has_its_own_draft() {
    play(|size| {
        let mut stage = team(size);
        stage.press("ctrl+x g");
        stage.types("for the lead");
        stage.press("alt+right");
        stage.sees_not("for the lead");
        stage.types("for the tests");
        stage.press("alt+left");
        stage.sees("for the lead");
        stage.sees_not("for the tests");
        stage.press("alt+right");
        stage
    });
}

#[test]
fn one_agent_is_shown_alone_again() {
    play(|size| {
        let mut stage = team(size);
        stage.press("ctrl+x g alt+right ctrl+x o");
        stage.sees("checkout-rewrite/tests");
        stage.sees_not("checkout-rewrite/docs");
        stage
    });
}

#[test]
fn one_goes_to_the_agent_below_and_back_up() {
    play(|size| {
        let mut stage = team(size);
        stage.press("ctrl+x down");
        stage.sees("checkout-rewrite/tests");
        stage.press("ctrl+x up");
        stage.sees("checkout-rewrite/claude");
        stage.press("ctrl+x up");
        stage.sees("this agent works for no other");
        stage
    });
}

#[test]
fn one_goes_through_the_sessions_with_alt_and_arrows() {
    play(|size| {
        let mut world = World::new();
        world.claude("first");
        world.claude("second");
        world.claude("third");
        let mut stage = Stage::open(size, world);
        stage.sees("third/claude");
        stage.press("alt+down");
        stage.sees("second/claude");
        stage.press("ctrl+x 3");
        stage.sees("first/claude");
        stage
    });
}

#[test]
fn a_window_that_becomes_narrow_hides_the_list_and_loses_nothing() {
    play(|size| {
        let (world, _) = tales::done();
        let mut stage = Stage::open(size, world);
        stage.types("half a prompt");
        stage.resizes(Size { cols: 50, rows: 20 });
        stage.sees("half a prompt");
        stage.resizes(size);
        stage.sees("half a prompt");
        stage.sees("All twelve tests pass.");
        stage
    });
}
