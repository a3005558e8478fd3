//! One terminal's lane: its newest bytes in memory, and how far they are stored.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use ropewalk_kernel::watch;
use ropewalk_protocol::{ClientId, Code, Rejection, SessionId, Size, TerminalId, limits};
use tokio::sync::oneshot;

use crate::terminal::sizes::Sizes;

/// Bytes a lane keeps in memory when nobody is attached.
const UNWATCHED_BYTES_MAX: usize = 16 * 1024;
/// Smaller pieces are joined, up to this size: a keystroke's echo must not cost a whole buffer.
const PIECE_BYTES: usize = 4 * 1024;

/// What a reader finds at its offset.
#[derive(Debug)]
pub enum LaneRead {
    /// These bytes.
    Bytes(Bytes),
    /// The log has them.
    Stored,
    /// Nothing before this offset, ever: it is lost.
    Lost(u64),
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
    is_drawn: bool,
    state: Mutex<State>,
    /// The offset after the newest byte; readers are also told when the lane ends or has another size.
    moved: watch::Sender<u64>,
}

pub(super) struct State {
    recent: VecDeque<Piece>,
    /// The offset of the first byte in `recent`. Everything before it is stored.
    start: u64,
    end: u64,
    stored: u64,
    /// The offset after the newest byte that the holder said it has: they were shown before, and come again.
    promised: u64,
    /// A store is on its way, or a timer for one.
    storing: bool,
    pub(super) timer: bool,
    /// The stream's length, once the holder said that it is complete.
    complete: Option<u64>,
    pub(super) attached: usize,
    pub(super) next_attachment: u64,
    pub(super) sizes: Sizes,
    pub(super) size: Size,
    waiting: Vec<(ClientId, u64, oneshot::Sender<InputDone>)>,
}

/// What a lane has, one behind the other.
enum Piece {
    Bytes(Bytes),
    /// So many bytes that will never come, and why.
    Lost(u64, String),
}

impl Piece {
    fn length(&self) -> u64 {
        match self {
            Piece::Bytes(bytes) => bytes.len() as u64,
            Piece::Lost(length, _) => *length,
        }
    }
}

/// What is to be stored next.
pub(super) enum Unstored {
    /// These bytes.
    Bytes(Vec<Bytes>),
    /// That what lies before this offset is lost.
    Lost { to: u64, reason: String },
}

/// What became of bytes that arrived.
pub(super) enum Due {
    Nothing,
    Now,
    Soon,
}

