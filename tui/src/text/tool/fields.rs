//! Names that agents give to what their tools are called with.

use serde_json::Value;

pub(super) const COMMAND: &[&str] = &["command", "cmd"];
pub(super) const PATH: &[&str] = &[
    "file_path",
    "filePath",
    "filepath",
    "absolute_path",
    "notebook_path",
    "path",
    "file",
    "filename",
    "dir_path",
    "directory",
];
pub(super) const OLD: &[&str] = &["old_string", "oldString", "old_str", "oldText"];
pub(super) const NEW: &[&str] = &["new_string", "newString", "new_str", "newText"];
pub(super) const DIFFERENCE: &[&str] = &["diff", "patch", "patchText"];
pub(super) const CONTENT: &[&str] = &["content", "file_text", "contents"];

/// The first of these fields that is text, and its name.
pub(super) fn named<'v>(value: &'v Value, names: &[&'static str]) -> Option<(&'static str, &'v str)> {
    names.iter().find_map(|name| Some((*name, value[*name].as_str()?)))
}

/// The first of these fields that is text.
pub(super) fn text<'v>(value: &'v Value, names: &[&'static str]) -> Option<&'v str> {
    named(value, names).map(|(_, text)| text)
}

/// The first of these fields that is a number.
pub(super) fn number(value: &Value, names: &[&str]) -> Option<u64> {
    names.iter().find_map(|name| value[*name].as_u64())
}

/// The command that is run, as a shell would read it, and the name of its field.
pub(super) fn command(value: &Value) -> Option<(&'static str, String)> {
    COMMAND.iter().find_map(|name| match &value[*name] {
        Value::String(line) => Some((*name, line.clone())),
        Value::Array(words) if !words.is_empty() => {
            let words: Option<Vec<&str>> = words.iter().map(Value::as_str).collect();
            Some((*name, words?.into_iter().map(quoted).collect::<Vec<_>>().join(" ")))
        }
        _ => None,
    })
}

/// A word as a shell reads it back, so that it is seen where one argument ends and the next begins.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "-_./=:,+@%^~".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}
