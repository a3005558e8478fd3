//! Which format a log is in: a word beside its volumes that every build looks at before it opens any of them.
//!
//! ```text
//! format 2
//! build 0.1.0+source
//! check 0123456789abcdef
//! ```
//!
//! `build` is the one that brought the log into this format, and `check` begins the BLAKE3 hash of the lines before it. A word
//! that was damaged says nothing; then, and for builds from before there was one, what the newest volume says of itself counts
//! (`volumes/opening.rs`).
//!
//! | format | since it |
//! |---|---|
//! | 1 | a volume is a sled database |
//! | 2 | there is a write-ahead log in front of it, which builds of format 1 do not look for |

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::sled::sync_directory;
use super::store::StoreError;

/// The format that this build writes; it reads those before it.
pub(super) const FORMAT: u32 = 2;

const NAME: &str = "FORMAT";
const CHECK_DIGITS: usize = 16;
/// No word is longer: what is behind this is not looked at.
const WORD_BYTES_MAX: u64 = 1024;

/// This build, as people know it.
pub fn build() -> String {
    format!("{}+{}", env!("CARGO_PKG_VERSION"), option_env!("ROPEWALK_BUILD").unwrap_or("source"))
}

/// What is said of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Word {
    format: u32,
    build: String,
}

impl Word {
    fn encode(&self) -> String {
        let said = format!("format {}\nbuild {}\n", self.format, self.build);
        let check = check(&said);
        said + &format!("check {check}\n")
    }

    fn decode(text: &str) -> Option<Self> {
        let (said, checked) = text.split_at_checked(text.rfind("check ")?)?;
        let is_whole = checked.strip_prefix("check ")?.trim_end() == check(said);
        // What a later build says besides is for those who know it.
        let mut lines = said.lines();
        let format = lines.next()?.strip_prefix("format ")?.parse().ok()?;
        let build = lines.next()?.strip_prefix("build ")?.to_owned();
        is_whole.then_some(Self { format, build })
    }
}

fn check(said: &str) -> String {
    blake3::hash(said.as_bytes()).to_hex()[..CHECK_DIGITS].to_owned()
}

/// What is said of the log in this directory; `None` when nothing is, or it was damaged, or cannot be read: it is a second
/// word beside what the newest volume says, and no log stays shut for want of it.
fn read(directory: &Path) -> Option<Word> {
    let mut text = Vec::new();
    let read = File::open(directory.join(NAME)).and_then(|file| file.take(WORD_BYTES_MAX).read_to_end(&mut text));
    let word = std::str::from_utf8(&text).ok().and_then(Word::decode).filter(|_| read.is_ok());
    let is_there = read.as_ref().err().is_none_or(|error| error.kind() != ErrorKind::NotFound);
    if is_there && word.is_none() {
        let error = read.err();
        tracing::warn!(directory = %directory.display(), ?error, "the log's {NAME} says nothing: what its volumes say of themselves counts");
    }
    word
}

/// Refuses a log that a later build brought into a format which this one does not know. Nothing is changed.
///
/// # Errors
/// `Newer`.
pub(super) fn admit(directory: &Path) -> Result<(), StoreError> {
    match read(directory) {
        Some(word) if word.format > FORMAT => {
            Err(StoreError::Newer { format: word.format, by: format!("build {}", word.build) })
        }
        _ => Ok(()),
    }
}

/// Has the log say that it is in the format that this build writes: from here on builds that do not know it refuse it.
///
/// # Errors
/// The disk failed or is full.
pub(super) fn claim(directory: &Path) -> Result<(), StoreError> {
    if read(directory).is_some_and(|word| word.format == FORMAT) {
        return Ok(());
    }
    let beside = directory.join("FORMAT.new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(Word { format: FORMAT, build: build() }.encode().as_bytes())?;
    file.sync_all()?;
    fs::rename(beside, directory.join(NAME))?;
    sync_directory(directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_says_what_was_written_and_nothing_once_it_is_changed() {
        let word = Word { format: 7, build: "9.9.9+future".to_owned() };
        let text = word.encode();
        assert_eq!(Word::decode(&text), Some(word));
        for at in 0..text.len() - 1 {
            let mut changed = text.clone().into_bytes();
            changed[at] ^= 1;
            assert_eq!(Word::decode(&String::from_utf8(changed).expect("ASCII")), None, "byte {at}");
            assert_eq!(Word::decode(&text[..at]), None, "cut at {at}");
        }
        let more = "format 8\nbuild 9.9.9\nneeds something\n";
        let more = format!("{more}check {}\n", check(more));
        assert_eq!(Word::decode(&more), Some(Word { format: 8, build: "9.9.9".to_owned() }));
    }
}
