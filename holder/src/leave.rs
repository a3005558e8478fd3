//! How the holder leaves: its programs are ended first, and the daemon gets the last of what they wrote.

use rustix::process::Signal;

use crate::ending::{Ending, Left, Step};
use crate::serve::Holder;
use crate::{procfs, run, signals};

impl Holder {
    /// Somebody sent the holder a signal that asks it to end. Asked again, it hurries.
    pub(crate) fn asked_to_end(&mut self) {
        if let Some(ending) = &mut self.ending {
            tracing::warn!("asked to end once more: what still runs is killed");
            return ending.hurry(self.now);
        }
        let running: Vec<String> = self.runs.values().filter(|run| run.exit.is_none()).map(Self::describe).collect();
        tracing::warn!(daemon = self.daemon.is_some(), ?running, "asked to end by a signal; what runs is ended first");
        self.end(Ending::by_signal(self.now));
    }

    fn describe(run: &run::Run) -> String {
        format!("process {} of session {}", run.pid, run.session)
    }

    /// Begins to leave, unless it has begun before.
    pub(crate) fn end(&mut self, ending: Ending) {
        self.ending.get_or_insert(ending);
    }

    pub(crate) fn is_ending(&self) -> bool {
        self.ending.is_some()
    }

    /// Does what is due on the way out. `None`: it is not on its way.
    pub(crate) fn go_on_ending(&mut self) -> Option<Step> {
        loop {
            let left = self.ending.as_ref().map(|_| self.left())?;
            let step = self.ending.as_mut()?.step(self.now, left);
            match step {
                Step::Send(signal) => self.signal_all(signal),
                Step::Leave => self.reap_all(),
                Step::Wait(_) => {}
            }
            if !matches!(step, Step::Send(_)) {
                return Some(step);
            }
        }
    }

    fn left(&self) -> Left {
        let lives = |run: &run::Run| run.exit.is_none() || signals::count(&run.target()) > 0;
        Left {
            programs: self.runs.values().any(lives),
            // A run is forgotten once its end and its last byte are durable.
            bytes: self.daemon.is_some() && !self.runs.is_empty(),
        }
    }

    fn signal_all(&self, signal: Signal) {
        for run in self.runs.values() {
            if signal == Signal::KILL {
                signals::kill(&run.target());
                continue;
            }
            signals::send(&run.target(), signal);
            // One that is stopped could not end.
            signals::send(&run.target(), Signal::CONT);
        }
    }

    fn reap_all(&mut self) {
        self.runs.values_mut().for_each(|run| run.reap_now(&self.poller));
        run::reap_orphans(&procfs::processes(), self.runs.values());
    }
}
