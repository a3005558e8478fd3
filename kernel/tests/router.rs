//! A command is carried out once, however often and from wherever it is sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ropewalk_kernel::clock::Manual;
use ropewalk_kernel::log::{Batch, Filter, Journal, MemoryShelf};
use ropewalk_kernel::{Answer, Envelope, Owners, Reply, Router};
use ropewalk_protocol::{Code, Command, CommandId, CommandResult, Rejection, Seq, SessionId, Timestamp};

use crate::support::*;

on_both_disks! {
    the_same_command_sent_a_hundred_times_at_once_has_one_effect
    a_repeat_after_reopening_gets_the_first_answer
    the_same_id_for_another_command_is_a_conflict
    an_id_that_is_no_uuid_v7_is_refused_and_not_delivered
    a_refusal_is_repeated_as_it_was
    a_retryable_refusal_is_not_stored
}

/// Owners that write a remark for each command, or refuse it by what it says.
#[derive(Clone)]
pub(crate) struct Scribe {
    pub(crate) journal: Journal,
    pub(crate) delivered: Arc<AtomicUsize>,
}

impl Owners for Scribe {
    fn deliver(&self, envelope: Envelope, reply: Reply) {
        self.delivered.fetch_add(1, Ordering::SeqCst);
        let scribe = self.clone();
        tokio::spawn(async move { reply(scribe.write(envelope).await) });
    }
}

impl Scribe {
    async fn write(&self, envelope: Envelope) -> Answer {
        assert_eq!(envelope.now, Timestamp::from_unix_micros(77));
        let Command::SessionAnnotate { session, text } = &envelope.command else {
            return Err(Rejection::invalid("only remarks"));
        };
        // Others get a turn, so that repeats arrive while this one is carried out.
        for _ in 0..5 {
            tokio::task::yield_now().await;
        }
        let (events, outcome) = match text.as_str() {
            "busy" => return Err(Rejection::new(Code::Busy, "a queue is full")),
            "no" => (Vec::new(), Err(Rejection::new(Code::AlreadyEnded, "it has ended").at(Seq(3)))),
            text => {
                let made = CommandResult::SessionCreated { session: *session, agent: None, terminal: None };
                (vec![remark(*session, text)], Ok(made))
            }
        };
        let receipt = Some((envelope.id, envelope.digest, outcome.clone()));
        let batch = Batch { epoch: self.journal.epoch(), events, receipt };
        let committed = self.journal.append(batch)?.await.expect("answered")?;
        outcome.map(|result| (committed.last, result))
    }
}

pub(crate) fn router(journal: &Journal) -> (Router<Scribe>, Arc<AtomicUsize>) {
    let delivered = Arc::new(AtomicUsize::new(0));
    let scribe = Scribe { journal: journal.clone(), delivered: delivered.clone() };
    (Router::new(journal.clone(), scribe, Arc::new(Manual::at(Timestamp::from_unix_micros(77)))), delivered)
}

pub(crate) fn say(session: SessionId, text: &str) -> Command {
    Command::SessionAnnotate { session, text: text.to_owned() }
}

pub(crate) fn submit(router: &Router<Scribe>, id: CommandId, command: Command) -> Answer {
    run(ask(router, id, command))
}

fn the_same_command_sent_a_hundred_times_at_once_has_one_effect(disk: &Disk) {
    let log = disk.open();
    let (router, delivered) = router(&log.journal);
    let id = command(1000, 1);
    // Four threads with a runtime each, and 25 tasks on each of them.
    let answers: Vec<Answer> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let router = router.clone();
                scope.spawn(move || {
                    run(async move {
                        let tasks: Vec<_> = (0..25)
                            .map(|_| {
                                let router = router.clone();
                                tokio::spawn(async move { ask(&router, id, say(session(1), "once")).await })
                            })
                            .collect();
                        let mut answers = Vec::new();
                        for task in tasks {
                            answers.push(task.await.expect("no panic"));
                        }
                        answers
                    })
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
    });
    assert_eq!(answers.len(), 100);
    let first = answers[0].clone().expect("it is done");
    assert_eq!(first.0, Seq(1));
    assert!(answers.into_iter().all(|answer| answer == Ok(first.clone())));
    assert_eq!(delivered.load(Ordering::SeqCst), 1);
    assert_eq!(events_of(&log.journal, Filter::All).len(), 1);
    drop(router);
    log.close();
}

fn a_repeat_after_reopening_gets_the_first_answer(disk: &Disk) {
    let mut answers = Vec::new();
    for round in 0..3 {
        let log = disk.open();
        let (router, delivered) = router(&log.journal);
        for number in 0..5 {
            let answer = submit(&router, command(1000 - number, number), say(session(1), &number.to_string()));
            if round == 0 {
                answers.push(answer.clone());
            }
            assert_eq!(answer, answers[usize::try_from(number).expect("small")]);
        }
        assert_eq!(delivered.load(Ordering::SeqCst), if round == 0 { 5 } else { 0 });
        assert_eq!(log.journal.head(), Seq(5));
        drop(router);
        log.close();
        if round == 0 {
            disk.begin_volume();
        }
    }
}

