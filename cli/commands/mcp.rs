//! `ropewalk mcp`: the MCP server by which an agent drives the other agents of its session, on stdin and stdout.
//!
//! The daemon starts an agent with this command line, and the agent starts the server. It is a client of the daemon like any
//! other, with the token of the agent's run: see `cli/daemon/scope.rs` for what that is good for. It holds nothing: each call
//! of a tool is a connection of its own, so that a daemon that was started anew is as good as the one before.

mod answers;
mod daemon;
mod follow;
mod server;
mod tools;

use std::path::PathBuf;

use self::daemon::Access;
use super::block_on;
use crate::exit::{Failure, OK};

/// Serves until stdin ends.
pub(super) fn run(token_file: PathBuf) -> Result<u8, Failure> {
    super::quiet_logs();
    block_on(async move {
        // What cannot be read now will not be readable later: said at once, to whoever started it.
        let access = Access::new(token_file);
        access.own().await?;
        server::serve(access).await?;
        Ok(OK)
    })
}
