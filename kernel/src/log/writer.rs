//! The one thread that writes: it commits whatever waits as one group, then publishes, then answers.
//!
//! There is no timer: the first batch commits at once, and what arrives meanwhile is the next group.

use std::collections::BTreeMap;
use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use ropewalk_protocol::record::{NewEvent, Receipt};
use ropewalk_protocol::{Code, Event, Rejection, Seq, SessionId, TerminalId, limits};
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout};

use super::chunk::Chunk;
use super::head::Head;
use super::journal::{Batch, Committed, Observer, Shared, lock};
use super::rows;
use super::store::{Row, StoreError, Volume};
use super::volumes::{last_chunk, newest_command_millis};
use super::waiter::Waiter;
use crate::offload::{self, Worker};
use crate::planted::{Bug, is_planted};

/// What the writer is asked to do.
pub(super) enum Request {
    /// The events and their stored records.
    Append {
        batch: Batch,
        records: Vec<Vec<u8>>,
        waiter: Waiter,
    },
    Output {
        terminal: TerminalId,
        offset: u64,
        bytes: Vec<Bytes>,
        waiter: Waiter,
    },
    /// An actor's state: nobody waits for it.
    Snapshot {
        row: Row,
    },
    Stop {
        reply: oneshot::Sender<()>,
    },
}

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
    let volume_bytes = 0;
    let writer = Writer { shared, head, hash, observer, turn, volume_bytes, degraded: None };
    Worker::start("log-writer", (writer, requests), Writer::run, Writer::step)
}

struct Writer {
    shared: Arc<Shared>,
    head: Seq,
    hash: [u8; 32],
    observer: Box<dyn Observer>,
    /// Which slot HEAD is written to next.
    turn: u64,
    /// Bytes written to the newest volume since it was opened.
    volume_bytes: usize,
    /// Since when the volume is not trusted.
    degraded: Option<Instant>,
}

/// What is committed together.
#[derive(Default)]
struct Group {
    events: Vec<NewEvent>,
    records: Vec<Vec<u8>>,
    record_bytes: usize,
    /// Where each batch's events end in `events`.
    batches: Vec<(Batch, usize, Waiter)>,
    output: Vec<(TerminalId, u64, Vec<Bytes>, Waiter)>,
    output_bytes: usize,
    snapshots: Vec<Row>,
}

impl Group {
    fn is_full(&self) -> bool {
        self.events.len() >= limits::COMMIT_EVENTS_MAX
            || self.batches.len() >= limits::COMMIT_EVENTS_MAX
            || self.record_bytes >= limits::CHUNK_RECORD_BYTES_MAX
            || self.output_bytes >= limits::COMMIT_OUTPUT_BYTES_MAX
            || self.snapshots.len() >= limits::COMMIT_SNAPSHOTS_MAX
    }

    fn is_empty(&self) -> bool {
        self.batches.is_empty() && self.output.is_empty() && self.snapshots.is_empty()
    }

    fn has_room_for(&self, request: &Request) -> bool {
        match request {
            Request::Append { records, .. } => {
                self.batches.is_empty()
                    || (self.records.len() + records.len() <= limits::COMMIT_EVENTS_MAX
                        && self.record_bytes + stored_bytes(records) <= limits::CHUNK_RECORD_BYTES_MAX)
            }
            Request::Output { .. } | Request::Snapshot { .. } => true,
            Request::Stop { .. } => false,
        }
    }

    fn add(&mut self, request: Request) {
        match request {
            Request::Append { mut batch, mut records, waiter } => {
                self.record_bytes += stored_bytes(&records);
                self.records.append(&mut records);
                self.events.append(&mut batch.events);
                self.batches.push((batch, self.events.len(), waiter));
            }
            Request::Output { terminal, offset, bytes, waiter } => {
                self.output_bytes += bytes.iter().map(Bytes::len).sum::<usize>();
                self.output.push((terminal, offset, bytes, waiter));
            }
            Request::Snapshot { row } => self.snapshots.push(row),
            Request::Stop { .. } => {}
        }
    }

