//! Words that are typed into what lies over the screen: answers, reasons, other texts for prompts that wait. They are kept as
//! drafts are, until the daemon has taken them.

use ropewalk_protocol::{AgentId, Answer, InteractionId, PromptId};

use super::event::Effect;
use super::overlay::{Ask, Attention, Overlay, Purpose};
use super::place::Target;
use super::state::State;

/// What begins the key of an answer that is typed.
const ANSWER: &str = "answer ";
/// What begins the key of a reason that is typed.
const REASON: &str = "reason ";
/// What begins the key of another text for a prompt that waits.
const QUEUED: &str = "queued ";

/// What words are typed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Words {
    /// The answer to a question.
    Answer(InteractionId),
    /// Why something is denied.
    Reason(InteractionId),
    /// Another text for a prompt that waits for this agent.
    Queued(AgentId, PromptId),
}

impl Words {
    /// The key of the draft.
    pub(super) fn key(self) -> String {
        match self {
            Words::Answer(interaction) => format!("{ANSWER}{interaction}"),
            Words::Reason(interaction) => format!("{REASON}{interaction}"),
            Words::Queued(agent, prompt) => format!("{QUEUED}{agent} {prompt}"),
        }
    }

    /// What an answer is typed into, with its words; `None`: it has none.
    pub(super) fn of(interaction: InteractionId, answer: &Answer) -> Option<(Self, &str)> {
        match answer {
            Answer::Text { text } => Some((Words::Answer(interaction), text)),
            Answer::Deny { reason: Some(reason) } => Some((Words::Reason(interaction), reason)),
            Answer::Deny { reason: None } | Answer::Allow { .. } | Answer::Choose { .. } => None,
        }
    }
}

impl State {
    /// What was typed for this, and is not taken yet.
    pub(super) fn words(&self, of: Words) -> &str {
        self.drafts.get(&of.key()).map(String::as_str).unwrap_or_default()
    }

    /// Keeps what is typed; no words: nothing is kept any more.
    pub(super) fn keep_words(&mut self, of: Words, text: &str) {
        if self.words(of) != text {
            self.keep_by_key(of.key(), text.to_owned());
        }
    }

    fn keep_by_key(&mut self, key: String, text: String) {
        match text.is_empty() {
            true => drop(self.drafts.remove(&key)),
            false => drop(self.drafts.insert(key.clone(), text.clone())),
        }
        self.effects.push(Effect::KeepDraft(key, text));
    }

    /// An answer is given: its words are there until the daemon has taken them. Others that were typed for the question are
    /// not for it any more.
    pub(super) fn answer_given(&mut self, interaction: InteractionId, answer: &Answer) {
        let given = Words::of(interaction, answer);
        for of in [Words::Answer(interaction), Words::Reason(interaction)] {
            let is_given = given.is_some_and(|(given, text)| given == of && text == self.words(of).trim());
            if !is_given && !self.words(of).trim().is_empty() {
                self.move_to_history(of.key(), "answered");
            }
        }
        if let Some((of, text)) = given {
            self.keep_words(of, text);
        }
    }

    /// An answer with these words is taken: they are kept no more. Others, typed while it was on its way, go to the history.
    pub(super) fn answer_taken(&mut self, interaction: InteractionId, given: &str) {
        for of in [Words::Answer(interaction), Words::Reason(interaction)] {
            self.words_settled(of, given);
            if !self.words(of).trim().is_empty() {
                self.move_to_history(of.key(), "answered");
            }
        }
    }

    /// These words are somebody else's to keep. Others that were typed for the same meanwhile stay.
    pub(super) fn words_settled(&mut self, of: Words, given: &str) {
        if self.words(of).trim() == given.trim() {
            self.keep_words(of, "");
        }
    }

    /// Keeps what is being typed over the screen.
    pub(super) fn keep_typed_words(&mut self) {
        let typed = match &self.overlay {
            Some(Overlay::Attention(Attention { selected: Some(interaction), answer: Some(editor), .. })) => {
                Some((Words::Answer(*interaction), editor.text()))
            }
            Some(Overlay::Line(Ask { purpose: Purpose::Deny(interaction), editor, .. })) => {
                Some((Words::Reason(*interaction), editor.text()))
            }
            Some(Overlay::Queue(queue)) => queue.typed(),
            _ => None,
        };
        if let Some((of, text)) = typed {
            self.keep_words(of, &text);
        }
    }

    /// Words that nobody will take any more go to the history, unless somebody still types them: those for questions that are
    /// closed, and for agents that are gone.
    pub(super) fn keep_words_of_closed(&mut self) {
        if !self.knows_asks {
            return;
        }
        let typed_for = match &self.overlay {
            Some(Overlay::Attention(attention)) => attention.selected,
            Some(Overlay::Line(Ask { purpose: Purpose::Deny(interaction), .. })) => Some(*interaction),
            _ => None,
        };
        let is_closed = |key: &str| {
            let of = key.strip_prefix(ANSWER).or_else(|| key.strip_prefix(REASON));
            of.and_then(|of| of.parse::<InteractionId>().ok()).is_some_and(|of| {
                typed_for != Some(of) && !self.pending.answers(of) && self.asks.iter().all(|ask| ask.interaction != of)
            })
        };
        // Of an agent that is no more nobody will tell what waits for it.
        let is_orphaned = |key: &str| {
            let agent = key.strip_prefix(QUEUED).and_then(|of| of.split(' ').next()?.parse::<AgentId>().ok());
            let is_known = |agent| self.tree.sessions().any(|of| of.agents.iter().any(|known| known.agent == agent));
            self.tree.is_complete && agent.is_some_and(|agent| !is_known(agent))
        };
        let is_of_nobody = |key: &&String| is_closed(key) || is_orphaned(key);
        let closed: Vec<_> = self.drafts.keys().filter(is_of_nobody).cloned().collect();
        closed.into_iter().for_each(|key| self.move_to_history(key, "it is closed"));
    }

    /// Other texts for prompts that wait no more go to the history.
    pub(super) fn keep_words_of_sent(&mut self, agent: AgentId, waiting: &[PromptId]) {
        let of_agent = format!("{QUEUED}{agent} ");
        let is_sent = |key: &str| {
            let prompt = key.strip_prefix(&of_agent).and_then(|prompt| prompt.parse::<PromptId>().ok());
            prompt.is_some_and(|prompt| !waiting.contains(&prompt) && !self.pending.edits(prompt))
        };
        let sent: Vec<_> = self.drafts.keys().filter(|key| is_sent(key)).cloned().collect();
        sent.into_iter().for_each(|key| self.move_to_history(key, "the prompt waits no more"));
    }

    fn move_to_history(&mut self, key: String, why: &str) {
        let text = self.drafts.get(&key).cloned().unwrap_or_default();
        self.sent.push(text.clone());
        self.effects.push(Effect::KeepHistory(text));
        // It is there before it is gone here.
        self.keep_by_key(key, String::new());
        let why = self.toast.as_ref().map_or(why, |toast| toast.text.trim_end_matches('.'));
        self.say(format!("{why}; your words are in the history"));
    }

    /// Words go back to a prompt, before what is written there now.
    pub(super) fn put_back(&mut self, target: Target, text: &str) {
        if text.trim().is_empty() {
            return;
        }
        let composer = self.composer_of(target);
        let both = if composer.is_empty() { text.to_owned() } else { format!("{text}\n\n{}", composer.text()) };
        composer.set(&both);
        self.keep_draft_of(target);
    }
}
