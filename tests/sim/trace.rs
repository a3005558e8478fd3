//! What happened in a run, line by line, and what must not have happened. A run has its thread to itself.

use std::cell::RefCell;
use std::io::Write;
use std::sync::Once;
use std::time::Duration;

use tokio::time::Instant;
use tracing::subscriber::DefaultGuard;

use super::random::Random;

/// Lines that only a defect writes, whatever the disk and the network do.
const DEFECTS: &[&str] =
    &["the screens' queue is full", "the holder left bytes out", "a fact was refused", "said welcome twice"];

#[derive(Default)]
struct Run {
    lines: Vec<String>,
    violations: Vec<String>,
    began: Option<Instant>,
    noise: Option<Random>,
    slowest_millis: u64,
}

thread_local! {
    static RUN: RefCell<Run> = RefCell::default();
}

/// Begins a run on this thread.
pub(super) fn begin(noise: Random, slowest_millis: u64) {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let running = RUN.try_with(|run| run.try_borrow().is_ok_and(|run| run.noise.is_some()));
            if running == Ok(true) {
                violation(format!("panic: {info}"));
            } else {
                before(info);
            }
        }));
    });
    RUN.set(Run { noise: Some(noise), slowest_millis, ..Run::default() });
}

/// The run's clock starts.
pub(super) fn start_clock() {
    RUN.with_borrow_mut(|run| run.began = Some(Instant::now()));
}

/// Ends the run: its lines, and what must not have happened.
pub(super) fn end() -> (Vec<String>, Vec<String>) {
    let run = RUN.take();
    (run.lines, run.violations)
}

/// Virtual time since the run began.
pub(super) fn elapsed() -> Duration {
    RUN.with_borrow(|run| run.began.map_or(Duration::ZERO, |began| began.elapsed()))
}

pub(super) fn note(line: impl AsRef<str>) {
    let millis = elapsed().as_millis();
    RUN.with_borrow_mut(|run| run.lines.push(format!("{millis:>7} ms  {}", line.as_ref())));
}

pub(super) fn violation(line: impl AsRef<str>) {
    note(format!("VIOLATION {}", line.as_ref()));
    RUN.with_borrow_mut(|run| run.violations.push(line.as_ref().to_owned()));
}

pub(super) fn violated() -> bool {
    RUN.with_borrow(|run| !run.violations.is_empty())
}

/// How long blocking work takes this time.
pub(super) fn pause() -> Duration {
    RUN.with_borrow_mut(|run| {
        let slowest = run.slowest_millis;
        let noise = run.noise.as_mut().expect("a run has begun");
        if noise.one_in(3) { Duration::from_millis(noise.below(slowest + 1)) } else { Duration::ZERO }
    })
}

/// Takes what the daemon logs as an error into the trace.
pub(super) fn listen() -> DefaultGuard {
    let subscriber = tracing_subscriber::fmt()
        .with_writer(|| Line)
        .without_time()
        .with_ansi(false)
        .with_max_level(tracing::Level::ERROR)
        .finish();
    tracing::subscriber::set_default(subscriber)
}

struct Line;

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let line = String::from_utf8_lossy(bytes);
        // Who cannot read its history because it is damaged refuses facts, and says so; and who was deleted meanwhile.
        let is_allowed = line.contains("rejection=unreadable") || line.contains("rejection=not_found");
        if !is_allowed && DEFECTS.iter().any(|defect| line.contains(defect)) {
            violation(line.trim());
        } else {
            note(line.trim());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
