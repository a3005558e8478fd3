//! What clients ask for: prompts and their places, the end of a turn, answers, settings.

use ropewalk_protocol::{
    Answer, Answered, AskClosed, AskEffect, AskEnd, AskKind, CancelAsked, CancelInsisted, Code, CommandResult,
    Delivery, InteractionId, OnAsk, PromptEdited, PromptId, PromptMoved, PromptQueued, PromptSteered, PromptWithdrawn,
    Rejection, RunId, SettingsChanged, TurnId, limits,
};

use super::OpenAsk;
use super::deciding::Deciding;
use super::life::Phase;

/// Writes that are not known to be taken, beyond which no settings and no steering prompts are added.
const WRITES_WAITING_MAX: usize = 16;

/// Steering prompts of which the agent has not said whether it took them, beyond which others wait for a turn of their own: the
/// text of each is kept, to be a turn of its own if the agent did not.
const STEERED_MAX: usize = 16;

impl Deciding<'_> {
    pub(super) fn is_open(&self) -> Result<(), Rejection> {
        if self.agent.closing || self.agent.closed {
            return Err(Rejection::new(Code::AlreadyEnded, "the agent takes no more prompts"));
        }
        Ok(())
    }

    pub(super) fn prompt(&mut self, text: &str, delivery: Delivery) -> Result<CommandResult, Rejection> {
        self.is_open()?;
        if self.agent.queue.len() >= limits::PROMPTS_QUEUED_MAX {
            let waiting = self.agent.queue.len();
            let hint = "Wait for a turn to end, or withdraw one: `ropewalk queue`.";
            return Err(Rejection::new(Code::Busy, format!("{waiting} prompts wait already")).hint(hint));
        }
        let prompt = PromptId::from_bytes(self.mint());
        self.emit(PromptQueued { prompt, text: text.to_owned(), delivery });
        if delivery == Delivery::Steer {
            self.steer(prompt);
        }
        // Nothing could take the place of the turn of an agent that is held.
        if delivery == Delivery::Interrupt && self.agent.held.is_none() {
            self.cancel("another prompt is to take its place");
        }
        self.go_on(true);
        Ok(CommandResult::PromptQueued { prompt })
    }

    /// Puts a prompt into the running turn, where the agent can.
    fn steer(&mut self, prompt: PromptId) {
        let steers =
            self.agent.provider().is_some_and(|provider| provider.abilities().steers) && self.agent.held.is_none();
        let Some(turn) = self.agent.turn.as_ref().filter(|turn| steers && turn.confirmed && !turn.cancelling) else {
            return;
        };
        // An agent that does not read what it is told gets no more: it stays in the queue.
        if self.agent.life.outbox.len() >= WRITES_WAITING_MAX || self.agent.steered.len() >= STEERED_MAX {
            return;
        }
        let turn = turn.id;
        let input = self.next_input();
        self.emit(PromptSteered { turn, prompt, input });
    }

    fn waits(&self, prompt: PromptId) -> Result<(), Rejection> {
        if self.agent.queue.iter().any(|waiting| waiting.prompt == prompt) {
            return Ok(());
        }
        let hint = "`ropewalk queue` lists what waits; a prompt that was delivered is there no more.";
        Err(Rejection::not_found(format_args!("prompt {prompt} that waits")).hint(hint))
    }

    pub(super) fn edit_prompt(&mut self, prompt: PromptId, text: &str) -> Result<(), Rejection> {
        self.waits(prompt)?;
        self.emit(PromptEdited { prompt, text: text.to_owned() });
        Ok(())
    }

    pub(super) fn move_prompt(&mut self, prompt: PromptId, before: Option<PromptId>) -> Result<(), Rejection> {
        self.waits(prompt)?;
        before.map_or(Ok(()), |before| self.waits(before))?;
        if before != Some(prompt) {
            self.emit(PromptMoved { prompt, before });
        }
        Ok(())
    }

    pub(super) fn withdraw_prompt(&mut self, prompt: PromptId) -> Result<(), Rejection> {
        self.waits(prompt)?;
        self.emit(PromptWithdrawn { prompt });
        Ok(())
    }

    pub(super) fn cancel_asked(&mut self, hard: bool, turn: Option<TurnId>) -> Result<(), Rejection> {
        if self.agent.turn.is_none() {
            let hint = "`ropewalk agents` shows what an agent is doing.";
            return Err(Rejection::new(Code::InputRefused, "the agent has no turn to cancel").hint(hint));
        }
        if turn.is_some_and(|turn| self.agent.turn.as_ref().is_some_and(|open| open.id != turn)) {
            let hint = "Another one runs now; without a turn in the command it is the one that is cancelled.";
            return Err(Rejection::new(Code::InputRefused, "that turn has ended already").hint(hint));
        }
        self.cancel("somebody cancelled it");
        if hard {
            self.insist();
        }
        Ok(())
    }

    /// The turn goes on though it was asked to end: its process is ended.
    pub(super) fn cancel_due(&mut self, run: RunId) {
        if self.agent.life.run == run && self.agent.is_cancelling() {
            self.insist();
        }
    }

    fn insist(&mut self) {
        let life = &self.agent.life;
        let turn = self.agent.turn.as_ref().filter(|_| life.is_open() && !life.is_ending).map(|turn| turn.id);
        if let Some(turn) = turn {
            self.emit(CancelInsisted { turn });
        }
    }

    /// Asks the agent to end the turn; once for each.
    pub(super) fn cancel(&mut self, reason: &str) {
        let Some(turn) = self.agent.turn.as_ref().filter(|turn| !turn.cancelling).map(|turn| turn.id) else { return };
        let input = self.next_input();
        self.emit(CancelAsked { turn, reason: reason.to_owned(), input });
        // Some agents wait for the answers to what they asked before they end a turn.
        let waits = self.agent.provider().is_some_and(|provider| provider.abilities().asks_hold_cancel);
        let open: Vec<InteractionId> = self.agent.asks.iter().filter(|_| waits).map(|ask| ask.id).collect();
        for interaction in open {
            let input = self.next_input();
            self.emit(AskClosed { interaction, reason: AskEnd::Cancelled, input });
        }
    }

    pub(super) fn answer(&mut self, interaction: InteractionId, answer: &Answer) -> Result<(), Rejection> {
        let Some(ask) = self.agent.asks.iter().find(|ask| ask.id == interaction) else {
            let closed = self.agent.closed_asks.iter().rev().find(|(closed, _)| *closed == interaction);
            return Err(match closed {
                Some((_, how)) => Rejection::new(Code::AlreadyAnswered, format!("the question is closed: {how}")),
                None => Rejection::not_found(format_args!("question {interaction}"))
                    .hint("`ropewalk asks` lists what is open."),
            });
        };
        fits(ask, answer)?;
        let input = self.next_input();
        self.emit(Answered { interaction, answer: answer.clone(), input });
        Ok(())
    }

    /// A question was not answered in time.
    pub(super) fn ask_due(&mut self, interaction: InteractionId) {
        if self.agent.asks.iter().any(|ask| ask.id == interaction) {
            let input = self.next_input();
            self.emit(AskClosed { interaction, reason: AskEnd::Expired, input });
        }
    }

    /// What the policy says of a question that was just asked.
    pub(super) fn apply_policy(&mut self, interaction: InteractionId) {
        match self.agent.on_ask {
            OnAsk::Wait | OnAsk::WaitMillis(_) => {}
            OnAsk::Deny => {
                let reason = "nobody is there to answer, and the policy is to deny".to_owned();
                let input = self.next_input();
                self.emit(Answered { interaction, answer: Answer::Deny { reason: Some(reason) }, input });
            }
            OnAsk::Fail => self.cancel("it asked, and nobody is there to answer"),
        }
    }

    pub(super) fn set(&mut self, model: Option<String>, mode: Option<String>) -> Result<(), Rejection> {
        self.is_open()?;
        let life = &self.agent.life;
        if life.outbox.len() >= WRITES_WAITING_MAX {
            let message = "the agent does not read what it is told";
            return Err(Rejection::new(Code::Busy, message).hint("Wait, or cancel its turn."));
        }
        let input = if life.phase == Phase::Running && life.is_ready { self.next_input() } else { 0 };
        self.emit(SettingsChanged { model, mode, input });
        Ok(())
    }
}

/// Whether an answer is one to this question.
fn fits(ask: &OpenAsk, answer: &Answer) -> Result<(), Rejection> {
    let has = |effect| ask.options.iter().any(|option| option.effect == effect);
    match answer {
        Answer::Allow { always: true } if !has(AskEffect::AllowAlways) => {
            Err(Rejection::invalid("the agent does not offer to allow this always"))
        }
        Answer::Allow { .. } if ask.kind != AskKind::Permission => {
            Err(Rejection::invalid("this is not a permission: choose an option, or answer with text"))
        }
        Answer::Choose { option } if !ask.options.iter().any(|offered| offered.id == *option) => {
            let offered: Vec<&str> = ask.options.iter().map(|option| option.id.as_str()).collect();
            let hint = format!("The options are: {}.", offered.join(", "));
            Err(Rejection::invalid("that is not one of the options").hint(hint))
        }
        Answer::Text { .. } if ask.kind == AskKind::Permission => {
            Err(Rejection::invalid("this is a permission: allow or deny it"))
        }
        Answer::Allow { .. } | Answer::Deny { .. } | Answer::Choose { .. } | Answer::Text { .. } => Ok(()),
    }
}
