//! A throwaway home with a daemon of its own, and clients that can be cut.

mod cutting;
mod slow;

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ropewalk_protocol::{
    AttachParams, ClientId, ClientInfo, Command as Change, CommandId, CommandResult, Event, Program, Query,
    QueryResult, Rejection, Seq, SessionId, SessionView, Size, SubscribeAfter, SubscribeParams, TerminalId,
    VerifyReport,
};
use ropewalk_transport::client::{AttachmentItem, Client, Dial, Options, SubscriptionItem, dial_unix};
use uuid::Uuid;

pub(crate) use self::cutting::{Choice, dial_cutting, dial_gated};
pub(crate) use self::slow::{Line, dial_over};

pub(crate) const ROPEWALK: &str = env!("CARGO_BIN_EXE_ropewalk");
/// No test waits longer for one thing: it fails instead.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// A home that is removed, with everything that runs in it, when the test ends.
pub(crate) struct Home(PathBuf);

static HOMES: AtomicU32 = AtomicU32::new(0);

impl Home {
    /// An empty home; the first command starts a daemon.
    pub(crate) fn new() -> Self {
        let number = HOMES.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("rw-{}-{number}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    /// A home whose daemon runs.
    pub(crate) fn started() -> Self {
        let home = Self::new();
        home.start();
        home
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(ROPEWALK);
        command.args(args).env("ROPEWALK_HOME", &self.0).env_remove("ROPEWALK_SESSION").stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Runs a command that must work; its stdout.
    pub(crate) fn ok(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{args:?} ended with {}: {out}{err}", output.status);
        out.into_owned()
    }

    /// Runs a command that must not work; its exit code and stderr.
    pub(crate) fn fails(&self, args: &[&str]) -> (i32, String) {
        let output = self.run(args);
        assert!(!output.status.success(), "{args:?} worked: {}", String::from_utf8_lossy(&output.stdout));
        (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    pub(crate) fn start(&self) {
        self.ok(&["daemon", "start"]);
    }

    pub(crate) fn discovery(&self) -> serde_json::Value {
        let text = std::fs::read_to_string(self.0.join("runtime/daemon.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    pub(crate) fn daemon_pid(&self) -> u32 {
        u32::try_from(self.discovery()["pid"].as_u64().unwrap()).unwrap()
    }

    pub(crate) fn token(&self) -> String {
        std::fs::read_to_string(self.0.join("runtime/token")).unwrap()
    }

    pub(crate) fn daemon_log(&self) -> String {
        std::fs::read_to_string(self.0.join("state/daemon.log")).unwrap_or_default()
    }

    /// What the daemon answers to this path over HTTP, with its head.
    pub(crate) fn get(&self, path: &str) -> String {
        let mut stream = UnixStream::connect(self.socket()).unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        String::from_utf8(read_all(stream)).unwrap()
    }

    /// What one of the daemon's metrics says.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        let answer = self.get("/metrics");
        let said = answer.lines().find_map(|line| line.strip_prefix(&format!("ropewalk_{name} ")));
        said.unwrap_or_else(|| panic!("{name} is not among {answer}")).parse().unwrap()
    }

    /// kill -9, and waits until it is gone.
    pub(crate) fn kill_daemon(&self) {
        kill_and_wait(self.daemon_pid(), rustix::process::Signal::KILL);
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.0.join("runtime/daemon.sock")
    }

    pub(crate) async fn client(&self) -> Client {
        Client::connect(dial_unix(self.socket()), options(false)).await.unwrap()
    }

    pub(crate) async fn client_by(&self, dial: Dial, bincode: bool) -> Client {
        Client::connect(dial, options(bincode)).await.unwrap()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // Whatever the test left: a daemon that hangs is killed, and the holder with it.
        let lock = |name: &str| std::fs::read_to_string(self.0.join("data").join(name)).ok();
        for pid in [lock("daemon.lock"), lock("holder.lock")].into_iter().flatten() {
            if let Ok(pid) = pid.trim().parse::<u32>()
                && is_ours(pid)
            {
                kill_and_wait(pid, rustix::process::Signal::KILL);
            }
        }
        if std::thread::panicking() {
            let name = self.0.display();
            println!("--- the daemon's log of {name}\n{}", tail(&self.daemon_log()));
        }
        std::fs::remove_dir_all(&self.0).ok();
    }
}

fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}

/// Whether this process is a ropewalk: a lock file may name a process that is long gone.
fn is_ours(pid: u32) -> bool {
    std::fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe.to_string_lossy().starts_with(ROPEWALK))
}

pub(crate) fn kill_and_wait(pid: u32, signal: rustix::process::Signal) {
    use rustix::event::{PollFd, PollFlags, poll};
    let Some(pid) = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()) else {
        return;
    };
    let Ok(pidfd) = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()) else {
        return;
    };
    rustix::process::pidfd_send_signal(&pidfd, signal).ok();
    poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], None).unwrap();
}

