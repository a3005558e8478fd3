//! What a terminal sends for a key, by the key's name.

use std::collections::BTreeMap;

/// Keys that send more than a character.
const LONG: &[(&str, &str)] = &[
    ("enter", "\r"),
    ("tab", "\t"),
    ("esc", "\x1b"),
    ("space", " "),
    ("backspace", "\x7f"),
    ("delete", "\x1b[3~"),
    ("up", "\x1b[A"),
    ("down", "\x1b[B"),
    ("right", "\x1b[C"),
    ("left", "\x1b[D"),
    ("home", "\x1b[H"),
    ("end", "\x1b[F"),
    ("pageup", "\x1b[5~"),
    ("pagedown", "\x1b[6~"),
    ("f1", "\x1bOP"),
    ("shift+tab", "\x1b[Z"),
    ("alt+up", "\x1b[1;3A"),
    ("alt+down", "\x1b[1;3B"),
    ("alt+right", "\x1b[1;3C"),
    ("alt+left", "\x1b[1;3D"),
    ("ctrl+right", "\x1b[1;5C"),
    ("ctrl+left", "\x1b[1;5D"),
    ("ctrl+\\", "\x1c"),
    ("ctrl+_", "\x1f"),
];

/// The bytes of a key.
pub(crate) fn bytes(key: &str) -> Vec<u8> {
    let long: BTreeMap<_, _> = LONG.iter().copied().collect();
    if let Some(bytes) = long.get(key) {
        return bytes.as_bytes().to_vec();
    }
    if let Some(of) = key.strip_prefix("alt+") {
        return [b"\x1b".to_vec(), bytes(of)].concat();
    }
    match (key.strip_prefix("ctrl+").map(str::as_bytes), key.chars().count()) {
        (Some([letter]), _) => vec![letter & 0x1f],
        (None, 1) => key.as_bytes().to_vec(),
        _ => panic!("no key is called {key:?}"),
    }
}

/// All of them, for who presses any.
pub(crate) fn all() -> Vec<String> {
    let long = LONG.iter().map(|(name, _)| (*name).to_owned());
    let plain = (' '..='~').filter(|character| *character != ' ').map(String::from);
    let controls = ('a'..='z').map(|letter| format!("ctrl+{letter}"));
    let alts = ('a'..='z').map(|letter| format!("alt+{letter}"));
    long.chain(plain).chain(controls).chain(alts).collect()
}
