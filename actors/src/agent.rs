//! The agent actor: one participant, driven by a provider. A program in a terminal is left alone ([`program`]); a structured
//! agent is given prompts and understood ([`structured`]).

mod program;
pub(crate) mod rules;
mod state;
pub(crate) mod structured;

pub(crate) use state::AgentCore;
