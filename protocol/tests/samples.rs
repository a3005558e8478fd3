//! One value of everything, with every field set to something that shows when it is swapped with its neighbour.

pub(crate) mod agents;
pub(crate) mod limited;

use std::collections::BTreeMap;

use ropewalk_protocol::holder::{Ends, Exit, FromHolder, HeldRun, Spawn, ToHolder};
use ropewalk_protocol::record::{NewEvent, Receipt};
use ropewalk_protocol::*;

const fn id(byte: u8) -> [u8; 16] {
    [0x01, 0x92, 0xf0, 0xc1, 0x2b, 0x7a, 0x7c, 0x3e, 0x8d, 0x11, 0x5a, 0x2f, 0x3c, 0x4d, 0x5e, byte]
}

pub(crate) const SESSION: SessionId = SessionId::from_bytes(id(0x51));
pub(crate) const OTHER_SESSION: SessionId = SessionId::from_bytes(id(0x52));
pub(crate) const AGENT: AgentId = AgentId::from_bytes(id(0xa1));
pub(crate) const TERMINAL: TerminalId = TerminalId::from_bytes(id(0x71));
pub(crate) const ERRORS: TerminalId = TerminalId::from_bytes(id(0x72));
pub(crate) const RUN: RunId = RunId::from_bytes(id(0x21));
pub(crate) const CLIENT: ClientId = ClientId::from_bytes(id(0xc1));
pub(crate) const COMMAND: CommandId = CommandId::from_bytes(id(0xd1));
pub(crate) const MACHINE: MachineId = MachineId::from_bytes(id(0x11));
pub(crate) const LOG: LogId = LogId::from_bytes(id(0x01));
pub(crate) const SIZE: Size = Size { cols: 132, rows: 43 };

pub(crate) const AT: Timestamp = Timestamp::from_unix_micros(1_763_676_000_123_456);
pub(crate) const LATER: Timestamp = Timestamp::from_unix_micros(1_763_676_001_000_000);

pub(crate) fn cause() -> Cause {
    Cause { command: COMMAND, client: "ropewalk-cli".to_owned() }
}

pub(crate) fn program() -> Program {
    let environment = [("LANG", "C.UTF-8"), ("PATH", "/usr/bin:/bin")];
    Program {
        argv: ["sh", "-c", "echo \"žluť\""].map(str::to_owned).to_vec(),
        directory: "/home/ada/work".to_owned(),
        environment: environment.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
    }
}

/// At least one body of every kind, each under a name of its own.
pub(crate) fn bodies() -> Vec<(&'static str, EventBody)> {
    let text = |text: &str| text.to_owned();
    let mut bodies = vec![
        ("", SessionCreated { name: Some(text("build")), workspace: Some(text("/home/ada/work")) }.into()),
        ("-bare", SessionCreated { name: None, workspace: None }.into()),
        (
            "",
            AgentAdded {
                agent: AGENT,
                provider: text("terminal"),
                argv: program().argv,
                directory: text("/home/ada/work"),
                run: RUN,
                terminal: TERMINAL,
                size: SIZE,
            }
            .into(),
        ),
        ("", SessionRenamed { name: text("build-2") }.into()),
        ("", SessionAnnotated { text: text("it built – twice\n") }.into()),
        ("", SessionEndRequested {}.into()),
        ("", SessionEnded { reason: text("every program has ended") }.into()),
        ("", SessionDeleted {}.into()),
        ("", RunStarted { run: RUN, pid: 4711, start_ticks: 1_234_567_890_123 }.into()),
        ("", RunFailed { run: RUN, reason: text("No such file or directory (os error 2)") }.into()),
        ("-exited", RunEnded { run: RUN, outcome: RunOutcome::Exited { code: -3 }, offset: 70_000 }.into()),
        ("-signaled", RunEnded { run: RUN, outcome: RunOutcome::Signaled { signal: 9 }, offset: 70_001 }.into()),
        (
            "-interrupted",
            RunEnded { run: RUN, outcome: RunOutcome::Interrupted { reason: text("the machine died") }, offset: 0 }
                .into(),
        ),
        ("", TerminalResized { size: SIZE, offset: 300 }.into()),
        ("", TerminalClosed { offset: 5_000_000_000 }.into()),
        ("", DaemonStarted { build: text("ropewalk 0.1.0 (61c42e4)"), pid: 4242, holder_pid: 4243 }.into()),
        ("", DaemonStopped { reason: text("asked to") }.into()),
        ("", StorageDegraded { reason: text("no space left: os error 28"), since: AT }.into()),
        ("", StorageRestored { refused: 17 }.into()),
    ];
    bodies.extend(agents::bodies());
    bodies.extend(limited::bodies());
    bodies.push(agents::prompt_taken());
    let (from, to, reason) = (1_048_576, 1_114_112, text("the spool is damaged"));
    bodies.push(("", TerminalLost { from, to, reason }.into()));
    bodies
}

