//! The one thread that writes: it commits whatever waits as one group, then publishes, then answers.
//!
//! There is no timer: the first batch commits at once, and what arrives meanwhile is the next group. Whatever may never come
//! back from the disk is done under the eyes of the [`super::watchdog`].

use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ropewalk_protocol::{Code, Event, Rejection, Seq, limits};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::time::{Instant, timeout};

use super::chunk::Chunk;
use super::group::{Group, Queue, Request, commit_rows};
use super::head::Head;
use super::journal::{Batch, Committed, FIRST_EPOCH, Observer, Shared, lock};
use super::receipts::{self, newest_command_millis};
use super::rows;
use super::store::StoreError;
use super::volumes::last_chunk;
use super::watchdog::Watching;
use super::words::is_io_error;
use crate::offload::{self, Worker};
use crate::planted::{Bug, is_planted};

/// How long a full disk is left alone before the log is opened again.
const REOPEN_PAUSE: Duration = Duration::from_millis(200);

pub(super) fn start(
    shared: Arc<Shared>,
    requests: mpsc::Receiver<Request>,
    head: Seq,
    hash: [u8; 32],
    turn: u64,
    observer: Box<dyn Observer>,
) -> io::Result<Worker> {
    let _watching = Watching::start(shared.clone())?;
    let queue = Some(Queue { requests, left_over: None });
    let volume_bytes = usize::try_from(shared.volumes.newest_bytes()).unwrap_or(0);
    let (_closing, reopenings, degraded) = (Closing(shared.clone()), 0, None);
    let writer =
        Writer { _closing, queue, _watching, shared, head, hash, observer, turn, volume_bytes, reopenings, degraded };
    Worker::start("log-writer", writer, Writer::run, Writer::step)
}

struct Writer {
    _closing: Closing,
    /// With the watchdog while the disk is waited for.
    queue: Option<Queue>,
    _watching: Watching,
    shared: Arc<Shared>,
    head: Seq,
    hash: [u8; 32],
    observer: Box<dyn Observer>,
    /// Which slot HEAD is written to next.
    turn: u64,
    /// Bytes of the newest volume: what it took on the disk when the log was opened, and what was written since.
    volume_bytes: usize,
    /// How often it could not be opened again because the disk did not read it.
    reopenings: u32,
    /// Since when the volume is not trusted.
    degraded: Option<Instant>,
}

/// Tells followers that nothing will be appended any more, however the writer ends.
struct Closing(Arc<Shared>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.closed.send_replace(true);
    }
}

impl Writer {
    fn run(mut writer: Self) {
        while let Some(request) = writer.next() {
            if writer.turn(request).is_break() {
                return;
            }
        }
    }

    fn queue(&mut self) -> &mut Queue {
        self.queue.as_mut().expect("the watchdog gives it back before anything else is done")
    }

    /// Blocks for the next request. A volume that did not open again is tried again meanwhile: until it opens, nobody can read
    /// it, and so nobody would append to it either. One that is open waits for the next append: sled's flush may never return
    /// on a disk that fails, so nothing is written that nobody asked for.
    fn next(&mut self) -> Option<Request> {
        if let Some(request) = self.queue().left_over.take() {
            return Some(request);
        }
        while self.is_closed() {
            match self.queue().requests.try_recv() {
                Ok(request) => return Some(request),
                Err(TryRecvError::Disconnected) => return None,
                Err(TryRecvError::Empty) => offload::wait(REOPEN_PAUSE),
            }
            self.try_again();
        }
        self.queue().requests.blocking_recv()
    }

    /// Whether the newest volume is to be opened again and did not open.
    fn is_closed(&self) -> bool {
        let closed = || matches!(self.shared.volumes.newest().1.get(rows::META), Err(StoreError::Closed));
        self.degraded.is_some() && closed()
    }

    /// Opens the volume again, and proves with a commit of nothing that appends succeed.
    fn try_again(&mut self) {
        match self.watched(Group::default(), Self::recover) {
            (Ok(()), group, _) => self.commit(group),
            // What the disk said in the end says more than that it said nothing.
            (Err(error), group, true) => self.fail(group, error),
            (Err(_), ..) => {}
        }
    }

