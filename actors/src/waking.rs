//! Waking: a core's state, made of what was kept of it and of what happened since.

use ropewalk_kernel::log::store::StoreError;
use ropewalk_kernel::log::{Gap, History, Journal, Snapshot};
use ropewalk_protocol::{Code, EventBody, Rejection, Seq, Stream, limits};

use crate::core::{AnyCore, Core};

/// After so many events others may go on. Reading is long: without this the log's writer, woken meanwhile, waits for as long as
/// the scheduler lets a thread run, which is 3 ms.
const EVENTS_AT_A_TIME: usize = 32;

/// Why a core could not be made.
struct Broken(Rejection);

impl From<StoreError> for Broken {
    fn from(error: StoreError) -> Self {
        Broken(error.into())
    }
}

/// Reads a core's state off the log, and keeps it when that took long. Blocking.
///
/// # Errors
/// The disk failed, or a part of the session's history cannot be read: an actor must not decide on half a state.
pub(crate) fn read(journal: &Journal, stream: Stream) -> Result<AnyCore, Rejection> {
    let nobody = || Rejection::not_found("actor for the machine");
    let session = stream.session().ok_or_else(nobody)?;
    let kept = journal.snapshot(stream)?.and_then(|kept| Some((kept.at, AnyCore::decode(stream, &kept.state)?)));
    let (after, core) = match kept {
        Some((at, core)) => (at, core),
        None => (Seq::ZERO, AnyCore::new(stream).ok_or_else(nobody)?),
    };
    let mut waking = Waking { core, events: 0, begun: after > Seq::ZERO, gap: None };
    let at = journal.replay(session, after, &mut |piece| waking.take(piece));
    let at = at.and_then(|at| waking.whole().map(|()| at)).map_err(|Broken(rejection)| rejection)?;
    if waking.events >= limits::SNAPSHOT_EVENTS
        && let Err(rejection) = journal.keep_snapshot(stream, &Snapshot { at, state: waking.core.encode() })
    {
        tracing::debug!(%stream, %rejection, "a state was not kept");
    }
    Ok(waking.core)
}

struct Waking {
    core: AnyCore,
    events: usize,
    /// What comes next is not the session's beginning.
    begun: bool,
    /// What lies before the first event that was found.
    gap: Option<Gap>,
}

impl Waking {
    fn take(&mut self, piece: History<'_>) -> Result<(), Broken> {
        let event = match piece {
            History::Event(event) => event,
            History::Gap(gap) if self.begun => return Err(half(gap)),
            History::Gap(gap) => {
                self.gap = Some(gap);
                return Ok(());
            }
        };
        // What lies before a session's creation does not concern it.
        if !matches!(event.body, EventBody::SessionCreated(_)) {
            self.whole()?;
        }
        (self.begun, self.gap) = (true, None);
        self.events += 1;
        if self.events.is_multiple_of(EVENTS_AT_A_TIME) {
            std::thread::yield_now();
        }
        self.core.apply(event.stream, event.at, event.client(), &event.body);
        Ok(())
    }

    fn whole(&self) -> Result<(), Broken> {
        self.gap.map_or(Ok(()), |gap| Err(half(gap)))
    }
}

