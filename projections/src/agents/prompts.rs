//! Prompts that wait for an agent, the next one first.

use ropewalk_protocol::{Event, EventBody, PromptId, PromptQueued, PromptView};
use serde::{Deserialize, Serialize};

/// How much of a prompt lists show.
const PREVIEW_CHARS: usize = 200;

/// An agent's queue, without the texts: each is in the event that is named.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Prompts(Vec<PromptView>);

impl Prompts {
    pub(super) fn as_slice(&self) -> &[PromptView] {
        &self.0
    }

    pub(super) fn push(&mut self, queued: &PromptQueued, event: &Event) {
        let (preview, bytes) = preview(&queued.text);
        let prompt = PromptView {
            prompt: queued.prompt,
            seq: event.seq,
            at: event.at,
            delivery: queued.delivery,
            preview,
            bytes,
        };
        let place = queued.delivery.place(self.0.iter().map(|waiting| waiting.delivery));
        self.0.insert(place, prompt);
    }

    pub(super) fn follow(&mut self, event: &Event) {
        match &event.body {
            EventBody::PromptQueued(queued) => self.push(queued, event),
            EventBody::PromptEdited(edited) => {
                if let Some(place) = self.place_of(edited.prompt) {
                    let prompt = &mut self.0[place];
                    (prompt.preview, prompt.bytes) = preview(&edited.text);
                    prompt.seq = event.seq;
                }
            }
            EventBody::PromptMoved(moved) => {
                if let Some(prompt) = self.take(moved.prompt) {
                    let before = moved.before.and_then(|before| self.place_of(before));
                    self.0.insert(before.unwrap_or(self.0.len()), prompt);
                }
            }
            EventBody::PromptWithdrawn(withdrawn) => drop(self.take(withdrawn.prompt)),
            EventBody::PromptSteered(steered) => drop(self.take(steered.prompt)),
            EventBody::TurnStarted(started) => drop(started.prompt.and_then(|prompt| self.take(prompt))),
            EventBody::AgentClosed(_) => self.0.clear(),
            _ => {}
        }
    }

    fn place_of(&self, prompt: PromptId) -> Option<usize> {
        self.0.iter().position(|waiting| waiting.prompt == prompt)
    }

    fn take(&mut self, prompt: PromptId) -> Option<PromptView> {
        self.place_of(prompt).map(|place| self.0.remove(place))
    }
}

fn preview(text: &str) -> (String, u64) {
    (text.chars().take(PREVIEW_CHARS).collect(), text.len() as u64)
}
