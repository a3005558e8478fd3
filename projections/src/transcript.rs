//! Transcripts: what was said between people and structured agents, folded from a session's events.
//!
//! Whoever reads one feeds it page by page, from the session's first event, and may take out what is settled: so it takes no
//! more room than what is open. What an item's text is once it has settled does not depend on the pieces it came in.

mod history;
mod markdown;
mod parts;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use ropewalk_protocol::{
    AgentId, Event, EventBody, InteractionId, ItemId, PromptId, PromptQueued, Seq, Stream, Timestamp, TurnId,
    TurnOutcome, UsageCount, UsageTotal,
};
use serde::Serialize;

pub use history::{History, PastPart, PastTurn};
pub use markdown::markdown;
pub use parts::{Given, Item, Notice, Part, Prompt, Question, Remark};

use parts::{client, item_of, question_of, remark};

/// What was said with each structured agent of a session.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Transcript {
    seq: Seq,
    agents: BTreeMap<AgentId, Talk>,
}

/// What was said with one agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Talk {
    /// The agent.
    pub agent: AgentId,
    /// What people call it.
    pub name: String,
    /// Its provider.
    pub provider: String,
    /// Its turns, oldest first, and what happened between them.
    pub turns: Vec<Turn>,
    /// Prompts that wait.
    #[serde(skip)]
    waiting: BTreeMap<PromptId, Prompt>,
    /// Prompts of which the agent has not said whether it took them into a turn, and the event that began that.
    #[serde(skip)]
    steered: BTreeMap<PromptId, Seq>,
    #[serde(skip)]
    usage: UsageCount,
}

/// A turn: a prompt, what came of it, and how it ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Turn {
    /// Its id; `None` for what happened between turns.
    pub turn: Option<TurnId>,
    /// The event that began it.
    pub seq: Seq,
    /// When it began.
    pub at: Timestamp,
    /// What was said and done, in order.
    pub parts: Vec<Part>,
    /// How it ended, once it has.
    pub outcome: Option<TurnOutcome>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// What it cost.
    pub usage: UsageTotal,
    /// What the agent had cost before.
    #[serde(skip)]
    before: UsageTotal,
}

impl Transcript {
    /// Takes an event in. One that was taken in before changes nothing.
    pub fn apply(&mut self, event: &Event) {
        if event.seq <= self.seq {
            return;
        }
        self.seq = event.seq;
        match (&event.stream, &event.body) {
            (Stream::Session(_), EventBody::AgentJoined(joined)) => {
                let mut talk = Talk {
                    agent: joined.agent,
                    name: joined.name.clone(),
                    provider: joined.provider.clone(),
                    turns: Vec::new(),
                    waiting: BTreeMap::new(),
                    steered: BTreeMap::new(),
                    usage: UsageCount::default(),
                };
                talk.usage.begin_run(joined.run.run);
                joined.prompt.iter().for_each(|queued| talk.queue(queued, event));
                self.agents.insert(joined.agent, talk);
            }
            (Stream::Agent(_, agent), _) => {
                if let Some(talk) = self.agents.get_mut(agent) {
                    talk.apply(event);
                }
            }
            _ => {}
        }
    }

    /// What was said with each agent, the oldest agent first.
    pub fn talks(&self) -> impl Iterator<Item = &Talk> {
        self.agents.values()
    }

    /// What was said with one agent.
    pub fn talk(&self, agent: AgentId) -> Option<&Talk> {
        self.agents.get(&agent)
    }

    /// Takes out the turns that are settled, oldest first. Nothing is added to them any more, and every prompt that was to go
    /// into them did, or came too late.
    pub fn take_settled(&mut self) -> Vec<(AgentId, Turn)> {
        let mut settled = Vec::new();
        for talk in self.agents.values_mut() {
            let is_awaited = |turn: &Turn| talk.steered.values().any(|began| *began == turn.seq);
            let sure = talk.turns.iter().position(is_awaited).unwrap_or(talk.turns.len());
            let open = talk.turns[..sure].iter().rposition(Turn::is_settled).map_or(0, |last| last + 1);
            settled.extend(talk.turns.drain(..open).map(|turn| (talk.agent, turn)));
        }
        settled.sort_by_key(|(_, turn)| turn.seq);
        settled
    }
}

impl Talk {
    /// Whether a prompt was given to the agent for a turn that ran, and nobody knows yet whether it took it into that.
    pub fn is_on_its_way(&self, prompt: PromptId) -> bool {
        self.steered.contains_key(&prompt)
    }

