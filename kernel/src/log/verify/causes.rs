//! Whether the commands that events name as their causes have receipts: without one a repeat would be done again.

use std::collections::BTreeMap;

use ropewalk_protocol::{CommandId, Event, Seq, limits};

use crate::log::receipts;

/// Commands that events of a volume name as their causes and whose receipts were not met yet, each with its first and its last
/// event. A command's events and its receipt are one commit, so that they lie in one volume.
#[derive(Default)]
pub(super) struct Causes(BTreeMap<CommandId, (Seq, Seq)>);

impl Causes {
    /// Takes in an event. What the machine did by itself has no cause, and so no receipt.
    pub(super) fn add(&mut self, event: &Event) {
        if let Some(cause) = &event.cause {
            let (_, last) = self.0.entry(cause.command).or_insert((event.seq, event.seq));
            *last = event.seq;
        }
    }

    /// Whether receipts are to be read before more is taken in.
    pub(super) fn are_many(&self) -> bool {
        self.0.len() >= limits::CHECK_COMMANDS_MAX
    }

    /// Takes out the commands whose receipts are in this row. What a row holds that cannot be read nobody knows, and that is
    /// said of the row: those that may be in it are taken out as well.
    pub(super) fn meet(&mut self, key: &[u8], value: &[u8]) {
        let met: Vec<CommandId> = match receipts::entries(key, value) {
            Ok(entries) => entries.into_iter().map(|(command, _)| command).collect(),
            Err(_) => {
                let Some(first) = receipts::first(key) else { return };
                let may_be_there = |command: &CommandId| receipts::begin(*command) == receipts::begin(first);
                self.0.range(first..).map(|(command, _)| *command).take_while(may_be_there).collect()
            }
        };
        for command in met {
            self.0.remove(&command);
        }
    }

    /// Takes out all that are left, in the order of their events.
    pub(super) fn take(&mut self) -> Vec<(Seq, Seq, CommandId)> {
        let left = std::mem::take(&mut self.0).into_iter();
        let mut left: Vec<_> = left.map(|(command, (first, last))| (first, last, command)).collect();
        left.sort_unstable();
        left
    }
}
