//! Fields of what opencode says. Anything may be missing or of another type.

use ropewalk_protocol::limits;
use serde_json::Value;

use super::super::super::{cut, title};

/// A field that is text.
pub(super) fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name)?.as_str()
}

/// What an error says, in a line.
pub(super) fn reason(error: &Value) -> String {
    let message = text(&error["data"], "message").or_else(|| text(error, "message"));
    match (text(error, "name"), message) {
        (Some("UnknownError") | None, Some(message)) => title(message),
        (Some(name), Some(message)) => title(&format!("{name}: {message}")),
        (Some(name), None) => title(name),
        (None, None) => title(&error.to_string()),
    }
}

/// JSON of what a question is about, whole if that is possible: without the difference of files, where it is too long.
pub(super) fn detail(mut value: Value) -> String {
    let whole = value.to_string();
    if whole.len() <= limits::ITEM_INPUT_BYTES_MAX {
        return whole;
    }
    if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("diff");
        metadata.remove("files");
    }
    let short = value.to_string();
    cut(&short, limits::ITEM_INPUT_BYTES_MAX).to_owned()
}
