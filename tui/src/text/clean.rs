//! Text of agents without what a terminal would obey, or with it made visible. Linear in the text.
//!
//! [`clean`] is for reading: escape sequences are taken out whole, and what a line was overwritten with is kept.
//! [`visible`] is for deciding: nothing is taken out, and what would not be seen is shown as what it is.

use std::borrow::Cow;

use unicode_width::UnicodeWidthChar;

/// Characters of a line that are shown: far more than any window has, and few enough to lay out at once.
pub const LINE_CHARS_MAX: usize = 16 * 1024;
/// Cells from one tab stop to the next.
const TAB_STOP: usize = 4;
/// Marks above and below one character: more than any script needs.
const MARKS_MAX: usize = 8;

mod visible;

pub use visible::{Seen, visible, visible_line, visible_spans};

/// The text as lines that end in `\n`, with nothing in them that a terminal obeys. Tabs are blanks to the next stop, a line
/// that was written over is what it was at last, and characters that turn the direction of reading are dots.
pub fn clean(text: &str) -> String {
    // Where the last character is that ends a command, or any other string: none is looked for behind it.
    let (command_end, string_end) = (text.rfind(ends_command), text.rfind(ends_string));
    let mut out = Output { text: String::with_capacity(text.len()), ..Output::default() };
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        let at = text.len() - after.len();
        rest = match c {
            '\x1b' | '\u{90}' | '\u{98}' | '\u{9b}'..='\u{9f}' => {
                let is_behind = |end: Option<usize>| end.is_some_and(|end| end >= at);
                sequence(c, after, is_behind(command_end), is_behind(string_end))
            }
            _ => {
                out.push(c);
                after
            }
        };
    }
    out.end_line();
    out.text
}

/// The same on one line: blanks and ends of lines are one blank each.
pub fn one_line(text: &str) -> String {
    let mut line = String::new();
    for word in clean(text).split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    line
}

/// A piece of text that was cleaned before, and may have got characters since that a terminal obeys, such as by a
/// reference to a character by its number.
pub fn again(text: &str) -> Cow<'_, str> {
    if text.chars().any(|c| c.is_control() || turns(c)) {
        Cow::Owned(clean(text).replace('\n', " "))
    } else {
        text.into()
    }
}

/// What is behind the sequence that this character begins; whether anything follows that ends a command or another string.
fn sequence(introducer: char, rest: &str, ends_command: bool, ends_string: bool) -> &str {
    let (introducer, rest) = match (introducer, rest.chars().next()) {
        ('\x1b', Some(c @ ('[' | ']' | 'P' | 'X' | '^' | '_'))) => (c, &rest[1..]),
        ('\x1b', _) => return escape(rest),
        ('\u{9b}', _) => ('[', rest),
        ('\u{9d}', _) => (']', rest),
        ('\u{9c}', _) => return rest,
        _ => ('P', rest),
    };
    match introducer {
        '[' => control(rest),
        ']' => string(rest, self::ends_command, ends_command),
        _ => string(rest, self::ends_string, ends_string),
    }
}

/// Behind ESC: intermediate bytes, and one that ends it.
fn escape(rest: &str) -> &str {
    let end = rest.trim_start_matches(|c| matches!(c, ' '..='/'));
    match end.chars().next() {
        Some('0'..='~') => &end[1..],
        _ => end,
    }
}

/// Behind CSI: parameters, intermediate bytes, and one that ends it. A character that has no place in it ends it too, and
/// is text.
fn control(rest: &str) -> &str {
    let end = rest.trim_start_matches(|c| matches!(c, ' '..='?'));
    match end.chars().next() {
        Some('@'..='~') => &end[1..],
        _ => end,
    }
}

/// Behind OSC, DCS and their like. One without an end takes no more than its line along: what follows is to be seen.
fn string(rest: &str, is_end: fn(char) -> bool, has_end: bool) -> &str {
    let Some(end) = has_end.then(|| rest.find(is_end)).flatten() else {
        return rest.find('\n').map_or("", |end| &rest[end..]);
    };
    let behind = &rest[end..];
    match behind.strip_prefix('\x1b') {
        Some(after) => after.strip_prefix('\\').unwrap_or(behind),
        None => behind.chars().next().map_or("", |c| &behind[c.len_utf8()..]),
    }
}

fn ends_string(c: char) -> bool {
    matches!(c, '\x1b' | '\u{9c}' | '\x18' | '\x1a')
}

/// A bell ends a command, and nothing else.
fn ends_command(c: char) -> bool {
    ends_string(c) || c == '\x07'
}

