//! A client in a window, and the daemon it talks to: keys go in as bytes, what it asks for is answered, time moves when it is
//! told to, and what it draws goes through a terminal.

mod answers;

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;

use ropewalk_projections::screen::Screen;
use ropewalk_protocol::{GapReason, Seq, SessionId, Size, TerminalId};
use ropewalk_transport::client::AttachmentItem;
use ropewalk_tui::app::event::{Effect, Event, Link};
use ropewalk_tui::app::place::Place;
use ropewalk_tui::app::settings::{Config, Settings};
use ropewalk_tui::app::state::{Opening, Provider, State};
use ropewalk_tui::emulator;
use ropewalk_tui::input::{Decoded, Decoder};
use ropewalk_tui::plain::Told;
use ropewalk_tui::shell::Canvas;
use ropewalk_tui::view;

use crate::keyboard;
use crate::world::{DIRECTORY, World};

/// What one thing leads to comes to an end sooner than this, or never.
const STEPS_MAX: usize = 20_000;

/// What a client begins with.
pub(crate) struct Begin {
    pub(crate) config: Config,
    pub(crate) is_plain: bool,
    pub(crate) providers: Vec<Provider>,
    pub(crate) kept: Kept,
}

impl Default for Begin {
    fn default() -> Self {
        let provider = |label: &str, provider: &str, missing: Option<&str>| Provider {
            label: label.to_owned(),
            provider: provider.to_owned(),
            command: Vec::new(),
            missing: missing.map(str::to_owned),
            note: None,
        };
        Self {
            config: Config::default(),
            is_plain: false,
            providers: vec![
                provider("Claude Code", "claude", None),
                provider("Codex", "codex", None),
                provider("OpenCode", "opencode", Some("not found; npm install -g opencode-ai")),
            ],
            kept: Kept::default(),
        }
    }
}

/// What is on this machine's disk of a client.
#[derive(Debug, Clone, Default)]
pub(crate) struct Kept {
    pub(crate) drafts: BTreeMap<String, String>,
    pub(crate) sent: Vec<String>,
    pub(crate) place: Place,
    /// Some of the drafts were left in an editor.
    pub(crate) has_taken_up: bool,
}

/// A program's terminal that is shown: its size, and how much of its output was passed on.
struct Shown {
    size: Size,
    passed: usize,
    is_over: bool,
}

/// A client in a window.
pub(crate) struct Stage {
    pub(crate) world: World,
    pub(crate) kept: Kept,
    /// What was asked of the machine: notifications, copies, programs, the end.
    pub(crate) asked: Vec<Effect>,
    /// What was typed into programs.
    pub(crate) typed: Vec<u8>,
    /// What is asked of the daemon is not answered for now.
    pub(crate) is_slow: bool,
    /// What the editor makes of a text; nothing: it fails.
    pub(crate) edits: Option<String>,
    /// The lines that a client without a screen has told.
    pub(crate) lines: Vec<String>,
    told_lines: Option<Told>,
    /// The editor goes on until it is told to end.
    pub(crate) is_editing: bool,
    /// What commands of the command line print.
    pub(crate) prints: String,
    state: State,
    canvas: Canvas,
    screen: Screen,
    has_colours: bool,
    decoder: Decoder,
    effects: VecDeque<Effect>,
    /// What waits for the connection.
    waiting: Vec<Effect>,
    is_up: bool,
    /// Facts up to here were passed on.
    told: Seq,
    followed: BTreeMap<SessionId, Seq>,
    attached: BTreeMap<TerminalId, Shown>,
}

impl Stage {
    /// A client that has drawn its first frame; no daemon has answered.
    pub(crate) fn start(size: Size, world: World, begin: Begin) -> Self {
        let settings = Settings::new(&begin.config, begin.is_plain).expect("a configuration without faults");
        let opening = Opening {
            settings,
            directory: DIRECTORY.to_owned(),
            home: Some(PathBuf::from("/home/ada")),
            host: "workstation".to_owned(),
            providers: begin.providers,
            place: begin.kept.place.clone(),
            drafts: begin.kept.drafts.clone(),
            sent: begin.kept.sent.clone(),
            has_taken_up: begin.kept.has_taken_up,
            size,
        };
        let mut stage = Self {
            state: State::new(opening, world.now),
            told: world.head(),
            world,
            kept: begin.kept,
            asked: Vec::new(),
            typed: Vec::new(),
            is_slow: false,
            edits: None,
            is_editing: false,
            lines: Vec::new(),
            told_lines: None,
            prints: String::new(),
            canvas: Canvas::new(size, !begin.is_plain),
            screen: Screen::new(size),
            has_colours: !begin.is_plain,
            decoder: Decoder::default(),
            effects: VecDeque::new(),
            waiting: Vec::new(),
            is_up: false,
            followed: BTreeMap::new(),
            attached: BTreeMap::new(),
        };
        stage.update(Event::Woken);
        stage.settle();
        stage
    }

