//! Server and client against each other over a made-up backend: every request is answered, and whatever ends tells its own
//! reader, and no other one.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails, and says where")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use ropewalk_protocol::{
    AttachParams, Attached, ClientId, ClientInfo, Code, CommandAnswer, CommandParams, DaemonInfo, DetachParams,
    LimitsInfo, LogId, LogInfo, MachineId, PROTOCOL_VERSION, Query, QueryAnswer, Rejection, RequestMethod, Seq,
    SessionId, Size, Stopped, SubscribeAfter, SubscribeParams, TerminalId, Welcome, limits,
};
use ropewalk_transport::client::{AttachmentItem, Client, Dial, Io, Options, SubscriptionItem};
use ropewalk_transport::server::{Incoming, serve};
use ropewalk_transport::{Backend, ByteSource, ByteStep, EventSource, EventStep, Wire};
use serde_json::Value;
use tokio::sync::{Notify, mpsc};

const ONE: TerminalId = TerminalId::from_bytes([1; 16]);
const TWO: TerminalId = TerminalId::from_bytes([2; 16]);
/// No test waits longer for one thing: it fails instead.
const PATIENCE: Duration = Duration::from_secs(20);
/// Input with this number or a later one is to a program that does not read.
const UNREAD: u64 = 100;

/// Steps that wait to be given.
const STEPS_MAX: usize = 2;

/// What is given to the reader of a terminal or of a session, by name.
type Feeds<T> = Arc<Mutex<BTreeMap<[u8; 16], mpsc::Receiver<Result<T, Rejection>>>>>;

/// A daemon that has what it is fed, and takes no input.
#[derive(Clone, Default)]
struct Fed {
    terminals: Feeds<ByteStep>,
    sessions: Feeds<EventStep>,
}

struct Source<T>(Option<mpsc::Receiver<Result<T, Rejection>>>);

impl<T> Source<T> {
    fn take(feeds: &Feeds<T>, name: [u8; 16]) -> Self {
        Self(feeds.lock().unwrap().remove(&name))
    }

    async fn step(&mut self) -> Result<T, Rejection> {
        match &mut self.0 {
            Some(feed) => match feed.recv().await {
                Some(step) => step,
                None => std::future::pending().await,
            },
            None => std::future::pending().await,
        }
    }
}

impl<T: Send + 'static> Source<T> {
    fn feed(feeds: &Feeds<T>, name: [u8; 16]) -> mpsc::Sender<Result<T, Rejection>> {
        let (sender, receiver) = mpsc::channel(STEPS_MAX);
        feeds.lock().unwrap().insert(name, receiver);
        sender
    }
}

impl ByteSource for Source<ByteStep> {
    async fn next(&mut self) -> Result<ByteStep, Rejection> {
        self.step().await
    }

    fn presence(&self) -> impl Fn(Option<Size>) + Send + Sync + 'static {
        |_| {}
    }
}

impl EventSource for Source<EventStep> {
    async fn next(&mut self) -> Result<EventStep, Rejection> {
        self.step().await
    }
}

impl Backend for Fed {
    type Events = Source<EventStep>;
    type Bytes = Source<ByteStep>;

    fn welcome(&self) -> Welcome {
        Welcome {
            machine: MachineId::from_bytes([3; 16]),
            daemon: DaemonInfo {
                version: "0".to_owned(),
                build: "0".to_owned(),
                pid: 1,
                holder_pid: None,
                holder_answers: None,
            },
            log: LogInfo { id: LogId::from_bytes([4; 16]), head: Seq::ZERO },
            limits: LimitsInfo {
                frame_bytes_max: 1,
                subscriptions_max: 1,
                attachments_max: 1,
                requests_in_flight_max: 1,
            },
            protocol: PROTOCOL_VERSION,
        }
    }

    fn head(&self) -> Seq {
        Seq::ZERO
    }

    fn is_degraded(&self) -> bool {
        false
    }

    fn admit(&self, _token: &str) -> Result<Self, Rejection> {
        Err(Rejection::new(Code::Unauthenticated, "there is no token"))
    }

    fn command(
        &self,
        _params: CommandParams,
        _client: String,
        reply: impl FnOnce(Result<CommandAnswer, Rejection>) + Send + 'static,
    ) {
        reply(Err(Rejection::not_found("command")));
    }

