//! Bytes through the holder: from programs into their buffers and to the daemon, from the daemon to programs.

use std::io;

use ropewalk_protocol::holder::{FromHolder, wire};
use ropewalk_protocol::limits;
use rustix::event::epoll::EventFlags;

use crate::connection::Connection;
use crate::serve::Holder;
use crate::stream::Stream;

impl Holder {
    /// A program wrote, or its terminal takes input again, or is gone.
    pub(crate) fn serve_output(&mut self, number: u64, flags: EventFlags) {
        let is_gone = flags.intersects(EventFlags::HUP | EventFlags::ERR);
        if is_gone || flags.contains(EventFlags::OUT) {
            self.write_input(number);
        }
        if is_gone || flags.contains(EventFlags::IN) {
            self.read_output(number);
        }
        self.flush();
    }

    /// Reads a stream once and passes on at once what the daemon waits for: it is on its way before it is looked at again.
    pub(crate) fn read_output(&mut self, number: u64) {
        let Some(stream) = self.streams.get_mut(&number) else { return };
        let offset = stream.buffer.end();
        let count = stream.read(&mut self.scratch);
        let daemon = self.daemon.and_then(|daemon| self.connections.get_mut(&daemon));
        if let (Some(daemon), Some(follower)) = (daemon, &mut stream.follower) {
            let end = offset + count as u64;
            let is_in_window = end <= follower.durable.saturating_add(limits::HOLDER_WINDOW_BYTES_MAX as u64);
            if count > 0 && follower.sent == offset && is_in_window && daemon.takes_output() {
                daemon.push_output(stream.id, offset, &self.scratch[..count]);
                follower.sent = end;
            }
        }
        self.send_stream(number);
        self.watch_stream(number);
    }

    /// Sends what a stream still owes, as far as the window and the connection allow.
    pub(crate) fn send_stream(&mut self, number: u64) {
        while self.send_piece(number) {}
    }

    /// Lets each stream send in turn until all have, or the connection takes no more.
    pub(crate) fn send_all(&mut self) {
        let Some(daemon) = self.daemon.and_then(|daemon| self.connections.get(&daemon)) else {
            self.is_behind = false;
            return;
        };
        if !daemon.takes_output() {
            return;
        }
        self.is_behind = false;
        let later: Vec<u64> = self.streams.range(self.turn + 1..).map(|(number, _)| *number).collect();
        let earlier: Vec<u64> = self.streams.range(..=self.turn).map(|(number, _)| *number).collect();
        let mut senders: Vec<u64> = later.into_iter().chain(earlier).collect();
        while !self.is_behind && !senders.is_empty() {
            senders.retain(|number| {
                self.turn = *number;
                !self.is_behind && self.send_piece(*number)
            });
        }
    }

    /// Sends one frame of a stream, or its end. `false`: there is nothing to send, or no place for it.
    fn send_piece(&mut self, number: u64) -> bool {
        let Some(daemon) = self.daemon.and_then(|daemon| self.connections.get_mut(&daemon)) else { return false };
        let Some(stream) = self.streams.get_mut(&number) else { return false };
        let Some((from, length)) = stream.sendable() else {
            send_end(stream, daemon);
            return false;
        };
        if !daemon.takes_output() {
            self.is_behind = true;
            return false;
        }
        let mut bytes = Vec::new();
        let read = stream.buffer.read(from, length.min(wire::OUTPUT_FRAME_BYTES_MAX), &mut bytes);
        if let Err(error) = read {
            let patience = daemon.is_told_losses.then_some(self.config.spool_patience);
            if stream.unreadable(&error, self.now, patience) && lose(stream, daemon, from, &error) {
                return true;
            }
            // Also where there is nothing to give up: it is not asked for again at once.
            stream.unreadable(&error, self.now, None);
            tracing::warn!(%error, stream = %stream.id, "cannot read what is spooled; it is tried again");
            self.watch_stream(number);
            return false;
        }
        stream.readable();
        daemon.push_output(stream.id, from, &bytes);
        if let Some(follower) = &mut stream.follower {
            follower.sent = from + bytes.len() as u64;
        }
        !bytes.is_empty()
    }

