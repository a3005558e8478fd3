//! The stand-in itself: a request in by hand, its events out.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use serde_json::{Value, json};

use super::{AFTER_TOOL, Model, Outcome, PLAIN, TITLE};
use crate::harness::block_on;

struct Answered {
    status: u16,
    /// The data of the events; of an answer that is not streamed, its body.
    events: Vec<Value>,
    /// It did not break off.
    is_whole: bool,
}

impl Answered {
    /// The strings at this place of the events, as one.
    fn text(&self, pointer: &str) -> String {
        self.events.iter().filter_map(|event| event.pointer(pointer)?.as_str()).collect()
    }

    fn event(&self, kind: &str) -> &Value {
        self.events.iter().find(|event| event["type"] == kind).unwrap()
    }
}

fn send(model: &Model, path: &str, body: &Value) -> TcpStream {
    let mut stream = TcpStream::connect(model.url().trim_start_matches("http://")).unwrap();
    let body = body.to_string();
    write!(stream, "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{body}", body.len()).unwrap();
    stream
}

fn ask(model: &Model, path: &str, body: &Value) -> Answered {
    let mut text = String::new();
    send(model, path, body).read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    if !head.contains("chunked") {
        return Answered { status, events: vec![serde_json::from_str(body).unwrap()], is_whole: true };
    }
    let data = body.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]");
    let events = data.map(|data| serde_json::from_str(data).unwrap()).collect();
    Answered { status, events, is_whole: body.ends_with("\r\n0\r\n\r\n") }
}

fn messages(prompt: &str) -> Value {
    json!({
        "model": "claude-x", "stream": true,
        "tools": [{"name": "Bash", "input_schema": {"properties": {"command": {"type": "string"}}}}],
        "messages": [{"role": "user", "content": [{"type": "text", "text": prompt}]}],
    })
}

