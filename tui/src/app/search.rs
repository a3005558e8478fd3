//! A search of what was said in all sessions.

use ropewalk_protocol::{AgentId, Seq, SessionId, Timestamp};

use super::editor::Editor;

/// A place where something was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// The session.
    pub session: SessionId,
    /// The agent, if it is one's.
    pub agent: Option<AgentId>,
    /// The event.
    pub seq: Seq,
    /// When.
    pub at: Timestamp,
    /// The words around it, on one line.
    pub excerpt: String,
}

/// A search.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Search {
    /// What is typed.
    pub editor: Editor,
    /// What was searched for.
    pub text: String,
    /// Where it was said, the newest first.
    pub hits: Vec<Hit>,
    /// The one that is taken.
    pub selected: usize,
    /// It goes on.
    pub is_running: bool,
    /// It went back to here, and there is more.
    pub reached: Option<Seq>,
}
