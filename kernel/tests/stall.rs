//! A disk that does not answer: nobody waits for it for ever, reads go on, and what it did after all is shown.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ropewalk_kernel::log::store::StoreError;
use ropewalk_kernel::log::{Batch, Committed, Filter};
use ropewalk_protocol::{Code, CommandResult, Rejection, Seq};
use tokio::sync::oneshot;

use crate::faults::FaultyShelf;
use crate::support::*;

type Answer = oneshot::Receiver<Result<Committed, Rejection>>;

const BOUND: Duration = Duration::from_millis(500);

/// A log whose disk is waited for only a moment, with two remarks in it.
fn impatient() -> (FaultyShelf, Log) {
    let shelf = FaultyShelf::default();
    shelf.faults.commit_millis_max.store(500, Ordering::SeqCst);
    let log = Log::open(Arc::new(shelf.clone()));
    log.remark(session(1), 2);
    (shelf, log)
}

fn send(log: &Log, text: &str, receipt: Option<NewReceipt>) -> Answer {
    let batch = Batch { epoch: log.journal.epoch(), events: vec![remark(session(1), text)], receipt };
    log.journal.append(batch).expect("queued")
}

fn refused(answer: Answer) -> Rejection {
    answer.blocking_recv().expect("answered").expect_err("the disk does not answer")
}

/// Sends a remark whose commit does not return until the gate is opened; it has a receipt.
fn stuck(shelf: &FaultyShelf, log: &Log) -> Answer {
    shelf.faults.commits.shut();
    let answer = send(log, "stuck", Some((command(9000, 1), [1; 16], Ok(CommandResult::Done {}))));
    shelf.faults.commits.has_somebody();
    answer
}

fn healthy(log: &Log) {
    run(async { log.journal.health().wait_for(Option::is_none).await.expect("the log lives") });
}

fn texts(log: &Log) -> Vec<String> {
    let events = log.events();
    assert_dense(&events);
    assert_eq!(*log.observed.lock().expect("no panic"), events);
    events.iter().map(|event| format!("{:?}", event.body)).collect()
}

fn assert_stalled(rejection: &Rejection) {
    assert_eq!((rejection.code, rejection.seq, rejection.retryable()), (Code::StorageFailed, Some(Seq(2)), true));
    assert_eq!(rejection.message, format!("the disk has not answered for {BOUND:?}"));
    assert!(rejection.hint.contains("ropewalk daemon restart"), "{}", rejection.hint);
}

#[test]
fn a_commit_that_does_not_return_is_refused_with_all_that_waits_and_reads_go_on() {
    let (shelf, log) = impatient();
    let epoch = log.journal.epoch();
    let first = stuck(&shelf, &log);
    let behind = send(&log, "behind it", None);
    let output = log.journal.store_output(terminal(1), 0, vec![vec![1; 10].into()]).expect("queued");
    for answer in [first, behind, output] {
        assert_stalled(&refused(answer));
    }
    assert_eq!(log.journal.degraded(), Some(StoreError::Stalled(BOUND)));
    assert!(log.journal.is_stalled() && log.journal.epoch() > epoch);
    assert_stalled(&log.append(vec![remark(session(1), "meanwhile")]).expect_err("refused at once"));
    assert_stalled(&log.store_output(terminal(1), 0, vec![1; 10]).expect_err("refused at once"));
    assert_eq!((log.journal.head(), texts(&log).len()), (Seq(2), 2), "what is written is not promised, so not shown");
    assert_eq!(log.verify().damage, Vec::new());
    assert_eq!(log.journal.counts().2, 5, "each was refused once");
    shelf.faults.commits.open();
    healthy(&log);
    log.close();
}

#[test]
fn a_commit_that_returns_late_is_shown_and_appends_go_on_by_themselves() {
    let (shelf, log) = impatient();
    let mut adoptions = log.journal.adoptions().expect("nobody asked before");
    assert_stalled(&refused(stuck(&shelf, &log)));
    let decided_without_it = log.journal.epoch();
    let unknown = log.journal.receipt(command(9000, 1)).expect_err("nobody is told what is not promised");
    assert_eq!(unknown, StoreError::Stalled(BOUND));
    shelf.faults.commits.open();
    healthy(&log);
    assert_eq!((log.journal.head(), log.journal.is_stalled()), (Seq(3), false));
    assert!(texts(&log)[2].contains("stuck"));
    assert_eq!(adoptions.blocking_recv().expect("what follows from it is to be done")[0].seq, Seq(3));
    assert!(log.journal.may_know(command(9000, 1)));
    assert_eq!(log.journal.receipt(command(9000, 1)).expect("reads").expect("is there").seq, Seq(3));
    let batch = Batch { epoch: decided_without_it, events: vec![remark(session(1), "blind")], receipt: None };
    let refused = log.journal.append(batch).expect("queued").blocking_recv().expect("answered");
    refused.expect_err("it was decided on a state without the late commit");
    assert_eq!(log.append(vec![remark(session(1), "after it")]).expect("appends go on").first, Seq(4));
    log.close();
    let log = Log::open(Arc::new(shelf));
    assert_eq!((log.events().len(), log.verify().damage), (4, Vec::new()));
    log.close();
}

