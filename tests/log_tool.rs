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

/// Every file of the log and what it holds, and every directory, but for sled's own snapshots.
fn listing(log: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = contents(log);
    found.retain(|path, _| !path.rsplit('/').next().unwrap().starts_with("snap."));
    found.extend(
        fs::read_dir(log).unwrap().map(|entry| (entry.unwrap().path().join(".").display().to_string(), Vec::new())),
    );
    found
}

/// Looking makes, removes and changes nothing. Opening a database sled lengthens its file; what was in it stays.
fn assert_untouched(log: &Path, before: &BTreeMap<String, Vec<u8>>) {
    let after = listing(log);
    assert_eq!(after.keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>());
    for (path, was) in before {
        let is = &after[path];
        assert!(is == was || path.ends_with("/db") && is.starts_with(was), "{path} was changed");
    }
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
    assert_untouched(&home.path().join("data/log"), &before);

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
    let db = log.join("v-00000000000000000001/db");
    damage(&db);
    let mut before = listing(&log);
    let output = home.run(&["log", "verify", "--json"]);
    assert_eq!(output.status.code(), Some(4), "{}", String::from_utf8_lossy(&output.stderr));
    let report = json(&String::from_utf8(output.stdout).unwrap());
    assert_eq!(report["damage"][0]["place"], "events", "{report}");
    assert_eq!(report["damage"][0]["from"], 1);
    let (code, error) = home.fails(&["log", "range", "1", "3"]);
    assert_eq!(code, 4);
    assert!(error.contains("events 1 to 3 cannot be read"), "{error}");
    assert_eq!(home.fails(&["log", "show", "1"]).0, 4);
    // No volume was begun behind the damaged one. sled clears a database whose beginning it cannot read.
    let after = listing(&log);
    assert_eq!(after.keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>());
    before.retain(|path, was| !after[path].starts_with(was));
    assert_eq!(before.into_keys().collect::<Vec<_>>(), [db.display().to_string()]);
}

#[test]
fn looking_neither_mends_nor_makes_what_opening_a_log_would() {
    let home = lived_in();
    let log = home.path().join("data/log");
    let volume = log.join("v-00000000000000000001");
    let conf = fs::read(volume.join("conf")).unwrap();
    let torn = |directory: &Path| fs::write(directory.join("conf"), &conf[..conf.len() / 2]).unwrap();
    let look = |words: &str| {
        let before = listing(&log);
        let output = home.run(&["log", "verify"]);
        let text = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(4), "{text}");
        assert!(text.contains(words), "{text}");
        let dry = home.run(&["log", "repair", "--dry-run"]);
        assert!(String::from_utf8_lossy(&dry.stdout).contains("would: "), "{dry:?}");
        assert_untouched(&log, &before);
    };
    torn(&log.join("index"));
    look("damaged: index");
    assert!(home.ok(&["log", "repair"]).contains("the index is put aside"));
    torn(&volume);
    look("the database's options are torn");
    assert!(home.ok(&["log", "repair"]).contains("the options of volume 1 are written anew"));
    assert!(home.ok(&["log", "verify"]).contains("\nintact"));
    fs::rename(volume.join("db"), volume.join("elsewhere")).unwrap();
    look("the database's file is not there");
    assert_eq!(home.run(&["log", "repair"]).status.code(), Some(4), "what it held is known to be missing");
}

