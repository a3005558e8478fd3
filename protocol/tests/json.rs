//! JSON samples, a file for each group in `json/`: what other languages' clients are written against.
//!
//! Each is what we write, reads back as the same value, and keeps the schema that `/schema.json` serves.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use jsonschema::Validator;
use proptest::prelude::*;
use ropewalk_protocol::record::{NewEvent, decode_event};
use ropewalk_protocol::schema::json_schema;
use ropewalk_protocol::{
    Attached, Cause, Code, Command, CommandAnswer, ErrorObject, Event, EventBody, EventWriter, ItemId, ItemText,
    Notification, Query, QueryAnswer, Rejection, Request, RequestMethod, Response, Seq, SessionAnnotated, Stopped,
    Subscribed, Timestamp, Welcome,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::golden::{read_or_write, tests_directory};
use crate::samples;

/// A validator of one definition of the generated schema.
pub(crate) fn validator(definition: &str) -> Validator {
    let mut schema = json_schema();
    assert!(!schema["$defs"][definition].is_null(), "the schema does not define {definition}");
    let object = schema.as_object_mut().expect("a schema is an object");
    for key in ["type", "properties", "required", "title", "description"] {
        object.remove(key);
    }
    object.insert("$ref".to_owned(), json!(format!("#/$defs/{definition}")));
    jsonschema::draft202012::new(&schema).expect("the schema itself is valid")
}

/// Names that the schema gives to the variants of a tagged enum.
pub(crate) fn variants(definition: &str, tag: &str) -> BTreeSet<String> {
    fn collect(value: &Value, tag: &str, names: &mut BTreeSet<String>) {
        names.extend(value["properties"][tag]["const"].as_str().map(str::to_owned));
        for key in ["oneOf", "anyOf"] {
            value[key].as_array().into_iter().flatten().for_each(|inner| collect(inner, tag, names));
        }
    }
    let mut names = BTreeSet::new();
    collect(&json_schema()["$defs"][definition], tag, &mut names);
    names
}

fn check_group<T, N>(group: &str, definition: &str, samples: Vec<(N, T)>)
where
    T: Serialize + DeserializeOwned + PartialEq + Debug,
    N: Into<String>,
{
    let samples: Vec<(String, T)> = samples.into_iter().map(|(name, value)| (name.into(), value)).collect();
    let written: Map<String, Value> = samples
        .iter()
        .map(|(name, value)| (name.clone(), serde_json::to_value(value).expect("our own values encode")))
        .collect();
    assert_eq!(written.len(), samples.len(), "two samples have one name");
    let path = tests_directory().join("json").join(format!("{group}.json"));
    let pretty = || serde_json::to_string_pretty(&written).expect("a value encodes") + "\n";
    let text = read_or_write(&path, pretty).unwrap_or_else(|error| panic!("{error}"));
    let file: Map<String, Value> = serde_json::from_str(&text).expect("the file is JSON");
    let names = |map: &Map<String, Value>| map.keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(names(&file), names(&written), "{group}.json has other samples than samples.rs");
    let validator = validator(definition);
    for (name, value) in &samples {
        assert_eq!(file[name], written[name], "{group}: {name} is written otherwise than the file says");
        let read: T =
            serde_json::from_value(file[name].clone()).unwrap_or_else(|error| panic!("{group}: {name}: {error}"));
        assert_eq!(read, *value, "{group}: {name} reads back as something else");
        let errors: Vec<String> =
            validator.iter_errors(&file[name]).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(errors.is_empty(), "{group}: {name} breaks the schema: {errors:#?}");
    }
}

#[test]
fn requests_of_every_method_are_as_their_samples() {
    let samples = samples::requests();
    let sampled: BTreeSet<&str> = samples.iter().map(|(name, _)| name.split(',').next().unwrap_or(name)).collect();
    assert_eq!(sampled, RequestMethod::NAMES.iter().copied().collect());
    assert_eq!(variants("Request", "method"), sampled.into_iter().map(str::to_owned).collect());
    let requests = (1..).zip(samples).map(|(id, (name, method))| (name, Request::new(id, method))).collect();
    check_group::<Request, _>("requests", "Request", requests);
}

#[test]
fn every_command_is_as_its_sample() {
    let sampled = samples::commands().iter().map(|(_, command)| command.name().to_owned()).collect();
    assert_eq!(variants("Command", "type"), sampled);
    for (_, command) in samples::commands() {
        assert_eq!(serde_json::to_value(&command).expect("encodes")["type"], command.name());
        command.check().unwrap_or_else(|error| panic!("{}: {error}", command.name()));
    }
    check_group::<Command, _>("commands", "Command", samples::commands());
}

#[test]
fn every_query_is_as_its_sample() {
    let sampled = samples::queries().iter().map(|(_, query)| query.name().to_owned()).collect();
    assert_eq!(variants("Query", "type"), sampled);
    for (_, query) in samples::queries() {
        assert_eq!(serde_json::to_value(&query).expect("encodes")["type"], query.name());
    }
    check_group::<Query, _>("queries", "Query", samples::queries());
}

#[test]
fn every_notification_is_as_its_sample() {
    let names = samples::notifications().into_iter().map(|(name, _)| name.split(',').next().unwrap_or(name).to_owned());
    assert_eq!(variants("Notification", "method"), names.collect());
    check_group::<Notification, _>("notifications", "Notification", samples::notifications());
}

#[test]
fn every_event_is_as_its_sample() {
    let names: BTreeSet<String> = EventBody::KINDS.iter().map(|(_, name, _)| (*name).to_owned()).collect();
    assert_eq!(variants("Event", "type"), names);
    let named = samples::bodies().into_iter().zip(samples::events());
    let named = named.map(|((suffix, body), event)| (format!("{}{suffix}", body.name()), event)).collect();
    check_group::<Event, _>("events", "Event", named);
}

/// The hot path writes the JSON of an event by hand, from the event and from its record.
#[test]
fn an_event_is_written_as_serde_writes_it() {
    let mut events = samples::events();
    let mut odd = events[0].clone();
    odd.cause = Some(Cause { client: "a \"quoted\"\n\u{7}\\ name – ü".to_owned(), ..samples::cause() });
    odd.at = Timestamp::from_unix_micros(0);
    odd.body = SessionAnnotated { text: (0..=0x2ff).filter_map(char::from_u32).collect() }.into();
    events.push(odd.clone());
    for stream in ["machine", &format!("{}/terminal:{}", odd.stream, odd.stream.session().unwrap())] {
        events.push(Event { stream: stream.parse().unwrap(), ..odd.clone() });
    }
    // Neighbours within a second, in others, before and behind what has a text.
    for micros in [1, 999_999, 1_000_000, 90_061_000_010, 253_402_300_799_999_999, 253_402_300_800_000_000, u64::MAX, 5]
    {
        events.push(Event { at: Timestamp::from_unix_micros(micros), ..odd.clone() });
    }
    odd.body = serde_json::from_value(json!({"type": "new.\"kind\"", "data": {"a": [1, null, "\n"]}})).unwrap();
    assert!(matches!(odd.body, EventBody::Unknown(_)));
    events.push(odd);
    let mut writer = EventWriter::default();
    for event in events {
        let written = written(|json| writer.event(&event, json));
        assert_eq!(written, serde_json::to_string(&event).unwrap());
        let record = record_of(&event);
        let read = decode_event(event.seq, &record).unwrap();
        let written = self::written(|json| writer.record(event.seq, &record, json).unwrap());
        assert_eq!(written, serde_json::to_string(&read).unwrap());
        let mut refused = Vec::new();
        assert!(writer.record(event.seq, &record[..record.len() - 1], &mut refused).is_err() && refused.is_empty());
    }
}

fn record_of(event: &Event) -> Vec<u8> {
    let Event { stream, at, cause, body, .. } = event.clone();
    NewEvent { stream, at, cause, body }.encode()
}

/// What is written behind something else.
fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut written = b"behind what is there: ".to_vec();
    write(&mut written);
    let text = String::from_utf8(written).expect("JSON is UTF-8");
    text.strip_prefix("behind what is there: ").expect("it stays").to_owned()
}

