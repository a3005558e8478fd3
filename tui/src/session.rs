//! The shell's side of the wire: the connection to the daemon, what is followed over it, and what is asked for. Nothing here
//! decides anything: what comes is an event for the state, what the state asks for is done.

mod connection;
mod follow;
mod requests;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use ropewalk_protocol::{Code, Command, CommandId, Rejection, SessionId, Size, TerminalId};
use ropewalk_transport::client::{Client, Dial, Options};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::app::event::{Effect, Event, Ticket, Wants};
use crate::store::Store;

/// Events that wait for the state. Then what they come from waits too.
const EVENTS_MAX: usize = 256;
/// Commands that wait to be sent: a person does not write more.
const COMMANDS_MAX: usize = 256;
/// Pieces of input that wait to be sent. What does not fit is refused, and the person told.
const TYPED_MAX: usize = 1_024;

/// What became of a daemon that does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It runs, or is about to.
    Runs,
    /// It ended without a word.
    Died,
    /// Somebody stopped it.
    Stopped,
}

/// The daemon, as far as it is not reached over the wire.
pub trait Daemon: Send + Sync + 'static {
    /// Starts one, unless one runs, and waits until it may be reached. Blocks.
    ///
    /// # Errors
    /// Why not, and what to do, in a sentence.
    fn start(&self) -> Result<(), String>;
    /// What became of it. Blocks for as long as a file takes.
    fn fate(&self) -> Fate;
}

/// What the wire needs.
#[derive(Clone)]
pub struct Wire {
    /// The way to the daemon.
    pub dial: Dial,
    /// How this client behaves.
    pub options: Options,
    /// The daemon itself.
    pub daemon: Arc<dyn Daemon>,
    /// The environment that agents and programs are given.
    pub environment: BTreeMap<String, String>,
    /// The command line's program.
    pub program: PathBuf,
    /// The directory the client was started in.
    pub directory: PathBuf,
}

/// A task that ends when nobody wants it any more.
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A program's terminal that is followed.
struct Attachment {
    size: Size,
    /// Tells the task of another size.
    tell: watch::Sender<Size>,
    _task: Task,
}

/// The shell's side of the wire.
pub struct Session {
    wire: Wire,
    store: Store,
    events: mpsc::Sender<Event>,
    client: watch::Receiver<Option<Client>>,
    reconnect: mpsc::Sender<()>,
    commands: mpsc::Sender<requests::Order>,
    typed: mpsc::Sender<(TerminalId, bytes::Bytes)>,
    sessions: BTreeMap<SessionId, Task>,
    terminals: BTreeMap<TerminalId, Attachment>,
    files: Arc<requests::Files>,
    _tasks: Vec<Task>,
}

impl Session {
    /// Begins to reach the daemon. What comes of it are the events.
    pub fn start(wire: Wire, store: Store) -> (Self, mpsc::Receiver<Event>) {
        let (events, receiver) = mpsc::channel(EVENTS_MAX);
        let (clients, client) = watch::channel(None);
        let (reconnect, asked) = mpsc::channel(1);
        let (commands, orders) = mpsc::channel(COMMANDS_MAX);
        let (typed, to_type) = mpsc::channel(TYPED_MAX);
        // Read before anything of this client's own is kept there.
        let before = store.unanswered();
        let tasks = vec![
            Task(tokio::spawn(connection::run(wire.clone(), clients, asked, events.clone()))),
            Task(tokio::spawn(requests::commands(
                client.clone(),
                store.clone(),
                wire.environment.clone(),
                before,
                orders,
                events.clone(),
            ))),
            Task(tokio::spawn(follow::typing(client.clone(), to_type))),
        ];
        let session = Self {
            files: Arc::new(requests::Files::new(wire.directory.clone())),
            wire,
            store,
            events,
            client,
            reconnect,
            commands,
            typed,
            sessions: BTreeMap::new(),
            terminals: BTreeMap::new(),
            _tasks: tasks,
        };
        (session, receiver)
    }

