//! The terminal lane: each terminal's bytes on their way from the holder to those attached and to the log.
//!
//! Bytes are shown at once and stored behind. A lane keeps the newest bytes in memory; a reader is an offset, not a queue,
//! and one that is too far behind reads the log. The holder keeps everything that is not stored, so nothing is lost when
//! the daemon dies, and storing may wait until it is worth a write.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use ropewalk_kernel::log::Journal;
use ropewalk_protocol::{ClientId, Code, Rejection, SessionId, Size, TerminalId, limits};
use tokio::sync::{oneshot, watch};

use crate::terminal::sizes::Sizes;

/// Bytes a lane keeps in memory when nobody is attached.
const UNWATCHED_BYTES_MAX: usize = 16 * 1024;
/// Smaller pieces are joined, up to this size: a keystroke's echo must not cost a whole buffer.
const PIECE_BYTES: usize = 4 * 1024;
/// How long storing waits after the disk failed.
const STORE_RETRY: Duration = Duration::from_millis(500);

/// Who is shown every terminal's bytes, in order, from the daemon's start on: the screens.
pub trait OutputSink: Send + Sync + 'static {
    /// A terminal's bytes, the first at this offset.
    fn output(&self, terminal: TerminalId, offset: u64, bytes: Bytes);
    /// A terminal has this size from this offset on.
    fn resized(&self, terminal: TerminalId, offset: u64, size: Size);
    /// A terminal's bytes are complete.
    fn closed(&self, terminal: TerminalId);
    /// Whether more may be shown now.
    fn has_room(&self) -> bool;
    /// Waits until more may be shown.
    fn room(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

/// What a reader finds at its offset.
#[derive(Debug)]
pub enum LaneRead {
    /// These bytes.
    Bytes(Bytes),
    /// The log has them.
    Stored,
    /// Nothing yet.
    Wait,
    /// Nothing ever: this is the end.
    End,
}

/// How input fared.
pub type InputDone = Result<(), Rejection>;

/// One terminal's lane.
pub struct Lane {
    id: TerminalId,
    session: SessionId,
    state: Mutex<State>,
    /// The offset after the newest byte; also moves when the lane ends.
    moved: watch::Sender<u64>,
}

struct State {
    recent: VecDeque<Bytes>,
    /// The offset of the first byte in `recent`. Everything before it is stored.
    start: u64,
    end: u64,
    stored: u64,
    /// A store is on its way, or a timer for one.
    storing: bool,
    timer: bool,
    /// The stream's length, once the holder said that it is complete.
    complete: Option<u64>,
    attached: usize,
    next_attachment: u64,
    sizes: Sizes,
    size: Size,
    waiting: Vec<(ClientId, u64, oneshot::Sender<InputDone>)>,
}

/// What became of bytes that arrived.
enum Due {
    Nothing,
    Now,
    Soon,
}

impl Lane {
    fn new(id: TerminalId, session: SessionId, stored: u64, size: Size) -> Self {
        let state = State {
            recent: VecDeque::new(),
            start: stored,
            end: stored,
            stored,
            storing: false,
            timer: false,
            complete: None,
            attached: 0,
            next_attachment: 1,
            sizes: Sizes::default(),
            size,
            waiting: Vec::new(),
        };
        Self { id, session, state: Mutex::new(state), moved: watch::Sender::new(stored) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The terminal.
    pub fn id(&self) -> TerminalId {
        self.id
    }

    /// The terminal's session.
    pub fn session(&self) -> SessionId {
        self.session
    }

    /// Tells when there is more to read.
    pub fn moved(&self) -> watch::Receiver<u64> {
        self.moved.subscribe()
    }

    /// The offset after the newest byte.
    pub fn end(&self) -> u64 {
        self.lock().end
    }

    /// The terminal's size.
    pub fn size(&self) -> Size {
        self.lock().size
    }

    /// Bytes from this offset on, as far as memory has them.
    pub fn read(&self, from: u64, bytes_max: usize) -> LaneRead {
        let state = self.lock();
        if from >= state.end {
            return if state.complete.is_some_and(|end| from >= end) { LaneRead::End } else { LaneRead::Wait };
        }
        if from < state.start {
            return LaneRead::Stored;
        }
        let mut at = state.start;
        let mut found = BytesMut::new();
        for piece in &state.recent {
            let skip = usize::try_from(from.saturating_sub(at)).unwrap_or(usize::MAX);
            at += piece.len() as u64;
            if skip >= piece.len() {
                continue;
            }
            let piece = piece.slice(skip..piece.len().min(skip + bytes_max));
            if found.is_empty() && piece.len() >= PIECE_BYTES {
                return LaneRead::Bytes(piece);
            }
            if found.len() + piece.len() > bytes_max {
                break;
            }
            found.extend_from_slice(&piece);
        }
        LaneRead::Bytes(found.freeze())
    }

    fn push(&self, offset: u64, bytes: Bytes) -> Option<(u64, Bytes, Due)> {
        let mut state = self.lock();
        if offset > state.end {
            tracing::error!(terminal = %self.id, expected = state.end, offset, "the holder left bytes out");
            return None;
        }
        let skip = usize::try_from(state.end - offset).unwrap_or(usize::MAX);
        if skip >= bytes.len() {
            return None;
        }
        let (at, fresh) = (state.end, bytes.slice(skip..));
        state.end += fresh.len() as u64;
        match state.recent.back_mut() {
            Some(last) if last.len() + fresh.len() <= PIECE_BYTES => {
                let mut joined = BytesMut::with_capacity(PIECE_BYTES);
                joined.extend_from_slice(last);
                joined.extend_from_slice(&fresh);
                *last = joined.freeze();
            }
            _ => state.recent.push_back(fresh.clone()),
        }
        let due = state.due();
        let end = state.end;
        drop(state);
        self.moved.send_replace(end);
        Some((at, fresh, due))
    }

    /// Starts a store if none is on its way: the offset and the pieces.
    fn take_unstored(&self) -> Option<(u64, Vec<Bytes>)> {
        let mut state = self.lock();
        if state.storing || state.stored >= state.end {
            return None;
        }
        state.storing = true;
        let stored = state.stored;
        let mut at = state.start;
        let mut pieces = Vec::new();
        let mut bytes = 0;
        for piece in &state.recent {
            let skip = usize::try_from(stored.saturating_sub(at)).unwrap_or(usize::MAX);
            at += piece.len() as u64;
            if skip < piece.len() && bytes < limits::COMMIT_OUTPUT_BYTES_MAX {
                bytes += piece.len() - skip;
                pieces.push(piece.slice(skip..));
            }
        }
        Some((stored, pieces))
    }

    /// A store succeeded up to here.
    fn stored(&self, offset: u64) -> Due {
        let mut state = self.lock();
        state.storing = false;
        state.stored = offset;
        state.trim();
        state.due()
    }

    fn store_failed(&self) {
        self.lock().storing = false;
    }

    /// The stream's length, once all of it is stored.
    fn finished(&self) -> Option<u64> {
        let state = self.lock();
        state.complete.filter(|end| state.stored >= *end)
    }

    fn complete(&self, offset: u64) {
        let mut state = self.lock();
        state.complete = Some(offset);
        let end = state.end;
        for (_, _, waiting) in state.waiting.drain(..) {
            drop(waiting.send(Err(Rejection::new(Code::InputRefused, "the terminal is closed"))));
        }
        drop(state);
        self.moved.send_replace(end);
    }

    fn written(&self, client: ClientId, id: u64, outcome: &InputDone) {
        let mut state = self.lock();
        let is_done = |(of, up_to, _): &(ClientId, u64, _)| *of == client && *up_to <= id;
        let (done, waiting) = std::mem::take(&mut state.waiting).into_iter().partition(is_done);
        state.waiting = waiting;
        for (_, _, waiting) in done {
            drop(waiting.send(outcome.clone()));
        }
    }

    fn wait_written(&self, client: ClientId, id: u64) -> oneshot::Receiver<InputDone> {
        let (reply, answer) = oneshot::channel();
        self.lock().waiting.push((client, id, reply));
        answer
    }
}

impl State {
    fn due(&mut self) -> Due {
        let unstored = self.end - self.stored;
        if self.storing || unstored == 0 {
            return Due::Nothing;
        }
        if unstored >= limits::OUTPUT_STORE_BYTES as u64 || self.complete.is_some() {
            return Due::Now;
        }
        if std::mem::replace(&mut self.timer, true) { Due::Nothing } else { Due::Soon }
    }

    /// Lets go of stored bytes that nobody nearly caught up is going to read.
    fn trim(&mut self) {
        let keep = if self.attached > 0 { limits::LANE_BYTES_MAX } else { UNWATCHED_BYTES_MAX } as u64;
        while let Some(first) = self.recent.front() {
            let after = self.start + first.len() as u64;
            if after > self.stored || self.end - self.start <= keep {
                break;
            }
            self.start = after;
            self.recent.pop_front();
        }
        if self.recent.is_empty() {
            self.recent.shrink_to_fit();
        }
    }
}

type OnDurable = Box<dyn Fn(TerminalId, u64) + Send + Sync>;
type OnFinished = Box<dyn Fn(&Lane, u64) + Send + Sync>;

/// Every lane there is. Clones share it.
#[derive(Clone)]
pub struct Lanes(Arc<Inner>);

struct Inner {
    journal: Journal,
    sink: Arc<dyn OutputSink>,
    lanes: Mutex<HashMap<TerminalId, Arc<Lane>>>,
    /// Called with a terminal and an offset: everything before it is on stable storage.
    durable: OnDurable,
    /// Called once a terminal's bytes are complete and stored.
    finished: OnFinished,
}

impl Lanes {
    pub(crate) fn new(
        journal: Journal,
        sink: Arc<dyn OutputSink>,
        durable: impl Fn(TerminalId, u64) + Send + Sync + 'static,
        finished: impl Fn(&Lane, u64) + Send + Sync + 'static,
    ) -> Self {
        let lanes = Mutex::default();
        Self(Arc::new(Inner { journal, sink, lanes, durable: Box::new(durable), finished: Box::new(finished) }))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TerminalId, Arc<Lane>>> {
        self.0.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The lane of a terminal that is open.
    pub fn get(&self, terminal: TerminalId) -> Option<Arc<Lane>> {
        self.lock().get(&terminal).cloned()
    }

    /// How many terminals are open.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether no terminal is open.
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    pub(crate) fn open(&self, terminal: TerminalId, session: SessionId, stored: u64, size: Size) {
        self.lock().entry(terminal).or_insert_with(|| Arc::new(Lane::new(terminal, session, stored, size)));
    }

    pub(crate) fn close(&self, terminal: TerminalId) {
        self.lock().remove(&terminal);
    }

    /// Waits until the screens can take more.
    pub(crate) async fn room(&self) {
        if !self.0.sink.has_room() {
            self.0.sink.room().await;
        }
    }

    pub(crate) fn output(&self, terminal: TerminalId, offset: u64, bytes: Vec<u8>) {
        let Some(lane) = self.get(terminal) else {
            return;
        };
        if let Some((at, fresh, due)) = lane.push(offset, bytes.into()) {
            self.0.sink.output(terminal, at, fresh);
            self.store(&lane, due);
        }
    }

    pub(crate) fn complete(&self, terminal: TerminalId, offset: u64) {
        let Some(lane) = self.get(terminal) else {
            return;
        };
        lane.complete(offset);
        self.0.sink.closed(terminal);
        self.store(&lane, Due::Now);
    }

    pub(crate) fn resized(&self, terminal: TerminalId, size: Size, offset: u64) {
        if let Some(lane) = self.get(terminal) {
            lane.lock().size = size;
            self.0.sink.resized(terminal, offset, size);
        }
    }

    pub(crate) fn written(&self, terminal: TerminalId, client: ClientId, id: u64, outcome: &InputDone) {
        if let Some(lane) = self.get(terminal) {
            lane.written(client, id, outcome);
        }
    }

    pub(crate) fn expect_written(
        &self,
        terminal: TerminalId,
        client: ClientId,
        id: u64,
    ) -> Result<oneshot::Receiver<InputDone>, Rejection> {
        let lane = self.get(terminal).ok_or_else(|| Rejection::new(Code::InputRefused, "the terminal is closed"))?;
        Ok(lane.wait_written(client, id))
    }

    fn store(&self, lane: &Arc<Lane>, due: Due) {
        let (lanes, lane) = (self.clone(), lane.clone());
        match due {
            Due::Nothing => {}
            Due::Now => drop(tokio::spawn(async move { lanes.store_all(&lane).await })),
            Due::Soon => drop(tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(limits::OUTPUT_STORE_DELAY_MILLIS)).await;
                lane.lock().timer = false;
                lanes.store_all(&lane).await;
            })),
        }
    }

    /// Stores until what is left is not worth a write yet.
    async fn store_all(&self, lane: &Arc<Lane>) {
        while let Some((offset, pieces)) = lane.take_unstored() {
            let end = offset + pieces.iter().map(|piece| piece.len() as u64).sum::<u64>();
            let stored = match self.0.journal.store_output(lane.id, offset, pieces) {
                Ok(stored) => {
                    stored.await.unwrap_or_else(|_| Err(Rejection::new(Code::ShuttingDown, "the log is closed")))
                }
                Err(rejection) => Err(rejection),
            };
            match stored {
                Ok(_) => {
                    (self.0.durable)(lane.id, end);
                    match lane.stored(end) {
                        Due::Now => {}
                        due => {
                            self.store(lane, due);
                            break;
                        }
                    }
                }
                Err(rejection) => {
                    lane.store_failed();
                    if rejection.code == Code::ShuttingDown {
                        return;
                    }
                    // The holder keeps the bytes; they are shown meanwhile, and stored when the disk allows.
                    tokio::time::sleep(STORE_RETRY).await;
                }
            }
        }
        if let Some(end) = lane.finished() {
            (self.0.finished)(lane, end);
        }
    }
}

/// A client's presence at a terminal; it leaves when dropped.
pub struct Presence {
    lane: Arc<Lane>,
    attachment: u64,
    resize: Arc<dyn Fn(TerminalId, Size) + Send + Sync>,
}

impl Presence {
    pub(crate) fn new(lane: Arc<Lane>, resize: Arc<dyn Fn(TerminalId, Size) + Send + Sync>) -> Self {
        let attachment = {
            let mut state = lane.lock();
            state.attached += 1;
            state.next_attachment += 1;
            state.next_attachment
        };
        Self { lane, attachment, resize }
    }

    /// The client's window has this size from the start; the size the terminal is to have now, if that is another one.
    pub(crate) fn arrived(&self, size: Size) -> Option<Size> {
        let mut state = self.lane.lock();
        let wanted = state.sizes.resized(self.attachment, size);
        wanted.filter(|wanted| *wanted != state.size)
    }

    /// The lane.
    pub fn lane(&self) -> &Arc<Lane> {
        &self.lane
    }

    /// The client's window has this size now.
    pub fn resized(&self, size: Size) {
        let wanted = self.lane.lock().sizes.resized(self.attachment, size);
        self.want(wanted);
    }

    /// The client typed.
    pub fn used(&self) {
        let wanted = self.lane.lock().sizes.used(self.attachment);
        self.want(wanted);
    }

    fn want(&self, wanted: Option<Size>) {
        // Equal sizes are dropped here, so that nobody's attach makes a program redraw for nothing.
        if let Some(size) = wanted.filter(|size| *size != self.lane.size()) {
            (self.resize)(self.lane.id, size);
        }
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        let wanted = {
            let mut state = self.lane.lock();
            state.attached -= 1;
            state.sizes.left(self.attachment)
        };
        self.want(wanted);
    }
}
