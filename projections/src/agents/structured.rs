//! What a structured agent is doing, and since when: a function of facts, each with the event that says so.

use std::collections::BTreeMap;
use std::time::Duration;

use ropewalk_protocol::{
    AgentId, AgentJoined, AgentState, AgentStatus, Event, EventBody, InteractionId, PromptView, Seq, SettledTurn,
    StructuredView, TerminalId, Timestamp, TurnId, limits,
};
use serde::{Deserialize, Serialize};

use super::prompts::Prompts;
use crate::UsageCount;

/// How far the newest run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Process {
    /// It was asked for, and has not said that it takes prompts.
    Starting,
    /// It takes prompts.
    Ready,
    /// It is gone, or will not work.
    Gone,
}

/// A structured agent's facts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Structured {
    /// What people call it.
    pub name: String,
    /// The agent that started it, if one did.
    pub parent: Option<AgentId>,
    /// What it is doing, as far as no clock is needed to tell: see [`Structured::status_at`].
    pub status: AgentStatus,
    /// What it writes to its error output.
    pub errors: TerminalId,
    /// The open turn.
    pub turn: Option<TurnId>,
    conversation: Option<String>,
    version: Option<String>,
    model: Option<String>,
    mode: Option<String>,
    last_turn: Option<SettledTurn>,
    prompts: Prompts,
    /// Questions that are open, each with the event that asked.
    asks: BTreeMap<InteractionId, Seq>,
    usage: UsageCount,
    process: Process,
    closed: bool,
    /// When it last said something, or was given something to answer to.
    word: (Timestamp, Seq),
}

impl Structured {
    /// An agent that just joined its session.
    pub(super) fn joined(joined: &AgentJoined, event: &Event) -> Self {
        let mut prompts = Prompts::default();
        if let Some(queued) = &joined.prompt {
            prompts.push(queued, event);
        }
        let mut usage = UsageCount::default();
        usage.begin_run(joined.run.run);
        Self {
            name: joined.name.clone(),
            parent: joined.parent,
            status: AgentStatus { state: AgentState::Starting, since: event.at, evidence: event.seq },
            errors: joined.run.errors,
            turn: None,
            conversation: None,
            version: None,
            model: joined.model.clone(),
            mode: joined.mode.clone(),
            last_turn: None,
            prompts,
            asks: BTreeMap::new(),
            usage,
            process: Process::Starting,
            closed: false,
            word: (event.at, event.seq),
        }
    }

    /// What it is doing at this time.
    pub fn status_at(&self, now: Timestamp) -> AgentStatus {
        let (since, evidence) = self.word;
        if self.status.state == AgentState::Working && now.since(since) > Duration::from_millis(limits::STALL_MILLIS) {
            return AgentStatus { state: AgentState::Stalled, since, evidence };
        }
        self.status.clone()
    }

    /// The prompts that wait, the next one first.
    pub fn prompts(&self) -> &[PromptView] {
        self.prompts.as_slice()
    }

    pub(super) fn view(&self, now: Timestamp) -> StructuredView {
        StructuredView {
            name: self.name.clone(),
            parent: self.parent,
            status: self.status_at(now),
            errors: self.errors,
            conversation: self.conversation.clone(),
            version: self.version.clone(),
            model: self.model.clone(),
            mode: self.mode.clone(),
            turn: self.turn,
            last_turn: self.last_turn.clone(),
            queued: u32::try_from(self.prompts.as_slice().len()).unwrap_or(u32::MAX),
            asks: u32::try_from(self.asks.len()).unwrap_or(u32::MAX),
            usage: self.usage.total(),
        }
    }

