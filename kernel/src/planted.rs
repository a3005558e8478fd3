//! Bugs that can be planted, to show that the simulation finds them, or what cuts the power. A release build has none of them,
//! and nothing that plants one in a whole process.

use std::cell::Cell;
#[cfg(debug_assertions)]
use std::sync::OnceLock;

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
    /// A commit counts as stored when the write-ahead log was written, not when that was synced.
    AcknowledgedBeforeSync,
    /// A file of the write-ahead log is written again once its rows were written into the database, which was not synced.
    WrittenAgainBeforeSync,
}

thread_local! {
    static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
}

/// What is planted on all threads.
#[cfg(debug_assertions)]
static EVERYWHERE: OnceLock<Bug> = OnceLock::new();

/// Plants one of the bugs that no thread of a simulation comes by on all threads of this process, for good.
///
/// # Errors
/// There is no such bug, or another one is planted.
#[cfg(debug_assertions)]
pub fn plant_everywhere(name: &str) -> Result<(), String> {
    let bug = match name {
        "acknowledged_before_sync" => Bug::AcknowledgedBeforeSync,
        "written_again_before_sync" => Bug::WrittenAgainBeforeSync,
        other => return Err(format!("there is no bug {other:?} to be planted")),
    };
    EVERYWHERE.set(bug).map_err(|bug| format!("{bug:?} cannot be planted beside another one"))
}

/// Plants a bug in what runs on this thread from here on, or takes it out.
pub fn plant(bug: Option<Bug>) {
    PLANTED.set(bug);
}

/// Whether this bug is planted here.
#[inline]
pub fn is_planted(bug: Bug) -> bool {
    cfg!(debug_assertions) && (PLANTED.get() == Some(bug) || is_planted_everywhere(bug))
}

#[cfg(debug_assertions)]
fn is_planted_everywhere(bug: Bug) -> bool {
    EVERYWHERE.get() == Some(&bug)
}

#[cfg(not(debug_assertions))]
fn is_planted_everywhere(_: Bug) -> bool {
    false
}
