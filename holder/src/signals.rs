//! Signals to all processes of a run, and to no other: each is held by a pidfd before it is looked at a last time.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::time::Instant;

use ropewalk_protocol::RunId;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::procfs::{self, ProcessStat};

/// How often SIGKILL is sent again to those who were started while it was sent.
const KILL_ROUNDS_MAX: usize = 8;

/// Whose processes are meant.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target {
    pub(crate) run: RunId,
    /// The leader's process id, as long as no other process can have it.
    pub(crate) session: Option<i32>,
    pub(crate) start_ticks: u64,
}

impl Target {
    fn has(&self, process: &ProcessStat) -> bool {
        process.start_ticks >= self.start_ticks
            && !process.is_zombie()
            && (self.session == Some(process.session) || procfs::carries_mark(process.pid, self.run))
    }
}

/// Sends the signal to every process of the run's session and to every one that carries its mark.
pub(crate) fn send(target: &Target, signal: Signal) {
    send_to_others(target, signal, &mut BTreeSet::new());
}

/// How many processes of the run live.
pub(crate) fn count(target: &Target) -> u32 {
    let me = i32::try_from(std::process::id()).unwrap_or(0);
    let of_run = procfs::processes().into_iter().filter(|process| process.pid != me && target.has(process));
    u32::try_from(of_run.count()).unwrap_or(u32::MAX)
}

/// Kills all of them, and those whom the last of them may have started meanwhile. Returns a pidfd of each.
pub(crate) fn kill(target: &Target) -> Vec<OwnedFd> {
    let (mut known, mut killed) = (BTreeSet::new(), Vec::new());
    for _ in 0..KILL_ROUNDS_MAX {
        let more = send_to_others(target, Signal::KILL, &mut known);
        if more.is_empty() {
            break;
        }
        killed.extend(more);
    }
    killed
}

/// Waits until each of these processes is gone, or the time is over.
pub(crate) fn wait_for(processes: &[OwnedFd], until: Instant) {
    for process in processes {
        let left = until.saturating_duration_since(Instant::now());
        let timeout =
            Timespec { tv_sec: i64::try_from(left.as_secs()).unwrap_or(0), tv_nsec: left.subsec_nanos().into() };
        let _ = rustix::event::poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&timeout));
    }
}

fn send_to_others(target: &Target, signal: Signal, known: &mut BTreeSet<(i32, u64)>) -> Vec<OwnedFd> {
    let me = i32::try_from(std::process::id()).unwrap_or(0);
    let mut reached = Vec::new();
    for process in procfs::processes() {
        let name = (process.pid, process.start_ticks);
        if process.pid != me && !known.contains(&name) && target.has(&process) {
            known.insert(name);
            reached.extend(send_to(target, &process, signal));
        }
    }
    reached
}

fn send_to(target: &Target, process: &ProcessStat, signal: Signal) -> Option<OwnedFd> {
    let held = pidfd_open(Pid::from_raw(process.pid)?, PidfdFlags::empty()).ok()?;
    let now = ProcessStat::of(process.pid)?;
    let is_same = now.start_ticks == process.start_ticks && target.has(&now);
    (is_same && pidfd_send_signal(&held, signal).is_ok()).then_some(held)
}
