//! The envelope: requests, responses and refusals in JSON-RPC's shape.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::params::*;
use crate::{Code, Query, Rejection, Seq};

/// A request from a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Request {
    /// `"2.0"`.
    pub jsonrpc: String,
    /// The client's number for this request; the response carries it.
    pub id: u64,
    /// What is asked.
    #[serde(flatten)]
    pub method: RequestMethod,
}

impl Request {
    /// A request with this number.
    pub fn new(id: u64, method: RequestMethod) -> Self {
        Self { jsonrpc: "2.0".to_owned(), id, method }
    }

    /// Reads a request. Commands, which come often, are read without the detour that an unknown method's parameters need.
    ///
    /// # Errors
    /// The text is not JSON, or not a request of this build.
    pub fn from_json(text: &str) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct Outline<'a> {
            jsonrpc: String,
            id: u64,
            #[serde(borrow)]
            method: std::borrow::Cow<'a, str>,
            #[serde(borrow)]
            params: &'a serde_json::value::RawValue,
        }
        if let Ok(Outline { jsonrpc, id, method, params }) = serde_json::from_str(text)
            && method == "command"
            && let Ok(params) = serde_json::from_str(params.get())
        {
            return Ok(Self { jsonrpc, id, method: RequestMethod::Command(params) });
        }
        serde_json::from_str(text)
    }
}

/// A method and its parameters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "method", content = "params")]
pub enum RequestMethod {
    /// Says who the client is. The first request on a connection, and said once: a second one is refused with
    /// `invalid_request`. Answered with [`Welcome`].
    #[serde(rename = "hello")]
    Hello(Hello),
    /// Asks for a change. Answered with `{seq, result}`.
    #[serde(rename = "command")]
    Command(CommandParams),
    /// Asks a question. Answered with `{at, result}`.
    #[serde(rename = "query")]
    Query(Query),
    /// Follows events. Answered with [`Subscribed`].
    #[serde(rename = "subscribe")]
    Subscribe(SubscribeParams),
    /// Stops following. Answered with `{}`.
    #[serde(rename = "unsubscribe")]
    Unsubscribe(UnsubscribeParams),
    /// Follows a terminal's bytes, in place of an attachment of this connection that is there; one that is refused leaves that
    /// one as it is. Answered with [`Attached`].
    #[serde(rename = "terminal.attach")]
    TerminalAttach(AttachParams),
    /// Says how large this attachment's window is. Answered with `{}`.
    #[serde(rename = "terminal.resize")]
    TerminalResize(ResizeParams),
    /// Stops following a terminal. Answered with `{}`.
    #[serde(rename = "terminal.detach")]
    TerminalDetach(DetachParams),
    /// Stops the daemon. Answered with [`Stopped`].
    #[serde(rename = "daemon.stop")]
    DaemonStop(StopParams),
}

impl RequestMethod {
    /// The names of all methods.
    pub const NAMES: &[&str] = &[
        "hello",
        "command",
        "query",
        "subscribe",
        "unsubscribe",
        "terminal.attach",
        "terminal.resize",
        "terminal.detach",
        "daemon.stop",
    ];
}

/// A response to a request: `result` or `error`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(bound(deserialize = "T: Deserialize<'de>"))]
pub struct Response<T> {
    /// `"2.0"`.
    pub jsonrpc: String,
    /// The request's number; null when it could not be read.
    pub id: Option<u64>,
    /// What was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<T>,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorObject>,
}

impl<T> Response<T> {
    /// A response that carries a result.
    pub fn ok(id: u64, result: T) -> Self {
        Self { jsonrpc: "2.0".to_owned(), id: Some(id), result: Some(result), error: None }
    }

    /// A response that carries a refusal.
    pub fn err(id: Option<u64>, rejection: Rejection) -> Self {
        Self { jsonrpc: "2.0".to_owned(), id, result: None, error: Some(rejection.into()) }
    }
}

/// A refusal in JSON-RPC's shape.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ErrorObject {
    /// The code's number.
    pub code: i32,
    /// What is wrong, in a sentence.
    pub message: String,
    /// More.
    pub data: ErrorData,
}

/// The details of a refusal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ErrorData {
    /// The code's stable name. A name that this build does not know is read as `internal`.
    #[serde(deserialize_with = "known_code")]
    pub reason: Code,
    /// The same request may succeed later.
    pub retryable: bool,
    /// What to do next.
    pub hint: String,
    /// The place in the log that the refusal refers to.
    #[serde(default)]
    pub seq: Option<Seq>,
    /// What matched, where more than one thing did.
    #[serde(default)]
    pub matches: Vec<String>,
}

fn known_code<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Code, D::Error> {
    let name = String::deserialize(deserializer)?;
    Ok(Code::ALL.iter().copied().find(|code| code.name() == name).unwrap_or(Code::Internal))
}

impl From<Rejection> for ErrorObject {
    fn from(rejection: Rejection) -> Self {
        let Rejection { code, message, hint, seq, matches } = rejection;
        let data = ErrorData { reason: code, retryable: code.retryable(), hint, seq, matches };
        Self { code: code.number(), message, data }
    }
}

impl From<ErrorObject> for Rejection {
    fn from(error: ErrorObject) -> Self {
        let ErrorObject { message, data: ErrorData { reason, hint, seq, matches, .. }, .. } = error;
        Self { code: reason, message, hint, seq, matches }
    }
}
