//! Text that is still being written, as if it were over: marks that are open are closed, and those that are being typed
//! wait until it is known what they are. So what is shown of a text does not change its kind with each character.

use std::borrow::Cow;

/// A paragraph that is longer is left as it is: what is open in it has been open for long.
const PARAGRAPH_BYTES_MAX: usize = 16 * 1024;

/// A mark that waits for its end.
struct Mark {
    sign: char,
    length: usize,
}

/// The text with an end.
pub(super) fn ended(text: &str) -> Cow<'_, str> {
    let begin = text.trim_end_matches('\n').rfind('\n').map_or(0, |end| end + 1);
    let (before, last) = text.split_at(begin);
    if let Some(fence) = open_fence(before) {
        // What may become the end of the code is not shown as code.
        let sign = last.trim();
        let is_end = !sign.is_empty() && sign.len() < fence.len() && fence.starts_with(sign);
        return if is_end { before.into() } else { text.into() };
    }
    let is_open_line = !text.ends_with('\n');
    if is_open_line && is_mark(last) {
        return before.into();
    }
    if open_fence(text).is_some() || !is_open_line {
        return text.into();
    }
    let paragraph = before.rfind("\n\n").map_or(0, |end| end + 2);
    if text.len() - paragraph > PARAGRAPH_BYTES_MAX {
        return text.into();
    }
    match closed(&text[paragraph..]) {
        Some(closed) => format!("{}{closed}", &text[..paragraph]).into(),
        None => text.into(),
    }
}

/// The fence of code that has no end yet.
fn open_fence(text: &str) -> Option<&str> {
    let mut open: Option<&str> = None;
    for line in text.lines() {
        let line = line.trim_start_matches([' ', '>']);
        let Some(sign @ ('`' | '~')) = line.chars().next() else { continue };
        let length = line.len() - line.trim_start_matches(sign).len();
        let (fence, rest) = line.split_at(length);
        open = match open {
            Some(begun) if begun.starts_with(sign) && length >= begun.len() && rest.trim().is_empty() => None,
            None if length >= 3 && !(sign == '`' && rest.contains('`')) => Some(fence),
            unchanged => unchanged,
        };
    }
    open
}

/// A line of nothing but marks: what they are is known when more follows.
fn is_mark(line: &str) -> bool {
    let quoted = line.trim_start_matches([' ', '>']);
    if quoted.is_empty() {
        return line.contains('>');
    }
    let line = quoted.trim_end();
    let is_sign = |c: char| "-=*+_#`~|:".contains(c);
    let number = line.trim_end_matches(['.', ')']);
    line.chars().all(|c| is_sign(c) || c == ' ')
        || !number.is_empty()
            && number.len() <= 3
            && number.chars().all(|c| c.is_ascii_digit())
            && line.len() <= number.len() + 1
}

/// The paragraph with an end to each mark that has none; `None` where there is nothing to do.
fn closed(paragraph: &str) -> Option<String> {
    let mut marks: Vec<Mark> = Vec::new();
    let mut before = ' ';
    let mut at = 0;
    while let Some(c) = paragraph[at..].chars().next() {
        let rest = &paragraph[at..];
        let length = rest.len() - rest.trim_start_matches(c).len();
        let after = rest[length..].chars().next();
        match c {
            '\\' => {
                at += 1 + rest[1..].chars().next().map_or(0, char::len_utf8);
                before = 'x';
                continue;
            }
            '`' => match end_of_code(&rest[length..], length) {
                Some(end) => {
                    at += length + end;
                    before = 'x';
                    continue;
                }
                None if after.is_none() => return Some(close(&paragraph[..at], &marks)),
                None => {
                    marks.push(Mark { sign: '`', length });
                    return Some(close(paragraph, &marks));
                }
            },
            '*' | '_' | '~' => match mark(c, length, before, after, &mut marks) {
                Kind::Text | Kind::Whole => {}
                // It is being typed.
                Kind::Part => return Some(close(&paragraph[..at], &marks)),
            },
            ']' if rest.starts_with("](") && !rest.contains(')') => {
                return Some(without_address(paragraph, at, &marks));
            }
            _ => {
                before = c;
                at += c.len_utf8();
                continue;
            }
        }
        before = c;
        at += length;
    }
    (!marks.is_empty()).then(|| close(paragraph, &marks))
}

