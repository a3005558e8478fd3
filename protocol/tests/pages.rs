//! The pages of `docs/` that are generated from the types.

use ropewalk_protocol::schema::{json_schema, limits_page, method_names, protocol_page};
use ropewalk_protocol::{Code, EventBody, RequestMethod, limits};

use crate::json::variants;

fn assert_described(page: &str, definition: &str, tag: &str) {
    let names = variants(definition, tag);
    assert!(!names.is_empty(), "the schema of {definition} has no variants");
    for name in names {
        let heading = format!("### `{name}`\n\n");
        let at = page.find(&heading).unwrap_or_else(|| panic!("{definition} {name} is not described on the page"));
        let prose = page[at + heading.len()..].lines().next().unwrap_or_default();
        assert!(prose.len() > 10, "{definition} {name} has no description: {prose:?}");
    }
}

#[test]
fn the_protocol_page_names_everything_that_can_be_said() {
    let page = protocol_page();
    for (definition, tag) in [("Command", "type"), ("Query", "type"), ("Notification", "method")] {
        assert_described(&page, definition, tag);
    }
    for (kind, name, version) in EventBody::KINDS {
        assert!(page.contains(&format!("| {kind} | `{name}` | {version} |")), "{name}");
    }
    for code in Code::ALL {
        let row = format!("| {} | `{}` | {} |", code.number(), code.name(), code.retryable());
        assert!(page.contains(&row), "{}", code.name());
    }
}

/// The page was generated from definitions that flattening had taken out of the schema, so two sections were empty.
#[test]
fn regression_the_protocol_page_describes_every_method_and_event() {
    let page = protocol_page();
    assert_described(&page, "Request", "method");
    assert_described(&page, "Event", "type");
}

#[test]
fn fields_are_described_with_their_types() {
    let page = protocol_page();
    for line in [
        "- `session` (SessionId): The session.",
        "- `text` (string): The remark, at most 32 KiB.",
        "- `events` (list of Event): The events.",
        "- `size` (Size, optional): The size of the program's terminal.",
    ] {
        assert!(page.contains(line), "{line:?} is not on the page");
    }
    for line in page.lines().filter(|line| line.starts_with("- `")) {
        let (_, description) = line.split_once("): ").unwrap_or_else(|| panic!("{line}"));
        assert!(!description.is_empty(), "a field without a description: {line}");
        assert!(!line.contains("()") && !line.contains("(, "), "a field without a type: {line}");
    }
}

#[test]
fn the_limits_page_has_every_limit() {
    let page = limits_page();
    for (name, _, reason) in limits::ALL {
        assert!(page.contains(&format!("| `{}` | ", name.to_lowercase())), "{name}");
        assert!(page.contains(reason.trim()), "{name}");
    }
    assert!(page.contains("| `frame_bytes_max` | 1,048,576 |"), "{page}");
    assert!(page.contains("| `page_events_max` | 1,000 |"), "{page}");
    assert!(page.contains("| `page_sessions_max` | 500 |"), "{page}");
}

#[test]
fn generation_says_the_same_every_time() {
    assert_eq!(json_schema(), json_schema());
    assert_eq!(protocol_page(), protocol_page());
    assert_eq!(method_names(), RequestMethod::NAMES);
}

#[test]
fn the_schema_has_no_reference_to_nowhere() {
    fn references(value: &serde_json::Value, found: &mut Vec<String>) {
        match value {
            serde_json::Value::Object(fields) => {
                found.extend(fields.get("$ref").and_then(|path| path.as_str()).map(str::to_owned));
                fields.values().for_each(|field| references(field, found));
            }
            serde_json::Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }
    let schema = json_schema();
    let mut found = Vec::new();
    references(&schema, &mut found);
    assert!(!found.is_empty());
    for path in found {
        let name = path.strip_prefix("#/$defs/").unwrap_or_else(|| panic!("{path}"));
        assert!(!schema["$defs"][name].is_null(), "{path}");
    }
}
