//! `ropewalk log`: through the daemon when one runs, else on the files.

mod archive;
mod quarantine;
mod repair;
mod show;
mod source;

use ropewalk_protocol::{DamageView, LogStats, Query, QueryResult, VerifyReport};
use rustix::fs::Mode;

use self::source::{Files, Log};
use super::{Context, unexpected};
use crate::args::LogCommand;
use crate::check::{LogCheck, fold_up_to};
use crate::daemon::checkpoints::Checkpoints;
use crate::exit::{DAMAGED, Failure, OK};
use crate::print;

pub(super) async fn log(context: &Context, command: &LogCommand) -> Result<u8, Failure> {
    // Whatever is written below, by whichever package, is its owner's alone. No program is started from here.
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
    // These two write, and want a home that nobody uses.
    match command {
        LogCommand::Import { file } => return archive::import(context, file),
        LogCommand::Repair { dry_run } => return repair::repair(context, *dry_run).await,
        _ => {}
    }
    let log = Log::open(&context.paths).await?;
    let done = match command {
        LogCommand::Verify => verify(context, &log).await,
        LogCommand::Stats => stats(context, &log).await,
        LogCommand::Show { seq } => show::show(context, &log, *seq).await,
        LogCommand::Range { from, to } => show::range(&log, *from, *to).await,
        LogCommand::Export { file } => archive::export(context, &log, file).await,
        LogCommand::Import { .. } | LogCommand::Repair { .. } => Ok(OK),
    };
    log.close().await;
    done
}

async fn verify(context: &Context, log: &Log) -> Result<u8, Failure> {
    let report = match log {
        Log::Daemon(client) => match client.query(Query::LogVerify {}).await?.result {
            QueryResult::LogVerify { report } => report,
            _ => return Err(unexpected()),
        },
        Log::Files(files) => check(context, files)?,
    };
    context.print(&report, verified)?;
    Ok(if report.intact { OK } else { DAMAGED })
}

/// Checks a log that no daemon has open, and the checkpoint that the next daemon would go on from.
fn check(context: &Context, files: &Files) -> Result<VerifyReport, Failure> {
    let mut check = LogCheck::run(&files.journal)?;
    let head = files.journal.head();
    let (mut kept, _) = Checkpoints::new(&context.paths).projections(&files.journal);
    fold_up_to(&files.journal, &mut kept, head)?;
    check.compare("the checkpoint folded up to the head", &kept);
    if let Some(reason) = &files.damage.index {
        check.add("index", format!("it cannot be read, and is made anew at the next start: {reason}"));
    }
    if let Some(reason) = &files.damage.head {
        check.add("HEAD", format!("{reason}; `ropewalk log repair` puts it aside"));
    }
    Ok(check.report())
}

async fn stats(context: &Context, log: &Log) -> Result<u8, Failure> {
    let stats = match log {
        Log::Daemon(client) => match client.query(Query::LogStats {}).await?.result {
            QueryResult::LogStats { stats } => stats,
            _ => return Err(unexpected()),
        },
        Log::Files(files) => files.journal.stats(),
    };
    context.print(&stats, counted)
}

fn verified(report: &VerifyReport) -> String {
    let mut text = String::new();
    text.push_str(&format!(
        "{} events in {} chunks, {} volumes; {} receipts; {} bytes of {} terminals\n",
        report.events, report.chunks, report.volumes, report.receipts, report.output_bytes, report.terminals
    ));
    text.push_str(&format!("chain {}\n", report.chain));
    for (name, digest) in &report.digests {
        text.push_str(&format!("{name} {digest}\n"));
    }
    text.push_str(&damaged(&report.damage));
    for file in &report.aside {
        text.push_str(&format!(
            "aside: {file}: what could not be read of a write-ahead log; `ropewalk log repair` moves it out of the log\n"
        ));
    }
    text.push_str(if report.intact { "intact\n" } else { "not intact\n" });
    text
}

/// What cannot be read, a line each.
fn damaged(damage: &[DamageView]) -> String {
    let line = |damage: &DamageView| {
        let terminal = damage.terminal.map(|terminal| format!(" of terminal {terminal}")).unwrap_or_default();
        format!("damaged: {} {} to {}{terminal}: {}\n", damage.place, damage.from, damage.to, damage.reason)
    };
    damage.iter().map(line).collect()
}

fn counted(stats: &LogStats) -> String {
    let rows = [
        ("head", stats.head.to_string()),
        ("volumes", stats.volumes.to_string()),
        ("bytes on disk", stats.disk_bytes.to_string()),
        ("bytes free", stats.free_bytes.to_string()),
        ("files with what could not be read", stats.aside.to_string()),
        ("commits since the start", stats.commits.to_string()),
        ("batches in them", stats.batches.to_string()),
        ("appends", stats.degraded.clone().map_or("succeed".to_owned(), |reason| format!("fail: {reason}"))),
    ];
    print::table(&rows.map(|(name, value)| vec![name.to_owned(), value]))
}
