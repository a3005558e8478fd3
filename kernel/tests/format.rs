//! Logs in other formats than this build writes: older ones are read and gone on with, later ones refused as they are.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use ropewalk_kernel::log::store::{Shelf, StoreError};
use ropewalk_kernel::log::{Journal, OpenError, SledShelf, build};
use ropewalk_protocol::{Code, Event, LogId, Rejection, Seq};

use crate::damage::copy;
use crate::support::*;

/// The format this build writes.
const FORMAT: u8 = 2;
/// The key of what a volume says of itself; the format is the first byte of it.
const META: &[u8] = &[0];

/// The format that a volume says it has.
fn format_of(shelf: &dyn Shelf, first: Seq) -> u8 {
    shelf.open(first).expect("opens").get(META).expect("reads").expect("is there")[0]
}

/// Has a volume say that it has another format.
fn pretend(shelf: &dyn Shelf, first: Seq, format: u8) {
    let mut meta = shelf.open(first).expect("opens").get(META).expect("reads").expect("is there");
    meta[0] = format;
    replace(shelf, first, &[(META.to_vec(), meta)]);
}

/// Every file below a directory and what it holds.
fn files(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(directory).expect("readable") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.insert(path.clone(), fs::read(path).expect("readable"));
        }
    }
    found
}

/// A closed log with three events.
fn three_remarks(disk: &Disk) {
    let log = disk.open();
    log.remark(session(1), 3);
    log.close();
}

on_both_disks! {
    a_log_of_an_older_format_is_gone_on_with_in_this_one
    a_newest_volume_of_a_later_format_is_refused
}

fn a_log_of_an_older_format_is_gone_on_with_in_this_one(disk: &Disk) {
    three_remarks(disk);
    pretend(&*disk.shelf(), Seq(1), 1);
    let log = disk.open();
    assert_eq!(log.remark(session(1), 1), Seq(4));
    assert_eq!((log.events().len(), log.verify().damage), (4, Vec::new()));
    log.close();
    assert_eq!(format_of(&*disk.shelf(), Seq(1)), FORMAT, "builds that do not know it must not open it any more");
}

fn a_newest_volume_of_a_later_format_is_refused(disk: &Disk) {
    three_remarks(disk);
    pretend(&*disk.shelf(), Seq(1), FORMAT + 1);
    // A real volume is refused by itself.
    let is_newer = |error: &StoreError| matches!(error, StoreError::Newer { format: 3, .. });
    let before = disk.shelf().open(Seq(1)).map(|_| rows(&*disk.shelf(), Seq(1)));
    assert!(before.as_ref().err().is_none_or(is_newer), "{before:?}");
    assert_eq!(before.is_err(), matches!(disk, Disk::Sled(_)));
    let opened = Journal::open(disk.shelf(), LogId::from_bytes([7; 16]), |_| Box::new(|_: &[Event]| {}));
    let Err(OpenError::Store(error @ StoreError::Newer { format: 3, .. })) = opened else {
        panic!("a log of a later format was opened: {:?}", opened.err());
    };
    assert!(error.to_string().contains("a later build") && error.to_string().contains(&build()), "{error}");
    assert_eq!(Rejection::from(error).code, Code::UnsupportedVersion);
    if let Ok(before) = before {
        assert_eq!(rows(&*disk.shelf(), Seq(1)), before);
    }
}

/// A build of format 1 looks into the newest volume's database and nowhere else, whatever the daemon died of.
#[test]
fn a_build_that_knows_no_write_ahead_log_is_told_by_the_database_itself() {
    let disk = Disk::sled();
    let Disk::Sled(directory) = &disk else { unreachable!("a sled disk") };
    let log = disk.open();
    log.remark(session(1), 3);
    let killed = TempDir::new();
    copy(&directory.path().join("log"), killed.path());
    log.close();
    let volume = killed.path().join("v-00000000000000000001");
    for name in ["wal-0", "wal-1"] {
        fs::remove_file(volume.join(name)).expect("it is there as long as the log is open");
    }
    let shelf = SledShelf::existing(killed.path()).expect("a shelf");
    assert_eq!(format_of(&shelf, Seq(1)), FORMAT);
    assert_eq!(tagged(&shelf, Seq(1), CHUNKS), [], "and that is all it would find");
}

