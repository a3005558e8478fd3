use std::time::{Duration, Instant};

use ropewalk_kernel::clock::Manual;
use ropewalk_kernel::ids::Counted;
use ropewalk_kernel::log::MemoryShelf;
use ropewalk_kernel::{Envelope, Owners};
use ropewalk_protocol::{Command, CommandId, CommandResult, Event, LogId, TerminalId};

use super::*;
use crate::holder::Link;
use crate::lanes::OutputSink;

/// A sink for terminals that there are none of.
struct NoScreens;

impl OutputSink for NoScreens {
    fn output(&self, _: TerminalId, _: u64, _: bytes::Bytes) {}
    fn resized(&self, _: TerminalId, _: u64, _: ropewalk_protocol::Size) {}
    fn closed(&self, _: TerminalId) {}

    fn has_room(&self) -> bool {
        true
    }

    fn room(&self) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(std::future::ready(()))
    }
}

const NOW: Timestamp = Timestamp::from_unix_micros(1_700_000_000_000_000);

/// A directory over an empty log, with a holder that is never reached.
fn empty() -> Directory {
    let shelf = Arc::new(MemoryShelf::default());
    let opened = Journal::open(shelf, LogId::from_bytes([7; 16]), |_| Box::new(|_: &[Event]| {}));
    let journal = opened.unwrap_or_else(|error| panic!("the log opens: {error}")).journal;
    let link = Link::over(Arc::new(|| Box::pin(std::future::pending())));
    let hands = Hands::new(journal.clone(), link, Arc::new(NoScreens), false);
    let (ids, clock) = (Arc::new(Counted::default()), Arc::new(Manual::at(NOW)));
    Directory::new(journal, hands, Names::default(), ids, clock, actix::Arbiter::current())
}

async fn create(directory: &Directory, id: CommandId, name: &str) -> Answer {
    let name = Some(name.to_owned());
    let command = Command::SessionCreate { name, workspace: None, program: None, size: None, agent: None };
    deliver(directory, id, command).await
}

async fn deliver(directory: &Directory, id: CommandId, command: Command) -> Answer {
    let (reply, answer) = channel();
    directory.deliver(Envelope { id, digest: [1; 16], command, client: "test".to_owned(), now: NOW }, reply);
    answer.await.expect("a reply comes, whatever happens")
}

/// Without that, whoever wakes one of them after a kill reads all that it ever did.
#[test]
fn the_states_of_actors_that_never_rest_are_kept_of_each() {
    actix::System::new().block_on(async {
        let directory = empty();
        let mut ids = (1_u128..).map(|id| CommandId::from_bytes(id.to_be_bytes()));
        let mut sessions = Vec::new();
        for name in ["one", "other"] {
            match create(&directory, ids.next().unwrap(), name).await {
                Ok((_, CommandResult::SessionCreated { session, .. })) => sessions.push(session),
                other => panic!("{other:?}"),
            }
        }
        // Both are due at the same time, and neither actor is ever put to sleep. Nobody tells when a state was kept: the next
        // commands pass the time.
        let kept = |session: &SessionId| directory.0.journal.snapshot(Stream::Session(*session)).unwrap().is_some();
        let began = Instant::now();
        for round in 1.. {
            for session in &sessions {
                let command = Command::SessionAnnotate { session: *session, text: "busy".to_owned() };
                deliver(&directory, ids.next().unwrap(), command).await.unwrap();
            }
            if sessions.iter().all(kept) {
                assert!(round >= limits::SNAPSHOT_EVENTS - 1, "not after each event: {round}");
                return;
            }
            assert!(began.elapsed() < Duration::from_secs(60), "a state is not kept");
        }
    });
}

/// Regression: found by reading. The rename of a session that is none has the name until its actor says so: who asked for that
/// name meanwhile was refused for good, naming that session.
#[test]
fn regression_a_name_that_a_command_on_its_way_may_get_is_refused_for_now() {
    actix::System::new().block_on(async {
        // Moment the rename of a session that is not there, on its way.
        let directory = empty();
        let (nobody, id) = (SessionId::from_bytes([9; 16]), CommandId::from_bytes([1; 16]));
        directory.0.names.reserve("build", nobody).unwrap();

        // When a session is to be created with that name.
        let refused = create(&directory, id, "build").await.unwrap_err();

        // Then it may be asked for again, and is created once the rename was refused.
        assert_eq!((refused.code, refused.retryable()), (Code::Busy, true), "{refused}");
        assert_eq!(directory.0.journal.receipt(id), Ok(None), "a refusal for now is no answer to keep");
        directory.0.names.release("build", nobody);
        let created = create(&directory, id, "build").await;
        assert!(matches!(created, Ok((_, CommandResult::SessionCreated { .. }))), "{created:?}");
        // Who has the name by the log has it.
        let other = CommandId::from_bytes([2; 16]);
        let taken = create(&directory, other, "build").await.unwrap_err();
        assert_eq!(taken.code, Code::NameTaken);
        assert!(directory.0.journal.receipt(other).unwrap().is_some());
    });
}
