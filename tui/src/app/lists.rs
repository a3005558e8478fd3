//! Lists over the screen: things to choose from, what happened, where something was said, long texts.

use ropewalk_protocol::{Command, Rejection, Seq, SessionId, TimelineEntry};

use crate::input::{Code, Key};

use super::action::{ACTIONS, Action, Scope};
use super::editor::Editor;
use super::event::Effect;
use super::keymap::Meaning;
use super::overlay::{Choice, Confirmed, Overlay, Pick, Picker, Purpose, Timeline};
use super::pending::Meant;
use super::place::Target;
use super::search::Hit;
use super::state::State;
use super::verbs::VERBS;

/// Rows that a page of a list steps over.
const PAGE_ROWS: i64 = 10;

impl State {
    pub(super) fn open_picker(&mut self, title: &str, choices: Vec<Choice>) {
        if choices.is_empty() {
            return self.say("there is nothing to choose from");
        }
        let title = title.to_owned();
        self.overlay = Some(Overlay::Picker(Picker { title, filter: Editor::default(), choices, selected: 0 }));
    }

    /// Everything there is to do, and every session to go to.
    pub(super) fn open_palette(&mut self) {
        let is_text_key = |scope| matches!(scope, Scope::List | Scope::Asked | Scope::Queued);
        let edits = |action: Action| Editor::default().act(action);
        let actions = ACTIONS.iter().filter(|row| !is_text_key(row.scope) && !edits(row.action)).map(|row| Choice {
            label: row.name.replace('_', " "),
            note: format!("{}  {}", self.settings.keymap.all(row.action), row.help).trim_start().to_owned(),
            pick: Pick::Action(row.action),
        });
        let verbs = VERBS.iter().map(|verb| Choice {
            label: format!(":{}", verb.name),
            note: format!("{}  {}", verb.usage, verb.help).trim_start().to_owned(),
            pick: Pick::Verb(verb.name),
        });
        let choices = actions.chain(verbs).collect();
        self.open_picker("what to do", choices);
    }

    /// What may be shown beside what is shown.
    pub(super) fn choices_beside(&self) -> Vec<Choice> {
        let rows = self.rows().into_iter().filter(|row| !self.place.panes.contains(&row.target));
        let mut choices: Vec<_> = rows
            .map(|row| Choice {
                label: row.name.clone(),
                note: format!("{} {}", row.provider, row.condition.word()),
                pick: Pick::Beside(row.target),
            })
            .collect();
        choices.dedup_by(|one, other| one.pick == other.pick);
        choices.push(Choice {
            label: "a new session".to_owned(),
            note: String::new(),
            pick: Pick::Beside(Target::Start),
        });
        choices
    }

    /// The prompts that were sent, the newest first.
    pub(super) fn open_history(&mut self) {
        let sent = self.sent.iter().rev().map(|text| Choice {
            label: crate::text::clean::one_line(text),
            note: String::new(),
            pick: Pick::Prompt(text.clone()),
        });
        let choices = sent.collect();
        self.open_picker("prompts you sent", choices);
    }

    pub(super) fn open_timeline(&mut self) {
        let Some(session) = self.target().session() else { return self.say("nothing has happened here yet") };
        self.overlay = Some(Overlay::Timeline(Timeline {
            session,
            entries: Vec::new(),
            selected: 0,
            is_asked: true,
            more: false,
            failed: None,
        }));
        self.effects.push(Effect::History(session, None));
    }

    pub(super) fn history(&mut self, session: SessionId, page: Result<(Vec<TimelineEntry>, bool), Rejection>) {
        let Some(Overlay::Timeline(timeline)) = &mut self.overlay else { return };
        if timeline.session != session {
            return;
        }
        timeline.is_asked = false;
        match page {
            Ok((entries, more)) => {
                timeline.more = more;
                timeline.entries.extend(entries);
            }
            Err(rejection) => timeline.failed = Some(super::incoming::told(&rejection)),
        }
    }

