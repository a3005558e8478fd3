//! What should be true: what was asked, what was answered, and what was seen. The log must account for all of it.

use std::collections::BTreeMap;

use ropewalk_protocol::{
    ClientId, Code, Command, CommandAnswer, CommandId, CommandResult, Event, Rejection, Seq, SessionId, StateSnapshot,
    TerminalId,
};

use super::readers::{Attachment, Subscription};
use super::trace::{note, violation};

/// Input, under its id.
pub(super) type Input = (u64, Vec<u8>);

/// A command, under its id, and everything that was answered to it.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) id: CommandId,
    /// The command; after it, others that were sent under the same id.
    pub(super) bodies: Vec<Command>,
    /// Which body, and the answer.
    pub(super) answers: Vec<(usize, Result<CommandAnswer, Rejection>)>,
    /// How many wait for an answer.
    pub(super) waiting: usize,
}

impl Asked {
    /// Answers that a repeat must get too: of this body.
    fn settled(&self, body: usize) -> Option<&Result<CommandAnswer, Rejection>> {
        let answers = self.answers.iter().filter(|(of, _)| *of == body).map(|(_, answer)| answer);
        answers.into_iter().find(|answer| is_settled(answer))
    }

    /// Whether the first body got an answer that counts, or was refused because another body had the id before.
    pub(super) fn is_settled(&self) -> bool {
        self.settled(0).is_some()
    }
}

fn is_settled(answer: &Result<CommandAnswer, Rejection>) -> bool {
    !answer.as_ref().is_err_and(|refusal| refusal.retryable() || refusal.code == Code::Unreadable)
}

/// A screen as somebody was shown it.
#[derive(Debug, Clone)]
pub(super) enum Shown {
    /// Escape sequences that draw it, with this many lines above it.
    Snapshot { bytes: Vec<u8>, scrollback: usize },
    /// Its text.
    Text { lines: Vec<String>, cursor: (u16, u16) },
}

/// What should be true.
#[derive(Debug, Default)]
pub(super) struct Reference {
    pub(super) asked: Vec<Asked>,
    /// Every event that any client was ever shown.
    pub(super) seen: BTreeMap<Seq, Event>,
    pub(super) sessions: Vec<SessionId>,
    pub(super) terminals: Vec<(SessionId, TerminalId)>,
    pub(super) subscriptions: Vec<Subscription>,
    pub(super) attachments: Vec<Attachment>,
    /// What each client typed into each terminal.
    pub(super) typed: BTreeMap<(ClientId, TerminalId), Vec<Input>>,
    /// The newest input that a client was told is written.
    pub(super) written: BTreeMap<(ClientId, TerminalId), u64>,
    /// States that somebody was shown, and where in the log they are true.
    pub(super) states: Vec<(Seq, Option<SessionId>, StateSnapshot)>,
    /// Screens that somebody was shown.
    pub(super) screens: Vec<(TerminalId, u64, Shown)>,
}

impl Reference {
    /// A client was shown an event: whoever else is shown this place is shown the same, for ever.
    pub(super) fn see(&mut self, event: &Event) {
        match self.seen.get(&event.seq) {
            Some(before) if before != event => {
                violation(format!("event {} was {before:?} and is {event:?}", event.seq));
            }
            Some(_) => {}
            None => drop(self.seen.insert(event.seq, event.clone())),
        }
    }

    /// An answer came.
    pub(super) fn answered(&mut self, asked: usize, body: usize, answer: Result<CommandAnswer, Rejection>) {
        let short = match &answer {
            Ok(answer) => format!("{} at {}", result_name(&answer.result), answer.seq),
            Err(rejection) => rejection.to_string(),
        };
        note(format!("command {asked} body {body}: {short}"));
        let one = &mut self.asked[asked];
        one.waiting -= 1;
        if is_settled(&answer) {
            match one.settled(body) {
                // A conflict says where the first command is, which a crash may make known only later.
                Some(Err(before))
                    if before.code == Code::Conflict
                        && answer.as_ref().is_err_and(|now| now.code == Code::Conflict) => {}
                Some(before) if *before != answer => {
                    violation(format!("command {asked} ({}) was answered {before:?} and then {answer:?}", one.id));
                }
                _ => {}
            }
        }
        if let Ok(CommandAnswer { result: CommandResult::SessionCreated { session, terminal, .. }, .. }) = &answer
            && !self.sessions.contains(session)
        {
            self.sessions.push(*session);
            self.terminals.extend(terminal.map(|terminal| (*session, terminal)));
        }
        one.answers.push((body, answer));
    }
}

fn result_name(result: &CommandResult) -> &'static str {
    match result {
        CommandResult::Done {} => "done",
        CommandResult::SessionCreated { .. } => "session.created",
        CommandResult::AgentSpawned { .. } => "agent.spawned",
        CommandResult::PromptQueued { .. } => "prompt.queued",
    }
}
