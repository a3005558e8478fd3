//! kill -9 of the daemon at the system call: before, in the middle of and after what it changes files by.

use std::collections::BTreeMap;

use super::shim::{AFTER, BEFORE, MIDDLE, Shim, op};
use super::workload::{Load, Remarks, fill_a_volume};
use super::{runs, seed, trace};
use crate::harness::{Choice, Home, annotate, block_on, create, ended, eventually, eventually_async, output, verify};

/// Points of one kind: an operation on files of one name, whatever numbers are in it.
type Kind = (u64, String);

/// A place to kill at: the n-th point of a kind.
#[derive(Debug)]
struct Place {
    kind: Kind,
    nth: u64,
    how: u64,
}

/// A path below a home with `*` for every number in it.
fn pattern(home: &Home, path: &str) -> String {
    let path = path.strip_prefix(home.path().to_str().unwrap()).unwrap_or(path);
    let mut pattern = String::new();
    let mut run = String::new();
    for character in path.chars().chain(['/']) {
        if character.is_ascii_hexdigit() || character == '-' {
            run.push(character);
            continue;
        }
        let is_number = run.len() > 2 && run.contains(|digit: char| digit.is_ascii_digit());
        pattern.push_str(if is_number { "*" } else { &run });
        run.clear();
        pattern.push(character);
    }
    pattern.pop();
    pattern
}

/// A home in which no daemon ever ran, or one in which two were killed: what the first one stored is in a database, what the
/// second one stored in a write-ahead log.
fn home(is_old: bool) -> Home {
    let home = Home::new();
    if is_old {
        home.start();
        home.ok(&["run", "--detach", "--", "true"]);
        home.kill_daemon();
        home.start();
        block_on(async {
            let client = home.client().await;
            let session = create(&client, Some("before")).await;
            annotate(&client, session, "before").await;
        });
        home.kill_daemon();
    }
    home
}

/// Runs the load once and counts the points of each kind.
fn count(is_old: bool, remarks: Remarks) -> BTreeMap<Kind, u64> {
    let home = home(is_old);
    let shim = Shim::new(&home);
    let traced = shim.trace();
    let mut daemon = shim.start(&home).expect("nothing is wrong yet");
    block_on(async {
        let load = Load::begin(&home, remarks, None);
        eventually_async("the load ends", || load.is_done()).await;
        daemon.stop();
        load.close_gate();
        home.start();
        load.finish(&home).await;
    });
    let mut kinds = BTreeMap::new();
    for entry in trace::read(&traced) {
        if let Some((op, path)) = entry.class() {
            *kinds.entry((op, pattern(&home, path))).or_insert(0) += 1;
        }
    }
    kinds
}

/// Every kind in turn, each at a point that the seed draws, until there are enough.
fn draw(kinds: &BTreeMap<Kind, u64>, places: usize) -> Vec<Place> {
    let mut choice = Choice::seeded(seed());
    let mut order: Vec<(&Kind, u64)> = kinds.iter().map(|(kind, count)| (kind, *count)).collect();
    choice.shuffle(&mut order);
    let mut drawn = Vec::new();
    while drawn.len() < places {
        // Rare kinds are soon drawn at every point they have: then the common ones go on.
        let lap = drawn.len() as u64 / order.len() as u64;
        for (kind, count) in order.iter().filter(|(_, count)| *count > lap).take(places - drawn.len()) {
            let how = if kind.0 == op::WRITE { choice.below(3) } else { [BEFORE, AFTER][choice.below(2) as usize] };
            drawn.push(Place { kind: (*kind).clone(), nth: 1 + choice.below(*count), how });
        }
        if order.iter().all(|(_, count)| *count <= lap) {
            break;
        }
    }
    drawn
}

/// Kills a daemon under load there; whether it came to that.
fn kill_at(place: &Place, is_old: bool, remarks: Remarks) -> bool {
    let home = home(is_old);
    let shim = Shim::new(&home);
    let (op, path) = &place.kind;
    let (first, last) = path.split_once('*').unwrap_or((path, ""));
    let (last, _) = last.split_once('*').unwrap_or((last, ""));
    shim.points_are(*op, [first, last], "");
    shim.kill_at(place.nth, place.how);
    let daemon = shim.start(&home);
    block_on(async {
        let load = Load::begin(&home, remarks, None);
        if let Some(mut daemon) = daemon {
            eventually_async("the load ends", || load.is_done() || daemon.is_gone()).await;
            daemon.stop();
        }
        load.close_gate();
        home.start();
        load.finish(&home).await;
    });
    shim.points() >= place.nth
}

