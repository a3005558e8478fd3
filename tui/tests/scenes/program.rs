//! Programs in terminals of their own.

use ropewalk_protocol::{Size, TerminalId};

use crate::snapshot::play;
use crate::stage::{Begin, Stage};
use crate::world::{Who, World};

/// What a program puts on its screen: colours, wide characters, a line that is underlined.
pub(crate) const MENU: &str = "\x1b[2J\x1b[H\x1b[1;37;44m htop 3.3 \x1b[0m  CPU[\x1b[32m|||||\x1b[31m||\x1b[0m      34.2%]\r\n\
                    \x1b[7m  PID USER  COMMAND          \x1b[0m\r\n\
                    \x1b[38;5;214m 4711\x1b[0m ada   \x1b[38;2;120;200;255mshop serve\x1b[0m\r\n\
                    \x1b[38;5;214m 4712\x1b[0m ada   漢字エディタ e\u{301}\r\n\
                    \x1b[4munderlined\x1b[24m \x1b[3mitalic\x1b[23m \x1b[9mstruck\x1b[29m \x1b[2mdim\x1b[22m";

fn open(size: Size) -> (Stage, Who, TerminalId) {
    let mut world = World::new();
    let (who, terminal) = world.program("monitor", &["htop"]);
    let mut stage = Stage::open(size, world);
    stage.world.writes(terminal, MENU.as_bytes());
    stage.goes_on();
    (stage, who, terminal)
}

#[test]
fn a_program_shows_its_own_screen_with_its_colours() {
    play(|size| {
        let (stage, ..) = open(size);
        stage.sees("htop 3.3");
        stage.sees("漢字エディタ");
        stage
    });
}

#[test]
fn what_is_typed_goes_to_the_program_byte_by_byte() {
    play(|size| {
        let (mut stage, ..) = open(size);
        stage.press("enter");
        stage.sees("every key goes to the program; ctrl+\\ leaves it");
        stage.press("q ctrl+c esc up ctrl+p");
        assert_eq!(stage.typed, b"q\x03\x1b\x1b[A\x10");
        stage
    });
}

#[test]
fn the_program_is_left_with_one_key() {
    play(|size| {
        let (mut stage, ..) = open(size);
        stage.press("enter x ctrl+\\");
        stage.press("y");
        assert_eq!(stage.typed, b"x");
        stage.press("esc");
        stage.sees("all directories");
        stage
    });
}

#[test]
fn lines_that_left_the_screen_are_scrolled_back_to() {
    play(|size| {
        let (mut stage, _, terminal) = open(size);
        let lines: String = (1..=300).map(|line| format!("line {line}\r\n")).collect();
        stage.world.writes(terminal, format!("\x1b[2J\x1b[H{lines}").as_bytes());
        stage.goes_on();
        stage.sees("line 300");
        stage.press("b b");
        stage.sees_not("line 300");
        stage.sees("lines back");
        stage.world.writes(terminal, b"more\r\nand more\r\n");
        stage.goes_on();
        stage.sees_not("and more");
        stage
    });
}

#[test]
fn a_program_that_ended_is_said_to_have_ended() {
    play(|size| {
        let (mut stage, who, terminal) = open(size);
        stage.world.program_ends(who, terminal, 1);
        stage.goes_on();
        stage.sees("the program has ended");
        stage.press("enter");
        stage.sees("the program has ended; this is how its screen was");
        stage.sees_not("type into it");
        stage.later(200);
        stage.sees("monitor/htop ✗ failed");
        stage
    });
}

#[test]
fn a_program_on_a_cut_line_is_said_to_be_old() {
    play(|size| {
        let (mut stage, ..) = open(size);
        stage.is_cut();
        stage.sees("the connection is cut; this may be old");
        stage
    });
}

#[test]
fn a_program_is_run_from_the_command_line() {
    play(|size| {
        let mut stage = Stage::open(size, World::new());
        stage.types(":run -- top -d 5");
        stage.press("enter");
        let session = stage.world.sessions().pop().expect("a session was started");
        assert_eq!(session.agents[0].argv, ["top", "-d", "5"]);
        stage.sees("top -d 5");
        stage
    });
}

#[test]
fn a_read_only_client_types_nothing_into_a_program() {
    play(|size| {
        let mut world = World::new();
        let (_, terminal) = world.program("monitor", &["htop"]);
        world.writes(terminal, MENU.as_bytes());
        let config = ropewalk_tui::app::settings::Config { read_only: true, ..Default::default() };
        let mut stage = Stage::open_with(size, world, Begin { config, ..Begin::default() });
        stage.press("enter x");
        stage.sees("nothing can be typed: this client is read-only");
        assert_eq!(stage.typed, b"");
        stage
    });
}
