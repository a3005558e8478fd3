//! What a check finds: nothing in an intact log, and every chunk that was changed, moved, replaced or taken out.

use std::sync::Arc;

use ropewalk_kernel::log::{Batch, Filter, MemoryShelf, ViewShelf};
use ropewalk_kernel::{Follower, Step};
use ropewalk_protocol::{CommandResult, DamageView, Seq, limits};

use crate::support::*;

/// A closed log of this many chunks with two events each, in sessions 1 and 2 by turns.
fn chunks(count: u8, text: &str) -> MemoryShelf {
    let shelf = MemoryShelf::default();
    let log = Disk::Memory(shelf.clone()).open();
    for number in 0..count {
        let who = session(1 + number % 2);
        let events = vec![remark(who, &format!("{text} {number}")), remark(who, &format!("{text} {number} too"))];
        let receipt = (command(1000, u64::from(number)), [1; 16], Ok(CommandResult::Done {}));
        append(&log.journal, events, Some(receipt)).expect("stored");
    }
    log.close();
    shelf
}

fn ranges(damage: &[DamageView]) -> Vec<(&str, u64, u64)> {
    damage.iter().map(|damage| (damage.place.as_str(), damage.from, damage.to)).collect()
}

#[test]
fn a_check_of_an_intact_log_counts_everything_and_is_the_same_twice() {
    let shelf = chunks(10, "a");
    let log = Disk::Memory(shelf).open();
    let found = log.verify();
    assert_eq!((found.events, found.chunks, found.volumes, found.receipts), (20, 10, 1, 10));
    assert_eq!((found.head, found.damage.len()), (Seq(20), 0));
    assert_ne!(found.chain, [0; 32]);
    assert_eq!(log.verify(), found);
    log.append(vec![remark(session(1), "x")]).expect("stored");
    assert_ne!(log.verify().chain, found.chain);
    log.close();
}

#[test]
fn a_damaged_chunk_is_a_gap_of_its_exact_range_for_page_follower_and_check() {
    for nth in 0..9 {
        let shelf = chunks(10, "a");
        let log = Disk::Memory(shelf.clone()).open();
        shelf.damage_event_row(nth);
        let (from, to) = (nth as u64 * 2 + 1, nth as u64 * 2 + 2);
        let pages = pages(&log.journal, Filter::All, Seq::ZERO);
        let gaps: Vec<_> = pages.iter().flat_map(|page| &page.gaps).map(|gap| (gap.from.0, gap.to.0)).collect();
        assert_eq!(gaps, [(from, to)]);
        let seqs: Vec<u64> =
            pages.iter().flat_map(|page| page.events().expect("decodes")).map(|event| event.seq.0).collect();
        assert_eq!(seqs, (1..=20).filter(|seq| *seq < from || *seq > to).collect::<Vec<_>>());
        let within = log.journal.page(Filter::All, Seq(from)).expect("reads");
        assert_eq!((within.gaps[0].from.0, within.gaps[0].to.0), (to, to), "a cursor within the gap");
        assert_eq!(ranges(&log.verify().damage), [("events", from, to)]);
        assert_eq!(log.verify().events, 18);
        let mut follower = Follower::new(log.journal.clone(), Filter::All, Seq::ZERO).expect("in the past");
        let (mut seqs, mut gaps) = (Vec::new(), Vec::new());
        run(async {
            while follower.after() < Seq(20) {
                let Step::Page(page) = follower.next().await.expect("reads") else { continue };
                seqs.extend(page.events().expect("decodes").into_iter().map(|event| event.seq.0));
                gaps.extend(page.gaps.iter().map(|gap| (gap.from.0, gap.to.0)));
            }
        });
        assert_eq!((seqs.len(), gaps), (18, vec![(from, to)]));
        let (damaged, whole) = if nth % 2 == 0 { (1, 2) } else { (2, 1) };
        assert!(history(&log.journal, session(damaged)).is_err());
        assert_eq!(history(&log.journal, session(whole)).expect("is whole").len(), 10);
        drop(follower);
        log.close();
    }
}

#[test]
fn the_newest_chunk_damaged_while_the_log_is_open_is_a_gap_too() {
    let shelf = chunks(10, "a");
    let log = Disk::Memory(shelf.clone()).open();
    shelf.damage_event_row(9);
    let page = log.journal.page(Filter::All, Seq(17)).expect("reads");
    assert_eq!((page.gaps[0].from, page.gaps[0].to, page.to), (Seq(19), Seq(20), Seq(20)));
    assert_eq!(ranges(&log.verify().damage), [("events", 19, 20)]);
    log.append(vec![remark(session(1), "x")]).expect("stored");
    assert_eq!(ranges(&log.verify().damage), [("events", 19, 20)]);
    log.close();
}

