//! What is written to opencode.

use super::super::super::Starting;
use super::*;

fn written(outgoing: &Outgoing, request: Option<&str>) -> Vec<Value> {
    let bytes = OpenCode.encode(outgoing, request.map(str::as_bytes));
    let text = String::from_utf8(bytes).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_prompt_is_a_message_with_its_turns_name() {
    let prompt = |turn: &str, model: Option<&str>| Outgoing::Prompt {
        turn: turn.to_owned(),
        conversation: Some("ses_a".to_owned()),
        text: "hello".to_owned(),
        model: model.map(str::to_owned),
        mode: Some("plan".to_owned()),
    };
    let name = "01a1fa3c36917abc8def0123456789ab";
    assert_eq!(
        written(&prompt(TURN, Some("fake/a/b")), None),
        [json!({
            "id": format!("prompt:{TURN}"),
            "name": name,
            "method": "POST",
            "path": "/session/ses_a/prompt_async",
            "body": {
                "model": { "providerID": "fake", "modelID": "a/b" },
                "agent": "plan",
                "parts": [{ "type": "text", "text": "hello" }],
            },
        })]
    );
    let plain = written(&prompt("t1", None), None).remove(0);
    assert_eq!((plain.get("name"), plain["body"].get("model")), (None, None));
    assert_eq!(turn_of(&format!("msg_1fa3c3691000{name}")).as_deref(), Some(TURN));
    for other in ["msg_1fa3c3691001y6pr9Rx2mToxNq", "msg_", "msg_1fa3c3691000y1a1fa3c36917abc8def0123456789ab", "é"] {
        assert_eq!(turn_of(other), None, "{other}");
    }
}

#[test]
fn greetings_answers_and_interrupts_are_requests() {
    let greet = |resume: Option<&str>| {
        let resume = resume.map(str::to_owned);
        written(&Outgoing::Greet { step: 0, greeting: Greeting { resume, ..Greeting::default() } }, None)
    };
    assert_eq!(greet(None), [json!({ "id": "greet:0", "method": "POST", "path": "/session", "body": {} })]);
    assert_eq!(
        greet(Some("../x y")),
        [
            json!({ "id": "resume:0", "method": "GET", "path": "/session/%2E%2E%2Fx%20y" }),
            json!({ "id": "resume:1", "method": "GET", "path": "/session/%2E%2E%2Fx%20y/message?limit=50" }),
        ]
    );
    let interrupt = Outgoing::Interrupt { conversation: Some("ses_a".to_owned()), turn: Some("t".to_owned()) };
    let line = json!({ "id": "interrupt:t", "method": "POST", "path": "/session/ses_a/abort", "body": {} });
    assert_eq!(written(&interrupt, None), [line]);

    let answer = |key: &str, answer: Answer, request: &str| {
        let outgoing = Outgoing::Answer { key: key.to_owned(), answer, offset: 0, length: 0 };
        let line = written(&outgoing, Some(request)).remove(0);
        (line["path"].as_str().unwrap().to_owned(), line["body"].clone())
    };
    let permission = r#"{"event":{"type":"permission.asked","properties":{"id":"per_1"}}}"#;
    let path = "/permission/per_1/reply".to_owned();
    let reason = Some("no".to_owned());
    for (given, body) in [
        (Answer::Allow { always: false }, json!({ "reply": "once" })),
        (Answer::Allow { always: true }, json!({ "reply": "always" })),
        (Answer::Deny { reason: None }, json!({ "reply": "reject" })),
        (Answer::Deny { reason }, json!({ "reply": "reject", "message": "no" })),
        (Answer::Choose { option: "always".to_owned() }, json!({ "reply": "always" })),
        (Answer::Choose { option: "?".to_owned() }, json!({ "reply": "reject" })),
    ] {
        assert_eq!(answer("per_1", given, permission), (path.clone(), body));
    }
    let question = r#"{"event":{"properties":{"id":"que_1","questions":[{},{}]}}}"#;
    let text = Answer::Text { text: "a\nb".to_owned() };
    assert_eq!(
        answer("que_1", text, question),
        ("/question/que_1/reply".to_owned(), json!({ "answers": [["a"], ["b"]] }))
    );
    let snapshot = r#"{"snapshot":"question","body":[{"id":"que_0"},{"id":"que_1","questions":[{}]}]}"#;
    let choice = Answer::Choose { option: "a\nb".to_owned() };
    assert_eq!(answer("que_1", choice, snapshot).1, json!({ "answers": [["a\nb"]] }));
    let no = Answer::Deny { reason: None };
    assert_eq!(answer("que_1", no, "garbage"), ("/question/que_1/reject".to_owned(), json!({})));
}

#[test]
fn the_bridge_stands_before_the_command() {
    let greeting = Greeting::default();
    let argv = |command: &[String]| OpenCode.argv(&Starting { command, greeting: &greeting, fresh: String::new() });
    assert_eq!(argv(&[]), ["@self", "opencode-bridge", "--", "opencode"]);
    assert_eq!(
        argv(&["/x/opencode".to_owned(), "-v".to_owned()]),
        ["@self", "opencode-bridge", "--", "/x/opencode", "-v"]
    );
}
