//! What a client may ask to be told. A query reads a projection or the log and changes nothing.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    AgentId, ArchiveReport, DaemonInfo, Event, EventGap, InteractionId, InteractionView, LogStats, PolicyView,
    PromptView, RecordView, SearchHit, Seq, SessionId, SessionView, Size, TerminalId, TimelineEntry, VerifyReport,
};

/// A question. In JSON: `{"type": "sessions.list", …}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type")]
pub enum Query {
    /// A page of sessions, oldest first.
    #[serde(rename = "sessions.list")]
    SessionsList {
        /// Only sessions after this one.
        #[serde(default)]
        after: Option<SessionId>,
        /// At most this many; bounded by the daemon.
        #[serde(default)]
        limit: Option<u32>,
    },
    /// One session, by id, name or unique prefix of an id.
    #[serde(rename = "session.get")]
    SessionGet {
        /// The reference.
        reference: String,
    },
    /// A page of a session's history, newest first.
    #[serde(rename = "session.timeline")]
    SessionTimeline {
        /// The session.
        session: SessionId,
        /// Only what lies before this place.
        #[serde(default)]
        before: Option<Seq>,
        /// At most this many; bounded by the daemon.
        #[serde(default)]
        limit: Option<u32>,
    },
    /// A page of events, oldest first: those after a place, or the newest before one.
    #[serde(rename = "events.page")]
    EventsPage {
        /// Only this session's.
        #[serde(default)]
        session: Option<SessionId>,
        /// Only this agent's, and what its session says of it. Its session must be named too.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        agent: Option<AgentId>,
        /// Only what lies after this place.
        #[serde(default)]
        after: Seq,
        /// Only what lies before this place, and of that the newest. A place beyond the head asks for the newest there are.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        before: Option<Seq>,
        /// At most this many; bounded by the daemon.
        #[serde(default)]
        limit: Option<u32>,
    },
    /// Finds words in what people read: what is said to agents, what they say, think, do and ask, remarks and names. The newest
    /// come first. So much of the log is read at most, and the answer says where to go on.
    #[serde(rename = "events.search")]
    EventsSearch {
        /// The words, as they stand there; their letters may be large or small.
        text: String,
        /// Only this session's.
        #[serde(default)]
        session: Option<SessionId>,
        /// Only what lies before this place.
        #[serde(default)]
        before: Option<Seq>,
        /// At most this many; bounded by the daemon.
        #[serde(default)]
        limit: Option<u32>,
    },
    /// A terminal's screen as text.
    #[serde(rename = "terminal.screen")]
    TerminalScreen {
        /// The terminal.
        terminal: TerminalId,
        /// Also this many lines of scrollback.
        #[serde(default)]
        scrollback: u32,
    },
    /// A page of open questions, oldest first.
    #[serde(rename = "interactions.list")]
    InteractionsList {
        /// Only this session's.
        #[serde(default)]
        session: Option<SessionId>,
        /// Only those after this one.
        #[serde(default)]
        after: Option<InteractionId>,
    },
    /// The prompts that wait for an agent, the next one first.
    #[serde(rename = "prompts.list")]
    PromptsList {
        /// The session.
        session: SessionId,
        /// The agent.
        agent: AgentId,
    },
    /// What bounds agents and answers for people: budgets and rules.
    #[serde(rename = "policy.get")]
    PolicyGet {
        /// Also those of this session.
        #[serde(default)]
        session: Option<SessionId>,
    },
    /// What the daemon is.
    #[serde(rename = "daemon.info")]
    DaemonInfo {},
    /// How large the log is.
    #[serde(rename = "log.stats")]
    LogStats {},
    /// Whether the whole log is intact. Reads everything: it may take seconds for each gigabyte.
    #[serde(rename = "log.verify")]
    LogVerify {},
    /// One event as it is stored, with what proves it: its chunk, its volume, its receipt.
    #[serde(rename = "log.record")]
    LogRecord {
        /// Its place.
        seq: Seq,
    },
    /// Writes the whole log into a file on the daemon's machine. It must not be there yet. Reads everything: it may take
    /// seconds for each gigabyte.
    #[serde(rename = "log.export")]
    LogExport {
        /// The file's absolute path.
        file: String,
    },
}

