//! What a client may ask to be done. A command changes something, durably and once.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use std::collections::BTreeMap;

use crate::agent::{check_prompt, check_rules, check_word};
use crate::{
    AgentId, AgentSpec, Answer, Budget, BudgetOwner, Delivery, InteractionId, Program, PromptId, Rejection, Rule,
    RulesOwner, SessionId, Size, TerminalId, TurnId, limits,
};

/// A change a client asks for. In JSON: `{"type": "session.create", …}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type")]
pub enum Command {
    /// Creates a session and, if a program is named, runs it in a terminal.
    #[serde(rename = "session.create")]
    SessionCreate {
        /// A name people use for it; unique among sessions that are not deleted.
        #[serde(default)]
        name: Option<String>,
        /// The absolute directory the session works in.
        #[serde(default)]
        workspace: Option<String>,
        /// The program to run.
        #[serde(default)]
        program: Option<Program>,
        /// The size of the program's terminal.
        #[serde(default)]
        size: Option<Size>,
        /// The structured agent to start, instead of a program.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        agent: Option<Box<AgentSpec>>,
    },
    /// Gives a session another name.
    #[serde(rename = "session.rename")]
    SessionRename {
        /// The session.
        session: SessionId,
        /// Its new name.
        name: String,
    },
    /// Writes a remark into a session's history.
    #[serde(rename = "session.annotate")]
    SessionAnnotate {
        /// The session.
        session: SessionId,
        /// The remark, at most 32 KiB.
        text: String,
    },
    /// Ends a session: its programs are asked to stop, then made to.
    #[serde(rename = "session.end")]
    SessionEnd {
        /// The session.
        session: SessionId,
    },
    /// Takes an ended session out of every list. Its history stays in the log.
    #[serde(rename = "session.delete")]
    SessionDelete {
        /// The session.
        session: SessionId,
    },
    /// Gives a terminal another size.
    #[serde(rename = "terminal.resize")]
    TerminalResize {
        /// The terminal's session.
        session: SessionId,
        /// The terminal.
        terminal: TerminalId,
        /// Its new size.
        size: Size,
    },
    /// Starts another structured agent in a session.
    #[serde(rename = "agent.spawn")]
    AgentSpawn {
        /// The session.
        session: SessionId,
        /// The agent.
        agent: Box<AgentSpec>,
        /// The agent that starts it, if one does.
        #[serde(default)]
        parent: Option<AgentId>,
    },
    /// Gives an agent a prompt: it is queued, and delivered once.
    #[serde(rename = "agent.prompt")]
    AgentPrompt {
        /// The session.
        session: SessionId,
        /// The agent.
        agent: AgentId,
        /// What it says.
        text: String,
        /// When it is delivered.
        #[serde(default)]
        delivery: Delivery,
        /// The whole environment, for the case that the agent's program must be started again. It is never stored.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        environment: BTreeMap<String, String>,
    },
    /// Says something else in a prompt that waits.
    #[serde(rename = "prompt.edit")]
    PromptEdit {
        /// The session.
        session: SessionId,
        /// The agent.
        agent: AgentId,
        /// The prompt.
        prompt: PromptId,
        /// What it says now.
        text: String,
    },
    /// Gives a prompt that waits another place.
    #[serde(rename = "prompt.move")]
    PromptMove {
        /// The session.
        session: SessionId,
        /// The agent.
        agent: AgentId,
        /// The prompt.
        prompt: PromptId,
        /// The one it is to stand before; none: it becomes the last one.
        #[serde(default)]
        before: Option<PromptId>,
    },
    /// Takes a prompt back that waits.
    #[serde(rename = "prompt.withdraw")]
    PromptWithdraw {
        /// The session.
        session: SessionId,
        /// The agent.
        agent: AgentId,
        /// The prompt.
        prompt: PromptId,
    },
    /// Ends the running turn: the agent is asked, then made to.
    #[serde(rename = "agent.cancel")]
    AgentCancel {
        /// The session.
        session: SessionId,
        /// The agent.
        agent: AgentId,
        /// Do not wait until it ends the turn by itself: end its process. The next prompt starts it again.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        hard: bool,
        /// The turn that is meant: if another one runs by now, the command is refused. None: whichever runs.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        turn: Option<TurnId>,
    },
    /// Answers an agent's question. The first answer counts.
    #[serde(rename = "interaction.answer")]
    InteractionAnswer {
        /// The session.
        session: SessionId,
        /// The agent.
        agent: AgentId,
        /// The question.
        interaction: InteractionId,
        /// The answer.
        answer: Answer,
    },
    /// Has an agent use another model or mode.
    #[serde(rename = "agent.set")]
    AgentSet {
        /// The session.
        session: SessionId,
        /// The agent.
        agent: AgentId,
        /// The model, by the agent's own name for it.
        #[serde(default)]
        model: Option<String>,
        /// The mode, by the agent's own name for it.
        #[serde(default)]
        mode: Option<String>,
    },
    /// Holds an agent: it is given no prompts until it is released. A turn that it has goes on.
    #[serde(rename = "agent.hold")]
    AgentHold {
        /// The session.
        session: SessionId,
        /// The agent.
        agent: AgentId,
    },
    /// Lets an agent go on that is held, whatever for. What is spent stays spent: see `budget.set`.
    #[serde(rename = "agent.release")]
    AgentRelease {
        /// The session.
        session: SessionId,
        /// The agent.
        agent: AgentId,
    },
    /// Bounds what an agent, a session or each day may cost. The new budget takes the place of the one before.
    #[serde(rename = "budget.set")]
    BudgetSet {
        /// Whose budget.
        of: BudgetOwner,
        /// It; with nothing in it nothing is bounded.
        budget: Budget,
    },
    /// Has questions of agents answered by rules. They take the place of all rules that held there before.
    #[serde(rename = "rules.set")]
    RulesSet {
        /// Where they hold.
        of: RulesOwner,
        /// They.
        rules: Vec<Rule>,
    },
    /// Ends one agent for good; the session goes on.
    #[serde(rename = "agent.end")]
    AgentEnd {
        /// The session.
        session: SessionId,
        /// The agent.
        agent: AgentId,
    },
}

