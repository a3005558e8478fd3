//! Actors' states that are kept: the newest one that can be read is found, and losing one costs nothing but time.

use ropewalk_kernel::log::{Journal, Snapshot};
use ropewalk_protocol::{Code, Seq, Stream, limits};

use crate::support::*;

fn kept(at: u64, byte: u8) -> Snapshot {
    Snapshot { at: Seq(at), state: vec![byte; 100] }
}

/// The writer is done with what it was handed when something behind it is stored.
fn keep(log: &Log, stream: Stream, snapshot: &Snapshot) {
    log.journal.keep_snapshot(stream, snapshot).expect("queued");
    log.append(vec![machine_event("behind it")]).expect("stored");
}

fn found(journal: &Journal, stream: Stream) -> Option<Snapshot> {
    journal.snapshot(stream).expect("reads")
}

fn the_newest_state_of_each_actor_is_found_also_after_a_restart(disk: &Disk) {
    let log = disk.open();
    let (one, other) = (Stream::Session(session(1)), Stream::Terminal(session(1), terminal(1)));
    assert_eq!(found(&log.journal, one), None);
    keep(&log, one, &kept(1, 1));
    keep(&log, other, &kept(2, 2));
    keep(&log, one, &kept(3, 3));
    assert_eq!((found(&log.journal, one), found(&log.journal, other)), (Some(kept(3, 3)), Some(kept(2, 2))));
    assert_eq!(found(&log.journal, Stream::Session(session(2))), None);
    log.close();
    let log = disk.open();
    assert_eq!((found(&log.journal, one), found(&log.journal, other)), (Some(kept(3, 3)), Some(kept(2, 2))));
    log.close();
}

fn a_state_in_a_sealed_volume_is_found_there(disk: &Disk) {
    let stream = Stream::Session(session(1));
    for volume in 0..3 {
        let log = disk.open();
        if volume == 1 {
            // No event of the session lies in this volume: the state alone must lead to it.
            keep(&log, stream, &kept(1, 1));
        } else {
            log.remark(session(2), 2);
        }
        log.close();
        if volume < 2 {
            disk.begin_volume();
        }
    }
    let log = disk.open();
    assert_eq!(found(&log.journal, stream), Some(kept(1, 1)));
    assert_eq!(log.verify().damage, []);
    log.close();
}

on_both_disks! {
    the_newest_state_of_each_actor_is_found_also_after_a_restart
    a_state_in_a_sealed_volume_is_found_there
}

#[test]
fn a_damaged_state_is_as_good_as_none_and_is_reported() {
    let disk = Disk::memory();
    let log = disk.open();
    let stream = Stream::Session(session(1));
    keep(&log, stream, &kept(1, 1));
    let shelf = disk.shelf();
    let (key, mut value) = tagged(&*shelf, Seq(1), SNAPSHOTS)[0].clone();
    value[20] ^= 1;
    replace(&*shelf, Seq(1), &[(key, value)]);
    assert_eq!(found(&log.journal, stream), None);
    assert_eq!(log.verify().damage.iter().map(|damage| damage.place.as_str()).collect::<Vec<_>>(), ["snapshots"]);
    log.close();
}

#[test]
fn a_state_over_the_bound_is_refused_and_the_log_is_well() {
    let log = Disk::memory().open();
    let large = Snapshot { at: Seq(1), state: vec![0; limits::STORED_VALUE_BYTES_MAX] };
    let refused = log.journal.keep_snapshot(Stream::Session(session(1)), &large).expect_err("it fits into no row");
    assert_eq!(refused.code, Code::TooLarge);
    log.append(vec![remark(session(1), "x")]).expect("stored");
    log.close();
}
