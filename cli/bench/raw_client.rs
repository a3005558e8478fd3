//! The wire at the level of frames: a client so small that what is measured is the daemon.

use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use regex::bytes::Regex;
use ropewalk_protocol::{
    BincodeFrame, ClientInfo, Code, Command, CommandAnswer, CommandId, CommandParams, CommandResult, Hello, Rejection,
    Request, RequestMethod, Response, SUBPROTOCOL, SUBPROTOCOL_BINCODE, Seq, SessionId, SubscribeAfter,
    SubscribeParams, Subscribed, Welcome,
};
use ropewalk_transport::bare::{Bare, BareFrame, Reads};
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use super::lab::wrong;
use crate::commands::unexpected;
use crate::exit::{Failure, UNREACHABLE};
use crate::paths::Paths;

/// The size of every remark that is written.
pub(super) const REMARK_BYTES: usize = 256;

/// How an answer begins, and how everything else does that is text.
const ANSWER: &[u8] = br#"{"jsonrpc":"2.0","id":"#;
const EVENTS: &[u8] = br#"{"jsonrpc":"2.0","method":"events","#;
const REFUSED: &[u8] = br#"{"jsonrpc":"2.0","method":"refused","#;

/// One connection.
pub(super) struct Wire {
    socket: Bare,
    next: u64,
    dice: Dice,
    pub(super) welcome: Welcome,
}

impl Wire {
    /// Connects to ask and to command.
    pub(super) async fn open(paths: &Paths) -> Result<Self, Failure> {
        Self::connect(paths, SUBPROTOCOL, Reads::Answers).await
    }

    /// Connects, and follows all events after this place.
    pub(super) async fn follow(
        paths: &Paths,
        bincode: bool,
        after: SubscribeAfter,
        reads: Reads,
    ) -> Result<Follower, Failure> {
        let subprotocol = if bincode { SUBPROTOCOL_BINCODE } else { SUBPROTOCOL };
        let mut wire = Self::connect(paths, subprotocol, reads).await?;
        let params = SubscribeParams { session: None, after, log: None, only: None };
        let Subscribed { from, .. } = wire.ask(RequestMethod::Subscribe(params)).await?;
        Ok(Follower { socket: wire.socket, scan: scan(), last: from })
    }

    /// Connects and says hello.
    async fn connect(paths: &Paths, subprotocol: &'static str, reads: Reads) -> Result<Self, Failure> {
        let stream = UnixStream::connect(paths.socket()).await?;
        let mut socket = Bare::connect(stream, Some(subprotocol), reads).await?;
        let client =
            ClientInfo { name: "bench".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned(), instance: None };
        let hello = Request::new(0, RequestMethod::Hello(Hello { client, token: None }));
        socket.feed_text(encode(&hello)).await?;
        socket.flush().await?;
        let welcome = decode(&answer(&mut socket).await?)?;
        Ok(Self { socket, next: 0, dice: Dice::new(), welcome })
    }

    /// Sends a request and takes its answer; nothing else may wait for one.
    pub(super) async fn ask<T: DeserializeOwned>(&mut self, method: RequestMethod) -> Result<T, Failure> {
        self.feed(method).await?;
        self.socket.flush().await?;
        decode(&answer(&mut self.socket).await?)
    }

    async fn feed(&mut self, method: RequestMethod) -> Result<(), Failure> {
        self.next += 1;
        Ok(self.socket.feed_text(encode(&Request::new(self.next, method))).await?)
    }

    /// Creates a session in which nothing runs.
    pub(super) async fn create(&mut self) -> Result<SessionId, Failure> {
        let create = self.dice.command(empty_session());
        let answer: CommandAnswer = self.ask(create).await?;
        match answer.result {
            CommandResult::SessionCreated { session, .. } => Ok(session),
            _ => Err(unexpected()),
        }
    }

    /// Writes one remark and returns once it is durable.
    pub(super) async fn annotate(&mut self, session: SessionId) -> Result<(), Failure> {
        let text = self.dice.remark();
        let annotate = self.dice.command(Command::SessionAnnotate { session, text });
        self.feed(annotate).await?;
        self.socket.flush().await?;
        done(&answer(&mut self.socket).await?)
    }

    /// Writes remarks, this many in flight.
    pub(super) async fn pour_remarks(&mut self, session: SessionId, count: u64, window: u64) -> Result<(), Failure> {
        self.pour(count, window, |dice| Command::SessionAnnotate { session, text: dice.remark() }).await
    }

    /// Creates sessions, this many in flight.
    pub(super) async fn pour_sessions(&mut self, count: u64, window: u64) -> Result<(), Failure> {
        self.pour(count, window, |_| empty_session()).await
    }

    /// Ends sessions, this many in flight.
    pub(super) async fn pour_ends(&mut self, sessions: &[SessionId], window: u64) -> Result<(), Failure> {
        let mut left = sessions.iter().copied();
        let end = |_: &mut Dice| Command::SessionEnd { session: left.next().unwrap_or(sessions[0]) };
        self.pour(sessions.len() as u64, window, end).await
    }

    async fn pour(
        &mut self,
        count: u64,
        window: u64,
        mut next: impl FnMut(&mut Dice) -> Command,
    ) -> Result<(), Failure> {
        let (mut sent, mut answered) = (0, 0);
        while answered < count {
            while sent < count && sent - answered < window {
                let change = next(&mut self.dice);
                let change = self.dice.command(change);
                self.feed(change).await?;
                sent += 1;
            }
            self.socket.flush().await?;
            done(&answer(&mut self.socket).await?)?;
            answered += 1;
            while let Some(frame) = self.socket.next_ready()? {
                if is_answer(&frame)? {
                    done(&frame)?;
                    answered += 1;
                }
            }
        }
        Ok(())
    }
}

