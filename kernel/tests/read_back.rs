//! Reading from the newest to the oldest: the same events and the same gaps as the other way round.

use std::collections::BTreeSet;

use ropewalk_kernel::log::store::StoreError;
use ropewalk_kernel::log::{Filter, Gap, Journal, MemoryShelf, PageBefore};
use ropewalk_protocol::{Event, Seq, limits};

use crate::support::*;

/// Every page from the newest to the oldest, that one first.
fn pages_before(journal: &Journal, filter: Filter, before: Seq, after: Seq) -> Vec<PageBefore> {
    let mut pages = Vec::new();
    let mut before = before.min(journal.head().next());
    while before > after.next() {
        let page = journal.page_before(filter, before, after).expect("the page reads");
        assert!(page.from < before, "a page from {} before {before} never gets anywhere", page.from);
        before = page.from;
        pages.push(page);
    }
    pages
}

/// The events of pages that came the newest first, in order.
fn joined(pages: &[PageBefore]) -> Vec<Event> {
    pages.iter().rev().flat_map(|page| page.events().expect("payloads decode")).collect()
}

fn places(gaps: impl Iterator<Item = Gap>) -> BTreeSet<u64> {
    gaps.flat_map(|gap| gap.from.0..=gap.to.0).collect()
}

/// What lies between two places is the same, read forwards and backwards.
fn check(journal: &Journal, filter: Filter, before: Seq, after: Seq) {
    let context = format!("{filter:?} before {before} and after {after}");
    let pages_before = pages_before(journal, filter, before, after);
    let pages = pages(journal, filter, after);
    let mut forwards: Vec<Event> = pages.iter().flat_map(|page| page.events().expect("payloads decode")).collect();
    forwards.retain(|event| event.seq < before);
    assert_eq!(joined(&pages_before), forwards, "{context}");
    let mut gaps = places(pages.iter().flat_map(|page| page.gaps.clone()));
    gaps.retain(|place| *place < before.0);
    assert_eq!(places(pages_before.iter().flat_map(|page| page.gaps.clone())), gaps, "{context}");
    for page in &pages_before {
        let order: Vec<Seq> = page.events().expect("payloads decode").iter().map(|event| event.seq).collect();
        assert!(order.is_sorted() && order.first().is_none_or(|first| *first >= page.from), "{context}");
        assert!(page.gaps.is_sorted_by_key(|gap| gap.from), "{context}");
    }
}

/// A log of three volumes, the last of them not sealed, with commits of all sizes of three sessions and of none.
fn fill(disk: &Disk, random: &mut Random) -> Log {
    for volume in 0..3 {
        let log = disk.open();
        for _ in 0..30 {
            let events = (0..=random.below(8)).map(|_| match random.below(4) {
                0 => machine_event("a word"),
                who => {
                    let length = random.below(4000);
                    remark(session(u8::try_from(who).expect("small")), &random.text(length))
                }
            });
            log.append(events.collect()).expect("stored");
        }
        if volume == 2 {
            return log;
        }
        log.close();
        disk.begin_volume();
    }
    unreachable!("the last volume is returned")
}

const FILTERS: [u8; 5] = [0, 1, 2, 3, 9];

fn filter(who: u8) -> Filter {
    if who == 0 { Filter::All } else { Filter::Session(session(who)) }
}

on_both_disks! {
    pages_before_join_to_what_pages_after_join_to
    the_newest_page_reads_no_more_than_a_page
    nothing_lies_before_the_first_event
}

fn pages_before_join_to_what_pages_after_join_to(disk: &Disk) {
    let mut random = Random(77);
    let log = fill(disk, &mut random);
    let head = usize::try_from(log.journal.head().0).expect("small");
    for who in FILTERS {
        check(&log.journal, filter(who), Seq(u64::MAX), Seq::ZERO);
        for _ in 0..10 {
            let after = random.below(head + 1);
            let before = after + random.below(head + 3 - after);
            check(&log.journal, filter(who), Seq(before as u64), Seq(after as u64));
        }
    }
    // The same once nothing is in memory and every volume but the newest is closed.
    log.close();
    let log = disk.open();
    for who in FILTERS {
        check(&log.journal, filter(who), Seq(u64::MAX), Seq::ZERO);
    }
    log.close();
}

