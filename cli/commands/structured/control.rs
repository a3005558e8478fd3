//! `ropewalk cancel`, `ropewalk set`, and the end of one agent.

use std::time::Duration;

use ropewalk_protocol::{
    AgentId, AgentState, Code, Command as Change, EventBody, Rejection, SessionId, Stream, SubscribeAfter,
    SubscribeParams, limits,
};
use ropewalk_transport::client::{Client, SubscriptionItem};
use tokio::time::timeout;

use super::super::Context;
use super::reference::{Found, family, find_agent};
use super::{change, unexpected};
use crate::exit::{Failure, OK};
use crate::print;

/// What becomes of an agent whose turn is cancelled.
const fn cancelled(hard: bool) -> &'static str {
    if hard { "has its process ended, and its turn with it" } else { "is asked to end its turn" }
}

pub(super) async fn cancel(context: &Context, reference: &str, hard: bool) -> Result<u8, Failure> {
    apply(context, reference, cancelled(hard), |session, agent| Change::AgentCancel {
        session,
        agent,
        hard,
        turn: None,
    })
    .await
}

/// Cancels the turns of an agent and of all that work for it. Those that have none are passed over.
pub(super) async fn cancel_tree(context: &Context, reference: &str, hard: bool) -> Result<u8, Failure> {
    let client = context.client().await?;
    let found = find_agent(&client, reference).await?;
    let session = found.session.session;
    let mut count = 0;
    for (agent, view) in family(&found.session, found.agent.agent) {
        let agent = agent.agent;
        match change(&client, Change::AgentCancel { session, agent, hard, turn: None }).await {
            Ok(answer) if context.json => print::json(&answer)?,
            Ok(_) => print::talk(&format!("{} {}", print::plain(&view.name), cancelled(hard))),
            // It has no turn.
            Err(rejection) if rejection.code == Code::InputRefused => continue,
            Err(rejection) => return Err(rejection.into()),
        }
        count += 1;
    }
    if count == 0 {
        let message = format!("neither {} nor any agent that works for it has a turn to cancel", name(&found));
        return Err(Rejection::new(Code::InputRefused, message).hint("`ropewalk agents` shows what they do.").into());
    }
    Ok(OK)
}

pub(super) async fn hold(context: &Context, reference: &str) -> Result<u8, Failure> {
    apply(context, reference, "gets no prompts until it is released", |session, agent| Change::AgentHold {
        session,
        agent,
    })
    .await
}

pub(super) async fn release(context: &Context, reference: &str) -> Result<u8, Failure> {
    apply(context, reference, "goes on", |session, agent| Change::AgentRelease { session, agent }).await
}

pub(super) async fn set(
    context: &Context,
    reference: &str,
    model: Option<String>,
    mode: Option<String>,
) -> Result<u8, Failure> {
    apply(context, reference, "is set", |session, agent| Change::AgentSet { session, agent, model, mode }).await
}

async fn apply(
    context: &Context,
    reference: &str,
    done: &str,
    command: impl FnOnce(SessionId, AgentId) -> Change,
) -> Result<u8, Failure> {
    let client = context.client().await?;
    let found = find_agent(&client, reference).await?;
    let answer = change(&client, command(found.session.session, found.agent.agent)).await?;
    if context.json {
        print::json(&answer)?;
    } else {
        print::talk(&format!("{} {done}", name(&found)));
    }
    Ok(OK)
}

fn name(found: &Found) -> String {
    let name = found.agent.structured.as_ref().map(|view| view.name.clone());
    print::plain(&name.unwrap_or_else(|| found.agent.agent.to_string()))
}

/// Ends one agent of a session, and waits until it has ended.
pub(in super::super) async fn end(context: &Context, reference: &str) -> Result<u8, Failure> {
    let client = context.client().await?;
    let found = find_agent(&client, reference).await?;
    let (session, agent) = (found.session.session, found.agent.agent);
    let answer = change(&client, Change::AgentEnd { session, agent }).await?;
    let limit = Duration::from_millis(limits::END_WAIT_MILLIS_MAX);
    match timeout(limit, until_closed(&client, session, agent)).await {
        Ok(closed) => closed?,
        Err(_) => {
            let asked = format!("{} was asked to end and has not ended yet; the request stands", name(&found));
            let hint = format!("`ropewalk agents {}` says how it is.", found.session.session);
            return Err(Rejection::new(Code::Busy, asked).hint(hint).into());
        }
    }
    if context.json {
        print::json(&answer)?;
    } else {
        print::talk(&format!("{} ended", name(&found)));
    }
    Ok(OK)
}

async fn until_closed(client: &Client, session: SessionId, agent: AgentId) -> Result<(), Failure> {
    let params = SubscribeParams { session: Some(session), after: SubscribeAfter::SNAPSHOT, log: None, only: None };
    let (_, mut items) = client.subscribe(params).await?;
    while let Some(item) = items.recv().await {
        match item {
            SubscriptionItem::Snapshot { state, .. } => {
                let agents = state.sessions.iter().flat_map(|session| &session.agents);
                let view = agents.filter(|view| view.agent == agent).find_map(|view| view.structured.as_deref());
                if view.is_some_and(|view| view.status.state == AgentState::Closed) {
                    return Ok(());
                }
            }
            SubscriptionItem::Events(events) => {
                let is_end = |body: &EventBody| {
                    matches!(
                        body,
                        EventBody::AgentClosed(_) | EventBody::SessionEnded(_) | EventBody::SessionDeleted(_)
                    )
                };
                let ours = [Stream::Agent(session, agent), Stream::Session(session)];
                if events.iter().any(|event| ours.contains(&event.stream) && is_end(&event.body)) {
                    return Ok(());
                }
            }
            SubscriptionItem::Failed(rejection) => return Err(rejection.into()),
            SubscriptionItem::Live(_) | SubscriptionItem::Gap { .. } => {}
        }
    }
    Err(unexpected())
}
