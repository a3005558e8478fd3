//! `ropewalk attach`: bytes pass untouched, both ways. Ctrl-\ detaches; the program goes on.

use std::io::{IsTerminal, Read, Write};

use bytes::Bytes;
use ropewalk_protocol::{AttachParams, Query, QueryResult, RunOutcome, SessionId, Size, TerminalId, limits};
use ropewalk_transport::client::{AttachmentItem, Client};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::{Context, find_terminal, unexpected};
use crate::exit::{CANNOT_RUN, FAILURE, Failure, OK, SIGNAL_BASE};
use crate::print;

/// Ctrl-\ as a byte, and as the kitty keyboard protocol spells it.
const DETACH: &[u8] = b"\x1c";
const DETACH_KITTY: &[u8] = b"\x1b[92;5u";
/// What a program may have turned on, turned off: alternate screen, margins, mouse, focus, paste, cursor keys, keypad,
/// synchronized output, key encodings, colours, hidden cursor.
/// Then the cursor goes below the screen, where a shell's prompt belongs.
const LEAVE: &[u8] = b"\x1b[?1049l\x1b[r\x1b[?9l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1005l\x1b[?1006l\x1b[?1015l\x1b[?1004l\x1b[?2004l\x1b[?2026l\x1b[?1l\x1b>\x1b[<99u\x1b[>4;0m\x1b(B\x0f\x1b[4l\x1b[?6l\x1b[?7h\x1b[0m\x1b[?25h\x1b[0 q\x1b[999;1H\r\n";
/// What is turned off even when the program ended by itself, and moves no cursor.
const CALM: &[u8] = b"\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1004l\x1b[?2004l\x1b[?2026l\x1b[0m\x1b[?25h";
/// A terminal as new, cleared, before a snapshot is drawn on it.
const CLEAR: &[u8] = b"\x1b[!p\x1b[?1049l\x1b[0m\x1b[H\x1b[2J";
/// Pieces that wait between a thread that reads or writes this terminal and the client.
const PIECES_MAX: usize = 64;

/// How to look at a terminal.
pub(super) struct Look {
    pub(super) view: bool,
    pub(super) scrollback: u32,
    /// Every byte from the first, as for a program that was just started.
    pub(super) from_start: bool,
}

pub(super) async fn attach(context: &Context, reference: &str, view: bool, scrollback: u32) -> Result<u8, Failure> {
    let client = context.client().await?;
    let (session, terminal) = find_terminal(&client, reference).await?;
    if std::env::var("ROPEWALK_SESSION").is_ok_and(|inside| inside == session.session.to_string()) {
        return Err(Failure::new(FAILURE, "this terminal is that session: it would show itself")
            .hint("Attach from another terminal."));
    }
    follow(&client, session.session, terminal, Look { view, scrollback, from_start: false }).await
}

/// The size of the terminal this process runs in, if it runs in one.
pub(super) fn window_size() -> Option<Size> {
    if !std::io::stdout().is_terminal() {
        return None;
    }
    let size = tcgetwinsize(std::io::stdout()).ok()?;
    Some(Size { cols: size.ws_col, rows: size.ws_row }).filter(|size| size.check().is_ok())
}

/// Why an attachment ended.
enum Left {
    Detached,
    Closed,
    Signal(u8),
}

/// Shows a terminal until it closes or the person detaches.
pub(super) async fn follow(
    client: &Client,
    session: SessionId,
    terminal: TerminalId,
    look: Look,
) -> Result<u8, Failure> {
    let interactive = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let params = AttachParams {
        terminal,
        after: look.from_start.then_some(0),
        size: window_size().filter(|_| interactive && !look.view),
        view_only: look.view,
        scrollback: look.scrollback,
    };
    let (_, items) = client.attach(params).await?;
    let raw = interactive.then(RawMode::enter).transpose()?;
    let left = Attached::new(client.clone(), terminal, &look, interactive).run(items).await;
    if let Some(raw) = raw {
        raw.leave(matches!(left, Ok(Left::Closed)));
    }
    match left? {
        Left::Detached => {
            print::talk("[detached; the program goes on]");
            Ok(OK)
        }
        Left::Signal(signal) => Ok(SIGNAL_BASE + signal),
        Left::Closed => exit_code(client, session).await,
    }
}

/// The program's own exit code, once the log has it.
async fn exit_code(client: &Client, session: SessionId) -> Result<u8, Failure> {
    super::wait::until_ended(client, session).await?;
    let answer = client.query(Query::SessionGet { reference: session.to_string() }).await?;
    let QueryResult::Session { session } = answer.result else {
        return Err(unexpected());
    };
    let Some(agent) = session.agents.last() else {
        return Ok(OK);
    };
    if let Some(failure) = &agent.failure {
        return Err(not_started(failure));
    }
    match &agent.outcome {
        Some(RunOutcome::Exited { code }) => Ok(u8::try_from(*code).unwrap_or(FAILURE)),
        Some(RunOutcome::Signaled { signal }) => Ok(SIGNAL_BASE.saturating_add(u8::try_from(*signal).unwrap_or(0))),
        Some(interrupted @ RunOutcome::Interrupted { .. }) => Err(Failure::new(FAILURE, interrupted.to_string())),
        None => Ok(OK),
    }
}

/// Why a program does not run.
pub(super) fn not_started(reason: &str) -> Failure {
    Failure::new(CANNOT_RUN, format!("the program could not be started: {}", print::plain(reason)))
}

