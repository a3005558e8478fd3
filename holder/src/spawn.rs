//! Starts programs: on a pseudo-terminal or with pipes, each leading a session of its own.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use portable_pty::{CommandBuilder, PtySize, native_pty_system};
use ropewalk_protocol::holder::{Ends, Spawn};
use ropewalk_protocol::{Program, RunFailed, Size};
use rustix::fs::{Access, OFlags};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions};
use rustix::termios::{InputModes, OptionalActions};

use crate::procfs::ProcessStat;

/// Names the session in a program's environment.
const SESSION_VARIABLE: &str = "ROPEWALK_SESSION";

/// Names the run in a program's environment; what its processes start inherits it.
pub(crate) const RUN_VARIABLE: &str = "ROPEWALK_RUN";

/// Descriptors that a start takes at most, for a while: a terminal's two ends and their copies, or pipes, and what tells of
/// the process.
const DESCRIPTORS: usize = 12;

/// A program that runs. All descriptors are non-blocking and closed in children.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) pid: u32,
    pub(crate) pidfd: OwnedFd,
    pub(crate) start_ticks: u64,
    /// What it writes; a terminal's master.
    pub(crate) output: OwnedFd,
    /// Its stdin, if it has pipes.
    pub(crate) input: Option<OwnedFd>,
    /// Its stderr, if it has pipes.
    pub(crate) errors: Option<OwnedFd>,
}

/// Starts the program. The error says why it could not be started.
pub(crate) fn start(spawn: &Spawn, self_exe: &Path) -> Result<Started, String> {
    spawn.program.check().map_err(|rejection| rejection.message)?;
    let directory = Path::new(&spawn.program.directory);
    if !directory.is_dir() {
        return Err(format!("no such directory: {}", directory.display()));
    }
    let argv = resolved_argv(&spawn.program)?;
    // Asked for beforehand: in the middle of a start its lack shows as this error or that.
    let room: io::Result<Vec<File>> = (0..DESCRIPTORS).map(|_| File::open("/dev/null")).collect();
    drop(room.map_err(|error| format!("{}{error}", RunFailed::SHORTAGE))?);
    match spawn.ends {
        Ends::Terminal(size) => start_on_terminal(spawn, argv, size),
        Ends::Pipes { .. } => start_with_pipes(spawn, &argv, self_exe),
    }
}

fn start_on_terminal(spawn: &Spawn, argv: Vec<OsString>, size: Size) -> Result<Started, String> {
    size.check().map_err(|rejection| rejection.message)?;
    let size = PtySize { rows: size.rows, cols: size.cols, pixel_width: 0, pixel_height: 0 };
    let pair = native_pty_system().openpty(size).map_err(|error| format!("cannot open a terminal: {error:#}"))?;
    let raw = pair.master.as_raw_fd().ok_or("the terminal has no descriptor")?;
    let master = duplicate(raw).map_err(|error| format!("cannot keep the terminal: {error}"))?;
    accept_utf8(&master);
    let mut command = CommandBuilder::from_argv(argv);
    command.env_clear();
    for (name, value) in environment(spawn) {
        command.env(name, value);
    }
    command.cwd(&spawn.program.directory);
    let child = pair.slave.spawn_command(command).map_err(|error| {
        let shortage = error.downcast_ref().map_or("", shortage);
        format!("{shortage}cannot start the program: {error:#}")
    })?;
    let pid = child.process_id().ok_or("the program has no process id")?;
    finish(pid, master, None, None)
}

/// Pipes come without a session; the crate's own `exec_in_session` makes one and becomes the program.
fn start_with_pipes(spawn: &Spawn, argv: &[OsString], self_exe: &Path) -> Result<Started, String> {
    let mut command = Command::new(self_exe);
    command.arg("exec-in-session").arg("--").args(argv).env_clear().envs(environment(spawn));
    command.current_dir(&spawn.program.directory);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().map_err(|error| format!("{}cannot start the program: {error}", shortage(&error)))?;
    let pid = child.id();
    let output = child.stdout.ok_or("the program has no output")?.into();
    finish(pid, output, child.stdin.map(OwnedFd::from), child.stderr.map(OwnedFd::from))
}