    pub(super) fn hits(&mut self, text: &str, hits: Vec<Hit>, reached: Seq, more: bool) {
        let Some(Overlay::Search(search)) = &mut self.overlay else { return };
        if search.text != text || !search.is_running {
            return;
        }
        search.hits.extend(hits);
        search.reached = more.then_some(reached);
        search.is_running = more && search.hits.len() < super::HITS_MAX;
        if search.is_running {
            self.effects.push(Effect::Search(text.to_owned(), None, Some(reached)));
        }
    }

    pub(super) fn list_key(&mut self, key: Key) {
        let meaning = self.settings.keymap.meaning(&[Scope::List], &[key]);
        let step = match meaning {
            Meaning::Action(Action::ListUp) => -1,
            Meaning::Action(Action::ListDown) => 1,
            Meaning::Action(Action::ListPageUp) => -PAGE_ROWS,
            Meaning::Action(Action::ListPageDown) => PAGE_ROWS,
            Meaning::Action(Action::ListTop) => i64::MIN / 2,
            Meaning::Action(Action::ListBottom) => i64::MAX / 2,
            Meaning::Action(Action::ListClose) => return self.close_overlay(),
            Meaning::Action(Action::ListChoose) => return self.choose(),
            _ => return self.type_in_list(key),
        };
        let (selected, count) = match &mut self.overlay {
            Some(Overlay::Picker(picker)) => {
                let count = picker.fitting().len();
                (&mut picker.selected, count)
            }
            Some(Overlay::Timeline(timeline)) => (&mut timeline.selected, timeline.entries.len()),
            Some(Overlay::Search(search)) => (&mut search.selected, search.hits.len()),
            _ => return,
        };
        *selected = stepped(*selected, step, count);
        self.read_timeline_on();
    }

    /// The next page of a timeline, when its end is near.
    fn read_timeline_on(&mut self) {
        if let Some(Overlay::Timeline(timeline)) = &mut self.overlay
            && timeline.more
            && !timeline.is_asked
            && timeline.selected + 50 > timeline.entries.len()
        {
            timeline.is_asked = true;
            self.effects.push(Effect::History(timeline.session, timeline.before()));
        }
    }

    fn type_in_list(&mut self, key: Key) {
        let keymap = &self.settings.keymap;
        match &mut self.overlay {
            Some(Overlay::Picker(picker)) => drop(super::keys::edit(&mut picker.filter, key, keymap)),
            Some(Overlay::Search(search)) => drop(super::keys::edit(&mut search.editor, key, keymap)),
            Some(Overlay::Timeline(timeline)) => match key {
                Key { code: Code::Char('j'), .. } => {
                    timeline.selected = stepped(timeline.selected, 1, timeline.entries.len())
                }
                Key { code: Code::Char('k'), .. } => {
                    timeline.selected = stepped(timeline.selected, -1, timeline.entries.len())
                }
                Key { code: Code::Char('q'), .. } => return self.close_overlay(),
                _ => {}
            },
            _ => {}
        }
        self.read_timeline_on();
        self.typed_in_overlay();
    }

    fn choose(&mut self) {
        match self.overlay.take() {
            Some(Overlay::Picker(picker)) => {
                let pick = picker.fitting().get(picker.selected).map(|choice| choice.pick.clone());
                match pick {
                    Some(Pick::Action(action)) => self.act(action),
                    Some(Pick::Verb(verb)) => self.ask_line(Purpose::Command, &format!("{verb} ")),
                    Some(Pick::Beside(target)) => self.show_beside(target),
                    Some(Pick::Prompt(text)) => {
                        self.composer_mut().replace(&text);
                        self.draft_changed();
                    }
                    None => {}
                }
            }
            Some(Overlay::Timeline(timeline)) => {
                if let Some(entry) = timeline.entries.get(timeline.selected) {
                    self.go_to_seq(entry.seq);
                }
            }
            Some(Overlay::Search(search)) => self.search_or_go(search),
            other => self.overlay = other,
        }
    }

