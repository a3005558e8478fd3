//! The whole log to one client, on both subprotocols.

use std::time::Instant;

use ropewalk_protocol::{Seq, SubscribeAfter};
use ropewalk_transport::bare::Reads;

use super::daemons::say;
use super::figures::Figure;
use super::fill::fill;
use super::lab::{Home, rate, wrong};
use super::limits;
use super::raw_client::{REMARK_BYTES, Wire};
use super::recover::{events, sessions};
use crate::exit::Failure;

/// The limit streams what the events have to say until it was this much: what is over within 50 ms has no speed to speak of.
const LIMIT_BYTES: usize = 2 * 1024 * 1024 * 1024;

pub(super) async fn measure(home: &Home) -> Result<Vec<Figure>, Failure> {
    let count = events(home, 100_000);
    let head = fill(home, count, sessions(home)).await?;
    let bytes = usize::try_from(count).map_err(|_| wrong("more events than memory"))? * REMARK_BYTES;
    let rounds = LIMIT_BYTES.div_ceil(bytes);
    let limit = limits::stream(bytes, rounds).await?;
    let most = rate(count * rounds as u64, limit);
    let mut figures = Vec::new();
    for (bincode, name, goal) in [(true, "bincode", ">= 0.35x"), (false, "JSON", ">= 0.15x")] {
        let mut follower = Wire::follow(&home.paths, bincode, SubscribeAfter::Seq(Seq::ZERO), Reads::Bulk).await?;
        let began = Instant::now();
        let read = follower.read_to(head).await?;
        let time = began.elapsed();
        say(&format!("{name}: {} events in {} bytes, {:.2} s", read.events, read.bytes, time.as_secs_f64()));
        let what = format!("{} events to one client, {name}", read.events);
        figures.push(Figure::new("replay", what, "/s", rate(read.events, time)).beside(most).goal(goal));
    }
    Ok(figures)
}
