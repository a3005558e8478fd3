//! A subscription: the state it starts from, if asked for, then the log from there on.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use ropewalk_kernel::log::{EventPage, Filter, Journal};
use ropewalk_kernel::{Follower, Step};
use ropewalk_projections::Projections;
use ropewalk_protocol::{
    BincodeFrame, Code, Rejection, Seq, SessionView, StateSnapshot, SubscribeAfter, SubscribeOnly, SubscribeParams,
    SubscribeWord, Timestamp, limits,
};
use ropewalk_transport::{EventSource, EventStep, Wire};
use tokio::time::{Instant, timeout_at};

use super::count::Counted;
use super::scope::Scope;

const LIVE_MARK_PAUSE: Duration = Duration::from_millis(limits::LIVE_MARK_MILLIS);
/// What a run of events takes in a frame besides its records.
const BINCODE_RUN_BYTES: usize = 16;

pub(super) struct Events {
    /// Whose they are: they end with what that may ask for.
    scope: Scope,
    projections: SharedProjections,
    /// Steps that are ready.
    ready: VecDeque<EventStep>,
    follower: Follower,
    wire: Wire,
    /// It has caught up once.
    is_live: bool,
    /// Nothing that came up to here was to be sent, and nobody was told.
    unsaid: Option<Seq>,
    /// When that may be told.
    says_again: Instant,
    _counted: Counted,
}

/// Begins a subscription: after which event, the head, and the events.
pub(super) fn subscribe(
    journal: &Journal,
    projections: &SharedProjections,
    params: &SubscribeParams,
    wire: Wire,
    now: Timestamp,
    scope: Scope,
    counted: Counted,
) -> Result<(Seq, Seq, Events), Rejection> {
    if let Some(log) = params.log.filter(|log| *log != journal.id()) {
        let message = format!("the cursor is of log {log}; this is log {}", journal.id());
        return Err(Rejection::new(Code::WrongLog, message).at(journal.head()));
    }
    let filter = params.session.map_or(Filter::All, Filter::Session);
    let mut ready = VecDeque::new();
    let after = match params.after {
        SubscribeAfter::Seq(after) => after,
        SubscribeAfter::Word(SubscribeWord::Now) => journal.head(),
        SubscribeAfter::Word(SubscribeWord::Snapshot) => {
            let (at, sessions) = state(projections, filter, now)?;
            ready.extend(snapshot(at, sessions));
            at
        }
    };
    let follower = Follower::new(journal.clone(), filter, after)?;
    let follower = if wire == Wire::Json { follower.encoding() } else { follower };
    let follower = match params.only {
        Some(SubscribeOnly::Facts) => follower.passing(|kind| SubscribeOnly::Facts.passes(kind)),
        None => follower,
    };
    let (projections, says_again) = (projections.clone(), Instant::now());
    let events = Events {
        scope,
        projections,
        ready,
        follower,
        wire,
        is_live: false,
        unsaid: None,
        says_again,
        _counted: counted,
    };
    Ok((after, journal.head(), events))
}

fn state(
    projections: &RwLock<Projections>,
    filter: Filter,
    now: Timestamp,
) -> Result<(Seq, Vec<SessionView>), Rejection> {
    let projections: &Projections = &projections.read().unwrap_or_else(PoisonError::into_inner);
    let sessions = match filter {
        Filter::All => projections.page(None, usize::MAX, now).0,
        Filter::Session(session) => {
            let missing = || Rejection::not_found(format_args!("session {session}"));
            vec![projections.session(session, now).ok_or_else(missing)?]
        }
    };
    Ok((projections.seq(), sessions))
}

fn snapshot(at: Seq, sessions: Vec<SessionView>) -> Vec<EventStep> {
    let mut sessions = sessions.into_iter().peekable();
    let mut steps = Vec::new();
    loop {
        let page: Vec<SessionView> = sessions.by_ref().take(limits::PAGE_SESSIONS_MAX).collect();
        let more = sessions.peek().is_some();
        steps.push(EventStep::Snapshot { at, state: StateSnapshot { sessions: page }, more });
        if !more {
            return steps;
        }
    }
}

impl EventSource for Events {
    async fn next(&mut self) -> Result<EventStep, Rejection> {
        loop {
            if self.scope != Scope::All {
                self.scope.check_live(&self.projections.read().unwrap_or_else(PoisonError::into_inner))?;
            }
            if let Some(step) = self.ready.pop_front() {
                return Ok(step);
            }
            let Some(step) = self.follow().await? else {
                self.ready.extend(self.unsaid.take().map(EventStep::Live));
                self.says_again = Instant::now() + LIVE_MARK_PAUSE;
                continue;
            };
            match step {
                Step::Live(seq) => {
                    self.is_live = true;
                    self.ready.push_back(EventStep::Live(seq));
                }
                Step::Page(page) => {
                    self.unsaid = Some(page.to).filter(|to| self.is_live && told(&page) < *to);
                    self.ready.extend(steps(page, self.wire));
                }
            }
        }
    }
}

impl Events {
    /// What comes next; `None` when it is time to say how far this is.
    async fn follow(&mut self) -> Result<Option<Step>, Rejection> {
        let next = self.follower.next();
        if self.unsaid.is_none() {
            return next.await.map(Some);
        }
        timeout_at(self.says_again, next).await.ok().transpose()
    }
}

/// The last place of a page that its reader learns of by what is sent.
fn told(page: &EventPage) -> Seq {
    let event = page.slices.last().map_or(Seq::ZERO, |slice| slice.chunk.seq(slice.to - 1));
    page.gaps.last().map_or(event, |gap| event.max(gap.to))
}

/// A page as steps, gaps in their places.
fn steps(page: EventPage, wire: Wire) -> Vec<EventStep> {
    let mut steps = Vec::new();
    let mut slices = page.slices.into_iter().peekable();
    let mut gaps = page.gaps.into_iter().peekable();
    loop {
        let until = gaps.peek().map_or(Seq(u64::MAX), |gap| gap.from);
        let mut run = Vec::new();
        while let Some(slice) = slices.next_if(|slice| slice.chunk.seq(slice.from) < until) {
            run.push(slice);
        }
        if !run.is_empty() {
            steps.push(match wire {
                Wire::Json => EventStep::Json(run.iter().map(|slice| slice.json()).collect()),
                Wire::Bincode => {
                    let bytes = run.iter().map(|slice| slice.records().len() + BINCODE_RUN_BYTES).sum();
                    let mut frame = BincodeFrame::begin(bytes);
                    run.iter().for_each(|slice| BincodeFrame::push(&mut frame, slice.first(), slice.records()));
                    EventStep::Records(frame)
                }
            });
        }
        match gaps.next() {
            Some(gap) => steps.push(EventStep::Gap { from: gap.from, to: gap.to, reason: gap.reason }),
            None => return steps,
        }
    }
}

/// Kept beside the subscription's own types so that the backend names one thing.
pub(super) type SharedProjections = Arc<RwLock<Projections>>;
