//! Where connections come from: loopback TCP, a Unix socket, or whoever hands one over.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::mpsc;

use super::admission::Peer;

/// How many ports after the first are tried.
const PORTS_TRIED: u16 = 200;
/// Connections handed over that wait to be served.
const HANDED_MAX: usize = 64;

/// Any stream of bytes.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection that did not come from a listener, with who is at its other end.
pub type Handed = (Box<dyn Stream>, String);

/// All the places connections come from.
pub struct Incoming {
    tcp: Option<TcpListener>,
    unix: Option<UnixListener>,
    handed: mpsc::Receiver<Handed>,
}

/// One connection.
pub struct Accepted(Box<dyn Stream>);

impl Incoming {
    /// Connections from these listeners, and from whoever uses the sender.
    pub fn new(tcp: TcpListener, unix: UnixListener) -> (Self, mpsc::Sender<Handed>) {
        let (sender, handed) = mpsc::channel(HANDED_MAX);
        (Self { tcp: Some(tcp), unix: Some(unix), handed }, sender)
    }

    /// Connections from whoever uses the sender, and from nowhere else.
    pub fn handed_only() -> (Self, mpsc::Sender<Handed>) {
        let (sender, handed) = mpsc::channel(HANDED_MAX);
        (Self { tcp: None, unix: None, handed }, sender)
    }

    async fn accept_one(&mut self) -> io::Result<Option<(Accepted, Peer)>> {
        tokio::select! {
            Some((stream, from)) = self.handed.recv() => Ok(Some((Accepted(stream), Peer::Handed(from)))),
            accepted = accepted(self.tcp.as_ref(), TcpListener::accept) => {
                let (stream, _) = accepted?;
                // A keystroke must not wait for the acknowledgement of the one before it.
                stream.set_nodelay(true)?;
                Ok(Some((Accepted(Box::new(stream)), Peer::Loopback)))
            }
            accepted = accepted(self.unix.as_ref(), UnixListener::accept) => {
                let (stream, _) = accepted?;
                let owner = stream.peer_cred()?.uid();
                if owner != rustix::process::geteuid().as_raw() {
                    tracing::warn!(uid = owner, code = "forbidden_peer", "a connection of another user was refused");
                    return Ok(None);
                }
                Ok(Some((Accepted(Box::new(stream)), Peer::Local)))
            }
        }
    }
}

/// The next connection of a listener; of none, none ever.
async fn accepted<'a, L, T>(
    listener: Option<&'a L>,
    accept: impl AsyncFnOnce(&'a L) -> io::Result<T>,
) -> io::Result<T> {
    match listener {
        Some(listener) => accept(listener).await,
        None => std::future::pending().await,
    }
}

impl Listener for Incoming {
    type Io = Accepted;
    type Addr = Peer;

    async fn accept(&mut self) -> (Accepted, Peer) {
        loop {
            match self.accept_one().await {
                Ok(Some(accepted)) => return accepted,
                Ok(None) => {}
                Err(error) => {
                    // Out of descriptors, most likely: those that are served free some.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<Peer> {
        Ok(Peer::Local)
    }
}

impl Connected<IncomingStream<'_, Incoming>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Incoming>) -> Self {
        stream.remote_addr().clone()
    }
}

impl AsyncRead for Accepted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Accepted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }
}

/// Listens on 127.0.0.1, on this port or the next free one.
///
/// # Errors
/// None of the ports can be had.
pub async fn bind_loopback(port: u16) -> io::Result<TcpListener> {
    let mut last = None;
    for port in port..port.saturating_add(PORTS_TRIED) {
        match TcpListener::bind(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)).await {
            Ok(listener) => return Ok(listener),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| io::Error::other("no port was tried")))
}

/// Listens on a Unix socket that only its owner may connect to. What lies there is removed: the caller has the lock.
///
/// # Errors
/// The path is too long for a socket, or cannot be written.
pub fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}
