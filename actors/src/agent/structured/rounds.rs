//! Rounds: an agent that calls the same tool in the same way again and again, and always gets the same, makes no progress.

use std::hash::{DefaultHasher, Hash, Hasher};

use ropewalk_protocol::{ItemChanged, ItemId, ItemKind, ItemStarted, ItemStatus, limits};
use serde::{Deserialize, Serialize};

use crate::providers::cut;

/// As much of a title as is told of a round.
const TITLE_BYTES_MAX: usize = 120;

/// A call of a tool on its way. Hashes are of one build only: after another build took over a round may be counted too short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Call {
    pub(super) title: String,
    /// What is called, and how.
    what: u64,
    /// What it gave, as far as it is settled: previews come in pieces that mean nothing.
    gave: u64,
    /// It changes files: that is progress.
    changes: bool,
}

fn hash(of: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

impl Call {
    /// What an item does that makes a round or ends one; `None` for words.
    pub(super) fn of(started: &ItemStarted) -> Option<Self> {
        let changes = started.kind == ItemKind::FileChange;
        let title = cut(&started.title, TITLE_BYTES_MAX).to_owned();
        let what = hash((&started.title, &started.input));
        (changes || started.kind == ItemKind::Tool).then_some(Self { title, what, gave: 0, changes })
    }

    /// The agent told more of it.
    pub(super) fn changed(&mut self, changed: &ItemChanged) {
        self.title = cut(&changed.title, TITLE_BYTES_MAX).to_owned();
        self.what = hash((&changed.title, &changed.input));
    }

    /// A piece of what it gave; the first takes the place of all before it.
    pub(super) fn gave(&mut self, piece: &str, first: bool) {
        self.gave = hash((if first { 0 } else { self.gave }, piece));
    }
}

/// The newest calls, as far as they are the same.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Rounds {
    last: Option<(u64, u64, ItemStatus)>,
    pub(super) items: Vec<ItemId>,
}

impl Rounds {
    /// An item has ended.
    pub(super) fn take(&mut self, item: ItemId, call: Option<Call>, status: ItemStatus) {
        let Some(call) = call else { return };
        let this = (call.what, call.gave, status);
        if call.changes || self.last != Some(this) || self.items.len() >= limits::LOOP_CALLS {
            self.items.clear();
        }
        self.last = (!call.changes).then_some(this);
        if !call.changes {
            self.items.push(item);
        }
    }

    /// Nothing is counted from before.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// The calls of a round that has just become one too many.
    pub(super) fn closed(&self) -> Option<&[ItemId]> {
        (self.items.len() >= limits::LOOP_CALLS).then_some(&self.items)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(kind: ItemKind, input: &str, output: &[&str]) -> Option<Call> {
        let (item, key) = (ItemId::from_bytes([0; 16]), String::new());
        let (title, input) = ("bash".to_owned(), input.to_owned());
        let mut call = Call::of(&ItemStarted { item, key, turn: None, parent: None, kind, title, input })?;
        for (number, piece) in output.iter().enumerate() {
            call.gave(piece, number == 0);
        }
        Some(call)
    }

    /// After which of these calls a round is closed.
    fn closed(calls: impl IntoIterator<Item = (Option<Call>, ItemStatus)>) -> Vec<usize> {
        let mut rounds = Rounds::default();
        let mut closed = Vec::new();
        for (number, (call, status)) in (1..).zip(calls) {
            let is_call = call.is_some();
            rounds.take(ItemId::from_bytes([number as u8; 16]), call, status);
            if is_call && rounds.closed().is_some() {
                closed.push(number);
            }
        }
        closed
    }

    const DONE: ItemStatus = ItemStatus::Completed;

    #[test]
    fn the_same_call_with_the_same_result_makes_a_round_and_words_between_do_not_matter() {
        let same = |_| [(call(ItemKind::Tool, "ls", &["a", "b"]), DONE), (call(ItemKind::Text, "", &[]), DONE)];
        assert_eq!(closed((0..11).flat_map(same)), [9, 19], "the fifth call and the tenth");
    }

    #[test]
    fn another_call_another_result_another_end_or_a_changed_file_is_progress() {
        let same = || (call(ItemKind::Tool, "ls", &["a", "b"]), DONE);
        for other in [
            (call(ItemKind::Tool, "ls -l", &["a", "b"]), DONE),
            (call(ItemKind::Tool, "ls", &["a", "c"]), DONE),
            (call(ItemKind::Tool, "ls", &["a", "b"]), ItemStatus::Failed),
            (call(ItemKind::FileChange, "ls", &["a", "b"]), DONE),
        ] {
            let mut calls: Vec<_> = (0..4).map(|_| same()).collect();
            calls.push(other);
            calls.extend((0..4).map(|_| same()));
            assert!(closed(calls).is_empty());
        }
    }
}
