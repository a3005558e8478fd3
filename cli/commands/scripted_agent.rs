//! `ropewalk scripted-agent`: the program of provider `scripted`, for tests, demos and examples.

mod play;
mod script;
mod words;

use std::io::BufRead;
use std::path::Path;
use std::sync::mpsc;

use self::play::Player;
use self::script::Script;
use crate::exit::{Failure, OK, USAGE};

/// Lines that wait to be taken. Then nothing more is read: an agent that hangs does not read.
const LINES_MAX: usize = 16;

pub(super) fn run(file: &Path) -> Result<u8, Failure> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::because_io(format_args!("reading {}", file.display()), &error))?;
    let script = Script::parse(&text).map_err(|why| Failure::new(USAGE, format!("{}, {why}", file.display())))?;
    let lines = if script.is_deaf { None } else { Some(lines()) };
    Player::new(script, file.to_owned(), lines).run()?;
    Ok(OK)
}

/// What is written to it, a JSON value a line.
fn lines() -> mpsc::Receiver<serde_json::Value> {
    let (send, lines) = mpsc::sync_channel(LINES_MAX);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if let Ok(value) = serde_json::from_str(&line)
                && send.send(value).is_err()
            {
                return;
            }
        }
    });
    lines
}
