//! A disk that refuses: full, over its quota, broken, or after half a write. Nothing is promised, everything is served,
//! and appends come back by themselves.

use std::time::Instant;

use ropewalk_protocol::{
    Code, Command as Change, Event, EventBody, Query, QueryResult, Rejection, Seq, SessionId, limits,
};
use ropewalk_transport::client::Client;

use super::seed;
use super::shim::{EDQUOT, EIO, ENOSPC, LOG_TOOL, Shim, op};
use crate::harness::{Choice, Home, PATIENCE, all_events, annotate, block_on, create, events_so_far, mint, verify};

/// A volume's database. What is committed goes there only once a file of the write-ahead log is full.
const DATABASE: &str = "/db";

/// The files of a write-ahead log.
const WAL: &str = "/wal-";
/// What sled keeps beside a database, written anew when it is opened.
const SNAPSHOT: &str = "/snap";

/// Where it hurts: a name, the operations, and what is in the paths.
const PLACES: &[(&str, u64, [&str; 2])] = &[
    ("the log's writes", op::WRITE, ["/data/log/v-", WAL]),
    ("the log's syncs", op::SYNC, ["/data/log/v-", WAL]),
    ("the making of a log's files", op::CREATE, ["/data/log/v-", WAL]),
    ("the database's writes", op::WRITE, ["/data/log/v-", DATABASE]),
    ("the database's syncs", op::SYNC, ["/data/log/v-", DATABASE]),
    ("the database's sync_file_range", op::RANGE, ["/data/log/v-", DATABASE]),
    ("HEAD", op::WRITE, ["/data/log/HEAD", ""]),
    ("snapshots, while a volume is opened again", op::ALL, ["/data/log/v-", SNAPSHOT]),
    ("all that is written", op::WRITE, ["/", ""]),
    ("everything", op::ALL, ["/", ""]),
];

const ERRORS: &[(&str, u64, bool, Code)] = &[
    ("full", ENOSPC, false, Code::StorageFull),
    ("full after half a write", ENOSPC, true, Code::StorageFull),
    ("over the quota", EDQUOT, false, Code::StorageFull),
    ("broken", EIO, false, Code::StorageFailed),
];

async fn degraded(client: &Client) -> Option<String> {
    match client.query(Query::LogStats {}).await.unwrap().result {
        QueryResult::LogStats { stats } => stats.degraded,
        other => panic!("{other:?}"),
    }
}

fn remark(session: SessionId, text: &str) -> Change {
    Change::SessionAnnotate { session, text: text.to_owned() }
}

fn remarks(events: &[Event]) -> Vec<(Seq, &str)> {
    let mut found = Vec::new();
    for event in events {
        if let EventBody::SessionAnnotated(it) = &event.body {
            found.push((event.seq, it.text.as_str()));
        }
    }
    found
}

/// Sends remarks until one is refused; the refusal. Those that were stored are added to `kept`. Of large ones there are enough
/// to fill a file of the write-ahead log and then some.
async fn refused(
    client: &Client,
    session: SessionId,
    kept: &mut Vec<(Seq, String)>,
    what: &str,
    large: bool,
) -> Option<Rejection> {
    let mut choice = Choice::seeded(seed());
    let bytes = if large { 30 * 1024 } else { 0 };
    for number in 0..(4 * limits::WAL_FILE_BYTES).checked_div(bytes).unwrap_or(8) {
        let noise: String = (0..bytes).map(|_| char::from(b' ' + choice.below(95) as u8)).collect();
        let text = format!("{what} {number} {noise}");
        match client.command(mint(), remark(session, &text)).await {
            Ok(answer) => kept.push((answer.seq, text)),
            Err(rejection) => return Some(rejection),
        }
    }
    None
}

/// What came of a remark that was sent until the volume was opened again.
enum Reopening {
    /// It came to the place that fails, and was stored in the end if this says where.
    Failed(Option<(Seq, String)>),
    /// It was past that place before it failed there, and the remark is stored.
    TooLate((Seq, String)),
}

