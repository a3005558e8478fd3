//! Pumps: each pulls from one source and waits for room on the connection, so that nothing piles up in between.

use std::sync::Arc;

use axum::extract::ws::Message;
use bytes::Bytes;
use ropewalk_protocol::{
    BincodeFrame, FailedFrame, GapFrame, LiveFrame, Notification, Seq, SnapshotFrame, TerminalEndFrame,
    TerminalFailedFrame, TerminalFrame, TerminalFrameKind, TerminalGapFrame, TerminalId,
};
use tokio::sync::oneshot;

use super::event_frames::EventFrames;
use super::outgoing::{Gone, Outgoing, notification_frame};
use crate::backend::{ByteSource, ByteStep, EventSource, EventStep};

/// Bytes of a snapshot in one frame.
const SNAPSHOT_FRAME_BYTES: usize = 256 * 1024;

/// Sends a subscription's events until the connection or the log ends.
pub(super) async fn events(
    subscription: u64,
    mut source: impl EventSource,
    frames: Arc<EventFrames>,
    outgoing: Outgoing,
) {
    loop {
        let sent = match source.next().await {
            Ok(step) => send_events(subscription, step, &frames, &outgoing).await,
            Err(rejection) => {
                tracing::warn!(%rejection, "a subscription could not read on");
                let failed = FailedFrame { subscription, error: rejection.into() };
                outgoing.bulk(notification_frame(&Notification::Failed(failed))).await.and(Err(Gone))
            }
        };
        if sent.is_err() {
            return;
        }
    }
}

async fn send_events(
    subscription: u64,
    step: EventStep,
    frames: &EventFrames,
    outgoing: &Outgoing,
) -> Result<(), Gone> {
    let notification = match step {
        EventStep::Json(pieces) => {
            for frame in frames.of(subscription, pieces) {
                outgoing.bulk(frame).await?;
            }
            return Ok(());
        }
        EventStep::Records(mut frame) => {
            BincodeFrame::address(&mut frame, subscription);
            return outgoing.bulk(Message::Binary(frame.into())).await;
        }
        EventStep::Snapshot { at, state, more } => {
            Notification::Snapshot(SnapshotFrame { subscription, at, state, more })
        }
        EventStep::Live(seq) => Notification::Live(LiveFrame { subscription, seq }),
        EventStep::Gap { from, to, reason } => Notification::Gap(GapFrame { subscription, from, to, reason }),
    };
    outgoing.bulk(notification_frame(&notification)).await
}

/// Sends the answer to an attach, then the attachment's bytes until they end, somebody stops it (the sender is dropped), or
/// the connection ends. It is answered in any case.
pub(super) async fn bytes(
    terminal: TerminalId,
    answer: Message,
    source: impl ByteSource,
    mut stopped: oneshot::Receiver<()>,
    outgoing: Outgoing,
) {
    tokio::select! {
        biased;
        sent = outgoing.bulk(answer.clone()) => {
            if sent.is_err() {
                return;
            }
        }
        _ = &mut stopped => {
            // No bytes follow this answer, so it need not be in order with any; and nobody is present by it any more.
            drop(source);
            outgoing.urgent(answer).await.ok();
            return;
        }
    }
    tokio::select! {
        biased;
        _ = stopped => {}
        () = follow_bytes(terminal, source, &outgoing) => {}
    }
}

async fn follow_bytes(terminal: TerminalId, mut source: impl ByteSource, outgoing: &Outgoing) {
    loop {
        let step = match source.next().await {
            Ok(step) => step,
            Err(rejection) => {
                tracing::warn!(%rejection, %terminal, "an attachment could not go on");
                let failed = TerminalFailedFrame { terminal, error: rejection.into() };
                outgoing.bulk(notification_frame(&Notification::TerminalFailed(failed))).await.ok();
                return;
            }
        };
        let end = matches!(step, ByteStep::End { .. });
        if send_bytes(terminal, step, outgoing).await.is_err() || end {
            return;
        }
    }
}

async fn send_bytes(terminal: TerminalId, step: ByteStep, outgoing: &Outgoing) -> Result<(), Gone> {
    let notification = match step {
        ByteStep::Output { offset, bytes } => {
            let frame = TerminalFrame { kind: TerminalFrameKind::Output, terminal, number: offset, bytes };
            return outgoing.bulk(Message::Binary(frame.encode())).await;
        }
        ByteStep::Snapshot { offset, bytes } => return snapshot(terminal, offset, bytes, outgoing).await,
        ByteStep::Gap { from, to, reason } => {
            Notification::TerminalGap(TerminalGapFrame { terminal, from, to, reason })
        }
        ByteStep::End { offset } => Notification::TerminalEnd(TerminalEndFrame { terminal, offset }),
    };
    outgoing.bulk(notification_frame(&notification)).await
}

async fn snapshot(terminal: TerminalId, offset: u64, mut bytes: Bytes, outgoing: &Outgoing) -> Result<(), Gone> {
    while bytes.len() > SNAPSHOT_FRAME_BYTES {
        let part = bytes.split_to(SNAPSHOT_FRAME_BYTES);
        let frame = TerminalFrame { kind: TerminalFrameKind::SnapshotPart, terminal, number: offset, bytes: part };
        outgoing.bulk(Message::Binary(frame.encode())).await?;
    }
    let frame = TerminalFrame { kind: TerminalFrameKind::Snapshot, terminal, number: offset, bytes };
    outgoing.bulk(Message::Binary(frame.encode())).await
}

/// A heartbeat that carries the head.
pub(super) fn heartbeat(head: Seq) -> Message {
    notification_frame(&Notification::Ping(ropewalk_protocol::PingFrame { head }))
}