proptest! {
    /// Wherever something to escape stands, and however long what is before it and behind it.
    #[test]
    fn text_is_escaped_as_serde_escapes_it(text in r#"([ -~]{0,70}|["\\\x00-\x1f\x7f]|\PC{0,40}){0,12}"#) {
        let body = ItemText { item: ItemId::from_bytes([3; 16]), first: true, text }.into();
        let event = Event { body, ..samples::events()[0].clone() };
        let record = record_of(&event);
        let mut json = Vec::new();
        EventWriter::default().record(event.seq, &record, &mut json).unwrap();
        prop_assert_eq!(String::from_utf8(json).unwrap(), serde_json::to_string(&event).unwrap());
    }
}

#[test]
fn responses_of_every_kind_are_as_their_samples() {
    let mut responses: BTreeMap<String, Value> = BTreeMap::new();
    let mut add = |name: String, value: Value| assert!(responses.insert(name.clone(), value).is_none(), "{name} twice");
    fn ok<T: Serialize + DeserializeOwned + PartialEq + Debug>(result: T) -> Value {
        let response = Response::ok(7, result);
        let value = serde_json::to_value(&response).expect("encodes");
        assert_eq!(serde_json::from_value::<Response<T>>(value.clone()).expect("decodes"), response);
        value
    }
    add("hello".to_owned(), ok::<Welcome>(samples::welcome()));
    let bare = Welcome {
        daemon: ropewalk_protocol::DaemonInfo { holder_pid: None, holder_answers: None, ..samples::daemon_info() },
        ..samples::welcome()
    };
    add("hello, without a holder".to_owned(), ok::<Welcome>(bare));
    for (name, result) in samples::command_results() {
        add(format!("command: {name}"), ok(CommandAnswer { seq: Seq(300), result }));
    }
    for (name, result) in samples::query_results() {
        add(format!("query: {name}"), ok(QueryAnswer { at: Seq(300), result }));
    }
    add("subscribe".to_owned(), ok(Subscribed { subscription: 3, from: Seq(17), head: Seq(300) }));
    let attached = Attached { offset: 1, end: 2, size: samples::SIZE, snapshot: true, closed_at: Some(2) };
    add("terminal.attach".to_owned(), ok(attached.clone()));
    add("terminal.attach, open".to_owned(), ok(Attached { closed_at: None, snapshot: false, ..attached }));
    let stopped = Stopped { pid: 4242, ended: vec![samples::SESSION], running: vec![samples::OTHER_SESSION] };
    add("daemon.stop".to_owned(), ok(stopped));
    let empty = ok(json!({}));
    for name in ["unsubscribe", "terminal.resize", "terminal.detach"] {
        add(name.to_owned(), empty.clone());
    }
    let sampled: BTreeSet<_> = samples::query_results()
        .into_iter()
        .map(|(name, _)| name.split(',').next().unwrap_or(name).to_owned())
        .collect();
    assert_eq!(variants("QueryResult", "type"), sampled);
    let sampled: BTreeSet<_> = samples::command_results()
        .into_iter()
        .map(|(name, _)| name.split(',').next().unwrap_or(name).to_owned())
        .collect();
    assert_eq!(variants("CommandResult", "type"), sampled);
    check_group::<Value, _>("responses", "Responses", responses.into_iter().collect());
}

