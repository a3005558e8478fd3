//! What was told of parts whose beginnings are not known yet. It waits for them.

use std::collections::VecDeque;

use ropewalk_protocol::{Event, EventBody, InteractionId, ItemId};

/// A part that is told of in more than one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Subject {
    Item(ItemId),
    Question(InteractionId),
}

/// What was told of a part.
#[derive(Debug, Clone, Default)]
pub(super) struct Loose {
    pub(super) events: VecDeque<Event>,
    /// The whole text is told from its beginning: what was told of the text before does not count.
    is_told: bool,
}

impl Loose {
    pub(super) fn push(&mut self, event: &Event) {
        if matches!(&event.body, EventBody::ItemText(piece) if piece.first) {
            self.events.retain(|event| !is_text(&event.body));
            self.is_told = true;
        }
        self.events.push_back(event.clone());
    }

    /// Adds what was told before.
    pub(super) fn join(&mut self, older: Loose) {
        let is_told = self.is_told;
        let counts = older.events.into_iter().rev().filter(|event| !is_told || !is_text(&event.body));
        counts.for_each(|event| self.events.push_front(event));
        self.is_told |= older.is_told;
    }
}

fn is_text(body: &EventBody) -> bool {
    matches!(body, EventBody::ItemDelta(_) | EventBody::ItemText(_))
}
