//! `ropewalk transcript`: a fold of the session's events, page by page. What is settled is printed and let go.

mod page;

use ropewalk_projections::transcript::{Transcript, Turn, markdown};
use ropewalk_protocol::{AgentId, Seq, SubscribeAfter, SubscribeParams};
use ropewalk_transport::client::SubscriptionItem;
use serde::Serialize;

use super::super::{Context, find};
use super::reference::{pick, split};
use crate::exit::{DAMAGED, Failure, OK};
use crate::print;

/// A turn, and whose it is.
#[derive(Serialize)]
struct Line<'a> {
    agent: AgentId,
    name: &'a str,
    #[serde(flatten)]
    turn: &'a Turn,
}

pub(super) async fn transcript(context: &Context, reference: &str, as_markdown: bool) -> Result<u8, Failure> {
    let client = context.client().await?;
    let (session, agent) = split(reference);
    let session = find(&client, session).await?;
    let only = match agent {
        Some(agent) => Some(pick(&session, Some(agent))?.agent),
        None => None,
    };
    let form = match (context.json, as_markdown) {
        (true, _) => Form::Json,
        (_, true) => Form::Markdown,
        _ => Form::Text,
    };
    let params = SubscribeParams {
        session: Some(session.session),
        after: SubscribeAfter::Seq(Seq::ZERO),
        log: None,
        only: None,
    };
    let (_, mut items) = client.subscribe(params).await?;
    let mut transcript = Transcript::default();
    let mut is_damaged = false;
    while let Some(item) = items.recv().await {
        match item {
            SubscriptionItem::Events(events) => {
                events.iter().for_each(|event| transcript.apply(event));
                let settled = transcript.take_settled();
                show(&transcript, settled.iter().map(|(agent, turn)| (*agent, turn)), only, form)?;
            }
            SubscriptionItem::Gap { from, to, .. } => {
                print::talk(&format!("events {from} to {to} cannot be read"));
                is_damaged = true;
            }
            SubscriptionItem::Live(_) => break,
            SubscriptionItem::Failed(rejection) => return Err(rejection.into()),
            SubscriptionItem::Snapshot { .. } => {}
        }
    }
    let mut open: Vec<(AgentId, &Turn)> =
        transcript.talks().flat_map(|talk| talk.turns.iter().map(|turn| (talk.agent, turn))).collect();
    open.sort_by_key(|(_, turn)| turn.seq);
    show(&transcript, open.into_iter(), only, form)?;
    Ok(if is_damaged { DAMAGED } else { OK })
}

#[derive(Clone, Copy)]
enum Form {
    Text,
    Markdown,
    Json,
}

fn show<'a>(
    transcript: &Transcript,
    turns: impl Iterator<Item = (AgentId, &'a Turn)>,
    only: Option<AgentId>,
    form: Form,
) -> Result<(), Failure> {
    for (agent, turn) in turns.filter(|(agent, _)| only.is_none_or(|only| only == *agent)) {
        let name = transcript.talk(agent).map_or("", |talk| talk.name.as_str());
        match form {
            Form::Json => print::json(&Line { agent, name, turn })?,
            Form::Markdown => print::line(&print::plain(&format!("# {name}\n\n{}", markdown(turn)))),
            Form::Text => print::line(&print::plain(&page::page(name, turn))),
        }
    }
    Ok(())
}
