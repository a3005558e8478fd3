//! `ropewalk info`, `schema` and `completions`.

use clap::CommandFactory;
use ropewalk_protocol::{PROTOCOL_VERSION, schema};
use serde::Serialize;

use super::Context;
use crate::args::Args;
use crate::daemon::build;
use crate::daemon::discovery::{Discovery, HomeLock};
use crate::exit::{Failure, OK};
use crate::paths::Paths;
use crate::print;

#[derive(Serialize)]
struct Info {
    version: &'static str,
    build: String,
    protocol: u16,
    paths: Paths,
    daemon_log: std::path::PathBuf,
    daemon_pid: Option<u32>,
    daemon: Option<Discovery>,
}

pub(super) fn info(context: &Context) -> Result<u8, Failure> {
    let paths = context.paths.clone();
    let info = Info {
        version: env!("CARGO_PKG_VERSION"),
        build: build(),
        protocol: PROTOCOL_VERSION,
        daemon_log: paths.daemon_log(),
        daemon_pid: HomeLock::holder(&paths),
        daemon: Discovery::read(&paths),
        paths,
    };
    context.print(&info, |info| {
        let path = |path: &std::path::Path| path.display().to_string();
        let rows = [
            ("version", info.version.to_owned()),
            ("build", info.build.clone()),
            ("protocol", info.protocol.to_string()),
            ("config", path(&info.paths.config)),
            ("data", path(&info.paths.data)),
            ("state", path(&info.paths.state)),
            ("runtime", path(&info.paths.runtime)),
            ("daemon's log file", path(&info.daemon_log)),
            ("daemon", info.daemon_pid.map_or("does not run".to_owned(), |pid| format!("process {pid}"))),
        ];
        print::table(&rows.map(|(name, value)| vec![name.to_owned(), value]))
    })
}

pub(super) fn schema(docs: bool, limits: bool) -> Result<u8, Failure> {
    let text = match (docs, limits) {
        (true, _) => schema::protocol_page(),
        (_, true) => schema::limits_page(),
        _ => {
            let json = serde_json::to_string_pretty(&schema::json_schema());
            format!("{}\n", json.map_err(|error| Failure::because("the schema", error))?)
        }
    };
    print::bytes(text.as_bytes());
    Ok(OK)
}

pub(super) fn completions(shell: clap_complete::Shell) -> Result<u8, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "ropewalk", &mut script);
    print::bytes(&script);
    Ok(OK)
}

/// What may be typed, for whoever typed nothing where no terminal client can be shown.
pub(super) fn usage() -> Result<u8, Failure> {
    crate::print::talk(&Args::command().render_help().to_string());
    Ok(crate::exit::USAGE)
}
