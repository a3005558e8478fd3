//! The row of volumes: the newest is written, the others are sealed and opened only while they are read.

use std::collections::{BTreeMap, VecDeque};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ropewalk_protocol::{LogId, Seq, SessionId, TerminalId, codec, limits};
use serde::{Deserialize, Serialize};

use super::rows::{self, Tag};
use super::store::{Row, Shelf, StoreError, Volume};

const FORMAT: u16 = 1;
/// How often and how long a reader waits for a volume that is being opened again.
const REOPEN_ATTEMPTS: usize = 100;
const REOPEN_PAUSE: Duration = Duration::from_millis(5);

/// What a volume says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Meta {
    pub(super) format: u16,
    pub(super) log: LogId,
    pub(super) first: Seq,
    /// The hash of the last chunk of the volume before.
    pub(super) previous: [u8; 32],
}

/// What the index remembers of a sealed volume, so that it need not be opened. Its name, `first`, is the first place it could
/// hold when it was begun, or more: names only rise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Summary {
    pub(super) first: Seq,
    pub(super) last: Seq,
    pub(super) hash: [u8; 32],
    /// The times, in milliseconds, of the oldest and the newest command id with a receipt here.
    pub(super) commands: Option<(u64, u64)>,
}

pub(super) struct Volumes {
    shelf: Arc<dyn Shelf>,
    index: Arc<dyn Volume>,
    log: LogId,
    row: Mutex<VolumeRow>,
}

struct VolumeRow {
    newest: (Seq, Arc<dyn Volume>),
    sealed: BTreeMap<Seq, Summary>,
    /// Sealed volumes that are open, the one used last at the end.
    open: VecDeque<(Seq, Arc<dyn Volume>)>,
}

impl Volumes {
    /// Opens the row, or begins one for this log id.
    pub(super) fn open(shelf: Arc<dyn Shelf>, fresh: LogId) -> Result<Self, StoreError> {
        let mut firsts = shelf.volumes()?;
        let mut newest = None;
        while let Some(first) = firsts.pop() {
            let volume = shelf.open(first)?;
            let meta = match read_meta(&*volume)? {
                Some(meta) => Some(meta),
                None => take_on(&*shelf, &*volume, first, firsts.last().copied(), fresh)?,
            };
            if let Some(meta) = meta {
                newest = Some((first, volume, meta.log));
                break;
            }
        }
        let (newest, log) = match newest {
            Some((first, volume, log)) => ((first, volume), log),
            None => (begin(&*shelf, Seq(1), fresh, super::chunk::GENESIS)?, fresh),
        };
        let index = shelf.index()?;
        let until = newest.0;
        let row = VolumeRow { newest, sealed: BTreeMap::new(), open: VecDeque::new() };
        let volumes = Self { shelf, index, log, row: Mutex::new(row) };
        for (place, first) in firsts.iter().enumerate() {
            let next = firsts.get(place + 1).copied().unwrap_or(until);
            let summary = volumes.summary_of(*first).unwrap_or_else(|error| {
                tracing::error!(%first, %error, "a volume cannot be opened; what it holds is a gap");
                Summary { first: *first, last: next.previous(), hash: super::chunk::GENESIS, commands: None }
            });
            volumes.lock().sealed.insert(*first, summary);
        }
        Ok(volumes)
    }

    pub(super) fn log(&self) -> LogId {
        self.log
    }

    pub(super) fn shelf(&self) -> &dyn Shelf {
        &*self.shelf
    }

    fn lock(&self) -> MutexGuard<'_, VolumeRow> {
        self.row.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn newest(&self) -> (Seq, Arc<dyn Volume>) {
        self.lock().newest.clone()
    }

    /// First seqs of all volumes, oldest first.
    pub(super) fn firsts(&self) -> Vec<Seq> {
        let row = self.lock();
        row.sealed.keys().copied().chain([row.newest.0]).collect()
    }

    pub(super) fn summaries(&self) -> Vec<Summary> {
        self.lock().sealed.values().cloned().collect()
    }

    /// The volume that holds this place, or would.
    pub(super) fn holding(&self, seq: Seq) -> Seq {
        let row = self.lock();
        row.sealed.values().find(|summary| summary.last >= seq).map_or(row.newest.0, |summary| summary.first)
    }

    /// The last place a volume holds, or would, if the log ended at this head.
    pub(super) fn end_of(&self, first: Seq, head: Seq) -> Seq {
        self.lock().sealed.get(&first).map_or(head, |summary| summary.last.min(head))
    }

    /// The volume after this one.
    pub(super) fn after(&self, first: Seq) -> Option<Seq> {
        let row = self.lock();
        let sealed = row.sealed.range(first.next()..).next().map(|(first, _)| *first);
        sealed.or_else(|| (row.newest.0 > first).then_some(row.newest.0))
    }

