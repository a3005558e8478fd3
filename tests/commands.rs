//! The command line, as a person and as a script would use it.

use std::io::Write;
use std::process::Stdio;

use serde_json::Value;

use crate::harness::{Home, block_on, create};

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn a_program_is_run_waited_for_read_and_deleted() {
    let home = Home::new();
    let id = home.ok(&["run", "--detach", "--name", "job", "--", "sh", "-c", "echo working; exit 3"]);
    home.ok(&["wait", "job", "--for", "ended", "--timeout", "60s"]);
    assert_eq!(home.ok(&["output", "job"]), "working\r\n");
    assert_eq!(home.ok(&["output", "job", "--after", "4"]), "ing\r\n");
    assert!(home.ok(&["screen", "job"]).starts_with("working\n"));
    let listed = json(&home.ok(&["ls", "--json"]));
    assert_eq!(listed["session"], id.trim());
    assert_eq!(listed["status"]["state"], "ended");
    assert_eq!(listed["agents"][0]["outcome"]["exited"]["code"], 3);
    let table = home.ok(&["ls"]);
    assert!(table.contains("failed (3)"), "{table}");
    let shown = home.ok(&["show", "job"]);
    assert!(shown.contains("program exited with code 3"), "{shown}");
    assert_eq!(home.fails(&["end", "job"]).0, 1, "it has ended");
    home.ok(&["rename", "job", "done"]);
    home.ok(&["annotate", "done", "a remark"]);
    assert!(home.ok(&["events", "done"]).contains("a remark"));
    home.ok(&["delete", "done"]);
    let (code, error) = home.fails(&["show", "done"]);
    assert_eq!(code, 1);
    assert!(error.contains("not_found") && error.contains("next:"), "{error}");
    assert!(home.ok(&["events", "--json"]).contains("a remark"), "history stays in the log");
}

#[test]
fn a_program_that_somebody_ended_has_not_failed() {
    let home = Home::new();
    home.ok(&[
        "run",
        "--detach",
        "--name",
        "job",
        "--",
        "sh",
        "-c",
        "trap 'exit 9' HUP TERM; echo up; while :; do sleep 1; done",
    ]);
    home.ok(&["wait", "job", "--for", "text:up", "--timeout", "60s"]);
    home.ok(&["end", "job"]);
    home.ok(&["wait", "job", "--for", "ended", "--timeout", "60s"]);
    let table = home.ok(&["ls"]);
    assert!(table.contains("ended (9)"), "{table}");
}

/// Regression: found by CI. A program that is known to be gone may have printed what nobody has read yet: `wait` came back, and
/// `output` had nothing.
#[test]
fn regression_what_a_program_printed_is_there_once_it_was_waited_for() {
    let home = Home::new();
    // The program is gone at once; what it leaves behind prints a moment later.
    let script = r#"trap "" HUP TERM; (sleep 0.5; echo late) & exit 0"#;
    home.ok(&["run", "--detach", "--name", "job", "--", "sh", "-c", script]);
    home.ok(&["wait", "job", "--for", "ended", "--timeout", "60s"]);
    assert_eq!(home.ok(&["output", "job"]), "late\r\n");
    assert!(home.ok(&["screen", "job"]).starts_with("late\n"));
    // One that is gone altogether ended.
    home.ok(&["delete", "job"]);
    assert!(home.fails(&["wait", "job", "--for", "ended", "--timeout", "60s"]).1.contains("not_found"));
}

#[test]
fn run_without_a_terminal_shows_the_output_and_ends_with_the_programs_code() {
    let home = Home::new();
    let output = home.run(&["run", "--", "sh", "-c", "echo out; exit 7"]);
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(7), &b"out\r\n"[..]));
    let output = home.run(&["run", "--", "sh", "-c", "kill -9 $$"]);
    assert_eq!(output.status.code(), Some(128 + 9));
    let output = home.run(&["run", "--", "no-such-program-at-all"]);
    assert_eq!(output.status.code(), Some(127), "{}", String::from_utf8_lossy(&output.stderr));
    let mut child = home
        .command(&["run", "--", "sh", "-c", "stty -echo; read line; echo \"got $line\""])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"typed\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains("got typed"));
}

#[test]
fn a_program_gets_the_environment_and_directory_of_its_run() {
    let home = Home::new();
    let directory = home.path().join("work");
    std::fs::create_dir(&directory).unwrap();
    let directory = directory.to_str().unwrap();
    let script = "echo $MARK; pwd; echo $ROPEWALK_SESSION; tty | cut -c1-5; ps -o sid= -p $$ | tr -d ' '; echo $$";
    let output = home
        .command(&["run", "--workspace", directory, "--", "sh", "-c", script])
        .env("MARK", "here")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[..2], ["here", directory]);
    assert_eq!(lines[2], json(&home.ok(&["ls", "--json"]))["session"]);
    assert_eq!(lines[3], "/dev/");
    assert_eq!(lines[4], lines[5], "a session of its own");
    let (code, error) = home.fails(&["run", "--workspace", "/no/such/place", "--", "true"]);
    assert_eq!(code, 1);
    assert!(error.contains("workspace_missing"), "{error}");
}

