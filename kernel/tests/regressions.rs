//! Defects that were found, each with its story.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use ropewalk_kernel::log::store::Shelf;
use ropewalk_kernel::log::{Batch, Filter, Journal, MemoryShelf};
use ropewalk_kernel::{Envelope, Follower, Owners, Reply, Router, Step};
use ropewalk_protocol::{Code, CommandResult, Event, LogId, Rejection, Seq, limits};

use crate::faults::FaultyShelf;
use crate::router::{router, say, submit};
use crate::support::*;

const ROW: usize = limits::OUTPUT_ROW_BYTES_MAX;

/// What is told from for ever.
const PATIENCE: Duration = Duration::from_secs(60);

/// What `work` returns, or a failure when it takes longer than it ever should.
fn in_time<T: Send + 'static>(what: &str, work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, waits) = sync_channel(1);
    std::thread::spawn(move || done.send(work()));
    waits.recv_timeout(PATIENCE).unwrap_or_else(|error| panic!("{what}: {error}"))
}

/// A closed log of volumes with four events of one session each, a commit an event.
fn volumes(count: u8) -> MemoryShelf {
    let disk = Disk::memory();
    for volume in 0..count {
        let log = disk.open();
        log.remark(session(volume), 4);
        log.close();
        if volume + 1 < count {
            disk.begin_volume();
        }
    }
    let Disk::Memory(shelf) = disk else { unreachable!("a memory disk") };
    shelf
}

/// What was left of `bytes_max` was computed after a page had got more than it, so reading on in the next volume
/// subtracted with overflow: a panic in a development build, a page without bounds in a release.
#[test]
fn regression_a_page_of_output_that_ends_in_an_older_volume_keeps_its_bound() {
    let disk = Disk::memory();
    for volume in 0..2 {
        let log = disk.open();
        log.remark(session(1), 1);
        log.store_output(terminal(1), volume * 2 * ROW as u64, vec![1; 2 * ROW]).expect("stored");
        log.close();
        if volume == 0 {
            disk.begin_volume();
        }
    }
    let log = disk.open();
    for (from, bytes_max) in [(0, 100), (ROW as u64, 100), (5, ROW), (1, 3 * ROW)] {
        let page = log.journal.output(terminal(1), from, bytes_max).expect("reads");
        assert_eq!((page.offset, page.bytes.len(), page.damaged), (from, bytes_max, false));
    }
}

/// A damaged row of output was noticed only by the hole before the next row, so the last row of a terminal could rot.
#[test]
fn regression_a_terminals_last_row_damaged_is_reported_by_the_check_and_by_reading() {
    let shelf = MemoryShelf::default();
    let log = Disk::Memory(shelf.clone()).open();
    log.store_output(terminal(1), 0, vec![1; 100]).expect("stored");
    let (key, mut value) = tagged(&shelf, Seq(1), OUTPUT)[0].clone();
    let at = value.len() - 1;
    value[at] ^= 1;
    replace(&shelf, Seq(1), &[(key, value)]);
    assert_eq!(log.journal.output_end(terminal(1)), Ok(100));
    let damage = log.verify().damage;
    assert_eq!(damage.len(), 1, "100 stored bytes cannot be read and the check says nothing");
    let page = log.journal.output(terminal(1), 0, 1000).expect("reads");
    assert!(page.damaged, "a page that says nothing is the end of the output: {page:?}");
}

/// A commit that failed and reached the disk was shown after recovery, but its receipt was not remembered: the client's
/// repeat was new to the router and had a second effect.
#[test]
fn regression_a_repeat_of_a_command_whose_failed_commit_reached_the_disk_has_no_second_effect() {
    let shelf = FaultyShelf::default();
    let log = Log::open(Arc::new(shelf.clone()));
    let (router, delivered) = router(&log.journal);
    let id = command(1000, 1);
    shelf.faults.stored_but_failed.store(1, Ordering::SeqCst);
    assert_eq!(submit(&router, id, say(session(1), "once")).expect_err("the sync failed").code, Code::StorageFailed);
    retry("output, which recovers the log", || log.store_output(terminal(1), 0, vec![1]));
    assert_eq!(log.journal.head(), Seq(1), "what reached the disk is shown");
    let answer = submit(&router, id, say(session(1), "once")).expect("the first answer");
    assert_eq!((answer.0, log.journal.head()), (Seq(1), Seq(1)), "{} deliveries", delivered.load(Ordering::SeqCst));
}

