//! Clocks that jump and processes that stop: nothing is killed, nothing is called dead, and the first command after it is
//! answered.

use ropewalk_protocol::{SessionState, Timestamp};
use ropewalk_transport::client::Client;
use rustix::process::{Pid, Signal, kill_process};

use super::seconds;
use super::shim::Shim;
use crate::harness::{
    Home, all_events, annotate, block_on, create, eventually, from, process_exists, run, session, take, typing, until,
    verify,
};

const HOUR: i64 = 3600;

fn now_micros() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    u64::try_from(since.as_micros()).unwrap()
}

/// Whether a time is this many seconds from the test's, give or take two minutes.
fn is_about(at: Timestamp, seconds_ahead: i64) -> bool {
    let ahead = at.unix_micros().cast_signed() - now_micros().cast_signed();
    (ahead / 1_000_000 - seconds_ahead).abs() < 120
}

async fn lives(client: &Client, name: &str) -> u32 {
    let mut seen = session(client, name).await;
    // What a program prints is shown at once; that it runs is recorded first.
    while seen.status.state == SessionState::Starting {
        seen = session(client, name).await;
    }
    assert_eq!(seen.status.state, SessionState::Running, "{seen:?}");
    let pid = seen.agents[0].pid.expect("it runs");
    assert!(process_exists(pid), "the program was not killed");
    pid
}

#[test]
fn sleep_wake() {
    let home = Home::new();
    let shim = Shim::new(&home);
    let daemon = shim.start(&home).expect("nothing is wrong");
    block_on(async {
        let (client, watcher) = (home.client().await, home.client().await);
        let notes = create(&client, Some("notes")).await;
        let (_, terminal) = run(&client, "echoes", &["sh", "-c", "stty raw -echo; printf ready; exec cat"]).await;
        let (_, mut keys) = client.attach(typing(terminal, None)).await.unwrap();
        until(&mut keys, "ready").await;
        let pid = lives(&client, "echoes").await;
        let (_, mut items) = watcher.subscribe(from(0)).await.unwrap();
        let mut seen = Vec::new();
        // Awake after an hour; both clocks at first, then the one that people set, forth and back.
        for (round, (realtime, monotonic)) in
            [(0, 0), (HOUR, HOUR), (2 * HOUR, HOUR), (-HOUR, HOUR), (0, HOUR)].into_iter().enumerate()
        {
            shim.shift_monotonic(monotonic);
            shim.shift_realtime(realtime);
            let seq = annotate(&client, notes, &format!("round {round}")).await;
            while seen.last().is_none_or(|event: &ropewalk_protocol::Event| event.seq < seq) {
                seen.extend(take(&mut items, 1).await);
            }
            let event = &seen[usize::try_from(seq.0 - 1).unwrap()];
            assert!(is_about(event.at, realtime), "an event is dated by the clock: {} in round {round}", event.at);
            client.input(terminal, 1 + round as u64, format!("key {round}.").into()).await.unwrap();
            until(&mut keys, &format!("key {round}.")).await;
            assert_eq!(lives(&client, "echoes").await, pid);
            create(&client, None).await;
        }
        let events = all_events(&client).await;
        assert!(seen[..] == events[..seen.len()], "no subscriber missed anything");
        let mut created: Vec<_> = events.iter().filter(|event| event.body.name() == "session.created").collect();
        created.sort_by_key(|event| event.stream);
        created.dedup_by_key(|event| event.stream);
        assert_eq!(created.len(), 7, "every session has an id of its own");
        assert!(verify(&client).await.intact);
    });
    drop(daemon);
    // A daemon whose clock stands before the log's last events.
    shim.shift_realtime(-HOUR);
    let _daemon = shim.start(&home).expect("the log opens");
    block_on(async {
        let client = home.client().await;
        assert!(lives(&client, "echoes").await > 0);
        create(&client, Some("afterwards")).await;
        assert!(verify(&client).await.intact);
    });
}

#[test]
fn a_daemon_that_was_stopped_for_a_while_answers_the_first_command_and_nothing_is_taken_for_dead() {
    let home = Home::started();
    let stopped = Pid::from_raw(home.daemon_pid().cast_signed()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = home.client().await;
        let notes = create(&client, Some("notes")).await;
        let script = "i=0; while :; do i=$((i+1)); echo tick $i.; sleep 0.05; done";
        let (_, terminal) = run(&client, "ticks", &["sh", "-c", script]).await;
        let (_, mut ticks) = client.attach(crate::harness::watch(terminal, Some(0))).await.unwrap();
        until(&mut ticks, "tick 3.").await;
        let (_, mut items) = client.subscribe(from(0)).await.unwrap();
        let pid = lives(&client, "ticks").await;
        kill_process(stopped, Signal::STOP).unwrap();
        let waiting = {
            let client = client.clone();
            tokio::spawn(async move { annotate(&client, notes, "sent meanwhile").await })
        };
        tokio::time::sleep(seconds(3)).await;
        assert!(!waiting.is_finished(), "it stands");
        kill_process(stopped, Signal::CONT).unwrap();
        let seq = waiting.await.unwrap();
        let events = take(&mut items, usize::try_from(seq.0).unwrap()).await;
        assert_eq!(events.last().unwrap().seq, seq);
        // What the program printed meanwhile is there: whoever stopped, it was not the program.
        until(&mut ticks, &format!("tick {}.", 3 + seconds(3).as_secs() * 5)).await;
        assert_eq!(lives(&client, "ticks").await, pid);
        assert!(verify(&client).await.intact);
    });
    runtime.shutdown_background();
}

#[test]
fn a_client_that_was_stopped_for_a_while_goes_on_where_it_was_and_slows_nobody() {
    const EVENTS: usize = 3000;
    let home = Home::started();
    let shown = home.path().join("shown");
    let mut follower =
        home.command(&["events", "--follow", "--json"]).stdout(std::fs::File::create(&shown).unwrap()).spawn().unwrap();
    let lines = || std::fs::read_to_string(&shown).unwrap().lines().count();
    eventually("it follows", || lines() > 0);
    let pid = Pid::from_child(&follower);
    kill_process(pid, Signal::STOP).unwrap();
    block_on(async {
        let client = home.client().await;
        let notes = create(&client, Some("notes")).await;
        let text = "x".repeat(2000);
        let began = std::time::Instant::now();
        while all_events(&client).await.len() < EVENTS || began.elapsed() < seconds(3) {
            for _ in 0..500 {
                annotate(&client, notes, &text).await;
            }
        }
        kill_process(pid, Signal::CONT).unwrap();
        let all = all_events(&client).await;
        eventually("it has caught up", || lines() == all.len());
        let text = std::fs::read_to_string(&shown).unwrap();
        let seqs = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["seq"].clone());
        assert!(seqs.zip(1_u64..).all(|(seq, expected)| seq == expected), "each once");
    });
    follower.kill().unwrap();
    follower.wait().unwrap();
}