    /// Reads in a volume, opened if need be. A volume that is sealed meanwhile is opened anew.
    pub(super) fn read<T>(
        &self,
        first: Seq,
        mut work: impl FnMut(&dyn Volume) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        for _ in 0..REOPEN_ATTEMPTS {
            let volume = self.volume(first)?;
            match work(&*volume) {
                // It is being sealed, or opened again after a failed commit: it is there again in a moment, or not at all.
                Err(StoreError::Closed) => {
                    self.lock().open.retain(|(open, _)| *open != first);
                    if self.lock().newest.0 == first {
                        std::thread::sleep(REOPEN_PAUSE);
                    }
                }
                other => return other,
            }
        }
        Err(StoreError::Failed(format!("volume {first} is closed")))
    }

    fn volume(&self, first: Seq) -> Result<Arc<dyn Volume>, StoreError> {
        let mut row = self.lock();
        if row.newest.0 == first {
            return Ok(row.newest.1.clone());
        }
        if let Some(at) = row.open.iter().position(|(open, _)| *open == first) {
            let entry = row.open.remove(at).expect("the position was just found");
            let volume = entry.1.clone();
            row.open.push_back(entry);
            return Ok(volume);
        }
        while row.open.len() >= limits::SEALED_VOLUMES_OPEN_MAX {
            row.open.pop_front();
        }
        // Opened under the lock: two openings of one database would refuse each other.
        let volume = self.shelf.open(first)?;
        row.open.push_back((first, volume.clone()));
        Ok(volume)
    }

    /// Opens the newest volume again, after a commit failed.
    pub(super) fn reopen_newest(&self) -> Result<(), StoreError> {
        let (first, volume) = self.newest();
        // Sealing closes the handle that is not trusted any more, for every reader that still has it.
        if let Err(error) = volume.seal() {
            tracing::warn!(%error, "the volume did not close cleanly");
        }
        drop(volume);
        let volume = self.shelf.open(first)?;
        self.lock().newest = (first, volume);
        Ok(())
    }

    /// Seals the newest volume and begins the next one.
    pub(super) fn rotate(&self, last: Seq, hash: [u8; 32]) -> Result<(), StoreError> {
        let (first, volume) = self.newest();
        let summary = summarize(&*volume, first, last, hash)?;
        // Names rise even when no event came since the last rotation: terminal bytes alone fill volumes too.
        let next = begin(&*self.shelf, last.next().max(first.next()), self.log, hash)?;
        // From here on the volume is not written any more, so that what the index says of it stays true.
        self.remember(&*volume, &summary)?;
        {
            let mut row = self.lock();
            row.sealed.insert(first, summary);
            row.newest = next;
        }
        let sealed = std::thread::Builder::new().name("sealer".to_owned()).spawn(move || {
            if let Err(error) = volume.seal() {
                tracing::warn!(%error, %first, "a volume could not be sealed; it is read as it is");
            }
        });
        drop(sealed?);
        Ok(())
    }

    fn summary_of(&self, first: Seq) -> Result<Summary, StoreError> {
        let remembered = self.index.get(&rows::number(Tag::Summary, first.0))?;
        if let Some(summary) = remembered.and_then(|value| codec::decode(&value).ok()) {
            return Ok(summary);
        }
        let volume = self.shelf.open(first)?;
        let (last, hash) = last_chunk(&*volume)?.unwrap_or((first.previous(), super::chunk::GENESIS));
        let summary = summarize(&*volume, first, last, hash)?;
        self.remember(&*volume, &summary)?;
        Ok(summary)
    }

    /// Writes into the index which sessions and terminals a volume holds.
    fn remember(&self, volume: &dyn Volume, summary: &Summary) -> Result<(), StoreError> {
        let first = summary.first.0;
        let mut batch: Vec<Row> = Vec::new();
        for session in names(volume, Tag::Streams)? {
            batch.push((rows::named(Tag::SessionVolume, &session, first), Vec::new()));
        }
        for terminal in names(volume, Tag::Output)? {
            let range = output_range(volume, &TerminalId::from_bytes(terminal))?;
            batch.push((rows::named(Tag::TerminalVolume, &terminal, first), codec::encode(&range)));
        }
        batch.push((rows::number(Tag::Summary, first), codec::encode(summary)));
        // The summary is in the last part: a crash before it makes the whole volume be remembered again.
        for part in batch.chunks(limits::COMMIT_EVENTS_MAX) {
            self.index.commit(part)?;
        }
        Ok(())
    }

    /// The volumes that hold events of this session, oldest first; the newest is always among them.
    pub(super) fn of_session(&self, session: SessionId) -> Result<Vec<Seq>, StoreError> {
        self.named_volumes(Tag::SessionVolume, session.as_bytes())
    }

    /// The volumes that hold bytes of this terminal, oldest first; the newest is always among them.
    pub(super) fn of_terminal(&self, terminal: TerminalId) -> Result<Vec<Seq>, StoreError> {
        self.named_volumes(Tag::TerminalVolume, terminal.as_bytes())
    }

    fn named_volumes(&self, tag: Tag, name: &[u8; 16]) -> Result<Vec<Seq>, StoreError> {
        let newest = self.newest().0;
        let mut firsts = Vec::new();
        self.index.scan(&rows::named(tag, name, 0), &rows::end_named(tag, name), &mut |key, _| {
            firsts.extend(rows::trailing_number(key).map(Seq));
            ControlFlow::Continue(())
        })?;
        firsts.retain(|first| *first < newest);
        firsts.push(newest);
        Ok(firsts)
    }
}

