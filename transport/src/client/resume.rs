//! What a client must remember to resume: pure, so that every cut can be tested.

use std::collections::BTreeMap;

use bytes::Bytes;
use ropewalk_protocol::record::decode_event;
use ropewalk_protocol::{
    AttachParams, Attached, BincodeFrame, Event, GapFrame, GapReason, LogId, Rejection, Seq, Size, SnapshotFrame,
    StateSnapshot, SubscribeAfter, SubscribeParams, Subscribed, TerminalId,
};

/// What a subscription gives its reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubscriptionItem {
    /// The state it starts from, or a part of it.
    Snapshot {
        /// True at this place.
        at: Seq,
        /// The state.
        state: StateSnapshot,
        /// More follows.
        more: bool,
    },
    /// Events, in order, none twice.
    Events(Vec<Event>),
    /// It has caught up, or, where it is of facts only, everything up to here was given though nothing of it came.
    Live(Seq),
    /// A range that will not come.
    Gap {
        /// The first event.
        from: Seq,
        /// The last one.
        to: Seq,
        /// Why.
        reason: GapReason,
    },
    /// It cannot go on.
    Failed(Rejection),
}

/// What an attachment gives its reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttachmentItem {
    /// The screen, or a part of it; what was drawn before no longer counts.
    Snapshot {
        /// True at this offset.
        offset: u64,
        /// Escape sequences.
        bytes: Bytes,
        /// No more parts follow.
        last: bool,
    },
    /// Output, in order, none twice.
    Output {
        /// The offset of the first byte.
        offset: u64,
        /// The bytes.
        bytes: Bytes,
    },
    /// Bytes that will not come.
    Gap {
        /// The offset of the first one.
        from: u64,
        /// The offset after the last one.
        to: u64,
        /// Why.
        reason: GapReason,
    },
    /// Input up to this id was written.
    Written(u64),
    /// The bytes are complete.
    End(u64),
    /// The connection was cut; it is being made again.
    Cut,
    /// It cannot go on.
    Failed(Rejection),
}

/// A subscription across connections.
#[derive(Debug)]
pub(super) struct SubscriptionCursor {
    params: SubscribeParams,
    /// Everything up to here was given.
    given: Option<Seq>,
    /// A snapshot has begun and is not complete: after a cut it begins again.
    in_snapshot: bool,
    /// The number that the present connection has for it.
    pub(super) remote: Option<u64>,
}

impl SubscriptionCursor {
    pub(super) fn new(params: SubscribeParams) -> Self {
        Self { params, given: None, in_snapshot: false, remote: None }
    }

    /// What to ask a new connection for.
    pub(super) fn request(&self, log: LogId) -> SubscribeParams {
        let after = match self.given {
            Some(given) if !self.in_snapshot => SubscribeAfter::Seq(given),
            _ => self.params.after,
        };
        SubscribeParams { after, log: Some(self.params.log.unwrap_or(log)), ..self.params.clone() }
    }

    pub(super) fn subscribed(&mut self, subscribed: &Subscribed) {
        self.remote = Some(subscribed.subscription);
        if self.params.after != SubscribeAfter::SNAPSHOT {
            self.given.get_or_insert(subscribed.from);
        }
    }

    pub(super) fn events(&mut self, events: Vec<Event>) -> Option<SubscriptionItem> {
        let given = self.given.unwrap_or(Seq::ZERO);
        let fresh: Vec<Event> = events.into_iter().filter(|event| event.seq > given).collect();
        self.given = Some(fresh.last()?.seq);
        Some(SubscriptionItem::Events(fresh))
    }

    pub(super) fn records(&mut self, frame: &BincodeFrame) -> Option<SubscriptionItem> {
        let given = self.given.unwrap_or(Seq::ZERO);
        let fresh = frame.records().filter(|(seq, _)| *seq > given);
        let events: Vec<Event> = fresh.filter_map(|(seq, record)| decode_event(seq, record).ok()).collect();
        self.events(events)
    }

    pub(super) fn live(&mut self, seq: Seq) -> SubscriptionItem {
        self.given = Some(self.given.map_or(seq, |given| given.max(seq)));
        SubscriptionItem::Live(seq)
    }

    pub(super) fn gap(&mut self, gap: &GapFrame) -> SubscriptionItem {
        self.given = Some(self.given.map_or(gap.to, |given| given.max(gap.to)));
        SubscriptionItem::Gap { from: gap.from, to: gap.to, reason: gap.reason }
    }

    pub(super) fn snapshot(&mut self, frame: SnapshotFrame) -> SubscriptionItem {
        self.in_snapshot = frame.more;
        self.given = Some(frame.at);
        SubscriptionItem::Snapshot { at: frame.at, state: frame.state, more: frame.more }
    }
}

/// An attachment across connections.
#[derive(Debug)]
pub(super) struct AttachmentCursor {
    params: AttachParams,
    /// The offset after the last byte that was given.
    given: Option<u64>,
    in_snapshot: bool,
    /// The number of the request for it on the present connection.
    pub(super) asked: u64,
    /// That request was answered: what comes before that is of an attachment before this one.
    pub(super) answered: bool,
    /// Input that was not reported as written.
    pub(super) unwritten: BTreeMap<u64, Bytes>,
}

impl AttachmentCursor {
    pub(super) fn new(params: AttachParams) -> Self {
        Self { params, given: None, in_snapshot: false, asked: 0, answered: false, unwritten: BTreeMap::new() }
    }

