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

use std::pin::pin;
use std::process::Stdio;
use std::time::Duration;

use clap::ValueEnum;
use rustix::process::Pid;
use tokio::signal::unix::{SignalKind, signal};

use crate::args::Bench;
use crate::commands;
use crate::exit::{FAILURE, Failure, OK};
use crate::print;

use figures::{Figure, Report};
use lab::{Lab, MEASUREMENT_TIME_MAX};

/// A month.
const SOAK_TIME_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

/// Runs one measurement, or all of them, and prints the figures.
pub(crate) fn bench(what: Bench, quick: bool, minutes: f64, seed: u64, json: bool) -> Result<u8, Failure> {
    commands::quiet_logs();
    let figures = commands::block_on(async {
        let lab = Lab::new(quick)?;
        let soak = Duration::try_from_secs_f64(minutes * 60.0).unwrap_or(SOAK_TIME_MAX).min(SOAK_TIME_MAX);
        match what {
            Bench::All => all(quick).await,
            Bench::Soak => {
                let measure = async |home: &lab::Home| soak::measure(home, soak, seed).await;
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

/// Every measurement in a process of its own, so that none finds the memory that another one left behind: how long the limits
/// take depends on it.
async fn all(quick: bool) -> Result<Vec<Figure>, Failure> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut figures = Vec::new();
    for what in Bench::value_variants() {
        let name = match what {
            Bench::Soak | Bench::All => continue,
            one => one.to_possible_value().ok_or_else(|| lab::wrong("a measurement has a name"))?,
        };
        let mut command = tokio::process::Command::new(std::env::current_exe()?);
        command.args(["bench", name.get_name(), "--json"]).args(quick.then_some("--quick"));
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let pid = child.id();
        let mut done = pin!(child.wait_with_output());
        let done = tokio::select! {
            done = &mut done => done?,
            _ = interrupt.recv() => {
                // It takes its home away first. From a terminal it was interrupted already; a second time does no harm.
                if let Some(pid) = pid.and_then(|pid| Pid::from_raw(pid.cast_signed())) {
                    rustix::process::kill_process(pid, rustix::process::Signal::INT).ok();
                }
                done.await?
            }
        };
        if !done.status.success() {
            // It said itself why, in the line above.
            let code = done.status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(FAILURE);
            return Err(Failure::new(code, format!("{} was not measured: {}", name.get_name(), done.status)));
        }
        let report = serde_json::from_slice::<Report>(&done.stdout);
        figures.extend(report.map_err(|error| Failure::because("reading the figures", error))?.figures);
    }
    Ok(figures)
}
