//! An older part of a history in front of a newer one. Where both tell of one turn or one part, the newer one went on with
//! what the older one began.

use std::collections::BTreeMap;

use ropewalk_protocol::{Event, Seq};

use super::{History, Part, PastPart, PastTurn, Place, Seam, Subject, TurnKey};

/// Where the parts of an older turn are that went on in a newer one: the turn, and what to add to their numbers.
type Moved = BTreeMap<TurnKey, (TurnKey, i64)>;

impl History {
    /// Takes in a page of older events, the oldest first, that ends where what is known begins. `more`: older ones exist.
    pub fn prepend(&mut self, events: &[Event], more: bool) {
        if self.is_whole {
            return;
        }
        let mut older = History::new(self.agent);
        (older.next_key, older.revision) = (self.next_key, self.revision);
        let known = self.from.unwrap_or(Seq(u64::MAX));
        events.iter().filter(|event| event.seq < known).for_each(|event| older.apply(event));
        self.join(older);
        if !more {
            self.be_whole();
        }
    }

    fn join(&mut self, mut older: History) {
        (self.next_key, self.revision) = (older.next_key, older.revision);
        self.meet(&mut older);
        self.join_counts(&mut older);
        let moved = self.join_turns(&mut older);
        let place = |at: Place| match moved.get(&at.turn) {
            Some((turn, shift)) => Place { turn: *turn, part: at.part + shift },
            None => at,
        };
        for (item, at) in older.items {
            self.items.entry(item).or_insert(place(at));
            self.go_on(Subject::Item(item), place(at));
        }
        for (question, at) in older.questions {
            self.questions.entry(question).or_insert(place(at));
            self.go_on(Subject::Question(question), place(at));
        }
        for (subject, loose) in older.loose {
            self.loose.entry(subject).or_default().join(loose);
        }
        self.join_prompts(older.prompts, place);
        if older.begin != Seam::Unknown {
            self.begin = match older.begin {
                Seam::In(turn) => Seam::In(moved.get(&turn).map_or(turn, |(turn, _)| *turn)),
                other => other,
            };
        }
        self.unsure += older.unsure;
        self.from = older.from.or(self.from);
        self.to = self.to.max(older.to);
        if older.is_whole {
            self.be_whole();
        }
    }

    /// Finds out which turn is open where the two meet: what one of them knows of it the other one is told.
    fn meet(&mut self, older: &mut History) {
        match (older.end, self.begin) {
            (Seam::Unknown, Seam::In(turn)) => {
                let revision = self.next_revision();
                let parts = older.take_unsure();
                let turn = self.turn(turn);
                turn.revision = revision;
                turn.first -= count(parts.len());
                parts.into_iter().rev().for_each(|part| turn.parts.push_front(part));
                if let Some(first) = turn.parts.front() {
                    (turn.seq, turn.at) = (turn.seq.min(first.seq), turn.at.min(first.at));
                }
            }
            (Seam::Unknown, Seam::Between) => older.be_between(),
            (Seam::In(turn), Seam::Unknown) => {
                let parts = self.take_unsure();
                older.turn(turn).parts.extend(parts);
                (self.begin, self.end) = (Seam::In(turn), Seam::In(turn));
            }
            (Seam::Between, Seam::Unknown) => {
                self.be_between();
            }
            (Seam::Unknown, Seam::Unknown) | (Seam::In(_) | Seam::Between, Seam::In(_) | Seam::Between) => {}
        }
    }

    fn join_counts(&mut self, older: &mut History) {
        let shift = self.ledger.join(&mut older.ledger);
        for turn in &mut older.turns {
            turn.started = turn.started.map(|number| number + shift);
            turn.used = turn.used.map(|number| number + shift);
        }
        for (turn, number) in std::mem::take(&mut self.ledger.loose) {
            let newest = || older.turns.iter().rev().find(|turn| turn.turn.is_some()).map(|turn| turn.key);
            match turn.map_or_else(newest, |turn| older.keys.get(&turn).copied()) {
                Some(key) => older.set_used(key, number),
                None => drop(self.ledger.loose.insert(turn, number)),
            }
        }
        for (turn, number) in std::mem::take(&mut older.ledger.loose) {
            self.ledger.loose.entry(turn).or_insert(number + shift);
        }
        self.revision = self.revision.max(older.revision);
    }

