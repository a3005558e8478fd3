//! Where things are: under `ROPEWALK_HOME` if it is set, else where XDG says.

use std::env;
use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::archive::sync_parent;
use crate::exit::{FAILURE, Failure};

/// Linux' bound on the path of a Unix socket, without the NUL.
const SOCKET_PATH_BYTES_MAX: usize = 107;

/// Every path ropewalk uses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Paths {
    /// The one directory they are all under, if they are: processes that are started are told of it.
    pub(crate) home: Option<PathBuf>,
    /// What people write.
    pub(crate) config: PathBuf,
    /// What must not be lost: the log.
    pub(crate) data: PathBuf,
    /// What is useful: log files, the holder's spool.
    pub(crate) state: PathBuf,
    /// What ends with the boot: sockets, the discovery file, the token.
    pub(crate) runtime: PathBuf,
}

impl Paths {
    /// The paths that the environment asks for.
    pub(crate) fn from_environment() -> Result<Self, Failure> {
        let variable = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        if let Some(home) = variable("ROPEWALK_HOME") {
            let home = std::path::absolute(home)?;
            return Ok(Self::under(&home));
        }
        let home = || {
            let missing = Failure::new(FAILURE, "neither HOME nor ROPEWALK_HOME is set");
            variable("HOME").ok_or_else(|| missing.hint("Set ROPEWALK_HOME to a directory of your own."))
        };
        let base = |name: &str, below_home: &str| match variable(name).filter(|path| path.is_absolute()) {
            Some(path) => Ok::<_, Failure>(path.join("ropewalk")),
            None => Ok(home()?.join(below_home).join("ropewalk")),
        };
        let runtime = match variable("XDG_RUNTIME_DIR").filter(|path| path.is_absolute()) {
            Some(path) => path.join("ropewalk"),
            None => env::temp_dir().join(format!("ropewalk-{}", rustix::process::geteuid().as_raw())),
        };
        Ok(Self {
            home: None,
            config: base("XDG_CONFIG_HOME", ".config")?,
            data: base("XDG_DATA_HOME", ".local/share")?,
            state: base("XDG_STATE_HOME", ".local/state")?,
            runtime,
        })
    }

    /// The paths under one directory.
    pub(crate) fn under(home: &Path) -> Self {
        Self {
            home: Some(home.to_owned()),
            config: home.join("config"),
            data: home.join("data"),
            state: home.join("state"),
            runtime: home.join("runtime"),
        }
    }

    /// Makes the directories, for their owner only, and refuses a runtime directory that somebody else could have put there.
    pub(crate) fn create(&self) -> Result<(), Failure> {
        for directory in [&self.data, &self.state, &self.runtime] {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
            made.map_err(|error| Failure::because_io(format_args!("making {}", directory.display()), &error))?;
        }
        let runtime = self.runtime.symlink_metadata()?;
        let ours = runtime.is_dir() && runtime.uid() == rustix::process::geteuid().as_raw();
        if !ours || runtime.mode() & 0o077 != 0 {
            let message = format!("{} is not a directory of yours alone (mode 0700)", self.runtime.display());
            return Err(Failure::new(FAILURE, message).hint("Remove it, or set XDG_RUNTIME_DIR or ROPEWALK_HOME."));
        }
        let longest = self.holder_socket();
        if longest.as_os_str().len() > SOCKET_PATH_BYTES_MAX {
            let message = format!("{} is too long for a socket ({SOCKET_PATH_BYTES_MAX} bytes)", longest.display());
            return Err(Failure::new(FAILURE, message).hint("Set ROPEWALK_HOME or XDG_RUNTIME_DIR to a shorter path."));
        }
        Ok(())
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.data.join("log")
    }

    pub(crate) fn daemon_lock(&self) -> PathBuf {
        self.data.join("daemon.lock")
    }

    pub(crate) fn machine_id(&self) -> PathBuf {
        self.data.join("machine-id")
    }

    /// Checkpoints: deleting them costs time, never data.
    pub(crate) fn checkpoints(&self) -> PathBuf {
        self.data.join("checkpoints")
    }

    pub(crate) fn daemon_log(&self) -> PathBuf {
        self.state.join("daemon.log")
    }

    pub(crate) fn holder_log(&self) -> PathBuf {
        self.state.join("holder.log")
    }

    pub(crate) fn spool(&self) -> PathBuf {
        self.state.join("spool")
    }

    /// What people set for the terminal client.
    pub(crate) fn tui_config(&self) -> PathBuf {
        self.config.join("tui.toml")
    }

    pub(crate) fn discovery(&self) -> PathBuf {
        Self::discovery_in(&self.runtime)
    }

    /// The discovery file of the daemon that has this runtime directory.
    pub(crate) fn discovery_in(runtime: &Path) -> PathBuf {
        runtime.join("daemon.json")
    }

    pub(crate) fn token(&self) -> PathBuf {
        self.runtime.join("token")
    }

    /// What lets agents' MCP servers in: a file for each run.
    pub(crate) fn run_tokens(&self) -> PathBuf {
        self.runtime.join("runs")
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.runtime.join("daemon.sock")
    }

    pub(crate) fn holder_socket(&self) -> PathBuf {
        self.runtime.join("holder.sock")
    }

    pub(crate) fn holder_lock(&self) -> PathBuf {
        self.data.join("holder.lock")
    }
}

/// Writes a file that only its owner may read. A process that is killed leaves it whole or not at all; a power cut may leave
/// it empty.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    std::fs::rename(write_beside(path, bytes)?.0, path)
}

/// The same for what cannot be made again: it is on stable storage when this returns.
pub(crate) fn write_durable(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let (fresh, file) = write_beside(path, bytes)?;
    file.sync_all()?;
    std::fs::rename(fresh, path)?;
    sync_parent(path)
}

fn write_beside(path: &Path, bytes: &[u8]) -> io::Result<(PathBuf, File)> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let fresh = path.with_extension(format!("new-{}", std::process::id()));
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
    file.write_all(bytes)?;
    Ok((fresh, file))
}
