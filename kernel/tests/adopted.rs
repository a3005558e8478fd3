//! A commit that was answered with an error and is on the disk all the same: what its command's repeat finds.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use ropewalk_protocol::{Code, CommandResult, Seq};

use crate::faults::FaultyShelf;
use crate::support::*;

/// Regression: found by the simulation, once in 92,000 seeds. The writer looked for the receipt in the newest volume only.
/// A repeat that the router had let in before the adoption, and that came to the writer behind a rotation, was done again.
#[test]
fn regression_a_repeat_is_refused_also_once_the_volume_of_its_adopted_receipt_was_sealed() {
    // Given a command whose commit failed and is there all the same,
    let shelf = FaultyShelf::default();
    let log = Log::open(Arc::new(shelf.clone()));
    let once = || Some((command(1000, 1), [1; 16], Ok(CommandResult::Done {})));
    shelf.faults.stored_but_failed.store(1, Ordering::SeqCst);
    append(&log.journal, vec![remark(session(1), "once")], once()).expect_err("the sync failed");
    // and the commit behind it, which adopts it and fills the volume: another one is begun.
    shelf.faults.volume_bytes_max.store(1, Ordering::SeqCst);
    let behind = retry("appending", || log.append(vec![remark(session(2), "behind it")]));
    assert_eq!(behind.first, Seq(2), "the failed commit was adopted");

    // When the repeat comes to the writer.
    let repeat = append(&log.journal, vec![remark(session(1), "once")], once());

    // Then it is not done again, and its next repeat gets the first answer.
    assert_eq!(repeat.expect_err("it was done again").code, Code::Busy);
    assert_eq!(log.journal.stats().volumes, 2, "the volume of the adopted commit was sealed before the repeat came");
    assert_eq!(log.journal.receipt(command(1000, 1)).expect("reads").expect("is there").seq, Seq(1));
    assert_eq!(log.events().len(), 2);
    // A command of the same time that was never done is let in.
    let other = Some((command(1000, 2), [2; 16], Ok(CommandResult::Done {})));
    let done = retry("appending", || append(&log.journal, vec![remark(session(1), "another")], other.clone()));
    assert_eq!(done.first, Seq(3));
    log.close();
}
