//! The terminal client: the read lane and the wire lane, never the kernel or an actor.
//!
//! - [`app`]: the state, pure; [`view`]: the screen as a function of it; [`text`]: what agents say, as lines
//! - [`input`]: bytes that a terminal sends, as keys, pastes and replies; names of keys
//! - [`shell`]: the terminal; [`session`]: the wire; [`store`]: what outlives the client; [`run`]: all of it together; [`plain`]: the same without a
//!   screen
//! - [`emulator`]: what a terminal shows that was sent some bytes, for tests and pictures

pub mod app;
pub mod emulator;
pub mod input;
pub mod plain;
pub mod run;
pub mod session;
pub mod shell;
pub mod store;
pub mod text;
pub mod view;
