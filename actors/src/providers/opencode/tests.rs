//! Recorded exchanges with opencode 1.18.33 through the parser, and what is written to it.

use ropewalk_protocol::{AskEffect, AskKind, ItemKind, ItemStatus, NoticeKind, TurnOutcome, UsageScope};

mod hostile;
mod written;

use super::super::recorded::{lines, text_of};
use super::super::{Observed, Want};
use super::*;

const PERMISSIONS: &str = include_str!("../../../tests/exchanges/opencode/perm.ndjson");
const CANCELLED: &str = include_str!("../../../tests/exchanges/opencode/cancel.ndjson");
const ERRORS: &str = include_str!("../../../tests/exchanges/opencode/err.ndjson");
/// This one was recorded at the bridge: a choice, a sub-agent, an agent and a model that are not there.
const BRIDGED: &str = include_str!("../../../tests/exchanges/opencode/bridge.ndjson");
const RESUMED: &str = include_str!("../../../tests/exchanges/opencode/resume.ndjson");

/// What the bridge would have written: the exchanges were recorded at the server itself. Each life of the server is a run; of
/// several sessions in a life only the one with this number is ours. Turns are named `t1`, `t2`.
fn bridged(recorded: &str, life: usize, session: usize) -> Vec<String> {
    let (mut lines, mut awaited) = (Vec::new(), Vec::<Option<String>>::new());
    let (mut lives, mut sessions, mut turns, mut ours) = (0, 0, 0, String::new());
    for record in recorded.lines().map(|line| serde_json::from_str::<Value>(line).expect("a record is JSON")) {
        let line = record["line"].as_str().expect("a line is text");
        match record["dir"].as_str() {
            Some("#") if line.starts_with("argv") => lives += 1,
            _ if lives != life => {}
            Some(">") => {
                let mut words = line.splitn(3, ' ');
                let (method, path) = (words.next().unwrap(), words.next().unwrap());
                let id = match path.split('/').collect::<Vec<_>>().as_slice() {
                    ["", "session"] if method == "POST" => {
                        sessions += 1;
                        (sessions == session).then(|| "greet:0".to_owned())
                    }
                    ["", "session", of, "prompt_async"] if ours == *of => {
                        turns += 1;
                        Some(format!("prompt:t{turns}"))
                    }
                    ["", "session", of, "abort"] if ours == *of => Some(format!("interrupt:t{turns}")),
                    ["", "permission", key, "reply"] => Some(format!("answer:{key}")),
                    _ => None,
                };
                lines.extend(id.iter().map(|id| json!({ "sent": id }).to_string()));
                awaited.push(id);
            }
            Some("<") => {
                if let Some(event) = line.strip_prefix("SSE data: ") {
                    lines.push(format!("{{\"event\":{event}}}"));
                } else if let Some(answer) = line.strip_prefix("HTTP ")
                    && let Some(id) = awaited.remove(0)
                {
                    let (status, body) = answer.split_once(' ').unwrap();
                    let body = if body.is_empty() { "null" } else { body };
                    lines.push(format!("{{\"id\":\"{id}\",\"status\":{status},\"body\":{body}}}"));
                    if id == "greet:0" {
                        serde_json::from_str::<Value>(body).unwrap()["id"].as_str().unwrap().clone_into(&mut ours);
                    }
                }
            }
            _ => {}
        }
    }
    lines
}

fn parsed(lines: &[impl AsRef<str>]) -> Vec<Observed> {
    let (mut parser, mut seen) = (OpenCode.parser(), Vec::new());
    lines.iter().for_each(|line| parser.line(line.as_ref().as_bytes(), &mut seen));
    seen
}

fn observed(recorded: &str, life: usize, session: usize) -> Vec<Observed> {
    parsed(&bridged(recorded, life, session))
}

/// What was seen in the turns, each with how it ended.
fn turns(seen: &[Observed]) -> Vec<(Vec<Observed>, TurnOutcome)> {
    let (mut turns, mut open) = (Vec::new(), None::<Vec<Observed>>);
    for observed in seen {
        match observed {
            Observed::Confirmed { .. } | Observed::Began { .. } => {
                assert!(open.replace(Vec::new()).is_none(), "a turn within a turn: {seen:#?}");
            }
            Observed::TurnEnded { outcome } => {
                // A prompt that never became a message fails without having begun.
                let is_early = matches!(outcome, TurnOutcome::Failed { .. });
                assert!(is_early || open.is_some(), "a turn ended twice: {seen:#?}");
                turns.push((open.take().unwrap_or_default(), outcome.clone()));
            }
            other => {
                if let Some(open) = &mut open {
                    open.push(other.clone());
                }
            }
        }
    }
    turns
}

