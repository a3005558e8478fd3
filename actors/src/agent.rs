//! The agent actor: one participant, driven by a provider. The provider here is `terminal`: any program, untouched.

mod state;

pub(crate) use state::AgentCore;
