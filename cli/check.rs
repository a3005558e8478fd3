//! What proves a log: every projection rebuilt from event 1, every terminal's bytes up to where it closed, and one event with
//! all that stands behind it. The same for a daemon's log and for one that only lies on disk.

use std::collections::BTreeMap;

use ropewalk_kernel::log::{Filter, Journal, NO_ROW, Verified};
use ropewalk_projections::Projections;
use ropewalk_protocol::{
    ChunkView, Code, DamageView, Event, EventBody, ReceiptView, RecordView, Rejection, Seq, Stream, TerminalId,
    VerifyReport, limits,
};

/// A check of a whole log.
pub(crate) struct LogCheck {
    found: Verified,
    rebuilt: Projections,
    aside: Vec<String>,
}

impl LogCheck {
    /// Reads all of it. Blocking, and long.
    pub(crate) fn run(journal: &Journal) -> Result<Self, Rejection> {
        Self::beside(journal, &mut || {})
    }

    /// The same, and does this beside it, after each event that is read.
    fn beside(journal: &Journal, work: &mut dyn FnMut()) -> Result<Self, Rejection> {
        let mut rebuilt = Projections::default();
        let mut closed = BTreeMap::new();
        let mut lost = BTreeMap::new();
        let found = journal.verify(&mut |event| {
            rebuilt.apply(event);
            note_closed(&mut closed, event);
            note_lost(&mut lost, event);
            work();
        })?;
        if found.damage.iter().any(|damage| damage.reason == NO_ROW) {
            // Bytes may have been lost, and those behind them stored, while the log was read.
            each_event(journal, found.head, journal.head(), |event| note_lost(&mut lost, event))?;
        }
        let mut check = Self { found, rebuilt, aside: journal.aside()? };
        check.closed_terminals(&closed);
        check.excuse(&lost);
        Ok(check)
    }

    /// Something else is wrong.
    pub(crate) fn add(&mut self, place: &str, reason: String) {
        let damage = DamageView { place: place.to_owned(), from: 0, to: 0, terminal: None, reason };
        self.found.damage.push(damage);
    }

    /// A terminal that closed has all its bytes, and none behind them.
    fn closed_terminals(&mut self, closed: &BTreeMap<TerminalId, u64>) {
        for (terminal, end) in closed {
            let stored = self.found.terminals.get(terminal).copied().unwrap_or(0);
            let (from, to, reason) = match stored.cmp(end) {
                std::cmp::Ordering::Equal => continue,
                std::cmp::Ordering::Less => (stored, end - 1, NO_ROW),
                std::cmp::Ordering::Greater => (*end, stored - 1, "these bytes lie behind the terminal's end"),
            };
            let (place, terminal, reason) = ("output".to_owned(), Some(*terminal), reason.to_owned());
            self.found.damage.push(DamageView { place, from, to, terminal, reason });
        }
    }

    /// What no row holds and an event says was lost before it was stored is no damage of the log. A list that is full may
    /// leave damage out, and is left as it is.
    fn excuse(&mut self, lost: &BTreeMap<TerminalId, Vec<(u64, u64)>>) {
        if self.found.damage.len() >= limits::DAMAGE_RANGES_MAX {
            return;
        }
        self.found.damage.retain(|damage| {
            let ranges = damage.terminal.and_then(|terminal| lost.get(&terminal));
            !(damage.reason == NO_ROW && ranges.is_some_and(|ranges| covers(ranges, damage)))
        });
    }

    /// Takes in what happened since the check began, up to this place.
    pub(crate) fn catch_up(&mut self, journal: &Journal, to: Seq) -> Result<(), Rejection> {
        fold_up_to(journal, &mut self.rebuilt, to)
    }

    /// Holds the rebuilt projections against others of the same place. Where events cannot be read they differ, and that is
    /// said already.
    pub(crate) fn compare(&mut self, whose: &str, others: &Projections) {
        if !self.found.damage.is_empty() {
            return;
        }
        for ((name, other), (_, again)) in others.digests().into_iter().zip(self.rebuilt.digests()) {
            if other != again {
                self.found.damage.push(DamageView {
                    place: format!("projection {name}"),
                    from: 1,
                    to: self.rebuilt.seq().0,
                    terminal: None,
                    reason: format!("rebuilt from event 1 it has another digest than {whose}"),
                });
            }
        }
    }

    pub(crate) fn report(self) -> VerifyReport {
        let Self { found, rebuilt, aside } = self;
        let digests = rebuilt.digests().into_iter().map(|(name, digest)| (name.to_owned(), hex(&digest))).collect();
        VerifyReport {
            intact: found.damage.is_empty(),
            head: found.head,
            events: found.events,
            chunks: found.chunks,
            volumes: found.volumes,
            receipts: found.receipts,
            output_bytes: found.output_bytes,
            terminals: found.terminals.len() as u64,
            chain: hex(&found.chain),
            digests,
            damage: found.damage,
            aside,
        }
    }
}

