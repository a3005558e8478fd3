//! The daemon's end of a structured agent's run: what is written to it, in order and once, and what becomes of it.

mod mcp;
mod paths;
mod pump;
mod start;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use ropewalk_protocol::{
    AgentId, ClientId, Code, Rejection, RunFailed, RunId, RunOutcome, SessionId, Size, Stream, TerminalId, limits,
};
use tokio::sync::{Notify, watch};

pub use self::mcp::McpAccess;
use super::{Hands, Place};
use crate::agent::structured::{AgentInput, Consumed};
use crate::core::Input;
use crate::providers::{Greeting, Outgoing, Provider};

const SIGINT: i32 = 2;
/// How long a write waits that was not taken.
const WRITE_PAUSE: Duration = Duration::from_millis(250);

/// The lines to all structured agents that run, and what is needed to start them.
#[derive(Default)]
pub(super) struct Agents {
    lines: Mutex<HashMap<RunId, Arc<AgentLine>>>,
    /// Agents' environments, as the newest client had them. They are never stored: they may hold secrets.
    environments: Mutex<HashMap<AgentId, BTreeMap<String, String>>>,
    /// What lets a run reach the MCP server.
    access: OnceLock<Arc<dyn McpAccess>>,
}

/// One run's line.
pub(super) struct AgentLine {
    session: SessionId,
    agent: AgentId,
    run: RunId,
    output: TerminalId,
    errors: TerminalId,
    /// The directory it works in.
    directory: String,
    provider: &'static dyn Provider,
    /// The command line of its MCP server, from when the process is started; empty: it has none.
    mcp_server: OnceLock<Vec<String>>,
    writes: Mutex<Writes>,
    wake: Notify,
    /// The holder was asked to start the process, or will not be.
    handed_over: watch::Sender<bool>,
    /// The number of the last write that the process has taken.
    written: AtomicU64,
    /// The process is there to be written to.
    started: watch::Sender<bool>,
    /// How the process ended, and where its output was then.
    gone: watch::Sender<Option<(RunOutcome, u64)>>,
    /// Rises with each turn that is settled.
    turns: watch::Sender<u64>,
    over: watch::Sender<bool>,
}

struct Writes {
    next: u64,
    waiting: BTreeMap<u64, Outgoing>,
}

impl AgentLine {
    fn lock(&self) -> MutexGuard<'_, Writes> {
        self.writes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, number: u64, outgoing: Outgoing) {
        let mut writes = self.lock();
        if number >= writes.next {
            writes.waiting.insert(number, outgoing);
            drop(writes);
            self.wake.notify_one();
        }
    }

    /// The write whose turn it is, once there is one.
    async fn next_write(&self) -> (u64, Outgoing) {
        loop {
            {
                let mut writes = self.lock();
                let next = writes.next;
                if let Some(outgoing) = writes.waiting.remove(&next) {
                    return (next, outgoing);
                }
            }
            self.wake.notified().await;
        }
    }

    fn stream(&self) -> Stream {
        Stream::Agent(self.session, self.agent)
    }

    /// Whose input ids the writes have: each run has a holder's queue of its own.
    fn client(&self) -> ClientId {
        ClientId::from_bytes(*self.run.as_bytes())
    }

    async fn is_over(&self) {
        self.over.subscribe().wait_for(|over| *over).await.ok();
    }
}

/// Where a run is taken up: by a new process, or by a daemon after the one that started it.
pub(crate) struct TakenUp {
    pub(crate) session: SessionId,
    pub(crate) agent: AgentId,
    pub(crate) run: RunId,
    pub(crate) output: TerminalId,
    pub(crate) errors: TerminalId,
    pub(crate) directory: String,
    pub(crate) consumed: Consumed,
    pub(crate) outbox: Vec<(u64, Outgoing)>,
    /// The command line of its MCP server, if that is known already.
    pub(crate) mcp_server: Vec<String>,
}

impl Hands {
    fn lines(&self) -> MutexGuard<'_, HashMap<RunId, Arc<AgentLine>>> {
        self.0.agents.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn line_of(&self, run: RunId) -> Option<Arc<AgentLine>> {
        self.lines().get(&run).cloned()
    }

    /// Ends once the holder was asked to start the run, or will not be.
    pub(super) fn handed_over(&self, run: RunId) -> impl Future<Output = ()> + Send + use<> {
        let line = self.line_of(run);
        async move {
            if let Some(line) = line {
                line.handed_over.subscribe().wait_for(|handed_over| *handed_over).await.ok();
            }
        }
    }

