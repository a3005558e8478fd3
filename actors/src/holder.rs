//! The daemon's end of the line to the holder: frames over a Unix socket, answered by run or by terminal.

#[cfg(test)]
mod tests;

use std::collections::hash_map::{Entry, OccupiedEntry};
use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::hash::Hash;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ropewalk_protocol::holder::{FromHolder, HOLDER_PROTOCOL, HOLDER_PROTOCOL_OLDEST, HeldRun, Spawn, ToHolder, wire};
use ropewalk_protocol::{ClientId, Code, Rejection, RunId, Size, TerminalId, limits};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

/// Frames that wait to be written to the holder. What may be large is bounded in bytes besides.
const OUTGOING_FRAMES_MAX: usize = 4096;
/// How long the holder may take to answer.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// How often a holder is started that says that another one is there, which cannot be reached: that one is about to leave,
/// or to bind its socket again.
const LAUNCHES_MAX: u32 = 6;
/// Frames written with one call.
const WRITE_TOGETHER_BYTES: usize = 64 * 1024;

/// Why there is no line to the holder.
#[derive(Debug, thiserror::Error)]
pub enum HolderError {
    /// It cannot be started or reached.
    #[error("the holder cannot be reached: {0}")]
    Unreachable(io::Error),
    /// It speaks another version.
    #[error("the holder speaks version {theirs} of its protocol, this daemon {HOLDER_PROTOCOL}")]
    Version {
        /// The version it speaks.
        theirs: u16,
    },
    /// It listens and does not answer.
    #[error("the holder does not answer; if it was stopped, let it go on: kill -CONT the process in holder.lock")]
    Silent,
    /// It said something else than welcome.
    #[error("the holder did not say welcome")]
    NoWelcome,
}

/// What the holder holds.
#[derive(Debug, Clone)]
pub struct Welcome {
    /// Its process id.
    pub pid: u32,
    /// Its runs.
    pub runs: Vec<HeldRun>,
}

/// Starts a holder; ready once it listens.
pub type Launch = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = io::Result<()>> + Send>> + Send + Sync>;

/// What the holder says, and what it is told.
pub type Line = (Box<dyn AsyncRead + Send + Unpin>, Box<dyn AsyncWrite + Send + Unpin>);

/// Makes a line to a holder, starting one if there is none.
pub type Dial = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = io::Result<Line>> + Send>> + Send + Sync>;

/// The line. Clones share it.
#[derive(Clone)]
pub struct Link(Arc<Inner>);

struct Inner {
    dial: Dial,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    pid: Option<u32>,
    outgoing: Option<Outgoing>,
    spawns: HashMap<RunId, oneshot::Sender<Result<HeldRun, String>>>,
    resizes: Lines<TerminalId, u64>,
    signals: Lines<RunId, u32>,
}

/// The writing end of a line.
struct Outgoing {
    frames: mpsc::Sender<Waiting>,
    /// Bytes of input and of programs' environments that may still be taken in.
    room: Arc<Semaphore>,
}

/// A frame that waits to be written, and the room it takes until it is.
type Waiting = (Vec<u8>, Option<OwnedSemaphorePermit>);

/// Who waits for answers, in the order of the questions.
type Lines<K, T> = HashMap<K, VecDeque<oneshot::Sender<T>>>;

/// The reading end of a line that was just made.
pub(crate) struct Incoming(BufReader<Box<dyn AsyncRead + Send + Unpin>>);

impl Link {
    /// A line to the holder behind this socket; not connected yet.
    pub fn new(socket: PathBuf, launch: Launch) -> Self {
        Self::over(Arc::new(move || Box::pin(dial_unix(socket.clone(), launch.clone()))))
    }

