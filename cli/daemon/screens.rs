//! The screens: a model of every open terminal, on a thread of its own, fed from byte 0.
//!
//! A screen that is not in memory is drawn anew from its checkpoint and the log; nothing here matters once it is gone.

use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use ropewalk_actors::OutputSink;
use ropewalk_kernel::log::Journal;
use ropewalk_kernel::offload::{self, Worker};
use ropewalk_projections::Projections;
use ropewalk_projections::screen::Screen;
use ropewalk_protocol::{Code, Rejection, Size, TerminalId, limits};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Notify, mpsc, oneshot};

use super::checkpoints::Checkpoints;

#[cfg(test)]
mod tests;

/// Messages that wait; bytes are bounded besides.
const MESSAGES_MAX: usize = 8192;
/// Messages kept free for questions.
const MESSAGES_SPARE: usize = 512;
/// Bytes drawn before a screen's checkpoint is worth a write.
const CHECKPOINT_EVERY_BYTES: u64 = 8 * 1024 * 1024;
/// Closed terminals whose screens stay in memory for the next question.
const CLOSED_SCREENS_MAX: usize = 4;
/// Bytes read from the log at a time.
const READ_BYTES: usize = 1024 * 1024;

/// Is given a terminal's screen, or why there is none.
type Answer = Box<dyn FnOnce(Result<&Screen, Rejection>) + Send>;

enum Message {
    Output(TerminalId, u64, Bytes),
    Resized(TerminalId, u64, Size),
    Closed(TerminalId),
    Ask(TerminalId, Answer),
    Keep(oneshot::Sender<()>),
}

/// The line to the screens' thread. Clones share it.
#[derive(Clone)]
pub(super) struct Screens {
    messages: mpsc::Sender<Message>,
    queued: Arc<Queued>,
}

#[derive(Default)]
struct Queued {
    bytes: AtomicUsize,
    freed: Notify,
    /// Whether it was said that nobody takes messages.
    gone: AtomicBool,
}

impl Screens {
    pub(super) fn start(
        journal: Journal,
        projections: Arc<RwLock<Projections>>,
        checkpoints: Checkpoints,
    ) -> std::io::Result<Self> {
        let (messages, queue) = mpsc::channel(MESSAGES_MAX);
        let queued = Arc::new(Queued::default());
        let painter = Painter {
            journal,
            projections,
            checkpoints,
            queued: queued.clone(),
            open: BTreeMap::new(),
            closed: Vec::new(),
        };
        drop(Worker::start("screens", (painter, queue), Painter::run, Painter::step)?);
        Ok(Self { messages, queued })
    }

    /// Asks about a terminal's screen as it is after everything shown before.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        terminal: TerminalId,
        question: impl FnOnce(&Screen) -> T + Send + 'static,
    ) -> Result<T, Rejection> {
        let (reply, answer) = oneshot::channel();
        let ask = Box::new(move |screen: Result<&Screen, Rejection>| drop(reply.send(screen.map(question))));
        let closed = || Rejection::new(Code::ShuttingDown, "the daemon stops");
        self.messages.send(Message::Ask(terminal, ask)).await.map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }

    /// Keeps a checkpoint of every open screen.
    pub(super) async fn keep(&self) {
        let (reply, kept) = oneshot::channel();
        if self.messages.send(Message::Keep(reply)).await.is_ok() {
            kept.await.ok();
        }
    }

    fn send(&self, message: Message) {
        let refused = match self.messages.try_send(message) {
            Ok(()) => return,
            Err(TrySendError::Full(refused)) => {
                // The reader of the holder's line waits for room, so this is a defect; the screen is drawn anew when asked for.
                tracing::error!("the screens' queue is full");
                refused
            }
            Err(TrySendError::Closed(refused)) => {
                if !self.queued.gone.swap(true, Ordering::Relaxed) {
                    tracing::error!("the screens' thread has ended: terminals go on without screens until a restart");
                }
                refused
            }
        };
        if let Message::Output(_, _, bytes) = refused {
            self.queued.bytes.fetch_sub(bytes.len(), Ordering::Relaxed);
        }
    }
}

