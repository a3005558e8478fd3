//! A log written into an archive and made again of it: the same log, or a refusal that names the place.

use std::io::Read;
use std::sync::Arc;

use ropewalk_kernel::log::archive::{BLOCK_HEADER_BYTES, Decoder, Encoder, Entry, HEADER_BYTES, Part, Totals};
use ropewalk_kernel::log::store::Shelf;
use ropewalk_kernel::log::{Archived, Chunk, Filter, ImportError, MemoryShelf, ViewShelf, import};
use ropewalk_protocol::{CommandId, CommandResult, LogId, Seq};

use crate::support::*;

/// A closed log of three volumes with events, receipts and the bytes of two terminals.
fn fill(disk: &Disk) {
    let mut random = Random(61);
    let mut stored = [0_u64; 2];
    for volume in 0..3_u64 {
        let log = disk.open();
        for number in 0..20 {
            let receipt = (command(1000 * volume + number, 1), [1; 16], Ok(CommandResult::Done {}));
            let who = session(1 + u8::try_from(number % 3).expect("small"));
            let events = vec![remark(who, &random.text(300)), machine_event("a reason")];
            append(&log.journal, events, Some(receipt)).expect("stored");
            if number % 2 == 0 {
                let which = random.below(2);
                let length = 1 + random.below(60_000);
                let bytes = random.bytes(length);
                let id = terminal(u8::try_from(which).expect("small") + 1);
                log.store_output(id, stored[which], bytes.clone()).expect("stored");
                stored[which] += bytes.len() as u64;
            }
        }
        log.close();
        if volume < 2 {
            disk.begin_volume();
        }
    }
}

fn export(shelf: Arc<dyn Shelf>) -> (Vec<u8>, Archived) {
    let log = Log::open(shelf);
    let mut bytes = Vec::new();
    let archived = log.journal.export(&mut bytes).expect("exports");
    log.close();
    (bytes, archived)
}

fn import_into_memory(mut bytes: &[u8]) -> Result<(MemoryShelf, Archived), ImportError> {
    let shelf = MemoryShelf::default();
    let archived = import(&shelf, &mut bytes)?;
    Ok((shelf, archived))
}

on_both_disks! {
    a_log_made_of_an_archive_is_the_same_log_and_makes_the_same_archive
}

fn a_log_made_of_an_archive_is_the_same_log_and_makes_the_same_archive(disk: &Disk) {
    fill(disk);
    let (bytes, archived) = export(disk.shelf());
    assert_eq!((archived.totals.head, archived.totals.events), (Seq(120), 120));
    assert_eq!((archived.totals.receipts, archived.totals.volumes), (60, 3));
    assert_eq!(archived.damage, []);
    let copy = match disk {
        Disk::Memory(_) => Disk::memory(),
        Disk::Sled(_) => Disk::sled(),
    };
    assert_eq!(import(&*copy.shelf(), &mut &bytes[..]).expect("imports"), archived);
    let (original, made) = (disk.open(), copy.open());
    assert_eq!(made.journal.id(), original.journal.id());
    assert_eq!(made.lost, None);
    assert_eq!(made.events(), original.events());
    assert_eq!(made.verify(), original.verify());
    assert_eq!(made.verify().damage, []);
    for who in 1..4 {
        assert_eq!(
            events_of(&made.journal, Filter::Session(session(who))),
            events_of(&original.journal, Filter::Session(session(who)))
        );
    }
    for which in 1..3 {
        let bytes = |log: &Log| read_output(&log.journal, terminal(which), 0, 1 << 20);
        assert_eq!(bytes(&made), bytes(&original));
    }
    let known = command(1005, 1);
    assert_eq!(made.journal.receipt(known), original.journal.receipt(known));
    assert!(made.journal.may_know(known) && made.journal.receipt(known).expect("reads").is_some());
    original.close();
    made.close();
    assert_eq!(export(copy.shelf()).0, bytes, "exported again it is the same to the byte");
    let log = copy.open();
    assert_eq!(log.remark(session(1), 1), Seq(121), "the log goes on");
    assert_eq!(log.verify().damage, []);
    log.close();
}

#[test]
fn an_empty_log_makes_an_archive_and_an_empty_log_again() {
    let (bytes, archived) = export(Disk::memory().shelf());
    assert_eq!(archived.totals, Totals { volumes: 1, ..Totals::default() });
    let (shelf, _) = import_into_memory(&bytes).expect("imports");
    assert_eq!(export(Arc::new(shelf)).0, bytes);
}

