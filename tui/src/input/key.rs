//! A key with its modifiers, and its name in the configuration: `ctrl+x`, `shift+tab`, `alt+enter`, `?`, `space`, `f5`.

use std::fmt;
use std::str::FromStr;

/// What is pressed, without modifiers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
    /// A character, as it is typed: shift is in it.
    Char(char),
    /// Return.
    Enter,
    /// Tab.
    Tab,
    /// Deletes to the left.
    Backspace,
    /// Escape.
    Escape,
    /// An arrow.
    Up,
    /// An arrow.
    Down,
    /// An arrow.
    Left,
    /// An arrow.
    Right,
    /// To the beginning.
    Home,
    /// To the end.
    End,
    /// A page up.
    PageUp,
    /// A page down.
    PageDown,
    /// Insert.
    Insert,
    /// Deletes to the right.
    Delete,
    /// A function key, from 1.
    F(u8),
}

/// A key with its modifiers. Shift is only told of where the code does not have it already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// What is pressed.
    pub code: Code,
    /// With control.
    pub ctrl: bool,
    /// With alt.
    pub alt: bool,
    /// With shift; never beside a character.
    pub shift: bool,
}

/// A name that is no key's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no key; keys are called a, A, ?, space, enter, tab, esc, up, home, pageup, f5, ctrl+x, alt+enter, shift+tab"
)]
pub struct KeyError(pub String);

const NAMES: &[(&str, Code)] = &[
    ("space", Code::Char(' ')),
    ("enter", Code::Enter),
    ("tab", Code::Tab),
    ("backspace", Code::Backspace),
    ("esc", Code::Escape),
    ("up", Code::Up),
    ("down", Code::Down),
    ("left", Code::Left),
    ("right", Code::Right),
    ("home", Code::Home),
    ("end", Code::End),
    ("pageup", Code::PageUp),
    ("pagedown", Code::PageDown),
    ("insert", Code::Insert),
    ("delete", Code::Delete),
];

impl Key {
    /// The key alone.
    pub const fn plain(code: Code) -> Self {
        Self { code, ctrl: false, alt: false, shift: false }
    }

    /// A character.
    pub const fn char(character: char) -> Self {
        Self::plain(Code::Char(character))
    }

    /// A character with control.
    pub const fn ctrl(character: char) -> Self {
        Self { ctrl: true, ..Self::char(character) }
    }

    /// The same with alt.
    #[must_use]
    pub const fn with_alt(self) -> Self {
        Self { alt: true, ..self }
    }

    /// The same with shift.
    #[must_use]
    pub const fn with_shift(self) -> Self {
        Self { shift: true, ..self }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (is_held, name) in [(self.ctrl, "ctrl+"), (self.alt, "alt+"), (self.shift, "shift+")] {
            if is_held {
                f.write_str(name)?;
            }
        }
        match (self.code, NAMES.iter().find(|(_, code)| *code == self.code)) {
            (_, Some((name, _))) => f.write_str(name),
            (Code::F(number), None) => write!(f, "f{number}"),
            (Code::Char(character), None) => write!(f, "{character}"),
            (_, None) => Ok(()),
        }
    }
}

impl FromStr for Key {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let error = || KeyError(text.to_owned());
        let mut key = Key::char(' ');
        let mut rest = text;
        loop {
            let (held, after) = match rest.split_once('+') {
                Some(("ctrl", after)) => (&mut key.ctrl, after),
                Some(("alt", after)) => (&mut key.alt, after),
                Some(("shift", after)) => (&mut key.shift, after),
                _ => break,
            };
            if *held || after.is_empty() {
                return Err(error());
            }
            (*held, rest) = (true, after);
        }
        let mut characters = rest.chars();
        key.code = match (characters.next(), characters.as_str()) {
            (Some(only), "") if !only.is_control() && only != ' ' => Code::Char(only),
            (Some('f'), number) if number.parse::<u8>().is_ok_and(|number| (1..=24).contains(&number)) => {
                Code::F(number.parse().map_err(|_| error())?)
            }
            _ => NAMES.iter().find(|(name, _)| *name == rest).map(|(_, code)| *code).ok_or_else(error)?,
        };
        if let (Code::Char(character), true) = (key.code, key.shift) {
            // A terminal tells of an upper-case letter, not of shift.
            key.shift = false;
            if key.ctrl || !character.is_alphabetic() {
                return Err(error());
            }
            key.code = Code::Char(character.to_ascii_uppercase());
        }
        if let (Code::Char(character), true) = (key.code, key.ctrl) {
            key.code = Code::Char(character.to_ascii_lowercase());
        }
        Ok(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_keys_are_read_and_written() {
        for name in
            ["a", "A", "?", "+", "space", "ctrl+x", "ctrl+space", "alt+enter", "shift+tab", "ctrl+alt+u", "f12", "esc"]
        {
            let key: Key = name.parse().unwrap();
            assert_eq!(key.to_string(), name);
        }
        assert_eq!("shift+a".parse(), Ok(Key::char('A')));
        for wrong in ["", "ctrl+", "ctrl+ctrl+a", "f0", "f25", "strg+x", "xx", "shift+1", " ", "ctrl"] {
            assert!(wrong.parse::<Key>().is_err(), "{wrong:?}");
        }
    }
}
