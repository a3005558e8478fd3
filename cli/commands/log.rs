//! `ropewalk log`.

use ropewalk_protocol::{LogStats, Query, QueryResult, VerifyReport};

use super::{Context, unexpected};
use crate::args::LogCommand;
use crate::exit::{DAMAGED, Failure, OK};
use crate::print;

pub(super) async fn log(context: &Context, command: &LogCommand) -> Result<u8, Failure> {
    let client = context.client().await?;
    match command {
        LogCommand::Verify => {
            let QueryResult::LogVerify { report } = client.query(Query::LogVerify {}).await?.result else {
                return Err(unexpected());
            };
            context.print(&report, verified)?;
            Ok(if report.intact { OK } else { DAMAGED })
        }
        LogCommand::Stats => {
            let QueryResult::LogStats { stats } = client.query(Query::LogStats {}).await?.result else {
                return Err(unexpected());
            };
            context.print(&stats, counted)
        }
    }
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
    for damage in &report.damage {
        let terminal = damage.terminal.map(|terminal| format!(" of terminal {terminal}")).unwrap_or_default();
        text.push_str(&format!(
            "damaged: {} {} to {}{terminal}: {}\n",
            damage.place, damage.from, damage.to, damage.reason
        ));
    }
    text.push_str(if report.intact { "intact\n" } else { "not intact\n" });
    text
}

fn counted(stats: &LogStats) -> String {
    let rows = [
        ("head", stats.head.to_string()),
        ("volumes", stats.volumes.to_string()),
        ("bytes on disk", stats.disk_bytes.to_string()),
        ("bytes free", stats.free_bytes.to_string()),
        ("commits since the start", stats.commits.to_string()),
        ("batches in them", stats.batches.to_string()),
        ("appends", stats.degraded.clone().map_or("succeed".to_owned(), |reason| format!("fail: {reason}"))),
    ];
    print::table(&rows.map(|(name, value)| vec![name.to_owned(), value]))
}