impl Lane {
    pub(super) fn new(id: TerminalId, session: SessionId, stored: u64, size: Size, is_drawn: bool) -> Self {
        let state = State {
            recent: VecDeque::new(),
            start: stored,
            end: stored,
            stored,
            promised: stored,
            storing: false,
            timer: false,
            complete: None,
            attached: 0,
            next_attachment: 1,
            sizes: Sizes::default(),
            size,
            waiting: Vec::new(),
        };
        Self { id, session, is_drawn, state: Mutex::new(state), moved: watch::Sender::new(stored) }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
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

    /// Whether its bytes are a terminal's.
    pub(super) fn is_drawn(&self) -> bool {
        self.is_drawn
    }

    /// Tells when there is more to read.
    pub fn moved(&self) -> watch::Receiver<u64> {
        self.moved.subscribe()
    }

    /// Has every reader look again.
    pub(super) fn tell(&self) {
        let end = self.end();
        self.moved.send_replace(end);
    }

    /// The offset after the newest byte.
    pub fn end(&self) -> u64 {
        self.lock().end
    }

    /// The offset after the newest byte there is, be it here or on its way from the holder: no reader can be beyond it.
    pub fn promised_end(&self) -> u64 {
        let state = self.lock();
        state.end.max(state.promised)
    }

    /// Waits until all that the holder said it has is here: what a daemon before this one showed comes again from there.
    pub async fn has_promised(&self) {
        let promised = self.promised_end();
        self.moved().wait_for(|end| *end >= promised).await.ok();
    }

    /// The holder has bytes up to here.
    pub(crate) fn promise(&self, end: u64) {
        let mut state = self.lock();
        state.promised = state.promised.max(end);
    }

    /// The offset after the newest byte that is stored.
    pub fn stored_end(&self) -> u64 {
        self.lock().stored
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
            at += piece.length();
            if at <= from {
                continue;
            }
            let piece = match piece {
                Piece::Bytes(piece) => piece,
                Piece::Lost(..) if found.is_empty() => return LaneRead::Lost(at),
                Piece::Lost(..) => break,
            };
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

    pub(super) fn push(&self, offset: u64, bytes: Bytes) -> Option<(u64, Bytes, Due)> {
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
            Some(Piece::Bytes(last)) if last.len() + fresh.len() <= PIECE_BYTES => {
                let mut joined = BytesMut::with_capacity(PIECE_BYTES);
                joined.extend_from_slice(last);
                joined.extend_from_slice(&fresh);
                *last = joined.freeze();
            }
            _ => state.recent.push_back(Piece::Bytes(fresh.clone())),
        }
        let due = state.due();
        let end = state.end;
        drop(state);
        self.moved.send_replace(end);
        Some((at, fresh, due))
    }

    /// What lies between the end and this offset will never come.
    pub(super) fn lose(&self, to: u64, reason: String) -> Option<Due> {
        let mut state = self.lock();
        let length = to.checked_sub(state.end).filter(|length| *length > 0)?;
        state.end = to;
        match state.recent.back_mut() {
            // A whole spool that cannot be read is told in many pieces.
            Some(Piece::Lost(before, _)) => *before += length,
            _ => state.recent.push_back(Piece::Lost(length, reason)),
        }
        let due = state.due();
        drop(state);
        self.moved.send_replace(to);
        Some(due)
    }

    /// Starts a store if none is on its way: the offset and what comes from there on.
    pub(super) fn take_unstored(&self) -> Option<(u64, Unstored)> {
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
            at += piece.length();
            match piece {
                _ if at <= stored => {}
                Piece::Lost(_, reason) if pieces.is_empty() => {
                    return Some((stored, Unstored::Lost { to: at, reason: reason.clone() }));
                }
                Piece::Bytes(piece) if bytes < limits::COMMIT_OUTPUT_BYTES_MAX => {
                    bytes += piece.len() - skip;
                    pieces.push(piece.slice(skip..));
                }
                Piece::Lost(..) | Piece::Bytes(_) => break,
            }
        }
        Some((stored, Unstored::Bytes(pieces)))
    }

    /// A store succeeded up to here.
    pub(super) fn stored(&self, offset: u64) -> Due {
        let mut state = self.lock();
        state.storing = false;
        state.stored = offset;
        state.trim();
        state.due()
    }

    pub(super) fn store_failed(&self) {
        self.lock().storing = false;
    }

    /// The stream's length, once all of it is stored.
    pub(super) fn finished(&self) -> Option<u64> {
        let state = self.lock();
        state.complete.filter(|end| state.stored >= *end)
    }

    pub(super) fn complete(&self, offset: u64) {
        let mut state = self.lock();
        state.complete = Some(offset);
        let end = state.end;
        for (_, _, waiting) in state.waiting.drain(..) {
            drop(waiting.send(Err(Rejection::new(Code::InputRefused, "the terminal is closed"))));
        }
        drop(state);
        self.moved.send_replace(end);
    }

    pub(super) fn written(&self, client: ClientId, id: u64, outcome: &InputDone) {
        let mut state = self.lock();
        let is_done = |(of, up_to, _): &(ClientId, u64, _)| *of == client && *up_to <= id;
        let (done, waiting) = std::mem::take(&mut state.waiting).into_iter().partition(is_done);
        state.waiting = waiting;
        for (_, _, waiting) in done {
            drop(waiting.send(outcome.clone()));
        }
    }

