//! The hands: what follows from a durable event is done here, and what comes of it is reported back as a fact.

mod agents;
mod line;
mod stop;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use ropewalk_kernel::log::Journal;
use ropewalk_protocol::holder::{Ends, Spawn};
use ropewalk_protocol::{AgentId, ClientId, Code, Program, Rejection, RunId, SessionId, Size, Stream, TerminalId};
use tokio::sync::watch;

use self::agents::Agents;
pub use self::agents::McpAccess;
pub(crate) use self::agents::TakenUp;
pub use self::line::HolderLine;

use crate::agent::structured::AgentInput;
use crate::core::{Effect, Input};
use crate::directory::Directory;
use crate::holder::{ANSWER_TIMEOUT, Link};
use crate::lanes::{InputDone, Lanes, OutputSink, Presence};

/// Where a run belongs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) session: SessionId,
    pub(crate) agent: AgentId,
    pub(crate) terminal: TerminalId,
    /// What it writes to its error output, if that is apart.
    pub(crate) errors: Option<TerminalId>,
    /// The end of that is durable, or there is none.
    pub(crate) errors_settled: bool,
    /// The end of the run is durable.
    pub(crate) run_settled: bool,
    /// The end of the terminal is durable.
    pub(crate) terminal_settled: bool,
    /// Nothing that the run started lives.
    pub(crate) reaped: bool,
}

impl Place {
    /// A program's run in a terminal that just begins.
    fn of_program(session: SessionId, agent: AgentId, terminal: TerminalId) -> Self {
        let (errors, errors_settled) = (None, true);
        let (run_settled, terminal_settled, reaped) = (false, false, false);
        Self { session, agent, terminal, errors, errors_settled, run_settled, terminal_settled, reaped }
    }
}

/// What actors can do to the world. Clones share it.
#[derive(Clone)]
pub struct Hands(Arc<Inner>);

struct Inner {
    journal: Journal,
    link: Link,
    lanes: Lanes,
    agents: Agents,
    directory: Arc<OnceLock<Directory>>,
    /// In order, so that what is done for each is done in the same order in every run.
    places: Mutex<BTreeMap<RunId, Place>>,
    /// How many runs are not settled; moves whenever one is.
    unsettled: watch::Sender<usize>,
    /// The holder was told to leave: no other one is started.
    leaving: AtomicBool,
    /// Not all of the log could be read at the start, so a run that it does not name may yet be in it.
    log_has_gaps: bool,
    /// Environments of programs about to be started. They are never stored: they may hold secrets.
    environments: Mutex<HashMap<RunId, BTreeMap<String, String>>>,
}

impl Hands {
    /// Hands that reach the holder over this line. `log_has_gaps`: what the log does not say of a run may be in what cannot be
    /// read, so that one it does not name is left as it is.
    pub fn new(journal: Journal, link: Link, sink: Arc<dyn OutputSink>, log_has_gaps: bool) -> Self {
        let directory: Arc<OnceLock<Directory>> = Arc::default();
        let own_journal = journal.clone();
        let (to_holder, to_directory, of_lost) = (link.clone(), directory.clone(), directory.clone());
        let lanes = Lanes::new(
            journal,
            sink,
            move |terminal, offset| {
                if let Err(rejection) = to_holder.durable(terminal, offset) {
                    // The next store, or the next line, says it again.
                    tracing::debug!(%rejection, "the holder was not told what is durable");
                }
            },
            move |lane, offset| {
                if let Some(directory) = to_directory.get() {
                    let stream = Stream::Terminal(lane.session(), lane.id());
                    directory.report(stream, None, Input::Closed { offset });
                }
            },
            move |lane, from, to, reason| {
                let stream = Stream::Terminal(lane.session(), lane.id());
                Box::pin(record_lost(of_lost.get().cloned(), stream, Input::Lost { from, to, reason }))
            },
        );
        let unsettled = watch::Sender::new(0);
        let (places, environments) = (Mutex::default(), Mutex::default());
        let leaving = AtomicBool::new(false);
        let (journal, agents) = (own_journal, Agents::default());
        Self(Arc::new(Inner {
            journal,
            link,
            lanes,
            agents,
            directory,
            places,
            unsettled,
            leaving,
            log_has_gaps,
            environments,
        }))
    }

    pub(crate) fn connect(&self, directory: Directory) {
        drop(self.0.directory.set(directory));
    }

    fn directory(&self) -> &Directory {
        self.0.directory.get().expect("the directory connects its hands when it is made")
    }

    fn places(&self) -> MutexGuard<'_, BTreeMap<RunId, Place>> {
        self.0.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The terminals' lanes.
    pub fn lanes(&self) -> &Lanes {
        &self.0.lanes
    }

    fn journal(&self) -> &Journal {
        &self.0.journal
    }

    /// The line to the holder.
    pub fn link(&self) -> &Link {
        &self.0.link
    }

