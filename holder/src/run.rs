//! One run: a program's process, how it ended, and its streams.

use std::os::fd::AsFd;

use ropewalk_protocol::holder::Exit;
use ropewalk_protocol::{RunId, SessionId, Size, TerminalId};
use rustix::process::{Pid, WaitId, WaitIdOptions, WaitIdStatus};

use crate::poller::{Poller, Port};
use crate::procfs::ProcessStat;
use crate::signals::Target;

/// A run.
#[derive(Debug)]
pub(crate) struct Run {
    /// What the poller knows its process by.
    pub(crate) number: u64,
    pub(crate) run: RunId,
    pub(crate) session: SessionId,
    pub(crate) pid: u32,
    pub(crate) start_ticks: u64,
    pub(crate) stream: TerminalId,
    pub(crate) errors: Option<TerminalId>,
    pub(crate) size: Option<Size>,
    /// How it ended, and the stream's end then.
    pub(crate) exit: Option<(Exit, u64)>,
    /// Stays open until the process is reaped: then no other process can have its id.
    pub(crate) process: Option<Port>,
}

impl Run {
    pub(crate) fn raw_pid(&self) -> i32 {
        i32::try_from(self.pid).unwrap_or(0)
    }

    /// Whose processes a signal to this run is for. A process that was reaped leads no session: its id may be another's.
    pub(crate) fn target(&self) -> Target {
        let session = self.process.as_ref().map(|_| self.raw_pid());
        Target { run: self.run, session, start_ticks: self.start_ticks }
    }

    /// How the process ended, if it has. It keeps its id.
    pub(crate) fn look(&self) -> Option<Exit> {
        let process = self.process.as_ref()?;
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        match rustix::process::waitid(WaitId::PidFd(process.as_fd()), options) {
            Ok(status) => status.as_ref().and_then(exit_of),
            Err(error) => {
                tracing::warn!(%error, pid = self.pid, "a process ended unseen");
                Some(Exit::Code(-1))
            }
        }
    }

    /// Reaps the process once it has ended and its session is empty: while the id is taken, the session's other
    /// processes can be told from strangers.
    pub(crate) fn reap(&mut self, processes: &[ProcessStat], poller: &Poller) {
        let pid = self.raw_pid();
        let is_alone = !processes.iter().any(|process| process.session == pid && process.pid != pid);
        if self.exit.is_some() && is_alone {
            self.reap_now(poller);
        }
    }

    /// Reaps the process without asking for its session.
    pub(crate) fn reap_now(&mut self, poller: &Poller) {
        if let Some(process) = self.process.take() {
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
            let _ = rustix::process::waitid(WaitId::PidFd(process.as_fd()), options);
            process.close(poller);
        }
    }
}

/// Reaps what was left to this process by parents that ended, but no run's own process.
pub(crate) fn reap_orphans<'a>(processes: &[ProcessStat], runs: impl Iterator<Item = &'a Run> + Clone) {
    let me = i32::try_from(std::process::id()).unwrap_or(0);
    for process in processes.iter().filter(|process| process.parent == me && process.is_zombie()) {
        if !runs.clone().any(|run| run.process.is_some() && run.raw_pid() == process.pid)
            && let Some(pid) = Pid::from_raw(process.pid)
        {
            let _ = rustix::process::waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOHANG);
        }
    }
}

fn exit_of(status: &WaitIdStatus) -> Option<Exit> {
    status.exit_status().map(Exit::Code).or_else(|| status.terminating_signal().map(Exit::Signal))
}
