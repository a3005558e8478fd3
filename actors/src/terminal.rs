//! The terminal actor: sizes and the end of the byte stream. The bytes themselves go through [`crate::lanes`].

pub(crate) mod sizes;
mod state;

pub(crate) use state::TerminalCore;
