//! The terminal client: the read lane and the wire lane, never the kernel or an actor.
//!
//! - [`input`]: bytes that a terminal sends, as keys, pastes and replies; names of keys
//! - [`app`]: the state, pure; [`view`]: the screen as a function of it; [`text`]: what agents say, as lines
//! - [`shell`]: the terminal that the client runs in: its modes, its keyboard, what is written to it
//! - [`emulator`]: what a terminal shows that was sent some bytes, as text and as a picture

pub mod app;
pub mod emulator;
pub mod input;
pub mod shell;
pub mod text;
pub mod view;