    async fn query(&self, _query: Query) -> Result<QueryAnswer, Rejection> {
        Err(Rejection::not_found("query"))
    }

    fn subscribe(&self, params: &SubscribeParams, _wire: Wire) -> Result<(Seq, Seq, Self::Events), Rejection> {
        let name = *params.session.unwrap().as_bytes();
        Ok((Seq::ZERO, Seq::ZERO, Source::take(&self.sessions, name)))
    }

    async fn attach(&self, params: AttachParams) -> Result<(Attached, Self::Bytes), Rejection> {
        let attached = Attached { offset: 0, end: 0, size: Size::DEFAULT, snapshot: false, closed_at: None };
        Ok((attached, Source::take(&self.terminals, *params.terminal.as_bytes())))
    }

    fn input(
        &self,
        terminal: TerminalId,
        _client: ClientId,
        id: u64,
        _bytes: Bytes,
    ) -> Result<impl Future<Output = Result<(), Rejection>> + Send + use<>, Rejection> {
        let late = Rejection::new(Code::HolderUnavailable, "later");
        let at_once = Rejection::new(Code::InputRefused, format!("{terminal} takes none"));
        let answer = async move {
            if id >= UNREAD {
                std::future::pending::<()>().await;
            }
            Err(late)
        };
        if id == 1 { Err(at_once) } else { Ok(answer) }
    }

    async fn stop(&self, _all: bool) -> Result<Stopped, Rejection> {
        Err(Rejection::not_found("stop"))
    }

    fn metrics(&self) -> Result<String, Rejection> {
        Ok(String::new())
    }
}

/// Runs a test with a client of a daemon that is fed.
fn with_client<W: Future<Output = ()>>(work: impl FnOnce(Fed, Client) -> W) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (incoming, door) = Incoming::handed_only();
        let fed = Fed::default();
        tokio::spawn(serve(incoming, fed.clone(), std::future::pending()));
        let dial: Dial = Arc::new(move || {
            let door = door.clone();
            Box::pin(async move {
                let (ours, theirs) = tokio::io::duplex(64 * 1024);
                door.send((Box::new(theirs), "test".to_owned()))
                    .await
                    .map_err(|_| std::io::ErrorKind::ConnectionRefused)?;
                Ok((Box::new(ours) as Box<dyn Io>, None))
            })
        });
        let info = ClientInfo { name: "test".to_owned(), version: "0".to_owned(), instance: None };
        let client = Client::connect(dial, Options { info, bincode: false, give_up_after: None }).await.unwrap();
        tokio::time::timeout(PATIENCE, work(fed, client)).await.expect("the test took too long");
    });
}

fn params(terminal: TerminalId) -> AttachParams {
    AttachParams { terminal, after: Some(0), size: None, view_only: false, scrollback: 0 }
}

fn output() -> ByteStep {
    ByteStep::Output { offset: 0, bytes: Bytes::from_static(b"output") }
}

/// Regression: the answer to an attach was forgotten when another attach, or a detach, came right behind it.
#[test]
fn regression_every_attach_and_detach_is_answered_once_however_close_they_come() {
    with_client(|_, client| async move {
        let asked = (0..30).map(|number| match number % 3 {
            2 => RequestMethod::TerminalDetach(DetachParams { terminal: ONE }),
            _ => RequestMethod::TerminalAttach(params(ONE)),
        });
        let answers = join_all(asked.map(|method| client.request::<Value>(method))).await;
        for (number, answer) in answers.into_iter().enumerate() {
            let answer = answer.unwrap_or_else(|rejection| panic!("request {number}: {rejection}"));
            assert_eq!(answer["end"].is_u64(), number % 3 != 2, "the answer to request {number} is its own: {answer}");
        }
    });
}

/// Regression: a client with more to ask than both ends' buffers hold wrote on while the server waited for it to read.
#[test]
fn regression_a_client_with_much_to_ask_reads_the_answers_meanwhile() {
    with_client(|_, client| async move {
        let asked = (0..5000).map(|_| client.request::<Value>(RequestMethod::Query(Query::DaemonInfo {})));
        let answers = join_all(asked).await;
        assert!(answers.iter().all(|answer| answer.as_ref().is_err_and(|rejection| rejection.code == Code::NotFound)));
    });
}

