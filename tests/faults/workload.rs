//! A fixed load: three connections that write remarks, one that starts a program which prints, one that looks on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use ropewalk_protocol::{
    Command as Change, CommandId, CommandResult, Event, EventBody, RunOutcome, Seq, SessionId, TerminalId, limits,
};
use ropewalk_transport::client::{Client, Dial, Io, SubscriptionItem};
use tokio::net::UnixStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::trace;
use crate::harness::{
    Choice, Home, all_events, as_printed, ended, from, mint, options, output, program, session, verify,
};

const WRITERS: usize = 3;

/// How much the writers say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Remarks {
    /// A few of very different sizes: all of it fits into one file of the write-ahead log.
    Few,
    /// So much, in pieces that no compression makes smaller, that the files of the write-ahead log take turns.
    Turning,
}

impl Remarks {
    fn count(self) -> usize {
        match self {
            Self::Few => 8,
            // More than three files full.
            Self::Turning => 7 * limits::WAL_FILE_BYTES / 2 / NOISE_BYTES / WRITERS,
        }
    }

    fn text(self, writer: usize, remark: usize) -> String {
        let rest = match self {
            // From a few bytes to 3 KiB: chunks of very different sizes.
            Self::Few => "abcdefgh".repeat(3 << remark),
            Self::Turning => {
                let mut choice = Choice::seeded((writer * 1000 + remark) as u64);
                (0..NOISE_BYTES).map(|_| char::from(b' ' + choice.below(95) as u8)).collect()
            }
        };
        format!("writer {writer} remark {remark} {rest}")
    }
}

/// What a remark has that is larger than any file system's block, and smaller than the bound of an event.
const NOISE_BYTES: usize = 30 * 1024;
/// What the program prints, and how often.
const LINES: usize = 500;
const ROUNDS: usize = 10;

/// Remarks that were sent, and where they are once that was acknowledged.
type Ledger = Arc<Mutex<BTreeMap<CommandId, (String, Option<Seq>)>>>;

/// The load while it runs. It ends when everything was answered, however many daemons that takes.
pub(crate) struct Load {
    gate: watch::Sender<bool>,
    ledger: Ledger,
    seen: Arc<Mutex<Vec<Event>>>,
    work: Vec<JoinHandle<()>>,
    program: JoinHandle<(SessionId, TerminalId)>,
}

impl Load {
    /// Begins. With a trace, what is acknowledged is marked there.
    pub(crate) fn begin(home: &Home, remarks: Remarks, traced: Option<PathBuf>) -> Self {
        let gate = watch::Sender::new(true);
        let (ledger, seen): (Ledger, Arc<Mutex<Vec<Event>>>) = Default::default();
        let mut work = Vec::new();
        for number in 0..WRITERS {
            let (client, ledger, traced) = (connect(home, &gate), ledger.clone(), traced.clone());
            work.push(tokio::spawn(write(client, number, remarks, ledger, traced)));
        }
        let (watcher, all) = (connect(home, &gate), seen.clone());
        // It ends with its runtime.
        drop(tokio::spawn(async move {
            let (_, mut items) = watcher.await.subscribe(from(0)).await.unwrap();
            while let Some(item) = items.recv().await {
                if let SubscriptionItem::Events(events) = item {
                    all.lock().unwrap().extend(events);
                }
            }
        }));
        let client = connect(home, &gate);
        let program = tokio::spawn(async move {
            let script = format!("for i in $(seq {ROUNDS}); do seq {LINES}; sleep 0.02; done");
            crate::harness::run(&client.await, "prints", &["sh", "-c", &script]).await
        });
        Self { gate, ledger, seen, work, program }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.program.is_finished() && self.work.iter().all(JoinHandle::is_finished)
    }

    /// Keeps the connections from coming back until [`Load::finish`].
    pub(crate) fn close_gate(&self) {
        self.gate.send_replace(false);
    }

