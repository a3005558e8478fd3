//! From the shell to an agent's first answer, and back to where one was.

use super::terminal::{PROMPT, Terminal};
use super::{Desk, SCRIPT};

#[test]
fn from_the_shell_to_the_first_answer() {
    for (cols, rows) in [(80, 24), (120, 40)] {
        let desk = Desk::new();
        for (kind, terminal) in Terminal::each(&desk, cols, rows).enumerate() {
            let text = format!("hello {cols} times {kind}");
            terminal.run_client();
            terminal.keys("\x18n");
            terminal.until("Say what is to be done in ~/work");
            terminal.line(&text);
            let rows = terminal.until(&format!("heard: {text}"));
            assert!(rows.iter().any(|row| row.contains(&format!("> {text}"))), "{rows:#?}");
            terminal.until("completed");
            terminal.leave();
        }
    }
}

#[test]
fn a_turn_goes_on_through_a_killed_daemon_and_the_person_comes_back_to_it() {
    let desk = Desk::new();
    for terminal in Terminal::each(&desk, 80, 24) {
        terminal.run_client();
        terminal.keys("\x18n");
        terminal.until("Say what");
        terminal.line("write the file");
        terminal.until("? May I write the file?");
        terminal.until("1 waits for you");
        terminal.answer("\x1by", "1 waits for you", "done: write the file");
        terminal.line("work on it");
        terminal.until("half of work on it");
        desk.home.kill_daemon();
        terminal.until("reconnecting");
        terminal.keys("meanwhile");
        terminal.until("> meanwhile");
        terminal.until("the daemon is back");
        let rows = terminal.until("all of work on it");
        assert!(rows.iter().any(|row| row == " > meanwhile"), "{rows:#?}");
        terminal.until_so("the turn is over", |rows| rows.iter().filter(|row| row.contains("completed")).count() == 2);
        terminal.quit();
        terminal.run_client();
        let rows = terminal.until("all of work on it");
        let count = |text: &str| rows.iter().filter(|row| row.contains(text)).count();
        for once in ["> write the file", "? May I write", "done: write the file", "> work on it", "all of work on it"] {
            assert_eq!(count(once), 1, "{once} in {rows:#?}");
        }
        assert_eq!(count("half of"), 0, "{rows:#?}");
        assert_eq!(count(" > meanwhile"), 1, "the draft is there: {rows:#?}");
        // For the next kind of terminal.
        terminal.keys("\x15");
        terminal.until_so("no draft", |rows| rows.iter().all(|row| !row.contains("meanwhile")));
        terminal.leave();
    }
}

#[test]
fn a_window_of_another_size_is_drawn_anew() {
    let desk = Desk::new();
    for terminal in Terminal::each(&desk, 80, 24) {
        terminal.run_client();
        terminal.line("hello");
        terminal.until("heard: hello");
        for (cols, rows) in [(120, 40), (60, 16), (80, 24)] {
            terminal.resize(cols, rows);
            terminal.until_so("it is drawn at its size", |lines| {
                let rule = &lines[lines.len() - 2];
                lines.len() == usize::from(rows) && rule.chars().count() == usize::from(cols) && rule.ends_with('─')
            });
            terminal.until("heard: hello");
        }
        terminal.keys("\x18n");
        terminal.until("Say what");
        terminal.leave();
    }
}

#[test]
fn a_file_is_completed_by_name() {
    let desk = Desk::new();
    for name in ["apple-tree", "bread", "ignored-apple"] {
        std::fs::write(desk.work().join(name), "").unwrap();
    }
    std::fs::create_dir(desk.work().join(".git")).unwrap();
    std::fs::write(desk.work().join(".gitignore"), "ignored-*\n").unwrap();
    let terminal = desk.client();
    terminal.keys("look at @appl");
    let rows = terminal.until(" @apple-tree");
    assert!(rows.iter().all(|row| !row.contains("ignored-apple")), "{rows:#?}");
    terminal.keys("\t");
    terminal.until("> look at @apple-tree");
    terminal.keys("\r");
    terminal.until("heard: look at @apple-tree");
}

#[test]
fn a_prompt_is_written_in_the_editor_of_the_person() {
    let desk = Desk::with(&SCRIPT.replace("heard: {prompt}", "heard: {prompt}."));
    let editor = desk.home.path().join("editor");
    // It must have the terminal for itself, as it was before the client.
    let script = "#!/bin/sh\ncat \"$1\" > \"$HOME/given\"\nstty -a < /dev/tty > \"$HOME/modes\"\necho 'in the editor' > /dev/tty\nread line < /dev/tty\necho \"written $line\" > \"$1\"\n";
    std::fs::write(&editor, script).unwrap();
    let terminal = desk.terminal();
    terminal.line(&format!("chmod +x {0}; export EDITOR={0}", editor.display()));
    terminal.run_client();
    terminal.keys("from here\x07");
    terminal.until("in the editor");
    assert!(!terminal.look(|seen| seen.screen.alternate()));
    terminal.keys("by hand\r");
    terminal.until("> written by hand");
    assert_eq!(std::fs::read_to_string(desk.home.path().join("given")).unwrap(), "from here");
    let modes = std::fs::read_to_string(desk.home.path().join("modes")).unwrap();
    assert!(modes.contains(" icanon") && modes.contains(" echo "), "{modes}");
    terminal.keys("\r");
    terminal.until("heard: written by hand.");
    terminal.leave();
    terminal.until(PROMPT);
}
