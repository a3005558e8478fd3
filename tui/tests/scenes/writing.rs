//! Writing a prompt.

use std::collections::BTreeMap;

use ropewalk_protocol::Size;
use ropewalk_tui::app::event::Effect;

use crate::snapshot::play;
use crate::stage::{Begin, Kept, Stage};
use crate::tales;
use crate::world::World;

fn open(size: Size) -> Stage {
    Stage::open(size, tales::done().0)
}

#[test]
fn a_prompt_has_as_many_lines_as_it_needs() {
    play(|size| {
        let mut stage = open(size);
        stage.types("first line");
        stage.press("ctrl+j");
        stage.types("second line\\");
        stage.press("enter");
        stage.types("third line");
        stage.press("alt+enter");
        stage.types("fourth line");
        for line in ["first line", "second line", "third line", "fourth line"] {
            stage.sees(line);
        }
        stage.sees_not("\\");
        stage
    });
}

#[test]
fn a_long_prompt_takes_a_third_of_the_screen_and_shows_its_end() {
    play(|size| {
        let mut stage = open(size);
        for line in 1..=40 {
            stage.types(&format!("line {line} of the prompt"));
            stage.press("ctrl+j");
        }
        stage.types("the end");
        stage.sees("the end");
        stage.sees("All twelve tests pass.");
        stage
    });
}

#[test]
fn the_keys_of_readline_edit() {
    play(|size| {
        let mut stage = open(size);
        stage.types("mend the total now");
        stage.press("ctrl+w");
        stage.types("please");
        stage.press("ctrl+a");
        stage.types("do ");
        stage.press("alt+f alt+d ctrl+e ctrl+b ctrl+b");
        stage.sees("do mend total please");
        stage.press("ctrl+k ctrl+u ctrl+y ctrl+_");
        stage
    });
}

#[test]
fn prompts_that_were_sent_come_back_with_up_and_the_draft_with_down() {
    play(|size| {
        let kept = Kept { sent: vec!["an older prompt".to_owned(), "a newer prompt".to_owned()], ..Kept::default() };
        let mut stage = Stage::open_with(size, tales::done().0, Begin { kept, ..Begin::default() });
        stage.types("my draft");
        stage.press("up");
        stage.sees("a newer prompt");
        stage.press("up down down");
        stage.sees("my draft");
        stage.press("up up");
        stage.sees("an older prompt");
        stage
    });
}

#[test]
fn a_prompt_that_was_sent_is_searched_for() {
    play(|size| {
        let sent = ["mend the total", "write the docs", "tag the release"].map(str::to_owned).to_vec();
        let kept = Kept { sent, ..Kept::default() };
        let mut stage = Stage::open_with(size, tales::done().0, Begin { kept, ..Begin::default() });
        stage.press("ctrl+r");
        stage.types("docs");
        stage.sees_not("tag the release");
        stage.press("enter");
        stage.sees("write the docs");
        stage
    });
}

#[test]
fn a_draft_is_there_again_after_the_client_was_killed() {
    play(|size| {
        let mut stage = open(size);
        stage.types("half a thought");
        let stage = stage.restarts();
        stage.sees("half a thought");
        stage
    });
}

#[test]
fn a_draft_is_put_away_for_a_prompt_that_comes_first() {
    play(|size| {
        let mut stage = open(size);
        stage.types("a longer thought");
        stage.press("ctrl+s");
        stage.sees("a draft is put away");
        stage.sees_not("a longer thought");
        stage.types("a quick question");
        stage.press("enter ctrl+s");
        stage.sees("a longer thought");
        stage
    });
}

#[test]
fn a_file_is_completed_after_an_at_sign() {
    play(|size| {
        let mut stage = open(size);
        stage.types("look at @che");
        stage.sees("@src/checkout/total.rs");
        stage.press("down");
        stage
    });
}

#[test]
fn the_file_that_is_taken_stands_in_the_prompt() {
    play(|size| {
        let mut stage = open(size);
        stage.types("look at @che");
        stage.press("down tab");
        stage.types("please");
        stage.sees("look at @tests/checkout.rs please");
        stage
    });
}

