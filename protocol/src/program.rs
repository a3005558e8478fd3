//! What to run and how large its terminal is.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Code, Rejection, limits};

/// A program to run: its arguments, where, and with which environment.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Program {
    /// The program and its arguments; `argv[0]` is looked up in `PATH`.
    pub argv: Vec<String>,
    /// The absolute directory to run in.
    pub directory: String,
    /// The whole environment. It reaches the program and is never stored: it may hold secrets.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
}

impl Program {
    /// Checks the bounds that [`limits`] sets and what no operating system accepts.
    ///
    /// # Errors
    /// `invalid_params`, naming the field.
    pub fn check(&self) -> Result<(), Rejection> {
        if self.argv.is_empty() || self.argv[0].is_empty() {
            return Err(Rejection::invalid("program.argv is empty: name the program to run"));
        }
        let argv_bytes: usize = self.argv.iter().map(String::len).sum();
        if argv_bytes > limits::PROGRAM_ARGV_BYTES_MAX {
            return Err(Rejection::too_large("program.argv", argv_bytes, limits::PROGRAM_ARGV_BYTES_MAX));
        }
        if self.argv.len() > limits::PROGRAM_ARGV_ITEMS_MAX {
            let (count, max) = (self.argv.len(), limits::PROGRAM_ARGV_ITEMS_MAX);
            return Err(Rejection::new(
                Code::TooLarge,
                format!("program.argv has {count} arguments; {max} are allowed"),
            ));
        }
        if self.directory.len() > limits::PATH_BYTES_MAX {
            return Err(Rejection::too_large("program.directory", self.directory.len(), limits::PATH_BYTES_MAX));
        }
        let environment_bytes: usize = self.environment.iter().map(|(name, value)| name.len() + value.len()).sum();
        if environment_bytes > limits::PROGRAM_ENVIRONMENT_BYTES_MAX {
            let max = limits::PROGRAM_ENVIRONMENT_BYTES_MAX;
            return Err(Rejection::too_large("program.environment", environment_bytes, max));
        }
        if !self.directory.starts_with('/') {
            return Err(Rejection::invalid("program.directory must be an absolute path"));
        }
        let texts =
            self.argv.iter().chain([&self.directory]).chain(self.environment.keys()).chain(self.environment.values());
        if texts.into_iter().any(|text| text.contains('\0')) {
            return Err(Rejection::invalid("program holds a NUL byte, which no operating system accepts"));
        }
        if self.environment.keys().any(|name| name.is_empty() || name.contains('=')) {
            return Err(Rejection::invalid("program.environment has a name that is empty or contains '='"));
        }
        Ok(())
    }
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program")
            .field("argv", &self.argv)
            .field("directory", &self.directory)
            .field("environment", &format_args!("[{} names]", self.environment.len()))
            .finish()
    }
}

/// A terminal's size in character cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Size {
    /// Columns, 1 to 1,000.
    pub cols: u16,
    /// Rows, 1 to 1,000.
    pub rows: u16,
}

impl Size {
    /// What a terminal has before anyone says how large it is.
    pub const DEFAULT: Size = Size { cols: 80, rows: 24 };

    /// Checks the bounds that [`limits`] sets.
    ///
    /// # Errors
    /// `invalid_params`, naming the bounds.
    pub fn check(self) -> Result<(), Rejection> {
        let allowed = 1..=limits::TERMINAL_SIDE_CELLS_MAX;
        if allowed.contains(&self.cols) && allowed.contains(&self.rows) {
            return Ok(());
        }
        let max = limits::TERMINAL_SIDE_CELLS_MAX;
        Err(Rejection::invalid(format!("size {self} is out of bounds: 1 to {max} columns and rows")))
    }
}

impl Default for Size {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.cols, self.rows)
    }
}
