//! Names of sessions: no two sessions that are not deleted have the same one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ropewalk_protocol::{Code, Rejection, SessionId};

/// Names in use or reserved. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Names(Arc<Mutex<HashMap<String, SessionId>>>);

impl Names {
    /// The names that the log says are in use.
    pub fn new(names: impl IntoIterator<Item = (String, SessionId)>) -> Self {
        Self(Arc::new(Mutex::new(names.into_iter().collect())))
    }

    /// Takes a name for a session, before its command is decided; false when the session has it already.
    ///
    /// # Errors
    /// `name_taken`, naming who has it.
    pub(crate) fn reserve(&self, name: &str, session: SessionId) -> Result<bool, Rejection> {
        let mut names = self.lock();
        match names.get(name) {
            Some(owner) if *owner != session => {
                Err(Rejection::new(Code::NameTaken, format!("the name {name} is taken by session {owner}")))
            }
            Some(_) => Ok(false),
            None => {
                names.insert(name.to_owned(), session);
                Ok(true)
            }
        }
    }

    /// The log says that a session has this name.
    pub(crate) fn set(&self, name: &str, session: SessionId) {
        let mut names = self.lock();
        names.retain(|_, owner| *owner != session);
        names.insert(name.to_owned(), session);
    }

    /// Gives a name back, if this session has it.
    pub(crate) fn free(&self, name: &str, session: SessionId) {
        let mut names = self.lock();
        if names.get(name) == Some(&session) {
            names.remove(name);
        }
    }

    /// The names of this session.
    pub(crate) fn of(&self, session: SessionId) -> Vec<String> {
        self.lock().iter().filter(|(_, owner)| **owner == session).map(|(name, _)| name.clone()).collect()
    }

    /// Gives back all names of this session.
    pub(crate) fn free_all(&self, session: SessionId) {
        self.lock().retain(|_, owner| *owner != session);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, SessionId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