    /// What to ask a new connection for. A reader that has a screen goes on from its offset.
    pub(super) fn request(&self) -> AttachParams {
        let after = if self.in_snapshot { self.params.after } else { self.given.or(self.params.after) };
        AttachParams { after, ..self.params.clone() }
    }

    pub(super) fn attached(&mut self, attached: &Attached) {
        self.answered = true;
        if !attached.snapshot {
            self.given.get_or_insert(attached.offset);
        }
    }

    pub(super) fn output(&mut self, offset: u64, mut bytes: Bytes) -> Option<AttachmentItem> {
        let given = self.given.unwrap_or(offset);
        let skip = usize::try_from(given.saturating_sub(offset)).unwrap_or(usize::MAX);
        if skip >= bytes.len() {
            return None;
        }
        let bytes = bytes.split_off(skip);
        let offset = offset + skip as u64;
        self.given = Some(offset + bytes.len() as u64);
        Some(AttachmentItem::Output { offset, bytes })
    }

    pub(super) fn snapshot(&mut self, offset: u64, bytes: Bytes, last: bool) -> AttachmentItem {
        self.in_snapshot = !last;
        self.given = Some(offset);
        AttachmentItem::Snapshot { offset, bytes, last }
    }

    pub(super) fn gap(&mut self, from: u64, to: u64, reason: GapReason) -> AttachmentItem {
        self.given = Some(self.given.map_or(to, |given| given.max(to)));
        AttachmentItem::Gap { from, to, reason }
    }

    pub(super) fn written(&mut self, id: u64) -> AttachmentItem {
        self.unwritten = self.unwritten.split_off(&(id + 1));
        AttachmentItem::Written(id)
    }

    pub(super) fn resized(&mut self, size: Size) {
        self.params.size = Some(size);
    }

    pub(super) fn terminal(&self) -> TerminalId {
        self.params.terminal
    }
}

#[cfg(test)]
mod tests {
    use ropewalk_protocol::SubscribeOnly;

    use super::*;

    fn subscription(after: SubscribeAfter) -> SubscriptionCursor {
        SubscriptionCursor::new(SubscribeParams { session: None, after, log: None, only: None })
    }

    const LOG: LogId = LogId::from_bytes([1; 16]);
    const TERMINAL: TerminalId = TerminalId::from_bytes([2; 16]);

    #[test]
    fn a_cut_before_the_first_event_resumes_where_the_subscription_began() {
        let mut cursor = subscription(SubscribeAfter::NOW);
        cursor.subscribed(&Subscribed { subscription: 1, from: Seq(7), head: Seq(7) });
        assert_eq!(cursor.request(LOG).after, SubscribeAfter::Seq(Seq(7)));
    }

    #[test]
    fn a_cut_within_a_snapshot_asks_for_it_again() {
        let mut cursor = subscription(SubscribeAfter::SNAPSHOT);
        let state = StateSnapshot { sessions: Vec::new() };
        cursor.snapshot(SnapshotFrame { subscription: 1, at: Seq(5), state: state.clone(), more: true });
        assert_eq!(cursor.request(LOG).after, SubscribeAfter::SNAPSHOT);
        cursor.snapshot(SnapshotFrame { subscription: 1, at: Seq(5), state, more: false });
        assert_eq!(cursor.request(LOG).after, SubscribeAfter::Seq(Seq(5)));
    }

    #[test]
    fn a_log_that_is_another_one_is_asked_for_by_its_old_name() {
        let mut params = SubscribeParams { session: None, after: SubscribeAfter::NOW, log: None, only: None };
        params.log = Some(LogId::from_bytes([9; 16]));
        assert_eq!(SubscriptionCursor::new(params).request(LOG).log, Some(LogId::from_bytes([9; 16])));
    }

    #[test]
    fn a_subscription_whose_newest_events_were_left_out_resumes_where_it_was_said_to_be() {
        let mut params = SubscribeParams { session: None, after: SubscribeAfter::NOW, log: None, only: None };
        params.only = Some(SubscribeOnly::Facts);
        let mut cursor = SubscriptionCursor::new(params.clone());
        cursor.subscribed(&Subscribed { subscription: 1, from: Seq(7), head: Seq(7) });
        cursor.live(Seq(7));
        assert_eq!(cursor.live(Seq(900)), SubscriptionItem::Live(Seq(900)));
        let resumed = cursor.request(LOG);
        assert_eq!(resumed, SubscribeParams { after: SubscribeAfter::Seq(Seq(900)), log: Some(LOG), ..params });
    }

    #[test]
    fn output_that_overlaps_is_given_once() {
        let params = AttachParams { terminal: TERMINAL, after: Some(0), size: None, view_only: false, scrollback: 0 };
        let mut cursor = AttachmentCursor::new(params);
        cursor.output(0, Bytes::from_static(b"abc"));
        assert_eq!(cursor.output(1, Bytes::from_static(b"bc")), None);
        let item = cursor.output(2, Bytes::from_static(b"cde"));
        assert_eq!(item, Some(AttachmentItem::Output { offset: 3, bytes: Bytes::from_static(b"de") }));
        assert_eq!(cursor.request().after, Some(5));
    }

    #[test]
    fn input_is_kept_until_it_is_written() {
        let params = AttachParams { terminal: TERMINAL, after: None, size: None, view_only: false, scrollback: 0 };
        let mut cursor = AttachmentCursor::new(params);
        for id in 1..=3 {
            cursor.unwritten.insert(id, Bytes::new());
        }
        cursor.written(2);
        assert_eq!(cursor.unwritten.keys().copied().collect::<Vec<_>>(), [3]);
    }
}
