//! What the wire asks for, answered from log, actors, projections and screens.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use ropewalk_actors::{Directory, Hands};
use ropewalk_kernel::clock::Clock;
use ropewalk_kernel::log::Journal;
use ropewalk_kernel::{Answer, Router};
use ropewalk_projections::Projections;
use ropewalk_protocol::{
    AttachParams, Attached, ClientId, Code, CommandAnswer, CommandParams, DaemonInfo, LimitsInfo, LogInfo, MachineId,
    PROTOCOL_VERSION, Query, QueryAnswer, Rejection, Seq, SessionId, SessionState, Stopped, SubscribeParams,
    TerminalId, Welcome, limits,
};
use ropewalk_transport::{Backend, Wire};
use tokio::sync::watch;

use super::attachments::Attachment;
use super::count::Count;
use super::run::build;
use super::run_tokens::RunTokens;
use super::scope::{self, Scope};
use super::screens::Screens;
use super::subscriptions::{Events, SharedProjections, subscribe};
use super::{metrics, queries};

/// How long sessions may take to be recorded as ended once their programs are gone.
const SETTLE_MAX: Duration = Duration::from_secs(5);

/// How the daemon is to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    No,
    /// Programs go on.
    Daemon,
    /// Programs were ended.
    All,
}

/// The daemon's parts. Clones share them.
#[derive(Clone)]
pub(super) struct Daemon {
    pub(super) machine: MachineId,
    /// The process id that is told.
    pub(super) pid: u32,
    pub(super) journal: Journal,
    pub(super) router: Router<Directory>,
    pub(super) directory: Directory,
    pub(super) hands: Hands,
    pub(super) projections: SharedProjections,
    pub(super) screens: Screens,
    pub(super) token: Arc<blake3::Hash>,
    pub(super) run_tokens: Arc<RunTokens>,
    /// What whoever has this may ask for.
    pub(super) scope: Scope,
    pub(super) stop: watch::Sender<Stop>,
    /// Of all connections.
    pub(super) subscriptions: Count,
    pub(super) attachments: Count,
    pub(super) clock: Arc<dyn Clock>,
}

