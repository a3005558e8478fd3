//! `ropewalk attach`: bytes pass untouched, both ways. Ctrl-\ detaches; the program goes on.

mod raw_mode;

use std::io::{IsTerminal, Read, Write};
use std::pin::Pin;

use bytes::Bytes;
use ropewalk_protocol::{
    AttachParams, Query, QueryResult, Rejection, RunFailed, RunOutcome, SessionId, Size, TerminalId, limits,
};
use ropewalk_transport::client::{AttachmentItem, Client};
use ropewalk_tui::shell::{Signals, Told};
use rustix::termios::tcgetwinsize;
use tokio::sync::mpsc;

use self::raw_mode::RawMode;
use super::{Context, find_terminal, unexpected};
use crate::exit::{CANNOT_RUN, FAILURE, Failure, OK, SIGNAL_BASE, TRY_LATER};
use crate::print;

/// Ctrl-\ as a byte, and as the kitty keyboard protocol spells it.
const DETACH: &[u8] = b"\x1c";
const DETACH_KITTY: &[u8] = b"\x1b[92;5u";
/// A terminal as new, cleared, before a snapshot is drawn on it.
const CLEAR: &[u8] = b"\x1b[!p\x1b[?1049l\x1b[0m\x1b[H\x1b[2J";
/// What is said while the daemon is away.
const AWAY: &str = "[ropewalk: the daemon is away; reconnecting]";
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
        // One who only looks has no say in the size, but is shown what fits.
        size: window_size().filter(|_| interactive),
        view_only: look.view,
        scrollback: look.scrollback,
    };
    let (_, items) = client.attach(params).await?;
    let raw = interactive.then(RawMode::enter).transpose()?;
    match Attached::new(client.clone(), terminal, &look, raw).run(items).await? {
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
    let message = format!("the program could not be started: {}", print::plain(reason));
    if reason.starts_with(RunFailed::SHORTAGE) {
        return Failure::new(TRY_LATER, message).hint(
            "Try again when other sessions have ended, or start daemon and holder anew with a higher `ulimit -n`.",
        );
    }
    Failure::new(CANNOT_RUN, message)
}

/// A fresh attachment on its way: the screen as it is, then what follows.
type Redrawing = Pin<Box<dyn Future<Output = Result<mpsc::Receiver<AttachmentItem>, Rejection>>>>;

struct Attached {
    client: Client,
    terminal: TerminalId,
    raw: Option<RawMode>,
    typing: bool,
    next_input: u64,
    in_snapshot: bool,
    redrawing: Option<Redrawing>,
    screen: mpsc::Sender<Bytes>,
    drawn: tokio::task::JoinHandle<()>,
}

impl Attached {
    fn new(client: Client, terminal: TerminalId, look: &Look, raw: Option<RawMode>) -> Self {
        let (screen, pieces) = mpsc::channel(PIECES_MAX);
        let drawn = tokio::task::spawn_blocking(move || draw(pieces));
        let typing = !look.view;
        Self { client, terminal, raw, typing, next_input: 1, in_snapshot: false, redrawing: None, screen, drawn }
    }

    async fn run(mut self, items: mpsc::Receiver<AttachmentItem>) -> Result<Left, Failure> {
        let left = self.serve(items).await;
        let Self { screen, drawn, raw, .. } = self;
        drop(screen);
        // What was received is drawn before the terminal is put back.
        drawn.await.ok();
        if let Some(raw) = raw {
            raw.leave(matches!(left, Ok(Left::Closed)));
        }
        left
    }

    async fn serve(&mut self, mut items: mpsc::Receiver<AttachmentItem>) -> Result<Left, Failure> {
        let mut keys = keyboard(self.raw.is_some() || self.typing);
        let mut signals = Signals::listen()?;
        let mut welcomes = self.client.welcomes();
        welcomes.mark_unchanged();
        let mut replaced = false;
        loop {
            tokio::select! {
                item = items.recv(), if !replaced => match item {
                    // What comes before a fresh screen is on it. It is taken all the same, so that nobody waits for room.
                    Some(_) if self.redrawing.is_some() => {}
                    None if self.redrawing.is_some() => replaced = true,
                    Some(item) => if let Some(left) = self.show(item).await? {
                        return Ok(left);
                    },
                    None => return Ok(Left::Closed),
                },
                fresh = answered(&mut self.redrawing) => {
                    items = fresh?;
                    (self.redrawing, replaced) = (None, false);
                }
                piece = keys.recv(), if !keys.is_closed() || !keys.is_empty() => {
                    if let Some(piece) = piece
                        && self.typed(piece).await?
                    {
                        return Ok(Left::Detached);
                    }
                }
                Ok(()) = welcomes.changed() => self.redraw(),
                told = signals.next() => if let Some(left) = self.told(told).await? {
                    return Ok(left);
                },
            }
        }
    }

