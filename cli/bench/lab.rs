//! Where measurements happen: throwaway homes, made and taken away again, however a measurement ends.

use std::path::PathBuf;
use std::time::Duration;

use tokio::time::timeout;

use super::daemons::{self, Daemon, resident_bytes};
use super::figures::Figure;
use crate::exit::{FAILURE, Failure, TIMEOUT};
use crate::paths::Paths;
use crate::{connect, print};

/// What one measurement may take before it is given up: none takes half of it on a slow disk.
pub(super) const MEASUREMENT_TIME_MAX: Duration = Duration::from_secs(300);
/// What taking a home away may take: the daemon gives programs some seconds to end.
const CLEAN_UP_TIME_MAX: Duration = Duration::from_secs(60);

/// What the measurements of one process share.
pub(super) struct Lab {
    quick: bool,
    /// The resident memory of this process before it did anything: a runtime on one thread, in this binary.
    empty_process_bytes: u64,
}

/// A throwaway home. Its daemon runs when a measurement begins.
pub(super) struct Home {
    pub(super) directory: PathBuf,
    pub(super) paths: Paths,
    pub(super) daemon: Daemon,
    pub(super) quick: bool,
    pub(super) empty_process_bytes: u64,
}

impl Lab {
    /// Must be made first: it notes how much memory a process takes that has done nothing yet.
    pub(super) fn new(quick: bool) -> Result<Self, Failure> {
        Ok(Self { quick, empty_process_bytes: resident_bytes(std::process::id())? })
    }

    /// Measures on a home of its own, and takes it away.
    pub(super) async fn with_home(
        &self,
        name: &str,
        measure: impl AsyncFnOnce(&Home) -> Result<Vec<Figure>, Failure>,
    ) -> Result<Vec<Figure>, Failure> {
        self.with_home_for(name, MEASUREMENT_TIME_MAX, measure).await
    }

    /// The same, for a measurement that may take this long.
    pub(super) async fn with_home_for(
        &self,
        name: &str,
        time_max: Duration,
        measure: impl AsyncFnOnce(&Home) -> Result<Vec<Figure>, Failure>,
    ) -> Result<Vec<Figure>, Failure> {
        print::talk(&format!("measuring {name} ..."));
        let directory = std::env::temp_dir().join(format!("ropewalk-bench-{}-{name}", std::process::id()));
        std::fs::create_dir(&directory)?;
        let paths = Paths::under(&directory);
        let measured = async {
            let daemon = Daemon::start(&paths).await?;
            let (quick, empty_process_bytes) = (self.quick, self.empty_process_bytes);
            measure(&Home { directory: directory.clone(), paths: paths.clone(), daemon, quick, empty_process_bytes })
                .await
        };
        let figures = tokio::select! {
            figures = timeout(time_max, measured) => {
                let limit = time_max.as_secs();
                figures.unwrap_or_else(|_| Err(Failure::new(TIMEOUT, format!("{name}: not done within {limit} s"))))
            }
            _ = tokio::signal::ctrl_c() => Err(Failure::new(FAILURE, "interrupted")),
        };
        let late = || Failure::new(TIMEOUT, format!("{name}: the daemon does not stop"));
        let cleaned = timeout(CLEAN_UP_TIME_MAX, clean_up(&paths)).await.unwrap_or_else(|_| Err(late()));
        if let (Err(failure), Err(_)) = (&cleaned, &figures) {
            // The measurement's own failure is what the run ends with.
            failure.report();
        }
        std::fs::remove_dir_all(&directory)?;
        let figures = figures?;
        cleaned.map(|()| figures)
    }
}

impl Home {
    /// How much to do: the first number, or the second one when figures may be rough.
    pub(super) fn amount(&self, full: u64, quick: u64) -> u64 {
        if self.quick { quick } else { full }
    }
}

/// Stops daemon and holder. A daemon that is gone is started again for that: it finds the holder it left behind.
pub(super) async fn clean_up(paths: &Paths) -> Result<(), Failure> {
    let client = connect::connect(paths).await?;
    let who = client.welcome().daemon;
    client.stop(true).await?;
    drop(client);
    for pid in [Some(who.pid), who.holder_pid].into_iter().flatten() {
        daemons::gone(pid).await?;
    }
    // A daemon that loses its holder while it stops may have started another one, which nothing is in.
    match daemons::owner(&paths.holder_lock()) {
        Some(pid) => daemons::kill(pid).await,
        None => Ok(()),
    }
}

/// The value below which this part of the samples lies.
pub(super) fn quantile(samples: &mut [Duration], part: f64) -> Duration {
    samples.sort_unstable();
    let place = (samples.len() as f64 * part) as usize;
    samples.get(place.min(samples.len().saturating_sub(1))).copied().unwrap_or_default()
}

/// A duration in milliseconds.
pub(super) fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// A duration in microseconds.
pub(super) fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

/// How many a second.
pub(super) fn rate(count: u64, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}

/// A failure of a measurement itself: what was read is not what was written.
pub(super) fn wrong(what: impl Into<String>) -> Failure {
    Failure::new(FAILURE, what)
}
