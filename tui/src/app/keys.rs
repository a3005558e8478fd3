//! What the terminal sends, brought to where it means something.

use bytes::Bytes;

use crate::input::{Code, Input, Key, Reply, Scheme};

use super::action::{Action, Scope};
use super::editor::Editor;
use super::event::Effect;
use super::keymap::Meaning;
use super::overlay::{Overlay, Purpose};
use super::place::Target;
use super::state::{Focus, State};

/// What leaves a program's terminal: the key that `ropewalk attach` has for it.
pub(super) const LEAVE_PROGRAM: Key = Key::ctrl('\\');

impl State {
    pub(super) fn input(&mut self, input: Input, raw: Bytes) {
        self.has_typed |= matches!(input, Input::Key(_) | Input::Paste(_));
        match input {
            Input::Key(key) => self.key(key, raw),
            Input::Paste(text) => self.paste(&text, raw),
            Input::Mouse(mouse) => self.mouse(mouse),
            Input::Focus(is_looked_at) => {
                self.is_looked_at = is_looked_at;
                self.mark_seen();
                self.pass_on(raw);
            }
            Input::Reply(reply) => self.terminal_told(reply),
            Input::Other => self.pass_on(raw),
        }
    }

    /// Whether an input is for the client though a program has the keys.
    pub fn is_command(&self, input: &Input) -> bool {
        self.overlay.is_some() || *input == Input::Key(LEAVE_PROGRAM)
    }

    /// Bytes for the program that has the keyboard, if one has.
    fn pass_on(&mut self, raw: Bytes) {
        if let (Focus::Program, None, Target::Terminal(_, terminal)) = (self.focus, &self.overlay, self.target()) {
            if self.settings.read_only {
                return self.complain("nothing can be typed: this client is read-only");
            }
            if let Some(live) = self.lives.get_mut(&terminal) {
                live.back = 0;
            }
            self.effects.push(Effect::Type(terminal, raw));
        }
    }

    fn terminal_told(&mut self, reply: Reply) {
        let is_light = match reply {
            // As bright as people see it: green counts most.
            Reply::Background { red, green, blue } => {
                2 * u32::from(red) + 7 * u32::from(green) + u32::from(blue) > 10 * 128
            }
            Reply::Scheme(scheme) => scheme == Scheme::Light,
            Reply::Mode { .. } | Reply::KittyFlags(_) | Reply::Attributes | Reply::Other => return,
        };
        self.settings.is_light = is_light;
        self.choose_theme();
    }

    fn key(&mut self, key: Key, raw: Bytes) {
        if self.overlay.is_some() {
            return self.overlay_key(key);
        }
        if self.focus == Focus::Program {
            if key == LEAVE_PROGRAM {
                (self.focus, self.toast) = (Focus::Reading, None);
                return;
            }
            return self.pass_on(raw);
        }
        if !self.pressed.is_empty() && key == Key::plain(Code::Escape) {
            return self.pressed.clear();
        }
        self.pressed.push(key);
        match self.settings.keymap.meaning(self.scopes(), &self.pressed) {
            Meaning::Begins => {}
            Meaning::Action(action) => {
                let is_alone = std::mem::take(&mut self.pressed).len() == 1;
                self.act_or_type(action, key, is_alone);
            }
            Meaning::Nothing => {
                let pressed = std::mem::take(&mut self.pressed);
                self.unbound(&pressed);
            }
        }
    }

