//! The `ropewalk` command: the composition of the daemon, and every subcommand.

mod archive;
mod args;
mod bench;
mod check;
mod commands;
mod connect;
mod daemon;
mod exit;
mod launch;
mod opencode_bridge;
mod paths;
mod print;
mod process;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let args = match args::Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            let code = if error.use_stderr() { exit::USAGE } else { exit::OK };
            error.print().ok();
            return ExitCode::from(code);
        }
    };
    match commands::dispatch(args) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            failure.report();
            ExitCode::from(failure.code)
        }
    }
}