    /// A line that is made like this; not connected yet.
    pub fn over(dial: Dial) -> Self {
        Self(Arc::new(Inner { dial, state: Mutex::default() }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The holder's process id, while the line is up.
    pub fn pid(&self) -> Option<u32> {
        self.lock().pid
    }

    /// Connects, starting the holder if none listens.
    pub(crate) async fn connect(&self) -> Result<(Welcome, Incoming), HolderError> {
        let (read, mut write) = (self.0.dial)().await.map_err(HolderError::Unreachable)?;
        let mut incoming = Incoming(BufReader::with_capacity(WRITE_TOGETHER_BYTES, read));
        let greeting = async {
            write.write_all(&frame(&ToHolder::Hello { protocol: HOLDER_PROTOCOL })).await?;
            incoming.next().await
        };
        // A process that is stopped still lets others connect.
        let greeted = tokio::time::timeout(ANSWER_TIMEOUT, greeting).await;
        let welcome = greeted.map_err(|_| HolderError::Silent)?.map_err(HolderError::Unreachable)?;
        let FromHolder::Welcome { protocol, pid, runs } = welcome else {
            return Err(HolderError::NoWelcome);
        };
        // An older one says fewer words, and a newer one no others than this build knows.
        if !(HOLDER_PROTOCOL_OLDEST..=HOLDER_PROTOCOL).contains(&protocol) {
            return Err(HolderError::Version { theirs: protocol });
        }
        let (frames, waiting) = mpsc::channel(OUTGOING_FRAMES_MAX);
        tokio::spawn(write_frames(write, waiting));
        let outgoing = Outgoing { frames, room: Arc::new(Semaphore::new(limits::HOLDER_LINE_BYTES_MAX)) };
        *self.lock() = State { pid: Some(pid), outgoing: Some(outgoing), ..State::default() };
        Ok((Welcome { pid, runs }, incoming))
    }

    /// The line is down: whoever waits for an answer gets none.
    pub(crate) fn disconnected(&self) {
        *self.lock() = State::default();
    }

    fn send(&self, message: &ToHolder) -> Result<(), Rejection> {
        self.lock().send(message)
    }

    /// Starts a process, once for each run.
    pub(crate) async fn spawn(&self, spawn: Spawn) -> Result<Result<HeldRun, String>, Rejection> {
        let answer = {
            let mut state = self.lock();
            let run = spawn.run;
            state.send(&ToHolder::Spawn(spawn))?;
            let (reply, answer) = oneshot::channel();
            state.spawns.insert(run, reply);
            answer
        };
        // However long it takes: a holder that was stopped starts it when it goes on, and nothing is started twice.
        answer.await.map_err(|_| unavailable())
    }

    /// Changes a terminal's size, before whatever is sent after this call; the answer is the offset it holds from.
    pub(crate) fn resize(
        &self,
        stream: TerminalId,
        size: Size,
    ) -> impl Future<Output = Result<u64, Rejection>> + Send + use<> {
        let asked = {
            let mut state = self.lock();
            let sent = state.send(&ToHolder::Resize { stream, size });
            sent.map(|()| wait_in_line(&mut state.resizes, stream))
        };
        async move { soon(asked?).await }
    }

    /// Asks for a stream's bytes from this offset on.
    pub(crate) fn follow(&self, stream: TerminalId, from: u64) -> Result<(), Rejection> {
        self.send(&ToHolder::Follow { stream, from })
    }

    /// Bytes before this offset are on stable storage.
    pub(crate) fn durable(&self, stream: TerminalId, offset: u64) -> Result<(), Rejection> {
        self.send(&ToHolder::Durable { stream, offset })
    }

    /// Writes to a process.
    pub(crate) fn input(&self, stream: TerminalId, client: ClientId, id: u64, bytes: Vec<u8>) -> Result<(), Rejection> {
        self.send(&ToHolder::Input { stream, client, id, bytes })
    }

    /// Sends a signal to everything a run started, or none with 0; the answer is how many processes of it live.
    pub(crate) async fn signal(&self, run: RunId, signal: i32) -> Result<u32, Rejection> {
        let answer = {
            let mut state = self.lock();
            state.send(&ToHolder::Signal { run, signal })?;
            wait_in_line(&mut state.signals, run)
        };
        soon(answer).await
    }

    /// Whether the holder answers now, within this time. It is asked about a run that nobody has.
    pub async fn answers_within(&self, limit: Duration) -> bool {
        let nobodys = RunId::from_bytes([0; 16]);
        matches!(tokio::time::timeout(limit, self.signal(nobodys, 0)).await, Ok(Ok(_)))
    }

    /// The end of a run is durable.
    pub(crate) fn forget(&self, run: RunId) -> Result<(), Rejection> {
        self.send(&ToHolder::Forget { run })
    }

    /// Ends everything the holder holds, and the holder.
    pub(crate) fn shut_down(&self) -> Result<(), Rejection> {
        self.send(&ToHolder::Shutdown)
    }

    pub(crate) fn spawned(&self, run: RunId, outcome: Result<HeldRun, String>) {
        let waiting = self.lock().spawns.remove(&run);
        waiting.map(|waiting| waiting.send(outcome));
    }

    pub(crate) fn resized(&self, stream: TerminalId, offset: u64) {
        let mut state = self.lock();
        if let Entry::Occupied(waiting) = state.resizes.entry(stream) {
            answer_first(waiting, offset);
        }
    }

    pub(crate) fn signaled(&self, run: RunId, left: u32) {
        let mut state = self.lock();
        if let Entry::Occupied(waiting) = state.signals.entry(run) {
            answer_first(waiting, left);
        }
    }
}

impl State {
    fn send(&self, message: &ToHolder) -> Result<(), Rejection> {
        let full = || Rejection::new(Code::Busy, "the line to the holder is full");
        let outgoing = self.outgoing.as_ref().ok_or_else(unavailable)?;
        let bytes = frame(message);
        let room = match message {
            ToHolder::Input { .. } | ToHolder::Spawn(_) => {
                let length = u32::try_from(bytes.len()).map_err(|_| full())?;
                Some(outgoing.room.clone().try_acquire_many_owned(length).map_err(|_| full())?)
            }
            // The others are a few bytes each, and what is stored is told although somebody pastes.
            _ => None,
        };
        outgoing.frames.try_send((bytes, room)).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => full(),
            mpsc::error::TrySendError::Closed(_) => unavailable(),
        })
    }
}

/// Waits behind those who asked before. The question is sent under the same lock, so that the order is the same.
fn wait_in_line<K: Eq + Hash, T>(lines: &mut Lines<K, T>, key: K) -> oneshot::Receiver<T> {
    let (reply, answer) = oneshot::channel();
    lines.entry(key).or_default().push_back(reply);
    answer
}

/// Answers the first in line, whether it still waits or has given up: each question has one answer, in its order.
fn answer_first<K, T>(mut waiting: OccupiedEntry<'_, K, VecDeque<oneshot::Sender<T>>>, answer: T) {
    if let Some(first) = waiting.get_mut().pop_front() {
        drop(first.send(answer));
    }
    if waiting.get().is_empty() {
        waiting.remove();
    }
}

/// A holder that lives answers at once.
async fn soon<T>(answer: oneshot::Receiver<T>) -> Result<T, Rejection> {
    match tokio::time::timeout(ANSWER_TIMEOUT, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(_)) | Err(_) => Err(unavailable()),
    }
}

