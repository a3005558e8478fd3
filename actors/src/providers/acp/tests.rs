//! Recorded exchanges with real agents through the parser, and what is written to them.

mod hostile;
mod said;
mod written;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::Observed;
use super::super::recorded::text_of;
use super::ids::Minted;
use super::*;

macro_rules! recorded {
    ($name:literal) => {
        include_str!(concat!("../../../tests/exchanges/acp/", $name, ".ndjson"))
    };
}

/// Exchanges with every agent, in which most things happen.
const EXCHANGES: [&str; 6] = [
    recorded!("claude-perm"),
    recorded!("codex-esc"),
    recorded!("gemini-perm"),
    recorded!("opencode-perm"),
    recorded!("qwen-perm"),
    recorded!("vibe-perm"),
];

/// What the agent wrote, as it would have answered requests with our ids. The reply to `session/new` of one agent is not in
/// the recording; the fence is in none. It comes after the history, which for one agent is after the reply to the load: what
/// it writes next tells of its commands.
fn replies(recorded: &str) -> Vec<String> {
    let (mut ids, mut lines) = (BTreeMap::new(), Vec::new());
    let mut opening = None;
    let mut fence = None;
    let is_late = recorded.contains("gemini-cli") && recorded.contains("session/load");
    for record in recorded.lines() {
        let record: Value = serde_json::from_str(record).expect("a record is JSON");
        let line = record["line"].as_str().expect("a line is text");
        let mut message: Value = serde_json::from_str(line).expect("a line is JSON");
        let session = message["params"]["sessionId"].as_str().unwrap_or_default().to_owned();
        if record["dir"] == ">" {
            let number = message["id"].to_string();
            let value = message["params"]["modeId"].as_str().unwrap_or_default();
            let minted = match message["method"].as_str() {
                Some("initialize") => Minted::Initialize,
                Some("session/new") => Minted::New { settings: false },
                Some("session/load") => Minted::Load { conversation: &session },
                Some("session/set_mode") => Minted::Set { awaited: 0, setting: Setting::Mode, way: Way::Method, value },
                Some("session/prompt") => Minted::Prompt { turn: &number, is_command: false },
                _ => continue,
            };
            if matches!(minted, Minted::Load { .. }) {
                fence = Some(
                    json!({"id": Minted::Fence { awaited: 1 }.to_string(), "error": {"code": -32601}}).to_string(),
                );
            }
            if matches!(minted, Minted::New { .. } | Minted::Load { .. }) {
                opening = Some(minted.to_string());
            } else if let Some(id) = opening.take() {
                lines.push(json!({"id": id, "result": {"sessionId": session}}).to_string());
            }
            ids.insert(number.clone(), minted.to_string());
            continue;
        }
        let update = message["params"]["update"]["sessionUpdate"].as_str().unwrap_or_default();
        if message["method"].is_null() {
            let Some(id) = ids.get(&message["id"].to_string()) else { continue };
            message["id"] = json!(id);
            let is_opening = opening.as_ref() == Some(id);
            opening = opening.filter(|_| !is_opening);
            lines.push(message.to_string());
            lines.extend(fence.take_if(|_| is_opening && !is_late));
        } else if update == "available_commands_update" {
            lines.extend(fence.take_if(|_| is_late));
            lines.push(line.to_owned());
        } else {
            lines.push(line.to_owned());
        }
    }
    lines
}

fn seen(lines: &[String]) -> Vec<Observed> {
    let (mut parser, mut seen) = (Acp.parser(), Vec::new());
    lines.iter().for_each(|line| parser.line(line.as_bytes(), &mut seen));
    seen
}

