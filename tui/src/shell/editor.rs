//! The person's editor, which has the terminal while it runs.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;

use tokio::process::{Child, Command};

/// An editor that runs.
#[derive(Debug)]
pub struct Editor(Child);

/// How an editor ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EditorEnd {
    /// What it wrote is wanted.
    Written,
    /// It says that it failed: what it wrote is not wanted.
    Refused,
    /// It was killed: what it wrote by then is there.
    Killed,
}

impl Editor {
    /// Opens a file in `$VISUAL`, `$EDITOR` or vi.
    ///
    /// # Errors
    /// There is no shell.
    pub fn open(file: &Path) -> io::Result<Self> {
        let set = |name: &&str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let editor = ["VISUAL", "EDITOR"].iter().find_map(set).unwrap_or_else(|| "vi".to_owned());
        // It may be a command with arguments.
        Ok(Self(Command::new("sh").args(["-c", &format!("{editor} \"$1\""), "sh"]).arg(file).spawn()?))
    }

    /// Its process.
    pub fn process(&self) -> Option<u32> {
        self.0.id()
    }

    /// Waits until it ends. Nothing is lost if this is dropped before.
    pub async fn ended(&mut self) -> EditorEnd {
        match self.0.wait().await {
            Ok(status) if status.success() => EditorEnd::Written,
            // A shell tells of a signal by a code above this.
            Ok(status) if status.signal().is_some() || status.code().is_some_and(|code| code > 128) => {
                EditorEnd::Killed
            }
            Ok(_) | Err(_) => EditorEnd::Refused,
        }
    }
}
