//! What `/proc` tells about processes.

use std::fs;

use ropewalk_protocol::RunId;

/// One process at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProcessStat {
    pub(crate) pid: i32,
    pub(crate) state: u8,
    pub(crate) parent: i32,
    pub(crate) session: i32,
    /// When it started, in clock ticks after boot: with the pid it names one process for ever.
    pub(crate) start_ticks: u64,
}

impl ProcessStat {
    /// The process with this id, if there is one.
    pub(crate) fn of(pid: i32) -> Option<Self> {
        parse(&fs::read(format!("/proc/{pid}/stat")).ok()?)
    }

    /// Whether it ended and only waits for its parent to ask.
    pub(crate) fn is_zombie(&self) -> bool {
        self.state == b'Z'
    }
}

/// Every process that can be seen.
pub(crate) fn processes() -> Vec<ProcessStat> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter_map(ProcessStat::of).collect()
}

/// Whether the process carries the run's mark in the environment it was started with.
pub(crate) fn carries_mark(pid: i32, run: RunId) -> bool {
    let mark = format!("{}={run}", crate::spawn::RUN_VARIABLE);
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    environment.split(|byte| *byte == 0).any(|entry| entry == mark.as_bytes())
}

/// The line's second field is the program's name in parentheses and may hold anything, parentheses too.
fn parse(line: &[u8]) -> Option<ProcessStat> {
    let open = line.iter().position(|byte| *byte == b'(')?;
    let close = line.iter().rposition(|byte| *byte == b')')?;
    let pid = std::str::from_utf8(&line[..open]).ok()?.trim().parse().ok()?;
    // The first of these is the line's third field.
    let fields: Vec<&str> = std::str::from_utf8(&line[close + 1..]).ok()?.split_ascii_whitespace().collect();
    Some(ProcessStat {
        pid,
        state: *fields.first()?.as_bytes().first()?,
        parent: fields.get(1)?.parse().ok()?,
        session: fields.get(3)?.parse().ok()?,
        start_ticks: fields.get(19)?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_spaces_and_parentheses() {
        let line = b"77 (a) R 1 (\xff b) Z 5 6 70 34816 7 4194304 1 2 3 4 5 6 7 8 20 0 1 0 987654 1 2 3\n";
        let expected = ProcessStat { pid: 77, state: b'Z', parent: 5, session: 70, start_ticks: 987_654 };
        assert_eq!(parse(line), Some(expected));
    }

    #[test]
    fn a_line_that_is_cut_is_nothing() {
        assert_eq!(parse(b""), None);
        assert_eq!(parse(b"77 (sh"), None);
        assert_eq!(parse(b"77 (sh) S 5 6 70"), None);
    }

    #[test]
    fn this_process_is_seen() {
        let me = i32::try_from(std::process::id()).unwrap();
        let stat = ProcessStat::of(me).unwrap();
        assert!(stat.pid == me && stat.start_ticks > 0 && !stat.is_zombie());
        assert!(processes().iter().any(|process| process.pid == me));
    }
}
