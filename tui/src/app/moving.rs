//! Moving about: in what was said, on a program's screen, and in the list of sessions.

use super::action::Action;
use super::overlay::{Confirmed, Purpose};
use super::place::Target;
use super::state::{Focus, State};
use super::talk::Goal;
use super::tree::TreeRow;

impl State {
    /// Does what an action means where something is read; false if it means nothing there.
    pub(super) fn act_in_reading(&mut self, action: Action) -> bool {
        let page = self.page_lines();
        match action {
            Action::Enter => self.enter(),
            Action::LineUp => self.scroll(-1),
            Action::LineDown => self.scroll(1),
            Action::HalfUp => self.scroll(-page / 2),
            Action::HalfDown => self.scroll(page / 2),
            Action::PageUp => self.scroll(1 - page),
            Action::PageDown => self.scroll(page - 1),
            Action::Top => self.go_to_top(),
            Action::Bottom => self.go_to_bottom(),
            Action::TurnUp | Action::TurnDown => {
                self.read_back(|talk, paper, height| talk.to_turn(action == Action::TurnDown, paper, height))
            }
            Action::ItemUp | Action::ItemDown => {
                self.read_back(|talk, paper, height| talk.select(action == Action::ItemDown, paper, height))
            }
            Action::Search => {
                self.ask_line(Purpose::Search, "");
            }
            Action::SearchNext => self.find(true),
            Action::SearchPrevious => self.find(false),
            Action::ReadBack => self.read_back_out(),
            _ => return false,
        }
        true
    }

    /// Lines that a page steps over: as many whether what is read is the past or not, so that as many steps lead back.
    fn page_lines(&self) -> i64 {
        let height = self.layout().panes.get(self.place.focused).map_or(0, |pane| pane.body.height);
        i64::from(height).saturating_sub(1).max(2)
    }

