//! Deciding: events are taken in as they are decided, so that what follows is decided on what they make of the agent.

use ropewalk_protocol::{
    AgentGreeted, AgentReady, CommandResult, EventBody, PromptId, PromptQueued, Rejection, RunAsked, RunId, RunStarted,
    TerminalId, Timestamp, TurnId, TurnStarted,
};

use super::life::{Life, Phase};
use super::rounds::Call;
use super::{AgentInput, ENDED_TOOLS_KEPT, OpenItem, Steered, Structured, Turn};
use crate::core::{Decision, Moment};
use crate::providers::{Outgoing, Starting};

/// A decision on its way: the agent as it will be, and the events that make it so.
pub(super) struct Deciding<'a> {
    pub(super) agent: Structured,
    pub(super) moment: &'a Moment,
    events: Vec<EventBody>,
    /// Ids given out.
    minted: u32,
}

impl<'a> Deciding<'a> {
    pub(super) fn on(agent: &Structured, moment: &'a Moment) -> Self {
        Self { agent: agent.clone(), moment, events: Vec::new(), minted: 0 }
    }

    pub(super) fn take(&mut self, input: &AgentInput) -> Result<Decision, Rejection> {
        let mut result = CommandResult::Done {};
        match input {
            AgentInput::Prompt { text, delivery } => result = self.prompt(text, *delivery)?,
            AgentInput::EditPrompt { prompt, text } => self.edit_prompt(*prompt, text)?,
            AgentInput::MovePrompt { prompt, before } => self.move_prompt(*prompt, *before)?,
            AgentInput::WithdrawPrompt { prompt } => self.withdraw_prompt(*prompt)?,
            AgentInput::Cancel { hard, turn } => self.cancel_asked(*hard, *turn)?,
            AgentInput::CancelDue { run } => self.cancel_due(*run),
            AgentInput::Answer { interaction, answer } => self.answer(*interaction, answer)?,
            AgentInput::Set { model, mode } => self.set(model.clone(), mode.clone())?,
            AgentInput::Close => self.close(),
            AgentInput::Observed { run, seen, to } => self.observe(*run, seen, *to),
            AgentInput::Gone { run, outcome, offset, last_words } => {
                self.gone(*run, outcome, *offset, last_words);
            }
            AgentInput::SpawnFailed { run, reason, is_final } => self.spawn_failed(*run, reason, *is_final),
            AgentInput::Started { run, pid, start_ticks } => {
                if self.agent.life.run == *run && self.agent.life.phase == Phase::Asked {
                    self.emit(RunStarted { run: *run, pid: *pid, start_ticks: *start_ticks });
                    if self.agent.provider().is_some_and(|provider| provider.abilities().ready_at_once) {
                        let (conversation, version, model, mode) = (None, None, None, None);
                        self.emit(AgentReady { run: *run, conversation, version, model, mode });
                    }
                    self.go_on(false);
                }
            }
            AgentInput::AskDue { interaction } => self.ask_due(*interaction),
            AgentInput::Hold => self.hold()?,
            AgentInput::Release => self.release()?,
            AgentInput::SetBudget { budget } => self.set_budget(*budget)?,
            AgentInput::Reconsider => self.reconsider(),
        }
        let begins = self.events.iter().any(|event| matches!(event, EventBody::TurnStarted(_)));
        let look_again = if begins || *input == AgentInput::Reconsider { self.look_again() } else { None };
        Ok(Decision { events: std::mem::take(&mut self.events), result, look_again })
    }

    pub(super) fn emit(&mut self, event: impl Into<EventBody>) {
        let event = event.into();
        // Who asked for it is known once it is taken in for good: nothing is decided on that.
        self.agent.apply(self.now(), None, &event);
        self.events.push(event);
    }

    pub(super) fn now(&self) -> Timestamp {
        self.moment.mint.now
    }

    /// The newest event, which may still be added to.
    pub(super) fn last_event(&mut self) -> Option<&mut EventBody> {
        self.events.last_mut()
    }

    pub(super) fn has_decided(&self) -> bool {
        !self.events.is_empty()
    }

    pub(super) fn mint(&mut self) -> [u8; 16] {
        self.minted += 1;
        self.moment.mint.id(self.minted)
    }

    /// The number of the next write; 0 when nothing can be written to the process.
    pub(super) fn next_input(&self) -> u64 {
        if self.agent.life.is_open() { self.agent.life.next_input() } else { 0 }
    }

    pub(super) fn greet(&mut self, step: u8, conversation: Option<String>) {
        let (run, input) = (self.agent.life.run, self.next_input());
        self.emit(AgentGreeted { run, step, conversation, input });
    }