    /// A daemon runs again: holds what it has against what was acknowledged, lets the load come back, and holds the end
    /// against what must have come of it.
    pub(crate) async fn finish(self, home: &Home) {
        let client = home.client().await;
        let survived = all_events(&client).await;
        assert_dense(&survived);
        let seen = self.seen.lock().unwrap().clone();
        assert!(seen[..] == survived[..seen.len()], "what was shown is what the log has, byte for byte");
        let sent: Vec<(CommandId, (String, Option<Seq>))> = self.ledger.lock().unwrap().clone().into_iter().collect();
        for (id, (text, acknowledged)) in &sent {
            let found = places(&survived, *id, text);
            match acknowledged {
                Some(seq) => assert_eq!(found, [*seq], "an acknowledged remark is where it was said to be"),
                None => assert!(found.len() <= 1, "{id} happened at {found:?}"),
            }
        }
        self.gate.send_replace(true);
        for work in self.work {
            work.await.unwrap();
        }
        let (prints, terminal) = self.program.await.unwrap();
        ended(&client, prints).await;
        let events = all_events(&client).await;
        assert_dense(&events);
        assert!(events[..survived.len()] == survived[..], "nothing changed afterwards");
        for (id, (text, seq)) in self.ledger.lock().unwrap().iter() {
            assert_eq!(places(&events, *id, text), [seq.unwrap()], "one effect, however often it was sent");
        }
        let outcome = session(&client, "prints").await.agents[0].outcome.clone();
        let expected = match outcome {
            Some(RunOutcome::Exited { code: 0 }) => as_printed(lines().as_bytes()),
            // The kill came between the commit that asked for the run and the program's start.
            Some(RunOutcome::Interrupted { .. }) => Vec::new(),
            other => panic!("{other:?}"),
        };
        let printed = output(&client, terminal).await;
        assert!(printed == expected, "{} bytes were printed, {} are there", expected.len(), printed.len());
        let report = verify(&client).await;
        assert!(report.intact, "{:?}", report.damage);
    }
}

fn lines() -> String {
    let once: String = (1..=LINES).map(|line| format!("{line}\n")).collect();
    once.repeat(ROUNDS)
}

fn assert_dense(events: &[Event]) {
    assert!(events.iter().zip(1..).all(|(event, seq)| event.seq == Seq(seq)), "the sequence has a hole");
}

/// Where a command's remark is.
fn places(events: &[Event], command: CommandId, text: &str) -> Vec<Seq> {
    let caused = events.iter().filter(|event| event.cause.as_ref().is_some_and(|cause| cause.command == command));
    let found = caused.map(|event| {
        assert!(matches!(&event.body, EventBody::SessionAnnotated(it) if it.text == text), "{event:?}");
        event.seq
    });
    found.collect()
}

/// A client that comes back only while the gate is open.
fn connect(home: &Home, gate: &watch::Sender<bool>) -> impl Future<Output = Client> + Send + 'static {
    let (socket, gate) = (home.socket(), gate.subscribe());
    let dial: Dial = Arc::new(move || {
        let (socket, mut gate) = (socket.clone(), gate.clone());
        Box::pin(async move {
            gate.wait_for(|open| *open).await.map_err(std::io::Error::other)?;
            Ok((Box::new(UnixStream::connect(&socket).await?) as Box<dyn Io>, None))
        })
    });
    async move {
        loop {
            // The first daemon may be killed before anybody said hello.
            match Client::connect(dial.clone(), options(false)).await {
                Ok(client) => return client,
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
            }
        }
    }
}

async fn write(
    client: impl Future<Output = Client>,
    number: usize,
    remarks: Remarks,
    ledger: Ledger,
    traced: Option<PathBuf>,
) {
    let client = client.await;
    let name = Some(format!("writer-{number}"));
    let create = Change::SessionCreate { name, workspace: None, program: None, size: None, agent: None };
    let CommandResult::SessionCreated { session, .. } = client.command(mint(), create).await.unwrap().result else {
        panic!("a session was created");
    };
    for remark in 0..remarks.count() {
        send(&client, session, remarks.text(number, remark), &ledger, traced.as_deref()).await;
    }
}

async fn send(client: &Client, session: SessionId, text: String, ledger: &Ledger, traced: Option<&Path>) {
    let id = mint();
    ledger.lock().unwrap().insert(id, (text.clone(), None));
    let command = Change::SessionAnnotate { session, text: text.clone() };
    let seq = client.command(id, command).await.unwrap().seq;
    if let Some(trace) = traced {
        trace::acknowledge(trace, seq.0, &text);
    }
    ledger.lock().unwrap().insert(id, (text, Some(seq)));
}

/// Fills a volume: a program that prints what does not compress, so that the log begins another one. What it printed is in
/// `copy` as well.
pub(crate) async fn fill_a_volume(client: &Client, name: &str, copy: &Path) -> (SessionId, TerminalId) {
    let bytes = limits::VOLUME_BYTES_MAX + (1 << 20);
    let script = format!("stty raw; head -c {bytes} /dev/urandom | tee {}", copy.display());
    let command = Change::SessionCreate {
        name: Some(name.to_owned()),
        workspace: None,
        program: Some(program(&["sh", "-c", &script])),
        size: None,
        agent: None,
    };
    match client.command(mint(), command).await.unwrap().result {
        CommandResult::SessionCreated { session, terminal, .. } => (session, terminal.unwrap()),
        other => panic!("{other:?}"),
    }
}

/// How many volumes the log has, those included that are being made.
pub(crate) fn volumes(home: &Home) -> usize {
    let entries = std::fs::read_dir(home.path().join("data/log")).unwrap();
    entries.filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("v-")).count()
}