impl Command {
    /// The command's stable name.
    pub const fn name(&self) -> &'static str {
        match self {
            Command::SessionCreate { .. } => "session.create",
            Command::SessionRename { .. } => "session.rename",
            Command::SessionAnnotate { .. } => "session.annotate",
            Command::SessionEnd { .. } => "session.end",
            Command::SessionDelete { .. } => "session.delete",
            Command::TerminalResize { .. } => "terminal.resize",
            Command::AgentSpawn { .. } => "agent.spawn",
            Command::AgentPrompt { .. } => "agent.prompt",
            Command::PromptEdit { .. } => "prompt.edit",
            Command::PromptMove { .. } => "prompt.move",
            Command::PromptWithdraw { .. } => "prompt.withdraw",
            Command::AgentCancel { .. } => "agent.cancel",
            Command::InteractionAnswer { .. } => "interaction.answer",
            Command::AgentSet { .. } => "agent.set",
            Command::AgentHold { .. } => "agent.hold",
            Command::AgentRelease { .. } => "agent.release",
            Command::BudgetSet { .. } => "budget.set",
            Command::RulesSet { .. } => "rules.set",
            Command::AgentEnd { .. } => "agent.end",
        }
    }

    /// The session the command is for; `None` when it makes one, or is for no session alone.
    pub const fn session(&self) -> Option<SessionId> {
        match self {
            Command::SessionCreate { .. }
            | Command::BudgetSet { of: BudgetOwner::Day {}, .. }
            | Command::RulesSet { of: RulesOwner::Workspace { .. }, .. } => None,
            Command::SessionRename { session, .. }
            | Command::SessionAnnotate { session, .. }
            | Command::SessionEnd { session }
            | Command::SessionDelete { session }
            | Command::TerminalResize { session, .. }
            | Command::AgentSpawn { session, .. }
            | Command::AgentPrompt { session, .. }
            | Command::PromptEdit { session, .. }
            | Command::PromptMove { session, .. }
            | Command::PromptWithdraw { session, .. }
            | Command::AgentCancel { session, .. }
            | Command::InteractionAnswer { session, .. }
            | Command::AgentSet { session, .. }
            | Command::AgentHold { session, .. }
            | Command::AgentRelease { session, .. }
            | Command::BudgetSet {
                of: BudgetOwner::Agent { session, .. } | BudgetOwner::Session { session }, ..
            }
            | Command::RulesSet { of: RulesOwner::Session { session }, .. }
            | Command::AgentEnd { session, .. } => Some(*session),
        }
    }

    /// Checks every bound that needs no state. A command that fails costs nothing and leaves no receipt.
    ///
    /// # Errors
    /// `invalid_params` or `too_large`, naming the field.
    pub fn check(&self) -> Result<(), Rejection> {
        match self {
            Command::SessionCreate { name, workspace, program, size, agent } => {
                if program.is_some() && agent.is_some() {
                    return Err(Rejection::invalid("name a program or an agent, not both"));
                }
                agent.as_ref().map_or(Ok(()), |agent| agent.check())?;
                name.as_deref().map_or(Ok(()), check_name)?;
                if let Some(workspace) = workspace {
                    check_workspace(workspace)?;
                }
                program.as_ref().map_or(Ok(()), Program::check)?;
                size.map_or(Ok(()), Size::check)
            }
            Command::SessionRename { name, .. } => check_name(name),
            Command::SessionAnnotate { text, .. } if text.len() > limits::ANNOTATION_BYTES_MAX => {
                Err(Rejection::too_large("text", text.len(), limits::ANNOTATION_BYTES_MAX))
            }
            Command::TerminalResize { size, .. } => size.check(),
            Command::AgentSpawn { agent, .. } => agent.check(),
            Command::AgentPrompt { text, environment, .. } => {
                let bytes: usize = environment.iter().map(|(name, value)| name.len() + value.len()).sum();
                if bytes > limits::PROGRAM_ENVIRONMENT_BYTES_MAX {
                    return Err(Rejection::too_large("environment", bytes, limits::PROGRAM_ENVIRONMENT_BYTES_MAX));
                }
                check_prompt(text)
            }
            Command::PromptEdit { text, .. } => check_prompt(text),
            Command::InteractionAnswer { answer, .. } => answer.check(),
            Command::AgentSet { model: None, mode: None, .. } => Err(Rejection::invalid("name a model or a mode")),
            Command::AgentSet { model, mode, .. } => {
                model.as_deref().map_or(Ok(()), |model| check_word("model", model))?;
                mode.as_deref().map_or(Ok(()), |mode| check_word("mode", mode))
            }
            Command::RulesSet { of, rules } => {
                if let RulesOwner::Workspace { directory } = of {
                    check_workspace(directory)?;
                }
                check_rules(rules)
            }
            Command::SessionAnnotate { .. }
            | Command::AgentHold { .. }
            | Command::AgentRelease { .. }
            | Command::BudgetSet { .. }
            | Command::SessionEnd { .. }
            | Command::SessionDelete { .. }
            | Command::PromptMove { .. }
            | Command::PromptWithdraw { .. }
            | Command::AgentCancel { .. }
            | Command::AgentEnd { .. } => Ok(()),
        }
    }
}