/// The stream that events of this body have.
pub(crate) fn stream_of(body: &EventBody) -> Stream {
    match body.name().split('.').next() {
        Some("machine") => Stream::Machine,
        Some("agent") => Stream::Agent(SESSION, AGENT),
        Some("terminal") => Stream::Terminal(SESSION, TERMINAL),
        _ => Stream::Session(SESSION),
    }
}

pub(crate) fn new_event(body: EventBody) -> NewEvent {
    let stream = stream_of(&body);
    let cause = (stream != Stream::Machine).then(cause);
    NewEvent { stream, at: AT, cause, body }
}

pub(crate) fn events() -> Vec<Event> {
    (1..).zip(bodies()).map(|(seq, (_, body))| new_event(body).at_seq(Seq(seq))).collect()
}

/// Every outcome of a receipt.
pub(crate) fn receipts() -> Vec<(&'static str, Receipt)> {
    let digest = *b"sixteen digest b";
    let created = |agent, terminal| Ok(CommandResult::SessionCreated { session: SESSION, agent, terminal });
    let full = Rejection {
        code: Code::Ambiguous,
        message: "\"bu\" names two sessions".to_owned(),
        hint: "Give more of it.".to_owned(),
        seq: Some(Seq(300)),
        matches: vec!["build".to_owned(), "burn".to_owned()],
    };
    let spawned = |prompt| Ok(CommandResult::AgentSpawned { agent: AGENT, prompt });
    [
        ("done", Ok(CommandResult::Done {})),
        ("session_created", created(Some(AGENT), Some(TERMINAL))),
        ("session_created-bare", created(None, None)),
        ("agent_spawned", spawned(Some(agents::PROMPT))),
        ("agent_spawned-bare", spawned(None)),
        ("prompt_queued", Ok(CommandResult::PromptQueued { prompt: agents::PROMPT })),
        ("rejected", Err(full)),
        ("rejected-bare", Err(Rejection::new(Code::AlreadyEnded, "session build has ended"))),
    ]
    .map(|(name, outcome)| (name, Receipt { digest, seq: Seq(70_000), outcome }))
    .into()
}

pub(crate) fn held_run() -> HeldRun {
    HeldRun {
        run: RUN,
        session: SESSION,
        stream: TERMINAL,
        errors: Some(ERRORS),
        pid: 4711,
        start_ticks: 1_234_567_890_123,
        kept_from: 1000,
        end: 70_000,
        size: Some(SIZE),
        exit: Some(Exit::Code(2)),
    }
}

