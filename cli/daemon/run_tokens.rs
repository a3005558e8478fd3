//! Tokens that are good for one run of an agent. They are made of the daemon's own token, so that nothing of them is stored but
//! the file which the run's MCP server reads, and a daemon that is started anew knows them again.

use std::collections::BTreeSet;
use std::fs::{DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use ropewalk_actors::McpAccess;
use ropewalk_protocol::{AgentId, RunId, SessionId};

use crate::paths::write_private;

/// Sets these keys apart from all others that are made of the same token.
const CONTEXT: &str = "ropewalk 2026 token of a run of an agent";

/// A run, and whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RunOf {
    pub(crate) session: SessionId,
    pub(crate) agent: AgentId,
    pub(crate) run: RunId,
}

impl RunOf {
    /// The run that a token says it is of. Only the daemon knows whether that is true.
    pub(crate) fn named_by(token: &str) -> Option<Self> {
        Some(split(token)?.0)
    }
}

/// What a token says it is of, and its proof.
fn split(token: &str) -> Option<(RunOf, &str)> {
    let mut parts = token.split('.');
    let (session, agent, run) = (parts.next()?, parts.next()?, parts.next()?);
    let of = RunOf { session: session.parse().ok()?, agent: agent.parse().ok()?, run: run.parse().ok()? };
    Some((of, parts.next()?)).filter(|_| parts.next().is_none())
}

/// Makes the tokens and knows them again, and keeps the files they are read from.
#[derive(Clone)]
pub(super) struct RunTokens {
    key: [u8; 32],
    directory: PathBuf,
    program: PathBuf,
}

impl RunTokens {
    /// Those of the daemon that has this token. `program`: ropewalk itself, which is the server.
    pub(super) fn new(daemon_token: &str, directory: PathBuf, program: PathBuf) -> Self {
        Self { key: blake3::derive_key(CONTEXT, daemon_token.as_bytes()), directory, program }
    }

    fn proof(&self, of: RunOf) -> blake3::Hash {
        let ids = [*of.session.as_bytes(), *of.agent.as_bytes(), *of.run.as_bytes()];
        blake3::keyed_hash(&self.key, ids.as_flattened())
    }

    /// The run's token: what it is of, and the proof.
    fn token(&self, of: RunOf) -> String {
        format!("{}.{}.{}.{}", of.session, of.agent, of.run, self.proof(of).to_hex())
    }

    /// The run that this is the token of, whether it has ended or not.
    pub(super) fn run_of(&self, token: &str) -> Option<RunOf> {
        let (of, proof) = split(token)?;
        let proof = blake3::Hash::from_hex(proof).ok()?;
        // Hashes compare in constant time.
        (proof == self.proof(of)).then_some(of)
    }

    fn file(&self, run: RunId) -> PathBuf {
        self.directory.join(run.to_string())
    }

    /// Removes what daemons before this one left, but for the files of these runs. Blocking.
    pub(super) fn retain(&self, live: &BTreeSet<RunId>) {
        let Ok(entries) = std::fs::read_dir(&self.directory) else { return };
        let is_live = |path: &Path| {
            let run = path.file_name().and_then(|name| name.to_str()?.parse().ok());
            run.is_some_and(|run| live.contains(&run))
        };
        for path in entries.flatten().map(|entry| entry.path()).filter(|path| !is_live(path)) {
            if let Err(error) = std::fs::remove_file(&path) {
                tracing::warn!(%error, path = %path.display(), "what a run left could not be removed");
            }
        }
    }
}

impl McpAccess for RunTokens {
    fn grant(&self, session: SessionId, agent: AgentId, run: RunId) -> io::Result<Vec<String>> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.directory)?;
        std::fs::set_permissions(&self.directory, Permissions::from_mode(0o700))?;
        let file = self.file(run);
        write_private(&file, self.token(RunOf { session, agent, run }).as_bytes())?;
        let word = |path: &Path| path.to_str().map(str::to_owned).ok_or(io::ErrorKind::InvalidFilename);
        Ok(vec![word(&self.program)?, "mcp".to_owned(), "--token-file".to_owned(), word(&file)?])
    }

    fn revoke(&self, run: RunId) {
        match std::fs::remove_file(self.file(run)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(%error, %run, "a run's token could not be removed; it is good for nothing any more");
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OF: RunOf = RunOf {
        session: SessionId::from_bytes([1; 16]),
        agent: AgentId::from_bytes([2; 16]),
        run: RunId::from_bytes([3; 16]),
    };

    fn tokens(daemon_token: &str) -> RunTokens {
        RunTokens::new(daemon_token, PathBuf::new(), PathBuf::new())
    }

    #[test]
    fn a_token_is_known_again_by_whoever_has_the_daemons_own() {
        let token = tokens("one").token(OF);
        assert_eq!(tokens("one").run_of(&token), Some(OF));
        assert_eq!(RunOf::named_by(&token), Some(OF));
        assert_eq!(tokens("another").run_of(&token), None);
    }

    #[test]
    fn an_altered_token_is_none() {
        let token = tokens("one").token(OF);
        let (_, proof) = token.rsplit_once('.').unwrap();
        let zeros = "0".repeat(proof.len());
        let another = RunId::from_bytes([4; 16]);
        for wrong in [
            format!("{}.{}.{another}.{proof}", OF.session, OF.agent),
            format!("{}.{}.{}.{zeros}", OF.session, OF.agent, OF.run),
            format!("{}.{}.{}", OF.session, OF.agent, OF.run),
            format!("{token}."),
            format!("{token}.{proof}"),
            token[..token.len() - 1].to_owned(),
            proof.to_owned(),
            String::new(),
        ] {
            assert_eq!(tokens("one").run_of(&wrong), None, "{wrong}");
        }
    }
}