    async fn told(&mut self, told: Told) -> Result<Option<Left>, Failure> {
        match told {
            Told::Resized => {
                if let Some(size) = self.window().filter(|_| self.typing) {
                    self.client.resize(self.terminal, size).await?;
                }
            }
            Told::Stop => {
                if let Some(raw) = &self.raw {
                    raw.pause();
                }
                rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::STOP)
                    .map_err(std::io::Error::from)?;
            }
            Told::GoOn => {
                if let Some(raw) = &self.raw {
                    raw.again()?;
                }
                self.redraw();
            }
            Told::End(signal) => return Ok(Some(Left::Signal(signal))),
        }
        Ok(None)
    }

    /// The window, if this is one.
    fn window(&self) -> Option<Size> {
        window_size().filter(|_| self.raw.is_some())
    }

    /// Asks for the screen as it is: what this terminal shows is not that any more.
    fn redraw(&mut self) {
        if self.raw.is_none() {
            return;
        }
        let (size, view_only) = (self.window(), !self.typing);
        let params = AttachParams { terminal: self.terminal, after: None, size, view_only, scrollback: 0 };
        let client = self.client.clone();
        self.redrawing = Some(Box::pin(async move { Ok(client.attach(params).await?.1) }));
    }

    async fn show(&mut self, item: AttachmentItem) -> Result<Option<Left>, Failure> {
        match item {
            AttachmentItem::Output { bytes, .. } => self.draw(bytes).await,
            AttachmentItem::Snapshot { bytes, last, .. } => {
                if self.raw.is_some() && !std::mem::replace(&mut self.in_snapshot, !last) {
                    self.draw(Bytes::from_static(CLEAR)).await;
                }
                self.draw(bytes).await;
            }
            AttachmentItem::End(_) => return Ok(Some(Left::Closed)),
            AttachmentItem::Failed(rejection) => return Err(rejection.into()),
            AttachmentItem::Gap { from, to, .. } => tracing::info!(from, to, "bytes are not shown"),
            AttachmentItem::Cut => match self.window() {
                Some(size) => self.draw(away_line(size)).await,
                None => print::talk("[the connection was cut; coming back]"),
            },
            AttachmentItem::Written(_) => {}
        }
        Ok(None)
    }

    async fn draw(&self, bytes: Bytes) {
        self.screen.send(bytes).await.ok();
    }

    /// Passes keys on; true when the person detached.
    async fn typed(&mut self, piece: Bytes) -> Result<bool, Failure> {
        let detach = self.raw.as_ref().map(|_| [DETACH, DETACH_KITTY].iter().filter_map(|key| find(&piece, key)).min());
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

async fn answered(redrawing: &mut Option<Redrawing>) -> Result<mpsc::Receiver<AttachmentItem>, Rejection> {
    match redrawing {
        Some(fresh) => fresh.await,
        None => std::future::pending().await,
    }
}

/// A line over the last row, until the screen is drawn anew. It begins by ending whatever sequence the cut left open.
fn away_line(Size { cols, rows }: Size) -> Bytes {
    let text: String = AWAY.chars().take(usize::from(cols)).collect();
    format!("\x18\x1b7\x1b[{rows};1H\x1b[0;7m{text}\x1b[0m\x1b[K\x1b8").into()
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
            loop {
                match stdin.read(&mut buffer) {
                    Ok(length @ 1..) => {
                        if keys.blocking_send(Bytes::copy_from_slice(&buffer[..length])).is_err() {
                            return;
                        }
                    }
                    // Being stopped and continued interrupts a read.
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                    Ok(_) | Err(_) => return,
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
