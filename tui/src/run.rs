//! The client in a terminal: what comes in goes to the state, what the state asks for is done, and what changed is drawn, at
//! most sixty times a second and never when nothing did.

mod away;

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::process::Stdio;

use std::time::Duration;

use bytes::Bytes;
use ropewalk_protocol::{Size, Timestamp};
use tokio::time::{Instant, sleep_until};

use self::away::{OpenEditor, ended};
use crate::app::event::{Effect, Event, Wants};
use crate::app::settings::{Notify, Settings};
use crate::app::state::{Focus, Opening, Provider, State};
use crate::input::{Decoder, Input};
use crate::session::{Session, Wire};
use crate::shell::{
    BELL, Canvas, Keyboard, OuterModes, Signals, Terminal, Told, Writer, change, copy, notify, title, window_size,
};
use crate::store::Store;

/// Sixty frames a second.
const FRAME: Duration = Duration::from_millis(16);
/// An escape that nothing follows for so long is a key.
const ESCAPE_WAIT: Duration = Duration::from_millis(30);
/// A frame that shows what was typed waits until it is kept, so that what was seen is never lost; for a disk that hangs it
/// waits no longer than this.
const KEPT_WITHIN: Duration = Duration::from_millis(500);
/// Events that are taken in before a frame is drawn.
const EVENTS_A_FRAME: usize = 128;

/// What a client is started with.
pub struct Start {
    /// The way to the daemon, and what agents are given.
    pub wire: Wire,
    /// What a person set.
    pub settings: Settings,
    /// A program that takes what is copied on its input.
    pub clipboard_command: Option<String>,
    /// Where drafts and places are kept.
    pub state: PathBuf,
    /// The machine's name.
    pub host: String,
    /// The person's home.
    pub home: Option<PathBuf>,
    /// Agents that can be started, the best first.
    pub providers: Vec<Provider>,
    /// The clock.
    pub now: fn() -> Timestamp,
}

/// Why a client cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// There is no terminal.
    #[error("stdin and stdout must be a terminal")]
    NoTerminal,
    /// The terminal, or a file, failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Runs a client until the person leaves; the signal that ended it, if one did.
///
/// # Errors
/// There is no terminal, or it failed.
pub async fn run(start: Start) -> Result<Option<u8>, RunError> {
    let size = window_size().ok_or(RunError::NoTerminal)?;
    if !rustix::termios::isatty(io::stdin()) {
        return Err(RunError::NoTerminal);
    }
    let directory = start.wire.directory.to_string_lossy().into_owned();
    let store = Store::open(&start.state, &directory)?;
    store.take_over_drafts();
    let has_taken_up = !store.take_up_edited().is_empty();
    let opening = Opening {
        settings: start.settings.clone(),
        directory,
        home: start.home.clone(),
        host: start.host.clone(),
        providers: start.providers.clone(),
        place: store.place(),
        drafts: store.drafts(),
        sent: store.sent(),
        has_taken_up,
        size,
    };
    let mut client = Client::enter(&start, store.clone(), State::new(opening, (start.now)()), size)?;
    let ended = client.live().await;
    for effect in client.state.leave() {
        client.session.carry_out(effect);
    }
    // The last words of a frame that is being written come before the farewell.
    tokio::time::timeout(Duration::from_millis(500), client.writer.idle()).await.ok();
    client.terminal.leave();
    store.settle();
    ended
}

struct Client {
    now: fn() -> Timestamp,
    state: State,
    session: Session,
    events: tokio::sync::mpsc::Receiver<Event>,
    terminal: Terminal,
    keyboard: Keyboard,
    signals: Signals,
    writer: Writer,
    canvas: Canvas,
    decoder: Decoder,
    outer: OuterModes,
    wants: Wants,
    clipboard_command: Option<String>,
    in_tmux: bool,
    /// Something changed since the last frame.
    is_changed: bool,
    drawn_at: Instant,
    /// Until when the next frame may wait for what it shows to be kept.
    kept_by: Option<Instant>,
    store: Store,
    escape_at: Option<Instant>,
    /// The editor that has the terminal.
    editor: Option<OpenEditor>,
    /// The modes that the terminal was entered with.
    entered: OuterModes,
    /// What happened while something else was done.
    inbox: VecDeque<Event>,
    leaves: Option<Option<u8>>,
}

