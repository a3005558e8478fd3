//! What a connection may ask for. Whoever shows the daemon's token, or comes by its socket without one, may ask for all; whoever
//! shows the token of a run of an agent may read the agent's own session and prompt the other agents of it, while the run lasts.
//!
//! This bounds what an agent's tools do. It is no fence around the agent's process, which runs as the user who has the daemon's
//! own token.

use ropewalk_projections::Projections;
use ropewalk_protocol::{AgentId, Code, Command, Query, Rejection, SessionId, SubscribeParams};

use super::run_tokens::RunOf;

/// What one connection may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// Everything.
    All,
    /// What one run of an agent may.
    Run(RunOf),
}

impl Scope {
    /// The run, if it is one's.
    pub(super) fn run(&self) -> Option<RunOf> {
        match self {
            Scope::All => None,
            Scope::Run(of) => Some(*of),
        }
    }

    /// Whether it is over: nothing may be asked for any more.
    pub(super) fn check_live(&self, projections: &Projections) -> Result<(), Rejection> {
        match self.run() {
            Some(of) if !is_live(projections, of) => Err(over()),
            _ => Ok(()),
        }
    }

    /// Whether this may be done.
    pub(super) fn check_command(&self, command: &Command) -> Result<(), Rejection> {
        let Some(RunOf { session, agent, .. }) = self.run() else { return Ok(()) };
        match command {
            Command::AgentPrompt { agent: to, session: of, .. } if (*of, *to) == (session, agent) => {
                Err(forbidden("prompt itself").hint("Prompt another agent of the session."))
            }
            // With an environment it would choose what programs another agent finds.
            Command::AgentPrompt { environment, .. } if !environment.is_empty() => {
                Err(forbidden("give another agent an environment").hint("Send the prompt without one."))
            }
            Command::AgentPrompt { session: of, .. } if *of == session => Ok(()),
            Command::AgentPrompt { .. } => Err(forbidden("prompt agents of another session")),
            other => Err(forbidden(&format!("ask for {}", other.name()))),
        }
    }

    /// Whether this may be asked.
    pub(super) fn check_query(&self, query: &Query, projections: &Projections) -> Result<(), Rejection> {
        let Some(RunOf { session, .. }) = self.run() else { return Ok(()) };
        let is_own = match query {
            // What another session is called is not told by a refusal of another kind.
            Query::SessionGet { reference } => projections.find(reference).is_ok_and(|found| found == session),
            Query::PromptsList { session: of, .. } => *of == session,
            Query::InteractionsList { session: of, .. }
            | Query::EventsPage { session: of, .. }
            | Query::EventsSearch { session: of, .. } => *of == Some(session),
            Query::SessionsList { .. }
            | Query::SessionTimeline { .. }
            | Query::TerminalScreen { .. }
            | Query::PolicyGet { .. }
            | Query::DaemonInfo {}
            | Query::LogStats {}
            | Query::LogVerify {}
            | Query::LogRecord { .. }
            | Query::LogExport { .. } => return Err(forbidden(&format!("ask for {}", query.name()))),
        };
        if is_own { Ok(()) } else { Err(forbidden(&format!("ask for {} of another session", query.name()))) }
    }

    /// Whether these events may be followed.
    pub(super) fn check_subscribe(&self, params: &SubscribeParams) -> Result<(), Rejection> {
        match self.run() {
            Some(of) if params.session != Some(of.session) => Err(forbidden("follow other events than its session's")),
            _ => Ok(()),
        }
    }

    /// Whether anything else may be done: terminals, the daemon itself.
    pub(super) fn check_all(&self, what: &str) -> Result<(), Rejection> {
        self.run().map_or(Ok(()), |_| Err(forbidden(what)))
    }
}

/// Whether the run was asked for and has not ended.
pub(super) fn is_live(projections: &Projections, of: RunOf) -> bool {
    let agent = projections.agents().get(of.session, of.agent);
    agent.is_some_and(|agent| agent.run == of.run && agent.has_run() && agent.structured.is_some())
}

/// What people read of who sent what such a connection asks for.
pub(super) fn client_name(projections: &Projections, session: SessionId, agent: AgentId) -> String {
    let agent = projections.agents().get(session, agent).and_then(|agent| agent.structured.as_ref());
    format!("agent {}", agent.map_or("", |agent| &agent.name))
}

fn forbidden(what: &str) -> Rejection {
    Rejection::new(Code::Forbidden, format!("the token of an agent's run is not good to {what}"))
}

/// The refusal of a token whose run is over.
pub(super) fn over() -> Rejection {
    let hint = "Each run of an agent has a token of its own; the agent's next run gets another.";
    Rejection::new(Code::Unauthenticated, "the run that this token is of has ended").hint(hint)
}
