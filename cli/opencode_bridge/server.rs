//! The server: a child that ends with this process, on a port and with a password that nobody else knows.

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, getppid, kill_process, set_parent_process_death_signal};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::http::Http;
use crate::exit::{CANNOT_RUN, FAILURE, Failure, SIGNAL_BASE};

/// How long the server has from SIGTERM to SIGKILL.
const STOP_PATIENCE: Duration = Duration::from_secs(3);
/// The name that goes with the password.
const USER: &str = "opencode";

pub(super) struct Server {
    child: Child,
    address: SocketAddr,
    password: String,
}

impl Server {
    pub(super) fn start(program: &[OsString]) -> Result<Self, Failure> {
        let password = random_word()?;
        // Free a moment ago. If somebody took it meanwhile, the server cannot start, and says so.
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        // Its stdout is for people: our own is the agent's.
        let stdout = Stdio::from(std::io::stderr().as_fd().try_clone_to_owned()?);
        let child = Command::new("/proc/self/exe")
            .args(["opencode-bridge", "--serve-for", &std::process::id().to_string(), "--"])
            .args(program)
            .args(["serve", "--hostname", &address.ip().to_string(), "--port", &address.port().to_string()])
            .env("OPENCODE_SERVER_USERNAME", USER)
            .env("OPENCODE_SERVER_PASSWORD", &password)
            .stdin(Stdio::null())
            .stdout(stdout)
            .kill_on_drop(true)
            .spawn()?;
        Ok(Self { child, address, password })
    }

    pub(super) fn http(&self) -> Http {
        Http::new(self.address, USER, &self.password)
    }

    /// Waits until it has ended.
    pub(super) async fn ended(&mut self) -> std::io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Ends it.
    pub(super) async fn stop(&mut self) -> std::io::Result<ExitStatus> {
        if let Some(pid) = self.child.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?)) {
            // It is a child that was not waited for: the id is its.
            kill_process(pid, Signal::TERM).ok();
        }
        match timeout(STOP_PATIENCE, self.child.wait()).await {
            Ok(status) => status,
            Err(_) => {
                self.child.start_kill()?;
                self.child.wait().await
            }
        }
    }
}

/// Becomes the server, which is killed when the process with this id is gone. Returns only if it cannot.
pub(crate) fn become_server(parent: u32, program: &[OsString]) -> Failure {
    if let Err(error) = set_parent_process_death_signal(Some(Signal::KILL)) {
        return Failure::because("the server cannot be bound to its parent", error);
    }
    // It may have gone before.
    if getppid().map(|pid| pid.as_raw_nonzero().get()) != i32::try_from(parent).ok() {
        return Failure::new(FAILURE, "the parent is gone");
    }
    let Some((name, arguments)) = program.split_first() else {
        return Failure::new(CANNOT_RUN, "no program is named");
    };
    let error = std::process::Command::new(name).args(arguments).exec();
    Failure::new(CANNOT_RUN, format!("{}: {error}", name.display()))
}

/// How it ended, as JSON.
pub(super) fn described(status: ExitStatus) -> serde_json::Value {
    match (status.code(), status.signal()) {
        (Some(code), _) => serde_json::json!({ "code": code }),
        (None, signal) => serde_json::json!({ "signal": signal }),
    }
}

/// How it ended, as an exit code.
pub(super) fn code_of(status: ExitStatus) -> u8 {
    let signal = || status.signal().and_then(|signal| u8::try_from(signal).ok()).unwrap_or_default();
    match status.code() {
        Some(code) => u8::try_from(code).unwrap_or(FAILURE),
        None => SIGNAL_BASE.saturating_add(signal()),
    }
}

fn random_word() -> std::io::Result<String> {
    let mut bytes = [0; 32];
    let mut filled = 0;
    while filled < bytes.len() {
        filled += rustix::rand::getrandom(&mut bytes[filled..], rustix::rand::GetRandomFlags::empty())?;
    }
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