    pub(super) fn follow(&mut self, event: &Event) {
        match &event.body {
            EventBody::RunAsked(asked) => {
                self.errors = asked.errors;
                self.usage.begin_run(asked.run);
                self.process = Process::Starting;
            }
            EventBody::RunFailed(_) | EventBody::RunEnded(_) | EventBody::AgentRefused(_) => {
                self.process = Process::Gone;
            }
            EventBody::AgentGreeted(greeted) if greeted.conversation.is_some() => {
                self.conversation.clone_from(&greeted.conversation);
            }
            EventBody::AgentReady(ready) => {
                self.process = Process::Ready;
                let known = [&mut self.conversation, &mut self.version, &mut self.model, &mut self.mode];
                let told = [&ready.conversation, &ready.version, &ready.model, &ready.mode];
                known
                    .into_iter()
                    .zip(told)
                    .filter(|(_, told)| told.is_some())
                    .for_each(|(to, told)| to.clone_from(told));
            }
            EventBody::SettingsChanged(changed) => {
                let asked_for = [(&mut self.model, &changed.model), (&mut self.mode, &changed.mode)];
                asked_for.into_iter().filter(|(_, to)| to.is_some()).for_each(|(of, to)| of.clone_from(to));
            }
            EventBody::TurnStarted(started) => {
                self.turn = Some(started.turn);
                // Some agents say nothing before they are given a prompt. One without a write was given to nobody.
                let was_given = started.input > 0 || started.prompt.is_none();
                if was_given && self.process == Process::Starting {
                    self.process = Process::Ready;
                }
            }
            EventBody::TurnEnded(ended) => {
                self.turn = None;
                self.usage.end_turn();
                let (turn, outcome) = (ended.turn, ended.outcome.clone());
                self.last_turn = Some(SettledTurn { turn, outcome, evidence: event.seq });
            }
            EventBody::Asked(asked) => drop(self.asks.insert(asked.interaction, event.seq)),
            EventBody::Answered(answered) => drop(self.asks.remove(&answered.interaction)),
            EventBody::AskClosed(closed) => drop(self.asks.remove(&closed.interaction)),
            EventBody::Used(used) => self.usage.add(used.turn, &used.usage),
            EventBody::AgentClosed(_) => {
                self.closed = true;
                self.turn = None;
                self.asks.clear();
            }
            _ => {}
        }
        self.prompts.follow(event);
        if is_word(&event.body) {
            self.word = (event.at, event.seq);
        }
        self.conclude(event);
    }

    fn state(&self) -> AgentState {
        match (self.closed, self.process, self.turn) {
            (true, _, _) => AgentState::Closed,
            (false, Process::Gone, _) => AgentState::Stopped,
            (false, _, Some(_)) if !self.asks.is_empty() => AgentState::Waiting,
            (false, _, Some(_)) => AgentState::Working,
            (false, Process::Starting, None) => AgentState::Starting,
            (false, Process::Ready, None) => AgentState::Idle,
        }
    }

    /// What follows from the facts as they are after this event.
    fn conclude(&mut self, event: &Event) {
        let state = self.state();
        if state != self.status.state {
            self.status = AgentStatus { state, since: event.at, evidence: event.seq };
        }
        // It waits for as long as before, but what proves it was answered.
        if state == AgentState::Waiting && !self.asks.values().any(|asked| *asked == self.status.evidence) {
            self.status.evidence = self.asks.values().min().copied().unwrap_or(event.seq);
        }
    }
}

/// Whether silence is counted from this event on: the agent said something, or it was its turn to. How far its output is taken
/// in says nothing: what means nothing is taken in too.
fn is_word(body: &EventBody) -> bool {
    matches!(
        body,
        EventBody::RunStarted(_)
            | EventBody::AgentReady(_)
            | EventBody::TurnStarted(_)
            | EventBody::TurnConfirmed(_)
            | EventBody::PromptSteered(_)
            | EventBody::ItemStarted(_)
            | EventBody::ItemChanged(_)
            | EventBody::ItemDelta(_)
            | EventBody::ItemText(_)
            | EventBody::ItemEnded(_)
            | EventBody::Asked(_)
            | EventBody::Answered(_)
            | EventBody::AskClosed(_)
            | EventBody::Used(_)
            | EventBody::Noticed(_)
    )
}
