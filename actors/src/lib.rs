//! The write lane's deciders: session, agent and terminal actors.
//!
//! Each is a pure core (`state.rs`: decide, apply, react) that a thin shell drives ([`host`]). The shell owns the mailbox,
//! appends what the core decided and, once that is durable, does what follows from it ([`hands`]). Terminal bytes do not pass
//! through mailboxes: they have a lane of their own ([`lanes`]), so bulk never stands before a command.

mod agent;
mod core;
mod directory;
mod hands;
mod holder;
mod host;
mod lanes;
mod machine;
mod names;
mod providers;
mod recovery;
mod session;
mod terminal;
mod waking;

pub use self::core::{Around, Surroundings};
pub use directory::Directory;
pub use hands::{Hands, HolderLine, McpAccess};
pub use holder::{Dial as HolderDial, HolderError, Launch, Line, Link, Welcome as HolderWelcome};
pub use lanes::{InputDone, Lane, LaneRead, Lanes, OutputSink, Presence};
pub use machine::Machine;
pub use names::Names;
pub use recovery::{OpenAgent, OpenRun, recover};
