//! A holder in a thread and a daemon's end of its socket. Reads block until a frame comes; nothing sleeps.

#![allow(dead_code, unreachable_pub, missing_docs, reason = "each test binary uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ropewalk_holder::{Config, HolderError, OwnSignals};
use ropewalk_protocol::holder::{Ends, Exit, FromHolder, HOLDER_PROTOCOL, HeldRun, Spawn, ToHolder, wire};
use ropewalk_protocol::{ClientId, Program, RunId, SessionId, Size, TerminalId};

pub const SIZE: Size = Size { cols: 80, rows: 24 };
pub const STREAM: TerminalId = TerminalId::from_bytes([2; 16]);
pub const ERRORS: TerminalId = TerminalId::from_bytes([3; 16]);
pub const CLIENT: ClientId = ClientId::from_bytes([4; 16]);

/// A run of this process: runs are told apart by their marks, also from those of a test that runs elsewhere.
pub fn run(number: u8) -> RunId {
    let mut bytes = [number; 16];
    bytes[..4].copy_from_slice(&std::process::id().to_be_bytes());
    RunId::from_bytes(bytes)
}

/// A holder takes in orphans and reaps them: two in one process would reap each other's.
static ONE: Mutex<()> = Mutex::new(());

static COUNT: AtomicUsize = AtomicUsize::new(0);

pub struct Holder {
    pub config: Config,
    directory: PathBuf,
    thread: Option<JoinHandle<Result<(), HolderError>>>,
    _one: MutexGuard<'static, ()>,
}

impl Holder {
    /// A holder that never runs out of patience with a daemon.
    pub fn start() -> Self {
        Self::start_with(Duration::from_secs(3600))
    }

    pub fn start_with(patience: Duration) -> Self {
        Self::start_with_both(patience, Duration::from_secs(3600))
    }

