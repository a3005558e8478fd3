//! Checkpoints and digests: both are over the same records, so equal digests mean equal checkpoints.
//!
//! A checkpoint is disposable: deleting it costs time, never data. `u32 LE length | record` for each record, a hash last.

use ropewalk_protocol::codec::{self, CodecError};
use ropewalk_protocol::{InteractionView, Seq, SessionId, TerminalId};
use serde::{Deserialize, Serialize};

use crate::{Agent, Policies, Projections, Session, Terminal};

/// Changes whenever a record's shape does: an older checkpoint is then ignored and the log folded again.
const VERSION: u16 = 4;

#[derive(Serialize, Deserialize)]
enum Record {
    Header { version: u16, seq: Seq },
    Session(SessionId, Session),
    Agent(SessionId, Agent),
    Terminal(TerminalId, Terminal),
    Interaction(InteractionView),
    Policies(Policies),
}

/// What is called for each record.
type Each<'a> = &'a mut dyn FnMut(&Record);

/// Bytes that are no checkpoint of this build.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// Cut, damaged, or not a checkpoint at all.
    #[error("the checkpoint is damaged")]
    Damaged,
    /// Written by another build.
    #[error("the checkpoint has version {0}; this build reads {VERSION}")]
    Version(u16),
    /// A record does not decode.
    #[error(transparent)]
    Codec(#[from] CodecError),
}

impl Projections {
    /// The whole state as bytes.
    pub fn checkpoint(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        push(&mut bytes, &Record::Header { version: VERSION, seq: self.seq });
        self.session_records(&mut |record| push(&mut bytes, record));
        self.agent_records(&mut |record| push(&mut bytes, record));
        self.terminal_records(&mut |record| push(&mut bytes, record));
        self.interaction_records(&mut |record| push(&mut bytes, record));
        self.policy_records(&mut |record| push(&mut bytes, record));
        let hash = blake3::hash(&bytes);
        bytes.extend_from_slice(hash.as_bytes());
        bytes
    }

    /// The state that a checkpoint holds.
    ///
    /// # Errors
    /// The bytes are damaged or of another build.
    pub fn from_checkpoint(bytes: &[u8]) -> Result<Self, CheckpointError> {
        let split = bytes.len().checked_sub(32).ok_or(CheckpointError::Damaged)?;
        let (mut rest, hash) = bytes.split_at(split);
        if blake3::hash(rest).as_bytes() != hash {
            return Err(CheckpointError::Damaged);
        }
        let mut projections = Projections::default();
        while !rest.is_empty() {
            let length = rest.get(..4).and_then(|length| length.try_into().ok()).map(u32::from_le_bytes);
            let end = length.map_or(usize::MAX, |length| 4 + length as usize);
            let record = rest.get(4..end).ok_or(CheckpointError::Damaged)?;
            projections.take(codec::decode(record)?)?;
            rest = &rest[end..];
        }
        Ok(projections)
    }

    fn take(&mut self, record: Record) -> Result<(), CheckpointError> {
        match record {
            Record::Header { version, seq } if version == VERSION => self.seq = seq,
            Record::Header { version, .. } => return Err(CheckpointError::Version(version)),
            Record::Session(id, session) => self.sessions.insert(id, session),
            Record::Agent(session, agent) => self.agents.insert(session, agent),
            Record::Terminal(id, terminal) => self.terminals.insert(id, terminal),
            Record::Interaction(open) => self.interactions.insert(open),
            Record::Policies(policies) => self.policies = policies,
        }
        Ok(())
    }

    /// The digest of each projection: its name and a hash over its records in order.
    pub fn digests(&self) -> Vec<(&'static str, [u8; 32])> {
        let digest = |records: &dyn Fn(Each<'_>)| {
            let mut hasher = blake3::Hasher::new();
            records(&mut |record| {
                let mut bytes = Vec::new();
                push(&mut bytes, record);
                hasher.update(&bytes);
            });
            *hasher.finalize().as_bytes()
        };
        vec![
            ("sessions", digest(&|each| self.session_records(each))),
            ("agents", digest(&|each| self.agent_records(each))),
            ("terminals", digest(&|each| self.terminal_records(each))),
            ("interactions", digest(&|each| self.interaction_records(each))),
            ("policies", digest(&|each| self.policy_records(each))),
        ]
    }

    fn session_records(&self, each: Each<'_>) {
        self.sessions.after(None).for_each(|(id, session)| each(&Record::Session(id, session.clone())));
    }

    fn agent_records(&self, each: Each<'_>) {
        self.agents.iter().for_each(|(session, agent)| each(&Record::Agent(session, agent.clone())));
    }

    fn terminal_records(&self, each: Each<'_>) {
        self.terminals.iter().for_each(|(id, terminal)| each(&Record::Terminal(id, terminal.clone())));
    }

    fn policy_records(&self, each: Each<'_>) {
        each(&Record::Policies(self.policies.clone()));
    }

    fn interaction_records(&self, each: Each<'_>) {
        self.interactions.iter().for_each(|open| each(&Record::Interaction(open.clone())));
    }
}

fn push(bytes: &mut Vec<u8>, record: &Record) {
    let encoded = codec::encode(record);
    bytes.extend_from_slice(&u32::try_from(encoded.len()).expect("a record is far below 4 GiB").to_le_bytes());
    bytes.extend_from_slice(&encoded);
}

#[cfg(test)]
mod tests;
