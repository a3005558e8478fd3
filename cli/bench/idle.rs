//! What the daemon and its holder take while nothing happens: memory, and a processor's attention.

use std::time::{Duration, Instant};

use ropewalk_protocol::{EventBody, SubscribeAfter, SubscribeParams};
use ropewalk_transport::client::SubscriptionItem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::daemons::{launch, resident_bytes, wakeups_during};
use super::figures::Figure;
use super::lab::{Home, wrong};
use super::raw_client::Wire;
use crate::connect;
use crate::exit::Failure;
use crate::paths::Paths;

const TERMINALS: u64 = 20;
/// How long actors may take to fall asleep, and how often they are looked at.
const SLEEP_TIME_MAX: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How long wake-ups are counted, again and again until there are none: a timer that goes off once, some seconds behind the last
/// work, is not what an idle daemon does.
const WATCH_TIME: Duration = Duration::from_secs(5);
const MIB: f64 = 1024.0 * 1024.0;
const SESSIONS_WINDOW: usize = 32;

pub(super) async fn measure(home: &Home) -> Result<Vec<Figure>, Failure> {
    let pids = [home.daemon.pid, home.daemon.holder];
    let resident = || pids.iter().map(|pid| resident_bytes(*pid)).sum::<Result<u64, _>>();
    // Two processes of this binary, each with a runtime, that do nothing.
    let floor = (home.empty_process_bytes * pids.len() as u64) as f64;

    let empty = resident()?;
    terminals(home).await?;
    let with_terminals = resident()?;
    let sessions = home.amount(1000, 200);
    create_and_end(home, sessions).await?;
    let quiet = asleep(&home.paths).await?;
    let full = resident()?;
    // Twenty programs wait for input, and no client is connected. That the last one closed its connection is not idleness yet.
    let until = Instant::now() + SLEEP_TIME_MAX;
    let mut wakeups = wakeups_during(&pids, WATCH_TIME).await?;
    while wakeups > 0 && Instant::now() < until {
        wakeups = wakeups_during(&pids, WATCH_TIME).await?;
    }

    let mib = |what: String, bytes: u64| Figure::new("idle", what, "MiB", bytes as f64 / MIB);
    let each = |what: String, after: u64, before: u64, count: u64| {
        let bytes = (after as f64 - before as f64) / count as f64;
        Figure::new("idle", what, "KiB", bytes / 1024.0)
    };
    let mut figures = vec![
        mib("daemon and holder, empty".to_owned(), empty).beside(floor / MIB),
        each("each live terminal more".to_owned(), with_terminals, empty, TERMINALS),
        each(format!("each of {sessions} ended sessions more"), full, with_terminals, sessions),
        mib(format!("daemon and holder, {TERMINALS} terminals, {sessions} ended sessions"), full).beside(floor / MIB),
    ];
    let what = match quiet {
        true => "wake-ups of daemon and holder, all actors asleep",
        false => "wake-ups of daemon and holder, some actors awake after 30 s",
    };
    figures.push(Figure::new("idle", what, "/s", wakeups as f64 / WATCH_TIME.as_secs_f64()).beside(0.0));
    Ok(figures)
}

/// Runs programs that wait for input, and returns once all of them run.
async fn terminals(home: &Home) -> Result<(), Failure> {
    let client = connect::connect_running(&home.paths).await?;
    let params = SubscribeParams { session: None, after: SubscribeAfter::NOW, log: None, only: None };
    let (_, mut events) = client.subscribe(params).await?;
    for _ in 0..TERMINALS {
        launch(&client, &["cat"]).await?;
    }
    let mut started = 0;
    while started < TERMINALS {
        match events.recv().await {
            Some(SubscriptionItem::Events(events)) => {
                started += events.iter().filter(|event| matches!(event.body, EventBody::RunStarted(_))).count() as u64;
            }
            Some(SubscriptionItem::Failed(rejection)) => return Err(rejection.into()),
            Some(SubscriptionItem::Live(_) | SubscriptionItem::Snapshot { .. }) => {}
            Some(SubscriptionItem::Gap { .. }) | None => return Err(wrong("the events ended")),
        }
    }
    Ok(())
}

async fn create_and_end(home: &Home, sessions: u64) -> Result<(), Failure> {
    let mut wire = Wire::open(&home.paths).await?;
    let mut created = Vec::new();
    for _ in 0..sessions {
        created.push(wire.create().await?);
    }
    wire.pour_ends(&created, SESSIONS_WINDOW as u64).await
}

/// Waits until no actor is awake. The daemon tells nobody when one falls asleep, so it is looked at.
async fn asleep(paths: &Paths) -> Result<bool, Failure> {
    let until = Instant::now() + SLEEP_TIME_MAX;
    while Instant::now() < until {
        if metric(paths, "ropewalk_actors_awake").await? == 0 {
            return Ok(true);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(false)
}

/// One of the daemon's own figures, read as anybody would.
async fn metric(paths: &Paths, name: &str) -> Result<u64, Failure> {
    let mut stream = UnixStream::connect(paths.socket()).await?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    line.ok_or_else(|| wrong(format!("the daemon does not say {name}")))
}
