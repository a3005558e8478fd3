//! Disks to open logs on, and the words to fill them with.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ropewalk_kernel::log::store::{Row, Shelf, StoreError};
use ropewalk_kernel::log::{
    Batch, Committed, EventPage, Filter, Gap, History, Journal, MemoryShelf, SledShelf, Verified,
};
use ropewalk_kernel::offload::Worker;
use ropewalk_kernel::{Answer, Owners, Router};
use ropewalk_protocol::record::NewEvent;
use ropewalk_protocol::{
    Cause, Command, CommandId, CommandResult, DamageView, Event, LogId, Rejection, Seq, SessionAnnotated, SessionId,
    Stream, TerminalId, Timestamp,
};

/// SplitMix64: the same in every run.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.number() % end as u64).expect("below a usize")
    }

    /// Bytes that no compression makes smaller.
    pub(crate) fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(length + 8);
        while bytes.len() < length {
            bytes.extend_from_slice(&self.number().to_le_bytes());
        }
        bytes.truncate(length);
        bytes
    }

    /// Text that compression makes hardly smaller than three quarters.
    pub(crate) fn text(&mut self, length: usize) -> String {
        const LETTERS: &[u8; 64] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
        self.bytes(length).into_iter().map(|byte| char::from(LETTERS[usize::from(byte & 63)])).collect()
    }
}

/// A directory of its own, removed when dropped.
pub(crate) struct TempDir(PathBuf);

impl TempDir {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("ropewalk-kernel-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a temporary directory");
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// Where a log lies while it is closed.
pub(crate) enum Disk {
    Memory(MemoryShelf),
    Sled(TempDir),
}

impl Disk {
    pub(crate) fn memory() -> Self {
        Disk::Memory(MemoryShelf::default())
    }

    pub(crate) fn sled() -> Self {
        Disk::Sled(TempDir::new())
    }

    pub(crate) fn shelf(&self) -> Arc<dyn Shelf> {
        match self {
            Disk::Memory(shelf) => Arc::new(shelf.clone()),
            Disk::Sled(directory) => Arc::new(SledShelf::open(&directory.path().join("log")).expect("a shelf")),
        }
    }

    pub(crate) fn open(&self) -> Log {
        Log::open(self.shelf())
    }

    /// Seals the newest volume of a closed log by hand: what comes next goes into a volume of its own.
    pub(crate) fn begin_volume(&self) {
        let log = self.open();
        let head = log.journal.head();
        log.close();
        let shelf = self.shelf();
        // Without an event since the newest one was begun, another one would have its name.
        if !shelf.volumes().expect("the volumes").contains(&head.next()) {
            drop(shelf.create(head.next()).expect("a new volume"));
        }
    }
}

/// Runs each of these tests on both disks.
macro_rules! on_both_disks {
    ($($name:ident)*) => {
        mod memory {
            $(#[test]
            fn $name() {
                super::$name(&crate::support::Disk::memory());
            })*
        }
        mod sled {
            $(#[test]
            fn $name() {
                super::$name(&crate::support::Disk::sled());
            })*
        }
    };
}
pub(crate) use on_both_disks;

/// An open log, and what its observer was told.
pub(crate) struct Log {
    pub(crate) journal: Journal,
    pub(crate) lost: Option<(Seq, Seq)>,
    pub(crate) observed: Arc<Mutex<Vec<Event>>>,
    writer: Worker,
}

impl Log {
    pub(crate) fn open(shelf: Arc<dyn Shelf>) -> Self {
        let observed = Arc::new(Mutex::new(Vec::new()));
        let observer = observed.clone();
        let opened = Journal::open(shelf, LogId::from_bytes([7; 16]), |_| {
            Box::new(move |events: &[Event]| observer.lock().expect("no panic").extend_from_slice(events))
        });
        let opened = opened.expect("the log opens");
        Self { journal: opened.journal, lost: opened.lost, observed, writer: opened.writer }
    }

    pub(crate) fn close(self) {
        self.journal.stop().blocking_recv().expect("the writer answers before it ends");
        self.ended();
    }

    /// Waits until the writer of a stopped log has ended.
    pub(crate) fn ended(self) {
        self.writer.join().expect("the writer does not panic");
    }

