//! A reader that does not read costs constant memory and slows nobody.

use std::time::{Duration, Instant};

use bytes::Bytes;
use ropewalk_transport::client::AttachmentItem;

use crate::harness::{Home, all_events, block_on, create, from, pour, resident_kib, run, take, typing, until, watch};

/// What a flood may add to the daemon's memory: its bounded queues, caches of the log, and some air.
const GROWTH_KIB_MAX: u64 = 120 * 1024;

/// How long the flood lasts.
const FLOOD: Duration = Duration::from_secs(30);

#[test]
fn yes_flood_with_a_stalled_client_leaves_memory_bounded_the_others_fast_and_keys_through() {
    let home = Home::started();
    block_on(async {
        let (stalled, good, typist) = (home.client().await, home.client().await, home.client().await);
        let (_, echo) = run(&typist, "echo", &["sh", "-c", "stty raw -echo; printf ready; exec cat"]).await;
        let (_, mut keys) = typist.attach(typing(echo, None)).await.unwrap();
        until(&mut keys, "ready").await;
        let before = resident_kib(home.daemon_pid());
        let (_, flood) = run(&good, "flood", &["yes"]).await;
        // Attached, and never read: its socket fills up.
        let (_, mut never_read) = stalled.attach(watch(flood, Some(0))).await.unwrap();
        let (_, mut read) = good.attach(watch(flood, Some(0))).await.unwrap();
        let reader = tokio::spawn(async move {
            let mut bytes: u64 = 0;
            loop {
                match tokio::time::timeout(Duration::from_secs(20), read.recv()).await {
                    Ok(Some(AttachmentItem::Output { offset, bytes: more })) => {
                        assert_eq!(offset, bytes, "no hole");
                        assert!(
                            more.iter()
                                .enumerate()
                                .all(|(i, byte)| *byte == b"y\r\n"[(usize::try_from(offset % 3).unwrap() + i) % 3])
                        );
                        bytes += more.len() as u64;
                    }
                    Ok(Some(AttachmentItem::End(_)) | None) => return bytes,
                    other => panic!("{other:?}"),
                }
            }
        });
        let flood_until = Instant::now() + FLOOD;
        let (mut latencies, mut id, mut peak) = (Vec::new(), 0, 0);
        while Instant::now() < flood_until {
            id += 1;
            let pressed = Instant::now();
            typist.input(echo, id, Bytes::from_static(b"k")).await.unwrap();
            until(&mut keys, "k").await;
            latencies.push(pressed.elapsed());
            peak = peak.max(resident_kib(home.daemon_pid()));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        home.ok(&["end", "flood"]);
        let bytes = reader.await.unwrap();
        latencies.sort_unstable();
        let median = latencies[latencies.len() / 2];
        let p99 = latencies[latencies.len() * 99 / 100];
        println!(
            "{bytes} bytes, {} keys: median {median:?}, p99 {p99:?}; peak +{} KiB",
            latencies.len(),
            peak - before
        );
        assert!(bytes > 10_000_000, "the good client was fed: {bytes}");
        // Other tests share the machine: the figure itself is the benchmark's business.
        assert!(median < Duration::from_millis(100), "median {median:?}");
        assert!(peak < before + GROWTH_KIB_MAX, "grew from {before} to {peak} KiB");
        // The stalled one reads again, and misses nothing.
        let mut caught_up: u64 = 0;
        loop {
            match never_read.recv().await.unwrap() {
                AttachmentItem::Output { offset, bytes } => {
                    assert_eq!(offset, caught_up);
                    caught_up += bytes.len() as u64;
                }
                AttachmentItem::End(_) => break,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(caught_up, bytes);
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
