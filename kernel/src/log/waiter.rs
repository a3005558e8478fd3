//! Who waits for a commit.

use ropewalk_protocol::{Code, Rejection};
use tokio::sync::{mpsc, oneshot};

use super::group::Spent;
use super::journal::Committed;

/// What became of what was handed to the log's writer.
pub type Stored = Result<Committed, Rejection>;

/// The same for an actor. It keeps a queue of these, so a refusal, which is rare and large, is boxed.
#[derive(Debug)]
pub struct NumberedStored {
    /// The number that the actor gave the batch: one that is refused may be told before one that was handed over earlier.
    pub number: u64,
    /// What became of it.
    pub stored: Result<Committed, Box<Rejection>>,
    /// What is left of the commit that it was in, to be let go of.
    pub(super) _spent: Option<Box<Spent>>,
}

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
        self.send(outcome, None);
    }

    /// The same, and has an actor let go of what is left of the commit.
    pub(super) fn tell_last(mut self, outcome: Stored, spent: Spent) {
        self.send(outcome, Some(spent));
    }

    fn send(&mut self, outcome: Stored, spent: Option<Spent>) {
        match self.0.take() {
            // Whoever does not wait any more need not know.
            Some(Channel::One(sender)) => drop(sender.send(outcome)),
            Some(Channel::Numbered(number, room)) => {
                let (stored, _spent) = (outcome.map_err(Box::new), spent.map(Box::new));
                drop(room.send(NumberedStored { number, stored, _spent }));
            }
            None => {}
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        if self.0.is_some() {
            self.send(Err(Rejection::new(Code::ShuttingDown, "the log is closed")), None);
        }
    }
}
