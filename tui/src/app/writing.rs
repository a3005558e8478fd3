//! The prompt: writing it, sending it, and what becomes of drafts.

use std::collections::BTreeMap;

use ropewalk_protocol::{AgentSpec, AgentTerms, Command, Delivery, OnAsk};

use super::action::Action;
use super::composer::Completion;
use super::event::Effect;
use super::pending::Meant;
use super::place::Target;
use super::state::{Focus, State};

/// A key that is to be pressed twice is so within this time.
pub(super) const TWICE_MILLIS: u64 = 2_000;
/// Prompts that were sent, and are kept at hand.
const SENT_MAX: usize = 500;
/// A session's name that is made of its first words is about as long as this.
const NAME_CHARACTERS: usize = 24;
/// What begins the key of a draft that was put away.
pub(super) const STASHED: &str = "stashed";

impl State {
    /// Does what an action means in the prompt; false if it means nothing there.
    pub(super) fn act_in_composer(&mut self, action: Action) -> bool {
        match action {
            Action::Send => self.send_or_answer(),
            Action::Enqueue => self.enqueue(),
            Action::Editor => {
                let text = self.composer().map(super::composer::Composer::text).unwrap_or_default();
                self.given_to_editor = Some((self.target(), text.clone()));
                self.effects.push(Effect::Edit(self.target(), text));
            }
            Action::Stash => {
                if self.composer_mut().stash() {
                    self.draft_changed();
                } else {
                    self.say("there is no draft to put away, and none was");
                }
            }
            Action::Fold if self.composer().is_some_and(super::composer::Composer::has_folded) => {
                self.composer_mut().unfold();
                self.draft_changed();
            }
            Action::HistorySearch => self.open_history(),
            Action::Back => self.back(),
            Action::Leave => {
                if self.composer().is_none_or(|composer| composer.editor.is_empty()) {
                    self.effects.push(Effect::Quit);
                } else {
                    self.edit_prompt(Action::DeleteRight);
                }
            }
            Action::CursorUp | Action::CursorDown => self.move_in_prompt(action),
            Action::ScrollUp => self.scroll_page(-1),
            Action::ScrollDown => self.scroll_page(1),
            _ => return self.edit_prompt(action),
        }
        true
    }

    fn edit_prompt(&mut self, action: Action) -> bool {
        let acted = self.composer_mut().act(action);
        if acted {
            self.draft_changed();
        }
        acted
    }

    fn move_in_prompt(&mut self, action: Action) {
        let is_up = action == Action::CursorUp;
        let composer = self.composer_mut();
        if let Some(completion) = &mut composer.completion {
            let last = completion.files.len().saturating_sub(1);
            completion.selected =
                if is_up { completion.selected.saturating_sub(1) } else { (completion.selected + 1).min(last) };
            return;
        }
        let is_at_edge = if is_up { composer.editor.is_at_top() } else { composer.editor.is_at_bottom() };
        if is_at_edge {
            // What is recalled is no draft yet: the draft that it hides is kept.
            let sent = std::mem::take(&mut self.sent);
            self.composer_mut().recall(&sent, is_up);
            self.sent = sent;
        } else {
            self.edit_prompt(action);
        }
    }

    /// Follows what was typed: the draft is kept, and files are looked for.
    pub(super) fn draft_changed(&mut self) {
        self.keep_draft();
        self.twice = super::state::Twice::default();
        let composer = self.composer_mut();
        match composer.file_typed() {
            Some(typed) if composer.completion.as_ref().is_none_or(|known| known.typed != typed) => {
                self.effects.push(Effect::Files(typed));
            }
            Some(_) => {}
            None => composer.completion = None,
        }
    }

    pub(super) fn files(&mut self, typed: String, files: Vec<String>) {
        let composer = self.composer_mut();
        if composer.file_typed().as_deref() == Some(&typed) {
            composer.completion = (!files.is_empty()).then_some(Completion { typed, files, selected: 0 });
        }
    }

    pub(super) fn keep_draft(&mut self) {
        self.keep_draft_of(self.target());
    }

