//! Names of sessions: no two sessions that are not deleted have the same one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ropewalk_protocol::{Code, Rejection, Seq, SessionId};

/// Names in use or reserved. Clones share them.
///
/// A session has the name that the log says, and besides it one for each command on its way that is to name it. Several
/// may be on their way, be answered in another order than the log's, and reserve the same name.
#[derive(Debug, Clone, Default)]
pub struct Names(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    owners: HashMap<String, SessionId>,
    sessions: HashMap<SessionId, Held>,
}

/// What one session has.
#[derive(Debug, Default)]
struct Held {
    /// As the log says, and where it said so last.
    named: Option<String>,
    at: Seq,
    /// Once for each command.
    reserved: Vec<String>,
    is_deleted: bool,
}

impl Names {
    /// The names that the log says are in use.
    pub fn new(names: impl IntoIterator<Item = (String, SessionId)>) -> Self {
        let mut state = State::default();
        for (name, session) in names {
            state.set(&name, session, Seq::ZERO);
        }
        Self(Arc::new(Mutex::new(state)))
    }

    /// Takes a name for a session, before its command is decided. It is kept until [`Names::release`].
    ///
    /// # Errors
    /// `name_taken`, naming who has it; `busy` while a command on its way may give it to another session, or may not.
    pub(crate) fn reserve(&self, name: &str, session: SessionId) -> Result<(), Rejection> {
        let mut state = self.lock();
        if let Some(owner) = state.owners.get(name).filter(|owner| **owner != session) {
            // Who only reserved it may be refused: that session may not even be there.
            let has_it = state.sessions.get(owner).is_some_and(|held| held.named.as_deref() == Some(name));
            return Err(match has_it {
                true => Rejection::new(Code::NameTaken, format!("the name {name} is taken by session {owner}")),
                false => Rejection::new(Code::Busy, format!("session {owner} may be about to get the name {name}")),
            });
        }
        state.owners.insert(name.to_owned(), session);
        state.sessions.entry(session).or_default().reserved.push(name.to_owned());
        Ok(())
    }

    /// The command that reserved this name is over, and [`Names::set`] was told if it named the session.
    pub(crate) fn release(&self, name: &str, session: SessionId) {
        let mut state = self.lock();
        if let Some(held) = state.sessions.get_mut(&session)
            && let Some(place) = held.reserved.iter().position(|reserved| reserved == name)
        {
            held.reserved.swap_remove(place);
        }
        state.tidy(session, [name.to_owned()]);
    }

    /// The log says at this place that a session has this name.
    pub(crate) fn set(&self, name: &str, session: SessionId, at: Seq) {
        self.lock().set(name, session, at);
    }

    /// The session is deleted: its names are free.
    pub(crate) fn free_all(&self, session: SessionId) {
        let mut state = self.lock();
        let Some(held) = state.sessions.get_mut(&session) else { return };
        // Commands on their way find it deleted; until the last one did, what they say of its name is of the past.
        held.is_deleted = true;
        let named = held.named.take();
        state.tidy(session, named);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn set(&mut self, name: &str, session: SessionId, at: Seq) {
        let held = self.sessions.entry(session).or_default();
        if held.is_deleted || at < held.at {
            return;
        }
        held.at = at;
        let before = held.named.replace(name.to_owned());
        self.owners.insert(name.to_owned(), session);
        self.tidy(session, before);
    }

    /// Frees those of these names that a session has no more.
    fn tidy(&mut self, session: SessionId, names: impl IntoIterator<Item = String>) {
        let Some(held) = self.sessions.get(&session) else { return };
        for name in names {
            let has = held.named.as_ref() == Some(&name) || held.reserved.contains(&name);
            if !has && self.owners.get(&name) == Some(&session) {
                self.owners.remove(&name);
            }
        }
        if held.named.is_none() && held.reserved.is_empty() {
            self.sessions.remove(&session);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: SessionId = SessionId::from_bytes([1; 16]);
    const TWO: SessionId = SessionId::from_bytes([2; 16]);

    fn is_free(names: &Names, name: &str) -> bool {
        let free = names.reserve(name, TWO).is_ok();
        if free {
            names.release(name, TWO);
        }
        free
    }

    #[test]
    fn a_name_is_taken_while_a_session_has_it_or_may_get_it() {
        let names = Names::new([("old".to_owned(), ONE)]);
        assert!(!is_free(&names, "old"));
        names.reserve("new", ONE).unwrap();
        assert!(!is_free(&names, "old") && !is_free(&names, "new"));
        names.set("new", ONE, Seq(5));
        names.release("new", ONE);
        assert!(is_free(&names, "old") && !is_free(&names, "new"));
        // One that was refused leaves the name that there is, also where it is the same.
        for name in ["other", "new"] {
            names.reserve(name, ONE).unwrap();
            names.release(name, ONE);
        }
        assert!(is_free(&names, "other") && !is_free(&names, "new"));
        names.free_all(ONE);
        assert!(is_free(&names, "new"));
        assert!(names.lock().sessions.is_empty() && names.lock().owners.is_empty(), "nothing is kept of it");
    }

    #[test]
    fn a_name_is_refused_for_good_only_where_the_log_says_that_a_session_has_it() {
        let names = Names::new([("old".to_owned(), ONE)]);
        names.reserve("new", ONE).unwrap();
        let code = |name| names.reserve(name, TWO).unwrap_err().code;
        assert_eq!((code("old"), code("new")), (Code::NameTaken, Code::Busy));
        names.set("new", ONE, Seq(5));
        assert_eq!(code("new"), Code::NameTaken);
    }

    #[test]
    fn regression_two_commands_that_reserve_one_name_have_it_until_both_are_over() {
        let names = Names::new([("old".to_owned(), ONE)]);
        names.reserve("new", ONE).unwrap();
        names.reserve("new", ONE).unwrap();
        names.release("new", ONE);
        assert!(!is_free(&names, "new"), "the other one may still be done");
        names.release("new", ONE);
        assert!(is_free(&names, "new") && !is_free(&names, "old"));
    }

    #[test]
    fn regression_what_the_log_says_of_one_command_takes_nothing_from_another() {
        let names = Names::new([("old".to_owned(), ONE)]);
        names.reserve("a", ONE).unwrap();
        names.reserve("b", ONE).unwrap();
        names.set("a", ONE, Seq(5));
        assert!(!is_free(&names, "b"), "its command is on its way");
        names.set("b", ONE, Seq(6));
        names.release("b", ONE);
        names.release("a", ONE);
        assert!(is_free(&names, "a") && !is_free(&names, "b"));
    }

    #[test]
    fn the_log_decides_in_whatever_order_answers_come() {
        let names = Names::new([("old".to_owned(), ONE)]);
        names.reserve("a", ONE).unwrap();
        names.reserve("b", ONE).unwrap();
        names.set("b", ONE, Seq(6));
        names.release("b", ONE);
        names.set("a", ONE, Seq(5));
        names.release("a", ONE);
        assert!(is_free(&names, "a") && !is_free(&names, "b"));
    }

    #[test]
    fn a_session_that_was_deleted_gets_no_name_from_an_answer_that_comes_late() {
        let names = Names::new([("old".to_owned(), ONE)]);
        names.reserve("new", ONE).unwrap();
        names.free_all(ONE);
        assert!(is_free(&names, "old") && !is_free(&names, "new"));
        names.set("new", ONE, Seq(5));
        names.release("new", ONE);
        assert!(is_free(&names, "new"));
        assert!(names.lock().sessions.is_empty() && names.lock().owners.is_empty(), "nothing is kept of it");
    }
}
