//! What waits for a person: the list of open questions, and answers to them.

use ropewalk_protocol::{Answer, AskEffect, AskKind, Command, InteractionId, InteractionView};

use crate::input::{Code, Key};

use super::action::{Action, Scope};
use super::editor::Editor;
use super::keymap::Meaning;
use super::overlay::{Ask, Attention, Overlay, Purpose};
use super::pending::Meant;
use super::place::Target;
use super::state::State;
use super::words::Words;

/// A key that comes sooner after a question is seen was pressed for something else.
const READING_MILLIS: u64 = 400;

impl State {
    /// Shows what waits for a person, the focused agent's first.
    pub(super) fn open_attention(&mut self) {
        let first = self.open_ask().or(self.asks.first()).map(|ask| ask.interaction);
        self.overlay = Some(Overlay::Attention(Attention {
            selected: first,
            seen_at: self.now,
            answer: None,
            top: 0,
            is_whole: false,
        }));
        self.open_answer_field();
    }

    /// Questions came or went: another one is seen if the one that was is gone.
    pub(super) fn attention_changed(&mut self) {
        let first = self.asks.first().map(|ask| ask.interaction);
        let Some(Overlay::Attention(attention)) = &mut self.overlay else { return };
        // One that closes under somebody's eyes stays until they go on: what they type is not for the next one. What was typed
        // for it is kept.
        let is_closed = attention.selected.is_some_and(|seen| self.asks.iter().all(|ask| ask.interaction != seen));
        if is_closed {
            attention.answer = None;
        }
        if attention.selected.is_none() && first.is_some() {
            *attention = Attention { selected: first, seen_at: self.now, answer: None, top: 0, is_whole: false };
            self.open_answer_field();
        }
    }

    /// A question that is answered by text has a field for it at once.
    fn open_answer_field(&mut self) {
        if self.seen_ask().is_some_and(|ask| ask.kind == AskKind::Question) {
            self.type_answer();
        }
    }

    /// A field for the question that is seen, with what was typed for it before.
    fn type_answer(&mut self) {
        let typed = self.seen_ask().map(|ask| self.words(Words::Answer(ask.interaction)).to_owned());
        if let Some(Overlay::Attention(attention)) = &mut self.overlay {
            attention.answer = typed.map(|typed| Editor::with(&typed));
        }
    }

    /// The question that is seen.
    pub fn seen_ask(&self) -> Option<&InteractionView> {
        let Some(Overlay::Attention(Attention { selected: Some(seen), .. })) = &self.overlay else { return None };
        self.asks.iter().find(|ask| ask.interaction == *seen)
    }