    /// Does something with what is read that may want older parts.
    fn read_back(&mut self, with: impl FnOnce(&mut super::talk::Talk, super::talk::Paper<'_>, usize) -> bool) {
        if let Some((talk, paper, height)) = self.reading() {
            let agent = talk.agent;
            if with(talk, paper, height) {
                self.ask_older(agent);
            }
        }
        self.keep_place();
    }

    /// Scrolls by so many lines, up if negative.
    pub(super) fn scroll(&mut self, lines: i64) {
        if let Target::Terminal(_, terminal) = self.target() {
            if let Some(live) = self.lives.get_mut(&terminal) {
                live.scroll(lines);
            }
            return;
        }
        self.read_back(|talk, paper, height| talk.scroll(lines, paper, height));
    }

    /// Scrolls by pages.
    pub(super) fn scroll_page(&mut self, pages: i64) {
        let page = self.page_lines();
        self.scroll(pages * (page - 1));
    }

    fn go_to_top(&mut self) {
        if let Target::Terminal(_, terminal) = self.target() {
            if let Some(live) = self.lives.get_mut(&terminal) {
                live.scroll(i64::MIN);
            }
            return;
        }
        self.read_back(|talk, _, _| talk.to_top());
    }

    pub(super) fn go_to_bottom(&mut self) {
        if let Target::Terminal(_, terminal) = self.target() {
            if let Some(live) = self.lives.get_mut(&terminal) {
                live.back = 0;
            }
            return;
        }
        if let Some((talk, ..)) = self.reading() {
            talk.follow();
        }
        self.keep_place();
    }

    /// Answers what is asked; else opens what is selected, or goes into the program.
    fn enter(&mut self) {
        if matches!(self.target(), Target::Terminal(..)) {
            return self.enter_program();
        }
        let selected = self.reading().and_then(|(talk, ..)| talk.selected);
        if selected.is_none() && self.open_ask().is_some() {
            return self.open_attention();
        }
        match self.reading() {
            Some((talk, ..)) if selected.is_some() => talk.turn_over(),
            _ => self.focus = Focus::Composer,
        }
    }

    /// Looks for what is searched, from where one is.
    pub(super) fn find(&mut self, back: bool) {
        let Some((talk, paper, height)) = self.reading() else { return };
        if talk.search.is_empty() {
            return self.ask_line(Purpose::Search, "");
        }
        let agent = talk.agent;
        match talk.find(back, paper, height) {
            Some(()) => talk.goal = None,
            None if back => {
                talk.goal = Some(Goal::Found);
                self.ask_older(agent);
            }
            None => {
                let text = format!("{:?} is nowhere further on", talk.search);
                self.say(text);
            }
        }
    }

    /// Out, a step at a time: what is selected, the end, the prompt or the sessions.
    fn read_back_out(&mut self) {
        let is_again = self.is_again(self.twice.back);
        let has_turn = self.structured().is_some_and(|agent| agent.turn.is_some());
        self.twice.back = None;
        if is_again {
            return if has_turn { self.cancel(false) } else { self.open_timeline() };
        }
        if let Some((talk, ..)) = self.reading()
            && (talk.selected.take().is_some() || !talk.follows())
        {
            talk.follow();
            return;
        }
        if let Target::Terminal(_, terminal) = self.target()
            && let Some(live) = self.lives.get_mut(&terminal)
            && live.back > 0
        {
            live.back = 0;
            return;
        }
        self.focus = Focus::Tree;
    }

    /// Does what an action means in the list of sessions; false if it means nothing there.
    pub(super) fn act_in_tree(&mut self, action: Action) -> bool {
        match action {
            Action::TreeUp => self.select_row(-1),
            Action::TreeDown => self.select_row(1),
            Action::TreeTop => self.select_row(i64::MIN / 2),
            Action::TreeBottom => self.select_row(i64::MAX / 2),
            Action::TreeOpen => {
                if let Some(row) = self.selected_row() {
                    self.show(row);
                }
            }
            Action::TreeSplit => {
                if let Some(row) = self.selected_row() {
                    self.show_beside(row);
                }
            }
            Action::TreeRename => {
                let session = self.selected_row().and_then(Target::session);
                self.rename(session);
            }
            Action::TreeAll => {
                self.place.all_projects = !self.place.all_projects;
                self.keep_place();
            }
            Action::TreeEnded => self.tree.shows_ended = !self.tree.shows_ended,
            Action::TreeEnd => self.end_selected(),
            Action::TreeFilter => {
                let filter = self.tree.filter.clone();
                self.ask_line(Purpose::Filter, &filter);
            }
            Action::TreeBack => {
                if self.tree.filter.is_empty() {
                    self.show(self.target());
                } else {
                    self.tree.filter.clear();
                }
            }
            _ => return false,
        }
        true
    }

    /// The row of the tree that is selected: the one that was, or the one that is shown.
    pub fn selected_among(&self, rows: &[TreeRow]) -> usize {
        let at = |target: Option<Target>| target.and_then(|target| rows.iter().position(|row| row.target == target));
        at(self.tree.selected).or_else(|| at(Some(self.target()))).unwrap_or(0)
    }

    fn selected_row(&self) -> Option<Target> {
        let rows = self.rows();
        rows.get(self.selected_among(&rows)).map(|row| row.target)
    }

    fn select_row(&mut self, step: i64) {
        let rows = self.rows();
        let at = self.selected_among(&rows);
        let last = i64::try_from(rows.len()).unwrap_or(0) - 1;
        let mut to = (i64::try_from(at).unwrap_or(0) + step).clamp(0, last.max(0));
        // A session's own row stands for its first agent, whose row is next.
        let target = |to: i64| usize::try_from(to).ok().and_then(|to| rows.get(to)).map(|row| row.target);
        if target(to) == target(i64::try_from(at).unwrap_or(0)) && (0..=last).contains(&(to + step.signum())) {
            to += step.signum();
        }
        self.tree.selected = target(to);
    }

    fn end_selected(&mut self) {
        let session = self.selected_row().and_then(Target::session).and_then(|session| self.tree.get(session));
        let Some(session) = session else { return };
        let (id, name) = (session.session, super::tree::name_of(session));
        if session.status.state == ropewalk_protocol::SessionState::Ended {
            self.confirm(
                format!("take {name} out of every list? Its history stays in the log"),
                Confirmed::DeleteSession(id),
            );
        } else {
            self.confirm(
                format!("end {name}? Its agents and programs are asked to stop, then made to"),
                Confirmed::EndSession(id),
            );
        }
    }
}
