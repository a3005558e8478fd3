//! The terminal that the client runs in.
//!
//! - `terminal`: raw mode and the alternate screen, and the way back from them
//! - `outer`: which modes it has on, for the client or for a program's terminal that has the keyboard
//! - `output`, `writer`: frames as bytes, and a thread that writes them
//! - `keyboard`, `signals`: what comes in
//! - `editor`: the program that has the terminal for a while
//! - `clipboard`: sequences for the clipboard, notifications and the title

mod clipboard;
mod editor;
mod keyboard;
mod outer;
mod output;
mod signals;
mod terminal;
mod writer;

pub use clipboard::{BELL, COPY_BYTES_MAX, copy, notify, title};
pub use editor::{Editor, EditorEnd};
pub use keyboard::Keyboard;
pub use outer::{OuterModes, change};
pub use output::Canvas;
pub use signals::{Signals, Told};
pub use terminal::{Terminal, window_size};
pub use writer::Writer;
