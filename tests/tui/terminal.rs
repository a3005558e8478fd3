//! A terminal with a shell in it, as a person has one: a pseudo-terminal that the screen's model reads, or tmux.

use std::fs::File;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ropewalk_projections::screen::Screen;
use ropewalk_protocol::Size;
use rustix::fs::{Mode, OFlags};
use rustix::process::Signal;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use super::Desk;
use crate::harness::{ROPEWALK, eventually, kill_and_wait};

/// No screen is waited for longer.
const PATIENCE: Duration = Duration::from_secs(60);
/// What the shell says when it waits for a command.
pub(super) const PROMPT: &str = "ready>";

/// A terminal; with it goes all that runs in it.
pub(super) struct Terminal {
    kind: Kind,
    shell: u32,
}

enum Kind {
    Pty(Pty),
    Tmux(Tmux),
}

/// A pseudo-terminal. What is written to it is drawn as it comes.
struct Pty {
    outside: File,
    drawn: Arc<Drawn>,
    shell: Child,
}

struct Drawn {
    seen: Mutex<Seen>,
    changed: Condvar,
}

pub(super) struct Seen {
    pub(super) screen: Screen,
    /// Every byte, for what a screen does not tell.
    pub(super) bytes: Vec<u8>,
}

/// A pane of a tmux of its own.
struct Tmux {
    socket: PathBuf,
}

