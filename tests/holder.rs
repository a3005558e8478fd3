//! The real holder under a real daemon: what becomes of programs and bytes when either is stopped, killed or cut off.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use ropewalk_protocol::{
    Command as Change, Query, QueryResult, RunOutcome, SessionId, SessionState, SessionView, Size, TerminalId,
};
use ropewalk_transport::client::Client;
use rustix::process::{Pid, Resource, Rlimit, Signal};

use crate::harness::{
    Home, as_printed, block_on, ended, eventually, kill_and_wait, mint, output, process_exists, run, session, until,
    verify, watch,
};

fn signal(pid: u32, signal: Signal) {
    rustix::process::kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), signal).unwrap();
}

fn holder_pid(client: &Client) -> u32 {
    client.welcome().daemon.holder_pid.unwrap()
}

fn numbers(last: u64) -> Vec<u8> {
    as_printed((1..=last).map(|number| format!("{number}\n")).collect::<String>().as_bytes())
}

/// A program that waits for a file, writes far more than the window, and says in another file that it is done.
fn writer(home: &Home) -> String {
    let [go, done] = ["go", "done"].map(|name| home.path().join(name).display().to_string());
    format!("echo up; while [ ! -e {go} ]; do sleep 0.02; done; seq 1 1500000; echo > {done}")
}

async fn started(client: &Client, name: &str, argv: &[&str], says: &str) -> (SessionId, TerminalId) {
    let (id, terminal) = run(client, name, argv).await;
    let (_, mut items) = client.attach(watch(terminal, Some(0))).await.unwrap();
    until(&mut items, says).await;
    (id, terminal)
}

/// Every byte of a terminal, as a client sees them that was not there before.
async fn whole(home: &Home, terminal: TerminalId) -> Vec<u8> {
    output(&home.client().await, terminal).await
}

async fn pid_of(client: &Client, name: &str) -> u32 {
    loop {
        if let Some(pid) = session(client, name).await.agents[0].pid {
            return pid;
        }
    }
}

/// Processes that carry a session's mark in their environment.
fn marked(session: SessionId) -> Vec<u32> {
    let mark = format!("ROPEWALK_SESSION={session}");
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes()) && process_exists(*pid)
    })
    .collect()
}

#[test]
fn a_program_goes_on_while_its_daemon_is_stopped_and_no_byte_is_missing_afterwards() {
    let home = Home::started();
    block_on(async {
        let client = home.client().await;
        let (id, terminal) = started(&client, "writer", &["sh", "-c", &writer(&home)], "up").await;
        signal(home.daemon_pid(), Signal::STOP);
        std::fs::write(home.path().join("go"), "").unwrap();
        eventually("the program wrote all of it", || home.path().join("done").exists());
        assert!(home.path().join("state/spool").read_dir().unwrap().count() > 0, "it is more than memory takes");
        signal(home.daemon_pid(), Signal::CONT);
        ended(&client, id).await;
        let expected = [b"up\r\n".to_vec(), numbers(1_500_000)].concat();
        assert!(whole(&home, terminal).await == expected);
        eventually("the spool is empty", || home.path().join("state/spool").read_dir().unwrap().count() == 0);
        assert!(verify(&client).await.intact);
    });
}

#[test]
fn a_spool_that_may_not_grow_makes_the_program_wait_and_the_holder_lives_and_nothing_is_lost() {
    let home = Home::started();
    block_on(async {
        let client = home.client().await;
        let (id, terminal) = started(&client, "writer", &["sh", "-c", &writer(&home)], "up").await;
        let holder = holder_pid(&client);
        // Beyond this a write is refused, and a process that does not expect it is ended by SIGXFSZ.
        let megabyte = Rlimit { current: Some(1 << 20), maximum: Some(1 << 20) };
        let pid = Pid::from_raw(i32::try_from(holder).unwrap());
        rustix::process::prlimit(pid, Resource::Fsize, megabyte).unwrap();
        signal(home.daemon_pid(), Signal::STOP);
        std::fs::write(home.path().join("go"), "").unwrap();
        let log = || std::fs::read_to_string(home.path().join("state/holder.log")).unwrap_or_default();
        eventually("the holder says so", || log().contains("cannot spool; the program waits"));
        assert!(process_exists(holder) && !home.path().join("done").exists());
        signal(home.daemon_pid(), Signal::CONT);
        ended(&client, id).await;
        let expected = [b"up\r\n".to_vec(), numbers(1_500_000)].concat();
        assert!(whole(&home, terminal).await == expected);
        assert_eq!(home.client().await.welcome().daemon.holder_pid, Some(holder));
    });
}