    /// The same in a simulation: what arrives during the pause is committed together, as during a commit.
    async fn step(mut writer: Self) {
        loop {
            let degraded = writer.degraded.is_some();
            let queue = writer.queue();
            let request = match queue.left_over.take() {
                Some(request) => request,
                None if degraded => match timeout(REOPEN_PAUSE, queue.requests.recv()).await {
                    Ok(Some(request)) => request,
                    Ok(None) => return,
                    Err(_) => {
                        writer.try_again();
                        continue;
                    }
                },
                None => match queue.requests.recv().await {
                    Some(request) => request,
                    None => return,
                },
            };
            offload::pause().await;
            if writer.turn(request).is_break() {
                return;
            }
        }
    }

    /// Commits one group: this request and what waits behind it, as far as it fits.
    fn turn(&mut self, request: Request) -> ControlFlow<()> {
        let request = match request {
            stop @ Request::Stop { .. } => {
                // Where the watchdog finds it if the disk does not answer.
                self.queue().left_over = Some(stop);
                let (_, volume) = self.shared.volumes.newest();
                if let (Err(error), ..) = self.watched(Group::default(), |_| volume.settle()) {
                    tracing::warn!(%error, "the newest volume is left as it is: whoever opens it next finishes it");
                }
                if let Some(Request::Stop { reply }) = self.queue().left_over.take() {
                    let _ = reply.send(());
                }
                return ControlFlow::Break(());
            }
            other => other,
        };
        let mut group = Group::default();
        self.admit(&mut group, request);
        while !group.is_full() {
            let Ok(request) = self.queue().requests.try_recv() else {
                break;
            };
            if !group.has_room_for(&request) {
                self.queue().left_over = Some(request);
                break;
            }
            self.admit(&mut group, request);
        }
        if !group.is_empty() {
            self.commit(group);
        }
        ControlFlow::Continue(())
    }

    /// Does what may take for ever. If it takes too long, this group is refused meanwhile, and so is what waits behind it:
    /// nobody waits for the group any more then, and the last of what is returned is true.
    fn watched<T>(&mut self, group: Group, work: impl FnOnce(&mut Self) -> T) -> (T, Group, bool) {
        let shared = self.shared.clone();
        shared.watchdog.begin(group, self.queue.take());
        let done = work(self);
        let (group, queue, overdue) = shared.watchdog.end();
        self.queue = queue;
        (done, group, overdue)
    }

    /// Refuses what was decided on a state that never came to be.
    fn admit(&self, group: &mut Group, request: Request) {
        match request {
            Request::Append { batch, waiter, .. } if batch.epoch != self.shared.epoch.load(Ordering::Acquire) => {
                // While appends fail, why they fail is the better answer.
                let failed = || Rejection::new(Code::StorageFailed, "an append before this one failed");
                let rejection =
                    self.shared.degraded.borrow().clone().map_or_else(failed, Rejection::from).at(self.head);
                waiter.tell(Err(rejection));
            }
            Request::Append { batch, waiter, .. } if self.has_receipt(&batch) => {
                let message = "the command was carried out a moment ago; a repeat gets its answer";
                waiter.tell(Err(Rejection::new(Code::Busy, message).at(self.head)));
                // Its actor has taken in what will not come to be, and may have decided on that.
                self.shared.epoch.fetch_add(1, Ordering::AcqRel);
            }
            other => group.add(other),
        }
    }

    /// Whether a batch's command has a receipt: it was looked for when the command was admitted, and a commit that was
    /// thought to have failed may have been adopted since. Reads the disk only if a commit ever failed and the id may be
    /// known: whoever mints ids of the past must not cost the others the writer's time.
    fn has_receipt(&self, batch: &Batch) -> bool {
        if self.shared.epoch.load(Ordering::Acquire) == FIRST_EPOCH {
            return false;
        }
        let Some((id, _, _)) = batch.receipt.as_ref().filter(|(id, _, _)| lock(&self.shared.recent).may_know(*id))
        else {
            return false;
        };
        let volumes = &self.shared.volumes;
        let (_, volume) = volumes.newest();
        // What cannot be read may be one: then the command is not done, and its repeat is told why.
        if receipts::find(&*volume, *id) != Ok(None) {
            return true;
        }
        // The volume that the adopted commit is in may have been sealed meanwhile.
        volumes.summaries().into_iter().rev().any(|summary| {
            let may_be_there =
                summary.commands.zip(id.unix_millis()).is_some_and(|((from, to), at)| from <= at && at <= to);
            let read = may_be_there.then(|| volumes.read(summary.first, |volume| receipts::find(volume, *id)));
            // What was given up with its volume was not done.
            matches!(read, Some(Ok(Some(receipt))) if receipt.seq <= volumes.end_of(summary.first, self.head))
        })
    }

