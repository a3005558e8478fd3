//! Connections that carry little.

use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use ropewalk_transport::client::{Dial, Io};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::UnixStream;
use tokio::net::unix::OwnedReadHalf;
use tokio::time::{Sleep, sleep};

/// What is read at a time over a slow line, so that what it carries comes evenly.
const PIECE_BYTES: usize = 2048;
/// What is read at a time over one that is not slow any more.
const READ_BYTES: usize = 16 * 1024;

/// A line, across the connections that are made over it.
#[derive(Debug)]
pub(crate) struct Line {
    bytes_a_second: AtomicU64,
    carried: AtomicU64,
    connections: AtomicU64,
}

impl Line {
    /// One that carries so many bytes a second to its client.
    pub(crate) fn carrying(bytes_a_second: u64) -> Arc<Self> {
        Arc::new(Self {
            bytes_a_second: AtomicU64::new(bytes_a_second),
            carried: AtomicU64::new(0),
            connections: AtomicU64::new(0),
        })
    }

    /// From here on it carries whatever there is.
    pub(crate) fn widen(&self) {
        self.bytes_a_second.store(u64::MAX, Ordering::Relaxed);
    }

    /// Bytes that it has carried to its client.
    pub(crate) fn carried(&self) -> u64 {
        self.carried.load(Ordering::Relaxed)
    }

    /// How often a connection was made over it.
    pub(crate) fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    /// The time that it takes for so many bytes, if it is slow.
    fn time_for(&self, bytes: usize) -> Option<Duration> {
        let bytes_a_second = self.bytes_a_second.load(Ordering::Relaxed);
        (bytes_a_second < u64::MAX).then(|| Duration::from_secs_f64(bytes as f64 / bytes_a_second as f64))
    }
}

/// Connections over this line.
pub(crate) fn dial_over(socket: PathBuf, line: Arc<Line>) -> Dial {
    Arc::new(move || {
        let (socket, line) = (socket.clone(), line.clone());
        Box::pin(async move {
            let (stream, written) = UnixStream::connect(&socket).await?.into_split();
            line.connections.fetch_add(1, Ordering::Relaxed);
            let read = Slow { stream, line, busy: None };
            Ok((Box::new(tokio::io::join(read, written)) as Box<dyn Io>, None))
        })
    })
}

/// What comes over a line.
struct Slow {
    stream: OwnedReadHalf,
    line: Arc<Line>,
    /// Until the line has carried what was read before.
    busy: Option<Pin<Box<Sleep>>>,
}

impl AsyncRead for Slow {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if let Some(busy) = &mut self.busy {
            ready!(busy.as_mut().poll(cx));
            self.busy = None;
        }
        let mut bytes = [0; READ_BYTES];
        let most = if self.line.time_for(PIECE_BYTES).is_some() { PIECE_BYTES } else { READ_BYTES };
        let room = buf.remaining().min(most);
        let mut part = ReadBuf::new(&mut bytes[..room]);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut part))?;
        let read = part.filled().len();
        buf.put_slice(part.filled());
        self.line.carried.fetch_add(read as u64, Ordering::Relaxed);
        self.busy = self.line.time_for(read).map(|time| Box::pin(sleep(time)));
        Poll::Ready(Ok(()))
    }
}
