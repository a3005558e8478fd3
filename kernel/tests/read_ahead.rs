//! Pages that are read before they are wanted: none is lost, repeated, or kept from being read again.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ropewalk_kernel::log::{Filter, Journal, MemoryShelf};
use ropewalk_kernel::{Follower, Step};
use ropewalk_protocol::{Event, Seq, limits};

use crate::faults::FaultyShelf;
use crate::support::*;

/// A log on disk only, many pages long.
fn filled(disk: &Disk) -> Log {
    let mut random = Random(71);
    let log = disk.open();
    for number in 0..300_u32 {
        let text = random.text(limits::CHUNK_RECORD_BYTES_MAX / 4);
        log.append(vec![remark(session(1), &text), remark(session(2 + u8::from(number % 2 == 0)), &text)])
            .expect("stored");
    }
    log.append(vec![remark(session(1), "the end"), remark(session(2), "the end")]).expect("stored");
    log.close();
    disk.open()
}

on_both_disks! {
    more_readers_than_threads_that_often_give_up_waiting_get_everything_once
}

/// Reads all up to the head. `patience`: how often the caller gives up waiting before it waits.
async fn read_all(journal: Journal, filter: Filter, encodes: bool, patience: usize) -> Vec<Event> {
    let head = journal.head();
    let follower = Follower::new(journal, filter, Seq::ZERO).expect("in the past");
    let mut follower = if encodes { follower.encoding() } else { follower };
    let mut events: Vec<Event> = Vec::new();
    loop {
        let mut given = None;
        for _ in 0..patience {
            given = tokio::time::timeout(Duration::ZERO, follower.next()).await.ok();
            if given.is_some() {
                break;
            }
        }
        let step = match given {
            Some(step) => step,
            None => follower.next().await,
        };
        match step.expect("reads") {
            Step::Page(page) => {
                assert!(page.gaps.is_empty());
                if encodes {
                    for slice in &page.slices {
                        let json = [b"[", &slice.json()[..], b"]"].concat();
                        events.extend(serde_json::from_slice::<Vec<Event>>(&json).expect("JSON of events"));
                    }
                } else {
                    events.extend(page.events().expect("decodes"));
                }
            }
            Step::Live(at) => {
                assert_eq!((at, follower.after()), (head, head));
                return events;
            }
        }
    }
}

fn more_readers_than_threads_that_often_give_up_waiting_get_everything_once(disk: &Disk) {
    let log = filled(disk);
    let all = log.events();
    assert!(log.journal.recent_page(Filter::All, Seq::ZERO).is_none(), "it is in memory");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(2).build();
    runtime.expect("a runtime").block_on(async {
        let readers = (0..limits::READERS_WAITING_MAX * 3).map(|number| {
            let filter = if number % 3 == 0 { Filter::All } else { Filter::Session(session(1)) };
            let journal = log.journal.clone();
            let read = tokio::spawn(read_all(journal, filter, number % 2 == 0, number % 4));
            (filter, read)
        });
        for (filter, read) in readers.collect::<Vec<_>>() {
            let read = tokio::time::timeout(Duration::from_secs(50), read).await.expect("in time").expect("no panic");
            let expected: Vec<&Event> = match filter {
                Filter::All => all.iter().collect(),
                Filter::Session(session) => {
                    all.iter().filter(|event| event.stream.session() == Some(session)).collect()
                }
            };
            assert!(read.iter().eq(expected), "{filter:?}: {} events", read.len());
        }
    });
    log.close();
}

/// What failed before it was wanted was told when it was: the subscription ended for a failure that was long over.
#[test]
fn what_failed_while_it_was_read_ahead_is_read_again_when_it_is_wanted() {
    let disk = Disk::memory();
    let Disk::Memory(shelf) = &disk else { panic!("in memory") };
    // Each volume is more than a page.
    let mut random = Random(72);
    for _ in 0..6 {
        let log = disk.open();
        for _ in 0..8 {
            log.append(vec![remark(session(1), &random.text(limits::CHUNK_RECORD_BYTES_MAX * 3 / 4))]).expect("stored");
        }
        log.close();
        disk.begin_volume();
    }
    let shelf = FaultyShelf::over(MemoryShelf::clone(shelf));
    let log = Log::open(Arc::new(shelf.clone()));
    let mut follower = Follower::new(log.journal.clone(), Filter::All, Seq::ZERO).expect("in the past");
    let mut events = Vec::new();
    run(async {
        let Ok(Step::Page(page)) = follower.next().await else { panic!("a page") };
        events.extend(page.events().expect("decodes"));
        // The next opening fails, whichever it is: it is one of a page that nobody has asked for yet.
        shelf.faults.exhausted_openings.store(1, Ordering::SeqCst);
        loop {
            match follower.next().await.expect("what failed early is read again") {
                Step::Page(page) => events.extend(page.events().expect("decodes")),
                Step::Live(_) => break,
            }
            let until = Instant::now() + Duration::from_secs(20);
            while events.len() < 16 && shelf.faults.exhausted_openings.load(Ordering::SeqCst) > 0 {
                assert!(Instant::now() < until, "nothing is read ahead");
                tokio::task::yield_now().await;
            }
        }
    });
    assert_eq!(events, log.events());
    assert_eq!(shelf.faults.exhausted_openings.load(Ordering::SeqCst), 0, "nothing failed");
    // What fails when it is wanted is told, and may be asked for again.
    let mut follower = Follower::new(log.journal.clone(), Filter::All, Seq::ZERO).expect("in the past");
    shelf.faults.exhausted_openings.store(1, Ordering::SeqCst);
    run(async {
        assert!(follower.next().await.is_err());
        assert!(matches!(follower.next().await, Ok(Step::Page(page)) if page.to >= Seq(1)));
    });
    log.close();
}
