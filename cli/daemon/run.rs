//! The daemon's life: take the lock, open the log, take up what was left, serve, and leave nothing half done.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use ropewalk_actors::{Directory, Hands, HolderLine, Launch, Link, Machine, Names, OpenRun, OutputSink, recover};
use ropewalk_kernel::Router;
use ropewalk_kernel::clock::{self, Clock};
use ropewalk_kernel::ids;
use ropewalk_kernel::log::{Filter, Journal, SledShelf};
use ropewalk_projections::Projections;
use ropewalk_protocol::{
    DaemonStarted, DaemonStopped, Event, LogId, PROTOCOL_VERSION, Rejection, SessionId, SessionState, StorageDegraded,
    StorageRestored, Timestamp,
};
use ropewalk_transport::server;
use tokio::io::AsyncReadExt;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::backend::{Daemon, Stop};
use super::checkpoints::Checkpoints;
use super::discovery::{self, Discovery, HomeLock};
use super::screens::Screens;
use super::subscriptions::SharedProjections;
use crate::exit::{FAILURE, Failure};
use crate::launch;
use crate::paths::Paths;

/// The port that is tried first.
const PORT: u16 = 7717;
/// Events folded between two checkpoints of the projections.
const CHECKPOINT_EVERY_EVENTS: u64 = 50_000;

/// What this binary was built from.
pub(crate) fn build() -> String {
    format!("{}+{}", env!("CARGO_PKG_VERSION"), option_env!("ROPEWALK_BUILD").unwrap_or("source"))
}

/// Runs a daemon until it is told to stop. `ready` is called with the discovery file's contents once clients may come.
pub(crate) fn run(paths: &Paths, ready: impl FnOnce(&Discovery) + 'static) -> Result<(), Failure> {
    paths.create()?;
    let lock = HomeLock::take(paths)?;
    let system = actix::System::with_tokio_rt(|| {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(16)
            .thread_keep_alive(Duration::from_secs(2))
            .build()
            .expect("a runtime on this thread needs an epoll descriptor only")
    });
    let result = system.block_on(live(paths.clone(), ready));
    drop(lock);
    result
}

