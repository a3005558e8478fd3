//! Archives as files: written beside their name and renamed once they are whole and on stable storage.

use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use ropewalk_kernel::log::store::StoreError;
use ropewalk_kernel::log::{Archived, ExportError, Journal};
use ropewalk_protocol::{ArchiveReport, Code, Rejection};

use crate::check::hex;

/// What is read or written at once.
pub(crate) const BUFFER_BYTES: usize = 1024 * 1024;

/// Writes the log into a file that is not there yet. Blocking, and long.
pub(crate) fn export_to(journal: &Journal, path: &Path) -> Result<ArchiveReport, Rejection> {
    if !path.is_absolute() || path.file_name().is_none() {
        return Err(Rejection::invalid(format!("{} is not the absolute path of a file", path.display())));
    }
    if path.symlink_metadata().is_ok() {
        let rejection = Rejection::invalid(format!("{} is there already", path.display()));
        return Err(rejection.hint("Choose another name: an archive is never written over."));
    }
    let part = part_of(path);
    let written = write(journal, &part).and_then(|archived| {
        // Unlike a rename, a link never takes the place of a file that came meanwhile.
        fs::hard_link(&part, path)?;
        sync_parent(path)?;
        Ok(archived)
    });
    fs::remove_file(&part).ok();
    written.map(report).map_err(|error| rejection(path, error))
}

fn part_of(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".part-{}", std::process::id()));
    path.with_file_name(name)
}

fn write(journal: &Journal, part: &Path) -> Result<Archived, ExportError> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(part)?;
    let mut sink = BufWriter::with_capacity(BUFFER_BYTES, file);
    let archived = journal.export(&mut sink)?;
    sink.flush()?;
    sink.get_ref().sync_all()?;
    Ok(archived)
}

/// Makes the names in a file's directory durable.
pub(crate) fn sync_parent(path: &Path) -> std::io::Result<()> {
    path.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}

pub(crate) fn rejection(path: &Path, error: ExportError) -> Rejection {
    match error {
        ExportError::Store(error) => error.into(),
        ExportError::Write(error) => match StoreError::from(error) {
            StoreError::Full(error) => Rejection::new(Code::StorageFull, format!("{}: {error}", path.display())),
            error => Rejection::invalid(format!("{}: {error}", path.display()))
                .hint("Name a file in a directory that can be written."),
        },
    }
}

/// What an archive holds, for people and scripts.
pub(crate) fn report(archived: Archived) -> ArchiveReport {
    let Archived { log, totals, chain, damage } = archived;
    ArchiveReport {
        whole: damage.is_empty(),
        log,
        head: totals.head,
        hash: hex(&totals.hash),
        volumes: totals.volumes,
        chunks: totals.chunks,
        events: totals.events,
        receipts: totals.receipts,
        output_bytes: totals.output_bytes,
        digest: hex(&chain),
        damage,
    }
}