/// What the reason begins with if it was the machine that was short of something.
fn shortage(error: &io::Error) -> &'static str {
    let short = [Errno::MFILE, Errno::NFILE, Errno::AGAIN, Errno::NOMEM];
    if Errno::from_io_error(error).is_some_and(|errno| short.contains(&errno)) { RunFailed::SHORTAGE } else { "" }
}

/// Takes hold of a process that was just started. Nobody else reaps it, so its id is its own until then.
fn finish(pid: u32, output: OwnedFd, input: Option<OwnedFd>, errors: Option<OwnedFd>) -> Result<Started, String> {
    let held = (|| {
        for fd in [Some(&output), input.as_ref(), errors.as_ref()].into_iter().flatten() {
            rustix::fs::fcntl_setfl(fd, rustix::fs::fcntl_getfl(fd)? | OFlags::NONBLOCK)?;
        }
        let id = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidData)?;
        let stat = ProcessStat::of(id.as_raw_nonzero().get()).ok_or(io::ErrorKind::NotFound)?;
        Ok::<_, io::Error>((rustix::process::pidfd_open(id, PidfdFlags::empty())?, stat.start_ticks))
    })();
    match held {
        Ok((pidfd, start_ticks)) => Ok(Started { pid, pidfd, start_ticks, output, input, errors }),
        Err(error) => {
            if let Some(id) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
                let _ = rustix::process::kill_process(id, Signal::KILL);
                let _ = rustix::process::waitpid(Some(id), WaitOptions::empty());
            }
            Err(format!("cannot hold the process: {error}"))
        }
    }
}

fn environment(spawn: &Spawn) -> impl Iterator<Item = (&str, String)> {
    let marks = [(SESSION_VARIABLE, spawn.session.to_string()), (RUN_VARIABLE, spawn.run.to_string())];
    let program = spawn.program.environment.iter().map(|(name, value)| (name.as_str(), value.clone()));
    program.chain(marks)
}

/// Erasing a character in cooked mode erases all its bytes, as in every terminal of today.
fn accept_utf8(master: &OwnedFd) {
    if let Ok(mut modes) = rustix::termios::tcgetattr(master) {
        modes.input_modes |= InputModes::IUTF8;
        let _ = rustix::termios::tcsetattr(master, OptionalActions::Now, &modes);
    }
}

/// The arguments, after a look whether there is such a program: the child could not say so any more.
fn resolved_argv(program: &Program) -> Result<Vec<OsString>, String> {
    let name = program.argv.first().ok_or("no program is named")?;
    let directory = Path::new(&program.directory);
    let mut argv: Vec<OsString> = program.argv.iter().map(OsString::from).collect();
    if name.contains('/') {
        runnable(directory.join(name)).ok_or_else(|| format!("no such program: {name}"))?;
        if !name.starts_with(['/', '.']) {
            // Without the dot it would be looked up in PATH, which no shell does.
            argv[0] = format!("./{name}").into();
        }
        return Ok(argv);
    }
    let path = program.environment.get("PATH").ok_or_else(|| format!("no such program: {name}; there is no PATH"))?;
    let found = std::env::split_paths(path).find_map(|folder| runnable(directory.join(folder).join(name)));
    found.map(|_| argv).ok_or_else(|| format!("no such program: {name}"))
}

fn runnable(path: PathBuf) -> Option<PathBuf> {
    let is_runnable = path.is_file() && rustix::fs::access(&path, Access::EXEC_OK).is_ok();
    (is_runnable && interpreter(&path).is_none_or(|interpreter| interpreter.is_file())).then_some(path)
}

/// What a script names behind `#!`.
fn interpreter(path: &Path) -> Option<PathBuf> {
    let mut head = Vec::new();
    File::open(path).ok()?.take(256).read_to_end(&mut head).ok()?;
    let line = head.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let name = line.trim_ascii_start().split(u8::is_ascii_whitespace).next()?;
    Some(PathBuf::from(OsStr::from_bytes(name))).filter(|interpreter| interpreter.is_absolute())
}

#[expect(unsafe_code, reason = "portable-pty gives its descriptor as a number only")]
fn duplicate(raw: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: the caller owns the terminal that the number belongs to, and it stays open during this call.
    unsafe { BorrowedFd::borrow_raw(raw) }.try_clone_to_owned()
}
