//! What the daemon says, taken in.

use ropewalk_protocol::{Event as Fact, EventBody, InteractionView, Rejection, SessionId, Stream, TurnOutcome};

use super::event::{Effect, Event, Found, Link, OlderPage, Read};
use super::overlay::Overlay;
use super::place::Target;
use super::settings::Notify;
use super::state::{Focus, State};
use super::talk::{Goal, Older};
use crate::text::clean::one_line;

/// Somebody is called no sooner than this after the last time.
const CALL_PAUSE_MILLIS: u64 = 2_000;

impl State {
    pub(super) fn incoming(&mut self, event: Event) {
        match event {
            Event::Input(..) | Event::Resized(_) | Event::Woken => {}
            Event::Link(link) => self.linked(link),
            Event::Sessions { sessions, more } => self.sessions(sessions, more),
            Event::Facts(facts) => facts.iter().for_each(|fact| self.fact(fact)),
            // All sessions are told of anew.
            Event::FactsLost => self.fetches.want(Read::Asks),
            Event::Found(found) => self.found(found),
            Event::Followed(session, from) => {
                if self.followed.insert(session, from).is_some_and(|taken| taken < from) {
                    // What was said between is read with the rest.
                    self.give_up(session);
                }
            }
            Event::Said(session, facts) => self.said(session, &facts),
            Event::SaidGap { session, from, to, reason } => {
                self.talks
                    .values_mut()
                    .filter(|talk| talk.session == session)
                    .for_each(|talk| talk.gap(from, to, reason));
                self.complain(format!("events {from} to {to} cannot be read: they are {}", gap_word(reason)));
            }
            Event::NotFollowed(session, rejection) => {
                self.followed.remove(&session);
                self.give_up(session);
                self.complain(told(&rejection));
            }
            Event::Older { agent, before, page } => self.older(agent, before, page),
            Event::Attached(terminal, attached) => {
                if let Some(live) = self.lives.get_mut(&terminal) {
                    live.attached(&attached);
                }
            }
            Event::Terminal(terminal, item) => {
                if let Some(live) = self.lives.get_mut(&terminal) {
                    live.apply(item);
                }
            }
            Event::Done(ticket, answer) => self.done(ticket, answer),
            Event::Files { typed, files } => self.files(typed, files),
            Event::Edited(target, Some(text)) => self.edited(target, &text),
            Event::Left(command, rejection) => self.left(*command, &rejection),
            Event::LeftDone(command, answer) => self.left_done(&command, answer),
            Event::NotTyped => self.complain("not typed: the line is too slow"),
            Event::SearchFailed(text, rejection) => {
                if let Some(Overlay::Search(search)) = &mut self.overlay
                    && search.text == text
                {
                    search.is_running = false;
                }
                self.complain(told(&rejection));
            }
            Event::Edited(_, None) => self.complain("the editor failed; the draft is as it was"),
            Event::Ran { title, text } => match self.overlay {
                None | Some(Overlay::Pager { .. } | Overlay::Help { .. }) => {
                    self.overlay = Some(Overlay::Pager { title, text, top: 0 });
                }
                // Nothing takes what is being typed away.
                Some(_) => self.say(format!("{title}: {}", text.lines().last().unwrap_or("done"))),
            },
            Event::Hits { text, hits, reached, more } => self.hits(&text, hits, reached, more),
            Event::History { session, page } => self.history(session, page),
        }
    }

    fn linked(&mut self, link: Link) {
        match (&link, &self.link) {
            (Link::Up { .. }, Link::Up { .. }) => {}
            (Link::Up { .. }, before) => {
                if *before != Link::Connecting {
                    self.say("the daemon is back");
                }
                self.lost_since = None;
            }
            (_, Link::Up { .. }) => self.lost_since = Some(self.now),
            (Link::Down { .. } | Link::Lost | Link::Connecting, _) => {}
        }
        self.link = link;
    }

