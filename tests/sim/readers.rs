//! Readers: what each subscription and attachment may be given next, checked as it comes.

use ropewalk_protocol::{Code, Event, GapReason, Rejection, Seq, SessionId, SubscribeAfter, TerminalId};
use ropewalk_transport::client::{AttachmentItem, SubscriptionItem};

use super::program::printed;
use super::reference::{Reference, Shown};
use super::trace::{note, violation};

/// A subscription's reader.
#[derive(Debug, Clone)]
pub(super) struct Subscription {
    pub(super) number: usize,
    pub(super) session: Option<SessionId>,
    /// Where it began, once that is known.
    pub(super) from: Option<Seq>,
    /// Everything up to here was given.
    pub(super) cursor: Option<Seq>,
    pub(super) events: Vec<Seq>,
    pub(super) gaps: Vec<(Seq, Seq)>,
    /// It is over, because what it follows is not there.
    pub(super) over: bool,
}

impl Subscription {
    /// What to ask for: what was not given yet.
    pub(super) fn request(&self, first: SubscribeAfter) -> SubscribeAfter {
        self.cursor.map_or(first, SubscribeAfter::Seq)
    }

    pub(super) fn began(&mut self, from: Seq) {
        self.from.get_or_insert(from);
        self.cursor.get_or_insert(from);
    }

    /// Takes an item; false when the subscription has to be made anew.
    pub(super) fn take(&mut self, item: SubscriptionItem, reference: &mut Reference) -> bool {
        let number = self.number;
        let cursor = self.cursor.unwrap_or_default();
        match item {
            SubscriptionItem::Snapshot { at, state, more } => {
                note(format!("subscription {number}: snapshot at {at}"));
                self.from = Some(at);
                self.cursor = Some(at);
                if more {
                    violation("a snapshot of few sessions comes in parts");
                }
                reference.states.push((at, self.session, state));
            }
            SubscriptionItem::Events(events) => {
                for event in events {
                    self.event(&event);
                    reference.see(&event);
                }
            }
            SubscriptionItem::Live(seq) => {
                note(format!("subscription {number}: live at {seq}"));
                if self.session.is_none() && seq > cursor {
                    violation(format!("subscription {number} is live at {seq} and was given {cursor} at most"));
                }
                self.cursor = Some(cursor.max(seq));
            }
            SubscriptionItem::Gap { from, to, reason } => {
                note(format!("subscription {number}: gap {from} to {to}: {reason:?}"));
                self.gaps.push((from, to));
                self.cursor = Some(cursor.max(to));
            }
            SubscriptionItem::Failed(rejection) => {
                note(format!("subscription {number} failed: {rejection}"));
                return self.refused(&rejection);
            }
        }
        true
    }

    fn event(&mut self, event: &Event) {
        let (number, cursor) = (self.number, self.cursor.unwrap_or_default());
        note(format!("subscription {number}: {} {}", event.seq, event.body.name()));
        if event.seq <= cursor {
            violation(format!("subscription {number} was given {} after {cursor}", event.seq));
        }
        if self.session.is_none() && event.seq != cursor.next() {
            violation(format!("subscription {number} was given {} after {cursor}, and no gap", event.seq));
        }
        if self.session.is_some() && event.stream.session() != self.session {
            violation(format!("subscription {number} was given {} of another session", event.seq));
        }
        self.cursor = Some(event.seq);
        self.events.push(event.seq);
    }

    /// The daemon does not serve it, or no more: false, because it has to be made anew.
    pub(super) fn refused(&mut self, rejection: &Rejection) -> bool {
        match rejection.code {
            Code::NotFound if self.session.is_some() => self.over = true,
            code if code.retryable() => {}
            _ => violation(format!("subscription {} is refused: {rejection}", self.number)),
        }
        false
    }
}

/// An attachment's reader.
#[derive(Debug, Clone)]
pub(super) struct Attachment {
    pub(super) number: usize,
    pub(super) client: usize,
    pub(super) terminal: TerminalId,
    /// It began with the screen.
    pub(super) screen: bool,
    /// The offset of the next byte.
    pub(super) cursor: Option<u64>,
    /// The terminal's length, once it was told.
    pub(super) end: Option<u64>,
    /// How often it was made.
    pub(super) made: usize,
    snapshot: Vec<u8>,
    pub(super) was_given_a_gap: bool,
    /// It is over: detached, or what it follows is not there.
    pub(super) over: bool,
}

