//! A talk that is very long: what is not seen costs nothing.

use ropewalk_protocol::{ItemStatus, Size};

use crate::stage::Stage;
use crate::world::{Who, World};

const TURNS: usize = 1_000;
const ITEMS_IN_A_TURN: usize = 100;
const SIZE: Size = Size { cols: 120, rows: 40 };
/// Scrolling a page may lay out the page, and look a few pages ahead.
const LAYOUTS_MAX: u64 = 6 * SIZE.rows as u64;

/// A client that has all of 100,000 items.
fn open() -> (Stage, Who) {
    let mut world = World::new();
    world.page_events = usize::MAX;
    let who = world.claude("very-long");
    for turn in 1..=TURNS {
        world.later(1_000).prompt(who, &format!("Question number {turn}?"));
        for item in 1..=ITEMS_IN_A_TURN / 2 {
            world.says(who, &format!("Part {item} of answer {turn}, in a sentence of its own."));
            let call = format!(r#"{{"command":"make step-{item}"}}"#);
            world.uses(who, "Bash", &call, "done\nand done\n", ItemStatus::Completed);
        }
        world.ends(who);
    }
    (Stage::open(SIZE, world), who)
}

#[test]
fn a_hundred_thousand_items_scroll_by_what_is_seen_alone() {
    let (mut stage, who) = open();
    let talk = |stage: &Stage| {
        let talk = &stage.state().talks[&who.agent];
        (talk.len(), talk.layouts())
    };
    let mut before = talk(&stage);
    assert_eq!(before.0, TURNS, "all of it is known");
    assert!(before.1 <= LAYOUTS_MAX, "{} blocks were laid out for the first page", before.1);
    stage.press("esc");
    let costs = |stage: &mut Stage, keys: &str, before: &mut (usize, u64)| {
        stage.press(keys);
        let after = talk(stage);
        let cost = after.1 - before.1;
        *before = after;
        assert!(cost <= LAYOUTS_MAX, "{keys}: {cost} blocks were laid out");
    };
    for _ in 0..60 {
        costs(&mut stage, "b", &mut before);
    }
    for keys in ["g", "f", "f", "[", "]", "J", "K", "K", "u", "d", "G", "k", "g", "G"] {
        costs(&mut stage, keys, &mut before);
    }
    stage.press("/");
    stage.types("Part 7 of answer 3,");
    costs(&mut stage, "enter", &mut before);
    stage.sees("Part 7 of answer 3,");
    stage.types(":goto 5");
    costs(&mut stage, "enter", &mut before);
    stage.sees("Question number 1?");
    // What is said at the end while one reads elsewhere costs nothing, and at the end it costs itself.
    stage.world.later(1_000).prompt(who, "One more?");
    stage.goes_on();
    costs(&mut stage, "G", &mut before);
    for piece in 0..200 {
        stage.world.says(who, &format!("More, part {piece}."));
        stage.goes_on();
    }
    let after = talk(&stage);
    assert!(after.1 - before.1 <= 200 * 8, "{} blocks for 200 new ones", after.1 - before.1);
}
