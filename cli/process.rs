//! What the kernel says of other processes of this machine.

/// How a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Condition {
    /// It runs, or could.
    Alive,
    /// It was stopped, by a signal or a debugger: it does nothing until somebody lets it go on.
    Stopped,
    /// There is none, or only what the kernel keeps of it until somebody asks how it ended.
    Gone,
}

/// How the process with this id is.
pub(crate) fn condition(pid: u32) -> Condition {
    match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(line) => of_line(&line),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Condition::Gone,
        // It ended between the opening of its file and the reading, or it is there and hidden from us.
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error()) => Condition::Gone,
        Err(_) => Condition::Alive,
    }
}

/// The state follows the program's name, which is in parentheses and may hold anything.
fn of_line(line: &str) -> Condition {
    let state = line.rsplit_once(')').and_then(|(_, rest)| rest.trim_start().chars().next());
    match state {
        Some('T' | 't') => Condition::Stopped,
        Some('Z' | 'X') => Condition::Gone,
        _ => Condition::Alive,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_alive_stopped_or_gone() {
        assert_eq!(of_line("7 (a) T (b) S 1 7 7"), Condition::Alive);
        assert_eq!(of_line("7 (ropewalk) T 1 7 7"), Condition::Stopped);
        assert_eq!(of_line("7 (ropewalk) t 1 7 7"), Condition::Stopped);
        assert_eq!(of_line("7 (ropewalk) Z 1 7 7"), Condition::Gone);
        assert_eq!(condition(std::process::id()), Condition::Alive);
        assert_eq!(condition(u32::MAX), Condition::Gone);
    }
}
