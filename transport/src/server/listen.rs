//! Where connections come from: loopback TCP, a Unix socket, or whoever hands one over.

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use ropewalk_protocol::limits;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, Sleep, sleep};

use super::admission::Peer;
use super::door::Door;
use super::seats::{Seat, Seats};

/// How many ports after the first are tried.
const PORTS_TRIED: u16 = 200;
/// Connections handed over that wait to be served.
const HANDED_MAX: usize = 64;

/// Any stream of bytes.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection that did not come from a listener, with who is at its other end.
pub type Handed = (Box<dyn Stream>, String);

/// The first pause after no connection could be accepted, and the longest one.
const PAUSE_FIRST: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// After this time without a failure the next one is news again.
const SHORTAGE_OVER_AFTER: Duration = Duration::from_secs(10);

/// All the places connections come from.
pub struct Incoming {
    tcp: Option<TcpListener>,
    unix: Option<Door>,
    handed: mpsc::Receiver<Handed>,
    seats: Seats,
    shortage: Option<Shortage>,
}

/// No connection can be accepted: out of descriptors, most likely.
struct Shortage {
    pause: Duration,
    last: Instant,
}

/// Who a connection is from, and its seat.
#[derive(Debug, Clone)]
pub struct Visitor {
    pub(super) peer: Peer,
    pub(super) seat: Arc<Seat>,
}

/// One connection. It has a while to become a WebSocket, whatever it does meanwhile.
pub struct Accepted {
    stream: Box<dyn Stream>,
    seat: Arc<Seat>,
    deadline: Option<Pin<Box<Sleep>>>,
    /// Ends when its seat is somebody else's; looked at until it said hello.
    given_up: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    is_cut: bool,
}

impl Incoming {
    /// Connections from these listeners, and from whoever uses the sender.
    pub fn new(tcp: TcpListener, unix: Door) -> (Self, mpsc::Sender<Handed>) {
        let (sender, handed) = mpsc::channel(HANDED_MAX);
        (Self { tcp: Some(tcp), unix: Some(unix), handed, seats: Seats::default(), shortage: None }, sender)
    }

    /// Connections from whoever uses the sender, and from nowhere else.
    pub fn handed_only() -> (Self, mpsc::Sender<Handed>) {
        let (sender, handed) = mpsc::channel(HANDED_MAX);
        (Self { tcp: None, unix: None, handed, seats: Seats::default(), shortage: None }, sender)
    }

    async fn accept_one(&mut self) -> io::Result<(Box<dyn Stream>, Peer)> {
        loop {
            tokio::select! {
                Some((stream, from)) = self.handed.recv() => return Ok((stream, Peer::Handed(from))),
                accepted = over_tcp(self.tcp.as_ref()) => {
                    let stream = accepted?;
                    // A keystroke must not wait for the acknowledgement of the one before it.
                    if stream.set_nodelay(true).is_ok() {
                        return Ok((Box::new(stream), Peer::Loopback));
                    }
                }
                accepted = over_unix(self.unix.as_mut()) => {
                    let stream = accepted?;
                    if is_own_user(&stream) {
                        return Ok((Box::new(stream), Peer::Local));
                    }
                }
            }
        }
    }

    /// Waits longer each time, and says so once: those that are served free what is short.
    async fn wait_out(&mut self, error: &io::Error) {
        let now = Instant::now();
        let lasting = self.shortage.take().filter(|shortage| now - shortage.last < SHORTAGE_OVER_AFTER);
        let pause = match &lasting {
            Some(shortage) => (shortage.pause * 2).min(PAUSE_MAX),
            None => {
                tracing::warn!(%error, "connections cannot be accepted for now");
                PAUSE_FIRST
            }
        };
        sleep(pause).await;
        self.shortage = Some(Shortage { pause, last: Instant::now() });
    }
}

fn is_own_user(stream: &UnixStream) -> bool {
    let owner = stream.peer_cred().ok().map(|peer| peer.uid());
    let own = owner == Some(rustix::process::geteuid().as_raw());
    if !own {
        tracing::warn!(uid = owner, code = "forbidden_peer", "a connection of another user was refused");
    }
    own
}

/// The next connection to the port; if there is none, none ever.
async fn over_tcp(listener: Option<&TcpListener>) -> io::Result<TcpStream> {
    match listener {
        Some(listener) => listener.accept().await.map(|(stream, _)| stream),
        None => std::future::pending().await,
    }
}

/// The next connection to the socket; if there is none, none ever.
async fn over_unix(door: Option<&mut Door>) -> io::Result<UnixStream> {
    match door {
        Some(door) => door.accept().await,
        None => std::future::pending().await,
    }
}

impl Listener for Incoming {
    type Io = Accepted;
    type Addr = Visitor;

    async fn accept(&mut self) -> (Accepted, Visitor) {
        loop {
            match self.accept_one().await {
                Ok((stream, peer)) => {
                    // Without a seat it is closed at once: that costs less than to say why.
                    if let Some(seat) = self.seats.take(&peer) {
                        let deadline = sleep(Duration::from_millis(limits::UPGRADE_MILLIS_MAX));
                        let told = seat.given_up();
                        let accepted = Accepted {
                            stream,
                            seat: seat.clone(),
                            deadline: Some(Box::pin(deadline)),
                            given_up: Some(Box::pin(async move { told.notified().await })),
                            is_cut: false,
                        };
                        return (accepted, Visitor { peer, seat });
                    }
                    tracing::debug!(?peer, "a connection was closed: there is no seat");
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => self.wait_out(&error).await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<Visitor> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// The peer left before it was accepted; the next one is none the worse.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset)
}

impl Connected<IncomingStream<'_, Incoming>> for Visitor {
    fn connect_info(stream: IncomingStream<'_, Incoming>) -> Self {
        stream.remote_addr().clone()
    }
}

impl Accepted {
    /// The stream, as long as the connection has time.
    fn in_time(&mut self, cx: &mut Context<'_>) -> io::Result<Pin<&mut dyn Stream>> {
        if self.seat.has_entered() {
            self.deadline = None;
        }
        if self.deadline.as_mut().is_some_and(|deadline| deadline.as_mut().poll(cx).is_ready()) {
            tracing::debug!("a connection is cut: it asked for no WebSocket in time");
            return Err(io::ErrorKind::TimedOut.into());
        }
        if self.given_up.as_mut().is_some_and(|given_up| given_up.as_mut().poll(cx).is_ready()) {
            tracing::debug!("a connection is cut: it said no hello, and its seat is needed");
            self.is_cut = true;
        }
        if self.is_cut || !self.seat.is_silent() {
            self.given_up = None;
        }
        if self.is_cut {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        Ok(Pin::new(&mut *self.stream))
    }
}

impl AsyncRead for Accepted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.in_time(cx)?.poll_read(cx, buf)
    }
}

impl AsyncWrite for Accepted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.in_time(cx)?.poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.in_time(cx)?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.in_time(cx)?.poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.in_time(cx)?.poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
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
