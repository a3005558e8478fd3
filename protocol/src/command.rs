//! What a client may ask to be done. A command changes something, durably and once.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{AgentId, Program, Rejection, SessionId, Size, TerminalId, limits};

/// A change a client asks for. In JSON: `{"type": "session.create", …}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type")]
pub enum Command {
    /// Creates a session and, if a program is named, runs it in a terminal.
    #[serde(rename = "session.create")]
    SessionCreate {
        /// A name people use for it; unique among sessions that are not deleted.
        #[serde(default)]
        name: Option<String>,
        /// The absolute directory the session works in.
        #[serde(default)]
        workspace: Option<String>,
        /// The program to run.
        #[serde(default)]
        program: Option<Program>,
        /// The size of the program's terminal.
        #[serde(default)]
        size: Option<Size>,
    },
    /// Gives a session another name.
    #[serde(rename = "session.rename")]
    SessionRename {
        /// The session.
        session: SessionId,
        /// Its new name.
        name: String,
    },
    /// Writes a remark into a session's history.
    #[serde(rename = "session.annotate")]
    SessionAnnotate {
        /// The session.
        session: SessionId,
        /// The remark, at most 32 KiB.
        text: String,
    },
    /// Ends a session: its programs are asked to stop, then made to.
    #[serde(rename = "session.end")]
    SessionEnd {
        /// The session.
        session: SessionId,
    },
    /// Takes an ended session out of every list. Its history stays in the log.
    #[serde(rename = "session.delete")]
    SessionDelete {
        /// The session.
        session: SessionId,
    },
    /// Gives a terminal another size.
    #[serde(rename = "terminal.resize")]
    TerminalResize {
        /// The terminal's session.
        session: SessionId,
        /// The terminal.
        terminal: TerminalId,
        /// Its new size.
        size: Size,
    },
}

impl Command {
    /// The command's stable name.
    pub const fn name(&self) -> &'static str {
        match self {
            Command::SessionCreate { .. } => "session.create",
            Command::SessionRename { .. } => "session.rename",
            Command::SessionAnnotate { .. } => "session.annotate",
            Command::SessionEnd { .. } => "session.end",
            Command::SessionDelete { .. } => "session.delete",
            Command::TerminalResize { .. } => "terminal.resize",
        }
    }

    /// The session the command is for; `None` when it makes one.
    pub const fn session(&self) -> Option<SessionId> {
        match self {
            Command::SessionCreate { .. } => None,
            Command::SessionRename { session, .. }
            | Command::SessionAnnotate { session, .. }
            | Command::SessionEnd { session }
            | Command::SessionDelete { session }
            | Command::TerminalResize { session, .. } => Some(*session),
        }
    }

    /// Checks every bound that needs no state. A command that fails costs nothing and leaves no receipt.
    ///
    /// # Errors
    /// `invalid_params` or `too_large`, naming the field.
    pub fn check(&self) -> Result<(), Rejection> {
        match self {
            Command::SessionCreate { name, workspace, program, size } => {
                name.as_deref().map_or(Ok(()), check_name)?;
                if let Some(workspace) = workspace {
                    check_workspace(workspace)?;
                }
                program.as_ref().map_or(Ok(()), Program::check)?;
                size.map_or(Ok(()), Size::check)
            }
            Command::SessionRename { name, .. } => check_name(name),
            Command::SessionAnnotate { text, .. } if text.len() > limits::ANNOTATION_BYTES_MAX => {
                Err(Rejection::too_large("text", text.len(), limits::ANNOTATION_BYTES_MAX))
            }
            Command::TerminalResize { size, .. } => size.check(),
            Command::SessionAnnotate { .. } | Command::SessionEnd { .. } | Command::SessionDelete { .. } => Ok(()),
        }
    }
}

fn check_workspace(workspace: &str) -> Result<(), Rejection> {
    if !workspace.starts_with('/') || workspace.contains('\0') {
        return Err(Rejection::invalid("workspace must be an absolute path"));
    }
    if workspace.len() > limits::PATH_BYTES_MAX {
        return Err(Rejection::too_large("workspace", workspace.len(), limits::PATH_BYTES_MAX));
    }
    Ok(())
}

/// A name never needs quoting in a shell, never looks like a flag or a path, and never like an id.
fn check_name(name: &str) -> Result<(), Rejection> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if name.len() > limits::NAME_BYTES_MAX || !starts_well || !name.chars().all(allowed) || name.contains("..") {
        let max = limits::NAME_BYTES_MAX;
        let shown: String = name.chars().take(80).collect();
        return Err(Rejection::invalid(format!("{shown:?} is no name for a session")).hint(format!(
            "Use 1 to {max} letters, digits, '-', '_' and single dots, starting with a letter or digit."
        )));
    }
    if name.parse::<SessionId>().is_ok() {
        return Err(Rejection::invalid(format!("{name:?} looks like an id")).hint("Choose a name that is not a UUID."));
    }
    Ok(())
}

/// What a command that succeeded made. In JSON: `{"type": "session.created", …}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type")]
pub enum CommandResult {
    /// It was done and there is nothing more to say.
    #[serde(rename = "done")]
    Done {},
    /// A session was created.
    #[serde(rename = "session.created")]
    SessionCreated {
        /// The session.
        session: SessionId,
        /// The agent that runs the program, if one was named.
        agent: Option<AgentId>,
        /// The program's terminal, if one was named.
        terminal: Option<TerminalId>,
    },
}
