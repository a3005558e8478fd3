//! What is not durable yet: kept in memory, then in the spool, and then the program waits.

use std::time::Duration;

use ropewalk_protocol::holder::{Exit, ToHolder};
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
    holder.connect().spawn(&spawn_sh("seq 1 1500000; printf '\\033]0;done\\007'")).unwrap();
    let mut daemon = holder.connect();
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
    holder.connect().spawn(&spawn_sh("yes")).unwrap();
    eventually("a backlog", || kept(&holder).1 > 5 * WINDOW);
    let mut daemon = holder.connect();
    daemon.follow(STREAM, 0);
    let backlog_end = daemon.read_so_far() as usize;
    let (mut durable, mut end) = (0, backlog_end);
    while durable < backlog_end {
        let (offset, bytes) = daemon.output(STREAM);
        assert_eq!(offset as usize, durable);
        durable += bytes.len();
        daemon.tell(&ToHolder::Durable { stream: STREAM, offset: durable as u64 });
        end = daemon.read_so_far() as usize;
        assert!(end - backlog_end <= durable / 2, "{end} with {durable} durable");
        if durable > WINDOW && durable < backlog_end {
            assert!(end > backlog_end, "the program is not shut out");
        }
    }
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
