//! What is followed as long as it is on the screen: a session's events, a program's terminal, and what is typed into it.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use ropewalk_protocol::{AttachParams, Code, Rejection, SessionId, Size, SubscribeAfter, SubscribeParams, TerminalId};
use ropewalk_transport::client::{AttachmentItem, Client, SubscriptionItem};
use tokio::sync::{mpsc, watch};

use crate::app::SCROLLBACK_LINES;
use crate::app::event::Event;

/// A session that could not be followed is tried again after this.
const AGAIN: Duration = Duration::from_secs(1);

/// How a terminal is attached to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Attach {
    /// The window.
    pub(super) size: Size,
    /// How often it was asked for anew.
    pub(super) times: u64,
}

async fn the(client: &mut watch::Receiver<Option<Client>>) -> Option<Client> {
    client.wait_for(Option::is_some).await.ok()?.clone()
}

/// A session's events, from now on.
pub(super) async fn session(
    mut client: watch::Receiver<Option<Client>>,
    session: SessionId,
    events: mpsc::Sender<Event>,
) {
    loop {
        let Some(connected) = the(&mut client).await else { return };
        let params = SubscribeParams { session: Some(session), after: SubscribeAfter::NOW, log: None, only: None };
        match connected.subscribe(params).await {
            Ok((subscribed, mut items)) => {
                events.send(Event::Followed(session, subscribed.from)).await.ok();
                while let Some(item) = items.recv().await {
                    let event = match item {
                        SubscriptionItem::Events(facts) => Event::Said(session, facts),
                        SubscriptionItem::Gap { from, to, reason } => Event::SaidGap { session, from, to, reason },
                        SubscriptionItem::Snapshot { .. } | SubscriptionItem::Live(_) => continue,
                        SubscriptionItem::Failed(rejection) => Event::NotFollowed(session, rejection),
                    };
                    if events.send(event).await.is_err() {
                        return;
                    }
                }
            }
            Err(rejection) if rejection.code == Code::NotFound => return,
            Err(rejection) => drop(events.send(Event::NotFollowed(session, rejection)).await),
        }
        // Another connection, if this one is over; else it is tried again.
        tokio::select! {
            changed = client.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(AGAIN) => {}
        }
    }
}

/// A terminal's screen, and what is drawn on it.
pub(super) async fn terminal(
    mut client: watch::Receiver<Option<Client>>,
    terminal: TerminalId,
    mut told: watch::Receiver<Attach>,
    events: mpsc::Sender<Event>,
) {
    loop {
        let Some(connected) = the(&mut client).await else { return };
        let mut attach = *told.borrow_and_update();
        let params = AttachParams {
            terminal,
            after: None,
            size: Some(attach.size),
            view_only: false,
            scrollback: SCROLLBACK_LINES,
        };
        let mut items = match connected.attach(params).await {
            Ok((attached, items)) => {
                events.send(Event::Attached(terminal, attached)).await.ok();
                items
            }
            Err(rejection) => {
                failed(terminal, rejection, &events).await;
                if !is_wanted_again(&mut client, &mut told).await {
                    return;
                }
                continue;
            }
        };
        loop {
            tokio::select! {
                changed = told.changed() => {
                    if changed.is_err() {
                        connected.detach(terminal).await.ok();
                        return;
                    }
                    let now = *told.borrow_and_update();
                    if now.times != attach.times {
                        break;
                    }
                    attach = now;
                    connected.resize(terminal, attach.size).await.ok();
                }
                item = items.recv() => match item {
                    Some(AttachmentItem::Failed(rejection)) => {
                        failed(terminal, rejection, &events).await;
                        if !is_wanted_again(&mut client, &mut told).await {
                            return;
                        }
                        break;
                    }
                    Some(item) => {
                        if events.send(Event::Terminal(terminal, item)).await.is_err() {
                            return;
                        }
                    }
                    None => return,
                },
            }
        }
    }
}

/// Waits until it is asked for anew, or there is another connection; false: nobody wants it any more.
async fn is_wanted_again(client: &mut watch::Receiver<Option<Client>>, told: &mut watch::Receiver<Attach>) -> bool {
    tokio::select! {
        changed = client.changed() => changed.is_ok(),
        changed = told.changed() => changed.is_ok(),
    }
}

async fn failed(terminal: TerminalId, rejection: Rejection, events: &mpsc::Sender<Event>) {
    events.send(Event::Terminal(terminal, AttachmentItem::Failed(rejection))).await.ok();
}

/// Types what is to be typed, in order. Ids rise for as long as this client is there.
pub(super) async fn typing(
    mut client: watch::Receiver<Option<Client>>,
    mut typed: mpsc::Receiver<(TerminalId, Bytes)>,
) {
    let mut last: BTreeMap<TerminalId, u64> = BTreeMap::new();
    while let Some((terminal, bytes)) = typed.recv().await {
        let Some(connected) = the(&mut client).await else { return };
        let id = last.entry(terminal).or_default();
        *id += 1;
        connected.input(terminal, *id, bytes).await.ok();
    }
}
