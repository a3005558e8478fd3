//! What a terminal sends: keys, pastes, mouse, and replies to what it was asked.

mod key;

pub use key::{Code, Key, KeyError};
