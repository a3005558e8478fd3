//! What users of such tools suffer from, as tests by the names they are known by. Others of these names are where their
//! matter is: `kill9_everywhere`, `enospc_short_write_eio` and `sleep_wake` among the faults, `fifty_cuts`, `yes_flood`,
//! `liveness_truth`, `no_orphans` and `snapshot_equivalence` beside what they attack.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ropewalk_protocol::{AttachParams, Seq};
use ropewalk_transport::client::{AttachmentItem, Client, dial_unix};
use serde_json::Value;

use crate::harness::{
    Home, annotate, block_on, create, from, options, pour, resident_kib, run, session, take, typing, until,
};

/// What a long replay to a slow reader may add to the daemon's memory.
const GROWTH_KIB_MAX: u64 = 64 * 1024;

/// A long session was replayed into a bounded queue, which dropped the subscriber; or into one without a bound.
#[test]
fn long_session_slow_reader() {
    const EVENTS: usize = 60_000;
    let home = Home::started();
    block_on(async {
        let writer = home.client().await;
        let into = create(&writer, Some("long")).await;
        pour(&writer, into, EVENTS, &"t".repeat(250), 200).await;
        let before = resident_kib(home.daemon_pid());
        let reader = home.client().await;
        let (_, mut items) = reader.subscribe(from(0)).await.unwrap();
        // The first page comes although the reader will take minutes for all of it at this pace.
        let mut seen = take(&mut items, 1).await.len();
        let slowly_until = Instant::now() + Duration::from_secs(5);
        let mut peak = before;
        while Instant::now() < slowly_until {
            // The pace is what is tested: a page four times a second.
            tokio::time::sleep(Duration::from_millis(250)).await;
            seen += take(&mut items, 1).await.len();
            peak = peak.max(resident_kib(home.daemon_pid()));
            // What happens meanwhile does not wait for the slow one.
            let (_, mut live) = writer.subscribe(from(annotate(&writer, into, "live").await.0 - 1)).await.unwrap();
            assert_eq!(take(&mut live, 1).await.len(), 1);
        }
        assert!(peak < before + GROWTH_KIB_MAX, "grew from {before} to {peak} KiB");
        assert!(seen < EVENTS, "the reader was slow");
        let rest = take(&mut items, EVENTS - seen).await;
        assert_eq!(rest.last().map(|event| event.seq >= Seq(EVENTS as u64)), Some(true));
        assert_eq!(rest.first().map(|event| event.seq), Some(Seq(seen as u64 + 1)), "no hole and no repeat");
    });
}

/// The first prompt vanished while the agent started, or a reconnect sent it twice.
#[test]
fn one_prompt_one_turn() {
    let home = Home::started();
    block_on(async {
        // The same client program, over three connections.
        let same = options(false);
        let mut connections = Vec::new();
        for _ in 0..3 {
            let options = ropewalk_transport::client::Options { info: same.info.clone(), ..options(false) };
            connections.push(Client::connect(dial_unix(home.socket()), options).await.unwrap());
        }
        let script = "stty raw -echo; printf ready; sleep 3; printf started; exec cat";
        let (_, terminal) = run(&connections[0], "starts-slowly", &["sh", "-c", script]).await;
        let mut readers = Vec::new();
        for connection in &connections {
            readers.push(connection.attach(typing(terminal, None)).await.unwrap().1);
        }
        until(&mut readers[0], "ready").await;
        for turn in 0..5 {
            connections[turn % 3].input(terminal, 1, Bytes::from_static(b"the prompt\r")).await.unwrap();
        }
        home.kill_daemon();
        home.start();
        connections[1].input(terminal, 2, Bytes::from_static(b"END")).await.unwrap();
        let seen = until(&mut readers[2], "END").await;
        assert_eq!(seen.matches("the prompt").count(), 1, "{seen:?}");
    });
}

/// The answer to an upgrade that offers this subprotocol: status and body.
fn offer(home: &Home, subprotocol: &str) -> (String, String) {
    let mut stream = UnixStream::connect(home.socket()).unwrap();
    let request = format!(
        "GET /v1 HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade, close\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Protocol: {subprotocol}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let mut byte = [0];
    while !answer.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        answer.push(byte[0]);
    }
    let head = String::from_utf8(answer).unwrap();
    let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).unwrap();
    (head, String::from_utf8(body).unwrap())
}

