//! What is appended is dense, durable, answered right and found again: by place, by session, by command.

use std::collections::BTreeMap;
use std::thread;

use ropewalk_kernel::log::{Batch, Filter, Journal, SledShelf};
use ropewalk_protocol::record::NewEvent;
use ropewalk_protocol::{Code, CommandResult, Event, LogId, Rejection, Seq, limits};

use crate::support::*;

on_both_disks! {
    a_fresh_log_is_empty_and_keeps_its_id
    batches_from_many_threads_are_dense_answered_right_and_there_again_after_reopening
    a_batch_without_events_stores_its_receipt_only
    what_is_over_a_bound_is_refused_and_harms_nothing
    may_know_is_false_for_new_commands_only
    a_stopped_log_refuses_and_says_so
    sessions_and_receipts_are_found_across_volumes
    a_volume_that_a_crash_left_empty_is_taken_on
    an_index_that_is_gone_is_rebuilt
    json_of_a_slice_is_the_json_of_its_events
    a_cursor_at_or_beyond_the_head_gets_an_empty_page
}

fn a_fresh_log_is_empty_and_keeps_its_id(disk: &Disk) {
    let log = disk.open();
    assert_eq!((log.journal.head(), log.lost), (Seq::ZERO, None));
    assert_eq!(log.journal.id(), LogId::from_bytes([7; 16]));
    assert!(log.events().is_empty());
    assert_eq!(history(&log.journal, session(1)), Ok(Vec::new()));
    assert_eq!(log.journal.receipt(command(1, 1)), Ok(None));
    assert_eq!(log.journal.output_end(terminal(1)), Ok(0));
    let page = log.journal.output(terminal(1), 0, 1000).expect("reads");
    assert_eq!((page.offset, page.bytes, page.damaged), (0, Vec::new(), false));
    let found = log.verify();
    assert_eq!((found.events, found.volumes, found.damage), (0, 1, Vec::new()));
    assert_eq!(log.journal.degraded(), None);
    log.close();
    let observer = |head| -> Box<dyn ropewalk_kernel::log::Observer> {
        assert_eq!(head, Seq::ZERO);
        Box::new(|_: &[Event]| {})
    };
    let opened = Journal::open(disk.shelf(), LogId::from_bytes([9; 16]), observer).expect("opens");
    assert_eq!(opened.journal.id(), LogId::from_bytes([7; 16]), "another id is for a fresh log only");
}

fn batch_of(thread: u8, number: usize) -> Vec<NewEvent> {
    let text = |part: usize| format!("{thread}/{number}/{part}");
    match number % 4 {
        0 => vec![machine_event(&text(0))],
        1 => vec![remark(session(thread), &text(0)), remark(session(99), &text(1))],
        2 => vec![remark(session(99), &text(0)), machine_event(&text(1)), remark(session(thread), &text(2))],
        _ => vec![remark(session(thread), &text(0))],
    }
}

fn batches_from_many_threads_are_dense_answered_right_and_there_again_after_reopening(disk: &Disk) {
    const THREADS: u8 = 8;
    const BATCHES: usize = 40;
    let log = disk.open();
    let journal = &log.journal;
    let answers: Vec<_> = thread::scope(|scope| {
        let work = |thread: u8| {
            move || {
                (0..BATCHES)
                    .map(|number| {
                        let id = command(1000 + number as u64, u64::from(thread));
                        let result =
                            CommandResult::SessionCreated { session: session(thread), agent: None, terminal: None };
                        let receipt = (id, [thread; 16], Ok(result));
                        let events = caused_by(id, batch_of(thread, number));
                        let committed = append(journal, events.clone(), Some(receipt)).expect("stored");
                        assert!(journal.head() >= committed.last, "an answer comes after the head moved");
                        assert!(journal.may_know(id));
                        (id, thread, committed, events)
                    })
                    .collect::<Vec<_>>()
            }
        };
        let threads: Vec<_> = (1..=THREADS).map(|thread| scope.spawn(work(thread))).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
    });
    let mut expected: BTreeMap<Seq, Event> = BTreeMap::new();
    for (_, _, committed, events) in &answers {
        assert_eq!(committed.last.0 - committed.first.0 + 1, events.len() as u64);
        for (event, seq) in events.iter().zip(committed.first.0..) {
            let before = expected.insert(Seq(seq), event.clone().at_seq(Seq(seq)));
            assert_eq!(before, None, "two events have the place {seq}");
        }
    }
    let expected: Vec<Event> = expected.into_values().collect();
    assert_dense(&expected);
    assert_eq!(*log.observed.lock().expect("no panic"), expected, "the observer is told of each once, in order");
    let (commits, batches, refused) = log.journal.counts();
    assert_eq!((batches, refused), (u64::from(THREADS) * BATCHES as u64, 0));
    assert!(commits <= batches);
    check_content(&log, &expected);
    log.close();
    let log = disk.open();
    assert_eq!(log.lost, None);
    check_content(&log, &expected);
    assert!(log.observed.lock().expect("no panic").is_empty(), "the observer is told of new events only");
    for (id, thread, committed, _) in &answers {
        let receipt = log.journal.receipt(*id).expect("reads").expect("the receipt is there");
        assert_eq!((receipt.digest, receipt.seq), ([*thread; 16], committed.last));
    }
    let next = log.append(vec![remark(session(1), "one more")]).expect("stored");
    assert_eq!(next.first, Seq(expected.len() as u64 + 1));
    log.close();
}

