//! Signals to all processes of a run, and to no other: each is held by a pidfd before it is looked at a last time.

use std::collections::BTreeSet;

use ropewalk_protocol::RunId;
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
    let _ = send_to_others(target, signal, &mut BTreeSet::new());
}

/// How many processes of the run live.
pub(crate) fn count(target: &Target) -> u32 {
    let me = i32::try_from(std::process::id()).unwrap_or(0);
    let of_run = procfs::processes().into_iter().filter(|process| process.pid != me && target.has(process));
    u32::try_from(of_run.count()).unwrap_or(u32::MAX)
}

/// Kills all of them, and those whom the last of them may have started meanwhile.
pub(crate) fn kill(target: &Target) {
    let mut known = BTreeSet::new();
    for _ in 0..KILL_ROUNDS_MAX {
        if send_to_others(target, Signal::KILL, &mut known) == 0 {
            break;
        }
    }
}

/// How many were reached.
fn send_to_others(target: &Target, signal: Signal, known: &mut BTreeSet<(i32, u64)>) -> usize {
    let me = i32::try_from(std::process::id()).unwrap_or(0);
    let mut reached = 0;
    for process in procfs::processes() {
        let name = (process.pid, process.start_ticks);
        if process.pid != me && !known.contains(&name) && target.has(&process) {
            known.insert(name);
            reached += usize::from(send_to(target, &process, signal));
        }
    }
    reached
}

fn send_to(target: &Target, process: &ProcessStat, signal: Signal) -> bool {
    let held = Pid::from_raw(process.pid).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
    let (Some(held), Some(now)) = (held, ProcessStat::of(process.pid)) else { return false };
    let is_same = now.start_ticks == process.start_ticks && target.has(&now);
    is_same && pidfd_send_signal(&held, signal).is_ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::Command;

    use super::*;

    #[test]
    fn a_process_that_got_the_id_of_one_that_ended_is_not_touched() {
        // It leads a session, as a program does, and started before the run that the record is of.
        let mut exec = Command::new("setsid");
        let mut decoy = exec.args(["sleep", "1000"]).spawn().unwrap();
        let pid = i32::try_from(decoy.id()).unwrap();
        while ProcessStat::of(pid).unwrap().session != pid {
            std::thread::yield_now();
        }
        let started = ProcessStat::of(pid).unwrap().start_ticks;
        let run = RunId::from_bytes([9; 16]);
        let recycled = Target { run, session: Some(pid), start_ticks: started + 1 };
        send(&recycled, Signal::TERM);
        kill(&recycled);
        assert_eq!(count(&recycled), 0);
        assert!(decoy.try_wait().unwrap().is_none(), "it lives");
        let right = Target { start_ticks: started, ..recycled };
        assert_eq!(count(&right), 1, "the start time makes the difference");
        kill(&right);
        assert_eq!(decoy.wait().unwrap().signal(), Some(9));
    }
}
