//! A network between real clients and a real server: it delays, holds back, cuts, and cuts in the middle of a frame.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use ropewalk_kernel::watch;
use ropewalk_transport::client::{Dial, Io};
use ropewalk_transport::server::Handed;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf};
use tokio::sync::mpsc;

use super::random::Random;
use super::trace::note;

/// The network. Clones share it.
#[derive(Clone)]
pub(super) struct Network(Arc<Mutex<State>>);

struct State {
    /// Where the server takes connections, while it lives.
    door: Option<mpsc::Sender<Handed>>,
    links: BTreeMap<u64, Link>,
    next: u64,
    random: Random,
    /// Bytes on their way in one direction before the sender waits.
    pipe_bytes: usize,
    slowest_millis: u64,
    reachable: bool,
}

struct Link {
    client: usize,
    condition: Arc<watch::Sender<Condition>>,
}

/// How a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Condition {
    Open,
    /// So many more bytes pass, in either direction, and then it is cut.
    CutAfter(u64),
    /// Nothing passes and nobody is told.
    Stalled,
    Cut,
}

impl Network {
    pub(super) fn new(random: Random, pipe_bytes: usize, slowest_millis: u64) -> Self {
        let (door, links) = (None, BTreeMap::new());
        Self(Arc::new(Mutex::new(State { door, links, next: 1, random, pipe_bytes, slowest_millis, reachable: true })))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no panic while the network is locked")
    }

    /// A server takes connections here, or none does.
    pub(super) fn serve(&self, door: Option<mpsc::Sender<Handed>>) {
        let mut state = self.lock();
        state.door = door;
        if state.door.is_none() {
            for link in state.links.values() {
                link.condition.send_replace(Condition::Cut);
            }
            state.links.clear();
        }
    }

    /// Connections can be made, or cannot.
    pub(super) fn reach(&self, reachable: bool) {
        self.lock().reachable = reachable;
    }

    pub(super) fn cut(&self, client: usize) {
        self.become_all(client, Condition::Cut);
    }

    pub(super) fn cut_after(&self, client: usize, bytes: u64) {
        self.become_all(client, Condition::CutAfter(bytes));
    }

    pub(super) fn stall(&self, client: usize) {
        self.become_all(client, Condition::Stalled);
    }

    /// What was held back passes on.
    pub(super) fn heal(&self) {
        let state = self.lock();
        for link in state.links.values() {
            if *link.condition.borrow() == Condition::Stalled {
                link.condition.send_replace(Condition::Open);
            }
        }
    }

    fn become_all(&self, client: usize, condition: Condition) {
        let mut state = self.lock();
        for link in state.links.values().filter(|link| link.client == client) {
            // Of one that is being cut one direction may be gone already: then the other one goes on alone.
            link.condition.send_replace(condition);
        }
        if condition == Condition::Cut {
            state.links.retain(|_, link| link.client != client);
        }
    }

    /// How this client makes its connections.
    pub(super) fn dial(&self, client: usize) -> Dial {
        let network = self.clone();
        Arc::new(move || {
            let network = network.clone();
            Box::pin(async move { Ok((Box::new(network.connect(client)?) as Box<dyn Io>, None)) })
        })
    }

    fn connect(&self, client: usize) -> io::Result<DuplexStream> {
        let mut state = self.lock();
        let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
        let door = state.door.clone().filter(|_| state.reachable).ok_or_else(refused)?;
        let (mine, near) = tokio::io::duplex(state.pipe_bytes);
        let (far, theirs) = tokio::io::duplex(state.pipe_bytes);
        door.try_send((Box::new(theirs), format!("client {client}"))).map_err(|_| refused())?;
        let number = state.next;
        state.next += 1;
        let condition = Arc::new(watch::Sender::new(Condition::Open));
        let (near_read, near_write) = tokio::io::split(near);
        let (far_read, far_write) = tokio::io::split(far);
        for (read, write) in [(near_read, far_write), (far_read, near_write)] {
            let (random, slowest) = (state.random.fork(number), state.slowest_millis);
            tokio::spawn(pump(read, write, condition.clone(), random, slowest));
        }
        note(format!("client {client} connects ({number})"));
        state.links.insert(number, Link { client, condition });
        Ok(mine)
    }
}

/// Carries bytes one way.
async fn pump(
    mut read: ReadHalf<DuplexStream>,
    mut write: WriteHalf<DuplexStream>,
    condition: Arc<watch::Sender<Condition>>,
    mut random: Random,
    slowest_millis: u64,
) {
    let mut changes = condition.subscribe();
    let mut bytes = vec![0; 16 * 1024];
    loop {
        let now = *changes.borrow_and_update();
        match now {
            Condition::Cut => return,
            Condition::Stalled => {
                if changes.changed().await.is_err() {
                    return;
                }
                continue;
            }
            Condition::Open | Condition::CutAfter(_) => {}
        }
        let count = tokio::select! {
            biased;
            _ = changes.changed() => continue,
            count = read.read(&mut bytes) => count.unwrap_or(0),
        };
        if count == 0 {
            condition.send_replace(Condition::Cut);
            return;
        }
        if random.one_in(4) {
            tokio::time::sleep(Duration::from_millis(random.below(slowest_millis + 1))).await;
        }
        if pass(&mut write, &bytes[..count], &condition).await.is_none() {
            condition.send_replace(Condition::Cut);
            return;
        }
    }
}

/// Hands bytes on, as far as the connection lasts; `None` once it does not.
async fn pass(write: &mut WriteHalf<DuplexStream>, bytes: &[u8], condition: &watch::Sender<Condition>) -> Option<()> {
    let mut changes = condition.subscribe();
    // What is on its way when a connection stalls is on its way until it does not.
    while *changes.borrow_and_update() == Condition::Stalled {
        changes.changed().await.ok()?;
    }
    let mut last = false;
    let mut count = bytes.len();
    let now = *condition.borrow();
    match now {
        Condition::Cut => (count, last) = (0, true),
        Condition::CutAfter(left) if left <= count as u64 => {
            (count, last) = (usize::try_from(left).expect("at most the count"), true);
        }
        Condition::CutAfter(left) => {
            condition.send_replace(Condition::CutAfter(left - count as u64));
        }
        Condition::Open | Condition::Stalled => {}
    }
    let mut rest = &bytes[..count];
    while !rest.is_empty() {
        let written = tokio::select! {
            biased;
            written = write.write(rest) => written.ok()?,
            _ = changes.wait_for(|condition| *condition == Condition::Cut) => return None,
        };
        rest = &rest[written..];
    }
    (!last).then_some(())
}
