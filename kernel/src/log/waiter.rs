//! Who waits for a commit.

use ropewalk_protocol::{Code, Rejection};
use tokio::sync::{mpsc, oneshot};

use super::journal::Committed;

/// What became of what was handed to the log's writer.
pub type Stored = Result<Committed, Rejection>;

/// The same for an actor, with the number it gave the batch: one that is refused may be told before one that was handed over
/// earlier. An actor keeps a queue of these, so a refusal, which is rare and large, is boxed.
pub type NumberedStored = (u64, Result<Committed, Box<Rejection>>);

/// Gets the outcome, always: one that is dropped says that the log is closed.
pub(super) struct Waiter(Option<Channel>);

enum Channel {
    /// Of one append.
    One(oneshot::Sender<Stored>),
    /// Of this append among those of one actor.
    Numbered(u64, mpsc::OwnedPermit<NumberedStored>),
}

impl Waiter {
    pub(super) fn one() -> (Self, oneshot::Receiver<Stored>) {
        let (sender, receiver) = oneshot::channel();
        (Self(Some(Channel::One(sender))), receiver)
    }

    /// With room for the outcome set aside, so that telling never waits.
    pub(super) fn numbered(number: u64, room: mpsc::OwnedPermit<NumberedStored>) -> Self {
        Self(Some(Channel::Numbered(number, room)))
    }

    pub(super) fn tell(mut self, outcome: Stored) {
        self.send(outcome);
    }

    fn send(&mut self, outcome: Stored) {
        match self.0.take() {
            // Whoever does not wait any more need not know.
            Some(Channel::One(sender)) => drop(sender.send(outcome)),
            Some(Channel::Numbered(number, room)) => drop(room.send((number, outcome.map_err(Box::new)))),
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
