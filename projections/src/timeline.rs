//! The timeline: a session's history in sentences. It keeps no state: an entry is a function of its event.

mod agents;

use ropewalk_protocol::{Event, EventBody, TimelineEntry};

/// The line an event stands for; `None` for what is no news by itself, such as the pieces of what an agent says.
pub fn entry(event: &Event) -> Option<TimelineEntry> {
    let text = sentence(&event.body)?;
    Some(TimelineEntry { seq: event.seq, at: event.at, text })
}

fn sentence(body: &EventBody) -> Option<String> {
    let sentence = match body {
        EventBody::SessionCreated(created) => match &created.name {
            Some(name) => format!("session {name} created"),
            None => "session created".to_owned(),
        },
        EventBody::AgentAdded(added) => {
            format!("{} is to run in {} at {}", added.argv.join(" "), added.directory, added.size)
        }
        EventBody::SessionRenamed(renamed) => format!("renamed to {}", renamed.name),
        EventBody::SessionAnnotated(annotated) => annotated.text.clone(),
        EventBody::SessionEndRequested(_) => "asked to end".to_owned(),
        EventBody::SessionEnded(ended) => format!("ended: {}", ended.reason),
        EventBody::SessionDeleted(_) => "deleted".to_owned(),
        EventBody::RunStarted(started) => format!("program started as process {}", started.pid),
        EventBody::RunFailed(failed) => format!("program could not be started: {}", failed.reason),
        EventBody::RunEnded(ended) => format!("program {}", ended.outcome),
        EventBody::TerminalResized(resized) => {
            format!("terminal resized to {} at byte {}", resized.size, resized.offset)
        }
        EventBody::TerminalClosed(closed) => format!("terminal closed after {} bytes", closed.offset),
        EventBody::TerminalLost(lost) => {
            let (count, last) = (lost.to.saturating_sub(lost.from), lost.to.saturating_sub(1));
            format!("{count} bytes of the terminal are lost, {} to {last}: {}", lost.from, lost.reason)
        }
        EventBody::DaemonStarted(started) => format!("daemon {} started as process {}", started.build, started.pid),
        EventBody::DaemonStopped(stopped) => format!("daemon stopped: {}", stopped.reason),
        EventBody::StorageDegraded(degraded) => format!("appends fail: {}", degraded.reason),
        EventBody::StorageRestored(restored) => format!("appends succeed again; {} were refused", restored.refused),
        EventBody::SessionBudgetSet(set) => format!("the session's agents may cost {}", agents::budget(&set.budget)),
        EventBody::SessionRulesSet(set) => format!("the session has {} rules", set.rules.len()),
        EventBody::DayBudgetSet(set) => format!("all agents may cost {} a day", agents::budget(&set.budget)),
        EventBody::WorkspaceRulesSet(set) => format!("{} has {} rules", set.directory, set.rules.len()),
        EventBody::Unknown(unknown) => unknown.name.clone(),
        of_an_agent => return agents::sentence(of_an_agent),
    };
    Some(sentence)
}

#[cfg(test)]
mod tests;