/// A frame of every kind to the holder.
pub(crate) fn to_holder() -> Vec<(&'static str, ToHolder)> {
    let spawn =
        |ends| ToHolder::Spawn(Spawn { run: RUN, session: SESSION, stream: TERMINAL, program: program(), ends });
    let frames = vec![
        ToHolder::Hello { protocol: 1 },
        spawn(Ends::Terminal(SIZE)),
        spawn(Ends::Pipes { errors: ERRORS }),
        ToHolder::Follow { stream: TERMINAL, from: 1000 },
        ToHolder::Durable { stream: TERMINAL, offset: 70_000 },
        ToHolder::Input { stream: TERMINAL, client: CLIENT, id: 300, bytes: b"ls\r\x00\xff".to_vec() },
        ToHolder::Resize { stream: TERMINAL, size: SIZE },
        ToHolder::Signal { run: RUN, signal: 15 },
        ToHolder::Forget { run: RUN },
        ToHolder::Shutdown,
    ];
    let name = |frame: &ToHolder| match frame {
        ToHolder::Hello { .. } => "hello",
        ToHolder::Spawn(Spawn { ends: Ends::Terminal(_), .. }) => "spawn-terminal",
        ToHolder::Spawn(Spawn { ends: Ends::Pipes { .. }, .. }) => "spawn-pipes",
        ToHolder::Follow { .. } => "follow",
        ToHolder::Durable { .. } => "durable",
        ToHolder::Input { .. } => "input",
        ToHolder::Resize { .. } => "resize",
        ToHolder::Signal { .. } => "signal",
        ToHolder::Forget { .. } => "forget",
        ToHolder::Shutdown => "shutdown",
    };
    frames.into_iter().map(|frame| (name(&frame), frame)).collect()
}

/// A frame of every kind from the holder.
pub(crate) fn from_holder() -> Vec<(&'static str, FromHolder)> {
    let second = HeldRun { errors: None, size: None, exit: None, ..held_run() };
    let killed = HeldRun { exit: Some(Exit::Signal(9)), ..held_run() };
    let frames = vec![
        FromHolder::Welcome { protocol: 1, pid: 4243, runs: vec![held_run(), second, killed] },
        FromHolder::Spawned(held_run()),
        FromHolder::SpawnFailed { run: RUN, reason: "Permission denied (os error 13)".to_owned() },
        FromHolder::Output { stream: TERMINAL, offset: 70_000, bytes: b"\x1b[31mred\x1b[0m\xff".to_vec() },
        FromHolder::End { stream: TERMINAL, offset: 70_005 },
        FromHolder::Written { stream: TERMINAL, client: CLIENT, id: 300 },
        FromHolder::InputRefused { stream: TERMINAL, client: CLIENT, id: 301, reason: "the queue is full".to_owned() },
        FromHolder::Resized { stream: TERMINAL, size: SIZE, offset: 300 },
        FromHolder::Exited { run: RUN, exit: Exit::Signal(15), offset: 70_005 },
        FromHolder::Signaled { run: RUN, left: 3 },
        FromHolder::Lost { stream: TERMINAL, from: 65_536, to: 131_072, reason: "Input/output error".to_owned() },
    ];
    let name = |frame: &FromHolder| match frame {
        FromHolder::Welcome { .. } => "welcome",
        FromHolder::Spawned(_) => "spawned",
        FromHolder::SpawnFailed { .. } => "spawn_failed",
        FromHolder::Output { .. } => "output",
        FromHolder::End { .. } => "end",
        FromHolder::Written { .. } => "written",
        FromHolder::InputRefused { .. } => "input_refused",
        FromHolder::Resized { .. } => "resized",
        FromHolder::Exited { .. } => "exited",
        FromHolder::Signaled { .. } => "signaled",
        FromHolder::Lost { .. } => "lost",
    };
    frames.into_iter().map(|frame| (name(&frame), frame)).collect()
}

/// A frame of every kind with a terminal's bytes.
pub(crate) fn terminal_frames() -> Vec<(&'static str, TerminalFrame)> {
    let kinds = [
        TerminalFrameKind::Output,
        TerminalFrameKind::Input,
        TerminalFrameKind::InputWritten,
        TerminalFrameKind::Snapshot,
        TerminalFrameKind::SnapshotPart,
    ];
    let name = |kind| match kind {
        TerminalFrameKind::Output => "output",
        TerminalFrameKind::Input => "input",
        TerminalFrameKind::InputWritten => "input_written",
        TerminalFrameKind::Snapshot => "snapshot",
        TerminalFrameKind::SnapshotPart => "snapshot_part",
    };
    let bytes = |kind| if kind == TerminalFrameKind::InputWritten { &b""[..] } else { b"\x1b[Hok\xff\x00" };
    let frame = |kind| TerminalFrame { kind, terminal: TERMINAL, number: 0x0102_0304_0506, bytes: bytes(kind).into() };
    kinds.map(|kind| (name(kind), frame(kind))).into()
}

