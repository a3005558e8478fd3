//! Requests: decoded, checked, carried out, answered. A connection's subscriptions and attachments live here.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::ws::Message;
use bytes::Bytes;
use ropewalk_protocol::{
    AttachParams, ClientId, Code, CommandParams, Hello, Rejection, Request, RequestMethod, ResizeParams, Response,
    Size, SubscribeParams, Subscribed, TerminalFrame, TerminalFrameKind, TerminalId, limits, schema,
};
use serde::Serialize;
use serde_json::Value;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::{AbortHandle, JoinSet};

use super::event_frames::EventFrames;
use super::outgoing::{Gone, Outgoing, json};
use super::pumps;
use crate::backend::{Backend, ByteSource, Wire};

/// The answer to a request that has nothing to say.
#[derive(Serialize)]
struct Empty {}

type Presence = Arc<dyn Fn(Option<Size>) + Send + Sync>;

/// Who is at the other end, once it said hello.
struct Client {
    name: String,
    instance: ClientId,
}

struct Attachment {
    /// The pump stops when it is dropped.
    stop: oneshot::Sender<()>,
    presence: Presence,
    view_only: bool,
}

/// The state of one connection: nothing that matters once it is gone.
pub(super) struct Requests<B: Backend> {
    backend: B,
    wire: Wire,
    authenticated: bool,
    /// Shared by all connections.
    frames: Arc<EventFrames>,
    outgoing: Outgoing,
    client: Option<Client>,
    subscriptions: BTreeMap<u64, AbortHandle>,
    next_subscription: u64,
    attachments: BTreeMap<TerminalId, Attachment>,
    in_flight: Arc<Semaphore>,
    /// Besides the requests: a program that does not read must not keep the connection from being read.
    inputs_in_flight: Arc<Semaphore>,
    /// Pumps and answers: they end with the connection.
    tasks: JoinSet<()>,
}

impl<B: Backend> Requests<B> {
    pub(super) fn new(
        backend: B,
        wire: Wire,
        authenticated: bool,
        frames: Arc<EventFrames>,
        outgoing: Outgoing,
    ) -> Self {
        Self {
            backend,
            wire,
            authenticated,
            frames,
            outgoing,
            client: None,
            subscriptions: BTreeMap::new(),
            next_subscription: 1,
            attachments: BTreeMap::new(),
            in_flight: Arc::new(Semaphore::new(limits::REQUESTS_IN_FLIGHT_MAX)),
            inputs_in_flight: Arc::new(Semaphore::new(limits::INPUT_FRAMES_IN_FLIGHT_MAX)),
            tasks: JoinSet::new(),
        }
    }

    pub(super) fn greeted(&self) -> bool {
        self.client.is_some()
    }

    pub(super) fn head(&self) -> ropewalk_protocol::Seq {
        self.backend.head()
    }

    /// A text frame. An error ends the connection.
    pub(super) async fn text(&mut self, text: &str) -> Result<(), Rejection> {
        while self.tasks.try_join_next().is_some() {}
        match decode(text) {
            Ok(Request { id, method, .. }) => self.request(id, method).await,
            Err((id, rejection)) => {
                tracing::warn!(code = %rejection.code.name(), message = %rejection.message, "a frame was refused");
                self.answer::<()>(id, Err(rejection.clone())).await.ok();
                if self.greeted() { Ok(()) } else { Err(rejection) }
            }
        }
    }

