//! Exit codes, and failures as people see them. `docs/operations.md` lists the codes; a test holds the two together.

use std::fmt::Display;
use std::io::ErrorKind;

use ropewalk_protocol::{Code, Rejection};
use ropewalk_transport::client::ClientError;
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::print;

/// It worked.
pub(crate) const OK: u8 = 0;
/// It did not.
pub(crate) const FAILURE: u8 = 1;
/// The command line is wrong.
pub(crate) const USAGE: u8 = 2;
/// The turn was cancelled.
pub(crate) const CANCELLED: u8 = 3;
/// The log is damaged.
pub(crate) const DAMAGED: u8 = 4;
/// Nobody knows how far the turn went.
pub(crate) const INTERRUPTED: u8 = 5;
/// The agent asked, and the turn was cancelled for it.
pub(crate) const ASKED: u8 = 6;
/// A budget is spent, or the agent went round in circles.
pub(crate) const LIMITED: u8 = 7;
/// There is no daemon and none can be started, or it went away.
pub(crate) const UNREACHABLE: u8 = 69;
/// It may work later.
pub(crate) const TRY_LATER: u8 = 75;
/// The daemon does not let us in.
pub(crate) const NOT_ALLOWED: u8 = 77;
/// The time was over.
pub(crate) const TIMEOUT: u8 = 124;
/// The program could not be started.
pub(crate) const CANNOT_RUN: u8 = 127;
/// A signal ended it: 128 and the signal's number.
pub(crate) const SIGNAL_BASE: u8 = 128;

/// Why a command did not work.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Failure {
    pub(crate) code: u8,
    message: String,
    hint: Option<String>,
    matches: Vec<String>,
    /// Another daemon has the home: whoever wanted one may use that.
    pub(crate) home_taken: bool,
}

impl Failure {
    pub(crate) fn new(code: u8, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: None, matches: Vec::new(), home_taken: false }
    }

    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// `message: error`, as a plain failure.
    pub(crate) fn because(message: impl Display, error: impl Display) -> Self {
        Self::new(FAILURE, format!("{message}: {error}"))
    }

    /// The same for the operating system's errors: what may work later is said to.
    pub(crate) fn because_io(message: impl Display, error: &std::io::Error) -> Self {
        Self::of_io(format!("{message}: {error}"), error)
    }

    fn of_io(message: String, error: &std::io::Error) -> Self {
        match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Rejection::new(Code::StorageFull, message).into(),
            _ => Self::new(FAILURE, message).or_out_of_files(),
        }
    }

    /// Says what helps, if it is descriptors that are short. Whichever package met that passed it on as text.
    fn or_out_of_files(self) -> Self {
        let is_short = |errno: Errno| self.message.contains(&format!("(os error {})", errno.raw_os_error()));
        if ![Errno::MFILE, Errno::NFILE].into_iter().any(is_short) {
            return self;
        }
        let hint = "Raise the limit of open files (`ulimit -n`), or close some, and try again.";
        Self { code: TRY_LATER, ..self.hint(hint) }
    }

    /// The same, as why there is no daemon.
    #[must_use]
    pub(crate) fn while_starting(self) -> Self {
        let failure = self.or_out_of_files();
        let code = if failure.code == FAILURE { UNREACHABLE } else { failure.code };
        Self { code, message: format!("the daemon did not start: {}", failure.message), ..failure }
    }

    /// What is wrong, in a sentence.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// Says it on stderr.
    pub(crate) fn report(&self) {
        let mut text = format!("{} {}", print::red("error:"), self.message);
        for one in &self.matches {
            text.push_str(&format!("\n  {one}"));
        }
        if let Some(hint) = &self.hint {
            text.push_str(&format!("\n{} {hint}", print::bold("next:")));
        }
        print::talk(&text);
    }
}

impl From<Rejection> for Failure {
    fn from(rejection: Rejection) -> Self {
        let code = match rejection.code {
            Code::InvalidParams | Code::Ambiguous => USAGE,
            Code::Unauthenticated
            | Code::Forbidden
            | Code::ForbiddenOrigin
            | Code::ForbiddenHost
            | Code::ForbiddenPeer => NOT_ALLOWED,
            Code::ShuttingDown => UNREACHABLE,
            Code::Unreadable => DAMAGED,
            _ if rejection.retryable() => TRY_LATER,
            _ => FAILURE,
        };
        let message = format!("{} ({})", rejection.message, rejection.code.name());
        Self { code, message, hint: Some(rejection.hint), matches: rejection.matches, home_taken: false }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Refused(rejection) => rejection.into(),
            unreachable @ ClientError::Unreachable(_) => {
                Self::new(UNREACHABLE, unreachable.to_string()).hint("Start the daemon with `ropewalk daemon start`.")
            }
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::of_io(error.to_string(), &error)
    }
}