fn half(gap: Gap) -> Broken {
    let message = format!("events {} to {} of the session's history cannot be read", gap.from, gap.to);
    Broken(Rejection::new(Code::Unreadable, message).at(gap.from))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ropewalk_kernel::log::{Batch, MemoryShelf};
    use ropewalk_protocol::record::NewEvent;
    use ropewalk_protocol::{
        Event, GapReason, LogId, SessionAnnotated, SessionCreated, SessionEndRequested, SessionId, Timestamp,
    };

    use super::*;

    const SESSION: SessionId = SessionId::from_bytes([1; 16]);
    const STREAM: Stream = Stream::Session(SESSION);

    fn journal() -> Journal {
        let shelf = Arc::new(MemoryShelf::default());
        let opened = Journal::open(shelf, LogId::from_bytes([7; 16]), |_| Box::new(|_: &[Event]| {}));
        opened.unwrap_or_else(|error| panic!("the log opens: {error}")).journal
    }

    fn append(journal: &Journal, bodies: Vec<EventBody>) {
        let at = Timestamp::from_unix_micros(0);
        let events = bodies.into_iter().map(|body| NewEvent { stream: STREAM, at, cause: None, body }).collect();
        let batch = Batch { epoch: journal.epoch(), events, receipt: None };
        let answer = journal.append(batch).unwrap().blocking_recv().expect("the writer answers");
        answer.unwrap();
    }

    fn created() -> EventBody {
        SessionCreated { name: None, workspace: None }.into()
    }

    fn remarks(count: usize) -> Vec<EventBody> {
        (0..count).map(|number| SessionAnnotated { text: number.to_string() }.into()).collect()
    }

    #[test]
    fn an_actor_woken_from_what_was_kept_knows_what_its_whole_history_tells() {
        let journal = journal();
        append(&journal, vec![created()]);
        for _ in 0..limits::SNAPSHOT_EVENTS / 128 {
            append(&journal, remarks(128));
        }
        assert_eq!(journal.snapshot(STREAM), Ok(None));
        let first = read(&journal, STREAM).unwrap();
        append(&journal, vec![SessionEndRequested {}.into()]);
        let kept = journal.snapshot(STREAM).unwrap().expect("a long history is kept in short");
        assert_eq!(AnyCore::decode(STREAM, &kept.state), Some(first));
        let from_kept = read(&journal, STREAM).unwrap();
        let mut from_all = AnyCore::new(STREAM).expect("a session has an actor");
        let all = journal.replay::<StoreError>(SESSION, Seq::ZERO, &mut |piece| {
            if let History::Event(event) = piece {
                from_all.apply(event.stream, event.at, event.client(), &event.body);
            }
            Ok(())
        });
        assert_eq!((all, from_kept), (Ok(journal.head()), from_all));
    }

    #[test]
    fn a_state_of_another_build_or_stream_is_not_read() {
        let mut state = AnyCore::new(STREAM).expect("a session has an actor").encode();
        assert!(AnyCore::decode(STREAM, &state).is_some());
        assert_eq!(AnyCore::decode(Stream::Session(SessionId::from_bytes([2; 16])), &state), None);
        for length in 0..state.len() {
            assert_eq!(AnyCore::decode(STREAM, &state[..length]), None);
        }
        state[0] += 1;
        assert_eq!(AnyCore::decode(STREAM, &state), None);
    }

    fn waking(begun: bool) -> Waking {
        Waking { core: AnyCore::new(STREAM).expect("a session has an actor"), events: 0, begun, gap: None }
    }

    fn event(body: EventBody) -> Event {
        Event { seq: Seq(9), stream: STREAM, at: Timestamp::from_unix_micros(0), cause: None, body }
    }

    const GAP: History<'_> = History::Gap(Gap { from: Seq(5), to: Seq(8), reason: GapReason::Damaged });

    #[test]
    fn a_gap_before_the_creation_does_not_concern_the_session() {
        let mut waking = waking(false);
        assert!(waking.take(GAP).is_ok());
        assert!(waking.take(History::Event(&event(created()))).is_ok());
        assert!(waking.whole().is_ok());
    }

    #[test]
    fn a_gap_anywhere_else_keeps_the_actor_asleep() {
        let mut later = waking(false);
        assert!(later.take(GAP).is_ok());
        assert!(later.take(History::Event(&event(SessionEndRequested {}.into()))).is_err(), "its beginning is missing");
        let mut middle = waking(true);
        assert!(middle.take(GAP).is_err());
        let mut nothing = waking(false);
        assert!(nothing.take(GAP).is_ok());
        let Err(Broken(rejection)) = nothing.whole() else { panic!("nobody knows whether the session exists") };
        assert_eq!((rejection.code, rejection.seq), (Code::Unreadable, Some(Seq(5))));
    }
}
