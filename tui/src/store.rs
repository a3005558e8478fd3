//! What outlives the client, in files of its own: drafts, prompts that were sent, where the person was, and commands that are
//! not answered. Each is written as soon as it changes, on a thread of its own, whole or not at all.

mod editing;
mod process;

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use ropewalk_protocol::{Command, CommandId};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::app::place::Place;

use process::Process;

pub use editing::Editing;

/// Prompts that are read of those that were sent.
const SENT_MAX: usize = 500;
/// A file that is larger is no file of ours.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Commands of a client before this one that are sent again. Each is a file; more were never sent at once.
const OUTBOX_MAX: usize = 256;

/// The files of the clients of one home.
#[derive(Debug, Clone)]
pub struct Store {
    directory: PathBuf,
    /// Where the client was started: what its files are told apart by.
    of: String,
    writes: Arc<Writes>,
}

/// Files that are to be written, the newest text of each; `None`: it is to go.
#[derive(Debug)]
struct Writes {
    state: Mutex<Waiting>,
    changed: Condvar,
    /// Nothing is to be written. Said with the state in hand.
    settled: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Waiting {
    files: BTreeMap<PathBuf, Option<Vec<u8>>>,
    /// One is being written.
    is_writing: bool,
}

/// A command that is not answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unanswered {
    /// Its id: a repeat of it gets the first answer.
    pub id: CommandId,
    /// It, without an environment.
    pub command: Command,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Draft {
    key: String,
    text: String,
}

impl Store {
    /// The files below this directory, for a client that was started in `of`.
    ///
    /// # Errors
    /// The directory cannot be made.
    pub fn open(directory: &Path, of: &str) -> io::Result<Self> {
        use std::os::unix::fs::DirBuilderExt;
        for part in ["drafts", "editing", "outbox", "places", "sent"] {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(directory.join(part))?;
        }
        let (state, changed) = (Mutex::default(), Condvar::new());
        let writes = Arc::new(Writes { state, changed, settled: watch::Sender::new(true) });
        let to_write = writes.clone();
        std::thread::Builder::new().name("store".to_owned()).spawn(move || to_write.run())?;
        Ok(Self { directory: directory.to_owned(), of: of.to_owned(), writes })
    }

    fn file(&self, part: &str, name: &str) -> PathBuf {
        self.directory.join(part).join(blake3::hash(name.as_bytes()).to_hex().as_str())
    }

    /// The file of a draft, which is this client's own: clients beside each other take nothing from each other.
    fn draft_file(&self, key: &str) -> PathBuf {
        let mut file = self.file("drafts", key).into_os_string();
        file.push(format!("_{}", Process::this()));
        file.into()
    }

    /// Makes the drafts of clients that are gone this client's. Of several for the same agent the newest is the draft, and the
    /// others are in the history.
    pub fn take_over_drafts(&self) {
        let mut left: Vec<_> = files(&self.directory.join("drafts"))
            .into_iter()
            .filter(|file| *file != self.draft_file_named_as(file) && is_left(file))
            .filter_map(|file| {
                let draft = serde_json::from_slice::<Draft>(&read(&file)?).ok()?;
                Some((file.metadata().ok()?.modified().ok()?, file, draft))
            })
            .collect();
        left.sort_by_key(|(modified, ..)| std::cmp::Reverse(*modified));
        for (_, file, Draft { key, text }) in left {
            let own = self.draft_file(&key);
            if !own.exists() {
                fs::rename(file, own).ok();
            } else if self.draft(&key) == text || self.keep_sent(&text).is_ok() {
                fs::remove_file(file).ok();
            }
        }
    }

    /// Drafts of this client, by what they are for.
    pub fn drafts(&self) -> BTreeMap<String, String> {
        let own = files(&self.directory.join("drafts")).into_iter();
        let own = own.filter(|file| *file == self.draft_file_named_as(file));
        let drafts = own.filter_map(|file| serde_json::from_slice::<Draft>(&read(&file)?).ok());
        drafts.map(|draft| (draft.key, draft.text)).collect()
    }

    /// The name that a draft has if it is this client's.
    fn draft_file_named_as(&self, file: &Path) -> PathBuf {
        let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let of = name.split_once('_').map_or(name, |(of, _)| of);
        file.with_file_name(format!("{of}_{}", Process::this()))
    }

    fn draft(&self, key: &str) -> String {
        let known = read(&self.draft_file(key)).and_then(|bytes| serde_json::from_slice::<Draft>(&bytes).ok());
        known.map(|draft| draft.text).unwrap_or_default()
    }

