//! What people read of structured agents.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    AgentId, AskKind, AskOption, Budget, Delivery, HoldReason, InteractionId, PromptId, Rule, Seq, SessionId, Spent,
    TerminalId, Timestamp, TurnId, TurnOutcome,
};

/// What a structured agent is doing, derived from facts in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AgentState {
    /// Its process was asked for and has not said yet that it takes prompts.
    Starting,
    /// It has a turn.
    Working,
    /// It has a turn, and waits for an answer from people.
    Waiting,
    /// It has a turn, no question is open, and it has said nothing for longer than `STALL_MILLIS`.
    Stalled,
    /// It takes prompts and has none.
    Idle,
    /// It has no turn, and is given none: it is held.
    Parked,
    /// Its process is gone. The next prompt starts it again.
    Stopped,
    /// It takes no more prompts.
    Closed,
}

impl AgentState {
    /// The state's stable name, as in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            AgentState::Starting => "starting",
            AgentState::Working => "working",
            AgentState::Waiting => "waiting",
            AgentState::Stalled => "stalled",
            AgentState::Idle => "idle",
            AgentState::Parked => "parked",
            AgentState::Stopped => "stopped",
            AgentState::Closed => "closed",
        }
    }
}

/// A state with the event that proves it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AgentStatus {
    /// The state.
    pub state: AgentState,
    /// Since when.
    pub since: Timestamp,
    /// The event that says so.
    pub evidence: Seq,
}

/// A structured agent, as lists show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StructuredView {
    /// What people call it.
    pub name: String,
    /// The agent that started it, if one did.
    pub parent: Option<AgentId>,
    /// What it is doing.
    pub status: AgentStatus,
    /// What it writes to its error output.
    pub errors: TerminalId,
    /// What the agent itself calls the conversation.
    pub conversation: Option<String>,
    /// The program's version, as it told.
    pub version: Option<String>,
    /// The model in use, or asked for.
    pub model: Option<String>,
    /// The mode it works in, or is asked to.
    pub mode: Option<String>,
    /// The open turn.
    pub turn: Option<TurnId>,
    /// That it is to end, if somebody wants it to.
    #[serde(default)]
    pub cancelling: Option<CancelView>,
    /// How the newest turn that is settled ended.
    pub last_turn: Option<SettledTurn>,
    /// Prompts that wait.
    pub queued: u32,
    /// Questions that are open.
    pub asks: u32,
    /// What it cost so far.
    pub usage: UsageTotal,
    /// What it may cost.
    #[serde(default)]
    pub budget: Budget,
    /// What counts of it against budgets.
    #[serde(default)]
    pub spent: Spent,
    /// Why it is given no prompts, if it is not.
    pub held: Option<HoldView>,
}

/// A turn that is to end and has not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CancelView {
    /// Since when.
    pub since: Timestamp,
    /// The agent's process is being ended for it.
    pub hard: bool,
    /// The event that says so.
    pub evidence: Seq,
}

/// What holds an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HoldView {
    /// Why.
    pub reason: HoldReason,
    /// Since when.
    pub since: Timestamp,
    /// When it goes on by itself.
    pub until: Option<Timestamp>,
    /// The event that says so, and before it those that it is concluded from.
    pub evidence: Vec<Seq>,
}

/// Budgets and rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PolicyView {
    /// The day, from midnight to midnight, UTC.
    pub day: DayView,
    /// Directories with rules.
    pub workspaces: Vec<WorkspaceView>,
    /// What the session's agents may cost together.
    pub budget: Budget,
    /// What they have.
    pub spent: Spent,
    /// The session's rules.
    pub rules: Vec<Rule>,
}

/// What agents cost in a day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DayView {
    /// What they may cost in each.
    pub budget: Budget,
    /// What they did today.
    pub spent: Spent,
}

/// A directory with rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WorkspaceView {
    /// It.
    pub directory: String,
    /// They.
    pub rules: Vec<Rule>,
}

/// A turn that is settled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SettledTurn {
    /// The turn.
    pub turn: TurnId,
    /// How it ended.
    pub outcome: TurnOutcome,
    /// The event that says so.
    pub evidence: Seq,
}

/// What an agent cost in all. What it does not tell is 0 or `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UsageTotal {
    /// Turns that are settled.
    pub turns: u64,
    /// Tokens the model read, those it had cached included.
    pub input_tokens: u64,
    /// Of those, cached.
    pub cached_tokens: u64,
    /// Tokens the model wrote.
    pub output_tokens: u64,
    /// Millionths of a US dollar, by the agent's own reckoning.
    pub cost_micro_usd: Option<u64>,
    /// Tokens that are in the model's context now.
    pub context_tokens: Option<u64>,
    /// Tokens that fit.
    pub context_tokens_max: Option<u64>,
}

/// A prompt that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PromptView {
    /// The prompt.
    pub prompt: PromptId,
    /// The event that has the whole text.
    pub seq: Seq,
    /// Since when it waits.
    pub at: Timestamp,
    /// When it is delivered.
    pub delivery: Delivery,
    /// Its beginning: at most 200 characters.
    pub preview: String,
    /// How many bytes it has in all.
    pub bytes: u64,
}

/// An open question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InteractionView {
    /// The interaction.
    pub interaction: InteractionId,
    /// The session.
    pub session: SessionId,
    /// The agent that asks.
    pub agent: AgentId,
    /// What people call it.
    pub name: String,
    /// The turn it holds up.
    pub turn: Option<TurnId>,
    /// What is asked for.
    pub kind: AskKind,
    /// What people read.
    pub title: String,
    /// What will be done, as JSON.
    pub detail: String,
    /// The ways to answer.
    pub options: Vec<AskOption>,
    /// When it was asked.
    pub at: Timestamp,
    /// The event that asked.
    pub seq: Seq,
    /// When it is answered by policy.
    pub expires: Option<Timestamp>,
}