/// The same for a refusal: its receipt was on the disk, and the repeat was decided anew.
#[test]
fn regression_a_refusal_whose_failed_commit_reached_the_disk_is_not_decided_again() {
    let shelf = FaultyShelf::default();
    let log = Log::open(Arc::new(shelf.clone()));
    log.remark(session(1), 3);
    let id = command(1000, 1);
    shelf.faults.stored_but_failed.store(1, Ordering::SeqCst);
    let rejection = Rejection::new(Code::AlreadyEnded, "it has ended");
    append(&log.journal, Vec::new(), Some((id, [1; 16], Err(rejection)))).expect_err("the sync failed");
    assert!(log.journal.receipt(id).is_err(), "a refusal is told that is not durable");
    retry("output, which recovers the log", || log.store_output(terminal(1), 0, vec![1]));
    assert!(log.journal.receipt(id).expect("reads").is_some());
    assert!(log.journal.may_know(id), "the receipt is on the disk and called certainly new");
}

/// Found by reading. The command that made the log recover was let in before it was known what was on the disk: its receipt
/// then took the place of a row that had others' receipts as well.
#[test]
fn regression_a_repeat_that_makes_the_log_recover_does_not_overwrite_the_receipts_of_others() {
    let shelf = FaultyShelf::default();
    let log = Log::open(Arc::new(shelf.clone()));
    let refused = |id| Some((id, [1; 16], Err(Rejection::new(Code::AlreadyEnded, "it has ended"))));
    let (first, second) = (command(1000, 1), command(1000, 2));
    let hand_over =
        |events, receipt| log.journal.append(Batch { epoch: log.journal.epoch(), events, receipt }).expect("queued");
    shelf.faults.commits.shut();
    let before = hand_over(vec![remark(session(1), "before")], None);
    shelf.faults.commits.has_somebody();
    // These two are one commit, which fails and is there all the same.
    shelf.faults.stored_but_failed.store(1, Ordering::SeqCst);
    let both = [hand_over(Vec::new(), refused(first)), hand_over(Vec::new(), refused(second))];
    shelf.faults.commits.open();
    before.blocking_recv().expect("told").expect("stored");
    for outcome in both {
        outcome.blocking_recv().expect("told").expect_err("the sync failed");
    }
    // The first one is tried again until the log is well. It was decided otherwise meanwhile.
    let done =
        || append(&log.journal, vec![remark(session(1), "x")], Some((first, [1; 16], Ok(CommandResult::Done {}))));
    while done().expect_err("it was refused").code != Code::Busy {
        std::thread::sleep(Duration::from_millis(5));
    }
    for id in [first, second] {
        assert!(log.journal.receipt(id).expect("reads").expect("is there").outcome.is_err(), "{id}");
    }
    assert_eq!(log.events().len(), 1);
    log.close();
}

/// When the newest volume could not be opened again after a failed commit, its closed handle stayed the newest one, and
/// every reader asked it for ever, without a pause.
#[test]
fn regression_reads_end_while_the_newest_volume_cannot_be_opened_again() {
    let shelf = FaultyShelf::default();
    let log = Log::open(Arc::new(shelf.clone()));
    log.remark(session(1), 3);
    shelf.inner.fail_commits(Some(ropewalk_kernel::log::store::StoreError::Failed("eio".to_owned())));
    log.append(vec![remark(session(1), "x")]).expect_err("the disk fails");
    shelf.faults.no_opening.store(true, Ordering::SeqCst);
    // Once the pause after a failure is over, the writer closes the volume and fails to open it.
    for _ in 0..100 {
        log.append(vec![remark(session(1), "x")]).expect_err("the disk fails");
        std::thread::sleep(Duration::from_millis(5));
    }
    let journal = log.journal.clone();
    drop(in_time("a page", move || journal.page(Filter::All, Seq::ZERO)));
    let journal = log.journal.clone();
    drop(in_time("a receipt", move || journal.receipt(command(1, 1))));
}

fn fill(log: &Log, random: &mut Random, from: u64, bytes: usize) -> u64 {
    let piece = random.bytes(16 * ROW);
    let mut offset = from;
    while offset < from + bytes as u64 {
        log.store_output(terminal(1), offset, piece.clone()).expect("stored");
        offset += piece.len() as u64;
    }
    offset
}

