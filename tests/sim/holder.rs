//! A holder in memory that speaks the holder's words: it outlives daemons, as the real one does, and its programs print,
//! read and end when the simulation says so.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use ropewalk_actors::{HolderDial, Line};
use ropewalk_protocol::holder::{Ends, Exit, FromHolder, HOLDER_PROTOCOL, HeldRun, Spawn, ToHolder, wire};
use ropewalk_protocol::{ClientId, RunId, Size, TerminalId, limits};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf};
use tokio::sync::Notify;

use super::program::printed;
use super::trace::{note, violation};

/// Bytes of output in one frame.
const OUTPUT_FRAME_BYTES: u64 = 1000;
const SIGKILL: i32 = 9;

/// The holder, whichever process it is just now. Clones share it.
#[derive(Clone)]
pub(super) struct Holder(Arc<Mutex<State>>);

struct State {
    pid: u32,
    runs: BTreeMap<RunId, Run>,
    line: u64,
    outgoing: VecDeque<FromHolder>,
    wake: Arc<Notify>,
    pipe_bytes: usize,
    next_pid: u32,
    /// What every terminal that ever was has printed, and what was typed into it.
    history: BTreeMap<TerminalId, History>,
}

/// What became of a terminal.
#[derive(Debug, Clone, Default)]
pub(super) struct History {
    pub(super) printed: u64,
    /// What its clients typed, in the order in which it came.
    pub(super) typed: Vec<(ClientId, u64, Vec<u8>)>,
    /// The sizes it had after the first one, and from which byte on.
    pub(super) sizes: Vec<(u64, Size)>,
    /// The program lives.
    pub(super) lives: bool,
    /// The holder died under it.
    pub(super) lost: bool,
}

struct Run {
    held: HeldRun,
    /// Where it ended.
    exit: Option<(Exit, u64)>,
    /// Which signals it does not mind: none, SIGHUP, or all but SIGKILL.
    stubborn: u8,
    /// Processes that it left behind.
    children: u32,
    written: BTreeMap<ClientId, u64>,
    follower: Option<Follower>,
}

struct Follower {
    sent: u64,
    durable: u64,
    end_sent: bool,
}

impl Holder {
    pub(super) fn new(pipe_bytes: usize) -> Self {
        let (runs, outgoing, history) = (BTreeMap::new(), VecDeque::new(), BTreeMap::new());
        let state =
            State { pid: 500, runs, line: 0, outgoing, wake: Arc::default(), pipe_bytes, next_pid: 1000, history };
        Self(Arc::new(Mutex::new(state)))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no panic while the holder is locked")
    }

    /// How a daemon makes its line.
    pub(super) fn dial(&self) -> HolderDial {
        let holder = self.clone();
        Arc::new(move || {
            let line = holder.connect();
            Box::pin(async move { Ok(line) })
        })
    }

    fn connect(&self) -> Line {
        let mut state = self.lock();
        let (daemon, mine) = tokio::io::duplex(state.pipe_bytes);
        state.cut();
        let number = state.line;
        let (read, write) = tokio::io::split(mine);
        let stop = state.wake.clone();
        drop(state);
        let (holder, other) = (self.clone(), self.clone());
        tokio::spawn(async move { holder.serve(number, read).await });
        tokio::spawn(async move { other.tell(number, write, stop).await });
        let (read, write) = tokio::io::split(daemon);
        (Box::new(read), Box::new(write))
    }

    async fn serve(&self, number: u64, mut read: ReadHalf<DuplexStream>) {
        loop {
            let stop = self.lock().wake.clone();
            let frame = tokio::select! {
                biased;
                () = gone(self, number, &stop) => return,
                frame = receive(&mut read) => frame,
            };
            let mut state = self.lock();
            if state.line != number {
                return;
            }
            let Some(frame) = frame else {
                state.cut();
                return;
            };
            state.request(frame);
            state.send_output();
        }
    }

    async fn tell(&self, number: u64, mut write: WriteHalf<DuplexStream>, wake: Arc<Notify>) {
        loop {
            let woken = wake.notified();
            let next = {
                let mut state = self.lock();
                if state.line != number {
                    return;
                }
                state.outgoing.pop_front()
            };
            let Some(frame) = next else {
                woken.await;
                continue;
            };
            let mut bytes = Vec::new();
            wire::encode_from_holder(&frame, &mut bytes);
            let written = tokio::select! {
                biased;
                () = gone(self, number, &wake) => return,
                written = write.write_all(&bytes) => written,
            };
            if written.is_err() {
                return;
            }
        }
    }

    /// The line breaks; the daemon makes it again, if it lives.
    pub(super) fn cut(&self) {
        self.lock().cut();
    }

