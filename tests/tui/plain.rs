//! The client without a screen: lines in, lines out.

use std::io::Write;
use std::process::{Output, Stdio};

use super::Desk;

/// What a client says that is given these lines, to its end.
fn told(desk: &Desk, lines: &str) -> String {
    let mut command = desk.home.command(&["tui", "--plain"]);
    command.current_dir(desk.work()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&stdout).into_owned(), String::from_utf8_lossy(&stderr).into_owned());
    assert!(status.success(), "{status}: {out}{err}");
    assert!(!out.contains('\x1b'), "no sequence is sent: {out:?}");
    out
}

#[test]
fn what_is_typed_is_answered_in_lines() {
    let desk = Desk::new();
    let out = told(&desk, "the first\n");
    assert!(out.contains("what you type starts a session with Scripted"), "{out}");
    assert!(out.contains("> the first") && out.contains("heard: the first"), "{out}");
    let out = told(&desk, "write a file\n");
    assert!(out.contains("asks: May I write a file?") && out.contains(":answer allow"), "{out}");
    let out = told(&desk, ":answer allow\n");
    assert_eq!(out.matches("done: write a file").count(), 1, "told once: {out}");
    let out = told(&desk, "and then\n");
    assert!(out.contains("> and then") && out.contains("heard: and then"), "{out}");
}
