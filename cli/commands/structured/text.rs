//! Texts of agents, as they are printed: nothing twice, one line where a line is wanted. Pure.

use ropewalk_protocol::{InteractionView, NoticeKind};
use serde_json::Value;

/// What is shown of a tool call's input.
const INPUT_CHARS_MAX: usize = 160;
/// Fields that say best what a tool is called with.
const TELLING: &[&str] = &["command", "cmd", "file_path", "path", "pattern", "query", "url", "prompt", "description"];

/// An item's text, and how much of it is printed.
#[derive(Debug, Default)]
pub(super) struct Text {
    /// All that was printed.
    printed: String,
    /// The whole text so far as it is settled.
    settled: Option<String>,
    ended: bool,
}

impl Text {
    /// A preview: printed at once, unless the text is settled already.
    pub(super) fn preview(&mut self, more: &str) -> Option<String> {
        if self.settled.is_some() {
            return None;
        }
        self.printed.push_str(more);
        Some(more.to_owned())
    }

    /// A piece of the whole text: what of it is not printed yet.
    pub(super) fn settle(&mut self, first: bool, piece: &str) -> Option<String> {
        let settled = self.settled.get_or_insert_default();
        if first {
            settled.clear();
        }
        settled.push_str(piece);
        if self.printed.starts_with(settled.as_str()) {
            return None;
        }
        let fresh = match settled.strip_prefix(self.printed.as_str()) {
            Some(rest) => rest.to_owned(),
            // The agent says something else than it began to: whole, on lines of its own.
            None => format!("\n{settled}"),
        };
        self.printed.clone_from(settled);
        Some(fresh)
    }

    /// No more follows; true when the line that it is on must be ended, the first time.
    pub(super) fn end(&mut self) -> bool {
        !std::mem::replace(&mut self.ended, true) && !self.printed.is_empty() && !self.printed.ends_with('\n')
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// The settled text, or what was printed of one that never was.
    pub(super) fn whole(&self) -> &str {
        self.settled.as_ref().unwrap_or(&self.printed)
    }
}

/// The first line.
pub(super) fn line(text: &str) -> &str {
    text.trim().lines().next().unwrap_or_default()
}

/// A tool call in a line.
pub(super) fn call(indent: &str, title: &str, input: &str) -> String {
    let title = line(title);
    let title = if title.is_empty() { "tool" } else { title };
    // Some agents say in the title what the tool is called with.
    if input.is_empty() || title.contains(input) {
        return format!("{indent}* {title}");
    }
    format!("{indent}* {title}: {input}")
}

/// The most telling part of a tool's input, on one line.
pub(super) fn input(json: &str) -> String {
    let parsed: Option<Value> = serde_json::from_str(json).ok();
    let telling = parsed.as_ref().and_then(|value| TELLING.iter().find_map(|name| value.get(name)));
    let text = match (telling, &parsed) {
        (Some(Value::String(text)), _) => text.clone(),
        (Some(Value::Array(words)), _) if words.iter().all(Value::is_string) => {
            words.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ")
        }
        (None, Some(Value::Null)) => String::new(),
        (None, Some(Value::Object(fields))) if fields.is_empty() => String::new(),
        _ => json.to_owned(),
    };
    let one_line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match one_line.char_indices().nth(INPUT_CHARS_MAX) {
        Some((at, _)) => format!("{}…", &one_line[..at]),
        None => one_line,
    }
}

/// What a notice is about.
pub(super) const fn notice(kind: NoticeKind) -> &'static str {
    match kind {
        NoticeKind::Retry => "trying again",
        NoticeKind::RateLimited => "rate limited",
        NoticeKind::Warning => "warning",
        NoticeKind::Opaque => "unknown",
    }
}