    /// Gives the next prompt to the agent if it can take one. `may_start`: starts its process for that if it has none.
    pub(super) fn go_on(&mut self, may_start: bool) {
        let agent = &self.agent;
        if agent.closing || agent.closed || agent.turn.is_some() || agent.queue.is_empty() || !self.may_go_on() {
            return;
        }
        let agent = &self.agent;
        let Some(next) = agent.queue.front() else { return };
        match agent.life.phase {
            Phase::Over if may_start => self.start_again(),
            Phase::Running if agent.life.is_ready && !agent.life.is_refused && !agent.life.is_ending => {
                let (prompt, run) = (next.prompt, agent.life.run);
                let (turn, input) = (turn_of(prompt), self.next_input());
                self.emit(TurnStarted { turn, prompt: Some(prompt), run, input });
                self.check_budgets();
            }
            Phase::Asked | Phase::Running | Phase::Over => {}
        }
    }

    fn start_again(&mut self) {
        let Some(provider) = self.agent.provider() else { return };
        let ids = [self.mint(), self.mint(), self.mint(), self.mint()];
        let greeting = self.agent.greeting();
        let fresh = PromptId::from_bytes(ids[3]).to_string();
        let argv = provider.argv(&Starting { command: &self.agent.command, greeting: &greeting, fresh });
        self.emit(RunAsked {
            run: RunId::from_bytes(ids[0]),
            output: TerminalId::from_bytes(ids[1]),
            errors: TerminalId::from_bytes(ids[2]),
            argv,
        });
    }
}

/// A prompt and its turn have the same id: whoever knows the one knows the other.
pub(super) fn turn_of(prompt: PromptId) -> TurnId {
    TurnId::from_bytes(*prompt.as_bytes())
}

impl Structured {
    /// Takes in what happened.
    pub(crate) fn apply(&mut self, at: Timestamp, by: Option<&str>, body: &EventBody) {
        self.spending.apply(at, body);
        self.apply_to_limits(at, body);
        match body {
            EventBody::RunAsked(asked) => self.life = Life::new(asked, self.greet(0)),
            EventBody::RunStarted(started) if started.run == self.life.run => self.life.phase = Phase::Running,
            EventBody::RunFailed(failed) if failed.run == self.life.run => self.over(),
            EventBody::RunEnded(ended) if ended.run == self.life.run => self.over(),
            EventBody::AgentGreeted(greeted) => {
                if greeted.conversation.is_some() {
                    self.conversation.clone_from(&greeted.conversation);
                }
                self.life.push(greeted.input, self.greet(greeted.step));
            }
            EventBody::AgentReady(ready) => {
                self.life.is_ready = true;
                let known = [&mut self.conversation, &mut self.version, &mut self.model, &mut self.mode];
                for (known, told) in
                    known.into_iter().zip([&ready.conversation, &ready.version, &ready.model, &ready.mode])
                {
                    if told.is_some() {
                        known.clone_from(told);
                    }
                }
            }
            EventBody::AgentRefused(_) => self.life.is_refused = true,
            EventBody::AgentCloseAsked(_) => self.closing = true,
            EventBody::AgentClosed(_) => {
                self.closed = true;
                self.queue.clear();
                self.sent.clear();
            }
            EventBody::OutputConsumed(consumed) if consumed.run == self.life.run => {
                let (offset, part, written) = (consumed.offset, consumed.part, consumed.written);
                self.life.consume(super::Consumed { offset, part, written });
            }
            EventBody::SettingsChanged(changed) => {
                if changed.model.is_some() {
                    self.model.clone_from(&changed.model);
                }
                if changed.mode.is_some() {
                    self.mode.clone_from(&changed.mode);
                }
                let (model, mode) = (changed.model.clone(), changed.mode.clone());
                let conversation = self.conversation.clone();
                self.life.push(changed.input, Outgoing::Settings { conversation, model, mode });
            }
            _ => self.apply_to_turn(at, by, body),
        }
    }

    fn over(&mut self) {
        self.life.phase = Phase::Over;
        self.life.outbox.clear();
        self.steered.clear();
        let (sent, queue) = (&mut self.sent, &self.queue);
        sent.retain(|sent| queue.iter().any(|waiting| waiting.prompt == *sent));
    }

