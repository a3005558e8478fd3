//! What a terminal sends: keys, pastes, mouse, and replies to what it was asked.

mod decoder;
mod key;

pub use decoder::{Button, Decoded, Decoder, Input, Mouse, MouseKind, Reply, Scheme};
pub use key::{Code, Key, KeyError};
