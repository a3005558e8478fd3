//! What becomes of commands: the events that a daemon would append, or its refusal.

use ropewalk_protocol::{
    AgentBudgetSet, AgentId, AgentSpec, Answered, BudgetOwner, CancelAsked, CancelInsisted, Code, Command,
    CommandAnswer, CommandResult, DayBudgetSet, Delivery, HoldReason, PromptEdited, PromptId, PromptMoved,
    PromptQueued, PromptSteered, PromptWithdrawn, Rejection, Released, SessionAnnotated, SessionBudgetSet,
    SessionDeleted, SessionEndRequested, SessionId, SessionRenamed, SettingsChanged, Size, Stream, TurnId, TurnOutcome,
};

use super::{DIRECTORY, HERE, Who, World};

impl World {
    /// Carries a command of the client out.
    ///
    /// # Errors
    /// A refusal, with the daemon's own words.
    pub(crate) fn carry_out(&mut self, command: Command) -> Result<CommandAnswer, Rejection> {
        command.check()?;
        if let Some(rejection) = self.refuses.take() {
            return Err(rejection);
        }
        let result = self.result(command)?;
        Ok(CommandAnswer { seq: self.head(), result })
    }

    fn result(&mut self, command: Command) -> Result<CommandResult, Rejection> {
        match command {
            Command::SessionCreate { name, workspace, program, size, agent } => {
                let directory = workspace.unwrap_or_else(|| DIRECTORY.to_owned());
                let session = self.session_in(name.as_deref().unwrap_or_default(), &directory);
                if let Some(program) = program {
                    let argv: Vec<&str> = program.argv.iter().map(String::as_str).collect();
                    let size = size.unwrap_or(Size { cols: 80, rows: 24 });
                    let (who, terminal) = self.program_in(session, &argv, size);
                    let (agent, terminal) = (Some(who.agent), Some(terminal));
                    return Ok(CommandResult::SessionCreated { session, agent, terminal });
                }
                let agent = agent.map(|spec| self.spawn(session, &spec, None).0);
                Ok(CommandResult::SessionCreated { session, agent, terminal: None })
            }
            Command::AgentSpawn { session, agent, parent } => {
                let (agent, prompt) = self.spawn(session, &agent, parent);
                Ok(CommandResult::AgentSpawned { agent, prompt })
            }
            Command::AgentPrompt { session, agent, text, delivery, .. } => {
                let who = self.agent(session, agent)?;
                Ok(CommandResult::PromptQueued { prompt: self.take_prompt(who, &text, delivery) })
            }
            other => self.change(other).map(|()| CommandResult::Done {}),
        }
    }

    /// Commands that make nothing new.
    fn change(&mut self, command: Command) -> Result<(), Rejection> {
        match command {
            Command::SessionRename { session, name } => {
                if self.projections.sessions().named(&name).is_some_and(|other| other != session) {
                    return Err(Rejection::new(Code::NameTaken, format!("another session is called {name}")));
                }
                self.done(Stream::Session(session), SessionRenamed { name });
            }
            Command::SessionAnnotate { session, text } => {
                self.done(Stream::Session(session), SessionAnnotated { text });
            }
            Command::SessionEnd { session } => self.end(session),
            Command::SessionDelete { session } => self.done(Stream::Session(session), SessionDeleted {}),
            Command::PromptEdit { session, agent, prompt, text } => {
                self.waits(session, agent, prompt)?;
                self.done(Stream::Agent(session, agent), PromptEdited { prompt, text });
            }
            Command::PromptMove { session, agent, prompt, before } => {
                self.waits(session, agent, prompt)?;
                self.done(Stream::Agent(session, agent), PromptMoved { prompt, before });
            }
            Command::PromptWithdraw { session, agent, prompt } => {
                self.waits(session, agent, prompt)?;
                self.done(Stream::Agent(session, agent), PromptWithdrawn { prompt });
            }
            Command::AgentCancel { session, agent, hard, .. } => {
                let who = self.agent(session, agent)?;
                let Some(turn) = self.turn(who) else {
                    return Err(Rejection::invalid("the agent has no turn"));
                };
                if hard {
                    self.done(who.stream(), CancelInsisted { turn });
                } else {
                    let reason = "somebody cancelled it".to_owned();
                    self.done(who.stream(), CancelAsked { turn, reason, input: 2 });
                }
            }
            Command::InteractionAnswer { session, agent, interaction, answer } => {
                if !self.projections.interactions().iter().any(|open| open.interaction == interaction) {
                    return Err(Rejection::new(Code::AlreadyAnswered, "phone answered that question at 10:00:40"));
                }
                self.done(Stream::Agent(session, agent), Answered { interaction, answer, input: 2 });
            }
            Command::AgentSet { session, agent, model, mode } => {
                self.done(Stream::Agent(session, agent), SettingsChanged { model, mode, input: 2 });
            }
            Command::AgentHold { session, agent } => {
                let held = ropewalk_protocol::Held { reason: HoldReason::Asked {}, until: None };
                self.done(Stream::Agent(session, agent), held);
            }
            Command::AgentRelease { session, agent } => self.done(Stream::Agent(session, agent), Released {}),
            Command::AgentEnd { session, agent } => {
                let who = self.agent(session, agent)?;
                self.closes(who);
            }
            Command::BudgetSet { of, budget } => match of {
                BudgetOwner::Agent { session, agent } => {
                    self.done(Stream::Agent(session, agent), AgentBudgetSet { budget });
                }
                BudgetOwner::Session { session } => self.done(Stream::Session(session), SessionBudgetSet { budget }),
                BudgetOwner::Day {} => self.done(Stream::Machine, DayBudgetSet { budget }),
            },
            other => return Err(Rejection::invalid(format!("no scene has {}", other.name()))),
        }
        Ok(())
    }