async fn live(paths: Paths, ready: impl FnOnce(&Discovery)) -> Result<(), Failure> {
    let started = std::time::Instant::now();
    let clock: Arc<dyn Clock> = Arc::new(clock::System);
    let checkpoints = Checkpoints::new(&paths);
    let (journal, writer, projections) = open_log(&paths, &*clock, &checkpoints).await?;
    let screens = Screens::start(journal.clone(), projections.clone(), checkpoints.clone())?;
    let link = Link::new(paths.holder_socket(), launch_holder(&paths));
    let sink: Arc<dyn OutputSink> = Arc::new(screens.clone());
    let hands = Hands::new(journal.clone(), link, sink);
    let names = read(&projections, |projections| {
        Names::new(projections.sessions().names().map(|(name, id)| (name.to_owned(), id)))
    });
    let arbiter = actix::Arbiter::current();
    let directory =
        Directory::new(journal.clone(), hands.clone(), names, Arc::new(ids::Random), clock.clone(), arbiter);
    let router = Router::new(journal.clone(), directory.clone(), clock.clone());
    let line = take_up(&journal, &hands, &directory, &projections).await?;
    let machine = Machine::new(journal.clone());
    let holder_pid = hands.link().pid().unwrap_or(0);
    let started_event = DaemonStarted { build: build(), pid: std::process::id(), holder_pid };
    if let Err(rejection) = machine.record(&*clock, vec![started_event.into()]).await {
        // A full disk at the start: reads are served, and appends resume by themselves.
        tracing::error!(%rejection, "the start could not be recorded");
    }
    tokio::spawn(hands.clone().keep_connected(line));
    let machine = Arc::new(machine);
    tokio::spawn(watch_storage(journal.clone(), machine.clone(), clock.clone()));
    tokio::spawn(keep_checkpoints(journal.clone(), projections.clone(), checkpoints.clone()));

    let token = discovery::token(&paths)?;
    let stop = watch::Sender::new(Stop::No);
    let daemon = Daemon {
        machine: discovery::machine(&paths)?,
        journal: journal.clone(),
        router,
        directory,
        hands,
        projections: projections.clone(),
        screens: screens.clone(),
        token: Arc::new(blake3::hash(token.as_bytes())),
        stop,
    };
    let tcp = server::bind_loopback(PORT).await.map_err(|error| Failure::because("listening on 127.0.0.1", error))?;
    let unix = server::bind_unix(&paths.socket())
        .map_err(|error| Failure::because(format_args!("listening on {}", paths.socket().display()), error))?;
    let found = Discovery {
        pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        build: build(),
        protocol: PROTOCOL_VERSION,
        machine: daemon.machine,
        log: journal.id(),
        port: tcp.local_addr()?.port(),
        socket: paths.socket(),
        token_file: paths.token(),
    };
    found.write(&paths)?;
    // The sender is where a connection that did not come from a listener is handed over, such as a relay's.
    let (incoming, _handed) = server::Incoming::new(tcp, unix);
    tracing::info!(port = found.port, head = %journal.head(), millis = started.elapsed().as_millis(), "ready");
    ready(&found);

    let stopping = stop_asked(daemon.stop.subscribe())?;
    let (reason, stopped) = watch::channel(String::new());
    let stop_when = async move {
        reason.send_replace(stopping.await);
    };
    if let Err(error) = server::serve(incoming, daemon, stop_when).await {
        tracing::error!(%error, "the listeners broke");
    }
    let reason = stopped.borrow().clone();
    std::fs::remove_file(paths.discovery()).ok();
    std::fs::remove_file(paths.socket()).ok();
    screens.keep().await;
    read(&projections, |projections| checkpoints.keep_projections(projections));
    if let Err(rejection) = machine.record(&*clock, vec![DaemonStopped { reason: reason.clone() }.into()]).await {
        tracing::error!(%rejection, "the stop could not be recorded");
    }
    journal.stop().await.ok();
    let joined = tokio::task::spawn_blocking(move || writer.join()).await;
    drop(journal);
    tracing::info!(reason, clean = matches!(joined, Ok(Ok(()))), "stopped");
    Ok(())
}

fn read<T>(projections: &RwLock<Projections>, question: impl FnOnce(&Projections) -> T) -> T {
    question(&projections.read().unwrap_or_else(PoisonError::into_inner))
}

type OpenLog = (Journal, std::thread::JoinHandle<()>, SharedProjections);

/// Opens the log and folds what the checkpoint does not have.
async fn open_log(paths: &Paths, clock: &dyn Clock, checkpoints: &Checkpoints) -> Result<OpenLog, Failure> {
    let (directory, checkpoints) = (paths.log(), checkpoints.clone());
    let fresh = LogId::from(ids::Ids::mint(&ids::Random, clock.now()));
    let opened = tokio::task::spawn_blocking(move || {
        let shelf = SledShelf::open(&directory).map_err(|error| Failure::because("opening the log", error))?;
        let projections: SharedProjections = Arc::default();
        let live = projections.clone();
        let observer = move |_| -> Box<dyn ropewalk_kernel::log::Observer> {
            Box::new(move |events: &[Event]| {
                let mut projections = live.write().unwrap_or_else(PoisonError::into_inner);
                events.iter().for_each(|event| projections.apply(event));
            })
        };
        let opened = Journal::open(Arc::new(shelf), fresh, observer)
            .map_err(|error| Failure::because("opening the log", error))?;
        let folded = fold(&opened.journal, checkpoints.projections(opened.journal.head()))?;
        *projections.write().unwrap_or_else(PoisonError::into_inner) = folded;
        Ok::<_, Failure>((opened.journal, opened.writer, projections))
    });
    opened.await.map_err(|error| Failure::because("opening the log", error))?
}

