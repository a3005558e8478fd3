//! Files that were cut short or have a bit flipped while no daemon ran: the daemon starts, says what is damaged, and serves
//! the rest, never anything else than what was stored.

use std::collections::BTreeMap;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use ropewalk_kernel::log::SledShelf;
use ropewalk_kernel::log::store::Shelf;
use ropewalk_protocol::{Event, Seq, TerminalId};
use ropewalk_transport::client::{AttachmentItem, Client, SubscriptionItem};

use super::{runs, seed};
use crate::harness::{
    Choice, Home, all_events, annotate, block_on, create, ended, from, kill_and_wait, output, process_exists, run,
    verify, watch,
};

/// A home of two volumes that no daemon runs in, and what it holds.
struct Original {
    home: Home,
    events: Vec<Event>,
    output: BTreeMap<TerminalId, Vec<u8>>,
}

fn original() -> Original {
    let home = Home::started();
    let mut printed = BTreeMap::new();
    let mut events = Vec::new();
    for volume in 1..=2 {
        home.start();
        block_on(async {
            let client = home.client().await;
            let notes = create(&client, Some(&format!("notes-{volume}"))).await;
            for number in 0..25 {
                annotate(&client, notes, &format!("{volume} {number} {}", "word ".repeat(number * number * 3))).await;
            }
            let script = "stty raw; head -c 150000 /dev/urandom";
            let (prints, terminal) = run(&client, &format!("prints-{volume}"), &["sh", "-c", script]).await;
            ended(&client, prints).await;
            printed.insert(terminal, output(&client, terminal).await);
            // Its last bytes are stored once its end is.
            while events.iter().filter(|event: &&Event| event.body.name() == "terminal.closed").count() < volume {
                events = all_events(&client).await;
            }
        });
        if volume == 1 {
            home.ok(&["daemon", "stop"]);
            // An empty newest volume is taken on by the next daemon: the one before it is sealed.
            let shelf = SledShelf::open(&home.path().join("data/log")).unwrap();
            drop(shelf.create(Seq(events.last().unwrap().seq.0 + 3)).unwrap());
            drop(shelf.open(Seq(1)).unwrap());
        }
    }
    // Nothing is as it is left by those who stop: this is what a machine finds that starts again.
    home.kill_daemon();
    let holder = std::fs::read_to_string(home.path().join("data/holder.lock")).unwrap();
    kill_and_wait(holder.trim().parse().unwrap(), rustix::process::Signal::KILL);
    Original { home, events, output: printed }
}

