//! Where Claude Code's turns begin, and whose they are. Pure.
//!
//! Newer versions tell of each prompt by its `uuid` when they take it up; older ones give prompts back; the oldest just begin to
//! work. A turn that begins without any of this was asked for by nobody: a task in the background has ended, or a timer.

use std::collections::BTreeSet;

use ropewalk_protocol::{TurnOutcome, limits};

use super::super::Observed;
use super::items::word;

/// The turns so far, as far as they matter.
#[derive(Debug, Default)]
pub(super) struct Turns {
    open: Option<Turn>,
    /// The prompt of the last turn that ended.
    ended: Option<String>,
    /// Prompts that wait to be taken up.
    queued: BTreeSet<String>,
    /// Prompts that were taken up and not reported done.
    taken_up: BTreeSet<String>,
    /// The program tells when it takes a prompt up.
    tells: bool,
    /// A task in the background ended: the model will be told, in a turn of its own.
    is_notified: bool,
}

#[derive(Debug)]
struct Turn {
    is_asked_for: bool,
    prompt: Option<String>,
}

/// What becomes of a prompt, by the program's own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It waits, and may be taken back.
    Queued,
    TakenUp,
    Done,
    Cancelled,
}

impl Turns {
    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// The agent works. `true`: a turn begins.
    pub(super) fn work(&mut self, seen: &mut Vec<Observed>) -> bool {
        if self.open.is_some() {
            return false;
        }
        if self.tells || self.is_notified {
            return self.begin_unasked(seen);
        }
        seen.push(Observed::Confirmed { name: None });
        self.open = Some(Turn { is_asked_for: true, prompt: None });
        true
    }

    /// The agent begins what nobody asked for. `true`: a turn begins.
    pub(super) fn begin_unasked(&mut self, seen: &mut Vec<Observed>) -> bool {
        self.is_notified = false;
        if self.open.is_some() {
            return false;
        }
        seen.push(Observed::Began { name: None });
        self.open = Some(Turn { is_asked_for: false, prompt: None });
        true
    }

    /// A task in the background ended.
    pub(super) fn notify(&mut self) {
        self.is_notified = true;
    }

    /// The agent has this prompt. `true`: a turn begins. A prompt that is taken into a turn that nobody asked for makes it its own:
    /// it was given when no turn was known to be open.
    pub(super) fn confirm(&mut self, prompt: Option<&str>, seen: &mut Vec<Observed>) -> bool {
        let prompt = prompt.map(word);
        if prompt.is_some() && prompt == self.ended {
            return false;
        }
        match &mut self.open {
            Some(turn) if turn.is_asked_for => {
                if turn.prompt.is_none() && prompt.is_some() {
                    turn.prompt.clone_from(&prompt);
                    seen.push(Observed::Confirmed { name: prompt });
                }
                return false;
            }
            _ => {}
        }
        seen.push(Observed::Confirmed { name: prompt.clone() });
        self.open = Some(Turn { is_asked_for: true, prompt });
        true
    }

    /// The program tells of a prompt.
    pub(super) fn tell(&mut self, prompt: &str, fate: Fate, seen: &mut Vec<Observed>) -> Told {
        self.tells = true;
        let prompt = word(prompt);
        if fate == Fate::Queued {
            keep(&mut self.queued, prompt);
            return Told::Nothing;
        }
        self.queued.remove(&prompt);
        if fate == Fate::TakenUp {
            keep(&mut self.taken_up, prompt.clone());
            return if self.confirm(Some(&prompt), seen) { Told::Begins } else { Told::Nothing };
        }
        let is_anothers =
            self.open.as_ref().is_some_and(|turn| turn.is_asked_for && turn.prompt.as_ref() != Some(&prompt));
        if self.taken_up.remove(&prompt) || is_anothers || self.ended.as_ref() == Some(&prompt) {
            return Told::Nothing;
        }
        self.confirm(Some(&prompt), seen);
        Told::Ends(match fate {
            Fate::Cancelled => TurnOutcome::Cancelled,
            Fate::Queued | Fate::TakenUp | Fate::Done => {
                let reason = "the agent has had this prompt before, by its own record, and does not run it again";
                TurnOutcome::Interrupted { reason: reason.to_owned() }
            }
        })
    }

    /// The open turn, if there is one, is over. `false`: it is not to be told. A prompt that waits during a turn that nobody asked
    /// for was given before anybody knew of that turn: whoever gave it takes every end for its own.
    pub(super) fn end(&mut self) -> bool {
        let Some(turn) = self.open.take() else { return true };
        let is_told = turn.is_asked_for || self.queued.is_empty();
        if turn.prompt.is_some() {
            self.ended = turn.prompt;
        }
        is_told
    }
}

fn keep(prompts: &mut BTreeSet<String>, prompt: String) {
    if prompts.len() >= limits::ITEMS_OPEN_MAX {
        prompts.pop_first();
    }
    prompts.insert(prompt);
}

/// What it means that the program told of a prompt.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Told {
    Nothing,
    /// Its turn begins.
    Begins,
    /// Its turn is over, and no result will tell so.
    Ends(TurnOutcome),
}