/// Regression: found by the simulation. A peer that takes nothing any more held up a client that wrote, for ever: what is not
/// heard is noticed between writes only.
#[test]
fn regression_a_client_that_cannot_write_gives_its_connection_up() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let (incoming, door) = Incoming::handed_only();
        tokio::spawn(serve(incoming, Fed::default(), std::future::pending()));
        let freeze = Arc::new(Notify::new());
        let (frozen, dialed) = (freeze.clone(), Arc::new(AtomicUsize::new(0)));
        let times = dialed.clone();
        let dial: Dial = Arc::new(move || {
            let (door, frozen) = (door.clone(), frozen.clone());
            let is_first = times.fetch_add(1, Ordering::SeqCst) == 0;
            Box::pin(async move {
                let (ours, mut near) = tokio::io::duplex(1024);
                let (mut far, theirs) = tokio::io::duplex(1024);
                drop(door.send((Box::new(theirs), "test".to_owned())).await);
                tokio::spawn(async move {
                    if is_first {
                        tokio::select! {
                            _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                            // Neither end learns of it.
                            () = frozen.notified() => std::future::pending().await,
                        }
                    } else {
                        tokio::io::copy_bidirectional(&mut near, &mut far).await.ok();
                    }
                });
                Ok((Box::new(ours) as Box<dyn Io>, None))
            })
        });
        let info = ClientInfo { name: "test".to_owned(), version: "0".to_owned(), instance: None };
        let client = Client::connect(dial, Options { info, bincode: false, give_up_after: None }).await.unwrap();
        freeze.notify_one();
        tokio::task::yield_now().await;
        let asked = (0..50).map(|_| client.request::<Value>(RequestMethod::Query(Query::DaemonInfo {})));
        let longest = Duration::from_millis(2 * limits::SILENCE_MILLIS_MAX);
        let answers = tokio::time::timeout(longest, join_all(asked)).await.expect("another connection is made");
        assert!(answers.iter().all(|answer| answer.as_ref().is_err_and(|rejection| rejection.code == Code::NotFound)));
        assert_eq!(dialed.load(Ordering::SeqCst), 2);
    });
}

/// Regression: an attach that was refused stopped the attachment that was there.
#[test]
fn regression_an_attach_that_is_refused_leaves_the_attachment_before_it_as_it_was() {
    with_client(|fed, client| async move {
        let feed = Source::feed(&fed.terminals, *ONE.as_bytes());
        let (_, mut items) = client.attach(params(ONE)).await.unwrap();
        let bad = AttachParams { size: Some(Size { cols: 0, rows: 0 }), ..params(ONE) };
        let refused = client.request::<Value>(RequestMethod::TerminalAttach(bad)).await.unwrap_err();
        assert_eq!(refused.code, Code::InvalidParams);
        feed.try_send(Ok(output())).unwrap();
        assert!(matches!(items.recv().await, Some(AttachmentItem::Output { offset: 0, .. })));
    });
}

#[test]
fn a_terminal_that_is_attached_may_be_attached_anew_when_no_other_one_may() {
    with_client(|_, client| async move {
        let terminal = |number: usize| TerminalId::from_bytes([u8::try_from(number).unwrap(); 16]);
        for number in 0..limits::ATTACHMENTS_MAX {
            client.attach(params(terminal(number))).await.unwrap();
        }
        let over = client.attach(params(terminal(limits::ATTACHMENTS_MAX))).await.unwrap_err();
        assert_eq!(over.code, Code::TooLarge);
        client.attach(params(terminal(0))).await.unwrap();
    });
}

/// Regression: an attachment that had ended counted until its connection did.
#[test]
fn regression_an_attachment_that_has_ended_makes_room_for_another_one() {
    with_client(|fed, client| async move {
        for number in 0..=limits::ATTACHMENTS_MAX {
            let terminal = TerminalId::from_bytes([u8::try_from(number).unwrap(); 16]);
            let feed = Source::feed(&fed.terminals, *terminal.as_bytes());
            let (_, mut items) = client.attach(params(terminal)).await.unwrap();
            feed.try_send(Err(Rejection::new(Code::Internal, "it ends"))).unwrap();
            assert!(matches!(items.recv().await, Some(AttachmentItem::Failed(_))));
        }
    });
}