/// Where the blocks of an archive begin, and its length last.
fn blocks(bytes: &[u8]) -> Vec<usize> {
    let mut starts = vec![HEADER_BYTES];
    while *starts.last().expect("the first one") < bytes.len() {
        let at = starts[starts.len() - 1];
        let header = bytes[at..at + BLOCK_HEADER_BYTES].try_into().expect("a header");
        starts.push(at + BLOCK_HEADER_BYTES + Decoder::block_bytes(&header).expect("a length"));
    }
    starts
}

/// The place that a refusal names.
fn place(error: &ImportError) -> u64 {
    match error {
        ImportError::Archive { at, .. } | ImportError::Cut { at } | ImportError::Contents { at, .. } => *at,
        ImportError::Read(_) | ImportError::Store(_) => panic!("{error}"),
    }
}

#[test]
fn a_flipped_bit_anywhere_is_refused_with_the_block_it_lies_in() {
    let disk = Disk::memory();
    fill(&disk);
    let (bytes, _) = export(disk.shelf());
    let starts = blocks(&bytes);
    assert!(starts.len() > 3, "more than one block");
    let mut random = Random(62);
    let header_bits = (0..HEADER_BYTES).map(|at| (at, 1_u8));
    let all: Vec<(usize, u8)> =
        header_bits.chain((0..300).map(|_| (random.below(bytes.len()), 1 << random.below(8)))).collect();
    for (at, bit) in all {
        let mut changed = bytes.clone();
        changed[at] ^= bit;
        let error = import_into_memory(&changed).err().unwrap_or_else(|| panic!("byte {at} was changed unnoticed"));
        let block = starts.iter().rev().find(|start| **start <= at).copied().unwrap_or(0);
        let next = starts.iter().find(|start| **start > at).copied().unwrap_or(0);
        let named = usize::try_from(place(&error)).expect("small");
        // A length that was made longer swallows what follows, to the end of the file.
        let is_there = named == block || (at < HEADER_BYTES && named <= next) || named == bytes.len();
        assert!(is_there, "byte {at} of the block at {block}: {error}");
    }
}

#[test]
fn an_archive_cut_off_anywhere_or_with_something_behind_it_is_refused_with_the_place() {
    let disk = Disk::memory();
    fill(&disk);
    let (bytes, _) = export(disk.shelf());
    let mut random = Random(63);
    let cuts =
        (0..60).chain((0..100).map(|_| random.below(bytes.len()))).chain(blocks(&bytes)).chain([bytes.len() - 1]);
    for cut in cuts.filter(|cut| *cut < bytes.len()) {
        match import_into_memory(&bytes[..cut]) {
            Err(ImportError::Cut { at }) => assert_eq!(at, cut as u64),
            other => panic!("cut at {cut}: {other:?}"),
        }
    }
    for behind in [&b"\0"[..], &bytes] {
        let error = import_into_memory(&[&bytes, behind].concat()).expect_err("something follows");
        assert_eq!(place(&error), bytes.len() as u64, "{error}");
    }
}

#[test]
fn blocks_taken_out_or_in_another_order_are_refused() {
    let disk = Disk::memory();
    fill(&disk);
    let (bytes, _) = export(disk.shelf());
    let starts = blocks(&bytes);
    let (one, two) = (&bytes[starts[0]..starts[1]], &bytes[starts[1]..starts[2]]);
    let (before, after) = (&bytes[..starts[0]], &bytes[starts[2]..]);
    for changed in
        [[before, two, one, after].concat(), [before, two, after].concat(), [before, one, one, after].concat()]
    {
        let error = import_into_memory(&changed).expect_err("not as it was written");
        assert!(error.to_string().contains("hash chain"), "{error}");
    }
}

/// An archive of these entries, whole and well chained.
fn archive_of(entries: &[Entry], totals: Totals) -> Vec<u8> {
    let (mut encoder, mut bytes) = Encoder::begin(LogId::from_bytes([7; 16]));
    for entry in entries {
        bytes.extend(encoder.push(entry).unwrap_or_default());
    }
    bytes.extend(encoder.finish(totals).0);
    bytes
}

