//! The holder's spool under attack: what a program prints while the daemon is away and memory is full goes to a file whose disk
//! refuses, does not read, or gives other bytes than were written. The program waits, and no byte is lost; what the disk does
//! not give back is named by its range, and all else is served.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use ropewalk_protocol::{EventBody, RunOutcome, SessionId, Stream, TerminalId, limits};
use ropewalk_transport::client::{AttachmentItem, Client};
use rustix::process::Signal;

use super::damaged_files::{DAMAGES, Damage};
use super::shim::{EDQUOT, EIO, ENOSPC, HOLDER, Shim, op};
use super::{runs, seed};
use crate::harness::{
    Choice, Home, PATIENCE, all_events, block_on, ended, eventually, output, process_exists, run, session, verify,
    watch,
};

/// Lines that the program prints: more than the window that it may be ahead of a daemon that is stopped.
const LINES: usize = 900_000;
/// Where the spool begins: the holder's memory is full.
const SPOOLED: u64 = limits::HOLDER_MEMORY_BYTES_MAX as u64;
const BLOCK: u64 = limits::HOLDER_SPOOL_BLOCK_BYTES as u64;
/// Points that pass before one fails.
const POINTS_MAX: u64 = 20;

/// How it hurts: a name, the operation, the error (0 for none), and whether half of the bytes pass first.
const ATTACKS: &[(&str, u64, u64, bool)] = &[
    ("full", op::WRITE, ENOSPC, false),
    ("full after half a write", op::WRITE, ENOSPC, true),
    ("over the quota", op::WRITE, EDQUOT, false),
    ("broken for writes", op::WRITE, EIO, false),
    ("no file can be made", op::CREATE, ENOSPC, false),
    ("broken for reads", op::READ, EIO, false),
    ("broken after half a read", op::READ, EIO, true),
    ("short reads", op::READ, 0, true),
];

/// How a daemon is away.
#[derive(Debug, Clone, Copy)]
enum Away {
    Killed,
    Asked,
    Stopped,
}

const AWAYS: [Away; 3] = [Away::Killed, Away::Stopped, Away::Asked];

impl Away {
    fn goes(self, home: &Home) {
        match self {
            Away::Killed => home.kill_daemon(),
            Away::Asked => drop(home.ok(&["daemon", "stop"])),
            Away::Stopped => signal(home.daemon_pid(), Signal::STOP),
        }
    }

    fn comes_back(self, home: &Home) {
        match self {
            Away::Killed | Away::Asked => home.start(),
            Away::Stopped => signal(home.daemon_pid(), Signal::CONT),
        }
    }
}

fn signal(pid: u32, signal: Signal) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

/// A home whose holder has the shim in it, and its daemons have not.
fn shimmed() -> (Home, Shim) {
    let home = Home::new();
    let shim = Shim::new(&home);
    shim.roles(HOLDER);
    let started = shim.preloaded(&home, home.command(&["daemon", "start"])).output().unwrap();
    assert!(started.status.success(), "{}", String::from_utf8_lossy(&started.stderr));
    (home, shim)
}

/// A program that prints [`LINES`] lines when it is told to, and one more when it is told once more.
struct Printer<'a> {
    home: &'a Home,
    name: String,
    session: SessionId,
    terminal: TerminalId,
    pid: u32,
}

impl<'a> Printer<'a> {
    fn start(home: &'a Home, name: &str) -> Self {
        let name = name.replace(' ', "-");
        let place = home.path().join(&name).display().to_string();
        // It holds the pipe open itself, so that it is told whenever that is.
        let script = format!(
            "stty raw -echo; mkfifo {place}.made; exec 3<>{place}.made; mv {place}.made {place}; read go <&3; \
             seq 1 {LINES} | tee {place}.copy; read go <&3; echo behind"
        );
        let (session, terminal, pid) = block_on(async {
            let client = home.client().await;
            let (started, terminal) = run(&client, &name, &["sh", "-c", &script]).await;
            let mut pid = None;
            while pid.is_none() {
                pid = session(&client, &name).await.agents[0].pid;
            }
            (started, terminal, pid.unwrap())
        });
        let fifo = home.path().join(&name);
        eventually("the program waits to be told", || fifo.exists());
        Self { home, name, session, terminal, pid }
    }

    fn tell(&self) {
        std::fs::write(self.home.path().join(&self.name), "go\n").unwrap();
    }

    /// How much it has given to its terminal, about.
    fn copied(&self) -> u64 {
        std::fs::metadata(self.home.path().join(format!("{}.copy", self.name))).map_or(0, |copy| copy.len())
    }

    fn has_printed(&self) {
        eventually("the program prints all", || self.copied() == printed().len() as u64 - BEHIND.len() as u64);
    }

