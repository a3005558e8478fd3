//! The machine's own history: what the daemon records of itself.

use ropewalk_kernel::clock::Clock;
use ropewalk_kernel::log::{Batch, Committed, Journal};
use ropewalk_protocol::record::NewEvent;
use ropewalk_protocol::{Code, EventBody, Rejection, Stream};

/// The only writer of the machine's stream.
pub struct Machine {
    journal: Journal,
}

impl Machine {
    /// The machine whose log this is.
    pub fn new(journal: Journal) -> Self {
        Self { journal }
    }

    /// Records these events; they are durable when this ends.
    ///
    /// # Errors
    /// They could not be stored.
    pub async fn record(&self, clock: &dyn Clock, bodies: Vec<EventBody>) -> Result<Committed, Rejection> {
        let at = clock.now();
        let event = |body| NewEvent { stream: Stream::Machine, at, cause: None, body };
        let events = bodies.into_iter().map(event).collect();
        let stored = self.journal.append(Batch { epoch: self.journal.epoch(), events, receipt: None })?;
        stored.await.map_err(|_| Rejection::new(Code::ShuttingDown, "the log is closed"))?
    }
}
