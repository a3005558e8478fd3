//! A process that is told from another one that gets its number later.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A process: its number, and when it began, in ticks since the machine was started; 0 where that cannot be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Process {
    number: u32,
    began: u64,
}

impl Process {
    /// This one.
    pub(super) fn this() -> Self {
        Self::of(std::process::id())
    }

    /// The one that has this number now.
    pub(super) fn of(number: u32) -> Self {
        Self { number, began: began(number).unwrap_or(0) }
    }

    /// Whether it is there.
    pub(super) fn is_alive(self) -> bool {
        began(self.number).is_some_and(|began| began == self.began)
    }
}

/// When the process with this number began: the 22nd field of `/proc/PID/stat`, of which the second may hold anything. One that
/// has ended and that nobody has asked for yet is none.
fn began(number: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{number}/stat")).ok()?;
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace();
    let is_over = matches!(fields.next()?, "Z" | "X");
    fields.nth(18)?.parse().ok().filter(|_| !is_over)
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", self.number, self.began)
    }
}

impl FromStr for Process {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (number, began) = text.split_once('_').unwrap_or((text, "0"));
        Ok(Self { number: number.parse()?, began: began.parse()? })
    }
}

#[cfg(test)]
mod tests {
    use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

    use super::*;

    #[test]
    fn a_process_is_not_the_one_that_had_its_number() {
        let this = Process::this();
        assert!(this.is_alive() && this.began > 0);
        assert_eq!(this.to_string().parse(), Ok(this));
        assert!(!Process { began: this.began + 1, ..this }.is_alive());
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let process = Process::of(child.id());
        let ended = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        waitid(WaitId::Pid(Pid::from_child(&child)), ended).unwrap();
        assert!(!process.is_alive(), "it has ended, though nobody has asked for it");
        child.wait().unwrap();
        assert!(!process.is_alive());
        assert!("".parse::<Process>().is_err() && "1_x".parse::<Process>().is_err());
    }
}