#[test]
fn two_chunks_in_swapped_order_break_the_chain() {
    let shelf = chunks(6, "a");
    let rows = tagged(&shelf, Seq(1), CHUNKS);
    let swapped = [(rows[2].0.clone(), rows[3].1.clone()), (rows[3].0.clone(), rows[2].1.clone())];
    replace(&shelf, Seq(1), &swapped);
    let damage = damage_of(&shelf);
    let events: Vec<_> = ranges(&damage).into_iter().filter(|(place, ..)| *place == "events").collect();
    assert_eq!(events, [("events", 5, 6), ("events", 7, 8), ("events", 9, 10)]);
}

#[test]
fn a_chunk_replaced_by_an_equally_valid_one_breaks_the_chain_behind_it() {
    let shelf = chunks(3, "a");
    let other = copy_without_index(&shelf, |_, _| true);
    for (shelf, text) in [(&shelf, "b"), (&other, "c")] {
        let log = Disk::Memory(shelf.clone()).open();
        for number in 0..3 {
            log.append(vec![remark(session(1), &format!("{text} {number}"))]).expect("stored");
        }
        log.close();
    }
    assert_eq!((damage_of(&shelf), damage_of(&other)), (Vec::new(), Vec::new()));
    let forged = tagged(&other, Seq(1), CHUNKS)[3].clone();
    replace(&shelf, Seq(1), &[forged]);
    assert_eq!(ranges(&damage_of(&shelf)), [("events", 8, 8)], "its successor names another one");
}

#[test]
fn a_chunk_taken_out_is_reported_with_its_range() {
    let whole = chunks(6, "a");
    let taken = tagged(&whole, Seq(1), CHUNKS)[2].0.clone();
    let shelf = copy_without_index(&whole, |_, key| key != taken);
    let damage = damage_of(&shelf);
    assert!(ranges(&damage).contains(&("events", 5, 6)), "{damage:?}");
    let log = Disk::Memory(shelf).open();
    let page = log.journal.page(Filter::All, Seq(2)).expect("reads");
    assert_eq!((page.gaps[0].from, page.gaps[0].to), (Seq(5), Seq(6)));
    log.close();
}

#[test]
fn a_stream_index_that_does_not_match_is_reported() {
    let whole = chunks(4, "a");
    let index = tagged(&whole, Seq(1), STREAMS);
    assert_eq!(index.len(), 4);
    let without = copy_without_index(&whole, |_, key| key != index[1].0);
    assert_eq!(damage_of(&without)[0].place, "streams");
    replace(&whole, Seq(1), &[(index[1].0.clone(), vec![0, 0])]);
    assert_eq!(damage_of(&whole)[0].place, "streams");
}

/// A receipt that is gone has its command done again when it is repeated.
#[test]
fn events_whose_command_has_no_receipt_are_reported_by_their_range() {
    let whole = chunks(6, "a");
    let receipts = tagged(&whole, Seq(1), RECEIPTS);
    assert_eq!(receipts.len(), 6);
    let gone = copy_without_index(&whole, |_, key| key != receipts[2].0);
    let damage = damage_of(&gone);
    assert_eq!(ranges(&damage), [("receipts", 5, 6)]);
    assert!(damage[0].reason.contains(&command(1000, 2).to_string()), "{damage:?}");
    // The same for those who only look at it.
    let view = ViewShelf::over(Arc::new(gone), Ok(Vec::new())).expect("a view");
    let looked = Log::open(Arc::new(view));
    assert_eq!(ranges(&looked.verify().damage), [("receipts", 5, 6)]);
    looked.close();
    let log = Disk::Memory(whole.clone()).open();
    let planted = caused_by(command(1100, 1), vec![remark(session(1), "planted")]);
    log.append([vec![machine_event("by itself")], planted].concat()).expect("stored");
    assert_eq!(ranges(&log.verify().damage), [("receipts", 14, 14)]);
    log.close();
    // What is in a row that cannot be read is said of the row, once.
    let mut row = receipts[2].clone();
    row.1[9] ^= 1;
    replace(&whole, Seq(1), &[row]);
    assert_eq!(ranges(&damage_of(&whole)), [("receipts", 0, 0), ("receipts", 14, 14)]);
}

#[test]
fn receipts_are_found_for_more_commands_than_a_check_remembers() {
    let shelf = MemoryShelf::default();
    let log = Disk::Memory(shelf.clone()).open();
    let count = limits::CHECK_COMMANDS_MAX as u64 + 1000;
    let mut waiting = Vec::new();
    for number in 0..count {
        // Neighbours lie far from each other among the receipts.
        let id = command(1000 + number % 64 * 1000 + number / 64, number);
        let events = caused_by(id, vec![remark(session(1), "")]);
        // One of them has no receipt.
        let receipt = (number != 70).then_some((id, [1; 16], Ok(CommandResult::Done {})));
        let batch = Batch { epoch: log.journal.epoch(), events, receipt };
        waiting.push(log.journal.append(batch).expect("there is room"));
        if waiting.len() == limits::COMMIT_EVENTS_MAX || number + 1 == count {
            for stored in waiting.drain(..) {
                stored.blocking_recv().expect("answered").expect("stored");
            }
        }
    }
    let found = log.verify();
    assert_eq!((found.head, ranges(&found.damage)), (Seq(count), vec![("receipts", 71, 71)]));
    log.close();
}