/// What is asked for, in full: nothing of what will run is left out.
pub(super) fn detail(json: &str) -> String {
    let fields = match serde_json::from_str(json) {
        Ok(Value::Object(fields)) => fields,
        Ok(Value::Null) => return String::new(),
        Ok(Value::String(text)) => return indented("", &text),
        _ => return indented("", json),
    };
    let field = |(name, value): (&String, &Value)| match value {
        Value::String(text) => indented(&format!("{name}: "), text),
        other => indented(&format!("{name}: "), &other.to_string()),
    };
    fields.iter().map(field).collect()
}

fn indented(name: &str, text: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    let begin =
        if text.contains('\n') && !name.is_empty() { format!("{}\n      ", name.trim_end()) } else { name.into() };
    format!("    {begin}{}\n", text.trim_end_matches('\n').replace('\n', "\n      "))
}

/// An open question, as `asks` lists it.
pub(super) fn question(view: &InteractionView, id: &str, session: &str, age: &str) -> String {
    let mut text = format!("{id}  {session}/{}  {age}  {}\n", view.name, line(&view.title));
    text.push_str(&detail(&view.detail));
    for (number, option) in (1..).zip(&view.options) {
        text.push_str(&format!("    {number}. {}\n", line(&option.name)));
    }
    if let Some(expires) = view.expires {
        text.push_str(&format!("    answered by policy at {expires}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything that is printed of a text that is streamed and settled in these pieces.
    fn printed(deltas: &[&str], pieces: &[&str]) -> String {
        let mut text = Text::default();
        let mut all = String::new();
        deltas.iter().for_each(|delta| all.extend(text.preview(delta)));
        for (number, piece) in pieces.iter().enumerate() {
            all.extend(text.settle(number == 0, piece));
        }
        all
    }

    #[test]
    fn nothing_is_printed_twice_however_it_is_cut() {
        for deltas in [&["one two"][..], &["one", " two"], &["one"], &[], &["o", "n", "e", " "]] {
            for pieces in [&["one two"][..], &["one", " two"], &["one t", "w", "o"]] {
                assert_eq!(printed(deltas, pieces), "one two", "{deltas:?} {pieces:?}");
            }
        }
        assert_eq!(printed(&["one two three"], &["one two"]), "one two three", "what is printed stays");
        assert_eq!(printed(&["one tw"], &["another"]), "one tw\nanother");
        let mut text = Text::default();
        text.settle(true, "whole");
        assert_eq!(text.preview("late"), None);
        assert_eq!([text.end(), text.end()], [true, false]);
        assert_eq!(text.whole(), "whole");
    }

    #[test]
    fn the_input_of_a_tool_is_shown_by_its_most_telling_field() {
        assert_eq!(input(r#"{"description":"d","command":"touch x\n  y"}"#), "touch x y");
        assert_eq!(input(r#"{"command":["rm","-rf","x"]}"#), "rm -rf x");
        assert_eq!(input(r#"{"n":1}"#), r#"{"n":1}"#);
        assert_eq!((input("{}"), input(""), input("null")), (String::new(), String::new(), String::new()));
        assert_eq!(input(r#"{"command":"cut"#), r#"{"command":"cut"#, "what does not parse is shown as it is");
        assert_eq!(input(&"ä".repeat(500)).chars().count(), INPUT_CHARS_MAX + 1);
        assert_eq!(call("", "Bash", "ls"), "* Bash: ls");
        assert_eq!(call("  ", "run ls", "ls"), "  * run ls");
    }

    #[test]
    fn a_question_is_shown_in_full() {
        let json = format!(r#"{{"command":"echo a\necho {}","timeout":5}}"#, "b".repeat(400));
        let shown = detail(&json);
        assert!(shown.contains(&"b".repeat(400)), "{shown}");
        assert!(shown.contains("command:\n      echo a\n      echo b") && shown.contains("timeout: 5"), "{shown}");
        assert_eq!(detail("touch x | y"), "    touch x | y\n");
        assert_eq!(detail(""), "");
    }
}