/// Folds the log into these projections, from where they are up to this place.
pub(crate) fn fold_up_to(journal: &Journal, projections: &mut Projections, to: Seq) -> Result<(), Rejection> {
    each_event(journal, projections.seq(), to, |event| projections.apply(event))
}

/// Reads what can be read between these places.
fn each_event(journal: &Journal, mut after: Seq, to: Seq, mut visit: impl FnMut(&Event)) -> Result<(), Rejection> {
    while after < to {
        let page = journal.page(Filter::All, after)?;
        page.events()?.iter().filter(|event| event.seq <= to).for_each(&mut visit);
        after = page.to;
    }
    Ok(())
}

fn note_closed(closed: &mut BTreeMap<TerminalId, u64>, event: &Event) {
    if let (Stream::Terminal(_, terminal), EventBody::TerminalClosed(end)) = (&event.stream, &event.body) {
        closed.insert(*terminal, end.offset);
    }
}

fn note_lost(lost: &mut BTreeMap<TerminalId, Vec<(u64, u64)>>, event: &Event) {
    if let (Stream::Terminal(_, terminal), EventBody::TerminalLost(range)) = (&event.stream, &event.body) {
        lost.entry(*terminal).or_default().push((range.from, range.to));
    }
}

/// Whether these ranges together have all of what is missing. They are told in the order of their beginnings, but one that is
/// told again may begin earlier.
fn covers(ranges: &[(u64, u64)], damage: &DamageView) -> bool {
    let mut ranges = ranges.to_vec();
    ranges.sort_unstable();
    let reached = ranges.iter().fold(damage.from, |at, (from, to)| if *from <= at { at.max(*to) } else { at });
    reached > damage.to
}

/// One event with its chunk, its volume and its receipt.
pub(crate) fn record_view(journal: &Journal, seq: Seq) -> Result<RecordView, Rejection> {
    let missing = || {
        let head = journal.head();
        let hint = format!("The log holds events 1 to {head}.");
        Rejection::not_found(format_args!("event {seq}")).at(head).hint(hint)
    };
    let stored = journal.record(seq)?.ok_or_else(missing)?;
    let event = stored.event().map_err(|error| Rejection::new(Code::Unreadable, format!("event {seq}: {error}")))?;
    let receipt = match &event.cause {
        Some(cause) => journal.receipt(cause.command)?.map(|receipt| (cause.command, receipt)),
        None => None,
    };
    let receipt = receipt.map(|(command, receipt)| ReceiptView {
        command,
        seq: receipt.seq,
        result: receipt.outcome.clone().ok(),
        refused: receipt.outcome.err(),
    });
    let ((first, last), (hash, previous)) = (stored.range(), stored.hashes());
    let chunk = ChunkView {
        first,
        last,
        bytes: stored.chunk_bytes as u64,
        checksum: format!("{:08x}", stored.checksum),
        hash: hex(&hash),
        previous: hex(&previous),
    };
    let (kind, bytes) = (event.body.kind(), stored.record().len() as u64);
    Ok(RecordView { event, kind, bytes, chunk, volume: stored.volume, receipt })
}

/// Bytes in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ropewalk_kernel::log::{Batch, MemoryShelf};
    use ropewalk_protocol::record::NewEvent;
    use ropewalk_protocol::{LogId, SessionAnnotated, SessionId, TerminalLost, Timestamp};

    use super::*;

    const SESSION: SessionId = SessionId::from_bytes([7; 16]);
    const TERMINAL: TerminalId = TerminalId::from_bytes([8; 16]);

    fn append(journal: &Journal, stream: Stream, body: EventBody) {
        let event = NewEvent { stream, at: Timestamp::from_unix_micros(0), cause: None, body };
        let batch = Batch { epoch: journal.epoch(), events: vec![event], receipt: None };
        journal.append(batch).expect("taken").blocking_recv().expect("answered").expect("stored");
    }

    fn store(journal: &Journal, offset: u64) {
        let stored = journal.store_output(TERMINAL, offset, vec![vec![b'x'; 10].into()]).expect("taken");
        stored.blocking_recv().expect("answered").expect("stored");
    }

    #[test]
    fn bytes_that_are_lost_while_the_log_is_read_are_no_damage_of_it() {
        for is_told in [true, false] {
            let shelf = MemoryShelf::default();
            let opened = Journal::open(Arc::new(shelf), LogId::from_bytes([1; 16]), |_| Box::new(|_: &[Event]| {}));
            let journal = opened.expect("opens").journal;
            append(&journal, Stream::Session(SESSION), SessionAnnotated { text: "a remark".to_owned() }.into());
            store(&journal, 0);
            let mut is_first = true;
            let lose = &mut || {
                if std::mem::take(&mut is_first) {
                    let lost = TerminalLost { from: 10, to: 20, reason: "a disk".to_owned() };
                    if is_told {
                        append(&journal, Stream::Terminal(SESSION, TERMINAL), lost.into());
                    }
                    store(&journal, 20);
                }
            };
            let report = LogCheck::beside(&journal, lose).expect("reads").report();
            assert_eq!((report.intact, report.output_bytes), (is_told, 20), "{:?}", report.damage);
        }
    }
}
