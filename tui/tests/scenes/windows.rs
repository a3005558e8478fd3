//! Windows of any size, and any keys: nothing panics, nothing is drawn outside, and one always finds back.

use proptest::prelude::*;
use proptest::test_runner::Config;
use ropewalk_protocol::{Delivery, Size};
use ropewalk_tui::app::state::Focus;

use crate::keyboard;
use crate::stage::Stage;
use crate::tales;
use crate::world::World;

/// A world with something of everything: questions, a queue, a program, agents below agents.
fn crowd() -> World {
    let mut world = tales::every_condition();
    let [lead, tests, ..] = tales::team_of(&mut world, "crowd");
    world.asks_to(lead, "Bash", r#"{"command":"make","description":"a\nb"}"#);
    world.asks_which(tests, "Which?", &["this", "that"]);
    world.queued(lead, "and then this", Delivery::AfterTurn, "phone");
    world
}

/// What a frame shows is within its window; what is drawn at once is what was drawn step by step.
fn is_sound(stage: &Stage) {
    stage.is_as_drawn_at_once();
    let size = stage.state().size;
    assert_eq!(stage.screen().size(), size);
    let (column, row) = stage.screen().cursor();
    assert!(column <= size.cols && row < size.rows);
    let layout = stage.state().layout();
    let window = ratatui::layout::Rect::new(0, 0, size.cols, size.rows);
    for area in layout.panes.iter().map(|pane| pane.whole).chain([layout.composer, layout.status, layout.hints]) {
        assert_eq!(window.union(area), window, "{area:?} is not in {window:?}");
    }
}

#[test]
fn the_smallest_and_the_largest_window_show_something_of_everything() {
    let sizes = [(20, 5), (1, 1), (300, 100), (2, 2), (5, 60), (99, 30), (100, 30), (36, 6)];
    for (cols, rows) in sizes {
        for keys in
            ["", "ctrl+p", "f1", "alt+w", "ctrl+x p", "ctrl+x t", "ctrl+x /", "ctrl+x", "ctrl+x g", "ctrl+x l", ":"]
        {
            let mut stage = Stage::open(Size { cols, rows }, crowd());
            if !keys.is_empty() {
                stage.press(keys);
            }
            is_sound(&stage);
        }
    }
}

/// Something that happens to a client.
#[derive(Debug, Clone)]
enum Step {
    Key(String),
    Text(String),
    Resize(Size),
    Later(u64),
    Cut,
    Back,
    Happens(u8),
}

fn size() -> impl Strategy<Value = Size> {
    (1_u16..=220, 1_u16..=70).prop_map(|(cols, rows)| Size { cols, rows })
}

fn step() -> impl Strategy<Value = Step> {
    // What leaves for good, or hands the terminal to somebody else, is for other tests.
    let keys: Vec<String> = keyboard::all();
    prop_oneof![
        12 => proptest::sample::select(keys).prop_map(Step::Key),
        4 => proptest::sample::select(vec!["a", "w", "v", "g", "p", "t", "/", "l", "n", "x", "o", "1", "down"])
            .prop_map(|key| Step::Key(format!("ctrl+x {key}"))),
        2 => "[a-z@:?/ 漢é]{1,8}".prop_map(Step::Text),
        2 => size().prop_map(Step::Resize),
        2 => (1_u64..3_000).prop_map(Step::Later),
        1 => Just(Step::Cut),
        1 => Just(Step::Back),
        2 => any::<u8>().prop_map(Step::Happens),
    ]
}

fn happens(world: &mut World, what: u8) {
    let sessions = world.sessions();
    let structured = sessions.iter().filter(|session| session.agents.iter().any(|agent| agent.structured.is_some()));
    let structured: Vec<_> = structured.map(|session| session.session).collect();
    let Some(session) = structured.get(usize::from(what) % structured.len().max(1)) else { return };
    let who = world.somebody(*session);
    match (what % 4, world.turn(who)) {
        (0, Some(_)) => world.says(who, "A word, 漢字, and another."),
        (1, Some(_)) => drop(world.asks_to(who, "Bash", r#"{"command":"ls"}"#)),
        (2, Some(_)) => world.ends(who),
        (_, None) => drop(world.prompt(who, "Go on.")),
        (_, Some(_)) => drop(world.queued(who, "And then?", Delivery::AfterTurn, "phone")),
    }
}

fn config(cases: u32) -> Config {
    Config { cases, failure_persistence: None, max_shrink_iters: 2_000, ..Config::default() }
}

proptest! {
    #![proptest_config(config(48))]

    #[test]
    fn any_keys_in_any_window_end_well(first in size(), steps in proptest::collection::vec(step(), 1..60)) {
        let mut stage = Stage::open(first, crowd());
        for step in steps {
            is_sound(&stage);
            match step {
                Step::Key(keys) => stage.press(&keys),
                Step::Text(text) => stage.types(&text),
                Step::Resize(size) => stage.resizes(size),
                Step::Later(millis) => stage.later(millis),
                Step::Cut => stage.is_cut(),
                Step::Back => stage.is_back(),
                Step::Happens(what) => {
                    happens(&mut stage.world, what);
                    stage.goes_on();
                }
            }
        }
        is_sound(&stage);
        // A program's keys are its own, up to the one that leaves it.
        stage.press("ctrl+\\");
        for _ in 0..6 {
            stage.later(3_000);
            stage.press("esc");
        }
        prop_assert!(stage.state().overlay.is_none() && stage.state().pressed.is_empty());
        prop_assert!(stage.state().focus != Focus::Program);
        is_sound(&stage);
    }
}
