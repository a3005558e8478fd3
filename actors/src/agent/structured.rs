//! The rules of a structured agent: prompts wait in a queue, one turn at a time, every item and question gets an end.
//!
//! Whatever is decided is an event. What is to be written to the agent's process follows from events too, and has a number:
//! the holder writes each number once, so that after a crash all that is not known to be written is handed over again.

mod asking;
mod commands;
mod deciding;
mod ending;
mod life;
mod limited;
mod observing;
mod rounds;
mod ruled;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use ropewalk_protocol::{
    AgentId, AgentJoined, AgentTerms, Answer, AskKind, AskOption, Budget, Delivery, EventBody, Held, InteractionId,
    ItemId, OnAsk, PromptId, PromptQueued, Rejection, RunId, RunOutcome, SessionId, Spending, Timestamp, TurnId,
};
use serde::{Deserialize, Serialize};

use self::deciding::Deciding;
use self::life::Life;
use self::limited::{Limited, Warned};
use self::rounds::{Call, Rounds};
use crate::core::{Decision, Effect, Input, Moment};
use crate::providers::{self, Observed, Outgoing, Provider};

/// How many questions that are closed are remembered, to tell who comes late what became of them.
const CLOSED_ASKS_KEPT: usize = 128;

/// How many tools that have ended are remembered: sub-agents that work in the background are of one of them.
const ENDED_TOOLS_KEPT: usize = 32;

/// Something that a structured agent is asked or told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AgentInput {
    /// A client has a prompt for it.
    Prompt { text: String, delivery: Delivery },
    /// A client says something else in a prompt that waits.
    EditPrompt { prompt: PromptId, text: String },
    /// A client gives a prompt another place.
    MovePrompt { prompt: PromptId, before: Option<PromptId> },
    /// A client takes a prompt back.
    WithdrawPrompt { prompt: PromptId },
    /// A client wants the turn to end; at once, with the process, if `hard`. `turn`: this one and no other.
    Cancel { hard: bool, turn: Option<TurnId> },
    /// The turn was asked to end, and has had its time.
    CancelDue { run: RunId },
    /// A client answers.
    Answer { interaction: InteractionId, answer: Answer },
    /// A client wants another model or mode.
    Set { model: Option<String>, mode: Option<String> },
    /// A client wants it to end, or its session ends.
    Close,
    /// It wrote something, from one place in its output to another.
    Observed { run: RunId, seen: Vec<Seen>, to: Consumed },
    /// Its process is gone, and all that it wrote is taken in. `last_words`: the end of its error output.
    Gone { run: RunId, outcome: RunOutcome, offset: u64, last_words: String },
    /// Its process could not be started. `is_final`: nor will it be in a while.
    SpawnFailed { run: RunId, reason: String, is_final: bool },
    /// Its process runs.
    Started { run: RunId, pid: u32, start_ticks: u64 },
    /// A question was to be answered by now.
    AskDue { interaction: InteractionId },
    /// A client wants it to get no more prompts for now.
    Hold,
    /// A client wants it to go on.
    Release,
    /// A client bounds what it may cost.
    SetBudget { budget: Budget },
    /// What holds it may be over, or a budget may be spent by now.
    Reconsider,
}

impl AgentInput {
    /// Whether the agent asks for something, which rules may answer.
    pub(crate) fn asks(&self) -> bool {
        match self {
            AgentInput::Observed { seen, .. } => {
                seen.iter().any(|seen| matches!(seen.observed, Observed::Asked { .. }))
            }
            _ => false,
        }
    }
}

/// What was seen, and the line it was seen in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) observed: Observed,
    pub(crate) offset: u64,
    pub(crate) length: u64,
}

/// How far a run's output is taken in: up to a line, and so much of that line, in observations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Consumed {
    pub(crate) offset: u64,
    pub(crate) part: u32,
    /// The last write that the process has taken.
    pub(crate) written: u64,
}

