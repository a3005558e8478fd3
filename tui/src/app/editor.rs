//! A text that is being edited, of one line or of many: the keys of readline on ratatui's text area.

use ratatui_textarea::{CursorMove, TextArea, WrapMode};

use super::action::Action;

/// A text that is being edited.
#[derive(Debug, Clone)]
pub struct Editor {
    area: TextArea<'static>,
}

impl Default for Editor {
    fn default() -> Self {
        Self::with("")
    }
}

impl PartialEq for Editor {
    fn eq(&self, other: &Self) -> bool {
        self.area.lines() == other.area.lines() && self.area.cursor() == other.area.cursor()
    }
}

impl Editor {
    /// A text, with the cursor at its end.
    pub fn with(text: &str) -> Self {
        let mut area = TextArea::new(text.split('\n').map(str::to_owned).collect());
        area.set_wrap_mode(WrapMode::WordOrGlyph);
        area.set_cursor_line_style(ratatui::style::Style::default());
        area.set_max_histories(200);
        area.move_cursor(CursorMove::Bottom);
        area.move_cursor(CursorMove::End);
        Self { area }
    }

    /// The text.
    pub fn text(&self) -> String {
        self.area.lines().join("\n")
    }

    /// There is no character in it.
    pub fn is_empty(&self) -> bool {
        self.area.is_empty()
    }

    /// What draws it.
    pub fn area(&self) -> &TextArea<'static> {
        &self.area
    }

    /// The same, to be styled for drawing.
    pub fn area_mut(&mut self) -> &mut TextArea<'static> {
        &mut self.area
    }

    /// Another text, with the cursor at its end. It can be undone.
    pub fn set(&mut self, text: &str) {
        let yanked = self.area.yank_text();
        self.area.select_all();
        self.area.cut();
        self.area.set_yank_text(yanked);
        self.area.insert_str(text);
    }

    /// Types text.
    pub fn insert(&mut self, text: &str) {
        self.area.insert_str(text);
    }

    /// The cursor is in the first line.
    pub fn is_at_top(&self) -> bool {
        self.area.cursor().0 == 0
    }

    /// The cursor is in the last line.
    pub fn is_at_bottom(&self) -> bool {
        self.area.cursor().0 + 1 == self.area.lines().len()
    }

    /// The line up to the cursor.
    pub fn before_cursor(&self) -> String {
        let cursor = self.area.cursor();
        self.area.lines().get(cursor.0).map(|line| line.chars().take(cursor.1).collect()).unwrap_or_default()
    }

    /// Takes out so many characters before the cursor and puts this in their place.
    pub fn replace_before_cursor(&mut self, characters: usize, text: &str) {
        for _ in 0..characters {
            self.area.delete_char();
        }
        self.area.insert_str(text);
    }

    /// Does what an action means in a text; false if it means nothing there.
    pub fn act(&mut self, action: Action) -> bool {
        let area = &mut self.area;
        match action {
            Action::CursorLeft => area.move_cursor(CursorMove::Back),
            Action::CursorRight => area.move_cursor(CursorMove::Forward),
            Action::CursorUp => area.move_cursor(CursorMove::Up),
            Action::CursorDown => area.move_cursor(CursorMove::Down),
            Action::LineStart => area.move_cursor(CursorMove::Head),
            Action::LineEnd => area.move_cursor(CursorMove::End),
            Action::WordLeft => area.move_cursor(CursorMove::WordBack),
            Action::WordRight => to_word_end(area),
            Action::Newline => area.insert_newline(),
            Action::DeleteLeft => drop(area.delete_char()),
            Action::DeleteRight => drop(area.delete_next_char()),
            Action::DeleteWordLeft => drop(area.delete_word()),
            Action::DeleteWordRight => drop(area.delete_next_word()),
            Action::DeleteToStart => drop(area.delete_line_by_head()),
            Action::DeleteToEnd => drop(area.delete_line_by_end()),
            Action::Yank => drop(area.paste()),
            Action::Undo => drop(area.undo()),
            Action::Redo => drop(area.redo()),
            _ => return false,
        }
        true
    }
}

/// To the end of this word, or of the next one, as readline has it.
fn to_word_end(area: &mut TextArea<'static>) {
    let (mut row, mut column) = (area.cursor().0, area.cursor().1);
    while let Some(line) = area.lines().get(row) {
        let is_gap = |character: &char| !character.is_alphanumeric();
        let gap = line.chars().skip(column).take_while(is_gap).count();
        let word = line.chars().skip(column + gap).take_while(|character| !is_gap(character)).count();
        if word > 0 || row + 1 == area.lines().len() {
            column += gap + word;
            break;
        }
        (row, column) = (row + 1, 0);
    }
    let place = |at: usize| u16::try_from(at).unwrap_or(u16::MAX);
    area.move_cursor(CursorMove::Jump(place(row), place(column)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readline_keys_edit() {
        let mut editor = Editor::with("cargo test --workspace");
        for action in [Action::DeleteWordLeft, Action::DeleteToStart] {
            editor.act(action);
        }
        assert_eq!(editor.text(), "");
        editor.act(Action::Yank);
        assert_eq!(editor.text(), "cargo test --");
        editor.act(Action::Undo);
        assert_eq!(editor.text(), "");
        editor.insert("zwei\nZeilen");
        assert!(editor.is_at_bottom() && !editor.is_at_top());
        assert_eq!(editor.before_cursor(), "Zeilen");
        editor.replace_before_cursor(3, "gen!");
        assert_eq!(editor.text(), "zwei\nZeigen!");
        editor.set("");
        assert!(editor.is_empty());
        assert!(!editor.act(Action::Quit));
    }

    #[test]
    fn a_word_to_the_right_ends_after_its_last_character() {
        let mut editor = Editor::with("mend the, t\n\nnow");
        editor.act(Action::CursorUp);
        editor.act(Action::CursorUp);
        editor.act(Action::LineStart);
        let ends = [0; 5].map(|_| {
            editor.act(Action::WordRight);
            (editor.area().cursor().0, editor.area().cursor().1)
        });
        assert_eq!(ends, [(0, 4), (0, 8), (0, 11), (2, 3), (2, 3)]);
        editor.act(Action::CursorUp);
        editor.act(Action::CursorUp);
        editor.act(Action::LineStart);
        editor.act(Action::WordRight);
        editor.act(Action::DeleteWordRight);
        assert_eq!(editor.text(), "mend, t\n\nnow");
    }
}