/// Characters that change in which direction what follows is read.
pub(super) fn turns(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Lines as they become.
#[derive(Default)]
struct Output {
    text: String,
    /// Where the line begins that is written.
    line: usize,
    cells: usize,
    chars: usize,
    /// Characters of the line that were left out.
    left_out: usize,
    /// Marks on the last character.
    marks: usize,
    /// The next character is written over the line.
    is_returned: bool,
}

impl Output {
    fn push(&mut self, c: char) {
        match c {
            '\n' | '\u{2028}' | '\u{2029}' | '\x0b' | '\x0c' => {
                self.end_line();
                self.text.push('\n');
                self.line = self.text.len();
            }
            '\r' => self.is_returned = true,
            '\x08' => self.back(),
            '\t' => {
                for _ in 0..TAB_STOP - self.cells % TAB_STOP {
                    self.write(' ', 1);
                }
            }
            _ if c.is_control() => {}
            _ if turns(c) => self.write('·', 1),
            _ => self.write(c, c.width().unwrap_or(0)),
        }
    }

    fn write(&mut self, c: char, width: usize) {
        if std::mem::take(&mut self.is_returned) {
            self.text.truncate(self.line);
            (self.cells, self.chars, self.left_out, self.marks) = (0, 0, 0, 0);
        }
        self.marks = if width == 0 { self.marks + 1 } else { 0 };
        if self.marks > MARKS_MAX {
            return;
        }
        self.cells += width;
        if self.chars >= LINE_CHARS_MAX {
            self.left_out += 1;
            return;
        }
        self.chars += 1;
        self.text.push(c);
    }

    fn back(&mut self) {
        if self.left_out == 0
            && self.text.len() > self.line
            && let Some(c) = self.text.pop()
        {
            self.chars -= 1;
            self.cells -= c.width().unwrap_or(0).min(self.cells);
        }
    }

    fn end_line(&mut self) {
        if self.left_out > 0 {
            self.text.push_str(&format!(" … {} more characters", self.left_out));
        }
        *self = Self { text: std::mem::take(&mut self.text), ..Self::default() };
        self.line = self.text.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_taken_out_whole() {
        for (raw, cleaned) in [
            ("\x1b[31mred\x1b[0m plain", "red plain"),
            ("\x1b]0;title\x07a\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "alink"),
            ("\x1bP1$qm\x1b\\a\x1b_apc\x1b\\b\x1b^pm\x1b\\c\x1bXsos\x1b\\d", "abcd"),
            ("\u{9b}2Ja\u{9d}52;c;x\u{9c}b\u{90}q\nq\u{9c}c", "abc"),
            ("\x1b(Ba\x1b7b\x1bcc\x1b#8d", "abcd"),
            ("bell\x07 nul\0 del\x7f c1\u{85}", "bell nul del c1"),
            ("\x1b[31", ""),
            ("a\x1b", "a"),
            ("\x1b[3\u{e9}t\u{e9}", "\u{e9}t\u{e9}"),
        ] {
            assert_eq!(clean(raw), cleaned, "{raw:?}");
        }
    }

    #[test]
    fn a_sequence_without_an_end_hides_no_more_than_its_line() {
        assert_eq!(clean("a\x1b]0;never ended\nseen"), "a\nseen");
        assert_eq!(clean("a\x1bPnever\x07 ended\nseen"), "a\nseen", "a bell ends a command only");
        assert_eq!(clean("\x1b]0;cut\x1b[1mseen"), "seen");
    }

    #[test]
    fn a_line_that_is_written_over_is_what_it_was_at_last() {
        assert_eq!(clean("10%\r20%\r100%\ndone\r\n"), "100%\ndone\n");
        assert_eq!(clean("|\x08/\x08-"), "-");
        assert_eq!(clean("a\r\x1b[K"), "a", "nothing was written over it");
        assert_eq!(clean("a\n\x08\x08b"), "a\nb");
    }

    #[test]
    fn tabs_go_to_the_next_stop_and_lines_end_as_they_do_here() {
        assert_eq!(clean("a\tb\t\tc"), "a   b       c");
        assert_eq!(clean("漢\tx"), "漢  x");
        assert_eq!(clean("a\u{2028}b\u{2029}c\x0cd"), "a\nb\nc\nd");
    }

    #[test]
    fn what_turns_the_direction_of_reading_is_seen() {
        assert_eq!(clean("a\u{202e}b\u{2066}c\u{2069}"), "a·b·c·");
        assert_eq!(again("a\u{1b}[2Jb\u{202e}"), "ab·");
        assert!(matches!(again("as it is"), Cow::Borrowed("as it is")));
        assert_eq!(one_line(" a\n\n\tb \x1b[1mc "), "a b c");
    }

    #[test]
    fn lines_and_marks_are_bounded() {
        let long = clean(&format!("{}\nshort", "x".repeat(LINE_CHARS_MAX + 5)));
        let (first, second) = long.split_once('\n').unwrap();
        assert_eq!(second, "short");
        assert!(first.ends_with("x … 5 more characters"), "{}", &first[first.len() - 40..]);
        assert_eq!(clean(&format!("e{}x", "\u{301}".repeat(500))).chars().count(), MARKS_MAX + 2);
    }

    #[test]
    fn whatever_comes_nothing_is_left_that_a_terminal_obeys() {
        let alphabet = ['\x1b', '[', ']', 'P', '\\', '\x07', '\n', '\r', '\u{9b}', '\u{9c}', 'm', ';', '0', 'é', '\t'];
        let mut state = 1_u64;
        for _ in 0..2000 {
            let text: String = (0..12)
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    alphabet[(state >> 33) as usize % alphabet.len()]
                })
                .collect();
            let cleaned = clean(&text);
            assert!(cleaned.chars().all(|c| c == '\n' || !c.is_control()), "{text:?} gives {cleaned:?}");
            assert_eq!(clean(&cleaned), cleaned, "{text:?}: twice is once");
        }
    }
}
