//! What users of such tools suffer from, as tests by the names they are known by. Others of these names are where their
//! matter is: `kill9_everywhere`, `enospc_short_write_eio` and `sleep_wake` among the faults, `fifty_cuts`, `yes_flood`,
//! `liveness_truth`, `no_orphans` and `snapshot_equivalence` beside what they attack.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use bytes::Bytes;
use ropewalk_kernel::log::{Batch, Journal, SledShelf};
use ropewalk_protocol::record::NewEvent;
use ropewalk_protocol::{
    AgentSpec, AttachParams, Event, EventBody, LogId, OnAsk, Query, QueryResult, Seq, SessionAnnotated, SessionId,
    Stream, SubscribeParams, Timestamp, TurnOutcome, limits,
};
use ropewalk_transport::client::{AttachmentItem, Client, dial_unix};
use serde_json::{Value, json};

use crate::agents::driven::Driven;
use crate::harness::{
    Home, Line, PATIENCE, Peak, annotate, block_on, block_on_for, create, dial_over, from, options, resident_kib, run,
    session, take, typing, until, watch,
};

/// What a long replay to a slow reader may add to the daemon's memory.
const GROWTH_KIB_MAX: u64 = 64 * 1024;

/// How slow the reader is.
const BYTES_A_SECOND: u64 = 64 * 1024;
/// What may come before a page that was asked for over an idle line: hello, and the page.
const FIRST_PAGE_BYTES_MAX: u64 = 64 * 1024;
/// What may come over the line before what does not wait for a replay: the replay's frames that were on their way already, a
/// quarter of a megabyte each, and a socket's buffer.
const AHEAD_BYTES_MAX: u64 = 3 * 1024 * 1024;
/// Remarks of one commit.
const BATCH: usize = 200;

/// Writes remarks into a session while no daemon runs: many more than a test has time to send.
fn write_history(home: &Home, session: SessionId, count: usize) {
    let shelf = SledShelf::open(&home.path().join("data/log")).unwrap();
    let opened = Journal::open(Arc::new(shelf), LogId::from_bytes([9; 16]), |_| Box::new(|_: &[Event]| {})).unwrap();
    let journal = opened.journal;
    let remark = |number: usize| NewEvent {
        stream: Stream::Session(session),
        at: Timestamp::from(SystemTime::now()),
        cause: None,
        body: SessionAnnotated {
            text: format!("remark {number} of a session that goes on and on: {:x}", number * number),
        }
        .into(),
    };
    let mut stored = Vec::new();
    for first in (0..count).step_by(BATCH) {
        let events = (first..count.min(first + BATCH)).map(remark).collect();
        stored.push(journal.append(Batch { epoch: journal.epoch(), events, receipt: None }).unwrap());
    }
    for stored in stored {
        stored.blocking_recv().unwrap().unwrap();
    }
    journal.stop().blocking_recv().unwrap();
    opened.writer.join().unwrap();
}

/// An agent that speaks as Claude Code does: on each prompt it calls one tool, whose result is one line.
fn reads_much(home: &Home, result: &str) -> AgentSpec {
    let (program, answer) = (home.path().join("agent.sh"), home.path().join("answer"));
    let lines = [
        json!({"type": "system", "subtype": "init", "session_id": "one", "model": "none", "claude_code_version": "0"}),
        json!({"type": "assistant", "message": {"id": "message", "content":
            [{"type": "tool_use", "id": "tool", "name": "Bash", "input": {"command": "cat everything"}}]}}),
        json!({"type": "user", "message": {"content":
            [{"type": "tool_result", "tool_use_id": "tool", "content": result, "is_error": false}]}}),
        json!({"type": "result", "subtype": "success", "is_error": false, "result": "done"}),
    ];
    std::fs::write(&answer, lines.map(|line| format!("{line}\n")).concat()).unwrap();
    let greeted = json!({"type": "control_response", "response":
        {"subtype": "success", "request_id": "greet", "response": {}}});
    let script = format!(
        "while read -r line; do case $line in *'\"subtype\":\"initialize\"'*) echo '{greeted}';; \
         *'\"type\":\"user\"'*) cat {};; esac; done",
        answer.display()
    );
    std::fs::write(&program, script).unwrap();
    AgentSpec {
        provider: "claude".to_owned(),
        name: None,
        command: ["sh", program.to_str().unwrap()].map(str::to_owned).to_vec(),
        directory: "/tmp".to_owned(),
        environment: [("PATH".to_owned(), std::env::var("PATH").unwrap())].into(),
        model: None,
        mode: None,
        on_ask: OnAsk::Wait,
        prompt: None,
        terms: Default::default(),
    }
}

