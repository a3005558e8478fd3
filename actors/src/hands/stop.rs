//! Ending what a run started: asked first, then made to.

use std::sync::atomic::Ordering;
use std::time::Duration;

use ropewalk_protocol::{Rejection, RunId, limits};
use tokio::time::Instant;

use super::Hands;

const SIGHUP: i32 = 1;
const SIGKILL: i32 = 9;
const SIGTERM: i32 = 15;
const COUNT_PAUSE_FIRST: Duration = Duration::from_millis(5);
const COUNT_PAUSE_MAX: Duration = Duration::from_millis(200);

impl Hands {
    /// Asks everything a run started to stop, then makes it, until nothing of it lives.
    pub(crate) fn stop(&self, run: RunId) {
        let hands = self.clone();
        let handed_over = self.handed_over(run);
        tokio::spawn(async move {
            // A process that is started after it was stopped would be nobody's.
            handed_over.await;
            for signal in [SIGHUP, SIGTERM].into_iter().chain(std::iter::repeat(SIGKILL)) {
                if hands.insist(run, signal).await {
                    break;
                }
            }
            hands.settle(|of, place| place.reaped |= of == run && place.run_settled);
        });
    }

    /// Sends a signal for as long as the holder does not answer; true once nothing of the run lives, or nobody is left
    /// to ask. A run whose holder died is asked for too: what it left behind carries its mark.
    async fn insist(&self, run: RunId, signal: i32) -> bool {
        loop {
            match self.signal_and_wait(run, signal).await {
                Ok(is_gone) => return is_gone,
                Err(_) if self.0.leaving.load(Ordering::Relaxed) => return true,
                Err(rejection) => {
                    tracing::debug!(%rejection, %run, signal, "a signal could not be sent; it is tried again");
                    tokio::time::sleep(COUNT_PAUSE_MAX).await;
                }
            }
        }
    }

    /// Sends a signal and waits for a grace; true once nothing of the run lives. Other programs' children have no event
    /// to wait for, so they are counted now and then.
    async fn signal_and_wait(&self, run: RunId, signal: i32) -> Result<bool, Rejection> {
        let mut left = self.0.link.signal(run, signal).await?;
        let until = Instant::now() + Duration::from_millis(limits::END_GRACE_MILLIS);
        let mut pause = COUNT_PAUSE_FIRST;
        while left > 0 && Instant::now() < until {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(COUNT_PAUSE_MAX);
            left = self.0.link.signal(run, 0).await?;
        }
        Ok(left == 0)
    }

    /// Ends everything and the holder, and waits until that is durable.
    pub async fn end_everything(&self) {
        let runs: Vec<RunId> = self.places().keys().copied().collect();
        runs.into_iter().for_each(|run| self.stop(run));
        let mut unsettled = self.0.unsettled.subscribe();
        let deadline = Duration::from_millis(limits::END_GRACE_MILLIS * 4);
        if tokio::time::timeout(deadline, unsettled.wait_for(|left| *left == 0)).await.is_err() {
            tracing::warn!("some programs did not end in time; the holder kills them");
        }
        self.0.leaving.store(true, Ordering::Relaxed);
        if let Err(rejection) = self.0.link.shut_down() {
            tracing::warn!(%rejection, "the holder was not told to leave");
        }
    }
}
