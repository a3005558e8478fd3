//! The words between the daemon and the holder: frames on a Unix socket, `u32 LE length | bincode`.
//!
//! A holder outlives daemons, so it may be of an older build than the daemon that finds it, or of a newer one: variants are
//! only ever added, at the end, `Hello` and `Welcome` carry the version, and what came with a later one is not said to a
//! daemon of an earlier one. Nothing here is an event: the holder knows processes and bytes.

pub mod wire;

use serde::{Deserialize, Serialize};

use crate::{ClientId, Program, RunId, SessionId, Size, TerminalId};

/// The version of these words.
pub const HOLDER_PROTOCOL: u16 = 2;

/// The oldest version that is still spoken.
pub const HOLDER_PROTOCOL_OLDEST: u16 = 1;

/// The version that `FromHolder::Lost` came with.
pub const HOLDER_PROTOCOL_LOST: u16 = 2;

/// What kind of ends the process gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ends {
    /// A pseudo-terminal of this size: one stream, both ways.
    Terminal(Size),
    /// Plain pipes: stdin, and stdout as the stream; stderr as a stream of its own under this id.
    Pipes {
        /// The id of the error stream.
        errors: TerminalId,
    },
}

/// A process to start. Asking twice for the same run starts it once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spawn {
    /// The run; the holder knows the process by it.
    pub run: RunId,
    /// The session, for `ROPEWALK_SESSION` in the process's environment.
    pub session: SessionId,
    /// The byte stream.
    pub stream: TerminalId,
    /// What to run.
    pub program: Program,
    /// On what.
    pub ends: Ends,
}

/// From the daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToHolder {
    /// The first frame. Answered with `Welcome`. A newer connection takes the place of an older one.
    Hello {
        /// The version the daemon speaks.
        protocol: u16,
    },
    /// Starts a process. Answered with `Spawned` or `SpawnFailed`.
    Spawn(Spawn),
    /// Sends the stream's bytes from this offset on. Everything before it is durable and may be forgotten.
    Follow {
        /// The stream.
        stream: TerminalId,
        /// The first byte wanted.
        from: u64,
    },
    /// Bytes before this offset are on stable storage; the holder may forget them and send as many more.
    Durable {
        /// The stream.
        stream: TerminalId,
        /// The first byte that is not.
        offset: u64,
    },
    /// Writes to the process. Answered with `Written` once the whole of it is written; an id at or below the last one
    /// written for this client is answered and not written again.
    Input {
        /// The stream.
        stream: TerminalId,
        /// Whose ids.
        client: ClientId,
        /// Rises by any step.
        id: u64,
        /// The bytes.
        #[serde(with = "crate::byte_vec")]
        bytes: Vec<u8>,
    },
    /// Changes a terminal's size. Answered with `Resized`; the same size again is not passed on, but answered.
    Resize {
        /// The stream.
        stream: TerminalId,
        /// The new size.
        size: Size,
    },
    /// Sends a signal to the process's whole session: every process group in it, and what carries its run's mark. Answered
    /// with `Signaled`.
    Signal {
        /// The run.
        run: RunId,
        /// The signal's number; 0 sends none, and only counts.
        signal: i32,
    },
    /// The end of this run is durable; the holder may forget it.
    Forget {
        /// The run.
        run: RunId,
    },
    /// Ends every process (SIGHUP, then SIGKILL) and leaves.
    Shutdown,
}

/// How a process ended, as the operating system told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Exit {
    /// With this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

/// A run the holder knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldRun {
    /// The run.
    pub run: RunId,
    /// Its session.
    pub session: SessionId,
    /// Its stream.
    pub stream: TerminalId,
    /// Its error stream, if it has pipes.
    pub errors: Option<TerminalId>,
    /// The process.
    pub pid: u32,
    /// When it started, in clock ticks after boot.
    pub start_ticks: u64,
    /// The offset of the first byte the holder still has.
    pub kept_from: u64,
    /// The offset after the last byte read.
    pub end: u64,
    /// The terminal's size.
    pub size: Option<Size>,
    /// How it ended, if it has.
    pub exit: Option<Exit>,
}

/// From the holder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromHolder {
    /// The answer to `Hello`.
    Welcome {
        /// The version the holder speaks with this daemon: no later one than the daemon's.
        protocol: u16,
        /// Its process id.
        pid: u32,
        /// What it holds.
        runs: Vec<HeldRun>,
    },
    /// The process runs, or ran already.
    Spawned(HeldRun),
    /// The process could not be started.
    SpawnFailed {
        /// The run.
        run: RunId,
        /// What the operating system said.
        reason: String,
    },
    /// Bytes of a stream.
    Output {
        /// The stream.
        stream: TerminalId,
        /// The offset of the first byte.
        offset: u64,
        /// The bytes.
        #[serde(with = "crate::byte_vec")]
        bytes: Vec<u8>,
    },
    /// The stream is complete: no byte at or after this offset will come.
    End {
        /// The stream.
        stream: TerminalId,
        /// How many bytes it has in all.
        offset: u64,
    },
    /// Input up to this id was written.
    Written {
        /// The stream.
        stream: TerminalId,
        /// Whose ids.
        client: ClientId,
        /// The last one written.
        id: u64,
    },
    /// Input was not written, and will not be.
    InputRefused {
        /// The stream.
        stream: TerminalId,
        /// Whose ids.
        client: ClientId,
        /// Which.
        id: u64,
        /// Why.
        reason: String,
    },
    /// The terminal has this size from this offset on.
    Resized {
        /// The stream.
        stream: TerminalId,
        /// The size.
        size: Size,
        /// The offset.
        offset: u64,
    },
    /// The process ended. Sent again to each daemon until it says `Forget`.
    Exited {
        /// The run.
        run: RunId,
        /// How.
        exit: Exit,
        /// The offset after the last byte read when it was seen.
        offset: u64,
    },
    /// What is left of a run, after a signal was sent to it.
    Signaled {
        /// The run.
        run: RunId,
        /// Processes that live at this moment; one that was just killed may still count.
        left: u32,
    },
    /// These bytes of a stream will never come: the holder cannot read what it kept of them. What comes next is behind them.
    Lost {
        /// The stream.
        stream: TerminalId,
        /// The offset of the first byte.
        from: u64,
        /// The offset after the last one.
        to: u64,
        /// What the disk said, or what is wrong with what it gave.
        reason: String,
    },
}
