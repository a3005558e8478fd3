//! The server: HTTP and WebSocket over any stream of bytes.

mod admission;
mod connection;
mod door;
mod event_frames;
mod listen;
mod outgoing;
mod pumps;
mod requests;
mod routes;
mod seats;

pub use door::{Door, Restored};
pub use listen::{Handed, Incoming, Visitor, bind_loopback};
pub use routes::serve;
pub use seats::Seat;
