//! `ropewalk log export` and `import`.

use std::fs::{self, File};
use std::io::{BufReader, BufWriter, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use ropewalk_kernel::log::repair::Aside;
use ropewalk_kernel::log::store::Shelf;
use ropewalk_kernel::log::{Archived, ImportError, SledShelf, import as read_archive};
use ropewalk_protocol::{ArchiveReport, Query, QueryResult, Rejection};

use super::super::{Context, unexpected};
use super::quarantine::Quarantine;
use super::source::{Files, Log};
use crate::archive::{BUFFER_BYTES, export_to, rejection, report, sync_parent};
use crate::daemon::discovery::HomeLock;
use crate::daemon::log_failure::log_failure;
use crate::exit::{DAMAGED, FAILURE, Failure, OK};
use crate::print;

const STANDARD: &str = "-";

/// Writes the log into a file, or to stdout; what it holds is said then on stderr.
pub(super) async fn export(context: &Context, log: &Log, file: &Path) -> Result<u8, Failure> {
    let to_stdout = file.as_os_str() == STANDARD;
    let path = std::path::absolute(file)?;
    let report = match log {
        Log::Files(files) if to_stdout => to_stdout_from(files)?,
        Log::Files(files) => export_to(&files.journal, &path)?,
        Log::Daemon(client) => {
            // The daemon writes files only: for stdout, one that goes again.
            let passed = to_stdout.then(|| Passed::new(&context.paths.state));
            let target = passed.as_ref().map_or(&path, |passed| &passed.0);
            let file = target.to_str().map(str::to_owned);
            let file = file.ok_or_else(|| Failure::new(FAILURE, "the file's name is not UTF-8"))?;
            let answer = client.query(Query::LogExport { file }).await?;
            let QueryResult::LogExport { report } = answer.result else {
                return Err(unexpected());
            };
            if let Some(passed) = passed {
                passed.on()?;
            }
            report
        }
    };
    if to_stdout {
        print::talk(exported(&report).trim_end());
    } else {
        context.print(&report, exported)?;
    }
    Ok(if report.whole { OK } else { DAMAGED })
}

fn to_stdout_from(files: &Files) -> Result<ArchiveReport, Failure> {
    let mut sink = BufWriter::with_capacity(BUFFER_BYTES, std::io::stdout().lock());
    let archived = files.journal.export(&mut sink);
    Ok(report(archived.map_err(|error| rejection(Path::new("stdout"), error))?))
}

/// An archive on its way to stdout. It is removed when this is dropped.
struct Passed(PathBuf);

impl Passed {
    const NAME: &str = "export-";

    /// A place for it, on a disk: the runtime directory is in memory. What a command left there that was killed is removed.
    fn new(directory: &Path) -> Self {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let owner = name.to_str().and_then(|name| name.strip_prefix(Self::NAME)?.split('.').next());
            if owner.is_some_and(|pid| pid.parse::<u32>().is_ok() && !Path::new("/proc").join(pid).exists()) {
                fs::remove_file(entry.path()).ok();
            }
        }
        Self(directory.join(format!("{}{}", Self::NAME, std::process::id())))
    }

    fn on(self) -> Result<(), Failure> {
        let file = File::open(&self.0)?;
        // Its name is not needed from here on; whoever ends this command ends the file with it.
        drop(self);
        let mut out = std::io::stdout().lock();
        std::io::copy(&mut &file, &mut out)?;
        Ok(out.flush()?)
    }
}

impl Drop for Passed {
    fn drop(&mut self) {
        fs::remove_file(&self.0).ok();
    }
}

fn exported(report: &ArchiveReport) -> String {
    format!(
        "log {}: events 1 to {} in {} chunks, {} volumes; {} receipts; {} bytes of terminals\ndigest {}\n{}",
        report.log,
        report.head,
        report.chunks,
        report.volumes,
        report.receipts,
        report.output_bytes,
        report.digest,
        super::damaged(&report.damage)
    )
}

/// Makes a log of a file, beside the place where it belongs, and puts it there once it is whole.
pub(super) fn import(context: &Context, file: &Path) -> Result<u8, Failure> {
    let paths = &context.paths;
    let mut source: Box<dyn Read> = if file.as_os_str() == STANDARD {
        Box::new(std::io::stdin().lock())
    } else {
        let file = File::open(file).map_err(|error| not_read(file, &error))?;
        Box::new(BufReader::with_capacity(BUFFER_BYTES, file))
    };
    paths.create()?;
    let lock = HomeLock::take(paths)?;
    refuse_if_used(&paths.log())?;
    let beside = paths.data.join(format!("log.import-{}", std::process::id()));
    let archived = fill(&beside, &mut source).and_then(|archived| {
        let mut quarantine = Quarantine::new(paths);
        // Checkpoints are of the log that was here before: they would be taken for this one's.
        quarantine.put(&paths.checkpoints(), "checkpoints")?;
        quarantine.put(&paths.log(), "log")?;
        File::open(beside.join("HEAD"))?.sync_all()?;
        fs::rename(&beside, paths.log())?;
        sync_parent(&paths.log())?;
        Ok(archived)
    });
    if archived.is_err() {
        fs::remove_dir_all(&beside).ok();
    }
    let report = report(archived?);
    context.print(&report, exported)?;
    drop(lock);
    Ok(if report.whole { OK } else { DAMAGED })
}

fn not_read(file: &Path, error: &std::io::Error) -> Rejection {
    let rejection = match error.kind() {
        ErrorKind::NotFound => Rejection::not_found(format_args!("file {}", file.display())),
        _ => Rejection::invalid(format!("{}: {error}", file.display())),
    };
    rejection.hint("Name a file that `ropewalk log export` wrote.")
}

fn refuse_if_used(log: &Path) -> Result<(), Failure> {
    if log.is_dir()
        && !SledShelf::existing(log).and_then(|shelf| shelf.volumes()).is_ok_and(|volumes| volumes.is_empty())
    {
        let message = format!("{} holds a log", log.display());
        return Err(Failure::new(FAILURE, message).hint("Import into another home: set ROPEWALK_HOME."));
    }
    Ok(())
}

fn fill(directory: &Path, source: &mut dyn Read) -> Result<Archived, Failure> {
    let shelf = SledShelf::open(directory).map_err(log_failure)?;
    read_archive(&shelf, source).map_err(|error| {
        let hint = match &error {
            ImportError::Archive { .. } | ImportError::Cut { .. } | ImportError::Contents { .. } => {
                "Nothing was imported. Take another copy of the archive, or export it again."
            }
            ImportError::Read(_) | ImportError::Store(_) => "Nothing was imported.",
        };
        let code = if matches!(error, ImportError::Store(_) | ImportError::Read(_)) { FAILURE } else { DAMAGED };
        Failure::new(code, format!("importing the log: {error}")).hint(hint)
    })
}