#[test]
fn rejections_with_every_code_are_as_their_samples() {
    let mut rejections: Vec<(String, Response<CommandAnswer>)> = Vec::new();
    for (name, rejection) in samples::rejections() {
        let object = ErrorObject::from(rejection.clone());
        assert_eq!(object.code, rejection.code.number());
        assert_eq!(object.data.retryable, rejection.code.retryable());
        assert_eq!(Rejection::from(object), rejection);
        rejections.push((name, Response::err(Some(7), rejection)));
    }
    let unreadable = Rejection::new(Code::ParseError, "the frame is not JSON");
    rejections.push(("without a request".to_owned(), Response::err(None, unreadable)));
    check_group("rejections", "Responses", rejections);
}

#[test]
fn the_schema_refuses_what_is_no_request() {
    let validator = validator("Request");
    let wrong = [
        json!({"jsonrpc": "2.0", "id": 1, "method": "no.such.method", "params": {}}),
        json!({"jsonrpc": "2.0", "method": "query", "params": {"type": "log.stats"}}),
        json!({"jsonrpc": "2.0", "id": -1, "method": "query", "params": {"type": "log.stats"}}),
        json!({"jsonrpc": "2.0", "id": 1, "method": "query", "params": {"type": "no.such.query"}}),
        json!({"jsonrpc": "2.0", "id": 1, "method": "query", "params": {"type": "session.get"}}),
        json!({"jsonrpc": "2.0", "id": 1, "method": "command", "params": {"command": {"type": "session.create"}}}),
        json!({"jsonrpc": "2.0", "id": 1, "method": "subscribe", "params": {"after": "yesterday"}}),
        json!({"jsonrpc": "2.0", "id": 1, "method": "subscribe", "params": {}}),
        json!([]),
    ];
    for value in wrong {
        assert!(!validator.is_valid(&value), "the schema lets {value} through");
        serde_json::from_value::<Request>(value.clone()).expect_err(&format!("{value} reads as a request"));
    }
}

#[test]
fn a_command_says_the_same_whatever_its_spacing_and_field_order() {
    use ropewalk_protocol::record::command_digest;
    let mut digests = BTreeSet::new();
    for (name, command) in samples::commands() {
        let value = serde_json::to_value(&command).expect("encodes");
        let mut turned = String::from("{ ");
        let fields: Vec<String> = value
            .as_object()
            .expect("an object")
            .iter()
            .rev()
            .map(|(key, value)| format!("{key:?} :\n{value}"))
            .collect();
        turned.push_str(&fields.join(" , "));
        turned.push('}');
        let read: Command = serde_json::from_str(&turned).unwrap_or_else(|error| panic!("{name}: {error}: {turned}"));
        assert_eq!(command_digest(&read), command_digest(&command), "{name}");
        assert!(digests.insert(command_digest(&command)), "{name} has the digest of another command");
    }
    let mut program = samples::program();
    let before = command_digest(&samples::bare_create(Some(program.clone())));
    program.environment.insert("X".to_owned(), "1".to_owned());
    let after = command_digest(&samples::bare_create(Some(program)));
    assert_ne!(before, after, "the environment is part of what a command says");
}
