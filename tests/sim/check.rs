//! What must hold when everything is at rest: the promises, each held against the log, the programs and each other.

use ropewalk_projections::Projections;
use ropewalk_projections::screen::Screen;
use ropewalk_protocol::{
    Code, Command, CommandResult, Event, EventBody, Query, QueryResult, Seq, SessionId, Size, StateSnapshot,
    TerminalId, Timestamp,
};

use super::client::lock;
use super::model::Model;
use super::program::printed;
use super::quiet::log;
use super::reference::{Asked, Reference, Shown};
use super::system::{SIZES, System};
use super::trace::violation;

/// Holds everything that was shown and answered against the log.
pub(super) async fn check(system: &System) {
    let events = log(system);
    for (event, seq) in events.iter().zip(1..) {
        if event.seq != Seq(seq) {
            violation(format!("event {seq} of the log has the place {}", event.seq));
        }
    }
    let model = Model::of(&events);
    {
        let reference = lock(&system.shared);
        durable(&reference, &events);
        reference.asked.iter().enumerate().for_each(|(place, asked)| once(place, asked, &model));
        subscriptions(&reference, &events, system.disk.met_damage());
        if let Some(wrong) = reference.attachments.iter().find(|it| it.was_given_a_gap && !system.disk.met_damage()) {
            violation(format!("attachment {} was told of a gap, and nothing was ever damaged", wrong.number));
        }
        states(&reference, &events);
        let history = system.holder.history();
        for (terminal, offset, shown) in &reference.screens {
            let had = history.get(terminal).map(|history| &history.sizes[..]).unwrap_or_default();
            screen(&model, had, *terminal, *offset, shown);
        }
        typed(&reference, system);
    }
    bytes(&model, system);
    status(&model, system).await;
    verified(system).await;
}

/// What anybody was shown is in the log, at the same place and the same.
fn durable(reference: &Reference, events: &[Event]) {
    for (seq, event) in &reference.seen {
        let stored = usize::try_from(seq.0 - 1).ok().and_then(|place| events.get(place));
        if stored != Some(event) {
            violation(format!("a client was shown {event:?}, and the log has {stored:?}"));
        }
    }
}

/// A command has one effect, and its answer says which.
fn once(place: usize, asked: &Asked, model: &Model) {
    let none = Vec::new();
    let effects = model.effects.get(&asked.id).unwrap_or(&none);
    let names: Vec<&str> = effects.iter().map(|(_, body)| body.name()).collect();
    let carried_out = asked.answers.iter().find(|(_, answer)| {
        answer.as_ref().is_ok_and(|_| true)
            || answer.as_ref().is_err_and(|r| !r.retryable() && !matches!(r.code, Code::Conflict | Code::Unreadable))
    });
    let Some((body, answer)) = carried_out else {
        // It was refused beside another one under the same id, which then failed with the disk and was not sent again.
        return;
    };
    let others = asked.answers.iter().filter(|(of, answer)| of != body && answer.is_ok());
    if others.count() > 0 {
        violation(format!("command {place} ({}) was carried out with two bodies", asked.id));
    }
    let allowed: &[&[&str]] = match (&asked.bodies[*body], answer) {
        (_, Err(_)) => &[&[]],
        (Command::SessionCreate { program: Some(_), .. }, _) => &[&["session.created", "session.agent_added"]],
        (Command::SessionCreate { .. }, _) => &[&["session.created"]],
        (Command::SessionRename { .. }, _) => &[&["session.renamed"]],
        (Command::SessionAnnotate { .. }, _) => &[&["session.annotated"]],
        (Command::SessionEnd { .. }, _) => {
            &[&[], &["session.end_requested"], &["session.end_requested", "session.ended"]]
        }
        (Command::SessionDelete { .. }, _) => &[&["session.deleted"]],
        (Command::TerminalResize { .. }, _) => &[&[], &["terminal.resized"]],
        // The simulation asks for no structured agents.
        (other, _) => return violation(format!("command {place} is {}", other.name())),
    };
    if !allowed.contains(&&names[..]) {
        violation(format!("command {place} ({}) was answered {answer:?} and made {effects:?}", asked.id));
    }
    let (Ok(answer), Some((last, _))) = (answer, effects.last()) else {
        return;
    };
    if answer.seq != *last {
        violation(format!("command {place} was done at {last} and answered with {}", answer.seq));
    }
    if let (CommandResult::SessionCreated { session, .. }, EventBody::SessionCreated(_)) =
        (&answer.result, &effects[0].1)
        && !model.sessions.contains_key(session)
    {
        violation(format!("command {place} was answered with session {session}, which is not there"));
    }
}