impl Attachment {
    pub(super) fn new(number: usize, client: usize, terminal: TerminalId, from: Option<u64>) -> Self {
        let (screen, cursor) = (from.is_none(), from);
        let (snapshot, end, made) = (Vec::new(), None, 0);
        let (was_given_a_gap, over) = (false, false);
        Self { number, client, terminal, screen, cursor, end, made, snapshot, was_given_a_gap, over }
    }

    /// It is being made, again or for the first time: what to ask for.
    pub(super) fn request(&mut self) -> Option<u64> {
        self.snapshot.clear();
        self.made += 1;
        self.cursor
    }

    /// Takes an item; false when the attachment has to be made anew.
    pub(super) fn take(&mut self, item: AttachmentItem, reference: &mut Reference) -> bool {
        let number = self.number;
        match item {
            AttachmentItem::Snapshot { offset, bytes, last } => {
                self.snapshot.extend_from_slice(&bytes);
                if last {
                    note(format!("attachment {number}: screen at {offset}"));
                    let bytes = std::mem::take(&mut self.snapshot);
                    reference.screens.push((self.terminal, offset, Shown::Snapshot { bytes, scrollback: 0 }));
                    self.cursor = Some(offset);
                }
            }
            AttachmentItem::Output { offset, bytes } => self.output(offset, &bytes),
            // The screen comes instead, as it was asked for.
            AttachmentItem::Gap { reason: GapReason::Lagged, .. } => {}
            // Whether a volume was damaged at all is looked at in the end.
            AttachmentItem::Gap { from, to, reason: GapReason::Damaged } if self.cursor == Some(from) => {
                note(format!("attachment {number}: gap {from} to {to}"));
                self.cursor = Some(to);
                self.was_given_a_gap = true;
            }
            AttachmentItem::Gap { from, to, reason } => {
                violation(format!("attachment {number} was told of a gap from {from} to {to}: {reason:?}"));
            }
            AttachmentItem::Written(id) => note(format!("attachment {number}: input {id} is written")),
            AttachmentItem::End(offset) => {
                note(format!("attachment {number}: end at {offset}"));
                if self.cursor != Some(offset) {
                    violation(format!("attachment {number} ends at {offset} and was given {:?}", self.cursor));
                }
                self.end = Some(offset);
            }
            AttachmentItem::Cut => {}
            AttachmentItem::Failed(rejection) => {
                note(format!("attachment {number} failed: {rejection}"));
                return matches!(rejection.code, Code::InputRefused | Code::NotAttached) || self.refused(&rejection);
            }
        }
        true
    }

    fn output(&mut self, offset: u64, bytes: &[u8]) {
        let number = self.number;
        note(format!("attachment {number}: {} bytes at {offset}", bytes.len()));
        if self.cursor != Some(offset) {
            violation(format!("attachment {number} was given offset {offset} after {:?}", self.cursor));
        }
        if bytes != printed(self.terminal, offset, bytes.len() as u64) {
            violation(format!("attachment {number} was given other bytes at {offset} than were printed"));
        }
        if self.end.is_some_and(|end| offset + bytes.len() as u64 > end) {
            violation(format!("attachment {number} was given bytes after the end"));
        }
        self.cursor = Some(offset + bytes.len() as u64);
    }

    /// The daemon does not serve it, or no more: false, because it has to be made anew.
    pub(super) fn refused(&mut self, rejection: &Rejection) -> bool {
        match rejection.code {
            Code::NotFound => self.over = true,
            // Bytes that were shown and not stored are lost with the machine; whether it died is looked at in the end.
            Code::CursorAhead => {
                self.cursor = if self.screen { None } else { Some(0) };
                self.end = None;
            }
            code if code.retryable() => {}
            _ => violation(format!("attachment {} is refused: {rejection}", self.number)),
        }
        false
    }
}
