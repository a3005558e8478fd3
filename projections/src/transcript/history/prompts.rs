//! What was said to an agent: a prompt may wait long for its turn, and be changed meanwhile.

use std::collections::{BTreeMap, BTreeSet};

use ropewalk_protocol::{Event, PromptEdited, PromptId, PromptQueued};

use super::Place;
use crate::transcript::{Prompt, client};

/// The prompts of one agent that wait, or are waited for.
#[derive(Debug, Clone, Default)]
pub(super) struct Prompts {
    /// Those that wait for their turn.
    waiting: BTreeMap<PromptId, Prompt>,
    /// Those that had their turn before anybody knew what they said.
    wanted: BTreeMap<PromptId, Wanted>,
    /// What prompts were changed to of which nothing else is known.
    edited: BTreeMap<PromptId, String>,
    /// Those that were taken back before anything else was known of them.
    withdrawn: BTreeSet<PromptId>,
}

#[derive(Debug, Clone, Copy)]
struct Wanted {
    place: Place,
    /// It was changed after it was queued: its text is known.
    is_edited: bool,
}

/// A prompt that has its turn.
pub(super) struct Taken {
    pub(super) prompt: Prompt,
    pub(super) is_known: bool,
    pub(super) is_edited: bool,
}

/// What a prompt is that had its turn, as far as an older page told.
pub(super) struct Found {
    pub(super) place: Place,
    /// What it says, unless that is known.
    pub(super) text: Option<String>,
    /// Who said it, once all is known.
    pub(super) whole: Option<Option<String>>,
}

impl Prompts {
    pub(super) fn queue(&mut self, queued: &PromptQueued, event: &Event) {
        let PromptQueued { prompt, text, .. } = queued.clone();
        self.waiting.insert(prompt, Prompt { prompt, text, client: client(event), steered: false });
    }

    pub(super) fn edit(&mut self, edited: &PromptEdited, is_whole: bool) {
        match self.waiting.get_mut(&edited.prompt) {
            Some(waiting) => waiting.text.clone_from(&edited.text),
            None if is_whole => {}
            None => drop(self.edited.insert(edited.prompt, edited.text.clone())),
        }
    }

    pub(super) fn withdraw(&mut self, prompt: PromptId, is_whole: bool) {
        if self.waiting.remove(&prompt).is_none() && !is_whole {
            self.edited.remove(&prompt);
            self.withdrawn.insert(prompt);
        }
    }

    /// A prompt has its turn; `None` where nobody ever queued it.
    pub(super) fn take(&mut self, prompt: PromptId, steered: bool, is_whole: bool) -> Option<Taken> {
        if let Some(waiting) = self.waiting.remove(&prompt) {
            return Some(Taken { prompt: Prompt { steered, ..waiting }, is_known: true, is_edited: false });
        }
        if is_whole {
            return None;
        }
        let text = self.edited.remove(&prompt);
        let is_edited = text.is_some();
        let prompt = Prompt { prompt, text: text.unwrap_or_default(), client: None, steered };
        Some(Taken { prompt, is_known: false, is_edited })
    }

    /// This is where a prompt stands of which more is to be known.
    pub(super) fn wait_for(&mut self, prompt: PromptId, place: Place, is_edited: bool) {
        self.wanted.insert(prompt, Wanted { place, is_edited });
    }

    /// Puts older prompts in front; says what they tell of those that had their turn since. `place` says where the older
    /// part's parts are now.
    pub(super) fn join(&mut self, older: Prompts, place: impl Fn(Place) -> Place) -> Vec<Found> {
        let mut found = Vec::new();
        for (id, prompt) in older.waiting {
            if let Some(Wanted { place, is_edited }) = self.wanted.remove(&id) {
                let text = (!is_edited).then_some(prompt.text);
                found.push(Found { place, text, whole: Some(prompt.client) });
            } else if !self.withdrawn.remove(&id) {
                let text = self.edited.remove(&id).unwrap_or(prompt.text);
                self.waiting.entry(id).or_insert(Prompt { text, ..prompt });
            }
        }
        for (id, text) in older.edited {
            match self.wanted.get_mut(&id) {
                Some(wanted) if !wanted.is_edited => {
                    wanted.is_edited = true;
                    found.push(Found { place: wanted.place, text: Some(text), whole: None });
                }
                Some(_) => {}
                None if self.withdrawn.contains(&id) => {}
                None => drop(self.edited.entry(id).or_insert(text)),
            }
        }
        for (id, wanted) in older.wanted {
            self.wanted.entry(id).or_insert(Wanted { place: place(wanted.place), ..wanted });
        }
        self.withdrawn.extend(older.withdrawn);
        found
    }
}
