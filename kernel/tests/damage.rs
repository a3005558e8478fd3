//! Bits that flip in sled's own files: an error, a gap or a damage report, or dead space. Never a panic, never a wrong event.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ropewalk_kernel::log::{Filter, Journal, SledShelf};
use ropewalk_protocol::{CommandResult, Event, LogId, Seq};

use crate::support::*;

/// A closed log on disk, of a sealed volume and the newest one, and what it holds.
struct Original {
    directory: TempDir,
    events: Vec<Event>,
    output: Vec<u8>,
}

fn original() -> Original {
    let disk = Disk::sled();
    let mut random = Random(51);
    let mut output = Vec::new();
    let mut events = Vec::new();
    for volume in 0..2_u64 {
        let log = disk.open();
        for number in 0..40 {
            let receipt = (command(1000 * volume + number, 1), [1; 16], Ok(CommandResult::Done {}));
            let who = session(1 + u8::try_from(number % 3).expect("small"));
            append(&log.journal, vec![remark(who, &random.text(1500)), remark(who, "second")], Some(receipt))
                .expect("stored");
            if number % 8 == 0 {
                let bytes = random.bytes(10_000);
                log.store_output(terminal(1), output.len() as u64, bytes.clone()).expect("stored");
                output.extend(bytes);
            }
        }
        events = log.events();
        log.close();
        if volume == 0 {
            disk.begin_volume();
        }
    }
    disk.open().close();
    let Disk::Sled(directory) = disk else { unreachable!("a sled disk") };
    Original { directory, events, output }
}

/// Copies a closed log, without its ballast.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("readable") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else if entry.file_name() != "ballast" {
            fs::copy(entry.path(), target).expect("copied");
        }
    }
}

/// The files with this name below a log.
fn files(log: &Path, name: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> =
        fs::read_dir(log).expect("readable").map(|entry| entry.expect("an entry").path().join(name)).collect();
    found.retain(|path| path.exists());
    found.sort();
    found
}

fn flip(file: &Path, random: &mut Random, used: bool) -> u64 {
    let bytes = fs::read(file).expect("readable");
    let place = loop {
        let place = random.below(bytes.len());
        // Most of the file is dead space: half of the flips are aimed at what is not.
        if !used || bytes[place] != 0 {
            break place;
        }
    };
    let file = fs::OpenOptions::new().write(true).open(file).expect("writable");
    file.write_all_at(&[bytes[place] ^ (1 << random.below(8))], place as u64).expect("written");
    place as u64
}

/// Opens and reads all of a log that may be damaged; returns whether it opened.
fn survive(log: &Path, original: &Original, context: &str) -> bool {
    let shelf = match SledShelf::open(log) {
        Ok(shelf) => shelf,
        Err(_) => return false,
    };
    let opened = catch_unwind(AssertUnwindSafe(|| {
        Journal::open(Arc::new(shelf), LogId::from_bytes([9; 16]), |_| Box::new(|_: &[Event]| {}))
    }));
    let Ok(opened) = opened.unwrap_or_else(|_| panic!("{context}: a panic came out of opening the log")) else {
        return false;
    };
    let journal = opened.journal;
    let head = journal.head();
    let known: BTreeMap<Seq, &Event> = original.events.iter().map(|event| (event.seq, event)).collect();
    let mut after = Seq::ZERO;
    let (mut served, mut gaps) = (0, 0);
    while after < head {
        let page = journal.page(Filter::All, after).unwrap_or_else(|error| panic!("{context}: {error}"));
        assert!(page.to > after, "{context}: the page after {after} gets nowhere");
        for event in page.events().unwrap_or_else(|error| panic!("{context}: {error}")) {
            assert_eq!(Some(&&event), known.get(&event.seq), "{context}: a wrong event");
            served += 1;
        }
        gaps += page.gaps.iter().map(|gap| gap.to.0 - gap.from.0 + 1).sum::<u64>();
        after = page.to;
    }
    assert_eq!(served + gaps, head.0, "{context}: what is not served is a gap");
    let all = original.events.len() as u64;
    assert!(
        head.0 == all || opened.lost == Some((head.next(), Seq(all))),
        "{context}: a tail was lost in silence at {head}"
    );
    let mut wrong = false;
    let verified =
        catch_unwind(AssertUnwindSafe(|| journal.verify(&mut |event| wrong |= Some(&event) != known.get(&event.seq))));
    let verified = verified.unwrap_or_else(|_| panic!("{context}: a panic came out of the check"));
    assert!(!wrong, "{context}: the check saw a wrong event");
    if gaps > 0
        && let Ok(found) = &verified
    {
        assert!(!found.damage.is_empty(), "{context}: {gaps} events cannot be read and the check says nothing");
    }
    for who in 1..4 {
        if let Ok(history) = history(&journal, session(who)) {
            assert!(history.iter().all(|event| Some(&event) == known.get(&event.seq)), "{context}: a wrong history");
            let expected = original.events.iter().filter(|event| event.seq <= head);
            let expected = expected.filter(|event| event.stream.session() == Some(session(who))).count();
            assert_eq!(history.len(), expected, "{context}: a part of a history is no history");
        }
    }
    for from in (0..original.output.len()).step_by(10_000) {
        if let Ok(page) = journal.output(terminal(1), from as u64, 10_000) {
            let at = usize::try_from(page.offset).expect("small");
            assert_eq!(page.bytes[..], original.output[at..at + page.bytes.len()], "{context}: wrong output");
        }
    }
    journal.stop().blocking_recv().expect("the writer answers");
    drop(journal);
    opened.writer.join().expect("the writer does not panic");
    true
}

fn flips(name: &str, seed: u64, count: usize, choose: impl Fn(&Path) -> Vec<PathBuf>) -> usize {
    let original = original();
    let source = original.directory.path().join("log");
    let mut random = Random(seed);
    let mut opened = 0;
    for number in 0..count {
        let directory = TempDir::new();
        let log = directory.path().join("log");
        copy(&source, &log);
        let files = choose(&log);
        let file = &files[random.below(files.len())];
        let place = flip(file, &mut random, number % 2 == 0);
        let context = format!("{name} {number}: byte {place} of {}", file.strip_prefix(&log).expect("below").display());
        opened += usize::from(survive(&log, &original, &context));
    }
    opened
}

#[test]
fn a_hundred_flipped_bits_in_the_volumes_are_never_a_panic_and_never_a_wrong_event() {
    let flips = flips("volume", 52, 100, |log| {
        files(log, "db").into_iter().filter(|path| !path.starts_with(log.join("index"))).collect()
    });
    assert_eq!(flips, 100, "a log stayed closed");
}

/// Everything in the index can be rebuilt from the volumes, so nothing in it may keep the log closed.
#[test]
fn an_index_with_a_flipped_bit_never_keeps_the_log_closed() {
    assert_eq!(flips("index", 54, 25, |log| vec![log.join("index").join("db")]), 25);
}

#[test]
fn flipped_bits_in_head_never_keep_the_log_closed() {
    let original = original();
    let source = original.directory.path().join("log");
    let mut random = Random(55);
    for number in 0..10 {
        let directory = TempDir::new();
        let log = directory.path().join("log");
        copy(&source, &log);
        let place = flip(&log.join("HEAD"), &mut random, true);
        assert!(survive(&log, &original, &format!("HEAD {number}: byte {place}")));
    }
}
