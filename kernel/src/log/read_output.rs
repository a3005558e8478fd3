//! Reading a terminal's stored bytes, in order, and what lies between them and cannot be read.

use std::ops::ControlFlow;

use ropewalk_protocol::TerminalId;

use super::rows::{self, Tag};
use super::store::{StoreError, Volume};
use super::volumes::Volumes;

impl Volumes {
    /// Up to this many bytes of a terminal from this offset on, and where they begin: later than asked for after a gap.
    pub(super) fn output(&self, terminal: TerminalId, from: u64, bytes_max: usize) -> Result<OutputPage, StoreError> {
        let mut page = OutputPage { offset: from, bytes: Vec::new(), damaged: false };
        let volumes = self.of_terminal(terminal)?;
        // Newest first: most attaches want the end.
        let mut start = volumes.len() - 1;
        while start > 0 && !self.read(volumes[start], |volume| covers(volume, terminal, from)).unwrap_or(false) {
            start -= 1;
        }
        for first in &volumes[start..] {
            let left = bytes_max.saturating_sub(page.bytes.len());
            if left == 0 {
                break;
            }
            let at = page.offset + page.bytes.len() as u64;
            let rows = match self.read(*first, |volume| output_rows(volume, terminal, at, left)) {
                Ok(rows) => rows,
                Err(StoreError::Damaged(error)) => {
                    // What the volume has of the terminal is a hole; the next one goes on behind it.
                    tracing::error!(%first, %error, "a volume cannot be read");
                    if !page.bytes.is_empty() {
                        break;
                    }
                    page.damaged = true;
                    continue;
                }
                Err(error) => return Err(error),
            };
            for (offset, bytes) in rows {
                if !page.extend(offset, bytes) {
                    return Ok(page);
                }
            }
        }
        page.bytes.truncate(bytes_max);
        // A volume that cannot be read need not have had anything of this terminal.
        page.damaged &= page.bytes.is_empty() || page.offset > from;
        Ok(page)
    }

    /// How many bytes of a terminal are stored: the offset after the last one that can be read.
    pub(super) fn output_end(&self, terminal: TerminalId) -> Result<u64, StoreError> {
        for first in self.of_terminal(terminal)?.into_iter().rev() {
            let (from, to) = (rows::output(terminal, 0), rows::end_named(Tag::Output, terminal.as_bytes()));
            let last = match self.read(first, |volume| volume.last(&from, &to)) {
                Err(StoreError::Damaged(_)) => continue,
                other => other?,
            };
            if let Some((key, value)) = last {
                let offset = rows::trailing_number(&key).unwrap_or_default();
                let length =
                    rows::decode_output(&value).map_or_else(|| rows::output_length(&value), |bytes| bytes.len() as u64);
                return Ok(offset + length);
            }
        }
        Ok(0)
    }
}

/// A page of a terminal's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputPage {
    /// The offset of the first byte.
    pub offset: u64,
    /// The bytes.
    pub bytes: Vec<u8>,
    /// What lies between the offset asked for and `offset` cannot be read.
    pub damaged: bool,
}

impl OutputPage {
    /// Adds a row; false when it does not join on and the page has something already.
    fn extend(&mut self, offset: u64, bytes: Option<Vec<u8>>) -> bool {
        let Some(bytes) = bytes else {
            self.damaged |= self.bytes.is_empty();
            return self.bytes.is_empty();
        };
        let end = self.offset + self.bytes.len() as u64;
        if offset > end {
            if !self.bytes.is_empty() {
                return false;
            }
            self.damaged = true;
            self.offset = offset;
        }
        let end = self.offset + self.bytes.len() as u64;
        let skip = usize::try_from(end - offset).unwrap_or(usize::MAX);
        if skip < bytes.len() {
            self.bytes.extend_from_slice(&bytes[skip..]);
        }
        true
    }
}

/// Whether this volume has a row of the terminal at or before this offset.
fn covers(volume: &dyn Volume, terminal: TerminalId, offset: u64) -> Result<bool, StoreError> {
    let to = rows::output(terminal, offset.saturating_add(1));
    Ok(volume.last(&rows::output(terminal, 0), &to)?.is_some())
}

/// A row's offset and its bytes; damaged ones are `None`.
type OutputRow = (u64, Option<Vec<u8>>);

fn output_rows(
    volume: &dyn Volume,
    terminal: TerminalId,
    at: u64,
    bytes_max: usize,
) -> Result<Vec<OutputRow>, StoreError> {
    let before = volume.last(&rows::output(terminal, 0), &rows::output(terminal, at.saturating_add(1)))?;
    let from = before.map_or_else(|| rows::output(terminal, at), |(key, _)| key);
    let mut found = Vec::new();
    let mut bytes = 0;
    volume.scan(&from, &rows::end_named(Tag::Output, terminal.as_bytes()), &mut |key, value| {
        if bytes >= bytes_max {
            return ControlFlow::Break(());
        }
        let offset = rows::trailing_number(key).unwrap_or_default();
        let row = rows::decode_output(value);
        let useful = row.as_ref().map_or(0, |row| (offset + row.len() as u64).saturating_sub(at.max(offset)));
        if row.is_none() {
            tracing::error!(%terminal, offset, "stored output is damaged");
        }
        if useful > 0 || row.is_none() {
            bytes += usize::try_from(useful).unwrap_or(usize::MAX);
            found.push((offset, row));
        }
        ControlFlow::Continue(())
    })?;
    Ok(found)
}
