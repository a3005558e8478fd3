//! What is written to codex.

use ropewalk_protocol::{Answer, AskEffect, AskKind};

use super::*;

fn said(outgoing: &Outgoing) -> Vec<Value> {
    said_to(outgoing, None)
}

fn said_to(outgoing: &Outgoing, request: Option<&str>) -> Vec<Value> {
    let bytes = Codex.encode(outgoing, request.map(str::as_bytes));
    let lines = bytes.split_inclusive(|byte| *byte == b'\n');
    lines.map(|line| serde_json::from_slice(line.strip_suffix(b"\n").expect("a whole line")).unwrap()).collect()
}

/// The answer that codex gets, to the question that the parser makes of the request.
fn answered(request: &Value, answer: Answer) -> Value {
    let request = request.to_string();
    let Some(Observed::Asked { key, .. }) = observed(&[&request]).pop() else { panic!("it asks") };
    let [line] = &said_to(&Outgoing::Answer { key, answer, offset: 0, length: 0 }, Some(&request))[..] else {
        panic!("a line")
    };
    line.clone()
}

fn options(request: &Value) -> Vec<(String, AskEffect)> {
    let Some(Observed::Asked { options, .. }) = observed(&[request.to_string()]).pop() else { panic!("it asks") };
    options.into_iter().map(|option| (option.id, option.effect)).collect()
}

fn greeting(resume: Option<&str>, mode: Option<&str>) -> Greeting {
    let (resume, mode) = (resume.map(str::to_owned), mode.map(str::to_owned));
    Greeting { directory: "/srv/w".into(), resume, mode, ..Greeting::default() }
}

fn allow(always: bool) -> Answer {
    Answer::Allow { always }
}

fn deny() -> Answer {
    Answer::Deny { reason: None }
}

fn text(text: &str) -> Answer {
    Answer::Text { text: text.into() }
}

fn choose(option: &str) -> Answer {
    Answer::Choose { option: option.into() }
}

/// What was written to codex in an exchange that was recorded with ids of ours.
fn recorded(exchange: &str, method: &str) -> Value {
    let mut lines = exchange.lines().filter_map(|record| {
        let record: Value = serde_json::from_str(record).unwrap();
        (record["dir"] == ">").then(|| serde_json::from_str::<Value>(record["line"].as_str().unwrap()).unwrap())
    });
    lines.find(|line| line["method"] == method).unwrap()
}

#[test]
fn the_command_line() {
    let greeting = Greeting::default();
    let argv = |command: &[String]| Codex.argv(&Starting { command, greeting: &greeting, fresh: String::new() });
    assert_eq!(argv(&[]), ["codex", "app-server"]);
    assert_eq!(argv(&["npx".into(), "codex".into()]), ["npx", "codex", "app-server"]);
}

#[test]
fn what_we_write_is_what_codex_took() {
    let (settings, resumed) = (exchange!("settings"), exchange!("resumed"));
    let thread = |exchange, method| recorded(exchange, method)["params"]["threadId"].as_str().unwrap().to_owned();
    let conversation = Some(thread(settings, "turn/steer"));
    let greeted = said(&Outgoing::Greet { step: 0, greeting: Greeting::default() });
    assert_eq!(greeted[0]["params"]["capabilities"], recorded(settings, "initialize")["params"]["capabilities"]);
    let resume =
        said(&Outgoing::Greet { step: 1, greeting: greeting(Some(&thread(resumed, "thread/resume")), Some("full")) });
    assert_eq!(resume, [recorded(resumed, "initialized"), recorded(resumed, "thread/resume")]);
    let start = said(&Outgoing::Greet { step: 1, greeting: greeting(None, Some("ask")) });
    assert_eq!(start[1], recorded(exchange!("goal"), "thread/start"));
    let prompt = Outgoing::Prompt {
        turn: "t5".into(),
        conversation: Some(thread(resumed, "turn/start")),
        text: "hi".into(),
        model: None,
        mode: None,
    };
    assert_eq!(said(&prompt), [recorded(resumed, "turn/start")]);
    let (prompt, turn, text) = ("p9".into(), Some("nope".into()), "hi".into());
    assert_eq!(
        said(&Outgoing::Steer { prompt, conversation: conversation.clone(), turn, text }),
        [recorded(settings, "turn/steer")]
    );
    assert_eq!(
        said(&Outgoing::Interrupt { conversation: conversation.clone(), turn: None }),
        [recorded(settings, "turn/interrupt")]
    );
    let (model, mode) = (Some("gpt-5.5".into()), Some("full".into()));
    assert_eq!(said(&Outgoing::Settings { conversation, model, mode }), [recorded(settings, "thread/settings/update")]);
    assert_eq!(said(&Outgoing::Greet { step: 2, greeting: Greeting::default() }), Vec::<Value>::new());
}

