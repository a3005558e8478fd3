//! Text that somebody decides by: all of it is seen, also what would not be.

use ratatui::style::Style;
use ratatui::text::Span;

use super::turns;

/// Blanks in a row that are taken for what they are: more push what follows them out of sight.
const BLANKS_MAX: usize = 30;
/// The same at the beginning of a line, where code has many.
const INDENT_MAX: usize = 60;
/// Empty lines in a row, for the same reason.
const EMPTY_LINES_MAX: usize = 3;
/// Blanks that stand for a tab.
const TAB: &str = "    ";

/// A piece of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// Text as it is.
    Text(String),
    /// What stands for characters that would not be seen.
    Escaped(String),
}

impl Seen {
    /// What is shown.
    pub fn text(&self) -> &str {
        match self {
            Seen::Text(text) | Seen::Escaped(text) => text,
        }
    }
}

/// The text, line by line, with nothing left out. Characters that would not be seen, or that change how others are seen,
/// are their numbers; blanks and empty lines that would push what follows out of sight are counted.
pub fn visible(text: &str) -> Vec<Vec<Seen>> {
    let mut lines: Vec<Vec<Seen>> = Vec::new();
    let mut empty = 0;
    for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
        if line.is_empty() {
            empty += 1;
            continue;
        }
        push_empty(&mut lines, std::mem::take(&mut empty));
        lines.push(pieces(line));
    }
    push_empty(&mut lines, empty);
    lines
}

/// The same as spans, with a style for what is as it is and one for what stands for something.
pub fn visible_spans(text: &str, style: Style, escaped: Style) -> Vec<Vec<Span<'static>>> {
    let span = |piece| match piece {
        Seen::Text(text) => Span::styled(text, style),
        Seen::Escaped(text) => Span::styled(text, escaped),
    };
    visible(text).into_iter().map(|line| line.into_iter().map(span).collect()).collect()
}

/// The same on one line: ends of lines and the blanks around them are one blank each.
pub fn visible_line(text: &str) -> String {
    let mut line = String::new();
    for piece in visible(text.trim()).iter().flat_map(|pieces| pieces.iter().map(Seen::text).chain([" "])) {
        line.push_str(piece);
    }
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn push_empty(lines: &mut Vec<Vec<Seen>>, empty: usize) {
    if empty > EMPTY_LINES_MAX {
        lines.push(vec![Seen::Escaped(format!("<{empty} empty lines>"))]);
    } else {
        lines.extend(std::iter::repeat_n(Vec::new(), empty));
    }
}

fn pieces(line: &str) -> Vec<Seen> {
    let mut seen: Vec<Seen> = Vec::new();
    let mut rest = line;
    while let Some(c) = rest.chars().next() {
        let blanks = rest.len() - rest.trim_start_matches([' ', '\t']).len();
        let most = if rest.len() == line.len() { INDENT_MAX } else { BLANKS_MAX };
        let taken = match c {
            ' ' | '\t' if blanks > most => {
                seen.push(Seen::Escaped(format!("<{blanks} blanks>")));
                blanks
            }
            ' ' | '\t' => {
                push_text(&mut seen, &rest[..blanks].replace('\t', TAB));
                blanks
            }
            _ => {
                if is_seen(c) {
                    push_text(&mut seen, c.encode_utf8(&mut [0; 4]));
                } else {
                    push_escaped(&mut seen, c);
                }
                c.len_utf8()
            }
        };
        rest = &rest[taken..];
    }
    seen
}

fn push_text(seen: &mut Vec<Seen>, more: &str) {
    match seen.last_mut() {
        Some(Seen::Text(text)) => text.push_str(more),
        _ => seen.push(Seen::Text(more.to_owned())),
    }
}

fn push_escaped(seen: &mut Vec<Seen>, c: char) {
    let escaped = match c {
        '\0'..='\x7f' => c.escape_default().to_string(),
        _ => format!("\\u{{{:x}}}", u32::from(c)),
    };
    match seen.last_mut() {
        Some(Seen::Escaped(text)) if !text.starts_with('<') => text.push_str(&escaped),
        _ => seen.push(Seen::Escaped(escaped)),
    }
}

/// It takes room of its own, and changes nothing beside it.
fn is_seen(c: char) -> bool {
    !(c.is_control()
        || turns(c)
        || c != ' ' && c.is_whitespace()
        || matches!(
            c,
            // Soft hyphens, joiners and other characters without a width, marks of direction, and blanks that are letters.
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2065}' | '\u{206a}'..='\u{206f}' | '\u{2800}' | '\u{3164}'
                | '\u{fe00}'..='\u{fe0d}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0000}'..='\u{e0fff}'
        ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<String> {
        visible(text).iter().map(|line| line.iter().map(Seen::text).collect()).collect()
    }

    #[test]
    fn nothing_that_deceives_stays_unseen() {
        for (raw, expected) in [
            ("ls\x1b[2K\rrm", "ls\\u{1b}[2K\\rrm"),
            ("cat \u{202e}txt.exe", "cat \\u{202e}txt.exe"),
            ("a\u{200b}b\u{a0}c\u{e0041}", "a\\u{200b}b\\u{a0}c\\u{e0041}"),
            ("a\u{3164}\u{115f}b", "a\\u{3164}\\u{115f}b"),
        ] {
            assert_eq!(shown(raw), [expected]);
        }
        let hidden = format!("ls{}; rm -rf ~", " ".repeat(300));
        assert_eq!(shown(&hidden), ["ls<300 blanks>; rm -rf ~"]);
        assert_eq!(shown(&format!("ls{}rm", "\t".repeat(31))), ["ls<31 blanks>rm"]);
        let below = format!("ls{}rm", "\n".repeat(100));
        assert_eq!(shown(&below), ["ls", "<99 empty lines>", "rm"]);
    }

    #[test]
    fn what_stands_for_something_is_told_from_what_says_it() {
        let line = &visible("a\u{200b}\\u{200b}")[0];
        let expected = [Seen::Text("a".into()), Seen::Escaped("\\u{200b}".into()), Seen::Text("\\u{200b}".into())];
        assert_eq!(line[..], expected);
    }

    #[test]
    fn a_line_hides_nothing_either() {
        assert_eq!(visible_line(" rm -rf ~\rls \n\n  -l\t"), "rm -rf ~\\rls -l");
        assert_eq!(visible_line(&format!("ls{}rm", " ".repeat(99))), "ls<99 blanks>rm");
    }

    #[test]
    fn ordinary_text_is_as_it_is() {
        let code = "fn main() {\n\tlet x = \"é 漢 👍🏽 ✔\u{fe0f}\";   // three\n\n\n}\n";
        assert_eq!(shown(code), ["fn main() {", "    let x = \"é 漢 👍🏽 ✔\u{fe0f}\";   // three", "", "", "}"]);
        assert_eq!(shown("a\r\nb"), ["a\\r", "b"]);
        assert_eq!(shown(&format!("{}deep", " ".repeat(INDENT_MAX)))[0].len(), INDENT_MAX + 4);
        assert_eq!(shown(""), [""]);
    }
}
