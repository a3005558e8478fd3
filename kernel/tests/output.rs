//! Terminal bytes: in at any cut, out from any offset, across reopening and volumes.

use ropewalk_kernel::log::Filter;
use ropewalk_protocol::{CommandResult, Event, Seq, limits};

use crate::support::*;

on_both_disks! {
    output_stored_in_pieces_reads_back_from_any_offset
    output_stored_again_after_a_cut_is_read_once
    output_of_many_terminals_and_events_share_commits
    output_crosses_volumes_begun_by_hand
    a_volume_is_sealed_when_64_mib_are_written
}

const ROW: usize = limits::OUTPUT_ROW_BYTES_MAX;

fn output_stored_in_pieces_reads_back_from_any_offset(disk: &Disk) {
    let mut random = Random(21);
    let mut expected: Vec<u8> = Vec::new();
    let mut log = disk.open();
    for round in 0..4 {
        for _ in 0..12 {
            let length = [0, 1, 100, ROW - 1, ROW, ROW + 1, 3 * ROW][random.below(7)];
            let piece = if round % 2 == 0 { random.bytes(length) } else { vec![b'x'; length] };
            let cut = random.below(length + 1);
            let pieces = vec![piece[..cut].to_vec().into(), piece[cut..].to_vec().into()];
            let stored = log.journal.store_output(terminal(1), expected.len() as u64, pieces).expect("queued");
            stored.blocking_recv().expect("answered").expect("stored");
            expected.extend_from_slice(&piece);
        }
        assert_eq!(log.journal.output_end(terminal(1)), Ok(expected.len() as u64));
        if round % 2 == 1 {
            log.close();
            log = disk.open();
        }
        for _ in 0..12 {
            let from = random.below(expected.len() + 1);
            let bytes_max = 1 + random.below(4 * ROW);
            assert_eq!(
                read_output(&log.journal, terminal(1), from as u64, bytes_max),
                expected[from..],
                "{from} {bytes_max}"
            );
        }
    }
    assert_eq!(log.journal.output(terminal(1), 0, 0).expect("reads").bytes, Vec::<u8>::new());
    for beyond in [expected.len() as u64, expected.len() as u64 + 1, u64::MAX] {
        let page = log.journal.output(terminal(1), beyond, 1000).expect("reads");
        assert_eq!((page.offset, page.bytes.len(), page.damaged), (beyond, 0, false));
    }
    assert_eq!(log.verify().output_bytes, expected.len() as u64);
    assert_eq!(log.verify().damage, Vec::new());
    log.close();
}

fn output_stored_again_after_a_cut_is_read_once(disk: &Disk) {
    let mut random = Random(22);
    let bytes = random.bytes(3 * ROW);
    let log = disk.open();
    for (from, to) in [(0, 2 * ROW), (ROW / 2, 2 * ROW), (2 * ROW - 5, 3 * ROW)] {
        log.store_output(terminal(1), from as u64, bytes[from..to].to_vec()).expect("stored");
    }
    assert_eq!(log.journal.output_end(terminal(1)), Ok(bytes.len() as u64));
    for from in [0, 1, ROW / 2, ROW, 2 * ROW - 5, 2 * ROW] {
        assert_eq!(read_output(&log.journal, terminal(1), from as u64, 1000), bytes[from..]);
    }
    log.close();
}

fn output_of_many_terminals_and_events_share_commits(disk: &Disk) {
    let log = disk.open();
    let answers: Vec<_> = (0..200_u64)
        .map(|number| {
            let bytes = format!("{number:04}").into_bytes();
            let who = u8::try_from(number % 5).expect("small");
            let stored = log.journal.store_output(terminal(who), number / 5 * 4, vec![bytes.into()]).expect("queued");
            let batch = ropewalk_kernel::log::Batch {
                epoch: log.journal.epoch(),
                events: vec![remark(session(who), &number.to_string())],
                receipt: None,
            };
            [stored, log.journal.append(batch).expect("queued")]
        })
        .collect();
    for answer in answers.into_iter().flatten() {
        answer.blocking_recv().expect("answered").expect("stored");
    }
    assert_eq!(log.journal.head(), Seq(200));
    for who in 0..5_u8 {
        let expected: String = (0..40).map(|number| format!("{:04}", number * 5 + u64::from(who))).collect();
        assert_eq!(read_output(&log.journal, terminal(who), 0, 1000), expected.as_bytes());
    }
    let found = log.verify();
    assert_eq!((found.damage.len(), found.terminals.len(), found.output_bytes), (0, 5, 800));
    log.close();
}

fn output_crosses_volumes_begun_by_hand(disk: &Disk) {
    let mut random = Random(23);
    let mut expected: Vec<u8> = Vec::new();
    for volume in 0..3_u8 {
        let log = disk.open();
        log.remark(session(volume), 1);
        for _ in 0..3 {
            let bytes = random.bytes(2 * ROW);
            log.store_output(terminal(1), expected.len() as u64, bytes.clone()).expect("stored");
            expected.extend_from_slice(&bytes);
        }
        log.store_output(terminal(10 + volume), 0, vec![volume; 100]).expect("stored");
        log.close();
        if volume < 2 {
            disk.begin_volume();
        }
    }
    let log = disk.open();
    assert_eq!(log.journal.output_end(terminal(1)), Ok(expected.len() as u64));
    for from in 0..18 {
        let found = read_output(&log.journal, terminal(1), (from * ROW) as u64, ROW);
        assert_eq!(found, expected[from * ROW..], "from row {from}");
    }
    for volume in 0..3 {
        assert_eq!(read_output(&log.journal, terminal(10 + volume), 0, 100), vec![volume; 100]);
        assert_eq!(log.journal.output_end(terminal(10 + volume)), Ok(100));
    }
    assert_eq!(log.verify().damage, Vec::new());
    log.close();
}

