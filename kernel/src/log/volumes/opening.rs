//! Opening the row of volumes, whatever state the last process left it in.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};

use ropewalk_protocol::{LogId, Seq, codec};
use serde::{Deserialize, Serialize};

use super::summary::{Summary, last_chunk};
use super::{VolumeRow, Volumes};
use crate::log::chunk::GENESIS;
use crate::log::format::FORMAT;
use crate::log::head::Head;
use crate::log::rows::{self, Tag};
use crate::log::store::{Row, Shelf, StoreError, Volume};

/// What a volume says of itself. Builds of format 1 look at nothing else before they open a log: the format comes first and
/// the layout stays, so that they decode it, and refuse the log for its format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::log) struct Meta {
    format: u32,
    log: LogId,
    first: Seq,
    /// The hash of the last chunk of the volume before.
    pub(in crate::log) previous: [u8; 32],
}

/// The volume that is written, and those before it.
struct Found {
    newest: (Seq, Arc<dyn Volume>),
    sealed: Vec<Seq>,
    log: LogId,
}

impl Volumes {
    /// Opens the row, or begins one for this log id. Where the newest volume cannot be read, a new one is begun behind the
    /// last place that was acknowledged, and what the old one holds is a gap.
    pub(in crate::log) fn open(
        shelf: Arc<dyn Shelf>,
        fresh: LogId,
        acknowledged: Option<Head>,
    ) -> Result<Self, StoreError> {
        let Found { newest, sealed, log } = find_newest(&*shelf, fresh, acknowledged)?;
        shelf.claim();
        let index = shelf.index()?;
        let until = newest.0;
        let row = VolumeRow { newest, sealed: BTreeMap::new(), unread: BTreeSet::new(), open: VecDeque::new() };
        let volumes = Self { shelf, index, log, row: Mutex::new(row), opening: Mutex::default() };
        let mut used = Vec::with_capacity(sealed.len());
        for first in sealed {
            if !volumes.is_unused(first)? {
                used.push(first);
            }
        }
        let sealed = used;
        for (place, first) in sealed.iter().enumerate() {
            let next = sealed.get(place + 1).copied().unwrap_or(until);
            let mut summary = match volumes.summary_of(*first) {
                Ok(summary) => summary,
                Err(StoreError::Damaged(error)) => {
                    tracing::error!(%first, %error, "a volume cannot be read; what it holds is a gap");
                    volumes.suppose(*first, acknowledged, fresh.unix_millis())?
                }
                Err(error) => return Err(error),
            };
            // What lies behind that was never acknowledged: the volume was given up before it was shown to anyone.
            summary.last = summary.last.min(next.previous());
            volumes.insert(summary);
        }
        Ok(volumes)
    }

