//! The command line.

mod agents;
mod terms;
mod values;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};
use ropewalk_protocol::Size;

pub(crate) use self::agents::{AgentArgs, AgentCommand, FollowArgs, QueueCommand, RUN_EXITS, RunAgentArgs};
pub(crate) use self::terms::{RulesCommand, rule};
pub(crate) use self::values::Condition;
use self::values::{parse_duration, parse_mask, parse_size};

/// Runs AI coding agents and terminal programs as durable sessions.
///
/// Sessions belong to a daemon and outlive the terminal that shows them, the connection, and the daemon itself. REF is a
/// session's name, its id, or a unique prefix of its id; a name goes before a prefix. Set ROPEWALK_HOME to keep everything under one directory.
#[derive(Debug, Parser)]
#[command(name = "ropewalk", version = VERSION, max_term_width = 100, disable_help_subcommand = true)]
pub(crate) struct Args {
    /// Print JSON: one object, or one a line where there are many.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// What to do; without it: the terminal client.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (protocol 1)");

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a program in a new session, and attach to it; or an agent, and follow its turn.
    ///
    /// Without CMD it runs your shell. When the program ends while you are attached, ropewalk exits with its code.
    /// With --provider it starts a structured agent with PROMPT, and prints what the agent says on stdout and what it does on
    /// stderr, until the turn has ended. Ctrl-C cancels the turn; a second one leaves, and the session goes on.
    #[command(
        after_help = format!("{}\n\n{RUN_EXITS}", agents::RUN_HELP),
        mut_arg("timeout", |arg| arg.requires("provider")),
        mut_arg("idle_timeout", |arg| arg.requires("provider").conflicts_with("detach")),
        mut_arg("timeout", |arg| arg.conflicts_with("detach")),
        mut_arg("cost_micro_usd", |arg| arg.requires("provider")),
        mut_arg("tokens", |arg| arg.requires("provider")),
        mut_arg("turns", |arg| arg.requires("provider")),
        mut_arg("time", |arg| arg.requires("provider"))
    )]
    Run {
        /// The session's name.
        #[arg(long)]
        name: Option<String>,
        /// The directory to run in; this one if not given.
        #[arg(long, value_name = "DIR")]
        workspace: Option<PathBuf>,
        /// Do not attach or follow: print the session's id and return once the program, or the agent, was started.
        #[arg(long, short)]
        detach: bool,
        /// The terminal's size, such as 120x40; this terminal's, or 80x24.
        #[arg(long, value_parser = parse_size, conflicts_with = "provider")]
        size: Option<Size>,
        #[command(flatten)]
        agent: RunAgentArgs,
        /// The program and its arguments.
        #[arg(last = true, value_name = "CMD", conflicts_with = "provider")]
        program: Vec<String>,
    },
    /// List sessions.
    Ls,
    /// Show a session: what it runs, how it is, its history.
    Show {
        /// Name, id or unique prefix of an id.
        #[arg(value_name = "REF")]
        reference: String,
    },
    /// Attach to a session's terminal. Detach with ctrl-\.
    Attach {
        /// Name, id or unique prefix of an id.
        #[arg(value_name = "REF")]
        reference: String,
        /// Only look: no input, and the terminal keeps its size.
        #[arg(long)]
        view: bool,
        /// Lines of scrollback to print before the screen.
        #[arg(long, default_value_t = 200)]
        scrollback: u32,
    },
    /// Type into a session's terminal.
    ///
    /// TEXT is typed and followed by Enter; `-` sends what comes on stdin, byte by byte. Returns once the terminal took it.
    /// A terminal whose program does not read takes some 4 KiB; what it has not taken when the time is over stays queued, and
    /// the exit code is 75.
    Send {
        /// Name, id or unique prefix of an id.
        #[arg(value_name = "REF")]
        reference: String,
        /// What to type, or `-`.
        text: String,
        /// Do not press Enter after TEXT.
        #[arg(long)]
        no_enter: bool,
        /// Give up after this time: 30s, 5m, or a number of seconds.
        #[arg(long, default_value = "30s", value_parser = parse_duration, value_name = "D")]
        timeout: Duration,
    },
    /// Print a session's screen as text.
    Screen {
        /// Name, id or unique prefix of an id.
        #[arg(value_name = "REF")]
        reference: String,
        /// Also this many lines of scrollback.
        #[arg(long, default_value_t = 0)]
        scrollback: u32,
    },
    /// Write the exact bytes of a session's terminal to stdout.
    Output {
        /// Name, id or unique prefix of an id.
        #[arg(value_name = "REF")]
        reference: String,
        /// Begin at this byte.
        #[arg(long, default_value_t = 0, value_name = "OFFSET")]
        after: u64,
        /// Go on until the terminal closes.
        #[arg(long, short)]
        follow: bool,
    },
    /// Wait until a session ended, is idle, or shows some text.
    #[command(
        after_help = "CONDITION is one of:\n  ended        every program ended\n  idle         no output for --quiet (a guess: see `since` in --json)\n  text:REGEX   a line of the screen or of new output matches\n\nA terminal echoes what is typed, so text:REGEX also matches the line that `send` typed, or the command in a shell's prompt. Match what the program alone prints: anchor the pattern (text:^done$), let the command compose the word (echo do''ne), or turn echo off first (stty -echo)."
    )]
    Wait {
        /// Name, id or unique prefix of an id.
        #[arg(value_name = "REF")]
        reference: String,
        /// What to wait for.
        #[arg(long = "for", value_name = "CONDITION")]
        condition: Condition,
        /// Give up after this time, with exit code 124: 30s, 5m, or a number of seconds.
        #[arg(long, value_parser = parse_duration, value_name = "D")]
        timeout: Option<Duration>,
        /// How long without output counts as idle.
        #[arg(long, default_value = "1s", value_parser = parse_duration, value_name = "D")]
        quiet: Duration,
    },
    /// Print events.
    Events {
        /// Only this session's.
        #[arg(value_name = "REF")]
        reference: Option<String>,
        /// Only what lies after this place in the log.
        #[arg(long, default_value_t = 0, value_name = "SEQ")]
        after: u64,
        /// Go on as they happen.
        #[arg(long, short)]
        follow: bool,
    },
    /// Write a remark into a session's history.
    Annotate {
        /// Name, id or unique prefix of an id.
        #[arg(value_name = "REF")]
        reference: String,
        /// The remark.
        text: String,
    },
    /// Give a session another name.
    Rename {
        /// Name, id or unique prefix of an id.
        #[arg(value_name = "REF")]
        reference: String,
        /// The new name.
        name: String,
    },
    /// Give a session's terminal another size.
    Resize {
        /// Name, id or unique prefix of an id.
        #[arg(value_name = "REF")]
        reference: String,
        /// The size, such as 120x40.
        #[arg(value_parser = parse_size)]
        size: Size,
    },
    /// End a session, or one agent of it: programs are asked to stop, then made to.
    End {
        /// Name, id or unique prefix of an id; with `/` and an agent's name or id, only that agent ends.
        #[arg(value_name = "REF[/AGENT]")]
        reference: String,
    },
    /// Take an ended session out of every list. Its history stays in the log.
    Delete {
        /// Name, id or unique prefix of an id.
        #[arg(value_name = "REF")]
        reference: String,
    },
    #[command(flatten)]
    Agents(AgentCommand),
    /// Start, stop or look at the daemon.
    Daemon {
        #[command(subcommand)]
        command: DaemonCommand,
    },
    /// Check the log, look into it, copy it, mend it.
    ///
    /// Through the daemon when one runs, else on the files, which only `import` and `repair` change.
    Log {
        #[command(subcommand)]
        command: LogCommand,
    },
    /// See every agent, answer it, and go on where you were: the terminal client. `ropewalk` alone is the same.
    ///
    /// Keys, colours and agents of your own are set in tui.toml in the configuration directory (see `ropewalk info`).
    Tui {
        /// Change nothing: prompts, answers and all other commands are refused.
        #[arg(long)]
        read_only: bool,
        /// Without a screen, for screen readers: what happens is told line by line, and lines are typed.
        #[arg(long)]
        plain: bool,
        /// Print the names of all actions and their keys, for the configuration, and return.
        #[arg(long)]
        keys: bool,
    },
    /// Print the JSON Schema of the wire contract.
    Schema {
        /// Print docs/protocol.md instead.
        #[arg(long, conflicts_with = "limits")]
        docs: bool,
        /// Print docs/limits.md instead.
        #[arg(long)]
        limits: bool,
    },
    /// Print versions and where everything is.
    Info,
    /// Print a completion script for a shell.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// Measure this machine's figures, each beside its physical limit.
    Bench {
        /// What to measure.
        #[arg(default_value = "all")]
        what: Bench,
        /// Less work: figures are rough.
        #[arg(long)]
        quick: bool,
        /// How long `soak` runs.
        #[arg(long, default_value_t = 10.0, value_name = "N")]
        minutes: f64,
        /// Where what `soak` draws begins: when it kills and cuts.
        #[arg(long, default_value_t = 1, value_name = "N")]
        seed: u64,
    },
    /// Say which agents are installed, which version, logged in or not, what is missing and how to get it; and how ropewalk is.
    ///
    /// Looks at files and environment variables by name only: no secret is read or printed. Exits with 0 when at least one agent
    /// can be used and ropewalk's own directories can be written, else with 1.
    Doctor,
    /// A tour on a throwaway home, in half a minute: cut, kill, resume, verify.
    Demo,
    /// The process that holds the terminals.
    #[command(hide = true)]
    Holder {
        /// The file mode mask that programs are given, in octal.
        #[arg(long, value_parser = parse_mask)]
        umask: Option<u32>,
    },
    /// Speaks with `opencode serve` for the daemon, in lines on stdin and stdout.
    #[command(hide = true)]
    OpencodeBridge {
        /// Become the server, and end with the process that has this id.
        #[arg(long)]
        serve_for: Option<u32>,
        /// The program and its first arguments.
        #[arg(last = true, required = true)]
        program: Vec<std::ffi::OsString>,
    },
    /// The MCP server by which an agent drives the other agents of its session, on stdin and stdout.
    #[command(hide = true)]
    Mcp {
        /// Where the token of the agent's run lies.
        #[arg(long, value_name = "FILE")]
        token_file: PathBuf,
    },
    /// The program of provider `scripted`: follows a script.
    #[command(hide = true, long_about = agents::SCRIPT_HELP)]
    ScriptedAgent {
        /// The script.
        file: PathBuf,
    },
    /// Runs a program in a session of its own.
    #[command(hide = true)]
    ExecInSession {
        /// The program and its arguments.
        #[arg(last = true)]
        program: Vec<std::ffi::OsString>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum DaemonCommand {
    /// Start it, if it does not run.
    Start {
        /// Do not go into the background.
        #[arg(long)]
        foreground: bool,
    },
    /// Stop it. Programs go on.
    Stop {
        /// Also end every session and the process that holds the terminals.
        #[arg(long)]
        all: bool,
    },
    /// Stop it and start it again. Programs go on.
    Restart,
    /// Say whether it runs.
    Status,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LogCommand {
    /// Check everything: checksums, hash chain, order, indexes, receipts, bytes, projections.
    Verify,
    /// Say how large it is.
    Stats,
    /// Show one event in full: its data, its chunk, its volume, its receipt.
    Show {
        /// Its place in the log.
        seq: u64,
    },
    /// Print events as JSON lines; what cannot be read is named on stderr.
    Range {
        /// The first place.
        from: u64,
        /// The last one.
        to: u64,
    },
    /// Write the whole log into one file that checks itself.
    ///
    /// Chunks as they are stored, receipts and terminals' bytes, compressed and hash-chained; what cannot be read is named.
    Export {
        /// A file that is not there yet, or `-` for stdout.
        file: PathBuf,
    },
    /// Make the log of an exported file, in a home that has none.
    ///
    /// Everything is checked while it is read. The log is the same one: same id, places, hashes and receipts.
    Import {
        /// The file, or `-` for stdin.
        file: PathBuf,
    },
    /// Put aside what cannot be read, so that a daemon starts. No daemon may run.
    ///
    /// Nothing is deleted: it is moved to `log.quarantine` beside the log.
    Repair {
        /// Only say what would be done.
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Bench {
    Append,
    Replay,
    Fanout,
    Echo,
    Output,
    Attach,
    Idle,
    Recover,
    Agents,
    /// The terminal client.
    Tui,
    /// Mixed load with cuts and kills, for some minutes; not part of `all`.
    Soak,
    All,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    fn parsed(line: &[&str]) -> Result<Command, String> {
        let line = ["ropewalk"].iter().chain(line);
        let args = Args::try_parse_from(line).map_err(|error| error.to_string())?;
        args.command.ok_or_else(|| "no command".to_owned())
    }

    #[test]
    fn a_run_is_of_a_program_or_of_an_agent() {
        let Ok(Command::Run { agent, .. }) = parsed(&["run", "--provider", "claude", "fix", "it", "--model", "m"])
        else {
            panic!("an agent with a prompt");
        };
        assert_eq!((agent.prompt.join(" "), agent.spec.model.as_deref()), ("fix it".to_owned(), Some("m")));
        let Ok(Command::Run { agent, program, .. }) = parsed(&["run", "--", "claude", "--model", "m"]) else {
            panic!("a program");
        };
        assert_eq!((agent.provider, program.len()), (None, 3));
        for wrong in [
            &["run", "fix", "it"][..],
            &["run", "--model", "m"],
            &["run", "--provider", "claude"],
            &["run", "--provider", "claude", "fix it", "--", "true"],
            &["run", "--provider", "claude", "--on-ask", "maybe", "fix it"],
            &["run", "--timeout", "5s", "--", "true"],
        ] {
            assert!(parsed(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn an_answer_may_look_like_a_flag() {
        let answer = parsed(&["answer", "0192", "deny", "-n", "is", "wrong"]);
        let Ok(Command::Agents(AgentCommand::Answer { words, .. })) = answer else {
            panic!("{answer:?}");
        };
        assert_eq!(words, ["deny", "-n", "is", "wrong"]);
    }
}
