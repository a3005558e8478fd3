//! What is written: the command line, prompts, settings, and answers to what was asked.

use super::*;

fn allow(always: bool) -> Answer {
    Answer::Allow { always }
}

fn deny(reason: &str) -> Answer {
    Answer::Deny { reason: Some(reason.to_owned()) }
}

#[test]
fn answers_are_the_lines_that_the_program_was_answered_with() {
    let asks = asks(PERMISSIONS);
    let lines = written(PERMISSIONS, "control_response");
    assert_eq!(answered(&asks[0].1, allow(false)), lines[0]);
    assert_eq!(answered(&asks[1].1, deny("Denied by ropewalk")), lines[1]);
    assert_eq!(answered(&asks[1].1, Answer::Choose { option: "allow".into() }), answered(&asks[1].1, allow(false)));
    assert_eq!(answered(&asks[1].1, Answer::Text { text: "no".into() }), answered(&asks[1].1, deny("no")));
    let message = &answered(&asks[1].1, Answer::Deny { reason: None })["response"]["response"]["message"];
    assert_eq!(message, "The user denied this.");
    let seen = seen(PERMISSIONS);
    assert_eq!(ends(&seen)["toolu_d0295239e7c44f8f9faf3e"], ItemStatus::Completed);
    assert_eq!(ends(&seen)["toolu_b186b26ccd54419e83d8b8"], ItemStatus::Declined);
    assert_eq!(text_of(&seen, "toolu_b186b26ccd54419e83d8b8"), "Denied by ropewalk");
}

#[test]
fn a_permission_names_its_tool_and_its_options() {
    let (asked, _) = asks(PERMISSIONS).remove(1);
    let Observed::Asked { item, kind, title, detail, options, .. } = asked else { panic!("{asked:?}") };
    assert_eq!((item.as_deref(), kind), (Some("toolu_b186b26ccd54419e83d8b8"), AskKind::Permission));
    assert_eq!(title, "Bash: run a scripted command");
    assert!(detail.contains("touch denied.txt"));
    let effects: Vec<AskEffect> = options.iter().map(|option| option.effect).collect();
    assert_eq!(effects, [AskEffect::Allow, AskEffect::AllowAlways, AskEffect::Deny]);
    assert!(options[1].name.contains("Bash(touch denied.txt)"), "{}", options[1].name);
    // What another dialect suggests are no rules.
    let (asked, _) = asks(QWEN).remove(0);
    let Observed::Asked { options, .. } = asked else { panic!("{asked:?}") };
    assert_eq!(options.len(), 2);
}

#[test]
fn always_is_for_the_process_and_not_for_the_users_settings() {
    let (_, line) = asks(ALWAYS).remove(0);
    let answer = answered(&line, allow(true));
    let updates = answer["response"]["response"]["updatedPermissions"].as_array().unwrap();
    assert!(updates.iter().all(|update| update["destination"] == "session"), "{updates:?}");
    let recorded = &written(ALWAYS, "control_response")[0]["response"]["response"]["updatedPermissions"];
    assert_eq!(&updates[0], &recorded[0], "the rule that the program took: it did not ask again");
    assert!(updates.iter().all(|update| update["type"] != "setMode"), "more than was asked for");
    assert_eq!(asks(ALWAYS).len(), 1);
    // Where a mode is all that is suggested, it is taken.
    let (_, line) = asks(BACKGROUND).into_iter().find(|(_, line)| line.contains("\"Write\"")).unwrap();
    let updates = &answered(&line, allow(true))["response"]["response"]["updatedPermissions"];
    assert_eq!(updates, &json!([{"type": "setMode", "mode": "acceptEdits", "destination": "session"}]));
}

#[test]
fn questions_are_answered_each_with_its_line() {
    let (asked, line) = asks(BACKGROUND).into_iter().find(|(_, line)| line.contains("AskUserQuestion")).unwrap();
    assert!(matches!(&asked, Observed::Asked { kind: AskKind::Question, title, .. } if title == "Pick one? / And?"));
    let answers = written(BACKGROUND, "control_response");
    let recorded = answers.iter().find(|line| line.to_string().contains("\"answers\"")).unwrap();
    assert_eq!(&answered(&line, Answer::Text { text: "free text\nC, D\n".into() }), recorded);
}

#[test]
fn one_question_with_options_is_a_choice() {
    let line = json!({"type": "control_request", "request_id": "q1", "request": {
        "subtype": "can_use_tool", "tool_name": "AskUserQuestion", "tool_use_id": "t1",
        "input": {"questions": [{"question": "Pick one?", "options": [{"label": "A", "description": "a"}, {"label": "B"}]}]},
    }});
    let line = line.to_string();
    let seen = parsed(std::slice::from_ref(&line));
    let Observed::Asked { key, kind: AskKind::Choice, options, .. } = &seen[0] else { panic!("{seen:?}") };
    assert_eq!(key, "q1");
    let names: Vec<_> = options.iter().map(|option| (option.id.as_str(), option.name.as_str())).collect();
    assert_eq!(names, [("A", "A: a"), ("B", "B")]);
    let answer = answered(&line, Answer::Choose { option: "B".into() });
    assert_eq!(answer["response"]["response"]["updatedInput"]["answers"], json!({"Pick one?": "B"}));
    assert_eq!(answered(&line, deny("no"))["response"]["response"]["behavior"], "deny");
}