fn the_same_id_for_another_command_is_a_conflict(disk: &Disk) {
    let log = disk.open();
    log.remark(session(1), 2);
    let (router, delivered) = router(&log.journal);
    let id = command(1000, 1);
    submit(&router, id, say(session(1), "one")).expect("done");
    for other in [say(session(1), "two"), say(session(2), "one"), Command::SessionEnd { session: session(1) }] {
        let refused = submit(&router, id, other).expect_err("the id is taken");
        assert_eq!((refused.code, refused.seq, refused.retryable()), (Code::Conflict, Some(Seq(3)), false));
    }
    // While the first is being carried out, too.
    let id = command(1000, 2);
    let both = run(async {
        let (one, two) = (router.clone(), router.clone());
        let one = tokio::spawn(async move { ask(&one, id, say(session(1), "one")).await });
        let two = tokio::spawn(async move { ask(&two, id, say(session(1), "two")).await });
        [one.await.expect("no panic"), two.await.expect("no panic")]
    });
    assert!(both[0].is_ok());
    assert_eq!(both[1].clone().expect_err("the id is taken").code, Code::Conflict);
    assert_eq!(delivered.load(Ordering::SeqCst), 2);
    submit(&router, id, say(session(1), "one")).expect("the first answer again");
    drop(router);
    log.close();
}

fn an_id_that_is_no_uuid_v7_is_refused_and_not_delivered(disk: &Disk) {
    let log = disk.open();
    let (router, delivered) = router(&log.journal);
    let mut v4 = *command(1000, 1).as_bytes();
    v4[6] = 0x40;
    for id in [CommandId::from_bytes([0; 16]), CommandId::from_bytes(v4), CommandId::from_bytes([255; 16])] {
        let refused = submit(&router, id, say(session(1), "x")).expect_err("no v7");
        assert_eq!(refused.code, Code::InvalidParams);
        assert!(refused.hint.contains("v7"));
    }
    let refused =
        submit(&router, command(1000, 1), Command::SessionRename { session: session(1), name: String::new() });
    assert_eq!(refused.expect_err("no name").code, Code::InvalidParams);
    assert_eq!((delivered.load(Ordering::SeqCst), log.journal.head()), (0, Seq::ZERO));
    drop(router);
    log.close();
}

fn a_refusal_is_repeated_as_it_was(disk: &Disk) {
    let id = command(1000, 1);
    let mut answers = Vec::new();
    for round in 0..2 {
        let log = disk.open();
        let (router, delivered) = router(&log.journal);
        for _ in 0..3 {
            answers.push(submit(&router, id, say(session(1), "no")).expect_err("it is refused"));
        }
        assert_eq!(delivered.load(Ordering::SeqCst), 1 - round);
        drop(router);
        log.close();
    }
    assert_eq!((answers[0].code, answers[0].seq), (Code::AlreadyEnded, Some(Seq(3))));
    assert!(answers.iter().all(|answer| *answer == answers[0]));
}

fn a_retryable_refusal_is_not_stored(disk: &Disk) {
    let log = disk.open();
    let (router, delivered) = router(&log.journal);
    let id = command(1000, 1);
    for _ in 0..3 {
        assert_eq!(submit(&router, id, say(session(1), "busy")).expect_err("busy").code, Code::Busy);
    }
    assert_eq!(delivered.load(Ordering::SeqCst), 3);
    assert_eq!(log.journal.receipt(id), Ok(None));
    submit(&router, id, say(session(1), "then")).expect("nothing was decided for this id");
    drop(router);
    log.close();
}

#[test]
fn a_command_that_fails_on_a_full_disk_is_done_once_when_there_is_room() {
    let shelf = MemoryShelf::default();
    let log = Disk::Memory(shelf.clone()).open();
    let (router, _) = router(&log.journal);
    let id = command(1000, 1);
    shelf.fail_commits(Some(ropewalk_kernel::log::store::StoreError::Full("os error 28".to_owned())));
    assert_eq!(submit(&router, id, say(session(1), "x")).expect_err("full").code, Code::StorageFull);
    shelf.fail_commits(None);
    let answer = retry("the same command", || submit(&router, id, say(session(1), "x")));
    assert_eq!(submit(&router, id, say(session(1), "x")), Ok(answer));
    assert_eq!(log.journal.head(), Seq(1));
    drop(router);
    log.close();
}

#[test]
fn a_command_whose_sender_went_away_is_carried_out_all_the_same() {
    let log = Disk::memory().open();
    let (router, delivered) = router(&log.journal);
    let id = command(1000, 1);
    run(async {
        let mut heads = log.journal.heads();
        {
            let mut submitted = Box::pin(ask(&router, id, say(session(1), "x")));
            // Polled once, so that it is admitted, then dropped.
            std::future::poll_fn(|context| {
                drop(submitted.as_mut().poll(context));
                std::task::Poll::Ready(())
            })
            .await;
        }
        heads.wait_for(|head| *head == Seq(1)).await.expect("the log is open");
        let again = ask(&router, id, say(session(1), "x")).await.expect("the first answer");
        assert_eq!(again.0, Seq(1));
    });
    assert_eq!(delivered.load(Ordering::SeqCst), 1);
    drop(router);
    log.close();
}
