//! Printing: data on stdout, talk on stderr, colour only where somebody looks.

use std::io::{IsTerminal, Write};

use serde::Serialize;

use crate::exit::Failure;

/// Writes a line of data. A reader that went away ends the program quietly, as it does for `ls | head`.
pub(crate) fn line(text: &str) {
    bytes(format!("{text}\n").as_bytes());
}

/// Writes data as it is.
pub(crate) fn bytes(bytes: &[u8]) {
    let mut out = std::io::stdout().lock();
    if out.write_all(bytes).and_then(|()| out.flush()).is_err() {
        std::process::exit(i32::from(crate::exit::OK));
    }
}

/// Writes one JSON object on one line.
pub(crate) fn json<T: Serialize>(value: &T) -> Result<(), Failure> {
    line(&serde_json::to_string(value).map_err(|error| Failure::because("encoding JSON", error))?);
    Ok(())
}

/// Says something to the person, on stderr.
pub(crate) fn talk(text: &str) {
    writeln!(std::io::stderr().lock(), "{text}").ok();
}

fn coloured(terminal: bool) -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    !set("NO_COLOR") && ((terminal && !dumb) || set("CLICOLOR_FORCE"))
}

fn paint(text: &str, code: &str, terminal: bool) -> String {
    if coloured(terminal) { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
}

/// Red, for stderr.
pub(crate) fn red(text: &str) -> String {
    paint(text, "31", std::io::stderr().is_terminal())
}

/// Bold, for stderr.
pub(crate) fn bold(text: &str) -> String {
    paint(text, "1", std::io::stderr().is_terminal())
}

/// Green, for stdout.
pub(crate) fn green(text: &str) -> String {
    paint(text, "32", std::io::stdout().is_terminal())
}

/// Grey, for stdout.
pub(crate) fn faint(text: &str) -> String {
    paint(text, "2", std::io::stdout().is_terminal())
}

/// A table with columns as wide as they must be; the last one is not padded.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            line.push_str(cell);
            let pad = widths[column] - cell.chars().count() + 2;
            line.extend(std::iter::repeat_n(' ', if column + 1 < row.len() { pad } else { 0 }));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Text from a program or another person, without control characters: it must not move our terminal's cursor.
pub(crate) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' && c != '\t' { '\u{fffd}' } else { c }).collect()
}
