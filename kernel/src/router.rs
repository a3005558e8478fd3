//! The router: admits a command once, finds who owns it, and answers; a repeat gets the first answer.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ropewalk_protocol::record::command_digest;
use ropewalk_protocol::{Code, Command, CommandId, CommandResult, Rejection, Seq, Timestamp};
use tokio::sync::oneshot;

use crate::clock::Clock;
use crate::log::Journal;
use crate::offload;

/// What a command led to: the head once it was done, and what it made.
pub type Answer = Result<(Seq, CommandResult), Rejection>;

/// Takes an answer, on whatever thread has it; it must not block. No task waits for an answer: one that did would cost more
/// than all else that is done for a command. One that is dropped says that there is no answer.
pub type Reply = Box<dyn FnOnce(Answer) + Send>;

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
    /// Carries a command out, and then replies. Must not block.
    fn deliver(&self, envelope: Envelope, reply: Reply);
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

/// A command that is being carried out, and who waits for its answer.
struct InFlight {
    digest: [u8; 16],
    first: Reply,
    others: Vec<Reply>,
    /// Those who sent another command under this id, and wait for what becomes of this one.
    rivals: Vec<oneshot::Sender<()>>,
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

    /// Carries a command out once, however often and from wherever it is sent, and replies: what is wrong with it, why it
    /// could not be done, or what it led to. A command that was admitted is carried out to its end even when nobody waits for
    /// the answer any more.
    pub fn submit(&self, id: CommandId, command: Command, client: String, reply: Reply) {
        if let Err(rejection) = check(id, &command) {
            return reply(Err(rejection));
        }
        let digest = command_digest(&command);
        match self.join(id, digest, reply) {
            Joined::Same => {}
            Joined::First => {
                let now = self.shared.clock.now();
                self.carry_out(Envelope { id, digest, command, client, now });
            }
            Joined::Rival(reply, settled) => {
                tokio::spawn(self.clone().after(settled, (id, digest, command, client), reply));
            }
        }
    }

    /// Waits with those who sent the same command.
    fn join(&self, id: CommandId, digest: [u8; 16], reply: Reply) -> Joined {
        let mut in_flight = self.shared.lock();
        match in_flight.get_mut(&id) {
            Some(same) if same.digest == digest => {
                same.others.push(reply);
                Joined::Same
            }
            Some(rival) => {
                let (settled, wait) = oneshot::channel();
                rival.rivals.push(settled);
                Joined::Rival(reply, wait)
            }
            None => {
                in_flight.insert(id, InFlight { digest, first: reply, others: Vec::new(), rivals: Vec::new() });
                Joined::First
            }
        }
    }

    fn carry_out(&self, envelope: Envelope) {
        let settle = Settle { shared: self.shared.clone(), id: envelope.id, answer: None };
        if !self.shared.journal.may_know(envelope.id) {
            return self.shared.deliver(envelope, settle);
        }
        let shared = self.shared.clone();
        tokio::spawn(async move {
            match shared.recorded(envelope.id, envelope.digest).await {
                Ok(None) => shared.deliver(envelope, settle),
                Ok(Some(answer)) => settle.reply(answer),
                Err(rejection) => settle.reply(Err(rejection)),
            }
        });
    }

    /// Which of two commands is the first under their id is known when the other one is settled, or was before.
    async fn after(
        self,
        settled: oneshot::Receiver<()>,
        (id, digest, command, client): (CommandId, [u8; 16], Command, String),
        reply: Reply,
    ) {
        match self.shared.recorded(id, digest).await {
            Ok(Some(answer)) => reply(answer),
            Err(rejection) => reply(Err(rejection)),
            Ok(None) => {
                drop(settled.await);
                self.submit(id, command, client, reply);
            }
        }
    }
}

fn check(id: CommandId, command: &Command) -> Result<(), Rejection> {
    command.check()?;
    if id.unix_millis().is_some() {
        return Ok(());
    }
    Err(Rejection::invalid(format!("command id {id} is not a UUID v7"))
        .hint("Mint command ids as UUID v7: their time says where the receipt can be."))
}

/// What is in flight under a command's id.
enum Joined {
    /// Nothing: this is the first.
    First,
    /// The same command.
    Same,
    /// Another command; the receiver is told, or dropped, when it is settled.
    Rival(Reply, oneshot::Receiver<()>),
}

/// Answers everybody who waits, also when carrying the command out broke off.
struct Settle<O: Owners> {
    shared: Arc<Shared<O>>,
    id: CommandId,
    answer: Option<Answer>,
}

impl<O: Owners> Settle<O> {
    fn reply(mut self, answer: Answer) {
        self.answer = Some(answer);
    }
}

impl<O: Owners> Drop for Settle<O> {
    fn drop(&mut self) {
        let broke = || {
            Err(if std::thread::panicking() {
                Rejection::new(Code::Internal, "carrying the command out broke off; it may be repeated")
            } else {
                Rejection::new(Code::ShuttingDown, "the daemon stops; the command may be repeated")
            })
        };
        let answer = self.answer.take().unwrap_or_else(broke);
        self.shared.settle(self.id, answer);
    }
}

impl<O: Owners> Shared<O> {
    fn lock(&self) -> MutexGuard<'_, HashMap<CommandId, InFlight>> {
        self.in_flight.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An owner that panics ends its command, not the connection that the command came from.
    fn deliver(&self, envelope: Envelope, settle: Settle<O>) {
        let reply = Box::new(move |answer| settle.reply(answer));
        drop(catch_unwind(AssertUnwindSafe(|| self.owners.deliver(envelope, reply))));
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

    fn settle(&self, id: CommandId, answer: Answer) {
        let done = self.lock().remove(&id);
        if let Some(InFlight { first, others, .. }) = done {
            others.into_iter().for_each(|reply| reply(answer.clone()));
            first(answer);
        }
    }
}
