//! The system under test: one daemon after another on one disk and one holder, and the clients that outlive them.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use ropewalk_actors::Link;
use ropewalk_kernel::clock::Clock;
use ropewalk_kernel::ids::Ids;
use ropewalk_protocol::{
    ClientId, Command, CommandId, MachineId, Program, Query, Seq, SessionId, Size, SubscribeAfter, TerminalId,
    Timestamp,
};
use ropewalk_transport::server;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::super::checkpoints::Checkpoints;
use super::super::compose::{Composed, Ground, compose};
use super::super::run_tokens::RunTokens;
use super::client::{Shared, SimClient, lock};
use super::disk::Disk;
use super::holder::Holder;
use super::network::Network;
use super::random::Random;
use super::trace::{elapsed, note};
use super::transition::{CLIENTS, Plan, Transition};

/// The sizes that windows and terminals have.
pub(super) const SIZES: [Size; 4] = [
    Size { cols: 80, rows: 24 },
    Size { cols: 40, rows: 10 },
    Size { cols: 120, rows: 30 },
    Size { cols: 20, rows: 5 },
];
/// When the simulated world begins.
const BEGAN_MICROS: u64 = 1_800_000_000_000_000;

/// The machine's clock: virtual time, and whatever it was set to besides.
struct SetClock(AtomicI64);

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        let skew = self.0.load(Ordering::Relaxed);
        let elapsed = u64::try_from(elapsed().as_micros()).expect("a run is short");
        Timestamp::from_unix_micros((BEGAN_MICROS + elapsed).saturating_add_signed(skew))
    }
}

/// Ids that count up over all daemons.
struct Counter(AtomicU64);

impl Ids for Counter {
    fn mint(&self, now: Timestamp) -> uuid::Uuid {
        let mut bytes = [0; 10];
        bytes[2..].copy_from_slice(&self.0.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        uuid::Builder::from_unix_timestamp_millis(now.unix_millis(), &bytes).into_uuid()
    }
}

/// A daemon that runs.
struct Life {
    composed: Composed,
    serving: JoinHandle<()>,
    stop: oneshot::Sender<()>,
}

pub(super) struct System {
    pub(super) disk: Disk,
    pub(super) holder: Holder,
    network: Network,
    clock: Arc<SetClock>,
    ids: Arc<Counter>,
    checkpoints: Checkpoints,
    pub(super) clients: Vec<SimClient>,
    pub(super) shared: Shared,
    life: Option<Life>,
    lives: u32,
    random: Random,
    /// The holder died, or the power was cut: bytes that were shown may be lost.
    pub(super) lossy: bool,
}

impl System {
    pub(super) fn new(plan: &Plan) -> Self {
        let mut random = Random::new(plan.seed ^ 0x5eed);
        let network = Network::new(random.fork(1), plan.pipe_bytes, plan.slowest_millis);
        let shared = Shared::default();
        let clients = (0..CLIENTS).map(|number| {
            let instance = ClientId::from_bytes([u8::try_from(number + 1).expect("few clients"); 16]);
            SimClient::start(number, instance, network.dial(number), shared.clone())
        });
        Self {
            disk: Disk::new(plan.volume_bytes_max, Random::new(plan.seed ^ 0xd15c)),
            holder: Holder::new(plan.pipe_bytes),
            clients: clients.collect(),
            network,
            clock: Arc::new(SetClock(AtomicI64::new(0))),
            ids: Arc::new(Counter(AtomicU64::new(1))),
            checkpoints: Checkpoints::in_memory(),
            shared,
            life: None,
            lives: 0,
            random,
            lossy: false,
        }
    }

    pub(super) fn composed(&self) -> Option<&Composed> {
        self.life.as_ref().map(|life| &life.composed)
    }

    /// Starts a daemon on what the one before left.
    pub(super) async fn start(&mut self) {
        self.lives += 1;
        let ground = Ground {
            shelf: self.disk.shelf(),
            clock: self.clock.clone(),
            ids: self.ids.clone(),
            link: Link::over(self.holder.dial()),
            checkpoints: self.checkpoints.clone(),
            machine: MachineId::from_bytes([9; 16]),
            token: blake3::hash(b"token"),
            // No agent of the simulation has the MCP server: nothing is written there.
            run_tokens: RunTokens::new("token", PathBuf::new(), PathBuf::new()),
            pid: 100 + self.lives,
        };
        note(format!("daemon {} starts", self.lives));
        match compose(ground).await {
            Ok(composed) => {
                let (incoming, door) = server::Incoming::handed_only();
                let (stop, stopped) = oneshot::channel();
                let serve = server::serve(incoming, composed.daemon.clone(), async move { drop(stopped.await) });
                let serving = tokio::spawn(async move { drop(serve.await) });
                self.network.serve(Some(door));
                self.life = Some(Life { composed, serving, stop });
            }
            Err(failure) => {
                note(format!("daemon {} does not start: {failure:?}", self.lives));
                self.disk.crash(false);
                self.holder.cut();
            }
        }
    }