impl Client {
    fn enter(start: &Start, store: Store, state: State, size: Size) -> Result<Self, RunError> {
        let outer = OuterModes::client(start.settings.mouse);
        let (session, events) = Session::start(start.wire.clone(), store.clone());
        let signals = Signals::listen()?;
        let terminal = Terminal::enter(outer)?;
        Ok(Self {
            now: start.now,
            canvas: Canvas::new(size, !state.settings.is_plain),
            state,
            session,
            events,
            terminal,
            keyboard: Keyboard::start()?,
            signals,
            writer: Writer::start()?,
            decoder: Decoder::default(),
            outer,
            wants: Wants::default(),
            clipboard_command: start.clipboard_command.clone(),
            in_tmux: std::env::var_os("TMUX").is_some(),
            is_changed: true,
            drawn_at: Instant::now().checked_sub(FRAME).unwrap_or_else(Instant::now),
            kept_by: None,
            store,
            escape_at: None,
            editor: None,
            entered: outer,
            inbox: VecDeque::new(),
            leaves: None,
        })
    }

    async fn live(&mut self) -> Result<Option<u8>, RunError> {
        loop {
            while let Some(event) = self.inbox.pop_front() {
                self.update(event).await?;
            }
            self.follow();
            if let Some(how) = self.leaves {
                return Ok(how);
            }
            let is_here = self.editor.is_none();
            let draws_at = self.drawn_at + FRAME;
            if self.is_changed && is_here && self.may_draw() && Instant::now() >= draws_at {
                self.draw();
            }
            let waits_to_draw = self.is_changed && is_here;
            let wake = self.wants.wake.map(|wake| self.until(wake));
            tokio::select! {
                biased;
                told = self.signals.next() => self.told(told).await?,
                bytes = self.keyboard.next(), if is_here => match bytes {
                    Some(bytes) => self.typed(&bytes).await?,
                    // The terminal is gone.
                    None => return Ok(Some(1)),
                },
                event = self.events.recv() => self.came(event).await?,
                () = at(self.escape_at) => self.escaped().await?,
                () = sleep_until(draws_at), if waits_to_draw && self.may_draw() => {}
                idle = self.writer.idle(), if waits_to_draw && !self.writer.is_idle() => idle?,
                () = kept(&self.store, self.kept_by), if waits_to_draw && !self.is_kept() => {}
                () = at(wake) => self.update(Event::Woken).await?,
                ended = ended(&mut self.editor) => self.edited(ended)?,
            }
        }
    }

    /// The frame before is shown, and what this one shows is kept.
    fn may_draw(&self) -> bool {
        self.writer.is_idle() && self.is_kept()
    }

    fn is_kept(&self) -> bool {
        self.store.is_settled() || self.kept_by.is_some_and(|by| Instant::now() >= by)
    }

    fn until(&self, wake: Timestamp) -> Instant {
        Instant::now() + wake.since((self.now)())
    }

    /// Takes in what came, with what else is there already.
    async fn came(&mut self, event: Option<Event>) -> Result<(), RunError> {
        let Some(event) = event else { return Ok(()) };
        self.update(event).await?;
        for _ in 0..EVENTS_A_FRAME {
            match self.events.try_recv() {
                Ok(event) => self.update(event).await?,
                Err(_) => break,
            }
        }
        Ok(())
    }

    async fn typed(&mut self, bytes: &[u8]) -> Result<(), RunError> {
        let decoded = self.decoder.feed(bytes);
        self.escape_at = self.decoder.is_waiting().then(|| Instant::now() + ESCAPE_WAIT);
        self.inputs(decoded).await
    }

    async fn escaped(&mut self) -> Result<(), RunError> {
        self.escape_at = None;
        let decoded = self.decoder.flush();
        self.inputs(decoded).await
    }

    async fn inputs(&mut self, decoded: Vec<crate::input::Decoded>) -> Result<(), RunError> {
        let mut for_program: Option<(Input, Vec<u8>)> = None;
        for one in decoded {
            // What goes to a program as it is goes in one piece.
            let is_raw = self.state.focus == Focus::Program && matches!(one.input, Input::Key(_) | Input::Paste(_));
            match (&mut for_program, is_raw && !self.state.is_command(&one.input)) {
                (Some((_, bytes)), true) => bytes.extend_from_slice(&one.raw),
                (None, true) => for_program = Some((one.input, one.raw.to_vec())),
                (_, false) => {
                    if let Some((input, bytes)) = for_program.take() {
                        self.update(Event::Input(input, Bytes::from(bytes))).await?;
                    }
                    self.update(Event::Input(one.input, one.raw)).await?;
                }
            }
        }
        match for_program {
            Some((input, bytes)) => self.update(Event::Input(input, Bytes::from(bytes))).await,
            None => Ok(()),
        }
    }

