//! The log's handle: what appends and what tells of it. What is read through it is in `reading.rs`.

use std::cmp::Ordering;
use std::sync::atomic::{self, AtomicU64};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use bytes::Bytes;
use ropewalk_protocol::record::NewEvent;
use ropewalk_protocol::{
    Code, CommandId, CommandResult, Event, LogId, LogStats, Rejection, Seq, Stream, TerminalId, limits,
};
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::chunk::Chunk;
use super::group::Request;
use super::head::Head;
use super::reading::Snapshot;
use super::receipts::newest_command_millis;
use super::recent::Recent;
use super::rows;
use super::store::{Shelf, StoreError};
use super::tail::Tail;
use super::volumes::Volumes;
use super::waiter::{NumberedStored, Stored, Waiter};
use super::watchdog::Watchdog;
use super::writer;
use crate::offload::{self, Worker};
use crate::watch;

/// The log's epoch until a commit fails.
pub(super) const FIRST_EPOCH: u64 = 1;
/// Adopted commits that wait for somebody to do what follows from them: each needs a failure of the disk of its own.
const ADOPTIONS_MAX: usize = 64;

/// What one actor appends at once: all of it or nothing.
#[derive(Debug, Clone)]
pub struct Batch {
    /// The log's epoch when the actor read its state. After a failed append the epoch is another one, and batches that
    /// were decided on a state that never came to be are refused.
    pub epoch: u64,
    /// The events, in order.
    pub events: Vec<NewEvent>,
    /// The answer to the command that caused them.
    pub receipt: Option<(CommandId, [u8; 16], Result<CommandResult, Rejection>)>,
}

/// A batch that is on stable storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// The first event's place; the head when the batch had none.
    pub first: Seq,
    /// The last event's place; the head when the batch had none.
    pub last: Seq,
}

/// Who is told of events as soon as they are durable, on the writer's thread and before anyone else.
pub trait Observer: Send {
    /// These events are durable. They come in order, each once.
    fn committed(&mut self, events: &[Event]);
}

impl<F: FnMut(&[Event]) + Send> Observer for F {
    fn committed(&mut self, events: &[Event]) {
        self(events);
    }
}

/// Why the log could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The disk failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The writer's thread could not be started.
    #[error("the log's writer could not be started: {0}")]
    Thread(std::io::Error),
}

/// A log that was opened.
pub struct Opened {
    /// Its handle.
    pub journal: Journal,
    /// Its writer; it ends once [`Journal::stop`] was called.
    pub writer: Worker,
    /// Events that were acknowledged once and are not there any more.
    pub lost: Option<(Seq, Seq)>,
}

/// The log. Clones share it.
#[derive(Clone)]
pub struct Journal {
    pub(super) shared: Arc<Shared>,
    requests: mpsc::Sender<Request>,
}

/// What the writer and the readers share.
pub(super) struct Shared {
    pub(super) volumes: Volumes,
    pub(super) tail: RwLock<Tail>,
    pub(super) head: watch::Sender<Seq>,
    pub(super) epoch: AtomicU64,
    pub(super) commits: AtomicU64,
    pub(super) batches: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) degraded: watch::Sender<Option<StoreError>>,
    pub(super) recent: Mutex<Recent>,
    pub(super) closed: watch::Sender<bool>,
    pub(super) watchdog: Watchdog,
    /// Commits that were answered with an error and are there all the same.
    pub(super) adopted: mpsc::Sender<Vec<Event>>,
    /// The other end of `adopted`, until somebody takes it.
    pub(super) adoptions: Mutex<Option<mpsc::Receiver<Vec<Event>>>>,
    /// For those for whom there may be more than one page.
    pub(super) subscribers_ahead: Arc<Semaphore>,
    /// For readers that wait.
    pub(super) readers_waiting: Semaphore,
}

/// Counts since the log was opened.
pub type Stats = LogStats;