impl Terminal {
    /// A pseudo-terminal of this size, with a shell that waits.
    pub(super) fn open(desk: &Desk, cols: u16, rows: u16) -> Self {
        let outside = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&outside).unwrap();
        unlockpt(&outside).unwrap();
        tcsetwinsize(&outside, window(cols, rows)).unwrap();
        let path = ptsname(&outside, Vec::new()).unwrap();
        let inside = rustix::fs::open(path, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty()).unwrap();
        let mut command = Command::new("setsid");
        command.args(["--ctty", "sh", "-i"]);
        prepare(&mut command, desk);
        let shell = command
            .stdin(inside.try_clone().unwrap())
            .stdout(inside.try_clone().unwrap())
            .stderr(inside)
            .spawn()
            .unwrap();
        let seen = Seen { screen: Screen::new(Size { cols, rows }), bytes: Vec::new() };
        let drawn = Arc::new(Drawn { seen: Mutex::new(seen), changed: Condvar::new() });
        let (mut reader, to) = (File::from(outside.try_clone().unwrap()), drawn.clone());
        std::thread::spawn(move || {
            let mut buffer = [0; 16 * 1024];
            // The system's word for a terminal that nobody has open any more is an error.
            while let Ok(length @ 1..) = reader.read(&mut buffer) {
                let mut seen = to.seen.lock().unwrap_or_else(PoisonError::into_inner);
                seen.screen.feed(&buffer[..length]);
                seen.bytes.extend_from_slice(&buffer[..length]);
                to.changed.notify_all();
            }
        });
        let terminal = Self { shell: shell.id(), kind: Kind::Pty(Pty { outside: File::from(outside), drawn, shell }) };
        terminal.until(PROMPT);
        terminal
    }

    /// The same in tmux; nothing where there is none, which is said.
    pub(super) fn open_in_tmux(desk: &Desk, cols: u16, rows: u16) -> Option<Self> {
        if Command::new("tmux").arg("-V").stdout(Stdio::null()).status().is_err() {
            eprintln!("tmux is not installed: only the pseudo-terminal was tried");
            return None;
        }
        let tmux = Tmux { socket: desk.home.path().join("tmux/socket") };
        let mut command = tmux.command(&["-f", "/dev/null", "start-server", ";", "set", "-g", "status", "off", ";"]);
        let (cols, rows) = (cols.to_string(), rows.to_string());
        command.args(["new-session", "-d", "-x", &cols, "-y", &rows, "exec sh -i"]);
        prepare(&mut command, desk);
        assert!(command.status().unwrap().success());
        let shell = tmux.tell(&["display-message", "-p", "#{pane_pid}"]).trim().parse().unwrap();
        let terminal = Self { shell, kind: Kind::Tmux(tmux) };
        terminal.until(PROMPT);
        Some(terminal)
    }

    /// Both kinds, in this order.
    pub(super) fn each(desk: &Desk, cols: u16, rows: u16) -> impl Iterator<Item = Self> + '_ {
        // Each is opened when the one before is done with.
        (0..2).filter_map(move |kind| match kind {
            0 => Some(Self::open(desk, cols, rows)),
            _ => Self::open_in_tmux(desk, cols, rows),
        })
    }

    /// Types these bytes.
    pub(super) fn keys(&self, bytes: impl AsRef<[u8]>) {
        match &self.kind {
            Kind::Pty(pty) => (&pty.outside).write_all(bytes.as_ref()).unwrap(),
            Kind::Tmux(tmux) => {
                let hex: Vec<String> = bytes.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
                let hex: Vec<&str> = hex.iter().map(String::as_str).collect();
                tmux.tell(&[&["send-keys", "-H"], hex.as_slice()].concat());
            }
        }
    }

    /// Types a line and Enter.
    pub(super) fn line(&self, text: &str) {
        self.keys(format!("{text}\r"));
    }

    /// Starts a client, and waits until it has reached the daemon.
    pub(super) fn run_client(&self) {
        self.line("clear; ropewalk");
        self.until_reached();
    }

    /// Waits until the client has reached the daemon, and says so.
    pub(super) fn until_reached(&self) {
        let reached = format!(" {} ", host());
        self.until_so("the daemon is reached", |rows| rows.len() > 2 && rows[rows.len() - 2].starts_with(&reached));
    }

    /// Answers a question that is shown by this text, until that is on the screen. A key that comes too soon after the
    /// question is no answer, and is said to be none: it is pressed again while the question is there.
    pub(super) fn answer(&self, key: &str, question: &str, done: &str) {
        let has = |rows: &[String], text: &str| rows.iter().any(|row| row.contains(text));
        loop {
            self.keys(key);
            let rows = self.until_so(done, |rows| !has(rows, question) || has(rows, "too soon"));
            if !has(&rows, question) {
                self.until(done);
                return;
            }
        }
    }

    /// Leaves the client, with the draft as it is; agents go on.
    pub(super) fn quit(&self) {
        self.keys("\x18q");
        self.until(PROMPT);
    }

    /// Leaves the client by what a hand does that knows nothing: without a draft.
    pub(super) fn leave(&self) {
        self.keys("\x03");
        self.until("again");
        self.keys("\x03");
        self.until(PROMPT);
    }

    /// The rows of the screen.
    pub(super) fn rows(&self) -> Vec<String> {
        match &self.kind {
            Kind::Pty(pty) => rows(&pty.drawn.seen.lock().unwrap().screen),
            Kind::Tmux(tmux) => {
                tmux.tell(&["capture-pane", "-p"]).lines().map(|line| line.trim_end().to_owned()).collect()
            }
        }
    }

    /// Waits until the screen is so; its rows.
    pub(super) fn until_so(&self, what: &str, holds: impl Fn(&[String]) -> bool) -> Vec<String> {
        let by = Instant::now() + PATIENCE;
        match &self.kind {
            Kind::Pty(pty) => {
                let mut seen = pty.drawn.seen.lock().unwrap();
                loop {
                    let rows = rows(&seen.screen);
                    if holds(&rows) {
                        return rows;
                    }
                    let left = by.saturating_duration_since(Instant::now());
                    assert!(!left.is_zero(), "never: {what}\n{}", rows.join("\n"));
                    seen = pty.drawn.changed.wait_timeout(seen, left).unwrap().0;
                }
            }
            Kind::Tmux(_) => {
                // It tells nobody when something was drawn.
                loop {
                    let rows = self.rows();
                    if holds(&rows) {
                        return rows;
                    }
                    assert!(Instant::now() < by, "never: {what}\n{}", rows.join("\n"));
                    std::thread::sleep(Duration::from_millis(20));
                }
            }
        }
    }

    /// Waits until a row has this text; the rows.
    pub(super) fn until(&self, text: &str) -> Vec<String> {
        self.until_so(text, |rows| rows.iter().any(|row| row.contains(text)))
    }

    /// Looks at the screen's model, and at what was written, as they are now. There is no such thing of tmux.
    pub(super) fn look<T>(&self, at: impl FnOnce(&Seen) -> T) -> T {
        let Kind::Pty(pty) = &self.kind else { panic!("tmux shows rows, and nothing else") };
        at(&pty.drawn.seen.lock().unwrap())
    }

    /// Waits until the model, and what was written, are so.
    pub(super) fn until_seen(&self, what: &str, holds: impl Fn(&Seen) -> bool) {
        let Kind::Pty(pty) = &self.kind else { panic!("tmux shows rows, and nothing else") };
        let seen = pty.drawn.seen.lock().unwrap();
        let (seen, late) = pty.drawn.changed.wait_timeout_while(seen, PATIENCE, |seen| !holds(seen)).unwrap();
        assert!(!late.timed_out(), "never: {what}\n{}", rows(&seen.screen).join("\n"));
    }

    /// Gives the window another size.
    pub(super) fn resize(&self, cols: u16, rows: u16) {
        match &self.kind {
            Kind::Pty(pty) => {
                pty.drawn.seen.lock().unwrap().screen.resize(Size { cols, rows });
                tcsetwinsize(&pty.outside, window(cols, rows)).unwrap();
            }
            Kind::Tmux(tmux) => {
                tmux.tell(&["resize-window", "-x", &cols.to_string(), "-y", &rows.to_string()]);
            }
        }
    }

    /// The terminal is gone, as when a connection over a network breaks: the shell goes without a word.
    pub(super) fn hang_up(&self) {
        kill_and_wait(self.shell, Signal::KILL);
    }

    /// The client that runs in the shell.
    pub(super) fn client(&self) -> u32 {
        let mut found = None;
        eventually("a client runs in the shell", || {
            found = children(self.shell).into_iter().find(|pid| is_client(*pid));
            found.is_some()
        });
        found.unwrap()
    }

    /// Kills the client as nothing else does: it has no time for anything.
    pub(super) fn kill_client(&self) {
        kill_and_wait(self.client(), Signal::KILL);
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        match &mut self.kind {
            Kind::Pty(pty) => {
                for pid in children(self.shell) {
                    kill_and_wait(pid, Signal::KILL);
                }
                pty.shell.kill().ok();
                pty.shell.wait().ok();
            }
            Kind::Tmux(tmux) => drop(tmux.command(&["kill-server"]).output()),
        }
    }
}