    fn done(&mut self, stream: Stream, body: impl Into<ropewalk_protocol::EventBody>) {
        self.tell_for(HERE, stream, body);
    }

    fn agent(&self, session: SessionId, agent: AgentId) -> Result<Who, Rejection> {
        self.who(session, agent).ok_or_else(|| Rejection::not_found(format_args!("agent {agent}")))
    }

    fn waits(&self, session: SessionId, agent: AgentId, prompt: PromptId) -> Result<(), Rejection> {
        let known = self.projections.agents().get(session, agent).and_then(|agent| agent.structured.as_ref());
        let is_waiting = known.is_some_and(|known| known.prompts().iter().any(|waiting| waiting.prompt == prompt));
        is_waiting.then_some(()).ok_or_else(|| Rejection::not_found(format_args!("prompt {prompt} that waits")))
    }

    fn spawn(&mut self, session: SessionId, spec: &AgentSpec, parent: Option<AgentId>) -> (AgentId, Option<PromptId>) {
        let parent = parent.and_then(|parent| self.who(session, parent));
        let name = spec.name.clone().unwrap_or_else(|| spec.provider.clone());
        let who = self.joins_on(session, &spec.provider, &name, parent, spec.terms);
        self.ready(who, "sonnet-4.5", "default");
        let prompt = spec.prompt.as_ref().map(|text| self.take_prompt(who, text, Delivery::AfterTurn));
        (who.agent, prompt)
    }

    fn take_prompt(&mut self, who: Who, text: &str, delivery: Delivery) -> PromptId {
        let prompt = PromptId::from_bytes(self.id());
        self.done(who.stream(), PromptQueued { prompt, text: text.to_owned(), delivery });
        match (self.turn(who), delivery) {
            (None, _) => drop(self.starts(who, prompt)),
            (Some(turn), Delivery::Steer) => self.done(who.stream(), PromptSteered { turn, prompt, input: 2 }),
            (Some(turn), Delivery::Interrupt) => self.interrupt(who, turn, prompt),
            (Some(_), Delivery::AfterTurn) => {}
        }
        prompt
    }

    fn interrupt(&mut self, who: Who, turn: TurnId, prompt: PromptId) {
        let reason = "another prompt takes its place".to_owned();
        self.done(who.stream(), CancelAsked { turn, reason, input: 2 });
        self.ends_so(who, TurnOutcome::Cancelled);
        self.starts(who, prompt);
    }

    fn end(&mut self, session: SessionId) {
        self.done(Stream::Session(session), SessionEndRequested {});
        let agents: Vec<_> = self.projections.agents().of(session).map(|agent| agent.agent).collect();
        for who in agents.into_iter().filter_map(|agent| self.who(session, agent)).collect::<Vec<_>>() {
            self.closes(who);
        }
        self.session_ends(session);
    }
}
