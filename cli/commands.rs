//! Every subcommand.

mod attach;
mod daemon;
mod demo;
mod doctor;
mod events;
mod holder;
mod info;
mod log;
mod mcp;
mod output;
mod run;
mod scripted_agent;
mod send;
mod sessions;
mod structured;
mod tui;
mod wait;

use ropewalk_protocol::{
    Command as Change, CommandAnswer, CommandId, Query, QueryResult, Rejection, SessionView, TerminalId,
};
use ropewalk_transport::client::Client;

use crate::args::{Args, Command};
use crate::connect;
use crate::exit::{FAILURE, Failure, OK};
use crate::paths::Paths;

/// What every subcommand is given.
struct Context {
    json: bool,
    paths: Paths,
}

/// Runs a subcommand; the result is the exit code.
pub(crate) fn dispatch(args: Args) -> Result<u8, Failure> {
    let Args { json, command } = args;
    let command = match command {
        Some(command) => command,
        None if tui::has_terminal() => Command::Tui { read_only: false, plain: false, keys: false },
        None => return info::usage(),
    };
    // What needs no home.
    match &command {
        Command::ScriptedAgent { file } => return scripted_agent::run(file),
        Command::ExecInSession { program } => return Err(holder::exec_in_session(program)),
        Command::OpencodeBridge { serve_for: Some(parent), program } => {
            return Err(crate::opencode_bridge::become_server(*parent, program));
        }
        Command::Mcp { token_file } => return mcp::run(token_file.clone()),
        Command::OpencodeBridge { serve_for: None, program } => return crate::opencode_bridge::run(program),
        Command::Schema { docs, limits } => return info::schema(*docs, *limits),
        Command::Completions { shell } => return info::completions(*shell),
        Command::Tui { keys: true, .. } => return tui::keys(),
        _ => {}
    }
    let context = Context { json, paths: Paths::from_environment()? };
    match command {
        Command::Holder { umask } => holder::run(&context, umask),
        Command::Daemon { command } => daemon::daemon(&context, &command),
        Command::Demo => demo::demo(&context),
        Command::Bench { what, quick, minutes, seed } => crate::bench::bench(what, quick, minutes, seed, json),
        Command::Info => info::info(&context),
        Command::Tui { read_only, plain, .. } => tui::tui(&context, read_only, plain),
        other => client_command(&context, other),
    }
}

/// Subcommands that talk to the daemon.
fn client_command(context: &Context, command: Command) -> Result<u8, Failure> {
    // What is wrong with a log is what these tell of, in words of their own.
    logs(if matches!(command, Command::Log { .. }) { "off" } else { "error" });
    block_on(async {
        match command {
            Command::Run { name, workspace, detach, size, agent, program } => match agent.provider.clone() {
                Some(provider) => {
                    let start = structured::Start { provider, name, workspace, detach, agent };
                    structured::start(context, start).await
                }
                None => run::run(context, run::Run { name, workspace, detach, size, program }).await,
            },
            Command::Ls => sessions::ls(context).await,
            Command::Show { reference } => sessions::show(context, &reference).await,
            Command::Attach { reference, view, scrollback } => {
                attach::attach(context, &reference, view, scrollback).await
            }
            Command::Send { reference, text, no_enter, timeout } => {
                send::send(context, &reference, &text, !no_enter, timeout).await
            }
            Command::Screen { reference, scrollback } => output::screen(context, &reference, scrollback).await,
            Command::Output { reference, after, follow } => output::output(context, &reference, after, follow).await,
            Command::Wait { reference, condition, timeout, quiet } => {
                wait::wait(context, &reference, condition, timeout, quiet).await
            }
            Command::Events { reference, after, follow } => {
                events::events(context, reference.as_deref(), after, follow).await
            }
            Command::Annotate { reference, text } => sessions::annotate(context, &reference, text).await,
            Command::Rename { reference, name } => sessions::rename(context, &reference, name).await,
            Command::Resize { reference, size } => sessions::resize(context, &reference, size).await,
            Command::End { reference } if reference.contains('/') => structured::end(context, &reference).await,
            Command::End { reference } => sessions::end(context, &reference).await,
            Command::Delete { reference } => sessions::delete(context, &reference).await,
            Command::Agents(command) => structured::command(context, command).await,
            Command::Doctor => doctor::doctor(context).await,
            Command::Log { command } => log::log(context, &command).await,
            Command::Daemon { .. }
            | Command::Demo
            | Command::Bench { .. }
            | Command::Info
            | Command::Tui { .. }
            | Command::Holder { .. }
            | Command::ScriptedAgent { .. }
            | Command::ExecInSession { .. }
            | Command::OpencodeBridge { .. }
            | Command::Mcp { .. }
            | Command::Schema { .. }
            | Command::Completions { .. } => Err(Failure::new(FAILURE, "this command needs no daemon")),
        }
    })
}

/// Runs a client's future on this thread.
pub(crate) fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(work);
    // A read of stdin may still wait: it must not keep the process.
    runtime.shutdown_background();
    result
}

/// Clients talk on stderr only when they are asked to, by `ROPEWALK_LOG`.
pub(crate) fn quiet_logs() {
    logs("error");
}

/// Logs on stderr, filtered by `ROPEWALK_LOG` or this.
pub(crate) fn logs(default: &str) {
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_from_env("ROPEWALK_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false);
    // A line that cannot be written would be told of on stderr, which panics where that cannot be written: on a full disk.
    subscriber.log_internal_errors(false).try_init().ok();
}

/// A new command id.
pub(crate) fn mint() -> CommandId {
    CommandId::from(uuid::Uuid::now_v7())
}

/// The session that a reference means.
pub(crate) async fn find(client: &Client, reference: &str) -> Result<SessionView, Failure> {
    let answer = client.query(Query::SessionGet { reference: reference.to_owned() }).await?;
    match answer.result {
        QueryResult::Session { session } => Ok(session),
        _ => Err(unexpected()),
    }
}

/// The terminal that a reference means: its session's newest one.
pub(crate) async fn find_terminal(client: &Client, reference: &str) -> Result<(SessionView, TerminalId), Failure> {
    let session = find(client, reference).await?;
    let terminal = session.terminals.last().map(|terminal| terminal.terminal);
    let missing = || {
        Failure::new(
            FAILURE,
            format!("session {reference} has no terminal: what its agents say is in `ropewalk transcript {reference}`"),
        )
    };
    Ok((session, terminal.ok_or_else(missing)?))
}

pub(crate) fn unexpected() -> Failure {
    Failure::new(FAILURE, "the daemon answered something else").hint("Run `ropewalk daemon restart`.")
}

/// Has a command carried out, once.
pub(crate) async fn change(client: &Client, command: Change) -> Result<CommandAnswer, Rejection> {
    client.command(mint(), command).await
}

impl Context {
    async fn client(&self) -> Result<Client, Failure> {
        connect::connect(&self.paths).await
    }

    /// Prints a value as JSON if that was asked for, else what `text` makes of it.
    fn print<T: serde::Serialize>(&self, value: &T, text: impl FnOnce(&T) -> String) -> Result<u8, Failure> {
        if self.json {
            crate::print::json(value)?;
        } else {
            crate::print::bytes(text(value).as_bytes());
        }
        Ok(OK)
    }
}
