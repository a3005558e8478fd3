//! What agents may say, beyond what was recorded.

use serde_json::{Value, json};

use super::*;

const HELLO: &str = r#"{"id":"greet:0","result":{"protocolVersion":1,"agentInfo":{"version":"1"}}}"#;
const NEW: &str = r#"{"id":"greet:1","result":{"sessionId":"s"}}"#;

fn told_after(before: &[&str], lines: &[String]) -> Vec<String> {
    let mut all: Vec<String> = before.iter().map(|&line| line.to_owned()).collect();
    let skipped = told(&seen(&all)).len();
    all.extend_from_slice(lines);
    told(&seen(&all)).split_off(skipped)
}

fn update(update: Value) -> String {
    json!({"method": "session/update", "params": {"sessionId": "s", "update": update}}).to_string()
}

fn chunk(message: Value, text: &str) -> String {
    update(
        json!({"sessionUpdate": "agent_message_chunk", "messageId": message, "content": {"type": "text", "text": text}}),
    )
}

fn ended(reason: &str) -> String {
    json!({"id": "prompt:t", "result": {"stopReason": reason}}).to_string()
}

fn failed(id: &str, code: i64, message: &str) -> String {
    json!({"id": id, "error": {"code": code, "message": message}}).to_string()
}

#[test]
fn prompts_wait_for_what_was_wanted_and_a_way_that_is_not_offered_does_not_matter() {
    let opened = json!({"id": "greet:1:settings", "result": {"sessionId": "s", "models": {"currentModelId": "a",
        "availableModels": [{"modelId": "a"}]}, "configOptions": [{"id": "mode", "currentValue": "build"}]}});
    let lines = [
        opened.to_string(),
        failed("set:4:model:option:b", -32601, "Method not found"),
        json!({"id": "set:4:model:method:b", "result": {}}).to_string(),
        failed("set:4:mode:method:wild", -32601, "Method not found"),
        failed("set:4:mode:option:wild", -32602, "no such mode"),
    ];
    let warning = "Warning the agent did not take the mode wild: no such mode";
    assert_eq!(told_after(&[HELLO], &lines), ["opened 3 s", warning, "ready s 1 b build"]);
    let later = [
        json!({"id": "set:0:mode:option:plan", "result": {}}).to_string(),
        update(json!({"sessionUpdate": "current_mode_update", "currentModeId": "plan"})),
        failed("set:0:model:method:x", -32601, "Method not found"),
    ];
    let warning = "Warning the agent did not take the model x: Method not found";
    assert_eq!(told_after(&[HELLO, NEW], &later), ["ready - - - plan", warning]);
}

#[test]
fn of_two_ways_that_are_offered_one_that_is_taken_is_enough() {
    // codex-acp 2.6.0: a model by its name alone is an option's value, and no method's.
    let opened = json!({"id": "greet:1:settings", "result": {"sessionId": "s", "models": {"currentModelId": "a[low]",
        "availableModels": [{"modelId": "a[low]"}]}, "configOptions": [{"id": "model", "currentValue": "a"}]}});
    let reason = "Unsupported format of modelId: b. Expected: modelId[effort].";
    let taken = |id: &str| json!({"id": id, "result": {}}).to_string();
    let lines = [
        opened.to_string(),
        taken("set:2:model:option:b"),
        failed("set:2:model:method:b", -32603, reason),
        failed("set:0:model:method:c", -32603, reason),
        taken("set:0:model:option:c"),
        failed("set:0:model:method:d", -32603, "unknown"),
        failed("set:0:model:option:d", -32603, "no such model"),
    ];
    let warning = "Warning the agent did not take the model d: no such model";
    assert_eq!(told_after(&[HELLO], &lines), ["opened 3 s", "ready s 1 b -", "ready - - c -", warning]);
}

/// As codex-acp 2.6.0 tells it.
#[test]
fn what_is_cut_failed_and_is_said_again() {
    let info = |status: Value, details: &str| {
        let info = json!({"responseStreamDisconnected": {"httpStatusCode": status}});
        let error = json!({"message": "Reconnecting... 1/1", "codexErrorInfo": info, "additionalDetails": details,
            "misalignment": null, "turnId": "01a200f9-21d5-7321-8cf6-52d6d24bacb5", "willRetry": true});
        update(json!({"sessionUpdate": "session_info_update", "_meta": {"codex": {"error": error}}}))
    };
    let cut = "stream disconnected before completion: Transport error: network error: error decoding response body";
    let limit = "exceeded retry limit, last status: 429 Too Many Requests";
    let lines = [
        chunk(json!("msg_1"), "hi"),
        info(Value::Null, cut),
        info(json!(429), limit),
        chunk(json!("msg_2"), "hi"),
        ended("end_turn"),
    ];
    let expected = [
        "confirmed",
        "+msg_1#1 Text  ",
        "=msg_1#1 Failed \"hi\"",
        &format!("Retry Reconnecting... 1/1: {cut}"),
        &format!("RateLimited Reconnecting... 1/1: {limit}"),
        "+msg_2#2 Text  ",
        "=msg_2#2 Completed \"hi\"",
        "end completed",
    ];
    assert_eq!(told_after(&[HELLO, NEW], &lines), expected);
}