    pub(crate) fn append(&self, events: Vec<NewEvent>) -> Result<Committed, Rejection> {
        append(&self.journal, events, None)
    }

    /// Appends remarks in a session, a commit each.
    pub(crate) fn remark(&self, session: SessionId, count: usize) -> Seq {
        for _ in 0..count {
            let text = format!("remark after {}", self.journal.head());
            self.append(vec![remark(session, &text)]).expect("the remark is stored");
        }
        self.journal.head()
    }

    pub(crate) fn events(&self) -> Vec<Event> {
        events_of(&self.journal, Filter::All)
    }

    pub(crate) fn store_output(
        &self,
        terminal: TerminalId,
        offset: u64,
        bytes: Vec<u8>,
    ) -> Result<Committed, Rejection> {
        let stored = self.journal.store_output(terminal, offset, vec![bytes.into()])?;
        stored.blocking_recv().expect("the writer answers")
    }

    pub(crate) fn verify(&self) -> Verified {
        self.journal.verify(&mut |_| {}).expect("the check runs")
    }
}

pub(crate) type NewReceipt = (CommandId, [u8; 16], Result<CommandResult, Rejection>);

/// Appends events and waits. Where a receipt comes with them, its command is their cause.
pub(crate) fn append(
    journal: &Journal,
    events: Vec<NewEvent>,
    receipt: Option<NewReceipt>,
) -> Result<Committed, Rejection> {
    let events = match &receipt {
        Some((command, ..)) => caused_by(*command, events),
        None => events,
    };
    let batch = Batch { epoch: journal.epoch(), events, receipt };
    journal.append(batch)?.blocking_recv().expect("the writer answers")
}

pub(crate) fn session(byte: u8) -> SessionId {
    SessionId::from_bytes([byte; 16])
}

pub(crate) fn terminal(byte: u8) -> TerminalId {
    TerminalId::from_bytes([byte; 16])
}

/// A v7 id of this millisecond.
pub(crate) fn command(millis: u64, number: u64) -> CommandId {
    let mut bytes = [0; 16];
    bytes[..6].copy_from_slice(&millis.to_be_bytes()[2..]);
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    bytes[6] = 0x70;
    bytes[8] = 0x80;
    CommandId::from_bytes(bytes)
}

pub(crate) fn remark(session: SessionId, text: &str) -> NewEvent {
    NewEvent {
        stream: Stream::Session(session),
        at: Timestamp::from_unix_micros(1_700_000_000_000_000),
        cause: None,
        body: SessionAnnotated { text: text.to_owned() }.into(),
    }
}

/// The same events, which this command caused.
pub(crate) fn caused_by(command: CommandId, events: Vec<NewEvent>) -> Vec<NewEvent> {
    let cause = Some(Cause { command, client: "test".to_owned() });
    events.into_iter().map(|event| NewEvent { cause: cause.clone(), ..event }).collect()
}

pub(crate) fn machine_event(reason: &str) -> NewEvent {
    NewEvent {
        stream: Stream::Machine,
        body: ropewalk_protocol::DaemonStopped { reason: reason.to_owned() }.into(),
        ..remark(session(0), "")
    }
}

/// Every page from the first to the last.
pub(crate) fn pages(journal: &Journal, filter: Filter, mut after: Seq) -> Vec<EventPage> {
    let mut pages = Vec::new();
    let head = journal.head();
    while after < head {
        let page = journal.page(filter, after).expect("the page reads");
        assert!(page.to > after, "a page that ends at {} after {after} never gets anywhere", page.to);
        after = page.to;
        pages.push(page);
    }
    pages
}

pub(crate) fn events_of(journal: &Journal, filter: Filter) -> Vec<Event> {
    let pages = pages(journal, filter, Seq::ZERO);
    assert!(pages.iter().all(|page| page.gaps.is_empty()), "there are gaps");
    pages.iter().flat_map(|page| page.events().expect("payloads decode")).collect()
}

pub(crate) fn assert_dense(events: &[Event]) {
    for (event, seq) in events.iter().zip(1..) {
        assert_eq!(event.seq, Seq(seq));
    }
}

/// All events of a session, where every one can be read.
pub(crate) fn history(journal: &Journal, session: SessionId) -> Result<Vec<Event>, StoreError> {
    let mut events = Vec::new();
    journal.replay(session, Seq::ZERO, &mut |piece| match piece {
        History::Event(event) => {
            events.push(event.clone());
            Ok(())
        }
        History::Gap(Gap { from, to, .. }) => Err(StoreError::Unreadable { what: session.to_string(), from, to }),
    })?;
    Ok(events)
}

/// All of a terminal's bytes from this offset on, read this many at a time.
pub(crate) fn read_output(journal: &Journal, terminal: TerminalId, from: u64, bytes_max: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let at = from + bytes.len() as u64;
        let page = journal.output(terminal, at, bytes_max).expect("the output reads");
        assert!(page.bytes.len() <= bytes_max, "{} bytes where {bytes_max} were asked for", page.bytes.len());
        assert_eq!((page.offset, page.damaged), (at, false));
        if page.bytes.is_empty() {
            return bytes;
        }
        bytes.extend_from_slice(&page.bytes);
    }
}

