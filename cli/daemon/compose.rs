//! The daemon put together: log, projections, screens, actors, in the order in which each needs the one before.
//!
//! What it stands on is handed in, so that a simulation puts together the same daemon on another ground.

use std::sync::{Arc, PoisonError, RwLock};

use ropewalk_actors::{Directory, Hands, HolderLine, Link, Machine, Names, OpenAgent, OpenRun, OutputSink, recover};
use ropewalk_kernel::Router;
use ropewalk_kernel::clock::Clock;
use ropewalk_kernel::ids::Ids;
use ropewalk_kernel::log::store::Shelf;
use ropewalk_kernel::log::{Filter, Journal, Observer};
use ropewalk_kernel::offload::{self, Worker};
use ropewalk_projections::Projections;
use ropewalk_protocol::{
    AgentState, DaemonStarted, DaemonStopped, Event, LogId, MachineId, Rejection, Seq, SessionId, SessionState,
    StorageDegraded, StorageRestored, Timestamp,
};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::backend::{Daemon, Stop};
use super::checkpoints::{Checkpoints, Unread};
use super::count::Count;
use super::log_failure::log_failure;
use super::run::build;
use super::run_tokens::RunTokens;
use super::scope::Scope;
use super::screens::Screens;
use super::subscriptions::SharedProjections;
use super::surroundings::FromProjections;
use crate::exit::{FAILURE, Failure};

/// Events folded between two checkpoints of the projections.
const CHECKPOINT_EVERY_EVENTS: u64 = 50_000;

/// What a daemon stands on.
pub(super) struct Ground {
    pub(super) shelf: Arc<dyn Shelf>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) ids: Arc<dyn Ids>,
    pub(super) link: Link,
    pub(super) checkpoints: Checkpoints,
    pub(super) machine: MachineId,
    /// The token's hash.
    pub(super) token: blake3::Hash,
    pub(super) run_tokens: RunTokens,
    /// The process id that is told and recorded.
    pub(super) pid: u32,
}

/// A daemon that is ready to serve.
pub(super) struct Composed {
    pub(super) daemon: Daemon,
    machine: Arc<Machine>,
    clock: Arc<dyn Clock>,
    keeping: Keeping,
    writer: Worker,
    background: Vec<JoinHandle<()>>,
}

/// Opens the log, takes up what the daemon before left, and records the start.
pub(super) async fn compose(ground: Ground) -> Result<Composed, Failure> {
    let Ground { shelf, clock, ids, link, checkpoints, machine: machine_id, token, run_tokens, pid } = ground;
    let fresh = LogId::from(ids.mint(clock.now()));
    let OpenLog { journal, writer, projections, unread } = open_log(shelf, fresh, checkpoints.clone()).await?;
    let screens = Screens::start(journal.clone(), projections.clone(), checkpoints.clone())?;
    let keeping =
        Keeping { checkpoints, log: journal.id(), unread: Arc::new(unread), projections: projections.clone() };
    let sink: Arc<dyn OutputSink> = Arc::new(screens.clone());
    let hands = Hands::new(journal.clone(), link, sink, !keeping.unread.is_empty());
    let names = read(&projections, |projections| {
        Names::new(projections.sessions().names().map(|(name, id)| (name.to_owned(), id)))
    });
    let arbiter = actix::Arbiter::current();
    let directory = Directory::new(journal.clone(), hands.clone(), names, ids, clock.clone(), arbiter);
    directory.surround(Arc::new(FromProjections(projections.clone())));
    let router = Router::new(journal.clone(), directory.clone(), clock.clone());
    keep_run_tokens(&run_tokens, &projections).await;
    hands.give_mcp_access(Arc::new(run_tokens.clone()));
    let line = take_up(&journal, &hands, &directory, &projections).await?;
    let machine = Arc::new(Machine::new(journal.clone()));
    let holder_pid = hands.link().pid().unwrap_or(0);
    let started = DaemonStarted { build: build(), pid, holder_pid };
    if let Err(rejection) = machine.record(&*clock, vec![started.into()]).await {
        // A full disk at the start: reads are served, and appends resume by themselves.
        tracing::error!(%rejection, "the start could not be recorded");
    }
    let background = vec![
        tokio::spawn(hands.clone().keep_connected(line)),
        tokio::spawn(watch_storage(journal.clone(), machine.clone(), clock.clone())),
        tokio::spawn(keep_checkpoints(journal.clone(), keeping.clone())),
    ];
    let stop = watch::Sender::new(Stop::No);
    let daemon = Daemon {
        machine: machine_id,
        pid,
        journal,
        router,
        directory,
        hands,
        projections,
        screens,
        token: Arc::new(token),
        run_tokens: Arc::new(run_tokens),
        scope: Scope::All,
        stop,
        subscriptions: Count::default(),
        attachments: Count::default(),
        clock: clock.clone(),
    };
    Ok(Composed { daemon, machine, clock, keeping, writer, background })
}

