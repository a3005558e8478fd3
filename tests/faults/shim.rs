//! The library of `shim.c`: built once, preloaded into a daemon, and driven through a file.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use crate::harness::{Home, PATIENCE, kill_and_wait};

/// What an operation on a file is; a set of them says which are points.
pub(crate) mod op {
    pub(crate) const WRITE: u64 = 1;
    pub(crate) const SYNC: u64 = 2;
    pub(crate) const CREATE: u64 = 4;
    pub(crate) const RENAME: u64 = 8;
    pub(crate) const UNLINK: u64 = 16;
    pub(crate) const TRUNCATE: u64 = 32;
    pub(crate) const MKDIR: u64 = 64;
    /// `sync_file_range`: no promise of durability.
    pub(crate) const RANGE: u64 = 128;
    /// Everything that changes something.
    pub(crate) const ALL: u64 = 255;
    pub(crate) const READ: u64 = 256;

    pub(crate) fn name(op: u64) -> &'static str {
        let names = ["write", "sync", "create", "rename", "unlink", "truncate", "mkdir", "sync_file_range", "read"];
        names.get(op.trailing_zeros() as usize).copied().unwrap_or("unknown")
    }
}

/// Which processes the shim is at work in.
pub(crate) const DAEMON: u64 = 1;
pub(crate) const HOLDER: u64 = 2;
/// `ropewalk log`, on the files.
pub(crate) const LOG_TOOL: u64 = 4;

pub(crate) const BEFORE: u64 = 0;
pub(crate) const MIDDLE: u64 = 1;
pub(crate) const AFTER: u64 = 2;

pub(crate) const EIO: u64 = 5;
pub(crate) const ENOSPC: u64 = 28;
pub(crate) const EDQUOT: u64 = 122;

const FIELDS: u64 = 16;
const TEXT_BYTES: usize = 64;

/// The fields of `struct control`, in its order.
#[derive(Clone, Copy)]
enum Field {
    Roles,
    Ops,
    Points,
    KillAt,
    KillHow,
    FailFrom,
    FailUntil,
    FailErrno,
    FailShort,
    Failed,
    HasQuota,
    QuotaLeft,
    Realtime,
    Monotonic,
    WaitOps,
    Waiting,
}

/// The control file and the trace of one home, beside it.
pub(crate) struct Shim {
    directory: PathBuf,
    control: File,
}

impl Shim {
    /// Sees everything and does nothing yet.
    pub(crate) fn new(home: &Home) -> Self {
        let directory = home.path().with_extension("faults");
        std::fs::create_dir(&directory).unwrap();
        let options = OpenOptions::new().read(true).write(true).create(true).truncate(true).clone();
        let control = options.open(directory.join("control")).unwrap();
        control.set_len(FIELDS * 8 + 3 * TEXT_BYTES as u64).unwrap();
        let shim = Self { directory, control };
        shim.set(Field::Roles, DAEMON);
        shim.set(Field::Ops, op::ALL);
        shim
    }

    fn set(&self, field: Field, value: u64) {
        self.control.write_all_at(&value.to_ne_bytes(), field as u64 * 8).unwrap();
    }

    fn get(&self, field: Field) -> u64 {
        let mut value = [0; 8];
        self.control.read_exact_at(&mut value, field as u64 * 8).unwrap();
        u64::from_ne_bytes(value)
    }

    fn text(&self, place: u64, text: &str) {
        let mut bytes = text.as_bytes().to_vec();
        assert!(bytes.len() < TEXT_BYTES, "{text} is too long");
        bytes.resize(TEXT_BYTES, 0);
        self.control.write_all_at(&bytes, FIELDS * 8 + place * TEXT_BYTES as u64).unwrap();
    }

    /// Which processes are meant: only those started after it.
    pub(crate) fn roles(&self, roles: u64) {
        self.set(Field::Roles, roles);
    }

    /// What is a point: these operations on paths that have both of `with` in them, and not `without`.
    pub(crate) fn points_are(&self, ops: u64, with: [&str; 2], without: &str) {
        for (text, place) in [with[0], with[1], without].into_iter().zip(0..) {
            self.text(place, text);
        }
        self.set(Field::Ops, ops);
    }

    /// Kills the process at the n-th point.
    pub(crate) fn kill_at(&self, point: u64, how: u64) {
        self.set(Field::KillHow, how);
        self.set(Field::KillAt, point);
    }

    /// Every point fails, beginning with the next one.
    pub(crate) fn fail(&self, errno: u64, after_a_short_one: bool) {
        self.fail_after(0, errno, after_a_short_one);
    }

    /// Every point fails once this many have passed. With errno 0 reads are only short.
    pub(crate) fn fail_after(&self, points: u64, errno: u64, after_a_short_one: bool) {
        self.set(Field::FailErrno, errno);
        self.set(Field::FailShort, u64::from(after_a_short_one));
        self.set(Field::FailUntil, u64::MAX);
        self.set(Field::FailFrom, self.points() + 1 + points);
    }

