//! Lines that are typed without a screen, and when nothing more is to be told of them.

use ropewalk_protocol::Timestamp;

use crate::input::Key;

use super::event::{Effect, Link, Read};
use super::overlay::Overlay;
use super::state::State;
use super::tree::Condition;

impl State {
    /// What a person typed in a line of its own: a command after a colon, else words for the agent on the screen.
    pub fn typed_line(&mut self, line: &str, now: Timestamp) -> Vec<Effect> {
        self.now = now;
        let is_confirmed = matches!(self.overlay, Some(Overlay::Confirm { .. }));
        match (line.strip_prefix(':'), is_confirmed) {
            (_, true) => {
                let key = if line.trim().eq_ignore_ascii_case("y") { 'y' } else { 'n' };
                self.confirm_key(Key::char(key));
            }
            (Some(command), _) => {
                if let Err(error) = self.verb(command.trim()) {
                    self.complain(error);
                }
            }
            (None, _) if line.trim().is_empty() => {}
            (None, _) if line.trim() == "?" => self.act(super::action::Action::Help),
            (None, _) if self.answer_as_typed(line) => {}
            (None, _) => {
                // The draft that a screen has for this agent is another text.
                let has_turn = self.structured().is_some_and(|agent| agent.turn.is_some());
                if self.deliver(line.trim().to_owned(), ropewalk_protocol::Delivery::Steer) && has_turn {
                    self.say("said into the turn that runs, or after it where the agent cannot take it");
                }
            }
        }
        self.settle();
        std::mem::take(&mut self.effects)
    }

    /// Whether sessions and questions are known.
    pub fn is_ready(&self) -> bool {
        matches!(self.link, Link::Up { .. }) && self.tree.is_complete && !self.fetches.is_waiting(Read::Asks)
    }

    /// Whether everything that was sent has come to its end on the screen, or waits for a person.
    pub fn is_quiet(&self) -> bool {
        if self.pending.iter().next().is_some() {
            return false;
        }
        let Some((session, agent)) = self.target().agent() else { return true };
        let Some(view) = self.structured() else { return false };
        let condition = self.agent().map(|agent| Condition::of(agent).0);
        let is_stuck = matches!(condition, Some(Condition::Stopped | Condition::Parked));
        let is_told = |turn| self.talks.get(&agent).is_some_and(|talk| talk.has_ended(turn));
        let is_over =
            view.turn.is_none() && view.queued == 0 && view.last_turn.as_ref().is_none_or(|last| is_told(last.turn));
        // What is asked is told once it is known what.
        let is_asked = view.asks > 0 && self.open_ask().is_some();
        let is_read = [Read::Session(session), Read::Asks].into_iter().all(|read| !self.fetches.is_waiting(read));
        is_read && (is_asked || is_stuck || is_over)
    }
}
