//! What was asked for is done, or refused: words that were refused go back to where they were written.

use ropewalk_protocol::{Command, CommandAnswer, CommandResult, Rejection};

use super::event::{Effect, Read, Ticket};
use super::incoming::told;
use super::overlay::Overlay;
use super::pending::Meant;
use super::place::Target;
use super::state::State;

impl State {
    pub(super) fn done(&mut self, ticket: Ticket, answer: Result<CommandAnswer, Rejection>) {
        let Some(meant) = self.pending.take(ticket) else {
            return self.done_for_another(answer);
        };
        match (meant, answer) {
            (
                Meant::Start { from, .. },
                Ok(CommandAnswer { result: CommandResult::SessionCreated { session, agent, terminal }, .. }),
            ) => {
                self.fetches.want(Read::Session(session));
                let agent = agent.map(|agent| Target::Agent(session, agent)).filter(|_| terminal.is_none());
                if let Some(target) = agent.or(terminal.map(|terminal| Target::Terminal(session, terminal))) {
                    self.started(from, target);
                }
            }
            (
                Meant::Spawn(session, from),
                Ok(CommandAnswer { result: CommandResult::AgentSpawned { agent, .. }, .. }),
            ) => {
                self.fetches.want(Read::Session(session));
                self.started(from, Target::Agent(session, agent));
            }
            (Meant::Other(text), Ok(_)) => self.say(text),
            (Meant::Answer(interaction, text), Ok(_)) => {
                let of = self.asks.iter().find(|ask| ask.interaction == interaction).map(|ask| ask.session);
                of.into_iter().for_each(|session| self.fetches.want(Read::Session(session)));
                self.asks.retain(|ask| ask.interaction != interaction);
                self.attention_changed();
                self.say(text);
            }
            (Meant::Cancel(_), Ok(_)) => self.say("asked to stop; what does not stop in time is made to"),
            (Meant::Prompt { target, .. }, Ok(_)) => {
                if let Some(session) = target.session() {
                    self.fetches.want(Read::Session(session));
                }
            }
            (Meant::Start { .. } | Meant::Spawn(..), Ok(_)) => {}
            (Meant::Prompt { target, text, .. }, Err(rejection)) => self.refused(target, &text, &rejection),
            (Meant::Start { text, .. }, Err(rejection)) => self.refused(Target::Start, &text, &rejection),
            (Meant::Answer(..), Err(rejection)) => {
                self.fetches.want(Read::Asks);
                self.complain(told(&rejection));
            }
            (Meant::Spawn(..) | Meant::Cancel(_) | Meant::Other(_), Err(rejection)) => {
                self.complain(told(&rejection));
                // What was shown as done already is read anew.
                if let Some(Overlay::Queue(queue)) = &self.overlay
                    && let Some((session, agent)) = queue.target.agent()
                {
                    self.fetches.want(Read::Prompts(session, agent));
                }
            }
        }
    }

    /// A command that the client before this one sent. Whoever started a session then waits for it now, unless something
    /// else is on the screen already.
    pub(super) fn done_for_another(&mut self, answer: Result<CommandAnswer, Rejection>) {
        match answer {
            Ok(CommandAnswer { result: CommandResult::SessionCreated { session, agent, terminal }, .. }) => {
                self.fetches.want(Read::Session(session));
                let agent = agent.map(|agent| Target::Agent(session, agent)).filter(|_| terminal.is_none());
                if let Some(target) = agent.or(terminal.map(|terminal| Target::Terminal(session, terminal))) {
                    self.started(Target::Start, target);
                }
            }
            Ok(_) => {}
            Err(rejection) => self.complain(told(&rejection)),
        }
    }

    /// Shows what was started, if the person is still where they started it and writes nothing else.
    pub(super) fn started(&mut self, from: Target, target: Target) {
        let writes = self.composer().is_some_and(|composer| !composer.is_empty());
        if self.target() == from && !writes && self.overlay.is_none() {
            self.show(target);
            if matches!(target, Target::Terminal(..)) {
                self.enter_program();
            }
        } else {
            self.say(format!("started; {} goes there", self.key_of(super::action::Action::Tree)));
        }
    }

    /// Words that were refused go back to where they were written.
    pub(super) fn refused(&mut self, target: Target, text: &str, rejection: &Rejection) {
        let composer = self.composers.entry(target).or_default();
        let both = if composer.is_empty() { text.to_owned() } else { format!("{text}\n\n{}", composer.text()) };
        composer.set(&both);
        let key = self.draft_key(target);
        self.effects.push(Effect::KeepDraft(key, both));
        self.complain(told(rejection));
    }

    /// What a client before this one could not have done: its words go back to where they were written.
    pub(super) fn left(&mut self, command: Command, rejection: &Rejection) {
        match command {
            Command::AgentPrompt { session, agent, text, .. } => {
                self.refused(Target::Agent(session, agent), &text, rejection);
            }
            Command::SessionCreate { agent: Some(agent), .. } => {
                self.refused(Target::Start, agent.prompt.as_deref().unwrap_or_default(), rejection);
            }
            _ => self.complain(told(rejection)),
        }
    }
}