struct Attached {
    client: Client,
    terminal: TerminalId,
    interactive: bool,
    typing: bool,
    next_input: u64,
    screen: mpsc::Sender<Bytes>,
    drawn: tokio::task::JoinHandle<()>,
}

impl Attached {
    fn new(client: Client, terminal: TerminalId, look: &Look, interactive: bool) -> Self {
        let (screen, pieces) = mpsc::channel(PIECES_MAX);
        let drawn = tokio::task::spawn_blocking(move || draw(pieces));
        Self { client, terminal, interactive, typing: !look.view, next_input: 1, screen, drawn }
    }

    async fn run(mut self, items: mpsc::Receiver<AttachmentItem>) -> Result<Left, Failure> {
        let left = self.serve(items).await;
        let Self { screen, drawn, .. } = self;
        drop(screen);
        // What was received is drawn before the terminal is put back.
        drawn.await.ok();
        left
    }

    async fn serve(&mut self, mut items: mpsc::Receiver<AttachmentItem>) -> Result<Left, Failure> {
        let mut keys = keyboard(self.interactive || self.typing);
        let mut window = signal(SignalKind::window_change())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hang_up = signal(SignalKind::hangup())?;
        loop {
            tokio::select! {
                item = items.recv() => {
                    let Some(item) = item else {
                        return Ok(Left::Closed);
                    };
                    if let Some(left) = self.show(item).await? {
                        return Ok(left);
                    }
                }
                piece = keys.recv(), if !keys.is_closed() || !keys.is_empty() => {
                    if let Some(piece) = piece
                        && self.typed(piece).await?
                    {
                        return Ok(Left::Detached);
                    }
                }
                _ = window.recv() => {
                    if let Some(size) = window_size().filter(|_| self.typing && self.interactive) {
                        self.client.resize(self.terminal, size).await?;
                    }
                }
                _ = terminate.recv() => return Ok(Left::Signal(15)),
                _ = hang_up.recv() => return Ok(Left::Signal(1)),
            }
        }
    }

    async fn show(&mut self, item: AttachmentItem) -> Result<Option<Left>, Failure> {
        match item {
            AttachmentItem::Output { bytes, .. } => self.draw(bytes).await,
            AttachmentItem::Snapshot { bytes, .. } => {
                if self.interactive {
                    self.draw(Bytes::from_static(CLEAR)).await;
                }
                self.draw(bytes).await;
            }
            AttachmentItem::End(_) => return Ok(Some(Left::Closed)),
            AttachmentItem::Failed(rejection) => return Err(rejection.into()),
            AttachmentItem::Gap { from, to, .. } => tracing::info!(from, to, "bytes are not shown"),
            AttachmentItem::Cut if !self.interactive => print::talk("[the connection was cut; coming back]"),
            AttachmentItem::Cut | AttachmentItem::Written(_) => {}
        }
        Ok(None)
    }

    async fn draw(&self, bytes: Bytes) {
        self.screen.send(bytes).await.ok();
    }

    /// Passes keys on; true when the person detached.
    async fn typed(&mut self, piece: Bytes) -> Result<bool, Failure> {
        let detach = self.interactive.then(|| [DETACH, DETACH_KITTY].iter().filter_map(|key| find(&piece, key)).min());
        let keys = match detach.flatten() {
            Some(at) => piece.slice(..at),
            None => piece.clone(),
        };
        if self.typing && !keys.is_empty() {
            self.next_input += 1;
            self.client.input(self.terminal, self.next_input, keys.clone()).await?;
        }
        Ok(keys.len() < piece.len())
    }
}

fn find(piece: &[u8], key: &[u8]) -> Option<usize> {
    piece.windows(key.len()).position(|window| window == key)
}

/// Reads stdin on a thread of its own: a terminal cannot be read without blocking unless its mode is changed for everyone.
fn keyboard(wanted: bool) -> mpsc::Receiver<Bytes> {
    let (keys, pieces) = mpsc::channel(PIECES_MAX);
    if wanted {
        std::thread::spawn(move || {
            let mut buffer = vec![0; limits::INPUT_FRAME_BYTES_MAX];
            let mut stdin = std::io::stdin().lock();
            while let Ok(length @ 1..) = stdin.read(&mut buffer) {
                if keys.blocking_send(Bytes::copy_from_slice(&buffer[..length])).is_err() {
                    return;
                }
            }
        });
    }
    pieces
}

fn draw(mut pieces: mpsc::Receiver<Bytes>) {
    let mut out = std::io::stdout().lock();
    while let Some(piece) = pieces.blocking_recv() {
        if out.write_all(&piece).and_then(|()| out.flush()).is_err() {
            return;
        }
    }
}

/// This terminal's mode as it was, to be put back.
struct RawMode(Termios);

impl RawMode {
    fn enter() -> Result<Self, Failure> {
        let before = tcgetattr(std::io::stdin()).map_err(std::io::Error::from)?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(std::io::stdin(), OptionalActions::Now, &raw).map_err(std::io::Error::from)?;
        Ok(Self(before))
    }

    fn leave(self, program_ended: bool) {
        // A program that ended has put the screen back itself, as far as it meant to.
        print::bytes(if program_ended { CALM } else { LEAVE });
        drop(self);
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        tcsetattr(std::io::stdin(), OptionalActions::Now, &self.0).ok();
    }
}
