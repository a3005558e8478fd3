//! `ropewalk bench`: this machine's figures, each beside the physical limit that the same run measured.
//!
//! Every measurement has a throwaway home with a daemon of its own, a real process of this binary. What a figure is held
//! against does the same work without the product: see [`limits`].

mod agents;
mod append;
mod attach;
mod daemons;
mod echo;
mod fanout;
mod figures;
mod fill;
mod idle;
mod lab;
mod limits;
mod output;
mod raw_client;
mod recover;
mod replay;
mod soak;
mod soak_load;
mod tui;
mod window;

use std::time::Duration;

use crate::args::Bench;
use crate::commands;
use crate::exit::{Failure, OK};
use crate::print;

use figures::{Figure, Report};
use lab::{Lab, MEASUREMENT_TIME_MAX};

/// A month.
const SOAK_TIME_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

/// Runs one measurement, or all of them, and prints the figures.
pub(crate) fn bench(what: Bench, quick: bool, minutes: f64, json: bool) -> Result<u8, Failure> {
    commands::quiet_logs();
    let figures = commands::block_on(async {
        let lab = Lab::new(quick)?;
        let soak = Duration::try_from_secs_f64(minutes * 60.0).unwrap_or(SOAK_TIME_MAX).min(SOAK_TIME_MAX);
        match what {
            Bench::All => all(&lab).await,
            Bench::Soak => {
                let measure = async |home: &lab::Home| soak::measure(home, soak).await;
                lab.with_home_for("soak", soak + MEASUREMENT_TIME_MAX, measure).await
            }
            what => one(&lab, what).await,
        }
    })?;
    let report = Report { quick, figures };
    if json {
        print::json(&report)?;
    } else {
        print::bytes(report.table().as_bytes());
    }
    Ok(OK)
}

async fn one(lab: &Lab, what: Bench) -> Result<Vec<Figure>, Failure> {
    match what {
        Bench::Append => lab.with_home("append", append::measure).await,
        Bench::Replay => lab.with_home("replay", replay::measure).await,
        Bench::Fanout => lab.with_home("fanout", fanout::measure).await,
        Bench::Echo => lab.with_home("echo", echo::measure).await,
        Bench::Output => lab.with_home("output", output::measure).await,
        Bench::Attach => lab.with_home("attach", attach::measure).await,
        Bench::Idle => lab.with_home("idle", idle::measure).await,
        Bench::Agents => lab.with_home("agents", agents::measure).await,
        Bench::Recover => lab.with_home("recover", recover::measure).await,
        Bench::Tui => lab.with_home("tui", tui::measure).await,
        Bench::Soak | Bench::All => Err(lab::wrong("this is not one measurement")),
    }
}

async fn all(lab: &Lab) -> Result<Vec<Figure>, Failure> {
    let mut figures = Vec::new();
    figures.extend(lab.with_home("append", append::measure).await?);
    // The log that is read again is the one that is recovered: filling it takes the longest of all.
    let replay_then_recover = async |home: &lab::Home| {
        let mut figures = replay::measure(home).await?;
        figures.extend(recover::measure(home).await?);
        Ok(figures)
    };
    figures.extend(lab.with_home("replay and recover", replay_then_recover).await?);
    figures.extend(lab.with_home("fanout", fanout::measure).await?);
    figures.extend(lab.with_home("echo", echo::measure).await?);
    figures.extend(lab.with_home("output", output::measure).await?);
    figures.extend(lab.with_home("attach", attach::measure).await?);
    figures.extend(lab.with_home("idle", idle::measure).await?);
    figures.extend(lab.with_home("agents", agents::measure).await?);
    figures.extend(lab.with_home("tui", tui::measure).await?);
    Ok(figures)
}
