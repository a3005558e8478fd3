use std::collections::BTreeMap;

use ropewalk_protocol::{ItemStatus, NoticeKind, TurnOutcome, Usage, UsageScope};

use super::*;
use crate::providers::Observed;
use crate::providers::lines::{Line, Lines};
use crate::providers::recorded::text_of;

macro_rules! exchange {
    ($name:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/exchanges/codex/", $name, ".ndjson"))
    };
}

mod answers;
mod hostile;
mod shapes;
mod steered;

const EXCHANGES: [&str; 14] = [
    exchange!("agents"),
    exchange!("attached"),
    exchange!("badmode"),
    exchange!("cancel"),
    exchange!("err"),
    exchange!("goal"),
    exchange!("locked"),
    exchange!("output"),
    exchange!("patch"),
    exchange!("perm"),
    exchange!("plain"),
    exchange!("resumed"),
    exchange!("settings"),
    exchange!("steered"),
];

/// What codex wrote, with the ids that our requests would have had: most exchanges were recorded with numbers.
fn written(recorded: &str) -> Vec<String> {
    let mut ids = BTreeMap::new();
    let mut written = Vec::new();
    for record in recorded.lines() {
        let record: Value = serde_json::from_str(record).unwrap();
        let line = record["line"].as_str().unwrap();
        let mut message: Value = serde_json::from_str(line).unwrap();
        if record["dir"] == ">" {
            let id = message["id"].to_string();
            let ours = match message["method"].as_str() {
                Some("initialize") => "greet:0".to_owned(),
                Some("thread/start" | "thread/resume") => "greet:1".to_owned(),
                Some(method) => format!("{}:{id}", method.replace("turn/start", "prompt").replace("turn/", "")),
                None => continue,
            };
            ids.insert(id, ours);
        } else if message["method"].is_null() && message["id"].is_number() {
            message["id"] = json!(ids[&message["id"].to_string()]);
            written.push(message.to_string());
        } else {
            written.push(line.to_owned());
        }
    }
    written
}

fn observed(lines: &[impl AsRef<[u8]>]) -> Vec<Observed> {
    let (mut parser, mut seen) = (Codex.parser(), Vec::new());
    lines.iter().for_each(|line| parser.line(line.as_ref(), &mut seen));
    seen
}

fn seen(recorded: &str) -> Vec<Observed> {
    observed(&written(recorded))
}

/// All that was seen but previews and counts, a line each.
fn told(seen: &[Observed]) -> Vec<String> {
    let lines = seen.iter().filter_map(|observed| {
        Some(match observed {
            Observed::Delta { .. } | Observed::Used(_) => return None,
            Observed::Greeted { step } => format!("greeted {step}"),
            Observed::Ready { version, model, mode, .. } => {
                let or_none = |word: &Option<String>| word.clone().unwrap_or("-".into());
                format!("ready {} {} {}", or_none(version), or_none(model), or_none(mode))
            }
            Observed::Refused { reason } => format!("refused: {reason}"),
            Observed::Opened { step, .. } => format!("opened {step}"),
            Observed::Unsupported { key } => format!("unsupported {key}"),
            Observed::SteerTaken { prompt } => format!("steer taken {prompt}"),
            Observed::SteerRefused { prompt } => format!("steer refused {prompt}"),
            Observed::Settled { turn, outcome } => format!("settled {turn} {outcome}"),
            Observed::Confirmed { .. } => "confirmed".into(),
            Observed::Began { .. } => "began".into(),
            Observed::ItemStarted { kind, title, parent, .. } => {
                format!("{}{kind:?} {title}", if parent.is_some() { "| " } else { "" }).trim_end().to_owned()
            }
            Observed::ItemChanged { title, .. } => format!("changed {title}"),
            Observed::Text { text, .. } => format!("{text:?}"),
            Observed::ItemEnded { status, .. } => format!("{status:?}"),
            Observed::Asked { key, item, title, .. } => {
                format!("ask {key} {title}{}", if item.is_some() { " (of an item)" } else { "" })
            }
            Observed::AskClosed { key } => format!("closed {key}"),
            Observed::Noticed { kind, text, .. } => format!("{kind:?}: {text}"),
            Observed::TurnEnded { outcome } => format!("turn {outcome}"),
        })
    });
    lines.collect()
}

const METADATA: &str = "Warning: Model metadata for `fake-model` not found. Defaulting to fallback metadata; this can degrade \
                        performance and cause issues.";

/// The prompts' turns by codex's names, in order.
fn turns(seen: &[Observed]) -> Vec<String> {
    let names = seen.iter().filter_map(|observed| match observed {
        Observed::Confirmed { name } | Observed::Began { name } => name.clone(),
        _ => None,
    });
    names.collect()
}

