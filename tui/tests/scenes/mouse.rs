//! The mouse: the wheel scrolls what is under it, a click takes what is under it.

use ropewalk_protocol::Size;
use ropewalk_tui::app::event::Effect;

use crate::snapshot::play;
use crate::stage::Stage;
use crate::tales;
use crate::world::World;

/// A notch of the wheel, or a press and a release of the left button, where a cell is (from 1).
fn wheel_up(stage: &mut Stage, column: u16, row: u16) {
    stage.sends(format!("\x1b[<64;{column};{row}M").as_bytes());
}

fn click(stage: &mut Stage, column: u16, row: u16) {
    stage.sends(format!("\x1b[<0;{column};{row}M\x1b[<0;{column};{row}m").as_bytes());
}

/// The cell of the first place of a text on the screen, from 1.
fn place_of(stage: &Stage, text: &str) -> (u16, u16) {
    let rows = (0..stage.state().size.rows).map(|row| (row, stage.screen().row_text(row)));
    let found = rows.filter_map(|(row, shown)| {
        let at = shown.find(text)?;
        let column = u16::try_from(shown[..at].chars().count()).ok()?;
        Some((column + 1, row + 1))
    });
    found.min_by_key(|(_, row)| *row).unwrap_or_else(|| panic!("{text:?} is not on the screen"))
}

#[test]
fn the_wheel_scrolls_what_was_said() {
    play(|size: Size| {
        let mut stage = Stage::open(size, tales::long_talk(20).0);
        for _ in 0..4 {
            wheel_up(&mut stage, size.cols - 10, 8);
        }
        stage.sees("the past");
        stage
    });
}

#[test]
fn a_session_is_shown_by_a_click() {
    play(|size| {
        let mut world = World::new();
        world.claude("first");
        world.claude("second");
        let mut stage = Stage::open(size, world);
        stage.press("ctrl+x l");
        let (column, row) = place_of(&stage, "first");
        click(&mut stage, column, row);
        stage.sees("first/claude");
        stage
    });
}

#[test]
fn a_block_is_selected_and_opened_by_clicks() {
    play(|size| {
        let mut stage = Stage::open(size, tales::done().0);
        stage.press("esc g");
        let (column, row) = place_of(&stage, "thinking");
        click(&mut stage, column, row);
        click(&mut stage, column, row);
        stage.sees("I should look at both.");
        stage
    });
}

#[test]
fn the_mouse_is_left_to_the_terminal_on_demand() {
    play(|size| {
        let mut stage = Stage::open(size, tales::done().0);
        stage.press("ctrl+x m");
        stage.sees("the mouse is the terminal's");
        assert!(stage.asked.contains(&Effect::Mouse(false)));
        stage
    });
}