/// Regression: an attachment that ended with a code the client did not expect left its reader waiting, and one that it did
/// expect ended every attachment.
#[test]
fn regression_whatever_an_attachment_ends_with_its_reader_learns_it_and_no_other_one() {
    for code in Code::ALL {
        with_client(|fed, client| async move {
            let (one, two) =
                (Source::feed(&fed.terminals, *ONE.as_bytes()), Source::feed(&fed.terminals, *TWO.as_bytes()));
            let (_, mut first) = client.attach(params(ONE)).await.unwrap();
            let (_, mut second) = client.attach(params(TWO)).await.unwrap();
            one.try_send(Ok(output())).unwrap();
            one.try_send(Err(Rejection::new(*code, "it ends"))).unwrap();
            assert!(matches!(first.recv().await, Some(AttachmentItem::Output { .. })), "first what came before");
            assert_eq!(first.recv().await, Some(AttachmentItem::Failed(Rejection::new(*code, "it ends"))));
            two.try_send(Ok(output())).unwrap();
            assert!(matches!(second.recv().await, Some(AttachmentItem::Output { .. })), "{code:?} is the other one's");
        });
    }
}

/// Regression: input that one terminal refused ended the attachments to all.
#[test]
fn regression_input_that_is_refused_is_told_to_the_reader_of_its_terminal() {
    for (id, code) in [(1, Code::InputRefused), (2, Code::HolderUnavailable)] {
        with_client(|fed, client| async move {
            let two = Source::feed(&fed.terminals, *TWO.as_bytes());
            let (_, mut first) = client.attach(params(ONE)).await.unwrap();
            let (_, mut second) = client.attach(params(TWO)).await.unwrap();
            client.input(ONE, id, Bytes::from_static(b"x")).await.unwrap();
            let Some(AttachmentItem::Failed(rejection)) = first.recv().await else {
                panic!("it is refused");
            };
            assert_eq!(rejection.code, code);
            two.try_send(Ok(output())).unwrap();
            assert!(matches!(second.recv().await, Some(AttachmentItem::Output { .. })), "{code:?} is the other one's");
        });
    }
}

/// Regression: input without bytes, to a program that does not read, made tasks without bound.
#[test]
fn regression_input_that_waits_is_bounded_in_frames_and_the_connection_is_read_on() {
    with_client(|_, client| async move {
        let (_, mut items) = client.attach(params(ONE)).await.unwrap();
        for id in (UNREAD..).take(limits::INPUT_FRAMES_IN_FLIGHT_MAX + 1) {
            client.input(ONE, id, Bytes::new()).await.unwrap();
        }
        let Some(AttachmentItem::Failed(rejection)) = items.recv().await else {
            panic!("it is refused");
        };
        assert_eq!(rejection.code, Code::InputRefused);
        client.attach(params(TWO)).await.unwrap();
    });
}

/// Regression: the same for subscriptions.
#[test]
fn regression_whatever_a_subscription_ends_with_its_reader_learns_it_and_no_other_one() {
    let follow = |byte| {
        let session = Some(SessionId::from_bytes([byte; 16]));
        SubscribeParams { session, after: SubscribeAfter::NOW, log: None, only: None }
    };
    for code in Code::ALL {
        with_client(|fed, client| async move {
            let (one, two) = (Source::feed(&fed.sessions, [1; 16]), Source::feed(&fed.sessions, [2; 16]));
            let (_, mut first) = client.subscribe(follow(1)).await.unwrap();
            let (_, mut second) = client.subscribe(follow(2)).await.unwrap();
            one.try_send(Err(Rejection::new(*code, "it ends"))).unwrap();
            assert_eq!(first.recv().await, Some(SubscriptionItem::Failed(Rejection::new(*code, "it ends"))));
            two.try_send(Ok(EventStep::Live(Seq::ZERO))).unwrap();
            assert_eq!(second.recv().await, Some(SubscriptionItem::Live(Seq::ZERO)), "{code:?} is the other one's");
        });
    }
}