/// A client of another build attached, and the session silently did nothing; an upgrade took the terminals with it.
#[test]
fn skew_matrix() {
    let home = Home::started();
    for (offered, speaks) in [
        ("ropewalk.v1", Some("ropewalk.v1")),
        ("ropewalk.v2, ropewalk.v1", Some("ropewalk.v1")),
        ("ropewalk.v1.bincode", Some("ropewalk.v1.bincode")),
        ("ropewalk.v0", None),
        ("ropewalk.v2", None),
    ] {
        let (head, body) = offer(&home, offered);
        if let Some(speaks) = speaks {
            assert!(head.starts_with("HTTP/1.1 101"), "{offered}: {head}");
            let chosen = head.lines().find(|line| line.to_lowercase().starts_with("sec-websocket-protocol:"));
            assert!(chosen.is_some_and(|chosen| chosen.ends_with(&format!(" {speaks}"))), "{offered}: {head}");
        } else {
            assert!(head.starts_with("HTTP/1.1 403"), "{offered}: {head}");
            let error: Value = serde_json::from_str(&body).unwrap();
            let message = error["error"]["message"].as_str().unwrap();
            assert_eq!(error["error"]["data"]["reason"], "unsupported_version", "{body}");
            assert!(message.contains(offered) && message.contains("build"), "{message}");
            assert!(body.contains("ropewalk daemon restart"), "the next step is named: {body}");
        }
    }
    block_on(async {
        let client = home.client().await;
        let mut terminals = Vec::new();
        for number in 0..5 {
            let name = format!("five-{number}");
            let (_, terminal) = run(&client, &name, &["sh", "-c", "stty raw -echo; printf ready; exec cat"]).await;
            let (_, mut items) = client.attach(typing(terminal, None)).await.unwrap();
            until(&mut items, "ready").await;
            let pid = loop {
                if let Some(pid) = session(&client, &name).await.agents[0].pid {
                    break pid;
                }
                tokio::task::yield_now().await;
            };
            terminals.push((name, terminal, pid, items));
        }
        home.ok(&["daemon", "restart"]);
        for (name, terminal, pid, mut items) in terminals {
            client.input(terminal, 1, Bytes::from_static(b"still here")).await.unwrap();
            until(&mut items, "still here").await;
            assert_eq!(session(&client, &name).await.agents[0].pid, Some(pid), "{name}: the same process");
        }
    });
    let other = home.discovery();
    assert!(other["build"].is_string() && other["protocol"] == 1, "{other}");
}

/// A client that had seen bytes which were not stored yet was told, after a kill, that its place is beyond the end.
#[test]
fn regression_a_client_that_saw_more_than_was_stored_goes_on_after_a_kill() {
    const BYTES: u64 = 240_000;
    let home = Home::started();
    block_on(async {
        for number in 0..12 {
            let before = home.client().await;
            let script = format!("stty raw -echo; read go; head -c {BYTES} /dev/zero | tr '\\0' x; exec cat");
            let (_, terminal) = run(&before, &format!("seen-{number}"), &["sh", "-c", &script]).await;
            let (_, mut items) = before.attach(typing(terminal, None)).await.unwrap();
            before.input(terminal, 1, Bytes::from_static(b"go\n")).await.unwrap();
            let mut seen = 0;
            while seen < BYTES {
                match items.recv().await.unwrap() {
                    AttachmentItem::Output { offset, bytes } => seen = offset + bytes.len() as u64,
                    AttachmentItem::Written(_) => {}
                    other => panic!("{number}: {other:?} after {seen} bytes"),
                }
            }
            home.kill_daemon();
            home.start();
            // At once: what was seen may not have come from the holder again.
            let after = home.client().await;
            let place = AttachParams { after: Some(seen), ..typing(terminal, None) };
            let (_, mut items) = after.attach(place).await.unwrap_or_else(|rejection| panic!("{number}: {rejection}"));
            after.input(terminal, 2, Bytes::from_static(b"END")).await.unwrap();
            assert_eq!(until(&mut items, "END").await, "END", "no byte again, none left out");
        }
    });
}