/// A reader of events that looks at nothing but their places, and at every one of those.
pub(super) struct Follower {
    socket: Bare,
    scan: Regex,
    last: Seq,
}

/// What a follower has read.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Read {
    pub(super) events: u64,
    pub(super) bytes: u64,
}

impl Follower {
    /// The place up to which it has read.
    pub(super) fn last(&self) -> Seq {
        self.last
    }

    /// Reads up to this place; every event must come, once and in order.
    pub(super) async fn read_to(&mut self, to: Seq) -> Result<Read, Failure> {
        let mut read = Read::default();
        while self.last < to {
            let frame = self.socket.next().await?.ok_or_else(closed)?;
            let before = self.last;
            match frame {
                BareFrame::Binary(frame) => {
                    read.bytes += frame.len() as u64;
                    let frame = BincodeFrame::decode(&frame).ok_or_else(|| wrong("a frame that is none came"))?;
                    frame.records().try_for_each(|(seq, _)| self.take(seq))?;
                }
                BareFrame::Text(frame) if frame.starts_with(EVENTS) => {
                    read.bytes += frame.len() as u64;
                    self.take_all(&frame)?;
                }
                BareFrame::Text(frame) if frame.starts_with(REFUSED) => {
                    return Err(wrong(String::from_utf8_lossy(&frame)));
                }
                BareFrame::Text(_) => {}
            }
            read.events += self.last.0 - before.0;
        }
        Ok(read)
    }

    /// Finds the places in a frame of JSON without reading the rest: the text of remarks holds no quote.
    fn take_all(&mut self, frame: &Bytes) -> Result<(), Failure> {
        let mut rest = &frame[..];
        while let Some(found) = self.scan.find(rest) {
            rest = &rest[found.end()..];
            let digits = rest.iter().take_while(|byte| byte.is_ascii_digit());
            self.take(Seq(digits.fold(0, |seq, digit| seq * 10 + u64::from(digit - b'0'))))?;
        }
        Ok(())
    }

    fn take(&mut self, seq: Seq) -> Result<(), Failure> {
        if seq != self.last.next() {
            return Err(wrong(format!("event {seq} came after event {}", self.last)));
        }
        self.last = seq;
        Ok(())
    }
}

fn scan() -> Regex {
    Regex::new(r#"\{"seq":"#).expect("the pattern is a constant")
}

/// What a client says anew each time, made without any system call.
struct Dice(u64);

impl Dice {
    fn new() -> Self {
        Self(uuid::Uuid::now_v7().as_u64_pair().1 | 1)
    }

    fn roll(&mut self) -> u64 {
        // Xorshift.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A text of one size that compression finds nothing in.
    fn remark(&mut self) -> String {
        let mut text = String::with_capacity(REMARK_BYTES);
        while text.len() < REMARK_BYTES {
            // Ten characters of six bits from each roll.
            let roll = self.roll();
            let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
            let room = REMARK_BYTES - text.len();
            text.extend((0..room.min(10)).map(|place| char::from(letters[(roll >> (place * 6) & 63) as usize])));
        }
        text
    }

    /// A command under a new id.
    fn command(&mut self, command: Command) -> RequestMethod {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let millis = u64::try_from(since.as_millis()).unwrap_or_default();
        let rolls = (u128::from(self.roll()) << 64) | u128::from(self.roll());
        let [random @ .., _, _, _, _, _, _] = rolls.to_be_bytes();
        let id = uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid();
        RequestMethod::Command(CommandParams { id: CommandId::from(id), command })
    }
}

fn empty_session() -> Command {
    Command::SessionCreate { name: None, workspace: None, program: None, size: None, agent: None }
}

fn encode(request: &Request) -> String {
    serde_json::to_string(request).expect("our own types always encode")
}

/// The next answer; what the daemon says by itself is passed over.
async fn answer(socket: &mut Bare) -> Result<BareFrame, Failure> {
    loop {
        let frame = socket.next().await?.ok_or_else(closed)?;
        if is_answer(&frame)? {
            return Ok(frame);
        }
    }
}

/// Whether a frame answers a request; a refusal of what was none is a failure.
fn is_answer(frame: &BareFrame) -> Result<bool, Failure> {
    match frame {
        BareFrame::Text(text) if text.starts_with(REFUSED) => Err(wrong(String::from_utf8_lossy(text))),
        BareFrame::Text(text) => Ok(text.starts_with(ANSWER)),
        BareFrame::Binary(_) => Ok(false),
    }
}

/// Looks no further than whether it was done.
fn done(frame: &BareFrame) -> Result<(), Failure> {
    let (BareFrame::Text(text) | BareFrame::Binary(text)) = frame;
    let digits = text.get(ANSWER.len()..).unwrap_or_default();
    let rest = digits.iter().position(|byte| !byte.is_ascii_digit()).map_or(&[][..], |end| &digits[end..]);
    if text.starts_with(ANSWER) && rest.starts_with(br#","result":"#) {
        return Ok(());
    }
    decode::<CommandAnswer>(frame).map(drop)
}

fn decode<T: DeserializeOwned>(frame: &BareFrame) -> Result<T, Failure> {
    let (BareFrame::Text(text) | BareFrame::Binary(text)) = frame;
    let response: Response<T> =
        serde_json::from_slice(text).map_err(|error| Failure::because("reading an answer", error))?;
    let refused = response.error.map(Rejection::from);
    let silent = || Rejection::new(Code::Internal, "the answer says nothing");
    response.result.ok_or_else(|| refused.unwrap_or_else(silent).into())
}

fn closed() -> Failure {
    Failure::new(UNREACHABLE, io::Error::from(io::ErrorKind::UnexpectedEof).to_string())
}
