//! What a structured agent is doing, and since when: a function of facts, each with the event that says so.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use ropewalk_protocol::{
    AgentId, AgentJoined, AgentState, AgentStatus, Budget, CancelView, Event, EventBody, HoldReason, HoldView,
    InteractionId, ItemId, ItemKind, PromptView, Seq, SettledTurn, Spending, StructuredView, TerminalId, Timestamp,
    TurnId, limits,
};
use serde::{Deserialize, Serialize};

use super::prompts::Prompts;

/// More calls than a loop is concluded from; others may lie between them.
const CALLS_KEPT: usize = 4 * limits::LOOP_CALLS;

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
    /// That it is to end.
    cancelling: Option<CancelView>,
    conversation: Option<String>,
    version: Option<String>,
    model: Option<String>,
    mode: Option<String>,
    last_turn: Option<SettledTurn>,
    prompts: Prompts,
    /// Questions that are open, each with the event that asked.
    asks: BTreeMap<InteractionId, Seq>,
    /// The directory it works in.
    pub directory: String,
    /// What it has spent.
    pub spending: Spending,
    budget: Budget,
    held: Option<HoldView>,
    /// The newest calls of tools, each with the event that began it: what a loop is concluded from.
    calls: VecDeque<(ItemId, Seq)>,
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
        Self {
            name: joined.name.clone(),
            parent: joined.parent,
            status: AgentStatus { state: AgentState::Starting, since: event.at, evidence: event.seq },
            errors: joined.run.errors,
            turn: None,
            cancelling: None,
            conversation: None,
            version: None,
            model: joined.model.clone(),
            mode: joined.mode.clone(),
            last_turn: None,
            prompts,
            asks: BTreeMap::new(),
            directory: joined.directory.clone(),
            spending: Spending::new(joined.run.run),
            budget: joined.terms.budget,
            held: None,
            calls: VecDeque::new(),
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

    /// Whether it is given no prompts.
    pub fn is_held(&self) -> bool {
        self.held.is_some()
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
            cancelling: self.cancelling.clone(),
            last_turn: self.last_turn.clone(),
            queued: u32::try_from(self.prompts.as_slice().len()).unwrap_or(u32::MAX),
            asks: u32::try_from(self.asks.len()).unwrap_or(u32::MAX),
            usage: self.spending.usage(),
            budget: self.budget,
            spent: self.spending.total(now),
            held: self.held.clone(),
        }
    }

    pub(super) fn follow(&mut self, event: &Event) {
        match &event.body {
            EventBody::RunAsked(asked) => {
                self.errors = asked.errors;
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
                (self.turn, self.cancelling) = (Some(started.turn), None);
                // Some agents say nothing before they are given a prompt. One without a write was given to nobody.
                let was_given = started.input > 0 || started.prompt.is_none();
                if was_given && self.process == Process::Starting {
                    self.process = Process::Ready;
                }
            }
            EventBody::CancelAsked(_) => {
                self.cancelling = Some(CancelView { since: event.at, hard: false, evidence: event.seq });
            }
            EventBody::CancelInsisted(_) => {
                let since = self.cancelling.as_ref().map_or(event.at, |asked| asked.since);
                self.cancelling = Some(CancelView { since, hard: true, evidence: event.seq });
            }
            EventBody::TurnEnded(ended) => {
                (self.turn, self.cancelling) = (None, None);
                let (turn, outcome) = (ended.turn, ended.outcome.clone());
                self.last_turn = Some(SettledTurn { turn, outcome, evidence: event.seq });
            }
            EventBody::Asked(asked) => drop(self.asks.insert(asked.interaction, event.seq)),
            EventBody::Answered(answered) => drop(self.asks.remove(&answered.interaction)),
            EventBody::AskClosed(closed) => drop(self.asks.remove(&closed.interaction)),
            EventBody::TurnSettled(settled) => {
                if let Some(last) = self.last_turn.as_mut().filter(|last| last.turn == settled.turn) {
                    (last.outcome, last.evidence) = (settled.outcome.clone(), event.seq);
                }
            }
            EventBody::ItemStarted(started) if started.kind == ItemKind::Tool => {
                if self.calls.len() == CALLS_KEPT {
                    self.calls.pop_front();
                }
                self.calls.push_back((started.item, event.seq));
            }
            EventBody::AgentBudgetSet(set) => self.budget = set.budget,
            EventBody::Held(held) => {
                let mut evidence = self.evidence_of(&held.reason);
                evidence.push(event.seq);
                let (reason, since, until) = (held.reason.clone(), event.at, held.until);
                self.held = Some(HoldView { reason, since, until, evidence });
            }
            EventBody::Released(_) => self.held = None,
            EventBody::AgentClosed(_) => {
                self.closed = true;
                self.held = None;
                (self.turn, self.cancelling) = (None, None);
                self.asks.clear();
            }
            _ => {}
        }
        self.spending.apply(event.at, &event.body);
        self.prompts.follow(event);
        if is_word(&event.body) {
            self.word = (event.at, event.seq);
        }
        self.conclude(event);
    }

    /// The events that began the calls of a loop, as far as they are remembered.
    fn evidence_of(&self, reason: &HoldReason) -> Vec<Seq> {
        let HoldReason::Loop { items } = reason else { return Vec::new() };
        self.calls.iter().filter(|(item, _)| items.contains(item)).map(|(_, seq)| *seq).collect()
    }

    fn state(&self) -> AgentState {
        match (self.closed, self.process, self.turn) {
            (true, _, _) => AgentState::Closed,
            (false, _, None) if self.held.is_some() => AgentState::Parked,
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
            | EventBody::PromptTaken(_)
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
