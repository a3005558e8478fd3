//! What an older reader does with a newer writer's words.

use ropewalk_protocol::record::{NewEvent, decode_event};
use ropewalk_protocol::{
    Command, CommandAnswer, Event, EventBody, Notification, Query, QueryAnswer, Request, Response, Seq, UnknownEvent,
    Welcome, codec,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::json::validator;
use crate::samples;

/// Adds a field to every object, but not where a field is an entry (an environment) or a choice (an outcome, an answer, why an agent is held).
fn grow(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields.iter_mut() {
                match (name.as_str(), field) {
                    ("environment", _) => {}
                    ("outcome" | "answer" | "on_ask" | "reason", Value::Object(choice)) => {
                        choice.values_mut().for_each(grow)
                    }
                    (_, field) => grow(field),
                }
            }
            fields.insert("of_the_future".to_owned(), json!({"deep": [1, null, "x"]}));
        }
        Value::Array(items) => items.iter_mut().for_each(grow),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn reads_with_unknown_fields<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(
    definition: &str,
    value: &T,
) {
    let mut grown = serde_json::to_value(value).expect("encodes");
    grow(&mut grown);
    let read: T = serde_json::from_value(grown.clone()).unwrap_or_else(|error| panic!("{error} in {grown}"));
    assert_eq!(read, *value);
    assert!(validator(definition).is_valid(&grown), "the schema of {definition} refuses unknown fields: {grown}");
}

#[test]
fn unknown_fields_are_tolerated_everywhere() {
    for (_, method) in samples::requests() {
        reads_with_unknown_fields("Request", &Request::new(1, method));
    }
    for (_, command) in samples::commands() {
        reads_with_unknown_fields::<Command>("Command", &command);
    }
    for (_, query) in samples::queries() {
        reads_with_unknown_fields::<Query>("Query", &query);
    }
    for (_, notification) in samples::notifications() {
        reads_with_unknown_fields("Notification", &notification);
    }
    for event in samples::events() {
        reads_with_unknown_fields("Event", &event);
    }
    for (_, result) in samples::query_results() {
        reads_with_unknown_fields("Responses", &Response::ok(1, QueryAnswer { at: Seq(1), result }));
    }
    for (_, result) in samples::command_results() {
        reads_with_unknown_fields("Responses", &Response::ok(1, CommandAnswer { seq: Seq(1), result }));
    }
    for (_, rejection) in samples::rejections() {
        reads_with_unknown_fields("Responses", &Response::<CommandAnswer>::err(Some(1), rejection));
    }
    reads_with_unknown_fields::<Response<Welcome>>("Responses", &Response::ok(1, samples::welcome()));
}

#[test]
fn optional_fields_may_be_left_out() {
    let session = samples::SESSION;
    let terminal = samples::TERMINAL;
    for text in [
        r#"{"jsonrpc":"2.0","id":1,"method":"hello","params":{"client":{"name":"a","version":"1"}}}"#.to_owned(),
        r#"{"jsonrpc":"2.0","id":1,"method":"query","params":{"type":"sessions.list"}}"#.to_owned(),
        r#"{"jsonrpc":"2.0","id":1,"method":"query","params":{"type":"events.page"}}"#.to_owned(),
        r#"{"jsonrpc":"2.0","id":1,"method":"query","params":{"type":"daemon.info"}}"#.to_owned(),
        format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"query","params":{{"type":"session.timeline","session":"{session}"}}}}"#
        ),
        format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"query","params":{{"type":"terminal.screen","terminal":"{terminal}"}}}}"#
        ),
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"terminal.attach","params":{{"terminal":"{terminal}"}}}}"#),
        r#"{"jsonrpc":"2.0","id":1,"method":"subscribe","params":{"after":"now"}}"#.to_owned(),
        r#"{"jsonrpc":"2.0","id":1,"method":"subscribe","params":{"after":0}}"#.to_owned(),
        r#"{"jsonrpc":"2.0","id":1,"method":"daemon.stop","params":{}}"#.to_owned(),
        format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"command","params":{{"id":"{}","command":{{"type":"session.create","program":{{"argv":["sh"],"directory":"/"}}}}}}}}"#,
            samples::COMMAND
        ),
    ] {
        serde_json::from_str::<Request>(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        let value: Value = serde_json::from_str(&text).expect("JSON");
        assert!(validator("Request").is_valid(&value), "the schema refuses {text}");
    }
}

#[test]
fn the_method_may_come_after_its_parameters() {
    let text = r#"{"params":{"limit":3,"type":"sessions.list"},"method":"query","id":1,"jsonrpc":"2.0"}"#;
    let request: Request = serde_json::from_str(text).expect("field order does not count");
    assert_eq!(
        request.method,
        ropewalk_protocol::RequestMethod::Query(Query::SessionsList { after: None, limit: Some(3) })
    );
}

