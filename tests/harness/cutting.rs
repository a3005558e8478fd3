//! Connections that break where a seed says.

use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use ropewalk_transport::client::{Dial, Io};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;

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

/// Connections that break after some bytes were read, in the middle of a frame as often as not.
pub(crate) fn dial_cutting(socket: PathBuf, seed: u64, cuts: Arc<AtomicU64>, cuts_max: u64, bytes_max: u64) -> Dial {
    let choice = Arc::new(std::sync::Mutex::new(Choice::seeded(seed)));
    Arc::new(move || {
        let (socket, cuts) = (socket.clone(), cuts.clone());
        let left = 400 + choice.lock().unwrap().below(bytes_max);
        Box::pin(async move {
            let stream = UnixStream::connect(&socket).await?;
            let left = if cuts.load(Ordering::Relaxed) < cuts_max { left } else { u64::MAX };
            Ok((Box::new(Cutting { stream, left, cuts }) as Box<dyn Io>, None))
        })
    })
}

struct Cutting {
    stream: UnixStream,
    left: u64,
    cuts: Arc<AtomicU64>,
}

impl AsyncRead for Cutting {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.left == 0 {
            self.cuts.fetch_add(1, Ordering::Relaxed);
            self.left = u64::MAX;
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        let mut bytes = [0; 16 * 1024];
        let room = usize::try_from(self.left).unwrap_or(usize::MAX).min(buf.remaining()).min(bytes.len());
        let mut part = ReadBuf::new(&mut bytes[..room]);
        std::task::ready!(Pin::new(&mut self.stream).poll_read(cx, &mut part))?;
        let read = part.filled().len();
        buf.put_slice(part.filled());
        self.left -= read as u64;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Cutting {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
