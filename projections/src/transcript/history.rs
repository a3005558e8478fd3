//! The transcript of one agent, of which the newest part is known at once, and older parts as a reader scrolls back.
//!
//! A page of older events is folded by itself, as if nothing lay before it, and then joined to what is known (`join`). So it
//! costs what the page is long. What a page tells of something that began before it waits until its beginning is there. In the
//! end the history is what a [`Transcript`](super::Transcript) makes of all events in order: an agent has one open turn at a
//! time, and what it does and asks names that turn.
//!
//! - `join`: an older part in front of a newer one
//! - `loose`: what was told of parts that began before
//! - `prompts`: what was said to the agent, which may lie long before the turn that it began, or came too late for
//! - `ledger`: what turns cost, which may depend on what was counted before them

mod join;
mod ledger;
mod loose;
mod prompts;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};

use ropewalk_protocol::{
    AgentId, Event, EventBody, InteractionId, ItemId, Seq, Stream, Timestamp, TurnId, TurnOutcome, UsageTotal,
};

use self::ledger::{Count, Ledger};
use self::loose::{Loose, Subject};
use self::prompts::Prompts;
use super::parts::{Item, Notice, Part, Question, item_of, question_of, remark};

/// What was said with one agent, as far back as it was read.
#[derive(Debug, Clone)]
pub struct History {
    agent: AgentId,
    /// The oldest one first.
    turns: VecDeque<PastTurn>,
    /// The number of the first turn. A turn keeps its number when others come in front of it.
    first: i64,
    numbers: BTreeMap<TurnKey, i64>,
    keys: BTreeMap<TurnId, TurnKey>,
    items: BTreeMap<ItemId, Place>,
    questions: BTreeMap<InteractionId, Place>,
    /// What was told of parts whose beginnings are not known yet.
    loose: BTreeMap<Subject, Loose>,
    prompts: Prompts,
    ledger: Ledger,
    /// Whether a turn was open where this begins, and whether one is where it ends.
    begin: Seam,
    end: Seam,
    /// Parts of which nobody knows yet whether they are of an open turn. They stand in the first turn then, which is none.
    unsure: usize,
    from: Option<Seq>,
    to: Seq,
    is_whole: bool,
    revision: u64,
    next_key: u64,
}

/// A turn of which the beginning may not be known yet, or what happened between turns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastTurn {
    /// Its id; `None` for what happened between turns.
    pub turn: Option<TurnId>,
    /// Its beginning is known.
    pub is_begun: bool,
    /// The event that began it; where that is not known, the oldest one that tells of it.
    pub seq: Seq,
    /// When that was.
    pub at: Timestamp,
    /// What was said and done, in order.
    pub parts: VecDeque<PastPart>,
    /// How it ended, once it has.
    pub outcome: Option<TurnOutcome>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Rises when the turn changes; that of a part when it does.
    pub revision: u64,
    key: TurnKey,
    /// The number of the first part. A part keeps its number when others come in front of it.
    first: i64,
    /// Where the ledger has its beginning, and the last count of what it cost.
    started: Option<i64>,
    used: Option<i64>,
}

/// Something that was said or done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastPart {
    /// The event that began it.
    pub seq: Seq,
    /// When that was.
    pub at: Timestamp,
    /// It.
    pub part: Part,
    /// A prompt of which something lies in what was not read yet: its text, which is empty then, or what it was changed to; or
    /// who said it.
    pub is_partial: bool,
    /// Rises when the part changes.
    pub revision: u64,
    is_unsure: bool,
}

impl PastTurn {
    /// The number of the first part. A part keeps its number when others come in front of it, so this falls then.
    pub fn first(&self) -> i64 {
        self.first
    }
}

/// A turn, whatever its place is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct TurnKey(u64);

/// Where a part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    turn: TurnKey,
    part: i64,
}

/// Whether a turn is open at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seam {
    /// Nothing tells.
    Unknown,
    /// None is.
    Between,
    /// This one is.
    In(TurnKey),
}

impl History {
    /// Nothing is known yet of this agent.
    pub fn new(agent: AgentId) -> Self {
        Self {
            agent,
            turns: VecDeque::new(),
            first: 0,
            numbers: BTreeMap::new(),
            keys: BTreeMap::new(),
            items: BTreeMap::new(),
            questions: BTreeMap::new(),
            loose: BTreeMap::new(),
            prompts: Prompts::default(),
            ledger: Ledger::default(),
            begin: Seam::Unknown,
            end: Seam::Unknown,
            unsure: 0,
            from: None,
            to: Seq::ZERO,
            is_whole: false,
            revision: 0,
            next_key: 0,
        }
    }

    /// The turns, and what happened between them, the oldest one first.
    pub fn turns(&self) -> &VecDeque<PastTurn> {
        &self.turns
    }