/// Events as they go over the same-build wire, in two runs.
pub(crate) fn bincode_frame() -> (Vec<(Seq, Vec<u8>)>, Vec<u8>) {
    let records: Vec<_> = events()
        .into_iter()
        .take(3)
        .map(|event| new_event(event.body).encode())
        .zip([Seq(1), Seq(2), Seq(7)])
        .collect();
    let run = |records: &[(Vec<u8>, Seq)]| {
        let bytes = |record: &Vec<u8>| {
            let length = u32::try_from(record.len()).expect("small");
            [&length.to_le_bytes()[..], record].concat()
        };
        records.iter().flat_map(|(record, _)| bytes(record)).collect::<Vec<u8>>()
    };
    let mut bytes = BincodeFrame::begin(0);
    BincodeFrame::push(&mut bytes, Seq(1), &run(&records[..2]));
    BincodeFrame::push(&mut bytes, Seq(7), &run(&records[2..]));
    BincodeFrame::address(&mut bytes, 0x0102_0304);
    (records.into_iter().map(|(record, seq)| (seq, record)).collect(), bytes)
}

pub(crate) fn commands() -> Vec<(&'static str, Command)> {
    let mut commands = vec![
        (
            "session.create",
            Command::SessionCreate {
                name: Some("build".to_owned()),
                workspace: Some("/home/ada/work".to_owned()),
                program: Some(program()),
                size: Some(SIZE),
                agent: None,
            },
        ),
        ("session.create, bare", bare_create(None)),
        ("session.rename", Command::SessionRename { session: SESSION, name: "build-2".to_owned() }),
        ("session.annotate", Command::SessionAnnotate { session: SESSION, text: "a \"remark\" – ☃".to_owned() }),
        ("session.end", Command::SessionEnd { session: SESSION }),
        ("session.delete", Command::SessionDelete { session: SESSION }),
        ("terminal.resize", Command::TerminalResize { session: SESSION, terminal: TERMINAL, size: SIZE }),
    ];
    commands.extend(agents::commands());
    commands.extend(limited::commands());
    commands
}

/// A command that creates a session of which only the program is said.
pub(crate) fn bare_create(program: Option<Program>) -> Command {
    Command::SessionCreate { name: None, workspace: None, program, size: None, agent: None }
}

pub(crate) fn queries() -> Vec<(&'static str, Query)> {
    let mut queries = vec![
        ("sessions.list", Query::SessionsList { after: Some(SESSION), limit: Some(50) }),
        ("sessions.list, bare", Query::SessionsList { after: None, limit: None }),
        ("session.get", Query::SessionGet { reference: "build".to_owned() }),
        ("session.timeline", Query::SessionTimeline { session: SESSION, before: Some(Seq(9)), limit: Some(20) }),
        (
            "events.page",
            Query::EventsPage { session: Some(SESSION), agent: None, after: Seq(9), before: None, limit: Some(20) },
        ),
        (
            "events.page, backwards",
            Query::EventsPage {
                session: Some(SESSION),
                agent: Some(AGENT),
                after: Seq(9),
                before: Some(Seq(300)),
                limit: None,
            },
        ),
        (
            "events.search",
            Query::EventsSearch {
                text: "needle".to_owned(),
                session: Some(SESSION),
                before: Some(Seq(300)),
                limit: Some(20),
            },
        ),
        ("terminal.screen", Query::TerminalScreen { terminal: TERMINAL, scrollback: 100 }),
        ("daemon.info", Query::DaemonInfo {}),
        ("log.stats", Query::LogStats {}),
        ("log.verify", Query::LogVerify {}),
        ("log.record", Query::LogRecord { seq: Seq(9) }),
        ("log.export", Query::LogExport { file: "/home/ada/log.archive".to_owned() }),
    ];
    queries.extend(agents::queries());
    queries.extend(limited::queries());
    queries
}