impl Query {
    /// The query's stable name.
    pub const fn name(&self) -> &'static str {
        match self {
            Query::SessionsList { .. } => "sessions.list",
            Query::SessionGet { .. } => "session.get",
            Query::SessionTimeline { .. } => "session.timeline",
            Query::EventsPage { .. } => "events.page",
            Query::EventsSearch { .. } => "events.search",
            Query::TerminalScreen { .. } => "terminal.screen",
            Query::InteractionsList { .. } => "interactions.list",
            Query::PromptsList { .. } => "prompts.list",
            Query::PolicyGet { .. } => "policy.get",
            Query::DaemonInfo {} => "daemon.info",
            Query::LogStats {} => "log.stats",
            Query::LogVerify {} => "log.verify",
            Query::LogRecord { .. } => "log.record",
            Query::LogExport { .. } => "log.export",
        }
    }
}

/// The answer to a query. In JSON: `{"type": "sessions", …}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type")]
pub enum QueryResult {
    /// A page of sessions.
    #[serde(rename = "sessions")]
    Sessions {
        /// The page.
        sessions: Vec<SessionView>,
        /// More follow after the last one.
        more: bool,
    },
    /// One session.
    #[serde(rename = "session")]
    Session {
        /// It.
        session: SessionView,
    },
    /// A page of history.
    #[serde(rename = "timeline")]
    Timeline {
        /// The page, newest first.
        entries: Vec<TimelineEntry>,
        /// Older ones exist.
        more: bool,
    },
    /// A page of events.
    #[serde(rename = "events")]
    Events {
        /// The page, oldest first.
        events: Vec<Event>,
        /// There may be more: after the page, or before it where it was asked for with `before`.
        more: bool,
        /// What of the page's range cannot be read, oldest first: it lies between the events or around them.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        gaps: Vec<EventGap>,
        /// What the next page is asked for with, if there may be more: as `after`, or as `before`. A page of few may have
        /// looked at many, so it need not be the place of one of its events.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next: Option<Seq>,
    },
    /// Where words were found.
    #[serde(rename = "found")]
    Found {
        /// The places, newest first.
        hits: Vec<SearchHit>,
        /// Everything from here on was looked through: what the search goes on with as `before`.
        reached: Seq,
        /// There is more to look through.
        more: bool,
        /// What of it cannot be read, oldest first.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        gaps: Vec<EventGap>,
    },
    /// A screen as text.
    #[serde(rename = "screen")]
    Screen {
        /// The offset in the byte stream at which the screen looked like this.
        offset: u64,
        /// The terminal's size.
        size: Size,
        /// The cursor's column, from 0.
        cursor_col: u16,
        /// The cursor's row, from 0.
        cursor_row: u16,
        /// The title the program set.
        title: String,
        /// The program uses the alternate screen.
        alternate: bool,
        /// Lines of scrollback as asked for, then the screen's rows; trailing blanks are cut.
        lines: Vec<String>,
    },
    /// A page of open questions.
    #[serde(rename = "interactions")]
    Interactions {
        /// The page.
        interactions: Vec<InteractionView>,
        /// More follow after the last one.
        more: bool,
    },
    /// The prompts that wait for an agent.
    #[serde(rename = "prompts")]
    Prompts {
        /// The next one first.
        prompts: Vec<PromptView>,
    },
    /// Budgets and rules.
    #[serde(rename = "policy")]
    Policy {
        /// They.
        policy: Box<PolicyView>,
    },
    /// What the daemon is.
    #[serde(rename = "daemon")]
    Daemon {
        /// It.
        daemon: DaemonInfo,
    },
    /// How large the log is.
    #[serde(rename = "log_stats")]
    LogStats {
        /// It.
        stats: LogStats,
    },
    /// Whether the log is intact.
    #[serde(rename = "log_verify")]
    LogVerify {
        /// What was found.
        report: VerifyReport,
    },
    /// One event as it is stored.
    #[serde(rename = "log_record")]
    LogRecord {
        /// It.
        record: Box<RecordView>,
    },
    /// The log was written into a file.
    #[serde(rename = "log_export")]
    LogExport {
        /// What the file holds.
        report: ArchiveReport,
    },
}