/// What a structured agent decides on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Structured {
    provider: String,
    command: Vec<String>,
    directory: String,
    on_ask: OnAsk,
    model: Option<String>,
    mode: Option<String>,
    conversation: Option<String>,
    version: Option<String>,
    closing: bool,
    closed: bool,
    /// The newest run.
    life: Life,
    queue: VecDeque<PromptQueued>,
    turn: Option<Turn>,
    /// Prompts that went into turns, oldest first, of which the agent has not said whether it took them.
    steered: VecDeque<Steered>,
    /// Prompts that went into turns, in the order in which they were sent, as far as they are on their way or wait again.
    sent: Vec<PromptId>,
    items: Vec<OpenItem>,
    /// Tools that have ended, the newest last: what works for one may go on after it.
    ended_tools: VecDeque<(String, ItemId)>,
    asks: Vec<OpenAsk>,
    /// What became of questions that are closed, oldest first.
    closed_asks: VecDeque<(InteractionId, String)>,
    /// The newest question that a rule was applied to, and the rule.
    ruled: Option<(InteractionId, String)>,
    terms: AgentTerms,
    spending: Spending,
    /// Why it is given no prompts, if it is not.
    held: Option<Held>,
    /// What was told of budgets that run out.
    warned: Vec<Warned>,
    limited: Limited,
    rounds: Rounds,
    /// The newest turn, if it was taken for interrupted.
    interrupted: Option<TurnId>,
}

/// The open turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Turn {
    id: TurnId,
    /// The number of the write that carries the prompt; 0 for none.
    input: u64,
    confirmed: bool,
    /// What the agent itself calls it.
    name: Option<String>,
    cancelling: bool,
}

/// A prompt that is on its way into a turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Steered {
    prompt: PromptId,
    turn: TurnId,
    text: String,
}

/// An item that is not settled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct OpenItem {
    id: ItemId,
    key: String,
    /// What tool it calls, if it does.
    call: Option<Call>,
    /// Its whole text is being told: no more previews.
    is_told: bool,
    /// Somebody said that it may not be done.
    is_declined: bool,
}

/// A question that is open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OpenAsk {
    pub(crate) id: InteractionId,
    key: String,
    item: Option<ItemId>,
    kind: AskKind,
    options: Vec<AskOption>,
    /// Where the request lies in the run's output.
    offset: u64,
    length: u64,
    pub(crate) expires: Option<ropewalk_protocol::Timestamp>,
}

impl Structured {
    /// An agent that just joined its session.
    pub(super) fn joined(joined: &AgentJoined) -> Self {
        let AgentJoined { provider, command, directory, model, mode, on_ask, run, prompt, terms, .. } = joined.clone();
        let mut structured = Self {
            provider,
            command,
            directory,
            on_ask,
            model,
            mode,
            conversation: None,
            version: None,
            closing: false,
            closed: false,
            life: Life::new(&run, Outgoing::Greet { step: 0, greeting: Default::default() }),
            queue: prompt.into_iter().collect(),
            turn: None,
            steered: VecDeque::new(),
            sent: Vec::new(),
            items: Vec::new(),
            ended_tools: VecDeque::new(),
            asks: Vec::new(),
            closed_asks: VecDeque::new(),
            ruled: None,
            terms: *terms,
            spending: Spending::new(run.run),
            held: None,
            warned: Vec::new(),
            limited: Limited::default(),
            rounds: Rounds::default(),
            interrupted: None,
        };
        structured.life = Life::new(&run, structured.greet(0));
        structured
    }

