//! The loop: waits until something happens, and says which part looks after it.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use ropewalk_protocol::holder::{FromHolder, wire};
use ropewalk_protocol::{RunId, TerminalId};
use rustix::event::epoll::EventFlags;

use crate::connection::Connection;
use crate::door::Door;
use crate::ending::{Ending, Step};
use crate::own_signals::OwnSignals;
use crate::poller::{Happened, Poller, Port, Token};
use crate::run::{self, Run};
use crate::stream::Stream;
use crate::{lock, procfs, spool};

/// How long a holder that holds nothing waits for a daemon.
const EMPTY_GRACE: Duration = Duration::from_secs(2);

/// Connections that did not say hello. The oldest makes place for a new one.
const STRANGERS_MAX: usize = 8;

/// Where the holder of one data directory finds its things.
#[derive(Debug, Clone)]
pub struct Config {
    /// The Unix socket; its directory is the user's alone.
    pub socket: PathBuf,
    /// The file whose lock makes this holder the only one.
    pub lock: PathBuf,
    /// The directory for bytes that memory has no place for.
    pub spool: PathBuf,
    /// The program that becomes others in a session of their own: `<self_exe> exec-in-session -- argv…`.
    pub self_exe: PathBuf,
    /// How long a program waits for a daemon that follows and makes nothing durable, before it goes on into the spool.
    pub patience: Duration,
    /// How long a spool that the disk does not read is tried again before what cannot be read is told as lost.
    pub spool_patience: Duration,
}