/// A volume is named by its first seq. 64 MiB of output without one event made a second volume of the same name: in memory
/// it took the place of the first, on disk its lock was waited for, a second each time, and the volume grew without end.
#[test]
fn regression_64_mib_of_output_without_an_event_between_are_kept() {
    let shelf = FaultyShelf::default();
    let log = Log::open(Arc::new(shelf.clone()));
    log.remark(session(1), 1);
    let mut random = Random(41);
    let end = fill(&log, &mut random, 0, limits::VOLUME_BYTES_MAX + 17 * ROW);
    let end = fill(&log, &mut random, end, limits::VOLUME_BYTES_MAX + 17 * ROW);
    let created = shelf.faults.created.lock().expect("no panic").clone();
    let page = log.journal.output(terminal(1), 65 * 1024 * 1024 / ROW as u64 * ROW as u64, ROW).expect("reads");
    assert!(!page.damaged && page.bytes.len() == ROW, "the second volume's output is gone; volumes made: {created:?}");
    let mut once = created.clone();
    once.dedup();
    assert_eq!(created, once, "a volume was made twice");
    assert_eq!(log.journal.output_end(terminal(1)), Ok(end));
}

/// A volume whose first commit failed stayed in the row. Events written to the one before it meanwhile were looked for in
/// the empty one after reopening.
#[test]
fn regression_a_volume_that_could_not_be_begun_hides_no_events_after_reopening() {
    let shelf = FaultyShelf::default();
    let log = Log::open(Arc::new(shelf.clone()));
    log.remark(session(1), 2);
    shelf.faults.no_beginning.store(true, Ordering::SeqCst);
    fill(&log, &mut Random(42), 0, limits::VOLUME_BYTES_MAX + 17 * ROW);
    log.remark(session(1), 3);
    assert_eq!(log.events().len(), 5);
    log.close();
    shelf.faults.no_beginning.store(false, Ordering::SeqCst);
    let log = Log::open(Arc::new(shelf.clone()));
    assert_eq!((log.journal.head(), log.lost), (Seq(5), None));
    let pages = pages(&log.journal, Filter::All, Seq::ZERO);
    let gaps: Vec<_> = pages.iter().flat_map(|page| page.gaps.clone()).collect();
    assert!(gaps.is_empty(), "volumes {:?} hide {gaps:?}", shelf.volumes());
    assert_eq!(log.verify().damage, Vec::new());
}

/// The check took a volume's end from the row as it was when it came to that volume, and the head from before: events
/// appended meanwhile, with a rotation behind them, were reported as missing.
#[test]
fn regression_a_check_during_a_rotation_finds_no_damage() {
    let shelf = volumes(2);
    let log = Disk::Memory(shelf).open();
    let mut begun = false;
    let found = log.journal.verify(&mut |_| {
        if !std::mem::replace(&mut begun, true) {
            log.remark(session(1), 3);
            fill(&log, &mut Random(43), 0, limits::VOLUME_BYTES_MAX + 17 * ROW);
        }
    });
    assert_eq!(log.journal.stats().volumes, 3, "a rotation took place");
    assert_eq!(found.expect("the check runs").damage, Vec::new());
}

/// A session's page gave a gap of one event for a damaged chunk, whatever the session had in it.
#[test]
fn regression_a_gap_in_a_sessions_page_names_all_that_cannot_be_read() {
    let shelf = MemoryShelf::default();
    let log = Disk::Memory(shelf.clone()).open();
    for _ in 0..3 {
        log.append((0..4).map(|_| remark(session(1), "x")).collect()).expect("stored");
    }
    shelf.damage_event_row(1);
    let page = log.journal.page(Filter::Session(session(1)), Seq::ZERO).expect("reads");
    let gaps: Vec<_> = page.gaps.iter().map(|gap| (gap.from.0, gap.to.0)).collect();
    assert_eq!(gaps, [(5, 8)]);
}

