//! Which agents are installed, which version, and whether somebody is logged in, as far as files tell without their secrets.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde::Serialize;
use tokio::io::AsyncReadExt;
use tokio::time::timeout;

use super::known::{Known, Place, is_older, version};

/// What a program has to tell its version.
const VERSION_TIME: Duration = Duration::from_secs(5);
/// What is read of what it prints.
const PRINTED_BYTES_MAX: u64 = 16 * 1024;
/// What is read of a file that must say something.
const FILE_BYTES_MAX: u64 = 256 * 1024;

/// How an agent is on this machine.
#[derive(Debug, Serialize)]
pub(super) struct Agent {
    pub(super) name: &'static str,
    /// What `ropewalk run` takes to start it.
    pub(super) run: &'static str,
    /// Where its program is.
    pub(super) program: Option<PathBuf>,
    pub(super) version: Option<String>,
    /// What tells that somebody is logged in: a file or a variable, by name.
    pub(super) login: Option<String>,
    /// It is installed, and there is a sign of a login.
    pub(super) usable: bool,
    /// What to do about what is missing.
    pub(super) next: Vec<String>,
}

/// An agent, and how it is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Startable {
    pub(in super::super) name: &'static str,
    pub(in super::super) provider: String,
    /// The program, where it is not the provider's usual one.
    pub(in super::super) command: Vec<String>,
    /// What to do before it can be started.
    pub(in super::super) missing: Option<String>,
    /// What may be wrong with it.
    pub(in super::super) note: Option<String>,
}

/// Where things are looked for.
#[derive(Clone, Copy)]
pub(super) struct Where {
    variable: fn(&str) -> Option<OsString>,
}

impl Where {
    pub(super) fn environment() -> Self {
        Self { variable: |name| std::env::var_os(name).filter(|value| !value.is_empty()) }
    }

    fn directory(self, name: &str) -> Option<PathBuf> {
        (self.variable)(name).map(PathBuf::from)
    }

    fn find(self, program: &str) -> Option<PathBuf> {
        let path = (self.variable)("PATH")?;
        std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| is_program(file))
    }

    /// What tells of a login, by name.
    fn login(self, known: &Known) -> Option<String> {
        let variable = known.variables.iter().find(|name| (self.variable)(name).is_some());
        variable.map(|name| format!("{name} is set")).or_else(|| {
            let files = known.files.iter().filter_map(|place| self.file(place));
            files.into_iter().next().map(|file| file.display().to_string())
        })
    }

    fn file(self, place: &Place) -> Option<PathBuf> {
        let named = || Some(self.directory(place.variable)?.join(place.below_variable));
        let at_home = || Some(self.directory("HOME")?.join(place.below_home));
        let file = named().or_else(at_home)?.join(place.file);
        let is_there = match place.says {
            None => file.is_file(),
            Some(word) => says(&file, word),
        };
        is_there.then_some(file)
    }

    /// Whether one could be started, as far as files tell: no program is asked.
    pub(super) fn startable(self, known: &'static Known) -> Startable {
        let words = known.run.split_whitespace().collect::<Vec<_>>();
        let after = |name: &str| words.iter().position(|word| *word == name).and_then(|at| words.get(at + 1));
        let missing = self.find(known.program).is_none().then(|| format!("not installed: {}", known.install));
        let note = self.login(known).is_none().then(|| format!("no sign of a login: {}", known.log_in));
        Startable {
            name: known.name,
            provider: (*after("--provider").unwrap_or(&"acp")).to_owned(),
            command: after("--command").map(|program| vec![(*program).to_owned()]).unwrap_or_default(),
            missing,
            note,
        }
    }

    /// Looks at one agent.
    pub(super) async fn look(self, known: &'static Known) -> Agent {
        let program = self.find(known.program);
        let login = self.login(known);
        let mut next = Vec::new();
        let mut found = None;
        match &program {
            None => next.push(format!("install it: {}", known.install)),
            Some(program) => {
                found = ask_version(program).await;
                match &found {
                    Some(version) if is_older(version, known.oldest) => next
                        .push(format!("{version} is older than what was tried, {}: {}", known.oldest, known.install)),
                    Some(_) => {}
                    None => next.push(format!("it does not tell its version: run `{} --version`", program.display())),
                }
                if login.is_none() {
                    next.push(format!("no sign of a login: {}", known.log_in));
                }
            }
        }
        let usable = program.is_some() && login.is_some();
        Agent { name: known.name, run: known.run, program, version: found, login, usable, next }
    }
}

fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata().is_ok_and(|is| is.is_file() && is.permissions().mode() & 0o111 != 0)
}

fn says(file: &Path, word: &str) -> bool {
    use std::io::Read;
    let mut text = Vec::new();
    let read = std::fs::File::open(file).and_then(|file| file.take(FILE_BYTES_MAX).read_to_end(&mut text));
    read.is_ok() && String::from_utf8_lossy(&text).contains(word)
}

/// What `--version` prints, in a moment; whatever it started meanwhile is ended with it.
async fn ask_version(program: &Path) -> Option<String> {
    let mut command = tokio::process::Command::new(program);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    command.env("DISABLE_AUTOUPDATER", "1").env("OPENCODE_DISABLE_AUTOUPDATE", "1");
    let mut child = command.process_group(0).kill_on_drop(true).spawn().ok()?;
    let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
    let mut printed = Vec::new();
    if let Some(out) = child.stdout.take() {
        timeout(VERSION_TIME, out.take(PRINTED_BYTES_MAX).read_to_end(&mut printed)).await.ok();
    }
    if let Some(group) = group {
        rustix::process::kill_process_group(group, rustix::process::Signal::KILL).ok();
    }
    child.wait().await.ok();
    version(&String::from_utf8_lossy(&printed)).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::super::known::ALL;
    use super::*;

    #[test]
    fn what_is_not_there_is_named_with_what_gets_it() {
        let nowhere = Where { variable: |_| None };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        for known in ALL {
            let agent = runtime.block_on(nowhere.look(known));
            assert!(!agent.usable && agent.program.is_none() && agent.login.is_none());
            assert_eq!(agent.next, [format!("install it: {}", known.install)]);
        }
    }

    #[test]
    fn a_variable_is_a_sign_of_a_login_and_is_never_shown() {
        let keyed = Where { variable: |name| (name == "ANTHROPIC_API_KEY").then(|| "secret".into()) };
        assert_eq!(keyed.login(&ALL[0]), Some("ANTHROPIC_API_KEY is set".to_owned()));
        assert_eq!(keyed.login(&ALL[1]), None);
    }
}
