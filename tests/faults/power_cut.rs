//! Power cuts: a real daemon's writes and syncs are recorded, and logs are opened from what a disk may hold afterwards.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use ropewalk_kernel::log::{Filter, Journal, SledShelf};
use ropewalk_protocol::{Event, EventBody, LogId, Seq};

use super::image::{Disk, MODELS, Model};
use super::shim::{AFTER, Shim, Shimmed, op};
use super::trace::{Entry, acknowledge};
use super::workload::{Load, Remarks, fill_a_volume, volumes};
use super::{runs, seed, trace};
use crate::harness::{Choice, Home, ROPEWALK, block_on, create, ended, eventually, eventually_async, mint};

/// Regression: after a power cut the machine's id may have been empty, and another one was minted.
#[test]
fn regression_the_machines_id_and_the_token_are_on_stable_storage_before_they_have_their_names() {
    for name in ["data/machine-id.new", "runtime/token.new"] {
        let home = Home::new();
        let shim = Shim::new(&home);
        shim.points_are(op::SYNC, [name, ""], "no such name");
        shim.start(&home).expect("nothing is wrong").stop();
        assert_eq!(shim.points(), 1, "{name}");
    }
}

/// A recorded life of a log: where its home was, and what happened.
struct Recorded {
    home: String,
    entries: Vec<Entry>,
}

/// A load over two daemons, of which the first is killed and the second stopped.
fn record(remarks: Remarks) -> Recorded {
    record_with(remarks, None)
}

/// The same, with daemons that have a bug.
fn record_with(remarks: Remarks, bug: Option<&str>) -> Recorded {
    let home = Home::new();
    let shim = Shim::new(&home);
    let traced = shim.trace();
    let start = || {
        let mut command = Command::new(ROPEWALK);
        command.envs(bug.map(|bug| ("ROPEWALK_PLANTED", bug)));
        shim.start_as(&home, command).expect("nothing is wrong")
    };
    block_on(async {
        let mut daemon = start();
        let load = Load::begin(&home, remarks, Some(traced.clone()));
        eventually_async("the load ends", || load.is_done()).await;
        load.close_gate();
        kill_between_operations(&home, &shim, &mut daemon).await;
        let mut daemon = start();
        load.finish(&home).await;
        let client = home.client().await;
        let into = create(&client, None).await;
        for number in 0..10 {
            let text = format!("by the second daemon {number}");
            let command = ropewalk_protocol::Command::SessionAnnotate { session: into, text: text.clone() };
            acknowledge(&traced, client.command(mint(), command).await.unwrap().seq.0, &text);
        }
        daemon.stop();
    });
    let entries = trace::read(&traced);
    assert_the_shim_saw_everything(&home, &entries);
    Recorded { home: home.path().to_str().unwrap().to_owned(), entries }
}

/// Kills the daemon right behind an operation that is in the trace: a kill from outside may come between the two.
async fn kill_between_operations(home: &Home, shim: &Shim, daemon: &mut Shimmed) {
    let client = home.client().await;
    while !daemon.is_gone() {
        shim.kill_at(shim.points() + 1, AFTER);
        // There is one if there is something to store. Where the number has gone by meanwhile, the next one is taken.
        let create = create(&client, None);
        tokio::time::timeout(std::time::Duration::from_millis(200), create).await.ok();
    }
    shim.kill_at(0, AFTER);
}

/// What the trace says was written is what is there, byte for byte.
fn assert_the_shim_saw_everything(home: &Home, entries: &[Entry]) {
    let mut disk = Disk::default();
    entries.iter().for_each(|entry| disk.follow(entry, false));
    let image = Image::of(&disk, Model::Everything, &mut Choice::seeded(0), home.path().to_str().unwrap());
    let real = home.path().join("data/log");
    let mut compared = 0;
    for path in files(&real) {
        let name = path.strip_prefix(&real).unwrap();
        // The ballast's room is taken by a system call that the shim does not see.
        if name != Path::new("ballast") {
            let (real, seen) =
                (std::fs::read(&path).unwrap(), std::fs::read(image.log().join(name)).unwrap_or_default());
            assert!(real == seen, "{}: {} bytes are there, {} were seen", name.display(), real.len(), seen.len());
            compared += 1;
        }
    }
    assert!(compared >= 5, "only {compared} files were compared");
}

