//! Mixed load for a while, with cuts and kills: what goes in comes out once, and memory, descriptors and threads stay flat.
//!
//! The daemon is killed at one moment of each quarter of the time, and lives for about a quarter in between, so that what grows
//! can be seen to grow: from one quarter to the next, and within each of its lives.

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
use super::soak_load::{self as load, Choice};
use crate::connect;
use crate::exit::{Failure, TIMEOUT};
use crate::paths::Paths;

/// How often the daemon is killed, once in each part of the time.
const KILLS: u32 = 4;
const SAMPLE_EVERY: Duration = Duration::from_secs(1);
/// What those who work may take to finish once the time is over.
const FINISH_MAX: Duration = Duration::from_secs(60);

/// What may be more in the last quarter than in the one before, and in the last third of a life than in its second one. A volume of the log may be sealed and another one begun, and
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
    async fn doing<T>(self, name: &str, number: u64, work: impl Future<Output = T>) -> T {
        let name = format!("{name} {number}");
        self.at_work().insert(name.clone());
        let done = work.await;
        self.at_work().remove(&name);
        done
    }
}

/// What was seen of the daemon and its holder.
#[derive(Debug, Clone, Copy)]
struct Sample {
    at: Duration,
    /// Kills before it.
    kills: u32,
    /// Connections that were cut before it.
    cuts: u64,
    vitals: Vitals,
}

/// When the daemon is killed: somewhere in each part of the time, in its first half, so that the daemon is back before the part is over.
fn moments(time: Duration, choice: &mut Choice) -> Vec<Duration> {
    let part = time / KILLS;
    (0..KILLS).map(|number| part * number + part.mul_f64(choice.part() / 2.0)).collect()
}

/// Runs the load for this time. Which moments are drawn for kills and cuts depends on the seed.
pub(super) async fn measure(home: &Home, time: Duration, seed: u64) -> Result<Vec<Figure>, Failure> {
    let drawn = |number: u64| seed.wrapping_mul(1000).wrapping_add(number);
    let soak =
        Soak { paths: home.paths.clone(), over: Arc::default(), at_work: Arc::default(), counts: Arc::default() };
    let began = Instant::now();
    let mut work = JoinSet::new();
    for number in 1..=3 {
        work.spawn(soak.clone().doing("writer", number, load::write(soak.clone(), drawn(number))));
    }
    for number in 4..=5 {
        work.spawn(soak.clone().doing("runner", number, load::run_programs(soak.clone(), drawn(number))));
    }
    work.spawn(soak.clone().doing("typist", 6, load::type_keys(soak.clone(), drawn(6))));
    work.spawn(soak.clone().doing("viewer", 7, load::look_at_a_busy_program(soak.clone(), drawn(7))));
    let mut followers = JoinSet::new();
    for number in 8..=9 {
        followers.spawn(soak.clone().doing("follower", number, load::follow(soak.clone(), drawn(number))));
    }
    let kills = moments(time, &mut Choice::seeded(drawn(0)));
    let samples = watch(&soak, began, time, kills, &mut work, &mut followers).await?;
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
    judge(&soak.counts, &samples, time, began.elapsed())
}

async fn finish<T: 'static>(mut work: JoinSet<Result<T, Failure>>) -> Result<Vec<T>, Failure> {
    let mut done = Vec::new();
    while let Some(ended) = work.join_next().await {
        done.push(ended.map_err(|error| Failure::because("one who works", error))??);
    }
    Ok(done)
}

/// Kills the daemon at these moments, and looks at it all the time.
async fn watch(
    soak: &Soak,
    began: Instant,
    time: Duration,
    moments: Vec<Duration>,
    work: &mut JoinSet<Result<(), Failure>>,
    followers: &mut JoinSet<Result<u64, Failure>>,
) -> Result<Vec<Sample>, Failure> {
    let paths = &soak.paths;
    let mut samples = Vec::new();
    let mut moments = moments.into_iter().peekable();
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
        if moments.next_if(|moment| began.elapsed() >= *moment).is_some() {
            kills += 1;
            let pid = connect::connect_running(paths).await?.welcome().daemon.pid;
            daemons::kill(pid).await?;
            connect::start(paths)?;
            say(&format!("{:.0} s: the daemon was killed and started again", began.elapsed().as_secs_f64()));
        }
        let daemon = connect::connect_running(paths).await?.welcome().daemon;
        let holder = daemon.holder_pid.ok_or_else(|| wrong("the daemon has no holder"))?;
        let vitals = daemons::vitals(daemon.pid)? + daemons::vitals(holder)?;
        let cuts = soak.counts.cuts.load(Ordering::Relaxed);
        samples.push(Sample { at: began.elapsed(), kills, cuts, vitals });
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

/// The most of each in these samples.
fn most<'a>(samples: impl IntoIterator<Item = &'a Sample>) -> Option<Vitals> {
    samples.into_iter().map(|sample| sample.vitals).reduce(Vitals::max)
}

/// Nothing may have grown from one time to another one by more than comes and goes.
fn hold(when: &str, before: Vitals, after: Vitals) -> Result<(), Failure> {
    for (what, before, after, growth_max) in [
        ("memory", before.resident_bytes, after.resident_bytes, GROWTH_BYTES_MAX),
        ("descriptors", before.descriptors, after.descriptors, GROWTH_DESCRIPTORS_MAX),
        ("threads", before.threads, after.threads, GROWTH_THREADS_MAX),
    ] {
        if after > before + growth_max {
            return Err(wrong(format!("{what} grew from {before} to {after} in the last part of {when}")));
        }
    }
    Ok(())
}

/// Each of the daemon's lives, in thirds: what is read and opened first is in the first one.
fn hold_lives(samples: &[Sample]) -> Result<(), Failure> {
    for life in samples.chunk_by(|one, next| one.kills == next.kills) {
        let third = life.len() / 3;
        if let (Some(second), Some(last)) = (most(&life[third..2 * third]), most(&life[2 * third..])) {
            hold(&format!("the life after {} kills", life[0].kills), second, last)?;
        }
    }
    Ok(())
}

fn judge(counts: &Counts, samples: &[Sample], time: Duration, took: Duration) -> Result<Vec<Figure>, Failure> {
    let quarter = |number: u32| {
        let begin = samples.partition_point(|sample| sample.at < time * number / 4);
        let end = samples.partition_point(|sample| sample.at < time * (number + 1) / 4);
        &samples[begin..end]
    };
    let nothing = || wrong("too short a time to compare its quarters");
    let (third, last) = most(quarter(2)).zip(most(quarter(3))).ok_or_else(nothing)?;
    hold("the time", third, last)?;
    hold_lives(samples)?;
    let (before, end) = quarter(2).last().zip(samples.last()).ok_or_else(nothing)?;
    if end.kills != KILLS || before.kills == KILLS || before.cuts == end.cuts {
        return Err(wrong(format!("the last quarter had no kill or no cut: {before:?}, and in the end {end:?}")));
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
        figure("daemons killed", "", f64::from(end.kills)),
        figure("resident, third quarter", "MiB", mib(third.resident_bytes)),
        figure("resident, last quarter", "MiB", mib(last.resident_bytes)),
        figure("descriptors, last quarter", "", last.descriptors as f64).beside(third.descriptors as f64),
        figure("threads, last quarter", "", last.threads as f64).beside(third.threads as f64),
    ])
}