/// As Gemini CLI 0.61.0 tells of a stream that was cut as often as it asks, and of a command of its own.
#[test]
fn a_turn_without_an_answer_of_the_model_failed_unless_the_agent_was_meant() {
    let counts = r#"{"quota":{"token_count":{"input_tokens":0,"output_tokens":0},"model_usage":[]}}"#;
    let reply = |id: &str| format!(r#"{{"id":"{id}","result":{{"stopReason":"end_turn","_meta":{counts}}}}}"#);
    let told = |id: &str| told_after(&[HELLO, NEW], &[chunk(Value::Null, "This text breaks off "), reply(id)]);
    let reason = "end failed: the model gave no whole answer, and the agent ended the turn";
    assert_eq!(told("prompt:t")[2..], ["=chunks#1 Failed \"This text breaks off \"", reason]);
    assert_eq!(told("command:t")[2..], ["=chunks#1 Completed \"This text breaks off \"", "end completed"]);
}

#[test]
fn who_cannot_be_worked_with_is_refused() {
    let refused = |before: &[&str], line: String| told_after(before, &[line]).remove(0);
    let version = "refused the agent speaks version 2 of the Agent Client Protocol, this build speaks 1";
    assert_eq!(refused(&[], json!({"id": "greet:0", "result": {"protocolVersion": 2}}).to_string()), version);
    let unknown = refused(&[HELLO], failed("greet:1:load:x", -32002, "Resource not found: x"));
    assert_eq!(unknown, "refused the agent did not load session x: Resource not found: x");
    let nameless = refused(&[HELLO], json!({"id": "greet:1", "result": {}}).to_string());
    assert_eq!(nameless, "refused the agent gave its session no name");
    let login = r#"{"id":"greet:0","result":{"authMethods":[{"id":"key","name":"API key"}]}}"#;
    let refusal = refused(&[login], failed("greet:1", -32000, "Authentication required"));
    assert_eq!(refusal, "refused the agent opened no session: Authentication required. The agent offers: API key");
}

#[test]
fn a_conversation_that_comes_without_its_history_may_be_another() {
    let lines = [json!({"id": "greet:1:load:x", "result": {}}).to_string(), failed("greet:2:1", -32601, "no")];
    let told = told_after(&[HELLO], &lines);
    assert_eq!(told[0], "opened 2 x");
    assert!(told[1].starts_with("Warning the agent told no history"), "{told:?}");
    assert_eq!(told[2], "ready x 1 - -");
}

#[test]
fn a_turn_ends_as_the_agent_says() {
    for (reason, outcome) in [
        ("end_turn", "completed"),
        ("cancelled", "cancelled"),
        ("refusal", "failed: the model refused"),
        ("max_tokens", "failed: the model reached its limit of tokens"),
        ("max_turn_requests", "failed: the turn reached the agent's limit of requests to the model"),
        ("else", "failed: the agent stopped: else"),
    ] {
        assert_eq!(told_after(&[HELLO, NEW], &[ended(reason)]), [format!("end {outcome}")]);
    }
    let limited = json!({"id": "prompt:t", "error": {"code": 429, "message": "slow", "data": {"details": "down"}}});
    let told = told_after(&[HELLO, NEW], &[limited.to_string()]);
    assert_eq!(told, ["RateLimited slow: down", "end failed: slow: down"]);
}

#[test]
fn texts_end_where_something_else_begins_and_not_where_something_runs_beside() {
    let call = |id: &str| update(json!({"sessionUpdate": "tool_call", "toolCallId": id, "title": id, "kind": "read"}));
    let done = |id: &str| update(json!({"sessionUpdate": "tool_call_update", "toolCallId": id, "status": "completed"}));
    let usage = update(json!({"sessionUpdate": "usage_update", "used": 1, "size": 9}));
    let lines = [
        call("t"),
        chunk(json!("m"), "a"),
        usage,
        done("t"),
        chunk(json!("m"), "b"),
        call("t"),
        done("t"),
        chunk(Value::Null, "c"),
        done("t"),
        chunk(Value::Null, "d"),
        ended("end_turn"),
        chunk(Value::Null, "e"),
    ];
    assert_eq!(
        told_after(&[HELLO, NEW], &lines),
        [
            "confirmed",
            "+t#1 Tool t ",
            "+m#2 Text  ",
            "used Turn 0/0/0 None Some(1)/Some(9)",
            "=t#1 Completed \"\"",
            "=m#2 Completed \"ab\"",
            "+t#3 Tool t ",
            "=t#3 Completed \"\"",
            "+chunks#4 Text  ",
            "=chunks#4 Completed \"c\"",
            "+chunks#5 Text  ",
            "=chunks#5 Completed \"d\"",
            "end completed",
            "confirmed",
            "+chunks#6 Text  ",
        ]
    );
}

#[test]
fn a_tool_of_a_turn_that_is_over_is_not_told_again() {
    let call = update(json!({"sessionUpdate": "tool_call", "toolCallId": "t", "title": "sleep", "kind": "execute"}));
    let late = update(json!({"sessionUpdate": "tool_call_update", "toolCallId": "t", "status": "failed"}));
    let told = told_after(&[HELLO, NEW], &[call, ended("cancelled"), late]);
    assert_eq!(told, ["confirmed", "+t#1 Tool sleep ", "end cancelled"]);
}

#[test]
fn output_is_previewed_while_it_grows_and_whole_at_the_end() {
    let more = |status: &str, text: &str| {
        let content = json!([{"type": "content", "content": {"type": "text", "text": text}}]);
        update(json!({"sessionUpdate": "tool_call_update", "toolCallId": "t", "status": status, "content": content}))
    };
    let call = update(json!({"sessionUpdate": "tool_call", "toolCallId": "t", "title": "ls", "kind": "execute"}));
    let lines = [more("in_progress", "a"), more("in_progress", "ab"), more("in_progress", "x"), more("completed", "y")];
    let mut all = vec![HELLO.to_owned(), NEW.to_owned(), call];
    all.extend(lines);
    let seen = seen(&all);
    let deltas = seen.iter().filter_map(|seen| match seen {
        Observed::Delta { text, .. } => Some(text.as_str()),
        _ => None,
    });
    assert_eq!(deltas.collect::<Vec<_>>(), ["a", "b"], "what took another way is not previewed");
    assert_eq!(text_of(&seen, "t#1"), "y");
}

#[test]
fn a_plan_is_one_item_and_a_sub_agents_work_has_a_parent() {
    let plan = |status: &str| {
        let entries = json!([{"content": "read", "status": "completed"}, {"content": "write", "status": status}]);
        update(json!({"sessionUpdate": "plan", "entries": entries}))
    };
    let told = told_after(&[HELLO, NEW], &[plan("pending"), plan("completed"), ended("end_turn")]);
    assert!(told[1].starts_with("+plan#1 Plan 1 of 2 done [{"), "{told:?}");
    assert!(told[2].starts_with("~plan#1 2 of 2 done [{"), "{told:?}");
    assert_eq!(told[3], "=plan#1 Completed \"- [x] read\\n- [x] write\\n\"");
    let task = update(json!({"sessionUpdate": "tool_call", "toolCallId": "task", "kind": "think"}));
    let inner = update(json!({"sessionUpdate": "tool_call", "toolCallId": "in", "kind": "read",
        "_meta": {"claudeCode": {"parentToolUseId": "task"}}}));
    let seen = seen(&[HELLO.to_owned(), NEW.to_owned(), task, inner]);
    let Some(Observed::ItemStarted { key, parent, .. }) = seen.last() else { panic!("{seen:?}") };
    assert_eq!((key.as_str(), parent.as_deref()), ("in#2", Some("task#1")));
}

#[test]
fn what_is_not_known_is_kept_and_what_is_taken_back_is_closed() {
    let image = update(json!({"sessionUpdate": "agent_message_chunk", "content": {"type": "image", "data": "…"}}));
    let news = update(json!({"sessionUpdate": "news"}));
    let taken_back = json!({"method": "$/cancel_request", "params": {"requestId": 7}}).to_string();
    let lines = [image.clone(), news.clone(), taken_back, "Loading…".to_owned(), failed("7", 1, "x")];
    let told = told_after(&[HELLO, NEW], &lines);
    let last = format!("Opaque {}", lines[4]);
    let expected =
        ["confirmed", &format!("Opaque {image}"), &format!("Opaque {news}"), "closed 7", "Opaque Loading…", &last];
    assert_eq!(told, expected);
}
