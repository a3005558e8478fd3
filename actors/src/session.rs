//! The session actor: what a session is, who is in it, and when it ends.

mod state;

pub(crate) use state::SessionCore;