    /// Kills the daemon, and with the power everything else.
    pub(super) fn crash(&mut self, power: bool) {
        note(if power { "the power is cut" } else { "the daemon is killed" });
        self.disk.crash(power);
        self.network.serve(None);
        self.holder.cut();
        if power {
            self.lossy = true;
            self.holder.die();
        }
        if let Some(life) = self.life.take() {
            life.serving.abort();
            life.composed.crash();
        }
    }

    /// Stops the daemon as somebody who asks does.
    async fn stop(&mut self) {
        if let Some(life) = self.life.take() {
            note("the daemon is stopped");
            life.stop.send(()).ok();
            life.serving.await.ok();
            let closing = life.composed.close("asked to stop");
            let clean = tokio::time::timeout(Duration::from_secs(60), closing).await;
            note(format!("the daemon stopped: {clean:?}"));
        }
        self.network.serve(None);
        self.holder.cut();
        self.disk.crash(false);
    }

    /// What follows from the machine's death in the middle of a commit.
    pub(super) async fn look_after(&mut self) {
        if self.disk.is_dead() {
            let power = self.random.one_in(3);
            self.crash(power);
        }
        if self.life.is_none() {
            self.start().await;
        }
    }

    /// Everything works again.
    pub(super) async fn heal(&mut self) {
        self.network.reach(true);
        self.network.heal();
        self.disk.heal();
        for client in &self.clients {
            client.reads.send_replace(true);
        }
        self.look_after().await;
    }

    fn client(&self, client: u8) -> &SimClient {
        &self.clients[usize::from(client) % self.clients.len()]
    }

    /// One of the sessions there are, or one that never was.
    fn session(&self, nth: u8) -> SessionId {
        let reference = lock(&self.shared);
        match reference.sessions.len() {
            0 => SessionId::from_bytes([nth; 16]),
            // The newest ones more often than the others.
            count => reference.sessions[count - 1 - usize::from(nth) % count.min(4)],
        }
    }

    fn terminal(&self, nth: u8) -> Option<(SessionId, TerminalId)> {
        let reference = lock(&self.shared);
        let count = reference.terminals.len();
        (count > 0).then(|| reference.terminals[count - 1 - usize::from(nth) % count.min(4)])
    }

    fn attachment(&self, client: u8, nth: u8) -> Option<(usize, TerminalId)> {
        let client = usize::from(client) % self.clients.len();
        let reference = lock(&self.shared);
        let mine = reference.attachments.iter().filter(|of| of.client == client && !of.over && of.made > 0);
        let mine: Vec<(usize, TerminalId)> = mine.map(|of| (of.number, of.terminal)).collect();
        (!mine.is_empty()).then(|| mine[usize::from(nth) % mine.len()])
    }

    fn command_id(&self) -> CommandId {
        CommandId::from(self.ids.mint(self.clock.now()))
    }

    fn send(&self, client: u8, command: Command) {
        self.client(client).command(self.command_id(), command);
    }

