//! Finding the daemon, and starting one when none runs.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use ropewalk_protocol::{ClientId, ClientInfo};
use ropewalk_transport::client::{Client, ClientError, Dial, Io, Options};
use tokio::net::UnixStream;

use crate::daemon::discovery::Discovery;
use crate::exit::{Failure, UNREACHABLE};
use crate::launch;
use crate::paths::Paths;

/// How long a client that lost the daemon tries to come back.
const GIVE_UP_AFTER: Duration = Duration::from_secs(60);

/// Dials whichever daemon the discovery file names at that moment.
pub(crate) fn dial(paths: &Paths) -> Dial {
    let paths = paths.clone();
    Arc::new(move || {
        let paths = paths.clone();
        Box::pin(async move {
            let socket = Discovery::read(&paths).map_or_else(|| paths.socket(), |found| found.socket);
            let stream = UnixStream::connect(socket).await?;
            Ok((Box::new(stream) as Box<dyn Io>, None))
        })
    })
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
    match Client::connect(dial(paths), options(false)).await {
        Ok(client) => Ok(client),
        Err(ClientError::Unreachable(_)) => {
            start(paths)?;
            Ok(Client::connect(dial(paths), options(false)).await?)
        }
        Err(refused) => Err(refused.into()),
    }
}

/// A client of the daemon that runs.
pub(crate) async fn connect_running(paths: &Paths) -> Result<Client, Failure> {
    Ok(Client::connect(dial(paths), options(false)).await?)
}

/// How often a start is tried: a daemon that is just ending, or was just killed, still has the lock for a moment.
const START_ATTEMPTS: usize = 3;

/// Starts a daemon and waits until clients may come. One that somebody else just started is as good.
pub(crate) fn start(paths: &Paths) -> Result<Discovery, Failure> {
    paths.create()?;
    for _ in 1..START_ATTEMPTS {
        if let Some(found) = try_start(paths)?.or_else(|| wait_for_other(paths)) {
            return Ok(found);
        }
    }
    let log = paths.daemon_log();
    let failure = || Failure::new(UNREACHABLE, "the daemon did not start");
    try_start(paths)?.ok_or_else(|| failure().hint(format!("Its last words are in {}.", log.display())))
}

/// Starts a daemon; `None` when it ended before clients could come.
fn try_start(paths: &Paths) -> Result<Option<Discovery>, Failure> {
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
    let found = Discovery::decode(said.as_bytes());
    if found.is_none() {
        child.wait()?;
    }
    Ok(found)
}

fn wait_for_other(paths: &Paths) -> Option<Discovery> {
    use crate::daemon::discovery::HomeLock;
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
