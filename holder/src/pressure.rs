//! Whether a program waits for the disk or writes on into the spool. Pure: the time comes in as a value.
//!
//! While the daemon makes bytes durable, a program that is faster than the disk waits for it, as it would for a slow
//! terminal: its bytes never fill the spool. Once nothing became durable for a while, the daemon is stopped or its disk
//! is full, and the program goes on into the spool. When bytes become durable again, half of the room they leave is the
//! program's and half is given back, until no more than the window is kept: a program is never shut out while a long
//! backlog is worked off, and the backlog always shrinks.

use std::time::{Duration, Instant};

use ropewalk_protocol::limits;

const WINDOW_BYTES: u64 = limits::HOLDER_WINDOW_BYTES_MAX as u64;

/// How far one program may run ahead of what is durable.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Pressure {
    /// Kept bytes at which the program waits. `None`: it goes on while there is room at all.
    ceiling: Option<u64>,
    waits_since: Option<Instant>,
}

impl Pressure {
    /// A daemon takes the stream up while this much is kept.
    pub(crate) fn followed(&mut self, kept: u64) {
        *self = Self { ceiling: Some(kept.max(WINDOW_BYTES)), waits_since: None };
    }

    /// No daemon follows any more.
    pub(crate) fn left(&mut self) {
        *self = Self::default();
    }

    /// Some of what was kept became durable; `kept` is what is left.
    pub(crate) fn eased(&mut self, freed: u64, kept: u64) {
        if freed == 0 {
            return;
        }
        let shared = kept.saturating_add(freed / 2);
        let ceiling = self.ceiling.map_or(shared, |ceiling| ceiling.min(shared));
        *self = Self { ceiling: Some(ceiling.max(WINDOW_BYTES)), waits_since: None };
    }

    /// How much the program may write while this much is kept. 0 means: it waits.
    pub(crate) fn allowance(&self, kept: u64) -> u64 {
        self.ceiling.map_or(u64::MAX, |ceiling| ceiling.saturating_sub(kept))
    }

    /// Looks at the time: until when the program waits, if it does. `heard` is when the daemon last said of any stream
    /// that bytes of it are durable; after `patience` without such word the program goes on.
    pub(crate) fn look(&mut self, kept: u64, now: Instant, heard: Instant, patience: Duration) -> Option<Instant> {
        if self.allowance(kept) > 0 {
            self.waits_since = None;
            return None;
        }
        let until = (*self.waits_since.get_or_insert(now)).max(heard) + patience;
        if now < until {
            return Some(until);
        }
        self.left();
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(2);

    fn later(from: Instant, millis: u64) -> Instant {
        from + Duration::from_millis(millis)
    }

    fn followed() -> Pressure {
        let mut pressure = Pressure::default();
        pressure.followed(0);
        pressure
    }

    #[test]
    fn without_a_daemon_a_program_goes_on() {
        let mut pressure = Pressure::default();
        let now = Instant::now();
        assert!(pressure.allowance(u64::MAX) > 0);
        assert_eq!(pressure.look(u64::MAX, now, now, PATIENCE), None);
    }

    #[test]
    fn a_program_faster_than_a_disk_that_works_waits_for_ever_at_the_window() {
        let mut pressure = followed();
        let (mut now, mut kept) = (Instant::now(), WINDOW_BYTES);
        for _ in 0..1000 {
            let heard = now;
            now = later(now, 1999);
            assert!(pressure.look(kept, now, heard, PATIENCE).is_some() && pressure.allowance(kept) == 0);
            kept -= 1_000_000;
            pressure.eased(1_000_000, kept);
            assert!(pressure.allowance(kept) > 0);
            kept = WINDOW_BYTES;
        }
    }

    #[test]
    fn a_program_goes_on_once_nothing_became_durable_for_the_patience() {
        let mut pressure = followed();
        let start = Instant::now();
        assert_eq!(pressure.look(WINDOW_BYTES, start, start, PATIENCE), Some(start + PATIENCE));
        assert_eq!(pressure.look(WINDOW_BYTES, later(start, 1999), start, PATIENCE), Some(start + PATIENCE));
        assert_eq!(pressure.look(WINDOW_BYTES, later(start, 2000), start, PATIENCE), None);
        assert!(pressure.allowance(WINDOW_BYTES * 200) > 0);
    }

    #[test]
    fn the_patience_is_counted_from_when_the_program_began_to_wait_or_another_stream_was_stored() {
        let mut pressure = followed();
        let start = Instant::now();
        let began = later(start, 60_000);
        assert_eq!(pressure.look(WINDOW_BYTES, began, start, PATIENCE), Some(began + PATIENCE));
        let heard = later(began, 1500);
        assert_eq!(pressure.look(WINDOW_BYTES, later(began, 2100), heard, PATIENCE), Some(heard + PATIENCE));
    }

    #[test]
    fn a_backlog_shrinks_while_its_program_goes_on_until_the_window_holds_again() {
        let mut pressure = Pressure::default();
        let mut kept = 100 * WINDOW_BYTES;
        pressure.followed(kept);
        assert!(pressure.allowance(kept) == 0, "it waits for the first word of the daemon");
        let mut rounds = 0;
        while kept > WINDOW_BYTES {
            let freed = 1_000_000.min(kept);
            kept -= freed;
            pressure.eased(freed, kept);
            let allowance = pressure.allowance(kept);
            assert!((1..=freed / 2).contains(&allowance) || kept < WINDOW_BYTES, "half of it is the program's");
            // It writes all it may.
            kept += allowance;
            rounds += 1;
        }
        assert!(rounds > 100);
        assert_eq!(pressure.ceiling, Some(WINDOW_BYTES));
    }

    #[test]
    fn a_program_that_was_silent_meanwhile_gets_no_more_than_the_window_afterwards() {
        let mut pressure = Pressure::default();
        pressure.followed(50 * WINDOW_BYTES);
        let mut kept = 50 * WINDOW_BYTES;
        while kept > 0 {
            kept -= WINDOW_BYTES / 4;
            pressure.eased(WINDOW_BYTES / 4, kept);
        }
        assert_eq!(pressure.ceiling, Some(WINDOW_BYTES));
    }

    #[test]
    fn word_of_nothing_new_changes_nothing() {
        let mut pressure = followed();
        let start = Instant::now();
        pressure.look(WINDOW_BYTES, start, start, PATIENCE);
        pressure.look(WINDOW_BYTES, later(start, 2000), start, PATIENCE);
        pressure.eased(0, WINDOW_BYTES * 9);
        assert!(pressure.allowance(WINDOW_BYTES * 9) > 0);
    }
}