    fn environments(&self) -> MutexGuard<'_, HashMap<AgentId, BTreeMap<String, String>>> {
        self.0.agents.environments.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The environment that the agent's processes get from now on; the answer is the one before.
    pub(crate) fn keep_agent_environment(
        &self,
        agent: AgentId,
        environment: BTreeMap<String, String>,
    ) -> Option<BTreeMap<String, String>> {
        self.environments().insert(agent, environment)
    }

    pub(crate) fn forget_agent(&self, agent: AgentId) {
        self.environments().remove(&agent);
    }

    /// Takes up a run's output where it is taken in, and goes on writing what may not be written.
    pub(crate) fn take_up(&self, provider: &'static dyn Provider, taken: TakenUp) {
        self.open_line(provider, taken).handed_over.send_replace(true);
    }

    fn open_line(&self, provider: &'static dyn Provider, taken: TakenUp) -> Arc<AgentLine> {
        let TakenUp { session, agent, run, output, errors, directory, consumed, outbox, mcp_server } = taken;
        let next = outbox.first().map_or(consumed.written + 1, |(number, _)| *number);
        let line = Arc::new(AgentLine {
            session,
            agent,
            run,
            output,
            errors,
            directory,
            provider,
            mcp_server: known_once(mcp_server),
            writes: Mutex::new(Writes { next, waiting: outbox.into_iter().collect() }),
            wake: Notify::new(),
            handed_over: watch::Sender::new(false),
            written: AtomicU64::new(next.saturating_sub(1)),
            started: watch::Sender::new(false),
            gone: watch::Sender::new(None),
            turns: watch::Sender::new(0),
            over: watch::Sender::new(false),
        });
        self.lines().insert(run, line.clone());
        let (writer, written_to) = (self.clone(), line.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = written_to.is_over() => {}
                () = writer.write_all(&written_to) => {}
            }
        });
        tokio::spawn(pump::run(self.clone(), line.clone(), consumed));
        line
    }

    /// A write was decided.
    pub(super) fn write_to_agent(&self, run: RunId, number: u64, outgoing: Outgoing) {
        if let Some(line) = self.line_of(run) {
            line.push(number, outgoing);
        }
    }

    async fn write_all(&self, line: &Arc<AgentLine>) {
        line.started.subscribe().wait_for(|started| *started).await.ok();
        loop {
            let (number, outgoing) = line.next_write().await;
            let bytes = self.encoded(line, &outgoing).await;
            for (part, bytes) in (0..).zip(bytes.chunks(limits::AGENT_WRITE_BYTES_MAX)) {
                self.write_part(line, (number << 16) | part, bytes).await;
            }
            line.written.store(number, Ordering::Relaxed);
            line.lock().next = number + 1;
        }
    }

    /// What it is in the agent's own words.
    async fn encoded(&self, line: &AgentLine, outgoing: &Outgoing) -> Vec<u8> {
        let request = match outgoing {
            Outgoing::Answer { offset, length, .. } => loop {
                match pump::read_range(self, line.output, *offset, *length).await {
                    Ok(request) => break request,
                    Err(rejection) if is_final(&rejection) => {
                        tracing::error!(%rejection, run = %line.run, "a question cannot be read again");
                        break None;
                    }
                    // The disk fails for a while, or the holder is about to send it again.
                    Err(_) => tokio::time::sleep(WRITE_PAUSE).await,
                }
            },
            _ => None,
        };
        line.provider.encode(&with_mcp_server(outgoing, line.mcp_server.get()), request.as_deref())
    }

    /// Writes until it is written: the holder writes each number once. It waits for as long as the program does not read.
    async fn write_part(&self, line: &AgentLine, id: u64, bytes: &[u8]) {
        loop {
            let outcome = match self.input(line.output, line.client(), id, bytes.to_vec()) {
                Ok(written) => written.await,
                Err(rejection) => Err(rejection),
            };
            match outcome {
                Ok(()) => return,
                Err(rejection) => tracing::debug!(%rejection, run = %line.run, "a write waits"),
            }
            tokio::time::sleep(WRITE_PAUSE).await;
        }
    }

    /// The turn was asked to end: after a grace the process is interrupted, and after another the agent is told that the time is
    /// over, so that it is given nothing more before it is ended.
    pub(crate) fn insist_on_cancel(&self, run: RunId) {
        let Some(line) = self.line_of(run) else { return };
        let hands = self.clone();
        // Before anything else is done: the turn may be settled by what is done next.
        let mut turns = line.turns.subscribe();
        tokio::spawn(async move {
            let grace = Duration::from_millis(limits::CANCEL_GRACE_MILLIS);
            for signal in [Some(SIGINT), None] {
                tokio::select! {
                    _ = turns.changed() => return,
                    () = line.is_over() => return,
                    () = tokio::time::sleep(grace) => {}
                }
                match signal {
                    Some(signal) => drop(hands.link().signal(run, signal).await),
                    None => {
                        let due = Input::Agent(AgentInput::CancelDue { run });
                        hands.directory().report(line.stream(), None, due);
                    }
                }
            }
        });
    }

    pub(super) fn turn_settled(&self, run: RunId) {
        if let Some(line) = self.line_of(run) {
            line.turns.send_modify(|turns| *turns += 1);
        }
    }

    /// The end of the run is durable.
    pub(super) fn end_line(&self, run: RunId) {
        if let Some(line) = self.lines().remove(&run) {
            line.over.send_replace(true);
            self.revoke_mcp(run);
        }
    }

    /// Says this once it is so late.
    pub(crate) fn say_later(&self, at: ropewalk_protocol::Timestamp, stream: Stream, input: AgentInput) {
        let directory = self.directory().clone();
        tokio::spawn(async move {
            // The clock of the wall may be set back meanwhile.
            while directory.now() < at {
                tokio::time::sleep(at.since(directory.now())).await;
            }
            directory.report(stream, None, Input::Agent(input));
        });
    }

    /// The process of a structured agent runs; false: the run is not one's.
    pub(super) fn agent_started(&self, run: RunId, pid: u32, start_ticks: u64) -> bool {
        let Some(line) = self.line_of(run) else { return false };
        line.started.send_replace(true);
        let input = Input::Agent(AgentInput::Started { run, pid, start_ticks });
        self.directory().report(line.stream(), None, input);
        true
    }

    /// The process of a structured agent is gone: that is told once all that it wrote is taken in. False: the run is not one's.
    pub(super) fn agent_gone(&self, run: RunId, outcome: &RunOutcome, offset: u64) -> bool {
        let Some(line) = self.line_of(run) else { return false };
        line.gone.send_if_modified(|gone| gone.is_none() && gone.replace((outcome.clone(), offset)).is_none());
        true
    }

    /// The process of a structured agent could not be started. False: the run is not one's.
    pub(super) fn agent_not_spawned(&self, run: RunId, reason: &str) -> bool {
        let Some(line) = self.line_of(run) else { return false };
        let is_final = !reason.starts_with(RunFailed::SHORTAGE);
        let reason = reason.to_owned();
        let input = Input::Agent(AgentInput::SpawnFailed { run, reason, is_final });
        self.directory().report(line.stream(), None, input);
        true
    }
}

