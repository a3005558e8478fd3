//! `ropewalk doctor`: what is there, what is missing, and how to get it. It changes nothing and starts no daemon.

mod known;
mod programs;

use std::path::{Path, PathBuf};

use ropewalk_kernel::log::SledShelf;
use ropewalk_kernel::log::store::Shelf;
use ropewalk_protocol::{Query, QueryResult};
use ropewalk_transport::client::Client;
use serde::Serialize;

use self::programs::{Agent, Startable, Where};
use super::{Context, unexpected};
use crate::connect;
use crate::daemon::discovery::HomeLock;
use crate::exit::{FAILURE, Failure, OK};
use crate::paths::Paths;
use crate::print;

/// Less than this is little: the log, and what agents write beside it.
const DISK_BYTES_LOW: u64 = 1 << 30;

#[derive(Serialize)]
struct Report {
    /// At least one agent can be used, and the home can be written.
    usable: bool,
    agents: Vec<Agent>,
    daemon: Daemon,
    home: Home,
}

#[derive(Default, Serialize)]
struct Daemon {
    pid: Option<u32>,
    holder_pid: Option<u32>,
    holder_answers: Option<bool>,
    /// Appends fail: what the disk said.
    degraded: Option<String>,
    problem: Option<String>,
}

#[derive(Serialize)]
struct Home {
    data: PathBuf,
    writable: bool,
    free_bytes: Option<u64>,
    /// Files that hold what could not be read of the log's write-ahead log.
    aside: usize,
}

pub(super) async fn doctor(context: &Context) -> Result<u8, Failure> {
    let place = Where::environment();
    // All at once: some take seconds to tell their version.
    let looks: Vec<_> = known::ALL.iter().map(|known| tokio::spawn(place.look(known))).collect();
    let mut agents = Vec::new();
    for look in looks {
        agents.push(look.await.map_err(|error| Failure::because("looking for agents", error))?);
    }
    let home = home(&context.paths);
    let daemon = daemon(&context.paths).await;
    let usable = home.writable && daemon.problem.is_none() && agents.iter().any(|agent| agent.usable);
    let report = Report { usable, agents, daemon, home };
    context.print(&report, text)?;
    Ok(if report.usable { OK } else { FAILURE })
}

fn home(paths: &Paths) -> Home {
    // What is not there yet is made where its parents are.
    let made = paths.data.ancestors().find(|folder| folder.is_dir()).unwrap_or(Path::new("/"));
    let writable = rustix::fs::access(made, rustix::fs::Access::WRITE_OK).is_ok();
    let free = rustix::fs::statvfs(made).ok().map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize));
    let aside = SledShelf::existing(&paths.log()).and_then(|shelf| shelf.aside()).map_or(0, |aside| aside.len());
    Home { data: paths.data.clone(), writable, free_bytes: free, aside }
}

/// How the daemon is, if one runs.
async fn daemon(paths: &Paths) -> Daemon {
    let Some(pid) = HomeLock::holder(paths) else { return Daemon::default() };
    let asked = async {
        let client = connect::connect_running(paths).await?;
        ask(&client).await
    };
    match asked.await {
        Ok(daemon) => Daemon { pid: Some(pid), ..daemon },
        Err(failure) => Daemon { pid: Some(pid), problem: Some(failure.message().to_owned()), ..Daemon::default() },
    }
}

async fn ask(client: &Client) -> Result<Daemon, Failure> {
    let QueryResult::Daemon { daemon } = client.query(Query::DaemonInfo {}).await?.result else {
        return Err(unexpected());
    };
    let QueryResult::LogStats { stats } = client.query(Query::LogStats {}).await?.result else {
        return Err(unexpected());
    };
    let problem = match (&stats.degraded, daemon.holder_answers) {
        (Some(why), _) => Some(format!("appends fail: {why}")),
        (None, Some(false)) => Some("the holder does not answer: see `ropewalk daemon status`".to_owned()),
        _ => None,
    };
    let (holder_pid, holder_answers) = (daemon.holder_pid, daemon.holder_answers);
    Ok(Daemon { pid: None, holder_pid, holder_answers, degraded: stats.degraded, problem })
}

fn text(report: &Report) -> String {
    let header = ["AGENT", "STATE", "VERSION", "LOGIN", "RUN WITH"].map(str::to_owned).to_vec();
    let rows: Vec<_> = [header].into_iter().chain(report.agents.iter().map(row)).collect();
    let mut text = print::table(&rows);
    for agent in &report.agents {
        for next in &agent.next {
            text.push_str(&format!("  {}: {next}\n", agent.name));
        }
    }
    text.push('\n');
    text.push_str(&print::table(&machine(report)));
    text
}

fn row(agent: &Agent) -> Vec<String> {
    let state = match (&agent.program, &agent.login) {
        (None, _) => "not installed",
        (Some(_), None) => "no login seen",
        (Some(_), Some(_)) => "ready",
    };
    let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let login = if agent.program.is_some() { or_dash(&agent.login) } else { "-".to_owned() };
    vec![agent.name.to_owned(), state.to_owned(), or_dash(&agent.version), login, agent.run.to_owned()]
}

fn machine(Report { daemon, home, .. }: &Report) -> Vec<Vec<String>> {
    let process = |pid: Option<u32>| pid.map_or("does not run".to_owned(), |pid| format!("process {pid}"));
    let problem = daemon.problem.as_ref().map(|problem| format!(": {problem}")).unwrap_or_default();
    let daemon_line = match daemon.pid {
        None => "does not run; the first command that needs it starts it".to_owned(),
        pid => process(pid) + &problem,
    };
    let writable = if home.writable { "" } else { ": it cannot be written; choose another with ROPEWALK_HOME" };
    let disk = match home.free_bytes {
        None => "unknown".to_owned(),
        Some(free) => {
            let low = if free < DISK_BYTES_LOW { ": little; free some" } else { "" };
            format!("{:.1} GiB free{low}", free as f64 / f64::from(1 << 30))
        }
    };
    let row = |name: &str, value: String| vec![name.to_owned(), value];
    let aside = match home.aside {
        0 => String::new(),
        count => {
            format!(": files in its log that hold what could not be read: {count}; `ropewalk log verify` names them")
        }
    };
    vec![
        row("daemon", daemon_line),
        row("holder", process(daemon.holder_pid)),
        row("home", format!("{}{writable}{aside}", home.data.display())),
        row("disk", disk),
    ]
}

/// The agents that are known, the installed ones first: what people call each, how it is started, and what is missing.
pub(super) fn startable() -> Vec<Startable> {
    let place = Where::environment();
    let mut found: Vec<Startable> = known::ALL.iter().map(|known| place.startable(known)).collect();
    found.sort_by_key(|agent| (agent.missing.is_some(), agent.note.is_some()));
    found
}
