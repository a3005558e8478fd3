//! What the daemon asks for, and the answers.

use ropewalk_protocol::holder::{
    Ends, FromHolder, HOLDER_PROTOCOL, HOLDER_PROTOCOL_LOST, HeldRun, Spawn, ToHolder, wire,
};
use ropewalk_protocol::{ClientId, RunId, Size, TerminalId};
use rustix::event::epoll::EventFlags;
use rustix::process::Signal;
use rustix::termios::Winsize;

use crate::buffer::{Bounds, Buffer};
use crate::ending::Ending;
use crate::input::Offer;
use crate::poller::{Port, Token};
use crate::run::Run;
use crate::serve::Holder;
use crate::signals::{self, Target};
use crate::spawn::{self, Started};
use crate::spool::SpoolFile;
use crate::stream::Stream;

impl Holder {
    /// Bytes came on a connection, or it takes some again, or is gone.
    pub(crate) fn serve_connection(&mut self, number: u64, flags: EventFlags) {
        let Some(connection) = self.connections.get_mut(&number) else { return };
        if flags.contains(EventFlags::OUT) {
            connection.unblock();
        }
        let is_readable = flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR);
        if is_readable && !(connection.receive(&mut self.scratch) && self.requests(number)) {
            self.drop_connection(number);
        }
        self.flush();
    }

    /// Serves the frames that are whole. `false`: the connection is to be closed.
    fn requests(&mut self, number: u64) -> bool {
        let Some(connection) = self.connections.get_mut(&number) else { return true };
        let mut received = std::mem::take(&mut connection.received);
        let mut done = 0;
        let is_good = loop {
            match next_request(&received[done..]) {
                Ok(None) => break true,
                Ok(Some((frame, used))) => {
                    done += used;
                    if !self.request(number, frame) {
                        break false;
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "closed a connection that does not speak these words");
                    break false;
                }
            }
        };
        received.drain(..done);
        if let Some(connection) = self.connections.get_mut(&number)
            && !received.is_empty()
        {
            connection.received = received;
        }
        is_good
    }

    fn request(&mut self, number: u64, frame: ToHolder) -> bool {
        if self.daemon != Some(number) && !matches!(frame, ToHolder::Hello { .. }) {
            return false;
        }
        match frame {
            ToHolder::Hello { protocol } => self.hello(number, protocol),
            ToHolder::Spawn(spawn) => self.spawn(&spawn),
            ToHolder::Follow { stream, from } => self.follow(stream, from),
            ToHolder::Durable { stream, offset } => self.durable(stream, offset),
            ToHolder::Input { stream, client, id, bytes } => self.input(stream, client, id, bytes),
            ToHolder::Resize { stream, size } => self.resize(stream, size),
            ToHolder::Signal { run, signal } => self.signal(run, signal),
            ToHolder::Forget { run } => self.forget(run),
            ToHolder::Shutdown => self.end(Ending::by_daemon(self.now)),
        }
        true
    }

    fn hello(&mut self, number: u64, protocol: u16) {
        if protocol != HOLDER_PROTOCOL {
            tracing::warn!(protocol, "the daemon speaks another version");
        }
        let spoken = protocol.min(HOLDER_PROTOCOL);
        if let Some(older) = self.daemon.filter(|older| *older != number) {
            self.drop_connection(older);
        }
        self.daemon = Some(number);
        if let Some(daemon) = self.connections.get_mut(&number) {
            daemon.is_told_losses = spoken >= HOLDER_PROTOCOL_LOST;
        }
        self.heard = self.now;
        let runs = self.runs.values().map(|run| self.held(run)).collect();
        self.tell(&FromHolder::Welcome { protocol: spoken, pid: std::process::id(), runs });
        let ended = self.runs.values().filter_map(|run| run.exit.map(|(exit, offset)| (run.run, exit, offset)));
        for (run, exit, offset) in ended.collect::<Vec<_>>() {
            self.tell(&FromHolder::Exited { run, exit, offset });
        }
    }

    fn spawn(&mut self, spawn: &Spawn) {
        let answer = match self.try_spawn(spawn) {
            Ok(held) => FromHolder::Spawned(held),
            Err(reason) => FromHolder::SpawnFailed { run: spawn.run, reason },
        };
        self.tell(&answer);
    }

    fn try_spawn(&mut self, spawn: &Spawn) -> Result<HeldRun, String> {
        if let Some(run) = self.runs.get(&spawn.run) {
            return Ok(self.held(run));
        }
        if self.is_ending() {
            return Err("the holder is leaving".to_owned());
        }
        let ids = match spawn.ends {
            Ends::Terminal(_) => vec![spawn.stream],
            Ends::Pipes { errors } => vec![spawn.stream, errors],
        };
        if ids.iter().any(|id| self.stream_numbers.contains_key(id)) || (ids.len() == 2 && ids[0] == ids[1]) {
            return Err("the stream's id is in use".to_owned());
        }
        if !self.door.has_spares() {
            return Err("the holder has too many files open".to_owned());
        }
        let started = spawn::start(spawn, &self.config.self_exe)?;
        self.hold(spawn, started)
    }

    fn hold(&mut self, spawn: &Spawn, started: Started) -> Result<HeldRun, String> {
        let number = self.number();
        let mut process = Port::new(started.pidfd, Token::Process(number));
        let watched = process.want(&self.poller, EventFlags::IN);
        let (size, errors) = match spawn.ends {
            Ends::Terminal(size) => (Some(size), None),
            Ends::Pipes { errors } => (None, Some(errors)),
        };
        let run = Run {
            number,
            run: spawn.run,
            session: spawn.session,
            pid: started.pid,
            start_ticks: started.start_ticks,
            stream: spawn.stream,
            errors,
            size,
            exit: None,
            process: Some(process),
        };
        if let Err(error) = watched {
            signals::kill(&run.target());
            return Err(format!("cannot watch the process: {error}"));
        }
        let number = self.number();
        let output = Port::new(started.output, Token::Output(number));
        let buffer = self.buffer(spawn.stream);
        let stream = match spawn.ends {
            Ends::Terminal(_) => Stream::terminal(spawn.stream, buffer, output),
            Ends::Pipes { .. } => {
                let input = started.input.map(|input| Port::new(input, Token::Input(number)));
                Stream::pipe(spawn.stream, buffer, output, input)
            }
        };
        self.add_stream(number, stream);
        if let (Some(id), Some(fd)) = (errors, started.errors) {
            let number = self.number();
            let stream = Stream::pipe(id, self.buffer(id), Port::new(fd, Token::Output(number)), None);
            self.add_stream(number, stream);
        }
        let held = self.held(&run);
        self.runs.insert(spawn.run, run);
        Ok(held)
    }

    fn buffer(&self, stream: TerminalId) -> Buffer<SpoolFile> {
        let bounds = Bounds::default();
        Buffer::new(bounds, SpoolFile::new(&self.config.spool, stream, bounds.spool_bytes_max))
    }

    fn add_stream(&mut self, number: u64, stream: Stream) {
        self.stream_numbers.insert(stream.id, number);
        self.streams.insert(number, stream);
        self.watch_stream(number);
    }

    fn held(&self, run: &Run) -> HeldRun {
        let (kept_from, end) = self.stream(run.stream).map_or((0, 0), |at| (at.buffer.start(), at.buffer.end()));
        HeldRun {
            run: run.run,
            session: run.session,
            stream: run.stream,
            errors: run.errors,
            pid: run.pid,
            start_ticks: run.start_ticks,
            kept_from,
            end,
            size: run.size,
            exit: run.exit.map(|(exit, _)| exit),
        }
    }

    pub(crate) fn stream(&self, id: TerminalId) -> Option<&Stream> {
        self.streams.get(self.stream_numbers.get(&id)?)
    }

    fn stream_mut(&mut self, id: TerminalId) -> Option<(u64, &mut Stream)> {
        let number = *self.stream_numbers.get(&id)?;
        Some((number, self.streams.get_mut(&number)?))
    }

    fn follow(&mut self, id: TerminalId, from: u64) {
        let Some((number, stream)) = self.stream_mut(id) else { return };
        let kept_from = stream.buffer.start();
        stream.follow(from);
        let daemon = self.daemon.and_then(|daemon| self.connections.get_mut(&daemon));
        if let Some(daemon) = daemon.filter(|daemon| daemon.is_told_losses && from < kept_from) {
            // A daemon before this one was told that they are lost, and stored nothing behind them; or it said that it has them.
            let reason = "the holder was told that they are stored, or given up".to_owned();
            daemon.push(&FromHolder::Lost { stream: id, from, to: kept_from, reason });
        }
        self.send_stream(number);
        self.watch_stream(number);
    }

    fn durable(&mut self, id: TerminalId, offset: u64) {
        let Some((number, stream)) = self.stream_mut(id) else { return };
        if stream.durable(offset) {
            self.heard = self.now;
        }
        self.send_stream(number);
        self.watch_stream(number);
    }

    fn input(&mut self, id: TerminalId, client: ClientId, input: u64, bytes: Vec<u8>) {
        let Some((number, stream)) = self.stream_mut(id) else {
            return self.refuse(id, client, input, "there is no such stream");
        };
        if !stream.takes_input() {
            return match stream.queue.written(client, input) {
                Some(last) => self.tell(&FromHolder::Written { stream: id, client, id: last }),
                None => self.refuse(id, client, input, "the stream takes no input"),
            };
        }
        match stream.queue.offer(client, input, bytes) {
            Offer::Queued => self.write_input(number),
            Offer::Waiting => {}
            Offer::Written(last) => self.tell(&FromHolder::Written { stream: id, client, id: last }),
            Offer::Full => self.refuse(id, client, input, "the program does not read its input"),
        }
    }

    fn refuse(&mut self, stream: TerminalId, client: ClientId, id: u64, reason: &str) {
        self.tell(&FromHolder::InputRefused { stream, client, id, reason: reason.to_owned() });
    }

    /// The same size again is no news: the program would redraw for nothing.
    fn resize(&mut self, id: TerminalId, wanted: Size) {
        let Some((_, stream)) = self.stream_mut(id) else { return };
        let offset = stream.buffer.end();
        let Some(run) = self.runs.values_mut().find(|run| run.stream == id) else { return };
        let Some(size) = &mut run.size else { return };
        let master = self.stream_numbers.get(&id).and_then(|at| self.streams.get(at)).and_then(Stream::master);
        if wanted != *size && wanted.check().is_ok() {
            let window = Winsize { ws_row: wanted.rows, ws_col: wanted.cols, ws_xpixel: 0, ws_ypixel: 0 };
            match master.map(|master| rustix::termios::tcsetwinsize(master, window)) {
                Some(Err(error)) => tracing::warn!(%error, stream = %id, "cannot resize a terminal"),
                Some(Ok(())) | None => *size = wanted,
            }
        }
        let size = *size;
        self.tell(&FromHolder::Resized { stream: id, size, offset });
    }

    fn signal(&mut self, id: RunId, signal: i32) {
        // A run of a holder that died has no leader any more, but what it left behind still carries its mark.
        let target = self.runs.get(&id).map_or(Target { run: id, session: None, start_ticks: 0 }, Run::target);
        match Signal::from_named_raw(signal) {
            Some(Signal::KILL) => signals::kill(&target),
            Some(signal) => signals::send(&target, signal),
            None if signal == 0 => {}
            None => tracing::warn!(signal, "no such signal"),
        }
        self.tell(&FromHolder::Signaled { run: id, left: signals::count(&target) });
        self.is_untidy = true;
    }

    /// Nothing of a run that still runs is forgotten: its bytes would be lost and its process would have no holder.
    fn forget(&mut self, id: RunId) {
        match self.runs.get(&id) {
            None => return,
            Some(run) if run.exit.is_none() => {
                tracing::warn!(run = %id, "asked to forget a run that has not ended");
                return;
            }
            Some(_) => {}
        }
        let Some(mut run) = self.runs.remove(&id) else { return };
        run.reap_now(&self.poller);
        for id in [Some(run.stream), run.errors].into_iter().flatten() {
            if let Some(stream) = self.stream_numbers.remove(&id).and_then(|number| self.streams.remove(&number)) {
                stream.close(&self.poller);
            }
        }
        self.is_untidy = true;
    }
}

fn next_request(bytes: &[u8]) -> Result<Option<(ToHolder, usize)>, wire::WireError> {
    let Some((body, used)) = wire::split_frame(bytes)? else { return Ok(None) };
    Ok(Some((wire::decode_to_holder(body)?, used)))
}
