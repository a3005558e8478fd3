//! Sequences for what is beside the screen: the clipboard, notifications, the window's title.
//!
//! What is shown there may be an agent's words. Control characters are taken out, so that no words become a sequence.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Text that is copied at once. Terminals drop what is longer without a word, most of them from about here on.
pub const COPY_BYTES_MAX: usize = 100 * 1024;
/// Characters of a notification or a title. Desktops cut them much shorter.
const WORDS_CHARS_MAX: usize = 250;

/// Rings.
pub const BELL: &[u8] = b"\x07";

/// Puts the text into the clipboard of the person's own machine (OSC 52), wherever this runs; `None` if it is too long.
pub fn copy(text: &str, in_tmux: bool) -> Option<Vec<u8>> {
    if text.len() > COPY_BYTES_MAX {
        return None;
    }
    let sequence = format!("\x1b]52;c;{}\x07", STANDARD.encode(text));
    let mut bytes = sequence.clone().into_bytes();
    if in_tmux {
        // tmux takes the one or lets the other through, as it was told to; doing both does no harm.
        bytes.extend(passed_through(&sequence));
    }
    Some(bytes)
}

/// Shows a notification: terminals know OSC 9 or OSC 777, and leave the other alone.
pub fn notify(heading: &str, text: &str, in_tmux: bool) -> Vec<u8> {
    let (heading, text) = (words(heading).replace(';', ","), words(text));
    let line = if heading.is_empty() { text.clone() } else { format!("{heading}: {text}") };
    // A number first would be another command of OSC 9.
    let space = if line.starts_with(|first: char| first.is_ascii_digit()) { " " } else { "" };
    let sequences = [format!("\x1b]9;{space}{line}\x07"), format!("\x1b]777;notify;{heading};{text}\x07")];
    match in_tmux {
        true => sequences.iter().flat_map(|sequence| passed_through(sequence)).collect(),
        false => sequences.concat().into_bytes(),
    }
}

/// Sets the window's title (OSC 2).
pub fn title(text: &str) -> Vec<u8> {
    format!("\x1b]2;{}\x07", words(text)).into_bytes()
}

/// Past tmux, to the terminal it runs in: every escape twice.
fn passed_through(sequence: &str) -> Vec<u8> {
    format!("\x1bPtmux;{}\x1b\\", sequence.replace('\x1b', "\x1b\x1b")).into_bytes()
}

/// One line without control characters.
fn words(text: &str) -> String {
    let line = text.chars().map(|character| if character.is_whitespace() { ' ' } else { character });
    line.filter(|character| !character.is_control()).take(WORDS_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(bytes: Vec<u8>) -> String {
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn text_goes_to_the_clipboard() {
        assert_eq!(text(copy("hi\n", false).unwrap()), "\x1b]52;c;aGkK\x07");
        let in_tmux = "\x1b]52;c;aGkK\x07\x1bPtmux;\x1b\x1b]52;c;aGkK\x07\x1b\\";
        assert_eq!(text(copy("hi\n", true).unwrap()), in_tmux);
        let most = "x".repeat(COPY_BYTES_MAX);
        assert!(copy(&most, true).is_some_and(|bytes| bytes.len() < 3 * COPY_BYTES_MAX));
        assert_eq!(copy(&format!("{most}x"), false), None);
    }

    #[test]
    fn a_notification_is_one_line_and_no_sequence() {
        assert_eq!(text(notify("fix", "done", false)), "\x1b]9;fix: done\x07\x1b]777;notify;fix;done\x07");
        let hostile = text(notify("a;b\x1b]2;x\x07", "two\r\nlines\u{9c}", false));
        assert_eq!(hostile, "\x1b]9;a,b]2,x: two  lines\x07\x1b]777;notify;a,b]2,x;two  lines\x07");
        assert_eq!(text(notify("", "4;3;50", false)), "\x1b]9; 4;3;50\x07\x1b]777;notify;;4;3;50\x07");
        let in_tmux = "\x1bPtmux;\x1b\x1b]9;a: b\x07\x1b\\\x1bPtmux;\x1b\x1b]777;notify;a;b\x07\x1b\\";
        assert_eq!(text(notify("a", "b", true)), in_tmux);
    }

    #[test]
    fn a_title_is_bounded() {
        assert_eq!(text(title("ropewalk\x07\x1b[2J — é")), "\x1b]2;ropewalk[2J — é\x07");
        assert_eq!(title(&"x".repeat(10_000)).len(), WORDS_CHARS_MAX + 5);
    }

    proptest! {
        #[test]
        fn no_words_become_a_sequence(heading in any::<String>(), body in any::<String>()) {
            let bytes = text([notify(&heading, &body, false), title(&heading)].concat());
            prop_assert_eq!(bytes.chars().filter(|character| character.is_control()).count(), 6);
        }
    }
}
