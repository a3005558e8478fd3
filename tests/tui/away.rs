//! The daemon is gone, on purpose.

use super::Desk;

#[test]
fn a_daemon_that_was_stopped_is_started_by_the_person_and_nobody_else() {
    let desk = Desk::new();
    let terminal = desk.client();
    terminal.line("hello");
    terminal.until("heard: hello");
    for _ in 0..3 {
        let before = desk.home.daemon_pid();
        desk.home.ok(&["daemon", "stop"]);
        terminal.until("the daemon was stopped; `:reconnect` starts it");
        assert!(!desk.home.path().join("runtime/daemon.json").exists(), "nobody has started it");
        terminal.keys(":");
        terminal.until("command");
        terminal.line("reconnect");
        terminal.until_reached();
        assert_ne!(desk.home.daemon_pid(), before);
    }
    terminal.line("again");
    terminal.until("heard: again");
    terminal.leave();
}

#[test]
fn a_daemon_that_somebody_starts_again_is_reached_without_a_word() {
    let desk = Desk::new();
    let terminal = desk.client();
    desk.home.ok(&["daemon", "stop"]);
    terminal.until("the daemon was stopped");
    desk.home.start();
    terminal.until_reached();
    desk.home.ok(&["daemon", "restart"]);
    terminal.line("hello");
    terminal.until("heard: hello");
}
