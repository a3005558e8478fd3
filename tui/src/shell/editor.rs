//! The person's editor, which has the terminal while it runs, and the file it writes.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tokio::process::{Child, Command};

/// An editor that runs.
#[derive(Debug)]
pub struct Editor {
    child: Child,
    file: PathBuf,
}

impl Editor {
    /// Writes a text for an editor into this file, which nobody else may read.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(file: PathBuf, text: &str) -> io::Result<PathBuf> {
        write_private(&file, text)?;
        Ok(file)
    }

    /// Opens a file in `$VISUAL`, `$EDITOR` or vi.
    ///
    /// # Errors
    /// There is no shell.
    pub fn open(file: PathBuf) -> io::Result<Self> {
        let set = |name: &&str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let editor = ["VISUAL", "EDITOR"].iter().find_map(set).unwrap_or_else(|| "vi".to_owned());
        // It may be a command with arguments.
        let child = Command::new("sh").args(["-c", &format!("{editor} \"$1\""), "sh"]).arg(&file).spawn()?;
        Ok(Self { child, file })
    }

    /// Waits until it ends; whether that was a good end. Nothing is lost if this is dropped before.
    pub async fn ended(&mut self) -> bool {
        self.child.wait().await.is_ok_and(|status| status.success())
    }

    /// What it wrote. The file is gone then.
    pub fn text(self) -> Option<String> {
        let text = std::fs::read_to_string(&self.file).ok();
        std::fs::remove_file(&self.file).ok();
        text
    }
}

fn write_private(path: &Path, text: &str) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    // Somebody else's file of this name, or a link, is not written into.
    std::fs::remove_file(path).ok();
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}
