//! The terminal client: the read lane and the wire lane, never the kernel or an actor.
//!
//! - `input`: bytes that a terminal sends, as keys, pastes and replies; names of keys

pub mod input;