impl Daemon {
    /// Reads the projections.
    pub(super) fn read<T>(&self, question: impl FnOnce(&Projections) -> T) -> T {
        question(&self.projections.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether this may be asked for, and at this moment still.
    fn may(&self, check: impl FnOnce(&Scope, &Projections) -> Result<(), Rejection>) -> Result<(), Rejection> {
        if self.scope == Scope::All {
            return Ok(());
        }
        self.read(|projections| {
            self.scope.check_live(projections)?;
            check(&self.scope, projections)
        })
    }

    pub(super) fn info(&self) -> DaemonInfo {
        DaemonInfo {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            build: build(),
            pid: self.pid,
            holder_pid: self.hands.link().pid(),
            holder_answers: None,
        }
    }

    /// The sessions in which something runs. One of structured agents lives on without any process, until it is ended.
    fn running(&self) -> Vec<SessionId> {
        let live = |state| matches!(state, SessionState::Starting | SessionState::Running | SessionState::Ending);
        self.read(|projections| {
            let rests = |id| {
                let mut agents = projections.agents().of(id).peekable();
                agents.peek().is_some() && agents.all(|agent| agent.structured.is_some() && !agent.has_run())
            };
            let sessions = projections.sessions().after(None);
            let running = sessions.filter(|(id, session)| live(session.status.state) && !rests(*id));
            running.map(|(id, _)| id).collect()
        })
    }
}

impl Backend for Daemon {
    type Events = Events;
    type Bytes = Attachment;

    fn welcome(&self) -> Welcome {
        Welcome {
            machine: self.machine,
            daemon: self.info(),
            log: LogInfo { id: self.journal.id(), head: self.journal.head() },
            limits: LimitsInfo {
                frame_bytes_max: limits::FRAME_BYTES_MAX as u64,
                subscriptions_max: limits::SUBSCRIPTIONS_MAX as u64,
                attachments_max: limits::ATTACHMENTS_MAX as u64,
                requests_in_flight_max: limits::REQUESTS_IN_FLIGHT_MAX as u64,
            },
            protocol: PROTOCOL_VERSION,
        }
    }

    fn head(&self) -> Seq {
        self.journal.head()
    }

    fn is_degraded(&self) -> bool {
        self.journal.degraded().is_some()
    }

    fn admit(&self, token: &str) -> Result<Self, Rejection> {
        // Hashes compare in constant time.
        if blake3::hash(token.as_bytes()) == *self.token {
            return Ok(Self { scope: Scope::All, ..self.clone() });
        }
        let wrong = || Rejection::new(Code::Unauthenticated, "the token is wrong");
        let scope = Scope::Run(self.run_tokens.run_of(token).ok_or_else(wrong)?);
        self.read(|projections| scope.check_live(projections))?;
        Ok(Self { scope, ..self.clone() })
    }

    fn command(
        &self,
        params: CommandParams,
        client: String,
        reply: impl FnOnce(Result<CommandAnswer, Rejection>) + Send + 'static,
    ) {
        if let Err(rejection) = self.may(|scope, _| scope.check_command(&params.command)) {
            return reply(Err(rejection));
        }
        let client = match self.scope.run() {
            Some(of) => self.read(|projections| scope::client_name(projections, of.session, of.agent)),
            None => client,
        };
        let reply = |answer: Answer| reply(answer.map(|(seq, result)| CommandAnswer { seq, result }));
        self.router.submit(params.id, params.command, client, Box::new(reply));
    }

    async fn query(&self, query: Query) -> Result<QueryAnswer, Rejection> {
        self.may(|scope, projections| scope.check_query(&query, projections))?;
        queries::answer(self, query).await
    }

    fn subscribe(&self, params: &SubscribeParams, wire: Wire) -> Result<(Seq, Seq, Events), Rejection> {
        self.may(|scope, _| scope.check_subscribe(params))?;
        let counted = self.subscriptions.one();
        subscribe(&self.journal, &self.projections, params, wire, self.clock.now(), self.scope, counted)
    }

    async fn attach(&self, params: AttachParams) -> Result<(Attached, Attachment), Rejection> {
        self.may(|scope, _| scope.check_all("follow terminals"))?;
        self.attach_terminal(params).await
    }

    fn input(
        &self,
        terminal: TerminalId,
        client: ClientId,
        id: u64,
        bytes: Bytes,
    ) -> Result<impl Future<Output = Result<(), Rejection>> + Send + use<>, Rejection> {
        self.may(|scope, _| scope.check_all("type into terminals"))?;
        self.hands.input(terminal, client, id, bytes.to_vec())
    }

    async fn stop(&self, all: bool) -> Result<Stopped, Rejection> {
        self.may(|scope, _| scope.check_all("stop the daemon"))?;
        let running = self.running();
        let pid = self.pid;
        if !all {
            self.stop.send_replace(Stop::Daemon);
            return Ok(Stopped { pid, ended: Vec::new(), running });
        }
        self.hands.end_everything().await;
        // The sessions' own ends follow from their programs' ends, a commit later.
        let mut heads = self.journal.heads();
        let settled = async { while !self.running().is_empty() && heads.changed().await.is_ok() {} };
        tokio::time::timeout(SETTLE_MAX, settled).await.ok();
        let left = self.running();
        let ended = running.into_iter().filter(|session| !left.contains(session)).collect();
        self.stop.send_replace(Stop::All);
        Ok(Stopped { pid, ended, running: left })
    }

    fn metrics(&self) -> Result<String, Rejection> {
        self.may(|scope, _| scope.check_all("read metrics"))?;
        Ok(metrics::text(self))
    }
}
