//! The list of sessions and agents.

use ropewalk_protocol::Size;

use crate::snapshot::play;
use crate::stage::Stage;
use crate::tales;
use crate::world::World;

fn list(size: Size) -> Stage {
    let mut stage = Stage::open(size, tales::every_condition());
    stage.press("ctrl+x l");
    stage
}

#[test]
fn sessions_and_their_agents_are_listed_with_what_each_is_doing() {
    play(|size| {
        let stage = list(size);
        for text in ["checkout-", "links", "clean-build", "1?", "stalled", "parked", "starting", "new-idea"] {
            stage.sees(text);
        }
        stage.sees_not("tidy-up");
        stage.sees_not("api-keys");
        stage
    });
}

#[test]
fn sessions_that_ended_are_listed_if_somebody_wants_it() {
    play(|size| {
        let mut stage = list(size);
        stage.press("E");
        stage.sees("tidy-up");
        stage
    });
}

#[test]
fn sessions_of_all_directories_are_listed_by_directory() {
    play(|size| {
        let mut stage = list(size);
        stage.press("A G");
        stage.sees("~/work/payments");
        stage.sees("api-keys");
        stage
    });
}

#[test]
fn a_filter_has_words_and_words_that_must_not_be_there() {
    play(|size| {
        let mut stage = list(size);
        stage.press("/");
        stage.types("claude !idle !parked");
        stage.sees("clean-build");
        stage.sees_not("migrate-db");
        stage.press("enter");
        stage.sees("/claude !idle");
        stage
    });
}

#[test]
fn a_filter_that_nothing_fits_says_so() {
    play(|size| {
        let mut stage = list(size);
        stage.press("/");
        stage.types("zzz");
        stage.sees("none fits the filter");
        stage
    });
}

#[test]
fn an_agent_below_another_is_opened_from_the_list() {
    play(|size| {
        let mut world = World::new();
        tales::team(&mut world);
        let mut stage = Stage::open(size, world);
        stage.press("ctrl+x l G");
        stage.press("enter");
        stage.sees("All links lead somewhere.");
        stage.sees("checkout-rewrite/links");
        stage
    });
}

#[test]
fn what_ended_unseen_has_a_star_until_it_is_looked_at() {
    play(|size| {
        let mut world = World::new();
        let first = world.claude("first");
        let second = world.claude("second");
        world.later(1_000).prompt(first, "Count the files.");
        let mut stage = Stage::open(size, world);
        stage.press("ctrl+x l");
        stage.sees_not("*first");
        stage.world.later(5_000).says(first, "There are 12.");
        stage.world.ends(first);
        stage.goes_on();
        stage.sees("*first");
        assert_eq!(stage.state().session().map(|session| session.session), Some(second.session));
        stage
    });
}

#[test]
fn a_session_is_renamed_and_a_taken_name_is_refused_with_a_reason() {
    play(|size| {
        let mut world = World::new();
        world.claude("first");
        world.claude("second");
        let mut stage = Stage::open(size, world);
        stage.press("ctrl+x r ctrl+u");
        stage.types("first");
        stage.press("enter");
        stage.sees("another session is called first. Choose another name, or none.");
        stage.later(13_000);
        stage.press("ctrl+x r ctrl+u");
        stage.types("better");
        stage.press("enter");
        stage.sees("better");
        stage
    });
}

#[test]
fn ending_a_session_is_asked_for_first() {
    play(|size| {
        let (world, _) = tales::done();
        let mut stage = Stage::open(size, world);
        stage.press("ctrl+x l X");
        stage.sees("end fix-total?");
        stage
    });
}

#[test]
fn a_session_that_is_ended_stays_on_the_screen_and_takes_no_prompt() {
    play(|size| {
        let (world, _) = tales::done();
        let mut stage = Stage::open(size, world);
        stage.press("ctrl+x l X y esc");
        stage.sees("it has ended and takes no prompt");
        stage.sees("All twelve tests pass.");
        stage
    });
}

#[test]
fn a_session_that_is_deleted_leaves_the_screen() {
    play(|size| {
        let (world, _) = tales::done();
        let mut stage = Stage::open(size, world);
        stage.press("ctrl+x l X y");
        stage.press("ctrl+x l X");
        stage.sees("take fix-total out of every list?");
        stage.press("y esc");
        stage.sees("Say what is to be done");
        assert_eq!(stage.world.sessions(), []);
        stage
    });
}
