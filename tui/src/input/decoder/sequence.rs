//! What a whole escape sequence means.

use super::super::key::{Code, Key};
use super::mouse::mouse;
use super::{Input, Reply, Scheme};

/// Modifiers as the kitty keyboard protocol numbers them, less one. Its super is xterm's meta.
mod held {
    pub(super) const SHIFT: u32 = 1;
    pub(super) const ALT: u32 = 2;
    pub(super) const CTRL: u32 = 4;
    pub(super) const SUPER: u32 = 8;
    pub(super) const HYPER: u32 = 16;
    pub(super) const META: u32 = 32;
    pub(super) const CAPS_LOCK: u32 = 64;
}

/// Code points that the kitty keyboard protocol gives to keys without a character.
const KITTY_KEYS: std::ops::RangeInclusive<u32> = 57344..=63743;
/// `CSI code;modifiers:event`: the key was let go.
const RELEASE: u32 = 3;

/// A key as a terminal without any protocol sends it: one character.
pub(super) fn typed(character: char) -> Option<Key> {
    let letter = |offset: u8| u8::try_from(character).map(|byte| Key::ctrl(char::from(byte + offset))).ok();
    match character {
        '\0' => Some(Key::ctrl(' ')),
        '\t' => Some(Key::plain(Code::Tab)),
        '\r' => Some(Key::plain(Code::Enter)),
        '\u{8}' | '\u{7f}' => Some(Key::plain(Code::Backspace)),
        '\u{1b}' => Some(Key::plain(Code::Escape)),
        '\u{1}'..='\u{1a}' => letter(b'a' - 1),
        '\u{1c}'..='\u{1f}' => letter(b'@'),
        _ => Some(Key::char(character)).filter(|_| !character.is_control()),
    }
}

/// `ESC [ [ A` to `E`.
pub(super) fn console(sequence: &[u8]) -> Input {
    match sequence.last() {
        Some(letter @ b'A'..=b'E') => Input::Key(Key::plain(Code::F(letter - b'A' + 1))),
        _ => Input::Other,
    }
}

/// `ESC O` and a letter; a modifier may be between them.
pub(super) fn ss3(sequence: &[u8]) -> Input {
    let [_, _, parameters @ .., last] = sequence else {
        return Input::Other;
    };
    let fields = fields(parameters);
    let modifiers = fields.last().map_or(0, |field| modifiers(field));
    let keypad = |character: u8| key(u32::from(character), modifiers);
    match last {
        b'j'..=b'o' => keypad(b"*+,-./"[usize::from(last - b'j')]),
        b'p'..=b'y' => keypad(last - b'p' + b'0'),
        b'X' => keypad(b'='),
        b' ' => keypad(b' '),
        b'I' => named(Code::Tab, modifiers),
        b'M' => named(Code::Enter, modifiers),
        // rxvt's arrows with control.
        b'a'..=b'd' => letter(last.to_ascii_uppercase(), held::CTRL),
        _ => letter(*last, modifiers),
    }
}

/// `ESC [`, parameters and a letter.
pub(super) fn csi(sequence: &[u8]) -> Input {
    let [_, _, parameters @ .., last] = sequence else {
        return Input::Other;
    };
    match parameters.first() {
        Some(b'?') => return Input::Reply(reply(&parameters[1..], *last)),
        Some(b'<') => return mouse(&fields(&parameters[1..]), *last).map_or(Input::Other, Input::Mouse),
        Some(b'>' | b'=') => return Input::Reply(Reply::Other),
        _ => {}
    }
    let fields = fields(parameters);
    let first = number(&fields, 0, 0);
    let second = fields.get(1).map_or(&[][..], Vec::as_slice);
    if second.get(1) == Some(&Some(RELEASE)) {
        return Input::Other;
    }
    let modifiers = modifiers(second);
    match (last, parameters) {
        (b'I', []) => Input::Focus(true),
        (b'O', []) => Input::Focus(false),
        (b'~', _) if first == 27 && fields.len() == 3 => key(number(&fields, 2, 0), modifiers),
        (b'~', _) => numbered(first, modifiers),
        // rxvt: with control, and with shift too.
        (b'^', _) => numbered(first, held::CTRL),
        (b'@', _) => numbered(first, held::CTRL | held::SHIFT),
        (b'a'..=b'd', []) => letter(last.to_ascii_uppercase(), held::SHIFT),
        (b'u', _) => kitty(&fields, modifiers),
        // A cursor's position ends with the letter of F3.
        (b'R', [_, ..]) if first != 1 || fields.len() != 2 => Input::Reply(Reply::Other),
        (b'c' | b'n' | b't' | b'x' | b'y', _) => Input::Reply(Reply::Other),
        _ => letter(*last, modifiers),
    }
}