fn kill_everywhere(is_old: bool, few: usize) {
    let kinds = count(is_old, Remarks::Few);
    let only = if is_old { "/data/log/v*/snap" } else { "/data/log/index/db" };
    for wanted in
        ["/data/log/HEAD", "/data/log/v*/db", "/data/log/v*/wal-", "/data/checkpoints/", "/runtime/daemon.", only]
    {
        assert!(kinds.keys().any(|(_, path)| path.starts_with(wanted)), "no point at {wanted}: {kinds:#?}");
    }
    kill_at_some(&kinds, few, is_old, Remarks::Few);
}

/// Draws so many points of these kinds and kills at each.
fn kill_at_some(kinds: &BTreeMap<Kind, u64>, few: usize, is_old: bool, remarks: Remarks) {
    let places = draw(kinds, runs(few));
    println!("{} points of {} kinds, {} drawn", kinds.values().sum::<u64>(), kinds.len(), places.len());
    let mut killed = 0;
    for place in &places {
        println!("{} {} of {}, the {}th, how {}", seed(), op::name(place.kind.0), place.kind.1, place.nth, place.how);
        killed += usize::from(kill_at(place, is_old, remarks));
    }
    // Group commits depend on timing: the last points of a kind need not come in every run.
    assert!(killed * 10 >= places.len() * 8, "only {killed} of {} kills happened", places.len());
}

#[test]
fn kill9_everywhere() {
    kill_everywhere(false, 60);
}

#[test]
fn kill9_everywhere_on_a_log_that_is_opened_again() {
    kill_everywhere(true, 40);
}

#[test]
fn kill9_while_rows_go_from_the_write_ahead_log_into_the_database() {
    let mut kinds = count(false, Remarks::Turning);
    let of_volume = |path: &str| path.starts_with("/data/log/v*/db") || path.starts_with("/data/log/v*/wal-");
    kinds.retain(|(_, path), count| of_volume(path) && *count > 1);
    let synced = kinds.get(&(op::SYNC, "/data/log/v*/db".to_owned()));
    assert!(synced.is_some_and(|count| *count >= 4), "the database was hardly written: {kinds:#?}");
    kill_at_some(&kinds, 10, false, Remarks::Turning);
}

/// sled writes a new database's `conf` in two writes. A kill between them left one without its checksum, which sled took
/// for another version's: the daemon never started again.
#[test]
fn regression_a_kill_between_the_two_writes_of_a_new_databases_conf_does_not_keep_the_log_shut() {
    for how in [BEFORE, MIDDLE, AFTER] {
        for nth in [1, 2] {
            let place = Place { kind: (op::WRITE, "/data/log/v*/conf".to_owned()), nth, how };
            assert!(kill_at(&place, false, Remarks::Few), "{place:?}");
        }
    }
}

#[test]
fn kill9_while_a_volume_is_sealed_and_another_one_begun() {
    const FIRST: &str = "/v-00000000000000000001";
    let begun = |ops, how, nth| (ops, ["/data/log/v-", ""], FIRST, how, nth);
    let kinds = [
        begun(op::MKDIR, AFTER, 1),
        begun(op::SYNC, BEFORE, 1),
        begun(op::WRITE, MIDDLE, 2),
        (op::WRITE, ["/index/db", ""], "", MIDDLE, 2),
        (op::RENAME, [FIRST, "snap"], "", BEFORE, 1),
        (op::WRITE, ["HEAD", ""], "", AFTER, 5),
    ];
    for number in 0..runs(kinds.len()) {
        let (ops, with, without, how, nth) = kinds[number % kinds.len()];
        println!("{} of {with:?} without {without:?}, the {nth}th, how {how}", op::name(ops));
        let home = Home::new();
        let shim = Shim::new(&home);
        shim.points_are(ops, with, without);
        shim.kill_at(nth, how);
        let mut daemon = shim.start(&home).expect("the kill comes later");
        block_on(async {
            let client = home.client().await;
            let (session, terminal) = fill_a_volume(&client, "fills", &home.path().join("copy")).await;
            eventually("the daemon is killed while it seals the volume and begins another one", || daemon.is_gone());
            home.start();
            ended(&client, session).await;
            let (bytes, copy) = (output(&client, terminal).await, std::fs::read(home.path().join("copy")).unwrap());
            assert!(bytes == copy, "{} bytes were printed, {} are there", copy.len(), bytes.len());
            let report = verify(&client).await;
            assert!(report.intact, "{:?}", report.damage);
            assert_eq!(report.output_bytes, bytes.len() as u64);
        });
    }
}