/// What was observed, in short: texts where they are settled.
fn told(seen: &[Observed]) -> Vec<String> {
    let word = |word: &Option<String>| word.clone().unwrap_or_else(|| "-".to_owned());
    let told = seen.iter().filter_map(|observed| {
        Some(match observed {
            Observed::Greeted { step } => format!("greeted {step}"),
            Observed::Opened { step, conversation } => format!("opened {step} {conversation}"),
            Observed::Ready { conversation, version, model, mode } => {
                format!("ready {} {} {} {}", word(conversation), word(version), word(model), word(mode))
            }
            Observed::Refused { reason } => format!("refused {reason}"),
            Observed::Confirmed { .. } => "confirmed".to_owned(),
            Observed::Began { .. } => "began".to_owned(),
            Observed::ItemStarted { key, kind, title, input, .. } => format!("+{key} {kind:?} {title} {input}"),
            Observed::ItemChanged { key, title, input } => format!("~{key} {title} {input}"),
            Observed::Delta { .. } | Observed::Text { .. } => return None,
            Observed::ItemEnded { key, status } => format!("={key} {status:?} {:?}", text_of(seen, key)),
            Observed::Asked { key, item, kind, title, detail, options, .. } => {
                let options: Vec<_> = options.iter().map(|option| option.id.as_str()).collect();
                format!("ask {key} {} {kind:?} {title} {detail} {options:?}", word(item))
            }
            Observed::Unsupported { key } => format!("unsupported {key}"),
            Observed::AskClosed { key } => format!("closed {key}"),
            Observed::Used(used) => format!(
                "used {:?} {}/{}/{} {:?} {:?}/{:?}",
                used.scope,
                used.input_tokens,
                used.cached_tokens,
                used.output_tokens,
                used.cost_micro_usd,
                used.context_tokens,
                used.context_tokens_max
            ),
            Observed::Noticed { kind, text, .. } => format!("{kind:?} {text}"),
            Observed::TurnEnded { outcome } => format!("end {outcome}"),
            Observed::SteerTaken { prompt } => format!("steer taken {prompt}"),
            Observed::SteerRefused { prompt } => format!("steer refused {prompt}"),
            Observed::Settled { turn, outcome } => format!("settled {turn} {outcome}"),
        })
    });
    told.collect()
}

fn told_of(recorded: &str) -> Vec<String> {
    told(&seen(&replies(recorded)))
}

/// The part that begins with this line, as many lines as are expected.
#[track_caller]
fn assert_part(told: &[String], expected: &[&str]) {
    let at = told.iter().position(|line| line == expected[0]);
    let at = at.unwrap_or_else(|| panic!("no line is {:?}:\n{}", expected[0], told.join("\n")));
    let part: Vec<&str> = told[at..].iter().take(expected.len()).map(String::as_str).collect();
    assert_eq!(part, expected);
}

#[test]
fn claude_asks_runs_and_is_denied() {
    let told = told_of(recorded!("claude-perm"));
    let conversation = "64a68ebf-e732-4447-b937-2e38d2b08b89";
    let (tool, touch) = (
        "toolu_b8ba91ef697647b5a572f9#2",
        r#"{"command":"touch allow_once.txt","description":"run a scripted command"}"#,
    );
    assert_part(
        &told,
        &[
            "greeted 1",
            &format!("ready {conversation} 0.49.0 claude-sonnet-4-5 default"),
            "used Turn 0/0/0 None Some(131)/Some(200000)",
            "confirmed",
            "+msg_652f4cb29e22418baaf9dfe7#1 Text  ",
            "=msg_652f4cb29e22418baaf9dfe7#1 Completed \"I will run a command now\"",
            &format!("+{tool} Tool Terminal "),
            &format!("~{tool} touch allow_once.txt {touch}"),
            &format!("ask 0 {tool} Permission touch allow_once.txt {touch} [\"allow_always\", \"allow\", \"reject\"]"),
            &format!("={tool} Completed \"```console\\n(Bash completed with no output)\\n```\""),
            "+msg_2a49706ef41042c4848fbc1b#3 Text  ",
            "used Turn 0/0/0 Some(2187) Some(180)/Some(200000)",
            "=msg_2a49706ef41042c4848fbc1b#3 Completed \"Final answer after the t\"",
            "used Turn 260/40/100 Some(2187) Some(180)/Some(200000)",
            "end completed",
        ],
    );
    let denied = "=toolu_b6bbbacce87c44c88ee270#5 Failed \"```\\nUser refused permission to run tool\\n```\"";
    assert_part(&told, &[denied, "+msg_0ac757b5f8a34bcda285902d#6 Text  "]);
    let written = r#"=toolu_2b2f576f0ad245ac9675fb#8 Completed "--- /dev/null\n+++ /w/repo/acp-claude/w.txt\n@@ -0,0 +1,1 @@\n+hello-from-write\n""#;
    assert_part(&told, &[written]);
}