#[test]
fn a_plain_exchange() {
    let seen = seen(exchange!("plain"));
    let told = told(&seen);
    assert!(told[1].starts_with("Warning: Codex could not find bubblewrap on PATH."), "{told:?}");
    let expected = [
        "ready 0.169.0 fake-model ask",
        METADATA,
        "confirmed",
        "Text",
        "\"Hello from the fake model: plain text in several deltas.\"",
        "Completed",
        "turn completed",
        "confirmed",
        "Thinking",
        "\"Let me think about this step by step. First, nothing. Second, done.\"",
        "Completed",
        "Text",
        "\"Thought about it; the answer is 42.\"",
        "Completed",
        "turn completed",
    ];
    assert_eq!(told[0], "greeted 1");
    assert_eq!(told[2..], expected);
    let Observed::Ready { conversation, .. } = &seen[2] else { panic!("ready: {:?}", seen[2]) };
    assert_eq!(conversation.as_deref(), Some("01a1fa36-4a2a-7481-a8e0-5941391e3f35"));
    assert_eq!(turns(&seen), ["01a1fa36-4a8e-78e3-b6e0-edb217ced2e9", "01a1fa36-4c3d-7ed2-9c37-4731efef58e9"]);
    let used: Vec<&Usage> =
        seen.iter().filter_map(|one| if let Observed::Used(used) = one { Some(used) } else { None }).collect();
    let call = Usage {
        scope: UsageScope::Call,
        input_tokens: 100,
        cached_tokens: 20,
        output_tokens: 50,
        cost_micro_usd: None,
        context_tokens: Some(150),
        context_tokens_max: Some(258_400),
    };
    let total =
        Usage { scope: UsageScope::Total, input_tokens: 200, cached_tokens: 40, output_tokens: 100, ..call.clone() };
    assert_eq!(used[2..], [&call, &total], "the second turn's");
}

#[test]
fn commands_are_asked_about_and_allowed_denied_and_cancelled() {
    let seen = seen(exchange!("perm"));
    let of = |file: &str| format!("/bin/bash -lc 'touch {file}.txt && echo made-it'");
    let asked = |id: u8, file: &str| {
        let what = of(file);
        ["confirmed".into(), format!("Tool {what}"), format!("ask {id} {what} (of an item)"), format!("closed {id}")]
    };
    let ended = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
    let expected = [
        ended(&["greeted 1", "ready 0.169.0 fake-model ask", METADATA]),
        asked(0, "acc").to_vec(),
        ended(&["\"made-it\\n\"", "Completed", "turn completed"]),
        asked(1, "dec").to_vec(),
        ended(&["Declined", "turn completed"]),
        asked(2, "can").to_vec(),
        ended(&["Declined", "turn cancelled"]),
        asked(3, "ses").to_vec(),
        ended(&["\"made-it\\n\"", "Completed", "turn completed", "confirmed"]),
        vec![format!("Tool {}", of("ses"))],
        ended(&["\"made-it\\n\"", "Completed", "turn completed"]),
    ];
    assert_eq!(told(&seen), expected.concat());
}

#[test]
fn a_change_of_files_shows_what_changes_before_it_is_allowed() {
    let seen = seen(exchange!("patch"));
    let difference = "--- /dev/null\n+++ /home/dev/codex-app/p.txt\n@@ -0,0 +1,1 @@\n+hello-from-patch\n";
    let asked = seen.iter().position(|one| matches!(one, Observed::Asked { .. })).unwrap();
    let Observed::Asked { item: Some(item), detail, .. } = &seen[asked] else { panic!("{:?}", seen[asked]) };
    assert_eq!(text_of(&seen[..asked], item), difference);
    assert_eq!(text_of(&seen, item), difference);
    let detail: Value = serde_json::from_str(detail).unwrap();
    assert_eq!(detail, json!({"changes": [{"path": "/home/dev/codex-app/p.txt", "kind": {"type": "add"}}]}));
    let statuses: Vec<_> = seen
        .iter()
        .filter_map(|one| if let Observed::ItemEnded { status, .. } = one { Some(status) } else { None })
        .collect();
    assert_eq!(statuses, [&ItemStatus::Completed, &ItemStatus::Declined]);
}

#[test]
fn a_commands_output_is_whole_in_the_end_though_its_beginning_was_never_streamed() {
    let seen = seen(exchange!("output"));
    let Some(Observed::ItemStarted { key, input, .. }) =
        seen.iter().find(|one| matches!(one, Observed::ItemStarted { .. }))
    else {
        panic!("{seen:?}")
    };
    let command = "/bin/bash -lc 'for i in 1 2 3; do echo line$i; sleep 0.6; done'";
    assert_eq!(
        serde_json::from_str::<Value>(input).unwrap(),
        json!({"command": command, "cwd": "/home/dev/codex-app"})
    );
    let streamed: Vec<Observed> = seen.iter().filter(|one| !matches!(one, Observed::Text { .. })).cloned().collect();
    assert_eq!(text_of(&streamed, key), "line2\nline3\n");
    assert_eq!(text_of(&seen, key), "line1\nline2\nline3\n");
}