    fn sessions(&mut self, sessions: Vec<ropewalk_protocol::SessionView>, more: bool) {
        if self.tree.is_complete {
            self.tree.clear();
        }
        sessions.into_iter().for_each(|session| self.tree.put(session));
        self.tree.is_complete = !more;
        if !more {
            self.take_place();
        }
    }

    /// Begins where the person was; else with what waits, or runs, in this directory.
    fn take_place(&mut self) {
        let tree = &self.tree;
        let is_there = |target: &Target| *target == Target::Start || tree.agent(*target).is_some();
        let focused = self.target();
        self.place.panes.retain(is_there);
        // Who types already stays where they type.
        if !self.is_placed && !self.has_typed && (self.place.panes.is_empty() || self.place.panes == [Target::Start]) {
            let here = tree.sessions().rev().filter(|session| super::tree::Tree::is_here(session, &self.directory));
            let alive = here
                .filter(|session| session.agents.iter().any(|agent| !super::tree::Condition::of(agent).0.is_over()));
            let home = alive.into_iter().find_map(|session| tree.home(session.session));
            self.place.panes = vec![home.unwrap_or_default()];
        }
        if self.place.panes.is_empty() {
            self.place.panes.push(Target::Start);
        }
        self.focus_again(focused);
        self.is_placed = true;
        if matches!(self.target(), Target::Terminal(..)) && self.focus == Focus::Composer {
            self.focus = Focus::Reading;
        }
        self.mark_seen();
    }

    fn fact(&mut self, fact: &Fact) {
        let (session, agent) = match fact.stream {
            Stream::Session(session) | Stream::Terminal(session, _) => (session, None),
            Stream::Agent(session, agent) => (session, Some(agent)),
            Stream::Machine => return,
        };
        match &fact.body {
            EventBody::SessionDeleted(_) => {
                self.fetches.forget(Read::Session(session));
                return self.gone(session);
            }
            EventBody::Asked(_) | EventBody::AskClosed(_) | EventBody::RuleApplied(_) => self.fetches.want(Read::Asks),
            EventBody::Answered(answered) => {
                self.fetches.want(Read::Asks);
                self.answered_elsewhere(answered.interaction, fact);
            }
            EventBody::PromptQueued(_)
            | EventBody::PromptEdited(_)
            | EventBody::PromptMoved(_)
            | EventBody::PromptWithdrawn(_)
            | EventBody::PromptSteered(_)
            | EventBody::TurnStarted(_) => self.queue_changed(session, agent),
            EventBody::TurnEnded(ended) if !self.is_looked_at && ended.outcome != TurnOutcome::Cancelled => {
                let name = self.name(session);
                let words = match &ended.outcome {
                    TurnOutcome::Completed | TurnOutcome::Cancelled => format!("{name} is done"),
                    TurnOutcome::Failed { reason } => format!("{name} failed: {}", one_line(reason)),
                    TurnOutcome::Interrupted { reason } => format!("{name} was interrupted: {}", one_line(reason)),
                };
                self.call(&words);
            }
            EventBody::TerminalResized(resized) => {
                // The screen at this size comes by itself.
                if let Stream::Terminal(_, terminal) = fact.stream
                    && let Some(live) = self.lives.get_mut(&terminal)
                {
                    live.resize(resized.size);
                }
            }
            // What an agent does from moment to moment is in no list of sessions.
            EventBody::ItemStarted(_) | EventBody::ItemChanged(_) | EventBody::ItemEnded(_) => return,
            EventBody::SessionBudgetSet(_) | EventBody::SessionRulesSet(_) if self.policies.contains_key(&session) => {
                self.fetches.want(Read::Policy(session));
            }
            _ => {}
        }
        self.fetches.want(Read::Session(session));
    }

