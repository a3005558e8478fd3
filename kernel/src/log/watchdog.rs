//! The watchdog of the writer: a disk that does not answer is told of, and keeps nobody waiting.
//!
//! While the writer waits for the disk, its group and its queue lie here. If that takes too long, they are refused as if the
//! commit had failed, and so is whatever is appended until the writer is back. What becomes of the commit is the writer's to
//! find out: nothing here touches the disk.
//!
//! A commit that works costs two locks that nobody else wants. The thread sleeps until the commit that woke it would be
//! overdue, then until the newest one would be, and without a timer once none began for so long.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use ropewalk_protocol::Rejection;

use super::group::{Group, Queue};
use super::journal::{Shared, lock};
use super::store::StoreError;
use crate::offload;

/// Which part of the bound is waited once more before a commit is called overdue: a process that was stopped, or whose clock
/// jumped, has not given the disk any time.
const GRACE_PART: u32 = 20;

pub(super) struct Watchdog {
    /// How long the writer may wait for the disk.
    commit_time_max: Duration,
    /// The writer waits for longer than that.
    stalled: AtomicBool,
    watched: Mutex<Watched>,
    changed: Condvar,
}

#[derive(Default)]
struct Watched {
    /// When the writer last began to wait for the disk, for as long as that counts.
    since: Option<Instant>,
    /// It waits still.
    is_waiting: bool,
    group: Group,
    /// Here while the writer waits for the disk.
    queue: Option<Queue>,
    /// The thread has a timer, so that it need not be woken.
    is_awake: bool,
    /// The writer ended.
    is_over: bool,
}

impl Watchdog {
    pub(super) fn new(commit_time_max: Duration) -> Self {
        Self { commit_time_max, stalled: AtomicBool::new(false), watched: Mutex::default(), changed: Condvar::new() }
    }

    /// The writer is about to wait for the disk, with this group; this waits behind it.
    pub(super) fn begin(&self, group: Group, queue: Option<Queue>) {
        let mut watched = lock(&self.watched);
        (watched.since, watched.is_waiting) = (Some(Instant::now()), true);
        (watched.group, watched.queue) = (group, queue);
        let was_awake = std::mem::replace(&mut watched.is_awake, true);
        drop(watched);
        if !was_awake {
            self.changed.notify_one();
        }
    }

    /// The disk answered. Gives back what [`Watchdog::begin`] was given, and whether it was refused because it took too long.
    pub(super) fn end(&self) -> (Group, Option<Queue>, bool) {
        let mut watched = lock(&self.watched);
        watched.is_waiting = false;
        let overdue = self.stalled.swap(false, Ordering::Relaxed);
        (std::mem::take(&mut watched.group), watched.queue.take(), overdue)
    }

    /// Whether the writer waits for the disk.
    pub(super) fn is_waiting(&self) -> bool {
        lock(&self.watched).is_waiting
    }

    /// Whether the disk has not answered for too long.
    pub(super) fn is_stalled(&self) -> bool {
        self.stalled.load(Ordering::Relaxed)
    }

    /// Sleeps until there is something to do, or this long.
    fn sleep<'a>(&'a self, mut watched: MutexGuard<'a, Watched>, time: Option<Duration>) -> MutexGuard<'a, Watched> {
        let Some(time) = time else {
            watched.is_awake = false;
            return self.changed.wait(watched).unwrap_or_else(PoisonError::into_inner);
        };
        self.changed.wait_timeout(watched, time).unwrap_or_else(PoisonError::into_inner).0
    }
}

/// Watches until the writer ended.
fn run(shared: &Shared) {
    let watchdog = &shared.watchdog;
    let mut suspected = None;
    let mut watched = lock(&watchdog.watched);
    while !watched.is_over {
        let Some(since) = watched.since else {
            watched = watchdog.sleep(watched, None);
            continue;
        };
        let left = watchdog.commit_time_max.saturating_sub(since.elapsed());
        if !left.is_zero() {
            watched = watchdog.sleep(watched, Some(left));
        } else if !watched.is_waiting {
            watched.since = None;
        } else if suspected.replace(since) != Some(since) {
            watched = watchdog.sleep(watched, Some(watchdog.commit_time_max / GRACE_PART));
        } else {
            let rejection = shared.degrade(StoreError::Stalled(watchdog.commit_time_max));
            watchdog.stalled.store(true, Ordering::Relaxed);
            // Whoever appended before has it in the queue; whoever appends after sees that the disk is stalled.
            fence(Ordering::SeqCst);
            let refused = watched.group.refuse(&rejection) + watched.refuse_queue(&rejection);
            shared.refused.fetch_add(refused, Ordering::Relaxed);
            watched.since = None;
        }
    }
}

impl Watched {
    fn refuse_queue(&mut self, rejection: &Rejection) -> u64 {
        self.queue.as_mut().map_or(0, |queue| queue.refuse(rejection))
    }
}

impl Shared {
    /// To be called after something was put into the writer's queue: while the disk does not answer nobody takes it out.
    pub(super) fn refuse_while_stalled(&self) {
        // Either this sees that the disk is stalled, or the watchdog sees what was put into the queue.
        fence(Ordering::SeqCst);
        if !self.watchdog.is_stalled() {
            return;
        }
        let mut watched = lock(&self.watchdog.watched);
        if self.watchdog.is_stalled() {
            let rejection = Rejection::from(StoreError::Stalled(self.watchdog.commit_time_max)).at(*self.head.borrow());
            self.refused.fetch_add(watched.refuse_queue(&rejection), Ordering::Relaxed);
        }
    }
}

/// The watchdog's thread; a simulated disk always answers, so that there is none in a simulation.
pub(super) struct Watching {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Watching {
    pub(super) fn start(shared: Arc<Shared>) -> io::Result<Self> {
        let watched = shared.clone();
        let thread = match offload::is_simulated() {
            true => None,
            false => Some(thread::Builder::new().name("log-watchdog".to_owned()).spawn(move || run(&watched))?),
        };
        Ok(Self { shared, thread })
    }
}

impl Drop for Watching {
    /// The writer ends, however it does: what it left here is dropped, so that whoever waits for it is told.
    fn drop(&mut self) {
        let watchdog = &self.shared.watchdog;
        let left = {
            let mut watched = lock(&watchdog.watched);
            watched.is_over = true;
            (std::mem::take(&mut watched.group), watched.queue.take())
        };
        drop(left);
        watchdog.changed.notify_one();
        if let Some(Err(panic)) = self.thread.take().map(JoinHandle::join) {
            tracing::error!(?panic, "the log's watchdog panicked");
        }
    }
}
