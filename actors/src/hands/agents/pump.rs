//! The pump: reads what an agent writes, from memory or from the log, understands it line by line, and tells the agent's actor.
//!
//! It is a reader at an offset like any other. One that is started anew reads from byte 0, so that its parser has seen
//! everything, and tells only what was not told before.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ropewalk_kernel::{offload, watch};
use ropewalk_protocol::{Code, NoticeKind, Rejection, RunOutcome, TerminalId, limits};
use tokio::time::Instant;

use super::{AgentLine, is_final, paths};
use crate::agent::structured::{AgentInput, Consumed, Seen};
use crate::core::Input;
use crate::hands::Hands;
use crate::lanes::{Lane, LaneRead};
use crate::providers::lines::{Line, Lines, without_return};
use crate::providers::{Observed, Parser, weight};

/// Bytes read at a time.
const READ_BYTES: usize = 64 * 1024;
/// How long a batch waits that was not taken.
const TELL_PAUSE: Duration = Duration::from_millis(250);
/// Lines that mean nothing to this build, and are told of one by one. The others are in the run's output.
const OPAQUE_TOLD_MAX: usize = 100;
/// How much of the error output is told of a process that is gone.
const LAST_WORDS_BYTES: u64 = 600;

/// Follows a run until its end is told.
pub(super) async fn run(hands: Hands, line: Arc<AgentLine>, consumed: Consumed) {
    let Some(lane) = hands.lanes().get(line.output) else {
        return tracing::error!(run = %line.run, "an agent's output is not open");
    };
    let moved = lane.moved();
    let parser = line.provider.parser();
    let (lines, waiting) = (Lines::from(0), VecDeque::new());
    let (told, opaque, next_preview) = (consumed, 0, Instant::now());
    let mut pump = Pump { hands, line, lane, moved, parser, lines, at: 0, told, waiting, opaque, next_preview };
    tokio::select! {
        () = over(pump.line.clone()) => {}
        () = pump.follow() => {}
    }
}

async fn over(line: Arc<AgentLine>) {
    line.is_over().await;
}

struct Pump {
    hands: Hands,
    line: Arc<AgentLine>,
    lane: Arc<Lane>,
    moved: watch::Receiver<u64>,
    parser: Box<dyn Parser>,
    lines: Lines,
    /// The offset of the next byte to read.
    at: u64,
    /// What was told, or was before.
    told: Consumed,
    waiting: VecDeque<Waiting>,
    /// Lines seen that mean nothing.
    opaque: usize,
    /// When a batch of nothing but previews may be told again.
    next_preview: Instant,
}

/// Something that is not told yet, and where the output is taken in to once it is.
struct Waiting {
    seen: Seen,
    then: (u64, u32),
}

/// What there was to read.
enum Read {
    Something,
    Nothing,
    End,
}

impl Pump {
    async fn follow(&mut self) {
        let mut gone = self.line.gone.subscribe();
        let mut lingers_until = None;
        loop {
            if self.is_due() {
                if !self.tell().await {
                    return;
                }
                continue;
            }
            match self.read().await {
                Ok(Read::Something) => {
                    // Others have their turn, however much there is to read.
                    tokio::task::yield_now().await;
                    continue;
                }
                Ok(Read::End) => break,
                Ok(Read::Nothing) => {}
                Err(rejection) if rejection.code == Code::ShuttingDown => return,
                Err(rejection) if is_final(&rejection) => {
                    tracing::error!(%rejection, run = %self.line.run, "an agent's output cannot be read");
                    self.pass_over(self.lane.stored_end());
                    continue;
                }
                Err(_) => {
                    tokio::time::sleep(TELL_PAUSE).await;
                    continue;
                }
            }
            // What it had written by its end may still be on its way.
            let all_is_here = gone.borrow().as_ref().is_some_and(|(_, end)| self.at >= *end);
            if all_is_here && lingers_until.is_none() {
                // A child of the agent's may keep the output open.
                lingers_until = Some(Instant::now() + Duration::from_millis(limits::AGENT_CHILD_MILLIS));
            }
            let preview = (!self.waiting.is_empty()).then_some(self.next_preview);
            let wakes = [preview, lingers_until].into_iter().flatten().min();
            tokio::select! {
                moved = self.moved.changed() => if moved.is_err() { return },
                _ = gone.changed(), if lingers_until.is_none() => {}
                () = sleep_until(wakes) => if lingers_until.is_some_and(|until| until <= Instant::now()) { break },
            }
        }
        while !self.waiting.is_empty() {
            if !self.tell().await {
                return;
            }
        }
        self.end(gone, lingers_until.is_some_and(|until| until <= Instant::now())).await;
    }

