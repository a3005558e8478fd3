//! A stand-in for the model servers: Anthropic Messages, OpenAI Responses and Chat, Gemini, on a port of its own.
//!
//! What it answers is told by the prompt itself (`directives.rs`), so that one server serves every agent and every
//! scenario. It remembers what it was asked and how that ended; a test waits for that instead of sleeping.

mod anthropic;
mod chat;
mod directives;
mod gemini;
mod http;
mod reply;
mod responses;
mod served;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::BufReader;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use uuid::Uuid;

pub(crate) use self::reply::{AFTER_TOOL, INPUT_TOKENS, OUTPUT_TOKENS, PLAIN, TITLE};
use self::reply::{Answer, Asked, End, Reply};

/// One family of APIs: it reads requests into `Asked`, and says a `Reply` in its own words.
trait Dialect: Sync {
    fn read(&self, path: &str, body: &Value) -> Asked;
    /// The events before the first block.
    fn begin(&self, reply: &Reply) -> String;
    fn open(&self, reply: &Reply, at: usize) -> String;
    fn delta(&self, reply: &Reply, at: usize, chunk: &str) -> String;
    fn close(&self, reply: &Reply, at: usize) -> String;
    fn end(&self, reply: &Reply) -> String;
    /// The event of an error in the middle of a stream.
    fn broken(&self) -> String;
    /// The answer that is not streamed.
    fn whole(&self, reply: &Reply) -> Value;
    /// The body of an HTTP error.
    fn failure(&self, status: u16) -> Value;
}

/// What was asked, and how it ended.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) path: String,
    /// It declares tools: a turn of the agent, not a title that it asks for beside.
    pub(crate) is_turn: bool,
    /// The model that is asked for.
    pub(crate) model: String,
    /// The last user text that has a directive, else the last one.
    pub(crate) prompt: String,
    pub(crate) body: Value,
    pub(crate) outcome: Outcome,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It has not.
    Open,
    Answered,
    /// With this HTTP status.
    Refused(u16),
    /// The stand-in broke it off, as told.
    Broken,
    /// The agent closed the connection before its answer was whole: a cancel has reached the model.
    Disconnected,
}

/// The server. It stops when this is dropped; what is open then is cut.
pub(crate) struct Model {
    port: u16,
    state: Arc<watch::Sender<State>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct State {
    requests: Vec<Request>,
    failures: VecDeque<Failure>,
    open_gates: BTreeSet<String>,
}

/// What happens to a turn, whatever its prompt says.
#[derive(Debug)]
enum Failure {
    Refused(u16, Vec<(String, String)>),
    /// The connection is closed at the end of the answer's last text, as after `[[drop]]`.
    Cut,
}

impl Model {
    /// Starts it, on a thread of its own: it answers also while a test blocks.
    pub(crate) fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(watch::Sender::new(State::default()));
        let (stop, stopped) = oneshot::channel();
        let shared = Arc::clone(&state);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).unwrap();
                tokio::select! {
                    () = accept(listener, shared) => {}
                    _ = stopped => {}
                }
            });
        });
        Self { port, state, stop: Some(stop), thread: Some(thread) }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// All requests, in the order in which they came.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.state.borrow().requests.clone()
    }

    /// The requests with this in their prompt that are turns of an agent.
    pub(crate) fn turns(&self, text: &str) -> Vec<Request> {
        let requests = self.requests().into_iter();
        requests.filter(|request| request.is_turn && request.prompt.contains(text)).collect()
    }

    /// How many requests the agents gave up: proof that a cancel has reached the model.
    pub(crate) fn disconnected(&self) -> usize {
        self.requests().iter().filter(|request| request.outcome == Outcome::Disconnected).count()
    }

    /// Waits until this holds of the requests.
    pub(crate) async fn wait_for(&self, holds: impl Fn(&[Request]) -> bool) {
        let mut receiver = self.state.subscribe();
        receiver.wait_for(|state| holds(&state.requests)).await.unwrap();
    }

    /// The next turn that is asked for is refused with this status, whatever its prompt says; once per call.
    pub(crate) fn fail_next(&self, status: u16, headers: &[(&str, &str)]) {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.state.send_modify(|state| state.failures.push_back(Failure::Refused(status, headers)));
    }

    /// The next turn that is asked for breaks off with the connection, before its answer is whole; once per call.
    pub(crate) fn cut_next(&self) {
        self.state.send_modify(|state| state.failures.push_back(Failure::Cut));
    }

    /// Lets go on what waits, or will wait, at a `[[gate NAME]]`.
    pub(crate) fn open_gate(&self, name: &str) {
        self.state.send_modify(|state| {
            state.open_gates.insert(name.to_owned());
        });
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        self.stop.take();
        self.thread.take().map(std::thread::JoinHandle::join);
    }
}