    /// The events with the places they are to have.
    fn shown_early(&self, head: Seq) -> Option<Vec<Event>> {
        let places = head.0 + 1..;
        let events = self.events.iter().cloned().zip(places).map(|(event, seq)| event.at_seq(Seq(seq))).collect();
        (!self.events.is_empty()).then_some(events)
    }

    fn refuse(self, rejection: &Rejection) {
        let waiters = self.batches.into_iter().map(|(_, _, waiter)| waiter);
        for waiter in waiters.chain(self.output.into_iter().map(|(_, _, _, waiter)| waiter)) {
            waiter.tell(Err(rejection.clone()));
        }
    }
}

/// What records take in a chunk, with their lengths.
fn stored_bytes(records: &[Vec<u8>]) -> usize {
    records.iter().map(|record| record.len() + 4).sum()
}

/// Tells followers that nothing will be appended any more, however the writer ends.
struct Closing(Arc<Shared>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.closed.send_replace(true);
    }
}

impl Writer {
    fn run((mut writer, mut requests): (Self, mpsc::Receiver<Request>)) {
        let _closed = Closing(writer.shared.clone());
        let mut left_over = None;
        while let Some(request) = left_over.take().or_else(|| writer.next(&mut requests)) {
            if writer.turn(request, &mut requests, &mut left_over).is_break() {
                return;
            }
        }
    }

    /// Blocks for the next request. A volume that did not open again is tried again meanwhile: until it opens, nobody can read
    /// it, and so nobody would append to it either. One that is open waits for the next append: sled's flush may never return
    /// on a disk that fails, so nothing is written that nobody asked for.
    fn next(&mut self, requests: &mut mpsc::Receiver<Request>) -> Option<Request> {
        while self.is_closed() {
            match requests.try_recv() {
                Ok(request) => return Some(request),
                Err(TryRecvError::Disconnected) => return None,
                Err(TryRecvError::Empty) => offload::wait(REOPEN_PAUSE),
            }
            self.try_again();
        }
        requests.blocking_recv()
    }

    /// Whether the newest volume is to be opened again and did not open.
    fn is_closed(&self) -> bool {
        let closed = || matches!(self.shared.volumes.newest().1.get(rows::META), Err(StoreError::Closed));
        self.degraded.is_some() && closed()
    }

    /// Opens the volume again, and proves with a commit of nothing that appends succeed.
    fn try_again(&mut self) {
        if self.recover().is_ok() {
            self.commit(Group::default());
        }
    }

    /// The same in a simulation: what arrives during the pause is committed together, as during a commit.
    async fn step((mut writer, mut requests): (Self, mpsc::Receiver<Request>)) {
        let _closed = Closing(writer.shared.clone());
        let mut left_over: Option<Request> = None;
        loop {
            let request = match left_over.take() {
                Some(request) => request,
                None if writer.degraded.is_some() => match timeout(REOPEN_PAUSE, requests.recv()).await {
                    Ok(Some(request)) => request,
                    Ok(None) => return,
                    Err(_) => {
                        writer.try_again();
                        continue;
                    }
                },
                None => match requests.recv().await {
                    Some(request) => request,
                    None => return,
                },
            };
            offload::pause().await;
            if writer.turn(request, &mut requests, &mut left_over).is_break() {
                return;
            }
        }
    }

