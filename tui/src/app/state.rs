//! The client's state, and what every event makes of it. It reads no clock, draws nothing and waits for nothing: time comes in
//! with each event, and what is to be done goes out as effects.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ropewalk_protocol::{
    AgentView, InteractionView, PolicyView, Seq, SessionId, SessionView, Size, StructuredView, TerminalId, Timestamp,
};

use crate::input::Key;
use crate::text::theme::Theme;

use super::composer::Composer;
use super::event::{Effect, Event, Link};
use super::fetches::Fetches;
use super::layout::{self, Layout};
use super::live::Live;
use super::overlay::Overlay;
use super::pending::{Meant, Pending};
use super::place::{Place, Target};
use super::settings::{Settings, ThemeChoice};
use super::talk::{Paper, Talk};
use super::tree::Tree;

/// How long a word of the client's is shown.
const TOAST_MILLIS: u64 = 6_000;
/// A session with work in it is looked at again after this: that nothing is said any more, nobody says.
const LOOK_AGAIN_MILLIS: u64 = 5_000;

/// What has the keys.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Focus {
    /// The prompt.
    #[default]
    Composer,
    /// What was said.
    Reading,
    /// The sessions.
    Tree,
    /// The program on the screen: every key goes to it.
    Program,
}

/// An agent that can be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provider {
    /// What people call it.
    pub label: String,
    /// Its provider.
    pub provider: String,
    /// The program, where it is not the provider's usual one.
    pub command: Vec<String>,
    /// What to do before it can be started; `None`: it was found.
    pub missing: Option<String>,
    /// What may be wrong with it.
    pub note: Option<String>,
}

/// What holds for this client from its beginning.
#[derive(Debug, Clone, PartialEq)]
pub struct Opening {
    /// What a person set.
    pub settings: Settings,
    /// The directory it was started in.
    pub directory: String,
    /// The person's home, for shorter paths.
    pub home: Option<PathBuf>,
    /// The machine's name.
    pub host: String,
    /// Agents that can be started, the best first.
    pub providers: Vec<Provider>,
    /// Where the person was.
    pub place: Place,
    /// Drafts, by what they are for.
    pub drafts: BTreeMap<String, String>,
    /// Prompts that were sent from this directory, oldest first.
    pub sent: Vec<String>,
    /// A client before this one left texts in an editor; they are among the drafts.
    pub has_taken_up: bool,
    /// The window.
    pub size: Size,
}

/// A word of the client's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Toast {
    /// It.
    pub text: String,
    /// Something went wrong.
    pub is_error: bool,
    /// Until when it is shown.
    pub until: Timestamp,
}

/// Keys that mean something when they are pressed again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Twice {
    /// Interrupt.
    pub interrupt: Option<Timestamp>,
    /// Back, while a turn runs or to look at the history.
    pub back: Option<Timestamp>,
}

/// Everything.
pub struct State {
    /// What a person set.
    pub settings: Settings,
    /// The colours.
    pub theme: Theme,
    /// The window.
    pub size: Size,
    /// The time of the newest event.
    pub now: Timestamp,
    /// The directory it was started in.
    pub directory: String,
    /// The person's home, for shorter paths.
    pub home: Option<PathBuf>,
    /// The machine's name.
    pub host: String,
    /// How the daemon is reached.
    pub link: Link,
    /// Since when it is not.
    pub lost_since: Option<Timestamp>,
    /// The sessions.
    pub tree: Tree,
    /// Where the person is.
    pub place: Place,
    /// What has the keys.
    pub focus: Focus,
    /// Open questions, the oldest first.
    pub asks: Vec<InteractionView>,
    /// What is said with agents that are on the screen.
    pub talks: BTreeMap<ropewalk_protocol::AgentId, Talk>,
    /// Sessions that are followed, each with the newest event of it that came.
    pub followed: BTreeMap<SessionId, Seq>,
    /// Programs' terminals that are on the screen.
    pub lives: BTreeMap<TerminalId, Live>,
    /// Prompts that are being written.
    pub composers: BTreeMap<Target, Composer>,
    /// Prompts that were sent, oldest first.
    pub sent: Vec<String>,
    /// Agents that can be started.
    pub providers: Vec<Provider>,
    /// The one that a new session begins with.
    pub provider: usize,
    /// Prompts that wait for agents that are on the screen.
    pub waiting: BTreeMap<ropewalk_protocol::AgentId, Vec<ropewalk_protocol::PromptView>>,
    /// What bounds agents, by session.
    pub policies: BTreeMap<SessionId, PolicyView>,
    /// What lies over the screen.
    pub overlay: Option<Overlay>,
    /// Keys that begin something longer.
    pub pressed: Vec<Key>,
    /// A word of the client's own.
    pub toast: Option<Toast>,
    /// Commands that are not answered.
    pub pending: Pending,
    /// Keys that mean something when they are pressed again.
    pub twice: Twice,
    /// Since when each question is seen to be open.
    pub(super) asked_at: BTreeMap<ropewalk_protocol::InteractionId, Timestamp>,
    /// The open questions have come.
    pub(super) knows_asks: bool,
    /// When the line that is typed was begun.
    pub(super) line_at: Option<Timestamp>,
    /// Somebody has typed something.
    pub(super) has_typed: bool,
    /// The window is looked at, as far as the terminal tells.
    pub is_looked_at: bool,
    /// When somebody was called last.
    pub(super) called_at: Option<Timestamp>,
    /// What somebody is to be called for.
    pub(super) call_due: Option<String>,
    /// Where the person is changed, and is not kept yet.
    pub(super) is_moved: bool,
    pub(super) kept_at: Timestamp,
    pub(super) drafts: BTreeMap<String, String>,
    /// The prompt that is open in an editor, as it was given.
    pub(super) given_to_editor: Option<(Target, String)>,
    pub(super) fetches: Fetches,
    pub(super) looked_at: Timestamp,
    pub(super) effects: Vec<Effect>,
    /// Where the person was is not taken up yet: the sessions have not come.
    pub(super) is_placed: bool,
}