#[test]
fn claude_goes_on_with_a_conversation_and_tells_of_errors() {
    let conversation = "42554ef5-3831-4cd4-a38b-69ff81bfd345";
    assert_part(
        &told_of(recorded!("claude-resume")),
        &[
            "greeted 1",
            &format!("opened 2 {conversation}"),
            &format!("ready {conversation} 0.49.0 claude-sonnet-4-5 default"),
            "used Turn 0/0/0 None Some(131)/Some(200000)",
            "confirmed",
            "+msg_bca0dc6436a74abcbf017da3#1 Text  ",
            "used Turn 0/0/0 None Some(180)/Some(200000)",
            "=msg_bca0dc6436a74abcbf017da3#1 Completed \"I can see 6 user turns and 8 items in total. First user text: <plain>\"",
            "used Turn 130/20/50 None Some(180)/Some(200000)",
            "end completed",
        ],
    );
    let told = told_of(recorded!("claude-err"));
    assert_part(&told, &["end failed: Internal error: API Error: 400 scripted 400", "confirmed"]);
    assert_part(&told, &["refused Internal error: Failed to authenticate. API Error: 401 scripted 401", "confirmed"]);
    assert_eq!(
        told.last().map(String::as_str),
        Some("end completed"),
        "it gave its model's cut stream up without a word"
    );
}

#[test]
fn codex_takes_a_mode_asks_and_ends_the_turn_where_it_is_denied() {
    let told = told_of(recorded!("codex-esc"));
    let (tool, touch) = (
        "call_d3b556ae71a14c828c61#7",
        r#"{"command":"touch esc-reject_once.txt && echo made-it","cwd":"/w/repo/acp-codex"}"#,
    );
    assert_part(&told, &["ready - - fake-model -", "ready - - - read-only", "confirmed"]);
    assert_part(&told, &["=call_9e2323ce29864d7285da#3 Completed \"made-it\\n\""]);
    let ask = format!("ask 1 {tool} Permission touch esc-reject_once.txt && echo made-it {touch}");
    assert_part(
        &told,
        &[
            &format!("{ask} [\"allow_once\", \"accept_execpolicy_amendment\", \"cancel\"]"),
            &format!("={tool} Failed \"\""),
            "used Turn 0/0/0 None Some(150)/Some(258400)",
            "used Turn 100/20/50 None Some(150)/Some(258400)",
            "end cancelled",
        ],
    );
}

#[test]
fn codex_tells_of_errors_in_words_only_and_of_a_missing_login() {
    let told = told_of(recorded!("codex-err"));
    let bad = r#"{"error": {"message": "scripted 400", "type": "invalid_request_error", "code": "scripted"}}"#;
    assert_part(&told, &[&format!("end failed: {bad}"), "confirmed"]);
    let login = "refused Authentication required. The agent offers: API Key (Use an API key to authenticate)";
    assert_part(&told, &[login]);
    let busy = "We’re currently experiencing high demand, which may cause temporary errors.";
    assert_part(&told, &[&format!("Retry Reconnecting... 1/1: {busy}")]);
    assert_part(&told, &[&format!("end failed: {busy}")]);
    let cut = "stream disconnected before completion: scripted mid-stream error";
    assert_eq!(told.last(), Some(&format!("end failed: {cut}")));
}

