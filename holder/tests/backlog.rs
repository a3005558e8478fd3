//! What is not durable yet: kept in memory, then in the spool, and then the program waits.

use std::os::unix::fs::FileExt;
use std::time::Duration;

use ropewalk_protocol::holder::{Exit, FromHolder, HOLDER_PROTOCOL, ToHolder};
use ropewalk_protocol::limits;

use crate::client::{Daemon, Holder, STREAM, eventually, lines, spawn_sh};

const WINDOW: usize = limits::HOLDER_WINDOW_BYTES_MAX;
/// A read takes up to this much at once.
const READ: usize = 65_536;

/// Everything of the stream, each piece durable as it comes.
fn take_all(daemon: &mut Daemon, length: usize) -> Vec<u8> {
    let mut all = Vec::new();
    while all.len() < length {
        let (offset, bytes) = daemon.output(STREAM);
        assert_eq!(offset, all.len() as u64);
        all.extend_from_slice(&bytes);
        daemon.tell(&ToHolder::Durable { stream: STREAM, offset: all.len() as u64 });
    }
    all
}

/// What a daemon that comes finds: the first byte kept, and the end.
fn kept(holder: &Holder) -> (usize, usize) {
    let held = &holder.connect().runs[0];
    (usize::try_from(held.kept_from).unwrap(), usize::try_from(held.end).unwrap())
}

/// A daemon that comes when a program has ended which began under another one and wrote far more than memory takes.
fn after_a_run_without_a_daemon(holder: &Holder) -> Daemon {
    after_a_run_without_a_daemon_of(holder, HOLDER_PROTOCOL)
}

/// The same, of a build that speaks this version.
fn after_a_run_without_a_daemon_of(holder: &Holder, version: u16) -> Daemon {
    holder.connect().spawn(&spawn_sh("seq 1 1500000; printf '\\033]0;done\\007'")).unwrap();
    let mut daemon = holder.connect_speaking(version);
    assert_eq!(daemon.exit(), Exit::Code(0));
    daemon
}

#[test]
fn a_program_writes_on_without_a_daemon_and_all_of_it_is_kept() {
    let holder = Holder::start();
    let mut daemon = after_a_run_without_a_daemon(&holder);
    let mut expected = lines(1_500_000);
    expected.extend_from_slice(b"\x1b]0;done\x07");
    assert_eq!(std::fs::read_dir(&holder.config.spool).unwrap().count(), 1, "it is far more than memory takes");
    daemon.follow(STREAM, 0);
    assert!(take_all(&mut daemon, expected.len()) == expected);
    assert_eq!(daemon.rest(STREAM), (Vec::new(), expected.len() as u64));
    daemon.read_so_far();
    assert_eq!(std::fs::read_dir(&holder.config.spool).unwrap().count(), 0, "all of it is durable");
}

#[test]
fn a_program_waits_while_nothing_becomes_durable() {
    let holder = Holder::start();
    let mut daemon = holder.connect();
    daemon.sh("seq 1 1500000");
    let mut all = Vec::new();
    let window = limits::HOLDER_WINDOW_BYTES_MAX;
    while all.len() < window {
        all.extend_from_slice(&daemon.output(STREAM).1);
    }
    assert_eq!(all.len(), window);
    let read = daemon.read_so_far() as usize;
    assert!((window..window + 65_536).contains(&read), "{read} bytes were read");
    daemon.tell(&ToHolder::Durable { stream: STREAM, offset: window as u64 });
    let expected = lines(1_500_000);
    while all.len() < expected.len() {
        all.extend_from_slice(&daemon.output(STREAM).1);
        daemon.tell(&ToHolder::Durable { stream: STREAM, offset: all.len() as u64 });
    }
    assert!(all == expected);
    assert_eq!(daemon.exit(), Exit::Code(0));
}

#[test]
fn a_program_goes_on_into_the_spool_when_its_daemon_makes_nothing_durable_for_a_while() {
    let holder = Holder::start_with(Duration::from_millis(20));
    let mut daemon = holder.connect();
    daemon.sh("seq 1 1500000");
    assert_eq!(daemon.exit(), Exit::Code(0), "it is not held up, though nothing is durable");
    assert_eq!(std::fs::read_dir(&holder.config.spool).unwrap().count(), 1);
    let expected = lines(1_500_000);
    assert!(take_all(&mut daemon, expected.len()) == expected);
    assert_eq!(daemon.rest(STREAM), (Vec::new(), expected.len() as u64));
}

#[test]
fn a_daemon_that_is_slow_but_stores_holds_a_flood_at_the_window() {
    let holder = Holder::start();
    let mut daemon = holder.connect();
    daemon.sh("yes");
    let mut durable = 0;
    for _ in 0..100 {
        let (offset, bytes) = daemon.output(STREAM);
        durable = offset as usize + bytes.len();
        daemon.tell(&ToHolder::Durable { stream: STREAM, offset: durable as u64 });
        let ahead = daemon.read_so_far() as usize - durable;
        assert!(ahead <= WINDOW, "{ahead} bytes are kept");
    }
    assert!(durable > 0);
}