impl State {
    /// The state that a client begins with.
    pub fn new(opening: Opening, now: Timestamp) -> Self {
        let Opening { settings, directory, home, host, providers, place, drafts, sent, has_taken_up, size } = opening;
        let mut state = Self {
            theme: Theme::dark(),
            settings,
            size,
            now,
            directory,
            home,
            host,
            link: Link::Connecting,
            lost_since: Some(now),
            tree: Tree::default(),
            focus: Focus::Composer,
            asks: Vec::new(),
            talks: BTreeMap::new(),
            followed: BTreeMap::new(),
            lives: BTreeMap::new(),
            composers: BTreeMap::new(),
            sent,
            provider: providers.iter().position(|provider| provider.missing.is_none()).unwrap_or(0),
            providers,
            waiting: BTreeMap::new(),
            policies: BTreeMap::new(),
            overlay: None,
            pressed: Vec::new(),
            toast: None,
            pending: Pending::default(),
            twice: Twice::default(),
            asked_at: BTreeMap::new(),
            knows_asks: false,
            line_at: None,
            has_typed: false,
            is_looked_at: true,
            called_at: None,
            call_due: None,
            is_moved: false,
            kept_at: now,
            drafts,
            given_to_editor: None,
            fetches: Fetches::default(),
            looked_at: now,
            effects: Vec::new(),
            is_placed: false,
            place,
        };
        if state.place.panes.is_empty() {
            state.place.panes.push(Target::Start);
        }
        state.place.focused = state.place.focused.min(state.place.panes.len() - 1);
        let begins_with =
            |known: &Provider| known.missing.is_none() && state.place.begins_with.as_ref() == Some(&known.label);
        state.provider = state.providers.iter().position(begins_with).unwrap_or(state.provider);
        state.fetches.want(super::event::Read::Asks);
        state.choose_theme();
        if has_taken_up {
            state.say("what was left in an editor is a draft again, where it was begun");
        }
        state
    }

    /// What an event makes of it, and what is to be done.
    pub fn update(&mut self, event: Event, now: Timestamp) -> Vec<Effect> {
        self.now = now;
        match event {
            Event::Input(input, raw) => self.input(input, raw),
            Event::Resized(size) => self.size = size,
            Event::Woken => {}
            other => self.incoming(other),
        }
        self.settle();
        std::mem::take(&mut self.effects)
    }

    /// Brings in order what follows from what changed.
    pub(super) fn settle(&mut self) {
        if self.toast.as_ref().is_some_and(|toast| toast.until <= self.now) {
            self.toast = None;
        }
        self.follow_panes();
        self.keep_typed_words();
        self.keep_words_of_closed();
        self.call_if_due();
        if self.is_moved
            && (self.now >= self.kept_at.plus_millis(super::following::KEEP_MILLIS) || self.now < self.kept_at)
        {
            self.keep_place_now();
        }
        if matches!(self.link, Link::Up { .. }) {
            self.look_again();
            let due = self.fetches.due(self.now);
            self.effects.extend(due.into_iter().map(Effect::Read));
        }
    }

