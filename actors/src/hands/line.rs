//! The line to the holder: kept up for as long as the daemon runs, and what comes over it.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use ropewalk_protocol::holder::{Exit, FromHolder, HeldRun};
use ropewalk_protocol::{AgentId, Code, Rejection, RunId, RunOutcome, Stream};

use super::{Hands, Place};
use crate::core::Input;
use crate::holder::{HolderError, Incoming, Welcome, reconnect_pause};

/// A line to the holder that was just made.
pub struct HolderLine(Incoming);

impl Hands {
    /// Connects to the holder, starting it if need be; [`Hands::keep_connected`] goes on from there.
    ///
    /// # Errors
    /// There is no holder and none can be started.
    pub async fn reach_holder(&self) -> Result<(Welcome, HolderLine), HolderError> {
        let (welcome, incoming) = self.0.link.connect().await?;
        Ok((welcome, HolderLine(incoming)))
    }

    /// Listens to the holder for as long as the daemon runs, and makes the line again when it breaks.
    pub async fn keep_connected(self, line: HolderLine) {
        let mut line = Some(line.0);
        let mut failures = 0;
        loop {
            if let Some(incoming) = line.take() {
                failures = 0;
                let error = self.listen(incoming).await;
                self.0.link.disconnected();
                if self.0.leaving.load(Ordering::Relaxed) {
                    return;
                }
                tracing::warn!(%error, "the line to the holder broke");
            }
            match self.0.link.connect().await {
                Ok((welcome, incoming)) => {
                    self.welcome(&welcome);
                    line = Some(incoming);
                }
                Err(error) => {
                    tracing::error!(%error, "no line to the holder");
                    tokio::time::sleep(reconnect_pause(failures)).await;
                    failures += 1;
                }
            }
        }
    }

    async fn listen(&self, mut incoming: Incoming) -> std::io::Error {
        loop {
            self.0.lanes.room().await;
            match incoming.next().await {
                Ok(frame) => self.hear(frame),
                Err(error) => return error,
            }
        }
    }

    fn hear(&self, frame: FromHolder) {
        match frame {
            FromHolder::Output { stream, offset, bytes } => self.0.lanes.output(stream, offset, bytes),
            FromHolder::End { stream, offset } => self.0.lanes.complete(stream, offset),
            FromHolder::Written { stream, client, id } => self.0.lanes.written(stream, client, id, &Ok(())),
            FromHolder::InputRefused { stream, client, id, reason } => {
                let refused = Err(Rejection::new(Code::InputRefused, reason));
                self.0.lanes.written(stream, client, id, &refused);
            }
            FromHolder::Resized { stream, size, offset } => {
                self.0.lanes.resized(stream, size, offset);
                self.0.link.resized(stream, offset);
            }
            FromHolder::Spawned(held) => {
                // Reported here and not by whoever waits for it: the end of a short run may be the next word on this line.
                self.started(&held);
                self.0.link.spawned(held.run, Ok(held));
            }
            FromHolder::SpawnFailed { run, reason } => self.0.link.spawned(run, Err(reason)),
            FromHolder::Exited { run, exit, offset } => self.gone(run, outcome(exit), offset),
            FromHolder::Lost { stream, from, to, reason } => self.0.lanes.lost(stream, from, to, reason),
            FromHolder::Signaled { run, left } => self.0.link.signaled(run, left),
            FromHolder::Welcome { .. } => tracing::warn!("the holder said welcome twice"),
        }
    }

    fn started(&self, held: &HeldRun) {
        let place = self.places().get(&held.run).copied();
        if let Some(place) = place
            && !self.agent_started(held.run, held.pid, held.start_ticks)
        {
            let agent = Stream::Agent(place.session, place.agent);
            let started = Input::Started { run: held.run, pid: held.pid, start_ticks: held.start_ticks };
            self.directory().report(agent, None, started);
        }
    }

    pub(crate) fn gone(&self, run: RunId, outcome: RunOutcome, offset: u64) {
        let place = self.places().get(&run).copied();
        if let Some(place) = place
            && !self.agent_gone(run, &outcome, offset)
        {
            let stream = Stream::Agent(place.session, place.agent);
            self.directory().report(stream, None, Input::Gone { run, outcome, offset });
        }
    }

    /// A new line, maybe to a new holder: what it holds goes on, what it does not hold is gone.
    pub(crate) fn welcome(&self, welcome: &Welcome) {
        let held: HashMap<RunId, &HeldRun> = welcome.runs.iter().map(|held| (held.run, held)).collect();
        // A run whose end is durable, but which was not forgotten: what it left behind is looked for again.
        for held in welcome.runs.iter().filter(|held| !self.places().contains_key(&held.run)) {
            if self.0.log_has_gaps {
                let (session, run, pid) = (held.session, held.run, held.pid);
                tracing::error!(%session, %run, pid, "what the log says of this program cannot be read: it is left as it is");
                continue;
            }
            let agent = AgentId::from_bytes([0; 16]);
            let (session, terminal) = (held.session, held.stream);
            let (errors, errors_settled) = (held.errors, true);
            let (run_settled, terminal_settled, reaped) = (true, true, false);
            let place =
                Place { session, agent, terminal, errors, errors_settled, run_settled, terminal_settled, reaped };
            self.hold(held.run, place);
        }
        let places: Vec<(RunId, Place)> = self.places().iter().map(|(run, place)| (*run, *place)).collect();
        for (run, place) in places {
            match held.get(&run) {
                Some(held) => self.adopt(held, place),
                None => self.lose(run, place, "the process that held its terminal died"),
            }
        }
    }

    /// The holder has this run: its bytes are followed from where they are stored.
    pub(crate) fn adopt(&self, held: &HeldRun, place: Place) {
        if place.run_settled {
            self.stop(held.run);
        }
        if !place.run_settled {
            self.started(held);
        }
        if let Some(lane) = place.errors.and_then(|errors| self.0.lanes.get(errors))
            && let Err(rejection) = self.0.link.follow(lane.id(), lane.stored_end())
        {
            tracing::warn!(%rejection, "an error output is not followed yet");
        }
        let Some(lane) = self.0.lanes.get(place.terminal) else {
            return;
        };
        lane.promise(held.end);
        if let Some(size) = held.size.filter(|size| *size != lane.size()) {
            // The daemon died between asking for this size and recording it.
            self.0.lanes.resized(place.terminal, size, held.end);
            let stream = Stream::Terminal(place.session, place.terminal);
            self.directory().report(stream, None, Input::Resized { size, offset: held.end });
        }
        // Not from the newest byte: the holder forgets what is before, and what was shown is not stored yet.
        if let Err(rejection) = self.0.link.follow(place.terminal, lane.stored_end()) {
            tracing::warn!(%rejection, "a terminal is not followed yet");
        }
    }

    /// Nobody holds this run: it ended unseen.
    pub(crate) fn lose(&self, run: RunId, place: Place, reason: &str) {
        let end = self.0.lanes.get(place.terminal).map_or(0, |lane| lane.end());
        if place.run_settled {
            self.stop(run);
        } else {
            self.gone(run, RunOutcome::Interrupted { reason: reason.to_owned() }, end);
        }
        self.0.lanes.complete(place.terminal, end);
        if let Some(lane) = place.errors.and_then(|errors| self.0.lanes.get(errors)) {
            self.0.lanes.complete(lane.id(), lane.end());
        }
    }
}

fn outcome(exit: Exit) -> RunOutcome {
    match exit {
        Exit::Code(code) => RunOutcome::Exited { code },
        Exit::Signal(signal) => RunOutcome::Signaled { signal },
    }
}
