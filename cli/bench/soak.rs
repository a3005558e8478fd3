//! Mixed load for a while, with cuts and kills: what goes in comes out once, and memory, descriptors and threads stay flat.
//!
//! In the first half the daemon is killed now and then; in the second half it lives, so that what grows can be seen to grow.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ropewalk_protocol::{Query, QueryResult};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::daemons::{self, Vitals, say};
use super::figures::Figure;
use super::lab::{Home, rate, wrong};
use super::soak_load as load;
use crate::connect;
use crate::exit::{Failure, TIMEOUT};
use crate::paths::Paths;

/// How often the daemon is killed, all in the first half.
const KILLS: u32 = 3;
const SAMPLE_EVERY: Duration = Duration::from_secs(1);
/// What those who work may take to finish once the time is over.
const FINISH_MAX: Duration = Duration::from_secs(60);

/// What may be more in the last quarter than in the one before. A volume of the log may be sealed and another one begun, and
/// sled keeps the values of each that is open: the newest and two sealed ones, 64 MiB each at most, come and go.
const GROWTH_BYTES_MAX: u64 = 192 * 1024 * 1024;
/// Sealed volumes are opened and closed, connections come and go.
const GROWTH_DESCRIPTORS_MAX: u64 = 24;
/// Blocking work has threads that leave after some seconds; each open volume has seven.
const GROWTH_THREADS_MAX: u64 = 32;

/// What everybody who works shares.
#[derive(Clone)]
pub(super) struct Soak {
    pub(super) paths: Paths,
    over: Arc<AtomicBool>,
    /// Who has not come to an end.
    at_work: Arc<Mutex<BTreeSet<String>>>,
    pub(super) counts: Arc<Counts>,
}

/// What was done.
#[derive(Default)]
pub(super) struct Counts {
    pub(super) commands: AtomicU64,
    pub(super) events: AtomicU64,
    pub(super) output_bytes: AtomicU64,
    pub(super) keys: AtomicU64,
    pub(super) sessions: AtomicU64,
    pub(super) cuts: AtomicU64,
    /// A sum over id and place of each acknowledged command, whatever their order.
    pub(super) acknowledged: AtomicU64,
}

impl Soak {
    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    fn at_work(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.at_work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does this work, under a name that is told if it does not end.
    async fn doing<T>(self, name: &str, seed: u64, work: impl Future<Output = T>) -> T {
        let name = format!("{name} {seed}");
        self.at_work().insert(name.clone());
        let done = work.await;
        self.at_work().remove(&name);
        done
    }
}

/// Runs the load for this time.
pub(super) async fn measure(home: &Home, time: Duration) -> Result<Vec<Figure>, Failure> {
    let soak =
        Soak { paths: home.paths.clone(), over: Arc::default(), at_work: Arc::default(), counts: Arc::default() };
    let began = Instant::now();
    let mut work = JoinSet::new();
    for seed in 1..=3 {
        work.spawn(soak.clone().doing("writer", seed, load::write(soak.clone(), seed)));
    }
    for seed in 4..=5 {
        work.spawn(soak.clone().doing("runner", seed, load::run_programs(soak.clone(), seed)));
    }
    work.spawn(soak.clone().doing("typist", 6, load::type_keys(soak.clone(), 6)));
    work.spawn(soak.clone().doing("viewer", 7, load::look_at_a_busy_program(soak.clone(), 7)));
    let mut followers = JoinSet::new();
    for seed in 8..=9 {
        followers.spawn(soak.clone().doing("follower", seed, load::follow(soak.clone(), seed)));
    }
    let samples = watch(&soak.paths, began, time, &mut work, &mut followers).await?;
    soak.over.store(true, Ordering::Relaxed);
    let late = |_| Failure::new(TIMEOUT, format!("these do not come to an end: {:?}", soak.at_work()));
    timeout(FINISH_MAX, finish(work)).await.map_err(late)??;
    load::end(&soak).await?;
    let seen = timeout(FINISH_MAX, finish(followers)).await.map_err(late)??;
    let acknowledged = soak.counts.acknowledged.load(Ordering::Relaxed);
    if let Some(other) = seen.into_iter().find(|sum| *sum != acknowledged) {
        return Err(wrong(format!(
            "what was acknowledged and what was followed differ: {acknowledged:x} and {other:x}"
        )));
    }
    verify(&soak.paths).await?;
    judge(&soak.counts, &samples, began.elapsed())
}

async fn finish<T: 'static>(mut work: JoinSet<Result<T, Failure>>) -> Result<Vec<T>, Failure> {
    let mut done = Vec::new();
    while let Some(ended) = work.join_next().await {
        done.push(ended.map_err(|error| Failure::because("one who works", error))??);
    }
    Ok(done)
}