fn a_volume_is_sealed_when_64_mib_are_written(disk: &Disk) {
    const PIECE: usize = 16 * ROW;
    let mut random = Random(24);
    let piece = random.bytes(PIECE);
    // Every row differs from the others, and none can be compressed.
    let nth = |number: usize| {
        let mut piece = piece.clone();
        for row in 0..16 {
            piece[row * ROW..row * ROW + 8].copy_from_slice(&(number as u64).to_le_bytes());
        }
        piece
    };
    let pieces = limits::VOLUME_BYTES_MAX / PIECE + 12;
    let log = disk.open();
    let id = |number: usize| command(1000 + number as u64, 1);
    for number in 0..pieces {
        log.store_output(terminal(1), (number * PIECE) as u64, nth(number)).expect("stored");
        let who = session(u8::from(number > pieces / 2));
        let receipt = (id(number), [1; 16], Ok(CommandResult::Done {}));
        append(&log.journal, vec![remark(who, &number.to_string())], Some(receipt)).expect("stored");
    }
    let check = |log: &Log| {
        assert_eq!(log.journal.stats().volumes, 2);
        assert_eq!(log.journal.head(), Seq(pieces as u64));
        let all: Vec<Event> = events_of(&log.journal, Filter::All);
        assert_dense(&all);
        assert_eq!(all.len(), pieces);
        let halves = [0, 1].map(|who| events_of(&log.journal, Filter::Session(session(who))));
        assert_eq!(halves.concat(), all);
        for number in 0..pieces {
            let receipt = log.journal.receipt(id(number)).expect("reads").expect("is there");
            assert_eq!(receipt.seq, Seq(number as u64 + 1));
        }
        assert_eq!(log.journal.output_end(terminal(1)), Ok((pieces * PIECE) as u64));
        for number in (0..pieces).filter(|number| number % 7 == 0 || *number > pieces - 16) {
            let page = log.journal.output(terminal(1), (number * PIECE) as u64, PIECE).expect("reads");
            assert!(page.bytes == nth(number), "piece {number} reads as something else");
        }
    };
    check(&log);
    log.close();
    let log = disk.open();
    assert_eq!(log.lost, None);
    check(&log);
    let found = log.verify();
    assert_eq!(found.damage, Vec::new());
    assert_eq!((found.events, found.volumes, found.receipts), (pieces as u64, 2, pieces as u64));
    assert_eq!(found.output_bytes, (pieces * PIECE) as u64);
    log.close();
    if let Disk::Sled(directory) = disk {
        assert_eq!(blobs_in(&directory.path().join("log")), Vec::<std::path::PathBuf>::new());
    }
}

/// Files under any `blobs/`: sled puts there what no sync covers.
fn blobs_in(log: &std::path::Path) -> Vec<std::path::PathBuf> {
    let list = |path: &std::path::Path| {
        std::fs::read_dir(path).into_iter().flatten().map(|entry| entry.expect("an entry").path()).collect::<Vec<_>>()
    };
    let volumes: Vec<_> = list(log).into_iter().filter(|path| path.join("db").exists()).collect();
    assert!(volumes.len() >= 2, "no volumes in {}", log.display());
    volumes.iter().flat_map(|volume| list(&volume.join("blobs"))).collect()
}

#[test]
fn no_value_is_so_large_that_sled_puts_it_into_a_file_of_its_own() {
    let disk = Disk::sled();
    let mut random = Random(25);
    let log = disk.open();
    for number in 0..48_u64 {
        log.append(vec![remark(session(1), &random.text(limits::EVENT_BYTES_MAX - 200))]).expect("stored");
        log.store_output(terminal(1), number * ROW as u64, random.bytes(ROW)).expect("stored");
        let message = random.text(30_000);
        let rejection = ropewalk_protocol::Rejection::new(ropewalk_protocol::Code::NotFound, message);
        append(&log.journal, Vec::new(), Some((command(1000, number), [1; 16], Err(rejection)))).expect("stored");
    }
    log.close();
    disk.open().close();
    let Disk::Sled(directory) = &disk else { unreachable!("a sled disk") };
    assert_eq!(blobs_in(&directory.path().join("log")), Vec::<std::path::PathBuf>::new());
}

/// Regression: what a volume held before the log was opened did not count, so that one which is opened often was never full.
#[test]
fn regression_a_volume_is_full_however_often_the_log_was_opened_meanwhile() {
    const LIFE_BYTES: usize = limits::VOLUME_BYTES_MAX / 6;
    let (disk, mut random) = (Disk::sled(), Random(1));
    let mut offset = 0;
    while disk.shelf().volumes().expect("there").len() < 2 {
        assert!(offset < 2 * limits::VOLUME_BYTES_MAX as u64, "one volume has all {offset} bytes");
        let log = disk.open();
        for _ in 0..LIFE_BYTES / limits::COMMIT_OUTPUT_BYTES_MAX {
            let noise = random.bytes(limits::COMMIT_OUTPUT_BYTES_MAX);
            log.store_output(terminal(1), offset, noise).expect("stored");
            offset += limits::COMMIT_OUTPUT_BYTES_MAX as u64;
        }
        log.close();
    }
}