/// Each subscription was given every event that matches, after the place where it began, once, or was told of a gap.
fn subscriptions(reference: &Reference, events: &[Event], may_gap: bool) {
    for subscription in &reference.subscriptions {
        let Some(from) = subscription.from else { continue };
        let cursor = subscription.cursor.unwrap_or(from);
        let matching = events.iter().filter(|event| {
            event.seq > from
                && (event.seq <= cursor || !subscription.over)
                && subscription.session.is_none_or(|session| event.stream.session() == Some(session))
                && !subscription.gaps.iter().any(|(first, last)| (first..=last).contains(&&event.seq))
        });
        let matching: Vec<Seq> = matching.map(|event| event.seq).collect();
        if subscription.events != matching {
            let (number, given) = (subscription.number, &subscription.events);
            violation(format!("subscription {number} from {from} was given {given:?} of {matching:?}"));
        }
        if !subscription.gaps.is_empty() && !may_gap {
            violation(format!("subscription {} was told of gaps: {:?}", subscription.number, subscription.gaps));
        }
    }
}

/// A state that was shown is the fold of the log up to its place.
fn states(reference: &Reference, events: &[Event]) {
    for (at, session, state) in &reference.states {
        let mut projections = Projections::default();
        events.iter().filter(|event| event.seq <= *at).for_each(|event| projections.apply(event));
        let expected = expected_state(&projections, *session);
        if *state != expected {
            violation(format!("the state at {at} was shown as {state:?} and is {expected:?}"));
        }
    }
}

fn expected_state(projections: &Projections, session: Option<SessionId>) -> StateSnapshot {
    // No structured agent is simulated, so that no clock tells of silence.
    let now = Timestamp::default();
    let sessions = match session {
        Some(session) => projections.session(session, now).into_iter().collect(),
        None => projections.page(None, usize::MAX, now).0,
    };
    StateSnapshot { sessions }
}

/// A screen that was shown is what the bytes before it draw: at the sizes that the terminal had, or that the log has. They
/// differ when a size was replaced by another before the disk took it.
fn screen(model: &Model, had: &[(u64, Size)], terminal: TerminalId, offset: u64, shown: &Shown) {
    let Some(facts) = model.terminals.get(&terminal) else {
        return violation(format!("a screen of terminal {terminal}, which is not there"));
    };
    let right = [had, &facts.resizes].into_iter().any(|sizes| {
        // Sizes that hold from this very byte may or may not have come by then.
        let at = sizes.iter().filter(|(of, _)| *of == offset).count();
        (0..=at).any(|count| looks(&draw(facts.first_size, sizes, terminal, offset, count), shown))
    });
    if !right {
        let drawn = draw(facts.first_size, had, terminal, offset, usize::MAX);
        violation(format!("terminal {terminal} was shown at {offset} as {shown:?} and is {:?}", text(&drawn)));
    }
}

/// Draws a terminal from byte 0, with so many of the sizes that hold from the last byte on.
fn draw(first: Size, sizes: &[(u64, Size)], terminal: TerminalId, to: u64, at_the_end: usize) -> Screen {
    let mut screen = Screen::new(first);
    let mut left = at_the_end;
    for (offset, size) in sizes {
        if *offset > to || (*offset == to && left == 0) {
            break;
        }
        left -= usize::from(*offset == to);
        screen.feed(&printed(terminal, screen.offset(), offset - screen.offset()));
        screen.resize(*size);
    }
    screen.feed(&printed(terminal, screen.offset(), to - screen.offset()));
    screen
}