    pub(super) fn attention_key(&mut self, key: Key) {
        let seen = self.seen_ask().map(|ask| (ask.kind, shows_options(ask)));
        if let Some(Overlay::Attention(attention)) = &self.overlay {
            let is_whole = attention.is_whole || crate::view::question_lines_below(self, attention) == 0;
            if let Some(Overlay::Attention(attention)) = &mut self.overlay {
                attention.is_whole = is_whole;
            }
        }
        let Some(Overlay::Attention(attention)) = &mut self.overlay else { return };
        let keymap = &self.settings.keymap;
        if let Some(editor) = &mut attention.answer {
            match keymap.meaning(&[Scope::List], &[key]) {
                Meaning::Action(Action::ListClose) if self.asks.len() > 1 || !editor.is_empty() => {
                    attention.answer = None
                }
                Meaning::Action(Action::ListClose) => self.close_overlay(),
                Meaning::Action(Action::ListChoose) => {
                    let text = editor.text();
                    self.answer_text(&text);
                }
                _ => drop(super::keys::edit(editor, key, keymap)),
            }
            return;
        }
        if let Key { code: Code::Char(digit @ '1'..='9'), ctrl: false, alt: false, .. } = key
            && seen.is_some_and(|(_, shows_options)| shows_options)
        {
            return self.choose_option(digit as usize - '1' as usize);
        }
        match keymap.meaning(&[Scope::Asked, Scope::List], &[key]) {
            Meaning::Action(Action::AskAllow) => self.allow_seen(false),
            Meaning::Action(Action::AskAlways) => self.allow_seen(true),
            Meaning::Action(Action::AskDeny) => self.deny_seen(),
            Meaning::Action(Action::AskText) if seen.is_some_and(|(kind, _)| kind == AskKind::Permission) => {
                self.deny_seen();
            }
            Meaning::Action(Action::AskText) if seen.is_some() => self.type_answer(),
            Meaning::Action(Action::AskShow) => {
                if let Some((session, agent)) = self.seen_ask().map(|ask| (ask.session, ask.agent)) {
                    self.close_overlay();
                    self.show(Target::Agent(session, agent));
                }
            }
            Meaning::Action(Action::AskNext | Action::ListDown) => self.see_ask(1),
            Meaning::Action(Action::AskPrevious | Action::ListUp) => self.see_ask(-1),
            Meaning::Action(Action::ListPageDown) => attention.top = attention.top.saturating_add(10),
            Meaning::Action(Action::ListPageUp) => attention.top = attention.top.saturating_sub(10),
            Meaning::Action(Action::ListClose) => self.close_overlay(),
            _ => {}
        }
    }

    fn see_ask(&mut self, step: i64) {
        let seen = self.seen_ask().map(|ask| ask.interaction);
        let at = self.asks.iter().position(|ask| Some(ask.interaction) == seen).unwrap_or(0);
        let last = self.asks.len().saturating_sub(1);
        let to = i64::try_from(at).unwrap_or(0).saturating_add(step).clamp(0, i64::try_from(last).unwrap_or(0));
        let selected = usize::try_from(to).ok().and_then(|to| self.asks.get(to)).map(|ask| ask.interaction);
        self.overlay =
            Some(Overlay::Attention(Attention { selected, seen_at: self.now, answer: None, top: 0, is_whole: false }));
        self.open_answer_field();
    }

    /// Whether a key was meant for the question that is seen.
    fn is_read(&mut self) -> bool {
        let Some(Overlay::Attention(attention)) = &self.overlay else { return true };
        let is_read = self.now.since(attention.seen_at).as_millis() >= u128::from(READING_MILLIS);
        if !is_read {
            self.say("too soon: press it again");
        }
        is_read
    }

    fn allow_seen(&mut self, always: bool) {
        let Some(ask) = self.seen_ask().cloned() else { return };
        if !self.is_read() {
            return;
        }
        if ask.kind != AskKind::Permission {
            return self.say("this is no permission: choose by number, or type the answer");
        }
        if let Some(Overlay::Attention(Attention { is_whole: false, .. })) = &self.overlay {
            return self.say("there is more of it below: pagedown, and then press it again");
        }
        self.answer(&ask, Answer::Allow { always });
    }

    fn deny_seen(&mut self) {
        let Some(ask) = self.seen_ask().cloned() else { return };
        if self.is_read() {
            self.ask_why(ask.interaction);
        }
    }

    fn ask_why(&mut self, interaction: InteractionId) {
        let editor = Editor::with(self.words(Words::Reason(interaction)));
        self.overlay = Some(Overlay::Line(Ask { purpose: Purpose::Deny(interaction), editor, error: None }));
    }

    fn choose_option(&mut self, number: usize) {
        let Some(ask) = self.seen_ask().cloned() else { return };
        if !self.is_read() {
            return;
        }
        match ask.options.get(number) {
            Some(option) => self.answer(&ask, Answer::Choose { option: option.id.clone() }),
            None => self.say(format!("there is no option {}", number + 1)),
        }
    }

