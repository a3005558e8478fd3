//! What of a log's files cannot be read at all, and how a log is made to open without them.

use std::io;
use std::path::Path;

use ropewalk_protocol::{Seq, limits};

use super::chunk::GENESIS;
use super::head::{self, Head};
use super::sled::{SledShelf, volume_name};
use super::store::{Shelf, StoreError};
use super::unfinished;
use super::volumes::read_meta;

/// A stored record takes 18 bytes at least, and LZ4 makes no more than 255 bytes of one: no volume holds more events than this
/// many for each byte of its file.
const EVENTS_PER_BYTE_MAX: u64 = 16;
/// The slot of HEAD that is made to say a place.
const SKIP_SLOT: usize = 0;

/// What cannot be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diagnosis {
    /// Volumes that do not open, and why.
    pub volumes: Vec<(Seq, String)>,
    /// Volumes whose options are torn or damaged: nothing is in them that is not known, so that they are written anew.
    pub options: Vec<Seq>,
    /// Volumes that were given up before.
    pub given_up: Vec<Seq>,
    /// Why the index does not open.
    pub index: Option<String>,
    /// Files that hold what could not be read of a write-ahead log, by their names below the log's directory.
    pub aside: Vec<String>,
    /// Slots of HEAD that hold something else than a head.
    pub head_slots: Vec<usize>,
    /// What HEAD says, in the slot that can be read.
    pub head: Option<Seq>,
    /// The newest volume does not open and HEAD does not say how far it went: until a place is named that lies behind all it
    /// can hold, the log cannot be written. This is such a place.
    pub skip_to: Option<Seq>,
}

/// Looks at a closed log's files.
///
/// # Errors
/// The disk failed in a way that is not damage.
pub fn diagnose(shelf: &SledShelf) -> Result<Diagnosis, StoreError> {
    let head = Head::read(shelf)?.map(|(head, _)| head.seq);
    let mut found = Diagnosis { head, ..Diagnosis::default() };
    let volumes = shelf.volumes()?;
    for first in &volumes {
        if shelf.is_given_up(*first) {
            found.given_up.push(*first);
            continue;
        }
        if unfinished::lacks_options(&shelf.path(*first))? {
            found.options.push(*first);
            continue;
        }
        // It was being begun, and nothing that was acknowledged can be in it: a daemon that starts goes on making it.
        if unfinished::lacks_file(&shelf.path(*first)) && found.head.is_some_and(|head| head < *first) {
            continue;
        }
        match shelf.open(*first).and_then(|volume| read_meta(&*volume)) {
            Err(StoreError::Damaged(reason)) => found.volumes.push((*first, reason)),
            other => {
                other?;
            }
        }
    }
    match shelf.existing_index() {
        Err(StoreError::Damaged(reason)) => found.index = Some(reason),
        other => drop(other?),
    }
    found.aside = shelf.aside()?;
    found.head_slots = head::foreign_slots(shelf)?;
    let unreadable = |first: &Seq| found.given_up.contains(first) || found.volumes.iter().any(|(bad, _)| bad == first);
    if let Some(newest) = volumes.last().filter(|newest| found.head.is_none() && unreadable(newest)) {
        // A file that was cut short, or is not there any more, bounds nothing: it was as large as any volume then.
        let bytes = shelf.volume_bytes(*newest).max(limits::VOLUME_BYTES_MAX as u64);
        found.skip_to = Some(Seq(newest.0.saturating_add(bytes.saturating_mul(EVENTS_PER_BYTE_MAX))));
    }
    Ok(found)
}

/// Writes the options of these volumes anew, which a diagnosis found torn: what else is wrong with them is to be seen then.
///
/// # Errors
/// The disk failed in a way that is not damage.
pub fn write_options(shelf: &SledShelf, volumes: &[Seq]) -> Result<(), StoreError> {
    for first in volumes {
        match shelf.open(*first) {
            Err(StoreError::Damaged(_)) => {}
            other => drop(other?),
        }
    }
    Ok(())
}

/// What is done to a log so that it opens. A repair that is cut after any of its steps leaves a log that opens or is repaired
/// again, and that gives no place out twice and calls no command new that may have been done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A copy of HEAD is kept aside.
    KeepHead,
    /// HEAD is made to say this place: whatever lies before it and cannot be read is a gap.
    SkipTo(Seq),
    /// A slot of HEAD that says nothing is made blank.
    Blank(usize),
    /// Word of a volume is left beside it.
    Announce(Seq),
    /// A volume is put aside.
    PutAside(Seq),
    /// Word of a volume takes its place.
    GiveUp(Seq),
    /// The index is put aside.
    PutIndexAside,
    /// A file that nobody reads any more is put aside.
    PutFileAside(String),
}

/// Where things are put that must be out of the way.
pub trait Aside {
    /// Where that is.
    fn directory(&self) -> &Path;

    /// Moves a file or directory there under this name, if there is one, for good.
    ///
    /// # Errors
    /// The disk failed.
    fn put(&mut self, path: &Path, name: &str) -> io::Result<()>;

    /// Keeps a copy of a file there under this name, if there is one, for good.
    ///
    /// # Errors
    /// The disk failed.
    fn keep(&mut self, path: &Path, name: &str) -> io::Result<()>;
}

impl Diagnosis {
    /// What is to be done, in the order in which it must be done.
    pub fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        if self.skip_to.is_some() || !self.head_slots.is_empty() {
            steps.push(Step::KeepHead);
        }
        // First of all that changes anything: how large the newest volume is, is not to be seen once it is away.
        steps.extend(self.skip_to.map(Step::SkipTo));
        // Before their volume is put aside, with which they would be away as well.
        steps.extend(self.aside.iter().cloned().map(Step::PutFileAside));
        let is_written = |slot: usize| self.skip_to.is_some() && slot == SKIP_SLOT;
        steps.extend(self.head_slots.iter().filter(|slot| !is_written(**slot)).map(|slot| Step::Blank(*slot)));
        for (first, _) in &self.volumes {
            steps.extend([Step::Announce(*first), Step::PutAside(*first), Step::GiveUp(*first)]);
        }
        steps.extend(self.index.as_ref().map(|_| Step::PutIndexAside));
        steps
    }
}

/// Does one step.
///
/// # Errors
/// The disk failed.
pub fn apply(step: &Step, shelf: &SledShelf, aside: &mut dyn Aside) -> Result<(), StoreError> {
    let reason = format!("it could not be opened, and lies in {}", aside.directory().display());
    match step {
        Step::KeepHead => Ok(aside.keep(&shelf.beside("HEAD"), "HEAD")?),
        Step::SkipTo(seq) => {
            shelf.write_head(SKIP_SLOT, &Head { seq: *seq, hash: GENESIS }.encode())?;
            shelf.sync_head()
        }
        Step::Blank(slot) => {
            shelf.write_head(*slot, &[0; 64])?;
            shelf.sync_head()
        }
        Step::Announce(first) => shelf.announce(*first, &reason),
        Step::PutAside(first) => Ok(aside.put(&shelf.path(*first), &volume_name(*first))?),
        Step::GiveUp(first) => shelf.give_up(*first, &reason),
        Step::PutIndexAside => Ok(aside.put(&shelf.beside("index"), "index")?),
        // Files of several volumes have the same names.
        Step::PutFileAside(file) => Ok(aside.put(&shelf.beside(file), &file.replace('/', "."))?),
    }
}