    /// Keeps a draft; none if it is empty.
    pub fn keep_draft(&self, key: String, text: String) {
        let file = self.draft_file(&key);
        let bytes = (!text.is_empty()).then(|| serde_json::to_vec(&Draft { key, text }).unwrap_or_default());
        self.writes.put(file, bytes);
    }

    /// Where the person was.
    pub fn place(&self) -> Place {
        let place = read(&self.file("places", &self.of)).and_then(|bytes| serde_json::from_slice(&bytes).ok());
        place.unwrap_or_default()
    }

    /// Keeps where the person is.
    pub fn keep_place(&self, place: &Place) {
        self.writes.put(self.file("places", &self.of), serde_json::to_vec(place).ok());
    }

    /// The newest prompts that were sent, oldest first.
    pub fn sent(&self) -> Vec<String> {
        let bytes = read(&self.file("sent", &self.of)).unwrap_or_default();
        // The last line may be cut short.
        let lines = String::from_utf8_lossy(&bytes);
        let mut sent: Vec<String> = lines.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        sent.drain(..sent.len().saturating_sub(SENT_MAX));
        sent
    }

    /// Adds a prompt that was sent. Clients beside each other add to the same file.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn keep_sent(&self, text: &str) -> io::Result<()> {
        use std::os::unix::fs::OpenOptionsExt;
        let mut line = serde_json::to_vec(text)?;
        line.push(b'\n');
        let path = self.file("sent", &self.of);
        if path.metadata().is_ok_and(|known| known.len() > FILE_BYTES_MAX / 2) {
            let kept: Vec<String> = self.sent();
            let lines: Vec<String> = kept.iter().filter_map(|text| serde_json::to_string(text).ok()).collect();
            write(&path, format!("{}\n", lines.join("\n")).as_bytes())?;
        }
        let mut file = fs::OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
        file.write_all(&line)
    }

    /// Commands that a client before this one sent and knows no answer to; oldest first. Those of one that lives are its own.
    pub fn unanswered(&self) -> Vec<Unanswered> {
        let mut files = files(&self.directory.join("outbox"));
        files.retain(|file| is_left(file));
        // Their names begin with the time.
        files.sort();
        let known = files.into_iter().filter_map(|file| serde_json::from_slice(&read(&file)?).ok());
        known.take(OUTBOX_MAX).collect()
    }

