//! What a client reads of a long session at once: its newest part, an agent's own part, and further back page by page.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ropewalk_projections::timeline;
use ropewalk_protocol::{
    AgentId, Code, Event, EventBody, Query, QueryResult, SearchHit, Seq, SessionId, Stream, SubscribeAfter,
    SubscribeOnly, SubscribeParams, TimelineEntry, TurnOutcome, limits,
};
use ropewalk_transport::client::{Client, SubscriptionItem};

use super::driven::Driven;
use super::scripted::{Scripted, spawn};
use crate::harness::{all_events, annotate, block_on, create, dial_cutting};

/// Two agents of one session have talked, and somebody has written into another session meanwhile.
async fn talked(scripted: &Scripted) -> (Driven, AgentId) {
    let script =
        "on prompt\n confirm\n delta half of\n tool Bash {\"command\": \"ls\"} \"a\\nb\"\n say all of {prompt}\n";
    let mut driven = Driven::start(&scripted.home, scripted.spec("first", script)).await;
    let other = spawn(&driven, scripted.spec("second", script)).await;
    let elsewhere = create(&driven.client, Some("elsewhere")).await;
    for number in 0..8 {
        annotate(&driven.client, elsewhere, &format!("remark {number}")).await;
        let prompt = driven.prompt(&format!("prompt {number}")).await;
        assert_eq!(driven.outcome(prompt).await, TurnOutcome::Completed);
    }
    (driven, other)
}

struct Page {
    events: Vec<Event>,
    more: bool,
    next: Option<Seq>,
}

async fn page(client: &Client, query: Query) -> Page {
    match client.query(query).await.unwrap().result {
        QueryResult::Events { events, more, gaps, next } => {
            assert_eq!((more, gaps), (next.is_some(), Vec::new()));
            Page { events, more, next }
        }
        other => panic!("{other:?}"),
    }
}

/// All events of a page after another, from the newest back to those after a place.
async fn backwards(
    client: &Client,
    session: Option<SessionId>,
    agent: Option<AgentId>,
    after: Seq,
    limit: u32,
) -> Vec<Event> {
    let mut all: Vec<Event> = Vec::new();
    let mut before = Seq(u64::MAX);
    loop {
        let query = Query::EventsPage { session, agent, after, before: Some(before), limit: Some(limit) };
        let Page { mut events, more, next } = page(client, query).await;
        assert!(events.len() <= limit as usize);
        assert!(events.len() == limit as usize || !more, "a page is full while there are older ones");
        events.extend(all);
        all = events;
        match next {
            Some(next) => before = next,
            None => return all,
        }
    }
}

fn is_about(event: &Event, agent: AgentId) -> bool {
    match (&event.stream, &event.body) {
        (Stream::Agent(_, of), _) => *of == agent,
        (_, EventBody::AgentJoined(joined)) => joined.agent == agent,
        _ => false,
    }
}

#[test]
fn pages_backwards_join_to_all_events_of_everybody_of_a_session_and_of_an_agent() {
    let scripted = Scripted::new();
    block_on(async {
        let (driven, other) = talked(&scripted).await;
        let (client, session) = (&driven.client, driven.session);
        let all = all_events(client).await;
        assert_eq!(backwards(client, None, None, Seq::ZERO, 7).await, all);
        let of_session: Vec<Event> =
            all.iter().filter(|event| event.stream.session() == Some(session)).cloned().collect();
        assert_eq!(backwards(client, Some(session), None, Seq::ZERO, 5).await, of_session);
        for agent in [driven.agent, other] {
            let expected: Vec<Event> = of_session.iter().filter(|event| is_about(event, agent)).cloned().collect();
            assert!(expected.iter().any(|event| event.body.name() == "session.agent_joined"));
            assert_eq!(backwards(client, Some(session), Some(agent), Seq::ZERO, 3).await, expected);
            let query = Query::EventsPage {
                session: Some(session),
                agent: Some(agent),
                after: Seq::ZERO,
                before: None,
                limit: None,
            };
            assert_eq!(page(client, query).await.events, expected, "forwards");
        }
        let middle = all[all.len() / 2].seq;
        let newer: Vec<Event> = all.iter().filter(|event| event.seq > middle).cloned().collect();
        assert_eq!(backwards(client, None, None, middle, 9).await, newer);
    });
}

