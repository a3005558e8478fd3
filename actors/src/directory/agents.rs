//! Commands for structured agents: what is looked at before an actor decides.

use std::collections::BTreeMap;
use std::path::Path;

use ropewalk_kernel::{Answer, Reply, offload};
use ropewalk_protocol::{
    AgentId, AgentJoined, AgentSpec, BudgetOwner, Code, Command, Delivery, PromptId, PromptQueued, Rejection, RunAsked,
    RunId, SessionId, Stream, TerminalId, Timestamp,
};

use super::Directory;
use super::commands::is_doubtful;
use crate::agent::structured::AgentInput;
use crate::core::Input;
use crate::host::{Commanded, Deliver};
use crate::providers::{self, Greeting, Provider, Starting};

impl Directory {
    /// Lets the agent's actor decide and reply. Commands that are for nobody else are left by now.
    pub(super) fn pass_on_to_agent(&self, command: Command, by: Commanded, now: Timestamp, mut reply: Reply) {
        let (session, agent, input) = match command {
            Command::AgentPrompt { session, agent, text, delivery, environment } => {
                if !environment.is_empty() {
                    reply = self.with_environment(agent, environment, reply);
                }
                (session, agent, AgentInput::Prompt { text, delivery })
            }
            Command::PromptEdit { session, agent, prompt, text } => {
                (session, agent, AgentInput::EditPrompt { prompt, text })
            }
            Command::PromptMove { session, agent, prompt, before } => {
                (session, agent, AgentInput::MovePrompt { prompt, before })
            }
            Command::PromptWithdraw { session, agent, prompt } => {
                (session, agent, AgentInput::WithdrawPrompt { prompt })
            }
            Command::AgentCancel { session, agent, hard, turn } => (session, agent, AgentInput::Cancel { hard, turn }),
            Command::InteractionAnswer { session, agent, interaction, answer } => {
                (session, agent, AgentInput::Answer { interaction, answer })
            }
            Command::AgentSet { session, agent, model, mode } => (session, agent, AgentInput::Set { model, mode }),
            Command::AgentHold { session, agent } => (session, agent, AgentInput::Hold),
            Command::AgentRelease { session, agent } => (session, agent, AgentInput::Release),
            Command::BudgetSet { of: BudgetOwner::Agent { session, agent }, budget } => {
                (session, agent, AgentInput::SetBudget { budget })
            }
            Command::AgentEnd { session, agent } => (session, agent, AgentInput::Close),
            other => {
                let message = format!("{} is for no agent", other.name());
                return reply(Err(Rejection::new(Code::Internal, message)));
            }
        };
        let message = Deliver { command: Some(by), reply: Some(reply), ..Deliver::fact(Input::Agent(input), now) };
        self.send(Stream::Agent(session, agent), message);
    }

    /// Keeps an environment, for as long as the command that brings it is not refused.
    fn with_environment(&self, agent: AgentId, environment: BTreeMap<String, String>, reply: Reply) -> Reply {
        let hands = self.0.hands.clone();
        let before = hands.keep_agent_environment(agent, environment);
        Box::new(move |answer: Answer| {
            match before {
                Some(before) if is_refused(&answer) => drop(hands.keep_agent_environment(agent, before)),
                None if is_refused(&answer) => hands.forget_agent(agent),
                _ => {}
            }
            reply(answer);
        })
    }

    pub(super) async fn spawn_agent(
        &self,
        session: SessionId,
        mut spec: AgentSpec,
        parent: Option<AgentId>,
        commanded: Commanded,
        now: Timestamp,
    ) -> Answer {
        match check(&spec).await {
            Ok(directory) => spec.directory = directory,
            Err(rejection) => return self.refuse_unless_retryable(commanded, rejection).await,
        }
        let joined = Box::new(self.joining(spec, parent));
        let agent = joined.agent;
        let answer = self.ask(Stream::Session(session), Input::Spawn { joined }, Some(commanded), now).await;
        if is_refused(&answer) {
            self.0.hands.forget_agent(agent);
        }
        answer
    }

