//! Texts that are open in a person's editor. Each has a directory of its own, which says whose draft it is and which processes
//! write it: what was left by a client that was killed is a draft again for the next one.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::process::Process;
use super::{Draft, FILE_BYTES_MAX, Store, read, write};

/// What the editor sees.
const TEXT: &str = "prompt.md";
/// What it was given, and for whom.
const BEGUN: &str = "begun.json";

/// A text that is open in an editor.
#[derive(Debug)]
pub struct Editing {
    directory: PathBuf,
    begun: Begun,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Begun {
    /// The draft that it was.
    draft: Draft,
    /// The client, and the editor.
    processes: Vec<Process>,
}

impl Editing {
    /// The file for the editor.
    pub fn file(&self) -> PathBuf {
        self.directory.join(TEXT)
    }

    /// The editor runs: what it writes is its own for as long as it lives, even without this client.
    ///
    /// # Errors
    /// It cannot be written down.
    pub fn is_open_in(&mut self, editor: u32) -> io::Result<()> {
        self.begun.processes.push(Process::of(editor));
        self.keep()
    }

    fn keep(&self) -> io::Result<()> {
        write(&self.directory.join(BEGUN), &serde_json::to_vec(&self.begun)?)
    }

    /// What the editor wrote; `None`: it left no text that could be a draft, and what there is stays where it is.
    pub fn text(&self) -> Option<String> {
        let path = self.file();
        let is_ours = path.metadata().is_ok_and(|known| known.is_file() && known.len() < FILE_BYTES_MAX);
        let bytes = is_ours.then(|| read(&path)).flatten()?;
        Some(String::from_utf8_lossy(&bytes).trim_end_matches('\n').to_owned())
    }

    /// The text is kept elsewhere, or is not wanted. What an editor left beside it stays.
    pub fn end(self) {
        for file in [TEXT, BEGUN] {
            fs::remove_file(self.directory.join(file)).ok();
        }
        fs::remove_dir(&self.directory).ok();
    }
}

impl Store {
    /// A text for the person's editor: nobody else's directory, and no name that another could take.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn edit(&self, key: String, text: String) -> io::Result<Editing> {
        use std::os::unix::fs::DirBuilderExt;
        let directory = self.directory.join("editing").join(uuid::Uuid::now_v7().to_string());
        fs::DirBuilder::new().mode(0o700).create(&directory)?;
        write(&directory.join(TEXT), text.as_bytes())?;
        let begun = Begun { draft: Draft { key, text }, processes: vec![Process::this()] };
        let editing = Editing { directory, begun };
        editing.keep()?;
        Ok(editing)
    }

    /// Makes drafts of what clients before this one left in editors that are gone; for whom, each by the key of the draft. A
    /// draft that was changed meanwhile stands below what comes from the editor.
    pub fn take_up_edited(&self) -> Vec<String> {
        let directories = fs::read_dir(self.directory.join("editing")).into_iter().flatten().flatten();
        directories.filter_map(|entry| self.take_up(&entry.path())).collect()
    }

    fn take_up(&self, directory: &Path) -> Option<String> {
        let begun: Begun = serde_json::from_slice(&read(&directory.join(BEGUN))?).ok()?;
        if begun.processes.iter().any(|process| process.is_alive()) {
            return None;
        }
        let editing = Editing { directory: directory.to_owned(), begun };
        let text = editing.text()?;
        if text == editing.begun.draft.text {
            editing.end();
            return None;
        }
        let key = editing.begun.draft.key.clone();
        let is_new = self.keep_edited(&editing, &text).ok()?;
        if is_new {
            // A client that lives may have this draft in hand, and write it over this one.
            self.keep_sent(&text).ok()?;
        }
        editing.end();
        is_new.then_some(key)
    }

    /// Makes a draft of what an editor wrote, and of what was put there meanwhile, below it. It is there when this returns.
    /// False: it is the draft already.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn keep_edited(&self, editing: &Editing, text: &str) -> io::Result<bool> {
        self.settle();
        let Draft { key, text: given } = &editing.begun.draft;
        let known = self.draft(key);
        if text == known {
            return Ok(false);
        }
        let is_known = known.is_empty() || known == *given;
        let text = if is_known { text.to_owned() } else { format!("{text}\n\n{known}") };
        write(&self.draft_file(key), &serde_json::to_vec(&Draft { key: key.clone(), text })?)?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::tests::directory;
    use super::*;

    /// What a client that was killed left in its editor, with this draft beside it.
    fn left(name: &str, given: &str, written: &str, draft: &str) -> (Store, PathBuf, Vec<String>) {
        let directory = directory(name);
        let store = Store::open(&directory, "/src/a").unwrap();
        store.keep_draft("one".to_owned(), draft.to_owned());
        store.settle();
        let mut editing = store.edit("one".to_owned(), given.to_owned()).unwrap();
        assert_eq!(fs::read_to_string(editing.file()).unwrap(), given);
        fs::write(editing.file(), written).unwrap();
        // No process has this number.
        editing.begun.processes.clear();
        editing.is_open_in(u32::MAX).unwrap();
        let taken = store.take_up_edited();
        (store, directory, taken)
    }

    fn is_empty(directory: &Path) -> bool {
        fs::read_dir(directory.join("editing")).unwrap().next().is_none()
    }

    #[test]
    fn what_was_left_in_an_editor_is_a_draft_again() {
        for (number, (given, written, draft, expected)) in [
            ("begun", "begun and ended\n", "begun", "begun and ended"),
            ("", "from nothing", "", "from nothing"),
            ("begun", "in the editor", "typed elsewhere", "in the editor\n\ntyped elsewhere"),
        ]
        .into_iter()
        .enumerate()
        {
            let (store, directory, taken) = left(&format!("edited-{number}"), given, written, draft);
            assert_eq!(taken, ["one"]);
            assert_eq!(store.drafts(), BTreeMap::from([("one".to_owned(), expected.to_owned())]));
            assert!(is_empty(&directory) && store.take_up_edited().is_empty());
            fs::remove_dir_all(directory).unwrap();
        }
    }

    #[test]
    fn what_was_not_changed_in_an_editor_changes_no_draft() {
        for (number, (written, draft)) in [("begun", "typed elsewhere"), ("same", "same")].into_iter().enumerate() {
            let (store, directory, taken) = left(&format!("unchanged-{number}"), "begun", written, draft);
            assert!(taken.is_empty() && is_empty(&directory));
            assert_eq!(store.drafts()["one"], draft);
            fs::remove_dir_all(directory).unwrap();
        }
    }

    #[test]
    fn what_is_still_being_edited_is_left_alone_as_is_what_is_not_ours() {
        let directory = directory("editing");
        let store = Store::open(&directory, "/src/a").unwrap();
        let editing = store.edit("one".to_owned(), "begun".to_owned()).unwrap();
        fs::write(editing.file(), "not saved for the last time").unwrap();
        fs::create_dir(directory.join("editing/other")).unwrap();
        fs::write(directory.join("editing/other").join(BEGUN), "{").unwrap();
        assert!(store.take_up_edited().is_empty());
        assert_eq!(editing.text().as_deref(), Some("not saved for the last time"));
        let beside = editing.directory.join(".prompt.md.swp");
        fs::write(&beside, "what the editor alone can read").unwrap();
        editing.end();
        assert!(beside.exists());
        fs::remove_dir_all(directory).unwrap();
    }
}
