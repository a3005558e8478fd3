//! The prompts that wait for an agent: listed, edited, moved, withdrawn.

use ropewalk_protocol::{AgentId, Command, PromptView, SessionId};

use crate::input::Key;

use super::action::{Action, Scope};
use super::editor::Editor;
use super::event::Read;
use super::keymap::Meaning;
use super::overlay::{Overlay, Queue};
use super::pending::Meant;
use super::place::Target;
use super::state::State;
use super::words::Words;

impl State {
    pub(super) fn open_queue(&mut self) {
        let Some((session, agent)) = self.target().agent() else { return self.say("prompts wait for agents only") };
        self.overlay = Some(Overlay::Queue(Queue { target: self.target(), prompts: None, selected: 0, editor: None }));
        self.fetches.want(Read::Prompts(session, agent));
    }

    /// An agent's queue changed: it is read anew if somebody sees it.
    pub(super) fn queue_changed(&mut self, session: SessionId, agent: Option<AgentId>) {
        let is_open = |agent| matches!(&self.overlay, Some(Overlay::Queue(queue)) if queue.target.agent() == Some((session, agent)));
        if let Some(agent) = agent.filter(|agent| self.talks.contains_key(agent) || is_open(*agent)) {
            self.fetches.want(Read::Prompts(session, agent));
        }
    }

    pub(super) fn queue_known(&mut self, of: Target, prompts: Vec<PromptView>) {
        if let Some((_, agent)) = of.agent() {
            self.waiting.insert(agent, prompts.clone());
        }
        if let Some(Overlay::Queue(queue)) = &mut self.overlay
            && queue.target == of
        {
            // While the old list says what is typed for which.
            let typed = queue.typed().filter(|(_, text)| !text.is_empty());
            // The one that was taken stays so, wherever it is now.
            let taken = queue.prompts.as_ref().and_then(|known| known.get(queue.selected)).map(|prompt| prompt.prompt);
            let at = prompts.iter().position(|prompt| Some(prompt.prompt) == taken);
            queue.selected = at.unwrap_or(queue.selected).min(prompts.len().saturating_sub(1));
            // A prompt that waits no more while another text for it is typed: the words are for the next one.
            let is_gone = at.is_none() && taken.is_some();
            if is_gone {
                queue.editor = None;
            }
            queue.prompts = Some(prompts.clone());
            if let Some((words, text)) = typed.filter(|_| is_gone) {
                self.put_back(of, &text);
                self.keep_words(words, "");
                self.say("that prompt waits no more; what you wrote is in the prompt of the agent");
            }
        }
        if let Some((_, agent)) = of.agent() {
            let waiting: Vec<_> = prompts.iter().map(|prompt| prompt.prompt).collect();
            self.keep_words_of_sent(agent, &waiting);
        }
    }

    pub(super) fn queue_key(&mut self, key: Key) {
        let Some(Overlay::Queue(queue)) = &mut self.overlay else { return };
        let keymap = &self.settings.keymap;
        let (Some((session, agent)), prompts) = (queue.target.agent(), queue.prompts.clone().unwrap_or_default())
        else {
            return;
        };
        let taken = prompts.get(queue.selected).cloned();
        if let Some(editor) = &mut queue.editor {
            match keymap.meaning(&[Scope::List], &[key]) {
                Meaning::Action(Action::ListClose) => queue.editor = None,
                Meaning::Action(Action::ListChoose) => {
                    let text = editor.text().trim().to_owned();
                    queue.editor = None;
                    if let Some(PromptView { prompt, .. }) = taken {
                        let meant = Meant::Edit { target: Target::Agent(session, agent), prompt, text: text.clone() };
                        self.keep_words(Words::Queued(agent, prompt), &text);
                        self.command(meant, Command::PromptEdit { session, agent, prompt, text });
                    }
                }
                _ => drop(super::keys::edit(editor, key, keymap)),
            }
            return;
        }
        let last = prompts.len().saturating_sub(1);
        match (keymap.meaning(&[Scope::Queued, Scope::List], &[key]), taken) {
            (Meaning::Action(Action::ListUp), _) => queue.selected = queue.selected.saturating_sub(1),
            (Meaning::Action(Action::ListDown), _) => queue.selected = (queue.selected + 1).min(last),
            (Meaning::Action(Action::ListClose), _) => self.close_overlay(),
            (Meaning::Action(Action::QueueEdit), Some(prompt)) => {
                if u64::try_from(prompt.preview.len()).unwrap_or(u64::MAX) < prompt.bytes {
                    return self
                        .say("it is too long to be edited here: `:queue edit` takes the whole text; or withdraw it");
                }
                let kept = self.drafts.get(&Words::Queued(agent, prompt.prompt).key());
                queue.editor = Some(Editor::with(kept.unwrap_or(&prompt.preview)));
            }
            (Meaning::Action(Action::QueueWithdraw), Some(PromptView { prompt, .. })) => {
                self.command(Meant::Other("taken back".to_owned()), Command::PromptWithdraw { session, agent, prompt });
            }
            (Meaning::Action(Action::QueueUp), Some(PromptView { prompt, .. })) if queue.selected > 0 => {
                let before = prompts.get(queue.selected - 1).map(|other| other.prompt);
                queue.step(queue.selected - 1);
                self.command(Meant::Other("sooner".to_owned()), Command::PromptMove { session, agent, prompt, before });
            }
            (Meaning::Action(Action::QueueDown), Some(PromptView { prompt, .. })) if queue.selected < last => {
                let before = prompts.get(queue.selected + 2).map(|other| other.prompt);
                queue.step(queue.selected + 1);
                self.command(Meant::Other("later".to_owned()), Command::PromptMove { session, agent, prompt, before });
            }
            _ => {}
        }
    }
}

impl Queue {
    /// The other text that is typed for a prompt; empty: it is as it was.
    pub(super) fn typed(&self) -> Option<(Words, String)> {
        let (editor, (_, agent)) = (self.editor.as_ref()?, self.target.agent()?);
        let prompt = self.prompts.as_ref()?.get(self.selected)?;
        let text = Some(editor.text()).filter(|text| *text != prompt.preview);
        Some((Words::Queued(agent, prompt.prompt), text.unwrap_or_default()))
    }

    /// The prompt that is taken changes places with this one. It is seen at once, so that the next key means what is seen; what
    /// the daemon makes of it is read anyhow.
    fn step(&mut self, to: usize) {
        if let Some(prompts) = &mut self.prompts {
            prompts.swap(self.selected, to);
            self.selected = to;
        }
    }
}
