//! What events of structured agents say.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    AgentId, AgentTerms, Answer, AskEnd, AskKind, AskOption, Budget, BudgetUse, Delivery, HoldReason, InteractionId,
    ItemId, ItemKind, ItemStatus, NoticeKind, OnAsk, PromptId, Rule, RunId, TerminalId, Timestamp, TurnId, TurnOutcome,
    Usage,
};

/// A life of an agent's process that is to begin. The environment is not in it: it may hold secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunAsked {
    /// The run.
    pub run: RunId,
    /// The byte stream of what it writes.
    pub output: TerminalId,
    /// The byte stream of what it writes to its error output.
    pub errors: TerminalId,
    /// The program and its arguments.
    pub argv: Vec<String>,
}

/// A prompt that waits to be delivered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PromptQueued {
    /// The prompt.
    pub prompt: PromptId,
    /// What it says.
    pub text: String,
    /// When it is delivered.
    pub delivery: Delivery,
}

/// Payload of `session.agent_joined`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AgentJoined {
    /// The agent.
    pub agent: AgentId,
    /// Its provider: `claude`, `codex`, `opencode`, `acp` or `scripted`.
    pub provider: String,
    /// What people call it; unique in its session.
    pub name: String,
    /// The agent that started it, if one did.
    pub parent: Option<AgentId>,
    /// The program and its first arguments, where it is not the provider's usual one.
    pub command: Vec<String>,
    /// The absolute directory it works in.
    pub directory: String,
    /// The model it is to use.
    pub model: Option<String>,
    /// The mode it is to work in.
    pub mode: Option<String>,
    /// What becomes of its questions.
    pub on_ask: OnAsk,
    /// Its first run.
    pub run: RunAsked,
    /// Its first prompt.
    pub prompt: Option<PromptQueued>,
    /// What holds for it for as long as it is there.
    pub terms: Box<AgentTerms>,
}

/// Version 1 of the payload of `session.agent_joined`, which knew no terms.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct AgentJoinedV1 {
    agent: AgentId,
    provider: String,
    name: String,
    parent: Option<AgentId>,
    command: Vec<String>,
    directory: String,
    model: Option<String>,
    mode: Option<String>,
    on_ask: OnAsk,
    run: RunAsked,
    prompt: Option<PromptQueued>,
}

impl From<AgentJoinedV1> for AgentJoined {
    fn from(joined: AgentJoinedV1) -> Self {
        let AgentJoinedV1 { agent, provider, name, parent, command, directory, model, mode, on_ask, run, prompt } =
            joined;
        let terms = Box::default();
        Self { agent, provider, name, parent, command, directory, model, mode, on_ask, run, prompt, terms }
    }
}

/// Payload of `agent.ready`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AgentReady {
    /// The run.
    pub run: RunId,
    /// What the agent itself calls the conversation: by this it goes on in another run.
    pub conversation: Option<String>,
    /// The program's version, as it told.
    pub version: Option<String>,
    /// The model in use.
    pub model: Option<String>,
    /// The mode it works in.
    pub mode: Option<String>,
}

/// Payload of `agent.greeted`: a step of the greeting is to be written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AgentGreeted {
    /// The run.
    pub run: RunId,
    /// The step.
    pub step: u8,
    /// What the agent itself calls the conversation, once that is known.
    pub conversation: Option<String>,
    /// The number of the write that carries it.
    pub input: u64,
}

/// Payload of `agent.refused`: the agent will not work in this run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AgentRefused {
    /// The run.
    pub run: RunId,
    /// What it said.
    pub reason: String,
}

/// Payload of `agent.prompt_edited`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PromptEdited {
    /// The prompt.
    pub prompt: PromptId,
    /// What it says now.
    pub text: String,
}

/// Payload of `agent.prompt_moved`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PromptMoved {
    /// The prompt.
    pub prompt: PromptId,
    /// The one it stands before now; `None`: it is the last one.
    pub before: Option<PromptId>,
}

/// Payload of `agent.prompt_withdrawn`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PromptWithdrawn {
    /// The prompt.
    pub prompt: PromptId,
}

/// Payload of `agent.prompt_steered`: a prompt goes into the running turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PromptSteered {
    /// The turn.
    pub turn: TurnId,
    /// The prompt.
    pub prompt: PromptId,
    /// The number of the write that carries it.
    pub input: u64,
}

/// Payload of `agent.prompt_taken`: the agent showed that it has a prompt that was to go into its turn. One that it did not take
/// is queued again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PromptTaken {
    /// The turn.
    pub turn: TurnId,
    /// The prompt.
    pub prompt: PromptId,
}

/// Payload of `agent.turn_started`: a prompt is given to the agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TurnStarted {
    /// The turn.
    pub turn: TurnId,
    /// The prompt; `None` for a turn that the agent began by itself.
    pub prompt: Option<PromptId>,
    /// The run.
    pub run: RunId,
    /// The number of the write that carries the prompt; 0 for none.
    pub input: u64,
}

/// Payload of `agent.turn_confirmed`: the agent showed that it has the prompt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TurnConfirmed {
    /// The turn.
    pub turn: TurnId,
    /// What the agent itself calls it.
    pub name: Option<String>,
}

/// Payload of `agent.cancel_asked`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CancelAsked {
    /// The turn.
    pub turn: TurnId,
    /// Why, in a sentence.
    pub reason: String,
    /// The number of the write that asks the agent; 0 for none.
    pub input: u64,
}

/// Payload of `agent.cancel_insisted`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CancelInsisted {
    /// The turn.
    pub turn: TurnId,
}