impl Tmux {
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("tmux");
        command.arg("-S").arg(&self.socket).args(args).env_remove("TMUX").stdin(Stdio::null());
        command
    }

    /// Says something to it; what it answers.
    fn tell(&self, args: &[&str]) -> String {
        let output = self.command(args).output().unwrap();
        assert!(output.status.success(), "tmux {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

/// A shell that has nothing of the person who runs the tests.
fn prepare(command: &mut Command, desk: &Desk) {
    let programs = std::path::Path::new(ROPEWALK).parent().unwrap();
    command.env_clear().current_dir(desk.work());
    let home = desk.home.path();
    for (name, value) in [
        ("PATH", format!("{}:/usr/bin:/bin", programs.display())),
        ("HOME", home.display().to_string()),
        ("TMPDIR", home.display().to_string()),
        ("ROPEWALK_HOME", home.display().to_string()),
        ("SHELL", "/bin/sh".to_owned()),
        ("TERM", "xterm-256color".to_owned()),
        ("LANG", "C.UTF-8".to_owned()),
        ("PS1", format!("{PROMPT} ")),
    ] {
        command.env(name, value);
    }
}

fn window(cols: u16, rows: u16) -> Winsize {
    Winsize { ws_row: rows, ws_col: cols, ws_xpixel: 0, ws_ypixel: 0 }
}

fn rows(screen: &Screen) -> Vec<String> {
    (0..screen.size().rows).map(|row| screen.row_text(row)).collect()
}

fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

fn is_client(pid: u32) -> bool {
    std::fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe.to_string_lossy().starts_with(ROPEWALK))
}

fn children(of: u32) -> Vec<u32> {
    let text = std::fs::read_to_string(format!("/proc/{of}/task/{of}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}
