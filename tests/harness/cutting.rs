//! Connections that break where a seed says.

use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use ropewalk_transport::client::{Dial, Io};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::UnixStream;
use tokio::net::unix::OwnedReadHalf;
use tokio::sync::watch;

/// Numbers from a seed, for choices that a failing test can repeat.
pub(crate) struct Choice(u64);

impl Choice {
    pub(crate) fn seeded(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for place in (1..items.len()).rev() {
            items.swap(place, usize::try_from(self.below(place as u64 + 1)).unwrap());
        }
    }
}

/// Connections that break after some bytes were read, always in the middle of a frame.
pub(crate) fn dial_cutting(socket: PathBuf, seed: u64, cuts: Arc<AtomicU64>, cuts_max: u64, bytes_max: u64) -> Dial {
    let choice = Arc::new(std::sync::Mutex::new(Choice::seeded(seed)));
    Arc::new(move || {
        let (socket, cuts) = (socket.clone(), cuts.clone());
        let left = 400 + choice.lock().unwrap().below(bytes_max);
        Box::pin(async move {
            let (stream, written) = UnixStream::connect(&socket).await?.into_split();
            let left = if cuts.load(Ordering::Relaxed) < cuts_max { left } else { u64::MAX };
            let read = Cutting { stream, left, frames: Frames::default(), cuts };
            Ok((Box::new(tokio::io::join(read, written)) as Box<dyn Io>, None))
        })
    })
}

/// Connections that can be made only while the gate is open.
pub(crate) fn dial_gated(dial: Dial, gate: watch::Receiver<bool>) -> Dial {
    Arc::new(move || {
        let (dial, mut gate) = (dial.clone(), gate.clone());
        Box::pin(async move {
            gate.wait_for(|open| *open).await.map_err(io::Error::other)?;
            dial().await
        })
    })
}

/// How far one is in what a server sends: an HTTP answer, then WebSocket frames, which no server masks.
#[derive(Default)]
struct Frames {
    is_open: bool,
    /// What there is of the HTTP answer, or of a frame's header.
    header: Vec<u8>,
    payload_left: u64,
}

impl Frames {
    fn take(&mut self, mut bytes: &[u8]) {
        while let Some((byte, rest)) = bytes.split_first() {
            if self.payload_left > 0 {
                let skipped = bytes.len().min(usize::try_from(self.payload_left).unwrap_or(usize::MAX));
                self.payload_left -= skipped as u64;
                bytes = &bytes[skipped..];
                continue;
            }
            bytes = rest;
            self.header.push(*byte);
            if !self.is_open {
                self.is_open = self.header.ends_with(b"\r\n\r\n");
                if self.is_open {
                    self.header.clear();
                }
            } else if let Some(length) = payload_length(&self.header) {
                self.payload_left = length;
                self.header.clear();
            }
        }
    }

    /// A part of a frame was read, and not all of it.
    fn is_within(&self) -> bool {
        self.is_open && (self.payload_left > 0 || !self.header.is_empty())
    }
}

/// What a frame's header says of its payload, once the header is whole.
fn payload_length(header: &[u8]) -> Option<u64> {
    let short = header.get(1)? & 0x7f;
    match (short, &header[2..]) {
        (126, [high, low]) => Some(u16::from_be_bytes([*high, *low]).into()),
        (127, long) => Some(u64::from_be_bytes(long.try_into().ok()?)),
        (126, _) => None,
        (short, _) => Some(short.into()),
    }
}

/// What comes until the connection breaks.
struct Cutting {
    stream: OwnedReadHalf,
    left: u64,
    frames: Frames,
    cuts: Arc<AtomicU64>,
}

impl AsyncRead for Cutting {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.left == 0 && self.frames.is_within() {
            self.cuts.fetch_add(1, Ordering::Relaxed);
            self.left = u64::MAX;
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        let mut bytes = [0; 16 * 1024];
        // Between two frames there is nothing to be in the middle of: one byte more is.
        let room = usize::try_from(self.left.max(1)).unwrap_or(usize::MAX).min(buf.remaining()).min(bytes.len());
        let mut part = ReadBuf::new(&mut bytes[..room]);
        std::task::ready!(Pin::new(&mut self.stream).poll_read(cx, &mut part))?;
        let read = part.filled().len();
        self.frames.take(part.filled());
        buf.put_slice(part.filled());
        self.left = self.left.saturating_sub(read as u64);
        Poll::Ready(Ok(()))
    }
}
