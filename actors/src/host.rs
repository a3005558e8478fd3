//! The shell every actor lives in: a bounded mailbox around one core.
//!
//! It decides, hands the events to the log, and takes them in at once, so that the next message need not wait for the disk.
//! Only when they are durable does it answer and do what follows. If an append fails, what was taken in never came to be:
//! the actor stops, and is woken from the log when it is next addressed.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{self, Poll, ready};

use actix::prelude::Stream as Items;
use actix::{Actor, ActorContext, AsyncContext, Context, Handler, Message, StreamHandler};
use ropewalk_kernel::Reply;
use ropewalk_kernel::log::{Batch, Journal, NumberedStored};
use ropewalk_protocol::record::NewEvent;
use ropewalk_protocol::{Cause, Code, CommandId, CommandResult, EventBody, Rejection, Seq, Stream, Timestamp, limits};
use tokio::sync::mpsc;

use crate::agent::structured::AgentInput;
use crate::core::{AnyCore, Core, Decision, Effect, Input};
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
    pub(crate) reply: Option<Reply>,
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
            reply(Err(rejection));
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
    /// What was appended and is not durable yet, each with its number, in order.
    in_flight: VecDeque<(u64, InFlight)>,
    /// The number of the next batch.
    next: u64,
    outcomes: mpsc::Sender<NumberedStored>,
    /// The other end of `outcomes`, until the actor runs.
    stored: Option<mpsc::Receiver<NumberedStored>>,
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
        let (outcomes, stored) = mpsc::channel(limits::WRITER_QUEUE_BATCHES_MAX);
        let (in_flight, next, stored) = (VecDeque::new(), 0, Some(stored));
        Self {
            stream,
            core,
            epoch,
            journal,
            hands,
            directory,
            in_flight,
            next,
            outcomes,
            stored,
            unkept: 0,
            stopping: false,
        }
    }

    fn append(&mut self, message: Deliver, decision: Decision) {
        let Deliver { command, now, reply, .. } = message;
        let Decision { events, result, look_again } = decision;
        if events.is_empty() && command.is_none() {
            self.hands.carry_out(self.stream, self.later(look_again));
            return answer(reply, Ok(result), self.journal.head());
        }
        let cause = command.as_ref().map(|command| Cause { command: command.id, client: command.client.clone() });
        let new_event =
            |body: &EventBody| NewEvent { stream: self.stream, at: now, cause: cause.clone(), body: body.clone() };
        let batch = Batch {
            epoch: self.epoch,
            events: events.iter().map(new_event).collect(),
            receipt: command.map(|command| (command.id, command.digest, Ok(result.clone()))),
        };
        let later = self.later(look_again);
        self.commit(batch, now, &events, later, reply, Ok(result));
    }

    /// Has an agent look again at this time.
    fn later(&self, at: Option<Timestamp>) -> Vec<Effect> {
        let Stream::Agent(session, agent) = self.stream else { return Vec::new() };
        let look = |at| Effect::Later { at, session, agent, input: AgentInput::Reconsider };
        at.into_iter().map(look).collect()
    }

    /// A refusal that would be the same on a repeat is remembered, so that the repeat gets the same answer.
    fn refuse(&mut self, message: Deliver, rejection: Rejection) {
        match message.command {
            Some(command) if !rejection.retryable() => {
                let receipt = (command.id, command.digest, Err(rejection.clone()));
                let batch = Batch { epoch: self.epoch, events: Vec::new(), receipt: Some(receipt) };
                self.commit(batch, message.now, &[], Vec::new(), message.reply, Err(rejection));
            }
            _ => message.refuse(rejection),
        }
    }

    fn commit(
        &mut self,
        batch: Batch,
        at: Timestamp,
        events: &[EventBody],
        later: Vec<Effect>,
        reply: Option<Reply>,
        outcome: Result<CommandResult, Rejection>,
    ) {
        let by = batch.events.first().and_then(|event| event.cause.as_ref()).map(|cause| cause.client.clone());
        if let Err(rejection) = self.journal.append_numbered(batch, self.next, &self.outcomes) {
            return answer(reply, Err(rejection), self.journal.head());
        }
        for event in events {
            self.core.apply(self.stream, at, by.as_deref(), event);
        }
        let effects = events.iter().flat_map(|event| self.core.react(event)).chain(later).collect();
        self.in_flight.push_back((self.next, InFlight { events: events.len(), effects, reply, outcome }));
        self.next += 1;
    }

    /// What became of something that is in flight.
    fn settle(&mut self, NumberedStored { number, stored, .. }: NumberedStored) {
        let Some(InFlight { events, effects, reply, outcome }) = self.landed(number) else {
            return;
        };
        match stored {
            Ok(committed) => {
                self.hands.carry_out(self.stream, effects);
                self.count(events);
                answer(reply, outcome, committed.last);
            }
            Err(rejection) => {
                self.stopping = true;
                self.directory.discard(self.stream);
                answer(reply, Err(*rejection), self.journal.head());
            }
        }
    }

    /// Takes out what was in flight under this number. There are far more actors that wait for nothing than others, so those
    /// keep no room for it.
    fn landed(&mut self, number: u64) -> Option<InFlight> {
        let place = self.in_flight.binary_search_by_key(&number, |(number, _)| *number).ok()?;
        let (_, landed) = self.in_flight.remove(place)?;
        if self.in_flight.is_empty() {
            self.in_flight = VecDeque::new();
        }
        Some(landed)
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
        if self.stopping && self.in_flight.is_empty() {
            ctx.stop();
        }
    }
}