#[test]
fn an_ambiguous_reference_lists_what_matches_and_a_prefix_is_enough() {
    let home = Home::started();
    let ids = block_on(async {
        let client = home.client().await;
        [create(&client, Some("one")).await, create(&client, Some("two")).await]
    });
    let ids = ids.map(|id| id.to_string());
    let common = ids[0].chars().zip(ids[1].chars()).take_while(|(a, b)| a == b).count();
    let (code, error) = home.fails(&["show", &ids[0][..common.min(4)]]);
    assert_eq!(code, 2);
    assert!(error.contains(&ids[0]) && error.contains(&ids[1]) && error.contains("one"), "{error}");
    assert!(home.ok(&["show", &ids[1][..=common]]).contains("two"));
    let (_, error) = home.fails(&["run", "--detach", "--name", "one", "--", "true"]);
    assert!(error.contains("name_taken"), "{error}");
    for wrong in ["-x", "a b", "../up", "", ids[0].as_str()] {
        let name = format!("--name={wrong}");
        assert_eq!(home.fails(&["run", "--detach", &name, "--", "true"]).0, 2, "{wrong:?}");
    }
}

#[test]
fn send_types_a_line_or_exact_bytes_and_wait_sees_them() {
    let home = Home::new();
    home.ok(&[
        "run",
        "--detach",
        "--name",
        "reads",
        "--",
        "sh",
        "-c",
        "stty -echo; while read l; do echo \"<$l>\"; done",
    ]);
    home.ok(&["send", "reads", "a line"]);
    assert_eq!(home.ok(&["wait", "reads", "--for", "text:^<a l.*>$", "--timeout", "30s"]), "<a line>\n");
    let mut child = home.command(&["send", "reads", "-"]).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"exact\rbytes\r").unwrap();
    assert!(child.wait().unwrap().success());
    home.ok(&["wait", "reads", "--for", "text:<bytes>", "--timeout", "30s"]);
    assert_eq!(home.ok(&["wait", "reads", "--for", "idle", "--quiet", "100ms", "--timeout", "30s"]), "idle\n");
    let (code, error) = home.fails(&["wait", "reads", "--for", "text:never", "--timeout", "100ms"]);
    assert_eq!(code, 124, "{error}");
    assert_eq!(home.fails(&["wait", "reads", "--for", "nonsense"]).0, 2);
    home.ok(&["end", "reads"]);
    let (code, error) = home.fails(&["send", "reads", "x"]);
    assert_eq!(code, 1);
    assert!(error.contains("not_attached") || error.contains("input_refused"), "{error}");
}

#[test]
fn output_follows_until_the_terminal_closes() {
    let home = Home::new();
    home.ok(&["run", "--detach", "--name", "slow", "--", "sh", "-c", "for i in 1 2 3; do echo $i; sleep 0.1; done"]);
    assert_eq!(home.ok(&["output", "slow", "--follow"]), "1\r\n2\r\n3\r\n");
}

#[test]
fn without_a_daemon_status_says_so_and_the_log_can_be_checked_again_with_one() {
    let home = Home::new();
    assert_eq!(home.fails(&["daemon", "status"]).0, 69);
    home.start();
    assert!(home.ok(&["daemon", "status"]).contains("daemon: process"));
    assert_eq!(json(&home.ok(&["log", "verify", "--json"]))["intact"], true);
    assert!(home.ok(&["log", "stats"]).contains("volumes"));
    let info = json(&home.ok(&["info", "--json"]));
    assert_eq!(info["daemon"]["pid"], home.daemon_pid());
    home.ok(&["daemon", "restart"]);
    home.ok(&["daemon", "stop"]);
    assert_eq!(home.ok(&["daemon", "stop"]), "", "stopping what does not run is no error");
}

#[test]
fn help_completions_and_schema_need_no_home() {
    let home = Home::new();
    for args in [&["--help"][..], &["run", "--help"], &["completions", "bash"], &["schema"], &["--version"]] {
        let output = home.command(args).env_remove("HOME").env_remove("ROPEWALK_HOME").output().unwrap();
        assert!(output.status.success() && !output.stdout.is_empty(), "{args:?}");
        assert!(output.stderr.is_empty(), "{args:?}");
    }
    assert_eq!(home.fails(&["nonsense"]).0, 2);
    assert!(!home.path().join("data").exists(), "and start nothing");
}

