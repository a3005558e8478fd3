//! Reading whole volumes without being in the writer's way: a bounded piece is copied at a time, and looked at once nothing of
//! the volume is held. Whoever looks may take long, and a volume that is to be opened again waits for no more than one piece.

use std::ops::ControlFlow;

use ropewalk_protocol::{Seq, limits};

use super::journal::Journal;
use super::rows::{self, Tag};
use super::store::{Row, StoreError, Visit, Volume};

impl Journal {
    /// Visits the rows of a volume that have this tag, in order.
    ///
    /// # Errors
    /// `Stopped` once the log is closed; the disk failed. Rows visited before are good.
    pub(super) fn in_pieces(&self, volume: Seq, tag: Tag, visit: Visit<'_>) -> Result<(), StoreError> {
        let mut from = vec![tag as u8];
        loop {
            self.go_on()?;
            let rows = self.volumes().read(volume, |volume| piece(volume, &from, &rows::end(tag)))?;
            let Some((last, _)) = rows.last() else {
                return Ok(());
            };
            from.clone_from(last);
            // The next key there can be.
            from.push(0);
            for (key, value) in &rows {
                if let ControlFlow::Break(()) = visit(key, value) {
                    return Ok(());
                }
            }
        }
    }

    /// Whether what takes long should go on: once the log is closed somebody waits for the end of it.
    pub(super) fn go_on(&self) -> Result<(), StoreError> {
        if *self.closed().borrow() { Err(StoreError::Stopped) } else { Ok(()) }
    }
}

fn piece(volume: &dyn Volume, from: &[u8], to: &[u8]) -> Result<Vec<Row>, StoreError> {
    let mut rows: Vec<Row> = Vec::new();
    let mut bytes = 0;
    volume.scan(from, to, &mut |key, value| {
        rows.push((key.to_vec(), value.to_vec()));
        bytes += key.len() + value.len();
        if bytes < limits::SCAN_BYTES { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    Ok(rows)
}
