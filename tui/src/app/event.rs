//! What comes to the state from outside, and what it asks for: values, so that every exchange can be told again.

use std::collections::BTreeMap;

use bytes::Bytes;
use ropewalk_protocol::{
    AgentId, Attached, Command, CommandAnswer, Event as Fact, EventGap, GapReason, InteractionView, LogInfo,
    PolicyView, PromptView, Rejection, Seq, SessionId, SessionView, Size, TerminalId, TimelineEntry, Timestamp,
};
use ropewalk_transport::client::AttachmentItem;

use crate::input::Input;

use super::place::{Place, Target};
use super::search::Hit;

/// How the daemon is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {
    /// It has not answered yet.
    Connecting,
    /// It answers.
    Up {
        /// Its log.
        log: LogInfo,
    },
    /// The connection is gone, and is being made again.
    Lost,
    /// Nobody tries any more, until somebody says so.
    Down {
        /// Why, and what to do.
        reason: String,
    },
}

/// The number of something that was asked for and is answered later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// What may be read anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Read {
    /// A session.
    Session(SessionId),
    /// All open questions.
    Asks,
    /// The prompts that wait for an agent.
    Prompts(SessionId, AgentId),
    /// What bounds the agents of a session.
    Policy(SessionId),
}

/// What was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// A session.
    Session(Box<SessionView>),
    /// It is gone.
    NoSession(SessionId),
    /// All open questions.
    Asks(Vec<InteractionView>),
    /// The prompts that wait for an agent.
    Prompts(SessionId, AgentId, Vec<PromptView>),
    /// What bounds the agents of a session.
    Policy(SessionId, Box<PolicyView>),
    /// It could not be read now.
    Failed(Read, Rejection),
}

/// An older page of what was said with an agent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OlderPage {
    /// The events, oldest first.
    pub events: Vec<Fact>,
    /// Before which place the next page lies; `None`: there is nothing older.
    pub next: Option<Seq>,
    /// What of it cannot be read.
    pub gaps: Vec<EventGap>,
}

/// Something that happens to the client.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The terminal sent something; with the bytes it was.
    Input(Input, Bytes),
    /// The window has another size.
    Resized(Size),
    /// The time has come that was asked for.
    Woken,
    /// The daemon is reached, or not.
    Link(Link),
    /// All sessions, or a part of them.
    Sessions {
        /// They.
        sessions: Vec<SessionView>,
        /// More follow.
        more: bool,
    },
    /// What happened, of all sessions, without the pieces of what agents say.
    Facts(Vec<Fact>),
    /// Facts that will not come: everything is read anew.
    FactsLost,
    /// What was asked for.
    Found(Found),
    /// A session's events are followed from here on.
    Followed(SessionId, Seq),
    /// What happened in a session that is followed.
    Said(SessionId, Vec<Fact>),
    /// Events of a session that is followed, and that will not come.
    SaidGap {
        /// The session.
        session: SessionId,
        /// The first one.
        from: Seq,
        /// The last one.
        to: Seq,
        /// Why.
        reason: GapReason,
    },
    /// It cannot be followed.
    NotFollowed(SessionId, Rejection),
    /// An older page of what was said with an agent.
    Older {
        /// The agent.
        agent: AgentId,
        /// What came before this was asked for.
        before: Seq,
        /// The page, or why it cannot be read.
        page: Result<OlderPage, Rejection>,
    },
    /// A terminal is attached to.
    Attached(TerminalId, Attached),
    /// Something of a terminal.
    Terminal(TerminalId, AttachmentItem),
    /// A command is carried out, or refused.
    Done(Ticket, Result<CommandAnswer, Rejection>),
    /// Files whose names hold what was typed.
    Files {
        /// What was typed.
        typed: String,
        /// They, the best first.
        files: Vec<String>,
    },
    /// A command of a client before this one was refused.
    Left(Box<Command>, Rejection),
    /// A command of a client before this one was carried out.
    LeftDone(Box<Command>, CommandAnswer),
    /// What was typed into a program was not sent: too much waits.
    NotTyped,
    /// The search for this failed.
    SearchFailed(String, Rejection),
    /// What was written in the editor of a prompt; `None`: it failed, or was left without writing.
    Edited(Target, Option<String>),
    /// What a command of the command line said.
    Ran {
        /// The command.
        title: String,
        /// What it printed.
        text: String,
    },
    /// Where something was said.
    Hits {
        /// What was searched for.
        text: String,
        /// Where, the newest first.
        hits: Vec<Hit>,
        /// The search went back to here.
        reached: Seq,
        /// There is more to search.
        more: bool,
    },
    /// A page of a session's history, newest first.
    History {
        /// The session.
        session: SessionId,
        /// It, and whether there is more; or why it cannot be read.
        page: Result<(Vec<TimelineEntry>, bool), Rejection>,
    },
}

/// Something the state asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// A change, carried out once, whatever happens to this client.
    Command(Ticket, Box<Command>),
    /// Something to be read anew.
    Read(Read),
    /// What was said with an agent before this place.
    Older(SessionId, AgentId, Seq),
    /// A page of a session's history before this place.
    History(SessionId, Option<Seq>),
    /// Where something was said, before this place.
    Search(String, Option<SessionId>, Option<Seq>),
    /// Bytes for a program.
    Type(TerminalId, Bytes),
    /// A draft; empty: there is none any more.
    KeepDraft(String, String),
    /// A prompt that was sent, for the history.
    KeepHistory(String),
    /// Where the person is.
    KeepPlace(Box<Place>),
    /// Text for the clipboard.
    Copy(String),
    /// Somebody should look.
    Notify(String),
    /// A prompt to be edited in the person's editor.
    Edit(Target, String),
    /// Files whose names hold this.
    Files(String),
    /// A command of the command line, its words.
    Run(Vec<String>),
    /// Try to reach the daemon again; start it if none runs.
    Reconnect,
    /// The mouse is taken, or left to the terminal.
    Mouse(bool),
    /// The screen is drawn anew.
    Redraw,
    /// The process stops, as a shell's job.
    Suspend,
    /// The end.
    Quit,
}

/// What is to be followed as long as it is on the screen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wants {
    /// Sessions whose events are read.
    pub sessions: Vec<SessionId>,
    /// Terminals, each with the size it is shown at.
    pub terminals: BTreeMap<TerminalId, Size>,
    /// The program that has the keyboard.
    pub keyboard: Option<TerminalId>,
    /// The terminal's title.
    pub title: String,
    /// When the state wants to look at the clock again.
    pub wake: Option<Timestamp>,
}