/// The newest events of a session, as a client asks for them that opens it.
async fn newest_page(client: &Client, session: SessionId) -> Vec<Event> {
    let (before, limit) = (Some(Seq(u64::MAX)), Some(50));
    let query = Query::EventsPage { session: Some(session), agent: None, after: Seq::ZERO, before, limit };
    match client.query(query).await.unwrap().result {
        QueryResult::Events { events, .. } => events,
        other => panic!("{other:?}"),
    }
}

/// A long session was replayed into a bounded queue, which dropped the subscriber; or into one without a bound; or one line of
/// 12 MB in it could not be read.
#[test]
fn long_session_slow_reader() {
    const EVENTS: usize = 200_000;
    const RESULT_BYTES: usize = 12_000_000;
    let home = Home::started();
    let long = block_on(async { create(&home.client().await, Some("long")).await });
    home.ok(&["daemon", "stop"]);
    write_history(&home, long, EVENTS);
    home.start();
    block_on_for(2 * PATIENCE, async {
        let writer = home.client().await;
        annotate(&writer, long, "its actor is awake").await;
        let before = resident_kib(home.daemon_pid());
        let peak = Peak::of(home.daemon_pid());
        let result = "0123456789abcdef".repeat(RESULT_BYTES / 16);
        let mut driven = Driven::start(&home, reads_much(&home, &result)).await;
        let prompt = driven.prompt("read everything").await;
        assert_eq!(driven.outcome(prompt).await, TurnOutcome::Completed, "{}", driven.story());

        let line = Line::carrying(BYTES_A_SECOND);
        let reader = home.client_by(dial_over(home.socket(), line.clone()), false).await;
        let asked = Instant::now();
        let page = newest_page(&reader, long).await;
        let first_page = asked.elapsed();
        assert_eq!(page.len(), 50);
        assert!(line.carried() < FIRST_PAGE_BYTES_MAX, "{} bytes came with the first page", line.carried());

        // All of it, which takes a quarter of an hour over this line, and what happens meanwhile.
        let (subscribed, mut items) = reader.subscribe(from(0)).await.unwrap();
        let other = create(&writer, Some("other")).await;
        let only_other = SubscribeParams { session: Some(other), ..from(subscribed.head.0) };
        let (_, mut live) = reader.subscribe(only_other).await.unwrap();
        let mut seen = take(&mut items, 1).await;
        let replayed = line.carried();
        let remarked = annotate(&writer, other, "live").await;
        while take(&mut live, 1).await.last().unwrap().seq < remarked {}
        let ahead_of_live = line.carried() - replayed;
        let asked = line.carried();
        newest_page(&reader, long).await;
        let ahead_of_page = line.carried() - asked;
        println!(
            "the first page came in {first_page:?}; {ahead_of_live} bytes came before what was live, {ahead_of_page} before \
             another page"
        );
        assert!(ahead_of_live < AHEAD_BYTES_MAX, "{ahead_of_live} bytes came before what was live");
        assert!(ahead_of_page < AHEAD_BYTES_MAX, "{ahead_of_page} bytes came before a page");

        line.widen();
        let count = usize::try_from(remarked.0).unwrap();
        assert!(count > EVENTS && seen.len() < EVENTS / 2, "{} of {count} have come", seen.len());
        seen.extend(take(&mut items, count - seen.len()).await);
        assert!(seen.iter().map(|event| event.seq).eq((1..=remarked.0).map(Seq)), "no hole and no repeat");
        assert_eq!(line.connections(), 1, "the connection was never dropped");

        // Of a result events tell as much as anybody reads, and the agent's output has all of it.
        let told: String = seen.iter().filter_map(told_by_a_tool).collect();
        assert!(told == result[..limits::ITEM_TEXT_BYTES_MAX], "{} bytes were told", told.len());
        let written = session(&reader, &driven.session.to_string()).await.agents[0].terminal;
        let (_, mut output) = reader.attach(watch(written, Some(0))).await.unwrap();
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"\"type\":\"result\"}\n") {
            match output.recv().await.unwrap() {
                AttachmentItem::Output { offset, bytes: more } => {
                    assert_eq!(offset, bytes.len() as u64);
                    bytes.extend_from_slice(&more);
                }
                other => panic!("{other:?}"),
            }
        }
        assert!(String::from_utf8(bytes).unwrap().contains(&result), "the whole line is there");
        let grown = peak.kib() - before;
        println!("{count} events; the daemon grew by {grown} KiB");
        assert!(grown < GROWTH_KIB_MAX, "grew from {before} to {} KiB", peak.kib());
    });
}

/// A piece of what a tool answered.
fn told_by_a_tool(event: &Event) -> Option<&str> {
    match &event.body {
        EventBody::ItemText(piece) => Some(&piece.text),
        _ => None,
    }
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
