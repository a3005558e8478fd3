//! The simulation: kernel, actors and wire against a model of what should be true. See `docs/simulation.md`.
//!
//! A seed decides everything: what happens ([`transition`]), on which disk, network and holder, and what should be true of
//! it ([`reference`], [`model`], [`check`]). Nothing sleeps, and nothing is left to chance.

mod check;
mod client;
mod disk;
mod holder;
mod model;
mod network;
mod program;
mod quiet;
mod random;
mod readers;
mod reference;
mod regressions;
mod run;
mod system;
mod trace;
mod transition;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use ropewalk_kernel::planted::Bug;

use self::disk::{CUT_COMMIT, CUT_HEAD};
use self::run::{run, story};
use self::transition::Plan;

/// Seeds that every test run takes: some 40 seconds on two cores.
const SEEDS: u64 = 1200;
/// Threads that run seeds, each its own.
const THREADS: usize = 2;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

/// What came of many seeds.
struct Found {
    /// The first one that fails.
    failed: Option<u64>,
    /// Commits and heads of which a part was written and the rest was not.
    cut_commits: u64,
    cut_heads: u64,
}

/// Carries these seeds out, up to the first one that fails.
fn carry_out(seeds: u64, bug: Option<Bug>) -> Found {
    let next = AtomicU64::new(1);
    let (cut_commits, cut_heads) = (AtomicU64::new(0), AtomicU64::new(0));
    let failed: Mutex<Option<u64>> = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed > seeds || failed.lock().unwrap().is_some() {
                        return;
                    }
                    let outcome = run(&Plan::of(seed), bug);
                    let count = |what| outcome.lines.iter().filter(|line| line.contains(what)).count() as u64;
                    cut_commits.fetch_add(count(CUT_COMMIT), Ordering::Relaxed);
                    cut_heads.fetch_add(count(CUT_HEAD), Ordering::Relaxed);
                    if !outcome.violations.is_empty() {
                        let mut failed = failed.lock().unwrap();
                        *failed = Some(failed.map_or(seed, |before| before.min(seed)));
                    }
                }
            });
        }
    });
    Found {
        failed: failed.into_inner().unwrap(),
        cut_commits: cut_commits.into_inner(),
        cut_heads: cut_heads.into_inner(),
    }
}

#[test]
fn every_seed_keeps_every_promise() {
    if let Some(seed) = number("ROPEWALK_SIM_SEED") {
        let outcome = run(&Plan::of(seed), None);
        outcome.lines.iter().for_each(|line| println!("{line}"));
        assert!(outcome.violations.is_empty(), "{}", story(&Plan::of(seed), None));
        return;
    }
    let seeds = number("ROPEWALK_SIM_SEEDS").unwrap_or(SEEDS);
    let Found { failed, cut_commits, cut_heads } = carry_out(seeds, None);
    if let Some(seed) = failed {
        panic!("{}", story(&Plan::of(seed), None));
    }
    println!("of {seeds} seeds: {cut_commits} commits and {cut_heads} heads were written in part");
    // A disk that cuts no write says nothing of writes that are cut.
    assert!(seeds < SEEDS || (cut_commits >= SEEDS / 6 && cut_heads >= SEEDS / 24), "too few writes were cut");
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in [3, 17, 40, 71] {
        let (first, second) = (run(&Plan::of(seed), None), run(&Plan::of(seed), None));
        let differs = first.lines.iter().zip(&second.lines).find(|(first, second)| first != second);
        assert_eq!(differs, None, "seed {seed} goes two ways");
        assert_eq!(first.lines.len(), second.lines.len(), "seed {seed} goes on for longer");
    }
}

/// A bug that the simulation does not find says that it looks away.
#[cfg(debug_assertions)]
fn catches(bug: Bug) {
    let caught = carry_out(SEEDS, Some(bug)).failed.unwrap_or_else(|| panic!("{bug:?} was not found in {SEEDS} seeds"));
    println!("{bug:?} is found by seed {caught}");
    assert!(run(&Plan::of(caught), None).violations.is_empty(), "seed {caught} fails without the bug");
}

#[cfg(debug_assertions)]
#[test]
fn catches_publish_before_commit() {
    catches(Bug::PublishBeforeCommit);
}

#[cfg(debug_assertions)]
#[test]
fn catches_a_receipt_outside_the_batch() {
    catches(Bug::ReceiptOutsideBatch);
}

#[cfg(debug_assertions)]
#[test]
fn catches_a_read_before_the_subscription() {
    catches(Bug::ReadBeforeSubscribe);
}

#[cfg(debug_assertions)]
#[test]
fn catches_a_cursor_moved_by_a_send() {
    catches(Bug::CursorMovedBySend);
}

#[cfg(debug_assertions)]
#[test]
fn catches_an_offset_given_out_twice() {
    catches(Bug::OffsetReused);
}