    /// Keeps a command until it is answered. It is there when this returns.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn keep_command(&self, id: CommandId, command: &Command) -> io::Result<()> {
        let bytes = serde_json::to_vec(&Unanswered { id, command: command.clone() })?;
        write(&self.outbox(id), &bytes)
    }

    /// It is answered.
    pub fn answered(&self, id: CommandId) {
        fs::remove_file(self.outbox(id)).ok();
        // One of a client before this one has that one's number in its name.
        let of_others = files(&self.directory.join("outbox")).into_iter().filter(|file| {
            file.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(&id.to_string()))
        });
        of_others.filter(|file| is_left(file)).for_each(|file| drop(fs::remove_file(file)));
    }

    fn outbox(&self, id: CommandId) -> PathBuf {
        self.directory.join("outbox").join(format!("{id}_{}", Process::this()))
    }

    /// Everything is written.
    pub fn is_settled(&self) -> bool {
        *self.writes.settled.borrow()
    }

    /// Waits until everything is written, and blocks nothing. Nothing is lost if this is dropped before.
    pub async fn settled(&self) {
        self.writes.settled.subscribe().wait_for(|settled| *settled).await.ok();
    }

    /// Waits until everything is written. Blocks.
    pub fn settle(&self) {
        let mut state = self.writes.lock();
        while !state.files.is_empty() || state.is_writing {
            state = self.writes.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Writes {
    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, file: PathBuf, bytes: Option<Vec<u8>>) {
        let mut state = self.lock();
        state.files.insert(file, bytes);
        self.settled.send_replace(false);
        self.changed.notify_all();
    }

    fn run(&self) {
        let mut state = self.lock();
        loop {
            // What is to be there before what is to go: it may be the same words.
            let next = state.files.iter().find(|(_, bytes)| bytes.is_some()).or_else(|| state.files.first_key_value());
            let next = next.map(|(file, _)| file.clone());
            let Some((file, bytes)) = next.and_then(|file| state.files.remove_entry(&file)) else {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            state.is_writing = true;
            drop(state);
            let written = match bytes {
                Some(bytes) => write(&file, &bytes),
                None => fs::remove_file(&file).or_else(|error| match error.kind() {
                    io::ErrorKind::NotFound => Ok(()),
                    _ => Err(error),
                }),
            };
            if let Err(error) = written {
                tracing::warn!(%error, file = %file.display(), "a draft or a place could not be kept");
            }
            state = self.lock();
            state.is_writing = false;
            self.settled.send_replace(state.files.is_empty());
            self.changed.notify_all();
        }
    }
}

/// Whether the client that kept a command is gone.
fn is_left(file: &Path) -> bool {
    let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let owner = name.split_once('_').and_then(|(_, owner)| owner.parse::<Process>().ok());
    owner.is_none_or(|owner| owner == Process::this() || !owner.is_alive())
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.extension().is_none()).collect()
}

fn read(path: &Path) -> Option<Vec<u8>> {
    use std::io::Read;
    let mut bytes = Vec::new();
    fs::File::open(path).ok()?.take(FILE_BYTES_MAX).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// Writes a file that only its owner may read. A process that is killed leaves it whole or as it was.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let fresh = path.with_extension(format!("new-{}", std::process::id()));
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
    file.write_all(bytes)?;
    fs::rename(fresh, path)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(super) fn directory(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("ropewalk-store-{}-{name}", std::process::id()))
    }

    #[test]
    fn what_is_kept_is_there_for_the_next_client() {
        let directory = directory("next");
        let store = Store::open(&directory, "/src/a").unwrap();
        store.keep_draft("one".to_owned(), "first\nline".to_owned());
        store.keep_draft("two".to_owned(), "gone".to_owned());
        store.keep_draft("two".to_owned(), String::new());
        store.keep_sent("a prompt\nof two lines").unwrap();
        let place = Place { focused: 3, ..Place::default() };
        store.keep_place(&place);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(store.settled());
        assert!(store.is_settled());
        let next = Store::open(&directory, "/src/a").unwrap();
        assert_eq!(next.drafts(), BTreeMap::from([("one".to_owned(), "first\nline".to_owned())]));
        assert_eq!(next.sent(), ["a prompt\nof two lines"]);
        assert_eq!(next.place(), place);
        let elsewhere = Store::open(&directory, "/src/b").unwrap();
        assert_eq!((elsewhere.place(), elsewhere.sent()), (Place::default(), vec![]));
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn drafts_of_clients_that_are_gone_are_taken_over_and_those_of_others_left_alone() {
        let directory = directory("over");
        let store = Store::open(&directory, "/src/a").unwrap();
        let left = |owner: &str, key: &str, text: &str| {
            let file = store.file("drafts", key);
            let name = format!("{}_{owner}", file.file_name().unwrap().to_str().unwrap());
            let draft = Draft { key: key.to_owned(), text: text.to_owned() };
            write(&file.with_file_name(name), &serde_json::to_vec(&draft).unwrap()).unwrap();
        };
        let mut child = std::process::Command::new("sleep").arg("600").spawn().unwrap();
        left("4294967295_1", "one", "older");
        left("4294967294_1", "one", "newer");
        let newer = std::time::SystemTime::now() + std::time::Duration::from_secs(60);
        let newest =
            files(&directory.join("drafts")).into_iter().find(|file| file.to_str().unwrap().contains("4294967294"));
        fs::File::options().write(true).open(newest.unwrap()).unwrap().set_modified(newer).unwrap();
        left(&Process::of(child.id()).to_string(), "two", "of one that lives");
        assert_eq!(store.drafts(), BTreeMap::new());
        store.take_over_drafts();
        assert_eq!(store.drafts(), BTreeMap::from([("one".to_owned(), "newer".to_owned())]));
        assert_eq!(store.sent(), ["older"]);
        store.keep_draft("two".to_owned(), "of this one".to_owned());
        store.keep_draft("two".to_owned(), String::new());
        store.settle();
        child.kill().unwrap();
        child.wait().unwrap();
        store.take_over_drafts();
        assert_eq!(store.drafts()["two"], "of one that lives");
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn a_command_is_kept_until_it_is_answered_and_damage_does_no_harm() {
        let directory = directory("outbox");
        let store = Store::open(&directory, "/src/a").unwrap();
        let id = |number: u8| CommandId::from_bytes([number; 16]);
        let command = Command::SessionEnd { session: ropewalk_protocol::SessionId::from_bytes([1; 16]) };
        for number in [2, 1, 3] {
            store.keep_command(id(number), &command).unwrap();
        }
        store.answered(id(1));
        fs::write(directory.join("outbox").join("00"), "{").unwrap();
        fs::write(directory.join("drafts").join("00"), "no draft").unwrap();
        fs::write(store.file("places", "/src/a"), [0xff]).unwrap();
        let left: Vec<_> = store.unanswered().into_iter().map(|left| left.id).collect();
        assert_eq!(left, [id(2), id(3)]);
        assert_eq!((store.drafts().len(), store.place()), (0, Place::default()));
        fs::remove_dir_all(directory).unwrap();
    }
}
