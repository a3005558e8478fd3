//! Bytes from anywhere: they decode or they are refused. Nothing panics, and nothing asks for more memory than a decode may.

use bytes::Bytes;
use ropewalk_protocol::holder::{FromHolder, ToHolder};
use ropewalk_protocol::record::{Receipt, decode_event};
use ropewalk_protocol::{BincodeFrame, Notification, Program, Request, Seq, Stream, TerminalFrame, codec, limits};

use crate::alloc::largest_in;
use crate::golden::cases;
use crate::golden::tests_directory;
use crate::random::Random;

/// Whether these bytes decode.
type Decode = fn(&[u8]) -> bool;

const DECODERS: &[(&str, Decode)] = &[
    ("event", |bytes| decode_event(Seq(1), bytes).is_ok()),
    ("receipt", |bytes| Receipt::decode(bytes).is_ok()),
    ("to holder", |bytes| codec::decode::<ToHolder>(bytes).is_ok()),
    ("from holder", |bytes| codec::decode::<FromHolder>(bytes).is_ok()),
    ("terminal frame", |bytes| TerminalFrame::decode(Bytes::copy_from_slice(bytes)).is_ok()),
    ("bincode frame", |bytes| BincodeFrame::decode(&Bytes::copy_from_slice(bytes)).is_some()),
    ("program", |bytes| codec::decode::<Program>(bytes).is_ok()),
    ("stream", |bytes| codec::decode::<Stream>(bytes).is_ok()),
    ("text", |bytes| codec::decode::<String>(bytes).is_ok()),
    ("bytes", |bytes| codec::decode::<Vec<u8>>(bytes).is_ok()),
    ("texts", |bytes| codec::decode::<Vec<String>>(bytes).is_ok()),
    ("numbers", |bytes| codec::decode::<Vec<u64>>(bytes).is_ok()),
];

/// No single piece of memory for one small input may be larger than what one decode may ask for.
const PIECE_BYTES_MAX: usize = limits::CODEC_BYTES_MAX;

fn feed(bytes: &[u8]) {
    for (name, decode) in DECODERS {
        let largest = largest_in(|| {
            decode(bytes);
        });
        assert!(largest <= PIECE_BYTES_MAX, "{name} asked for {largest} bytes to decode {bytes:02x?}");
    }
}

#[test]
fn random_bytes_never_panic_and_never_ask_for_much() {
    let mut random = Random(1);
    for _ in 0..30_000 {
        let length = random.below(120);
        let bytes = random.bytes(length);
        feed(&bytes);
    }
}

#[test]
fn changed_golden_bytes_never_panic_and_never_ask_for_much() {
    let mut random = Random(2);
    let cases = cases();
    for _ in 0..20_000 {
        let mut bytes = cases[random.below(cases.len())].bytes.clone();
        for _ in 0..=random.below(3) {
            let at = random.below(bytes.len().max(1)).min(bytes.len());
            match random.below(4) {
                0 if !bytes.is_empty() => {
                    let at = at.min(bytes.len() - 1);
                    bytes[at] ^= 1 << random.below(8);
                }
                1 => bytes.truncate(at),
                2 => bytes.insert(at, random.number().to_le_bytes()[0]),
                _ => {
                    let other = &cases[random.below(cases.len())].bytes;
                    let from = random.below(other.len());
                    bytes.extend_from_slice(&other[from..]);
                }
            }
        }
        feed(&bytes);
    }
}

#[test]
fn a_length_of_2_to_the_60_anywhere_is_refused_and_not_allocated() {
    let lengths = [1_u64 << 60, u64::MAX, 1 << 40, 1 << 31, u64::from(u32::MAX), 1 << 23, (1 << 22) + 1];
    for case in cases() {
        for at in 0..=case.bytes.len() {
            for length in lengths {
                // As a varint of the codec, and as plain little-endian numbers of the frames.
                for form in [&[[253].as_slice(), &length.to_le_bytes()].concat(), &length.to_le_bytes().to_vec()] {
                    let mut bytes = case.bytes[..at].to_vec();
                    bytes.extend_from_slice(form);
                    bytes.extend_from_slice(&case.bytes[at..]);
                    feed(&bytes);
                }
            }
        }
    }
}

#[test]
fn a_long_length_before_nothing_is_an_error() {
    let prefix = [&[253_u8][..], &(1_u64 << 60).to_le_bytes()].concat();
    assert!(codec::decode::<String>(&prefix).is_err());
    assert!(codec::decode::<Vec<u8>>(&prefix).is_err());
    assert!(codec::decode::<Vec<u64>>(&prefix).is_err());
    assert!(codec::decode::<Vec<String>>(&prefix).is_err());
    let mut frame = BincodeFrame::begin(0);
    frame.extend_from_slice(&1_u64.to_le_bytes());
    frame.extend_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(BincodeFrame::decode(&frame.into()), None);
}

#[test]
fn every_cut_and_every_addition_to_golden_bytes_is_an_error() {
    for case in cases() {
        let stored =
            case.name.starts_with("event-") || case.name.starts_with("receipt-") || case.name.contains("holder-");
        if !stored {
            continue;
        }
        for length in 0..case.bytes.len() {
            assert!((case.decodes)(&case.bytes[..length]).is_err(), "{} reads when cut to {length} bytes", case.name);
        }
        let longer = [&case.bytes[..], &[0]].concat();
        assert!((case.decodes)(&longer).is_err(), "{} reads with a byte behind it", case.name);
    }
}

#[test]
fn a_terminal_frame_reads_at_every_length_from_its_header_on() {
    let (_, frame) = crate::samples::terminal_frames().remove(0);
    let bytes = frame.encode();
    for length in 0..bytes.len() {
        assert_eq!(
            TerminalFrame::decode(bytes.slice(..length)).is_ok(),
            length >= TerminalFrame::HEADER_BYTES,
            "{length}"
        );
    }
    for kind in 0..=255 {
        let mut bytes = bytes.to_vec();
        bytes[0] = kind;
        assert_eq!(TerminalFrame::decode(bytes.into()).is_ok(), (1..=5).contains(&kind), "kind {kind}");
    }
}

#[test]
fn changed_json_never_panics() {
    let mut random = Random(3);
    let read = |name: &str| std::fs::read(tests_directory().join("json").join(name)).unwrap_or_default();
    let texts = [read("requests.json"), read("notifications.json"), read("events.json")];
    for _ in 0..3000 {
        let text = &texts[random.below(texts.len())];
        if text.is_empty() {
            continue;
        }
        // One sample or a bit more of it: any piece of the file, with some bytes changed.
        let from = random.below(text.len());
        let mut piece = text[from..(from + random.below(400)).min(text.len())].to_vec();
        if !piece.is_empty() {
            let at = random.below(piece.len());
            piece[at] = random.number().to_le_bytes()[0];
        }
        drop(serde_json::from_slice::<Request>(&piece));
        drop(serde_json::from_slice::<Notification>(&piece));
        drop(serde_json::from_slice::<ropewalk_protocol::Event>(&piece));
    }
    let deep = "[".repeat(100_000);
    assert!(serde_json::from_str::<Request>(&deep).is_err());
    let deep =
        format!(r#"{{"seq":1,"stream":"machine","version":1,"at":"1970-01-01T00:00:00Z","type":"x","data":{deep}"#);
    assert!(serde_json::from_str::<ropewalk_protocol::Event>(&deep).is_err());
}
