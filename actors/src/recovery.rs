//! Recovery: what the log says is open, held against what the holder holds.

use ropewalk_kernel::log::Journal;
use ropewalk_kernel::offload;
use ropewalk_protocol::{AgentId, Code, Rejection, RunId, SessionId, Size, Stream, TerminalId, Timestamp};

use crate::agent::structured::AgentInput;
use crate::core::{AnyCore, Input};
use crate::directory::Directory;
use crate::hands::{Hands, Place, TakenUp};
use crate::holder::Welcome;
use crate::waking;

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
    /// What a structured agent writes to its error output, and whether the end of that is in the log; `None`: it is a
    /// program in a terminal.
    pub errors: Option<(TerminalId, bool)>,
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
    agents: Vec<OpenAgent>,
) -> Result<(), Rejection> {
    for open in &open {
        let OpenRun { session, agent, terminal, size, run_settled, terminal_settled, .. } = *open;
        let errors = open.errors.map(|(errors, _)| errors);
        let errors_settled = open.errors.is_none_or(|(_, settled)| settled);
        let place =
            Place { session, agent, terminal, errors, errors_settled, run_settled, terminal_settled, reaped: false };
        hands.hold(open.run, place);
        let is_drawn = errors.is_none();
        if !terminal_settled {
            hands.lanes().open(terminal, session, stored_end(journal, terminal).await?, size, is_drawn);
        }
        if let Some(errors) = errors.filter(|_| !errors_settled) {
            hands.lanes().open(errors, session, stored_end(journal, errors).await?, size, is_drawn);
        }
    }
    let mut to_stop = Vec::new();
    for OpenAgent { session, agent, ending } in agents {
        to_stop.extend(take_up(journal, hands, session, agent).await?);
        if ending {
            directory.report(Stream::Agent(session, agent), None, Input::Agent(AgentInput::Close));
        }
    }
    hands.welcome(welcome);
    to_stop.into_iter().for_each(|run| hands.stop(run));
    for open in open.iter().filter(|open| open.ending && !open.run_settled) {
        hands.stop(open.run);
    }
    for session in settled {
        directory.report(Stream::Session(session), None, Input::Settled);
    }
    Ok(())
}

/// A structured agent that is not closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenAgent {
    /// The session.
    pub session: SessionId,
    /// The agent.
    pub agent: AgentId,
    /// The session was asked to end.
    pub ending: bool,
}

async fn stored_end(journal: &Journal, stream: TerminalId) -> Result<u64, Rejection> {
    let reader = journal.clone();
    let stored = offload::blocking(move || reader.output_end(stream)).await;
    Ok(stored.map_err(|error| Rejection::new(Code::Internal, error.to_string()))??)
}

/// Goes on with an agent's run as its history tells: what it wrote since is taken in, and what may not have been written to it
/// is handed over again.
///
/// The answer is its run, if that was to be ended.
async fn take_up(
    journal: &Journal,
    hands: &Hands,
    session: SessionId,
    agent: AgentId,
) -> Result<Option<RunId>, Rejection> {
    let (reader, stream) = (journal.clone(), Stream::Agent(session, agent));
    let read = offload::blocking(move || waking::read(&reader, stream)).await;
    let core = match read.map_err(|error| Rejection::new(Code::Internal, error.to_string()))? {
        Ok(AnyCore::Agent(core)) => core,
        Ok(_) => return Ok(None),
        Err(rejection) => {
            tracing::error!(%stream, %rejection, "an agent cannot be taken up");
            return Ok(None);
        }
    };
    let Some(known) = core.structured() else { return Ok(None) };
    let life = known.life();
    if life.is_open() {
        let Some(provider) = known.provider() else {
            tracing::error!(%stream, "this build does not know the agent's provider");
            return Ok(None);
        };
        let (run, output, errors) = (life.run, life.output, life.errors);
        if hands.lanes().get(output).is_none() {
            // The end of its output is in the log, and that of the run is not.
            hands.lanes().open_complete(output, session, stored_end(journal, output).await?);
        }
        let mut mcp_server = Vec::new();
        if known.has_mcp() {
            match hands.grant_mcp(session, agent, run).await {
                Ok(server) => mcp_server = server,
                Err(error) => tracing::error!(%stream, %error, "an agent's access to the MCP server is not there"),
            }
        }
        let directory = known.directory().to_owned();
        let (consumed, outbox) = (life.consumed, life.outbox.iter().cloned().collect());
        hands.take_up(
            provider,
            TakenUp { session, agent, run, output, errors, directory, consumed, outbox, mcp_server },
        );
        if known.is_cancelling() {
            hands.insist_on_cancel(run);
        }
    }
    // At once, for what it shares with others.
    let now = known.has_turn().then(Timestamp::default);
    for at in known.due().chain(now) {
        hands.say_later(at, stream, AgentInput::Reconsider);
    }
    for ask in known.asks() {
        if let Some(at) = ask.expires {
            hands.say_later(at, stream, AgentInput::AskDue { interaction: ask.id });
        }
    }
    Ok(known.is_to_stop().then_some(life.run))
}
