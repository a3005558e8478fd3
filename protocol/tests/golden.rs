//! Bytes that landed once and must be read for ever, in `golden/`, as hexadecimal text.
//!
//! `ROPEWALK_WRITE_GOLDEN=1` writes the files that are missing. Nothing ever overwrites one: bytes on people's disks do not
//! change either.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;

use bytes::Bytes;
use ropewalk_protocol::holder::{FromHolder, ToHolder};
use ropewalk_protocol::record::{Receipt, decode_event, event_kind};
use ropewalk_protocol::{BincodeFrame, EventBody, Seq, SubscribeOnly, TerminalFrame, codec};

use crate::samples;

type Decodes = Box<dyn Fn(&[u8]) -> Result<(), String>>;

/// What a file must hold, and how to see that its bytes still mean that.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
    pub(crate) decodes: Decodes,
}

fn same<T: PartialEq + std::fmt::Debug>(found: T, expected: &T) -> Result<(), String> {
    if found == *expected { Ok(()) } else { Err(format!("decodes to {found:?}, not {expected:?}")) }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut case = |name: String, bytes: Vec<u8>, decodes: Decodes| cases.push(Case { name, bytes, decodes });
    for (suffix, body) in samples::bodies() {
        let name = format!("event-{:03}-{}-v{}{suffix}", body.kind(), body.name(), body.version());
        let event = samples::new_event(body);
        let expected = event.clone().at_seq(Seq(7));
        let decodes = move |bytes: &[u8]| same(decode_event(Seq(7), bytes).map_err(text)?, &expected);
        case(name, event.encode(), Box::new(decodes));
    }
    for (name, receipt) in samples::receipts() {
        let bytes = receipt.encode();
        let decodes = move |bytes: &[u8]| same(Receipt::decode(bytes).map_err(text)?, &receipt);
        case(format!("receipt-v1-{name}"), bytes, Box::new(decodes));
    }
    for (name, frame) in samples::to_holder() {
        let bytes = codec::encode(&frame);
        let decodes = move |bytes: &[u8]| same(codec::decode::<ToHolder>(bytes).map_err(text)?, &frame);
        case(format!("to_holder-v1-{name}"), bytes, Box::new(decodes));
    }
    for (name, frame) in samples::from_holder() {
        let bytes = codec::encode(&frame);
        let decodes = move |bytes: &[u8]| same(codec::decode::<FromHolder>(bytes).map_err(text)?, &frame);
        case(format!("from_holder-v1-{name}"), bytes, Box::new(decodes));
    }
    for (name, frame) in samples::terminal_frames() {
        let bytes = frame.encode().to_vec();
        let decodes =
            move |bytes: &[u8]| same(TerminalFrame::decode(Bytes::copy_from_slice(bytes)).map_err(text)?, &frame);
        case(format!("terminal_frame-v1-{name}"), bytes, Box::new(decodes));
    }
    let (records, bytes) = samples::bincode_frame();
    let decodes = move |bytes: &[u8]| {
        let frame = BincodeFrame::decode(&Bytes::copy_from_slice(bytes)).ok_or("is no bincode frame")?;
        same(frame.subscription, &0x0102_0304)?;
        same(frame.records().map(|(seq, record)| (seq, record.to_vec())).collect(), &records)
    };
    case("bincode_frame-v1".to_owned(), bytes, Box::new(decodes));
    cases
}

pub(crate) fn tests_directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests")
}

/// Reads a checked-in file; when it is missing and that was asked for, writes it first.
pub(crate) fn read_or_write(path: &std::path::Path, contents: impl FnOnce() -> String) -> Result<String, String> {
    if std::env::var_os("ROPEWALK_WRITE_GOLDEN").is_some_and(|value| value == "1") {
        fs::create_dir_all(path.parent().expect("a file is in a directory")).map_err(text)?;
        match fs::OpenOptions::new().write(true).create_new(true).open(path) {
            Ok(mut file) => file.write_all(contents().as_bytes()).map_err(text)?,
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error.to_string()),
        }
    }
    fs::read_to_string(path)
        .map_err(|error| format!("{}: {error}; ROPEWALK_WRITE_GOLDEN=1 writes what is missing", path.display()))
}

fn to_hex(bytes: &[u8]) -> String {
    let mut hex = String::new();
    for line in bytes.chunks(32) {
        for byte in line {
            write!(hex, "{byte:02x}").expect("writing to a string");
        }
        hex.push('\n');
    }
    hex
}

fn from_hex(hex: &str) -> Result<Vec<u8>, String> {
    let digits: Vec<u8> = hex.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).map_err(text)?, 16).map_err(text);
    digits.chunks(2).map(pair).collect()
}

#[test]
fn every_value_is_encoded_as_its_golden_file_says_and_decoded_from_it() {
    let mut wrong = Vec::new();
    for case in cases() {
        let path = tests_directory().join("golden").join(format!("{}.hex", case.name));
        let checked = read_or_write(&path, || to_hex(&case.bytes)).and_then(|hex| {
            let golden = from_hex(&hex)?;
            (case.decodes)(&golden)?;
            if golden == case.bytes { Ok(()) } else { Err(format!("is encoded as\n{}", to_hex(&case.bytes))) }
        });
        wrong.extend(checked.err().map(|error| format!("{}: {error}", case.name)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_kind_of_event_has_a_golden_file() {
    let names: Vec<String> = cases().into_iter().map(|case| case.name).collect();
    for (kind, name, version) in EventBody::KINDS {
        let start = format!("event-{kind:03}-{name}-v{version}");
        let known = names.iter().any(|name| *name == start || name.starts_with(&format!("{start}-")));
        assert!(known, "{start} has no sample in samples.rs, and so no golden file");
    }
}

#[test]
fn golden_files_of_older_versions_still_decode() {
    let known: Vec<String> = cases().into_iter().map(|case| format!("{}.hex", case.name)).collect();
    let directory = fs::read_dir(tests_directory().join("golden")).expect("the golden files");
    for entry in directory {
        let entry = entry.expect("a directory entry");
        let name = entry.file_name().into_string().expect("a plain name");
        if known.contains(&name) {
            continue;
        }
        let bytes = from_hex(&fs::read_to_string(entry.path()).expect("readable")).expect("hexadecimal");
        if name.starts_with("event-") {
            let event = decode_event(Seq(1), &bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(!matches!(event.body, EventBody::Unknown(_)), "{name} is of a version that nothing upcasts");
        } else if name.starts_with("receipt-") {
            Receipt::decode(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        } else {
            panic!("{name} belongs to no sample: is it of something that was renamed?");
        }
    }
}

#[test]
fn golden_names_are_unique() {
    let mut names: Vec<String> = cases().into_iter().map(|case| case.name).collect();
    let all = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), all);
}

#[test]
fn the_kind_of_a_record_is_known_without_its_payload() {
    for (_, body) in samples::bodies() {
        let kind = body.kind();
        assert_eq!(event_kind(&samples::new_event(body).encode()), Ok(kind));
    }
    assert!(event_kind(&[]).is_err());
}

#[test]
fn facts_are_all_kinds_but_the_pieces_of_what_agents_say_and_how_far_they_were_taken_in() {
    let pieces = EventBody::KINDS.iter().filter(|(kind, ..)| !SubscribeOnly::Facts.passes(*kind));
    let names: Vec<&str> = pieces.map(|(_, name, _)| *name).collect();
    assert_eq!(names, ["agent.output_consumed", "agent.item_delta", "agent.item_text"]);
    assert!(SubscribeOnly::Facts.passes(u16::MAX), "of a kind that a newer build writes nobody knows");
}