    /// `spool_patience`: with a spool that cannot be read.
    pub fn start_with_both(patience: Duration, spool_patience: Duration) -> Self {
        let one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        let name = format!("ropewalk-holder-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir_all(directory.join("runtime")).unwrap();
        let config = Config {
            socket: directory.join("runtime/socket"),
            lock: directory.join("lock"),
            spool: directory.join("spool"),
            self_exe: std::env::current_exe().unwrap(),
            patience,
            spool_patience,
        };
        let (sender, ready) = mpsc::sync_channel(1);
        let its_config = config.clone();
        let signals = OwnSignals::of_children().unwrap();
        let thread =
            std::thread::spawn(move || ropewalk_holder::run(its_config, signals, |pid| sender.send(pid).unwrap()));
        assert_eq!(ready.recv().unwrap(), std::process::id());
        Self { config, directory, thread: Some(thread), _one: one }
    }

    pub fn connect(&self) -> Daemon {
        self.connect_speaking(HOLDER_PROTOCOL)
    }

    /// A daemon of a build that speaks this version.
    pub fn connect_speaking(&self, version: u16) -> Daemon {
        let mut daemon = self.connect_silently();
        daemon.tell(&ToHolder::Hello { protocol: version });
        daemon.runs = daemon.wait(|frame| match frame {
            FromHolder::Welcome { protocol, runs, .. } => {
                assert_eq!(*protocol, version, "it speaks what the daemon does");
                Some(runs.clone())
            }
            _ => None,
        });
        daemon
    }

    /// A daemon that comes while the socket may be gone: it tries until it is there.
    pub fn connect_again(&self) -> Daemon {
        eventually("the socket is there again", || UnixStream::connect(&self.config.socket).is_ok());
        self.connect()
    }

    pub fn connect_silently(&self) -> Daemon {
        let socket = UnixStream::connect(&self.config.socket).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        Daemon { socket, received: Vec::new(), passed: Vec::new(), runs: Vec::new() }
    }

    /// Waits until it left by itself.
    pub fn join(&mut self) -> Result<(), HolderError> {
        self.thread.take().unwrap().join().unwrap()
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            if !std::thread::panicking() {
                self.connect().tell(&ToHolder::Shutdown);
                thread.join().unwrap().unwrap();
            } else if let Ok(mut socket) = UnixStream::connect(&self.config.socket) {
                let mut bytes = Vec::new();
                wire::encode_to_holder(&ToHolder::Hello { protocol: HOLDER_PROTOCOL }, &mut bytes);
                wire::encode_to_holder(&ToHolder::Shutdown, &mut bytes);
                let _ = socket.write_all(&bytes);
                let _ = thread.join();
            }
        }
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

pub struct Daemon {
    pub socket: UnixStream,
    received: Vec<u8>,
    passed: Vec<FromHolder>,
    /// What Welcome said.
    pub runs: Vec<HeldRun>,
}

impl Daemon {
    pub fn tell(&mut self, frame: &ToHolder) {
        let mut bytes = Vec::new();
        wire::encode_to_holder(frame, &mut bytes);
        self.socket.write_all(&bytes).unwrap();
    }

    /// The next frame; `None` when the holder closed the connection.
    pub fn next(&mut self) -> Option<FromHolder> {
        loop {
            if let Some((body, used)) = wire::split_frame(&self.received).unwrap() {
                let frame = wire::decode_from_holder(body).unwrap();
                self.received.drain(..used);
                return Some(frame);
            }
            let mut bytes = [0; 65_536];
            match self.socket.read(&mut bytes) {
                Ok(0) => return None,
                Ok(count) => self.received.extend_from_slice(&bytes[..count]),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return None,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => panic!("no frame came: {error}; before it came {:?}", self.passed),
            }
        }
    }

    /// The first frame that is asked for, passed over before or still to come.
    pub fn wait<T>(&mut self, mut wanted: impl FnMut(&FromHolder) -> Option<T>) -> T {
        let found = self.passed.iter().enumerate().find_map(|(at, frame)| Some((at, wanted(frame)?)));
        if let Some((at, value)) = found {
            self.passed.remove(at);
            return value;
        }
        loop {
            let frame = self.next().expect("the connection stays open");
            if let Some(value) = wanted(&frame) {
                return value;
            }
            self.passed.push(frame);
        }
    }

    /// Starts `sh -c script` on a terminal and follows it from its first byte.
    pub fn sh(&mut self, script: &str) -> HeldRun {
        let held = self.spawn(&spawn_sh(script)).unwrap();
        self.follow(STREAM, 0);
        held
    }

    pub fn spawn(&mut self, spawn: &Spawn) -> Result<HeldRun, String> {
        self.tell(&ToHolder::Spawn(spawn.clone()));
        self.wait(|frame| match frame {
            FromHolder::Spawned(held) => Some(Ok(held.clone())),
            FromHolder::SpawnFailed { reason, .. } => Some(Err(reason.clone())),
            _ => None,
        })
    }

    pub fn follow(&mut self, stream: TerminalId, from: u64) {
        self.tell(&ToHolder::Follow { stream, from });
    }

    pub fn input(&mut self, id: u64, text: &str) {
        self.tell(&ToHolder::Input { stream: STREAM, client: CLIENT, id, bytes: text.as_bytes().to_vec() });
    }

    /// The id that was answered as written.
    pub fn written(&mut self) -> u64 {
        self.wait(|frame| match frame {
            FromHolder::Written { id, .. } => Some(*id),
            FromHolder::InputRefused { reason, .. } => panic!("refused: {reason}"),
            _ => None,
        })
    }

    /// The next piece of a stream.
    pub fn output(&mut self, of: TerminalId) -> (u64, Vec<u8>) {
        self.wait(|frame| match frame {
            FromHolder::Output { stream, offset, bytes } if *stream == of => Some((*offset, bytes.clone())),
            _ => None,
        })
    }

    /// Reads a stream from this offset on until it has said `text`; what it said.
    pub fn until(&mut self, stream: TerminalId, text: &str) -> String {
        let mut said = String::new();
        while !said.contains(text) {
            said.push_str(std::str::from_utf8(&self.output(stream).1).unwrap());
        }
        said
    }

    /// All bytes of a stream that are still to come, and its end.
    pub fn rest(&mut self, of: TerminalId) -> (Vec<u8>, u64) {
        let mut all = Vec::new();
        loop {
            let end = self.wait(|frame| match frame {
                FromHolder::Output { stream, bytes, .. } if *stream == of => {
                    all.extend_from_slice(bytes);
                    Some(None)
                }
                FromHolder::End { stream, offset } if *stream == of => Some(Some(*offset)),
                _ => None,
            });
            if let Some(end) = end {
                return (all, end);
            }
        }
    }

    /// As `rest`, from this offset on, and each piece is durable as it comes.
    pub fn rest_durably(&mut self, of: TerminalId, from: u64) -> (Vec<u8>, u64) {
        let mut all = Vec::new();
        loop {
            let next = self.wait(|frame| match frame {
                FromHolder::Output { stream, offset, bytes } if *stream == of => Some(Ok((*offset, bytes.clone()))),
                FromHolder::End { stream, offset } if *stream == of => Some(Err(*offset)),
                _ => None,
            });
            match next {
                Ok((offset, bytes)) => {
                    assert_eq!(offset, from + all.len() as u64);
                    all.extend_from_slice(&bytes);
                    self.tell(&ToHolder::Durable { stream: of, offset: from + all.len() as u64 });
                }
                Err(end) => return (all, end),
            }
        }
    }

    pub fn exit(&mut self) -> Exit {
        self.wait(|frame| match frame {
            FromHolder::Exited { exit, .. } => Some(*exit),
            _ => None,
        })
    }

    /// How many bytes of the stream were read from the program; asking changes nothing.
    pub fn read_so_far(&mut self) -> u64 {
        self.tell(&ToHolder::Resize { stream: STREAM, size: SIZE });
        self.wait(|frame| match frame {
            FromHolder::Resized { offset, .. } => Some(*offset),
            _ => None,
        })
    }

    /// Whether such a frame was passed over.
    pub fn has_passed(&self, wanted: impl Fn(&FromHolder) -> bool) -> bool {
        self.passed.iter().any(wanted)
    }

    pub fn is_closed(&mut self) -> bool {
        while let Some(frame) = self.next() {
            self.passed.push(frame);
        }
        true
    }
}

/// Polls what has no event to wait for: the operating system's view of processes and files.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(60), "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub fn spawn_sh(script: &str) -> Spawn {
    let environment = [("PATH", "/usr/bin:/bin"), ("HOME", "/"), ("SHELL", "/bin/sh"), ("LANG", "C")];
    Spawn {
        run: run(1),
        session: SessionId::from_bytes([5; 16]),
        stream: STREAM,
        program: Program {
            argv: ["sh", "-c", script].map(str::to_owned).to_vec(),
            directory: "/".to_owned(),
            environment: environment
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into_iter()
                .collect::<BTreeMap<_, _>>(),
        },
        ends: Ends::Terminal(SIZE),
    }
}

pub fn lines(last: u64) -> Vec<u8> {
    (1..=last).flat_map(|number| format!("{number}\r\n").into_bytes()).collect()
}
