use tokio::io::{DuplexStream, duplex};
use tokio::sync::Notify;

use super::*;

const RUN: RunId = RunId::from_bytes([7; 16]);

/// A line whose other end is in the test's hands.
async fn connected() -> (Link, Incoming, DuplexStream) {
    let (ours, theirs) = duplex(4096);
    let (read, write) = tokio::io::split(ours);
    let line = Mutex::new(Some((Box::new(read) as _, Box::new(write) as _)));
    let dial: Dial = Arc::new(move || {
        let line: Option<Line> = line.lock().ok().and_then(|mut line| line.take());
        Box::pin(async move { line.ok_or_else(|| io::ErrorKind::NotConnected.into()) })
    });
    let mut theirs = theirs;
    let welcome = FromHolder::Welcome { protocol: HOLDER_PROTOCOL, pid: 9, runs: Vec::new() };
    let mut bytes = Vec::new();
    wire::encode_from_holder(&welcome, &mut bytes);
    theirs.write_all(&bytes).await.unwrap();
    let link = Link::over(dial);
    let (welcome, incoming) = link.connect().await.unwrap();
    assert_eq!(welcome.pid, 9);
    (link, incoming, theirs)
}

/// Whoever asked a holder that was stopped gives up after a while. When the holder went on, its answer to that
/// question was handed to whoever asked next, whose question was not looked at yet: a program that lives was
/// counted as gone.
#[tokio::test]
async fn regression_a_late_answer_is_not_taken_for_the_answer_to_a_later_question() {
    let (link, _incoming, _theirs) = connected().await;
    tokio::time::timeout(Duration::from_millis(1), link.signal(RUN, 1)).await.unwrap_err();
    let asked = Arc::new(Notify::new());
    let (second, told) = (link.clone(), asked.clone());
    let second = tokio::spawn(async move {
        let answer = second.signal(RUN, 0);
        told.notify_one();
        answer.await
    });
    asked.notified().await;
    tokio::task::yield_now().await;
    link.signaled(RUN, 0);
    link.signaled(RUN, 3);
    assert_eq!(second.await.unwrap(), Ok(3));
}

/// Regression: what was typed while the holder was stopped was bounded in frames only: 256 MiB of them.
#[tokio::test]
async fn regression_a_line_that_is_not_read_is_bounded_in_bytes_and_acknowledgements_still_fit() {
    let (link, _incoming, mut theirs) = connected().await;
    let (stream, client) = (TerminalId::from_bytes([1; 16]), ClientId::from_bytes([2; 16]));
    let piece = vec![b'x'; limits::INPUT_FRAME_BYTES_MAX];
    let most = limits::HOLDER_LINE_BYTES_MAX / piece.len();
    let mut taken = 0..;
    let refused = taken.find_map(|id| link.input(stream, client, id, piece.clone()).err()).unwrap();
    assert_eq!(refused.code, Code::Busy);
    assert!(taken.start < most as u64 + 2, "{} pieces were taken", taken.start);
    assert_eq!(link.durable(stream, 1), Ok(()));
    let mut bytes = vec![0; 4 * piece.len()];
    theirs.read_exact(&mut bytes).await.unwrap();
    assert_eq!(link.input(stream, client, taken.start, piece), Ok(()), "what was read makes room");
}

#[tokio::test]
async fn a_holder_that_does_not_answer_is_silent() {
    let (link, _incoming, _theirs) = connected().await;
    assert!(!link.answers_within(Duration::from_millis(1)).await);
    link.disconnected();
    assert!(!link.answers_within(Duration::from_secs(3600)).await, "and one that is gone is not waited for");
}
