//! The signals that concern a program with a terminal.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

const SIGTSTP: i32 = 20;
const SIGCONT: i32 = 18;

/// What a signal means here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// The window has another size.
    Resized,
    /// To stop, as by `kill -TSTP`: ctrl-Z is a key like others.
    Stop,
    /// It was stopped, and goes on.
    GoOn,
    /// To end, by this signal.
    End(u8),
}

/// The signals, from when they are listened to.
#[derive(Debug)]
pub struct Signals {
    window: Signal,
    stop: Signal,
    go_on: Signal,
    terminate: Signal,
    hang_up: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Listens to them. From now on they do nothing by themselves.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            window: signal(SignalKind::window_change())?,
            stop: signal(SignalKind::from_raw(SIGTSTP))?,
            go_on: signal(SignalKind::from_raw(SIGCONT))?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// The next one. Nothing is lost if this is dropped before.
    pub async fn next(&mut self) -> Told {
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

#[cfg(test)]
mod tests {
    use rustix::process::{Signal as Kind, getpid, kill_process};

    use super::*;

    #[test]
    fn a_signal_is_told_of_and_does_nothing_else() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        runtime.block_on(async {
            let mut signals = Signals::listen().unwrap();
            for (signal, told) in [
                (Kind::WINCH, Told::Resized),
                (Kind::TSTP, Told::Stop),
                (Kind::CONT, Told::GoOn),
                (Kind::TERM, Told::End(15)),
                (Kind::HUP, Told::End(1)),
                (Kind::INT, Told::End(2)),
            ] {
                kill_process(getpid(), signal).unwrap();
                assert_eq!(signals.next().await, told);
            }
        });
    }
}
