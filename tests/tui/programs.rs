//! A program's terminal in the client: as `ropewalk attach` shows it, and every key untouched.

use super::Desk;
use super::terminal::Terminal;
use crate::harness::eventually;

/// Says what it gets, byte for byte, in the modes that full-screen programs ask for.
const PROGRAM: &str = "stty raw -echo; printf '\\033[?1h\\033[?2004hlistening '; exec cat -v";

/// A program that runs, and a client that shows it and has given it the keyboard.
fn typing(desk: &Desk) -> Terminal {
    let terminal = desk.client();
    desk.home.ok(&["run", "--name", "program", "--detach", "--", "sh", "-c", PROGRAM]);
    terminal.keys(":");
    terminal.until("command");
    terminal.line("attach program");
    terminal.until("listening");
    terminal.keys("\r");
    terminal.until("leaves the program");
    terminal
}

#[test]
fn keys_reach_the_program_as_they_were_typed() {
    let desk = Desk::new();
    let terminal = typing(&desk);
    // The client passes the modes on, so that this terminal sends what the program asked for.
    terminal.until_seen("the program's modes are this terminal's", |seen| {
        let modes = seen.screen.modes();
        modes.application_cursor && modes.bracketed_paste
    });
    let mut expected = "listening ".to_owned();
    for (typed, shown) in [
        ("\x18", "^X"),
        ("\x18n", "^Xn"),
        ("\x1ba", "^[a"),
        ("\x1bOA\x1bOD", "^[OA^[OD"),
        ("\x03\x1a\x07", "^C^Z^G"),
        ("\x1b[200~two words\x1b[201~", "^[[200~two words^[[201~"),
        ("\x10\x0c\t", "^P^L\t"),
        ("\x1b", "^["),
        ("?:", "?:"),
    ] {
        terminal.keys(typed);
        expected.push_str(shown);
        let row = drawn(&expected);
        terminal.until_so(&format!("{shown} is shown"), |rows| rows.concat().contains(&row));
    }
    terminal.keys("\x1c");
    terminal.until("type into it");
    terminal.keys("k?");
    terminal.until("This is a program's terminal.");
    terminal.keys("\x1b");
    terminal
        .until_so("the help is closed", |rows| rows.iter().all(|row| !row.contains("This is a program's terminal.")));
    terminal.leave();
    // It goes on.
    desk.home.ok(&["send", "--no-enter", "program", "more"]);
    eventually("it is echoed", || desk.home.ok(&["screen", "program"]).replace('\n', "").contains("?:more"));
}

/// A tab goes to the next stop.
fn drawn(text: &str) -> String {
    let mut drawn = String::new();
    for character in text.chars() {
        match character {
            '\t' => drawn.extend(std::iter::repeat_n(' ', 8 - drawn.len() % 8)),
            other => drawn.push(other),
        }
    }
    drawn.trim_end().to_owned()
}

#[test]
fn attach_in_another_terminal_shows_the_same() {
    let desk = Desk::new();
    let terminal = typing(&desk);
    let beside = desk.terminal();
    beside.line("clear; ropewalk attach program");
    beside.until("listening");
    terminal.keys("from the client, ");
    beside.until("listening from the client,");
    beside.keys("from the other");
    for shown in [&terminal, &beside] {
        shown.until("listening from the client, from the other");
    }
    beside.keys("\x1c");
    beside.until("detached");
    terminal.keys(", and on");
    terminal.until("from the other, and on");
}

#[test]
fn a_program_that_the_client_does_not_show_any_more_has_the_size_of_another_window() {
    let desk = Desk::new();
    let terminal = typing(&desk);
    let beside = Terminal::open(&desk, 120, 40);
    beside.line("clear; ropewalk attach program");
    beside.until("listening");
    let cols = || {
        let screen: serde_json::Value = serde_json::from_str(&desk.home.ok(&["--json", "screen", "program"])).unwrap();
        screen["result"]["size"]["cols"].clone()
    };
    terminal.keys("typed");
    eventually("the window that was used last counts", || cols() == 80);
    terminal.keys("\x1c");
    terminal.until("type into it");
    terminal.keys("\x18n");
    terminal.until("Say what");
    eventually("the window that is left counts", || cols() == 120);
}