fn the_newest_page_reads_no_more_than_a_page(disk: &Disk) {
    let log = fill(disk, &mut Random(78));
    for who in [0, 1] {
        let page = log.journal.page_before(filter(who), Seq(u64::MAX), Seq::ZERO).expect("reads");
        let bytes: usize = page.slices.iter().map(|slice| slice.records().len()).sum();
        assert!(bytes > 0 && bytes <= limits::PAGE_BYTES_MAX + limits::CHUNK_RECORD_BYTES_MAX, "{bytes} bytes");
        assert!(page.from > Seq(1), "the log is longer than a page");
    }
    log.close();
}

fn nothing_lies_before_the_first_event(disk: &Disk) {
    let log = disk.open();
    for place in [Seq::ZERO, Seq(1), Seq(u64::MAX)] {
        let page = log.journal.page_before(Filter::All, place, Seq::ZERO).expect("reads");
        assert!(page.slices.is_empty() && page.gaps.is_empty() && page.from == Seq(1), "{page:?}");
    }
    log.remark(session(1), 3);
    let page = log.journal.page_before(Filter::All, Seq(3), Seq(7)).expect("reads");
    assert!(page.slices.is_empty(), "before is not after: {page:?}");
    let page = log.journal.page_before(Filter::Session(session(2)), Seq(u64::MAX), Seq::ZERO).expect("reads");
    assert!(page.slices.is_empty() && page.from == Seq(1), "a session without events: {page:?}");
    log.close();
}

#[test]
fn damage_is_the_same_gap_from_both_sides() {
    for nth in [0, 1, 7, 29] {
        let shelf = MemoryShelf::default();
        let disk = Disk::Memory(shelf.clone());
        fill(&disk, &mut Random(79)).close();
        shelf.damage_event_row(nth);
        shelf.damage_event_row(nth + 1);
        let log = disk.open();
        assert!(!pages(&log.journal, Filter::All, Seq::ZERO).iter().all(|page| page.gaps.is_empty()), "no damage");
        for who in FILTERS {
            check(&log.journal, filter(who), Seq(u64::MAX), Seq::ZERO);
        }
        log.close();
    }
}

#[test]
fn a_volume_that_is_lost_is_the_same_gap_from_both_sides() {
    use ropewalk_kernel::log::store::Shelf;
    let shelf = MemoryShelf::default();
    let disk = Disk::Memory(shelf.clone());
    fill(&disk, &mut Random(80)).close();
    let middle = shelf.volumes().expect("volumes")[1];
    shelf.give_up(middle, "a test").expect("given up");
    let log = disk.open();
    for who in FILTERS {
        check(&log.journal, filter(who), Seq(u64::MAX), Seq::ZERO);
    }
    log.close();
}

#[test]
fn while_appends_fail_the_newest_events_are_read_from_memory() {
    let shelf = MemoryShelf::default();
    let log = Disk::Memory(shelf.clone()).open();
    let head = log.remark(session(1), 5);
    shelf.fail_commits(Some(StoreError::Failed("eio".to_owned())));
    log.append(vec![remark(session(1), "refused")]).expect_err("the disk fails");
    // What the volume says is damaged then is not believed.
    shelf.damage_event_row(3);
    let page = log.journal.page_before(Filter::All, Seq(u64::MAX), Seq::ZERO).expect("reads");
    assert!(page.gaps.is_empty(), "{:?}", page.gaps);
    assert_eq!(page.events().expect("decodes").len() as u64, head.0);
    shelf.fail_commits(None);
    log.close();
}