#[test]
fn what_contradicts_itself_is_refused_although_its_chain_holds() {
    let volume = |first| Entry::Volume { first: Seq(first), previous: [0; 32] };
    let gap = |from, to| Entry::Gap { from: Seq(from), to: Seq(to) };
    let output = |offset| Entry::Output { terminal: terminal(1), offset, value: vec![1, 2, 3] };
    let chunk = Entry::Chunk { first: Seq(1), value: vec![1; 60] };
    let receipt = Entry::Receipt { command: command(1, 1), value: vec![0; 20] };
    let totals = Totals::default();
    let cases: Vec<(&str, Vec<Entry>)> = vec![
        ("a volume twice", vec![volume(1), volume(1)]),
        ("volume 0", vec![volume(0)]),
        ("a volume that does not follow", vec![Entry::Volume { first: Seq(1), previous: [9; 32] }]),
        ("a gap elsewhere", vec![volume(1), gap(3, 4)]),
        ("a gap that goes back", vec![volume(1), gap(1, 0)]),
        ("a gap to the end of numbers", vec![volume(1), gap(1, u64::MAX)]),
        ("damaged output", vec![volume(1), output(0)]),
        ("a gap of bytes elsewhere", vec![volume(1), Entry::OutputGap { terminal: terminal(1), from: 5, to: 9 }]),
        ("a damaged chunk", vec![volume(1), chunk]),
        ("a damaged receipt", vec![volume(1), receipt]),
        ("other totals", vec![]),
        ("an end in the middle", vec![Entry::End(totals), volume(1)]),
    ];
    for (what, entries) in cases {
        let error = import_into_memory(&archive_of(&entries, Totals { chunks: 1, ..totals })).err();
        let error = error.unwrap_or_else(|| panic!("{what} was imported"));
        assert_eq!(place(&error), HEADER_BYTES as u64, "{what}: {error}");
    }
}

#[test]
fn places_and_names_that_no_log_has_are_refused() {
    let shelf = MemoryShelf::default();
    let log = Disk::Memory(shelf.clone()).open();
    log.remark(session(1), 1);
    log.store_output(terminal(1), 0, vec![1; 10]).expect("stored");
    log.close();
    let stored = |tag| tagged(&shelf, Seq(1), tag)[0].1.clone();
    let volume = |first| Entry::Volume { first: Seq(first), previous: [0; 32] };
    let unread = |first, part| Entry::Unread { first: Seq(first), part };
    let gap = |to| Entry::Gap { from: Seq(1), to: Seq(to) };
    let output_gap = |to| Entry::OutputGap { terminal: terminal(1), from: 0, to };
    let output = |offset| Entry::Output { terminal: terminal(1), offset, value: stored(OUTPUT) };
    let chunk = |first| Entry::Chunk { first: Seq(first), value: stored(CHUNKS) };
    let (most, bound) = (u64::MAX, "behind all there can be");
    let cases: Vec<(Vec<Entry>, &str)> = vec![
        (vec![volume(most)], bound),
        (vec![unread(most, Part::Volume)], bound),
        (vec![volume(1), gap(most - 1)], bound),
        (vec![volume(1), gap(most / 2), chunk(most / 2 + 1)], bound),
        (vec![volume(1), output_gap(most - 1)], bound),
        (vec![volume(1), output_gap(most / 2), output(most / 2 + 1)], bound),
        (vec![unread(5, Part::Volume), volume(5)], "volume 5 is not behind the one before it"),
        (vec![volume(5), unread(1, Part::Volume)], "volume 1 is not behind the one before it"),
        (vec![unread(0, Part::Volume)], "volume 0 is not behind the one before it"),
        (vec![volume(1), unread(5, Part::Receipts)], "volume 5 is not the one before it"),
        (vec![unread(5, Part::Volume), unread(5, Part::Output)], "volume 5 is not the one before it"),
        (vec![unread(5, Part::Volume), chunk(1)], "before any volume"),
    ];
    for (entries, words) in cases {
        let error = import_into_memory(&archive_of(&entries, Totals::default())).expect_err("it cannot be");
        assert!(error.to_string().contains(words), "{error}");
    }
    let error = Chunk::read(Seq(most), &stored(CHUNKS)).expect_err("there is no place behind the last one");
    assert!(error.to_string().contains(bound), "{error}");
}

#[test]
fn what_cannot_be_read_is_named_and_the_rest_is_imported() {
    let disk = Disk::memory();
    fill(&disk);
    let Disk::Memory(shelf) = &disk else { unreachable!("a memory disk") };
    disk.open().close();
    shelf.damage_event_row(3);
    let (key, mut value) = tagged(shelf, Seq(41), OUTPUT)[0].clone();
    let at = value.len() - 1;
    value[at] ^= 1;
    replace(shelf, Seq(41), &[(key, value)]);
    let (key, mut value) = tagged(shelf, Seq(81), RECEIPTS)[0].clone();
    value[0] ^= 1;
    replace(shelf, Seq(81), &[(key, value)]);
    let (bytes, archived) = export(disk.shelf());
    let named: Vec<_> = archived.damage.iter().map(|damage| (damage.place.as_str(), damage.from)).collect();
    assert_eq!(named.len(), 3, "{named:?}");
    assert_eq!((named[0], named[1].0, named[2]), (("events", 7), "output", ("receipts of volume", 81)));
    let (copy, again) = import_into_memory(&bytes).expect("imports");
    assert_eq!(again, archived);
    let log = Disk::Memory(copy.clone()).open();
    assert_eq!((log.journal.head(), log.verify().events), (Seq(120), 118));
    let page = log.journal.page(Filter::All, Seq(4)).expect("reads");
    assert_eq!((page.gaps[0].from, page.gaps[0].to), (Seq(7), Seq(8)));
    log.close();
}

