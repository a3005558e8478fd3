use std::time::Duration;

use ropewalk_kernel::log::MemoryShelf;
use ropewalk_protocol::{Event, LogId};

use super::*;

const TERMINAL: TerminalId = TerminalId::from_bytes([1; 16]);
/// No test waits longer for one thing: it fails instead.
const PATIENCE: Duration = Duration::from_secs(20);

fn screens() -> (Screens, mpsc::Receiver<Message>) {
    let (messages, queue) = mpsc::channel(MESSAGES_MAX);
    (Screens { messages, queued: Arc::default() }, queue)
}

fn painter(screens: &Screens) -> Painter {
    let shelf = Arc::new(MemoryShelf::default());
    let opened = Journal::open(shelf, LogId::from_bytes([2; 16]), |_| Box::new(|_: &[Event]| {}));
    Painter {
        journal: opened.expect("opens").journal,
        projections: Arc::default(),
        checkpoints: Checkpoints::in_memory(),
        queued: screens.queued.clone(),
        open: BTreeMap::new(),
        closed: Vec::new(),
    }
}

/// Waits for room, and does this meanwhile.
fn room_after(screens: &Screens, work: impl FnOnce()) {
    assert!(!screens.has_room());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(async {
        let waited = async { tokio::join!(screens.room(), async { work() }) };
        tokio::time::timeout(PATIENCE, waited).await.expect("there is room");
    });
}

/// Regression: when the screens' thread had ended, every terminal stood still after 4 MiB.
#[test]
fn regression_terminals_go_on_when_the_screens_do_not() {
    let (screens, queue) = screens();
    screens.output(TERMINAL, 0, vec![b'x'; limits::SCREEN_QUEUE_BYTES_MAX].into());
    room_after(&screens, || drop(queue));
    screens.output(TERMINAL, 0, vec![b'x'; limits::SCREEN_QUEUE_BYTES_MAX].into());
    assert!(screens.has_room());
}

/// Regression: whoever waited for room was told of it after output only, and what waits may be something else.
#[test]
fn regression_whatever_was_taken_makes_room() {
    let (screens, mut queue) = screens();
    let mut painter = painter(&screens);
    for _ in MESSAGES_SPARE..MESSAGES_MAX {
        screens.closed(TERMINAL);
    }
    room_after(&screens, || painter.take(queue.try_recv().expect("it waits")));
}

#[test]
fn what_was_not_taken_in_takes_no_room() {
    let (screens, queue) = screens();
    for _ in 0..MESSAGES_MAX {
        screens.closed(TERMINAL);
    }
    screens.output(TERMINAL, 0, Bytes::from_static(b"too much"));
    assert_eq!(screens.queued.bytes.load(Ordering::Relaxed), 0);
    drop(queue);
}
