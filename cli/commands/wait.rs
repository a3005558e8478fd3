//! `ropewalk wait`.

use std::time::Duration;

use regex::Regex;
use ropewalk_projections::screen::Screen;
use ropewalk_protocol::{
    AttachParams, EventBody, SessionId, SessionState, Size, SubscribeAfter, SubscribeParams, TerminalId,
};
use ropewalk_transport::client::{AttachmentItem, Client, SubscriptionItem};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::{Context, find, find_terminal};
use crate::args::Condition;
use crate::exit::{FAILURE, Failure, OK, TIMEOUT};
use crate::print;

pub(super) async fn wait(
    context: &Context,
    reference: &str,
    condition: Condition,
    limit: Option<Duration>,
    quiet: Duration,
) -> Result<u8, Failure> {
    let client = context.client().await?;
    let waiting = async {
        match &condition {
            Condition::Ended => {
                let session = find(&client, reference).await?.session;
                until_ended(&client, session).await?;
                until_closed(&client, session).await.map(|()| "ended".to_owned())
            }
            Condition::Idle => {
                let (_, terminal) = find_terminal(&client, reference).await?;
                until_idle(&client, terminal, quiet).await
            }
            Condition::Text(pattern) => {
                let (_, terminal) = find_terminal(&client, reference).await?;
                until_text(&client, terminal, pattern).await
            }
        }
    };
    let met = match limit {
        None => waiting.await?,
        Some(limit) => match timeout(limit, waiting).await {
            Ok(met) => met?,
            Err(_) => {
                let message = format!("not within {}", humantime::format_duration(limit));
                return Err(Failure::new(TIMEOUT, message));
            }
        },
    };
    let guess = matches!(condition, Condition::Idle) && met != "ended";
    context.print(&serde_json::json!({"met": met, "guess": guess}), |_| format!("{}\n", print::plain(&met)))?;
    Ok(OK)
}

/// Waits until every program of a session ended.
pub(super) async fn until_ended(client: &Client, session: SessionId) -> Result<(), Failure> {
    let params = SubscribeParams { session: Some(session), after: SubscribeAfter::SNAPSHOT, log: None, only: None };
    let (_, mut items) = client.subscribe(params).await?;
    while let Some(item) = items.recv().await {
        match item {
            SubscriptionItem::Snapshot { state, .. }
                if state.sessions.iter().any(|session| session.status.state == SessionState::Ended) =>
            {
                return Ok(());
            }
            SubscriptionItem::Events(events)
                if events
                    .iter()
                    .any(|event| matches!(event.body, EventBody::SessionEnded(_) | EventBody::SessionDeleted(_))) =>
            {
                return Ok(());
            }
            SubscriptionItem::Failed(rejection) => return Err(rejection.into()),
            SubscriptionItem::Snapshot { .. }
            | SubscriptionItem::Events(_)
            | SubscriptionItem::Live(_)
            | SubscriptionItem::Gap { .. } => {}
        }
    }
    Err(Failure::new(FAILURE, "the subscription ended"))
}

/// Waits until a session that has ended has all of its output: a program may be known to be gone before the last of it is read.
async fn until_closed(client: &Client, session: SessionId) -> Result<(), Failure> {
    // One that was deleted has no output to wait for.
    let Ok(session) = find(client, &session.to_string()).await else {
        return Ok(());
    };
    for terminal in session.terminals.iter().filter(|terminal| terminal.closed_at.is_none()) {
        let (_, mut items) = look(client, terminal.terminal).await?;
        while let Some(item) = items.recv().await {
            match item {
                AttachmentItem::End(_) => break,
                AttachmentItem::Failed(rejection) => return Err(rejection.into()),
                _ => {}
            }
        }
    }
    Ok(())
}

async fn look(client: &Client, terminal: TerminalId) -> Result<(Size, mpsc::Receiver<AttachmentItem>), Failure> {
    let params = AttachParams { terminal, after: None, size: None, view_only: true, scrollback: 1000 };
    let (attached, items) = client.attach(params).await?;
    Ok((attached.size, items))
}

/// Waits until nothing was printed for a while. That is a guess: a program may be silent and busy.
async fn until_idle(client: &Client, terminal: TerminalId, quiet: Duration) -> Result<String, Failure> {
    let (_, mut items) = look(client, terminal).await?;
    loop {
        match timeout(quiet, items.recv()).await {
            Err(_) => return Ok("idle".to_owned()),
            Ok(Some(AttachmentItem::End(_)) | None) => return Ok("ended".to_owned()),
            Ok(Some(AttachmentItem::Failed(rejection))) => return Err(rejection.into()),
            Ok(Some(_)) => {}
        }
    }
}

/// Waits until a line matches, on the screen or scrolled off it.
async fn until_text(client: &Client, terminal: TerminalId, pattern: &Regex) -> Result<String, Failure> {
    let (size, mut items) = look(client, terminal).await?;
    let mut screen = Screen::new(size);
    while let Some(item) = items.recv().await {
        match item {
            AttachmentItem::Snapshot { bytes, .. } | AttachmentItem::Output { bytes, .. } => {
                if let Some(line) = matched(&mut screen, &bytes, pattern) {
                    return Ok(line);
                }
            }
            AttachmentItem::Failed(rejection) => return Err(rejection.into()),
            AttachmentItem::End(_) => break,
            AttachmentItem::Gap { .. } => screen = Screen::new(size),
            AttachmentItem::Written(_) | AttachmentItem::Cut => {}
        }
    }
    Err(Failure::new(FAILURE, format!("the terminal closed and no line matched {pattern}")))
}

/// Draws a little at a time, so that no line scrolls past unseen.
fn matched(screen: &mut Screen, bytes: &[u8], pattern: &Regex) -> Option<String> {
    let step = usize::from(screen.size().cols) * 4;
    bytes.chunks(step.max(256)).find_map(|piece| {
        let before = screen.scrollback_len();
        screen.feed(piece);
        let scrolled = screen.scrollback_len().saturating_sub(before).max(usize::from(screen.size().rows));
        let lines = screen.scrollback_text(scrolled).into_iter();
        let rows = (0..screen.size().rows).map(|row| screen.row_text(row));
        lines.chain(rows).find(|line| pattern.is_match(line))
    })
}
