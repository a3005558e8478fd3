//! `ropewalk daemon`.

use std::collections::HashMap;

use ropewalk_protocol::SessionId;
use ropewalk_transport::client::Client;
use serde::Serialize;

use super::Context;
use crate::args::DaemonCommand;
use crate::daemon::discovery::{Discovery, HomeLock};
use crate::exit::{Failure, OK, UNREACHABLE};
use crate::{connect, print};

/// Sessions that are listed when the daemon stops.
const LISTED_MAX: usize = 5;

#[derive(Serialize)]
struct Status {
    running: bool,
    pid: Option<u32>,
    holder_pid: Option<u32>,
    holder_answers: Option<bool>,
    version: Option<String>,
    port: Option<u16>,
    head: Option<u64>,
    sessions_running: Option<usize>,
    degraded: Option<String>,
}

pub(super) fn daemon(context: &Context, command: &DaemonCommand) -> Result<u8, Failure> {
    match command {
        DaemonCommand::Start { foreground: true } => foreground(context),
        DaemonCommand::Start { foreground: false } => start(context),
        DaemonCommand::Stop { all } => super::block_on(stop(context, *all)),
        DaemonCommand::Restart => {
            super::block_on(stop(context, false))?;
            start(context)
        }
        DaemonCommand::Status => super::block_on(status(context)),
    }
}

fn foreground(context: &Context) -> Result<u8, Failure> {
    super::logs("info");
    let ready = |found: &Discovery| {
        print::line(&serde_json::to_string(found).unwrap_or_default());
        super::holder::close_stdout();
    };
    let ran = crate::daemon::run(&context.paths, ready);
    if let Err(failure) = &ran {
        // Whoever started it in the background reads why from here; once it was ready nobody listens any more.
        print::line(&serde_json::json!({"failed": failure}).to_string());
    }
    ran.map(|()| OK)
}

fn start(context: &Context) -> Result<u8, Failure> {
    connect::refuse_stopped(&context.paths)?;
    if let Some(pid) = HomeLock::holder(&context.paths) {
        let message = format!("a daemon runs already: process {pid}");
        if context.json {
            print::json(&serde_json::json!({"pid": pid, "started": false}))?;
        } else {
            print::talk(&message);
        }
        return Ok(OK);
    }
    let found = connect::start(&context.paths)?;
    context.print(&serde_json::json!({"pid": found.pid, "started": true, "port": found.port}), |_| {
        format!("daemon started: process {}, port {}\n", found.pid, found.port)
    })
}

async fn stop(context: &Context, all: bool) -> Result<u8, Failure> {
    super::quiet_logs();
    // Programs may go on without a daemon: only a daemon can end them, and record it.
    if all && HomeLock::holder(&context.paths).is_none() && context.paths.holder_socket().exists() {
        connect::start(&context.paths)?;
    }
    let Some(pid) = HomeLock::holder(&context.paths) else {
        print::talk("no daemon runs");
        return Ok(OK);
    };
    let client = connect::connect_running(&context.paths).await?;
    let names = if context.json { HashMap::new() } else { names(&client).await? };
    let stopped = client.stop(all).await?;
    drop(client);
    wait_gone(pid).await?;
    context.print(&stopped, |stopped| {
        let mut text = format!("daemon stopped: process {}\n", stopped.pid);
        if !stopped.ended.is_empty() {
            text.push_str(&format!("ended {} sessions:\n{}", stopped.ended.len(), listed(&stopped.ended, &names)));
        }
        if !stopped.running.is_empty() {
            text.push_str(&format!("{} sessions go on:\n{}", stopped.running.len(), listed(&stopped.running, &names)));
        }
        text
    })
}

/// What sessions are called.
async fn names(client: &Client) -> Result<HashMap<SessionId, String>, Failure> {
    let sessions = super::sessions::all(client).await?;
    Ok(sessions.into_iter().filter_map(|session| Some((session.session, session.name?))).collect())
}

/// The first few; a list that nobody reads hides the line that counts.
fn listed(sessions: &[SessionId], names: &HashMap<SessionId, String>) -> String {
    let name = |id: &SessionId| names.get(id).map_or_else(|| format!("  {id}\n"), |name| format!("  {id}  {name}\n"));
    let mut text: String = sessions.iter().take(LISTED_MAX).map(name).collect();
    if let Some(more @ 1..) = sessions.len().checked_sub(LISTED_MAX) {
        text.push_str(&format!("  and {more} more (--json lists all)\n"));
    }
    text
}

/// Waits until the process is gone: its lock is free only then.
pub(super) async fn wait_gone(pid: u32) -> Result<(), Failure> {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    let Some(pidfd) = pid.and_then(|pid| rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).ok())
    else {
        return Ok(());
    };
    let ended = tokio::task::spawn_blocking(move || {
        let limit = rustix::event::Timespec { tv_sec: 30, tv_nsec: 0 };
        rustix::event::poll(&mut [rustix::event::PollFd::new(&pidfd, rustix::event::PollFlags::IN)], Some(&limit))
    });
    match ended.await {
        Ok(Ok(1..)) => Ok(()),
        _ => Err(Failure::new(UNREACHABLE, "the daemon has not stopped within 30 s")),
    }
}

async fn status(context: &Context) -> Result<u8, Failure> {
    super::quiet_logs();
    let Some(pid) = HomeLock::holder(&context.paths) else {
        let none = Status {
            running: false,
            pid: None,
            holder_pid: None,
            holder_answers: None,
            version: None,
            port: None,
            head: None,
            sessions_running: None,
            degraded: None,
        };
        context.print(&none, |_| "no daemon runs\n".to_owned())?;
        return Ok(UNREACHABLE);
    };
    let client = connect::connect_running(&context.paths).await?;
    let welcome = client.welcome();
    let stats = client.query(ropewalk_protocol::Query::LogStats {}).await?;
    let degraded = match stats.result {
        ropewalk_protocol::QueryResult::LogStats { stats } => stats.degraded,
        _ => None,
    };
    let info = client.query(ropewalk_protocol::Query::DaemonInfo {}).await?;
    let (holder_pid, holder_answers) = match info.result {
        ropewalk_protocol::QueryResult::Daemon { daemon } => (daemon.holder_pid, daemon.holder_answers),
        _ => (welcome.daemon.holder_pid, None),
    };
    let sessions = super::sessions::all(&client).await?;
    let running = sessions.iter().filter(|session| session.agents.iter().any(|agent| agent.pid.is_some())).count();
    let status = Status {
        running: true,
        pid: Some(pid),
        holder_pid,
        holder_answers,
        version: Some(welcome.daemon.version),
        port: Discovery::read(&context.paths).map(|found| found.port),
        head: Some(welcome.log.head.0),
        sessions_running: Some(running),
        degraded,
    };
    context.print(&status, |status| {
        let holder = status.holder_pid.map_or("not connected".to_owned(), |pid| format!("process {pid}"));
        let silent = status.holder_pid.is_some() && status.holder_answers == Some(false);
        let holder = holder + if silent { ", does not answer: stopped, or very busy" } else { "" };
        let mut text = format!("daemon: process {pid}, version {}\n", status.version.as_deref().unwrap_or("unknown"));
        text.push_str(&format!("holder: {holder}\nlog: {} events\nsessions running: {running}\n", welcome.log.head));
        if let Some(reason) = &status.degraded {
            text.push_str(&format!("appends fail: {reason}\n"));
        }
        text
    })
}
