//! Questions, answered from projections, screens and the log. None touches an actor.

use std::path::Path;
use std::time::Duration;

use ropewalk_kernel::offload;
use ropewalk_projections::Projections;
use ropewalk_protocol::{
    Code, DaemonInfo, DayView, PolicyView, Query, QueryAnswer, QueryResult, Rejection, SessionId, TerminalId,
    Timestamp, limits,
};
use ropewalk_transport::Backend;
use tokio::time::timeout;

use super::backend::Daemon;
use super::history::{Wanted, events_page, search, timeline_page};
use crate::archive::export_to;
use crate::check::{LogCheck, record_view};

/// How long a holder has to show that it lives: whoever asks how the daemon is waits for it.
const HOLDER_ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

pub(super) async fn answer(daemon: &Daemon, query: Query) -> Result<QueryAnswer, Rejection> {
    match query {
        Query::SessionsList { after, limit } => {
            let limit = bounded(limit, limits::PAGE_SESSIONS_MAX);
            Ok(daemon.read(|projections| {
                let (sessions, more) = projections.page(after, limit, daemon.clock.now());
                QueryAnswer { at: projections.seq(), result: QueryResult::Sessions { sessions, more } }
            }))
        }
        Query::SessionGet { reference } => daemon.read(|projections| {
            let id = projections.find(&reference)?;
            let session = projections.session(id, daemon.clock.now());
            let session = session.ok_or_else(|| Rejection::not_found(format_args!("session {id}")))?;
            Ok(QueryAnswer { at: projections.seq(), result: QueryResult::Session { session } })
        }),
        Query::SessionTimeline { session, before, limit } => {
            let limit = bounded(limit, limits::PAGE_EVENTS_MAX);
            blocking(daemon, move |daemon| timeline_page(&daemon.journal, session, before, limit)).await
        }
        Query::EventsPage { session, agent, after, before, limit } => {
            let limit = bounded(limit, limits::PAGE_EVENTS_MAX);
            let wanted = Wanted { session, agent, after, before };
            blocking(daemon, move |daemon| events_page(&daemon.journal, wanted, limit)).await
        }
        Query::EventsSearch { text, session, before, limit } => {
            let limit = bounded(limit, limits::SEARCH_HITS_MAX);
            blocking(daemon, move |daemon| search(&daemon.journal, &text, session, before, limit)).await
        }
        Query::TerminalScreen { terminal, scrollback } => screen(daemon, terminal, scrollback).await,
        Query::InteractionsList { session, after } => Ok(daemon.read(|projections| {
            let (interactions, more) = projections.interactions().page(session, after, limits::PAGE_BYTES_MAX);
            QueryAnswer { at: projections.seq(), result: QueryResult::Interactions { interactions, more } }
        })),
        Query::PromptsList { session, agent } => daemon.read(|projections| {
            let known = projections.agents().get(session, agent);
            let known =
                known.ok_or_else(|| Rejection::not_found(format_args!("agent {agent} in session {session}")))?;
            let prompts = known.structured.as_ref().map(|agent| agent.prompts().to_vec()).unwrap_or_default();
            Ok(QueryAnswer { at: projections.seq(), result: QueryResult::Prompts { prompts } })
        }),
        Query::PolicyGet { session } => Ok(daemon.read(|projections| {
            let policy = Box::new(policy(projections, session, daemon.clock.now()));
            QueryAnswer { at: projections.seq(), result: QueryResult::Policy { policy } }
        })),
        Query::DaemonInfo {} => {
            let answers = daemon.hands.link().answers_within(HOLDER_ANSWER_TIMEOUT).await;
            let info = DaemonInfo { holder_answers: Some(answers), ..daemon.info() };
            Ok(now(daemon, QueryResult::Daemon { daemon: info }))
        }
        Query::LogStats {} => {
            blocking(daemon, |daemon| Ok(now(daemon, QueryResult::LogStats { stats: daemon.journal.stats() }))).await
        }
        Query::LogVerify {} => blocking(daemon, verify).await,
        Query::LogExport { file } => {
            blocking(daemon, move |daemon| {
                let report = export_to(&daemon.journal, Path::new(&file))?;
                Ok(now(daemon, QueryResult::LogExport { report }))
            })
            .await
        }
        Query::LogRecord { seq } => {
            blocking(daemon, move |daemon| {
                let record = Box::new(record_view(&daemon.journal, seq)?);
                Ok(now(daemon, QueryResult::LogRecord { record }))
            })
            .await
        }
    }
}

fn policy(projections: &Projections, session: Option<SessionId>, now: Timestamp) -> PolicyView {
    let policies = projections.policies();
    let of = |session| (policies.session_budget(session), projections.agents().spent(session, now));
    let (budget, spent) = session.map(of).unwrap_or_default();
    let rules = session.map(|session| policies.session_rules(session).to_vec()).unwrap_or_default();
    let day = DayView { budget: policies.day_budget(), spent: policies.day_spent(now) };
    PolicyView { day, workspaces: policies.workspaces().collect(), budget, spent, rules }
}

fn bounded(limit: Option<u32>, max: usize) -> usize {
    limit.map_or(max, |limit| (limit as usize).clamp(1, max))
}

fn now(daemon: &Daemon, result: QueryResult) -> QueryAnswer {
    QueryAnswer { at: daemon.head(), result }
}

/// Reads that touch the disk run beside the daemon's thread.
async fn blocking(
    daemon: &Daemon,
    read: impl FnOnce(&Daemon) -> Result<QueryAnswer, Rejection> + Send + 'static,
) -> Result<QueryAnswer, Rejection> {
    let daemon = daemon.clone();
    let read = offload::blocking(move || read(&daemon)).await;
    read.map_err(|error| Rejection::new(Code::Internal, format!("a query failed: {error}")))?
}

async fn screen(daemon: &Daemon, terminal: TerminalId, scrollback: u32) -> Result<QueryAnswer, Rejection> {
    if let Some(lane) = daemon.hands.lanes().get(terminal) {
        // Without it a screen right after a start would be older than one right before it. A holder that does not answer is
        // waited for no longer than for its own sake.
        timeout(HOLDER_ANSWER_TIMEOUT, lane.has_promised()).await.ok();
    }
    let result = daemon.screens.ask(terminal, move |screen| {
        let mut lines = screen.scrollback_text(scrollback as usize);
        lines.extend((0..screen.size().rows).map(|row| screen.row_text(row)));
        let (cursor_col, cursor_row) = screen.cursor();
        QueryResult::Screen {
            offset: screen.offset(),
            size: screen.size(),
            cursor_col,
            cursor_row,
            title: screen.title().to_owned(),
            alternate: screen.alternate(),
            lines,
        }
    });
    Ok(now(daemon, result.await?))
}

fn verify(daemon: &Daemon) -> Result<QueryAnswer, Rejection> {
    let mut check = LogCheck::run(&daemon.journal)?;
    // The live projections may be ahead by now: the rebuilt ones are brought to the same place.
    daemon.read(|projections| {
        check.catch_up(&daemon.journal, projections.seq())?;
        check.compare("the live one", projections);
        Ok::<_, Rejection>(())
    })?;
    let report = check.report();
    Ok(QueryAnswer { at: report.head, result: QueryResult::LogVerify { report } })
}
