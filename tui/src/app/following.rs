//! What is on the screen is followed, and what leaves it is given up; where it was read is remembered.

use ropewalk_protocol::{SessionId, Size, TerminalId, Timestamp};

use super::composer::Composer;
use super::event::{Effect, Link, Read, Wants};
use super::live::Live;
use super::place::Target;
use super::state::{Focus, State, is_busy};
use super::talk::{Goal, Older, Talk};

/// Where a person is is kept as often as this while they move.
pub(super) const KEEP_MILLIS: u64 = 100;

impl State {
    /// What is on the screen is followed, and what is not is given up; where it was read is remembered.
    pub(super) fn follow_panes(&mut self) {
        let shown: Vec<_> = self.place.panes.iter().filter_map(|target| target.agent()).collect();
        let gone: Vec<_> =
            self.talks.keys().copied().filter(|agent| !shown.iter().any(|(_, of)| of == agent)).collect();
        for agent in gone {
            if let Some(talk) = self.talks.remove(&agent) {
                self.remember(&talk);
            }
        }
        self.waiting.retain(|agent, _| shown.iter().any(|(_, of)| of == agent));
        let sessions = &self.place.panes;
        self.followed
            .retain(|session, _| sessions.iter().any(|target| target.agent().is_some_and(|(of, _)| of == *session)));
        for (session, agent) in shown {
            let Some(taken) = self.followed.get(&session).copied() else { continue };
            if !self.talks.contains_key(&agent) {
                let mut talk = Talk::new(session, agent);
                talk.older = Older::Asked(taken.next());
                talk.goal = self.place.read_at.get(&agent).copied().map(Goal::Seq);
                self.talks.insert(agent, talk);
                self.effects.push(Effect::Older(session, agent, taken.next()));
                self.fetches.want(Read::Prompts(session, agent));
                self.fetches.want(Read::Policy(session));
            }
        }
        let terminals: Vec<_> = self.terminals_shown().collect();
        self.lives.retain(|terminal, _| terminals.iter().any(|(shown, _)| shown == terminal));
        for (terminal, size) in terminals {
            self.lives.entry(terminal).or_insert_with(|| Live::new(terminal, size));
        }
        if self.focus == Focus::Program && !matches!(self.target(), Target::Terminal(..)) {
            self.focus = Focus::Reading;
        }
        self.composer_of(self.target());
    }

    /// The prompt for somebody, with the draft and what was put away beside it.
    pub(super) fn composer_of(&mut self, target: Target) -> &mut Composer {
        let key = self.draft_key(target);
        self.composers.entry(target).or_insert_with(|| {
            let draft = self.drafts.get(&key).map(String::as_str).unwrap_or_default();
            let stash = self.drafts.get(&format!("{} {key}", super::writing::STASHED));
            Composer::with(draft).with_stash(stash.filter(|stash| !stash.is_empty()).cloned())
        })
    }

    /// What is known of what is said in a session is read anew.
    pub(super) fn give_up(&mut self, session: SessionId) {
        let agents: Vec<_> =
            self.talks.values().filter(|talk| talk.session == session).map(|talk| talk.agent).collect();
        for agent in agents {
            if let Some(talk) = self.talks.remove(&agent) {
                self.remember(&talk);
            }
        }
    }

    pub(super) fn remember(&mut self, talk: &Talk) {
        match talk.reads_at() {
            Some(seq) => drop(self.place.read_at.insert(talk.agent, seq)),
            None => drop(self.place.read_at.remove(&talk.agent)),
        }
    }

    pub(super) fn terminals_shown(&self) -> impl Iterator<Item = (TerminalId, Size)> + '_ {
        let layout = self.layout();
        let bodies = layout.panes.into_iter().map(|pane| pane.body);
        self.place.panes.iter().zip(bodies.chain(std::iter::repeat(ratatui::layout::Rect::default()))).filter_map(
            |(target, body)| match target {
                Target::Terminal(_, terminal) if body.width > 0 && body.height > 0 => {
                    Some((*terminal, Size { cols: body.width, rows: body.height }))
                }
                _ => None,
            },
        )
    }

    /// What is to be followed, shown in the title, and waited for.
    pub fn wants(&self) -> Wants {
        let mut sessions: Vec<_> =
            self.place.panes.iter().filter_map(|target| target.agent()).map(|(session, _)| session).collect();
        sessions.sort_unstable();
        sessions.dedup();
        let keyboard = match self.target() {
            Target::Terminal(_, terminal) if self.focus == Focus::Program && self.overlay.is_none() => Some(terminal),
            _ => None,
        };
        Wants {
            sessions,
            terminals: self.terminals_shown().collect(),
            keyboard,
            title: self.title(),
            wake: self.wake(),
        }
    }

    pub(super) fn title(&self) -> String {
        let waiting = match self.asks.len() {
            0 => String::new(),
            1 => "(1 question) ".to_owned(),
            count => format!("({count} questions) "),
        };
        let of = self.place.panes.get(self.place.focused).and_then(|target| target.session());
        let name = of.and_then(|session| self.tree.get(session)).map(super::tree::name_of);
        format!("{waiting}{}", name.map_or_else(|| "ropewalk".to_owned(), |name| format!("{name} - ropewalk")))
    }

    /// When something changes by itself: an age, a word that is shown for a time, what is read anew.
    pub(super) fn wake(&self) -> Option<Timestamp> {
        let seconds = self.fetches.is_any_waiting()
            || matches!(self.link, Link::Lost | Link::Connecting)
            || self.tree.sessions().any(is_busy)
            || !self.asks.is_empty();
        let tick = if seconds { 1_000 } else { 60_000 };
        let next = self.now.plus_millis(tick - self.now.unix_millis() % tick);
        let toast = self.toast.as_ref().map(|toast| toast.until);
        // Nothing is read while the daemon is not there: waiting for it must not keep the machine awake.
        let read = self.fetches.wake().filter(|_| matches!(self.link, Link::Up { .. }));
        let place = self.is_moved.then(|| self.kept_at.plus_millis(KEEP_MILLIS).max(self.now));
        [Some(next), toast, read, self.call_at(), place].into_iter().flatten().min()
    }

    /// Where the person is is to be kept.
    pub(super) fn keep_place(&mut self) {
        self.is_moved = true;
    }

    /// What is to be done before the client leaves.
    pub fn leave(&mut self) -> Vec<Effect> {
        self.keep_place_now();
        std::mem::take(&mut self.effects)
    }

    pub(super) fn keep_place_now(&mut self) {
        (self.is_moved, self.kept_at) = (false, self.now);
        let talks: Vec<_> = self.talks.values().map(|talk| (talk.agent, talk.reads_at())).collect();
        for (agent, at) in talks {
            match at {
                Some(seq) => drop(self.place.read_at.insert(agent, seq)),
                None => drop(self.place.read_at.remove(&agent)),
            }
        }
        self.effects.push(Effect::KeepPlace(Box::new(self.place.clone())));
    }
}