#[test]
fn a_commit_that_fails_late_is_like_any_that_fails() {
    let (shelf, log) = impatient();
    shelf.inner.fail_commits(Some(StoreError::Failed("eio".to_owned())));
    assert_stalled(&refused(stuck(&shelf, &log)));
    shelf.faults.commits.open();
    let failed = |health: &Option<StoreError>| *health == Some(StoreError::Failed("eio".to_owned()));
    run(async { log.journal.health().wait_for(failed).await.expect("the log lives") });
    shelf.inner.fail_commits(None);
    assert_eq!(retry("appending", || log.append(vec![remark(session(1), "after it")])).first, Seq(3));
    assert!(texts(&log)[2].contains("after it"));
    assert_eq!(log.journal.degraded(), None);
    log.close();
}

#[test]
fn a_volume_that_does_not_open_again_keeps_nobody_waiting_either() {
    let (shelf, log) = impatient();
    shelf.faults.stored_but_failed.store(1, Ordering::SeqCst);
    shelf.faults.openings.shut();
    log.append(vec![remark(session(1), "the sync failed")]).expect_err("the sync failed");
    while log.journal.degraded() != Some(StoreError::Stalled(BOUND)) {
        log.append(vec![remark(session(1), "meanwhile")]).expect_err("the disk does not answer");
    }
    shelf.faults.openings.has_somebody();
    shelf.faults.openings.open();
    healthy(&log);
    assert!(texts(&log)[2].contains("the sync failed"), "it happened");
    assert_eq!(retry("appending", || log.append(vec![remark(session(1), "after it")])).first, Seq(4));
    log.close();
}

#[test]
fn a_volume_that_cannot_be_begun_in_time_keeps_nobody_waiting_either() {
    let (shelf, log) = impatient();
    shelf.faults.openings.shut();
    shelf.faults.volume_bytes_max.store(1, Ordering::SeqCst);
    // The commit after which a volume is to be begun is answered before that.
    let fills = || log.append(vec![remark(session(1), "fills the volume")]);
    let refused = (0..3).find_map(|_| fills().err()).expect("the disk does not answer");
    assert_eq!(refused.message, format!("the disk has not answered for {BOUND:?}"));
    let head = log.journal.head();
    shelf.faults.volume_bytes_max.store(0, Ordering::SeqCst);
    shelf.faults.openings.open();
    healthy(&log);
    assert_eq!(log.append(vec![remark(session(1), "after it")]).expect("appends go on").first, head.next());
    assert_dense(&log.events());
    log.close();
}

#[test]
fn a_sealed_volume_that_does_not_open_keeps_nobody_from_the_newest() {
    let disk = Disk::memory();
    disk.open().remark(session(1), 2);
    disk.begin_volume();
    let Disk::Memory(inner) = &disk else { unreachable!("a memory disk") };
    let shelf = FaultyShelf::over(inner.clone());
    let log = Log::open(Arc::new(shelf.clone()));
    shelf.faults.openings.shut();
    std::thread::scope(|scope| {
        let sealed = scope.spawn(|| log.events());
        shelf.faults.openings.has_somebody();
        log.remark(session(2), 2);
        assert_eq!(log.journal.page(Filter::All, Seq(2)).expect("reads").events().expect("decodes").len(), 2);
        assert_eq!(log.journal.stats().volumes, 2);
        shelf.faults.openings.open();
        assert_dense(&sealed.join().expect("no panic"));
    });
    log.close();
}

#[test]
fn a_log_whose_disk_never_answers_can_be_stopped() {
    for before_the_refusal in [true, false] {
        let (shelf, log) = impatient();
        let first = stuck(&shelf, &log);
        if before_the_refusal {
            log.journal.stop().blocking_recv().expect("is answered with the refusals");
            assert_stalled(&refused(first));
        } else {
            assert_stalled(&refused(first));
            log.journal.stop().blocking_recv().expect("is answered at once");
        }
        let refused = log.append(vec![remark(session(1), "too late")]).expect_err("the log is closed");
        assert_eq!(refused.code, Code::ShuttingDown);
        // The process would end here. The writer itself ends once the disk answers.
        shelf.faults.commits.open();
        log.ended();
        let log = Log::open(Arc::new(shelf));
        assert_eq!(log.journal.head(), Seq(3), "what was written is there, though nobody was promised it");
        log.close();
    }
}

#[test]
fn commits_that_return_in_time_are_never_refused_however_many_they_are() {
    let shelf = FaultyShelf::default();
    shelf.faults.commit_millis_max.store(1000, Ordering::SeqCst);
    let log = Log::open(Arc::new(shelf));
    let until = Instant::now() + Duration::from_millis(2200);
    while Instant::now() < until {
        log.remark(session(1), 1);
    }
    log.close();
}
