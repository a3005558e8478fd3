//! What a person typed, sent and answered outlives the client that is killed.

use super::Desk;

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
    let queued = desk.events("agent.prompt_queued");
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