    async fn request(&mut self, id: u64, method: RequestMethod) -> Result<(), Rejection> {
        if let RequestMethod::Hello(hello) = method {
            if self.greeted() {
                let rejection = Rejection::new(Code::InvalidRequest, "hello was said before on this connection");
                let hint = "Say hello once; who is somebody else opens another connection.";
                self.answer::<()>(Some(id), Err(rejection.hint(hint))).await.ok();
                return Ok(());
            }
            return self.hello(id, hello).await;
        }
        let Some(client) = &self.client else {
            let rejection = Rejection::new(Code::Unauthenticated, "the first request must be hello");
            self.answer::<()>(Some(id), Err(rejection.clone())).await.ok();
            return Err(rejection);
        };
        match method {
            RequestMethod::Hello(_) => {}
            RequestMethod::Command(params) => {
                let name = client.name.clone();
                self.command(id, params, name).await;
            }
            RequestMethod::Query(query) => {
                let backend = self.backend.clone();
                self.spawn(id, async move { backend.query(query).await }).await;
            }
            RequestMethod::DaemonStop(params) => {
                let backend = self.backend.clone();
                self.spawn(id, async move { backend.stop(params.all).await }).await;
            }
            RequestMethod::Subscribe(params) => self.subscribe(id, &params).await,
            RequestMethod::Unsubscribe(params) => {
                let known = self.subscriptions.remove(&params.subscription).map(|pump| pump.abort());
                let missing = || Rejection::not_found(format_args!("subscription {}", params.subscription));
                self.answer(Some(id), known.map(|()| Empty {}).ok_or_else(missing)).await.ok();
            }
            RequestMethod::TerminalAttach(params) => self.attach(id, params).await,
            RequestMethod::TerminalResize(ResizeParams { terminal, size }) => {
                let resized = size.check().and_then(|()| self.attachment(terminal)).map(|attachment| {
                    if !attachment.view_only {
                        (attachment.presence)(Some(size));
                    }
                    Empty {}
                });
                self.answer(Some(id), resized).await.ok();
            }
            RequestMethod::TerminalDetach(params) => {
                let known = self.attachments.remove(&params.terminal);
                self.answer(Some(id), known.map(|_| Empty {}).ok_or_else(|| not_attached(params.terminal))).await.ok();
            }
        }
        Ok(())
    }

    async fn hello(&mut self, id: u64, hello: Hello) -> Result<(), Rejection> {
        let admitted = match hello.token.as_deref() {
            Some(token) => self.backend.admit(token),
            None if self.authenticated => Ok(self.backend.clone()),
            None => Err(Rejection::new(Code::Unauthenticated, "hello carries no token")),
        };
        match admitted {
            Ok(backend) => self.backend = backend,
            Err(rejection) => {
                let (code, message) = (rejection.code.name(), &rejection.message);
                tracing::warn!(code, message, "a connection was refused");
                self.answer::<()>(Some(id), Err(rejection.clone())).await.ok();
                return Err(rejection);
            }
        }
        let name: String = hello.client.name.chars().take(limits::NAME_BYTES_MAX).collect();
        let nobody = ClientId::from_bytes([0; 16]);
        self.client = Some(Client { name, instance: hello.client.instance.unwrap_or(nobody) });
        self.authenticated = true;
        self.answer(Some(id), Ok(self.backend.welcome())).await.ok();
        Ok(())
    }

    /// Has a command carried out; the connection is not read while too much is in flight.
    async fn command(&self, id: u64, params: CommandParams, client: String) {
        let Ok(permit) = self.in_flight.clone().acquire_owned().await else {
            return;
        };
        // A command goes on without its connection, and must not keep it.
        let outgoing = self.outgoing.downgrade();
        self.backend.command(params, client, move |answer| {
            if let Some(outgoing) = outgoing.upgrade() {
                outgoing.urgent_or_later(response(id, answer), permit);
            }
        });
    }

    /// Carries out what takes time; the connection is not read while too much is in flight.
    async fn spawn<T: Serialize + Send>(
        &mut self,
        id: u64,
        work: impl Future<Output = Result<T, Rejection>> + Send + 'static,
    ) {
        let Ok(permit) = self.in_flight.clone().acquire_owned().await else {
            return;
        };
        let outgoing = self.outgoing.clone();
        self.tasks.spawn(async move {
            let answer = work.await;
            respond(&outgoing, Some(id), answer).await.ok();
            drop(permit);
        });
    }

