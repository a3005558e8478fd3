//! The terminal lane: each terminal's bytes on their way from the holder to those attached and to the log.
//!
//! Bytes are shown at once and stored behind. A lane keeps the newest bytes in memory; a reader is an offset, not a queue,
//! and one that is too far behind reads the log. The holder keeps everything that is not stored, so nothing is lost when
//! the daemon dies, and storing may wait until it is worth a write.

mod lane;
mod presence;

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use ropewalk_kernel::log::Journal;
use ropewalk_kernel::planted::{Bug, is_planted};
use ropewalk_protocol::{ClientId, Code, Rejection, SessionId, Size, TerminalId, limits};
use tokio::sync::oneshot;

use self::lane::{Due, Unstored};
pub use self::lane::{InputDone, Lane, LaneRead};
pub use self::presence::Presence;

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

type OnDurable = Box<dyn Fn(TerminalId, u64) + Send + Sync>;
type OnFinished = Box<dyn Fn(&Lane, u64) + Send + Sync>;
/// Has it recorded that the bytes between two offsets are lost, and why.
type OnLost = Box<dyn Fn(&Lane, u64, u64, String) -> Recorded + Send + Sync>;
type Recorded = Pin<Box<dyn Future<Output = Result<(), Rejection>> + Send>>;

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
    /// Called with what will never come, before anything behind it is stored.
    lost: OnLost,
}

impl Lanes {
    pub(crate) fn new(
        journal: Journal,
        sink: Arc<dyn OutputSink>,
        durable: impl Fn(TerminalId, u64) + Send + Sync + 'static,
        finished: impl Fn(&Lane, u64) + Send + Sync + 'static,
        lost: impl Fn(&Lane, u64, u64, String) -> Recorded + Send + Sync + 'static,
    ) -> Self {
        let lanes = Mutex::default();
        let (durable, finished, lost) = (Box::new(durable), Box::new(finished), Box::new(lost));
        Self(Arc::new(Inner { journal, sink, lanes, durable, finished, lost }))
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

    /// Opens a lane. `is_drawn`: its bytes are a terminal's, and the screens are shown them.
    pub(crate) fn open(&self, terminal: TerminalId, session: SessionId, stored: u64, size: Size, is_drawn: bool) {
        let lane = || Arc::new(Lane::new(terminal, session, stored, size, is_drawn));
        self.lock().entry(terminal).or_insert_with(lane);
    }

    /// Opens a lane whose bytes are all stored, for one who has not read them all.
    pub(crate) fn open_complete(&self, terminal: TerminalId, session: SessionId, stored: u64) {
        self.open(terminal, session, stored, Size::DEFAULT, false);
        self.complete(terminal, stored);
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
            if lane.is_drawn() {
                self.0.sink.output(terminal, at, fresh);
            }
            self.store(&lane, due);
        }
    }

    /// Bytes of a terminal will never come. Screens see it by what comes next.
    pub(crate) fn lost(&self, terminal: TerminalId, from: u64, to: u64, reason: String) {
        tracing::error!(%terminal, from, to, reason, "bytes of a terminal are lost");
        if let Some(lane) = self.get(terminal)
            && let Some(due) = lane.lose(to, reason)
        {
            self.store(&lane, due);
        }
    }

    pub(crate) fn complete(&self, terminal: TerminalId, offset: u64) {
        let Some(lane) = self.get(terminal) else {
            return;
        };
        lane.complete(offset);
        if lane.is_drawn() {
            self.0.sink.closed(terminal);
        }
        self.store(&lane, Due::Now);
    }

    pub(crate) fn resized(&self, terminal: TerminalId, size: Size, offset: u64) {
        if let Some(lane) = self.get(terminal) {
            lane.lock().size = size;
            self.0.sink.resized(terminal, offset, size);
            // Those whose window is another one draw the screen anew.
            lane.tell();
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
        while let Some((offset, unstored)) = lane.take_unstored() {
            let (end, stored) = match unstored {
                Unstored::Bytes(pieces) => {
                    let end = offset + pieces.iter().map(|piece| piece.len() as u64).sum::<u64>();
                    (end, self.store_bytes(lane, offset, end, pieces).await)
                }
                Unstored::Lost { to, reason } => (to, (self.0.lost)(lane, offset, to, reason).await),
            };
            match stored {
                Ok(()) => {
                    (self.0.durable)(lane.id(), end);
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

    async fn store_bytes(&self, lane: &Lane, offset: u64, end: u64, pieces: Vec<Bytes>) -> Result<(), Rejection> {
        if is_planted(Bug::CursorMovedBySend) {
            (self.0.durable)(lane.id(), end);
        }
        let stored = self.0.journal.store_output(lane.id(), offset, pieces)?.await;
        stored.unwrap_or_else(|_| Err(Rejection::new(Code::ShuttingDown, "the log is closed"))).map(drop)
    }
}
