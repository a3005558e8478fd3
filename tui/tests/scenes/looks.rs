//! How everything looks: without colours, on a light background, with another theme.

use ropewalk_protocol::Size;
use ropewalk_tui::emulator::{self, Palette};

use crate::snapshot::play;
use crate::stage::{Begin, Stage};
use crate::tales;

fn plain(size: Size) -> Stage {
    let (mut world, who) = tales::at_work();
    world.asks_to(who, "Bash", r#"{"command":"cargo publish --dry-run"}"#);
    Stage::open_with(size, world, Begin { is_plain: true, ..Begin::default() })
}

#[test]
fn without_colours_every_state_has_a_sign_or_a_word() {
    play(|size| {
        let stage = plain(size);
        let picture = emulator::svg(stage.screen(), &Palette::DARK);
        let colours: std::collections::BTreeSet<&str> =
            picture.match_indices("fill=\"#").map(|(at, _)| &picture[at + 6..at + 13]).collect();
        assert!(colours.len() <= 3, "the terminal's own colours, and these mixed for what is dim: {colours:?}");
        stage
    });
}

#[test]
fn without_colours_questions_are_plain_text_too() {
    play(|size| {
        let mut stage = plain(size);
        stage.press("enter");
        stage.sees("cargo publish --dry-run");
        stage
    });
}

#[test]
fn the_terminal_says_that_its_background_is_light() {
    play(|size| {
        let (world, _) = tales::at_work();
        let mut stage = Stage::open(size, world);
        let dark = emulator::svg(stage.screen(), &Palette::LIGHT);
        stage.sends(b"\x1b]11;rgb:fbfb/fbfb/fbfb\x1b\\");
        assert_ne!(dark, emulator::svg(stage.screen(), &Palette::LIGHT), "the light theme has other colours");
        stage
    });
}

#[test]
fn another_theme_is_chosen_by_a_command() {
    play(|size| {
        let (world, _) = tales::at_work();
        let mut stage = Stage::open(size, world);
        let auto = emulator::svg(stage.screen(), &Palette::LIGHT);
        stage.types(":theme light");
        stage.press("enter");
        assert_ne!(auto, emulator::svg(stage.screen(), &Palette::LIGHT));
        stage.types(":theme pink");
        stage.press("enter");
        stage.sees("dark, light or auto");
        stage
    });
}