pub(crate) fn process_exists(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}

/// How many file descriptors a process has open.
pub(crate) fn descriptors(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

/// Resident memory of a process, in KiB.
pub(crate) fn resident_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// The most memory that a process takes from here on, in KiB, looked at many times a second.
pub(crate) struct Peak {
    kib: Arc<AtomicU64>,
    watch: tokio::task::JoinHandle<()>,
}

impl Peak {
    pub(crate) fn of(pid: u32) -> Self {
        let kib = Arc::new(AtomicU64::new(resident_kib(pid)));
        let most = kib.clone();
        let watch = tokio::spawn(async move {
            let mut again = tokio::time::interval(Duration::from_millis(20));
            loop {
                again.tick().await;
                most.fetch_max(resident_kib(pid), Ordering::Relaxed);
            }
        });
        Self { kib, watch }
    }

    pub(crate) fn kib(&self) -> u64 {
        self.kib.load(Ordering::Relaxed)
    }
}

impl Drop for Peak {
    fn drop(&mut self) {
        self.watch.abort();
    }
}

pub(crate) fn options(bincode: bool) -> Options {
    let info =
        ClientInfo { name: "test".to_owned(), version: "0".to_owned(), instance: Some(ClientId::from(Uuid::now_v7())) };
    Options { info, bincode, give_up_after: Some(PATIENCE) }
}

/// Runs a test's future, within the patience of a test.
pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> T {
    block_on_for(4 * PATIENCE, work)
}

/// Runs a test's future that may be asked to take longer, within this time.
pub(crate) fn block_on_for<T>(time: Duration, work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let done = runtime.block_on(async { tokio::time::timeout(time, work).await });
    runtime.shutdown_background();
    done.expect("the test took too long")
}

pub(crate) fn mint() -> CommandId {
    CommandId::from(Uuid::now_v7())
}

/// A program as the command line would send it, with this environment's PATH.
pub(crate) fn program(argv: &[&str]) -> Program {
    let variable = |name: &str| (name.to_owned(), std::env::var(name).unwrap_or_default());
    Program {
        argv: argv.iter().map(|arg| (*arg).to_owned()).collect(),
        directory: "/tmp".to_owned(),
        environment: [variable("PATH"), variable("HOME"), ("TERM".to_owned(), "xterm-256color".to_owned())].into(),
    }
}

/// Starts a program in a session of this name.
pub(crate) async fn run(client: &Client, name: &str, argv: &[&str]) -> (SessionId, TerminalId) {
    let command = Change::SessionCreate {
        name: Some(name.to_owned()),
        workspace: None,
        program: Some(program(argv)),
        size: Some(Size::DEFAULT),
        agent: None,
    };
    match client.command(mint(), command).await.unwrap().result {
        CommandResult::SessionCreated { session, terminal, .. } => (session, terminal.unwrap()),
        other => panic!("{other:?}"),
    }
}

/// A session without a program.
pub(crate) async fn create(client: &Client, name: Option<&str>) -> SessionId {
    let command = Change::SessionCreate {
        name: name.map(str::to_owned),
        workspace: None,
        program: None,
        size: None,
        agent: None,
    };
    match client.command(mint(), command).await.unwrap().result {
        CommandResult::SessionCreated { session, .. } => session,
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn annotate(client: &Client, session: SessionId, text: &str) -> Seq {
    let command = Change::SessionAnnotate { session, text: text.to_owned() };
    client.command(mint(), command).await.unwrap().seq
}

/// Many remarks, this many of them on their way at a time.
pub(crate) async fn pour(client: &Client, session: SessionId, count: usize, text: &str, in_flight_max: usize) {
    let mut in_flight = tokio::task::JoinSet::new();
    for _ in 0..count {
        while in_flight.len() >= in_flight_max {
            in_flight.join_next().await.unwrap().unwrap();
        }
        let (client, text) = (client.clone(), text.to_owned());
        in_flight.spawn(async move { annotate(&client, session, &text).await });
    }
    while let Some(done) = in_flight.join_next().await {
        done.unwrap();
    }
}

pub(crate) async fn session(client: &Client, reference: &str) -> SessionView {
    match client.query(Query::SessionGet { reference: reference.to_owned() }).await.unwrap().result {
        QueryResult::Session { session } => session,
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn verify(client: &Client) -> VerifyReport {
    match client.query(Query::LogVerify {}).await.unwrap().result {
        QueryResult::LogVerify { report } => report,
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn screen(client: &Client, terminal: TerminalId) -> Vec<String> {
    match client.query(Query::TerminalScreen { terminal, scrollback: 0 }).await.unwrap().result {
        QueryResult::Screen { lines, .. } => lines,
        other => panic!("{other:?}"),
    }
}

/// All events of the log, in pages.
pub(crate) async fn all_events(client: &Client) -> Vec<Event> {
    events_so_far(client).await.unwrap()
}

/// The same, or why they cannot be read now.
pub(crate) async fn events_so_far(client: &Client) -> Result<Vec<Event>, Rejection> {
    let mut all: Vec<Event> = Vec::new();
    loop {
        let after = all.last().map_or(Seq::ZERO, |event| event.seq);
        let query = Query::EventsPage { session: None, agent: None, after, before: None, limit: None };
        match client.query(query).await?.result {
            QueryResult::Events { events, more, .. } => {
                all.extend(events);
                if !more {
                    return Ok(all);
                }
            }
            other => panic!("{other:?}"),
        }
    }
}

pub(crate) fn from(seq: u64) -> SubscribeParams {
    SubscribeParams { session: None, after: SubscribeAfter::Seq(Seq(seq)), log: None, only: None }
}

pub(crate) fn watch(terminal: TerminalId, after: Option<u64>) -> AttachParams {
    AttachParams { terminal, after, size: None, view_only: true, scrollback: 10_000 }
}

pub(crate) fn typing(terminal: TerminalId, size: Option<Size>) -> AttachParams {
    AttachParams { terminal, after: Some(0), size, view_only: false, scrollback: 0 }
}

/// Every byte of a terminal, until it closes.
pub(crate) async fn output(client: &Client, terminal: TerminalId) -> Vec<u8> {
    let (_, mut items) = client.attach(watch(terminal, Some(0))).await.unwrap();
    let mut bytes = Vec::new();
    while let Some(item) = items.recv().await {
        match item {
            AttachmentItem::Output { offset, bytes: more } => {
                assert_eq!(offset, bytes.len() as u64, "no hole and no repeat");
                bytes.extend_from_slice(&more);
            }
            AttachmentItem::End(end) => {
                assert_eq!(end, bytes.len() as u64);
                return bytes;
            }
            AttachmentItem::Cut => {}
            other => panic!("{other:?}"),
        }
    }
    panic!("the attachment ended");
}

/// Reads an attachment until what it printed contains this.
pub(crate) async fn until(items: &mut tokio::sync::mpsc::Receiver<AttachmentItem>, text: &str) -> String {
    let mut seen = String::new();
    while !seen.contains(text) {
        match items.recv().await {
            Some(AttachmentItem::Output { bytes, .. } | AttachmentItem::Snapshot { bytes, .. }) => {
                seen.push_str(&String::from_utf8_lossy(&bytes));
            }
            Some(AttachmentItem::Written(_) | AttachmentItem::Cut | AttachmentItem::Gap { .. }) => {}
            other => panic!("{text:?} was expected, {seen:?} came, then {other:?}"),
        }
    }
    seen
}

/// Reads a subscription until this many events came.
pub(crate) async fn take(items: &mut tokio::sync::mpsc::Receiver<SubscriptionItem>, count: usize) -> Vec<Event> {
    let mut seen = Vec::new();
    while seen.len() < count {
        match items.recv().await {
            Some(SubscriptionItem::Events(events)) => seen.extend(events),
            Some(SubscriptionItem::Live(_) | SubscriptionItem::Snapshot { .. }) => {}
            other => panic!("{} of {count} events came, then {other:?}", seen.len()),
        }
    }
    seen
}

/// Waits until a session has ended, by its events.
pub(crate) async fn ended(client: &Client, session: SessionId) {
    let params =
        SubscribeParams { session: Some(session), after: SubscribeAfter::Seq(Seq::ZERO), log: None, only: None };
    let (_, mut items) = client.subscribe(params).await.unwrap();
    while let Some(item) = items.recv().await {
        if let SubscriptionItem::Events(events) = item
            && events.iter().any(|event| event.body.name() == "session.ended")
        {
            return;
        }
    }
    panic!("the subscription ended");
}

/// Polls what has no event to wait for: the operating system's view of processes and files.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The same, while others go on.
pub(crate) async fn eventually_async(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// What a program prints on a bare terminal: line feeds become carriage return and line feed.
pub(crate) fn as_printed(text: &[u8]) -> Vec<u8> {
    text.iter().flat_map(|byte| if *byte == b'\n' { vec![b'\r', b'\n'] } else { vec![*byte] }).collect()
}

pub(crate) fn read_all(mut from: impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes).unwrap();
    bytes
}