#[test]
fn programs_are_found_again_after_the_runtime_directory_was_removed_and_the_daemon_killed() {
    let home = Home::started();
    block_on(async {
        let client = home.client().await;
        let (id, terminal) = started(&client, "kept", &["sh", "-c", "echo one; read x; echo two"], "one").await;
        let (holder, pid) = (holder_pid(&client), pid_of(&client, "kept").await);
        drop(client);
        let runtime = home.path().join("runtime");
        for remove_all in [false, true] {
            let daemon = home.daemon_pid();
            if remove_all {
                eventually("it is removed", || std::fs::remove_dir_all(&runtime).is_ok());
            } else {
                std::fs::remove_file(runtime.join("holder.sock")).unwrap();
            }
            kill_and_wait(daemon, Signal::KILL);
            home.start();
            let client = home.client().await;
            assert_eq!(holder_pid(&client), holder);
            assert_eq!(pid_of(&client, "kept").await, pid);
            assert_eq!(std::fs::metadata(&runtime).unwrap().permissions().mode() & 0o777, 0o700);
        }
        home.ok(&["send", "kept", "x"]);
        let client = home.client().await;
        ended(&client, id).await;
        assert_eq!(whole(&home, terminal).await, b"one\r\nx\r\ntwo\r\n");
    });
}

#[test]
fn a_holder_asked_to_end_ends_its_programs_in_order_and_their_last_words_are_stored() {
    let home = Home::started();
    block_on(async {
        let client = home.client().await;
        let polite = "trap 'echo last words; exit 3' HUP; echo up; while :; do sleep 0.1; done";
        let deaf = "trap '' HUP TERM; setsid sleep 1000 & echo up; while :; do sleep 0.1; done";
        let (one, terminal) = started(&client, "polite", &["sh", "-c", polite], "up").await;
        let (two, _) = started(&client, "deaf", &["bash", "-c", deaf], "up").await;
        let holder = holder_pid(&client);
        // A hang-up is of a terminal, and the holder has none.
        signal(holder, Signal::HUP);
        assert!(holder_answers(&client).await, "it is no reason to leave");
        kill_and_wait(holder, Signal::TERM);
        ended(&client, one).await;
        ended(&client, two).await;
        let outcome = |view: &SessionView| view.agents[0].outcome.clone();
        assert_eq!(outcome(&session(&client, "polite").await), Some(RunOutcome::Exited { code: 3 }));
        assert_eq!(outcome(&session(&client, "deaf").await), Some(RunOutcome::Signaled { signal: 9 }));
        let said = String::from_utf8(whole(&home, terminal).await).unwrap();
        assert!(said.ends_with("last words\r\n"), "{said}");
        assert!(marked(one).is_empty() && marked(two).is_empty());
        let log = std::fs::read_to_string(home.path().join("state/holder.log")).unwrap();
        assert!(log.contains(&one.to_string()) && log.contains(&two.to_string()), "it says what ran: {log}");
    });
}

