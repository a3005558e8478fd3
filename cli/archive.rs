//! Archives as files: written beside their name and renamed once they are whole and on stable storage.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use ropewalk_kernel::log::store::StoreError;
use ropewalk_kernel::log::{Archived, ExportError, Journal};
use ropewalk_protocol::{ArchiveReport, Code, Rejection};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

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
        put_in_place(&part, path, |part, path| fs::hard_link(part, path))?;
        sync_parent(path)?;
        Ok(archived)
    });
    fs::remove_file(&part).ok();
    written.map(report).map_err(|error| rejection(path, error))
}

/// Gives a file its name; one of that name that came meanwhile keeps its place. A link does that everywhere, where there are
/// links: FAT has none, and tells so as a lack of permission.
fn put_in_place(part: &Path, path: &Path, link: impl Fn(&Path, &Path) -> io::Result<()>) -> io::Result<()> {
    match link(part, path) {
        Err(error) if has_no(&error, &[Errno::PERM, Errno::OPNOTSUPP, Errno::NOTSUP, Errno::NOSYS]) => {}
        done => return done,
    }
    match renameat_with(CWD, part, CWD, path, RenameFlags::NOREPLACE).map_err(io::Error::from) {
        Err(error) if has_no(&error, &[Errno::INVAL, Errno::OPNOTSUPP, Errno::NOTSUP, Errno::NOSYS]) => {}
        done => return done,
    }
    // A file system that has neither: what came since this look is lost.
    if path.symlink_metadata().is_ok() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    fs::rename(part, path)
}

fn has_no(error: &io::Error, means: &[Errno]) -> bool {
    Errno::from_io_error(error).is_some_and(|errno| means.contains(&errno))
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
pub(crate) fn sync_parent(path: &Path) -> io::Result<()> {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Regression: an export to a file system without links, as on most USB sticks, failed when all of it was written.
    #[test]
    fn regression_an_archive_gets_its_name_also_where_there_are_no_links_and_never_takes_the_place_of_another() {
        let directory = std::env::temp_dir().join(format!("rw-archive-{}", std::process::id()));
        fs::create_dir(&directory).expect("makes a directory");
        let (part, path) = (directory.join("it.part"), directory.join("it"));
        fs::write(&part, "whole").expect("writes");
        let no_links = |_: &Path, _: &Path| Err(Errno::PERM.into());
        put_in_place(&part, &path, no_links).expect("it is renamed");
        assert_eq!(fs::read(&path).expect("is there"), b"whole");
        fs::write(&part, "another").expect("writes");
        let taken = put_in_place(&part, &path, no_links).expect_err("the name is taken");
        assert_eq!(taken.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).expect("is there"), b"whole");
        fs::remove_dir_all(&directory).expect("removes");
    }
}
