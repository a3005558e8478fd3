//! A prompt that is being written: its text, long pastes folded, files completed, and prompts sent before at hand.

use super::action::Action;
use super::editor::Editor;

/// A paste of more lines is folded to one word.
const PASTE_LINES_SHOWN: usize = 8;
/// As is one of more characters.
const PASTE_CHARACTERS_SHOWN: usize = 1_000;

/// A prompt that is being written.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Composer {
    /// The text, as it is seen.
    pub editor: Editor,
    /// Long pastes, each with the word that stands for it.
    folded: Vec<(String, String)>,
    /// What was put away.
    stash: Option<String>,
    /// Drafts that gave way and have no other place.
    displaced: Vec<String>,
    /// Which of the prompts sent before is seen, from the newest, and what was written before that.
    recalled: Option<(usize, String)>,
    /// Files that may be meant.
    pub completion: Option<Completion>,
}

/// Files that may be meant by a word that begins with `@`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Completion {
    /// What was typed after the `@`.
    pub typed: String,
    /// The files, the best first.
    pub files: Vec<String>,
    /// The one that is taken.
    pub selected: usize,
}

impl Composer {
    /// One with this draft.
    pub fn with(text: &str) -> Self {
        Self { editor: Editor::with(text), ..Self::default() }
    }

    /// What would be sent.
    pub fn text(&self) -> String {
        let seen = self.editor.text();
        self.folded.iter().fold(seen, |text, (word, whole)| text.replace(word, whole))
    }

    /// There is nothing in it to send.
    pub fn is_empty(&self) -> bool {
        self.editor.text().trim().is_empty()
    }

    /// Takes the text out. A draft that a recalled prompt hid is there again.
    pub fn take(&mut self) -> String {
        let text = self.text();
        let hidden = self.recalled.take().map(|(_, draft)| draft).unwrap_or_default();
        let (stash, displaced) = (self.stash.take(), std::mem::take(&mut self.displaced));
        *self = Self { stash, displaced, ..Self::with(&hidden) };
        text
    }

    /// Drafts that gave way and have no other place, told once: they are for the history.
    pub fn take_displaced(&mut self) -> Vec<String> {
        std::mem::take(&mut self.displaced)
    }

    /// Another text. Long pastes are known on: to undo this brings their words back.
    pub fn set(&mut self, text: &str) {
        self.leave_recalled();
        self.show(text);
    }

    fn show(&mut self, text: &str) {
        self.completion = None;
        self.editor.set(text);
    }

    /// A paste: a long one is seen as one word, and sent whole.
    pub fn paste(&mut self, text: &str) {
        let lines = text.lines().count();
        if lines <= PASTE_LINES_SHOWN && text.chars().count() <= PASTE_CHARACTERS_SHOWN {
            self.editor.insert(text);
        } else {
            let number = self.folded.len() + 1;
            let word = format!("[paste {number}: {lines} lines, {} characters]", text.chars().count());
            self.editor.insert(&word);
            self.folded.push((word, text.to_owned()));
        }
        self.leave_recalled();
    }

    /// Whether a long paste is folded in it.
    pub fn has_folded(&self) -> bool {
        let seen = self.editor.text();
        self.folded.iter().any(|(word, _)| seen.contains(word))
    }

    /// Shows folded pastes in full.
    pub fn unfold(&mut self) {
        let text = self.text();
        self.editor.set(&text);
    }

    /// Puts the draft away, or brings it back; false if there is neither.
    pub fn stash(&mut self) -> bool {
        if self.is_empty() {
            match self.stash.take() {
                Some(text) => self.set(&text),
                None => return false,
            }
        } else {
            self.leave_recalled();
            self.displaced.extend(self.stash.replace(self.text()));
            self.show("");
        }
        true
    }

    /// The draft that is put away.
    pub fn stashed(&self) -> Option<&str> {
        self.stash.as_deref()
    }

    /// The same with a draft that was put away before.
    #[must_use]
    pub fn with_stash(self, stash: Option<String>) -> Self {
        Self { stash, ..self }
    }

    /// What was written before a prompt was recalled, and changed, is put away: it is not lost.
    fn leave_recalled(&mut self) {
        if let Some((_, draft)) = self.recalled.take() {
            self.put_away(draft);
        }
    }

    /// Puts a draft away beside the one that is there now.
    fn put_away(&mut self, draft: String) {
        match self.stash {
            _ if draft.trim().is_empty() => {}
            None => self.stash = Some(draft),
            Some(_) => self.displaced.push(draft),
        }
    }

    /// Another text in the place of what is written, which is put away.
    pub fn replace(&mut self, text: &str) {
        match self.recalled.take() {
            // What is seen is in the history already; what it hid is not.
            Some((_, draft)) => self.put_away(draft),
            None => self.put_away(self.text()),
        }
        self.show(text);
    }

    /// Whether a draft is put away.
    pub fn has_stash(&self) -> bool {
        self.stash.is_some()
    }

    /// The next older, or newer, of the prompts sent before, the newest last; false if there is none.
    pub fn recall(&mut self, sent: &[String], older: bool) -> bool {
        let at = self.recalled.as_ref().map(|(at, _)| *at);
        let to = match (at, older) {
            (None, true) => 0,
            (Some(at), true) => at + 1,
            (Some(0), false) => {
                let (_, draft) = self.recalled.take().unwrap_or_default();
                self.show(&draft);
                return true;
            }
            (Some(at), false) => at - 1,
            (None, false) => return false,
        };
        let Some(text) = sent.len().checked_sub(to + 1).and_then(|at| sent.get(at)) else {
            return false;
        };
        let draft = self.recalled.take().map_or_else(|| self.text(), |(_, draft)| draft);
        self.show(text);
        self.recalled = Some((to, draft));
        true
    }

