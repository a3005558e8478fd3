//! What is followed as long as it is on the screen: a session's events, a program's terminal, and what is typed into it.

use std::collections::BTreeMap;

use bytes::Bytes;
use ropewalk_protocol::{
    AttachParams, Code, LogId, Rejection, Seq, SessionId, Size, SubscribeAfter, SubscribeParams, TerminalId,
};
use ropewalk_transport::client::{AttachmentItem, Client, SubscriptionItem};
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

use crate::app::SCROLLBACK_LINES;
use crate::app::event::Event;

use super::connection::TRY_AGAIN_AFTER;

async fn the(client: &mut watch::Receiver<Option<Client>>) -> Option<Client> {
    client.wait_for(Option::is_some).await.ok()?.clone()
}

/// A session's events, from now on, across daemons and connections.
pub(super) async fn session(
    mut client: watch::Receiver<Option<Client>>,
    session: SessionId,
    events: mpsc::Sender<Event>,
) {
    // The newest event that came, and its log: what follows goes on from there.
    let mut last: Option<(Seq, LogId)> = None;
    loop {
        let Some(connected) = the(&mut client).await else { return };
        let (after, log) = last.map_or((SubscribeAfter::NOW, None), |(seq, log)| (SubscribeAfter::Seq(seq), Some(log)));
        let params = SubscribeParams { session: Some(session), after, log, only: None };
        let rejection = match connected.subscribe(params).await {
            Ok((subscribed, items)) => {
                let log = connected.welcome().log.id;
                if last.is_none() {
                    last = Some((subscribed.from, log));
                    events.send(Event::Followed(session, subscribed.from)).await.ok();
                }
                let seq = last.get_or_insert((subscribed.from, log));
                match followed(session, items, &mut seq.0, &events).await {
                    Ended::Failed(rejection) => rejection,
                    Ended::Connection => {
                        if client.changed().await.is_err() {
                            return;
                        }
                        continue;
                    }
                    Ended::Client => return,
                }
            }
            Err(rejection) => rejection,
        };
        match rejection.code {
            // Another log than before: it begins anew.
            Code::WrongLog | Code::CursorAhead if last.is_some() => last = None,
            _ if rejection.retryable() => sleep(TRY_AGAIN_AFTER).await,
            _ => {
                events.send(Event::NotFollowed(session, rejection)).await.ok();
                if client.changed().await.is_err() {
                    return;
                }
                last = None;
            }
        }
    }
}

/// Why nothing more comes of what was followed.
enum Ended {
    Failed(Rejection),
    Connection,
    Client,
}

async fn followed(
    session: SessionId,
    mut items: mpsc::Receiver<SubscriptionItem>,
    last: &mut Seq,
    events: &mpsc::Sender<Event>,
) -> Ended {
    while let Some(item) = items.recv().await {
        let event = match item {
            SubscriptionItem::Events(facts) => {
                *last = facts.iter().map(|fact| fact.seq).fold(*last, Seq::max);
                Event::Said(session, facts)
            }
            SubscriptionItem::Gap { from, to, reason } => {
                *last = to.max(*last);
                Event::SaidGap { session, from, to, reason }
            }
            SubscriptionItem::Snapshot { .. } | SubscriptionItem::Live(_) => continue,
            SubscriptionItem::Failed(rejection) => return Ended::Failed(rejection),
        };
        if events.send(event).await.is_err() {
            return Ended::Client;
        }
    }
    Ended::Connection
}

/// A terminal's screen, and what is drawn on it.
pub(super) async fn terminal(
    mut client: watch::Receiver<Option<Client>>,
    terminal: TerminalId,
    mut size: watch::Receiver<Size>,
    events: mpsc::Sender<Event>,
) {
    loop {
        let Some(connected) = the(&mut client).await else { return };
        let params = AttachParams {
            terminal,
            after: None,
            size: Some(*size.borrow_and_update()),
            view_only: false,
            scrollback: SCROLLBACK_LINES,
        };
        let mut items = match connected.attach(params).await {
            Ok((attached, items)) => {
                events.send(Event::Attached(terminal, attached)).await.ok();
                items
            }
            Err(rejection) if rejection.retryable() => {
                sleep(TRY_AGAIN_AFTER).await;
                continue;
            }
            Err(rejection) => return failed(terminal, rejection, &events).await,
        };
        loop {
            tokio::select! {
                changed = size.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let size = *size.borrow_and_update();
                    connected.resize(terminal, size).await.ok();
                }
                item = items.recv() => match item {
                    Some(AttachmentItem::Failed(rejection)) if rejection.retryable() => {
                        sleep(TRY_AGAIN_AFTER).await;
                        break;
                    }
                    Some(AttachmentItem::Failed(rejection)) => return failed(terminal, rejection, &events).await,
                    Some(item) => {
                        if events.send(Event::Terminal(terminal, item)).await.is_err() {
                            return;
                        }
                    }
                    // The connection is over. What was attached on it is attached to on the next one.
                    None => {
                        if client.changed().await.is_err() {
                            return;
                        }
                        break;
                    }
                },
            }
        }
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
