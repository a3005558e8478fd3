//! A disk that does not answer: for a while, and for ever. Commands are refused in bounded time, reads go on, and a daemon can
//! be stopped.

use std::process::Stdio;
use std::time::{Duration, Instant};

use ropewalk_protocol::{
    Code, Command as Change, CommandId, EventBody, Query, QueryResult, Rejection, Seq, SessionId, limits,
};
use ropewalk_transport::client::Client;

use super::shim::{Shim, Shimmed, op};
use crate::harness::{
    Home, PATIENCE, all_events, annotate, block_on, create, ended, eventually, mint, output, run, session, verify,
};

/// How much longer than its bound something may take on a machine that is busy.
const AIR: Duration = Duration::from_secs(15);

fn bound() -> Duration {
    Duration::from_millis(limits::COMMIT_MILLIS_MAX)
}

/// A daemon with a session and a few remarks in it, whose log's syncs are points.
fn begin(home: &Home, shim: &Shim) -> (Shimmed, SessionId, Vec<(Seq, String)>) {
    let daemon = shim.start(home).expect("nothing is wrong yet");
    shim.points_are(op::SYNC | op::RANGE, ["/data/log/v-", ""], "");
    let (notes, kept) = block_on(async {
        let client = home.client().await;
        let notes = create(&client, Some("notes")).await;
        let mut kept = Vec::new();
        for number in 0..5 {
            let text = format!("note {number}");
            kept.push((annotate(&client, notes, &text).await, text));
        }
        (notes, kept)
    });
    (daemon, notes, kept)
}

async fn remark(client: &Client, id: CommandId, session: SessionId, text: &str) -> Result<Seq, Rejection> {
    let command = Change::SessionAnnotate { session, text: text.to_owned() };
    Ok(client.command(id, command).await?.seq)
}

/// Where this was remarked.
async fn places(client: &Client, text: &str) -> Vec<Seq> {
    let events = all_events(client).await;
    let is_it = |body: &EventBody| matches!(body, EventBody::SessionAnnotated(it) if it.text == text);
    events.iter().filter(|event| is_it(&event.body)).map(|event| event.seq).collect()
}

async fn assert_kept(client: &Client, kept: &[(Seq, String)]) {
    for (seq, text) in kept {
        assert_eq!(places(client, text).await, [*seq], "{text}");
    }
    let report = verify(client).await;
    assert!(report.intact, "{:?}", report.damage);
}

