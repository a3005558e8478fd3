//! What the discovery file says. It knows no other file of this program, so that it is fuzzed as it is.

use std::path::PathBuf;

use ropewalk_protocol::{LogId, MachineId};
use serde::{Deserialize, Serialize};

/// What `daemon.json` holds. The token itself is in a file of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Discovery {
    pub(crate) pid: u32,
    pub(crate) version: String,
    pub(crate) build: String,
    pub(crate) protocol: u16,
    pub(crate) machine: MachineId,
    pub(crate) log: LogId,
    pub(crate) port: u16,
    pub(crate) socket: PathBuf,
    pub(crate) token_file: PathBuf,
}

impl Discovery {
    /// What these bytes say.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}
