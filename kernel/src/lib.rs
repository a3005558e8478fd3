//! The write lane's ground: one ordered log, its receipts, the router that admits commands once, and those who follow.
//!
//! It knows streams, seqs, commands and receipts. It does not know what a session is, and it opens no socket.

pub mod clock;
mod follow;
pub mod ids;
pub mod log;
pub mod offload;
pub mod planted;
mod read_ahead;
mod router;
pub mod watch;

pub use follow::{Follower, Step};
pub use router::{Answer, Envelope, Owners, Reply, Router};