fn status(home: &Home) -> String {
    let status: serde_json::Value = serde_json::from_str(&home.ok(&["daemon", "status", "--json"])).unwrap();
    status["degraded"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_disk_that_does_not_answer_for_a_while_keeps_nobody_waiting_and_loses_nothing() {
    let home = Home::new();
    let shim = Shim::new(&home);
    let (mut daemon, notes, mut kept) = begin(&home, &shim);
    let copied = || std::fs::metadata(home.path().join("copy")).map_or(0, |copy| copy.len());
    let (prints, terminal) = block_on(async {
        let client = home.client().await;
        let path = home.path().display();
        let script = format!(
            "stty raw; while [ ! -e {path}/stop ]; do head -c 20000 /dev/urandom; sleep 0.05; done | tee {path}/copy"
        );
        run(&client, "prints", &["sh", "-c", &script]).await
    });
    eventually("the program prints", || copied() > 100_000);
    let pending = mint();
    shim.do_not_answer(op::SYNC | op::RANGE);
    block_on(async {
        let client = home.client().await;
        let began = Instant::now();
        let refusal = remark(&client, pending, notes, "pending").await.expect_err("the disk does not answer");
        assert!(began.elapsed() < bound() + AIR, "after {:?}", began.elapsed());
        assert_eq!((refusal.code, refusal.retryable()), (Code::StorageFailed, true), "{refusal}");
        assert!(refusal.message.contains("has not answered for 20s"), "{refusal}");
        assert!(refusal.hint.contains("daemon restart"), "{}", refusal.hint);
        let began = Instant::now();
        let refusal = remark(&client, mint(), notes, "meanwhile").await.expect_err("the disk does not answer");
        assert!(refusal.message.contains("has not answered") && began.elapsed() < bound() / 2, "at once: {refusal}");
        assert!(session(&client, "prints").await.agents[0].pid.is_some(), "the program lives");
        assert_kept(&client, &kept).await;
        assert_eq!(places(&client, "pending").await, [], "what is not promised is not shown");
    });
    let copied_by_then = copied();
    assert!(home.ok(&["ls"]).contains("prints") && home.ok(&["events", "notes"]).contains("note 4"), "reads go on");
    assert!(status(&home).contains("has not answered for 20s"), "{}", status(&home));
    assert!(home.get("/health").contains("degraded"), "{}", home.get("/health"));
    assert!(home.daemon_log().contains("the disk has not answered for 20s"), "the log says so");
    eventually("the program goes on", || copied() > copied_by_then + 20_000);
    assert!(shim.has_somebody(), "it never answered meanwhile");
    shim.answer();
    eventually("appends succeed again by themselves", || status(&home).is_empty());
    std::fs::write(home.path().join("stop"), "").unwrap();
    block_on(async {
        let client = home.client().await;
        let began = Instant::now();
        let seq = loop {
            match remark(&client, pending, notes, "pending").await {
                Ok(seq) => break seq,
                Err(rejection) => assert!(rejection.retryable() && began.elapsed() < PATIENCE, "{rejection}"),
            }
        };
        kept.push((seq, "pending".to_owned()));
        ended(&client, prints).await;
        let (printed, copy) = (output(&client, terminal).await, std::fs::read(home.path().join("copy")).unwrap());
        assert!(printed == copy, "{} bytes were printed, {} are there", copy.len(), printed.len());
        kept.push((annotate(&client, notes, "after").await, "after".to_owned()));
        assert_kept(&client, &kept).await;
        assert_eq!(places(&client, "meanwhile").await, []);
        let events = all_events(&client).await;
        let told = |name: &str| events.iter().filter(|event| event.body.name() == name).count();
        assert_eq!((told("machine.storage_degraded"), told("machine.storage_restored")), (1, 1));
        let stats = client.query(Query::LogStats {}).await.unwrap().result;
        assert!(matches!(stats, QueryResult::LogStats { stats } if stats.degraded.is_none()));
    });
    assert!(!daemon.is_gone(), "one daemon went through all of it");
    daemon.stop();
    home.start();
    block_on(async { assert_kept(&home.client().await, &kept).await });
}

/// Stops a daemon whose disk never answers, from the moment that `wait` ends; holds what the next one has against what was
/// acknowledged.
fn stop_a_silent_one(wait: impl FnOnce(&Home), stop: impl FnOnce(&Home, &Shimmed), within: Duration) {
    let home = Home::new();
    let shim = Shim::new(&home);
    let (mut daemon, notes, kept) = begin(&home, &shim);
    shim.do_not_answer(op::SYNC | op::RANGE);
    let mut pending = home.command(&["annotate", "notes", "pending"]).stderr(Stdio::null()).spawn().unwrap();
    eventually("the disk is asked", || shim.has_somebody());
    wait(&home);
    let began = Instant::now();
    stop(&home, &daemon);
    daemon.gone();
    assert!(began.elapsed() < within, "stopped after {:?}", began.elapsed());
    pending.kill().unwrap();
    pending.wait().unwrap();
    assert!(shim.has_somebody(), "it never answered");
    home.start();
    block_on(async {
        let client = home.client().await;
        assert_kept(&client, &kept).await;
        assert!(places(&client, "pending").await.len() <= 1);
        annotate(&client, notes, "after").await;
    });
}

#[test]
fn a_daemon_whose_disk_never_answers_is_stopped_in_bounded_time() {
    let stop = |home: &Home, _: &Shimmed| drop(home.ok(&["daemon", "stop"]));
    stop_a_silent_one(|_| {}, stop, bound() + AIR);
}

#[test]
fn a_daemon_that_knows_that_its_disk_does_not_answer_stops_at_once() {
    let known = |home: &Home| eventually("the status says so", || !status(home).is_empty());
    let stop = |_: &Home, daemon: &Shimmed| daemon.signal(rustix::process::Signal::TERM);
    stop_a_silent_one(known, stop, AIR);
}

#[test]
fn a_daemon_whose_disk_falls_silent_while_it_closes_ends_all_the_same() {
    let home = Home::new();
    let shim = Shim::new(&home);
    let (mut daemon, _, kept) = begin(&home, &shim);
    // Checkpoints are no part of the log, so nobody watches their writing but the clock.
    shim.points_are(op::ALL, ["/data/checkpoints", ""], "");
    shim.do_not_answer(op::ALL);
    let began = Instant::now();
    daemon.signal(rustix::process::Signal::TERM);
    eventually("the disk is asked", || shim.has_somebody());
    daemon.gone();
    assert!(began.elapsed() < Duration::from_millis(limits::STOP_MILLIS_MAX) + AIR, "after {:?}", began.elapsed());
    assert!(home.daemon_log().contains("stopped without closing the log"), "{}", home.daemon_log());
    home.start();
    block_on(async { assert_kept(&home.client().await, &kept).await });
}
