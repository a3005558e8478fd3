//! The read lane: folds from events and bytes to what people read.
//!
//! Pure and total: the same code runs in the daemon, in clients and in replay. A fold never fails and never asks why; what
//! it cannot make sense of it leaves out. Reads never touch an actor.

mod agents;
mod checkpoint;
mod fold;
mod interactions;
mod policies;
pub mod screen;
mod search;
mod sessions;
#[cfg(test)]
mod story;
mod terminals;
pub mod timeline;
pub mod transcript;

pub use agents::{Agent, Agents, Structured};
pub use checkpoint::CheckpointError;
pub use fold::Projections;
pub use interactions::Interactions;
pub use policies::Policies;
pub use search::Search;
pub use sessions::{Session, Sessions};
pub use terminals::{Terminal, Terminals};
