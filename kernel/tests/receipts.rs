//! Receipts of commands that were committed together: they share rows, and each is found by its own id.

use ropewalk_kernel::log::{Batch, import};
use ropewalk_protocol::{Code, CommandId, CommandResult, Rejection, Seq};

use crate::support::*;

/// Commands that come nearly at once, some of them refused. Their ids are of 60 ms and come in no order.
const COMMANDS: u64 = 400;

on_both_disks! {
    commands_that_were_committed_together_have_each_its_receipt
}

fn commands_that_were_committed_together_have_each_its_receipt(disk: &Disk) {
    let mut random = Random(5);
    let mut ids: Vec<CommandId> = (0..COMMANDS).map(|number| command(5000 + number % 60, number)).collect();
    for place in (1..ids.len()).rev() {
        ids.swap(place, random.below(place + 1));
    }
    let log = disk.open();
    let mut waiting = Vec::new();
    for (number, id) in ids.iter().enumerate() {
        let refused = number % 5 == 0;
        let outcome = if refused { Err(Rejection::new(Code::NotFound, "x".repeat(number))) } else { done() };
        let events = if refused { Vec::new() } else { vec![remark(session(1), &number.to_string())] };
        let batch = Batch { epoch: log.journal.epoch(), events, receipt: Some((*id, [1; 16], outcome.clone())) };
        waiting.push((*id, outcome, log.journal.append(batch).expect("there is room")));
    }
    let stored: Vec<_> = waiting
        .into_iter()
        .map(|(id, outcome, stored)| {
            (id, outcome, stored.blocking_recv().expect("the writer answers").expect("stored").last)
        })
        .collect();
    let check = |log: &Log| {
        for (id, outcome, head) in &stored {
            let receipt = log.journal.receipt(*id).expect("reads").expect("is there");
            assert_eq!((&receipt.outcome, receipt.digest), (outcome, [1; 16]));
            assert!(receipt.seq <= *head, "{} is after {head}", receipt.seq);
            assert!(log.journal.may_know(*id));
        }
        for millis in 4990..5070 {
            assert_eq!(log.journal.receipt(command(millis, COMMANDS)), Ok(None), "{millis}");
        }
        assert!(!log.journal.may_know(command(5060, 0)), "it is younger than all of them");
        let verified = log.verify();
        assert_eq!((verified.receipts, verified.damage.len()), (COMMANDS, 0), "{:?}", verified.damage);
        verified.chunks
    };
    let chunks = check(&log);
    if matches!(disk, Disk::Sled(_)) {
        // So many of them have an event: as many chunks as that are commits of one.
        assert!(chunks < COMMANDS * 4 / 5, "{chunks} commits: nothing was committed together");
    }
    log.close();
    let log = disk.open();
    check(&log);
    let mut archive = Vec::new();
    let archived = log.journal.export(&mut archive).expect("exports");
    assert_eq!((archived.totals.receipts, archived.totals.head), (COMMANDS, Seq(COMMANDS * 4 / 5)));
    log.close();
    // The copy has a row for each.
    let copy = Disk::memory();
    import(&*copy.shelf(), &mut &archive[..]).expect("imports");
    let log = copy.open();
    check(&log);
    let mut again = Vec::new();
    log.journal.export(&mut again).expect("exports");
    assert!(again == archive, "exported again it is another archive");
    log.close();
}

fn done() -> Result<CommandResult, Rejection> {
    Ok(CommandResult::Done {})
}
