//! `ropewalk ls`, `show`, and what changes a session.

use std::time::{Duration, SystemTime};

use ropewalk_protocol::{
    AgentView, Code, Command as Change, Query, QueryResult, Rejection, RunOutcome, SessionState, SessionView, Size,
    TimelineEntry, Timestamp, limits,
};
use ropewalk_transport::client::Client;
use serde::Serialize;
use tokio::time::timeout;

use super::{Context, change, find, find_terminal, unexpected};
use crate::exit::{Failure, OK};
use crate::print;
use crate::process::{self, Condition};

/// Lines of history that `show` prints.
const HISTORY_LINES: u32 = 20;

/// Every session, page by page.
pub(crate) async fn all(client: &Client) -> Result<Vec<SessionView>, Failure> {
    let mut all: Vec<SessionView> = Vec::new();
    loop {
        let after = all.last().map(|session| session.session);
        let answer = client.query(Query::SessionsList { after, limit: None }).await?;
        let QueryResult::Sessions { sessions, more } = answer.result else {
            return Err(unexpected());
        };
        all.extend(sessions);
        if !more {
            return Ok(all);
        }
    }
}

pub(super) async fn ls(context: &Context) -> Result<u8, Failure> {
    let sessions = all(&context.client().await?).await?;
    if context.json {
        sessions.iter().try_for_each(print::json)?;
        return Ok(OK);
    }
    if sessions.is_empty() {
        print::talk("no sessions; start one with `ropewalk run`");
        return Ok(OK);
    }
    let header = ["ID", "NAME", "STATE", "SINCE", "PROGRAM"].map(str::to_owned).to_vec();
    let rows: Vec<_> = [header].into_iter().chain(sessions.iter().map(row)).collect();
    print::bytes(print::table(&rows).as_bytes());
    Ok(OK)
}

fn row(session: &SessionView) -> Vec<String> {
    let program = session.agents.last().map(|agent| print::plain(&agent.argv.join(" "))).unwrap_or_default();
    vec![
        short(session),
        session.name.clone().unwrap_or_else(|| "-".to_owned()),
        state(session),
        ago(session.status.since),
        program.chars().take(60).collect(),
    ]
}

/// Enough of an id to tell sessions apart: v7 ids of one minute share their first twelve digits.
fn short(session: &SessionView) -> String {
    session.session.to_string()
}

fn state(session: &SessionView) -> String {
    let outcome = session.agents.last().and_then(outcome);
    match (session.status.state, outcome) {
        (SessionState::Ended, Some(outcome)) if session.has_failed() => format!("failed ({outcome})"),
        (SessionState::Ended, Some(outcome)) => format!("ended ({outcome})"),
        (state, _) => state.name().to_owned(),
    }
}

fn outcome(agent: &AgentView) -> Option<String> {
    match (&agent.outcome, &agent.failure) {
        (Some(RunOutcome::Exited { code }), _) => Some(code.to_string()),
        (Some(RunOutcome::Signaled { signal }), _) => Some(format!("signal {signal}")),
        (Some(RunOutcome::Interrupted { .. }), _) => Some("interrupted".to_owned()),
        (None, Some(_)) => Some("not started".to_owned()),
        (None, None) => None,
    }
}

/// How long ago, in one unit.
pub(crate) fn ago(then: Timestamp) -> String {
    let seconds = Timestamp::from(SystemTime::now()).since(then).as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86400),
    }
}

#[derive(Serialize)]
struct Shown {
    session: SessionView,
    timeline: Vec<TimelineEntry>,
}

pub(super) async fn show(context: &Context, reference: &str) -> Result<u8, Failure> {
    let client = context.client().await?;
    let session = find(&client, reference).await?;
    let query = Query::SessionTimeline { session: session.session, before: None, limit: Some(HISTORY_LINES) };
    let QueryResult::Timeline { mut entries, more } = client.query(query).await?.result else {
        return Err(unexpected());
    };
    entries.reverse();
    context.print(&Shown { session, timeline: entries }, |shown| text(shown, more))
}