#[test]
fn gemini_tells_of_a_tool_only_by_asking_and_of_a_denied_one_no_more() {
    let told = told_of(recorded!("gemini-perm"));
    let (allowed, denied) = ("run_shell_command__fc_854e1cdb#2", "run_shell_command__fc_add1b822#5");
    assert_part(&told, &[&format!("+{allowed} Tool touch allow_once.txt ")]);
    assert_part(&told, &[&format!("={allowed} Completed \"\""), "+chunks#3 Text  "]);
    assert_part(&told, &[&format!("={denied} Declined \"\""), "used Turn 200/0/100 None None/None", "end completed"]);
    let ask = told.iter().find(|line| line.starts_with(&format!("ask 1 {denied} Permission touch reject_once.txt")));
    assert!(ask.expect("an ask").ends_with(r#"["proceed_always", "proceed_once", "cancel"]"#));
    let written = r#"+++ /w/repo/acp-gemini/w.txt\n@@ -0,0 +1,1 @@\n+hello-from-write\n""#;
    assert!(
        told.iter().any(|line| line.starts_with("=write_file__fc_f372890b#7 Completed") && line.ends_with(written))
    );
}

#[test]
fn gemini_tells_history_after_the_load_and_none_of_it_becomes_an_item() {
    let conversation = "27244160-9ae0-4dcd-8222-22550de88a69";
    assert_eq!(
        told_of(recorded!("gemini-resume")),
        [
            "greeted 1",
            &format!("opened 2 {conversation}"),
            &format!("ready {conversation} 0.61.0 gemini-2.5-pro default"),
            "confirmed",
            "+chunks#1 Text  ",
            "=chunks#1 Completed \"I can see 4 user turns and 6 items in total. First user text: <plain>\"",
            "used Turn 100/0/50 None None/None",
            "end completed",
        ]
    );
}

#[test]
fn gemini_is_cancelled_and_fails() {
    let told = told_of(recorded!("gemini-cancel"));
    assert_part(&told, &["=chunks#1 Cancelled \"tick 0 tick 1 \"", "end cancelled", "confirmed"]);
    assert!(
        told[told.len() - 2].starts_with("ask 0 run_shell_command__fc_a8b842de#3"),
        "left to whoever closes the turn"
    );
    let told = told_of(recorded!("gemini-err"));
    assert_part(&told, &["end failed: scripted 400"]);
    let refused = told.iter().find(|line| line.starts_with("refused ")).expect("a refusal");
    assert!(refused.starts_with("refused scripted 401. The agent offers: Log in with Google (Log in"), "{refused}");
}

#[test]
fn opencode_asks_for_what_it_is_not_offered() {
    let told = told_of(recorded!("opencode-perm"));
    let (tool, path) = ("call_de5216def9774b4ea344#7", "/w/repo/acp-opencode/w.txt");
    assert_part(
        &told,
        &[
            &format!("+{tool} FileChange write "),
            &format!("~{tool} write {{\"content\":\"hello-from-write\",\"filePath\":\"{path}\"}}"),
        ],
    );
    let warning = "Warning the agent asked for fs/write_text_file, which it is not offered";
    let input = format!("{{\"content\":\"hello-from-write\",\"filePath\":\"{path}\"}}");
    assert_part(
        &told,
        &[
            warning,
            "unsupported 5",
            &format!("~{tool} w.txt {input}"),
            &format!("={tool} Completed \"--- {path}\\n+++ {path}\\n\""),
        ],
    );
    assert_part(&told, &["used Turn 100/20/50 Some(360) Some(100)/Some(200000)", "end completed", "confirmed"]);
    let told = told_of(recorded!("opencode-err"));
    assert_part(&told, &["end failed: Internal error: scripted 400"]);
    assert_part(&told, &["ready ses_e05bf4c37ffeGA9R1Lsr0CeOzi 1.18.33 fake/fake-model build"]);
}

#[test]
fn qwen_tells_usage_with_its_text_and_no_more_of_a_denied_tool() {
    let told = told_of(recorded!("qwen-perm"));
    assert_part(&told, &["used Call 100/20/50 None None/None", "=chunks#1 Completed \"I will run a command now\""]);
    assert_part(&told, &["=call_163d1b82b3f042b3933e#5 Declined \"\"", "end completed"]);
    let resumed = told_of(recorded!("qwen-resume"));
    assert_part(
        &resumed,
        &["ready 14f84de0-4ba3-48b7-a7eb-805948b7bdfb 0.15.10 $runtime|openai|fake-model(openai) default", "confirmed"],
    );
}

#[test]
fn vibe_tells_the_prompt_back_and_counts_over_the_conversation() {
    let told = told_of(recorded!("vibe-perm"));
    let tool = "effect-5ed85a40-e160-56c5-b932-fd468e46e822#5";
    let ask = format!("ask 1 {tool} Permission bash: touch reject_once.txt {{\"command\":\"touch reject_once.txt\"}}");
    let options = r#"["allow_once", "allow_always", "allow_always_permanent", "reject_once"]"#;
    assert_part(
        &told,
        &[&format!("{ask} {options}"), &format!("={tool} Failed \"Tool execution denied by approval callback\"")],
    );
    assert_part(&told, &["used Total 200/40/100 None Some(0)/Some(200000)", "end completed", "confirmed"]);
    let text: Vec<_> = told.iter().filter(|line| line.starts_with('+')).collect();
    assert!(!text.iter().any(|line| line.contains("[[bash")), "what people wrote is no item: {text:?}");
    let resumed = told_of(recorded!("vibe-resume"));
    assert_part(&resumed, &["ready 7ca78900-64f2-bec8-dde4-3a6b59d261f5 3.0.2 fake accept-edits", "confirmed"]);
}