fn unavailable() -> Rejection {
    Rejection::new(Code::HolderUnavailable, "the process that holds the terminals does not answer")
}

impl Incoming {
    /// The next frame.
    pub(crate) async fn next(&mut self) -> io::Result<FromHolder> {
        let invalid = |error| io::Error::new(io::ErrorKind::InvalidData, error);
        let mut header = [0; wire::HEADER_BYTES];
        self.0.read_exact(&mut header).await?;
        let mut body = vec![0; wire::body_bytes(header).map_err(invalid)?];
        self.0.read_exact(&mut body).await?;
        wire::decode_from_holder(&body).map_err(invalid)
    }
}

/// Connects to the holder behind this socket, starting it if none listens.
async fn dial_unix(socket: PathBuf, launch: Launch) -> io::Result<Line> {
    let unreachable = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", socket.display()));
    let stream = reach(&socket, &launch).await.map_err(unreachable)?;
    let (read, write) = stream.into_split();
    Ok((Box::new(read), Box::new(write)))
}

async fn reach(socket: &Path, launch: &Launch) -> io::Result<UnixStream> {
    for launches in 1.. {
        if let Ok(stream) = UnixStream::connect(socket).await {
            return Ok(stream);
        }
        match launch().await {
            Ok(()) => break,
            Err(error) if launches >= LAUNCHES_MAX => return Err(error),
            Err(_) => tokio::time::sleep(reconnect_pause(launches)).await,
        }
    }
    UnixStream::connect(socket).await
}

fn frame(message: &ToHolder) -> Vec<u8> {
    let mut bytes = Vec::new();
    wire::encode_to_holder(message, &mut bytes);
    bytes
}

async fn write_frames(mut write: Box<dyn AsyncWrite + Send + Unpin>, mut waiting: mpsc::Receiver<Waiting>) {
    while let Some((mut bytes, room)) = waiting.recv().await {
        let mut taken = vec![room];
        while bytes.len() < WRITE_TOGETHER_BYTES
            && let Ok((more, room)) = waiting.try_recv()
        {
            bytes.extend_from_slice(&more);
            taken.push(room);
        }
        if let Err(error) = write.write_all(&bytes).await {
            return tracing::debug!(%error, "the line to the holder broke");
        }
        drop(taken);
    }
}

/// How long to wait before a line that broke is made again, by how often that failed.
pub(crate) fn reconnect_pause(failures: u32) -> Duration {
    Duration::from_millis(50 << failures.min(6))
}
