//! What a person typed, sent and answered outlives the client that is killed.

use std::path::Path;

use rustix::process::Signal;

use super::Desk;
use crate::harness::{eventually, kill_and_wait};

/// How many of these events have this in them.
fn count(events: &[serde_json::Value], text: &str) -> usize {
    events.iter().filter(|event| event.to_string().contains(text)).count()
}

#[test]
fn a_draft_is_there_after_the_client_was_killed_right_after_the_last_key() {
    let desk = Desk::new();
    let mut draft = String::new();
    for (round, piece) in ["one", " two", " three", " four", " five", " six", " seven", " eight"].iter().enumerate() {
        let terminal = desk.client();
        if round > 0 {
            terminal.until(&format!("> {draft}"));
        }
        for key in piece.chars() {
            terminal.keys(key.to_string());
            draft.push(key);
            // What was shown was kept, whatever happens right after it.
            terminal
                .until_so("the key is shown", |rows| rows.iter().any(|row| row == &format!(" > {}", draft.trim_end())));
        }
        terminal.kill_client();
    }
}

#[test]
fn what_was_left_in_the_editor_is_a_draft_once_the_editor_is_gone() {
    let desk = Desk::new();
    let editor = desk.home.path().join("editor");
    let script = "#!/bin/sh\necho 'ended in the editor' > \"$1\"\necho $$ > \"$HOME/editor.pid\"\necho 'it is saved' > /dev/tty\nexec sleep 600\n";
    std::fs::write(&editor, script).unwrap();
    let first = desk.terminal();
    first.line(&format!("chmod +x {0}; export EDITOR={0}", editor.display()));
    first.run_client();
    first.until("Say what");
    first.keys("begun here");
    first.until("> begun here");
    first.keys("\x07");
    first.until("it is saved");
    first.kill_client();

    let second = desk.client();
    second.until("> begun here");
    let begun = std::fs::read_dir(desk.home.path().join("state/tui/editing")).unwrap().next().unwrap().unwrap();
    let begun: serde_json::Value =
        serde_json::from_slice(&std::fs::read(begun.path().join("begun.json")).unwrap()).unwrap();
    let pid = std::fs::read_to_string(desk.home.path().join("editor.pid")).unwrap().trim().parse().unwrap();
    kill_and_wait(pid, Signal::KILL);
    let shell = begun["processes"][1]["number"].as_u64().unwrap();
    eventually("the editor is gone", || !Path::new("/proc").join(shell.to_string()).exists());
    second.kill_client();
    let third = desk.client();
    third.until("> ended in the editor");
    assert_eq!(std::fs::read_dir(desk.home.path().join("state/tui/editing")).unwrap().count(), 0);
}

#[test]
fn what_was_sent_while_the_daemon_was_away_is_carried_out_once_by_the_next_client() {
    let desk = Desk::new();
    let first = desk.client();
    first.line("hello");
    first.until("heard: hello");
    first.line("write a file");
    first.until("? May I write a file?");
    first.until("1 waits for you");
    desk.home.ok(&["daemon", "stop"]);
    first.until("the daemon was stopped");
    first.keys("\x1by");
    for text in ["prompt one", "prompt two", "prompt three"] {
        first.line(text);
    }
    first.until("3 kept until");
    first.kill_client();
    assert_eq!(desk.home.run(&["daemon", "status"]).status.code(), Some(69), "nobody has started it");

    let second = desk.client();
    // Into the turn that was answered, or after it, whichever came first.
    let is_heard = |rows: &[String]| rows.iter().any(|row| row.starts_with("heard") && row.ends_with("prompt three"));
    second.until_so("the last prompt is heard", is_heard);
    let third = desk.client();
    third.until_so("the last prompt is heard", is_heard);
    assert_eq!(desk.events("agent.answered").len(), 1);
    let mut queued = desk.events("agent.prompt_queued");
    // One that came too late for the turn is queued again, by nobody's command.
    queued.retain(|event| !event["cause"].is_null());
    for text in ["prompt one", "prompt two", "prompt three"] {
        assert_eq!(count(&queued, text), 1, "{text}: {queued:#?}");
    }
    let left = std::fs::read_dir(desk.home.path().join("state/tui/outbox")).unwrap().count();
    assert_eq!(left, 0, "all of it is answered");
}

#[test]
fn the_first_prompt_of_a_session_is_not_lost_with_its_client() {
    let desk = Desk::new();
    let first = desk.client();
    desk.home.ok(&["daemon", "stop"]);
    first.until("the daemon was stopped");
    first.line("the very first");
    first.until("1 kept until the daemon is back");
    first.kill_client();
    let second = desk.terminal();
    second.line("clear; ropewalk");
    second.until("heard: the very first");
    assert_eq!(desk.events("session.created").len(), 1);
}
