//! Which keys mean what: the defaults, and what the configuration says instead.

use std::collections::BTreeMap;

use crate::input::{Key, KeyError};

use super::action::{ACTIONS, Action, Scope};

/// What keys that were pressed one after the other mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// This.
    Action(Action),
    /// They begin something longer.
    Begins,
    /// Nothing.
    Nothing,
}

/// Keys that the configuration names wrongly.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeymapError {
    /// There is no such action.
    #[error("there is no action {0:?}; `ropewalk tui --keys` lists them")]
    Action(String),
    /// There is no such key.
    #[error("{action}: {error}")]
    Key {
        /// The action.
        action: String,
        /// What is wrong.
        error: KeyError,
    },
    /// Nothing would end what this begins.
    #[error("{action}: {keys} is, or begins, what {other} has already, {scope}")]
    Taken {
        /// The action.
        action: String,
        /// Its keys.
        keys: String,
        /// The action that has them.
        other: String,
        /// Where.
        scope: &'static str,
    },
}

/// Which keys mean what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keymap {
    leader: Key,
    bindings: BTreeMap<Action, Vec<Vec<Key>>>,
}

impl Default for Keymap {
    fn default() -> Self {
        Self::new(None, &BTreeMap::new()).expect("the default keys are checked by a test")
    }
}

impl Keymap {
    /// The default keys, with others for the actions that are named: `none` or an empty list for none.
    ///
    /// # Errors
    /// The first key or name that is wrong.
    pub fn new(leader: Option<&str>, changed: &BTreeMap<String, Vec<String>>) -> Result<Self, KeymapError> {
        let read = |action: &str, key: &str| {
            key.parse::<Key>().map_err(|error| KeymapError::Key { action: action.to_owned(), error })
        };
        let leader = leader.map_or(Ok(Key::ctrl('x')), |leader| read("leader", leader))?;
        if let Some(name) = changed.keys().find(|name| Action::named(name).is_none()) {
            return Err(KeymapError::Action(name.clone()));
        }
        let mut bindings = BTreeMap::new();
        for row in ACTIONS {
            let keys: Vec<&str> = match changed.get(row.name) {
                Some(keys) => keys.iter().map(String::as_str).filter(|keys| *keys != "none").collect(),
                None => row.keys.split(", ").collect(),
            };
            let each = keys.iter().filter(|keys| !keys.is_empty()).map(|keys| {
                let words = keys.split(' ').filter(|word| !word.is_empty());
                words.map(|key| if key == "leader" { Ok(leader) } else { read(row.name, key) }).collect()
            });
            bindings.insert(row.action, each.collect::<Result<Vec<Vec<Key>>, _>>()?);
        }
        let keymap = Self { leader, bindings };
        keymap.check(changed)?;
        Ok(keymap)
    }

    /// Two actions of one scope may not have the same keys, nor may one's begin another's.
    fn check(&self, changed: &BTreeMap<String, Vec<String>>) -> Result<(), KeymapError> {
        let all = || {
            let row = |(action, keys): (&Action, &Vec<Vec<Key>>)| {
                let row = action.row();
                keys.iter().map(move |keys| (row, keys.clone())).collect::<Vec<_>>()
            };
            self.bindings.iter().flat_map(row)
        };
        for (row, keys) in all() {
            let clash = all().find(|(other, others)| {
                other.scope == row.scope && other.action != row.action && others.starts_with(&keys)
            });
            if let Some((other, others)) = clash {
                // The one that was changed is at fault, if they have the same.
                let is_other = others == keys && changed.contains_key(other.name) && !changed.contains_key(row.name);
                let (row, other) = if is_other { (other, row) } else { (row, other) };
                let (action, keys) = (row.name.to_owned(), self.told(&keys));
                let (other, scope) = (other.name.to_owned(), row.scope.title());
                return Err(KeymapError::Taken { action, keys, other, scope });
            }
        }
        Ok(())
    }