#[test]
fn a_tail_that_vanished_is_reported_as_lost() {
    let whole = chunks(6, "a");
    let last = tagged(&whole, Seq(1), CHUNKS)[4..].iter().map(|(key, _)| key.clone()).collect::<Vec<_>>();
    let shelf = copy_without_index(&whole, |_, key| !last.iter().any(|taken| taken == key));
    let log = Disk::Memory(shelf).open();
    assert_eq!(log.lost, Some((Seq(9), Seq(12))));
    let pages = pages(&log.journal, Filter::All, Seq::ZERO);
    assert_eq!(pages.iter().map(|page| page.events().expect("decodes").len()).sum::<usize>(), 8);
    let next = log.append(vec![remark(session(1), "x")]).expect("stored");
    assert_eq!(next.first, Seq(13), "places that were acknowledged are not given out again");
    let page = log.journal.page(Filter::All, Seq(8)).expect("reads");
    assert_eq!(page.gaps.iter().map(|gap| (gap.from.0, gap.to.0)).collect::<Vec<_>>(), [(9, 12)]);
    assert_eq!(ranges(&log.verify().damage)[0], ("events", 9, 12));
    log.close();
}

#[test]
fn a_head_that_cannot_be_read_is_no_reason_to_stay_closed() {
    for slot in [&b""[..], b"x", &[0; 64], &[255; 64]] {
        let shelf = chunks(3, "a");
        for place in 0..2 {
            ropewalk_kernel::log::store::Shelf::write_head(&shelf, place, slot).expect("written");
        }
        let log = Disk::Memory(shelf).open();
        assert_eq!((log.lost, log.journal.head()), (None, Seq(6)));
        log.close();
    }
}

#[test]
fn a_volume_taken_out_of_the_row_is_reported() {
    let disk = Disk::memory();
    for volume in 0..3 {
        disk.open().remark(session(volume), 4);
        disk.open().close();
        if volume < 2 {
            disk.begin_volume();
        }
    }
    let Disk::Memory(whole) = &disk else { unreachable!("a memory disk") };
    let faulty = crate::faults::FaultyShelf::over(copy_without_index(whole, |_, _| true));
    faulty.faults.hidden.lock().expect("no panic").push(Seq(5));
    let log = Log::open(std::sync::Arc::new(faulty));
    let damage = log.verify().damage;
    assert!(ranges(&damage).contains(&("events", 5, 8)), "{damage:?}");
    log.close();
}

#[test]
fn a_volume_of_another_log_is_reported() {
    let (one, other) = (Disk::memory(), Disk::memory());
    for (disk, text) in [(&one, 1), (&other, 2)] {
        disk.open().remark(session(text), 4);
        disk.begin_volume();
        disk.open().remark(session(text), 4);
    }
    let (Disk::Memory(one), Disk::Memory(other)) = (&one, &other) else { unreachable!("memory disks") };
    for row in rows(other, Seq(5)) {
        replace(one, Seq(5), &[row]);
    }
    let damage = damage_of(one);
    assert!(!damage.is_empty(), "the second volume is another log's");
}

#[test]
fn damaged_output_is_reported_between_its_neighbours_and_read_around() {
    let shelf = MemoryShelf::default();
    let log = Disk::Memory(shelf.clone()).open();
    for number in 0..5_u8 {
        log.store_output(terminal(1), u64::from(number) * 100, vec![number; 100]).expect("stored");
    }
    let (key, mut value) = tagged(&shelf, Seq(1), OUTPUT)[2].clone();
    let at = value.len() - 1;
    value[at] ^= 1;
    replace(&shelf, Seq(1), &[(key, value)]);
    let damage = log.verify().damage;
    assert_eq!(ranges(&damage), [("output", 200, 299)]);
    assert_eq!(damage[0].terminal, Some(terminal(1)));
    assert_eq!(log.journal.output(terminal(1), 0, 1000).expect("reads").bytes.len(), 200);
    let page = log.journal.output(terminal(1), 200, 1000).expect("reads");
    assert_eq!((page.offset, page.damaged, page.bytes), (300, true, [[3; 100], [4; 100]].concat()));
    assert_eq!(log.journal.output_end(terminal(1)), Ok(500));
    log.close();
}
