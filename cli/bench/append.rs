//! Durable commands: one in flight on each connection, so a command's time is its way to the disk and back.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ropewalk_kernel::log::{Batch, Journal, SledShelf};
use ropewalk_kernel::offload;
use ropewalk_protocol::record::NewEvent;
use ropewalk_protocol::{Cause, CommandResult, Event, LogId, SessionAnnotated, SessionId, Stream, Timestamp};
use tokio::task::JoinSet;
use tokio::time::timeout_at;

use super::figures::Figure;
use super::lab::{Home, millis, quantile, rate, wrong};
use super::limits::{CommitServer, REQUEST_BYTES};
use super::raw_client::{REMARK_BYTES, Wire};
use crate::commands::mint;
use crate::exit::Failure;

const CONNECTIONS: [(usize, &str); 3] = [(1, ">= 0.70x"), (8, ">= 0.60x"), (64, ">= 0.60x")];
/// The number of connections for which times are shown.
const CROWD: usize = 64;
/// How long after the end the last answers may come.
const LAST_ANSWER_MAX: Duration = Duration::from_secs(10);

/// What the connections did.
#[derive(Default)]
struct Done {
    times: Vec<Duration>,
    took: Duration,
}

pub(super) async fn measure(home: &Home) -> Result<Vec<Figure>, Failure> {
    let time = Duration::from_millis(home.amount(4000, 1000));
    let session = Wire::open(&home.paths).await?.create().await?;
    let mut figures = Vec::new();
    for (connections, goal) in CONNECTIONS {
        let mut wires = Vec::new();
        for _ in 0..connections {
            wires.push(Wire::open(&home.paths).await?);
        }
        let mut done = crowd(wires, time, async move |wire| wire.annotate(session).await).await?;
        let mut limit = bare(home, connections, time).await?;

        let commands = rate(done.times.len() as u64, done.took);
        let what = format!("durable commands, {connections} connections");
        let most = rate(limit.times.len() as u64, limit.took);
        figures.push(Figure::new("append", what, "/s", commands).beside(most).goal(goal));
        let directory = home.directory.join(format!("log-alone-{connections}"));
        let alone = offload::blocking(move || log_alone(&directory, connections, time)).await;
        let (count, took) = alone.map_err(|error| Failure::because("the log alone", error))??;
        let what = format!("the same to the log alone, {connections} in flight");
        figures.push(Figure::new("append", what, "/s", rate(count, took)).beside(most));
        if connections == CROWD {
            for (name, part) in [("p50", 0.5), ("p99", 0.99)] {
                let (time, least) = (quantile(&mut done.times, part), quantile(&mut limit.times, part));
                let what = format!("acknowledgement, {connections} connections, {name}");
                let figure = Figure::new("append", what, "ms", millis(time)).beside(millis(least));
                figures.push(if name == "p99" { figure.goal("<= 2.00x") } else { figure });
            }
        }
    }
    Ok(figures)
}

/// How many events with their receipts the log takes when nothing stands before it: no socket, no JSON, no actor.
fn log_alone(directory: &Path, in_flight: usize, time: Duration) -> Result<(u64, Duration), Failure> {
    let shelf = SledShelf::open(directory).map_err(|error| Failure::because("the log alone", error))?;
    let fresh = LogId::from(uuid::Uuid::now_v7());
    let opened = Journal::open(Arc::new(shelf), fresh, |_| Box::new(|_: &[Event]| {}));
    let journal = opened.map_err(|error| Failure::because("the log alone", error))?.journal;
    let session = SessionId::from(uuid::Uuid::now_v7());
    let remark = NewEvent {
        stream: Stream::Session(session),
        at: Timestamp::from_unix_micros(0),
        cause: Some(Cause { command: mint(), client: "bench".to_owned() }),
        body: SessionAnnotated { text: "x".repeat(REMARK_BYTES) }.into(),
    };
    let append = || {
        let receipt = Some((mint(), [0; 16], Ok(CommandResult::Done {})));
        journal.append(Batch { epoch: journal.epoch(), events: vec![remark.clone()], receipt })
    };
    let began = Instant::now();
    let (mut waiting, mut count) = (VecDeque::new(), 0);
    while began.elapsed() < time {
        while waiting.len() < in_flight {
            waiting.push_back(append()?);
        }
        // The oldest is answered with its whole group.
        if let Some(answer) = waiting.pop_front() {
            answer.blocking_recv().map_err(|_| wrong("the log's writer is gone"))??;
            count += 1;
        }
    }
    Ok((count, began.elapsed()))
}

async fn bare(home: &Home, connections: usize, time: Duration) -> Result<Done, Failure> {
    let mut server = CommitServer::start(&home.directory.join("limit"), connections)?;
    let mut request = vec![b'x'; REQUEST_BYTES];
    request[..4].copy_from_slice(&u32::try_from(REMARK_BYTES).unwrap_or_default().to_le_bytes());
    let request: Arc<[u8]> = request.into();
    let ask = async move |client: &mut _| Ok(CommitServer::ask(client, &request).await?);
    let done = crowd(server.clients(), time, ask).await?;
    server.finish()?;
    Ok(done)
}

/// Lets every connection ask again and again for some time.
async fn crowd<C: Send + 'static>(
    connections: Vec<C>,
    time: Duration,
    ask: impl AsyncFn(&mut C) -> Result<(), Failure> + Clone + 'static,
) -> Result<Done, Failure> {
    let over = Arc::new(AtomicBool::new(false));
    let began = Instant::now();
    let local = tokio::task::LocalSet::new();
    let mut work = JoinSet::new();
    for mut connection in connections {
        let (over, ask) = (over.clone(), ask.clone());
        work.spawn_local_on(
            async move {
                let mut times = Vec::new();
                while !over.load(Ordering::Relaxed) {
                    let sent = Instant::now();
                    ask(&mut connection).await?;
                    times.push(sent.elapsed());
                }
                Ok::<_, Failure>(times)
            },
            &local,
        );
    }
    let end = tokio::time::Instant::from_std(began + time);
    let gather = async {
        let mut times = Vec::new();
        while let Some(done) = work.join_next().await {
            times.extend(done.map_err(|error| Failure::because("a connection", error))??);
        }
        Ok::<_, Failure>(Done { times, took: began.elapsed() })
    };
    let mut gather = std::pin::pin!(local.run_until(gather));
    if let Ok(early) = timeout_at(end, &mut gather).await {
        // Only a failure ends it before the time is over.
        return early;
    }
    over.store(true, Ordering::Relaxed);
    let late = |_| Failure::new(crate::exit::TIMEOUT, "the last answers do not come");
    timeout_at(end + LAST_ANSWER_MAX, gather).await.map_err(late)?
}
