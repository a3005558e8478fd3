//! Cuts: every event after the cursor, once and in order, however often the connection breaks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ropewalk_kernel::log::store::Shelf;
use ropewalk_kernel::log::{Journal, SledShelf};
use ropewalk_protocol::{
    Code, Command, Event, EventBody, GapReason, LogId, Seq, SessionId, SessionView, SubscribeAfter, SubscribeParams,
};
use ropewalk_transport::client::{Client, Link, SubscriptionItem, dial_unix};
use tokio::sync::{mpsc, watch};

use crate::harness::{
    Home, all_events, annotate, block_on, create, dial_cutting, dial_gated, ended, eventually, from, mint, pour, take,
    verify,
};

/// What a reader was given, as one number: the same for the same events in the same order, and for nothing else.
fn hash(events: &[Event]) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    for event in events {
        hasher.update(&serde_json::to_vec(event).unwrap());
    }
    hasher.finalize()
}

/// Reads a subscription up to the remark that says this.
async fn up_to(items: &mut mpsc::Receiver<SubscriptionItem>, text: &str) -> Vec<Event> {
    let says = |event: &Event| matches!(&event.body, EventBody::SessionAnnotated(it) if it.text == text);
    let mut events = Vec::new();
    while !events.last().is_some_and(says) {
        events.extend(take(items, 1).await);
    }
    events
}

/// Waits until this client's connection is gone.
async fn lost(client: &Client) {
    client.links().wait_for(|link| *link == Link::Lost).await.unwrap();
}

/// Events were lost between a cut and the reconnect, came twice, or came by two subscriptions from then on. One of the clients
/// is in the background while most of it happens.
#[test]
fn fifty_cuts_in_mid_frame_of_each_of_three_clients_leave_no_gap_and_no_repeat() {
    const EVENTS: usize = 10_000;
    const CUTS: u64 = 50;
    const WRITERS: usize = 8;
    let home = Home::started();
    block_on(async {
        let writer = home.client().await;
        let into = create(&writer, Some("into")).await;
        let in_front = watch::Sender::new(true);
        let (mut clients, mut followers) = (Vec::new(), Vec::new());
        for seed in 1..=3 {
            let cuts = Arc::new(AtomicU64::new(0));
            // More than 10 MB pass in all: cut well before the end, on the JSON wire and on the binary one.
            let dial = dial_cutting(home.socket(), seed, cuts.clone(), CUTS, 300_000);
            let dial = if seed == 2 { dial_gated(dial, in_front.subscribe()) } else { dial };
            let client = home.client_by(dial, seed == 3).await;
            let (_, mut items) = client.subscribe(from(0)).await.unwrap();
            clients.push(client);
            followers.push(tokio::spawn(async move {
                let events = up_to(&mut items, "the last one").await;
                (hash(&events), events.len(), cuts.load(Ordering::Relaxed), items)
            }));
        }
        let text = "x".repeat(1000);
        let write = async |count: usize| {
            let mut writers = Vec::new();
            for _ in 0..WRITERS {
                let (client, text) = (home.client().await, text.clone());
                writers.push(tokio::spawn(async move { pour(&client, into, count / WRITERS, &text, 16).await }));
            }
            for one in writers {
                one.await.unwrap();
            }
        };
        write(EVENTS / 5).await;
        in_front.send_replace(false);
        clients[1].cut().await.unwrap();
        lost(&clients[1]).await;
        write(EVENTS - EVENTS / 5).await;
        in_front.send_replace(true);
        annotate(&writer, into, "the last one").await;
        let log = all_events(&writer).await;
        assert!(log.len() > EVENTS);
        let mut subscriptions = Vec::new();
        for follower in followers {
            let (hash_of_stream, count, cuts, items) = follower.await.unwrap();
            assert_eq!(cuts, CUTS, "every cut happened");
            assert_eq!((count, hash_of_stream), (log.len(), hash(&log)), "the client's stream is the log");
            subscriptions.push(items);
        }
        eventually("each client is there once", || home.metric("subscriptions") == 3);
        assert!(verify(&writer).await.intact);
        drop((clients, subscriptions));
        // They leave by tasks of this thread.
        while home.metric("subscriptions") > 0 {
            tokio::task::yield_now().await;
        }
    });
}

/// Which sessions there are, by their names: what a client keeps that shows a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct List(BTreeMap<SessionId, Option<String>>);

impl List {
    fn of(state: Vec<SessionView>) -> Self {
        Self(state.into_iter().map(|session| (session.session, session.name)).collect())
    }

