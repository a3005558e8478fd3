//! What was asked for is done, or refused: words that were refused go back to where they were written.

use ropewalk_protocol::{Command, CommandAnswer, CommandResult, InteractionId, PromptId, Rejection};

use super::event::{Read, Ticket};
use super::incoming::told;
use super::overlay::Overlay;
use super::pending::Meant;
use super::place::Target;
use super::state::State;
use super::words::Words;

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
            (Meant::Answer { interaction, words, told, .. }, Ok(_)) => {
                self.answer_taken(interaction, &words);
                let of = self.asks.iter().find(|ask| ask.interaction == interaction).map(|ask| ask.session);
                of.into_iter().for_each(|session| self.fetches.want(Read::Session(session)));
                self.asks.retain(|ask| ask.interaction != interaction);
                self.attention_changed();
                self.say(told);
            }
            (Meant::Cancel { hard: false, .. }, Ok(_)) => {
                let key = self.key_of(super::action::Action::Cancel);
                self.say(format!("asked to stop; {key} ends its process"));
            }
            (Meant::Cancel { hard: true, .. }, Ok(_)) => {
                self.say("its process is ended; the next prompt starts it again");
            }
            (Meant::Prompt { target, .. }, Ok(_)) => {
                if let Some(session) = target.session() {
                    self.fetches.want(Read::Session(session));
                }
            }
            (Meant::Start { .. } | Meant::Spawn(..), Ok(_)) => {}
            (Meant::Prompt { target, text, .. }, Err(rejection)) => self.refused(target, &text, &rejection),
            (Meant::Start { text, .. }, Err(rejection)) => self.refused(Target::Start, &text, &rejection),
            (Meant::Answer { interaction, from, .. }, Err(rejection)) => {
                self.fetches.want(Read::Asks);
                self.answer_refused(interaction, from, &rejection);
            }
            (Meant::Edit { target, prompt, text }, Ok(_)) => {
                self.edit_settled(target, prompt, &text);
                self.say("changed");
            }
            (Meant::Edit { target, prompt, text }, Err(rejection)) => {
                self.refused(target, &text, &rejection);
                self.edit_settled(target, prompt, &text);
                self.queue_refused();
            }
            (Meant::Spawn(..) | Meant::Cancel { .. } | Meant::Other(_), Err(rejection)) => {
                self.complain(told(&rejection));
                self.queue_refused();
            }
        }
    }

    /// What was shown as done already is read anew.
    fn queue_refused(&mut self) {
        if let Some(Overlay::Queue(queue)) = &self.overlay
            && let Some((session, agent)) = queue.target.agent()
        {
            self.fetches.want(Read::Prompts(session, agent));
        }
    }

    /// The words of an answer that is refused go back to the prompt that they were written in; else they stay with the question.
    fn answer_refused(&mut self, interaction: InteractionId, from: Option<(Target, String)>, rejection: &Rejection) {
        if let Some((target, text)) = from {
            self.refused(target, &text, rejection);
            // They are there before they are gone here.
            self.words_settled(Words::Answer(interaction), &text);
            return self.words_settled(Words::Reason(interaction), &text);
        }
        let is_kept =
            [Words::Answer(interaction), Words::Reason(interaction)].iter().any(|of| !self.words(*of).is_empty());
        let kept = if is_kept { "your words are kept: " } else { "" };
        self.complain(format!("{kept}{}", told(rejection)));
    }

    fn edit_settled(&mut self, target: Target, prompt: PromptId, text: &str) {
        if let Some((_, agent)) = target.agent() {
            self.words_settled(Words::Queued(agent, prompt), text);
        }
    }

    /// What a client before this one had sent is done: its words are where they were meant to be.
    pub(super) fn left_done(&mut self, command: &Command, answer: CommandAnswer) {
        let taken = match command {
            Command::InteractionAnswer { interaction, answer, .. } => Words::of(*interaction, answer),
            Command::PromptEdit { agent, prompt, text, .. } => Some((Words::Queued(*agent, *prompt), text.as_str())),
            _ => None,
        };
        if let Some((of, text)) = taken
            && self.words(of).trim() == text
        {
            self.keep_words(of, "");
        }
        self.done_for_another(Ok(answer));
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
        self.put_back(target, text);
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
            Command::PromptEdit { session, agent, prompt, text } => {
                self.refused(Target::Agent(session, agent), &text, rejection);
                self.words_settled(Words::Queued(agent, prompt), &text);
            }
            Command::InteractionAnswer { interaction, answer, .. } => {
                self.answer_given(interaction, &answer);
                self.answer_refused(interaction, None, rejection);
            }
            _ => self.complain(told(rejection)),
        }
    }
}