#[test]
fn a_backlog_is_worked_off_while_its_program_writes_on() {
    let holder = Holder::start();
    // Long lines: so many bytes are soon there.
    holder
        .connect()
        .spawn(&spawn_sh("yes 0123456789012345678901234567890123456789012345678901234567890123456789"))
        .unwrap();
    eventually("a backlog", || kept(&holder).1 > 5 * WINDOW);
    let mut daemon = holder.connect();
    daemon.follow(STREAM, 0);
    let backlog_end = daemon.read_so_far() as usize;
    let (mut durable, mut end, mut was_let_in) = (0, backlog_end, false);
    while durable < backlog_end {
        let (offset, bytes) = daemon.output(STREAM);
        assert_eq!(offset as usize, durable);
        durable += bytes.len();
        daemon.tell(&ToHolder::Durable { stream: STREAM, offset: durable as u64 });
        end = daemon.read_so_far() as usize;
        assert!(end - backlog_end <= durable / 2, "{end} with {durable} durable");
        was_let_in |= durable < backlog_end && end > backlog_end;
    }
    assert!(was_let_in, "the program is not shut out until the backlog is gone");
    assert!(end - durable <= backlog_end.div_ceil(2).max(WINDOW), "the backlog is half of what it was, or less");
}

#[test]
fn a_spool_that_cannot_be_written_makes_the_program_wait_and_nothing_is_lost_and_it_resumes_by_itself() {
    let holder = Holder::start();
    std::fs::remove_dir(&holder.config.spool).unwrap();
    holder.connect().spawn(&spawn_sh("seq 1 1500000")).unwrap();
    let memory = limits::HOLDER_MEMORY_BYTES_MAX;
    eventually("memory is full", || kept(&holder).1 > memory);
    let (start, end) = kept(&holder);
    assert!(start == 0 && end <= memory + READ, "{end} bytes in memory");
    std::fs::create_dir(&holder.config.spool).unwrap();
    let mut daemon = holder.connect();
    assert_eq!(daemon.exit(), Exit::Code(0), "nobody had to tell it that there is a place");
    daemon.follow(STREAM, 0);
    let expected = lines(1_500_000);
    assert!(take_all(&mut daemon, expected.len()) == expected);
}

#[test]
fn a_spool_that_was_cut_short_is_waited_for_and_the_holder_lives_on() {
    let holder = Holder::start();
    let mut daemon = after_a_run_without_a_daemon(&holder);
    let spool = std::fs::read_dir(&holder.config.spool).unwrap().next().unwrap().unwrap().path();
    let whole = std::fs::read(&spool).unwrap();
    std::fs::OpenOptions::new().write(true).open(&spool).unwrap().set_len(100_000).unwrap();
    daemon.follow(STREAM, 0);
    let memory = limits::HOLDER_MEMORY_BYTES_MAX;
    let mut all = take_all(&mut daemon, memory);
    daemon.read_so_far();
    // Put back what was there: the rest comes, from the byte that was missing on.
    std::fs::OpenOptions::new().write(true).open(&spool).unwrap().set_len(0).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&std::fs::OpenOptions::new().write(true).open(&spool).unwrap(), &whole, 0)
        .unwrap();
    let (rest, end) = daemon.rest_durably(STREAM, all.len() as u64);
    all.extend_from_slice(&rest);
    assert_eq!(end, all.len() as u64);
    assert!(all.starts_with(&lines(1_500_000)));
}

const BLOCK: u64 = limits::HOLDER_SPOOL_BLOCK_BYTES as u64;

/// The spool file there is.
fn spool(holder: &Holder) -> std::path::PathBuf {
    std::fs::read_dir(&holder.config.spool).unwrap().next().unwrap().unwrap().path()
}

/// Flips a bit of each of these places.
fn flip(path: &std::path::Path, places: &[u64]) {
    let file = std::fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
    for place in places {
        let mut byte = [0];
        file.read_exact_at(&mut byte, *place).unwrap();
        file.write_all_at(&[byte[0] ^ 4], *place).unwrap();
    }
}

/// Where bytes stand, and the bytes.
type Piece = (u64, Vec<u8>);