impl Place {
    /// A run with pipes that just begins.
    pub(crate) fn of_agent(session: SessionId, agent: AgentId, terminal: TerminalId, errors: TerminalId) -> Self {
        let (run_settled, terminal_settled, reaped) = (false, false, false);
        Self {
            session,
            agent,
            terminal,
            errors: Some(errors),
            errors_settled: false,
            run_settled,
            terminal_settled,
            reaped,
        }
    }
}

/// A command line that is known, or is set later.
fn known_once(server: Vec<String>) -> OnceLock<Vec<String>> {
    let known = OnceLock::new();
    if !server.is_empty() {
        drop(known.set(server));
    }
    known
}

/// A greeting with the command line of the MCP server in it.
fn with_mcp_server<'a>(outgoing: &'a Outgoing, server: Option<&Vec<String>>) -> Cow<'a, Outgoing> {
    match outgoing {
        Outgoing::Greet { step, greeting: greeting @ Greeting { mcp: Some(_), .. } } => {
            let mcp = Some(server.cloned().unwrap_or_default());
            Cow::Owned(Outgoing::Greet { step: *step, greeting: Greeting { mcp, ..greeting.clone() } })
        }
        other => Cow::Borrowed(other),
    }
}

/// The size that a stream without a screen is said to have.
pub(super) const NO_SIZE: Size = Size::DEFAULT;

/// A daemon that stops, or an actor that cannot be reached, takes no more.
fn is_final(rejection: &Rejection) -> bool {
    rejection.code == Code::ShuttingDown || !rejection.retryable()
}
