//! Where the corpora come from: golden files, and what a small log, a screen and a daemon leave on disk.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ropewalk_kernel::log::store::{Row, Shelf};
use ropewalk_kernel::log::stored::write_ahead_file;
use ropewalk_kernel::log::{Batch, Journal, MemoryShelf, Snapshot};
use ropewalk_projections::Projections;
use ropewalk_projections::screen::Screen;
use ropewalk_protocol::record::NewEvent;
use ropewalk_protocol::{
    AgentAdded, AgentId, CommandId, CommandResult, Event, LogId, RunId, Seq, SessionAnnotated, SessionCreated,
    SessionId, Size, Stream, TerminalClosed, TerminalId, Timestamp, codec,
};
use serde_json::json;

/// The names of the seeds that a corpus does not have. They are written if that is asked for; nothing is ever written over.
pub(super) fn missing(target: &str, corpus: &Path) -> Vec<String> {
    let is_asked_for = std::env::var_os("ROPEWALK_WRITE_CORPUS").is_some();
    let mut seeds = match target {
        "frames" => frames(),
        "stored" => [golden(&["event-", "receipt-"]), rows(), checkpoints()].concat(),
        "wal" => write_ahead_logs(),
        "screen" => screens(),
        "discovery" => discovery(),
        "holder" => holder(),
        other => panic!("{other} has no seeds"),
    };
    seeds.retain(|(name, _)| !corpus.join(name).exists());
    if is_asked_for {
        std::fs::create_dir_all(corpus).unwrap();
        seeds.drain(..).for_each(|(name, bytes)| std::fs::write(corpus.join(name), bytes).unwrap());
    }
    seeds.into_iter().map(|(name, _)| name).collect()
}

type Seed = (String, Vec<u8>);

fn protocol_tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("protocol/tests")
}

/// The golden files whose names begin like this.
fn golden(prefixes: &[&str]) -> Vec<Seed> {
    let mut seeds = Vec::new();
    for entry in std::fs::read_dir(protocol_tests().join("golden")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if prefixes.iter().any(|prefix| name.starts_with(prefix)) {
            let text: String = std::fs::read_to_string(&path).unwrap().split_whitespace().collect();
            let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
            seeds.push((name, (0..text.len()).step_by(2).map(byte).collect()));
        }
    }
    seeds
}

fn frames() -> Vec<Seed> {
    let mut seeds = golden(&["terminal_frame-", "bincode_frame-"]);
    for group in ["requests", "commands", "queries", "notifications", "responses", "rejections", "events"] {
        let text = std::fs::read_to_string(protocol_tests().join(format!("json/{group}.json"))).unwrap();
        let samples: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&text).unwrap();
        for (name, sample) in samples {
            let id = "0192f0c1-2b7a-7c3e-8d11-5a2f3c4d5ed1";
            let frame = match group {
                "commands" => {
                    json!({"jsonrpc": "2.0", "id": 1, "method": "command", "params": {"id": id, "command": sample}})
                }
                "queries" => json!({"jsonrpc": "2.0", "id": 1, "method": "query", "params": sample}),
                _ => sample,
            };
            let name = name.replace(|letter: char| !letter.is_alphanumeric() && !"._".contains(letter), "-");
            seeds.push((format!("{group}-{name}"), serde_json::to_vec(&frame).unwrap()));
        }
    }
    seeds
}

/// Files of a write-ahead log, as short as they can be: as they are made, filled, written again, torn, and damaged.
fn write_ahead_logs() -> Vec<Seed> {
    let shelf = small_log();
    let mut rows: Vec<Row> = Vec::new();
    let mut visit = |key: &[u8], value: &[u8]| {
        rows.push((key.to_vec(), value.to_vec()));
        ControlFlow::Continue(())
    };
    shelf.open(Seq(1)).unwrap().scan(&[0], &[255], &mut visit).unwrap();
    let (first, rest) = rows.split_at(2);
    let (second, third) = rest.split_at(2);
    let filled = write_ahead_file(&[(1, first), (1, second), (1, third)]);
    let second_at = write_ahead_file(&[(1, first)]).len();
    let damaged = |at: usize| {
        let mut file = filled.clone();
        file[at] ^= 0x10;
        file
    };
    let seeds = [
        ("made", [write_ahead_file(&[]), vec![0; 512]].concat()),
        ("filled", filled.clone()),
        ("with-room", [filled.clone(), vec![0; 512]].concat()),
        ("written-again", write_ahead_file(&[(3, first), (1, second), (1, third)])),
        ("torn", filled[..filled.len() - 20].to_vec()),
        ("a-record-damaged", damaged(second_at + 40)),
        ("a-length-damaged", damaged(second_at + 20)),
        ("a-header-damaged", damaged(9)),
        ("a-record-in-a-row", write_ahead_file(&[(1, &[(vec![1], filled[512..].to_vec())]), (1, third)])),
    ];
    seeds.map(|(name, bytes)| (name.to_owned(), bytes)).to_vec()
}