/// Runs asynchronous work on this thread.
pub(crate) fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let deadline = async { tokio::time::timeout(Duration::from_secs(50), work).await.expect("done within 50 seconds") };
    runtime.block_on(deadline)
}

/// Submits a command and waits for the answer.
pub(crate) async fn ask(router: &Router<impl Owners>, id: CommandId, command: Command) -> Answer {
    let (sender, answer) = tokio::sync::oneshot::channel();
    router.submit(id, command, "test".to_owned(), Box::new(move |answer| drop(sender.send(answer))));
    answer.await.expect("a reply comes, whatever happens")
}

/// Tries until it works: for what the log refuses for a while after a failure.
pub(crate) fn retry<T>(what: &str, mut work: impl FnMut() -> Result<T, Rejection>) -> T {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        match work() {
            Ok(value) => return value,
            Err(rejection) => {
                assert!(rejection.retryable(), "{what}: {rejection}");
                assert!(Instant::now() < deadline, "{what} still fails: {rejection}");
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

/// All rows of a volume.
pub(crate) fn rows(shelf: &dyn Shelf, first: Seq) -> Vec<Row> {
    let volume = shelf.open(first).expect("the volume is there");
    let mut rows = Vec::new();
    let mut visit = |key: &[u8], value: &[u8]| {
        rows.push((key.to_vec(), value.to_vec()));
        ControlFlow::Continue(())
    };
    volume.scan(&[0], &[255], &mut visit).expect("the volume reads");
    rows
}

/// The first byte of the keys of chunks, of the stream index, of receipts, of output and of actors' states.
pub(crate) const CHUNKS: u8 = 1;
pub(crate) const STREAMS: u8 = 2;
pub(crate) const RECEIPTS: u8 = 3;
pub(crate) const OUTPUT: u8 = 4;
pub(crate) const SNAPSHOTS: u8 = 5;

/// What a check of the log on this shelf finds wrong.
pub(crate) fn damage_of(shelf: &MemoryShelf) -> Vec<DamageView> {
    let log = Disk::Memory(shelf.clone()).open();
    let found = log.verify();
    log.close();
    found.damage
}

/// The rows whose key begins with this byte.
pub(crate) fn tagged(shelf: &dyn Shelf, first: Seq, tag: u8) -> Vec<Row> {
    rows(shelf, first).into_iter().filter(|(key, _)| key[0] == tag).collect()
}

/// Puts other rows in place of those with the same keys.
pub(crate) fn replace(shelf: &dyn Shelf, first: Seq, rows: &[Row]) {
    shelf.open(first).expect("the volume is there").commit(rows.to_vec()).expect("the rows are stored");
}

/// Another shelf in memory with the volumes' rows that `keep` keeps, and with no index.
pub(crate) fn copy_without_index(from: &dyn Shelf, keep: impl Fn(Seq, &[u8]) -> bool) -> MemoryShelf {
    let to = MemoryShelf::default();
    for first in from.volumes().expect("volumes") {
        let kept: Vec<Row> = rows(from, first).into_iter().filter(|(key, _)| keep(first, key)).collect();
        to.create(first).expect("a volume").commit(kept).expect("rows");
    }
    for (slot, value) in from.read_head().expect("HEAD").iter().enumerate() {
        to.write_head(slot, value).expect("HEAD");
    }
    to
}