    fn answer_text(&mut self, text: &str) {
        let Some(ask) = self.seen_ask().cloned() else { return };
        let text = text.trim();
        if text.is_empty() {
            return self.say("type the answer first");
        }
        let answer = match ask.kind {
            AskKind::Question => Answer::Text { text: text.to_owned() },
            AskKind::Choice => {
                match ask.options.iter().find(|option| option.name.eq_ignore_ascii_case(text) || option.id == text) {
                    Some(option) => Answer::Choose { option: option.id.clone() },
                    None => return self.say(format!("there is no option {text:?}")),
                }
            }
            AskKind::Permission => Answer::Deny { reason: Some(text.to_owned()) },
        };
        self.answer(&ask, answer);
    }

    /// Answers the focused agent's question without a list.
    pub(super) fn answer_here(&mut self, action: Action) {
        let Some(ask) = self.open_ask().cloned() else {
            return self.say("this agent asks nothing");
        };
        if ask.kind != AskKind::Permission && action != Action::Deny {
            return self.open_attention();
        }
        let since = self.asked_at.get(&ask.interaction).copied().unwrap_or(self.now);
        if self.now.since(since).as_millis() < u128::from(READING_MILLIS) {
            return self.say("that came too soon to be an answer to this; press it again");
        }
        match action {
            Action::Allow => self.answer(&ask, Answer::Allow { always: false }),
            Action::Always => self.answer(&ask, Answer::Allow { always: true }),
            _ => self.ask_why(ask.interaction),
        }
    }

    /// Answers the focused agent's question with what is written in the prompt: words, where words are asked for; else the number
    /// or the name of an option. False if it is no answer.
    pub(super) fn answer_in_prompt(&mut self) -> bool {
        let text = self.composer().map(super::composer::Composer::text).unwrap_or_default();
        let Some(ask) = self.open_ask().map(|ask| ask.interaction) else { return false };
        let is_answer = self.answer_as_typed(&text);
        // A client that may not answer keeps what was written, as does a key that came too soon.
        if is_answer && self.pending.answers(ask) {
            self.composer_mut().take();
            self.keep_draft();
        }
        is_answer
    }

    /// Answers the focused agent's question with what was typed, as [`State::answer_in_prompt`] does. False if it is no answer.
    pub(super) fn answer_as_typed(&mut self, text: &str) -> bool {
        let Some(ask) = self.open_ask().cloned() else { return false };
        let text = text.trim().to_owned();
        let named = |option: &&ropewalk_protocol::AskOption| option.name.eq_ignore_ascii_case(&text);
        let numbered = || ask.options.get(text.parse::<usize>().ok()?.checked_sub(1)?).filter(|_| shows_options(&ask));
        let answer = match (ask.kind, ask.options.iter().find(named).or_else(numbered)) {
            (_, Some(option)) => Answer::Choose { option: option.id.clone() },
            (AskKind::Question, None) => Answer::Text { text: text.clone() },
            (AskKind::Permission | AskKind::Choice, None) => return false,
        };
        let since = self.asked_at.get(&ask.interaction).copied().unwrap_or(self.now);
        if self.now.since(since).as_millis() < u128::from(READING_MILLIS) {
            self.say("a question came just now; press it again if this is the answer");
            return true;
        }
        self.answer_from(&ask, answer, Some((self.target(), text)));
        true
    }