    /// The number of the first turn. A turn keeps its number when others come in front of it, so this falls then.
    pub fn first(&self) -> i64 {
        self.first
    }

    /// The oldest event that was taken in: older ones are those before it.
    pub fn from(&self) -> Option<Seq> {
        self.from
    }

    /// Nothing older exists.
    pub fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// Rises with every change. Each turn and each part has the number of its own last one.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// What a turn cost; `None` while that depends on what was not read yet. It may become known without a change of the turn.
    pub fn usage(&self, turn: &PastTurn) -> Option<UsageTotal> {
        let turns = u64::from(turn.outcome.is_some());
        let nothing = UsageTotal { turns, ..UsageTotal::default() };
        match (turn.turn, turn.started, turn.used) {
            (None, _, _) => Some(UsageTotal::default()),
            (Some(_), None, _) => None,
            (Some(_), Some(_), None) => Some(nothing),
            (Some(_), Some(started), Some(used)) => {
                let usage = self.ledger.usage(started, used, self.is_whole)?;
                Some(UsageTotal { turns, ..usage })
            }
        }
    }

    /// Takes in what just happened: an event newer than all before it. Others change nothing.
    pub fn apply(&mut self, event: &Event) {
        if event.seq <= self.to {
            return;
        }
        self.to = event.seq;
        self.from.get_or_insert(event.seq);
        match (&event.stream, &event.body) {
            (Stream::Session(_), EventBody::AgentJoined(joined)) if joined.agent == self.agent => {
                self.be_whole();
                self.ledger.push(Count::Run(joined.run.run));
                joined.prompt.iter().for_each(|queued| self.queue(queued, event));
            }
            (Stream::Agent(_, agent), _) if *agent == self.agent => self.follow(event),
            _ => {}
        }
    }

    fn follow(&mut self, event: &Event) {
        match &event.body {
            EventBody::RunAsked(asked) => self.ledger.push(Count::Run(asked.run)),
            EventBody::PromptQueued(queued) => self.queue(queued, event),
            EventBody::PromptEdited(edited) => self.prompts.edit(edited, self.is_whole),
            EventBody::PromptWithdrawn(withdrawn) => self.prompts.withdraw(withdrawn.prompt, self.is_whole),
            EventBody::PromptSteered(steered) => {
                if let Some(taken) = self.prompts.take(steered.prompt, true, self.is_whole) {
                    let turn = self.turn_of(Some(steered.turn), event);
                    self.push_prompt(turn, taken, event);
                }
            }
            EventBody::TurnStarted(started) => {
                self.be_between();
                let turn = self.push_turn(Some(started.turn), event);
                self.end = Seam::In(turn);
                let place = self.ledger.end();
                self.ledger.push(Count::Turn(started.turn));
                self.turn(turn).started = Some(place);
                if let Some(taken) = started.prompt.and_then(|prompt| self.prompts.take(prompt, false, self.is_whole)) {
                    self.push_prompt(turn, taken, event);
                }
            }
            EventBody::TurnEnded(ended) => {
                let Some(key) = self.known_turn(ended.turn, event) else { return };
                let revision = self.next_revision();
                let turn = self.turn(key);
                (turn.outcome, turn.ended_at) = (Some(ended.outcome.clone()), Some(event.at));
                turn.revision = revision;
                if self.end == Seam::In(key) {
                    self.end = Seam::Between;
                }
            }
            EventBody::Used(used) => {
                let place = self.ledger.end();
                self.ledger.push(Count::Used(used.turn, used.usage.clone()));
                let newest = || self.turns.iter().rev().find(|turn| turn.turn.is_some()).map(|turn| turn.key);
                let key = used.turn.map_or_else(newest, |turn| self.keys.get(&turn).copied());
                match key {
                    Some(key) => self.set_used(key, place),
                    None => drop(self.ledger.loose.insert(used.turn, place)),
                }
            }
            EventBody::Noticed(noticed) => {
                let (text, until) = (noticed.text.clone(), noticed.until);
                self.push_said(Part::Notice(Notice { kind: noticed.kind, text, until }), event);
            }
            EventBody::Held(_)
            | EventBody::Released(_)
            | EventBody::BudgetWarned(_)
            | EventBody::Looped(_)
            | EventBody::TurnSettled(_) => self.push_said(Part::Remark(remark(event)), event),
            EventBody::ItemStarted(started) => {
                let turn = self.turn_of(started.turn, event);
                let place = self.push_part(turn, Part::Item(Item::begin(started)), event);
                self.items.insert(started.item, place);
            }
            EventBody::Asked(asked) => {
                let turn = self.turn_of(asked.turn, event);
                let place = self.push_part(turn, Part::Question(Question::begin(asked, event.at)), event);
                self.questions.insert(asked.interaction, place);
            }
            body => {
                let item = item_of(body).map(|item| (Subject::Item(item), self.items.get(&item).copied()));
                let question = || {
                    let question = question_of(body)?;
                    Some((Subject::Question(question), self.questions.get(&question).copied()))
                };
                match item.or_else(question) {
                    Some((_, Some(place))) => self.change_part(place, event),
                    Some((subject, None)) if !self.is_whole => self.loose.entry(subject).or_default().push(event),
                    Some(_) | None => {}
                }
            }
        }
    }

