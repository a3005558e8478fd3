//! Looking back: scrolling, turns, events, searches.

use ropewalk_protocol::{Seq, Size};

use crate::snapshot::play;
use crate::stage::Stage;
use crate::tales;

fn open(size: Size) -> Stage {
    Stage::open(size, tales::long_talk(40).0)
}

#[test]
fn one_scrolls_back_while_writing() {
    play(|size| {
        let mut stage = open(size);
        stage.types("my prompt");
        stage.press("pageup");
        stage.sees("the past");
        stage.sees("my prompt");
        stage.press("pagedown");
        stage.sees_not("the past");
        stage.sees("Answer 40");
        stage.press("pageup pageup");
        stage
    });
}

#[test]
fn one_reads_back_by_lines_and_pages() {
    play(|size| {
        let mut stage = open(size);
        stage.press("esc k k k");
        stage.sees("the past");
        stage.press("j j j");
        stage.sees_not("the past");
        stage.press("b b u k");
        stage.sees_not("Answer 40");
        stage
    });
}

#[test]
fn one_reads_back_by_turns() {
    play(|size| {
        let mut stage = open(size);
        stage.press("esc [ [ [ [ [ [ [ [ [ [ [ [");
        stage.sees("the past");
        stage
    });
}

#[test]
fn the_beginning_is_read_over_all_pages_that_were_not_loaded() {
    play(|size| {
        let mut stage = open(size);
        stage.press("esc g");
        stage.sees("Question number 1?");
        stage
    });
}

#[test]
fn the_past_is_said_to_be_the_past_and_news_wait_below() {
    play(|size| {
        let (world, who) = tales::long_talk(20);
        let mut stage = Stage::open(size, world);
        stage.press("esc b b");
        stage.world.later(5_000).prompt(who, "A new question?");
        stage.world.says(who, "Something new.");
        stage.goes_on();
        stage.sees("and there is news below; G returns to now");
        stage.sees_not("Something new.");
        stage
    });
}

#[test]
fn what_is_read_stays_where_it_is_while_news_come() {
    for size in [Size { cols: 80, rows: 24 }, Size { cols: 120, rows: 40 }] {
        let (world, who) = tales::long_talk(20);
        let mut stage = Stage::open(size, world);
        stage.press("esc b b");
        // Below the line that says so, and beside the list of sessions, whose ages change.
        let rows = |stage: &Stage| {
            let pane = stage.state().layout().panes[0].body;
            let row = |row| stage.screen().row_text(row).chars().skip(usize::from(pane.x)).collect::<String>();
            (pane.top() + 1..pane.bottom()).map(row).collect::<Vec<_>>()
        };
        let before = rows(&stage);
        for _ in 0..5 {
            stage.world.exchange(who, "Another question?", "Another answer.");
            stage.goes_on();
        }
        assert_eq!(rows(&stage), before);
    }
}

#[test]
fn the_end_is_followed_again() {
    play(|size| {
        let (world, who) = tales::long_talk(20);
        let mut stage = Stage::open(size, world);
        stage.press("esc b b G");
        stage.world.exchange(who, "A new question?", "Something new.");
        stage.goes_on();
        stage.sees("Something new.");
        stage.sees_not("the past");
        stage
    });
}

#[test]
fn one_goes_to_an_event_by_its_number() {
    play(|size| {
        let mut stage = open(size);
        stage.types(":goto 60");
        stage.press("enter");
        stage.sees("the past event");
        stage
    });
}

#[test]
fn a_text_is_searched_for_further_back_than_what_is_loaded() {
    play(|size| {
        let mut stage = open(size);
        stage.press("esc /");
        stage.types("Question number 7?");
        stage.press("enter");
        stage.sees("> Question number 7?");
        stage
    });
}

#[test]
fn a_text_that_is_nowhere_is_said_to_be_nowhere() {
    play(|size| {
        let mut stage = open(size);
        stage.press("esc /");
        stage.types("aardvark");
        stage.press("enter");
        stage.sees("\"aardvark\" is nowhere further back");
        stage
    });
}

#[test]
fn the_next_and_the_previous_place_are_a_key_away() {
    play(|size| {
        let mut stage = open(size);
        stage.press("esc /");
        stage.types("Answer 3");
        stage.press("enter n n");
        stage.press("N");
        stage.sees("Answer 3");
        stage
    });
}

#[test]
fn what_was_said_is_searched_in_all_sessions() {
    play(|size| {
        let (mut world, _) = tales::long_talk(10);
        let other = world.claude("other");
        world.exchange(other, "Where is the needle?", "The needle is in the haystack.");
        world.claude("newest");
        let mut stage = Stage::open(size, world);
        stage.press("ctrl+x /");
        stage.types("needle");
        stage.press("enter");
        stage.sees("2 found");
        stage.sees("The needle is in the haystack.");
        stage
    });
}

#[test]
fn a_place_that_was_found_is_gone_to() {
    play(|size| {
        let (mut world, _) = tales::long_talk(30);
        world.claude("newest");
        let mut stage = Stage::open(size, world);
        stage.press("ctrl+x /");
        stage.types("number 12?");
        stage.press("enter");
        stage.sees("1 found");
        stage.press("enter");
        stage.sees("long-talk/claude");
        stage.sees("> Question number 12?");
        stage
    });
}

#[test]
fn the_timeline_tells_what_happened_event_by_event() {
    play(|size| {
        let (mut world, who) = tales::at_work();
        world.asks_to(who, "Bash", r#"{"command":"cargo publish --dry-run"}"#);
        let mut stage = Stage::open(size, world);
        stage.press("ctrl+x t");
        stage.sees("what happened, the newest first");
        stage.sees("agent asks: Bash");
        stage
    });
}

#[test]
fn an_event_of_the_timeline_is_gone_to() {
    play(|size| {
        let mut stage = open(size);
        stage.press("ctrl+x t end");
        stage.press("up up up up up up up up enter");
        stage.sees("the past");
        stage
    });
}

#[test]
fn where_one_was_reading_is_where_the_next_client_begins() {
    play(|size| {
        let mut stage = open(size);
        stage.press("esc [ [ [ [ [ [");
        stage.later(200);
        let top = stage.state().place.read_at.clone();
        assert_eq!(top.len(), 1);
        let stage = stage.restarts();
        stage.sees("the past");
        assert_eq!(stage.state().place.read_at, top);
        stage
    });
}

#[test]
fn what_is_damaged_is_said_to_be_missing() {
    play(|size| {
        let (mut world, _) = tales::long_talk(30);
        world.damaged = Some((Seq(90), Seq(101)));
        let mut stage = Stage::open(size, world);
        stage.press("esc g");
        stage.sees("a gap: events 90 to 101 cannot be read, they are damaged");
        stage.sees("Question number 1?");
        stage
    });
}

#[test]
fn a_page_that_cannot_be_read_says_why_and_is_tried_again() {
    play(|size| {
        let mut stage = open(size);
        stage.world.disk_fails = true;
        stage.press("esc g");
        stage.sees("what was said before cannot be read: the log cannot be read: input/output error");
        stage.sees_not("Question number 1?");
        stage.world.disk_fails = false;
        stage.press("g");
        stage.sees("Question number 1?");
        stage
    });
}
