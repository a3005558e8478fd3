//! What a volume holds, told without opening it: a row for each sealed volume in the index.

use std::ops::ControlFlow;

use ropewalk_protocol::{Seq, TerminalId, codec, limits};
use serde::{Deserialize, Serialize};

use super::Volumes;
use crate::log::chunk::{Chunk, GENESIS};
use crate::log::receipts;
use crate::log::rows::{self, Tag};
use crate::log::store::{Row, StoreError, Volume};

/// What is known of a sealed volume. Its name, `first`, is the first place it could hold when it was begun, or more: names
/// only rise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::log) struct Summary {
    pub(in crate::log) first: Seq,
    pub(in crate::log) last: Seq,
    pub(in crate::log) hash: [u8; 32],
    /// The times, in milliseconds, of the oldest and the newest command id that may have a receipt here.
    pub(in crate::log) commands: Option<(u64, u64)>,
    /// Whether the index names its sessions and terminals; it cannot when the volume could not be read.
    pub(in crate::log) indexed: bool,
}

impl Volumes {
    /// What the index says of a sealed volume, or what the volume says, which is then written into the index.
    pub(super) fn summary_of(&self, first: Seq) -> Result<Summary, StoreError> {
        if let Some(summary) = self.remembered(first)?.filter(|summary| summary.indexed) {
            return Ok(summary);
        }
        let volume = self.shelf.open(first)?;
        let (last, hash) = last_chunk(&*volume)?.unwrap_or((first.previous(), GENESIS));
        let summary = summarize(&*volume, first, last, hash)?;
        self.remember(&*volume, &summary)?;
        Ok(summary)
    }

    /// The index's row on a volume.
    pub(super) fn remembered(&self, first: Seq) -> Result<Option<Summary>, StoreError> {
        let value = self.index.get(&rows::number(Tag::Summary, first.0))?;
        Ok(value.and_then(|value| codec::decode(&value).ok()))
    }

    /// Writes into the index what is supposed of a volume that cannot be read.
    pub(super) fn remember_unread(&self, summary: &Summary) -> Result<(), StoreError> {
        self.index.commit(vec![(rows::number(Tag::Summary, summary.first.0), codec::encode(summary))])
    }

    /// Writes into the index which sessions and terminals a volume holds.
    pub(super) fn remember(&self, volume: &dyn Volume, summary: &Summary) -> Result<(), StoreError> {
        let mut batch = name_rows(volume, summary.first)?;
        batch.push((rows::number(Tag::Summary, summary.first.0), codec::encode(summary)));
        // The summary is in the last part: a crash before it makes the whole volume be remembered again.
        for part in batch.chunks(limits::COMMIT_EVENTS_MAX) {
            self.index.commit(part.to_vec())?;
        }
        Ok(())
    }
}

/// The index's rows that name the sessions and the terminals of a volume.
pub(super) fn name_rows(volume: &dyn Volume, first: Seq) -> Result<Vec<Row>, StoreError> {
    let mut found: Vec<Row> = Vec::new();
    for tag in [Tag::Streams, Tag::Snapshots] {
        let sessions = names(volume, tag)?.into_iter();
        found.extend(sessions.map(|session| (rows::named(Tag::SessionVolume, &session, first.0), Vec::new())));
    }
    for terminal in names(volume, Tag::Output)? {
        let range = output_range(volume, &TerminalId::from_bytes(terminal))?;
        found.push((rows::named(Tag::TerminalVolume, &terminal, first.0), codec::encode(&range)));
    }
    Ok(found)
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
        Some(
            rows::trailing_number(&key)?
                .saturating_add(rows::decode_output(&value).map_or(0, |bytes| bytes.len() as u64)),
        )
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

pub(super) fn summarize(volume: &dyn Volume, first: Seq, last: Seq, hash: [u8; 32]) -> Result<Summary, StoreError> {
    Ok(Summary { first, last, hash, commands: receipts::command_millis(volume)?, indexed: true })
}

/// The last place and hash of a volume's last readable chunk.
pub(in crate::log) fn last_chunk(volume: &dyn Volume) -> Result<Option<(Seq, [u8; 32])>, StoreError> {
    let mut to = rows::end(Tag::Events);
    loop {
        let Some((key, value)) = volume.last(&[Tag::Events as u8], &to)? else {
            return Ok(None);
        };
        let first = Seq(rows::trailing_number(&key).unwrap_or_default());
        match Chunk::read(first, &value) {
            Ok(chunk) => return Ok(Some((chunk.last(), chunk.hash))),
            Err(error) => {
                tracing::error!(%first, %error, "the newest chunk is damaged; the one before it is taken");
                to = key;
            }
        }
    }
}