fn holder() -> Vec<Seed> {
    let framed = |(name, body): Seed| (name, [&u32::try_from(body.len()).unwrap().to_le_bytes()[..], &body].concat());
    golden(&["to_holder-", "from_holder-"]).into_iter().map(framed).collect()
}

fn discovery() -> Vec<Seed> {
    let whole = r#"{
  "pid": 4242,
  "version": "0.1.0",
  "build": "0.1.0+source",
  "protocol": 1,
  "machine": "0192f0c1-2b7a-7c3e-8d11-5a2f3c4d5e11",
  "log": "0192f0c1-2b7a-7c3e-8d11-5a2f3c4d5e01",
  "port": 7717,
  "socket": "/run/user/1000/ropewalk/daemon.sock",
  "token_file": "/run/user/1000/ropewalk/token"
}"#;
    let newer = whole.replacen('{', "{\"relay\":{\"port\":7},", 1);
    let cut = &whole[..whole.len() / 2];
    vec![("daemon".to_owned(), whole.into()), ("newer".to_owned(), newer.into()), ("cut".to_owned(), cut.into())]
}

fn screens() -> Vec<Seed> {
    let written: &[(&str, &[u8], &[u8])] = &[
        ("shell", &[79, 23, 128, 3], b"\x1b]0;ada@home: ~\x07\x1b[01;32mada@home\x1b[00m:\x1b[01;34m~\x1b[00m$ ls --color\r\n\x1b[0m\x1b[01;34mbin\x1b[0m  \x1b[01;36mlink\x1b[0m  notes.txt\r\n\x1b[?2004h$ "),
        ("editor", &[20, 7, 100, 0x81], b"\x1b[?1049h\x1b[22;0;0t\x1b[1;8r\x1b[?12h\x1b[?12l\x1b[27m\x1b[23m\x1b[29m\x1b[m\x1b[H\x1b[2J\x1b[2;1H\x1b[94m~\x1b[3;1H~\x1b[m\x1b[8;1H-- INSERT --\x1b[1;1H\x1b[34h\x1b[?25htext\x1b[L\x1b[2M\x1b[3@\x1b[4P\x1b[?1049l"),
        ("wide", &[5, 3, 70, 2], "字字字字\r\n👩\u{200d}💻e\u{301}❤\u{fe0f}\x1b[1;2Hx\x1b[3X\x1b[2Db\x1b[5b".as_bytes()),
        ("scrolls", &[9, 2, 200, 6], b"1\r\n2\r\n3\r\n4\r\n5\x1b[2;3r\x1b[2;1H\x1bM\x1b[S\x1b[T\x1bD\x1bE\x1b[?6h\x1b[1;1Ha\x1b[3J"),
        ("modes", &[12, 4, 90, 1], b"\x1b[?7l\x1b[4h\x1b[20h\x1b(0qqq\x1b(B\x0e\x0f\x1b7\x1b[5;5H\x1b8\x1b[?1;1000;1006;2004h\x1b[>5u\x1b[<u\x1b[3 q\x1bH\t\x1b[g\x1b[3g\x1b[!p"),
        ("colours", &[30, 2, 40, 5], b"\x1b[38;2;1;2;3m\x1b[48:5:200ma\x1b[4:3;58:2::1:2:3mb\x1b[1;3;7;9;53mc\x1b]8;;http://x\x1b\\link\x1b]8;;\x07\x1b[m"),
        ("strings", &[8, 3, 128, 4], b"\x1bP1$qm\x1b\\\x1b_Gf=24;\x1b\\\x1b]52;c;aGk=\x07\x1bXsos\x1a\x1b^pm\x18\x1b[1\n2C\xc3\xff\xe2\x82"),
    ];
    written.iter().map(|(name, head, output)| ((*name).to_owned(), [*head, *output].concat())).collect()
}