impl Journal {
    /// Opens the log on this shelf, or begins one with this id. The observer is called for new events only.
    ///
    /// # Errors
    /// The disk failed, or another process has the log.
    pub fn open(
        shelf: Arc<dyn Shelf>,
        fresh: LogId,
        observer: impl FnOnce(Seq) -> Box<dyn Observer>,
    ) -> Result<Opened, OpenError> {
        let acknowledged = Head::read(&*shelf)?;
        let (known, turn) = acknowledged.map_or((None, 0), |(head, slot)| (Some(head), slot as u64));
        let volumes = match Volumes::open(shelf.clone(), fresh, known) {
            // What was kept for a full disk is for this: opening needs room.
            Err(StoreError::Full(error)) => {
                tracing::warn!(error, "the disk is full: the ballast is given up");
                shelf.ballast(false);
                Volumes::open(shelf.clone(), fresh, known)?
            }
            other => other?,
        };
        if shelf.usage().free > 2 * limits::BALLAST_BYTES {
            shelf.ballast(true);
        }
        let (_, newest) = volumes.newest();
        let (head, hash) = volumes.end()?;
        let lost = known.and_then(|known| match known.seq.cmp(&head) {
            Ordering::Greater => Some((head.next(), known.seq)),
            // Another chunk lies where the acknowledged one was.
            Ordering::Equal if known.hash != hash => Some((head, head)),
            Ordering::Equal | Ordering::Less => None,
        });
        if let Some((from, to)) = lost {
            tracing::error!(%from, %to, "events that were acknowledged are not in the log any more");
        }
        // Their places are not given to others: whoever saw them must not be told something else under the same seq.
        let head = lost.map_or(head, |(_, to)| to);
        let commands =
            volumes.summaries().into_iter().filter_map(|summary| summary.commands.map(|(_, newest)| newest)).max();
        let forgotten_millis = newest_command_millis(&*newest)?.max(commands);
        let (adopted, adoptions) = mpsc::channel(ADOPTIONS_MAX);
        let shared = Arc::new(Shared {
            volumes,
            watchdog: Watchdog::new(shelf.commit_time_max()),
            tail: RwLock::default(),
            head: watch::Sender::new(head),
            epoch: AtomicU64::new(FIRST_EPOCH),
            commits: AtomicU64::new(0),
            batches: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            degraded: watch::Sender::new(None),
            closed: watch::Sender::new(false),
            adopted,
            adoptions: Mutex::new(Some(adoptions)),
            subscribers_ahead: Arc::new(Semaphore::new(limits::SUBSCRIBERS_AHEAD_MAX)),
            readers_waiting: Semaphore::new(limits::READERS_WAITING_MAX),
            recent: Mutex::new(Recent::forgetting_up_to(forgotten_millis)),
        });
        let (requests, receiver) = mpsc::channel(limits::WRITER_QUEUE_BATCHES_MAX);
        let writer =
            writer::start(shared.clone(), receiver, head, hash, turn, observer(head)).map_err(OpenError::Thread)?;
        Ok(Opened { journal: Journal { shared, requests }, writer, lost })
    }

    /// Which log this is.
    pub fn id(&self) -> LogId {
        self.shared.volumes.log()
    }

    /// The newest durable event.
    pub fn head(&self) -> Seq {
        *self.shared.head.borrow()
    }

    /// Tells of every new head.
    pub fn heads(&self) -> watch::Receiver<Seq> {
        self.shared.head.subscribe()
    }

    /// Tells when the log is closed: nothing will be appended any more.
    pub fn closed(&self) -> watch::Receiver<bool> {
        self.shared.closed.subscribe()
    }

    /// The epoch that batches must carry; it changes when an append fails.
    pub fn epoch(&self) -> u64 {
        self.shared.epoch.load(atomic::Ordering::Acquire)
    }

    /// Events of commits that were answered with an error and are there all the same, a commit at a time: nobody has done
    /// what follows from them. The first who asks gets them.
    pub fn adoptions(&self) -> Option<mpsc::Receiver<Vec<Event>>> {
        lock(&self.shared.adoptions).take()
    }

    /// Why appends fail, while they do.
    pub fn degraded(&self) -> Option<StoreError> {
        self.shared.degraded.borrow().clone()
    }