    fn apply(&mut self, events: &[Event]) {
        for event in events {
            let Some(session) = event.stream.session() else { continue };
            match &event.body {
                EventBody::SessionCreated(created) => drop(self.0.insert(session, created.name.clone())),
                EventBody::SessionRenamed(renamed) => drop(self.0.insert(session, Some(renamed.name.clone()))),
                EventBody::SessionDeleted(_) => drop(self.0.remove(&session)),
                _ => {}
            }
        }
    }
}

async fn change(client: &Client, command: Command) {
    client.command(mint(), command).await.unwrap();
}

async fn rename(client: &Client, session: SessionId, name: &str) {
    change(client, Command::SessionRename { session, name: name.to_owned() }).await;
}

fn shelf(home: &Home) -> SledShelf {
    SledShelf::open(&home.path().join("data/log")).unwrap()
}

/// Has the next daemon begin another volume; returns where the one before it ends.
async fn end_the_volume(home: &Home) -> Seq {
    let opened =
        Journal::open(Arc::new(shelf(home)), LogId::from_bytes([9; 16]), |_| Box::new(|_: &[Event]| {})).unwrap();
    let head = opened.journal.head();
    opened.journal.stop().await.unwrap();
    opened.writer.join().unwrap();
    drop(shelf(home).create(head.next()).unwrap());
    head
}

/// No event expires with time, but the disk may lose what somebody who was away has not read. That client is told which range
/// it is, and by a snapshot and what follows it ends up where somebody is who was never away.
#[test]
fn a_client_whose_place_is_gone_is_told_the_range_and_comes_by_a_snapshot_to_the_same_state() {
    let home = Home::started();
    block_on(async {
        let in_front = watch::Sender::new(true);
        let writer = home.client().await;
        let away = home.client_by(dial_gated(dial_unix(home.socket()), in_front.subscribe()), false).await;
        let (_, mut items) = away.subscribe(from(0)).await.unwrap();
        let first = create(&writer, Some("first")).await;
        let second = create(&writer, Some("second")).await;
        annotate(&writer, first, "the last that it reads").await;
        let read = up_to(&mut items, "the last that it reads").await;
        in_front.send_replace(false);
        away.cut().await.unwrap();
        lost(&away).await;

        for number in 0..200 {
            annotate(&writer, first, &format!("missed {number}")).await;
        }
        rename(&writer, first, "renamed").await;
        create(&writer, Some("third")).await;
        let mut known = all_events(&writer).await;
        home.ok(&["daemon", "stop"]);
        let end = end_the_volume(&home).await;
        home.start();
        change(&writer, Command::SessionEnd { session: second }).await;
        ended(&writer, second).await;
        change(&writer, Command::SessionDelete { session: second }).await;
        // What began before cannot be changed once that is lost.
        let kept = create(&writer, Some("kept")).await;
        home.ok(&["daemon", "stop"]);
        let shelf = shelf(&home);
        std::fs::rename(shelf.path(Seq(1)), home.path().join("lost")).unwrap();
        shelf.give_up(Seq(1), "a test took it away").unwrap();
        home.start();
        annotate(&writer, kept, "after the loss").await;
        in_front.send_replace(true);

        let expected = (read.last().unwrap().seq.next(), end, GapReason::Damaged);
        match items.recv().await.unwrap() {
            SubscriptionItem::Gap { from, to, reason } => assert_eq!((from, to, reason), expected),
            other => panic!("{other:?}"),
        }
        let tail = up_to(&mut items, "after the loss").await;
        assert_eq!(tail[0].seq, end.next(), "what is not lost comes");
        let params = SubscribeParams { session: None, after: SubscribeAfter::SNAPSHOT, log: None, only: None };
        let (_, mut items) = away.subscribe(params).await.unwrap();
        let Some(SubscriptionItem::Snapshot { state, more: false, .. }) = items.recv().await else {
            panic!("a snapshot first");
        };
        rename(&writer, kept, "kept-again").await;
        create(&writer, Some("fourth")).await;
        annotate(&writer, kept, "the last one").await;
        let rest = up_to(&mut items, "the last one").await;

        let mut by_snapshot = List::of(state.sessions);
        by_snapshot.apply(&rest);
        known.retain(|event| event.seq <= end);
        let mut by_events = List::default();
        [known, tail, rest].iter().for_each(|events| by_events.apply(events));
        assert_eq!(by_snapshot, by_events, "who was never away shows the same");
        let names: BTreeSet<&str> = by_snapshot.0.values().flatten().map(String::as_str).collect();
        assert_eq!(names, ["fourth", "kept-again", "renamed", "third"].into());
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
