//! One run of an agent's process: how far it is, what was decided to be written to it, and how far it is read.

use std::collections::VecDeque;

use ropewalk_protocol::{RunAsked, RunId, TerminalId};
use serde::{Deserialize, Serialize};

use super::Consumed;
use crate::providers::Outgoing;

/// Where a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Phase {
    Asked,
    Running,
    Over,
}

/// A run of an agent's process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Life {
    pub(crate) run: RunId,
    pub(crate) output: TerminalId,
    pub(crate) errors: TerminalId,
    pub(super) phase: Phase,
    /// It said that it takes prompts.
    pub(super) is_ready: bool,
    /// It said that it will not work.
    pub(super) is_refused: bool,
    /// It is being ended: it is given no more.
    pub(super) is_ending: bool,
    pub(crate) consumed: Consumed,
    /// The number of the last write.
    inputs: u64,
    /// Writes of which it is not known that the process has them, oldest first.
    pub(crate) outbox: VecDeque<(u64, Outgoing)>,
}

impl Life {
    pub(super) fn new(asked: &RunAsked, greeting: Outgoing) -> Self {
        Self {
            run: asked.run,
            output: asked.output,
            errors: asked.errors,
            phase: Phase::Asked,
            is_ready: false,
            is_refused: false,
            is_ending: false,
            consumed: Consumed::default(),
            inputs: 1,
            outbox: [(1, greeting)].into(),
        }
    }

    /// Whether the process may still end.
    pub(crate) fn is_open(&self) -> bool {
        self.phase != Phase::Over
    }

    /// The number that the next write gets.
    pub(super) fn next_input(&self) -> u64 {
        self.inputs + 1
    }

    /// A write was decided. Numbers that are not new were no write.
    pub(super) fn push(&mut self, number: u64, outgoing: Outgoing) {
        if number > self.inputs {
            self.inputs = number;
            self.outbox.push_back((number, outgoing));
        }
    }

    /// The write with this number, while it is not known to be written.
    pub(super) fn outgoing(&self, number: u64) -> Option<&Outgoing> {
        self.outbox.iter().find(|(of, _)| *of == number).map(|(_, outgoing)| outgoing)
    }

    /// The output is taken in up to here.
    pub(super) fn consume(&mut self, consumed: Consumed) {
        self.consumed = consumed;
        while self.outbox.front().is_some_and(|(number, _)| *number <= consumed.written) {
            self.outbox.pop_front();
        }
    }
}