fn check_content(log: &Log, expected: &[Event]) {
    assert_eq!(log.journal.head(), Seq(expected.len() as u64));
    assert_eq!(log.events(), expected);
    let mut random = Random(5);
    for byte in (1..=8).chain([99, 200]) {
        let wanted = session(byte);
        let filtered: Vec<Event> =
            expected.iter().filter(|event| event.stream.session() == Some(wanted)).cloned().collect();
        assert_eq!(events_of(&log.journal, Filter::Session(wanted)), filtered);
        assert_eq!(history(&log.journal, wanted), Ok(filtered.clone()));
        let after = Seq(random.below(expected.len()) as u64);
        let found: Vec<Event> = pages(&log.journal, Filter::Session(wanted), after)
            .iter()
            .flat_map(|page| page.events().expect("decodes"))
            .collect();
        let rest: Vec<Event> = filtered.into_iter().filter(|event| event.seq > after).collect();
        assert_eq!(found, rest, "session {byte} after {after}");
    }
    let mut visited = Vec::new();
    let found = log.journal.verify(&mut |event| visited.push(event.clone())).expect("the check runs");
    assert_eq!(found.damage, Vec::new());
    assert_eq!(visited, expected);
    assert_eq!(found.events, expected.len() as u64);
}

fn a_batch_without_events_stores_its_receipt_only(disk: &Disk) {
    let log = disk.open();
    let head = log.remark(session(1), 3);
    let rejection = Rejection::new(Code::AlreadyEnded, "it has ended").at(Seq(2));
    let id = command(5000, 1);
    let committed = append(&log.journal, Vec::new(), Some((id, [1; 16], Err(rejection.clone())))).expect("stored");
    assert_eq!((committed.first, committed.last, log.journal.head()), (head, head, head));
    log.close();
    let log = disk.open();
    let receipt = log.journal.receipt(id).expect("reads").expect("is there");
    assert_eq!((receipt.seq, receipt.outcome), (head, Err(rejection)));
    let empty = append(&log.journal, Vec::new(), None).expect("nothing is stored");
    assert_eq!((empty.first, empty.last), (head, head));
    log.close();
}

fn what_is_over_a_bound_is_refused_and_harms_nothing(disk: &Disk) {
    let log = disk.open();
    let mut random = Random(1);
    let code = |events: Vec<NewEvent>| log.append(events).err().map(|rejection| rejection.code);
    let largest = remark(session(1), &random.text(limits::EVENT_BYTES_MAX - 200));
    assert_eq!(code(vec![largest.clone()]), None);
    assert_eq!(code(vec![remark(session(1), &random.text(limits::EVENT_BYTES_MAX))]), Some(Code::TooLarge));
    assert_eq!(code(vec![largest.clone(), largest]), Some(Code::TooLarge));
    let many = |count| (0..count).map(|_| remark(session(1), "x")).collect::<Vec<_>>();
    assert_eq!(code(many(limits::COMMIT_EVENTS_MAX)), None);
    assert_eq!(code(many(limits::COMMIT_EVENTS_MAX + 1)), Some(Code::TooLarge));
    assert_eq!(log.journal.head(), Seq(1 + limits::COMMIT_EVENTS_MAX as u64));
    assert_eq!((log.journal.degraded(), log.journal.epoch()), (None, 1));
    log.close();
    let log = disk.open();
    assert_dense(&log.events());
    assert_eq!(log.verify().damage, Vec::new());
    log.close();
}