    fn join_turns(&mut self, older: &mut History) -> Moved {
        let mut moved = Moved::new();
        let mut unbegun = Vec::new();
        while let Some(turn) = self.turns.pop_front_if(|turn| !turn.is_begun) {
            self.first += 1;
            match turn.turn.and_then(|id| older.keys.get(&id).copied()) {
                Some(key) => {
                    let begun = older.turn(key);
                    let joined = self.gone_on(begun, turn, &mut moved);
                    *older.turn(key) = joined;
                }
                None => unbegun.push(turn),
            }
        }
        let last = older.turns.pop_back_if(|last| last.turn.is_none() && self.is_first_between());
        if let Some(mut last) = last
            && let Some(next) = self.turns.pop_front()
        {
            let joined = self.gone_on(&mut last, next, &mut moved);
            self.turns.push_front(joined);
        }
        let older = std::mem::take(&mut older.turns);
        unbegun.into_iter().chain(older).rev().for_each(|turn| self.push_front(turn));
        moved
    }

    fn is_first_between(&self) -> bool {
        self.turns.front().is_some_and(|first| first.turn.is_none())
    }

    /// A turn whose beginning is in one part, and whose end is in another. It keeps the key of the newer one: what is there
    /// may be long.
    fn gone_on(&mut self, older: &mut PastTurn, newer: PastTurn, moved: &mut Moved) -> PastTurn {
        let mut joined = PastTurn {
            is_begun: older.is_begun,
            seq: older.seq,
            at: older.at,
            outcome: newer.outcome.or(older.outcome.take()),
            ended_at: newer.ended_at.or(older.ended_at),
            started: older.started,
            used: newer.used.max(older.used),
            revision: self.next_revision(),
            ..newer
        };
        let parts = std::mem::take(&mut older.parts);
        let shift = joined.first - (older.first + count(parts.len()));
        joined.first -= count(parts.len());
        parts.into_iter().rev().for_each(|part| joined.parts.push_front(part));
        moved.insert(older.key, (joined.key, shift));
        joined
    }

    pub(super) fn push_front(&mut self, turn: PastTurn) {
        self.first -= 1;
        self.numbers.insert(turn.key, self.first);
        self.keys.extend(turn.turn.map(|id| (id, turn.key)));
        self.turns.push_front(turn);
    }

    /// What was told later of a part that is known now.
    fn go_on(&mut self, subject: Subject, place: Place) {
        for event in self.loose.remove(&subject).into_iter().flat_map(|loose| loose.events) {
            self.change_part(place, &event);
        }
    }

    /// No turn is open where this begins, if nothing tells otherwise.
    pub(super) fn be_between(&mut self) {
        if self.begin == Seam::Unknown {
            (self.begin, self.end) = (Seam::Between, Seam::Between);
            let is_unsure = std::mem::take(&mut self.unsure) > 0;
            if let Some(first) = self.turns.front_mut().filter(|_| is_unsure) {
                first.parts.iter_mut().for_each(|part| part.is_unsure = false);
            }
        }
    }

    /// Nothing older exists.
    pub(super) fn be_whole(&mut self) {
        self.be_between();
        self.is_whole = true;
        self.loose.clear();
        self.name_nobody();
    }

    /// Takes out the parts that turn out to be of a turn which is open where this begins.
    pub(super) fn take_unsure(&mut self) -> Vec<PastPart> {
        if std::mem::take(&mut self.unsure) == 0 {
            return Vec::new();
        }
        let place = self.turns.iter().position(|turn| turn.turn.is_none()).expect("unsure parts stand between turns");
        let revision = self.next_revision();
        let turn = &mut self.turns[place];
        let (unsure, rest): (Vec<_>, Vec<_>) =
            std::mem::take(&mut turn.parts).into_iter().partition(|part| part.is_unsure);
        let key = turn.key;
        match rest.first() {
            Some(first) => {
                (turn.seq, turn.at, turn.revision, turn.first) = (first.seq, first.at, revision, 0);
                turn.parts = rest.into();
                self.place_again(key);
            }
            None => self.remove_between(place),
        }
        unsure.into_iter().map(|part| PastPart { is_unsure: false, ..part }).collect()
    }

    /// The parts of a turn have other numbers than before.
    fn place_again(&mut self, key: TurnKey) {
        let number = usize::try_from(self.numbers[&key] - self.first).expect("it is there");
        for (part, number) in self.turns[number].parts.iter().zip(0..) {
            let place = Place { turn: key, part: number };
            match &part.part {
                Part::Item(item) => drop(self.items.insert(item.item, place)),
                Part::Question(question) => drop(self.questions.insert(question.interaction, place)),
                Part::Prompt(_) | Part::Notice(_) | Part::Remark(_) => {}
            }
        }
    }

    /// Takes out what turns out to be empty. Only turns whose beginning is not known lie before it.
    fn remove_between(&mut self, place: usize) {
        if let Some(gone) = self.turns.remove(place) {
            self.numbers.remove(&gone.key);
        }
        self.first += 1;
        for (turn, number) in self.turns.iter().take(place).zip(self.first..) {
            self.numbers.insert(turn.key, number);
        }
    }
}

fn count(length: usize) -> i64 {
    i64::try_from(length).expect("what is in memory can be counted")
}