impl Composed {
    /// Keeps checkpoints, records the stop and closes the log. Nobody is served any more by then. False: the log's writer
    /// did not end cleanly.
    pub(super) async fn close(self, reason: &str) -> bool {
        let Daemon { journal, screens, .. } = &self.daemon;
        screens.keep().await;
        self.keeping.keep();
        let stopped = DaemonStopped { reason: reason.to_owned() };
        if let Err(rejection) = self.machine.record(&*self.clock, vec![stopped.into()]).await {
            tracing::error!(%rejection, "the stop could not be recorded");
        }
        journal.stop().await.ok();
        self.background.iter().for_each(JoinHandle::abort);
        // A writer that waits for a disk which does not answer is left to the end of the process.
        !journal.is_stalled() && self.writer.ended().await
    }

    /// Ends everything where it stands, as kill -9 does.
    #[cfg(test)]
    pub(super) fn crash(self) {
        self.writer.abandon();
        self.background.iter().for_each(JoinHandle::abort);
    }
}

/// What the checkpoint of the projections is made of.
#[derive(Clone)]
struct Keeping {
    checkpoints: Checkpoints,
    log: LogId,
    unread: Arc<Unread>,
    projections: SharedProjections,
}

impl Keeping {
    /// Keeps the projections as they are; returns up to where that is.
    fn keep(&self) -> Seq {
        let copy = read(&self.projections, Projections::clone);
        self.checkpoints.keep_projections(self.log, &self.unread, &copy);
        copy.seq()
    }
}

fn read<T>(projections: &RwLock<Projections>, question: impl FnOnce(&Projections) -> T) -> T {
    question(&projections.read().unwrap_or_else(PoisonError::into_inner))
}

struct OpenLog {
    journal: Journal,
    writer: Worker,
    projections: SharedProjections,
    unread: Unread,
}

/// Opens the log and folds what the checkpoint does not have.
async fn open_log(shelf: Arc<dyn Shelf>, fresh: LogId, checkpoints: Checkpoints) -> Result<OpenLog, Failure> {
    let opened = offload::blocking(move || {
        let projections: SharedProjections = Arc::default();
        let live = projections.clone();
        let observer = move |_| -> Box<dyn Observer> {
            Box::new(move |events: &[Event]| {
                let mut projections = live.write().unwrap_or_else(PoisonError::into_inner);
                events.iter().for_each(|event| projections.apply(event));
            })
        };
        let opened = Journal::open(shelf, fresh, observer).map_err(log_failure)?;
        let (kept, mut unread) = checkpoints.projections(&opened.journal);
        let folded = fold(&opened.journal, kept, &mut unread)?;
        *projections.write().unwrap_or_else(PoisonError::into_inner) = folded;
        Ok::<_, Failure>(OpenLog { journal: opened.journal, writer: opened.writer, projections, unread })
    });
    opened.await.map_err(|error| Failure::because("opening the log", error))?
}

/// Folds the log up to its head. What cannot be read is left out, and said.
fn fold(journal: &Journal, mut projections: Projections, unread: &mut Unread) -> Result<Projections, Failure> {
    let (mut after, head) = (projections.seq(), journal.head());
    while after < head {
        let page = journal.page(Filter::All, after).map_err(Rejection::from)?;
        for gap in &page.gaps {
            tracing::error!(from = %gap.from, to = %gap.to, "events cannot be read; what they said is not shown");
            unread.push((gap.from, gap.to));
        }
        for slice in &page.slices {
            let events = slice.events().map_err(|error| Failure::new(FAILURE, format!("reading the log: {error}")))?;
            events.iter().for_each(|event| projections.apply(event));
        }
        after = page.to;
    }
    Ok(projections)
}