    /// Commits one group: this request and what waits behind it, as far as it fits.
    fn turn(
        &mut self,
        request: Request,
        requests: &mut mpsc::Receiver<Request>,
        left_over: &mut Option<Request>,
    ) -> ControlFlow<()> {
        let request = match request {
            Request::Stop { reply } => {
                let _ = reply.send(());
                return ControlFlow::Break(());
            }
            other => other,
        };
        let mut group = Group::default();
        self.admit(&mut group, request);
        while !group.is_full() {
            let Ok(request) = requests.try_recv() else {
                break;
            };
            if !group.has_room_for(&request) {
                *left_over = Some(request);
                break;
            }
            self.admit(&mut group, request);
        }
        if !group.is_empty() {
            self.commit(group);
        }
        ControlFlow::Continue(())
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
            }
            other => group.add(other),
        }
    }

    /// Whether a batch's command has a receipt: it was looked for when the command was admitted, and a commit that was
    /// thought to have failed may have been adopted since. Reads the disk only if the id may be known.
    fn has_receipt(&self, batch: &Batch) -> bool {
        let Some((id, _, _)) = batch.receipt.as_ref().filter(|(id, _, _)| lock(&self.shared.recent).may_know(*id))
        else {
            return false;
        };
        let (_, volume) = self.shared.volumes.newest();
        // A disk that fails here fails the commit as well.
        volume.get(&rows::receipt(*id)).is_ok_and(|receipt| receipt.is_some())
    }

    fn commit(&mut self, group: Group) {
        let epoch = self.shared.epoch.load(Ordering::Acquire);
        if let Err(error) = self.recover() {
            return self.fail(group, error);
        }
        if epoch != self.shared.epoch.load(Ordering::Acquire) {
            // What was adopted is not in the state that these were decided on.
            self.refuse(group);
            return self.commit(Group::default());
        }
        let (chunk, rows) = self.rows(&group);
        if is_planted(Bug::PublishBeforeCommit)
            && let Some((chunk, events)) = chunk.as_ref().zip(group.shown_early(self.head))
        {
            self.shared.publish(Arc::new(chunk.copy()), &mut *self.observer, &events);
        }
        let (_, volume) = self.shared.volumes.newest();
        if let Err(error) = commit_rows(&*volume, &rows) {
            self.degraded = Some(Instant::now());
            return self.fail(group, error);
        }
        // That the volume opened again is no proof: a commit is.
        if self.shared.degraded.send_if_modified(|degraded| degraded.take().is_some()) {
            tracing::info!("appends succeed again");
        }
        self.volume_bytes += rows.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>();
        self.shared.commits.fetch_add(1, Ordering::Relaxed);
        self.shared.batches.fetch_add(group.batches.len() as u64, Ordering::Relaxed);
        self.finish(group, chunk);
        if self.volume_bytes >= self.shared.volumes.shelf().volume_bytes_max() {
            self.rotate();
        }
    }

    /// The rows of a commit: the chunk, its stream index, its receipts and its terminal bytes.
    fn rows(&self, group: &Group) -> (Option<Chunk>, Vec<Row>) {
        let mut rows: Vec<Row> = Vec::with_capacity(group.batches.len() + group.output.len() + 4);
        let first = self.head.next();
        let chunk = (!group.events.is_empty()).then(|| {
            let (chunk, value) = Chunk::build(first, self.hash, &group.events, &group.records);
            rows.push((rows::events(first), value));
            let mut places: BTreeMap<SessionId, Vec<u16>> = BTreeMap::new();
            for place in 0..chunk.len() {
                if let Some(session) = chunk.session(place) {
                    places.entry(session).or_default().push(u16::try_from(place).expect("a commit is bounded"));
                }
            }
            let streams = places.into_iter();
            rows.extend(streams.map(|(session, places)| (rows::streams(session, first), rows::encode_places(&places))));
            chunk
        });
        let mut begin = 0;
        for (batch, end, _) in &group.batches {
            if let Some((command, digest, outcome)) = &batch.receipt {
                let seq = if *end > begin { Seq(self.head.0 + *end as u64) } else { self.head };
                let receipt = Receipt { digest: *digest, seq, outcome: outcome.clone() };
                rows.push((rows::receipt(*command), rows::encode_receipt(&receipt)));
            }
            begin = *end;
        }
        for (terminal, offset, bytes, _) in &group.output {
            output_rows(*terminal, *offset, bytes, &mut rows);
        }
        rows.extend(group.snapshots.iter().cloned());
        (chunk, rows)
    }

    /// The group is durable: HEAD, then what readers see, then the answers.
    fn finish(&mut self, group: Group, chunk: Option<Chunk>) {
        let before = self.head;
        let Group { events, batches, output, .. } = group;
        {
            let mut recent = lock(&self.shared.recent);
            batches.iter().filter_map(|(batch, _, _)| batch.receipt.as_ref()).for_each(|(id, _, _)| recent.add(*id));
        }
        if let Some(chunk) = chunk {
            (self.head, self.hash) = (chunk.last(), chunk.hash);
            self.turn += 1;
            if let Err(error) = (Head { seq: self.head, hash: self.hash }).write(self.shared.volumes.shelf(), self.turn)
            {
                tracing::warn!(%error, "HEAD could not be written");
            }
            let first = chunk.first().0;
            let events: Vec<Event> =
                events.into_iter().zip(first..).map(|(event, seq)| event.at_seq(Seq(seq))).collect();
            self.shared.publish(Arc::new(chunk), &mut *self.observer, &events);
        }
        let mut begin = 0;
        for (_, end, waiter) in batches {
            let committed = if end > begin {
                Committed { first: Seq(before.0 + begin as u64 + 1), last: Seq(before.0 + end as u64) }
            } else {
                Committed { first: before, last: before }
            };
            begin = end;
            waiter.tell(Ok(committed));
        }
        for (_, _, _, waiter) in output {
            waiter.tell(Ok(Committed { first: self.head, last: self.head }));
        }
    }

    /// Refuses a group that is fit to be sent again; terminal bytes are, by whoever has them.
    fn refuse(&self, group: Group) {
        self.shared.refused.fetch_add((group.batches.len() + group.output.len()) as u64, Ordering::Relaxed);
        group.refuse(&Rejection::new(Code::StorageFailed, "an append before this one failed").at(self.head));
    }

    fn fail(&mut self, group: Group, error: StoreError) {
        self.shared.epoch.fetch_add(1, Ordering::AcqRel);
        self.shared.refused.fetch_add((group.batches.len() + group.output.len()) as u64, Ordering::Relaxed);
        if self.shared.degraded.borrow().is_none() {
            tracing::error!(%error, "appends fail; reads go on");
        }
        self.shared.degraded.send_replace(Some(error.clone()));
        group.refuse(&Rejection::from(error).at(self.head));
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
            Err(StoreError::Damaged(error)) => {
                tracing::error!(error, "the newest volume cannot be opened again: another is begun");
                let newest_command = lock(&self.shared.recent).newest_millis();
                self.shared.volumes.set_aside_newest(Head { seq: self.head, hash: self.hash }, newest_command)?;
                self.volume_bytes = 0;
            }
            other => other?,
        }
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
            if self.shared.adopted.try_send(events).is_err() {
                tracing::warn!("nobody does what follows from a commit that was thought to have failed");
            }
        }
        // Whoever decided since the failure decided without them.
        self.shared.epoch.fetch_add(1, Ordering::AcqRel);
        Ok(())
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

