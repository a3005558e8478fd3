//! Commands that were sent and are not answered: what a person meant by each, so that a refusal finds its way back.

use std::collections::BTreeMap;

use ropewalk_protocol::{AgentId, InteractionId, PromptId, SessionId};

use super::event::Ticket;
use super::place::Target;

/// What a command was meant to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meant {
    /// Say this to an agent. If it is refused the words go back to where they were written.
    Prompt {
        /// The agent.
        target: Target,
        /// The words.
        text: String,
        /// For after the turn, or into it: how it is labelled.
        label: &'static str,
    },
    /// Start a session with these words.
    Start {
        /// The words.
        text: String,
        /// Where the person was.
        from: Target,
    },
    /// Start another agent in a session, from where the person was.
    Spawn(SessionId, Target),
    /// Answer a question.
    Answer {
        /// It.
        interaction: InteractionId,
        /// The words it is answered with, if it is with any.
        words: String,
        /// What is said once it is answered.
        told: String,
        /// Whose prompt the words were written in, if they were. If they are refused they go back there.
        from: Option<(Target, String)>,
    },
    /// Another text for a prompt that waits. If it is refused the words are for the next prompt.
    Edit {
        /// The agent.
        target: Target,
        /// The prompt.
        prompt: PromptId,
        /// The words.
        text: String,
    },
    /// Cancel an agent's turn.
    Cancel {
        /// The agent.
        agent: AgentId,
        /// With its process.
        hard: bool,
    },
    /// Something else; what is said once it is done.
    Other(String),
}

/// Commands that are not answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pending {
    next: u64,
    meant: BTreeMap<Ticket, Meant>,
}

impl Pending {
    /// Another one.
    pub fn add(&mut self, meant: Meant) -> Ticket {
        self.next += 1;
        self.meant.insert(Ticket(self.next), meant);
        Ticket(self.next)
    }

    /// It is answered.
    pub fn take(&mut self, ticket: Ticket) -> Option<Meant> {
        self.meant.remove(&ticket)
    }

    /// Those that are not answered, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Meant> {
        self.meant.values()
    }

    /// Whether an answer to this question is on its way.
    pub fn answers(&self, interaction: InteractionId) -> bool {
        self.iter().any(|meant| matches!(meant, Meant::Answer { interaction: of, .. } if *of == interaction))
    }

    /// Whether it is on its way that this agent's turn is cancelled.
    pub fn cancels(&self, agent: AgentId) -> bool {
        self.iter().any(|meant| matches!(meant, Meant::Cancel { agent: of, .. } if *of == agent))
    }

    /// Whether another text for this prompt is on its way.
    pub fn edits(&self, prompt: PromptId) -> bool {
        self.iter().any(|meant| matches!(meant, Meant::Edit { prompt: of, .. } if *of == prompt))
    }
}
