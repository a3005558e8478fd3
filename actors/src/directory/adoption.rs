//! Commits that were answered with an error and are in the log all the same: what follows from them is done after all.

use std::sync::atomic::Ordering;
use std::time::Duration;

use ropewalk_kernel::log::store::StoreError;
use ropewalk_kernel::log::{History, Journal};
use ropewalk_kernel::offload;
use ropewalk_protocol::{Code, Event, EventBody, Rejection, RunId, Seq, SessionId, Stream};
use tokio::sync::mpsc;

use super::{Directory, Inner};
use crate::core::{Core, Effect};
use crate::waking;

/// How long a history that cannot be read is left alone.
const READ_PAUSE: Duration = Duration::from_millis(500);

/// What a command that failed with the disk was to do.
pub(super) struct Doubt {
    /// Give the session this name, which is reserved for it.
    pub(super) named: Option<String>,
    /// Make the session, with this run in it.
    pub(super) created: Option<Option<RunId>>,
}

/// Does what follows from adopted commits for as long as the log is open.
pub(super) async fn follow(directory: Directory, mut adoptions: mpsc::Receiver<Vec<Event>>) {
    while let Some(events) = adoptions.recv().await {
        for event in events {
            if let Some(name) = name(&event.body)
                && let Some(session) = event.stream.session()
            {
                directory.0.names.set(name, session, event.seq);
            }
            let Some(effects) = directory.effects(&event).await else {
                return;
            };
            directory.0.hands.carry_out(event.stream, effects);
        }
    }
}

fn name(body: &EventBody) -> Option<&str> {
    match body {
        EventBody::SessionCreated(created) => created.name.as_deref(),
        EventBody::SessionRenamed(renamed) => Some(&renamed.name),
        _ => None,
    }
}

impl Directory {
    /// What follows from an event, by the actor that owns its stream; `None` when the log is closed.
    async fn effects(&self, event: &Event) -> Option<Vec<Effect>> {
        let mut closed = self.0.journal.closed();
        loop {
            let (journal, stream) = (self.0.journal.clone(), event.stream);
            if stream == Stream::Machine {
                return Some(Vec::new());
            }
            let read = offload::blocking(move || waking::read(&journal, stream));
            match read.await.unwrap_or_else(|error| Err(Rejection::new(Code::Internal, error.to_string()))) {
                Ok(core) => return Some(core.react(&event.body)),
                Err(rejection) => tracing::warn!(%rejection, "what follows from an adopted commit has to wait"),
            }
            tokio::select! {
                biased;
                _ = closed.wait_for(|closed| *closed) => return None,
                () = tokio::time::sleep(READ_PAUSE) => {}
            }
        }
    }

    /// A command failed with the disk, and may have happened all the same: its name and its environment are kept until
    /// that is known.
    pub(super) fn doubt(&self, session: SessionId, doubt: Doubt) {
        let directory = self.clone();
        directory.0.doubts.fetch_add(1, Ordering::Relaxed);
        tokio::spawn(async move {
            let Inner { names, hands, .. } = &*directory.0;
            if let Some(Told { named, is_there }) = directory.outcome(session).await {
                if let Some((name, at)) = named {
                    names.set(&name, session, at);
                }
                if !is_there && let Some(Some(run)) = doubt.created {
                    hands.forget_environment(run);
                }
            }
            if let Some(name) = &doubt.named {
                names.release(name, session);
            }
            directory.0.doubts.fetch_sub(1, Ordering::Relaxed);
        });
    }

    /// What the log says of a session once the disk works; `None` when the log is closed.
    async fn outcome(&self, session: SessionId) -> Option<Told> {
        let (mut health, mut closed) = (self.0.journal.health(), self.0.journal.closed());
        loop {
            tokio::select! {
                biased;
                _ = closed.wait_for(|closed| *closed) => return None,
                healthy = health.wait_for(Option::is_none) => healthy.ok()?,
            }
            let journal = self.0.journal.clone();
            if let Ok(Ok(outcome)) = offload::blocking(move || told(&journal, session)).await {
                return Some(outcome);
            }
            tokio::time::sleep(READ_PAUSE).await;
        }
    }
}

/// What the log says of a session.
struct Told {
    /// Its name, and where it got it.
    named: Option<(String, Seq)>,
    /// It was created.
    is_there: bool,
}

fn told(journal: &Journal, session: SessionId) -> Result<Told, StoreError> {
    let (mut named, mut is_there) = (None, false);
    journal.replay(session, Seq::ZERO, &mut |piece| {
        if let History::Event(event) = piece {
            is_there = true;
            named = match &event.body {
                EventBody::SessionDeleted(_) => None,
                body => name(body).map(|name| (name.to_owned(), event.seq)).or(named.take()),
            };
        }
        Ok::<_, StoreError>(())
    })?;
    Ok(Told { named, is_there })
}
