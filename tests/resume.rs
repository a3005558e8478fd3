//! Cuts: every event after the cursor, once and in order, however often the connection breaks.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ropewalk_protocol::{Code, LogId, Seq, SubscribeAfter, SubscribeParams};
use ropewalk_transport::client::SubscriptionItem;

use crate::harness::{Home, all_events, block_on, create, dial_cutting, from, pour, take, verify};

#[test]
fn fifty_cuts_in_mid_frame_of_each_of_three_clients_leave_no_gap_and_no_repeat() {
    const EVENTS: usize = 100_000;
    const CUTS: u64 = 50;
    let home = Home::started();
    block_on(async {
        let writer = home.client().await;
        let into = create(&writer, Some("into")).await;
        let mut followers = Vec::new();
        for seed in 1..=3 {
            let cuts = Arc::new(AtomicU64::new(0));
            // About 25 MB pass in all: cut well before the end, on the JSON wire and on the binary one.
            let dial = dial_cutting(home.socket(), seed, cuts.clone(), CUTS, 300_000);
            let client = home.client_by(dial, seed == 3).await;
            followers.push(tokio::spawn(async move {
                let (_, mut items) = client.subscribe(from(0)).await.unwrap();
                let events = take(&mut items, EVENTS).await;
                (events, cuts.load(Ordering::Relaxed))
            }));
        }
        let text = "x".repeat(100);
        let mut writers = Vec::new();
        for _ in 0..8 {
            let (client, text) = (home.client().await, text.clone());
            writers.push(tokio::spawn(async move {
                pour(&client, into, EVENTS / 8, &text, 16).await;
            }));
        }
        for one in writers {
            one.await.unwrap();
        }
        let log = all_events(&writer).await;
        assert!(log.len() >= EVENTS);
        for follower in followers {
            let (events, cuts) = follower.await.unwrap();
            assert_eq!(cuts, CUTS, "every cut happened");
            assert!(events[..] == log[..events.len()], "the client's stream is the log");
        }
        assert!(verify(&writer).await.intact);
    });
}

#[test]
fn a_cursor_beyond_the_head_and_a_cursor_of_another_log_are_typed_errors() {
    let home = Home::started();
    block_on(async {
        let client = home.client().await;
        let head = client.welcome().log.head;
        let ahead = client.subscribe(from(head.0 + 1)).await.unwrap_err();
        assert_eq!((ahead.code, ahead.seq), (Code::CursorAhead, Some(head)));
        let mut params = from(0);
        params.log = Some(LogId::from_bytes([7; 16]));
        assert_eq!(client.subscribe(params).await.unwrap_err().code, Code::WrongLog);
        // The connection goes on.
        let (subscribed, _) = client.subscribe(from(0)).await.unwrap();
        assert_eq!(subscribed.head, head);
    });
}

#[test]
fn a_subscription_from_a_snapshot_goes_on_where_the_snapshot_ends() {
    let home = Home::started();
    block_on(async {
        let client = home.client().await;
        let first = create(&client, Some("first")).await;
        let params = SubscribeParams { session: None, after: SubscribeAfter::SNAPSHOT, log: None, only: None };
        let (_, mut items) = client.subscribe(params).await.unwrap();
        let Some(SubscriptionItem::Snapshot { at, state, more: false }) = items.recv().await else {
            panic!("a snapshot first");
        };
        assert_eq!(state.sessions.iter().map(|session| session.session).collect::<Vec<_>>(), [first]);
        let second = create(&client, Some("second")).await;
        let events = take(&mut items, 1).await;
        assert_eq!(events[0].seq, Seq(at.0 + 1));
        assert_eq!(events[0].stream.session(), Some(second));
    });
}

#[test]
fn a_session_subscription_gets_that_sessions_events_only_across_a_restart() {
    let home = Home::started();
    block_on(async {
        let client = home.client().await;
        let (wanted, other) = (create(&client, None).await, create(&client, None).await);
        let params =
            SubscribeParams { session: Some(wanted), after: SubscribeAfter::Seq(Seq::ZERO), log: None, only: None };
        let (_, mut items) = client.subscribe(params).await.unwrap();
        for round in 0..20 {
            for session in [wanted, other, wanted] {
                crate::harness::annotate(&client, session, "x").await;
            }
            if round == 10 {
                home.kill_daemon();
                home.start();
            }
        }
        let events = take(&mut items, 41).await;
        assert!(events.iter().all(|event| event.stream.session() == Some(wanted)));
        let log = all_events(&client).await;
        let expected: Vec<_> = log.into_iter().filter(|event| event.stream.session() == Some(wanted)).collect();
        assert_eq!(events, expected);
    });
}