    /// The holder is killed, and everything it held with it. The next daemon that asks finds another one.
    pub(super) fn die(&self) {
        let mut state = self.lock();
        state.cut();
        state.pid += 1;
        for run in std::mem::take(&mut state.runs).into_values() {
            let history = state.history.entry(run.held.stream).or_default();
            history.lost |= run.exit.is_none() || !run.follower.is_some_and(|follower| follower.end_sent);
            history.lives = false;
        }
    }

    /// A program prints so many bytes.
    pub(super) fn print(&self, nth: u64, bytes: u64) {
        let mut state = self.lock();
        if let Some(run) = state.living(nth) {
            let run = state.runs.get_mut(&run).expect("a run that lives is held");
            // A program whose daemon stores nothing waits, as one whose terminal is not read does.
            if run.held.end - run.held.kept_from < limits::HOLDER_WINDOW_BYTES_MAX as u64 {
                run.held.end += bytes;
            }
            let (terminal, end) = (run.held.stream, run.held.end);
            state.history.entry(terminal).or_default().printed = end;
            state.send_output();
        }
    }

    /// A program ends by itself.
    pub(super) fn exit(&self, nth: u64, code: i32) {
        let mut state = self.lock();
        if let Some(run) = state.living(nth) {
            state.end(run, Exit::Code(code));
            state.send_output();
        }
    }

    /// What became of every terminal there ever was.
    pub(super) fn history(&self) -> BTreeMap<TerminalId, History> {
        self.lock().history.clone()
    }

    /// How many runs are held: none that nobody needs may be.
    pub(super) fn held(&self) -> Vec<RunId> {
        self.lock().runs.keys().copied().collect()
    }
}

/// Waits until a line is not the one that counts any more.
async fn gone(holder: &Holder, number: u64, wake: &Notify) {
    loop {
        let woken = wake.notified();
        if holder.lock().line != number {
            return;
        }
        woken.await;
    }
}

async fn receive(read: &mut ReadHalf<DuplexStream>) -> Option<ToHolder> {
    let mut header = [0; wire::HEADER_BYTES];
    read.read_exact(&mut header).await.ok()?;
    let mut body = vec![0; wire::body_bytes(header).ok()?];
    read.read_exact(&mut body).await.ok()?;
    wire::decode_to_holder(&body).ok()
}

impl State {
    fn cut(&mut self) {
        self.line += 1;
        self.outgoing.clear();
        self.runs.values_mut().for_each(|run| run.follower = None);
        self.wake.notify_waiters();
    }

    fn say(&mut self, frame: FromHolder) {
        self.outgoing.push_back(frame);
        self.wake.notify_waiters();
    }

    fn living(&self, nth: u64) -> Option<RunId> {
        let living: Vec<RunId> = self.runs.values().filter(|run| run.exit.is_none()).map(|run| run.held.run).collect();
        (!living.is_empty()).then(|| living[usize::try_from(nth).unwrap_or(0) % living.len()])
    }

    fn request(&mut self, frame: ToHolder) {
        match frame {
            ToHolder::Hello { .. } => self.hello(),
            ToHolder::Spawn(spawn) => self.spawn(&spawn),
            ToHolder::Follow { stream, from } => self.follow(stream, from),
            ToHolder::Durable { stream, offset } => {
                if let Some(run) = self.of(stream) {
                    run.held.kept_from = run.held.kept_from.max(offset.min(run.held.end));
                    if let Some(follower) = &mut run.follower {
                        follower.durable = follower.durable.max(offset.min(run.held.end));
                    }
                }
            }
            ToHolder::Input { stream, client, id, bytes } => self.input(stream, client, id, bytes),
            ToHolder::Resize { stream, size } => self.resize(stream, size),
            ToHolder::Signal { run, signal } => self.signal(run, signal),
            ToHolder::Forget { run } => drop(self.runs.remove(&run)),
            ToHolder::Shutdown => {}
        }
    }

    fn of(&mut self, stream: TerminalId) -> Option<&mut Run> {
        self.runs.values_mut().find(|run| run.held.stream == stream)
    }

    fn hello(&mut self) {
        let runs = self.runs.values().map(|run| run.held.clone()).collect();
        self.say(FromHolder::Welcome { protocol: HOLDER_PROTOCOL, pid: self.pid, runs });
        let ended: Vec<FromHolder> = self
            .runs
            .values()
            .filter_map(|run| run.exit.map(|(exit, offset)| FromHolder::Exited { run: run.held.run, exit, offset }))
            .collect();
        ended.into_iter().for_each(|frame| self.say(frame));
    }