fn may_know_is_false_for_new_commands_only(disk: &Disk) {
    let receipt = |id| Some((id, [1; 16], Ok(CommandResult::Done {})));
    let log = disk.open();
    assert!(!log.journal.may_know(command(10, 1)), "a fresh log knows nothing");
    append(&log.journal, vec![remark(session(1), "a")], receipt(command(2000, 1))).expect("stored");
    append(&log.journal, Vec::new(), receipt(command(1000, 2))).expect("stored");
    for known in [command(2000, 1), command(1000, 2)] {
        assert!(log.journal.may_know(known));
    }
    assert!(!log.journal.may_know(command(2000, 9)), "all ids since the log was begun are in memory");
    log.close();
    let log = disk.open();
    for maybe in [command(2000, 1), command(1000, 2), command(1500, 7), command(2000, 9)] {
        assert!(log.journal.may_know(maybe), "what is not younger than the newest receipt must be looked up");
    }
    assert!(!log.journal.may_know(command(2001, 1)));
    // A client whose clock is behind is looked up, and is new.
    assert_eq!(log.journal.receipt(command(1500, 7)), Ok(None));
    append(&log.journal, Vec::new(), receipt(command(1500, 7))).expect("stored");
    assert!(log.journal.may_know(command(1500, 7)));
    assert!(log.journal.receipt(command(1500, 7)).expect("reads").is_some());
    log.close();
}

fn a_stopped_log_refuses_and_says_so(disk: &Disk) {
    let log = disk.open();
    log.remark(session(1), 2);
    let journal = log.journal.clone();
    log.close();
    let batch = Batch { epoch: journal.epoch(), events: vec![remark(session(1), "x")], receipt: None };
    assert_eq!(journal.append(batch).expect_err("closed").code, Code::ShuttingDown);
    assert_eq!(journal.store_output(terminal(1), 0, Vec::new()).expect_err("closed").code, Code::ShuttingDown);
    assert_eq!(journal.head(), Seq(2));
    assert_eq!(events_of(&journal, Filter::All).len(), 2, "reads go on");
}

fn sessions_and_receipts_are_found_across_volumes(disk: &Disk) {
    let mut ids = Vec::new();
    for volume in 0..4_u8 {
        let log = disk.open();
        for number in 0..5 {
            let id = command(1000 * u64::from(volume) + number, 3);
            let events = vec![remark(session(1 + volume % 2), "every other"), remark(session(50 + volume), "its own")];
            let committed = append(&log.journal, events, Some((id, [volume; 16], Ok(CommandResult::Done {}))));
            ids.push((id, volume, committed.expect("stored").last));
        }
        log.close();
        if volume < 3 {
            disk.begin_volume();
        }
    }
    let log = disk.open();
    assert_eq!(log.journal.stats().volumes, 4);
    let all = log.events();
    assert_dense(&all);
    assert_eq!(all.len(), 40);
    for byte in [1, 2, 50, 51, 52, 53, 60] {
        let filtered: Vec<Event> =
            all.iter().filter(|event| event.stream.session() == Some(session(byte))).cloned().collect();
        assert_eq!(events_of(&log.journal, Filter::Session(session(byte))), filtered, "session {byte}");
        assert_eq!(history(&log.journal, session(byte)), Ok(filtered));
    }
    for (id, volume, last) in ids {
        assert!(log.journal.may_know(id));
        let receipt = log.journal.receipt(id).expect("reads").expect("is there");
        assert_eq!((receipt.digest, receipt.seq), ([volume; 16], last));
    }
    assert_eq!(log.journal.receipt(command(1002, 4)), Ok(None));
    let found = log.verify();
    assert_eq!((found.volumes, found.events, found.receipts, found.damage), (4, 40, 20, Vec::new()));
    log.close();
}

fn a_volume_that_a_crash_left_empty_is_taken_on(disk: &Disk) {
    disk.begin_volume();
    // Volume 1 twice: nothing was appended, so the new volume has the name of the old one.
    let log = disk.open();
    assert_eq!(log.journal.id(), LogId::from_bytes([7; 16]));
    log.remark(session(1), 3);
    log.close();
    disk.begin_volume();
    let log = disk.open();
    assert_eq!((log.journal.head(), log.lost), (Seq(3), None));
    assert_eq!(log.journal.id(), LogId::from_bytes([7; 16]));
    log.remark(session(1), 3);
    assert_dense(&log.events());
    assert_eq!(log.verify().damage, Vec::new());
    log.close();
}