#[test]
fn a_cancelled_turn_leaves_its_items_open_and_a_steered_one_goes_on() {
    let sleep = "/bin/bash -lc \"python3 -c 'import time; time.sleep(30)'\"";
    let expected = [
        "greeted 1",
        "ready 0.169.0 fake-model ask",
        METADATA,
        "confirmed",
        "Text",
        "turn cancelled",
        "confirmed",
        "Text",
        "\"I will run a command now. \"",
        "Completed",
        "Tool /bin/bash -lc 'touch pend.txt'",
        "ask 0 /bin/bash -lc 'touch pend.txt' (of an item)",
        "turn cancelled",
        "closed 0",
        "confirmed",
        "Text",
        "\"I will run a command now. \"",
        "Completed",
        &format!("Tool {sleep}"),
        &format!("ask 1 {sleep} (of an item)"),
        "closed 1",
        "turn cancelled",
        "confirmed",
        "Text",
        "Text",
        "\"Hello from the fake model: steered answer\"",
        "Completed",
        // It tells no ids of ours: it is believed on its yes, once that can be known.
        "steer taken 10",
        "turn completed",
    ];
    assert_eq!(told(&seen(exchange!("cancel"))), expected);
}

#[test]
fn failures_of_the_models_server() {
    let login = "(codex is not logged in, or its key is refused: run `codex login`)";
    let refused = "unexpected status 401 Unauthorized: scripted 401, url: http://127.0.0.1:45207/v1/responses";
    let expected = [
        "greeted 1",
        "ready 0.169.0 fake-model read-only",
        METADATA,
        "confirmed",
        "turn failed: {\"error\": {\"message\": \"scripted 400\", \"type\": \"server_error\", \"code\": \"scripted\"}}",
        "confirmed",
        &format!("Retry: Reconnecting... 1/1: {refused} {login}"),
        &format!("turn failed: {refused} {login}"),
        "confirmed",
        "RateLimited: exceeded retry limit, last status: 429 Too Many Requests",
        "turn failed: exceeded retry limit, last status: 429 Too Many Requests",
        "confirmed",
        "Text",
        "Failed",
        "Retry: Reconnecting... 1/1: stream disconnected before completion: scripted mid-stream error",
        "Text",
        "turn failed: stream disconnected before completion: scripted mid-stream error",
    ];
    assert_eq!(told(&seen(exchange!("err"))), expected);
}

#[test]
fn another_agent_works_on_after_our_turn_and_its_question_stays_open() {
    let seen = seen(exchange!("agents"));
    let spawn = "spawnAgent: [[call exec_command {\"cmd\":\"touch sub\"}]]";
    let expected = [
        "greeted 1",
        "ready 0.169.0 fake-model ask",
        METADATA,
        "confirmed",
        &format!("Tool {spawn}"),
        &format!("changed {spawn}"),
        "\"01a2004c-72a9-7692-8124-bc818f017131: pendingInit\\n\"",
        "Completed",
        "Text",
        "\"hello there\"",
        "Completed",
        "| Tool /bin/bash -lc 'touch sub'",
        "ask 0 /bin/bash -lc 'touch sub' (of an item)",
        "turn completed",
        "ask 0 /bin/bash -lc 'touch sub'",
        "closed 0",
        "| Tool /bin/bash -lc 'touch sub'",
        "Completed",
        "| Text",
        "\"hello there\"",
        "Completed",
    ];
    assert_eq!(told(&seen), expected);
    let keys: Vec<&String> = seen
        .iter()
        .filter_map(|one| if let Observed::ItemStarted { key, .. } = one { Some(key) } else { None })
        .collect();
    let distinct: std::collections::BTreeSet<&String> = keys.iter().copied().collect();
    assert_eq!(keys.len(), distinct.len(), "two calls of one name, and one that goes on: {keys:?}");
}

#[test]
fn turns_that_nobody_asked_for_begin_and_end() {
    let seen = seen(exchange!("goal"));
    let text = ["Text", "\"hello there\"", "Completed", "turn completed"];
    let greeting = ["greeted 1", "ready 0.169.0 fake-model ask", METADATA, "confirmed"];
    assert_eq!(told(&seen), [&greeting[..], &text, &["began"], &text, &["began", "turn cancelled"]].concat());
}

