//! The shell every actor lives in: a bounded mailbox around one core.
//!
//! It decides, hands the events to the log, and takes them in at once, so that the next message need not wait for the disk.
//! Only when they are durable does it answer and do what follows. If an append fails, what was taken in never came to be:
//! the actor stops, and is woken from the log when it is next addressed.

use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, Message, WrapFuture};
use ropewalk_kernel::Answer;
use ropewalk_kernel::log::{Batch, Journal};
use ropewalk_protocol::record::NewEvent;
use ropewalk_protocol::{Cause, Code, CommandId, CommandResult, EventBody, Rejection, Stream, Timestamp, limits};
use tokio::sync::oneshot;

use crate::core::{AnyCore, Core, Decision, Input};
use crate::directory::Directory;
use crate::hands::Hands;

/// Something for an actor to decide on.
pub(crate) struct Deliver {
    pub(crate) input: Input,
    /// An event of one of the actor's parts, to be taken in before the input is decided on.
    pub(crate) observed: Option<(Stream, EventBody)>,
    /// The client's command, where it is one: it gets a receipt.
    pub(crate) command: Option<Commanded>,
    pub(crate) now: Timestamp,
    pub(crate) reply: Option<oneshot::Sender<Answer>>,
}

/// Which command, and whose.
#[derive(Debug, Clone)]
pub(crate) struct Commanded {
    pub(crate) id: CommandId,
    pub(crate) digest: [u8; 16],
    pub(crate) client: String,
}

impl Deliver {
    /// Something the machine itself reports.
    pub(crate) fn fact(input: Input, now: Timestamp) -> Self {
        Self { input, observed: None, command: None, now, reply: None }
    }

    /// Answers without deciding.
    pub(crate) fn refuse(self, rejection: Rejection) {
        if let Some(reply) = self.reply {
            drop(reply.send(Err(rejection)));
        }
    }
}

impl Message for Deliver {
    type Result = ();
}

/// Nothing more will come: the actor stops when what it appended is answered.
pub(crate) struct Sleep;

impl Message for Sleep {
    type Result = ();
}

/// An actor: a core and where its decisions go.
pub(crate) struct Host {
    stream: Stream,
    core: AnyCore,
    /// The log's epoch when the core was read from it.
    epoch: u64,
    journal: Journal,
    hands: Hands,
    directory: Directory,
    in_flight: usize,
    /// Events that became durable since the actor's state was last kept.
    unkept: usize,
    stopping: bool,
}

impl Host {
    pub(crate) fn new(
        stream: Stream,
        core: AnyCore,
        epoch: u64,
        journal: Journal,
        hands: Hands,
        directory: Directory,
    ) -> Self {
        Self { stream, core, epoch, journal, hands, directory, in_flight: 0, unkept: 0, stopping: false }
    }

    fn append(&mut self, message: Deliver, decision: Decision, ctx: &mut Context<Self>) {
        let Deliver { command, now, reply, .. } = message;
        let Decision { events, result } = decision;
        if events.is_empty() && command.is_none() {
            return answer(reply, Ok((self.journal.head(), result)));
        }
        let cause = command.as_ref().map(|command| Cause { command: command.id, client: command.client.clone() });
        let new_event =
            |body: &EventBody| NewEvent { stream: self.stream, at: now, cause: cause.clone(), body: body.clone() };
        let batch = Batch {
            epoch: self.epoch,
            events: events.iter().map(new_event).collect(),
            receipt: command.map(|command| (command.id, command.digest, Ok(result.clone()))),
        };
        self.commit(batch, events, reply, Ok(result), ctx);
    }

    /// A refusal that would be the same on a repeat is remembered, so that the repeat gets the same answer.
    fn refuse(&mut self, message: Deliver, rejection: Rejection, ctx: &mut Context<Self>) {
        match message.command {
            Some(command) if !rejection.retryable() => {
                let receipt = (command.id, command.digest, Err(rejection.clone()));
                let batch = Batch { epoch: self.epoch, events: Vec::new(), receipt: Some(receipt) };
                self.commit(batch, Vec::new(), message.reply, Err(rejection), ctx);
            }
            _ => answer(message.reply, Err(rejection)),
        }
    }

    fn commit(
        &mut self,
        batch: Batch,
        events: Vec<EventBody>,
        reply: Option<oneshot::Sender<Answer>>,
        outcome: Result<CommandResult, Rejection>,
        ctx: &mut Context<Self>,
    ) {
        let committed = match self.journal.append(batch) {
            Ok(committed) => committed,
            Err(rejection) => return answer(reply, Err(rejection)),
        };
        for event in &events {
            self.core.apply(self.stream, event);
        }
        let effects: Vec<_> = events.iter().flat_map(|event| self.core.react(event)).collect();
        self.in_flight += 1;
        let count = events.len();
        let durable = committed.into_actor(self).map(move |committed, host, ctx| {
            let stopped = || Rejection::new(Code::ShuttingDown, "the log is closed");
            let committed = committed.unwrap_or_else(|_| Err(stopped()));
            host.in_flight -= 1;
            match committed {
                Ok(committed) => {
                    host.hands.carry_out(host.stream, effects);
                    host.count(count);
                    answer(reply, outcome.map(|result| (committed.last, result)));
                }
                Err(rejection) => {
                    host.stopping = true;
                    host.directory.discard(host.stream);
                    answer(reply, Err(rejection));
                }
            }
            host.stop_if_done(ctx);
        });
        ctx.spawn(durable);
    }

    /// The state is kept as the log tells it, not as it is here: what is in flight may yet come to nothing.
    fn count(&mut self, events: usize) {
        self.unkept += events;
        if self.unkept >= limits::SNAPSHOT_EVENTS {
            self.unkept = 0;
            self.directory.refresh(self.stream);
        }
    }

    fn stop_if_done(&self, ctx: &mut Context<Self>) {
        if self.stopping && self.in_flight == 0 {
            ctx.stop();
        }
    }
}

fn answer(reply: Option<oneshot::Sender<Answer>>, answer: Answer) {
    if let Some(reply) = reply {
        drop(reply.send(answer));
    }
}

impl Actor for Host {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(limits::MAILBOX_COMMANDS_MAX);
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        self.directory.left(self.stream);
    }
}

impl Handler<Deliver> for Host {
    type Result = ();

    fn handle(&mut self, message: Deliver, ctx: &mut Self::Context) {
        if self.stopping {
            return message.refuse(Rejection::new(Code::Busy, "the actor is being woken anew"));
        }
        if let Some((stream, body)) = &message.observed {
            self.core.apply(*stream, body);
        }
        match self.core.decide(&message.input) {
            Ok(decision) => self.append(message, decision, ctx),
            Err(rejection) => self.refuse(message, rejection, ctx),
        }
    }
}

impl Handler<Sleep> for Host {
    type Result = ();

    fn handle(&mut self, _: Sleep, ctx: &mut Self::Context) {
        self.stopping = true;
        self.stop_if_done(ctx);
    }
}
