//! The vocabulary of structured agents: what every provider's dialect is turned into.

mod budget;
mod queue;
mod rule;
mod spending;
mod usage;

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Code, Program, Rejection, limits};

pub use budget::{
    AgentTerms, BUDGET_WARN_PERCENT, Budget, BudgetOwner, BudgetScope, BudgetUse, HoldReason, Measure, OnLimit, OnLoop,
    Spent,
};
pub(crate) use rule::check_rules;
pub use rule::{Rule, RuleAction, RuleEffect, RulesOwner};
pub use spending::{Spending, day_of, is_another_day, next_day};
pub use usage::UsageCount;

/// What an item of a turn is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ItemKind {
    /// What the agent says.
    Text,
    /// What it thinks, as far as it tells.
    Thinking,
    /// A tool it calls; the item's text is the tool's output.
    Tool,
    /// What it plans to do.
    Plan,
    /// A change of files; the item's text is the difference, as far as the agent tells it.
    FileChange,
    /// Something that this build does not know, as the agent sent it.
    Opaque,
}

/// How an item ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ItemStatus {
    /// As it should.
    Completed,
    /// The tool, or the agent, failed.
    Failed,
    /// It was not allowed.
    Declined,
    /// The turn was cancelled.
    Cancelled,
    /// The turn or the process ended, and the agent never said how the item did.
    Orphaned,
}

/// How a turn ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TurnOutcome {
    /// The agent was done.
    Completed,
    /// Somebody cancelled it.
    Cancelled,
    /// The agent, or its model, gave up.
    Failed {
        /// What the agent said.
        reason: String,
    },
    /// Nobody knows how far it went. It is never sent again by itself.
    Interrupted {
        /// What is known.
        reason: String,
    },
}

impl fmt::Display for TurnOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TurnOutcome::Completed => f.write_str("completed"),
            TurnOutcome::Cancelled => f.write_str("cancelled"),
            TurnOutcome::Failed { reason } => write!(f, "failed: {reason}"),
            TurnOutcome::Interrupted { reason } => write!(f, "interrupted: {reason}"),
        }
    }
}

/// When a prompt is delivered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// As a turn of its own, once those before it have ended.
    #[default]
    AfterTurn,
    /// Into the running turn, where the agent can; else as `after_turn`, before the others.
    Steer,
    /// As a turn of its own, at once: the running turn is cancelled.
    Interrupt,
}

/// What an agent asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AskKind {
    /// Whether it may do something.
    Permission,
    /// Which of the options.
    Choice,
    /// Anything: the answer is text.
    Question,
}

/// What choosing an option does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AskEffect {
    /// It may do it, this once.
    Allow,
    /// It may do it, and what is like it, from now on.
    AllowAlways,
    /// It may not.
    Deny,
    /// It may not, nor what is like it, from now on.
    DenyAlways,
    /// Something else: the option's name says what.
    Other,
}

/// One way to answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AskOption {
    /// What the agent calls it.
    pub id: String,
    /// What people read.
    pub name: String,
    /// What it does.
    pub effect: AskEffect,
}

/// An answer to an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// It may.
    Allow {
        /// And what is like it, from now on.
        always: bool,
    },
    /// It may not.
    Deny {
        /// Why, for the agent to read.
        reason: Option<String>,
    },
    /// This option.
    Choose {
        /// The option's id.
        option: String,
    },
    /// This text.
    Text {
        /// It.
        text: String,
    },
}

/// Why a question was closed without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AskEnd {
    /// Nobody answered in time. What the policy says was told to the agent.
    Expired,
    /// The agent took it back, or its turn was cancelled.
    Cancelled,
    /// The agent's process is gone.
    AgentGone,
}

/// What becomes of a question that nobody is there to answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnAsk {
    /// It waits for as long as it takes.
    #[default]
    Wait,
    /// It waits for so long, then it is denied.
    WaitMillis(u64),
    /// It is denied at once.
    Deny,
    /// The turn is cancelled.
    Fail,
}

/// What a count of usage is a count of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UsageScope {
    /// The turn. Later counts of the same turn replace earlier ones.
    Turn,
    /// One call of the model. Counts of the same turn add up.
    Call,
    /// The run of the process so far. Later counts of the same run replace earlier ones.
    Run,
    /// The agent's whole history. Later counts replace earlier ones.
    Total,
}

/// What something cost. What the agent does not tell is 0 or `None`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Usage {
    /// What is counted.
    pub scope: UsageScope,
    /// Tokens the model read, those it had cached included.
    pub input_tokens: u64,
    /// Of those, cached.
    pub cached_tokens: u64,
    /// Tokens the model wrote, thinking included.
    pub output_tokens: u64,
    /// Millionths of a US dollar, by the agent's own reckoning.
    pub cost_micro_usd: Option<u64>,
    /// Tokens that are in the model's context now.
    pub context_tokens: Option<u64>,
    /// Tokens that fit.
    pub context_tokens_max: Option<u64>,
}