fn files(below: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(below).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// A disk after a power cut; removed when dropped.
struct Image(PathBuf);

impl Image {
    fn of(disk: &Disk, model: Model, choice: &mut Choice, root: &str) -> Self {
        static NUMBER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("rw-{}-image-{number}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        disk.write(model, choice, root, &path);
        Self(path)
    }

    fn log(&self) -> PathBuf {
        self.0.join("data/log")
    }

    /// Opens the log in it and holds it against what was acknowledged.
    fn check(&self, acknowledged: &[(u64, &str)]) -> Result<(), String> {
        let shelf = SledShelf::open(&self.log()).map_err(|error| format!("no shelf: {error}"))?;
        let opened = Journal::open(Arc::new(shelf), LogId::from_bytes([9; 16]), |_| Box::new(|_: &[Event]| {}));
        let opened = opened.map_err(|error| format!("the log does not open: {error}"))?;
        let found = against(&opened.journal, acknowledged);
        opened.journal.stop().blocking_recv().ok();
        opened.writer.join().map_err(|_| "the writer panicked".to_owned())?;
        found.and_then(|()| opened.lost.map_or(Ok(()), |lost| Err(format!("events are gone: {lost:?}"))))
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

fn against(journal: &Journal, acknowledged: &[(u64, &str)]) -> Result<(), String> {
    let mut events = Vec::new();
    let mut after = Seq::ZERO;
    while after < journal.head() {
        let page = journal.page(Filter::All, after).map_err(|error| format!("no page after {after}: {error}"))?;
        events.extend(page.events().map_err(|error| error.to_string())?);
        after = page.to;
    }
    for (seq, text) in acknowledged {
        let event = usize::try_from(*seq - 1).ok().and_then(|place| events.get(place));
        let holds = event.is_some_and(|event| {
            event.seq == Seq(*seq) && matches!(&event.body, EventBody::SessionAnnotated(it) if it.text == **text)
        });
        if !holds {
            return Err(format!("{seq} was acknowledged and is not there; the head is {}", journal.head()));
        }
    }
    let damage = journal.verify(&mut |_| {}).map_err(|error| format!("no verdict: {error}"))?.damage;
    if damage.is_empty() { Ok(()) } else { Err(format!("damage: {damage:?}")) }
}

/// Cuts the power after these entries, in every model; what went wrong, with what repeats it.
fn cut(recorded: &Recorded, mut points: Vec<usize>, lying: bool) -> Vec<String> {
    points.sort_unstable();
    let (mut disk, mut followed) = (Disk::default(), 0);
    let mut acknowledged = Vec::new();
    let mut wrong = Vec::new();
    for point in points {
        for entry in &recorded.entries[followed..point] {
            disk.follow(entry, lying);
            if let Entry::Acknowledged { seq, text } = entry {
                acknowledged.push((*seq, text.as_str()));
            }
        }
        followed = point;
        for model in MODELS {
            let image = Image::of(&disk, model, &mut Choice::seeded(seed() + point as u64), &recorded.home);
            if let Err(error) = image.check(&acknowledged) {
                let last = recorded.entries[..point].iter().rev().find_map(Entry::class);
                wrong.push(format!("seed {} point {point} {model:?} after {last:?}: {error}", seed()));
            }
        }
    }
    wrong
}

fn points(entries: std::ops::Range<usize>, count: usize) -> Vec<usize> {
    let mut choice = Choice::seeded(seed());
    let length = (entries.end - entries.start) as u64;
    (0..count).map(|_| entries.start + usize::try_from(choice.below(length)).unwrap()).collect()
}

#[test]
fn power_cut() {
    let recorded = record(Remarks::Few);
    let drawn = points(1..recorded.entries.len() + 1, runs(25));
    let images = drawn.len() * MODELS.len();
    let wrong = cut(&recorded, drawn, false);
    println!("{} entries, {images} images", recorded.entries.len());
    assert!(wrong.is_empty(), "{} of {images}: {wrong:#?}", wrong.len());
}

/// What is acknowledged lies in two files that are written again and again, and goes into the database meanwhile.
#[test]
fn a_power_cut_while_the_files_of_the_write_ahead_log_take_turns() {
    let recorded = record(Remarks::Turning);
    let is_first = |entry: &Entry| matches!(entry, Entry::Write { path, offset: 512, .. } if path.contains("/wal-"));
    let turns: Vec<usize> = (0..recorded.entries.len()).filter(|place| is_first(&recorded.entries[*place])).collect();
    // The second daemon begins once more, and all others are turns.
    assert!(turns.len() >= 4, "the files took no turns: {turns:?}");
    let drawn = points(turns[0]..recorded.entries.len() + 1, runs(10));
    let images = drawn.len() * MODELS.len();
    let wrong = cut(&recorded, drawn, false);
    println!("{} entries, {images} images", recorded.entries.len());
    assert!(wrong.is_empty(), "{} of {images}: {wrong:#?}", wrong.len());
}

/// A bug that the images do not find says that they look away.
#[cfg(debug_assertions)]
fn catches(bug: &str, remarks: Remarks) {
    let recorded = record_with(remarks, Some(bug));
    let length = recorded.entries.len();
    let drawn = points(length / 2..length + 1, 10);
    let images = drawn.len() * MODELS.len();
    let wrong = cut(&recorded, drawn, false);
    println!("{bug} is found in {} of {images} images", wrong.len());
    assert!(wrong.iter().any(|wrong| wrong.contains("was acknowledged and is not there")), "{wrong:#?}");
}

#[cfg(debug_assertions)]
#[test]
fn catches_a_commit_that_is_acknowledged_before_it_is_synced() {
    catches("acknowledged_before_sync", Remarks::Few);
}

#[cfg(debug_assertions)]
#[test]
fn catches_a_file_of_the_write_ahead_log_that_is_written_again_before_the_database_is_synced() {
    catches("written_again_before_sync", Remarks::Turning);
}

#[test]
fn a_disk_that_does_not_keep_what_it_synced_is_found_out_by_the_same_images() {
    let recorded = record(Remarks::Few);
    let length = recorded.entries.len();
    let wrong = cut(&recorded, points(length / 2..length + 1, 5), true);
    assert!(wrong.iter().any(|wrong| wrong.contains("was acknowledged and is not there")), "{wrong:#?}");
}

#[test]
fn a_power_cut_while_a_volume_is_sealed_and_another_one_begun() {
    let home = Home::new();
    let shim = Shim::new(&home);
    let traced = shim.trace();
    block_on(async {
        let mut daemon = shim.start(&home).expect("nothing is wrong");
        let client = home.client().await;
        let into = create(&client, None).await;
        let (fills, _) = fill_a_volume(&client, "fills", &home.path().join("copy")).await;
        let mut number = 0;
        while volumes(&home) < 2 || number < 10 {
            number += 1;
            let text = format!("remark {number}");
            let command = ropewalk_protocol::Command::SessionAnnotate { session: into, text: text.clone() };
            acknowledge(&traced, client.command(mint(), command).await.unwrap().seq.0, &text);
        }
        ended(&client, fills).await;
        eventually("the first volume is sealed", || {
            let names = files(&home.path().join("data/log/v-00000000000000000001"));
            names.iter().any(|path| path.to_string_lossy().contains("/snap."))
        });
        daemon.stop();
    });
    let recorded = Recorded { home: home.path().to_str().unwrap().to_owned(), entries: trace::read(&traced) };
    let is_next =
        |entry: &Entry| matches!(entry, Entry::Mkdir { path } if path.contains("/v-") && !path.ends_with("01"));
    let begun = recorded.entries.iter().position(is_next).expect("another volume was begun");
    let drawn = points(begun.saturating_sub(2)..recorded.entries.len() + 1, runs(4));
    let wrong = cut(&recorded, drawn, false);
    assert!(wrong.is_empty(), "{}: {wrong:#?}", wrong.len());
}