    /// Where keys mean something now.
    pub fn scopes(&self) -> &'static [Scope] {
        match self.focus {
            Focus::Composer => &[Scope::Composer, Scope::Everywhere],
            Focus::Reading => &[Scope::Reading, Scope::Everywhere],
            Focus::Tree => &[Scope::Tree, Scope::Everywhere],
            Focus::Program => &[],
        }
    }

    /// Keys that mean nothing by themselves: text, or a word about them.
    fn unbound(&mut self, pressed: &[Key]) {
        match pressed {
            [Key { code: Code::Char(character), ctrl: false, alt: false, .. }] if self.focus == Focus::Composer => {
                self.type_in(*character);
            }
            [leader, Key { code: Code::Char(digit @ '1'..='9'), ctrl: false, alt: false, .. }]
                if *leader == self.settings.keymap.leader() =>
            {
                self.go_to_session(*digit as usize - '1' as usize);
            }
            [_] => {}
            several => {
                let keys: Vec<_> = several.iter().map(Key::to_string).collect();
                self.say(format!("{} means nothing here; {} explains", keys.join(" "), self.key_of(Action::Help)));
            }
        }
    }

    /// The key of an action, for people.
    pub(crate) fn key_of(&self, action: Action) -> String {
        self.settings.keymap.first(action).unwrap_or_else(|| format!(":{}", action.row().name))
    }

    fn act_or_type(&mut self, action: Action, key: Key, is_alone: bool) {
        // A plain character is text where text is written, whatever else it may mean.
        if let (Focus::Composer, true, Key { code: Code::Char(character), ctrl: false, alt: false, .. }) =
            (self.focus, is_alone, key)
        {
            return self.type_in(character);
        }
        self.act(action);
    }

    /// Types a character into the prompt; on an empty one some ask for something else.
    fn type_in(&mut self, character: char) {
        if matches!(self.target(), Target::Terminal(..)) {
            return;
        }
        let is_empty = self.composer().is_none_or(|composer| composer.editor.is_empty());
        match character {
            '?' if is_empty => self.act(Action::Help),
            ':' if is_empty => self.act(Action::CommandLine),
            _ => {
                self.composer_mut().type_in(character);
                self.draft_changed();
            }
        }
    }

    fn paste(&mut self, text: &str, raw: Bytes) {
        let is_program = matches!(self.target(), Target::Terminal(..));
        match (&mut self.overlay, self.focus) {
            (Some(overlay), _) => {
                if let Some(editor) = editor_of(overlay) {
                    let is_line = !matches!(overlay_kind(editor), Kind::Lines);
                    let text = if is_line { text.replace('\n', " ") } else { text.to_owned() };
                    editor.insert(&text);
                }
                self.typed_in_overlay();
            }
            (None, Focus::Program) => self.pass_on(raw),
            (None, Focus::Composer) if !is_program => {
                self.composer_mut().paste(text);
                self.draft_changed();
            }
            (None, Focus::Composer | Focus::Reading | Focus::Tree) => {
                self.say(format!("a paste goes into the prompt: {} first", self.key_of(Action::ReadCompose)));
            }
        }
    }

    fn overlay_key(&mut self, key: Key) {
        if Meaning::Action(Action::Interrupt) == self.settings.keymap.meaning(&[Scope::Everywhere], &[key]) {
            return self.close_overlay();
        }
        match &self.overlay {
            Some(Overlay::Confirm { .. }) => self.confirm_key(key),
            Some(Overlay::Help { .. } | Overlay::Pager { .. }) => self.pager_key(key),
            Some(Overlay::Attention(_)) => self.attention_key(key),
            Some(Overlay::Queue(_)) => self.queue_key(key),
            Some(Overlay::Line(_)) => self.line_key(key),
            Some(Overlay::Picker(_) | Overlay::Timeline(_) | Overlay::Search(_)) => self.list_key(key),
            None => {}
        }
    }

    fn line_key(&mut self, key: Key) {
        match self.settings.keymap.meaning(&[Scope::List], &[key]) {
            Meaning::Action(Action::ListClose) => {
                if let Some(Overlay::Line(ask)) = &self.overlay
                    && ask.purpose == Purpose::Filter
                {
                    self.tree.filter.clear();
                }
                self.close_overlay();
            }
            Meaning::Action(Action::ListChoose) => self.submit_line(),
            _ => {
                if let Some(Overlay::Line(ask)) = &mut self.overlay {
                    ask.error = None;
                    if ask.editor.is_empty() && key == Key::plain(Code::Backspace) {
                        return self.close_overlay();
                    }
                    edit(&mut ask.editor, key, &self.settings.keymap);
                }
                self.typed_in_overlay();
            }
        }
    }

    /// What was typed changes what is listed at once.
    pub(super) fn typed_in_overlay(&mut self) {
        match &mut self.overlay {
            Some(Overlay::Line(ask)) if ask.purpose == Purpose::Filter => self.tree.filter = ask.editor.text(),
            Some(Overlay::Picker(picker)) => picker.selected = 0,
            _ => {}
        }
    }

    pub(super) fn close_overlay(&mut self) {
        self.overlay = None;
    }
}

enum Kind {
    Line,
    Lines,
}

fn overlay_kind(editor: &Editor) -> Kind {
    if editor.area().lines().len() > 1 { Kind::Lines } else { Kind::Line }
}

/// The text that is typed in what lies over the screen, if one is.
fn editor_of(overlay: &mut Overlay) -> Option<&mut Editor> {
    match overlay {
        Overlay::Picker(picker) => Some(&mut picker.filter),
        Overlay::Line(ask) => Some(&mut ask.editor),
        Overlay::Attention(attention) => attention.answer.as_mut(),
        Overlay::Queue(queue) => queue.editor.as_mut(),
        Overlay::Search(search) => Some(&mut search.editor),
        Overlay::Help { .. } | Overlay::Timeline(_) | Overlay::Confirm { .. } | Overlay::Pager { .. } => None,
    }
}

/// A key in a text over the screen: readline's, or a character. False if it means nothing there.
pub(super) fn edit(editor: &mut Editor, key: Key, keymap: &super::keymap::Keymap) -> bool {
    if let Key { code: Code::Char(character), ctrl: false, alt: false, .. } = key {
        editor.insert(character.encode_utf8(&mut [0; 4]));
        return true;
    }
    match keymap.meaning(&[Scope::Composer], &[key]) {
        Meaning::Action(action) => editor.act(action),
        Meaning::Begins | Meaning::Nothing => false,
    }
}
