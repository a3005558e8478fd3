//! A daemon as far as a client sees it: a log, told by hand and by commands, what is folded from it, and programs' bytes.
//! Its clock moves when it is told to.

mod commands;
mod reads;
mod story;

use std::collections::BTreeMap;

use ropewalk_projections::Projections;
use ropewalk_protocol::{
    AgentId, Answer, Cause, CommandId, Event, EventBody, InteractionId, LogId, LogInfo, Rejection, Seq, SessionId,
    SessionView, Stream, TerminalId, Timestamp,
};

pub(crate) use self::story::Who;

/// When every story begins: a Friday in autumn, at ten.
const BEGINNING: Timestamp = Timestamp::from_unix_micros(1_763_719_200_000_000);
/// The directory that clients are started in.
pub(crate) const DIRECTORY: &str = "/home/ada/work/shop";
/// What the client under test calls itself.
pub(crate) const HERE: &str = "ropewalk-tui";

/// A daemon, its machine and whoever else there is.
pub(crate) struct World {
    /// The time.
    pub(crate) now: Timestamp,
    /// Events in a page of what was said before.
    pub(crate) page_events: usize,
    /// Events of the log that cannot be read: the first and the last.
    pub(crate) damaged: Option<(Seq, Seq)>,
    /// No page can be read.
    pub(crate) disk_fails: bool,
    /// What is said to the next command instead of carrying it out.
    pub(crate) refuses: Option<Rejection>,
    events: Vec<Event>,
    projections: Projections,
    outputs: BTreeMap<TerminalId, Vec<u8>>,
    ids: u64,
    /// For how long questions wait; nothing: for as long as it takes.
    patience: Option<u64>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            now: BEGINNING,
            page_events: 60,
            damaged: None,
            disk_fails: false,
            refuses: None,
            events: Vec::new(),
            projections: Projections::default(),
            outputs: BTreeMap::new(),
            ids: 0,
            patience: None,
        }
    }

    /// Another id: made now, and unlike all others.
    fn id(&mut self) -> [u8; 16] {
        self.ids += 1;
        let mut id = [0; 16];
        id[..6].copy_from_slice(&self.now.unix_millis().to_be_bytes()[2..]);
        id[6] = 0x70;
        id[8] = 0x80;
        id[10..].copy_from_slice(&self.ids.to_be_bytes()[2..]);
        id
    }

    /// Time goes by.
    pub(crate) fn later(&mut self, millis: u64) -> &mut Self {
        self.now = self.now.plus_millis(millis);
        self
    }

    /// Something happens by itself.
    pub(crate) fn tell(&mut self, stream: Stream, body: impl Into<EventBody>) -> Seq {
        self.append(stream, None, body.into())
    }

    /// Something happens because somebody asked for it.
    fn tell_for(&mut self, client: &str, stream: Stream, body: impl Into<EventBody>) -> Seq {
        let cause = Cause { command: CommandId::from_bytes(self.id()), client: client.to_owned() };
        self.append(stream, Some(cause), body.into())
    }

    fn append(&mut self, stream: Stream, cause: Option<Cause>, body: EventBody) -> Seq {
        let seq = self.head().next();
        let event = Event { seq, stream, at: self.now, cause, body };
        self.projections.apply(&event);
        self.events.push(event);
        seq
    }

    /// The newest event.
    pub(crate) fn head(&self) -> Seq {
        self.events.last().map(|event| event.seq).unwrap_or_default()
    }

    /// The log.
    pub(crate) fn log(&self) -> LogInfo {
        LogInfo { id: LogId::from_bytes([7; 16]), head: self.head() }
    }

    /// What happened after this event.
    pub(crate) fn after(&self, seq: Seq) -> &[Event] {
        let from = usize::try_from(seq.0).unwrap_or(usize::MAX).min(self.events.len());
        &self.events[from..]
    }

    /// All sessions.
    pub(crate) fn sessions(&self) -> Vec<SessionView> {
        self.projections.page(None, usize::MAX, self.now).0
    }

    /// A session's first agent.
    pub(crate) fn somebody(&self, session: SessionId) -> Who {
        let agent = self.projections.agents().of(session).next().expect("an agent").agent;
        self.who(session, agent).expect("it is known")
    }

    /// What was answered to a question.
    pub(crate) fn answer_to(&self, interaction: InteractionId) -> Option<Answer> {
        self.events.iter().find_map(|event| match &event.body {
            EventBody::Answered(answered) if answered.interaction == interaction => Some(answered.answer.clone()),
            _ => None,
        })
    }

    /// Everything that happened, as text.
    pub(crate) fn told(&self) -> String {
        self.events.iter().map(|event| format!("{:?}\n", event.body)).collect()
    }

    /// What a program has written so far.
    pub(crate) fn output(&self, terminal: TerminalId) -> &[u8] {
        self.outputs.get(&terminal).map(Vec::as_slice).unwrap_or_default()
    }

    /// Whether a program's bytes are complete.
    pub(crate) fn is_closed(&self, terminal: TerminalId) -> bool {
        let is_end = |event: &Event| matches!((&event.stream, &event.body), (Stream::Terminal(_, of), EventBody::TerminalClosed(_)) if *of == terminal);
        self.events.iter().any(is_end)
    }

    /// The session of a terminal.
    pub(crate) fn session_of(&self, terminal: TerminalId) -> Option<SessionId> {
        let agent = self.projections.agents().iter().find(|(_, agent)| agent.terminal == terminal);
        agent.map(|(session, _)| session)
    }

    /// Whether an event is of an agent: what it does, and that it came.
    fn is_of(event: &Event, agent: AgentId) -> bool {
        match (&event.stream, &event.body) {
            (Stream::Agent(_, of), _) => *of == agent,
            (_, EventBody::AgentJoined(joined)) => joined.agent == agent,
            _ => false,
        }
    }
}
