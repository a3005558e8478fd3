//! Open questions, asked one after the other where the turn is followed.

use std::io::BufRead;
use std::time::{Duration, Instant};

use ropewalk_protocol::{Answer, AskKind, Asked, InteractionId};
use tokio::sync::mpsc;

use super::{answer, text};

/// A line that comes sooner after a question was shown was typed for the one before it.
const READING_TIME: Duration = Duration::from_millis(500);

/// Questions of the turn that is followed.
pub(super) struct Asking {
    interactive: bool,
    /// The oldest first: the first one is shown.
    open: Vec<Asked>,
    shown_at: Option<Instant>,
    lines: Option<mpsc::Receiver<String>>,
}

/// What became of a typed line.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Typed {
    pub(super) answer: Option<(InteractionId, Answer)>,
    pub(super) talk: Option<String>,
}

impl Asking {
    pub(super) fn new(interactive: bool) -> Self {
        Self { interactive, open: Vec::new(), shown_at: None, lines: None }
    }

    /// Another question; what to print.
    pub(super) fn add(&mut self, asked: Asked, now: Instant) -> String {
        let shown = if self.interactive { question(&asked) } else { elsewhere(&asked) };
        self.open.push(asked);
        if !self.interactive {
            return shown;
        }
        self.lines.get_or_insert_with(lines);
        if self.open.len() > 1 {
            return "[another question waits]".to_owned();
        }
        self.shown_at = Some(now);
        shown
    }

    /// A question is closed; the next one, to print.
    pub(super) fn remove(&mut self, interaction: InteractionId, now: Instant) -> Option<String> {
        let was_shown = self.open.first().is_some_and(|asked| asked.interaction == interaction);
        self.open.retain(|asked| asked.interaction != interaction);
        if !self.interactive || !was_shown {
            return None;
        }
        let next = self.open.first()?;
        self.shown_at = Some(now);
        Some(question(next))
    }

    /// The next line that somebody types while a question is open; `None` once nobody can any more.
    pub(super) async fn line(&mut self) -> Option<String> {
        match &mut self.lines {
            Some(lines) => lines.recv().await,
            None => std::future::pending().await,
        }
    }

    /// What a line means.
    pub(super) fn typed(&mut self, line: Option<&str>, now: Instant) -> Typed {
        let Some(line) = line else {
            (self.interactive, self.lines) = (false, None);
            let talk = self.open.iter().map(elsewhere).collect::<Vec<_>>().join("\n");
            return Typed { answer: None, talk: Some(talk).filter(|talk| !talk.is_empty()) };
        };
        let Some(asked) = self.open.first() else {
            return Typed::default();
        };
        if self.shown_at.is_some_and(|shown| now.saturating_duration_since(shown) < READING_TIME) {
            let talk = format!("[that came too soon to be an answer to this] {}", answer::keys(asked.kind));
            return Typed { answer: None, talk: Some(talk) };
        }
        match answer::of_line(asked.kind, &asked.options, line) {
            Ok(answer) => Typed { answer: Some((asked.interaction, answer)), talk: None },
            Err(hint) => Typed { answer: None, talk: Some(hint) },
        }
    }
}

/// What is asked for, in full.
pub(super) fn head(asked: &Asked) -> String {
    format!("? {}\n{}", text::line(&asked.title), text::detail(&asked.detail)).trim_end().to_owned()
}

fn question(asked: &Asked) -> String {
    let mut shown = head(asked);
    if asked.kind != AskKind::Permission {
        for (number, option) in (1..).zip(&asked.options) {
            shown.push_str(&format!("\n    {number}. {}", text::line(&option.name)));
        }
    }
    shown + &format!("\n  [{}]", answer::keys(asked.kind))
}

/// How to answer from somewhere else.
fn elsewhere(asked: &Asked) -> String {
    let how = match asked.kind {
        AskKind::Permission => "allow",
        AskKind::Choice => "choose OPTION",
        AskKind::Question => "TEXT",
    };
    format!("{}\n  [answer with: ropewalk answer {} {how}]", head(asked), asked.interaction)
}

/// Lines of stdin, read on a thread of its own: a terminal cannot be read without blocking.
fn lines() -> mpsc::Receiver<String> {
    let (send, lines) = mpsc::channel(16);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let Ok(line) = line else {
                return;
            };
            if send.blocking_send(line).is_err() {
                return;
            }
        }
    });
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(byte: u8) -> Asked {
        Asked {
            interaction: InteractionId::from_bytes([byte; 16]),
            key: String::new(),
            turn: None,
            item: None,
            kind: AskKind::Permission,
            title: format!("question {byte}"),
            detail: r#"{"command":"touch x"}"#.to_owned(),
            options: Vec::new(),
            expires: None,
            offset: 0,
            length: 0,
        }
    }

    #[test]
    fn an_answer_is_never_taken_for_the_next_question() {
        let now = Instant::now();
        // Without the thread that reads stdin.
        let mut asking = Asking { lines: Some(mpsc::channel(1).1), ..Asking::new(true) };
        let shown = asking.add(asked(1), now);
        assert!(shown.contains("question 1") && shown.contains("command: touch x") && shown.contains("y: allow"));
        assert_eq!(asking.add(asked(2), now), "[another question waits]");
        let later = now + READING_TIME;
        let (first, second) = (asked(1).interaction, asked(2).interaction);
        let allow = Answer::Allow { always: false };
        assert_eq!(asking.typed(Some("y"), later).answer, Some((first, allow.clone())));
        // Somebody else was faster: the line that is being typed was for the first question.
        assert!(asking.remove(first, later).unwrap().contains("question 2"));
        assert_eq!(asking.typed(Some("y"), later).answer, None);
        assert_eq!(asking.typed(Some("y"), later + READING_TIME).answer, Some((second, allow)));
        assert_eq!(asking.remove(second, later), None);
        assert_eq!(asking.typed(Some("y"), later + READING_TIME), Typed::default(), "nothing is asked");
    }

    #[test]
    fn who_cannot_type_is_told_how_to_answer() {
        let mut asking = Asking::new(false);
        let shown = asking.add(asked(1), Instant::now());
        assert!(shown.contains("ropewalk answer 01010101-0101-0101-0101-010101010101 allow"), "{shown}");
        let mut asking = Asking { lines: Some(mpsc::channel(1).1), ..Asking::new(true) };
        asking.add(asked(1), Instant::now());
        assert!(asking.typed(None, Instant::now()).talk.unwrap().contains("ropewalk answer"));
    }
}
