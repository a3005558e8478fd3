//! A disk that fails: what was refused is not there, what was promised is, and appends come back by themselves.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use ropewalk_kernel::log::store::StoreError;
use ropewalk_kernel::log::{Batch, MemoryShelf};
use ropewalk_kernel::{Follower, Step};
use ropewalk_protocol::{Code, CommandResult, Seq};

use crate::faults::FaultyShelf;
use crate::support::*;

fn full() -> StoreError {
    StoreError::Full("os error 28".to_owned())
}

#[test]
fn a_failed_append_is_answered_with_an_error_and_never_seen() {
    let shelf = MemoryShelf::default();
    let disk = Disk::Memory(shelf.clone());
    let log = disk.open();
    let head = log.remark(session(1), 3);
    let mut health = log.journal.health();
    assert_eq!(*health.borrow_and_update(), None);
    for (error, code) in [(full(), Code::StorageFull), (StoreError::Failed("eio".to_owned()), Code::StorageFailed)] {
        shelf.fail_commits(Some(error.clone()));
        let epoch = log.journal.epoch();
        let id = command(9000, 1);
        let refused =
            append(&log.journal, vec![remark(session(1), "x")], Some((id, [1; 16], Ok(CommandResult::Done {}))));
        let refused = refused.expect_err("the disk fails");
        assert_eq!((refused.code, refused.seq, refused.retryable()), (code, Some(head), true));
        assert_eq!(log.journal.degraded(), Some(error.clone()));
        assert_eq!(*health.borrow_and_update(), Some(error));
        assert!(log.journal.epoch() > epoch);
        assert_eq!(log.journal.head(), head);
        assert_eq!(log.events().len(), 3);
        assert_eq!(log.observed.lock().expect("no panic").len(), 3);
        assert_eq!(log.journal.receipt(id), Ok(None));
        assert!(log.journal.stats().degraded.is_some());
        let output = log.store_output(terminal(1), 0, vec![1; 10]).expect_err("the disk fails");
        assert!(output.retryable());
        assert_eq!(log.journal.output_end(terminal(1)), Ok(0));
        shelf.fail_commits(None);
        retry("storing output", || log.store_output(terminal(2), 0, vec![1; 10]));
        assert_eq!((log.journal.degraded(), health.borrow_and_update().clone()), (None, None));
    }
    let (_, batches, refused) = log.journal.counts();
    assert_eq!(batches, 3);
    assert!(refused >= 4, "{refused}");
    let next = log.append(vec![remark(session(1), "y")]).expect("stored");
    assert_eq!(next.first, head.next(), "a refused event leaves no hole");
    log.close();
    let log = disk.open();
    assert_dense(&log.events());
    assert_eq!(log.verify().damage, Vec::new());
    log.close();
}

#[test]
fn batches_decided_before_a_failure_are_refused_after_it() {
    let shelf = MemoryShelf::default();
    let log = Disk::Memory(shelf.clone()).open();
    log.remark(session(1), 1);
    let old = log.journal.epoch();
    shelf.fail_commits(Some(full()));
    log.append(vec![remark(session(1), "lost")]).expect_err("the disk fails");
    shelf.fail_commits(None);
    retry("storing output", || log.store_output(terminal(1), 0, vec![1]));
    let batch = Batch { epoch: old, events: vec![remark(session(1), "decided on a lost state")], receipt: None };
    let refused =
        log.journal.append(batch).expect("queued").blocking_recv().expect("answered").expect_err("is too old");
    assert_eq!((refused.code, refused.seq), (Code::StorageFailed, Some(Seq(1))));
    assert_eq!(log.journal.degraded(), None, "an old batch is no failure of the disk");
    log.append(vec![remark(session(1), "decided anew")]).expect("stored");
    assert_eq!(log.journal.head(), Seq(2));
    log.close();
}