/// Items as whoever folds them reads them: kind, title, text, and how each ended.
fn items(seen: &[Observed]) -> Vec<(ItemKind, String, String, Option<ItemStatus>)> {
    let mut items = Vec::new();
    for observed in seen {
        let Observed::ItemStarted { key, kind, title, .. } = observed else {
            continue;
        };
        let mut item = (*kind, title.clone(), text_of(seen, key), None);
        for observed in seen {
            match observed {
                Observed::ItemChanged { key: of, title, .. } if of == key => item.1.clone_from(title),
                Observed::ItemEnded { key: of, status } if of == key => {
                    assert!(item.3.replace(*status).is_none(), "{key} ended twice");
                }
                _ => {}
            }
        }
        items.push(item);
    }
    items
}

fn item(kind: ItemKind, title: &str, text: &str, status: ItemStatus) -> (ItemKind, String, String, Option<ItemStatus>) {
    (kind, title.to_owned(), text.to_owned(), Some(status))
}

fn opaque(seen: &[Observed]) -> Vec<&Observed> {
    seen.iter().filter(|seen| matches!(seen, Observed::Noticed { kind: NoticeKind::Opaque, .. })).collect()
}

#[test]
fn a_tool_that_is_allowed_runs_and_the_turn_ends_after_the_last_message() {
    let seen = observed(PERMISSIONS, 1, 1);
    assert!(opaque(&seen).is_empty(), "{:#?}", opaque(&seen));
    let Observed::Ready { conversation, .. } = &seen[0] else { panic!("{:?}", seen[0]) };
    assert_eq!(conversation.as_deref(), Some("ses_e05c40cb4ffeyfq6BdofOTwH3n"));
    let told = seen.iter().rev().find(|seen| matches!(seen, Observed::Ready { .. }));
    let Some(Observed::Ready { model, mode, .. }) = told else { panic!() };
    assert_eq!((model.as_deref(), mode.as_deref()), (Some("fake/fake-model"), Some("build")));

    let turns = turns(&seen);
    let (turn, outcome) = &turns[0];
    assert_eq!(*outcome, TurnOutcome::Completed);
    assert_eq!(
        items(turn),
        [
            item(ItemKind::Text, "", "I will run a command now. ", ItemStatus::Completed),
            item(ItemKind::Tool, "bash: touch once.txt", "(no output)", ItemStatus::Completed),
            item(ItemKind::FileChange, "/w/project/once.txt", "/w/project/once.txt", ItemStatus::Completed),
            item(ItemKind::Text, "", "Final answer after the tool. Tool said: (no output)", ItemStatus::Completed),
        ]
    );
    let used: Vec<_> =
        turn.iter().filter_map(|seen| if let Observed::Used(usage) = seen { Some(usage) } else { None }).collect();
    assert_eq!(used.len(), 2, "one for each call of the model");
    let usage = used[0];
    assert_eq!((usage.scope, usage.input_tokens, usage.cached_tokens), (UsageScope::Call, 100, 20));
    assert_eq!((usage.output_tokens, usage.cost_micro_usd, usage.context_tokens), (50, Some(182), Some(150)));
}

