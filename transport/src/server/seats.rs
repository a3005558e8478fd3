//! Seats: connections are counted from the moment they are accepted, whoever they are and whatever they say. One that has
//! not said hello yet gives its seat up when all are taken and somebody else comes.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use ropewalk_protocol::limits;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::admission::Peer;

/// All the seats there are.
pub(super) struct Seats {
    served: Arc<Semaphore>,
    turned_away: Arc<Semaphore>,
    unproven: Arc<Semaphore>,
    /// Those with a place that had not said hello when last looked at, the oldest first; some may be gone.
    silent: VecDeque<Weak<Seat>>,
}

/// One connection's seat; it is free again when dropped.
#[derive(Debug)]
pub struct Seat {
    /// Held for its place; one that had to give it up has none.
    place: Mutex<Option<OwnedSemaphorePermit>>,
    /// It is only here to be told that there is no room.
    turned_away: bool,
    /// Its place among those that have not shown the token yet.
    unproven: Mutex<Option<OwnedSemaphorePermit>>,
    entered: AtomicBool,
    /// It said hello and was let in.
    proven: AtomicBool,
    /// Told when its place is somebody else's.
    given_up: Arc<Notify>,
}

impl Default for Seats {
    fn default() -> Self {
        let places = |count| Arc::new(Semaphore::new(count));
        Self {
            served: places(limits::CONNECTIONS_MAX),
            turned_away: places(limits::CONNECTIONS_TURNED_AWAY_MAX),
            unproven: places(limits::CONNECTIONS_UNPROVEN_MAX),
            silent: VecDeque::new(),
        }
    }
}

impl Seats {
    /// A seat for a connection from there; `None` when it is to be closed at once.
    pub(super) fn take(&mut self, peer: &Peer) -> Option<Arc<Seat>> {
        let free = |places: &Arc<Semaphore>| places.clone().try_acquire_owned().ok();
        // Any user may open loopback connections: they must not take the seats of those who are let in.
        let unproven = if peer.is_trusted() { None } else { Some(free(&self.unproven)?) };
        // Only those who are let in may have somebody else's place: strangers could go on for ever.
        let oldest = |seats: &mut Self| if peer.is_trusted() { seats.take_from_oldest_silent() } else { None };
        let (place, turned_away) = match free(&self.served).or_else(|| oldest(self)) {
            Some(place) => (place, false),
            None => (free(&self.turned_away)?, true),
        };
        let seat = Arc::new(Seat {
            place: Mutex::new(Some(place)),
            turned_away,
            unproven: Mutex::new(unproven),
            entered: AtomicBool::new(false),
            proven: AtomicBool::new(false),
            given_up: Arc::default(),
        });
        if !turned_away {
            self.note_silent(&seat);
        }
        Some(seat)
    }

    fn note_silent(&mut self, seat: &Arc<Seat>) {
        if self.silent.len() >= 2 * limits::CONNECTIONS_MAX {
            // At most half of them can be left: no more have a place.
            self.silent.retain(|seat| seat.upgrade().is_some_and(|seat| seat.is_silent()));
        }
        self.silent.push_back(Arc::downgrade(seat));
    }

    fn take_from_oldest_silent(&mut self) -> Option<OwnedSemaphorePermit> {
        while let Some(oldest) = self.silent.pop_front() {
            if let Some(place) = oldest.upgrade().filter(|seat| seat.is_silent()).and_then(|seat| seat.give_up()) {
                return Some(place);
            }
        }
        None
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

    /// Told, once, when the connection is to end because its place is somebody else's.
    pub(super) fn given_up(&self) -> Arc<Notify> {
        self.given_up.clone()
    }

    /// Whether its place may be given to somebody else.
    pub(super) fn is_silent(&self) -> bool {
        !self.proven.load(Ordering::Relaxed)
    }

    fn give_up(&self) -> Option<OwnedSemaphorePermit> {
        let place = self.place.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.given_up.notify_one();
        place
    }

    /// It showed who it is.
    pub(super) fn prove(&self) {
        self.proven.store(true, Ordering::Relaxed);
        drop(self.unproven.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_cannot_take_the_seats_of_those_who_are_let_in() {
        let mut seats = Seats::default();
        let strangers: Vec<_> = std::iter::from_fn(|| seats.take(&Peer::Loopback)).collect();
        assert_eq!(strangers.len(), limits::CONNECTIONS_UNPROVEN_MAX);
        assert!(seats.take(&Peer::Local).is_some_and(|seat| !seat.is_turned_away()));
        strangers[0].prove();
        assert!(seats.take(&Peer::Loopback).is_some(), "one that showed the token makes room for another");
    }

    #[test]
    fn over_the_bound_some_are_told_so_and_the_rest_are_closed() {
        let mut seats = Seats::default();
        let all: Vec<_> = std::iter::from_fn(|| seats.take(&Peer::Local).inspect(|seat| seat.prove())).collect();
        let told = all.iter().filter(|seat| seat.is_turned_away()).count();
        assert_eq!((all.len() - told, told), (limits::CONNECTIONS_MAX, limits::CONNECTIONS_TURNED_AWAY_MAX));
        drop(all);
        assert!(seats.take(&Peer::Local).is_some_and(|seat| !seat.is_turned_away()));
    }

    #[test]
    fn the_oldest_that_has_not_said_hello_gives_its_place_to_one_who_is_let_in() {
        let mut seats = Seats::default();
        let all: Vec<_> = (0..limits::CONNECTIONS_MAX).map(|_| seats.take(&Peer::Local).unwrap()).collect();
        all[0].prove();
        assert!(seats.take(&Peer::Loopback).is_some_and(|seat| seat.is_turned_away()), "not to a stranger");
        let new = seats.take(&Peer::Local).unwrap();
        assert!(!new.is_turned_away());
        let lost = |seat: &Seat| seat.place.lock().unwrap().is_none();
        assert!(lost(&all[1]) && !lost(&all[0]) && !lost(&all[2]) && !lost(&new));
        // Whoever lost its place frees none when it goes.
        drop(all);
        let free = seats.served.available_permits();
        assert_eq!(free, limits::CONNECTIONS_MAX - 1);
    }

    #[test]
    fn what_is_known_of_the_silent_stays_bounded() {
        let mut seats = Seats::default();
        for _ in 0..10 * limits::CONNECTIONS_MAX {
            seats.take(&Peer::Local).unwrap();
        }
        assert!(seats.silent.len() <= 2 * limits::CONNECTIONS_MAX, "{}", seats.silent.len());
    }
}
