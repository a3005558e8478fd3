//! Homes that other builds wrote: one of an older format is read to its last event and gone on with, one of a later format is
//! refused and left as it is.
//!
//! `fixtures/format-1` is the data directory of the last build that had no write-ahead log, without locks and ballast, as it
//! left it when it was stopped, and what that build then said of it: `log range`, `log verify --json`, `output job`.

use std::fs;
use std::path::{Path, PathBuf};

use ropewalk_protocol::{Code, Command, Event, EventBody};
use serde_json::Value;

use crate::harness::{Home, block_on};
use crate::log_tool::contents;

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/format-1")
}

/// A home with a data directory like this one.
fn home_with(data: &Path) -> Home {
    let home = Home::new();
    for (path, bytes) in contents(data) {
        let to = home.path().join("data").join(Path::new(&path).strip_prefix(data).unwrap());
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::write(to, bytes).unwrap();
    }
    home
}

/// The command that an event came of, if it was one of these.
fn command_of(event: &Event) -> Option<Command> {
    let session = event.stream.session()?;
    match &event.body {
        EventBody::SessionAnnotated(it) => Some(Command::SessionAnnotate { session, text: it.text.clone() }),
        EventBody::SessionRenamed(it) => Some(Command::SessionRename { session, name: it.name.clone() }),
        _ => None,
    }
}

#[test]
fn a_log_from_before_the_write_ahead_log_is_read_to_its_last_event_and_gone_on_with() {
    let home = home_with(&fixture().join("data"));
    let events = fs::read_to_string(fixture().join("events.jsonl")).unwrap();
    let stored: Vec<Event> = events.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let said: Value = serde_json::from_str(&fs::read_to_string(fixture().join("verify.json")).unwrap()).unwrap();
    let last = stored.len().to_string();
    let verify = || serde_json::from_str::<Value>(&home.ok(&["log", "verify", "--json"])).unwrap();
    let on_files = verify();
    for what in ["intact", "head", "events", "chunks", "volumes", "receipts", "output_bytes", "terminals", "chain"] {
        assert_eq!(on_files[what], said[what], "{what}");
    }
    assert_eq!(home.ok(&["log", "range", "1", &last]), events, "on the files");
    assert!(!home.path().join("data/log/FORMAT").exists(), "looking changes nothing");
    home.start();
    assert_eq!(home.ok(&["log", "range", "1", &last]), events);
    assert_eq!(home.run(&["output", "job"]).stdout, fs::read(fixture().join("job.output")).unwrap());
    block_on(async {
        let client = home.client().await;
        let mut repeated = 0;
        for event in &stored {
            let (Some(cause), Some(command)) = (&event.cause, command_of(event)) else { continue };
            repeated += 1;
            let again = client.command(cause.command, command).await.unwrap();
            assert_eq!(again.seq, event.seq, "a repeat has the first answer");
            let other = Command::SessionAnnotate { session: event.stream.session().unwrap(), text: "other".to_owned() };
            assert_eq!(client.command(cause.command, other).await.unwrap_err().code, Code::Conflict);
        }
        assert_eq!(repeated, 3);
    });
    home.ok(&["annotate", "notebook", "of this build"]);
    home.ok(&["daemon", "restart"]);
    home.ok(&["annotate", "notebook", "after a restart"]);
    home.kill_daemon();
    home.start();
    let all = home.ok(&["events", "notebook", "--json"]);
    let remarks = ["the last one", "of this build", "after a restart"];
    assert_eq!(remarks.map(|text| all.matches(text).count()), [1, 1, 1], "{all}");
    let report = verify();
    assert_eq!(report["intact"], true, "{report}");
    home.ok(&["daemon", "stop"]);
    assert_eq!(verify()["intact"], true);
}

#[test]
fn a_log_of_a_later_format_is_refused_with_both_builds_and_the_next_step_and_left_as_it_is() {
    let home = Home::started();
    home.ok(&["run", "--detach", "--name", "job", "--", "true"]);
    home.ok(&["wait", "job", "--for", "ended", "--timeout", "60s"]);
    home.ok(&["annotate", "job", "acknowledged"]);
    // What was acknowledged last is in the write-ahead log only.
    home.kill_daemon();
    let log = home.path().join("data/log");
    let own = fs::read(log.join("FORMAT")).unwrap();
    let said = "format 99\nbuild 9.9.9+future\n";
    fs::write(log.join("FORMAT"), format!("{said}check {}\n", &blake3::hash(said.as_bytes()).to_hex()[..16])).unwrap();
    let before = contents(&log);
    for (args, code) in [
        (&["daemon", "start"][..], 69),
        (&["log", "verify"], 1),
        (&["log", "range", "1", "3"], 1),
        (&["log", "export", "-"], 1),
        (&["log", "repair", "--dry-run"], 1),
        (&["log", "repair"], 1),
    ] {
        let (ended, error) = home.fails(args);
        assert_eq!(ended, code, "{args:?}: {error}");
        let words = ["format 99 of build 9.9.9+future", concat!("this build, ", env!("CARGO_PKG_VERSION"), "+")];
        assert!(words.iter().all(|words| error.contains(words)), "{args:?}: {error}");
        assert!(error.contains("unsupported_version") && error.contains("next: Nothing was changed."), "{error}");
    }
    assert!(contents(&log) == before, "something was changed");
    fs::write(log.join("FORMAT"), own).unwrap();
    home.start();
    assert!(home.ok(&["events", "job", "--json"]).contains("acknowledged"));
    home.ok(&["log", "verify"]);
}
