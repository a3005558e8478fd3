//! Terminals: their sizes and where those changed, so that a screen can be drawn again from byte 0; and the byte streams of
//! structured agents, which have no screen.

use std::collections::{BTreeMap, BTreeSet};

use ropewalk_protocol::{Event, EventBody, RunAsked, SessionId, Size, Stream, TerminalId, TerminalView};
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
    /// It is what a structured agent writes: bytes without a screen.
    pub pipe: bool,
}

impl Terminal {
    fn open(session: SessionId, first_size: Size, pipe: bool) -> Self {
        Terminal { session, first_size, resizes: Vec::new(), closed_at: None, pipe }
    }

    /// Its size now.
    pub fn size(&self) -> Size {
        self.resizes.last().map_or(self.first_size, |(_, size)| *size)
    }
}

/// The terminals of all sessions that are not deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Terminals {
    terminals: BTreeMap<TerminalId, Terminal>,
    of: BTreeMap<SessionId, BTreeSet<TerminalId>>,
}

impl Terminals {
    /// Takes an event in.
    pub fn apply(&mut self, event: &Event) {
        match (&event.stream, &event.body) {
            (Stream::Session(session), EventBody::AgentAdded(added)) => {
                self.insert(added.terminal, Terminal::open(*session, added.size, false));
            }
            (Stream::Session(session), EventBody::AgentJoined(joined)) => self.add_pipes(*session, &joined.run),
            (Stream::Agent(session, _), EventBody::RunAsked(asked)) => self.add_pipes(*session, asked),
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

    fn add_pipes(&mut self, session: SessionId, asked: &RunAsked) {
        for stream in [asked.output, asked.errors] {
            self.insert(stream, Terminal::open(session, Size::DEFAULT, true));
        }
    }

    pub(crate) fn insert(&mut self, id: TerminalId, terminal: Terminal) {
        self.of.entry(terminal.session).or_default().insert(id);
        self.terminals.insert(id, terminal);
    }

    /// One terminal.
    pub fn get(&self, id: TerminalId) -> Option<&Terminal> {
        self.terminals.get(&id)
    }

    /// A session's terminals, as lists show them, oldest first. What structured agents write is not among them.
    pub fn of(&self, session: SessionId) -> impl Iterator<Item = TerminalView> {
        let ids = self.of.get(&session).into_iter().flatten();
        let facts = ids.filter_map(|id| Some((*id, self.terminals.get(id)?)));
        facts.filter(|(_, facts)| !facts.pipe).map(|(terminal, facts)| TerminalView {
            terminal,
            first_size: facts.first_size,
            size: facts.size(),
            closed_at: facts.closed_at,
        })
    }

    /// All terminals, and what structured agents write.
    pub fn iter(&self) -> impl Iterator<Item = (TerminalId, &Terminal)> {
        self.terminals.iter().map(|(id, terminal)| (*id, terminal))
    }
}