#[test]
fn a_volume_that_does_not_open_stays_known_to_be_missing() {
    let disk = Disk::memory();
    fill(&disk);
    let Disk::Memory(shelf) = &disk else { unreachable!("a memory disk") };
    // The index goes too: nothing else knows what the volume held.
    let damaged = copy_without_index(shelf, |_, _| true);
    damaged.give_up(Seq(41), "a test").expect("given up");
    let (bytes, archived) = export(Arc::new(damaged.clone()));
    assert_eq!((archived.damage[0].place.as_str(), archived.damage[0].from), ("volume", 41));
    assert!(archived.damage.iter().any(|damage| (damage.place.as_str(), damage.from, damage.to) == ("events", 41, 80)));
    let (copy, _) = import_into_memory(&bytes).expect("imports");
    let log = Disk::Memory(copy.clone()).open();
    // The log's id here carries no time, so that the volume is supposed to hold answers of one millisecond only.
    let lost: CommandId = command(19, 99);
    let error = log.journal.receipt(lost).expect_err("it may have been done there");
    assert!(error.to_string().contains("41 to 80"), "{error}");
    assert!(log.journal.receipt(command(5, 1)).expect("reads").is_some());
    assert!(history(&log.journal, session(1)).is_err(), "a part of a history is no history");
    log.close();
    assert_eq!(export(Arc::new(copy)).0, bytes);
}

#[test]
fn an_export_of_a_log_that_is_only_looked_at_is_the_same() {
    let disk = Disk::sled();
    fill(&disk);
    let (bytes, _) = export(disk.shelf());
    let Disk::Sled(directory) = &disk else { unreachable!("a sled disk") };
    let view = ViewShelf::open(&directory.path().join("log")).expect("opens");
    assert_eq!(export(Arc::new(view)).0, bytes);
}

/// Hands out a few bytes at a time, as pipes do.
struct Trickle<'a>(&'a [u8]);

impl Read for Trickle<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let few = buffer.len().min(7);
        self.0.read(&mut buffer[..few])
    }
}

#[test]
fn an_archive_that_comes_a_few_bytes_at_a_time_is_imported() {
    let disk = Disk::memory();
    fill(&disk);
    let (bytes, archived) = export(disk.shelf());
    assert_eq!(import(&MemoryShelf::default(), &mut Trickle(&bytes)).expect("imports"), archived);
}

/// The layout that archives on people's disks have: one entry of each kind.
#[test]
fn the_golden_archive_is_written_and_read() {
    let entries = [
        Entry::Volume { first: Seq(1), previous: [0x11; 32] },
        Entry::Chunk { first: Seq(2), value: b"chunk".to_vec() },
        Entry::Receipt { command: command(0x0192_f0c1_2b7a, 3), value: b"receipt".to_vec() },
        Entry::Output { terminal: terminal(4), offset: 5, value: b"output".to_vec() },
        Entry::Gap { from: Seq(6), to: Seq(7) },
        Entry::OutputGap { terminal: terminal(8), from: 9, to: 10 },
        Entry::Unread { first: Seq(11), part: Part::Output },
    ];
    let totals =
        Totals { head: Seq(12), hash: [0x22; 32], volumes: 13, chunks: 14, events: 15, receipts: 16, output_bytes: 17 };
    let bytes = archive_of(&entries, totals);
    let golden: Vec<u8> = include_str!("golden/archive-v1.hex")
        .split_ascii_whitespace()
        .flat_map(|line| (0..line.len()).step_by(2).map(|at| u8::from_str_radix(&line[at..at + 2], 16).expect("hex")))
        .collect();
    let written: String =
        bytes.chunks(32).map(|line| line.iter().map(|byte| format!("{byte:02x}")).collect::<String>() + "\n").collect();
    assert_eq!(bytes, golden, "it is written as\n{written}");
    let (mut decoder, log) = Decoder::begin(golden[..HEADER_BYTES].try_into().expect("a header")).expect("an archive");
    assert_eq!(log, LogId::from_bytes([7; 16]));
    let (header, rest) = golden[HEADER_BYTES..].split_at(BLOCK_HEADER_BYTES);
    let read = decoder.block(header.try_into().expect("a header"), rest).expect("a block");
    assert_eq!(read, [&entries[..], &[Entry::End(totals)]].concat());
}