impl OutputSink for Screens {
    fn output(&self, terminal: TerminalId, offset: u64, bytes: Bytes) {
        self.queued.bytes.fetch_add(bytes.len(), Ordering::Relaxed);
        self.send(Message::Output(terminal, offset, bytes));
    }

    fn resized(&self, terminal: TerminalId, offset: u64, size: Size) {
        self.send(Message::Resized(terminal, offset, size));
    }

    fn closed(&self, terminal: TerminalId) {
        self.send(Message::Closed(terminal));
    }

    fn has_room(&self) -> bool {
        // Where nobody takes anything nothing fills up: terminals do not stand still because their screens do.
        let is_full = self.queued.bytes.load(Ordering::Relaxed) >= limits::SCREEN_QUEUE_BYTES_MAX
            || self.messages.capacity() <= MESSAGES_SPARE;
        !is_full || self.messages.is_closed()
    }

    fn room(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async move {
            loop {
                let freed = self.queued.freed.notified();
                if self.has_room() {
                    return;
                }
                tokio::select! {
                    () = freed => {}
                    () = self.messages.closed() => {}
                }
            }
        })
    }
}

struct Painter {
    journal: Journal,
    projections: Arc<RwLock<Projections>>,
    checkpoints: Checkpoints,
    queued: Arc<Queued>,
    open: BTreeMap<TerminalId, Open>,
    /// The one asked for last at the end.
    closed: Vec<(TerminalId, Screen)>,
}

struct Open {
    screen: Screen,
    kept_at: u64,
    /// Sizes that the log has from a later byte on: a daemon before this one recorded them, and did not store the bytes.
    ahead: VecDeque<(u64, Size)>,
}

impl Open {
    fn feed(&mut self, mut bytes: &[u8]) {
        loop {
            let at = self.screen.offset();
            while let Some((_, size)) = self.ahead.pop_front_if(|(offset, _)| *offset <= at) {
                self.screen.resize(size);
            }
            if bytes.is_empty() {
                return;
            }
            let until = self.ahead.front().map_or(u64::MAX, |(offset, _)| offset - at);
            let (now, later) = bytes.split_at(usize::try_from(until).unwrap_or(usize::MAX).min(bytes.len()));
            self.screen.feed(now);
            bytes = later;
        }
    }
}

impl Painter {
    fn run((mut painter, mut queue): (Self, mpsc::Receiver<Message>)) {
        while let Some(message) = queue.blocking_recv() {
            painter.take(message);
        }
    }