/// Removes the tokens of runs that ended while no daemon saw it.
async fn keep_run_tokens(run_tokens: &RunTokens, projections: &RwLock<Projections>) {
    let live = read(projections, |projections| {
        let live = projections.agents().iter().filter(|(_, agent)| agent.has_run());
        live.map(|(_, agent)| agent.run).collect()
    });
    let run_tokens = run_tokens.clone();
    offload::blocking(move || run_tokens.retain(&live)).await.ok();
}

/// Reaches the holder and takes up what the daemon before left.
async fn take_up(
    journal: &Journal,
    hands: &Hands,
    directory: &Directory,
    projections: &RwLock<Projections>,
) -> Result<HolderLine, Failure> {
    let reached = hands.reach_holder().await;
    let (welcome, line) = reached.map_err(|error| Failure::because("reaching the holder", error))?;
    let (open, settled, agents) = read(projections, left_open);
    recover(journal, hands, directory, &welcome, open, settled, agents).await?;
    Ok(line)
}

/// Runs and terminals whose end is not in the log, sessions in which nothing runs but which have not ended, and structured
/// agents that are not closed.
fn left_open(projections: &Projections) -> (Vec<OpenRun>, Vec<SessionId>, Vec<OpenAgent>) {
    let mut open = Vec::new();
    let mut settled = Vec::new();
    let mut open_agents = Vec::new();
    for (session, facts) in projections.sessions().after(None) {
        let ending = facts.status.state == SessionState::Ending;
        let mut live = 0;
        let mut agents = 0;
        for agent in projections.agents().of(session) {
            agents += 1;
            let run_settled = agent.outcome.is_some() || agent.failure.is_some();
            let structured = agent.structured.as_ref();
            let is_open = structured.map_or(!run_settled, |agent| agent.status.state != AgentState::Closed);
            live += usize::from(is_open);
            if structured.is_some() && is_open {
                open_agents.push(OpenAgent { session, agent: agent.agent, ending });
            }
            let errors = structured.map(|agent| {
                let closed_at = projections.terminals().get(agent.errors).and_then(|errors| errors.closed_at);
                (agent.errors, closed_at.is_some())
            });
            let errors_settled = errors.is_none_or(|(_, settled)| settled);
            let Some(terminal) = projections.terminals().get(agent.terminal) else {
                continue;
            };
            let terminal_settled = terminal.closed_at.is_some();
            if !run_settled || !terminal_settled || !errors_settled {
                open.push(OpenRun {
                    session,
                    agent: agent.agent,
                    run: agent.run,
                    terminal: agent.terminal,
                    size: terminal.size(),
                    run_settled,
                    terminal_settled,
                    ending,
                    errors,
                });
            }
        }
        if agents > 0 && live == 0 && facts.status.state != SessionState::Ended {
            settled.push(session);
        }
    }
    (open, settled, open_agents)
}

/// Records that appends failed, once they succeed again.
async fn watch_storage(journal: Journal, machine: Arc<Machine>, clock: Arc<dyn Clock>) {
    let mut health = journal.health();
    let mut degraded: Option<(String, Timestamp, u64)> = None;
    while health.changed().await.is_ok() {
        let error = health.borrow_and_update().clone();
        let (_, _, refused) = journal.counts();
        match (error, degraded.take()) {
            (Some(error), None) => degraded = Some((error.to_string(), clock.now(), refused)),
            (Some(_), since @ Some(_)) => degraded = since,
            (None, Some((reason, since, before))) => {
                let events = vec![
                    StorageDegraded { reason, since }.into(),
                    StorageRestored { refused: refused.saturating_sub(before) + 1 }.into(),
                ];
                if let Err(rejection) = machine.record(&*clock, events).await {
                    tracing::warn!(%rejection, "a bad time of the disk could not be recorded");
                }
            }
            (None, None) => {}
        }
    }
}

/// Keeps a checkpoint of the projections now and then, so that the next start need not fold everything.
async fn keep_checkpoints(journal: Journal, keeping: Keeping) {
    let mut heads = journal.heads();
    let mut kept = journal.head().0;
    while heads.wait_for(|head| head.0 >= kept + CHECKPOINT_EVERY_EVENTS).await.is_ok() {
        let keeping = keeping.clone();
        let keep = offload::blocking(move || keeping.keep());
        kept = keep.await.map_or(journal.head().0, |seq| seq.0);
    }
}
