//! One connection: bytes in until they are frames, bytes out as the socket takes them.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use ropewalk_protocol::holder::{FromHolder, wire};
use ropewalk_protocol::{TerminalId, limits};
use rustix::event::epoll::EventFlags;
use rustix::io::Errno;
use rustix::net::SendFlags;

use crate::poller::{Poller, Port, Token};

/// Output waits for the socket up to here; the rest stays in the streams' buffers, so that an answer or an echo never
/// stands behind more than this.
const OUTPUT_WAITING_BYTES_MAX: usize = 256 * 1024;

const _: () = assert!(OUTPUT_WAITING_BYTES_MAX + wire::OUTPUT_FRAME_BYTES_MAX <= limits::HOLDER_SEND_BYTES_MAX);

/// What an empty connection may keep allocated.
const IDLE_BYTES_MAX: usize = 128 * 1024;

/// A connection.
#[derive(Debug)]
pub(crate) struct Connection {
    port: Port,
    /// Bytes that are not a whole frame yet.
    pub(crate) received: Vec<u8>,
    waiting: Vec<u8>,
    written: usize,
    /// The socket took no more; the poller says when it does again.
    is_blocked: bool,
    /// The other side reads no more. What it sent before is still to be served.
    is_deaf: bool,
    /// The daemon takes in that bytes are lost. An older one waits for them.
    pub(crate) is_told_losses: bool,
}

impl Connection {
    pub(crate) fn new(socket: OwnedFd, number: u64, poller: &Poller) -> io::Result<Self> {
        let mut port = Port::new(socket, Token::Connection(number));
        port.want(poller, EventFlags::IN)?;
        let (is_blocked, is_deaf, is_told_losses) = (false, false, false);
        let (received, waiting) = (Vec::new(), Vec::new());
        Ok(Self { port, received, waiting, written: 0, is_blocked, is_deaf, is_told_losses })
    }

    /// Reads once, into `received`. `false`: the other side is gone.
    pub(crate) fn receive(&mut self, scratch: &mut [u8]) -> bool {
        match rustix::io::read(self.port.as_fd(), &mut *scratch) {
            Ok(0) => false,
            Ok(count) => {
                self.received.extend_from_slice(&scratch[..count]);
                true
            }
            Err(Errno::AGAIN | Errno::INTR) => true,
            Err(_) => false,
        }
    }

    /// Puts a frame behind what waits.
    pub(crate) fn push(&mut self, frame: &FromHolder) {
        wire::encode_from_holder(frame, &mut self.waiting);
    }

    /// Puts output behind what waits.
    pub(crate) fn push_output(&mut self, stream: TerminalId, offset: u64, bytes: &[u8]) {
        wire::encode_output(stream, offset, bytes, &mut self.waiting);
    }

    /// Whether more output may wait.
    pub(crate) fn takes_output(&self) -> bool {
        self.waiting.len() - self.written < OUTPUT_WAITING_BYTES_MAX
    }

    /// Notes that the socket takes bytes again.
    pub(crate) fn unblock(&mut self) {
        self.is_blocked = false;
    }

    /// Writes what the socket takes. That nobody reads any more closes nothing: the reading side says so when it has
    /// served what was sent before.
    pub(crate) fn flush(&mut self) {
        while !self.is_deaf && self.written < self.waiting.len() && !self.is_blocked {
            let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
            match rustix::net::send(self.port.as_fd(), &self.waiting[self.written..], flags) {
                Ok(count) => self.written += count,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => self.is_blocked = true,
                Err(_) => self.is_deaf = true,
            }
        }
        if self.is_deaf || self.written == self.waiting.len() {
            self.waiting.clear();
            self.waiting.shrink_to(IDLE_BYTES_MAX);
            self.written = 0;
        } else if self.written > IDLE_BYTES_MAX {
            self.waiting.drain(..self.written);
            self.written = 0;
        }
    }

    /// Tells the poller what is wanted now. A daemon that takes no answers is not asked for more questions.
    /// `is_behind`: streams wait for a place here.
    pub(crate) fn watch(&mut self, poller: &Poller, is_behind: bool) -> io::Result<()> {
        let unsent = self.waiting.len() - self.written;
        let read = if unsent < limits::HOLDER_SEND_BYTES_MAX { EventFlags::IN } else { EventFlags::empty() };
        let write = if unsent > 0 || is_behind { EventFlags::OUT } else { EventFlags::empty() };
        self.port.want(poller, read | write)
    }

    pub(crate) fn close(self, poller: &Poller) {
        self.port.close(poller);
    }
}
