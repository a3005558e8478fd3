//! A repair that is cut after any of its steps: the log opens or is repaired again, no place is given out twice, and what may
//! have been done is not called new.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ropewalk_kernel::log::repair::{Aside, Step, apply, diagnose};
use ropewalk_kernel::log::store::StoreError;
use ropewalk_kernel::log::{Journal, OpenError, SledShelf};
use ropewalk_protocol::{CommandResult, Event, LogId, Seq, limits};

use crate::damage::copy;
use crate::support::*;

const HEAD: Seq = Seq(8);

/// A directory to put things into.
struct Beside(PathBuf);

impl Aside for Beside {
    fn directory(&self) -> &Path {
        &self.0
    }

    fn put(&mut self, path: &Path, name: &str) -> io::Result<()> {
        fs::create_dir_all(&self.0)?;
        if path.exists() { fs::rename(path, self.0.join(name)) } else { Ok(()) }
    }

    fn keep(&mut self, path: &Path, name: &str) -> io::Result<()> {
        fs::create_dir_all(&self.0)?;
        fs::copy(path, self.0.join(name)).map(drop)
    }
}

/// A closed log: four events of session 1 in volume 1 and four of session 2 in volume 5, each with the receipt of a command.
fn two_volumes(directory: &Path) {
    let log = || Log::open(Arc::new(SledShelf::open(directory).expect("a shelf")));
    for volume in 1..3_u8 {
        let open = log();
        open.remark(session(volume), 3);
        let receipt = (done(volume), [1; 16], Ok(CommandResult::Done {}));
        append(&open.journal, vec![remark(session(volume), "with a receipt")], Some(receipt)).expect("stored");
        open.close();
        if volume == 1 {
            use ropewalk_kernel::log::store::Shelf;
            drop(SledShelf::open(directory).expect("a shelf").create(Seq(5)).expect("a volume"));
        }
    }
    log().close();
}

/// The command whose receipt a session's volume has.
fn done(volume: u8) -> ropewalk_protocol::CommandId {
    command(u64::from(volume) * 1000, 1)
}

/// Makes a database that nobody can open, and so short that its length tells nothing.
fn damage(log: &Path, volume: &str) {
    let db = log.join(volume).join("db");
    let mut bytes = fs::read(&db).expect("readable");
    bytes.iter_mut().filter(|byte| **byte != 0).for_each(|byte| *byte ^= 0x55);
    bytes.truncate(4096);
    fs::write(db, bytes).expect("written");
}

/// Does this many steps of a repair; returns how many there are.
fn repair(log: &Path, aside: &str, steps_max: usize) -> usize {
    let shelf = SledShelf::existing(log).expect("a shelf");
    let steps = diagnose(&shelf).expect("the files can be looked at").steps();
    let shelf = SledShelf::open(log).expect("a shelf");
    let mut aside = Beside(log.with_file_name(aside));
    for step in steps.iter().take(steps_max) {
        apply(step, &shelf, &mut aside).unwrap_or_else(|error| panic!("{step:?}: {error}"));
    }
    steps.len()
}

/// Opens the log as a daemon does, at second 9.
fn open(log: &Path) -> Result<ropewalk_kernel::log::Opened, OpenError> {
    let fresh = LogId::from_bytes(*command(9000, 7).as_bytes());
    Journal::open(Arc::new(SledShelf::open(log).expect("a shelf")), fresh, |_| Box::new(|_: &[Event]| {}))
}

/// What must hold of a log that opens, with these volumes gone.
fn check(log: &Path, gone: &[u8], context: &str) -> Result<(), OpenError> {
    let opened = open(log)?;
    let journal = opened.journal;
    let committed = append(&journal, vec![remark(session(3), "after it")], None).expect("appends go on");
    assert!(committed.first > HEAD, "{context}: place {} is given out twice", committed.first);
    for volume in 1..3 {
        let (receipt, history) = (journal.receipt(done(volume)), history(&journal, session(volume)));
        if gone.contains(&volume) {
            assert!(journal.may_know(done(volume)), "{context}: what may have been done is called new");
            assert!(receipt.is_err(), "{context}: {receipt:?} is said of a command of volume {volume}");
            assert!(history.is_err(), "{context}: a part of a history passes for all of it");
        } else {
            assert!(receipt.expect("reads").is_some(), "{context}");
        }
    }
    journal.stop().blocking_recv().expect("the writer answers");
    drop(journal);
    opened.writer.join().expect("the writer does not panic");
    Ok(())
}

/// Cuts a repair after each of its steps.
fn cut_everywhere(original: &Path, gone: &[u8]) -> Vec<Step> {
    let steps = diagnose(&SledShelf::existing(original).expect("a shelf")).expect("diagnosed").steps();
    for cut in 0..=steps.len() {
        let context = format!("{gone:?} cut after {:?}", &steps[..cut]);
        let directory = TempDir::new();
        let (log, opened) = (directory.path().join("log"), directory.path().join("opened"));
        copy(original, &log);
        assert_eq!(repair(&log, "first", cut), steps.len());
        copy(&log, &opened);
        match check(&opened, gone, &context) {
            Ok(()) | Err(OpenError::Store(StoreError::Damaged(_))) => {}
            Err(error) => panic!("{context}: {error}"),
        }
        repair(&log, "second", usize::MAX);
        check(&log, gone, &context).unwrap_or_else(|error| panic!("{context}, then repaired: {error}"));
        assert_eq!(repair(&log, "third", 0), 0, "{context}: something is left to be repaired");
    }
    steps
}

#[test]
fn without_head_a_cut_repair_of_the_newest_volume_gives_no_place_out_twice() {
    let directory = TempDir::new();
    let log = directory.path().join("log");
    two_volumes(&log);
    damage(&log, "v-00000000000000000005");
    fs::write(log.join("HEAD"), [7; 600]).expect("written");
    let steps = cut_everywhere(&log, &[2]);
    let skips_to = steps.iter().find_map(|step| if let Step::SkipTo(seq) = step { Some(*seq) } else { None });
    assert!(skips_to > Some(Seq(limits::VOLUME_BYTES_MAX as u64)), "the file was cut short: {skips_to:?}");
}

#[test]
fn with_head_a_cut_repair_leaves_word_of_each_volume_that_was_put_aside() {
    let directory = TempDir::new();
    let log = directory.path().join("log");
    two_volumes(&log);
    damage(&log, "v-00000000000000000005");
    cut_everywhere(&log, &[2]);
    damage(&log, "v-00000000000000000001");
    cut_everywhere(&log, &[1, 2]);
}