/// `ESC ]`, `ESC P` or `ESC _`, text, and its end.
pub(super) fn text(sequence: &[u8]) -> Input {
    let text = sequence.strip_suffix(b"\x07").or_else(|| sequence.strip_suffix(b"\x1b\\")).unwrap_or_default();
    let colour = text.strip_prefix(b"\x1b]11;").and_then(|colour| std::str::from_utf8(colour).ok()).and_then(colour);
    Input::Reply(match colour {
        Some([red, green, blue]) => Reply::Background { red, green, blue },
        None => Reply::Other,
    })
}

/// `rgb:R/G/B`, each of one to four hexadecimal digits of which all F is the most; `rgba` has one more.
fn colour(text: &str) -> Option<[u8; 3]> {
    let parts = text.strip_prefix("rgb:").or_else(|| text.strip_prefix("rgba:"))?;
    let mut colour = [0; 3];
    let mut parts = parts.split('/');
    for part in &mut colour {
        let digits = parts.next().filter(|digits| (1..=4).contains(&digits.len()) && !digits.starts_with('+'))?;
        let most = (1u32 << (4 * digits.len())) - 1;
        *part = u8::try_from(u32::from_str_radix(digits, 16).ok()? * 255 / most).ok()?;
    }
    Some(colour)
}

fn reply(parameters: &[u8], last: u8) -> Reply {
    let (parameters, is_mode) = match parameters.strip_suffix(b"$") {
        Some(parameters) => (parameters, true),
        None => (parameters, false),
    };
    let fields = fields(parameters);
    let (first, second) = (number(&fields, 0, 0), number(&fields, 1, 0));
    match (last, is_mode) {
        (b'y', true) => match (u16::try_from(first), u8::try_from(second)) {
            (Ok(mode), Ok(state)) => Reply::Mode { mode, state },
            _ => Reply::Other,
        },
        (b'n', false) if (first, second) == (997, 1) => Reply::Scheme(Scheme::Dark),
        (b'n', false) if (first, second) == (997, 2) => Reply::Scheme(Scheme::Light),
        (b'u', false) => u8::try_from(first).map_or(Reply::Other, Reply::KittyFlags),
        (b'c', false) => Reply::Attributes,
        _ => Reply::Other,
    }
}

/// `CSI code:shifted:base;modifiers:event;text u`.
fn kitty(fields: &[Vec<Option<u32>>], modifiers: u32) -> Input {
    // Only here it is the key of that name. Elsewhere it is what xterm calls meta.
    if modifiers & (held::SUPER | held::HYPER) != 0 {
        return Input::Other;
    }
    let part = |part| fields.first().and_then(|code| code.get(part).copied().flatten());
    let text: Vec<char> = fields.get(2).into_iter().flatten().flatten().filter_map(|c| char::from_u32(*c)).collect();
    if modifiers & (held::ALT | held::CTRL | held::META) == 0 && !text.iter().any(|c| c.is_control()) {
        match text[..] {
            [] => {}
            [one] => return Input::Key(Key::char(one)),
            // An input method gives several at once.
            _ => return Input::Paste(text.into_iter().collect()),
        }
    }
    let (code, shifted, base) = (part(0).unwrap_or(1), part(1), part(2));
    match (shifted, base) {
        (Some(shifted), _) if modifiers & (held::SHIFT | held::CTRL) == held::SHIFT => key(shifted, modifiers),
        // With control a key is what it is on a keyboard with Latin letters.
        (_, Some(base)) if modifiers & held::CTRL != 0 && code > 127 => key(base, modifiers),
        _ => key(code, modifiers),
    }
}

