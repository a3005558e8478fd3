//! The daemon's life: one for a home, stopped cleanly, small when nothing happens.

use std::time::{Duration, Instant};

use ropewalk_protocol::{Command as Change, Query, QueryResult};

use crate::harness::{
    Home, block_on, create, ended, eventually, kill_and_wait, mint, output, process_exists, resident_kib, run, session,
    verify,
};

#[test]
fn a_second_daemon_on_a_home_is_refused_and_names_the_first() {
    let home = Home::started();
    let pid = home.daemon_pid();
    let (code, error) = home.fails(&["daemon", "start", "--foreground"]);
    assert_eq!(code, 1);
    assert!(error.contains(&pid.to_string()), "{error}");
    assert!(process_exists(pid));
}

#[test]
fn commands_started_at_once_on_an_empty_home_share_one_daemon() {
    let home = Home::new();
    let mut children: Vec<_> = (0..6).map(|_| home.command(&["ls", "--json"]).spawn().unwrap()).collect();
    for child in &mut children {
        assert!(child.wait().unwrap().success());
    }
    let started = home.daemon_log().matches(" ready ").count();
    assert_eq!(started, 1, "{}", home.daemon_log());
}

#[test]
fn sigterm_stops_cleanly_and_programs_go_on() {
    let home = Home::started();
    block_on(async {
        let client = home.client().await;
        let (id, terminal) = run(&client, "goes-on", &["sh", "-c", "echo one; read x; echo two"]).await;
        let pid = loop {
            if let Some(pid) = session(&client, "goes-on").await.agents[0].pid {
                break pid;
            }
        };
        home.ok(&["wait", "goes-on", "--for", "text:one"]);
        kill_and_wait(home.daemon_pid(), rustix::process::Signal::TERM);
        assert!(!home.path().join("runtime/daemon.json").exists(), "nobody is sent to a daemon that is gone");
        assert!(process_exists(pid), "the program goes on");
        home.start();
        home.ok(&["send", "goes-on", "x"]);
        ended(&client, id).await;
        assert_eq!(output(&client, terminal).await, b"one\r\nx\r\ntwo\r\n");
        assert!(verify(&client).await.intact);
        let events = home.ok(&["events", "--json"]);
        assert!(events.contains("machine.daemon_stopped") && events.contains("SIGTERM"), "{events}");
    });
}

#[test]
fn stop_all_ends_programs_and_holder_and_says_what_it_ended() {
    let home = Home::started();
    let (id, pid, holder) = block_on(async {
        let client = home.client().await;
        // A program that hides from its terminal, and one that ignores the polite signals.
        let script = "setsid sleep 1000 & trap '' HUP TERM; echo up; while :; do sleep 1; done";
        let (id, terminal) = run(&client, "stubborn", &["bash", "-c", script]).await;
        let (_, mut items) = client.attach(crate::harness::watch(terminal, Some(0))).await.unwrap();
        crate::harness::until(&mut items, "up").await;
        // What it prints may be shown before its start is recorded.
        let pid = loop {
            if let Some(pid) = session(&client, "stubborn").await.agents[0].pid {
                break pid;
            }
        };
        (id, pid, client.welcome().daemon.holder_pid.unwrap())
    });
    let stopped = home.ok(&["daemon", "stop", "--all", "--json"]);
    assert!(stopped.contains(&id.to_string()), "{stopped}");
    assert!(!process_exists(pid));
    eventually("the holder is gone", || !process_exists(holder));
    eventually("nothing with the session's mark is left", || marked(&id.to_string()).is_empty());
}

/// Processes that carry a session's mark in their environment.
fn marked(session: &str) -> Vec<u32> {
    let mark = format!("ROPEWALK_SESSION={session}");
    let pids =
        std::fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes()) && process_exists(*pid)
    })
    .collect()
}

#[test]
fn no_orphans_are_left_when_a_session_ends_whatever_its_program_started() {
    let home = Home::started();
    let mut decoy = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
    block_on(async {
        let client = home.client().await;
        let script =
            "(setsid sh -c 'sleep 1000 & sleep 1000' &) ; nohup sleep 1000 >/dev/null 2>&1 & echo up; exec cat";
        let (id, terminal) = run(&client, "forks", &["bash", "-c", script]).await;
        let (_, mut items) = client.attach(crate::harness::watch(terminal, Some(0))).await.unwrap();
        crate::harness::until(&mut items, "up").await;
        eventually("the descendants run", || marked(&id.to_string()).len() >= 4);
        home.kill_daemon();
        home.start();
        home.ok(&["end", "forks"]);
        eventually("nothing is left", || marked(&id.to_string()).is_empty());
    });
    assert!(process_exists(decoy.id()), "what is not ours is not touched");
    decoy.kill().unwrap();
    decoy.wait().unwrap();
}