/// Payload of `agent.turn_ended`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TurnEnded {
    /// The turn.
    pub turn: TurnId,
    /// How.
    pub outcome: TurnOutcome,
}

/// Payload of `agent.item_started`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ItemStarted {
    /// The item.
    pub item: ItemId,
    /// What the agent itself calls it.
    pub key: String,
    /// Its turn; `None` for what an agent does between turns.
    pub turn: Option<TurnId>,
    /// The tool call it is part of, for what a sub-agent does.
    pub parent: Option<ItemId>,
    /// What it is.
    pub kind: ItemKind,
    /// What people read: a tool's name and what it is for. Empty for text.
    pub title: String,
    /// What a tool was called with, as JSON, or as much of it as there is room for.
    pub input: String,
}

/// Payload of `agent.item_changed`: the agent told more of an item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ItemChanged {
    /// The item.
    pub item: ItemId,
    /// Its title now.
    pub title: String,
    /// Its input now.
    pub input: String,
}

/// Payload of `agent.item_delta`: a preview of an item's text. What settles it takes its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ItemDelta {
    /// The item.
    pub item: ItemId,
    /// More of its text.
    pub text: String,
}

/// Payload of `agent.item_text`: a piece of an item's whole text, in order. The first one takes the place of all deltas.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ItemText {
    /// The item.
    pub item: ItemId,
    /// It is the first piece.
    pub first: bool,
    /// The piece.
    pub text: String,
}

/// Payload of `agent.item_ended`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ItemEnded {
    /// The item.
    pub item: ItemId,
    /// How.
    pub status: ItemStatus,
}

/// Payload of `agent.asked`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Asked {
    /// The interaction.
    pub interaction: InteractionId,
    /// What the agent itself calls it.
    pub key: String,
    /// The turn it holds up.
    pub turn: Option<TurnId>,
    /// The tool call it is about.
    pub item: Option<ItemId>,
    /// What is asked for.
    pub kind: AskKind,
    /// What people read.
    pub title: String,
    /// What will be done, as JSON, in full or as much as there is room for.
    pub detail: String,
    /// The ways to answer, as the agent gave them.
    pub options: Vec<AskOption>,
    /// When it is answered by policy.
    pub expires: Option<Timestamp>,
    /// Where the request lies in the run's output: the offset of its first byte.
    pub offset: u64,
    /// How many bytes it has.
    pub length: u64,
}

/// Payload of `agent.answered`. Its cause says who.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Answered {
    /// The interaction.
    pub interaction: InteractionId,
    /// The answer.
    pub answer: Answer,
    /// The number of the write that carries it.
    pub input: u64,
}

/// Payload of `agent.ask_closed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AskClosed {
    /// The interaction.
    pub interaction: InteractionId,
    /// Why.
    pub reason: AskEnd,
    /// The number of the write that tells the agent; 0 for none.
    pub input: u64,
}

/// Payload of `agent.used`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Used {
    /// The turn.
    pub turn: Option<TurnId>,
    /// The count.
    pub usage: Usage,
}

/// Payload of `agent.noticed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Noticed {
    /// What kind of thing.
    pub kind: NoticeKind,
    /// What the agent said.
    pub text: String,
    /// When it goes on, if it told.
    pub until: Option<Timestamp>,
}

/// Payload of `agent.output_consumed`: the events before this one, in the same batch, tell what the agent wrote up to here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OutputConsumed {
    /// The run.
    pub run: RunId,
    /// The offset of the first line that is not taken in, or not wholly.
    pub offset: u64,
    /// How much of that line is taken in, in observations.
    pub part: u32,
    /// The last write that the agent's process has taken.
    pub written: u64,
}

/// Payload of `agent.settings_changed`: asked for, not yet confirmed by the agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SettingsChanged {
    /// The model it is to use from now on.
    pub model: Option<String>,
    /// The mode it is to work in from now on.
    pub mode: Option<String>,
    /// The number of the write that asks the agent; 0 for none.
    pub input: u64,
}

/// Payload of `agent.close_asked`: it is to take no more prompts, and to end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AgentCloseAsked {}

/// Payload of `agent.closed`: it takes no more prompts, and nothing of it runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AgentClosed {
    /// Why, in a sentence.
    pub reason: String,
}

/// Payload of `agent.budget_set`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AgentBudgetSet {
    /// What it may cost.
    pub budget: Budget,
}

/// Payload of `agent.held`: it is given no prompts. What it was held for before counts no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Held {
    /// Why.
    pub reason: HoldReason,
    /// When it goes on by itself; `None`: somebody has to say so.
    pub until: Option<Timestamp>,
}

/// Payload of `agent.released`: it is given prompts again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Released {}

/// Payload of `agent.budget_warned`: a budget runs out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BudgetWarned {
    /// Which, and how far it is.
    pub budget: BudgetUse,
}

/// Payload of `agent.looped`: it called the same tool in the same way again and again, and always got the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Looped {
    /// The calls, oldest first.
    pub items: Vec<ItemId>,
    /// What people read of the call.
    pub title: String,
}

/// Payload of `agent.rule_applied`: the answer to a question that follows, or that nobody but people may answer it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RuleApplied {
    /// The question.
    pub interaction: InteractionId,
    /// The rule.
    pub rule: Rule,
}

/// Payload of `agent.turn_settled`: how a turn really ended that was taken for interrupted, by the agent's own record of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TurnSettled {
    /// The turn.
    pub turn: TurnId,
    /// How it ended.
    pub outcome: TurnOutcome,
}
