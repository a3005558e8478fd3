//! Terminals: their sizes and where those changed, so that a screen can be drawn again from byte 0.

use std::collections::BTreeMap;

use ropewalk_protocol::{Event, EventBody, SessionId, Size, Stream, TerminalId, TerminalView};
use serde::{Deserialize, Serialize};

/// A terminal's facts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terminal {
    /// Its session.
    pub session: SessionId,
    /// Its size at byte 0.
    pub first_size: Size,
    /// Later sizes, each with the offset it holds from, in order.
    pub resizes: Vec<(u64, Size)>,
    /// How many bytes it had when it closed.
    pub closed_at: Option<u64>,
}

impl Terminal {
    /// Its size now.
    pub fn size(&self) -> Size {
        self.resizes.last().map_or(self.first_size, |(_, size)| *size)
    }
}

/// The terminals of all sessions that are not deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Terminals {
    terminals: BTreeMap<TerminalId, Terminal>,
    of: BTreeMap<SessionId, Vec<TerminalId>>,
}

impl Terminals {
    /// Takes an event in.
    pub fn apply(&mut self, event: &Event) {
        match (&event.stream, &event.body) {
            (Stream::Session(session), EventBody::AgentAdded(added)) => {
                let (session, first_size) = (*session, added.size);
                let terminal = Terminal { session, first_size, resizes: Vec::new(), closed_at: None };
                self.insert(added.terminal, terminal);
            }
            (Stream::Terminal(_, id), EventBody::TerminalResized(resized)) => {
                if let Some(terminal) = self.terminals.get_mut(id) {
                    terminal.resizes.push((resized.offset, resized.size));
                }
            }
            (Stream::Terminal(_, id), EventBody::TerminalClosed(closed)) => {
                if let Some(terminal) = self.terminals.get_mut(id) {
                    terminal.closed_at = Some(closed.offset);
                }
            }
            (Stream::Session(session), EventBody::SessionDeleted(_)) => {
                for id in self.of.remove(session).into_iter().flatten() {
                    self.terminals.remove(&id);
                }
            }
            _ => {}
        }
    }

    pub(crate) fn insert(&mut self, id: TerminalId, terminal: Terminal) {
        self.of.entry(terminal.session).or_default().push(id);
        self.terminals.insert(id, terminal);
    }

    /// One terminal.
    pub fn get(&self, id: TerminalId) -> Option<&Terminal> {
        self.terminals.get(&id)
    }

    /// A session's terminals, as lists show them, oldest first.
    pub fn of(&self, session: SessionId) -> impl Iterator<Item = TerminalView> {
        let ids = self.of.get(&session).into_iter().flatten();
        ids.filter_map(|id| Some((*id, self.terminals.get(id)?))).map(|(terminal, facts)| TerminalView {
            terminal,
            first_size: facts.first_size,
            size: facts.size(),
            closed_at: facts.closed_at,
        })
    }

    /// All terminals.
    pub fn iter(&self) -> impl Iterator<Item = (TerminalId, &Terminal)> {
        self.terminals.iter().map(|(id, terminal)| (*id, terminal))
    }
}