    async fn subscribe(&mut self, id: u64, params: &SubscribeParams) {
        self.subscriptions.retain(|_, pump| !pump.is_finished());
        if self.subscriptions.len() >= limits::SUBSCRIPTIONS_MAX {
            let rejection =
                Rejection::new(Code::TooLarge, format!("{} subscriptions are open", limits::SUBSCRIPTIONS_MAX));
            self.answer::<()>(Some(id), Err(rejection)).await.ok();
            return;
        }
        match self.backend.subscribe(params, self.wire) {
            Err(rejection) => {
                self.answer::<()>(Some(id), Err(rejection)).await.ok();
            }
            Ok((from, head, events)) => {
                let subscription = self.next_subscription;
                self.next_subscription += 1;
                // The answer goes first: the events name a subscription that the client must know by then.
                self.answer(Some(id), Ok(Subscribed { subscription, from, head })).await.ok();
                let pump =
                    self.tasks.spawn(pumps::events(subscription, events, self.frames.clone(), self.outgoing.clone()));
                self.subscriptions.insert(subscription, pump);
            }
        }
    }

    async fn attach(&mut self, id: u64, params: AttachParams) {
        let (terminal, view_only) = (params.terminal, params.view_only);
        if let Err(rejection) = params.size.map_or(Ok(()), Size::check) {
            self.answer::<()>(Some(id), Err(rejection)).await.ok();
            return;
        }
        // One that has ended is nobody's window any more.
        self.attachments.retain(|_, attachment| !attachment.stop.is_closed());
        if self.attachments.len() >= limits::ATTACHMENTS_MAX && !self.attachments.contains_key(&terminal) {
            let rejection =
                Rejection::new(Code::TooLarge, format!("{} terminals are attached", limits::ATTACHMENTS_MAX));
            self.answer::<()>(Some(id), Err(rejection)).await.ok();
            return;
        }
        match self.backend.attach(params).await {
            Err(rejection) => {
                self.answer::<()>(Some(id), Err(rejection)).await.ok();
            }
            Ok((attached, source)) => {
                // The answer goes with the bytes, behind those of an attachment before it: they carry the terminal's name only.
                let answer = json(&Response::ok(id, attached));
                let presence: Presence = Arc::new(source.presence());
                let (stop, stopped) = oneshot::channel();
                // The one before is present until here: its leaving would give the terminal another's size for a moment.
                self.attachments.insert(terminal, Attachment { stop, presence, view_only });
                self.tasks.spawn(pumps::bytes(terminal, answer, source, stopped, self.outgoing.clone()));
            }
        }
    }

    fn attachment(&self, terminal: TerminalId) -> Result<&Attachment, Rejection> {
        self.attachments.get(&terminal).ok_or_else(|| not_attached(terminal))
    }

    /// A binary frame: input to a terminal.
    pub(super) async fn binary(&mut self, frame: Bytes) -> Result<(), Gone> {
        let length = frame.len();
        match self.input(frame) {
            Ok(()) => Ok(()),
            Err((terminal, rejection)) => {
                tracing::warn!(code = %rejection.code.name(), length, "a binary frame was refused");
                self.outgoing.refused(terminal, rejection).await
            }
        }
    }

    /// Takes input; a refusal says of which terminal it was, if that is known.
    fn input(&mut self, frame: Bytes) -> Result<(), (Option<TerminalId>, Rejection)> {
        while self.tasks.try_join_next().is_some() {}
        let Some(client) = &self.client else {
            return Err((None, Rejection::new(Code::Unauthenticated, "the first frame must be hello")));
        };
        let instance = client.instance;
        let frame = TerminalFrame::decode(frame).map_err(|error| (None, Rejection::invalid(error.to_string())))?;
        let terminal = frame.terminal;
        self.type_in(instance, frame).map_err(|rejection| (Some(terminal), rejection))
    }