    /// Answers the focused agent's question with typed words.
    ///
    /// # Errors
    /// What to type instead.
    pub(super) fn answer_by_words(&mut self, words: &str) -> Result<(), String> {
        let ask = self.open_ask().cloned().ok_or("the agent on the screen asks nothing; `:asks` shows what waits")?;
        // The line may have been begun for the question before.
        let asked_at = self.asked_at.get(&ask.interaction).copied().unwrap_or_default();
        if self.line_at.is_some_and(|begun| asked_at > begun) {
            return Err("another question came while you typed; look at it first".to_owned());
        }
        let (first, rest) = words.split_once(' ').map_or((words, ""), |(first, rest)| (first, rest.trim()));
        let option = |wanted: &str| {
            let numbered = || ask.options.get(wanted.parse::<usize>().ok()?.checked_sub(1)?);
            let named =
                ask.options.iter().find(|option| option.id == wanted || option.name.eq_ignore_ascii_case(wanted));
            let found = named.or_else(numbered).map(|option| Answer::Choose { option: option.id.clone() });
            found.ok_or_else(|| format!("there is no option {wanted:?}"))
        };
        let answer = match (first, ask.kind) {
            ("choose", _) if !ask.options.is_empty() => option(rest)?,
            (_, AskKind::Question) => Answer::Text { text: words.to_owned() },
            ("deny", _) => Answer::Deny { reason: Some(rest.to_owned()).filter(|reason| !reason.is_empty()) },
            ("allow", AskKind::Permission) if rest.is_empty() => Answer::Allow { always: false },
            ("always", AskKind::Permission) if rest.is_empty() => Answer::Allow { always: true },
            (_, AskKind::Choice) => option(words)?,
            (_, AskKind::Permission) => return Err("allow, always, deny [REASON] or choose N".to_owned()),
        };
        self.answer(&ask, answer);
        Ok(())
    }

    /// Denies a question, with what was typed as the reason.
    pub(super) fn deny(&mut self, interaction: InteractionId, reason: &str) {
        self.overlay = None;
        let Some(ask) = self.asks.iter().find(|ask| ask.interaction == interaction).cloned() else {
            return self.say("the question is closed already");
        };
        let reason = Some(reason.trim().to_owned()).filter(|reason| !reason.is_empty());
        self.answer(&ask, Answer::Deny { reason });
    }

    fn answer(&mut self, ask: &InteractionView, answer: Answer) {
        self.answer_from(ask, answer, None);
    }

    /// Answers a question, with words that were written in this prompt if in any.
    fn answer_from(&mut self, ask: &InteractionView, answer: Answer, from: Option<(Target, String)>) {
        if self.pending.answers(ask.interaction) {
            return self.say("an answer is on its way");
        }
        let told = told(&answer, ask);
        let interaction = ask.interaction;
        self.answer_given(interaction, &answer);
        let words = Words::of(interaction, &answer).map(|(_, text)| text.to_owned()).unwrap_or_default();
        let command = Command::InteractionAnswer { session: ask.session, agent: ask.agent, interaction, answer };
        self.command(Meant::Answer { interaction, words, told, from }, command);
        // The next one, if there is one: the daemon says when this one is closed.
        let next = self.asks.iter().find(|ask| !self.pending.answers(ask.interaction)).map(|ask| ask.interaction);
        if let Some(Overlay::Attention(_)) = self.overlay {
            match next {
                Some(_) => {
                    self.overlay = Some(Overlay::Attention(Attention {
                        selected: next,
                        seen_at: self.now,
                        answer: None,
                        top: 0,
                        is_whole: false,
                    }));
                    self.open_answer_field();
                }
                None => self.overlay = None,
            }
        }
    }
}

/// Whether the options of a question are shown with numbers.
pub(crate) fn shows_options(ask: &InteractionView) -> bool {
    ask.kind != AskKind::Permission || ask.options.len() > 2
}

/// What an answer is, for people.
fn told(answer: &Answer, ask: &InteractionView) -> String {
    match answer {
        Answer::Allow { always: false } => "allowed".to_owned(),
        Answer::Allow { always: true } => "allowed, from now on".to_owned(),
        Answer::Deny { .. } => "denied".to_owned(),
        Answer::Text { .. } => "answered".to_owned(),
        Answer::Choose { option } => match ask.options.iter().find(|known| known.id == *option) {
            Some(option) if option.effect == AskEffect::Other => format!("chosen: {}", option.name),
            Some(option) => option.name.clone(),
            None => "answered".to_owned(),
        },
    }
}