fn text(screen: &Screen) -> Vec<String> {
    (0..screen.size().rows).map(|row| screen.row_text(row)).collect()
}

fn looks(screen: &Screen, shown: &Shown) -> bool {
    match shown {
        // A client whose window is another one is shown what fits into it.
        Shown::Snapshot { bytes, scrollback } => {
            let mut fits = SIZES.iter().map(|window| screen.restore_within(*window, *scrollback));
            screen.restore(*scrollback) == *bytes || fits.any(|fits| fits == *bytes)
        }
        Shown::Text { lines, cursor } => text(screen) == *lines && screen.cursor() == *cursor,
    }
}

/// What was typed came to the program once, in order, and all that was said to be written is there.
fn typed(reference: &Reference, system: &System) {
    let history = system.holder.history();
    for ((client, terminal), written) in &reference.written {
        let Some(history) = history.get(terminal) else { continue };
        let came: Vec<(u64, &[u8])> =
            history.typed.iter().filter(|(of, ..)| of == client).map(|(_, id, bytes)| (*id, &bytes[..])).collect();
        let typed = reference.typed.get(&(*client, *terminal)).cloned().unwrap_or_default();
        let expected: Vec<(u64, &[u8])> = typed.iter().take(came.len()).map(|(id, bytes)| (*id, &bytes[..])).collect();
        if came != expected {
            violation(format!("{client} typed {expected:?} into {terminal}, and {came:?} came"));
        }
        if came.last().is_none_or(|(last, _)| last < written) {
            violation(format!("{client} was told that {written} is written into {terminal}, and {came:?} came"));
        }
    }
}

/// The log has every byte that every program printed, unless what held them died.
fn bytes(model: &Model, system: &System) {
    let Some(composed) = system.composed() else { return };
    for (terminal, history) in system.holder.history() {
        let mut stored = Vec::new();
        loop {
            match composed.daemon.journal.output(terminal, stored.len() as u64, 1 << 20) {
                Ok(page) if page.bytes.is_empty() && !page.damaged => break,
                Ok(page) if page.offset == stored.len() as u64 && !page.damaged => stored.extend(page.bytes),
                other => return violation(format!("the bytes of {terminal} cannot be read: {other:?}")),
            }
        }
        let length = stored.len() as u64;
        if stored != printed(terminal, 0, length) {
            violation(format!("the log has other bytes of {terminal} than were printed"));
        }
        if length > history.printed || (length < history.printed && !history.lost) {
            violation(format!("the log has {length} of {} bytes of {terminal}", history.printed));
        }
        let closed = model.terminals.get(&terminal).and_then(|facts| facts.closed_at);
        if closed.is_some_and(|closed| closed != length) {
            violation(format!("terminal {terminal} was closed at {closed:?} and has {length} bytes"));
        }
    }
}

/// What is said of each session is what is so, and the event that is named as proof says it.
async fn status(model: &Model, system: &System) {
    let answer = system.clients[0].answer(Query::SessionsList { after: None, limit: None }).await;
    let Ok(QueryResult::Sessions { sessions, .. }) = answer.as_ref().map(|answer| answer.result.clone()) else {
        return violation(format!("sessions are not listed: {answer:?}"));
    };
    let told: Vec<_> = sessions
        .into_iter()
        .map(|session| (session.session, session.name, session.status.state, session.status.evidence))
        .collect();
    let living = model.sessions.iter().filter(|(_, session)| !session.deleted);
    let right: Vec<_> =
        living.map(|(id, session)| (*id, session.name.clone(), session.state, session.evidence)).collect();
    if told != right {
        violation(format!("sessions are told as {told:?} and are {right:?}"));
    }
}

/// The daemon's own check finds nothing, and every projection is what the log folds to.
async fn verified(system: &System) {
    match system.clients[1].answer(Query::LogVerify {}).await.map(|answer| answer.result) {
        Ok(QueryResult::LogVerify { report }) if report.intact => {}
        other => violation(format!("the log is not verified: {other:?}")),
    }
}