async fn accept(listener: TcpListener, state: Arc<watch::Sender<State>>) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(serve(stream, Arc::clone(&state)));
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(stream: TcpStream, state: Arc<watch::Sender<State>>) {
    stream.set_nodelay(true).ok();
    let (from, mut to) = stream.into_split();
    let mut from = BufReader::new(from);
    let Some(request) = http::read(&mut from).await else {
        return;
    };
    let dialect = dialect(&request);
    let asked = dialect.map(|dialect| dialect.read(&request.path, &request.body)).unwrap_or_default();
    let is_turn = !asked.tools.is_empty();
    let (model, prompt) = (asked.model.clone(), asked.prompt().unwrap_or_default().to_owned());
    let (mut at, mut failure) = (0, None);
    state.send_modify(|state| {
        at = state.requests.len();
        failure = if is_turn { state.failures.pop_front() } else { None };
        let http::Request { path, body, .. } = request;
        state.requests.push(Request { path, is_turn, model, prompt, body, outcome: Outcome::Open });
    });
    let path = state.borrow().requests[at].path.clone();
    let done = async {
        match (dialect, failure) {
            (Some(dialect), Some(Failure::Refused(status, headers))) => {
                http::answer(&mut to, status, &headers, &dialect.failure(status)).await?;
                Ok(Outcome::Refused(status))
            }
            (Some(dialect), Some(Failure::Cut)) => answer(&mut to, dialect, &asked, &state, true).await,
            (Some(dialect), None) => answer(&mut to, dialect, &asked, &state, false).await,
            (None, _) => beside(&mut to, &path).await,
        }
    };
    let outcome = tokio::select! {
        biased;
        outcome = done => outcome.unwrap_or(Outcome::Disconnected),
        () = http::gone(&mut from) => Outcome::Disconnected,
    };
    state.send_modify(|state| state.requests[at].outcome = outcome);
}

fn dialect(request: &http::Request) -> Option<&'static dyn Dialect> {
    if request.method != "POST" {
        return None;
    }
    match request.path.as_str() {
        "/v1/messages" => Some(&anthropic::Messages),
        "/v1/responses" => Some(&responses::Responses),
        "/v1/chat/completions" => Some(&chat::Chat),
        path if path.starts_with("/v1beta/models/") && path.to_ascii_lowercase().ends_with("generatecontent") => {
            Some(&gemini::Gemini)
        }
        _ => None,
    }
}

/// What agents ask besides.
async fn beside(to: &mut OwnedWriteHalf, path: &str) -> std::io::Result<Outcome> {
    let (status, body) = match path {
        "/v1/messages/count_tokens" => (200, json!({"input_tokens": INPUT_TOKENS})),
        path if path.ends_with(":countTokens") => (200, json!({"totalTokens": INPUT_TOKENS})),
        _ => (404, json!({"error": {"type": "not_found_error", "message": "the stand-in has no such page"}})),
    };
    http::answer(to, status, &[], &body).await?;
    Ok(if status == 200 { Outcome::Answered } else { Outcome::Refused(status) })
}

async fn answer(
    to: &mut OwnedWriteHalf,
    dialect: &dyn Dialect,
    asked: &Asked,
    state: &watch::Sender<State>,
    is_cut: bool,
) -> std::io::Result<Outcome> {
    match asked.answer(Uuid::now_v7().simple().to_string()) {
        Answer::Say(reply) if is_cut => {
            let reply = Reply { end: End::Cut, ..reply };
            if asked.stream { stream(to, dialect, &reply, state).await } else { Ok(Outcome::Broken) }
        }
        Answer::Hang => std::future::pending().await,
        Answer::Refuse(status) => {
            http::answer(to, status, &[], &dialect.failure(status)).await?;
            Ok(Outcome::Refused(status))
        }
        Answer::Say(reply) if asked.stream => stream(to, dialect, &reply, state).await,
        Answer::Say(reply) => {
            for block in &reply.blocks {
                pass(block.gate.as_deref(), state).await;
                let pauses = u32::try_from(block.chunks.len()).unwrap_or(u32::MAX);
                tokio::time::sleep(block.pause.saturating_mul(pauses)).await;
            }
            http::answer(to, 200, &[], &dialect.whole(&reply)).await?;
            Ok(Outcome::Answered)
        }
    }
}

async fn stream(
    to: &mut OwnedWriteHalf,
    dialect: &dyn Dialect,
    reply: &Reply,
    state: &watch::Sender<State>,
) -> std::io::Result<Outcome> {
    http::begin(to).await?;
    http::more(to, &dialect.begin(reply)).await?;
    for (at, block) in reply.blocks.iter().enumerate() {
        pass(block.gate.as_deref(), state).await;
        http::more(to, &dialect.open(reply, at)).await?;
        for (number, chunk) in block.chunks.iter().enumerate() {
            if number > 0 && block.pause > Duration::ZERO {
                tokio::time::sleep(block.pause).await;
            }
            http::more(to, &dialect.delta(reply, at, chunk)).await?;
        }
        if at + 1 < reply.blocks.len() || reply.end == End::Done {
            http::more(to, &dialect.close(reply, at)).await?;
        }
    }
    match reply.end {
        End::Done => http::end(to, &dialect.end(reply)).await?,
        End::Fails => http::end(to, &dialect.broken()).await?,
        End::Cut => {}
    }
    Ok(if reply.end == End::Done { Outcome::Answered } else { Outcome::Broken })
}

async fn pass(gate: Option<&str>, state: &watch::Sender<State>) {
    if let Some(gate) = gate {
        state.subscribe().wait_for(|state| state.open_gates.contains(gate)).await.ok();
    }
}

/// One server-sent event without a name.
fn data(event: &Value) -> String {
    format!("data: {event}\n\n")
}

/// The texts of a content that is a string or a list of parts.
fn texts(content: &Value) -> Vec<String> {
    match content {
        Value::String(text) => vec![text.clone()],
        Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

/// An array's elements; none of anything else.
fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
