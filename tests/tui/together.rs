//! Two people, or one person twice, at the same question.

use super::Desk;

#[test]
fn who_is_second_is_told_who_answered() {
    let desk = Desk::new();
    let first = desk.client();
    first.line("write a file");
    first.until("? May I write a file?");
    let second = desk.client();
    second.until("? May I write a file?");
    for terminal in [&first, &second] {
        terminal.until("1 waits for you");
        terminal.keys("\x1bw");
        terminal.until("a: allow once");
    }
    first.answer("a", "a: allow once", "done: write a file");
    second.until("answered by ropewalk-tui");
    second.until_so("the question is gone", |rows| rows.iter().all(|row| !row.contains("Allow once")));
    assert_eq!(desk.events("agent.answered").len(), 1);
}