#[test]
fn batches_queued_behind_a_failure_are_refused_with_it() {
    let shelf = MemoryShelf::default();
    let log = Disk::Memory(shelf.clone()).open();
    shelf.fail_commits(Some(full()));
    let epoch = log.journal.epoch();
    let batch = |number: usize| Batch { epoch, events: vec![remark(session(1), &number.to_string())], receipt: None };
    let answers: Vec<_> = (0..1000).map(|number| log.journal.append(batch(number)).expect("queued")).collect();
    let refused = answers.into_iter().filter(|_| true).map(|answer| answer.blocking_recv().expect("answered"));
    assert!(refused.into_iter().all(|answer| answer.is_err_and(|rejection| rejection.retryable())));
    shelf.fail_commits(None);
    assert_eq!(log.journal.head(), Seq::ZERO);
    retry("appending", || log.append(vec![remark(session(1), "x")]));
    assert_eq!(log.journal.head(), Seq(1));
    log.close();
}

#[test]
fn a_commit_that_was_answered_with_an_error_and_is_there_all_the_same_is_shown() {
    let shelf = FaultyShelf::default();
    let log = Log::open(Arc::new(shelf.clone()));
    log.remark(session(1), 2);
    let mut follower =
        Follower::new(log.journal.clone(), ropewalk_kernel::log::Filter::All, Seq(2)).expect("at the head");
    shelf.faults.stored_but_failed.store(1, Ordering::SeqCst);
    log.append(vec![remark(session(1), "it happened")]).expect_err("the sync failed");
    assert_eq!(log.journal.head(), Seq(2), "it is not known yet");
    let committed = retry("appending", || log.append(vec![remark(session(1), "after it")]));
    assert_eq!(committed.first, Seq(4));
    let events = log.events();
    assert_dense(&events);
    assert_eq!(events.len(), 4);
    assert_eq!(*log.observed.lock().expect("no panic"), events);
    run(async {
        let mut got = Vec::new();
        while got.len() < 2 {
            if let Step::Page(page) = follower.next().await.expect("reads") {
                got.extend(page.events().expect("decodes"));
            }
        }
        assert_eq!(got, events[2..]);
    });
    assert_eq!(log.verify().damage, Vec::new());
    drop(follower);
    log.close();
    let log = Log::open(Arc::new(shelf));
    assert_eq!(log.events(), events);
    log.close();
}

#[test]
fn an_unreadable_volume_is_a_gap_and_everything_else_is_served() {
    let disk = Disk::memory();
    for volume in 0..3 {
        disk.open().remark(session(volume), 4);
        disk.open().close();
        if volume < 2 {
            disk.begin_volume();
        }
    }
    disk.open().close();
    let Disk::Memory(inner) = &disk else { unreachable!("a memory disk") };
    let shelf = FaultyShelf::over(inner.clone());
    let log = Log::open(Arc::new(shelf.clone()));
    shelf.faults.unreadable.lock().expect("no panic").push(Seq(5));
    let pages = pages(&log.journal, ropewalk_kernel::log::Filter::All, Seq::ZERO);
    let gaps: Vec<_> = pages.iter().flat_map(|page| &page.gaps).map(|gap| (gap.from, gap.to)).collect();
    assert_eq!(gaps, [(Seq(5), Seq(8))]);
    let seqs: Vec<u64> =
        pages.iter().flat_map(|page| page.events().expect("decodes")).map(|event| event.seq.0).collect();
    assert_eq!(seqs, [1, 2, 3, 4, 9, 10, 11, 12]);
    assert!(history(&log.journal, session(1)).is_err(), "an actor must not decide on half a state");
    assert_eq!(history(&log.journal, session(0)).expect("is whole").len(), 4);
    let found = log.verify();
    assert!(found.damage.iter().any(|damage| (damage.from, damage.to) == (5, 8)), "{:?}", found.damage);
    assert_eq!(found.events, 8);
    log.close();
}
