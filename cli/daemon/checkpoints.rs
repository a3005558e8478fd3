//! Checkpoints of projections and screens. Disposable: one that is missing, damaged or of another build costs time only.

#[cfg(test)]
mod tests;

use std::fs;
use std::path::PathBuf;

use ropewalk_kernel::log::{Filter, Journal};
use ropewalk_projections::Projections;
use ropewalk_projections::screen::{Screen, ScreenState};
use ropewalk_protocol::{LogId, Seq, TerminalId, codec, limits};

use crate::paths::{Paths, write_private};

/// Changes whenever the screen's state does.
const SCREEN_VERSION: u8 = 1;

/// Events that could not be read when the log was folded, first and last: what they said is missing.
pub(crate) type Unread = Vec<(Seq, Seq)>;

#[derive(Debug, Clone)]
pub(crate) struct Checkpoints(Place);

/// Where checkpoints are kept.
#[derive(Debug, Clone)]
enum Place {
    Directory(PathBuf),
    /// As long as the simulated machine lives.
    #[cfg(test)]
    Memory(std::sync::Arc<std::sync::Mutex<std::collections::BTreeMap<String, Vec<u8>>>>),
}

impl Checkpoints {
    pub(crate) fn new(paths: &Paths) -> Self {
        Self(Place::Directory(paths.checkpoints()))
    }

    /// Checkpoints of a simulated machine.
    #[cfg(test)]
    pub(super) fn in_memory() -> Self {
        Self(Place::Memory(std::sync::Arc::default()))
    }

    /// The projections up to some place not beyond the head, and which events before it they are without.
    pub(crate) fn projections(&self, journal: &Journal) -> (Projections, Unread) {
        let Some(bytes) = self.read("projections") else {
            return Default::default();
        };
        match folded_from(&bytes, journal) {
            Ok(folded) => folded,
            Err(reason) => {
                tracing::warn!(reason, "the checkpoint cannot be used; the log is folded anew");
                Default::default()
            }
        }
    }

    /// Keeps the projections of this log, and which events they are without.
    pub(super) fn keep_projections(&self, log: LogId, unread: &Unread, projections: &Projections) {
        let mut bytes = log.as_bytes().to_vec();
        let count = u32::try_from(unread.len()).unwrap_or(u32::MAX);
        bytes.extend_from_slice(&count.to_le_bytes());
        let ends = unread.iter().flat_map(|(from, to)| [from.0, to.0]);
        bytes.extend(ends.flat_map(u64::to_le_bytes));
        bytes.extend_from_slice(&projections.checkpoint());
        self.write("projections", &with_hash(bytes));
    }

    fn screen_name(terminal: TerminalId) -> String {
        format!("screen-{terminal}")
    }

    /// A terminal's screen at some offset.
    pub(super) fn screen(&self, terminal: TerminalId) -> Option<Screen> {
        let bytes = self.read(&Self::screen_name(terminal))?;
        let state = without_hash(&bytes)?.strip_prefix(&[SCREEN_VERSION])?;
        let state: ScreenState = codec::decode(state).ok()?;
        Some(Screen::from_state(&state))
    }

    /// Keeps a screen, unless it is so large that drawing it anew from the log is the better way.
    pub(super) fn keep_screen(&self, terminal: TerminalId, screen: &Screen) {
        let mut bytes = vec![SCREEN_VERSION];
        codec::encode_into(&screen.state(), &mut bytes);
        if bytes.len() > limits::CODEC_BYTES_MAX {
            return;
        }
        self.write(&Self::screen_name(terminal), &with_hash(bytes));
    }

    fn read(&self, name: &str) -> Option<Vec<u8>> {
        match &self.0 {
            Place::Directory(directory) => fs::read(directory.join(name)).ok(),
            #[cfg(test)]
            Place::Memory(kept) => kept.lock().expect("no panic").get(name).cloned(),
        }
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        let written = match &self.0 {
            Place::Directory(directory) => {
                fs::create_dir_all(directory).and_then(|()| write_private(&directory.join(name), bytes))
            }
            #[cfg(test)]
            Place::Memory(kept) => {
                kept.lock().expect("no panic").insert(name.to_owned(), bytes.to_vec());
                Ok(())
            }
        };
        if let Err(error) = written {
            tracing::warn!(%error, name, "a checkpoint could not be kept");
        }
    }
}

/// `blake3 hash | bytes`.
fn with_hash(bytes: Vec<u8>) -> Vec<u8> {
    [blake3::hash(&bytes).as_bytes().as_slice(), &bytes].concat()
}

/// The bytes behind a hash; `None` when it is not theirs.
fn without_hash(bytes: &[u8]) -> Option<&[u8]> {
    let (hash, bytes) = bytes.split_at_checked(32)?;
    (blake3::hash(bytes).as_bytes() == hash).then_some(bytes)
}

/// What a checkpoint of the projections holds: `hash | log id | u32 LE count | that many times u64 LE first, u64 LE last |
/// projections`.
fn folded_from(bytes: &[u8], journal: &Journal) -> Result<(Projections, Unread), String> {
    let damaged = || "it is damaged".to_owned();
    let bytes = without_hash(bytes).ok_or_else(damaged)?;
    let (log, bytes) = bytes.split_at_checked(16).ok_or_else(damaged)?;
    if log != journal.id().as_bytes() {
        return Err("it is of another log".to_owned());
    }
    let (count, bytes) = bytes.split_first_chunk().ok_or_else(damaged)?;
    let length = u32::from_le_bytes(*count) as usize * 16;
    let (ends, bytes) = bytes.split_at_checked(length).ok_or_else(damaged)?;
    let number = |bytes: &[u8]| Seq(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)));
    let unread: Unread = ends.chunks_exact(16).map(|ends| (number(&ends[..8]), number(&ends[8..]))).collect();
    if let Some((from, _)) = unread.iter().find(|(from, _)| is_readable(journal, *from)) {
        return Err(format!("event {from}, which it is without, can be read again"));
    }
    let projections = Projections::from_checkpoint(bytes).map_err(|error| error.to_string())?;
    let (seq, head) = (projections.seq(), journal.head());
    if seq > head {
        Err(format!("it is of event {seq}, and the log ends at {head}"))
    } else {
        Ok((projections, unread))
    }
}

fn is_readable(journal: &Journal, seq: Seq) -> bool {
    let page = journal.page(Filter::All, seq.previous());
    page.is_ok_and(|page| !page.gaps.iter().any(|gap| (gap.from..=gap.to).contains(&seq)))
}