/// All rows or none.
fn commit_rows(volume: &dyn Volume, rows: &[Row]) -> Result<(), StoreError> {
    if is_planted(Bug::ReceiptOutsideBatch) {
        let (receipts, others): (Vec<Row>, Vec<Row>) = rows.iter().cloned().partition(|(key, _)| rows::is_receipt(key));
        volume.commit(&others)?;
        return volume.commit(&receipts);
    }
    volume.commit(rows)
}

/// Cuts terminal bytes into rows.
fn output_rows(terminal: TerminalId, offset: u64, bytes: &[Bytes], rows: &mut Vec<Row>) {
    let mut row = Vec::with_capacity(limits::OUTPUT_ROW_BYTES_MAX);
    let mut begin = if is_planted(Bug::OffsetReused) { offset.saturating_sub(1) } else { offset };
    for mut rest in bytes.iter().map(|piece| &piece[..]) {
        while !rest.is_empty() {
            let take = rest.len().min(limits::OUTPUT_ROW_BYTES_MAX - row.len());
            row.extend_from_slice(&rest[..take]);
            rest = &rest[take..];
            if row.len() == limits::OUTPUT_ROW_BYTES_MAX {
                rows.push((rows::output(terminal, begin), rows::encode_output(&row)));
                begin += row.len() as u64;
                row.clear();
            }
        }
    }
    if !row.is_empty() {
        rows.push((rows::output(terminal, begin), rows::encode_output(&row)));
    }
}
