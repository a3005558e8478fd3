//! The daemon's life: take the lock, open the log, take up what was left, serve, and leave nothing half done.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use ropewalk_actors::{Launch, Link};
use ropewalk_kernel::log::SledShelf;
pub(crate) use ropewalk_kernel::log::build;
use ropewalk_kernel::{clock, ids, offload};
use ropewalk_protocol::{PROTOCOL_VERSION, limits};
use ropewalk_transport::server;
use rustix::fs::Mode;
use tokio::io::AsyncReadExt;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::backend::Stop;
use super::checkpoints::Checkpoints;
use super::compose::{Ground, compose};
use super::discovery::{self, Discovery, HomeLock};
use super::log_failure::log_failure;
use super::run_tokens::RunTokens;
use crate::exit::{FAILURE, Failure};
use crate::launch;
use crate::paths::Paths;

/// The port that is tried first.
const PORT: u16 = 7717;

/// Runs a daemon until it is told to stop. `ready` is called with the discovery file's contents once clients may come.
pub(crate) fn run(paths: &Paths, ready: impl FnOnce(&Discovery) + 'static) -> Result<(), Failure> {
    // Whatever is written below, by whichever package, is its owner's alone. Programs get the mask that was there before.
    let programs_mask = rustix::process::umask(Mode::RWXG | Mode::RWXO);
    #[cfg(debug_assertions)]
    plant()?;
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
    let result = system.block_on(live(paths.clone(), programs_mask, ready));
    drop(lock);
    result
}

/// Plants the bug that a test of the tests asks for. No release build can.
#[cfg(debug_assertions)]
fn plant() -> Result<(), Failure> {
    let asked_for = std::env::var("ROPEWALK_PLANTED").ok();
    let planted = asked_for.map_or(Ok(()), |name| ropewalk_kernel::planted::plant_everywhere(&name));
    planted.map_err(|reason| Failure::new(FAILURE, reason))
}

async fn live(paths: Paths, programs_mask: Mode, ready: impl FnOnce(&Discovery)) -> Result<(), Failure> {
    let started = std::time::Instant::now();
    let directory = paths.log();
    let shelf = offload::blocking(move || SledShelf::open(&directory)).await;
    let shelf = shelf.map_err(|error| Failure::because("opening the log", error))?.map_err(log_failure)?;
    let token = discovery::token(&paths)?;
    let ground = Ground {
        shelf: Arc::new(shelf),
        clock: Arc::new(clock::System),
        ids: Arc::new(ids::Random),
        link: Link::new(paths.holder_socket(), launch_holder(&paths, programs_mask)),
        checkpoints: Checkpoints::new(&paths),
        machine: discovery::machine(&paths)?,
        token: blake3::hash(token.as_bytes()),
        run_tokens: RunTokens::new(&token, paths.run_tokens(), std::env::current_exe()?),
        pid: std::process::id(),
    };
    let composed = compose(ground).await?;
    let daemon = composed.daemon.clone();
    let tcp =
        server::bind_loopback(PORT).await.map_err(|error| Failure::because_io("listening on 127.0.0.1", &error))?;
    let found = Discovery {
        pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        build: build(),
        protocol: PROTOCOL_VERSION,
        machine: daemon.machine,
        log: daemon.journal.id(),
        port: tcp.local_addr()?.port(),
        socket: paths.socket(),
        token_file: paths.token(),
    };
    let restore = {
        let (found, paths, hands) = (found.clone(), paths.clone(), daemon.hands.clone());
        move || {
            discovery::restore(&found, &token, &paths);
            hands.grant_mcp_again();
        }
    };
    let unix = server::Door::open(&paths.socket(), Box::new(restore))
        .map_err(|error| Failure::because_io(format_args!("listening on {}", paths.socket().display()), &error))?;
    found.write(&paths)?;
    // The sender is where a connection that did not come from a listener is handed over, such as a relay's.
    let (incoming, _handed) = server::Incoming::new(tcp, unix);
    tracing::info!(port = found.port, head = %daemon.journal.head(), millis = started.elapsed().as_millis(), "ready");
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
    end_in_time();
    std::fs::remove_file(paths.discovery()).ok();
    std::fs::remove_file(paths.socket()).ok();
    let clean = composed.close(&reason).await;
    tracing::info!(reason, clean, "stopped");
    Ok(())
}

/// Sees to it that the process ends: whatever waits for a disk that never answers, a file, a database that is closed, ends with
/// it. What was acknowledged is on the disk.
fn end_in_time() {
    let wait = || {
        thread::sleep(Duration::from_millis(limits::STOP_MILLIS_MAX));
        // The log file may be on the same disk.
        drop(thread::spawn(|| tracing::error!("stopped without closing the log: the disk does not answer")));
        thread::sleep(Duration::from_secs(1));
        std::process::exit(i32::from(FAILURE));
    };
    if let Err(error) = thread::Builder::new().name("end-in-time".to_owned()).spawn(wait) {
        tracing::warn!(%error, "if the disk does not answer, this process does not end by itself");
    }
}

/// Starts a holder from this binary and waits until it listens.
fn launch_holder(paths: &Paths, programs_mask: Mode) -> Launch {
    let paths = paths.clone();
    let mask = format!("{:o}", programs_mask.as_raw_mode());
    Arc::new(move || {
        let (paths, mask) = (paths.clone(), mask.clone());
        Box::pin(async move {
            let exe: PathBuf = std::env::current_exe()?;
            let mut command = tokio::process::Command::from(launch::detached(
                &exe,
                &["holder", "--umask", &mask],
                &paths.holder_log(),
            )?);
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
