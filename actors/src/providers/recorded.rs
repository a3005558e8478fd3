//! Recorded exchanges with real agents: `{"t", "dir", "line"}` each, `>` what was written to the agent, `<` what it wrote.

use super::Observed;

/// What the agent wrote, line by line.
pub(crate) fn lines(recorded: &str) -> Vec<String> {
    let records = recorded.lines().map(|line| serde_json::from_str(line).expect("a record is JSON"));
    let written = records.filter(|record: &serde_json::Value| record["dir"] == "<");
    written.map(|record| record["line"].as_str().expect("a line is text").to_owned()).collect()
}

/// The whole text of the item with this key, as whoever folds what was seen reads it.
pub(crate) fn text_of(seen: &[Observed], wanted: &str) -> String {
    let mut text = String::new();
    let mut settled = false;
    for observed in seen {
        match observed {
            Observed::Delta { key, text: more } if key == wanted && !settled => text.push_str(more),
            Observed::Text { key, first, text: more } if key == wanted => {
                if *first {
                    text.clear();
                }
                settled = true;
                text.push_str(more);
            }
            _ => {}
        }
    }
    text
}
