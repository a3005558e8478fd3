//! The connection: made, told of, and made again; and what happens in all sessions.

use std::time::Duration;

use ropewalk_protocol::{Code, SubscribeAfter, SubscribeOnly, SubscribeParams};
use ropewalk_transport::client::{Client, ClientError, Link as Wired, SubscriptionItem};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};

use super::{Fate, Wire};
use crate::app::event::{Event, Link};

/// What the daemon cannot do now, because it is about to end or to begin, is tried again after this.
pub(super) const TRY_AGAIN_AFTER: Duration = Duration::from_millis(250);
/// A daemon that is gone for so long is looked after.
const LOOK_AFTER: Duration = Duration::from_secs(2);

/// A connection that could not be used is made again after this.
const AGAIN: Duration = Duration::from_millis(500);

/// Keeps a connection for as long as the client is there.
pub(super) async fn run(
    wire: Wire,
    clients: watch::Sender<Option<Client>>,
    mut asked: mpsc::Receiver<()>,
    events: mpsc::Sender<Event>,
) {
    loop {
        let client = match reach(&wire).await {
            Ok(client) => client,
            Err(reason) => {
                events.send(Event::Link(Link::Down { reason })).await.ok();
                if asked.recv().await.is_none() {
                    return;
                }
                events.send(Event::Link(Link::Connecting)).await.ok();
                continue;
            }
        };
        events.send(Event::Link(Link::Up { log: client.welcome().log })).await.ok();
        clients.send_replace(Some(client.clone()));
        tokio::select! {
            () = facts(client.clone(), events.clone()) => {}
            () = watch_over(&wire, &client, &mut asked, &events) => {}
        }
        clients.send_replace(None);
        tokio::time::sleep(AGAIN).await;
        if events.is_closed() {
            return;
        }
    }
}

/// The first connection: a daemon is started if none runs.
async fn reach(wire: &Wire) -> Result<Client, String> {
    loop {
        match Client::connect(wire.dial.clone(), wire.options.clone()).await {
            Ok(client) => return Ok(client),
            Err(ClientError::Refused(rejection)) if rejection.retryable() => sleep(TRY_AGAIN_AFTER).await,
            Err(ClientError::Refused(rejection)) => return Err(format!("{rejection}")),
            Err(ClientError::Unreachable(_)) => break,
        }
    }
    let daemon = wire.daemon.clone();
    let started = tokio::task::spawn_blocking(move || daemon.start()).await;
    started.map_err(|error| error.to_string())??;
    Client::connect(wire.dial.clone(), wire.options.clone()).await.map_err(|error| error.to_string())
}

/// Tells how the connection is. A daemon that died is started again; one that somebody stopped is not.
async fn watch_over(wire: &Wire, client: &Client, asked: &mut mpsc::Receiver<()>, events: &mpsc::Sender<Event>) {
    let mut links = client.links();
    let mut lost_at: Option<Instant> = None;
    loop {
        let look = lost_at.map(|at| at + LOOK_AFTER);
        tokio::select! {
            changed = links.changed() => {
                if changed.is_err() {
                    return;
                }
                let link = *links.borrow_and_update();
                let told = match link {
                    Wired::Up => Link::Up { log: client.welcome().log },
                    Wired::Lost => Link::Lost,
                    Wired::GivenUp => return,
                };
                lost_at = (link == Wired::Lost).then(Instant::now);
                events.send(Event::Link(told)).await.ok();
            }
            () = async { match look { Some(at) => sleep_until(at).await, None => std::future::pending().await } } => {
                lost_at = Some(Instant::now());
                look_after(wire, false, events).await;
            }
            asked = asked.recv() => {
                if asked.is_none() {
                    return;
                }
                look_after(wire, true, events).await;
            }
        }
    }
}

async fn look_after(wire: &Wire, is_asked: bool, events: &mpsc::Sender<Event>) {
    let daemon = wire.daemon.clone();
    let looked = tokio::task::spawn_blocking(move || match daemon.fate() {
        Fate::Runs => Ok(()),
        Fate::Stopped if !is_asked => Err("the daemon was stopped; `:reconnect` starts it".to_owned()),
        Fate::Died | Fate::Stopped => daemon.start(),
    });
    if let Ok(Err(reason)) = looked.await {
        events.send(Event::Link(Link::Down { reason })).await.ok();
    }
}

/// What happens in all sessions, without the pieces of what agents say. Ends when it cannot go on.
async fn facts(client: Client, events: mpsc::Sender<Event>) {
    loop {
        let after = SubscribeAfter::SNAPSHOT;
        let params = SubscribeParams { session: None, after, log: None, only: Some(SubscribeOnly::Facts) };
        let mut items = match client.subscribe(params).await {
            Ok((_, items)) => items,
            // It is about to end. The connection goes on with the next one, and that is for whoever watches over it.
            Err(rejection) if rejection.retryable() => {
                sleep(TRY_AGAIN_AFTER).await;
                continue;
            }
            Err(_) => return,
        };
        while let Some(item) = items.recv().await {
            let event = match item {
                SubscriptionItem::Snapshot { state, more, .. } => Event::Sessions { sessions: state.sessions, more },
                SubscriptionItem::Events(facts) => Event::Facts(facts),
                // What is missing may be a session that nobody knows of: everything is told anew.
                SubscriptionItem::Gap { .. } => {
                    events.send(Event::FactsLost).await.ok();
                    break;
                }
                SubscriptionItem::Live(_) => continue,
                // Another log than before, or an older one: everything is another.
                SubscriptionItem::Failed(rejection) if matches!(rejection.code, Code::WrongLog | Code::CursorAhead) => {
                    break;
                }
                SubscriptionItem::Failed(rejection) if rejection.retryable() => {
                    sleep(TRY_AGAIN_AFTER).await;
                    break;
                }
                SubscriptionItem::Failed(_) => return,
            };
            if events.send(event).await.is_err() {
                return;
            }
        }
    }
}