#[test]
fn what_a_sub_agent_asks_for_outlives_the_turn() {
    let asks = asks(BACKGROUND);
    let key = "f0575429-cb9e-4f50-88e3-993a04c65a3a";
    let of_key = asks.iter().filter(|(asked, _)| super::key(asked) == Some(key)).collect::<Vec<_>>();
    let [(_, request), (again, line)] = of_key[..] else { panic!("{of_key:?}") };
    assert!(line.contains("\"type\":\"result\""), "it is asked again when the turn is over");
    let Observed::Asked { options, .. } = again else { panic!("{again:?}") };
    let effects: Vec<AskEffect> = options.iter().map(|option| option.effect).collect();
    assert_eq!(effects, [AskEffect::Allow, AskEffect::Deny]);
    // Without the request there is nothing to allow but what was asked for, and the key is all that is known of it.
    let outgoing = |answer| Outgoing::Answer { key: key.to_owned(), answer, offset: 0, length: 0 };
    let bytes = Claude.encode(&outgoing(allow(false)), Some(line.as_bytes()));
    let recorded = &written(BACKGROUND, "control_response")[0];
    assert_eq!(&serde_json::from_slice::<Value>(&bytes).unwrap(), recorded, "the program took it so");
    let closed = seen(BACKGROUND).iter().filter(|seen| **seen == Observed::AskClosed { key: key.to_owned() }).count();
    assert_eq!(closed, 1, "when the program gives the answer back");
    assert_eq!(answered(request, allow(false))["response"]["request_id"], key);
}

#[test]
fn what_is_not_known_is_refused_and_never_left_waiting() {
    let line = r#"{"type":"control_request","request_id":"e1","request":{"subtype":"elicitation","message":"?"}}"#;
    let seen = parsed(&[line.to_owned()]);
    assert_eq!(seen, [Observed::Unsupported { key: "e1".into() }]);
    let answer = answered(line, Answer::Deny { reason: None });
    assert_eq!((&answer["response"]["subtype"], &answer["response"]["request_id"]), (&json!("error"), &json!("e1")));
    // A request that is lost is still answered, by its key.
    let answer = answered("garbage", allow(true));
    assert_eq!(
        answer["response"],
        json!({"subtype": "success", "request_id": "a key", "response": {"behavior": "allow"}})
    );
}

#[test]
fn a_conversation_is_begun_or_gone_on_with() {
    let fixed = "-p --input-format stream-json --output-format stream-json --verbose --include-partial-messages \
                 --replay-user-messages --permission-prompt-tool stdio";
    let argv = |command: &[String], greeting: &Greeting| {
        Claude.argv(&Starting { command, greeting, fresh: "f".to_owned() }).join(" ")
    };
    let fresh = Greeting { model: Some("m".into()), mode: Some("plan".into()), ..Greeting::default() };
    assert_eq!(argv(&[], &fresh), format!("claude {fixed} --model m --permission-mode plan --session-id f"));
    let resumed = Greeting { resume: Some("c".into()), ..Greeting::default() };
    assert_eq!(argv(&["qwen".into(), "-x".into()], &resumed), format!("qwen -x {fixed} --resume c"));
}

#[test]
fn what_is_written_is_what_was_recorded() {
    let line = |outgoing: &Outgoing| serde_json::from_slice::<Value>(&Claude.encode(outgoing, None)).unwrap();
    let greeted = line(&Outgoing::Greet { step: 0, greeting: Greeting::default() });
    assert_eq!(greeted, written(BACKGROUND, "control_request")[0]);
    assert!(Claude.encode(&Outgoing::Greet { step: 1, greeting: Greeting::default() }, None).is_empty());
    let turn = "0192f0c1-2b7a-7c3e-8d11-5a2f3c4d5e18".to_owned();
    let prompt =
        Outgoing::Prompt { turn, conversation: None, text: "[[plain next]]".to_owned(), model: None, mode: None };
    assert_eq!(line(&prompt), written(TWICE, "user")[1]);
    let turn = Some("0192f0c1-2b7a-7c3e-8d11-5a2f3c4d5e10".to_owned());
    assert_eq!(line(&Outgoing::Interrupt { conversation: None, turn }), written(TAKEN_BACK, "control_request")[1]);
    let settings = Outgoing::Settings { conversation: None, model: Some("m".into()), mode: Some("plan".into()) };
    let lines = String::from_utf8(Claude.encode(&settings, None)).unwrap();
    let asked: Vec<Value> =
        lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["request"].take()).collect();
    let mode = json!({"subtype": "set_permission_mode", "mode": "plan"});
    assert_eq!(asked, [json!({"subtype": "set_model", "model": "m"}), mode]);
}