fn text(Shown { session, timeline }: &Shown, more: bool) -> String {
    let mut text = String::new();
    let mut field = |name: &str, value: &str| text.push_str(&format!("{name:<10}{value}\n"));
    field("session", &session.session.to_string());
    field("name", session.name.as_deref().unwrap_or("-"));
    field(
        "state",
        &format!("{} for {} (event {})", state(session), ago(session.status.since), session.status.evidence),
    );
    if let Some(reason) = &session.end_reason {
        field("ended", &print::plain(reason));
    }
    field("workspace", session.workspace.as_deref().unwrap_or("-"));
    for agent in &session.agents {
        field("program", &print::plain(&agent.argv.join(" ")));
        if let Some(pid) = agent.pid {
            field("process", &pid.to_string());
        }
        if let Some(failure) = &agent.failure {
            field("failure", &print::plain(failure));
        }
    }
    for terminal in &session.terminals {
        let closed = terminal.closed_at.map_or("open".to_owned(), |end| format!("closed after {end} bytes"));
        field("terminal", &format!("{} {}, {closed}", terminal.terminal, terminal.size));
    }
    text.push('\n');
    if more {
        text.push_str(&print::faint("older history: `ropewalk events REF`"));
        text.push('\n');
    }
    for entry in timeline {
        let line = format!("{:>6}  {}  {}\n", entry.seq.0, entry.at, print::plain(&entry.text));
        text.push_str(&line);
    }
    text
}

/// Has a change made to the session that a reference means, and says in a word what was done.
async fn apply(
    context: &Context,
    reference: &str,
    done: &str,
    command: impl FnOnce(&SessionView) -> Change,
) -> Result<u8, Failure> {
    let client = context.client().await?;
    let session = find(&client, reference).await?;
    let answer = change(&client, command(&session)).await?;
    if context.json {
        print::json(&answer)?;
    } else {
        print::talk(&format!("{} {done}", session.name.unwrap_or_else(|| session.session.to_string())));
    }
    Ok(OK)
}

pub(super) async fn annotate(context: &Context, reference: &str, text: String) -> Result<u8, Failure> {
    apply(context, reference, "annotated", |found| Change::SessionAnnotate { session: found.session, text }).await
}

pub(super) async fn rename(context: &Context, reference: &str, name: String) -> Result<u8, Failure> {
    apply(context, reference, "renamed", |found| Change::SessionRename { session: found.session, name }).await
}

pub(super) async fn delete(context: &Context, reference: &str) -> Result<u8, Failure> {
    apply(context, reference, "deleted", |found| Change::SessionDelete { session: found.session }).await
}

pub(super) async fn end(context: &Context, reference: &str) -> Result<u8, Failure> {
    let client = context.client().await?;
    let session = find(&client, reference).await?;
    let answer = change(&client, Change::SessionEnd { session: session.session }).await?;
    let limit = Duration::from_millis(limits::END_WAIT_MILLIS_MAX);
    let name = session.name.clone().unwrap_or_else(|| session.session.to_string());
    match timeout(limit, super::wait::until_ended(&client, session.session)).await {
        Ok(ended) => ended?,
        Err(_) => return Err(not_ended(&client, &name).await),
    }
    if context.json {
        print::json(&answer)?;
    } else {
        print::talk(&format!("{name} ended"));
    }
    Ok(OK)
}

/// Why a session that was asked to end has not: most likely nobody tells its programs.
async fn not_ended(client: &Client, name: &str) -> Failure {
    let asked = format!("{name} was asked to end and has not ended yet; the request stands");
    let holder = match client.query(Query::DaemonInfo {}).await.map(|answer| answer.result) {
        Ok(QueryResult::Daemon { daemon }) => daemon.holder_pid.filter(|_| daemon.holder_answers == Some(false)),
        _ => None,
    };
    let Some(pid) = holder else {
        return Rejection::new(Code::Busy, asked)
            .hint(format!("`ropewalk show {name}` says what runs, `ropewalk wait {name} --for ended` waits on."))
            .into();
    };
    let message = format!("{asked}: the holder, process {pid}, does not answer");
    let hint = match process::condition(pid) {
        Condition::Stopped => format!("Let the holder go on with `kill -CONT {pid}`: then the session ends."),
        _ => "`ropewalk daemon status` shows whether the holder answers; then the session ends.".to_owned(),
    };
    Rejection::new(Code::HolderUnavailable, message).hint(hint).into()
}

pub(super) async fn resize(context: &Context, reference: &str, size: Size) -> Result<u8, Failure> {
    let client = context.client().await?;
    let (session, terminal) = find_terminal(&client, reference).await?;
    let answer = change(&client, Change::TerminalResize { session: session.session, terminal, size }).await?;
    if context.json {
        print::json(&answer)?;
    } else {
        print::talk(&format!("resized to {size}"));
    }
    Ok(OK)
}
