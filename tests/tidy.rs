//! The house rules that a compiler does not keep: arrows between crates, where risky packages are named, pure cores.

use std::path::{Path, PathBuf};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// What each crate may depend on among ours. A new arrow is a decision with a page in `docs/decisions/`.
const ARROWS: &[(&str, &[&str])] = &[
    ("protocol", &[]),
    ("kernel", &["protocol"]),
    ("actors", &["kernel", "protocol"]),
    ("projections", &["protocol"]),
    ("transport", &["protocol"]),
    ("holder", &["protocol"]),
    ("tui", &["projections", "protocol", "transport"]),
];

/// Where a package may be named. It can be replaced there, and only there.
const NAMED_IN: &[(&str, &[&str])] = &[
    ("bincode::", &["protocol/src/codec.rs"]),
    ("sled::", &["kernel/src/log/sled/database.rs"]),
    (
        "actix::",
        &[
            "actors/src/host.rs",
            "actors/src/directory.rs",
            "actors/src/directory/tests.rs",
            "cli/daemon/compose.rs",
            "cli/daemon/run.rs",
        ],
    ),
    ("hyper::", &["cli/opencode_bridge/http.rs"]),
    ("rmcp::", &["cli/commands/mcp/server.rs"]),
    ("git2::", &["actors/src/workspace/"]),
    ("portable_pty::", &["holder/"]),
    ("axum::", &["transport/src/server/", "transport/src/bare.rs"]),
    ("tokio_tungstenite::", &["transport/src/client/", "transport/src/bare.rs"]),
    ("vte::", &["projections/src/screen"]),
];

/// Pure files: what goes in comes out, and nothing else happens.
const PURE: &[&str] = &[
    "state.rs",
    "wire.rs",
    "resume.rs",
    "codec.rs",
    "sizes.rs",
    "record.rs",
    "chunk.rs",
    "rows.rs",
    "src/log/archive.rs",
];
const IMPURE: &[&str] =
    &["SystemTime::now", "Instant::now", "std::fs", "std::net", "tokio::", ".await", "spawn(", "now_v7", "getrandom"];

fn sources(below: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    collect(&Path::new(ROOT).join(below), &mut found);
    found
}

fn collect(directory: &Path, found: &mut Vec<(String, String)>) {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(ROOT).unwrap().to_str().unwrap().to_owned();
            found.push((name, std::fs::read_to_string(&path).unwrap()));
        }
    }
}

fn all_sources() -> Vec<(String, String)> {
    let crates = ARROWS.iter().map(|(name, _)| format!("{name}/src"));
    crates.chain(["cli".to_owned()]).flat_map(|folder| sources(&folder)).collect()
}

/// A file without its comments and its tests.
fn code(text: &str) -> String {
    let body = text.split("#[cfg(test)]").next().unwrap_or_default();
    body.lines().filter(|line| !line.trim_start().starts_with("//")).map(|line| format!("{line}\n")).collect()
}

#[test]
fn crates_depend_on_each_other_as_designed() {
    for (name, allowed) in ARROWS {
        let manifest = std::fs::read_to_string(Path::new(ROOT).join(name).join("Cargo.toml")).unwrap();
        let section = manifest.split("[dependencies]").nth(1).unwrap().split("\n[").next().unwrap();
        let ours: Vec<&str> =
            section.lines().filter_map(|line| line.strip_prefix("ropewalk-")?.split('.').next()).collect();
        assert_eq!(&ours, allowed, "{name} depends on other crates than designed");
    }
}

#[test]
fn risky_packages_are_named_where_they_may_be() {
    for (file, text) in all_sources() {
        for (package, places) in NAMED_IN {
            let named = code(&text).lines().any(|line| {
                line.match_indices(package)
                    .any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':'))
            });
            assert!(!named || places.iter().any(|place| file.starts_with(place)), "{file} names {package}");
        }
    }
}

#[test]
fn pure_files_touch_nothing() {
    let mut count = 0;
    for (file, text) in all_sources() {
        if PURE.iter().any(|pure| file.ends_with(&format!("/{pure}"))) {
            count += 1;
            for word in IMPURE {
                assert!(!code(&text).contains(word), "{file} is pure and says {word}");
            }
        }
    }
    assert!(count >= 10, "only {count} pure files were found");
}

#[test]
fn no_file_refers_to_what_is_not_in_the_project() {
    for (file, text) in all_sources() {
        for word in ["../shared", "/work/", "todo!", "unimplemented!", "#[ignore"] {
            assert!(!text.contains(word), "{file} says {word}");
        }
    }
}

#[test]
fn every_test_file_is_part_of_the_test_binary() {
    for (file, _) in sources("tests") {
        let Some(module) = file.strip_prefix("tests/").and_then(|file| file.strip_suffix(".rs")) else {
            continue;
        };
        let (parent, name) = match module.rsplit_once('/').unwrap_or(("main", module)) {
            // The simulation is compiled into the daemon, so that it sees its parts.
            ("sim", "sim") => ("../cli/daemon", "sim"),
            ("sim", name) => ("sim/sim", name),
            other => other,
        };
        let parent = std::fs::read_to_string(Path::new(ROOT).join(format!("tests/{parent}.rs"))).unwrap();
        assert!(module == "main" || parent.contains(&format!("mod {name};")), "{file} is never run");
    }
}