#[test]
fn a_permission_is_asked_about_its_tool_call() {
    let seen = observed(PERMISSIONS, 1, 1);
    let asked = seen.iter().find(|seen| matches!(seen, Observed::Asked { .. }));
    let Some(Observed::Asked { key, item, kind, title, detail, options, wants }) = asked else { panic!("{seen:#?}") };
    let called = Want::Called { name: "bash".to_owned() };
    assert_eq!(*wants, [Want::Shell { command: "touch once.txt".to_owned() }, called]);
    assert_eq!((key.as_str(), *kind), ("per_1fa3bf843001nE8NlCU6BpTtpN", AskKind::Permission));
    assert_eq!(item.as_deref(), Some("prt_1fa3bf7fd0015zhhxayk7Q7m31"));
    assert_eq!(title, "bash: touch once.txt");
    let detail: Value = serde_json::from_str(detail).unwrap();
    assert_eq!(detail["metadata"]["command"], "touch once.txt");
    let options: Vec<_> = options.iter().map(|option| (option.id.as_str(), option.effect)).collect();
    let all = [("once", AskEffect::Allow), ("always", AskEffect::AllowAlways), ("reject", AskEffect::Deny)];
    assert_eq!(options, all);
    let closed = Observed::AskClosed { key: key.clone() };
    assert_eq!(seen.iter().filter(|seen| **seen == closed).count(), 1);
}

#[test]
fn a_tool_that_is_refused_ends_the_turn_unless_the_model_is_told_why() {
    let seen = observed(PERMISSIONS, 1, 1);
    let turns = turns(&seen);
    assert_eq!(turns.len(), 3);
    let (refused, outcome) = &turns[1];
    assert_eq!(*outcome, TurnOutcome::Completed);
    let error = "The user rejected permission to use this specific tool call.";
    assert_eq!(items(refused)[1], item(ItemKind::Tool, "bash: touch reject.txt", error, ItemStatus::Declined));
    assert_eq!(items(refused).len(), 2);
    let (told_why, outcome) = &turns[2];
    assert_eq!(*outcome, TurnOutcome::Completed);
    let told_why = items(told_why);
    assert_eq!((told_why[1].0, told_why[1].3), (ItemKind::Tool, Some(ItemStatus::Declined)));
    assert!(told_why[1].2.ends_with("with the following feedback: use another file"), "{told_why:?}");
    assert!(told_why[2].2.starts_with("Final answer after the tool."), "{told_why:?}");
}

#[test]
fn a_turn_that_is_cancelled_ends_once_and_after_its_last_words() {
    let seen = observed(CANCELLED, 1, 1);
    let turns = turns(&seen);
    let outcomes: Vec<_> = turns.iter().map(|(_, outcome)| outcome.clone()).collect();
    assert_eq!(outcomes, [TurnOutcome::Cancelled, TurnOutcome::Cancelled]);
    let said = "tick 0 tick 1 tick 2 tick 3 tick 4 tick 5 tick 6 tick 7 tick 8 ";
    assert_eq!(items(&turns[0].0), [item(ItemKind::Text, "", said, ItemStatus::Completed)]);
    // The question stays open: the core closes it with the turn.
    let pending = items(&turns[1].0);
    assert_eq!(
        pending[1],
        item(ItemKind::Tool, "bash: touch pend.txt", "Tool execution aborted", ItemStatus::Cancelled)
    );
    assert!(turns[1].0.iter().any(|seen| matches!(seen, Observed::Asked { .. })));
    assert!(opaque(&seen).is_empty(), "{:#?}", opaque(&seen));
}

#[test]
fn an_error_of_the_model_fails_the_turn() {
    let seen = observed(ERRORS, 1, 1);
    let turns = turns(&seen);
    let reason = "APIError: scripted 404".to_owned();
    assert_eq!(turns, [(Vec::new(), TurnOutcome::Failed { reason })]);
}

#[test]
fn what_is_tried_again_is_told_with_its_time() {
    let seen = observed(ERRORS, 1, 2);
    let notices: Vec<_> = seen
        .iter()
        .filter_map(|seen| match seen {
            Observed::Noticed { kind, text, until } => {
                Some((*kind, text.as_str(), until.map(|until| until.unix_millis())))
            }
            _ => None,
        })
        .collect();
    assert_eq!(
        notices,
        [
            (NoticeKind::RateLimited, "attempt 1: scripted 429", Some(1_795_199_715_059)),
            (NoticeKind::RateLimited, "attempt 2: scripted 429", Some(1_795_199_720_050)),
        ]
    );
    // It was cancelled while opencode waited: neither an error nor a reason is told.
    assert_eq!(turns(&seen)[0].1, TurnOutcome::Cancelled);
}