/// What comes of the stream up to its end: bytes, and the ranges that are told as lost. Offsets are dense.
fn take_what_comes(daemon: &mut Daemon, from: u64) -> (Vec<Piece>, Vec<(u64, u64)>, u64) {
    let (mut pieces, mut lost, mut at) = (Vec::new(), Vec::new(), from);
    loop {
        let next = daemon.wait(|frame| match frame {
            FromHolder::Output { stream: STREAM, offset, bytes } => Some(Ok((*offset, bytes.clone()))),
            FromHolder::Lost { stream: STREAM, from, to, .. } => Some(Err((*from, *to))),
            FromHolder::End { stream: STREAM, offset } => Some(Err((*offset, *offset))),
            _ => None,
        });
        let from = match &next {
            Ok((from, _)) | Err((from, _)) => *from,
        };
        assert_eq!(from, at, "nothing is left out in silence");
        match next {
            Ok((offset, bytes)) => {
                at += bytes.len() as u64;
                pieces.push((offset, bytes));
            }
            Err((from, to)) if from == to => return (pieces, lost, at),
            Err((from, to)) => {
                at = to;
                lost.push((from, to));
            }
        }
        daemon.tell(&ToHolder::Durable { stream: STREAM, offset: at });
    }
}

#[test]
fn what_is_damaged_in_the_spool_is_told_as_lost_by_its_range_and_all_else_comes_as_it_was() {
    let holder = Holder::start();
    let mut daemon = after_a_run_without_a_daemon(&holder);
    let begin = limits::HOLDER_MEMORY_BYTES_MAX as u64;
    let last = std::fs::metadata(spool(&holder)).unwrap().len() - 1;
    flip(&spool(&holder), &[0, 5 * BLOCK - 1, 7 * BLOCK + 9, last]);
    daemon.follow(STREAM, 0);
    let (pieces, lost, end) = take_what_comes(&mut daemon, 0);
    let mut expected = lines(1_500_000);
    expected.extend_from_slice(b"\x1b]0;done\x07");
    assert_eq!(end, expected.len() as u64);
    let block = |number: u64| (begin + number * BLOCK, end.min(begin + (number + 1) * BLOCK));
    assert_eq!(lost, [block(0), block(4), block(7), block(last / BLOCK)]);
    for (offset, bytes) in pieces {
        assert!(expected[offset as usize..].starts_with(&bytes), "wrong bytes at {offset}");
    }
    daemon.read_so_far();
    assert_eq!(std::fs::read_dir(&holder.config.spool).unwrap().count(), 0, "what is lost is not kept");
}

/// One of version 1 does not know the word: it is given nothing wrong, and the next daemon is told.
#[test]
fn an_older_daemon_is_not_told_of_what_is_lost_and_a_newer_one_is_told_after_it() {
    let holder = Holder::start();
    let mut older = after_a_run_without_a_daemon_of(&holder, 1);
    flip(&spool(&holder), &[BLOCK]);
    let good = limits::HOLDER_MEMORY_BYTES_MAX + limits::HOLDER_SPOOL_BLOCK_BYTES;
    older.follow(STREAM, 0);
    assert!(take_all(&mut older, good) == lines(1_500_000)[..good]);
    older.read_so_far();
    assert!(!older.has_passed(|frame| matches!(frame, FromHolder::Output { .. } | FromHolder::Lost { .. })));
    let mut daemon = holder.connect();
    daemon.follow(STREAM, good as u64);
    let (_, lost, _) = take_what_comes(&mut daemon, good as u64);
    assert_eq!(lost, [(good as u64, good as u64 + BLOCK)]);
}

#[test]
fn what_the_disk_does_not_read_is_given_up_after_a_while_and_what_it_reads_comes() {
    let holder = Holder::start_with_both(Duration::from_secs(3600), Duration::from_millis(1500));
    let mut daemon = after_a_run_without_a_daemon(&holder);
    let readable = 3 * BLOCK;
    std::fs::OpenOptions::new().write(true).open(spool(&holder)).unwrap().set_len(readable).unwrap();
    let began = std::time::Instant::now();
    daemon.follow(STREAM, 0);
    let (pieces, lost, end) = take_what_comes(&mut daemon, 0);
    assert!(began.elapsed() >= Duration::from_millis(1500), "it was tried again");
    let cut = limits::HOLDER_MEMORY_BYTES_MAX as u64 + readable;
    assert_eq!((lost.first().unwrap().0, lost.last().unwrap().1), (cut, end));
    assert_eq!(pieces.iter().map(|(_, bytes)| bytes.len() as u64).sum::<u64>(), cut);
}

/// A daemon stored what lay before a loss, and was told of the loss; nothing came behind it. The next one is told as well.
#[test]
fn a_daemon_that_asks_for_what_was_forgotten_is_told_that_it_is_lost() {
    let holder = Holder::start();
    let mut daemon = after_a_run_without_a_daemon(&holder);
    let end = daemon.read_so_far();
    daemon.follow(STREAM, 0);
    daemon.tell(&ToHolder::Durable { stream: STREAM, offset: end });
    let mut next = holder.connect();
    next.follow(STREAM, end - 10);
    assert_eq!(take_what_comes(&mut next, end - 10), (Vec::new(), vec![(end - 10, end)], end));
}
