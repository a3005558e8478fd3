//! One byte stream: what a program writes, as far as it is not durable, and what it has not read yet.

use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use ropewalk_protocol::{TerminalId, limits};
use rustix::event::epoll::EventFlags;
use rustix::io::Errno;

use crate::buffer::Buffer;
use crate::input::{InputQueue, Name};
use crate::poller::{Poller, Port};
use crate::pressure::Pressure;
use crate::spool::SpoolFile;

/// A read that brought less than this emptied the terminal: another one would most likely find nothing.
const SHORT_READ_BYTES: usize = 1024;

/// How long a spool that failed is left alone.
const SPOOL_RETRY: Duration = Duration::from_secs(1);

/// What the daemon has of a stream.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Follower {
    pub(crate) sent: u64,
    pub(crate) durable: u64,
    pub(crate) end_sent: bool,
}

/// A stream.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) id: TerminalId,
    pub(crate) buffer: Buffer<SpoolFile>,
    pub(crate) queue: InputQueue,
    pub(crate) follower: Option<Follower>,
    pressure: Pressure,
    /// When a spool that failed is tried again.
    retry_at: Option<Instant>,
    /// The spool did not give back what it keeps, and is left alone until it is tried again.
    is_unreadable: bool,
    /// Since when it has not.
    unreadable_since: Option<Instant>,
    /// No byte will come any more.
    pub(crate) ended: bool,
    /// The program's process ended; others may still write.
    pub(crate) leaderless: bool,
    /// Nobody has the terminal open, though the program still runs and may open it again.
    hung: bool,
    is_terminal: bool,
    output: Option<Port>,
    /// The program's stdin, if it has pipes.
    input: Option<Port>,
}

impl Stream {
    pub(crate) fn terminal(id: TerminalId, buffer: Buffer<SpoolFile>, master: Port) -> Self {
        Self::new(id, buffer, master, None, true)
    }

    pub(crate) fn pipe(id: TerminalId, buffer: Buffer<SpoolFile>, output: Port, input: Option<Port>) -> Self {
        Self::new(id, buffer, output, input, false)
    }

    fn new(id: TerminalId, buffer: Buffer<SpoolFile>, output: Port, input: Option<Port>, is_terminal: bool) -> Self {
        let (queue, output) = (InputQueue::default(), Some(output));
        let (ended, leaderless, hung, follower) = (false, false, false, None);
        let (pressure, retry_at, is_unreadable, unreadable_since) = (Pressure::default(), None, false, None);
        Self {
            id,
            buffer,
            queue,
            follower,
            pressure,
            retry_at,
            is_unreadable,
            unreadable_since,
            ended,
            leaderless,
            hung,
            is_terminal,
            output,
            input,
        }
    }

    /// A daemon has everything before this offset and wants the rest.
    pub(crate) fn follow(&mut self, from: u64) {
        self.buffer.forget(from);
        // While nobody followed nothing was tried.
        self.unreadable_since = None;
        self.follower = Some(Follower { sent: from, durable: from, end_sent: false });
        self.pressure.followed(self.buffer.kept());
    }

    /// The daemon is gone.
    pub(crate) fn unfollow(&mut self) {
        self.follower = None;
        self.pressure.left();
    }

    /// Everything before this offset is durable. Returns whether that was news.
    pub(crate) fn durable(&mut self, offset: u64) -> bool {
        let before = self.buffer.start();
        self.buffer.forget(offset);
        let freed = self.buffer.start() - before;
        if let Some(follower) = &mut self.follower {
            follower.durable = follower.durable.max(offset.min(self.buffer.end()));
            self.pressure.eased(freed, self.buffer.kept());
        }
        freed > 0
    }

    /// Looks at the time: lets the program go on if it has waited long enough, and tries a spool again that failed.
    /// Returns when to look again. `heard` is when the daemon last said that bytes are durable.
    pub(crate) fn look(&mut self, now: Instant, heard: Instant, patience: Duration) -> Option<Instant> {
        if self.retry_at.is_some_and(|at| at <= now) {
            self.retry_at = None;
            self.is_unreadable = false;
            self.buffer.retry();
        }
        if self.is_unreadable || self.buffer.is_refused() {
            self.retry_at.get_or_insert(now + SPOOL_RETRY);
        }
        let goes_on_at = if self.ended || self.buffer.room() == 0 {
            None
        } else {
            self.pressure.look(self.buffer.kept(), now, heard, patience)
        };
        self.retry_at.into_iter().chain(goes_on_at).min()
    }

    /// Whether what is to be sent waits for another try to read it.
    pub(crate) fn is_unreadable(&self) -> bool {
        self.is_unreadable
    }

    /// What the spool keeps was read, or need not be.
    pub(crate) fn readable(&mut self) {
        self.unreadable_since = None;
    }

    /// What the spool keeps cannot be read, for this reason. Returns whether it is to be given up: at once if it is not what
    /// was written, which was read twice then; after `patience` if the disk does not read. Without patience it is tried again
    /// for as long as it takes. Once a disk has used that up, what comes next is given up at once, until something is read.
    pub(crate) fn unreadable(&mut self, error: &io::Error, now: Instant, patience: Option<Duration>) -> bool {
        let since = *self.unreadable_since.get_or_insert(now);
        let is_damaged = error.kind() == io::ErrorKind::InvalidData;
        let is_given_up = patience.is_some_and(|patience| is_damaged || now >= since + patience);
        self.is_unreadable = !is_given_up;
        is_given_up
    }