/// The files of a home that say something, below it.
fn files(home: &Path, below: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(home.join(below)).unwrap() {
        let entry = entry.unwrap();
        let path = format!("{below}/{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(home, &path));
        } else if entry.file_type().unwrap().is_file() && !path.ends_with("/ballast") {
            found.push(PathBuf::from(path));
        }
    }
    found.sort();
    found
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Damage {
    Emptied,
    Cut,
    /// A bit of what is not zero: most of a database is dead space.
    FlippedInUse,
    Flipped,
}

pub(super) const DAMAGES: [Damage; 4] = [Damage::Emptied, Damage::Cut, Damage::FlippedInUse, Damage::Flipped];

impl Damage {
    pub(super) fn done_to(self, path: &Path, choice: &mut Choice) {
        let bytes = std::fs::read(path).unwrap();
        if bytes.is_empty() {
            return;
        }
        let mut draw = || usize::try_from(choice.below(bytes.len() as u64)).unwrap();
        let mut place = draw();
        let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
        match self {
            Damage::Emptied => file.set_len(0).unwrap(),
            Damage::Cut => file.set_len(place as u64).unwrap(),
            Damage::FlippedInUse | Damage::Flipped => {
                while self == Damage::FlippedInUse && bytes[place] == 0 {
                    place = draw();
                }
                file.write_all_at(&[bytes[place] ^ (1 << (place % 8))], place as u64).unwrap();
            }
        }
    }
}

fn copy(original: &Home) -> Home {
    let home = Home::new();
    for below in ["data", "runtime", "state"] {
        for path in files(original.path(), below) {
            let to = home.path().join(&path);
            std::fs::create_dir_all(to.parent().unwrap()).unwrap();
            std::fs::copy(original.path().join(&path), to).unwrap();
        }
    }
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(home.path().join("runtime"), std::fs::Permissions::from_mode(0o700)).unwrap();
    home
}

/// What a subscriber is given up to the head: events, and the places in gaps.
async fn served(client: &Client) -> (Vec<Event>, Vec<(u64, u64)>) {
    let (subscribed, mut items) = client.subscribe(from(0)).await.unwrap();
    let (mut events, mut gaps) = (Vec::new(), Vec::new());
    let mut to = 0;
    while to < subscribed.head.0 {
        match items.recv().await.unwrap() {
            SubscriptionItem::Events(more) => {
                to = more.last().map_or(to, |event| event.seq.0);
                events.extend(more);
            }
            SubscriptionItem::Gap { from, to: end, .. } => {
                to = end.0;
                gaps.push((from.0, end.0));
            }
            SubscriptionItem::Live(at) => to = at.0,
            other => panic!("{other:?}"),
        }
    }
    (events, gaps)
}

/// Holds a terminal's bytes against the original ones; whether there was a gap.
async fn output_is_true(client: &Client, terminal: TerminalId, original: &[u8]) -> bool {
    // A terminal whose events cannot be read is not known.
    let Ok((_, mut items)) = client.attach(watch(terminal, Some(0))).await else {
        return true;
    };
    let (mut at, mut gap) = (0, false);
    loop {
        match items.recv().await.unwrap() {
            AttachmentItem::Output { offset, bytes } => {
                let begin = usize::try_from(offset).unwrap();
                assert_eq!(offset, at, "what is missing is called a gap");
                assert!(original[begin..begin + bytes.len()] == bytes, "wrong bytes at {offset}");
                at += bytes.len() as u64;
            }
            AttachmentItem::Gap { from, to, .. } => {
                assert_eq!(from, at);
                (at, gap) = (to, true);
            }
            AttachmentItem::End(end) => {
                assert_eq!(at, end);
                return gap;
            }
            AttachmentItem::Failed(_) => return true,
            other => panic!("{other:?}"),
        }
    }
}

/// Starts a daemon on a damaged home, and holds what it says against the original. What went wrong, if anything.
fn survive(home: &Home, original: &Original) -> Result<(), String> {
    let started = home.run(&["daemon", "start"]);
    if !started.status.success() {
        let log = home.daemon_log();
        return Err(format!("the daemon does not start: {}", log.lines().last().unwrap_or_default()));
    }
    let daemon = home.daemon_pid();
    block_on(async {
        let client = home.client().await;
        let (events, gaps) = served(&client).await;
        let mut is_served = vec![false; original.events.len() + 1];
        for event in &events {
            if let Some(stored) = original.events.get(usize::try_from(event.seq.0 - 1).unwrap()) {
                assert_eq!(event, stored, "an event is what it was, or it is not there");
                is_served[usize::try_from(event.seq.0).unwrap()] = true;
            }
        }
        let in_a_gap = |seq: u64| gaps.iter().any(|(from, to)| (*from..=*to).contains(&seq));
        let missing: Vec<u64> = (1..=original.events.len() as u64)
            .filter(|seq| !is_served[usize::try_from(*seq).unwrap()] && !in_a_gap(*seq))
            .collect();
        if !missing.is_empty() {
            return Err(format!("{missing:?} are neither served nor in a gap: {gaps:?}"));
        }
        let mut damaged = !gaps.is_empty();
        for (terminal, bytes) in &original.output {
            damaged |= output_is_true(&client, *terminal, bytes).await;
        }
        let report = verify(&client).await;
        if damaged && report.intact {
            return Err(format!("the check names nothing: {gaps:?}"));
        }
        let again = create(&client, Some("afterwards")).await;
        annotate(&client, again, "goes on").await;
        home.ok(&["ls"]);
        assert!(process_exists(daemon), "the daemon lives");
        Ok(())
    })
}

/// What is damaged in every run, however few cases it takes: a file of each kind.
const KINDS: [[&str; 2]; 8] = [
    ["data/log/HEAD", ""],
    ["data/log/index/", "/db"],
    ["data/log/v-", "/wal-"],
    ["data/log/v-", "/db"],
    ["data/checkpoints/", ""],
    ["data/daemon.lock", ""],
    ["runtime/token", ""],
    ["runtime/daemon.json", ""],
];

fn is_of(path: &Path, kind: [&str; 2]) -> bool {
    let path = path.to_str().unwrap();
    path.starts_with(kind[0]) && path.contains(kind[1])
}

/// Every file with every damage, in an order that the seed draws, but one of each kind before all others.
fn cases(original: &Original) -> Vec<(PathBuf, Damage)> {
    let mut cases: Vec<(PathBuf, Damage)> = Vec::new();
    for below in ["data", "runtime"] {
        for path in files(original.home.path(), below) {
            cases.extend(DAMAGES.map(|damage| (path.clone(), damage)));
        }
    }
    Choice::seeded(seed()).shuffle(&mut cases);
    for (place, kind) in KINDS.into_iter().enumerate() {
        let found = cases[place..].iter().position(|(path, _)| is_of(path, kind));
        let at = place + found.unwrap_or_else(|| panic!("there is no {kind:?}"));
        cases.swap(place, at);
    }
    cases
}

#[test]
fn truncated_and_flipped() {
    let original = original();
    let cases = cases(&original);
    let mut damaged: Vec<&Path> = Vec::new();
    let mut wrong = Vec::new();
    for (number, (path, damage)) in cases.iter().cycle().take(runs(30)).enumerate() {
        let home = copy(&original.home);
        damaged.push(path);
        damage.done_to(&home.path().join(path), &mut Choice::seeded(seed() + number as u64));
        if let Err(error) = survive(&home, &original) {
            wrong.push(format!("seed {} case {number}: {} {damage:?}: {error}", seed(), path.display()));
        }
    }
    let is_damaged = |kind| damaged.iter().any(|path| is_of(path, kind));
    assert!(runs(30) < KINDS.len() || KINDS.into_iter().all(is_damaged), "{damaged:?}");
    assert!(wrong.is_empty(), "{} of {}: {wrong:#?}", wrong.len(), runs(30));
}
