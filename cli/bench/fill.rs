//! A log with much in it, written through the wire as everything is.

use std::time::Instant;

use ropewalk_protocol::Seq;
use tokio::task::JoinSet;

use super::daemons::say;
use super::lab::{Home, rate};
use super::raw_client::Wire;
use crate::exit::Failure;

/// Connections that write at the same time, each into a session of its own.
const CONNECTIONS: u64 = 4;
/// Commands in flight on each: fewer than an actor's mailbox holds.
const WINDOW: u64 = 200;
/// Sessions created at the same time on each connection: all of them wake an actor.
const SESSIONS_WINDOW: u64 = 32;

/// Fills the home's log up to this many events, among them the creation of this many sessions.
pub(super) async fn fill(home: &Home, events: u64, sessions: u64) -> Result<Seq, Failure> {
    let head = Wire::open(&home.paths).await?.welcome.log.head;
    let began = Instant::now();
    let remarks = (events - head.0).saturating_sub(sessions);
    let mut work = JoinSet::new();
    for place in 0..CONNECTIONS {
        let share = |all: u64| all / CONNECTIONS + u64::from(place < all % CONNECTIONS);
        let (sessions, remarks) = (share(sessions), share(remarks));
        let paths = home.paths.clone();
        work.spawn(async move {
            let mut wire = Wire::open(&paths).await?;
            let session = wire.create().await?;
            wire.pour_sessions(sessions.saturating_sub(1), SESSIONS_WINDOW).await?;
            wire.pour_remarks(session, remarks, WINDOW).await
        });
    }
    while let Some(done) = work.join_next().await {
        done.map_err(|error| Failure::because("filling the log", error))??;
    }
    let head = Wire::open(&home.paths).await?.welcome.log.head;
    let time = began.elapsed();
    say(&format!(
        "filled the log up to event {head} in {:.1} s, {:.0} events/s",
        time.as_secs_f64(),
        rate(events, time)
    ));
    Ok(head)
}