    pub(super) fn wait_written(&self, client: ClientId, id: u64) -> oneshot::Receiver<InputDone> {
        let (reply, answer) = oneshot::channel();
        let mut state = self.lock();
        // Whoever gave up is let go before the list grows, and not each time: it may be long.
        if state.waiting.len() == state.waiting.capacity() {
            state.waiting.retain(|(_, _, reply)| !reply.is_closed());
        }
        state.waiting.push((client, id, reply));
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
            let after = self.start + first.length();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_promised_is_waited_for() {
        let lane = Lane::new(TerminalId::from_bytes([1; 16]), SessionId::from_bytes([2; 16]), 5, Size::DEFAULT, true);
        lane.has_promised().await;
        lane.promise(10);
        let mut promised = Box::pin(lane.has_promised());
        for (offset, bytes) in [(5, "123"), (8, "45")] {
            let early = tokio::select! { biased; () = &mut promised => true, () = tokio::task::yield_now() => false };
            assert!(!early, "at {offset}");
            lane.push(offset, Bytes::from(bytes));
        }
        promised.await;
    }

    fn text(unstored: Option<(u64, Unstored)>) -> String {
        match unstored {
            None => "nothing".to_owned(),
            Some((from, Unstored::Lost { to, reason })) => format!("{from} lost to {to}: {reason}"),
            Some((from, Unstored::Bytes(pieces))) => format!("{from} {}", String::from_utf8_lossy(&pieces.concat())),
        }
    }

    #[test]
    fn what_is_lost_is_told_to_readers_and_recorded_before_what_comes_behind_it() {
        let lane = Lane::new(TerminalId::from_bytes([1; 16]), SessionId::from_bytes([2; 16]), 0, Size::DEFAULT, true);
        lane.push(0, Bytes::from("before"));
        assert!(lane.lose(6, "nothing".into()).is_none());
        assert!(lane.lose(10, "damaged".into()).is_some() && lane.lose(16, "more of it".into()).is_some());
        lane.push(16, Bytes::from("behind"));
        lane.complete(22);
        let mut seen = Vec::new();
        let mut at = 0;
        loop {
            match lane.read(at, 100) {
                LaneRead::Bytes(bytes) => {
                    at += bytes.len() as u64;
                    seen.push(String::from_utf8_lossy(&bytes).into_owned());
                }
                LaneRead::Lost(to) => {
                    at = to;
                    seen.push(format!("lost to {to}"));
                }
                LaneRead::Stored | LaneRead::Wait | LaneRead::End => break,
            }
        }
        assert_eq!((seen.join(" "), at), ("before lost to 16 behind".to_owned(), 22));
        assert!(matches!(lane.read(12, 100), LaneRead::Lost(16)));
        assert_eq!(text(lane.take_unstored()), "0 before");
        lane.stored(6);
        assert_eq!(text(lane.take_unstored()), "6 lost to 16: damaged");
        lane.store_failed();
        assert_eq!(text(lane.take_unstored()), "6 lost to 16: damaged", "nothing behind it is stored before");
        lane.stored(16);
        assert_eq!(text(lane.take_unstored()), "16 behind");
        lane.stored(22);
        assert_eq!((text(lane.take_unstored()), lane.finished()), ("nothing".to_owned(), Some(22)));
    }

    /// Regression: whoever gave up waiting for input to be written stayed in the list for as long as the holder was stopped.
    #[test]
    fn regression_those_who_gave_up_waiting_are_let_go_and_the_others_are_not() {
        let lane = Lane::new(TerminalId::from_bytes([1; 16]), SessionId::from_bytes([2; 16]), 0, Size::DEFAULT, true);
        let client = ClientId::from_bytes([3; 16]);
        let mut waits = lane.wait_written(client, 0);
        for id in 1..1000 {
            drop(lane.wait_written(client, id));
        }
        assert!(lane.lock().waiting.len() < 10, "{} are kept", lane.lock().waiting.len());
        lane.written(client, 0, &Ok(()));
        assert_eq!(waits.try_recv(), Ok(Ok(())));
    }
}