#[test]
fn the_newest_page_is_asked_for_without_knowing_where_it_begins() {
    let scripted = Scripted::new();
    block_on(async {
        let (driven, _) = talked(&scripted).await;
        let (client, session) = (&driven.client, driven.session);
        let all = all_events(client).await;
        let ask =
            |agent, after, before| Query::EventsPage { session: Some(session), agent, after, before, limit: Some(4) };
        let newest = page(client, ask(None, Seq::ZERO, Some(Seq(u64::MAX)))).await;
        let of_session: Vec<&Event> = all.iter().filter(|event| event.stream.session() == Some(session)).collect();
        assert_eq!(newest.events.iter().collect::<Vec<_>>(), of_session[of_session.len() - 4..]);
        assert_eq!(newest.next, Some(newest.events[0].seq));
        let none = page(client, ask(None, Seq::ZERO, Some(Seq(1)))).await;
        assert!(none.events.is_empty() && !none.more);
        let alone =
            Query::EventsPage { session: None, agent: Some(driven.agent), after: Seq::ZERO, before: None, limit: None };
        assert_eq!(client.query(alone).await.unwrap_err().code, Code::InvalidParams, "an agent without its session");
    });
}

async fn timeline(client: &Client, session: SessionId, before: Option<Seq>, limit: u32) -> (Vec<TimelineEntry>, bool) {
    match client.query(Query::SessionTimeline { session, before, limit: Some(limit) }).await.unwrap().result {
        QueryResult::Timeline { entries, more } => (entries, more),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_timeline_is_read_from_its_end_page_by_page() {
    let scripted = Scripted::new();
    block_on(async {
        let (driven, _) = talked(&scripted).await;
        let (client, session) = (&driven.client, driven.session);
        let all = all_events(client).await;
        let of_session = all.iter().rev().filter(|event| event.stream.session() == Some(session));
        let expected: Vec<TimelineEntry> = of_session.filter_map(timeline::entry).collect();
        let mut read: Vec<TimelineEntry> = Vec::new();
        loop {
            let (entries, more) = timeline(client, session, read.last().map(|entry| entry.seq), 7).await;
            read.extend(entries);
            assert_eq!(more, read.len() < expected.len(), "{} of {}", read.len(), expected.len());
            if !more {
                break;
            }
        }
        assert_eq!(read, expected);
    });
}

async fn found(client: &Client, text: &str, session: Option<SessionId>, limit: u32) -> Vec<SearchHit> {
    let (mut all, mut before): (Vec<SearchHit>, _) = (Vec::new(), None);
    loop {
        let query = Query::EventsSearch { text: text.to_owned(), session, before, limit: Some(limit) };
        match client.query(query).await.unwrap().result {
            QueryResult::Found { hits, reached, more, gaps } => {
                assert!(hits.len() <= limit as usize && gaps.is_empty());
                assert!(hits.iter().all(|hit| hit.seq >= reached && before.is_none_or(|before| hit.seq < before)));
                all.extend(hits);
                if !more {
                    return all;
                }
                before = Some(reached);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn words_are_found_in_what_agents_are_told_say_and_do_the_newest_first() {
    let scripted = Scripted::new();
    block_on(async {
        let (driven, _) = talked(&scripted).await;
        let client = &driven.client;
        let all = all_events(client).await;
        for limit in [2, 200] {
            let hits = found(client, "PROMPT 5", None, limit).await;
            let said: Vec<&str> = hits.iter().map(|hit| hit.excerpt.as_str()).collect();
            assert_eq!(said, ["all of prompt 5", "prompt 5"], "by {limit}");
            assert!(hits.iter().all(|hit| hit.agent == Some(driven.agent) && hit.session == driven.session));
            assert!(hits[0].item.is_some() && hits[1].item.is_none());
            let tools = found(client, "\"ls\"", Some(driven.session), limit).await;
            assert_eq!((tools.len(), tools.iter().all(|hit| hit.turn.is_some())), (8, true), "{tools:?}");
            assert!(tools.is_sorted_by(|newer, older| newer.seq > older.seq), "the newest first");
            assert_eq!(found(client, "remark", Some(driven.session), limit).await, [], "of another session");
            assert_eq!(found(client, "remark 7", None, limit).await.len(), 1);
        }
        let hit = &found(client, "all of prompt 5", None, 1).await[0];
        let event = all.iter().find(|event| event.seq == hit.seq).expect("the event");
        assert_eq!((event.body.name(), event.at), ("agent.item_text", hit.at));
        for text in ["", " ", &"x".repeat(limits::SEARCH_TEXT_BYTES_MAX + 1)] {
            let query = Query::EventsSearch { text: text.to_owned(), session: None, before: None, limit: None };
            let refused = client.query(query).await.unwrap_err();
            assert!(matches!(refused.code, Code::InvalidParams | Code::TooLarge), "{refused}");
        }
    });
}

fn facts(session: Option<SessionId>, after: SubscribeAfter) -> SubscribeParams {
    SubscribeParams { session, after, log: None, only: Some(SubscribeOnly::Facts) }
}

fn is_fact(event: &Event) -> bool {
    !["agent.item_delta", "agent.item_text", "agent.output_consumed"].contains(&event.body.name())
}

/// An agent that says much, a word at a time.
const TALKATIVE: &str = "on prompt\n confirm\n repeat 60\n delta \"a word \"\n sleep 5\n done\n \
    tool Bash {\"command\": \"ls\"} \"a\\nb\"\n say so much\n";

#[test]
fn facts_only_are_all_others_in_order_and_once_across_cuts() {
    const CUTS: u64 = 3;
    let scripted = Scripted::new();
    block_on(async {
        let mut driven = Driven::start(&scripted.home, scripted.spec("talkative", TALKATIVE)).await;
        let mut followers = Vec::new();
        // On the JSON wire and on the binary one.
        for seed in [1, 2] {
            let cuts = Arc::new(AtomicU64::new(0));
            let dial = dial_cutting(scripted.home.socket(), seed, cuts.clone(), CUTS, 1500);
            let client = scripted.home.client_by(dial, seed == 2).await;
            let (_, items) = client.subscribe(facts(None, SubscribeAfter::Seq(Seq::ZERO))).await.unwrap();
            followers.push((client, items, cuts));
        }
        for number in 0..5 {
            let prompt = driven.prompt(&format!("prompt {number}")).await;
            assert_eq!(driven.outcome(prompt).await, TurnOutcome::Completed);
        }
        let last = annotate(&driven.client, driven.session, "the end").await;
        let all = all_events(&driven.client).await;
        let expected: Vec<&Event> = all.iter().filter(|event| is_fact(event) && event.seq <= last).collect();
        // A preview, a text of what was said, what was consumed: some of each turn is none.
        assert!(all.len() >= expected.len() + 4 * 5, "{} of {} events are facts", expected.len(), all.len());
        for (_client, mut items, cuts) in followers {
            let mut got: Vec<Event> = Vec::new();
            while got.last().is_none_or(|event| event.seq < last) {
                match items.recv().await {
                    Some(SubscriptionItem::Events(events)) => got.extend(events),
                    Some(SubscriptionItem::Live(_)) => {}
                    other => panic!("{other:?}"),
                }
            }
            got.retain(|event| event.seq <= last);
            assert_eq!(got.iter().collect::<Vec<_>>(), expected);
            assert_eq!(cuts.load(Ordering::Relaxed), CUTS, "every cut happened");
        }
    });
}

#[test]
fn while_an_agent_talks_a_subscription_of_facts_says_how_far_it_is() {
    let scripted = Scripted::new();
    block_on(async {
        let script = "on prompt\n confirm\n repeat 100000\n delta \"a word \"\n sleep 5\n done\n";
        let mut driven = Driven::start(&scripted.home, scripted.spec("endless", script)).await;
        let (_, mut items) =
            driven.client.subscribe(facts(Some(driven.session), SubscribeAfter::Seq(Seq::ZERO))).await.unwrap();
        driven.prompt("go").await;
        let said = driven.event("agent.item_delta", 0).await.seq;
        // Nothing but words comes now: three times it is told how far that is.
        let mut marks: Vec<Seq> = Vec::new();
        while marks.len() < 3 {
            match items.recv().await {
                Some(SubscriptionItem::Events(events)) => assert!(events.iter().all(is_fact), "{events:?}"),
                Some(SubscriptionItem::Live(seq)) => marks.extend((seq > said).then_some(seq)),
                other => panic!("{other:?}"),
            }
        }
        assert!(marks.is_sorted_by(|one, next| one < next), "{marks:?}");
        let [first, .., last] = marks[..] else { panic!("{marks:?}") };
        let beyond = driven
            .until("an event after the last mark", |events| events.iter().find(|event| event.seq > last).cloned());
        let beyond = beyond.await;
        let mut seen = driven.events.iter().filter(|event| event.seq <= last && event.seq > said);
        assert!(seen.all(|event| !is_fact(event)), "a mark came where a fact was due");
        // By the daemon's own clock, however fast or slow words come: there is a pause before a mark, and words come much faster.
        let at = driven.events.iter().find(|event| event.seq == first).expect("the event of the first mark").at;
        let took = beyond.at.since(at);
        assert!(2 * took.as_millis() >= u128::from(limits::LIVE_MARK_MILLIS), "three marks in {took:?}");
        driven.cancel().await;
    });
}