    pub(crate) fn keep_environment(&self, run: RunId, environment: BTreeMap<String, String>) {
        self.0.environments.lock().unwrap_or_else(PoisonError::into_inner).insert(run, environment);
    }

    pub(crate) fn forget_environment(&self, run: RunId) -> Option<BTreeMap<String, String>> {
        self.0.environments.lock().unwrap_or_else(PoisonError::into_inner).remove(&run)
    }

    /// Does what follows from events of this stream that are durable now.
    pub(crate) fn carry_out(&self, stream: Stream, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Spawn { session, agent, run, terminal, argv, directory, size } => {
                    let environment = self.forget_environment(run).unwrap_or_default();
                    let program = Program { argv, directory, environment };
                    let place = Place::of_program(session, agent, terminal);
                    self.spawn(run, place, program, Ends::Terminal(size));
                }
                Effect::SpawnAgent { session, agent, provider, directory, run, first } => {
                    self.spawn_agent(session, agent, &provider, directory, run, first);
                }
                Effect::Write { run, number, outgoing } => self.write_to_agent(run, number, outgoing),
                Effect::Insist { run } => self.insist_on_cancel(run),
                Effect::TurnSettled { run } => self.turn_settled(run),
                Effect::Later { at, session, agent, input } => {
                    self.say_later(at, Stream::Agent(session, agent), input);
                }
                Effect::Close { session, agents } => {
                    for agent in agents {
                        let close = Input::Agent(AgentInput::Close);
                        self.directory().report(Stream::Agent(session, agent), None, close);
                    }
                }
                Effect::Reconsider { session, agents } => {
                    for agent in agents {
                        let reconsider = Input::Agent(AgentInput::Reconsider);
                        self.directory().report(Stream::Agent(session, agent), None, reconsider);
                    }
                }
                Effect::ForgetAgent { agent } => self.forget_agent(agent),
                Effect::Stop { runs } => runs.into_iter().for_each(|run| self.stop(run)),
                Effect::TellSession { session, event } => {
                    let observed = Some((stream, event));
                    self.directory().report(Stream::Session(session), observed, Input::Settled);
                }
                Effect::RunSettled { run } => {
                    // What the program left behind goes with it: a session owns everything it started.
                    self.stop(run);
                    self.end_line(run);
                    self.settle(|of, place| place.run_settled |= of == run);
                }
                Effect::TerminalSettled { terminal } => {
                    self.0.lanes.close(terminal);
                    self.settle(|_, place| {
                        place.terminal_settled |= place.terminal == terminal;
                        place.errors_settled |= place.errors == Some(terminal);
                    });
                }
                Effect::Delete { session } => self.directory().free_names(session),
            }
        }
    }

    fn settle(&self, mut mark: impl FnMut(RunId, &mut Place)) {
        let mut places = self.places();
        let mut settled = Vec::new();
        for (run, place) in places.iter_mut() {
            mark(*run, place);
            if place.run_settled && place.terminal_settled && place.errors_settled && place.reaped {
                settled.push(*run);
            }
        }
        for run in settled {
            places.remove(&run);
            if let Err(rejection) = self.0.link.forget(run) {
                // The holder tells of the run again on the next line, and is told then.
                tracing::debug!(%rejection, "the holder was not told to forget a run");
            }
        }
        self.0.unsettled.send_replace(places.len());
    }

    pub(crate) fn hold(&self, run: RunId, place: Place) {
        let mut places = self.places();
        places.insert(run, place);
        self.0.unsettled.send_replace(places.len());
    }

    fn spawn(&self, run: RunId, place: Place, program: Program, ends: Ends) {
        self.hold(run, place);
        if let Ends::Terminal(size) = ends {
            self.0.lanes.open(place.terminal, place.session, 0, size, true);
        }
        self.hand_over(run, place, program, ends);
    }

    /// Has the holder start a program whose place is held.
    fn hand_over(&self, run: RunId, place: Place, program: Program, ends: Ends) {
        let hands = self.clone();
        tokio::spawn(async move {
            let Place { session, terminal, errors, .. } = place;
            let spawn = Spawn { run, session, stream: terminal, program, ends };
            let outcome = hands.0.link.spawn(spawn).await;
            let follow = || {
                hands.0.link.follow(terminal, 0)?;
                errors.map_or(Ok(()), |errors| hands.0.link.follow(errors, 0))
            };
            let reason = match outcome {
                Ok(Ok(_)) => match follow() {
                    Ok(()) => return,
                    // The line broke: the next one follows again.
                    Err(rejection) => return tracing::warn!(%rejection, "a new terminal is not followed yet"),
                },
                Ok(Err(reason)) => reason,
                // Whether it was started is known when the line is up again: see `welcome`.
                Err(rejection) if rejection.code == Code::HolderUnavailable => return,
                Err(rejection) => rejection.to_string(),
            };
            hands.spawn_failed(run, place, &reason);
        });
    }

    /// The program does not run, and will not.
    fn spawn_failed(&self, run: RunId, place: Place, reason: &str) {
        if !self.agent_not_spawned(run, reason) {
            let agent = Stream::Agent(place.session, place.agent);
            self.directory().report(agent, None, Input::SpawnFailed { run, reason: reason.to_owned() });
        }
        self.0.lanes.complete(place.terminal, 0);
        if let Some(errors) = place.errors {
            self.0.lanes.complete(errors, 0);
        }
    }

    /// Changes a terminal's size; the answer is the offset it holds from.
    pub(crate) async fn resize(&self, terminal: TerminalId, size: Size) -> Result<u64, Rejection> {
        if self.0.lanes.get(terminal).is_none() {
            return Err(Rejection::new(Code::AlreadyEnded, format!("terminal {terminal} is closed, or never was")));
        }
        self.0.link.resize(terminal, size).await
    }

    /// Takes part in a terminal: its size follows whoever used it last. When this ends the terminal has the size it is to
    /// have, so that a screen drawn next is drawn right.
    pub async fn attend(&self, terminal: TerminalId, size: Option<Size>) -> Option<Presence> {
        let lane = self.0.lanes.get(terminal)?;
        let hands = self.clone();
        let resize =
            Arc::new(move |terminal, size| drop(tokio::spawn(hands.clone().resize_for_viewer(terminal, size))));
        let presence = Presence::new(lane, resize);
        if let Some(size) = size.and_then(|size| presence.arrived(size)) {
            self.clone().resize_for_viewer(terminal, size).await;
        }
        Some(presence)
    }

    /// Whether a fact is not one any more: the terminal has another size by now, which is reported by itself.
    pub(crate) fn is_past(&self, stream: &Stream, input: &Input) -> bool {
        match (stream, input) {
            (Stream::Terminal(_, terminal), Input::Resized { size, .. }) => {
                self.0.lanes.get(*terminal).is_some_and(|lane| lane.size() != *size)
            }
            _ => false,
        }
    }

    async fn resize_for_viewer(self, terminal: TerminalId, size: Size) {
        let Some(lane) = self.0.lanes.get(terminal) else {
            return;
        };
        match self.0.link.resize(terminal, size).await {
            Ok(offset) => {
                let stream = Stream::Terminal(lane.session(), terminal);
                self.directory().report(stream, None, Input::Resized { size, offset });
            }
            Err(rejection) => tracing::warn!(%rejection, %terminal, "the size did not change"),
        }
    }

    /// Hands input to the holder, in the order of the calls; the future ends once the holder has written it.
    ///
    /// # Errors
    /// `input_refused`, `holder_unavailable` or `busy`.
    pub fn input(
        &self,
        terminal: TerminalId,
        client: ClientId,
        id: u64,
        bytes: Vec<u8>,
    ) -> Result<impl Future<Output = InputDone> + Send + use<>, Rejection> {
        let mut written = self.0.lanes.expect_written(terminal, client, id)?;
        self.0.link.input(terminal, client, id, bytes)?;
        let link = self.0.link.clone();
        let broke = || Err(Rejection::new(Code::HolderUnavailable, "the line to the holder broke"));
        Ok(async move {
            loop {
                match tokio::time::timeout(ANSWER_TIMEOUT / 2, &mut written).await {
                    Ok(done) => return done.unwrap_or_else(|_| broke()),
                    // It is the program that does not read: that may take as long as it likes.
                    Err(_) if link.answers_within(ANSWER_TIMEOUT / 2).await => {}
                    Err(_) => {
                        let message = "the process that holds the terminals does not answer; it writes what was typed \
                                       when it goes on, if it does";
                        return Err(Rejection::new(Code::HolderUnavailable, message));
                    }
                }
            }
        })
    }
}

/// Has it recorded that bytes of a terminal are lost. An error is for another try. What will never be recorded, since nobody
/// knows the terminal any more or its session's history is damaged, keeps nothing waiting: the daemon's log has it.
async fn record_lost(directory: Option<Directory>, stream: Stream, input: Input) -> Result<(), Rejection> {
    let Some(directory) = directory else {
        return Err(Rejection::new(Code::Busy, "the daemon starts"));
    };
    match directory.ask(stream, input, None, directory.now()).await {
        // The actor was put to sleep with the fact in its mailbox.
        Err(rejection) if rejection.code == Code::ShuttingDown && !directory.is_closed() => {
            Err(Rejection::new(Code::Busy, "the terminal's actor was put to sleep"))
        }
        Err(rejection) if !rejection.retryable() => {
            tracing::error!(%stream, %rejection, "a loss was not recorded");
            Ok(())
        }
        answer => answer.map(drop),
    }
}