#[test]
fn a_log_of_a_later_format_is_refused_before_anything_of_it_is_opened() {
    let disk = Disk::sled();
    let Disk::Sled(directory) = &disk else { unreachable!("a sled disk") };
    let path = directory.path().join("log");
    let log = disk.open();
    log.remark(session(1), 3);
    let killed = TempDir::new();
    copy(&path, killed.path());
    log.close();
    let said = "format 7\nbuild 9.9.9+future\n";
    let check = blake3::hash(said.as_bytes()).to_hex();
    let word = killed.path().join("FORMAT");
    let own = fs::read_to_string(&word).expect("the log says its format");
    assert!(own.starts_with(&format!("format {FORMAT}\nbuild {}\n", build())), "{own}");
    fs::write(&word, format!("{said}check {}\n", &check[..16])).expect("written");
    let before = files(killed.path());
    for error in [SledShelf::open(killed.path()).err(), SledShelf::existing(killed.path()).err()] {
        let error = error.expect("it is refused");
        let told = error.to_string();
        assert!(told.contains("format 7 of build 9.9.9+future") && told.contains(&build()), "{told}");
        let rejection = Rejection::from(error);
        assert_eq!((rejection.code, rejection.retryable()), (Code::UnsupportedVersion, false));
        assert!(rejection.hint.contains("log export"), "{}", rejection.hint);
    }
    assert!(files(killed.path()) == before, "something was changed");
    // A word that says nothing keeps nobody out, and is made anew.
    fs::write(&word, &said[..7]).expect("written");
    assert!(SledShelf::existing(killed.path()).is_ok());
    let log = Log::open(std::sync::Arc::new(SledShelf::open(killed.path()).expect("a shelf")));
    assert_eq!((log.events().len(), fs::read_to_string(&word).expect("is there")), (3, own));
    log.close();
}

/// What the newest volume's database says counts where nothing else does, and the write-ahead log of a later build, which may
/// be another one, stays where it is.
#[test]
fn a_log_of_a_later_format_that_does_not_say_so_beside_its_volumes_is_left_as_it_is() {
    let disk = Disk::sled();
    let Disk::Sled(directory) = &disk else { unreachable!("a sled disk") };
    three_remarks(&disk);
    pretend(&*disk.shelf(), Seq(1), FORMAT + 1);
    let path = directory.path().join("log");
    fs::remove_file(path.join("FORMAT")).expect("the log said its format");
    let kept = path.join("v-00000000000000000001/wal-0");
    fs::write(&kept, b"of a later format").expect("written");
    let shelf = std::sync::Arc::new(SledShelf::open(&path).expect("a shelf"));
    let opened = Journal::open(shelf, LogId::from_bytes([7; 16]), |_| Box::new(|_: &[Event]| {}));
    assert!(matches!(opened.err(), Some(OpenError::Store(StoreError::Newer { format: 3, .. }))));
    assert_eq!(fs::read(&kept).expect("it is there"), b"of a later format");
    assert!(!path.join("FORMAT").exists(), "nothing is said of a log that is another build's");
}

/// A log from before there was a word beside its volumes opens where none can be written.
#[test]
fn a_log_opens_where_its_format_cannot_be_written_or_read() {
    let disk = Disk::sled();
    let Disk::Sled(directory) = &disk else { unreachable!("a sled disk") };
    three_remarks(&disk);
    let path = directory.path().join("log");
    let word = path.join("FORMAT");
    fs::remove_file(&word).expect("the log said its format");
    // Neither reads nor takes the place of a file.
    fs::create_dir(&word).expect("made");
    let log = disk.open();
    assert_eq!(log.events().len(), 3);
    log.close();
    assert!(word.is_dir());
}