#[test]
fn modes_are_words_or_pairs_and_without_one_nothing_is_said() {
    let of = |mode: Option<&str>| {
        let params = said(&Outgoing::Greet { step: 1, greeting: greeting(None, mode) })[1]["params"].clone();
        [params["approvalPolicy"].clone(), params["sandbox"].clone()]
    };
    assert_eq!(of(None), [Value::Null, Value::Null]);
    assert_eq!(of(Some("never")), [json!("never"), Value::Null]);
    assert_eq!(of(Some("untrusted/read-only")), [json!("untrusted"), json!("read-only")]);
    for (word, policy, sandbox) in MODES {
        assert_eq!(of(Some(word)), [json!(policy), json!(sandbox)]);
        assert_eq!(mode_called(policy, policy_type(sandbox)).as_deref(), Some(word), "and it is called so");
    }
    assert_eq!(mode_called("untrusted", "readOnly").as_deref(), Some("untrusted/read-only"));
    assert_eq!(mode_called("", "readOnly"), None);
    assert_eq!(mode_called("never", "externalSandbox"), None);
}

#[test]
fn a_command_is_decided_on_with_what_was_offered() {
    let rule = json!({"acceptWithExecpolicyAmendment": {"execpolicy_amendment": ["touch", "x"]}});
    let host = |action: &str| json!({"applyNetworkPolicyAmendment": {"network_policy_amendment": {"host": "a.b", "action": action}}});
    let offered = json!(["accept", rule, host("deny"), "cancel"]);
    let params = json!({"kind": "command", "command": "touch x", "cwd": "/w", "availableDecisions": offered});
    let request = json!({"id": 0, "method": "item/commandExecution/requestApproval", "params": params});
    let expected = [
        ("accept", AskEffect::Allow),
        ("acceptForSession", AskEffect::AllowAlways),
        ("acceptWithExecpolicyAmendment:0", AskEffect::AllowAlways),
        ("applyNetworkPolicyAmendment:1", AskEffect::DenyAlways),
        ("decline", AskEffect::Deny),
        ("cancel", AskEffect::Other),
    ];
    assert_eq!(options(&request), expected.map(|(id, effect)| (id.to_owned(), effect)));
    let decided = |answer| answered(&request, answer)["result"]["decision"].clone();
    assert_eq!(answered(&request, allow(false)), json!({"id": 0, "result": {"decision": "accept"}}));
    assert_eq!(decided(allow(true)), "acceptForSession");
    assert_eq!(decided(deny()), "decline");
    assert_eq!(decided(choose("cancel")), "cancel");
    assert_eq!(decided(choose("acceptWithExecpolicyAmendment:0")), rule);
    assert_eq!(decided(choose("applyNetworkPolicyAmendment:1")), host("deny"));
    assert_eq!(decided(choose("what nobody offered")), "decline");
    assert_eq!(decided(text("yes, do")), "decline", "words allow nothing");
    let Some(Observed::Asked { detail, .. }) = observed(&[request.to_string()]).pop() else { panic!("it asks") };
    assert_eq!(
        serde_json::from_str::<Value>(&detail).unwrap(),
        json!({"kind": "command", "command": "touch x", "cwd": "/w"})
    );
}

