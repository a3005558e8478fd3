//! `ropewalk tui`, and `ropewalk` alone: what the terminal client is given of this machine.

use std::io::{ErrorKind, IsTerminal};
use std::sync::Arc;

use ropewalk_kernel::clock::{Clock, System};
use ropewalk_transport::client::Options;
use ropewalk_tui::app::action::ACTIONS;
use ropewalk_tui::app::settings::{Config, Settings};
use ropewalk_tui::app::state::Provider;
use ropewalk_tui::plain;
use ropewalk_tui::run::{RunError, Start, run};
use ropewalk_tui::session::{Daemon, Fate, Wire};

use super::{Context, doctor};
use crate::connect;
use crate::daemon::discovery::{Discovery, HomeLock};
use crate::exit::{FAILURE, Failure, OK, SIGNAL_BASE, USAGE};
use crate::paths::Paths;

/// Whether there is somebody to show it to.
pub(super) fn has_terminal() -> bool {
    std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

/// Prints the names of all actions, with their keys.
pub(super) fn keys() -> Result<u8, Failure> {
    let rows = ACTIONS
        .iter()
        .map(|row| vec![row.name.to_owned(), row.scope.title().to_owned(), row.keys.to_owned(), row.help.to_owned()]);
    let header = ["ACTION", "WHERE", "KEYS", "DOES"].map(str::to_owned).to_vec();
    let rows: Vec<_> = [header].into_iter().chain(rows).collect();
    crate::print::bytes(crate::print::table(&rows).as_bytes());
    Ok(OK)
}

/// Runs the terminal client until the person leaves.
pub(super) fn tui(context: &Context, read_only: bool, is_plain: bool) -> Result<u8, Failure> {
    if !is_plain && !has_terminal() {
        let failure = Failure::new(USAGE, "the terminal client needs a terminal on stdin and stdout");
        return Err(failure.hint("`ropewalk ls`, `agents`, `transcript` and `asks` print the same."));
    }
    context.paths.create()?;
    log_to_file(&context.paths);
    let config = config(&context.paths)?;
    let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let settings = Settings::new(&config, no_colour).map_err(|error| in_config(&context.paths, &error.to_string()))?;
    let settings = Settings { read_only: settings.read_only || read_only, ..settings };
    let directory = std::env::current_dir()?;
    let paths = context.paths.clone();
    let options = Options { give_up_after: None, ..connect::options(false) };
    let wire = Wire {
        dial: connect::dial(&paths),
        options: named(options),
        daemon: Arc::new(Own(paths.clone())),
        environment: super::run::environment(),
        program: std::env::current_exe()?,
        directory,
    };
    let start = Start {
        wire,
        settings,
        clipboard_command: config.clipboard_command.clone(),
        state: paths.state.join("tui"),
        host: host(),
        home: std::env::var_os("HOME").map(Into::into),
        providers: providers(&config),
        now: || Clock::now(&System),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ended = runtime.block_on(async { if is_plain { plain::run(start).await } else { run(start).await } });
    // A read of the keyboard may still wait: it must not keep the process.
    runtime.shutdown_background();
    match ended {
        Ok(None) => Ok(OK),
        Ok(Some(signal)) => Ok(SIGNAL_BASE.saturating_add(signal)),
        Err(RunError::NoTerminal) => Err(Failure::new(USAGE, RunError::NoTerminal.to_string())),
        Err(RunError::Io(error)) => Err(Failure::because_io("the terminal client", &error)),
    }
}

fn named(mut options: Options) -> Options {
    options.info.name = "ropewalk-tui".to_owned();
    options
}

fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

fn config(paths: &Paths) -> Result<Config, Failure> {
    match std::fs::read_to_string(paths.tui_config()) {
        Ok(text) => Config::read(&text).map_err(|error| in_config(paths, &error)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Config::default()),
        Err(error) => Err(Failure::because_io(paths.tui_config().display(), &error)),
    }
}

fn in_config(paths: &Paths, error: &str) -> Failure {
    Failure::new(FAILURE, format!("{}: {}", paths.tui_config().display(), error.trim_end()))
        .hint("`ropewalk tui --keys` lists the names of actions; without the file the defaults hold.")
}

/// Agents that can be started: a person's own first, then those that are installed.
fn providers(config: &Config) -> Vec<Provider> {
    let own = config.agents.iter().map(|agent| Provider {
        label: agent.name.clone(),
        provider: agent.provider.clone(),
        command: agent.command.clone(),
        missing: None,
        note: None,
    });
    let known = doctor::startable().into_iter().map(|agent| Provider {
        label: agent.name.to_owned(),
        provider: agent.provider,
        command: agent.command,
        missing: agent.missing,
        note: agent.note,
    });
    let mut providers: Vec<_> = own.chain(known).collect();
    if let Some(first) = &config.agent {
        providers.sort_by_key(|provider| provider.label != *first && provider.provider != *first);
    }
    providers
}

/// This machine's daemon.
struct Own(Paths);

impl Daemon for Own {
    fn start(&self) -> Result<(), String> {
        let started = connect::refuse_stopped(&self.0).and_then(|()| connect::start(&self.0));
        started.map(|_| ()).map_err(|failure| failure.message().to_owned())
    }

    fn fate(&self) -> Fate {
        match (HomeLock::holder(&self.0), Discovery::read(&self.0)) {
            (Some(_), _) => Fate::Runs,
            (None, Some(_)) => Fate::Died,
            (None, None) => Fate::Stopped,
        }
    }
}

/// What goes wrong beside the screen goes into a file: the screen is not for it.
fn log_to_file(paths: &Paths) {
    use tracing_subscriber::EnvFilter;
    let Ok(filter) = EnvFilter::try_from_env("ROPEWALK_LOG") else { return };
    let Ok(file) = std::fs::OpenOptions::new().create(true).append(true).open(paths.state.join("tui.log")) else {
        return;
    };
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(Arc::new(file)).with_ansi(false).try_init().ok();
}
