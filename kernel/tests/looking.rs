//! Looking at a log: nothing is changed by it, one event is shown with what proves it, and what is out of place is found.

use std::sync::Arc;

use ropewalk_kernel::log::store::{Row, Shelf, StoreError};
use ropewalk_kernel::log::{MemoryShelf, Snapshot, ViewShelf};
use ropewalk_protocol::record::Receipt;
use ropewalk_protocol::{CommandId, CommandResult, Seq, Stream};

use crate::support::*;

/// A closed log of two volumes: eight events in two sessions, a receipt each, and a terminal's bytes.
fn two_volumes(disk: &Disk) {
    for volume in 0..2_u8 {
        let log = disk.open();
        for number in 0..4 {
            let receipt = (id(volume, number), [1; 16], Ok(CommandResult::Done {}));
            append(&log.journal, vec![remark(session(1 + volume), "a remark")], Some(receipt)).expect("stored");
        }
        log.store_output(terminal(1), u64::from(volume) * 100, vec![volume; 100]).expect("stored");
        log.close();
        if volume == 0 {
            disk.begin_volume();
        }
    }
}

fn id(volume: u8, number: u8) -> CommandId {
    command(1000 * u64::from(volume) + 1000, u64::from(number))
}

fn memory() -> MemoryShelf {
    let disk = Disk::memory();
    two_volumes(&disk);
    // The index is completed when the sealed volume is next met.
    disk.open().close();
    let Disk::Memory(shelf) = disk else { unreachable!("a memory disk") };
    shelf
}

fn receipt_row(command: CommandId, seq: u64) -> Row {
    let record = Receipt { digest: [1; 16], seq: Seq(seq), outcome: Ok(CommandResult::Done {}) }.encode();
    let key = [&[RECEIPTS][..], command.as_bytes()].concat();
    (key, [&crc32fast::hash(&record).to_le_bytes()[..], &record].concat())
}

on_both_disks! {
    an_event_is_shown_with_its_chunk_and_its_volume
}

fn an_event_is_shown_with_its_chunk_and_its_volume(disk: &Disk) {
    two_volumes(disk);
    let log = disk.open();
    let mut before = [0; 32];
    for seq in 1..=8 {
        let stored = log.journal.record(Seq(seq)).expect("reads").expect("is there");
        assert_eq!(stored.range(), (Seq(seq), Seq(seq)));
        assert_eq!(stored.volume, Seq(if seq <= 4 { 1 } else { 5 }));
        assert_eq!(stored.event().expect("decodes"), log.events()[usize::try_from(seq).expect("small") - 1]);
        let (hash, previous) = stored.hashes();
        assert_eq!(previous, before, "event {seq} follows the one before it");
        before = hash;
    }
    assert_eq!(before, log.verify().chain);
    assert!(log.journal.record(Seq(0)).expect("reads").is_none());
    assert!(log.journal.record(Seq(9)).expect("reads").is_none());
    log.close();
}

#[test]
fn an_event_in_a_damaged_chunk_is_unreadable_and_its_neighbours_are_shown() {
    let shelf = memory();
    shelf.damage_event_row(1);
    let log = Disk::Memory(shelf).open();
    let error = log.journal.record(Seq(2)).expect_err("it is damaged");
    assert!(matches!(error, StoreError::Unreadable { from: Seq(2), to: Seq(2), .. }), "{error}");
    assert!(log.journal.record(Seq(1)).expect("reads").is_some());
    assert!(log.journal.record(Seq(3)).expect("reads").is_some());
    log.close();
}

/// Regression: while the disk failed an event was called damaged for good.
#[test]
fn regression_an_event_that_cannot_be_read_while_appends_fail_is_not_called_damaged() {
    let shelf = memory();
    shelf.damage_event_row(1);
    let log = Disk::Memory(shelf.clone()).open();
    let failure = StoreError::Failed("no disk".to_owned());
    shelf.fail_commits(Some(failure.clone()));
    log.append(vec![remark(session(1), "not stored")]).expect_err("the disk failed");
    assert_eq!(log.journal.record(Seq(2)).err(), Some(failure));
    assert!(log.journal.record(Seq(3)).expect("reads").is_some());
    log.close();
}

/// Each volume with its rows, and both slots of HEAD.
type Contents = (Vec<(Seq, Vec<Row>)>, [Vec<u8>; 2]);

/// All that a shelf holds.
fn contents(shelf: &MemoryShelf) -> Contents {
    let volumes = shelf.volumes().expect("volumes").into_iter();
    (volumes.map(|first| (first, rows(shelf, first))).collect(), shelf.read_head().expect("HEAD"))
}