    /// An editor ends with this text. What was put into the prompt meanwhile stands below it.
    pub(super) fn edited(&mut self, target: Target, text: &str) {
        let given = self.given_to_editor.take().filter(|(of, _)| *of == target).map(|(_, given)| given);
        let composer = self.composer_of(target);
        let now = composer.text();
        let text = text.trim_end_matches('\n');
        match given {
            Some(given) if given != now && !composer.is_empty() && now != text => {
                composer.set(&format!("{text}\n\n{now}"));
            }
            _ => composer.set(text),
        }
        self.keep_draft_of(target);
    }

    /// Keeps what is written to somebody, and what was put away beside it.
    pub(super) fn keep_draft_of(&mut self, target: Target) {
        let displaced = self.composers.get_mut(&target).map(super::composer::Composer::take_displaced);
        for text in displaced.unwrap_or_default() {
            self.sent.push(text.clone());
            self.effects.push(Effect::KeepHistory(text));
            self.say("one draft is put away at a time; the one before is in the history");
        }
        let key = self.draft_key(target);
        let stashed =
            self.composers.get(&target).and_then(|composer| composer.stashed()).unwrap_or_default().to_owned();
        let stash_key = format!("{STASHED} {key}");
        if self.drafts.get(&stash_key).map(String::as_str).unwrap_or_default() != stashed {
            self.drafts.insert(stash_key.clone(), stashed.clone());
            self.effects.push(Effect::KeepDraft(stash_key, stashed));
        }
        let text = self.composers.get(&target).map(super::composer::Composer::text).unwrap_or_default();
        if text.is_empty() {
            self.drafts.remove(&key);
        } else {
            self.drafts.insert(key.clone(), text.clone());
        }
        self.effects.push(Effect::KeepDraft(key, text));
    }

    fn send_or_answer(&mut self) {
        if self.composer_mut().continues() {
            self.edit_prompt(Action::Newline);
            return;
        }
        if self.composer_mut().complete() {
            return self.draft_changed();
        }
        let is_empty = self.composer().is_none_or(super::composer::Composer::is_empty);
        if !is_empty && self.answer_in_prompt() {
            return;
        }
        match (is_empty, self.target()) {
            // It may be known that something is asked a moment before it is known what.
            (true, _) if self.open_ask().is_some() || self.structured().is_some_and(|agent| agent.asks > 0) => {
                self.act(Action::Attention);
            }
            (true, Target::Terminal(..)) => self.enter_program(),
            (true, _) => {}
            (false, _) => self.send(Delivery::Steer),
        }
    }

    fn enqueue(&mut self) {
        if self.composer_mut().complete() {
            return self.draft_changed();
        }
        match self.target() {
            Target::Start => self.next_provider(),
            _ if self.composer().is_none_or(super::composer::Composer::is_empty) => {
                self.say("write something first; this key sends it for after the running turn");
            }
            _ => self.send(Delivery::AfterTurn),
        }
    }

    /// Another agent for the session that is about to be started.
    pub(super) fn next_provider(&mut self) {
        let count = self.providers.len();
        if count > 0 {
            self.provider = (self.provider + 1) % count;
            self.place.begins_with = self.providers.get(self.provider).map(|provider| provider.label.clone());
            self.keep_place();
        }
    }

    /// Sends what is written: into the running turn, or for after it.
    pub(super) fn send(&mut self, wanted: Delivery) {
        let text = self.composer().map(super::composer::Composer::text).unwrap_or_default();
        if self.deliver(text.trim().to_owned(), wanted) {
            self.composer_mut().take();
            self.keep_draft();
        }
    }

