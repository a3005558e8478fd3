//! The holder: one small process per data directory that owns every terminal and child process, so that they outlive the
//! daemon. It knows processes and bytes; it keeps what the daemon has not stored yet and drops nothing.
//!
//! One thread waits in `epoll`; idle, it never wakes. The kept bytes and their checksums, the input queue, who waits for the
//! disk and the way out are pure; the rest is the shell around them.

mod blocks;
mod buffer;
mod connection;
mod directory_watch;
mod door;
mod ending;
mod input;
mod leave;
mod lock;
mod own_signals;
mod poller;
mod pressure;
mod procfs;
mod pump;
mod requests;
mod run;
mod serve;
mod session;
mod signals;
mod spawn;
mod spool;
mod stream;

pub use own_signals::OwnSignals;
pub use serve::{Config, HolderError, run};
pub use session::exec_in_session;