/// Folds the log up to its head. What cannot be read is left out, and said.
fn fold(journal: &Journal, mut projections: Projections) -> Result<Projections, Failure> {
    let (mut after, head) = (projections.seq(), journal.head());
    while after < head {
        let page = journal.page(Filter::All, after).map_err(Rejection::from)?;
        for gap in &page.gaps {
            tracing::error!(from = %gap.from, to = %gap.to, "events cannot be read; what they said is not shown");
        }
        for slice in &page.slices {
            let events = slice.events().map_err(|error| Failure::new(FAILURE, format!("reading the log: {error}")))?;
            events.iter().for_each(|event| projections.apply(event));
        }
        after = page.to;
    }
    Ok(projections)
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
    let (open, settled) = read(projections, left_open);
    recover(journal, hands, directory, &welcome, open, settled).await?;
    Ok(line)
}

/// Runs and terminals whose end is not in the log, and sessions in which nothing runs but which have not ended.
fn left_open(projections: &Projections) -> (Vec<OpenRun>, Vec<SessionId>) {
    let mut open = Vec::new();
    let mut settled = Vec::new();
    for (session, facts) in projections.sessions().after(None) {
        let mut live = 0;
        let mut agents = 0;
        for agent in projections.agents().of(session) {
            agents += 1;
            let run_settled = agent.outcome.is_some() || agent.failure.is_some();
            live += usize::from(!run_settled);
            let Some(terminal) = projections.terminals().get(agent.terminal) else {
                continue;
            };
            let terminal_settled = terminal.closed_at.is_some();
            if !run_settled || !terminal_settled {
                open.push(OpenRun {
                    session,
                    agent: agent.agent,
                    run: agent.run,
                    terminal: agent.terminal,
                    size: terminal.size(),
                    run_settled,
                    terminal_settled,
                    ending: facts.status.state == SessionState::Ending,
                });
            }
        }
        if agents > 0 && live == 0 && facts.status.state != SessionState::Ended {
            settled.push(session);
        }
    }
    (open, settled)
}

/// Starts a holder from this binary and waits until it listens.
fn launch_holder(paths: &Paths) -> Launch {
    let paths = paths.clone();
    Arc::new(move || {
        let paths = paths.clone();
        Box::pin(async move {
            let exe: PathBuf = std::env::current_exe()?;
            let mut command = tokio::process::Command::from(launch::detached(&exe, &["holder"], &paths.holder_log())?);
            let mut child = command.stdout(Stdio::piped()).spawn()?;
            let mut said = String::new();
            if let Some(stdout) = &mut child.stdout {
                stdout.read_to_string(&mut said).await?;
            }
            if said.contains("ready") {
                return Ok(());
            }
            let log = paths.holder_log();
            Err(std::io::Error::other(format!("the holder did not start; see {}", log.display())))
        })
    })
}

/// Ends when somebody asks the daemon to stop; says who.
fn stop_asked(mut asked: watch::Receiver<Stop>) -> Result<impl Future<Output = String> + Send + 'static, Failure> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        let reason = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
            stop = asked.wait_for(|stop| *stop != Stop::No) => match stop.as_deref() {
                Ok(Stop::All) => "asked to stop everything",
                _ => "asked to stop",
            },
        };
        // The answer to whoever asked is written first.
        tokio::time::sleep(Duration::from_millis(50)).await;
        reason.to_owned()
    })
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
async fn keep_checkpoints(journal: Journal, projections: SharedProjections, checkpoints: Checkpoints) {
    let mut heads = journal.heads();
    let mut kept = journal.head().0;
    while heads.wait_for(|head| head.0 >= kept + CHECKPOINT_EVERY_EVENTS).await.is_ok() {
        let (projections, checkpoints) = (projections.clone(), checkpoints.clone());
        let keep = tokio::task::spawn_blocking(move || {
            let copy = read(&projections, Projections::clone);
            checkpoints.keep_projections(&copy);
            copy.seq()
        });
        kept = keep.await.map_or(journal.head().0, |seq| seq.0);
    }
}