#[test]
fn looking_at_a_log_that_opening_would_mend_changes_nothing() {
    let shelf = memory();
    // A volume that a crash left without its first row is begun by opening the log.
    drop(shelf.create(Seq(9)).expect("a volume"));
    let before = contents(&shelf);
    let view = ViewShelf::over(Arc::new(shelf.clone()), Ok(Vec::new())).expect("opens");
    let log = Log::open(Arc::new(view));
    assert_eq!((log.journal.head(), log.events().len()), (Seq(8), 8));
    assert_eq!(log.verify().damage, []);
    log.append(vec![remark(session(1), "not stored")]).expect("taken");
    log.close();
    assert_eq!(contents(&shelf), before);
    Disk::Memory(shelf.clone()).open().close();
    assert_ne!(contents(&shelf), before, "opening it for writing does change it");
}

#[test]
fn an_index_that_cannot_be_read_is_made_anew_in_memory_and_said() {
    let shelf = memory();
    let damaged = Err(StoreError::Damaged("a flipped bit".to_owned()));
    let view = ViewShelf::over(Arc::new(shelf), damaged).expect("opens");
    assert_eq!(view.index_damage(), Some("a flipped bit"));
    let log = Log::open(Arc::new(view));
    assert_eq!(log.verify().damage, []);
    assert_eq!(history(&log.journal, session(1)).expect("is whole").len(), 4);
    log.close();
}

#[test]
fn a_receipt_that_names_what_the_log_does_not_hold_there_is_reported() {
    let shelf = memory();
    assert_eq!(damage_of(&shelf), []);
    // In the first volume a receipt of the second one's event, and in the second one a receipt of what never happened.
    replace(&shelf, Seq(1), &[receipt_row(id(0, 1), 7)]);
    replace(&shelf, Seq(5), &[receipt_row(id(1, 1), 99)]);
    let damage: Vec<_> = damage_of(&shelf).into_iter().map(|damage| (damage.place, damage.from)).collect();
    assert_eq!(damage, [("receipts".to_owned(), 7), ("receipts".to_owned(), 99)]);
}

#[test]
fn an_actors_state_from_beyond_the_head_is_reported() {
    let shelf = memory();
    let log = Disk::Memory(shelf.clone()).open();
    let stream = Stream::Session(session(1));
    log.journal.keep_snapshot(stream, &Snapshot { at: Seq(8), state: vec![1] }).expect("taken");
    log.close();
    assert_eq!(damage_of(&shelf), []);
    let log = Disk::Memory(shelf.clone()).open();
    log.journal.keep_snapshot(stream, &Snapshot { at: Seq(80), state: vec![1] }).expect("taken");
    log.close();
    assert_eq!(damage_of(&shelf)[0].place, "snapshots");
}

#[test]
fn a_stream_row_for_a_session_without_events_in_the_chunk_is_reported() {
    let shelf = memory();
    let mut key = tagged(&shelf, Seq(5), STREAMS)[0].0.clone();
    key[1..17].fill(9);
    replace(&shelf, Seq(5), &[(key, vec![0, 0])]);
    assert_eq!(damage_of(&shelf)[0].place, "streams");
}

#[test]
fn an_index_that_says_something_else_than_the_volumes_is_reported() {
    let whole = memory();
    let index = |shelf: &MemoryShelf| {
        let mut found = Vec::new();
        let mut visit = |key: &[u8], value: &[u8]| {
            found.push((key.to_vec(), value.to_vec()));
            std::ops::ControlFlow::Continue(())
        };
        shelf.index().expect("opens").scan(&[0], &[255], &mut visit).expect("scans");
        found
    };
    let rows = index(&whole);
    assert_eq!(rows.len(), 3, "a summary, a session, a terminal");
    let reasons = |changed: Vec<Row>| {
        let shelf = copy_without_index(&whole, |_, _| true);
        shelf.index().expect("opens").commit(changed).expect("stored");
        damage_of(&shelf).into_iter().map(|damage| (damage.place, damage.from)).collect::<Vec<_>>()
    };
    let wrong = [("index".to_owned(), 1)];
    assert_eq!(reasons(rows.clone()), []);
    assert_eq!(reasons(Vec::new()), [], "an empty index is made anew when the log opens");
    for left_out in 1..3 {
        let mut fewer = rows.clone();
        fewer.remove(left_out);
        assert_eq!(reasons(fewer), wrong, "row {left_out} left out");
    }
    let mut more = rows.clone();
    let mut key = rows[1].0.clone();
    key[1..17].fill(9);
    more.push((key, Vec::new()));
    assert_eq!(reasons(more), wrong, "a session that is not there");
    let mut other = rows.clone();
    let hash = other[0].1.len() - 6;
    other[0].1[hash] ^= 1;
    assert_eq!(reasons(other), wrong, "another hash or time");
}
