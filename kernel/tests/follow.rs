//! Followers get every matching event after their place, in order, once; or a gap that names what is missing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ropewalk_kernel::log::{EventPage, Filter, Journal};
use ropewalk_kernel::{Follower, Step};
use ropewalk_protocol::{Code, Event, Seq, limits};

use crate::support::*;

on_both_disks! {
    followers_from_random_places_get_every_event_once_while_others_append
    a_follower_at_the_head_is_live_at_once_and_is_told_of_what_comes
    a_cursor_beyond_the_head_is_refused
    a_slow_follower_is_served_from_disk_when_the_tail_has_moved_on
    kinds_that_do_not_pass_are_left_out_between_those_that_do
}

/// What a follower got up to and with the event that ends it.
#[derive(Default)]
struct Got {
    events: Vec<Event>,
    lives: usize,
    gaps: usize,
}

async fn follow(journal: Journal, filter: Filter, after: Seq, last: &str) -> Got {
    let mut follower = Follower::new(journal, filter, after).expect("the cursor is in the past");
    let mut got = Got::default();
    loop {
        match follower.next().await.expect("the log reads") {
            Step::Live(_) => got.lives += 1,
            Step::Page(page) => {
                assert!(!page.slices.is_empty() || !page.gaps.is_empty(), "an empty page is no news");
                got.gaps += page.gaps.len();
                got.events.extend(page.events().expect("decodes"));
            }
        }
        let ended = got.events.last().is_some_and(|event| is_remark(event, last));
        if ended && got.lives > 0 {
            return got;
        }
    }
}

fn is_remark(event: &Event, text: &str) -> bool {
    matches!(&event.body, ropewalk_protocol::EventBody::SessionAnnotated(remark) if remark.text == text)
}

fn followers_from_random_places_get_every_event_once_while_others_append(disk: &Disk) {
    let log = disk.open();
    log.remark(session(1), 30);
    log.close();
    let log = disk.open();
    let journal = &log.journal;
    let followed = AtomicBool::new(false);
    let mut random = Random(31);
    let cursors: Vec<(Seq, Filter)> = (0..12)
        .map(|number| {
            let filter = if number % 3 == 0 { Filter::All } else { Filter::Session(session(1 + number % 3)) };
            (Seq(random.below(31) as u64), filter)
        })
        .collect();
    let began = Instant::now();
    let got: Vec<(Seq, Filter, Got)> = thread::scope(|scope| {
        let writers: Vec<_> = (1..=3)
            .map(|who| {
                let followed = &followed;
                scope.spawn(move || {
                    for number in 0.. {
                        // Some before anyone follows, some while they do.
                        if number >= 60 && followed.load(Ordering::Acquire) {
                            return;
                        }
                        let events =
                            vec![remark(session(who), "a"), remark(session(4), "b"), remark(session(who), "c")];
                        append(journal, events, None).expect("stored");
                        if number >= 60 {
                            thread::yield_now();
                        }
                        assert!(began.elapsed() < Duration::from_secs(60), "nobody follows");
                    }
                })
            })
            .collect();
        let followers: Vec<_> = cursors
            .into_iter()
            .map(|(after, filter)| {
                let journal = journal.clone();
                scope
                    .spawn(move || run(async move { (after, filter, follow(journal, filter, after, "the end").await) }))
            })
            .collect();
        followed.store(true, Ordering::Release);
        writers.into_iter().for_each(|writer| writer.join().expect("no panic"));
        append(journal, (1..=3).map(|who| remark(session(who), "the end")).collect(), None).expect("stored");
        // The last batch is one chunk, so a page has all of its events or none.
        followers.into_iter().map(|follower| follower.join().expect("no panic")).collect()
    });
    let all = log.events();
    for (after, filter, got) in got {
        let matches = |event: &&Event| match filter {
            Filter::All => true,
            Filter::Session(session) => event.stream.session() == Some(session),
        };
        let expected: Vec<&Event> = all.iter().filter(|event| event.seq > after).filter(matches).collect();
        assert_eq!(got.events.iter().collect::<Vec<_>>(), expected, "{filter:?} after {after}");
        assert_eq!((got.lives, got.gaps), (1, 0));
    }
    log.close();
}

fn a_follower_at_the_head_is_live_at_once_and_is_told_of_what_comes(disk: &Disk) {
    let log = disk.open();
    let head = log.remark(session(1), 3);
    let mut follower = Follower::new(log.journal.clone(), Filter::Session(session(2)), head).expect("at the head");
    run(async {
        assert!(matches!(follower.next().await, Ok(Step::Live(at)) if at == head));
        for number in 0..5 {
            for who in [1, 2] {
                let batch = ropewalk_kernel::log::Batch {
                    epoch: log.journal.epoch(),
                    events: vec![remark(session(who), &number.to_string())],
                    receipt: None,
                };
                log.journal.append(batch).expect("queued").await.expect("answered").expect("stored");
            }
            let step = follower.next().await.expect("reads");
            let Step::Page(page) = step else { panic!("live is said once, not {step:?}") };
            let events = page.events().expect("decodes");
            assert_eq!(events.len(), 1);
            assert!(is_remark(&events[0], &number.to_string()));
            assert_eq!(follower.after(), log.journal.head());
        }
    });
    drop(follower);
    log.close();
}