    /// Sessions with work in them are looked at again now and then.
    fn look_again(&mut self) {
        if self.now.since(self.looked_at).as_millis() < u128::from(LOOK_AGAIN_MILLIS) {
            return;
        }
        self.looked_at = self.now;
        let busy = self.tree.sessions().filter(|session| is_busy(session)).map(|session| session.session);
        for session in busy.collect::<Vec<_>>() {
            self.fetches.want(super::event::Read::Session(session));
        }
    }

    /// What the focus is on.
    pub fn target(&self) -> Target {
        self.place.panes.get(self.place.focused).copied().unwrap_or_default()
    }

    /// The session that the focus is on.
    pub fn session(&self) -> Option<&SessionView> {
        self.tree.get(self.target().session()?)
    }

    /// The agent that the focus is on.
    pub fn agent(&self) -> Option<&AgentView> {
        self.tree.agent(self.target())
    }

    /// The structured agent that the focus is on.
    pub fn structured(&self) -> Option<&StructuredView> {
        self.agent().and_then(|agent| agent.structured.as_deref())
    }

    /// The prompt that is being written.
    pub fn composer(&self) -> Option<&Composer> {
        self.composers.get(&self.target())
    }

    /// The same, to be changed.
    pub(super) fn composer_mut(&mut self) -> &mut Composer {
        self.composer_of(self.target())
    }

    /// The question that the focused agent waits for.
    pub fn open_ask(&self) -> Option<&InteractionView> {
        let (_, agent) = self.target().agent()?;
        self.asks.iter().find(|ask| ask.agent == agent && !self.pending.answers(ask.interaction))
    }

    /// How far the daemon is behind with what it is asked, over the line as it is.
    pub fn lag(&self) -> std::time::Duration {
        self.fetches.lag(self.now)
    }

    /// Where everything is on the screen.
    pub fn layout(&self) -> Layout {
        layout::layout(self)
    }

    /// The size of what is read in the pane with the focus.
    pub(super) fn body(&self) -> (u16, usize) {
        let layout = self.layout();
        let body = layout.panes.get(self.place.focused).map(|pane| pane.body).unwrap_or_default();
        let body = match self.target() {
            Target::Agent(_, agent) => crate::view::body_of(self, agent, body),
            Target::Start | Target::Terminal(..) => body,
        };
        (body.width, usize::from(body.height))
    }

    /// The talk that has the focus, with what it is laid out on.
    pub(super) fn reading(&mut self) -> Option<(&mut Talk, Paper<'_>, usize)> {
        let (_, agent) = self.target().agent()?;
        let (width, height) = self.body();
        let talk = self.talks.get_mut(&agent)?;
        Some((talk, Paper { width, theme: &self.theme }, height))
    }

    /// The key of the draft for somebody.
    pub fn draft_key(&self, target: Target) -> String {
        match target {
            Target::Start => format!("start {}", self.directory),
            Target::Agent(_, agent) => agent.to_string(),
            Target::Terminal(_, terminal) => terminal.to_string(),
        }
    }

    /// Says something for a while.
    pub(super) fn say(&mut self, text: impl Into<String>) {
        let until = self.now.plus_millis(TOAST_MILLIS);
        let text = crate::text::clean::one_line(&text.into());
        self.toast = Some(Toast { text, is_error: false, until });
    }

    /// Says for a while that something went wrong.
    pub(super) fn complain(&mut self, text: impl Into<String>) {
        let until = self.now.plus_millis(2 * TOAST_MILLIS);
        let text = crate::text::clean::one_line(&text.into());
        self.toast = Some(Toast { text, is_error: true, until });
    }

    /// Has something changed, once.
    pub(super) fn command(&mut self, meant: Meant, command: ropewalk_protocol::Command) {
        if self.settings.read_only {
            return self.complain("nothing can be changed: this client is read-only");
        }
        let ticket = self.pending.add(meant);
        self.effects.push(Effect::Command(ticket, Box::new(command)));
    }

    pub(super) fn choose_theme(&mut self) {
        let is_light = match self.settings.theme {
            ThemeChoice::Auto => self.settings.is_light,
            ThemeChoice::Dark => false,
            ThemeChoice::Light => true,
        };
        self.theme = match (self.settings.is_plain, is_light) {
            (true, _) => Theme::plain(),
            (false, true) => Theme::light(),
            (false, false) => Theme::dark(),
        };
        self.talks.values().for_each(Talk::forget_layout);
    }
}

/// Whether a session has something in it whose time is counted.
pub(super) fn is_busy(session: &SessionView) -> bool {
    session.agents.iter().any(|agent| agent.structured.is_some() && super::tree::Condition::of(agent).0.is_busy())
}
