//! The command line where things go wrong.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal};

use crate::harness::{Home, ROPEWALK, block_on, create, eventually, process_exists};

/// Regression: `run --detach` of a program that is not there printed an id and ended with 0.
#[test]
fn regression_run_detach_says_why_the_program_did_not_start() {
    let home = Home::new();
    let plain = home.path().join("plain-file");
    std::fs::write(&plain, b"text").unwrap();
    for program in ["no-such-program-at-all", "/no/such/program", plain.to_str().unwrap()] {
        let output = home.run(&["run", "--detach", "--", program]);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(127), "{program}: {error}");
        assert!(error.contains("could not be started") && error.contains(program), "{error}");
        assert!(output.stdout.is_empty(), "no id of something that does not run");
    }
    let (code, error) = home.fails(&["run", "--detach", "--workspace", "/no/such/place", "--", "true"]);
    assert_eq!(code, 1);
    assert!(error.contains("workspace_missing"), "{error}");
    home.ok(&["run", "--detach", "--", "true"]);
}

/// Regression: `send` to a program that does not read never came back.
#[test]
fn regression_send_to_a_program_that_does_not_read_gives_up_and_says_what_was_taken() {
    let home = Home::new();
    home.ok(&["run", "--detach", "--name", "deaf", "--", "sh", "-c", "stty raw -echo; echo deaf; exec sleep 1000"]);
    home.ok(&["wait", "deaf", "--for", "text:^deaf", "--timeout", "60"]);
    let long = "x".repeat(100_000);
    let (code, error) = home.fails(&["send", "deaf", &long, "--timeout", "0.5"]);
    assert_eq!(code, 75, "{error}");
    assert!(error.contains("busy") && error.contains("of 100001 bytes") && error.contains("next:"), "{error}");
    assert_eq!(home.fails(&["send", "deaf", "x", "--timeout", "soon"]).0, 2);
    home.ok(&["end", "deaf"]);
}

#[test]
fn a_name_that_begins_another_sessions_id_means_the_session_of_that_name() {
    let home = Home::started();
    let (other, named) = block_on(async {
        let client = home.client().await;
        let other = create(&client, Some("other")).await;
        let prefix: String = other.to_string().chars().take(8).collect();
        (other, (create(&client, Some(&prefix)).await, prefix))
    });
    let (id, prefix) = named;
    let shown = home.ok(&["show", &prefix]);
    assert!(shown.contains(&id.to_string()) && !shown.contains(&other.to_string()), "{shown}");
    assert!(home.ok(&["show", &other.to_string()]).contains("other"), "the other one is reached by its id");
}

#[test]
fn stop_all_counts_what_it_ended_and_lists_a_few() {
    let home = Home::started();
    for number in 0..7 {
        home.ok(&["run", "--detach", "--name", &format!("job-{number}"), "--", "sleep", "1000"]);
    }
    let said = home.ok(&["daemon", "stop", "--all"]);
    assert!(said.contains("ended 7 sessions") && said.contains("and 2 more"), "{said}");
    assert_eq!(said.matches("job-").count(), 5, "{said}");
}

#[test]
fn wait_takes_a_number_as_seconds() {
    let home = Home::new();
    home.ok(&["run", "--detach", "--name", "quiet", "--", "sleep", "1000"]);
    let (code, error) = home.fails(&["wait", "quiet", "--for", "ended", "--timeout", "1"]);
    assert_eq!(code, 124, "{error}");
    assert!(error.contains("1s"), "{error}");
    let (code, error) = home.fails(&["wait", "quiet", "--for", "ended", "--timeout", "soon"]);
    assert_eq!(code, 2);
    assert!(error.contains("30s"), "{error}");
}

fn signal(pid: u32, signal: Signal) {
    rustix::process::kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), signal).unwrap();
}

/// Regression: while the holder was stopped, `end` waited for ever.
#[test]
fn regression_end_with_a_stopped_holder_says_so_and_the_session_ends_when_the_holder_goes_on() {
    let home = Home::started();
    home.ok(&["run", "--detach", "--name", "job", "--", "sleep", "1000"]);
    let holder = block_on(async { home.client().await.welcome().daemon.holder_pid.unwrap() });
    signal(holder, Signal::STOP);
    let mut end = home.command(&["end", "job"]).stderr(Stdio::piped()).spawn().unwrap();
    eventually("it gives up", || end.try_wait().unwrap().is_some());
    let output = end.wait_with_output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    signal(holder, Signal::CONT);
    assert_eq!(output.status.code(), Some(75), "{error}");
    assert!(
        error.contains("holder_unavailable") && error.contains("next:") && error.contains("asked to end"),
        "{error}"
    );
    assert!(error.contains(&format!("kill -CONT {holder}")), "{error}");
    home.ok(&["wait", "job", "--for", "ended", "--timeout", "60s"]);
}

