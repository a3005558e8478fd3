//! `ropewalk run --provider` and `ropewalk spawn`.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use ropewalk_protocol::{
    AgentId, AgentSpec, Command as Change, CommandAnswer, CommandResult, EventBody, PromptId, Query, QueryResult, Seq,
    SessionId,
};
use ropewalk_transport::client::Client;
use tokio::time::timeout;

use super::super::{Context, find, run};
use super::clocks::Clocks;
use super::cost::Counts;
use super::reference::pick;
use super::settled::{Ended, Known, Outcome};
use super::story::Story;
use super::watch::{self, How};
use super::{change, spec, unexpected};
use crate::args::{AgentArgs, RunAgentArgs};
use crate::exit::{FAILURE, Failure, OK};
use crate::print;

/// A session to start with an agent.
pub(in super::super) struct Start {
    pub(in super::super) provider: String,
    pub(in super::super) name: Option<String>,
    pub(in super::super) workspace: Option<PathBuf>,
    pub(in super::super) detach: bool,
    pub(in super::super) agent: RunAgentArgs,
}

/// Starts a session with an agent and its first prompt, in one command, and follows the turn.
pub(in super::super) async fn start(context: &Context, start: Start) -> Result<u8, Failure> {
    let began = Instant::now();
    let mut known = Known::default();
    let detach = start.detach;
    match begin(context, start, began, &mut known).await {
        Ok(None) => Ok(OK),
        Err(failure) if detach => Err(failure),
        Ok(Some(ended)) => finish(context, &known, Ok(ended)),
        Err(failure) => finish(context, &known, Err(failure)),
    }
}

/// Says how a turn ended that was followed; with `--json` always in a last line.
pub(super) fn finish(context: &Context, known: &Known, ended: Result<Ended, Failure>) -> Result<u8, Failure> {
    let ended = match ended {
        Ok(ended) => ended,
        Err(failure) => {
            if context.json {
                print::json(&known.failed(&failure))?;
            }
            return Err(failure);
        }
    };
    if context.json {
        print::json(&known.last_line(&ended))?;
    } else if ended.outcome != Outcome::Completed {
        let reason = ended.reason.as_ref().map(|reason| format!(": {}", print::plain(reason))).unwrap_or_default();
        print::talk(&format!("{}{reason}", print::red(ended.outcome.told())));
    }
    Ok(ended.outcome.exit())
}

async fn begin(context: &Context, start: Start, began: Instant, known: &mut Known) -> Result<Option<Ended>, Failure> {
    let directory = run::directory(start.workspace)?;
    let RunAgentArgs { spec: args, follow, prompt, .. } = start.agent;
    let prompt = spec::words(&prompt)?;
    let agent = spec::spec(start.provider, args, directory.clone(), Some(prompt), context.json);
    let client = context.client().await?;
    let Some(answer) = within(follow.timeout, began, create(&client, start.name, directory, agent)).await else {
        let why = "the daemon has not answered; the session may have been started";
        return Ok(Some(Ended::new(Outcome::Timeout, why)));
    };
    let answer = answer?;
    let CommandResult::SessionCreated { session, agent: Some(agent), .. } = answer.result else {
        return Err(unexpected());
    };
    (known.session, known.agent) = (Some(session), Some(agent));
    if start.detach {
        run::until_started(&client, session, Seq::ZERO).await?;
        if context.json {
            print::json(&answer)?;
        } else {
            print::line(&session.to_string());
        }
        return Ok(None);
    }
    if !context.json {
        print::talk(&print::faint(&format!("session {session}")));
    }
    let prompt = first_prompt(&client, session, agent).await?;
    let mut story = Story::new(session, agent, prompt, Counts::of_new());
    let clocks = Clocks::new(follow.timeout, follow.idle_timeout, began, Instant::now());
    let interactive = spec::is_interactive(context.json);
    let how = How { json: context.json, shown_after: Seq::ZERO, interactive, clocks };
    let ended = watch::follow(&client, &mut story, Seq::ZERO, how).await;
    *known = story.known();
    ended.map(Some)
}

async fn create(
    client: &Client,
    name: Option<String>,
    directory: String,
    agent: AgentSpec,
) -> Result<CommandAnswer, Failure> {
    let agent = Some(Box::new(agent));
    let command = Change::SessionCreate { name, workspace: Some(directory), program: None, size: None, agent };
    Ok(change(client, command).await?)
}

/// What comes of it in the time that is left; `None` when it is over.
pub(super) async fn within<T>(limit: Option<Duration>, began: Instant, work: impl Future<Output = T>) -> Option<T> {
    match limit {
        Some(limit) => timeout(limit.saturating_sub(began.elapsed()), work).await.ok(),
        None => Some(work.await),
    }
}

/// The prompt that a new session's agent was given.
async fn first_prompt(client: &Client, session: SessionId, agent: AgentId) -> Result<PromptId, Failure> {
    let mut after = Seq::ZERO;
    loop {
        let query = Query::EventsPage { session: Some(session), agent: Some(agent), after, before: None, limit: None };
        let QueryResult::Events { events, next, .. } = client.query(query).await?.result else {
            return Err(unexpected());
        };
        let joined = events.iter().find_map(|event| match &event.body {
            EventBody::AgentJoined(joined) if joined.agent == agent => Some(joined.prompt.as_ref()),
            _ => None,
        });
        if let Some(prompt) = joined {
            return prompt.map(|prompt| prompt.prompt).ok_or_else(unexpected);
        }
        match next {
            Some(next) => after = next,
            None => return Err(Failure::new(FAILURE, "the log does not say which prompt the agent was given")),
        }
    }
}

/// Starts another agent in a session.
pub(super) async fn spawn(
    context: &Context,
    reference: &str,
    parent: Option<&str>,
    provider: String,
    args: AgentArgs,
    prompt: Vec<String>,
) -> Result<u8, Failure> {
    let prompt = if prompt.is_empty() { None } else { Some(spec::words(&prompt)?) };
    let client = context.client().await?;
    let session = find(&client, reference).await?;
    let parent = parent.map(|parent| pick(&session, Some(parent)).map(|parent| parent.agent)).transpose()?;
    let directory = match session.workspace.clone() {
        Some(workspace) => workspace,
        None => run::directory(None)?,
    };
    let agent = Box::new(spec::spec(provider, args, directory, prompt, context.json));
    let answer = change(&client, Change::AgentSpawn { session: session.session, agent, parent }).await?;
    let CommandResult::AgentSpawned { agent, .. } = &answer.result else {
        return Err(unexpected());
    };
    context.print(&answer, |_| format!("{agent}\n"))
}
