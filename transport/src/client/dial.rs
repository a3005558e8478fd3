//! How a connection is made: to a Unix socket, to loopback TCP, or in any way a caller has.

use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

/// Any stream of bytes.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// A connection on its way, and the bearer token to use on it.
pub type DialFuture = Pin<Box<dyn Future<Output = io::Result<(Box<dyn Io>, Option<String>)>> + Send>>;

/// Makes a connection, each time anew: the daemon may have another port, or must be started first.
pub type Dial = Arc<dyn Fn() -> DialFuture + Send + Sync>;

/// Connects to this Unix socket.
pub fn dial_unix(path: PathBuf) -> Dial {
    Arc::new(move || {
        let path = path.clone();
        Box::pin(async move {
            let stream = UnixStream::connect(&path).await?;
            Ok((Box::new(stream) as Box<dyn Io>, None))
        })
    })
}

/// Connects to this port of 127.0.0.1 with this token.
pub fn dial_tcp(port: u16, token: String) -> Dial {
    Arc::new(move || {
        let token = token.clone();
        Box::pin(async move {
            let stream = TcpStream::connect(("127.0.0.1", port)).await?;
            stream.set_nodelay(true)?;
            Ok((Box::new(stream) as Box<dyn Io>, Some(token)))
        })
    })
}