pub(crate) fn requests() -> Vec<(&'static str, RequestMethod)> {
    let client = ClientInfo { name: "ropewalk-cli".to_owned(), version: "0.1.0".to_owned(), instance: Some(CLIENT) };
    let subscribe = |session, after, log| RequestMethod::Subscribe(SubscribeParams { session, after, log, only: None });
    vec![
        ("hello", RequestMethod::Hello(Hello { client: client.clone(), token: Some("s3cret".to_owned()) })),
        ("hello, bare", RequestMethod::Hello(Hello { client: ClientInfo { instance: None, ..client }, token: None })),
        (
            "command",
            RequestMethod::Command(CommandParams { id: COMMAND, command: Command::SessionEnd { session: SESSION } }),
        ),
        ("query", RequestMethod::Query(Query::LogStats {})),
        ("subscribe", subscribe(Some(SESSION), SubscribeAfter::Seq(Seq(17)), Some(LOG))),
        ("subscribe, snapshot", subscribe(None, SubscribeAfter::SNAPSHOT, None)),
        ("subscribe, now", subscribe(None, SubscribeAfter::NOW, None)),
        ("unsubscribe", RequestMethod::Unsubscribe(UnsubscribeParams { subscription: 3 })),
        (
            "terminal.attach",
            RequestMethod::TerminalAttach(AttachParams {
                terminal: TERMINAL,
                after: Some(70_000),
                size: Some(SIZE),
                view_only: true,
                scrollback: 100,
            }),
        ),
        ("terminal.resize", RequestMethod::TerminalResize(ResizeParams { terminal: TERMINAL, size: SIZE })),
        ("terminal.detach", RequestMethod::TerminalDetach(DetachParams { terminal: TERMINAL })),
        ("daemon.stop", RequestMethod::DaemonStop(StopParams { all: true })),
        (
            "subscribe, facts",
            RequestMethod::Subscribe(SubscribeParams {
                session: None,
                after: SubscribeAfter::NOW,
                log: None,
                only: Some(SubscribeOnly::Facts),
            }),
        ),
    ]
}

pub(crate) fn session_view() -> SessionView {
    SessionView {
        session: SESSION,
        name: Some("build".to_owned()),
        workspace: Some("/home/ada/work".to_owned()),
        created_at: AT,
        status: SessionStatus { state: SessionState::Ended, since: LATER, evidence: Seq(12) },
        end_reason: Some("every program has ended".to_owned()),
        last_seq: Seq(13),
        agents: vec![AgentView {
            end_asked: false,
            agent: AGENT,
            provider: "terminal".to_owned(),
            argv: program().argv,
            run: RUN,
            terminal: TERMINAL,
            pid: Some(4711),
            start_ticks: Some(1_234_567_890_123),
            outcome: Some(RunOutcome::Exited { code: 1 }),
            failure: Some("it failed once".to_owned()),
            structured: None,
        }],
        terminals: vec![TerminalView {
            terminal: TERMINAL,
            first_size: Size::DEFAULT,
            size: SIZE,
            closed_at: Some(70_000),
        }],
    }
}

/// A session of structured agents.
pub(crate) fn agents_session_view() -> SessionView {
    SessionView { agents: vec![agents::view(), agents::bare_view()], terminals: Vec::new(), ..session_view() }
}

pub(crate) fn bare_session_view() -> SessionView {
    SessionView {
        session: OTHER_SESSION,
        name: None,
        workspace: None,
        created_at: AT,
        status: SessionStatus { state: SessionState::Empty, since: AT, evidence: Seq(1) },
        end_reason: None,
        last_seq: Seq(1),
        agents: Vec::new(),
        terminals: Vec::new(),
    }
}

pub(crate) fn daemon_info() -> DaemonInfo {
    DaemonInfo {
        version: "0.1.0".to_owned(),
        build: "61c42e4".to_owned(),
        pid: 4242,
        holder_pid: Some(4243),
        holder_answers: None,
    }
}