    fn commit(&mut self, mut group: Group) {
        let epoch = self.shared.epoch.load(Ordering::Acquire);
        if self.degraded.is_some() {
            let (recovered, rest, _) = self.watched(group, Self::recover);
            group = rest;
            if let Err(error) = recovered {
                return self.fail(group, error);
            }
            // They were let in before it was known what the failed commit had left on the disk.
            if group.batches.iter().any(|(batch, _)| self.has_receipt(batch)) {
                self.shared.epoch.fetch_add(1, Ordering::AcqRel);
            }
        }
        if epoch != self.shared.epoch.load(Ordering::Acquire) {
            // What was adopted is not in the state that these were decided on.
            self.refuse(group, &Rejection::new(Code::StorageFailed, "an append before this one failed").at(self.head));
            return self.commit(Group::default());
        }
        let (chunk, rows) = group.rows(self.head, self.hash);
        if is_planted(Bug::PublishBeforeCommit)
            && let Some((chunk, events)) = chunk.as_ref().zip(group.shown_early(self.head))
        {
            self.shared.publish(Arc::new(chunk.copy()), &mut *self.observer, &events);
        }
        let before = self.head;
        let (_, volume) = self.shared.volumes.newest();
        let bytes = rows.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>();
        let (stored, group, overdue) = self.watched(group, |writer| {
            commit_rows(&*volume, rows)?;
            chunk.as_ref().inspect(|chunk| writer.write_head(chunk));
            Ok(())
        });
        if let Err(error) = stored {
            self.degraded = Some(Instant::now());
            return self.fail(group, error);
        }
        self.volume_bytes += bytes;
        self.shared.commits.fetch_add(1, Ordering::Relaxed);
        self.shared.batches.fetch_add(group.batches.len() as u64, Ordering::Relaxed);
        let (group, shown) = self.show(group, chunk, overdue);
        // That the volume opened again is no proof: a commit is. Whoever waits for this finds shown what was adopted.
        if self.shared.degraded.send_if_modified(|degraded| degraded.take().is_some()) {
            tracing::info!("appends succeed again");
        }
        self.answer(group, before, shown);
        if self.volume_bytes >= self.shared.volumes.shelf().volume_bytes_max() {
            let ((), group, overdue) = self.watched(Group::default(), Self::rotate);
            if overdue {
                self.commit(group);
            }
        }
    }

    /// The chunk is durable.
    fn write_head(&mut self, chunk: &Chunk) {
        (self.head, self.hash) = (chunk.last(), chunk.hash);
        self.turn += 1;
        let written = (Head { seq: self.head, hash: self.hash }).write(self.shared.volumes.shelf(), self.turn);
        if let Err(error) = written {
            tracing::warn!(%error, "HEAD could not be written");
        }
    }

    /// The group is durable, and HEAD says so: it is what readers see. One that was refused because it took too long has
    /// happened all the same. With the group come its events, as they were shown.
    fn show(&mut self, mut group: Group, chunk: Option<Chunk>, overdue: bool) -> (Group, Vec<Event>) {
        {
            let mut recent = lock(&self.shared.recent);
            let receipts = group.batches.iter().filter_map(|(batch, _)| batch.receipt.as_ref());
            receipts.for_each(|(id, _, _)| recent.add(*id));
        }
        let Some(chunk) = chunk else { return (group, Vec::new()) };
        let events = std::mem::take(&mut group.events).into_iter().zip(chunk.first().0..);
        let mut events: Vec<Event> = events.map(|(event, seq)| event.at_seq(Seq(seq))).collect();
        self.shared.publish(Arc::new(chunk), &mut *self.observer, &events);
        if overdue {
            self.adopted(std::mem::take(&mut events));
            // Whoever decided since it was refused decided without it.
            self.shared.epoch.fetch_add(1, Ordering::AcqRel);
        }
        (group, events)
    }

