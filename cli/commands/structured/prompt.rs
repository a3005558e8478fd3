//! `ropewalk prompt`.

use std::time::Instant;

use ropewalk_protocol::{
    AgentState, Code, Command as Change, CommandAnswer, CommandResult, Delivery, Rejection, Seq, StructuredView,
};

use super::super::{Context, find};
use super::clocks::Clocks;
use super::cost::Counts;
use super::reference::{Found, find_agent, structured};
use super::settled::{Ended, Known, Outcome};
use super::start::{finish, within};
use super::story::Story;
use super::watch::{self, How};
use super::{change, spec, unexpected};
use crate::args::FollowArgs;
use crate::exit::{Failure, OK};
use crate::print;

/// A prompt to give.
pub(super) struct Given {
    pub(super) reference: String,
    pub(super) text: Vec<String>,
    pub(super) delivery: Delivery,
    pub(super) follow: bool,
    pub(super) limits: FollowArgs,
}

pub(super) const fn delivery(steer: bool, interrupt: bool) -> Delivery {
    match (steer, interrupt) {
        (true, _) => Delivery::Steer,
        (_, true) => Delivery::Interrupt,
        _ => Delivery::AfterTurn,
    }
}

pub(super) async fn prompt(context: &Context, given: Given) -> Result<u8, Failure> {
    let began = Instant::now();
    let mut known = Known::default();
    let follow = given.follow;
    match give(context, given, began, &mut known).await {
        Ok(None) => Ok(OK),
        Err(failure) if !follow => Err(failure),
        Ok(Some(ended)) => finish(context, &known, Ok(ended)),
        Err(failure) => finish(context, &known, Err(failure)),
    }
}

/// Gives every agent of a session that is not ended the same prompt.
pub(super) async fn prompt_all(
    context: &Context,
    reference: &str,
    text: &[String],
    delivery: Delivery,
) -> Result<u8, Failure> {
    let text = spec::words(text)?;
    let client = context.client().await?;
    let view = find(&client, reference).await?;
    let session = view.session;
    let open = |view: &StructuredView| view.status.state != AgentState::Closed;
    let agents: Vec<_> = structured(&view).filter(|(_, view)| open(view)).collect();
    if agents.is_empty() {
        let hint = format!("`ropewalk spawn {reference} --provider …` starts one.");
        return Err(Rejection::not_found("structured agent that takes prompts").hint(hint).into());
    }
    let mut refused = None;
    for (agent, known) in agents {
        let (agent, environment) = (agent.agent, spec::environment_of_agents());
        let command = Change::AgentPrompt { session, agent, text: text.clone(), delivery, environment };
        match change(&client, command).await {
            Ok(answer) if context.json => print::json(&answer)?,
            Ok(CommandAnswer { result: CommandResult::PromptQueued { prompt }, .. }) => {
                print::line(&format!("{prompt}  {}", print::plain(&known.name)));
            }
            Ok(_) => return Err(unexpected()),
            // It ends just now.
            Err(rejection) if rejection.code == Code::AlreadyEnded => {}
            Err(rejection) => {
                print::talk(&format!("{} does not have it: {}", print::plain(&known.name), rejection.message));
                refused = refused.or(Some(rejection));
            }
        }
    }
    refused.map_or(Ok(OK), |rejection| Err(rejection.into()))
}

async fn give(context: &Context, given: Given, began: Instant, known: &mut Known) -> Result<Option<Ended>, Failure> {
    let text = spec::words(&given.text)?;
    let client = context.client().await?;
    let Found { session, agent } = find_agent(&client, &given.reference).await?;
    let turn_before = agent.structured.as_ref().and_then(|view| view.last_turn.as_ref()).map(|turn| turn.evidence);
    let held = agent.structured.as_ref().and_then(|view| view.held.as_ref()).map(|held| held.reason.clone());
    // What follows this place is all that can be of the new turn; a running one that the prompt goes into began earlier.
    let before = match given.delivery {
        Delivery::Steer => turn_before.unwrap_or(Seq::ZERO),
        Delivery::AfterTurn | Delivery::Interrupt => session.last_seq,
    };
    let (session, agent, shown_after) = (session.session, agent.agent, session.last_seq);
    (known.session, known.agent) = (Some(session), Some(agent));
    let environment = spec::environment_of_agents();
    let command = Change::AgentPrompt { session, agent, text, delivery: given.delivery, environment };
    let Some(answer) = within(given.limits.timeout, began, change(&client, command)).await else {
        return Ok(Some(Ended::new(Outcome::Timeout, "the daemon has not answered; the prompt may have been queued")));
    };
    let answer = answer?;
    let CommandResult::PromptQueued { prompt } = answer.result else {
        return Err(unexpected());
    };
    if !given.follow {
        if context.json {
            print::json(&answer)?;
        } else {
            print::line(&prompt.to_string());
        }
        return Ok(None);
    }
    let mut story = Story::new(session, agent, prompt, Counts::default());
    if let Some(reason) = held {
        story.was_held(reason);
    }
    let clocks = Clocks::new(given.limits.timeout, given.limits.idle_timeout, began, Instant::now());
    let how = How { json: context.json, shown_after, interactive: spec::is_interactive(context.json), clocks };
    let ended = watch::follow(&client, &mut story, before, how).await;
    *known = story.known();
    ended.map(Some)
}
