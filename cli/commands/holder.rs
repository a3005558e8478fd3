//! The hidden commands that this binary runs itself as.

use std::ffi::OsString;
use std::time::Duration;

use ropewalk_protocol::limits;

use super::Context;
use crate::exit::{CANNOT_RUN, Failure, OK};

pub(super) fn run(context: &Context, programs_mask: Option<u32>) -> Result<u8, Failure> {
    super::logs("info");
    if let Some(mask) = programs_mask {
        // Programs inherit it; the holder's own files name their modes.
        rustix::process::umask(rustix::fs::Mode::from_bits_truncate(mask));
    }
    let paths = &context.paths;
    paths.create()?;
    let config = ropewalk_holder::Config {
        socket: paths.holder_socket(),
        lock: paths.holder_lock(),
        spool: paths.spool(),
        self_exe: std::env::current_exe()?,
        patience: Duration::from_millis(limits::HOLDER_PATIENCE_MILLIS),
        spool_patience: Duration::from_millis(limits::HOLDER_SPOOL_PATIENCE_MILLIS),
    };
    let signals = ropewalk_holder::OwnSignals::of_process()?;
    let ready = |pid| {
        crate::print::line(&format!("ready {pid}"));
        // Whoever started it reads until the end of this pipe.
        close_stdout();
    };
    ropewalk_holder::run(config, signals, ready).map_err(|error| Failure::because("the holder", error))?;
    Ok(OK)
}

pub(super) fn exec_in_session(program: &[OsString]) -> Failure {
    let error = ropewalk_holder::exec_in_session(program);
    Failure::new(CANNOT_RUN, format!("{}: {error}", program.first().cloned().unwrap_or_default().display()))
}

/// Puts /dev/null where stdout was.
pub(crate) fn close_stdout() {
    if let Ok(null) = std::fs::OpenOptions::new().write(true).open("/dev/null")
        && let Err(error) = rustix::stdio::dup2_stdout(&null)
    {
        tracing::warn!(%error, "stdout stays open");
    }
}
