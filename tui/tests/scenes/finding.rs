//! Finding what there is to do: the palette, the command line, help, the keys that may follow, and keys of one's own.

use std::collections::BTreeMap;

use ropewalk_protocol::Size;
use ropewalk_tui::app::event::Effect;
use ropewalk_tui::app::settings::{Config, Settings};

use crate::snapshot::play;
use crate::stage::{Begin, Stage};
use crate::tales;

fn open(size: Size) -> Stage {
    Stage::open(size, tales::done().0)
}

fn with_keys(size: Size, keys: &[(&str, &[&str])]) -> Stage {
    let each =
        |(name, keys): &(&str, &[&str])| ((*name).to_owned(), keys.iter().map(|key| (*key).to_owned()).collect());
    let config = Config { keys: keys.iter().map(each).collect::<BTreeMap<_, _>>(), ..Config::default() };
    Stage::open_with(size, tales::done().0, Begin { config, ..Begin::default() })
}

#[test]
fn the_palette_has_everything_there_is_to_do() {
    play(|size| {
        let mut stage = open(size);
        stage.press("ctrl+p");
        stage.sees("what to do");
        stage.sees("Explain what is on the screen");
        stage
    });
}

#[test]
fn the_palette_finds_by_a_part_of_a_name() {
    play(|size| {
        let mut stage = open(size);
        stage.press("ctrl+p");
        stage.types("timel");
        stage.sees("timeline");
        stage.sees_not("Explain what is on the screen");
        stage.press("enter");
        stage.sees("what happened, the newest first");
        stage
    });
}

#[test]
fn the_palette_says_when_nothing_fits() {
    play(|size| {
        let mut stage = open(size);
        stage.press("ctrl+p");
        stage.types("qqq");
        stage.sees("nothing fits");
        stage
    });
}

#[test]
fn the_command_line_shows_what_may_be_typed() {
    play(|size| {
        let mut stage = open(size);
        stage.types(":re");
        stage.sees("rename");
        stage.sees("release");
        stage
    });
}

#[test]
fn a_command_that_is_wrong_stays_with_the_reason() {
    play(|size| {
        let mut stage = open(size);
        stage.types(":goto there");
        stage.press("enter");
        stage.sees("name an event by its number: goto 1234");
        stage.sees("goto there");
        stage
    });
}

#[test]
fn another_command_is_what_the_command_line_makes_of_it() {
    play(|size| {
        let mut stage = open(size);
        stage.prints = "claude   2.1.0  /usr/bin/claude\ncodex    0.50   /usr/bin/codex\nopencode -      npm install -g opencode-ai\n".to_owned();
        stage.types(":doctor --all");
        stage.press("enter");
        assert!(stage.asked.contains(&Effect::Run(vec!["doctor".to_owned(), "--all".to_owned()])));
        stage.sees("doctor --all");
        stage.sees("npm install -g opencode-ai");
        stage
    });
}

#[test]
fn commands_have_the_names_of_the_command_line() {
    play(|size| {
        let mut stage = open(size);
        stage.types(":spawn --provider codex review what was changed");
        stage.press("enter");
        stage.sees("fix-total/codex");
        stage.sees("review what was changed");
        stage
    });
}

#[test]
fn help_says_what_is_on_the_screen_and_which_keys_work() {
    play(|size| {
        let mut stage = open(size);
        stage.types("?");
        stage.sees("This is what was said with the agent");
        stage
    });
}

#[test]
fn help_on_the_list_speaks_of_the_list() {
    play(|size| {
        let mut stage = open(size);
        stage.press("ctrl+x l ?");
        stage.sees("This is the list of sessions.");
        stage
    });
}

#[test]
fn help_is_read_to_its_end() {
    play(|size| {
        let mut stage = open(size);
        stage.types("?G");
        stage.sees("lists their names");
        stage
    });
}

#[test]
fn keys_that_may_follow_the_leader_are_shown() {
    play(|size| {
        let mut stage = open(size);
        stage.press("ctrl+x");
        stage.sees("timeline");
        stage.sees("quit");
        stage
    });
}

#[test]
fn keys_that_mean_nothing_say_so_and_what_explains() {
    play(|size| {
        let mut stage = open(size);
        stage.press("ctrl+x Z");
        stage.sees("ctrl+x Z means nothing here; f1 explains");
        stage
    });
}

#[test]
fn a_key_of_ones_own_does_what_it_is_told_and_is_shown() {
    play(|size| {
        let mut stage = with_keys(size, &[("sessions", &["ctrl+t"]), ("palette", &["leader space"])]);
        stage.sees("ctrl+t sessions");
        stage.press("ctrl+t");
        stage.sees("all directories");
        stage
    });
}

#[test]
fn a_key_that_was_taken_away_does_nothing() {
    play(|size| {
        let mut stage = with_keys(size, &[("suspend", &["none"]), ("palette", &["none"])]);
        stage.press("ctrl+z ctrl+p");
        assert!(!stage.asked.contains(&Effect::Suspend));
        stage.sees_not("what to do");
        if size.cols >= 120 {
            stage.sees(":palette everything");
        }
        stage
    });
}

#[test]
fn a_configuration_that_is_wrong_is_told_in_words() {
    let told = |name: &str, key: &str| {
        let keys = BTreeMap::from([(name.to_owned(), vec![key.to_owned()])]);
        Settings::new(&Config { keys, ..Config::default() }, false).expect_err("it is wrong").to_string()
    };
    assert_eq!(told("fly", "f"), "there is no action \"fly\"; `ropewalk tui --keys` lists them");
    assert_eq!(told("quit", "ctrl+p"), "quit: ctrl+p is, or begins, what palette has already, everywhere");
    assert!(told("quit", "strg+q").starts_with("quit: \"strg+q\" is no key"), "{}", told("quit", "strg+q"));
}

#[test]
fn the_agent_works_in_its_next_mode() {
    play(|size| {
        let mut stage = open(size);
        stage.press("shift+tab");
        stage.later(200);
        stage.sees("mode: acceptEdits");
        stage.sees("sonnet-4.5 · acceptEdits");
        stage
    });
}

#[test]
fn a_remark_is_written_into_the_history() {
    play(|size| {
        let mut stage = open(size);
        stage.types(":annotate the total was right on Monday");
        stage.press("enter");
        stage.sees("written down");
        stage.press("ctrl+x t");
        stage.sees("the total was right on Monday");
        stage
    });
}
