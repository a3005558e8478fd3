//! Prompts that are to go into the running turn: whether codex took them. Pure.
//!
//! Codex says yes to one as soon as it has queued it, and shows it as a message of the user's once the model is given it. What is
//! still queued when the turn ends, as when it is interrupted, codex drops without a word.

use std::collections::VecDeque;

use super::wire::warning;
use crate::providers::Observed;

/// Messages that are remembered to have been shown: more than there are prompts on their way into turns.
const SHOWN_MAX: usize = 64;

/// The prompts that codex has said yes to.
#[derive(Debug, Default)]
pub(super) struct Steers {
    /// Those that were not shown yet, by our ids.
    queued: Vec<String>,
    /// The messages that were shown last, by our ids. None by the end of a turn: this codex does not tell our ids.
    shown: VecDeque<String>,
}

impl Steers {
    /// Codex said yes to a prompt for a turn, which may have ended since.
    pub(super) fn accepted(&mut self, prompt: String, has_ended: bool, seen: &mut Vec<Observed>) {
        if self.shown.contains(&prompt) {
            seen.push(Observed::SteerTaken { prompt });
        } else {
            self.queued.push(prompt);
            if has_ended {
                self.end_turn(seen);
            }
        }
    }

    /// Codex showed a message of the user's.
    pub(super) fn show(&mut self, message: String, seen: &mut Vec<Observed>) {
        if message.is_empty() || self.shown.contains(&message) {
            return;
        }
        if let Some(place) = self.queued.iter().position(|queued| *queued == message) {
            seen.push(Observed::SteerTaken { prompt: self.queued.remove(place) });
        }
        if self.shown.len() == SHOWN_MAX {
            self.shown.pop_front();
        }
        self.shown.push_back(message);
    }

    /// The turn has ended: what was not shown by now never will be. A codex that does not tell our ids is believed on its yes.
    pub(super) fn end_turn(&mut self, seen: &mut Vec<Observed>) {
        for prompt in self.queued.drain(..) {
            if self.shown.is_empty() {
                seen.push(Observed::SteerTaken { prompt });
                continue;
            }
            seen.push(warning("codex dropped a prompt into the running turn: that ended first"));
            seen.push(Observed::SteerRefused { prompt });
        }
    }
}