    /// The agent as it joins its session; its environment is kept apart.
    pub(super) fn joining(&self, spec: AgentSpec, parent: Option<AgentId>) -> AgentJoined {
        let AgentSpec { provider, name, command, directory, environment, model, mode, on_ask, prompt, terms } = spec;
        let mint = self.mint();
        let agent = AgentId::from_bytes(mint.id(0));
        self.0.hands.keep_agent_environment(agent, environment);
        let greeting = Greeting {
            directory: directory.clone(),
            model: model.clone(),
            mode: mode.clone(),
            mcp: terms.mcp.then(Vec::new),
            ..Greeting::default()
        };
        let fresh = PromptId::from_bytes(mint.id(1)).to_string();
        let starting = Starting { command: &command, greeting: &greeting, fresh };
        let argv = providers::named(&provider).map_or_else(Vec::new, |provider| provider.argv(&starting));
        let run = RunAsked {
            run: RunId::from_bytes(mint.id(2)),
            output: TerminalId::from_bytes(mint.id(3)),
            errors: TerminalId::from_bytes(mint.id(4)),
            argv,
        };
        let queued =
            |text| PromptQueued { prompt: PromptId::from_bytes(mint.id(5)), text, delivery: Delivery::AfterTurn };
        let (name, prompt) = (name.unwrap_or_default(), prompt.map(queued));
        let terms = Box::new(terms);
        AgentJoined { agent, provider, name, parent, command, directory, model, mode, on_ask, run, prompt, terms }
    }
}

/// Whether nothing comes of a command. One that failed with the disk may be in the log all the same.
fn is_refused(answer: &Answer) -> bool {
    answer.as_ref().is_err_and(|rejection| !is_doubtful(rejection))
}

/// Whether there is such a provider, such a directory, and the program: nothing is begun that cannot be. The answer is where
/// the directory really is: rules are held against that.
pub(super) async fn check(spec: &AgentSpec) -> Result<String, Rejection> {
    let Some(provider) = providers::named(&spec.provider) else {
        let names: Vec<&str> = providers::ALL.iter().map(|provider| provider.name()).collect();
        let shown: String = spec.provider.chars().take(80).collect();
        let hint = format!("There are: {}.", names.join(", "));
        return Err(Rejection::new(Code::UnknownProvider, format!("no provider is called {shown:?}")).hint(hint));
    };
    let Some(program) = spec.command.first().map(String::as_str).or(provider.program()) else {
        let message = format!("{} does not say which program to run", provider.name());
        return Err(Rejection::invalid(message).hint("Name it with --command."));
    };
    let (program, directory) = (program.to_owned(), spec.directory.clone());
    let path = spec.environment.get("PATH").cloned().or_else(|| std::env::var("PATH").ok()).unwrap_or_default();
    let looked = offload::blocking(move || look(provider, &program, Path::new(&directory), &path));
    looked.await.map_err(|error| Rejection::new(Code::Internal, error.to_string()))?
}

/// Blocking.
fn look(provider: &dyn Provider, program: &str, directory: &Path, path: &str) -> Result<String, Rejection> {
    let real = real_directory(directory)?;
    let is_there = if program.contains('/') {
        directory.join(program).is_file()
    } else {
        std::env::split_paths(path).any(|folder| directory.join(folder).join(program).is_file())
    };
    if is_there {
        return Ok(real);
    }
    let message = format!("the program of {}, {program:?}, is not installed, or not in PATH", provider.name());
    Err(Rejection::new(Code::AgentMissing, message))
}

/// A directory's path without links. Blocking.
///
/// # Errors
/// `workspace_missing`.
pub(super) fn real_directory(directory: &Path) -> Result<String, Rejection> {
    let missing = || {
        let message = format!("{} is not a directory", directory.display());
        Rejection::new(Code::WorkspaceMissing, message)
    };
    let real = directory.canonicalize().ok().filter(|real| real.is_dir()).ok_or_else(missing)?;
    real.into_os_string().into_string().map_err(|_| missing())
}
