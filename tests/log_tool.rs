//! `ropewalk log`: what it says through the daemon it says on the files too, and looking changes nothing.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use serde_json::Value;

use crate::harness::Home;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// A home without a daemon, in which a program ran.
fn lived_in() -> Home {
    let home = Home::new();
    home.ok(&["run", "--detach", "--name", "job", "--", "sh", "-c", "seq 1 2000"]);
    home.ok(&["wait", "job", "--for", "ended", "--timeout", "60s"]);
    home.ok(&["annotate", "job", "a remark"]);
    home.ok(&["daemon", "stop"]);
    home
}

/// The names below the log's directory, and what HEAD holds.
fn listing(log: &Path) -> (Vec<String>, Vec<u8>) {
    let mut names: Vec<String> =
        fs::read_dir(log).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    (names, fs::read(log.join("HEAD")).unwrap_or_default())
}

#[test]
fn events_are_shown_alike_through_the_daemon_and_on_the_files() {
    let home = lived_in();
    let before = listing(&home.path().join("data/log"));
    let report = json(&home.ok(&["log", "verify", "--json"]));
    assert_eq!(report["intact"], true, "{report}");
    let head = report["head"].as_u64().unwrap();
    let asked: BTreeMap<&str, Vec<&str>> = BTreeMap::from([
        ("show", vec!["log", "show", "2", "--json"]),
        ("range", vec!["log", "range", "2", "5"]),
        ("beyond", vec!["log", "range", "2", "100000"]),
    ]);
    let on_files: Vec<String> = asked.values().map(|args| home.ok(args)).collect();
    assert!(home.ok(&["log", "stats"]).contains("volumes"));
    assert_eq!(home.fails(&["log", "show", "100000"]).0, 1);
    assert_eq!(home.fails(&["log", "range", "5", "2"]).0, 2);
    assert_eq!(home.run(&["daemon", "status"]).status.code(), Some(69), "no daemon was started for any of it");
    assert_eq!(listing(&home.path().join("data/log")), before);

    home.start();
    let by_daemon: Vec<String> =
        asked.values().zip(&on_files).map(|(args, files)| first_lines(&home.ok(args), files.lines().count())).collect();
    assert_eq!(by_daemon, on_files);
    let later = json(&home.ok(&["log", "verify", "--json"]));
    assert_eq!(later["intact"], true, "{later}");
    assert!(later["head"].as_u64().unwrap() > head, "the daemon recorded its start");

    let shown = json(&on_files[2]);
    assert_eq!(shown["event"]["seq"], 2);
    assert_eq!(shown["event"]["type"], "session.created");
    assert_eq!(shown["receipt"]["command"], shown["event"]["cause"]["command"]);
    assert_eq!(shown["receipt"]["result"]["type"], "session.created");
    assert!(shown["chunk"]["first"].as_u64().unwrap() <= 2 && shown["chunk"]["last"].as_u64().unwrap() >= 2);
    assert_eq!(shown["chunk"]["hash"].as_str().unwrap().len(), 64);
    let seqs: Vec<u64> = on_files[1].lines().map(|line| json(line)["seq"].as_u64().unwrap()).collect();
    assert_eq!(seqs, [2, 3, 4, 5]);
}

#[test]
fn a_log_that_a_process_has_and_does_not_serve_is_not_opened_and_the_process_is_named() {
    let home = lived_in();
    let mut lock = File::options().write(true).truncate(true).open(home.path().join("data/daemon.lock")).unwrap();
    lock.lock().unwrap();
    // A process that is not one of ours, so that the home is cleared away without it.
    write!(lock, "1").unwrap();
    let (code, error) = home.fails(&["log", "verify"]);
    assert_eq!(code, 69);
    assert!(error.contains("process 1 ") && error.contains("next:"), "{error}");
    drop(lock);
    home.ok(&["log", "verify"]);
}

#[test]
fn a_home_without_a_log_has_nothing_to_check() {
    let home = Home::new();
    let (code, error) = home.fails(&["log", "verify"]);
    assert_eq!(code, 1);
    assert!(error.contains("no log"), "{error}");
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0, "nothing was made");
}

#[test]
fn a_damaged_log_is_checked_with_exit_code_4_and_left_as_it_is() {
    let home = lived_in();
    let log = home.path().join("data/log");
    damage(&log.join("v-00000000000000000001/db"));
    let before = listing(&log);
    let output = home.run(&["log", "verify", "--json"]);
    assert_eq!(output.status.code(), Some(4), "{}", String::from_utf8_lossy(&output.stderr));
    let report = json(&String::from_utf8(output.stdout).unwrap());
    assert_eq!(report["damage"][0]["place"], "events", "{report}");
    assert_eq!(report["damage"][0]["from"], 1);
    let (code, error) = home.fails(&["log", "range", "1", "3"]);
    assert_eq!(code, 4);
    assert!(error.contains("events 1 to 3 cannot be read"), "{error}");
    assert_eq!(home.fails(&["log", "show", "1"]).0, 4);
    assert_eq!(listing(&log), before, "no volume was begun behind the damaged one");
}

/// Makes a database that nobody can open.
fn damage(db: &Path) {
    let mut bytes = fs::read(db).unwrap();
    bytes.iter_mut().filter(|byte| **byte != 0).for_each(|byte| *byte ^= 0x55);
    fs::write(db, bytes).unwrap();
}

fn first_lines(text: &str, count: usize) -> String {
    text.lines().take(count).map(|line| format!("{line}\n")).collect()
}
