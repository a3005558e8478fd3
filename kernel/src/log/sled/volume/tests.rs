//! Volumes on a real disk, with files so small that they take turns all the time.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::{env, fs, process, thread};

use super::*;

/// So small that the two files of the write-ahead log take turns every few commits.
const SMALL: Sizes = Sizes { segment_bytes: 64 * 1024, wal_file_bytes: 2048 };

/// A directory of its own; removed when dropped.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        Self(env::temp_dir().join(format!("rw-volume-{}-{number}", process::id())))
    }

    fn volume(&self) -> LoggedVolume {
        LoggedVolume::open(&self.0, SMALL, Access::Mend).expect("opens")
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

fn all(volume: &dyn Volume, from: &[u8], to: &[u8]) -> Vec<Row> {
    let mut rows = Vec::new();
    let visit = &mut |key: &[u8], value: &[u8]| {
        rows.push((key.to_vec(), value.to_vec()));
        ControlFlow::Continue(())
    };
    volume.scan(from, to, visit).expect("reads");
    rows
}

struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// What a volume says after any commits, ends and openings is what a map says.
#[test]
fn a_volume_is_an_ordered_map_wherever_its_rows_are() {
    for seed in 1..20 {
        let directory = Directory::new();
        let mut random = Random(0x9e37_79b9_7f4a_7c15 ^ seed);
        let mut map: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
        let mut volume = directory.volume();
        for step in 0..120_u32 {
            match random.below(20) {
                0 => {
                    drop(volume);
                    volume = directory.volume();
                }
                1 => {
                    volume.seal().expect("is sealed");
                    assert_eq!(volume.get(&[1]), Err(StoreError::Closed));
                    volume = directory.volume();
                    assert!(
                        wal::read(&directory.0).expect("reads").is_none(),
                        "what is sealed is a database and nothing else"
                    );
                }
                2 => {
                    // As if the process had been killed: nothing is settled, and the next one finds the files.
                    volume.broken.store(true, Ordering::Relaxed);
                    assert!(volume.commit(vec![(vec![0], vec![0])]).is_err());
                    drop(volume);
                    let look = LoggedVolume::open(&directory.0, SMALL, Access::Look).expect("opens");
                    assert!(all(&look, &[0], &[255]).into_iter().eq(map.clone()), "seed {seed} step {step}: looked at");
                    drop(look);
                    volume = directory.volume();
                }
                _ => {
                    let rows = (0..random.below(6) + 1).map(|_| {
                        let key = vec![1 + random.below(3) as u8, random.below(60) as u8];
                        (key, vec![step as u8; random.below(300) as usize])
                    });
                    let rows: Vec<Row> = rows.collect();
                    map.extend(rows.iter().cloned());
                    volume.commit(rows).expect("is stored");
                }
            }
            let (from, to) = ([1 + random.below(3) as u8, 0], [1 + random.below(4) as u8, 30]);
            let said = all(&volume, &from, &to);
            let true_rows: Vec<Row> = if from < to {
                map.range(from.to_vec()..to.to_vec()).map(|(key, value)| (key.clone(), value.clone())).collect()
            } else {
                Vec::new()
            };
            assert_eq!(said, true_rows, "seed {seed} step {step}");
            if from < to {
                assert_eq!(
                    volume.last(&from, &to).expect("reads").as_ref(),
                    true_rows.last(),
                    "seed {seed} step {step}"
                );
            }
            let key = [1 + random.below(3) as u8, random.below(60) as u8];
            assert_eq!(volume.get(&key).expect("reads"), map.get(&key[..]).cloned(), "seed {seed} step {step}");
        }
        drop(volume);
        assert!(wal::read(&directory.0).expect("reads").is_none(), "what was closed is a database and nothing else");
    }
}

/// While rows go from memory into the database, a reader finds each of them, once and in order.
#[test]
fn a_reader_beside_commits_misses_nothing_and_sees_nothing_twice() {
    let directory = Directory::new();
    // In memory there are more rows than a scan goes through at a time.
    let sizes = Sizes { wal_file_bytes: 16 * 1024, ..SMALL };
    let volume = Arc::new(LoggedVolume::open(&directory.0, sizes, Access::Mend).expect("opens"));
    let committed = Arc::new(AtomicU64::new(0));
    let writer = thread::spawn({
        let (volume, committed) = (volume.clone(), committed.clone());
        move || {
            for number in 0..4000_u64 {
                volume.commit(vec![(number.to_be_bytes().to_vec(), vec![7; 40])]).expect("is stored");
                committed.store(number + 1, Ordering::Release);
            }
        }
    });
    let mut scans = 0;
    while !writer.is_finished() || scans == 0 {
        let before = committed.load(Ordering::Acquire);
        let rows = all(&*volume, &[0], &[255]);
        let numbers = rows.iter().map(|(key, _)| u64::from_be_bytes(key[..].try_into().expect("a number")));
        assert!(numbers.eq(0..rows.len() as u64), "in order, each once");
        assert!(rows.len() as u64 >= before, "{} of {before} rows", rows.len());
        let last = volume.last(&[0], &[255]).expect("reads").map(|(key, _)| key);
        assert!(last >= before.checked_sub(1).map(|last| last.to_be_bytes().to_vec()));
        scans += 1;
    }
    writer.join().expect("writes");
    assert_eq!(all(&*volume, &[0], &[255]).len(), 4000);
}

/// The older file was being written again when the power went: what is left of it is older than what is in the database.
#[test]
fn what_lies_before_a_hole_in_the_older_file_takes_nothing_newer_away() {
    let directory = Directory::new();
    let row = |key: u8, value: &[u8]| vec![(vec![key], value.to_vec())];
    let volume = directory.volume();
    volume.commit(row(1, b"newer")).expect("is stored");
    drop(volume);
    let file = |epoch: u32, records: &[Vec<Row>]| {
        let mut file = wal::record::file_header(7);
        records.iter().for_each(|rows| wal::record::encode(7, epoch, rows, &mut file));
        file
    };
    let hole = row(1, b"newer");
    let mut older = file(1, &[row(1, b"older"), row(2, b"only here"), hole.clone(), row(3, b"last")]);
    let hole_at = older.len() - wal::record::length(&row(3, b"last")) - wal::record::length(&hole);
    older[hole_at..hole_at + wal::record::length(&hole)].fill(0);
    fs::write(directory.0.join("wal-0"), older).expect("writes");
    fs::write(directory.0.join("wal-1"), file(2, &[row(4, b"next")])).expect("writes");
    let volume = directory.volume();
    let values: Vec<_> = all(&volume, &[0], &[9]).into_iter().map(|(_, value)| value).collect();
    assert_eq!(values, [&b"newer"[..], b"only here", b"last", b"next"]);
    assert!(directory.0.join("wal-0.unreadable-1").exists(), "what could not be read is not thrown away");
    assert!(wal::read(&directory.0).expect("reads").is_none());
}

/// The first write into the other file was refused. What lies before damage in this one is still the newest there is.
#[test]
fn a_file_is_not_taken_for_one_that_was_written_again_because_a_write_into_the_other_was_refused() {
    let directory = Directory::new();
    directory.volume().commit(vec![(vec![1], b"in the database".to_vec())]).expect("stored");
    let mut full = wal::record::file_header(7);
    wal::record::encode(7, 2, &[(vec![1], b"acknowledged later".to_vec())], &mut full);
    let hole = full.len();
    wal::record::encode(7, 2, &[(vec![2], b"damaged".to_vec())], &mut full);
    full[hole + 30] ^= 1;
    wal::record::encode(7, 2, &[(vec![3], b"behind it".to_vec())], &mut full);
    let mut refused = wal::record::file_header(7);
    wal::record::encode(7, 3, &[], &mut refused);
    fs::write(directory.0.join("wal-0"), full).expect("writes");
    fs::write(directory.0.join("wal-1"), refused).expect("writes");
    let expected = [(vec![1], b"acknowledged later".to_vec()), (vec![3], b"behind it".to_vec())];
    assert_eq!(all(&directory.volume(), &[0], &[9]), expected);
}

/// Nobody can tell whether they hold what was acknowledged.
#[test]
fn no_file_that_holds_what_cannot_be_read_is_removed() {
    let directory = Directory::new();
    drop(directory.volume());
    for round in 1..=20 {
        let mut file = wal::record::file_header(7);
        for _ in 0..2 {
            wal::record::encode(7, 1, &[(vec![1], vec![round])], &mut file);
        }
        fs::write(directory.0.join("wal-1"), &file[..file.len() - 1]).expect("writes");
        assert_eq!(all(&directory.volume(), &[0], &[9]), [(vec![1], vec![round])], "what can be read of it is");
    }
    let kept = wal::unreadable(&directory.0).expect("reads");
    assert_eq!(kept, (1..=20).map(|number| format!("wal-1.unreadable-{number}")).collect::<Vec<_>>());
}

/// What is behind all that is read of a file may be a commit.
#[test]
fn a_file_that_is_longer_than_what_is_read_of_it_is_not_thrown_away() {
    let directory = Directory::new();
    drop(directory.volume());
    let path = directory.0.join("wal-0");
    let mut file = wal::record::file_header(7);
    wal::record::encode(7, 1, &[(vec![1], vec![1])], &mut file);
    fs::write(&path, file).expect("writes");
    fs::OpenOptions::new()
        .write(true)
        .open(path)
        .expect("opens")
        .set_len(limits::WAL_READ_BYTES_MAX + 1)
        .expect("grows");
    assert_eq!(all(&directory.volume(), &[0], &[9]), [(vec![1], vec![1])]);
    assert!(directory.0.join("wal-0.unreadable-1").exists());
}

/// Files that are there may hold commits: nobody writes over them, not even after a failure to take them away.
#[test]
fn files_that_are_there_are_never_made_anew() {
    let directory = Directory::new();
    let volume = directory.volume();
    let mut file = wal::record::file_header(7);
    wal::record::encode(7, 1, &[(vec![1], vec![1])], &mut file);
    fs::write(directory.0.join("wal-1"), file).expect("writes");
    assert!(volume.commit(vec![(vec![2], vec![2])]).is_err());
    assert!(volume.commit(vec![(vec![2], vec![2])]).is_err(), "until it is opened again");
    volume.seal().expect("closes");
    assert_eq!(all(&directory.volume(), &[0], &[9]), [(vec![1], vec![1])]);
}

/// Builds from before there was a write-ahead log look into the database and nowhere else.
#[test]
fn what_is_committed_for_every_build_is_in_the_database_itself() {
    let directory = Directory::new();
    let volume = directory.volume();
    volume.commit(vec![(vec![1], b"before".to_vec()), (vec![2], vec![2])]).expect("is stored");
    volume.commit_for_every_build(vec![(vec![1], b"for all".to_vec())]).expect("is stored");
    volume.commit(vec![(vec![3], vec![3])]).expect("is stored");
    volume.broken.store(true, Ordering::Relaxed);
    drop(volume);
    let database = Database::open(&directory.0, SMALL.segment_bytes).expect("opens");
    assert_eq!((database.get(&[1]), database.get(&[3])), (Ok(Some(b"for all".to_vec())), Ok(None)));
    drop(database);
    let rows = [(vec![1], b"for all".to_vec()), (vec![2], vec![2]), (vec![3], vec![3])];
    assert_eq!(all(&directory.volume(), &[0], &[9]), rows);
}

/// A commit that is larger than a file of the write-ahead log, among others.
#[test]
fn a_commit_that_no_file_has_room_for_is_kept_as_well() {
    let directory = Directory::new();
    let volume = directory.volume();
    for number in 0..9_u8 {
        volume.commit(vec![(vec![1, number], vec![number; 5000 * usize::from(number % 3)])]).expect("is stored");
    }
    let rows = all(&volume, &[0], &[255]);
    volume.broken.store(true, Ordering::Relaxed);
    drop(volume);
    assert_eq!(all(&directory.volume(), &[0], &[255]), rows);
    assert_eq!(rows.iter().map(|(_, value)| value.len()).sum::<usize>(), 45_000);
}
