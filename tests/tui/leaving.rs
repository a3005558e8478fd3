//! The terminal is put back, whichever way the client leaves, and left alone where there is none.

use rustix::process::{Pid, Signal, kill_process};

use super::Desk;
use super::terminal::{PROMPT, Terminal};
use crate::harness::{eventually, process_exists};

/// What the shell says of its terminal.
fn modes(terminal: &Terminal, desk: &Desk) -> String {
    let file = desk.home.path().join("stty");
    std::fs::remove_file(&file).ok();
    terminal.line("clear; stty -g > \"$HOME/stty\"");
    eventually("the shell has said it", || std::fs::read_to_string(&file).is_ok_and(|text| text.ends_with('\n')));
    std::fs::read_to_string(&file).unwrap()
}

fn signal(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), signal).unwrap();
}

/// The screen of the shell, and nothing of the client's left on.
fn is_put_back(terminal: &Terminal) {
    terminal.until_seen("the terminal is as it was", |seen| {
        let modes = seen.screen.modes();
        !seen.screen.alternate() && seen.screen.cursor_visible() && !modes.bracketed_paste && !modes.focus
    });
}

#[test]
fn the_terminal_is_put_back_however_the_client_ends() {
    let desk = Desk::new();
    let terminal = desk.terminal();
    let before = modes(&terminal, &desk);
    type Leave = fn(&Terminal);
    let ways: [(&str, Leave, &str); 5] = [
        ("quit", |terminal| terminal.keys("\x18q"), "code 0"),
        ("ctrl+d", |terminal| terminal.keys("\x04"), "code 0"),
        ("SIGTERM", |terminal| signal(terminal.client(), Signal::TERM), "code 143"),
        ("SIGHUP", |terminal| signal(terminal.client(), Signal::HUP), "code 129"),
        ("SIGINT", |terminal| signal(terminal.client(), Signal::INT), "code 130"),
    ];
    for (name, leave, code) in ways {
        terminal.line("clear; ropewalk; echo code $?");
        terminal.until("Say what");
        assert!(terminal.look(|seen| seen.screen.alternate()), "{name}");
        leave(&terminal);
        terminal.until(code);
        is_put_back(&terminal);
        assert_eq!(modes(&terminal, &desk), before, "{name}");
    }
}

#[test]
fn a_client_whose_terminal_is_gone_ends() {
    let desk = Desk::new();
    let terminal = desk.client();
    let client = terminal.client();
    terminal.hang_up();
    eventually("the client ends", || !process_exists(client));
}

#[test]
fn the_client_stops_as_a_job_of_the_shell_and_comes_back() {
    let desk = Desk::new();
    for terminal in Terminal::each(&desk, 80, 24) {
        let before = modes(&terminal, &desk);
        terminal.run_client();
        for round in 0..2 {
            terminal.keys(format!("kept{round}"));
            terminal.until(&format!("kept{round}"));
            terminal.keys("\x1a");
            terminal.until("Stopped");
            assert_eq!(modes(&terminal, &desk), before);
            terminal.line("clear; fg");
            terminal.until(&format!("kept{round}"));
            terminal.until("Say what");
        }
        terminal.keys("\x15");
        terminal.until_so("no draft", |rows| rows.iter().all(|row| !row.contains("kept")));
        terminal.leave();
        assert_eq!(modes(&terminal, &desk), before);
    }
}

#[test]
fn no_colour_is_sent_to_a_person_who_wants_none() {
    let desk = Desk::new();
    for (variable, coloured) in [("NO_COLOR=", true), ("NO_COLOR=1", false)] {
        let terminal = desk.terminal();
        terminal.line(&format!("clear; {variable} ropewalk"));
        terminal.until("Say what");
        terminal.keys("hello\x18l");
        terminal.until("filter");
        let has_colours = terminal.look(|seen| colours(&seen.bytes));
        assert_eq!(has_colours, coloured, "{variable}");
    }
}

/// Whether a colour is chosen anywhere: 30 to 49 but for their ends, 90 to 107, and the long forms.
fn colours(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let selections = text.split("\x1b[").skip(1).filter_map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != ';' && c != ':')?;
        rest[end..].starts_with('m').then(|| &rest[..end])
    });
    selections
        .flat_map(|selection| selection.split([';', ':']))
        .any(|number| matches!(number.parse::<u8>(), Ok(30..=38 | 40..=48 | 90..=97 | 100..=107)))
}

#[test]
fn without_a_terminal_the_usage_is_printed() {
    let desk = Desk::new();
    let (code, said) = desk.home.fails(&[]);
    assert_eq!(code, 2);
    assert!(said.contains("Usage: ropewalk"), "{said}");
    let (code, said) = desk.home.fails(&["tui"]);
    assert_eq!(code, 2);
    assert!(said.contains("needs a terminal"), "{said}");
    assert!(!desk.home.path().join("data").join("daemon.lock").exists(), "nothing was started");
}

#[test]
fn a_wrong_configuration_is_told_by_its_line() {
    let desk = Desk::new();
    for (text, told) in [
        ("mouse = true\nleader = \n", "line 2"),
        ("theme = \"dark\"\n\nmuose = false\n", "line 3"),
        ("[keys]\nquti = [\"ctrl+q\"]\n", "quti"),
        ("[keys]\nquit = [\"ctrl+nothing\"]\n", "ctrl+nothing"),
    ] {
        desk.configure(text);
        let terminal = Terminal::open(&desk, 200, 24);
        terminal.line("clear; ropewalk; echo code $?");
        let rows = terminal.until("code 1");
        let said = rows.join("\n");
        assert!(said.contains(told) && said.contains("tui.toml") && said.contains("code 1"), "{text:?}: {said}");
        assert!(!terminal.look(|seen| seen.screen.alternate()));
        terminal.until(PROMPT);
    }
}