#[test]
fn a_long_paste_is_a_word_and_is_sent_whole() {
    play(|size| {
        let mut stage = open(size);
        stage.types("what is this? ");
        stage.pastes(&"a line of a log\n".repeat(60));
        stage.sees("[paste 1: 60 lines, 960 characters]");
        stage.types(" and why?");
        stage.press("enter");
        let sent = stage.kept.sent.last().expect("it was sent").clone();
        assert_eq!(sent.lines().filter(|line| line.contains("a line of a log")).count(), 60);
        stage
    });
}

#[test]
fn a_folded_paste_is_shown_with_a_key() {
    play(|size| {
        let mut stage = open(size);
        stage.types("what is this? ");
        stage.pastes(&"a line of a log\n".repeat(9));
        stage.sees("[paste 1: 9 lines, 144 characters]");
        stage.sees("ctrl+o show the paste");
        stage.press("ctrl+o");
        stage.sees_not("[paste 1");
        stage.sees("a line of a log");
        stage
    });
}

#[test]
fn a_short_paste_is_text_and_sends_nothing() {
    play(|size| {
        let mut stage = open(size);
        stage.pastes("fn main() {\n    println!(\"hello\");\n}\n");
        stage.sees("println!(\"hello\");");
        assert_eq!(stage.kept.sent, [""; 0]);
        stage
    });
}

#[test]
fn a_prompt_is_written_in_the_editor() {
    play(|size| {
        let mut stage = open(size);
        stage.types("begun here");
        stage.edits = Some("begun here\nand ended in the editor\n".to_owned());
        stage.press("ctrl+g");
        assert!(stage.asked.contains(&Effect::Edit(stage.state().target(), "begun here".to_owned())));
        stage.sees("and ended in the editor");
        stage
    });
}

#[test]
fn what_a_client_that_was_killed_left_in_the_editor_is_a_draft_again() {
    play(|size| {
        let (world, who) = tales::done();
        let drafts = BTreeMap::from([(who.agent.to_string(), "begun here\nand ended in the editor".to_owned())]);
        let kept = Kept { drafts, has_taken_up: true, ..Kept::default() };
        let stage = Stage::open_with(size, world, Begin { kept, ..Begin::default() });
        stage.sees("and ended in the editor");
        stage.sees("what was left in an editor is a draft again, where it was begun");
        stage
    });
}

#[test]
fn an_editor_that_fails_leaves_the_draft_as_it_was() {
    play(|size| {
        let mut stage = open(size);
        stage.types("begun here");
        stage.press("ctrl+g");
        stage.sees("the editor failed; the draft is as it was");
        stage.sees("begun here");
        stage
    });
}

#[test]
fn ctrl_c_clears_a_draft_and_up_brings_it_back() {
    play(|size| {
        let mut stage = open(size);
        stage.types("a slip of the hand");
        stage.press("ctrl+c");
        stage.sees("cleared; up brings it back");
        stage.press("up");
        stage.sees("a slip of the hand");
        stage
    });
}

#[test]
fn into_the_running_turn_and_after_it_are_told_apart() {
    play(|size| {
        let mut stage = Stage::open(size, tales::at_work().0);
        stage.types("use the new API");
        stage.sees("enter: into the turn · tab: after it");
        stage.press("enter");
        stage.sees("use the new API");
        stage.types("and then the documentation");
        stage.press("tab");
        stage.later(200);
        stage.sees("waits, after the turn: and then the documentation");
        stage
    });
}

#[test]
fn a_read_only_client_says_so_and_changes_nothing() {
    play(|size| {
        let config = ropewalk_tui::app::settings::Config { read_only: true, ..Default::default() };
        let mut stage = Stage::open_with(size, tales::done().0, Begin { config, ..Begin::default() });
        stage.sees("read-only");
        stage.types("mend it");
        stage.press("enter");
        stage.sees("nothing can be changed: this client is read-only");
        stage.sees("mend it");
        assert_eq!(stage.kept.sent, [""; 0]);
        stage
    });
}

#[test]
fn a_prompt_for_an_agent_that_is_gone_comes_back() {
    play(|size| {
        let mut world = World::new();
        let who = world.claude("first");
        let mut stage = Stage::open(size, world);
        stage.types("are you there?");
        stage.world.forget(who);
        stage.press("enter");
        stage.sees("there is no agent");
        stage.sees("are you there?");
        stage
    });
}