enum Kind {
    Text,
    Whole,
    Part,
}

/// Takes a run of signs in: what it begins, what it ends.
fn mark(sign: char, length: usize, before: char, after: Option<char>, marks: &mut Vec<Mark>) -> Kind {
    let is_word = |c: char| c.is_alphanumeric();
    let begins = |after: char| !(after.is_whitespace() || sign == '_' && is_word(before));
    let open = marks.iter().rposition(|mark| mark.sign == sign);
    let ends = !(before.is_whitespace() || sign == '_' && after.is_some_and(is_word));
    if let Some(open) = open.filter(|_| ends) {
        if after.is_none() && length < marks[open].length {
            return Kind::Part;
        }
        marks[open].length = marks[open].length.saturating_sub(length);
        if marks[open].length == 0 {
            marks.truncate(open);
        }
        return Kind::Whole;
    }
    match after {
        None if before.is_whitespace() => Kind::Part,
        Some(after) if begins(after) && (sign != '~' || length == 2) => {
            marks.push(Mark { sign, length: length.min(3) });
            Kind::Whole
        }
        _ => Kind::Text,
    }
}

/// Behind the signs that end code that as many began.
fn end_of_code(text: &str, length: usize) -> Option<usize> {
    let mut at = 0;
    while let Some(begin) = text[at..].find('`') {
        let run = &text[at + begin..];
        let signs = run.len() - run.trim_start_matches('`').len();
        at += begin + signs;
        if signs == length {
            return Some(at);
        }
    }
    None
}

/// A link whose address is being typed is what it is called.
fn without_address(paragraph: &str, end: usize, marks: &[Mark]) -> String {
    let (name, _) = paragraph.split_at(end);
    match name.rfind('[') {
        Some(begin) => close(&format!("{}{}", &name[..begin], &name[begin + 1..]), marks),
        None => close(paragraph, marks),
    }
}

fn close(text: &str, marks: &[Mark]) -> String {
    // A mark behind a blank ends nothing.
    let mut text = text.trim_end().to_owned();
    for mark in marks.iter().rev() {
        text.extend(std::iter::repeat_n(mark.sign, mark.length));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_marks_are_closed() {
        for (open, whole) in [
            ("a **bold", "a **bold**"),
            ("a **bold ", "a **bold**"),
            ("a **bold*", "a **bold**"),
            ("a *b", "a *b*"),
            ("a **b *c", "a **b *c***"),
            ("`co", "`co`"),
            ("``a`b", "``a`b``"),
            ("a `", "a"),
            ("a **", "a"),
            ("~~gone", "~~gone~~"),
            ("see [the page](http://exa", "see the page"),
            ("done **one** and\n\nthen _two", "done **one** and\n\nthen _two_"),
        ] {
            assert_eq!(ended(open), whole, "{open:?}");
        }
    }

    #[test]
    fn what_marks_nothing_is_left() {
        for text in
            ["2 * 3", "snake_case_name", "a `b` c", "**b** and", "\\*not", "f(a[0])", "[a](b) c", "~ 5", "plain\n"]
        {
            assert_eq!(ended(text), text);
        }
    }

    #[test]
    fn a_line_of_marks_waits_for_more() {
        for text in [
            "para\n-",
            "para\n--",
            "para\n* ",
            "para\n12.",
            "para\n##",
            "para\n``",
            "para\n```",
            "para\n|--",
            "para\n> ",
        ] {
            assert_eq!(ended(text), "para\n", "{text:?}");
        }
        assert_eq!(ended("para\n2026"), "para\n2026");
    }

    #[test]
    fn code_that_has_no_end_is_code() {
        assert_eq!(ended("```rust\nlet a = **b"), "```rust\nlet a = **b");
        assert_eq!(ended("```\ncode\n``"), "```\ncode\n");
        assert_eq!(ended("```\n- "), "```\n- ");
        assert_eq!(ended("```\ncode\n```\nthen *so"), "```\ncode\n```\nthen *so*");
    }
}