#[test]
fn a_text_whose_stream_broke_is_given_up_and_the_next_one_is_another_item() {
    let seen = observed(ERRORS, 1, 3);
    let turns = turns(&seen);
    let partial = "Partial text before trouble. ";
    let both =
        [item(ItemKind::Text, "", partial, ItemStatus::Failed), item(ItemKind::Text, "", partial, ItemStatus::Failed)];
    assert_eq!(items(&turns[0].0), both);
    assert_eq!(turns[0].1, TurnOutcome::Cancelled);
}

#[test]
fn a_choice_that_the_model_offers_is_asked_and_answered() {
    let seen = parsed(&lines(BRIDGED));
    assert!(opaque(&seen).is_empty(), "{:#?}", opaque(&seen));
    let turns = turns(&seen);
    let asked = turns[0].0.iter().find(|seen| matches!(seen, Observed::Asked { .. }));
    let Some(Observed::Asked { key, item: about, kind, title, options, .. }) = asked else { panic!("{turns:#?}") };
    assert_eq!((key.as_str(), *kind, title.as_str()), ("que_2006b50a600172kHrmZPmJSy8n", AskKind::Choice, "Which?"));
    assert_eq!(about.as_deref(), Some("prt_2006b5090001FXOrmBGQKNlDnm"));
    assert_eq!(options.iter().map(|option| option.id.as_str()).collect::<Vec<_>>(), ["A", "B"]);
    assert!(turns[0].0.contains(&Observed::AskClosed { key: key.clone() }));
    let answered =
        "User has answered your questions: \"Which?\"=\"B\". You can now continue with the user's answers in mind.";
    assert_eq!(
        items(&turns[0].0)[1],
        item(ItemKind::Tool, "question: Asked 1 question", answered, ItemStatus::Completed)
    );
}

#[test]
fn what_a_sub_agent_does_is_part_of_the_tool_call_that_began_it() {
    let seen = parsed(&lines(BRIDGED));
    let turns = turns(&seen);
    let (turn, outcome) = &turns[1];
    assert_eq!(*outcome, TurnOutcome::Completed);
    let started: Vec<_> = turn
        .iter()
        .filter_map(|seen| match seen {
            Observed::ItemStarted { key, parent, kind, .. } => Some((key.as_str(), parent.as_deref(), *kind)),
            _ => None,
        })
        .collect();
    let (task, bash) = ("prt_2006b5495001cs6i6RjSr2FJ7T", "prt_2006b55ab00173aJKUs6umiiKL");
    assert_eq!(started[1], (task, None, ItemKind::Tool));
    assert_eq!(started[2].1, Some(task));
    assert_eq!(started[3], (bash, Some(task), ItemKind::Tool));
    assert!(
        turn.iter().any(|seen| matches!(seen, Observed::Asked { item: Some(item), .. } if item == bash)),
        "{turn:#?}"
    );
    // Its calls of the model cost as well, and say nothing of the context.
    let context = |seen: &Observed| if let Observed::Used(usage) = seen { Some(usage.context_tokens) } else { None };
    let context: Vec<_> = turn.iter().filter_map(context).collect();
    assert_eq!(context, [None, None, Some(150), Some(150)]);
}

#[test]
fn what_opencode_cannot_begin_fails_its_turn_and_no_other() {
    let seen = parsed(&lines(BRIDGED));
    let ends =
        seen.iter().filter_map(|seen| if let Observed::TurnEnded { outcome } = seen { Some(outcome) } else { None });
    let reasons: Vec<String> = ends.map(ToString::to_string).collect();
    let agent = "failed: Agent not found: \"nope\". Available agents: build, explore, general, plan";
    assert_eq!(reasons, ["completed", "completed", agent, "failed: Model not found: fake/nope."]);
    assert!(!seen.iter().any(|seen| matches!(seen, Observed::Noticed { .. })), "an error is told once");
}

#[test]
fn a_plan_is_an_item_of_its_own() {
    let event = |properties: Value, kind: &str| {
        json!({ "event": { "id": "evt_1", "type": kind, "properties": properties } }).to_string()
    };
    let seen = parsed(&[
        r#"{"id":"greet:0","status":200,"body":{"id":"ses_a"}}"#.to_owned(),
        event(json!({ "sessionID": "ses_a", "info": { "id": "msg_1", "role": "user" } }), "message.updated"),
        event(
            json!({ "sessionID": "ses_a", "todos": [{ "content": "x", "status": "pending" }, { "content": "y", "status": "completed" }] }),
            "todo.updated",
        ),
    ]);
    assert_eq!(items(&seen), [item(ItemKind::Plan, "", "[ ] x\n[x] y", ItemStatus::Completed)]);
}

