//! A disk that is full for a while: under a program that prints, and while a daemon starts.

use ropewalk_protocol::{Code, Command as Change, Query, QueryResult};

use super::seconds;
use super::shim::{DAEMON, HOLDER, Shim};
use crate::harness::{
    Home, all_events, annotate, block_on, create, ended, eventually, mint, output, run, session, verify,
};

/// Prints random bytes, and keeps a copy of them, until it is told to stop.
fn prints_until_told(home: &Home) -> String {
    let path = home.path().display();
    format!("stty raw; while [ ! -e {path}/stop ]; do head -c 200000 /dev/urandom; sleep 0.05; done | tee {path}/copy")
}

#[test]
fn disk_full_for_a_while() {
    let home = Home::new();
    let shim = Shim::new(&home);
    shim.roles(DAEMON | HOLDER);
    let mut daemon = shim.start(&home).expect("nothing is wrong yet");
    let copied = || std::fs::metadata(home.path().join("copy")).map_or(0, |copy| copy.len());
    let (prints, terminal, notes, kept) = block_on(async {
        let client = home.client().await;
        let notes = create(&client, Some("notes")).await;
        let (prints, terminal) = run(&client, "prints", &["sh", "-c", &prints_until_told(&home)]).await;
        eventually("the program prints", || copied() > 1_000_000);
        shim.quota(700_000);
        let mut kept = Vec::new();
        let refusal = loop {
            let text = format!("note {}", kept.len());
            match client.command(mint(), Change::SessionAnnotate { session: notes, text: text.clone() }).await {
                Ok(answer) => kept.push((answer.seq, text)),
                Err(rejection) => break rejection,
            }
        };
        assert_eq!(refusal.code, Code::StorageFull, "the first refusal says why: {refusal}");
        shim.quota(0);
        (prints, terminal, notes, kept)
    });
    std::thread::sleep(seconds(3));
    eventually("the status says that the disk is full", || {
        let status: serde_json::Value = serde_json::from_str(&home.ok(&["daemon", "status", "--json"])).unwrap();
        status["degraded"].as_str().is_some_and(|reason| reason.contains("no space left"))
    });
    assert_eq!(home.fails(&["run", "--detach", "--", "true"]).0, 75, "try again later");
    assert!(home.ok(&["ls"]).contains("prints"), "reads go on");
    // Whatever of the program's bytes the disk has no room for waits in the holder, and then the program does.
    block_on(async {
        let client = home.client().await;
        assert!(session(&client, "prints").await.agents[0].pid.is_some(), "the program lives");
        let stats = client.query(Query::LogStats {}).await.unwrap().result;
        assert!(matches!(stats, QueryResult::LogStats { stats } if stats.degraded.is_some()));
    });
    shim.stop_failing();
    let full_at = copied();
    eventually("the program goes on", || copied() > full_at + 5_000_000);
    std::fs::write(home.path().join("stop"), "").unwrap();
    block_on(async {
        let client = home.client().await;
        ended(&client, prints).await;
        let (printed, copy) = (output(&client, terminal).await, std::fs::read(home.path().join("copy")).unwrap());
        assert!(printed == copy, "{} bytes were printed, {} are there", copy.len(), printed.len());
        annotate(&client, notes, "after").await;
        let events = all_events(&client).await;
        for (seq, text) in &kept {
            let body = &events[usize::try_from(seq.0 - 1).unwrap()].body;
            assert!(matches!(body, ropewalk_protocol::EventBody::SessionAnnotated(it) if it.text == *text), "{body:?}");
        }
        let report = verify(&client).await;
        assert!(report.intact, "{:?}", report.damage);
    });
    assert!(!daemon.is_gone(), "one daemon went through all of it");
}

/// Regression: a full disk at the start ended with 69 and no word of it.
#[test]
fn regression_a_full_disk_at_the_start_is_named_and_may_be_tried_again() {
    let home = Home::new();
    let shim = Shim::new(&home);
    shim.quota(0);
    let output = shim.preloaded(&home, home.command(&["ls"])).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(75), "{error}");
    assert!(error.contains("storage_full") && error.contains("next:") && !error.contains("Os {"), "{error}");
    assert!(shim.failed() > 0, "the disk was full");
    shim.stop_failing();
    home.ok(&["ls"]);
}

#[test]
fn a_daemon_starts_on_a_full_disk_by_giving_up_the_ballast() {
    let home = Home::started();
    let before = block_on(async {
        let client = home.client().await;
        let notes = create(&client, Some("notes")).await;
        for number in 0..20 {
            annotate(&client, notes, &format!("{number} {}", "x".repeat(20_000))).await;
        }
        all_events(&client).await
    });
    home.kill_daemon();
    let ballast = || std::fs::metadata(home.path().join("data/log/ballast")).unwrap().modified().unwrap();
    let kept = ballast();
    let shim = Shim::new(&home);
    shim.full_until_something_is_removed();
    let mut daemon = shim.start(&home).expect("the ballast is room enough");
    block_on(async {
        let client = home.client().await;
        let events = all_events(&client).await;
        assert!(events[..before.len()] == before[..], "everything is served");
        assert!(verify(&client).await.intact);
    });
    // Its log has no room to say so; the shim's quota does not keep it from being taken again.
    assert!(ballast() > kept, "the ballast was given up");
    assert!(shim.failed() > 0, "the disk was full");
    shim.stop_failing();
    block_on(async {
        let client = home.client().await;
        create(&client, Some("again")).await;
    });
    daemon.stop();
}