/// Regression: commands waited 20 s for a daemon that was stopped, and said that it should be started.
#[test]
fn regression_a_stopped_daemon_is_named_at_once_with_what_makes_it_go_on() {
    let home = Home::started();
    let pid = home.daemon_pid();
    signal(pid, Signal::STOP);
    let began = Instant::now();
    let asked: [&[&str]; 6] =
        [&["ls"], &["daemon", "status"], &["daemon", "start"], &["daemon", "stop"], &["log", "verify"], &["show", "x"]];
    let said = asked.map(|args| home.run(args));
    let took = began.elapsed();
    signal(pid, Signal::CONT);
    for (args, output) in asked.iter().zip(said) {
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(69), "{args:?}: {error}");
        assert!(error.contains(&format!("process {pid}")) && error.contains("is stopped"), "{args:?}: {error}");
        assert!(error.contains(&format!("kill -CONT {pid}")), "{args:?}: {error}");
    }
    assert!(took < Duration::from_secs(10), "six commands took {took:?}");
    home.ok(&["ls"]);
}

/// Regression: right after a daemon was killed, while the kernel still had its lock, a command said that it runs already.
#[test]
fn regression_a_lock_that_outlives_its_process_for_a_moment_is_waited_for() {
    let home = Home::started();
    let killed = home.daemon_pid();
    home.kill_daemon();
    assert!(!process_exists(killed));
    for args in [["daemon", "start"].as_slice(), &["ls"]] {
        let path = home.path().join("data/daemon.lock");
        let mut lock = std::fs::File::options().write(true).truncate(true).open(&path).unwrap();
        lock.lock().unwrap();
        write!(lock, "{killed}").unwrap();
        let mut start = home.command(args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let fds = format!("/proc/{}/fd", start.id());
        let has_it_open = || {
            let fds = std::fs::read_dir(&fds).into_iter().flatten().flatten();
            fds.filter_map(|fd| std::fs::read_link(fd.path()).ok()).any(|target| target == path)
        };
        eventually("it has met the lock", || has_it_open() || start.try_wait().unwrap().is_some());
        drop(lock);
        let output = start.wait_with_output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && !error.contains("runs"), "{args:?}: {error}");
        assert_ne!(home.daemon_pid(), killed, "{args:?}");
        home.ok(&["daemon", "stop"]);
    }
}

/// Regression: without file descriptors a program was said not to be startable (127), and a daemon's failure had no next step.
#[test]
fn regression_without_file_descriptors_a_command_may_be_tried_again() {
    let home = Home::started();
    let holder = block_on(async { home.client().await.welcome().daemon.holder_pid.unwrap() });
    let open = std::fs::read_dir(format!("/proc/{holder}/fd")).unwrap().count() as u64;
    let pid = Pid::from_raw(i32::try_from(holder).unwrap());
    // It has the limit that its daemon had, and so this process.
    let limit = rustix::process::getrlimit(Resource::Nofile);
    for room in 0..8 {
        let few = Rlimit { current: Some(open + room), maximum: limit.maximum };
        rustix::process::prlimit(pid, Resource::Nofile, few).unwrap();
        let output = home.run(&["run", "--detach", "--", "true"]);
        let error = String::from_utf8_lossy(&output.stderr);
        // With room enough it runs.
        assert!(matches!(output.status.code(), Some(0 | 75)), "{room}: {error}");
        assert!(room > 0 || output.status.code() == Some(75), "{error}");
        assert!(output.status.success() || error.contains("open files") && error.contains("next:"), "{room}: {error}");
    }
    rustix::process::prlimit(pid, Resource::Nofile, limit).unwrap();
    home.ok(&["run", "--detach", "--", "true"]);
    home.ok(&["daemon", "stop", "--all"]);
    // It must fail with few, and with some more it may: where the last one is met differs from run to run.
    for descriptors in 10..26 {
        let script = format!("ulimit -n {descriptors}; exec \"$0\" ls");
        let mut limited = Command::new("sh");
        let output = limited.args(["-c", &script, ROPEWALK]).env("ROPEWALK_HOME", home.path()).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        if output.status.success() && descriptors > 16 {
            // Each is to start a daemon of its own.
            home.run(&["daemon", "stop"]);
            continue;
        }
        assert_eq!(output.status.code(), Some(75), "{descriptors}: {error}");
        assert!(error.contains("open files") && error.contains("next:"), "{descriptors}: {error}");
    }
    assert!(!home.path().join("data/log/index.damaged").exists(), "a whole index was put aside");
}