/// A commit failed, and the volume is opened again: sends a remark until that comes to the place that is to fail.
async fn reopening(shim: &Shim, client: &Client, session: SessionId, text: String) -> Reopening {
    let (failed, began, id) = (shim.failed(), Instant::now(), mint());
    loop {
        let sent = client.command(id, remark(session, &text)).await;
        let has_failed = shim.failed() > failed;
        match sent {
            Ok(answer) if has_failed => return Reopening::Failed(Some((answer.seq, text))),
            Ok(answer) => return Reopening::TooLate((answer.seq, text)),
            Err(_) if has_failed => return Reopening::Failed(None),
            Err(_) => {}
        }
        assert!(began.elapsed() < PATIENCE, "{text}: it is not opened again");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// What was stored is read while the disk refuses; where that may keep the volume from being opened again, it is refused with
/// the disk's reason.
async fn assert_served(client: &Client, kept: &[(Seq, String)], what: &str, code: Code, may_be_closed: bool) {
    let seen = match events_so_far(client).await {
        Err(rejection) if may_be_closed => {
            return assert_eq!((rejection.code, rejection.retryable()), (code, true), "{what}: {rejection}");
        }
        seen => seen.unwrap_or_else(|rejection| panic!("{what}: {rejection}")),
    };
    let shown = remarks(&seen);
    for (seq, text) in kept {
        assert!(shown.contains(&(*seq, text.as_str())), "{what}: {seq} is read meanwhile");
    }
}

/// Nothing is called damaged while the disk refuses.
async fn assert_not_called_damaged(client: &Client, what: &str, code: Code) {
    match client.query(Query::LogVerify {}).await.map(|answer| answer.result) {
        Ok(QueryResult::LogVerify { report }) => assert!(report.intact, "{what}: {:?}", report.damage),
        Ok(other) => panic!("{other:?}"),
        // What cannot be read just now is not called damaged.
        Err(rejection) => assert_eq!((rejection.code, rejection.retryable()), (code, true), "{what}: {rejection}"),
    }
}

/// One error at one place, and what must hold while it lasts and after it.
async fn attack(
    shim: &Shim,
    client: &Client,
    session: SessionId,
    kept: &mut Vec<(Seq, String)>,
    (place, ops, with): (&str, u64, [&str; 2]),
    (error, errno, short, code): (&str, u64, bool, Code),
) {
    let what = format!("{error}: {place}");
    println!("{what}");
    let failed_before = shim.failed();
    // These are made or written only when a volume is opened again, as it is after a commit that failed.
    let is_reopened = ops == op::CREATE || with[1] == SNAPSHOT;
    if is_reopened {
        let began = Instant::now();
        let mut attempt = 0;
        loop {
            shim.points_are(op::WRITE, ["/data/log/v-", WAL], "");
            shim.fail(errno, short);
            let commit = refused(client, session, kept, &format!("{what} {attempt}"), false).await;
            assert!(commit.is_some(), "{what}: a commit is written");
            shim.points_are(ops, with, "");
            shim.fail(errno, short);
            match reopening(shim, client, session, format!("{what} reopening {attempt}")).await {
                Reopening::Failed(stored) => break kept.extend(stored),
                Reopening::TooLate(stored) => kept.push(stored),
            }
            attempt += 1;
            assert!(began.elapsed() < PATIENCE, "{what}: it is opened again without that");
        }
    } else {
        shim.points_are(ops, with, "");
        shim.fail(errno, short);
    }
    let is_filled = with[1] == DATABASE;
    let first = refused(client, session, kept, &what, is_filled).await;
    assert!(first.is_some() || !is_filled, "{what}: the database is written in the end");
    let pending = mint();
    if let Some(first) = &first {
        assert_eq!((first.code, first.retryable()), (code, true), "{what}: the first refusal says why: {first}");
        assert!(degraded(client).await.is_some(), "{what}: the status says so");
        let second = client.command(pending, remark(session, &format!("{what} pending"))).await.unwrap_err();
        assert_eq!(second.code, code, "{what}: so does every other refusal: {second}");
    }
    // A volume that cannot be opened again cannot be read either: that is told, and passes.
    if with[1] != SNAPSHOT {
        // All writes are a snapshot's too, and opening a volume may write to its database.
        assert_served(client, kept, &what, code, with[0] == "/" || is_filled).await;
    }
    assert_not_called_damaged(client, &what, code).await;
    shim.stop_failing();
    // The command that was refused is sent again, under its id: it happens once.
    let began = Instant::now();
    let seq = loop {
        match client.command(pending, remark(session, &format!("{what} pending"))).await {
            Ok(answer) => break answer.seq,
            Err(rejection) => {
                assert!(rejection.retryable() && began.elapsed() < PATIENCE, "{what}: {rejection}");
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        }
    };
    kept.push((seq, format!("{what} pending")));
    assert_eq!(degraded(client).await, None, "{what}: it is over");
    assert!(shim.failed() > failed_before, "{what}: nothing was refused");
}

/// The files of write-ahead logs that were put aside because they hold what cannot be read.
fn set_aside(home: &Home) -> Vec<std::path::PathBuf> {
    let entries = |path: &std::path::Path| std::fs::read_dir(path).into_iter().flatten().flatten();
    let files = entries(&home.path().join("data/log")).flat_map(|volume| entries(&volume.path()));
    let mut found: Vec<_> = files.map(|file| file.path()).collect();
    found.retain(|path| path.to_string_lossy().contains(".unreadable-"));
    found.sort();
    found
}

/// Every acknowledged remark is there once, and the log is whole.
async fn assert_kept(client: &Client, kept: &[(Seq, String)]) {
    let events = all_events(client).await;
    assert!(events.iter().zip(1..).all(|(event, seq)| event.seq == Seq(seq)), "the sequence has a hole");
    let there = remarks(&events);
    for (seq, text) in kept {
        let at: Vec<Seq> = there.iter().filter(|(_, found)| found == text).map(|(seq, _)| *seq).collect();
        assert_eq!(at, [*seq], "{text}");
    }
    let report = verify(client).await;
    assert!(report.intact, "{:?}", report.damage);
}

#[test]
fn enospc_short_write_eio() {
    let home = Home::new();
    let shim = Shim::new(&home);
    let mut daemon = shim.start(&home).expect("nothing is wrong yet");
    let mut kept = Vec::new();
    block_on(async {
        let client = home.client().await;
        let session = create(&client, Some("kept")).await;
        for place in PLACES {
            for error in ERRORS {
                let before = format!("before {} {}", error.0, place.0);
                kept.push((annotate(&client, session, &before).await, before));
                let aside = set_aside(&home);
                attack(&shim, &client, session, &mut kept, *place, *error).await;
                if *place == PLACES[0] {
                    assert_eq!(set_aside(&home), aside, "what a refused write leaves is not taken for damage");
                }
            }
        }
        assert_kept(&client, &kept).await;
        let events = all_events(&client).await;
        let told = |name: &str| events.iter().filter(|event| event.body.name() == name).count();
        assert!(told("machine.storage_degraded") > 8, "bad times are recorded: {}", told("machine.storage_degraded"));
        assert_eq!(told("machine.storage_degraded"), told("machine.storage_restored"));
    });
    assert!(!daemon.is_gone(), "one daemon went through all of it");
    // So few events are not kept in a checkpoint before the daemon stops.
    let failed_before = shim.failed();
    shim.points_are(op::ALL, ["/data/checkpoints", ""], "");
    shim.fail(EIO, false);
    daemon.stop();
    assert!(shim.failed() > failed_before, "no checkpoint was refused");
    home.start();
    block_on(async { assert_kept(&home.client().await, &kept).await });
}

/// Regression: to open a volume sled writes a snapshot. Where the disk broke at that, all of the volume was called damaged.
#[test]
fn regression_a_volume_whose_snapshot_the_disk_refuses_is_not_called_damaged() {
    let home = Home::started();
    block_on(async {
        let client = home.client().await;
        let session = create(&client, Some("kept")).await;
        annotate(&client, session, "acknowledged").await;
    });
    // What went into the database when it stopped is not in a snapshot yet.
    home.ok(&["daemon", "stop"]);
    let shim = Shim::new(&home);
    shim.roles(LOG_TOOL);
    shim.points_are(op::ALL, ["/data/log/v-", SNAPSHOT], "");
    for (errno, code) in [(EIO, "(storage_failed)"), (ENOSPC, "(storage_full)")] {
        let failed_before = shim.failed();
        shim.fail(errno, false);
        let output = shim.preloaded(&home, home.command(&["log", "verify"])).output().unwrap();
        assert!(shim.failed() > failed_before, "no snapshot was refused");
        let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(75), "{out}{error}");
        assert!(error.contains(code) && !format!("{out}{error}").contains("damaged"), "{out}{error}");
    }
    shim.stop_failing();
    home.ok(&["log", "verify"]);
}
