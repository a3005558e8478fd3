//! Structured agents: prompts, turns, questions, and what they cost.

mod agents;
mod answer;
mod asking;
mod asks;
mod budgets;
mod clocks;
mod closed_asks;
mod control;
mod cost;
mod prompt;
mod queue;
mod reference;
mod rules;
mod settled;
mod spec;
mod start;
mod story;
mod text;
mod transcript;
mod usage;
mod watch;

use super::{Context, change, unexpected};
use crate::args::AgentCommand;
use crate::exit::Failure;

pub(super) use self::control::end;
pub(super) use self::reference::pick;
pub(super) use self::start::{Start, start};

/// Runs a subcommand.
pub(super) async fn command(context: &Context, command: AgentCommand) -> Result<u8, Failure> {
    match command {
        AgentCommand::Prompt { reference, text, steer, interrupt, all: true, .. } => {
            prompt::prompt_all(context, &reference, &text, prompt::delivery(steer, interrupt)).await
        }
        AgentCommand::Prompt { reference, text, steer, interrupt, follow, limits, all: false } => {
            let delivery = prompt::delivery(steer, interrupt);
            prompt::prompt(context, prompt::Given { reference, text, delivery, follow, limits }).await
        }
        AgentCommand::Queue { reference, command } => queue::queue(context, &reference, command).await,
        AgentCommand::Agents { reference } => agents::agents(context, &reference).await,
        AgentCommand::Spawn { reference, provider, parent, spec, prompt } => {
            start::spawn(context, &reference, parent.as_deref(), provider, spec, prompt).await
        }
        AgentCommand::Asks { reference } => asks::asks(context, reference.as_deref()).await,
        AgentCommand::Answer { id, words } => asks::answer(context, &id, &words).await,
        AgentCommand::Cancel { reference, tree: false, hard } => control::cancel(context, &reference, hard).await,
        AgentCommand::Cancel { reference, tree: true, hard } => control::cancel_tree(context, &reference, hard).await,
        AgentCommand::Transcript { reference, markdown } => transcript::transcript(context, &reference, markdown).await,
        AgentCommand::Usage { reference } => usage::usage(context, reference.as_deref()).await,
        AgentCommand::Hold { reference } => control::hold(context, &reference).await,
        AgentCommand::Release { reference } => control::release(context, &reference).await,
        AgentCommand::Budget { reference, budget, clear } => {
            budgets::budget(context, reference.as_deref(), budget.budget(), clear).await
        }
        AgentCommand::Rules { session, workspace, command } => {
            rules::rules(context, session.as_deref(), workspace, command).await
        }
        AgentCommand::Set { reference, model, mode } => control::set(context, &reference, model, mode).await,
    }
}