    fn spawn(&mut self, spawn: &Spawn) {
        if let Some(run) = self.runs.get(&spawn.run) {
            let held = run.held.clone();
            return self.say(FromHolder::Spawned(held));
        }
        if spawn.program.argv[0] == "missing" {
            let reason = "no such file".to_owned();
            return self.say(FromHolder::SpawnFailed { run: spawn.run, reason });
        }
        if self.history.contains_key(&spawn.stream) {
            violation(format!("terminal {} is started twice", spawn.stream));
        }
        let Ends::Terminal(size) = spawn.ends else {
            return violation("a program is started on pipes");
        };
        let (pid, start_ticks) = (self.next_pid, u64::from(self.next_pid) * 10);
        self.next_pid += 1;
        let held = HeldRun {
            run: spawn.run,
            session: spawn.session,
            stream: spawn.stream,
            errors: None,
            pid,
            start_ticks,
            kept_from: 0,
            end: 0,
            size: Some(size),
            exit: None,
        };
        let digit = |nth: usize| spawn.program.argv.get(nth).and_then(|text| text.parse().ok()).unwrap_or(0_u8);
        let (stubborn, children) = (digit(1), u32::from(digit(2)));
        let history = History { lives: true, ..History::default() };
        self.history.insert(spawn.stream, history);
        note(format!("holder: program {pid} starts"));
        let run = Run { held, exit: None, stubborn, children, written: BTreeMap::new(), follower: None };
        self.say(FromHolder::Spawned(run.held.clone()));
        self.runs.insert(spawn.run, run);
    }

    fn follow(&mut self, stream: TerminalId, from: u64) {
        if let Some(run) = self.of(stream) {
            run.held.kept_from = run.held.kept_from.max(from.min(run.held.end));
            run.follower = Some(Follower { sent: from, durable: from, end_sent: false });
        }
    }

    fn input(&mut self, stream: TerminalId, client: ClientId, id: u64, bytes: Vec<u8>) {
        let refused = |reason: &str| FromHolder::InputRefused { stream, client, id, reason: reason.to_owned() };
        let Some(run) = self.of(stream) else {
            return self.say(refused("there is no such stream"));
        };
        let last = run.written.get(&client).copied();
        if run.exit.is_some() {
            return self.say(match last {
                Some(id) => FromHolder::Written { stream, client, id },
                None => refused("the stream takes no input"),
            });
        }
        if let Some(last) = last.filter(|last| *last >= id) {
            return self.say(FromHolder::Written { stream, client, id: last });
        }
        run.written.insert(client, id);
        self.history.entry(stream).or_default().typed.push((client, id, bytes));
        self.say(FromHolder::Written { stream, client, id });
    }

    fn resize(&mut self, stream: TerminalId, size: Size) {
        if let Some(run) = self.of(stream) {
            let news = run.held.size.replace(size) != Some(size);
            let offset = run.held.end;
            if news {
                self.history.entry(stream).or_default().sizes.push((offset, size));
            }
            // What was printed before the new size is sent before it.
            self.send_output();
            self.say(FromHolder::Resized { stream, size, offset });
        }
    }

    fn signal(&mut self, id: RunId, signal: i32) {
        let left = match self.runs.get_mut(&id) {
            None => 0,
            Some(run) => {
                let heeds = match signal {
                    0 => false,
                    SIGKILL => true,
                    1 => run.stubborn == 0,
                    _ => run.stubborn <= 1,
                };
                let dies = heeds && run.exit.is_none();
                if signal == SIGKILL {
                    run.children = 0;
                }
                let left = run.children + u32::from(run.exit.is_none() && !dies);
                if dies {
                    self.end(id, Exit::Signal(signal));
                }
                left
            }
        };
        self.say(FromHolder::Signaled { run: id, left });
    }

    fn end(&mut self, id: RunId, exit: Exit) {
        let Some(run) = self.runs.get_mut(&id) else { return };
        run.exit = Some((exit, run.held.end));
        run.held.exit = Some(exit);
        let (pid, offset, stream) = (run.held.pid, run.held.end, run.held.stream);
        note(format!("holder: program {pid} ends: {exit:?} at {offset}"));
        self.history.entry(stream).or_default().lives = false;
        self.say(FromHolder::Exited { run: id, exit, offset });
    }

    /// Sends what followers have not got, within the window.
    fn send_output(&mut self) {
        let mut frames = Vec::new();
        for run in self.runs.values_mut() {
            let Some(follower) = &mut run.follower else { continue };
            let stream = run.held.stream;
            follower.sent = follower.sent.max(run.held.kept_from);
            let until = run.held.end.min(follower.durable + limits::HOLDER_WINDOW_BYTES_MAX as u64);
            while follower.sent < until {
                let length = OUTPUT_FRAME_BYTES.min(until - follower.sent);
                let bytes = printed(stream, follower.sent, length);
                frames.push(FromHolder::Output { stream, offset: follower.sent, bytes });
                follower.sent += length;
            }
            if run.exit.is_some() && follower.sent >= run.held.end && !std::mem::replace(&mut follower.end_sent, true) {
                frames.push(FromHolder::End { stream, offset: run.held.end });
            }
        }
        frames.into_iter().for_each(|frame| self.say(frame));
    }
}