/// The record of a conversation whose last turn was cut, with a turn of ours as its last one.
fn record_of(turn: &str) -> Vec<String> {
    let record = RESUMED.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let lines = record.filter_map(|record| record["line"].as_str().map(str::to_owned));
    let mut messages =
        lines.filter_map(|line| line.strip_prefix("HTTP 200 [{\"info\"").map(|rest| format!("[{{\"info\"{rest}")));
    let messages = messages.next_back().expect("the messages were read");
    let ours = format!("msg_1fa3c3691000{}", name_of(turn).unwrap());
    let messages = messages.replace("msg_1fa3c3691001y6pr9Rx2mToxNq", &ours);
    let session = "ses_e05c3ce78ffeZTT0MXuGCluvOW";
    vec![
        r#"{"ready":{"healthy":true,"version":"1.18.33"}}"#.to_owned(),
        json!({ "id": "resume:0", "status": 200, "body": { "id": session } }).to_string(),
        format!("{{\"id\":\"resume:1\",\"status\":200,\"body\":{messages}}}"),
    ]
}

/// An id of a turn from the time of the recording.
const TURN: &str = "01a1fa3c-3691-7abc-8def-0123456789ab";

#[test]
fn the_record_tells_what_became_of_the_last_turn() {
    let seen = parsed(&record_of(TURN));
    let reason = "opencode was cut off in its answer".to_owned();
    let conversation = Some("ses_e05c3ce78ffeZTT0MXuGCluvOW".to_owned());
    let version = Some("1.18.33".to_owned());
    assert_eq!(
        seen,
        [
            Observed::Settled { turn: TURN.to_owned(), outcome: TurnOutcome::Interrupted { reason } },
            Observed::Ready { conversation, version, model: None, mode: None },
        ]
    );
}

#[test]
fn after_the_record_was_read_its_messages_are_no_news() {
    let mut lines = record_of(TURN);
    lines.extend(bridged(RESUMED, 2, 0));
    let told = parsed(&lines).len();
    let stale = r#"{"event":{"type":"message.updated","properties":{"sessionID":"ses_e05c3ce78ffeZTT0MXuGCluvOW","info":{"id":"msg_1fa3c31b5001BBckO0LWcgQZTf","role":"user"}}}}"#;
    lines.insert(3, stale.to_owned());
    assert_eq!(parsed(&lines).len(), told);
    // The prompt of the second life was another client's, as far as this run knows.
    assert_eq!(turns(&parsed(&lines))[0].1, TurnOutcome::Completed);
}

#[test]
fn a_conversation_that_is_not_there_is_refused() {
    let gone = r#"{"id":"resume:0","status":404,"body":{"name":"NotFoundError","data":{"message":"Session not found: ses_x"}}}"#;
    let reason = "opencode answered 404: NotFoundError: Session not found: ses_x".to_owned();
    assert_eq!(parsed(&[gone]), [Observed::Refused { reason }]);
    for line in [r#"{"failed":"opencode cannot be run"}"#, r#"{"exit":{"code":127}}"#] {
        assert!(matches!(parsed(&[line])[..], [Observed::Refused { .. }]), "{line}");
    }
}

#[test]
fn a_prompt_that_becomes_no_message_fails_its_turn_once() {
    let ready = r#"{"id":"greet:0","status":200,"body":{"id":"ses_a"}}"#;
    let sent = r#"{"sent":"prompt:t1"}"#;
    let error = |message: &str| {
        let error = json!({ "name": "UnknownError", "data": { "message": message } });
        json!({ "event": { "type": "session.error", "properties": { "sessionID": "ses_a", "error": error } } })
            .to_string()
    };
    let not_found = "Agent not found: \"nope\".";
    let seen = parsed(&[ready, sent, &error(not_found), &error(&format!("Error: {not_found}\n    at x"))]);
    assert_eq!(seen[1..], [Observed::TurnEnded { outcome: TurnOutcome::Failed { reason: not_found.to_owned() } }]);
    // What the server refuses is not begun; what has no answer may be.
    let refused = r#"{"id":"prompt:t1","status":400,"body":{"name":"BadRequest"}}"#;
    let reason = "opencode answered 400: BadRequest".to_owned();
    assert_eq!(parsed(&[ready, sent, refused])[1..], [Observed::TurnEnded { outcome: TurnOutcome::Failed { reason } }]);
    let broken = r#"{"id":"prompt:t1","failed":"the connection broke"}"#;
    let reason = "the connection broke".to_owned();
    assert_eq!(
        parsed(&[ready, sent, broken])[1..],
        [Observed::TurnEnded { outcome: TurnOutcome::Interrupted { reason } }]
    );
}

