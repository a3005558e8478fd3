//! The wire lane: moves frames, keeps cursors, and knows no event's meaning.
//!
//! [`server`] answers on loopback TCP and a Unix socket, or on any connection handed to it; what it answers with comes from
//! a [`Backend`], which the binary implements. [`client`] reconnects by itself and resumes both lanes.

mod backend;
pub mod bare;
pub mod client;
pub mod server;

pub use backend::{Backend, ByteSource, ByteStep, EventSource, EventStep, Wire};
