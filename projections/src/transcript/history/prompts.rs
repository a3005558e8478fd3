//! What was said to an agent: a prompt may wait long for its turn, and be changed meanwhile. One that was to go into a running
//! turn, and came too late for it, is queued again, and said by nobody then: who said it is told where it was queued first.

use std::collections::{BTreeMap, BTreeSet};

use ropewalk_protocol::{Event, PromptEdited, PromptId, PromptQueued};

use super::{History, Part, Place, TurnKey};
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
    /// Where those stand that were to go into a running turn, unless they were queued again since.
    steered: BTreeMap<PromptId, Place>,
    /// Those that were queued by nobody before anything else was known of them: again, if they were to go into a turn before.
    again: BTreeSet<PromptId>,
    /// Where those stand of which nobody knows yet who said them.
    nameless: BTreeMap<PromptId, Vec<Place>>,
}

#[derive(Debug, Clone, Copy)]
struct Wanted {
    place: Place,
    /// It was changed after it was queued: its text is known.
    is_edited: bool,
}

/// A prompt that has its turn.
pub(super) struct Taken {
    prompt: Prompt,
    is_known: bool,
    is_edited: bool,
}

/// What an older page tells of prompts that had their turn.
#[derive(Default)]
struct Found {
    texts: Vec<(Place, String)>,
    /// Who said them.
    names: Vec<(PromptId, Option<String>)>,
    /// Those that came too late, and whether it is known who said them.
    late: Vec<(PromptId, Place, bool)>,
}

impl Prompts {
    fn queue(&mut self, prompt: Prompt, is_again: bool, is_whole: bool) {
        let id = prompt.prompt;
        if prompt.client.is_none() && !is_again && !is_whole {
            self.again.insert(id);
            self.nameless.entry(id).or_default();
        }
        self.waiting.insert(id, prompt);
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
        let prompt = Prompt { prompt, text: text.unwrap_or_default(), client: None, steered, late: false };
        Some(Taken { prompt, is_known: false, is_edited })
    }

    /// Puts older prompts in front; says what they tell of those that had their turn since. `place` says where the older
    /// part's parts are now.
    fn join(&mut self, older: Prompts, place: impl Fn(Place) -> Place) -> Found {
        let mut found = Found::default();
        let is_named = |id: &PromptId| !older.nameless.contains_key(id);
        for (id, prompt) in older.waiting {
            if is_named(&id) {
                found.names.push((id, prompt.client.clone()));
            }
            if let Some(Wanted { place, is_edited }) = self.wanted.remove(&id) {
                found.texts.extend((!is_edited).then_some((place, prompt.text)));
            } else if !self.withdrawn.remove(&id) {
                let text = self.edited.remove(&id).unwrap_or(prompt.text);
                self.waiting.entry(id).or_insert(Prompt { text, ..prompt });
            }
        }
        for (id, text) in older.edited {
            match self.wanted.get_mut(&id) {
                Some(wanted) if !wanted.is_edited => {
                    wanted.is_edited = true;
                    found.texts.push((wanted.place, text));
                }
                Some(_) => {}
                None if self.withdrawn.contains(&id) => {}
                None => drop(self.edited.entry(id).or_insert(text)),
            }
        }
        for (id, at) in older.steered {
            if self.again.remove(&id) {
                found.late.push((id, place(at), is_named(&id)));
            } else {
                self.steered.entry(id).or_insert(place(at));
            }
        }
        for (id, wanted) in older.wanted {
            self.wanted.entry(id).or_insert(Wanted { place: place(wanted.place), ..wanted });
        }
        for (id, places) in older.nameless {
            self.nameless.entry(id).or_default().extend(places.into_iter().map(&place));
        }
        self.again.extend(older.again);
        self.withdrawn.extend(older.withdrawn);
        found
    }
}

impl History {
    pub(super) fn queue(&mut self, queued: &PromptQueued, event: &Event) {
        let PromptQueued { prompt, text, .. } = queued.clone();
        let late = self.prompts.steered.remove(&prompt);
        let client = late.and_then(|place| self.come_late(place)).or(client(event));
        let prompt = Prompt { prompt, text, client, steered: false, late: false };
        self.prompts.queue(prompt, late.is_some(), self.is_whole);
    }

    pub(super) fn push_prompt(&mut self, turn: TurnKey, taken: Taken, event: &Event) {
        let Taken { prompt, is_known, is_edited } = taken;
        let (id, steered) = (prompt.prompt, prompt.steered);
        let place = self.push_part(turn, Part::Prompt(prompt), event);
        if steered {
            self.prompts.steered.insert(id, place);
        }
        if !is_known {
            self.prompts.wanted.insert(id, Wanted { place, is_edited });
            self.prompts.nameless.entry(id).or_default();
        }
        if let Some(places) = self.prompts.nameless.get_mut(&id) {
            places.push(place);
            self.part(place).is_partial = true;
        }
    }

    pub(super) fn join_prompts(&mut self, older: Prompts, place: impl Fn(Place) -> Place) {
        let found = self.prompts.join(older, place);
        for (place, text) in found.texts {
            self.change_prompt(place, |prompt| prompt.text = text);
        }
        for (id, client) in found.names {
            self.name(id, client.as_ref());
        }
        for (id, place, is_named) in found.late {
            let client = self.come_late(place);
            if is_named {
                self.name(id, client.as_ref());
            }
        }
    }

    /// Nobody said those of which nothing tells who did: all is known.
    pub(super) fn name_nobody(&mut self) {
        self.prompts.again.clear();
        for (id, places) in std::mem::take(&mut self.prompts.nameless) {
            let wanted = self.prompts.wanted.get(&id).map(|wanted| wanted.place);
            for place in places.into_iter().filter(|place| Some(*place) != wanted) {
                self.change_prompt(place, |_| ());
                self.part(place).is_partial = false;
            }
        }
    }

    /// It is known now who said a prompt.
    fn name(&mut self, id: PromptId, client: Option<&String>) {
        let Some(places) = self.prompts.nameless.remove(&id) else { return };
        if let Some(waiting) = self.prompts.waiting.get_mut(&id) {
            waiting.client = client.cloned();
        }
        for place in places {
            self.change_prompt(place, |prompt| prompt.client = client.cloned());
            self.part(place).is_partial = false;
        }
    }

    /// A prompt came too late for the turn in which it stands. Who said it.
    fn come_late(&mut self, place: Place) -> Option<String> {
        self.change_prompt(place, |prompt| {
            prompt.late = true;
            prompt.client.clone()
        })?
    }

    fn change_prompt<T>(&mut self, place: Place, change: impl FnOnce(&mut Prompt) -> T) -> Option<T> {
        let revision = self.next_revision();
        self.turn(place.turn).revision = revision;
        let part = self.part(place);
        part.revision = revision;
        match &mut part.part {
            Part::Prompt(prompt) => Some(change(prompt)),
            _ => None,
        }
    }
}
