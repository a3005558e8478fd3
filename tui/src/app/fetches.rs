//! What is read anew because something happened to it: not more often than a person can see, one read of a thing at a time.

use std::collections::BTreeMap;
use std::time::Duration;

use ropewalk_protocol::Timestamp;

use super::event::Read;

/// A thing is read no sooner than this after it was read last: agents that work change all the time.
const PAUSE_MILLIS: u64 = 100;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct One {
    /// It was asked for, and has not come.
    is_asked: bool,
    /// It changed since it was asked for.
    is_stale: bool,
    /// When it was asked for.
    at: Option<Timestamp>,
}

/// What is to be read anew.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Fetches(BTreeMap<Read, One>);

impl Fetches {
    /// It changed, or is wanted.
    pub(super) fn want(&mut self, read: Read) {
        self.0.entry(read).or_default().is_stale = true;
    }

    /// How long the daemon has let the oldest question wait that is not answered.
    pub(super) fn lag(&self, now: Timestamp) -> Duration {
        let waiting = self.0.values().filter(|one| one.is_asked);
        waiting.filter_map(|one| one.at).map(|at| now.since(at)).max().unwrap_or_default()
    }

    /// It came, or failed.
    pub(super) fn came(&mut self, read: Read) {
        if let Some(one) = self.0.get_mut(&read) {
            one.is_asked = false;
        }
    }

    /// Nothing that was asked for will come: the connection it was asked on is another one's now.
    pub(super) fn forget(&mut self, read: Read) {
        self.0.remove(&read);
    }

    /// Whether it is on its way, or to be asked for.
    pub(super) fn is_waiting(&self, read: Read) -> bool {
        self.0.get(&read).is_some_and(|one| one.is_asked || one.is_stale)
    }

    /// Whether anything is on its way.
    pub(super) fn is_any_waiting(&self) -> bool {
        self.0.values().any(|one| one.is_asked)
    }

    /// What is to be asked for now.
    pub(super) fn due(&mut self, now: Timestamp) -> Vec<Read> {
        self.0.retain(|_, one| {
            one.is_asked || one.is_stale || one.at.is_some_and(|at| now < at.plus_millis(PAUSE_MILLIS))
        });
        let mut due = Vec::new();
        for (read, one) in &mut self.0 {
            if one.is_stale && !one.is_asked && one.at.is_none_or(|at| now >= at.plus_millis(PAUSE_MILLIS) || now < at)
            {
                *one = One { is_asked: true, is_stale: false, at: Some(now) };
                due.push(*read);
            }
        }
        due
    }

    /// When something will be due.
    pub(super) fn wake(&self) -> Option<Timestamp> {
        let waiting = self.0.values().filter(|one| one.is_stale && !one.is_asked);
        waiting.filter_map(|one| one.at).map(|at| at.plus_millis(PAUSE_MILLIS)).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thing_is_read_once_at_a_time_and_not_too_often() {
        let at = |millis: u64| Timestamp::from_unix_micros(millis * 1000);
        let mut fetches = Fetches::default();
        fetches.want(Read::Asks);
        assert_eq!(fetches.due(at(1000)), [Read::Asks]);
        fetches.want(Read::Asks);
        assert_eq!(fetches.due(at(2000)), [], "the first one has not come");
        assert_eq!(fetches.lag(at(2000)), Duration::from_secs(1));
        fetches.came(Read::Asks);
        assert_eq!(fetches.due(at(2000)), [Read::Asks]);
        fetches.came(Read::Asks);
        fetches.want(Read::Asks);
        assert_eq!((fetches.due(at(2050)), fetches.wake()), (vec![], Some(at(2100))));
        assert_eq!(fetches.due(at(2100)), [Read::Asks]);
        fetches.came(Read::Asks);
        assert_eq!((fetches.due(at(2300)), fetches.wake()), (vec![], None));
        assert_eq!(fetches, Fetches::default(), "nothing is remembered of what is read");
        assert_eq!(fetches.lag(at(9000)), Duration::ZERO);
    }
}