async fn holder_answers(client: &Client) -> bool {
    match client.query(Query::DaemonInfo {}).await.unwrap().result {
        QueryResult::Daemon { daemon } => daemon.holder_answers.unwrap(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_holder_that_is_stopped_is_said_to_be_silent_and_commands_that_need_it_say_try_again() {
    let home = Home::started();
    block_on(async {
        let client = home.client().await;
        let (id, terminal) = started(&client, "echo", &["sh", "-c", "stty -echo; echo up; exec cat"], "up").await;
        let (leaving, _) = started(&client, "leaving", &["sh", "-c", "echo up; exec cat"], "up").await;
        let (_, mut items) = client.attach(watch(terminal, Some(0))).await.unwrap();
        assert!(holder_answers(&client).await);
        let holder = holder_pid(&client);
        signal(holder, Signal::STOP);
        assert!(!holder_answers(&client).await);
        assert!(home.ok(&["daemon", "status"]).contains("does not answer"));
        assert_eq!(session(&client, "echo").await.status.state, SessionState::Running, "its programs were not stopped");
        let resize = Change::TerminalResize { session: id, terminal, size: Size { cols: 100, rows: 30 } };
        let refused = client.command(mint(), resize.clone()).await.unwrap_err();
        assert!(refused.code.name() == "holder_unavailable" && refused.retryable(), "{refused:?}");
        let (code, error) = home.fails(&["send", "echo", "typed"]);
        assert!(code == 75 && error.contains("holder_unavailable"), "{code}: {error}");
        // What follows from commands that were taken is done when it goes on.
        client.command(mint(), Change::SessionEnd { session: leaving }).await.unwrap();
        let (late, late_terminal) = run(&client, "late", &["echo", "late"]).await;
        assert_eq!(session(&client, "late").await.status.state, SessionState::Starting);
        tokio::time::sleep(Duration::from_millis(100)).await;
        signal(holder, Signal::CONT);
        until(&mut items, "typed\r\n").await;
        client.command(mint(), resize).await.unwrap();
        ended(&client, late).await;
        assert_eq!(whole(&home, late_terminal).await, b"late\r\n");
        ended(&client, leaving).await;
        assert!(holder_answers(&client).await);
        client.command(mint(), Change::SessionEnd { session: id }).await.unwrap();
        ended(&client, id).await;
        assert_eq!(whole(&home, terminal).await, b"up\r\ntyped\r\n");
    });
}

#[test]
fn no_byte_is_lost_when_the_holder_is_stopped_now_and_then_while_a_program_writes() {
    let home = Home::started();
    block_on(async {
        let client = home.client().await;
        let holder = holder_pid(&client);
        let (id, terminal) = run(&client, "writes", &["seq", "1", "1000000"]).await;
        let (_, mut items) = client.attach(watch(terminal, Some(0))).await.unwrap();
        for _ in 0..5 {
            items.recv().await.unwrap();
            signal(holder, Signal::STOP);
            tokio::time::sleep(Duration::from_millis(50)).await;
            signal(holder, Signal::CONT);
        }
        drop(items);
        ended(&client, id).await;
        assert!(whole(&home, terminal).await == numbers(1_000_000));
    });
}

/// Starts descendants of every kind that clean-up has missed elsewhere: in a session of their own, without a parent,
/// without any file of the terminal, deaf to the polite signals, and started by those in turn.
const FAMILY: &str = "
    (setsid sh -c 'sleep 1000 & exec sleep 1001' &)
    (setsid sh -c '(setsid sleep 1002 </dev/null >/dev/null 2>&1 &)' &)
    (setsid bash -c 'exec 0<&- 1>&- 2>&-; trap \"\" HUP TERM; while :; do sleep 1; done' &)
    nohup sleep 1003 >/dev/null 2>&1 &
    echo up";
const FAMILY_MIN: usize = 5;

async fn family(client: &Client, name: &str, then: &str) -> SessionId {
    let script = format!("{FAMILY}; {then}");
    let (id, _) = started(client, name, &["bash", "-c", &script], "up").await;
    eventually("the descendants run", || marked(id).len() > FAMILY_MIN);
    id
}

#[test]
fn no_orphans_are_left_however_a_session_comes_to_its_end() {
    let home = Home::started();
    let mut decoy = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
    block_on(async {
        let client = home.client().await;
        let stopped = family(&client, "stopped", "exec cat").await;
        let crashed = family(&client, "crashed", "read x; kill -SEGV $$").await;
        let exited = family(&client, "exited", "read x; exit 0").await;
        home.kill_daemon();
        home.start();
        for (name, id) in [("stopped", stopped), ("crashed", crashed), ("exited", exited)] {
            assert!(marked(id).len() > FAMILY_MIN, "{name} outlived the daemon");
        }
        client.command(mint(), Change::SessionEnd { session: stopped }).await.unwrap();
        home.ok(&["send", "crashed", "x"]);
        home.ok(&["send", "exited", "x"]);
        for id in [stopped, crashed, exited] {
            ended(&client, id).await;
            eventually("nothing of it is left", || marked(id).is_empty());
        }
    });
    assert!(process_exists(decoy.id()), "what is not ours is not touched");
    decoy.kill().unwrap();
    decoy.wait().unwrap();
}

#[test]
fn no_orphans_are_left_when_the_holder_itself_is_killed() {
    let home = Home::started();
    block_on(async {
        let client = home.client().await;
        let id = family(&client, "cut", "trap '' HUP; while :; do sleep 1; done").await;
        kill_and_wait(holder_pid(&client), Signal::KILL);
        ended(&client, id).await;
        let cut = session(&client, "cut").await;
        assert!(matches!(cut.agents[0].outcome, Some(RunOutcome::Interrupted { .. })), "{cut:?}");
        eventually("what the dead holder left is gone", || marked(id).is_empty());
    });
}

#[test]
fn liveness_truth_a_session_says_what_is_true_of_its_program() {
    let home = Home::started();
    block_on(async {
        let client = home.client().await;
        // Killed: ended, with the signal named.
        let (killed, _) = started(&client, "killed", &["sh", "-c", "echo up; exec cat"], "up").await;
        kill_and_wait(pid_of(&client, "killed").await, Signal::KILL);
        ended(&client, killed).await;
        let view = session(&client, "killed").await;
        assert_eq!(view.agents[0].outcome, Some(RunOutcome::Signaled { signal: 9 }));
        assert_eq!((view.status.state, view.agents[0].pid), (SessionState::Ended, None));
        assert!(home.ok(&["show", "killed"]).contains("signal 9"));
        // Stopped: a process that exists runs, as far as the model has a word for it; it ends when it is asked to.
        let (stopped, _) = started(&client, "stopped", &["sh", "-c", "echo up; exec cat"], "up").await;
        let pid = pid_of(&client, "stopped").await;
        signal(pid, Signal::STOP);
        assert_eq!(session(&client, "stopped").await.status.state, SessionState::Running);
        client.command(mint(), Change::SessionEnd { session: stopped }).await.unwrap();
        ended(&client, stopped).await;
        assert!(!Path::new(&format!("/proc/{pid}")).exists() || !process_exists(pid));
        // A wrapper whose child is gone: it is the wrapper that runs, and says what became of the child.
        let script = "sh -c 'echo up; exec sleep 1000'; echo child ended $?; read x; exit 5";
        let (wrapper, terminal) = started(&client, "wrapper", &["bash", "-c", script], "up").await;
        let pid = pid_of(&client, "wrapper").await;
        let child = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
        signal(child.trim().parse().unwrap(), Signal::KILL);
        let (_, mut items) = client.attach(watch(terminal, Some(0))).await.unwrap();
        until(&mut items, "child ended 137").await;
        assert_eq!(session(&client, "wrapper").await.status.state, SessionState::Running);
        home.ok(&["send", "wrapper", "x"]);
        ended(&client, wrapper).await;
        let view = session(&client, "wrapper").await;
        assert_eq!(view.agents[0].outcome, Some(RunOutcome::Exited { code: 5 }));
    });
}

/// Regression: a program whose start lay in a volume that could not be read was taken for one that had ended, and killed.
#[test]
fn regression_a_program_that_the_readable_part_of_the_log_does_not_name_is_left_alone() {
    let home = Home::started();
    let script = "echo before; read line; echo after";
    home.ok(&["run", "--detach", "--name", "unnamed", "--", "sh", "-c", script]);
    home.ok(&["wait", "unnamed", "--for", "text:before"]);
    let shown: serde_json::Value = serde_json::from_str(&home.ok(&["show", "unnamed", "--json"])).unwrap();
    let pid = u32::try_from(find_number(&shown, "pid").expect("it runs")).unwrap();
    home.kill_daemon();
    let volumes = std::fs::read_dir(home.path().join("data/log")).unwrap().map(|entry| entry.unwrap().path());
    let volume = volumes.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("v-")).max().unwrap();
    let aside = home.path().join("aside");
    std::fs::rename(&volume, &aside).unwrap();
    std::fs::write(&volume, "no volume").unwrap();
    home.start();
    assert!(!home.ok(&["ls"]).contains("unnamed"), "nothing that can be read says of it");
    assert!(process_exists(pid), "{}", home.daemon_log());
    home.ok(&["daemon", "stop"]);
    std::fs::remove_file(&volume).unwrap();
    std::fs::rename(&aside, &volume).unwrap();
    home.start();
    home.ok(&["send", "unnamed", "go"]);
    home.ok(&["wait", "unnamed", "--for", "ended"]);
    let output = home.ok(&["output", "unnamed"]);
    assert!(output.contains("before") && output.contains("after"), "{output}");
}

/// The first number under this name, wherever it is.
fn find_number(value: &serde_json::Value, name: &str) -> Option<u64> {
    match value {
        serde_json::Value::Object(fields) => fields
            .get(name)
            .and_then(serde_json::Value::as_u64)
            .or_else(|| fields.values().find_map(|field| find_number(field, name))),
        serde_json::Value::Array(items) => items.iter().find_map(|item| find_number(item, name)),
        _ => None,
    }
}
