//! What is written to an agent.

use serde_json::{Value, json};

use super::*;

fn greeting(resume: Option<&str>, model: Option<&str>, mode: Option<&str>) -> Greeting {
    let owned = |text: Option<&str>| text.map(str::to_owned);
    Greeting { directory: "/d".to_owned(), resume: owned(resume), model: owned(model), mode: owned(mode), mcp: None }
}

fn written(outgoing: &Outgoing, request: Option<&str>) -> Vec<Value> {
    let bytes = Acp.encode(outgoing, request.map(str::as_bytes));
    let text = String::from_utf8(bytes).expect("what is written is text");
    assert!(text.is_empty() || text.ends_with('\n'));
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect();
    assert!(lines.iter().all(|line| line["jsonrpc"] == "2.0"));
    lines
}

fn greet(step: u8, greeting: Greeting) -> Vec<Value> {
    written(&Outgoing::Greet { step, greeting }, None)
}

/// The method and the id of each line.
fn named(lines: &[Value]) -> Vec<String> {
    let name =
        |line: &Value| format!("{} {}", line["method"].as_str().unwrap_or("-"), line["id"].as_str().unwrap_or("-"));
    lines.iter().map(name).collect()
}

fn answered(answer: Answer, request: &str) -> Value {
    let outgoing = Outgoing::Answer { key: "0".to_owned(), answer, offset: 0, length: 0 };
    written(&outgoing, Some(request)).remove(0)
}

#[test]
fn the_greeting_opens_or_loads_and_then_sets_what_is_wanted() {
    let first = greet(0, greeting(None, None, None));
    assert_eq!(named(&first), ["initialize greet:0"]);
    assert_eq!(first[0]["params"]["protocolVersion"], 1);
    assert_eq!(first[0]["params"]["clientCapabilities"]["fs"]["writeTextFile"], false);
    let new = greet(1, greeting(None, None, None));
    assert_eq!(named(&new), ["session/new greet:1"]);
    assert_eq!(new[0]["params"], json!({"cwd": "/d", "mcpServers": []}));
    assert_eq!(named(&greet(1, greeting(None, None, Some("plan")))), ["session/new greet:1:settings"]);
    let load = greet(1, greeting(Some("s:1"), None, None));
    assert_eq!(named(&load), ["session/load greet:1:load:s:1"]);
    assert_eq!(load[0]["params"], json!({"sessionId": "s:1", "cwd": "/d", "mcpServers": []}));
    assert_eq!(named(&greet(2, greeting(Some("s"), None, None))), ["_ropewalk/fence greet:2:1"]);
    let settings = greet(3, greeting(Some("s"), Some("m"), Some("plan")));
    let expected = [
        "session/set_model set:4:model:method:m",
        "session/set_config_option set:4:model:option:m",
        "session/set_mode set:4:mode:method:plan",
        "session/set_config_option set:4:mode:option:plan",
    ];
    assert_eq!(named(&settings), expected);
    assert_eq!(settings[1]["params"], json!({"sessionId": "s", "configId": "model", "value": "m"}));
    let both = greet(2, greeting(Some("s"), None, Some("plan")));
    assert_eq!(named(&both).last().map(String::as_str), Some("_ropewalk/fence greet:2:3"));
    assert_eq!(greet(9, greeting(Some("s"), None, None)), Vec::<Value>::new());
}

#[test]
fn prompts_interrupts_and_settings_name_the_session() {
    let conversation = Some("s".to_owned());
    let prompt = Outgoing::Prompt {
        turn: "t".to_owned(),
        conversation: conversation.clone(),
        text: "a\n\"b\"".to_owned(),
        model: None,
        mode: None,
    };
    let prompt = written(&prompt, None);
    assert_eq!(named(&prompt), ["session/prompt prompt:t"]);
    let text = json!([{"type": "text", "text": "a\n\"b\""}]);
    assert_eq!(prompt[0]["params"], json!({"sessionId": "s", "prompt": text}));
    let command = Outgoing::Prompt {
        turn: "t".to_owned(),
        conversation: conversation.clone(),
        text: " /memory list".to_owned(),
        model: None,
        mode: None,
    };
    assert_eq!(named(&written(&command, None)), ["session/prompt command:t"], "it may not ask a model");
    let interrupt = written(&Outgoing::Interrupt { conversation: conversation.clone(), turn: None }, None);
    assert_eq!(interrupt, [json!({"jsonrpc": "2.0", "method": "session/cancel", "params": {"sessionId": "s"}})]);
    let settings = Outgoing::Settings { conversation, model: Some("m".to_owned()), mode: None };
    let expected = ["session/set_model set:0:model:method:m", "session/set_config_option set:0:model:option:m"];
    assert_eq!(named(&written(&settings, None)), expected);
    for nobody in [
        Outgoing::Interrupt { conversation: None, turn: None },
        Outgoing::Steer { prompt: "p".to_owned(), conversation: None, turn: None, text: "x".to_owned() },
    ] {
        assert_eq!(written(&nobody, None), Vec::<Value>::new());
    }
}

