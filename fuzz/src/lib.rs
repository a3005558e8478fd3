//! What each fuzzing target does with the bytes it gets. Bytes from anywhere decode or are refused; what decodes encodes to
//! something that decodes to the same; nothing panics.
//!
//! The targets in `fuzz_targets/` feed these functions under libFuzzer. The main workspace's tests include this file and feed
//! them the corpora, as they are and with changes, without a nightly compiler.

use bytes::Bytes;
use ropewalk_projections::Projections;
use ropewalk_projections::screen::{Screen, ScreenState};
use ropewalk_protocol::holder::wire::{self, WireError};
use ropewalk_protocol::holder::{FromHolder, ToHolder};
use ropewalk_protocol::record::{NewEvent, Receipt, decode_event};
use ropewalk_protocol::{
    BincodeFrame, Event, Notification, Program, Request, Response, Seq, Size, TerminalFrame, codec, limits,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

#[path = "../../cli/daemon/discovery/document.rs"]
mod document;

/// What is done with an input.
pub type Target = fn(&[u8]);

/// Every target, by name.
pub const TARGETS: &[(&str, Target)] = &[
    ("frames", frames),
    ("stored", stored),
    ("wal", wal),
    ("screen", screen),
    ("discovery", discovery),
    ("holder", holder),
];

/// What a client and a daemon may send each other: JSON-RPC, binary terminal frames, and events as bincode.
pub fn frames(bytes: &[u8]) {
    json::<Request>(bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        assert_eq!(Request::from_json(text).ok(), serde_json::from_str(text).ok(), "the short way reads the same");
    }
    json::<Notification>(bytes);
    json::<Response<serde_json::Value>>(bytes);
    json::<Event>(bytes);
    let shared = Bytes::copy_from_slice(bytes);
    if let Ok(frame) = TerminalFrame::decode(shared.clone()) {
        assert_eq!(frame.encode(), shared, "a terminal frame");
    }
    if let Some(frame) = BincodeFrame::decode(&shared) {
        let mut again = BincodeFrame::begin(bytes.len());
        for (seq, record) in frame.records() {
            drop(decode_event(seq, record));
            let length = u32::try_from(record.len()).expect("an input is small").to_le_bytes();
            BincodeFrame::push(&mut again, seq, &[&length, record].concat());
        }
        BincodeFrame::address(&mut again, frame.subscription);
        let again = BincodeFrame::decode(&again.into()).expect("what was written reads");
        assert!(again.subscription == frame.subscription && again.records().eq(frame.records()), "a frame of events");
    }
}

fn json<T: Serialize + DeserializeOwned>(bytes: &[u8]) {
    let Ok(value) = serde_json::from_slice::<T>(bytes) else {
        return;
    };
    let once = serde_json::to_string(&value).expect("what was read is written");
    let again: T = serde_json::from_str(&once).unwrap_or_else(|error| panic!("{once} does not read: {error}"));
    assert_eq!(serde_json::to_string(&again).expect("what was read is written"), once);
}

/// What lies on disk: records, rows, archives, and the checkpoints of projections and screens.
pub fn stored(bytes: &[u8]) {
    if let Ok(event) = decode_event(Seq(7), bytes) {
        let Event { seq, stream, at, cause, body } = event.clone();
        let record = NewEvent { stream, at, cause, body }.encode();
        assert_eq!(decode_event(seq, &record), Ok(event), "an event");
    }
    if let Ok(receipt) = Receipt::decode(bytes) {
        assert_eq!(Receipt::decode(&receipt.encode()), Ok(receipt), "a receipt");
    }
    ropewalk_kernel::log::stored::read_rows(bytes);
    let with_hash = [bytes, blake3::hash(bytes).as_bytes()].concat();
    if let Ok(projections) = Projections::from_checkpoint(&with_hash) {
        let again = Projections::from_checkpoint(&projections.checkpoint()).map(|again| again.digests());
        assert_eq!(again, Ok(projections.digests()), "a checkpoint");
    }
    if let Ok(state) = codec::decode::<ScreenState>(bytes) {
        let mut screen = Screen::from_state(&state);
        restores(&screen);
        screen.feed(b"text\r\n\x1b[5;5Hmore\x1b[2J");
        screen.resize(Size { cols: 7, rows: 3 });
        restores(&screen);
    }
}

/// What a killed daemon, or a power cut, leaves of a volume's write-ahead log.
pub fn wal(bytes: &[u8]) {
    ropewalk_kernel::log::stored::read_write_ahead_log(bytes);
}

/// What a program writes to its terminal. The first four bytes say how large it is, where the bytes are cut and where it is
/// resized.
pub fn screen(bytes: &[u8]) {
    let Some((&[cols, rows, cut, pieces], output)) = bytes.split_first_chunk::<4>() else {
        return;
    };
    let size = |cols: u8, rows: u8| Size { cols: 1 + u16::from(cols % 100), rows: 1 + u16::from(rows % 40) };
    let (before, after) = output.split_at(output.len() * usize::from(cut) / 256);
    let mut whole = Screen::new(size(cols, rows));
    let mut in_pieces = Screen::new(size(cols, rows));
    whole.feed(before);
    before.chunks(1 + usize::from(pieces % 7)).for_each(|piece| in_pieces.feed(piece));
    assert_eq!(in_pieces.state(), whole.state(), "pieces do not matter");
    let mut snapshot = restores(&whole);
    let mut checkpoint = Screen::from_state(&whole.state());
    for screen in [&mut whole, &mut snapshot, &mut checkpoint] {
        if pieces & 0x80 != 0 {
            screen.resize(size(rows, cols));
        }
        screen.feed(after);
    }
    assert_eq!(snapshot.observe(), whole.observe(), "a restored screen goes on as the screen does");
    assert_eq!(checkpoint.state(), whole.state(), "and so does one from a checkpoint");
    assert!(whole.scrollback_len() <= limits::SCROLLBACK_LINES_MAX);
    restores(&whole);
}

/// The screen that a client draws of a snapshot shows the same.
fn restores(screen: &Screen) -> Screen {
    let mut other = Screen::new(screen.size());
    other.feed(&screen.restore(usize::MAX));
    assert_eq!(other.observe(), screen.observe(), "a snapshot draws the screen");
    other
}

/// The file that says where the daemon is. Whoever may write it may also be an older or newer build.
pub fn discovery(bytes: &[u8]) {
    if let Some(found) = document::Discovery::decode(bytes) {
        let again = serde_json::to_vec(&found).expect("what was read is written");
        assert_eq!(document::Discovery::decode(&again), Some(found));
    }
}

/// What the daemon and the holder say to each other, as it comes out of a socket.
pub fn holder(bytes: &[u8]) {
    let mut rest = bytes;
    while let Ok(Some((body, used))) = wire::split_frame(rest) {
        assert_eq!(used, wire::HEADER_BYTES + body.len());
        words(body);
        rest = &rest[used..];
    }
    // The same bytes as the body of one frame: a length that fits is rarely met by chance.
    words(bytes);
    drop(codec::decode::<Program>(bytes));
}

fn words(body: &[u8]) {
    if let Ok(frame) = wire::decode_to_holder(body) {
        let mut again = Vec::new();
        wire::encode_to_holder(&frame, &mut again);
        assert_eq!(reads(&again, wire::decode_to_holder), Ok::<ToHolder, WireError>(frame));
    }
    if let Ok(frame) = wire::decode_from_holder(body) {
        let mut again = Vec::new();
        wire::encode_from_holder(&frame, &mut again);
        if let FromHolder::Output { stream, offset, bytes } = &frame {
            let mut fast = Vec::new();
            wire::encode_output(*stream, *offset, bytes, &mut fast);
            assert_eq!(fast, again, "both ways to encode output are one");
        }
        assert_eq!(reads(&again, wire::decode_from_holder), Ok::<FromHolder, WireError>(frame));
    }
}

fn reads<T>(bytes: &[u8], decode: fn(&[u8]) -> Result<T, WireError>) -> Result<T, WireError> {
    let (body, used) = wire::split_frame(bytes)?.expect("a frame that was written is whole");
    assert_eq!(used, bytes.len());
    decode(body)
}
