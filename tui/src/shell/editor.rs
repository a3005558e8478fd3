//! The person's editor, which has the terminal while it runs.

use std::io::{self, PipeWriter, Write as _};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;

use tokio::process::{Child, Command};

/// An editor that runs, or that waits until it may begin.
#[derive(Debug)]
pub struct Editor {
    process: Child,
    /// What it waits for, until it may begin.
    gate: Option<PipeWriter>,
}

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
    /// Will open a file in `$VISUAL`, `$EDITOR` or vi once it is told to [begin](Self::begin): who it is can be written
    /// down before it writes anything. If it is never told to, it opens nothing.
    ///
    /// # Errors
    /// There is no shell, or no pipe.
    pub fn prepare(file: &Path) -> io::Result<Self> {
        let set = |name: &&str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let editor = ["VISUAL", "EDITOR"].iter().find_map(set).unwrap_or_else(|| "vi".to_owned());
        Self::prepare_in(&editor, file)
    }

    /// The same, in this editor: a command, which may have arguments.
    fn prepare_in(editor: &str, file: &Path) -> io::Result<Self> {
        let (waits, gate) = io::pipe()?;
        // The keyboard and the screen are its own from the first moment, so it waits at the place of its errors, which then
        // go to the screen.
        let script = format!("read -r begin <&2 || exit 1; exec 2>&1; {editor} \"$1\"");
        let process = Command::new("sh").args(["-c", &script, "sh"]).arg(file).stderr(waits).spawn()?;
        Ok(Self { process, gate: Some(gate) })
    }

    /// Lets it begin. If it is gone, that it has ended says so.
    pub fn begin(&mut self) {
        if let Some(mut gate) = self.gate.take() {
            gate.write_all(b"begin\n").ok();
        }
    }

    /// Its process.
    pub fn process(&self) -> Option<u32> {
        self.process.id()
    }

    /// Waits until it ends. Nothing is lost if this is dropped before.
    pub async fn ended(&mut self) -> EditorEnd {
        match self.process.wait().await {
            Ok(status) if status.success() => EditorEnd::Written,
            // A shell tells of a signal by a code above this.
            Ok(status) if status.signal().is_some() || status.code().is_some_and(|code| code > 128) => {
                EditorEnd::Killed
            }
            Ok(_) | Err(_) => EditorEnd::Refused,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_editor_writes_nothing_before_it_may_begin() {
        let file = std::env::temp_dir().join(format!("ropewalk-editor-{}", std::process::id()));
        std::fs::write(&file, "as it was").unwrap();
        let text = || std::fs::read_to_string(&file).unwrap();

        // Its client was killed before.
        let mut given_up = Editor::prepare_in("printf 'was written' >", &file).unwrap();
        given_up.gate = None;
        assert_eq!(given_up.ended().await, EditorEnd::Refused);
        assert_eq!(text(), "as it was");

        let mut editor = Editor::prepare_in("printf 'was written' >", &file).unwrap();
        assert!(editor.process().is_some());
        editor.begin();
        assert_eq!(editor.ended().await, EditorEnd::Written);
        assert_eq!(text(), "was written");

        let mut none = Editor::prepare_in("exit 3; :", &file).unwrap();
        none.begin();
        assert_eq!(none.ended().await, EditorEnd::Refused);
        std::fs::remove_file(file).unwrap();
    }
}
