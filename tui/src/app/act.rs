//! What actions do: where the person is, and what is done from there.

use ropewalk_protocol::{AgentId, Command, SessionId};

use super::action::Action;
use super::editor::Editor;
use super::event::Effect;
use super::overlay::{Ask, Confirmed, Overlay, Purpose};
use super::pending::Meant;
use super::place::{Arrangement, Target};
use super::state::{Focus, State};
use super::tree::TreeRow;

/// The modes that agents are known to have, by provider: the next one is the next in the row.
const MODES: &[(&str, &[&str])] = &[("claude", &["default", "acceptEdits", "plan"]), ("opencode", &["build", "plan"])];

impl State {
    pub(super) fn act(&mut self, action: Action) {
        if self.focus == Focus::Composer && self.act_in_composer(action) {
            return;
        }
        match action {
            Action::Help | Action::ReadHelp | Action::TreeHelp => self.overlay = Some(Overlay::Help { top: 0 }),
            Action::Palette => self.open_palette(),
            Action::CommandLine | Action::ReadCommand | Action::TreeCommand => self.ask_line(Purpose::Command, ""),
            Action::Attention => self.open_attention(),
            Action::Allow | Action::Always | Action::Deny => self.answer_here(action),
            Action::Tree => self.focus = Focus::Tree,
            Action::Write | Action::ReadCompose => self.write(),
            Action::New | Action::TreeNew => self.show(Target::Start),
            Action::NextPane => self.focus_pane(1),
            Action::PreviousPane => self.focus_pane(-1),
            Action::Split => self.split(),
            Action::Grid => self.grid(),
            Action::Single => self.arrange(Arrangement::Single),
            Action::ClosePane => self.close_pane(),
            Action::Child => self.show_relative(true),
            Action::Parent => self.show_relative(false),
            Action::NextSession => self.step_session(1),
            Action::PreviousSession => self.step_session(-1),
            Action::Queue => self.open_queue(),
            Action::Timeline | Action::ReadTimeline => self.open_timeline(),
            Action::SearchAll => self.overlay = Some(Overlay::Search(super::search::Search::default())),
            Action::Mode => self.next_mode(),
            Action::Rename => self.rename(self.target().session()),
            Action::Copy | Action::CopyItem => self.copy(),
            Action::Export => self.export(),
            Action::Cancel => self.cancel(false),
            Action::Fold => {
                if let Some((talk, ..)) = self.reading() {
                    talk.fold();
                }
            }
            Action::Mouse => {
                self.settings.mouse = !self.settings.mouse;
                self.effects.push(Effect::Mouse(self.settings.mouse));
                self.say(if self.settings.mouse {
                    "the mouse is ropewalk's; with shift it is the terminal's"
                } else {
                    "the mouse is the terminal's"
                });
            }
            Action::Redraw => self.effects.push(Effect::Redraw),
            Action::Suspend => self.effects.push(Effect::Suspend),
            Action::Interrupt => self.interrupt(),
            Action::Quit => self.effects.push(Effect::Quit),
            other => {
                if !self.act_in_reading(other) {
                    self.act_in_tree(other);
                }
            }
        }
    }

    /// To the prompt; to the program, where there is none.
    fn write(&mut self) {
        match self.target() {
            Target::Terminal(..) => self.enter_program(),
            Target::Start | Target::Agent(..) => self.focus = Focus::Composer,
        }
    }

    pub(super) fn enter_program(&mut self) {
        if let Target::Terminal(_, terminal) = self.target() {
            let is_over = self.lives.get(&terminal).is_some_and(|live| live.closed_at.is_some());
            if is_over {
                return self.say("the program has ended; this is how its screen was");
            }
            self.focus = Focus::Program;
            self.say(format!("every key goes to the program; {} leaves it", super::keys::LEAVE_PROGRAM));
        }
    }

    /// Shows something in the pane with the focus.
    pub(super) fn show(&mut self, target: Target) {
        if let Some(at) = self.place.panes.iter().position(|shown| *shown == target) {
            self.place.focused = at;
        } else if let Some(pane) = self.place.panes.get_mut(self.place.focused) {
            *pane = target;
        }
        self.tree.selected = Some(target);
        self.focus = match target {
            Target::Terminal(..) => Focus::Reading,
            Target::Start | Target::Agent(..) => Focus::Composer,
        };
        if let Some(session) = target.session() {
            self.fetches.want(super::event::Read::Policy(session));
        }
        self.mark_seen();
        self.keep_place();
    }