    fn next_revision(&mut self) -> u64 {
        self.revision += 1;
        self.revision
    }

    fn turn(&mut self, key: TurnKey) -> &mut PastTurn {
        let number = self.numbers[&key] - self.first;
        &mut self.turns[usize::try_from(number).expect("a turn's number is not below the first one's")]
    }

    /// Something was counted for a turn. Its cost is another one now.
    fn set_used(&mut self, key: TurnKey, place: i64) {
        let revision = self.next_revision();
        let turn = self.turn(key);
        (turn.used, turn.revision) = (turn.used.max(Some(place)), revision);
    }

    fn new_turn(&mut self, turn: Option<TurnId>, event: &Event) -> PastTurn {
        let key = TurnKey(self.next_key);
        self.next_key += 1;
        self.keys.extend(turn.map(|turn| (turn, key)));
        PastTurn {
            turn,
            is_begun: true,
            seq: event.seq,
            at: event.at,
            parts: VecDeque::new(),
            outcome: None,
            ended_at: None,
            revision: self.next_revision(),
            key,
            first: 0,
            started: None,
            used: None,
        }
    }

    fn push_turn(&mut self, turn: Option<TurnId>, event: &Event) -> TurnKey {
        let turn = self.new_turn(turn, event);
        let key = turn.key;
        self.numbers.insert(key, self.first + i64::try_from(self.turns.len()).expect("turns fit into memory"));
        self.turns.push_back(turn);
        key
    }

    /// The turn with this id, which began before all that is known if nothing tells otherwise.
    fn known_turn(&mut self, turn: TurnId, event: &Event) -> Option<TurnKey> {
        if let Some(key) = self.keys.get(&turn) {
            return Some(*key);
        }
        if self.begin != Seam::Unknown {
            return None;
        }
        let unbegun = PastTurn { is_begun: false, ..self.new_turn(Some(turn), event) };
        let key = unbegun.key;
        self.push_front(unbegun);
        (self.begin, self.end) = (Seam::In(key), Seam::In(key));
        let parts = self.take_unsure();
        if let Some(first) = parts.first() {
            let (seq, at) = (first.seq, first.at);
            let turn = self.turn(key);
            (turn.seq, turn.at) = (seq, at);
            turn.parts.extend(parts);
        }
        for of in [Some(turn), None] {
            if let Some(place) = self.ledger.loose.remove(&of) {
                self.set_used(key, place);
            }
        }
        Some(key)
    }

    /// The turn with this id; what happens between turns when there is none.
    fn turn_of(&mut self, turn: Option<TurnId>, event: &Event) -> TurnKey {
        let known = turn.and_then(|turn| self.known_turn(turn, event));
        known.unwrap_or_else(|| self.between(event))
    }

    fn between(&mut self, event: &Event) -> TurnKey {
        match self.turns.back().filter(|last| last.turn.is_none()) {
            Some(last) => last.key,
            None => self.push_turn(None, event),
        }
    }

    fn push_part(&mut self, turn: TurnKey, part: Part, event: &Event) -> Place {
        let revision = self.next_revision();
        let of = self.turn(turn);
        of.revision = revision;
        let (seq, at, is_partial, is_unsure) = (event.seq, event.at, false, false);
        of.parts.push_back(PastPart { seq, at, part, is_partial, revision, is_unsure });
        Place { turn, part: of.first + i64::try_from(of.parts.len()).expect("parts fit into memory") - 1 }
    }

    /// Adds what names no turn: it is of the open one.
    fn push_said(&mut self, part: Part, event: &Event) {
        let turn = match self.end {
            Seam::In(turn) => turn,
            Seam::Between | Seam::Unknown => self.between(event),
        };
        let place = self.push_part(turn, part, event);
        if self.end == Seam::Unknown {
            self.part(place).is_unsure = true;
            self.unsure += 1;
        }
    }

    fn part(&mut self, place: Place) -> &mut PastPart {
        let turn = self.turn(place.turn);
        let number = usize::try_from(place.part - turn.first).expect("a part's number is not below the first one's");
        &mut turn.parts[number]
    }

    fn change_part(&mut self, place: Place, event: &Event) {
        let revision = self.next_revision();
        self.turn(place.turn).revision = revision;
        let part = self.part(place);
        part.revision = revision;
        match &mut part.part {
            Part::Item(item) => item.follow(&event.body),
            Part::Question(question) => question.follow(event),
            Part::Prompt(_) | Part::Notice(_) | Part::Remark(_) => {}
        }
    }
}