pub(crate) fn welcome() -> Welcome {
    Welcome {
        machine: MACHINE,
        daemon: daemon_info(),
        log: LogInfo { id: LOG, head: Seq(300) },
        limits: LimitsInfo {
            frame_bytes_max: limits::FRAME_BYTES_MAX as u64,
            subscriptions_max: limits::SUBSCRIPTIONS_MAX as u64,
            attachments_max: limits::ATTACHMENTS_MAX as u64,
            requests_in_flight_max: limits::REQUESTS_IN_FLIGHT_MAX as u64,
        },
        protocol: PROTOCOL_VERSION,
    }
}

fn record_view() -> RecordView {
    let chunk = ChunkView {
        first: Seq(3),
        last: Seq(5),
        bytes: 900,
        checksum: "01020304".to_owned(),
        hash: "00ff".to_owned(),
        previous: "ff00".to_owned(),
    };
    let receipt = ReceiptView {
        command: COMMAND,
        seq: Seq(5),
        result: Some(CommandResult::Done {}),
        refused: Some(Rejection::new(Code::NotFound, "there is no such thing")),
    };
    let event = events().remove(0);
    RecordView { event, kind: 1, bytes: 400, chunk, volume: Seq(2), receipt: Some(receipt) }
}

pub(crate) fn query_results() -> Vec<(&'static str, QueryResult)> {
    let damage = DamageView {
        place: "output".to_owned(),
        from: 100,
        to: 199,
        terminal: Some(TERMINAL),
        reason: "no row holds these bytes".to_owned(),
    };
    let mut results = vec![
        ("sessions", QueryResult::Sessions { sessions: vec![session_view(), bare_session_view()], more: true }),
        ("session", QueryResult::Session { session: session_view() }),
        ("session, of agents", QueryResult::Session { session: agents_session_view() }),
        (
            "timeline",
            QueryResult::Timeline {
                entries: vec![TimelineEntry { seq: Seq(3), at: AT, text: "it was renamed".to_owned() }],
                more: false,
            },
        ),
        ("events", QueryResult::Events { events: events(), more: true, gaps: Vec::new(), next: None }),
        (
            "events, with a gap",
            QueryResult::Events {
                events: Vec::new(),
                more: true,
                gaps: vec![EventGap { from: Seq(5), to: Seq(7), reason: GapReason::Damaged }],
                next: Some(Seq(4)),
            },
        ),
        (
            "found",
            QueryResult::Found {
                hits: vec![SearchHit {
                    session: SESSION,
                    agent: Some(AGENT),
                    seq: Seq(250),
                    at: AT,
                    item: Some(agents::ITEM),
                    turn: Some(agents::TURN),
                    excerpt: "hay and a needle".to_owned(),
                }],
                reached: Seq(200),
                more: true,
                gaps: vec![EventGap { from: Seq(210), to: Seq(220), reason: GapReason::Damaged }],
            },
        ),
        (
            "screen",
            QueryResult::Screen {
                offset: 70_000,
                size: SIZE,
                cursor_col: 3,
                cursor_row: 4,
                title: "vim".to_owned(),
                alternate: true,
                lines: vec!["$ ls".to_owned(), String::new()],
            },
        ),
        ("daemon", QueryResult::Daemon { daemon: daemon_info() }),
        (
            "log_stats",
            QueryResult::LogStats {
                stats: LogStats {
                    head: Seq(300),
                    volumes: 2,
                    disk_bytes: 3,
                    free_bytes: 4,
                    commits: 5,
                    batches: 6,
                    degraded: Some("no space left".to_owned()),
                    aside: 7,
                },
            },
        ),
        (
            "log_verify",
            QueryResult::LogVerify {
                report: VerifyReport {
                    intact: false,
                    head: Seq(300),
                    events: 1,
                    chunks: 2,
                    volumes: 3,
                    receipts: 4,
                    output_bytes: 5,
                    terminals: 6,
                    chain: "00ff".to_owned(),
                    digests: vec![("sessions".to_owned(), "abcd".to_owned())],
                    damage: vec![
                        damage.clone(),
                        DamageView { terminal: None, place: "events".to_owned(), ..damage.clone() },
                    ],
                    aside: vec!["v-00000000000000000001/wal-0.unreadable-1".to_owned()],
                },
            },
        ),
        (
            "log_export",
            QueryResult::LogExport {
                report: ArchiveReport {
                    whole: false,
                    log: LOG,
                    head: Seq(300),
                    hash: "0f".to_owned(),
                    volumes: 1,
                    chunks: 2,
                    events: 3,
                    receipts: 4,
                    output_bytes: 5,
                    digest: "f0".to_owned(),
                    damage: vec![damage],
                },
            },
        ),
        ("log_record", QueryResult::LogRecord { record: Box::new(record_view()) }),
    ];
    results.extend(agents::query_results());
    results.extend(limited::query_results());
    results
}