    fn apply(&mut self, event: &Event) {
        match &event.body {
            EventBody::RunAsked(asked) => self.usage.begin_run(asked.run),
            EventBody::PromptQueued(queued) => self.queue(queued, event),
            EventBody::PromptEdited(edited) => {
                if let Some(waiting) = self.waiting.get_mut(&edited.prompt) {
                    waiting.text.clone_from(&edited.text);
                }
            }
            EventBody::PromptWithdrawn(withdrawn) => drop(self.waiting.remove(&withdrawn.prompt)),
            EventBody::PromptSteered(steered) => {
                if let Some(prompt) = self.waiting.remove(&steered.prompt) {
                    let turn = self.turn_of(Some(steered.turn), event);
                    turn.parts.push(Part::Prompt(Prompt { steered: true, ..prompt }));
                    let began = turn.seq;
                    self.steered.insert(steered.prompt, began);
                }
            }
            EventBody::PromptTaken(taken) => drop(self.steered.remove(&taken.prompt)),
            // Whether it took the others nobody will tell any more.
            EventBody::RunEnded(_) | EventBody::RunFailed(_) | EventBody::AgentClosed(_) => self.steered.clear(),
            EventBody::TurnStarted(started) => {
                let prompt = started.prompt.and_then(|prompt| self.waiting.remove(&prompt));
                let mut turn = Turn::begin(Some(started.turn), event, self.usage.total());
                turn.parts.extend(prompt.map(Part::Prompt));
                self.turns.push(turn);
            }
            EventBody::TurnEnded(ended) => {
                self.usage.end_turn();
                if let Some(turn) = self.turns.iter_mut().rfind(|turn| turn.turn == Some(ended.turn)) {
                    (turn.outcome, turn.ended_at) = (Some(ended.outcome.clone()), Some(event.at));
                    turn.usage.turns = 1;
                }
            }
            EventBody::Used(used) => {
                self.usage.add(used.turn, &used.usage);
                let total = self.usage.total();
                let of = |turn: &&mut Turn| turn.turn.is_some() && (used.turn.is_none() || turn.turn == used.turn);
                if let Some(turn) = self.turns.iter_mut().rfind(of) {
                    turn.usage = difference(&total, &turn.before, turn.usage.turns);
                }
            }
            EventBody::Noticed(noticed) => {
                let (text, until) = (noticed.text.clone(), noticed.until);
                self.turn_of(self.open_turn(), event).parts.push(Part::Notice(Notice {
                    kind: noticed.kind,
                    text,
                    until,
                }));
            }
            EventBody::Held(_)
            | EventBody::Released(_)
            | EventBody::BudgetWarned(_)
            | EventBody::Looped(_)
            | EventBody::TurnSettled(_) => {
                self.turn_of(self.open_turn(), event).parts.push(Part::Remark(remark(event)));
            }
            EventBody::ItemStarted(started) => {
                self.turn_of(started.turn, event).parts.push(Part::Item(Item::begin(started)));
            }
            EventBody::Asked(asked) => {
                let question = Question::begin(asked, event.at);
                self.turn_of(asked.turn, event).parts.push(Part::Question(question));
            }
            body => {
                if let Some(item) = item_of(body).and_then(|item| self.item(item)) {
                    item.follow(body);
                } else if let Some(question) = question_of(body).and_then(|question| self.question(question)) {
                    question.follow(event);
                }
            }
        }
    }

    fn queue(&mut self, queued: &PromptQueued, event: &Event) {
        let PromptQueued { prompt, text, .. } = queued.clone();
        // Nobody says it once more: it is still of whoever said it first.
        let client = self.come_late(prompt).or(client(event));
        self.waiting.insert(prompt, Prompt { prompt, text, client, steered: false, late: false });
    }

    /// A prompt that is queued again came too late for the turn that it was to go into. Who said it.
    fn come_late(&mut self, prompt: PromptId) -> Option<String> {
        let began = self.steered.remove(&prompt)?;
        let turn = self.turns.iter_mut().rfind(|turn| turn.seq == began)?;
        let said = turn.parts.iter_mut().rev().find_map(|part| match part {
            Part::Prompt(said) if said.prompt == prompt => Some(said),
            _ => None,
        })?;
        said.late = true;
        said.client.clone()
    }

    fn open_turn(&self) -> Option<TurnId> {
        let open = self.turns.iter().rfind(|turn| turn.turn.is_some() && turn.outcome.is_none());
        open.and_then(|turn| turn.turn)
    }

    /// The turn with this id; what happens between turns when there is none, or none that is not taken out.
    fn turn_of(&mut self, turn: Option<TurnId>, event: &Event) -> &mut Turn {
        let known = self.turns.iter().rposition(|known| turn.is_some() && known.turn == turn);
        let last = self.turns.len().checked_sub(1).filter(|last| self.turns[*last].turn.is_none());
        let place = known.or(last).unwrap_or_else(|| {
            self.turns.push(Turn::begin(None, event, self.usage.total()));
            self.turns.len() - 1
        });
        &mut self.turns[place]
    }

    fn parts(&mut self) -> impl Iterator<Item = &mut Part> {
        self.turns.iter_mut().rev().flat_map(|turn| turn.parts.iter_mut().rev())
    }

    fn item(&mut self, id: ItemId) -> Option<&mut Item> {
        self.parts().find_map(|part| match part {
            Part::Item(item) if item.item == id => Some(item),
            _ => None,
        })
    }

    fn question(&mut self, id: InteractionId) -> Option<&mut Question> {
        self.parts().find_map(|part| match part {
            Part::Question(question) if question.interaction == id => Some(question),
            _ => None,
        })
    }
}

impl Turn {
    fn begin(turn: Option<TurnId>, event: &Event, before: UsageTotal) -> Self {
        let (seq, at, usage) = (event.seq, event.at, UsageTotal::default());
        Self { turn, seq, at, parts: Vec::new(), outcome: None, ended_at: None, usage, before }
    }

    fn is_settled(&self) -> bool {
        self.outcome.is_some()
    }
}

/// What came on top.
fn difference(total: &UsageTotal, before: &UsageTotal, turns: u64) -> UsageTotal {
    UsageTotal {
        turns,
        input_tokens: total.input_tokens.saturating_sub(before.input_tokens),
        cached_tokens: total.cached_tokens.saturating_sub(before.cached_tokens),
        output_tokens: total.output_tokens.saturating_sub(before.output_tokens),
        cost_micro_usd: total.cost_micro_usd.map(|cost| cost.saturating_sub(before.cost_micro_usd.unwrap_or(0))),
        context_tokens: total.context_tokens,
        context_tokens_max: total.context_tokens_max,
    }
}