    /// Whether the disk has not answered for too long: the writer cannot be stopped until it does.
    pub fn is_stalled(&self) -> bool {
        self.shared.watchdog.is_stalled()
    }

    /// Whether the writer waits for the disk just now.
    pub(super) fn is_waiting(&self) -> bool {
        self.shared.watchdog.is_waiting()
    }

    /// Tells when appends begin to fail, and when they succeed again.
    pub fn health(&self) -> watch::Receiver<Option<StoreError>> {
        self.shared.degraded.subscribe()
    }

    /// Hands a batch to the writer. The receiver gets the outcome once the batch is on stable storage, or was not stored.
    ///
    /// # Errors
    /// `busy` when the queue is full, `too_large` when an event is over its bound, `shutting_down` when the log was stopped.
    pub fn append(&self, batch: Batch) -> Result<oneshot::Receiver<Stored>, Rejection> {
        let (waiter, outcome) = Waiter::one();
        self.hand_over(batch, || waiter)?;
        Ok(outcome)
    }

    /// The same for somebody who appends much: each batch's outcome comes over this channel, with the number it was given.
    /// Nothing comes for a batch that was refused here.
    ///
    /// # Errors
    /// As [`Journal::append`]; also `busy` when the channel has no room for one more outcome.
    pub fn append_numbered(
        &self,
        batch: Batch,
        number: u64,
        outcomes: &mpsc::Sender<NumberedStored>,
    ) -> Result<(), Rejection> {
        let full = |_| Rejection::new(Code::Busy, "too much of one actor is on its way to the disk");
        let room = outcomes.clone().try_reserve_owned().map_err(full)?;
        self.hand_over(batch, || Waiter::numbered(number, room))
    }

    fn hand_over(&self, batch: Batch, waiter: impl FnOnce() -> Waiter) -> Result<(), Rejection> {
        let records: Vec<Vec<u8>> = batch.events.iter().map(NewEvent::encode).collect();
        if let Some(place) = records.iter().position(|record| record.len() > limits::EVENT_BYTES_MAX) {
            let what = batch.events[place].body.name();
            return Err(Rejection::too_large(what, records[place].len(), limits::EVENT_BYTES_MAX));
        }
        let bytes: usize = records.iter().map(|record| record.len() + 4).sum();
        if bytes > limits::CHUNK_RECORD_BYTES_MAX || records.len() > limits::COMMIT_EVENTS_MAX {
            return Err(Rejection::too_large("one command's events", bytes, limits::CHUNK_RECORD_BYTES_MAX));
        }
        if let Some((_, _, Err(refusal))) = &batch.receipt
            && refusal.message.len() + refusal.hint.len() + refusal.matches.iter().map(String::len).sum::<usize>()
                > limits::EVENT_BYTES_MAX
        {
            return Err(Rejection::too_large("a refusal", refusal.message.len(), limits::EVENT_BYTES_MAX));
        }
        self.request(|| Request::Append { batch, records, waiter: waiter() })
    }

    /// Hands terminal bytes to the writer; the answer comes once they are on stable storage.
    ///
    /// # Errors
    /// `busy` when the queue is full, `shutting_down` when the log was stopped.
    pub fn store_output(
        &self,
        terminal: TerminalId,
        offset: u64,
        bytes: Vec<Bytes>,
    ) -> Result<oneshot::Receiver<Stored>, Rejection> {
        let (waiter, outcome) = Waiter::one();
        self.request(|| Request::Output { terminal, offset, bytes, waiter })?;
        Ok(outcome)
    }

    /// Stops the writer once everything handed to it before is stored. While the disk does not answer it is refused instead,
    /// and the writer ends once the disk answers.
    pub fn stop(&self) -> oneshot::Receiver<()> {
        let (reply, answer) = oneshot::channel();
        if let Err(rejected) = self.requests.try_send(Request::Stop { reply }) {
            // A full queue is being worked off: a thread waits for its turn so that the caller need not.
            let (journal, request) = (self.clone(), rejected.into_inner());
            if offload::is_simulated() {
                tokio::spawn(async move { drop(journal.requests.send(request).await) });
            } else {
                std::thread::spawn(move || {
                    drop(journal.requests.blocking_send(request));
                    journal.shared.refuse_while_stalled();
                });
            }
        }
        self.shared.refuse_while_stalled();
        answer
    }