    /// Whether a volume was begun when the disk failed, and then nothing was ever written to it: the one before it was
    /// written on, and what it holds is not cut off by this one's name.
    fn is_unused(&self, first: Seq) -> Result<bool, StoreError> {
        if self.remembered(first)?.is_some() {
            return Ok(false);
        }
        match self.shelf.open(first) {
            Ok(volume) => is_unused(&*volume),
            Err(StoreError::Damaged(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// What must be supposed of a volume that cannot be read: that it holds all it could. Its commands may be as young as
    /// this time, in milliseconds.
    pub(super) fn suppose(
        &self,
        first: Seq,
        acknowledged: Option<Head>,
        newest_command: Option<u64>,
    ) -> Result<Summary, StoreError> {
        let last = acknowledged.map_or(Seq(u64::MAX), |head| head.seq);
        let hash = acknowledged.map_or(GENESIS, |head| head.hash);
        let before = self.summaries().iter().rev().find_map(|summary| Some(summary.commands?.1));
        // A client may have been slow, or its clock behind: there is no oldest one.
        let commands = Some((0, newest_command.max(before).unwrap_or(0)));
        let summary = match self.remembered(first)? {
            Some(summary) => summary,
            None => Summary { first, last, hash, commands, indexed: false },
        };
        // Appends must go on also where the index cannot be written: it is supposed again when the log is opened next.
        if let Err(error) = self.remember_unread(&summary) {
            tracing::warn!(%error, %first, "what is supposed of a volume is not in the index");
        }
        Ok(summary)
    }
}

fn find_newest(shelf: &dyn Shelf, fresh: LogId, acknowledged: Option<Head>) -> Result<Found, StoreError> {
    let mut sealed = shelf.volumes()?;
    let mut unreadable: Vec<Seq> = Vec::new();
    let mut log = None;
    while let Some(first) = sealed.pop() {
        let read = shelf.open(first).and_then(|volume| {
            let meta = meta_of(shelf, &*volume, first, &sealed, fresh)?;
            // Where its end is must be readable too, or nothing can be put behind it.
            last_chunk(&*volume)?;
            Ok((volume, meta))
        });
        match read {
            Ok((volume, Some(meta))) if unreadable.is_empty() => {
                if meta.format < FORMAT {
                    volume.commit_for_every_build(vec![meta_row(meta.log, meta.first, meta.previous)])?;
                }
                return Ok(Found { newest: (first, volume), sealed, log: meta.log });
            }
            Ok((_, Some(meta))) => {
                log = Some(meta.log);
                sealed.push(first);
                break;
            }
            Ok((_, None)) => {}
            Err(StoreError::Damaged(error)) => {
                tracing::error!(%first, %error, "the newest volume cannot be read");
                unreadable.push(first);
            }
            Err(error) => return Err(error),
        }
    }
    let log = log.unwrap_or(fresh);
    let Some(newest) = unreadable.first() else {
        return Ok(Found { newest: begin(shelf, Seq(1), log, GENESIS)?, sealed, log });
    };
    let Some(head) = acknowledged else {
        return Err(StoreError::Damaged(format!(
            "neither the newest volume, {newest}, nor HEAD can be read, so that nobody knows which places are taken"
        )));
    };
    let newest = begin(shelf, head.seq.next().max(newest.next()), log, head.hash)?;
    sealed.extend(unreadable.into_iter().rev());
    Ok(Found { newest, sealed, log })
}

/// Makes a volume, behind the chunk with this hash.
pub(super) fn begin(
    shelf: &dyn Shelf,
    first: Seq,
    log: LogId,
    previous: [u8; 32],
) -> Result<(Seq, Arc<dyn Volume>), StoreError> {
    let volume = shelf.create(first)?;
    volume.commit_for_every_build(vec![meta_row(log, first, previous)])?;
    Ok((first, volume))
}

/// Whether nothing but what a volume says of itself was ever written to it.
fn is_unused(volume: &dyn Volume) -> Result<bool, StoreError> {
    Ok(volume.last(&[Tag::Events as u8], &[u8::MAX])?.is_none())
}

/// Whether a volume before this one was written on after this one was begun: it has the places that were this one's.
fn was_written_on(shelf: &dyn Shelf, older: &[Seq], first: Seq) -> Result<bool, StoreError> {
    for before in older.iter().rev() {
        match shelf.open(*before) {
            Ok(volume) if is_unused(&*volume)? => {}
            Ok(volume) => return Ok(last_chunk(&*volume)?.is_some_and(|(last, _)| last >= first)),
            Err(StoreError::Damaged(_)) => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

/// The last of these volumes that was written to; the first one if none was. Others were begun when the disk failed, perhaps
/// several in a row, while the one before them was written on.
fn last_used(shelf: &dyn Shelf, volumes: &[Seq]) -> Result<Option<Arc<dyn Volume>>, StoreError> {
    let mut found = None;
    for volume in volumes.iter().rev() {
        let volume = shelf.open(*volume)?;
        let is_used = !is_unused(&*volume)?;
        found = Some(volume);
        if is_used {
            break;
        }
    }
    Ok(found)
}

/// The first row of a volume: what it says of itself.
pub(in crate::log) fn meta_row(log: LogId, first: Seq, previous: [u8; 32]) -> Row {
    let meta = Meta { format: FORMAT, log, first, previous };
    (rows::META.to_vec(), codec::encode(&meta))
}

/// A volume's meta row. It is begun if it has none: a crash, or a full disk, came between making it and its first commit. If
/// the volume before it was written on after that, this one is left alone.
fn meta_of(
    shelf: &dyn Shelf,
    volume: &dyn Volume,
    first: Seq,
    older: &[Seq],
    fresh: LogId,
) -> Result<Option<Meta>, StoreError> {
    let begun = read_meta(volume)?;
    if let Some(meta) = begun {
        let was_left = is_unused(volume)? && was_written_on(shelf, older, first)?;
        return Ok(Some(meta).filter(|_| !was_left));
    }
    let (log, previous) = match last_used(shelf, older)? {
        None => (fresh, GENESIS),
        Some(before) => {
            let last = last_chunk(&*before)?;
            if last.is_some_and(|(last, _)| last >= first) {
                return Ok(None);
            }
            let Some(meta) = read_meta(&*before)? else {
                return Ok(None);
            };
            (meta.log, last.map_or(meta.previous, |(_, hash)| hash))
        }
    };
    volume.commit_for_every_build(vec![meta_row(log, first, previous)])?;
    Ok(Some(Meta { format: FORMAT, log, first, previous }))
}

pub(in crate::log) fn read_meta(volume: &dyn Volume) -> Result<Option<Meta>, StoreError> {
    volume.get(rows::META)?.map(|value| decode_meta(&value)).transpose()
}

/// What a volume says of itself.
///
/// # Errors
/// `Newer`: it is in a format that this build does not know; the row is damaged.
pub(in crate::log) fn decode_meta(value: &[u8]) -> Result<Meta, StoreError> {
    let meta: Meta =
        codec::decode(value).map_err(|error| StoreError::Damaged(format!("the volume's meta row: {error}")))?;
    if meta.format > FORMAT {
        return Err(StoreError::Newer { format: meta.format, by: "a later build".to_owned() });
    }
    Ok(meta)
}
