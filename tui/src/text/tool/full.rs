//! The whole of what a tool is called with: nothing is cut, and nothing is hidden.

use ratatui::style::Style;
use ratatui::text::{Line, Span};
use serde_json::{Map, Value};

use super::Edit;
use super::fields::{NEW, OLD, PATH, command, named};
use crate::text::clean::visible_spans;
use crate::text::diff::{self, Row};
use crate::text::theme::Theme;
use crate::text::wrap::{Indent, hard_wrap};

/// How much further in each level stands.
const STEP: usize = 2;
/// Levels that stand further in than the one above.
const STEPS_MAX: usize = 8;
/// Cells that a difference has, as far as the width has them.
const ROWS_MIN: usize = 8;

/// All of an input: a command as it is typed, edits as differences, and everything else by its name. Rows end where they are
/// full and not at words, and what would not be seen is made visible: what is shown is what will be done.
pub fn in_full(input: &str, width: u16, theme: &Theme) -> Vec<Line<'static>> {
    let mut page = Page { lines: Vec::new(), width, theme };
    match serde_json::from_str::<Value>(input) {
        Ok(Value::Null) => {}
        Ok(Value::Object(fields)) => page.object(&fields, 0),
        Ok(Value::String(text)) => page.block(&text, "", 0, theme.tool),
        Ok(other) => page.field("", &other, 0),
        Err(_) => {
            page.block(input, "", 0, theme.tool);
            if input.trim_start().starts_with(['{', '[', '"']) {
                page.block("this is not all of it: the agent gave more than is kept", "! ", 0, theme.warning);
            }
        }
    }
    page.lines
}

struct Page<'t> {
    lines: Vec<Line<'static>>,
    width: u16,
    theme: &'t Theme,
}

impl Page<'_> {
    fn object(&mut self, fields: &Map<String, Value>, level: usize) {
        let whole = Value::Object(fields.clone());
        let mut told = Vec::new();
        if let Some((name, command)) = command(&whole) {
            self.block(&command, "$ ", level, self.theme.strong);
            told.push(name);
        }
        let edit = Edit::of(&whole);
        if edit.is_some() {
            told.extend([OLD, NEW].iter().filter_map(|names| named(&whole, names)).map(|(name, _)| name));
        }
        let is_told = |name: &str| told.contains(&name);
        let (paths, others): (Vec<_>, Vec<_>) =
            fields.iter().filter(|(name, _)| !is_told(name)).partition(|(name, _)| PATH.contains(&name.as_str()));
        for (name, value) in paths.into_iter().chain(others) {
            self.field(name, value, level);
        }
        if let Some(edit) = edit {
            self.rows(&edit.rows(usize::MAX), level);
            if edit.old == edit.new {
                self.block(&edit.old, "= ", level, self.theme.tool);
            }
        }
    }

    fn field(&mut self, name: &str, value: &Value, level: usize) {
        let theme = self.theme;
        let label = if name.is_empty() { "-".to_owned() } else { format!("{name}:") };
        match value {
            Value::Object(fields) if !fields.is_empty() => {
                self.block(&label, "", level, theme.faint);
                self.object(fields, level + 1);
            }
            Value::Array(values) if values.iter().any(|value| value.is_object() || value.is_array()) => {
                if !name.is_empty() {
                    self.block(&label, "", level, theme.faint);
                }
                values.iter().for_each(|value| self.field("", value, level + 1));
            }
            Value::String(text) if diff::is_unified(text) => {
                self.block(&label, "", level, theme.faint);
                self.rows(&diff::unified(text).collect::<Vec<_>>(), level + 1);
            }
            Value::String(text) if text.trim_end_matches('\n').contains('\n') => {
                self.block(&label, "", level, theme.faint);
                self.block(text, "", level + 1, theme.tool);
            }
            Value::String(text) if !text.is_empty() => self.labelled(&label, text, level),
            other => self.labelled(&label, &other.to_string(), level),
        }
    }

    /// A value beside its name.
    fn labelled(&mut self, label: &str, text: &str, level: usize) {
        let before = " ".repeat(STEP * level.min(STEPS_MAX));
        let rest = vec![Span::raw(format!("{before}  "))];
        let mut first = vec![Span::raw(before)];
        let name = self.seen(&format!("{label} "), self.theme.faint).concat();
        for (number, mut spans) in self.seen(text, self.theme.tool).into_iter().enumerate() {
            if number == 0 {
                spans.splice(..0, name.iter().cloned());
            }
            self.lines.extend(hard_wrap(&spans, self.width, &Indent { first: first.clone(), rest: rest.clone() }));
            // Empty lines at the very end.
            first.clone_from(&rest);
        }
    }

    /// Lines as they are, the first behind a mark and the others under it.
    fn block(&mut self, text: &str, mark: &'static str, level: usize, style: Style) {
        let before = " ".repeat(STEP * level.min(STEPS_MAX));
        let under = Span::raw(format!("{before}{}", " ".repeat(mark.len())));
        for (number, spans) in self.seen(text, style).into_iter().enumerate() {
            let first = match number {
                0 => vec![Span::raw(before.clone()), Span::styled(mark, self.theme.faint)],
                _ => vec![under.clone()],
            };
            self.lines.extend(hard_wrap(&spans, self.width, &Indent { first, rest: vec![under.clone()] }));
        }
    }

    fn rows(&mut self, rows: &[Row<'_>], level: usize) {
        // However narrow it is, there is room for what changes.
        let before = (STEP * level.min(STEPS_MAX)).min(usize::from(self.width).saturating_sub(ROWS_MIN));
        let width = self.width - u16::try_from(before).unwrap_or_default();
        for mut line in diff::lines(rows, width, self.theme) {
            line.spans.insert(0, Span::raw(" ".repeat(before)));
            self.lines.push(line);
        }
    }

    fn seen(&self, text: &str, style: Style) -> Vec<Vec<Span<'static>>> {
        visible_spans(text, style, self.theme.escaped)
    }
}
