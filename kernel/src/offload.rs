//! Work that blocks: on threads of its own. In a simulation it is done in line, so that one seed means one order.
//!
//! Whoever blocks asks here and nowhere else; that is what makes a whole daemon run on one thread, in virtual time.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::thread;
use std::time::Duration;

use tokio::task::JoinHandle;

/// How long the next piece of blocking work takes in a simulation.
pub type Pause = fn() -> Duration;

thread_local! {
    static SIMULATION: Cell<Option<Pause>> = const { Cell::new(None) };
}

/// From here on this thread simulates, or does not: what would block is done in line after a pause.
pub fn simulate(pause: Option<Pause>) {
    SIMULATION.set(pause);
}

/// Whether this thread simulates.
pub fn is_simulated() -> bool {
    SIMULATION.get().is_some()
}

/// What blocking work takes, in a simulation; nothing otherwise.
pub async fn pause() {
    if let Some(pause) = SIMULATION.get() {
        match pause() {
            Duration::ZERO => tokio::task::yield_now().await,
            pause => tokio::time::sleep(pause).await,
        }
    }
}

/// Does what blocks beside the caller.
pub fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    if !is_simulated() {
        return tokio::task::spawn_blocking(work);
    }
    tokio::spawn(async move {
        pause().await;
        work()
    })
}

/// Blocks this thread for a while. In a simulation nothing would happen meanwhile, so it does not.
pub(crate) fn wait(time: Duration) {
    if !is_simulated() {
        thread::sleep(time);
    }
}

/// Waits for this, but not longer, on a thread that [`blocking`] gave; what looks at the clock is the runtime it is of. In a simulation nothing would happen meanwhile, so it
/// does not.
pub(crate) fn block_on<T>(future: impl Future<Output = T>, longest: Duration) -> Option<T> {
    if is_simulated() {
        return None;
    }
    let waited = async { tokio::time::timeout(longest, future).await.ok() };
    tokio::runtime::Handle::current().block_on(waited)
}

/// How much such a thread lets others go first. On Linux a thread has a niceness of its own.
const BEHIND: i32 = 10;

/// Does what blocks on a thread of its own, behind all that somebody waits for, and does not wait for it. Without that the log's
/// writer waits for such work for whole turns of the scheduler, 3 ms, also while another processor is idle.
pub(crate) fn behind(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    if is_simulated() {
        work();
        return Ok(());
    }
    let behind_others = || {
        rustix::process::nice(BEHIND).ok();
        work();
    };
    thread::Builder::new().name(name.to_owned()).spawn(behind_others).map(drop)
}

/// The same, begun by a task: in a simulation it is done after a pause, as [`blocking`] work is.
///
/// # Errors
/// No thread could be had.
pub fn blocking_behind(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    if is_simulated() {
        drop(blocking(work));
        return Ok(());
    }
    behind(name, work)
}

/// A loop that has a thread of its own, or is a task of the simulation.
#[derive(Debug)]
pub enum Worker {
    /// The thread.
    Thread(thread::JoinHandle<()>),
    /// The task.
    Task(JoinHandle<()>),
}

impl Worker {
    /// Starts the loop: `run` blocks for each piece of work, on a thread; `step` waits for it, in a simulation.
    ///
    /// # Errors
    /// No thread could be had.
    pub fn start<B: Send + 'static, S: Future<Output = ()> + Send + 'static>(
        name: &str,
        body: B,
        run: fn(B),
        step: fn(B) -> S,
    ) -> io::Result<Self> {
        if is_simulated() {
            return Ok(Worker::Task(tokio::spawn(step(body))));
        }
        thread::Builder::new().name(name.to_owned()).spawn(move || run(body)).map(Worker::Thread)
    }

    /// Blocks until a thread has ended; a task is not waited for.
    ///
    /// # Errors
    /// What the thread panicked with.
    pub fn join(self) -> thread::Result<()> {
        match self {
            Worker::Thread(thread) => thread.join(),
            Worker::Task(_) => Ok(()),
        }
    }

    /// Waits until it has ended; false if it panicked.
    pub async fn ended(self) -> bool {
        match self {
            Worker::Thread(thread) => {
                let joined = tokio::task::spawn_blocking(move || thread.join()).await;
                matches!(joined, Ok(Ok(())))
            }
            Worker::Task(task) => task.await.is_ok(),
        }
    }

    /// Drops a task where it stands, as a crash does; a thread goes on.
    pub fn abandon(&self) {
        if let Worker::Task(task) = self {
            task.abort();
        }
    }
}