#[test]
fn every_exit_code_is_documented() {
    let source = include_str!("../cli/exit.rs");
    let page = include_str!("../docs/operations.md");
    let codes = source.lines().filter_map(|line| line.strip_prefix("pub(crate) const ")?.split_once(": u8 = "));
    let mut count = 0;
    for (name, value) in codes {
        let value = value.trim_end_matches(';');
        let row = if name == "SIGNAL_BASE" { "| 128 + n |".to_owned() } else { format!("| {value} |") };
        assert!(page.contains(&row), "{name} = {value} is not in docs/operations.md");
        count += 1;
    }
    assert!(count >= 10);
}

#[test]
fn colour_is_left_out_when_it_is_not_wanted() {
    let home = Home::started();
    let output = home.command(&["show", "nothing"]).env("CLICOLOR_FORCE", "1").env_remove("NO_COLOR").output().unwrap();
    assert!(output.stderr.contains(&0x1b));
    let output = home.command(&["show", "nothing"]).env("NO_COLOR", "1").env_remove("CLICOLOR_FORCE").output().unwrap();
    assert!(!output.stderr.contains(&0x1b));
}

#[test]
fn the_demo_passes() {
    let home = Home::new();
    let said = home.ok(&["demo", "--json"]);
    assert_eq!(said.lines().count(), 8, "{said}");
    assert!(said.lines().all(|line| json(line)["checked"].is_string()));
}

/// Every measurement is made, in a process of its own that says how it goes, and finds what it looks for.
#[test]
fn all_benchmarks_measure_something() {
    let home = Home::new();
    let output = home.run(&["bench", "--quick", "--json"]);
    let (said, talk) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{said} {talk}");
    assert!(talk.contains("measuring append") && talk.contains("measuring tui"), "{talk}");
    let report = json(&said);
    assert_eq!(report["quick"], true, "{said}");
    let figures = report["figures"].as_array().unwrap();
    let mut names: Vec<&str> = figures.iter().map(|figure| figure["bench"].as_str().unwrap()).collect();
    names.dedup();
    let all = ["append", "replay", "fanout", "echo", "output", "attach", "idle", "recover", "agents", "tui"];
    assert_eq!(names, all, "{said}");
    // An idle process may do nothing at all.
    let busy = figures.iter().filter(|figure| !figure["what"].as_str().unwrap().contains("idle"));
    for figure in busy.filter(|figure| figure["bench"] != "idle") {
        assert!(figure["measured"].as_f64().unwrap() > 0.0, "{figure}");
        assert_ne!(figure["limit"], 0.0, "{figure}");
    }
}

/// A minute of everything at once: the benchmark itself says what is wrong.
#[test]
fn a_minute_of_soak_loses_nothing_and_grows_nothing() {
    let home = Home::new();
    let said = home.ok(&["bench", "soak", "--minutes", "1", "--json"]);
    let report = json(&said);
    let figures = report["figures"].as_array().unwrap();
    let figure = |what: &str| {
        let found = figures.iter().find(|figure| figure["what"] == what);
        found.unwrap_or_else(|| panic!("no {what} in {said}"))["measured"].as_f64().unwrap()
    };
    assert!(figure("durable commands") > 1.0 && figure("sessions run, read and deleted") >= 1.0, "{said}");
    assert!(figure("connections cut") >= 1.0 && figure("daemons killed") >= 4.0, "{said}");
}

#[test]
fn the_example_client_follows_events() {
    let home = Home::started();
    home.ok(&["run", "--detach", "--name", "seen", "--", "true"]);
    let example = std::path::Path::new(crate::harness::ROPEWALK).with_file_name("examples").join("follow_events");
    if !example.exists() {
        // `cargo test` builds examples, `cargo test --test e2e` does not.
        let built = std::process::Command::new(env!("CARGO")).args(["build", "--example", "follow_events"]).status();
        assert!(built.unwrap().success());
    }
    let runtime = home.path().join("runtime");
    let output = std::process::Command::new(example).arg(runtime).arg("3").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let names: Vec<&str> = text.lines().filter_map(|line| line.split(' ').nth(2)).collect();
    assert_eq!(names, ["machine.daemon_started", "session.created", "session.agent_added"], "{text}");
}

/// The end of a program that is over at once was recorded without its start: two tasks told of them, in any order.
#[test]
fn regression_a_program_that_is_over_at_once_is_recorded_as_started_and_then_as_ended() {
    let home = Home::started();
    for number in 0..20 {
        let name = format!("short-{number}");
        home.ok(&["run", "--detach", "--name", &name, "--", "true"]);
        home.ok(&["wait", &name, "--for", "ended", "--timeout", "60s"]);
        let events = home.ok(&["events", &name, "--json"]);
        let place = |kind: &str| events.find(kind).unwrap_or_else(|| panic!("{number}: no {kind} in {events}"));
        assert!(place("agent.run_started") < place("agent.run_ended"), "{number}: {events}");
    }
}