    /// What its holder does at once, when it is time to try the spool again.
    fn is_typed_to(&self) {
        self.home.ok(&["send", &self.name, "x"]);
    }

    fn lives(&self) -> bool {
        process_exists(self.pid)
    }

    /// Waits for its end, which must be its own.
    async fn ends(&self, client: &Client) {
        ended(client, self.session).await;
        let outcome = session(client, &self.name).await.agents[0].outcome.clone();
        assert_eq!(outcome, Some(RunOutcome::Exited { code: 0 }), "{}: nobody killed it", self.name);
    }

    /// What it was told to have lost, in order, as far as it joins on.
    async fn lost(&self, client: &Client) -> Vec<(u64, u64)> {
        let mut ranges = Vec::new();
        for event in all_events(client).await {
            if let (Stream::Terminal(_, terminal), EventBody::TerminalLost(lost)) = (event.stream, event.body)
                && terminal == self.terminal
            {
                join(&mut ranges, lost.from, lost.to);
            }
        }
        ranges
    }

    /// What is not served, in order. All else must be what was printed, at its place.
    async fn gaps(&self, client: &Client) -> Vec<(u64, u64)> {
        let (_, mut items) = client.attach(watch(self.terminal, Some(0))).await.unwrap();
        let (printed, mut gaps, mut at) = (printed(), Vec::new(), 0);
        loop {
            match items.recv().await.unwrap() {
                AttachmentItem::Output { offset, bytes } => {
                    assert_eq!(offset, at, "what is missing is called a gap");
                    assert!(printed[usize::try_from(offset).unwrap()..].starts_with(&bytes), "wrong bytes at {offset}");
                    at += bytes.len() as u64;
                }
                AttachmentItem::Gap { from, to, .. } => {
                    assert_eq!(from, at);
                    at = to;
                    join(&mut gaps, from, to);
                }
                AttachmentItem::End(end) => {
                    assert_eq!((at, end), (end, printed.len() as u64));
                    return gaps;
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

const BEHIND: &str = "behind\n";

fn printed() -> Vec<u8> {
    let lines: String = (1..=LINES).map(|line| format!("{line}\n")).collect();
    (lines + BEHIND).into_bytes()
}

fn join(ranges: &mut Vec<(u64, u64)>, from: u64, to: u64) {
    match ranges.last_mut() {
        Some(last) if last.1 == from => last.1 = to,
        _ => ranges.push((from, to)),
    }
}

fn spool_files(home: &Home) -> Vec<PathBuf> {
    std::fs::read_dir(home.path().join("state/spool")).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn a_spool_that_refuses_or_is_not_read_costs_no_byte_and_the_program_waits_for_it() {
    let (home, shim) = shimmed();
    let holder = std::fs::read_to_string(home.path().join("data/holder.lock")).unwrap();
    for (number, (what, ops, errno, short)) in ATTACKS.iter().cycle().take(runs(ATTACKS.len())).enumerate() {
        let mut choice = Choice::seeded(seed() + number as u64);
        let away = AWAYS[(usize::try_from(choice.below(3)).unwrap() + number) % 3];
        // A file is made once.
        let passed = if *ops == op::CREATE { 0 } else { choice.below(POINTS_MAX) };
        let is_back_first = choice.below(2) == 0;
        let case = format!("seed {} case {number}: {what}, after {passed}, {away:?}, {is_back_first}", seed());
        println!("{case}");
        let failed = shim.failed();
        let printer = Printer::start(&home, &format!("{what} {number}"));
        away.goes(&home);
        shim.points_are(*ops, ["/state/spool/", ""], "");
        if *ops == op::READ {
            printer.tell();
            printer.has_printed();
            shim.fail_after(passed, *errno, *short);
            away.comes_back(&home);
            // Once to be refused, and once more when it is tried again.
            eventually("the spool is read", || shim.failed() > failed + 1);
            shim.stop_failing();
        } else {
            shim.fail_after(passed, *errno, *short);
            printer.tell();
            eventually("the spool is tried again", || shim.failed() > failed + 1);
            assert!(printer.lives(), "{case}");
            assert!(printer.copied() < printed().len() as u64 - BEHIND.len() as u64, "{case}: it does not wait");
            if is_back_first {
                away.comes_back(&home);
                shim.stop_failing();
            } else {
                shim.stop_failing();
                printer.has_printed();
                away.comes_back(&home);
            }
        }
        printer.tell();
        block_on(async {
            let client = home.client().await;
            printer.ends(&client).await;
            let there = output(&client, printer.terminal).await;
            assert!(there == printed(), "{case}: {} bytes were printed, {} are there", printed().len(), there.len());
            assert_eq!(printer.lost(&client).await, [], "{case}");
            let report = verify(&client).await;
            assert!(report.intact, "{case}: {:?}", report.damage);
        });
        eventually("the spool is empty", || spool_files(&home).is_empty());
        assert_eq!(std::fs::read_to_string(home.path().join("data/holder.lock")).unwrap(), holder, "{case}");
    }
}

/// Holds what is served, now and by another daemon, and what events say was lost against what must be missing.
fn assert_lost(home: &Home, printer: &Printer<'_>, missing: (u64, u64), case: &str) {
    let missing = [missing];
    block_on(async {
        let client = home.client().await;
        let began = Instant::now();
        while printer.lost(&client).await.last().is_none_or(|(_, to)| *to < missing[0].1) {
            assert!(began.elapsed() < PATIENCE, "{case}: it is not told");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(printer.lives(), "{case}");
        // What comes behind is served.
        printer.tell();
        printer.ends(&client).await;
        assert_eq!(printer.gaps(&client).await, missing, "{case}: as it comes");
    });
    home.kill_daemon();
    home.start();
    block_on(async {
        let client = home.client().await;
        assert_eq!(printer.gaps(&client).await, missing, "{case}: from the log");
        assert_eq!(printer.lost(&client).await, missing, "{case}: as it is told");
        let report = verify(&client).await;
        assert!(report.intact, "{case}: what was never stored is no damage of the log: {:?}", report.damage);
    });
    let said = home.ok(&["show", &printer.name]);
    assert!(said.contains("of the terminal are lost"), "{case}: {said}");
    eventually("the spool is empty", || spool_files(home).is_empty());
}

#[test]
fn what_the_disk_does_not_read_for_too_long_is_told_as_lost_and_the_program_goes_on() {
    let (home, shim) = shimmed();
    for number in 0..runs(1) {
        let passed = Choice::seeded(seed() + number as u64).below(POINTS_MAX);
        let case = format!("seed {} case {number}: nothing is read after {passed}", seed());
        let printer = Printer::start(&home, &format!("unread {number}"));
        home.kill_daemon();
        printer.tell();
        printer.has_printed();
        let failed = shim.failed();
        shim.points_are(op::READ, ["/state/spool/", ""], "");
        shim.fail_after(passed, EIO, false);
        home.start();
        eventually("the spool is tried again", || shim.failed() > failed + 1);
        let end = printed().len() as u64 - BEHIND.len() as u64;
        block_on(async {
            let client = home.client().await;
            assert_eq!(printer.lost(&client).await, [], "{case}: it may come back");
        });
        let patience = i64::try_from(limits::HOLDER_SPOOL_PATIENCE_MILLIS / 1000).unwrap();
        shim.shift_monotonic((number as i64 + 1) * (patience + 1));
        printer.is_typed_to();
        assert_lost(&home, &printer, (SPOOLED + passed * BLOCK, end), &case);
        shim.stop_failing();
    }
}

#[test]
fn a_spool_that_is_cut_or_changed_is_told_as_lost_where_it_is_and_nothing_wrong_is_served() {
    let (home, shim) = shimmed();
    let patience = i64::try_from(limits::HOLDER_SPOOL_PATIENCE_MILLIS / 1000).unwrap();
    for (number, damage) in DAMAGES.iter().cycle().take(runs(DAMAGES.len())).enumerate() {
        let case = format!("seed {} case {number}: {damage:?}", seed());
        println!("{case}");
        let printer = Printer::start(&home, &format!("damaged {number}"));
        home.kill_daemon();
        printer.tell();
        printer.has_printed();
        let end = printed().len() as u64 - BEHIND.len() as u64;
        let spooled = || spool_files(&home).first().map_or(0, |path| std::fs::metadata(path).unwrap().len());
        eventually("all of it is spooled", || SPOOLED + spooled() == end);
        let path = spool_files(&home).remove(0);
        let before = std::fs::read(&path).unwrap();
        damage.done_to(&path, &mut Choice::seeded(seed() + number as u64));
        let after = std::fs::read(&path).unwrap();
        let first = before.iter().zip(&after).position(|(was, is)| was != is).unwrap_or(after.len()) as u64;
        let from = SPOOLED + first - first % BLOCK;
        let missing = match damage {
            Damage::Emptied | Damage::Cut => (from, end),
            Damage::FlippedInUse | Damage::Flipped => (from, end.min(from + BLOCK)),
        };
        let tries = || holder_log(&home).matches("cannot read what is spooled").count();
        let tried = tries();
        home.start();
        if matches!(damage, Damage::Emptied | Damage::Cut) {
            // A file that is too short reads as one that the disk does not read.
            eventually("it is tried again", || tries() > tried);
            shim.shift_monotonic((number as i64 + 1) * (patience + 1));
            printer.is_typed_to();
        }
        assert_lost(&home, &printer, missing, &case);
    }
}

fn holder_log(home: &Home) -> String {
    std::fs::read_to_string(home.path().join("state/holder.log")).unwrap_or_default()
}