    /// Somebody else was first: whoever was about to answer is told who.
    fn answered_elsewhere(&mut self, interaction: ropewalk_protocol::InteractionId, fact: &Fact) {
        let by = fact.cause.as_ref().map_or("a rule", |cause| cause.client.as_str());
        let is_seen = matches!(&self.overlay, Some(Overlay::Attention(seen)) if seen.selected == Some(interaction));
        if is_seen && !self.pending.answers(interaction) {
            self.say(format!("answered by {by}"));
        }
    }

    fn gone(&mut self, session: SessionId) {
        self.tree.remove(session);
        let focused = self.target();
        self.place.panes.retain(|target| target.session() != Some(session));
        if self.place.panes.is_empty() {
            self.place.panes.push(Target::Start);
        }
        self.focus_again(focused);
    }

    /// What had the focus has it again, wherever it is now. Where it is gone, keys are for nobody else's prompt or program.
    fn focus_again(&mut self, focused: Target) {
        match self.place.panes.iter().position(|target| *target == focused) {
            Some(at) => self.place.focused = at,
            None => {
                self.place.focused = self.place.focused.min(self.place.panes.len() - 1);
                if self.is_placed && self.focus != Focus::Tree {
                    self.focus = Focus::Reading;
                }
            }
        }
    }

    fn found(&mut self, found: Found) {
        match found {
            Found::Session(session) => {
                self.fetches.came(Read::Session(session.session));
                self.tree.put(*session);
                self.mark_seen();
            }
            Found::NoSession(session) => {
                self.fetches.came(Read::Session(session));
                self.gone(session);
            }
            Found::Asks(asks) => {
                self.fetches.came(Read::Asks);
                self.asks_known(asks);
            }
            Found::Prompts(session, agent, prompts) => {
                self.fetches.came(Read::Prompts(session, agent));
                self.queue_known(Target::Agent(session, agent), prompts);
            }
            Found::Policy(session, policy) => {
                self.fetches.came(Read::Policy(session));
                self.policies.insert(session, *policy);
            }
            Found::Failed(read, rejection) => {
                self.fetches.came(read);
                self.complain(told(&rejection));
            }
        }
    }

    fn asks_known(&mut self, asks: Vec<InteractionView>) {
        let new = asks.iter().filter(|ask| self.asks.iter().all(|known| known.interaction != ask.interaction));
        let words: Vec<String> = new
            .map(|ask| {
                let what = crate::text::tool::summary(&ask.title, &ask.detail).text;
                let what = one_line(&what);
                format!("{}/{} asks: {what}", self.name(ask.session), ask.name)
            })
            .collect();
        let now = self.now;
        self.asked_at =
            asks.iter().map(|ask| (ask.interaction, *self.asked_at.get(&ask.interaction).unwrap_or(&now))).collect();
        (self.asks, self.knows_asks) = (asks, true);
        match words.as_slice() {
            [] => {}
            [only] => self.call(only),
            several => self.call(&format!("{} questions wait", several.len())),
        }
        self.attention_changed();
    }

    /// Calls a person who does not look, or has not seen it: not more often than can be heard, and never not at all.
    fn call(&mut self, text: &str) {
        if self.settings.notify.iter().any(|how| *how != Notify::Title) {
            self.call_due = Some(crate::text::clean::one_line(text));
        }
    }

    /// The call that is due, if the one before is long enough ago; else when it will be.
    pub(super) fn call_if_due(&mut self) {
        let due = self.called_at.map(|at| at.plus_millis(CALL_PAUSE_MILLIS)).filter(|due| self.now < *due);
        if due.is_none()
            && let Some(text) = self.call_due.take()
        {
            self.called_at = Some(self.now);
            self.effects.push(Effect::Notify(text));
        }
    }

    /// When a call that waits is due.
    pub(super) fn call_at(&self) -> Option<ropewalk_protocol::Timestamp> {
        self.call_due.as_ref()?;
        self.called_at.map(|at| at.plus_millis(CALL_PAUSE_MILLIS))
    }

