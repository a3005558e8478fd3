//! The directory: finds an actor by the stream it owns, wakes it from the log when it sleeps, puts it to sleep when idle.

mod adoption;
mod agents;
mod commands;
mod policies;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use actix::prelude::SendError;
use actix::{Actor, Addr, ArbiterHandle};
use ropewalk_kernel::clock::Clock;
use ropewalk_kernel::ids::Ids;
use ropewalk_kernel::log::{Batch, Journal};
use ropewalk_kernel::{Answer, Reply, offload};
use ropewalk_protocol::{Code, EventBody, Rejection, SessionId, Stream, Timestamp, limits};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::core::{AnyCore, Input, Mint, Moment, Surroundings};
use crate::hands::Hands;
use crate::host::{Commanded, Deliver, Host, Sleep};
use crate::names::Names;
use crate::waking;

/// How long a fact waits before it is reported again.
const REPORT_PAUSE: Duration = Duration::from_millis(250);

/// Every actor there is. Clones share it.
#[derive(Clone)]
pub struct Directory(Arc<Inner>);

struct Inner {
    journal: Journal,
    hands: Hands,
    names: Names,
    ids: Arc<dyn Ids>,
    clock: Arc<dyn Clock>,
    /// The thread that actors live on.
    arbiter: ArbiterHandle,
    actors: Mutex<Actors>,
    keeping: Arc<Mutex<Keeping>>,
    /// Sessions whose newest command took a name and failed with the disk: what became of it is not known yet.
    doubts: AtomicUsize,
    surroundings: OnceLock<Arc<dyn Surroundings>>,
}

#[derive(Default)]
struct Actors {
    entries: HashMap<Stream, Entry>,
    /// The task that puts idle actors to sleep runs.
    sweeping: bool,
}

/// Whose state is to be read from the log and kept. One after the other, by a thread that lets others go first: nobody waits
/// for it.
#[derive(Default)]
struct Keeping {
    /// Each at most once.
    waiting: VecDeque<Stream>,
    /// The thread runs.
    running: bool,
}

/// The thread's hold on it.
struct Keeper(Arc<Mutex<Keeping>>);

impl Keeper {
    fn lock(&self) -> MutexGuard<'_, Keeping> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next one; the thread ends if there is none.
    fn next(&self) -> Option<Stream> {
        let mut keeping = self.lock();
        let next = keeping.waiting.pop_front();
        keeping.running = next.is_some();
        next
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        if std::thread::panicking() {
            *self.lock() = Keeping::default();
        }
    }
}

enum Entry {
    /// Its history is being read.
    Waking(Vec<Deliver>),
    Awake {
        address: Addr<Host>,
        used: Instant,
    },
    /// It answers what it was sent before, then stops.
    Leaving(Vec<Deliver>),
}

impl Directory {
    /// A directory of actors that live on this thread.
    pub fn new(
        journal: Journal,
        hands: Hands,
        names: Names,
        ids: Arc<dyn Ids>,
        clock: Arc<dyn Clock>,
        arbiter: ArbiterHandle,
    ) -> Self {
        let adoptions = journal.adoptions();
        let (actors, doubts) = (Mutex::default(), AtomicUsize::new(0));
        let (keeping, surroundings) = (Arc::default(), OnceLock::new());
        let inner = Inner { journal, hands, names, ids, clock, arbiter, actors, keeping, doubts, surroundings };
        let directory = Self(Arc::new(inner));
        directory.0.hands.connect(directory.clone());
        if let Some(adoptions) = adoptions {
            tokio::spawn(adoption::follow(directory.clone(), adoptions));
        }
        directory
    }

    fn lock(&self) -> MutexGuard<'_, Actors> {
        self.0.actors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time.
    pub(crate) fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// The time, and ids to go with it.
    pub(crate) fn mint(&self) -> Mint {
        self.mint_at(self.now())
    }

    fn mint_at(&self, now: Timestamp) -> Mint {
        Mint::new(*self.0.ids.mint(now).as_bytes(), now)
    }

    /// Names who knows what lies around agents. Before that nothing does.
    pub fn surround(&self, surroundings: Arc<dyn Surroundings>) {
        drop(self.0.surroundings.set(surroundings));
    }

    /// What an actor decides with at this time.
    pub(crate) fn moment(&self, stream: Stream, now: Timestamp, input: &Input) -> Moment {
        let Stream::Agent(session, agent) = stream else { return Moment::default() };
        let asks = matches!(input, Input::Agent(input) if input.asks());
        let around = self.0.surroundings.get().map(|surroundings| surroundings.around(session, agent, now, asks));
        Moment { mint: self.mint_at(now), around: around.unwrap_or_default() }
    }

