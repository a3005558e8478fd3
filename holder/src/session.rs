//! A program in a session of its own, for children with pipes: `ropewalk exec-in-session -- argv…`.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Leads a new session and becomes the program. Returns only if that failed.
pub fn exec_in_session(argv: &[OsString]) -> io::Error {
    let Some((program, arguments)) = argv.split_first() else {
        return io::Error::new(io::ErrorKind::InvalidInput, "no program is named");
    };
    match rustix::process::setsid() {
        Ok(_) => Command::new(program).args(arguments).exec(),
        Err(error) => error.into(),
    }
}
