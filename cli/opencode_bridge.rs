//! Between a holder's pipes and `opencode serve`: the process that the holder takes for the agent.
//!
//! opencode tells its events once, to whoever listens. A daemon that was killed would miss what happens until the next one
//! listens; the holder's pipes miss nothing. So this process is opencode's only client. Each event of the server is a line on
//! stdout, `{"event": …}`; each line on stdin is a request, `{"id", "method", "path", "body"}`, told as `{"sent": id}` before it is
//! sent and answered by `{"id", "status", "body"}` or `{"id", "failed"}`. Requests are sent one after another, in their order. One
//! with a `name` begins a message, whose id is made of the time and that name.
//! `{"ready": {"version"}}` comes first, `{"exit": …}` last; where events were missed, `{"gap": true}` and then what the server
//! says of the conversation now, as `{"snapshot", "session", "status", "body"}`. `{"failed"}` alone tells what went wrong here.
//!
//! Nothing is queued: what cannot be written is not read either.

mod events;
mod http;
mod lines;
mod server;

use std::cell::RefCell;
use std::ffi::OsString;
use std::time::Duration;

use serde_json::value::RawValue;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, sleep, timeout};

use self::events::Events;
use self::http::{Answer, Http};
use self::lines::{Input, Lines, Request};
pub(crate) use self::server::become_server;
use self::server::{Server, code_of};
use crate::exit::{CANNOT_RUN, FAILURE, Failure, OK, SIGNAL_BASE};

/// How long the server has until it answers for the first time: seconds on a quick machine, more on a busy one.
const START_PATIENCE: Duration = Duration::from_secs(60);
/// The server does not answer what it is asked in the moment after its port is open: it is asked again.
const HEALTH_PATIENCE: Duration = Duration::from_secs(1);
const HEALTH_PAUSE: Duration = Duration::from_millis(100);
/// How long any other request may take.
const REQUEST_PATIENCE: Duration = Duration::from_secs(60);
/// How long the last line may take, if nobody reads it.
const LAST_LINE_PATIENCE: Duration = Duration::from_secs(1);
/// Events are listened for again after so long.
const RECONNECT_PAUSE: Duration = Duration::from_millis(100);
/// How many messages are read again after a gap.
const SNAPSHOT_MESSAGES: u32 = 50;

/// Why the bridge ends.
enum End {
    /// Nobody writes to it, or reads it, any more.
    Unwanted,
    /// A signal.
    Signalled(u8),
    /// The server ended.
    Exited(std::process::ExitStatus),
    /// The server cannot be worked with.
    Failed(String),
}

/// Runs the server and speaks with it, until one of the two sides ends. The exit code is the server's.
pub(crate) fn run(program: &[OsString]) -> Result<u8, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(bridge(program));
    // A read of stdin may still wait: it must not keep the process.
    runtime.shutdown_background();
    result
}

async fn bridge(program: &[OsString]) -> Result<u8, Failure> {
    let mut signals = Signals::new()?;
    let mut server = Server::start(program)?;
    let bridge = Bridge { http: server.http(), lines: Lines::default(), session: RefCell::default() };
    let end = tokio::select! {
        end = bridge.serve() => end,
        signal = signals.next() => End::Signalled(signal),
        status = server.ended() => status.map_or_else(|error| End::Failed(error.to_string()), End::Exited),
    };
    if let End::Failed(reason) = &end {
        bridge.last_line(&serde_json::json!({ "failed": reason })).await;
    }
    if let End::Exited(status) = &end
        && status.code() == Some(i32::from(CANNOT_RUN))
    {
        let program = program.first().cloned().unwrap_or_default();
        let reason =
            format!("{} cannot be run. OpenCode is installed by `npm install -g opencode-ai`.", program.display());
        bridge.last_line(&serde_json::json!({ "failed": reason })).await;
    }
    let status = match &end {
        End::Exited(status) => *status,
        _ => server.stop().await?,
    };
    bridge.last_line(&serde_json::json!({ "exit": server::described(status) })).await;
    Ok(match end {
        End::Unwanted => OK,
        End::Signalled(signal) => SIGNAL_BASE.saturating_add(signal),
        End::Failed(_) => FAILURE,
        End::Exited(status) => code_of(status),
    })
}

struct Bridge {
    http: Http,
    lines: Lines,
    /// The conversation that requests are about.
    session: RefCell<Option<String>>,
}

impl Bridge {
    async fn serve(&self) -> End {
        let events = match self.reach().await {
            Ok(events) => events,
            Err(end) => return end,
        };
        tokio::select! {
            end = self.events(events) => end,
            end = self.requests() => end,
        }
    }