    /// Whether nothing is stored any more.
    pub(crate) fn is_closed(&self) -> bool {
        *self.0.journal.closed().borrow()
    }

    /// How many actors are awake.
    pub fn awake(&self) -> usize {
        self.lock().entries.len()
    }

    /// Reports a fact to the actor that owns a stream, with the part's event that it follows from, if one does. A fact is
    /// not lost to a full mailbox or a full disk: it is reported until it is taken.
    pub(crate) fn report(&self, stream: Stream, observed: Option<(Stream, EventBody)>, input: Input) {
        let directory = self.clone();
        let now = self.0.clock.now();
        tokio::spawn(async move {
            loop {
                if *directory.0.journal.closed().borrow() || directory.0.hands.is_past(&stream, &input) {
                    return;
                }
                let (reply, answer) = channel();
                let fact = Deliver::fact(input.clone(), now);
                directory.send(stream, Deliver { observed: observed.clone(), reply: Some(reply), ..fact });
                match answer.await {
                    Ok(Err(rejection)) if rejection.code == Code::ShuttingDown => return,
                    Ok(Err(rejection)) if rejection.retryable() => tokio::time::sleep(REPORT_PAUSE).await,
                    Ok(Err(rejection)) => return tracing::error!(%stream, %rejection, ?input, "a fact was refused"),
                    Ok(Ok(_)) => return,
                    // The actor was put to sleep with the fact in its mailbox.
                    Err(_) => tokio::time::sleep(REPORT_PAUSE).await,
                }
            }
        });
    }

    /// Reports a fact and waits until what follows from it is durable.
    pub(crate) async fn ask(&self, stream: Stream, input: Input, command: Option<Commanded>, now: Timestamp) -> Answer {
        let (reply, answer) = channel();
        self.send(stream, Deliver { command, reply: Some(reply), ..Deliver::fact(input, now) });
        answer.await.unwrap_or_else(|_| Err(Rejection::new(Code::ShuttingDown, "the daemon stops")))
    }

    fn send(&self, stream: Stream, message: Deliver) {
        let mut actors = self.lock();
        match actors.entries.get_mut(&stream) {
            Some(Entry::Waking(queue) | Entry::Leaving(queue)) if queue.len() < limits::MAILBOX_COMMANDS_MAX => {
                queue.push(message);
            }
            Some(Entry::Waking(_) | Entry::Leaving(_)) => {
                drop(actors);
                message.refuse(Rejection::new(Code::Busy, format!("{stream} has a full mailbox")));
            }
            Some(Entry::Awake { address, used }) => {
                *used = Instant::now();
                if let Err(SendError::Full(message) | SendError::Closed(message)) = address.try_send(message) {
                    drop(actors);
                    message.refuse(Rejection::new(Code::Busy, format!("{stream} has a full mailbox")));
                }
            }
            None => {
                actors.entries.insert(stream, Entry::Waking(vec![message]));
                drop(actors);
                self.wake(stream);
            }
        }
    }

    /// Reads an actor's history off the actors' thread, then starts it.
    fn wake(&self, stream: Stream) {
        let directory = self.clone();
        tokio::spawn(async move {
            // The epoch first: a failed append while the history is read makes the state too old to append with.
            let epoch = directory.0.journal.epoch();
            let journal = directory.0.journal.clone();
            let read = offload::blocking(move || waking::read(&journal, stream));
            let core = read.await.unwrap_or_else(|error| Err(Rejection::new(Code::Internal, error.to_string())));
            match core {
                Ok(core) => directory.start(stream, core, epoch),
                Err(rejection) => {
                    tracing::error!(%stream, %rejection, "an actor could not be woken");
                    let rejection = directory.why_not(epoch, rejection);
                    let entry = directory.lock().entries.remove(&stream);
                    if let Some(Entry::Waking(queue)) = entry {
                        queue.into_iter().for_each(|message| message.refuse(rejection.clone()));
                    }
                }
            }
        });
    }

    /// Starts the actor of a session that was not there before, so that there is nothing to read.
    fn start_new(&self, session: SessionId) {
        let stream = Stream::Session(session);
        self.lock().entries.insert(stream, Entry::Waking(Vec::new()));
        if let Some(core) = AnyCore::new(stream) {
            self.start(stream, core, self.0.journal.epoch());
        }
    }