    fn type_in(&mut self, instance: ClientId, frame: TerminalFrame) -> Result<(), Rejection> {
        if frame.kind != TerminalFrameKind::Input {
            return Err(Rejection::invalid("a client sends binary frames of kind 2, input, only"));
        }
        if frame.bytes.len() > limits::INPUT_FRAME_BYTES_MAX {
            return Err(Rejection::too_large("input", frame.bytes.len(), limits::INPUT_FRAME_BYTES_MAX));
        }
        let attachment = self.attachment(frame.terminal)?;
        if attachment.view_only {
            return Err(Rejection::new(Code::NotAttached, "this attachment only looks"));
        }
        let Ok(permit) = self.inputs_in_flight.clone().try_acquire_owned() else {
            let message = format!("{} frames of input wait to be written", limits::INPUT_FRAMES_IN_FLIGHT_MAX);
            return Err(Rejection::new(Code::InputRefused, message));
        };
        (attachment.presence)(None);
        let TerminalFrame { terminal, number, bytes, .. } = frame;
        let written = self.backend.input(terminal, instance, number, bytes)?;
        let outgoing = self.outgoing.clone();
        self.tasks.spawn(async move {
            match written.await {
                Ok(()) => {
                    let kind = TerminalFrameKind::InputWritten;
                    let frame = TerminalFrame { kind, terminal, number, bytes: Bytes::new() };
                    outgoing.urgent(Message::Binary(frame.encode())).await.ok();
                }
                Err(rejection) => drop(outgoing.refused(Some(terminal), rejection).await),
            }
            drop(permit);
        });
        Ok(())
    }

    async fn answer<T: Serialize>(&self, id: Option<u64>, answer: Result<T, Rejection>) -> Result<(), Gone> {
        respond(&self.outgoing, id, answer).await
    }
}

async fn respond<T: Serialize>(outgoing: &Outgoing, id: Option<u64>, answer: Result<T, Rejection>) -> Result<(), Gone> {
    match (id, answer) {
        (Some(id), answer) => outgoing.urgent(response(id, answer)).await,
        (None, Err(rejection)) => outgoing.urgent(json(&Response::<()>::err(None, rejection))).await,
        (None, Ok(_)) => Ok(()),
    }
}

fn response<T: Serialize>(id: u64, answer: Result<T, Rejection>) -> Message {
    match answer {
        Ok(result) => json(&Response::ok(id, result)),
        Err(rejection) => json(&Response::<()>::err(Some(id), rejection)),
    }
}

fn not_attached(terminal: TerminalId) -> Rejection {
    Rejection::new(Code::NotAttached, format!("this connection is not attached to terminal {terminal}"))
}

/// Reads a request. What is wrong is told as exactly as can be, with the request's id if it can be read.
fn decode(text: &str) -> Result<Request, (Option<u64>, Rejection)> {
    let error = match Request::from_json(text) {
        Ok(request) if request.jsonrpc == "2.0" => return Ok(request),
        Ok(request) => {
            return Err((Some(request.id), Rejection::new(Code::InvalidRequest, "jsonrpc must be \"2.0\"")));
        }
        Err(error) => error,
    };
    let Ok(value) = serde_json::from_str::<Value>(text) else {
        return Err((None, Rejection::new(Code::ParseError, format!("the frame is not JSON: {error}"))));
    };
    let id = value["id"].as_u64();
    let Some(method) = value["method"].as_str().filter(|_| id.is_some()) else {
        let message = "a request needs jsonrpc, a number as id, method and params";
        return Err((id, Rejection::new(Code::InvalidRequest, message)));
    };
    let rejection = if !schema::method_names().contains(&method) {
        Rejection::new(Code::UnknownMethod, format!("there is no method {:?}", shown(method)))
    } else if error.to_string().contains("unknown variant") {
        Rejection::new(Code::UnknownCommand, error.to_string())
    } else {
        Rejection::invalid(error.to_string())
    };
    Err((id, rejection))
}

fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}