    pub(crate) fn stop_failing(&self) {
        self.set(Field::FailFrom, 0);
        self.set(Field::HasQuota, 0);
    }

    /// These operations wait at points until [`Shim::answer`].
    pub(crate) fn do_not_answer(&self, ops: u64) {
        self.set(Field::WaitOps, ops);
    }

    pub(crate) fn answer(&self) {
        self.set(Field::WaitOps, 0);
    }

    /// Whether an operation waits.
    pub(crate) fn has_somebody(&self) -> bool {
        self.get(Field::Waiting) > 0
    }

    /// Files may grow by this many bytes more, whatever is removed: somebody else fills the disk as fast.
    pub(crate) fn quota(&self, bytes: u64) {
        self.set(Field::QuotaLeft, bytes);
        self.set(Field::HasQuota, 1);
    }

    /// Files may grow only by what is removed.
    pub(crate) fn full_until_something_is_removed(&self) {
        self.set(Field::QuotaLeft, 0);
        self.set(Field::HasQuota, 2);
    }

    /// Points passed so far.
    pub(crate) fn points(&self) -> u64 {
        self.get(Field::Points)
    }

    /// Points that failed so far.
    pub(crate) fn failed(&self) -> u64 {
        self.get(Field::Failed)
    }

    pub(crate) fn shift_realtime(&self, seconds: i64) {
        self.set(Field::Realtime, seconds.wrapping_mul(1_000_000_000).cast_unsigned());
    }

    pub(crate) fn shift_monotonic(&self, seconds: i64) {
        self.set(Field::Monotonic, seconds.wrapping_mul(1_000_000_000).cast_unsigned());
    }

    /// The trace, which is written from the next start on.
    pub(crate) fn trace(&self) -> PathBuf {
        let trace = self.directory.join("trace");
        drop(OpenOptions::new().append(true).create(true).open(&trace).unwrap());
        trace
    }

    /// Starts a daemon with the shim in it; false when it died before it was ready.
    pub(crate) fn start(&self, home: &Home) -> Option<Shimmed> {
        self.start_as(home, Command::new(crate::harness::ROPEWALK))
    }

    /// A command with the shim in it and in what it starts.
    pub(crate) fn preloaded(&self, home: &Home, mut command: Command) -> Command {
        let control = self.directory.join("control");
        command.env("LD_PRELOAD", library()).env("FAULT_CONTROL", control).env("FAULT_ROOT", home.path());
        command
    }

    /// The same, through a program that becomes the daemon.
    pub(crate) fn start_as(&self, home: &Home, command: Command) -> Option<Shimmed> {
        let mut command = self.preloaded(home, command);
        std::fs::create_dir_all(home.path().join("state")).unwrap();
        let log = OpenOptions::new().append(true).create(true).open(home.path().join("state/daemon.log")).unwrap();
        let trace = self.directory.join("trace");
        if trace.exists() {
            command.env("FAULT_TRACE", trace);
        }
        let mut child = command
            .args(["daemon", "start", "--foreground"])
            .env("ROPEWALK_HOME", home.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut said = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut said).unwrap();
        let mut started = Shimmed { child };
        if said.contains("\"pid\"") {
            return Some(started);
        }
        started.gone();
        None
    }
}

impl Drop for Shim {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.directory).ok();
    }
}

/// A daemon with the shim in it. It is killed when this is dropped.
pub(crate) struct Shimmed {
    child: Child,
}

impl Shimmed {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn is_gone(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits until it is gone.
    pub(crate) fn gone(&mut self) {
        self.child.wait().unwrap();
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Asks it to stop, and waits until it is gone, one way or another.
    pub(crate) fn stop(&mut self) {
        if !self.is_gone() {
            self.signal(rustix::process::Signal::TERM);
        }
        let began = std::time::Instant::now();
        while !self.is_gone() {
            assert!(began.elapsed() < PATIENCE, "the daemon does not stop");
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }
}

impl Drop for Shimmed {
    fn drop(&mut self) {
        if !self.is_gone() {
            kill_and_wait(self.pid(), rustix::process::Signal::KILL);
            self.gone();
        }
    }
}

/// Compiles the library, once for a run of the tests.
fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults/shim.c");
        let made = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("shim-{}.so", std::process::id()));
        let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join("shim.so");
        let compiled = Command::new("cc")
            .args(["-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror", "-o"])
            .args([&made, &source])
            .status()
            .expect("a C compiler is there: building ropewalk's tests needs one");
        assert!(compiled.success(), "shim.c does not compile");
        // Another run of the tests may have the old one loaded: it is replaced, never written to.
        std::fs::rename(made, &library).unwrap();
        library
    })
}