fn check_workspace(workspace: &str) -> Result<(), Rejection> {
    if !workspace.starts_with('/') || workspace.contains('\0') {
        return Err(Rejection::invalid("workspace must be an absolute path"));
    }
    if workspace.len() > limits::PATH_BYTES_MAX {
        return Err(Rejection::too_large("workspace", workspace.len(), limits::PATH_BYTES_MAX));
    }
    Ok(())
}

/// A name never needs quoting in a shell, never looks like a flag or a path, and never like an id.
fn check_name(name: &str) -> Result<(), Rejection> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if name.len() > limits::NAME_BYTES_MAX || !starts_well || !name.chars().all(allowed) || name.contains("..") {
        let max = limits::NAME_BYTES_MAX;
        let shown: String = name.chars().take(80).collect();
        return Err(Rejection::invalid(format!("{shown:?} is no name for a session")).hint(format!(
            "Use 1 to {max} letters, digits, '-', '_' and single dots, starting with a letter or digit."
        )));
    }
    if name.parse::<SessionId>().is_ok() {
        return Err(Rejection::invalid(format!("{name:?} looks like an id")).hint("Choose a name that is not a UUID."));
    }
    Ok(())
}

/// What a command that succeeded made. In JSON: `{"type": "session.created", …}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type")]
pub enum CommandResult {
    /// It was done and there is nothing more to say.
    #[serde(rename = "done")]
    Done {},
    /// A session was created.
    #[serde(rename = "session.created")]
    SessionCreated {
        /// The session.
        session: SessionId,
        /// The agent that runs the program, if one was named.
        agent: Option<AgentId>,
        /// The program's terminal, if one was named.
        terminal: Option<TerminalId>,
    },
    /// An agent was started in a session.
    #[serde(rename = "agent.spawned")]
    AgentSpawned {
        /// The agent.
        agent: AgentId,
        /// Its first prompt, if one was given. Its turn has the same id.
        prompt: Option<PromptId>,
    },
    /// A prompt waits to be delivered.
    #[serde(rename = "prompt.queued")]
    PromptQueued {
        /// The prompt. Its turn has the same id.
        prompt: PromptId,
    },
}