#[test]
fn a_file_with_what_could_not_be_read_is_told_of_and_moved_away_by_a_repair() {
    let home = lived_in();
    let log = home.path().join("data/log");
    let file = "v-00000000000000000001/wal-1.unreadable-1";
    fs::write(log.join("v-00000000000000000001/wal-1"), "what a power cut left").unwrap();
    let verified = || json(&home.ok(&["log", "verify", "--json"]));
    assert_eq!(verified()["aside"], json("[]"), "looking puts nothing aside");
    home.start();
    assert!(log.join(file).exists());
    for daemon_runs in [true, false] {
        let report = verified();
        assert_eq!((&report["aside"], &report["intact"]), (&Value::from(vec![file]), &Value::from(true)), "{report}");
        assert!(home.ok(&["log", "verify"]).contains(&format!("aside: {file}: ")));
        assert_eq!(json(&home.ok(&["log", "stats", "--json"]))["aside"], 1);
        let doctor = String::from_utf8(home.run(&["doctor"]).stdout).unwrap();
        assert!(doctor.contains("files in its log that hold what could not be read: 1;"), "{doctor}");
        if daemon_runs {
            home.ok(&["daemon", "stop"]);
        }
    }
    assert!(home.ok(&["log", "repair", "--dry-run"]).contains(&format!("would: {file} is put aside")));
    let repaired = json(&home.ok(&["log", "repair", "--json"]));
    let kept = Path::new(repaired["quarantine"].as_str().unwrap()).join(file.replace('/', "."));
    assert_eq!(fs::read_to_string(kept).unwrap(), "what a power cut left");
    assert_eq!(verified()["aside"], json("[]"));
    assert!(home.ok(&["log", "repair"]).contains("everything opens"));
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

/// Every file below a directory and what it holds.
pub(crate) fn contents(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(directory).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(contents(&path));
        } else {
            found.insert(path.display().to_string(), fs::read(&path).unwrap());
        }
    }
    found
}

#[test]
fn a_log_is_exported_imported_and_exported_again_to_the_same_bytes() {
    let home = lived_in();
    let files = Home::new();
    let path = |name: &str| files.path().join(name).to_str().unwrap().to_owned();
    let report = json(&home.ok(&["log", "export", &path("one"), "--json"]));
    assert_eq!(report["whole"], true, "{report}");
    let one = fs::read(path("one")).unwrap();
    assert_eq!(home.run(&["log", "export", "-"]).stdout, one);
    assert_eq!(home.fails(&["log", "export", &path("one")]).0, 2, "an archive is never written over");

    let other = Home::new();
    assert_eq!(json(&other.ok(&["log", "import", &path("one"), "--json"])), report);
    let verified = |home: &Home| json(&home.ok(&["log", "verify", "--json"]));
    assert_eq!(verified(&other), verified(&home));
    other.ok(&["log", "export", &path("two")]);
    assert_eq!(fs::read(path("two")).unwrap(), one);
    assert_eq!(other.fails(&["log", "import", &path("one")]).0, 1, "it has a log");

    // The imported log is one to work with, and so is its output; a running daemon exports too.
    assert_eq!(other.ok(&["output", "job"]), home.ok(&["output", "job"]));
    other.ok(&["annotate", "job", "after the import"]);
    // What a command left that was killed; no process has this number.
    let left = other.path().join("state/export-4194999");
    std::fs::write(&left, "half").unwrap();
    let of_daemon = other.run(&["log", "export", "-"]);
    assert!(!left.exists());
    assert!(of_daemon.status.success(), "{}", String::from_utf8_lossy(&of_daemon.stderr));
    other.ok(&["log", "export", &path("three")]);
    assert_eq!(of_daemon.stdout, fs::read(path("three")).unwrap());
    assert_eq!(
        fs::read_dir(other.path().join("state"))
            .unwrap()
            .filter(|entry| { entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("export") })
            .count(),
        0
    );
    assert_eq!(verified(&other)["intact"], true);
}

#[test]
fn an_archive_that_is_cut_or_changed_is_refused_and_nothing_is_left_of_it() {
    let home = lived_in();
    let files = Home::new();
    let path = files.path().join("archive");
    let name = path.to_str().unwrap();
    home.ok(&["log", "export", name]);
    let whole = fs::read(&path).unwrap();
    let other = Home::new();
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    for (bytes, words) in
        [(&whole[..whole.len() - 1], "cut off at byte"), (&flipped, "hash chain"), (b"no archive", "cut off")]
    {
        fs::write(&path, bytes).unwrap();
        let (code, error) = other.fails(&["log", "import", name]);
        assert_eq!(code, 4, "{error}");
        assert!(error.contains(words) && error.contains("next:"), "{error}");
        let left = contents(&other.path().join("data"));
        assert!(left.keys().all(|path| path.ends_with("daemon.lock")), "{:?}", left.keys());
    }
    fs::write(&path, &whole).unwrap();
    other.ok(&["log", "import", name]);
    other.ok(&["log", "verify"]);
}