    /// Has the actor's state read from the log once more, so that what was kept of it does not lag far behind.
    pub(crate) fn refresh(&self, stream: Stream) {
        let (keeper, journal) = (Keeper(self.0.keeping.clone()), self.0.journal.clone());
        {
            let mut keeping = keeper.lock();
            if !keeping.waiting.contains(&stream) {
                keeping.waiting.push_back(stream);
            }
            if std::mem::replace(&mut keeping.running, true) {
                return;
            }
        }
        let keep = move || {
            while let Some(stream) = keeper.next() {
                if let Err(rejection) = waking::read(&journal, stream) {
                    tracing::warn!(%stream, %rejection, "an actor's history cannot be read");
                }
            }
        };
        if let Err(error) = offload::blocking_behind("state-keeper", keep) {
            tracing::debug!(%error, "states are not kept");
            *Keeper(self.0.keeping.clone()).lock() = Keeping::default();
        }
    }

    /// Why an actor could not be woken. While appends fail reads of the volume may fail with them, and only an append opens
    /// it again: since actors that cannot be woken append nothing, one without events is made here.
    fn why_not(&self, epoch: u64, rejection: Rejection) -> Rejection {
        let journal = &self.0.journal;
        let Some(error) = journal.degraded() else {
            return rejection;
        };
        drop(journal.append(Batch { epoch, events: Vec::new(), receipt: None }));
        Rejection::from(error).at(journal.head())
    }

    fn start(&self, stream: Stream, core: AnyCore, epoch: u64) {
        let Inner { journal, hands, arbiter, .. } = &*self.0;
        let host = Host::new(stream, core, epoch, journal.clone(), hands.clone(), self.clone());
        let address = Host::start_in_arbiter(arbiter, move |_| host);
        let mut actors = self.lock();
        let awake = Entry::Awake { address: address.clone(), used: Instant::now() };
        if let Some(Entry::Waking(queue)) = actors.entries.insert(stream, awake) {
            // The queue is as long as a mailbox at most, and nothing else was sent yet.
            queue.into_iter().for_each(|message| deliver_first(&address, message));
        }
        let sweep = !std::mem::replace(&mut actors.sweeping, true);
        drop(actors);
        if sweep {
            self.sweep();
        }
    }

    /// Looks for idle actors while any is awake; ends when none is, so that an idle daemon has no timer.
    fn sweep(&self) {
        let directory = self.clone();
        let idle = Duration::from_millis(limits::ACTOR_IDLE_MILLIS_MAX);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(idle / 2).await;
                let mut actors = directory.lock();
                actors.put_to_sleep(idle);
                if actors.entries.is_empty() {
                    actors.sweeping = false;
                    return;
                }
            }
        });
    }

    /// The session is deleted: its names are free.
    pub(crate) fn free_names(&self, session: SessionId) {
        self.0.names.free_all(session);
    }

    /// The actor's state never came to be: it answers nothing more.
    pub(crate) fn discard(&self, stream: Stream) {
        if let Some(entry @ Entry::Awake { .. }) = self.lock().entries.get_mut(&stream) {
            *entry = Entry::Leaving(Vec::new());
        }
    }

    /// The actor is gone; whoever asked for it meanwhile wakes it again.
    pub(crate) fn left(&self, stream: Stream) {
        let mut actors = self.lock();
        let Some(Entry::Leaving(queue)) = actors.entries.remove(&stream) else {
            return;
        };
        if queue.is_empty() {
            return;
        }
        actors.entries.insert(stream, Entry::Waking(queue));
        drop(actors);
        self.wake(stream);
    }
}

fn deliver_first(address: &Addr<Host>, message: Deliver) {
    if let Err(SendError::Full(message) | SendError::Closed(message)) = address.try_send(message) {
        message.refuse(Rejection::new(Code::Busy, "the actor has a full mailbox"));
    }
}

impl Actors {
    /// Sends those away that were not used for a while, or were used longest ago when too many are awake.
    fn put_to_sleep(&mut self, idle: Duration) {
        let now = Instant::now();
        let mut awake: Vec<(Instant, Stream)> = self
            .entries
            .iter()
            .filter_map(|(stream, entry)| match entry {
                Entry::Awake { used, .. } => Some((*used, *stream)),
                Entry::Waking(_) | Entry::Leaving(_) => None,
            })
            .collect();
        awake.sort_unstable();
        let surplus = awake.len().saturating_sub(limits::ACTORS_AWAKE_MAX);
        for (place, (used, stream)) in awake.into_iter().enumerate() {
            if place >= surplus && now.duration_since(used) < idle {
                break;
            }
            // The mailbox is in order: everything sent before is answered before it sleeps.
            if let Some(Entry::Awake { address, .. }) = self.entries.get(&stream)
                && address.try_send(Sleep).is_ok()
            {
                self.entries.insert(stream, Entry::Leaving(Vec::new()));
            }
        }
    }
}

/// A reply that can be waited for.
fn channel() -> (Reply, oneshot::Receiver<Answer>) {
    let (sender, answer) = oneshot::channel();
    (Box::new(move |answer| drop(sender.send(answer))), answer)
}
