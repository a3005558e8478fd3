//! Finding the daemon, and starting one when none runs.

use std::io::{self, BufRead, BufReader};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use ropewalk_protocol::{ClientId, ClientInfo};
use ropewalk_transport::client::{Client, ClientError, Dial, Io, Options, dial_tcp};
use serde::Deserialize;
use tokio::net::UnixStream;

use crate::daemon::discovery::{Discovery, HomeLock};
use crate::exit::{Failure, TRY_LATER, UNREACHABLE};
use crate::launch;
use crate::paths::Paths;
use crate::process::{self, Condition};

/// How long a client that lost the daemon tries to come back.
pub(crate) const GIVE_UP_AFTER: Duration = Duration::from_secs(60);

/// Dials whichever daemon the discovery file names at that moment.
pub(crate) fn dial(paths: &Paths) -> Dial {
    let paths = paths.clone();
    Arc::new(move || {
        let paths = paths.clone();
        Box::pin(async move {
            let found = Discovery::read(&paths);
            let socket = found.as_ref().map_or_else(|| paths.socket(), |found| found.socket.clone());
            match UnixStream::connect(socket).await {
                Ok(stream) => Ok((Box::new(stream) as Box<dyn Io>, None)),
                Err(error) => dial_port(&paths, found).await.unwrap_or(Err(error)),
            }
        })
    })
}

/// The way in when the socket is gone: the port, with the token. Only while the daemon that had the port has the home's
/// lock too: else the port may be somebody else's, who must not be shown the token.
async fn dial_port(paths: &Paths, found: Option<Discovery>) -> Option<io::Result<(Box<dyn Io>, Option<String>)>> {
    let found = found.filter(|found| HomeLock::holder(paths) == Some(found.pid))?;
    let token = std::fs::read_to_string(found.token_file).ok()?;
    Some(dial_tcp(found.port, token.trim().to_owned())().await)
}

pub(crate) fn options(bincode: bool) -> Options {
    let info = ClientInfo {
        name: "ropewalk-cli".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        instance: Some(ClientId::from(uuid::Uuid::now_v7())),
    };
    Options { info, bincode, give_up_after: Some(GIVE_UP_AFTER) }
}

/// A client of the daemon, which is started if none runs.
pub(crate) async fn connect(paths: &Paths) -> Result<Client, Failure> {
    refuse_stopped(paths)?;
    match Client::connect(dial(paths), options(false)).await {
        Ok(client) => Ok(client),
        Err(ClientError::Unreachable(_)) => {
            start(paths)?;
            connect_running(paths).await
        }
        Err(refused) => Err(refused.into()),
    }
}

/// A client of the daemon that runs.
pub(crate) async fn connect_running(paths: &Paths) -> Result<Client, Failure> {
    refuse_stopped(paths)?;
    let connected = Client::connect(dial(paths), options(false)).await;
    connected.map_err(|error| match (error, HomeLock::holder(paths)) {
        // To start one would help nobody: there is one.
        (ClientError::Unreachable(reason), Some(pid)) => {
            Failure::new(TRY_LATER, format!("the daemon, process {pid}, cannot be reached: {reason}")).hint(format!(
                "Try again in a moment. Its words are in {}; if it never answers, `kill {pid}` ends it, and programs go on.",
                paths.daemon_log().display()
            ))
        }
        (error, _) => error.into(),
    })
}

/// A daemon that is stopped lets others connect and answers nothing: who would wait is told at once.
pub(crate) fn refuse_stopped(paths: &Paths) -> Result<(), Failure> {
    match HomeLock::holder(paths).filter(|pid| process::condition(*pid) == Condition::Stopped) {
        None => Ok(()),
        Some(pid) => {
            Err(Failure::new(UNREACHABLE, format!("the daemon, process {pid}, is stopped, by a signal or a debugger"))
                .hint(format!("Let it go on with `kill -CONT {pid}`: nothing is lost.")))
        }
    }
}

/// How often a start is tried: a daemon that is just ending, or was just killed, still has the lock for a moment.
const START_ATTEMPTS: usize = 3;

/// Starts a daemon and waits until clients may come. One that somebody else just started is as good.
pub(crate) fn start(paths: &Paths) -> Result<Discovery, Failure> {
    paths.create()?;
    let mut last = None;
    for _ in 0..START_ATTEMPTS {
        match try_start(paths) {
            Ok(found) => return Ok(found),
            Err(failure) if failure.home_taken => {
                if let Some(found) = wait_for_other(paths) {
                    return Ok(found);
                }
                last = Some(failure);
            }
            Err(failure) => return Err(failure.while_starting()),
        }
    }
    // Whoever has the home does not serve it.
    Err(last.map_or_else(|| Failure::new(UNREACHABLE, "the daemon did not start"), Failure::while_starting))
}

/// What a daemon says on its stdout when it could not start.
#[derive(Deserialize)]
struct StartFailed {
    failed: Failure,
}

/// Starts a daemon and waits until it serves, or for its own word of why not.
fn try_start(paths: &Paths) -> Result<Discovery, Failure> {
    let exe = std::env::current_exe()?;
    let mut command = launch::detached(&exe, &["daemon", "start", "--foreground"], &paths.daemon_log())?;
    if let Some(home) = &paths.home {
        command.env("ROPEWALK_HOME", home);
    }
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let mut said = String::new();
    if let Some(stdout) = child.stdout.take() {
        BufReader::new(stdout).read_line(&mut said)?;
    }
    if let Some(found) = Discovery::decode(said.as_bytes()) {
        return Ok(found);
    }
    let status = child.wait()?;
    Err(match serde_json::from_str(&said) {
        Ok(StartFailed { failed }) => failed,
        Err(_) => Failure::new(UNREACHABLE, format!("it ended without a word ({status})"))
            .hint(format!("Its last words are in {}.", paths.daemon_log().display())),
    })
}

/// The daemon that another process just started, once clients may come.
pub(crate) fn wait_for_other(paths: &Paths) -> Option<Discovery> {
    // Another process's readiness has no event to wait for; its lock tells whether waiting is worth while.
    for _ in 0..200 {
        let pid = HomeLock::holder(paths)?;
        if let Some(found) = Discovery::read(paths).filter(|found| found.pid == pid)
            && std::os::unix::net::UnixStream::connect(&found.socket).is_ok()
        {
            return Some(found);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    None
}
