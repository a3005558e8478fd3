//! A reader that does not read costs constant memory and slows nobody.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use ropewalk_protocol::{GapReason, limits};
use ropewalk_transport::client::AttachmentItem;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::faults::seconds;
use crate::harness::{
    Home, PATIENCE, Peak, all_events, block_on, block_on_for, create, from, pour, resident_kib, run, session, take,
    typing, until, watch,
};

/// What a flood may add to the daemon's memory: its bounded queues, caches of the log, and some air.
const GROWTH_KIB_MAX: u64 = 120 * 1024;

/// How long the flood lasts, unless `ROPEWALK_FAULT_SECONDS` says otherwise.
const FLOOD_SECONDS: u64 = 30;

/// How long a program that floods may stand at a time: what the disk takes on a busy machine, and far less than a client that
/// does not read.
const STANDSTILL_MAX: Duration = Duration::from_secs(10);
/// What half of the keys take at most while a program floods. It is milliseconds; other tests share the machine, and the figure
/// itself is the benchmark's business.
const ECHO_MEDIAN_MAX: Duration = Duration::from_secs(1);

/// Keys that are typed, and remarks that are made, in one go.
const BURST: usize = 2000;
/// Sessions that the remarks are made in: together they take what one would refuse, with `busy`.
const BURST_SESSIONS: usize = 20;

/// The bytes that a process has written since it started.
fn written_by(pid: u32) -> u64 {
    let io = std::fs::read_to_string(format!("/proc/{pid}/io")).unwrap();
    io.lines().find_map(|line| line.strip_prefix("wchar: ")).unwrap().parse().unwrap()
}

/// Reads a flood from its first byte on, without a hole; returns how long it is.
async fn read_all_of_yes(mut items: mpsc::Receiver<AttachmentItem>, read: Arc<AtomicU64>) -> u64 {
    const LINES: usize = 10_000;
    let yes = b"y\r\n".repeat(LINES + 1);
    let mut bytes: u64 = 0;
    loop {
        match tokio::time::timeout(Duration::from_secs(20), items.recv()).await {
            Ok(Some(AttachmentItem::Output { offset, bytes: more })) => {
                assert_eq!(offset, bytes, "no hole");
                let as_printed = &yes[usize::try_from(offset % 3).unwrap()..];
                assert!(more.chunks(LINES * 3).all(|part| *part == as_printed[..part.len()]));
                bytes += more.len() as u64;
                read.store(bytes, Ordering::Relaxed);
            }
            Ok(Some(AttachmentItem::End(end))) => {
                assert_eq!(end, bytes, "all of it");
                return bytes;
            }
            other => panic!("{other:?}"),
        }
    }
}

/// Reads what waits for a client that asked for the screen and stood still: what was sent before, then which bytes it will not
/// get, then the screen behind them, then what follows. Returns how many it did not get, once it is this far.
async fn read_on(items: &mut mpsc::Receiver<AttachmentItem>, until: u64) -> u64 {
    let (mut at, mut left_out, mut is_drawn) = (None, 0, true);
    while at.is_none_or(|at| at < until) || left_out <= limits::ATTACH_LAG_BYTES_MAX {
        match items.recv().await.unwrap() {
            AttachmentItem::Snapshot { offset, last, .. } => {
                assert!(at.is_none_or(|at| at == offset), "the screen at {offset}, not at {at:?}");
                (at, is_drawn) = (Some(offset), last);
            }
            AttachmentItem::Output { offset, bytes } => {
                assert!(is_drawn, "bytes came before the screen that they change");
                assert_eq!(Some(offset), at, "no hole that was not told");
                at = Some(offset + bytes.len() as u64);
            }
            AttachmentItem::Gap { from, to, reason } => {
                assert_eq!((Some(from), reason), (at, GapReason::Lagged));
                assert!(to > from, "from {from} to {to}");
                left_out += to - from;
                (at, is_drawn) = (Some(to), false);
            }
            other => panic!("{other:?}"),
        }
    }
    left_out
}

