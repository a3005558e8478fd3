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

/// Starts a daemon and waits until clients may come. One that somebody else just started is as good.
pub(crate) fn start(paths: &Paths) -> Result<Discovery, Failure> {
    paths.create()?;
    let exe = std::env::current_exe()?;
    let mut command = launch::detached(&exe, &["daemon", "start", "--foreground"], &paths.daemon_log())?;
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let mut said = String::new();
    if let Some(stdout) = child.stdout.take() {
        BufReader::new(stdout).read_line(&mut said)?;
    }
    if let Some(found) = Discovery::decode(said.as_bytes()) {
        return Ok(found);
    }
    let status = child.wait()?;
    // Two started at once: the one that has the lock is the daemon, and its socket is there soon.
    if let Some(found) = wait_for_other(paths) {
        return Ok(found);
    }
    let log = paths.daemon_log();
    let message = format!("the daemon did not start ({status})");
    Err(Failure::new(UNREACHABLE, message).hint(format!("Its last words are in {}.", log.display())))
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
