//! The difference between two texts of a file, as agents give both in full. Pure.

use std::ops::Range;

use ropewalk_protocol::limits;
use serde_json::Value;

use super::super::cut;

/// What a file is changed to, as one hunk of a unified difference.
pub(super) fn difference(change: &Value) -> String {
    let path = cut(change["path"].as_str().unwrap_or_default(), limits::PATH_BYTES_MAX);
    let old_text = change["oldText"].as_str();
    let old: Vec<&str> = old_text.unwrap_or_default().lines().collect();
    let new: Vec<&str> = change["newText"].as_str().unwrap_or_default().lines().collect();
    let head = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
    let rest = old.len().min(new.len()) - head;
    let tail = old.iter().rev().zip(new.iter().rev()).take(rest).take_while(|(old, new)| old == new).count();
    let (from, to) = (head.saturating_sub(3), tail.saturating_sub(3));
    let (old_end, new_end) = (old.len() - to, new.len() - to);
    let number = |length: usize| from + usize::from(length > 0);
    let (old_length, new_length) = (old_end - from, new_end - from);
    let before = if old_text.is_some() { path } else { "/dev/null" };
    let mut text = format!("--- {before}\n+++ {path}\n");
    if head == old.len() && head == new.len() {
        return text;
    }
    let (old_at, new_at) = (number(old_length), number(new_length));
    text.push_str(&format!("@@ -{old_at},{old_length} +{new_at},{new_length} @@\n"));
    let changed = (head..old.len() - tail).map(|at| ("-", old[at]));
    let changed = changed.chain((head..new.len() - tail).map(|at| ("+", new[at])));
    let context = |range: Range<usize>| range.map(|at| (" ", old[at]));
    for (mark, line) in context(from..head).chain(changed).chain(context(old.len() - tail..old_end)) {
        text.extend([mark, line, "\n"]);
        if text.len() > limits::ITEM_TEXT_BYTES_MAX {
            break;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(old: &Value, new: &str) -> String {
        difference(&json!({"type": "diff", "path": "f", "oldText": old, "newText": new}))
    }

    #[test]
    fn one_hunk_holds_all_that_changed_and_three_lines_around() {
        let old = "1\n2\n3\n4\n5\n6\n7\n8\n9\n";
        let changed = of(&json!(old), "1\n2\n3\n4\nfive\n6\n7\n8\n9\n");
        assert_eq!(changed, "--- f\n+++ f\n@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n");
        assert_eq!(of(&Value::Null, "a\n"), "--- /dev/null\n+++ f\n@@ -0,0 +1,1 @@\n+a\n");
        assert_eq!(of(&json!("a\na\n"), "a\n"), "--- f\n+++ f\n@@ -1,2 +1,1 @@\n a\n-a\n");
        assert_eq!(of(&json!("a\n"), ""), "--- f\n+++ f\n@@ -1,1 +0,0 @@\n-a\n");
        assert_eq!(of(&json!(old), old), "--- f\n+++ f\n");
        assert_eq!(difference(&json!({"path": 7})), "--- /dev/null\n+++ \n");
        let huge = "x\n".repeat(limits::ITEM_TEXT_BYTES_MAX);
        assert!(of(&Value::Null, &huge).len() < limits::ITEM_TEXT_BYTES_MAX + 10);
    }
}