/// Why a holder did not come to be, or had to leave.
#[derive(Debug, thiserror::Error)]
pub enum HolderError {
    /// Another one holds this data directory.
    #[error("{} is held by {}", path.display(), holder_name(*.pid))]
    Held {
        /// The lock's file.
        path: PathBuf,
        /// The other holder's process id, if its file says it.
        pid: Option<u32>,
    },
    /// The lock could not be taken.
    #[error("cannot lock {}: {source}", path.display())]
    Lock {
        /// The lock's file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The spool directory could not be prepared.
    #[error("cannot use {} for spooling: {source}", path.display())]
    Spool {
        /// The directory.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The socket could not be opened.
    #[error("cannot listen on {}: {source}", path.display())]
    Listen {
        /// The socket.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The operating system refused something no holder can do without.
    #[error("cannot wait for events: {0}")]
    Poll(#[from] io::Error),
}

fn holder_name(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}

/// Holds processes until there are none and no daemon is connected, or until it is told to end them all. Calls `ready`
/// with its process id once it listens. Made for a process of its own: it leads a new session and takes in orphans, and
/// `signals` are what is sent to it.
///
/// # Errors
/// Another holder has the lock, or the operating system refuses the lock, the spool, the socket or the poller.
pub fn run(config: Config, signals: OwnSignals, ready: impl FnOnce(u32)) -> Result<(), HolderError> {
    let lock = lock::take(&config.lock)?;
    // Away from the terminal that the daemon was started in: its hang-up and its ^C are not for the holder. A process
    // that leads a session already is away.
    let _ = rustix::process::setsid();
    if let Err(error) = rustix::process::set_child_subreaper(Some(rustix::process::getpid())) {
        tracing::warn!(%error, "orphaned processes will go to init");
    }
    spool::prepare_directory(&config.spool)
        .map_err(|source| HolderError::Spool { path: config.spool.clone(), source })?;
    let poller = Poller::new()?;
    let mut signal_pipe = Port::new(signals.pipe()?, Token::OwnSignal);
    signal_pipe.want(&poller, EventFlags::IN)?;
    let door = Door::open(&config.socket, lock, &poller)
        .map_err(|source| HolderError::Listen { path: config.socket.clone(), source })?;
    ready(std::process::id());
    Holder::new(config, poller, door, signals, signal_pipe).serve()
}

/// All of it.
pub(crate) struct Holder {
    pub(crate) config: Config,
    pub(crate) poller: Poller,
    pub(crate) door: Door,
    pub(crate) connections: BTreeMap<u64, Connection>,
    /// The connection that said hello last.
    pub(crate) daemon: Option<u64>,
    pub(crate) runs: BTreeMap<RunId, Run>,
    pub(crate) streams: BTreeMap<u64, Stream>,
    pub(crate) stream_numbers: BTreeMap<TerminalId, u64>,
    next_number: u64,
    pub(crate) scratch: Vec<u8>,
    /// The last stream whose turn to send came.
    pub(crate) turn: u64,
    /// Some stream has bytes to send that the connection had no place for.
    pub(crate) is_behind: bool,
    /// A process ended, so others may have been left to this one.
    pub(crate) is_untidy: bool,
    pub(crate) ending: Option<Ending>,
    /// When this turn of the loop began.
    pub(crate) now: Instant,
    /// When the daemon last said that bytes are durable, or came.
    pub(crate) heard: Instant,
    /// Streams that are to be looked at again, and when.
    pub(crate) looks: BTreeMap<u64, Instant>,
    signals: OwnSignals,
    /// Watched as long as it is open.
    _signal_pipe: Port,
}

impl Holder {
    fn new(config: Config, poller: Poller, door: Door, signals: OwnSignals, signal_pipe: Port) -> Self {
        let now = Instant::now();
        Self {
            config,
            poller,
            door,
            connections: BTreeMap::new(),
            daemon: None,
            runs: BTreeMap::new(),
            streams: BTreeMap::new(),
            stream_numbers: BTreeMap::new(),
            next_number: 0,
            scratch: vec![0; wire::OUTPUT_FRAME_BYTES_MAX],
            turn: 0,
            is_behind: false,
            is_untidy: false,
            ending: None,
            now,
            heard: now,
            looks: BTreeMap::new(),
            signals,
            _signal_pipe: signal_pipe,
        }
    }

    fn serve(mut self) -> Result<(), HolderError> {
        let mut events = Vec::new();
        let mut empty_since = None;
        loop {
            let is_empty = self.runs.is_empty() && self.connections.is_empty();
            empty_since = if is_empty { empty_since.or(Some(self.now)) } else { None };
            let leave_at = empty_since.map(|since| since + EMPTY_GRACE);
            let ending = match self.go_on_ending() {
                Some(Step::Leave) => return Ok(()),
                Some(Step::Wait(until)) => Some(until),
                Some(Step::Send(_)) | None => None,
            };
            let look = self.looks.values().min().copied();
            let until = [ending, leave_at, look, self.door.retry_at()].into_iter().flatten().min();
            let timeout = until.map(|until| until.saturating_duration_since(Instant::now()));
            let happened = self.poller.wait(&mut events, timeout)?;
            self.now = Instant::now();
            if happened.is_empty() && leave_at.is_some_and(|at| self.now >= at) {
                return Ok(());
            }
            self.turn_of_events(&happened);
            if self.is_untidy {
                self.tidy();
            }
        }
    }

    /// What the daemon sends comes first: no program that writes a lot may delay a key.
    fn turn_of_events(&mut self, happened: &[Happened]) {
        for event in happened {
            match event.token {
                Token::Door => self.let_in(),
                Token::Connection(number) => self.serve_connection(number, event.flags),
                Token::OwnSignal => self.signalled(),
                Token::Directory => self.door.look(),
                Token::Process(_) | Token::Output(_) | Token::Input(_) => {}
            }
        }
        for event in happened {
            match event.token {
                Token::Door | Token::Connection(_) | Token::OwnSignal | Token::Directory => {}
                Token::Process(number) => self.process_ended(number),
                Token::Output(number) => self.serve_output(number, event.flags),
                Token::Input(number) => self.write_input(number),
            }
        }
        self.look_again();
        self.door.mend(self.now, &self.poller);
        if self.is_behind {
            self.send_all();
        }
        self.flush();
    }

    /// A signal came: a child ended, or somebody asked the holder to end.
    fn signalled(&mut self) {
        self.is_untidy = true;
        if self.signals.take() {
            self.asked_to_end();
        }
    }

    /// A number that was never given before: an event of something closed meanwhile finds nothing.
    pub(crate) fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    fn let_in(&mut self) {
        let Some(socket) = self.door.accept(&self.poller) else { return };
        let strangers: Vec<u64> = self.connections.keys().copied().filter(|at| Some(*at) != self.daemon).collect();
        if strangers.len() >= STRANGERS_MAX {
            self.drop_connection(strangers[0]);
        }
        let number = self.number();
        match Connection::new(socket, number, &self.poller) {
            Ok(connection) => drop(self.connections.insert(number, connection)),
            Err(error) => tracing::warn!(%error, "cannot watch a connection"),
        }
        self.is_untidy = true;
    }

    fn process_ended(&mut self, number: u64) {
        let Some(run) = self.runs.values_mut().find(|run| run.number == number) else { return };
        let Some(exit) = run.look() else { return };
        if let Some(process) = &mut run.process {
            // An ended process stays readable.
            let _ = process.want(&self.poller, EventFlags::empty());
        }
        let (id, stream, errors) = (run.run, run.stream, run.errors);
        let numbers =
            [Some(stream), errors].into_iter().flatten().filter_map(|id| self.stream_numbers.get(&id).copied());
        for number in numbers.collect::<Vec<_>>() {
            if let Some(stream) = self.streams.get_mut(&number) {
                stream.leaderless = true;
            }
            // A terminal that hung before says so again only when asked.
            self.read_output(number);
        }
        let offset = self.stream(stream).map_or(0, |stream| stream.buffer.end());
        if let Some(run) = self.runs.get_mut(&id) {
            run.exit = Some((exit, offset));
        }
        self.is_untidy = true;
        self.tell(&FromHolder::Exited { run: id, exit, offset });
    }

    fn tidy(&mut self) {
        self.is_untidy = false;
        self.door.reopen(&self.poller);
        let processes = procfs::processes();
        for run in self.runs.values_mut() {
            run.reap(&processes, &self.poller);
        }
        run::reap_orphans(&processes, self.runs.values());
    }
}