    fn said(&mut self, session: SessionId, facts: &[Fact]) {
        for fact in facts {
            if let Stream::Agent(_, agent) = fact.stream
                && let Some(talk) = self.talks.get_mut(&agent)
            {
                talk.apply(fact);
            }
            if let Some(taken) = self.followed.get_mut(&session) {
                *taken = (*taken).max(fact.seq);
            }
        }
        self.mark_seen();
    }

    /// What is on the screen, and looked at, is not unread.
    pub(super) fn mark_seen(&mut self) {
        if !self.is_looked_at {
            return;
        }
        let shown = self.place.panes.iter().filter_map(|target| target.agent());
        let ended = shown.filter_map(|(session, agent)| {
            let view = self.tree.agent(Target::Agent(session, agent))?;
            Some((agent, view.structured.as_ref()?.last_turn.as_ref()?.evidence))
        });
        let ended: Vec<_> = ended.filter(|(agent, seq)| self.place.seen.get(agent) != Some(seq)).collect();
        if !ended.is_empty() {
            self.place.seen.extend(ended);
            self.keep_place();
        }
    }

    fn older(
        &mut self,
        agent: ropewalk_protocol::AgentId,
        before: ropewalk_protocol::Seq,
        page: Result<OlderPage, Rejection>,
    ) {
        let Some(talk) = self.talks.get_mut(&agent).filter(|talk| talk.older == Older::Asked(before)) else { return };
        match page {
            Ok(page) => talk.prepend(&page),
            Err(rejection) => {
                talk.older = Older::Failed(before, told(&rejection));
                talk.goal = None;
                // It is asked for again when somebody scrolls there.
                return;
            }
        }
        self.read_on(agent);
    }

    /// Reads further back if what is looked for is not found, or a page is not full.
    pub(super) fn read_on(&mut self, agent: ropewalk_protocol::AgentId) {
        let (width, height) = self.body();
        let Some(talk) = self.talks.get_mut(&agent) else { return };
        let paper = super::talk::Paper { width, theme: &self.theme };
        let wants_more = match talk.goal.clone() {
            Some(Goal::Seq(seq)) => talk.to_seq(seq),
            Some(Goal::Top) => talk.to_top(),
            Some(Goal::Found) => match talk.find(true, paper, height) {
                Some(()) => {
                    talk.goal = None;
                    false
                }
                None => true,
            },
            None => talk.follows() && talk.page(paper, 2 * height).len() < 2 * height,
        };
        if wants_more {
            self.ask_older(agent);
        } else if let Some(talk) = self.talks.get_mut(&agent) {
            talk.goal = None;
        }
    }

    /// Asks for what was said before, unless that is known, or on its way.
    pub(super) fn ask_older(&mut self, agent: ropewalk_protocol::AgentId) {
        let Some(talk) = self.talks.get_mut(&agent) else { return };
        if talk.older == Older::Whole && talk.goal == Some(Goal::Found) {
            talk.goal = None;
            let text = format!("{:?} is nowhere further back", talk.search);
            return self.say(text);
        }
        if let Older::More(before) | Older::Failed(before, _) = talk.older {
            talk.older = Older::Asked(before);
            let effect = Effect::Older(talk.session, talk.agent, before);
            self.effects.push(effect);
        }
    }

    fn name(&self, session: SessionId) -> String {
        self.tree.get(session).map_or_else(|| "a session".to_owned(), super::tree::name_of)
    }
}

/// A refusal, for people.
pub(super) fn told(rejection: &Rejection) -> String {
    let hint = if rejection.hint.is_empty() { String::new() } else { format!(" {}", rejection.hint) };
    one_line(&format!("{}.{hint}", rejection.message.trim_end_matches('.')))
}

/// Why a range does not come, for people.
pub(crate) fn gap_word(reason: ropewalk_protocol::GapReason) -> &'static str {
    match reason {
        ropewalk_protocol::GapReason::Damaged => "damaged",
        ropewalk_protocol::GapReason::Removed => "removed",
        ropewalk_protocol::GapReason::Lagged => "too far behind",
    }
}
