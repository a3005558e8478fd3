//! The signals that concern an attached terminal.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

const SIGTSTP: i32 = 20;
const SIGCONT: i32 = 18;

/// What a signal means here.
pub(super) enum Told {
    /// The window has another size.
    Resized,
    /// To stop, as by `kill -TSTP`: ctrl-Z is a key of the program's.
    Stop,
    /// It was stopped, and goes on.
    GoOn,
    /// To end, by this signal.
    End(u8),
}

pub(super) struct Signals {
    window: Signal,
    stop: Signal,
    go_on: Signal,
    terminate: Signal,
    hang_up: Signal,
    interrupt: Signal,
}

impl Signals {
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self {
            window: signal(SignalKind::window_change())?,
            stop: signal(SignalKind::from_raw(SIGTSTP))?,
            go_on: signal(SignalKind::from_raw(SIGCONT))?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// The next one.
    pub(super) async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.window.recv() => Told::Resized,
            _ = self.stop.recv() => Told::Stop,
            _ = self.go_on.recv() => Told::GoOn,
            _ = self.terminate.recv() => Told::End(15),
            _ = self.hang_up.recv() => Told::End(1),
            _ = self.interrupt.recv() => Told::End(2),
        }
    }
}
