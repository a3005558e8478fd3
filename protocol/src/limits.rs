//! Every bound, with its unit in its name and its reason above it. `docs/limits.md` is generated from this file.

macro_rules! limits {
    ($($(#[doc = $doc:literal])* $name:ident: $type:ty = $value:expr;)*) => {
        $($(#[doc = $doc])* pub const $name: $type = $value;)*

        /// Every bound: its name, its value and its reason.
        pub const ALL: &[(&str, u64, &str)] = &[$((stringify!($name), $value as u64, concat!($($doc),*)),)*];
    };
}

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

limits! {
    /// A frame on the wire, either way. Larger than any stored chunk; small enough that a connection's buffers stay small.
    FRAME_BYTES_MAX: usize = MIB;
    /// What one decode may ask for. No frame or record is larger.
    CODEC_BYTES_MAX: usize = 4 * MIB;
    /// A stored value. sled keeps 16 values in a leaf and moves a leaf over a quarter of a 4 MiB segment into a file that no sync covers.
    STORED_VALUE_BYTES_MAX: usize = 56 * KIB;
    /// One event's stored record: a chunk must hold it with its header.
    EVENT_BYTES_MAX: usize = 40 * KIB;
    /// The records of one commit, before compression. With its header a chunk stays below a stored value's bound.
    CHUNK_RECORD_BYTES_MAX: usize = 48 * KIB;
    /// Events of one commit. The first of them is answered with the last one; a chunk is read and checked as a whole.
    COMMIT_EVENTS_MAX: usize = 256;
    /// Each of the two files of a volume's write-ahead log: a file is read from memory, and again after a crash, until its
    /// rows are in the database. So many commits share one sync of the database that it costs them little.
    WAL_FILE_BYTES: usize = MIB;
    /// What is read of such a file: far above what a commit takes that fits into no file and has one of its own size. One that
    /// is longer is put aside with what is behind this.
    WAL_READ_BYTES_MAX: u64 = 64 * MIB as u64;
    /// Rows of a volume's write-ahead log that a scan copies at a time: between two such parts they may go on into the
    /// database.
    WAL_SCAN_ROWS: usize = 64;
    /// Bytes that sled writes into a volume's database between two syncs, about: half of one of its segments, so that no
    /// segment is written again before what was moved out of it is durable.
    UNSYNCED_BYTES_MAX: usize = 2 * MIB;
    /// Milliseconds the log's writer waits for the disk before appends are refused. Far above a busy disk and what a kernel
    /// retries by itself; below the 30 s after which people and programs give a command up.
    COMMIT_MILLIS_MAX: u64 = 20_000;
    /// Terminal bytes of one commit, before compression. Keeps a commit near 10 ms on a slow disk.
    COMMIT_OUTPUT_BYTES_MAX: usize = MIB;
    /// Actors' states of one commit. Each may be as large as a stored value.
    COMMIT_SNAPSHOTS_MAX: usize = 8;
    /// Terminal bytes of one stored row, before compression.
    OUTPUT_ROW_BYTES_MAX: usize = 48 * KIB;
    /// Entries of one block of an archive, before compression: when it has so many bytes it is written.
    ARCHIVE_BLOCK_BYTES: usize = 256 * KIB;
    /// A block of an archive, before compression: a full one and the entry that filled it.
    ARCHIVE_BLOCK_BYTES_MAX: usize = 320 * KIB;
    /// Rows of a volume copied at a time when all of it is read: a volume that is to be opened again waits for so many.
    SCAN_BYTES: usize = 256 * KIB;
    /// Batches that wait for the log's writer. A full queue refuses commands with `busy`.
    WRITER_QUEUE_BATCHES_MAX: usize = 4096;
    /// A volume of the log: the part of memory that sled's cache cannot give back is bounded by it.
    VOLUME_BYTES_MAX: usize = 64 * MIB;
    /// Attempts, 200 ms apart, to open a volume again that the disk does not read, before it is given up: then what it holds
    /// is a gap until the next start.
    REOPEN_ATTEMPTS_MAX: u32 = 10;
    /// Sealed volumes open at once, each some 40 MiB resident while it is read.
    SEALED_VOLUMES_OPEN_MAX: usize = 2;
    /// Recent events kept in memory for subscribers that are nearly caught up.
    TAIL_BYTES_MAX: usize = 4 * MIB;
    /// Ids of recent commands kept in memory, so that a new command costs no read.
    RECENT_COMMANDS_MAX: usize = 16 * KIB;
    /// A page of events read for one subscriber at a time.
    PAGE_BYTES_MAX: usize = 256 * KIB;
    /// Pages read ahead for one subscriber while the one before them is sent: one that waits for its turn, one that is read.
    READ_AHEAD_PAGES_MAX: usize = 2;
    /// Subscribers for whom there may be more than one page: a page each is what all of them cost more than a cursor.
    SUBSCRIBERS_AHEAD_MAX: usize = 32;
    /// Of those, whose reader waits for room on a thread of the daemon's sixteen.
    READERS_WAITING_MAX: usize = 4;
    /// Events in one page of a query.
    PAGE_EVENTS_MAX: usize = 1000;
    /// Pages of the log that one page of a query is made of at most: of a session of many agents one may have said little.
    /// What was found so far is answered then, with the place where to go on.
    QUERY_PAGES_MAX: usize = 16;
    /// Pages of the log that one search looks through: some 8 MiB, a tenth of a second at most.
    SEARCH_PAGES_MAX: usize = 32;
    /// Places that one search finds: more than a person looks at.
    SEARCH_HITS_MAX: usize = 200;
    /// What is searched for.
    SEARCH_TEXT_BYTES_MAX: usize = 256;
    /// Sessions in one page of a query or in one snapshot frame.
    PAGE_SESSIONS_MAX: usize = 500;
    /// Commands that caused events and whose receipts a check of the log looks for at a time, some 4 MiB: with more in a volume
    /// its receipts are read once more for each so many.
    CHECK_COMMANDS_MAX: usize = 64 * KIB;
    /// Damaged ranges one check of the log lists.
    DAMAGE_RANGES_MAX: usize = 1000;
    /// Commands waiting in one actor's mailbox. A full mailbox answers `busy`.
    MAILBOX_COMMANDS_MAX: usize = 256;
    /// Events of a session after which its actors' states are kept: what an actor reads at most, about, when it wakes.
    SNAPSHOT_EVENTS: usize = 1024;
    /// Actors awake and idle. The one idle longest is put to sleep first.
    ACTORS_AWAKE_MAX: usize = 256;
    /// Milliseconds an idle actor stays awake.
    ACTOR_IDLE_MILLIS_MAX: u64 = 10_000;
    /// Requests of one connection that wait for an answer. Then the connection is not read until one is answered.
    REQUESTS_IN_FLIGHT_MAX: usize = 256;
    /// Input frames of one connection that are not written yet: as many as one terminal's queue can hold. More are refused
    /// with `input_refused`, and the connection is read on, because a program may take as long as it likes to read.
    INPUT_FRAMES_IN_FLIGHT_MAX: usize = 16 * KIB;
    /// Milliseconds between two words of how far a subscription of facts is, while only what it leaves out happens: what came
    /// since the last one is read again after a cut.
    LIVE_MARK_MILLIS: u64 = 500;
    /// Subscriptions of one connection.
    SUBSCRIPTIONS_MAX: usize = 64;
    /// Terminals one connection is attached to.
    ATTACHMENTS_MAX: usize = 64;
    /// Connections to the daemon, counted from accept on. Each costs a file descriptor and some 40 KiB.
    CONNECTIONS_MAX: usize = 512;
    /// Connections over that bound which are still told so. More are closed at once.
    CONNECTIONS_TURNED_AWAY_MAX: usize = 16;
    /// TCP connections that have not shown the token: any user of the machine can open them. More are closed at once.
    CONNECTIONS_UNPROVEN_MAX: usize = 64;
    /// Answers and frames that wait to be written to one connection. Bulk is pulled, never queued.
    SEND_QUEUE_FRAMES_MAX: usize = 512;
    /// What one read of a connection may take. The buffer is cleared before each read, so a larger one costs every keystroke.
    READ_BUFFER_BYTES: usize = 8 * KIB;
    /// Milliseconds between heartbeats on a connection that is silent.
    HEARTBEAT_MILLIS: u64 = 15_000;
    /// Milliseconds without any frame after which a connection is given up: two heartbeats and some air.
    SILENCE_MILLIS_MAX: u64 = 40_000;
    /// Milliseconds a new connection has to send its request and become a WebSocket. Plain HTTP is over by then too.
    UPGRADE_MILLIS_MAX: u64 = 10_000;
    /// Milliseconds a new WebSocket has to say hello.
    HELLO_MILLIS_MAX: u64 = 10_000;
    /// Milliseconds one write to a peer that reads nothing may take before the connection is given up.
    WRITE_STALL_MILLIS_MAX: u64 = 600_000;
    /// A session's name.
    NAME_BYTES_MAX: usize = 64;
    /// A path: what Linux accepts.
    PATH_BYTES_MAX: usize = 4096;
    /// A remark in a session's history.
    ANNOTATION_BYTES_MAX: usize = 32 * KIB;
    /// A program's arguments. They are stored in one event.
    PROGRAM_ARGV_BYTES_MAX: usize = 24 * KIB;
    /// A program's arguments, counted: each takes a few bytes besides its text.
    PROGRAM_ARGV_ITEMS_MAX: usize = 1024;
    /// A program's environment. It is passed on and never stored.
    PROGRAM_ENVIRONMENT_BYTES_MAX: usize = 512 * KIB;
    /// A terminal's columns or rows.
    TERMINAL_SIDE_CELLS_MAX: u16 = 1000;
    /// Lines a screen keeps above its first row.
    SCROLLBACK_LINES_MAX: usize = 10_000;
    /// What those lines may take.
    SCROLLBACK_BYTES_MAX: usize = 4 * MIB;
    /// A title, or any other string a program sends to its terminal.
    TERMINAL_STRING_BYTES_MAX: usize = 4096;
    /// An escape sequence that has not ended, as far as a snapshot must repeat it.
    TERMINAL_PENDING_BYTES_MAX: usize = 8 * KIB;
    /// One input frame to a terminal.
    INPUT_FRAME_BYTES_MAX: usize = 64 * KIB;
    /// Input a program has not read yet; each frame counts 64 bytes besides its own. More is refused with `input_refused`.
    INPUT_QUEUE_BYTES_MAX: usize = MIB;
    /// Clients whose last input id the holder remembers for one stream. The one silent longest is forgotten first.
    INPUT_CLIENTS_MAX: usize = 64;
    /// Bytes of one stream that the holder sends before the daemon says that some are durable, and that it keeps while bytes
    /// become durable: then a program that is faster than the disk waits.
    HOLDER_WINDOW_BYTES_MAX: usize = 4 * MIB;
    /// Milliseconds without a word from the daemon that bytes are durable, after which a program that waits goes on into the
    /// spool. Far above the slowest commit of a disk that works, and short enough that nobody takes a program for hung.
    HOLDER_PATIENCE_MILLIS: u64 = 2000;
    /// Bytes of one stream in the holder's memory; the rest goes to a spool file.
    HOLDER_MEMORY_BYTES_MAX: usize = MIB;
    /// Bytes of one stream in the holder's spool file; then it stops reading, so that the program waits.
    HOLDER_SPOOL_BYTES_MAX: u64 = 1024 * 1024 * 1024;
    /// Bytes of a spool file under one checksum, which is in the holder's memory (8 bytes for each): what is damaged is lost
    /// in pieces of this. As much as one frame to the daemon has, so that most reads are of one whole block.
    HOLDER_SPOOL_BLOCK_BYTES: usize = 64 * KIB;
    /// Milliseconds for which a spool that the disk does not read is tried again, each second, before what cannot be read is
    /// given up and told as lost. Longer than a disk tries by itself, or than one that comes back needs.
    HOLDER_SPOOL_PATIENCE_MILLIS: u64 = 60_000;
    /// Bytes that wait to be written to the daemon. Then no stream is read for it until some are taken.
    HOLDER_SEND_BYTES_MAX: usize = 4 * MIB;
    /// Input and programs with their environments that wait to be written to the holder, which may be stopped: that of a few
    /// terminals, and many programs. More is refused with `busy`.
    HOLDER_LINE_BYTES_MAX: usize = 8 * MIB;
    /// Milliseconds after which terminal bytes are stored, however few they are. The holder keeps them until then.
    OUTPUT_STORE_DELAY_MILLIS: u64 = 200;
    /// Terminal bytes that are stored at once, however young they are.
    OUTPUT_STORE_BYTES: usize = 256 * KIB;
    /// Recent bytes of one terminal kept in memory for attached clients; a slower one is served from the log.
    LANE_BYTES_MAX: usize = 2 * MIB;
    /// Bytes a client that asked for the screen may fall behind before it gets a new screen instead.
    ATTACH_LAG_BYTES_MAX: u64 = 4 * 1024 * 1024;
    /// Bytes of terminals that wait to be drawn onto the screens' models. Then no stream is read until some are.
    SCREEN_QUEUE_BYTES_MAX: usize = 4 * MIB;
    /// Milliseconds from SIGHUP to SIGTERM, and from SIGTERM to SIGKILL, when a session is ended.
    END_GRACE_MILLIS: u64 = 3000;
    /// Milliseconds `ropewalk end` waits for the end: the graces of a program and of what it leaves behind, and some air.
    END_WAIT_MILLIS_MAX: u64 = 20_000;
    /// Milliseconds a home's lock is waited for whose process is gone: its threads may still be on their way out of the disk.
    LOCK_LEFT_MILLIS_MAX: u64 = 5000;
    /// Milliseconds a daemon that stops has to keep checkpoints and to close the log: what a commit may take, and some air.
    /// Then its process ends as it is.
    STOP_MILLIS_MAX: u64 = 25_000;
    /// A prompt. It is stored in one event, the first one together with what says of its agent.
    PROMPT_BYTES_MAX: usize = 30 * KIB;
    /// The program of a structured agent and its first arguments, where somebody names them. They are stored in one event.
    AGENT_COMMAND_BYTES_MAX: usize = 2 * KIB;
    /// Rules of one session or directory: more than anyone reads.
    RULES_MAX: usize = 100;
    /// The pattern of a rule.
    RULE_BYTES_MAX: usize = 512;
    /// All rules of one session or directory. They are stored in one event.
    RULES_BYTES_MAX: usize = 8 * KIB;
    /// Directories with rules, all in one answer.
    WORKSPACES_RULED_MAX: usize = 32;
    /// Identical calls of a tool, one after another and all with the same result, after which an agent goes round in circles.
    LOOP_CALLS: usize = 5;
    /// Milliseconds an agent is held whose model's server refuses more and does not say until when; twice as long each time.
    LIMIT_PAUSE_MILLIS: u64 = 60_000;
    /// The longest of these pauses, in milliseconds.
    LIMIT_PAUSE_MILLIS_MAX: u64 = 3_600_000;
    /// Prompts that wait for one agent: more than anyone reads.
    PROMPTS_QUEUED_MAX: usize = 100;
    /// An answer to an agent.
    ANSWER_BYTES_MAX: usize = 16 * KIB;
    /// A name of something of an agent's: its provider, its model, its mode, an option.
    AGENT_WORD_BYTES_MAX: usize = 256;
    /// Agents of one session.
    AGENTS_MAX: usize = 64;
    /// A line that a structured agent writes: a tool's result with a picture in it. A longer one is passed over, and said.
    AGENT_LINE_BYTES_MAX: usize = 16 * MIB;
    /// What is gathered of a line that has not ended. A longer one is read again once it has.
    AGENT_LINE_BYTES: usize = 256 * KIB;
    /// One piece of an item's text in an event.
    ITEM_PIECE_BYTES_MAX: usize = 8 * KIB;
    /// A title of an item or of a question.
    ITEM_TITLE_BYTES_MAX: usize = 512;
    /// What a tool is called with, or what a question is about, in an event; the rest is in the run's output.
    ITEM_INPUT_BYTES_MAX: usize = 16 * KIB;
    /// An item's whole text. What is beyond is in the run's output only.
    ITEM_TEXT_BYTES_MAX: usize = MIB;
    /// What one batch takes in of what an agent wrote: with its ends, it fits into a commit.
    OBSERVED_BYTES_MAX: usize = 20 * KIB;
    /// The same, counted: each makes an event or two.
    OBSERVED_ITEMS_MAX: usize = 32;
    /// One part of what is written to an agent: as much as fits into a holder's queue beside another's.
    AGENT_WRITE_BYTES_MAX: usize = 256 * KIB;
    /// Items of one agent that are open at once. More are not told apart.
    ITEMS_OPEN_MAX: usize = 100;
    /// Questions of one agent that are open at once.
    ASKS_OPEN_MAX: usize = 32;
    /// Milliseconds between two batches that hold nothing but previews of text: what an eye can follow.
    DELTA_MILLIS: u64 = 100;
    /// Milliseconds an agent has to end a turn that it was asked to cancel, and then after SIGINT; the next signals follow
    /// as when a session is ended.
    CANCEL_GRACE_MILLIS: u64 = 5000;
    /// Milliseconds an agent may live on after it closed its output.
    AGENT_LINGER_MILLIS: u64 = 3000;
    /// Milliseconds a child of an agent's may keep the output open after the agent's end, which is told then: what it left
    /// behind is ended with it, and the status is to be true within a second.
    AGENT_CHILD_MILLIS: u64 = 500;
    /// Milliseconds without a word from an agent in a turn, with no question open, after which it counts as stalled.
    STALL_MILLIS: u64 = 120_000;
    /// A line that an MCP client writes to the server that it has of ours: a call with a prompt in it.
    MCP_LINE_BYTES_MAX: usize = MIB;
    /// Calls of one MCP server that are carried out at once. More are refused with `busy`.
    MCP_CALLS_MAX: usize = 16;
    /// What a tool of the MCP server answers of what another agent said: what fits well into a model's context.
    MCP_ANSWER_BYTES_MAX: usize = 32 * KIB;
    /// Turns that a tool of the MCP server reads at once.
    MCP_TURNS_MAX: usize = 50;
    /// Milliseconds a tool of the MCP server waits for an agent where nobody says how long.
    MCP_WAIT_MILLIS: u64 = 60_000;
    /// The longest such wait, in milliseconds.
    MCP_WAIT_MILLIS_MAX: u64 = 600_000;
    /// Bytes kept free by a file that is given up when the disk is full, so that the log can be opened and closed.
    BALLAST_BYTES: u64 = 8 * 1024 * 1024;
}