    /// Reads what the program wrote, at most `scratch` and what it may write now, and keeps it. Returns how much.
    pub(crate) fn read(&mut self, scratch: &mut [u8]) -> usize {
        let Some(output) = &self.output else { return 0 };
        let allowance = usize::try_from(self.pressure.allowance(self.buffer.kept())).unwrap_or(usize::MAX);
        let max = scratch.len().min(self.buffer.room()).min(allowance);
        let (mut count, mut is_closed) = (0, false);
        while count < max {
            match rustix::io::read(output.as_fd(), &mut scratch[count..max]) {
                Ok(0) => is_closed = true,
                Ok(length) => {
                    (self.hung, count) = (false, count + length);
                    if length >= SHORT_READ_BYTES {
                        continue;
                    }
                }
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => self.hung = false,
                // A terminal that nobody has open any more.
                Err(Errno::IO) => is_closed = true,
                Err(error) => {
                    tracing::warn!(%error, stream = %self.id, "cannot read the stream; it ends here");
                    is_closed = true;
                }
            }
            break;
        }
        self.buffer.append(&scratch[..count]);
        if is_closed {
            self.hung = self.is_terminal && !self.leaderless;
            self.ended = !self.hung;
        }
        count
    }

    /// Whether the program, or a terminal for it, may still take input.
    pub(crate) fn takes_input(&self) -> bool {
        if self.is_terminal { !self.ended && self.output.is_some() } else { self.input.is_some() }
    }

    /// Writes what waits until the program takes no more. Calls `done` for each input that is whole. The error says that
    /// nobody will take the rest.
    pub(crate) fn write(&mut self, mut done: impl FnMut(Name)) -> io::Result<()> {
        let port = if self.is_terminal { &self.output } else { &self.input };
        let Some(port) = port else { return Err(io::ErrorKind::BrokenPipe.into()) };
        while let Some(bytes) = self.queue.next() {
            let count = match bytes {
                [] => 0,
                bytes => match rustix::io::write(port.as_fd(), bytes) {
                    Ok(count) => count,
                    Err(Errno::INTR) => continue,
                    Err(Errno::AGAIN) => return Ok(()),
                    Err(error) => return Err(error.into()),
                },
            };
            let is_stuck = count == 0 && !bytes.is_empty();
            self.queue.wrote(count).into_iter().for_each(&mut done);
            if is_stuck {
                return Ok(());
            }
        }
        Ok(())
    }

    /// How many bytes may be sent to the daemon now, and from where. A hole before the first kept byte is skipped.
    pub(crate) fn sendable(&mut self) -> Option<(u64, usize)> {
        let follower = self.follower.as_mut().filter(|_| !self.is_unreadable)?;
        follower.sent = follower.sent.max(self.buffer.start());
        follower.durable = follower.durable.max(self.buffer.start());
        let window_end = follower.durable.saturating_add(limits::HOLDER_WINDOW_BYTES_MAX as u64);
        let until = self.buffer.end().min(window_end);
        let length = usize::try_from(until.saturating_sub(follower.sent)).unwrap_or(usize::MAX);
        (length > 0).then_some((follower.sent, length))
    }

    /// Whether the daemon has every byte and was not told yet that there are no more.
    pub(crate) fn owes_end(&self) -> bool {
        let everything_sent = |follower: &Follower| !follower.end_sent && follower.sent >= self.buffer.end();
        self.ended && self.follower.as_ref().is_some_and(everything_sent)
    }

    /// The terminal, to change its size.
    pub(crate) fn master(&self) -> Option<&Port> {
        self.output.as_ref().filter(|_| self.is_terminal)
    }

    /// Tells the poller what is wanted now; closes what nothing will come from.
    pub(crate) fn watch(&mut self, poller: &Poller) -> io::Result<()> {
        let read = if self.wants_to_read() { EventFlags::IN } else { EventFlags::empty() };
        // A hung terminal reports its hang-up all the time; edge-triggered, only what is new.
        let edge = if self.hung { EventFlags::ET } else { EventFlags::empty() };
        let write = if self.queue.is_empty() { EventFlags::empty() } else { EventFlags::OUT };
        if self.ended {
            self.close_output(poller);
        } else if let Some(output) = &mut self.output {
            let wanted = if self.is_terminal { read | write } else { read };
            output.want(poller, if wanted.is_empty() { wanted } else { wanted | edge })?;
        }
        if let Some(input) = &mut self.input {
            input.want(poller, write)?;
        }
        Ok(())
    }

    fn wants_to_read(&self) -> bool {
        self.buffer.room() > 0 && self.pressure.allowance(self.buffer.kept()) > 0
    }

    fn close_output(&mut self, poller: &Poller) {
        if let Some(output) = self.output.take() {
            output.close(poller);
        }
    }

    /// Closes the program's stdin: it takes no more.
    pub(crate) fn close_input(&mut self, poller: &Poller) {
        if let Some(input) = self.input.take() {
            input.close(poller);
        }
    }

    /// Closes everything; a terminal's processes are told by the kernel that it is gone.
    pub(crate) fn close(mut self, poller: &Poller) {
        self.close_output(poller);
        self.close_input(poller);
    }
}
