//! The server: HTTP and WebSocket over any stream of bytes.

mod admission;
mod connection;
mod listen;
mod outgoing;
mod pumps;
mod requests;
mod routes;

pub use admission::{Peer, admit_host, admit_origin, bearer};
pub use listen::{Handed, Incoming, bind_loopback, bind_unix};
pub use routes::serve;