    /// Tells that the process is gone. One that lives on without its output is of no use: it is ended. `is_left_open`: a child
    /// of its keeps its outputs open.
    async fn end(&mut self, mut gone: tokio::sync::watch::Receiver<Option<(RunOutcome, u64)>>, is_left_open: bool) {
        let linger = Duration::from_millis(limits::AGENT_LINGER_MILLIS);
        if tokio::time::timeout(linger, gone.wait_for(Option::is_some)).await.is_err() {
            self.hands.stop(self.line.run);
        }
        let Ok(Some((outcome, offset))) = gone.wait_for(Option::is_some).await.map(|gone| gone.clone()) else { return };
        let written = self.line.written.load(Ordering::Relaxed);
        if written > self.told.written {
            self.told.written = written;
            let (run, to) = (self.line.run, self.told);
            self.say(AgentInput::Observed { run, seen: Vec::new(), to }).await;
        }
        let last_words = self.last_words(is_left_open).await;
        let run = self.line.run;
        self.say(AgentInput::Gone { run, outcome, offset, last_words }).await;
    }

    /// The last line of the error output, which is where programs say what was wrong.
    async fn last_words(&self, is_left_open: bool) -> String {
        let end = match self.hands.lanes().get(self.line.errors) {
            Some(lane) => {
                // They come by a way of their own, and may be behind.
                let wait = if is_left_open { 0 } else { limits::AGENT_CHILD_MILLIS };
                tokio::time::timeout(Duration::from_millis(wait), complete(&lane)).await.ok();
                lane.end()
            }
            None => {
                let (journal, errors) = (self.hands.journal().clone(), self.line.errors);
                let stored = offload::blocking(move || journal.output_end(errors)).await;
                stored.ok().and_then(Result::ok).unwrap_or(0)
            }
        };
        let from = end.saturating_sub(LAST_WORDS_BYTES);
        let words = read_range(&self.hands, self.line.errors, from, end - from).await;
        let words = words.ok().flatten().unwrap_or_default();
        let text = String::from_utf8_lossy(&words);
        let line = text.lines().rev().map(str::trim).find(|line| !line.is_empty());
        line.unwrap_or_default().chars().filter(|c| !c.is_control()).collect()
    }

    /// Whether what waits is to be told now: previews alone wait a little, so that more of them come together.
    fn is_due(&self) -> bool {
        let is_preview = |waiting: &Waiting| matches!(waiting.seen.observed, Observed::Delta { .. });
        !self.waiting.is_empty()
            && (Instant::now() >= self.next_preview
                || self.waiting.len() >= limits::OBSERVED_ITEMS_MAX
                || !self.waiting.iter().all(is_preview))
    }

    async fn read(&mut self) -> Result<Read, Rejection> {
        match self.lane.read(self.at, READ_BYTES) {
            LaneRead::Bytes(bytes) => self.feed(&bytes).await,
            LaneRead::Stored => {
                let stored_end = self.lane.stored_end();
                let (at, bytes) = stored(&self.hands, self.line.output, self.at, READ_BYTES).await?;
                if bytes.is_empty() {
                    // What follows is damaged, up to what memory has.
                    self.pass_over(stored_end);
                    return Ok(Read::Something);
                }
                if at > self.at {
                    self.pass_over(at);
                }
                self.feed(&bytes).await;
            }
            LaneRead::Lost(to) => self.pass_over(to),
            LaneRead::Wait => return Ok(Read::Nothing),
            LaneRead::End => return Ok(Read::End),
        }
        Ok(Read::Something)
    }

    /// Bytes up to here cannot be read: lines go on behind them.
    fn pass_over(&mut self, to: u64) {
        tracing::error!(run = %self.line.run, from = self.at, to, "a part of an agent's output cannot be read");
        (self.at, self.lines) = (to, Lines::from(to));
    }

    /// A line that was too long to be gathered, as a whole. The disk may fail for a while.
    async fn long_line(&self, offset: u64, length: u64) -> Option<Vec<u8>> {
        loop {
            match read_range(&self.hands, self.line.output, offset, length).await {
                Ok(line) => return line,
                Err(rejection) if is_final(&rejection) => return None,
                Err(_) => tokio::time::sleep(TELL_PAUSE).await,
            }
        }
    }

    async fn feed(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        loop {
            let mut seen = Vec::new();
            let (offset, next) = match self.lines.next(&mut rest) {
                None => break,
                Some(Line::Whole { offset, next, bytes }) => {
                    self.parser.line(bytes, &mut seen);
                    (offset, next)
                }
                Some(Line::TooLong { offset, next }) => {
                    self.parser.too_long(next - offset - 1, &mut seen);
                    (offset, next)
                }
                Some(Line::Long { offset, next }) => {
                    match self.long_line(offset, next - offset - 1).await {
                        Some(line) => self.parser.line(without_return(&line), &mut seen),
                        None => tracing::error!(run = %self.line.run, offset, "a long line cannot be read again"),
                    }
                    (offset, next)
                }
            };
            self.wait(offset, next, seen);
        }
        self.at += bytes.len() as u64;
    }

