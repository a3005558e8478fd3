//! A daemon that cannot start says why, and so does the command that wanted it.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::harness::Home;

fn newest_volume(home: &Home) -> PathBuf {
    let entries = std::fs::read_dir(home.path().join("data/log")).unwrap();
    let mut volumes: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("v-"))
        .collect();
    volumes.sort();
    volumes.pop().unwrap()
}

/// Regression: whatever kept the daemon from starting, the command said `the daemon did not start` and ended with 69.
#[test]
fn regression_a_log_that_is_locked_is_named_with_who_has_it() {
    let home = Home::started();
    home.ok(&["daemon", "stop"]);
    let file = std::fs::File::options().read(true).write(true).open(newest_volume(&home).join("db")).unwrap();
    file.try_lock().unwrap();
    let (code, error) = home.fails(&["ls"]);
    assert_eq!(code, 69, "{error}");
    assert!(error.contains("did not start") && error.contains("another process"), "{error}");
    assert!(error.contains(&std::process::id().to_string()) && error.contains("next:"), "{error}");
    assert!(!error.contains("Os {"), "{error}");
    drop(file);
    home.ok(&["ls"]);
}

#[test]
fn a_log_that_cannot_be_opened_is_named_with_the_next_step() {
    let home = Home::started();
    home.ok(&["daemon", "stop"]);
    let database = newest_volume(&home).join("db");
    std::fs::remove_file(&database).unwrap();
    std::fs::create_dir(&database).unwrap();
    let (code, error) = home.fails(&["ls"]);
    assert_eq!(code, 69, "{error}");
    assert!(error.contains("did not start") && error.contains("opening the log") && error.contains("next:"), "{error}");
    assert!(!error.contains("Os {"), "{error}");
}

/// Regression: a directory where the discovery file belongs kept every daemon from starting, without a word.
#[test]
fn regression_a_directory_in_the_place_of_the_discovery_file_is_named_or_removed() {
    let home = Home::new();
    let runtime = home.path().join("runtime");
    std::fs::create_dir_all(runtime.join("daemon.json/in-use")).unwrap();
    std::fs::set_permissions(&runtime, std::fs::Permissions::from_mode(0o700)).unwrap();
    let (code, error) = home.fails(&["ls"]);
    assert_eq!(code, 69);
    assert!(error.contains("daemon.json") && error.contains("directory") && error.contains("next:"), "{error}");
    std::fs::remove_dir(runtime.join("daemon.json/in-use")).unwrap();
    home.ok(&["ls"]);
}

#[test]
fn a_relative_home_is_one_home_wherever_its_daemon_runs() {
    let home = Home::new();
    let (parent, name) = (home.path().parent().unwrap(), home.path().file_name().unwrap());
    let run = |args: &[&str]| {
        let output = home.command(args).env("ROPEWALK_HOME", name).current_dir(parent).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    run(&["daemon", "start"]);
    let socket = home.discovery()["socket"].as_str().unwrap().to_owned();
    assert!(Path::new(&socket).is_absolute() && Path::new(&socket).starts_with(home.path()), "{socket}");
    run(&["run", "--detach", "--", "true"]);
    assert_eq!(home.ok(&["ls", "--json"]).lines().count(), 1);
}

#[test]
fn every_directory_and_file_is_its_owners_alone_and_programs_keep_their_mask() {
    let home = Home::new();
    let shown = home.ok(&["run", "--", "sh", "-c", "umask"]);
    let own = std::process::Command::new("sh").args(["-c", "umask"]).output().unwrap();
    assert_eq!(shown.trim(), String::from_utf8_lossy(&own.stdout).trim());
    home.ok(&["daemon", "stop"]);
    let mut count = 0;
    for part in ["data", "state", "runtime"] {
        private(&home.path().join(part), &mut count);
    }
    assert!(count > 10, "only {count} were looked at");
}

/// Regression: files that an import made could be read by others.
#[test]
fn regression_what_the_log_tools_write_is_its_owners_alone() {
    let home = Home::started();
    home.ok(&["daemon", "stop"]);
    let files = Home::new();
    let archive = files.path().join("archive").to_str().unwrap().to_owned();
    home.ok(&["log", "export", &archive]);
    let other = Home::new();
    other.ok(&["log", "import", &archive]);
    std::fs::write(other.path().join("data/log/HEAD"), [7; 600]).unwrap();
    std::fs::set_permissions(other.path().join("data/log/HEAD"), std::fs::Permissions::from_mode(0o600)).unwrap();
    other.ok(&["log", "repair"]);
    other.ok(&["log", "verify"]);
    let mut count = 0;
    private(&other.path().join("data"), &mut count);
    assert!(count > 10, "only {count} were looked at");
}

fn private(path: &Path, count: &mut usize) {
    // The holder's socket goes when the holder does.
    let Ok(metadata) = path.symlink_metadata() else {
        return;
    };
    *count += 1;
    let expected = if metadata.is_dir() { 0o700 } else { 0o600 };
    assert_eq!(metadata.permissions().mode() & 0o777, expected, "{}", path.display());
    if metadata.is_dir() {
        for entry in std::fs::read_dir(path).unwrap().flatten() {
            private(&entry.path(), count);
        }
    }
}

/// Regression: what was kept of a log that is gone was taken for the log that came after it, once that was longer.
#[test]
fn regression_the_sessions_of_a_log_that_is_gone_are_not_those_of_the_next() {
    let home = Home::started();
    home.ok(&["run", "--detach", "--name", "before", "--", "true"]);
    home.ok(&["wait", "before", "--for", "ended"]);
    home.ok(&["daemon", "stop"]);
    std::fs::remove_dir_all(home.path().join("data/log")).unwrap();
    home.start();
    for name in ["one", "two", "three"] {
        home.ok(&["run", "--detach", "--name", name, "--", "true"]);
        home.ok(&["wait", name, "--for", "ended"]);
    }
    home.kill_daemon();
    let listed = home.ok(&["ls"]);
    assert!(["one", "two", "three"].iter().all(|name| listed.contains(name)) && !listed.contains("before"), "{listed}");
}
