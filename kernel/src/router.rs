//! The router: admits a command once, finds who owns it, and answers; a repeat gets the first answer.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ropewalk_protocol::record::command_digest;
use ropewalk_protocol::{Code, Command, CommandId, CommandResult, Rejection, Seq, Timestamp};
use tokio::sync::oneshot;

use crate::clock::Clock;
use crate::log::Journal;
use crate::offload;

/// What a command led to: the head once it was done, and what it made.
pub type Answer = Result<(Seq, CommandResult), Rejection>;

/// A command on its way to the actor that owns it.
#[derive(Debug, Clone)]
pub struct Envelope {
    /// The command's id.
    pub id: CommandId,
    /// What tells it from another command with the same id.
    pub digest: [u8; 16],
    /// The command.
    pub command: Command,
    /// The name the client gave itself.
    pub client: String,
    /// When it was admitted.
    pub now: Timestamp,
}

/// Whoever finds the owner of a command and lets it decide. The receipt is the owner's to commit.
pub trait Owners: Send + Sync + 'static {
    /// Carries a command out.
    fn deliver(&self, envelope: Envelope) -> impl Future<Output = Answer> + Send;
}

/// Admits commands. Clones share it.
pub struct Router<O> {
    shared: Arc<Shared<O>>,
}

struct Shared<O> {
    journal: Journal,
    owners: O,
    clock: Arc<dyn Clock>,
    in_flight: Mutex<HashMap<CommandId, InFlight>>,
}

/// A command that is being carried out, and who waits for its answer beside the first one.
struct InFlight {
    digest: [u8; 16],
    waiting: Vec<oneshot::Sender<Answer>>,
    /// Those who sent another command under this id, and wait for what becomes of this one.
    others: Vec<oneshot::Sender<()>>,
}

impl<O> Clone for Router<O> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

impl<O: Owners> Router<O> {
    /// A router over this log and these owners.
    pub fn new(journal: Journal, owners: O, clock: Arc<dyn Clock>) -> Self {
        let in_flight = Mutex::default();
        Self { shared: Arc::new(Shared { journal, owners, clock, in_flight }) }
    }

    /// Carries a command out once, however often and from wherever it is sent. A command that was admitted is carried out
    /// to its end even when nobody waits for the answer any more.
    ///
    /// # Errors
    /// What is wrong with the command, or why it could not be done.
    pub async fn submit(&self, id: CommandId, command: Command, client: String) -> Answer {
        command.check()?;
        if id.unix_millis().is_none() {
            return Err(Rejection::invalid(format!("command id {id} is not a UUID v7"))
                .hint("Mint command ids as UUID v7: their time says where the receipt can be."));
        }
        let digest = command_digest(&command);
        let answer = loop {
            let (reply, answer) = oneshot::channel();
            match self.join(id, digest, reply) {
                Joined::Same => break answer,
                Joined::First => {
                    let now = self.shared.clock.now();
                    let shared = self.shared.clone();
                    tokio::spawn(async move {
                        let mut settle = Settle { shared: shared.clone(), id, answer: None };
                        settle.answer = Some(shared.carry_out(Envelope { id, digest, command, client, now }).await);
                    });
                    break answer;
                }
                // Which of the two is the first under this id is known when the other one is done, or was done before.
                Joined::Other(settled) => match self.shared.recorded(id, digest).await? {
                    Some(answer) => return answer,
                    None => drop(settled.await),
                },
            }
        };
        answer.await.unwrap_or_else(|_| {
            Err(Rejection::new(Code::ShuttingDown, "the daemon stops; the command may be repeated"))
        })
    }

    /// Waits with those who sent the same command.
    fn join(&self, id: CommandId, digest: [u8; 16], reply: oneshot::Sender<Answer>) -> Joined {
        let mut in_flight = self.shared.lock();
        match in_flight.get_mut(&id) {
            Some(same) if same.digest == digest => {
                same.waiting.push(reply);
                Joined::Same
            }
            Some(other) => {
                let (settled, wait) = oneshot::channel();
                other.others.push(settled);
                Joined::Other(wait)
            }
            None => {
                in_flight.insert(id, InFlight { digest, waiting: vec![reply], others: Vec::new() });
                Joined::First
            }
        }
    }
}

/// What is in flight under a command's id.
enum Joined {
    /// Nothing: this is the first.
    First,
    /// The same command.
    Same,
    /// Another command; the receiver is dropped or told when it is settled.
    Other(oneshot::Receiver<()>),
}

/// Answers everybody who waits, also when carrying the command out broke off.
struct Settle<O: Owners> {
    shared: Arc<Shared<O>>,
    id: CommandId,
    answer: Option<Answer>,
}

impl<O: Owners> Drop for Settle<O> {
    fn drop(&mut self) {
        let broke = || Err(Rejection::new(Code::Internal, "carrying the command out broke off; it may be repeated"));
        let answer = self.answer.take().unwrap_or_else(broke);
        self.shared.settle(self.id, &answer);
    }
}

impl<O: Owners> Shared<O> {
    fn lock(&self) -> MutexGuard<'_, HashMap<CommandId, InFlight>> {
        self.in_flight.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn carry_out(&self, envelope: Envelope) -> Answer {
        match self.recorded(envelope.id, envelope.digest).await? {
            Some(answer) => answer,
            None => self.owners.deliver(envelope).await,
        }
    }

    /// The answer on record to this command, or the conflict with another one under its id.
    async fn recorded(&self, id: CommandId, digest: [u8; 16]) -> Result<Option<Answer>, Rejection> {
        if !self.journal.may_know(id) {
            return Ok(None);
        }
        let journal = self.journal.clone();
        let read = offload::blocking(move || journal.receipt(id)).await;
        let read = read.map_err(|error| Rejection::new(Code::Internal, format!("reading a receipt: {error}")))?;
        Ok(read?.map(|receipt| {
            if receipt.digest != digest {
                return Err(Rejection::conflict(id, receipt.seq));
            }
            receipt.outcome.map(|result| (receipt.seq, result))
        }))
    }

    fn settle(&self, id: CommandId, answer: &Answer) {
        let done = self.lock().remove(&id);
        for waiting in done.into_iter().flat_map(|done| done.waiting) {
            drop(waiting.send(answer.clone()));
        }
    }
}
