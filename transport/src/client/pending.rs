//! Requests that wait for an answer: they are sent again, under the same number, on a new connection.

use std::collections::BTreeMap;

use ropewalk_protocol::{Code, Rejection, RequestMethod, limits};
use serde_json::value::RawValue;
use tokio::sync::oneshot;

/// The answer to a request: its result as JSON.
pub(super) type RawAnswer = Result<Box<RawValue>, Rejection>;

/// Who waits.
pub(super) enum Waiting {
    /// A caller.
    Caller(oneshot::Sender<RawAnswer>),
    /// The client itself, for a subscription under this local number; and the caller the first time.
    Subscription(u64, Option<oneshot::Sender<RawAnswer>>),
    /// The client itself, for an attachment; and the caller the first time.
    Attachment(ropewalk_protocol::TerminalId, Option<oneshot::Sender<RawAnswer>>),
    /// Nobody.
    Nobody,
}

#[derive(Default)]
pub(super) struct Pending {
    next: u64,
    waiting: BTreeMap<u64, (RequestMethod, Waiting)>,
}

impl Pending {
    /// Takes a number for a request.
    pub(super) fn add(&mut self, method: RequestMethod, waiting: Waiting) -> u64 {
        self.next += 1;
        self.waiting.insert(self.next, (method, waiting));
        self.next
    }

    /// Whether one more may be asked for. The server does not read on while as many wait for an answer, and a client that
    /// writes then does not read either: each would wait for the other.
    pub(super) fn has_room(&self) -> bool {
        self.waiting.len() < limits::REQUESTS_IN_FLIGHT_MAX
    }

    /// The answer to this number came.
    pub(super) fn take(&mut self, id: u64) -> Option<Waiting> {
        self.waiting.remove(&id).map(|(_, waiting)| waiting)
    }

    /// What to send again: everything but what the client asks for anew with its cursors.
    pub(super) fn again(&mut self) -> Vec<(u64, RequestMethod)> {
        self.waiting.retain(|_, (_, waiting)| match waiting {
            Waiting::Caller(_) => true,
            Waiting::Subscription(_, caller) | Waiting::Attachment(_, caller) => caller.is_some(),
            Waiting::Nobody => false,
        });
        let callers = self.waiting.iter().filter(|(_, (_, waiting))| matches!(waiting, Waiting::Caller(_)));
        callers.map(|(id, (method, _))| (*id, method.clone())).collect()
    }

    /// The caller who waits for this subscription's first answer.
    pub(super) fn subscriber(&mut self, local: u64) -> Option<oneshot::Sender<RawAnswer>> {
        let id = self.waiting.iter().find_map(|(id, (_, waiting))| match waiting {
            Waiting::Subscription(of, _) if *of == local => Some(*id),
            _ => None,
        })?;
        match self.take(id) {
            Some(Waiting::Subscription(_, caller)) => caller,
            _ => None,
        }
    }

    /// The caller who waits for this attachment's first answer. Those before it, whose place it took, are told so.
    pub(super) fn attacher(&mut self, terminal: ropewalk_protocol::TerminalId) -> Option<oneshot::Sender<RawAnswer>> {
        let ids: Vec<u64> = self
            .waiting
            .iter()
            .filter(|(_, (_, waiting))| matches!(waiting, Waiting::Attachment(of, _) if *of == terminal))
            .map(|(id, _)| *id)
            .collect();
        let mut newest = None;
        for id in ids {
            let caller = match self.take(id) {
                Some(Waiting::Attachment(_, caller)) => caller,
                _ => None,
            };
            if let Some(older) = std::mem::replace(&mut newest, caller) {
                let message = format!("another attachment to terminal {terminal} took its place");
                drop(older.send(Err(Rejection::new(Code::NotAttached, message))));
            }
        }
        newest
    }

    /// Everybody gets this refusal.
    pub(super) fn fail(&mut self, rejection: &Rejection) {
        for (_, (_, waiting)) in std::mem::take(&mut self.waiting) {
            let caller = match waiting {
                Waiting::Caller(caller) => Some(caller),
                Waiting::Subscription(_, caller) | Waiting::Attachment(_, caller) => caller,
                Waiting::Nobody => None,
            };
            caller.map(|caller| caller.send(Err(rejection.clone())));
        }
    }
}