    /// Shows something beside what is shown.
    pub(super) fn show_beside(&mut self, target: Target) {
        if !self.place.panes.contains(&target) {
            if self.place.panes.len() >= super::PANES_MAX {
                return self.say(format!(
                    "there is room for {} agents; {} closes one",
                    super::PANES_MAX,
                    self.key_of(Action::ClosePane)
                ));
            }
            self.place.panes.push(target);
            self.place.focused = self.place.panes.len() - 1;
        }
        if self.place.arrangement == Arrangement::Single {
            self.place.arrangement = Arrangement::Split;
        }
        self.show(target);
    }

    fn focus_pane(&mut self, step: i64) {
        let count = i64::try_from(self.place.panes.len()).unwrap_or(1);
        let to = (i64::try_from(self.place.focused).unwrap_or(0) + step).rem_euclid(count);
        if count == 1 {
            return self.say(format!(
                "there is one agent on the screen; {} shows another beside it",
                self.key_of(Action::Split)
            ));
        }
        self.place.focused = usize::try_from(to).unwrap_or(0);
        self.show(self.target());
    }

    fn split(&mut self) {
        let others = self.choices_beside();
        self.open_picker("show beside", others);
    }

    fn grid(&mut self) {
        let Some(session) = self.session() else { return self.say("this session has no agents yet") };
        let targets: Vec<_> = session
            .agents
            .iter()
            .map(|agent| super::tree::target_of(session.session, agent))
            .take(super::PANES_MAX)
            .collect();
        let focused = targets.iter().position(|target| *target == self.target()).unwrap_or(0);
        if targets.len() < 2 {
            return self.say(format!(
                "this session has one agent; {} shows another one beside it",
                self.key_of(Action::Split)
            ));
        }
        if targets.len() > 1 {
            (self.place.panes, self.place.focused) = (targets, focused);
        }
        self.arrange(Arrangement::Grid);
    }

    fn arrange(&mut self, arrangement: Arrangement) {
        if arrangement == Arrangement::Single {
            self.place.panes = vec![self.target()];
            self.place.focused = 0;
        }
        self.place.arrangement = arrangement;
        let is_hidden = self.layout().panes.iter().any(|pane| pane.whole.area() == 0);
        if is_hidden && self.place.panes.len() > 1 {
            self.say("the window is too small to show them at once; they are shown one at a time");
        }
        self.keep_place();
    }

    fn close_pane(&mut self) {
        if self.place.panes.len() > 1 {
            self.place.panes.remove(self.place.focused);
            self.place.focused = self.place.focused.min(self.place.panes.len() - 1);
            self.show(self.target());
        } else {
            self.show(Target::Start);
        }
    }

    /// To an agent that works for this one, or to the one that it works for.
    fn show_relative(&mut self, below: bool) {
        let Some((session, agent)) = self.target().agent() else { return };
        let agents = self.tree.get(session).map(|session| session.agents.as_slice()).unwrap_or_default();
        let parent_of = |agent: AgentId| {
            let view = agents.iter().find(|view| view.agent == agent)?;
            view.structured.as_ref()?.parent
        };
        let found = if below {
            agents.iter().map(|view| view.agent).find(|child| parent_of(*child) == Some(agent))
        } else {
            parent_of(agent)
        };
        match found {
            Some(found) => self.show(Target::Agent(session, found)),
            None => self.say(if below { "no agent works for this one" } else { "this agent works for no other" }),
        }
    }

    /// The rows of the tree, as they are seen.
    pub fn rows(&self) -> Vec<TreeRow> {
        self.tree.rows(&self.directory, &self.place)
    }

    fn step_session(&mut self, step: i64) {
        let sessions: Vec<_> =
            self.rows().into_iter().filter(|row| row.depth == 0 && row.target != Target::Start).collect();
        let at = sessions.iter().position(|row| Some(row.session) == self.target().session());
        let to = match at {
            Some(at) => i64::try_from(at).unwrap_or(0) + step,
            None => 0,
        };
        if let Some(row) = usize::try_from(to).ok().and_then(|to| sessions.get(to)) {
            self.show(row.target);
        }
    }

    pub(super) fn go_to_session(&mut self, number: usize) {
        let row = self.rows().into_iter().filter(|row| row.depth == 0).nth(number);
        match row {
            Some(row) => self.show(row.target),
            None => self.say(format!("there is no session {}", number + 1)),
        }
    }

