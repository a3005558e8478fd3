//! Which commands may have been done: what memory knows of it.

use std::collections::{HashSet, VecDeque};

use ropewalk_protocol::{CommandId, limits};

/// Ids of recent commands. An id that is not among them and younger than all that were forgotten is new.
#[derive(Default)]
pub(super) struct Recent {
    ids: HashSet<CommandId>,
    order: VecDeque<CommandId>,
    forgotten_millis: Option<u64>,
}

impl Recent {
    /// Ids up to this time are not known to be new.
    pub(super) fn forgetting_up_to(millis: Option<u64>) -> Self {
        Self { forgotten_millis: millis, ..Self::default() }
    }

    pub(super) fn add(&mut self, id: CommandId) {
        if self.ids.insert(id) {
            self.order.push_back(id);
        }
        if self.order.len() > limits::RECENT_COMMANDS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
            self.forgotten_millis = self.forgotten_millis.max(oldest.unix_millis());
        }
    }

    /// Ids up to this time are not known to be new any more.
    pub(super) fn forget_up_to(&mut self, millis: Option<u64>) {
        self.forgotten_millis = self.forgotten_millis.max(millis);
    }

    /// The time of the newest one, in milliseconds.
    pub(super) fn newest_millis(&self) -> Option<u64> {
        self.order.iter().filter_map(CommandId::unix_millis).max().max(self.forgotten_millis)
    }

    pub(super) fn may_know(&self, id: CommandId) -> bool {
        self.ids.contains(&id) || id.unix_millis() <= self.forgotten_millis
    }
}