    /// What these keys mean here: the narrowest scope first.
    pub fn meaning(&self, scopes: &[Scope], pressed: &[Key]) -> Meaning {
        for scope in scopes {
            let of_scope = || self.bindings.iter().filter(|(action, _)| action.row().scope == *scope);
            if let Some((action, _)) = of_scope().find(|(_, keys)| keys.iter().any(|keys| keys == pressed)) {
                return Meaning::Action(*action);
            }
        }
        let begins = self.bindings.iter().any(|(action, keys)| {
            scopes.contains(&action.row().scope)
                && keys.iter().any(|keys| keys.len() > pressed.len() && keys.starts_with(pressed))
        });
        if begins { Meaning::Begins } else { Meaning::Nothing }
    }

    /// What may follow the keys that were pressed: the next key, and what it does. For the panel of possible keys.
    pub fn continuations(&self, scopes: &[Scope], pressed: &[Key]) -> Vec<(Key, Action)> {
        let mut found = Vec::new();
        for (action, keys) in self.bindings.iter().filter(|(action, _)| scopes.contains(&action.row().scope)) {
            let longer = keys.iter().filter(|keys| keys.len() > pressed.len() && keys.starts_with(pressed));
            found.extend(longer.map(|keys| (keys[pressed.len()], *action)));
        }
        found.sort_by_key(|(_, action)| *action);
        found
    }

    /// The first keys of an action, as people read them; `None` if it has none.
    pub fn first(&self, action: Action) -> Option<String> {
        self.bindings.get(&action).and_then(|keys| keys.first()).map(|keys| self.told(keys))
    }

    /// All keys of an action, as people read them.
    pub fn all(&self, action: Action) -> String {
        let keys = self.bindings.get(&action).map(Vec::as_slice).unwrap_or_default();
        keys.iter().map(|keys| self.told(keys)).collect::<Vec<_>>().join(", ")
    }

    /// The key that begins most of the longer ones.
    pub fn leader(&self) -> Key {
        self.leader
    }

    fn told(&self, keys: &[Key]) -> String {
        keys.iter().map(Key::to_string).collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(name: &str, keys: &[&str]) -> BTreeMap<String, Vec<String>> {
        BTreeMap::from([(name.to_owned(), keys.iter().map(|key| (*key).to_owned()).collect())])
    }

    #[test]
    fn the_default_keys_do_not_clash() {
        let keymap = Keymap::new(None, &BTreeMap::new()).unwrap();
        let scopes = [Scope::Reading, Scope::Everywhere];
        assert_eq!(keymap.meaning(&scopes, &[Key::char('j')]), Meaning::Action(Action::LineDown));
        assert_eq!(keymap.meaning(&scopes, &[Key::ctrl('x')]), Meaning::Begins);
        assert_eq!(keymap.meaning(&scopes, &[Key::ctrl('x'), Key::char('q')]), Meaning::Action(Action::Quit));
        assert_eq!(keymap.meaning(&scopes, &[Key::ctrl('x'), Key::char('Z')]), Meaning::Nothing);
        assert_eq!(keymap.meaning(&[Scope::Composer], &[Key::char('j')]), Meaning::Nothing);
        assert!(keymap.continuations(&scopes, &[Key::ctrl('x')]).contains(&(Key::char('q'), Action::Quit)));
    }

    #[test]
    fn the_configuration_says_other_keys_or_none() {
        let keymap = Keymap::new(Some("ctrl+a"), &changed("line_start", &["home"])).unwrap();
        assert_eq!(keymap.first(Action::Quit).as_deref(), Some("ctrl+a q"));
        let keymap = Keymap::new(None, &changed("suspend", &["none"])).unwrap();
        assert_eq!(keymap.meaning(&[Scope::Everywhere], &[Key::ctrl('z')]), Meaning::Nothing);
        assert_eq!(keymap.first(Action::Suspend), None);
    }

    #[test]
    fn what_is_wrong_in_the_configuration_is_named() {
        let told = |changed| Keymap::new(None, &changed).unwrap_err().to_string();
        assert!(told(changed("fly", &["f"])).contains("no action \"fly\""));
        assert!(told(changed("quit", &["strg+q"])).contains("quit: \"strg+q\" is no key"));
        assert!(told(changed("quit", &["ctrl+p"])).contains("palette"));
        assert!(told(changed("quit", &["ctrl+x"])).contains("begins"), "it would end what the leader begins");
    }
}