#[test]
fn a_question_that_was_told_again_is_answered_by_its_key() {
    let answer = Outgoing::Answer { key: "3".into(), answer: allow(false), offset: 0, length: 0 };
    let decision = [json!({"id": 3, "result": {"decision": "accept"}})];
    assert_eq!(said_to(&answer, Some(r#"{"method":"turn/completed","params":{}}"#)), decision);
    assert_eq!(said_to(&answer, Some(r#"{"id":4,"method":"item/tool/requestUserInput","params":{}}"#)), decision);
    assert_eq!(said_to(&answer, None), decision);
}

#[test]
fn a_tools_questions_are_answered_by_choice_by_text_and_by_line() {
    let question = |id: &str| json!({"id": id, "question": format!("Which {id}?"), "options": [{"label": "A", "description": "first"}]});
    let request = |ids: &[&str]| {
        let questions: Vec<Value> = ids.iter().map(|id| question(id)).collect();
        json!({"id": "r", "method": "item/tool/requestUserInput", "params": {"questions": questions}})
    };
    let answers = |request: &Value, answer| answered(request, answer)["result"]["answers"].clone();
    let one = request(&["q"]);
    assert_eq!(options(&one), [("A".to_owned(), AskEffect::Other)]);
    assert_eq!(answers(&one, choose("A")), json!({"q": {"answers": ["A"]}}));
    assert_eq!(answers(&one, text("none\nof them")), json!({"q": {"answers": ["none\nof them"]}}));
    assert_eq!(answers(&one, Answer::Deny { reason: Some("later".into()) }), json!({"q": {"answers": ["later"]}}));
    assert_eq!(answers(&one, deny()), json!({}));
    let two = request(&["p", "q"]);
    assert_eq!(options(&two), []);
    let both = json!({"p": {"answers": ["1"]}, "q": {"answers": ["2\n3"]}});
    assert_eq!(answers(&two, text("1\n2\n3")), both);
    assert_eq!(answers(&two, text(r#"{"q": ["a", "b"]}"#)), json!({"q": {"answers": ["a", "b"]}}));
    let Some(Observed::Asked { kind, title, .. }) = observed(&[two.to_string()]).pop() else { panic!("it asks") };
    assert_eq!((kind, title.as_str()), (AskKind::Question, "Which p? / Which q?"));
}

#[test]
fn more_permissions_are_granted_as_they_were_asked_for() {
    let params = json!({"reason": "to fetch", "permissions": {"network": {"enabled": true}, "fileSystem": null}});
    let request = json!({"id": 1, "method": "item/permissions/requestApproval", "params": params});
    let granted = |scope: &str| json!({"permissions": {"network": {"enabled": true}}, "scope": scope});
    assert_eq!(answered(&request, allow(false))["result"], granted("turn"));
    assert_eq!(answered(&request, allow(true))["result"], granted("session"));
    assert_eq!(answered(&request, deny())["result"], json!({"permissions": {}, "scope": "turn"}));
}

#[test]
fn a_tools_server_gets_a_yes_or_a_form() {
    let request = |fields: Value, persist: Value| {
        let schema = json!({"type": "object", "properties": fields});
        let params =
            json!({"mode": "form", "message": "Go on?", "requestedSchema": schema, "_meta": {"persist": persist}});
        json!({"id": 1, "method": "mcpServer/elicitation/request", "params": params})
    };
    let yes = |meta: Value| json!({"action": "accept", "content": null, "_meta": meta});
    let plain = request(json!({}), json!(["session", "always"]));
    assert_eq!(answered(&plain, allow(false))["result"], yes(Value::Null));
    assert_eq!(answered(&plain, allow(true))["result"], yes(json!({"persist": "session"})));
    assert_eq!(answered(&plain, choose("cancel"))["result"]["action"], "cancel");
    assert_eq!(options(&request(json!({}), Value::Null)).len(), 3, "nothing lasts that the server does not offer");
    let form = request(json!({"age": {"type": "number"}, "name": {"type": "string"}}), Value::Null);
    let filled = |answer| answered(&form, answer)["result"].clone();
    assert_eq!(filled(text("7\n8"))["content"], json!({"age": 7, "name": "8"}));
    assert_eq!(filled(text(r#"{"name": "x"}"#)), json!({"action": "accept", "content": {"name": "x"}, "_meta": null}));
    assert_eq!(filled(deny())["action"], "decline");
}

#[test]
fn what_nobody_serves_is_refused_and_nobody_is_asked() {
    let request = json!({"id": 5, "method": "currentTime/read", "params": {"threadId": "t"}}).to_string();
    let key = "5".to_owned();
    assert_eq!(observed(&[&request]), [Observed::Unsupported { key: key.clone() }]);
    let answer = Outgoing::Answer { key, answer: deny(), offset: 0, length: 0 };
    assert_eq!(said_to(&answer, Some(&request))[0]["error"]["code"], -32601);
}