fn event_json(name: &str, version: u16, data: &Value) -> Value {
    json!({
        "seq": 9, "stream": format!("session:{}", samples::SESSION), "version": version, "at": samples::AT,
        "cause": null, "type": name, "data": data,
    })
}

#[test]
fn an_unknown_event_is_kept_with_its_type_version_and_data() {
    let data = json!({"a": [1, {"b": "c"}], "big": u64::MAX});
    for (name, version) in [("tool.called", 1), ("session.created", 2), ("session.renamed", 0), ("", 7)] {
        let written = event_json(name, version, &data);
        let event: Event = serde_json::from_value(written.clone()).expect("a newer build's event is readable");
        let expected =
            UnknownEvent { kind: 0, version, name: name.to_owned(), data: data.clone(), payload: Vec::new() };
        assert_eq!(event.body, EventBody::Unknown(expected));
        assert_eq!(event.body.name(), name);
        assert_eq!(serde_json::to_value(&event).expect("encodes"), written, "it is passed on as it came");
        assert!(validator("Event").is_valid(&written), "the schema refuses an event of a newer build");
    }
}

#[test]
fn an_unknown_event_without_data_is_kept() {
    let mut written = event_json("tool.called", 1, &Value::Null);
    written.as_object_mut().expect("an object").remove("data");
    let event: Event = serde_json::from_value(written).expect("data may be left out");
    assert_eq!(event.body.name(), "tool.called");
}

#[test]
fn a_known_event_with_wrong_data_is_an_error() {
    let written = event_json("session.renamed", 1, &json!({"name": 5}));
    serde_json::from_value::<Event>(written).expect_err("a name is text");
}

#[test]
fn an_unknown_stored_event_keeps_its_payload_byte_for_byte() {
    let (kind, version) = (999, 3);
    let unknown = UnknownEvent {
        kind,
        version,
        name: "unknown.999".to_owned(),
        data: Value::Null,
        payload: vec![0, 255, 1, 2, 3, 250, 251, 252, 253],
    };
    let event = NewEvent {
        stream: samples::stream_of(&EventBody::Unknown(unknown.clone())),
        at: samples::AT,
        cause: Some(samples::cause()),
        body: EventBody::Unknown(unknown),
    };
    let bytes = event.encode();
    let read = decode_event(Seq(4), &bytes).expect("it decodes");
    assert_eq!(read, event.clone().at_seq(Seq(4)));
    assert_eq!(event.encode(), bytes);
}

#[test]
fn a_newer_version_of_a_known_kind_is_kept_as_unknown() {
    for (kind, name, version) in EventBody::KINDS {
        let payload = vec![1, 2, 3];
        let newer = UnknownEvent {
            kind: *kind,
            version: version + 1,
            name: format!("unknown.{kind}"),
            data: Value::Null,
            payload: payload.clone(),
        };
        let event = samples::new_event(EventBody::Unknown(newer.clone()));
        let read = decode_event(Seq(1), &event.encode()).expect("it decodes");
        assert_eq!(read.body, EventBody::Unknown(newer), "{name}");
    }
}

#[test]
fn an_unknown_notification_is_an_error_that_names_it() {
    let text = r#"{"jsonrpc":"2.0","method":"of.the.future","params":{"x":1}}"#;
    let error = serde_json::from_str::<Notification>(text).expect_err("this build does not know it");
    assert!(error.to_string().contains("of.the.future"), "{error}");
}

#[test]
fn unknown_commands_queries_and_methods_are_errors_that_name_them() {
    let command = serde_json::from_str::<Command>(r#"{"type":"no.such"}"#).expect_err("unknown");
    let query = serde_json::from_str::<Query>(r#"{"type":"no.such"}"#).expect_err("unknown");
    let request = serde_json::from_str::<Request>(r#"{"jsonrpc":"2.0","id":1,"method":"no.such","params":{}}"#);
    let request = request.expect_err("unknown");
    for error in [command.to_string(), query.to_string(), request.to_string()] {
        assert!(error.contains("no.such"), "{error}");
    }
}

#[test]
fn a_receipt_with_a_code_of_the_future_still_reads() {
    use ropewalk_protocol::record::Receipt;
    use ropewalk_protocol::{Code, Rejection};
    // `Code::AlreadyEnded` is -32014: as a zigzag varint 64027, which no other field here holds.
    let receipt =
        Receipt { digest: [0; 16], seq: Seq(1), outcome: Err(Rejection::new(Code::AlreadyEnded, "it ended")) };
    let mut bytes = receipt.encode();
    let code = codec::encode(&Code::AlreadyEnded.number());
    let at = bytes.windows(code.len()).position(|window| window == code).expect("the code is in the receipt");
    bytes[at..at + code.len()].copy_from_slice(&codec::encode(&-31_999_i32));
    let read = Receipt::decode(&bytes).expect("the receipt reads");
    let rejection = read.outcome.expect_err("it is still a refusal");
    assert_eq!((rejection.code, rejection.message.as_str()), (Code::Internal, "it ended"));
}