/// Kills the daemon in the first half, and looks at it all the time.
async fn watch(
    paths: &Paths,
    began: Instant,
    time: Duration,
    work: &mut JoinSet<Result<(), Failure>>,
    followers: &mut JoinSet<Result<u64, Failure>>,
) -> Result<Vec<(Duration, Vitals)>, Failure> {
    let mut samples = Vec::new();
    let mut kills = 0;
    while began.elapsed() < time {
        tokio::select! {
            () = sleep(SAMPLE_EVERY) => {}
            // Nobody ends before the time is over but by failing.
            Some(ended) = work.join_next() => ended.map_err(|error| Failure::because("one who works", error))??,
            Some(ended) = followers.join_next() => {
                ended.map_err(|error| Failure::because("a follower", error))??;
            }
        }
        if kills < KILLS && began.elapsed() >= time * (kills + 1) / (2 * (KILLS + 1)) {
            kills += 1;
            let pid = connect::connect_running(paths).await?.welcome().daemon.pid;
            daemons::kill(pid).await?;
            connect::start(paths)?;
            say(&format!("{:.0} s: the daemon was killed and started again", began.elapsed().as_secs_f64()));
        }
        let daemon = connect::connect_running(paths).await?.welcome().daemon;
        let holder = daemon.holder_pid.ok_or_else(|| wrong("the daemon has no holder"))?;
        samples.push((began.elapsed(), daemons::vitals(daemon.pid)? + daemons::vitals(holder)?));
    }
    Ok(samples)
}

async fn verify(paths: &Paths) -> Result<(), Failure> {
    let client = connect::connect_running(paths).await?;
    match client.query(Query::LogVerify {}).await?.result {
        QueryResult::LogVerify { report } if report.intact => Ok(()),
        QueryResult::LogVerify { report } => Err(wrong(format!("the log is damaged: {report:?}"))),
        other => Err(wrong(format!("log.verify was answered with {other:?}"))),
    }
}

fn judge(counts: &Counts, samples: &[(Duration, Vitals)], took: Duration) -> Result<Vec<Figure>, Failure> {
    let quarter = |number: u32| {
        let within = |at: Duration| at >= took * number / 4 && at < took * (number + 1) / 4;
        samples.iter().filter(|(at, _)| within(*at)).map(|(_, vitals)| *vitals).reduce(Vitals::max)
    };
    let nothing = || wrong("too short a time to compare its quarters");
    let (third, last) = (quarter(2).ok_or_else(nothing)?, quarter(3).ok_or_else(nothing)?);
    for (what, before, after, growth_max) in [
        ("memory", third.resident_bytes, last.resident_bytes, GROWTH_BYTES_MAX),
        ("descriptors", third.descriptors, last.descriptors, GROWTH_DESCRIPTORS_MAX),
        ("threads", third.threads, last.threads, GROWTH_THREADS_MAX),
    ] {
        if after > before + growth_max {
            return Err(wrong(format!("{what} grew from {before} to {after} in the last quarter")));
        }
    }
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let figure = |what: &str, unit, measured| Figure::new("soak", what, unit, measured);
    let mib = |bytes: u64| bytes as f64 / (1024.0 * 1024.0);
    Ok(vec![
        figure("durable commands", "/s", rate(count(&counts.commands), took)),
        figure("events to each follower", "/s", rate(count(&counts.events) / 2, took)),
        figure("terminal bytes read and compared", "MiB", mib(count(&counts.output_bytes))),
        figure("keys typed and echoed", "", count(&counts.keys) as f64),
        figure("sessions run, read and deleted", "", count(&counts.sessions) as f64),
        figure("connections cut", "", count(&counts.cuts) as f64),
        figure("daemons killed", "", f64::from(KILLS)),
        figure("resident, third quarter", "MiB", mib(third.resident_bytes)),
        figure("resident, last quarter", "MiB", mib(last.resident_bytes)),
        figure("descriptors, last quarter", "", last.descriptors as f64).beside(third.descriptors as f64),
        figure("threads, last quarter", "", last.threads as f64).beside(third.threads as f64),
    ])
}