    /// The provider. A log may name one that another build had.
    pub(crate) fn provider(&self) -> Option<&'static dyn Provider> {
        providers::named(&self.provider)
    }

    /// The directory it works in.
    pub(crate) fn directory(&self) -> &str {
        &self.directory
    }

    /// The newest run.
    pub(crate) fn life(&self) -> &Life {
        &self.life
    }

    /// When what it may do is to be looked at again.
    pub(crate) fn due(&self) -> impl Iterator<Item = Timestamp> {
        let held_until = self.held.as_ref().and_then(|held| held.until);
        held_until.into_iter().chain(self.time_is_up_at())
    }

    /// The questions that are open.
    pub(crate) fn asks(&self) -> &[OpenAsk] {
        &self.asks
    }

    /// Whether a turn is open.
    pub(crate) fn has_turn(&self) -> bool {
        self.turn.is_some()
    }

    /// Whether the agent was asked to end its turn and has not yet.
    pub(crate) fn is_cancelling(&self) -> bool {
        self.turn.as_ref().is_some_and(|turn| turn.cancelling)
    }

    /// Whether its process was to be ended, and may not have been.
    pub(crate) fn is_to_stop(&self) -> bool {
        self.life.is_open() && (self.closing || self.life.is_refused || self.life.is_ending)
    }

    fn greet(&self, step: u8) -> Outgoing {
        Outgoing::Greet { step, greeting: self.greeting() }
    }

    fn greeting(&self) -> providers::Greeting {
        providers::Greeting {
            directory: self.directory.clone(),
            resume: self.conversation.clone(),
            model: self.model.clone(),
            mode: self.mode.clone(),
            mcp: self.terms.mcp.then(Vec::new),
        }
    }

    /// Whether it is given an MCP server.
    pub(crate) fn has_mcp(&self) -> bool {
        self.terms.mcp
    }

    pub(super) fn decide(&self, input: &Input, moment: &Moment) -> Result<Decision, Rejection> {
        let Input::Agent(input) = input else { return Ok(Decision::nothing()) };
        let mut deciding = Deciding::on(self, moment);
        deciding.take(input)
    }

    pub(super) fn react(&self, session: SessionId, agent: AgentId, body: &EventBody) -> Vec<Effect> {
        let run = self.life.run;
        let mut effects: Vec<Effect> = self.write_of(body).into_iter().collect();
        let later = |at| Effect::Later { at, session, agent, input: AgentInput::Reconsider };
        match body {
            EventBody::RunAsked(asked) => effects.push(Effect::SpawnAgent {
                session,
                agent,
                provider: self.provider.clone(),
                directory: self.directory.clone(),
                run: asked.clone(),
                first: (1, self.greet(0)),
            }),
            // The state is that after all that was decided with it: the turn may be settled already.
            EventBody::CancelAsked(asked) if self.turn.as_ref().is_some_and(|turn| turn.id == asked.turn) => {
                effects.push(Effect::Insist { run });
            }
            EventBody::TurnEnded(_) => effects.push(Effect::TurnSettled { run }),
            EventBody::TurnStarted(_) | EventBody::AgentBudgetSet(_) => {
                effects.extend(self.time_is_up_at().map(later));
            }
            EventBody::Held(held) => effects.extend(held.until.map(later)),
            EventBody::Asked(asked) => effects.extend(asked.expires.map(|at| Effect::Later {
                at,
                session,
                agent,
                input: AgentInput::AskDue { interaction: asked.interaction },
            })),
            EventBody::AgentRefused(_) | EventBody::AgentCloseAsked(_) | EventBody::CancelInsisted(_) => {
                effects.push(Effect::Stop { runs: vec![run] });
            }
            EventBody::RunFailed(failed) => effects.push(Effect::RunSettled { run: failed.run }),
            EventBody::RunEnded(ended) => effects.push(Effect::RunSettled { run: ended.run }),
            EventBody::AgentClosed(_) => {
                effects.push(Effect::TellSession { session, event: body.clone() });
                effects.push(Effect::ForgetAgent { agent });
            }
            _ => {}
        }
        effects
    }

    /// What an event has to be written to the agent, if anything.
    fn write_of(&self, body: &EventBody) -> Option<Effect> {
        let number = match body {
            EventBody::AgentGreeted(greeted) => greeted.input,
            EventBody::TurnStarted(started) => started.input,
            EventBody::PromptSteered(steered) => steered.input,
            EventBody::CancelAsked(asked) => asked.input,
            EventBody::Answered(answered) => answered.input,
            EventBody::AskClosed(closed) => closed.input,
            EventBody::SettingsChanged(changed) => changed.input,
            _ => 0,
        };
        let outgoing = self.life.outgoing(number)?;
        Some(Effect::Write { run: self.life.run, number, outgoing: outgoing.clone() })
    }
}
