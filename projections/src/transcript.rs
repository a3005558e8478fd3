//! Transcripts: what was said between people and structured agents, folded from a session's events.
//!
//! Whoever reads one feeds it page by page, from the session's first event, and may take out what is settled: so it takes no
//! more room than what is open. What an item's text is once it has settled does not depend on the pieces it came in.

mod markdown;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use ropewalk_protocol::{
    AgentId, Answer, AskEnd, AskKind, AskOption, Event, EventBody, InteractionId, ItemId, ItemKind, ItemStatus,
    NoticeKind, PromptId, PromptQueued, Rule, Seq, Stream, Timestamp, TurnId, TurnOutcome, UsageCount, UsageTotal,
    limits,
};
use serde::Serialize;

use crate::timeline;

pub use markdown::markdown;

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

/// Something that was said or done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Part {
    /// Somebody said it to the agent.
    Prompt(Prompt),
    /// The agent said, thought or did it.
    Item(Item),
    /// The agent asked.
    Question(Question),
    /// The agent said it beside its work.
    Notice(Notice),
    /// It became of the agent: a budget, a hold, how a turn really ended.
    Remark(Remark),
}

/// What somebody said to an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Prompt {
    /// Its id.
    pub prompt: PromptId,
    /// It.
    pub text: String,
    /// The client it came from.
    pub client: Option<String>,
    /// It was said into a turn that ran already.
    pub steered: bool,
}

/// What an agent said, thought or did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Item {
    /// Its id.
    pub item: ItemId,
    /// The tool call it is part of, for what a sub-agent does.
    pub parent: Option<ItemId>,
    /// What it is.
    pub kind: ItemKind,
    /// What people read: a tool's name and what it is for.
    pub title: String,
    /// What a tool was called with, as JSON.
    pub input: String,
    /// What was said, or a tool's output: a preview until the whole of it is told.
    pub text: String,
    /// How it ended, once it has.
    pub status: Option<ItemStatus>,
    /// The whole text is being told: what was previewed does not count any more.
    #[serde(skip)]
    is_told: bool,
    /// There was more of it than is kept.
    #[serde(skip)]
    is_full: bool,
}

/// What an agent asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Question {
    /// Its id.
    pub interaction: InteractionId,
    /// The tool call it is about.
    pub item: Option<ItemId>,
    /// What was asked for.
    pub kind: AskKind,
    /// What people read.
    pub title: String,
    /// What was to be done, as JSON.
    pub detail: String,
    /// The ways to answer.
    pub options: Vec<AskOption>,
    /// When it was asked.
    pub at: Timestamp,
    /// What was answered, if anything was.
    pub answer: Option<Given>,
    /// Why it was closed without an answer.
    pub closed: Option<AskEnd>,
    /// The rule that says what became of it, if one did.
    pub rule: Option<Rule>,
}

/// An answer that was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Given {
    /// It.
    pub answer: Answer,
    /// The client it came from; `None`: the session's own rules.
    pub client: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// What an agent said beside its work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Notice {
    /// What kind of thing.
    pub kind: NoticeKind,
    /// It.
    pub text: String,
    /// When the agent goes on, if it told.
    pub until: Option<Timestamp>,
}

/// What became of an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Remark {
    /// The event that says so.
    pub seq: Seq,
    /// It, in a sentence.
    pub text: String,
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

    /// Takes out the turns that are settled, oldest first. Nothing is added to them any more.
    pub fn take_settled(&mut self) -> Vec<(AgentId, Turn)> {
        let mut settled = Vec::new();
        for talk in self.agents.values_mut() {
            let open = talk.turns.iter().rposition(Turn::is_settled).map_or(0, |last| last + 1);
            settled.extend(talk.turns.drain(..open).map(|turn| (talk.agent, turn)));
        }
        settled.sort_by_key(|(_, turn)| turn.seq);
        settled
    }
}

impl Talk {
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
                    self.turn_of(Some(steered.turn), event)
                        .parts
                        .push(Part::Prompt(Prompt { steered: true, ..prompt }));
                }
            }
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
                let text = timeline::entry(event).map(|entry| entry.text).unwrap_or_default();
                let remark = Remark { seq: event.seq, text };
                self.turn_of(self.open_turn(), event).parts.push(Part::Remark(remark));
            }
            _ => {
                self.apply_to_items(event);
                self.apply_to_questions(event);
            }
        }
    }

    fn apply_to_items(&mut self, event: &Event) {
        match &event.body {
            EventBody::ItemStarted(started) => {
                let item = Item {
                    item: started.item,
                    parent: started.parent,
                    kind: started.kind,
                    title: started.title.clone(),
                    input: started.input.clone(),
                    text: String::new(),
                    status: None,
                    is_told: false,
                    is_full: false,
                };
                self.turn_of(started.turn, event).parts.push(Part::Item(item));
            }
            EventBody::ItemChanged(changed) => {
                if let Some(item) = self.item(changed.item) {
                    item.title.clone_from(&changed.title);
                    item.input.clone_from(&changed.input);
                }
            }
            EventBody::ItemDelta(delta) => {
                if let Some(item) = self.item(delta.item).filter(|item| !item.is_told) {
                    item.push(&delta.text);
                }
            }
            EventBody::ItemText(piece) => {
                if let Some(item) = self.item(piece.item) {
                    if piece.first || !item.is_told {
                        item.text.clear();
                        (item.is_told, item.is_full) = (true, false);
                    }
                    item.push(&piece.text);
                }
            }
            EventBody::ItemEnded(ended) => {
                if let Some(item) = self.item(ended.item) {
                    item.status = Some(ended.status);
                }
            }
            _ => {}
        }
    }

    fn apply_to_questions(&mut self, event: &Event) {
        match &event.body {
            EventBody::Asked(asked) => {
                let question = Question {
                    interaction: asked.interaction,
                    item: asked.item,
                    kind: asked.kind,
                    title: asked.title.clone(),
                    detail: asked.detail.clone(),
                    options: asked.options.clone(),
                    at: event.at,
                    answer: None,
                    closed: None,
                    rule: None,
                };
                self.turn_of(asked.turn, event).parts.push(Part::Question(question));
            }
            EventBody::Answered(answered) => {
                if let Some(question) = self.question(answered.interaction) {
                    let client = client(event);
                    question.answer = Some(Given { answer: answered.answer.clone(), client, at: event.at });
                }
            }
            EventBody::RuleApplied(applied) => {
                if let Some(question) = self.question(applied.interaction) {
                    question.rule = Some(applied.rule.clone());
                }
            }
            EventBody::AskClosed(closed) => {
                if let Some(question) = self.question(closed.interaction) {
                    question.closed = Some(closed.reason);
                }
            }
            _ => {}
        }
    }

    fn queue(&mut self, queued: &PromptQueued, event: &Event) {
        let PromptQueued { prompt, text, .. } = queued.clone();
        self.waiting.insert(prompt, Prompt { prompt, text, client: client(event), steered: false });
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

impl Item {
    /// Adds to the text, as far as there is room. Where it is cut does not depend on the pieces it comes in.
    fn push(&mut self, piece: &str) {
        if self.is_full {
            return;
        }
        let room = limits::ITEM_TEXT_BYTES_MAX.saturating_sub(self.text.len());
        let fits = piece.floor_char_boundary(room);
        self.is_full = fits < piece.len();
        self.text.push_str(&piece[..fits]);
    }
}

fn client(event: &Event) -> Option<String> {
    event.cause.as_ref().map(|cause| cause.client.clone())
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