#[test]
fn settings_questions_and_what_codex_does_not_take() {
    let bogus = "unknown variant `bogus`, expected one of `untrusted`, `on-request`, `granular`, `never`";
    let expected = [
        "ready 0.169.0 gpt-5.5 full",
        &format!("Warning: codex did not take the model or the mode: Invalid request: {bogus}"),
        "confirmed",
        "Tool /bin/bash -lc 'echo hi; exit 3'",
        "\"hi\\n[exit code 3]\\n\"",
        "Failed",
        "turn completed",
        "confirmed",
        "ask 0 Which?",
        "closed 0",
        "turn completed",
        "confirmed",
        "Warning: codex did not take the prompt into the running turn: expected active turn id `nope` but found \
         `01a2004c-281f-7ad2-b28b-88a83ac0a873`",
        "steer refused p9",
        "turn cancelled",
        "turn failed: codex did not take the prompt: invalid thread id: invalid length: expected length 32 for simple \
         format, found 0",
    ];
    assert_eq!(told(&seen(exchange!("settings")))[3..], expected);
    let refused = format!("refused: Invalid request: {bogus} (modes are read-only, ask, auto and full)");
    assert_eq!(told(&seen(exchange!("badmode"))), ["greeted 1", &refused]);
}

#[test]
fn a_conversation_goes_on_in_another_process_once_the_first_has_ended() {
    let thread = "01a2004c-2647-7cf2-a3f8-dc27cebd7879";
    let refused = format!(
        "refused: thread {thread} already has an active writer (another process works on this conversation: end it, or \
         start a new one)"
    );
    assert_eq!(told(&seen(exchange!("locked"))), ["greeted 1", &refused]);
    let seen = seen(exchange!("resumed"));
    let expected = [
        "greeted 1",
        "settled t1 completed",
        "settled t2 cancelled",
        "settled t3 interrupted: codex's record has its beginning, and no end",
        "ready 0.169.0 fake-model full",
        METADATA,
        "confirmed",
        "turn completed",
    ];
    assert_eq!(told(&seen), expected);
    let scopes: Vec<_> = seen
        .iter()
        .filter_map(|one| if let Observed::Used(used) = one { Some((used.scope, used.input_tokens)) } else { None })
        .collect();
    let expected = [(UsageScope::Total, 100), (UsageScope::Call, 100), (UsageScope::Total, 200)];
    assert_eq!(scopes, expected, "what was used before is no call of this turn");
    let unknown = br#"{"error":{"code":-32600,"message":"no rollout found for thread id 0"},"id":"greet:1"}"#;
    let reason = "no rollout found for thread id 0 (the conversation is unknown: start a new one)".into();
    assert_eq!(observed(&[unknown]), [Observed::Refused { reason }]);
}

#[test]
fn whoever_attaches_in_the_middle_of_a_turn_sees_its_end() {
    let seen = seen(exchange!("attached"));
    let said = "\"Final answer after the tool. Tool said: Chunk ID: c04836\\nWall time: 0.0000 seconds\\nProcess exited with \
                code 0\\nOriginal token count: 0\\nOutput:\\n\"";
    let expected = [
        "greeted 1",
        "ready 0.169.0 fake-model untrusted/read-only",
        "ask 0 /bin/bash -lc 'touch ws.txt'",
        "closed 0",
        "Tool /bin/bash -lc 'touch ws.txt'",
        "Completed",
        "Text",
        said,
        "Completed",
        "began",
        "turn completed",
        METADATA,
        "confirmed",
    ];
    assert_eq!(told(&seen), expected);
}

#[test]
fn what_is_seen_does_not_depend_on_how_the_bytes_come() {
    for recorded in EXCHANGES {
        let lines = written(recorded);
        let bytes = lines.iter().map(|line| format!("{line}\n")).collect::<String>();
        for size in [1, 7, 1000] {
            let (mut cutter, mut parser, mut seen) = (Lines::from(0), Codex.parser(), Vec::new());
            for mut piece in bytes.as_bytes().chunks(size) {
                while let Some(line) = cutter.next(&mut piece) {
                    let Line::Whole { bytes, .. } = line else { panic!("no line is too long") };
                    parser.line(bytes, &mut seen);
                }
            }
            assert_eq!(seen, observed(&lines), "in pieces of {size}");
        }
    }
}

#[test]
fn a_settled_text_does_not_depend_on_its_deltas() {
    for recorded in EXCHANGES {
        let mut lines = written(recorded);
        let with = observed(&lines);
        lines.retain(|line| !line.contains("elta\",\"params\""));
        let without = observed(&lines);
        for one in &with {
            if let Observed::Text { key, .. } = one {
                assert_eq!(text_of(&with, key), text_of(&without, key));
            }
        }
    }
}