    /// Waits until the server answers, and listens to it.
    async fn reach(&self) -> Result<Events, End> {
        let begun = Instant::now();
        let mut problem = "it did not answer".to_owned();
        while begun.elapsed() < START_PATIENCE {
            match timeout(HEALTH_PATIENCE, self.http.ask("GET", "/global/health", None)).await {
                Ok(Ok(Answer { status: 200, body })) => match Events::listen(&self.http).await {
                    Ok(events) => {
                        self.told(self.lines.ready(&body).await)?;
                        return Ok(events);
                    }
                    Err(error) => problem = error,
                },
                Ok(Ok(Answer { status: 404, .. })) => {
                    let reason = "this opencode does not know /global/health: it is too old, 1.18 is known to work";
                    return Err(End::Failed(reason.to_owned()));
                }
                Ok(Ok(Answer { status, .. })) => problem = format!("it answered {status}"),
                Ok(Err(error)) => problem = error,
                Err(_) => problem = "it did not answer in time".to_owned(),
            }
            sleep(HEALTH_PAUSE).await;
        }
        Err(End::Failed(format!("opencode serve cannot be reached: {problem}")))
    }

    async fn events(&self, mut events: Events) -> End {
        loop {
            while let Ok(Some(event)) = events.next().await {
                if let Err(end) = self.told(self.lines.event(event).await) {
                    return end;
                }
            }
            events = loop {
                match Events::listen(&self.http).await {
                    Ok(events) => break events,
                    Err(_) => sleep(RECONNECT_PAUSE).await,
                }
            };
            if let Err(end) = self.snapshots().await {
                return end;
            }
        }
    }

    /// Events were missed: what the server says now.
    async fn snapshots(&self) -> Result<(), End> {
        self.told(self.lines.value(&serde_json::json!({ "gap": true })).await)?;
        let Some(session) = self.session.borrow().clone() else {
            return Ok(());
        };
        let messages = format!("/session/{session}/message?limit={SNAPSHOT_MESSAGES}");
        let asked = [
            ("message", messages.as_str()),
            ("permission", "/permission"),
            ("question", "/question"),
            ("status", "/session/status"),
        ];
        for (what, path) in asked {
            let answer = self.ask("GET", path, None).await;
            self.told(self.lines.snapshot(what, &session, &answer).await)?;
        }
        Ok(())
    }

    async fn requests(&self) -> End {
        let mut input = Input::default();
        loop {
            let Request { id, method, path, name, body } = match input.next().await {
                Ok(Some(Ok(request))) => request,
                Ok(Some(Err(problem))) => {
                    match self.told(self.lines.value(&serde_json::json!({ "failed": problem })).await) {
                        Ok(()) => continue,
                        Err(end) => return end,
                    }
                }
                Ok(None) | Err(_) => return End::Unwanted,
            };
            if let Some(session) = path.strip_prefix("/session/").and_then(|rest| rest.split(['/', '?']).next()) {
                self.session.replace(Some(session.to_owned()));
            }
            if let Err(end) = self.told(self.lines.value(&serde_json::json!({ "sent": id })).await) {
                return end;
            }
            let body = match name {
                Some(name) => body.map(|body| lines::named(&body, &message_id(&name))),
                None => body,
            };
            let answer = self.ask(&method, &path, body.as_deref()).await;
            if let Err(end) = self.told(self.lines.answer(&id, &answer).await) {
                return end;
            }
        }
    }

    async fn ask(&self, method: &str, path: &str, body: Option<&RawValue>) -> Result<Answer, String> {
        match timeout(REQUEST_PATIENCE, self.http.ask(method, path, body.map(RawValue::get))).await {
            Ok(answer) => answer,
            Err(_) => Err(format!("opencode did not answer within {} s", REQUEST_PATIENCE.as_secs())),
        }
    }

    /// Who cannot be told anything needs no bridge.
    fn told(&self, written: std::io::Result<()>) -> Result<(), End> {
        written.map_err(|_| End::Unwanted)
    }

    async fn last_line(&self, value: &serde_json::Value) {
        // There may be nobody.
        timeout(LAST_LINE_PATIENCE, self.lines.value(value)).await.ok();
    }
}

/// opencode orders messages by their ids, which begin with the time: 36 bits of milliseconds and a count. This one comes after all
/// that were there, and before opencode's answer, also within its millisecond.
fn message_id(name: &str) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    format!("msg_{:09x}000{name}", now.as_millis() & 0xf_ffff_ffff)
}

/// What asks this process to end. The holder sends it to the server as well.
struct Signals(Vec<(u8, Signal)>);

impl Signals {
    fn new() -> std::io::Result<Self> {
        let kinds = [(1, SignalKind::hangup()), (2, SignalKind::interrupt()), (15, SignalKind::terminate())];
        let signals = kinds.into_iter().map(|(number, kind)| Ok((number, signal(kind)?)));
        signals.collect::<std::io::Result<_>>().map(Self)
    }

    async fn next(&mut self) -> u8 {
        std::future::poll_fn(|context| {
            let came = |(number, signal): &mut (u8, Signal)| signal.poll_recv(context).is_ready().then_some(*number);
            self.0.iter_mut().find_map(came).map_or(std::task::Poll::Pending, std::task::Poll::Ready)
        })
        .await
    }
}