    /// The group is durable and shown; the log ended here before it.
    fn answer(&self, mut group: Group, before: Seq, shown: Vec<Event>) {
        let mut begin = 0;
        let mut answers = group.batches.iter().map(|(_, end)| {
            let committed = if *end > begin {
                Committed { first: Seq(before.0 + begin as u64 + 1), last: Seq(before.0 + *end as u64) }
            } else {
                Committed { first: before, last: before }
            };
            begin = *end;
            committed
        });
        let last = group.batch_waiters.pop();
        for (waiter, committed) in group.batch_waiters.drain(..).zip(&mut answers) {
            waiter.tell(Ok(committed));
        }
        let last = last.zip(answers.next());
        if let Some((waiter, committed)) = last {
            waiter.tell_last(Ok(committed), group.spent(shown));
        }
        for waiter in group.output_waiters {
            waiter.tell(Ok(Committed { first: self.head, last: self.head }));
        }
    }

    /// Refuses a group that is fit to be sent again; terminal bytes are, by whoever has them.
    fn refuse(&self, mut group: Group, rejection: &Rejection) {
        self.shared.refused.fetch_add(group.refuse(rejection), Ordering::Relaxed);
    }

    fn fail(&mut self, group: Group, error: StoreError) {
        let rejection = self.shared.degrade(error);
        self.refuse(group, &rejection);
    }

    /// After a failed commit: opens the volume again and finds out what became of that commit.
    fn recover(&mut self) -> Result<(), StoreError> {
        let Some(since) = self.degraded else {
            return Ok(());
        };
        let reason = self.shared.degraded.borrow().clone();
        let full = matches!(reason, Some(StoreError::Full(_)));
        let shelf = self.shared.volumes.shelf();
        if since.elapsed() < REOPEN_PAUSE || (full && shelf.usage().free < limits::BALLAST_BYTES) {
            return Err(reason.unwrap_or_else(|| StoreError::Failed("a commit failed a moment ago".to_owned())));
        }
        self.degraded = Some(Instant::now());
        shelf.ballast(false);
        match self.shared.volumes.reopen_newest() {
            // What the disk cannot read now it may read in a moment; given up, it is a gap until the next start.
            Err(StoreError::Damaged(error)) if is_io_error(&error) && self.reopenings < limits::REOPEN_ATTEMPTS_MAX => {
                self.reopenings += 1;
                return Err(StoreError::Io(error));
            }
            Err(StoreError::Damaged(error)) => {
                tracing::error!(error, "the newest volume cannot be opened again: another is begun");
                let newest_command = lock(&self.shared.recent).newest_millis();
                self.shared.volumes.set_aside_newest(Head { seq: self.head, hash: self.hash }, newest_command)?;
                self.volume_bytes = 0;
            }
            other => other?,
        }
        self.reopenings = 0;
        shelf.ballast(true);
        let (_, volume) = self.shared.volumes.newest();
        if let Some((last, hash)) = last_chunk(&*volume)?.filter(|(last, _)| *last > self.head) {
            self.adopt(last)?;
            self.hash = hash;
        }
        // Receipts may have been stored although their commands were answered with an error.
        lock(&self.shared.recent).forget_up_to(newest_command_millis(&*volume)?);
        self.degraded = None;
        Ok(())
    }

    /// A commit that was answered with an error reached the disk all the same: it happened, so it is shown.
    fn adopt(&mut self, last: Seq) -> Result<(), StoreError> {
        let page = self.shared.volumes.page_all(self.head, last, usize::MAX)?;
        for slice in page.slices {
            let events = slice.events().map_err(|error| StoreError::Failed(error.to_string()))?;
            self.head = slice.chunk.last();
            self.shared.publish(slice.chunk, &mut *self.observer, &events);
            self.adopted(events);
        }
        // Whoever decided since the failure decided without them.
        self.shared.epoch.fetch_add(1, Ordering::AcqRel);
        Ok(())
    }

    /// These events are shown, although their commands were answered with an error.
    fn adopted(&self, events: Vec<Event>) {
        if self.shared.adopted.try_send(events).is_err() {
            tracing::warn!("nobody does what follows from a commit that was thought to have failed");
        }
    }

    fn rotate(&mut self) {
        match self.shared.volumes.rotate(self.head, self.hash) {
            Ok(()) => self.volume_bytes = 0,
            Err(error) => {
                // The volume stays the newest one and grows until a new one can be made.
                tracing::warn!(%error, "no new volume could be begun");
                self.volume_bytes /= 2;
            }
        }
    }
}
