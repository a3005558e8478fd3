//! Values of the command line.

use std::time::Duration;

use ropewalk_protocol::{OnAsk, Rule, Size};

/// What `wait` waits for.
#[derive(Debug, Clone)]
pub(crate) enum Condition {
    Idle,
    Ended,
    Text(regex::Regex),
}

impl std::str::FromStr for Condition {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "idle" => Ok(Condition::Idle),
            "ended" => Ok(Condition::Ended),
            _ => match text.strip_prefix("text:") {
                Some(pattern) => regex::Regex::new(pattern).map(Condition::Text).map_err(|error| error.to_string()),
                None => Err("expected idle, ended or text:REGEX".to_owned()),
            },
        }
    }
}

/// A file mode mask, in octal.
pub(super) fn parse_mask(text: &str) -> Result<u32, String> {
    u32::from_str_radix(text, 8).map_err(|error| error.to_string())
}

/// A number alone is seconds, as everywhere else on a command line.
pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string());
    }
    humantime::parse_duration(text).map_err(|error| format!("{error}; seconds, or a time such as 30s, 5m, 1h"))
}

/// Dollars, as millionths of one.
pub(super) fn parse_dollars(text: &str) -> Result<u64, String> {
    let text = text.strip_prefix('$').unwrap_or(text);
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |text: &str| text.chars().all(|c| c.is_ascii_digit());
    if whole.is_empty() && part.is_empty() || !is_number(whole) || !is_number(part) || part.len() > 6 {
        return Err("expected dollars, such as 5 or 0.25".to_owned());
    }
    let number =
        |text: &str| if text.is_empty() { Ok(0) } else { text.parse::<u64>().map_err(|error| error.to_string()) };
    let micros = number(&format!("{part:0<6}"))?;
    number(whole)?
        .checked_mul(1_000_000)
        .and_then(|whole| whole.checked_add(micros))
        .ok_or_else(|| "too much".to_owned())
}

/// A rule.
pub(super) fn parse_rule(text: &str) -> Result<Rule, String> {
    text.parse().map_err(|rejection: ropewalk_protocol::Rejection| format!("{}. {}", rejection.message, rejection.hint))
}

/// COLSxROWS.
pub(super) fn parse_size(text: &str) -> Result<Size, String> {
    let (cols, rows) = text.split_once(['x', 'X']).ok_or("expected COLSxROWS, such as 120x40")?;
    let number = |text: &str| text.parse::<u16>().map_err(|error| format!("{text:?}: {error}"));
    let size = Size { cols: number(cols)?, rows: number(rows)? };
    size.check().map(|()| size).map_err(|rejection| rejection.message)
}

/// `wait`, `wait:DUR`, `deny` or `fail`.
pub(super) fn parse_on_ask(text: &str) -> Result<OnAsk, String> {
    match (text, text.strip_prefix("wait:")) {
        ("wait", _) => Ok(OnAsk::Wait),
        ("deny", _) => Ok(OnAsk::Deny),
        ("fail", _) => Ok(OnAsk::Fail),
        (_, Some(limit)) => {
            let millis = parse_duration(limit)?.as_millis();
            u64::try_from(millis).map(OnAsk::WaitMillis).map_err(|error| error.to_string())
        }
        _ => Err("expected wait, wait:DURATION, deny or fail".to_owned()),
    }
}

/// A command line in words: split at blanks, as a shell would, with '…', "…" and \.
pub(super) fn parse_words(text: &str) -> Result<Words, String> {
    let mut words: Vec<String> = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' | '\n' => words.extend(word.take()),
            '\'' | '"' => quoted(&mut chars, c, word.get_or_insert_default())?,
            '\\' => word.get_or_insert_default().push(chars.next().ok_or("a backslash ends it")?),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    if words.first().is_none_or(String::is_empty) {
        return Err("it names no program".to_owned());
    }
    Ok(Words(words))
}

fn quoted(chars: &mut std::str::Chars<'_>, quote: char, word: &mut String) -> Result<(), String> {
    loop {
        match chars.next() {
            Some(c) if c == quote => return Ok(()),
            Some('\\') if quote == '"' => match chars.next() {
                Some(c @ ('"' | '\\')) => word.push(c),
                Some(c) => word.extend(['\\', c]),
                None => break,
            },
            Some(c) => word.push(c),
            None => break,
        }
    }
    Err(format!("a {quote} is not closed"))
}

/// A command line in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Words(pub(crate) Vec<String>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_alone_is_seconds() {
        assert_eq!(parse_duration("1"), Ok(Duration::from_secs(1)));
        assert_eq!(parse_duration("0.5"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration("2m"), Ok(Duration::from_secs(120)));
        for wrong in ["", "soon", "-1", "inf", "NaN", "1e30"] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn dollars_are_read_to_the_millionth() {
        let read = |text| parse_dollars(text).ok();
        assert_eq!([read("5"), read("$0.25"), read(".000001")], [Some(5_000_000), Some(250_000), Some(1)]);
        for wrong in ["", ".", "-1", "1e3", "0.0000001", "99999999999999999999", "18446744073709"] {
            assert_eq!(read(wrong).filter(|_| wrong != "18446744073709"), None, "{wrong}");
        }
    }

    #[test]
    fn sizes_are_read_and_bounded() {
        assert_eq!(parse_size("120x40"), Ok(Size { cols: 120, rows: 40 }));
        for wrong in ["120", "x", "0x10", "10x0", "70000x10", "2000x10", "axb"] {
            assert!(parse_size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_becomes_of_questions_is_read() {
        assert_eq!(parse_on_ask("wait"), Ok(OnAsk::Wait));
        assert_eq!(parse_on_ask("wait:5m"), Ok(OnAsk::WaitMillis(300_000)));
        assert_eq!(parse_on_ask("wait:1.5"), Ok(OnAsk::WaitMillis(1500)));
        assert_eq!(parse_on_ask("fail"), Ok(OnAsk::Fail));
        for wrong in ["", "wait:", "wait:soon", "allow"] {
            assert!(parse_on_ask(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn words_are_split_as_a_shell_would() {
        let words = |text| parse_words(text).map(|words| words.0);
        assert_eq!(words("gemini --acp"), Ok(vec!["gemini".to_owned(), "--acp".to_owned()]));
        assert_eq!(words(r#"a 'b c' "d \" \e" f\ g ''"#).unwrap(), ["a", "b c", "d \" \\e", "f g", ""]);
        assert_eq!(words("x'y'\"z\"").unwrap(), ["xyz"]);
        for wrong in ["", "  ", "'a", "\"a", "\"a\\", "a\\", "''"] {
            assert!(words(wrong).is_err(), "{wrong}");
        }
    }
}