    /// A client without a screen, whose daemon has answered.
    pub(crate) fn plain(world: World) -> Self {
        let begin = Begin { is_plain: true, ..Begin::default() };
        let mut stage = Self::start(Size { cols: 80, rows: 24 }, world, begin);
        stage.told_lines = Some(Told::default());
        stage.settle();
        stage.connects();
        stage
    }

    /// The editor that goes on ends with this text.
    pub(crate) fn editor_ends(&mut self, text: &str) {
        let edited = self.asked.iter().rev().find_map(|effect| match effect {
            Effect::Edit(target, _) => Some(*target),
            _ => None,
        });
        self.update(Event::Edited(edited.expect("an editor was opened"), Some(text.to_owned())));
        self.settle();
    }

    /// A line that is typed where there is no screen.
    pub(crate) fn types_line(&mut self, line: &str) {
        self.lines.push(format!("< {line}"));
        let effects = self.state.typed_line(line, self.world.now);
        self.effects.extend(effects);
        self.settle();
    }

    /// A client whose daemon has answered.
    pub(crate) fn open(size: Size, world: World) -> Self {
        Self::open_with(size, world, Begin::default())
    }

    pub(crate) fn open_with(size: Size, world: World, begin: Begin) -> Self {
        let mut stage = Self::start(size, world, begin);
        stage.connects();
        stage
    }

    /// The daemon answers.
    pub(crate) fn connects(&mut self) {
        self.is_up = true;
        self.told = self.world.head();
        self.update(Event::Link(Link::Up { log: self.world.log() }));
        let sessions = self.world.sessions();
        self.update(Event::Sessions { sessions, more: false });
        self.settle();
    }

    /// The connection is gone.
    pub(crate) fn is_cut(&mut self) {
        self.is_up = false;
        self.update(Event::Link(Link::Lost));
        for terminal in self.attached.keys().copied().collect::<Vec<_>>() {
            self.update(Event::Terminal(terminal, AttachmentItem::Cut));
        }
        self.settle();
    }

    /// The connection is made again: what was missed comes, what was kept goes.
    pub(crate) fn is_back(&mut self) {
        self.is_up = true;
        self.update(Event::Link(Link::Up { log: self.world.log() }));
        self.attached.clear();
        self.effects.extend(std::mem::take(&mut self.waiting));
        self.settle();
    }

    /// Nobody tries any more.
    pub(crate) fn is_given_up(&mut self, reason: &str) {
        self.is_up = false;
        self.update(Event::Link(Link::Down { reason: reason.to_owned() }));
        self.settle();
    }

    /// Events of a session that will not come.
    pub(crate) fn misses(&mut self, session: SessionId, from: Seq, to: Seq) {
        self.update(Event::SaidGap { session, from, to, reason: GapReason::Damaged });
        self.settle();
    }

    /// The client is killed and started anew, with what is on the disk: commands among it that are not answered.
    pub(crate) fn restarts(self) -> Self {
        let size = self.state.size;
        let mut stage = Self::open_with(size, self.world, Begin { kept: self.kept, ..Begin::default() });
        for effect in self.waiting {
            let Effect::Command(_, command) = effect else { continue };
            match stage.world.carry_out((*command).clone()) {
                Ok(answer) => stage.update(Event::LeftDone(command, answer)),
                Err(rejection) => stage.update(Event::Left(command, rejection)),
            }
        }
        stage.settle();
        stage
    }

    /// What happened in the world since is passed on.
    pub(crate) fn goes_on(&mut self) {
        self.settle();
    }

    /// Time goes by, for everybody.
    pub(crate) fn later(&mut self, millis: u64) {
        let until = self.world.now.plus_millis(millis);
        while let Some(wake) = self.state.wants().wake.filter(|wake| *wake <= until) {
            assert!(wake > self.world.now, "the state wants to be woken without a pause, at {wake}");
            self.world.now = wake;
            self.update(Event::Woken);
            self.settle();
        }
        self.world.now = until;
        self.update(Event::Woken);
        self.settle();
    }