pub(crate) fn command_results() -> Vec<(&'static str, CommandResult)> {
    let mut results = vec![
        ("done", CommandResult::Done {}),
        (
            "session.created",
            CommandResult::SessionCreated { session: SESSION, agent: Some(AGENT), terminal: Some(TERMINAL) },
        ),
        ("session.created, bare", CommandResult::SessionCreated { session: SESSION, agent: None, terminal: None }),
    ];
    results.extend(agents::command_results());
    results
}

pub(crate) fn notifications() -> Vec<(&'static str, Notification)> {
    let gap = |reason| Notification::Gap(GapFrame { subscription: 3, from: Seq(5), to: Seq(9), reason });
    let state = StateSnapshot { sessions: vec![session_view(), bare_session_view()] };
    vec![
        ("snapshot", Notification::Snapshot(SnapshotFrame { subscription: 3, at: Seq(300), state, more: true })),
        ("events", Notification::Events(EventsFrame { subscription: 3, events: events() })),
        ("live", Notification::Live(LiveFrame { subscription: 3, seq: Seq(300) })),
        ("gap, damaged", gap(GapReason::Damaged)),
        ("gap, removed", gap(GapReason::Removed)),
        ("gap, lagged", gap(GapReason::Lagged)),
        ("ping", Notification::Ping(PingFrame { head: Seq(300) })),
        (
            "terminal.gap",
            Notification::TerminalGap(TerminalGapFrame {
                terminal: TERMINAL,
                from: 100,
                to: 200,
                reason: GapReason::Damaged,
            }),
        ),
        ("terminal.end", Notification::TerminalEnd(TerminalEndFrame { terminal: TERMINAL, offset: 70_000 })),
        (
            "failed",
            Notification::Failed(FailedFrame {
                subscription: 3,
                error: Rejection::new(Code::StorageFailed, "the disk failed").into(),
            }),
        ),
        (
            "terminal.failed",
            Notification::TerminalFailed(TerminalFailedFrame {
                terminal: TERMINAL,
                error: Rejection::new(Code::Unreadable, "no screen can be drawn").into(),
            }),
        ),
        (
            "refused",
            Notification::Refused(RefusedFrame {
                terminal: Some(TERMINAL),
                error: Rejection::new(Code::NotAttached, "not attached").into(),
            }),
        ),
        (
            "refused, of no terminal",
            Notification::Refused(RefusedFrame {
                terminal: None,
                error: Rejection::new(Code::InvalidParams, "no frame").into(),
            }),
        ),
    ]
}

/// A refusal with every code.
pub(crate) fn rejections() -> Vec<(String, Rejection)> {
    let rejection = |code: &Code| Rejection {
        seq: Some(Seq(300)),
        matches: vec!["build".to_owned(), "burn".to_owned()],
        ..Rejection::new(*code, format!("it was refused as {}", code.name()))
    };
    Code::ALL.iter().map(|code| (code.name(), rejection(code))).collect()
}

pub(crate) fn environment() -> BTreeMap<String, String> {
    program().environment
}
