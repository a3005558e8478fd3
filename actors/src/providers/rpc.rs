//! JSON-RPC, one message a line: what codex and the agents of ACP speak. Pure.
//!
//! Both sides ask, each with ids of its own: an id is only ever compared with ids of the side that gave it. Some leave the
//! member `jsonrpc` out; nobody is asked for it, and whether it is written is the caller's to say.

use serde_json::{Value, json};

/// A message.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Message {
    /// Something to do, and to answer.
    Request { id: Value, method: String, params: Value },
    /// Something to know.
    Notification { method: String, params: Value },
    /// What became of a request.
    Response { id: Value, result: Value },
    /// Why nothing became of a request. The id is null where even that was not understood.
    Error { id: Value, code: i64, message: String, data: Value },
}

/// The method is none that this side knows.
pub(crate) const METHOD_NOT_FOUND: i64 = -32601;

/// Reads a line. `None`: it is no message.
pub(crate) fn parse(line: &[u8]) -> Option<Message> {
    let Ok(Value::Object(mut members)) = serde_json::from_slice(line) else { return None };
    let mut take = |name: &str| members.remove(name).unwrap_or(Value::Null);
    let id = take("id");
    if !(id.is_string() || id.is_number() || id.is_null()) {
        return None;
    }
    match (take("method"), take("error")) {
        (Value::String(method), _) if id.is_null() => Some(Message::Notification { method, params: take("params") }),
        (Value::String(method), _) => Some(Message::Request { id, method, params: take("params") }),
        (Value::Null, Value::Object(mut error)) => Some(Message::Error {
            id,
            code: error.get("code").and_then(Value::as_i64).unwrap_or_default(),
            message: error.get("message").and_then(Value::as_str).unwrap_or_default().to_owned(),
            data: error.remove("data").unwrap_or(Value::Null),
        }),
        (Value::Null, Value::Null) if !id.is_null() => {
            Some(Message::Response { id, result: members.remove("result")? })
        }
        _ => None,
    }
}

/// A request as a line.
pub(crate) fn request(id: Value, method: &str, params: Value, versioned: bool) -> Vec<u8> {
    line(json!({"id": id, "method": method, "params": params}), versioned)
}

/// A notification as a line; params that are null are left out.
pub(crate) fn notification(method: &str, params: Value, versioned: bool) -> Vec<u8> {
    let message =
        if params.is_null() { json!({"method": method}) } else { json!({"method": method, "params": params}) };
    line(message, versioned)
}

/// The answer to a request as a line.
pub(crate) fn response(id: Value, result: Value, versioned: bool) -> Vec<u8> {
    line(json!({"id": id, "result": result}), versioned)
}

/// The refusal of a request as a line.
pub(crate) fn error(id: Value, code: i64, message: &str, versioned: bool) -> Vec<u8> {
    line(json!({"id": id, "error": {"code": code, "message": message}}), versioned)
}

fn line(mut message: Value, versioned: bool) -> Vec<u8> {
    if versioned {
        message["jsonrpc"] = json!("2.0");
    }
    let mut line = message.to_string().into_bytes();
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        for versioned in [false, true] {
            for id in [json!(0), json!("prompt:1")] {
                let params = json!({"a": [1]});
                let asked = Message::Request { id: id.clone(), method: "m".into(), params: params.clone() };
                assert_eq!(parse(&request(id.clone(), "m", params.clone(), versioned)), Some(asked));
                let done = Message::Response { id: id.clone(), result: Value::Null };
                assert_eq!(parse(&response(id.clone(), Value::Null, versioned)), Some(done));
                let (message, data) = ("no".to_owned(), Value::Null);
                let refused = Message::Error { id: id.clone(), code: METHOD_NOT_FOUND, message, data };
                assert_eq!(parse(&error(id, METHOD_NOT_FOUND, "no", versioned)), Some(refused));
            }
            let told = Message::Notification { method: "m".into(), params: Value::Null };
            assert_eq!(parse(&notification("m", Value::Null, versioned)), Some(told));
        }
    }

    #[test]
    fn the_version_is_written_where_it_is_asked_for() {
        let line = |versioned| String::from_utf8(notification("initialized", Value::Null, versioned)).unwrap();
        assert_eq!(line(false), "{\"method\":\"initialized\"}\n");
        assert_eq!(line(true), "{\"jsonrpc\":\"2.0\",\"method\":\"initialized\"}\n");
    }

    #[test]
    fn what_is_no_message_is_none() {
        let deep = "[".repeat(100_000);
        for line in
            ["", "{}", "[]", "7", "{\"id\":1}", "{\"id\":{},\"method\":\"m\"}", "{\"method\":1}", "\u{7f}", &deep]
        {
            assert_eq!(parse(line.as_bytes()), None, "{line:.20}");
        }
        assert_eq!(parse(b"{\"id\":null,\"result\":1}"), None, "an answer to nothing");
    }
}