/// The offsets of a terminal's first byte in a volume and after its last one.
fn output_range(volume: &dyn Volume, terminal: &TerminalId) -> Result<(u64, u64), StoreError> {
    let (from, to) = (rows::output(*terminal, 0), rows::end_named(Tag::Output, terminal.as_bytes()));
    let mut first = 0;
    volume.scan(&from, &to, &mut |key, _| {
        first = rows::trailing_number(key).unwrap_or(0);
        ControlFlow::Break(())
    })?;
    let last = volume.last(&from, &to)?;
    let end = last.and_then(|(key, value)| {
        Some(rows::trailing_number(&key)? + rows::decode_output(&value).map_or(0, |bytes| bytes.len() as u64))
    });
    Ok((first, end.unwrap_or(first)))
}

/// The 16-byte names there are under a tag, by leaping from one to the next.
fn names(volume: &dyn Volume, tag: Tag) -> Result<Vec<[u8; 16]>, StoreError> {
    let mut names = Vec::new();
    let mut from = vec![tag as u8];
    loop {
        let mut found = None;
        volume.scan(&from, &rows::end(tag), &mut |key, _| {
            found = rows::name(key);
            ControlFlow::Break(())
        })?;
        let Some(name) = found else {
            return Ok(names);
        };
        names.push(name);
        from = rows::end_named(tag, &name);
    }
}

fn summarize(volume: &dyn Volume, first: Seq, last: Seq, hash: [u8; 32]) -> Result<Summary, StoreError> {
    let (from, to) = (vec![Tag::Receipts as u8], rows::end(Tag::Receipts));
    let mut oldest = None;
    volume.scan(&from, &to, &mut |key, _| {
        oldest = id_millis(key);
        ControlFlow::Break(())
    })?;
    let newest = volume.last(&from, &to)?.and_then(|(key, _)| id_millis(&key));
    Ok(Summary { first, last, hash, commands: oldest.zip(newest) })
}

/// Ids are UUID v7, so the keys of receipts lie in the order of their times.
fn id_millis(key: &[u8]) -> Option<u64> {
    rows::name(key).and_then(|id| ropewalk_protocol::CommandId::from_bytes(id).unix_millis())
}

/// The newest command id's time in a volume, in milliseconds.
pub(super) fn newest_command_millis(volume: &dyn Volume) -> Result<Option<u64>, StoreError> {
    let (from, to) = (vec![Tag::Receipts as u8], rows::end(Tag::Receipts));
    Ok(volume.last(&from, &to)?.and_then(|(key, _)| id_millis(&key)))
}

/// The last place and hash of a volume's last readable chunk.
pub(super) fn last_chunk(volume: &dyn Volume) -> Result<Option<(Seq, [u8; 32])>, StoreError> {
    let mut to = rows::end(Tag::Events);
    loop {
        let Some((key, value)) = volume.last(&[Tag::Events as u8], &to)? else {
            return Ok(None);
        };
        let first = Seq(rows::trailing_number(&key).unwrap_or_default());
        match super::chunk::Chunk::read(first, &value) {
            Ok(chunk) => return Ok(Some((chunk.last(), chunk.hash))),
            Err(error) => {
                tracing::error!(%first, %error, "the newest chunk is damaged; the one before it is taken");
                to = key;
            }
        }
    }
}

fn begin(shelf: &dyn Shelf, first: Seq, log: LogId, previous: [u8; 32]) -> Result<(Seq, Arc<dyn Volume>), StoreError> {
    let volume = shelf.create(first)?;
    let meta = Meta { format: FORMAT, log, first, previous };
    volume.commit(&[(rows::META.to_vec(), codec::encode(&meta))])?;
    Ok((first, volume))
}

/// Begins a volume that has no meta row: a crash, or a full disk, came between making it and its first commit. If the volume
/// before it was written on after that, this one is left alone.
fn take_on(
    shelf: &dyn Shelf,
    volume: &dyn Volume,
    first: Seq,
    before: Option<Seq>,
    fresh: LogId,
) -> Result<Option<Meta>, StoreError> {
    let (log, previous) = match before {
        None => (fresh, super::chunk::GENESIS),
        Some(before) => {
            let before = shelf.open(before)?;
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
    let meta = Meta { format: FORMAT, log, first, previous };
    volume.commit(&[(rows::META.to_vec(), codec::encode(&meta))])?;
    Ok(Some(meta))
}

pub(super) fn read_meta(volume: &dyn Volume) -> Result<Option<Meta>, StoreError> {
    let Some(value) = volume.get(rows::META)? else {
        return Ok(None);
    };
    let meta: Meta =
        codec::decode(&value).map_err(|error| StoreError::Failed(format!("the volume's meta row: {error}")))?;
    if meta.format != FORMAT {
        let format = meta.format;
        return Err(StoreError::Failed(format!("the volume has format {format}; this build reads {FORMAT}")));
    }
    Ok(Some(meta))
}
