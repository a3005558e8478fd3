//! The fuzzing targets of `fuzz/`, fed with their corpora and with seeded changes of them: what libFuzzer does at length and
//! with a nightly compiler, here in seconds with the one that everybody has.
//!
//! `ROPEWALK_FUZZ_ROUNDS` asks for more rounds than 20,000, `ROPEWALK_FUZZ_SEED` for others. `ROPEWALK_WRITE_CORPUS=1` writes
//! seeds that are missing from the corpora.

use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use ropewalk_protocol::EventBody;

use crate::harness::Choice;

mod seeds;

#[path = "../fuzz/src/lib.rs"]
#[expect(unreachable_pub, reason = "it is a crate of its own when it is fuzzed")]
mod targets;

/// An input is not made longer than this: what is wrong shows in small ones.
const INPUT_BYTES_MAX: usize = 4096;

/// Bytes that mean something to one reader or another.
const WORDS: &[&[u8]] = &[
    b"\x1b[",
    b"\x1b]",
    b"\x1bP",
    b"\x1b\\",
    b"?1049h",
    b";",
    b"m",
    b"H",
    b"\x00",
    b"\xff",
    b"\xfb\xff\xff",
    b"\xfc\xff\xff\xff\xff",
    b"\xfd\xff\xff\xff\xff\xff\xff\xff\xff",
    b"\xff\xff\xff\xff",
    b"\x80",
    b"\xe5\xad\x97",
    b"{",
    b"}",
    b"[",
    b"\"",
    b":",
    b"null",
    b"-1",
    b"1e999",
    b"\\u0000",
    b"\\ud800",
    b"18446744073709551615",
];

fn corpus(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target)
}

/// What is checked in for a target, in the order of the names.
fn inputs(target: &str) -> Vec<Vec<u8>> {
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(corpus(target)).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

fn variable(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().unwrap())
}

/// Some changes of one input: bits, bytes, words, pieces taken out, doubled, or from another input.
fn change(choice: &mut Choice, inputs: &[Vec<u8>]) -> Vec<u8> {
    let mut pick = |bound: usize| usize::try_from(choice.below(bound.max(1) as u64)).unwrap();
    let mut bytes = inputs[pick(inputs.len())].clone();
    for _ in 0..=pick(6) {
        let at = pick(bytes.len() + 1);
        let end = (at + 1 + pick(16)).min(bytes.len());
        match pick(8) {
            0 if at < bytes.len() => bytes[at] ^= 1 << pick(8),
            1 if at < bytes.len() => bytes[at] = u8::try_from(pick(256)).unwrap(),
            2 => bytes.insert(at, u8::try_from(pick(256)).unwrap()),
            3 if at < end => drop(bytes.drain(at..end)),
            4 => bytes.truncate(at),
            5 => drop(bytes.splice(at..at, WORDS[pick(WORDS.len())].iter().copied())),
            6 if at < end => {
                let piece = bytes[at..end].to_vec();
                let times = 1 + pick(8);
                drop(bytes.splice(at..at, piece.repeat(times)));
            }
            _ => {
                let other = &inputs[pick(inputs.len())];
                let from = pick(other.len());
                let to = (from + pick(64)).min(other.len());
                drop(bytes.splice(at..at, other[from..to].iter().copied()));
            }
        }
    }
    bytes.truncate(INPUT_BYTES_MAX);
    bytes
}

fn feed(target: targets::Target, bytes: &[u8], what: &str) {
    if catch_unwind(|| target(bytes)).is_err() {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        panic!("{what} made it panic: {hex}");
    }
}

fn hammer(name: &str) {
    let (_, target) = targets::TARGETS.iter().find(|(known, _)| *known == name).unwrap();
    let missing = seeds::missing(name, &corpus(name));
    assert!(missing.is_empty(), "the corpus of {name} lacks {missing:?}: ROPEWALK_WRITE_CORPUS=1 writes them");
    let inputs = inputs(name);
    assert!(inputs.len() >= 3, "{name} has a corpus");
    for (number, bytes) in inputs.iter().enumerate() {
        feed(*target, bytes, &format!("seed {number} of {name}"));
    }
    let seed = variable("ROPEWALK_FUZZ_SEED", 1);
    let mut choice = Choice::seeded(seed);
    for round in 0..variable("ROPEWALK_FUZZ_ROUNDS", 20_000) {
        let bytes = change(&mut choice, &inputs);
        feed(*target, &bytes, &format!("round {round} of seed {seed} of {name}"));
    }
}

#[test]
fn every_target_is_hammered_and_has_a_program_for_the_fuzzer() {
    let names: Vec<&str> = targets::TARGETS.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["frames", "stored", "wal", "screen", "discovery", "holder"]);
    for name in names {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fuzz/fuzz_targets/{name}.rs"));
        assert!(std::fs::read_to_string(program).unwrap().contains(&format!("ropewalk_fuzz::{name}(")));
    }
}

#[test]
fn no_frame_from_a_connection_makes_a_reader_panic() {
    hammer("frames");
}

#[test]
fn no_bytes_on_disk_make_a_reader_panic() {
    hammer("stored");
}

#[test]
fn no_file_of_a_write_ahead_log_makes_its_reader_panic_or_read_what_is_not_there() {
    hammer("wal");
}

/// A kind of event that nobody added a sample for has no golden file, and so no seed either.
#[test]
fn every_kind_of_event_has_a_seed_as_it_is_stored_and_as_it_is_sent() {
    let names = |target: &str| -> Vec<String> {
        let entries = std::fs::read_dir(corpus(target)).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    };
    let (stored, frames) = (names("stored"), names("frames"));
    for (kind, name, version) in EventBody::KINDS {
        let of_kind = |names: &[String], start: String| {
            names.iter().any(|name| name == &start || name.starts_with(&format!("{start}-")))
        };
        assert!(of_kind(&stored, format!("event-{kind:03}-{name}-v{version}")), "{name} has no seed as it is stored");
        assert!(of_kind(&frames, format!("events-{name}")), "{name} has no seed as it is sent");
    }
}

#[test]
fn no_output_makes_the_screen_panic_or_a_snapshot_of_it_wrong() {
    hammer("screen");
}

#[test]
fn no_discovery_file_makes_a_client_panic() {
    hammer("discovery");
}

#[test]
fn no_words_between_daemon_and_holder_make_either_panic() {
    hammer("holder");
}
