//! What a tool call is about: in a line, for reading, and in full, for deciding. Any agent's, from its title and input.

mod fields;
mod full;
mod summary;

pub use full::in_full;
pub use summary::{Summary, summary};

use serde_json::Value;

use super::diff::{Row, between};

use fields::{NEW, OLD, text};

/// What an edit changes: the text that is looked for, and what takes its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// What goes.
    pub old: String,
    /// What comes.
    pub new: String,
}

impl Edit {
    /// The difference, with so many lines around that do not change.
    pub fn rows(&self, context: usize) -> Vec<Row<'_>> {
        between(&self.old, &self.new, context)
    }

    fn of(value: &Value) -> Option<Self> {
        Some(Self { old: text(value, OLD)?.to_owned(), new: text(value, NEW)?.to_owned() })
    }
}

/// The edits that a tool is called for; none where it is called for something else.
pub fn edits(input: &str) -> Vec<Edit> {
    serde_json::from_str(input).map(|value| edits_of(&value)).unwrap_or_default()
}

fn edits_of(value: &Value) -> Vec<Edit> {
    if let Some(edit) = Edit::of(value) {
        return vec![edit];
    }
    if let Some(edits) = value["edits"].as_array() {
        return edits.iter().filter_map(Edit::of).collect();
    }
    // A whole file comes.
    let written = text(value, fields::CONTENT).filter(|_| text(value, fields::PATH).is_some());
    written.map(|new| Edit { old: String::new(), new: new.to_owned() }).into_iter().collect()
}

#[cfg(test)]
mod tests;