    /// Lets it happen.
    pub(super) async fn apply(&mut self, transition: Transition) {
        note(format!("{transition:?}"));
        match transition {
            Transition::Create { client, name, program } => {
                self.send(client, create(name, program));
            }
            Transition::Rename { client, session, name } => {
                let session = self.session(session);
                self.send(client, Command::SessionRename { session, name: format!("n{}", name % 6) });
            }
            Transition::Annotate { client, session, length } => {
                let (session, text) = (self.session(session), "remark ".repeat(usize::from(length) / 7));
                self.send(client, Command::SessionAnnotate { session, text });
            }
            Transition::End { client, session } => {
                self.send(client, Command::SessionEnd { session: self.session(session) });
            }
            Transition::Delete { client, session } => {
                self.send(client, Command::SessionDelete { session: self.session(session) });
            }
            Transition::Resize { client, terminal, size } => {
                if let Some((session, terminal)) = self.terminal(terminal) {
                    let size = SIZES[usize::from(size) % SIZES.len()];
                    self.send(client, Command::TerminalResize { session, terminal, size });
                }
            }
            Transition::Repeat { client, command, other } => self.repeat(client, command, other),
            Transition::Subscribe { client, session, from } => self.subscribe(client, session, from),
            Transition::StopReading { client, millis } => {
                let reads = self.client(client).reads.clone();
                reads.send_replace(false);
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_millis(millis.into())).await;
                    reads.send_replace(true);
                });
            }
            Transition::Attach { client, terminal, from, size } => self.attach(client, terminal, from, size),
            Transition::Detach { client, attachment } => {
                if let Some((number, terminal)) = self.attachment(client, attachment) {
                    lock(&self.shared).attachments[number].over = true;
                    self.client(client).detach(terminal);
                }
            }
            Transition::Window { client, attachment, size } => {
                if let Some((_, terminal)) = self.attachment(client, attachment) {
                    self.client(client).window(terminal, SIZES[usize::from(size) % SIZES.len()]);
                }
            }
            Transition::Type { client, attachment, length } => {
                if let Some((_, terminal)) = self.attachment(client, attachment) {
                    let bytes = vec![b'a' + length % 26; usize::from(length) + 1];
                    self.client(client).type_into(terminal, bytes).await;
                }
            }
            Transition::Ask { client, what } => self.ask(client, what),
            Transition::Print { program, bytes } => self.holder.print(program.into(), bytes.into()),
            Transition::Exit { program, code } => self.holder.exit(program.into(), code.into()),
            other => self.disturb(other).await,
        }
    }

    /// What the world does to the daemon.
    pub(super) async fn disturb(&mut self, transition: Transition) {
        match transition {
            Transition::Cut { client } => self.network.cut(client.into()),
            Transition::CutAfter { client, bytes } => self.network.cut_after(client.into(), bytes.into()),
            Transition::Stall { client } => self.network.stall(client.into()),
            Transition::HealNetwork => self.network.heal(),
            Transition::Unreachable { reachable } => self.network.reach(reachable),
            Transition::FailCommits { fault, after, count } => self.disk.fail_commits(fault, after, count),
            Transition::TearHead { parts, dies } => self.disk.tear_head(parts, dies),
            Transition::FailOpens { count } => self.disk.fail_opens(count.into()),
            Transition::DamageNewest => self.disk.damage_newest(),
            Transition::FillDisk { full } => self.disk.fill(full),
            Transition::Crash { power } => {
                self.crash(power);
                let down = Duration::from_millis(self.random.below(500));
                tokio::time::sleep(down).await;
                self.start().await;
            }
            Transition::Restart => {
                self.stop().await;
                self.start().await;
            }
            Transition::CutHolder => self.holder.cut(),
            Transition::KillHolder => {
                self.lossy = true;
                self.holder.die();
            }
            Transition::Jump { seconds } => {
                self.clock.0.fetch_add(i64::from(seconds) * 1_000_000, Ordering::Relaxed);
            }
            Transition::Wait { millis } => tokio::time::sleep(Duration::from_millis(millis.into())).await,
            _ => {}
        }
    }

    fn repeat(&self, client: u8, command: u8, other: bool) {
        let (asked, body) = {
            let mut reference = lock(&self.shared);
            let count = reference.asked.len();
            if count == 0 {
                return;
            }
            let asked = count - 1 - usize::from(command) % count.min(6);
            let bodies = &mut reference.asked[asked].bodies;
            if other && bodies.len() == 1 {
                bodies.push(create(command, 0));
            }
            if other && bodies[1] != bodies[0] { (asked, 1) } else { (asked, 0) }
        };
        self.client(client).repeat(asked, body);
    }

    fn subscribe(&self, client: u8, session: u8, from: u8) {
        let session = session.is_multiple_of(3).then(|| self.session(session / 3));
        let seen = lock(&self.shared).seen.keys().next_back().copied().unwrap_or(Seq::ZERO);
        let first = match from % 4 {
            0 => SubscribeAfter::Seq(Seq::ZERO),
            1 => SubscribeAfter::SNAPSHOT,
            2 => SubscribeAfter::NOW,
            // Whatever anybody has seen is there, for everybody and for ever.
            _ => SubscribeAfter::Seq(Seq(seen.0.saturating_sub(u64::from(from / 16)))),
        };
        self.client(client).subscribe(session, first);
    }

    fn attach(&self, client: u8, terminal: u8, from: u8, size: u8) {
        let Some((_, terminal)) = self.terminal(terminal) else {
            return;
        };
        let size = size.is_multiple_of(3).then(|| SIZES[usize::from(size / 3) % SIZES.len()]);
        let after = from.is_multiple_of(2).then_some(0);
        self.client(client).attach(terminal, after, size);
    }

    fn ask(&self, client: u8, what: u8) {
        let query = match what % 4 {
            0 => Query::SessionsList { after: None, limit: None },
            1 => {
                let seen = lock(&self.shared).seen.keys().next_back().map_or(0, |seq| seq.0);
                let place = Seq(seen.min(u64::from(what / 16)));
                let (after, before) =
                    if (what / 4).is_multiple_of(2) { (place, None) } else { (Seq::ZERO, Some(place)) };
                Query::EventsPage { session: None, agent: None, after, before, limit: Some(20) }
            }
            _ => match self.terminal(what / 4) {
                Some((_, terminal)) => Query::TerminalScreen { terminal, scrollback: 0 },
                None => return,
            },
        };
        self.client(client).ask(query);
    }
}

fn create(name: u8, program: u8) -> Command {
    let size = program.is_multiple_of(2).then(|| SIZES[usize::from(program) % SIZES.len()]);
    let argv = match program % 8 {
        0 => None,
        1 => Some(vec!["missing".to_owned()]),
        _ => Some(vec!["program".to_owned(), (program / 8 % 3).to_string(), (program / 24 % 3).to_string()]),
    };
    let program =
        argv.map(|argv| Program { argv, directory: "/".to_owned(), environment: std::collections::BTreeMap::new() });
    let name = name.is_multiple_of(3).then(|| format!("n{}", name / 3 % 6));
    let workspace = name.as_ref().map(|_| "/".to_owned());
    Command::SessionCreate { name, workspace, program, size, agent: None }
}