    async fn step((mut painter, mut queue): (Self, mpsc::Receiver<Message>)) {
        while let Some(message) = queue.recv().await {
            offload::pause().await;
            painter.take(message);
        }
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Output(terminal, offset, bytes) => {
                self.output(terminal, offset, &bytes);
                self.queued.bytes.fetch_sub(bytes.len(), Ordering::Relaxed);
            }
            Message::Resized(terminal, offset, size) => self.resized(terminal, offset, size),
            Message::Closed(terminal) => {
                if let Some(Open { screen, .. }) = self.open.remove(&terminal) {
                    self.checkpoints.keep_screen(terminal, &screen);
                    self.remember(terminal, screen);
                }
            }
            Message::Ask(terminal, answer) => answer(self.find(terminal)),
            Message::Keep(reply) => {
                for (terminal, open) in &mut self.open {
                    self.checkpoints.keep_screen(*terminal, &open.screen);
                    open.kept_at = open.screen.offset();
                }
                let _ = reply.send(());
            }
        }
        self.queued.freed.notify_one();
    }

    /// After a start a size may be told of before the bytes that it comes after.
    fn resized(&mut self, terminal: TerminalId, offset: u64, size: Size) {
        if !self.open.contains_key(&terminal) {
            let stored = self.journal.output_end(terminal).unwrap_or(offset);
            self.open_at(terminal, stored.min(offset));
        }
        match self.open.get_mut(&terminal) {
            Some(open) if open.screen.offset() < offset => open.ahead.push_back((offset, size)),
            Some(open) => open.screen.resize(size),
            None => {}
        }
    }

    fn output(&mut self, terminal: TerminalId, offset: u64, bytes: &[u8]) {
        let Some(open) = self.open_at(terminal, offset) else {
            return;
        };
        open.feed(bytes);
        if open.screen.offset() - open.kept_at >= CHECKPOINT_EVERY_BYTES {
            open.kept_at = open.screen.offset();
            self.checkpoints.keep_screen(terminal, &self.open[&terminal].screen);
        }
    }

    /// The screen of an open terminal as it was at this offset, drawn anew if need be.
    fn open_at(&mut self, terminal: TerminalId, offset: u64) -> Option<&mut Open> {
        let here = self.open.get(&terminal).is_some_and(|open| open.screen.offset() == offset);
        if !here {
            let (screen, ahead) = self
                .draw(terminal, offset)
                .inspect_err(|error| tracing::error!(%terminal, %error, "no screen"))
                .ok()?;
            self.open.insert(terminal, Open { kept_at: screen.offset(), screen, ahead });
        }
        self.open.get_mut(&terminal)
    }

    fn find(&mut self, terminal: TerminalId) -> Result<&Screen, Rejection> {
        if self.open.contains_key(&terminal) {
            return Ok(&self.open[&terminal].screen);
        }
        if let Some(at) = self.closed.iter().position(|(of, _)| *of == terminal) {
            let entry = self.closed.remove(at);
            self.closed.push(entry);
        } else {
            let end = self.journal.output_end(terminal)?;
            let (screen, _) = self.draw(terminal, end)?;
            self.remember(terminal, screen);
        }
        self.closed
            .last()
            .map(|(_, screen)| screen)
            .ok_or_else(|| Rejection::not_found(format_args!("terminal {terminal}")))
    }

    fn remember(&mut self, terminal: TerminalId, screen: Screen) {
        // A terminal that was asked about before it printed anything has an older one here.
        self.closed.retain(|(of, _)| *of != terminal);
        if self.closed.len() >= CLOSED_SCREENS_MAX {
            self.closed.remove(0);
        }
        self.closed.push((terminal, screen));
    }

    /// Draws a screen from its checkpoint, or from byte 0, up to this offset; and the sizes that the log has after it.
    fn draw(&self, terminal: TerminalId, to: u64) -> Result<(Screen, VecDeque<(u64, Size)>), Rejection> {
        let (first_size, resizes) = {
            let projections = self.projections.read().unwrap_or_else(PoisonError::into_inner);
            let facts = projections.terminals().get(terminal);
            let facts = facts.ok_or_else(|| Rejection::not_found(format_args!("terminal {terminal}")))?;
            if facts.pipe {
                let message = format!("{terminal} is what an agent writes: it has bytes and no screen");
                return Err(Rejection::invalid(message).hint("Attach to it from an offset on, such as 0."));
            }
            (facts.first_size, facts.resizes.clone())
        };
        let kept = self.checkpoints.screen(terminal).filter(|screen| screen.offset() <= to);
        let mut screen = kept.unwrap_or_else(|| Screen::new(first_size));
        let start = screen.offset();
        // A checkpoint at a resize's own offset may or may not have it: only the last of them counts there.
        if let Some((_, size)) = resizes.iter().rfind(|(offset, _)| *offset == start) {
            screen.resize(*size);
        }
        let mut resizes = resizes.into_iter().filter(|(offset, _)| *offset > start).peekable();
        loop {
            let at = screen.offset();
            while let Some((_, size)) = resizes.next_if(|(offset, _)| *offset <= at) {
                screen.resize(size);
            }
            if at >= to {
                return Ok((screen, resizes.collect()));
            }
            let until = resizes.peek().map_or(to, |(offset, _)| (*offset).min(to));
            let want = usize::try_from(until - at).unwrap_or(READ_BYTES).min(READ_BYTES);
            let page = self.journal.output(terminal, at, want)?;
            if page.bytes.is_empty() || page.offset != at {
                let next = if page.bytes.is_empty() { until } else { page.offset.min(until) };
                tracing::error!(%terminal, from = at, to = next, "bytes cannot be read; the screen begins anew behind them");
                screen.skip_to(next);
                continue;
            }
            screen.feed(&page.bytes);
        }
    }
}