/// The chunk before the cursor was looked at to see whether it reaches beyond it. Damaged, it gave a gap for what lies
/// before the cursor, and each page after it gave it again.
#[test]
fn regression_a_gap_in_a_sessions_page_lies_after_the_cursor() {
    let shelf = MemoryShelf::default();
    let log = Disk::Memory(shelf.clone()).open();
    for who in [1, 2, 2, 1] {
        log.append(vec![remark(session(who), "x")]).expect("stored");
    }
    shelf.damage_event_row(0);
    for after in 1..4 {
        let page = log.journal.page(Filter::Session(session(1)), Seq(after)).expect("reads");
        assert_eq!(page.events().expect("decodes").len(), 1);
        assert!(page.gaps.is_empty(), "after {after}: {:?}", page.gaps);
    }
}

/// At once, or later in a task of its own.
struct Panicking(bool);

impl Owners for Panicking {
    fn deliver(&self, _: Envelope, reply: Reply) {
        if !self.0 {
            panic!("a defect in a directory");
        }
        tokio::spawn(async move {
            let _reply = reply;
            tokio::task::yield_now().await;
            panic!("a defect in an actor")
        });
    }
}

/// A command whose owner panicked stayed in flight for ever, and so did all who waited for it.
#[test]
fn regression_a_command_whose_owner_panics_is_answered() {
    for later in [false, true] {
        let log = Disk::memory().open();
        let journal = log.journal.clone();
        let answer = in_time("the answer", move || {
            let router = Router::new(journal, Panicking(later), Arc::new(ropewalk_kernel::clock::System));
            run(ask(&router, command(1, 1), say(session(1), "x")))
        });
        assert!(answer.is_err_and(|rejection| rejection.code == Code::Internal && rejection.retryable()));
    }
}

/// A follower holds the log, and with it the sender of its heads: it was never told that the log is closed.
#[test]
fn regression_a_follower_is_told_that_the_log_was_closed() {
    let log = Disk::memory().open();
    let mut follower = Follower::new(log.journal.clone(), Filter::All, Seq::ZERO).expect("at the head");
    log.close();
    let step = in_time("the last step", move || {
        run(async move {
            assert!(matches!(follower.next().await, Ok(Step::Live(_))));
            follower.next().await.map(|_| ())
        })
    });
    assert_eq!(step.expect_err("the log is closed").code, Code::ShuttingDown);
}

/// The place after the last possible one was computed: a panic in a development build, the first event in a release.
#[test]
fn regression_a_cursor_of_the_largest_number_is_no_panic() {
    let log = Disk::memory().open();
    log.remark(session(1), 3);
    for filter in [Filter::All, Filter::Session(session(1))] {
        let page = log.journal.page(filter, Seq(u64::MAX)).expect("reads");
        assert!(page.slices.is_empty() && page.gaps.is_empty());
        let page = log.journal.recent_page(filter, Seq(u64::MAX));
        assert!(page.is_none_or(|page| page.slices.is_empty()));
    }
}

/// Reading began in the newest volume when the cursor lies before the oldest one that is left.
#[test]
fn regression_without_its_first_volume_the_rest_of_the_log_is_served() {
    let shelf = FaultyShelf::over(volumes(3));
    shelf.faults.hidden.lock().expect("no panic").push(Seq(1));
    let log = Log::open(Arc::new(shelf));
    let pages = pages(&log.journal, Filter::All, Seq::ZERO);
    let gaps: Vec<_> = pages.iter().flat_map(|page| &page.gaps).map(|gap| (gap.from.0, gap.to.0)).collect();
    assert_eq!(gaps, [(1, 4)]);
}

/// With the end of the volume before it damaged, an empty newest volume was taken on from the last readable place: new
/// events got places below the volume's first and could not be read again.
#[test]
fn regression_events_appended_after_a_damaged_sealed_volume_can_be_read() {
    let disk = Disk::Memory(volumes(1));
    disk.begin_volume();
    let Disk::Memory(shelf) = &disk else { unreachable!("a memory disk") };
    let shelf = copy_without_index(shelf, |_, _| true);
    shelf.damage_event_row(3);
    let disk = Disk::Memory(shelf);
    let log = disk.open();
    let committed = log.append(vec![remark(session(9), "new")]).expect("stored");
    let history = history(&log.journal, session(9)).expect("reads");
    assert_eq!(history.len(), 1);
    let pages = pages(&log.journal, Filter::All, Seq::ZERO);
    let seqs: Vec<u64> =
        pages.iter().flat_map(|page| page.events().expect("decodes")).map(|event| event.seq.0).collect();
    assert!(seqs.contains(&committed.first.0), "{} was acknowledged; there are {seqs:?}", committed.first);
}

