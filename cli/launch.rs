//! Starting processes of our own that outlive the one that starts them.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// A log file over this size is moved aside when a process that writes it starts.
const LOG_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// A command that runs this binary in a process group of its own, with its talk appended to a log file.
pub(crate) fn detached(exe: &Path, args: &[&str], log: &Path) -> io::Result<Command> {
    if std::fs::metadata(log).is_ok_and(|metadata| metadata.len() > LOG_BYTES_MAX) {
        std::fs::rename(log, log.with_extension("log.old"))?;
    }
    let log = OpenOptions::new().append(true).create(true).mode(0o600).open(log)?;
    let mut command = Command::new(exe);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).process_group(0).current_dir("/");
    // Started from within a session, it must not be taken for a part of that session.
    command.env_remove("ROPEWALK_RUN").env_remove("ROPEWALK_SESSION");
    Ok(command)
}