    /// Searches for what is typed; once that was searched for, goes to the place that is selected.
    fn search_or_go(&mut self, mut search: super::search::Search) {
        let typed = search.editor.text().trim().to_owned();
        if typed.is_empty() {
            self.overlay = Some(Overlay::Search(search));
            return;
        }
        if typed == search.text
            && let Some(hit) = search.hits.get(search.selected)
        {
            let home = hit.agent.map(|agent| Target::Agent(hit.session, agent)).or_else(|| self.tree.home(hit.session));
            if let Some(target) = home {
                self.show(target);
                self.focus = super::state::Focus::Reading;
                self.go_to_seq(hit.seq);
                if let Some((talk, ..)) = self.reading() {
                    talk.search = typed;
                }
            }
            return;
        }
        search = super::search::Search {
            editor: search.editor,
            text: typed.clone(),
            is_running: true,
            ..Default::default()
        };
        self.overlay = Some(Overlay::Search(search));
        self.effects.push(Effect::Search(typed, None, None));
    }

    /// To an event, in what is said with the agent that has the focus.
    pub(super) fn go_to_seq(&mut self, seq: Seq) {
        let Some((_, agent)) = self.target().agent() else {
            return self.say("a program's screen has no events to go to");
        };
        self.place.read_at.insert(agent, seq);
        if self.focus == super::state::Focus::Composer {
            self.focus = super::state::Focus::Reading;
        }
        if let Some((talk, ..)) = self.reading()
            && talk.to_seq(seq)
        {
            self.ask_older(agent);
        }
    }

    pub(super) fn pager_key(&mut self, key: Key) {
        let meaning = self.settings.keymap.meaning(&[Scope::List, Scope::Reading], &[key]);
        let page = i64::from(self.size.rows).max(4) - 4;
        let step = match meaning {
            Meaning::Action(Action::ListUp | Action::LineUp) => -1,
            Meaning::Action(Action::ListDown | Action::LineDown) => 1,
            Meaning::Action(Action::ListPageUp | Action::PageUp | Action::HalfUp) => -page,
            Meaning::Action(Action::ListPageDown | Action::PageDown | Action::HalfDown) => page,
            Meaning::Action(Action::ListTop | Action::Top) => i64::MIN / 2,
            Meaning::Action(Action::ListBottom | Action::Bottom) => i64::MAX / 2,
            _ => return self.close_overlay(),
        };
        // So far down that the last line is at the bottom.
        let tops = crate::view::long_text_lines(self).saturating_sub(usize::try_from(page).unwrap_or(0)) + 1;
        if let Some(Overlay::Help { top } | Overlay::Pager { top, .. }) = &mut self.overlay {
            *top = stepped(*top, step, tops);
        }
    }

    pub(super) fn confirm_key(&mut self, key: Key) {
        let Some(Overlay::Confirm { then, .. }) = self.overlay.take() else { return };
        if key != Key::char('y') && key != Key::char('Y') {
            return self.say("left as it is");
        }
        match then {
            Confirmed::EndSession(session) => {
                self.command(Meant::Other("asked to end".to_owned()), Command::SessionEnd { session });
            }
            Confirmed::DeleteSession(session) => {
                self.command(Meant::Other("taken out of the list".to_owned()), Command::SessionDelete { session });
            }
            Confirmed::EndAgent(target) => {
                if let Some((session, agent)) = target.agent() {
                    self.command(Meant::Other("asked to end".to_owned()), Command::AgentEnd { session, agent });
                }
            }
        }
    }
}

fn stepped(at: usize, step: i64, count: usize) -> usize {
    let last = i64::try_from(count).unwrap_or(i64::MAX).saturating_sub(1).max(0);
    let to = i64::try_from(at).unwrap_or(0).saturating_add(step).clamp(0, last);
    usize::try_from(to).unwrap_or(0)
}
