//! The client as a person has it: keys go in as bytes, a daemon answers, and what is drawn goes through a terminal.
//!
//! - `world`: the daemon, told by hand; `stage`: the client in its window; `keyboard`: what keys send
//! - `snapshot`: screens as text, compared with `screens/`; `ROPEWALK_WRITE_SCREENS=1` writes them
//! - all others: scenes, each a sentence of what a person gets

mod attention;
mod begin;
mod finding;
mod keyboard;
mod line;
mod long;
mod looks;
mod lost;
mod mouse;
mod panes;
mod past;
mod pictures;
mod plain;
mod program;
mod queue;
mod sessions;
mod snapshot;
mod spending;
mod stage;
mod tales;
mod talk;
mod windows;
mod words;
mod world;
mod writing;