/// What an agent says beside its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NoticeKind {
    /// The model's server failed, and the agent tries again.
    Retry,
    /// The model's server refuses more for now.
    RateLimited,
    /// Something may be wrong.
    Warning,
    /// Something that this build does not know, as the agent sent it.
    Opaque,
}

/// A structured agent to start. The environment is passed on and never stored.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AgentSpec {
    /// Its provider: `claude`, `codex`, `opencode`, `acp` or `scripted`.
    pub provider: String,
    /// What people call it; unique in its session.
    #[serde(default)]
    pub name: Option<String>,
    /// The program and its first arguments, where it is not the provider's usual one. For `acp`: the whole command.
    #[serde(default)]
    pub command: Vec<String>,
    /// The absolute directory it works in.
    pub directory: String,
    /// The whole environment.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// The model, by the agent's own name for it.
    #[serde(default)]
    pub model: Option<String>,
    /// The mode, by the agent's own name for it.
    #[serde(default)]
    pub mode: Option<String>,
    /// What becomes of questions.
    #[serde(default)]
    pub on_ask: OnAsk,
    /// The first prompt.
    #[serde(default)]
    pub prompt: Option<String>,
    /// What holds for it for as long as it is there.
    #[serde(default)]
    pub terms: AgentTerms,
}

impl AgentSpec {
    /// The program it amounts to, without the provider's own arguments.
    fn program(&self) -> Program {
        let argv = if self.command.is_empty() { vec![self.provider.clone()] } else { self.command.clone() };
        Program { argv, directory: self.directory.clone(), environment: self.environment.clone() }
    }

    /// Checks every bound that needs no state.
    ///
    /// # Errors
    /// `invalid_params` or `too_large`, naming the field.
    pub fn check(&self) -> Result<(), Rejection> {
        for (what, text) in [
            ("agent.provider", Some(&self.provider)),
            ("agent.name", self.name.as_ref()),
            ("agent.model", self.model.as_ref()),
            ("agent.mode", self.mode.as_ref()),
        ] {
            text.map_or(Ok(()), |text| check_word(what, text))?;
        }
        self.program().check()?;
        let command_bytes = self.command.iter().map(|argument| argument.len() + 4).sum();
        if command_bytes > limits::AGENT_COMMAND_BYTES_MAX {
            return Err(Rejection::too_large("agent.command", command_bytes, limits::AGENT_COMMAND_BYTES_MAX));
        }
        self.prompt.as_deref().map_or(Ok(()), check_prompt)
    }
}

impl fmt::Debug for AgentSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AgentSpec")
            .field("provider", &self.provider)
            .field("name", &self.name)
            .field("command", &self.command)
            .field("directory", &self.directory)
            .field("environment", &format_args!("[{} names]", self.environment.len()))
            .field("model", &self.model)
            .field("mode", &self.mode)
            .field("on_ask", &self.on_ask)
            .field("prompt", &self.prompt)
            .field("terms", &self.terms)
            .finish()
    }
}

/// Checks a name of something of an agent's: one line, not empty, not long.
///
/// # Errors
/// `invalid_params`, naming the field.
pub(crate) fn check_word(what: &str, text: &str) -> Result<(), Rejection> {
    if text.is_empty() || text.len() > limits::AGENT_WORD_BYTES_MAX || text.chars().any(char::is_control) {
        let max = limits::AGENT_WORD_BYTES_MAX;
        return Err(Rejection::invalid(format!("{what} must be one line of 1 to {max} bytes")));
    }
    Ok(())
}

/// Checks a prompt.
///
/// # Errors
/// `invalid_params` or `too_large`.
pub(crate) fn check_prompt(text: &str) -> Result<(), Rejection> {
    if text.trim().is_empty() {
        return Err(Rejection::invalid("the prompt is empty"));
    }
    if text.len() > limits::PROMPT_BYTES_MAX {
        let hint = "Put it into a file and let the prompt name the file.";
        return Err(Rejection::too_large("the prompt", text.len(), limits::PROMPT_BYTES_MAX).hint(hint));
    }
    Ok(())
}

impl Answer {
    /// Checks every bound that needs no state.
    ///
    /// # Errors
    /// `too_large`.
    pub fn check(&self) -> Result<(), Rejection> {
        let text = match self {
            Answer::Allow { .. } | Answer::Deny { reason: None } => return Ok(()),
            Answer::Deny { reason: Some(text) } | Answer::Choose { option: text } | Answer::Text { text } => text,
        };
        if text.len() > limits::ANSWER_BYTES_MAX {
            return Err(Rejection::new(
                Code::TooLarge,
                format!("the answer is {} bytes; {} are allowed", text.len(), limits::ANSWER_BYTES_MAX),
            ));
        }
        Ok(())
    }
}
