//! `ropewalk run`.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::PathBuf;

use ropewalk_protocol::{
    Command as Change, CommandResult, EventBody, Program, RunOutcome, Seq, SessionId, Size, SubscribeAfter,
    SubscribeParams, limits,
};
use ropewalk_transport::client::{Client, SubscriptionItem};

use super::attach::{self, Look};
use super::{Context, change, unexpected};
use crate::exit::{FAILURE, Failure, OK};
use crate::print;

pub(super) struct Run {
    pub(super) name: Option<String>,
    pub(super) workspace: Option<PathBuf>,
    pub(super) detach: bool,
    pub(super) size: Option<Size>,
    pub(super) program: Vec<String>,
}

pub(super) async fn run(context: &Context, run: Run) -> Result<u8, Failure> {
    let directory = directory(run.workspace)?;
    let argv = if run.program.is_empty() {
        vec![std::env::var("SHELL").ok().filter(|shell| !shell.is_empty()).unwrap_or_else(|| "/bin/sh".to_owned())]
    } else {
        run.program
    };
    let program = Program { argv, directory: directory.clone(), environment: environment() };
    let size = run.size.or_else(attach::window_size);
    let client = context.client().await?;
    let (workspace, program) = (Some(directory), Some(program));
    let command = Change::SessionCreate { name: run.name, workspace, program, size, agent: None };
    let answer = change(&client, command).await?;
    let CommandResult::SessionCreated { session, terminal, .. } = answer.result else {
        return Err(unexpected());
    };
    if run.detach {
        until_started(&client, session, answer.seq).await?;
        if context.json {
            print::json(&answer)?;
        } else {
            print::line(&session.to_string());
        }
        return Ok(OK);
    }
    let terminal = terminal.ok_or_else(unexpected)?;
    let look = Look { view: false, scrollback: limits::PAGE_EVENTS_MAX as u32, from_start: true };
    attach::follow(&client, session, terminal, look).await
}

/// The absolute path of a directory to work in; of this one, if none is named.
pub(super) fn directory(workspace: Option<PathBuf>) -> Result<String, Failure> {
    let workspace = match workspace {
        Some(directory) => std::path::absolute(&directory)?,
        None => std::env::current_dir()?,
    };
    let text = workspace.to_str().map(str::to_owned);
    text.ok_or_else(|| Failure::new(FAILURE, format!("{} is not UTF-8", workspace.display())))
}

/// Waits until the program runs, or is known not to. The failure is its own.
pub(super) async fn until_started(client: &Client, session: SessionId, created: Seq) -> Result<(), Failure> {
    let params = SubscribeParams { session: Some(session), after: SubscribeAfter::Seq(created), log: None, only: None };
    let (_, mut items) = client.subscribe(params).await?;
    while let Some(item) = items.recv().await {
        match item {
            SubscriptionItem::Events(events) => {
                for event in events {
                    match event.body {
                        EventBody::RunStarted(_) => return Ok(()),
                        EventBody::RunFailed(failed) => return Err(attach::not_started(&failed.reason)),
                        // A program that is over at once may have its end recorded and not its start.
                        EventBody::RunEnded(ended) => return was_run(&ended.outcome),
                        EventBody::SessionEnded(_) => return Err(attach::not_started("the session was ended")),
                        _ => {}
                    }
                }
            }
            SubscriptionItem::Failed(rejection) => return Err(rejection.into()),
            SubscriptionItem::Snapshot { .. } | SubscriptionItem::Live(_) | SubscriptionItem::Gap { .. } => {}
        }
    }
    Err(unexpected())
}

/// Whoever has an end of its own did run.
fn was_run(outcome: &RunOutcome) -> Result<(), Failure> {
    match outcome {
        RunOutcome::Exited { .. } | RunOutcome::Signaled { .. } => Ok(()),
        RunOutcome::Interrupted { .. } => Err(Failure::new(FAILURE, outcome.to_string())),
    }
}

/// This process's environment, for the program: the daemon's own is another one. Names that are not UTF-8 are left out.
pub(super) fn environment() -> BTreeMap<String, String> {
    let variables =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let ours = |name: &str| matches!(name, "ROPEWALK_SESSION" | "ROPEWALK_RUN");
    let mut environment: BTreeMap<String, String> = variables.filter(|(name, _)| !ours(name)).collect();
    if !std::io::stdout().is_terminal() {
        // A program in a terminal of ours needs to know what kind it is, even when we were started without one.
        environment.insert("TERM".to_owned(), "xterm-256color".to_owned());
    }
    environment.entry("TERM".to_owned()).or_insert_with(|| "xterm-256color".to_owned());
    environment
}
