//! Recovery: what the log says is open, held against what the holder holds.

use ropewalk_kernel::log::Journal;
use ropewalk_kernel::offload;
use ropewalk_protocol::{AgentId, Rejection, RunId, SessionId, Size, Stream, TerminalId};

use crate::core::Input;
use crate::directory::Directory;
use crate::hands::{Hands, Place};
use crate::holder::Welcome;

/// A run or a terminal whose end is not in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenRun {
    /// The session.
    pub session: SessionId,
    /// The agent.
    pub agent: AgentId,
    /// Its newest run.
    pub run: RunId,
    /// Its terminal.
    pub terminal: TerminalId,
    /// The terminal's size.
    pub size: Size,
    /// The end of the run is in the log, and only the terminal is open.
    pub run_settled: bool,
    /// The end of the terminal is in the log, and only the run is open.
    pub terminal_settled: bool,
    /// The session was asked to end.
    pub ending: bool,
}

/// Takes up what a daemon before this one left: runs that are held go on, the others are marked as interrupted, sessions
/// in which nothing runs any more are ended, and what was asked to end is asked again.
///
/// # Errors
/// The disk failed.
pub async fn recover(
    journal: &Journal,
    hands: &Hands,
    directory: &Directory,
    welcome: &Welcome,
    open: Vec<OpenRun>,
    settled: Vec<SessionId>,
) -> Result<(), Rejection> {
    for open in &open {
        let (reader, terminal) = (journal.clone(), open.terminal);
        let stored = offload::blocking(move || reader.output_end(terminal)).await;
        let stored = stored.map_err(|error| Rejection::new(ropewalk_protocol::Code::Internal, error.to_string()))??;
        let OpenRun { session, agent, terminal, size, run_settled, terminal_settled, .. } = *open;
        hands.hold(open.run, Place { session, agent, terminal, run_settled, terminal_settled, reaped: false });
        if !terminal_settled {
            hands.lanes().open(terminal, session, stored, size);
        }
    }
    hands.welcome(welcome);
    for open in open.iter().filter(|open| open.ending && !open.run_settled) {
        hands.stop(open.run);
    }
    for session in settled {
        directory.report(Stream::Session(session), None, Input::Settled);
    }
    Ok(())
}
