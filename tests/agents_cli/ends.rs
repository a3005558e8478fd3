//! How a followed turn ends: the documented exit code and a last line, every time.

use std::process::Stdio;
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::{Agents, lines, read_until};
use crate::harness::{PATIENCE, eventually};

fn outcome((code, _, last): &(i32, Vec<Value>, Value)) -> (i32, &str) {
    (*code, last["outcome"].as_str().unwrap())
}

/// The users' test `headless_terminates`: agents that ask, never read, stay alive, close their output, go silent, flood.
#[test]
fn headless_terminates() {
    let scripts = [
        ("on prompt\n confirm\n ask May I?\n", &["--on-ask", "wait", "--timeout", "2"][..], (124, "timeout")),
        ("on prompt\n confirm\n ask May I?\n", &["--on-ask", "wait", "--idle-timeout", "2"], (124, "timeout")),
        ("on prompt\n confirm\n ask May I?\n", &["--on-ask", "wait:1s"], (0, "completed")),
        ("on prompt\n confirm\n ask May I?\n", &[], (0, "completed")),
        ("on prompt\n confirm\n ask May I?\n", &["--on-ask", "fail"], (6, "asked")),
        ("deaf\n", &["--timeout", "2"], (124, "timeout")),
        ("on start\n hang\n", &["--timeout", "2"], (124, "timeout")),
        ("on start\n refuse not logged in\n", &[], (1, "failed")),
        ("on start\n complain no such thing\n exit 3\n", &[], (1, "failed")),
        ("on prompt\n say all\n", &[], (0, "completed")),
        ("on prompt\n confirm\n delta some\n hang\n", &["--idle-timeout", "2"], (124, "timeout")),
        ("on prompt\n confirm\n delta some\n sleep 60000\n", &["--timeout", "2"], (124, "timeout")),
        ("on prompt\n confirm\n exit 1\n", &[], (5, "interrupted")),
        ("on prompt\n confirm\n half\n", &[], (5, "interrupted")),
        ("on prompt\n garbage\n say survived\n", &[], (0, "completed")),
        ("on prompt\n line 3000000\n say survived\n", &[], (0, "completed")),
        ("on prompt\n flood 3000000\n", &[], (0, "completed")),
        ("on prompt\n end failed the model gave up\n", &[], (1, "failed")),
        ("on prompt\n end cancelled\n", &[], (3, "cancelled")),
    ];
    for (script, args, expected) in scripts {
        let agents = Agents::new(script);
        let began = Instant::now();
        let ended = agents.json(&[args, &["go"]].concat());
        assert_eq!(outcome(&ended), expected, "{script} {args:?}: {}", ended.2);
        assert!(began.elapsed() < PATIENCE / 2, "{script}");
        if expected.1 == "failed" {
            let reason = ended.2["reason"].as_str().unwrap();
            let told = ["not logged in", "no such thing", "gave up"].iter().any(|why| reason.contains(why));
            assert!(told, "{script}: {reason}");
        }
    }
}

#[test]
fn one_prompt_one_turn() {
    let agents = Agents::new("resume\non start\n sleep 2000\non prompt\n confirm\n say turn {turns}\n");
    let child = agents.run(&["--json", "--name", "once", "go"]).stdout(Stdio::piped()).spawn().unwrap();
    eventually("the session is there", || agents.home.ok(&["ls"]).contains("once"));
    agents.home.kill_daemon();
    agents.home.start();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!((last["outcome"].as_str(), last["text"].as_str()), (Some("completed"), Some("turn 1")), "{text}");
    assert_eq!(text.matches(r#""type":"agent.turn_started""#).count(), 1);
    assert_eq!(agents.taken(), ["go"]);
    // The agent's process outlives the daemon: its next turn is of the same conversation.
    assert_eq!(agents.home.ok(&["prompt", "once", "--follow", "again"]), "turn 2\n");
}

#[test]
fn a_conversation_goes_on_in_another_process() {
    let agents = Agents::new("resume\non prompt /die/\n confirm\n exit 1\non prompt\n confirm\n say turn {turns}\n");
    agents.detached(&["--name", "r", "one"]);
    agents.until("r", "idle");
    let (code, _, last) = lines(&mut agents.home.command(&["prompt", "r", "--follow", "--json", "die"]));
    assert_eq!((code, last["outcome"].as_str()), (5, Some("interrupted")));
    assert_eq!(agents.state("r"), "stopped");
    // A program that is started again has the environment of whoever prompts.
    let mut prompt = agents.home.command(&["prompt", "r", "--follow", "three"]);
    let output = prompt.env("SCRIPTED_LOG", agents.home.path().join("taken")).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "turn 3\n");
    assert_eq!(agents.taken(), ["one", "die", "three"], "what was interrupted is not sent again");
}

#[test]
fn ctrl_c_cancels_the_turn_and_again_leaves_it() {
    let agents = Agents::new("on prompt\n confirm\n delta \"begun\\n\"\n sleep 60000\n");
    let mut child = agents.run(&["--name", "c", "go"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    read_until(child.stdout.take().unwrap(), "begun");
    interrupt(child.id());
    assert_eq!(child.wait().unwrap().code(), Some(3));
    agents.until("c", "idle");

    let agents = Agents::new("on prompt\n confirm\n delta \"begun\\n\"\n sleep 60000\non interrupt\n");
    let mut child = agents.run(&["--json", "--name", "c", "go"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut out = child.stdout.take().unwrap();
    read_until(&mut out, "item_delta");
    interrupt(child.id());
    eventually("the turn is asked to end", || agents.home.ok(&["events", "c"]).contains("agent.cancel_asked"));
    interrupt(child.id());
    let rest = String::from_utf8(crate::harness::read_all(out)).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let last: Value = serde_json::from_str(rest.lines().last().unwrap()).unwrap();
    assert_eq!((last["outcome"].as_str(), last["exit"].as_u64()), (Some("left"), Some(130)));
    assert!(agents.home.ok(&["ls"]).contains("running"), "the session goes on");
}

/// Regression: `ls` said of a session that it runs when no process of it did.
#[test]
fn regression_a_session_whose_agents_have_no_process_is_stopped_until_the_next_prompt() {
    let agents = Agents::new("on prompt /go/\n confirm\n exit 1\non prompt\n say here\n");
    agents.run(&["--name", "s", "go"]).output().unwrap();
    eventually("it is stopped", || agents.home.ok(&["ls"]).contains("stopped"));
    assert_eq!(agents.home.ok(&["prompt", "s", "--follow", "again"]), "here\n");
    assert!(agents.home.ok(&["ls"]).contains("running"));
}

fn interrupt(pid: u32) {
    kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), Signal::INT).unwrap();
}

/// A program that does not know how it is spoken to: an older one, or another one of the same name.
#[test]
fn a_program_that_is_too_old_is_named_with_what_it_says_and_with_what_to_do() {
    let agents = Agents::new("");
    for (provider, outcome) in [("codex", "failed"), ("claude", "interrupted")] {
        let old = agents.home.path().join(provider);
        std::fs::write(&old, "#!/bin/sh\necho 'error: no such option' >&2\nexit 2\n").unwrap();
        std::fs::set_permissions(&old, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let old = old.to_str().unwrap();
        let mut run = agents.home.command(&["run", "--provider", provider, "--command", old, "--json", "hello"]);
        let (_, _, last) = lines(&mut run);
        let reason = last["reason"].as_str().unwrap();
        assert_eq!(last["outcome"], outcome, "{last}");
        assert!(reason.contains("no such option") && reason.contains("`ropewalk doctor`"), "{reason}");
    }
}