    /// Does what an action means in a text; false if it means nothing there.
    pub fn act(&mut self, action: Action) -> bool {
        let acted = self.editor.act(action);
        if acted {
            self.leave_recalled();
        }
        acted
    }

    /// Types a character. A backslash before Enter is taken out: see [`Composer::continues`].
    pub fn type_in(&mut self, character: char) {
        self.editor.insert(character.encode_utf8(&mut [0; 4]));
        self.leave_recalled();
    }

    /// Whether a backslash at the end says that another line follows; it is taken out then.
    pub fn continues(&mut self) -> bool {
        let continues = self.editor.before_cursor().ends_with('\\') && self.editor.is_at_bottom();
        if continues {
            self.editor.replace_before_cursor(1, "");
        }
        continues
    }

    /// The word before the cursor that names a file, without its `@`.
    pub fn file_typed(&self) -> Option<String> {
        let line = self.editor.before_cursor();
        let word = line.rsplit(char::is_whitespace).next()?;
        word.strip_prefix('@').map(str::to_owned)
    }

    /// Takes the file that is selected; false if there is none.
    pub fn complete(&mut self) -> bool {
        let Some(completion) = self.completion.take() else { return false };
        let Some(file) = completion.files.get(completion.selected) else { return false };
        let typed = self.file_typed().unwrap_or_default();
        self.editor.replace_before_cursor(typed.chars().count(), &format!("{file} "));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_paste_is_seen_as_a_word_and_sent_whole() {
        let mut composer = Composer::with("look: ");
        let long = "line\n".repeat(20);
        composer.paste(&long);
        composer.paste("short");
        assert_eq!(composer.editor.text(), "look: [paste 1: 20 lines, 100 characters]short");
        assert_eq!(composer.text(), format!("look: {long}short"));
        assert!(composer.has_folded());
        composer.unfold();
        assert!(composer.editor.text().contains("line\nline") && !composer.has_folded());
        // What was put there, and what was taken away for it.
        assert!(composer.act(Action::Undo) && composer.act(Action::Undo) && composer.has_folded());
        assert_eq!(composer.text(), format!("look: {long}short"), "what is brought back is whole");
        assert_eq!(composer.take(), format!("look: {long}short"));
        assert!(composer.is_empty());
    }

    #[test]
    fn prompts_sent_before_are_recalled_and_the_draft_comes_back() {
        let sent = ["first".to_owned(), "second".to_owned()];
        let mut composer = Composer::with("draft");
        assert!(!composer.recall(&sent, false));
        let seen: Vec<_> = [true, true, true, false, false, false]
            .into_iter()
            .map(|older| (composer.recall(&sent, older), composer.text()))
            .collect();
        let texts: Vec<_> = seen.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(texts, ["second", "first", "first", "second", "draft", "draft"]);
        assert!(!seen[2].0 && !seen[5].0);
    }

    #[test]
    fn a_draft_is_put_away_and_brought_back() {
        let mut composer = Composer::with("later");
        assert!(composer.stash() && composer.is_empty() && composer.has_stash());
        composer.editor.insert("now");
        assert_eq!(composer.take(), "now");
        assert!(composer.stash());
        assert_eq!(composer.text(), "later");
    }

    #[test]
    fn a_draft_that_a_recalled_prompt_hides_is_there_once_that_is_sent() {
        let mut composer = Composer::with("draft");
        assert!(composer.recall(&["sent before".to_owned()], true));
        assert_eq!(composer.take(), "sent before");
        assert_eq!(composer.text(), "draft");
    }

    #[test]
    fn a_draft_that_gives_way_is_put_away_or_told() {
        let mut composer = Composer::with("first");
        composer.replace("second");
        assert_eq!((composer.take_displaced(), composer.stashed()), (vec![], Some("first")));
        composer.replace("third");
        assert_eq!((composer.take_displaced(), composer.stashed()), (vec!["second".to_owned()], Some("first")));
        assert!(composer.stash());
        assert_eq!((composer.take_displaced(), composer.stashed()), (vec!["first".to_owned()], Some("third")));
        composer.editor.insert("fourth");
        composer.recall(&["sent before".to_owned()], true);
        composer.type_in('!');
        assert_eq!(
            (composer.text(), composer.take_displaced()),
            ("sent before!".to_owned(), vec!["fourth".to_owned()])
        );
    }

    #[test]
    fn a_file_is_completed_where_it_is_typed() {
        let mut composer = Composer::with("see @ma");
        assert_eq!(composer.file_typed().as_deref(), Some("ma"));
        let files = vec!["src/main.rs".to_owned()];
        composer.completion = Some(Completion { typed: "ma".to_owned(), files, selected: 0 });
        assert!(composer.complete());
        assert_eq!(composer.text(), "see @src/main.rs ");
        assert_eq!(composer.file_typed(), None);
        assert!(!composer.complete());
        assert_eq!(Composer::with("mail me@home").file_typed(), None);
    }

    #[test]
    fn a_backslash_before_enter_goes_on() {
        let mut composer = Composer::with("one\\");
        assert!(composer.continues());
        assert_eq!(composer.text(), "one");
        assert!(!composer.continues());
    }
}