fn an_index_that_is_gone_is_rebuilt(disk: &Disk) {
    for volume in 0..3_u8 {
        let log = disk.open();
        log.remark(session(volume), 4);
        let id = command(u64::from(volume) * 100, 1);
        append(&log.journal, Vec::new(), Some((id, [volume; 16], Ok(CommandResult::Done {})))).expect("stored");
        log.store_output(terminal(1), u64::from(volume) * 10, vec![volume; 10]).expect("stored");
        log.close();
        if volume < 2 {
            disk.begin_volume();
        }
    }
    let disk = match disk {
        Disk::Sled(directory) => {
            std::fs::remove_dir_all(directory.path().join("log").join("index")).expect("the index was there");
            disk
        }
        _ => &Disk::Memory(copy_without_index(&*disk.shelf(), |_, _| true)),
    };
    let log = disk.open();
    assert_dense(&log.events());
    for volume in 0..3 {
        assert_eq!(history(&log.journal, session(volume)).expect("reads").len(), 4);
        assert!(log.journal.receipt(command(u64::from(volume) * 100, 1)).expect("reads").is_some());
    }
    assert_eq!(log.journal.output_end(terminal(1)), Ok(30));
    assert_eq!(read_output(&log.journal, terminal(1), 0, 30).len(), 30);
    log.close();
}

fn json_of_a_slice_is_the_json_of_its_events(disk: &Disk) {
    let log = disk.open();
    let events: Vec<NewEvent> =
        (0..20_u8).map(|number| remark(session(number % 3), &format!("\"{number}\",\n☃"))).collect();
    log.append(events).expect("stored");
    for filter in [Filter::All, Filter::Session(session(0)), Filter::Session(session(2))] {
        for after in 0..20 {
            let from_memory = log.journal.recent_page(filter, Seq(after)).expect("it is in memory");
            let from_disk = log.journal.page(filter, Seq(after)).expect("reads");
            assert_eq!(from_memory.events().expect("decodes"), from_disk.events().expect("decodes"));
            for slice in from_memory.slices.iter().chain(&from_disk.slices) {
                let json = format!("[{}]", std::str::from_utf8(&slice.json()).expect("text"));
                let read: Vec<Event> = serde_json::from_str(&json).expect("JSON");
                assert_eq!(read, slice.events().expect("decodes"));
                let records: Vec<Event> = (slice.from..slice.to)
                    .map(|place| (slice.chunk.seq(place), slice.chunk.record(place)))
                    .map(|(seq, record)| ropewalk_protocol::record::decode_event(seq, record).expect("decodes"))
                    .collect();
                assert_eq!(read, records);
            }
        }
    }
    log.close();
}

fn a_cursor_at_or_beyond_the_head_gets_an_empty_page(disk: &Disk) {
    let log = disk.open();
    log.remark(session(1), 3);
    for filter in [Filter::All, Filter::Session(session(1)), Filter::Session(session(2))] {
        for after in [3, 4, 1000, u64::MAX - 2] {
            let page = log.journal.page(filter, Seq(after)).expect("reads");
            assert!(page.slices.is_empty() && page.gaps.is_empty(), "after {after}: {page:?}");
        }
    }
    log.close();
}

#[test]
fn a_second_opening_of_the_same_directory_is_refused() {
    let directory = TempDir::new();
    let path = directory.path().join("log");
    let log = Log::open(std::sync::Arc::new(SledShelf::open(&path).expect("a shelf")));
    log.remark(session(1), 2);
    let second = SledShelf::open(&path).expect("a shelf is only a directory");
    let opened = Journal::open(std::sync::Arc::new(second), LogId::from_bytes([8; 16]), |_| Box::new(|_: &[Event]| {}));
    let error = opened.err().expect("the log is open already");
    assert!(
        matches!(error, ropewalk_kernel::log::OpenError::Store(ropewalk_kernel::log::store::StoreError::Locked(_))),
        "{error:?}"
    );
    log.remark(session(1), 2);
    log.close();
    let log = Log::open(std::sync::Arc::new(SledShelf::open(&path).expect("a shelf")));
    assert_eq!(log.events().len(), 4);
    log.close();
}

#[test]
fn a_snapshot_that_a_crash_left_unfinished_does_not_keep_the_log_closed() {
    let disk = Disk::sled();
    let Disk::Sled(directory) = &disk else { unreachable!("a sled disk") };
    for _ in 0..2 {
        let log = disk.open();
        log.remark(session(1), 3);
        log.close();
        for entry in std::fs::read_dir(directory.path().join("log")).expect("the log") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                std::fs::write(path.join("snap.0000000000000400.generating"), b"half a snapshot").expect("planted");
            }
        }
    }
    let log = disk.open();
    assert_eq!(log.events().len(), 6);
    assert_eq!(log.verify().damage, Vec::new());
    log.close();
}