    /// Keys, by their names.
    pub(crate) fn press(&mut self, keys: &str) {
        for key in keys.split(' ') {
            self.sends(&keyboard::bytes(key));
        }
    }

    /// Text, a key for each character.
    pub(crate) fn types(&mut self, text: &str) {
        self.sends(text.as_bytes());
    }

    /// A paste, in the brackets that terminals put around it.
    pub(crate) fn pastes(&mut self, text: &str) {
        let text = text.replace('\n', "\r");
        self.sends(format!("\x1b[200~{text}\x1b[201~").as_bytes());
    }

    /// Bytes from the terminal, and then nothing for a while.
    pub(crate) fn sends(&mut self, bytes: &[u8]) {
        let mut decoded = self.decoder.feed(bytes);
        decoded.extend(self.decoder.flush());
        for Decoded { input, raw } in decoded {
            self.update(Event::Input(input, raw));
            self.settle();
        }
    }

    /// The window has another size.
    pub(crate) fn resizes(&mut self, size: Size) {
        self.update(Event::Resized(size));
        self.canvas.resize(size);
        self.screen.resize(size);
        self.settle();
    }

    /// Commands that wait for the connection, as text.
    pub(crate) fn on_their_way(&self) -> String {
        format!("{:?}", self.waiting)
    }

    /// The state, to be looked at.
    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    /// The terminal.
    pub(crate) fn screen(&self) -> &Screen {
        &self.screen
    }

    /// How often somebody was called, and with which words.
    pub(crate) fn calls(&self) -> Vec<String> {
        let called = |effect: &'_ Effect| if let Effect::Notify(text) = effect { Some(text.clone()) } else { None };
        self.asked.iter().filter_map(called).collect()
    }

    /// Asserts that a text is on the screen, on one line.
    #[track_caller]
    pub(crate) fn sees(&self, text: &str) {
        assert!(self.shows(text), "{text:?} is not on the screen:\n{}", emulator::rows(&self.screen).join("\n"));
    }

    /// Asserts that it is not.
    #[track_caller]
    pub(crate) fn sees_not(&self, text: &str) {
        assert!(!self.shows(text), "{text:?} is on the screen:\n{}", emulator::rows(&self.screen).join("\n"));
    }

    /// Whether a text is on the screen, on one line.
    pub(crate) fn shows(&self, text: &str) -> bool {
        emulator::rows(&self.screen).iter().any(|row| row.contains(text))
    }

    /// Asserts that the screen is what a terminal shows that is sent this frame alone: no frame before it left anything.
    pub(crate) fn is_as_drawn_at_once(&self) {
        let mut canvas = Canvas::new(self.canvas.size(), self.has_colours);
        let bytes = canvas.draw(|frame| view::draw(frame, &self.state));
        let fresh = emulator::screen(self.canvas.size(), &bytes);
        assert_eq!(emulator::rows(&self.screen), emulator::rows(&fresh), "a frame before left something");
        let palette = emulator::Palette::DARK;
        assert!(emulator::svg(&self.screen, &palette) == emulator::svg(&fresh, &palette), "a style was left");
    }

    fn update(&mut self, event: Event) {
        let effects = self.state.update(event, self.world.now);
        self.effects.extend(effects);
    }

    /// Everything that follows happens, and the screen is drawn.
    fn settle(&mut self) {
        let mut steps = 0;
        loop {
            steps += 1;
            assert!(steps < STEPS_MAX, "it never comes to an end");
            if let Some(effect) = self.effects.pop_front() {
                self.carry_out(effect);
            } else if !self.follow() && !self.pass_on() {
                break;
            }
            self.tell();
        }
        self.tell();
        self.draw();
    }

    fn tell(&mut self) {
        if let Some(told) = &mut self.told_lines {
            self.lines.extend(told.news(&mut self.state));
        }
    }

    fn draw(&mut self) {
        let bytes = self.canvas.draw(|frame| view::draw(frame, &self.state));
        self.screen.feed(&bytes);
        let again = self.canvas.draw(|frame| view::draw(frame, &self.state));
        assert!(again.is_empty(), "nothing changed, and {} bytes were drawn", again.len());
    }
}
