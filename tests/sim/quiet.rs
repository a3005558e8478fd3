//! Quiescence: everything works again, and then everything that was asked must come to an end in bounded time.

use std::time::Duration;

use ropewalk_kernel::log::Filter;
use ropewalk_protocol::{Event, Seq};

use super::client::lock;
use super::model::Model;
use super::system::System;
use super::trace::{note, violated, violation};
use super::transition::Transition;

const STEP: Duration = Duration::from_millis(500);
/// Longer than a silent connection is waited for, twice, and all pauses between attempts.
const STEPS_MAX: usize = 400;

/// Heals everything and waits until nothing moves any more.
pub(super) async fn settle(system: &mut System) {
    note("everything is healed");
    let met_damage = system.disk.met_damage();
    if met_damage {
        system.heal().await;
        // Who looked meanwhile may have been told of damage: with the volume readable again, nothing of it may be left.
        system.disturb(Transition::Restart).await;
    }
    let mut quiet = 0;
    let mut why = String::new();
    let mut head = None;
    for step in 0..STEPS_MAX {
        system.heal().await;
        if step % 8 == 0 {
            repeat_unanswered(system);
        }
        tokio::time::sleep(STEP).await;
        if violated() {
            return;
        }
        let now = system.composed().map(|composed| composed.daemon.journal.head());
        let reason = unrest(system).or_else(|| (now != head).then(|| format!("the head moved to {now:?}")));
        head = now;
        match reason {
            None => quiet += 1,
            Some(reason) => (quiet, why) = (0, reason),
        }
        if quiet == 3 {
            return;
        }
    }
    violation(format!("it does not come to rest: {why}"));
}

fn repeat_unanswered(system: &System) {
    let reference = lock(&system.shared);
    let open: Vec<usize> = (0..reference.asked.len())
        .filter(|place| reference.asked[*place].waiting == 0 && !reference.asked[*place].is_settled())
        .collect();
    drop(reference);
    for asked in open {
        system.clients[asked % system.clients.len()].repeat(asked, 0);
    }
}

/// The whole log.
pub(super) fn log(system: &System) -> Vec<Event> {
    let Some(composed) = system.composed() else {
        violation("there is no daemon");
        return Vec::new();
    };
    let journal = &composed.daemon.journal;
    let (mut events, mut after) = (Vec::new(), Seq::ZERO);
    while after < journal.head() {
        match journal.page(Filter::All, after) {
            Ok(page) if page.to > after && page.gaps.is_empty() => {
                after = page.to;
                events.extend(page.events().expect("what this build wrote decodes"));
            }
            other => {
                violation(format!("the log cannot be read after {after}: {other:?}"));
                return events;
            }
        }
    }
    events
}

/// What is not at rest yet.
fn unrest(system: &System) -> Option<String> {
    let journal = &system.composed()?.daemon.journal;
    if let Some(error) = journal.degraded() {
        return Some(format!("appends fail: {error}"));
    }
    let events = log(system);
    let head = journal.head();
    let reference = lock(&system.shared);
    for (place, asked) in reference.asked.iter().enumerate() {
        if asked.waiting > 0 || !asked.is_settled() {
            return Some(format!("command {place} ({}) has no answer", asked.id));
        }
    }
    for subscription in reference.subscriptions.iter().filter(|subscription| !subscription.over) {
        let last = match subscription.session {
            None => head,
            Some(session) => {
                let mine = events.iter().rev().find(|event| event.stream.session() == Some(session));
                mine.map_or(Seq::ZERO, |event| event.seq)
            }
        };
        if subscription.cursor.is_none_or(|cursor| cursor < last) {
            return Some(format!("subscription {} is at {:?}, not {last}", subscription.number, subscription.cursor));
        }
    }
    let history = system.holder.history();
    for attachment in reference.attachments.iter().filter(|attachment| !attachment.over) {
        let Some(terminal) = history.get(&attachment.terminal) else {
            continue;
        };
        let (number, cursor, end) = (attachment.number, attachment.cursor, attachment.end);
        if terminal.lives && cursor != Some(terminal.printed) {
            return Some(format!("attachment {number} is at {cursor:?}, not {}", terminal.printed));
        }
        if !terminal.lives && end.is_none() {
            return Some(format!("attachment {number} at {cursor:?} was not told of the end"));
        }
    }
    let held = system.holder.held().len();
    let living = history.values().filter(|terminal| terminal.lives).count();
    if held != living {
        return Some(format!("the holder holds {held} runs, and {living} live"));
    }
    unsettled(&Model::of(&events), system)
}

/// What the log does not say yet although it is so.
fn unsettled(model: &Model, system: &System) -> Option<String> {
    let history = system.holder.history();
    for (id, session) in model.sessions.iter().filter(|(_, session)| !session.deleted) {
        let terminals = model.terminals.iter().filter(|(_, terminal)| terminal.session == *id);
        let (mut programs, mut living) = (0, 0);
        for (terminal, facts) in terminals {
            let lives = history.get(terminal).is_some_and(|history| history.lives);
            programs += 1;
            living += usize::from(lives);
            if lives == facts.closed_at.is_some() {
                return Some(format!("terminal {terminal} lives: {lives}, closed: {:?}", facts.closed_at));
            }
        }
        use ropewalk_protocol::SessionState::{Empty, Ended, Running};
        let right = match (programs, living) {
            (0, _) => matches!(session.state, Empty | Ended),
            (_, 0) => session.state == Ended,
            _ => session.state == Running,
        };
        if !right {
            return Some(format!("session {id} is {:?}; {living} of {programs} programs live", session.state));
        }
    }
    None
}
