//! From start to ready after SIGKILL, with a log that has much in it.

use std::time::{Duration, Instant};

use super::daemons::kill;
use super::figures::Figure;
use super::fill::fill;
use super::lab::{Home, millis, quantile};
use crate::connect;
use crate::daemon::discovery::HomeLock;
use crate::exit::Failure;
use crate::paths::Paths;

/// Starts of which the median is taken.
const STARTS: usize = 5;

/// How many events the log has: a million, or this many when figures may be rough.
pub(super) fn events(home: &Home, quick: u64) -> u64 {
    home.amount(1_000_000, quick)
}

/// How many sessions the log has.
pub(super) fn sessions(home: &Home) -> u64 {
    home.amount(10_000, 500)
}

pub(super) async fn measure(home: &Home) -> Result<Vec<Figure>, Failure> {
    let head = fill(home, events(home, 50_000), sessions(home)).await?;
    let time = median(&home.paths).await?;
    let empty = empty(home).await?;
    let what = format!("start to ready after kill -9, {head} events, {} sessions", sessions(home));
    Ok(vec![Figure::new("recover", what, "ms", millis(time)).beside(millis(empty)).goal("<= limit + 300 ms")])
}

/// The same on a home with an empty log: a process starts and opens an empty volume.
async fn empty(home: &Home) -> Result<Duration, Failure> {
    let paths = Paths::under(&home.directory.join("empty"));
    connect::start(&paths)?;
    let time = median(&paths).await;
    super::lab::clean_up(&paths).await?;
    time
}

/// Kills the home's daemon and starts it again, several times. The holder stays, as it would.
async fn median(paths: &Paths) -> Result<Duration, Failure> {
    let mut times = Vec::new();
    for _ in 0..STARTS {
        if let Some(pid) = HomeLock::holder(paths) {
            kill(pid).await?;
        }
        let began = Instant::now();
        connect::start(paths)?;
        times.push(began.elapsed());
    }
    Ok(quantile(&mut times, 0.5))
}
