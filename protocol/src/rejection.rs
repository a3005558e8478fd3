//! Refusals: a stable code, a sentence, and what to do next.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{CommandId, Seq};

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $retryable:literal, $hint:literal;)*) => {
        /// Why something was refused. Names and numbers are stable.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum Code {
            $($(#[$doc])* $name,)*
        }

        impl Code {
            /// Every code, in the order of the documentation.
            pub const ALL: &[Code] = &[$(Code::$name,)*];

            /// The JSON-RPC error number.
            pub const fn number(self) -> i32 {
                match self { $(Code::$name => $number,)* }
            }

            /// Whether the same request may succeed later. A retryable refusal is never stored as a receipt.
            pub const fn retryable(self) -> bool {
                match self { $(Code::$name => $retryable,)* }
            }

            /// What to do next, in a sentence.
            pub const fn hint(self) -> &'static str {
                match self { $(Code::$name => $hint,)* }
            }
        }
    };
}

codes! {
    /// The frame is not JSON.
    ParseError = -32700, false, "Send one JSON-RPC 2.0 object in a text frame.";
    /// The frame is JSON but not a request.
    InvalidRequest = -32600, false, "A request needs jsonrpc, id, method and params; see /schema.json.";
    /// No such method.
    UnknownMethod = -32601, false, "See /schema.json for the methods of this build.";
    /// A parameter is missing, of the wrong type or out of bounds.
    InvalidParams = -32602, false, "Correct the parameter that the message names.";
    /// A defect of the daemon.
    Internal = -32603, true, "Look at the daemon's log file, which `ropewalk info` names.";
    /// No such command or query in this build.
    UnknownCommand = -32001, false, "Compare builds with `ropewalk info`; see /schema.json for what this one knows.";
    /// No token, or a wrong one.
    Unauthenticated = -32002, false, "Send the token that daemon.json names, as a bearer token or in hello.";
    /// The page that opened this connection is not one of ours.
    ForbiddenOrigin = -32003, false, "Connect from a program on this machine; web pages are refused.";
    /// The Host header names another host: a rebound name.
    ForbiddenHost = -32004, false, "Connect to 127.0.0.1 or localhost by that name.";
    /// The process at the other end belongs to another user.
    ForbiddenPeer = -32005, false, "Run as the user that owns the daemon.";
    /// The token is good for less than that.
    Forbidden = -32008, false, "An agent may read its own session, and prompt the other agents of it. Ask a person to do more.";
    /// Something is over a bound.
    TooLarge = -32006, false, "See docs/limits.md; send it in parts.";
    /// The other side speaks another version.
    UnsupportedVersion = -32007, false, "Run `ropewalk daemon restart`, so that both sides are the same build.";
    /// The command id was used before for another command.
    Conflict = -32010, false, "Mint a new command id for a new command.";
    /// Nothing has that id or name.
    NotFound = -32011, false, "`ropewalk ls` lists what there is.";
    /// More than one thing matches.
    Ambiguous = -32012, false, "Give more of the id, or the whole name.";
    /// Another session has that name.
    NameTaken = -32013, false, "Choose another name, or none.";
    /// It has ended.
    AlreadyEnded = -32014, false, "Start a new one with `ropewalk run`.";
    /// It is running.
    StillRunning = -32015, false, "End it first with `ropewalk end`.";
    /// The directory is not there.
    WorkspaceMissing = -32016, false, "Create the directory, or name another.";
    /// Somebody answered that question before, or it is of no use any more.
    AlreadyAnswered = -32017, false, "The message says who answered, or why it was closed; `ropewalk asks` lists what is open.";
    /// No provider has that name.
    UnknownProvider = -32018, false, "`ropewalk doctor` lists the providers and what of them is installed.";
    /// The agent's program is not installed, or not where the environment's PATH leads.
    AgentMissing = -32019, false, "Install it, or name it with --command; `ropewalk doctor` says how.";
    /// A queue is full.
    Busy = -32020, true, "Try again in a moment, with the same command id.";
    /// There is no room on the disk.
    StorageFull = -32021, true, "Free some space: appends resume by themselves. Reads go on.";
    /// The disk failed.
    StorageFailed = -32022, true, "Look at the daemon's log file and at the disk; `ropewalk log verify` names damage.";
    /// The process that holds the terminals does not answer.
    HolderUnavailable = -32023, true, "Try again; `ropewalk daemon status` shows whether the holder runs.";
    /// The daemon is stopping.
    ShuttingDown = -32024, true, "Try again: the next command starts a new daemon.";
    /// The cursor is beyond the head of the log.
    CursorAhead = -32030, false, "Start again from a snapshot: this cursor is not from this log's past.";
    /// The cursor is of another log.
    WrongLog = -32031, false, "Start again from a snapshot: this daemon's log is another one.";
    /// The connection is not attached to that terminal.
    NotAttached = -32032, false, "Send terminal.attach first, in a mode that may write.";
    /// The session is known but cannot take input now.
    InputRefused = -32033, false, "The message says why: the program has ended, takes no input, or does not read what waits for it.";
    /// What must be known to answer is in a part of the log that cannot be read.
    Unreadable = -32034, false, "`ropewalk log verify` names what is damaged; what is not concerned goes on.";
    /// A budget is spent.
    BudgetSpent = -32035, false, "`ropewalk budget` shows what may be spent, and raises it.";
}

impl Code {
    /// The code's stable name, as in JSON.
    pub fn name(self) -> String {
        serde_json::to_value(self).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
    }
}

/// A refusal, in full.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rejection {
    /// The stable code.
    pub code: Code,
    /// What is wrong, in a sentence.
    pub message: String,
    /// What to do next.
    pub hint: String,
    /// The place in the log that the refusal refers to.
    pub seq: Option<Seq>,
    /// What matched, where more than one thing did.
    pub matches: Vec<String>,
}

impl Rejection {
    /// A refusal with the code's own hint.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: code.hint().to_owned(), seq: None, matches: Vec::new() }
    }

    /// The same, at this place in the log.
    #[must_use]
    pub fn at(mut self, seq: Seq) -> Self {
        self.seq = Some(seq);
        self
    }

    /// The same, with another hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    /// A parameter is wrong.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(Code::InvalidParams, message)
    }

    /// `what` is over its bound.
    pub fn too_large(what: &str, bytes: usize, bytes_max: usize) -> Self {
        Self::new(Code::TooLarge, format!("{what} is {bytes} bytes; {bytes_max} are allowed"))
    }

    /// `what` is not there.
    pub fn not_found(what: impl fmt::Display) -> Self {
        Self::new(Code::NotFound, format!("there is no {what}"))
    }

    /// The id was used for another command.
    pub fn conflict(id: CommandId, seq: Seq) -> Self {
        Self::new(Code::Conflict, format!("command id {id} was used before, for another command")).at(seq)
    }

    /// Whether the same request may succeed later.
    pub const fn retryable(&self) -> bool {
        self.code.retryable()
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.name(), self.message)
    }
}

impl std::error::Error for Rejection {}