/// A key by its code point.
fn key(code: u32, modifiers: u32) -> Input {
    match code {
        9 => return named(Code::Tab, modifiers),
        13 | 57414 => return named(Code::Enter, modifiers),
        27 => return named(Code::Escape, modifiers),
        8 | 127 => return named(Code::Backspace, modifiers),
        57376..=57387 => return u8::try_from(code - 57376 + 13).map_or(Input::Other, |f| named(Code::F(f), modifiers)),
        57417..=57426 => {
            let keypad = [
                Code::Left,
                Code::Right,
                Code::Up,
                Code::Down,
                Code::PageUp,
                Code::PageDown,
                Code::Home,
                Code::End,
                Code::Insert,
                Code::Delete,
            ];
            return named(keypad[(code - 57417) as usize], modifiers);
        }
        _ => {}
    }
    let character = match code {
        57399..=57416 => b"0123456789./*-+\r=,".get((code - 57399) as usize).copied().map(char::from),
        _ if KITTY_KEYS.contains(&code) => None,
        _ => char::from_u32(code).filter(|character| !character.is_control()),
    };
    let Some(character) = character else {
        return Input::Other;
    };
    let ctrl = modifiers & held::CTRL != 0;
    let is_upper = (modifiers & held::SHIFT != 0) != (modifiers & held::CAPS_LOCK != 0);
    let mut upper = character.to_uppercase();
    let code = match (ctrl, is_upper, upper.next(), upper.next()) {
        (true, ..) => character.to_ascii_lowercase(),
        (false, true, Some(upper), None) => upper,
        _ => character,
    };
    let alt = modifiers & (held::ALT | held::SUPER | held::META) != 0;
    Input::Key(Key { code: Code::Char(code), ctrl, alt, shift: false })
}

/// A key by the letter its sequence ends with.
fn letter(last: u8, modifiers: u32) -> Input {
    let code = match last {
        b'A' => Code::Up,
        b'B' => Code::Down,
        b'C' => Code::Right,
        b'D' => Code::Left,
        b'F' => Code::End,
        b'H' => Code::Home,
        b'P'..=b'S' => Code::F(last - b'P' + 1),
        b'Z' => return named(Code::Tab, modifiers | held::SHIFT),
        _ => return Input::Other,
    };
    named(code, modifiers)
}

/// A key by the number before `~`.
fn numbered(number: u32, modifiers: u32) -> Input {
    let function =
        |first: u32, f: u8| u8::try_from(number - first).map_or(Input::Other, |n| named(Code::F(f + n), modifiers));
    match number {
        1 | 7 => named(Code::Home, modifiers),
        2 => named(Code::Insert, modifiers),
        3 => named(Code::Delete, modifiers),
        4 | 8 => named(Code::End, modifiers),
        5 => named(Code::PageUp, modifiers),
        6 => named(Code::PageDown, modifiers),
        11..=15 => function(11, 1),
        17..=21 => function(17, 6),
        23..=26 => function(23, 11),
        28 | 29 => function(28, 15),
        31..=34 => function(31, 17),
        _ => Input::Other,
    }
}

fn named(code: Code, modifiers: u32) -> Input {
    let ctrl = modifiers & held::CTRL != 0;
    let alt = modifiers & (held::ALT | held::SUPER | held::META) != 0;
    Input::Key(Key { code, ctrl, alt, shift: modifiers & held::SHIFT != 0 })
}

/// Modifiers are written with one more.
fn modifiers(field: &[Option<u32>]) -> u32 {
    field.first().copied().flatten().unwrap_or(1).saturating_sub(1)
}

/// Parameters and their parts. None is what is left out or is no number.
fn fields(parameters: &[u8]) -> Vec<Vec<Option<u32>>> {
    let number = |part: &[u8]| std::str::from_utf8(part).ok()?.parse().ok();
    parameters
        .split(|byte| *byte == b';')
        .map(|field| field.split(|byte| *byte == b':').map(number).collect())
        .collect()
}

/// The first part of a field, or what stands for it where it is left out.
pub(super) fn number(fields: &[Vec<Option<u32>>], field: usize, otherwise: u32) -> u32 {
    fields.get(field).and_then(|parts| parts.first().copied().flatten()).unwrap_or(otherwise)
}
