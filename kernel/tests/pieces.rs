//! What reads all of the log is not in the writer's way, and ends once the log is closed.

use std::io::{self, Write};

use ropewalk_kernel::log::store::StoreError;
use ropewalk_kernel::log::{Batch, ExportError, Journal};
use ropewalk_protocol::limits;

use crate::support::*;

/// A log in memory, where nothing can be committed while a volume is read, of more than one piece.
fn filled() -> Log {
    let log = Disk::memory().open();
    let mut random = Random(71);
    for at in 0..16_u64 {
        log.remark(session(1), 4);
        let bytes = limits::OUTPUT_ROW_BYTES_MAX;
        log.store_output(terminal(1), at * bytes as u64, random.bytes(bytes)).expect("stored");
    }
    log
}

/// Appends, and waits until it is stored.
fn append_meanwhile(journal: &Journal) {
    let batch = Batch { epoch: journal.epoch(), events: vec![remark(session(2), "meanwhile")], receipt: None };
    let outcome = journal.append(batch).expect("taken");
    run(outcome).expect("the writer answers").expect("stored");
}

/// A target that does something each time that it is written to, and then takes what it gets.
struct Target<F: FnMut()>(F);

impl<F: FnMut()> Write for Target<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (self.0)();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_slow_export_and_a_slow_check_hold_up_no_append() {
    let log = filled();
    let before = log.journal.head();
    let mut writes = 0;
    let exported = log.journal.export(&mut Target(|| {
        append_meanwhile(&log.journal);
        writes += 1;
    }));
    // The header is written before the head is read.
    assert_eq!(exported.expect("exports").totals.head, before.next());
    assert!(writes > 3, "more than one block: {writes} writes");
    let before = log.journal.head();
    let mut seen = 0;
    let verified = log.journal.verify(&mut |_| {
        seen += 1;
        if seen % 10 == 1 {
            append_meanwhile(&log.journal);
        }
    });
    let verified = verified.expect("the check runs");
    assert_eq!((verified.head, verified.events, verified.damage), (before, seen, Vec::new()));
    log.close();
}

#[test]
fn an_export_and_a_check_end_once_the_log_is_closed() {
    let stop = |journal: &Journal| drop(journal.stop().blocking_recv());
    let log = filled();
    let exported = log.journal.export(&mut Target(|| stop(&log.journal)));
    assert!(matches!(exported, Err(ExportError::Store(StoreError::Stopped))), "{exported:?}");
    let log = filled();
    let verified = log.journal.verify(&mut |_| stop(&log.journal));
    assert_eq!(verified, Err(StoreError::Stopped));
}