/// A slow reader took all of the daemon's memory, or held up the program; or a bounded queue lost a burst of frames.
#[test]
fn yes_flood_with_a_stalled_client_leaves_memory_bounded_the_others_fast_and_keys_through() {
    let home = Home::started();
    let time = seconds(FLOOD_SECONDS);
    block_on_for(time + PATIENCE, async {
        let (stalled, asleep) = (home.client().await, home.client().await);
        let (good, typist) = (home.client().await, home.client().await);
        let (_, echo) = run(&typist, "echo", &["sh", "-c", "stty raw -echo; printf ready; exec cat"]).await;
        let (_, mut keys) = typist.attach(typing(echo, None)).await.unwrap();
        until(&mut keys, "ready").await;
        let before = resident_kib(home.daemon_pid());
        let peak = Peak::of(home.daemon_pid());
        let (_, flood) = run(&good, "flood", &["yes"]).await;
        // Attached, and not read: their sockets fill up. One wants the screen, the other one every byte.
        let (_, mut screen) = stalled.attach(watch(flood, None)).await.unwrap();
        let (_, never_read) = asleep.attach(watch(flood, Some(0))).await.unwrap();
        let (_, read) = good.attach(watch(flood, Some(0))).await.unwrap();
        let read_so_far = Arc::new(AtomicU64::new(0));
        let reader = tokio::spawn(read_all_of_yes(read, read_so_far.clone()));
        let yes = loop {
            if let Some(pid) = session(&typist, "flood").await.agents[0].pid {
                break pid;
            }
            tokio::task::yield_now().await;
        };
        let began = Instant::now();
        let (mut latencies, mut id) = (Vec::new(), 0);
        let (mut written, mut written_at, mut standstill) = (written_by(yes), began, Duration::ZERO);
        while began.elapsed() < time {
            id += 1;
            let pressed = Instant::now();
            typist.input(echo, id, Bytes::from_static(b"k")).await.unwrap();
            until(&mut keys, "k").await;
            latencies.push(pressed.elapsed());
            standstill = standstill.max(written_at.elapsed());
            if written_by(yes) > written {
                (written, written_at) = (written_by(yes), Instant::now());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // Frames of every kind in one go: keys, and commands with their answers and events.
        let all: String = (0..BURST).map(|number| format!("{number},")).collect();
        let type_all = async {
            for number in 0..BURST {
                id += 1;
                typist.input(echo, id, format!("{number},").into()).await.unwrap();
            }
        };
        let last = format!("{},", BURST - 1);
        let (echoed, ()) = tokio::join!(until(&mut keys, &last), type_all);
        assert!(echoed == all, "each key once and in order");
        // Nobody waits for a reader that is not there.
        drop(keys);
        let (_, mut remarks) = good.subscribe(from(0)).await.unwrap();
        let mut burst = JoinSet::new();
        for _ in 0..BURST_SESSIONS {
            let (client, into) = (typist.clone(), create(&typist, None).await);
            let each = BURST / BURST_SESSIONS;
            burst.spawn(async move { pour(&client, into, each, "one of many", each).await });
        }
        burst.join_all().await;
        let mut remarked = 0;
        while remarked < BURST {
            let events = take(&mut remarks, 1).await;
            remarked += events.iter().filter(|event| event.body.name() == "session.annotated").count();
        }
        drop(remarks);

        // The stalled one reads again, while the flood goes on.
        let left_out = read_on(&mut screen, read_so_far.load(Ordering::Relaxed)).await;
        home.ok(&["end", "flood"]);
        let bytes = reader.await.unwrap();
        // So does the other one, and misses nothing.
        let caught_up = read_all_of_yes(never_read, Arc::default()).await;
        assert_eq!(caught_up, bytes);
        latencies.sort_unstable();
        let median = latencies[latencies.len() / 2];
        let p99 = latencies[latencies.len() * 99 / 100];
        println!(
            "{bytes} bytes, of which {left_out} were left out; {} keys: median {median:?}, p99 {p99:?}; the program stood for \
             {standstill:?}; peak +{} KiB",
            latencies.len(),
            peak.kib() - before
        );
        assert!(bytes > 10_000_000, "the good client was fed: {bytes}");
        assert!(standstill < STANDSTILL_MAX, "the program stood for {standstill:?}");
        assert!(median < ECHO_MEDIAN_MAX, "median {median:?}");
        assert!(peak.kib() < before + GROWTH_KIB_MAX, "grew from {before} to {} KiB", peak.kib());
    });
}

#[test]
fn a_client_that_wants_the_screen_gets_a_new_one_instead_of_old_bytes() {
    let home = Home::started();
    block_on(async {
        let (slow, driver) = (home.client().await, home.client().await);
        let script = "stty -echo; read x; yes | head -c 30000000; echo the-end; cat";
        let (_, terminal) = run(&driver, "lags", &["sh", "-c", script]).await;
        let (_, mut items) = slow.attach(watch(terminal, None)).await.unwrap();
        let (_, mut all) = driver.attach(typing(terminal, None)).await.unwrap();
        driver.input(terminal, 1, Bytes::from_static(b"\r")).await.unwrap();
        let mut tail = String::new();
        while !tail.contains("the-end") {
            if let Some(AttachmentItem::Output { bytes, .. }) = all.recv().await {
                tail = String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(20)..]).into_owned();
            }
        }
        let (mut skipped, mut drawn) = (0, String::new());
        while !drawn.contains("the-end") {
            match items.recv().await.unwrap() {
                AttachmentItem::Gap { from, to, .. } => skipped += to - from,
                AttachmentItem::Snapshot { bytes, .. } => drawn = String::from_utf8_lossy(&bytes).into_owned(),
                AttachmentItem::Output { bytes, .. } => drawn.push_str(&String::from_utf8_lossy(&bytes)),
                other => panic!("{other:?}"),
            }
        }
        assert!(skipped > 4_000_000, "what nobody could read was skipped, and said: {skipped}");
    });
}

#[test]
fn a_stalled_subscriber_does_not_slow_the_others_and_catches_up() {
    const EVENTS: usize = 20_000;
    let home = Home::started();
    block_on(async {
        let (stalled, good, writer) = (home.client().await, home.client().await, home.client().await);
        let (_, mut never_read) = stalled.subscribe(from(0)).await.unwrap();
        let (_, mut read) = good.subscribe(from(0)).await.unwrap();
        let reader = tokio::spawn(async move { take(&mut read, EVENTS).await });
        let into = create(&writer, None).await;
        let before = resident_kib(home.daemon_pid());
        pour(&writer, into, EVENTS, &"y".repeat(1000), 128).await;
        let events = reader.await.unwrap();
        let peak = resident_kib(home.daemon_pid());
        assert!(peak < before + GROWTH_KIB_MAX, "grew from {before} to {peak} KiB");
        let late = take(&mut never_read, EVENTS).await;
        assert!(late[..EVENTS] == events[..EVENTS], "the stalled one sees the same");
        assert!(all_events(&writer).await[..EVENTS] == events[..EVENTS]);
    });
}
