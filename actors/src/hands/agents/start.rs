//! Starting a structured agent's process.

use std::sync::Arc;

use ropewalk_protocol::holder::Ends;
use ropewalk_protocol::{AgentId, Program, RunAsked, RunFailed, SessionId, Stream};

use super::super::{Hands, Place};
use super::{AgentLine, NO_SIZE, TakenUp};
use crate::agent::structured::{AgentInput, Consumed};
use crate::core::Input;
use crate::providers::{self, Greeting, Outgoing};

/// What the name of a program begins with that is this executable itself.
const SELF: &str = "@self";

impl Hands {
    /// Starts a structured agent's process.
    pub(in crate::hands) fn spawn_agent(
        &self,
        session: SessionId,
        agent: AgentId,
        provider: &str,
        directory: String,
        asked: RunAsked,
        first: (u64, Outgoing),
    ) {
        let RunAsked { run, output, errors, argv } = asked;
        let known = self.environments().get(&agent).cloned();
        let (provider, mut environment) = match (providers::named(provider), known) {
            (Some(provider), Some(environment)) => (provider, environment),
            (provider, _) => {
                let reason = match provider {
                    None => "this build does not know its provider",
                    // Nothing is started with another environment than asked for.
                    Some(_) => "the daemon was started anew since, and does not know its environment; prompt it again",
                };
                let (reason, is_final) = (reason.to_owned(), provider.is_none());
                let input = Input::Agent(AgentInput::SpawnFailed { run, reason, is_final });
                return self.directory().report(Stream::Agent(session, agent), None, input);
            }
        };
        for (name, value) in provider.environment() {
            environment.insert((*name).to_owned(), (*value).to_owned());
        }
        let has_mcp = matches!(&first.1, Outgoing::Greet { greeting: Greeting { mcp: Some(_), .. }, .. });
        let program = Program { argv: with_self(argv), directory: directory.clone(), environment };
        let place = Place::of_agent(session, agent, output, errors);
        let (consumed, outbox) = (Consumed::default(), vec![first]);
        self.0.lanes.open(output, session, 0, NO_SIZE, false);
        self.0.lanes.open(errors, session, 0, NO_SIZE, false);
        let mcp_server = Vec::new();
        let taken = TakenUp { session, agent, run, output, errors, directory, consumed, outbox, mcp_server };
        let line = self.open_line(provider, taken);
        self.hold(run, place);
        let ends = Ends::Pipes { errors };
        if has_mcp {
            tokio::spawn(self.clone().spawn_with_mcp(line, place, program, ends));
        } else {
            self.hand_over(run, place, program, ends);
            line.handed_over.send_replace(true);
        }
    }

    /// Starts a process that has the MCP server, once it is let in there.
    async fn spawn_with_mcp(self, line: Arc<AgentLine>, place: Place, mut program: Program, ends: Ends) {
        let AgentLine { session, agent, run, .. } = *line;
        match self.grant_mcp(session, agent, run).await {
            // A new line to the holder was told meanwhile that nothing is known of the run: it is over.
            Ok(_) if line.gone.borrow().is_some() => {}
            Ok(server) => {
                if !server.is_empty() {
                    line.provider.give_mcp_server(&server, &mut program);
                }
                // It is set once, here: the line is a new one.
                line.mcp_server.set(server).ok();
                self.hand_over(run, place, program, ends);
            }
            Err(error) => {
                let shortage = RunFailed::SHORTAGE;
                let reason = format!("{shortage}its access to the MCP server could not be written: {error}");
                self.spawn_failed(run, place, &reason);
            }
        }
        line.handed_over.send_replace(true);
    }
}

/// The command line with this executable in the place of the word for it.
fn with_self(mut argv: Vec<String>) -> Vec<String> {
    if argv.first().is_some_and(|program| program == SELF)
        && let Ok(path) = std::env::current_exe()
    {
        argv[0] = path.to_string_lossy().into_owned();
    }
    argv
}
