//! Numbers, names, places and times: what must be unique, ordered, bounded or the same after a round trip.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ropewalk_protocol::{
    AgentId, Code, Command, CommandId, EventBody, Program, Rejection, Seq, SessionId, Size, Stream, TerminalId,
    Timestamp, codec, limits,
};

use crate::random::Random;
use crate::samples;

#[test]
fn codes_have_numbers_names_and_hints_of_their_own() {
    let numbers: BTreeSet<i32> = Code::ALL.iter().map(|code| code.number()).collect();
    let names: BTreeSet<String> = Code::ALL.iter().map(|code| code.name()).collect();
    assert_eq!(numbers.len(), Code::ALL.len());
    assert_eq!(names.len(), Code::ALL.len());
    for code in Code::ALL {
        assert!(code.name().chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{}", code.name());
        assert!(code.hint().ends_with('.'), "{}: {}", code.name(), code.hint());
        assert!(code.number() < 0);
        let read: Code = serde_json::from_value(code.name().into()).expect("a code reads from its name");
        assert_eq!(read, *code);
    }
}

#[test]
fn kinds_of_events_have_numbers_and_names_of_their_own() {
    let numbers: BTreeSet<u16> = EventBody::KINDS.iter().map(|(number, _, _)| *number).collect();
    let names: BTreeSet<&str> = EventBody::KINDS.iter().map(|(_, name, _)| *name).collect();
    assert_eq!(numbers.len(), EventBody::KINDS.len());
    assert_eq!(names.len(), EventBody::KINDS.len());
    assert!(!numbers.contains(&0), "0 stands for an event that came as JSON");
    for (_, name, version) in EventBody::KINDS {
        assert!(*version >= 1);
        assert!(name.split('.').count() == 2 && name.chars().all(|c| c.is_ascii_lowercase() || c == '_' || c == '.'));
    }
}

#[test]
fn every_limit_has_a_reason_and_they_fit_into_each_other() {
    let names: BTreeSet<&str> = limits::ALL.iter().map(|(name, _, _)| *name).collect();
    assert_eq!(names.len(), limits::ALL.len());
    for (name, value, reason) in limits::ALL {
        assert!(*value > 0 && *value < 1 << 40, "{name} is {value}");
        assert!(reason.trim().len() > 10 && reason.trim().ends_with('.'), "{name}: {reason:?}");
        let units =
            ["BYTES", "EVENTS", "MILLIS", "CELLS", "LINES", "BATCHES", "COMMANDS", "SESSIONS", "RANGES", "FRAMES"];
        let counts = [
            "VOLUMES",
            "ITEMS",
            "BUFFER",
            "ACTORS",
            "REQUESTS",
            "SUBSCRIPTIONS",
            "ATTACHMENTS",
            "CONNECTIONS",
            "CLIENTS",
            "SNAPSHOTS",
            "ATTEMPTS",
            "PAGES",
            "HITS",
            "READERS",
            "SUBSCRIBERS",
            "PROMPTS",
            "AGENTS",
            "ASKS",
            "RULES",
            "WORKSPACES",
            "CALLS",
            "TURNS",
            "FILES",
            "ROWS",
        ];
        assert!(units.iter().chain(&counts).any(|unit| name.contains(unit)), "{name} does not name its unit");
    }
    let source = include_str!("../src/limits.rs");
    let declared = source.lines().filter(|line| line.starts_with("    ") && line.trim().ends_with(';'));
    let declared: BTreeSet<&str> = declared
        .filter_map(|line| line.trim().split_once(": "))
        .map(|(name, _)| name)
        .filter(|name| name.chars().all(|c| c.is_ascii_uppercase() || c == '_'))
        .collect();
    assert_eq!(declared, names, "a bound is not in the table");
    const {
        use limits::*;
        assert!(EVENT_BYTES_MAX + 4 <= CHUNK_RECORD_BYTES_MAX);
        assert!(CHUNK_RECORD_BYTES_MAX + 1024 <= STORED_VALUE_BYTES_MAX);
        assert!(OUTPUT_ROW_BYTES_MAX + 1024 <= STORED_VALUE_BYTES_MAX);
        assert!(STORED_VALUE_BYTES_MAX < FRAME_BYTES_MAX && FRAME_BYTES_MAX <= CODEC_BYTES_MAX);
        // sled moves a leaf of 16 values over a quarter of a 4 MiB segment into a file that no sync covers.
        assert!(16 * STORED_VALUE_BYTES_MAX <= 4 * 1024 * 1024 / 4);
        assert!(
            ANNOTATION_BYTES_MAX < EVENT_BYTES_MAX && PROGRAM_ARGV_BYTES_MAX + 2 * PATH_BYTES_MAX < EVENT_BYTES_MAX
        );
        assert!(PROGRAM_ENVIRONMENT_BYTES_MAX + PROGRAM_ARGV_BYTES_MAX < FRAME_BYTES_MAX);
        assert!(INPUT_FRAME_BYTES_MAX < FRAME_BYTES_MAX && INPUT_FRAME_BYTES_MAX <= INPUT_QUEUE_BYTES_MAX);
        assert!(SILENCE_MILLIS_MAX >= 2 * HEARTBEAT_MILLIS);
        assert!(PAGE_BYTES_MAX < TAIL_BYTES_MAX);
        assert!(COMMIT_EVENTS_MAX <= 65_536, "places in a chunk are 16 bits");
    }
}

fn streams(random: &mut Random) -> [Stream; 4] {
    let session = SessionId::from_bytes(random.id());
    [
        Stream::Machine,
        Stream::Session(session),
        Stream::Agent(session, AgentId::from_bytes(random.id())),
        Stream::Terminal(session, TerminalId::from_bytes(random.id())),
    ]
}

#[test]
fn streams_survive_text_json_and_bytes() {
    let mut random = Random(11);
    for _ in 0..500 {
        for stream in streams(&mut random) {
            assert_eq!(stream.to_string().parse::<Stream>(), Ok(stream));
            let json = serde_json::to_value(stream).expect("encodes");
            assert_eq!(json, stream.to_string());
            assert_eq!(serde_json::from_value::<Stream>(json).expect("decodes"), stream);
            assert_eq!(codec::decode::<Stream>(&codec::encode(&stream)), Ok(stream));
        }
    }
}

#[test]
fn changed_stream_text_never_panics_and_what_parses_prints_as_a_stream() {
    let mut random = Random(12);
    for _ in 0..5000 {
        let [_, _, agent, terminal] = streams(&mut random);
        let mut text: Vec<char> = [agent, terminal][random.below(2)].to_string().chars().collect();
        for _ in 0..=random.below(3) {
            let at = random.below(text.len().max(1));
            match random.below(3) {
                _ if text.is_empty() => break,
                0 => text[at] = ['/', ':', 'é', '\u{0}', 'a', '☃'][random.below(6)],
                1 => drop(text.remove(at)),
                _ => text.truncate(at.max(1)),
            }
        }
        let text: String = text.into_iter().collect();
        if let Ok(stream) = text.parse::<Stream>() {
            assert_eq!(stream.to_string().parse::<Stream>(), Ok(stream), "{text:?}");
        }
    }
    for text in ["", "machine ", "Machine", "session:", "session:/", "session", "machine/agent:x", "session:x/agent:y"]
    {
        assert!(text.parse::<Stream>().is_err(), "{text:?}");
    }
}

/// The last microsecond that RFC 3339 can write.
const LATEST: u64 = 253_402_300_799_999_999;

#[test]
fn times_survive_rfc_3339_from_the_epoch_to_the_year_9999() {
    let mut random = Random(13);
    let edges =
        [0, 1, 999_999, 1_000_000, 951_782_399_999_999, 951_782_400_000_000, 4_107_542_400_000_000, LATEST - 1, LATEST];
    let some = (0..3000).map(|_| random.number() % (LATEST + 1)).collect::<Vec<_>>();
    for micros in edges.into_iter().chain(some) {
        let at = Timestamp::from_unix_micros(micros);
        let json = serde_json::to_value(at).expect("encodes");
        let read: Timestamp = serde_json::from_value(json.clone()).unwrap_or_else(|error| panic!("{json}: {error}"));
        assert_eq!(read, at, "{json}");
        assert_eq!(codec::decode::<Timestamp>(&codec::encode(&at)), Ok(at));
    }
    assert_eq!(Timestamp::default().to_string(), "1970-01-01T00:00:00.000000Z");
    assert_eq!(samples::AT.to_string(), "2025-11-20T22:00:00.123456Z");
    assert_eq!(Timestamp::from_unix_micros(LATEST).to_string(), "9999-12-31T23:59:59.999999Z");
}

#[test]
fn a_time_after_the_year_9999_is_shown_as_its_last_moment_and_stored_as_it_is() {
    for micros in [LATEST + 1, u64::MAX] {
        let at = Timestamp::from_unix_micros(micros);
        let latest = Timestamp::from_unix_micros(LATEST);
        assert_eq!(at.to_string(), latest.to_string());
        assert_eq!(codec::decode::<Timestamp>(&codec::encode(&at)), Ok(at));
    }
}

#[test]
fn times_are_read_from_clocks_and_text_without_a_panic() {
    assert_eq!(Timestamp::from(UNIX_EPOCH - Duration::from_secs(1)), Timestamp::default());
    assert_eq!(Timestamp::from(UNIX_EPOCH + Duration::from_micros(5)), Timestamp::from_unix_micros(5));
    let _ = Timestamp::from(SystemTime::now());
    for text in
        ["", "now", "2025-13-01T00:00:00Z", "2025-02-30T00:00:00Z", "2025-01-01T00:00:00é", "-0001-01-01T00:00:00Z"]
    {
        let read = serde_json::from_value::<Timestamp>(text.into());
        assert!(read.is_err(), "{text:?} reads as {read:?}");
    }
    let mut random = Random(14);
    for _ in 0..5000 {
        let mut text: Vec<char> = samples::AT.to_string().chars().collect();
        let at = random.below(text.len());
        text[at] = ['é', '9', '-', ':', 'T', '\u{0}'][random.below(6)];
        text.truncate(1 + random.below(text.len()));
        drop(serde_json::from_value::<Timestamp>(text.into_iter().collect::<String>().into()));
    }
    let earlier = Timestamp::from_unix_micros(10);
    assert_eq!(earlier.since(samples::AT), Duration::ZERO, "a clock that went back takes no time");
    assert_eq!(samples::AT.since(earlier), Duration::from_micros(1_763_676_000_123_446));
}

#[test]
fn ids_survive_text_and_a_command_id_tells_its_time_if_it_is_a_v7() {
    assert_eq!(samples::SESSION.to_string().parse(), Ok(samples::SESSION));
    assert_eq!(samples::COMMAND.unix_millis(), Some(0x0192_f0c1_2b7a));
    let mut v4 = *samples::COMMAND.as_bytes();
    v4[6] = 0x4c;
    assert_eq!(CommandId::from_bytes(v4).unix_millis(), None);
    assert_eq!(CommandId::from_bytes([0; 16]).unix_millis(), None);
    let error = "x".repeat(10_000).parse::<SessionId>().expect_err("no id");
    assert!(error.to_string().len() < 300, "an error does not repeat all of a long text");
    assert_eq!(Seq::ZERO.previous(), Seq::ZERO);
    assert_eq!(Seq(4).next(), Seq(5));
}

fn code_of<T: std::fmt::Debug>(result: Result<T, Rejection>) -> Option<Code> {
    result.err().map(|rejection| rejection.code)
}

#[test]
fn a_command_is_refused_where_a_bound_is_passed_and_not_before() {
    let name =
        |name: &str| code_of(Command::SessionRename { session: samples::SESSION, name: name.to_owned() }.check());
    for good in ["a", "build-2", "A.b_c", "0", &"n".repeat(limits::NAME_BYTES_MAX)] {
        assert_eq!(name(good), None, "{good}");
    }
    let uuid = samples::SESSION.to_string();
    for bad in [
        "",
        "-a",
        ".a",
        "_a",
        "a b",
        "a/b",
        "a..b",
        "é",
        "a\n",
        &uuid,
        &uuid.replace('-', ""),
        &"n".repeat(limits::NAME_BYTES_MAX + 1),
    ] {
        assert_eq!(name(bad), Some(Code::InvalidParams), "{bad}");
    }
    let annotate =
        |bytes| code_of(Command::SessionAnnotate { session: samples::SESSION, text: "x".repeat(bytes) }.check());
    assert_eq!(annotate(limits::ANNOTATION_BYTES_MAX), None);
    assert_eq!(annotate(limits::ANNOTATION_BYTES_MAX + 1), Some(Code::TooLarge));
    let size = |cols, rows| code_of(Size { cols, rows }.check());
    let max = limits::TERMINAL_SIDE_CELLS_MAX;
    assert_eq!((size(1, 1), size(max, max)), (None, None));
    for (cols, rows) in [(0, 1), (1, 0), (max + 1, 1), (1, max + 1)] {
        assert_eq!(size(cols, rows), Some(Code::InvalidParams));
    }
    let workspace = |workspace: String| {
        let workspace = Some(workspace);
        code_of(Command::SessionCreate { name: None, workspace, program: None, size: None, agent: None }.check())
    };
    assert_eq!(workspace(format!("/{}", "d".repeat(limits::PATH_BYTES_MAX - 1))), None);
    assert_eq!(workspace(format!("/{}", "d".repeat(limits::PATH_BYTES_MAX))), Some(Code::TooLarge));
    assert_eq!(workspace("relative".to_owned()), Some(Code::InvalidParams));
    assert_eq!(workspace("/a\0b".to_owned()), Some(Code::InvalidParams));
}

#[test]
fn a_program_is_refused_where_a_bound_is_passed_and_not_before() {
    let with = |change: &dyn Fn(&mut Program)| {
        let mut program = samples::program();
        change(&mut program);
        code_of(program.check())
    };
    assert_eq!(with(&|_| {}), None);
    assert_eq!(with(&|program| program.argv.clear()), Some(Code::InvalidParams));
    assert_eq!(with(&|program| program.argv[0].clear()), Some(Code::InvalidParams));
    assert_eq!(with(&|program| program.argv = vec!["a".repeat(limits::PROGRAM_ARGV_BYTES_MAX)]), None);
    assert_eq!(
        with(&|program| program.argv = vec!["a".repeat(limits::PROGRAM_ARGV_BYTES_MAX + 1)]),
        Some(Code::TooLarge)
    );
    assert_eq!(with(&|program| program.argv[1].push('\0')), Some(Code::InvalidParams));
    assert_eq!(with(&|program| program.directory = "here".to_owned()), Some(Code::InvalidParams));
    for name in ["", "A=B", "A\0"] {
        let set = |program: &mut Program| drop(program.environment.insert(name.to_owned(), String::new()));
        assert_eq!(with(&set), Some(Code::InvalidParams), "{name:?}");
    }
    let large = |program: &mut Program| {
        drop(program.environment.insert("X".to_owned(), "y".repeat(limits::PROGRAM_ENVIRONMENT_BYTES_MAX)));
    };
    assert_eq!(with(&large), Some(Code::TooLarge));
    let shown = format!("{:?}", samples::program());
    for (_, value) in samples::environment() {
        assert!(!shown.contains(&value), "the environment may hold secrets and is not shown: {shown}");
    }
}

/// A command that passes `check` must fit into the event it becomes: refused at the log, it has cost a decision.
#[test]
fn regression_a_program_that_passes_its_check_fits_into_one_event() {
    let mut program = samples::program();
    program.directory = format!("/{}", "d".repeat(limits::PATH_BYTES_MAX * 10));
    assert_eq!(code_of(program.check()), Some(Code::TooLarge), "a directory of 40 KiB");
    let mut program = samples::program();
    program.argv.extend(std::iter::repeat_n(String::new(), limits::EVENT_BYTES_MAX));
    assert_eq!(code_of(program.check()), Some(Code::TooLarge), "40,960 empty arguments");
}