    /// Hands a request to the writer, if its queue has room.
    fn request(&self, request: impl FnOnce() -> Request) -> Result<(), Rejection> {
        let slot = self.requests.try_reserve().map_err(|error| match error {
            mpsc::error::TrySendError::Full(()) => Rejection::new(Code::Busy, "the log's writer has a full queue"),
            mpsc::error::TrySendError::Closed(()) => Rejection::new(Code::ShuttingDown, "the log is closed"),
        })?;
        slot.send(request());
        self.shared.refuse_while_stalled();
        Ok(())
    }

    /// Keeps an actor's state, so that it need not be made of all its history when it wakes. It may be lost at any time.
    ///
    /// # Errors
    /// `busy` when the writer's queue is full, `too_large` when the state is over the bound of a stored value.
    pub fn keep_snapshot(&self, stream: Stream, snapshot: &Snapshot) -> Result<(), Rejection> {
        let Some((_, key)) = rows::snapshot(stream) else {
            return Err(Rejection::not_found("actor for the machine"));
        };
        let value = rows::encode_snapshot(snapshot.at, &snapshot.state);
        if value.len() > limits::STORED_VALUE_BYTES_MAX {
            return Err(Rejection::too_large("an actor's state", value.len(), limits::STORED_VALUE_BYTES_MAX));
        }
        self.request(|| Request::Snapshot { row: (key, value) })
    }

    /// Counts and sizes. Reads the disk's directory.
    pub fn stats(&self) -> LogStats {
        let usage = self.shared.volumes.shelf().usage();
        LogStats {
            head: self.head(),
            volumes: self.shared.volumes.firsts().len() as u64,
            disk_bytes: usage.used,
            free_bytes: usage.free,
            commits: self.shared.commits.load(atomic::Ordering::Relaxed),
            batches: self.shared.batches.load(atomic::Ordering::Relaxed),
            degraded: self.degraded().map(|error| error.to_string()),
            aside: self.aside().map_or(0, |aside| aside.len() as u64),
        }
    }

    /// Files that hold what could not be read and that nobody reads any more. Reads the disk's directories.
    ///
    /// # Errors
    /// The disk failed.
    pub fn aside(&self) -> Result<Vec<String>, StoreError> {
        self.shared.volumes.shelf().aside()
    }

    /// Commits and batches since the log was opened, and batches refused because the disk failed.
    pub fn counts(&self) -> (u64, u64, u64) {
        let shared = &self.shared;
        let count = |counter: &AtomicU64| counter.load(atomic::Ordering::Relaxed);
        (count(&shared.commits), count(&shared.batches), count(&shared.refused))
    }

    pub(super) fn volumes(&self) -> &Volumes {
        &self.shared.volumes
    }
}

impl Shared {
    /// Makes a durable chunk visible: the observer first, so that whoever is told of the new head finds it folded.
    pub(super) fn publish(&self, chunk: Arc<Chunk>, observer: &mut dyn Observer, events: &[Event]) {
        let last = chunk.last();
        observer.committed(events);
        self.tail.write().unwrap_or_else(PoisonError::into_inner).push(chunk);
        self.head.send_replace(last);
    }

    /// From here on appends fail, for this reason: what was decided before must be decided anew. What is said to those who
    /// wait.
    pub(super) fn degrade(&self, error: StoreError) -> Rejection {
        self.epoch.fetch_add(1, atomic::Ordering::AcqRel);
        if self.degraded.borrow().is_none() || matches!(error, StoreError::Stalled(_)) {
            tracing::error!(%error, "appends fail; reads go on");
        }
        self.degraded.send_replace(Some(error.clone()));
        Rejection::from(error).at(*self.head.borrow())
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