/// The places of acknowledged events that were lost were given out again: whoever had seen them missed the new ones in
/// silence, and the damaged chunk was written over.
#[test]
fn regression_places_of_lost_events_are_not_given_out_again() {
    let shelf = volumes(1);
    shelf.damage_event_row(3);
    let disk = Disk::Memory(shelf);
    let log = disk.open();
    assert_eq!(log.lost, Some((Seq(4), Seq(4))));
    let committed = log.append(vec![remark(session(9), "new")]).expect("stored");
    assert_eq!(committed.first, Seq(5), "event 4 was acknowledged and may have been seen");
}

/// HEAD holds the hash of the newest chunk, and nothing compared it: the newest chunk could be replaced.
#[test]
fn regression_the_newest_chunk_replaced_by_a_valid_one_is_noticed() {
    let shelf = volumes(1);
    let other = copy_without_index(&shelf, |_, _| true);
    for (shelf, text) in [(&shelf, "true"), (&other, "forged")] {
        let log = Disk::Memory(shelf.clone()).open();
        log.append(vec![remark(session(1), text)]).expect("stored");
        log.close();
    }
    replace(&shelf, Seq(1), &[tagged(&other, Seq(1), CHUNKS)[4].clone()]);
    let log = Disk::Memory(shelf).open();
    let damage = log.verify().damage;
    assert!(log.lost.is_some() || !damage.is_empty(), "a chunk that was never written passes");
}

/// HEAD's slots took turns from the second one on after each opening, so the slot with the newest head could be the one
/// that a torn write destroys.
#[test]
fn regression_head_is_written_into_the_slot_that_the_newest_head_is_not_in() {
    let shelf = MemoryShelf::default();
    let disk = Disk::Memory(shelf.clone());
    for _ in 0..5 {
        let before = shelf.read_head().expect("reads");
        let seq = |slot: &[u8]| slot.get(4..12).map_or(0, |seq| u64::from_le_bytes(seq.try_into().expect("8 bytes")));
        let newest = usize::from(seq(&before[1]) > seq(&before[0]));
        let log = disk.open();
        log.remark(session(1), 1);
        log.close();
        let after = shelf.read_head().expect("reads");
        if !before[newest].is_empty() {
            assert_eq!(before[newest], after[newest], "the newest head was written over");
        }
    }
}

/// A receipt has no bound of its own: too large for a row, it failed the whole group and degraded the log.
#[test]
fn regression_a_receipt_that_is_too_large_fails_its_command_only() {
    let log = Disk::memory().open();
    let matches = (0..2000).map(|number| format!("{number:050}")).collect();
    let rejection = Rejection { matches, ..Rejection::new(Code::Ambiguous, "many") };
    let refused = append(&log.journal, Vec::new(), Some((command(1, 1), [1; 16], Err(rejection))));
    assert_eq!(refused.expect_err("it fits into no row").code, Code::TooLarge);
    assert_eq!((log.journal.degraded(), log.journal.epoch()), (None, 1));
    log.append(vec![remark(session(1), "x")]).expect("the log is well");
}

/// A sealed volume that cannot be opened kept the whole log closed when the index was gone too.
#[test]
fn regression_a_log_without_index_opens_beside_a_sealed_volume_that_does_not() {
    let shelf = FaultyShelf::over(copy_without_index(&volumes(3), |_, _| true));
    shelf.faults.unreadable.lock().expect("no panic").push(Seq(1));
    let opened = Journal::open(Arc::new(shelf), LogId::from_bytes([7; 16]), |_| Box::new(|_: &[Event]| {}));
    let opened = opened.unwrap_or_else(|error| panic!("damage is not confined to its volume: {error}"));
    let pages = pages(&opened.journal, Filter::All, Seq::ZERO);
    assert_eq!(pages.iter().map(|page| page.events().expect("decodes").len()).sum::<usize>(), 8);
}