    /// Writes what waits to a program, and answers for what is written or will never be.
    pub(crate) fn write_input(&mut self, number: u64) {
        let Some(stream) = self.streams.get_mut(&number) else { return };
        let id = stream.id;
        let mut written = Vec::new();
        let refused = match stream.write(|name| written.push(name)) {
            Ok(()) => Vec::new(),
            Err(_) => {
                stream.close_input(&self.poller);
                stream.queue.give_up()
            }
        };
        for (client, id_written) in written {
            self.tell(&FromHolder::Written { stream: id, client, id: id_written });
        }
        for (client, id_refused) in refused {
            let reason = "the program takes no input any more".to_owned();
            self.tell(&FromHolder::InputRefused { stream: id, client, id: id_refused, reason });
        }
        self.watch_stream(number);
    }

    /// Tells the poller what is wanted of a stream now. What waits for a program that is gone is refused.
    pub(crate) fn watch_stream(&mut self, number: u64) {
        let Some(stream) = self.streams.get_mut(&number) else { return };
        let was_unreadable = stream.is_unreadable();
        match stream.look(self.now, self.heard, self.config.patience) {
            Some(at) => drop(self.looks.insert(number, at)),
            None => drop(self.looks.remove(&number)),
        }
        if was_unreadable && !stream.is_unreadable() {
            // Whoever came here may have sent before, or nothing at all, and no other time to look is set.
            self.send_stream(number);
        }
        let Some(stream) = self.streams.get_mut(&number) else { return };
        if let Err(error) = stream.watch(&self.poller) {
            tracing::warn!(%error, stream = %stream.id, "cannot watch a stream");
        }
        if !stream.queue.is_empty() && !stream.takes_input() {
            self.write_input(number);
        }
    }

    /// Looks again at the streams whose time has come.
    pub(crate) fn look_again(&mut self) {
        let due: Vec<u64> = self.looks.iter().filter(|(_, at)| **at <= self.now).map(|(number, _)| *number).collect();
        for number in due {
            self.looks.remove(&number);
            self.watch_stream(number);
            self.send_stream(number);
        }
    }

    /// Puts an answer behind what waits for the daemon. Without one, it is told again when one comes.
    pub(crate) fn tell(&mut self, frame: &FromHolder) {
        if let Some(daemon) = self.daemon.and_then(|daemon| self.connections.get_mut(&daemon)) {
            daemon.push(frame);
        }
    }

    /// Hands the daemon what its socket takes now.
    pub(crate) fn flush(&mut self) {
        let Some(number) = self.daemon else { return };
        let Some(daemon) = self.connections.get_mut(&number) else { return };
        daemon.flush();
        if daemon.watch(&self.poller, self.is_behind).is_err() {
            self.drop_connection(number);
        }
    }

    /// Closes a connection. Nothing that is held is touched; without a daemon all of it waits.
    pub(crate) fn drop_connection(&mut self, number: u64) {
        if let Some(connection) = self.connections.remove(&number) {
            connection.close(&self.poller);
        }
        if self.daemon == Some(number) {
            self.daemon = None;
            self.is_behind = false;
            let numbers: Vec<u64> = self.streams.keys().copied().collect();
            for number in numbers {
                if let Some(stream) = self.streams.get_mut(&number) {
                    stream.unfollow();
                }
                self.watch_stream(number);
            }
        }
        self.door.reopen(&self.poller);
    }
}

/// Gives up what cannot be read from this offset on, and tells the daemon. `false`: there is nothing to give up.
fn lose(stream: &mut Stream, daemon: &mut Connection, from: u64, error: &io::Error) -> bool {
    let to = stream.buffer.lose(from);
    if to <= from {
        return false;
    }
    tracing::error!(%error, stream = %stream.id, from, to, "spooled bytes are lost");
    daemon.push(&FromHolder::Lost { stream: stream.id, from, to, reason: error.to_string() });
    if let Some(follower) = &mut stream.follower {
        follower.sent = to;
    }
    true
}

fn send_end(stream: &mut Stream, daemon: &mut Connection) {
    if stream.owes_end() {
        daemon.push(&FromHolder::End { stream: stream.id, offset: stream.buffer.end() });
        if let Some(follower) = &mut stream.follower {
            follower.end_sent = true;
        }
    }
}