    /// Follows what is on the screen, and no more.
    pub fn follow(&mut self, wants: &Wants) {
        self.sessions.retain(|session, _| wants.sessions.contains(session));
        for session in &wants.sessions {
            let (client, events, id) = (self.client.clone(), self.events.clone(), *session);
            self.sessions.entry(id).or_insert_with(|| Task(tokio::spawn(follow::session(client, id, events))));
        }
        let gone: Vec<_> =
            self.terminals.extract_if(.., |terminal, _| !wants.terminals.contains_key(terminal)).collect();
        for (terminal, _) in gone {
            // Else this window would have a say in the program's size until it writes something again.
            if let Some(client) = self.client.borrow().clone() {
                tokio::spawn(async move { client.detach(terminal).await });
            }
        }
        for (terminal, size) in &wants.terminals {
            match self.terminals.get_mut(terminal) {
                Some(attachment) if attachment.size != *size => {
                    attachment.size = *size;
                    attachment.tell.send_replace(*size);
                }
                Some(_) => {}
                None => {
                    let (tell, told) = watch::channel(*size);
                    let task = follow::terminal(self.client.clone(), *terminal, told, self.events.clone());
                    let attachment = Attachment { size: *size, tell, _task: Task(tokio::spawn(task)) };
                    self.terminals.insert(*terminal, attachment);
                }
            }
        }
    }

    /// Does what the state asks for; what is not of the wire comes back.
    pub fn carry_out(&mut self, effect: Effect) -> Option<Effect> {
        match effect {
            Effect::Command(ticket, command) => self.command(ticket, command),
            Effect::Read(read) => self.ask(move |client| requests::read(client, read)),
            Effect::Older(session, agent, before) => {
                self.ask(move |client| requests::older(client, session, agent, before))
            }
            Effect::History(session, before) => self.ask(move |client| requests::history(client, session, before)),
            Effect::Search(text, session, before) => {
                self.ask(move |client| requests::search(client, text, session, before))
            }
            Effect::Type(terminal, bytes) => {
                if self.typed.try_send((terminal, bytes)).is_err() {
                    self.later(async { Event::NotTyped });
                }
            }
            Effect::Files(typed) => {
                let files = self.files.clone();
                self.later(requests::files(files, typed));
            }
            Effect::Run(words) => {
                let (program, directory) = (self.wire.program.clone(), self.wire.directory.clone());
                self.later(requests::run(program, directory, words));
            }
            Effect::Reconnect => drop(self.reconnect.try_send(())),
            Effect::KeepDraft(key, text) => self.store.keep_draft(key, text),
            Effect::KeepHistory(text) => {
                if let Err(error) = self.store.keep_sent(&text) {
                    tracing::warn!(%error, "a prompt could not be kept for the history");
                }
            }
            Effect::KeepPlace(place) => self.store.keep_place(&place),
            other => return Some(other),
        }
        None
    }

    /// Keeps a command, and has it sent. It is kept before it waits for the ones before it: the daemon may be away, and this
    /// client may not live until it is back. And before the draft that it was made of is let go of.
    fn command(&self, ticket: Ticket, command: Box<Command>) {
        let id = CommandId::from(uuid::Uuid::now_v7());
        if let Err(error) = self.store.keep_command(id, &command) {
            tracing::warn!(%error, "a command could not be kept; it is sent all the same");
        }
        if self.commands.try_send(requests::Order { ticket, id, command }).is_err() {
            self.store.answered(id);
            let rejection = Rejection::new(Code::Busy, "too much waits to be sent");
            self.later(async move { Event::Done(ticket, Err(rejection)) });
        }
    }

    /// Asks the daemon, once it is there.
    fn ask<F: Future<Output = Event> + Send + 'static>(&self, question: impl FnOnce(Client) -> F + Send + 'static) {
        let mut client = self.client.clone();
        self.later_maybe(async move {
            let client = client.wait_for(Option::is_some).await.ok()?.clone()?;
            Some(question(client).await)
        });
    }

    fn later(&self, work: impl Future<Output = Event> + Send + 'static) {
        self.later_maybe(async move { Some(work.await) });
    }

    fn later_maybe(&self, work: impl Future<Output = Option<Event>> + Send + 'static) {
        let events = self.events.clone();
        tokio::spawn(async move {
            if let Some(event) = work.await {
                events.send(event).await.ok();
            }
        });
    }
}
