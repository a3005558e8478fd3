//! What the daemon says: answers to those who wait, items to those who follow.

use bytes::Bytes;
use ropewalk_protocol::{
    Attached, BincodeFrame, Code, DetachParams, ErrorObject, Notification, RefusedFrame, Rejection, RequestMethod,
    Subscribed, TerminalFailedFrame, TerminalFrame, TerminalFrameKind, TerminalId, UnsubscribeParams,
};
use serde_json::value::RawValue;
use tokio::sync::oneshot;

use super::handle::decode;
use super::pending::{RawAnswer, Waiting};
use super::resume::{AttachmentCursor, AttachmentItem, SubscriptionCursor, SubscriptionItem};
use super::task::Task;

/// Makes what a subscription's reader is given, from its cursor and a frame.
type MakeItem<'a> = &'a mut (dyn FnMut(&mut SubscriptionCursor) -> Option<SubscriptionItem> + Send);

impl Task {
    /// A text frame.
    pub(super) async fn text(&mut self, text: &str) {
        #[derive(serde::Deserialize)]
        struct Frame<'a> {
            #[serde(default)]
            id: Option<u64>,
            #[serde(default, borrow)]
            method: Option<&'a str>,
            #[serde(default, borrow)]
            result: Option<&'a RawValue>,
            #[serde(default)]
            error: Option<ErrorObject>,
        }
        let Ok(frame) = serde_json::from_str::<Frame<'_>>(text) else {
            return tracing::warn!("a frame of the daemon is not understood");
        };
        if frame.method.is_some() {
            match serde_json::from_str::<Notification>(text) {
                Ok(notification) => self.notified(notification).await,
                // A newer daemon may say things this client does not know.
                Err(error) => tracing::debug!(%error, "a notification is not understood"),
            }
            return;
        }
        let answer = match (frame.result, frame.error) {
            (Some(result), _) => Ok(result.to_owned()),
            (None, Some(error)) => Err(Rejection::from(error)),
            (None, None) => Err(Rejection::new(Code::InvalidRequest, "the daemon's answer carries nothing")),
        };
        if let Some((id, waiting)) = frame.id.and_then(|id| Some((id, self.pending.take(id)?))) {
            self.answered(id, waiting, answer).await;
        }
    }

    async fn answered(&mut self, id: u64, waiting: Waiting, answer: RawAnswer) {
        match waiting {
            Waiting::Nobody => {}
            Waiting::Caller(caller) => drop(caller.send(answer)),
            Waiting::Subscription(local, caller) => {
                let subscribed = answer.clone().and_then(|json| decode::<Subscribed>(Ok(json)));
                match (subscribed, caller) {
                    (Ok(subscribed), caller) => {
                        if let Some((cursor, _)) = self.subscriptions.get_mut(&local) {
                            cursor.subscribed(&subscribed);
                        }
                        caller.map(|caller| caller.send(answer));
                    }
                    (Err(_), Some(caller)) => {
                        self.subscriptions.remove(&local);
                        drop(caller.send(answer));
                    }
                    (Err(rejection), None) => {
                        if let Some((_, items)) = self.subscriptions.remove(&local) {
                            items.send(SubscriptionItem::Failed(rejection)).await.ok();
                        }
                    }
                }
            }
            Waiting::Attachment(terminal, caller) => self.attach_answered(id, terminal, caller, answer).await,
        }
    }

    async fn attach_answered(
        &mut self,
        id: u64,
        terminal: TerminalId,
        caller: Option<oneshot::Sender<RawAnswer>>,
        answer: RawAnswer,
    ) {
        // The answer may be to a request of an attachment before the present one.
        let present = self.attachments.get_mut(&terminal).filter(|(cursor, _)| cursor.asked == id);
        match (answer.clone().and_then(|json| decode::<Attached>(Ok(json))), present) {
            (Ok(attached), Some((cursor, _))) => cursor.attached(&attached),
            (Err(rejection), Some(_)) => {
                if let Some((_, items)) = self.attachments.remove(&terminal).filter(|_| caller.is_none()) {
                    items.send(AttachmentItem::Failed(rejection)).await.ok();
                }
                // To the daemon one that was attached before goes on; nobody reads it.
                self.unsent.push(RequestMethod::TerminalDetach(DetachParams { terminal }));
            }
            (_, None) => {}
        }
        caller.map(|caller| caller.send(answer));
    }

    async fn notified(&mut self, notification: Notification) {
        let (remote, item): (u64, MakeItem<'_>) = match notification {
            Notification::Events(frame) => {
                let mut events = Some(frame.events);
                (frame.subscription, &mut move |cursor| cursor.events(events.take().unwrap_or_default()))
            }
            Notification::Snapshot(frame) => {
                let remote = frame.subscription;
                let mut frame = Some(frame);
                (remote, &mut move |cursor| frame.take().map(|frame| cursor.snapshot(frame)))
            }
            Notification::Live(frame) => (frame.subscription, &mut move |cursor| Some(cursor.live(frame.seq))),
            Notification::Gap(frame) => (frame.subscription, &mut move |cursor| Some(cursor.gap(&frame))),
            Notification::TerminalGap(gap) => {
                return self
                    .attachment(gap.terminal, false, |cursor| Some(cursor.gap(gap.from, gap.to, gap.reason)))
                    .await;
            }
            Notification::TerminalEnd(end) => {
                return self.attachment(end.terminal, false, |_| Some(AttachmentItem::End(end.offset))).await;
            }
            Notification::Failed(failed) => {
                let mut rejection = Some(Rejection::from(failed.error));
                (failed.subscription, &mut move |_| rejection.take().map(SubscriptionItem::Failed))
            }
            Notification::TerminalFailed(TerminalFailedFrame { terminal, error }) => {
                return self.attachment(terminal, false, |_| Some(AttachmentItem::Failed(error.into()))).await;
            }
            Notification::Refused(RefusedFrame { terminal, error }) => {
                let rejection = Rejection::from(error);
                tracing::warn!(%rejection, "the daemon refused a frame");
                if let Some(terminal) = terminal {
                    self.attachment(terminal, true, |_| Some(AttachmentItem::Failed(rejection))).await;
                }
                return;
            }
            Notification::Ping(_) => return,
        };
        self.subscription(remote, item).await;
    }

    async fn subscription(&mut self, remote: u64, item: MakeItem<'_>) {
        let found = self.subscriptions.iter_mut().find(|(_, (cursor, _))| cursor.remote == Some(remote));
        let Some((local, (cursor, items))) = found else {
            return;
        };
        let local = *local;
        if let Some(item) = item(cursor)
            && items.send(item).await.is_err()
        {
            // The reader is gone.
            self.subscriptions.remove(&local);
            self.unsent.push(RequestMethod::Unsubscribe(UnsubscribeParams { subscription: remote }));
        }
    }

    /// `is_early`: it may come before the answer to the attach.
    async fn attachment(
        &mut self,
        terminal: TerminalId,
        is_early: bool,
        item: impl FnOnce(&mut AttachmentCursor) -> Option<AttachmentItem>,
    ) {
        if let Some((cursor, items)) = self.attachments.get_mut(&terminal)
            && (cursor.answered || is_early)
            && let Some(item) = item(cursor)
            && items.send(item).await.is_err()
        {
            self.attachments.remove(&terminal);
            self.unsent.push(RequestMethod::TerminalDetach(DetachParams { terminal }));
        }
    }

    /// A binary frame.
    pub(super) async fn binary(&mut self, frame: Bytes) {
        if let Some(frame) = BincodeFrame::decode(&frame) {
            return self.subscription(frame.subscription, &mut |cursor| cursor.records(&frame)).await;
        }
        let Ok(TerminalFrame { kind, terminal, number, bytes }) = TerminalFrame::decode(frame) else {
            return tracing::debug!("a binary frame is not understood");
        };
        let is_early = kind == TerminalFrameKind::InputWritten;
        self.attachment(terminal, is_early, |cursor| match kind {
            TerminalFrameKind::Output => cursor.output(number, bytes),
            TerminalFrameKind::Snapshot => Some(cursor.snapshot(number, bytes, true)),
            TerminalFrameKind::SnapshotPart => Some(cursor.snapshot(number, bytes, false)),
            TerminalFrameKind::InputWritten => Some(cursor.written(number)),
            TerminalFrameKind::Input => None,
        })
        .await;
    }
}
