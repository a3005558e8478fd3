//! The daemon that is measured: a process of its own, its programs, and what the system knows of it.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::Duration;

use ropewalk_protocol::{Command, CommandResult, Program, SessionId, Size, TerminalId};
use ropewalk_transport::client::Client;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

use super::lab::wrong;
use crate::commands::{change, unexpected};
use crate::exit::{Failure, UNREACHABLE};
use crate::paths::Paths;
use crate::{connect, print};

/// How long a process may take to end once it was told to.
const END_TIME_MAX_SECONDS: i64 = 30;

/// The processes of a home.
#[derive(Debug, Clone, Copy)]
pub(super) struct Daemon {
    pub(super) pid: u32,
    pub(super) holder: u32,
}

impl Daemon {
    /// Starts a daemon and asks it who its holder is.
    pub(super) async fn start(paths: &Paths) -> Result<Self, Failure> {
        connect::start(paths)?;
        let who = connect::connect_running(paths).await?.welcome().daemon;
        Ok(Self { pid: who.pid, holder: who.holder_pid.ok_or_else(|| wrong("the daemon has no holder"))? })
    }
}

/// The process that holds a lock, if one does.
pub(super) fn owner(lock: &Path) -> Option<u32> {
    let file = File::open(lock).ok()?;
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => std::fs::read_to_string(lock).ok()?.trim().parse().ok(),
        _ => None,
    }
}

/// Kills a process, and returns once it is gone.
pub(super) async fn kill(pid: u32) -> Result<(), Failure> {
    let id = process(pid).ok_or_else(unexpected)?;
    match kill_process(id, Signal::KILL) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => {}
        Err(error) => return Err(Failure::because(format_args!("killing process {pid}"), error)),
    }
    gone(pid).await
}

/// Waits until a process is gone.
pub(super) async fn gone(pid: u32) -> Result<(), Failure> {
    let Some(pidfd) = process(pid).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok()) else {
        return Ok(());
    };
    let ended = tokio::task::spawn_blocking(move || {
        let limit = Timespec { tv_sec: END_TIME_MAX_SECONDS, tv_nsec: 0 };
        poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&limit))
    });
    match ended.await {
        Ok(Ok(1..)) => Ok(()),
        _ => Err(Failure::new(UNREACHABLE, format!("process {pid} does not end"))),
    }
}

fn process(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw)
}

/// Runs a program in a session of its own.
pub(super) async fn launch(client: &Client, argv: &[&str]) -> Result<(SessionId, TerminalId), Failure> {
    let environment: BTreeMap<String, String> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| name != "ROPEWALK_SESSION" && name != "ROPEWALK_RUN")
        .collect();
    let argv = argv.iter().map(|&word| word.to_owned()).collect();
    let program = Program { argv, directory: "/".to_owned(), environment };
    let command = Command::SessionCreate {
        name: None,
        workspace: None,
        program: Some(program),
        size: Some(Size::DEFAULT),
        agent: None,
    };
    match change(client, command).await?.result {
        CommandResult::SessionCreated { session, terminal: Some(terminal), .. } => Ok((session, terminal)),
        _ => Err(unexpected()),
    }
}

/// The resident memory of a process.
pub(super) fn resident_bytes(pid: u32) -> Result<u64, Failure> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let kib = field(&status, "VmRSS:").ok_or_else(|| wrong("the system does not say how much memory is resident"))?;
    Ok(kib * 1024)
}

/// What a process has in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Vitals {
    pub(super) resident_bytes: u64,
    pub(super) descriptors: u64,
    pub(super) threads: u64,
}

impl Vitals {
    /// The larger of each.
    pub(super) fn max(self, other: Self) -> Self {
        Self {
            resident_bytes: self.resident_bytes.max(other.resident_bytes),
            descriptors: self.descriptors.max(other.descriptors),
            threads: self.threads.max(other.threads),
        }
    }
}

impl std::ops::Add for Vitals {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            resident_bytes: self.resident_bytes + other.resident_bytes,
            descriptors: self.descriptors + other.descriptors,
            threads: self.threads + other.threads,
        }
    }
}

/// What a process has in use now.
pub(super) fn vitals(pid: u32) -> Result<Vitals, Failure> {
    let count = |what: &str| std::fs::read_dir(format!("/proc/{pid}/{what}")).map(|entries| entries.count() as u64);
    Ok(Vitals { resident_bytes: resident_bytes(pid)?, descriptors: count("fd")?, threads: count("task")? })
}

/// How often each thread of a process has been given a processor.
fn wakeups(pid: u32) -> Result<BTreeMap<String, u64>, Failure> {
    let mut threads = BTreeMap::new();
    for entry in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let entry = entry?;
        // A thread may end while it is looked at.
        let Ok(status) = std::fs::read_to_string(entry.path().join("status")) else {
            continue;
        };
        let switches = ["voluntary_ctxt_switches:", "nonvoluntary_ctxt_switches:"];
        let count = switches.iter().filter_map(|name| field(&status, name)).sum();
        threads.insert(entry.file_name().to_string_lossy().into_owned(), count);
    }
    Ok(threads)
}

/// How often processes woke up during some time.
pub(super) async fn wakeups_during(pids: &[u32], time: Duration) -> Result<u64, Failure> {
    let before = pids.iter().map(|pid| wakeups(*pid)).collect::<Result<Vec<_>, _>>()?;
    // The time is what is measured.
    tokio::time::sleep(time).await;
    let mut count = 0;
    for (pid, before) in pids.iter().zip(before) {
        for (thread, after) in wakeups(*pid)? {
            count += after.saturating_sub(before.get(&thread).copied().unwrap_or(0));
        }
    }
    Ok(count)
}

/// What a process has taken of a processor since its beginning.
pub(super) fn processor_time(pid: u32) -> Result<Duration, Failure> {
    let mut nanos = 0;
    for entry in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        // A thread may be gone meanwhile.
        let Ok(text) = std::fs::read_to_string(entry?.path().join("schedstat")) else { continue };
        let first = text.split_whitespace().next().and_then(|first| first.parse::<u64>().ok());
        nanos += first.ok_or_else(|| wrong("the system does not say how long a thread ran"))?;
    }
    Ok(Duration::from_nanos(nanos))
}

/// The number behind a name in the system's table of a process.
fn field(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find(|line| line.starts_with(name))?;
    line[name.len()..].split_whitespace().next()?.parse().ok()
}

/// Says where a measurement is, for those who wait.
pub(super) fn say(what: &str) {
    print::talk(&print::faint(&format!("  {what}")));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_a_process_are_found_by_their_whole_name() {
        let status = "VmRSS:\t    1234 kB\nvoluntary_ctxt_switches:\t7\nnonvoluntary_ctxt_switches:\t9\n";
        assert_eq!(field(status, "VmRSS:"), Some(1234));
        assert_eq!(field(status, "voluntary_ctxt_switches:"), Some(7));
        assert_eq!(field(status, "nonvoluntary_ctxt_switches:"), Some(9));
        assert_eq!(field(status, "VmSwap:"), None);
    }
}