    async fn update(&mut self, event: Event) -> Result<(), RunError> {
        let is_typed = matches!(event, Event::Input(Input::Key(_) | Input::Paste(_), _));
        let had_focus = self.state.focus;
        let panes = self.state.place.panes.clone();
        let effects = self.state.update(event, (self.now)());
        // What goes to a program changes nothing on the screen until the program says so: drawing would only be in its way.
        let passes_on = is_typed
            && had_focus == Focus::Program
            && self.state.focus == Focus::Program
            && effects.iter().all(|effect| matches!(effect, Effect::Type(..)));
        self.is_changed |= !passes_on;
        for effect in effects {
            if let Some(effect) = self.session.carry_out(effect) {
                self.carry_out(effect).await?;
            }
        }
        if self.state.place.panes != panes {
            // What leaves the screen and comes back before the next frame is followed anew all the same.
            self.follow();
        }
        if self.is_changed && self.kept_by.is_none() {
            self.kept_by = Some(Instant::now() + KEPT_WITHIN);
        }
        Ok(())
    }

    /// Follows what is on the screen, and gives the terminal the modes and the title that belong to it.
    fn follow(&mut self) {
        let wants = self.state.wants();
        if (&wants.sessions, &wants.terminals) != (&self.wants.sessions, &self.wants.terminals) {
            self.session.follow(&wants);
        }
        if self.editor.is_some() {
            // The terminal is the editor's: modes and title follow when it is left.
            self.wants = Wants { title: std::mem::take(&mut self.wants.title), ..wants };
            return;
        }
        if wants.title != self.wants.title && self.state.settings.notify.contains(&Notify::Title) {
            self.writer.side(title(&wants.title));
        }
        let own = OuterModes::client(self.state.settings.mouse);
        let program = wants.keyboard.and_then(|terminal| self.state.lives.get(&terminal));
        let outer = match program {
            Some(live) => {
                let asked = OuterModes::of(live.screen.modes());
                // The wheel and a click on another pane are the client's all the same.
                OuterModes { mouse: asked.mouse || own.mouse, focus: true, ..asked }
            }
            None => own,
        };
        if outer != self.outer {
            self.writer.side(change(&self.outer, &outer));
            self.outer = outer;
        }
        self.wants = wants;
    }

    fn draw(&mut self) {
        (self.is_changed, self.kept_by) = (false, None);
        let state = &self.state;
        let bytes = self.canvas.draw(|frame| crate::view::draw(frame, state));
        if !bytes.is_empty() {
            self.drawn_at = Instant::now();
            self.writer.frame(bytes);
        }
    }

    /// Draws everything, whatever the terminal shows.
    fn redraw(&mut self) {
        self.canvas.clear();
        self.is_changed = true;
    }

    async fn carry_out(&mut self, effect: Effect) -> Result<(), RunError> {
        match effect {
            Effect::Copy(text) => self.copy(&text),
            Effect::Notify(text) => {
                for how in self.state.settings.notify.clone() {
                    let bytes = match how {
                        Notify::Bell => BELL.to_vec(),
                        Notify::Osc9 | Notify::Osc777 => notify("ropewalk", &text, self.in_tmux),
                        Notify::Title => continue,
                    };
                    self.writer.side(bytes);
                }
            }
            Effect::Edit(target, text) if self.editor.is_none() => self.edit(target, &text).await?,
            Effect::Mouse(_) => {}
            Effect::Redraw => self.redraw(),
            Effect::Suspend => self.suspend().await?,
            Effect::Quit => self.leaves = Some(None),
            _ => {}
        }
        Ok(())
    }

    fn copy(&mut self, text: &str) {
        if let Some(command) = &self.clipboard_command {
            let spawned = std::process::Command::new("sh")
                .args(["-c", command])
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn();
            if let Ok(mut child) = spawned {
                let text = text.to_owned();
                std::thread::spawn(move || {
                    if let Some(mut stdin) = child.stdin.take() {
                        io::Write::write_all(&mut stdin, text.as_bytes()).ok();
                    }
                    child.wait().ok();
                });
            }
        } else if let Some(bytes) = copy(text, self.in_tmux) {
            self.writer.side(bytes);
        }
    }

    async fn told(&mut self, told: Told) -> Result<(), RunError> {
        match told {
            Told::Resized => {
                if let Some(size) = window_size() {
                    self.canvas.resize(size);
                    self.update(Event::Resized(size)).await?;
                }
            }
            Told::Stop => self.suspend().await?,
            Told::GoOn => self.back()?,
            Told::End(signal) => self.leaves = Some(Some(signal)),
        }
        Ok(())
    }
}

async fn at(when: Option<Instant>) {
    match when {
        Some(when) => sleep_until(when).await,
        None => std::future::pending().await,
    }
}

/// Waits until everything is kept, or it has been waited for long enough.
async fn kept(store: &Store, by: Option<Instant>) {
    tokio::select! {
        () = store.settled() => {}
        () = at(by) => {}
    }
}
