//! What is committed together, what waits behind it, and who waits for both.

use std::collections::BTreeMap;

use bytes::Bytes;
use ropewalk_protocol::record::{NewEvent, Receipt};
use ropewalk_protocol::{Event, Rejection, Seq, SessionId, TerminalId, limits};
use tokio::sync::{mpsc, oneshot};

use super::chunk::Chunk;
use super::journal::Batch;
use super::receipts;
use super::rows;
use super::store::{Row, StoreError, Volume};
use super::waiter::Waiter;
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

/// What waits for the writer.
pub(super) struct Queue {
    pub(super) requests: mpsc::Receiver<Request>,
    /// The next one, which did not fit into the group before it.
    pub(super) left_over: Option<Request>,
}

impl Queue {
    /// Refuses everything that waits; how much that was. One that asks the writer to stop is answered: nothing that was
    /// handed in before it will be stored.
    pub(super) fn refuse(&mut self, rejection: &Rejection) -> u64 {
        let mut refused = 0;
        while let Some(request) = self.left_over.take().or_else(|| self.requests.try_recv().ok()) {
            match request {
                Request::Append { waiter, .. } | Request::Output { waiter, .. } => {
                    waiter.tell(Err(rejection.clone()));
                    refused += 1;
                }
                Request::Snapshot { .. } => {}
                Request::Stop { reply } => {
                    self.requests.close();
                    let _ = reply.send(());
                }
            }
        }
        refused
    }
}

/// What is committed together.
#[derive(Default)]
pub(super) struct Group {
    pub(super) events: Vec<NewEvent>,
    records: Vec<Vec<u8>>,
    record_bytes: usize,
    /// Where each batch's events end in `events`.
    pub(super) batches: Vec<(Batch, usize)>,
    output: Vec<(TerminalId, u64, Vec<Bytes>)>,
    output_bytes: usize,
    snapshots: Vec<Row>,
    /// Who waits for each batch; nobody once the group was refused.
    pub(super) batch_waiters: Vec<Waiter>,
    /// The same for `output`.
    pub(super) output_waiters: Vec<Waiter>,
}

/// What is left of a group that was committed and shown. The last actor that is answered lets go of it: the system's allocator
/// has a lock for the memory of each thread, and the writer and the actors' thread would take turns at that of the latter
/// for every command.
#[derive(Debug)]
pub(super) struct Spent {
    _batches: Vec<(Batch, usize)>,
    _records: Vec<Vec<u8>>,
    _events: Vec<Event>,
}

impl Group {
    /// Takes out what is not needed any more, with the events as they were shown.
    pub(super) fn spent(&mut self, shown: Vec<Event>) -> Spent {
        let (batches, records) = (std::mem::take(&mut self.batches), std::mem::take(&mut self.records));
        Spent { _batches: batches, _records: records, _events: shown }
    }

    pub(super) fn is_full(&self) -> bool {
        self.events.len() >= limits::COMMIT_EVENTS_MAX
            || self.batches.len() >= limits::COMMIT_EVENTS_MAX
            || self.record_bytes >= limits::CHUNK_RECORD_BYTES_MAX
            || self.output_bytes >= limits::COMMIT_OUTPUT_BYTES_MAX
            || self.snapshots.len() >= limits::COMMIT_SNAPSHOTS_MAX
    }

    pub(super) fn is_empty(&self) -> bool {
        self.batches.is_empty() && self.output.is_empty() && self.snapshots.is_empty()
    }

    pub(super) fn has_room_for(&self, request: &Request) -> bool {
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

    pub(super) fn add(&mut self, request: Request) {
        match request {
            Request::Append { mut batch, mut records, waiter } => {
                self.record_bytes += stored_bytes(&records);
                self.records.append(&mut records);
                self.events.append(&mut batch.events);
                self.batches.push((batch, self.events.len()));
                self.batch_waiters.push(waiter);
            }
            Request::Output { terminal, offset, bytes, waiter } => {
                self.output_bytes += bytes.iter().map(Bytes::len).sum::<usize>();
                self.output.push((terminal, offset, bytes));
                self.output_waiters.push(waiter);
            }
            Request::Snapshot { row } => self.snapshots.push(row),
            Request::Stop { .. } => {}
        }
    }

    /// The rows of a commit behind this place: the chunk, its stream index, its receipts and its terminal bytes.
    pub(super) fn rows(&self, head: Seq, hash: [u8; 32]) -> (Option<Chunk>, Vec<Row>) {
        let mut rows: Vec<Row> = Vec::with_capacity(self.batches.len() + self.output.len() + 4);
        let first = head.next();
        let chunk = (!self.events.is_empty()).then(|| {
            let (chunk, value) = Chunk::build(first, hash, &self.events, &self.records);
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
        let mut receipts = Vec::with_capacity(self.batches.len());
        let mut begin = 0;
        for (batch, end) in &self.batches {
            if let Some((command, digest, outcome)) = &batch.receipt {
                let seq = if *end > begin { Seq(head.0 + *end as u64) } else { head };
                let receipt = Receipt { digest: *digest, seq, outcome: outcome.clone() };
                receipts.push((*command, receipt));
            }
            begin = *end;
        }
        rows.extend(receipts::rows(receipts));
        for (terminal, offset, bytes) in &self.output {
            output_rows(*terminal, *offset, bytes, &mut rows);
        }
        rows.extend(self.snapshots.iter().cloned());
        (chunk, rows)
    }

    /// The events with the places they are to have.
    pub(super) fn shown_early(&self, head: Seq) -> Option<Vec<Event>> {
        let places = head.0 + 1..;
        let events = self.events.iter().cloned().zip(places).map(|(event, seq)| event.at_seq(Seq(seq))).collect();
        (!self.events.is_empty()).then_some(events)
    }

    /// Tells whoever waits still; how many that were.
    pub(super) fn refuse(&mut self, rejection: &Rejection) -> u64 {
        let mut refused = 0;
        for waiter in self.batch_waiters.drain(..).chain(self.output_waiters.drain(..)) {
            waiter.tell(Err(rejection.clone()));
            refused += 1;
        }
        refused
    }
}

/// What records take in a chunk, with their lengths.
fn stored_bytes(records: &[Vec<u8>]) -> usize {
    records.iter().map(|record| record.len() + 4).sum()
}

/// All rows or none.
pub(super) fn commit_rows(volume: &dyn Volume, rows: Vec<Row>) -> Result<(), StoreError> {
    if is_planted(Bug::ReceiptOutsideBatch) {
        let (receipts, others): (Vec<Row>, Vec<Row>) = rows.into_iter().partition(|(key, _)| rows::is_receipt(key));
        volume.commit(others)?;
        return volume.commit(receipts);
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
