//! Bugs that can be planted, to show that the simulation finds them. A release build has none of them.

use std::cell::Cell;

/// A bug that somebody might make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// Events are shown before they are on stable storage.
    PublishBeforeCommit,
    /// A receipt is stored after the events it belongs to, not with them.
    ReceiptOutsideBatch,
    /// A follower reads what there is, and only then begins to listen: what comes in between is missed.
    ReadBeforeSubscribe,
    /// Terminal bytes count as stored when they were handed to the log, not when it said so.
    CursorMovedBySend,
    /// A row of output begins at an offset that the row before it has.
    OffsetReused,
}

thread_local! {
    static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
}

/// Plants a bug in what runs on this thread from here on, or takes it out.
pub fn plant(bug: Option<Bug>) {
    PLANTED.set(bug);
}

/// Whether this bug is planted here.
#[inline]
pub fn is_planted(bug: Bug) -> bool {
    cfg!(debug_assertions) && PLANTED.get() == Some(bug)
}