/// A batch that the log's writer has, and what is to be done once it is durable.
struct InFlight {
    events: usize,
    effects: Vec<Effect>,
    reply: Option<Reply>,
    outcome: Result<CommandResult, Rejection>,
}

fn answer(reply: Option<Reply>, outcome: Result<CommandResult, Rejection>, seq: Seq) {
    if let Some(reply) = reply {
        reply(outcome.map(|result| (seq, result)));
    }
}

/// What became of what was appended, as many at a time as there are.
struct Outcomes(mpsc::Receiver<NumberedStored>);

impl Items for Outcomes {
    type Item = Vec<NumberedStored>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut task::Context<'_>) -> Poll<Option<Self::Item>> {
        let mut outcomes = Vec::new();
        let received = ready!(self.0.poll_recv_many(context, &mut outcomes, limits::COMMIT_EVENTS_MAX));
        Poll::Ready((received > 0).then_some(outcomes))
    }
}

impl Actor for Host {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(limits::MAILBOX_COMMANDS_MAX);
        if let Some(stored) = self.stored.take() {
            ctx.add_stream(Outcomes(stored));
        }
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        self.directory.left(self.stream);
    }
}

impl Handler<Deliver> for Host {
    type Result = ();

    fn handle(&mut self, message: Deliver, _: &mut Self::Context) {
        if self.stopping {
            return message.refuse(Rejection::new(Code::Busy, "the actor is being woken anew"));
        }
        if let Some((stream, body)) = &message.observed {
            self.core.apply(*stream, message.now, None, body);
        }
        let moment = self.directory.moment(self.stream, message.now, &message.input);
        match self.core.decide(&message.input, &moment) {
            Ok(decision) => self.append(message, decision),
            Err(rejection) => self.refuse(message, rejection),
        }
    }
}

impl StreamHandler<Vec<NumberedStored>> for Host {
    fn handle(&mut self, outcomes: Vec<NumberedStored>, ctx: &mut Self::Context) {
        outcomes.into_iter().for_each(|stored| self.settle(stored));
        self.stop_if_done(ctx);
    }
}

impl Handler<Sleep> for Host {
    type Result = ();

    fn handle(&mut self, _: Sleep, ctx: &mut Self::Context) {
        self.stopping = true;
        self.stop_if_done(ctx);
    }
}
