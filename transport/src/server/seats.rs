//! Seats: connections are counted from the moment they are accepted, whoever they are and whatever they say.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use ropewalk_protocol::limits;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::admission::Peer;

/// All the seats there are.
pub(super) struct Seats {
    served: Arc<Semaphore>,
    turned_away: Arc<Semaphore>,
    unproven: Arc<Semaphore>,
}

/// One connection's seat; it is free again when dropped.
#[derive(Debug)]
pub struct Seat {
    #[expect(dead_code, reason = "held for its place")]
    place: OwnedSemaphorePermit,
    /// It is only here to be told that there is no room.
    turned_away: bool,
    /// Its place among those that have not shown the token yet.
    unproven: Mutex<Option<OwnedSemaphorePermit>>,
    entered: AtomicBool,
}

impl Default for Seats {
    fn default() -> Self {
        let places = |count| Arc::new(Semaphore::new(count));
        Self {
            served: places(limits::CONNECTIONS_MAX),
            turned_away: places(limits::CONNECTIONS_TURNED_AWAY_MAX),
            unproven: places(limits::CONNECTIONS_UNPROVEN_MAX),
        }
    }
}

impl Seats {
    /// A seat for a connection from there; `None` when it is to be closed at once.
    pub(super) fn take(&self, peer: &Peer) -> Option<Arc<Seat>> {
        let free = |places: &Arc<Semaphore>| places.clone().try_acquire_owned().ok();
        // Any user may open loopback connections: they must not take the seats of those who are let in.
        let unproven = if peer.is_trusted() { None } else { Some(free(&self.unproven)?) };
        let (place, turned_away) = match free(&self.served) {
            Some(place) => (place, false),
            None => (free(&self.turned_away)?, true),
        };
        let entered = AtomicBool::new(false);
        Some(Arc::new(Seat { place, turned_away, unproven: Mutex::new(unproven), entered }))
    }
}

impl Seat {
    /// Whether the connection may only be told that there is no room.
    pub(super) fn is_turned_away(&self) -> bool {
        self.turned_away
    }

    /// It became a WebSocket: from then on that has its own deadlines.
    pub(super) fn enter(&self) {
        self.entered.store(true, Ordering::Relaxed);
    }

    /// Whether it became a WebSocket.
    pub(super) fn has_entered(&self) -> bool {
        self.entered.load(Ordering::Relaxed)
    }

    /// It showed who it is.
    pub(super) fn prove(&self) {
        drop(self.unproven.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_cannot_take_the_seats_of_those_who_are_let_in() {
        let seats = Seats::default();
        let strangers: Vec<_> = std::iter::from_fn(|| seats.take(&Peer::Loopback)).collect();
        assert_eq!(strangers.len(), limits::CONNECTIONS_UNPROVEN_MAX);
        assert!(seats.take(&Peer::Local).is_some_and(|seat| !seat.is_turned_away()));
        strangers[0].prove();
        assert!(seats.take(&Peer::Loopback).is_some(), "one that showed the token makes room for another");
    }

    #[test]
    fn over_the_bound_some_are_told_so_and_the_rest_are_closed() {
        let seats = Seats::default();
        let all: Vec<_> = std::iter::from_fn(|| seats.take(&Peer::Local)).collect();
        let told = all.iter().filter(|seat| seat.is_turned_away()).count();
        assert_eq!((all.len() - told, told), (limits::CONNECTIONS_MAX, limits::CONNECTIONS_TURNED_AWAY_MAX));
        drop(all);
        assert!(seats.take(&Peer::Local).is_some_and(|seat| !seat.is_turned_away()));
    }
}
