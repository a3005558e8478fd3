//! The limits of what is read: a WebSocket that sends from memory, on a thread of its own as the daemon has.

use std::io;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ropewalk_transport::bare::{Bare, BareFrame, Reads};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::bench::lab::wrong;
use crate::bench::raw_client::REMARK_BYTES;
use crate::exit::Failure;

/// The size of a frame that is streamed.
const FRAME_BYTES: usize = 64 * 1024;
/// Messages that wait to be broadcast: as many as a connection to the daemon may have in flight.
const WAITING_MAX: usize = 256;

type Ends = (Vec<std::os::unix::net::UnixStream>, Vec<std::os::unix::net::UnixStream>);

/// How long one reader takes to read this much, which lies in memory and comes in large frames, this many times over. A
/// frame that is sent again and again would be read from the processor's cache, where no log is.
pub(in crate::bench) async fn stream(bytes: usize, rounds: usize) -> Result<Duration, Failure> {
    let (servers, clients) = pairs(1)?;
    let thread = on_a_thread(async move || {
        for server in servers {
            send(local(server)?, bytes, rounds).await?;
        }
        Ok(())
    })?;
    let mut time = Duration::ZERO;
    for client in clients {
        let mut reader = Bare::connect(local(client)?, None, Reads::Bulk).await?;
        // Its memory is made before the first frame comes.
        let mut left = (bytes * rounds).saturating_sub(frame(&mut reader).await?);
        let began = Instant::now();
        while left > 0 {
            left = left.saturating_sub(frame(&mut reader).await?);
        }
        time = began.elapsed();
    }
    finish(thread)?;
    Ok(time)
}

async fn frame(reader: &mut Bare) -> Result<usize, Failure> {
    match reader.next().await? {
        Some(BareFrame::Binary(frame)) => Ok(frame.len()),
        _ => Err(wrong("the limit's stream ended early")),
    }
}

async fn send(stream: UnixStream, bytes: usize, rounds: usize) -> io::Result<()> {
    let mut socket = Bare::accept(stream, Reads::Bulk).await?;
    let memory = Bytes::from(vec![7; bytes]);
    for _ in 0..rounds {
        for begin in (0..bytes).step_by(FRAME_BYTES) {
            socket.feed_binary(memory.slice(begin..bytes.min(begin + FRAME_BYTES))).await?;
        }
    }
    socket.flush().await
}

/// How long it takes until all of these messages, each from one of the publishers, have reached all subscribers.
///
/// A message is acknowledged when it is taken over, and sent on with all that wait with it: the daemon's work without log
/// and JSON. Every publisher has this many messages in flight.
pub(in crate::bench) async fn broadcast(
    subscribers: usize,
    publishers: usize,
    messages: u64,
    window: u64,
) -> Result<Duration, Failure> {
    let (servers, clients) = pairs(subscribers)?;
    let (taking, publishing) = pairs(publishers)?;
    let thread = on_a_thread(async move || serve_broadcast(servers, taking).await)?;
    let mut readers = Vec::new();
    for client in clients {
        readers.push(Bare::connect(local(client)?, None, Reads::Live).await?);
    }
    let mut writers = Vec::new();
    for client in publishing {
        writers.push(Bare::connect(local(client)?, None, Reads::Answers).await?);
    }
    let began = Instant::now();
    let mut work = JoinSet::new();
    for mut reader in readers {
        work.spawn(async move {
            for _ in 0..messages {
                reader.next().await?.ok_or(io::ErrorKind::UnexpectedEof)?;
            }
            Ok::<_, io::Error>(())
        });
    }
    for (place, writer) in writers.into_iter().enumerate() {
        let (publishers, place) = (publishers as u64, place as u64);
        let share = messages / publishers + u64::from(place < messages % publishers);
        work.spawn(publish(writer, share, window));
    }
    while let Some(done) = work.join_next().await {
        done.map_err(|error| Failure::because("the limit's broadcast", error))??;
    }
    let time = began.elapsed();
    finish(thread)?;
    Ok(time)
}

async fn publish(mut socket: Bare, count: u64, window: u64) -> io::Result<()> {
    let message = Bytes::from(vec![b'x'; REMARK_BYTES]);
    let (mut sent, mut answered) = (0, 0);
    while answered < count {
        while sent < count && sent - answered < window {
            socket.feed_binary(message.clone()).await?;
            sent += 1;
        }
        socket.flush().await?;
        socket.next().await?.ok_or(io::ErrorKind::UnexpectedEof)?;
        answered += 1;
        while socket.next_ready()?.is_some() {
            answered += 1;
        }
    }
    Ok(())
}

async fn serve_broadcast(
    subscribers: Vec<std::os::unix::net::UnixStream>,
    publishers: Vec<std::os::unix::net::UnixStream>,
) -> io::Result<()> {
    let mut sockets = Vec::new();
    for subscriber in subscribers {
        sockets.push(Bare::accept(local(subscriber)?, Reads::Bulk).await?);
    }
    let (messages, mut queue) = mpsc::channel(WAITING_MAX);
    for publisher in publishers {
        let socket = Bare::accept(local(publisher)?, Reads::Bulk).await?;
        drop(tokio::spawn(take(socket, messages.clone())));
    }
    drop(messages);
    let mut waiting: Vec<Bytes> = Vec::new();
    while queue.recv_many(&mut waiting, WAITING_MAX).await > 0 {
        for socket in &mut sockets {
            for message in &waiting {
                socket.feed_binary(message.clone()).await?;
            }
            socket.flush().await?;
        }
        waiting.clear();
    }
    Ok(())
}

/// Takes messages over and acknowledges them.
async fn take(mut socket: Bare, messages: mpsc::Sender<Bytes>) -> io::Result<()> {
    while let Some(frame) = socket.next().await? {
        let mut frame = Some(frame);
        while let Some(BareFrame::Binary(message)) = frame {
            if messages.send(message).await.is_err() {
                return Ok(());
            }
            socket.feed_binary(Bytes::from_static(b"ok")).await?;
            frame = socket.next_ready()?;
        }
        socket.flush().await?;
    }
    Ok(())
}

fn pairs(count: usize) -> io::Result<Ends> {
    let pairs = (0..count).map(|_| std::os::unix::net::UnixStream::pair()).collect::<io::Result<Vec<_>>>()?;
    Ok(pairs.into_iter().unzip())
}

fn local(stream: std::os::unix::net::UnixStream) -> io::Result<UnixStream> {
    stream.set_nonblocking(true)?;
    UnixStream::from_std(stream)
}

type Thread = std::thread::JoinHandle<io::Result<()>>;

/// A server on a thread with a runtime of its own.
fn on_a_thread(work: impl AsyncFnOnce() -> io::Result<()> + Send + 'static) -> io::Result<Thread> {
    std::thread::Builder::new().name("limit".to_owned()).spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(work())
    })
}

fn finish(thread: Thread) -> Result<(), Failure> {
    let ended = thread.join().map_err(|_| wrong("the limit's server panicked"))?;
    ended.map_err(|error| Failure::because("the limit's server", error))
}