fn a_cursor_beyond_the_head_is_refused(disk: &Disk) {
    let log = disk.open();
    let head = log.remark(session(1), 3);
    for beyond in [head.next(), Seq(u64::MAX)] {
        let refused = Follower::new(log.journal.clone(), Filter::All, beyond).err().expect("it is from the future");
        assert_eq!((refused.code, refused.seq), (Code::CursorAhead, Some(head)));
    }
    assert!(Follower::new(log.journal.clone(), Filter::All, head).is_ok());
    log.close();
}

fn a_slow_follower_is_served_from_disk_when_the_tail_has_moved_on(disk: &Disk) {
    let mut random = Random(32);
    let log = disk.open();
    log.append(vec![remark(session(2), "seen")]).expect("stored");
    let mut slow = Follower::new(log.journal.clone(), Filter::Session(session(2)), Seq::ZERO).expect("in the past");
    run(async {
        assert!(matches!(slow.next().await, Ok(Step::Page(_))));
        assert!(matches!(slow.next().await, Ok(Step::Live(_))));
    });
    let large = random.text(limits::EVENT_BYTES_MAX - 300);
    for number in 0..limits::TAIL_BYTES_MAX / large.len() + 10 {
        log.append(vec![remark(session(1), &large)]).expect("stored");
        if number % 20 == 0 {
            log.append(vec![remark(session(2), &format!("late {number}"))]).expect("stored");
        }
    }
    log.append(vec![remark(session(2), "the end")]).expect("stored");
    assert!(log.journal.recent_page(Filter::All, Seq(1)).is_none(), "the tail has not moved on");
    assert!(log.journal.recent_page(Filter::All, log.journal.head().previous()).is_some());
    let texts = run(async {
        let mut events = Vec::new();
        while !events.last().is_some_and(|event| is_remark(event, "the end")) {
            match slow.next().await.expect("reads") {
                Step::Page(page) => {
                    assert!(page_bytes(&page) <= limits::PAGE_BYTES_MAX + limits::CHUNK_RECORD_BYTES_MAX);
                    events.extend(page.events().expect("decodes"));
                }
                Step::Live(_) => panic!("live is said once"),
            }
        }
        events
    });
    let expected: Vec<Event> =
        events_of(&log.journal, Filter::Session(session(2))).into_iter().filter(|event| event.seq > Seq(1)).collect();
    assert_eq!(texts, expected);
    drop(slow);
    log.close();
}

fn page_bytes(page: &EventPage) -> usize {
    page.slices.iter().map(|slice| slice.records().len()).sum()
}

/// Only what happened to sessions: no words of the machine.
fn of_sessions(kind: u16) -> bool {
    kind == 4
}

/// Reads all up to the head, kinds that do not pass left out; each step that said how far the follower is must have.
async fn read_passing(journal: Journal, encodes: bool) -> (Vec<Event>, Vec<Seq>) {
    let head = journal.head();
    let follower = Follower::new(journal, Filter::All, Seq::ZERO).expect("in the past").passing(of_sessions);
    let mut follower = if encodes { follower.encoding() } else { follower };
    let (mut events, mut places) = (Vec::new(), Vec::new());
    loop {
        match follower.next().await.expect("the log reads") {
            Step::Page(page) => {
                places.push(page.to);
                for slice in &page.slices {
                    let json = [b"[", &slice.json()[..], b"]"].concat();
                    let of_json: Vec<Event> = serde_json::from_slice(&json).expect("JSON of events");
                    assert_eq!(of_json, slice.events().expect("decodes"));
                    assert_eq!(of_json[0].seq, slice.first());
                    events.extend(of_json);
                }
            }
            Step::Live(seq) => {
                assert_eq!((seq, places.last()), (head, Some(&head)), "it says how far it is");
                return (events, places);
            }
        }
    }
}

fn kinds_that_do_not_pass_are_left_out_between_those_that_do(disk: &Disk) {
    let log = disk.open();
    let mut random = Random(32);
    for number in 0..200 {
        let kinds: Vec<_> = (0..1 + random.below(6))
            .map(|_| if random.below(3) == 0 { remark(session(1), "a") } else { machine_event("b") })
            .collect();
        log.append(kinds).expect("stored");
        if number == 100 {
            // A run in which there is nothing else, longer than a page.
            for _ in 0..40 {
                log.append(vec![machine_event(&random.text(20_000))]).expect("stored");
            }
        }
    }
    log.append(vec![machine_event("the end")]).expect("stored");
    let expected: Vec<Event> = log.events().into_iter().filter(|event| of_sessions(event.body.kind())).collect();
    assert!(expected.len() > 100);
    for encodes in [false, true] {
        assert_eq!(run(read_passing(log.journal.clone(), encodes)).0, expected, "from memory");
    }
    log.close();
    let log = disk.open();
    for encodes in [false, true] {
        let (events, places) = run(read_passing(log.journal.clone(), encodes));
        assert_eq!(events, expected, "from disk");
        assert!(places.is_sorted() && places.len() > 2, "{places:?}");
    }
    log.close();
}