    /// Sends words to the agent on the screen, or starts a session with them; false if that cannot be.
    pub(super) fn deliver(&mut self, text: String, wanted: Delivery) -> bool {
        let target = self.target();
        let has_turn = self.structured().is_some_and(|agent| agent.turn.is_some());
        match target {
            Target::Terminal(..) => return false,
            Target::Start => {
                if !self.start(text.clone()) {
                    return false;
                }
            }
            Target::Agent(session, agent) => {
                let delivery = if has_turn { wanted } else { Delivery::AfterTurn };
                let label = match (has_turn, delivery) {
                    (true, Delivery::Steer) => "into the turn",
                    (true, _) => "queued",
                    (false, _) => "sent",
                };
                let command =
                    Command::AgentPrompt { session, agent, text: text.clone(), delivery, environment: BTreeMap::new() };
                self.command(Meant::Prompt { target, text: text.clone(), label }, command);
            }
        }
        if self.settings.read_only {
            return false;
        }
        if self.sent.last() != Some(&text) {
            self.sent.push(text.clone());
            let surplus = self.sent.len().saturating_sub(SENT_MAX);
            self.sent.drain(..surplus);
            self.effects.push(Effect::KeepHistory(text));
        }
        // Who says something wants to see what comes of it.
        if let Some((talk, ..)) = self.reading() {
            talk.follow();
        }
        true
    }

    /// Starts a session with these words; false if no agent can be started.
    fn start(&mut self, text: String) -> bool {
        let Some(provider) = self.providers.get(self.provider).cloned() else {
            self.complain("no agent is known here; `ropewalk doctor` says what to install");
            return false;
        };
        if let Some(missing) = provider.missing {
            self.complain(missing);
            return false;
        }
        let agent = self.spec(provider.provider, provider.command, Some(text.clone()));
        let workspace = Some(self.directory.clone());
        let (name, agent) = (self.name_for(&text), Some(Box::new(agent)));
        self.command(
            Meant::Start { text, from: Target::Start },
            Command::SessionCreate { name, workspace, program: None, size: None, agent },
        );
        true
    }

    /// A name for a session that begins with these words, which no other has: so that people know it again.
    pub(super) fn name_for(&self, text: &str) -> Option<String> {
        let words = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
        let mut name = String::new();
        for word in words {
            if !name.is_empty() && name.len() + 1 + word.len() > NAME_CHARACTERS {
                break;
            }
            if !name.is_empty() {
                name.push('-');
            }
            name.extend(word.chars().take(NAME_CHARACTERS).map(|c| c.to_ascii_lowercase()));
        }
        let is_taken = |name: &str| self.tree.sessions().any(|session| session.name.as_deref() == Some(name));
        let numbered = (2..100).map(|number| format!("{name}-{number}"));
        std::iter::once(name.clone()).chain(numbered).find(|name| !name.is_empty() && !is_taken(name))
    }

    /// An agent to start in this directory. Its environment is added where it is sent from: it is not for this state to know.
    pub(super) fn spec(&self, provider: String, command: Vec<String>, prompt: Option<String>) -> AgentSpec {
        AgentSpec {
            provider,
            name: None,
            command,
            directory: self.directory.clone(),
            environment: BTreeMap::new(),
            model: None,
            mode: None,
            on_ask: OnAsk::Wait,
            prompt,
            terms: AgentTerms::default(),
        }
    }

    /// Back: a list of files closes; a running turn is stopped by the second press; else what was said has the keys.
    fn back(&mut self) {
        if self.composer_mut().completion.take().is_some() {
            return;
        }
        let has_turn = self.structured().is_some_and(|agent| agent.turn.is_some());
        let again = self.is_again(self.twice.back);
        match (has_turn, again) {
            (true, false) => {
                self.twice.back = Some(self.now);
                self.focus = Focus::Reading;
                let is_asked = self.structured().is_some_and(|agent| agent.cancelling.is_some());
                let what = if is_asked { "ends its process" } else { "stops the turn" };
                self.say(format!(
                    "{} again {what}; {} writes on",
                    self.key_of(Action::Back),
                    self.key_of(Action::ReadCompose)
                ));
            }
            (true, true) => self.act(Action::Cancel),
            (false, _) => {
                self.twice.back = Some(self.now);
                self.focus = Focus::Reading;
            }
        }
    }

    /// Whether a key that was pressed then is pressed again soon enough.
    pub(super) fn is_again(&self, before: Option<ropewalk_protocol::Timestamp>) -> bool {
        before.is_some_and(|at| self.now >= at && self.now.since(at).as_millis() < u128::from(TWICE_MILLIS))
    }
}