#[test]
fn a_damaged_log_is_repaired_by_putting_aside_what_does_not_open() {
    let home = lived_in();
    let log = home.path().join("data/log");
    let volume = log.join("v-00000000000000000001");
    assert!(home.ok(&["log", "repair"]).contains("everything opens"));
    damage(&volume.join("db"));
    fs::write(log.join("HEAD"), [7; 600]).unwrap();
    home.fails(&["daemon", "start"]);
    let (code, error) = home.fails(&["log", "verify"]);
    assert!(code == 4 && error.starts_with("error: ") && !error.contains("ERROR"), "talk is no line of a log: {error}");
    let before = listing(&log);
    let output = home.run(&["log", "repair", "--dry-run"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(4), "{text}");
    assert!(text.contains("would: volume 1") && text.contains("damaged: events 1 to"), "{text}");
    assert_untouched(&log, &before);

    let output = home.run(&["log", "repair", "--json"]);
    assert_eq!(output.status.code(), Some(4), "a part of the log is missing");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "talk is no line of a log");
    let report = json(&String::from_utf8(output.stdout).unwrap());
    assert_eq!(report["damage"][0]["from"], 1, "{report}");
    let aside = Path::new(report["quarantine"].as_str().unwrap());
    assert!(aside.join("v-00000000000000000001/db").exists(), "it was moved, not deleted");
    assert_eq!(fs::read(aside.join("HEAD")).unwrap(), [7; 600]);

    home.start();
    assert_eq!(home.fails(&["log", "repair"]).0, 1, "a daemon runs");
    home.ok(&["run", "--detach", "--name", "next", "--", "true"]);
    home.ok(&["wait", "next", "--for", "ended", "--timeout", "60s"]);
    let output = home.run(&["events"]);
    assert_eq!(output.status.code(), Some(4));
    assert!(String::from_utf8_lossy(&output.stderr).contains("events 1 to"));
    let seq: u64 = String::from_utf8_lossy(&output.stdout).split_whitespace().next().unwrap().parse().unwrap();
    assert!(seq > 1000, "no place is given out twice: the log goes on at {seq}");
}

#[test]
fn an_index_that_does_not_open_is_put_aside_and_nothing_is_missing() {
    let home = lived_in();
    let log = home.path().join("data/log");
    fs::remove_dir_all(log.join("index")).unwrap();
    fs::write(log.join("index"), "no directory").unwrap();
    let output = home.run(&["log", "verify"]);
    assert_eq!(output.status.code(), Some(4), "{}", String::from_utf8_lossy(&output.stdout));
    let text = home.ok(&["log", "repair"]);
    assert!(text.contains("the index is put aside"), "{text}");
    home.ok(&["log", "verify"]);
}

/// Regression: the check on the files called a log intact whose HEAD said nothing.
#[test]
fn regression_a_head_file_that_says_nothing_is_named_and_mended() {
    let home = lived_in();
    let head = home.path().join("data/log/HEAD");
    fs::write(&head, [7; 600]).unwrap();
    let output = home.run(&["log", "verify"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(4), "{text}");
    assert!(text.contains("damaged: HEAD") && text.contains("log repair") && text.contains("not intact"), "{text}");
    home.ok(&["log", "repair"]);
    assert!(home.ok(&["log", "verify"]).contains("intact"));
}

#[test]
fn an_archive_that_is_not_there_is_refused_with_its_code_and_the_next_step() {
    let home = Home::new();
    let (code, error) = home.fails(&["log", "import", "/nonexistent"]);
    assert_eq!(code, 1, "{error}");
    assert!(error.contains("/nonexistent") && error.contains("(not_found)") && error.contains("next:"), "{error}");
    assert!(error.contains("log export"), "{error}");
}