#[test]
fn after_a_gap_the_snapshots_tell_what_was_missed() {
    let whole = bridged(PERMISSIONS, 1, 1);
    let end = whole.iter().position(|line| line.contains("session.idle")).unwrap();
    let asked = whole.iter().position(|line| line.contains("permission.asked")).unwrap();
    let session = "ses_e05c40cb4ffeyfq6BdofOTwH3n";
    // What the server would say: the last state of each message and each part before the end.
    let mut messages: Vec<Value> = Vec::new();
    for line in &whole[..end] {
        let properties = serde_json::from_str::<Value>(line).unwrap()["event"]["properties"].take();
        if let Some(info) = properties.get("info").filter(|info| info.get("role").is_some()) {
            match messages.iter_mut().find(|message| message["info"]["id"] == info["id"]) {
                Some(message) => message["info"] = info.clone(),
                None => messages.push(json!({ "info": info, "parts": [] })),
            }
        }
        if let Some(part) = properties.get("part")
            && let Some(message) = messages.iter_mut().find(|message| message["info"]["id"] == part["messageID"])
        {
            let parts = message["parts"].as_array_mut().unwrap();
            match parts.iter_mut().find(|known| known["id"] == part["id"]) {
                Some(known) => *known = part.clone(),
                None => parts.push(part.clone()),
            }
        }
    }
    let snapshot = |what: &str, body: Value| {
        json!({ "snapshot": what, "session": session, "status": 200, "body": body }).to_string()
    };
    let unbroken = turns(&parsed(&whole[..=end]));
    for cut in [5, 12, asked, asked + 1, end] {
        let mut lines = whole[..cut].to_vec();
        lines.push(r#"{"gap":true}"#.to_owned());
        lines.push(snapshot("message", json!(messages)));
        lines.push(snapshot("permission", json!([])));
        lines.push(snapshot("question", json!([])));
        lines.push(snapshot("status", json!({})));
        // The same again, late.
        lines.extend_from_slice(&whole[end - 5..=end]);
        let seen = turns(&parsed(&lines));
        assert_eq!(seen.len(), 1, "cut at {cut}");
        assert_eq!(items(&seen[0].0), items(&unbroken[0].0), "cut at {cut}");
        assert_eq!(seen[0].1, TurnOutcome::Completed, "cut at {cut}");
        let opened = seen[0].0.iter().filter(|seen| matches!(seen, Observed::Asked { .. })).count();
        let closed = seen[0].0.iter().filter(|seen| matches!(seen, Observed::AskClosed { .. })).count();
        assert_eq!(opened, closed, "cut at {cut}");
    }
}

#[test]
fn a_prompt_is_confirmed_by_its_own_message_only() {
    let user = |id: &str| {
        let info = json!({ "id": id, "role": "user", "agent": "build" });
        json!({ "event": { "type": "message.updated", "properties": { "sessionID": "ses_a", "info": info } } })
            .to_string()
    };
    let ready = r#"{"id":"greet:0","status":200,"body":{"id":"ses_a"}}"#.to_owned();
    let sent = format!("{{\"sent\":\"prompt:{TURN}\"}}");
    let own = format!("msg_1fa3c3691000{}", name_of(TURN).unwrap());
    let seen = parsed(&[ready.clone(), sent.clone(), user(&own)]);
    assert_eq!(seen.last(), Some(&Observed::Confirmed { name: Some(own) }));
    let seen = parsed(&[ready, sent, user("msg_1fa3c3691001y6pr9Rx2mToxNq")]);
    assert!(matches!(seen.last(), Some(Observed::Began { .. })), "{seen:?}");
}