#[test]
fn anthropic_messages() {
    let model = Model::start();
    let answered = ask(&model, "/v1/messages?beta=true", &messages("[[think]] [[twotools ls -l]]"));
    assert_eq!(answered.text("/delta/thinking"), "Let me think about this step by step. First, nothing. Second, done.");
    assert_eq!(answered.text("/delta/partial_json"), r#"{"command":"ls -l"}"#.repeat(2));
    assert_eq!(answered.text("/delta/stop_reason"), "tool_use");
    assert_eq!(answered.event("message_start")["message"]["model"], "claude-x");
    assert_eq!(answered.events.last().unwrap()["type"], "message_stop");

    let mut body = messages("[[bash ls]]");
    let call = json!({"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "Bash", "input": {}}]});
    let result = json!({"type": "tool_result", "tool_use_id": "a", "content": [{"type": "text", "text": "a.txt"}]});
    body["messages"].as_array_mut().unwrap().extend([call, json!({"role": "user", "content": [result]})]);
    body["stream"] = json!(false);
    let answered = ask(&model, "/v1/messages", &body);
    assert_eq!(answered.text("/content/0/text"), format!("{AFTER_TOOL}a.txt"));

    let broken = ask(&model, "/v1/messages", &messages("[[miderr]]"));
    assert_eq!(broken.events.last().unwrap()["error"]["type"], "overloaded_error");
    assert!(broken.events.iter().all(|event| event["type"] != "content_block_stop"));
    let counted = ask(&model, "/v1/messages/count_tokens", &json!({}));
    assert_eq!(counted.events[0]["input_tokens"], super::INPUT_TOKENS);
}

#[test]
fn openai_responses() {
    let model = Model::start();
    let user =
        |text: &str| json!({"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]});
    let exec = json!({"type": "function", "name": "exec_command", "parameters": {"properties": {"cmd": {}}}});
    let patch = json!({"type": "custom", "name": "apply_patch"});
    let mut body =
        json!({"model": "gpt-x", "stream": true, "tools": [exec], "input": [user("[[think]] [[bash ls -l]]")]});
    let answered = ask(&model, "/v1/responses", &body);
    let response = &answered.event("response.completed")["response"];
    assert_eq!(response["output"][3]["arguments"], r#"{"cmd":"ls -l"}"#);
    assert_eq!(response["usage"]["output_tokens"], super::OUTPUT_TOKENS);
    assert!(answered.text("/delta").ends_with(r#"{"cmd":"ls -l"}"#));

    // The newest models' tools are an item of the input.
    body["tools"] = json!([]);
    body["input"] = json!([{"type": "additional_tools", "tools": [exec, patch]}, user("[[write a.txt b]]")]);
    let answered = ask(&model, "/v1/responses", &body);
    let call = &answered.event("response.completed")["response"]["output"][1];
    assert_eq!((call["type"].as_str(), call["name"].as_str()), (Some("custom_tool_call"), Some("apply_patch")));

    let call = json!({"type": "custom_tool_call", "call_id": "a", "name": "apply_patch", "input": ""});
    let result = json!({"type": "custom_tool_call_output", "call_id": "a", "output": "done"});
    body["input"].as_array_mut().unwrap().extend([call, result]);
    let answered = ask(&model, "/v1/responses", &body);
    assert_eq!(answered.text("/delta"), format!("{AFTER_TOOL}done"));

    body["input"] = json!([user("[[miderr]]")]);
    body["tools"] = json!([exec]);
    let broken = ask(&model, "/v1/responses", &body);
    assert_eq!(broken.events.last().unwrap()["type"], "response.failed");
}

#[test]
fn openai_chat() {
    let model = Model::start();
    let function = json!({"name": "bash", "parameters": {"properties": {"command": {}}}});
    let tools = json!([{"type": "function", "function": function}]);
    let mut body = json!({"model": "m", "stream": true, "tools": tools, "messages": [
        {"role": "system", "content": "be brief"}, {"role": "user", "content": "[[think]] [[twotools ls -l]]"},
    ]});
    let answered = ask(&model, "/v1/chat/completions", &body);
    let arguments = answered.text("/choices/0/delta/tool_calls/0/function/arguments");
    assert_eq!(arguments, r#"{"command":"ls -l"}"#.repeat(2));
    assert!(answered.text("/choices/0/delta/reasoning_content").starts_with("Let me think"));
    assert_eq!(answered.text("/choices/0/finish_reason"), "tool_calls");
    assert_eq!(answered.events.last().unwrap()["usage"]["prompt_tokens"], super::INPUT_TOKENS);

    let call = json!({"role": "assistant", "content": null, "tool_calls": []});
    body["messages"].as_array_mut().unwrap().extend([call, json!({"role": "tool", "content": "a.txt"})]);
    body["stream"] = json!(false);
    let answered = ask(&model, "/v1/chat/completions", &body);
    assert_eq!(answered.text("/choices/0/message/content"), format!("{AFTER_TOOL}a.txt"));

    let title = json!({"model": "m", "stream": true, "messages": [{"role": "user", "content": "[[err 500]]"}]});
    assert_eq!(ask(&model, "/v1/chat/completions", &title).text("/choices/0/delta/content"), TITLE);
    assert_eq!(model.turns("").len(), 2, "a title is no turn");
}

#[test]
fn gemini() {
    let model = Model::start();
    let path = "/v1beta/models/gemini-x:streamGenerateContent?alt=sse";
    let declared = json!({"name": "run_shell_command", "parametersJsonSchema": {"properties": {"command": {}}}});
    let mut body = json!({
        "tools": [{"functionDeclarations": [declared]}],
        "contents": [{"role": "user", "parts": [{"text": "[[think]] [[bash ls -l]]"}]}],
    });
    let answered = ask(&model, path, &body);
    let call = answered.events.iter().find_map(|event| event.pointer("/candidates/0/content/parts/0/functionCall"));
    assert_eq!(call.unwrap()["args"], json!({"command": "ls -l"}));
    assert_eq!(answered.text("/candidates/0/finishReason"), "STOP");
    assert_eq!(answered.events[0]["candidates"][0]["content"]["parts"][0]["thought"], true);

    let call = json!({"role": "model", "parts": [{"functionCall": {"name": "run_shell_command"}}]});
    let result = json!({"role": "user", "parts": [{"functionResponse": {"response": {"output": "a.txt"}}}]});
    body["contents"].as_array_mut().unwrap().extend([call, result]);
    let answered = ask(&model, "/v1beta/models/gemini-x:generateContent", &body);
    assert_eq!(answered.text("/candidates/0/content/parts/0/text"), format!("{AFTER_TOOL}a.txt"));
    let counted = ask(&model, "/v1beta/models/gemini-x:countTokens", &json!({}));
    assert_eq!(counted.events[0]["totalTokens"], super::INPUT_TOKENS);
}

#[test]
fn errors_and_broken_streams_are_told_apart() {
    let model = Model::start();
    let refused = ask(&model, "/v1/messages", &messages("[[err 429]]"));
    assert_eq!((refused.status, refused.text("/error/type")), (429, "rate_limit_error".to_owned()));
    model.fail_next(500, &[("retry-after", "1")]);
    assert_eq!(ask(&model, "/v1/messages", &messages("[[plain]]")).status, 500);
    let answered = ask(&model, "/v1/messages", &messages("[[plain]]"));
    assert!(answered.is_whole);
    assert_eq!(answered.text("/delta/text"), PLAIN);
    assert!(!ask(&model, "/v1/messages", &messages("[[drop]]")).is_whole);
    assert_eq!(ask(&model, "/nowhere", &json!({})).status, 404);
    block_on(model.wait_for(|requests| requests.iter().all(|request| request.outcome != Outcome::Open)));
    let outcomes: Vec<Outcome> = model.requests().iter().map(|request| request.outcome).collect();
    let refused = |status| Outcome::Refused(status);
    assert_eq!(outcomes, [refused(429), refused(500), Outcome::Answered, Outcome::Broken, refused(404)]);
    assert_eq!(model.requests()[4].path, "/nowhere");
    assert_eq!(model.requests()[3].body["model"], "claude-x");
}

#[test]
fn a_client_that_goes_is_noticed_and_a_gate_holds_until_it_is_opened() {
    let model = Model::start();
    let hangs = send(&model, "/v1/messages", &messages("[[hang]]"));
    let slow = send(&model, "/v1/messages", &messages("[[slow 1000 1000]]"));
    let mut waits = send(&model, "/v1/messages", &messages("[[plain Before]] [[gate go]] [[plain After]]"));
    block_on(model.wait_for(|requests| requests.len() == 3));
    assert_eq!(model.disconnected(), 0);
    hangs.shutdown(Shutdown::Both).unwrap();
    drop(slow);
    block_on(
        model.wait_for(|requests| {
            requests.iter().filter(|request| request.outcome == Outcome::Disconnected).count() == 2
        }),
    );
    assert_eq!(model.disconnected(), 2);
    assert!(model.requests().iter().any(|request| request.outcome == Outcome::Open));
    model.open_gate("go");
    let mut text = String::new();
    waits.read_to_string(&mut text).unwrap();
    assert!(text.contains("Before") && text.contains("After"));
}