/// How often the threads of sled's pool were given a processor by now, and how many there are.
fn wakeups_of_sled(pid: u32) -> (u64, usize) {
    let mut wakeups = Vec::new();
    for task in std::fs::read_dir(format!("/proc/{pid}/task")).unwrap() {
        let task = task.unwrap().path();
        let name = std::fs::read_to_string(task.join("comm")).unwrap_or_default();
        if name.starts_with("sled-io")
            && let Ok(status) = std::fs::read_to_string(task.join("status"))
        {
            let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")).unwrap();
            wakeups.push(line.trim().parse::<u64>().unwrap());
        }
    }
    (wakeups.iter().sum(), wakeups.len())
}

/// sled's threads look once a second whether there is work for them. They are told of it anyway.
#[test]
fn the_databases_threads_sleep_while_nothing_is_stored() {
    const LOOKED_AT: Duration = Duration::from_secs(3);
    let home = Home::started();
    block_on(async {
        let client = home.client().await;
        create(&client, Some("stored")).await;
    });
    let pid = home.daemon_pid();
    eventually("a new log's first write has begun its threads", || wakeups_of_sled(pid).1 >= 7);
    let threads = wakeups_of_sled(pid).1;
    // Something may be stored yet; and the system lets a late timer go off with another one of that processor.
    let at_least_once_a_second = threads as u64 * (LOOKED_AT.as_secs() - 1);
    eventually("nobody wakes them", || {
        let (before, _) = wakeups_of_sled(pid);
        // The time is what is looked at.
        std::thread::sleep(LOOKED_AT);
        wakeups_of_sled(pid).0.saturating_sub(before) < at_least_once_a_second / 2
    });
}

#[test]
fn a_thousand_sessions_that_ended_cost_little_and_delay_no_start() {
    const SESSIONS: usize = 1000;
    let home = Home::started();
    block_on(async {
        let client = home.client().await;
        create(&client, Some("warm-up")).await;
        let before = resident_kib(home.daemon_pid());
        for _ in 0..SESSIONS {
            let id = create(&client, None).await;
            client.command(mint(), Change::SessionEnd { session: id }).await.unwrap();
        }
        eventually("all actors sleep", || {
            let mut stream = std::os::unix::net::UnixStream::connect(home.socket()).unwrap();
            let request = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
            std::io::Write::write_all(&mut stream, request).unwrap();
            let metrics = String::from_utf8(crate::harness::read_all(stream)).unwrap();
            metrics.contains("\nropewalk_actors_awake 0\n")
        });
        let after = resident_kib(home.daemon_pid());
        assert!(after < before + 20 * 1024, "grew from {before} to {after} KiB");
        home.kill_daemon();
        let began = Instant::now();
        home.start();
        let ready = began.elapsed();
        println!("{SESSIONS} sessions: +{} KiB, ready after {ready:?}", after.saturating_sub(before));
        // Ready within a second on an idle machine; other tests share this one.
        assert!(ready.as_secs() < 5, "{ready:?}");
        let QueryResult::Sessions { sessions, more } =
            client.query(Query::SessionsList { after: None, limit: None }).await.unwrap().result
        else {
            panic!("sessions");
        };
        assert!(more && sessions.len() == 500, "a page is bounded");
        assert!(home.ok(&["ls", "--json"]).lines().count() == SESSIONS + 1, "and pages add up");
    });
}

#[test]
fn checkpoints_and_index_are_disposable() {
    let home = Home::started();
    block_on(async {
        let client = home.client().await;
        let (id, terminal) = run(&client, "kept", &["sh", "-c", "seq 1 1000"]).await;
        ended(&client, id).await;
        let screen = crate::harness::screen(&client, terminal).await;
        home.ok(&["daemon", "stop"]);
        for disposable in ["data/checkpoints", "data/log/index"] {
            std::fs::remove_dir_all(home.path().join(disposable)).unwrap();
        }
        home.start();
        assert_eq!(crate::harness::screen(&client, terminal).await, screen);
        assert_eq!(session(&client, "kept").await.session, id);
        assert!(verify(&client).await.intact);
    });
}

/// Regression: a terminal that was looked at before it printed anything had that screen for ever once it ended.
#[test]
fn regression_a_screen_that_was_looked_at_before_any_output_is_not_shown_after_the_end() {
    let home = Home::started();
    home.ok(&["run", "--detach", "--name", "late", "--", "sh", "-c", "stty -echo; read line; echo printed"]);
    assert_eq!(home.ok(&["screen", "late"]).trim(), "");
    home.ok(&["send", "late", "go"]);
    home.ok(&["wait", "late", "--for", "ended"]);
    let screen = home.ok(&["screen", "late"]);
    assert!(screen.contains("printed"), "{screen}");
}

#[test]
fn stop_all_ends_programs_also_when_no_daemon_runs() {
    let home = Home::started();
    let pid = block_on(async {
        let client = home.client().await;
        run(&client, "left", &["sleep", "1000"]).await;
        loop {
            if let Some(pid) = session(&client, "left").await.agents[0].pid {
                break pid;
            }
        }
    });
    home.ok(&["daemon", "stop"]);
    assert!(process_exists(pid));
    assert!(home.ok(&["daemon", "stop", "--all"]).contains("ended 1 sessions"));
    assert!(!process_exists(pid));
}
