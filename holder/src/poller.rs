//! `epoll` with names for what is watched. A descriptor that nothing is wanted of is taken out of it: a closed terminal
//! reports its end without being asked, and the loop would spin.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

const EVENTS_MAX: usize = 256;

/// What an event is about. The number is the thing's, never used again for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token {
    Door,
    Connection(u64),
    Process(u64),
    /// What a program writes; a terminal's master, which is also written to.
    Output(u64),
    /// A pipe that a program reads.
    Input(u64),
    /// A signal to this process.
    OwnSignal,
    /// The socket's directory changed.
    Directory,
}

impl Token {
    fn to_data(self) -> EventData {
        let (kind, number) = match self {
            Token::Door => (0, 0),
            Token::Connection(number) => (1, number),
            Token::Process(number) => (2, number),
            Token::Output(number) => (3, number),
            Token::Input(number) => (4, number),
            Token::OwnSignal => (5, 0),
            Token::Directory => (6, 0),
        };
        EventData::new_u64(number * 8 + kind)
    }

    fn from_data(data: EventData) -> Token {
        let (kind, number) = (data.u64() % 8, data.u64() / 8);
        match kind {
            0 => Token::Door,
            1 => Token::Connection(number),
            2 => Token::Process(number),
            3 => Token::Output(number),
            4 => Token::Input(number),
            5 => Token::OwnSignal,
            _ => Token::Directory,
        }
    }
}

/// Something that happened.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Happened {
    pub(crate) token: Token,
    pub(crate) flags: EventFlags,
}

/// The `epoll` instance.
#[derive(Debug)]
pub(crate) struct Poller {
    epoll: OwnedFd,
}

impl Poller {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { epoll: epoll::create(CreateFlags::CLOEXEC)? })
    }

    /// Waits until something happens or the time is over; without a time, for ever.
    pub(crate) fn wait(&self, events: &mut Vec<Event>, timeout: Option<Duration>) -> io::Result<Vec<Happened>> {
        events.clear();
        events.reserve(EVENTS_MAX);
        // Whole milliseconds, rounded up: older kernels know no finer ones and would wake too early.
        let timeout = timeout.map(|time| Duration::from_millis(u64::try_from(time.as_millis()).unwrap_or(1000) + 1));
        let timeout = timeout.map(|time| rustix::event::Timespec {
            tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: time.subsec_nanos().into(),
        });
        match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(events), timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(events.iter().map(|event| Happened { token: Token::from_data(event.data), flags: event.flags }).collect())
    }
}

/// A descriptor and what is wanted of it.
#[derive(Debug)]
pub(crate) struct Port {
    fd: OwnedFd,
    token: Token,
    wanted: EventFlags,
}

impl Port {
    pub(crate) fn new(fd: OwnedFd, token: Token) -> Self {
        Self { fd, token, wanted: EventFlags::empty() }
    }

    /// Changes what is wanted; nothing wanted takes it out of the poller.
    pub(crate) fn want(&mut self, poller: &Poller, wanted: EventFlags) -> io::Result<()> {
        if wanted == self.wanted {
            return Ok(());
        }
        if wanted.is_empty() {
            epoll::delete(&poller.epoll, &self.fd)?;
        } else if self.wanted.is_empty() {
            epoll::add(&poller.epoll, &self.fd, self.token.to_data(), wanted)?;
        } else {
            epoll::modify(&poller.epoll, &self.fd, self.token.to_data(), wanted)?;
        }
        self.wanted = wanted;
        Ok(())
    }

    /// Closes it. It leaves the poller first: a child that has not yet replaced its program still has it open.
    pub(crate) fn close(mut self, poller: &Poller) {
        let _ = self.want(poller, EventFlags::empty());
    }
}

impl AsFd for Port {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_survive_the_kernel() {
        let numbered = [Token::Connection(3), Token::Process(1 << 40), Token::Output(0), Token::Input(7)];
        for token in numbered.into_iter().chain([Token::Door, Token::OwnSignal, Token::Directory]) {
            assert_eq!(Token::from_data(token.to_data()), token);
        }
    }
}
