//! Who waits for a commit.

use ropewalk_protocol::{Code, Rejection};
use tokio::sync::{mpsc, oneshot};

use super::journal::Committed;

/// What became of what was handed to the log's writer.
pub type Stored = Result<Committed, Rejection>;

/// The same for an actor, which keeps a queue of them: a refusal is rare, and as large as many of the others.
pub type StoredInOrder = Result<Committed, Box<Rejection>>;

/// Gets the outcome, always: one that is dropped says that the log is closed.
pub(super) struct Waiter(Option<Channel>);

enum Channel {
    /// Of one append.
    One(oneshot::Sender<Stored>),
    /// Of all appends of one actor, in their order.
    InOrder(mpsc::OwnedPermit<StoredInOrder>),
}

impl Waiter {
    pub(super) fn one() -> (Self, oneshot::Receiver<Stored>) {
        let (sender, receiver) = oneshot::channel();
        (Self(Some(Channel::One(sender))), receiver)
    }

    /// With room for the outcome set aside, so that telling never waits.
    pub(super) fn in_order(room: mpsc::OwnedPermit<StoredInOrder>) -> Self {
        Self(Some(Channel::InOrder(room)))
    }

    pub(super) fn tell(mut self, outcome: Stored) {
        self.send(outcome);
    }

    fn send(&mut self, outcome: Stored) {
        match self.0.take() {
            // Whoever does not wait any more need not know.
            Some(Channel::One(sender)) => drop(sender.send(outcome)),
            Some(Channel::InOrder(room)) => drop(room.send(outcome.map_err(Box::new))),
            None => {}
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        if self.0.is_some() {
            self.send(Err(Rejection::new(Code::ShuttingDown, "the log is closed")));
        }
    }
}