    fn next_mode(&mut self) {
        if self.target() == Target::Start {
            return self.next_provider();
        }
        let (Some((session, agent)), Some(view)) = (self.target().agent(), self.agent()) else { return };
        let modes =
            MODES.iter().find(|(provider, _)| *provider == view.provider).map(|(_, modes)| *modes).unwrap_or_default();
        let now = view.structured.as_ref().and_then(|structured| structured.mode.as_deref());
        let at = modes.iter().position(|mode| Some(*mode) == now);
        let Some(mode) = modes.get(at.map_or(0, |at| (at + 1) % modes.len().max(1))) else {
            return self.say("name the mode: `:set --mode MODE`, by the agent's own name for it");
        };
        let mode = (*mode).to_owned();
        let meant = Meant::Other(format!("mode: {mode}"));
        self.command(meant, Command::AgentSet { session, agent, model: None, mode: Some(mode) });
    }

    /// Cancels the turn; at once, if it is wanted so, or was cancelled before.
    pub(super) fn cancel(&mut self, at_once: bool) {
        let Some((session, agent)) = self.target().agent() else {
            return self.say("a program is interrupted by its own keys");
        };
        let Some(structured) = self.structured().filter(|structured| structured.turn.is_some()) else {
            return self.say("no turn runs");
        };
        let turn = structured.turn;
        // Who cancels again does not want to wait for the agent.
        let hard = match &structured.cancelling {
            None if self.pending.cancels(agent) && !at_once => return self.say("asked to stop already"),
            None => at_once,
            Some(asked) if asked.hard => return self.say("its process is being ended"),
            Some(_) => true,
        };
        self.command(Meant::Cancel { agent, hard }, Command::AgentCancel { session, agent, hard, turn });
    }

    pub(super) fn rename(&mut self, session: Option<SessionId>) {
        let Some(session) = session else { return self.say("there is no session to rename yet") };
        let name = self.tree.get(session).and_then(|session| session.name.clone()).unwrap_or_default();
        self.ask_line(Purpose::Rename(session), &name);
    }

    pub(super) fn ask_line(&mut self, purpose: Purpose, text: &str) {
        self.line_at = Some(self.now);
        self.overlay = Some(Overlay::Line(Ask { purpose, editor: Editor::with(text), error: None }));
    }

    fn copy(&mut self) {
        let screen = match self.target() {
            Target::Terminal(_, terminal) => self.lives.get(&terminal).map(|live| {
                let rows: Vec<_> = (0..live.screen.size().rows).map(|row| live.screen.row_text(row)).collect();
                rows.join("\n").trim_end().to_owned()
            }),
            Target::Start | Target::Agent(..) => None,
        };
        let said = self
            .reading()
            .and_then(|(talk, ..)| talk.selected_text().or_else(|| talk.newest_answer().map(str::to_owned)));
        match screen.or(said).filter(|text| !text.is_empty()) {
            Some(text) if text.len() > crate::shell::COPY_BYTES_MAX && !self.settings.has_clipboard => {
                self.complain(format!(
                    "{} bytes are more than a terminal takes; `clipboard_command` in tui.toml takes any",
                    text.len()
                ));
            }
            Some(text) => {
                self.say(format!("copied: {} characters", text.chars().count()));
                self.effects.push(Effect::Copy(text));
            }
            None => self.say("there is nothing to copy yet"),
        }
    }

    fn export(&mut self) {
        match self.target().session() {
            Some(session) => self.effects.push(Effect::Run(vec![
                "transcript".to_owned(),
                session.to_string(),
                "--markdown".to_owned(),
            ])),
            None => self.say("there is nothing to export yet"),
        }
    }

    /// Clears, or closes; the second press leaves.
    fn interrupt(&mut self) {
        if self.is_again(self.twice.interrupt) {
            return self.effects.push(Effect::Quit);
        }
        let had_text =
            self.focus == Focus::Composer && self.composer().is_some_and(|composer| !composer.editor.is_empty());
        if had_text {
            let text = self.composer_mut().text();
            self.composer_mut().set("");
            // A draft that is cleared by a slip of the hand is in the history.
            self.sent.push(text.clone());
            self.effects.push(Effect::KeepHistory(text));
            self.keep_draft();
            self.say(format!("cleared; {} brings it back", self.key_of(Action::CursorUp)));
        } else {
            self.say(format!("{} again leaves; agents go on", self.key_of(Action::Interrupt)));
        }
        self.twice.interrupt = Some(self.now);
    }

    pub(super) fn confirm(&mut self, question: String, then: Confirmed) {
        self.overlay = Some(Overlay::Confirm { question, then });
    }
}