    fn apply_to_turn(&mut self, at: Timestamp, by: Option<&str>, body: &EventBody) {
        match body {
            EventBody::PromptQueued(queued) => {
                self.steered.retain(|steered| steered.prompt != queued.prompt);
                self.enqueue(queued.clone());
            }
            EventBody::PromptEdited(edited) => {
                if let Some(waiting) = self.queue.iter_mut().find(|waiting| waiting.prompt == edited.prompt) {
                    waiting.text.clone_from(&edited.text);
                }
            }
            EventBody::PromptMoved(moved) => {
                if let Some(waiting) = self.unqueue(moved.prompt) {
                    let before = moved.before.and_then(|before| self.place_of(before));
                    self.queue.insert(before.unwrap_or(self.queue.len()), waiting);
                }
            }
            EventBody::PromptWithdrawn(withdrawn) => {
                self.sent.retain(|sent| *sent != withdrawn.prompt);
                drop(self.unqueue(withdrawn.prompt));
            }
            EventBody::PromptSteered(steered) => {
                if let Some(waiting) = self.unqueue(steered.prompt) {
                    self.sent.retain(|sent| *sent != steered.prompt);
                    self.sent.push(steered.prompt);
                    let text = waiting.text.clone();
                    self.steered.push_back(Steered { prompt: steered.prompt, turn: steered.turn, text });
                    let outgoing = Outgoing::Steer {
                        prompt: steered.prompt.to_string(),
                        conversation: self.conversation.clone(),
                        turn: self.turn.as_ref().and_then(|turn| turn.name.clone()),
                        text: waiting.text,
                    };
                    self.life.push(steered.input, outgoing);
                }
            }
            EventBody::PromptTaken(taken) => {
                self.steered.retain(|steered| steered.prompt != taken.prompt);
                self.sent.retain(|sent| *sent != taken.prompt);
            }
            EventBody::TurnStarted(started) => {
                self.sent.retain(|sent| Some(*sent) != started.prompt);
                let waiting = started.prompt.and_then(|prompt| self.unqueue(prompt));
                if let Some(waiting) = waiting {
                    let (turn, conversation) = (started.turn.to_string(), self.conversation.clone());
                    let (text, model, mode) = (waiting.text, self.model.clone(), self.mode.clone());
                    let outgoing = Outgoing::Prompt { turn, conversation, text, model, mode };
                    self.life.push(started.input, outgoing);
                }
                let (id, input) = (started.turn, started.input);
                self.turn = Some(Turn { id, input, confirmed: false, name: None, cancelling: false });
            }
            EventBody::TurnConfirmed(confirmed) => {
                if let Some(turn) = &mut self.turn {
                    turn.confirmed = true;
                    if confirmed.name.is_some() {
                        turn.name.clone_from(&confirmed.name);
                    }
                }
            }
            EventBody::CancelAsked(asked) => {
                let conversation = self.conversation.clone();
                if let Some(turn) = &mut self.turn {
                    turn.cancelling = true;
                    let turn = turn.name.clone();
                    self.life.push(asked.input, Outgoing::Interrupt { conversation, turn });
                }
            }
            EventBody::CancelInsisted(_) => self.life.is_ending = true,
            EventBody::TurnEnded(_) => self.turn = None,
            EventBody::RuleApplied(applied) => self.ruled = Some((applied.interaction, applied.rule.to_string())),
            EventBody::Asked(_) | EventBody::Answered(_) | EventBody::AskClosed(_) => self.apply_to_asks(at, by, body),
            _ => self.apply_to_items(body),
        }
    }

    fn apply_to_items(&mut self, body: &EventBody) {
        match body {
            EventBody::ItemStarted(started) => {
                self.items.push(OpenItem {
                    id: started.item,
                    key: started.key.clone(),
                    call: Call::of(started),
                    is_told: false,
                    is_declined: false,
                });
            }
            EventBody::ItemText(text) => {
                if let Some(item) = self.items.iter_mut().find(|item| item.id == text.item) {
                    item.is_told = true;
                }
            }
            EventBody::ItemEnded(ended) => {
                if let Some(place) = self.items.iter().position(|item| item.id == ended.item) {
                    let item = self.items.remove(place);
                    if item.call.is_some() {
                        if self.ended_tools.len() == ENDED_TOOLS_KEPT {
                            self.ended_tools.pop_front();
                        }
                        self.ended_tools.push_back((item.key, item.id));
                    }
                    self.rounds.take(item.id, item.call, ended.status);
                }
            }
            _ => {}
        }
    }

    fn place_of(&self, prompt: PromptId) -> Option<usize> {
        self.queue.iter().position(|waiting| waiting.prompt == prompt)
    }

    fn unqueue(&mut self, prompt: PromptId) -> Option<PromptQueued> {
        self.queue.remove(self.place_of(prompt)?)
    }

    fn enqueue(&mut self, queued: PromptQueued) {
        let place = queued.delivery.place(self.queue.iter().map(|waiting| waiting.delivery));
        self.queue.insert(place, queued);
    }
}
