//! A program on a bare pseudo-terminal, with nobody between it and its reader.

use std::fs::File;
use std::io::{self, Read, Write};
use std::process::{Child, Command};

use ropewalk_protocol::Size;
use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// The terminal and the program; dropping it ends the program.
pub(in crate::bench) struct Pty {
    master: File,
    child: Child,
}

impl Pty {
    /// Starts a program, which is ended with its terminal.
    pub(in crate::bench) fn start(argv: &[&str]) -> io::Result<Self> {
        Self::sized(argv, Size::DEFAULT)
    }

    /// The same in a window of this size.
    pub(in crate::bench) fn sized(argv: &[&str], size: Size) -> io::Result<Self> {
        let (name, arguments) = argv.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        tcsetwinsize(&master, Winsize { ws_row: size.rows, ws_col: size.cols, ws_xpixel: 0, ws_ypixel: 0 })?;
        let path = ptsname(&master, Vec::new())?;
        let slave = rustix::fs::open(path.as_c_str(), OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())?;
        let (input, output) = (slave.try_clone()?, slave.try_clone()?);
        let child = Command::new(name).args(arguments).stdin(input).stdout(output).stderr(slave).spawn()?;
        Ok(Self { master: File::from(master), child })
    }

    /// The program's process.
    pub(in crate::bench) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// For a thread that reads.
    pub(in crate::bench) fn reader(&self) -> io::Result<File> {
        self.master.try_clone()
    }

    pub(in crate::bench) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.master.write_all(bytes)
    }

    /// Reads what is there; 0 once the program and all it started have closed the terminal.
    pub(in crate::bench) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.master.read(buffer) {
            // What Linux says of a terminal that nobody has open any more.
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error()) => Ok(0),
            other => other,
        }
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
