//! The daemon: the only place where log, actors, projections, screens and wire meet.

mod attachments;
mod backend;
pub(crate) mod checkpoints;
mod compose;
mod count;
pub(crate) mod discovery;
mod history;
pub(crate) mod log_failure;
mod metrics;
mod queries;
mod run;
pub(crate) mod run_tokens;
mod scope;
mod screens;
#[cfg(test)]
#[path = "../tests/sim/sim.rs"]
mod sim;
mod subscriptions;
mod surroundings;

pub(crate) use run::{build, run};