/// One volume that does not open made all of a terminal's output unreadable, with no way around it.
#[test]
fn regression_output_is_read_around_a_volume_that_does_not_open() {
    let disk = Disk::memory();
    for volume in 0..3_u8 {
        let log = disk.open();
        log.remark(session(1), 1);
        log.store_output(terminal(1), u64::from(volume) * 100, vec![volume; 100]).expect("stored");
        log.close();
        if volume < 2 {
            disk.begin_volume();
        }
    }
    disk.open().close();
    let Disk::Memory(inner) = disk else { unreachable!("a memory disk") };
    let shelf = FaultyShelf::over(inner);
    let log = Log::open(Arc::new(shelf.clone()));
    shelf.faults.unreadable.lock().expect("no panic").push(Seq(2));
    assert_eq!(log.journal.output(terminal(1), 0, 100).expect("reads").bytes, vec![0; 100]);
    let page = log.journal.output(terminal(1), 100, 100).expect("the rest can be read");
    assert_eq!((page.offset, page.damaged, page.bytes), (200, true, vec![2; 100]));
}

/// Rows of the stream index carry no checksum and were believed: another session's event was served.
#[test]
fn regression_a_damaged_row_of_the_stream_index_serves_no_other_sessions_events() {
    let shelf = MemoryShelf::default();
    let log = Disk::Memory(shelf.clone()).open();
    log.append(vec![remark(session(1), "mine"), remark(session(2), "yours")]).expect("stored");
    let (key, mut value) = tagged(&shelf, Seq(1), STREAMS)[0].clone();
    value[0] ^= 1;
    replace(&shelf, Seq(1), &[(key, value)]);
    let history = history(&log.journal, session(1)).unwrap_or_default();
    assert!(history.iter().all(|event| event.stream.session() == Some(session(1))), "{history:?}");
}

/// Receipts carry no checksum: a flipped bit was answered to the client as if it had been decided.
#[test]
fn regression_a_damaged_receipt_is_an_error_and_is_reported() {
    let shelf = MemoryShelf::default();
    let log = Disk::Memory(shelf.clone()).open();
    let made = CommandResult::SessionCreated { session: session(1), agent: None, terminal: None };
    append(&log.journal, vec![remark(session(1), "x")], Some((command(1, 1), [1; 16], Ok(made)))).expect("stored");
    let (key, mut value) = tagged(&shelf, Seq(1), RECEIPTS)[0].clone();
    let at = value.len() - 5;
    value[at] ^= 1;
    replace(&shelf, Seq(1), &[(key, value)]);
    let receipt = log.journal.receipt(command(1, 1));
    assert!(receipt.is_err(), "another answer than the first one: {receipt:?}");
    assert!(!log.verify().damage.is_empty());
}

/// A batch that was refused at once was told before one that was handed over earlier: taken for it, it was acknowledged.
#[test]
fn regression_each_outcome_is_told_of_its_own_batch_in_whatever_order_they_come() {
    let shelf = FaultyShelf::default();
    let log = Log::open(Arc::new(shelf.clone()));
    let done = (command(1000, 1), [1; 16], Ok(CommandResult::Done {}));
    shelf.faults.stored_but_failed.store(1, Ordering::SeqCst);
    append(&log.journal, vec![remark(session(1), "done before")], Some(done.clone())).expect_err("the disk failed");
    // What was stored all the same is taken on before this.
    retry("a remark", || append(&log.journal, vec![remark(session(1), "the disk is well")], None));
    shelf.faults.commits.shut();
    let (outcomes, mut told) = tokio::sync::mpsc::channel(8);
    let hand_over = |number, receipt| {
        let events = vec![remark(session(1), &format!("number {number}"))];
        let batch = Batch { epoch: log.journal.epoch(), events, receipt };
        log.journal.append_numbered(batch, number, &outcomes).expect("queued");
    };
    hand_over(0, None);
    shelf.faults.commits.has_somebody();
    // These are one group; the second is a repeat, and the third was decided on what that would have been.
    hand_over(1, None);
    hand_over(2, Some(done));
    hand_over(3, None);
    shelf.faults.commits.open();
    let mut stored: Vec<(u64, bool)> = (0..4)
        .map(|_| told.blocking_recv().expect("told"))
        .map(|outcome| (outcome.number, outcome.stored.is_ok()))
        .collect();
    assert_ne!(stored.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [0, 1, 2, 3], "refusals do not wait");
    stored.sort_unstable();
    assert_eq!(stored, [(0, true), (1, true), (2, false), (3, false)]);
    assert_eq!(log.events().len(), 4);
    log.close();
}
