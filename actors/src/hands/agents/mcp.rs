//! What lets an agent's process reach the daemon's MCP server: granted when a run starts, revoked when it has ended.

use std::io;
use std::sync::Arc;

use ropewalk_kernel::offload;
use ropewalk_protocol::{AgentId, RunId, SessionId};

use super::super::Hands;

/// Whoever gives runs their access to the MCP server. Both may block.
pub trait McpAccess: Send + Sync {
    /// Lets this run in. The answer is the server's command line, which has no secret in it. To grant it again changes nothing.
    ///
    /// # Errors
    /// A file could not be written.
    fn grant(&self, session: SessionId, agent: AgentId, run: RunId) -> io::Result<Vec<String>>;

    /// The run has ended.
    fn revoke(&self, run: RunId);
}

impl Hands {
    /// Agents that are to have the MCP server get it from here. Without it they have none.
    pub fn give_mcp_access(&self, access: Arc<dyn McpAccess>) {
        drop(self.0.agents.access.set(access));
    }

    /// The command line of the MCP server for this run; empty: there is none.
    pub(crate) async fn grant_mcp(&self, session: SessionId, agent: AgentId, run: RunId) -> io::Result<Vec<String>> {
        let Some(access) = self.0.agents.access.get().cloned() else { return Ok(Vec::new()) };
        offload::blocking(move || access.grant(session, agent, run)).await.map_err(io::Error::other)?
    }

    /// Grants all that is granted once more: what lay on the disk was removed.
    pub fn grant_mcp_again(&self) {
        let Some(access) = self.0.agents.access.get().cloned() else { return };
        let lines = self.lines();
        let granted = lines.values().filter(|line| line.mcp_server.get().is_some_and(|server| !server.is_empty()));
        let granted: Vec<_> = granted.map(|line| (line.session, line.agent, line.run)).collect();
        drop(lines);
        drop(offload::blocking(move || {
            for (session, agent, run) in granted {
                if let Err(error) = access.grant(session, agent, run) {
                    tracing::error!(%error, %run, "a run's access to the MCP server could not be put back");
                }
            }
        }));
    }

    /// The end of the run is durable.
    pub(super) fn revoke_mcp(&self, run: RunId) {
        if let Some(access) = self.0.agents.access.get().cloned() {
            drop(offload::blocking(move || access.revoke(run)));
        }
    }
}
