//! The limit of durable commands: whatever waits is written with one write and one sync, then answered.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread::{self, JoinHandle};

use rustix::event::{PollFd, PollFlags, poll};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A request: its length, then as many bytes as a remark has.
pub(in crate::bench) const REQUEST_BYTES: usize = 4 + crate::bench::raw_client::REMARK_BYTES;
const ANSWER: [u8; 4] = [1, 0, 0, 0];

/// A thread that serves its connections until all of them are closed.
pub(in crate::bench) struct CommitServer {
    thread: JoinHandle<io::Result<()>>,
    clients: Vec<tokio::net::UnixStream>,
}

impl CommitServer {
    /// Serves this many connections, and writes to this file.
    pub(in crate::bench) fn start(path: &Path, connections: usize) -> io::Result<Self> {
        let file = File::create(path)?;
        let (mut servers, mut clients) = (Vec::new(), Vec::new());
        for _ in 0..connections {
            let (server, client) = UnixStream::pair()?;
            client.set_nonblocking(true)?;
            servers.push(server);
            clients.push(tokio::net::UnixStream::from_std(client)?);
        }
        let thread = thread::Builder::new().name("limit".to_owned()).spawn(move || serve(&file, servers))?;
        Ok(Self { thread, clients })
    }

    /// The connections.
    pub(in crate::bench) fn clients(&mut self) -> Vec<tokio::net::UnixStream> {
        std::mem::take(&mut self.clients)
    }

    /// Waits for the end; the connections must be closed.
    pub(in crate::bench) fn finish(self) -> io::Result<()> {
        drop(self.clients);
        self.thread.join().unwrap_or_else(|_| Err(io::Error::other("the limit's server panicked")))
    }

    /// Sends one request and returns once it is durable.
    pub(in crate::bench) async fn ask(client: &mut tokio::net::UnixStream, request: &[u8]) -> io::Result<()> {
        client.write_all(request).await?;
        let mut answer = [0; ANSWER.len()];
        client.read_exact(&mut answer).await.map(drop)
    }
}

fn serve(mut file: &File, mut open: Vec<UnixStream>) -> io::Result<()> {
    let mut group = Vec::new();
    while !open.is_empty() {
        let mut fds: Vec<PollFd<'_>> = open.iter().map(|stream| PollFd::new(stream, PollFlags::IN)).collect();
        poll(&mut fds, None)?;
        let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        group.clear();
        let mut waiting = Vec::new();
        let mut closed = Vec::new();
        for (place, _) in ready.iter().enumerate().filter(|(_, ready)| **ready) {
            let mut request = [0; REQUEST_BYTES];
            // A client writes a request at once, so the rest of one that has begun is there.
            match (&open[place]).read_exact(&mut request) {
                Ok(()) => {
                    group.extend_from_slice(&request);
                    waiting.push(place);
                }
                Err(_) => closed.push(place),
            }
        }
        if !group.is_empty() {
            file.write_all(&group)?;
            file.sync_data()?;
        }
        for place in waiting {
            (&open[place]).write_all(&ANSWER)?;
        }
        for place in closed.into_iter().rev() {
            open.remove(place);
        }
    }
    Ok(())
}