#[test]
fn an_option_is_chosen_by_what_it_does() {
    let selected = |option: &str| json!({"outcome": {"outcome": "selected", "optionId": option}});
    let expected = [
        ["allow", "allow_always", "reject"],
        ["allow_once", "accept_execpolicy_amendment", "cancel"],
        ["proceed_once", "proceed_always", "cancel"],
        ["once", "always", "reject"],
        ["proceed_once", "proceed_always_project", "cancel"],
        ["allow_once", "allow_always", "reject_once"],
    ];
    for (exchange, [once, always, reject]) in EXCHANGES.into_iter().zip(expected) {
        let lines = replies(exchange);
        let request = lines.iter().find(|line| line.contains(wire::PERMISSION)).expect("every agent asks");
        assert_eq!(answered(Answer::Allow { always: false }, request)["result"], selected(once));
        assert_eq!(answered(Answer::Allow { always: true }, request)["result"], selected(always));
        assert_eq!(answered(Answer::Deny { reason: Some("no".to_owned()) }, request)["result"], selected(reject));
        assert_eq!(answered(Answer::Choose { option: reject.to_owned() }, request)["result"], selected(reject));
        assert_eq!(answered(Answer::Deny { reason: None }, request)["id"], 0);
    }
}

#[test]
fn nothing_is_allowed_that_nobody_allowed() {
    let cancelled = json!({"outcome": {"outcome": "cancelled"}});
    let request = r#"{"id":"q","method":"session/request_permission","params":{"options":[
        {"optionId":"a","name":"A","kind":"allow_always"}]}}"#;
    assert_eq!(answered(Answer::Allow { always: false }, request)["result"], cancelled, "once is not always");
    assert_eq!(answered(Answer::Deny { reason: None }, request)["result"], cancelled);
    assert_eq!(answered(Answer::Choose { option: "b".to_owned() }, request)["result"], cancelled);
    let odd = r#"{"id":"q","method":"session/request_permission","params":7}"#;
    assert_eq!(answered(Answer::Allow { always: true }, odd)["result"], cancelled);
}

#[test]
fn what_is_not_offered_is_refused() {
    let lines = replies(EXCHANGES[3]);
    let request = lines.iter().find(|line| line.contains("fs/write_text_file")).expect("it asks for files");
    let refused = answered(Answer::Deny { reason: None }, request);
    assert_eq!((&refused["id"], &refused["error"]["code"]), (&json!(5), &json!(-32601)));
    let outgoing =
        Outgoing::Answer { key: "0".to_owned(), answer: Answer::Deny { reason: None }, offset: 0, length: 0 };
    assert_eq!(written(&outgoing, Some("garbage")), Vec::<Value>::new());
    assert_eq!(written(&outgoing, None), Vec::<Value>::new());
}

#[test]
fn well_known_agents_need_only_their_name() {
    let argv = |command: &[&str]| {
        let command: Vec<String> = command.iter().map(|&word| word.to_owned()).collect();
        Acp.argv(&Starting { command: &command, greeting: &Greeting::default(), fresh: String::new() })
    };
    assert_eq!(argv(&["gemini"]), ["gemini", "--acp"]);
    assert_eq!(argv(&["/opt/bin/qwen"]), ["/opt/bin/qwen", "--acp"]);
    assert_eq!(argv(&["opencode"]), ["opencode", "acp"]);
    assert_eq!(argv(&["codex-acp"]), ["codex-acp"]);
    assert_eq!(argv(&["gemini", "--acp", "-m", "x"]), ["gemini", "--acp", "-m", "x"]);
    assert_eq!(argv(&[]), Vec::<String>::new());
}