const SESSION: SessionId = SessionId::from_bytes([1; 16]);
const TERMINAL: TerminalId = TerminalId::from_bytes([2; 16]);

fn events() -> Vec<NewEvent> {
    let event =
        |stream, body| NewEvent { stream, at: Timestamp::from_unix_micros(1_700_000_000_000_000), cause: None, body };
    let added = AgentAdded {
        agent: AgentId::from_bytes([3; 16]),
        provider: "terminal".to_owned(),
        argv: vec!["sh".to_owned()],
        directory: "/".to_owned(),
        run: RunId::from_bytes([4; 16]),
        terminal: TERMINAL,
        size: Size::DEFAULT,
    };
    vec![
        event(Stream::Session(SESSION), SessionCreated { name: Some("job".to_owned()), workspace: None }.into()),
        event(Stream::Session(SESSION), added.into()),
        event(Stream::Session(SESSION), SessionAnnotated { text: "a remark ".repeat(20) }.into()),
        event(Stream::Terminal(SESSION, TERMINAL), TerminalClosed { offset: 400 }.into()),
    ]
}

fn small_log() -> MemoryShelf {
    let shelf = MemoryShelf::default();
    let opened =
        Journal::open(Arc::new(shelf.clone()), LogId::from_bytes([5; 16]), |_| Box::new(|_: &[Event]| {})).unwrap();
    let journal = opened.journal;
    let receipt = (CommandId::from_bytes([6; 16]), [7; 16], Ok(CommandResult::Done {}));
    let batch = Batch { epoch: journal.epoch(), events: events(), receipt: Some(receipt) };
    journal.append(batch).unwrap().blocking_recv().unwrap().unwrap();
    let output = b"output ".repeat(60)[..400].to_vec();
    journal.store_output(TERMINAL, 0, vec![output.into()]).unwrap().blocking_recv().unwrap().unwrap();
    let snapshot = Snapshot { at: Seq(4), state: b"an actor's state".to_vec() };
    journal.keep_snapshot(Stream::Session(SESSION), &snapshot).unwrap();
    journal.stop().blocking_recv().unwrap();
    opened.writer.join().unwrap();
    shelf
}

/// The rows of a small log: as they are, and without their checksums, which are put right when they are fed.
fn rows() -> Vec<Seed> {
    let shelf = small_log();
    let mut archive = Vec::new();
    let log =
        Journal::open(Arc::new(shelf.clone()), LogId::from_bytes([5; 16]), |_| Box::new(|_: &[Event]| {})).unwrap();
    log.journal.export(&mut archive).unwrap();
    let mut seeds = vec![("archive".to_owned(), archive), ("head".to_owned(), shelf.read_head().unwrap()[1].clone())];
    let mut visit = |key: &[u8], value: &[u8]| {
        let (kind, checksum_ends) = match key[0] {
            1 => ("chunk", 5),
            2 => ("places", 0),
            3 => ("receipt", 4),
            4 => ("output", 5),
            5 => ("state", 4),
            _ => return ControlFlow::Continue(()),
        };
        seeds.push((format!("row-{kind}"), value.to_vec()));
        seeds.push((format!("row-{kind}-without-checksum"), value[checksum_ends..].to_vec()));
        ControlFlow::Continue(())
    };
    shelf.open(Seq(1)).unwrap().scan(&[0], &[255], &mut visit).unwrap();
    seeds
}

/// Checkpoints without their hashes, which are put right when they are fed.
fn checkpoints() -> Vec<Seed> {
    let mut projections = Projections::default();
    for (event, seq) in events().into_iter().zip(1..) {
        projections.apply(&event.at_seq(Seq(seq)));
    }
    let checkpoint = projections.checkpoint();
    let mut screen = Screen::new(Size { cols: 12, rows: 4 });
    screen.feed("text\r\n\x1b[1;31mred\x1b[m\r\n字\r\n4\r\n5\x1b[?1049h\x1b[2;3rother\x1b]2;title\x07\x1b[".as_bytes());
    vec![
        ("projections".to_owned(), checkpoint[..checkpoint.len() - 32].to_vec()),
        ("screen-state".to_owned(), codec::encode(&screen.state())),
    ]
}
