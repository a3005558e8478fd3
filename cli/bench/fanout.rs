//! Live events to many subscribers at once.

use std::time::{Duration, Instant};

use ropewalk_protocol::{Seq, SubscribeAfter};
use ropewalk_transport::bare::Reads;
use tokio::task::JoinSet;

use super::daemons::say;
use super::figures::Figure;
use super::lab::{Home, rate};
use super::limits;
use super::raw_client::Wire;
use crate::exit::Failure;

const SUBSCRIBERS: [usize; 3] = [1, 10, 100];
/// Connections that append, all to one session.
const PUBLISHERS: usize = 4;
/// Commands in flight on each: together they fit into the session's mailbox.
const WINDOW: u64 = 60;
/// How much the limit delivers: about a second's worth.
const BROADCAST_DELIVERIES: u64 = 3_000_000;

pub(super) async fn measure(home: &Home) -> Result<Vec<Figure>, Failure> {
    let mut figures = Vec::new();
    for subscribers in SUBSCRIBERS {
        let messages = home.amount(if subscribers < 100 { 100_000 } else { 30_000 }, 4_000);
        let time = live(home, subscribers, messages).await?;
        // A broadcast that stores nothing is over sooner: it gets as much as it needs to have a speed.
        let broadcast = messages.max(home.amount(BROADCAST_DELIVERIES, 400_000) / subscribers as u64);
        let limit = limits::broadcast(subscribers, PUBLISHERS, broadcast, WINDOW).await?;
        say(&format!("{subscribers} subscribers: {:.0} events/s appended", rate(messages, time)));
        let deliveries = |messages: u64, time| rate(messages * subscribers as u64, time);
        let what = format!("deliveries to {subscribers} subscribers, JSON");
        let figure = Figure::new("fanout", what, "/s", deliveries(messages, time)).beside(deliveries(broadcast, limit));
        figures.push(figure.goal(">= 0.60x"));
    }
    Ok(figures)
}

/// How long it takes from the first command until every subscriber has every event.
async fn live(home: &Home, subscribers: usize, messages: u64) -> Result<Duration, Failure> {
    let mut wires = Vec::new();
    for _ in 0..PUBLISHERS {
        wires.push(Wire::open(&home.paths).await?);
    }
    let session = wires[0].create().await?;
    let mut followers = Vec::new();
    for _ in 0..subscribers {
        followers.push(Wire::follow(&home.paths, false, SubscribeAfter::NOW, Reads::Live).await?);
    }
    let began = Instant::now();
    let mut work = JoinSet::new();
    for mut follower in followers {
        // Nothing else happens on this home: so many events, and no others, come.
        let to = Seq(follower.last().0 + messages);
        work.spawn(async move { follower.read_to(to).await.map(drop) });
    }
    for (place, mut wire) in wires.into_iter().enumerate() {
        let (publishers, place) = (PUBLISHERS as u64, place as u64);
        let share = messages / publishers + u64::from(place < messages % publishers);
        work.spawn(async move { wire.pour_remarks(session, share, WINDOW).await });
    }
    while let Some(done) = work.join_next().await {
        done.map_err(|error| Failure::because("a subscriber or publisher", error))??;
    }
    Ok(began.elapsed())
}
