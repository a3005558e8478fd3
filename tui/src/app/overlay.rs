//! What lies over the screen: one thing at a time, with keys of its own.

use ropewalk_protocol::{InteractionId, PromptView, Seq, SessionId, TimelineEntry, Timestamp};

use super::action::Action;
use super::editor::Editor;
use super::place::Target;
use super::search::Search;

/// What lies over the screen.
#[derive(Debug, Clone, PartialEq)]
pub enum Overlay {
    /// What is on the screen, and which keys work there.
    Help {
        /// The first line that is seen.
        top: usize,
    },
    /// Things to choose from.
    Picker(Picker),
    /// A line that is typed: a command, a filter, a name.
    Line(Ask),
    /// What waits for a person.
    Attention(Attention),
    /// Prompts that wait for an agent.
    Queue(Queue),
    /// What happened in a session.
    Timeline(Timeline),
    /// Where something was said, in all sessions.
    Search(Search),
    /// A question before something that cannot be undone.
    Confirm {
        /// It.
        question: String,
        /// What is done then.
        then: Confirmed,
    },
    /// A long text.
    Pager {
        /// What it is.
        title: String,
        /// It.
        text: String,
        /// The first line that is seen.
        top: usize,
    },
}

/// What is done once a person has said yes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Confirmed {
    /// End a session.
    EndSession(SessionId),
    /// End one agent.
    EndAgent(Target),
    /// Delete an ended session.
    DeleteSession(SessionId),
}

/// Things to choose from.
#[derive(Debug, Clone, PartialEq)]
pub struct Picker {
    /// What they are.
    pub title: String,
    /// What is typed to find one.
    pub filter: Editor,
    /// All of them.
    pub choices: Vec<Choice>,
    /// The one that is taken, of those that fit.
    pub selected: usize,
}

/// One thing to choose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// What people read.
    pub label: String,
    /// More about it.
    pub note: String,
    /// What it does.
    pub pick: Pick,
}

/// What choosing something does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pick {
    /// This.
    Action(Action),
    /// A command that more may be typed to.
    Verb(&'static str),
    /// Shows it beside what is shown.
    Beside(Target),
    /// The prompt becomes this.
    Prompt(String),
}

impl Picker {
    /// Those that fit what is typed, the best first.
    pub fn fitting(&self) -> Vec<&Choice> {
        let typed = self.filter.text();
        let scored = |choice: &Choice| {
            let label = super::matching::score(&typed, &choice.label);
            let note = super::matching::score(&typed, &choice.note).map(|score| score / 2);
            label.max(note)
        };
        let mut found: Vec<_> = self.choices.iter().filter_map(|choice| Some((scored(choice)?, choice))).collect();
        if !typed.is_empty() {
            found.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
        }
        found.into_iter().map(|(_, choice)| choice).collect()
    }
}

/// A line that is typed.
#[derive(Debug, Clone, PartialEq)]
pub struct Ask {
    /// What for.
    pub purpose: Purpose,
    /// What is typed.
    pub editor: Editor,
    /// What was wrong with it.
    pub error: Option<String>,
}

/// What a typed line is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A command.
    Command,
    /// Which sessions are listed.
    Filter,
    /// What is searched for in what was said.
    Search,
    /// A session's new name.
    Rename(SessionId),
    /// Why something is denied.
    Deny(InteractionId),
}

/// What waits for a person.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Attention {
    /// The question that is seen.
    pub selected: Option<InteractionId>,
    /// Since when it is seen: a key that comes at once was meant for something else.
    pub seen_at: Timestamp,
    /// A text that is typed as the answer.
    pub answer: Option<Editor>,
    /// The first line of what is asked that is seen.
    pub top: usize,
    /// The last line was on the screen.
    pub is_whole: bool,
}

/// Prompts that wait for an agent.
#[derive(Debug, Clone, PartialEq)]
pub struct Queue {
    /// The agent.
    pub target: Target,
    /// They, the next one first; `None`: they have not come yet.
    pub prompts: Option<Vec<PromptView>>,
    /// The one that is taken.
    pub selected: usize,
    /// Another text for it.
    pub editor: Option<Editor>,
}

/// What happened in a session.
#[derive(Debug, Clone, PartialEq)]
pub struct Timeline {
    /// The session.
    pub session: SessionId,
    /// It, newest first.
    pub entries: Vec<TimelineEntry>,
    /// The one that is taken.
    pub selected: usize,
    /// An older page is on its way.
    pub is_asked: bool,
    /// There is more.
    pub more: bool,
    /// Why there is no more.
    pub failed: Option<String>,
}

impl Timeline {
    /// The event before which the next page lies.
    pub fn before(&self) -> Option<Seq> {
        self.entries.last().map(|entry| entry.seq)
    }
}