    /// Keeps what was seen in a line, but for what was told before.
    fn wait(&mut self, offset: u64, next: u64, mut seen: Vec<Observed>) {
        // What is left out depends on the output alone, so that it is the same for whoever reads it again.
        seen.retain_mut(|observed| self.is_told(observed));
        let last = seen.len();
        for (part, observed) in (1..).zip(seen) {
            if (offset, part) <= (self.told.offset, self.told.part) {
                continue;
            }
            let then = if part as usize == last { (next, 0) } else { (offset, part) };
            self.waiting.push_back(Waiting { seen: Seen { observed, offset, length: next - offset - 1 }, then });
        }
    }

    fn is_told(&mut self, observed: &mut Observed) -> bool {
        let Observed::Noticed { kind: kind @ NoticeKind::Opaque, text, .. } = observed else { return true };
        self.opaque += 1;
        if self.opaque == OPAQUE_TOLD_MAX {
            *kind = NoticeKind::Warning;
            *text = "more that this build does not know is in the run's output, and is not told of".to_owned();
        }
        self.opaque <= OPAQUE_TOLD_MAX
    }

    /// Tells as much as one batch may hold. False: nobody listens any more.
    async fn tell(&mut self) -> bool {
        let mut bytes = 0;
        let mut count = 0;
        for waiting in self.waiting.iter().take(limits::OBSERVED_ITEMS_MAX) {
            bytes += weight(&waiting.seen.observed);
            if count > 0 && bytes > limits::OBSERVED_BYTES_MAX {
                break;
            }
            count += 1;
        }
        let batch: Vec<Waiting> = self.waiting.drain(..count).collect();
        let Some(last) = batch.last() else { return true };
        let (offset, part) = last.then;
        let to = Consumed { offset, part, written: self.line.written.load(Ordering::Relaxed) };
        let mut seen: Vec<Seen> = batch.into_iter().map(|waiting| waiting.seen).collect();
        paths::follow(&self.line.directory, &mut seen).await;
        let run = self.line.run;
        let is_taken = self.say(AgentInput::Observed { run, seen, to }).await;
        self.told = to;
        self.next_preview = Instant::now() + Duration::from_millis(limits::DELTA_MILLIS);
        is_taken
    }

    /// Says it until it is taken. False: the daemon stops.
    async fn say(&self, input: AgentInput) -> bool {
        let directory = self.hands.directory();
        loop {
            let answer = directory.ask(self.line.stream(), Input::Agent(input.clone()), None, directory.now()).await;
            match answer {
                Ok(_) => return true,
                Err(rejection) if rejection.code == Code::ShuttingDown && directory.is_closed() => return false,
                Err(rejection) if rejection.retryable() => tokio::time::sleep(TELL_PAUSE).await,
                Err(rejection) => {
                    tracing::error!(%rejection, run = %self.line.run, "what an agent said was refused");
                    return true;
                }
            }
        }
    }
}

/// So many bytes of a stream from this offset on; `None` when they cannot all be read.
pub(super) async fn read_range(
    hands: &Hands,
    stream: TerminalId,
    offset: u64,
    length: u64,
) -> Result<Option<Vec<u8>>, Rejection> {
    let length = usize::try_from(length).unwrap_or(usize::MAX).min(limits::AGENT_LINE_BYTES_MAX);
    let mut found: Vec<u8> = Vec::new();
    while found.len() < length {
        let at = offset + found.len() as u64;
        let left = (length - found.len()).min(READ_BYTES);
        let lane = hands.lanes().get(stream).map(|lane| lane.read(at, left));
        match lane {
            Some(LaneRead::Bytes(bytes)) if !bytes.is_empty() => found.extend_from_slice(&bytes),
            Some(LaneRead::Wait) => return Err(Rejection::new(Code::Busy, "it is on its way")),
            _ => {
                let (from, bytes) = stored(hands, stream, at, left).await?;
                if bytes.is_empty() || from != at {
                    return Ok(None);
                }
                found.extend_from_slice(&bytes);
            }
        }
    }
    found.truncate(length);
    Ok(Some(found))
}

async fn stored(hands: &Hands, stream: TerminalId, at: u64, bytes_max: usize) -> Result<(u64, Vec<u8>), Rejection> {
    let journal = hands.journal().clone();
    let page = offload::blocking(move || journal.output(stream, at, bytes_max)).await;
    let page = page.map_err(|error| Rejection::new(Code::Internal, error.to_string()))??;
    Ok((page.offset, page.bytes))
}

/// Waits until a stream is here as a whole.
async fn complete(lane: &Lane) {
    let mut moved = lane.moved();
    while !matches!(lane.read(lane.end(), 1), LaneRead::End) {
        if moved.changed().await.is_err() {
            return;
        }
    }
}

async fn sleep_until(until: Option<Instant>) {
    match until {
        Some(until) => tokio::time::sleep_until(until).await,
        None => std::future::pending().await,
    }
}
